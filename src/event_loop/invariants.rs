//! What the structures of the loop must agree on between two turns: each assertion relates two of
//! them. Checked in debug builds, after every turn.

use crate::event::Owner;
use crate::relay::Pair;

use super::EventLoop;
use super::chores::Chores;

impl EventLoop {
    /// What the structures must agree on between two turns.
    pub(super) fn check_invariants(&self) {
        let closing =
            self.pairs.iter().filter(|(_, pair)| pair.client.closing.is_some()).count();
        assert_eq!(closing, self.dead.len(), "who is closing is to be reaped");
        let in_use =
            self.cx.connections.iter().filter(|(_, c)| c.user.pair().is_some()).count();
        let idle = self.cx.connections.len() - in_use - self.cx.retired();
        self.cx.backends.check_invariants(in_use + self.udp.flows(), idle);
        let mut holding = 0;
        for (key, Pair { client, .. }) in self.pairs.iter() {
            assert!(
                self.cx.timers.belongs_to(client.timer, Owner::Pair(key)),
                "pair and timer"
            );
            let connection = client.link.key().and_then(|key| self.cx.connections.get(key));
            let owner = connection.and_then(|c| c.user.pair());
            assert!(owner == client.link.key().map(|_| key), "pair and connection");
            holding += usize::from(client.duplex.request.held() > 0);
            holding += usize::from(client.duplex.response.held() > 0);
        }
        let is_pair =
            |owner: &Owner| matches!(*owner, Owner::Pair(key) if self.pairs.get(key).is_some());
        let waiting = self.cx.run_queue.iter().filter(is_pair).count();
        let is_flow =
            |owner: &Owner| matches!(*owner, Owner::Flow(key) if self.udp.has_flow(key));
        let flows = self.cx.run_queue.iter().filter(is_flow).count();
        assert_eq!(flows, self.udp.check_invariants(), "flows in the run queue");
        let queued = self.pairs.iter().filter(|(_, pair)| pair.client.queued).count();
        assert_eq!(waiting, queued, "who waits in the run queue waits once, and knows it");
        assert_eq!(self.cx.buffers.lent() + self.cx.pipes.lent(), holding, "buffers and flows");
        let timers =
            self.pairs.len() + self.listeners.len() + self.health.probes() + Chores::COUNT;
        assert_eq!(self.cx.timers.len(), timers, "timers and their owners");
    }
}
