//! Passive health: under HTTP a backend that answers badly, again and again, is left out for a
//! while, however well it answers its probes; under UDP one that refuses datagrams, if it has none.
//!
//! ```text
//!   in --bad answers in a row >= limit--> out for 30 s x (times out so far), at most 5 minutes
//!    ^                                      |
//!    +-------- the time is over ------------+     forgotten after 5 minutes of good order
//! ```
//!
//! The numbers are Envoy's outlier detection's. Who may be left out at all (never the last one,
//! never more than half) is for [`super::Backends`] to say: it sees all of them.

use std::time::{Duration, Instant};

use crate::limits::{EJECTION, EJECTION_FORGOTTEN_AFTER, EJECTION_MAX};

/// How a backend answered lately.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conduct {
    bad_in_a_row: u32,
    times_out: u32,
    out_until: Option<Instant>,
    last_out: Option<Instant>,
}

impl Conduct {
    /// Whether it is left out.
    pub fn is_out(&self) -> bool {
        self.out_until.is_some()
    }

    /// When it may come back, if it is out.
    pub fn out_until(&self) -> Option<Instant> {
        self.out_until
    }

    /// It answered well.
    pub fn good(&mut self) {
        self.bad_in_a_row = 0;
    }

    /// It answered badly; says whether that was once too often.
    pub fn bad(&mut self, limit: u32) -> bool {
        self.bad_in_a_row = self.bad_in_a_row.saturating_add(1);
        limit > 0 && self.bad_in_a_row >= limit && !self.is_out()
    }

    /// Leave it out; says for how long.
    pub fn eject(&mut self, now: Instant) -> Duration {
        let forgotten = |last: Instant| now.duration_since(last) > EJECTION_FORGOTTEN_AFTER;
        if self.last_out.is_none_or(forgotten) {
            self.times_out = 0;
        }
        self.times_out += 1;
        let time = EJECTION.saturating_mul(self.times_out).min(EJECTION_MAX);
        self.bad_in_a_row = 0;
        self.out_until = Some(now + time);
        self.last_out = Some(now + time);
        time
    }

    /// Take it back in if its time is over; says whether it came back.
    pub fn come_back(&mut self, now: Instant) -> bool {
        let over = self.out_until.is_some_and(|until| until <= now);
        if over {
            self.out_until = None;
        }
        over
    }

    /// Take it back in before its time; says whether it came back.
    pub fn recall(&mut self) -> bool {
        self.out_until.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bad_answers_in_a_row_count() {
        let mut conduct = Conduct::default();
        for _ in 0..10 {
            assert!(!conduct.bad(3) && !conduct.bad(3));
            conduct.good();
        }
        assert!(!conduct.bad(3) && !conduct.bad(3) && conduct.bad(3));
    }

    #[test]
    fn zero_turns_it_off() {
        let mut conduct = Conduct::default();
        assert!((0..1000).all(|_| !conduct.bad(0)));
    }

    #[test]
    fn the_time_grows_up_to_a_limit_and_is_forgotten() {
        let mut conduct = Conduct::default();
        let mut now = Instant::now();
        for expected in [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300] {
            assert_eq!(conduct.eject(now), Duration::from_secs(expected));
            assert!(!conduct.come_back(now + Duration::from_secs(expected - 1)));
            now += Duration::from_secs(expected);
            assert!(conduct.come_back(now) && !conduct.come_back(now));
        }
        now += EJECTION_FORGOTTEN_AFTER + Duration::from_secs(1);
        assert_eq!(conduct.eject(now), EJECTION);
    }
}
