//! Patterns with `*` for any bytes and `?` for one byte, matched in time linear in the text.
//!
//! Between two stars the first place that fits is as good as any later one, so nothing is ever
//! tried again. A piece without `?` is sought by comparing memory. One with `?` is sought with a
//! bit for each of its bytes (shift-and), for which it has to be short.

use std::fmt;

use crate::limits::CONDITION_PIECE_BYTES_MAX;

/// A pattern. Shown with stars beside each other as one, which means the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// What stands before the first star, or all of it.
    first: String,
    /// What stands between stars, never empty.
    middle: Vec<String>,
    /// What stands behind the last star; `None` without one.
    last: Option<String>,
}

impl Glob {
    /// `None` if a piece between two stars has a `?` and is too long.
    pub fn parse(text: &str) -> Option<Glob> {
        let mut pieces = text.split('*').map(str::to_owned);
        let first = pieces.next()?;
        let last = pieces.next_back();
        let middle: Vec<String> = pieces.filter(|piece| !piece.is_empty()).collect();
        let is_long = |piece: &String| piece.len() > CONDITION_PIECE_BYTES_MAX;
        let is_slow = |piece: &String| is_long(piece) && piece.contains('?');
        (!middle.iter().any(is_slow)).then_some(Glob { first, middle, last })
    }

    /// Whether it fits all of the text.
    pub fn fits(&self, text: &[u8]) -> bool {
        let first = self.first.as_bytes();
        let Some(last) = &self.last else { return fits_bytes(first, text) };
        let Some((start, rest)) = text.split_at_checked(first.len()) else { return false };
        let Some(length) = rest.len().checked_sub(last.len()) else { return false };
        let mut between = &rest[..length];
        if !fits_bytes(first, start) || !fits_bytes(last.as_bytes(), &rest[length..]) {
            return false;
        }
        for piece in &self.middle {
            match end_of(piece.as_bytes(), between) {
                Some(end) => between = &between[end..],
                None => return false,
            }
        }
        true
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        let Some(last) = &self.last else { return Ok(()) };
        for piece in &self.middle {
            write!(f, "*{piece}")?;
        }
        write!(f, "*{last}")
    }
}

/// Whether the text has these bytes somewhere. Each place costs one comparison of memory.
pub fn contains(bytes: &[u8], text: &[u8]) -> bool {
    end_of_plain(bytes, text).is_some()
}

fn fits_bytes(piece: &[u8], text: &[u8]) -> bool {
    let fits = |(&one, &byte): (&u8, &u8)| one == b'?' || one == byte;
    piece.len() == text.len() && piece.iter().zip(text).all(fits)
}

/// The index behind the first place where a piece fits.
fn end_of(piece: &[u8], text: &[u8]) -> Option<usize> {
    if piece.len() > text.len() {
        return None;
    }
    match piece.contains(&b'?') {
        true => end_of_open(piece, text),
        false => end_of_plain(piece, text),
    }
}

fn end_of_plain(piece: &[u8], text: &[u8]) -> Option<usize> {
    if piece.is_empty() {
        return Some(0);
    }
    let start = text.windows(piece.len()).position(|window| window == piece)?;
    Some(start + piece.len())
}

/// A bit is set for each beginning of the piece that ends at the current byte of the text. One step
/// for each byte of the piece and of the text.
fn end_of_open(piece: &[u8], text: &[u8]) -> Option<usize> {
    let open = bits(piece, |one| one == b'?');
    let mut fitting = [open; 256];
    for (index, &one) in piece.iter().enumerate() {
        fitting[usize::from(one)] |= 1 << index;
    }
    let whole = 1 << (piece.len() - 1);
    let mut begun: u64 = 0;
    let ends = text.iter().position(|&byte| {
        begun = ((begun << 1) | 1) & fitting[usize::from(byte)];
        begun & whole != 0
    })?;
    Some(ends + 1)
}

fn bits(piece: &[u8], is: impl Fn(u8) -> bool) -> u64 {
    let set = piece.iter().enumerate().filter(|(_, one)| is(**one));
    set.fold(0, |bits, (index, _)| bits | 1 << index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    /// The slow way, which tries every place.
    fn plainly_fits(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', after @ ..], _) => {
                (0..=text.len()).any(|skipped| plainly_fits(after, &text[skipped..]))
            }
            ([b'?', after @ ..], [_, rest @ ..]) => plainly_fits(after, rest),
            ([one, after @ ..], [byte, rest @ ..]) => one == byte && plainly_fits(after, rest),
            (_, []) => false,
        }
    }

    #[test]
    fn patterns_fit_the_whole_text() {
        let table = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "anything", true),
            ("?", "", false),
            ("?", "a", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("/api/*/users", "/api/v1/users", true),
            ("/api/*/users", "/api/users", false),
            ("*.jpg", "a.jpg.png", false),
            ("*.?pg", "a.jpg", true),
            ("a*b?c*d", "abxcabycd", true),
            ("a*b?c*d", "abccd", true),
            ("a*b?c*d", "abcd", false),
        ];
        for (pattern, text, fits) in table {
            assert_eq!(glob(pattern).fits(text.as_bytes()), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn any_pattern_does_what_the_slow_way_does() {
        let mut random = fastrand::Rng::with_seed(11);
        let mut fitting = 0;
        for _ in 0..100_000 {
            let text = |random: &mut fastrand::Rng, of: &[u8], most| -> String {
                let length = random.usize(..most);
                (0..length).map(|_| char::from(of[random.usize(..of.len())])).collect()
            };
            let pattern = text(&mut random, b"aab?**", 9);
            let subject = text(&mut random, b"ab?*", 12);
            let wanted = plainly_fits(pattern.as_bytes(), subject.as_bytes());
            let found = glob(&pattern);
            assert_eq!(found.fits(subject.as_bytes()), wanted, "{pattern} {subject}");
            assert_eq!(glob(&found.to_string()), found);
            fitting += u32::from(wanted);
        }
        assert!(fitting > 5_000, "{fitting}");
    }

    #[test]
    fn a_piece_with_open_places_is_short() {
        let most = "?".repeat(CONDITION_PIECE_BYTES_MAX);
        assert!(glob(&format!("*{most}*")).fits(&[b'x'; CONDITION_PIECE_BYTES_MAX]));
        assert!(!glob(&format!("*{most}*")).fits(&[b'x'; CONDITION_PIECE_BYTES_MAX - 1]));
        assert_eq!(Glob::parse(&format!("*{most}?*")), None);
        assert!(Glob::parse(&format!("{most}?*{most}?")).is_some(), "their place is fixed");
        assert!(Glob::parse(&format!("*{}*", "x".repeat(1000))).is_some());
    }

    /// What makes a matcher that tries again take longer than the universe has lasted.
    #[test]
    fn nothing_is_tried_again() {
        let text = vec![b'a'; 16 * 1024];
        assert!(!glob(&format!("{}b", "a*".repeat(100))).fits(&text));
        assert!(!glob(&format!("*{}b?*", "a?".repeat(20))).fits(&text));
    }
}
