//! How a backend stands, in one word and a reason: what the status page and `/stats` say of it.

use std::time::Instant;

use crate::config::AllDown;
pub use crate::stats::snapshot::Word;

use super::{Backend, BackendId, Backends, State};

/// As the status page and `/stats` show it; nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The word.
    pub word: Word,
    /// Since when, where that is known.
    pub since: Option<Instant>,
    /// Until when, where that is known.
    pub until: Option<Instant>,
    /// Why, where the word does not tell.
    pub reason: Option<String>,
}

impl Backend {
    /// How it stands.
    pub fn standing(&self) -> Standing {
        let word = self.word();
        let out = self.left_out().filter(|_| word == Word::Ejected);
        let reason = match word {
            Word::Down => Some(self.down_reason.to_string()),
            _ => out.map(|out| out.cause.to_string()),
        };
        let since = match word {
            Word::Up | Word::Down => Some(self.since),
            _ => out.map(|out| out.since),
        };
        Standing { word, since, until: out.map(|out| out.until), reason }
    }

    fn word(&self) -> Word {
        let full = self.max_connections.is_some_and(|limit| self.connections >= limit);
        match self.state {
            State::Down(_) => Word::Down,
            _ if !self.enabled || self.weight == 0 => Word::Draining,
            _ if self.left_out().is_some() => Word::Ejected,
            _ if full => Word::Full,
            State::Unknown => Word::Unknown,
            State::Up(_) => Word::Up,
        }
    }
}

impl Backends {
    /// The weight with which it is picked now, in units of 1 / [`crate::limits::WEIGHT_ONE`].
    pub fn weight_in_force(&self, id: BackendId) -> u32 {
        let backend = &self[id];
        let spread = self.policy.all_down == AllDown::Spread;
        let any_down = || backend.places.iter().any(|place| self.pool(place.pool).up() == 0);
        let there = backend.state.is_up() || spread && any_down();
        let in_force = there && backend.enabled && backend.left_out().is_none();
        if in_force { backend.effective_weight } else { 0 }
    }
}
