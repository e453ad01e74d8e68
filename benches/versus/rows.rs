//! What is compared, a row each: the work, its unit, and the goal against each peer.

use crate::datagrams::{By, Volley};
use crate::peers::{Peer, Protocol};
use crate::world::{After, Handshake, Script, Turns};

/// A line of the comparison.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// What is done, in a few words.
    pub what: &'static str,
    pub kind: Kind,
    /// Who, and what our cost divided by theirs is to stay below.
    pub goals: &'static [(&'static str, f64)],
}

/// How a row is measured.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Processor time for a unit; so many of the script's units are one of the row's.
    Work { script: Script, unit: &'static str, per_unit: f64 },
    /// Processor time for a datagram relayed, with full queues.
    Datagrams(Volley),
    /// Memory of a connection that rests, of the process alone.
    Memory(Protocol),
    /// Time added, with an open loop at this part of the slowest peer's best: each unit begins when
    /// it is due.
    Latency { protocol: Protocol, part: f64 },
    /// Time of messages of one size after another, on one connection.
    Sizes,
    /// The 99th percentile of small messages beside a stream.
    Fairness,
    /// New connections, as many as go in one go.
    Churn,
    /// What it costs to choose a backend, of each of our algorithms.
    Pick,
}

/// Clients at once, where nothing else is said.
const CLIENTS: usize = 64;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// A stream is asked for in parts of this size, one after another on one connection.
const PART: u64 = 128 * MIB;

const fn script(protocol: Protocol, answer: u64, after: After) -> Script {
    Script {
        protocol,
        clients: CLIENTS,
        upload: 0,
        answer,
        turns: Turns::One,
        after,
        handshake: Handshake::New,
    }
}

const fn tcp(answer: u64) -> Script {
    script(Protocol::Tcp, answer, After::Keep)
}

const fn http(answer: u64) -> Script {
    script(Protocol::Http, answer, After::Keep)
}

/// Through TLS; where clients close, each request is a handshake.
const fn https(answer: u64, after: After) -> Script {
    script(Protocol::Https, answer, after)
}

const fn stream(upload: u64, answer: u64, turns: Turns) -> Kind {
    let script = Script { clients: 1, upload, turns, ..tcp(answer) };
    Kind::Work { script, unit: "GiB", per_unit: (GIB / PART) as f64 }
}

const fn work(script: Script, unit: &'static str) -> Kind {
    Kind::Work { script, unit, per_unit: 1.0 }
}

