//! Answers that we make ourselves, without a backend: short, plain text, with the reason;
//! redirects; and what the operator has us answer.
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

use std::num::NonZeroU32;

use super::added::{Added, LimitFields, REQUEST_ID};
use super::head::Version;
use super::reason::reason;
use super::request::Method;
use super::request_id::RequestId;
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

/// Append an answer whose body is the status and `why`, and the id of the request if it has one.
pub fn answer(status: u16, why: &str, how: How, added: &Added, out: &mut Vec<u8>) {
    let reason = reason(status);
    let separator = if why.is_empty() { "" } else { ": " };
    let mut digits = [0; 3];
    digits.copy_from_slice(&status_digits(status));
    let id = added.request_id.map_or(&[][..], RequestId::as_bytes);
    let lead: &[u8] = if id.is_empty() { b"" } else { b"\nrequest id " };
    let said = [reason, separator, why].map(str::as_bytes);
    let body = [&digits[..], b" ", said[0], said[1], said[2], lead, id, b"\n"];
    parts(status, owed(status), "text/plain", &body, how, added, out);
}

/// The status of a permanent redirect. At 301 clients may turn any method into GET; 308 has all but
/// GET and HEAD repeated as they were (RFC 9110, section 15.4).
pub fn redirect_status(method: Method) -> u16 {
    match method {
        Method::Get | Method::Head => 301,
        _ => 308,
    }
}

/// Append a redirect, of status 301, 302, 303, 307 or 308, to the URL `to`, which holds nothing
/// that a URL may not hold (see [`location`](super::expand::location)).
pub fn redirect(status: u16, to: &[u8], how: How, added: &Added, out: &mut Vec<u8>) {
    let extra = [b"Location: ", to, b"\r\n"].concat();
    parts(status, &extra, "text/plain", &[b"over there: ", to, b"\n"], how, added, out);
}

/// Append the head of an answer with the operator's body, which is sent from where it lies. Behind
/// it, a body may be sent only if [`has_body`] says so.
pub fn respond_head(
    status: u16,
    content_type: &str,
    length: usize,
    how: How,
    added: &Added,
    out: &mut Vec<u8>,
) {
    head(status, owed(status), content_type, Some(length), how, added, out);
}

/// Whether a body follows the head of an answer of ours.
pub fn has_body(status: u16, how: How) -> bool {
    !how.head_request && !matches!(status, 204 | 205 | 304)
}

/// The type of a file by its ending. Text is taken for UTF-8, as nearly all is.
pub fn content_type(file: &str) -> &'static str {
    let name = file.rsplit('/').next().unwrap_or(file);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match &*ending.to_ascii_lowercase() {
        "html" | "htm" => "text/html; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
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
    parts(status, owed(status), content_type, &[body], how, added, out);
}

