//! Lists that every message fills anew. Their memory is reused: nothing is allocated for a message
//! once they have grown.

use crate::limits::{HTTP_SPARE_BYTES_MAX, HTTP_SPARES_MAX};

use super::edits::RequestEdits;
use super::{Fields, Outgoing, Span};

/// One set for the whole process; the contents are those of the last message.
#[derive(Debug, Default)]
pub struct Lists {
    /// The fields of the head.
    pub fields: Fields,
    /// What goes out.
    pub outgoing: Outgoing,
    /// Where the payload lies in what was read.
    pub spans: Vec<Span>,
    /// Bytes that were read behind the end of the message.
    pub surplus: Vec<u8>,
    /// A message that is copied together, to be sent as one piece.
    pub flat: Vec<u8>,
    /// What rules make of a request.
    pub edits: RequestEdits,
    /// A copy of a message, lent while its body is carried.
    pub copy: Vec<u8>,
    /// Empty vectors for [`Lists::lend`].
    spare: Vec<Vec<u8>>,
}

impl Lists {
    /// Keep these bytes, which were read behind the end of the message. Mostly there are none.
    pub fn add_surplus(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.surplus.extend_from_slice(bytes);
        }
    }

    /// An empty vector, for a message that is to be kept.
    pub fn lend(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Give back such a vector: the message need not be kept any more.
    pub fn give_back(&mut self, mut kept: Vec<u8>) {
        let of_use = (1..=HTTP_SPARE_BYTES_MAX).contains(&kept.capacity());
        if of_use && self.spare.len() < HTTP_SPARES_MAX {
            kept.clear();
            self.spare.push(kept);
        }
    }
}
