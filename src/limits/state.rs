//! What survives a restart.

use std::time::Duration;

/// A state file: 10,000 backends of which something was told, with long names, have 8 MiB.
pub const STATE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// So much of it is about names at most, some 100,000 addresses: bans may have most of the rest.
/// Names beyond that are as if they had never been looked up.
pub const STATE_NAMES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Addresses of names that are written for it in a step, or those of one name: some 100 us.
pub const NAMES_SAVED_PER_STEP: usize = 64;

/// So much of it is written in a step: some 30 us into the page cache.
pub const STATE_PIECE_BYTES: usize = 64 * 1024;

/// It is written so long after a change, so that many at once are written once.
pub const STATE_AFTER_CHANGE: Duration = Duration::from_secs(1);

/// So long after a backend went up or down.
pub const STATE_AFTER_FLIP: Duration = Duration::from_secs(10);

/// So often for the counters alone.
pub const STATE_PAUSE: Duration = Duration::from_secs(60);
