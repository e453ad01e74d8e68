//! What is different between two desired states. Pure: names and values are compared.
//!
//! | thing | known again by | changed in place | new |
//! |---|---|---|---|
//! | listener | address and transport; with port 0 its name | all else | another address |
//! | service | name | all | another name |
//! | pool | name | all | another name |
//! | server | name, host and port | facts, weight, backup | another address |
//! |        | else host and port in the same pool | its name | |

use std::collections::HashMap;
use std::hash::Hash;

use crate::config::{Address, Desired, ListenerSpec};

/// What becomes of something that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It runs as it is wanted: what runs is at this place of the old list.
    Kept(usize),
    /// It runs and is changed in place.
    Changed(usize),
    /// It is new.
    Added,
}

/// What is different. Each list has the fates in the order of the new state's list, and the places
/// in the old one of what is not wanted any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Of listeners.
    pub listeners: Fates,
    /// Of services.
    pub services: Fates,
    /// Of pools, their members apart.
    pub pools: Fates,
    /// Of servers, in the order of [`Servers`](super::Servers).
    pub servers: Fates,
}

/// What becomes of the things of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fates {
    /// Of those that are wanted.
    pub wanted: Vec<Fate>,
    /// Those that go.
    pub removed: Vec<usize>,
}

impl Fate {
    /// The place of what runs.
    pub fn before(self) -> Option<usize> {
        match self {
            Fate::Kept(at) | Fate::Changed(at) => Some(at),
            Fate::Added => None,
        }
    }
}

impl Fates {
    /// How many of them have this fate.
    pub fn count(&self, is: fn(Fate) -> bool) -> usize {
        self.wanted.iter().filter(|&&fate| is(fate)).count()
    }
}

impl Diff {
    /// What leads from one state to the other, but for the servers.
    pub(super) fn between(old: &Desired, new: &Desired) -> Diff {
        Diff {
            listeners: fates(&old.listeners, &new.listeners, listener_key),
            services: fates(&old.services, &new.services, |it| &*it.name),
            pools: pools(old, new),
            servers: Fates::default(),
        }
    }
}

/// By what a listener is known again. With port 0 the system chose, and its name has to do.
fn listener_key(listener: &ListenerSpec) -> (&Address, bool, &str) {
    let address = &listener.listen.address;
    let is_udp = listener.listen.protocol.is_udp();
    let name = if address.port() == Some(0) { &*listener.name } else { "" };
    (address, is_udp, name)
}

fn fates<'a, T: PartialEq, K: Eq + Hash>(
    old: &'a [T],
    new: &'a [T],
    key: fn(&'a T) -> K,
) -> Fates {
    let mut before: HashMap<K, usize> =
        old.iter().enumerate().map(|(at, it)| (key(it), at)).collect();
    let fate = |wanted: &'a T| match before.remove(&key(wanted)) {
        Some(at) if old[at] == *wanted => Fate::Kept(at),
        Some(at) => Fate::Changed(at),
        None => Fate::Added,
    };
    let wanted = new.iter().map(fate).collect();
    Fates { wanted, removed: sorted(before.into_values()) }
}

/// Their members are compared as servers.
fn pools(old: &Desired, new: &Desired) -> Fates {
    let mut fates = fates(&old.pools, &new.pools, |it| &*it.name);
    for (at, fate) in fates.wanted.iter_mut().enumerate() {
        if let Fate::Changed(before) = *fate
            && old.pools[before].settings == new.pools[at].settings
        {
            *fate = Fate::Kept(before);
        }
    }
    fates
}

fn sorted(places: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut places: Vec<usize> = places.collect();
    places.sort_unstable();
    places
}
