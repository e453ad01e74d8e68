//! Which servers stay, change, come and go, found for a few of them at a time.
//!
//! ```text
//!   index     the servers that run, by name, host and port
//!   alike     those that agree in all are kept, so that nobody else takes their place
//!   addresses the servers that run, by host and port alone; if anybody is left
//!   rest      who is not there becomes what is left of its name, or of its address
//!   compare   who is kept is changed if weight or seats are others
//! ```

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use crate::config::Target;
use crate::limits::RELOAD_SERVERS_AT_ONCE;

use super::diff::{Fate, Fates};
use super::servers::{ServerWanted, Servers};

/// What is known so far.
#[derive(Default)]
pub(super) struct ServerFates {
    next: Step,
    by_key: Places,
    by_address: Places,
    fates: Vec<Fate>,
    /// Who of those that run is not wanted by anybody yet.
    is_left: Vec<bool>,
}

/// What is to be done next, from this place on of those that run or of those that are wanted.
#[derive(Debug, Clone, Copy, Default)]
enum Step {
    #[default]
    Begin,
    Index(usize),
    Alike(usize),
    Addresses(usize),
    Rest(usize),
    Compare(usize),
    Over,
}

impl ServerFates {
    /// A few more; the servers are the same each time. Says whether there is more to do.
    pub fn step(&mut self, old: Servers<'_>, new: Servers<'_>) -> bool {
        self.next = match self.next {
            Step::Begin => self.begin(old, new),
            Step::Index(at) if at < old.len() => {
                some(at, old, |at, it| self.by_key.add(at, it.key()));
                Step::Index(at + RELOAD_SERVERS_AT_ONCE)
            }
            Step::Index(_) => Step::Alike(0),
            Step::Alike(at) if at < new.len() => {
                some(at, new, |at, it| self.keep_alike(at, it, old));
                Step::Alike(at + RELOAD_SERVERS_AT_ONCE)
            }
            Step::Alike(_) if !self.fates.contains(&Fate::Added) => Step::Compare(0),
            Step::Alike(_) => Step::Addresses(0),
            Step::Addresses(at) if at < old.len() => {
                some(at, old, |at, it| self.by_address.add(at, address(it)));
                Step::Addresses(at + RELOAD_SERVERS_AT_ONCE)
            }
            Step::Addresses(_) => Step::Rest(0),
            Step::Rest(at) if at < new.len() => {
                some(at, new, |at, it| self.change_rest(at, it, old));
                Step::Rest(at + RELOAD_SERVERS_AT_ONCE)
            }
            Step::Rest(_) => Step::Compare(0),
            Step::Compare(at) if at < new.len() => {
                some(at, new, |at, it| self.compare(at, it, old));
                Step::Compare(at + RELOAD_SERVERS_AT_ONCE)
            }
            Step::Compare(_) | Step::Over => Step::Over,
        };
        !matches!(self.next, Step::Over)
    }

    /// All of it.
    pub fn finish(self) -> Fates {
        let left = self.is_left.iter().enumerate().filter(|(_, is_left)| **is_left);
        let removed = left.map(|(at, _)| at).collect();
        Fates { wanted: self.fates, removed }
    }

    fn begin(&mut self, old: Servers<'_>, new: Servers<'_>) -> Step {
        self.fates = vec![Fate::Added; new.len()];
        self.is_left = vec![true; old.len()];
        Step::Index(0)
    }

    fn keep_alike(&mut self, at: usize, wanted: &ServerWanted<'_>, old: Servers<'_>) {
        let is_alike = |&before: &usize| {
            let before = old.at(before);
            before.key() == wanted.key() && before.facts == wanted.facts
        };
        if let Some(before) = self.by_key.of(wanted.key()).find(is_alike) {
            self.fates[at] = Fate::Kept(before);
            self.is_left[before] = false;
        }
    }

    fn change_rest(&mut self, at: usize, wanted: &ServerWanted<'_>, old: Servers<'_>) {
        if self.fates[at] != Fate::Added {
            return;
        }
        let is_free =
            |before: usize| self.is_left[before] && old.at(before).shares_a_pool(wanted);
        let has_key = |&at: &usize| old.at(at).key() == wanted.key() && is_free(at);
        let has_address = |&at: &usize| address(&old.at(at)) == address(wanted) && is_free(at);
        let found = self.by_key.of(wanted.key()).find(has_key);
        let found = found.or_else(|| self.by_address.of(address(wanted)).find(has_address));
        if let Some(before) = found {
            self.fates[at] = Fate::Changed(before);
            self.is_left[before] = false;
        }
    }

    fn compare(&mut self, at: usize, wanted: &ServerWanted<'_>, old: Servers<'_>) {
        if let Fate::Kept(before) = self.fates[at]
            && !old.at(before).is_like(wanted)
        {
            self.fates[at] = Fate::Changed(before);
        }
    }
}

/// Some servers with their places, from this one on.
fn some(from: usize, servers: Servers<'_>, mut what: impl FnMut(usize, &ServerWanted<'_>)) {
    let end = (from + RELOAD_SERVERS_AT_ONCE).min(servers.len());
    (from..end).for_each(|at| what(at, &servers.at(at)));
}

fn address<'a>(server: &ServerWanted<'a>) -> &'a Target {
    &server.spec.at
}

/// The places of servers by something that several may have in common. Of that only its hash is
/// kept, for it belongs to a state that is looked at anew each time: what is found has to be
/// compared.
#[derive(Default)]
struct Places {
    hasher: RandomState,
    /// The first and the last one.
    ends: HashMap<u64, (usize, usize)>,
    /// Behind each the next one of the same hash.
    next: Vec<Option<usize>>,
}

impl Places {
    /// They are added in order.
    fn add(&mut self, at: usize, key: impl Hash) {
        self.next.push(None);
        let hash = self.hasher.hash_one(key);
        let (_, last) = self.ends.entry(hash).or_insert((at, at));
        if *last != at {
            self.next[*last] = Some(at);
            *last = at;
        }
    }

    /// Those that may have this, in their order.
    fn of(&self, key: impl Hash) -> impl Iterator<Item = usize> {
        let ends = self.ends.get(&self.hasher.hash_one(key));
        std::iter::successors(ends.map(|(first, _)| *first), |&at| self.next[at])
    }
}
