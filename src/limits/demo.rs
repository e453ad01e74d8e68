//! The demo.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

// ---- The demo ---------------------------------------------------------------------------------

/// Where the demo's API and dashboard are while it draws, if nobody else is there; otherwise at a
/// port that the system chooses.
pub const DEMO_ADMIN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9000));

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

/// Longest pause of a demo client between an answer and its next question: the clients together
/// ask for three fifths of what the backends can do, shared out well.
pub const DEMO_THINK_MS_MAX: u64 = 600;

/// Clients that keep asking in the demo: more than the slow backend can serve a third of.
pub const DEMO_CLIENTS: usize = 48;

/// So many come or go with a key of the demo's picture.
pub const DEMO_CLIENTS_STEP: usize = 8;

/// Most clients of the demo, each a thread.
pub const DEMO_CROWD_MAX: usize = 480;

/// Greetings that a demo backend works on at once; others wait for one of these hands.
pub const DEMO_HANDS: usize = 4;

/// The demo's response times are those of so long a time: long enough for a p99 of a few hundred
/// answers, short enough that another algorithm shows at once.
pub const DEMO_WINDOW: Duration = Duration::from_secs(3);

/// Response times kept, in number: those of the window at 3,000 answers a second.
pub const DEMO_TIMES_MAX: usize = 10_000;

/// Frames over which the demo's rates are taken: two seconds.
pub const DEMO_RATE_FRAMES: usize = 4;

/// The demo's picture waits so long for an answer of the API, and meanwhile hears no key.
pub const DEMO_API_PATIENCE: Duration = Duration::from_secs(2);

/// How often the demo draws.
pub const DEMO_FRAME_INTERVAL: Duration = Duration::from_millis(500);

/// Columns of the demo's charts, each a frame: half a minute.
pub const DEMO_CHART_COLUMNS: usize = 64;

/// Lines of the log that the demo shows on a key.
pub const DEMO_LOG_LINES: usize = 100;

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

/// So many picks the dashboard of the demo can tell of, unless somebody asks for more.
pub const DEMO_PICKS: usize = 1000;
