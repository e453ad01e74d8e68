//! The set of backends: who they are, how they are, how busy they are, and who takes the next
//! connection.
//!
//! ```text
//!   routes    a name of the client's wish -> a pool
//!   pool      some of the backends, and the algorithm that picks among the eligible
//!   eligible = enabled, weight above 0, below its own limit, not tried in vain by this client,
//!              up (or all of the pool are down and --all-down spread), not left out for bad
//!              answers, and no backup, unless no other backend of the pool is all of that
//! ```
//!
//! The algorithms of [`crate::balance`] choose among the eligible; this room keeps that word true
//! with O(1) work a change, so that a pick need not look at everybody. Connections refer to a
//! [`BackendId`], never to the configuration.

mod answers;
mod eject;
mod pool;
mod routes;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::ops::Index;
use std::time::{Duration, Instant};

use log::info;

use crate::balance::{Ask, Observation};
use crate::config::AllDown;
use crate::event::Key;
use crate::limits::{SLOW_START_PERCENT_MIN, SLOW_START_STEPS, WEIGHT_ONE};
use crate::net::Fault;
use crate::net::tls::client::Dial;
use crate::stats::{Answers, Rate};

use eject::Conduct;
use pool::Place;
pub use pool::{Pool, PoolId, PoolPlan};
pub use routes::Routes;
pub use state::{Flip, RiseFall, State};

/// A backend of the set. What identifies it to people is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackendId(u32);

/// One backend.
#[derive(Debug)]
pub struct Backend {
    /// What logs call it.
    pub name: Box<str>,
    /// Where it is.
    pub address: SocketAddr,
    /// Where its probes go.
    pub check_address: SocketAddr,
    /// What probes and connects say of it.
    pub state: State,
    /// When it last went up or down; the start, if never.
    pub since: Instant,
    /// What the operator says: takes new connections.
    pub enabled: bool,
    /// The operator's weight.
    pub weight: u32,
    /// The weight in force in units of 1 / [`WEIGHT_ONE`], which grows in a slow start.
    pub effective_weight: u32,
    /// Connections open or being opened.
    pub connections: u32,
    /// Connections at most.
    pub max_connections: Option<u32>,
    /// Takes connections only while no other backend of its pool can.
    pub backup: bool,
    /// What it takes to speak TLS with it, if that is spoken.
    pub dial: Option<Dial>,
    /// The same for probes.
    pub probe_dial: Option<Dial>,
    /// The last load that it reported.
    pub load: Option<f64>,
    /// Connections given to it.
    pub total: u64,
    /// Connects to it that failed.
    pub failures: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
    /// Bytes that came from it.
    pub bytes_received: u64,
    /// Connections a second.
    pub rate: Rate,
    /// What became of its requests.
    pub answers: Answers,
    /// Connections that wait for a pair, the last parked at the back.
    idle: VecDeque<(Key, Instant)>,
    /// How it answered lately.
    conduct: Conduct,
    /// When its slow start began, if it is in one.
    ramp_from: Option<Instant>,
    /// Left out of the pick that is under way.
    tried: bool,
    /// Where it sits.
    places: Vec<Place>,
}

