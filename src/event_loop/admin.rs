//! The admin listeners in the turn: after all traffic, with a budget of their own.
//!
//! ```text
//!   accept --> act: read, answer from a View --> Asked --> a job (see `changing`)
//!                ^                                            |
//!                +---------- the outcome, an answer ----------+
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use log::{info, warn};
use serde_json::json;

use crate::admin::access::Rules;
use crate::admin::change::{Asked, Done, Ends};
use crate::admin::client::Client;
use crate::admin::connection::Progress;
use crate::admin::events::Events;
use crate::admin::haproxy::certificates::Shelf;
use crate::admin::haproxy::ids::Ids;
use crate::admin::listener::AdminListener;
use crate::admin::look::Look;
use crate::admin::place::Place;
use crate::admin::problem::{Kind, Problem};
use crate::admin::registry::Registry;
use crate::admin::remembered::{Recall, Remembered};
use crate::admin::view::{Leaving, ProcessState, Reloaded, View};
use crate::config::{AdminListen, AdminState, Desired, PoolSpec, counted};
use crate::control::{BackendEntry, PreparedAdmin, Speaks};
use crate::event::{Key, Owner, ServerId, Slots};
use crate::limits::{ADMIN_READ_BYTES, ADMIN_TIME, OBSERVING_TIME, REFUSAL_STEP};
use crate::net::Inlet;
use crate::relay::Reason;
use crate::stats::LogThrottle;

use super::archiving::unix_seconds;
use super::changing::Asker;
use super::editing::Ending;
use super::intake::ToldProcess;
use super::{EventLoop, RunState, Telling};

/// Admin listeners, their connections, and what they are told.
pub(super) struct Admin {
    pub listeners: Slots<AdminListener>,
    pub connections: Slots<Client>,
    /// Those who can go on.
    pub ready: VecDeque<Key>,
    /// What was asked while an answer was given: one of a connection, which waits for it.
    asked: VecDeque<(Key, Asked)>,
    /// Listeners at which somebody may wait.
    pub waiting: Vec<Key>,
    pub accept_warnings: LogThrottle,
    rules: Rules,
    pub events: Events,
    /// The last event and the last second that those who listen were woken for.
    told: (u64, u64),
    /// How the last reload went.
    pub reloaded: Option<Reloaded>,
    scratch: Vec<u8>,
    /// Backends that were told to go and have connections yet.
    leaving: Vec<Leaving>,
    /// Servers that registered themselves.
    pub registry: Registry,
    /// Where they may do so by datagrams.
    pub heartbeats: Option<Inlet>,
    pub heartbeat_warnings: LogThrottle,
    /// When their connections are closed, or those of backends that drain.
    deadlines: Vec<Deadline>,
    /// Whoever asks is told to send nobody here.
    pub is_drained: bool,
    /// Numbers by which HAProxy's tools know things.
    ids: Ids,
    /// Certificates that are told and not shown yet.
    pub shelf: Shelf,
    /// What was told of the process.
    pub told_process: ToldProcess,
    /// What is asked of the front-end.
    pub telling: Option<Telling>,
    /// Of connections.
    pub number: u64,
    /// When the last wrong token is answered.
    refused: Option<Instant>,
    /// Answers that may be given again.
    remembered: Remembered,
}

/// When the connections of a backend are closed.
struct Deadline {
    at: Instant,
    place: Place,
    server: ServerId,
}

impl Admin {
    pub fn new(telling: Option<Telling>) -> Admin {
        Admin {
            listeners: Slots::default(),
            connections: Slots::default(),
            ready: VecDeque::new(),
            asked: VecDeque::new(),
            waiting: Vec::new(),
            accept_warnings: LogThrottle::default(),
            rules: Rules::default(),
            events: Events::default(),
            told: (0, 0),
            reloaded: None,
            scratch: Vec::new(),
            leaving: Vec::new(),
            registry: Registry::default(),
            heartbeats: None,
            heartbeat_warnings: LogThrottle::default(),
            deadlines: Vec::new(),
            is_drained: false,
            ids: Ids::default(),
            shelf: Shelf::default(),
            told_process: ToldProcess::default(),
            telling,
            number: 0,
            refused: None,
            remembered: Remembered::default(),
        }
    }

