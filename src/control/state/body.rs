//! What is written of a state, in parts: bans may be megabytes, and to put them together with the
//! rest, or to sum them up in one go, would hold up the loop for milliseconds.

use crate::limits::STATE_PIECE_BYTES;

pub(super) const FORMAT: &str = "pointsman-state";
pub(super) const VERSION: &str = "1";

/// The parts, one behind the other.
#[derive(Debug)]
pub struct Body(pub(super) [Vec<u8>; 3]);

impl Body {
    /// The line before it.
    pub(super) fn header(&self) -> String {
        format!("{FORMAT} {VERSION} {}\n", self.0.iter().map(Vec::len).sum::<usize>())
    }

    /// What comes behind so many bytes of it; nothing at its end.
    pub(super) fn piece(&self, mut behind: usize) -> &[u8] {
        for part in &self.0 {
            if let Some(rest) = part.get(behind..).filter(|it| !it.is_empty()) {
                return &rest[..rest.len().min(STATE_PIECE_BYTES)];
            }
            behind -= part.len();
        }
        &[]
    }

    /// All that stands in the file.
    pub(super) fn whole(&self) -> Vec<u8> {
        let body = self.0.concat();
        let trailer = Body::trailer(crc32c::crc32c(&body));
        [self.header().as_bytes(), &body, trailer.as_bytes()].concat()
    }

    /// The line behind it, with the sum of all its pieces.
    pub(super) fn trailer(sum: u32) -> String {
        format!("\ncrc32c {sum:08x}\n")
    }
}
