//! What ends the loop's sleep when nothing happens: one alarm that stays set from sleep to sleep.
//!
//! ```text
//!   deadlines   --x----------x--------x----->      the nearest one mostly moves away
//!   alarm       --|                                set once, and left where it is until it rings
//! ```
//!
//! A timeout that is given to each wait is started and stopped by the kernel each time, which is a
//! tenth of what a short sleep costs. So the alarm is a file of its own (`timerfd_create(2)`) that
//! the poll watches. It is set anew only when a deadline comes nearer, or after it rang. That it
//! may ring for a deadline which has moved away meanwhile costs one look.

use std::io;
use std::time::{Duration, Instant};

use mio::Registry;

/// Rings by an event of [`super::Owner::Alarm`]; there is nothing to do then but to look.
pub struct Alarm {
    bell: bell::Bell,
    rings_at: Option<Instant>,
}

impl Alarm {
    /// Not set yet.
    pub fn new(registry: &Registry) -> io::Result<Alarm> {
        Ok(Alarm { bell: bell::Bell::new(registry)?, rings_at: None })
    }

    /// See to it that a sleep that begins now ends at `next`, if there is such a deadline. Returns
    /// the timeout that the sleep needs beside the alarm.
    pub fn timeout(&mut self, next: Option<Instant>, now: Instant) -> Option<Duration> {
        let next = next?;
        if self.rings_at.is_some_and(|at| now < at && at <= next) {
            return None;
        }
        let left = next.saturating_duration_since(now);
        if left.is_zero() {
            return Some(left);
        }
        if self.bell.set(left) {
            self.rings_at = Some(next);
            return None;
        }
        self.rings_at = None;
        Some(left)
    }
}

#[cfg(linux)]
mod bell {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Interest, Registry};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    use crate::event::Owner;

    /// Nothing where the kernel has no such files: then each sleep has a timeout of its own.
    pub struct Bell(Option<OwnedFd>);

    impl Bell {
        pub fn new(registry: &Registry) -> io::Result<Bell> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let Ok(file) = timerfd_create(TimerfdClockId::Monotonic, flags) else {
                return Ok(Bell(None));
            };
            let mut source = SourceFd(&file.as_raw_fd());
            registry.register(&mut source, Owner::Alarm.into(), Interest::READABLE)?;
            Ok(Bell(Some(file)))
        }

        /// Ring once, after so long. What rang before need not be read: setting it forgets that.
        pub fn set(&self, after: Duration) -> bool {
            let Some(file) = &self.0 else { return false };
            let Ok(value) = Timespec::try_from(after) else { return false };
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            let when = Itimerspec { it_interval: never, it_value: value };
            timerfd_settime(file, TimerfdTimerFlags::empty(), &when).is_ok()
        }
    }
}

/// Elsewhere each sleep has a timeout of its own.
#[cfg(not(linux))]
mod bell {
    use std::io;
    use std::time::Duration;

    use mio::Registry;

    pub struct Bell;

    impl Bell {
        pub fn new(_registry: &Registry) -> io::Result<Bell> {
            Ok(Bell)
        }

        pub fn set(&self, _after: Duration) -> bool {
            false
        }
    }
}

#[cfg(test)]
#[cfg(linux)]
mod tests {
    use mio::{Events, Poll};

    use super::*;

    const LATER: Duration = Duration::from_secs(3600);
    const SOON: Duration = Duration::from_millis(5);

    #[test]
    fn it_ends_a_sleep_at_the_nearest_deadline_and_no_sooner() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        let mut alarm = Alarm::new(poll.registry()).unwrap();
        let now = Instant::now();
        assert_eq!(alarm.timeout(Some(now + LATER), now), None);
        // One that comes nearer; then, twice over, one after it rang.
        for _ in 0..3 {
            let now = Instant::now();
            assert_eq!(alarm.timeout(Some(now + SOON), now), None);
            poll.poll(&mut events, Some(LATER)).unwrap();
            assert!(!events.is_empty() && now.elapsed() >= SOON);
        }
    }

    #[test]
    fn a_deadline_that_moves_away_does_not_set_it_anew() {
        let poll = Poll::new().unwrap();
        let mut alarm = Alarm::new(poll.registry()).unwrap();
        let now = Instant::now();
        alarm.timeout(Some(now + LATER), now);
        let set = alarm.rings_at;
        alarm.timeout(Some(now + 2 * LATER), now + SOON);
        assert_eq!(alarm.rings_at, set);
    }

    #[test]
    fn what_is_due_needs_no_alarm_and_nothing_to_wait_for_no_timeout() {
        let poll = Poll::new().unwrap();
        let mut alarm = Alarm::new(poll.registry()).unwrap();
        let now = Instant::now();
        assert_eq!(alarm.timeout(Some(now), now), Some(Duration::ZERO));
        assert_eq!(alarm.timeout(None, now), None);
    }
}
