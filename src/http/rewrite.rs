//! Heads and chunks as they are sent: what decides meaning is written anew, the rest is passed on.
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

use std::net::IpAddr;

use super::Span;
use super::added::{self, Added, Proto};
use super::body::Framing;
use super::edits::{RequestEdits, ResponseEdits, name_of};
use super::fields::{Field, FieldKind, Fields, cookie_pairs, is_named};
use super::head::Version;
use super::max_forwards;
use super::nodes;
use super::outgoing::Outgoing;
use super::request::{Form, Method, RequestHead};
use super::response::ResponseHead;
use super::scan::{self, TOKEN};
use crate::config::ForwardedFields;
use crate::limits::HTTP_FORWARDED_HOST_BYTES_MAX;

/// What a request's head for the backend depends on, beside the head that came.
#[derive(Debug, Clone, Copy)]
pub struct Forward<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The protocol between the client and us.
    pub proto: Proto,
    /// The listener's port.
    pub port: &'a str,
    /// The client is a trusted proxy: its X-Forwarded-* and Forwarded pass.
    pub trusted: bool,
    /// Host for a request of HTTP/1.0 without one: the backend's address.
    pub host: &'a str,
    /// What we add to every head.
    pub added: &'a Added<'a>,
    /// Which fields tell of the client.
    pub told: ForwardedFields,
    /// The subject of the client's certificate, if it sent one.
    pub subject: Option<&'a str>,
    /// What rules do to the head, filled in for this request.
    pub edits: &'a RequestEdits,
}

/// What a response's head for the client depends on, beside the head that came.
#[derive(Debug, Clone, Copy)]
pub struct Back<'a> {
    /// The version of the request.
    pub client_version: Version,
    /// The client's connection is to be kept open.
    pub keep_alive: bool,
    /// Send a body that ends with the backend's connection in chunks, so that the client's
    /// connection can be kept open, and a body that was cut short is noticed. Needs HTTP/1.1.
    pub chunk: bool,
    /// The client accepts trailers (`TE: trailers`).
    pub takes_trailers: bool,
    /// The value of Set-Cookie for the sticky cookie, if it is to be set.
    pub cookie: Option<&'a str>,
    /// What we add to every head.
    pub added: &'a Added<'a>,
    /// What rules do to the head of a final answer, filled in when its request came.
    pub edits: &'a ResponseEdits,
}

/// How the response is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaves {
    /// How its body is delimited towards the client.
    pub framing: Framing,
    /// Whether the head says that the connection is kept open. After 101 it is a tunnel.
    pub keep_alive: bool,
}

