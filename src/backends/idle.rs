//! Connections that wait for a pair, for each backend apart, the last parked at the back.

use std::time::{Duration, Instant};

use crate::event::{Key, ServerId};

use super::Backends;

impl Backends {
    /// Keep an idle connection to it; beyond its limit, the oldest is handed back to be closed. To
    /// one that leaves, or that somebody works on, none is kept.
    pub fn park(&mut self, id: ServerId, key: Key, now: Instant) -> Option<Key> {
        if self.servers.is_leaving(id) {
            return Some(key);
        }
        let server = self.servers.get_mut(id)?;
        if server.is_in_maintenance() {
            return Some(key);
        }
        server.idle.push_back((key, now));
        self.idle += 1;
        let surplus = server.idle.len() > server.idle_rules.connections;
        if surplus { self.unpark_older(id, None) } else { None }
    }

    /// The idle connection to it that was parked last, and when.
    pub fn unpark(&mut self, id: ServerId) -> Option<(Key, Instant)> {
        let parked = self.servers.get_mut(id)?.idle.pop_back()?;
        self.idle -= 1;
        Some(parked)
    }

    /// The idle connection to it that was parked first, if that was before `since`, or at all.
    pub fn unpark_older(&mut self, id: ServerId, since: Option<Instant>) -> Option<Key> {
        let idle = &mut self.servers.get_mut(id)?.idle;
        let &(key, parked) = idle.front()?;
        if since.is_some_and(|since| parked >= since) {
            return None;
        }
        idle.pop_front();
        self.idle -= 1;
        Some(key)
    }

    /// The idle connections to it that have waited for longer than they may, the longest first.
    pub fn unpark_overdue(&mut self, id: ServerId, now: Instant) -> Option<Key> {
        let since = now.checked_sub(self.servers.get(id)?.idle_rules.time)?;
        self.unpark_older(id, Some(since))
    }

    /// The connection that was parked first of all, whichever server it leads to. This looks at
    /// each, a tenth of a millisecond for ten thousand: it is for when descriptors ran out.
    pub fn unpark_oldest(&mut self) -> Option<Key> {
        if self.idle == 0 {
            return None;
        }
        let fronts = self
            .servers
            .iter()
            .filter_map(|(id, server)| server.idle.front().map(|&(_, parked)| (parked, id)));
        let (_, id) = fronts.min_by_key(|&(at, _)| at)?;
        self.unpark_older(id, None)
    }

    /// This idle connection to it is closed.
    pub fn forget_idle(&mut self, id: ServerId, key: Key) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let before = server.idle.len();
        server.idle.retain(|&(other, _)| other != key);
        self.idle -= before - server.idle.len();
    }

    /// Whether idle connections wait, to whichever server.
    pub fn has_idle(&self) -> bool {
        self.idle > 0
    }

    /// The shortest time that an idle connection may wait.
    pub fn shortest_idle(&self) -> Duration {
        self.shortest_idle
    }
}
