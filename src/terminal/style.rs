//! How text looks: colours for the colour-blind (Okabe and Ito), and whether there are any.

use std::fmt::Write;

/// A colour by what it says. None says anything alone: a glyph or a word stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// As it is to be: bluish green.
    Good,
    /// Worth a look: orange.
    Warn,
    /// Wrong: vermilion.
    Bad,
    /// Neither, such as a chart: sky blue.
    Calm,
    /// Somebody's decision, such as draining: reddish purple.
    Told,
}

impl Ink {
    /// The nearest of the 256 colours.
    fn number(self) -> u8 {
        match self {
            Ink::Good => 36,
            Ink::Warn => 214,
            Ink::Bad => 202,
            Ink::Calm => 74,
            Ink::Told => 175,
        }
    }
}

/// How a span of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    ink: Option<Ink>,
    is_bold: bool,
    is_faint: bool,
    is_reverse: bool,
}

impl Style {
    /// As the terminal writes.
    pub const PLAIN: Style =
        Style { ink: None, is_bold: false, is_faint: false, is_reverse: false };
    /// What is read first.
    pub const BOLD: Style = Style { is_bold: true, ..Style::PLAIN };
    /// What is read last.
    pub const FAINT: Style = Style { is_faint: true, ..Style::PLAIN };
    /// A heading, or the row that keys are about.
    pub const REVERSE: Style = Style { is_reverse: true, ..Style::PLAIN };

    /// In this colour.
    pub const fn ink(ink: Ink) -> Style {
        Style { ink: Some(ink), ..Style::PLAIN }
    }

    /// And bold.
    #[must_use]
    pub const fn bold(self) -> Style {
        Style { is_bold: true, ..self }
    }

    /// And reversed.
    #[must_use]
    pub const fn reverse(self) -> Style {
        Style { is_reverse: true, ..self }
    }

    /// The SGR sequence from the plain style to this one; empty for the plain one.
    pub(super) fn sequence(self, looks: Looks) -> String {
        let mut out = String::new();
        let parts = [(self.is_bold, "1"), (self.is_faint, "2"), (self.is_reverse, "7")];
        for (_, code) in parts.into_iter().filter(|it| it.0) {
            let _ = write!(out, ";{code}");
        }
        if let Some(ink) = self.ink.filter(|_| looks.colour) {
            let _ = write!(out, ";38;5;{}", ink.number());
        }
        match out.strip_prefix(';') {
            Some(codes) => format!("\x1b[{codes}m"),
            None => out,
        }
    }
}

/// What the terminal and whoever sits there can do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// Colours are wanted.
    pub colour: bool,
    /// Characters outside ASCII arrive.
    pub unicode: bool,
}

impl Looks {
    /// By `NO_COLOR`, `TERM` and the locale.
    pub fn from_environment() -> Looks {
        Looks::by(|name| std::env::var(name).ok())
    }

    fn by(variable: impl Fn(&str) -> Option<String>) -> Looks {
        let set = |name: &str| variable(name).filter(|it| !it.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|it| set(it));
        let is_utf8 = |it: String| {
            let it = it.to_ascii_lowercase();
            it.contains("utf-8") || it.contains("utf8")
        };
        let is_dumb = set("TERM").is_none_or(|it| it == "dumb");
        Looks {
            colour: set("NO_COLOR").is_none() && !is_dumb,
            unicode: locale.is_some_and(is_utf8),
        }
    }

    /// The glyph, or what stands for it in ASCII.
    pub fn glyph(self, glyph: char) -> char {
        match glyph {
            _ if self.unicode => glyph,
            '●' => '*',
            '◐' => 'o',
            '▲' => '^',
            '▼' => 'v',
            '■' => '#',
            '○' => '.',
            '·' => '-',
            '─' => '-',
            '↓' => 'v',
            '↑' => '^',
            _ => '?',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Looks = Looks { colour: true, unicode: true };

    #[test]
    fn a_style_is_one_sequence_and_without_colours_it_keeps_the_rest() {
        assert_eq!(Style::PLAIN.sequence(ALL), "");
        assert_eq!(Style::ink(Ink::Bad).bold().sequence(ALL), "\x1b[1;38;5;202m");
        let none = Looks { colour: false, unicode: true };
        assert_eq!(Style::ink(Ink::Bad).bold().sequence(none), "\x1b[1m");
        assert_eq!(Style::ink(Ink::Bad).sequence(none), "");
    }

    #[test]
    fn the_environment_says_what_may_be_shown() {
        let looks = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> =
                pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            Looks::by(|name| pairs.iter().find(|it| it.0 == name).map(|it| it.1.clone()))
        };
        assert_eq!(looks(&[("TERM", "xterm"), ("LANG", "de_DE.UTF-8")]), ALL);
        assert!(!looks(&[("TERM", "xterm"), ("NO_COLOR", "1")]).colour);
        assert!(looks(&[("TERM", "xterm"), ("NO_COLOR", "")]).colour);
        assert!(!looks(&[("TERM", "dumb")]).colour);
        assert!(!looks(&[]).colour);
        assert!(!looks(&[("LC_ALL", "C"), ("LANG", "C.utf8")]).unicode);
        assert!(looks(&[("LC_ALL", ""), ("LANG", "C.utf8")]).unicode);
    }
}
