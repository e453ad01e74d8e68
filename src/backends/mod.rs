//! The set of backends: who they are, how they are, how busy they are, and who takes the next
//! connection.
//!
//! ```text
//!   routes    a name of the client's wish -> a pool
//!   pool      some of the backends, and the algorithm that picks among the eligible
//!   eligible = enabled, weight above 0, below its own limit, not tried in vain by this client,
//!              up (or all of the pool are down and --all-down spread), not ejected for bad
//!              answers, and no backup, unless no other backend of the pool is all of that
//! ```
//!
//! The algorithms of [`crate::balance`] choose among the eligible; this room keeps that word true
//! with O(1) work a change, so that a pick need not look at everybody. Connections refer to a
//! [`BackendId`], never to the configuration.

mod addresses;
mod answers;
mod backend;
mod eject;
mod idle;
mod membership;
mod pool;
mod results;
mod routes;
mod standing;
mod state;
mod sticky;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::ops::Index;
use std::time::{Duration, Instant};

use crate::balance::{Ask, Observation, Work};
use crate::config::{AllDown, Spelling};
use crate::stats::PerSecond;

pub use addresses::{Addresses, Course, CourseOf};
pub use backend::{Backend, Member};
use eject::Crowd;
pub use eject::{Came, Cause, Grade, Out, Tally};
use pool::Place;
pub use pool::{Pool, PoolId, PoolPlan};
pub use routes::Routes;
pub use standing::{Standing, Word};
pub use state::{Flip, RiseFall, State};
pub use sticky::StickyKey;
use sticky::Tokens;

/// A backend of the set. What identifies it to people is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackendId(u32);

impl BackendId {
    /// Its place in the order in which they were given.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How the set behaves.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How many results change a state.
    pub rise_fall: RiseFall,
    /// Whether probes can ever bring a backend up again; if not, nothing takes one down.
    pub probed: bool,
    /// What happens while all are down.
    pub all_down: AllDown,
    /// Over this time a recovered backend's weight grows.
    pub slow_start: Duration,
    /// So many bad answers in a row leave a backend out for a while; 0 never does.
    pub eject_after: u32,
}

/// Why no backend could be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// All are down.
    AllDown,
    /// Those that are up are at their limit of connections, or take no new ones.
    NoRoom,
}

/// The set.
pub struct Backends {
    list: Vec<Backend>,
    pools: Vec<Pool>,
    policy: Policy,
    /// How many are in a slow start.
    ramping: usize,
    /// How many idle connections wait, to all of them.
    idle: usize,
    /// How many are ejected for their bad answers.
    ejected: usize,
    /// Who was here lately.
    crowd: Crowd,
    /// When the answers of a pool were last compared.
    compared_at: Option<Instant>,
    /// Pools whose algorithms may have put something off.
    at_work: VecDeque<PoolId>,
    /// Whose probes are wanted before their time.
    probes_wanted: Vec<BackendId>,
    /// Who went up or down since somebody asked.
    flips: Vec<(BackendId, Flip)>,
    /// Whose sticky cookie is whose.
    tokens: Tokens,
    /// How the operator writes settings, for the log.
    spelling: Spelling,
}

impl Backends {
    /// A set of `members` in these pools, all counting as up until their first result.
    pub fn new(
        members: Vec<Member>,
        pools: Vec<PoolPlan>,
        policy: Policy,
        now: Instant,
    ) -> Backends {
        let mut set = Backends {
            list: members.into_iter().map(|member| Backend::new(member, now)).collect(),
            pools: Vec::new(),
            policy,
            ramping: 0,
            idle: 0,
            ejected: 0,
            crowd: Crowd::default(),
            compared_at: None,
            at_work: VecDeque::new(),
            probes_wanted: Vec::new(),
            flips: Vec::new(),
            tokens: Tokens::default(),
            spelling: Spelling::PATHS,
        };
        for plan in pools {
            let id = PoolId(set.pools.len() as u16);
            set.pools.push(Pool::new(&plan.name, plan.balance));
            plan.members.into_iter().for_each(|member| set.sit(BackendId(member as u32), id));
            while set.pools[usize::from(id.0)].work(usize::MAX) == Work::Left {}
        }
        (0..set.list.len()).for_each(|index| set.refresh(index));
        set
    }

    /// Choose a backend of a pool for a client; `tried` are left out. The choice counts once
    /// [`Backends::opened`] is called.
    pub fn pick(
        &mut self,
        pool: PoolId,
        ask: &Ask,
        tried: &[BackendId],
    ) -> Result<BackendId, Refusal> {
        self.set_tried(tried, true);
        let chosen_from = &mut self.pools[usize::from(pool.0)];
        let picked = chosen_from.pick(ask);
        let refusal = if chosen_from.up == 0 { Refusal::AllDown } else { Refusal::NoRoom };
        self.set_tried(tried, false);
        picked.ok_or(refusal)
    }

