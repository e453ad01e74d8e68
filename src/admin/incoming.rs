//! What comes in of an admin connection: a head, who it is from, a body, whole.
//!
//! ```text
//!   bytes --> head --admitted--> body --> Request
//!               \--refused------/  \----> Refused
//! ```
//!
//! Pure: the connection reads, and answers.

use crate::config::Role;
use crate::http::fields::Fields;
use crate::http::{
    BadHead, Decoder, Framing, Method, Parse, RequestHead, Scan, Trailers, Version,
    parse_request,
};
use crate::limits::{ADMIN_BODY_BYTES_MAX, HTTP_HEAD_BYTES_MAX};

use super::access::{self, Refusal, Rules, Who};
use super::answer::Sending;
use super::audit::Audit;
use super::entry::Entry;
use super::problem::{Kind, Problem};
use super::request::{self, Request};

/// What is read of a connection, and not understood yet.
#[derive(Debug, Default)]
pub struct Incoming {
    input: Vec<u8>,
    scan: Scan,
    gathering: Option<Box<Gathering>>,
    /// How many requests there were.
    number: u64,
}

/// A request and how it is answered.
#[derive(Debug)]
pub struct Current {
    /// The request.
    pub request: Request,
    /// How.
    pub sending: Sending,
}

/// A request whose body is on its way.
#[derive(Debug)]
struct Gathering {
    current: Current,
    decoder: Decoder,
    expects_continue: bool,
}

/// What the bytes come to.
#[derive(Debug)]
pub enum Came {
    /// More is needed.
    Nothing,
    /// The client waits to be told that it may send the body.
    Expects,
    /// A request, whole.
    Request(Box<Current>),
    /// It is not served.
    Refused(Box<Refused>),
}

/// Why a request is not served, and how that is told.
#[derive(Debug)]
pub struct Refused {
    /// What is wrong.
    pub problem: Problem,
    /// Of the request, as far as it is known.
    pub path: String,
    /// The same.
    pub id: String,
    /// How it is answered.
    pub sending: Sending,
    /// A line for the audit, if it wanted to change something.
    pub audit: Option<Audit>,
}

impl Incoming {
    /// Bytes that came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// What came is of no interest any more.
    pub fn drop_input(&mut self) {
        self.input.clear();
    }

    /// Whether a request has begun and is not whole.
    pub fn has_begun(&self) -> bool {
        self.gathering.is_some() || !self.input.is_empty()
    }

    /// What the bytes that are here come to; `connection` is the number of it.
    pub fn take(&mut self, connection: u64, entry: &Entry, rules: &Rules) -> Came {
        match self.gathering.take() {
            Some(gathering) => self.gather(gathering),
            None => self.head(connection, entry, rules),
        }
    }

    /// It took too long.
    pub fn late(&mut self) -> Refused {
        let problem = Problem::new(Kind::TIMEOUT, "the request did not come in time");
        match self.gathering.take() {
            Some(gathering) => gathering.refused(problem),
            None => unread(problem),
        }
    }

    fn head(&mut self, connection: u64, entry: &Entry, rules: &Rules) -> Came {
        if self.input.is_empty() {
            self.scan = Scan::default();
            return Came::Nothing;
        }
        let mut fields = Fields::new();
        let refuse =
            |why: &str| Came::Refused(Box::new(unread(Problem::new(Kind::BAD_REQUEST, why))));
        match parse_request(&self.input, &mut self.scan, &mut fields) {
            Parse::Incomplete if self.input.len() >= HTTP_HEAD_BYTES_MAX => {
                refuse(BadHead::HeadTooLong.reason())
            }
            Parse::Incomplete => Came::Nothing,
            Parse::Bad(bad) => refuse(bad.reason()),
            Parse::Done(head) => self.take_head(&head, &fields, connection, entry, rules),
        }
    }

    /// The head is whole: who asks, and for what?
    fn take_head(
        &mut self,
        head: &RequestHead,
        fields: &Fields,
        connection: u64,
        entry: &Entry,
        rules: &Rules,
    ) -> Came {
        self.number += 1;
        self.scan = Scan::default();
        let bytes = std::mem::take(&mut self.input);
        self.input = bytes[head.length..].to_vec();
        let sending = request::sending(head);
        let id = format!("{connection}-{}", self.number);
        let path = String::from_utf8_lossy(head.path_alone(&bytes).of(&bytes)).into_owned();
        let last = Sending { keep_alive: false, ..sending };
        let refuse = |problem: Problem, audit| {
            Came::Refused(Box::new(Refused {
                problem,
                path: path.clone(),
                id: id.clone(),
                sending: last,
                audit,
            }))
        };
        let who = match admit(entry, rules, &bytes, head, fields) {
            Ok(who) => who,
            Err(refusal) => {
                let audit = refused_write(&refusal, entry, &bytes, head, &path, &id);
                return refuse(problem_of(refusal), audit);
            }
        };
        let current = match Request::read(&bytes, head, fields, who, id.clone()) {
            Ok(request) => Current { request, sending },
            Err(problem) => return refuse(problem, None),
        };
        if matches!(head.framing, Framing::Length(it) if it > ADMIN_BODY_BYTES_MAX as u64) {
            return refuse(too_large(), None);
        }
        let decoder = Decoder::new(head.framing, Trailers::Drop);
        let expects_continue = head.expects_continue && head.version == Version::Http11;
        self.gather(Box::new(Gathering { current, decoder, expects_continue }))
    }

