//! The queue of a pool: clients that wait for one of its backends while all are at their limits,
//! and those that wait for one certain backend because a cookie leads there.
//!
//! ```text
//!   free     urgent ones, then the others, each in the order in which they came --+
//!                                                                                 +--> the next
//!   lanes    the same, of those that wait for this backend; one lane a backend ---+
//! ```
//!
//! Whoever is first in the order of all that may have what is free is the next; under lasting
//! overload the last of the same class. Pure: who waits is a key, the time is passed in. Lists are
//! trees in the order of arrival: to come, to go from the middle, to be the next and to go from a
//! lane to the others each take few steps, however many wait.
//!
//! Under lasting overload nobody is helped by being served in order: all wait until shortly before
//! their timeout, and are then served too late. So once who came first has waited for
//! [`QUEUE_YOUNG`] or more, for [`QUEUE_OVERLOAD`] on end, the newest is served first, as in
//! "Fail at Scale" (B. Maurer, ACM Queue 13/8, 2015: adaptive LIFO); with that one young again, or
//! nobody there, it is first in, first out.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::config::QueueOrder;
use crate::event::{Key, ServerId, Slots};
use crate::limits::{QUEUE_OVERLOAD, QUEUE_YOUNG};
use crate::stats::QueueCounts;

/// A place in the queue, for as long as it is taken.
pub type Ticket = Key;

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Before all others.
    Urgent,
    /// After those.
    Normal,
}

/// Somebody who begins to wait.
#[derive(Debug, Clone, Copy)]
pub struct Newcomer {
    /// Who.
    pub pair: Key,
    /// Before or after the others.
    pub urgency: Urgency,
    /// The only backend that will do, and its seat.
    pub only: Option<(ServerId, usize)>,
}

/// Who waits for a pool.
#[derive(Debug, Default)]
pub struct Queue {
    waiters: Slots<Waiter>,
    /// Who waits for anybody.
    free: List,
    /// Who waits for a certain backend.
    lanes: HashMap<ServerId, Lane>,
    /// Backends of lanes that may have room, or will not have any.
    marked: VecDeque<ServerId>,
    /// All of them, by when they came.
    arrivals: BTreeMap<u64, Ticket>,
    /// How many have come.
    came: u64,
    /// Since when who came first has been old, if it is.
    overloaded_since: Option<Instant>,
    /// What became of them.
    pub counts: QueueCounts,
}

#[derive(Debug, Clone, Copy)]
struct Waiter {
    pair: Key,
    since: Instant,
    place: Place,
    only: Option<ServerId>,
}

/// The order in which they are served: by class, and then as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    urgency: Urgency,
    number: u64,
}

type List = BTreeMap<Place, Ticket>;

/// Those that wait for one backend.
#[derive(Debug)]
struct Lane {
    seat: usize,
    list: List,
    is_marked: bool,
}

impl Queue {
    /// A pair begins to wait. `None` if `limit` wait already, which is counted.
    pub fn push(&mut self, who: Newcomer, limit: usize, now: Instant) -> Option<Ticket> {
        if self.waiters.len() >= limit {
            self.counts.full += 1;
            return None;
        }
        let Newcomer { pair, urgency, only } = who;
        let place = Place { urgency, number: self.came };
        let waiter = Waiter { pair, since: now, place, only: only.map(|it| it.0) };
        let ticket = self.waiters.insert_with(|_| waiter);
        self.arrivals.insert(self.came, ticket);
        self.came += 1;
        match only {
            Some((backend, seat)) => {
                let new = || Lane { seat, list: List::new(), is_marked: false };
                let lane = self.lanes.entry(backend).or_insert_with(new);
                lane.list.insert(place, ticket);
            }
            None => {
                self.free.insert(place, ticket);
            }
        }
        self.counts.queued += 1;
        self.counts.most = self.counts.most.max(self.waiters.len() as u64);
        Some(ticket)
    }

    /// Who waited at this place does not any more. Says for how long it did.
    pub fn remove(&mut self, ticket: Ticket, now: Instant) -> Option<Duration> {
        let waiter = self.waiters.remove(ticket)?;
        self.arrivals.remove(&waiter.place.number);
        match waiter.only {
            Some(backend) => self.leave_lane(backend, waiter.place),
            None => {
                self.free.remove(&waiter.place);
            }
        }
        if self.waiters.is_empty() {
            self.overloaded_since = None;
        }
        Some(now.saturating_duration_since(waiter.since))
    }

    /// Who waits at this place for a certain backend may have any from now on, and is among the
    /// others where it would be if it had come for any.
    pub fn release(&mut self, ticket: Ticket) {
        let Some(waiter) = self.waiters.get_mut(ticket) else { return };
        let Some(backend) = waiter.only.take() else { return };
        let place = waiter.place;
        self.leave_lane(backend, place);
        self.free.insert(place, ticket);
    }

