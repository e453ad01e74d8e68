//! The body of a message, from one socket to the other.
//!
//! A body of known length, or one that ends with its connection, is payload alone: the pump moves
//! it like TCP, spliced if it is large. Chunks have to be looked at: what a read brings leaves as
//! one chunk with a size of our own, so what came in decides nothing further on.

use std::io::IoSlice;

use crate::http::{BadBody, Decoder, Framing, Lists, Trailers, rewrite};
use crate::limits::{
    BYTES_PER_DIRECTION_PER_TURN, CHUNK_WORK_BYTES, FINE_READ_BYTES, HTTP_FRAMING_ROOM,
    HTTP_PIECES_MAX, MIRROR_BYTES_MAX, READ_WORK_BYTES,
};
use crate::net::{BufferPool, Fault, Received, Socket};
use crate::relay::pump::{Buffers, Direction, DirectionState, Pumped};

/// A body that is being relayed.
#[derive(Debug)]
pub(super) struct BodyRelay {
    decoder: Decoder,
    /// Lines of trailers so far: they are parsed once all of them are here.
    trailers: Vec<u8>,
    /// How it is delimited towards the target.
    leaves: Framing,
    /// Source and target see the same bytes, so that the pump can move them.
    plain: bool,
    /// Read [`FINE_READ_BYTES`] at a time: the last chunks were so small that framing them cost
    /// more than their bytes. True at first, or a source of many short bodies, each a scratch
    /// buffer full of tiny chunks, would never be held to it.
    reads_small: bool,
    /// What leaves is copied to [`Lists::copy`] as well.
    copied: bool,
    /// Bytes of payload that are left of `--max-body`; `u64::MAX` without a limit.
    allowed: u64,
}

/// One direction, and all that moving bytes in it takes.
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
    /// Its framing is malformed, or it is too large.
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
            reads_small: true,
            copied: false,
            allowed: u64::MAX,
        }
    }

    /// The same, refused if it has more bytes of payload than this.
    pub fn at_most(self, allowed: Option<u64>) -> BodyRelay {
        BodyRelay { allowed: allowed.unwrap_or(u64::MAX), ..self }
    }

    /// What leaves of it from now on, the part that came with the head apart, is copied to
    /// [`Lists::copy`]: so the pump must not move it unseen.
    pub fn be_copied(&mut self) {
        self.copied = true;
        self.plain = false;
    }

    /// The copy is of no use any more.
    pub fn be_copied_no_more(&mut self) {
        self.copied = false;
    }

    /// Whether it leaves as it comes, so that the pump can move it.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether all of it was read.
    pub fn is_read(&self) -> bool {
        self.decoder.is_finished()
    }

    /// Put the part of `bytes[from..]` that belongs to the body into the outgoing list; what
    /// follows is surplus.
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

    /// Tell the direction how many bytes are left, if the pump moves them.
    pub fn announce(&self, direction: &mut Direction) {
        match self.decoder.plain_remaining() {
            Some(left) if self.plain => direction.begin(left),
            _ => direction.begin(0),
        }
    }

    /// Move what can be moved, within the budget of a turn.
    pub fn carry(
        &mut self,
        transfer: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Carried {
        if self.plain {
            return transfer.pump();
        }
        let mut budget = BYTES_PER_DIRECTION_PER_TURN;
        loop {
            if let Err(fault) = transfer.flush() {
                return Carried::TargetBroke(fault);
            }
            if transfer.direction.held() > 0 {
                return Carried::Rest;
            }
            if self.is_read() {
                return Carried::Whole;
            }
            // Even if nothing more can be read: the work done so far counts as a turn.
            if budget == 0 {
                return Carried::Again;
            }
            if !transfer.source.can_read() || !transfer.target.can_write() {
                return Carried::Rest;
            }
            match self.carry_once(transfer) {
                // A chunk costs the same for one byte as for a hundred, and so does a read.
                Ok(count) => {
                    let work = count + transfer.lists.spans.len() * CHUNK_WORK_BYTES;
                    budget = budget.saturating_sub(work.max(READ_WORK_BYTES));
                }
                Err(carried) => return carried,
            }
        }
    }

    /// Read once, and send what came in our own framing.
    fn carry_once(
        &mut self,
        transfer: &mut Transfer<'_, '_, impl Socket, impl Socket>,
    ) -> Result<usize, Carried> {
        let all = transfer.buffers.scratch.len() - HTTP_FRAMING_ROOM;
        let room = if self.reads_small { FINE_READ_BYTES } else { all };
        let count = match transfer.source.receive(&mut transfer.buffers.scratch[..room]) {
            Received::Bytes(count) => count,
            Received::WouldBlock => return Err(Carried::Rest),
            Received::Eof if self.decoder.may_end() => 0,
            Received::Eof => return Err(Carried::SourceBroke(Fault::CutShort)),
            Received::Broken(fault) => return Err(Carried::SourceBroke(fault)),
        };
        transfer.lists.outgoing.clear();
        if count == 0 {
            self.end(transfer.lists);
        } else {
            let bytes = &transfer.buffers.scratch[..count];
            self.take(bytes, 0, transfer.lists).map_err(Carried::Bad)?;
            self.reads_small = transfer.lists.spans.len() * CHUNK_WORK_BYTES > count;
        }
        let offered = transfer.offer(count);
        let lists = &mut *transfer.lists;
        // Also of what the target would not take: it was read, so the copy would lack it. One that
        // grew too long grows no more, and whoever lent it sees that.
        if self.copied && lists.copy.len() <= MIRROR_BYTES_MAX {
            let input = &transfer.buffers.scratch[..count];
            lists.outgoing.copy_to(input, 0, &mut lists.copy);
        }
        offered.map(|()| count).map_err(Carried::TargetBroke)
    }

    /// The body ended with its connection: end it in our own framing.
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

    /// Move a body that needs no framing of ours.
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
