//! Sparklines and bars as text.

use super::style::Looks;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same heights where only ASCII arrives.
const ASCII: [char; 8] = ['_', '.', ',', '-', '=', '+', '*', '#'];
/// Parts of a column, from the left.
const PARTS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// The last values, a column each, the newest to the right, from nothing up to the largest that is
/// shown (`least_top` at least, so that noise stays low). What is unknown or was before is a blank.
pub fn sparkline(
    values: &[Option<f64>],
    columns: usize,
    least_top: f64,
    looks: Looks,
) -> String {
    let glyphs = if looks.unicode { BLOCKS } else { ASCII };
    let values = &values[values.len().saturating_sub(columns)..];
    let known = values.iter().flatten().copied().filter(|it| it.is_finite());
    let top = known.fold(least_top, f64::max);
    let mut out = " ".repeat(columns - values.len());
    out.extend(values.iter().map(|value| match value.filter(|it| it.is_finite()) {
        None => ' ',
        Some(value) => glyphs[level(value, top)],
    }));
    out
}

/// One of eight: the lowest for nothing at all, and none lower than the second for something.
fn level(value: f64, top: f64) -> usize {
    if value <= 0.0 || top <= 0.0 {
        return 0;
    }
    // `as` ends at the limits of the type, and `min` at the last glyph.
    ((value / top * 7.0).ceil() as usize).clamp(1, 7)
}

/// A horizontal bar for a part of one, in exactly so many columns.
pub fn bar(part: f64, columns: usize, looks: Looks) -> String {
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (part * columns as f64 * 8.0).round() as usize;
    // A little is not nothing.
    let eighths = if part > 0.0 { eighths.max(1) } else { 0 };
    let mut out = String::new();
    if looks.unicode {
        out.extend(std::iter::repeat_n(PARTS[7], eighths / 8));
        if !eighths.is_multiple_of(8) {
            out.push(PARTS[eighths % 8 - 1]);
        }
    } else {
        out.extend(std::iter::repeat_n('#', eighths.div_ceil(8)));
    }
    format!("{out:columns$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Looks = Looks { colour: true, unicode: true };
    const PLAIN: Looks = Looks { colour: false, unicode: false };

    #[test]
    fn a_sparkline_has_a_column_for_each_of_the_last_values() {
        let values = [9.0, 0.0, 1.0, 4.0, 7.0].map(Some);
        assert_eq!(sparkline(&values, 4, 0.0, ALL), "▁▂▅█");
        assert_eq!(sparkline(&values, 4, 0.0, PLAIN), "_.=#");
        assert_eq!(sparkline(&values, 7, 0.0, ALL), "  █▁▂▅▇");
        assert_eq!(sparkline(&[], 3, 0.0, ALL), "   ");
        assert_eq!(sparkline(&[None, Some(f64::NAN), Some(0.0)], 3, 1.0, ALL), "  ▁");
        assert_eq!(sparkline(&[Some(1.0)], 1, 100.0, ALL), "▂");
    }

    #[test]
    fn a_bar_has_its_columns_whatever_the_part() {
        assert_eq!(bar(0.5, 4, ALL), "██  ");
        assert_eq!(bar(0.3, 4, ALL), "█▎  ");
        assert_eq!(bar(0.0001, 4, ALL), "▏   ");
        assert_eq!(bar(0.3, 4, PLAIN), "##  ");
        for part in [-1.0, 0.0, 0.99, 1.0, 7.0, f64::NAN, f64::INFINITY] {
            for columns in 0..5 {
                let bar = bar(part, columns, ALL);
                assert!(bar.chars().count() <= columns.max(1), "{part} {columns} {bar:?}");
            }
        }
    }
}
