//! Cells of a table on the screen, and numbers in few columns.

use crate::terminal::{Ink, Line, Looks, Style, fit, fit_right, shown};

use super::super::sample::State;

/// One row, cell by cell.
pub struct Cells {
    looks: Looks,
    line: Line,
}

impl Cells {
    /// None yet.
    pub fn new(looks: Looks) -> Cells {
        Cells { looks, line: Line::default() }
    }

    /// A text, cut or filled up to so many columns.
    #[must_use]
    pub fn left(mut self, style: Style, text: &str, columns: usize) -> Cells {
        let text = fit(&shown(text, self.looks.unicode), columns, self.looks.unicode);
        self.line.push(style, text);
        self.line.push(Style::PLAIN, " ");
        self
    }

    /// A number.
    #[must_use]
    pub fn right(mut self, style: Style, text: &str, columns: usize) -> Cells {
        let text = fit_right(&shown(text, self.looks.unicode), columns, self.looks.unicode);
        self.line.push(style, text);
        self.line.push(Style::PLAIN, " ");
        self
    }

    /// A state: glyph, word and colour.
    #[must_use]
    pub fn state(self, state: State) -> Cells {
        let glyph = self.looks.glyph(glyph(state));
        let style = Style::ink(ink(state));
        self.left(style, &format!("{glyph} {}", state.word()), STATE_COLUMNS)
    }

    /// All of it.
    pub fn line(mut self) -> Line {
        // The blank behind the last cell may be one column too many.
        self.line.spans.pop();
        self.line
    }
}

/// What a rate has at least to fill a sparkline's height.
pub const LEAST_TOP: f64 = 4.0;

/// A glyph, a blank, `draining`.
pub const STATE_COLUMNS: usize = 10;

/// The glyph of a state.
pub fn glyph(state: State) -> char {
    match state {
        State::Up => '●',
        State::Unknown => '○',
        State::Draining => '◐',
        State::Full | State::Ejected => '▲',
        State::Maint => '■',
        State::Down => '▼',
    }
}

/// The colour of a state.
pub fn ink(state: State) -> Ink {
    match state {
        State::Up => Ink::Good,
        State::Unknown => Ink::Calm,
        State::Draining | State::Maint => Ink::Told,
        State::Full | State::Ejected => Ink::Warn,
        State::Down => Ink::Bad,
    }
}

/// How errors look.
pub fn troubled(errors: f64) -> Style {
    if errors > 0.0 { Style::ink(Ink::Bad).bold() } else { Style::PLAIN }
}

/// A number in at most five columns.
pub fn short(value: f64) -> String {
    match value {
        _ if !value.is_finite() || value <= 0.0 => "0".to_owned(),
        _ if value < 9.95 && value.fract() != 0.0 => format!("{value:.1}"),
        _ if value < 9_999.5 => format!("{value:.0}"),
        _ => {
            let units = [(1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P")];
            let fitting = units.into_iter().find(|it| value < it.0 * 999.5);
            let (size, unit) = fitting.unwrap_or((1e15, "P"));
            let value = value / size;
            if value < 99.95 {
                format!("{value:.1}{unit}")
            } else {
                format!("{value:.0}{unit}")
            }
        }
    }
}

/// Milliseconds in at most five columns, seconds from ten of them on.
pub fn millis(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(it) if it < 0.95 => format!("{it:.2}"),
        Some(it) if it < 9.95 => format!("{it:.1}"),
        Some(it) if it < 9_999.5 => format!("{it:.0}"),
        Some(it) => format!("{:.0}s", it / 1000.0),
    }
}

/// A weight: no fraction where there is none.
pub fn weight(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// The two largest units.
pub fn uptime(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A part of one.
pub fn percent(part: Option<f64>) -> String {
    part.map_or("-".to_owned(), |it| format!("{:.0}%", it * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_five_columns() {
        for (value, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (7.0, "7"),
            (1234.0, "1234"),
            (12_345.0, "12.3k"),
            (999_499.0, "999k"),
            (999_600.0, "1.0M"),
            (5e10, "50.0G"),
            (f64::NAN, "0"),
        ] {
            assert_eq!(short(value), text);
        }
        for (value, text) in
            [(None, "-"), (Some(0.25), "0.25"), (Some(12.3), "12"), (Some(61_000.0), "61s")]
        {
            assert_eq!(millis(value), text);
        }
        for exponent in 0..18 {
            assert!(short(9.996 * 10f64.powi(exponent)).len() <= 5, "{exponent}");
        }
        assert_eq!(uptime(3723), "1h 2m");
        assert_eq!(uptime(90_000), "1d 1h");
    }
}
