//! Step 7 of the turn: what died is freed. And who dies because its backend went down or was
//! removed.
//!
//! Closing a socket is dear, some ten microseconds, and thousands may die at once: so each turn
//! frees as many as its time allows. The others stay in their slots, inert.

use std::time::Instant;

use log::debug;

use crate::admin::users::connections_of;
use crate::backends::Flip;
use crate::event::{Key, ListenerId, PoolId, ServerId};
use crate::limits::{STEP_TIME, SWEPT_PER_TURN};
use crate::relay::{Loss, Pair, Reason, waiting};

use super::{EventLoop, RunState};

/// The backends that are lost whose connections are still being closed, for `--on-down close` and
/// `--on-removed close`.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    lost: Vec<Lost>,
    /// Those that the present walk through the connections looks for.
    walking: Vec<Lost>,
    /// How far it is.
    at: usize,
}

/// A backend that is lost.
#[derive(Debug, Clone, Copy)]
struct Lost {
    server: ServerId,
    /// To clients of this pool, or to all.
    pool: Option<PoolId>,
    /// What was begun later is no concern of this.
    at: Instant,
    loss: Loss,
}

impl Eviction {
    pub fn is_going_on(&self) -> bool {
        !self.listeners.is_empty()
    }
}

impl Sweep {
    fn is_over(&self) -> bool {
        self.lost.is_empty() && self.walking.is_empty()
    }
}

/// Listeners that were removed and whose clients are being closed.
#[derive(Debug, Default)]
pub(super) struct Eviction {
    listeners: Vec<ListenerId>,
    /// How far the walk through the pairs is.
    at: usize,
}

impl EventLoop {
    /// Whether the next turn has somebody to close or to free.
    pub(super) fn has_closing_left(&self) -> bool {
        !self.dead.is_empty()
            || self.cx.retired() > 0
            || !self.sweep.is_over()
            || self.eviction.is_going_on()
            || self.banishing.is_going_on()
    }

    /// The pair is over: the end of the turn reaps it.
    pub(super) fn close(&mut self, key: Key, reason: Reason) {
        if let Some(pair) = self.pairs.get_mut(key)
            && pair.client.closing.is_none()
        {
            pair.client.closing = Some(reason);
            waiting::end(reason, &mut pair.client, &mut self.cx);
            self.dead.push_back(key);
        }
    }

    /// Who came in at this listener, which takes nobody new, is closed.
    pub(super) fn evict(&mut self, listener: ListenerId) {
        self.udp.leave_listener(listener, &self.cx);
        // Those before are walked for once more: that is a look, no more.
        self.eviction.listeners.push(listener);
        self.eviction.at = 0;
    }

    /// A part of that: so many pairs are looked at in a turn.
    #[cold]
    pub(super) fn evict_some(&mut self) {
        for _ in 0..SWEPT_PER_TURN {
            if self.eviction.at >= self.pairs.places() {
                return self.eviction.listeners.clear();
            }
            let is_it = |pair: &Pair| self.eviction.listeners.contains(&pair.client.listener);
            let pair = self.pairs.at(self.eviction.at).filter(|(_, pair)| is_it(pair));
            if let Some(key) = pair.map(|(key, _)| key) {
                self.close(key, Reason::Stopped);
            }
            self.eviction.at += 1;
        }
    }

    /// Backends went down. Flows to them are over, whatever `--on-down` says of connections: no
    /// byte of theirs is lost that would not be lost anyway.
    #[cold]
    pub(super) fn leave_backends(&mut self) {
        let mut fallen = self.cx.backends.take_flips();
        self.tell_flips(&fallen);
        fallen.retain(|&(_, flip)| flip == Flip::Down);
        let now = self.cx.now;
        for (server, _) in fallen {
            self.cx.retire_idle(server);
            self.udp.leave(server, None, Loss::Down, &self.cx);
            if self.cx.backends.closes_on_down(server) {
                let lost = Lost { server, pool: None, at: now, loss: Loss::Down };
                self.sweep.lost.push(lost);
            }
        }
    }

    /// A part of that: so many connections are looked at in a turn, and closed as far as its time
    /// goes.
    pub(super) fn sweep(&mut self) {
        if self.sweep.is_over() {
            return;
        }
        if self.sweep.walking.is_empty() {
            self.sweep.walking = std::mem::take(&mut self.sweep.lost);
            self.sweep.at = 0;
        }
        let end = self.cx.connections.places();
        let mut share = self.pace.share(STEP_TIME, usize::MAX);
        for _ in 0..SWEPT_PER_TURN {
            if self.sweep.at >= end {
                return self.sweep.walking.clear();
            }
            let at = self.sweep.at;
            if let Some((_, connection)) = self.cx.connections.at(at) {
                let is_it = |lost: &&Lost| {
                    lost.server == connection.backend && connection.started_at <= lost.at
                };
                let mut lost = self.sweep.walking.iter().filter(is_it);
                let pair = connection.user.pair();
                let lost = pair
                    .and_then(|key| Some((key, lost.find(|lost| self.loses(key, lost))?.loss)));
                if let Some((key, loss)) = lost {
                    if !share.allows(&mut self.pace) {
                        return;
                    }
                    if self.with_pair(key, |pair, cx| pair.on_backend_lost(loss, cx)) {
                        share.note_large();
                    }
                }
            }
            self.sweep.at += 1;
        }
    }

