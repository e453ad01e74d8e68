//! Copies of requests: begun and freed by the turn, in a small share of it.

use crate::limits::{MIRROR_TIME, MIRRORS_MAX, STEP_TIME};

use super::EventLoop;

impl EventLoop {
    /// Whether the next turn has copies to begin, to end or to free.
    pub(super) fn has_mirrors_left(&self) -> bool {
        let copies = &self.cx.copies;
        copies.has_waiting() || copies.has_given_way() || self.mirrors.has_over()
    }

    /// End those that gave way where descriptors ran out; then begin those that wait, as far as the
    /// time goes.
    pub(super) fn start_mirrors(&mut self) {
        if !self.mirrors.is_empty() || self.cx.copies.has_given_way() {
            self.mirrors.give_way(&mut self.cx);
        }
        if !self.cx.copies.has_waiting() {
            return;
        }
        let mut share = self.pace.share(MIRROR_TIME, MIRRORS_MAX);
        while self.cx.copies.has_waiting() && share.allows(&mut self.pace) {
            let Some(copy) = self.cx.copies.take() else { return };
            self.mirrors.start(copy, &mut self.cx);
            // A connect may take long; see `EventLoop::with_pair`.
            share.note_large();
        }
    }

    /// Close the sockets of those that are over, as far as the time goes.
    pub(super) fn reap_mirrors(&mut self) {
        if !self.mirrors.has_over() {
            return;
        }
        let mut share = self.pace.share(STEP_TIME, MIRRORS_MAX);
        while self.mirrors.has_over() && share.allows(&mut self.pace) {
            self.mirrors.reap_one(&mut self.cx);
        }
    }
}
