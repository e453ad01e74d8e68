//! How long answers take, as a histogram whose buckets grow with what they count.
//!
//! ```text
//!   0 1 2 ... 63 | 64 66 68 ... 126 | 128 132 ... 252 | 256 ...    up to 71 minutes
//!   a bucket each     2 a bucket         4 a bucket     8 ...      in microseconds
//! ```
//!
//! Every power of two has the same number of buckets (HdrHistogram calls it log-linear), so a
//! quantile is off by at most 1.6 % of itself, and the memory is the same for one time and for a
//! billion. No clock and no allocation after the first time.

use std::time::{Duration, Instant};

/// Buckets of each power of two.
const PER_OCTAVE: usize = 32;

/// Longer times count as this many microseconds.
const MICROS_MAX: u64 = u32::MAX as u64;

/// Bits of [`MICROS_MAX`] beyond those that the first buckets tell apart.
const SHIFT_MAX: usize = 32 - 1 - PER_OCTAVE.ilog2() as usize;

const BUCKETS: usize = PER_OCTAVE * (SHIFT_MAX + 2);

/// How long a span is: a quantile is about the last one to two of them.
const SPAN: Duration = Duration::from_secs(60);

/// Times counted in buckets.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    /// Empty until the first time.
    counts: Vec<u32>,
    total: u64,
}

/// The histogram of the last one to two minutes: a span that fills, and the one before it.
#[derive(Debug, Clone)]
pub struct RecentTimes {
    filling: Histogram,
    before: Histogram,
    /// When the span is full.
    until: Instant,
}

impl Histogram {
    /// Count a time.
    pub fn record(&mut self, took: Duration) {
        if self.counts.is_empty() {
            self.counts.resize(BUCKETS, 0);
        }
        let slot = &mut self.counts[bucket(micros(took))];
        *slot = slot.saturating_add(1);
        self.total += 1;
    }

    /// How many times were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// None any more.
    pub fn clear(&mut self) {
        if self.total > 0 {
            self.counts.fill(0);
            self.total = 0;
        }
    }

    /// Count all that another one did.
    pub fn add(&mut self, other: &Histogram) {
        if other.total == 0 {
            return;
        }
        self.counts.resize(BUCKETS, 0);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.total += other.total;
    }

    /// The time that a share of all those counted did not exceed, for each share, which ascend;
    /// `None` if there were none.
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[Duration; N]> {
        quantiles(&[self], shares)
    }

    fn count(&self, bucket: usize) -> u64 {
        self.counts.get(bucket).map_or(0, |&count| u64::from(count))
    }
}

impl RecentTimes {
    /// Nothing counted yet.
    pub fn new(now: Instant) -> RecentTimes {
        RecentTimes {
            filling: Histogram::default(),
            before: Histogram::default(),
            until: now + SPAN,
        }
    }

    /// Count a time.
    pub fn record(&mut self, took: Duration, now: Instant) {
        self.advance(now);
        self.filling.record(took);
    }

    /// The time that a share of all those lately counted did not exceed, for each share, which
    /// ascend; `None` if there were none.
    pub fn quantiles<const N: usize>(
        &self,
        shares: [f64; N],
        now: Instant,
    ) -> Option<[Duration; N]> {
        // Those that are too old are not forgotten before the next time is counted.
        let recent = match now {
            now if now < self.until => &[&self.filling, &self.before][..],
            now if now < self.until + SPAN => &[&self.filling],
            _ => &[],
        };
        quantiles(recent, shares)
    }

    fn advance(&mut self, now: Instant) {
        if now < self.until {
            return;
        }
        std::mem::swap(&mut self.filling, &mut self.before);
        self.filling.clear();
        if now >= self.until + SPAN {
            self.before.clear();
        }
        self.until = now + SPAN;
    }
}

