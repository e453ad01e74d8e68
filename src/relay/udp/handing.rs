//! Flows that go to another process, and those that come from one.
//!
//! From the moment at which the first of them is written down until the other process has them, no
//! datagram is read here: they wait in the buffers of the sockets, which are the same for both.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::context::{Context, Home};
use crate::event::{Key, ListenerId, Owner, ServerId};
use crate::flow::FlowKey;
use crate::limits::HEARD_UNTIL_BUSY;
use crate::net::DatagramSocket;
use crate::takeover::FlowRow;

use super::{Udp, Upstream, guarded};

impl Udp {
    /// Nothing is read any more.
    pub fn freeze(&mut self) {
        self.is_frozen = true;
    }

    /// It is again; whoever may have got something meanwhile is looked at.
    pub fn thaw(&mut self, cx: &mut Context) {
        if !std::mem::take(&mut self.is_frozen) {
            return;
        }
        for id in cx.listeners.ids() {
            self.mark_listener(id, cx);
        }
        let flows: Vec<Key> = self.flows.iter().map(|(key, _)| key).collect();
        flows.into_iter().for_each(|key| self.mark_flow(key, cx));
    }

    /// How many places of flows there are, free ones included.
    pub fn places(&self) -> usize {
        self.flows.places()
    }

    /// The flow at this place, if there is one that another process can go on with, and its socket
    /// to the backend.
    pub fn row_at(
        &self,
        place: usize,
        cx: &Context,
        place_of: impl Fn(ListenerId) -> Option<u32>,
    ) -> io::Result<Option<(FlowRow, OwnedFd)>> {
        let Some((_, flow)) = self.flows.at(place) else { return Ok(None) };
        let Some(listener) = place_of(flow.client.listener) else { return Ok(None) };
        let upstream = &flow.upstream;
        let age = cx.now.saturating_duration_since(flow.opened_at);
        let row = FlowRow {
            listener,
            peer: flow.client.peer(),
            local: flow.client.local(),
            client: flow.client.behind(),
            is_current: flow.is_current(),
            pool: cx.backends.pool_name(upstream.home.pool).to_owned(),
            backend: cx.backends.name(upstream.backend).to_owned(),
            age: u64::try_from(age.as_micros()).unwrap_or(u64::MAX),
            requests: flow.requests,
            answers: flow.answers,
            sent: upstream.bytes_sent,
            received: upstream.bytes_received,
            ahead: upstream.ahead.as_deref().unwrap_or_default().to_vec(),
        };
        Ok(Some((row, upstream.socket.copy()?)))
    }

    /// Another process has those that came in at these listeners: they are over here, and counted
    /// there. The others are cut off.
    pub fn hand_over(&mut self, is_taken: impl Fn(ListenerId) -> bool, cx: &Context) {
        self.is_frozen = true;
        let others = cx.listeners.ids().into_iter().filter(|id| !is_taken(*id));
        others.for_each(|id| self.leave_listener(id, cx));
        self.leave_all(cx);
    }

    /// A flow of another process, which came in at this listener and leads to this server. Says
    /// whether it goes on here. How long nothing has moved on it is counted from now. Those that
    /// are not current come first.
    pub fn adopt(
        &mut self,
        row: &FlowRow,
        socket: OwnedFd,
        (listener, home, server): (ListenerId, Home, ServerId),
        cx: &mut Context,
    ) -> bool {
        let Some(class) = self.classes.get(listener) else { return false };
        let client = FlowKey::new(listener, row.peer, row.local);
        let client = row.client.map_or(client, |it| client.of_client(it));
        if self.flows.is_full() || row.is_current && self.flows.of_client(&client).is_some() {
            return false;
        }
        let mut upstream = Upstream::new(DatagramSocket::adopt(socket), server, home, None);
        upstream.ahead = (!row.ahead.is_empty()).then(|| row.ahead.clone().into());
        upstream.bytes_sent = row.sent;
        upstream.bytes_received = row.received;
        upstream.counted = guarded::begin(&client, cx);
        cx.backends.taken_over(server);
        cx.enter_again(home);
        cx.stats.udp.open += 1;
        cx.listeners[listener].stats.open += 1;
        let (key, _) = self.flows.open(client, class, upstream, cx.now);
        if !row.is_current {
            self.flows.detach(key);
        }
        if row.answers > 0 {
            self.flows.answers(key, 1, cx.now);
        }
        let Some(flow) = self.flows.get_mut(key) else { return false };
        let age = Duration::from_micros(row.age);
        flow.opened_at = cx.now.checked_sub(age).unwrap_or(cx.now);
        flow.requests = row.requests;
        flow.answers = row.answers;
        if row.answers >= HEARD_UNTIL_BUSY {
            // The process before has asked for it: what comes would be taken for one datagram.
            flow.upstream.socket.coalesce();
        }
        if flow.upstream.socket.register(&cx.registry, Owner::Flow(key)).is_err() {
            self.close(key, super::FlowEnd::Exhausted, cx);
            return false;
        }
        // What waits at it already is an event of its own: thousands need not be looked at for it.
        true
    }
}
