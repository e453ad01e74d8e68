//! Backends that went down are left: their flows are over, and what clients send next goes
//! elsewhere.
//!
//! To end a flow takes some microseconds, and there may be ten thousand: so they are ended in
//! slices, a few hundred a turn. Meanwhile no datagram goes to such a backend: before one is given
//! to a flow it is looked whether that is to be left.

use std::time::Instant;

use crate::backends::ServerId;
use crate::context::Context;
use crate::event::Key;
use crate::flow::{Flow, FlowKey};
use crate::limits::{FLOWS_ENDED_PER_TURN, SWEPT_PER_TURN};

use super::ending::FlowEnd;
use super::{Udp, Upstream};

/// The backends that are being left.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Each with when it fell: a flow that was opened later is no concern of this fall.
    fallen: Vec<(ServerId, Instant)>,
    /// Where the walk through the flows is.
    at: usize,
}

impl Leaving {
    fn concerns(&self, flow: &Flow<Upstream>) -> bool {
        let fell = |&(id, at): &(ServerId, Instant)| {
            id == flow.upstream.backend && flow.opened_at <= at
        };
        self.fallen.iter().any(fell)
    }
}

impl Udp {
    /// This backend went down.
    pub fn leave(&mut self, backend: ServerId, cx: &Context) {
        // Those before are walked for once more: that is a look, no more.
        self.leaving.fallen.push((backend, cx.now));
        self.leaving.at = 0;
    }

    /// Whether flows are left to be ended for that.
    pub fn is_leaving(&self) -> bool {
        !self.leaving.fallen.is_empty()
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
                self.leaving.fallen.clear();
                return;
            }
            let flow = self.flows.at(place).filter(|(_, flow)| self.leaving.concerns(flow));
            if let Some(key) = flow.map(|(key, _)| key) {
                if ended == FLOWS_ENDED_PER_TURN {
                    return;
                }
                ended += 1;
                self.close(key, FlowEnd::BackendDown, cx);
            }
            self.leaving.at += 1;
        }
    }

    /// Datagrams of this client come: the flow that it has does not get them if it is to be left.
    pub(super) fn leave_before(&mut self, client: &FlowKey, cx: &mut Context) {
        if !self.is_leaving() {
            return;
        }
        let key: Option<Key> = match self.flows.of_client(client) {
            Some((key, flow)) if self.leaving.concerns(flow) => Some(key),
            _ => None,
        };
        if let Some(key) = key {
            self.close(key, FlowEnd::BackendDown, cx);
        }
    }
}