    /// Whether a pair is to be closed because this server of its is lost: if its pool wants that,
    /// and does not itself go on with the server.
    fn loses(&self, key: Key, lost: &Lost) -> bool {
        let pool = self.pairs.get(key).and_then(|pair| pair.client.home.pool);
        if lost.pool.is_some() && lost.pool != pool {
            return false;
        }
        match lost.loss {
            Loss::Down => self.cx.backends.closes_in(lost.server, pool),
            Loss::Removed => self.cx.backends.closes_removed(lost.server, pool),
            Loss::Told => true,
        }
    }

    /// It is no member of this pool any more, or the pool itself goes: its connections and flows
    /// are closed if the pool wants it.
    pub(super) fn lose(&mut self, server: ServerId, pool: PoolId) {
        if !self.cx.backends.closes_removed(server, Some(pool)) {
            return;
        }
        self.leave_server(server, Some(pool), Loss::Removed);
    }

    fn leave_server(&mut self, server: ServerId, pool: Option<PoolId>, loss: Loss) {
        self.sweep.lost.push(Lost { server, pool, at: self.cx.now, loss });
        self.udp.leave(server, pool, loss, &self.cx);
    }

    /// An operator wants the connections to this server closed, those of a pool's clients or all.
    /// Says how many there are.
    pub(super) fn close_backend(&mut self, server: ServerId, pool: Option<PoolId>) -> usize {
        self.cx.retire_idle(server);
        self.leave_server(server, pool, Loss::Told);
        usize::try_from(self.connections_of(server, pool)).unwrap_or(usize::MAX)
    }

    /// Connections and flows of a pool's clients to a server.
    pub(super) fn connections_of(&self, server: ServerId, pool: Option<PoolId>) -> u64 {
        connections_of(server, pool, &self.cx, &self.pairs, &self.udp)
    }

    /// Free what died. Nothing else in the program frees a slot.
    pub(super) fn reap(&mut self) {
        self.reap_connections();
        self.udp.reap();
        self.reap_mirrors();
        if self.resolver.has_over() {
            self.resolver.reap();
        }
        self.reap_leaving();
    }

    fn reap_connections(&mut self) {
        if self.dead.is_empty() && self.cx.retired() == 0 {
            return;
        }
        let all = self.state == RunState::Stopping;
        let mut share = self.pace.share(STEP_TIME, usize::MAX);
        while (all || share.allows(&mut self.pace))
            && let Some(key) = self.dead.pop_front()
        {
            self.free(key);
        }
        while self.cx.retired() > 0 && (all || share.allows(&mut self.pace)) {
            self.cx.reap_connection();
        }
    }

    fn free(&mut self, key: Key) {
        let Some(mut pair) = self.pairs.remove(key) else { return };
        let reason = pair.client.closing.unwrap_or(Reason::Finished);
        pair.on_close(reason, &mut self.cx);
        self.count_end(&pair, reason);
        let client = &mut pair.client;
        let torn = client.torn_ends(reason);
        if torn.client {
            client.socket.reset_on_close();
        } else {
            client.socket.say_goodbye();
        }
        let (connection, mut buffers) = self.cx.connection_and_buffers(client.link.key());
        client.duplex.end(&mut buffers);
        if let Some(connection) = connection.filter(|_| torn.backend) {
            connection.stream.reset_on_close();
        }
        if let Some(connection) = client.link.key() {
            self.cx.retire(connection);
        }
        self.cx.timers.remove(client.timer);
        self.cx.lose_copy(key);
    }

    fn count_end(&mut self, pair: &Pair, reason: Reason) {
        let client = &pair.client;
        self.cx.stats.open -= 1;
        self.cx.leave_listener(client.listener);
        self.cx.exit(client.home);
        match reason {
            Reason::Finished => self.cx.stats.finished += 1,
            Reason::TooOld => {
                self.cx.stats.connections_too_old += 1;
                self.cx.stats.failed += 1;
            }
            Reason::Refused(_) => {
                self.cx.stats.refused += 1;
                self.cx.stats.failed += 1;
            }
            _ => self.cx.stats.failed += 1,
        }
        debug!(
            "pair {}: {}: {}; {} bytes sent on, {} answered, {:.3} s",
            client.number,
            pair.doing(),
            reason.spelled(self.cx.spelling),
            client.duplex.request.moved(),
            client.duplex.response.moved(),
            self.cx.now.saturating_duration_since(client.opened_at(&self.cx)).as_secs_f64()
        );
    }
}
