//! Clients that waited until a backend had room are served, each as soon as one has.

use crate::limits::STEP_TIME;

use super::EventLoop;

impl EventLoop {
    /// Whoever can be served that waits, in their order. At the end of a turn, so that what was
    /// closed in it has room for the next turn's newcomers only once those have it who wait.
    pub(super) fn serve_waiting(&mut self) {
        if !self.cx.backends.anybody_waits() {
            return;
        }
        let mut share = self.pace.share(STEP_TIME, usize::MAX);
        while share.allows(&mut self.pace)
            && let Some(called) = self.cx.backends.call(self.cx.now)
        {
            if self.with_pair(called.pair, |pair, cx| pair.on_called(called.waited, cx)) {
                share.note_large();
            }
        }
    }

    /// Whether the next turn has somebody to serve who waits.
    pub(super) fn has_waiting_left(&self) -> bool {
        self.cx.backends.anybody_waits() && self.cx.backends.could_call()
    }
}
