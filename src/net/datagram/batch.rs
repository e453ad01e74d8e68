//! The memory that datagrams are received into, slot by slot, until all of them were sent on.

use crate::limits::{MESSAGES_PER_CALL, SLOT_BYTES, SLOTS};

use super::system::Headers;
use super::{DatagramListener, DatagramSocket, Fault, RecvMeta};

/// Slots, of which those in front are in use. No datagram is longer than a slot.
pub struct Batch {
    /// Reserved with the first datagram; the system gives what is touched.
    memory: Vec<u8>,
    used: usize,
    bytes: usize,
    headers: Headers,
}

/// What a receive came to. The metas are at the end of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvOutcome {
    /// So many metas, and there may be more.
    Some(usize),
    /// So many metas, perhaps none, and there will be an event for the next.
    All(usize),
    /// The socket had an error to tell; what came is still there.
    Failed(Fault),
}

impl Batch {
    /// Nothing received yet.
    pub fn new() -> Batch {
        Batch { memory: Vec::new(), used: 0, bytes: 0, headers: Headers::new() }
    }

    /// Take datagrams of clients, at most one system call's worth.
    pub fn take(&mut self, from: &DatagramListener, list: &mut Vec<RecvMeta>) -> RecvOutcome {
        let most = self.room().min(MESSAGES_PER_CALL);
        self.reserve();
        let free = &mut self.memory[self.used * SLOT_BYTES..];
        let start = self.used * SLOT_BYTES;
        let brought = self.headers.take(&from.socket, (free, start), most, list);
        self.note(brought, list)
    }

    /// Take at most so many answers.
    pub fn hear(
        &mut self,
        from: &DatagramSocket,
        most: usize,
        list: &mut Vec<RecvMeta>,
    ) -> RecvOutcome {
        let most = self.room().min(most).min(MESSAGES_PER_CALL);
        self.reserve();
        let start = self.used * SLOT_BYTES;
        let free = &mut self.memory[start..];
        let socket = &from.socket;
        let brought = self.headers.hear(socket, from.coalesces, (free, start), most, list);
        self.note(brought, list)
    }

    /// Slots that are free.
    pub fn room(&self) -> usize {
        SLOTS - self.used
    }

    /// Bytes that were received.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that pieces lie in.
    pub fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// All of it was sent on: begin at the first slot again.
    pub fn clear(&mut self) {
        self.used = 0;
        self.bytes = 0;
    }

    fn reserve(&mut self) {
        if self.memory.is_empty() {
            self.memory = vec![0; SLOTS * SLOT_BYTES];
        }
    }

    fn note(&mut self, brought: RecvOutcome, list: &[RecvMeta]) -> RecvOutcome {
        if let RecvOutcome::Some(count) | RecvOutcome::All(count) = brought {
            self.used += count;
            let new = list.iter().rev().take(count);
            self.bytes += new.map(|meta| meta.piece.bytes() as usize).sum::<usize>();
        }
        brought
    }
}

impl Default for Batch {
    fn default() -> Batch {
        Batch::new()
    }
}
