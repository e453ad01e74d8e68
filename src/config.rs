//! What the operator asked for: parsed, checked, typed. No I/O: host names are still names here.
//!
//! `flags` fills a [`Config`]; `main` hands it to the event loop. Every `parse` here takes the text
//! of one flag and answers with what is wrong in words for people: what was found, what would be
//! right.

use std::net::SocketAddr;
use std::time::Duration;

/// Everything that can be asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where clients connect. Never empty.
    pub listeners: Vec<Listen>,
    /// Where connections go. Never empty, names unique.
    pub backends: Vec<BackendSpec>,
    /// How a backend is chosen.
    pub algorithm: Algorithm,
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
    /// What happens to new connections while every backend is down.
    pub all_down: AllDown,
    /// Within this time a connect to a backend must succeed.
    pub connect_timeout: Duration,
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
    /// Pairs open at once; `None` derives it from the limit on file descriptors.
    pub max_connections: Option<usize>,
    /// How long connections may go on after SIGTERM or SIGINT.
    pub drain_timeout: Duration,
    /// Seed of everything random; `None` takes one from the clock.
    pub seed: Option<u64>,
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

/// What is spoken on a listener. HTTP, HTTPS and UDP come onto the same rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Bytes are relayed as they are.
    Tcp,
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

/// What a health probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Nothing; backends always count as up.
    None,
    /// That a connection is taken.
    Tcp,
    /// `GET` of this path, answered with status 200.
    Http(String),
    /// This text and a NUL byte, answered with a decimal number: the load.
    Load(String),
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
