//! Let the world and the peers, who inherit it, go before whatever else runs here: a neighbour's
//! few milliseconds are a peer's 99th percentile. For root only; the report says how it was.

use std::fs;

/// What a session is among the others: Linux gives each its part of a processor first, and looks at
/// the processes in it then.
const SESSION: &str = "/proc/self/autogroup";

/// How far ahead one can be.
const FIRST: i32 = -20;

/// This session goes first until this is dropped.
pub struct First {
    before: Option<i32>,
}

impl First {
    /// Failing, all is as it was, and the foreign load says what that means.
    pub fn go() -> First {
        let _ = rustix::process::setpriority_process(None, FIRST);
        let before = of_session();
        let _ = fs::write(SESSION, FIRST.to_string());
        First { before }
    }
}

impl Drop for First {
    fn drop(&mut self) {
        // The shell that we were started from is of the same session.
        if let Some(before) = self.before {
            let _ = fs::write(SESSION, before.to_string());
        }
    }
}

/// "/autogroup-110 nice 0"
fn of_session() -> Option<i32> {
    let line = fs::read_to_string(SESSION).ok()?;
    line.split_whitespace().next_back()?.parse().ok()
}

/// How it is, in words.
pub fn said() -> String {
    let process = rustix::process::getpriority_process(None).unwrap_or(0);
    let session = of_session().map_or("none".to_owned(), |nice| nice.to_string());
    format!("nice {process}, of the session {session}, for all that is measured")
}
