//! The turn: wait, mark, act, timers, accept, reap. The only caller of `Poll::poll`.
//!
//! ```text
//!     +-> 1 wait     poll; at once if somebody has work left, else until the next timer
//!     |   2 mark     each event: find its owner, set its readiness bits, queue it once
//!     |   3 act      each queued owner: input and output within a budget -> Verdict
//!     |   4 timers   what is due, bounded
//!     |   5 accept   each ready listener, a few clients at a time
//!     +-- 6 reap     drop sockets, give back buffers and pipes, free slots: only here
//! ```
//!
//! Marking does no input or output and closes nothing, and nothing is freed before the turn's end:
//! so whatever an event's owner does, the other events of the same batch still find theirs, or
//! nobody, never somebody new in the same place (pitfall 1).

mod certificates;
mod chores;
#[cfg(debug_assertions)]
mod invariants;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use mio::{Events, Poll};

use crate::access_log::AccessLog;
use crate::backends::{BackendId, Backends, Flip, Routes};
use crate::config::{Config, OnDown, Protocol, Redirect, duration_text};
use crate::context::{Context, Settings, User};
use crate::event::signals::{Signals, Wish};
use crate::event::{Alarm, Generation, Key, Owner, Slots, TimerKey};
use crate::health::Health;
use crate::limits::{
    ACCEPT_PAUSE, ACCEPTS_PER_TURN, DEMO_STATUS_INTERVAL, EVENTS_PER_TURN, EXHAUSTION_WARNINGS,
    HANDSHAKES_PER_TURN, LISTEN_BACKLOG, LOG_RETRY, TIMERS_PER_TURN,
};
use crate::logging::LogSink;
use crate::net::descriptors::Share;
use crate::net::tls::server::Terminator;
use crate::net::{Accepted, DatagramListener, Listener, PipePool, Stream};
use crate::relay::udp::Udp;
use crate::relay::{self, Pair, Reason, Verdict, account, http};
use crate::stats::{Front, Seldom};
use crate::status;
use chores::Chores;

/// The loop and everything it owns.
pub struct EventLoop {
    poll: Poll,
    events: Events,
    alarm: Alarm,
    signals: Signals,
    /// Indexed by their keys; all of them go at once, when no more clients are wanted.
    listeners: Vec<Entrance>,
    /// What TLS listeners show and remember.
    terminator: Option<Terminator>,
    pairs: Slots<Pair>,
    udp: Udp,
    health: Health,
    cx: Context,
    log: LogSink,
    /// Pairs to be reaped at the end of this turn.
    dead: Vec<Key>,
    /// A signal came in this turn.
    signalled: bool,
    pair_number: u64,
    accept_warnings: Seldom,
    phase: Phase,
    chores: Chores,
}

/// Where clients are taken in.
#[derive(Default)]
pub struct Fronts {
    /// For connections.
    pub streams: Vec<(Listener, Protocol)>,
    /// For datagrams.
    pub datagrams: Vec<DatagramListener>,
    /// What TLS listeners show, if there are any.
    pub terminator: Option<Terminator>,
}

/// A listener, and whether it rests.
struct Entrance {
    listener: Listener,
    protocol: Protocol,
    /// Its place among the listeners of the process.
    front: usize,
    timer: TimerKey,
    /// It ran out of descriptors and waits for its timer.
    paused: bool,
}

/// What the process is up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// No new clients; those that are here may finish.
    Draining,
    /// Over at the end of this turn.
    Stopping,
}

