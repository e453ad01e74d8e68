//! What is given to the process that takes our place: sockets, the state, flows; and what becomes
//! of ours then.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use log::{info, warn};

use crate::admin::client::Client;
use crate::config::{Address, AdminListen, UnixName, counted, duration_text};
use crate::control::state::State;
use crate::event::{Key, ListenerId};
use crate::limits::{SWEPT_PER_TURN, TAKEOVER_DESCRIPTORS_MAX, TAKEOVER_FLOWS, TAKEOVER_TIME};
use crate::relay::Reason;
use crate::services::{Intake, ListenerSocket};
use crate::takeover::{FlowRow, Message, Offered, SocketRow, TailRow, Way};

use super::super::saving::Gathering;
use super::super::{EventLoop, RunState};
use super::told::Told;
use super::{Handover, Listening, Phase};

impl EventLoop {
    /// The listening sockets that another process can go on with. Those at which nobody is let in
    /// are no such: an operator said so to this process.
    pub(super) fn all_offers(&self) -> Vec<Listening> {
        let is_open = |id: &&ListenerId| {
            let listener = self.cx.listeners.get(**id);
            listener.is_some_and(|it| match &it.socket {
                ListenerSocket::Stream(accepting) => accepting.intake == Intake::Open,
                ListenerSocket::Datagram(_) => true,
                ListenerSocket::Closed => false,
            })
        };
        let listeners = self.directory.listeners.iter().filter(is_open);
        let listeners = listeners.map(|id| Listening::Listener(*id));
        let admins = self.admin.listeners.iter().map(|(key, _)| Listening::Admin(key));
        let heartbeats = self.admin.heartbeats.iter().map(|_| Listening::Heartbeats);
        listeners.chain(admins).chain(heartbeats).collect()
    }

