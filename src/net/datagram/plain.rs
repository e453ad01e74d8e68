//! Other systems: a call for each datagram, and answers from whatever address the system chooses.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use mio::net::UdpSocket;

use crate::limits::SLOT_BYTES;

use super::sender::{Message, SendRefusal};
use super::{Fault, Piece, RecvMeta, RecvOutcome};

/// Free slots, and where in the memory they begin.
type Free<'a> = (&'a mut [u8], usize);

/// Nothing is prepared here.
pub struct Headers;

/// Nothing is asked for.
pub fn prepare(_socket: &socket2::Socket, _address: SocketAddr) {}

/// Datagrams are not put together.
pub fn coalesce(_socket: &UdpSocket) -> bool {
    false
}

/// Nobody says.
pub fn ports() -> Option<usize> {
    None
}

impl Headers {
    /// None.
    pub fn new() -> Headers {
        Headers
    }

    /// Receive from a listener.
    pub fn take(
        &mut self,
        socket: &UdpSocket,
        free: Free<'_>,
        most: usize,
        list: &mut Vec<RecvMeta>,
    ) -> RecvOutcome {
        receive(free, most, list, |slot| {
            let (count, from) = socket.recv_from(slot)?;
            Ok((count, Some(from)))
        })
    }

    /// Receive from a connected socket.
    pub fn hear(
        &mut self,
        socket: &UdpSocket,
        _coalesces: bool,
        free: Free<'_>,
        most: usize,
        list: &mut Vec<RecvMeta>,
    ) -> RecvOutcome {
        receive(free, most, list, |slot| Ok((socket.recv(slot)?, None)))
    }

    /// Send the first of the messages.
    pub fn send(
        &mut self,
        socket: &UdpSocket,
        slices: &[IoSlice<'_>],
        messages: &[Message],
    ) -> Result<usize, SendRefusal> {
        let Some(first) = messages.first() else { return Ok(0) };
        if first.segment.is_some() {
            return Err(SendRefusal::Segments);
        }
        let bytes = slices.get(first.slices.start).map_or(&[][..], |slice| slice);
        let sent = match first.to {
            Some(to) => socket.send_to(bytes, to),
            None => socket.send(bytes),
        };
        match sent {
            Ok(_) => Ok(1),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(SendRefusal::Later),
            Err(error) => Err(SendRefusal::Fault(Fault::of(&error))),
        }
    }
}

fn receive(
    (free, start): Free<'_>,
    most: usize,
    list: &mut Vec<RecvMeta>,
    mut one: impl FnMut(&mut [u8]) -> io::Result<(usize, Option<SocketAddr>)>,
) -> RecvOutcome {
    for (index, slot) in free.chunks_mut(SLOT_BYTES).take(most).enumerate() {
        match one(slot) {
            Ok((bytes, from)) => {
                let piece = Piece::new(start + index * SLOT_BYTES, bytes, 0);
                list.push(RecvMeta { piece, from, local: None });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return RecvOutcome::All(index);
            }
            // Told again by nobody: what came before is handed on first.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return RecvOutcome::Some(index);
            }
            Err(error) if index == 0 => return RecvOutcome::Failed(Fault::of(&error)),
            Err(_) => return RecvOutcome::Some(index),
        }
    }
    RecvOutcome::Some(most)
}
