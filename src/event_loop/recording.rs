//! History: a look at the counters each second, in slices, where somebody may ask for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::admin::live::Live;
use crate::admin::look::Look;
use crate::admin::recorder::Recorder;
use crate::limits::OBSERVING_TIME;

use super::EventLoop;
use super::archiving::{Archive, unix_seconds};

/// What was, and what is.
pub(super) struct Observing {
    /// What was, where somebody may ask for it.
    pub recorder: Option<Recorder>,
    /// The same in a file.
    pub archive: Archive,
    /// What is, for those who watch.
    pub live: Live,
    /// A look for them that is under way.
    pub look: Option<Look>,
}

impl Observing {
    /// Nothing yet; history goes to this file, if it is to be kept.
    pub fn new(file: Option<String>) -> Observing {
        let archive = Archive::new(file);
        Observing { recorder: None, archive, live: Live::default(), look: None }
    }

    /// Whether there is something to do.
    pub fn is_busy(&self) -> bool {
        self.recorder.as_ref().is_some_and(Recorder::is_busy)
            || self.archive.is_busy()
            || self.has_to_look()
    }

    /// Whether those who watch are to be shown something.
    fn has_to_look(&self) -> bool {
        self.look.is_some() || self.live.is_awaited()
    }
}

impl EventLoop {
    /// Some of what there is to do.
    #[inline]
    pub(super) fn observe(&mut self) {
        if self.observing.is_busy() && !self.waits_for_place() {
            self.record();
            self.archive();
            if self.observing.has_to_look() {
                self.look_for_watchers();
            }
        }
    }

    /// The memory that history may take is known, or has changed. Where nobody can ask for it
    /// there is none.
    pub(super) fn set_history(&mut self) {
        let admin = &self.directory.desired.process.admin;
        // Without memory the last second is known all the same.
        let bytes = usize::try_from(admin.history_memory.unwrap_or(0)).unwrap_or(usize::MAX);
        match (!admin.listen.is_empty(), &mut self.observing.recorder) {
            (true, Some(recorder)) => recorder.limit(bytes),
            (true, None) => {
                self.observing.recorder = Some(Recorder::new(bytes));
                self.cx.timers.arm(self.chores.history, self.cx.now + until_next_second());
            }
            (false, Some(_)) => self.forget_history(),
            (false, None) => {}
        }
    }

    /// Nobody can ask for it any more, and nothing is counted for it.
    fn forget_history(&mut self) {
        self.observing.recorder = None;
        self.cx.turns_lately = None;
        self.cx.services.iter_mut().for_each(|(_, it)| it.traffic.unwatch());
        self.cx.backends.unwatch();
    }

    /// A second is over.
    pub(super) fn begin_to_record(&mut self) {
        let Some(recorder) = &mut self.observing.recorder else { return };
        recorder.begin(unix_seconds(), &mut self.cx, &self.directory);
        self.cx.timers.arm(self.chores.history, self.cx.now + until_next_second());
    }

    /// Some of what there is to look at.
    fn record(&mut self) {
        let Some(recorder) = self.observing.recorder.as_mut().filter(|it| it.is_busy()) else {
            return;
        };
        let mut share = self.pace.share(OBSERVING_TIME, usize::MAX);
        while recorder.is_busy() && share.allows(&mut self.pace) {
            recorder.step(&mut self.cx, &self.directory);
            share.note_large();
        }
        if recorder.is_busy() {
            return;
        }
        let second = recorder.last();
        self.count_watchers();
        self.begin_to_archive(second / 60);
        if self.observing.live.watchers() > 0 && self.observing.look.is_none() {
            self.observing.look = Some(Look::begin(second));
        }
    }
}

/// By the clock of the wall, so that points of all processes are of the same seconds.
fn until_next_second() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // A timer may fire a little before its time.
    Duration::from_secs(1) - Duration::from_nanos(u64::from(now.subsec_nanos()))
        + Duration::from_millis(1)
}
