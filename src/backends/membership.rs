//! Who is in which pool, and with which weight: what may change while the program runs.
//!
//! A backend that leaves a pool is not given to its clients any more, nor found by their cookies;
//! the connections that it has go on, and are counted as its own. What the algorithms put off at a
//! change is done in slices by [`Backends::work`].

use std::time::Instant;

use crate::balance::Work;
use crate::config::AllDown;
use crate::limits::WEIGHT_ONE;

use super::{BackendId, Backends, Place, PoolId};

impl Backends {
    /// It is a member of this pool from now on; nothing happens if it was.
    pub fn join(&mut self, id: BackendId, pool: PoolId) {
        if self.place_in(id, pool).is_some() {
            return;
        }
        let none_was_up = self.pool(pool).up() == 0;
        self.sit(id, pool);
        self.refresh(id.index());
        self.members_changed(pool, none_was_up);
    }

    /// It is no member of this pool any more; nothing happens if it was none.
    pub fn leave(&mut self, id: BackendId, pool: PoolId) {
        let Some(place) = self.place_in(id, pool) else { return };
        let none_was_up = self.pool(pool).up() == 0;
        self.pools[usize::from(pool.0)].leave(place.index, &self.list[id.index()]);
        self.list[id.index()].places.retain(|place| place.pool != pool);
        self.members_changed(pool, none_was_up);
    }

    /// It has another weight from now on. A slow start that it is in goes on.
    pub fn reweigh(&mut self, id: BackendId, weight: u32, now: Instant) {
        let backend = &mut self.list[id.index()];
        backend.weight = weight;
        backend.effective_weight = weight * WEIGHT_ONE;
        if backend.ramp_from.is_some() {
            self.step_ramp(id.index(), now);
        }
        self.reseat(id);
    }

    /// It is a backup in all of its pools from now on, or none any more.
    pub fn set_backup(&mut self, id: BackendId, backup: bool) {
        self.list[id.index()].backup = backup;
        self.reseat(id);
    }

    /// Whether [`Backends::work`] is to be called.
    pub fn has_work(&self) -> bool {
        !self.at_work.is_empty()
    }

    /// A slice of what one of the algorithms put off: about so many small steps.
    pub fn work(&mut self, budget: usize) {
        let Some(&pool) = self.at_work.front() else { return };
        if self.pools[usize::from(pool.0)].work(budget) == Work::Done {
            self.at_work.pop_front();
        }
    }

    /// Give it a seat, and leave the rest to the caller.
    pub(super) fn sit(&mut self, id: BackendId, pool: PoolId) {
        let backend = &mut self.list[id.index()];
        let index = self.pools[usize::from(pool.0)].join(id, backend);
        backend.places.push(Place { pool, index });
    }

    /// What the operator says of it changed: tell all of its pools.
    pub(super) fn reseat(&mut self, id: BackendId) {
        for place in self.list[id.index()].places.clone() {
            let pool = &mut self.pools[usize::from(place.pool.0)];
            pool.reweigh(place.index, &self.list[id.index()]);
            self.put_to_work(place.pool);
        }
        self.refresh(id.index());
    }

    fn members_changed(&mut self, pool: PoolId, none_was_up: bool) {
        self.put_to_work(pool);
        let none_is_up = self.pool(pool).up() == 0;
        if self.policy.all_down == AllDown::Spread && none_was_up != none_is_up {
            self.refresh_pool(pool);
        }
    }

    fn put_to_work(&mut self, pool: PoolId) {
        if !self.at_work.contains(&pool) {
            self.at_work.push_back(pool);
        }
    }

    fn place_in(&self, id: BackendId, pool: PoolId) -> Option<Place> {
        self[id].places.iter().find(|place| place.pool == pool).copied()
    }
}
