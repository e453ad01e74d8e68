//! The PROXY protocol, versions 1 and 2: the header before a connection's bytes that says who the
//! client is. Pure: bytes in, bytes out.

pub mod read;
#[cfg(test)]
mod round_trip;
mod wire;
pub mod write;

pub use wire::Transport;

/// CRC-32C (Castagnoli), as the checksum of a header is made: bit by bit, for a hundred bytes now
/// and then.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32| sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 };
    let take = |sum: u32, &byte: &u8| (0..8).fold(sum ^ u32::from(byte), |sum, _| step(sum));
    !bytes.iter().fold(u32::MAX, take)
}
