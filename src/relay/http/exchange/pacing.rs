//! Whether the client of an exchange is waited for, and what comes of one that is too slow.

use std::time::Instant;

use crate::access_log::Cause;
use crate::config::MinRate;
use crate::context::Context;
use crate::net::Socket;
use crate::relay::account::OwnAnswer;
use crate::relay::client::Client;
use crate::relay::verdict::Reason;
use crate::stats::traffic::Blame;

use super::super::{Http, HttpState, HttpStep};
use super::Exchange;

/// What the client has given and taken so far, in bytes; what waits for it in our kernel is not
/// taken yet.
fn moved(client: &Client) -> u64 {
    let response = &client.duplex.response;
    let taken = client.socket.taken_by_peer().unwrap_or_else(|| response.moved());
    client.duplex.request.moved() + taken
}

impl Exchange {
    /// Whether its answer waits until the client takes some of it.
    fn waits_for_reader(&self, client: &Client) -> bool {
        client.duplex.response.held() > 0 && !client.socket.can_write()
    }

    /// Whether the backend waits until the client sends more of its body.
    fn waits_for_body(&self, client: &Client, cx: &Context) -> bool {
        let connection = client.link.key().and_then(|key| cx.connections.get(key));
        client.link.is_connected()
            && !self.request.is_read()
            && !self.is_asked
            && !self.backend_stopped_reading
            && client.duplex.request.held() == 0
            && connection.is_some_and(|connection| connection.stream.can_write())
    }

    /// Whether nothing is done before the client does something. One that still sends its body may
    /// leave its answer until later.
    fn waits_for_client(&self, client: &Client, cx: &Context) -> bool {
        self.waits_for_body(client, cx) || self.is_asked && self.waits_for_reader(client)
    }

    /// A turn ends.
    pub(in crate::relay::http) fn note_pace(&mut self, client: &Client, cx: &Context) {
        let is_awaited = self.waits_for_client(client, cx);
        self.pace.note(is_awaited, cx.now, || moved(client));
    }

    /// When it is looked at next how much moved, if the client is waited for.
    pub(in crate::relay::http) fn pace_ends(&self, floor: &MinRate) -> Option<Instant> {
        self.pace.ends(floor)
    }

    /// A window is over: end the exchange if too little moved in it.
    #[cold]
    pub(in crate::relay::http) fn check_pace(
        mut self: Box<Self>,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        let floor = cx.service(client.home.service).slowness.min_rate;
        if floor.is_none_or(|floor| self.pace.is_enough(&floor, cx.now, moved(client))) {
            http.state = HttpState::Exchange(self);
            return HttpStep::Wait;
        }
        if self.waits_for_reader(client) {
            cx.stats.slow_clients.readers += 1;
            return HttpStep::Close(Reason::ClientTooSlow);
        }
        cx.stats.slow_clients.bodies += 1;
        if self.answer.has_begun() {
            return HttpStep::Close(Reason::ClientTooSlow);
        }
        let why = "the request body comes too slowly";
        self.reply(OwnAnswer::saying(408, Cause::MinRate, why), http, client, cx)
    }

    /// The request took as long as it may.
    #[cold]
    pub(in crate::relay::http) fn too_long(
        self: Box<Self>,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        let by_client = self.waits_for_client(client, cx) || self.waits_for_reader(client);
        let blame = if by_client { Blame::Client } else { Blame::Server };
        if self.answer.has_begun() || client.duplex.response.held() > 0 {
            return HttpStep::Close(Reason::RequestTooLong(blame));
        }
        let own = match blame {
            Blame::Client => OwnAnswer::new(408, Cause::RequestTooSlow),
            Blame::Server | Blame::Nobody => OwnAnswer::new(504, Cause::AnswerTooSlow),
        };
        self.reply(own, http, client, cx)
    }
}
