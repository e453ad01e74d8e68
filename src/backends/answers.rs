//! What answers say of the backends: who is left out for a while.

use std::time::{Duration, Instant};

use log::{info, warn};

use crate::balance::Observation;
use crate::stats::Failure;

use super::{BackendId, Backends, Conduct, Place};

impl Backends {
    /// The head of an answer of it came, so long after the request.
    pub fn answered(&mut self, id: BackendId, status: u16, took: Duration, now: Instant) {
        self.list[id.0 as usize].answers.count(status, took, now);
        if status >= 500 {
            return self.misbehaved(id, took, now);
        }
        self.observe(id, Observation::Connected(took), now);
    }

    /// An answer was whole, and if it had a status, that was below 500.
    pub fn behaved(&mut self, id: BackendId) {
        self.list[id.0 as usize].conduct.good();
    }

    /// A request to it came to nothing.
    pub fn unanswered(&mut self, id: BackendId, failure: Failure) {
        self.list[id.0 as usize].answers.count_failure(failure);
    }

    /// Its response times of the last minute or two, at these shares of all.
    pub fn response_times<const N: usize>(
        &mut self,
        id: BackendId,
        shares: [f64; N],
        now: Instant,
    ) -> Option<[Duration; N]> {
        self.list[id.0 as usize].answers.times.quantiles(shares, now)
    }

    /// It answered with 5xx, or with what is no answer. Once too often in a row, it is left out for
    /// a while: but never the last one of a pool that is up, and never more than half of a pool.
    pub fn misbehaved(&mut self, id: BackendId, took: Duration, now: Instant) {
        self.observe(id, Observation::Failed(took), now);
        self.strike(id, self.policy.eject_after, "bad answers", now);
    }

    /// Something bad, of which so many in a row are too many.
    pub(super) fn strike(&mut self, id: BackendId, limit: u32, what: &str, now: Instant) {
        let too_often = self.list[id.0 as usize].conduct.bad(limit);
        if !too_often || !self.may_eject(id) {
            return;
        }
        let backend = &mut self.list[id.0 as usize];
        let seconds = backend.conduct.eject(now).as_secs();
        self.ejected += 1;
        warn!("backend {} is left out for {seconds} s: {limit} {what}", backend.name);
        self.refresh(id.0 as usize);
    }

    fn may_eject(&self, id: BackendId) -> bool {
        let can_do_without = |place: &Place| {
            let members = || self.pool(place.pool).members();
            let others = members().any(|other| other != id && self.serves(other));
            let out = members().filter(|&other| self[other].conduct.is_out()).count();
            others && (out + 1) * 2 <= members().len()
        };
        self[id].state.is_up() && self[id].places.iter().all(can_do_without)
    }

    /// Whether it takes requests, or will once it has room for one.
    fn serves(&self, id: BackendId) -> bool {
        let backend = &self[id];
        let wanted = backend.enabled && backend.weight > 0;
        wanted && backend.state.is_up() && !backend.conduct.is_out()
    }

    /// This one went down. If nobody is left in a pool, those that are left out are better than
    /// nobody.
    pub(super) fn recall(&mut self, fallen: BackendId) {
        if self.ejected == 0 {
            return;
        }
        for place in self[fallen].places.clone() {
            let members: Vec<BackendId> = self.pool(place.pool).members().collect();
            if !members.iter().any(|&id| self.serves(id)) {
                self.return_those(members.into_iter(), |conduct| conduct.recall());
            }
        }
    }

    /// When the next one that is left out may come back.
    pub fn next_return(&self) -> Option<Instant> {
        if self.ejected == 0 {
            return None;
        }
        self.list.iter().filter_map(|backend| backend.conduct.out_until()).min()
    }

    /// Take back in those whose time is over.
    pub fn take_back(&mut self, now: Instant) {
        let all = (0..self.list.len()).map(|index| BackendId(index as u32));
        self.return_those(all, |conduct| conduct.come_back(now));
    }

    fn return_those(
        &mut self,
        candidates: impl Iterator<Item = BackendId>,
        returns: impl Fn(&mut Conduct) -> bool,
    ) {
        for id in candidates {
            if returns(&mut self.list[id.0 as usize].conduct) {
                self.ejected -= 1;
                info!("backend {} is no longer left out", self[id].name);
                self.refresh(id.0 as usize);
            }
        }
    }
}
