//! History that survives a restart: minutes are appended to a file, and the file is written anew at
//! the start and each day.
//!
//! ```text
//!   a minute is over --> one thing after the other is put in --> appended in one write
//!   a start, a day   --> the same for each minute of the last day, in a new file --> renamed
//! ```

use std::io;
use std::ops::Range;

use std::time::{SystemTime, UNIX_EPOCH};

use log::{info, warn};

use crate::admin::recorder::{Recorder, Subject};
use crate::config::io_words;
use crate::control::history_file::{self, HistoryFile};
use crate::limits::{HISTORY_FILE_MINUTES, OBSERVING_TIME, STATE_PAUSE};
use crate::stats::LogThrottle;

use super::EventLoop;

/// The file, and what is being written.
#[derive(Default)]
pub(super) struct Archive {
    path: Option<String>,
    /// The one at the path, once this process has written it.
    file: Option<HistoryFile>,
    /// The one that takes its place once it has all.
    new: Option<HistoryFile>,
    /// The minutes that are to be written.
    minutes: Range<u64>,
    /// What was put into the first of them last.
    last: Option<Subject>,
    /// The minute that it is; zero at first.
    now: u64,
    warnings: LogThrottle,
}

impl Archive {
    /// At this path, if there is one.
    pub fn new(path: Option<String>) -> Archive {
        Archive { path, ..Archive::default() }
    }

    /// Another process writes it from now on.
    pub fn hand_over(&mut self) {
        self.give_up();
        self.path = None;
    }

    /// Whether something is being written.
    pub fn is_busy(&self) -> bool {
        !self.minutes.is_empty()
    }

    /// The minutes before this one are over.
    fn begin(&mut self, minute: u64) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        if self.is_busy() {
            // Not up to wherever a clock jumps that is set.
            let end = minute.min(self.minutes.start + HISTORY_FILE_MINUTES);
            self.minutes.end = self.minutes.end.max(end);
            return Ok(());
        }
        self.last = None;
        self.minutes = minute.saturating_sub(1)..minute;
        if self.file.as_ref().is_none_or(HistoryFile::is_long) {
            self.new = Some(HistoryFile::create(path)?);
            self.minutes.start = minute.saturating_sub(HISTORY_FILE_MINUTES);
        }
        Ok(())
    }

    /// Puts in one more thing, or appends what was put in.
    fn step(&mut self, recorder: &Recorder) -> io::Result<()> {
        let Some(file) = self.new.as_mut().or(self.file.as_mut()) else {
            self.minutes = 0..0;
            return Ok(());
        };
        let minute = self.minutes.start;
        if let Some(next) = recorder.behind(self.last.as_ref()) {
            if let Some(track) = recorder.track(&next) {
                let of = next.text();
                for (name, value) in track.names().zip(track.minute(minute)) {
                    file.put(&format!("{of} {name}"), value);
                }
            }
            self.last = Some(next);
            return Ok(());
        }
        self.last = None;
        self.minutes.start += 1;
        file.append(minute)?;
        if self.minutes.is_empty()
            && let Some(new) = self.new.take()
        {
            new.put_in_place()?;
            self.file = Some(new);
        }
        Ok(())
    }

    /// It failed: the next minute tries again, with a new file.
    fn give_up(&mut self) {
        self.minutes = 0..0;
        self.new = None;
        self.file = None;
    }
}

impl EventLoop {
    /// Go on from what another process wrote.
    pub fn restore_history(&mut self) {
        let (Some(path), Some(recorder)) =
            (&self.observing.archive.path, &mut self.observing.recorder)
        else {
            return;
        };
        let past = match history_file::read(path) {
            Ok(past) => past,
            Err(error) => {
                return warn!("cannot read the history in {path}: {}", io_words(&error));
            }
        };
        if past.torn > 0 {
            warn!("{} bytes of the history in {path} are torn: there are gaps", past.torn);
        }
        let columns: Vec<Option<(Subject, &str)>> =
            past.names.iter().map(|it| column(it)).collect();
        let mut minutes = past.minutes;
        // One that is still to come would push out those that were.
        minutes.retain(|(minute, _)| *minute <= unix_seconds() / 60);
        minutes.sort_unstable_by_key(|(minute, _)| *minute);
        for (minute, row) in &minutes {
            for (column, point) in columns.iter().zip(row) {
                if let Some((of, name)) = column {
                    recorder.restore(of, name, *minute, point.value());
                }
            }
        }
        if let Some((first, _)) = minutes.first() {
            let last = minutes.last().map_or(*first, |(last, _)| *last);
            info!("history of {} minutes, over {}, goes on", minutes.len(), last - first + 1);
        }
    }

    /// It is this minute: those before are over.
    pub(super) fn begin_to_archive(&mut self, minute: u64) {
        let before = std::mem::replace(&mut self.observing.archive.now, minute);
        if before == 0 || before == minute {
            return;
        }
        if let Err(error) = self.observing.archive.begin(minute) {
            self.say_not_archived(&error);
        }
    }

    /// Some of what there is to be written.
    pub(super) fn archive(&mut self) {
        if !self.observing.archive.is_busy() {
            return;
        }
        let mut share = self.pace.share(OBSERVING_TIME, usize::MAX);
        while self.observing.archive.is_busy() && share.allows(&mut self.pace) {
            let Some(recorder) = &self.observing.recorder else {
                return self.observing.archive.give_up();
            };
            if let Err(error) = self.observing.archive.step(recorder) {
                self.say_not_archived(&error);
            }
            share.note_large();
        }
    }

    fn say_not_archived(&mut self, error: &io::Error) {
        self.observing.archive.give_up();
        self.cx.stats.history_failures += 1;
        if self.observing.archive.warnings.allows(self.cx.now, STATE_PAUSE) {
            let path = self.observing.archive.path.as_deref().unwrap_or_default();
            warn!("cannot write the history to {path}: {}", io_words(error));
        }
    }
}

/// What a column is of, and which series it is. A name has no space in it but those of its own.
fn column(name: &str) -> Option<(Subject, &str)> {
    let (of, name) = name.rsplit_once(' ')?;
    Some((Subject::read(of)?, name))
}

/// Since 1970.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_while_a_file_is_written_gives_no_work_for_years() {
        let path = std::env::temp_dir().join(format!("pointsman-set-{}", std::process::id()));
        let path = path.display().to_string();
        let mut archive = Archive::new(Some(path.clone()));
        archive.begin(1_000).unwrap();
        archive.begin(30_000_000).unwrap();
        assert!(archive.minutes.clone().count() as u64 <= HISTORY_FILE_MINUTES);
        let before = archive.minutes.clone();
        archive.begin(0).unwrap();
        assert_eq!(archive.minutes, before, "nor does it forget what is under way");
        archive.give_up();
        archive.begin(0).unwrap();
        assert!(!archive.is_busy(), "nothing was before 1970");
        std::fs::remove_file(format!("{path}.new")).unwrap();
    }
}