    /// How many connections are open.
    #[cfg(debug_assertions)]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Whether somebody has something to do.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty()
            || !self.asked.is_empty()
            || !self.waiting.is_empty()
            || self.events.last() > self.told.0
            || self.heartbeats.as_ref().is_some_and(Inlet::is_ready)
    }

    /// Datagrams came.
    pub fn mark_heartbeats(&mut self) {
        if let Some(inlet) = &mut self.heartbeats {
            inlet.mark();
        }
    }
}

/// What whoever asks may read: lent field by field, for connections act meanwhile.
macro_rules! lent {
    ($loop:ident) => {
        View {
            cx: &$loop.cx,
            directory: &$loop.directory,
            pairs: &$loop.pairs,
            udp: &$loop.udp,
            events: &$loop.admin.events,
            leaving: &$loop.admin.leaving,
            registry: &$loop.admin.registry,
            resolver: &$loop.resolver,
            state: $loop.process_state(),
            print: $loop.admin.telling.as_ref().map_or(print_nothing, |it| it.print),
            print_backends: {
                let telling = $loop.admin.telling.as_ref();
                telling.map_or(print_no_backends, |it| it.print_backends)
            },
            ids: &$loop.admin.ids,
            shelf: &$loop.admin.shelf,
            disabled: &$loop.admin.told_process.disabled,
            recorder: $loop.observing.recorder.as_ref(),
            live: &$loop.observing.live,
            reloaded: $loop.admin.reloaded,
            wall: SystemTime::now(),
        }
    };
}

impl EventLoop {
    /// An event of a listener or a connection.
    pub(super) fn mark_admin(&mut self, key: Key, event: &mio::event::Event) {
        if let Some(connection) = self.admin.connections.get_mut(key) {
            connection.socket().mark(event);
            queue(&mut self.admin.ready, key, connection);
        }
    }

    /// Somebody waits at a listener.
    pub(super) fn mark_admin_listener(&mut self, key: Key) {
        if let Some(listener) = self.admin.listeners.get_mut(key) {
            listener.mark();
            if !self.admin.waiting.contains(&key) {
                self.admin.waiting.push(key);
            }
        }
    }

    /// The time of a connection is over.
    pub(super) fn on_admin_timer(&mut self, key: Key) {
        let view = lent!(self);
        let Some(connection) = self.admin.connections.get_mut(key) else { return };
        if connection.on_timer(&view) {
            queue(&mut self.admin.ready, key, connection);
        } else {
            self.close_admin(key);
        }
    }

    /// Whether an admin connection has something to do, or is to be told something.
    pub(super) fn has_admin_work(&self) -> bool {
        let has_work =
            self.admin.has_work() || self.observing.live.number() > self.admin.told.1;
        has_work && !self.waits_for_place()
    }

    /// Some of what there is to do.
    #[cold]
    pub(super) fn administrate(&mut self) {
        self.accept_admins();
        self.hear_datagrams();
        self.wake_listeners_of_events();
        let mut share = self.pace.share(ADMIN_TIME, usize::MAX);
        while share.allows(&mut self.pace) {
            if let Some((key, asked)) = self.admin.asked.pop_front() {
                self.ask(key, asked);
            } else if let Some(key) = self.admin.ready.pop_front() {
                self.act_admin(key);
            } else {
                return;
            }
            share.note_large();
        }
    }

    fn process_state(&self) -> ProcessState {
        match self.state {
            RunState::Serving if self.keeps_clients_out() => ProcessState::Starting,
            RunState::Serving if self.admin.is_drained => ProcessState::Drained,
            RunState::Serving => ProcessState::Serving,
            RunState::Leaving | RunState::Draining | RunState::Stopping => {
                ProcessState::Stopping
            }
        }
    }

    fn act_admin(&mut self, key: Key) {
        if let Some(asked) = self.step_admin(key) {
            self.ask(key, asked);
        }
    }

    /// What it asks of the loop, if it does.
    fn step_admin(&mut self, key: Key) -> Option<Asked> {
        self.admin.ids.learn(&self.directory.desired, self.directory.generation);
        let view = lent!(self);
        let connection = self.admin.connections.get_mut(key)?;
        *connection.is_queued() = false;
        // Most processes have no admin connection, and need no memory for one.
        self.admin.scratch.resize(ADMIN_READ_BYTES, 0);
        let watched = connection.watches();
        let progress = connection.act(&view, &self.admin.rules, &mut self.admin.scratch);
        let watches_now = connection.watches();
        let is_over = matches!(progress, Progress::Over);
        if matches!(progress, Progress::Again) {
            queue(&mut self.admin.ready, key, connection);
        }
        self.after_act(key, !is_over);
        if watched != watches_now {
            self.count_watchers();
        }
        match progress {
            Progress::Asks(asked) => Some(*asked),
            _ => None,
        }
    }

