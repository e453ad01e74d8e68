//! All that may be added to a head, and its length in the worst case, computed at compile time.
//!
//! A head that leaves must fit into a buffer, with everything that is added. So no text is written
//! into a head that is not listed here, and what has no fixed text has its bound in a sum below.
//! [`rewrite`](super::rewrite) checks in debug builds that no head ever grew by more.

use std::num::NonZeroU32;

use super::request_id::RequestId;
use crate::config::{SameSite, ServiceSettings, Sticky};
use crate::limits::{
    BUFFER_BYTES, CLIENT_SUBJECT_BYTES_MAX, HTTP_ANSWER_READ_BYTES, HTTP_EDITS_BYTES_MAX,
    HTTP_FIELDS_MAX, HTTP_FORWARDED_HOST_BYTES_MAX, HTTP_FRAMING_ROOM, HTTP_HEAD_BYTES_MAX,
    HTTP_TRAILER_BYTES_MAX, REQUEST_ID_BYTES_MAX, TOKEN_BYTES_MAX,
};

/// What we add to every head, because the operator wants it. Functions that write a head borrow it
/// as a whole, so that one more thing to add needs no further argument.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added<'a> {
    /// Our name in Via, towards backends; `None` without `--via`.
    pub via: Option<&'static str>,
    /// The sticky cookie: set for clients, and not passed to backends.
    pub cookie: Option<&'a Cookie>,
    /// max-age of Strict-Transport-Security, in seconds; `None` if it is not sent.
    pub hsts: Option<u64>,
    /// The id of the request, towards both sides; `None` without `--request-id`.
    pub request_id: Option<&'a RequestId>,
    /// Retry-After of an answer of ours, in seconds; else what its status owes.
    pub retry_after: Option<NonZeroU32>,
    /// What an answer of ours says of a limit.
    pub limit: Option<LimitFields<'a>>,
}

/// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10), of a limit that is
/// used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitFields<'a> {
    /// What it is called.
    pub name: &'a str,
    /// So many are allowed.
    pub count: u32,
    /// In so many seconds.
    pub window: u32,
}

/// The cookie that leads a client back to its backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its SameSite attribute.
    pub same_site: SameSite,
}

/// The protocol between the client and us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proto {
    /// In the clear.
    Http,
    /// Through TLS.
    Https,
}

impl<'a> Added<'a> {
    /// Nothing.
    pub const NONE: Added<'static> = Added {
        via: None,
        cookie: None,
        hsts: None,
        request_id: None,
        retry_after: None,
        limit: None,
    };

    /// What these settings ask for, for clients that speak `proto`; the id of a request is not
    /// theirs to say.
    pub fn of(
        service: &ServiceSettings,
        cookie: Option<&'a Cookie>,
        proto: Proto,
    ) -> Added<'a> {
        // Never without TLS (RFC 6797, section 7.2): browsers ignore it there.
        let hsts = service.hsts.filter(|_| proto == Proto::Https);
        Added { via: service.via.then_some(VIA_NAME), cookie, hsts, ..Added::NONE }
    }

    /// The name of the sticky cookie, if there is one.
    pub fn cookie_name(&self) -> Option<&'a str> {
        self.cookie.map(|cookie| &*cookie.name)
    }
}

impl Cookie {
    /// The one that these settings ask for, if they do.
    pub fn of(sticky: &Sticky) -> Option<Cookie> {
        let name = sticky.cookie.clone()?;
        Some(Cookie { name, same_site: sticky.same_site })
    }

    /// The value of Set-Cookie for a client that speaks `proto` with us or with a proxy before us.
    pub fn set(&self, token: &str, proto: Proto) -> String {
        let Cookie { name, same_site } = self;
        // Browsers refuse SameSite=None without it.
        let must_be_secure = proto == Proto::Https || *same_site == SameSite::None;
        let secure = if must_be_secure { "; Secure" } else { "" };
        let attributes = same_site.attribute();
        format!("{name}={token}; Path=/; HttpOnly{secure}{attributes}")
    }
}

/// Constants for these texts, and one for their length in total.
macro_rules! texts {
    ($all:ident: $($name:ident = $text:literal;)+) => {
        $(pub(super) const $name: &[u8] = $text;)+
        const $all: usize = 0 $(+ $text.len())+;
    };
}

