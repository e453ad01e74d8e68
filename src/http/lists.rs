//! Lists that every message fills anew, kept for their memory: nothing is allocated for a message
//! once they have grown.

use super::{Fields, Outgoing, Span};

/// See the head of the file. What is in them is the last message's.
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
}
