//! One direction of a pair: bytes from a source to a target, in order, exactly once.
//!
//! ```text
//!   source --receive--> scratch --send--> target            the common case: nothing is kept
//!                          |
//!                          +--> pooled buffer --send--> target      what it would not take now
//!   source --splice--> pipe --splice--> target              a direction that streams
//!
//!   Open ------- EOF from the source -------> Draining ---- all sent, the end is owed ---> Done
//!     |                                                                                   ^
//!     +--- the source broke: no FIN follows, or a torn stream would look complete ---------+
//!     +--- the target broke, and the rest of the source is not read (see Discard) --------+
//! ```
//!
//! The same pump serves both directions of TCP pairs and tunnels, and bodies of HTTP. It writes
//! before it reads (pitfall 4), reads only while the target takes bytes (so a slow reader costs one
//! buffer at most: pitfall 17), and returns when its budget is spent (pitfall 15).
//!
//! **It never spins** (pitfall 16). Each round takes a byte from the source, gives one to the
//! target, or ends a state; a round that does none of these is the last one before the next event.
//! That does not depend on what the sockets report: a source that stays readable after its end is
//! not read again, and a read of no bytes counts as one that would block.
//!
//! **Before it rests, it sets what its source wakes it for** (SO_RCVLOWAT): any byte, a large piece
//! if the direction is [patient](super::patience), or nothing while the target takes no more. That
//! is done in one place, at the end of a pump.

use std::io::IoSlice;
use std::time::Duration;

use crate::limits::{
    BYTES_PER_DIRECTION_PER_TURN, PATIENCE_LOOK, PATIENCE_LOOK_COUNTED, PATIENT_BYTES,
    PATIENT_BYTES_MIN, READ_WORK_BYTES, SPLICE_AFTER_READS, SPLICE_MESSAGE_BYTES_MIN,
    SPLICE_MOVE_BYTES_MIN, SPLICE_READ_BYTES_MIN, SPLICE_UNTIL_SMALL, STREAM_FROM_BYTES,
};
use crate::net::{Buffer, BufferPool, Fault, Pipe, Received, Sent, Socket, Wake};

use super::patience::Patience;

pub use crate::net::Buffers;

/// How far a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectionState {
    /// The source may still send.
    Open,
    /// The source has finished; what it sent is on its way.
    Draining,
    /// Nothing will move any more.
    Done,
}

/// One direction of a pair.
#[derive(Debug)]
pub struct Direction {
    state: DirectionState,
    /// What was read and not yet sent. Boxed, because most directions hold nothing most of the
    /// time.
    held: Option<Box<Held>>,
    /// Bytes that the target took, since the beginning.
    moved: u64,
    /// Large reads in a row while copying, small ones in a row while splicing.
    streak: u8,
    mode: Mode,
    end: SourceEnd,
    patience: Patience,
    /// What the source is set to wake us for.
    wake: Wake,
    /// Bytes of the message still to be read; a source that ends before them broke off.
    /// [`ENDLESS`] where the end of the connection is the end of the message.
    left: u64,
}

/// Until the source ends.
const ENDLESS: u64 = u64::MAX;

/// Why the pump stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pumped {
    /// There is nothing to do before the next event, or ever.
    Rest,
    /// The budget is spent; there is more to do.
    Again,
    /// The source broke; all that was read of it was sent on.
    SourceBroke(Fault),
    /// The target broke. What it had not taken is lost.
    TargetBroke(Fault),
}

/// Where the bytes are kept that were read and not yet sent.
#[derive(Debug)]
enum Held {
    Buffer(Buffer),
    Pipe(Pipe),
}

/// How bytes are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Copy,
    Splice,
    /// The target is gone, and the source has not noticed yet: its bytes are read and dropped, so
    /// that closing does not answer them with a reset that tears the other direction (pitfall 8).
    Discard,
}

