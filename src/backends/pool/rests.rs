//! Members that did not take a connection, and rest for a moment where clients wait in a queue.
//!
//! ```text
//!   a connect failed --> rests 100 ms --> may be picked --> a connect failed --> rests 200 ms ...
//! ```
//!
//! A member that refuses everybody always has room. Without a rest it would swallow the whole queue
//! in a moment, one failed connect after the other. Pools without a queue have nobody who could
//! wait meanwhile, and no rests.

use std::time::{Duration, Instant};

use crate::limits::{QUEUE_REST_FIRST, QUEUE_REST_MAX};

use super::Pool;

/// That a member rests, or did so lately.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Rest {
    /// Until then, and how long that was.
    last: Option<(Instant, Duration)>,
    is_on: bool,
}

impl Rest {
    /// Whether it rests.
    pub fn is_on(self) -> bool {
        self.is_on
    }

    fn begin(&mut self, now: Instant) {
        let is_recent = |end: Instant| now.saturating_duration_since(end) < QUEUE_REST_MAX;
        let length = match self.last {
            Some((end, length)) if is_recent(end) => (length * 2).min(QUEUE_REST_MAX),
            _ => QUEUE_REST_FIRST,
        };
        *self = Rest { last: Some((now + length, length)), is_on: true };
    }

    fn end_if_over(&mut self, now: Instant) -> bool {
        let is_over = self.is_on && self.last.is_none_or(|(end, _)| end <= now);
        self.is_on &= !is_over;
        is_over
    }
}

impl Pool {
    /// A connect to this member failed.
    pub(in super::super) fn rest(&mut self, index: usize, now: Instant) {
        if self.settings.queue.limit == 0 {
            return;
        }
        let Some(seat) = &mut self.seats[index] else { return };
        if !seat.rest.is_on() {
            seat.rest.begin(now);
            self.resting += 1;
            self.update(index);
        }
    }

    /// When the next one that rests may be picked again.
    pub(in super::super) fn next_rested(&self) -> Option<Instant> {
        if self.resting == 0 {
            return None;
        }
        let resting = self.taken().filter(|(_, seat)| seat.rest.is_on());
        resting.filter_map(|(_, seat)| Some(seat.rest.last?.0)).min()
    }

    /// Those whose rest is over may be picked again.
    pub(in super::super) fn end_rests(&mut self, now: Instant) {
        if self.resting == 0 {
            return;
        }
        for index in 0..self.seats.len() {
            let Some(seat) = &mut self.seats[index] else { continue };
            if seat.rest.end_if_over(now) {
                self.resting -= 1;
                self.update(index);
            }
        }
    }

    /// Forget that it rests, for it leaves.
    pub(super) fn forget_rest(&mut self, index: usize) {
        let Some(seat) = &mut self.seats[index] else { return };
        self.resting -= usize::from(seat.rest.is_on());
        seat.rest = Rest::default();
    }
}
