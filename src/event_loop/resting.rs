//! Which client gives way when there is no room: the one that rests longest, between two requests
//! of HTTP or before it has shaken hands.
//!
//! One address may fill `--max-connections` with clients that ask for nothing. To close a client
//! between two requests harms nobody, for HTTP lets each side do that at any time; so nginx does,
//! and so do we. The same holds for a client that lingers after our last answer: a flood of broken
//! requests would keep its places for [`crate::limits::LINGER`] longer. And for one that has not
//! got through its handshake, or sent a whole ClientHello: honest ones take a moment for it, and
//! those that never will are older. Whoever has been here for less than
//! [`crate::limits::FIRST_WORD`] without a request stays: it is about to ask, and the next one
//! waits in the kernel for that long.
//!
//! In which order clients rest is not kept, which would cost each request of each of them, at the
//! limit or not. Instead, at the limit all are looked at, and those that rest longest remembered:
//! everybody else rests for less time, and will, so the list is right until it is used up. With
//! 100,000 clients that is a walk of two milliseconds for each thousand that give way.

use std::time::Instant;

use std::net::IpAddr;

use log::debug;

use crate::event::{Key, ListenerId};
use crate::limits::{LIMIT_LOOKS, RESTING_KEPT, ROOM_LOOKS};
use crate::relay::{ClientStanding, Pair, Reason, guard};

use super::EventLoop;

/// Those who rested longest when it was looked.
#[derive(Debug, Default)]
pub(super) struct Resting {
    /// Since when, and who; the longest last.
    longest: Vec<(Instant, Key)>,
    /// Nobody could give way: not to be looked for before this.
    not_before: Option<Instant>,
    /// Where to look next for one of a client that has too many.
    look_at: usize,
}

impl EventLoop {
    /// Whether somebody might give way, as far as that is known without looking.
    pub(super) fn might_make_room(&self) -> bool {
        self.resting.not_before.is_none_or(|at| at <= self.cx.now)
    }

    /// The client that rests longest; nobody, if none rests.
    pub(super) fn longest_resting(&mut self) -> Option<Key> {
        if !self.might_make_room() {
            return None;
        }
        let mut found = self.next_resting();
        if found.is_none() {
            self.look_who_rests();
            found = self.next_resting();
        }
        self.resting.not_before = None;
        if found.is_none() {
            let at = self.cx.now + ROOM_LOOKS;
            self.resting.not_before = Some(at);
            self.cx.timers.arm(self.chores.room, at);
        }
        found
    }

    /// A client wants one more connection than it may have at this listener: one of its own that
    /// rests gives way, if one is found soon. Says whether it was looked for.
    pub(super) fn make_room_for(&mut self, client: IpAddr, id: ListenerId) -> bool {
        let listener = &self.cx.listeners[id];
        let limits = &listener.guard.limits;
        let Some(wanted) = limits.full_for(client, &self.cx.guard.book) else { return false };
        // Behind a PROXY header it is not known yet who it is.
        if listener.settings.requires_proxy_header(client) {
            return false;
        }
        let is_it = |pair: &Pair| {
            let it = &pair.client;
            it.listener == id
                && limits.counts_as(it.address.ip(), it.admission, wanted)
                && pair.may_give_way()
        };
        let places = self.pairs.places();
        let mut found = None;
        for _ in 0..places.min(LIMIT_LOOKS) {
            self.resting.look_at = (self.resting.look_at + 1) % places;
            let pair = self.pairs.at(self.resting.look_at);
            if let Some((key, _)) = pair.filter(|(_, pair)| is_it(pair)) {
                found = Some(key);
                break;
            }
        }
        if let Some(pair) = found.and_then(|key| self.pairs.get_mut(key))
            && !pair.client.socket.has_input()
        {
            // Its place is free at once, for the one that comes.
            guard::gone(&mut pair.client, &mut self.cx);
            let key = pair.client.key;
            self.dismiss(key);
        }
        true
    }

    /// It gives way to another client.
    pub(super) fn dismiss(&mut self, key: Key) {
        let place = self.resting.longest.iter().rposition(|&(_, it)| it == key);
        place.map(|at| self.resting.longest.remove(at));
        let Some(pair) = self.pairs.get(key) else { return };
        debug!("pair {}: rests, and gives way", pair.client.number);
        let reason = match pair.standing() {
            ClientStanding::Resting | ClientStanding::Told => Reason::Finished,
            ClientStanding::Silent | ClientStanding::Begun | ClientStanding::Busy => {
                Reason::GaveWay
            }
        };
        self.cx.stats.clients_gave_way += 1;
        self.close(key, reason);
    }

    /// The last of the list who still rests, has not just begun to ask, and may be closed yet.
    fn next_resting(&mut self) -> Option<Key> {
        for at in (0..self.resting.longest.len()).rev() {
            let (since, key) = self.resting.longest[at];
            let pair = self.pairs.get_mut(key);
            let pair =
                pair.filter(|it| it.may_give_way() && it.client.active_at(&self.cx) == since);
            match pair {
                Some(it) if !it.may_make_room(&self.cx) => {}
                Some(it) if !it.client.socket.has_input() => return Some(key),
                Some(_) | None => drop(self.resting.longest.remove(at)),
            }
        }
        None
    }

    fn look_who_rests(&mut self) {
        let longest = &mut self.resting.longest;
        longest.clear();
        let resting = self.pairs.iter().filter(|(_, pair)| pair.may_give_way());
        longest.extend(resting.map(|(key, pair)| (pair.client.active_at(&self.cx), key)));
        if longest.len() > RESTING_KEPT {
            longest.select_nth_unstable_by_key(RESTING_KEPT, |&(since, _)| since);
            longest.truncate(RESTING_KEPT);
        }
        longest.sort_unstable_by_key(|&(since, _)| std::cmp::Reverse(since));
    }
}
