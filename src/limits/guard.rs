//! Limits of the guard.

use std::time::Duration;

/// The name of a rule at most: it is a label in metrics, and stands in lines of the log.
pub const RULE_NAME_BYTES_MAX: usize = 64;

/// At most one line in this time about whom a rule refused: under an attack there are thousands a
/// second, and the count says how many.
pub const GUARD_LINES: Duration = Duration::from_secs(10);
