//! Times counted for good, in the buckets that Prometheus is shown: unlike the quantiles of
//! [`super::histogram`] they add up, over pools and over processes.

use std::time::Duration;

use super::{Each, each_time};

/// The upper ends of the buckets, in microseconds; what is longer is in the last one, which has
/// none. From what a cache answers to what nobody waits for.
const BOUNDS: [u32; 14] = [
    500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// How many took how long.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    counts: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Times {
    /// One more.
    pub fn record(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        // Most take a millisecond or two: they are found at once.
        let at = BOUNDS.iter().position(|&it| micros <= it).unwrap_or(BOUNDS.len());
        self.counts[at] += 1;
        self.sum = self.sum.saturating_add(took);
    }

    /// For each bucket its upper end in seconds, none for the last, and how many took no longer.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        let ends = BOUNDS.iter().map(|&it| Some(f64::from(it) / 1e6)).chain([None]);
        ends.zip(self.counts).scan(0, |below, (end, count)| {
            *below += count;
            Some((end, *below))
        })
    }

    /// How many took so long, bucket by bucket, and how long all of them took. A bucket is named
    /// by its end in microseconds, behind `prefix`.
    pub fn each_sum(&mut self, prefix: &str, each: Each<'_>) {
        let ends = BOUNDS.iter().map(|it| it.to_string()).chain(["more".to_owned()]);
        for (end, count) in ends.zip(&mut self.counts) {
            each(&format!("{prefix}.{end}"), count);
        }
        each_time(&format!("{prefix}.sum_ns"), &mut self.sum, each);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long all of them took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_each_bucket_that_ends_no_sooner() {
        let mut times = Times::default();
        for micros in [0, 500, 501, 10_000_000, u64::MAX / 1000] {
            times.record(Duration::from_micros(micros));
        }
        let buckets: Vec<_> = times.buckets().collect();
        assert_eq!(buckets[0], (Some(0.0005), 2));
        assert_eq!(buckets[1], (Some(0.001), 3));
        assert_eq!(buckets[12], (Some(5.0), 3));
        assert_eq!(buckets[13], (Some(10.0), 4));
        assert_eq!(buckets[14], (None, 5));
        assert_eq!(times.count(), 5);
        assert!(times.sum() > Duration::from_secs(10));
    }
}
