//! What flags may say, and what they say by default.

use std::time::Duration;

// ---- What flags may say -----------------------------------------------------------------------

/// Longest duration a flag takes, 365 days: more is a slip of the unit, and adding it to a clock
/// must never overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Shortest time between two probes of a backend. Faster ones cost more than they tell.
pub const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Shortest timeout where zero makes no sense: the resolution of the poll.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// Most results in a row `--rise` and `--fall` can ask for; beyond, a flip is hours away.
pub const RISE_FALL_MAX: u32 = 1000;

/// Most other backends tried for one connection. Every try is a connect timeout of waiting.
pub const RETRIES_MAX: u32 = 100;

/// Largest share of its requests that the retries of a pool may be, in percent: more is no limit.
pub const RETRY_BUDGET_PERCENT_MAX: u32 = 100;

/// Largest limit on connections. No kernel holds more, and products with weights stay in 64 bits.
pub const CONNECTIONS_MAX: u32 = 1_000_000_000;

/// Longest name given to a backend, in characters: a log line shows several of them.
pub const BACKEND_NAME_CHARS_MAX: usize = 64;

/// Longest host name, in bytes, and longest label of one: what DNS can carry (RFC 1035).
pub const HOST_BYTES_MAX: usize = 253;
/// See [`HOST_BYTES_MAX`].
pub const HOST_LABEL_BYTES_MAX: usize = 63;

/// Longest path of an `http:` probe or an answer of our own, in bytes: a request of one packet.
pub const CHECK_PATH_BYTES_MAX: usize = 1024;

// ---- Defaults of flags ------------------------------------------------------------------------

/// HAProxy's interval: notices a dead backend within `fall` times this.
pub const CHECK_INTERVAL_DEFAULT: Duration = Duration::from_secs(2);

/// Below the interval, so that a backend's probes never overlap; far above a healthy answer.
pub const CHECK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);

/// HAProxy's numbers: slower to take a backend out than to take it back.
pub const RISE_DEFAULT: u32 = 2;
/// See [`RISE_DEFAULT`].
pub const FALL_DEFAULT: u32 = 3;

/// Envoy's: a SYN and its repeats after 1 s and 3 s fit in. nginx's 60 s outlasts people.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// Between the 5 s of HAProxy's examples and Envoy's 15 s; nginx waits 30 s for a ClientHello.
pub const TLS_HANDSHAKE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// HAProxy's number, but each on a different backend.
pub const RETRIES_DEFAULT: u32 = 3;

/// Linkerd's and Envoy's share of requests that may be retries, in percent.
pub const RETRY_BUDGET_PERCENT_DEFAULT: u32 = 20;

/// Envoy's, for TCP: databases keep quiet connections for long, yet none may stay for ever.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3600);

/// HAProxy's manual has 30 s in its example: long for a last answer, short for a forgotten peer.
pub const HALF_CLOSE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Off, as everywhere in the field: it surprises who did not ask for it.
pub const SLOW_START_DEFAULT: Duration = Duration::ZERO;

/// None: alone, nobody looks whether it is ready.
pub const DRAIN_DELAY_DEFAULT: Duration = Duration::ZERO;

/// Below the 90 s after which systemd kills, and what Kubernetes grants by default.
pub const DRAIN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Weight of a backend that says none, the field's convention.
pub const WEIGHT_DEFAULT: u32 = 1;

/// A peer that is silent for so long is asked by TCP whether it is still there: below the 350 s
/// after which the NAT of clouds forgets a connection, and rare enough to cost nothing.
pub const TCP_KEEPALIVE_DEFAULT: Duration = Duration::from_secs(60);

/// The kernel counts whole seconds, ...
pub const TCP_KEEPALIVE_MIN: Duration = Duration::from_secs(1);

/// ... 32,767 of them at most (`MAX_TCP_KEEPIDLE`).
pub const TCP_KEEPALIVE_MAX: Duration = Duration::from_secs(9 * 3600);

/// Questions without an answer after which a peer is gone, ...
pub const TCP_KEEPALIVE_PROBES: u32 = 4;

/// ... asked in parts of the time before the first: a peer that vanished is noticed after twice
/// that.
pub const TCP_KEEPALIVE_PARTS: u32 = 4;

/// Largest configuration file: 10,000 backends take less than 1 MiB.
pub const CONFIG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Configuration files at once, the first one and those that it includes.
pub const CONFIG_FILES_MAX: usize = 1024;

/// Time for the pieces of a reload in each turn, whatever the other steps took: who has a request
/// under way waits so much longer, and a file of 10,000 backends is there after some 200 turns.
pub const RELOAD_TIME: Duration = Duration::from_micros(500);

/// Servers that are compared at once during a reload: 0.1 ms.
pub const RELOAD_SERVERS_AT_ONCE: usize = 256;

/// Mistakes that are shown at once: whoever has more has made one mistake many times.
pub const MISTAKES_SHOWN_MAX: usize = 100;

/// Unknown keys and names for which one that may be meant is looked for.
pub const HINTS_MAX: usize = 1000;

/// Longest name of a listener, a service or a pool, in characters, as a backend's.
pub const NAME_CHARS_MAX: usize = 64;

/// Rules of one service at most: those that apply to a request are remembered as bits of a word.
pub const RULES_MAX: usize = 64;

/// Longest file with the body of an answer of ours, such as an error page.
pub const PAGE_BYTES_MAX: u64 = 1024 * 1024;
