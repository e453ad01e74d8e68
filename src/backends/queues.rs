//! Who waits for which pool, and who of all that wait is next.

use std::time::{Duration, Instant};

use crate::event::{Key, PoolId, ServerId};
use crate::limits::QUEUE_RELEASED_AT_ONCE;

use super::queue::Newcomer;
use super::{Backends, NoBackend, Pool, Ticket, Urgency};

/// Somebody whose turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Called {
    /// Who.
    pub pair: Key,
    /// For how long it has waited.
    pub waited: Duration,
}

impl Backends {
    /// Whether others wait who may have what this one wants, any backend or a certain one, so that
    /// it has to wait behind them.
    #[inline]
    pub fn has_queue_for(&self, id: Option<PoolId>, wanted: Option<ServerId>) -> bool {
        if self.queued.is_empty() {
            return false;
        }
        let Some((id, pool)) = id.and_then(|id| Some((id, self.pools.get(id)?))) else {
            return false;
        };
        let Some(backend) = wanted else {
            return pool.queue.has_free() || pool.queue.has_marked();
        };
        let place = self.place_in(backend, id);
        let is_for_all = place.is_some_and(|it| pool.is_eligible(it.index as usize));
        pool.queue.waiting_for(backend) > 0 || is_for_all && pool.queue.has_free()
    }

    /// Whether who is to have this backend waits for it, although there may be others: it has no
    /// room, is else as good as any, and the queue has a place.
    pub fn is_worth_waiting(&self, id: Option<PoolId>, backend: ServerId) -> bool {
        let Some((id, pool)) = id.and_then(|id| Some((id, self.pools.get(id)?))) else {
            return false;
        };
        let Some(place) = self.place_in(backend, id) else { return false };
        let index = place.index as usize;
        let has_place = pool.queue.len() < pool.settings.queue.limit && pool.up() > 0;
        has_place && pool.is_only_full(index)
    }

    /// A pair waits for one of the pool's members, none of which has room, or for the `only` one
    /// that will do.
    pub fn enqueue(
        &mut self,
        id: Option<PoolId>,
        pair: Key,
        urgency: Urgency,
        only: Option<ServerId>,
        now: Instant,
    ) -> Result<Ticket, NoBackend> {
        let id = id.ok_or(NoBackend::NoRoom)?;
        let seat = |backend| Some((backend, self.place_in(backend, id)?.index as usize));
        let only = only.and_then(seat);
        let pool = self.pools.get_mut(id).ok_or(NoBackend::NoRoom)?;
        let limit = pool.settings.queue.limit;
        if limit == 0 || pool.up() == 0 {
            return Err(NoBackend::NoRoom);
        }
        let only = only.filter(|&(_, seat)| pool.keeps(seat) || pool.is_only_full(seat));
        let was_empty = pool.queue.is_empty();
        let who = Newcomer { pair, urgency, only };
        let ticket = pool.queue.push(who, limit, now).ok_or(NoBackend::QueueFull)?;
        if let Some((_, seat)) = only {
            pool.note_awaited(seat);
        }
        if was_empty && !self.queued.contains(&id) {
            self.queued.push_back(id);
        }
        Ok(ticket)
    }

    /// Who waits at this place for a certain backend may have any from now on.
    pub fn release(&mut self, id: Option<PoolId>, ticket: Ticket) {
        if let Some(pool) = id.and_then(|id| self.pools.get_mut(id)) {
            pool.queue.release(ticket);
        }
    }

    /// Who waited at this place does not any more. Says for how long it did.
    pub fn dequeue(
        &mut self,
        id: Option<PoolId>,
        ticket: Ticket,
        now: Instant,
    ) -> Option<Duration> {
        self.pools.get_mut(id?)?.queue.remove(ticket, now)
    }

    /// It waited for too long.
    pub fn note_late(&mut self, id: Option<PoolId>) {
        if let Some(pool) = id.and_then(|id| self.pools.get_mut(id)) {
            pool.queue.counts.late += 1;
        }
    }

    /// It went away while it waited.
    pub fn note_left(&mut self, id: Option<PoolId>) {
        if let Some(pool) = id.and_then(|id| self.pools.get_mut(id)) {
            pool.queue.counts.left += 1;
        }
    }

