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
        let level = |it: &Resolution| Level {
            seconds: u64::from(it.seconds.max(1)),
            ring: Ring::new(it.steps as usize),
            sum: 0.0,
            most: 0.0,
            count: 0,
            step: 0,
        };
        Series { folding, levels: resolutions.iter().map(level).collect() }
    }

    /// Bytes of memory for the points.
    pub fn bytes(&self) -> usize {
        self.levels.iter().map(|it| it.ring.bytes()).sum()
    }

    /// A value of this second, counted from 1970. Seconds ascend.
    pub fn record(&mut self, second: u64, value: f32) {
        for level in &mut self.levels {
            level.record(second, value, self.folding);
        }
    }

    /// The points from one second to before another: of the finest ring that goes back so far, or
    /// of the one that goes back farthest. With the first second of each, and how long each is.
    pub fn read(&self, from: u64, to: u64) -> (u64, Vec<(u64, Point)>) {
        let reaches = |level: &&Level| level.ring.steps().start * level.seconds <= from;
        let level = self.levels.iter().find(reaches).or(self.levels.last());
        let Some(level) = level else { return (1, Vec::new()) };
        let steps = level.ring.steps();
        let first = steps.start.max(from / level.seconds);
        let end = steps.end.min(to.div_ceil(level.seconds));
        let points = (first..end).map(|step| (step * level.seconds, level.ring.get(step)));
        (level.seconds, points.collect())
    }
}

impl Level {
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
        self.ring.set(step, Point::of(so_far));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOLUTIONS: &[Resolution] =
        &[Resolution { seconds: 1, steps: 60 }, Resolution { seconds: 10, steps: 30 }];

    fn value_at(series: &Series, second: u64) -> Option<f32> {
        let (_, points) = series.read(second, second + 1);
        points.first().and_then(|(_, point)| point.value())
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
        assert_eq!(value_at(&rate, 1199), Some(9.0), "the finest, where it goes back so far");
        assert_eq!(value_at(&rate, 1010), Some(4.5));
        assert_eq!(value_at(&time, 1010), Some(9.0));
        assert_eq!(rate.read(1000, 1200).0, 10);
        assert_eq!(rate.read(1000, 1200).1.len(), 20);
        assert_eq!(rate.bytes(), 2 * 90);
    }

    #[test]
    fn a_gap_is_no_zero() {
        let mut series = Series::new(Folding::Mean, RESOLUTIONS);
        series.record(1000, 5.0);
        series.record(1004, 7.0);
        assert_eq!(value_at(&series, 1002), None);
        assert_eq!(value_at(&series, 1004), Some(7.0));
        let before = series.read(990, 1000).1;
        assert!(before.len() == 10 && before.iter().all(|(_, it)| *it == Point::NONE));
    }
}
