//! What a pick looks at, kept as it is before the pick: who could have it and who could not, why
//! not, and the number that the algorithm compares of each.
//!
//! Of large pools the first members in the order of their seats are kept, so that a picture takes
//! the same time and memory whatever the pool.

use std::time::Instant;

use crate::balance::{Ask, Placed};
use crate::config::{AdminState, Algorithm};
use crate::event::ServerId;
use crate::limits::{PICTURE_MEMBERS_MAX, PICTURE_SEATS_MAX};

use super::super::seat::{Presence, Seat};
use super::Pool;

/// A pool as a pick found it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Who chooses.
    pub algorithm: Algorithm,
    /// How many members there are.
    pub all: u32,
    /// How many are up and are to have work.
    pub up: u32,
    /// Where the asker was placed, if it was.
    pub placed: Option<Placed>,
    members: [Option<Pictured>; PICTURE_MEMBERS_MAX],
    count: u8,
}

/// A member as a pick found it.
#[derive(Debug, Clone, Copy)]
pub struct Pictured {
    /// Which one.
    pub server: ServerId,
    /// Connections open or being opened.
    pub active: u32,
    /// Its weight then, in units of 1 / [`WEIGHT_ONE`](crate::limits::WEIGHT_ONE).
    pub weight: u32,
    /// What the algorithm compares of it; no number, if it compares nothing.
    pub compared: f64,
    /// What is to be said of it beside that.
    pub marks: Marks,
}

/// What is to be said of a member beside its numbers: a bit for each of [`Marks::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks(u16);

impl Marks {
    /// It may be picked.
    pub const ELIGIBLE: Marks = Marks(1);
    /// Takes connections only while no other member can.
    pub const BACKUP: Marks = Marks(1 << 1);
    /// It grows to its weight.
    pub const SLOW_START: Marks = Marks(1 << 2);
    /// It is out for its bad answers.
    pub const EJECTED: Marks = Marks(1 << 3);
    /// It is down.
    pub const DOWN: Marks = Marks(1 << 4);
    /// Its operator drains it.
    pub const DRAIN: Marks = Marks(1 << 5);
    /// It is in maintenance.
    pub const MAINT: Marks = Marks(1 << 6);
    /// It has its limit of connections.
    pub const FULL: Marks = Marks(1 << 7);
    /// This client tried it before, without success.
    pub const TRIED: Marks = Marks(1 << 8);
    /// Its weight is 0.
    pub const NO_WEIGHT: Marks = Marks(1 << 9);

    /// The words for all but the first.
    pub const ALL: &[(&str, Marks)] = &[
        ("backup", Marks::BACKUP),
        ("slow-start", Marks::SLOW_START),
        ("ejected", Marks::EJECTED),
        ("down", Marks::DOWN),
        ("drain", Marks::DRAIN),
        ("maint", Marks::MAINT),
        ("full", Marks::FULL),
        ("tried", Marks::TRIED),
        ("weight-0", Marks::NO_WEIGHT),
    ];

    /// Whether this is said of it.
    pub fn has(self, mark: Marks) -> bool {
        self.0 & mark.0 != 0
    }

    /// In words.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Marks::ALL.iter().filter(move |(_, mark)| self.has(*mark)).map(|(word, _)| *word)
    }

    fn set(&mut self, mark: Marks, is: bool) {
        if is {
            self.0 |= mark.0;
        }
    }
}

impl Pictured {
    /// What the algorithm compares of it, if anything.
    pub fn compared(&self) -> Option<f64> {
        Some(self.compared).filter(|it| it.is_finite())
    }
}

impl Picture {
    /// Those that are kept of it, in the order of their seats.
    pub fn members(&self) -> impl Iterator<Item = &Pictured> {
        self.members[..usize::from(self.count)].iter().flatten()
    }

    fn add(&mut self, member: Pictured) {
        self.members[usize::from(self.count)] = Some(member);
        self.count += 1;
    }
}

impl Default for Picture {
    /// Of nobody.
    fn default() -> Picture {
        Picture {
            algorithm: Algorithm::LeastConnections,
            all: 0,
            up: 0,
            placed: None,
            members: [None; PICTURE_MEMBERS_MAX],
            count: 0,
        }
    }
}

impl Pool {
    /// Keep what the next pick will look at.
    pub fn picture(&self, ask: &Ask, tried: &[ServerId], to: &mut Picture) {
        to.algorithm = self.settings.algorithm;
        to.all = self.candidates.len() as u32;
        to.up = self.up as u32;
        to.placed = self.balance.placed(ask);
        to.count = 0;
        for index in 0..self.seats.len().min(PICTURE_SEATS_MAX) {
            let Some(seat) = self.seat(index) else { continue };
            if usize::from(to.count) == PICTURE_MEMBERS_MAX {
                break;
            }
            to.add(self.pictured(index, seat, tried.contains(&seat.server), ask.now));
        }
    }

    /// All members with their names, as the next pick would find them.
    pub fn look(&self, now: Instant) -> impl Iterator<Item = (&str, Pictured)> {
        self.taken().map(move |(index, seat)| {
            (&*self.candidates[index].name, self.pictured(index, seat, false, now))
        })
    }

    /// Where an asker is placed, by an algorithm that hashes.
    pub fn placed(&self, ask: &Ask) -> Option<Placed> {
        self.balance.placed(ask)
    }

    fn pictured(&self, index: usize, seat: &Seat, is_tried: bool, now: Instant) -> Pictured {
        let candidate = &self.candidates[index];
        let mut marks = Marks::default();
        marks.set(Marks::ELIGIBLE, candidate.eligible && !is_tried);
        marks.set(Marks::BACKUP, seat.backup);
        marks.set(Marks::SLOW_START, seat.ramp_from.is_some());
        marks.set(Marks::EJECTED, seat.outlier.is_out());
        marks.set(Marks::DOWN, seat.presence != Presence::Up);
        marks.set(Marks::DRAIN, seat.admin == AdminState::Drain);
        marks.set(Marks::MAINT, seat.admin == AdminState::Maint);
        marks.set(Marks::FULL, !seat.has_room);
        marks.set(Marks::TRIED, is_tried);
        marks.set(Marks::NO_WEIGHT, candidate.weight == 0);
        let compared = match marks.has(Marks::ELIGIBLE) {
            true => self.balance.compared(&self.candidates, index, now),
            false => None,
        };
        Pictured {
            server: seat.server,
            active: candidate.connections,
            weight: self.weight_in_force(index),
            compared: compared.unwrap_or(f64::NAN),
            marks,
        }
    }
}
