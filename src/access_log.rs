//! The access log: a line for each exchange of HTTP, each TCP connection and each flow of UDP,
//! once it is over.
//!
//! ```text
//!   relay::account --Record--> a format --line--> Outlet --once a turn--> file
//!                               combined, haproxy, json, custom
//! ```
//!
//! The formats are pure functions of a [`Record`]; what clients wrote is escaped in all of them.
//! The lines of a turn go out in one write, and a pipe gets them only as far as it takes them. What
//! finds no room is dropped and counted, and now and then the other log says how many that were.
//! Called by the rooms of `relay` for each line, and by the event loop once a turn.

mod cause;
mod combined;
mod custom;
mod ending;
mod haproxy;
mod json;
mod record;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Instant, SystemTime};

use log::{info, warn};
use rustix::fs::OFlags;

use crate::config::{AccessLogFormat, AccessLogPlace, counted};
use crate::limits::{ACCESS_LOG_BYTES_MAX, ACCESS_LOG_FLUSH_BYTES, ACCESS_LOG_WARNINGS};
use crate::outlet::{Manner, Outlet};

pub use cause::Cause;
pub use ending::{Ending, When, Who};
pub use record::{AskedFor, Counts, InFront, Record, ServedBy, Times, TlsFacts, What, Why};

/// The log and where it goes.
#[derive(Debug)]
pub struct AccessLog {
    place: AccessLogPlace,
    file: File,
    manner: Manner,
    format: AccessLogFormat,
    outlet: Outlet,
    /// The line that is being made.
    line: Vec<u8>,
    /// The file took nothing the last time: it is tried again later, not each turn.
    stuck: bool,
    dropped: u64,
    /// Lines dropped since somebody was told.
    unsaid: u64,
    said_at: Option<Instant>,
    /// Why the file took nothing, if it said.
    why: Option<io::Error>,
    /// What was told of that.
    told: Told,
    /// The time of day at a turn's time.
    clock: (Instant, SystemTime),
}

/// What people were told of a file, and when they last heard of trouble with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It is written.
    Fine(Option<Instant>),
    /// It cannot be written.
    Trouble(Instant),
}

impl AccessLog {
    /// A log at this place, whose file is opened or made.
    pub fn open(
        place: &AccessLogPlace,
        format: AccessLogFormat,
        now: Instant,
    ) -> io::Result<AccessLog> {
        let (file, manner) = open(place)?;
        Ok(AccessLog {
            place: place.clone(),
            file,
            manner,
            format,
            outlet: Outlet::new(ACCESS_LOG_BYTES_MAX),
            line: Vec::new(),
            stuck: false,
            dropped: 0,
            unsaid: 0,
            said_at: None,
            why: None,
            told: Told::Fine(None),
            clock: (now, SystemTime::now()),
        })
    }

    /// Why none could be opened at this place, as far as can be seen without making the file, or
    /// hanging up on the reader of a pipe.
    pub fn check(place: &AccessLogPlace) -> io::Result<()> {
        let AccessLogPlace::File(path) = place else { return Ok(()) };
        match path.metadata() {
            Ok(found) if found.is_file() || found.is_dir() => {
                OpenOptions::new().append(true).open(path).map(|_| ())
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
                folder.map_or(Ok(()), |folder| folder.metadata().map(|_| ()))
            }
            Err(error) => Err(error),
        }
    }

