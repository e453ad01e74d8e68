//! One copy under way: what is sent, and what came back so far.

use std::time::Instant;

use crate::backends::{Course, ServerId};
use crate::context::Context;
use crate::event::{Key, PoolId, TimerKey};
use crate::http::{Asked, Lists};
use crate::limits::{HTTP_ANSWER_READ_BYTES, MIRROR_BYTES_PER_TURN, READ_WORK_BYTES};
use crate::net::{Connect, Fault, Received, Sent, Socket, Stream};
use crate::stats::Moved;

use super::answer::{Answer, Heard};

/// What is sent, and where.
pub(super) struct Way {
    pub pool: PoolId,
    pub server: ServerId,
    /// Which of the server's addresses it is at.
    pub course: Course,
    /// When its time is over, whichever address it is at.
    pub ends_at: Instant,
    pub asked: Asked,
    pub request: Vec<u8>,
}

/// A copy, whose socket is elsewhere.
pub(super) struct Mirror {
    /// In `Copies`, unless it gave way.
    pub socket: Key,
    pub way: Way,
    pub timer: TimerKey,
    /// Until when it has to be connected, or answered.
    pub deadline: Instant,
    pub is_connected: bool,
    /// Bytes of the request that were sent, and those that came.
    pub moved: Moved,
    /// It waits in the run queue.
    pub queued: bool,
    /// It is to be reaped, and nothing is to be done for it any more.
    pub is_over: bool,
    sent: usize,
    answer: Answer,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MirrorProgress {
    /// Nothing to do before the next event.
    Rest,
    /// There is more to hear.
    Again,
    /// The address did not take the connection.
    Refused(Fault),
    /// It is sent and answered.
    Answered,
    /// What came is no answer of HTTP, or the answer to half of the request.
    Bad,
    /// The connection broke.
    Broken(Fault),
}

impl Way {
    /// The address after the one that failed so, if there is one and time is left for it.
    pub fn next(&self, fault: Fault, cx: &Context) -> Option<Course> {
        let timeout = cx.backends.settings(Some(self.pool)).connect_timeout;
        self.course.next(fault, &cx.backends[self.server].addresses, timeout, cx.now)
    }

    /// Until when the address that it is at may take the connection.
    pub fn connects_by(&self, cx: &Context) -> Instant {
        let timeout = cx.backends.settings(Some(self.pool)).connect_timeout;
        let of = &cx.backends[self.server].addresses;
        self.course.deadline(of, timeout, cx.now).min(self.ends_at)
    }
}

impl Mirror {
    /// Of which nothing is sent yet.
    pub fn new(socket: Key, way: Way, timer: TimerKey, deadline: Instant) -> Mirror {
        let answer = Answer::new(way.asked);
        Mirror {
            socket,
            way,
            timer,
            deadline,
            is_connected: false,
            moved: Moved::default(),
            queued: false,
            is_over: false,
            sent: 0,
            answer,
        }
    }

    /// Get on as far as possible.
    pub fn proceed(
        &mut self,
        stream: &mut Stream,
        scratch: &mut [u8],
        lists: &mut Lists,
    ) -> MirrorProgress {
        if !self.is_connected {
            match stream.connect_outcome() {
                Connect::Pending => return MirrorProgress::Rest,
                Connect::Failed(fault) => return MirrorProgress::Refused(fault),
                Connect::Done => {}
            }
            self.is_connected = true;
            // Its timer finds that out when it fires.
            self.deadline = self.way.ends_at;
        }
        while self.sent < self.way.request.len() && stream.can_write() {
            match stream.send(&self.way.request[self.sent..]) {
                Sent::Bytes(count) => {
                    self.sent += count;
                    self.moved.to_backend += count as u64;
                }
                Sent::WouldBlock => break,
                Sent::Broken(fault) => return MirrorProgress::Broken(fault),
            }
        }
        self.listen(stream, scratch, lists)
    }

    fn listen(
        &mut self,
        stream: &mut Stream,
        scratch: &mut [u8],
        lists: &mut Lists,
    ) -> MirrorProgress {
        let most = HTTP_ANSWER_READ_BYTES.min(scratch.len());
        let mut budget = MIRROR_BYTES_PER_TURN;
        while stream.can_read() {
            if budget == 0 {
                return MirrorProgress::Again;
            }
            let count = match stream.receive(&mut scratch[..most]) {
                Received::Bytes(count) => count,
                Received::WouldBlock => break,
                Received::Eof if self.answer.may_end() => return self.answered(),
                Received::Eof => return MirrorProgress::Broken(Fault::CutShort),
                Received::Broken(fault) => return MirrorProgress::Broken(fault),
            };
            self.moved.to_client += count as u64;
            budget = budget.saturating_sub(count.max(READ_WORK_BYTES));
            match self.answer.hear(&scratch[..count], lists) {
                Heard::More => {}
                Heard::Whole => return self.answered(),
                Heard::Bad => return MirrorProgress::Bad,
            }
        }
        MirrorProgress::Rest
    }

    /// An answer is whole; what it is worth depends on what was asked.
    fn answered(&self) -> MirrorProgress {
        if self.sent == self.way.request.len() {
            MirrorProgress::Answered
        } else {
            MirrorProgress::Bad
        }
    }
}
