//! Limits of the guard.

use std::time::Duration;

/// The name of a rule at most: it is a label in metrics, and stands in lines of the log.
pub const RULE_NAME_BYTES_MAX: usize = 64;

/// How long a client is waited for before it is looked at how much moved, where nothing is said.
pub const MIN_RATE_AFTER_DEFAULT: Duration = Duration::from_secs(10);

/// The least that can be asked for: in less than that one lost packet is a failure.
pub const MIN_RATE_AFTER_MIN: Duration = Duration::from_millis(100);

/// The least share of a client: with less, what is sent in one turn would take minutes.
pub const BANDWIDTH_MIN: u64 = 1024;

/// Flows of a client that can be asked for: no machine has ports for more.
pub const LIMIT_FLOWS_MAX: u32 = 1_000_000;

/// Bytes a second that can be asked for, a floor or a share: more than any network has.
pub const BYTES_PER_SECOND_MAX: u64 = 1 << 40;

/// At most one line in this time about whom a rule refused: under an attack there are thousands a
/// second, and the count says how many.
pub const GUARD_LINES: Duration = Duration::from_secs(10);

/// Highest rate of a limit, in its own unit of time: one a microsecond is more than one thread
/// serves.
pub const RATE_MAX: u32 = 1_000_000;

/// Most that may come at once where a rate is limited.
pub const BURST_MAX: u32 = 1_000_000;

/// Ways of a bucket: so many slots are looked at for a client, four or five cache lines. Of eight,
/// in a table that is half full 2 % of the buckets are full.
pub const LIMIT_WAYS: usize = 8;

/// Clients that a limit remembers, in slots of 32 bytes: 1 MiB. Only those take one who owe
/// something or have a connection.
pub const LIMIT_CLIENTS_DEFAULT: u32 = 32_768;

/// The most of that: 512 MiB for each limit.
pub const LIMIT_CLIENTS_MAX: u32 = 1 << 24;

/// Bits of an IPv6 address that are one client: what one household or one server has at least.
pub const LIMIT_IPV6_PREFIX_DEFAULT: u8 = 64;

/// The fewest of them: less is whole providers.
pub const LIMIT_IPV6_PREFIX_MIN: u8 = 32;

/// Bits of a neighbourhood of IPv4, which shares a slot where there is none for each.
pub const NEIGHBOURS_IPV4_PREFIX: u8 = 24;

/// The same of IPv6: what a site has.
pub const NEIGHBOURS_IPV6_PREFIX: u8 = 48;

/// Pairs that are looked at for one of a client that rests, where it has as many connections as it
/// may have and wants one more: some ten microseconds. The next look goes on from there.
pub const LIMIT_LOOKS: usize = 256;

/// How long a client is held in a tarpit.
pub const TARPIT_DEFAULT: Duration = Duration::from_secs(10);

/// The longest of that: each one costs a descriptor and a timer.
pub const TARPIT_MAX: Duration = Duration::from_secs(600);

/// Of so many connections at most one is in a tarpit.
pub const TARPIT_SHARE: usize = 100;

/// Limits of requests that a service may have: each is looked at for each request.
pub const REQUEST_LIMITS_MAX: usize = 16;

/// Buckets that are looked at to say how full a table is: 1,792 slots, some ten microseconds, and
/// right to about 3 % of what it holds.
pub const LIMIT_FILL_BUCKETS: usize = 256;
