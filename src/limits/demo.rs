//! The demo.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

// ---- The demo ---------------------------------------------------------------------------------

/// Where the demo's API is: at a port that the system chooses.
pub const DEMO_ADMIN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// Longest datagram: what IPv4 carries.
pub const DEMO_DATAGRAM_BYTES: usize = 65_535;

/// Connections a demo backend serves at once, each on a thread; more are closed unanswered.
pub const DEMO_CLIENTS_MAX: usize = 4096;

/// Stack of a demo backend's connection thread. The default of 2 MiB buys nothing here.
pub const DEMO_STACK_BYTES: usize = 256 * 1024;

/// A demo backend or client waits so long for the other side to say or take something.
pub const DEMO_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest text that `upper` answers, in bytes, terminator not counted: a `load:` probe fits.
pub const DEMO_TEXT_BYTES_MAX: usize = super::LOAD_TEXT_BYTES_MAX;

/// Longest head of a request that `hello` reads, in bytes.
pub const DEMO_HEAD_BYTES_MAX: u64 = 16 * 1024;

/// Bytes of a refused request that `hello` still reads, so that the refusal arrives.
pub const DEMO_LINGER_BYTES_MAX: u64 = 1024 * 1024;

/// How long `hello` waits for each of them.
pub const DEMO_LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long `/nap` lasts unless told otherwise: five probes at the default interval, so that the
/// backend is seen to go down and to come back.
pub const DEMO_NAP_SECONDS: u64 = 10;

/// Longest nap.
pub const DEMO_NAP_SECONDS_MAX: u64 = 3600;

/// Longest `--delay`.
pub const DEMO_DELAY_MAX: Duration = Duration::from_secs(3600);

/// How long the demo's threads pause after a failure, so that none of them spins.
pub const DEMO_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause of a demo client between an answer and its next question.
pub const DEMO_THINK_MS_MAX: u64 = 20;

/// Clients that keep asking in the demo, so that the table shows something.
pub const DEMO_CLIENTS: usize = 12;

/// How often the demo's table is shown.
pub const DEMO_STATUS_INTERVAL: Duration = Duration::from_secs(3);

// ---- Flags of the demo ------------------------------------------------------------------------

/// Where the demo listens unless told: loopback, so that nobody else sees it, on a port that needs
/// no rights.
pub const DEMO_LISTEN: SocketAddr =
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8000));

/// Where the demo says whether there is a backend.
pub const DEMO_HEALTH_PATH: &str = "/health";

/// Where the demo says what it counts.
pub const DEMO_STATS_PATH: &str = "/stats";
