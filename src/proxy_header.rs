//! The PROXY protocol, versions 1 and 2: the header before a connection's bytes that says who the
//! client is. Pure: bytes in, bytes out.

pub mod read;
#[cfg(test)]
mod round_trip;
mod wire;
pub mod write;

pub use wire::Transport;

/// CRC-32C (Castagnoli), as the checksum of a header is made: byte by byte, for it may stand before
/// each datagram.
pub fn crc32c<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u32 {
    let take =
        |sum: u32, &byte: &u8| sum >> 8 ^ REMAINDERS[usize::from(sum.to_le_bytes()[0] ^ byte)];
    !bytes.into_iter().fold(u32::MAX, take)
}

/// What each byte leaves of the sum.
static REMAINDERS: [u32; 256] = remainders();

const fn remainders() -> [u32; 256] {
    let mut all = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut sum = at as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        all[at] = sum;
        at += 1;
    }
    all
}
