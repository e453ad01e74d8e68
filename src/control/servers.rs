//! The servers that pools want: the same backend in several pools is one server, if all that is
//! true of a server (its address, TLS, check, limit) agrees.

use std::collections::HashMap;
use std::time::Duration;

use crate::backends::SeatPlan;
use crate::config::{BackendSpec, BackendTls, CheckSettings, Desired, SendProxy, Target};

/// Which backends are which servers, by their places in a desired state: found once for each.
#[derive(Debug, Clone, Default)]
pub struct ServerList {
    /// Of each server its seats, at least one; the first says what it is.
    servers: Vec<Vec<SeatAt>>,
    /// Of each pool the servers of its backends.
    of_pools: Vec<Vec<usize>>,
    /// Of each pool the listener whose names of ALPN are its own.
    alpn: Vec<Option<usize>>,
}

/// A backend of a pool, by their places.
#[derive(Debug, Clone, Copy)]
struct SeatAt {
    pool: usize,
    backend: usize,
}

/// The servers that a desired state wants, in the order in which its pools mention them; the same
/// for the same state.
#[derive(Debug, Clone, Copy)]
pub struct Servers<'a> {
    desired: &'a Desired,
    server_list: &'a ServerList,
}

/// A server as it is wanted; borrows from the desired state.
#[derive(Debug, Clone, Copy)]
pub struct ServerWanted<'a> {
    /// As the first pool that mentions it has it.
    pub spec: &'a BackendSpec,
    /// What is true of it whichever pool it sits in.
    pub facts: ServerFacts<'a>,
    desired: &'a Desired,
    seats: &'a [SeatAt],
}

/// What servers have to agree in to be one.
#[derive(Debug, Clone, Copy)]
pub struct ServerFacts<'a> {
    /// The name that its certificate is for, if it speaks TLS.
    pub tls: Option<&'a str>,
    /// How TLS is spoken with it.
    pub dial: &'a BackendTls,
    /// What may be spoken inside, as clients choose.
    pub alpn: AlpnNames<'a>,
    /// How it is probed.
    pub check: &'a CheckSettings,
    /// The port that its probes go to, if another.
    pub check_port: Option<u16>,
    /// The header of the PROXY protocol that it is sent.
    pub proxy: Option<SendProxy>,
    /// Connections at most.
    pub max_connections: Option<u32>,
    /// Idle connections at most.
    pub idle_connections: usize,
    /// How long they are kept.
    pub idle_time: Duration,
}

/// Names of ALPN: those of the first listener at `tls://` that leads to a pool and has some.
type AlpnNames<'a> = &'a [String];

/// By what a server is known again.
pub type ServerKey<'a> = (&'a str, &'a Target);

impl<'a> ServerWanted<'a> {
    /// Its name, host and port.
    pub fn key(&self) -> ServerKey<'a> {
        key(self.spec)
    }

    /// Its seats: the name of each pool, and what the pool says of it.
    pub fn seats(&self) -> impl Iterator<Item = (&'a str, SeatPlan)> + use<'a> {
        let desired = self.desired;
        self.seats.iter().map(move |at| {
            let pool = &desired.pools[at.pool];
            let spec = &pool.backends[at.backend];
            let BackendSpec { weight, backup, admin, .. } = **spec;
            (&*pool.name, SeatPlan { weight, backup, admin })
        })
    }

    /// The names of the pools that it sits in.
    pub fn pools(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.seats().map(|(pool, _)| pool)
    }

    /// Whether datagrams are given to it.
    pub fn is_for_datagrams(&self) -> bool {
        let Desired { listeners, services, .. } = self.desired;
        let udp = listeners.iter().filter(|it| it.listen.protocol.is_udp());
        udp.map(|it| &it.name).any(|name| {
            let mut its = services.iter().filter(|it| it.listeners.contains(name));
            its.any(|service| service.pools().any(|pool| self.pools().any(|it| it == pool)))
        })
    }

    /// Whether TLS is spoken with both in the same way, or with neither, and both are sent the same
    /// header of the PROXY protocol, or none.
    pub fn speaks_as(&self, other: &ServerWanted<'_>) -> bool {
        let own = &self.facts;
        let ServerFacts { tls, dial, alpn, .. } = other.facts;
        own.proxy == other.facts.proxy
            && own.tls == tls
            && is_same(own.dial, dial)
            && is_same(own.alpn, alpn)
    }

    /// Whether both have a seat in a pool of the same name.
    pub fn shares_a_pool(&self, other: &ServerWanted<'_>) -> bool {
        self.pools().any(|pool| other.pools().any(|it| it == pool))
    }

    /// Whether nothing has to be done for one to become the other.
    pub fn is_like(&self, other: &ServerWanted<'_>) -> bool {
        is_same(self.spec, other.spec)
            && self.facts == other.facts
            && self.seats().eq(other.seats())
    }
}

