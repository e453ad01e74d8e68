//! What the heads of requests and responses have in common: when to parse, the result, the errors.
//!
//! A head that comes in small pieces is not parsed again for each of them: [`Scan`] remembers how
//! much was here the last time, and parsing again is worth it only if a line has ended since. So
//! 16,000 reads of one byte cost no more than a hundred attempts.
//!
//! Errors are found in the order of the bytes, and those of the head as a whole (framing, Host)
//! after its last byte: so the same bytes give the same result, in whatever pieces they came.

use crate::limits::HTTP_HEAD_BYTES_MAX;

/// The result of parsing a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parse<T> {
    /// No error so far; the rest has not come yet.
    Incomplete,
    /// A whole head.
    Done(T),
    /// It is malformed. Where the next message begins is unknown, so the connection must end.
    Bad(BadHead),
}

/// The version of a message. Others are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1, or a higher minor version, which is treated the same (RFC 9110 section 2.5).
    Http11,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHead {
    /// The first line is not of the right form.
    StartLine,
    /// Another major version than HTTP/1.
    Version,
    /// CONNECT or TRACE.
    Method,
    /// A target that is neither a path, a URL of http or https, nor `*` for OPTIONS.
    Target,
    /// The first line alone is longer than a head may be.
    TargetTooLong,
    /// The head is longer than `HTTP_HEAD_BYTES_MAX`.
    HeadTooLong,
    /// Too many fields.
    TooManyFields,
    /// A malformed field name, a space before its colon, or a line that continues the one before.
    FieldName,
    /// A control character in a field value, or a line that does not end in CR LF.
    FieldValue,
    /// HTTP/1.1 without Host.
    HostMissing,
    /// More than one Host.
    HostTwice,
    /// Host is not a host with or without a port.
    Host,
    /// Host and the URL in the request line name different hosts.
    HostOther,
    /// Content-Length is not one plain number.
    ContentLength,
    /// More than one Content-Length.
    ContentLengthTwice,
    /// Both Content-Length and Transfer-Encoding.
    TwoLengths,
    /// A Transfer-Encoding that is not exactly one `chunked`, or any in HTTP/1.0.
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    Coding,
    /// Too many options in Connection.
    Connection,
    /// A 101 to a request that offered no upgrade.
    Upgrade,
}

impl BadHead {
    /// The status to answer a request with. A response that is refused is always a 502.
    pub fn status(self) -> u16 {
        match self {
            BadHead::Version => 505,
            BadHead::Method => 405,
            BadHead::TargetTooLong => 414,
            BadHead::HeadTooLong | BadHead::TooManyFields => 431,
            BadHead::Coding => 501,
            _ => 400,
        }
    }

    /// What is wrong, in a few words.
    pub fn reason(self) -> &'static str {
        match self {
            BadHead::StartLine => "malformed start line",
            BadHead::Version => "the HTTP version is not supported",
            BadHead::Method => "CONNECT and TRACE are not allowed here",
            BadHead::Target => "malformed request target",
            BadHead::TargetTooLong => "the request line is too long",
            BadHead::HeadTooLong => "the head is too long",
            BadHead::TooManyFields => "too many header fields",
            BadHead::FieldName => "malformed header field name",
            BadHead::FieldValue => "malformed header field value or line end",
            BadHead::HostMissing => "the Host field is missing",
            BadHead::HostTwice => "more than one Host field",
            BadHead::Host => "malformed Host field",
            BadHead::HostOther => "Host and the request target disagree",
            BadHead::ContentLength => "malformed Content-Length",
            BadHead::ContentLengthTwice => "more than one Content-Length field",
            BadHead::TwoLengths => "both Content-Length and Transfer-Encoding",
            BadHead::TransferEncoding => "malformed or misplaced Transfer-Encoding",
            BadHead::Coding => "unknown transfer coding",
            BadHead::Connection => "too many options in the Connection field",
            BadHead::Upgrade => "the protocol was switched unasked",
        }
    }
}

/// How much of a head was here when it was last parsed. One for each message, reset between them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scan {
    /// In bytes; 0 before the first attempt.
    seen: u32,
}

impl Scan {
    /// Whether parsing these bytes can give another result than the last time.
    fn tells_more(&mut self, bytes: &[u8]) -> bool {
        let seen = std::mem::replace(&mut self.seen, bytes.len() as u32) as usize;
        let new = bytes.get(seen..).unwrap_or(bytes);
        seen == 0 || bytes.len() >= HTTP_HEAD_BYTES_MAX || new.contains(&b'\n')
    }

    /// Call `parse`, if that is worth it. It gets no more bytes than a head may have, and returns
    /// `Ok(None)` if the head is not whole.
    pub(super) fn parse<T>(
        &mut self,
        bytes: &[u8],
        parse: impl FnOnce(&[u8]) -> Result<Option<T>, BadHead>,
    ) -> Parse<T> {
        if !self.tells_more(bytes) {
            return Parse::Incomplete;
        }
        let window = bytes.get(..HTTP_HEAD_BYTES_MAX).unwrap_or(bytes);
        match parse(window) {
            Ok(Some(head)) => {
                self.seen = 0;
                Parse::Done(head)
            }
            Ok(None) if window.len() < HTTP_HEAD_BYTES_MAX => Parse::Incomplete,
            Ok(None) if window.contains(&b'\n') => Parse::Bad(BadHead::HeadTooLong),
            Ok(None) => Parse::Bad(BadHead::TargetTooLong),
            Err(refusal) => Parse::Bad(refusal),
        }
    }
}

/// Parse `HTTP/1.1` and the bytes `after` it; `None` if they are right as far as they have come.
#[inline(always)]
pub(super) fn version<const AFTER: usize>(
    text: &[u8],
    after: &[u8; AFTER],
) -> Result<Option<Version>, BadHead> {
    if let Some((name, rest)) = text.split_first_chunk::<8>()
        && rest.starts_with(after)
    {
        match name {
            b"HTTP/1.1" => return Ok(Some(Version::Http11)),
            b"HTTP/1.0" => return Ok(Some(Version::Http10)),
            _ => {}
        }
    }
    other_version(text, after)
}

fn other_version(text: &[u8], after: &[u8]) -> Result<Option<Version>, BadHead> {
    const NAME: &[u8] = b"HTTP/#.#";
    let pattern = NAME.iter().chain(after);
    let fits = |(&byte, &wanted): (&u8, &u8)| match wanted {
        b'#' => byte.is_ascii_digit(),
        wanted => byte == wanted,
    };
    if !text.iter().zip(pattern).all(fits) {
        return Err(BadHead::StartLine);
    }
    match text.get(5) {
        _ if text.len() < NAME.len() + after.len() => Ok(None),
        Some(b'1') => Ok(Some(Version::Http11)),
        _ => Err(BadHead::Version),
    }
}
