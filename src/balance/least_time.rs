//! `least-time`: equalises the time a new connection waits: connect time x connections / weight.
//!
//! The connect time is a peak EWMA (Finagle's): a slower connect counts at once and in full, and
//! fades until a faster one is more. It fades with *time*, not with samples, so a backend that was
//! slow and gets nothing is tried again; with a mean over samples it would starve. A failed connect
//! counts as a slow one, so failing fast does not attract traffic. The better of two different
//! weighted draws wins, which keeps one fast backend from being run over. O(log n) a pick.

use std::time::Instant;

use fastrand::Rng;

use super::median::Median;
use super::weights::Weights;
use super::{Ask, Balance, Candidates, Observation, Score};
use crate::limits::{CONNECT_FAILED_PENALTY, CONNECT_TIME_DECAY, CONNECT_TIME_MIN, WEIGHT_ONE};

/// Learnt connect times, and the draw of two that they decide.
#[derive(Debug, Clone)]
pub struct LeastTime {
    weights: Weights,
    rng: Rng,
    times: Vec<Option<ConnectTime>>,
    /// Seconds of the last good connect to each; stands in where nothing is known.
    good: Median,
}

/// A peak EWMA as of a moment.
#[derive(Debug, Clone, Copy)]
struct ConnectTime {
    seconds: f64,
    at: Instant,
}

impl LeastTime {
    /// The same seed makes the same draws.
    pub fn new(seed: u64) -> LeastTime {
        LeastTime {
            weights: Weights::default(),
            rng: Rng::with_seed(seed),
            times: Vec::new(),
            good: Median::default(),
        }
    }
}

impl Balance for LeastTime {
    fn joined(&mut self, set: &Candidates, seat: usize) {
        self.times.resize(set.seats(), None);
        self.changed(set, seat);
    }

    fn left(&mut self, set: &Candidates, seat: usize) {
        self.times[seat] = None;
        self.good.set(seat, None);
        self.changed(set, seat);
    }

    fn changed(&mut self, set: &Candidates, index: usize) {
        self.weights.set(index, set[index].open_weight_or_zero());
    }

    fn observe(&mut self, _: &Candidates, index: usize, seen: Observation, now: Instant) {
        let seconds = match seen {
            Observation::Connected(time) => {
                self.good.set(index, Some(time.as_secs_f64()));
                time.as_secs_f64()
            }
            Observation::Failed(time) => time.max(CONNECT_FAILED_PENALTY).as_secs_f64(),
            Observation::Load(_) => return,
        };
        // Finagle mixes a zero in at every look at it; looked at all the time, it comes to this.
        let faded = self.times[index].map_or(0.0, |known| known.faded(now));
        let seconds = seconds.max(faded);
        self.times[index] = Some(ConnectTime { seconds, at: now });
    }

    fn pick(&mut self, set: &Candidates, ask: &Ask) -> Option<usize> {
        let (first, second) = self.weights.draw_two(&mut self.rng)?;
        let better = second.filter(|&second| {
            self.presume(first, ask.now);
            self.presume(second, ask.now);
            self.wait(set, second, ask.now) < self.wait(set, first, ask.now)
        });
        Some(better.unwrap_or(first))
    }

    fn score(&self, set: &Candidates, index: usize, now: Instant) -> Score {
        Score::Value(self.wait(set, index, now) * 1e3, " ms")
    }

    fn compared(&self, set: &Candidates, index: usize, now: Instant) -> Option<f64> {
        Some(self.wait(set, index, now) * 1e3)
    }
}

impl LeastTime {
    /// Take the median for a backend of which nothing is known, from now on: it fades as what is
    /// known does, so the backend is tried soon even if all others are as good.
    fn presume(&mut self, index: usize, now: Instant) {
        if self.times[index].is_none() {
            self.times[index] =
                self.good.value().map(|seconds| ConnectTime { seconds, at: now });
        }
    }

    /// Seconds, connections and weight in one.
    fn wait(&self, set: &Candidates, index: usize, now: Instant) -> f64 {
        let least = CONNECT_TIME_MIN.as_secs_f64();
        let seconds = match self.times[index] {
            Some(known) => known.faded(now),
            None => self.good.value().unwrap_or(least),
        };
        let connections = f64::from(set[index].connections) + 1.0;
        let weight = f64::from(set[index].effective_weight) / f64::from(WEIGHT_ONE);
        seconds.max(least) * connections / weight
    }
}

