//! Lists that every message fills anew, kept for their memory: nothing is allocated for a message
//! once they have grown.

use crate::limits::{HTTP_SPARE_BYTES_MAX, HTTP_SPARES_MAX};

use super::{Fields, Outgoing, Span};

/// One set for the whole process: what is in them is the last message's.
#[derive(Debug, Default)]
pub struct Lists {
    /// The fields of the head.
    pub fields: Fields,
    /// What goes out.
    pub outgoing: Outgoing,
    /// Where the payload lies.
    pub spans: Vec<Span>,
    /// Bytes after the end of the message.
    pub surplus: Vec<u8>,
    /// A message that is not sent in pieces.
    pub flat: Vec<u8>,
    /// Memory of messages that had to be kept, for the next ones.
    spare: Vec<Vec<u8>>,
}

impl Lists {
    /// These bytes come after the end of the message: mostly none do.
    pub fn add_surplus(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.surplus.extend_from_slice(bytes);
        }
    }

    /// Memory for a message that is to be kept.
    pub fn lend(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// The message need not be kept any more.
    pub fn give_back(&mut self, mut kept: Vec<u8>) {
        let of_use = (1..=HTTP_SPARE_BYTES_MAX).contains(&kept.capacity());
        if of_use && self.spare.len() < HTTP_SPARES_MAX {
            kept.clear();
            self.spare.push(kept);
        }
    }
}
