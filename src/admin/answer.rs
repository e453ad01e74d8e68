//! What the API answers: a status, fields, and a body that is whole or written in pieces.
//!
//! ```text
//!   Answer --head--> HTTP/1.1 200 OK ... --body--> whole | pieces, as the client takes them
//! ```

use serde_json::Value;

use crate::http::Version;
use crate::http::reason::reason;
use crate::limits::ADMIN_PIECE_BYTES;

use super::view::View;

/// What a request is answered with.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Fields beside those of the body.
    pub fields: Vec<(&'static str, String)>,
    /// Its media type.
    pub content_type: &'static str,
    /// What follows the head.
    pub body: Body,
}

/// What follows a head.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// As the client takes it.
    Pieces(Box<dyn Pieces>),
}

/// A body that is written as the client takes it.
pub trait Pieces {
    /// Write some more, some KiB at most, of what is there now.
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More;

    /// Whether it shows what is taken each second for those who watch.
    fn watches(&self) -> bool {
        false
    }
}

/// Some steps of a body that is written row by row: so many, or fewer if their rows are long. A
/// step says whether there may be another.
pub fn some_steps(
    most: usize,
    out: &mut Vec<u8>,
    mut step: impl FnMut(&mut Vec<u8>) -> bool,
) -> More {
    let began = out.len();
    for _ in 0..most {
        if !step(out) {
            return More::Never;
        }
        if out.len() - began > ADMIN_PIECE_BYTES {
            break;
        }
    }
    More::Now
}

/// Whether a body goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// There is more now.
    Now,
    /// There may be more once something happened.
    Later,
    /// That was all.
    Never,
}

/// How an answer is sent.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    /// Of the request.
    pub version: Version,
    /// The connection is kept for another request.
    pub keep_alive: bool,
    /// The request was HEAD: everything but the body is sent.
    pub head_request: bool,
}

/// What documents are.
pub const JSON: &str = "application/json";

impl Answer {
    /// A document.
    pub fn json(status: u16, value: &Value) -> Answer {
        Answer::whole(status, JSON, line(value))
    }

    /// A text.
    pub fn text(status: u16, text: impl Into<String>) -> Answer {
        Answer::whole(status, "text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// A body of any type.
    pub fn whole(status: u16, content_type: &'static str, body: Vec<u8>) -> Answer {
        Answer { status, fields: Vec::new(), content_type, body: Body::Whole(body) }
    }

    /// One that is written in pieces.
    pub fn pieces(content_type: &'static str, pieces: Box<dyn Pieces>) -> Answer {
        Answer { status: 200, fields: Vec::new(), content_type, body: Body::Pieces(pieces) }
    }

    /// Nothing but the status.
    pub fn empty(status: u16) -> Answer {
        Answer::whole(status, JSON, Vec::new())
    }

    /// With a field more.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.fields.push((name, value.into()));
        self
    }

    /// Append the head. Says whether the body goes in chunks.
    pub fn head(&self, how: Sending, out: &mut Vec<u8>) -> bool {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let is_bare = matches!(self.status, 204 | 304);
        let chunked = match &self.body {
            _ if is_bare => false,
            Body::Whole(body) => {
                head += &format!("Content-Length: {}\r\n", body.len());
                false
            }
            Body::Pieces(_) => how.version == Version::Http11,
        };
        if !is_bare {
            head += &format!("Content-Type: {}\r\n", self.content_type);
        }
        if chunked {
            head += "Transfer-Encoding: chunked\r\n";
        }
        head += "X-Content-Type-Options: nosniff\r\n";
        // What holds now is of no use later; a file says for itself how long it holds.
        if !self.fields.iter().any(|(name, _)| *name == "Cache-Control") {
            head += "Cache-Control: no-store\r\n";
        }
        for (name, value) in &self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        match (how.keep_alive, how.version) {
            (false, _) => head += "Connection: close\r\n",
            (true, Version::Http10) => head += "Connection: keep-alive\r\n",
            (true, Version::Http11) => {}
        }
        head += "\r\n";
        out.extend_from_slice(head.as_bytes());
        chunked
    }
}

/// A value as a line.
pub fn line(value: &Value) -> Vec<u8> {
    // because: a tree of strings and numbers can always be written.
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text
}
