//! The head of a response: its status, and how long its body is.

use super::Span;
use super::body::Framing;
use super::fields::{FieldKind, Fields, Repeats};
use super::head::{BadHead, Parse, Scan, Version, version};
use super::scan;

/// The head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The status and the reason phrase, which may be empty, as they were sent.
    pub status_text: Span,
    /// The version the backend speaks.
    pub version: Version,
    /// Bytes of the head, the empty line included.
    pub length: usize,
    /// How the body is delimited.
    pub framing: Framing,
    /// What Content-Length says, even of a body that is not sent (HEAD, 304).
    pub declared_length: Option<u64>,
    /// Whether Transfer-Encoding says chunked, even of a body that is not sent.
    pub declared_chunked: bool,
    /// The backend's connection can be used for another request once the body is read.
    pub keep_alive: bool,
    /// `timeout` of the Keep-Alive field, in seconds, if there is one.
    pub keep_alive_seconds: Option<u32>,
    /// The protocol that a 101 switches to.
    pub upgrade: Option<Span>,
}

/// What of the request decides how the response is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// The request was HEAD.
    pub head_request: bool,
    /// The request offered to switch protocols.
    pub upgrade: bool,
}

impl ResponseHead {
    /// Whether another response follows: 100 Continue, 103 Early Hints.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

/// Parse the head at the beginning of `bytes`. For the client, any error in it is a 502.
#[inline(always)]
pub fn parse_response(
    bytes: &[u8],
    scan: &mut Scan,
    fields: &mut Fields,
    asked: &Asked,
) -> Parse<ResponseHead> {
    fields.clear();
    scan.parse(bytes, |window| {
        let Some((line, at)) = start_line(window)? else { return Ok(None) };
        let Some(length) = fields.parse(window, at)? else { return Ok(None) };
        understand(window, &line, length, fields, asked).map(Some)
    })
}

struct StatusLine {
    version: Version,
    status: u16,
    status_text: Span,
}

/// Parse `HTTP/1.1 200 OK`. Returns it and the index where the fields begin; `None` if it is not
/// whole. Without a reason phrase the space before it may be missing, as many servers leave it out;
/// the line is written anew.
fn start_line(bytes: &[u8]) -> Result<Option<(StatusLine, usize)>, BadHead> {
    let Some(version) = version(bytes, b" ")? else { return Ok(None) };
    const CODE: usize = b"HTTP/1.1 ".len();
    let mut status = 0;
    for at in CODE..CODE + 3 {
        match bytes.get(at) {
            Some(digit) if digit.is_ascii_digit() => {
                status = status * 10 + u16::from(digit - b'0');
            }
            Some(_) => return Err(BadHead::StartLine),
            None => return Ok(None),
        }
    }
    match bytes.get(CODE + 3) {
        _ if status < 100 => return Err(BadHead::StartLine),
        Some(b' ' | b'\r') => {}
        Some(_) => return Err(BadHead::StartLine),
        None => return Ok(None),
    }
    let end = CODE + 3 + scan::value_end(&bytes[CODE + 3..]);
    match (bytes.get(end), bytes.get(end + 1)) {
        (None, _) | (Some(b'\r'), None) => Ok(None),
        (Some(b'\r'), Some(b'\n')) => {
            let status_text = Span::new(CODE, end);
            Ok(Some((StatusLine { version, status, status_text }, end + 2)))
        }
        _ => Err(BadHead::StartLine),
    }
}

/// Interpret the fields together.
fn understand(
    bytes: &[u8],
    line: &StatusLine,
    length: usize,
    fields: &mut Fields,
    asked: &Asked,
) -> Result<ResponseHead, BadHead> {
    let &StatusLine { version, status, status_text } = line;
    let declared_length = fields.content_length(bytes, Repeats::Equal)?;
    let declared_chunked =
        fields.has(FieldKind::TransferEncoding) && fields.is_chunked(bytes)?;
    if declared_chunked && declared_length.is_some() {
        return Err(BadHead::TwoLengths);
    }
    if declared_chunked && version == Version::Http10 {
        return Err(BadHead::TransferEncoding);
    }
    let options = fields.options(bytes)?;
    let upgrade = match status {
        101 if asked.upgrade && options.upgrade => fields.upgrade(bytes),
        _ => None,
    };
    if status == 101 && upgrade.is_none() {
        return Err(BadHead::Upgrade);
    }
    // The order of RFC 9112 section 6.3.
    let framing = match (status, declared_chunked, declared_length) {
        (100..=199 | 204 | 304, _, _) => Framing::None,
        _ if asked.head_request => Framing::None,
        (_, true, _) => Framing::Chunked,
        (_, false, Some(length)) => Framing::Length(length),
        (_, false, None) => Framing::UntilClose,
    };
    let lives = !options.close && (version == Version::Http11 || options.keep_alive);
    let keep_alive_seconds = fields
        .of_kind(FieldKind::KeepAlive)
        .flat_map(|field| scan::list(field.value.of(bytes)))
        .find_map(|part| scan::number(part.strip_prefix(b"timeout=")?))
        .map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
    Ok(ResponseHead {
        status,
        status_text,
        version,
        length,
        framing,
        declared_length,
        declared_chunked,
        keep_alive: lives && framing != Framing::UntilClose,
        keep_alive_seconds,
        upgrade,
    })
}
