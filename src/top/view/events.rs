//! The view of what happened, the newest first.

use crate::terminal::{Ink, Line, Style};

use super::Picture;

/// Events of all that are shown, a line each.
pub fn body(it: &Picture<'_>, room: usize) -> Vec<Line> {
    let is_one = it.all.len() == 1 || it.ui.only.is_some();
    let mut all: Vec<(&str, &str)> = Vec::new();
    for (at, seen) in it.all.iter().enumerate() {
        if it.ui.only.is_none_or(|only| only == at) {
            all.extend(seen.events.iter().map(|line| (&**line, &*seen.place)));
        }
    }
    // Each begins with its time.
    all.sort_by(|a, b| b.0.cmp(a.0));
    let filter = it.ui.filter.to_lowercase();
    all.retain(|(line, _)| filter.is_empty() || line.to_lowercase().contains(&filter));
    if all.is_empty() {
        return vec![Line::of(Style::FAINT, " nothing has happened that is kept")];
    }
    let skipped = it.ui.skipped.min(all.len().saturating_sub(room));
    let line = |(line, place): &(&str, &str)| {
        let (time, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (number, rest) = rest.split_once(' ').unwrap_or(("", rest));
        let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        // The date and the fraction of a second are for logs.
        let time = time.split_once('T').map_or(time, |it| it.1);
        let time = time.split(['.', 'Z']).next().unwrap_or(time);
        let style = match kind {
            "health" => Style::ink(Ink::Warn),
            "change" => Style::ink(Ink::Told),
            _ => Style::PLAIN,
        };
        let of = if is_one { number } else { place };
        Line::of(Style::FAINT, format!("{time} "))
            .with(style, format!("{kind:7} "))
            .with(Style::PLAIN, rest.to_owned())
            .with(Style::FAINT, format!("  {of}"))
    };
    all.iter().skip(skipped).take(room).map(line).collect()
}
