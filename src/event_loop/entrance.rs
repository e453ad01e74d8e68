//! Step 5 of the turn: new clients come in, a few from each listener.

use std::io;
use std::net::SocketAddr;

use log::{debug, warn};

use crate::event::{Key, Owner, Share, TimerKey};
use crate::limits::{
    ACCEPT_PAUSE, ACCEPTS_PER_BUSY_TURN, ACCEPTS_PER_TURN, EXHAUSTION_WARNINGS, OVERLAP_MAX,
    STEP_TIME,
};
use crate::net::{Accepted, Fault, Listener, Stream};
use crate::relay::{Arrival, Pair};

use super::{EventLoop, Phase};

/// A listener, and whether it rests.
pub(super) struct StreamListener {
    pub listener: Listener,
    /// Its place among the listeners of the process.
    pub front: usize,
    pub timer: TimerKey,
    /// It ran out of descriptors and waits for its timer.
    pub paused: bool,
    /// We are stopping: so many may still come in, who waited when that began.
    pub last: Option<usize>,
}

/// Who has to go for a new client.
enum Leaver {
    /// There is room.
    Nobody,
    /// A client that rests.
    Client(Key),
}

impl StreamListener {
    pub fn is_ready(&self) -> bool {
        self.listener.is_ready() && !self.paused
    }
}

impl EventLoop {
    /// A few of each listener. Which one is first changes, for the time may not do for all.
    pub(super) fn accept(&mut self) {
        let serving = self.phase == Phase::Serving;
        if self.listeners.is_empty() || serving && !self.has_clients_waiting() {
            return;
        }
        let slow = self.busy || self.was_long;
        let most = if slow { ACCEPTS_PER_BUSY_TURN } else { ACCEPTS_PER_TURN };
        let mut share = self.pace.share(STEP_TIME, usize::MAX);
        let count = self.listeners.len();
        self.first_listener = (self.first_listener + 1) % count;
        for index in 0..count {
            self.accept_from((self.first_listener + index) % count, most, &mut share);
        }
        if self.phase == Phase::Draining {
            self.close_listeners();
        }
    }

    /// At most so many clients of one listener.
    fn accept_from(&mut self, index: usize, most: usize, share: &mut Share) {
        let most = self.listeners[index].last.map_or(most, |left| left.min(most));
        for _ in 0..most {
            if !self.listeners[index].is_ready() || !share.allows(&mut self.pace) {
                return;
            }
            let Some(leaver) = self.find_room() else { return };
            let entrance = &mut self.listeners[index];
            if let Some(left) = &mut entrance.last {
                *left -= 1;
            }
            match entrance.listener.accept() {
                Accepted::Client(stream, address) => {
                    if let Leaver::Client(key) = leaver {
                        self.dismiss(key);
                    }
                    if self.open_pair(stream, address, index) {
                        share.note_large();
                    }
                }
                Accepted::GaveUp => {}
                Accepted::Nobody => return,
                Accepted::Failed(error) => {
                    if !self.free_descriptor(&error) {
                        return self.pause(index, &error);
                    }
                    if !self.dead.is_empty() {
                        // Their descriptors are free in the next turn.
                        return;
                    }
                }
            }
        }
    }

    /// Whether there is room for one more, and who has to go for it. That one goes once the other
    /// is really there, so that there are a few too many until the end of the turn.
    fn find_room(&mut self) -> Option<Leaver> {
        let most = self.cx.settings.max_connections;
        if self.pairs.len() < most {
            return Some(Leaver::Nobody);
        }
        let overlaps = self.pairs.len() < most + OVERLAP_MAX && self.phase == Phase::Serving;
        let leaver = if overlaps { self.longest_resting() } else { None };
        leaver.map(Leaver::Client)
    }

    /// Out of descriptors: what is not in use gives one back, at once or at the end of the turn.
    fn free_descriptor(&mut self, error: &io::Error) -> bool {
        if Fault::of(error) != Fault::Exhausted {
            return false;
        }
        if self.cx.give_way() {
            return true;
        }
        // Those who died in this turn do so first.
        let leaver = if self.dead.is_empty() { self.longest_resting() } else { None };
        if let Some(key) = leaver {
            self.dismiss(key);
        }
        !self.dead.is_empty()
    }

    fn pause(&mut self, index: usize, error: &io::Error) {
        let entrance = &mut self.listeners[index];
        entrance.paused = true;
        self.cx.timers.arm(entrance.timer, self.cx.now + ACCEPT_PAUSE);
        self.note_accept_failure(error);
    }

    /// We are stopping: those listeners at which nobody waits any more.
    fn close_listeners(&mut self) {
        let may_accept = self.may_accept();
        let timers = &mut self.cx.timers;
        self.listeners.retain(|entrance| {
            let stays = may_accept && entrance.is_ready() && entrance.last != Some(0);
            if !stays {
                timers.remove(entrance.timer);
            }
            stays
        });
    }

    /// Whether somebody waits to be accepted, and may be.
    pub(super) fn has_clients_waiting(&self) -> bool {
        self.listeners.iter().any(StreamListener::is_ready) && self.may_accept()
    }

    fn may_accept(&self) -> bool {
        let (pairs, most) = (self.pairs.len(), self.cx.settings.max_connections);
        let overlaps = pairs < most + OVERLAP_MAX && self.phase == Phase::Serving;
        pairs < most || overlaps && self.might_make_room()
    }

    /// Says whether that may have taken long.
    fn open_pair(&mut self, stream: Stream, address: SocketAddr, index: usize) -> bool {
        let front = self.listeners[index].front;
        self.cx.stats.fronts[front].open += 1;
        self.cx.stats.accepted += 1;
        self.cx.stats.open += 1;
        self.pair_number += 1;
        let number = self.pair_number;
        debug!("pair {number}: accepted {address}");
        let arrival = Arrival { number, front: front as u16, socket: stream, address };
        let cx = &mut self.cx;
        let key = self.pairs.insert_with(|key| {
            let timer = cx.timers.create(Owner::Pair(key));
            Pair::new(arrival, key, timer, cx)
        });
        self.with_pair(key, Pair::act)
    }

    /// One line now and then, however often it fails (pitfall 32).
    fn note_accept_failure(&mut self, error: &io::Error) {
        self.cx.stats.accept_failures += 1;
        if self.accept_warnings.allows(self.cx.now, EXHAUSTION_WARNINGS) {
            let open = self.pairs.len();
            warn!("cannot accept with {open} connections open: {error}; trying again shortly");
        }
    }
}
