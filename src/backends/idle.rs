//! Connections that wait for a pair, for each backend apart, the last parked at the back.

use std::time::Instant;

use crate::event::Key;

use super::{Backend, BackendId, Backends};

impl Backends {
    /// Keep an idle connection to it; beyond `limit`, the oldest is handed back to be closed.
    pub fn park(&mut self, id: BackendId, key: Key, now: Instant, limit: usize) -> Option<Key> {
        let idle = &mut self.list[id.0 as usize].idle;
        idle.push_back((key, now));
        self.idle += 1;
        if idle.len() > limit { self.unpark_older(id, None) } else { None }
    }

    /// The idle connection to it that was parked last, and when.
    pub fn unpark(&mut self, id: BackendId) -> Option<(Key, Instant)> {
        let parked = self.list[id.0 as usize].idle.pop_back()?;
        self.idle -= 1;
        Some(parked)
    }

    /// The idle connection to it that was parked first, if that was before `since`, or at all.
    pub fn unpark_older(&mut self, id: BackendId, since: Option<Instant>) -> Option<Key> {
        let idle = &mut self.list[id.0 as usize].idle;
        let &(key, parked) = idle.front()?;
        if since.is_some_and(|since| parked >= since) {
            return None;
        }
        idle.pop_front();
        self.idle -= 1;
        Some(key)
    }

    /// The connection that was parked first of all, whomever it leads to. This looks at each
    /// backend, a tenth of a millisecond for ten thousand: it is for when descriptors ran out.
    pub fn unpark_oldest(&mut self) -> Option<Key> {
        if self.idle == 0 {
            return None;
        }
        let oldest = |(index, backend): (usize, &Backend)| {
            backend.idle.front().map(|&(_, parked)| (parked, BackendId(index as u32)))
        };
        let (_, id) =
            self.list.iter().enumerate().filter_map(oldest).min_by_key(|&(at, _)| at)?;
        self.unpark_older(id, None)
    }

    /// This idle connection to it is closed.
    pub fn forget_idle(&mut self, id: BackendId, key: Key) {
        let idle = &mut self.list[id.0 as usize].idle;
        let before = idle.len();
        idle.retain(|&(other, _)| other != key);
        self.idle -= before - idle.len();
    }

    /// Whether idle connections wait, to whomever.
    pub fn has_idle(&self) -> bool {
        self.idle > 0
    }
}
