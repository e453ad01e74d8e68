//! The view of who is here now: the slowest requests, the longest connections, the busiest clients.

use crate::terminal::{Line, Looks, Style};

use super::super::sample::{PRESENT, Present};
use super::Picture;
use super::columns::{Cells, millis, short};

/// Rows of each list.
const ROWS: usize = 6;

/// All lists.
pub fn body(it: &Picture<'_>, columns: usize, looks: Looks) -> Vec<Line> {
    let is_shown = |at: usize| it.ui.only.is_none_or(|only| only == at);
    let seen =
        it.all.iter().enumerate().filter(|(at, seen)| is_shown(*at) && seen.is_present());
    let all: Vec<&Present> = seen.flat_map(|(_, seen)| &seen.sample.present).collect();
    let mut lines = Vec::new();
    for what in PRESENT {
        let mut found: Vec<&Present> =
            all.iter().copied().filter(|it| it.what == what).collect();
        found.sort_by(|a, b| b.value.total_cmp(&a.value));
        lines.push(title(what, columns, looks));
        if found.is_empty() {
            lines.push(Line::of(Style::FAINT, "none, or not known yet"));
        }
        lines.extend(found.iter().take(ROWS).map(|it| row(it, columns, looks)));
    }
    lines
}

fn title(what: &str, columns: usize, looks: Looks) -> Line {
    let (unit, says) = match what {
        "slowest" => ("MS", "REQUESTS THAT WAIT LONGEST"),
        "longest" => ("SECS", "CONNECTIONS THAT LAST LONGEST"),
        _ => ("CONNS", "CLIENTS WITH MOST CONNECTIONS"),
    };
    let cells = Cells::new(looks).right(Style::BOLD, unit, 6);
    cells.left(Style::BOLD, says, columns.saturating_sub(7)).line()
}

fn row(it: &Present, columns: usize, looks: Looks) -> Line {
    let value = if it.what == "slowest" { millis(Some(it.value)) } else { short(it.value) };
    let cells =
        Cells::new(looks).right(Style::PLAIN, &value, 6).left(Style::PLAIN, &it.client, 24);
    if it.what == "clients" {
        return cells.line();
    }
    cells
        .left(Style::PLAIN, &it.service, 12)
        .left(Style::PLAIN, &it.backend, 17)
        .left(Style::FAINT, &it.doing, columns.saturating_sub(63))
        .line()
}