impl EventLoop {
    /// A loop that serves `listeners` from these backends by these routes, ready to run.
    pub fn new(
        config: &Config,
        seed: u64,
        mut signals: Signals,
        fronts: Fronts,
        (backends, routes): (Backends, Routes),
        share: Share,
        (log, access_log): (LogSink, Option<AccessLog>),
    ) -> io::Result<EventLoop> {
        let now = Instant::now();
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry())?;
        signals.watch(poll.registry())?;
        let mut settings = Settings::of(config, config.max_connections.unwrap_or(share.pairs));
        if config.tls.redirect == Redirect::Https {
            let https =
                fronts.streams.iter().find(|(_, protocol)| *protocol == Protocol::Https);
            settings.redirect_to = https.map(|(listener, _)| listener.address().port());
        }
        let pipes = PipePool::new(share.pipes);
        let registry = poll.registry().try_clone()?;
        let mut cx = Context::new(registry, backends, pipes, settings, now);
        (cx.access_log, cx.routes) = (access_log.map(Box::new), routes);
        let mut random = fastrand::Rng::with_seed(seed);
        let (interval, timeout) = (config.check_interval, config.check_timeout);
        let health = Health::new(&config.check, interval, timeout, &mut random, &mut cx);
        let chores = Chores::new(&mut cx);
        let most = config.udp.max_flows.unwrap_or(share.flows);
        let udp = Udp::new(fronts.datagrams, &config.udp, most, &mut cx)?;
        if config.demo {
            cx.timers.arm(chores.status, now + DEMO_STATUS_INTERVAL);
        }
        let mut this = EventLoop {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            alarm,
            signals,
            listeners: Vec::new(),
            terminator: fronts.terminator,
            pairs: Slots::default(),
            udp,
            health,
            cx,
            log,
            dead: Vec::new(),
            signalled: false,
            accept_warnings: Seldom::default(),
            pair_number: 0,
            phase: Phase::Serving,
            chores,
        };
        this.review_certificates();
        fronts
            .streams
            .into_iter()
            .try_for_each(|(listener, protocol)| this.add_listener(listener, protocol))?;
        Ok(this)
    }

    /// Serve until asked to stop.
    pub fn run(&mut self) -> io::Result<()> {
        let mut ended = Instant::now();
        while self.phase != Phase::Stopping {
            self.wait(ended)?;
            let began = self.cx.now;
            self.mark();
            self.act();
            self.fire_timers();
            self.accept();
            self.receive_datagrams();
            self.follow_up();
            self.reap();
            self.write_access_log();
            self.cx.stats.turns += 1;
            ended = Instant::now();
            let took = ended.saturating_duration_since(began);
            self.cx.stats.longest_turn = self.cx.stats.longest_turn.max(took);
            #[cfg(debug_assertions)]
            self.check_invariants();
        }
        if let Some(log) = &mut self.cx.access_log {
            log.try_again();
            log.tell(self.cx.now, true);
        }
        self.log.write_kept();
        Ok(())
    }

    fn add_listener(&mut self, mut listener: Listener, protocol: Protocol) -> io::Result<()> {
        let key = Key { index: self.listeners.len() as u32, generation: Generation::FIRST };
        let front = self.cx.stats.fronts.len();
        listener.register(&self.cx.registry, Owner::Listener(key))?;
        let timer = self.cx.timers.create(Owner::Listener(key));
        let name = format!("{protocol}://{}", listener.address());
        self.cx.stats.fronts.push(Front { name, open: 0 });
        self.listeners.push(Entrance { listener, protocol, front, timer, paused: false });
        Ok(())
    }

    /// 1: sleep until something happens, unless somebody has work left. The turn before has just
    /// ended, so that the clock need not be asked again.
    fn wait(&mut self, ended: Instant) -> io::Result<()> {
        let timeout = if self.has_work_left() {
            Some(Duration::ZERO)
        } else {
            self.alarm.timeout(self.cx.timers.next_at(), ended)
        };
        match self.poll.poll(&mut self.events, timeout) {
            // A signal, a debugger: no events, but the clock moved (pitfall 26).
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        self.cx.now = Instant::now();
        self.cx.handshakes_left = HANDSHAKES_PER_TURN;
        Ok(())
    }

    fn has_work_left(&self) -> bool {
        let may_accept = self.may_accept();
        !self.cx.run_queue.is_empty()
            || self.udp.is_ready()
            || self.listeners.iter().any(|entrance| may_accept && entrance.is_ready())
    }

    /// 2: note what each event says, and queue its owner.
    fn mark(&mut self) {
        for event in &self.events {
            match Owner::unpack(event.token().0 as u64) {
                Some(Owner::Pair(key)) => {
                    if let Some(pair) = self.pairs.get_mut(key) {
                        pair.client.mark(event);
                        self.cx.run_queue.push(Owner::Pair(key), &mut pair.queued);
                    }
                }
                Some(Owner::Connection(key)) => {
                    let Some(connection) = self.cx.connections.get_mut(key) else { continue };
                    connection.stream.mark(event);
                    match connection.user {
                        User::Pair(user) => {
                            if let Some(pair) = self.pairs.get_mut(user) {
                                self.cx.run_queue.push(Owner::Pair(user), &mut pair.queued);
                            }
                        }
                        // Closed by its backend, most likely; looked at when acting.
                        User::Idle => self.cx.stir(key),
                        User::Retired => {}
                    }
                }
                Some(Owner::Probe(key)) => self.health.mark(key, event, &mut self.cx),
                Some(Owner::Listener(key)) => {
                    if let Some(entrance) = self.listeners.get_mut(key.index as usize) {
                        entrance.listener.mark();
                    }
                }
                Some(Owner::Door(key)) => self.udp.mark_door(key),
                Some(Owner::Flow(key)) => self.udp.mark_line(key, &mut self.cx),
                Some(Owner::Signals) => self.signalled = true,
                // The timers are looked at in each turn.
                Some(Owner::Alarm) => {}
                Some(Owner::Chore(_)) | None => debug!("an event that nobody asked for"),
            }
        }
    }

    /// 3: everybody who waited when the turn began acts once.
    fn act(&mut self) {
        self.cx.retire_stirred();
        for _ in 0..self.cx.run_queue.len() {
            match self.cx.run_queue.pop() {
                Some(Owner::Pair(key)) => {
                    if let Some(pair) = self.pairs.get_mut(key) {
                        pair.queued = false;
                    }
                    self.with_pair(key, relay::act);
                }
                Some(Owner::Probe(key)) => self.health.act(key, &mut self.cx),
                Some(Owner::Flow(key)) => self.udp.answer(key, &mut self.cx),
                _ => {}
            }
        }
        self.send_answers();
    }

    /// 4: what is due.
    fn fire_timers(&mut self) {
        for _ in 0..TIMERS_PER_TURN {
            match self.cx.timers.pop_due(self.cx.now) {
                None => return,
                Some(Owner::Pair(key)) => self.with_pair(key, relay::on_timer),
                Some(Owner::Probe(key)) => self.health.on_timer(key, &mut self.cx),
                Some(Owner::Listener(key)) => {
                    if let Some(entrance) = self.listeners.get_mut(key.index as usize) {
                        entrance.paused = false;
                    }
                }
                Some(Owner::Chore(chore)) => self.do_chore(chore),
                Some(
                    Owner::Connection(_)
                    | Owner::Signals
                    | Owner::Door(_)
                    | Owner::Flow(_)
                    | Owner::Alarm,
                ) => {}
            }
        }
    }

    /// 5: take in new clients, a few from each listener.
    fn accept(&mut self) {
        if !self.may_accept() {
            return;
        }
        for index in 0..self.listeners.len() {
            self.accept_from(index, ACCEPTS_PER_TURN);
        }
    }

    /// At most so many clients of one listener.
    fn accept_from(&mut self, index: usize, most: usize) {
        for _ in 0..most {
            let entrance = &mut self.listeners[index];
            if !entrance.is_ready() || self.pairs.len() >= self.cx.settings.max_connections {
                return;
            }
            match entrance.listener.accept() {
                Accepted::Client(stream, address) => self.open_pair(stream, address, index),
                Accepted::GaveUp => {}
                Accepted::Nobody => return,
                Accepted::Failed(error) => {
                    entrance.paused = true;
                    self.cx.timers.arm(entrance.timer, self.cx.now + ACCEPT_PAUSE);
                    self.note_accept_failure(&error);
                }
            }
        }
    }

    /// What this turn set off beyond those who acted: signals, backends that went down, ramps, a
    /// log that could not be written.
    fn follow_up(&mut self) {
        if std::mem::take(&mut self.signalled) {
            self.heed_signals();
        }
        let mut fallen = self.cx.backends.take_flips();
        fallen.retain(|&(_, flip)| flip == Flip::Down);
        for (backend, _) in &fallen {
            self.cx.retire_idle(*backend, None);
        }
        self.leave_backends(&fallen);
        if !fallen.is_empty() && self.cx.settings.on_down == OnDown::Close {
            self.clear_backends(&fallen);
        }
        self.arm_chores();
        let no_pairs = self.pairs.len() == self.dead.len();
        if self.phase == Phase::Draining && no_pairs && self.udp.flows() == 0 {
            self.phase = Phase::Stopping;
        }
    }

    fn clear_backends(&mut self, fallen: &[(BackendId, Flip)]) {
        let has_fallen = |backend| fallen.iter().any(|&(id, _)| id == backend);
        let on_it = self.cx.connections.iter().filter(|(_, c)| has_fallen(c.backend));
        let pairs: Vec<Key> = on_it.filter_map(|(_, c)| c.user.pair()).collect();
        pairs.into_iter().for_each(|key| self.with_pair(key, relay::on_backend_down));
    }

    /// 6: free what died in this turn. Nothing else in the program frees a slot.
    fn reap(&mut self) {
        while let Some(key) = self.dead.pop() {
            let Some(mut pair) = self.pairs.remove(key) else { continue };
            let reason = pair.closing.unwrap_or(Reason::Finished);
            account::close(&mut pair, reason, &mut self.cx);
            self.cx.stats.open -= 1;
            self.cx.stats.fronts[usize::from(pair.front)].open -= 1;
            self.count_end(&pair, reason);
            let torn = pair.torn_ends(reason);
            if torn.client {
                pair.client.reset_on_close();
            } else {
                pair.client.say_goodbye();
            }
            let (connection, mut supplies) = self.cx.connection_and_supplies(pair.connection);
            pair.duplex.end(&mut supplies);
            if let Some(connection) = connection.filter(|_| torn.backend) {
                connection.stream.reset_on_close();
            }
            if let Some(connection) = pair.connection {
                self.cx.retire(connection);
            }
            self.cx.timers.remove(pair.timer);
        }
        self.cx.reap_connections();
        self.udp.reap();
    }

    /// The lines of this turn go out together. What the file does not take waits for a timer.
    fn write_access_log(&mut self) {
        let Some(log) = &mut self.cx.access_log else { return };
        log.flush();
        log.tell(self.cx.now, false);
        if log.is_behind() && !self.chores.log_armed {
            self.chores.log_armed = true;
            self.cx.timers.arm(self.chores.log, self.cx.now + LOG_RETRY);
        }
    }

    fn reopen_access_log(&mut self) {
        match &mut self.cx.access_log {
            Some(log) => log.reopen(),
            None => debug!("SIGHUP: there is no access log to open anew"),
        }
    }

    fn may_accept(&self) -> bool {
        self.phase == Phase::Serving && self.pairs.len() < self.cx.settings.max_connections
    }

    fn open_pair(&mut self, stream: Stream, address: SocketAddr, index: usize) {
        let Entrance { protocol, front, .. } = self.listeners[index];
        self.cx.stats.fronts[front].open += 1;
        self.cx.stats.accepted += 1;
        self.cx.stats.open += 1;
        self.pair_number += 1;
        let (number, now, timers) = (self.pair_number, self.cx.now, &mut self.cx.timers);
        let key = self.pairs.insert_with(|key| {
            let timer = timers.create(Owner::Pair(key));
            let client = (stream, address);
            Pair::new(key, number, protocol.inside(), front as u16, client, timer, now)
        });
        debug!("pair {number}: accepted {address}");
        if protocol.is_tls() {
            self.begin_tls(key, protocol);
        }
        self.with_pair(key, relay::open);
    }

    /// Let a pair do something, and heed its verdict.
    fn with_pair(&mut self, key: Key, act: fn(&mut Pair, &mut Context) -> Verdict) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if pair.closing.is_some() {
            return;
        }
        match act(pair, &mut self.cx) {
            Verdict::Keep => {}
            Verdict::Again => self.cx.run_queue.push(Owner::Pair(key), &mut pair.queued),
            Verdict::Close(reason) => self.close(key, reason),
        }
    }

    /// The pair is over: the end of the turn reaps it.
    fn close(&mut self, key: Key, reason: Reason) {
        if let Some(pair) = self.pairs.get_mut(key)
            && pair.closing.is_none()
        {
            pair.closing = Some(reason);
            self.dead.push(key);
        }
    }

    fn count_end(&mut self, pair: &Pair, reason: Reason) {
        match reason {
            Reason::Finished => self.cx.stats.finished += 1,
            Reason::Refused(_) => {
                self.cx.stats.refused += 1;
                self.cx.stats.failed += 1;
            }
            _ => self.cx.stats.failed += 1,
        }
        debug!(
            "pair {}: {}: {reason}; {} bytes sent on, {} answered, {:.3} s",
            pair.number,
            pair.doing(),
            pair.duplex.request.moved(),
            pair.duplex.response.moved(),
            self.cx.now.saturating_duration_since(pair.opened_at).as_secs_f64()
        );
    }

    /// One line now and then, however often it fails (pitfall 32).
    fn note_accept_failure(&mut self, error: &io::Error) {
        self.cx.stats.accept_failures += 1;
        if self.accept_warnings.lets_through(self.cx.now, EXHAUSTION_WARNINGS) {
            let open = self.pairs.len();
            warn!("cannot accept with {open} connections open: {error}; trying again shortly");
        }
    }

    fn heed_signals(&mut self) {
        let wishes: Vec<Wish> = self.signals.pending().collect();
        for wish in wishes {
            match (wish, self.phase) {
                (Wish::Status, _) => self.log_status(),
                (Wish::Reopen, _) => {
                    self.reopen_access_log();
                    self.reload_certificates();
                }
                (Wish::Stop, Phase::Serving) => self.begin_to_drain(),
                (Wish::Stop, _) => {
                    info!("stopping at once, {} connections are cut off", self.pairs.len());
                    self.cut_off();
                }
            }
        }
    }

    /// No new clients from now on; those that are here may finish within the drain timeout. Who
    /// waits to be accepted is here: closing the listener would reset them, connected as they are.
    fn begin_to_drain(&mut self) {
        for index in 0..self.listeners.len() {
            self.listeners[index].listener.mark();
            self.accept_from(index, LISTEN_BACKLOG as usize);
        }
        let (open, timeout) = (self.pairs.len(), self.cx.settings.drain_timeout);
        let timeout_text = duration_text(timeout);
        self.phase = Phase::Draining;
        self.cx.draining = true;
        self.udp.begin_to_drain(&mut self.cx);
        self.chores.flows_armed = false;
        let flows = match self.udp.flows() {
            0 => String::new(),
            flows => format!(" and {flows} flows"),
        };
        info!("stopping: {open} connections{flows} may finish within {timeout_text}");
        let resting = self.pairs.iter().filter(|(_, pair)| http::is_resting(pair));
        let resting: Vec<Key> = resting.map(|(key, _)| key).collect();
        resting.into_iter().for_each(|key| self.close(key, Reason::Finished));
        for entrance in self.listeners.drain(..) {
            self.cx.timers.remove(entrance.timer);
        }
        self.cx.timers.arm(self.chores.drain, self.cx.now + timeout);
    }

    /// This turn is the last: whoever is still here is reset, so that nobody takes the half of a
    /// stream for the whole.
    fn cut_off(&mut self) {
        self.phase = Phase::Stopping;
        let keys: Vec<Key> = self.pairs.iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.close(key, Reason::Stopped));
        self.udp.cut_off(&mut self.cx);
    }

    fn log_status(&mut self) {
        self.cx.stats.log_dropped = self.log.dropped();
        for line in status::page(&mut self.cx) {
            info!("{line}");
        }
    }
}

impl Entrance {
    fn is_ready(&self) -> bool {
        self.listener.is_ready() && !self.paused
    }
}
