//! Datagrams that each begin with the same header, put together in memory of their own.

use super::{Piece, Transmit};

/// The last ones that were put together.
#[derive(Debug, Default)]
pub struct Headed {
    memory: Vec<u8>,
    transmits: Vec<Transmit>,
}

impl Headed {
    /// These, whose bytes lie in `memory`, with the header before each: as many transmits of as
    /// many datagrams. One that becomes longer than a datagram can be stays too long, so that
    /// sending it fails.
    pub fn put(
        &mut self,
        header: &[u8],
        transmits: &[Transmit],
        memory: &[u8],
    ) -> (&[Transmit], &[u8]) {
        self.memory.clear();
        self.transmits.clear();
        for transmit in transmits {
            let size = transmit.piece.size;
            let all = transmit.piece.of(memory);
            let begin = self.memory.len();
            if all.is_empty() {
                self.memory.extend(header);
            }
            for datagram in all.chunks(usize::from(size).max(1)) {
                self.memory.extend(header);
                self.memory.extend(datagram);
            }
            let length = self.memory.len() - begin;
            let each = usize::from(size) + header.len();
            // Only one that is alone in its piece can be so long.
            let length = if all.len() <= usize::from(size) {
                length.min(usize::from(u16::MAX))
            } else {
                length
            };
            let piece = Piece::new(begin, length, each.min(length));
            self.transmits.push(Transmit { piece, ..*transmit });
        }
        (&self.transmits, &self.memory)
    }
}
