//! What the heads of requests and responses have in common: when to look, how it ends, why not.
//!
//! A head is parsed when it is likely to be whole. Bytes that trickle in are not parsed again for
//! each of them: [`Scan`] remembers what was seen, and another look is worth it only once a line
//! has ended since. So sixteen thousand reads of one byte cost no more than a hundred looks.
//!
//! What is wrong is told in the order of the bytes, and what only shows in the whole (framing,
//! Host) after its last byte: the same bytes get the same verdict however they were cut.

use crate::limits::HTTP_HEAD_BYTES_MAX;

/// What became of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parse<T> {
    /// So far so good; the rest is not here.
    Incomplete,
    /// A whole head.
    Done(T),
    /// Nothing good can follow. The connection is of no more use.
    Bad(BadHead),
}

/// The version of a message. Others are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1, or one above it: what there is of it is to be understood as this (RFC 9110 section
    /// 2.5).
    Http11,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHead {
    /// The first line is not of the right form.
    StartLine,
    /// No HTTP/1.
    Version,
    /// CONNECT or TRACE.
    Method,
    /// A target that is neither a path, a URL of http or https, nor `*` for OPTIONS.
    Target,
    /// The first line alone is longer than a head may be.
    TargetTooLong,
    /// The head is longer than that.
    HeadTooLong,
    /// Too many fields.
    TooManyFields,
    /// A field name that is none, a space before its colon, a line that continues the one before.
    FieldName,
    /// A control character in a field value, or a line that does not end in CR LF.
    FieldValue,
    /// HTTP/1.1 without Host.
    HostMissing,
    /// More than one Host.
    HostTwice,
    /// Host is not a host with or without a port.
    Host,
    /// Host says something else than the URL asked for.
    HostOther,
    /// Content-Length is not one plain number.
    ContentLength,
    /// More than one Content-Length.
    ContentLengthTwice,
    /// Content-Length and Transfer-Encoding.
    TwoLengths,
    /// Transfer-Encoding that is not one `chunked`, or in HTTP/1.0.
    TransferEncoding,
    /// A transfer coding that we do not know.
    Coding,
    /// Connection is a very long list.
    Connection,
    /// A response that switches protocols though nobody asked.
    Upgrade,
}

impl BadHead {
    /// The status to answer a request with. For a response it is 502, whatever is wrong with it.
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

/// How much of a head was seen when it was last looked at. One for each message, zeroed between.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scan {
    seen: u32,
}

impl Scan {
    /// Whether these bytes can tell more than those seen before.
    fn tells_more(&mut self, bytes: &[u8]) -> bool {
        let seen = std::mem::replace(&mut self.seen, bytes.len() as u32) as usize;
        let new = bytes.get(seen..).unwrap_or(bytes);
        seen == 0 || bytes.len() >= HTTP_HEAD_BYTES_MAX || new.contains(&b'\n')
    }

    /// Look at the bytes with `parse`, if that is worth it. It gets no more than a head may have,
    /// and says `Ok(None)` when that is not enough.
    pub(super) fn look<T>(
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

/// `HTTP/1.1`, then `after`. As much as there is of it must fit; `None` if that is not all.
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
