//! The log, written so that it cannot block the loop.
//!
//! Lines go to standard error as long as that takes them, which is asked first: no write waits for
//! a reader. What it would not take is kept in an [`Outlet`], up to a limit; what is over the limit
//! is dropped, counted, and said as soon as there is somebody to say it to.
//!
//! How a line looks is in [`format`]. Whoever does not say is given what standard error is: the
//! journal takes its priorities, all others text, with colours if it is a terminal.

mod format;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use log::Level;

use crate::config::LogFormat;
use crate::limits::{DEMO_LOG_LINES, LOG_BYTES_MAX};
use crate::outlet::{Manner, Outlet};
use format::Style;

/// The log's buffer; clones share it.
#[derive(Debug, Clone, Default)]
pub struct LogSink {
    shared: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    outlet: Outlet,
    style: Style,
    /// A message, and the line that is made of it: kept for their room.
    message: String,
    line: Vec<u8>,
    /// Lines dropped since the log last said so.
    unsaid: u64,
    /// Lines dropped since the start: the pages show it.
    dropped: Arc<AtomicU64>,
    /// The last lines, while somebody draws on the terminal and shows them there.
    held: Option<VecDeque<String>>,
}

impl LogSink {
    /// Make this the destination of the `log` macros.
    pub fn install(&self, level: log::LevelFilter, format: Option<LogFormat>) {
        self.set_format(format);
        let result = log::set_boxed_logger(Box::new(self.clone()));
        debug_assert!(result.is_ok(), "the log is installed once");
        log::set_max_level(level);
    }

    /// Lines look so from now on; like what standard error is, if nothing is said.
    pub fn set_format(&self, format: Option<LogFormat>) {
        let format = format.unwrap_or_else(|| {
            if is_journal() { LogFormat::Journald } else { LogFormat::Text }
        });
        let has_colours = std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
            && std::env::var_os("TERM").is_none_or(|it| it != "dumb");
        let colours = has_colours && io::stderr().is_terminal();
        self.kept().style = Style { format, colours };
    }

    /// Whether lines are for people to read as they are.
    pub fn is_text(&self) -> bool {
        self.kept().style.format == LogFormat::Text
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

    /// The last lines are kept for [`LogSink::held`] from now on, and none is written where
    /// somebody draws.
    pub fn hold(&self) {
        self.kept().held = Some(VecDeque::new());
    }

    /// The last lines.
    pub fn held(&self) -> Vec<String> {
        self.kept().held.iter().flatten().cloned().collect()
    }

    /// Lines are written again.
    pub fn release(&self) {
        self.kept().held = None;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A thread that panicked while logging left at worst half a line.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl log::Log for LogSink {
    /// The level asked for, which can change, stops all others before they come here.
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // Made outside of the lock: what is shown may log, too.
        let mut message = std::mem::take(&mut self.kept().message);
        message.clear();
        // because: what cannot be shown whole is shown as far as that went.
        let _ = write!(message, "{}", record.args());
        let mut kept = self.kept();
        kept.write();
        kept.say(record.level(), &message, SystemTime::now());
        kept.write();
        kept.message = message;
    }

    fn flush(&self) {
        self.write_kept();
    }
}

impl Kept {
    fn say(&mut self, level: Level, message: &str, now: SystemTime) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        match self.unsaid {
            0 => {}
            1 => {
                let note = "[1 log line was dropped here]";
                format::line(self.style, now, Level::Warn, note, &mut line);
            }
            dropped => {
                let note = format!("[{dropped} log lines were dropped here]");
                format::line(self.style, now, Level::Warn, &note, &mut line);
            }
        }
        // Whoever draws has colours of its own.
        let colours = self.style.colours && self.held.is_none();
        format::line(Style { colours, ..self.style }, now, level, message, &mut line);
        if self.hold(&line) && io::stderr().is_terminal() {
            // Whoever draws shows it.
        } else if self.outlet.keep(&line) {
            self.unsaid = 0;
        } else {
            self.drop_lines(1);
        }
        self.line = line;
    }

    /// Whether it was held, each line of it by itself.
    fn hold(&mut self, text: &[u8]) -> bool {
        let Some(held) = &mut self.held else { return false };
        held.extend(String::from_utf8_lossy(text).lines().map(str::to_owned));
        let over = held.len().saturating_sub(DEMO_LOG_LINES);
        held.drain(..over);
        true
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
        Kept {
            outlet: Outlet::new(LOG_BYTES_MAX),
            style: Style { format: LogFormat::Text, colours: false },
            message: String::new(),
            line: Vec::new(),
            unsaid: 0,
            dropped: Arc::default(),
            held: None,
        }
    }
}

/// Whether standard error is a stream of the journal: its device and inode are in the environment
/// (systemd.exec(5)), which is handed down to those whose standard error is another.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(found) = rustix::fs::fstat(io::stderr()) else { return false };
    // Their types are not the same on all systems.
    names(&stream, found.st_dev.into(), found.st_ino.into())
}

/// Whether that is `DEVICE:INODE` of these, as decimals.
fn names(stream: &str, device: i128, inode: i128) -> bool {
    let parts = stream.split_once(':');
    parts.is_some_and(|(dev, ino)| dev.parse() == Ok(device) && ino.parse() == Ok(inode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn the_last_lines_are_held_while_somebody_draws() {
        let mut kept = Kept::default();
        assert!(!kept.hold(b"before\n"));
        kept.held = Some(VecDeque::new());
        (0..=DEMO_LOG_LINES).for_each(|n| assert!(kept.hold(format!("{n}\n").as_bytes())));
        assert!(kept.hold(b"a\nb\n"));
        let held = kept.held.unwrap_or_default();
        assert_eq!(held.len(), DEMO_LOG_LINES);
        assert_eq!((&*held[0], &*held[DEMO_LOG_LINES - 1]), ("3", "b"));
    }

    #[test]
    fn what_is_over_the_limit_is_dropped_counted_and_said() {
        for (format, note) in [
            (LogFormat::Text, "WARN  [3 log lines were dropped here]\n"),
            (LogFormat::Journald, "<4>[3 log lines were dropped here]\n"),
            (LogFormat::Json, "\"message\":\"[3 log lines were dropped here]\"}\n"),
        ] {
            let mut kept = Kept { style: Style { format, colours: false }, ..Kept::default() };
            let now = SystemTime::UNIX_EPOCH;
            let message = "x".repeat(1000);
            kept.say(Level::Info, &message, now);
            let fit = LOG_BYTES_MAX / kept.outlet.len();
            (1..fit + 3).for_each(|_| kept.say(Level::Info, &message, now));
            assert_eq!(kept.unsaid, 3);
            kept.outlet.clear();
            kept.say(Level::Info, "and on", now);
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            kept.outlet.write_to(&mut File::from(writer), Manner::AtOnce).unwrap();
            let text = io::read_to_string(File::from(reader)).unwrap();
            assert!(text.contains(note) && text.lines().count() == 2, "{text}");
            assert_eq!((kept.unsaid, kept.dropped.load(Ordering::Relaxed)), (0, 3));
        }
    }

    #[test]
    fn the_journal_is_known_by_its_device_and_inode() {
        assert!(names("8:42", 8, 42));
        for other in ["", "8", "8:", ":42", "8:43", "9:42", "8:42:1", "42:8", "8: 42"] {
            assert!(!names(other, 8, 42), "{other}");
        }
    }
}
