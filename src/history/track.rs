//! All that is recorded of one thing: counters as rates, and what is measured as it is.

use std::time::Instant;

use super::ring::Ring;
use super::series::{Folding, Resolution, Series};

/// What is recorded of the process and of pools, and how it folds: first what is counted, a second,
/// then what is measured.
pub const SERIES: &[(&str, Folding)] = &[
    ("rate", Folding::Mean),
    ("errors", Folding::Mean),
    ("errors_4xx", Folding::Mean),
    ("bytes_in", Folding::Mean),
    ("bytes_out", Folding::Mean),
    ("p50_ms", Folding::Max),
    ("p99_ms", Folding::Max),
    ("active", Folding::Max),
    ("waiting", Folding::Max),
];

/// What is recorded of services: the same, but that nobody waits for one.
pub const SERVICE_SERIES: &[(&str, Folding)] = SERIES.split_at(SERIES.len() - 1).0;

/// What is recorded of backends.
pub const BACKEND_SERIES: &[(&str, Folding)] = &[
    ("rate", Folding::Mean),
    ("errors", Folding::Mean),
    ("p50_ms", Folding::Max),
    ("p99_ms", Folding::Max),
    ("active", Folding::Max),
];

/// What was counted and measured of it until now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<const COUNTED: usize, const MEASURED: usize> {
    /// Counters.
    pub totals: [u64; COUNTED],
    /// The two times in milliseconds, if there were any, how many are active, and how many wait.
    pub measured: [Option<f32>; MEASURED],
}

/// One thing over time.
#[derive(Debug, Clone)]
pub struct Track {
    names: &'static [(&'static str, Folding)],
    series: Vec<Series>,
    before: Option<(Instant, Vec<u64>)>,
    /// The last value of each.
    last: Vec<Option<f32>>,
    /// When it was recorded last: seconds from 1970.
    second: u64,
}

impl Track {
    /// Nothing is known yet.
    pub fn new(names: &'static [(&'static str, Folding)], resolutions: &[Resolution]) -> Track {
        let series = names.iter().map(|(_, folding)| Series::new(*folding, resolutions));
        let last = vec![None; names.len()];
        Track { names, series: series.collect(), before: None, last, second: 0 }
    }

    /// So much is kept from now on: more, or fewer, of the same resolutions.
    pub fn fit(&mut self, resolutions: &[Resolution]) {
        if self.series.iter().any(|it| it.levels() != resolutions.len()) {
            self.series.iter_mut().for_each(|it| it.resize(resolutions));
        }
    }

    /// The rates since the last sample, none at the first and where a counter began anew; what was
    /// measured as it is.
    pub fn record<const N: usize, const M: usize>(
        &mut self,
        second: u64,
        now: Instant,
        sample: &Sample<N, M>,
    ) {
        let rates = match &self.before {
            Some((then, totals)) => {
                let seconds = now.saturating_duration_since(*then).as_secs_f32();
                let rate = |(now, then): (&u64, &u64)| match now.checked_sub(*then) {
                    Some(more) if seconds > 0.0 => Some(more as f32 / seconds),
                    _ => None,
                };
                sample.totals.iter().zip(totals).map(rate).collect()
            }
            None => vec![None; N],
        };
        self.before = Some((now, sample.totals.to_vec()));
        let values: Vec<Option<f32>> = rates.into_iter().chain(sample.measured).collect();
        self.set(second, &values);
    }

    /// These values, in the order of their names.
    pub fn set(&mut self, second: u64, values: &[Option<f32>]) {
        for (series, value) in self.series.iter_mut().zip(values) {
            if let Some(value) = value {
                series.record(second, *value);
            }
        }
        self.last.clear();
        self.last.extend_from_slice(values);
        self.second = second;
    }

    /// Its counters begin anew: the next sample has no rates.
    pub fn forget_counters(&mut self) {
        self.before = None;
    }

    /// A minute of before this process.
    pub fn restore(&mut self, name: &str, minute: u64, value: Option<f32>) {
        let at = self.names.iter().position(|(it, _)| *it == name);
        let series = at.and_then(|at| self.series.get_mut(at));
        if let (Some(series), Some(value)) = (series, value) {
            series.restore(minute * 60, value);
        }
    }

    /// What is recorded of it.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().map(|(name, _)| *name)
    }

    /// The last value of a series, if one was recorded lately.
    pub fn last(&self, name: &str) -> Option<f32> {
        let at = self.names.iter().position(|(it, _)| *it == name)?;
        self.last.get(at).copied().flatten()
    }

    /// All of the last values, in the order of the names.
    pub fn values(&self) -> &[Option<f32>] {
        &self.last
    }

    /// When it was recorded last: seconds from 1970.
    pub fn second(&self) -> u64 {
        self.second
    }

    /// The finest ring of a series that is so many seconds long, or the longest; with the length of
    /// its steps in seconds.
    pub fn ring(&self, name: &str, span: u64) -> Option<(u64, &Ring)> {
        let at = self.names.iter().position(|(it, _)| *it == name)?;
        self.series.get(at)?.ring(span)
    }

    /// The last whole minute of each series, of those that keep minutes.
    pub fn minute(&self, minute: u64) -> impl Iterator<Item = Option<f32>> {
        self.series.iter().map(move |it| it.minute(minute))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn counters_become_rates_and_one_that_began_anew_has_none() {
        let mut track = Track::new(BACKEND_SERIES, &[Resolution { seconds: 10, steps: 6 }]);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let sample =
            |given, p50| Sample { totals: [given, 0], measured: [p50, p50, Some(3.0)] };
        track.record(1000, at(0), &sample(100, None));
        assert_eq!(track.last("rate"), None);
        track.record(1010, at(10), &sample(150, Some(7.0)));
        assert_eq!(track.values(), [Some(5.0), Some(0.0), Some(7.0), Some(7.0), Some(3.0)]);
        track.record(1020, at(20), &sample(10, None));
        assert_eq!(track.last("rate"), None);
        let (step, ring) = track.ring("rate", 60).unwrap();
        let points: Vec<_> = (100..103).map(|step| ring.get(step).value()).collect();
        assert_eq!((step, points), (10, vec![None, Some(5.0), None]));
        assert!(track.ring("nothing", 60).is_none());
    }
}
