//! Retries as a share of requests: a pool whose backends fail is not stormed by them.
//!
//! ```text
//!   allowed = 10 a second + share of the requests, both over the last 10 s
//!
//!   second     0    1    2  ...  9   10 (runs)
//!   requests  50   60   40      70   12          each pays its share in,
//!   retries    2    0   31       9    1          each takes one out; what is older counts no more
//! ```
//!
//! Counted in whole seconds, so that a request costs one addition. The seconds that are looked at
//! are ten whole ones and the one that runs: in no ten seconds are there more retries than the
//! requests of eleven pay for.
//!
//! This is the budget of Finagle and Linkerd, `RetryBudget`, with their numbers.

use std::time::{Duration, Instant};

use crate::limits::{
    RETRY_BUDGET_FREE_PER_SECOND, RETRY_BUDGET_SECONDS, RETRY_BUDGET_WARNINGS,
};
use crate::stats::LogThrottle;

const SLOTS: usize = RETRY_BUDGET_SECONDS + 1;
const FREE: u64 = RETRY_BUDGET_FREE_PER_SECOND * RETRY_BUDGET_SECONDS as u64;

/// What a pool had of both, lately and in all.
#[derive(Debug, Default)]
pub(super) struct RetryBudget {
    /// When the first was counted.
    start: Option<Instant>,
    /// When the second is over that runs.
    until: Option<Instant>,
    /// The second that runs, from `start` on.
    second: u64,
    slots: [Second; SLOTS],
    /// Retries that were allowed, ever.
    pub allowed: u64,
    /// Those that were not.
    pub refused: u64,
    warnings: LogThrottle,
}

/// What there was in one second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    requests: u32,
    retries: u32,
}

/// Whether a request may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spent {
    Allowed,
    Refused,
}

impl RetryBudget {
    /// A request came, or a connection.
    #[inline]
    pub fn request(&mut self, now: Instant) {
        let second = self.now(now);
        second.requests = second.requests.saturating_add(1);
    }

    /// One is to be tried again: it is counted if `percent` of the requests allow it.
    pub fn retry(&mut self, percent: Option<u32>, now: Instant) -> Spent {
        self.now(now);
        if percent.is_some_and(|percent| !self.has_one(percent)) {
            self.refused += 1;
            return Spent::Refused;
        }
        self.allowed += 1;
        let second = self.now(now);
        second.retries = second.retries.saturating_add(1);
        Spent::Allowed
    }

    /// Whether it is time to say that some were refused.
    pub fn is_to_be_told(&mut self, now: Instant) -> bool {
        self.warnings.allows(now, RETRY_BUDGET_WARNINGS)
    }

    fn has_one(&self, percent: u32) -> bool {
        let sum =
            |of: fn(&Second) -> u32| self.slots.iter().map(of).map(u64::from).sum::<u64>();
        let paid = FREE * 100 + sum(|it| it.requests) * u64::from(percent);
        (sum(|it| it.retries) + 1) * 100 <= paid
    }

    /// The second that runs, with those emptied that were passed since.
    #[inline]
    fn now(&mut self, now: Instant) -> &mut Second {
        if self.until.is_none_or(|until| now >= until) {
            self.advance(now);
        }
        &mut self.slots[self.second as usize % SLOTS]
    }