    /// It acted: what it did is told, and its socket and timer are armed.
    fn after_act(&mut self, key: Key, lives: bool) {
        let Some(connection) = self.admin.connections.get_mut(key) else { return };
        let audit = connection.take_audit();
        let after = self.admin.refused.map_or(self.cx.now, |last| last + REFUSAL_STEP);
        self.admin.refused = connection.delay(after).or(self.admin.refused);
        let armed = connection.socket().arm(&self.cx.registry, Owner::Admin(key));
        self.cx.timers.arm(connection.timer(), connection.deadline());
        if !lives || armed.is_err() {
            self.close_admin(key);
        }
        if let Some(audit) = audit {
            info!("{}", audit.line());
            self.admin.events.push("audit", audit.event(), SystemTime::now());
        }
    }

    pub(super) fn close_admin(&mut self, key: Key) {
        if let Some(connection) = self.admin.connections.remove(key) {
            self.cx.timers.remove(connection.timer());
            if connection.watches() {
                self.count_watchers();
            }
        }
    }

    /// Those who watch, among all connections: there are few.
    pub(super) fn count_watchers(&mut self) {
        let watchers = self.admin.connections.iter().filter(|(_, it)| it.watches()).count();
        self.observing.live.watched_by(watchers);
    }

    fn wake_listeners_of_events(&mut self) {
        let news = (self.admin.events.last(), self.observing.live.number());
        if std::mem::replace(&mut self.admin.told, news) == news {
            return;
        }
        for (key, connection) in self.admin.connections.iter_mut() {
            if connection.listens() {
                queue(&mut self.admin.ready, key, connection);
            }
        }
    }

    /// Carry out what is asked, or put it behind what was asked before.
    fn ask(&mut self, key: Key, asked: Asked) {
        if self.was_answered(key) || self.waits_for_another_process(key, &asked) {
            return;
        }
        match asked {
            Asked::Change(change) => self.begin_change(Asker::Admin(key), change),
            Asked::Configure(configure) => self.begin_configure(Asker::Admin(key), configure),
            Asked::Reload { dry_run } => self.reload_for(Asker::Admin(key), dry_run),
            Asked::Rehearse(what) => self.answer_admin(key, Ok(Done::WouldDo(what))),
            Asked::Drain(on) => {
                self.drain(on);
                self.answer_admin(key, Ok(Done::Begun));
            }
            Asked::Takeover => self.begin_to_hand_over(key),
            Asked::Stop => {
                // Answered first: at the end of this turn nobody may be left.
                self.answer_admin(key, Ok(Done::Begun));
                if self.state == RunState::Serving {
                    self.begin_to_stop();
                }
            }
            Asked::Register(heartbeat) => self.hear_heartbeat(key, *heartbeat),
            Asked::Goodbye(place, signed) => self.hear_goodbye(key, place, signed),
            Asked::Ban(asked) => self.tell_ban(key, *asked),
            Asked::Certificate(act) => self.tell_certificate(key, act),
            Asked::Close(place) => {
                let closing = self.close_connections(&place);
                self.answer_admin(key, Ok(Done::Closing(closing)));
            }
            Asked::Frontend(name, open) => {
                let outcome = self.tell_frontend(name, open).map(|()| Done::Begun);
                let outcome = outcome.map_err(|error| {
                    let act = if open { "resume" } else { "pause" };
                    let detail = format!("Failed to {act} frontend: {error}");
                    Problem::new(Kind::INTERNAL, detail)
                });
                self.answer_admin(key, outcome);
            }
            Asked::MaxConnections(most) => {
                self.tell_max_connections(most);
                self.answer_admin(key, Ok(Done::Begun));
            }
            Asked::CloseOne(pair) => {
                self.close(pair, Reason::Told);
                self.answer_admin(key, Ok(Done::Closing(1)));
            }
            Asked::Health(place, told) => {
                self.tell_health(&place, told);
                self.answer_admin(key, Ok(Done::Begun));
            }
        }
    }

    /// Looks at some of what they are shown. The first of them do not wait for a second to be over.
    pub(super) fn look_for_watchers(&mut self) {
        let mut look =
            self.observing.look.take().unwrap_or_else(|| Look::begin(unix_seconds()));
        let mut live = std::mem::take(&mut self.observing.live);
        let view = lent!(self);
        let mut share = self.pace.share(OBSERVING_TIME, usize::MAX);
        let mut goes_on = live.watchers() > 0;
        while goes_on && share.allows(&mut self.pace) {
            goes_on = look.step(&view, &mut live);
            share.note_large();
        }
        self.observing.look = goes_on.then_some(look);
        self.observing.live = live;
    }

