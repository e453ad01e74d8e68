//! The first view: what is wrong, the processes, pools, backends.

use crate::terminal::{Ink, Line, Looks, Style, bar, sparkline};

use super::super::world::{PoolRow, Seen};
use super::Picture;
use super::columns::{Cells, LEAST_TOP, STATE_COLUMNS, millis, short, troubled, weight};
use super::tables::{name_columns, window};

/// Lines of what is wrong, if the rest needs the room.
const WRONG_LINES: usize = 5;
/// In fewer lines than these backends alone have to do.
const ROOM_FOR_POOLS: usize = 9;
/// And in fewer than these the past.
const ROOM_FOR_TRENDS: usize = 16;
/// The columns before its sparklines.
const TREND_HEAD: usize = 13;
/// The columns of a bar for a share.
const BAR: usize = 6;

/// All of it.
pub fn body(it: &Picture<'_>, columns: usize, room: usize, looks: Looks) -> Vec<Line> {
    let mut lines = wrong(it, room, looks);
    if it.all.len() > 1 {
        lines.extend(processes(it, room / 4, looks));
    }
    if room >= ROOM_FOR_TRENDS {
        lines.extend(trends(it, columns, looks));
    }
    if room >= ROOM_FOR_POOLS {
        lines.extend(pools(it, columns, room / 4, looks));
    }
    let left = room.saturating_sub(lines.len());
    lines.extend(backends(it, columns, left, looks));
    lines
}

fn wrong(it: &Picture<'_>, room: usize, looks: Looks) -> Vec<Line> {
    if it.all.iter().all(|seen| !seen.has_answered && seen.away.is_none()) {
        return vec![Line::of(Style::FAINT, " asking ...")];
    }
    if it.wrong.is_empty() {
        let glyph = looks.glyph('●');
        return vec![Line::of(Style::ink(Ink::Good), format!("{glyph} nothing is wrong"))];
    }
    let most = WRONG_LINES.min((room / 3).max(1));
    let shown = if it.wrong.len() > most { most - 1 } else { most };
    let line = |wrong: &super::wrong::Wrong| {
        let glyph = looks.glyph(wrong.glyph);
        Line::of(Style::ink(wrong.ink), format!("{glyph} {}", wrong.text))
    };
    let mut lines: Vec<Line> = it.wrong.iter().take(shown.max(1)).map(line).collect();
    if it.wrong.len() > most && most > 1 {
        let more = it.wrong.len() - shown;
        lines.push(Line::of(Style::FAINT, format!("  and {more} more")));
    }
    lines
}

/// A second in each column, where the server keeps them.
fn trends(it: &Picture<'_>, columns: usize, looks: Looks) -> Vec<Line> {
    let all = [
        ("rate", &it.trends.rate, Ink::Calm),
        ("errors", &it.trends.errors, Ink::Bad),
        ("p99 ms", &it.trends.p99, Ink::Told),
    ];
    let room = columns.saturating_sub(TREND_HEAD + 1);
    let line = |(name, values, ink): (&str, &Vec<Option<f64>>, Ink)| {
        let last = values.last().copied().flatten();
        let last = last.map_or("-".to_owned(), short);
        Line::of(Style::BOLD, format!("{name:6}"))
            .with(Style::PLAIN, format!(" {last:>5} "))
            .with(Style::ink(ink), sparkline(values, room, LEAST_TOP, looks))
    };
    all.into_iter().filter(|it| !it.1.is_empty()).map(line).collect()
}

/// One line a process.
fn processes(it: &Picture<'_>, most: usize, looks: Looks) -> Vec<Line> {
    let title = format!(
        "{:10} {:28} {:>8} {:>7} {:>6} {:>8} {:>5}",
        "PROCESS", "", "CLIENTS", "RATE", "ERR/S", "UP", "GEN"
    );
    let mut lines = vec![Line::of(Style::BOLD, title)];
    let shown = it.all.len().min(most.max(2));
    lines.extend(it.all.iter().enumerate().take(shown).map(|(at, seen)| {
        let line = process(seen, looks);
        if it.ui.only == Some(at) { line.reversed() } else { line }
    }));
    if it.all.len() > shown {
        lines.push(Line::of(Style::FAINT, format!("  and {} more", it.all.len() - shown)));
    }
    lines
}

fn process(seen: &Seen, looks: Looks) -> Line {
    let head = seen.head();
    let (style, glyph, word) = match (&seen.away, seen.has_answered) {
        (Some(_), _) => (Style::ink(Ink::Bad), '▼', "away"),
        (None, false) => (Style::FAINT, '○', "asking"),
        (None, true) if head.process.state == "serving" => {
            (Style::ink(Ink::Good), '●', "serving")
        }
        (None, true) => (Style::ink(Ink::Told), '◐', &*head.process.state),
    };
    let cells = Cells::new(looks)
        .left(style, &format!("{} {word}", looks.glyph(glyph)), STATE_COLUMNS)
        .left(Style::PLAIN, &seen.place, 28);
    if !seen.is_present() {
        return cells.line();
    }
    cells
        .right(Style::PLAIN, &head.active.to_string(), 8)
        .right(Style::PLAIN, &short(head.rate), 7)
        .right(troubled(head.errors), &short(head.errors), 6)
        .right(Style::PLAIN, &super::uptime(head.process.uptime), 8)
        .right(Style::PLAIN, &head.process.generation.to_string(), 5)
        .line()
}

