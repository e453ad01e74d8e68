//! Servers that register themselves, and say again and again that they are there.
//!
//! ```text
//!   heartbeat --> here --ttl without one--> late --heartbeat--> here
//!                                             \--ten times the ttl, and idle--> gone
//!   goodbye --------------------------------------------------------------------> gone
//! ```
//!
//! Where more than half of the servers of a pool fall silent within one ttl, it is more likely that
//! we are cut off than that they are gone: nothing changes then, and a line says so (as Eureka's
//! self-preservation, whose threshold is 85 % of the renewals).
//!
//! Pure: it says what is to change, and the loop carries it out as any other change.

pub mod datagram;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::config::{AdminState, BackendSpec, OnLapse, duration_text};
use crate::limits::{
    REGISTRATION_FORGOTTEN_MIN, REGISTRATION_FORGOTTEN_TTLS, REGISTRATIONS_HELD_MIN,
    SEQUENCES_MAX,
};

use super::place::Place;

pub use report::{Report, Vote};

/// All of them.
#[derive(Debug, Default)]
pub struct Registry {
    entries: BTreeMap<Place, Entry>,
    /// The highest sequence of each key and place.
    sequences: HashMap<(String, Place), u64>,
    /// Pools whose servers are kept although they are silent.
    held: BTreeSet<String>,
}

/// A server that registered itself.
#[derive(Debug, Clone)]
struct Entry {
    /// As it said, without what its reports say.
    spec: BackendSpec,
    ttl: Duration,
    report: Report,
    /// When it was heard last.
    heard: Instant,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Here,
    /// No heartbeat came in time.
    Late,
    /// It is known from a state before, and was not heard since.
    Restored,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// Which one.
    pub place: Place,
    /// Where it is, and its whole weight.
    pub spec: BackendSpec,
    /// How long that holds.
    pub ttl: Duration,
    /// Counted up by the sender.
    pub sequence: Option<u64>,
    /// The key that it was signed with, or whose token came with it.
    pub by: String,
    /// How it is.
    pub report: Report,
}

/// A registration as it is kept over a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedRegistration {
    /// Which one.
    pub place: Place,
    /// Where it is, and its whole weight.
    pub spec: BackendSpec,
    /// How long it is believed.
    pub ttl: Duration,
    /// In the words of a report.
    pub report: String,
}

/// Why a heartbeat is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// A later one was here: it has to be above this.
    Sequence(u64),
}

/// What is to change.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// The backend is to be there, like this.
    Put(Place, BackendSpec),
    /// It is to go.
    Remove(Place),
}

/// What time has brought.
#[derive(Debug, Default, PartialEq)]
pub struct Lapses {
    /// What is to change.
    pub wanted: Vec<Wanted>,
    /// Lines about it.
    pub lines: Vec<String>,
}

impl Registry {
    /// What a later process has to know of them.
    pub fn saved(&self) -> Vec<SavedRegistration> {
        let saved = |(place, entry): (&Place, &Entry)| SavedRegistration {
            place: place.clone(),
            spec: entry.spec.clone(),
            ttl: entry.ttl,
            report: entry.report.to_string(),
        };
        self.entries.iter().map(saved).collect()
    }

    /// The highest sequence of each key and place, for the same.
    pub fn sequences(&self) -> impl Iterator<Item = (&str, &Place, u64)> {
        self.sequences.iter().map(|((key, place), seen)| (key.as_str(), place, *seen))
    }

    /// As a process before knew one: it has its whole time to be heard, and gets no work before.
    /// The backend as it is to be until then.
    pub fn restore(&mut self, saved: SavedRegistration, now: Instant) -> BackendSpec {
        let SavedRegistration { place, spec, ttl, report } = saved;
        // because: it was written by us, and an empty one harms nobody.
        let report = Report::parse(&report).unwrap_or_default();
        let entry = Entry { spec, ttl, report, heard: now, standing: Standing::Restored };
        let wanted = entry.wanted(OnLapse::Drain);
        self.entries.insert(place, entry);
        wanted
    }

    /// The same of a sequence.
    pub fn restore_sequence(&mut self, key: &str, place: Place, seen: u64) {
        self.sequences.insert((key.to_owned(), place), seen);
    }

    /// Whether nobody has registered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether this one has registered itself.
    pub fn has(&self, place: &Place) -> bool {
        self.entries.contains_key(place)
    }

    /// How many pools keep their silent servers.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// A server says that it is there. The backend as it is to be from now on; what changes of it
    /// the caller finds by comparing.
    pub fn hear(&mut self, heartbeat: Heartbeat, now: Instant) -> Result<BackendSpec, Stale> {
        let Heartbeat { place, spec, ttl, sequence, by, report } = heartbeat;
        if let Some(sequence) = sequence {
            self.pass(by, &place, sequence)?;
        }
        let ttl = report.ttl.unwrap_or(ttl);
        let report = match self.entries.get(&place) {
            Some(before) => before.report.then(&report),
            None => report,
        };
        let entry = Entry { spec, ttl, report, heard: now, standing: Standing::Here };
        let wanted = entry.wanted(OnLapse::Drain);
        self.entries.insert(place, entry);
        Ok(wanted)
    }