/// Append the head of such an answer, without Content-Length if that is not known.
pub fn page_head(
    content_type: &str,
    length: Option<usize>,
    how: How,
    added: &Added,
    out: &mut Vec<u8>,
) {
    head(200, b"", content_type, length, how, added, out);
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
    if has_body(status, how) {
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
    for text in [" ", reason(status)] {
        out.extend_from_slice(text.as_bytes());
    }
    // These two have no body by their status alone, and 204 must not state a length.
    let is_bare = matches!(status, 204 | 304);
    if !is_bare {
        for text in ["\r\nContent-Type: ", content_type] {
            out.extend_from_slice(text.as_bytes());
        }
    }
    if let Some(length) = length.filter(|_| !is_bare) {
        out.extend_from_slice(b"\r\nContent-Length: ");
        // A 205 has an empty one.
        number(if status == 205 { 0 } else { length }, out);
    }
    out.extend_from_slice(b"\r\nCache-Control: no-store\r\n");
    if let Some(seconds) = added.hsts {
        out.extend_from_slice(b"Strict-Transport-Security: max-age=");
        number(seconds as usize, out);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(id) = added.request_id {
        for text in [REQUEST_ID, id.as_bytes(), b"\r\n"] {
            out.extend_from_slice(text);
        }
    }
    out.extend_from_slice(extra);
    if matches!(status, 429 | 503) {
        out.extend_from_slice(b"Retry-After: ");
        let seconds = added.retry_after.map_or(HTTP_RETRY_AFTER_SECONDS, NonZeroU32::get);
        number(seconds as usize, out);
        out.extend_from_slice(b"\r\n");
        if let Some(LimitFields { name, count, window }) = added.limit {
            let policy = format!("RateLimit-Policy: \"{name}\";q={count};w={window}\r\n");
            let state = format!("RateLimit: \"{name}\";r=0;t={seconds}\r\n");
            out.extend_from_slice(policy.as_bytes());
            out.extend_from_slice(state.as_bytes());
        }
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

/// What a status owes beside the reason why.
fn owed(status: u16) -> &'static [u8] {
    if status == 405 { ALLOW } else { b"" }
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
        let limit = Some(LimitFields { name: "api", count: 100, window: 60 });
        let added = Added { retry_after: NonZeroU32::new(7), limit, ..Added::NONE };
        let limited = text(|out| answer(429, "", How::LAST, &added, out));
        assert!(limited.contains(
            "\r\nRetry-After: 7\r\nRateLimit-Policy: \"api\";q=100;w=60\r\n\
             RateLimit: \"api\";r=0;t=7\r\n"
        ));
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

    #[test]
    fn redirects_lead_there_whatever_their_status() {
        for status in [301, 302, 303, 307, 308] {
            let of = |how| text(|out| redirect(status, b"https://a/b", how, &Added::NONE, out));
            let reason = reason(status);
            let head = format!(
                "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\n\
                 Content-Length: 24\r\nCache-Control: no-store\r\nLocation: https://a/b\r\n"
            );
            let keep_alive = How { keep_alive: true, ..How::LAST };
            assert_eq!(of(keep_alive), format!("{head}\r\nover there: https://a/b\n"));
            let head_request = How { head_request: true, ..keep_alive };
            assert_eq!(of(head_request), format!("{head}\r\n"));
            let last = format!("{head}Connection: close\r\n\r\nover there: https://a/b\n");
            assert_eq!(of(How::LAST), last);
        }
    }

    #[test]
    fn the_operator_may_answer_with_anything() {
        let of = |status, how| {
            text(|out| page(status, "text/html", b"<p>\r\n", how, &Added::NONE, out))
        };
        let keep_alive = How { keep_alive: true, ..How::LAST };
        let head_request = How { head_request: true, ..keep_alive };
        let old = How { version: Version::Http10, ..keep_alive };
        const FIXED: &str =
            "Content-Type: text/html\r\nContent-Length: 5\r\nCache-Control: no-store\r\n";
        for (status, how, head, tail) in [
            (200, keep_alive, "200 OK", "\r\n<p>\r\n"),
            (200, head_request, "200 OK", "\r\n"),
            (404, How::LAST, "404 Not Found", "Connection: close\r\n\r\n<p>\r\n"),
            (
                451,
                old,
                "451 Unavailable For Legal Reasons",
                "Connection: keep-alive\r\n\r\n<p>\r\n",
            ),
            (503, keep_alive, "503 Service Unavailable", "Retry-After: 2\r\n\r\n<p>\r\n"),
        ] {
            assert_eq!(of(status, how), format!("HTTP/1.1 {head}\r\n{FIXED}{tail}"));
            let body = if has_body(status, how) { "<p>\r\n" } else { "" };
            let whole = text(|out| {
                respond_head(status, "text/html", 5, how, &Added::NONE, out);
                out.extend_from_slice(body.as_bytes());
            });
            assert_eq!(of(status, how), whole);
        }
    }

    #[test]
    fn statuses_without_a_body_have_none() {
        for (status, rest) in [
            (204, "No Content\r\nCache-Control: no-store\r\n\r\n"),
            (304, "Not Modified\r\nCache-Control: no-store\r\n\r\n"),
            (
                205,
                "Reset Content\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\
                 Cache-Control: no-store\r\n\r\n",
            ),
        ] {
            let how = How { keep_alive: true, ..How::LAST };
            let wanted = format!("HTTP/1.1 {status} {rest}");
            assert_eq!(
                text(|out| page(status, "text/plain", b"x", how, &Added::NONE, out)),
                wanted
            );
            assert_eq!(
                text(|out| respond_head(status, "text/plain", 1, how, &Added::NONE, out)),
                wanted
            );
            assert!(!has_body(status, how));
        }
    }

    #[test]
    fn files_have_types_by_their_endings() {
        for (file, wanted) in [
            ("/a/b.html", "text/html; charset=utf-8"),
            ("b.HTM", "text/html; charset=utf-8"),
            ("b.tar.txt", "text/plain; charset=utf-8"),
            ("b.css", "text/css; charset=utf-8"),
            ("b.json", "application/json"),
            ("b.svg", "image/svg+xml"),
            ("b.js", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("/a.html/b", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(content_type(file), wanted, "{file}");
        }
    }
}
