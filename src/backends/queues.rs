//! Who waits for which pool, and who of all that wait is next.

use std::time::{Duration, Instant};

use crate::event::{Key, PoolId};

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
    /// Whether somebody waits for this pool, so that who comes now has to wait behind.
    #[inline]
    pub fn has_queue(&self, id: Option<PoolId>) -> bool {
        !self.queued.is_empty() && self.pool(id).is_some_and(|pool| !pool.queue.is_empty())
    }

    /// A pair waits for one of the pool's members, none of which has room.
    pub fn enqueue(
        &mut self,
        id: Option<PoolId>,
        pair: Key,
        urgency: Urgency,
        now: Instant,
    ) -> Result<Ticket, NoBackend> {
        let id = id.ok_or(NoBackend::NoRoom)?;
        let pool = self.pools.get_mut(id).ok_or(NoBackend::NoRoom)?;
        let limit = pool.settings.queue.limit;
        if limit == 0 || pool.up() == 0 {
            return Err(NoBackend::NoRoom);
        }
        let was_empty = pool.queue.is_empty();
        let ticket = pool.queue.push(pair, urgency, limit, now).ok_or(NoBackend::QueueFull)?;
        if was_empty && !self.queued.contains(&id) {
            self.queued.push_back(id);
        }
        Ok(ticket)
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
            let next = pool.calls().then(|| pool.queue.next(pool.settings.queue.order, now));
            self.queued.push_back(id);
            if let Some((ticket, pair)) = next.flatten() {
                let waited = pool.queue.remove(ticket, now).unwrap_or_default();
                return Some(Called { pair, waited });
            }
        }
        None
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
        self.available > 0 || self.up() == 0
    }

    /// Who waits for it.
    pub fn queue(&self) -> &super::Queue {
        &self.queue
    }
}