    /// Whether anybody waits for any pool.
    #[inline]
    pub fn anybody_waits(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Who is next: of the pools for which somebody can be picked, each in its turn. It does not
    /// wait any more from now on. Where nobody of a pool is to have work, all who wait for it are
    /// called, to be told so.
    pub fn call(&mut self, now: Instant) -> Option<Called> {
        for _ in 0..self.queued.len() {
            let id = self.queued.pop_front()?;
            let Some(pool) = self.pools.get_mut(id).filter(|it| !it.queue.is_empty()) else {
                continue;
            };
            let next = pool.next_called(now);
            self.queued.push_back(id);
            if let Some((ticket, pair)) = next {
                let waited = pool.queue.remove(ticket, now).unwrap_or_default();
                return Some(Called { pair, waited });
            }
        }
        None
    }

    /// How many wait, for all pools.
    pub fn waiting(&self) -> usize {
        let of = |id: &PoolId| self.pools.get(*id).map_or(0, |pool| pool.queue.len());
        self.queued.iter().map(of).sum()
    }

    /// How many wait for this member of a pool and no other.
    pub fn waiting_for(&self, id: Option<PoolId>, backend: ServerId) -> usize {
        self.pool(id).map_or(0, |pool| pool.queue.waiting_for(backend))
    }

    /// All pairs that wait, and for which pool.
    pub fn waiting_pairs(&self) -> impl Iterator<Item = (PoolId, Ticket, Key)> {
        let of = |(id, pool): (PoolId, &Pool)| {
            let pairs: Vec<_> = pool.queue.pairs().collect();
            pairs.into_iter().map(move |(ticket, pair)| (id, ticket, pair))
        };
        self.pools.iter().flat_map(of)
    }

    /// Whether somebody could be called now.
    pub fn could_call(&self) -> bool {
        let calls = |id: &PoolId| {
            self.pools.get(*id).is_some_and(|pool| !pool.queue.is_empty() && pool.calls())
        };
        self.queued.iter().any(calls)
    }
}

impl Pool {
    /// Whether who waits can be served, or need not wait.
    fn calls(&self) -> bool {
        let has_room = self.available > 0 && self.queue.has_free();
        has_room || self.up() == 0 || self.queue.has_marked()
    }

    /// Who is next of those that wait, and its place.
    fn next_called(&mut self, now: Instant) -> Option<(Ticket, Key)> {
        if self.up() == 0 {
            return self.queue.oldest();
        }
        let backend = self.roomy();
        let next = self.queue.next(self.available > 0, backend, self.settings.queue.order, now);
        self.queue.turn_marked();
        next
    }

    /// A backend with room for those that wait for it and no other. Those whose backend will have
    /// none join the others: a slice of them, the rest in another turn.
    fn roomy(&mut self) -> Option<ServerId> {
        while let Some((backend, seat)) = self.queue.marked() {
            let is_awaited = self.queue.waiting_for(backend) > 0;
            let is_here = self.seat(seat).is_some_and(|it| it.server == backend);
            if is_awaited && is_here && self.keeps(seat) {
                return Some(backend);
            }
            if is_awaited && !(is_here && self.is_only_full(seat)) {
                self.queue.release_some(backend, QUEUE_RELEASED_AT_ONCE);
                if self.queue.waiting_for(backend) > 0 {
                    return None;
                }
            }
            self.queue.unmark();
        }
        None
    }

    /// Have those looked at that wait for this member, if it has room for them now or will have
    /// none.
    pub(super) fn note_awaited(&mut self, index: usize) {
        let Some(backend) = self.seat(index).map(|it| it.server) else { return };
        if self.queue.waiting_for(backend) > 0
            && (self.keeps(index) || !self.is_only_full(index))
        {
            self.queue.mark(backend);
        }
    }

    /// Whoever waits with room, or for nobody, is going to be looked at.
    pub(super) fn check_queue(&self) {
        for (backend, seat, is_marked) in self.queue.awaited() {
            let is_here = self.seat(seat).is_some_and(|it| it.server == backend);
            let rests = is_here && !self.keeps(seat) && self.is_only_full(seat);
            assert!(rests || is_marked, "who waits for a backend that has room, or never will");
        }
    }

    /// Who waits for it.
    pub fn queue(&self) -> &super::Queue {
        &self.queue
    }
}
