//! A mistake in a file, as people are shown it.
//!
//! ```text
//! error: unknown key `wieght`
//!   --> /etc/pointsman/api.toml:31:41
//!    |
//! 31 | backends = [ { address = "10.0.0.1:80", wieght = 2 } ]
//!    |                                         ^^^^^^ did you mean `weight`?
//! ```

use super::mistake::Mistake;
use super::source::Sources;

/// Characters of a line that are shown.
const SHOWN_MAX: usize = 100;

/// Characters that are shown before the place, in a line that is too long.
const SHOWN_BEFORE: usize = 40;

impl Mistake {
    /// Lines, the first of which begins with `kind`.
    pub fn shown(&self, kind: &str, sources: &Sources) -> String {
        let head = format!("{kind}: {}", self.says);
        let Some(place) = self.at.and_then(|at| sources.place(at)) else {
            return match &self.hint {
                Some(hint) => format!("{head}; {hint}"),
                None => head,
            };
        };
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let cut = Cut::of(&place.text, place.column, place.length);
        let mut arrow = " ".repeat(cut.before) + &"^".repeat(cut.length);
        if let Some(hint) = &self.hint {
            arrow += &format!(" {hint}");
        }
        format!(
            "{head}\n{margin}--> {place}\n{margin} |\n{number} | {}\n{margin} | {arrow}",
            cut.text
        )
    }
}

/// A line as it is shown: cut to a readable length, tabs and control characters as one blank each.
struct Cut {
    text: String,
    /// Columns before the arrow.
    before: usize,
    length: usize,
}

impl Cut {
    fn of(line: &str, column: usize, length: usize) -> Cut {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let chars: Vec<char> = line.chars().map(plain).collect();
        let at = column - 1;
        let is_long = chars.len() > SHOWN_MAX;
        let start = if is_long { at.saturating_sub(SHOWN_BEFORE) } else { 0 };
        let end = chars.len().min(start + SHOWN_MAX);
        let lead = if start > 0 { "..." } else { "" };
        let tail = if end < chars.len() { "..." } else { "" };
        let middle: String = chars.get(start..end).unwrap_or_default().iter().collect();
        let before: usize = chars.get(start..at).unwrap_or_default().iter().map(width).sum();
        let meant = chars.get(at..(at + length).min(end)).unwrap_or_default();
        let length = meant.iter().map(width).sum::<usize>().max(1);
        Cut { text: format!("{lead}{middle}{tail}"), before: lead.len() + before, length }
    }
}

/// Columns that a terminal gives a character: the wide ones of East Asia have two.
fn width(c: &char) -> usize {
    let wide = matches!(*c as u32, 0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF | 0xFE30..=0xFE6F | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF | 0x20000..=0x3FFFD);
    if wide { 2 } else { 1 }
}
