//! The body of a message, from one socket to the other.
//!
//! A body of known length, or one that ends with its connection, is payload alone: the pump moves
//! it like TCP, spliced if it is large. Chunks have to be looked at: what a read brings leaves as
//! one chunk with a size of our own, so what came in decides nothing further on.

use std::io::IoSlice;

use crate::http::{BadBody, Decoder, Framing, Lists, Trailers, rewrite};
use crate::limits::{
    BYTES_PER_DIRECTION_PER_TURN, CHUNK_WORK_BYTES, FINE_READ_BYTES, HTTP_FRAMING_ROOM,
    HTTP_PIECES_MAX, READ_WORK_BYTES,
};
use crate::net::{BufferPool, Fault, Received, Socket};
use crate::relay::pump::{Buffers, Direction, DirectionState, Pumped};

/// A body on its way.
#[derive(Debug)]
pub(super) struct BodyRelay {
    decoder: Decoder,
    /// Lines of trailers so far: they are judged once they are whole.
    trailers: Vec<u8>,
    /// How it leaves.
    leaves: Framing,
    /// It is all payload, and the pump may have it.
    plain: bool,
    /// Its last chunks were so small that they are more work than their bytes; or none was read
    /// yet, for who always comes anew, with a scratch buffer full of them, would never be known.
    fine: bool,
    /// Payload that it may still have.
    allowed: u64,
}

/// One direction and all that carrying takes.
pub(super) struct Transfer<'a, 'b, S, T> {
    pub direction: &'a mut Direction,
    pub source: &'a mut S,
    pub target: &'a mut T,
    pub buffers: &'a mut Buffers<'b>,
    pub lists: &'a mut Lists,
}

/// What carrying came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    /// Nothing to do before the next event.
    Rest,
    /// There is more to do.
    Again,
    /// The body is whole, and all of it is sent.
    Whole,
    /// The source broke, or ended too early.
    SourceBroke(Fault),
    /// The target broke.
    TargetBroke(Fault),
    /// It is not framed as it should be.
    Bad(BadBody),
}

impl BodyRelay {
    /// A body of which nothing was read yet.
    pub fn new(decoder: Decoder, leaves: Framing) -> BodyRelay {
        let plain = decoder.plain_remaining().is_some() && leaves != Framing::Chunked;
        BodyRelay {
            decoder,
            trailers: Vec::new(),
            leaves,
            plain,
            fine: true,
            allowed: u64::MAX,
        }
    }

    /// The same, if it has no more payload than this.
    pub fn at_most(self, allowed: Option<u64>) -> BodyRelay {
        BodyRelay { allowed: allowed.unwrap_or(u64::MAX), ..self }
    }

    /// Whether it goes out as it comes in, so that the pump may have it.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether all of it was read.
    pub fn is_read(&self) -> bool {
        self.decoder.is_finished()
    }

    /// Take what of `bytes[from..]` belongs to it into the outgoing list; what follows is surplus.
    pub fn take(
        &mut self,
        bytes: &[u8],
        from: usize,
        lists: &mut Lists,
    ) -> Result<(), BadBody> {
        if self.is_read() {
            lists.add_surplus(&bytes[from..]);
            return Ok(());
        }
        lists.spans.clear();
        let decoded = self.decoder.decode(bytes, from, &mut lists.spans, &mut self.trailers)?;
        self.allowed = self.allowed.checked_sub(decoded.bytes).ok_or(BadBody::TooLarge)?;
        if self.leaves == Framing::Chunked {
            rewrite::chunk(&lists.spans, bytes, &mut lists.outgoing);
            if decoded.finished && decoded.consumed > 0 {
                let fields = &mut lists.fields;
                let outgoing = &mut lists.outgoing;
                rewrite::last_chunk(&self.trailers, fields, outgoing);
            }
        } else {
            for span in &lists.spans {
                lists.outgoing.input(bytes, *span);
            }
        }
        lists.add_surplus(&bytes[from + decoded.consumed..]);
        Ok(())
    }

    /// Let the flow expect what is left, if it is payload alone.
    pub fn announce(&self, direction: &mut Direction) {
        match self.decoder.plain_remaining() {
            Some(left) if self.plain => direction.begin(left),
            _ => direction.begin(0),
        }
    }

