//! What keys and glyphs mean.

use crate::terminal::{Line, Looks, Style};

const KEYS: &[(&str, &str)] = &[
    ("1 to 5, Tab", "overview, traffic, errors, events, live"),
    ("arrows, j k", "choose a backend; page keys, Home, End, g, G"),
    ("Enter, d r m w", "drain, ready, maintenance or weight of it, after a question"),
    ("s, S", "sort by something else; the other way round"),
    ("/", "only backends with this in name, address or state; Esc ends it"),
    ("left, right", "of several processes one alone, or all together"),
    ("space", "pause"),
    ("+ -", "less often, more often"),
    ("q, Ctrl-C", "quit"),
];

const GLYPHS: &[&str] = &[
    "● up  ○ unknown  ◐ draining  ▲ full or ejected  ■ maintenance  ▼ down",
    "SHARE its part of its pool's traffic in the last minute, FAIR that by weight",
    "P50 P99 milliseconds   TO/S FROM/S bytes   RATE, ERR/S a second",
    "CONN connects that failed, LATE answers too late, BROKE broken off: since the start",
];

/// All of it.
pub fn body(looks: Looks) -> Vec<Line> {
    let key = |(keys, says): &(&str, &str)| {
        Line::of(Style::BOLD, format!("  {keys:15} ")).with(Style::PLAIN, *says)
    };
    let shown = |it: char| if it.is_ascii() { it } else { looks.glyph(it) };
    let glyph = |line: &&str| {
        Line::of(Style::PLAIN, format!("  {}", line.chars().map(shown).collect::<String>()))
    };
    let blank = || std::iter::once(Line::default());
    blank().chain(KEYS.iter().map(key)).chain(blank()).chain(GLYPHS.iter().map(glyph)).collect()
}
