//! The set of backends: who they are, how they are, how busy they are, and who takes the next
//! connection.
//!
//! ```text
//!   pool      seats, the algorithm that picks among the eligible, and the rules for all of them
//!   seat      a server as a member of one pool: weight, backup, ejected, slow start
//!   server    what is connected to and probed: addresses, up or down, connections
//! ```
//!
//! The algorithms of [`crate::balance`] choose among the eligible; the pools keep that word true
//! with O(1) work a change, so that a pick need not look at everybody. Everybody is known by an id,
//! and none is freed while something counts on it: see `membership`.

mod addresses;
mod answers;
mod eject;
mod idle;
mod membership;
mod pool;
mod pools;
mod queue;
mod queues;
mod results;
mod retry_budget;
mod retrying;
mod seat;
mod server;
mod standing;
mod state;
mod sticky;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::ops::Index;
use std::time::{Duration, Instant};

use crate::access_log::Cause;
use crate::balance::{Ask, Observation};
use crate::config::{AdminState, PoolSettings, Spelling};
use crate::event::Roster;
use crate::event::id::of;
use crate::stats::{Moved, PerSecond};

pub use crate::event::{PoolId, ServerId};
pub use addresses::{Addresses, Course, CourseOf};
pub use eject::{Came, EjectCause, Grade, Out, Tally};
pub use membership::Joins;
pub use pool::picture::{Marks, Picture, Pictured};
pub use pool::{Pool, PoolPlan};
use pools::Pools;
pub use queue::{Queue, Ticket, Urgency};
pub use seat::SeatPlan;
pub use server::{CheckRules, IdleRules, Server, ServerPlan};
pub use standing::{SeatShare, Standing, Word};
pub use state::{Flip, RiseFall, ServerState};
pub use sticky::StickyKey;

/// All servers.
type Servers = Roster<Server, of::Server>;

/// Why no server could be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoBackend {
    /// All are down.
    AllDown,
    /// Those that are up are at their limit of connections, or take no new ones.
    NoRoom,
    /// The same, and as many clients wait as may.
    QueueFull,
    /// The same, and the client has waited for as long as it may.
    QueueTimeout,
}

/// The set.
pub struct Backends {
    servers: Servers,
    pools: Pools,
    /// How many idle connections wait, to all of them.
    idle: usize,
    /// The shortest time that any of them may.
    shortest_idle: Duration,
    /// Pools whose algorithms may have put something off.
    at_work: VecDeque<PoolId>,
    /// Pools for which clients wait, in the order in which they are served.
    queued: VecDeque<PoolId>,
    /// Whose probes are wanted before their time.
    probes_wanted: Vec<ServerId>,
    /// Who went up or down since somebody asked.
    flips: Vec<(ServerId, Flip)>,
    /// One of them is told, or was, which server name a client asks for.
    say_authority: bool,
    /// How the operator writes settings, for the log.
    spelling: Spelling,
}

impl Default for Backends {
    fn default() -> Backends {
        Backends {
            servers: Servers::default(),
            pools: Pools::default(),
            idle: 0,
            shortest_idle: Duration::MAX,
            at_work: VecDeque::new(),
            queued: VecDeque::new(),
            probes_wanted: Vec::new(),
            flips: Vec::new(),
            say_authority: false,
            spelling: Spelling::PATHS,
        }
    }
}

impl Backends {
    /// Choose a server of a pool for a client; `tried` are left out. The choice counts once
    /// [`Backends::opened`] is called.
    pub fn pick(
        &mut self,
        pool: Option<PoolId>,
        ask: &Ask,
        tried: &[ServerId],
    ) -> Result<ServerId, NoBackend> {
        let id = pool.ok_or(NoBackend::AllDown)?;
        if !tried.is_empty() {
            self.each_tried(id, tried, Pool::leave_out);
        }
        let pool = self.pools.get_mut(id).ok_or(NoBackend::AllDown)?;
        let picked = pool.pick(ask);
        let refusal = |pool: &Pool| {
            if pool.all_are_down() { NoBackend::AllDown } else { NoBackend::NoRoom }
        };
        let picked = picked.ok_or_else(|| refusal(pool));
        if !tried.is_empty() {
            self.each_tried(id, tried, Pool::let_in);
        }
        picked
    }

