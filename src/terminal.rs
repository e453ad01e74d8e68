//! The terminal of a program that draws in place: raw mode, keys, frames, and the way back.
//!
//! It knows nothing of what is drawn, and is used by `top` and by the demo. It never blocks but in
//! [`Terminal::wait`], a `poll(2)` with a deadline over standard input and what else is watched.
//!
//! ```text
//!   lines of spans --screen--> bytes of what changed --> standard output
//!   standard input --keys--> Key \
//!   signals --pipe--> Size, Stop  +--> Happening, one at a time
//!   descriptors of others        /
//! ```
//!
//! The way back is taken on `Drop`, before a panic is told (a release build aborts, and drops
//! nothing), and around a stop by Ctrl-Z. SIGINT, SIGTERM and SIGHUP are events, so that a program
//! which they end drops its terminal first.

mod chart;
mod keys;
mod modes;
mod screen;
mod signals;
mod style;
mod text;

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use chart::{bar, sparkline};
pub use keys::{Key, Keys};
pub use screen::{Line, Screen, Size, Span};
pub use style::{Ink, Looks, Style};
pub use text::{cut, fit, fit_right, shown, width};

use modes::Modes;
use signals::Signals;

/// How long a lone escape byte may be the beginning of an arrow. Terminals send a key in one write;
/// a network between may cut it.
const ESCAPE_PATIENCE: Duration = Duration::from_millis(50);

/// What the waiting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// A key was pressed.
    Key(Key),
    /// It has another size, or was taken back after a stop: all has to be drawn anew.
    Resized(Size),
    /// This signal asks the program to end.
    Stop(i32),
    /// The watched descriptor of this index is ready.
    Ready(usize),
    /// The deadline has come.
    Late,
}

/// A terminal that is drawn on. Dropped, it is as it was before.
pub struct Terminal {
    modes: Modes,
    signals: Signals,
    keys: Keys,
    screen: Screen,
    /// When a lone escape is a key of its own.
    escape_at: Option<Instant>,
}

/// Whether both standard input and output are a terminal that can be drawn on.
pub fn is_usable() -> bool {
    let is_dumb = std::env::var("TERM").is_ok_and(|it| it == "dumb" || it.is_empty());
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

impl Terminal {
    /// Take it over.
    pub fn enter(looks: Looks) -> io::Result<Terminal> {
        let signals = Signals::install()?;
        let modes = Modes::enter()?;
        Ok(Terminal {
            modes,
            signals,
            keys: Keys::default(),
            screen: Screen::new(looks, size()),
            escape_at: None,
        })
    }

    /// How large it is.
    pub fn size(&self) -> Size {
        self.screen.size()
    }

    /// What is drawn from now on, from the top; only lines that differ are written.
    pub fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let bytes = self.screen.frame(lines);
        if bytes.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(bytes.as_bytes())?;
        out.flush()
    }

    /// The next thing that happens, at the latest when the deadline has come. `others` are watched
    /// for reading.
    pub fn wait(&mut self, until: Instant, others: &[BorrowedFd<'_>]) -> io::Result<Happening> {
        loop {
            if let Some(key) = self.keys.next_key() {
                self.escape_at = None;
                if key != Key::Ctrl('z') {
                    return Ok(Happening::Key(key));
                }
                self.stop_here()?;
                return Ok(Happening::Resized(self.take_back()?));
            }
            if let Some(happening) = self.on_signal()? {
                return Ok(happening);
            }
            let now = Instant::now();
            if self.escape_at.is_some_and(|it| it <= now) {
                self.escape_at = None;
                self.keys.give_up();
                continue;
            }
            let deadline = self.escape_at.map_or(until, |it| it.min(until));
            if let Some(happening) = self.poll(deadline, others)? {
                return Ok(happening);
            }
            if Instant::now() >= until {
                return Ok(Happening::Late);
            }
        }
    }

    fn poll(
        &mut self,
        deadline: Instant,
        others: &[BorrowedFd<'_>],
    ) -> io::Result<Option<Happening>> {
        let stdin = io::stdin();
        let ours = std::iter::once(stdin.as_fd()).chain(self.signals.watched());
        let watched: Vec<BorrowedFd<'_>> = ours.chain(others.iter().copied()).collect();
        let ready = readable(&watched, deadline)?;
        let has_input = ready[0];
        let other = ready[ready.len() - others.len()..].iter().position(|&it| it);
        if has_input && !self.read_keys()? {
            // Nobody is at the terminal any more.
            return Ok(Some(Happening::Stop(signals::HANGUP)));
        }
        Ok(other.filter(|_| !self.keys.has_some()).map(Happening::Ready))
    }

    /// False at the end of the input.
    fn read_keys(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 1024];
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(0) | Err(rustix::io::Errno::IO) => return Ok(false),
            Ok(count) => self.keys.feed(&bytes[..count]),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        self.escape_at = self.keys.is_cut().then(|| Instant::now() + ESCAPE_PATIENCE);
        Ok(true)
    }

    fn on_signal(&mut self) -> io::Result<Option<Happening>> {
        let caught = self.signals.take();
        if let Some(signal) = caught.stop {
            return Ok(Some(Happening::Stop(signal)));
        }
        if caught.suspend {
            self.stop_here()?;
        }
        if caught.suspend || caught.resumed {
            return Ok(Some(Happening::Resized(self.take_back()?)));
        }
        if caught.resized {
            self.screen.resize(size());
            return Ok(Some(Happening::Resized(self.screen.size())));
        }
        Ok(None)
    }

    /// Stop as Ctrl-Z does, with the terminal as it was; returns once it goes on.
    fn stop_here(&mut self) -> io::Result<()> {
        self.modes.leave();
        signals::stop_job()
    }

    /// Whoever had the terminal meanwhile may have left it in any state.
    fn take_back(&mut self) -> io::Result<Size> {
        self.modes.take()?;
        self.screen.resize(size());
        Ok(self.screen.size())
    }
}

/// Which of these can be read, as soon as one can, or at the deadline; a signal ends it as well.
pub fn readable(watched: &[BorrowedFd<'_>], deadline: Instant) -> io::Result<Vec<bool>> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    };
    let mut watched: Vec<PollFd<'_>> =
        watched.iter().map(|it| PollFd::from_borrowed_fd(*it, PollFlags::IN)).collect();
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) => Ok(watched.iter().map(|it| !it.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(vec![false; watched.len()]),
        Err(error) => Err(error.into()),
    }
}

/// The size of standard output, or the usual one if it does not say.
fn size() -> Size {
    let found = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let found = found.filter(|it| it.ws_row > 0 && it.ws_col > 0);
    found.map_or(Size::USUAL, |it| Size { columns: it.ws_col.into(), rows: it.ws_row.into() })
}

/// End as a process does which this signal ends, so that a shell knows why.
pub fn end_by(signal: i32) {
    signals::end_by(signal);
}
