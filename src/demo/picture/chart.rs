//! The p99 of half a minute in four rows, and below it which algorithm brought it.

use crate::limits::DEMO_CHART_COLUMNS;
use crate::terminal::{Line, Looks, Style};

use super::super::scene::Scene;
use super::slowness;

const ROWS: usize = 4;
/// Columns of the scale on the left.
const SCALE: usize = 15;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 9] = [' ', '.', '.', ':', ':', '|', '|', '#', '#'];

/// The chart and the row of marks.
pub fn rows(scene: &Scene, looks: Looks) -> Vec<Line> {
    let top = top(scene.p99.iter().flatten().copied().fold(0.0, f64::max));
    let mut lines: Vec<Line> = (0..ROWS).map(|row| chart_row(scene, looks, top, row)).collect();
    lines.push(marks(scene, looks));
    lines
}

/// The end of the scale: 1, 2 or 5, with noughts.
fn top(most: f64) -> f64 {
    let mut top = 200.0;
    for factor in [2.5, 2.0, 2.0].into_iter().cycle().take(30) {
        if most <= top {
            break;
        }
        top *= factor;
    }
    top
}

fn chart_row(scene: &Scene, looks: Looks, top: f64, row: usize) -> Line {
    let label = match row {
        0 if top >= 1000.0 => format!("p99 {:>5.0} s ", top / 1000.0),
        0 => format!("p99 {top:>5.0} ms"),
        _ if row == ROWS - 1 => format!("{:>9}", 0),
        _ => String::new(),
    };
    let edge = if looks.unicode { '│' } else { '|' };
    let mut line =
        Line::of(Style::FAINT, format!(" {label:<width$} {edge}", width = SCALE - 3));
    let glyphs = if looks.unicode { BLOCKS } else { ASCII };
    line.push(Style::PLAIN, " ".repeat(DEMO_CHART_COLUMNS - scene.p99.len()));
    let below = ((ROWS - 1 - row) * 8) as f64;
    for value in &scene.p99 {
        let Some(value) = value else {
            line.push(Style::PLAIN, " ");
            continue;
        };
        let eighths = (value / top * (ROWS * 8) as f64).ceil() - below;
        let glyph = glyphs[eighths.clamp(0.0, 8.0) as usize];
        let style = Style::ink(slowness(*value));
        // One span for all that look the same: a frame is a third of the bytes.
        match line.spans.last_mut().filter(|span| span.style == style) {
            Some(span) => span.text.push(glyph),
            None => line.push(style, glyph),
        }
    }
    line
}

/// From where on which algorithm is in use, the newest first: what has no room is left out.
fn marks(scene: &Scene, looks: Looks) -> Line {
    let (left, right) = if looks.unicode { ('└', '┘') } else { ('`', '\'') };
    let mut row = [' '; DEMO_CHART_COLUMNS];
    let start = DEMO_CHART_COLUMNS - scene.marks.len();
    let mut free = DEMO_CHART_COLUMNS;
    let marks = scene.marks.iter().enumerate().rev();
    for (column, name) in marks.filter_map(|(at, it)| Some((start + at, it.as_ref()?))) {
        let columns = name.chars().count() + 1;
        // The name stands behind its place or, where that is too near to the next one, before it.
        let (at, label) = if column + columns <= free {
            (column, format!("{left}{name}"))
        } else if column < free && column + 1 >= columns {
            (column + 1 - columns, format!("{name}{right}"))
        } else {
            continue;
        };
        label.chars().zip(&mut row[at..]).for_each(|(it, cell)| *cell = it);
        free = at.saturating_sub(1);
    }
    let text: String = row.iter().collect();
    Line::of(Style::FAINT, format!("{:SCALE$}{}", "", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_at_a_round_number() {
        for (most, end) in
            [(0.0, 200.0), (200.0, 200.0), (201.0, 500.0), (999.0, 1000.0), (4321.0, 5000.0)]
        {
            assert!((top(most) - end).abs() < 1.0, "{most}: {}", top(most));
        }
    }
}
