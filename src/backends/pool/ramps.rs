//! Slow start: the weight of a member whose server is back grows over the pool's `--slow-start`.

use std::time::{Duration, Instant};

use crate::limits::{SLOW_START_PERCENT_MIN, SLOW_START_STEPS, WEIGHT_ONE};

use super::Pool;

impl Pool {
    /// How long the steps of the slow starts under way are; `None` if there are none.
    pub(in super::super) fn ramp_step(&self) -> Option<Duration> {
        (self.ramping > 0).then(|| self.settings.slow_start / SLOW_START_STEPS)
    }

    /// Raise the weights of those in a slow start to where they belong now.
    pub(in super::super) fn step_ramps(&mut self, now: Instant) {
        if self.ramping == 0 {
            return;
        }
        for index in 0..self.seats.len() {
            if self.step_ramp(index, now) {
                self.update(index);
            }
        }
    }

    /// Its server is back: its weight is small at first. One of weight 0 has nothing to grow.
    pub(super) fn begin_ramp(&mut self, index: usize, now: Instant) {
        let ramps = !self.settings.slow_start.is_zero() && self.candidates[index].weight > 0;
        if let Some(seat) = self.seats[index].as_mut().filter(|_| ramps) {
            seat.ramp_from = Some(now);
            self.ramping += 1;
            self.step_ramp(index, now);
        }
    }

    /// It has all of its weight from now on.
    pub(super) fn end_ramp(&mut self, index: usize) {
        let Some(seat) = &mut self.seats[index] else { return };
        if seat.ramp_from.take().is_some() {
            self.ramping -= 1;
        }
        let candidate = self.candidates.candidate_mut(index);
        candidate.effective_weight = candidate.weight * WEIGHT_ONE;
    }

    /// Its weight as it belongs now, and the end of the slow start if that is over. Says whether it
    /// was in one; the caller updates the seat.
    pub(super) fn step_ramp(&mut self, index: usize, now: Instant) -> bool {
        let Some(seat) = &mut self.seats[index] else { return false };
        let Some(from) = seat.ramp_from else { return false };
        let passed = now.saturating_duration_since(from);
        let share = passed.as_secs_f64() / self.settings.slow_start.as_secs_f64();
        let floor = f64::from(SLOW_START_PERCENT_MIN) / 100.0;
        if share >= 1.0 {
            seat.ramp_from = None;
            self.ramping -= 1;
        }
        let candidate = self.candidates.candidate_mut(index);
        let weight = f64::from(candidate.weight * WEIGHT_ONE);
        let ramped = (weight * share.clamp(floor, 1.0)) as u32;
        candidate.effective_weight = ramped.max(1);
        true
    }
}
