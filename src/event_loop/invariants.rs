//! What the structures of the loop must agree on between two turns: each assertion relates two of
//! them. Checked in debug builds, after every turn.

use crate::event::Owner;
use crate::limits::MIRRORS_MAX;
use crate::relay::Pair;
use crate::relay::client::Link;
use crate::services::{Listener, ListenerSocket};

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
        let users =
            self.pairs.iter().filter(|(_, pair)| pair.client.home.pool.is_some()).count();
        let flows_in_pools = self.udp.flows_in_pools();
        let flows = self.udp.flows();
        let copies = self.mirrors.under_way();
        let open = in_use + flows + copies;
        self.cx.backends.check_invariants(open, idle, users + flows_in_pools + copies);
        self.check_copies();
        self.check_listeners();
        self.health.check_invariants(&self.cx);
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
        self.check_queues();
        let is_pair =
            |owner: &Owner| matches!(*owner, Owner::Pair(key) if self.pairs.get(key).is_some());
        let waiting = self.cx.run_queue.iter().filter(is_pair).count();
        let is_flow =
            |owner: &Owner| matches!(*owner, Owner::Flow(key) if self.udp.has_flow(key));
        let flows = self.cx.run_queue.iter().filter(is_flow).count();
        assert_eq!(flows, self.udp.check_invariants(), "flows in the run queue");
        let is_line =
            |owner: &Owner| matches!(*owner, Owner::Line(key) if self.resolver.has(key));
        let lines = self.cx.run_queue.iter().filter(is_line).count();
        assert_eq!(lines, self.resolver.check_invariants(), "lines in the run queue");
        let queued = self.pairs.iter().filter(|(_, pair)| pair.client.queued).count();
        assert_eq!(waiting, queued, "who waits in the run queue waits once, and knows it");
        assert_eq!(self.cx.buffers.lent() + self.cx.pipes.lent(), holding, "buffers and flows");
        let timers =
            self.pairs.len() + self.accepting.len() + self.health.probes() + self.mirrors.len();
        let timers = timers + self.admin.connections() + Chores::COUNT;
        assert_eq!(self.cx.timers.len(), timers, "timers and their owners");
    }

    /// Who waits for a backend, and the queues of pools.
    fn check_queues(&self) {
        let mut queued = 0;
        for (pool, ticket, key) in self.cx.backends.waiting_pairs() {
            let client = self.pairs.get(key).map(|pair| &pair.client);
            let is_it = client.is_some_and(|it| {
                it.link == Link::Waiting(ticket) && it.home.pool == Some(pool)
            });
            assert!(is_it, "a place in a queue and its pair");
            queued += 1;
        }
        let waits = |pair: &&Pair| pair.client.link.is_waiting();
        let waiting = self.pairs.iter().map(|(_, pair)| pair).filter(waits).count();
        assert_eq!(waiting, queued, "pairs that wait, and their places");
        let is_called = |pair: &Pair| pair.client.link == Link::Called;
        assert!(!self.pairs.iter().any(|(_, it)| is_called(it)), "who is called picks at once");
    }

    /// Copies of requests, and those whose they are.
    fn check_copies(&self) {
        let queued = self.mirrors.check_invariants(&self.cx);
        let is_mirror =
            |owner: &Owner| matches!(*owner, Owner::Mirror(key) if self.mirrors.has(key));
        let waiting = self.cx.run_queue.iter().filter(is_mirror).count();
        assert_eq!(waiting, queued, "copies in the run queue");
        let is_here = |key| self.pairs.get(key).is_some();
        assert!(self.cx.copies.pairs().all(is_here), "what is gathered is a client's");
        assert!(self.cx.copies.len() <= MIRRORS_MAX, "copies at once");
    }

    /// Each listener and the clients that came in there.
    fn check_listeners(&self) {
        for (id, listener) in self.cx.listeners.iter() {
            let is_here = |pair: &&Pair| pair.client.listener == id;
            let pairs = self.pairs.iter().map(|(_, pair)| pair).filter(is_here).count();
            let flows = self.udp.flows_of(id);
            let open = listener.stats.open;
            assert_eq!(open, (pairs + flows) as u64, "clients of {}", listener.stats.name);
            if let ListenerSocket::Stream(accepting) = &listener.socket {
                assert!(
                    self.accepting.contains(&id),
                    "a listening socket is asked for clients"
                );
                assert_eq!(accepting.is_queued, self.ready.contains(&id), "who waits knows it");
                assert!(accepting.is_queued || !listener.is_ready(), "who is ready waits");
                let is_own = self.cx.timers.belongs_to(accepting.timer, Owner::Listener(id));
                assert!(is_own, "a listener and its timer");
            }
        }
        self.cx.listeners.check_reaped(Listener::is_free);
        let listed = self.accepting.iter().all(|&id| self.cx.listeners.get(id).is_some());
        assert!(listed, "who is asked for clients is there");
        assert!(self.ready.iter().all(|id| self.accepting.contains(id)), "who waits is asked");
    }
}
