//! Another process, of which it can be told for sure whether it has ended.

use std::time::Duration;

#[cfg(linux)]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
#[cfg(linux)]
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process. A number alone could be another one's by the time at which somebody asks.
#[derive(Debug)]
pub struct Watched {
    #[cfg(linux)]
    descriptor: std::os::fd::OwnedFd,
}

impl Watched {
    /// The process of this number, which is there now; none if that cannot be known here.
    #[cfg(linux)]
    pub fn of(pid: i32) -> Option<Watched> {
        let descriptor = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        Some(Watched { descriptor })
    }

    /// The process of this number, which is there now; none if that cannot be known here.
    #[cfg(not(linux))]
    pub fn of(_pid: i32) -> Option<Watched> {
        None
    }

    /// Whether it has ended, or does within this time.
    #[cfg(linux)]
    pub fn ends_within(&self, time: Duration) -> bool {
        let timeout = Timespec::try_from(time).ok();
        let mut polled = [PollFd::new(&self.descriptor, PollFlags::IN)];
        poll(&mut polled, timeout.as_ref()).is_ok_and(|count| count > 0)
    }

    /// Whether it has ended, or does within this time.
    #[cfg(not(linux))]
    pub fn ends_within(&self, _time: Duration) -> bool {
        false
    }
}

#[cfg(test)]
#[cfg(linux)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_has_ended_once_it_is_killed_though_nobody_waited_for_it() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let watched = Watched::of(child.id() as i32).expect("it is there");
        assert!(!watched.ends_within(Duration::ZERO));
        child.kill().expect("it is ours");
        assert!(watched.ends_within(Duration::from_secs(20)));
        child.wait().expect("it is ours");
        assert!(watched.ends_within(Duration::ZERO));
        assert!(Watched::of(0).is_none(), "no such number");
    }
}
