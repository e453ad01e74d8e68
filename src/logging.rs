//! The log, written so that it cannot block the loop.
//!
//! Lines go to standard error as long as that takes them, which is asked first: no write waits for
//! a reader. What it would not take is kept in an [`Outlet`], up to a limit; what is over the limit
//! is dropped, counted, and said as soon as there is somebody to say it to.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::LOG_BYTES_MAX;
use crate::outlet::{Manner, Outlet};

/// The log's buffer; clones share it.
#[derive(Debug, Clone, Default)]
pub struct LogSink {
    shared: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    outlet: Outlet,
    /// Lines dropped since the log last said so.
    unsaid: u64,
    /// Lines dropped since the start: the pages show it.
    dropped: Arc<AtomicU64>,
}

impl LogSink {
    /// Make this the destination of the `log` macros.
    pub fn install(&self, level: log::LevelFilter) {
        let target = env_logger::Target::Pipe(Box::new(self.clone()));
        // Every level passes here: what is below the one asked for, which can change, is stopped
        // before it becomes a line.
        let all = log::LevelFilter::Trace;
        let result = env_logger::Builder::new().filter_level(all).target(target).try_init();
        debug_assert!(result.is_ok(), "the log is installed once");
        log::set_max_level(level);
    }

    /// Whether lines wait for standard error.
    pub fn is_behind(&self) -> bool {
        !self.kept().outlet.is_empty()
    }

    /// Lines dropped since the start, always up to date.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.kept().dropped)
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
        let note = match self.unsaid {
            0 => String::new(),
            1 => "[1 log line was dropped here]\n".to_owned(),
            dropped => format!("[{dropped} log lines were dropped here]\n"),
        };
        if self.outlet.keep(&[note.as_bytes(), line].concat()) {
            self.unsaid = 0;
        } else {
            self.drop_lines(1);
        }
    }

    fn write(&mut self) {
        let written = self.outlet.write_to(&mut io::stderr(), Manner::AskFirst);
        // Nobody will ever read it. A full disk may have room again.
        if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            let lines = self.outlet.clear();
            self.drop_lines(lines);
        }
    }

    fn drop_lines(&mut self, lines: u64) {
        self.unsaid += lines;
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }
}

impl Default for Kept {
    fn default() -> Kept {
        Kept { outlet: Outlet::new(LOG_BYTES_MAX), unsaid: 0, dropped: Arc::default() }
    }
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
        assert_eq!(kept.outlet.len(), fit * line.len());
        assert_eq!(kept.unsaid, 3);
        kept.outlet.clear();
        kept.keep(b"and on\n");
        let note = b"[3 log lines were dropped here]\nand on\n";
        assert_eq!(kept.outlet.len(), note.len());
        assert_eq!((kept.unsaid, kept.dropped.load(Ordering::Relaxed)), (0, 3));
    }
}
