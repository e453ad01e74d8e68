//! What answers say of the backends: who is ejected for a while.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::balance::Observation;
use crate::limits::{EJECT_ANSWERS_MIN, EJECT_LOOKS};
use crate::stats::Failure;
use crate::stats::snapshot::Quantiles;

use super::eject::{Came, Cause, Grade, Outlier, Tally, may_spare, stands_out};
use super::{BackendId, Backends, Place};

impl Backends {
    /// The head of an answer of it to this client came, so long after the request.
    pub fn answered(
        &mut self,
        id: BackendId,
        client: IpAddr,
        status: u16,
        took: Duration,
        now: Instant,
    ) {
        let backend = &mut self.list[id.0 as usize];
        backend.counts.count_answer(status);
        backend.times.record(took, now);
        let grade = Grade::of(status);
        if self.policy.eject_after > 0 {
            self.crowd.see(client, now);
            self.list[id.0 as usize].conduct.tally(now);
        }
        match grade {
            Grade::Good | Grade::Unsaid => self.observe(id, Observation::Connected(took), now),
            Grade::Bad => self.misbehaved(id, Came::Head, client, took, now),
            Grade::Faulty => {
                self.observe(id, Observation::Failed(took), now);
                self.fault(id, client, now);
            }
        }
    }

    /// An answer was whole, and if it had a status, that was below 500.
    pub fn behaved(&mut self, id: BackendId) {
        self.list[id.0 as usize].conduct.good();
    }

    /// A request to it came to nothing.
    pub fn unanswered(&mut self, id: BackendId, failure: Failure) {
        self.list[id.0 as usize].counts.count_failure(failure);
    }

    /// Its response times of the last minute or two.
    pub fn response_times(&mut self, id: BackendId, now: Instant) -> Option<Quantiles> {
        let times = &mut self.list[id.0 as usize].times;
        let [p50, p90, p99] = times.quantiles([0.5, 0.9, 0.99], now)?;
        Some(Quantiles { p50, p90, p99 })
    }

    /// It answered this client that it cannot serve, or with what is no answer, and so much of that
    /// `came`. Once too often, it is ejected for a while.
    pub fn misbehaved(
        &mut self,
        id: BackendId,
        came: Came,
        client: IpAddr,
        took: Duration,
        now: Instant,
    ) {
        self.observe(id, Observation::Failed(took), now);
        let limit = self.policy.eject_after;
        self.crowd.see(client, now);
        let needed = self.crowd.needed(now);
        let conduct = &mut self.list[id.0 as usize].conduct;
        if came == Came::Nothing {
            conduct.tally(now);
        }
        match conduct.bad(client, needed, limit) {
            Some(count) => self.eject(id, Cause::BadAnswers(count), now),
            None => self.fault(id, client, now),
        }
    }

    /// Another answer of it did not serve its client: it is ejected if those of some pool's others
    /// do.
    fn fault(&mut self, id: BackendId, client: IpAddr, now: Instant) {
        let needed = self.crowd.needed(now);
        self.list[id.0 as usize].conduct.tally_fault(client);
        let conduct = &self.list[id.0 as usize].conduct;
        let too_soon = self.compared_at.is_some_and(|at| now < at + EJECT_LOOKS);
        if too_soon || !conduct.is_faulty(needed, self.policy.eject_after) {
            return;
        }
        let own = self.list[id.0 as usize].conduct.lately(now);
        if own.answers < EJECT_ANSWERS_MIN {
            return;
        }
        self.compared_at = Some(now);
        for place in self.list[id.0 as usize].places.clone() {
            let others: Vec<BackendId> = self.pool(place.pool).members().collect();
            let lately = |other: &BackendId| self.list[other.0 as usize].conduct.lately(now);
            let others = others.iter().filter(|&&other| other != id);
            let rest = others.map(lately).fold(Tally::default(), |sum, tally| sum + tally);
            if stands_out(own, rest) {
                return self.eject(id, Cause::Faults(own, rest), now);
            }
        }
    }

    /// Leave it out, if its pools can do without.
    pub(super) fn eject(&mut self, id: BackendId, cause: Cause, now: Instant) {
        if !self.may_eject(id) {
            return;
        }
        let backend = &mut self.list[id.0 as usize];
        let seconds = backend.conduct.eject(cause, now).as_secs();
        self.ejected += 1;
        warn!("backend {} is ejected for {seconds} s: {cause}", backend.name);
        self.refresh(id.0 as usize);
    }

    /// Never the last one that takes requests, and never more than half of those of a pool that
    /// are up: if all answer badly, the fault is not with one of them.
    fn may_eject(&self, id: BackendId) -> bool {
        let can_do_without = |place: &Place| {
            let able = || self.pool(place.pool).members().filter(|&other| self.is_able(other));
            let out = able().filter(|&other| self[other].conduct.is_out()).count();
            may_spare(able().count(), out)
        };
        self.is_able(id) && self[id].places.iter().all(can_do_without)
    }

    /// Whether it is up and wanted, ejected or not.
    fn is_able(&self, id: BackendId) -> bool {
        let backend = &self[id];
        backend.enabled && backend.weight > 0 && backend.state.is_up()
    }

    /// Whether it takes requests, or will once it has room for one.
    fn serves(&self, id: BackendId) -> bool {
        self.is_able(id) && !self[id].conduct.is_out()
    }

    /// This one went down. If nobody is left in a pool, those that are ejected are better than
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

    /// When the next one that is ejected may come back.
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
        returns: impl Fn(&mut Outlier) -> bool,
    ) {
        for id in candidates {
            if returns(&mut self.list[id.0 as usize].conduct) {
                self.ejected -= 1;
                info!("backend {} is no longer ejected", self[id].name);
                self.refresh(id.0 as usize);
            }
        }
    }
}
