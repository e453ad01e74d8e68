//! What a room may use while a pair or a probe acts, beside its own slab entry.
//!
//! The event loop owns it and lends it; the slab of pairs is not in it, so that a room can hold
//! `&mut` of its pair and of this at once.

mod adding;
mod copies;
mod home;
mod sums;
mod traces;

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime};

use mio::Registry;

use crate::access_log::AccessLog;
use crate::backends::{Backends, Course, CourseOf};
use crate::config::{
    ListenerSettings, OnListenerRemoved, ProcessSettings, ServiceSettings, Spelling,
};
use crate::event::id::of;
use crate::event::{
    Key, ListenerId, Owner, Roster, RunQueue, ServerId, ServiceId, Slots, Timers,
};
use crate::guard::Guard;
use crate::http::Lists;
use crate::limits::{BACKEND_REST_MARGIN, GIVE_WAY_TRIES, HANDSHAKES_PER_TURN, LONG_TURN};
use crate::net::{self, BufferPool, Buffers, Fault, PipePool, Stream};
use crate::picks::Picks;
use crate::services::{Listener, Service};
use crate::stats::histogram::Histogram;
use crate::stats::pages::Pages;
use crate::stats::{LogThrottle, Stats};

/// All services.
pub type Services = Roster<Service, of::Service>;

pub use adding::added;
pub use copies::{Copies, RequestCopy};
pub use home::Home;
pub use sums::{CountedOf, CountsOfTables};
pub use traces::{Trace, Traces};

/// Everything shared, in one place, with one owner.
pub struct Context {
    /// The clock of this turn.
    pub now: Instant,
    /// When the process began to serve.
    pub started: Instant,
    /// The same by the clock of the wall.
    pub started_wall: SystemTime,
    /// Where sockets are registered.
    pub registry: Registry,
    /// All timers.
    pub timers: Timers,
    /// What all reads go into.
    pub scratch: Box<[u8]>,
    /// Buffers for what a target would not take.
    pub buffers: BufferPool,
    /// Lists that HTTP messages fill.
    pub http: Lists,
    /// Pipes for splicing.
    pub pipes: PipePool,
    /// The set of backends.
    pub backends: Backends,
    /// Connections to them.
    pub connections: Slots<BackendConnection>,
    /// Who acts next.
    pub run_queue: RunQueue,
    /// Counters.
    pub stats: Stats,
    /// The statistics as they are shown.
    pub pages: Pages,
    /// Where clients come in, and what is asked of them there.
    pub listeners: Roster<Listener, of::Listener>,
    /// What is done for clients.
    pub services: Services,
    /// Copies of requests that are to be sent to another pool.
    pub copies: Copies,
    /// What exchanges are found again by.
    pub traces: Traces,
    /// Who comes in.
    pub guard: Guard,
    /// The last picks, if any are kept.
    pub picks: Picks,
    /// What is written of each exchange, if anything is.
    pub access_log: Option<Box<AccessLog>>,
    /// The operator's times and limits.
    pub settings: Settings,
    /// How the operator writes settings, for lines that mention one.
    pub spelling: Spelling,
    /// Lines about backends with which TLS fails.
    pub tls_warnings: LogThrottle,
    /// How many handshakes may still be worked on in this turn.
    pub handshakes_left: usize,
    /// Somebody began to connect to a backend since that was asked last.
    pub began_to_connect: bool,
    /// We are stopping: no connection is kept for another request.
    pub draining: bool,
    /// An operator wants clients to go elsewhere: those who come are served, no connection is kept.
    pub sends_away: bool,
    /// How long turns were since somebody looked last, if anybody looks at all.
    pub turns_lately: Option<Box<Histogram>>,
    /// How much time was lost to turns and sleeps that were too long, in all.
    pub lateness: Duration,
    /// Connections to be reaped at the end of this turn, or of the next ones.
    retired: VecDeque<Key>,
    /// Idle connections with an event in this turn.
    idle_events: Vec<Key>,
}

