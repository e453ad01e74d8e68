//! Frames: lines of spans, cut to the screen, and of them the bytes that changed.

use std::fmt::Write;

use super::style::{Looks, Style};
use super::text::{cut, shown, width};

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// From the left.
    pub columns: usize,
    /// From the top.
    pub rows: usize,
}

impl Size {
    /// That of a terminal since there were any.
    pub const USUAL: Size = Size { columns: 80, rows: 24 };
}

/// Text in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// How it looks.
    pub style: Style,
    /// Any text; what is not shown in one column is spelt out.
    pub text: String,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// From the left.
    pub spans: Vec<Span>,
    /// The style of the rest of the row, such as that of a heading.
    pub rest: Style,
}

impl Line {
    /// In one style.
    pub fn of(style: Style, text: impl Into<String>) -> Line {
        Line::default().with(style, text)
    }

    /// And a span more.
    #[must_use]
    pub fn with(mut self, style: Style, text: impl Into<String>) -> Line {
        self.push(style, text);
        self
    }

    /// A span more.
    pub fn push(&mut self, style: Style, text: impl Into<String>) {
        self.spans.push(Span { style, text: text.into() });
    }

    /// Reversed as a whole, to the right edge: a heading, or the row that keys are about.
    #[must_use]
    pub fn reversed(mut self) -> Line {
        for span in &mut self.spans {
            span.style = span.style.reverse();
        }
        self.rest = self.rest.reverse();
        self
    }

    /// Its text alone.
    pub fn text(&self) -> String {
        self.spans.iter().map(|it| it.text.as_str()).collect()
    }
}

/// What stands on the screen.
pub struct Screen {
    looks: Looks,
    size: Size,
    /// The bytes of each row; nothing is known of rows behind its end.
    rows: Vec<String>,
}

impl Screen {
    /// A screen of which nothing is known.
    pub fn new(looks: Looks, size: Size) -> Screen {
        Screen { looks, size, rows: Vec::new() }
    }

    /// How large it is.
    pub fn size(&self) -> Size {
        self.size
    }

    /// It has this size now, and nothing is known of what stands there.
    pub fn resize(&mut self, size: Size) {
        self.size = size;
        self.rows.clear();
    }

    /// The bytes that bring it from what stands there to these lines: none if that is the same.
    /// What is below the last line is cleared, what does not fit is left out.
    pub fn frame(&mut self, lines: &[Line]) -> String {
        let blank = Line::default();
        let mut out = String::new();
        for row in 0..self.size.rows {
            let bytes = self.row(lines.get(row).unwrap_or(&blank));
            if self.rows.get(row) == Some(&bytes) {
                continue;
            }
            let _ = write!(out, "\x1b[{};1H{bytes}", row + 1);
            match self.rows.get_mut(row) {
                Some(there) => *there = bytes,
                None => self.rows.push(bytes),
            }
        }
        // A terminal that knows of synchronized output (DEC 2026) shows a frame as a whole.
        if out.is_empty() { out } else { format!("\x1b[?2026h{out}\x1b[?2026l") }
    }

    fn row(&self, line: &Line) -> String {
        let mut out = String::new();
        let mut left = self.size.columns;
        for span in &line.spans {
            let text = shown(&span.text, self.looks.unicode);
            let text = cut(&text, left, self.looks.unicode);
            left -= width(&text);
            self.styled(&mut out, span.style, &text);
        }
        if line.rest != Style::PLAIN {
            self.styled(&mut out, line.rest, &" ".repeat(left));
        } else if left > 0 {
            // At the right edge it would take away the last character.
            out.push_str("\x1b[K");
        }
        out
    }

    fn styled(&self, out: &mut String, style: Style, text: &str) {
        let sequence = style.sequence(self.looks);
        if text.is_empty() || sequence.is_empty() {
            out.push_str(text);
        } else {
            let _ = write!(out, "{sequence}{text}\x1b[0m");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::Ink;
    use super::*;

    const ALL: Looks = Looks { colour: true, unicode: true };

    fn screen(columns: usize, rows: usize) -> Screen {
        Screen::new(ALL, Size { columns, rows })
    }

    #[test]
    fn a_frame_is_synchronized_and_each_row_is_placed_and_cleared() {
        let mut screen = screen(10, 2);
        let lines = [Line::of(Style::ink(Ink::Bad), "down").with(Style::PLAIN, " a")];
        assert_eq!(
            screen.frame(&lines),
            "\x1b[?2026h\x1b[1;1H\x1b[38;5;202mdown\x1b[0m a\x1b[K\x1b[2;1H\x1b[K\x1b[?2026l"
        );
    }

    #[test]
    fn only_rows_that_differ_are_written() {
        let mut screen = screen(10, 3);
        let line = |text: &str| Line::of(Style::PLAIN, text);
        screen.frame(&[line("a"), line("b"), line("c")]);
        assert_eq!(screen.frame(&[line("a"), line("b"), line("c")]), "");
        assert_eq!(
            screen.frame(&[line("a"), line("x")]),
            "\x1b[?2026h\x1b[2;1Hx\x1b[K\x1b[3;1H\x1b[K\x1b[?2026l"
        );
        screen.resize(Size { columns: 5, rows: 1 });
        assert_eq!(screen.frame(&[line("a")]), "\x1b[?2026h\x1b[1;1Ha\x1b[K\x1b[?2026l");
    }

    #[test]
    fn nothing_is_written_outside_the_screen() {
        let mut screen = screen(5, 2);
        let lines: Vec<Line> = (0..9)
            .map(|_| Line::of(Style::PLAIN, "ab\x1b[2J").with(Style::BOLD, "中中中"))
            .collect();
        let frame = screen.frame(&lines);
        assert_eq!(frame.matches("ab\\u…").count(), 2, "{frame:?}");
        assert!(!frame.contains('中') && !frame.contains("[2J"), "{frame:?}");
    }

    #[test]
    fn a_reversed_line_goes_to_the_right_edge() {
        let mut screen = screen(4, 1);
        let frame = screen.frame(&[Line::of(Style::PLAIN, "ab").reversed()]);
        assert_eq!(frame, "\x1b[?2026h\x1b[1;1H\x1b[7mab\x1b[0m\x1b[7m  \x1b[0m\x1b[?2026l");
    }
}
