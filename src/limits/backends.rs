//! Backends, their probes, and being ejected for bad answers.

use std::num::NonZeroU32;
use std::time::Duration;

// ---- Backends ---------------------------------------------------------------------------------

/// Largest weight an operator can give (nginx and Envoy take more, HAProxy 256).
pub const WEIGHT_MAX: u32 = 65_535;

/// One unit of configured weight in the fixed-point weights the algorithms see, so that slow
/// start can ramp a weight of 1 in 256 steps.
pub const WEIGHT_ONE: u32 = 256;

/// Slow start begins at this share of the weight (Envoy's default), in percent.
pub const SLOW_START_PERCENT_MIN: u32 = 10;

/// Steps of a slow-start ramp.
pub const SLOW_START_STEPS: u32 = 20;

/// Backends at most; tests and the cost of a pick are measured up to here.
pub const BACKENDS_MAX: usize = 10_000;

/// Ports of a range that is one word: more are a slip of the finger. A listener costs a descriptor.
pub const PORT_RANGE_MAX: usize = 1024;

/// Routes at most: as many as backends, and a pool's number is kept in 16 bits.
pub const ROUTES_MAX: usize = 10_000;

// ---- Probes -----------------------------------------------------------------------------------

/// Longest answer to a `load:` probe, in bytes, terminator not counted.
pub const LOAD_ANSWER_BYTES_MAX: usize = 100;

/// Longest text of a `load:` probe, in bytes.
pub const LOAD_TEXT_BYTES_MAX: usize = 100;

/// Longest status line an `http:` probe reads, in bytes.
pub const STATUS_LINE_BYTES_MAX: usize = 1024;

/// Longest text of a `udp:` or `tcp:` probe, in bytes: a datagram that every network carries whole.
pub const CHECK_TEXT_BYTES_MAX: usize = 512;

/// Bytes of an answer to a probe that are read, the rest of it included that says nothing to us;
/// of a longer one the connection is reset.
pub const CHECK_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an answer to a `udp:` or `tcp:` probe that are shown when it is not what was expected.
pub const DATAGRAM_SHOWN_BYTES: usize = 32;

/// A backend that took a connection and kept it for so long is there: what breaks it then, perhaps
/// that its client says nothing, is no connect that failed. What accepts for a backend that is
/// gone, as forwarders of ports do, resets at once.
pub const CONNECT_PROVEN: Duration = Duration::from_secs(1);

/// Addresses of one backend's name that are used: more than any name has that means one server.
/// Each costs a part of `--connect-timeout` where none answers.
pub const BACKEND_ADDRESSES_MAX: usize = 16;

// ---- Ejection ---------------------------------------------------------------------------------

/// How long a backend is ejected for its bad answers, times the number of times (Envoy's
/// `base_ejection_time`).
pub const EJECTION: Duration = Duration::from_secs(30);

/// But never longer than this (Envoy's `max_ejection_time`).
pub const EJECTION_MAX: Duration = Duration::from_secs(300);

/// After so long in good order, the next time is counted as the first.
pub const EJECTION_FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

/// A backend is ejected only for what so many clients met, or all that were here lately: one that
/// provokes bad answers takes no backend from the others. Their addresses are kept at each backend.
pub const EJECT_CLIENTS: usize = 3;

/// Clients are here lately if they had an answer within this time.
pub const CROWD_REMEMBERED: Duration = Duration::from_secs(60);

/// The shares of faulty answers are those of this time, and of the one before.
pub const EJECT_WINDOW: Duration = Duration::from_secs(30);

/// Fewer answers than this within these times, of a backend or of the others, have no share.
pub const EJECT_ANSWERS_MIN: u32 = 10;

/// A backend is much worse than the others if its share of faulty answers is higher by so much of
/// all, in percent.
pub const EJECT_SHARE_PERCENT: u64 = 30;

/// So often the answers of a whole pool are added up at most: with 10,000 backends that takes about
/// 30 us.
pub const EJECT_LOOKS: Duration = Duration::from_millis(100);

/// Refused datagrams do not count against a backend from which one came within this time: a refusal
/// can be forged by anybody who guesses a port, an answer by nobody who does not read the others.
pub const REFUSAL_SILENCE: Duration = Duration::from_secs(5);

/// Nor more often than this.
pub const REFUSAL_EVERY: Duration = Duration::from_secs(1);

/// A probe that is asked for because of a refusal begins so long after the last one, or later.
pub const PROBE_HASTE: Duration = Duration::from_millis(250);

/// Clients that may be let wait for a pool at most: each is a connection, and there are no more of
/// those.
pub const QUEUE_MAX: u32 = 1_000_000;

/// How long a client waits for a backend of a pool: about as long as somebody looks at a page that
/// does not come. HAProxy takes its timeout for connects.
pub const QUEUE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// Who has waited for less is no sign of overload: backends differ by that much from one moment to
/// the next.
pub const QUEUE_YOUNG: Duration = Duration::from_millis(100);

/// For so long a backend is left out that did not take a connection, where clients can wait in a
/// queue meanwhile; the next time for twice as long, up to [`QUEUE_REST_MAX`].
pub const QUEUE_REST_FIRST: Duration = Duration::from_millis(100);

/// The longest of that: as HAProxy waits before it tries the same server again.
pub const QUEUE_REST_MAX: Duration = Duration::from_secs(1);

/// Where the first that waits has not been young for so long, there is overload that lasts.
pub const QUEUE_OVERLOAD: Duration = Duration::from_secs(1);

/// So many that wait for a backend join those that may have any at once, when it is gone: each is
/// some steps in two trees, and there may be [`QUEUE_MAX`].
pub const QUEUE_RELEASED_AT_ONCE: usize = 256;

/// What `Retry-After` says to who waited in vain, or could not wait, in seconds.
pub const QUEUE_RETRY_AFTER_SECONDS: NonZeroU32 = NonZeroU32::MIN;

/// Over how many seconds requests pay for retries, as in Linkerd (its `ttl` is 10 s by default).
pub const RETRY_BUDGET_SECONDS: usize = 10;

/// Retries a second that need no requests to pay for them, Linkerd's `minRetriesPerSecond`: in a
/// pool with little to do one backend that is not there costs nobody an error. (Envoy's floor is
/// of retries in progress, `min_retry_concurrency` 3.)
pub const RETRY_BUDGET_FREE_PER_SECOND: u64 = 10;

/// Pause between two lines of the log about one pool whose retries are over its budget.
pub const RETRY_BUDGET_WARNINGS: Duration = Duration::from_secs(10);
