//! The turn: wait, mark, act, timers, accept, follow up, reap. The only caller of `Poll::poll`.
//!
//! ```text
//!     +-> 1 wait       poll; at once if something has work left, else until the next timer
//!     |   2 mark       each event: find its owner, set its readiness bits, queue it once
//!     |   3 act        each queued owner: input and output within a budget -> Verdict
//!     |   4 timers     what is due, bounded
//!     |   5 accept     each ready listener, a few clients at a time; then datagrams
//!     |   6 follow up  signals, backends that went down, pages being written, the end of a stop;
//!     |                admin connections, within a time of their own
//!     +-- 7 reap       drop sockets, give back buffers and pipes, free slots: only here
//! ```
//!
//! Each step has a share of the turn (see `event::pace`), and leaves the rest to the next one.
//!
//! Marking does no input or output and closes nothing, and nothing is freed before the turn's end:
//! so whatever an event's owner does, the other events of the same batch still find theirs, or
//! nobody, never somebody new in the same place (pitfall 1).

mod accepting;
mod acting;
mod admin;
mod admitting;
mod apply;
mod archiving;
mod banning;
mod certificates;
mod changed;
mod changes;
mod changing;
mod chores;
mod closing;
mod editing;
mod handover;
mod health_told;
mod intake;
#[cfg(debug_assertions)]
mod invariants;
mod mirroring;
mod named;
mod naming;
mod opening;
mod process;
mod recording;
mod registering;
mod resting;
mod restoring;
mod saving;
mod signalled;
mod stopped;
mod stopping;
mod sums;
mod supervised;
mod tails;
mod taking;
#[cfg(test)]
mod tests;
mod udp;
mod waiting;

pub use process::share_descriptors;

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use log::{debug, info};
use mio::event::Event;
use mio::{Events, Poll};

use crate::backends::Backends;
use crate::config::{Complaint, Desired, PoolSpec, ProcessSettings, Spelling};
use crate::context::{Context, Settings, User};
use crate::control::Directory;
use crate::event::signals::Signals;
use crate::event::{Alarm, Key, ListenerId, Owner, Pace, Slots};
use crate::health::Health;
use crate::limits::{
    ACTING_TIME, DEMO_STATUS_INTERVAL, EVENTS_PER_TURN, HANDSHAKES_PER_TURN, LOG_RETRY,
    STEP_TIME, TIMERS_PER_TURN,
};
use crate::logging::LogSink;
use crate::net::descriptors::DescriptorShare;
use crate::net::{HandedSockets, PipePool};
use crate::relay::Pair;
use crate::relay::mirror::Mirrors;
use crate::relay::udp::Udp;
use crate::resolver::Resolver;
use crate::service_manager::ServiceManager;
use crate::stats::LogThrottle;
use crate::status;
use admin::Admin;
use banning::Banishing;
use changing::{Job, Waiting};
use chores::Chores;
use closing::{Eviction, Sweep};
use handover::Handovers;
use named::ByName;
use naming::Naming;
use opening::Opening;
use recording::Observing;
use resting::Resting;
use saving::Keeping;
use supervised::Supervision;
use tails::Tails;

/// The loop and everything it owns.
pub struct EventLoop {
    poll: Poll,
    events: Events,
    alarm: Alarm,
    signals: Signals,
    /// The listeners whose sockets take connections.
    accepting: Vec<ListenerId>,
    /// How many of them leave.
    sockets_leaving: usize,
    /// At how many an operator lets nobody in any more, once those who wait are in.
    intakes_closing: usize,
    /// Those of them at which clients may wait, the next one to be asked first.
    ready: VecDeque<ListenerId>,
    /// What runs, and what it was made from.
    directory: Directory,
    /// Of everything random.
    seed: u64,
    reread: Option<Reread>,
    /// What ran before the last change, until it is freed.
    outdated: Option<Box<Directory>>,
    /// A change that is under way.
    changing: Option<Box<Job>>,
    /// What waits for it.
    changes_waiting: VecDeque<Waiting>,
    admin: Admin,
    pairs: Slots<Pair>,
    udp: Udp,
    health: Health,
    mirrors: Mirrors,
    resolver: Resolver,
    naming: Naming,
    opening: Opening,
    cx: Context,
    log: LogSink,
    pace: Pace,
    /// Pairs to be reaped at the end of this turn, or of the next ones.
    dead: VecDeque<Key>,
    /// Pairs to be closed because their backend went down.
    sweep: Sweep,
    /// Pairs to be closed because their listener was removed.
    eviction: Eviction,
    /// Bans that are told, and connections closed for them.
    banishing: Banishing,
    /// The status page that is being written.
    page: Option<status::StatusPage>,
    /// Who gives way when there is no room.
    resting: Resting,
    /// A signal came in this turn.
    signalled: bool,
    /// When the last turn ended.
    ended: Instant,
    pair_number: u32,
    accept_warnings: LogThrottle,
    state: RunState,
    /// In this turn some who wait had no time to act.
    busy: bool,
    /// The turn before was longer than owners may act.
    was_long: bool,
    chores: Chores,
    /// What survives a restart.
    keeping: Keeping,
    /// What was, and what is, for charts and dashboards.
    observing: Observing,
    supervision: Supervision,
    /// Sockets that were handed over, for listeners that come with a reload as well.
    handed: HandedSockets,
    /// Those of them that nobody takes.
    unwanted: Vec<usize>,
    handovers: Handovers,
    tails: Tails,
    by_name: ByName,
}