/// What it takes to carry a message of HTTP, borrowed at once.
pub struct Carrying<'a> {
    /// The connection to the backend, if there is one.
    pub connection: Option<&'a mut BackendConnection>,
    /// What pumps need.
    pub buffers: Buffers<'a>,
    /// What messages fill.
    pub lists: &'a mut Lists,
    /// With the next, what is [`added`] to their heads.
    pub services: &'a Services,
    /// The set of backends.
    pub backends: &'a Backends,
}

/// A connection to a backend: a slot and a token of its own, for life.
#[derive(Debug)]
pub struct BackendConnection {
    /// Its socket.
    pub stream: Stream,
    /// The backend at its other end, for which its results are counted.
    pub backend: ServerId,
    /// Who uses it.
    pub user: User,
    /// When the connect began.
    pub started_at: Instant,
    /// How many milliseconds its backend keeps it while it rests, if that was said.
    kept_for: Option<NonZeroU32>,
    /// TCP asks a silent backend whether it is there.
    pub keepalive: bool,
    /// TLS is spoken in another way with its backend by now: no further request goes through it.
    is_outdated: bool,
    /// It is not read now, whatever may have come: its client has used its share.
    pub is_held_back: bool,
    /// Which address of its backend it leads to.
    course: CourseOf,
}

/// Who uses a backend connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// A pair.
    Pair(Key),
    /// A pair that logged in on it: nobody else uses it after that one.
    Owner(Key),
    /// Nobody now: it waits in its backend's idle list for the next pair.
    Idle,
    /// Nobody any more: it waits for the end of the turn.
    Retired,
}

/// What the operator asked for that connections live by, and what follows from it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of the process.
    pub process: ProcessSettings,
    /// Pairs at once: what was asked for, or else what descriptors allow; or less, if an operator
    /// says so while it runs.
    pub max_connections: usize,
    /// What that may be at most.
    pub hard_max_connections: usize,
}

impl User {
    /// The pair that uses it, if one does.
    pub fn pair(self) -> Option<Key> {
        match self {
            User::Pair(key) | User::Owner(key) => Some(key),
            User::Idle | User::Retired => None,
        }
    }
}

impl BackendConnection {
    /// Do not read it until it is released.
    pub fn hold_back(&mut self) {
        self.is_held_back = true;
        self.stream.look_away();
    }

    /// It may be read again, and has perhaps said something.
    pub fn release(&mut self) {
        if std::mem::take(&mut self.is_held_back) {
            self.stream.check_again();
        }
    }

    /// A login was made on it, or is asked for: it is its pair's own, for life.
    pub fn bind(&mut self) {
        if let User::Pair(key) = self.user {
            self.user = User::Owner(key);
        }
    }

    /// Its backend says that it keeps it for so many seconds once it rests.
    pub fn note_keep_alive(&mut self, seconds: Option<u32>) {
        self.kept_for = seconds.and_then(|seconds| {
            let kept = Duration::from_secs(u64::from(seconds));
            let used = kept - BACKEND_REST_MARGIN.min(kept / 2);
            let used = u32::try_from(used.as_millis()).unwrap_or(u32::MAX);
            NonZeroU32::new(used.max(1))
        });
    }

    /// How far it is with the addresses of its backend.
    pub fn course(&self) -> Course {
        self.course.course(self.started_at)
    }

    /// Whether it is its pair's own.
    pub fn is_bound(&self) -> bool {
        matches!(self.user, User::Owner(_))
    }
}