impl ConnectTime {
    /// What is left of it.
    fn faded(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at);
        self.seconds * (-age.as_secs_f64() / CONNECT_TIME_DECAY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Model, count};
    use super::*;
    use crate::config::Algorithm;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    fn model(weights: &[u32], times: &[u32]) -> Model {
        let mut model = Model::new(Algorithm::LeastTime, weights);
        for (index, &time) in times.iter().enumerate() {
            model.observe(index, Observation::Connected(time * MS));
        }
        model
    }

    #[test]
    fn the_shorter_wait_wins() {
        assert_eq!(count(&mut model(&[1, 1], &[3, 2]), 50), [0, 50]);
        assert_eq!(
            count(&mut model(&[2, 1], &[3, 2]), 50),
            [50, 0],
            "3 / 2 is less than 2 / 1"
        );
        let mut busy = model(&[1, 1], &[3, 2]);
        busy.set_connections(&[0, 1]);
        assert_eq!(count(&mut busy, 50), [50, 0], "3 x 1 is less than 2 x 2");
    }

    #[test]
    fn a_peak_counts_at_once_and_fades_with_time() {
        let mut model = model(&[1, 1], &[2, 2]);
        model.observe(0, Observation::Connected(100 * MS));
        assert_eq!(model.score(0), Score::Value(100.0, " ms"));
        model.observe(0, Observation::Connected(2 * MS));
        assert_eq!(model.score(0), Score::Value(100.0, " ms"), "no time, no fading");
        model.pass_time(CONNECT_TIME_DECAY);
        let Score::Value(faded, _) = model.score(0) else { panic!("a value") };
        assert!((36.0..38.0).contains(&faded), "{faded}");
    }

    #[test]
    fn failing_fast_does_not_attract() {
        let mut model = model(&[1, 1], &[20, 20]);
        model.observe(1, Observation::Failed(Duration::ZERO));
        assert_eq!(count(&mut model, 50), [50, 0]);
    }

    #[test]
    fn the_unknown_counts_as_the_median() {
        let mut model = model(&[1; 4], &[5, 70, 10]);
        model.observe(1, Observation::Failed(Duration::ZERO));
        assert_eq!(model.score(3), Score::Value(10.0, " ms"));
    }

    #[test]
    fn the_unknown_is_tried_though_all_others_are_good() {
        let mut model = model(&[1; 4], &[5, 5, 5]);
        let tried = (0..1_000).any(|_| {
            model.pass_time(MS);
            (0..3).for_each(|index| model.observe(index, Observation::Connected(5 * MS)));
            model.pick() == Some(3)
        });
        assert!(tried);
    }

    /// Five equal backends, 60 connections a second; the first three to one of them take 2 s
    /// longer. A mean over samples never sends it anything again (traefik#12306).
    #[test]
    fn a_backend_that_was_slow_comes_back() {
        let normal = 20 * MS;
        let peak = normal + Duration::from_secs(2);
        let ratio = peak.as_secs_f64() / normal.as_secs_f64();
        let recovery = 2.0 * CONNECT_TIME_DECAY.as_secs_f64() * ratio.ln();
        for seed in 0..10 {
            let mut model = Model::seeded(Algorithm::LeastTime, &[1; 5], seed);
            let mut slow_left = 3;
            let mut served = 0;
            let mut sent = 0;
            let mut ends = BinaryHeap::new();
            for arrival in 0..((recovery + 25.0) * 60.0) as u32 {
                let time = Duration::from_secs(1) * arrival / 60;
                while let Some(&Reverse((end, index, took))) = ends.peek()
                    && end <= time
                {
                    ends.pop();
                    model.set_time(end);
                    model.observe(index, Observation::Connected(took));
                    model.disconnect(index);
                }
                model.set_time(time);
                let index = model.connect().unwrap();
                let slow = index == 0 && slow_left > 0;
                slow_left -= u32::from(slow);
                let took = if slow { peak } else { normal };
                ends.push(Reverse((time + took, index, took)));
                if time.as_secs_f64() >= recovery {
                    sent += 1;
                    served += u32::from(index == 0);
                }
            }
            assert!(served * 100 >= sent * 15, "seed {seed}: {served} of {sent}");
        }
    }
}