    /// The time of day that `then` was, seen from this turn.
    pub fn time_of(&mut self, then: Instant, now: Instant) -> SystemTime {
        if self.clock.0 != now {
            self.clock = (now, SystemTime::now());
        }
        let ago = now.saturating_duration_since(then);
        self.clock.1.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Add a line.
    pub fn add(&mut self, record: &Record<'_>) {
        self.line.clear();
        let line = &mut self.line;
        match &self.format {
            AccessLogFormat::Combined => combined::line(record, line),
            AccessLogFormat::Haproxy => haproxy::line(record, line),
            AccessLogFormat::Json => json::line(record, line),
            AccessLogFormat::Custom(format) => custom::line(format, record, line),
        }
        self.line.push(b'\n');
        if self.outlet.len() > ACCESS_LOG_FLUSH_BYTES {
            self.flush();
        }
        if !self.outlet.keep(&self.line) {
            self.drop_lines(1);
        }
        // One line of many heads is no reason to keep the room for it.
        if self.line.capacity() > ACCESS_LOG_FLUSH_BYTES {
            self.line = Vec::new();
        }
    }

    /// Write what waits, as far as the file takes it.
    pub fn flush(&mut self) {
        if self.outlet.is_empty() || self.stuck {
            return;
        }
        match self.outlet.write_to(&mut self.file, self.manner) {
            Ok(()) => self.why = None,
            Err(error) => {
                // Nobody will ever read it; a disk may have room again.
                if error.kind() == io::ErrorKind::BrokenPipe {
                    let lines = self.outlet.clear();
                    self.drop_lines(lines);
                }
                self.why = Some(error);
            }
        }
        self.stuck = !self.outlet.is_empty();
    }

    /// The same, even if the last try failed.
    pub fn try_again(&mut self) {
        self.stuck = false;
        self.flush();
    }

    /// Whether lines wait that the file did not take.
    pub fn is_behind(&self) -> bool {
        self.stuck
    }

    /// The same, for whoever knows of more of them.
    pub fn dropped_mut(&mut self) -> &mut u64 {
        &mut self.dropped
    }

    /// Lines dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many bytes wait.
    pub fn waiting(&self) -> usize {
        self.outlet.len()
    }

    /// Tell of a file that takes nothing as soon as it does, and of lines dropped, now and then;
    /// at the end, at once.
    pub fn tell(&mut self, now: Instant) {
        self.tell_of_trouble(now);
        let lately = |at: Instant| now.saturating_duration_since(at) < ACCESS_LOG_WARNINGS;
        if !self.said_at.is_some_and(lately) {
            self.tell_of_losses(now);
        }
    }

    fn tell_of_losses(&mut self, now: Instant) {
        if self.unsaid == 0 {
            return;
        }
        let lines = std::mem::take(&mut self.unsaid);
        let lines = counted(usize::try_from(lines).unwrap_or(usize::MAX), "line");
        self.said_at = Some(now);
        match &self.why {
            Some(error) => warn!("{lines} of the access log dropped: {error}"),
            None => warn!("{lines} of the access log dropped: nobody reads them"),
        }
    }

    /// It takes the place of another: what that one lost is counted on.
    pub fn follow(&mut self, before: &AccessLog) {
        self.dropped += before.dropped;
    }

    /// The process ends, or writes another one: what cannot be written now is lost.
    pub fn finish(&mut self, now: Instant) {
        self.try_again();
        let lines = self.outlet.clear();
        self.drop_lines(lines);
        self.tell_of_trouble(now);
        self.tell_of_losses(now);
    }

    /// Its lines are not lost yet, but will be if that lasts.
    fn tell_of_trouble(&mut self, now: Instant) {
        let lately = |at: Instant| now.saturating_duration_since(at) < ACCESS_LOG_WARNINGS;
        match (&self.why, self.told) {
            (Some(error), Told::Fine(before))
                if error.kind() != io::ErrorKind::BrokenPipe && !before.is_some_and(lately) =>
            {
                self.told = Told::Trouble(now);
                let place = &self.place;
                let room = ACCESS_LOG_BYTES_MAX / 1024;
                warn!(
                    "the access log {place} cannot be written: {error}; up to {room} KiB of it \
                     are kept until it can"
                );
            }
            (None, Told::Trouble(at)) => {
                self.told = Told::Fine(Some(at));
                info!("the access log {} is written again", self.place);
            }
            _ => {}
        }
    }

    /// Open the file anew: the old one was moved away. If that fails the old one is kept.
    pub fn reopen(&mut self) {
        if self.place == AccessLogPlace::Stdout {
            return;
        }
        self.try_again();
        match open(&self.place) {
            Ok((file, manner)) => {
                self.file = file;
                self.manner = manner;
                if self.outlet.begin_anew() {
                    self.drop_lines(1);
                }
                self.try_again();
                info!("opened the access log {} anew", self.place);
            }
            Err(error) => {
                warn!(
                    "cannot open the access log {} anew, the old one is kept: {error}",
                    self.place
                );
            }
        }
    }

    fn drop_lines(&mut self, lines: u64) {
        self.dropped += lines;
        self.unsaid += lines;
    }
}

/// A named pipe is opened nonblocking, so that neither this nor a write waits for its reader. The
/// standard output belongs to others as well, and is left as it is.
fn open(place: &AccessLogPlace) -> io::Result<(File, Manner)> {
    match place {
        AccessLogPlace::Stdout => {
            let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
            let plain = file.metadata().is_ok_and(|it| it.is_file());
            Ok((file, if plain { Manner::AtOnce } else { Manner::AskFirst }))
        }
        AccessLogPlace::File(path) => {
            let flags = OFlags::NONBLOCK.bits() as i32;
            let mut options = OpenOptions::new();
            let file = options.append(true).create(true).custom_flags(flags).open(path)?;
            Ok((file, Manner::AtOnce))
        }
    }
}
