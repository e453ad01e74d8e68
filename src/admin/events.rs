//! What happened, for whoever listens: changes and who made them, backends that went up or down,
//! reloads. The last ones are kept; each has a number, so that who was away for a moment misses
//! none.

use std::collections::VecDeque;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::config::time_text;
use crate::limits::ADMIN_EVENTS_KEPT;

/// The last ones.
#[derive(Debug, Default)]
pub struct Events {
    /// The number of the next one.
    next: u64,
    kept: VecDeque<Event>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Event {
    /// Counted up, from 1.
    pub id: u64,
    /// `change`, `health`, `reload`, `audit`.
    pub kind: &'static str,
    /// What it was.
    pub data: Value,
}

impl Events {
    /// Something happened. `data` is an object.
    pub fn push(&mut self, kind: &'static str, mut data: Value, at: SystemTime) {
        self.next += 1;
        data["time"] = json!(time_text(at));
        if self.kept.len() == ADMIN_EVENTS_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Event { id: self.next, kind, data });
    }

    /// The number of the last one; zero if there was none.
    pub fn last(&self) -> u64 {
        self.next
    }

    /// The first one behind this number.
    pub fn behind(&self, id: u64) -> Option<&Event> {
        let first = self.kept.front()?.id;
        let at = id.saturating_add(1).saturating_sub(first);
        self.kept.get(usize::try_from(at).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_away_is_told_the_next_one_or_the_oldest_that_is_kept() {
        let mut events = Events::default();
        assert!(events.behind(0).is_none());
        for number in 1..=ADMIN_EVENTS_KEPT as u64 + 5 {
            events.push("change", json!({"n": number}), SystemTime::UNIX_EPOCH);
        }
        assert_eq!(events.behind(0).unwrap().id, 6, "five are forgotten");
        assert_eq!(events.behind(10).unwrap().id, 11);
        assert_eq!(events.behind(10).unwrap().data["n"], 11);
        assert!(events.behind(events.last()).is_none());
        assert!(events.behind(u64::MAX).is_none());
        assert_eq!(events.behind(10).unwrap().data["time"], "1970-01-01T00:00:00Z");
    }
}