    /// The same for the first so many who wait for this backend.
    pub fn release_some(&mut self, backend: ServerId, most: usize) {
        let Some(lane) = self.lanes.get(&backend) else { return };
        let some: Vec<Ticket> = lane.list.values().take(most).copied().collect();
        some.into_iter().for_each(|ticket| self.release(ticket));
    }

    /// Who is to be served next of those that may have anybody, if there is room for such, and of
    /// those that wait for this backend; and its place, which it keeps until it is removed.
    pub fn next(
        &mut self,
        anybody: bool,
        backend: Option<ServerId>,
        order: QueueOrder,
        now: Instant,
    ) -> Option<(Ticket, Key)> {
        self.note_age(now);
        let newest_first = order == QueueOrder::Adaptive && self.is_overloaded(now);
        let lane = backend.and_then(|it| self.lanes.get(&it)).map(|lane| &lane.list);
        let lists = [anybody.then_some(&self.free), lane].into_iter().flatten();
        let found =
            lists.filter_map(|list| if newest_first { newest(list) } else { first(list) });
        let ticket = match newest_first {
            false => found.min_by_key(|it| it.0)?.1,
            true => found.min_by_key(|(it, _)| (it.urgency, u64::MAX - it.number))?.1,
        };
        Some((ticket, self.waiters.get(ticket)?.pair))
    }

    /// Who came first of all, and its place.
    pub fn oldest(&self) -> Option<(Ticket, Key)> {
        let (_, &ticket) = self.arrivals.first_key_value()?;
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

    /// How many wait for this backend and no other.
    pub fn waiting_for(&self, backend: ServerId) -> usize {
        self.lanes.get(&backend).map_or(0, |lane| lane.list.len())
    }

    /// Whether anybody waits who may have any backend.
    pub fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Since when somebody waits at this place.
    pub fn since(&self, ticket: Ticket) -> Option<Instant> {
        self.waiters.get(ticket).map(|it| it.since)
    }

    /// Whether who waits at this place waits for a certain backend.
    pub fn is_bound(&self, ticket: Ticket) -> bool {
        self.waiters.get(ticket).is_some_and(|it| it.only.is_some())
    }

    /// For how long the one has waited that has waited longest.
    pub fn longest_wait(&self, now: Instant) -> Duration {
        let first = self.arrivals.values().next();
        let since = first.and_then(|&ticket| self.since(ticket));
        since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// All who wait.
    pub fn pairs(&self) -> impl Iterator<Item = (Ticket, Key)> {
        self.waiters.iter().map(|(ticket, it)| (ticket, it.pair))
    }

    /// What is true of this backend has changed, for which somebody may wait: look at it.
    pub fn mark(&mut self, backend: ServerId) {
        let Some(lane) = self.lanes.get_mut(&backend).filter(|it| !it.is_marked) else {
            return;
        };
        lane.is_marked = true;
        self.marked.push_back(backend);
    }

    /// The first of those to be looked at, and the seat that it had.
    pub fn marked(&self) -> Option<(ServerId, usize)> {
        let &backend = self.marked.front()?;
        Some((backend, self.lanes.get(&backend)?.seat))
    }

    /// The first of those to be looked at need not be looked at any more.
    pub fn unmark(&mut self) {
        let Some(backend) = self.marked.pop_front() else { return };
        if let Some(lane) = self.lanes.get_mut(&backend) {
            lane.is_marked = false;
            if lane.list.is_empty() {
                self.lanes.remove(&backend);
            }
        }
    }

    /// The others that are to be looked at come before the first one.
    pub fn turn_marked(&mut self) {
        if !self.marked.is_empty() {
            self.marked.rotate_left(1);
        }
    }

    /// Whether some backend is to be looked at.
    pub fn has_marked(&self) -> bool {
        !self.marked.is_empty()
    }

    /// The backends for which somebody waits.
    pub fn awaited(&self) -> impl Iterator<Item = (ServerId, usize, bool)> {
        let some = self.lanes.iter().filter(|(_, lane)| !lane.list.is_empty());
        some.map(|(&backend, lane)| (backend, lane.seat, lane.is_marked))
    }

    fn leave_lane(&mut self, backend: ServerId, place: Place) {
        let Some(lane) = self.lanes.get_mut(&backend) else { return };
        lane.list.remove(&place);
        if lane.list.is_empty() && !lane.is_marked {
            self.lanes.remove(&backend);
        }
    }

    fn note_age(&mut self, now: Instant) {
        if self.longest_wait(now) < QUEUE_YOUNG {
            self.overloaded_since = None;
        } else {
            self.overloaded_since.get_or_insert(now);
        }
    }
}

fn first(list: &List) -> Option<(Place, Ticket)> {
    list.first_key_value().map(|(&place, &ticket)| (place, ticket))
}

/// The last one of the class that is first.
fn newest(list: &List) -> Option<(Place, Ticket)> {
    let (class, _) = first(list)?;
    let end = Place { urgency: class.urgency, number: u64::MAX };
    list.range(..=end).next_back().map(|(&place, &ticket)| (place, ticket))
}

#[cfg(test)]
mod tests;