    fn advance(&mut self, now: Instant) {
        let start = *self.start.get_or_insert(now);
        let second = now.saturating_duration_since(start).as_secs();
        let passed = second.saturating_sub(self.second).min(SLOTS as u64);
        for ago in 0..passed {
            self.slots[(second - ago) as usize % SLOTS] = Second::default();
        }
        self.second = second;
        self.until = Some(start + Duration::from_secs(second + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE_ONES: usize = FREE as usize;

    /// How many of these retries are allowed in one second.
    fn allowed(budget: &mut RetryBudget, tries: usize, percent: u32, now: Instant) -> usize {
        let allowed = |_: &usize| budget.retry(Some(percent), now) == Spent::Allowed;
        (0..tries).filter(allowed).count()
    }

    #[test]
    fn so_many_are_allowed_after_so_many_requests() {
        for (requests, percent, wanted) in [
            (0, 20, FREE_ONES),
            (4, 20, FREE_ONES),
            (5, 20, FREE_ONES + 1),
            (999, 20, FREE_ONES + 199),
            (1000, 20, FREE_ONES + 200),
            (1000, 0, FREE_ONES),
            (1000, 1, FREE_ONES + 10),
            (1000, 100, FREE_ONES + 1000),
        ] {
            let start = Instant::now();
            let mut budget = RetryBudget::default();
            (0..requests).for_each(|_| budget.request(start));
            let found = allowed(&mut budget, 3000, percent, start);
            assert_eq!(found, wanted, "{requests} requests, {percent}%");
            assert_eq!((budget.allowed, budget.refused), (wanted as u64, 3000 - wanted as u64));
        }
    }

    #[test]
    fn what_requests_paid_in_is_good_for_ten_seconds() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        for (millis, wanted) in [(0, 200), (9_999, 200), (10_999, 200), (11_000, 0)] {
            let mut budget = RetryBudget::default();
            (0..1000).for_each(|_| budget.request(start));
            let found = allowed(&mut budget, 3000, 20, at(millis));
            assert_eq!(found, FREE_ONES + wanted, "after {millis} ms");
        }
    }

    #[test]
    fn what_was_spent_comes_back_after_ten_seconds() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut budget = RetryBudget::default();
        assert_eq!(allowed(&mut budget, 60, 20, at(0)), 60);
        assert_eq!(allowed(&mut budget, 60, 20, at(5_000)), FREE_ONES - 60);
        assert_eq!(allowed(&mut budget, 1, 20, at(10_999)), 0);
        assert_eq!(allowed(&mut budget, 200, 20, at(11_000)), 60);
        assert_eq!(allowed(&mut budget, 200, 20, at(16_000)), FREE_ONES - 60);
        assert_eq!(allowed(&mut budget, 200, 20, at(1_000_000)), FREE_ONES);
    }

    #[test]
    fn without_a_limit_none_is_refused() {
        let now = Instant::now();
        let mut budget = RetryBudget::default();
        assert!((0..1000).all(|_| budget.retry(None, now) == Spent::Allowed));
        assert_eq!((budget.allowed, budget.refused), (1000, 0));
        // And what was not limited counts once it is.
        assert_eq!(budget.retry(Some(20), now), Spent::Refused);
    }

    /// All that ever happened, and no ring: when there was a request, and when a retry.
    #[derive(Default)]
    struct Model {
        requests: Vec<Instant>,
        retries: Vec<Instant>,
    }

    impl Model {
        fn lately(all: &[Instant], from: Instant) -> u64 {
            all.iter().rev().take_while(|it| **it >= from).count() as u64
        }

        fn retry(&mut self, percent: u64, start: Instant, now: Instant) -> Spent {
            let second = (now - start).as_secs();
            let from = start + Duration::from_secs(second.saturating_sub(10));
            let retries = Model::lately(&self.retries, from);
            let requests = Model::lately(&self.requests, from);
            if (retries + 1) * 100 > 100 * FREE + requests * percent {
                return Spent::Refused;
            }
            self.retries.push(now);
            Spent::Allowed
        }

        /// In no ten seconds are there more than eleven pay for.
        fn check(&self, percent: u64) {
            for (index, end) in self.retries.iter().enumerate() {
                let ago = |seconds| *end - Duration::from_secs(seconds);
                let retries = Model::lately(&self.retries[..=index], ago(9));
                let requests = self.requests.iter().filter(|it| **it <= *end);
                let requests = requests.filter(|it| **it >= ago(11)).count() as u64;
                assert!(retries * 100 <= 100 * FREE + requests * percent);
            }
        }
    }

    #[test]
    fn a_ring_says_the_same_as_a_list_of_all() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for percent in [0, 7, 20, 100] {
            let start = Instant::now();
            let mut now = start;
            let mut budget = RetryBudget::default();
            let mut model = Model::default();
            budget.request(now);
            model.requests.push(now);
            let mut outcomes = [0, 0];
            for _ in 0..20_000 {
                // Bursts, steady times, and pauses that empty all of it or nearly so.
                now += Duration::from_millis(match random(1000) {
                    0 => 8_000 + random(6_000),
                    1..=600 => 0,
                    _ => random(40),
                });
                if random(3) == 0 {
                    budget.request(now);
                    model.requests.push(now);
                    continue;
                }
                let found = budget.retry(Some(percent), now);
                assert_eq!(found, model.retry(u64::from(percent), start, now));
                outcomes[usize::from(found == Spent::Allowed)] += 1;
            }
            model.check(u64::from(percent));
            assert!(outcomes.iter().all(|count| *count > 1000), "{percent}%: {outcomes:?}");
        }
    }
}
