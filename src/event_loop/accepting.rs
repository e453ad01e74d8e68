//! Step 5 of the turn: new clients come in, a few from each listener.

use std::io;
use std::net::SocketAddr;

use log::{debug, warn};

use crate::config::counted;
use crate::context::Home;
use crate::event::{Key, ListenerId, Owner, TimeShare};
use crate::limits::{
    ACCEPT_PAUSE, ACCEPTS_PER_BUSY_TURN, ACCEPTS_PER_TURN, EXHAUSTION_WARNINGS, OVERLAP_MAX,
    STEP_TIME,
};
use crate::net::{Accepted, Fault, Peer, Stream};
use crate::relay::{Arrival, Pair};
use crate::services::{Listener, ListenerSocket};

use super::{EventLoop, RunState};

/// Who has to go for a new client.
enum Leaver {
    /// There is room.
    Nobody,
    /// A client that rests.
    Client(Key),
}

impl EventLoop {
    /// A few of each listener at which somebody waits, in turn, for the time may not do for all.
    pub(super) fn accept(&mut self) {
        if self.has_clients_waiting() {
            self.accept_some();
        }
        if self.sockets_leaving > 0 {
            self.close_listening_sockets();
        }
        if self.intakes_closing > 0 {
            let _ = self.close_intakes();
        }
    }

    fn accept_some(&mut self) {
        let slow = self.busy || self.was_long;
        let most = if slow { ACCEPTS_PER_BUSY_TURN } else { ACCEPTS_PER_TURN };
        let mut share = self.pace.share(STEP_TIME, usize::MAX);
        for _ in 0..self.ready.len() {
            if share.is_spent() {
                return;
            }
            let Some(id) = self.ready.pop_front() else { return };
            self.accept_from(id, most, &mut share);
            if let Some(accepting) = self.cx.listeners[id].accepting() {
                accepting.is_queued = false;
            }
            self.queue_listener(id);
        }
    }

    /// An event said that somebody waits at a listener, or it is to be looked.
    pub(super) fn mark_listener(&mut self, id: ListenerId) {
        let Some(listener) = self.cx.listeners.get_mut(id) else { return };
        match &mut listener.socket {
            ListenerSocket::Stream(accepting) => {
                accepting.listener.mark();
                self.queue_listener(id);
            }
            ListenerSocket::Datagram(_) => self.udp.mark_listener(id, &mut self.cx),
            ListenerSocket::Closed => {}
        }
    }

    /// A listener that ran out of descriptors may try again.
    pub(super) fn end_pause(&mut self, id: ListenerId) {
        if let Some(accepting) = self.cx.listeners.get_mut(id).and_then(Listener::accepting) {
            accepting.is_paused = false;
            self.queue_listener(id);
        }
    }

    /// It is to be asked for clients, if somebody may wait there.
    pub(super) fn queue_listener(&mut self, id: ListenerId) {
        let is_ready = self.cx.listeners[id].is_ready();
        let Some(accepting) = self.cx.listeners[id].accepting() else { return };
        if is_ready && !std::mem::replace(&mut accepting.is_queued, true) {
            self.ready.push_back(id);
        }
    }

    /// At most so many clients of one listener.
    fn accept_from(&mut self, id: ListenerId, most: usize, share: &mut TimeShare) {
        let Some(accepting) = self.cx.listeners[id].accepting() else { return };
        let most = accepting.last.map_or(most, |left| left.min(most));
        for _ in 0..most {
            if !self.cx.listeners[id].is_ready() || !share.allows(&mut self.pace) {
                return;
            }
            let leaver = self.find_room();
            let Some(accepting) = self.cx.listeners[id].accepting() else { return };
            let Some(leaver) = leaver else { return accepting.listener.check() };
            if let Some(left) = &mut accepting.last {
                *left -= 1;
            }
            match accepting.listener.accept() {
                Accepted::Client(stream, address) => {
                    if let Leaver::Client(key) = leaver
                        && !self.is_barred(id, address)
                    {
                        self.dismiss(key);
                    }
                    let looked = self.make_room_for(address.ip(), id);
                    if self.open_pair(stream, address, id) || looked {
                        share.note_large();
                    }
                }
                Accepted::GaveUp => {}
                Accepted::Nobody => return,
                Accepted::Failed(error) => {
                    if !self.free_descriptor(&error) {
                        return self.pause(id, &error);
                    }
                    if !self.dead.is_empty() {
                        // Their descriptors are free in the next turn.
                        return;
                    }
                }
            }
        }
    }

