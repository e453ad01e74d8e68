//! The views of backends in full: traffic, errors.

use std::ops::Range;

use crate::terminal::{Ink, Line, Looks, Style, bar, sparkline};

use super::super::sample::Name;
use super::Picture;
use super::columns::{Cells, LEAST_TOP, STATE_COLUMNS, millis, percent, short, troubled};

/// The columns of a name at 80.
const NAME: usize = 17;
const NAME_MAX: usize = 48;

/// Half of what is wider than 80 goes to names.
pub fn name_columns(columns: usize) -> usize {
    (NAME + columns.saturating_sub(80) / 2).min(NAME_MAX)
}

/// Which rows stand there, so that the chosen one does.
pub fn window(it: &Picture<'_>, room: usize) -> Range<usize> {
    let chosen = it.ui.selected.as_ref();
    let at = it.rows.iter().position(|row| Some(&row.backend.name) == chosen).unwrap_or(0);
    let last_begin = it.rows.len().saturating_sub(room);
    // Pages rather than single steps, so that rows stand still while the mark moves.
    let begin = at.checked_div(room).map_or(0, |page| (page * room).min(last_begin));
    begin..(begin + room).min(it.rows.len())
}

/// `BACKEND`, and which of how many if that is not all.
pub fn title(it: &Picture<'_>, rows: Range<usize>) -> String {
    if rows.len() == it.rows.len() {
        return "BACKEND".to_owned();
    }
    format!("{}-{} of {}", (rows.start + 1).min(rows.end), rows.end, it.rows.len())
}

impl Picture<'_> {
    /// The row that keys are about is reversed.
    pub fn marked(&self, line: Line, name: &Name) -> Line {
        if self.ui.selected.as_ref() == Some(name) { line.reversed() } else { line }
    }
}

/// Who gets how much, and who should.
pub fn traffic(it: &Picture<'_>, columns: usize, room: usize, looks: Looks) -> Vec<Line> {
    let name = name_columns(columns);
    let rows = window(it, room.saturating_sub(1));
    let title = Cells::new(looks)
        .left(Style::BOLD, "STATE", STATE_COLUMNS)
        .left(Style::BOLD, &title(it, rows.clone()), name)
        .right(Style::BOLD, "RATE", 5)
        .right(Style::BOLD, "TO/S", 5)
        .right(Style::BOLD, "FROM/S", 6)
        .right(Style::BOLD, "SHARE", 5)
        .right(Style::BOLD, "FAIR", 4)
        .right(Style::BOLD, "P50", 5)
        .right(Style::BOLD, "P99", 5)
        .left(Style::BOLD, "TREND", 5)
        .line();
    let taken = STATE_COLUMNS + name + 5 + 5 + 6 + 5 + 4 + 5 + 5 + 9;
    let spark = columns.saturating_sub(taken).min(crate::limits::TOP_RING_LOOKS);
    let mut lines = vec![title];
    lines.extend(it.rows[rows].iter().map(|row| {
        let backend = &row.backend;
        let line = Cells::new(looks)
            .state(backend.state)
            .left(Style::PLAIN, &backend.name.to_string(), name)
            .right(Style::PLAIN, &short(backend.rate), 5)
            .right(Style::PLAIN, &short(row.rates.sent), 5)
            .right(Style::PLAIN, &short(row.rates.received), 6)
            .right(Style::PLAIN, &percent(row.share), 5)
            .right(Style::FAINT, &percent(row.fair), 4)
            .right(Style::PLAIN, &millis(backend.p50), 5)
            .right(Style::PLAIN, &millis(backend.p99), 5)
            .left(Style::ink(Ink::Calm), &sparkline(&row.ring, spark, LEAST_TOP, looks), spark)
            .line();
        it.marked(line, &backend.name)
    }));
    lines
}

/// What goes wrong, of which kind, and what a backend is blamed for.
pub fn errors(it: &Picture<'_>, columns: usize, room: usize, looks: Looks) -> Vec<Line> {
    let name = name_columns(columns);
    let rows = window(it, room.saturating_sub(1));
    let title = Cells::new(looks)
        .left(Style::BOLD, "STATE", STATE_COLUMNS)
        .left(Style::BOLD, &title(it, rows.clone()), name)
        .right(Style::BOLD, "ERR/S", 5)
        .left(Style::BOLD, "PART", 4)
        .right(Style::BOLD, "CONN", 5)
        .right(Style::BOLD, "LATE", 5)
        .right(Style::BOLD, "BROKE", 5)
        .right(Style::BOLD, "5XX", 5)
        .left(Style::BOLD, "REASON", 6)
        .line();
    let taken = STATE_COLUMNS + name + 5 + 4 + 5 * 4 + 8;
    let reason = columns.saturating_sub(taken);
    let mut lines = vec![title];
    lines.extend(it.rows[rows].iter().map(|row| {
        let backend = &row.backend;
        let totals = &backend.totals;
        let part = if backend.rate > 0.0 { row.rates.errors / backend.rate } else { 0.0 };
        let count = |cells: Cells, value: u64| {
            let style = if value > 0 { Style::PLAIN } else { Style::FAINT };
            cells.right(style, &short(value as f64), 5)
        };
        let cells = Cells::new(looks)
            .state(backend.state)
            .left(Style::PLAIN, &backend.name.to_string(), name)
            .right(troubled(row.rates.errors), &short(row.rates.errors), 5)
            .left(Style::ink(Ink::Bad), &bar(part, 4, looks), 4);
        let kinds = [totals.connect, totals.timeout, totals.broken, totals.server_errors];
        let cells = kinds.into_iter().fold(cells, count);
        let why = backend.reason.as_deref().unwrap_or_default();
        it.marked(cells.left(Style::FAINT, why, reason).line(), &backend.name)
    }));
    lines
}
