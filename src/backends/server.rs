//! A server: what is connected to and probed, whichever pools it sits in.
//!
//! What is true of the machine is kept here, once for all pools: where it is, whether it is there,
//! how many connections it has. What a pool makes of it (its weight, whether it is ejected) is the
//! seat's.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::config::{Address, ProxyTlv, SendProxy, Target};
use crate::event::{Key, ProbeId};
use crate::net::Fault;
use crate::net::tls::client::ClientTls;
use crate::proxy_header::write;
use crate::stats::histogram::RecentTimes;
use crate::stats::{BackendCounts, Rate};

use super::addresses::{Addresses, Course};
use super::pool::SeatPlace;
use super::seat::{Presence, View};
use super::state::{RiseFall, ServerState};

/// Why a server is down of which nobody knows where it is.
const NOT_FOUND_YET: &str = "it has no address: its name is not known yet";

/// One server.
#[derive(Debug)]
pub struct Server {
    /// What logs call it.
    pub name: Box<str>,
    /// Where it is, as the operator wrote it.
    pub at: Target,
    /// All that its name was found to mean, and which of them works.
    pub addresses: Addresses,
    /// The port that its probes go to, if it is another one.
    check_port: Option<u16>,
    /// What they say of their host.
    pub check_host: Box<str>,
    /// How many results change its state, and whether there are probes at all.
    pub check: CheckRules,
    /// What probes and connects say of it.
    pub state: ServerState,
    /// It went down by what clients met, and no probe has said the same yet.
    pub(super) is_suspected: bool,
    /// When it last went up or down; the start, if never.
    pub since: Instant,
    /// Why it last went down.
    pub down_reason: Box<str>,
    /// For how long it was down before that.
    pub(super) was_down: Duration,
    /// When it was given something last.
    pub given_at: Option<Instant>,
    /// Connections open or being opened, from all pools.
    pub connections: u32,
    /// Connections at most.
    pub max_connections: Option<u32>,
    /// How many idle connections are kept to it, and for how long.
    pub idle_rules: IdleRules,
    /// What it takes to speak TLS with it, if that is spoken.
    pub dial: Option<ClientTls>,
    /// The same for probes.
    pub probe_dial: Option<ClientTls>,
    /// The header of the PROXY protocol that each connection to it begins with.
    pub proxy: Option<SendProxy>,
    /// The last load that it reported.
    pub load: Option<f64>,
    /// What was counted of it.
    pub counts: BackendCounts,
    /// Connections a second.
    pub rate: Rate,
    /// How long its answers took lately.
    pub times: RecentTimes,
    /// What probes it, if anything does. It keeps the server from being freed.
    pub probe: Option<ProbeId>,
    /// Connections that wait for a pair, the last parked at the back.
    pub(super) idle: VecDeque<(Key, Instant)>,
    /// A probe of it is wanted before its time.
    pub(super) probe_wanted: bool,
    /// Where it sits.
    pub(super) seats: Vec<SeatPlace>,
    /// How many of these say that somebody works on it.
    pub(super) in_maintenance: usize,
    /// An operator wants no probes of it, whatever its pools say.
    pub(super) is_unchecked: bool,
    /// How often it joined a pool.
    pub(super) joined: usize,
}

/// What is known of a server before it is in the set.
#[derive(Debug, Clone)]
pub struct ServerPlan {
    /// What logs call it, and what the hashing algorithms place.
    pub name: String,
    /// Where it is, as the operator wrote it.
    pub at: Target,
    /// All addresses of its name; none if nobody has told them yet.
    pub addresses: Vec<Address>,
    /// Connections at most.
    pub max_connections: Option<u32>,
    /// What it takes to speak TLS with it, if that is spoken.
    pub dial: Option<ClientTls>,
    /// The same for probes.
    pub probe_dial: Option<ClientTls>,
    /// The header of the PROXY protocol that each connection to it begins with.
    pub proxy: Option<SendProxy>,
    /// Where its probes go, if not to the port of its addresses.
    pub check_port: Option<u16>,
    /// What they say of their host.
    pub check_host: String,
    /// How many results change its state, and whether there are probes at all.
    pub check: CheckRules,
    /// How many idle connections are kept to it, and for how long.
    pub idle_rules: IdleRules,
}

/// What results mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckRules {
    /// How many results in a row change a state.
    pub rise_fall: RiseFall,
    /// Whether probes can ever bring it up again; if not, nothing takes it down.
    pub probed: bool,
}

/// What is kept of connections that no pair uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleRules {
    /// At most so many.
    pub connections: usize,
    /// Each for so long at most.
    pub time: Duration,
}