impl<'a> Servers<'a> {
    /// Those of a state, whose list this is.
    pub fn new(desired: &'a Desired, server_list: &'a ServerList) -> Servers<'a> {
        Servers { desired, server_list }
    }

    /// The state.
    pub fn desired(self) -> &'a Desired {
        self.desired
    }

    /// How many.
    pub fn len(self) -> usize {
        self.server_list.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.server_list.is_empty()
    }

    /// The one at this place; panics where none is.
    pub fn at(self, at: usize) -> ServerWanted<'a> {
        let seats = &*self.server_list.servers[at];
        let spec = &self.desired.pools[seats[0].pool].backends[seats[0].backend];
        let facts = self.server_list.facts(self.desired, seats[0]);
        ServerWanted { spec, facts, desired: self.desired, seats }
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = ServerWanted<'a>> {
        (0..self.len()).map(move |at| self.at(at))
    }
}

impl ServerList {
    /// How many servers.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// The server that a backend of a pool is, by their places.
    pub fn server_of(&self, pool: usize, backend: usize) -> Option<usize> {
        self.of_pools.get(pool)?.get(backend).copied()
    }

    /// That of a state.
    pub fn of(desired: &Desired) -> ServerList {
        let of_pools = desired.pools.iter().map(|pool| Vec::with_capacity(pool.backends.len()));
        let mut list = ServerList {
            servers: Vec::new(),
            of_pools: of_pools.collect(),
            alpn: alpn_of_pools(desired),
        };
        let mut known: HashMap<ServerKey<'_>, usize> = HashMap::new();
        // Behind each server the next one of the same key: they do not agree.
        let mut next: Vec<Option<usize>> = Vec::new();
        for (pool, spec) in desired.pools.iter().enumerate() {
            for (backend, spec) in spec.backends.iter().enumerate() {
                let seat = SeatAt { pool, backend };
                let added = list.servers.len();
                let mut at = *known.entry(key(spec)).or_insert(added);
                while at < added && !list.takes(desired, at, seat) {
                    at = *next[at].get_or_insert(added);
                }
                if at == added {
                    list.servers.push(Vec::new());
                    next.push(None);
                }
                list.servers[at].push(seat);
                list.of_pools[pool].push(at);
            }
        }
        list
    }

    /// Whether a seat's backend agrees with a server.
    fn takes(&self, desired: &Desired, server: usize, seat: SeatAt) -> bool {
        self.facts(desired, self.servers[server][0]) == self.facts(desired, seat)
    }

    fn facts<'a>(&self, desired: &'a Desired, seat: SeatAt) -> ServerFacts<'a> {
        let pool = &desired.pools[seat.pool];
        let spec = &pool.backends[seat.backend];
        let alpn = self.alpn[seat.pool];
        ServerFacts {
            tls: spec.tls.as_deref(),
            dial: &pool.settings.tls,
            alpn: alpn.map_or(&[], |at| &desired.listeners[at].settings.tls.alpn),
            check: &pool.settings.check,
            check_port: spec.check_port,
            proxy: spec.proxy,
            max_connections: spec.max_connections,
            idle_connections: pool.settings.backend_idle_connections,
            idle_time: pool.settings.backend_idle,
        }
    }
}

impl PartialEq for ServerFacts<'_> {
    fn eq(&self, other: &ServerFacts<'_>) -> bool {
        self.tls == other.tls
            && is_same(self.dial, other.dial)
            && is_same(self.alpn, other.alpn)
            && is_same(self.check, other.check)
            && self.check_port == other.check_port
            && self.proxy == other.proxy
            && self.max_connections == other.max_connections
            && self.idle_connections == other.idle_connections
            && self.idle_time == other.idle_time
    }
}

/// Whether both are equal; mostly it is one that two states have in common.
fn is_same<T: PartialEq + ?Sized>(one: &T, other: &T) -> bool {
    std::ptr::eq(one, other) || one == other
}

fn key(spec: &BackendSpec) -> ServerKey<'_> {
    (&spec.name, &spec.at)
}

/// Of each pool the first listener with names of ALPN that leads to it.
fn alpn_of_pools(desired: &Desired) -> Vec<Option<usize>> {
    let mut found: HashMap<&str, usize> = HashMap::new();
    let all = desired.listeners.iter().enumerate();
    for (at, listener) in all.filter(|(_, it)| !it.settings.tls.alpn.is_empty()) {
        let is_behind = |names: &[String]| names.contains(&listener.name);
        for service in desired.services.iter().filter(|it| is_behind(&it.listeners)) {
            if let Some(pool) = &service.pool {
                found.entry(pool).or_insert(at);
            }
        }
    }
    desired.pools.iter().map(|pool| found.get(&*pool.name).copied()).collect()
}
