//! Which fields tell a backend of the client.

use super::complaint::Wrong;
use super::value::one_of;

/// They, each of which is written or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardedFields {
    /// X-Forwarded-For, -Proto, -Host and -Port.
    pub x_forwarded: bool,
    /// Forwarded, the field of RFC 7239.
    pub forwarded: bool,
    /// X-Real-IP, nginx's.
    pub x_real_ip: bool,
}

/// A word, and whether a list has it.
type Word = (&'static str, fn(&mut ForwardedFields) -> &mut bool);

const WORDS: &[Word] = &[
    ("x-forwarded", |it| &mut it.x_forwarded),
    ("forwarded", |it| &mut it.forwarded),
    ("x-real-ip", |it| &mut it.x_real_ip),
];

impl ForwardedFields {
    /// None of them.
    pub const NONE: ForwardedFields =
        ForwardedFields { x_forwarded: false, forwarded: false, x_real_ip: false };

    /// What holds where nothing else is asked for: what backends understand most likely.
    pub const DEFAULT: ForwardedFields =
        ForwardedFields { x_forwarded: true, ..ForwardedFields::NONE };

    /// Words with commas between them, or `none`.
    pub fn parse(text: &str) -> Result<ForwardedFields, Wrong> {
        let mut all = ForwardedFields::NONE;
        if text == "none" {
            return Ok(all);
        }
        for word in text.split(',') {
            let known = WORDS.iter().position(|it| it.0 == word.trim());
            let Some(index) = known else {
                let words: Vec<_> = WORDS.iter().map(|it| (it.0, ())).collect();
                let words = [&words[..], &[("none", ())]].concat();
                return Err(match one_of(word.trim(), &words) {
                    Err(wrong) => wrong,
                    // none, and others.
                    Ok(()) => Wrong::found(text, "none alone, or others without it"),
                });
            };
            *WORDS[index].1(&mut all) = true;
        }
        Ok(all)
    }

    /// As [`ForwardedFields::parse`] reads them.
    pub fn show(mut self) -> String {
        let mut has = |it: &&Word| *it.1(&mut self);
        let words: Vec<&str> = WORDS.iter().filter(|it| has(it)).map(|it| it.0).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(",") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_shown() {
        for (text, shown) in [
            ("none", "none"),
            ("forwarded", "forwarded"),
            ("x-real-ip, x-forwarded", "x-forwarded,x-real-ip"),
            ("x-forwarded,forwarded,x-real-ip,forwarded", "x-forwarded,forwarded,x-real-ip"),
        ] {
            let fields = ForwardedFields::parse(text).unwrap();
            assert_eq!(fields.show(), shown);
            assert_eq!(ForwardedFields::parse(shown), Ok(fields));
        }
        assert_eq!(ForwardedFields::DEFAULT.show(), "x-forwarded");
    }

    #[test]
    fn what_is_no_list_of_them_is_refused() {
        for text in ["", ",", "both", "forwarded,", "Forwarded", "none,forwarded", "x-real-ip;"]
        {
            assert!(ForwardedFields::parse(text).is_err(), "{text:?}");
        }
    }
}
