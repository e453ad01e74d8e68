//! Signals of a program at a terminal: each has a pipe, in which a byte says that it came.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::process::{Signal, kill_current_process_group};
use signal_hook::consts::signal::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::low_level;

/// What a terminal that is gone amounts to.
pub const HANGUP: i32 = SIGHUP;

/// All that are caught.
const CAUGHT: [i32; 6] = [SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP, SIGCONT];

/// Their handlers, and what they left.
pub struct Signals {
    /// In the order of [`CAUGHT`].
    pipes: Vec<UnixStream>,
    ids: Vec<signal_hook::SigId>,
}

/// What came since the last look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Caught {
    /// This one asks for the end.
    pub stop: Option<i32>,
    /// The size may be another.
    pub resized: bool,
    /// It is to stop for a while.
    pub suspend: bool,
    /// It was stopped by force, and goes on.
    pub resumed: bool,
}

impl Signals {
    /// Catch them from now on.
    pub fn install() -> io::Result<Signals> {
        let mut signals = Signals { pipes: Vec::new(), ids: Vec::new() };
        for signal in CAUGHT {
            let (pipe, end) = UnixStream::pair()?;
            pipe.set_nonblocking(true)?;
            signals.pipes.push(pipe);
            signals.ids.push(low_level::pipe::register(signal, end)?);
        }
        Ok(signals)
    }

    /// What is readable once a signal came.
    pub fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pipes.iter().map(AsFd::as_fd)
    }

    /// What they were.
    pub fn take(&mut self) -> Caught {
        let mut bytes = [0; 64];
        let mut caught = Caught::default();
        for (signal, pipe) in CAUGHT.into_iter().zip(&mut self.pipes) {
            let mut came = false;
            while matches!(pipe.read(&mut bytes), Ok(count) if count > 0) {
                came = true;
            }
            if !came {
                continue;
            }
            match signal {
                SIGWINCH => caught.resized = true,
                SIGTSTP => caught.suspend = true,
                SIGCONT => caught.resumed = true,
                stop => caught.stop = Some(stop),
            }
        }
        caught
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            low_level::unregister(id);
        }
    }
}

/// Stop the job that this process is in, as the terminal would for Ctrl-Z.
pub fn stop_job() -> io::Result<()> {
    kill_current_process_group(Signal::STOP)?;
    Ok(())
}

/// End by this signal.
pub fn end_by(signal: i32) {
    // Its only failure is a signal that there is not; the exit code says the rest then.
    let _ = low_level::emulate_default_handler(signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_a_byte_in_the_pipe_and_is_told_once() {
        let mut signals = Signals::install().unwrap();
        assert_eq!(signals.take(), Caught::default());
        low_level::raise(SIGWINCH).unwrap();
        let caught = signals.take();
        assert!(caught.resized && caught.stop.is_none(), "{caught:?}");
        assert_eq!(signals.take(), Caught::default());
    }
}
