//! What is to be sent: a list of pieces, some of the input, some written by us.
//!
//! ```text
//!   pieces:   Made 0..71          Input 40..500        Made 71..130
//!             GET / HTTP/1.1..    Accept: ... (as it    X-Forwarded-For: ...
//!             Host: ...            came, not copied)
//! ```
//!
//! One vectored write sends it all. Short pieces are copied together, so that its entries stay few.

use std::io::IoSlice;

use super::Span;
use crate::limits::HTTP_COPY_BYTES_BELOW;

/// What is to be sent. Reused for the next message.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// All but the last, which is `made[made_from..]`.
    pieces: Vec<OutgoingPiece>,
    /// The bytes of all pieces that we wrote.
    made: Vec<u8>,
    made_from: usize,
}

/// A place in what is to be sent: behind all that was added when it was taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pieces: usize,
    made: usize,
    made_from: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutgoingPiece {
    /// Of the input.
    Input(Span),
    /// Of `made`.
    Made(Span),
}

impl Outgoing {
    /// An empty list.
    pub fn new() -> Outgoing {
        Outgoing::default()
    }

    /// Empty the list.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.made.clear();
        self.made_from = 0;
    }

    /// All of it, if it has no piece of the input: as nearly all small messages.
    pub fn whole(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then_some(&self.made)
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        let taken = |piece: &OutgoingPiece| match piece {
            OutgoingPiece::Input(span) => span.len(),
            OutgoingPiece::Made(_) => 0,
        };
        self.made.len() + self.pieces.iter().map(taken).sum::<usize>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries a vectored write of it has.
    pub fn pieces(&self) -> usize {
        self.pieces.len() + usize::from(self.made.len() > self.made_from)
    }

    /// Add bytes of our own.
    #[inline]
    pub fn text(&mut self, text: &[u8]) {
        self.made.extend_from_slice(text);
    }

    /// Add a decimal number.
    pub fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.text(&digits[start..]);
    }

    /// Add a hexadecimal number.
    pub fn hexadecimal(&mut self, number: u64) {
        let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            self.made.push(b"0123456789abcdef"[(number >> (4 * digit)) as usize & 15]);
        }
    }

    /// Add a part of the input.
    #[inline]
    pub fn input(&mut self, input: &[u8], span: Span) {
        let bytes = span.of(input);
        if bytes.len() < HTTP_COPY_BYTES_BELOW {
            self.text(bytes);
        } else {
            self.long_input(span);
        }
    }

    // Not inlined: short pieces, which most are, then need no stack for it.
    #[inline(never)]
    fn long_input(&mut self, span: Span) {
        let made = Span::new(self.made_from, self.made.len());
        if !made.is_empty() {
            self.pieces.push(OutgoingPiece::Made(made));
            self.made_from = self.made.len();
        }
        match self.pieces.last_mut() {
            Some(OutgoingPiece::Input(last)) if last.end == span.start => last.end = span.end,
            _ => self.pieces.push(OutgoingPiece::Input(span)),
        }
    }

    /// The place behind all that was added.
    pub(super) fn mark(&self) -> Mark {
        Mark { pieces: self.pieces.len(), made: self.made.len(), made_from: self.made_from }
    }

    /// Drop the lines behind a place that are not to stay. All of them are whole, and the first
    /// begins with text of ours.
    pub(super) fn retain_lines(
        &mut self,
        from: Mark,
        input: &[u8],
        stays: impl Fn(&[u8]) -> bool,
    ) {
        if self.pieces.len() > from.pieces {
            self.copy_together(from, input);
        }
        let mut at = from.made;
        let line = |bytes: &[u8]| bytes.iter().position(|&byte| byte == b'\n');
        while let Some(end) = line(&self.made[at..]) {
            if stays(&self.made[at..at + end]) {
                at += end + 1;
            } else {
                self.made.drain(at..=at + end);
            }
        }
    }

    /// Make one piece of what was added behind a place. Long passages there are seldom.
    fn copy_together(&mut self, from: Mark, input: &[u8]) {
        let length = |piece: &OutgoingPiece| match piece {
            OutgoingPiece::Input(span) | OutgoingPiece::Made(span) => span.len(),
        };
        let pieces: usize = self.pieces[..from.pieces].iter().map(length).sum();
        let skip = pieces + from.made - from.made_from;
        let mut copy = Vec::new();
        self.copy_to(input, skip, &mut copy);
        self.pieces.truncate(from.pieces);
        self.made.truncate(from.made);
        self.made_from = from.made_from;
        self.made.extend_from_slice(&copy);
    }

    /// For one vectored write: fill `slices` with what is left after `skip` bytes, as far as they
    /// suffice, and return how many were filled. `input` is what the spans were taken from.
    pub fn slices<'a>(
        &'a self,
        input: &'a [u8],
        skip: usize,
        slices: &mut [IoSlice<'a>],
    ) -> usize {
        let mut count = 0;
        for (bytes, place) in self.parts(input, skip).zip(slices.iter_mut()) {
            *place = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    /// Append what is left after `skip` bytes: what must outlive the input.
    pub fn copy_to(&self, input: &[u8], skip: usize, kept: &mut Vec<u8>) {
        for part in self.parts(input, skip) {
            kept.extend_from_slice(part);
        }
    }

    fn parts<'a>(&'a self, input: &'a [u8], mut skip: usize) -> impl Iterator<Item = &'a [u8]> {
        let last = OutgoingPiece::Made(Span::new(self.made_from, self.made.len()));
        self.pieces.iter().copied().chain([last]).filter_map(move |piece| {
            let bytes = match piece {
                OutgoingPiece::Input(span) => span.of(input),
                OutgoingPiece::Made(span) => span.of(&self.made),
            };
            let rest = bytes.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(bytes.len());
            (!rest.is_empty()).then_some(rest)
        })
    }
}

impl std::fmt::Write for Outgoing {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.text(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_skip_leaves_the_rest() {
        let input: Vec<u8> = (0..=255).cycle().take(20_000).collect();
        let mut out = Outgoing::new();
        out.text(b"head ");
        out.number(0);
        out.input(&input, Span::new(0, 3000));
        out.input(&input, Span::new(3000, 7000));
        out.input(&input, Span::new(900, 910));
        out.hexadecimal(u64::MAX);
        out.input(&input, Span::new(10_000, 16_000));
        assert_eq!(out.pieces(), 4);
        let whole = [
            b"head 0",
            &input[..7000],
            &input[900..910],
            b"ffffffffffffffff",
            &input[10_000..16_000],
        ]
        .concat();
        assert_eq!(out.len(), whole.len());
        for skip in 0..=whole.len() + 1 {
            let mut slices = [IoSlice::new(&[]); 8];
            let count = out.slices(&input, skip, &mut slices);
            let sent: Vec<u8> = slices[..count].iter().flat_map(|it| it.to_vec()).collect();
            let mut kept = Vec::new();
            out.copy_to(&input, skip, &mut kept);
            assert_eq!(sent, whole.get(skip..).unwrap_or_default());
            assert_eq!(kept, sent);
        }
    }

    #[test]
    fn a_short_list_of_slices_is_filled_and_no_more() {
        let input = vec![b'x'; 5000];
        let mut out = Outgoing::new();
        out.text(b"1");
        out.input(&input, Span::new(0, 5000));
        out.text(b"2");
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(out.slices(&input, 0, &mut slices), 2);
        assert_eq!(out.slices(&input, 5001, &mut slices), 1);
        assert_eq!(out.slices(&input, 5002, &mut slices), 0);
    }
}
