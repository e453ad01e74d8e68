//! HTTP/1.1 without sockets and without a clock: bytes in, small enums and lists of slices out.
//!
//! ```text
//!   bytes read --> request / response --> head, fields --> rewrite --> outgoing --> one writev
//!                       |                                                ^
//!                       +-- Framing --> body::Decoder --> payload -------+
//!                       +-- BadHead --> answer --> our own few lines
//!   rules ------------- expand --> edits --> (rewrite, answer)
//! ```
//!
//! Request smuggling needs two parsers that read one message differently. So this one is strict:
//! what another parser could read differently is refused, never repaired. And what decides meaning
//! (start line, Host, framing, chunk sizes) is never passed on but written anew; all other fields
//! go out as slices of the input, each one checked.
//!
//! Everything here is bounded by [`limits`](crate::limits), allocates nothing once its lists have
//! grown, and never panics, whatever the bytes. `relay::http` does the I/O.

pub mod added;
pub mod answer;
pub mod body;
mod client_meant;
pub mod edits;
pub mod expand;
pub mod facts;
pub mod fields;
pub mod head;
pub mod lists;
mod login;
pub mod max_forwards;
mod nodes;
pub mod outgoing;
mod plain_path;
pub mod reason;
pub mod request;
pub mod request_id;
pub mod response;
pub mod rewrite;
mod scan;

#[cfg(test)]
mod tests;

pub use body::{BadBody, Decoded, Decoder, Framing, Trailers};
pub use client_meant::client_meant;
pub use facts::RequestFacts;
pub use fields::Fields;
pub use head::{BadHead, Parse, Scan, Version};
pub use lists::Lists;
pub use outgoing::Outgoing;
pub use request::{Method, RequestHead, parse_request};
pub use request_id::{RequestId, RequestIdMaker};
pub use response::{Asked, ResponseHead, parse_response};

/// A part of the bytes that were parsed: from `start` up to `end`, not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Index of the first byte.
    pub start: u32,
    /// Index after the last byte.
    pub end: u32,
}

impl Span {
    /// The part between two indices of a buffer, all of which are far smaller than 4 GiB.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    /// How many bytes it has.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes; none, if the span does not lie within `bytes`.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}