fn pools(it: &Picture<'_>, columns: usize, most: usize, looks: Looks) -> Vec<Line> {
    let name = name_columns(columns);
    let services = columns.saturating_sub(STATE_COLUMNS + 1 + name + 9 + 6 + 5 + 5 + 5 + 6);
    let title = Cells::new(looks)
        .left(Style::BOLD, "POOL", STATE_COLUMNS + 1 + name)
        .right(Style::BOLD, "UP", 9)
        .right(Style::BOLD, "ACTIVE", 6)
        .right(Style::BOLD, "RATE", 5)
        .right(Style::BOLD, "ERR/S", 5)
        .right(Style::BOLD, "P99", 5)
        .left(Style::BOLD, "SERVICES", services)
        .line();
    let mut lines = vec![title];
    // Those in trouble first: with many pools the others are out of sight.
    let mut pools: Vec<&PoolRow> = it.pools.iter().collect();
    pools.sort_by_key(|it| (it.up == it.backends && it.errors <= 0.0, it.up > 0));
    let shown = if pools.len() > most { most.max(2) - 1 } else { most };
    lines
        .extend(pools.iter().take(shown).map(|pool| self::pool(pool, (name, services), looks)));
    if pools.len() > shown {
        lines.push(Line::of(Style::FAINT, format!("  and {} more", pools.len() - shown)));
    }
    lines
}

fn pool(pool: &PoolRow, (name, services): (usize, usize), looks: Looks) -> Line {
    let (style, glyph) = match pool.up {
        0 => (Style::ink(Ink::Bad), '▼'),
        up if up < pool.backends => (Style::ink(Ink::Warn), '▲'),
        _ => (Style::ink(Ink::Good), '●'),
    };
    let label = format!("{} {} ({})", looks.glyph(glyph), pool.name, pool.algorithm);
    Cells::new(looks)
        .left(style, &label, STATE_COLUMNS + 1 + name)
        .right(style, &format!("{}/{}", pool.up, pool.backends), 9)
        .right(Style::PLAIN, &short(pool.active as f64), 6)
        .right(Style::PLAIN, &short(pool.rate), 5)
        .right(troubled(pool.errors), &short(pool.errors), 5)
        .right(Style::PLAIN, &millis(pool.p99), 5)
        .left(Style::FAINT, &pool.services.join(", "), services)
        .line()
}

fn backends(it: &Picture<'_>, columns: usize, room: usize, looks: Looks) -> Vec<Line> {
    let name = name_columns(columns);
    let has_title = room > 1;
    let rows = window(it, room - usize::from(has_title).min(room));
    let title = Cells::new(looks)
        .left(Style::BOLD, "STATE", STATE_COLUMNS)
        .left(Style::BOLD, &super::tables::title(it, rows.clone()), name)
        .right(Style::BOLD, "WEIGHT", 6)
        .right(Style::BOLD, "ACT", 5)
        .right(Style::BOLD, "RATE", 5)
        .right(Style::BOLD, "P50", 5)
        .right(Style::BOLD, "P99", 5)
        .left(Style::BOLD, "SHARE", BAR)
        .left(Style::BOLD, "TREND", 5)
        .line();
    let taken = STATE_COLUMNS + name + 6 + 5 + 5 + 5 + 5 + BAR + 8;
    let spark = columns.saturating_sub(taken).min(crate::limits::TOP_RING_LOOKS);
    let mut lines: Vec<Line> = has_title.then_some(title).into_iter().collect();
    lines.extend(it.rows[rows].iter().map(|row| {
        let backend = &row.backend;
        let share = row.share.map(|it| bar(it, BAR, looks)).unwrap_or_default();
        let line = Cells::new(looks)
            .state(backend.state)
            .left(Style::PLAIN, &backend.name.to_string(), name)
            .right(weighed(backend), &weight(backend.weight), 6)
            .right(Style::PLAIN, &short(backend.active as f64), 5)
            .right(Style::PLAIN, &short(backend.rate), 5)
            .right(Style::PLAIN, &millis(backend.p50), 5)
            .right(Style::PLAIN, &millis(backend.p99), 5)
            .left(Style::ink(Ink::Calm), &share, BAR)
            .left(Style::ink(Ink::Calm), &sparkline(&row.ring, spark, LEAST_TOP, looks), spark)
            .line();
        it.marked(line, &backend.name)
    }));
    lines
}

/// A weight that somebody told, or that rises slowly, is not the configured one.
pub fn weighed(backend: &super::super::sample::Backend) -> Style {
    let is_other = (backend.weight - backend.configured).abs() > f64::EPSILON;
    if is_other { Style::ink(Ink::Told) } else { Style::PLAIN }
}