    /// One line that says why `picked` was picked: every candidate with what the algorithm
    /// compares, and a `!` before those that could not be.
    pub fn why(
        &self,
        pool: Option<PoolId>,
        picked: ServerId,
        tried: &[ServerId],
        now: Instant,
    ) -> String {
        let mut line = format!("picked {} of", self.name(picked));
        let Some(pool) = pool.and_then(|id| self.pools.get(id)) else { return line };
        for (index, seat) in pool.taken() {
            let score = pool.balance.score(&pool.candidates, index, now);
            let out = !pool.is_eligible(index) || tried.contains(&seat.server);
            let mark = if out { "!" } else { "" };
            // because: writing to a string cannot fail.
            let _ = write!(line, " {mark}{}={score}", self.name(seat.server));
        }
        line
    }

    /// A connection to it was begun.
    pub fn opened(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.counts.given += 1;
        server.given_at = Some(now);
        server.rate.count(now);
        server.connections += 1;
        recount(server, &mut self.pools);
    }

    /// A connection to it goes on that another process began and counted.
    pub fn taken_over(&mut self, id: ServerId) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.connections += 1;
        recount(server, &mut self.pools);
    }

    /// A connection to it was closed, or given up.
    pub fn closed(&mut self, id: ServerId) {
        let Some(server) = self.servers.get_mut(id) else { return };
        debug_assert!(server.connections > 0, "closed more than were opened");
        server.connections = server.connections.saturating_sub(1);
        recount(server, &mut self.pools);
        if server.connections == 0 {
            self.servers.recheck();
        }
    }

    /// Bytes went to it and came from it.
    pub fn moved(&mut self, id: ServerId, moved: Moved) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.counts.bytes_sent += moved.to_backend;
        server.counts.bytes_received += moved.to_client;
    }

    /// All servers, those that are leaving included; in the order in which they were added, until
    /// some were removed.
    pub fn iter(&self) -> impl Iterator<Item = (ServerId, &Server)> {
        self.servers.iter()
    }

    /// The server of this id, if it is still there: for who does not count on it.
    pub fn get(&self, id: ServerId) -> Option<&Server> {
        self.servers.get(id)
    }

    /// Whether it is there and does not leave.
    pub fn is_here(&self, id: ServerId) -> bool {
        !self.servers.is_leaving(id)
    }

    /// What logs call it, even after it is gone.
    pub fn name(&self, id: ServerId) -> &str {
        self.servers.get(id).map_or("(removed)", |server| &server.name)
    }

    /// Connections to it; none once it is gone.
    pub fn connections(&self, id: ServerId) -> u64 {
        self.servers.get(id).map_or(0, |server| u64::from(server.connections))
    }

    /// Connections to the members of a pool; none once it is gone.
    pub fn connections_in(&self, id: Option<PoolId>) -> u64 {
        self.pool(id).map_or(0, Pool::connections)
    }

    /// Whether anybody of a pool can be tried.
    pub fn is_there(&self, id: Option<PoolId>) -> bool {
        self.pool(id).is_some_and(Pool::has_anybody)
    }

    /// The settings of a pool; once it is gone, those that hold where nothing is asked for.
    pub fn settings(&self, id: Option<PoolId>) -> &PoolSettings {
        static DEFAULT: PoolSettings = PoolSettings::DEFAULT;
        self.pool(id).map_or(&DEFAULT, |pool| &pool.settings)
    }

    /// The first one from this place on: for a walk in slices.
    pub fn next_from(&self, place: usize) -> Option<ServerId> {
        self.servers.next_from(place).map(|(id, _)| id)
    }

    /// Connections to it a second.
    pub fn rate(&self, id: ServerId, now: Instant) -> PerSecond {
        let rate = self.servers.get(id).map(|it| it.rate.clone());
        rate.map_or_else(PerSecond::default, |mut rate| rate.per_second(now))
    }

    /// One of the pools, if it is there.
    pub fn pool(&self, id: Option<PoolId>) -> Option<&Pool> {
        self.pools.get(id?)
    }

    /// What logs call a pool, or the want of one.
    pub fn pool_name(&self, id: Option<PoolId>) -> &str {
        self.pool(id).map_or("-", |pool| &pool.name)
    }

    /// The pools, those that are leaving included.
    pub fn pools(&self) -> impl Iterator<Item = (PoolId, &Pool)> {
        self.pools.iter()
    }

    /// The first pool from this place on: for a walk in slices.
    pub fn next_pool_from(&self, place: usize) -> Option<(PoolId, &Pool)> {
        self.pools.next_from(place)
    }

    /// How many servers there are.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// What this room, the connections and the clients must agree on.
    pub fn check_invariants(&self, open: usize, idle: usize, users: usize) {
        let servers = || self.servers.iter().map(|(_, server)| server);
        assert_eq!(idle, servers().map(|it| it.idle.len()).sum::<usize>(), "idle connections");
        assert_eq!(idle, self.idle, "idle connections, counted");
        let sum: usize = servers().map(|it| it.connections as usize).sum();
        assert_eq!(sum, open, "counts and connections");
        let sum: u64 = self.pools.iter().map(|(_, pool)| pool.users).sum();
        assert_eq!(sum, users as u64, "pools and their users");
        self.pools.check_invariants();
        self.pools.check_reaped(|pool| pool.users == 0);
        self.servers.check_reaped(Server::is_free);
        for (id, server) in self.servers.iter() {
            let admin = server.seats.iter().map(|place| self.admin(id, place.pool));
            let count = admin.filter(|it| *it == Some(AdminState::Maint)).count();
            assert_eq!(count, server.in_maintenance, "seats in maintenance");
        }
        let seats: usize = self.pools.iter().map(|(_, pool)| pool.len()).sum();
        assert_eq!(seats, servers().map(|it| it.seats.len()).sum::<usize>(), "seats");
        self.pools.iter().for_each(|(id, pool)| pool.check_invariants(id, &self.servers));
    }

    fn each_tried(&mut self, pool: PoolId, tried: &[ServerId], act: fn(&mut Pool, usize)) {
        for &id in tried {
            let place = self.place_in(id, pool);
            if let Some((place, pool)) = place.zip(self.pools.get_mut(pool)) {
                act(pool, place.index as usize);
            }
        }
    }

    fn observe(&mut self, id: ServerId, seen: Observation, now: Instant) {
        self.each_seat(id, |pool, seat| pool.observe(seat, seen, now));
    }
}

