//! The names of backends: what DNS tells of them becomes addresses of servers and members of pools.
//!
//! ```text
//!   written  --sets expanded--> base --over it what was told--> what runs --> names to follow
//!      ^                                                                          |
//!      +---- a set is another: once more from here <----- Resolver <--------------+
//!                                                            |
//!            a host has other addresses: its servers move <--+
//! ```
//!
//! What a start waits for is another question: see [`super::opening`].

use std::collections::HashSet;
use std::time::SystemTime;

use log::{Level, debug, info, warn};
use serde_json::Value;

use crate::backends::Backends;
use crate::config::{Address, Desired, ListenerSpec, Target, counted};
use crate::control::state::{SavedName, names_of};
use crate::control::{Directory, Own, Receipt};
use crate::event::{ListenerId, ServerId};
use crate::limits::{BACKEND_ADDRESSES_MAX, DNS_LINES, DNS_NAMES_SAID, DNS_START_WAIT};
use crate::resolver::{Changed, Follower, NameNow};
use crate::stats::LogThrottle;

use super::changing::Asker;
use super::{EventLoop, RunState};

/// What was told of names and is not done yet.
#[derive(Debug, Default)]
pub(super) struct Naming {
    /// Sets are others, and what runs does not yet say so: another change is under way. So it may
    /// be at the start and at any time later, and is no state of either.
    sets_changed: bool,
    /// Receipts of changes that DNS brought about.
    lines: LogThrottle,
    /// Warnings of names that lead to ourselves.
    own_warnings: LogThrottle,
    /// What such changes have to say beside their receipt.
    notes: LogThrottle,
    /// Changes that DNS brought about since the last line.
    changes_held: usize,
}

impl EventLoop {
    /// What runs may want other names than before.
    pub(super) fn follow_names(&mut self) {
        let backends = self.directory.written.pools.iter().flat_map(|pool| &pool.backends);
        let configured = backends.filter_map(|spec| match &spec.at {
            at @ Target::Set(_) => Some((at, Follower::Set)),
            at => at.name().map(|_| (at, Follower::Nothing)),
        });
        let servers = self.directory.wanted();
        let servers = servers.iter().enumerate().filter_map(|(place, it)| {
            // Members have addresses: to read each of them would be for nothing.
            let is_named = it.spec.member_of.is_none() && it.spec.at.name().is_some();
            is_named.then_some((&it.spec.at, Follower::Server(place)))
        });
        self.resolver.follow(configured.chain(servers), &mut self.cx);
    }

    /// With the members of its sets, as far as they are known.
    pub(super) fn expanded(&self, written: &Desired) -> (Desired, Vec<String>) {
        written.expanded(&self.directory.base, |set| self.resolver.members(set))
    }

    /// Whether DNS told something that is to be followed in the next turn.
    pub(super) fn has_names_to_follow(&self) -> bool {
        self.may_follow() || self.may_change_sets() || self.may_end_resolving()
    }

    /// A change that is under way has read where names led before: it ends first, or it would bring
    /// servers back to there.
    fn may_follow(&self) -> bool {
        self.resolver.has_changed() && self.changing.is_none()
    }

    /// Sets that are others become what runs, once nothing else is being changed.
    fn may_change_sets(&self) -> bool {
        let can_begin = !self.has_changes() && self.state == RunState::Serving;
        self.naming.sets_changed && can_begin
    }

    /// Whether what runs is what DNS told.
    pub(super) fn follows_names(&self) -> bool {
        !self.resolver.has_changed() && !self.naming.sets_changed && !self.has_changes()
    }

    /// What a process before was told of names holds until they are looked up.
    pub(super) fn recall_names(&mut self, saved: &str) {
        let wall = SystemTime::now();
        let saved = serde_json::from_str(saved).unwrap_or(Value::Null);
        let mut count = 0;
        // What could not be read was found when the state was.
        for SavedName { wanted, at, known } in names_of(&saved).unwrap_or_default() {
            let ago = wall.duration_since(at).unwrap_or_default();
            let at = self.cx.now.checked_sub(ago).unwrap_or(self.cx.now);
            count += usize::from(self.resolver.recall(&wanted, known, at));
        }
        if count > 0 {
            let names = counted(count, "name");
            info!("{names}: what the state says holds until there is an answer");
        }
    }

    /// What DNS told since the last turn.
    pub(super) fn follow_dns(&mut self) {
        if self.may_follow() {
            self.note_flips();
            let changed = self.resolver.take_changed();
            self.naming.sets_changed |= changed.iter().any(|it| it.is_of_set);
            self.move_servers(changed);
        }
        if self.may_change_sets() {
            self.naming.sets_changed = false;
            self.begin_names();
        }
        if self.is_resolving() {
            self.end_resolving();
        }
    }

