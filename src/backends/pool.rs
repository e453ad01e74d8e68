//! A pool: some of the backends, and the algorithm that chooses among them.
//!
//! A backend may sit in several pools. It is one backend all the same: probed once, its connections
//! counted together. What the pools know of it is a copy that [`super::Backends`] keeps up to date.

use std::fmt;

use crate::balance::{Ask, Balance, Candidate, Candidates, Observation};
use crate::stats::PoolCounts;

use super::{Backend, BackendId};

/// Which pool. The first one is that of the backends that belong to no route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolId(pub(super) u16);

/// What is known of a pool before there is one.
pub struct PoolPlan {
    /// What logs call it.
    pub name: String,
    /// Who is in it, by their places in the list of all.
    pub members: Vec<usize>,
    /// Who chooses.
    pub balance: Box<dyn Balance>,
}

/// A backend's place in one of its pools.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub pool: PoolId,
    pub index: u32,
}

/// See the head of the file.
pub struct Pool {
    /// What logs call it: the name of its route.
    pub name: Box<str>,
    /// What was counted of it.
    pub counts: PoolCounts,
    seats: Vec<Seat>,
    pub(super) candidates: Candidates,
    pub(super) balance: Box<dyn Balance>,
    /// How many are up.
    pub(super) up: usize,
    /// Connections to all of them.
    busy: u64,
    /// How many are available and no backup.
    primaries: usize,
}

/// Who sits where, beside what the algorithm sees of it.
#[derive(Debug, Clone, Copy)]
struct Seat {
    member: BackendId,
    backup: bool,
    /// What [`super::Backends`] last said.
    available: bool,
}

impl PoolPlan {
    /// The pool of the first so many backends, the only one where there are no routes.
    pub fn of_first(count: usize, balance: Box<dyn Balance>) -> PoolPlan {
        PoolPlan { name: "pool".to_owned(), members: (0..count).collect(), balance }
    }
}

impl Pool {
    /// A pool at rest; `list` has everybody, in the order that the plan refers to.
    pub(super) fn new(plan: PoolPlan, list: &[Backend]) -> Pool {
        let (mut seats, mut candidates) = (Vec::new(), Candidates::default());
        for member in plan.members {
            let backend = &list[member];
            candidates.push(Candidate {
                name: backend.name.clone(),
                weight: backend.weight,
                effective_weight: backend.effective_weight,
                connections: 0,
                eligible: false,
            });
            let member = BackendId(member as u32);
            seats.push(Seat { member, backup: backend.backup, available: false });
        }
        let (name, up, mut balance) = (plan.name.into(), seats.len(), plan.balance);
        let counts = PoolCounts::default();
        balance.members_changed(&candidates);
        Pool { name, counts, seats, candidates, balance, up, busy: 0, primaries: 0 }
    }

    /// Who is in it.
    pub fn members(&self) -> impl ExactSizeIterator<Item = BackendId> {
        self.seats.iter().map(|seat| seat.member)
    }

    /// How many of them are up.
    pub fn up(&self) -> usize {
        self.up
    }

    /// Connections open or being opened to all of them, whoever asked for them.
    pub fn connections(&self) -> u64 {
        self.busy
    }

    pub(super) fn pick(&mut self, ask: &Ask) -> Option<BackendId> {
        let picked = self.balance.pick(&self.candidates, ask);
        debug_assert!(picked.is_none_or(|index| self.candidates[index].eligible));
        picked.map(|index| self.seats[index].member)
    }

    /// Whether it could be picked now.
    pub(super) fn is_eligible(&self, index: u32) -> bool {
        self.candidates[index as usize].eligible
    }

    pub(super) fn observe(&mut self, index: u32, seen: Observation, now: std::time::Instant) {
        self.balance.observe(&self.candidates, index as usize, seen, now);
    }

    /// A backend has so many connections now, and nothing else changed.
    pub(super) fn recount(&mut self, index: u32, connections: u32) {
        let index = index as usize;
        self.count(index, connections);
        self.balance.changed(&self.candidates, index);
    }

    fn count(&mut self, index: usize, connections: u32) {
        let candidate = self.candidates.candidate_mut(index);
        self.busy = self.busy + u64::from(connections) - u64::from(candidate.connections);
        candidate.connections = connections;
    }

    /// Bring the copy of a backend up to date, and with it the backups if the last of the others
    /// became unavailable or the first available.
    pub(super) fn update(&mut self, index: u32, backend: &Backend, available: bool) {
        let index = index as usize;
        let had_primaries = self.primaries > 0;
        let seat = &mut self.seats[index];
        if !seat.backup && seat.available != available {
            self.primaries = if available { self.primaries + 1 } else { self.primaries - 1 };
        }
        seat.available = available;
        self.count(index, backend.connections);
        self.candidates.candidate_mut(index).effective_weight = backend.effective_weight;
        self.update_eligible(index);
        if had_primaries != (self.primaries > 0) {
            for index in 0..self.seats.len() {
                if self.seats[index].backup {
                    self.update_eligible(index);
                }
            }
        }
    }

    fn update_eligible(&mut self, index: usize) {
        let seat = self.seats[index];
        let eligible = seat.available && (!seat.backup || self.primaries == 0);
        self.candidates.candidate_mut(index).eligible = eligible;
        self.balance.changed(&self.candidates, index);
    }

    /// What this pool and the list of all must agree on.
    pub(super) fn check_invariants(&self, list: &[Backend]) {
        let of = |seat: &Seat| &list[seat.member.0 as usize];
        let ups = self.seats.iter().filter(|seat| of(seat).state.is_up()).count();
        assert_eq!(self.up, ups, "up");
        let busy: u64 = self.seats.iter().map(|seat| u64::from(of(seat).connections)).sum();
        assert_eq!(self.busy, busy, "counts and their sum");
        let primaries = self.seats.iter().filter(|seat| seat.available && !seat.backup).count();
        assert_eq!(self.primaries, primaries, "primaries");
        for (seat, candidate) in self.seats.iter().zip(self.candidates.iter()) {
            assert_eq!(candidate.connections, of(seat).connections, "a backend and its copy");
            assert_eq!(candidate.effective_weight, of(seat).effective_weight, "weights");
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).field("seats", &self.seats).finish()
    }
}
