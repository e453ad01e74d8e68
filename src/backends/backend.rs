//! One backend: what the operator says of it, and what was seen of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use crate::event::Key;
use crate::limits::WEIGHT_ONE;
use crate::net::tls::client::ClientTls;
use crate::stats::histogram::RecentTimes;
use crate::stats::{BackendCounts, Rate};

use super::addresses::{Addresses, Course};
use super::eject::{Out, Outlier};
use super::pool::Place;
use super::state::State;

/// One backend.
#[derive(Debug)]
pub struct Backend {
    /// What logs call it.
    pub name: Box<str>,
    /// All that its name was found to mean, and which of them works.
    pub addresses: Addresses,
    /// The port that its probes go to, if it is another one.
    check_port: Option<u16>,
    /// What they say of their host.
    pub check_host: Box<str>,
    /// What probes and connects say of it.
    pub state: State,
    /// When it last went up or down; the start, if never.
    pub since: Instant,
    /// Why it last went down.
    pub down_reason: Box<str>,
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
    pub dial: Option<ClientTls>,
    /// The same for probes.
    pub probe_dial: Option<ClientTls>,
    /// The last load that it reported.
    pub load: Option<f64>,
    /// What was counted of it.
    pub counts: BackendCounts,
    /// Connections a second.
    pub rate: Rate,
    /// How long its answers took lately.
    pub times: RecentTimes,
    /// Connections that wait for a pair, the last parked at the back.
    pub(super) idle: VecDeque<(Key, Instant)>,
    /// How it answered lately.
    pub(super) conduct: Outlier,
    /// A probe of it is wanted before its time.
    pub(super) probe_wanted: bool,
    /// When its slow start began, if it is in one.
    pub(super) ramp_from: Option<Instant>,
    /// Left out of the pick that is under way.
    pub(super) tried: bool,
    /// Where it sits.
    pub(super) places: Vec<Place>,
}

/// What is known of a backend before it is in the set.
#[derive(Debug, Clone)]
pub struct Member {
    /// What logs call it, and what the hashing algorithms place.
    pub name: String,
    /// Where it is: all addresses of its name.
    pub addresses: Vec<SocketAddr>,
    /// Share of the traffic.
    pub weight: u32,
    /// Connections at most.
    pub max_connections: Option<u32>,
    /// Takes connections only while no other backend of its pool can.
    pub backup: bool,
    /// What it takes to speak TLS with it, if that is spoken.
    pub dial: Option<ClientTls>,
    /// The same for probes.
    pub probe_dial: Option<ClientTls>,
    /// Where its probes go, if not to the port of its addresses.
    pub check_port: Option<u16>,
    /// What they say of their host.
    pub check_host: String,
}

impl Backend {
    pub(super) fn new(member: Member, now: Instant) -> Backend {
        Backend {
            name: member.name.into(),
            addresses: Addresses::new(member.addresses),
            check_port: member.check_port,
            check_host: member.check_host.into(),
            state: State::default(),
            since: now,
            down_reason: Box::default(),
            enabled: true,
            weight: member.weight,
            effective_weight: member.weight * WEIGHT_ONE,
            connections: 0,
            max_connections: member.max_connections,
            backup: member.backup,
            dial: member.dial,
            probe_dial: member.probe_dial,
            load: None,
            counts: BackendCounts::default(),
            rate: Rate::new(now),
            times: RecentTimes::new(now),
            idle: VecDeque::new(),
            conduct: Outlier::default(),
            probe_wanted: false,
            ramp_from: None,
            tried: false,
            places: Vec::new(),
        }
    }

    /// How it is ejected for its answers, if it is.
    pub fn left_out(&self) -> Option<Out> {
        self.conduct.out()
    }

    /// The address of it that is in use.
    pub fn address(&self) -> SocketAddr {
        self.addresses.in_use()
    }

    /// Where a probe goes that is so far.
    pub fn check_address(&self, course: Course) -> SocketAddr {
        let mut address = course.address(&self.addresses);
        address.set_port(self.check_port.unwrap_or(address.port()));
        address
    }

    /// Whether it may be given a connection, provided that it is up.
    pub(super) fn takes_more(&self) -> bool {
        self.enabled
            && !self.tried
            && !self.conduct.is_out()
            && self.weight > 0
            && self.max_connections.is_none_or(|limit| self.connections < limit)
    }
}
