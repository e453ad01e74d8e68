//! The servers that pools want: the same backend in several pools is one server, if all that is
//! true of a server (its address, TLS, check, limit) agrees.

use std::collections::HashMap;
use std::time::Duration;

use crate::backends::SeatPlan;
use crate::config::{BackendSpec, BackendTls, CheckSettings, Desired, PoolSpec};

/// A server as it is wanted; borrows from the desired state.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerWanted<'a> {
    /// As the first pool that mentions it has it.
    pub spec: &'a BackendSpec,
    /// What is true of it whichever pool it sits in.
    pub facts: ServerFacts<'a>,
    /// Its seats: the name of each pool, and what the pool says of it.
    pub seats: Vec<(&'a str, SeatPlan)>,
}

/// What servers have to agree in to be one.
#[derive(Debug, Clone, Copy, PartialEq)]
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
pub type ServerKey<'a> = (&'a str, &'a str, u16);

impl<'a> ServerWanted<'a> {
    /// Its name, host and port.
    pub fn key(&self) -> ServerKey<'a> {
        (&self.spec.name, &self.spec.host, self.spec.port)
    }

    /// Whether TLS is spoken with both in the same way, or with neither.
    pub fn speaks_as(&self, other: &ServerWanted<'_>) -> bool {
        let own = &self.facts;
        let ServerFacts { tls, dial, alpn, .. } = other.facts;
        own.tls == tls && own.dial == dial && own.alpn == alpn
    }

    /// Whether both have a seat in a pool of the same name.
    pub fn shares_a_pool(&self, other: &ServerWanted<'_>) -> bool {
        self.seats.iter().any(|(pool, _)| other.seats.iter().any(|(it, _)| it == pool))
    }
}

/// All servers, in the order in which pools mention them; the same for the same desired state.
pub fn servers(desired: &Desired) -> Vec<ServerWanted<'_>> {
    let alpn = alpn_by_pool(desired);
    let mut servers: Vec<ServerWanted<'_>> = Vec::new();
    let mut known: HashMap<ServerKey<'_>, Vec<usize>> = HashMap::new();
    for pool in &desired.pools {
        let alpn = alpn.get(&*pool.name).copied().unwrap_or_default();
        for spec in &pool.backends {
            let seat = (&*pool.name, SeatPlan { weight: spec.weight, backup: spec.backup });
            let facts = facts(spec, pool, alpn);
            let alike = known.entry((&spec.name, &spec.host, spec.port)).or_default();
            match alike.iter().copied().find(|&at| servers[at].facts == facts) {
                Some(at) => servers[at].seats.push(seat),
                None => {
                    alike.push(servers.len());
                    servers.push(ServerWanted { spec, facts, seats: vec![seat] });
                }
            }
        }
    }
    servers
}

fn facts<'a>(
    spec: &'a BackendSpec,
    pool: &'a PoolSpec,
    alpn: AlpnNames<'a>,
) -> ServerFacts<'a> {
    ServerFacts {
        tls: spec.tls.as_deref(),
        dial: &pool.settings.tls,
        alpn,
        check: &pool.settings.check,
        check_port: spec.check_port,
        max_connections: spec.max_connections,
        idle_connections: pool.settings.backend_idle_connections,
        idle_time: pool.settings.backend_idle,
    }
}

fn alpn_by_pool(desired: &Desired) -> HashMap<&str, AlpnNames<'_>> {
    let mut found = HashMap::new();
    let some = desired.listeners.iter().filter(|it| !it.settings.tls.alpn.is_empty());
    for listener in some {
        let names = &*listener.settings.tls.alpn;
        let is_behind = |names: &[String]| names.contains(&listener.name);
        for service in desired.services.iter().filter(|it| is_behind(&it.listeners)) {
            if let Some(pool) = &service.pool {
                found.entry(&**pool).or_insert(names);
            }
        }
    }
    found
}
