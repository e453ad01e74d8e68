//! What the operator asked for: parsed, checked, typed. No I/O: host names are still names here.
//!
//! `flags` fills a [`Config`]; `main` hands it to `startup`. Every `parse` here takes the
//! text of one value and answers with what is wrong in words for people: what was found, what
//! would be right. `value` has numbers, durations, sizes and words, `address` listeners and
//! backends, `route` who goes to which of them, `cidr` networks, `http` and `udp` what only such
//! listeners heed, `access_log` where that goes.

mod access_log;
mod address;
mod check;
mod cidr;
mod http;
mod route;
mod tls;
mod udp;
mod value;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::limits;

pub use access_log::{AccessLog, AccessLogFormat, check_access_log_format};
pub use address::{check_backends, check_listeners};
pub use check::Check;
pub use cidr::Cidr;
pub use http::{
    HashKey, check_hash_key, check_http_listener, check_stats_path, own_path, sticky_cookie,
};
pub use route::{
    Destination, Plan, Route, RouteName, check_route_listener, check_routes, plan,
};
pub use tls::{
    BackendVerify, CertificatePair, ClientCert, Redirect, TlsSettings, UnknownName,
    check_certificates, check_client_cert, check_https_listener, check_redirect,
    check_tls_backend, check_tls_listener, dials_tls,
};
pub use udp::{Udp, UdpCheck, check_udp_backends, check_udp_listener, is_udp_alone};
pub use value::{
    Wrong, alternatives, closest, duration, duration_text, escaped, number, number_u32, one_of,
    quoted, size_or_none, size_text, word_of,
};

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
    pub sticky_cookie: Option<String>,
    /// What a health probe asks.
    pub check: Check,
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
    /// Bytes the body of a request may have; `None` is no limit.
    pub max_body: Option<u64>,
    /// What holds for flows of UDP.
    pub udp: Udp,
    /// Peers whose word on the client's address is believed.
    pub trusted_proxies: Vec<Cidr>,
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
}

/// One place where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub protocol: Protocol,
    /// The address; port 0 lets the system choose.
    pub address: SocketAddr,
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Bytes are relayed as they are.
    Tcp,
    /// HTTP/1.1: each request is balanced.
    Http,
    /// TLS: bytes are relayed as they are, to whom the server name at their beginning says.
    Sni,
    /// HTTP/1.1 through TLS, which ends here.
    Https,
    /// Bytes through TLS, which ends here.
    Tls,
    /// Datagrams: each client's flow of them is balanced.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Http => "http",
            Protocol::Sni => "sni",
            Protocol::Https => "https",
            Protocol::Tls => "tls",
            Protocol::Udp => "udp",
        })
    }
}

/// One backend as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendSpec {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port, 1 to 65535.
    pub port: u16,
    /// Share of the traffic relative to the others, 0 to [`crate::limits::WEIGHT_MAX`]; 0 takes no
    /// new connections.
    pub weight: u32,
    /// Connections at most; `None` is no limit.
    pub max_connections: Option<u32>,
    /// Takes connections only while no other backend can.
    pub backup: bool,
    /// The name that its certificate must be for, if it speaks TLS.
    pub tls: Option<String>,
    /// Where its probes go, if not to `port`.
    pub check_port: Option<u16>,
    /// What logs call it, and what the hashing algorithms place: `HOST:PORT` unless named.
    pub name: String,
}

/// The balancing algorithms by the field's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Fewest active connections for its weight.
    LeastConnections,
    /// Smooth weighted round robin.
    RoundRobin,
    /// Two weighted draws, the one with fewer connections wins.
    Random,
    /// By the client's address.
    IpHash,
    /// By the client's address over a Maglev table.
    ConsistentHash,
    /// The first with room.
    First,
    /// The lowest load reported to `load:` probes.
    LeastLoad,
    /// Peak EWMA of the connect time.
    LeastTime,
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

/// What an algorithm is called, and what it is for.
#[derive(Debug)]
pub struct AlgorithmRow {
    /// Which one.
    pub algorithm: Algorithm,
    /// Its name here.
    pub name: &'static str,
    /// Its names elsewhere, accepted as well.
    pub aliases: &'static [&'static str],
    /// What comes out equal among the backends, for their weights, and where that is poor.
    pub equalises: &'static str,
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
            sticky_cookie: None,
            check: Check::Tcp,
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
            max_body: None,
            udp: Udp::DEFAULT,
            trusted_proxies: Vec::new(),
            drain_timeout: limits::DRAIN_TIMEOUT_DEFAULT,
            seed: None,
            access_log: None,
            access_log_format: AccessLogFormat::Combined,
            log_level: log::LevelFilter::Info,
            demo: false,
        }
    }
}

