//! Medians, and how far they can be trusted.

/// A median with the interval in which it lies, 19 times of 20.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

/// Times that the rounds are drawn anew.
const RESAMPLES: usize = 2_000;

/// The middle one, or the mean of the middle two; of nothing, not a number.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

/// The median and its bootstrap interval of 95 % (Efron, "Bootstrap Methods: Another Look at the
/// Jackknife", 1979), by the percentile method. The draws are the same each time.
pub fn estimate(values: &[f64]) -> Estimate {
    let mut random = fastrand::Rng::with_seed(values.len() as u64);
    let mut draw = || {
        let drawn: Vec<f64> =
            values.iter().map(|_| values[random.usize(..values.len())]).collect();
        median(&drawn)
    };
    if values.is_empty() {
        return Estimate { median: f64::NAN, low: f64::NAN, high: f64::NAN };
    }
    let mut medians: Vec<f64> = (0..RESAMPLES).map(|_| draw()).collect();
    medians.sort_by(f64::total_cmp);
    Estimate {
        median: median(values),
        low: medians[RESAMPLES / 40],
        high: medians[RESAMPLES - 1 - RESAMPLES / 40],
    }
}

/// The value that so many of a hundred are below.
pub fn percentile(sorted: &[u64], percent: f64) -> u64 {
    let index = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(index.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0)
}

/// What these functions say of numbers whose answer is known; run with every benchmark.
pub fn check() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    let same = estimate(&[1.5; 7]);
    assert_eq!((same.median, same.low, same.high), (1.5, 1.5, 1.5));
    let spread = estimate(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(spread.low >= 1.0 && spread.low <= 3.0 && spread.high >= 3.0 && spread.high <= 5.0);
    let thousand: Vec<u64> = (1..=1000).collect();
    assert_eq!(percentile(&thousand, 50.0), 500);
    assert_eq!(percentile(&thousand, 99.9), 999);
    assert_eq!(percentile(&[7], 99.0), 7);
}
