//! A pool: some of the backends, and the algorithm that chooses among them.
//!
//! A backend may sit in several pools. It is one backend all the same: probed once, its connections
//! counted together. What the pools know of it is a copy that [`super::Backends`] keeps up to date.
//! A member sits on the same seat for as long as it is in the pool; see [`Candidates`].

use std::fmt;

use crate::balance::{Ask, Balance, Candidate, Candidates, Observation, Work};
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
    /// `None` is vacant; the same seats as in `candidates`.
    seats: Vec<Option<Seat>>,
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
    /// A pool without members; those of the plan are to [`Pool::join`].
    pub(super) fn new(name: &str, balance: Box<dyn Balance>) -> Pool {
        Pool {
            name: name.into(),
            counts: PoolCounts::default(),
            seats: Vec::new(),
            candidates: Candidates::default(),
            balance,
            up: 0,
            busy: 0,
            primaries: 0,
        }
    }

    /// Give a backend a seat. It may not be picked before [`Pool::update`] says that it is
    /// available.
    pub(super) fn join(&mut self, member: BackendId, backend: &Backend) -> u32 {
        let index = self.candidates.join(Candidate {
            name: backend.name.clone(),
            weight: backend.weight,
            effective_weight: backend.effective_weight,
            connections: backend.connections,
            eligible: false,
        });
        if index == self.seats.len() {
            self.seats.push(None);
        }
        let seat = Seat { member, backup: backend.backup, available: false };
        self.seats[index] = Some(seat);
        self.busy += u64::from(backend.connections);
        self.up += usize::from(backend.state.is_up());
        self.balance.joined(&self.candidates, index);
        index as u32
    }

    /// The backend on this seat is no member any more.
    pub(super) fn leave(&mut self, index: u32, backend: &Backend) {
        self.update(index, backend, false);
        let index = index as usize;
        self.busy -= u64::from(backend.connections);
        self.up -= usize::from(backend.state.is_up());
        self.seats[index] = None;
        self.candidates.leave(index);
        self.balance.left(&self.candidates, index);
    }

    /// The weight, the name or the part of the backend on this seat changed. It may not be picked
    /// before [`Pool::update`] says that it is available.
    pub(super) fn reweigh(&mut self, index: u32, backend: &Backend) {
        self.update(index, backend, false);
        let index = index as usize;
        if let Some(seat) = &mut self.seats[index] {
            seat.backup = backend.backup;
        }
        let candidate = self.candidates.candidate_mut(index);
        candidate.weight = backend.weight;
        if candidate.name != backend.name {
            candidate.name = backend.name.clone();
        }
        self.balance.reweighed(&self.candidates, index);
    }

    /// A slice of what the algorithm put off when members changed.
    pub(super) fn work(&mut self, budget: usize) -> Work {
        self.balance.work(&self.candidates, budget)
    }

    /// Who is in it.
    pub fn members(&self) -> impl Iterator<Item = BackendId> {
        self.seats.iter().flatten().map(|seat| seat.member)
    }

    /// The same with their seats.
    pub(super) fn seated(&self) -> impl Iterator<Item = (usize, BackendId)> {
        let seats = self.seats.iter().enumerate();
        seats.filter_map(|(index, seat)| seat.map(|seat| (index, seat.member)))
    }

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty()
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
        picked.and_then(|index| self.seats[index]).map(|seat| seat.member)
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
        let Some(seat) = &mut self.seats[index] else { return };
        if !seat.backup && seat.available != available {
            self.primaries = if available { self.primaries + 1 } else { self.primaries - 1 };
        }
        seat.available = available;
        self.count(index, backend.connections);
        self.candidates.candidate_mut(index).effective_weight = backend.effective_weight;
        self.update_eligible(index);
        if had_primaries != (self.primaries > 0) {
            for index in 0..self.seats.len() {
                if self.seats[index].is_some_and(|seat| seat.backup) {
                    self.update_eligible(index);
                }
            }
        }
    }

    fn update_eligible(&mut self, index: usize) {
        let Some(seat) = self.seats[index] else { return };
        let eligible = seat.available && (!seat.backup || self.primaries == 0);
        self.candidates.candidate_mut(index).eligible = eligible;
        self.balance.changed(&self.candidates, index);
    }

    /// What this pool and the list of all must agree on.
    pub(super) fn check_invariants(&self, list: &[Backend]) {
        let seats = || self.seats.iter().flatten();
        let of = |seat: &Seat| &list[seat.member.0 as usize];
        assert_eq!(self.up, seats().filter(|seat| of(seat).state.is_up()).count(), "up");
        let busy: u64 = seats().map(|seat| u64::from(of(seat).connections)).sum();
        assert_eq!(self.busy, busy, "counts and their sum");
        let primaries = seats().filter(|seat| seat.available && !seat.backup).count();
        assert_eq!(self.primaries, primaries, "primaries");
        assert_eq!(self.candidates.seats(), self.seats.len(), "seats");
        assert_eq!(self.candidates.len(), seats().count(), "vacant seats");
        for (index, candidate) in self.candidates.iter() {
            let Some(seat) = &self.seats[index] else { panic!("a candidate without a member") };
            let backend = of(seat);
            assert_eq!(candidate.connections, backend.connections, "a backend and its copy");
            assert_eq!(candidate.effective_weight, backend.effective_weight, "weights");
            assert_eq!(candidate.weight, backend.weight, "configured weights");
            assert_eq!(seat.backup, backend.backup, "backups");
            assert_eq!(candidate.name, backend.name, "names");
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).field("seats", &self.seats).finish()
    }
}
