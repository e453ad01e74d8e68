//! All pools, and how many of their seats change by the clock: in a slow start, or ejected.
//!
//! The loop asks for the next such change in each turn; where there is none, that is one
//! comparison, however many pools there are.

use std::ops::{Deref, DerefMut};

use crate::event::id::of;
use crate::event::{PoolId, Roster};

use super::pool::Pool;

/// A roster that knows whether any of its pools needs a timer.
#[derive(Debug, Default)]
pub(super) struct Pools {
    roster: Roster<Pool, of::Pool>,
    /// The sum of [`Pool::unrest`].
    unrest: usize,
}

impl Pools {
    /// Change a pool where a seat may begin or end to change by the clock.
    pub fn change(&mut self, id: PoolId, change: impl FnOnce(&mut Pool)) {
        if let Some(pool) = self.roster.get_mut(id) {
            let before = pool.unrest();
            change(pool);
            self.unrest = self.unrest + pool.unrest() - before;
        }
    }

    /// Change every pool in which a seat changes by the clock.
    pub fn change_restless(&mut self, change: impl Fn(&mut Pool)) {
        for pool in self.roster.iter_mut().map(|(_, pool)| pool) {
            let before = pool.unrest();
            if before > 0 {
                change(pool);
                self.unrest = self.unrest + pool.unrest() - before;
            }
        }
    }

    /// The pools in which a seat changes by the clock.
    pub fn restless(&self) -> impl Iterator<Item = &Pool> {
        let any = (self.unrest > 0).then(|| self.roster.iter());
        any.into_iter().flatten().map(|(_, pool)| pool).filter(|pool| pool.unrest() > 0)
    }

    /// What the sum and the pools must agree on.
    pub fn check_invariants(&self) {
        let sum: usize = self.roster.iter().map(|(_, pool)| pool.unrest()).sum();
        assert_eq!(sum, self.unrest, "seats that change by the clock");
    }
}

impl Deref for Pools {
    type Target = Roster<Pool, of::Pool>;

    fn deref(&self) -> &Self::Target {
        &self.roster
    }
}

/// For changes after which as many seats change by the clock as before.
impl DerefMut for Pools {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.roster
    }
}