    /// Whether it was asked before by the same key of idempotency; then it has its answer.
    fn was_answered(&mut self, key: Key) -> bool {
        let now = self.cx.now;
        let view = lent!(self);
        let Some(connection) = self.admin.connections.get_mut(key) else { return true };
        let Some(identity) = connection.identity() else { return false };
        match self.admin.remembered.begin(&identity, now) {
            Recall::New => return false,
            Recall::Answered(kept) => connection.repeat(kept, now),
            Recall::Refused(problem) => drop(connection.finish(Err(problem), &view)),
        }
        self.act_admin(key);
        true
    }

    /// The outcome of what a connection asked.
    pub(super) fn answer_admin(&mut self, key: Key, outcome: Result<Done, Problem>) {
        let view = lent!(self);
        let Some(connection) = self.admin.connections.get_mut(key) else { return };
        let identity = connection.identity();
        let kept = connection.finish(outcome, &view);
        if let Some(identity) = identity {
            self.admin.remembered.end(&identity, kept);
        }
        if let Some(asked) = self.step_admin(key) {
            // Later: in the middle of a change is no place for the next one, and thousands in a row
            // would lie on the stack.
            self.admin.asked.push_back((key, asked));
        }
    }

    /// Whether kept connections are told to go, and whoever asks that we are not ready.
    pub(super) fn drain(&mut self, on: bool) {
        if std::mem::replace(&mut self.admin.is_drained, on) == on {
            return;
        }
        self.cx.sends_away = on || self.state == RunState::Leaving;
        let word = if on { "drained: /ready fails, kept connections end" } else { "undrained" };
        info!("{word}");
        self.tell_changed();
        let state = self.process_state().word();
        self.admin.events.push("process", json!({"state": state}), SystemTime::now());
    }

    /// Connections of clients to a backend of a pool, or to one that left it, are closed.
    fn close_connections(&mut self, place: &Place) -> usize {
        let pool = self.directory.pool(&place.pool);
        let found = pool.and_then(|pool| self.directory.backend(pool, &place.name));
        let leaving = self.admin.leaving.iter().filter(|it| it.place == *place);
        let servers: Vec<ServerId> =
            found.map(|it| it.server).into_iter().chain(leaving.map(|it| it.server)).collect();
        let id = pool.map(|it| it.id);
        servers.into_iter().map(|server| self.close_backend(server, id)).sum()
    }

    /// A backend that was told to go leaves: who asks is told how far it is.
    pub(super) fn note_leaving(&mut self, place: Place, server: ServerId) {
        self.forget_left();
        self.admin.leaving.push(Leaving { place, server, since: self.cx.now });
    }

    /// A backend that was told to go before, and has connections yet, is to end them otherwise.
    pub(super) fn still_leaving(
        &self,
        place: &Place,
        ends: Ends,
    ) -> impl Iterator<Item = Ending> {
        let pool = self.directory.pool(&place.pool).map(|it| it.id);
        let left =
            move |it: &&Leaving| it.place == *place && self.connections_of(it.server, pool) > 0;
        let ending = move |it: &Leaving| {
            let Leaving { place, server, .. } = it.clone();
            Ending { place, server, ends, leaves: false }
        };
        self.admin.leaving.iter().filter(left).map(ending)
    }

    /// After this time the connections of a backend that drains, or left, are closed.
    pub(super) fn note_deadline(&mut self, place: Place, server: ServerId, after: Duration) {
        let at = self.cx.now + after;
        // The last word counts.
        self.admin.deadlines.retain(|it| it.server != server || it.place != place);
        self.admin.deadlines.push(Deadline { at, place, server });
        self.arm_deadlines();
    }

    fn arm_deadlines(&mut self) {
        if let Some(at) = self.admin.deadlines.iter().map(|it| it.at).min() {
            self.cx.timers.arm(self.chores.deadlines, at);
        }
    }

