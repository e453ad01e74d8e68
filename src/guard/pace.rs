//! Whether a client that is waited for is too slow (`--min-rate`): by windows of the time in which
//! it was waited for.
//!
//! ```text
//!   waited for the client   ====      ======  ====|      such time alone counts: `after` of it
//!   waited for others           ......      ..    |      is a window
//!   what moved              <-------------------->| at least rate * after, or it is too slow
//! ```
//!
//! Whoever alternates between both is measured all the same; a slow backend only makes the window
//! longer. Looked at when a turn ends that leaves the client to be waited for, and by the pair's
//! timer: no read and no write costs anything. Pure: times and counts are passed in.

use std::time::{Duration, Instant};

use crate::config::MinRate;

/// The window of an exchange. Nothing, where no floor is set or the client was not waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    window: Option<Window>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    /// How much had moved when it began.
    moved: u64,
    /// For how long the client was waited for in it, the present time apart.
    waited: Duration,
    /// Since when it is waited for.
    since: Option<Instant>,
}

impl Pace {
    /// Whether the client `is_awaited` from now on. `moved` counts what moved on its side since the
    /// beginning; it is asked for only where a window begins.
    pub fn note(&mut self, is_awaited: bool, now: Instant, moved: impl FnOnce() -> u64) {
        match &mut self.window {
            Some(window) if is_awaited => {
                window.since.get_or_insert(now);
            }
            Some(window) => {
                if let Some(since) = window.since.take() {
                    window.waited += now.saturating_duration_since(since);
                }
            }
            None if is_awaited => {
                self.window =
                    Some(Window { moved: moved(), waited: Duration::ZERO, since: Some(now) });
            }
            None => {}
        }
    }

    /// When the window is over, if the client goes on to be waited for; `None` if it is not.
    pub fn ends(&self, floor: &MinRate) -> Option<Instant> {
        let window = self.window.as_ref()?;
        Some(window.since? + floor.after.saturating_sub(window.waited))
    }

    /// The window is over: whether so much moved in it that the next one may begin.
    pub fn is_enough(&mut self, floor: &MinRate, now: Instant, moved: u64) -> bool {
        let Some(window) = &mut self.window else { return true };
        let enough = moved.saturating_sub(window.moved) >= floor.wanted();
        *window = Window { moved, waited: Duration::ZERO, since: Some(now) };
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: MinRate = MinRate { rate: 500, after: Duration::from_secs(10) };

    #[test]
    fn only_time_for_which_the_client_is_waited_for_counts() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::default();
        pace.note(false, at(0), || unreachable!());
        assert_eq!(pace.ends(&FLOOR), None);
        pace.note(true, at(1), || 100);
        assert_eq!(pace.ends(&FLOOR), Some(at(11)));
        pace.note(true, at(4), || unreachable!());
        assert_eq!(pace.ends(&FLOOR), Some(at(11)), "bytes in between begin no window");
        pace.note(false, at(5), || unreachable!());
        assert_eq!(pace.ends(&FLOOR), None, "a slow backend");
        pace.note(false, at(500), || unreachable!());
        pace.note(true, at(1000), || unreachable!());
        assert_eq!(pace.ends(&FLOOR), Some(at(1006)), "4 s of 10 s are over");
        assert!(pace.is_enough(&FLOOR, at(1006), 5100));
        assert_eq!(pace.ends(&FLOOR), Some(at(1016)));
        assert!(!pace.is_enough(&FLOOR, at(1016), 5100 + 4999));
    }

    #[test]
    fn a_floor_of_a_byte_wants_a_byte() {
        let start = Instant::now();
        let floor = MinRate { rate: 1, after: Duration::from_millis(100) };
        let mut pace = Pace::default();
        pace.note(true, start, || 7);
        assert!(!pace.is_enough(&floor, start, 7));
        assert!(pace.is_enough(&floor, start, 8));
    }
}
