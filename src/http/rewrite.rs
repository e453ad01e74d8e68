//! Heads and chunks as they go out: what decides meaning written afresh, the rest passed on.
//!
//! ```text
//!   client:   GET http://a/x HTTP/1.1     backend gets:   GET /x HTTP/1.1
//!             Host: a                                     Host: a
//!             Accept: text/html                           Accept: text/html       (a slice)
//!             Connection: keep-alive, Foo                 X-Forwarded-For: 192.0.2.1
//!             Foo: bar                                    X-Forwarded-Proto: http
//!             X-Forwarded-For: 6.6.6.6                    X-Forwarded-Host: a
//!                                                         Via: 1.1 pointsman
//! ```

use std::fmt::Write;
use std::net::IpAddr;

use super::Span;
use super::added::{self, Added, Proto};
use super::body::Framing;
use super::fields::{Field, FieldKind, Fields, cookie_pairs, is_named};
use super::head::Version;
use super::outgoing::Outgoing;
use super::request::{Form, Method, RequestHead};
use super::response::ResponseHead;

/// What the backend is told of the client, and what not.
#[derive(Debug, Clone, Copy)]
pub struct Forward<'a> {
    /// Whose request it is.
    pub client: IpAddr,
    /// The protocol between the client and us.
    pub proto: Proto,
    /// The port of ours that it came to.
    pub port: &'a str,
    /// What the client says of those before it is believed.
    pub trusted: bool,
    /// Host for a client of HTTP/1.0 that named none: the backend's own.
    pub host: &'a str,
    /// What we add of our own accord.
    pub added: &'a Added,
    /// Whom the client's certificate names, if it showed one.
    pub subject: Option<&'a str>,
}

/// What the client is told of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Back<'a> {
    /// The version of the request.
    pub client_version: Version,
    /// The client's connection takes another request after this.
    pub keep_alive: bool,
    /// A body that ends with the backend's connection is sent in chunks, so that the client's
    /// connection lives on and a torn body is seen. Only HTTP/1.1 can.
    pub chunk: bool,
    /// The client understands trailers.
    pub takes_trailers: bool,
    /// What Set-Cookie says, if the client is to come back to this backend.
    pub cookie: Option<&'a str>,
    /// What we add of our own accord.
    pub added: &'a Added,
}

/// How the response leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaves {
    /// How its body is delimited towards the client.
    pub framing: Framing,
    /// Whether the client was told that the connection lives on. After 101 it is a tunnel.
    pub keep_alive: bool,
}

/// Write the head of a request for the backend. Its body is delimited as it came; chunks are
/// written afresh, see [`chunk`].
pub fn request(
    head: &RequestHead,
    fields: &Fields,
    input: &[u8],
    to: &Forward<'_>,
    out: &mut Outgoing,
) {
    let before = out.len();
    method_and_path(head, input, out);
    out.text(added::HOST_AFTER_LINE);
    host(head, input, to, out);
    out.text(added::LINE_END);
    pass_request_fields(head, fields, input, to, out);
    client_fields(head, fields, input, to, out);
    framing(head.framing, out);
    if let Some(protocol) = head.upgrade {
        out.text(added::UPGRADE);
        out.input(input, protocol);
        out.text(added::LINE_END);
    } else if head.takes_trailers {
        out.text(added::TRAILERS_WANTED);
    }
    if head.expects_continue {
        out.text(added::CONTINUE_EXPECTED);
    }
    out.text(added::LINE_END);
    debug_assert!(out.len() - before <= head.length + added::REQUEST_BYTES_MAX);
}

fn method_and_path(head: &RequestHead, input: &[u8], out: &mut Outgoing) {
    if head.form != Form::Absolute {
        // With the one space that is between them.
        return out.input(input, Span { end: head.path.end, ..head.method_name });
    }
    out.input(input, head.method_name);
    out.text(added::SPACE);
    if !head.path.of(input).starts_with(b"/") {
        let server = head.method == Method::Options && head.path.is_empty();
        out.text(if server { b"*" } else { added::SLASH });
    }
    out.input(input, head.path);
}

fn host(head: &RequestHead, input: &[u8], to: &Forward<'_>, out: &mut Outgoing) {
    match head.host {
        Some(host) => out.input(input, host),
        None => out.text(to.host.as_bytes()),
    }
}

const UPGRADE_REQUIRED: u16 = 426;

/// What is for one hop alone, or written afresh.
const HOP: u32 = set(&[
    FieldKind::ContentLength,
    FieldKind::TransferEncoding,
    FieldKind::Connection,
    FieldKind::KeepAlive,
    FieldKind::Upgrade,
    FieldKind::Te,
    FieldKind::Hop,
]);

