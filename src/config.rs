//! What the operator asked for: parsed, checked, typed. No I/O: host names are still names here.
//!
//! `flags` fills a [`Config`]; `main` hands it to `startup`. Every `parse` here takes the
//! text of one value and answers with what is wrong in words for people: what was found, what
//! would be right. `value` has numbers, durations, sizes and words, `listen` and `backend` the
//! two ends, `host` the names and schemes of both, `algorithm` the table of those, `route` which
//! client goes to which backend, `cidr` networks, `http` and `udp` what only such listeners use,
//! `access_log` where that goes.

mod access_log;
mod algorithm;
mod backend;
mod check;
mod cidr;
mod complaint;
mod expect;
mod host;
mod http;
mod key;
mod listen;
mod route;
mod sticky;
mod tls;
mod udp;
mod value;
mod whole;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::limits;

pub use access_log::{AccessLog, AccessLogFormat};
pub use algorithm::{Algorithm, AlgorithmRow};
pub use backend::BackendSpec;
pub use check::Check;
pub use cidr::Cidr;
pub use complaint::{Complaint, Complaints, Phrase, Wrong};
pub use expect::{HttpCheck, Statuses, TextCheck, check_host};
pub use http::{HashKey, own_path, sticky_cookie};
pub use key::{Key, Spelling};
pub use listen::{Listen, Protocol};
pub use route::{Destination, Plan, Route, RouteName, plan};
pub use sticky::{SameSite, Sticky};
pub use tls::{
    BackendVerify, CertificatePair, ClientCert, Redirect, TlsSettings, UnknownName, alpn_names,
    dials_tls,
};
pub use udp::Udp;
pub use value::{
    ON_OFF, alternatives, closest, duration, duration_text, escaped, io_words, number,
    number_u32, one_of, quoted, size_or_none, size_text, tcp_keepalive, word_of,
};
pub use whole::{check_whole, fill_in, missing};

/// Everything that can be asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where clients connect. Never empty.
    pub listeners: Vec<Listen>,
    /// Where connections go that no route leads elsewhere, names unique. Empty only with routes, or
    /// with `demo`, which brings its own.
    pub backends: Vec<BackendSpec>,
    /// Where those go that ask for a name, names unique.
    pub routes: Vec<Route>,
    /// How a backend is chosen.
    pub algorithm: Algorithm,
    /// What the hashing algorithms place by.
    pub hash_key: HashKey,
    /// The cookie that keeps a client on its backend.
    pub sticky: Sticky,
    /// What a health probe asks.
    pub check: Check,
    /// The host that HTTP probes ask for; `None` is each backend's own.
    pub check_host: Option<String>,
    /// From the start of one probe of a backend to the start of the next.
    pub check_interval: Duration,
    /// Within this time a probe must be answered.
    pub check_timeout: Duration,
    /// Good results in a row that bring a backend up.
    pub rise: u32,
    /// Bad results in a row that take a backend down.
    pub fall: u32,
    /// Bad answers in a row to requests that take a backend out for a while; zero turns it off.
    pub eject_after: u32,
    /// At this path HTTP listeners answer themselves whether a backend is up.
    pub health_path: Option<String>,
    /// At this path HTTP listeners answer themselves with what they count.
    pub stats_path: Option<String>,
    /// What happens to new connections while every backend is down.
    pub all_down: AllDown,
    /// Within this time a connect to a backend must succeed.
    pub connect_timeout: Duration,
    /// Within this time a client of TLS must have said what a handshake needs.
    pub tls_handshake_timeout: Duration,
    /// How many other backends are tried after a connect failed.
    pub retries: u32,
    /// A pair on which no byte moves for so long is closed.
    pub idle_timeout: Duration,
    /// The same, once one side has finished sending.
    pub half_close_timeout: Duration,
    /// A peer that is silent for so long is asked by TCP whether it is there; zero turns it off.
    pub tcp_keepalive: Duration,
    /// Over this time the weight of a new or recovered backend grows; zero turns it off.
    pub slow_start: Duration,
    /// What happens to the connections of a backend that goes down.
    pub on_down: OnDown,
    /// How TLS is spoken.
    pub tls: TlsSettings,
    /// Pairs open at once; `None` derives it from the limit on file descriptors.
    pub max_connections: Option<usize>,
    /// How long an idle connection to a backend is kept for the next request.
    pub backend_idle: Duration,
    /// Idle connections kept to one backend, at most.
    pub backend_idle_connections: usize,
    /// Within this time from its first byte the head of a request must be complete.
    pub header_timeout: Duration,
    /// How long a client's connection is kept for its next request.
    pub keep_alive: Duration,
    /// Within this time a backend must have answered with a head.
    pub server_timeout: Duration,
    /// Whether a request is given up whose client has finished sending while it waits.
    pub abort_on_close: bool,
    /// Bytes the body of a request may have; `None` is no limit.
    pub max_body: Option<u64>,
    /// What holds for flows of UDP.
    pub udp: Udp,
    /// Peers whose word on the client's address is believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Backends are told in Via that the request came through us.
    pub via: bool,
    /// How long connections may go on after SIGTERM or SIGINT.
    pub drain_timeout: Duration,
    /// Seed of everything random; `None` takes one from the clock.
    pub seed: Option<u64>,
    /// Where the access log goes, if there is one.
    pub access_log: Option<AccessLog>,
    /// How its lines look.
    pub access_log_format: AccessLogFormat,
    /// What is logged.
    pub log_level: log::LevelFilter,
    /// Start the built-in backends, and put the balancer in front of them.
    pub demo: bool,
    /// What was asked for by name, be it what holds by default.
    pub given: BTreeSet<Key>,
}

