//! A request of the admin API: its head understood, its body whole.

use crate::http::fields::Fields;
use crate::http::{Method, RequestHead, Version};
use crate::limits::{
    ADMIN_BODY_BYTES_MAX, ADMIN_SMALL_BODY_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX,
};

use super::access::Who;
use super::answer::Sending;
use super::problem::{Kind, Problem};

/// A request.
#[derive(Debug)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// As it was written.
    pub method_name: String,
    /// As it was written, without the query.
    pub path: String,
    /// Its parts, decoded.
    pub segments: Vec<String>,
    /// Decoded.
    pub query: Vec<(String, String)>,
    /// What it depends on.
    pub if_match: Option<String>,
    /// The same, the other way round.
    pub if_none_match: Option<String>,
    /// By which it is known again.
    pub idempotency_key: Option<String>,
    /// Why, for the audit.
    pub reason: Option<String>,
    /// What the body is.
    pub content_type: Option<String>,
    /// Which media types are wanted.
    pub accept: Option<String>,
    /// The last event that was seen.
    pub last_event: Option<u64>,
    /// Who asks.
    pub who: Who,
    /// It was signed, and not shown a token.
    pub is_signed: bool,
    /// It is named by this in the log.
    pub id: String,
    /// All of it.
    pub body: Vec<u8>,
}

impl Request {
    /// What a head asks for.
    pub fn read(
        bytes: &[u8],
        head: &RequestHead,
        fields: &Fields,
        who: Who,
        id: String,
    ) -> Result<Request, Problem> {
        let text = |name| {
            let value = fields.find(bytes, name)?;
            Some(String::from_utf8_lossy(value.of(bytes)).into_owned())
        };
        let path = String::from_utf8_lossy(head.path_alone(bytes).of(bytes)).into_owned();
        let query = String::from_utf8_lossy(head.query(bytes).of(bytes)).into_owned();
        let segments: Option<Vec<String>> =
            path.split('/').filter(|it| !it.is_empty()).map(decoded).collect();
        let key = text("idempotency-key");
        if key.as_ref().is_some_and(|it| !(1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&it.len())) {
            let detail =
                format!("Idempotency-Key: want 1 to {IDEMPOTENCY_KEY_BYTES_MAX} characters");
            return Err(Problem::new(Kind::BAD_REQUEST, detail));
        }
        let bad = || Problem::new(Kind::BAD_REQUEST, "the path is not percent-encoded UTF-8");
        Ok(Request {
            method: head.method,
            method_name: String::from_utf8_lossy(head.method_name.of(bytes)).into_owned(),
            segments: segments.ok_or_else(bad)?,
            path,
            query: pairs(query.trim_start_matches('?')).ok_or_else(bad)?,
            if_match: text("if-match"),
            if_none_match: text("if-none-match"),
            idempotency_key: key,
            reason: text("x-reason"),
            content_type: text("content-type"),
            accept: text("accept"),
            last_event: text("last-event-id").and_then(|it| it.parse().ok()),
            who,
            is_signed: false,
            id,
            body: Vec::new(),
        })
    }

    /// Whether nothing may be changed by it.
    pub fn is_read(&self) -> bool {
        matches!(self.method, Method::Get | Method::Head)
    }

    /// How long its body may be: it is read in one turn, and what whoever but an admin may send is
    /// short.
    pub fn body_bytes_max(&self) -> usize {
        let segments: Vec<&str> = self.segments.iter().map(|it| &**it).collect();
        match *segments {
            ["api", "v1", "batch"] | ["api", "v1", "config", ..] => ADMIN_BODY_BYTES_MAX,
            _ => ADMIN_SMALL_BODY_BYTES_MAX,
        }
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(it, _)| it == name).map(|(_, value)| &**value)
    }
}

/// How its answer is sent.
pub fn sending(head: &RequestHead) -> Sending {
    Sending { version: head.version, keep_alive: head.keep_alive, head_request: head.is_head() }
}

/// How it is answered if its head could not be read.
pub const LAST: Sending =
    Sending { version: Version::Http11, keep_alive: false, head_request: false };

/// `a=b&c=d`, each decoded.
fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    let parts = query.split('&').filter(|it| !it.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
        })
        .collect()
}

/// Without percent signs.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        if !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}
