//! What we answer ourselves on the traffic port: `--health-path` and `--stats-path`, and the way to
//! HTTPS with `--redirect-https`.
//!
//! They are looked for before a backend is, so they cost none a connection. The statistics of many
//! backends are more than a buffer holds: what is left of them waits in the phase, and goes out as
//! far as the client takes it.

use std::io::IoSlice;
use std::net::IpAddr;

use crate::access_log::Cause;
use crate::context::Context;
use crate::http::answer::{self, How};
use crate::http::{Framing, Method, RequestHead};
use crate::limits::BUFFER_BYTES;
use crate::status::numbers;

use super::super::account::{self, Own};
use super::super::pair::{Pair, Reason};
use super::{Http, Phase, Step, client_broke, reply};

/// A long answer of ours on its way.
#[derive(Debug)]
pub(super) struct Page {
    bytes: Vec<u8>,
    sent: usize,
    keep_alive: bool,
}

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Health,
    Stats,
}

/// Answer the request whose head lies at the beginning of the scratch buffer, if it is for us.
pub(super) fn answer(
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    pair: &mut Pair,
    cx: &mut Context,
) -> Option<Step> {
    let Some(which) = asked_for(head, cx) else { return redirect(head, total, http, pair, cx) };
    cx.stats.requests += 1;
    let has_body = !matches!(head.framing, Framing::None | Framing::Length(0));
    let keep_alive = head.keep_alive && !cx.draining && !has_body;
    let (version, head_request, hsts) = (head.version, head.is_head(), reply::hsts(pair, cx));
    let how = How { version, keep_alive, head_request, hsts };
    if !has_body {
        http.keep(&cx.scratch[head.length..total]);
    }
    let mut bytes = Vec::new();
    let status = match (which, head.method) {
        (_, method) if !matches!(method, Method::Get | Method::Head) => {
            answer::not_allowed(how, &mut bytes);
            405
        }
        (Which::Health, _) if cx.backends.pool(pair.pool).up() > 0 => {
            answer::page(200, "text/plain", b"OK", how, &mut bytes);
            200
        }
        (Which::Health, _) => {
            answer::answer(503, "no backend is up", how, &mut bytes);
            503
        }
        (Which::Stats, _) => {
            let mut body = Vec::new();
            numbers::write(cx, &mut body);
            answer::page(200, "application/json", &body, how, &mut bytes);
            200
        }
    };
    let cause = match which {
        Which::Health => Cause::HealthPath,
        Which::Stats => Cause::StatsPath,
    };
    let why = match status {
        405 => "only GET and HEAD are answered here",
        503 => "no backend is up",
        _ => cause.says(),
    };
    let own = Own { status, cause, why };
    account::own_answer(own, &bytes, None, pair, cx);
    Some(proceed(Box::new(Page { bytes, sent: 0, keep_alive }), http, pair, cx))
}

/// Send a client that speaks in the clear to HTTPS, where that was asked for.
fn redirect(
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    pair: &mut Pair,
    cx: &mut Context,
) -> Option<Step> {
    let port = cx.settings.redirect_to.filter(|_| pair.client.tls().is_none())?;
    cx.stats.requests += 1;
    let has_body = !matches!(head.framing, Framing::None | Framing::Length(0));
    let keep_alive = head.keep_alive && !cx.draining && !has_body;
    let (version, head_request, hsts) = (head.version, head.is_head(), reply::hsts(pair, cx));
    let how = How { version, keep_alive, head_request, hsts };
    let to = place(head, port, pair, cx);
    if !has_body {
        http.keep(&cx.scratch[head.length..total]);
    }
    let mut bytes = Vec::new();
    let reading = matches!(head.method, Method::Get | Method::Head);
    answer::redirect(&to, reading, how, &mut bytes);
    let own = Own::new(if reading { 301 } else { 308 }, Cause::RedirectHttps);
    account::own_answer(own, &bytes, None, pair, cx);
    Some(proceed(Box::new(Page { bytes, sent: 0, keep_alive }), http, pair, cx))
}

/// What was asked for, as a place at HTTPS.
fn place(head: &RequestHead, port: u16, pair: &Pair, cx: &Context) -> Vec<u8> {
    let input = &cx.scratch;
    let mut place = b"https://".to_vec();
    match head.host.map(|host| host.of(input)).filter(|host| !host.is_empty()) {
        Some(host) => place.extend_from_slice(without_port(host)),
        // HTTP/1.0 names none: where it came to is all that is known.
        None => match pair.client.local_address().map(|address| address.ip().to_canonical()) {
            Ok(IpAddr::V6(address)) => {
                place.extend_from_slice(format!("[{address}]").as_bytes());
            }
            Ok(address) => place.extend_from_slice(address.to_string().as_bytes()),
            Err(_) => place.extend_from_slice(b"localhost"),
        },
    }
    if port != 443 {
        place.extend_from_slice(format!(":{port}").as_bytes());
    }
    let path = head.path.of(input);
    if !path.starts_with(b"/") {
        place.push(b'/');
    }
    // Of `OPTIONS *` only the server is left.
    place.extend_from_slice(if path == b"*" { b"" } else { path });
    place
}

/// A host without the port behind it; an IPv6 address has colons of its own, in brackets.
fn without_port(host: &[u8]) -> &[u8] {
    let colon = host.iter().rposition(|&byte| byte == b':');
    match colon {
        Some(colon) if host[colon..].iter().all(|&byte| byte != b']') => &host[..colon],
        _ => host,
    }
}

/// Send on what the client takes.
pub(super) fn proceed(
    mut page: Box<Page>,
    http: &mut Http,
    pair: &mut Pair,
    cx: &mut Context,
) -> Step {
    let draining = cx.draining;
    loop {
        let (_, mut supplies) = cx.connection_and_supplies(None);
        let (flow, client) = (&mut pair.duplex.response, &mut pair.client);
        if let Err(fault) = flow.flush_to(client, &mut supplies) {
            return client_broke(fault);
        }
        if flow.held() > 0 {
            http.phase = Phase::Page(page);
            return Step::Wait;
        }
        let rest = &page.bytes[page.sent..];
        if rest.is_empty() && page.keep_alive && draining && http.input.is_empty() {
            // We are stopping, and it was told too early that it may ask on.
            return Step::Close(Reason::Finished);
        }
        if rest.is_empty() {
            http.phase = reply::after(page.keep_alive);
            return Step::Next;
        }
        let count = rest.len().min(BUFFER_BYTES);
        let offered = flow.offer(&[IoSlice::new(&rest[..count])], client, supplies.buffers);
        if let Err(fault) = offered {
            return client_broke(fault);
        }
        page.sent += count;
    }
}

fn asked_for(head: &RequestHead, cx: &Context) -> Option<Which> {
    let path = || head.path_alone(&cx.scratch).of(&cx.scratch);
    let is = |own: &Option<String>| own.as_ref().is_some_and(|own| own.as_bytes() == path());
    if is(&cx.settings.health_path) {
        Some(Which::Health)
    } else if is(&cx.settings.stats_path) {
        Some(Which::Stats)
    } else {
        None
    }
}
