//! A number over time: in rings from fine to coarse, each step of which is whole steps of the one
//! before.

use super::point::Point;
use super::ring::Ring;

/// How the points of a step become one of a coarser step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folding {
    /// Their mean: of rates.
    Mean,
    /// The largest: of times, and of how many there were.
    Max,
}

/// A ring as it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    /// How long a step is.
    pub seconds: u32,
    /// How many are kept.
    pub steps: u32,
}

/// One number.
#[derive(Debug, Clone)]
pub struct Series {
    folding: Folding,
    levels: Vec<Level>,
}

#[derive(Debug, Clone)]
struct Level {
    seconds: u64,
    ring: Ring,
    /// What was seen in the step that is not over.
    sum: f64,
    most: f32,
    count: u32,
    step: u64,
}

impl Series {
    /// Nothing is known yet; `resolutions` are from fine to coarse.
    pub fn new(folding: Folding, resolutions: &[Resolution]) -> Series {
        Series { folding, levels: resolutions.iter().map(|it| Level::new(*it)).collect() }
    }

    /// Bytes of memory for the points.
    pub fn bytes(&self) -> usize {
        self.levels.iter().map(|it| it.ring.bytes()).sum()
    }

    /// A value of this second, counted from 1970. Seconds ascend, unless the clock is set back.
    pub fn record(&mut self, second: u64, value: f32) {
        for level in &mut self.levels {
            level.record(second, value, self.folding);
        }
    }

    /// How many resolutions are kept.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// So much is kept from now on: rings that stay keep what they have.
    pub fn resize(&mut self, resolutions: &[Resolution]) {
        let mut before = std::mem::take(&mut self.levels);
        for wanted in resolutions {
            let stays = |it: &Level| it.seconds == u64::from(wanted.seconds);
            let level = match before.iter().position(stays) {
                Some(at) => before.swap_remove(at),
                None => Level::new(*wanted),
            };
            self.levels.push(level);
        }
    }

    /// The finest ring that is so many seconds long, or else the longest, with the length of its
    /// steps in seconds.
    pub fn ring(&self, span: u64) -> Option<(u64, &Ring)> {
        let reaches = |it: &&Level| it.seconds * it.ring.len() as u64 >= span;
        let level = self.levels.iter().find(reaches).or(self.levels.last())?;
        Some((level.seconds, &level.ring))
    }

    /// What is known of a minute, if minutes are kept.
    pub fn minute(&self, minute: u64) -> Option<f32> {
        self.levels.iter().find(|it| it.seconds == 60)?.ring.get(minute).value()
    }

    /// A minute of before this process, if minutes are kept.
    pub fn restore(&mut self, second: u64, value: f32) {
        if let Some(level) = self.levels.iter_mut().find(|it| it.seconds == 60) {
            level.ring.set(second / 60, Point::of(value));
        }
    }
}

impl Level {
    fn new(resolution: Resolution) -> Level {
        Level {
            seconds: u64::from(resolution.seconds.max(1)),
            ring: Ring::new(resolution.steps as usize),
            sum: 0.0,
            most: 0.0,
            count: 0,
            step: 0,
        }
    }

    fn record(&mut self, second: u64, value: f32, folding: Folding) {
        let step = second / self.seconds;
        if step != self.step || self.count == 0 {
            self.step = step;
            self.sum = 0.0;
            self.most = value;
            self.count = 0;
        }
        self.sum += f64::from(value);
        self.most = self.most.max(value);
        self.count += 1;
        // The step that is not over is shown as far as it is known.
        let so_far = match folding {
            Folding::Mean => (self.sum / f64::from(self.count)) as f32,
            Folding::Max => self.most,
        };
        self.ring.rewind(step);
        self.ring.set(step, Point::of(so_far));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOLUTIONS: &[Resolution] =
        &[Resolution { seconds: 1, steps: 60 }, Resolution { seconds: 10, steps: 30 }];

    fn value_at(series: &Series, span: u64, second: u64) -> Option<f32> {
        let (step, ring) = series.ring(span).unwrap();
        ring.get(second / step).value()
    }

    #[test]
    fn rates_fold_into_their_mean_and_times_into_the_longest() {
        let mut rate = Series::new(Folding::Mean, RESOLUTIONS);
        let mut time = Series::new(Folding::Max, RESOLUTIONS);
        for second in 1000..1200 {
            let value = (second % 10) as f32;
            rate.record(second, value);
            time.record(second, value);
        }
        assert_eq!(value_at(&rate, 60, 1199), Some(9.0), "the finest that is long enough");
        assert_eq!(value_at(&rate, 61, 1010), Some(4.5));
        assert_eq!(value_at(&time, 300, 1010), Some(9.0));
        assert_eq!(value_at(&rate, 10_000, 1199), Some(4.5), "or else the longest");
        assert_eq!(rate.bytes(), 2 * 90);
    }

    #[test]
    fn a_clock_that_is_set_back_by_hours_ends_no_history() {
        let mut rate = Series::new(Folding::Mean, RESOLUTIONS);
        (100_000..100_060).for_each(|second| rate.record(second, 1.0));
        (50_000..50_020).for_each(|second| rate.record(second, 2.0));
        assert_eq!(value_at(&rate, 60, 50_019), Some(2.0));
        assert_eq!(value_at(&rate, 300, 50_010), Some(2.0));
        assert_eq!(value_at(&rate, 60, 100_059), None);
    }

    #[test]
    fn a_gap_is_no_zero() {
        let mut series = Series::new(Folding::Mean, RESOLUTIONS);
        series.record(1000, 5.0);
        series.record(1004, 7.0);
        assert_eq!(value_at(&series, 60, 1002), None);
        assert_eq!(value_at(&series, 60, 1004), Some(7.0));
        assert_eq!(value_at(&series, 60, 999), None);
    }

    #[test]
    fn rings_that_stay_keep_what_they_have() {
        let minutes = Resolution { seconds: 60, steps: 5 };
        let mut series = Series::new(Folding::Mean, &[RESOLUTIONS[0], minutes]);
        series.record(1000, 5.0);
        series.restore(960 - 60, 4.0);
        series.resize(&RESOLUTIONS[..1]);
        assert_eq!(value_at(&series, 60, 1000), Some(5.0));
        assert_eq!((series.minute(16), series.bytes()), (None, 120));
        series.resize(&[RESOLUTIONS[0], minutes]);
        series.restore(960, 4.0);
        assert_eq!(series.minute(16), Some(4.0));
        assert_eq!(value_at(&series, 60, 1000), Some(5.0));
    }
}
