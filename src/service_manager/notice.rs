//! What is told, and how that is written: `NAME=VALUE`, a line each. Pure but for the clock.

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::limits::STATUS_BYTES_MAX;

/// What the service manager is told. A status is a line for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// It serves, with what it was told to serve or with what it served before.
    Ready(&'a str),
    /// It reads its files again since this time, of [`now_us`].
    Reloading(u64),
    /// What it is up to.
    Status(&'a str),
    /// It ends.
    Stopping(&'a str),
    /// It still does, and will be heard of again within this time.
    StillStopping(&'a str, Duration),
    /// From now on this process is the one that serves.
    MainPid(i32),
    /// The loop turns.
    Alive,
}

impl<'a> Notice<'a> {
    /// What it says to people.
    pub fn status(&self) -> Option<&'a str> {
        match self {
            Notice::Ready(status)
            | Notice::Status(status)
            | Notice::Stopping(status)
            | Notice::StillStopping(status, _) => Some(status),
            Notice::Reloading(_) | Notice::MainPid(_) | Notice::Alive => None,
        }
    }
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Ready(status) => write!(f, "READY=1\nSTATUS={}", Line(status)),
            Notice::Reloading(at) => write!(f, "RELOADING=1\nMONOTONIC_USEC={at}"),
            Notice::Status(status) => write!(f, "STATUS={}", Line(status)),
            Notice::Stopping(status) => write!(f, "STOPPING=1\nSTATUS={}", Line(status)),
            Notice::StillStopping(status, within) => {
                let us = within.as_micros();
                write!(f, "STATUS={}\nEXTEND_TIMEOUT_USEC={us}", Line(status))
            }
            Notice::MainPid(pid) => write!(f, "MAINPID={pid}"),
            Notice::Alive => f.write_str("WATCHDOG=1"),
        }
    }
}

/// The time by the clock that [`Notice::Reloading`] is told in (CLOCK_MONOTONIC).
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let us = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    us.unsigned_abs()
}

/// Text without ends of lines, of which the rest would be another assignment, and not too long.
struct Line<'a>(&'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = (0..=self.0.len().min(STATUS_BYTES_MAX)).rev();
        let end = ends.into_iter().find(|&at| self.0.is_char_boundary(at)).unwrap_or_default();
        let pieces = self.0[..end].split(|c: char| c.is_control());
        for (at, piece) in pieces.enumerate() {
            f.write_str(if at > 0 { " " } else { "" })?;
            f.write_str(piece)?;
        }
        f.write_str(if end < self.0.len() { "..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_written_as_the_manager_reads_it() {
        let table = [
            (Notice::Ready("serving"), "READY=1\nSTATUS=serving"),
            (Notice::Reloading(17), "RELOADING=1\nMONOTONIC_USEC=17"),
            (Notice::Status("drained"), "STATUS=drained"),
            (Notice::Stopping("3 left"), "STOPPING=1\nSTATUS=3 left"),
            (
                Notice::StillStopping("2 left", Duration::from_secs(15)),
                "STATUS=2 left\nEXTEND_TIMEOUT_USEC=15000000",
            ),
            (Notice::Alive, "WATCHDOG=1"),
            (Notice::Status("a\nREADY=1\0\x1b"), "STATUS=a READY=1  "),
        ];
        for (notice, wanted) in table {
            assert_eq!(notice.to_string(), wanted);
        }
    }

    #[test]
    fn a_status_has_an_end_and_is_not_cut_within_a_letter() {
        let text = format!("x{}", "\u{e9}".repeat(STATUS_BYTES_MAX));
        let written = Notice::Status(&text).to_string();
        assert!(written.ends_with("\u{e9}...") && written.len() <= STATUS_BYTES_MAX + 10);
        assert!(written.len() >= STATUS_BYTES_MAX);
    }
}
