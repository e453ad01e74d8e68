//! Up or down, by results in a row: hysteresis, so that one blip flips nobody.
//!
//! ```text
//!   Unknown --good--> Up         Unknown --bad--> Down        the first result decides
//!   Up      --bad x fall--> Down       any good one in between starts the count anew
//!   Down    --good x rise--> Up        any bad one in between starts the count anew
//! ```
//!
//! Unknown counts as up (pitfall 29): a balancer that just started serves at once, and retries
//! cover for a backend that is not there.

/// How many results in a row change a state; at least 1 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiseFall {
    /// Good ones that bring a backend up.
    pub rise: u32,
    /// Bad ones that take a backend down.
    pub fall: u32,
}

/// What is known of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerState {
    /// No result yet.
    #[default]
    Unknown,
    /// Up, with so many bad results in a row.
    Up(u32),
    /// Down, with so many good results in a row.
    Down(u32),
}

/// A change that matters to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flip {
    /// It counts as up from now on.
    Up,
    /// It counts as down from now on.
    Down,
}

impl ServerState {
    /// Of a server that is new; where it is not known where it is, nobody can be sent there.
    pub fn of_new(is_lost: bool) -> ServerState {
        if is_lost { ServerState::Down(0) } else { ServerState::Unknown }
    }

    /// Whether it counts as up.
    pub fn is_up(self) -> bool {
        !matches!(self, ServerState::Down(_))
    }

    /// Take in one result; says so if that changed whether the backend counts as up.
    pub fn observe(&mut self, good: bool, limits: RiseFall) -> Option<Flip> {
        let (next, flip) = match (*self, good) {
            (ServerState::Unknown | ServerState::Up(_), true) => (ServerState::Up(0), None),
            (ServerState::Unknown, false) => (ServerState::Down(0), Some(Flip::Down)),
            (ServerState::Up(bad), false) if bad + 1 >= limits.fall => {
                (ServerState::Down(0), Some(Flip::Down))
            }
            (ServerState::Up(bad), false) => (ServerState::Up(bad + 1), None),
            (ServerState::Down(_), false) => (ServerState::Down(0), None),
            (ServerState::Down(good), true) if good + 1 >= limits.rise => {
                (ServerState::Up(0), Some(Flip::Up))
            }
            (ServerState::Down(good), true) => (ServerState::Down(good + 1), None),
        };
        *self = next;
        flip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results as a word (`+` good, `-` bad), and the states after each (`U` up, `D` down).
    fn states(rise: u32, fall: u32, results: &str) -> String {
        let mut state = ServerState::default();
        let mut was_up = state.is_up();
        let step = |result| {
            let flip = state.observe(result == '+', RiseFall { rise, fall });
            let expected = match (was_up, state.is_up()) {
                (false, true) => Some(Flip::Up),
                (true, false) => Some(Flip::Down),
                _ => None,
            };
            assert_eq!(flip, expected, "a flip is said exactly when there is one");
            was_up = state.is_up();
            if state.is_up() { 'U' } else { 'D' }
        };
        results.chars().map(step).collect()
    }

    #[test]
    fn results_in_a_row_decide() {
        let table = [
            (2, 3, "+--+---", "UUUUUUD"),
            (2, 3, "+---+-++", "UUUDDDDU"),
            (2, 3, "-+-++", "DDDDU"),
            (1, 1, "+-+-", "UDUD"),
            (3, 2, "+--+++", "UUDDDU"),
        ];
        for (rise, fall, results, expected) in table {
            assert_eq!(states(rise, fall, results), expected, "{rise}/{fall} {results}");
        }
    }

    #[test]
    fn the_first_result_decides_at_once() {
        assert_eq!(states(5, 5, "-"), "D");
        assert_eq!(states(5, 5, "+"), "U");
    }
}
