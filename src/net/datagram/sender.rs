//! Sending many datagrams with few calls: transmits become messages, messages go out together.
//!
//! ```text
//!   transmits   [A A] [A] [B] [C C C]        pieces of memory, destination, source
//!   messages  [A A A]   [B] [C C C]        same receiver and same length: one message (GSO)
//!   calls     ----------------------       those that say the same beside their bytes (sendmmsg)
//! ```
//!
//! A message that the kernel will not cut up goes out datagram by datagram instead; one that it
//! refuses is dropped and counted, and never keeps the others back.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use mio::net::UdpSocket;

use crate::limits::{MESSAGES_PER_CALL, SEGMENT_BYTES_MAX, SEGMENTED_BYTES_MAX, SEGMENTS_MAX};

use super::system::Headers;
use super::{DatagramListener, DatagramSocket, Fault, Transmit};

/// Pieces that one call gathers.
const SLICES: usize = 128;

/// What is needed for sending, kept from call to call.
pub struct Sender {
    headers: Headers,
    messages: Vec<Message>,
    /// Whether the kernel cuts up messages.
    segments: bool,
}

/// What became of transmits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendOutcome {
    /// Datagrams that were taken.
    pub sent: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Datagrams that were refused.
    pub dropped: u64,
    /// The peer had refused what was sent before, or cannot be reached.
    pub refused: Option<Refused>,
}

/// That a peer takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Refused, or cannot be reached.
    pub fault: Fault,
    /// From here on nothing was tried.
    pub from: Cursor,
}

/// One message of a call.
#[derive(Debug, Clone)]
pub struct Message {
    /// The destination.
    pub to: Option<SocketAddr>,
    /// From which address.
    pub from: Option<IpAddr>,
    /// Its parts in the call's list.
    pub slices: Range<usize>,
    /// It is to be cut into datagrams of so many bytes.
    pub segment: Option<u16>,
    datagrams: u64,
    bytes: u64,
    end: Cursor,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendRefusal {
    /// The socket's buffer is full.
    Later,
    /// This one cannot be cut up on its way.
    #[cfg_attr(not(linux), expect(dead_code, reason = "none is put together there"))]
    Segment,
    /// Nothing can be.
    Segments,
    /// Anything else.
    Fault(Fault),
}

/// A transmit, and a datagram in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Its place in the list.
    pub transmit: usize,
    /// Counted from the transmit's first.
    pub datagram: u32,
}

impl Cursor {
    /// Datagrams from here on.
    pub fn left(self, transmits: &[Transmit]) -> u64 {
        let rest = transmits.iter().skip(self.transmit);
        let all = rest.map(|transmit| u64::from(transmit.piece.count()));
        all.sum::<u64>() - u64::from(self.datagram)
    }
}

impl Sender {
    /// Nothing sent yet.
    pub fn new() -> Sender {
        Sender { headers: Headers::new(), messages: Vec::new(), segments: true }
    }

    /// Send answers to clients.
    pub fn answer(
        &mut self,
        from: &DatagramListener,
        transmits: &[Transmit],
        memory: &[u8],
    ) -> SendOutcome {
        self.send(&from.socket, transmits, memory)
    }

    /// Send on a connected socket.
    pub fn pass_on(
        &mut self,
        to: &DatagramSocket,
        transmits: &[Transmit],
        memory: &[u8],
    ) -> SendOutcome {
        self.send(&to.socket, transmits, memory)
    }

    fn send(
        &mut self,
        socket: &UdpSocket,
        transmits: &[Transmit],
        memory: &[u8],
    ) -> SendOutcome {
        let mut outcome = SendOutcome::default();
        let mut at = Cursor::default();
        let mut whole_until = Cursor::default();
        while at.transmit < transmits.len() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let segments = self.segments;
            fill(&mut self.messages, &mut slices, transmits, memory, at, |cursor| {
                segments && cursor >= whole_until
            });
            let Some(first) = self.messages.first() else { break };
            match self.headers.send(socket, &slices, &self.messages) {
                Ok(count) => {
                    let sent = &self.messages[..count];
                    at = sent.last().map_or(at, |message| message.end);
                    outcome.sent += sent.iter().map(|message| message.datagrams).sum::<u64>();
                    outcome.bytes += sent.iter().map(|message| message.bytes).sum::<u64>();
                }
                // What waits in the kernel is as much as anybody asked for.
                Err(SendRefusal::Later) => {
                    outcome.dropped += at.left(transmits);
                    return outcome;
                }
                Err(SendRefusal::Segments) => self.segments = false,
                Err(SendRefusal::Segment) => whole_until = first.end,
                Err(SendRefusal::Fault(fault @ (Fault::Refused | Fault::Unreachable)))
                    if first.to.is_none() =>
                {
                    outcome.refused = Some(Refused { fault, from: at });
                    return outcome;
                }
                Err(SendRefusal::Fault(_)) => {
                    outcome.dropped += first.datagrams;
                    at = first.end;
                }
            }
        }
        outcome
    }
}

