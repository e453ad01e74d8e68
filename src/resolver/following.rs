//! Who wants which names, and what those stand for.
//!
//! Each place is read once: by how it is written its name is found again, and the name knows the
//! servers that have it. So what an answer costs is a matter of who has that name, not of how many
//! servers there are.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::config::{Address, DnsFamilies, NameSet, SetKind, SetMember, Target};
use crate::context::Context;
use crate::dns::change::Member;
#[cfg(test)]
use crate::dns::lookup::Answer;
use crate::dns::lookup::{Families, Wanted, is_of_a_server};
use crate::dns::search::Written;
use crate::dns::watched::{Known, Watched};
use crate::event::Key;

use super::places::Standing;
use super::said::Said;
use super::{Entry, Resolver, files};

/// What wants a name to be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follower {
    /// What is configured, and what it is of is not there now.
    Nothing,
    /// A set.
    Set,
    /// The server at this place of a list of the caller's.
    Server(usize),
}

/// A name that leads to others than before.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed {
    /// A set is written so.
    pub is_of_set: bool,
    /// The servers that have it.
    pub servers: Vec<usize>,
    /// Where it leads.
    pub addresses: Vec<Address>,
}

/// A name as it shows itself.
pub struct NameNow<'a> {
    /// As the operator wrote it.
    pub name: &'a str,
    /// How many members it has.
    pub members: usize,
    /// When it was known last; `None` if never.
    pub good_at: Option<Instant>,
    /// A process before was told of its members, and this one was not yet.
    pub is_recalled: bool,
    /// When it is looked up next.
    pub due: Instant,
    /// Why the last look-up failed, if it did.
    pub failing: Option<String>,
}

impl Entry {
    pub(super) fn new(text: &str, watched: Watched) -> Entry {
        Entry {
            text: text.to_owned(),
            watched,
            lookup: None,
            standing: Standing::Fresh,
            is_told: false,
            is_of_set: false,
            servers: Vec::new(),
            said: Said::default(),
        }
    }

    fn now(&self) -> NameNow<'_> {
        NameNow {
            name: &self.text,
            members: self.watched.members().len(),
            good_at: self.watched.last_good().map(|it| it.at),
            is_recalled: self.watched.is_recalled(),
            due: self.watched.due(),
            failing: self.watched.failing().map(|it| it.last.to_string()),
        }
    }
}

impl Resolver {
    /// These names are wanted from now on, and no others.
    pub fn follow<'a>(
        &mut self,
        wanted: impl Iterator<Item = (&'a Target, Follower)>,
        cx: &mut Context,
    ) {
        for (_, entry) in self.names.iter_mut() {
            entry.is_of_set = false;
            entry.servers.clear();
        }
        let mut kept = HashSet::new();
        for (at, follower) in wanted {
            // because: what DNS cannot hold was refused where it was read.
            let Some(key) = self.key_for(at, cx.now) else { continue };
            kept.insert(key);
            let Some(entry) = self.names.get_mut(key) else { continue };
            match follower {
                Follower::Nothing => {}
                Follower::Set => entry.is_of_set = true,
                Follower::Server(place) => entry.servers.push(place),
            }
        }
        let gone: Vec<Key> =
            self.keys.values().copied().filter(|it| !kept.contains(it)).collect();
        gone.into_iter().for_each(|key| self.forget(key));
        self.places.retain(|_, key| kept.contains(key));
        self.arm(cx);
    }

    /// Of a name that is wanted; nothing if it is none.
    fn key_for(&mut self, at: &Target, now: Instant) -> Option<Key> {
        if let Some(key) = self.places.get(at) {
            return Some(*key);
        }
        let wanted = wanted_of(at)?;
        let known = self.keys.get(&wanted).copied();
        let key = known.unwrap_or_else(|| self.begin(wanted, at, now));
        self.places.insert(at.clone(), key);
        Some(key)
    }

    fn begin(&mut self, wanted: Wanted, at: &Target, now: Instant) -> Key {
        let watched = Watched::new(wanted.clone(), self.bounds(), now);
        let entry = Entry::new(&at.to_string(), watched);
        let key = self.names.insert_with(|_| entry);
        self.keys.insert(wanted, key);
        self.due.insert(Standing::Fresh, now, key);
        self.unknown += 1;
        key
    }

    fn forget(&mut self, key: Key) {
        let Some(mut entry) = self.names.remove(key) else { return };
        self.keys.remove(entry.watched.wanted());
        self.due.remove(entry.standing, entry.watched.due(), key);
        self.under_way.retain(|it| *it != key);
        self.unknown -= usize::from(!entry.is_told);
        self.close(entry.lookup.take());
    }

    /// Whether a name was never looked up to an end.
    pub fn has_unknown(&self) -> bool {
        self.unknown > 0
    }

