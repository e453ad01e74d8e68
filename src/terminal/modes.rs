//! The modes of the terminal, and that they are given back whatever the end is.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The alternate screen, no cursor, no wrapping at the right edge.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
/// All of it back, and a frame that was under way ended.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Raw mode and the alternate screen while it lives.
pub struct Modes {
    before: Termios,
    /// Whether the terminal is ours now; the hook for panics has it too.
    is_taken: Arc<AtomicBool>,
}

impl Modes {
    /// Take the terminal, and see to it that a panic gives it back before it says anything.
    pub fn enter() -> io::Result<Modes> {
        let modes = Modes {
            before: tcgetattr(io::stdin())?,
            is_taken: Arc::new(AtomicBool::new(false)),
        };
        let before = modes.before.clone();
        let is_taken = Arc::clone(&modes.is_taken);
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back(&before, &is_taken);
            next(info);
        }));
        modes.take()?;
        Ok(modes)
    }

    /// Take it, again or for the first time.
    pub fn take(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        self.is_taken.store(true, Ordering::SeqCst);
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        let mut out = io::stdout().lock();
        out.write_all(ENTER)?;
        out.flush()
    }

    /// As it was before.
    pub fn leave(&self) {
        give_back(&self.before, &self.is_taken);
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Written past standard output's lock, which whoever panics may hold.
fn give_back(before: &Termios, is_taken: &AtomicBool) {
    if !is_taken.swap(false, Ordering::SeqCst) {
        return;
    }
    // A terminal that is gone needs nothing, and nobody could be told.
    let _ = rustix::io::write(io::stdout(), LEAVE);
    // What was typed ahead was meant for us, not for the shell: hence `Flush`.
    let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
}