    /// The time of some is over. Who was made ready again meanwhile keeps its connections.
    pub(super) fn end_deadlines(&mut self) {
        let now = self.cx.now;
        let (due, later) =
            std::mem::take(&mut self.admin.deadlines).into_iter().partition(|it| it.at <= now);
        self.admin.deadlines = later;
        let due: Vec<Deadline> = due;
        for Deadline { place, server, .. } in due {
            let pool = self.directory.pool(&place.pool);
            let found = pool.and_then(|pool| self.directory.backend(pool, &place.name));
            let is_ready = |it: &BackendEntry<'_>| it.spec.admin == AdminState::Ready;
            if found.filter(|it| it.server == server).is_some_and(|it| is_ready(&it)) {
                continue;
            }
            let id = pool.map(|it| it.id);
            let closed = self.close_backend(server, id);
            if closed > 0 {
                let connections = counted(closed, "connection");
                let Place { pool, name } = &place;
                info!("pool {pool}, backend {name}: its time is over, {connections} closed");
            }
        }
        self.arm_deadlines();
    }

    fn forget_left(&mut self) {
        let mut leaving = std::mem::take(&mut self.admin.leaving);
        leaving.retain(|it| {
            let pool = self.directory.pool(&it.place.pool).map(|it| it.id);
            self.connections_of(it.server, pool) > 0
        });
        self.admin.leaving = leaving;
    }

    /// Who was made ready again keeps its connections.
    pub(super) fn forget_deadlines(&mut self) {
        let directory = &self.directory;
        self.admin.deadlines.retain(|it| {
            let pool = directory.pool(&it.place.pool);
            let found = pool.and_then(|pool| directory.backend(pool, &it.place.name));
            let is_ready = |found: BackendEntry<'_>| {
                found.server == it.server && found.spec.admin == AdminState::Ready
            };
            !found.is_some_and(is_ready)
        });
    }

    /// The listeners, the names and the tokens that are wanted from now on.
    pub(super) fn apply_admin(&mut self, prepared: PreparedAdmin) {
        let PreparedAdmin { listeners, allowed_hosts, heartbeats } = prepared;
        self.set_history();
        self.open_inlet(heartbeats);
        let tokens = self.directory.files.tokens.clone();
        let mut old: Vec<Key> = self.admin.listeners.iter().map(|(key, _)| key).collect();
        for it in listeners {
            let is_it = |key: &Key| {
                let known = self.admin.listeners.get(*key);
                known.is_some_and(|known| known.place == it.place && known.speaks == it.speaks)
            };
            let kept = old.iter().position(is_it).map(|at| old.remove(at));
            let key = match (kept, it.socket) {
                (Some(key), _) => key,
                (None, Some(socket)) => {
                    let listener = AdminListener::new(it.place, it.speaks, socket);
                    self.open_admin_listener(listener)
                }
                (None, None) => continue,
            };
            if let Some(listener) = self.admin.listeners.get_mut(key) {
                listener.tls = it.tls;
            }
        }
        for key in old {
            self.admin.waiting.retain(|it| *it != key);
            if let Some(mut listener) = self.admin.listeners.remove(key) {
                listener.deregister(&self.cx.registry);
            }
        }
        let of_api = self.admin.listeners.iter().filter(|(_, it)| it.speaks != Speaks::Metrics);
        let addresses = of_api.filter_map(|(_, it)| match it.real() {
            AdminListen::Http(address) | AdminListen::Https(address) => Some(address),
            AdminListen::Unix(_) => None,
        });
        let addresses = addresses.collect();
        self.admin.rules = Rules { tokens, allowed_hosts, addresses };
    }

    fn open_admin_listener(&mut self, listener: AdminListener) -> Key {
        let real = listener.real();
        let what = if listener.speaks == Speaks::Metrics { "metrics" } else { "admin" };
        let key = self.admin.listeners.insert_with(|_| listener);
        if let Some(listener) = self.admin.listeners.get_mut(key) {
            match listener.register(&self.cx.registry, Owner::AdminListener(key)) {
                Ok(()) => info!("{what} at {real}"),
                Err(error) => warn!("cannot listen at {real}: {error}"),
            }
        }
        key
    }

    /// Where admin listeners really are.
    pub fn admin_places(&self) -> Vec<AdminListen> {
        self.admin.listeners.iter().map(|(_, it)| it.real()).collect()
    }
}

pub(super) fn queue(ready: &mut VecDeque<Key>, key: Key, connection: &mut Client) {
    if !std::mem::replace(connection.is_queued(), true) {
        ready.push_back(key);
    }
}

fn print_no_backends(_: &PoolSpec) -> String {
    String::new()
}

fn print_nothing(_: &Desired) -> String {
    String::new()
}
