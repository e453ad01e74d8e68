//! What the algorithms compare, and how long they remember.

use std::time::Duration;

/// Key of every hash that places clients, the same in every instance so that all agree: the first
/// digits of pi, since nobody can have chosen those.
pub const HASH_KEY: (u64, u64) = (0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344);

/// So often `ip-hash` hashes again when the backend it met takes nobody (nginx: as often).
pub const REHASHES_MAX: u32 = 20;

/// Slots of a Maglev table, the smallest that fits: primes, so that every walk meets every slot.
pub const MAGLEV_SLOTS: [usize; 5] = [65_537, 131_071, 262_147, 524_309, 1_048_583];

/// Slots wanted for each backend: keeps shares within about 1 % (Maglev, section 5.3).
pub const MAGLEV_SLOTS_PER_BACKEND: usize = 100;

/// Slots looked at after the client's own when its backend takes nobody: misses about one time in
/// a thousand with 95 % of the backends down, and costs about a microsecond then.
pub const MAGLEV_PROBES_MAX: usize = 128;

/// Slots looked at in one slice of the building of a table, some 3 ns each: a table for 10,000
/// backends takes some 15 million.
pub const BALANCE_STEPS: usize = 1 << 16;

/// Slices of that in a turn, unless [`super::STEP_TIME`] is over before.
pub const BALANCE_SLICES_PER_TURN: usize = 16;

/// A reported load older than this is no longer believed: two and a half default probes.
pub const LOAD_TTL: Duration = Duration::from_secs(5);

/// Once the newest report of all is older than this, loads are not compared any more.
pub const LOADS_FORGOTTEN_AFTER: Duration = Duration::from_secs(15);

/// How often a backend without a believable report is set to the median again.
pub const LOAD_REVIEW_INTERVAL: Duration = Duration::from_secs(1);

/// Outdated reports looked at in one pick; the others wait for the next.
pub const LOAD_REVIEWS_PER_PICK: usize = 8;

/// Larger reports count as this, so that sums and products of loads stay finite.
pub const LOAD_MAX: f64 = 1e15;

/// How far the load of one connection may lie from what is typical of the set, as a factor.
pub const LOAD_SLOPE_RANGE: f64 = 8.0;

/// Within this time a connect time loses 63 % of its say (Finagle's default).
pub const CONNECT_TIME_DECAY: Duration = Duration::from_secs(10);

/// A failed connect counts as one that took at least this long, so that failing fast does not
/// attract traffic.
pub const CONNECT_FAILED_PENALTY: Duration = Duration::from_secs(1);

/// A connect time never decays below this, so that connections still count.
pub const CONNECT_TIME_MIN: Duration = Duration::from_micros(1);

/// From the seed of one pool's algorithm to the next one's.
pub const BALANCE_SEED_STEP: u64 = 1;

/// Members of a pool that are kept of each pick, with what was compared: more than most pools have.
pub const PICTURE_MEMBERS_MAX: usize = 16;

/// Seats that are looked at for them; vacant ones take a few nanoseconds.
pub const PICTURE_SEATS_MAX: usize = 64;
