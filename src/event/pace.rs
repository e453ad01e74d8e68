//! How long a step of the turn may go on: so many items, and not past a time.
//!
//! Most turns have a handful of items a step, and never look at the clock. Who has more looks after
//! every few of them. What is left over waits for the next turn, which does not sleep.

use std::time::{Duration, Instant};

use crate::limits::ITEMS_PER_LOOK;

/// The clock of the turn, as far as somebody looked at it.
#[derive(Debug)]
pub struct Pace {
    seen: Instant,
}

/// What one step may still do.
#[derive(Debug)]
pub struct TimeShare {
    from: Instant,
    time: Duration,
    left: usize,
    before_look: usize,
}

impl Pace {
    /// A turn begins.
    pub fn new(now: Instant) -> Pace {
        Pace { seen: now }
    }

    /// At most so many items, for so long from now on.
    pub fn share(&self, time: Duration, items: usize) -> TimeShare {
        TimeShare { from: self.seen, time, left: items, before_look: ITEMS_PER_LOOK }
    }

    /// The same for so long from `began` on, but for `at_least` from now on.
    pub fn share_of(
        &self,
        began: Instant,
        time: Duration,
        at_least: Duration,
        items: usize,
    ) -> TimeShare {
        if self.seen == began {
            return self.share(time.max(at_least), items);
        }
        let left = (began + time).saturating_duration_since(self.seen);
        self.share(left.max(at_least), items)
    }
}

impl TimeShare {
    /// Whether another item may be done; if so, it is counted.
    pub fn allows(&mut self, pace: &mut Pace) -> bool {
        self.allows_at(pace, Instant::now)
    }

    /// Whether it was found that nothing is left of it.
    pub fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// The last item took as much as one may: the clock is looked at before the next one.
    pub fn note_large(&mut self) {
        self.before_look = 0;
    }

    fn allows_at(&mut self, pace: &mut Pace, clock: impl FnOnce() -> Instant) -> bool {
        if self.left == 0 {
            return false;
        }
        if self.before_look == 0 {
            self.before_look = ITEMS_PER_LOOK;
            pace.seen = clock();
            if pace.seen.saturating_duration_since(self.from) >= self.time {
                self.left = 0;
                return false;
            }
        }
        self.left -= 1;
        self.before_look -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How many items are done that take so long each, and how often the clock is looked at.
    fn done(
        mut share: TimeShare,
        pace: &mut Pace,
        start: Instant,
        each: Duration,
    ) -> (usize, usize) {
        let mut done = 0;
        let mut looks = 0;
        while share.allows_at(pace, || {
            looks += 1;
            start + each * done as u32
        }) {
            done += 1;
        }
        (done, looks)
    }

    #[test]
    fn few_items_need_no_clock() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let share = pace.share(MS, ITEMS_PER_LOOK);
        assert_eq!(done(share, &mut pace, now, MS), (ITEMS_PER_LOOK, 0));
    }

    #[test]
    fn a_step_ends_with_its_items_or_its_time() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let share = pace.share(10 * MS, 1000);
        let (most, looks) = done(share, &mut pace, now, MS);
        assert!((10..=10 + ITEMS_PER_LOOK).contains(&most), "{most}");
        assert_eq!(looks, most / ITEMS_PER_LOOK);
        let share = pace.share(10 * MS, 1000);
        assert_eq!(done(share, &mut pace, now, Duration::ZERO).0, 1000);
    }

    #[test]
    fn a_step_that_begins_late_has_some_time_all_the_same() {
        let now = Instant::now();
        let pace = Pace::new(now + 50 * MS);
        let until = |share: TimeShare| share.from + share.time;
        assert_eq!(until(pace.share_of(now, 2 * MS, MS, 1000)), now + 51 * MS);
        assert_eq!(until(pace.share_of(now, 80 * MS, MS, 1000)), now + 80 * MS);
    }
}
