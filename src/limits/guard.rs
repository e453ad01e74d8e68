//! Limits of the guard.

use std::time::Duration;

/// The name of a rule at most: it is a label in metrics, and stands in lines of the log.
pub const RULE_NAME_BYTES_MAX: usize = 64;

/// How long a client is waited for before it is looked at how much moved, where nothing is said.
pub const MIN_RATE_AFTER_DEFAULT: Duration = Duration::from_secs(10);

/// The least that can be asked for: in less than that one lost packet is a failure.
pub const MIN_RATE_AFTER_MIN: Duration = Duration::from_millis(100);

/// Bytes a second that can be asked for, a floor or a share: more than any network has.
pub const BYTES_PER_SECOND_MAX: u64 = 1 << 40;

/// At most one line in this time about whom a rule refused: under an attack there are thousands a
/// second, and the count says how many.
pub const GUARD_LINES: Duration = Duration::from_secs(10);