impl Server {
    pub(super) fn new(plan: ServerPlan, now: Instant) -> Server {
        let addresses = Addresses::new(plan.addresses);
        let state = ServerState::of_new(addresses.is_empty());
        let down_reason = if addresses.is_empty() { NOT_FOUND_YET } else { "" };
        Server {
            name: plan.name.into(),
            at: plan.at,
            addresses,
            check_port: plan.check_port,
            check_host: plan.check_host.into(),
            check: plan.check,
            state,
            is_suspected: false,
            since: now,
            down_reason: down_reason.into(),
            was_down: Duration::ZERO,
            given_at: None,
            connections: 0,
            max_connections: plan.max_connections,
            idle_rules: plan.idle_rules,
            dial: plan.dial,
            probe_dial: plan.probe_dial,
            proxy: plan.proxy,
            load: None,
            counts: BackendCounts::default(),
            rate: Rate::new(now),
            times: RecentTimes::new(now),
            probe: None,
            idle: VecDeque::new(),
            probe_wanted: false,
            seats: Vec::new(),
            in_maintenance: 0,
            is_unchecked: false,
            joined: 0,
        }
    }

    /// Its addresses stay where they are the same, and where those of another name are not known
    /// yet; whichever of them works then goes on.
    pub(super) fn change(&mut self, plan: ServerPlan) {
        if !plan.addresses.is_empty() && !self.addresses.are(&plan.addresses) {
            self.addresses.become_these(plan.addresses);
        }
        self.at = plan.at;
        self.check_port = plan.check_port;
        self.check_host = plan.check_host.into();
        self.check = plan.check;
        self.max_connections = plan.max_connections;
        self.idle_rules = plan.idle_rules;
        self.dial = plan.dial;
        self.probe_dial = plan.probe_dial;
        self.proxy = plan.proxy;
    }

    /// How many connections to it wait for a client.
    pub fn idle_connections(&self) -> usize {
        self.idle.len()
    }

    /// Whether probes say how it is.
    pub fn is_probed(&self) -> bool {
        self.check.probed && !self.is_unchecked
    }

    /// Whether it is known where it is. Until then it is down, whatever anybody says of it.
    pub fn is_found(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// Nothing takes it down any more, and nothing would bring it up. Says whether it was down.
    pub(super) fn revive(&mut self, now: Instant) -> bool {
        if !self.is_found() {
            return false;
        }
        let was_down = !self.state.is_up();
        self.was_down = self.downtime(now);
        self.state = ServerState::default();
        self.is_suspected = false;
        was_down
    }

    /// For how long it was down since the start, all times together.
    pub fn downtime(&self, now: Instant) -> Duration {
        match self.state {
            ServerState::Down(_) => self.was_down + now.saturating_duration_since(self.since),
            ServerState::Up(_) | ServerState::Unknown => self.was_down,
        }
    }

    /// The address of it that is in use.
    pub fn address(&self) -> Option<&Address> {
        self.addresses.in_use()
    }

    /// What a request says of its host that is sent there without one.
    pub fn as_host(&self) -> String {
        self.address().map(Address::as_host).unwrap_or_default()
    }

    /// Where a probe goes that is so far.
    pub fn check_address(&self, course: Course) -> Result<Address, Fault> {
        let address = course.address(&self.addresses)?;
        Ok(self.check_port.map_or_else(|| address.clone(), |port| address.with_port(port)))
    }

    /// What a connection of our own to it begins with, on behalf of no client: of version 1 the
    /// addresses of the connection itself, which are as true as any, unless it has none. `from` is
    /// our end, if that is on a network, or else we know it not.
    pub fn own_header(&self, from: Option<SocketAddr>, to: &Address) -> Option<Box<[u8]>> {
        let header = match self.proxy? {
            SendProxy::V1 => match to.socket_address() {
                Some(to) => write::v1(from.unwrap_or(to), to),
                None => write::V1_UNKNOWN.to_vec(),
            },
            SendProxy::V2(tlvs) => write::v2_local(tlvs.has(ProxyTlv::Crc32c)),
        };
        Some(header.into())
    }

    /// What its pools have to know of it.
    pub(super) fn view(&self) -> View {
        let presence = match self.state {
            ServerState::Unknown | ServerState::Up(_) => Presence::Up,
            ServerState::Down(_) if self.is_suspected => Presence::Suspected,
            ServerState::Down(_) => Presence::Down,
        };
        View { presence, has_room: !self.is_full(), connections: self.connections }
    }

    pub(super) fn is_full(&self) -> bool {
        self.max_connections.is_some_and(|limit| self.connections >= limit)
    }

    /// Somebody works on it, whichever pools it sits in.
    pub(super) fn is_in_maintenance(&self) -> bool {
        self.in_maintenance > 0 && self.in_maintenance == self.seats.len()
    }

    /// Nothing counts on it any more.
    pub(super) fn is_free(&self) -> bool {
        self.connections == 0 && self.idle.is_empty() && self.probe.is_none()
    }
}

#[cfg(test)]
impl ServerPlan {
    /// A server at this port of this machine, probed, whose state every result changes.
    pub fn for_tests(name: &str, port: u16) -> ServerPlan {
        ServerPlan {
            name: name.to_owned(),
            at: Target::Host { host: "127.0.0.1".to_owned(), port },
            addresses: vec![SocketAddr::from(([127, 0, 0, 1], port)).into()],
            max_connections: None,
            dial: None,
            probe_dial: None,
            proxy: None,
            check_port: None,
            check_host: String::new(),
            check: CheckRules { rise_fall: RiseFall { rise: 1, fall: 1 }, probed: true },
            idle_rules: IdleRules { connections: 4, time: Duration::from_secs(1) },
        }
    }
}
