//! What is wrong with a request, as RFC 9457 has it.

use serde_json::{Map, Value, json};

use crate::limits::MISTAKES_TOLD;

use super::answer::{Answer, line};

const PROBLEM: &str = "application/problem+json";

/// What is wrong with a request, as RFC 9457 has it: `type` never changes, and `title` goes with
/// it.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: &'static Kind,
    detail: String,
    errors: Vec<Mistake>,
    fields: Vec<(&'static str, String)>,
}

/// One of several things that are wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where in the body, as RFC 6901 writes it.
    pub pointer: String,
    /// What was found, and what would be right.
    pub detail: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

/// What is wrong with a body: as many as anybody reads, and how many more.
#[derive(Debug, Default)]
pub struct Mistakes {
    told: Vec<Mistake>,
    more: usize,
}

impl Mistakes {
    /// One more; it is looked for what may have been meant only if it is told.
    pub fn push(&mut self, make: impl FnOnce() -> Mistake) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.told.push(make());
        }
    }

    /// Whether no more are told.
    pub fn is_full(&self) -> bool {
        self.told.len() >= MISTAKES_TOLD
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Those that are told, and how many are not.
    pub fn take(self) -> (Vec<Mistake>, usize) {
        (self.told, self.more)
    }
}

/// A kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The last part of its `type`.
    pub name: &'static str,
    /// The status that goes with it.
    pub status: u16,
    /// In a few words.
    pub title: &'static str,
    /// For people, on its own page.
    pub about: &'static str,
}

macro_rules! kinds {
    ($($const:ident $name:literal $status:literal $title:literal $about:literal;)*) => {
        impl Kind {
            $(
                #[doc = $about]
                pub const $const: &'static Kind =
                    &Kind { name: $name, status: $status, title: $title, about: $about };
            )*
            /// All of them.
            pub const ALL: &'static [&'static Kind] = &[$(Kind::$const),*];
        }
    };
}

kinds! {
    SYNTAX "syntax" 400 "the body is no JSON"
        "The body could not be read; the detail says the line and the column.";
    BAD_REQUEST "bad-request" 400 "bad request"
        "The request could not be understood.";
    UNAUTHORIZED "unauthorized" 401 "who is asking?"
        "A token is needed that is in the file of tokens: Authorization: Bearer TOKEN.";
    FORBIDDEN "forbidden" 403 "not allowed"
        "The role of the token does not suffice, or the request came by way of a \
         browser that was on another site.";
    NOT_FOUND "not-found" 404 "no such thing"
        "Nothing has this path or this name.";
    METHOD "method-not-allowed" 405 "method not allowed"
        "The field Allow has the methods that this path has.";
    TIMEOUT "timeout" 408 "the request took too long"
        "A request has to be here whole within ten seconds.";
    CONFLICT "conflict" 409 "that is not possible now"
        "What is there now does not allow it; the detail says why.";
    CHANGED "changed-meanwhile" 412 "it was changed meanwhile"
        "If-Match or if_generation names another state than the one that is there; read \
         it again.";
    TOO_LARGE "too-large" 413 "the body is too large"
        "A batch or a configuration may have 1 MiB, any other body 64 KiB.";
    MEDIA_TYPE "media-type" 415 "wrong type of body"
        "A write needs Content-Type: application/json.";
    UNKNOWN_MEMBER "unknown-member" 422 "unknown member"
        "A member of the body has a name that means nothing here.";
    INVALID "invalid" 422 "invalid value"
        "A value cannot be what it is.";
    PRECONDITION "precondition-required" 428 "If-Match is required"
        "This write replaces all: say which state was read.";
    TOO_MANY "too-many-requests" 429 "too many requests"
        "Too many requests with a wrong token; wait a moment.";
    INTERNAL "internal" 500 "something went wrong here"
        "The change could not be carried out; all stays as it was.";
    TOO_MANY_WATCH "too-many-watch" 503 "too many watch"
        "Each stream of /api/v1/live is work for each second, so that only so many may be open.";
    STOPPING "stopping" 503 "it is stopping"
        "The process takes no changes any more.";
}

impl Problem {
    /// One of a kind.
    pub fn new(kind: &'static Kind, detail: impl Into<String>) -> Problem {
        Problem { kind, detail: detail.into(), errors: Vec::new(), fields: Vec::new() }
    }

    /// Several mistakes in a body.
    pub fn mistakes(kind: &'static Kind, errors: Vec<Mistake>) -> Problem {
        let detail = errors.first().map(|first| first.detail.clone()).unwrap_or_default();
        Problem { kind, detail, errors, fields: Vec::new() }
    }

    /// What `control` says cannot be had, in lines.
    pub fn refused(lines: Vec<String>) -> Problem {
        let mistake = |detail| Mistake { pointer: String::new(), detail, hint: None };
        Problem::mistakes(Kind::INVALID, lines.into_iter().map(mistake).collect())
    }

    /// With a field more in the head of its answer.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Problem {
        self.fields.push((name, value.into()));
        self
    }

    /// About this place in the body.
    pub fn at(mut self, pointer: &str) -> Problem {
        let detail = self.detail.clone();
        self.errors.push(Mistake { pointer: pointer.to_owned(), detail, hint: None });
        self
    }

    /// What it is.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// In a line, for the audit log and for HAProxy's words.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// As it is answered.
    pub fn answer(self, instance: &str, request_id: &str) -> Answer {
        let Problem { kind, detail, errors, fields } = self;
        let mut body = Map::new();
        body.insert("type".into(), json!(format!("/problems/{}", kind.name)));
        body.insert("title".into(), json!(kind.title));
        body.insert("status".into(), json!(kind.status));
        body.insert("detail".into(), json!(detail));
        body.insert("instance".into(), json!(instance));
        if !errors.is_empty() {
            body.insert("errors".into(), errors.into_iter().map(Mistake::value).collect());
        }
        body.insert("request_id".into(), json!(request_id));
        let mut answer = Answer::whole(kind.status, PROBLEM, line(&Value::Object(body)));
        answer.fields = fields;
        answer
    }
}

impl Mistake {
    fn value(self) -> Value {
        let mut value = Map::new();
        value.insert("pointer".into(), json!(self.pointer));
        value.insert("detail".into(), json!(self.detail));
        if let Some(hint) = self.hint {
            value.insert("hint".into(), json!(hint));
        }
        Value::Object(value)
    }
}
