//! How messages lie in the stream, and which descriptors belong to which.
//!
//! ```text
//!   kind (1 byte)  descriptors (1 byte)  length (4 bytes, big endian)  so many bytes
//! ```
//!
//! The kernel hands out descriptors with the first byte that they were sent with, and never reads
//! beyond it into what came with others: so when a frame is whole, its descriptors are here.

use std::collections::VecDeque;

use crate::limits::{TAKEOVER_DESCRIPTORS_MAX, TAKEOVER_MESSAGE_MAX};

use super::Wrong;

const HEAD: usize = 6;

/// One of them, with what came with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<F> {
    /// What kind of message it is.
    pub kind: u8,
    /// What it says.
    pub payload: Vec<u8>,
    /// What came with it.
    pub sockets: Vec<F>,
}

/// What was read, until it is whole.
#[derive(Debug)]
pub struct Frames<F> {
    bytes: Vec<u8>,
    sockets: VecDeque<F>,
}

/// A frame as it is sent.
pub fn frame(kind: u8, payload: &[u8], sockets: usize) -> Vec<u8> {
    debug_assert!(payload.len() <= TAKEOVER_MESSAGE_MAX && sockets <= TAKEOVER_DESCRIPTORS_MAX);
    let mut bytes = Vec::with_capacity(HEAD + payload.len());
    bytes.push(kind);
    bytes.push(sockets as u8);
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

impl<F> Default for Frames<F> {
    fn default() -> Frames<F> {
        Frames { bytes: Vec::new(), sockets: VecDeque::new() }
    }
}

impl<F> Frames<F> {
    /// Those that begin with these bytes, which somebody else read.
    pub fn begun(bytes: Vec<u8>) -> Frames<F> {
        Frames { bytes, sockets: VecDeque::new() }
    }

    /// So much was read, and these came with it.
    pub fn push(&mut self, bytes: &[u8], sockets: impl IntoIterator<Item = F>) {
        self.bytes.extend_from_slice(bytes);
        self.sockets.extend(sockets);
    }

    /// The bytes of one that is not whole.
    pub fn rest(&self) -> &[u8] {
        &self.bytes
    }

    /// The next one that is whole, or what is wrong with it.
    pub fn take(&mut self) -> Result<Option<Frame<F>>, Wrong> {
        let Some((head, rest)) = self.bytes.split_at_checked(HEAD) else { return Ok(None) };
        let kind = head[0];
        let count = usize::from(head[1]);
        let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize;
        if length > TAKEOVER_MESSAGE_MAX {
            return Err(Wrong(format!("a message of {length} bytes")));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        if self.sockets.len() < count {
            let came = self.sockets.len();
            return Err(Wrong(format!(
                "a message with {count} descriptors, of which {came} came: the limit of open \
                 files may be too low"
            )));
        }
        let payload = payload.to_vec();
        self.bytes.drain(..HEAD + length);
        Ok(Some(Frame { kind, payload, sockets: self.sockets.drain(..count).collect() }))
    }
}