impl Context {
    /// A context at rest.
    pub fn new(
        registry: Registry,
        backends: Backends,
        pipes: PipePool,
        settings: Settings,
        now: Instant,
    ) -> Context {
        Context {
            now,
            started: now,
            started_wall: SystemTime::now(),
            registry,
            timers: Timers::new(now),
            scratch: net::buffer::scratch(),
            buffers: BufferPool::default(),
            http: Lists::default(),
            pipes,
            backends,
            connections: Slots::default(),
            run_queue: RunQueue::default(),
            stats: Stats::default(),
            pages: Pages::default(),
            listeners: Roster::default(),
            services: Roster::default(),
            copies: Copies::default(),
            traces: Traces::new(fastrand::u64(..), now),
            guard: Guard::new(now, (fastrand::u64(..), fastrand::u64(..))),
            picks: Picks::default(),
            access_log: None,
            settings,
            spelling: Spelling::PATHS,
            tls_warnings: LogThrottle::default(),
            handshakes_left: HANDSHAKES_PER_TURN,
            began_to_connect: false,
            draining: false,
            sends_away: false,
            turns_lately: None,
            lateness: Duration::ZERO,
            retired: VecDeque::new(),
            idle_events: Vec::new(),
        }
    }

    /// A client of this listener is gone, or a flow.
    pub fn leave_listener(&mut self, id: ListenerId) {
        let stats = &mut self.listeners[id].stats;
        stats.open -= 1;
        if stats.open == 0 {
            self.listeners.recheck();
        }
    }

    /// The settings of a service; where none is known, those that hold where nothing is asked for.
    #[inline]
    pub fn service(&self, id: Option<ServiceId>) -> &ServiceSettings {
        static DEFAULT: ServiceSettings = ServiceSettings::DEFAULT;
        id.and_then(|id| self.services.get(id)).map_or(&DEFAULT, |service| &service.settings)
    }

    /// The settings of the listener at which a client came in, which is counted there.
    #[inline]
    pub fn listener(&self, id: ListenerId) -> &ListenerSettings {
        &self.listeners[id].settings
    }

    /// When the oldest connection in use to a server was begun. All connections are looked at: for
    /// whoever asks, and not for each turn.
    pub fn oldest_connection(&self, server: ServerId) -> Option<Instant> {
        let is_it = |it: &&BackendConnection| it.backend == server && it.user.pair().is_some();
        self.connections.iter().map(|(_, it)| it).filter(is_it).map(|it| it.started_at).min()
    }

    /// Whether clients of this listener are told that their connections end: we are stopping, or
    /// the listener leaves.
    #[inline]
    pub fn lets_go(&self, listener: ListenerId) -> bool {
        self.draining
            || self.sends_away
            || self.listeners.has_leaving() && self.leaves_alone(listener)
    }

    #[cold]
    fn leaves_alone(&self, listener: ListenerId) -> bool {
        let keeps = |it: &Listener| it.settings.on_removed == OnListenerRemoved::Keep;
        self.listeners.is_leaving(listener) && !self.listeners.get(listener).is_some_and(keeps)
    }

    /// The rest of this pair's request will not come: the copy of it, if one was begun, failed.
    #[inline]
    pub fn lose_copy(&mut self, pair: Key) {
        if self.copies.forget(pair) {
            self.stats.mirror.failed += 1;
        }
    }

    /// Whether a handshake on this stream has to wait for the next turn, for enough of them were
    /// worked on in this one. If not, and there is one, it is counted.
    pub fn must_wait(handshakes_left: &mut usize, stream: &Stream) -> bool {
        if !stream.is_heard_shaking_hands() {
            return false;
        }
        let must_wait = *handshakes_left == 0;
        *handshakes_left = handshakes_left.saturating_sub(1);
        must_wait
    }

    /// Take in a new connection for `pair`; it counts at its backend from now on.
    pub fn add_connection(
        &mut self,
        stream: Stream,
        backend: ServerId,
        pair: Key,
        started_at: Instant,
        course: Course,
    ) -> Key {
        self.backends.opened(backend, self.now);
        let user = User::Pair(pair);
        let connection = BackendConnection {
            stream,
            backend,
            user,
            started_at,
            course: CourseOf::new(course, started_at),
            kept_for: None,
            keepalive: false,
            is_outdated: false,
            is_held_back: false,
        };
        self.connections.insert_with(|_| connection)
    }

