//! Which backend takes the next connection: one file an algorithm, one small trait.
//!
//! A pure room: no socket, no clock (`now` is passed in), no randomness but the seed. Its owner is
//! [`crate::backends`], which decides who is *eligible* (up, below its own limit, weight above 0,
//! not just tried without success) and tells the algorithm of every change; the algorithm only
//! chooses among the eligible. How to add one: `docs/algorithms.md`.

mod consistent_hash;
mod first;
mod hash;
mod ip_hash;
mod least_connections;
mod least_load;
mod least_time;
mod median;
mod random;
mod rotation;
mod round_robin;
mod tournament;
mod weights;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::Index;
use std::time::{Duration, Instant};

use crate::config::Algorithm;
use crate::limits::WEIGHT_ONE;

/// One backend as an algorithm sees it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// What the hashing algorithms place: the same on every instance, whatever the order of flags.
    pub name: Box<str>,
    /// The operator's weight, 0 to [`crate::limits::WEIGHT_MAX`]. Slow start does not touch it.
    pub weight: u32,
    /// The weight in force, in units of 1 / [`crate::limits::WEIGHT_ONE`]; at least 1 if eligible.
    pub effective_weight: u32,
    /// Connections open or being opened.
    pub connections: u32,
    /// Whether it may be chosen now.
    pub eligible: bool,
}

/// All backends of the set, eligible or not. An index is a *seat*: a member keeps its own for as
/// long as it stays. The seat of one that left is vacant until another one joins, and is read as a
/// candidate without a name that may not be chosen; the lowest vacant one is taken first.
#[derive(Debug, Default)]
pub struct Candidates {
    list: Vec<Candidate>,
    vacant: BTreeSet<usize>,
}

/// What a pick may depend on.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// The client's address; an IPv4-mapped IPv6 address counts as IPv4.
    pub client: IpAddr,
    /// What to place by instead of the address, hashed with [`hash_key`].
    pub key: Option<u64>,
    /// The turn's clock.
    pub now: Instant,
}

/// Something seen of a backend that an algorithm may learn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Observation {
    /// A connection to it was established after this time.
    Connected(Duration),
    /// A connection to it was refused, reset or timed out after this time.
    Failed(Duration),
    /// It reported this load to a probe, in its own unit, 0 or more.
    Load(f64),
}

/// What an algorithm compared, for the log line that says why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Score {
    /// Connections open or being opened.
    Connections(u32),
    /// A number with the unit or name that it is shown with.
    Value(f64, &'static str),
}

/// Where an asker was placed, by an algorithm that hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The hash of its address, or of its key.
    pub hash: u64,
    /// The slot of the table that the search begins at, and how many slots there are.
    pub slot: Option<(u32, u32)>,
}

/// How much is left of what was put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Nothing.
    Done,
    /// Something.
    Left,
}

/// A way to choose. It starts without members and hears of every change of one seat after it was
/// made: [`Balance::joined`] and [`Balance::left`] are a member's first and last call, the others
/// come in between, in any order. What is to be kept of a member must be forgotten when it left:
/// the next one on that seat inherits nothing.
pub trait Balance: Duplicate {
    /// A member sits on this seat now, which was vacant or new.
    fn joined(&mut self, set: &Candidates, seat: usize) {
        self.changed(set, seat);
    }

    /// The member of this seat is gone, the seat is vacant.
    fn left(&mut self, set: &Candidates, seat: usize) {
        self.changed(set, seat);
    }

    /// The configured weight or the name of the candidate on this seat changed.
    fn reweighed(&mut self, set: &Candidates, seat: usize) {
        self.changed(set, seat);
    }

    /// Go on with what takes too long to be done within the calls above, for about `budget` small
    /// steps. Until it is [`Work::Done`], picks go by what was there before.
    fn work(&mut self, set: &Candidates, budget: usize) -> Work {
        let _ = (set, budget);
        Work::Done
    }

    /// The connections, effective weight or eligibility of the candidate at `index` changed.
    fn changed(&mut self, set: &Candidates, index: usize) {
        let _ = (set, index);
    }

    /// Something was seen of the candidate at `index`.
    fn observe(&mut self, set: &Candidates, index: usize, seen: Observation, now: Instant) {
        let _ = (set, index, seen, now);
    }

    /// Choose an eligible candidate; `None` only if there is none. The caller counts the connection
    /// and reports it by [`Balance::changed`].
    fn pick(&mut self, set: &Candidates, ask: &Ask) -> Option<usize>;

    /// What this algorithm compares, for the log.
    fn score(&self, set: &Candidates, index: usize, now: Instant) -> Score {
        let _ = now;
        Score::Connections(set[index].connections)
    }

    /// The number that a pick compares of this candidate, as [`compares`] has it; nothing, if it
    /// compares none.
    fn compared(&self, set: &Candidates, index: usize, now: Instant) -> Option<f64> {
        let _ = (set, index, now);
        None
    }

