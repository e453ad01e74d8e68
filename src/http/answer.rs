//! Answers that we make ourselves, without a backend: short, plain text, with the reason.
//!
//! ```text
//!   HTTP/1.1 502 Bad Gateway
//!   Content-Type: text/plain
//!   Content-Length: 39
//!   Cache-Control: no-store
//!   Connection: close
//!
//!   502 Bad Gateway: the backend broke off
//! ```

use super::added::Added;
use super::head::Version;
use super::request::Method;
use crate::limits::HTTP_RETRY_AFTER_SECONDS;

/// How an answer is sent.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// The version of the request; HTTP/1.1 if that could not be parsed.
    pub version: Version,
    /// The connection is kept open.
    pub keep_alive: bool,
    /// The request was HEAD: everything but the body is sent.
    pub head_request: bool,
}

impl How {
    /// For a request that could not be parsed.
    pub const LAST: How =
        How { version: Version::Http11, keep_alive: false, head_request: false };
}

/// Append an answer whose body is the status and `why`.
pub fn answer(status: u16, why: &str, how: How, added: &Added, out: &mut Vec<u8>) {
    let reason = reason(status);
    let separator = if why.is_empty() { "" } else { ": " };
    let mut digits = [0; 3];
    digits.copy_from_slice(&status_digits(status));
    let body =
        [&digits[..], b" ", reason.as_bytes(), separator.as_bytes(), why.as_bytes(), b"\n"];
    parts(status, ALLOW, "text/plain", &body, how, added, out);
}

/// The status of a permanent redirect. At 301 clients may turn any method into GET; 308 has all but
/// GET and HEAD repeated as they were (RFC 9110, section 15.4).
pub fn redirect_status(method: Method) -> u16 {
    match method {
        Method::Get | Method::Head => 301,
        _ => 308,
    }
}

/// Append a redirect with the status of [`redirect_status`] to the URL `to`.
pub fn redirect(status: u16, to: &[u8], how: How, added: &Added, out: &mut Vec<u8>) {
    let extra = [b"Location: ", to, b"\r\n"].concat();
    parts(status, &extra, "text/plain", &[b"over there: ", to, b"\n"], how, added, out);
}

/// Append an answer with this body: `OK` of the health page, the numbers of the stats page.
pub fn page(
    status: u16,
    content_type: &str,
    body: &[u8],
    how: How,
    added: &Added,
    out: &mut Vec<u8>,
) {
    parts(status, ALLOW, content_type, &[body], how, added, out);
}

/// Append the head of such an answer, without Content-Length if that is not known.
pub fn page_head(
    content_type: &str,
    length: Option<usize>,
    how: How,
    added: &Added,
    out: &mut Vec<u8>,
) {
    head(200, ALLOW, content_type, length, how, added, out);
}

/// Append the answer to a request that only GET and HEAD may make.
pub fn not_allowed(how: How, added: &Added, out: &mut Vec<u8>) {
    let body = b"405 Method Not Allowed: GET and HEAD alone\n";
    parts(405, ALLOW_READING, "text/plain", &[body], how, added, out);
}

fn parts(
    status: u16,
    extra: &[u8],
    content_type: &str,
    body: &[&[u8]],
    how: How,
    added: &Added,
    out: &mut Vec<u8>,
) {
    let length = body.iter().map(|part| part.len()).sum();
    head(status, extra, content_type, Some(length), how, added, out);
    if !how.head_request {
        for part in body {
            out.extend_from_slice(part);
        }
    }
}

fn head(
    status: u16,
    extra: &[u8],
    content_type: &str,
    length: Option<usize>,
    how: How,
    added: &Added,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&status_digits(status));
    for text in [" ", reason(status), "\r\nContent-Type: ", content_type] {
        out.extend_from_slice(text.as_bytes());
    }
    if let Some(length) = length {
        out.extend_from_slice(b"\r\nContent-Length: ");
        number(length, out);
    }
    out.extend_from_slice(b"\r\nCache-Control: no-store\r\n");
    if let Some(seconds) = added.hsts {
        out.extend_from_slice(b"Strict-Transport-Security: max-age=");
        number(seconds as usize, out);
        out.extend_from_slice(b"\r\n");
    }
    match status {
        301 | 308 | 405 => out.extend_from_slice(extra),
        429 | 503 => {
            out.extend_from_slice(b"Retry-After: ");
            number(HTTP_RETRY_AFTER_SECONDS as usize, out);
            out.extend_from_slice(b"\r\n");
        }
        _ => {}
    }
    match (how.keep_alive, how.version) {
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
    out.extend_from_slice(b"\r\n");
}

const ALLOW: &[u8] = b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
const ALLOW_READING: &[u8] = b"Allow: GET, HEAD\r\n";

/// The reason phrases of the statuses that we send.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

fn status_digits(status: u16) -> [u8; 3] {
    let digit = |value: u16| b'0' + (value % 10) as u8;
    [digit(status / 100), digit(status / 10), digit(status)]
}

fn number(number: usize, out: &mut Vec<u8>) {
    let leading = number / 10;
    if leading > 0 {
        self::number(leading, out);
    }
    out.push(b'0' + (number % 10) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_says_what_happened() {
        let how = How { keep_alive: true, ..How::LAST };
        assert_eq!(
            text(|out| answer(
                502,
                "the backend refused the connection",
                how,
                &Added::NONE,
                out
            )),
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 52\r\n\
             Cache-Control: no-store\r\n\r\n502 Bad Gateway: the backend refused the connection\n"
        );
    }

    #[test]
    fn statuses_that_owe_a_field_have_it() {
        let of = |status| text(|out| answer(status, "", How::LAST, &Added::NONE, out));
        assert!(of(503).contains("\r\nRetry-After: 2\r\n"));
        assert!(of(429).contains("\r\nRetry-After: 2\r\n"));
        assert!(of(405).contains("\r\nAllow: GET, HEAD, "));
        let own = text(|out| not_allowed(How::LAST, &Added::NONE, out));
        assert!(own.contains("\r\nAllow: GET, HEAD\r\n"), "{own}");
        assert!(of(400).contains("\r\nConnection: close\r\n\r\n400 Bad Request\n"));
    }

    #[test]
    fn head_and_the_old_version_are_heeded() {
        let how = How { version: Version::Http10, keep_alive: true, head_request: true };
        let added = Added { hsts: Some(3600), ..Added::NONE };
        assert_eq!(
            text(|out| page(200, "text/plain", b"OK", how, &added, out)),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\
             Cache-Control: no-store\r\nStrict-Transport-Security: max-age=3600\r\n\
             Connection: keep-alive\r\n\r\n"
        );
    }
}