/// The source's FIN on its way to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SourceEnd {
    None,
    Owed,
    Passed,
}

enum Flush {
    Empty,
    Blocked,
    Broken(Fault),
}

impl Default for Direction {
    fn default() -> Self {
        Direction {
            state: DirectionState::Open,
            held: None,
            moved: 0,
            streak: 0,
            mode: Mode::Copy,
            end: SourceEnd::None,
            patience: Patience::default(),
            wake: Wake::AnyByte,
            left: ENDLESS,
        }
    }
}

impl Direction {
    /// A direction in this state.
    #[cfg(test)]
    pub fn at(state: DirectionState) -> Direction {
        Direction { state, ..Direction::default() }
    }

    /// A direction whose patience is granted already.
    #[cfg(test)]
    pub fn proven() -> Direction {
        let mut direction = Direction::default();
        direction.patience.took(usize::MAX);
        direction
    }

    /// Another message follows in this direction, of which `bytes` are still to be read.
    pub fn begin(&mut self, bytes: u64) {
        debug_assert!(self.state != DirectionState::Draining, "the message before has ended");
        let large = (SPLICE_MESSAGE_BYTES_MIN..ENDLESS).contains(&bytes);
        let mode = if large { Mode::Splice } else { Mode::Copy };
        self.state = DirectionState::Open;
        self.mode = mode;
        self.streak = 0;
        self.end = SourceEnd::None;
        self.left = bytes;
        if large {
            self.patience.trust();
        }
    }

    /// How far the direction is.
    pub fn state(&self) -> DirectionState {
        self.state
    }

    /// Bytes that the target took, since the beginning.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Bytes that were read and not yet taken.
    pub fn held(&self) -> usize {
        match self.held.as_deref() {
            None => 0,
            Some(Held::Buffer(buffer)) => buffer.len(),
            Some(Held::Pipe(pipe)) => pipe.len(),
        }
    }

    /// Whether nothing of the source has come: no byte, and no end to pass on.
    pub fn is_untouched(&self) -> bool {
        self.moved == 0 && self.held() == 0 && self.end == SourceEnd::None
    }

    /// Whether what it reads is dropped.
    pub fn discards(&self) -> bool {
        self.mode == Mode::Discard
    }

    /// Nothing will move any more; what is held is dropped.
    pub fn end(&mut self, buffers: &mut Buffers<'_>) {
        self.release(buffers);
        self.state = DirectionState::Done;
    }

    /// The target is gone: drop what is held and what the source still sends.
    pub fn discard(&mut self, buffers: &mut Buffers<'_>) {
        self.release(buffers);
        self.mode = Mode::Discard;
        if self.state == DirectionState::Draining {
            self.state = DirectionState::Done;
        }
    }

    /// Once the direction is done, pass on the FIN. Not part of the pump, because the call is saved
    /// if the target is closed anyway.
    pub fn pass_end(&mut self, target: &mut impl Socket) {
        if self.end == SourceEnd::Owed {
            self.end = SourceEnd::Passed;
            target.finish_sending();
        }
    }

    /// Another target takes over from one that took nothing: it needs the FIN again.
    pub fn change_target(&mut self) {
        if self.end == SourceEnd::Passed {
            self.end = SourceEnd::Owed;
        }
    }

    /// When [`Direction::recheck`] is due: fewer bytes than SO_RCVLOWAT may have come, for which
    /// there is no event. `None` if none is needed.
    pub fn recheck_in(&self) -> Option<Duration> {
        match self.wake {
            Wake::AnyByte | Wake::Never => None,
            Wake::Piece(_) if self.left == ENDLESS => Some(PATIENCE_LOOK),
            Wake::Piece(_) => Some(PATIENCE_LOOK_COUNTED),
        }
    }

