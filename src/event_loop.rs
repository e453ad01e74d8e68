//! The turn: wait, mark, act, timers, accept, follow up, reap. The only caller of `Poll::poll`.
//!
//! ```text
//!     +-> 1 wait       poll; at once if something has work left, else until the next timer
//!     |   2 mark       each event: find its owner, set its readiness bits, queue it once
//!     |   3 act        each queued owner: input and output within a budget -> Verdict
//!     |   4 timers     what is due, bounded
//!     |   5 accept     each ready listener, a few clients at a time; then datagrams
//!     |   6 follow up  signals, backends that went down, pages being written, the end of a stop
//!     +-- 7 reap       drop sockets, give back buffers and pipes, free slots: only here
//! ```
//!
//! Each step has a share of the turn (see `event::pace`), and leaves the rest to the next one.
//!
//! Marking does no input or output and closes nothing, and nothing is freed before the turn's end:
//! so whatever an event's owner does, the other events of the same batch still find theirs, or
//! nobody, never somebody new in the same place (pitfall 1).

mod acting;
mod certificates;
mod chores;
mod closing;
mod entrance;
#[cfg(debug_assertions)]
mod invariants;
mod resting;
mod udp;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use log::{debug, info};
use mio::{Events, Poll};

use crate::access_log::AccessLog;
use crate::backends::{Backends, Routes};
use crate::config::{Config, Protocol, Redirect, Spelling, duration_text};
use crate::context::{Context, Settings, User};
use crate::event::signals::{SignalRequest, Signals};
use crate::event::{Alarm, Generation, Key, Owner, Pace, Slots};
use crate::health::Health;
use crate::limits::{
    ACTING_TIME, DEMO_STATUS_INTERVAL, EVENTS_PER_TURN, HANDSHAKES_PER_TURN, LISTEN_BACKLOG,
    LOG_RETRY, STATS_ROWS_PER_TURN, STATS_TIME, STEP_TIME, TIMERS_PER_TURN,
};
use crate::logging::LogSink;
use crate::net::descriptors::Share;
use crate::net::tls::client::Identity;
use crate::net::tls::server::ServerTls;
use crate::net::{DatagramListener, Listener, PipePool};
use crate::relay::udp::Udp;
use crate::relay::{Pair, Reason, Standing};
use crate::stats::LogThrottle;
use crate::status;
use chores::Chores;
use closing::Sweep;
use entrance::StreamListener;
use resting::Resting;

/// The loop and everything it owns.
pub struct EventLoop {
    poll: Poll,
    events: Events,
    alarm: Alarm,
    signals: Signals,
    /// Indexed by their keys; all of them go at once, when no more clients are wanted.
    listeners: Vec<StreamListener>,
    identity: Option<Arc<Identity>>,
    pairs: Slots<Pair>,
    udp: Udp,
    health: Health,
    cx: Context,
    log: LogSink,
    pace: Pace,
    /// Pairs to be reaped at the end of this turn, or of the next ones.
    dead: VecDeque<Key>,
    /// Pairs to be closed because their backend went down.
    sweep: Sweep,
    /// The status page that is being written.
    page: Option<status::Page>,
    /// Who gives way when there is no room.
    resting: Resting,
    /// The listener that comes first in this turn.
    first_listener: usize,
    /// A signal came in this turn.
    signalled: bool,
    pair_number: u64,
    accept_warnings: LogThrottle,
    phase: Phase,
    /// In this turn some who wait had no time to act.
    busy: bool,
    /// The turn before was longer than owners may act.
    was_long: bool,
    chores: Chores,
}

/// Where clients are taken in.
#[derive(Default)]
pub struct Listeners {
    /// For connections.
    pub streams: Vec<(Listener, Protocol)>,
    /// For datagrams.
    pub datagrams: Vec<DatagramListener>,
    /// What TLS listeners show, if there are any.
    pub server_tls: Option<ServerTls>,
    /// What backends are shown that ask for a certificate, if there is one.
    pub identity: Option<Arc<Identity>>,
}

/// What a loop is made of, beside the configuration.
pub struct Parts {
    /// Of everything random.
    pub seed: u64,
    /// Installed, not yet watched.
    pub signals: Signals,
    /// Bound, not yet registered.
    pub fronts: Listeners,
    /// With the pools of all routes.
    pub backends: Backends,
    /// Which of those pools a client's wish leads to.
    pub routes: Routes,
    /// How many connections, flows and pipes the descriptors suffice for.
    pub share: Share,
    /// Where they go.
    pub logs: Logs,
}

