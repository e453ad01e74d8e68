//! The pages that we answer ourselves on the traffic port: `--health-path` and `--stats-path`.
//!
//! They are looked for before a backend is, so they cost none a connection. The statistics of many
//! backends are more than a buffer holds: what is left of them waits in the phase, and goes out as
//! far as the client takes it.

use std::io::IoSlice;

use crate::access_log::Who;
use crate::context::Context;
use crate::http::answer::{self, How};
use crate::http::{Framing, Method, RequestHead};
use crate::limits::BUFFER_BYTES;
use crate::status::numbers;

use super::super::account;
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
    let which = asked_for(head, cx)?;
    cx.stats.requests += 1;
    let has_body = !matches!(head.framing, Framing::None | Framing::Length(0));
    let keep_alive = head.keep_alive && !cx.draining && !has_body;
    let how = How { version: head.version, keep_alive, head_request: head.is_head() };
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
    if let Some(account) = &mut pair.account {
        account.blame(Who::Local);
    }
    account::own_answer(status, &bytes, None, pair, cx);
    Some(proceed(Box::new(Page { bytes, sent: 0, keep_alive }), http, pair, cx))
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
    let path = head.path_alone(&cx.scratch).of(&cx.scratch);
    let is = |own: &Option<String>| own.as_ref().is_some_and(|own| own.as_bytes() == path);
    if is(&cx.settings.health_path) {
        Some(Which::Health)
    } else if is(&cx.settings.stats_path) {
        Some(Which::Stats)
    } else {
        None
    }
}