    /// If nothing came since the last recheck, set SO_RCVLOWAT back to one byte, so that the last
    /// piece causes an event.
    pub fn recheck(&mut self, source: &mut impl Socket) {
        if self.recheck_in().is_some() && !self.patience.recheck() {
            self.set_wake(Wake::AnyByte, source);
        }
    }

    /// `moved` bytes went the other way in this turn. So few that they look like a message mean
    /// that this direction is no stream: large pieces are not waited for any longer.
    pub fn on_other_direction(&mut self, moved: u64, source: &mut impl Socket) {
        if (1..SPLICE_READ_BYTES_MIN as u64).contains(&moved) {
            self.patience.doubt();
            if matches!(self.wake, Wake::Piece(_)) && !self.patience.is_granted() {
                self.set_wake(Wake::AnyByte, source);
            }
        }
    }

    /// This direction reads no more of the source for now: its next reader needs an event for any
    /// byte.
    pub fn wake_on_any(&mut self, source: &mut impl Socket) {
        self.set_wake(Wake::AnyByte, source);
    }

    /// Move what can be moved, within the budget of a turn.
    pub fn pump(
        &mut self,
        source: &mut impl Socket,
        target: &mut impl Socket,
        buffers: &mut Buffers<'_>,
    ) -> Pumped {
        let step = self.move_on(source, target, buffers);
        if step != Pumped::Again {
            self.set_wake(self.worth_waking_for(source), source);
        }
        step
    }

    fn move_on(
        &mut self,
        source: &mut impl Socket,
        target: &mut impl Socket,
        buffers: &mut Buffers<'_>,
    ) -> Pumped {
        let mut budget = BYTES_PER_DIRECTION_PER_TURN;
        let mut took = false;
        while self.state != DirectionState::Done {
            match self.flush(target, buffers) {
                Flush::Empty => {}
                Flush::Blocked => return Pumped::Rest,
                Flush::Broken(fault) => return Pumped::TargetBroke(fault),
            }
            if self.state == DirectionState::Draining {
                self.state = DirectionState::Done;
                self.end = if self.discards() { SourceEnd::None } else { SourceEnd::Owed };
                // Even if the source still reports readable: there is nothing behind its end.
                return Pumped::Rest;
            }
            if self.left == 0 {
                self.state = DirectionState::Done;
                return Pumped::Rest;
            }
            if !source.can_read() || !(target.can_write() || self.discards()) {
                return Pumped::Rest;
            }
            // One piece a pump: if another one is there already, its event comes at once.
            if took && self.worth_waking_for(source) != Wake::AnyByte {
                return Pumped::Rest;
            }
            if budget == 0 {
                return Pumped::Again;
            }
            match self.fill(source, target, buffers) {
                Ok(Received::Bytes(count @ 1..)) => {
                    budget = budget.saturating_sub(count.max(READ_WORK_BYTES));
                    self.count_down(count);
                    took = true;
                }
                Ok(Received::WouldBlock | Received::Bytes(0)) => return Pumped::Rest,
                Ok(Received::Eof) if self.left == ENDLESS => {
                    self.state = DirectionState::Draining;
                }
                Ok(Received::Eof) => {
                    self.state = DirectionState::Done;
                    return Pumped::SourceBroke(Fault::CutShort);
                }
                Ok(Received::Broken(fault)) => {
                    // All that was read before is sent, or there would have been no read.
                    self.state = DirectionState::Done;
                    return Pumped::SourceBroke(fault);
                }
                Err(fault) => return Pumped::TargetBroke(fault),
            }
        }
        Pumped::Rest
    }