    /// What somebody sends is later than all before.
    pub fn pass(&mut self, by: String, place: &Place, sequence: u64) -> Result<(), Stale> {
        let key = (by, place.clone());
        match self.sequences.get(&key) {
            Some(&seen) if sequence <= seen => return Err(Stale::Sequence(seen)),
            None if self.sequences.len() >= SEQUENCES_MAX => {
                // Of those that are gone none is needed: their clocks bar what is old.
                let entries = &self.entries;
                self.sequences.retain(|(_, place), _| entries.contains_key(place));
            }
            _ => {}
        }
        self.sequences.insert(key, sequence);
        Ok(())
    }

    /// It says goodbye. Says whether it was there.
    pub fn goodbye(&mut self, place: &Place) -> bool {
        self.entries.remove(place).is_some()
    }

    /// Somebody else removed it, or its pool went.
    pub fn forget(&mut self, is_gone: impl Fn(&Place) -> bool) {
        self.entries.retain(|place, _| !is_gone(place));
    }

    /// The load that it reported last.
    pub fn load(&self, place: &Place) -> Option<f64> {
        self.entries.get(place)?.report.load
    }

    /// How soon it has to be heard again, as it should know.
    pub fn next_within(&self, place: &Place) -> Option<Duration> {
        self.entries.get(place).map(|it| it.ttl / 3)
    }

    /// How long it is believed.
    pub fn ttl(&self, place: &Place) -> Option<Duration> {
        self.entries.get(place).map(|it| it.ttl)
    }

    /// For how long it has been silent beyond its time, if it has.
    pub fn late(&self, place: &Place, now: Instant) -> Option<Duration> {
        let entry = self.entries.get(place)?;
        let silent = now.saturating_duration_since(entry.heard);
        silent.checked_sub(entry.ttl).filter(|_| entry.standing != Standing::Here)
    }

    /// When time brings something next.
    pub fn next_at(&self) -> Option<Instant> {
        self.entries.values().map(Entry::due).min()
    }

    /// What time has brought by now. `idle` says whether a backend has no connection.
    pub fn lapse(
        &mut self,
        now: Instant,
        on_lapse: impl Fn(&str) -> OnLapse,
        idle: impl Fn(&Place) -> bool,
    ) -> Lapses {
        let mut lapses = Lapses::default();
        self.hold(now, &mut lapses.lines);
        let mut gone = Vec::new();
        for (place, entry) in &mut self.entries {
            if self.held.contains(&place.pool) {
                continue;
            }
            let silent = now.saturating_duration_since(entry.heard);
            let policy = on_lapse(&place.pool);
            if silent >= entry.ttl && entry.standing == Standing::Here {
                entry.standing = Standing::Late;
                let Place { pool, name } = place;
                let late = duration_text(Duration::from_secs((silent - entry.ttl).as_secs()));
                lapses.lines.push(format!(
                    "pool {pool}, backend {name}: its heartbeat is late by {late}: {}",
                    policy.words()
                ));
                if policy != OnLapse::Keep {
                    lapses.wanted.push(Wanted::Put(place.clone(), entry.wanted(policy)));
                }
            }
            if silent >= entry.forgotten_after() && policy != OnLapse::Keep && idle(place) {
                gone.push(place.clone());
            }
        }
        for place in gone {
            self.entries.remove(&place);
            let Place { pool, name } = &place;
            lapses.lines.push(format!(
                "pool {pool}, backend {name}: silent for long and idle, it is removed"
            ));
            lapses.wanted.push(Wanted::Remove(place));
        }
        lapses
    }

    /// Which pools keep their silent servers: those of which more than half fell silent at once.
    fn hold(&mut self, now: Instant, lines: &mut Vec<String>) {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (place, entry) in &self.entries {
            let silent = now.saturating_duration_since(entry.heard);
            let (all, lapsing) = counts.entry(&place.pool).or_default();
            *all += 1;
            let just_now = entry.standing == Standing::Here && silent >= entry.ttl;
            *lapsing += usize::from(just_now);
        }
        let mut held = BTreeSet::new();
        for (pool, (all, lapsing)) in counts {
            if all >= REGISTRATIONS_HELD_MIN && 2 * lapsing > all {
                if !self.held.contains(pool) {
                    lines.push(format!(
                        "pool {pool}: {lapsing} of {all} registered servers fell silent at once, \
                         which is more likely us: all are kept"
                    ));
                }
                held.insert(pool.to_owned());
            } else if self.held.contains(pool) {
                lines.push(format!("pool {pool}: its registered servers are heard again"));
            }
        }
        self.held = held;
    }
}

impl Entry {
    /// The backend that it is to be now.
    fn wanted(&self, policy: OnLapse) -> BackendSpec {
        let mut spec = self.spec.clone();
        self.report.apply(&mut spec);
        if self.standing != Standing::Here {
            let lapsed = match policy {
                OnLapse::Keep => spec.admin,
                OnLapse::Drain => AdminState::Drain,
                OnLapse::Down => AdminState::Maint,
            };
            // Who works on it has the last word.
            if spec.admin != AdminState::Maint {
                spec.admin = lapsed;
            }
        }
        spec
    }

    fn forgotten_after(&self) -> Duration {
        (self.ttl * REGISTRATION_FORGOTTEN_TTLS).max(REGISTRATION_FORGOTTEN_MIN)
    }

    /// When it is late, or is to be forgotten; one that has connections then is looked at again
    /// after a ttl.
    fn due(&self) -> Instant {
        match self.standing {
            Standing::Here => self.heard + self.ttl,
            Standing::Late | Standing::Restored => self.heard + self.forgotten_after(),
        }
    }
}
