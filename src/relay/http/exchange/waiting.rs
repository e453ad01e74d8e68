//! A request that waits until a backend of its pool has room. What was read of it lies where a
//! part of a head would, and is parsed once more when its turn has come: that costs nobody who
//! need not wait.

use std::time::Instant;

use crate::backends::{NoBackend, Urgency};
use crate::context::Context;
use crate::http::edits::RequestEdits;
use crate::http::{Parse, RequestHead, Scan, parse_request};
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_UNWATCHED};
use crate::net::{Received, Socket};

use super::super::super::client::{Client, Link};
use super::super::super::routing::{self, Served};
use super::super::super::verdict::Reason;
use super::super::super::waiting;
use super::super::{Http, HttpState, HttpStep, put_before};
use super::Exchange;

/// What is known of a request while it waits.
#[derive(Debug)]
pub(in crate::relay::http) struct Waiting {
    exchange: Box<Exchange>,
    served: Served,
    /// What rules do to its head, which lies in a list that the next message fills.
    edits: RequestEdits,
    /// How long its head is.
    head_bytes: usize,
    since: Instant,
}

/// Let the request wait whose head lies at the beginning of the scratch buffer, with `total` bytes
/// of the client; if it may not, say why.
#[cold]
pub(super) fn begin(
    exchange: Box<Exchange>,
    served: Served,
    read: (&RequestHead, usize),
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> Result<HttpStep, (Box<Exchange>, NoBackend)> {
    let (head, total) = read;
    let urgent = cx.backends.settings(client.home.pool).queue.urgent.as_ref();
    let is_urgent = urgent.is_some_and(|it| it.holds(&routing::facts(head, client, cx)));
    let urgency = if is_urgent { Urgency::Urgent } else { Urgency::Normal };
    if let Err(refusal) = waiting::begin(urgency, exchange.stuck_to, client, cx) {
        return Err((exchange, refusal));
    }
    http.input = cx.scratch[..total].to_vec();
    let edits = std::mem::take(&mut cx.http.edits);
    let head_bytes = head.length;
    let since = cx.now;
    let waiting = Waiting { exchange, served, edits, head_bytes, since };
    http.state = HttpState::Waiting(Box::new(waiting));
    Ok(HttpStep::Wait)
}

impl Waiting {
    /// Its turn: it was called, or the client has something to say.
    pub fn proceed(
        self: Box<Self>,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        if client.link == Link::Called {
            return self.begin_exchange(http, client, cx);
        }
        if let Some(fault) = client.socket.fault() {
            return gave_up(Reason::ClientBroke(fault), cx);
        }
        if self.patience_ends(http, client, cx).is_some_and(|end| end <= cx.now) {
            let room = HTTP_HEAD_BYTES_MAX - http.input.len();
            match client.socket.receive(&mut cx.scratch[..room]) {
                Received::Bytes(count) => http.input.extend_from_slice(&cx.scratch[..count]),
                Received::WouldBlock => {}
                Received::Eof => return gave_up(Reason::ClientLeft, cx),
                Received::Broken(fault) => return gave_up(Reason::ClientBroke(fault), cx),
            }
        }
        http.state = HttpState::Waiting(self);
        HttpStep::Wait
    }

    /// A backend has room for it.
    fn begin_exchange(
        self,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        let input = std::mem::take(&mut http.input);
        let is_there = put_before(&input, &mut cx.scratch);
        let bytes = &cx.scratch[..input.len().min(cx.scratch.len())];
        let parsed = parse_request(bytes, &mut Scan::default(), &mut cx.http.fields);
        let Waiting { exchange, served, edits, .. } = self;
        // because: it was parsed before, and has not changed.
        let Parse::Done(head) = parsed else { return HttpStep::Close(Reason::ClientLeft) };
        debug_assert!(is_there, "more was kept than may be read");
        cx.http.edits = edits;
        exchange.start(&head, input.len(), served, http, client, cx)
    }

    /// It has waited for too long.
    #[cold]
    pub fn too_late(self, http: &mut Http, client: &mut Client, cx: &mut Context) -> HttpStep {
        let reason = waiting::give_up(client, cx);
        let behind = std::mem::take(&mut http.input).split_off(self.head_bytes);
        if self.exchange.reads_no_body() {
            http.keep(&behind);
        }
        self.exchange.fail(reason, http, client, cx)
    }

    /// When to see whether the client has left, as for one that waits for its answer; `None` if it
    /// has not finished sending. What it has sent in front of its end is read for that, as far as
    /// it may be kept.
    pub fn patience_ends(&self, http: &Http, client: &Client, cx: &Context) -> Option<Instant> {
        let may_have_left = client.socket.can_read()
            && (client.socket.is_ending() || client.socket.tls().is_some())
            && http.input.len() < HTTP_HEAD_BYTES_MAX
            && cx.service(client.home.service).abort_on_close;
        may_have_left.then(|| self.since + HTTP_UNWATCHED)
    }
}

fn gave_up(reason: Reason, cx: &mut Context) -> HttpStep {
    cx.stats.aborted += 1;
    HttpStep::Close(reason)
}