/// The same in a request. Trailers are dropped there: nobody knows whether the backend takes them.
/// Whom a certificate names is for us to say and for nobody before us, trusted or not.
const REQUEST_HOP: u32 = HOP
    | set(&[FieldKind::Host, FieldKind::Expect, FieldKind::Trailer, FieldKind::ForwardedFor])
    | set(&[FieldKind::ClientSubject, FieldKind::Proxy, FieldKind::Folded]);

/// What only a trusted client may say of those before it.
const FROM_TRUSTED_ALONE: u32 = set(&[
    FieldKind::Forwarded,
    FieldKind::ForwardedProto,
    FieldKind::ForwardedHost,
    FieldKind::ForwardedPort,
]);

const fn set(kinds: &[FieldKind]) -> u32 {
    match kinds {
        [] => 0,
        [first, rest @ ..] => first.bit() | set(rest),
    }
}

fn pass_request_fields(
    head: &RequestHead,
    fields: &Fields,
    input: &[u8],
    to: &Forward<'_>,
    out: &mut Outgoing,
) {
    let ours = |name: &&str| fields.cookie(input, name).is_some();
    let sticky = to.added.cookie_name().filter(ours);
    let untrusted = if to.trusted { 0 } else { FROM_TRUSTED_ALONE };
    let cookies = if sticky.is_some() { FieldKind::Cookie.bit() } else { 0 };
    pass_fields(fields, REQUEST_HOP | untrusted | cookies, head.length, input, out);
    if let Some(name) = sticky {
        for field in fields.of_kind(FieldKind::Cookie) {
            cookies_without(field.value, name, input, out);
        }
    }
}

/// The lines of the fields that pass, neighbours as one slice. A line ends where the next begins,
/// the last one before the empty line.
fn pass_fields(fields: &Fields, stopped: u32, length: usize, input: &[u8], out: &mut Outgoing) {
    let mut from = None;
    for field in fields.iter() {
        if field.passes && stopped & field.kind.bit() == 0 {
            from = from.or(Some(field.name.start));
        } else if let Some(start) = from.take() {
            out.input(input, Span { start, end: field.name.start });
        }
    }
    if let Some(start) = from {
        out.input(input, Span { start, end: length as u32 - 2 });
    }
}

/// A Cookie field without those of one name.
fn cookies_without(value: Span, name: &str, input: &[u8], out: &mut Outgoing) {
    let mut lead: &[u8] = b"Cookie: ";
    for pair in cookie_pairs(input, value) {
        if !pair.is_empty() && !is_named(pair.of(input), name) {
            out.text(lead);
            out.input(input, pair);
            lead = b"; ";
        }
    }
    if lead == b"; " {
        out.text(added::LINE_END);
    }
}

/// X-Forwarded-For, -Proto, -Host, -Port, X-SSL-Client-S-DN and Via.
fn client_fields(
    head: &RequestHead,
    fields: &Fields,
    input: &[u8],
    to: &Forward<'_>,
    out: &mut Outgoing,
) {
    out.text(added::FORWARDED_FOR);
    if to.trusted {
        let before = |field: &&Field| !field.value.is_empty();
        for field in fields.of_kind(FieldKind::ForwardedFor).filter(before) {
            out.input(input, field.value);
            out.text(b", ");
        }
    }
    address(to.client, out);
    let is_given = |kind| to.trusted && fields.has(kind);
    if !is_given(FieldKind::ForwardedProto) {
        out.text(match to.proto {
            Proto::Http => added::FORWARDED_PROTO_HTTP,
            Proto::Https => added::FORWARDED_PROTO_HTTPS,
        });
    }
    if !is_given(FieldKind::ForwardedHost) && head.host.is_some() {
        out.text(added::FORWARDED_HOST);
        host(head, input, to, out);
    }
    // Our port would contradict a proxy before us that says how the client reached it.
    let how_it_came =
        [FieldKind::ForwardedProto, FieldKind::ForwardedHost, FieldKind::ForwardedPort];
    if !how_it_came.into_iter().any(is_given) {
        out.text(added::FORWARDED_PORT);
        out.text(to.port.as_bytes());
    }
    if let Some(subject) = to.subject {
        out.text(added::CLIENT_SUBJECT);
        out.text(subject.as_bytes());
    }
    if let Some(name) = to.added.via {
        out.text(match head.version {
            Version::Http10 => added::VIA_10,
            Version::Http11 => added::VIA_11,
        });
        out.text(name.as_bytes());
    }
    out.text(added::LINE_END);
}

/// Without brackets and port; IPv4 as IPv4, however the socket sees it.
fn address(address: IpAddr, out: &mut Outgoing) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mut text = [b'.'; 16];
            let mut length = 0;
            for octet in address.octets() {
                for (divisor, least) in [(100, 100), (10, 10), (1, 0)] {
                    if octet >= least {
                        text[length] = b'0' + octet / divisor % 10;
                        length += 1;
                    }
                }
                length += 1;
            }
            out.text(&text[..length - 1]);
        }
        IpAddr::V6(address) => {
            // because: writing to an Outgoing cannot fail.
            let _ = write!(out, "{address}");
        }
    }
}