/// All rows, in the order in which they run.
pub const ROWS: &[Row] = &[
    Row {
        name: "tcp-connect",
        what: "a TCP connection: ask 64 B, answer 1 KiB, the backend closes; 64 at once",
        kind: work(script(Protocol::Tcp, KIB, After::BackendCloses), "connection"),
        goals: &[
            ("haproxy", 0.78),
            ("nginx", 0.89),
            ("tokio-current-thread", 0.86),
            ("sozu", 0.76),
        ],
    },
    Row {
        name: "tcp-pingpong-1",
        what: "ask 64 B, answer 1 KiB, on one open connection",
        kind: work(Script { clients: 1, ..tcp(KIB) }, "message"),
        goals: &[],
    },
    Row {
        name: "tcp-pingpong-64",
        what: "ask 64 B, answer 1 KiB, on 64 open connections",
        kind: work(tcp(KIB), "message"),
        goals: &[
            ("haproxy", 0.81),
            ("nginx", 0.90),
            ("tokio-current-thread", 0.97),
            ("sozu", 0.81),
        ],
    },
    Row {
        name: "tcp-messages-64k",
        what: "ask 64 B, answer 64 KiB, on 64 open connections",
        kind: work(tcp(64 * KIB), "message"),
        goals: &[
            ("haproxy", 0.47),
            ("haproxy-splice-1m", 1.00),
            ("nginx", 0.60),
            ("tokio-current-thread", 0.48),
            ("sozu", 0.48),
        ],
    },
    Row {
        name: "tcp-stream-1g-down",
        what: "a stream from the backend, on one connection",
        kind: stream(0, PART, Turns::One),
        goals: STREAM_GOALS,
    },
    Row {
        name: "tcp-stream-1g-up",
        what: "a stream to the backend, on one connection",
        kind: stream(PART, 64, Turns::One),
        goals: STREAM_GOALS,
    },
    Row {
        name: "tcp-stream-1g-both",
        what: "streams both ways at once on one connection, half a GiB each",
        kind: stream(PART / 2, PART / 2, Turns::Both),
        goals: STREAM_GOALS,
    },
    Row {
        name: "http-keepalive",
        what: "GET, answer 1 KiB, on 64 kept connections",
        kind: work(http(KIB), "request"),
        goals: &[
            ("haproxy", 0.58),
            ("nginx", 0.78),
            ("sozu", 0.42),
            ("pingora", 0.33),
            ("hyper-current-thread", 0.40),
        ],
    },
    Row {
        name: "http-close",
        what: "GET, answer 1 KiB, a connection each on both sides; 64 at once",
        kind: work(script(Protocol::Http, KIB, After::BackendCloses), "request"),
        goals: &[],
    },
    Row {
        name: "http-close-pooled",
        what: "GET, answer 1 KiB, the client's connection closes, the backend's is kept",
        kind: work(script(Protocol::Http, KIB, After::ClientCloses), "request"),
        goals: &[
            ("haproxy", 0.65),
            ("nginx", 0.78),
            ("sozu", 0.40),
            ("pingora", 0.40),
            ("hyper-current-thread", 0.50),
        ],
    },
    Row {
        name: "http-64k",
        what: "GET, answer 64 KiB, on 64 kept connections",
        kind: work(http(64 * KIB), "request"),
        goals: &[
            ("haproxy", 0.55),
            ("haproxy-splice-1m", 0.80),
            ("nginx", 0.55),
            ("sozu", 0.55),
            ("pingora", 0.33),
            ("hyper-current-thread", 0.40),
        ],
    },
    Row {
        name: "http-1m",
        what: "GET, answer 1 MiB, on 64 kept connections",
        kind: work(http(MIB), "request"),
        goals: &[
            ("haproxy", 0.20),
            ("haproxy-splice-1m", 1.00),
            ("nginx", 0.20),
            ("sozu", 0.20),
            ("pingora", 0.20),
            ("hyper-current-thread", 0.20),
        ],
    },
    Row {
        name: "https-keepalive",
        what: "GET through TLS 1.3, answer 1 KiB, on 64 kept connections",
        kind: work(https(KIB, After::Keep), "request"),
        goals: &[("haproxy", 0.80), ("nginx", 0.80), ("hyper-rustls-current-thread", 0.65)],
    },
    Row {
        name: "https-connect",
        what: "a handshake of TLS 1.3 with ECDSA P-256, GET, answer 1 KiB, close; 64 at once",
        kind: work(https(KIB, After::ClientCloses), "connection"),
        goals: &[("haproxy", 0.95), ("nginx", 0.95), ("hyper-rustls-current-thread", 0.65)],
    },
    Row {
        name: "https-resumed",
        what: "the same, each with the session of an earlier one",
        kind: work(
            Script { handshake: Handshake::Resumed, ..https(KIB, After::ClientCloses) },
            "connection",
        ),
        goals: &[("haproxy", 0.85), ("nginx", 0.85), ("hyper-rustls-current-thread", 0.65)],
    },
    Row {
        name: "https-1m",
        what: "GET through TLS 1.3, answer 1 MiB, on 64 kept connections",
        kind: work(https(MIB, After::Keep), "request"),
        goals: &[("haproxy", 1.00), ("nginx", 1.00), ("hyper-rustls-current-thread", 0.65)],
    },
    Row {
        name: "udp-64",
        what: "datagrams of 64 B, 64 flows with full queues, each answered by one as long",
        kind: Kind::Datagrams(Volley { bytes: 64, by: By::Ones }),
        goals: UDP_GOALS,
    },
    Row {
        name: "udp-1200",
        what: "datagrams of 1,200 B, the same",
        kind: Kind::Datagrams(Volley { bytes: 1200, by: By::Ones }),
        goals: UDP_GOALS,
    },
    Row {
        name: "udp-1200-bursts",
        what: "the same from senders that hand the kernel eight at once (GSO), as QUIC's do",
        kind: Kind::Datagrams(Volley { bytes: 1200, by: By::Bursts }),
        goals: UDP_BURST_GOALS,
    },
    Row {
        name: "idle-memory-tcp",
        what: "memory of the process for an open TCP connection after one exchange; not \
               the kernel's for its sockets",
        kind: Kind::Memory(Protocol::Tcp),
        goals: &[
            ("haproxy", 0.15),
            ("nginx", 0.06),
            ("tokio-current-thread", 0.04),
            ("sozu", 0.10),
        ],
    },
    Row {
        name: "idle-memory-http",
        what: "memory of the process for a kept HTTP connection after one exchange; not \
               the kernel's for its sockets",
        kind: Kind::Memory(Protocol::Http),
        goals: &[
            ("haproxy", 0.28),
            ("nginx", 0.60),
            ("sozu", 0.10),
            ("pingora", 0.10),
            ("hyper-current-thread", 0.10),
        ],
    },
    Row {
        name: "latency-30",
        what: "time added to a TCP message, open loop at 30 % of the slowest peer's best",
        kind: Kind::Latency { protocol: Protocol::Tcp, part: 0.3 },
        goals: LATENCY_GOALS,
    },
    Row {
        name: "latency-60",
        what: "the same at 60 %",
        kind: Kind::Latency { protocol: Protocol::Tcp, part: 0.6 },
        goals: LATENCY_GOALS,
    },
    Row {
        name: "latency-http-30",
        what: "time added to an HTTP request, open loop at 30 % of the slowest peer's best",
        kind: Kind::Latency { protocol: Protocol::Http, part: 0.3 },
        goals: LATENCY_GOALS,
    },
    Row {
        name: "latency-http-60",
        what: "the same at 60 %",
        kind: Kind::Latency { protocol: Protocol::Http, part: 0.6 },
        goals: LATENCY_GOALS,
    },
    Row {
        name: "latency-by-size",
        what: "time of TCP messages from 1 kB to 8 MB on one connection, the mean of all sizes",
        kind: Kind::Sizes,
        goals: &[("haproxy", 1.0), ("nginx", 1.0)],
    },
    Row {
        name: "fairness",
        what: "time of TCP messages of 1 KiB, 2,000 a second, beside a stream",
        kind: Kind::Fairness,
        goals: &[],
    },
    Row {
        name: "churn",
        what: "TCP connections of 1 KiB in one go, 10,000 a turn, over and over the same ports",
        kind: Kind::Churn,
        goals: &[],
    },
    Row {
        name: "pick",
        what: "a backend chosen and its count changed, by our algorithm and the number of backends",
        kind: Kind::Pick,
        goals: &[],
    },
];

