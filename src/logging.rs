//! The log, written so that it cannot block the loop.
//!
//! Lines go to standard error as long as that takes them. Whether it does is asked first (a pipe
//! that can be written takes at least a page, a terminal that is held back says so), so no write
//! waits for a reader. What it would not take is kept, up to a limit; what is over the limit is
//! dropped, counted, and said as soon as there is somebody to say it to.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::limits::LOG_BYTES_MAX;

/// A pipe takes this much without blocking whenever it can be written at all (PIPE_BUF, pipe(7)).
const CHUNK_BYTES: usize = 4096;

/// The log's buffer; clones share it.
#[derive(Debug, Clone, Default)]
pub struct LogSink {
    shared: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: VecDeque<u8>,
    /// Lines dropped since the log last said so.
    unsaid: u64,
    dropped: u64,
}

impl LogSink {
    /// Make this the destination of the `log` macros.
    pub fn install(&self, level: log::LevelFilter) {
        let target = env_logger::Target::Pipe(Box::new(self.clone()));
        let result = env_logger::Builder::new().filter_level(level).target(target).try_init();
        debug_assert!(result.is_ok(), "the log is installed once");
    }

    /// Whether lines wait for standard error.
    pub fn is_behind(&self) -> bool {
        !self.kept().bytes.is_empty()
    }

    /// Lines dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.kept().dropped
    }

    /// Write what waits, as far as standard error takes it.
    pub fn write_kept(&self) {
        self.kept().write();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A thread that panicked while logging left at worst half a line.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `env_logger` hands over one line a call.
impl Write for LogSink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut kept = self.kept();
        kept.write();
        kept.keep(line);
        kept.write();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_kept();
        Ok(())
    }
}

impl Kept {
    fn keep(&mut self, line: &[u8]) {
        if self.bytes.len() + line.len() > LOG_BYTES_MAX {
            self.unsaid += 1;
            self.dropped += 1;
            return;
        }
        if self.unsaid > 0 {
            let dropped = std::mem::take(&mut self.unsaid);
            self.bytes.extend(format!("[{dropped} log lines were dropped here]\n").bytes());
        }
        self.bytes.extend(line);
    }

    fn write(&mut self) {
        while !self.bytes.is_empty() && standard_error_takes_more() {
            let (front, _) = self.bytes.as_slices();
            let chunk = &front[..front.len().min(CHUNK_BYTES)];
            match io::stderr().write(chunk) {
                Ok(count) => drop(self.bytes.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Nobody will ever read it.
                Err(_) => self.bytes.clear(),
            }
        }
    }
}

fn standard_error_takes_more() -> bool {
    let stderr = io::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // A closed reader shows as an error, which the write then finds and ends the waiting.
    matches!(poll(&mut fds, Some(&at_once)), Ok(ready) if ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_limit_is_dropped_counted_and_said() {
        let mut kept = Kept::default();
        let line = [b'x'; 1000];
        let fit = LOG_BYTES_MAX / line.len();
        (0..fit + 3).for_each(|_| kept.keep(&line));
        assert_eq!(kept.bytes.len(), fit * line.len());
        assert_eq!(kept.unsaid, 3);
        kept.bytes.clear();
        kept.keep(b"and on\n");
        let text: Vec<u8> = kept.bytes.iter().copied().collect();
        assert_eq!(text, b"[3 log lines were dropped here]\nand on\n");
        assert_eq!((kept.unsaid, kept.dropped), (0, 3));
    }
}