/// What a loop is made of, beside what it is to serve.
pub struct Parts {
    /// Of everything random.
    pub seed: u64,
    /// Installed, not yet watched.
    pub signals: Signals,
    /// How many connections, flows and pipes the descriptors suffice for.
    pub share: DescriptorShare,
    /// Where they go.
    pub logs: Logs,
    /// Reads what is wanted again, if that may be another than at the start.
    pub reread: Option<Reread>,
    /// Reads and writes configurations that are told, if they can be.
    pub telling: Option<Telling>,
    /// Who started the process, and is told how it does.
    pub manager: ServiceManager,
    /// Sockets that were handed over.
    pub handed: HandedSockets,
}

/// What a front-end does with configurations that are told.
pub struct Telling {
    /// Begins to read one.
    pub read: Box<dyn FnMut(String) -> Box<dyn Rereading>>,
    /// Writes what runs.
    pub print: fn(&Desired) -> String,
    /// Writes the backends of a pool, so that they can be put into a file.
    pub print_backends: fn(&PoolSpec) -> String,
}

/// Begins to read what is wanted again.
pub type Reread = Box<dyn FnMut() -> Box<dyn Rereading>>;

/// What is wanted, as it is read again.
pub trait Rereading {
    /// A piece of it: less than a millisecond, but for a file that is opened, one that stays whole,
    /// and what is itself large. Says whether there is more.
    fn step(&mut self) -> bool;

    /// What was read; if it cannot be, lines that say why.
    fn finish(self: Box<Self>) -> Result<Reading, Vec<String>>;
}

/// What was read.
pub struct Reading {
    /// What is wanted.
    pub desired: Desired,
    /// Says what of it cannot be had, in lines with the places where it is asked for.
    pub tell: Tell,
}

/// Lines for people of complaints.
pub type Tell = Box<dyn Fn(&[Complaint]) -> Vec<String>>;

/// What is said of the work, and in which words.
pub struct Logs {
    /// For people.
    pub log: LogSink,
    /// How the operator writes settings.
    pub spelling: Spelling,
}

/// What the process is up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunState {
    Serving,
    /// Clients still come in, but are sent elsewhere: it drains soon.
    Leaving,
    /// No new clients; those that are here may finish.
    Draining,
    /// Over at the end of this turn.
    Stopping,
}

