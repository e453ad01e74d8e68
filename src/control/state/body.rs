//! What is written of a state, in parts: bans and names may be megabytes, and to put them together
//! with the rest, or to sum them up in one go, would hold up the loop for milliseconds.

use crate::limits::STATE_PIECE_BYTES;

pub(super) const FORMAT: &str = "pointsman-state";
pub(super) const VERSION: &str = "1";

/// The parts, one behind the other.
#[derive(Debug)]
pub struct Body(pub(super) [Vec<u8>; 5]);

/// A whole file, piece by piece.
#[derive(Debug)]
pub struct Pieces {
    body: Body,
    given: usize,
    sum: u32,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Header,
    Body,
    Over,
}

impl Iterator for Pieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match self.stage {
            Stage::Header => {
                self.stage = Stage::Body;
                Some(self.body.header().into_bytes())
            }
            Stage::Body => {
                let piece = self.body.piece(self.given);
                if piece.is_empty() {
                    self.stage = Stage::Over;
                    return Some(Body::trailer(self.sum).into_bytes());
                }
                self.given += piece.len();
                self.sum = crc32c::crc32c_append(self.sum, piece);
                Some(piece.to_vec())
            }
            Stage::Over => None,
        }
    }
}

impl Body {
    /// All that stands in the file, in pieces none of which takes long.
    pub fn into_pieces(self) -> Pieces {
        Pieces { body: self, given: 0, sum: 0, stage: Stage::Header }
    }

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