    /// Its pair is done with this connection, and another one may use it: to the idle list.
    pub fn park(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        // A header at its beginning says whose it is: it is nobody else's.
        let is_headed = self.backends[connection.backend].proxy.is_some();
        if connection.is_bound() || connection.is_outdated || is_headed {
            return self.retire(key);
        }
        connection.user = User::Idle;
        connection.release();
        self.backends.closed(connection.backend);
        // Behind a slow client it was not listened to, and its backend may have closed it.
        let is_good = connection.stream.is_heard() || connection.stream.is_quiet();
        let armed = connection.stream.arm(&self.registry, Owner::Connection(key));
        if !is_good || armed.is_err() {
            return self.retire(key);
        }
        if let Some(oldest) = self.backends.park(connection.backend, key, self.now) {
            self.drop_surplus(oldest);
        }
    }

    /// An idle connection to `backend` for `pair`, the last parked first; `None` if there is none
    /// that is still good. One that has something to say was closed by its backend, or says what
    /// nobody asked for: neither is of use.
    pub fn unpark(&mut self, backend: ServerId, pair: Key) -> Option<Key> {
        while let Some((key, parked_at)) = self.backends.unpark(backend) {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let rests = || self.now.saturating_duration_since(parked_at).as_millis();
            let let_go = connection.kept_for.is_some_and(|kept| rests() >= kept.get().into());
            if let_go || !connection.stream.is_quiet() {
                self.retire_unparked(key);
                continue;
            }
            connection.user = User::Pair(pair);
            self.backends.opened(backend, self.now);
            return Some(key);
        }
        None
    }

