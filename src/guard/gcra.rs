//! The generic cell rate algorithm: a rate and a burst, and one time for each who is limited.
//!
//! That time, `tat`, is when all that was let through would have come if it had come evenly. Who
//! is behind it by more than the burst allows is refused, and nothing is written down. A `tat` in
//! the past says nothing: forgetting it loses nothing. A token bucket is the same law with two
//! numbers. Pure: the time is passed in, in nanoseconds since the start.

use crate::config::Rate;

const SECOND: u64 = 1_000_000_000;

/// A rate and a burst, as times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gcra {
    /// From one to the next, if they come evenly.
    interval: u64,
    /// By how much they may be too early.
    tolerance: u64,
}

/// What became of somebody's ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is let through.
    pub admitted: bool,
    /// After so long it would be, in nanoseconds; 0 if it is.
    pub retry_after: u64,
    /// So many more would be let through at once.
    pub remaining: u64,
    /// After so long without any, nothing is owed any more, in nanoseconds.
    pub reset: u64,
}

impl Gcra {
    /// What this rate means. It is exact to a nanosecond for each one.
    pub fn new(rate: Rate) -> Gcra {
        let interval = rate.per.seconds() * SECOND / u64::from(rate.count.get());
        Gcra::of(interval, rate.burst.get())
    }

    /// One each so many nanoseconds, and so many at once.
    pub fn of(interval: u64, burst: u32) -> Gcra {
        let interval = interval.max(1);
        Gcra { interval, tolerance: interval.saturating_mul(u64::from(burst.max(1)) - 1) }
    }

    /// Whether `units` more may come at `now` for one whose time is `tat`; and its new time, to be
    /// kept in either case. Nobody is ever let through with more units than the burst.
    #[inline]
    pub fn ask(&self, tat: u64, units: u32, now: u64) -> (Decision, u64) {
        let Gcra { interval, tolerance } = *self;
        // More is owed only by who was admitted under another law, before a reload: it is forgiven.
        let most = now.saturating_add(tolerance).saturating_add(interval);
        let tat = tat.clamp(now, most);
        let units = u64::from(units);
        let before_last = units.saturating_sub(1).saturating_mul(interval);
        let early = (tat - now).saturating_add(before_last);
        if early > tolerance {
            let decision = self.say(false, early - tolerance, tat - now);
            return (decision, tat);
        }
        let tat = tat.saturating_add(units.saturating_mul(interval));
        (self.say(true, 0, tat - now), tat)
    }

    /// Take `units` back that were admitted and did not come after all; returns the new time. It
    /// may be later than before they were admitted, but then both are past and say nothing.
    pub fn undo(&self, tat: u64, units: u32) -> u64 {
        tat.saturating_sub(u64::from(units).saturating_mul(self.interval))
    }

    #[inline]
    fn say(&self, admitted: bool, retry_after: u64, owed: u64) -> Decision {
        let left = self.tolerance.saturating_add(self.interval).saturating_sub(owed);
        Decision { admitted, retry_after, remaining: left / self.interval, reset: owed }
    }
}

impl Decision {
    /// What is not limited.
    pub const FREE: Decision =
        Decision { admitted: true, retry_after: 0, remaining: u64::MAX, reset: 0 };

    /// For Retry-After: whole seconds, rounded up, at least one.
    pub fn retry_after_seconds(&self) -> u64 {
        self.retry_after.div_ceil(SECOND).max(1)
    }

    /// For the RateLimit field: the same of what is owed.
    pub fn reset_seconds(&self) -> u64 {
        self.reset.div_ceil(SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(text: &str) -> Gcra {
        Gcra::new(Rate::parse(text).expect("a rate"))
    }

    #[test]
    fn a_burst_passes_at_once_from_idle_and_the_next_when_its_time_comes() {
        let law = law("10/s,burst=5");
        let tenth = SECOND / 10;
        let mut tat = 0;
        for sent in 0..7 {
            let (decision, next) = law.ask(tat, 1, 0);
            assert_eq!(decision.admitted, sent < 5, "{sent}");
            assert_eq!(decision.remaining, 4_u64.saturating_sub(sent));
            assert_eq!(decision.retry_after, if sent < 5 { 0 } else { tenth });
            assert_eq!(decision.reset, tenth * (sent + 1).min(5));
            tat = next;
        }
        assert!(!law.ask(tat, 1, tenth - 1).0.admitted, "a nanosecond too early");
        let (sixth, tat) = law.ask(tat, 1, tenth);
        assert!(sixth.admitted);
        assert!(!law.ask(tat, 1, tenth).0.admitted);
        // Once all is paid, the burst is there again.
        let idle = tat;
        assert_eq!(
            (0..9)
                .fold((0, tat), |(sum, tat), _| {
                    let (decision, tat) = law.ask(tat, 1, idle);
                    (sum + u32::from(decision.admitted), tat)
                })
                .0,
            5
        );
    }

    #[test]
    fn several_units_are_as_many_alone() {
        let law = law("100/s,burst=10");
        let (four, tat) = law.ask(0, 4, 7);
        assert_eq!((four.admitted, four.remaining), (true, 6));
        assert!(!law.ask(tat, 7, 7).0.admitted);
        let (six, tat) = law.ask(tat, 6, 7);
        assert_eq!((six.admitted, six.remaining), (true, 0));
        assert_eq!(law.ask(tat, 3, 7).0.retry_after, 3 * SECOND / 100);
        assert!(!law.ask(0, 11, 7).0.admitted, "more than the burst never fits");
    }

    #[test]
    fn what_was_owed_under_a_slower_rate_does_not_outlive_it() {
        let slow = law("1/h,burst=100");
        let quick = law("10/s,burst=10");
        let (_, owed) = slow.ask(0, 100, 0);
        let (decision, owed) = quick.ask(owed, 1, 0);
        assert!(!decision.admitted);
        assert!(decision.retry_after <= SECOND / 10, "{decision:?}");
        assert!(quick.ask(owed, 1, decision.retry_after).0.admitted);
    }

    #[test]
    fn times_are_shown_in_whole_seconds_rounded_up() {
        let of =
            |retry_after| Decision { admitted: false, retry_after, remaining: 0, reset: 1 };
        assert_eq!(of(1).retry_after_seconds(), 1);
        assert_eq!(of(SECOND).retry_after_seconds(), 1);
        assert_eq!(of(SECOND + 1).retry_after_seconds(), 2);
        assert_eq!(of(0).retry_after_seconds(), 1);
        assert_eq!(of(1).reset_seconds(), 1);
    }
}