    /// The names that were never looked up to an end.
    pub fn unknown(&self) -> impl Iterator<Item = NameNow<'_>> {
        self.names.iter().filter(|(_, it)| !it.is_told).map(|(_, it)| it.now())
    }

    /// The name at a place, for a walk in slices; all lie below [`Resolver::places`].
    pub fn at(&self, place: usize) -> Option<&Watched> {
        self.names.at(place).map(|(_, entry)| &entry.watched)
    }

    /// See [`Resolver::at`].
    pub fn places(&self) -> usize {
        self.names.places()
    }

    /// What a process before was told of a name holds until it is looked up, if anybody wants the
    /// name. Says whether it stands for something by that.
    pub fn recall(&mut self, wanted: &Wanted, known: Known, at: Instant) -> bool {
        let families = families(self.settings.families);
        let Some(&key) = self.keys.get(wanted) else { return false };
        let Some(entry) = self.names.get_mut(key) else { return false };
        let change = entry.watched.recall(known, families, at);
        if !change.is_none() {
            self.changed.push(key);
        }
        !change.is_none()
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = NameNow<'_>> {
        self.names.iter().map(|(_, entry)| entry.now())
    }

    /// Whether something is another since [`Resolver::take_changed`] was called.
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What is another since the last call, each once.
    pub fn take_changed(&mut self) -> Vec<Changed> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        let entries = changed.into_iter().filter_map(|key| self.names.get(key));
        let changed = entries.map(|entry| Changed {
            is_of_set: entry.is_of_set,
            servers: entry.servers.clone(),
            addresses: match &entry.servers[..] {
                [] => Vec::new(),
                _ => addresses(&entry.watched),
            },
        });
        changed.collect()
    }

    /// The addresses of a backend's name; none until they are known.
    pub fn addresses(&self, at: &Target) -> Vec<Address> {
        self.entry_of(at).map_or_else(Vec::new, |it| addresses(&it.watched))
    }

    /// The members of a name that stands for many; none until they are known.
    pub fn members(&self, set: &NameSet) -> Vec<SetMember> {
        let entry = self.entry_of(&Target::Set(set.clone()));
        let members = entry.map_or(&[][..], |it| it.watched.members());
        let member = |it: &Member| SetMember {
            address: it.address,
            host: it.target.as_str().to_owned(),
            weight: it.weight,
            is_backup: it.is_backup,
        };
        members.iter().map(member).collect()
    }

    /// A place that is not followed yet may have a name that is.
    fn entry_of(&self, at: &Target) -> Option<&Entry> {
        let of_name = || self.keys.get(&wanted_of(at)?);
        self.names.get(*self.places.get(at).or_else(of_name)?)
    }
}

#[cfg(test)]
impl Resolver {
    /// As if this answer had come just now.
    pub fn tell(&mut self, at: &Target, answer: Answer, cx: &mut Context) {
        let key = self.places[at];
        let entry = self.names.get(key).unwrap();
        self.due.remove(entry.standing, entry.watched.due(), key);
        self.finish(key, Ok(answer), cx);
        self.arm(cx);
    }
}

/// The addresses of names that a file knows, and nobody has to be asked for: for who cannot wait.
pub fn known_by_file(families: DnsFamilies) -> impl Fn(&Target) -> Vec<Address> {
    let hosts = files::hosts();
    move |at| {
        let Some((name, port)) = at.name().zip(at.port()) else { return Vec::new() };
        let Ok(written) = Written::new(name) else { return Vec::new() };
        let addresses = hosts.addresses(written.name()).into_iter();
        let is_wanted = |ip: &IpAddr| match families {
            DnsFamilies::Both => true,
            DnsFamilies::Ipv4 => ip.is_ipv4(),
            DnsFamilies::Ipv6 => ip.is_ipv6(),
        };
        addresses
            .filter(is_wanted)
            .filter(|ip| is_of_a_server(*ip))
            .map(|ip| SocketAddr::new(ip, port).into())
            .collect()
    }
}

fn addresses(of: &Watched) -> Vec<Address> {
    of.members().iter().map(|it| it.address.into()).collect()
}

pub(super) fn families(wanted: DnsFamilies) -> Families {
    match wanted {
        DnsFamilies::Both => Families::Both,
        DnsFamilies::Ipv4 => Families::Ipv4,
        DnsFamilies::Ipv6 => Families::Ipv6,
    }
}

/// What is looked up for a place, if it has a name.
pub fn wanted_of(at: &Target) -> Option<Wanted> {
    let written = |name: &str| Written::new(name).ok();
    match at {
        Target::Host { port, .. } => {
            Some(Wanted::Addresses(at.name().and_then(written)?, *port))
        }
        Target::Unix(_) => None,
        Target::Set(NameSet { host, kind: SetKind::Addresses(port), .. }) => {
            Some(Wanted::Addresses(written(host)?, *port))
        }
        Target::Set(NameSet { host, kind: SetKind::Services, .. }) => {
            Some(Wanted::Services(written(host)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_name_is_looked_up() {
        let at = |text: &str| crate::config::BackendSpec::parse(text).unwrap().at;
        assert!(matches!(wanted_of(&at("db:1")), Some(Wanted::Addresses(_, 1))));
        assert!(matches!(wanted_of(&at("dns://db:1")), Some(Wanted::Addresses(_, 1))));
        assert!(matches!(wanted_of(&at("srv://_a._tcp.db")), Some(Wanted::Services(_))));
        assert_eq!(wanted_of(&at("10.0.0.1:1")), None);
        assert_eq!(wanted_of(&at("[::1]:1")), None);
        assert_eq!(wanted_of(&at("unix:/run/x")), None);
    }

    #[test]
    fn what_dns_can_hold_is_what_is_taken_for_a_name() {
        let long = "a".repeat(64);
        for name in [&*long, "a..b", "-a", "a b", ".", ""] {
            let taken = crate::config::BackendSpec::parse(&format!("{name}:1")).is_ok();
            assert!(!taken, "{name}");
        }
        for name in ["a", "a.b.", "_x.y", &"a".repeat(63)] {
            let spec = crate::config::BackendSpec::parse(&format!("{name}:1")).unwrap();
            assert!(wanted_of(&spec.at).is_some(), "{name}");
        }
    }
}
