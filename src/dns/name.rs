//! A name as it is asked: labels in lower case, complete, without the dot at its end.

use std::fmt;

/// Bytes of a label.
const LABEL_BYTES_MAX: usize = 63;

/// Bytes of a name as it is written: 255 with the lengths of its labels and of the root.
const NAME_BYTES_MAX: usize = 253;

/// A complete name. Letters, digits, `-` and `_` alone: others are no hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is nothing, or a dot alone.
    Empty,
    /// Two dots in a row, or one at the beginning.
    EmptyLabel,
    /// A label with so many bytes.
    LongLabel(usize),
    /// So many bytes in all.
    Long(usize),
    /// A byte that no host has.
    Byte(u8),
}

impl Name {
    /// Reads one, with or without a dot at its end.
    pub fn new(text: &str) -> Result<Name, Why> {
        Name::of_labels(text.strip_suffix('.').unwrap_or(text).split('.').map(str::as_bytes))
    }

    /// Of its labels.
    pub fn of_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Result<Name, Why> {
        let mut text = String::new();
        for (index, label) in labels.enumerate() {
            if index > 0 {
                text.push('.');
            }
            match label.len() {
                0 if index == 0 => return Err(Why::Empty),
                0 => return Err(Why::EmptyLabel),
                length if length > LABEL_BYTES_MAX => return Err(Why::LongLabel(length)),
                _ => {}
            }
            for &byte in label {
                if !(byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
                    return Err(Why::Byte(byte));
                }
                text.push(char::from(byte.to_ascii_lowercase()));
            }
        }
        match text.len() {
            0 => Err(Why::Empty),
            length if length > NAME_BYTES_MAX => Err(Why::Long(length)),
            _ => Ok(Name(text.into_boxed_str())),
        }
    }

    /// As it is written, without a dot at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name under a domain; `None` if that would be too long.
    pub fn under(&self, domain: &Name) -> Option<Name> {
        Name::new(&format!("{}.{}", self.0, domain.0)).ok()
    }

    /// Dots in it.
    pub fn dots(&self) -> usize {
        self.0.bytes().filter(|&byte| byte == b'.').count()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Empty => f.write_str("the name is empty"),
            Why::EmptyLabel => f.write_str("the name has nothing between two dots"),
            Why::LongLabel(length) => {
                write!(f, "a part of the name has {length} bytes, at most {LABEL_BYTES_MAX}")
            }
            Why::Long(length) => {
                write!(f, "the name has {length} bytes, at most {NAME_BYTES_MAX}")
            }
            Why::Byte(byte) => {
                let byte = byte.escape_ascii();
                write!(f, "the name has '{byte}' in it, want letters, digits, '-', '_' and '.'")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_in_lower_case_and_without_a_dot_at_its_end() {
        let name = Name::new("_HTTP._tcp.Api.Example.").unwrap();
        assert_eq!(name.as_str(), "_http._tcp.api.example");
        assert_eq!(name.dots(), 3);
        assert_eq!(Name::new("db").unwrap().under(&name).unwrap().dots(), 4);
    }

    #[test]
    fn what_is_no_name_is_told_in_words() {
        let long = "a".repeat(64);
        let longer = ["a".repeat(63).as_str(); 4].join(".");
        let table = [
            ("", "the name is empty"),
            (".", "the name is empty"),
            (".a", "the name is empty"),
            ("a..b", "the name has nothing between two dots"),
            (&long, "a part of the name has 64 bytes, at most 63"),
            (&longer, "the name has 255 bytes, at most 253"),
            ("a b", "the name has ' ' in it, want letters, digits, '-', '_' and '.'"),
            ("ä", "the name has '\\xc3' in it, want letters, digits, '-', '_' and '.'"),
        ];
        for (text, why) in table {
            assert_eq!(Name::new(text).unwrap_err().to_string(), why, "{text}");
        }
    }
}
