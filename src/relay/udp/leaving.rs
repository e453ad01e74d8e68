//! Backends that are lost are left: their flows are over, and what clients send next goes
//! elsewhere. So are listeners whose clients are to be closed.
//!
//! To end a flow takes some microseconds, and there may be ten thousand: so they are ended in
//! slices, a few hundred a turn. Meanwhile no datagram goes to such a backend: before one is given
//! to a flow it is looked whether that is to be left.

use std::time::Instant;

use crate::backends::ServerId;
use crate::config::Cidr;
use crate::context::Context;
use crate::event::{ListenerId, PoolId};
use crate::flow::{Flow, FlowKey};
use crate::limits::{FLOWS_ENDED_PER_TURN, SWEPT_PER_TURN};

use super::super::verdict::Loss;
use super::ending::FlowEnd;
use super::{Udp, Upstream};

/// Those that are being left.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Each with since when: a flow that was opened later is no concern of this.
    left: Vec<(Left, Instant)>,
    /// Where the walk through the flows is.
    at: usize,
}

/// What is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// By the flows of one pool, or by all.
    Backend(ServerId, Option<PoolId>, Loss),
    Listener(ListenerId),
    /// Those who were banned.
    Clients(Cidr),
    /// All: another process goes on with them.
    All,
}

impl Leaving {
    fn add(&mut self, what: Left, now: Instant) {
        // Those before are walked for once more: that is a look, no more.
        self.left.push((what, now));
        self.at = 0;
    }

    /// Why a flow is over, if it is.
    fn ends(&self, flow: &Flow<Upstream>) -> Option<FlowEnd> {
        let older = self.left.iter().filter(|(_, at)| flow.opened_at <= *at);
        older.into_iter().find_map(|(what, _)| match *what {
            Left::Backend(id, pool, loss) => {
                let is_it = id == flow.upstream.backend
                    && (pool.is_none() || pool == flow.upstream.home.pool);
                is_it.then_some(FlowEnd::BackendLost(loss))
            }
            Left::Listener(id) => (id == flow.client.listener).then_some(FlowEnd::Stopped),
            Left::Clients(network) => {
                let is_it = network.contains(flow.client.address().ip());
                is_it.then_some(FlowEnd::Stopped)
            }
            Left::All => Some(FlowEnd::HandedOver),
        })
    }
}

impl Udp {
    /// This backend is lost, to the flows of this pool or to all.
    pub fn leave(&mut self, backend: ServerId, pool: Option<PoolId>, loss: Loss, cx: &Context) {
        self.leaving.add(Left::Backend(backend, pool, loss), cx.now);
    }

    /// The flows that came in at this listener are over.
    pub fn leave_listener(&mut self, listener: ListenerId, cx: &Context) {
        self.leaving.add(Left::Listener(listener), cx.now);
    }

    /// The flows of these clients are over.
    pub fn leave_clients(&mut self, network: Cidr, cx: &Context) {
        self.leaving.add(Left::Clients(network), cx.now);
    }

    /// All flows are another process's.
    pub(super) fn leave_all(&mut self, cx: &Context) {
        self.leaving.add(Left::All, cx.now);
    }

    /// How many flows of this pool lead there.
    pub fn flows_to(&self, backend: ServerId, pool: Option<PoolId>) -> usize {
        let of = |it: &Upstream| it.backend == backend && it.home.pool == pool;
        let places = (0..self.flows.places()).filter_map(|place| self.flows.at(place));
        places.filter(|(_, flow)| of(&flow.upstream)).count()
    }

    /// Whether flows are left to be ended for that.
    pub fn is_leaving(&self) -> bool {
        !self.leaving.left.is_empty()
    }

    /// End some of them.
    #[inline]
    pub fn leave_some(&mut self, cx: &mut Context) {
        if self.is_leaving() {
            self.walk_and_end(cx);
        }
    }

    #[cold]
    fn walk_and_end(&mut self, cx: &mut Context) {
        let mut ended = 0;
        for _ in 0..SWEPT_PER_TURN {
            let place = self.leaving.at;
            if place >= self.flows.places() {
                self.leaving.left.clear();
                return;
            }
            let flow = self.flows.at(place);
            let ends = flow.and_then(|(key, flow)| Some((key, self.leaving.ends(flow)?)));
            if let Some((key, end)) = ends {
                if ended == FLOWS_ENDED_PER_TURN {
                    return;
                }
                ended += 1;
                self.close(key, end, cx);
            }
            self.leaving.at += 1;
        }
    }

    /// Datagrams of this client come: the flow that it has does not get them if it is to be left.
    pub(super) fn leave_before(&mut self, client: &FlowKey, cx: &mut Context) {
        if !self.is_leaving() {
            return;
        }
        let flow = self.flows.of_client(client);
        if let Some((key, end)) = flow.and_then(|(key, it)| Some((key, self.leaving.ends(it)?)))
        {
            self.close(key, end, cx);
        }
    }
}
