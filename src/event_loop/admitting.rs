//! Admin connections come in, as many as there is room for. An operator who comes when there is
//! none is let in all the same, if somebody else rests.

use std::io;

use log::warn;

use crate::admin::client::Client;
use crate::admin::listener::{Arrival, Arrived};
use crate::event::{Key, Owner};
use crate::limits::{ADMIN_ACCEPTS_PER_TURN, ADMIN_CONNECTIONS_MAX, EXHAUSTION_WARNINGS};
use crate::net::Fault;

use super::EventLoop;
use super::admin::queue;

impl EventLoop {
    /// Some of those who wait at the listeners.
    pub(super) fn accept_admins(&mut self) {
        for key in std::mem::take(&mut self.admin.waiting) {
            if !self.accept_some_admins(key) {
                self.admin.waiting.push(key);
            }
        }
    }

    /// Says whether nobody waits any more.
    fn accept_some_admins(&mut self, key: Key) -> bool {
        for _ in 0..ADMIN_ACCEPTS_PER_TURN {
            let Some(listener) = self.admin.listeners.get_mut(key) else { return true };
            match listener.accept() {
                Arrival::Client(arrived) => self.open_admin(arrived),
                Arrival::Gone => {}
                Arrival::Nobody => return true,
                Arrival::Failed(error) => {
                    if !self.make_way_for_admin(&error) {
                        // There will be another event with the next client.
                        return true;
                    }
                }
            }
        }
        false
    }

    /// An operator needs a descriptor more than an idle connection does.
    fn make_way_for_admin(&mut self, error: &io::Error) -> bool {
        if Fault::of(error) == Fault::Exhausted && self.cx.give_way() {
            return true;
        }
        self.cx.stats.admin_refused += 1;
        if self.admin.accept_warnings.allows(self.cx.now, EXHAUSTION_WARNINGS) {
            warn!("cannot accept at an admin listener: {error}");
        }
        false
    }

    fn open_admin(&mut self, arrived: Arrived) {
        if self.admin.connections.len() >= ADMIN_CONNECTIONS_MAX && !self.close_resting_admin()
        {
            self.cx.stats.admin_refused += 1;
            if self.admin.accept_warnings.allows(self.cx.now, EXHAUSTION_WARNINGS) {
                let most = ADMIN_CONNECTIONS_MAX;
                warn!("{most} admin connections are open, and none rests: one more is closed");
            }
            return;
        }
        self.admin.number += 1;
        let number = self.admin.number;
        let level = self.directory.desired.process.admin.haproxy_level;
        let now = self.cx.now;
        let timers = &mut self.cx.timers;
        let key = self.admin.connections.insert_with(|key| {
            let timer = timers.create(Owner::Admin(key));
            Client::new(arrived, number, level, timer, now)
        });
        if let Some(connection) = self.admin.connections.get_mut(key) {
            queue(&mut self.admin.ready, key, connection);
        }
    }

    /// Whoever has rested for longest between two requests gives way. All are looked at: there are
    /// few, and it is for when there are too many.
    fn close_resting_admin(&mut self) -> bool {
        let all = self.admin.connections.iter();
        let resting = all.filter_map(|(key, it)| Some((it.rests_since()?, key)));
        let Some((_, key)) = resting.min_by_key(|(since, _)| *since) else { return false };
        self.close_admin(key);
        true
    }
}