    fn gather(&mut self, mut gathering: Box<Gathering>) -> Came {
        let mut spans = Vec::new();
        let decoded = gathering.decoder.decode(&self.input, 0, &mut spans, &mut Vec::new());
        let body = &mut gathering.current.request.body;
        let consumed = match decoded {
            Ok(decoded) => decoded.consumed,
            Err(bad) => {
                let problem = Problem::new(Kind::BAD_REQUEST, bad.reason());
                return Came::Refused(Box::new(gathering.refused(problem)));
            }
        };
        for span in spans {
            body.extend_from_slice(span.of(&self.input));
        }
        self.input.drain(..consumed);
        if body.len() > ADMIN_BODY_BYTES_MAX {
            return Came::Refused(Box::new(gathering.refused(too_large())));
        }
        if gathering.decoder.is_finished() {
            return Came::Request(Box::new(gathering.current));
        }
        let expects = std::mem::take(&mut gathering.expects_continue);
        self.gathering = Some(gathering);
        if expects { Came::Expects } else { Came::Nothing }
    }
}

impl Gathering {
    fn refused(&self, problem: Problem) -> Refused {
        let Current { request, sending } = &self.current;
        Refused {
            problem,
            path: request.path.clone(),
            id: request.id.clone(),
            sending: Sending { keep_alive: false, ..*sending },
            audit: None,
        }
    }
}

/// Who asks; or why that is refused.
fn admit(
    entry: &Entry,
    rules: &Rules,
    bytes: &[u8],
    head: &RequestHead,
    fields: &Fields,
) -> Result<Who, Refusal> {
    let field = |name| fields.find(bytes, name).map(|it| it.of(bytes));
    let path = head.path_alone(bytes).of(bytes);
    let asked = access::Asked {
        door: entry.door(),
        method: head.method_name.of(bytes),
        path,
        host: head.host.map(|it| it.of(bytes)),
        origin: field("origin"),
        sec_fetch_site: field("sec-fetch-site"),
        sec_fetch_mode: field("sec-fetch-mode"),
        authorization: field("authorization"),
        content_type: field("content-type"),
        has_body: head.framing != Framing::None,
        upgrade: field("upgrade"),
    };
    match rules.admit(&asked) {
        // Whoever watches has no token.
        Err(it)
            if it.status == Kind::UNAUTHORIZED.status
                && asked.authorization.is_none()
                && is_open(path) =>
        {
            Ok(Who { name: "anonymous".to_owned(), role: Role::Read })
        }
        admitted => admitted,
    }
}

/// Paths that anybody may read who reaches the listener: those of health, for whoever watches.
fn is_open(path: &[u8]) -> bool {
    matches!(path, b"/health" | b"/ready" | b"/live") || path.starts_with(b"/problems/")
}

/// A line for the audit about a write of somebody unknown.
fn refused_write(
    refusal: &Refusal,
    entry: &Entry,
    bytes: &[u8],
    head: &RequestHead,
    path: &str,
    id: &str,
) -> Option<Audit> {
    let writes = !matches!(head.method, Method::Get | Method::Head);
    writes.then(|| Audit {
        who: "somebody unknown".to_owned(),
        from: entry.from.clone(),
        what: format!("{} {path}", String::from_utf8_lossy(head.method_name.of(bytes))),
        reason: None,
        status: refusal.status,
        result: refusal.detail.clone(),
        request_id: id.to_owned(),
    })
}

/// As it is answered.
fn problem_of(refusal: Refusal) -> Problem {
    let kind = match refusal.status {
        401 => Kind::UNAUTHORIZED,
        403 => Kind::FORBIDDEN,
        415 => Kind::MEDIA_TYPE,
        _ => Kind::BAD_REQUEST,
    };
    let problem = Problem::new(kind, refusal.detail);
    match kind.status {
        401 => problem.with("WWW-Authenticate", access::WWW_AUTHENTICATE),
        _ => problem,
    }
}

/// Of a request that could not be read.
fn unread(problem: Problem) -> Refused {
    Refused {
        problem,
        path: String::new(),
        id: String::new(),
        sending: request::LAST,
        audit: None,
    }
}

fn too_large() -> Problem {
    let detail = format!("a body may have {ADMIN_BODY_BYTES_MAX} bytes");
    Problem::new(Kind::TOO_LARGE, detail)
}