const STREAM_GOALS: &[(&str, f64)] = &[
    ("haproxy", 0.15),
    ("haproxy-splice-64k", 0.80),
    ("haproxy-splice-1m", 1.00),
    ("nginx", 0.15),
    ("tokio-current-thread", 0.12),
    ("tokio-current-thread-64k", 0.25),
    ("sozu", 0.15),
];

const UDP_GOALS: &[(&str, f64)] =
    &[("nginx", 0.60), ("tokio-current-thread", 0.60), ("sozu", 0.70)];

const UDP_BURST_GOALS: &[(&str, f64)] =
    &[("nginx", 0.40), ("tokio-current-thread", 0.60), ("sozu", 0.70)];

const LATENCY_GOALS: &[(&str, f64)] = &[
    ("haproxy", 0.85),
    ("nginx", 0.90),
    ("tokio-current-thread", 0.80),
    ("sozu", 0.75),
    ("pingora", 0.65),
    ("hyper-current-thread", 0.65),
];

impl Row {
    /// What has to be spoken.
    pub fn protocol(&self) -> Protocol {
        match self.kind {
            Kind::Work { script, .. } => script.protocol,
            Kind::Memory(protocol) | Kind::Latency { protocol, .. } => protocol,
            Kind::Datagrams(_) => Protocol::Udp,
            Kind::Sizes | Kind::Fairness | Kind::Churn | Kind::Pick => Protocol::Tcp,
        }
    }