/// What happens to new connections while every backend is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllDown {
    /// They are closed at once.
    Refuse,
    /// They are spread as if all were up.
    Spread,
}

/// What happens to the connections of a backend that goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDown {
    /// They live on as long as they can.
    Keep,
    /// They are closed.
    Close,
}

impl Config {
    /// What holds where no flag says otherwise. Nothing to listen on and nobody to go to yet.
    pub fn defaults() -> Config {
        Config {
            listeners: Vec::new(),
            backends: Vec::new(),
            routes: Vec::new(),
            algorithm: Algorithm::LeastConnections,
            hash_key: HashKey::Ip,
            sticky: Sticky::DEFAULT,
            check: Check::Tcp,
            check_host: None,
            check_interval: limits::CHECK_INTERVAL_DEFAULT,
            check_timeout: limits::CHECK_TIMEOUT_DEFAULT,
            rise: limits::RISE_DEFAULT,
            fall: limits::FALL_DEFAULT,
            eject_after: limits::EJECT_AFTER_DEFAULT,
            health_path: None,
            stats_path: None,
            all_down: AllDown::Refuse,
            connect_timeout: limits::CONNECT_TIMEOUT_DEFAULT,
            tls_handshake_timeout: limits::TLS_HANDSHAKE_TIMEOUT_DEFAULT,
            retries: limits::RETRIES_DEFAULT,
            idle_timeout: limits::IDLE_TIMEOUT_DEFAULT,
            half_close_timeout: limits::HALF_CLOSE_TIMEOUT_DEFAULT,
            slow_start: limits::SLOW_START_DEFAULT,
            on_down: OnDown::Keep,
            tls: TlsSettings::defaults(),
            max_connections: None,
            backend_idle: limits::BACKEND_IDLE_DEFAULT,
            backend_idle_connections: limits::BACKEND_IDLE_CONNECTIONS_DEFAULT,
            header_timeout: limits::HEADER_TIMEOUT_DEFAULT,
            keep_alive: limits::KEEP_ALIVE_DEFAULT,
            server_timeout: limits::SERVER_TIMEOUT_DEFAULT,
            abort_on_close: true,
            max_body: None,
            udp: Udp::DEFAULT,
            trusted_proxies: Vec::new(),
            via: false,
            tcp_keepalive: limits::TCP_KEEPALIVE_DEFAULT,
            drain_timeout: limits::DRAIN_TIMEOUT_DEFAULT,
            seed: None,
            access_log: None,
            access_log_format: AccessLogFormat::Combined,
            log_level: log::LevelFilter::Info,
            demo: false,
            given: BTreeSet::new(),
        }
    }
}

impl AllDown {
    /// The words for it.
    pub const ALL: &'static [(&'static str, AllDown)] =
        &[("refuse", AllDown::Refuse), ("spread", AllDown::Spread)];
}

impl OnDown {
    /// The words for it.
    pub const ALL: &'static [(&'static str, OnDown)] =
        &[("keep", OnDown::Keep), ("close", OnDown::Close)];
}

/// How much is logged, by the words of the `log` crate.
pub const LOG_LEVELS: &[(&str, log::LevelFilter)] = &[
    ("off", log::LevelFilter::Off),
    ("error", log::LevelFilter::Error),
    ("warn", log::LevelFilter::Warn),
    ("info", log::LevelFilter::Info),
    ("debug", log::LevelFilter::Debug),
    ("trace", log::LevelFilter::Trace),
];
