//! Access lists, bans and strikes.

use std::time::Duration;

/// Most networks of all the lists of one listener or service: blocklists that people load have up
/// to some 600,000, and a million are at most 20 MB of ranges.
pub const ACCESS_NETWORKS_MAX: usize = 1_000_000;

/// So many networks are sorted, merged or swept in a step: about 0.1 ms.
pub const ACCESS_NETWORKS_PER_STEP: usize = 1024;

/// Bytes of a list file read in a step: some 1,000 lines, about 0.1 ms.
pub const ACCESS_PIECE_BYTES: usize = 16 * 1024;

/// Largest list file: a million lines with a comment in each.
pub const ACCESS_FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Longest line of a list file, in bytes: a network has 43, the rest is room for a comment.
pub const ACCESS_LINE_BYTES_MAX: usize = 1024;

/// Mistakes of a list file that are told; the rest is only counted.
pub const ACCESS_MISTAKES_SHOWN: usize = 20;

/// Bans at once: 65,536 with their reasons are some 16 MB.
pub const BANS_MAX: usize = 65_536;

/// Bans that end in one turn: some 50 us.
pub const BANS_ENDED_PER_TURN: usize = 64;

/// Longest reason of a ban, in bytes: the state file and each list of bans has all of them.
pub const BAN_WHY_BYTES_MAX: usize = 256;

/// A ban of a shorter prefix of IPv4 needs to be meant: a 256th of the internet.
pub const BAN_PREFIX_V4_MIN: u8 = 8;

/// The same of IPv6: 65,536 customers' networks.
pub const BAN_PREFIX_V6_MIN: u8 = 16;

/// Shortest ban, and shortest time in which strikes add up: they are counted by the second.
pub const BAN_TIME_MIN: Duration = Duration::from_secs(1);

/// How long a ban lasts that is told without an end.
pub const BAN_TIME_DEFAULT: Duration = Duration::from_secs(600);

/// Within this time a client's strikes add up.
pub const BAN_WINDOW_DEFAULT: Duration = Duration::from_secs(60);

/// To so long the bans of one who does not mend grow, each twice the one before.
pub const BAN_TIME_GROWN_MAX: Duration = Duration::from_secs(24 * 3600);

/// Strikes that may be asked for.
pub const STRIKES_MAX: u32 = 60_000;

/// Clients whose strikes are remembered: 1 MiB. To the next ones those give way that are forgotten
/// soonest.
pub const STRIKERS_MAX: usize = 32_768;

/// Clients that have the same place in the table of strikes.
pub const STRIKERS_PER_BUCKET: usize = 8;

/// Prefix of IPv6 that counts as one client: what a customer has at least.
pub const CLIENT_PREFIX_V6: u8 = 64;

/// Bans made by strikes that are told in one turn: some 100 us.
pub const BAN_EVENTS_PER_TURN: usize = 16;

/// Such bans that wait to be told at most; what comes on top is only counted.
pub const BAN_EVENTS_WAITING: usize = 256;

/// Bans that are written for the state file in a step: some 50 us.
pub const BANS_SAVED_PER_STEP: usize = 64;
