//! History: a look at the counters each second, in slices, where somebody may ask for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::admin::look::Look;
use crate::admin::recorder::Recorder;
use crate::limits::STEP_TIME;

use super::EventLoop;

impl EventLoop {
    /// The memory that history may take is known, or has changed. Where nobody can ask for it
    /// there is none.
    pub(super) fn set_history(&mut self) {
        let admin = &self.directory.desired.process.admin;
        // Without memory the last second is known all the same.
        let bytes = usize::try_from(admin.history_memory.unwrap_or(0)).unwrap_or(usize::MAX);
        match (!admin.listen.is_empty(), &mut self.recorder) {
            (true, Some(recorder)) => recorder.limit(bytes),
            (true, None) => {
                self.recorder = Some(Recorder::new(bytes));
                self.cx.timers.arm(self.chores.history, self.cx.now + until_next_second());
            }
            (false, _) => self.recorder = None,
        }
    }

    /// A second is over.
    pub(super) fn begin_to_record(&mut self) {
        let Some(recorder) = &mut self.recorder else { return };
        recorder.begin(unix_seconds(), &mut self.cx, &self.directory);
        self.cx.timers.arm(self.chores.history, self.cx.now + until_next_second());
    }

    /// Some of what there is to look at.
    pub(super) fn record(&mut self) {
        let Some(recorder) = self.recorder.as_mut().filter(|it| it.is_busy()) else { return };
        let mut share = self.pace.share(STEP_TIME, usize::MAX);
        while recorder.is_busy() && share.allows(&mut self.pace) {
            recorder.step(&mut self.cx, &self.directory);
            share.note_large();
        }
        if !recorder.is_busy() && self.live.watchers() > 0 && self.look.is_none() {
            self.look = Some(Look::begin(recorder.last()));
        }
    }
}

/// Since 1970.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// By the clock of the wall, so that points of all processes are of the same seconds.
fn until_next_second() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // A timer may fire a little before its time.
    Duration::from_secs(1) - Duration::from_nanos(u64::from(now.subsec_nanos()))
        + Duration::from_millis(1)
}
