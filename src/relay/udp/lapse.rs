//! Flows that are over because nothing moves any more, and those that are let go while we stop.

use std::time::Instant;

use crate::context::Context;
use crate::event::Key;
use crate::limits::{DRAIN_LOOKS, FLOWS_ENDED_PER_TURN, LAST_TAKES};

use super::Udp;
use super::ending::FlowEnd;

impl Udp {
    /// When somebody should look for flows that are over; nothing, if there are none.
    pub fn next_look(&self, now: Instant) -> Option<Instant> {
        let expiry = self.flows.next_expiry()?;
        if self.more_to_let_go {
            return Some(now);
        }
        Some(if self.stopping { expiry.min(now + DRAIN_LOOKS) } else { expiry })
    }

    /// Look for them.
    pub fn look(&mut self, cx: &mut Context) {
        for _ in 0..FLOWS_ENDED_PER_TURN {
            let Some(flow) = self.flows.expire(cx.now) else { break };
            self.end(flow, FlowEnd::Idle, cx);
        }
        if self.stopping {
            self.let_go(cx);
        }
    }

    /// No new flows from now on. Those that wait for an answer may have it.
    pub fn begin_to_drain(&mut self, cx: &mut Context) {
        (0..LAST_TAKES).for_each(|_| self.receive(cx));
        self.stopping = true;
        self.let_go(cx);
    }

    /// As many as a turn may end; the others at once in the next ones.
    fn let_go(&mut self, cx: &mut Context) {
        let done =
            self.flows.iter().filter(|(_, flow)| !self.flows.awaits_answers(flow, cx.now));
        let done: Vec<Key> = done.map(|(key, _)| key).take(FLOWS_ENDED_PER_TURN).collect();
        self.more_to_let_go = done.len() == FLOWS_ENDED_PER_TURN;
        done.into_iter().for_each(|key| self.close(key, FlowEnd::Finished, cx));
    }
}