    /// Those of the peers that can do this. A relay that understands nothing gives each client a
    /// connection of its own to a backend, so that none is left to be kept for others.
    pub fn players<'a>(
        &self,
        peers: &'a [(String, Peer)],
    ) -> impl Iterator<Item = &'a (String, Peer)> {
        let protocol = self.protocol();
        let pools = self.pools();
        let can = move |peer: &Peer| {
            peer.protocols.contains(&protocol) && !(pools && peer.understands_nothing())
        };
        peers.iter().filter(move |(_, peer)| can(peer))
    }

    fn pools(&self) -> bool {
        match self.kind {
            Kind::Work { script, .. } => {
                script.protocol == Protocol::Http && script.after == After::ClientCloses
            }
            _ => false,
        }
    }

    /// What is done again and again.
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Work { unit, .. } => unit,
            Kind::Datagrams(_) => "datagram",
            Kind::Latency { protocol: Protocol::Http, .. } => "request",
            Kind::Latency { .. } | Kind::Sizes | Kind::Fairness => "message",
            Kind::Memory(_) | Kind::Churn => "connection",
            Kind::Pick => "pick",
        }
    }

    /// Turns of each peer, where a row of work has so many.
    pub fn rounds(&self, of_work: usize) -> usize {
        match self.kind {
            Kind::Work { .. } | Kind::Datagrams(_) | Kind::Pick => of_work,
            // Memory grows once, and whoever else runs does not change it.
            Kind::Memory(_) => 1,
            // Their turns are longer.
            Kind::Latency { .. } | Kind::Sizes | Kind::Fairness | Kind::Churn => {
                of_work.div_ceil(2)
            }
        }
    }

    /// The part of the time that others may have before a row says so. Of a processor's time it
    /// takes little to change nothing; of a hundred messages it takes one to change the 99th
    /// percentile.
    pub fn foreign_noted(&self) -> f64 {
        match self.kind {
            Kind::Latency { .. } | Kind::Sizes | Kind::Fairness => 0.005,
            _ => 0.03,
        }
    }

    /// Foreign load above which a round is done again, as long as there are rounds to spare.
    pub fn foreign_max(&self) -> f64 {
        3.0 * self.foreign_noted()
    }

    /// Rounds that may be done again because others disturbed them.
    pub fn spare_rounds(&self, of_work: usize) -> usize {
        match self.kind {
            Kind::Memory(_) => 0,
            _ => self.rounds(of_work) / 4,
        }
    }

    /// What a figure of it is.
    pub fn measure(&self) -> &'static str {
        match self.kind {
            Kind::Work { unit: "GiB", .. } => "ms of processor time a GiB",
            Kind::Work { unit: "connection", .. } => "us of processor time a connection",
            Kind::Work { unit: "request", .. } => "us of processor time a request",
            Kind::Work { .. } => "us of processor time a message",
            Kind::Datagrams(_) => "us of processor time a datagram",
            Kind::Memory(_) => "bytes a connection",
            Kind::Latency { .. } => "us added at the 99th percentile",
            Kind::Sizes | Kind::Fairness => "us at the 99th percentile",
            Kind::Churn => "us of processor time a connection",
            Kind::Pick => "ns a pick",
        }
    }

    /// The goal against this peer.
    pub fn goal(&self, peer: &str) -> Option<f64> {
        self.goals.iter().find(|(name, _)| *name == peer).map(|&(_, goal)| goal)
    }
}
