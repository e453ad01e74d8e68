//! Writing JSON: objects, lists, numbers and text, one after another into a buffer.
//!
//! What comes out is ASCII whatever goes in, and one line: text that clients sent cannot break out
//! of its quotes, and no terminal or log reader gets a control character out of it. Used by the
//! statistics and by the access log; reading JSON is nobody's business here.

use std::fmt;
use std::io::Write as _;

/// An object that is being written; its closing brace comes by itself.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

/// Append an object with what `fill` puts into it.
pub fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    let mut object = Object { out, empty: true };
    fill(&mut object);
    out.push(b'}');
}

/// Append members to an object whose brace is open; whoever opened it closes it.
pub fn members(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    let empty = out.last() == Some(&b'{');
    fill(&mut Object { out, empty });
}

impl Object<'_> {
    /// A member that is text: UTF-8, and what is none becomes U+FFFD.
    pub fn text(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.name(name);
        text(value, self.out);
    }

    /// A member that is text as it is shown, which must have no quotes and no controls.
    pub fn shown(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        // because: writing to a vector cannot fail.
        let _ = write!(self.out, "\"{value}\"");
    }

    /// A member that is a whole number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        // because: writing to a vector cannot fail.
        let _ = write!(self.out, "{value}");
    }

    /// A member that is a number with three places after the point; without end or meaning, null.
    pub fn decimal(&mut self, name: &str, value: f64) {
        if !value.is_finite() {
            return self.null(name);
        }
        self.name(name);
        let _ = write!(self.out, "{value:.3}");
    }

    /// A member that is true or false.
    pub fn truth(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A member that nothing is known of.
    pub fn null(&mut self, name: &str) {
        self.name(name);
        self.out.extend_from_slice(b"null");
    }

    /// A member that is an object.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        object(self.out, fill);
    }

    /// A member that is a list of objects, one an item.
    pub fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Object<'_>, T),
    ) {
        self.name(name);
        self.out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            object(self.out, |it| fill(it, item));
        }
        self.out.push(b']');
    }

    /// A member that is a list of texts.
    pub fn texts<T: AsRef<[u8]>>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        self.name(name);
        self.out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            text(item, self.out);
        }
        self.out.push(b']');
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        text(name, self.out);
        self.out.push(b':');
    }
}

/// Append a text in its quotes.
pub fn text(bytes: impl AsRef<[u8]>, out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.as_ref().utf8_chunks() {
        chunk.valid().chars().for_each(|letter| character(letter, out));
        if !chunk.invalid().is_empty() {
            character(char::REPLACEMENT_CHARACTER, out);
        }
    }
    out.push(b'"');
}

fn character(letter: char, out: &mut Vec<u8>) {
    match letter {
        '"' | '\\' => out.extend([b'\\', letter as u8]),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        ' '..='~' => out.push(letter as u8),
        letter => {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

/// A number with as many digits as are known of it, or null.
pub fn number(value: Option<f32>, out: &mut Vec<u8>) {
    let text = match value {
        None => "null".to_owned(),
        Some(value) if value == value.trunc() => format!("{value:.0}"),
        Some(value) if value >= 1000.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.3}"),
    };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn written(fill: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = Vec::new();
        object(&mut out, fill);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn members_of_all_kinds() {
        assert_eq!(written(|_| {}), "{}");
        let text = written(|it| {
            it.text("a", "x");
            it.shown("a2", Ipv4Addr::LOCALHOST);
            it.number("b", 7);
            it.decimal("c", 0.0625);
            it.truth("d", true);
            it.null("e");
            it.object("f", |it| it.truth("g", false));
            it.list("h", [1, 2], |it, value| it.number("i", value));
            it.list("j", [0; 0], |_, _| {});
            it.texts("l", ["x", "\n"]);
            it.decimal("k", f64::NAN);
        });
        let start =
            r#"{"a":"x","a2":"127.0.0.1","b":7,"c":0.062,"d":true,"e":null,"f":{"g":false},"#;
        assert_eq!(
            text,
            start.to_owned() + r#""h":[{"i":1},{"i":2}],"j":[],"l":["x","\n"],"k":null}"#
        );
    }

    #[test]
    fn hostile_text_stays_within_its_quotes() {
        let table: [(&[u8], &str); 9] = [
            (b"", ""),
            (b"\"", "\\\""),
            (b"\\\"", "\\\\\\\""),
            (b"a\r\nb\tc", "a\\r\\nb\\tc"),
            (b"\x00\x1b[2J\x7f", "\\u0000\\u001b[2J\\u007f"),
            ("\u{2028}\u{202e}".as_bytes(), "\\u2028\\u202e"),
            ("\u{1f600}".as_bytes(), "\\ud83d\\ude00"),
            (b"a\xffb\xc3", "a\\ufffdb\\ufffd"),
            (b"</script>", "</script>"),
        ];
        for (bytes, wanted) in table {
            let text = written(|it| it.text("x", bytes));
            assert_eq!(text, format!("{{\"x\":\"{wanted}\"}}"), "{bytes:?}");
        }
        let all: Vec<u8> = (0..=255).collect();
        let text = written(|it| it.text("x", &all));
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
    }

    #[test]
    fn numbers_have_the_digits_that_are_known() {
        let written = |value| {
            let mut out = Vec::new();
            number(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        let values = [None, Some(0.0), Some(0.25), Some(17.04), Some(1234.5), Some(2e9)];
        let texts = ["null", "0", "0.250", "17.0", "1234", "2000000000"];
        assert_eq!(values.map(written), texts);
    }
}