    /// Send these bytes, together at most a buffer's worth, and hold what the target does not take,
    /// even if it broke. Nothing may be held before. An error is the target's.
    pub fn offer(
        &mut self,
        slices: &[IoSlice<'_>],
        target: &mut impl Socket,
        buffers: &mut BufferPool,
    ) -> Result<(), Fault> {
        debug_assert_eq!(self.held(), 0, "what was read before goes first");
        let sent = match slices {
            [] => return Ok(()),
            [slice] => return self.offer_whole(slice, target, buffers),
            _ if !target.can_write() => Sent::WouldBlock,
            slices => target.send_slices(slices),
        };
        self.note_sent(sent, slices, buffers)
    }

    /// The same for one slice.
    pub fn offer_whole(
        &mut self,
        bytes: &[u8],
        target: &mut impl Socket,
        buffers: &mut BufferPool,
    ) -> Result<(), Fault> {
        debug_assert_eq!(self.held(), 0, "what was read before goes first");
        let sent = if target.can_write() { target.send(bytes) } else { Sent::WouldBlock };
        if sent == Sent::Bytes(bytes.len()) {
            self.moved += bytes.len() as u64;
            return Ok(());
        }
        self.note_sent(sent, &[IoSlice::new(bytes)], buffers)
    }

    /// Count what was taken of these bytes, and hold the rest.
    fn note_sent(
        &mut self,
        sent: Sent,
        slices: &[IoSlice<'_>],
        buffers: &mut BufferPool,
    ) -> Result<(), Fault> {
        let taken = match sent {
            Sent::Bytes(taken) => taken,
            Sent::WouldBlock | Sent::Broken(_) => 0,
        };
        self.moved += taken as u64;
        if taken < slices.iter().map(|slice| slice.len()).sum() {
            self.hold_back(Held::Buffer(buffers.keep(slices, taken)));
        }
        match sent {
            Sent::Broken(fault) => Err(fault),
            Sent::Bytes(_) | Sent::WouldBlock => Ok(()),
        }
    }

    /// Hold these bytes of the source, at most a buffer's worth, which were read before there was a
    /// target.
    pub fn hold(&mut self, bytes: &[u8], buffers: &mut BufferPool) {
        debug_assert!(self.is_untouched(), "what was read before goes first");
        let buffer = buffers.keep(&[IoSlice::new(bytes)], 0);
        self.hold_back(Held::Buffer(buffer));
    }

    /// Send what is held, and nothing more.
    pub fn flush_to(
        &mut self,
        target: &mut impl Socket,
        buffers: &mut Buffers<'_>,
    ) -> Result<(), Fault> {
        match self.flush(target, buffers) {
            Flush::Empty | Flush::Blocked => Ok(()),
            Flush::Broken(fault) => Err(fault),
        }
    }

    /// What the source is to wake us for if we rest now. A source that has ended or broken sends
    /// nothing more, so that a large piece may never come.
    fn worth_waking_for(&self, source: &impl Socket) -> Wake {
        let streams = self.mode == Mode::Splice && self.state == DirectionState::Open;
        if !streams || !self.patience.is_granted() || source.is_ending() {
            return Wake::AnyByte;
        }
        if self.held.is_some() {
            return Wake::Never;
        }
        match u32::try_from(self.left).unwrap_or(u32::MAX).min(PATIENT_BYTES) {
            ..PATIENT_BYTES_MIN => Wake::AnyByte,
            bytes => Wake::Piece(bytes),
        }
    }

    /// Large pieces are asked for again after each one: the next one may be there already.
    fn set_wake(&mut self, wake: Wake, source: &mut impl Socket) {
        let anew = matches!(wake, Wake::Piece(_)) && source.can_read();
        if self.wake != wake || anew {
            self.wake = wake;
            source.wake_for(wake);
        }
    }

    fn hold_back(&mut self, held: Held) {
        self.held = Some(Box::new(held));
    }

    fn count_down(&mut self, count: usize) {
        if self.left != ENDLESS {
            self.left -= count as u64;
        }
    }

    /// Send what is held; mostly nothing is.
    #[inline(always)]
    fn flush(&mut self, target: &mut impl Socket, buffers: &mut Buffers<'_>) -> Flush {
        match self.held {
            None => Flush::Empty,
            Some(_) => self.flush_held(target, buffers),
        }
    }

    fn flush_held(&mut self, target: &mut impl Socket, buffers: &mut Buffers<'_>) -> Flush {
        loop {
            if self.held() == 0 {
                self.release(buffers);
            }
            let Some(held) = &mut self.held else { return Flush::Empty };
            if !target.can_write() {
                return Flush::Blocked;
            }
            let sent = match &mut **held {
                Held::Pipe(pipe) => target.send_out_of(pipe),
                Held::Buffer(buffer) => {
                    let sent = target.send(buffer.bytes());
                    if let Sent::Bytes(count) = sent {
                        buffer.consume(count);
                    }
                    sent
                }
            };
            match sent {
                Sent::Bytes(count @ 1..) => self.moved += count as u64,
                Sent::WouldBlock | Sent::Bytes(0) => return Flush::Blocked,
                Sent::Broken(fault) => return Flush::Broken(fault),
            }
        }
    }

    /// Read once, and send or hold what came. An error is the target's.
    fn fill(
        &mut self,
        source: &mut impl Socket,
        target: &mut impl Socket,
        buffers: &mut Buffers<'_>,
    ) -> Result<Received, Fault> {
        if self.mode == Mode::Splice {
            if self.moved >= STREAM_FROM_BYTES {
                target.bound_what_is_unsent();
            }
            let can_splice = source.can_splice() && target.can_splice();
            if can_splice {
                // Even if no pipe is left: the kernel's buffer of a copied stream grows as well.
                source.bound_what_waits();
            }
            if can_splice && let Some(mut pipe) = buffers.pipes.take() {
                let received = source.receive_into(&mut pipe, self.left);
                if let Received::Bytes(count @ 1..) = received {
                    self.judge_splice(count);
                    self.patience.took(count);
                    self.hold_back(Held::Pipe(pipe));
                    return Ok(received);
                }
                buffers.pipes.give_back(pipe);
                if received != Received::Eof {
                    return Ok(received);
                }
                // The end, or urgent data, which a splice does not pass: a read tells which.
            }
            // Without splice, waiting for large pieces saves nothing.
            self.patience.doubt();
            self.mode = Mode::Copy;
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let room = buffers.scratch.len().min(left);
        let received = source.receive(&mut buffers.scratch[..room]);
        let Received::Bytes(count @ 1..) = received else { return Ok(received) };
        if self.mode == Mode::Copy {
            self.judge_copy(count);
            if self.left == ENDLESS && source.is_spent() {
                target.end_follows();
            }
            self.offer_whole(&buffers.scratch[..count], target, buffers.pool)?;
        }
        Ok(received)
    }

    /// Large reads in a row mean a stream: from then on its bytes are spliced.
    fn judge_copy(&mut self, count: usize) {
        self.streak = if count >= SPLICE_READ_BYTES_MIN { self.streak + 1 } else { 0 };
        if self.streak >= SPLICE_AFTER_READS {
            self.mode = Mode::Splice;
            self.streak = 0;
        }
    }

    /// Small splices in a row mean that copying is cheaper.
    fn judge_splice(&mut self, count: usize) {
        self.streak = if count < SPLICE_MOVE_BYTES_MIN { self.streak + 1 } else { 0 };
        if self.streak >= SPLICE_UNTIL_SMALL {
            self.mode = Mode::Copy;
            self.streak = 0;
        }
    }

    /// Give back the buffer or pipe, and drop what is in it.
    #[inline(always)]
    fn release(&mut self, buffers: &mut Buffers<'_>) {
        if self.held.is_some() {
            self.release_held(buffers);
        }
    }

    fn release_held(&mut self, buffers: &mut Buffers<'_>) {
        let Some(held) = self.held.take() else { return };
        match *held {
            Held::Buffer(buffer) => buffers.pool.give_back(buffer),
            Held::Pipe(pipe) => buffers.pipes.give_back(pipe),
        }
    }
}
