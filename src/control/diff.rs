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
use std::net::SocketAddr;

use crate::config::{Desired, ListenerSpec};

use super::servers::{ServerWanted, servers};

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
    /// Of servers, in the order of [`servers`].
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
    /// What leads from one state to the other.
    pub fn between(old: &Desired, new: &Desired) -> Diff {
        Diff {
            listeners: fates(&old.listeners, &new.listeners, listener_key),
            services: fates(&old.services, &new.services, |it| &*it.name),
            pools: pools(old, new),
            servers: of_servers(&servers(old), &servers(new)),
        }
    }
}

/// By what a listener is known again. With port 0 the system chose, and its name has to do.
fn listener_key(listener: &ListenerSpec) -> (SocketAddr, bool, &str) {
    let address = listener.listen.address;
    let is_udp = listener.listen.protocol.is_udp();
    let name = if address.port() == 0 { &*listener.name } else { "" };
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

fn of_servers(old: &[ServerWanted<'_>], new: &[ServerWanted<'_>]) -> Fates {
    let mut fates = vec![Fate::Added; new.len()];
    let mut is_left = vec![true; old.len()];
    let mut take = |at: usize, fate: &mut Fate| {
        let kept = Fate::Kept(at);
        *fate = kept;
        is_left[at] = false;
    };
    let by_key = places_by(old, |it| it.key());
    // Those that agree in all first, so that nobody else takes their place.
    for (wanted, fate) in new.iter().zip(&mut fates) {
        let alike = by_key.get(&wanted.key()).into_iter().flatten();
        let mut same = alike.filter(|&&at| old[at].facts == wanted.facts);
        if let Some(&at) = same.next() {
            take(at, fate);
        }
    }
    let rest = |is_left: &[bool], places: Option<&Vec<usize>>, wanted: &ServerWanted<'_>| {
        let mut places = places.into_iter().flatten().copied();
        places.find(|&at| is_left[at] && old[at].shares_a_pool(wanted))
    };
    let by_address = places_by(old, |it| (&*it.spec.host, it.spec.port));
    for (wanted, fate) in new.iter().zip(&mut fates) {
        if *fate != Fate::Added {
            continue;
        }
        let address = (&*wanted.spec.host, wanted.spec.port);
        let found = rest(&is_left, by_key.get(&wanted.key()), wanted)
            .or_else(|| rest(&is_left, by_address.get(&address), wanted));
        if let Some(at) = found {
            *fate = Fate::Changed(at);
            is_left[at] = false;
        }
    }
    for (wanted, fate) in new.iter().zip(&mut fates) {
        if let Fate::Kept(at) = *fate
            && old[at] != *wanted
        {
            *fate = Fate::Changed(at);
        }
    }
    let removed = (0..old.len()).filter(|&at| is_left[at]).collect();
    Fates { wanted: fates, removed }
}

fn places_by<'a, K: Eq + Hash>(
    list: &'a [ServerWanted<'a>],
    key: impl Fn(&'a ServerWanted<'a>) -> K,
) -> HashMap<K, Vec<usize>> {
    let mut places: HashMap<K, Vec<usize>> = HashMap::new();
    for (at, it) in list.iter().enumerate() {
        places.entry(key(it)).or_default().push(at);
    }
    places
}