    /// Where it places an asker, if it does.
    fn placed(&self, ask: &Ask) -> Option<Placed> {
        let _ = ask;
        None
    }
}

/// What can be copied is asked what it would pick, without picking.
pub trait Duplicate {
    /// Another one that knows the same: what it picks is what this one would pick next.
    fn copy(&self) -> Box<dyn Balance>;
}

impl<T: Balance + Clone + 'static> Duplicate for T {
    fn copy(&self) -> Box<dyn Balance> {
        Box::new(self.clone())
    }
}

/// The algorithm of this name, without candidates yet. The same seed makes the same choices.
pub fn build(algorithm: Algorithm, seed: u64) -> Box<dyn Balance> {
    match algorithm {
        Algorithm::LeastConnections => Box::new(least_connections::LeastConnections::default()),
        Algorithm::RoundRobin => Box::new(round_robin::RoundRobin::default()),
        Algorithm::Random => Box::new(random::Random::new(seed)),
        Algorithm::IpHash => Box::new(ip_hash::IpHash::default()),
        Algorithm::ConsistentHash => Box::new(consistent_hash::ConsistentHash::default()),
        Algorithm::First => Box::new(first::First::default()),
        Algorithm::LeastLoad => Box::new(least_load::LeastLoad::default()),
        Algorithm::LeastTime => Box::new(least_time::LeastTime::new(seed)),
    }
}

/// What a pick by this algorithm goes by, in a few words.
pub fn compares(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::LeastConnections => {
            "(active + 1/2) / weight, the lowest; equals and idle ones take turns"
        }
        Algorithm::RoundRobin => "current + weight, the highest",
        Algorithm::Random => {
            "two drawn by weight: the first if idle, else the lower (active + 1/2) / weight"
        }
        Algorithm::IpHash => "the place of the hash among the weights in order of names",
        Algorithm::ConsistentHash => "the slot of the hash, or the next that may take it",
        Algorithm::First => "the first in the order of the configuration",
        Algorithm::LeastLoad => "load / weight, the lowest; equals take turns",
        Algorithm::LeastTime => "two drawn by weight: the lower ms x (active + 1) / weight",
    }
}

impl Candidate {
    /// What is read on a vacant seat.
    fn nobody() -> Candidate {
        Candidate {
            name: Box::default(),
            weight: 0,
            effective_weight: 0,
            connections: 0,
            eligible: false,
        }
    }

    /// The weight in force, if it may be chosen now.
    pub fn open_weight(&self) -> Option<NonZeroU32> {
        let open = self.eligible && self.weight > 0;
        if open { NonZeroU32::new(self.effective_weight) } else { None }
    }

    /// The same, with 0 for those that may not.
    pub fn open_weight_or_zero(&self) -> u32 {
        self.open_weight().map_or(0, NonZeroU32::get)
    }

    /// Connections for its weight, half a one added, as [`least_connections`] and [`random`]
    /// compare them.
    fn busyness(&self) -> f64 {
        let weight = f64::from(self.effective_weight) / f64::from(WEIGHT_ONE);
        (f64::from(self.connections) + 0.5) / weight
    }
}

/// The hash of what a request is placed by, for [`Ask::key`].
pub fn hash_key(key: &[u8]) -> u64 {
    hash::hash_bytes(key)
}

impl Candidates {
    /// Give a candidate a seat. The caller must then call [`Balance::joined`].
    pub fn join(&mut self, candidate: Candidate) -> usize {
        let Some(seat) = self.vacant.pop_first() else {
            self.list.push(candidate);
            return self.list.len() - 1;
        };
        self.list[seat] = candidate;
        seat
    }

    /// Free a seat that is taken. The caller must then call [`Balance::left`].
    pub fn leave(&mut self, seat: usize) {
        debug_assert!(self.is_taken(seat), "left twice");
        self.list[seat] = Candidate::nobody();
        self.vacant.insert(seat);
    }

    /// How many candidates there are, eligible or not.
    pub fn len(&self) -> usize {
        self.list.len() - self.vacant.len()
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many seats there are, taken or vacant.
    pub fn seats(&self) -> usize {
        self.list.len()
    }

    /// All candidates and their seats, in the order of the seats.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Candidate)> {
        self.list.iter().enumerate().filter(|&(seat, _)| self.is_taken(seat))
    }

    /// For the owner of the set, who must then call [`Balance::changed`] or
    /// [`Balance::reweighed`].
    pub fn candidate_mut(&mut self, seat: usize) -> &mut Candidate {
        &mut self.list[seat]
    }

    fn is_taken(&self, seat: usize) -> bool {
        seat < self.list.len() && !self.vacant.contains(&seat)
    }
}

impl Index<usize> for Candidates {
    type Output = Candidate;

    fn index(&self, index: usize) -> &Candidate {
        &self.list[index]
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Score::Connections(count) => write!(f, "{count}"),
            Score::Value(value, unit) => write!(f, "{value:.3}{unit}"),
        }
    }
}