    /// What comes next, if it is our turn to speak. Says whether there may be more.
    pub(super) fn say_more(&mut self, it: &mut Handover) -> Result<bool, String> {
        match std::mem::replace(&mut it.phase, Phase::Opening) {
            Phase::Listing(from) => it.phase = self.say_sockets(it, from)?,
            Phase::Gathering(mut gathering) => {
                it.phase = if gathering.step(&self.resolver, &self.cx.guard.banning.bans) {
                    Phase::Gathering(gathering)
                } else {
                    let in_state = self.all_summed();
                    let others = self.all_downtimes();
                    it.told = Told::of(&self.directory, &mut self.cx, in_state, others);
                    let totals = self.cx.stats.counted();
                    let Gathering { names, bans, .. } = gathering;
                    let state = State { names, bans, totals, ..self.state_now() };
                    Phase::State(Box::new(state.into_body().into_pieces()))
                };
            }
            Phase::State(mut pieces) => match pieces.next() {
                Some(piece) => {
                    it.say(&Message::State(piece), Vec::new());
                    it.phase = Phase::State(pieces);
                }
                None => {
                    let manager = self.manager_for_another();
                    let pid = rustix::process::getpid().as_raw_nonzero().get();
                    let offered = Offered { manager, pid, seed: self.seed, confirms: true };
                    it.say(&Message::Offered(offered), Vec::new());
                    it.phase = Phase::Opening;
                }
            },
            Phase::Flows(place) => it.phase = self.say_flows(it, place)?,
            Phase::Counting(place) => {
                it.phase = match it.told.more_of_some(place, &mut self.cx) {
                    Some((counts, next)) => {
                        if !counts.is_empty() {
                            it.say(&Message::Counts(counts), Vec::new());
                        }
                        Phase::Counting(next)
                    }
                    None => self.say_totals(it),
                };
            }
            phase @ (Phase::Greeting
            | Phase::Opening
            | Phase::Yours
            | Phase::Confirming
            | Phase::Draining) => {
                it.phase = phase;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn say_sockets(&self, it: &mut Handover, from: usize) -> Result<Phase, String> {
        let end = it.offered.len().min(from + TAKEOVER_DESCRIPTORS_MAX);
        let mut rows = Vec::new();
        let mut sockets = Vec::new();
        for offer in &it.offered[from..end] {
            let (row, socket) = self.row_of(offer.of)?;
            rows.push(row);
            sockets.push(socket);
        }
        if rows.is_empty() {
            return Ok(Phase::Gathering(Gathering::default()));
        }
        it.say(&Message::Sockets(rows), sockets);
        Ok(Phase::Listing(end))
    }

    fn row_of(&self, of: Listening) -> Result<(SocketRow, OwnedFd), String> {
        let gone = || "a listener went away meanwhile".to_owned();
        let failed = |error: std::io::Error| error.to_string();
        match of {
            Listening::Listener(id) => {
                let place = self.directory.listeners.iter().position(|it| *it == id);
                let spec = place.and_then(|at| self.directory.desired.listeners.get(at));
                let listener = self.cx.listeners.get(id).ok_or_else(gone)?;
                let asked = spec.map_or(&listener.address, |it| &it.listen.address).clone();
                let at = listener.address.canonical();
                let (way, is_shared, file) = match &listener.socket {
                    ListenerSocket::Stream(it) => {
                        (Way::Stream, it.listener.is_shared(), it.listener.file_id())
                    }
                    ListenerSocket::Datagram(it) => {
                        (Way::Datagram, it.listener.is_shared(), None)
                    }
                    ListenerSocket::Closed => return Err(gone()),
                };
                let socket = match &listener.socket {
                    ListenerSocket::Stream(it) => it.listener.copy(),
                    ListenerSocket::Datagram(it) => it.listener.copy(),
                    ListenerSocket::Closed => return Err(gone()),
                };
                let row = SocketRow { way, asked, at, file, is_shared };
                Ok((row, socket.map_err(failed)?))
            }
            Listening::Admin(key) => {
                let listener = self.admin.listeners.get(key).ok_or_else(gone)?;
                let (socket, file) = listener.copy().map_err(failed)?;
                let asked = address_of(&listener.place)?;
                let at = address_of(&listener.real())?;
                let is_shared = listener.is_shared();
                Ok((SocketRow { way: Way::Stream, asked, at, file, is_shared }, socket))
            }
            Listening::Heartbeats => {
                let inlet = self.admin.heartbeats.as_ref().ok_or_else(gone)?;
                let asked = self.directory.desired.process.admin.register_udp;
                let at: SocketAddr = inlet.address();
                let asked = asked.unwrap_or(at).into();
                let row = SocketRow {
                    way: Way::Datagram,
                    asked,
                    at: at.into(),
                    file: None,
                    is_shared: inlet.is_shared(),
                };
                Ok((row, inlet.copy().map_err(failed)?))
            }
        }
    }

    /// Some flows; after the last of them the connections to those who drain.
    fn say_flows(&self, it: &mut Handover, from: usize) -> Result<Phase, String> {
        let mut rows: Vec<FlowRow> = Vec::new();
        let mut sockets = Vec::new();
        let end = self.udp.places().min(from + SWEPT_PER_TURN);
        let mut place = from;
        let place_of = |id: ListenerId| it.taken.get(&id).copied();
        while place < end && rows.len() < TAKEOVER_FLOWS {
            let found = self.udp.row_at(place, &self.cx, place_of);
            if let Some((row, socket)) = found.map_err(|error| error.to_string())? {
                rows.push(row);
                sockets.push(socket);
            }
            place += 1;
        }
        if !rows.is_empty() {
            it.flows += rows.len() as u32;
            it.say(&Message::Flows(rows), sockets);
        }
        if place < self.udp.places() {
            return Ok(Phase::Flows(place));
        }
        self.say_tails(it)?;
        it.say(&Message::Yours, Vec::new());
        Ok(Phase::Yours)
    }

    fn say_tails(&self, it: &mut Handover) -> Result<(), String> {
        let mut rows = Vec::new();
        let mut sockets = Vec::new();
        for (_, tail) in self.tails.all.iter() {
            rows.push(TailRow { pid: tail.pid, begun: tail.frames.rest().to_vec() });
            sockets.push(tail.socket.copy().map_err(|error| error.to_string())?);
            if rows.len() == TAKEOVER_DESCRIPTORS_MAX {
                it.say(
                    &Message::Tails(std::mem::take(&mut rows)),
                    std::mem::take(&mut sockets),
                );
            }
        }
        if !rows.is_empty() {
            it.say(&Message::Tails(rows), sockets);
        }
        Ok(())
    }

    /// What the process counted; the first time that is the last word before the other one serves.
    fn say_totals(&mut self, it: &mut Handover) -> Phase {
        let counts = it.told.more_of_all(&self.cx.stats);
        if !counts.is_empty() {
            it.say(&Message::Counts(counts), Vec::new());
        }
        if self.handovers.is_over {
            return Phase::Draining;
        }
        it.say(&Message::Go, Vec::new());
        if it.confirms {
            return Phase::Confirming;
        }
        // Of an older version. What was said is not sent before this turn's step ends.
        self.leave_place(it);
        Phase::Draining
    }

    /// The other process serves from now on.
    pub(super) fn leave_place(&mut self, it: &mut Handover) {
        // First: it says that it is ready as the one that this names.
        self.tell_handed_over(it.peer.pid);
        it.told.leave_out_probes();
        self.handovers.is_over = true;
        self.state = RunState::Draining;
        // Kept connections end with their next answer, and not before: a request may be on its way.
        self.cx.sends_away = true;
        self.keeping.give_up();
        self.observing.archive.hand_over();
        let offered = std::mem::take(&mut it.offered);
        for offer in offered.iter().filter(|it| it.is_taken) {
            self.give_away(offer.of);
        }
        self.leave_rest();
        self.udp.hand_over(|id| it.taken.contains_key(&id), &self.cx);
        for (_, tail) in self.tails.all.iter_mut() {
            tail.socket.deregister(&self.cx.registry);
        }
        self.tails = super::super::tails::Tails::default();
        let timeout = self.cx.settings.process.drain_timeout;
        self.cx.timers.arm(self.chores.drain, self.cx.now + timeout);
        it.due = self.cx.now;
        self.cx.timers.arm(self.chores.takeover, it.due);
        let open = counted(self.pairs.len() - self.dead.len(), "connection");
        let within = duration_text(timeout);
        let process = it.peer.process();
        info!("{process} serves: {open} of ours may finish within {within}");
    }

    /// The process before goes on, for it took us for dead: it has all of the sockets as well.
    /// Those who came here meanwhile may finish.
    pub(in super::super) fn give_place_back(&mut self, pid: i32, why: &str) {
        warn!("process {pid} goes on in its place, and this one ends: {why}");
        self.silence_manager();
        self.state = RunState::Draining;
        self.cx.sends_away = true;
        self.keeping.give_up();
        self.observing.archive.hand_over();
        for of in self.all_offers() {
            self.give_away(of);
        }
        self.leave_rest();
        self.udp.hand_over(|_| true, &self.cx);
        let timeout = self.cx.settings.process.drain_timeout;
        self.cx.timers.arm(self.chores.drain, self.cx.now + timeout);
    }

    fn give_away(&mut self, of: Listening) {
        match of {
            Listening::Listener(id) => self.give_listener_away(id),
            Listening::Admin(key) => {
                self.admin.waiting.retain(|it| *it != key);
                if let Some(listener) = self.admin.listeners.remove(key) {
                    listener.hand_over(&self.cx.registry);
                }
            }
            Listening::Heartbeats => {
                if let Some(inlet) = self.admin.heartbeats.take() {
                    inlet.hand_over(&self.cx.registry);
                }
            }
        }
    }

    fn give_listener_away(&mut self, id: ListenerId) {
        if !self.cx.listeners.leave(id) {
            return;
        }
        self.accepting.retain(|&other| other != id);
        self.ready.retain(|&other| other != id);
        let socket = &mut self.cx.listeners[id].socket;
        match std::mem::replace(socket, ListenerSocket::Closed) {
            ListenerSocket::Stream(accepting) => {
                self.cx.timers.remove(accepting.timer);
                accepting.listener.hand_over(&self.cx.registry);
            }
            ListenerSocket::Datagram(receiving) => {
                receiving.listener.hand_over(&self.cx.registry);
            }
            ListenerSocket::Closed => {}
        }
        self.cx.listeners.recheck();
    }

    /// What the other one has no use for is closed, as at any stop.
    fn leave_rest(&mut self) {
        self.leave_all_listeners();
        let admins: Vec<Key> = self.admin.listeners.iter().map(|(key, _)| key).collect();
        for key in admins {
            self.admin.waiting.retain(|it| *it != key);
            self.admin.listeners.remove(key);
        }
        self.admin.heartbeats = None;
    }

    /// Those who ask something of the process are to ask the one that serves: an answer is
    /// finished, the next request goes there.
    pub(super) fn close_resting_admins(&mut self) {
        let rest = self.admin.connections.iter().filter(|(_, it)| it.rests_since().is_some());
        let rest: Vec<Key> = rest.map(|(key, _)| key).collect();
        rest.into_iter().for_each(|key| self.close_admin(key));
    }

    /// Whether an answer of the API is under way that ends, and another process serves: it is
    /// finished first. Whoever waits for events does not keep this process.
    pub(in super::super) fn answers_operators(&self) -> bool {
        let is_answered = |it: &Client| it.rests_since().is_none() && !it.listens();
        self.is_handed_over() && self.admin.connections.iter().any(|(_, it)| is_answered(it))
    }

    /// Clients that have not asked for anything for so long have no request on its way.
    pub(super) fn close_rested(&mut self, after: Duration) {
        let now = self.cx.now;
        let is_over = |key: &Key| {
            let Some(pair) = self.pairs.get(*key) else { return false };
            let rested = now.saturating_duration_since(pair.client.active_at(&self.cx));
            rested >= after
                && pair.client.closing.is_none()
                && pair.may_end_at_stop(&self.cx)
                && !pair.client.socket.has_input()
        };
        let all = self.pairs.iter().map(|(key, _)| key);
        let over: Vec<Key> = all.filter(is_over).collect();
        over.into_iter().for_each(|key| self.close(key, Reason::Finished));
    }

    /// What came for tails meanwhile is heard here.
    pub(super) fn thaw_tails(&mut self) {
        let keys: Vec<Key> = self.tails.all.iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.look_at_tail(key));
    }

    /// It is the end: what was counted last is told in one go.
    pub(in super::super) fn tell_last_counts(&mut self) {
        let Some(mut it) = self.handovers.under_way.take() else { return };
        if !self.handovers.is_over {
            return self.end_handover(it, "it was told to stop");
        }
        let mut place = 0;
        while let Some((counts, next)) = it.told.more_of_some(place, &mut self.cx) {
            it.say(&Message::Counts(counts), Vec::new());
            place = next;
        }
        let totals = it.told.more_of_all(&self.cx.stats);
        it.say(&Message::Counts(totals), Vec::new());
        let told = it.socket.copy().and_then(|socket| {
            let mut socket = UnixStream::from(socket);
            socket.set_nonblocking(false)?;
            socket.set_write_timeout(Some(TAKEOVER_TIME))?;
            let mut all = it.waiting.iter();
            all.try_for_each(|it| std::io::Write::write_all(&mut socket, &it.bytes[it.sent..]))
        });
        if let Err(error) = told {
            warn!("the process that serves was not told what was counted last: {error}");
        }
    }
}

fn address_of(place: &AdminListen) -> Result<Address, String> {
    match place {
        AdminListen::Unix(path) => {
            UnixName::parse(path).map(Address::Unix).map_err(|wrong| wrong.to_string())
        }
        AdminListen::Http(at) | AdminListen::Https(at) => Ok((*at).into()),
    }
}