/// What is said of the work, and in which words.
pub struct Logs {
    /// For people.
    pub log: LogSink,
    /// For programs, if it is wanted.
    pub access_log: Option<AccessLog>,
    /// How the operator writes settings.
    pub spelling: Spelling,
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
    /// A loop that is ready to run.
    pub fn new(config: &Config, parts: Parts) -> io::Result<EventLoop> {
        let Parts { seed, mut signals, fronts, backends, routes, share, logs } = parts;
        let now = Instant::now();
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry())?;
        signals.watch(poll.registry())?;
        let mut settings = Settings::of(config, share.pairs);
        if config.service.redirect == Redirect::Https {
            let https =
                fronts.streams.iter().find(|(_, protocol)| *protocol == Protocol::Https);
            settings.redirect_to = https.map(|(listener, _)| listener.address().port());
        }
        let pipes = PipePool::new(share.pipes);
        let registry = poll.registry().try_clone()?;
        let mut cx = Context::new(registry, backends, pipes, settings, now);
        cx.stats.log_dropped = logs.log.dropped();
        cx.spelling = logs.spelling;
        cx.backends.spell(logs.spelling);
        cx.access_log = logs.access_log.map(Box::new);
        cx.server_tls = fronts.server_tls;
        cx.routes = routes;
        let mut random = fastrand::Rng::with_seed(seed);
        let health = Health::new(&config.pool.check, &mut random, &mut cx);
        let chores = Chores::new(&mut cx);
        let most = config.service.udp.max_flows.unwrap_or(share.flows);
        let udp = Udp::new(fronts.datagrams, &config.service.udp, most, &mut cx)?;
        if config.process.demo {
            cx.timers.arm(chores.status, now + DEMO_STATUS_INTERVAL);
        }
        let mut this = EventLoop {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            alarm,
            signals,
            listeners: Vec::new(),
            identity: fronts.identity,
            pairs: Slots::default(),
            udp,
            health,
            cx,
            log: logs.log,
            pace: Pace::new(now),
            dead: VecDeque::new(),
            sweep: Sweep::default(),
            page: None,
            resting: Resting::default(),
            first_listener: 0,
            signalled: false,
            accept_warnings: LogThrottle::default(),
            pair_number: 0,
            phase: Phase::Serving,
            busy: false,
            was_long: false,
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
            self.was_long = took > ACTING_TIME;
            self.cx.note_lateness(took);
            #[cfg(debug_assertions)]
            self.check_invariants();
        }
        if let Some(log) = &mut self.cx.access_log {
            log.finish(self.cx.now);
        }
        self.log.write_kept();
        Ok(())
    }

    fn add_listener(&mut self, mut listener: Listener, protocol: Protocol) -> io::Result<()> {
        let key = Key { index: self.listeners.len() as u32, generation: Generation::FIRST };
        listener.register(&self.cx.registry, Owner::Listener(key))?;
        let timer = self.cx.timers.create(Owner::Listener(key));
        let front = self.cx.add_listener(protocol, listener.address());
        self.listeners.push(StreamListener {
            listener,
            front,
            timer,
            paused: false,
            last: None,
        });
        Ok(())
    }

    /// 1: sleep until something happens, unless somebody has work left. The turn before has just
    /// ended, so that the clock need not be asked again.
    fn wait(&mut self, ended: Instant) -> io::Result<()> {
        let next = if self.has_work_left() { Some(ended) } else { self.cx.timers.next_at() };
        let timeout = self.alarm.timeout(next, ended);
        match self.poll.poll(&mut self.events, timeout) {
            // A signal, a debugger: no events, but the clock moved (pitfall 26).
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        self.cx.now = Instant::now();
        self.pace = Pace::new(self.cx.now);
        // Most sleeps end before their time.
        if let Some(next) = next.filter(|&next| next < self.cx.now) {
            self.cx.note_lateness(self.cx.now.saturating_duration_since(next.max(ended)));
        }
        self.cx.handshakes_left = HANDSHAKES_PER_TURN;
        Ok(())
    }

    fn has_work_left(&self) -> bool {
        !self.cx.run_queue.is_empty()
            || self.udp.is_ready()
            || self.udp.is_leaving()
            || self.has_closing_left()
            || self.cx.pages.is_making()
            || self.page.is_some()
            || self.cx.backends.has_work()
            || self.phase == Phase::Draining && !self.listeners.is_empty()
            || self.has_clients_waiting()
    }

    /// 2: note what each event says, and queue its owner.
    fn mark(&mut self) {
        for event in &self.events {
            match Owner::unpack(event.token().0 as u64) {
                Some(Owner::Pair(key)) => {
                    if let Some(pair) = self.pairs.get_mut(key) {
                        pair.client.socket.mark(event);
                        acting::queue(&mut self.cx.run_queue, &mut pair.client);
                    }
                }
                Some(Owner::Connection(key)) => {
                    let Some(connection) = self.cx.connections.get_mut(key) else { continue };
                    connection.stream.mark(event);
                    match connection.user {
                        User::Pair(user) | User::Owner(user) => {
                            if let Some(pair) = self.pairs.get_mut(user) {
                                acting::queue(&mut self.cx.run_queue, &mut pair.client);
                            }
                        }
                        // Closed by its backend, most likely; looked at when acting.
                        User::Idle => self.cx.note_idle_event(key),
                        User::Retired => {}
                    }
                }
                Some(Owner::Probe(key)) => self.health.mark(key, event, &mut self.cx),
                Some(Owner::Listener(key)) => {
                    if let Some(entrance) = self.listeners.get_mut(key.index as usize) {
                        entrance.listener.mark();
                    }
                }
                Some(Owner::UdpListener(key)) => self.udp.mark_door(key),
                Some(Owner::Flow(key)) => self.udp.mark_line(key, &mut self.cx),
                Some(Owner::Signals) => self.signalled = true,
                // The timers are looked at in each turn.
                Some(Owner::Alarm) => {}
                Some(Owner::Chore(_)) | None => debug!("an event that nobody asked for"),
            }
        }
    }

    /// 4: what is due.
    fn fire_timers(&mut self) {
        let mut share = self.pace.share(STEP_TIME, TIMERS_PER_TURN);
        while share.allows(&mut self.pace) {
            match self.cx.timers.pop_due(self.cx.now) {
                None => return,
                Some(Owner::Pair(key)) => {
                    if self.with_pair(key, Pair::on_timer) {
                        share.note_large();
                    }
                }
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
                    | Owner::UdpListener(_)
                    | Owner::Flow(_)
                    | Owner::Alarm,
                ) => {}
            }
        }
    }

    /// 6: what this turn set off beyond those who acted: signals, backends that went down, ramps, a
    /// log that could not be written.
    fn follow_up(&mut self) {
        if self.page.is_some() {
            self.log_page();
        }
        if std::mem::take(&mut self.signalled) {
            self.on_signals();
        }
        if self.cx.backends.wants_probes() {
            self.health.hasten(&mut self.cx);
        }
        if self.cx.backends.has_flips() {
            self.leave_backends();
        }
        self.udp.leave_some(&mut self.cx);
        self.sweep();
        self.make_page();
        self.work_on_balance();
        self.arm_chores();
        let no_pairs = self.pairs.len() == self.dead.len();
        let no_clients = no_pairs && self.listeners.is_empty() && self.udp.flows() == 0;
        if self.phase == Phase::Draining && no_clients {
            self.phase = Phase::Stopping;
        }
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

    fn on_signals(&mut self) {
        let requests: Vec<SignalRequest> = self.signals.pending().collect();
        for request in requests {
            match (request, self.phase) {
                (SignalRequest::Status, _) => self.log_status(),
                (SignalRequest::Reopen, _) => {
                    self.reopen_access_log();
                    self.reload_certificates();
                }
                (SignalRequest::Stop | SignalRequest::Hangup, Phase::Serving) => {
                    self.begin_to_drain();
                }
                // A shell and the kernel both say it.
                (SignalRequest::Hangup, _) => {}
                (SignalRequest::Stop, _) => {
                    info!("stopping at once, {} connections are cut off", self.pairs.len());
                    self.cut_off(Reason::Stopped);
                }
            }
        }
    }

    /// No new clients from now on; those that are here may finish within the drain timeout. Who
    /// waits to be accepted is here: closing the listener would reset them, connected as they are.
    /// They come in during the next turns.
    fn begin_to_drain(&mut self) {
        for entrance in &mut self.listeners {
            entrance.listener.mark();
            entrance.last = Some(LISTEN_BACKLOG as usize);
        }
        let (open, timeout) = (self.pairs.len(), self.cx.settings.process.drain_timeout);
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
        let ends = |pair: &Pair| {
            let silent = pair.standing() == Standing::Silent;
            pair.may_end_at_stop(&self.cx) && !(silent && pair.client.socket.has_input())
        };
        let ending = self.pairs.iter().filter(|(_, pair)| ends(pair));
        let ending: Vec<Key> = ending.map(|(key, _)| key).collect();
        ending.into_iter().for_each(|key| self.close(key, Reason::Finished));
        self.cx.timers.arm(self.chores.drain, self.cx.now + timeout);
    }

    /// This turn is the last: whoever is still here is reset, so that nobody takes the half of a
    /// stream for the whole.
    fn cut_off(&mut self, reason: Reason) {
        self.phase = Phase::Stopping;
        let keys: Vec<Key> = self.pairs.iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.close(key, reason));
        self.udp.cut_off(&mut self.cx);
    }

    /// Begin to write the status page, unless one is being written.
    fn log_status(&mut self) {
        if self.page.is_none() {
            self.page = Some(status::Page::begin(&self.cx));
            self.log_page();
        }
    }

    /// Go on with it, as far as the turn's time goes.
    fn log_page(&mut self) {
        let Some(page) = &mut self.page else { return };
        let mut share = self.pace.share(STATS_TIME, STATS_ROWS_PER_TURN);
        while share.allows(&mut self.pace) {
            match page.step(&mut self.cx) {
                status::Step::Line(line) => info!("{line}"),
                status::Step::Going => {}
                status::Step::Over => {
                    self.page = None;
                    return;
                }
            }
        }
    }
}