/// Tell the pools how many connections a server has. Who may be picked depends on that only where
/// they are limited.
fn recount(server: &Server, pools: &mut Pools) {
    for place in &server.seats {
        let Some(pool) = pools.get_mut(place.pool) else { continue };
        let index = place.index as usize;
        match server.max_connections {
            Some(_) => pool.recount_limited(index, server.view()),
            None => pool.recount(index, server.connections),
        }
    }
}

/// The same after its limit changed, or may have.
fn recount_all(server: &Server, pools: &mut Pools) {
    for place in &server.seats {
        if let Some(pool) = pools.get_mut(place.pool) {
            pool.recount_limited(place.index as usize, server.view());
        }
    }
}

/// For who counts on the server: a connection in use, a probe, a seat.
impl Index<ServerId> for Backends {
    type Output = Server;

    fn index(&self, id: ServerId) -> &Server {
        &self.servers[id]
    }
}

impl NoBackend {
    /// In the access log's word.
    pub fn cause(self) -> Cause {
        match self {
            NoBackend::AllDown => Cause::AllDown,
            NoBackend::NoRoom => Cause::NoRoom,
            NoBackend::QueueFull => Cause::QueueFull,
            NoBackend::QueueTimeout => Cause::QueueTimeout,
        }
    }
}

impl fmt::Display for NoBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoBackend::AllDown => "all backends are down",
            NoBackend::NoRoom => "no backend that is up takes more connections",
            NoBackend::QueueFull => "no backend takes more connections, and the queue is full",
            NoBackend::QueueTimeout => "no backend took it in time",
        })
    }
}