impl EventLoop {
    /// A loop that is ready to run, and serves nothing yet: [`EventLoop::apply`] makes it.
    pub fn new(process: &ProcessSettings, parts: Parts) -> io::Result<EventLoop> {
        let Parts { seed, mut signals, share, logs, reread, telling, manager, handed } = parts;
        let now = Instant::now();
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry())?;
        signals.watch(poll.registry())?;
        let settings = Settings::of(process, share.pairs);
        let pipes = PipePool::new(share.pipes);
        let registry = poll.registry().try_clone()?;
        let mut cx = Context::new(registry, Backends::default(), pipes, settings, now);
        cx.stats.log_dropped = logs.log.dropped();
        cx.spelling = logs.spelling;
        cx.picks.keep(process.admin.picks);
        cx.backends.spell(logs.spelling);
        let chores = Chores::new(&mut cx);
        let resolver = Resolver::new(&process.dns, &mut cx);
        let most = process.max_flows.unwrap_or(share.flows);
        if process.demo {
            cx.timers.arm(chores.status, now + DEMO_STATUS_INTERVAL);
        }
        Ok(EventLoop {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            alarm,
            signals,
            directory: Directory::empty(),
            seed,
            reread,
            outdated: None,
            changing: None,
            changes_waiting: VecDeque::new(),
            admin: Admin::new(telling),
            accepting: Vec::new(),
            sockets_leaving: 0,
            intakes_closing: 0,
            ready: VecDeque::new(),
            pairs: Slots::default(),
            udp: Udp::new(most),
            health: Health::new(seed),
            mirrors: Mirrors::default(),
            resolver,
            naming: Naming::default(),
            opening: Opening::default(),
            cx,
            log: logs.log,
            pace: Pace::new(now),
            dead: VecDeque::new(),
            sweep: Sweep::default(),
            eviction: Eviction::default(),
            banishing: Banishing::default(),
            page: None,
            resting: Resting::default(),
            signalled: false,
            ended: now,
            accept_warnings: LogThrottle::default(),
            pair_number: 0,
            state: RunState::Serving,
            busy: false,
            was_long: false,
            chores,
            keeping: Keeping::new(process.state_file.clone(), now),
            observing: Observing::new(process.admin.history_file.clone()),
            supervision: Supervision::of(manager),
            handed,
            unwanted: Vec::new(),
            handovers: Handovers::default(),
            tails: Tails::default(),
            by_name: ByName::default(),
        })
    }

    /// Serve until asked to stop.
    pub fn run(&mut self) -> io::Result<()> {
        self.ended = Instant::now();
        self.begin_to_open();
        while self.state != RunState::Stopping {
            self.turn(None)?;
        }
        self.save_at_once();
        self.tell_last_counts();
        if let Some(log) = &mut self.cx.access_log {
            log.finish(self.cx.now);
        }
        info!("{}", self.keeping.run.summary(&self.cx.stats, Instant::now()));
        self.log.write_kept();
        Ok(())
    }

    /// One turn. It sleeps until there is something to do, or for so long if that is given.
    #[inline]
    fn turn(&mut self, sleep: Option<Duration>) -> io::Result<()> {
        self.wait(sleep)?;
        let began = self.cx.now;
        self.mark();
        self.act();
        self.fire_timers();
        self.accept();
        self.receive_datagrams();
        self.follow_up();
        self.reap();
        self.serve_waiting();
        self.write_access_log();
        self.cx.stats.turns += 1;
        self.ended = Instant::now();
        let took = self.ended.saturating_duration_since(began);
        self.cx.stats.turn_times.record(took);
        if let Some(lately) = &mut self.cx.turns_lately {
            lately.record(took);
        }
        self.was_long = took > ACTING_TIME;
        if self.was_long || took > self.cx.stats.longest_turn {
            self.note_length(took);
        }
        if self.supervision.is_alive_due {
            self.tell_alive();
        }
        #[cfg(debug_assertions)]
        self.check_invariants();
        Ok(())
    }

    /// A turn was longer than all before, or than owners may act.
    #[cold]
    fn note_length(&mut self, took: Duration) {
        self.cx.stats.longest_turn = self.cx.stats.longest_turn.max(took);
        self.cx.note_lateness(took);
    }

    /// 1: sleep until something happens, unless somebody has work left. The turn before has just
    /// ended, so that the clock need not be asked again.
    fn wait(&mut self, sleep: Option<Duration>) -> io::Result<()> {
        let ended = self.ended;
        let next = if self.has_work_left() { Some(ended) } else { self.cx.timers.next_at() };
        let timeout = self.alarm.timeout(next, ended);
        let timeout = sleep.or(timeout);
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
            || self.has_datagrams_waiting()
            || self.has_names_to_follow()
            || self.udp.is_leaving()
            || self.has_closing_left()
            || self.has_waiting_left()
            || self.cx.pages.is_making()
            || self.page.is_some()
            || self.cx.backends.has_work()
            || self.sockets_leaving > 0 && self.has_sockets_to_close()
            || self.has_clients_waiting()
            || self.has_mirrors_left()
            || self.has_changes()
            || self.has_admin_work()
            || self.has_words_with_processes()
            || self.keeping.is_saving()
            || self.observing.is_busy()
    }

    /// 2: note what each event says, and queue its owner.
    fn mark(&mut self) {
        // Lent to the loop over them: an empty list takes no memory.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            match Owner::unpack(event.token().0 as u64) {
                Some(owner) => self.mark_owner(owner, event),
                None => debug!("an event that nobody asked for"),
            }
        }
        self.events = events;
    }

    fn mark_owner(&mut self, owner: Owner, event: &Event) {
        match owner {
            Owner::Pair(key) => {
                if let Some(pair) = self.pairs.get_mut(key) {
                    pair.client.socket.mark(event);
                    acting::queue(&mut self.cx.run_queue, &mut pair.client);
                }
            }
            Owner::Connection(key) => self.mark_connection(key, event),
            Owner::Probe(id, run) => self.health.mark(id, run, event, &mut self.cx),
            Owner::Listener(id) => self.mark_listener(id),
            Owner::Flow(key) => self.udp.mark_flow(key, &mut self.cx),
            Owner::Mirror(key) => self.mirrors.mark(key, event, &mut self.cx),
            Owner::Admin(key) => self.mark_admin(key, event),
            Owner::AdminListener(key) => self.mark_admin_listener(key),
            Owner::Heartbeats => self.admin.mark_heartbeats(),
            Owner::Line(key) => self.resolver.mark(key, event, &mut self.cx),
            Owner::Takeover => self.mark_takeover(event),
            Owner::Tail(key) => self.mark_tail(key, event),
            Owner::Signals => self.signalled = true,
            // The timers are looked at in each turn.
            Owner::Alarm => {}
            Owner::Chore(_) => debug!("an event for a chore"),
        }
    }

    fn mark_connection(&mut self, key: Key, event: &Event) {
        let Some(connection) = self.cx.connections.get_mut(key) else { return };
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

    /// 4: what is due.
    fn fire_timers(&mut self) {
        let mut share = self.pace.share(STEP_TIME, TIMERS_PER_TURN);
        while share.allows(&mut self.pace) {
            let Some(owner) = self.cx.timers.pop_due(self.cx.now) else { return };
            if self.on_due(owner) {
                share.note_large();
            }
        }
    }

    /// Says whether that may have taken long.
    fn on_due(&mut self, owner: Owner) -> bool {
        match owner {
            Owner::Pair(key) => return self.with_pair(key, Pair::on_timer),
            Owner::Probe(id, _) => self.health.on_timer(id, &mut self.cx),
            Owner::Listener(id) => self.end_pause(id),
            Owner::Chore(chore) => self.do_chore(chore),
            Owner::Mirror(key) => self.mirrors.on_timer(key, &mut self.cx),
            Owner::Admin(key) => self.on_admin_timer(key),
            Owner::Connection(_)
            | Owner::Signals
            | Owner::Flow(_)
            | Owner::Alarm
            | Owner::AdminListener(_)
            | Owner::Heartbeats
            | Owner::Line(_)
            | Owner::Takeover
            | Owner::Tail(_) => {}
        }
        false
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
            self.note_flips();
            self.leave_backends();
        }
        self.udp.leave_some(&mut self.cx);
        self.start_mirrors();
        self.sweep();
        if self.eviction.is_going_on() {
            self.evict_some();
        }
        self.follow_bans();
        self.make_page();
        self.work_on_balance();
        if self.has_admin_work() {
            self.administrate();
        }
        if self.has_names_to_follow() {
            self.follow_dns();
        }
        self.talk_to_processes();
        if self.has_changes() {
            self.go_on_changing();
        }
        self.keep_state();
        self.observe();
        self.arm_chores();
        let no_pairs = self.pairs.len() == self.dead.len();
        let no_clients = no_pairs && self.accepting.is_empty() && self.udp.flows() == 0;
        let has_words_left = self.has_words_left() || self.answers_operators();
        if self.state == RunState::Draining && no_clients && !has_words_left {
            self.state = RunState::Stopping;
        }
    }

    /// The lines of this turn go out together. What the file does not take waits for a timer.
    fn write_access_log(&mut self) {
        let Some(log) = &mut self.cx.access_log else { return };
        log.flush();
        log.tell(self.cx.now);
        if log.is_behind() && !self.chores.log_armed {
            self.chores.log_armed = true;
            self.cx.timers.arm(self.chores.log, self.cx.now + LOG_RETRY);
        }
    }
}
