//! `pointsman top`: how often it looks, and how much it keeps.

use std::time::Duration;

/// Between two looks, unless another is asked for: as often as the rates are new.
pub const TOP_INTERVAL: Duration = Duration::from_secs(1);

/// As often as it can be asked for: a process of 1,000 backends says half a megabyte each time.
pub const TOP_INTERVAL_MIN: Duration = Duration::from_millis(200);

/// As seldom as it can be asked for.
pub const TOP_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Looks of which the rates are kept for a sparkline: more columns than one has.
pub const TOP_RING_LOOKS: usize = 60;

/// Events kept of each process.
pub const TOP_EVENTS: usize = 200;

/// How long a connect may hold up the keys. The socket is on this machine, or nearly so.
pub const TOP_CONNECT_PATIENCE: Duration = Duration::from_secs(1);

/// A process that is asked and says nothing for so long is shown as gone.
pub const TOP_PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries to reach a process that is gone.
pub const TOP_RETRY: Duration = Duration::from_secs(2);

/// Bytes of a line of events; more is no event of ours.
pub const TOP_EVENT_BYTES_MAX: usize = 64 * 1024;

/// Processes at once: each has a connection or two.
pub const TOP_SOCKETS_MAX: usize = 64;

/// Rows of a list of clients: three lists fill a screen.
pub const TOP_PRESENT: usize = 20;