/// Write the head of a request for the backend. Its body is delimited as it came; chunks are
/// written anew, see [`chunk`].
pub fn request(
    head: &RequestHead,
    fields: &Fields,
    input: &[u8],
    to: &Forward<'_>,
    out: &mut Outgoing,
) {
    let before = out.len();
    if to.edits.is_empty() {
        method_and_path(head, input, out);
        out.text(added::HOST_AFTER_LINE);
        host(head, input, to, out);
        out.text(added::LINE_END);
        pass_request_fields(head, fields, input, to, |_| true, out);
        client_fields(head, fields, input, to, out);
    } else {
        edited_request(head, fields, input, to, out);
    }
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

/// Write what decides neither framing nor the connection's use, as rules edit it.
#[cold]
#[inline(never)]
fn edited_request(
    head: &RequestHead,
    fields: &Fields,
    input: &[u8],
    to: &Forward<'_>,
    out: &mut Outgoing,
) {
    match to.edits.target() {
        None => method_and_path(head, input, out),
        Some(target) => {
            out.input(input, head.method_name);
            out.text(added::SPACE);
            out.text(target);
        }
    }
    out.text(added::HOST_AFTER_LINE);
    match to.edits.host() {
        None => host(head, input, to, out),
        Some(host) => out.text(host),
    }
    out.text(added::LINE_END);
    let stays = |field: &Field| !to.edits.drops(field.name.of(input));
    pass_request_fields(head, fields, input, to, stays, out);
    let from = out.mark();
    client_fields(head, fields, input, to, out);
    out.retain_lines(from, input, |line| !to.edits.drops(name_of(line)));
    out.text(to.edits.lines());
}

// Inlined, though rules that edit have a second use for it.
#[inline(always)]
fn method_and_path(head: &RequestHead, input: &[u8], out: &mut Outgoing) {
    if head.form != Form::Absolute {
        // In one piece, with the space between them.
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

/// Fields that do not pass: they are for one hop alone, or written anew.
const HOP: u32 = set(&[
    FieldKind::ContentLength,
    FieldKind::TransferEncoding,
    FieldKind::Connection,
    FieldKind::KeepAlive,
    FieldKind::Upgrade,
    FieldKind::Te,
    FieldKind::Hop,
]);

/// The same in a request. Trailers are dropped there, since it is not known whether the backend
/// accepts them. The subject of a certificate comes from us alone, even behind a trusted proxy.
const REQUEST_HOP: u32 = HOP
    | set(&[FieldKind::Host, FieldKind::Expect, FieldKind::Trailer])
    | set(&[FieldKind::ClientSubject, FieldKind::Proxy, FieldKind::Folded]);

/// Fields that pass only if the client is a trusted proxy.
const FROM_TRUSTED_ALONE: u32 = set(&[
    FieldKind::Forwarded,
    FieldKind::ForwardedFor,
    FieldKind::ForwardedOther,
    FieldKind::RealIp,
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
    stays: impl Fn(&Field) -> bool,
    out: &mut Outgoing,
) {
    let ours = |name: &&str| fields.cookie(input, name).is_some();
    let sticky = to.added.cookie_name().filter(ours);
    let untrusted = if to.trusted { 0 } else { FROM_TRUSTED_ALONE };
    let cookies = if sticky.is_some() { FieldKind::Cookie.bit() } else { 0 };
    let stopped = REQUEST_HOP | untrusted | cookies | replaced_id(to.added) | lists(to.told);
    if let Some(left) = max_forwards::left(head, fields, input) {
        let passes = |field: &Field| stays(field) && !max_forwards::is_it(field, input);
        pass_fields(fields, stopped, head.length, input, passes, out);
        max_forwards::write(left, fields, input, out);
    } else {
        pass_fields(fields, stopped, head.length, input, &stays, out);
    }
    if let Some(name) = sticky {
        for field in fields.of_kind(FieldKind::Cookie).filter(|field| stays(field)) {
            cookies_without(field.value, name, input, out);
        }
    }
}

/// The kinds of lists that are written anew, with what came in them before what we add.
fn lists(told: ForwardedFields) -> u32 {
    let bit = |is_told, kind: FieldKind| if is_told { kind.bit() } else { 0 };
    bit(told.x_forwarded, FieldKind::ForwardedFor) | bit(told.forwarded, FieldKind::Forwarded)
}

/// The kind of X-Request-Id, if one of ours is written.
fn replaced_id(added: &Added<'_>) -> u32 {
    if added.request_id.is_some() { FieldKind::RequestId.bit() } else { 0 }
}

/// Write the lines of the fields that pass, adjacent ones as one slice. A line ends where the next
/// one begins, the last one before the empty line.
fn pass_fields(
    fields: &Fields,
    stopped: u32,
    length: usize,
    input: &[u8],
    stays: impl Fn(&Field) -> bool,
    out: &mut Outgoing,
) {
    let mut from = None;
    for field in fields.iter() {
        if field.passes && stopped & field.kind.bit() == 0 && stays(field) {
            from = from.or(Some(field.name.start));
        } else if let Some(start) = from.take() {
            out.input(input, Span { start, end: field.name.start });
        }
    }
    if let Some(start) = from {
        out.input(input, Span { start, end: length as u32 - 2 });
    }
}

/// Write a Cookie field without the cookies of one name.
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

/// Write what tells of the client, X-SSL-Client-S-DN, Via and X-Request-Id: whole lines.
#[inline(always)]
fn client_fields(
    head: &RequestHead,
    fields: &Fields,
    input: &[u8],
    to: &Forward<'_>,
    out: &mut Outgoing,
) {
    if to.told.x_forwarded {
        x_forwarded(head, fields, input, to, out);
    }
    if to.told.forwarded {
        forwarded(head, fields, input, to, out);
    }
    let is_told = to.client.is_unspecified() || to.trusted && fields.has(FieldKind::RealIp);
    if to.told.x_real_ip && !is_told {
        out.text(added::REAL_IP);
        nodes::address(to.client, out);
        out.text(added::LINE_END);
    }
    if let Some(subject) = to.subject {
        out.text(added::CLIENT_SUBJECT);
        out.text(subject.as_bytes());
        out.text(added::LINE_END);
    }
    if let Some(name) = to.added.via {
        out.text(match head.version {
            Version::Http10 => added::VIA_10,
            Version::Http11 => added::VIA_11,
        });
        out.text(name.as_bytes());
        out.text(added::LINE_END);
    }
    request_id(to.added, out);
}

#[inline(always)]
fn x_forwarded(
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
    nodes::client(to.client, out);
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
    // Our port would contradict a proxy before us that says how the client connected, and a UNIX
    // socket has none.
    let how_it_came =
        [FieldKind::ForwardedProto, FieldKind::ForwardedHost, FieldKind::ForwardedPort];
    if !to.port.is_empty() && !how_it_came.into_iter().any(is_given) {
        out.text(added::FORWARDED_PORT);
        out.text(to.port.as_bytes());
    }
    out.text(added::LINE_END);
}

/// Write Forwarded (RFC 7239) as one list: what proxies before us said, then whom we have it from.
/// Each element is of one hop, so ours says how we were reached, whatever those say. `by` is left
/// out: our address is nobody's business.
#[cold]
#[inline(never)]
fn forwarded(
    head: &RequestHead,
    fields: &Fields,
    input: &[u8],
    to: &Forward<'_>,
    out: &mut Outgoing,
) {
    out.text(added::FORWARDED);
    if to.trusted {
        // A quoted string that does not end would swallow what we say.
        let before = |field: &&Field| {
            !field.value.is_empty() && scan::closes_quotes(field.value.of(input))
        };
        for field in fields.of_kind(FieldKind::Forwarded).filter(before) {
            out.input(input, field.value);
            out.text(b", ");
        }
    }
    if to.client.to_canonical().is_ipv4() {
        out.text(added::FORWARDED_NODE);
        nodes::client(to.client, out);
    } else {
        out.text(added::FORWARDED_NODE_IPV6);
        nodes::address(to.client, out);
        out.text(added::FORWARDED_NODE_IPV6_END);
    }
    out.text(match to.proto {
        Proto::Http => added::FORWARDED_BY_HTTP,
        Proto::Https => added::FORWARDED_BY_HTTPS,
    });
    if let Some(host) = head.host.filter(|it| it.len() <= HTTP_FORWARDED_HOST_BYTES_MAX) {
        out.text(added::FORWARDED_TO);
        // No host has a byte that would have to be escaped.
        let quote =
            if scan::all(host.of(input), TOKEN) { b"" } else { &added::FORWARDED_QUOTES[..1] };
        out.text(quote);
        out.input(input, host);
        out.text(quote);
    }
    out.text(added::LINE_END);
}

fn request_id(added: &Added<'_>, out: &mut Outgoing) {
    if let Some(id) = added.request_id {
        out.text(added::REQUEST_ID);
        out.text(id.as_bytes());
        out.text(added::LINE_END);
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
    // The space behind the status is required, even without a reason phrase.
    out.text(if head.status_text.len() == 3 { added::NO_WORDS } else { added::LINE_END });
    let trailers = leaves.framing == Framing::Chunked && back.takes_trailers;
    let announced = if trailers { 0 } else { FieldKind::Trailer.bit() };
    let hsts = if back.added.hsts.is_some() { FieldKind::StrictTransport.bit() } else { 0 };
    // An interim answer has none.
    let id = if head.is_interim() { 0 } else { replaced_id(back.added) };
    let stopped = HOP | announced | hsts | id;
    if back.edits.is_empty() || head.status < 200 {
        pass_fields(fields, stopped, head.length, input, |_| true, out);
        strict_transport(head, back, out);
        if id != 0 {
            request_id(back.added, out);
        }
    } else {
        edited_response(head, fields, stopped, input, back, out);
    }
    if let Some(cookie) = back.cookie.filter(|_| !head.is_interim()) {
        out.text(added::SET_COOKIE);
        out.text(cookie.as_bytes());
        out.text(added::LINE_END);
    }
    match (leaves.framing, head.declared_length) {
        // Of a body that is not sent (HEAD, 304) the length may be stated. 1xx and 204 must not.
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

fn strict_transport(head: &ResponseHead, back: &Back<'_>, out: &mut Outgoing) {
    if let Some(seconds) = back.added.hsts.filter(|_| !head.is_interim()) {
        out.text(added::STRICT_TRANSPORT);
        out.number(seconds);
        out.text(added::LINE_END);
    }
}

/// Write the fields that pass as rules edit them. The cookie that leads a client back is not the
/// operator's to edit here, and is written behind.
#[cold]
#[inline(never)]
fn edited_response(
    head: &ResponseHead,
    fields: &Fields,
    stopped: u32,
    input: &[u8],
    back: &Back<'_>,
    out: &mut Outgoing,
) {
    let stays = |field: &Field| !back.edits.drops(field.name.of(input));
    pass_fields(fields, stopped, head.length, input, stays, out);
    if !back.edits.drops(name_of(added::STRICT_TRANSPORT)) {
        strict_transport(head, back, out);
    }
    if !back.edits.drops(name_of(added::REQUEST_ID)) {
        request_id(back.added, out);
    }
    out.text(back.edits.lines());
}

/// Write the Upgrade fields of a 426, which name the protocols that the backend requires.
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

/// Write this payload as one chunk; an empty one would end the body, so nothing is written.
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

/// Write the line before a chunk. Behind its payload comes CR LF.
pub fn chunk_head(total: u64, out: &mut Outgoing) {
    out.hexadecimal(total);
    out.text(b"\r\n");
}

/// Write the end of a chunked body. `trailers` are the bytes that the decoder kept, perhaps none;
/// of them, only fields pass that mean nothing to a proxy.
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
