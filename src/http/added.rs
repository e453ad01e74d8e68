//! All that may be added to a head, and how long it is: the worst case, counted by the compiler.
//!
//! What came in is bounded, and so is each thing that we say; a head that leaves must fit into a
//! buffer with them all. So no text is written into a head that is not listed here, and what has
//! no fixed text has its bound in a sum below. [`rewrite`](super::rewrite) checks in debug builds
//! that no head ever grew by more.

use crate::limits::{
    BUFFER_BYTES, CLIENT_SUBJECT_BYTES_MAX, HTTP_ANSWER_READ_BYTES, HTTP_FIELDS_MAX,
    HTTP_FRAMING_ROOM, HTTP_HEAD_BYTES_MAX, HTTP_TRAILER_BYTES_MAX, TOKEN_BYTES_MAX,
};

/// Texts under names, and the length of all together.
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
    CLIENT_SUBJECT = b"\r\nX-SSL-Client-S-DN: ";
    VIA_10 = b"\r\nVia: 1.0 ";
    VIA_11 = b"\r\nVia: 1.1 ";
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
    UPGRADE = b"Connection: Upgrade\r\nUpgrade: ";
}

/// Our name in Via.
pub const VIA_NAME: &str = "pointsman";

/// What the sticky cookie says behind its name.
pub const COOKIE_REST_BYTES_MAX: usize = 128;

/// Line ends behind what has no fixed text: at most so many fields are ours.
const LINE_ENDS: usize = 16 * LINE_END.len();

/// A decimal number of 64 bits.
const NUMBER: usize = 20;

/// An address, perhaps with a scope and a port: `[ffff:...:ffff%4294967295]:65535`.
const ADDRESS: usize = 64;

/// A chunk around what came with the head, and an end of the body with all of its trailers.
const CHUNK: usize = 16 + b"\r\n\r\n0\r\n\r\n".len() + HTTP_TRAILER_BYTES_MAX as usize;

/// What a request's head grows by. The host is said twice, a space is put behind each semicolon
/// of the cookies: as both are parts of what came, it is not more than came. And a field's name
/// may be one space shorter in the client's words.
pub(super) const REQUEST_BYTES_MAX: usize = REQUEST_TEXTS
    + COMMON_TEXTS
    + LINE_ENDS
    + HTTP_HEAD_BYTES_MAX
    + HTTP_FIELDS_MAX
    + 2 * ADDRESS
    + CLIENT_SUBJECT_BYTES_MAX
    + VIA_NAME.len()
    + 2 * NUMBER;

/// What a response's head grows by. Of 426 each Upgrade has a Connection of its own.
pub(super) const RESPONSE_BYTES_MAX: usize = RESPONSE_TEXTS
    + COMMON_TEXTS
    + LINE_ENDS
    + TOKEN_BYTES_MAX
    + COOKIE_REST_BYTES_MAX
    + HTTP_FIELDS_MAX * b"Connection: Upgrade\r\n ".len()
    + 2 * NUMBER;

const _: () = assert!(REQUEST_BYTES_MAX + CHUNK <= HTTP_FRAMING_ROOM);
const _: () = assert!(RESPONSE_BYTES_MAX + CHUNK <= HTTP_FRAMING_ROOM);
// And what is read before it must hold the longest head, with the read that ends it.
const _: () = assert!(
    BUFFER_BYTES >= HTTP_FRAMING_ROOM + HTTP_HEAD_BYTES_MAX + HTTP_ANSWER_READ_BYTES,
    "a head and what is added to it fit into a buffer"
);