    /// The pair that owns this connection asks on, if it is still good; if not it is retired.
    pub fn resume(&mut self, key: Key) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        if connection.is_outdated || !connection.stream.is_quiet() {
            self.retire(key);
            return false;
        }
        // It counted all the time. What is new is the request.
        self.backends.closed(connection.backend);
        self.backends.opened(connection.backend, self.now);
        true
    }

    /// Close all idle connections to this server.
    pub fn retire_idle(&mut self, server: ServerId) {
        while let Some(key) = self.backends.unpark_older(server, None) {
            self.retire_unparked(key);
        }
    }

    /// The TLS settings of these servers changed, so that a connection made before may not pass the
    /// verification of now: idle ones are closed at once, those in use after their request.
    pub fn outdate(&mut self, servers: &HashSet<ServerId>) {
        if servers.is_empty() {
            return;
        }
        servers.iter().for_each(|&server| self.retire_idle(server));
        for (_, connection) in self.connections.iter_mut() {
            connection.is_outdated |= servers.contains(&connection.backend);
        }
    }

    /// Close the idle connections that have waited for too long.
    pub fn retire_long_idle(&mut self) {
        let servers: Vec<ServerId> = self.backends.iter().map(|(id, _)| id).collect();
        for server in servers {
            while let Some(key) = self.backends.unpark_overdue(server, self.now) {
                self.retire_unparked(key);
            }
        }
    }

    /// Nobody uses this connection any more: it does not count at its backend, and the end of the
    /// turn reaps it.
    pub fn retire(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match std::mem::replace(&mut connection.user, User::Retired) {
            User::Retired => return,
            User::Idle => self.backends.forget_idle(connection.backend, key),
            User::Pair(_) | User::Owner(_) => self.backends.closed(connection.backend),
        }
        self.retired.push_back(key);
    }

    /// The same for one that was taken out of its idle list.
    fn retire_unparked(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.user = User::Retired;
            self.retired.push_back(key);
        }
    }

    /// The same for one too many. Nothing is on its way in it, and closed with a FIN it would keep
    /// its local port for a minute: where thousands of clients share few idle connections, that
    /// uses up all there are in seconds.
    fn drop_surplus(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.stream.reset_on_close();
        }
        self.retire_unparked(key);
    }

    /// Open what takes a descriptor. If there is none left, a connection that no client needs gives
    /// way, and it is tried again.
    pub fn open_with<T>(
        &mut self,
        open: impl Fn(&Backends) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        for _ in 0..GIVE_WAY_TRIES {
            match open(&self.backends) {
                Err(Fault::Exhausted) if self.give_way() => {}
                result => return result,
            }
        }
        open(&self.backends)
    }

    /// We are out of descriptors: a backend connection that waits to be reaped is closed, or else
    /// that of a copy of a request, which no client waits for, or else the one that has been idle
    /// for longest, whichever backend's. Says whether there was one.
    ///
    /// At once and not by the reaping, for its descriptor is wanted in this turn. That is safe for
    /// it as it is for a probe's: nobody uses it, and an event of this batch that is still to be
    /// looked at is stopped by the generation in its token, or finds a copy without a socket.
    pub fn give_way(&mut self) -> bool {
        if !self.retired.is_empty() {
            self.reap_connection();
            return true;
        }
        if self.copies.give_way() {
            return true;
        }
        let Some(key) = self.backends.unpark_oldest() else { return false };
        self.stats.idle_gave_way += 1;
        if let Some(mut connection) = self.connections.remove(key) {
            connection.stream.say_goodbye();
        }
        true
    }

    /// An idle connection has an event. Only noted, for events are still being marked.
    pub fn note_idle_event(&mut self, key: Key) {
        self.idle_events.push(key);
    }

    /// Retire the idle connections that had an event, unless a pair took them meanwhile.
    pub fn retire_idle_with_events(&mut self) {
        while let Some(key) = self.idle_events.pop() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            // That it can be written is of no interest, and TLS has things of its own to say:
            // tickets, new keys.
            if connection.user == User::Idle && !connection.stream.is_quiet() {
                self.retire(key);
            }
        }
    }

    /// Close one of the retired connections; only the reaping calls this.
    pub fn reap_connection(&mut self) {
        let key = self.retired.pop_front();
        if let Some(mut connection) = key.and_then(|key| self.connections.remove(key)) {
            connection.stream.say_goodbye();
        }
    }

    /// A turn took so long, or a sleep ended so much later than it should: if that is much, what
    /// came meanwhile was not looked at in time.
    pub fn note_lateness(&mut self, late: Duration) {
        if late >= LONG_TURN {
            self.lateness += late;
        }
    }

    /// How many connections wait to be reaped.
    pub fn retired(&self) -> usize {
        self.retired.len()
    }

    /// A connection beside what its pumps need.
    pub fn connection_and_buffers(
        &mut self,
        key: Option<Key>,
    ) -> (Option<&mut BackendConnection>, Buffers<'_>) {
        let connection = key.and_then(|key| self.connections.get_mut(key));
        let buffers = Buffers {
            scratch: &mut self.scratch,
            pool: &mut self.buffers,
            pipes: &mut self.pipes,
        };
        (connection, buffers)
    }

    /// The same beside what messages need.
    pub fn for_carrying(&mut self, key: Option<Key>) -> Carrying<'_> {
        let connection = key.and_then(|key| self.connections.get_mut(key));
        let buffers = Buffers {
            scratch: &mut self.scratch,
            pool: &mut self.buffers,
            pipes: &mut self.pipes,
        };
        let lists = &mut self.http;
        Carrying {
            connection,
            buffers,
            lists,
            services: &self.services,
            backends: &self.backends,
        }
    }
}

impl Settings {
    /// What the operator asked for, with the number of pairs that descriptors allow.
    pub fn of(process: &ProcessSettings, pairs: usize) -> Settings {
        let process = process.clone();
        let max_connections = process.max_connections.unwrap_or(pairs);
        Settings { process, max_connections, hard_max_connections: max_connections }
    }
}
