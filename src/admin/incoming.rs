//! What comes in of an admin connection: a head, who it is from, a body, whole.
//!
//! ```text
//!   bytes --> head --admitted--> body --> Request
//!               \--refused------/  \----> Refused
//! ```
//!
//! Pure: the connection reads, and answers.

use std::time::SystemTime;

use crate::config::{Role, Tokens};
use crate::http::fields::Fields;
use crate::http::{
    BadHead, Decoder, Framing, Method, Parse, RequestHead, Scan, Trailers, Version,
    parse_request,
};
use crate::limits::HTTP_HEAD_BYTES_MAX;

use super::access::{self, Refusal, Rules, Signed, Who};
use super::answer::Sending;
use super::assets;
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
    /// It is known who asks once the body is here, which was signed with the rest.
    signed: Option<OwnSigned>,
}

/// What a signature says.
#[derive(Debug)]
struct OwnSigned {
    key: String,
    time: u64,
    signature: Vec<u8>,
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
            Some(gathering) => self.gather(gathering, entry, rules),
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
        let signed = signed(&bytes, head, fields);
        let admitted = match &signed {
            Some(Err(refusal)) => Err(refusal.clone()),
            // A page can sign nothing, but it is asked all the same who sent it.
            Some(Ok(_)) => admit(entry, &rules.without_tokens(), &bytes, head, fields, None),
            None => {
                let given = fields.find(&bytes, AUTHORIZATION).map(|it| it.of(&bytes));
                admit(entry, rules, &bytes, head, fields, given)
            }
        };
        let who = match admitted {
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
        let most = current.request.body_bytes_max();
        if matches!(head.framing, Framing::Length(it) if it > most as u64) {
            return refuse(too_large(most), None);
        }
        let decoder = Decoder::new(head.framing, Trailers::Drop);
        let expects_continue = head.expects_continue && head.version == Version::Http11;
        let signed = signed.and_then(Result::ok);
        let gathering = Gathering { current, decoder, expects_continue, signed };
        self.gather(Box::new(gathering), entry, rules)
    }

    fn gather(&mut self, mut gathering: Box<Gathering>, entry: &Entry, rules: &Rules) -> Came {
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
        let length = body.len();
        let most = gathering.current.request.body_bytes_max();
        if length > most {
            return Came::Refused(Box::new(gathering.refused(too_large(most))));
        }
        if gathering.decoder.is_finished() {
            return gathering.finish(entry, rules);
        }
        let expects = std::mem::take(&mut gathering.expects_continue);
        self.gathering = Some(gathering);
        if expects { Came::Expects } else { Came::Nothing }
    }
}

impl Gathering {
    /// The body is here, too.
    fn finish(mut self: Box<Self>, entry: &Entry, rules: &Rules) -> Came {
        let Some(signed) = self.signed.take() else {
            return Came::Request(Box::new(self.current));
        };
        let request = &mut self.current.request;
        let said = Signed { key: &signed.key, time: signed.time, signature: signed.signature };
        let tokens = rules.tokens.as_ref().unwrap_or(&NO_TOKENS);
        let method = request.method_name.as_bytes();
        let path = request.path.as_bytes();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        match access::check_signed(&said, tokens, method, path, &request.body, now) {
            Ok(who) => {
                request.who = who;
                request.is_signed = true;
                Came::Request(Box::new(self.current))
            }
            Err(refusal) => {
                let audit = Audit {
                    who: "somebody unknown".to_owned(),
                    from: entry.from.clone(),
                    what: format!("{} {}", request.method_name, request.path),
                    reason: None,
                    status: refusal.status,
                    result: refusal.detail.clone(),
                    request_id: request.id.clone(),
                };
                let refused = self.refused(problem_of(refusal));
                Came::Refused(Box::new(Refused { audit: Some(audit), ..refused }))
            }
        }
    }

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
    authorization: Option<&[u8]>,
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
        authorization,
        content_type: field("content-type"),
        has_body: !matches!(head.framing, Framing::None | Framing::Length(0)),
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

const AUTHORIZATION: &str = "authorization";
static NO_TOKENS: Tokens = Tokens::NONE;

/// The signature of a registration, if it has one.
fn signed(
    bytes: &[u8],
    head: &RequestHead,
    fields: &Fields,
) -> Option<Result<OwnSigned, Refusal>> {
    if !head.path_alone(bytes).of(bytes).starts_with(b"/api/v1/registrations/") {
        return None;
    }
    let given = fields.find(bytes, AUTHORIZATION)?.of(bytes);
    let owned = |it: Signed<'_>| OwnSigned {
        key: it.key.to_owned(),
        time: it.time,
        signature: it.signature,
    };
    access::parse_signed(given).map(|it| it.map(owned))
}

/// Paths that anybody may read who reaches the listener: those of health, for whoever watches, and
/// the page that asks for a token.
fn is_open(path: &[u8]) -> bool {
    let text = std::str::from_utf8(path).unwrap_or_default();
    matches!(path, b"/health" | b"/ready" | b"/live")
        || path.starts_with(b"/problems/")
        || assets::find(text).is_some()
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
    // Where nothing can be written strangers could fill the log.
    let writes = !matches!(head.method, Method::Get | Method::Head) && !entry.is_scraper();
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
        404 => Kind::NOT_FOUND,
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

fn too_large(most: usize) -> Problem {
    let detail = format!("a body may have {most} bytes here");
    Problem::new(Kind::TOO_LARGE, detail)
}
