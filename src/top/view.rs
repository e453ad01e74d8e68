//! The frame: all lines of the screen from what was seen and what was chosen. Pure.
//!
//! ```text
//!   head      what the process is and does
//!   views     which of them this is, the order, the filter
//!   body      wrong, overview, traffic, errors, events, or the help
//!   footer    keys, a question, or what became of a change
//! ```

mod columns;
mod events;
mod footer;
mod help;
mod live;
mod overview;
mod tables;
mod wrong;

use crate::terminal::{Line, Looks, Size, Style, shown};

use super::sample::Trends;
use super::ui::{Mode, Ui, View};
use super::world::{Head, PoolRow, Row, Seen, World};

pub use columns::{millis, percent, short, uptime, weight};
pub use wrong::wrong;

/// What a frame is made of.
pub struct Picture<'a> {
    /// All processes.
    pub all: &'a [Seen],
    /// What was chosen.
    pub ui: &'a Ui,
    /// Backends, as they are wanted.
    pub rows: &'a [Row],
    /// All of them, whatever the filter.
    pub pools: &'a [PoolRow],
    /// The sums.
    pub head: &'a Head,
    /// Of the minutes before.
    pub trends: &'a Trends,
    /// What is wrong.
    pub wrong: &'a [wrong::Wrong],
}

/// Lines that fill the screen at most.
pub fn frame(it: &Picture<'_>, size: Size, looks: Looks) -> Vec<Line> {
    let mut lines = vec![head(it, size, looks), views(it, size)];
    let room = size.rows.saturating_sub(lines.len() + 1);
    let body = match (&it.ui.mode, it.ui.view) {
        (Mode::Help, _) => help::body(looks),
        (_, View::Overview) => overview::body(it, size.columns, room, looks),
        (_, View::Traffic) => tables::traffic(it, size.columns, room, looks),
        (_, View::Errors) => tables::errors(it, size.columns, room, looks),
        (_, View::Live) => live::body(it, size.columns, looks),
        (_, View::Events) => events::body(it, room),
    };
    lines.extend(body.into_iter().take(room));
    lines.resize(size.rows.saturating_sub(1), Line::default());
    lines.push(footer::line(it, looks));
    lines.truncate(size.rows);
    lines
}

/// `pointsman 0.1.0  up 2h 3m  generation 42  clients 12/1024  1.2k/s  errors 0/s`
fn head(it: &Picture<'_>, size: Size, looks: Looks) -> Line {
    let head = it.head;
    let mut text = String::from(" pointsman");
    if head.present == 0 {
        text += ": nobody answers";
    } else {
        let process = &head.process;
        if head.processes == 1 {
            text += &format!(" {}  up {}", process.version, uptime(process.uptime));
            text += &format!("  generation {}", process.generation);
        } else {
            text += &format!("  {} of {} processes", head.present, head.processes);
        }
        let limit = head.limit.map(|it| format!("/{it}")).unwrap_or_default();
        text += &format!("  clients {}{limit}", head.active);
        text += &format!("  {}/s  errors {}/s", short(head.rate), short(head.errors));
    }
    let wide = size.columns.saturating_sub(text.chars().count() + 1);
    if let Some(seen) = it.ui.only.and_then(|at| it.all.get(at)).or(it.all.first()) {
        let is_one = it.all.len() == 1 || it.ui.only.is_some();
        let place = shown(&seen.place, looks.unicode);
        if is_one && wide > place.chars().count() {
            text += &format!("{place:>wide$}");
        }
    }
    Line::of(Style::BOLD, text).reversed()
}

/// `[1 overview] 2 traffic  3 errors  4 events ...`
fn views(it: &Picture<'_>, size: Size) -> Line {
    let mut line = Line::default();
    for (at, view) in View::ALL.into_iter().enumerate() {
        let word = view.word();
        if view == it.ui.view {
            line.push(Style::BOLD, format!("[{} {word}]", at + 1));
        } else {
            line.push(Style::PLAIN, format!(" {} {word} ", at + 1));
        }
    }
    let ui = it.ui;
    let mut right = String::new();
    if !ui.filter.is_empty() && !matches!(ui.mode, Mode::Filter(_)) {
        right += &format!("  filter {}", ui.filter);
    }
    let reversed = if ui.is_reversed { ", reversed" } else { "" };
    right += &format!("  by {}{reversed}", ui.sort.word());
    if ui.is_paused {
        right += "  paused";
    } else {
        right += &format!("  each {}", crate::config::duration_text(ui.interval));
    }
    let taken = line.text().chars().count();
    let wide = size.columns.saturating_sub(taken + 1);
    line.with(Style::FAINT, format!("{right:>wide$}"))
}

/// A frame of what was seen.
pub fn draw(all: &[Seen], ui: &Ui, size: Size, looks: Looks) -> (Vec<Line>, Vec<Row>) {
    let world = World::of(all, ui.only);
    let rows = world.rows();
    let pools = world.pools(&rows);
    let head = world.head();
    let wrong = wrong(&world, &rows, &pools);
    let rows = ui.arrange(rows);
    let trends = world.trends();
    let picture = Picture {
        all,
        ui,
        rows: &rows,
        pools: &pools,
        head: &head,
        trends: &trends,
        wrong: &wrong,
    };
    (frame(&picture, size, looks), rows)
}

#[cfg(test)]
mod tests;