/// What is known of a backend before it is in the set.
#[derive(Debug, Clone)]
pub struct Member {
    /// What logs call it, and what the hashing algorithms place.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// Share of the traffic.
    pub weight: u32,
    /// Connections at most.
    pub max_connections: Option<u32>,
    /// Takes connections only while no other backend of its pool can.
    pub backup: bool,
    /// What it takes to speak TLS with it, if that is spoken.
    pub dial: Option<Dial>,
    /// The same for probes.
    pub probe_dial: Option<Dial>,
    /// Where its probes go, if not to the port of `address`.
    pub check_port: Option<u16>,
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
    /// How many are left out for their bad answers.
    ejected: usize,
    /// Who went up or down since somebody asked.
    flips: Vec<(BackendId, Flip)>,
    /// Whose sticky cookie is whose.
    tokens: HashMap<u64, BackendId>,
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
            flips: Vec::new(),
            tokens: HashMap::new(),
        };
        for plan in pools {
            let pool = Pool::new(plan, &set.list);
            let id = PoolId(set.pools.len() as u16);
            for (index, member) in pool.members().enumerate() {
                let place = Place { pool: id, index: index as u32 };
                set.list[member.0 as usize].places.push(place);
            }
            set.pools.push(pool);
        }
        set.tokens = set.iter().map(|(id, _)| (set.token(id), id)).collect();
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
        for (index, member) in pool.members().enumerate() {
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
        backend.total += 1;
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

    /// Keep an idle connection to it; beyond `limit`, the oldest is handed back to be closed.
    pub fn park(&mut self, id: BackendId, key: Key, now: Instant, limit: usize) -> Option<Key> {
        let idle = &mut self.list[id.0 as usize].idle;
        idle.push_back((key, now));
        self.idle += 1;
        if idle.len() > limit { self.unpark_older(id, None) } else { None }
    }

    /// The idle connection to it that was parked last.
    pub fn unpark(&mut self, id: BackendId) -> Option<Key> {
        let (key, _) = self.list[id.0 as usize].idle.pop_back()?;
        self.idle -= 1;
        Some(key)
    }

    /// The idle connection to it that was parked first, if that was before `since`, or at all.
    pub fn unpark_older(&mut self, id: BackendId, since: Option<Instant>) -> Option<Key> {
        let idle = &mut self.list[id.0 as usize].idle;
        let &(key, parked) = idle.front()?;
        if since.is_some_and(|since| parked >= since) {
            return None;
        }
        idle.pop_front();
        self.idle -= 1;
        Some(key)
    }

    /// This idle connection to it is closed.
    pub fn forget_idle(&mut self, id: BackendId, key: Key) {
        let idle = &mut self.list[id.0 as usize].idle;
        let before = idle.len();
        idle.retain(|&(other, _)| other != key);
        self.idle -= before - idle.len();
    }

    /// Whether idle connections wait, to whomever.
    pub fn has_idle(&self) -> bool {
        self.idle > 0
    }

    /// It took a connection after so long.
    pub fn connected(&mut self, id: BackendId, took: Duration, now: Instant) {
        self.observe(id, Observation::Connected(took), now);
    }

    /// It refused a connection, or did not answer: that counts as a failed probe. Without probes
    /// it does not, for nothing would bring the backend up again; and what clients ran into never
    /// takes down the last backend of a pool that is up: the next probes decide that.
    pub fn connect_failed(
        &mut self,
        id: BackendId,
        fault: Fault,
        took: Duration,
        now: Instant,
    ) {
        self.failed(id, &format!("a connect {fault}"), took, now);
    }

    /// Its machine refused a client's datagram, or there is no way to it: as a connect that failed.
    /// Without probes, so many in a row leave it out for a while: what a client sends is not tried
    /// elsewhere as a connect is, and who answers nothing looks idle.
    pub fn datagram_failed(&mut self, id: BackendId, fault: Fault, now: Instant) {
        self.failed(id, &format!("a datagram {fault}"), Duration::ZERO, now);
        if !self.policy.probed {
            self.strike(id, self.policy.rise_fall.fall, "refusals", now);
        }
    }

    /// The first answer of a flow came from it, after so long.
    pub fn datagram_answered(&mut self, id: BackendId, took: Duration, now: Instant) {
        self.connected(id, took, now);
        self.behaved(id);
    }

    /// A probe was answered well, perhaps with a load.
    pub fn probe_passed(&mut self, id: BackendId, load: Option<f64>, now: Instant) {
        if let Some(load) = load {
            self.list[id.0 as usize].load = Some(load);
            self.observe(id, Observation::Load(load), now);
        }
        self.result(id, Ok(()), now);
    }

    /// A probe failed, for a reason in words.
    pub fn probe_failed(&mut self, id: BackendId, reason: &str, now: Instant) {
        self.result(id, Err(reason), now);
    }

    /// Bytes went to it and came from it.
    pub fn moved(&mut self, id: BackendId, sent: u64, received: u64) {
        let backend = &mut self.list[id.0 as usize];
        backend.bytes_sent += sent;
        backend.bytes_received += received;
    }

    /// Who went up or down since the last call.
    pub fn take_flips(&mut self) -> Vec<(BackendId, Flip)> {
        std::mem::take(&mut self.flips)
    }

    /// How long the steps of the slow starts under way are; `None` if there are none.
    pub fn ramp_step(&self) -> Option<Duration> {
        (self.ramping > 0).then(|| self.policy.slow_start / SLOW_START_STEPS)
    }

    /// Raise the weights of those in a slow start to where they belong now.
    pub fn step_ramps(&mut self, now: Instant) {
        for index in 0..self.list.len() {
            let Some(from) = self.list[index].ramp_from else { continue };
            let weight = self.list[index].weight * WEIGHT_ONE;
            let passed = now.saturating_duration_since(from);
            let share = passed.as_secs_f64() / self.policy.slow_start.as_secs_f64();
            let floor = f64::from(SLOW_START_PERCENT_MIN) / 100.0;
            if share >= 1.0 {
                self.list[index].ramp_from = None;
                self.ramping -= 1;
            }
            let ramped = (f64::from(weight) * share.clamp(floor, 1.0)) as u32;
            self.list[index].effective_weight = ramped.max(1);
            self.refresh(index);
        }
    }

    /// All backends in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (BackendId, &Backend)> {
        self.list.iter().enumerate().map(|(index, backend)| (BackendId(index as u32), backend))
    }

    /// Connections to it a second, over the last second and the last minute.
    pub fn rate(&mut self, id: BackendId, now: Instant) -> (u32, f64) {
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
        self.pools[usize::from(id.0)].clients += 1;
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
        assert_eq!(idle, self.list.iter().map(|b| b.idle.len()).sum(), "idle connections");
        assert_eq!(idle, self.idle, "idle connections, counted");
        let sum: usize = self.list.iter().map(|backend| backend.connections as usize).sum();
        assert_eq!(sum, open, "counts and connections");
        assert!(self.list.iter().all(|backend| !backend.tried), "tried outside a pick");
        self.pools.iter().for_each(|pool| pool.check_invariants(&self.list));
    }

    fn failed(&mut self, id: BackendId, reason: &str, took: Duration, now: Instant) {
        self.list[id.0 as usize].failures += 1;
        self.observe(id, Observation::Failed(took), now);
        let is_only = |place: &Place| self.pools[usize::from(place.pool.0)].up == 1;
        let last_one = self[id].state.is_up() && self[id].places.iter().any(is_only);
        if self.policy.probed && !last_one {
            self.result(id, Err(reason), now);
        }
    }

    /// One result, of a probe or a connect.
    fn result(&mut self, id: BackendId, result: Result<(), &str>, now: Instant) {
        let backend = &mut self.list[id.0 as usize];
        let Some(flip) = backend.state.observe(result.is_ok(), self.policy.rise_fall) else {
            return;
        };
        let lasted = now.saturating_duration_since(backend.since).as_secs_f64();
        backend.since = now;
        match (flip, result) {
            (Flip::Down, Err(reason)) => {
                info!("backend {} is down after {lasted:.1} s up: {reason}", backend.name);
            }
            _ => info!("backend {} is up after {lasted:.1} s down", backend.name),
        }
        self.flips.push((id, flip));
        self.set_ramp(id.0 as usize, flip, now);
        let changed = self.count_flip(id, flip);
        if flip == Flip::Down {
            self.recall(id);
        }
        self.refresh(id.0 as usize);
        if self.policy.all_down == AllDown::Spread {
            changed.into_iter().for_each(|pool| self.refresh_pool(pool));
        }
    }

    /// Says in which pools the first one came up, or the last one went down.
    fn count_flip(&mut self, id: BackendId, flip: Flip) -> Vec<PoolId> {
        let mut changed = Vec::new();
        for place in &self.list[id.0 as usize].places {
            let pool = &mut self.pools[usize::from(place.pool.0)];
            let none_was_up = pool.up == 0;
            pool.up = match flip {
                Flip::Up => pool.up + 1,
                Flip::Down => pool.up - 1,
            };
            if none_was_up != (pool.up == 0) {
                changed.push(place.pool);
            }
        }
        changed
    }

    /// A backend that comes back begins a slow start; one that goes down again ends it.
    fn set_ramp(&mut self, index: usize, flip: Flip, now: Instant) {
        let ramps = flip == Flip::Up
            && !self.policy.slow_start.is_zero()
            && self.list[index].weight > 0;
        self.ramping -= usize::from(self.list[index].ramp_from.is_some());
        self.ramping += usize::from(ramps);
        self.list[index].ramp_from = ramps.then_some(now);
        let weight = self.list[index].weight * WEIGHT_ONE;
        let percent = if ramps { SLOW_START_PERCENT_MIN } else { 100 };
        let effective = u64::from(weight) * u64::from(percent) / 100;
        self.list[index].effective_weight = effective as u32;
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

impl Backend {
    fn new(member: Member, now: Instant) -> Backend {
        let mut check_address = member.address;
        check_address.set_port(member.check_port.unwrap_or(member.address.port()));
        Backend {
            name: member.name.into(),
            address: member.address,
            check_address,
            state: State::default(),
            since: now,
            enabled: true,
            weight: member.weight,
            effective_weight: member.weight * WEIGHT_ONE,
            connections: 0,
            max_connections: member.max_connections,
            backup: member.backup,
            dial: member.dial,
            probe_dial: member.probe_dial,
            load: None,
            total: 0,
            failures: 0,
            bytes_sent: 0,
            bytes_received: 0,
            rate: Rate::new(now),
            answers: Answers::new(now),
            idle: VecDeque::new(),
            conduct: Conduct::default(),
            ramp_from: None,
            tried: false,
            places: Vec::new(),
        }
    }

    /// Whether it may be given a connection, provided that it is up.
    fn takes_more(&self) -> bool {
        self.enabled
            && !self.tried
            && !self.conduct.is_out()
            && self.weight > 0
            && self.max_connections.is_none_or(|limit| self.connections < limit)
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
