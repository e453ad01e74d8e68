//! Files of networks: one a line, `#` before what is for people, empty lines.
//!
//! ```text
//!   # the office
//!   192.0.2.0/24
//!   2001:db8::/32   # its other half
//! ```
//!
//! Pure: bytes come in pieces cut anywhere, networks and mistakes go out.

use crate::config::{Cidr, Wrong};
use crate::limits::{ACCESS_LINE_BYTES_MAX, ACCESS_MISTAKES_SHOWN};

/// A file of networks that is being read.
#[derive(Debug, Default)]
pub struct Lines {
    /// The number of the line that comes next, from zero.
    line: usize,
    /// What was read of it.
    begun: Vec<u8>,
    /// It is longer than any may be, and was complained of.
    is_too_long: bool,
    mistakes: Vec<Mistake>,
    /// Those that are not kept.
    others: usize,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its number, from one.
    pub line: usize,
    /// `found X, want Y`.
    pub wrong: Wrong,
}

impl Lines {
    /// The next bytes.
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(Cidr)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&it| it == b'\n') {
            self.extend(&rest[..end]);
            self.end_line(each);
            rest = &rest[end + 1..];
        }
        self.extend(rest);
    }

    /// The file ends here, perhaps without a newline.
    pub fn end(&mut self, each: &mut impl FnMut(Cidr)) {
        self.end_line(each);
    }

    /// What is wrong with it: the first ones, and how many more there are.
    pub fn mistakes(&self) -> (&[Mistake], usize) {
        (&self.mistakes, self.others)
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.begun.len() + bytes.len() <= ACCESS_LINE_BYTES_MAX {
            return self.begun.extend_from_slice(bytes);
        }
        if !std::mem::replace(&mut self.is_too_long, true) {
            let found = format!("a line of more than {ACCESS_LINE_BYTES_MAX} bytes");
            self.complain(Wrong::saying(found, "a network a line"));
        }
    }

    fn end_line(&mut self, each: &mut impl FnMut(Cidr)) {
        let mut begun = std::mem::take(&mut self.begun);
        if !std::mem::take(&mut self.is_too_long) {
            match network(&begun, self.line == 0) {
                Ok(found) => found.into_iter().for_each(each),
                Err(wrong) => self.complain(wrong),
            }
        }
        begun.clear();
        self.begun = begun;
        self.line += 1;
    }

    fn complain(&mut self, wrong: Wrong) {
        if self.mistakes.len() < ACCESS_MISTAKES_SHOWN {
            self.mistakes.push(Mistake { line: self.line + 1, wrong });
        } else {
            self.others += 1;
        }
    }
}

/// The network of a line, if there is one. Editors of Windows put a mark before the first one.
fn network(line: &[u8], is_first: bool) -> Result<Option<Cidr>, Wrong> {
    let line = if is_first { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line };
    let end = line.iter().position(|&it| it == b'#').unwrap_or(line.len());
    let line = line[..end].trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    Cidr::parse(&String::from_utf8_lossy(line)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], piece: usize) -> (Vec<String>, Vec<String>) {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut each = |it: Cidr| found.push(it.to_string());
        text.chunks(piece).for_each(|piece| lines.feed(piece, &mut each));
        lines.end(&mut each);
        let (mistakes, more) = lines.mistakes();
        let mut says: Vec<String> =
            mistakes.iter().map(|it| format!("{}: {}", it.line, it.wrong)).collect();
        if more > 0 {
            says.push(format!("and {more} more"));
        }
        (found, says)
    }

    #[test]
    fn a_line_has_a_network_or_nothing_wherever_it_is_cut() {
        let text =
            b"\xEF\xBB\xBF10.0.0.0/8\r\n\n  # all of it\n 192.0.2.1\t# one\n#\n2001:db8::/32";
        for piece in 1..=text.len() {
            let (found, mistakes) = read(text, piece);
            assert_eq!(found, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"], "{piece}");
            assert!(mistakes.is_empty(), "{mistakes:?}");
        }
        assert_eq!(read(b"", 1), (vec![], vec![]));
    }

    #[test]
    fn mistakes_have_their_lines() {
        let long = "1".repeat(ACCESS_LINE_BYTES_MAX + 1);
        let text = format!("::1\nnobody\n10.0.0.1/8\n{long}\n10.0.0.0/8 10.0.0.1\n::2\n");
        let (found, mistakes) = read(text.as_bytes(), 7);
        assert_eq!(found, ["::1/128", "::2/128"]);
        let want = "a network such as 10.0.0.0/8 or fd00::/8, or an address";
        assert_eq!(
            mistakes,
            [
                format!("2: found 'nobody', want {want}"),
                "3: found '10.0.0.1/8', want 10.0.0.0/8, or 10.0.0.1 alone".to_owned(),
                "4: found a line of more than 1024 bytes, want a network a line".to_owned(),
                format!("5: found '10.0.0.0/8 10.0.0.1', want {want}"),
            ]
        );
        let (_, many) = read("x\n".repeat(50).as_bytes(), 100);
        assert_eq!(many.len(), ACCESS_MISTAKES_SHOWN + 1);
        assert_eq!(many.last().unwrap(), "and 30 more");
    }

    #[test]
    fn bytes_that_are_no_text_are_a_mistake() {
        let (found, mistakes) = read(b"\xFF\xFE\n::1\n", 3);
        assert_eq!((found.len(), mistakes.len()), (1, 1));
    }
}