    /// Move what can be moved, within the budget of a turn.
    pub fn carry(&mut self, way: &mut Transfer<'_, '_, impl Socket, impl Socket>) -> Carried {
        if self.plain {
            return way.pump();
        }
        let mut budget = BYTES_PER_DIRECTION_PER_TURN;
        loop {
            if let Err(fault) = way.flush() {
                return Carried::TargetBroke(fault);
            }
            if way.direction.held() > 0 {
                return Carried::Rest;
            }
            if self.is_read() {
                return Carried::Whole;
            }
            // Before it is known whether there is more: work that was enough for a turn is told of.
            if budget == 0 {
                return Carried::Again;
            }
            if !way.source.can_read() || !way.target.can_write() {
                return Carried::Rest;
            }
            match self.carry_once(way) {
                // A chunk of one byte is as much work as one of a hundred; and so is a read.
                Ok(count) => {
                    let work = count + way.lists.spans.len() * CHUNK_WORK_BYTES;
                    budget = budget.saturating_sub(work.max(READ_WORK_BYTES));
                }
                Err(carried) => return carried,
            }
        }
    }

    /// Read once, and send what came in our own framing.
    fn carry_once(
        &mut self,
        way: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Result<usize, Carried> {
        let all = way.buffers.scratch.len() - HTTP_FRAMING_ROOM;
        let room = if self.fine { FINE_READ_BYTES } else { all };
        let count = match way.source.receive(&mut way.buffers.scratch[..room]) {
            Received::Bytes(count) => count,
            Received::WouldBlock => return Err(Carried::Rest),
            Received::Eof if self.decoder.may_end() => 0,
            Received::Eof => return Err(Carried::SourceBroke(Fault::CutShort)),
            Received::Broken(fault) => return Err(Carried::SourceBroke(fault)),
        };
        way.lists.outgoing.clear();
        if count == 0 {
            self.end(way.lists);
        } else {
            let bytes = &way.buffers.scratch[..count];
            self.take(bytes, 0, way.lists).map_err(Carried::Bad)?;
            self.fine = way.lists.spans.len() * CHUNK_WORK_BYTES > count;
        }
        way.offer(count).map_err(Carried::TargetBroke)?;
        Ok(count)
    }

    /// The body ended with its connection: say so in our own framing.
    fn end(&mut self, lists: &mut Lists) {
        self.decoder = Decoder::new(Framing::None, Trailers::Drop);
        if self.leaves == Framing::Chunked {
            rewrite::last_chunk(&[], &mut lists.fields, &mut lists.outgoing);
        }
    }
}

impl<S: Socket, T: Socket> Transfer<'_, '_, S, T> {
    /// Send what is held; nothing is read.
    pub fn flush(&mut self) -> Result<(), Fault> {
        self.direction.flush_to(self.target, self.buffers)
    }

    /// Send the outgoing list, made from the first `total` bytes of the scratch buffer.
    pub fn offer(&mut self, total: usize) -> Result<(), Fault> {
        let input = &self.buffers.scratch[..total];
        offer(self.lists, input, self.direction, self.target, self.buffers.pool)
    }

    /// A body that is payload alone.
    fn pump(&mut self) -> Carried {
        match self.direction.pump(self.source, self.target, self.buffers) {
            Pumped::SourceBroke(fault) => Carried::SourceBroke(fault),
            Pumped::TargetBroke(fault) => Carried::TargetBroke(fault),
            Pumped::Rest | Pumped::Again if self.direction.state() == DirectionState::Done => {
                Carried::Whole
            }
            Pumped::Again => Carried::Again,
            Pumped::Rest => Carried::Rest,
        }
    }
}

/// Send the outgoing list in one vectored write; `input` is what it was made from.
pub(super) fn offer(
    lists: &mut Lists,
    input: &[u8],
    direction: &mut Direction,
    target: &mut impl Socket,
    buffers: &mut BufferPool,
) -> Result<(), Fault> {
    match lists.outgoing.whole() {
        Some([]) => Ok(()),
        Some(bytes) => direction.offer_whole(bytes, target, buffers),
        None => offer_pieces(lists, input, direction, target, buffers),
    }
}

fn offer_pieces(
    lists: &mut Lists,
    input: &[u8],
    direction: &mut Direction,
    target: &mut impl Socket,
    buffers: &mut BufferPool,
) -> Result<(), Fault> {
    if lists.outgoing.pieces() > HTTP_PIECES_MAX {
        lists.flat.clear();
        lists.outgoing.copy_to(input, 0, &mut lists.flat);
        return direction.offer(&[IoSlice::new(&lists.flat)], target, buffers);
    }
    let mut slices = [IoSlice::new(&[]); HTTP_PIECES_MAX];
    let count = lists.outgoing.slices(input, 0, &mut slices);
    direction.offer(&slices[..count], target, buffers)
}
