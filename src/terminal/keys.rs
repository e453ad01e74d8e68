//! Keys from the bytes that a terminal sends for them, cut anywhere.

/// What is kept of a sequence that has no end; the longest that means anything has some ten bytes.
const SEQUENCE_BYTES_MAX: usize = 32;
const ESCAPE: u8 = 0x1b;

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "keys are called what stands on them")]
pub enum Key {
    Char(char),
    Enter,
    Tab,
    BackTab,
    Escape,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// With the letter in lower case.
    Ctrl(char),
}

/// What one look at the bytes found.
enum Found {
    Key(Key),
    /// Bytes that are no key that anybody here wants.
    Nothing,
    /// The rest has not come.
    Cut,
}

/// The decoder.
#[derive(Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    /// What is there will not go on.
    is_over: bool,
}

impl Keys {
    /// Take in what was read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.is_over = false;
    }

    /// Nothing follows for now: a lone escape is a key.
    pub fn give_up(&mut self) {
        self.is_over = true;
    }

    /// Whether the beginning of a sequence is there.
    pub fn is_cut(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Whether anything was not taken yet.
    pub fn has_some(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next one, if it is whole.
    pub fn next_key(&mut self) -> Option<Key> {
        while !self.bytes.is_empty() {
            let (found, count) = self.look();
            match found {
                Found::Cut if !self.is_over => return None,
                Found::Cut => {
                    let is_escape = self.bytes[0] == ESCAPE;
                    self.bytes.drain(..1);
                    if is_escape {
                        return Some(Key::Escape);
                    }
                }
                Found::Nothing => {
                    self.bytes.drain(..count);
                }
                Found::Key(key) => {
                    self.bytes.drain(..count);
                    return Some(key);
                }
            }
        }
        None
    }

    /// What begins, and how many bytes it has.
    fn look(&self) -> (Found, usize) {
        match self.bytes[0] {
            ESCAPE => self.sequence(),
            b'\r' | b'\n' => (Found::Key(Key::Enter), 1),
            b'\t' => (Found::Key(Key::Tab), 1),
            8 | 0x7f => (Found::Key(Key::Backspace), 1),
            byte @ 1..=26 => (Found::Key(Key::Ctrl(char::from(b'a' + byte - 1))), 1),
            0..=31 => (Found::Nothing, 1),
            _ => self.character(),
        }
    }

    fn character(&self) -> (Found, usize) {
        let start = &self.bytes[..self.bytes.len().min(4)];
        let whole = match std::str::from_utf8(start) {
            Ok(text) => text,
            Err(error) if error.valid_up_to() > 0 => {
                std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(error) => {
                let is_cut = error.error_len().is_none();
                return (if is_cut { Found::Cut } else { Found::Nothing }, 1);
            }
        };
        match whole.chars().next() {
            Some(it) if it.is_control() => (Found::Nothing, it.len_utf8()),
            Some(it) => (Found::Key(Key::Char(it)), it.len_utf8()),
            None => (Found::Nothing, 1),
        }
    }

    /// `ESC [ parameters final`, `ESC O letter`, or escape with a key (Alt), which is that key.
    fn sequence(&self) -> (Found, usize) {
        match self.bytes.get(1) {
            None => (Found::Cut, 1),
            Some(b'[') => {
                let rest = &self.bytes[2..];
                let end = rest.iter().position(|it| (0x40..=0x7e).contains(it));
                match end {
                    None if rest.len() < SEQUENCE_BYTES_MAX => (Found::Cut, 1),
                    None => (Found::Nothing, self.bytes.len()),
                    Some(at) => (named(&rest[..at], rest[at]), at + 3),
                }
            }
            Some(b'O') => match self.bytes.get(2) {
                None => (Found::Cut, 1),
                Some(&letter) => (named(&[], letter), 3),
            },
            Some(_) => (Found::Key(Key::Escape), 1),
        }
    }
}

/// The key of a sequence by its parameters and last byte; modifiers behind `;` are not told apart.
fn named(parameters: &[u8], last: u8) -> Found {
    let first = parameters.split(|&it| it == b';').next().unwrap_or_default();
    Found::Key(match (last, first) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'M', b"") => Key::Enter,
        (b'Z', _) => Key::BackTab,
        (b'~', b"3") => Key::Delete,
        (b'~', b"5") => Key::PageUp,
        (b'~', b"6") => Key::PageDown,
        _ => return Found::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        keys.feed(bytes);
        std::iter::from_fn(|| keys.next_key()).collect()
    }

    #[test]
    fn letters_controls_and_sequences_are_keys() {
        use Key::*;
        assert_eq!(
            keys(
                b"q\x03\r\t\x7f\x1b[A\x1bOB\x1b[1;5C\x1b[Z\x1b[3~\x1b[5~\x1b[H\x1b[4~\xc3\xa9"
            ),
            [
                Char('q'),
                Ctrl('c'),
                Enter,
                Tab,
                Backspace,
                Up,
                Down,
                Right,
                BackTab,
                Delete,
                PageUp,
                Home,
                End,
                Char('é')
            ]
        );
    }

    #[test]
    fn unknown_sequences_and_bytes_that_are_no_text_are_left_out() {
        assert_eq!(
            keys(b"\x1b[?1;2c\x1b[200~a\xff\x80b\x00"),
            [Key::Char('a'), Key::Char('b')]
        );
        let mut endless = b"\x1b[".to_vec();
        endless.extend([b'1'; 100]);
        assert!(keys(&endless).is_empty());
    }

    #[test]
    fn a_sequence_may_be_cut_anywhere_and_a_lone_escape_is_a_key_once_nothing_follows() {
        let mut keys = Keys::default();
        for byte in b"\x1b[1;2" {
            keys.feed(&[*byte]);
            assert_eq!(keys.next_key(), None);
            assert!(keys.is_cut());
        }
        keys.feed(b"B");
        assert_eq!(keys.next_key(), Some(Key::Down));
        keys.feed(b"\x1b");
        assert_eq!(keys.next_key(), None);
        keys.give_up();
        assert_eq!(keys.next_key(), Some(Key::Escape));
        assert_eq!(keys.next_key(), None);
        keys.feed(b"\x1bq");
        assert_eq!(keys.next_key(), Some(Key::Escape));
        assert_eq!(keys.next_key(), Some(Key::Char('q')));
    }
}
