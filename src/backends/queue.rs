//! The queue of a pool: clients that wait for one of its backends while all are at their limits.
//!
//! ```text
//!   urgent   head <-> ... <-> tail --+
//!                                    +--> the next: urgent ones first, of each class the head;
//!   normal   head <-> ... <-> tail --+    under lasting overload the tail
//! ```
//!
//! Pure: who waits is a key, the time is passed in. Two lists linked through one slab: to come, to
//! go from the middle and to be the next each take the same few steps, however many wait.
//!
//! Under lasting overload nobody is helped by being served in order: all wait until shortly before
//! their timeout, and are then served too late. So once the head of a class has waited for
//! [`QUEUE_YOUNG`] or more, for [`QUEUE_OVERLOAD`] on end, the newest is served first, as in
//! "Fail at Scale" (B. Maurer, ACM Queue 13/8, 2015: adaptive LIFO); with the head young again, or
//! nobody there, it is first in, first out.

use std::time::{Duration, Instant};

use crate::config::QueueOrder;
use crate::event::{Key, Slots};
use crate::limits::{QUEUE_OVERLOAD, QUEUE_YOUNG};
use crate::stats::QueueCounts;

/// A place in the queue, for as long as it is taken.
pub type Ticket = Key;

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Before all others.
    Urgent,
    /// After those.
    Normal,
}

/// Who waits for a pool.
#[derive(Debug, Default)]
pub struct Queue {
    waiters: Slots<Waiter>,
    urgent: List,
    normal: List,
    /// Since when the heads have been old, if they are.
    overloaded_since: Option<Instant>,
    /// What became of them.
    pub counts: QueueCounts,
}

#[derive(Debug, Clone, Copy)]
struct Waiter {
    pair: Key,
    since: Instant,
    urgency: Urgency,
    before: Option<Ticket>,
    behind: Option<Ticket>,
}

#[derive(Debug, Clone, Copy, Default)]
struct List {
    head: Option<Ticket>,
    tail: Option<Ticket>,
}

impl Queue {
    /// A pair begins to wait. `None` if `limit` wait already, which is counted.
    pub fn push(
        &mut self,
        pair: Key,
        urgency: Urgency,
        limit: usize,
        now: Instant,
    ) -> Option<Ticket> {
        if self.waiters.len() >= limit {
            self.counts.full += 1;
            return None;
        }
        let before = self.list(urgency).tail;
        let waiter = Waiter { pair, since: now, urgency, before, behind: None };
        let ticket = self.waiters.insert_with(|_| waiter);
        match before.and_then(|key| self.waiters.get_mut(key)) {
            Some(last) => last.behind = Some(ticket),
            None => self.list(urgency).head = Some(ticket),
        }
        self.list(urgency).tail = Some(ticket);
        self.counts.queued += 1;
        self.counts.most = self.counts.most.max(self.waiters.len() as u64);
        Some(ticket)
    }

    /// Who waited at this place does not any more. Says for how long it did.
    pub fn remove(&mut self, ticket: Ticket, now: Instant) -> Option<Duration> {
        let waiter = self.waiters.remove(ticket)?;
        let Waiter { before, behind, urgency, .. } = waiter;
        match before.and_then(|key| self.waiters.get_mut(key)) {
            Some(it) => it.behind = behind,
            None => self.list(urgency).head = behind,
        }
        match behind.and_then(|key| self.waiters.get_mut(key)) {
            Some(it) => it.before = before,
            None => self.list(urgency).tail = before,
        }
        if self.waiters.is_empty() {
            self.overloaded_since = None;
        }
        Some(now.saturating_duration_since(waiter.since))
    }

    /// Who is to be served next, and its place, which it keeps until it is removed.
    pub fn next(&mut self, order: QueueOrder, now: Instant) -> Option<(Ticket, Key)> {
        self.note_age(now);
        let newest_first = order == QueueOrder::Adaptive && self.is_overloaded(now);
        let list = if self.urgent.head.is_some() { self.urgent } else { self.normal };
        let ticket = if newest_first { list.tail } else { list.head }?;
        Some((ticket, self.waiters.get(ticket)?.pair))
    }

    /// Whether the newest is served first, if the order is adaptive.
    pub fn is_overloaded(&self, now: Instant) -> bool {
        let since = |at: Instant| now.saturating_duration_since(at);
        self.overloaded_since.is_some_and(|at| since(at) >= QUEUE_OVERLOAD)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Since when somebody waits at this place.
    pub fn since(&self, ticket: Ticket) -> Option<Instant> {
        self.waiters.get(ticket).map(|it| it.since)
    }

    /// For how long the one has waited that has waited longest.
    pub fn longest_wait(&self, now: Instant) -> Duration {
        let heads = [self.urgent.head, self.normal.head].into_iter().flatten();
        let since = heads.filter_map(|ticket| self.since(ticket)).min();
        since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// All who wait.
    pub fn pairs(&self) -> impl Iterator<Item = (Ticket, Key)> {
        self.waiters.iter().map(|(ticket, it)| (ticket, it.pair))
    }

    fn note_age(&mut self, now: Instant) {
        if self.longest_wait(now) < QUEUE_YOUNG {
            self.overloaded_since = None;
        } else {
            self.overloaded_since.get_or_insert(now);
        }
    }

    fn list(&mut self, urgency: Urgency) -> &mut List {
        match urgency {
            Urgency::Urgent => &mut self.urgent,
            Urgency::Normal => &mut self.normal,
        }
    }
}

#[cfg(test)]
mod tests;