fn framing(framing: Framing, out: &mut Outgoing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => content_length(length, out),
        Framing::Chunked => out.text(added::CHUNKED),
    }
}

fn content_length(length: u64, out: &mut Outgoing) {
    out.text(added::CONTENT_LENGTH);
    out.number(length);
    out.text(added::LINE_END);
}

/// Write the head of a response for the client. An interim one must not go to HTTP/1.0.
pub fn response(
    head: &ResponseHead,
    fields: &Fields,
    input: &[u8],
    back: &Back<'_>,
    out: &mut Outgoing,
) -> Leaves {
    let before = out.len();
    let leaves = leaves(head, back);
    out.text(added::VERSION);
    out.input(input, head.status_text);
    // Without words there must be a space still.
    out.text(if head.status_text.len() == 3 { added::NO_WORDS } else { added::LINE_END });
    let trailers = leaves.framing == Framing::Chunked && back.takes_trailers;
    let announced = if trailers { 0 } else { FieldKind::Trailer.bit() };
    let hsts = if back.added.hsts.is_some() { FieldKind::StrictTransport.bit() } else { 0 };
    pass_fields(fields, HOP | announced | hsts, head.length, input, out);
    if let Some(seconds) = back.added.hsts.filter(|_| !head.is_interim()) {
        out.text(added::STRICT_TRANSPORT);
        out.number(seconds);
        out.text(added::LINE_END);
    }
    if let Some(cookie) = back.cookie.filter(|_| !head.is_interim()) {
        out.text(added::SET_COOKIE);
        out.text(cookie.as_bytes());
        out.text(added::LINE_END);
    }
    match (leaves.framing, head.declared_length) {
        // What the body would be, said of a body that is not sent. 1xx and 204 must not.
        (Framing::None, Some(length)) if head.status >= 200 && head.status != 204 => {
            content_length(length, out);
        }
        _ => framing(leaves.framing, out),
    }
    if let Some(protocol) = head.upgrade {
        out.text(added::UPGRADE);
        out.input(input, protocol);
        out.text(added::LINE_END);
    } else if !head.is_interim() {
        if head.status == UPGRADE_REQUIRED {
            protocols(fields, input, out);
        }
        match (leaves.keep_alive, back.client_version) {
            (false, _) => out.text(added::CLOSE),
            (true, Version::Http10) => out.text(added::KEEP_ALIVE),
            (true, Version::Http11) => {}
        }
    }
    out.text(added::LINE_END);
    debug_assert!(out.len() - before <= head.length + added::RESPONSE_BYTES_MAX);
    leaves
}

/// Of 426 what the backend wants spoken instead: without it the answer says nothing.
#[cold]
fn protocols(fields: &Fields, input: &[u8], out: &mut Outgoing) {
    for field in fields.of_kind(FieldKind::Upgrade) {
        out.text(added::UPGRADE);
        out.input(input, field.value);
        out.text(added::LINE_END);
    }
}

/// How the body goes on to the client, and whether the connection can outlive it.
fn leaves(head: &ResponseHead, back: &Back<'_>) -> Leaves {
    let chunks = back.client_version == Version::Http11;
    let framing = match head.framing {
        Framing::Chunked if !chunks => Framing::UntilClose,
        Framing::UntilClose if chunks && back.chunk => Framing::Chunked,
        framing => framing,
    };
    Leaves { framing, keep_alive: back.keep_alive && framing != Framing::UntilClose }
}

/// Send this payload as one chunk; none of it, no chunk.
pub fn chunk(data: &[Span], input: &[u8], out: &mut Outgoing) {
    let total: usize = data.iter().map(|span| span.len()).sum();
    if total == 0 {
        return;
    }
    chunk_head(total as u64, out);
    for &span in data {
        out.input(input, span);
    }
    out.text(b"\r\n");
}

/// The line before a chunk. After its payload comes CR LF.
pub fn chunk_head(total: u64, out: &mut Outgoing) {
    out.hexadecimal(total);
    out.text(b"\r\n");
}

/// The end of a chunked body. `trailers` is what the decoder put aside, perhaps nothing; of it,
/// only fields pass that mean nothing to a proxy.
pub fn last_chunk(trailers: &[u8], fields: &mut Fields, out: &mut Outgoing) {
    out.text(b"0\r\n");
    if let Ok(Some(length)) = fields.parse(trailers, 0) {
        let mut lines = fields.as_slice().iter().peekable();
        while let Some(field) = lines.next() {
            let end = lines.peek().map_or(length - 2, |next| next.name.start as usize);
            if field.kind == FieldKind::Other {
                out.text(Span::new(field.name.start as usize, end).of(trailers));
            }
        }
    }
    out.text(b"\r\n");
}