    /// Whether a client of this listener is refused at once: nobody has to go for it.
    fn is_barred(&self, id: ListenerId, address: SocketAddr) -> bool {
        let guard = &self.cx.listeners[id].guard;
        self.cx.guard.bars(address.ip(), guard, self.cx.now)
    }

    /// Whether there is room for one more, and who has to go for it. That one goes once the other
    /// is really there, so that there are a few too many until the end of the turn.
    fn find_room(&mut self) -> Option<Leaver> {
        let most = self.cx.settings.max_connections;
        if self.pairs.len() < most {
            return Some(Leaver::Nobody);
        }
        let overlaps = self.pairs.len() < most + OVERLAP_MAX && self.takes_clients();
        let leaver = if overlaps { self.longest_resting() } else { None };
        leaver.map(Leaver::Client)
    }

    /// Out of descriptors: what is not in use gives one back, at once or at the end of the turn.
    pub(super) fn free_descriptor(&mut self, error: &io::Error) -> bool {
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

    fn pause(&mut self, id: ListenerId, error: &io::Error) {
        if let Some(accepting) = self.cx.listeners[id].accepting() {
            accepting.is_paused = true;
            // One that leaves does not wait for better times: they may never come.
            accepting.last = accepting.last.map(|_| 0);
            self.cx.timers.arm(accepting.timer, self.cx.now + ACCEPT_PAUSE);
        }
        self.note_accept_failure(error);
    }

    /// The sockets of listeners that leave, once nobody waits at them any more.
    fn close_listening_sockets(&mut self) {
        let closing = self.accepting.iter().copied().filter(|&id| self.is_to_be_closed(id));
        let closing: Vec<ListenerId> = closing.collect();
        closing.into_iter().for_each(|id| self.close_listening_socket(id));
    }

    /// Whether nobody comes in at this listening socket any more. While we are stopping, a client
    /// for which there is no room now would only wait for the end.
    fn is_to_be_closed(&self, id: ListenerId) -> bool {
        let none_comes_in = self.state == RunState::Draining && !self.may_accept();
        none_comes_in || self.cx.listeners[id].has_taken_the_last()
    }

    fn close_listening_socket(&mut self, id: ListenerId) {
        self.accepting.retain(|&other| other != id);
        self.ready.retain(|&other| other != id);
        self.sockets_leaving -= 1;
        let socket = &mut self.cx.listeners[id].socket;
        if let ListenerSocket::Stream(mut accepting) =
            std::mem::replace(socket, ListenerSocket::Closed)
        {
            accepting.listener.deregister(&self.cx.registry);
            self.cx.timers.remove(accepting.timer);
        }
        self.cx.listeners.recheck();
    }

    /// Whether a listening socket is to be closed in the next turn.
    pub(super) fn has_sockets_to_close(&self) -> bool {
        self.accepting.iter().any(|&id| self.is_to_be_closed(id))
    }

    /// Whether somebody waits to be accepted, and may be.
    pub(super) fn has_clients_waiting(&self) -> bool {
        !self.ready.is_empty() && !self.keeps_clients_out() && self.may_accept()
    }

    pub(super) fn may_accept(&self) -> bool {
        let pairs = self.pairs.len();
        let most = self.cx.settings.max_connections;
        let overlaps = pairs < most + OVERLAP_MAX && self.takes_clients();
        pairs < most || overlaps && self.might_make_room()
    }

    /// Says whether that may have taken long.
    fn open_pair(&mut self, stream: Stream, address: SocketAddr, id: ListenerId) -> bool {
        let listener = &mut self.cx.listeners[id];
        listener.stats.open += 1;
        let service = listener.only.and_then(|id| Some((id, self.cx.services.get(id)?)));
        let home = match service {
            Some((id, service)) => Home { service: Some(id), pool: service.pool },
            None => Home::default(),
        };
        self.cx.enter(home);
        self.cx.stats.accepted += 1;
        self.cx.stats.open += 1;
        self.pair_number = self.pair_number.wrapping_add(1);
        let number = self.pair_number;
        debug!("pair {number}: accepted {}", Peer::from(address));
        let arrival = Arrival { number, listener: id, home, socket: stream, address };
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
            let open = counted(self.pairs.len(), "connection");
            warn!("cannot accept with {open} open: {error}; trying again shortly");
        }
    }
}
