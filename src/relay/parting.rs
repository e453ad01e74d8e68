//! The end of a client's connection, in a way that lets it read our last word (pitfall 8): FIN,
//! then what it still says is heard and dropped for a moment; a reset would overtake the word.
//!
//! Used by every protocol that has a last word of ours: the caller keeps the deadline, which is
//! [`crate::limits::LINGER`] from when the FIN was sent.

use crate::context::Context;
use crate::limits::LINGER_BYTES_MAX;
use crate::net::{Fault, Received, Socket};

use super::pair::Pair;

/// How far it is.
#[derive(Debug, Default)]
pub struct Parting {
    told: bool,
    heard: usize,
}

/// What a turn of it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parted {
    /// The client may still be reading.
    NotYet,
    /// It has finished, or said too much.
    Yes,
    /// It broke before it took our last word.
    Broke(Fault),
}

impl Parting {
    /// Whether our last word is out, and FIN behind it.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// Its turn: send what is left of the word, and hear the client out.
    pub fn proceed(&mut self, pair: &mut Pair, cx: &mut Context) -> Parted {
        let (_, mut supplies) = cx.connection_and_supplies(None);
        let response = &mut pair.duplex.response;
        if let Err(fault) = response.flush_to(&mut pair.client, &mut supplies) {
            return Parted::Broke(fault);
        }
        let sent = response.held() == 0;
        if sent && !self.told {
            self.told = true;
            pair.active_at = cx.now;
            pair.client.finish_sending();
        }
        while sent && pair.client.can_read() && self.heard < LINGER_BYTES_MAX {
            match pair.client.receive(&mut cx.scratch) {
                Received::Bytes(count) => self.heard += count,
                Received::WouldBlock => break,
                Received::Eof | Received::Broken(_) => return Parted::Yes,
            }
        }
        if self.heard < LINGER_BYTES_MAX { Parted::NotYet } else { Parted::Yes }
    }
}
