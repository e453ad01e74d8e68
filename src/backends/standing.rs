//! How a server stands, in one word and a reason: what the status page and `/stats` say of it.
//!
//! These show one row a server, whichever pools it sits in. Where its seats differ, the first one
//! is shown; it is called ejected if every pool of its has it so.

use std::time::Instant;

use crate::config::AdminState;
use crate::event::{PoolId, ServerId};
use crate::limits::WEIGHT_ONE;
pub use crate::stats::snapshot::Word;

use super::eject::Out;
use super::pool::SeatPlace;
use super::seat::Seat;
use super::{Backends, Server, ServerState};

/// As the status page and `/stats` show it; nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The word.
    pub word: Word,
    /// Since when, where that is known.
    pub since: Option<Instant>,
    /// Until when, where that is known.
    pub until: Option<Instant>,
    /// Why, where the word does not tell.
    pub reason: Option<String>,
    /// A pool ejects it for its answers, whatever the word says.
    pub is_ejected: bool,
}

/// What its first pool makes of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeatShare {
    /// The operator's weight.
    pub weight: u32,
    /// The weight that it would be picked with if it were there, in units of 1 / [`WEIGHT_ONE`].
    pub effective: u32,
    /// The weight with which it is picked now, in the same units.
    pub in_force: u32,
    /// Takes connections only while no other member of the pool can.
    pub backup: bool,
}

impl SeatShare {
    /// Whether its weight still grows: it is in a slow start.
    pub fn is_ramping(&self) -> bool {
        self.effective < self.weight * WEIGHT_ONE
    }
}

impl Backends {
    /// How it stands.
    pub fn standing(&self, id: ServerId) -> Standing {
        let server = &self[id];
        let word = self.word(server);
        let out = self.ejections(server).next().filter(|_| word == Word::Ejected);
        let reason = match word {
            Word::Down => Some(server.down_reason.to_string()),
            _ => out.map(|out| out.cause.to_string()),
        };
        let since = match word {
            Word::Up | Word::Down => Some(server.since),
            _ => out.map(|out| out.since),
        };
        let until = out.map(|out| out.until);
        let is_ejected = self.ejections(server).next().is_some();
        Standing { word, since, until, reason, is_ejected }
    }

    /// What its first pool makes of it; nothing at all if it has none.
    pub fn share(&self, id: ServerId) -> SeatShare {
        self[id].seats.first().map_or_else(SeatShare::default, |place| self.share_at(*place))
    }

    /// What this pool makes of it; nothing at all if it has no seat there.
    pub fn share_in(&self, id: ServerId, pool: PoolId) -> SeatShare {
        self.place_in(id, pool).map_or_else(SeatShare::default, |place| self.share_at(place))
    }

    fn share_at(&self, place: SeatPlace) -> SeatShare {
        let Some(pool) = self.pools.get(place.pool) else { return SeatShare::default() };
        let index = place.index as usize;
        let candidate = &pool.candidates[index];
        SeatShare {
            weight: candidate.weight,
            effective: candidate.effective_weight,
            in_force: pool.weight_in_force(index),
            backup: pool.seat(index).is_some_and(|seat| seat.backup),
        }
    }

    /// The weight with which it is picked in this pool now, in units of 1 / [`WEIGHT_ONE`].
    pub fn weight_in(&self, id: ServerId, pool: PoolId) -> u32 {
        let place = self.place_in(id, pool);
        let found = place.and_then(|place| Some((place, self.pools.get(place.pool)?)));
        found.map_or(0, |(place, pool)| pool.weight_in_force(place.index as usize))
    }

    fn word(&self, server: &Server) -> Word {
        let seats = || server.seats.iter();
        let weight = |pool, index: u32| {
            let pool = self.pools.get(pool);
            pool.map_or(0, |pool| pool.candidates[index as usize].weight)
        };
        let seat = |place: &SeatPlace| self.pools.get(place.pool)?.seat(place.index as usize);
        let is_ready = |place: &SeatPlace| seat(place).is_some_and(Seat::is_ready);
        let in_maint =
            |place: &SeatPlace| seat(place).is_some_and(|it| it.admin == AdminState::Maint);
        let is_wanted =
            seats().any(|place| weight(place.pool, place.index) > 0 && is_ready(place));
        match server.state {
            _ if !server.seats.is_empty() && seats().all(in_maint) => Word::Maint,
            ServerState::Down(_) => Word::Down,
            _ if !is_wanted => Word::Draining,
            _ if self.ejections(server).count() == server.seats.len() => Word::Ejected,
            _ if server.is_full() => Word::Full,
            ServerState::Unknown => Word::Unknown,
            ServerState::Up(_) => Word::Up,
        }
    }

    /// How it is ejected, pool by pool that does so.
    fn ejections<'a>(&'a self, server: &'a Server) -> impl Iterator<Item = Out> + 'a {
        server.seats.iter().filter_map(|place| {
            self.pools.get(place.pool)?.seat(place.index as usize)?.outlier.out()
        })
    }
}