impl Default for Sender {
    fn default() -> Sender {
        Sender::new()
    }
}

/// Fill one call: messages from the cursor on that say the same beside their bytes.
fn fill<'a>(
    messages: &mut Vec<Message>,
    slices: &mut [IoSlice<'a>; SLICES],
    transmits: &[Transmit],
    memory: &'a [u8],
    mut at: Cursor,
    may_cut: impl Fn(Cursor) -> bool,
) {
    messages.clear();
    let mut used = 0;
    let mut segment = None;
    let mut longest = 0;
    while messages.len() < MESSAGES_PER_CALL && used < SLICES {
        let Some(message) = message(slices, used, transmits, memory, at, &may_cut) else {
            return;
        };
        let agrees = messages.first().is_none_or(|first| first.from == message.from)
            && match (segment, message.segment) {
                (Some(each), Some(other)) => each == other,
                (Some(each), None) => message.bytes <= u64::from(each),
                (None, Some(each)) => longest <= u64::from(each),
                (None, None) => true,
            };
        if !agrees {
            return;
        }
        segment = segment.or(message.segment);
        longest = longest.max(message.bytes);
        used = message.slices.end;
        at = message.end;
        messages.push(message);
    }
}

/// The message that begins at the cursor; `None` at the end.
fn message<'a>(
    slices: &mut [IoSlice<'a>; SLICES],
    used: usize,
    transmits: &[Transmit],
    memory: &'a [u8],
    mut at: Cursor,
    may_cut: &impl Fn(Cursor) -> bool,
) -> Option<Message> {
    let first = transmits.get(at.transmit)?;
    let size = u64::from(first.piece.size);
    let cuts = may_cut(at) && size > 0 && size <= SEGMENT_BYTES_MAX as u64;
    let most =
        if cuts { (SEGMENTED_BYTES_MAX as u64 / size).min(SEGMENTS_MAX as u64) } else { 1 };
    let mut end = used;
    let mut datagrams = 0;
    let mut bytes = 0;
    while let Some(transmit) = transmits.get(at.transmit) {
        let piece = transmit.piece;
        let same = transmit.to == first.to && transmit.from == first.from;
        // One that is shorter can only be the last, and nothing follows a shorter one.
        let fits = u64::from(piece.size) <= size && bytes == datagrams * size;
        if datagrams > 0 && !(same && fits && piece.size > 0)
            || end == SLICES
            || datagrams == most
        {
            break;
        }
        // Of shorter ones only one, for it ends the message.
        let shorter = u64::from(piece.size) < size;
        let room = if shorter { 1 } else { most - datagrams };
        let count = u64::from(piece.count() - at.datagram).min(room);
        let start = piece.start as usize + at.datagram as usize * usize::from(piece.size);
        let whole = u64::from(at.datagram) + count == u64::from(piece.count());
        let stop = if whole {
            (piece.start + piece.bytes) as usize
        } else {
            start + count as usize * usize::from(piece.size)
        };
        slices[end] = IoSlice::new(&memory[start..stop]);
        end += 1;
        datagrams += count;
        bytes += (stop - start) as u64;
        if !whole {
            at.datagram += count as u32;
            break;
        }
        at = Cursor { transmit: at.transmit + 1, datagram: 0 };
    }
    let segment = (datagrams > 1).then_some(first.piece.size);
    let to = first.to;
    let from = first.from;
    Some(Message { to, from, slices: used..end, segment, datagrams, bytes, end: at })
}
