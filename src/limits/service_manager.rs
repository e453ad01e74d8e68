//! What the service manager is told.

use std::time::Duration;

/// A status is one line of `systemctl status`. All of a datagram has to be below PIPE_BUF, 4096
/// bytes, or systemd drops it.
pub const STATUS_BYTES_MAX: usize = 512;

/// Notices that wait for a manager that takes none now; of more, the oldest are dropped, for what
/// is told later holds in their stead.
pub const NOTICES_KEPT: usize = 16;

/// When it is tried again.
pub const NOTICE_RETRY: Duration = Duration::from_millis(100);

/// How often it is told how many connections are left at a stop.
pub const STOP_TOLD: Duration = Duration::from_secs(5);

/// So long it is to wait for being told again before it kills what drains: two times more may get
/// lost.
pub const STOP_EXTENDED: Duration = Duration::from_secs(15);