impl Algorithm {
    /// Every algorithm. A new one gets its row here; flags and manual follow.
    pub const ALL: &'static [AlgorithmRow] = &[
        AlgorithmRow {
            algorithm: Algorithm::LeastConnections,
            name: "least-connections",
            aliases: &[
                "leastconn",
                "least_conn",
                "least-conn",
                "least_connections",
                "lc",
                "wlc",
            ],
            equalises: "connections open at once. Poor where a backend fails fast: \
                        it looks idle.",
        },
        AlgorithmRow {
            algorithm: Algorithm::RoundRobin,
            name: "round-robin",
            aliases: &["roundrobin", "round_robin", "rr", "wrr"],
            equalises: "connections started. Poor where some cost far more than others, \
                        or a backend is slow.",
        },
        AlgorithmRow {
            algorithm: Algorithm::Random,
            name: "random",
            aliases: &["p2c", "random-two", "random_two", "two-choices"],
            equalises: "connections open at once, nearly: two draws, the one with fewer wins. \
                        For several balancers that do not know of each other.",
        },
        AlgorithmRow {
            algorithm: Algorithm::IpHash,
            name: "ip-hash",
            aliases: &["ip_hash", "iphash", "source", "source-hash"],
            equalises: "client addresses; each stays with its backend. Poor where many clients \
                        share one address.",
        },
        AlgorithmRow {
            algorithm: Algorithm::ConsistentHash,
            name: "consistent-hash",
            aliases: &["consistent_hash", "consistent", "maglev"],
            equalises: "client addresses, as ip-hash; few of them move when a backend comes or \
                        goes, and every balancer agrees on where.",
        },
        AlgorithmRow {
            algorithm: Algorithm::First,
            name: "first",
            aliases: &["first-available", "first_available"],
            equalises: "nothing: it fills one backend after the other, so that few are in use. \
                        Poor without max-connections=N.",
        },
        AlgorithmRow {
            algorithm: Algorithm::LeastLoad,
            name: "least-load",
            aliases: &["least_load", "leastload"],
            equalises: "the load that backends report; needs --check load:TEXT. Poor where they \
                        report wrongly or late.",
        },
        AlgorithmRow {
            algorithm: Algorithm::LeastTime,
            name: "least-time",
            aliases: &["least_time", "leasttime", "peak-ewma", "peak_ewma", "ewma"],
            equalises: "the wait to be connected. Poor with little traffic: there is little to \
                        learn from.",
        },
    ];

    /// By its name or an alias, lower-case.
    pub fn parse(text: &str) -> Result<Algorithm, Wrong> {
        let named = |word: &str| {
            Algorithm::ALL.iter().find(|row| row.name == word || row.aliases.contains(&word))
        };
        if let Some(row) = named(text) {
            return Ok(row.algorithm);
        }
        let names: Vec<&str> = Algorithm::ALL.iter().map(|row| row.name).collect();
        let aliases = Algorithm::ALL.iter().flat_map(|row| row.aliases.iter().copied());
        let near = closest(text, names.iter().copied().chain(aliases)).and_then(named);
        let hint = near.map(|row| format!("; did you mean {}?", row.name)).unwrap_or_default();
        Err(Wrong::found(text, format!("one of {}{hint}", names.join(", "))))
    }

    /// Its name, as the manual and the log have it.
    pub fn name(self) -> &'static str {
        self.row().map_or("?", |row| row.name)
    }

    /// What comes out equal among the backends, for their weights, and where that is poor.
    pub fn equalises(self) -> &'static str {
        self.row().map_or("?", |row| row.equalises)
    }

    fn row(self) -> Option<&'static AlgorithmRow> {
        Algorithm::ALL.iter().find(|row| row.algorithm == self)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
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

/// An algorithm that lives on reports needs the probe that brings them.
pub fn check_algorithm(algorithm: Algorithm, check: &Check) -> Result<(), Wrong> {
    match (algorithm, check) {
        (
            Algorithm::LeastLoad,
            Check::None | Check::Tcp | Check::Http(_) | Check::Https(_) | Check::Udp(_),
        ) => {
            let found = format!("'{algorithm}' with --check {}", quoted(&check.to_string()));
            Err(Wrong::saying(found, "--check load:TEXT with it, which asks for the load"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_known_by_all_their_names() {
        let mut seen = Vec::new();
        for row in Algorithm::ALL {
            for name in std::iter::once(&row.name).chain(row.aliases) {
                assert_eq!(Algorithm::parse(name), Ok(row.algorithm));
                assert_eq!(name.to_lowercase(), **name);
                assert!(!seen.contains(name), "{name} is in the table twice");
                seen.push(name);
            }
            assert_eq!(row.algorithm.to_string(), row.name);
            assert_eq!(row.algorithm.equalises(), row.equalises);
        }
        // Fails to compile when an algorithm is added, as a reminder of its row.
        let rows = Algorithm::ALL.iter().filter(|row| match row.algorithm {
            Algorithm::LeastConnections | Algorithm::RoundRobin | Algorithm::Random => true,
            Algorithm::IpHash | Algorithm::ConsistentHash | Algorithm::First => true,
            Algorithm::LeastLoad | Algorithm::LeastTime => true,
        });
        assert_eq!(rows.count(), 8);
    }

    #[test]
    fn an_unknown_algorithm_is_answered_with_the_names() {
        let names = "one of least-connections, round-robin, random, ip-hash, consistent-hash, \
                     first, least-load, least-time";
        let table = [
            ("", ""),
            ("fastest", ""),
            ("lestconn", "; did you mean least-connections?"),
            ("RoundRobin", "; did you mean round-robin?"),
            ("magleb", "; did you mean consistent-hash?"),
            ("least-tme", "; did you mean least-time?"),
        ];
        for (text, hint) in table {
            let wrong = Wrong::found(text, format!("{names}{hint}"));
            assert_eq!(Algorithm::parse(text), Err(wrong));
        }
    }

    #[test]
    fn least_load_needs_reports() {
        let load = Check::Load("x".to_owned());
        for check in [Check::None, Check::Tcp, Check::Http("/".to_owned())] {
            let wrong = check_algorithm(Algorithm::LeastLoad, &check).unwrap_err().to_string();
            assert!(wrong.starts_with("found 'least-load' with --check '"), "{wrong}");
            assert!(wrong.contains("want --check load:TEXT"), "{wrong}");
            assert_eq!(check_algorithm(Algorithm::Random, &check), Ok(()));
        }
        for row in Algorithm::ALL {
            assert_eq!(check_algorithm(row.algorithm, &load), Ok(()));
        }
    }
}