    /// One line that says why `picked` was picked: every candidate with what the algorithm
    /// compares, and a `!` before those that could not be.
    pub fn why(
        &self,
        pool: PoolId,
        picked: BackendId,
        tried: &[BackendId],
        now: Instant,
    ) -> String {
        let mut line = format!("picked {} of", self[picked].name);
        let pool = self.pool(pool);
        for (index, member) in pool.seated() {
            let score = pool.balance.score(&pool.candidates, index, now);
            let out = !pool.candidates[index].eligible || tried.contains(&member);
            let mark = if out { "!" } else { "" };
            // because: writing to a string cannot fail.
            let _ = write!(line, " {mark}{}={score}", self[member].name);
        }
        line
    }

    /// A connection to it was begun.
    pub fn opened(&mut self, id: BackendId, now: Instant) {
        let backend = &mut self.list[id.0 as usize];
        backend.counts.given += 1;
        backend.rate.count(now);
        backend.connections += 1;
        self.recount(id.0 as usize);
    }

    /// A connection to it was closed, or given up.
    pub fn closed(&mut self, id: BackendId) {
        let backend = &mut self.list[id.0 as usize];
        debug_assert!(backend.connections > 0, "closed more than were opened");
        backend.connections = backend.connections.saturating_sub(1);
        self.recount(id.0 as usize);
    }

    /// Bytes went to it and came from it.
    pub fn moved(&mut self, id: BackendId, sent: u64, received: u64) {
        let backend = &mut self.list[id.0 as usize];
        backend.counts.bytes_sent += sent;
        backend.counts.bytes_received += received;
    }

    /// All backends in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (BackendId, &Backend)> {
        self.list.iter().enumerate().map(|(index, backend)| (BackendId(index as u32), backend))
    }

    /// The one at this place of that order.
    pub fn at(&self, place: usize) -> Option<BackendId> {
        (place < self.list.len()).then_some(BackendId(place as u32))
    }

    /// Connections to it a second.
    pub fn rate(&mut self, id: BackendId, now: Instant) -> PerSecond {
        self.list[id.0 as usize].rate.per_second(now)
    }

    /// One of the pools.
    pub fn pool(&self, id: PoolId) -> &Pool {
        &self.pools[usize::from(id.0)]
    }

    /// The pools in the order in which they were given.
    pub fn pool_ids(&self) -> impl Iterator<Item = PoolId> {
        (0..self.pools.len()).map(|index| PoolId(index as u16))
    }

    /// All pools but that of the backends that belong to no route.
    pub fn routed_pools(&self) -> &[Pool] {
        self.pools.get(1..).unwrap_or_default()
    }

    /// A route led a client to this pool.
    pub fn routed(&mut self, id: PoolId) {
        self.pools[usize::from(id.0)].counts.clients += 1;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What this room and the connections must agree on.
    pub fn check_invariants(&self, open: usize, idle: usize) {
        assert_eq!(
            idle,
            self.list.iter().map(|b| b.idle.len()).sum::<usize>(),
            "idle connections"
        );
        assert_eq!(idle, self.idle, "idle connections, counted");
        let sum: usize = self.list.iter().map(|backend| backend.connections as usize).sum();
        assert_eq!(sum, open, "counts and connections");
        assert!(self.list.iter().all(|backend| !backend.tried), "tried outside a pick");
        self.pools.iter().for_each(|pool| pool.check_invariants(&self.list));
    }

    fn set_tried(&mut self, tried: &[BackendId], value: bool) {
        for id in tried {
            self.list[id.0 as usize].tried = value;
            self.refresh(id.0 as usize);
        }
    }

    fn observe(&mut self, id: BackendId, seen: Observation, now: Instant) {
        for place in &self.list[id.0 as usize].places {
            self.pools[usize::from(place.pool.0)].observe(place.index, seen, now);
        }
    }

    fn refresh_pool(&mut self, pool: PoolId) {
        let members: Vec<BackendId> = self.pool(pool).members().collect();
        members.into_iter().for_each(|id| self.refresh(id.0 as usize));
    }

    /// Tell the pools how many connections a backend has. Who may be picked depends on that only
    /// where they are limited.
    fn recount(&mut self, index: usize) {
        let backend = &self.list[index];
        if backend.max_connections.is_some() {
            return self.refresh(index);
        }
        for place in &backend.places {
            let pool = &mut self.pools[usize::from(place.pool.0)];
            pool.recount(place.index, backend.connections);
        }
    }

    /// Bring what the pools know of a backend up to date.
    fn refresh(&mut self, index: usize) {
        let backend = &self.list[index];
        let takes_more = backend.takes_more();
        for place in &backend.places {
            let pool = &mut self.pools[usize::from(place.pool.0)];
            let spread = pool.up == 0 && self.policy.all_down == AllDown::Spread;
            let available = takes_more && (backend.state.is_up() || spread);
            pool.update(place.index, backend, available);
        }
    }
}

impl Index<BackendId> for Backends {
    type Output = Backend;

    fn index(&self, id: BackendId) -> &Backend {
        &self.list[id.0 as usize]
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::AllDown => "all backends are down",
            Refusal::NoRoom => "no backend that is up takes more connections",
        })
    }
}
