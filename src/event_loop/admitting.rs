//! Admin connections come in, as many as there is room for. An operator who comes when there is
//! none is let in all the same, if somebody else rests.

use std::io;

use log::warn;

use crate::admin::client::Client;
use crate::admin::listener::{Arrival, Arrived};
use crate::event::{Key, Owner};
use crate::limits::{
    ADMIN_ACCEPTS_PER_TURN, ADMIN_CONNECTIONS_MAX, EXHAUSTION_WARNINGS, SCRAPERS_MAX,
};
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
        let is_scraper = arrived.entry.is_scraper();
        if !self.has_room_for_admin(is_scraper) && !self.close_resting_admin(is_scraper) {
            self.cx.stats.admin_refused += 1;
            if self.admin.accept_warnings.allows(self.cx.now, EXHAUSTION_WARNINGS) {
                let most = if is_scraper { SCRAPERS_MAX } else { ADMIN_CONNECTIONS_MAX };
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

    /// Strangers at a listener for metrics have a share of their own.
    fn has_room_for_admin(&self, is_scraper: bool) -> bool {
        let all = &self.admin.connections;
        let scrapers = || all.iter().filter(|(_, it)| it.is_scraper()).count();
        all.len() < ADMIN_CONNECTIONS_MAX && (!is_scraper || scrapers() < SCRAPERS_MAX)
    }

    /// Whoever has rested for longest between two requests gives way; for one who reads metrics
    /// another one who does. All are looked at: there are few, and it is for when there are too
    /// many.
    fn close_resting_admin(&mut self, is_scraper: bool) -> bool {
        let all = self.admin.connections.iter();
        let all = all.filter(|(_, it)| !is_scraper || it.is_scraper());
        let resting = all.filter_map(|(key, it)| Some((it.rests_since()?, key)));
        let Some((_, key)) = resting.min_by_key(|(since, _)| *since) else { return false };
        self.close_admin(key);
        true
    }
}