    /// Servers whose names have other addresses are there from now on.
    fn move_servers(&mut self, changed: Vec<Changed>) {
        let changed: Vec<Changed> =
            changed.into_iter().filter(|it| !it.servers.is_empty()).collect();
        if changed.is_empty() {
            return;
        }
        let own = self.own();
        let mut moved: Vec<(ServerId, Vec<Address>)> = Vec::new();
        for Changed { servers, addresses, .. } in changed {
            for place in servers {
                let wanted = self.directory.wanted().at(place);
                let mut addresses = addresses.clone();
                addresses.retain(|it| !own.is_ours(&wanted, it));
                addresses.truncate(BACKEND_ADDRESSES_MAX);
                moved.push((self.directory.servers[place], addresses));
            }
        }
        let mut outdated = HashSet::new();
        for (id, addresses) in moved {
            if addresses.is_empty() {
                let name = self.cx.backends.name(id);
                if self.naming.own_warnings.allows(self.cx.now, DNS_LINES) {
                    warn!(
                        "backend {name}: its name leads to listeners of ours, nothing changes"
                    );
                }
                continue;
            }
            if lost_some(&self.cx.backends, id, &addresses) {
                outdated.insert(id);
            }
            let lost = self.cx.backends.get(id).is_some_and(|it| !it.is_found());
            if self.cx.backends.place(id, addresses, self.cx.now) && !lost {
                self.cx.backends.want_probe(id);
            }
        }
        // No further request goes to where they were.
        self.cx.outdate(&outdated);
    }

    /// Where we listen.
    fn own(&self) -> Own {
        let Directory { desired, listeners, .. } = &self.directory;
        let address = |(id, spec): (&ListenerId, &ListenerSpec)| {
            let found = self.cx.listeners.get(*id);
            found.map_or_else(|| spec.listen.address.clone(), |it| it.address.clone())
        };
        let all = listeners.iter().zip(&desired.listeners);
        let addresses: Vec<Address> = all.map(address).collect();
        Own::new(desired, &addresses)
    }
}

impl EventLoop {
    /// What runs is another, as DNS told.
    pub(super) fn say_renamed(&mut self, receipt: &Receipt) {
        if !self.naming.lines.allows(self.cx.now, DNS_LINES) {
            self.naming.changes_held += 1;
            return debug!("{receipt}");
        }
        match std::mem::take(&mut self.naming.changes_held) {
            0 => info!("{receipt}"),
            held => info!("after {} by names: {receipt}", counted(held, "change")),
        }
    }

    /// How loud the notes on a change are: a set that flaps has the same at each.
    pub(super) fn level_of_notes(&mut self, asker: Asker, has_some: bool) -> Level {
        let is_by_names = asker == Asker::Names && has_some;
        if is_by_names && !self.naming.notes.allows(self.cx.now, DNS_LINES) {
            return Level::Debug;
        }
        Level::Warn
    }

    /// What the first look-ups came to.
    pub(super) fn say_names(&self) {
        let (stale, unknown): (Vec<_>, Vec<_>) =
            self.resolver.unknown().partition(|it| it.is_recalled);
        let wait = DNS_START_WAIT.as_secs();
        if !stale.is_empty() {
            let said = some_of(&stale);
            warn!("no answer within {wait} s for {said}: what the state says of it holds");
        }
        let all = self.resolver.names().count();
        let lost = self.resolver.names().filter(|it| it.members == 0).count();
        if !unknown.is_empty() {
            warn!("no answer within {wait} s for {}: serving without", some_of(&unknown));
        } else if lost > 0 {
            warn!("{lost} of {all} names have no address: serving without");
        } else if stale.is_empty() {
            let members: usize = self.resolver.names().map(|it| it.members).sum();
            let found = counted(members, "member");
            info!("all names were looked up: {}, {found}", counted(all, "name"));
        }
    }

    /// A backend that another process knew, and nobody knows here: who takes its place would serve
    /// fewer.
    pub fn lost_since_then(&self) -> Option<String> {
        let servers = self.directory.wanted();
        let all = servers.iter().zip(&self.directory.servers);
        let mut lost =
            all.filter(|(_, id)| self.cx.backends.get(**id).is_some_and(|it| !it.is_found()));
        let was_known = |name: &str, pool: &str| self.keeping.was_known(pool, name);
        let found = lost
            .find(|(wanted, _)| wanted.pools().any(|pool| was_known(&wanted.spec.name, pool)));
        found.map(|(wanted, _)| wanted.spec.name.clone())
    }
}

/// Some names for people, and how many more there are.
fn some_of(names: &[NameNow<'_>]) -> String {
    let said: Vec<&str> = names.iter().take(DNS_NAMES_SAID).map(|it| it.name).collect();
    let more = names.len().saturating_sub(DNS_NAMES_SAID);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", said.join(", "))
}

/// Whether a server is to leave an address that it had.
fn lost_some(backends: &Backends, id: ServerId, new: &[Address]) -> bool {
    let server = backends.get(id);
    server.is_some_and(|it| it.addresses.all().iter().any(|old| !new.contains(old)))
}