texts! { REQUEST_TEXTS:
    SPACE = b" ";
    SLASH = b"/";
    HOST_AFTER_LINE = b" HTTP/1.1\r\nHost: ";
    FORWARDED_FOR = b"X-Forwarded-For: ";
    FORWARDED_PROTO_HTTP = b"\r\nX-Forwarded-Proto: http";
    FORWARDED_PROTO_HTTPS = b"\r\nX-Forwarded-Proto: https";
    FORWARDED_HOST = b"\r\nX-Forwarded-Host: ";
    FORWARDED_PORT = b"\r\nX-Forwarded-Port: ";
    FORWARDED = b"Forwarded: ";
    UNKNOWN_CLIENT = b"unknown";
    FORWARDED_NODE = b"for=";
    FORWARDED_NODE_IPV6 = b"for=\"[";
    FORWARDED_NODE_IPV6_END = b"]\"";
    FORWARDED_BY_HTTP = b";proto=http";
    FORWARDED_BY_HTTPS = b";proto=https";
    FORWARDED_TO = b";host=";
    FORWARDED_QUOTES = b"\"\"";
    REAL_IP = b"X-Real-IP: ";
    CLIENT_SUBJECT = b"X-SSL-Client-S-DN: ";
    VIA_10 = b"Via: 1.0 ";
    VIA_11 = b"Via: 1.1 ";
    TRAILERS_WANTED = b"Connection: TE\r\nTE: trailers\r\n";
    CONTINUE_EXPECTED = b"Expect: 100-continue\r\n";
}

texts! { RESPONSE_TEXTS:
    VERSION = b"HTTP/1.1 ";
    NO_WORDS = b" \r\n";
    STRICT_TRANSPORT = b"Strict-Transport-Security: max-age=";
    // A shared cache must not hand one client's cookie to another.
    SET_COOKIE = b"Cache-Control: private\r\nSet-Cookie: ";
    CLOSE = b"Connection: close\r\n";
    KEEP_ALIVE = b"Connection: keep-alive\r\n";
}

texts! { COMMON_TEXTS:
    LINE_END = b"\r\n";
    CHUNKED = b"Transfer-Encoding: chunked\r\n";
    CONTENT_LENGTH = b"Content-Length: ";
    REQUEST_ID = b"X-Request-Id: ";
    UPGRADE = b"Connection: Upgrade\r\nUpgrade: ";
}

/// Our name in Via.
pub const VIA_NAME: &str = "pointsman";

/// Most bytes of Set-Cookie behind the cookie's name.
pub const COOKIE_REST_BYTES_MAX: usize = 128;

/// Line ends behind what has no fixed text, of at most 16 fields.
const LINE_ENDS: usize = 16 * LINE_END.len();

/// A decimal number of 64 bits.
const NUMBER: usize = 20;

/// An address, perhaps with a scope and a port: `[ffff:...:ffff%4294967295]:65535`.
const ADDRESS: usize = 64;

/// A chunk around what came with the head, and an end of the body with all of its trailers.
const CHUNK: usize = 16 + b"\r\n\r\n0\r\n\r\n".len() + HTTP_TRAILER_BYTES_MAX as usize;

/// Most bytes that a request's head grows by. HTTP_HEAD_BYTES_MAX is for the host, which is written
/// twice, and for a space behind each semicolon of the cookies: both are parts of the head that
/// came. HTTP_FIELDS_MAX is for a space behind each field's name, which the client may have left
/// out.
pub(super) const REQUEST_BYTES_MAX: usize = REQUEST_TEXTS
    + COMMON_TEXTS
    + LINE_ENDS
    + HTTP_HEAD_BYTES_MAX
    + HTTP_FIELDS_MAX
    + 4 * ADDRESS
    + HTTP_FORWARDED_HOST_BYTES_MAX
    + CLIENT_SUBJECT_BYTES_MAX
    + REQUEST_ID_BYTES_MAX
    + VIA_NAME.len()
    + HTTP_EDITS_BYTES_MAX
    + 2 * NUMBER;

/// Most bytes that a response's head grows by. In a 426, each Upgrade gets a Connection of its own.
pub(super) const RESPONSE_BYTES_MAX: usize = RESPONSE_TEXTS
    + COMMON_TEXTS
    + LINE_ENDS
    + TOKEN_BYTES_MAX
    + COOKIE_REST_BYTES_MAX
    + REQUEST_ID_BYTES_MAX
    + HTTP_EDITS_BYTES_MAX
    + HTTP_FIELDS_MAX * b"Connection: Upgrade\r\n ".len()
    + 2 * NUMBER;

const _: () = assert!(REQUEST_BYTES_MAX + CHUNK <= HTTP_FRAMING_ROOM);
const _: () = assert!(RESPONSE_BYTES_MAX + CHUNK <= HTTP_FRAMING_ROOM);
// The rest of the buffer must hold the longest head, and the read that ends it.
const _: () = assert!(
    BUFFER_BYTES >= HTTP_FRAMING_ROOM + HTTP_HEAD_BYTES_MAX + HTTP_ANSWER_READ_BYTES,
    "a head and what is added to it fit into a buffer"
);
