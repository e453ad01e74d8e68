//! Which name is looked up next, and how many at a time.
//!
//! ```text
//!   fresh ----+                                 +--> prompt: it took no time worth mentioning
//!   prompt ---+--> [32 places of its own each] -+
//!   slow -----+        |                        +--> slow: it took longer, or nobody answered
//!                      +-- late: [128 places that all but slow ones move to]
//! ```
//!
//! A name of which nobody says anything is under way for a quarter of a minute. It is no reason to
//! let one wait that is answered in a millisecond: who was slow has places of its own, and who
//! turns out to be slow leaves its place to others.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::event::Key;
use crate::limits::{DNS_LATE_LOOKUPS_MAX, DNS_LOOKUPS_AT_ONCE, DNS_PROMPT};

/// What is known of a name before it is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The last look-up took no time worth mentioning.
    Prompt,
    /// It was never looked up.
    Fresh,
    /// The last one took long, whatever came of it.
    Slow,
}

/// A look-up under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub standing: Standing,
    pub since: Instant,
}

impl Standing {
    /// In the order in which they are served.
    pub const ALL: [Standing; 3] = [Standing::Prompt, Standing::Fresh, Standing::Slow];
}

impl Place {
    /// When it does not count as prompt any more.
    fn late_at(self) -> Instant {
        self.since + DNS_PROMPT
    }

    fn is_late(self, now: Instant) -> bool {
        self.late_at() <= now
    }

    /// What its name is once it is over.
    pub fn outcome(self, now: Instant) -> Standing {
        if self.is_late(now) { Standing::Slow } else { Standing::Prompt }
    }
}

/// Names that are not under way, of each standing the next one first.
#[derive(Debug, Default)]
pub(super) struct Due {
    queues: [BTreeSet<(Instant, Key)>; 3],
}

impl Due {
    pub fn insert(&mut self, standing: Standing, at: Instant, key: Key) {
        self.queues[standing as usize].insert((at, key));
    }

    /// Says whether it was there.
    pub fn remove(&mut self, standing: Standing, at: Instant, key: Key) -> bool {
        self.queues[standing as usize].remove(&(at, key))
    }

    /// The next one that may be looked up now.
    pub fn take(&mut self, places: &[Place], now: Instant) -> Option<Key> {
        let is_due =
            |queue: &BTreeSet<(Instant, Key)>| queue.first().is_some_and(|(at, _)| *at <= now);
        let mut all = Standing::ALL.into_iter();
        let next =
            all.find(|&it| is_due(&self.queues[it as usize]) && is_free(it, places, now));
        self.queues[next? as usize].pop_first().map(|(_, key)| key)
    }

    /// When another one may be, if nothing is over before.
    pub fn next(&self, places: &[Place], now: Instant) -> Option<Instant> {
        let next = |standing: Standing| {
            let (due, _) = self.queues[standing as usize].first()?;
            let free = if is_free(standing, places, now) {
                now
            } else {
                let own = places.iter().filter(|it| it.standing == standing);
                own.map(|it| it.late_at()).filter(|at| *at > now).min()?
            };
            Some((*due).max(free))
        };
        Standing::ALL.into_iter().filter_map(next).min()
    }

    pub fn len(&self) -> usize {
        self.queues.iter().map(BTreeSet::len).sum()
    }
}

/// Whether one more of this standing may be under way beside these.
fn is_free(standing: Standing, places: &[Place], now: Instant) -> bool {
    let mut late = 0;
    let mut taken = 0;
    for place in places {
        let moves = place.standing != Standing::Slow && place.is_late(now);
        if moves && late < DNS_LATE_LOOKUPS_MAX {
            late += 1;
        } else if place.standing == standing {
            taken += 1;
        }
    }
    taken < DNS_LOOKUPS_AT_ONCE
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::Slots;

    struct Stage {
        keys: Slots<()>,
        due: Due,
        places: Vec<Place>,
        now: Instant,
    }

    impl Stage {
        fn new() -> Stage {
            let now = Instant::now();
            Stage { keys: Slots::default(), due: Due::default(), places: Vec::new(), now }
        }

        fn add(&mut self, standing: Standing, count: usize) {
            for _ in 0..count {
                let key = self.keys.insert_with(|_| ());
                self.due.insert(standing, self.now, key);
            }
        }

        /// All that may be are under way; how many more that are.
        fn start(&mut self, standing: Standing) -> usize {
            let before = self.places.len();
            while self.due.take(&self.places, self.now).is_some() {
                self.places.push(Place { standing, since: self.now });
            }
            self.places.len() - before
        }
    }

    #[test]
    fn names_that_are_silent_leave_their_places_to_others() {
        let mut stage = Stage::new();
        stage.add(Standing::Fresh, 300);
        assert_eq!(stage.start(Standing::Fresh), DNS_LOOKUPS_AT_ONCE);
        let next = stage.due.next(&stage.places, stage.now);
        assert_eq!(next, Some(stage.now + DNS_PROMPT), "until then they may be prompt");
        for _ in 0..10 {
            stage.now += DNS_PROMPT;
            stage.start(Standing::Fresh);
        }
        let most = DNS_LOOKUPS_AT_ONCE + DNS_LATE_LOOKUPS_MAX;
        assert_eq!(stage.places.len(), most, "but there is an end");
        assert_eq!(stage.due.next(&stage.places, stage.now), None, "one has to be over first");
        // Whatever they do, those that are known to be prompt are served.
        stage.add(Standing::Prompt, 1);
        assert_eq!(stage.due.next(&stage.places, stage.now), Some(stage.now));
        assert_eq!(stage.start(Standing::Prompt), 1);
    }

    #[test]
    fn names_that_were_slow_have_places_of_their_own_and_no_others() {
        let mut stage = Stage::new();
        stage.add(Standing::Slow, 300);
        assert_eq!(stage.start(Standing::Slow), DNS_LOOKUPS_AT_ONCE);
        stage.now += Duration::from_secs(60);
        assert_eq!(stage.start(Standing::Slow), 0);
        stage.add(Standing::Prompt, 40);
        assert_eq!(stage.start(Standing::Prompt), DNS_LOOKUPS_AT_ONCE);
    }

    #[test]
    fn who_took_long_is_slow_the_next_time() {
        let now = Instant::now();
        let place = Place { standing: Standing::Slow, since: now };
        assert_eq!(place.outcome(now), Standing::Prompt);
        assert_eq!(place.outcome(now + DNS_PROMPT), Standing::Slow);
    }
}