/// Of all that these counted.
fn quantiles<const N: usize>(of: &[&Histogram], shares: [f64; N]) -> Option<[Duration; N]> {
    let total: u64 = of.iter().map(|it| it.total()).sum();
    if total == 0 {
        return None;
    }
    let mut found = [Duration::ZERO; N];
    let mut seen = 0;
    let mut bucket = 0;
    for (share, found) in shares.into_iter().zip(&mut found) {
        let rank = ((share * total as f64).ceil() as u64).clamp(1, total);
        while bucket < BUCKETS {
            let count: u64 = of.iter().map(|it| it.count(bucket)).sum();
            if seen + count >= rank {
                break;
            }
            seen += count;
            bucket += 1;
        }
        *found = Duration::from_micros(middle(bucket));
    }
    Some(found)
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(MICROS_MAX).min(MICROS_MAX)
}

fn bucket(micros: u64) -> usize {
    let bits = (u64::BITS - micros.leading_zeros()) as usize;
    let shift = bits.saturating_sub(PER_OCTAVE.ilog2() as usize + 1);
    PER_OCTAVE * shift + (micros >> shift) as usize
}

/// The middle of what a bucket counts.
fn middle(bucket: usize) -> u64 {
    let shift = (bucket / PER_OCTAVE).saturating_sub(1);
    let low = ((bucket - PER_OCTAVE * shift) as u64) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut last = 0;
        for micros in 0..200_000 {
            let this = bucket(micros);
            assert!(this == last || this == last + 1, "{micros}");
            last = this;
        }
        assert_eq!(bucket(MICROS_MAX), BUCKETS - 1);
    }

    #[test]
    fn the_middle_of_a_bucket_is_close_to_all_that_it_counts() {
        let mut random = fastrand::Rng::with_seed(1);
        for round in 0..100_000_u64 {
            let value = if round < 5_000 { round } else { random.u64(0..=MICROS_MAX) };
            let value = value >> (round % 32);
            let error = middle(bucket(value)).abs_diff(value);
            assert!(error * 64 <= value, "{value} is off by {error}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let now = Instant::now();
        let mut random = fastrand::Rng::with_seed(2);
        for count in [1, 2, 3, 10, 99, 100, 101, 5000] {
            let mut times = RecentTimes::new(now);
            let digits: Vec<u32> = (0..count).map(|_| random.u32(1..8)).collect();
            let below = |digits| random.u64(1..10_u64.pow(digits));
            let mut list: Vec<u64> = digits.into_iter().map(below).collect();
            list.iter().for_each(|&it| times.record(Duration::from_micros(it), now));
            list.sort_unstable();
            let shares = [0.5, 0.9, 0.99, 1.0];
            let found = times.quantiles(shares, now).unwrap();
            for (share, found) in shares.into_iter().zip(found) {
                let rank = (share * count as f64).ceil() as usize;
                let want = list[rank - 1];
                let found = found.as_micros() as u64;
                assert!(
                    found.abs_diff(want) * 64 <= want,
                    "{share} of {count}: {found} {want}"
                );
            }
        }
    }

    #[test]
    fn times_are_forgotten_after_one_to_two_minutes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut times = RecentTimes::new(start);
        assert_eq!(times.quantiles([0.5], at(0)), None);
        let millis = Duration::from_millis;
        (0..9).for_each(|_| times.record(millis(10), at(1)));
        times.record(Duration::MAX, at(59));
        let close = |found: Option<[Duration; 1]>, want: u128| {
            found.unwrap()[0].as_micros().abs_diff(1000 * want) <= 1000 * want / 64
        };
        assert!(close(times.quantiles([0.5], at(59)), 10));
        assert!(close(times.quantiles([1.0], at(59)), 4_294_967), "71 minutes at most");
        (0..20).for_each(|_| times.record(millis(30), at(61)));
        assert!(close(times.quantiles([0.1], at(61)), 10), "the minute before still counts");
        assert!(close(times.quantiles([0.1], at(121)), 30), "and then no more");
        assert_eq!(times.quantiles([0.5], at(300)), None);
    }
}
