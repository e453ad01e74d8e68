//! A scene as lines for the terminal. Nothing here knows a terminal: the tests read the text.
//!
//! ```text
//!   title                                    one row
//!   the whole: algorithm, rate, p50, p99     one row
//!   chart of p99, and where it changed       five rows
//!   each backend: bar, numbers, sparkline    two rows each
//!   addresses, a note, the keys              the rest
//! ```
//!
//! Where there is no room for that (80 x 22), each backend is a row, and the chart is left out.

mod chart;

use std::time::Duration;

use crate::terminal::{Ink, Line, Looks, Size, Style, bar, cut, fit, fit_right, sparkline};

use super::scene::{Actor, Scene};

/// What the whole picture needs.
const WHOLE: Size = Size { columns: 80, rows: 22 };
/// Columns of a backend's bar.
const BAR: usize = 20;
/// Where a backend's bar and its sparkline begin.
const INDENT: usize = 23;
/// Rows between the numbers of the whole and the addresses, which the log takes if it is shown.
const STAGE_ROWS: usize = 13;
/// An answer that takes so long is slow, and one that takes so long is bad.
pub(super) const SLOW_MS: f64 = 400.0;
pub(super) const BAD_MS: f64 = 900.0;

/// What is drawn.
pub fn draw(scene: &Scene, size: Size, looks: Looks) -> Vec<Line> {
    let picture = Picture { scene, looks };
    if size.columns < WHOLE.columns || size.rows < WHOLE.rows {
        return picture.small(size);
    }
    let mut lines = vec![picture.title(), Line::default(), picture.whole()];
    match &scene.log {
        Some(log) => lines.extend(picture.log(log, size.columns, size.rows)),
        None => {
            lines.extend(chart::rows(scene, looks));
            lines.push(Line::default());
            lines.push(picture.heading());
            for (number, actor) in (1..).zip(&scene.actors) {
                lines.extend(picture.actor(number, actor));
                // Where there is room, each stands by itself.
                let is_last = number == scene.actors.len();
                if !is_last && size.rows >= WHOLE.rows + scene.actors.len() - 1 {
                    lines.push(Line::default());
                }
            }
        }
    }
    lines.push(Line::default());
    lines.extend(picture.addresses());
    lines.push(Line::default());
    lines.push(picture.note());
    lines.push(picture.keys());
    lines
}

struct Picture<'a> {
    scene: &'a Scene,
    looks: Looks,
}

impl Picture<'_> {
    fn title(&self) -> Line {
        let scene = self.scene;
        let what = format!(
            "   one balancer, {} backends, {} clients, all in one process",
            scene.actors.len(),
            scene.told.clients
        );
        let name = " pointsman";
        let up = format!("{} ", age(scene.age()));
        let rest = WHOLE.columns - name.len();
        let what = format!("{what}{up:>width$}", width = rest.saturating_sub(what.len()));
        Line::of(Style::BOLD, name).with(Style::PLAIN, what).reversed()
    }

    /// All requests together.
    fn whole(&self) -> Line {
        let told = &self.scene.told;
        let p99 = told.all.p99;
        let algorithm = format!(" {}", self.scene.algorithm);
        let mut line = Line::of(Style::ink(Ink::Calm).bold(), format!("{algorithm:<21}"));
        line.push(Style::BOLD, format!("{:>5.0}", self.scene.rate()));
        line.push(Style::PLAIN, " requests/s   ");
        line.push(failures(told.failed), format!("{:>3}", told.failed));
        line.push(Style::PLAIN, " failed");
        line.push(Style::PLAIN, format!("   p50 {}", time(told.all.p50)));
        line.push(Style::PLAIN, "   p99 ");
        line.push(how_slow(p99).bold(), time(p99));
        line
    }

    fn heading(&self) -> Line {
        let top = self.top();
        let at_work = format!("at work (bar: {top})");
        let text =
            format!("   backend  state      {at_work:<25}share   rate      p50      p99");
        Line::of(Style::FAINT, text)
    }

    /// What a whole bar stands for: a power of two, so that it rarely changes.
    fn top(&self) -> u64 {
        let actives = self.scene.actors.iter().flat_map(|it| &it.actives);
        actives.copied().max().unwrap_or_default().max(8).next_power_of_two()
    }

    fn actor(&self, number: usize, actor: &Actor) -> [Line; 2] {
        let share = self.scene.shares().get(number - 1).copied().unwrap_or_default();
        let style = state_style(&actor.state);
        let mut line = Line::of(Style::BOLD, format!(" {number} "));
        line.push(Style::BOLD, fit(&actor.name, 9, self.looks.unicode));
        line.push(style, format!("{} ", self.looks.glyph(glyph(&actor.state))));
        line.push(style, format!("{:<9}", actor.state));
        let part = actor.active as f64 / self.top() as f64;
        line.push(Style::ink(Ink::Calm), bar(part, BAR, self.looks));
        line.push(Style::BOLD, format!("{:>4}", actor.active));
        line.push(Style::PLAIN, format!("{:>5.0} %", share * 100.0));
        line.push(Style::PLAIN, format!("{:>5.0}/s", actor.rate));
        line.push(Style::PLAIN, fit_right(&time(actor.times.p50), 9, self.looks.unicode));
        let p99 = fit_right(&time(actor.times.p99), 9, self.looks.unicode);
        line.push(how_slow(actor.times.p99), p99);
        [line, self.second_row(actor)]
    }

    /// What is said of it, and its rate over the last half minute.
    fn second_row(&self, actor: &Actor) -> Line {
        let words = match (&actor.reason, actor.asleep) {
            (_, Some(left)) => Some(format!("asleep, {:.0} s left", left.as_secs_f64())),
            (Some(reason), _) if actor.state != "up" => Some(reason.clone()),
            _ => None,
        };
        let style = if words.is_some() { Style::ink(Ink::Warn) } else { Style::FAINT };
        let words = words.unwrap_or_else(|| actor.words.clone());
        let columns = INDENT - 3;
        let words = fit(&words, columns - 1, self.looks.unicode);
        let rates: Vec<Option<f64>> = actor.rates.iter().copied().collect();
        let spark = WHOLE.columns - 1 - INDENT;
        let top = self.scene.actors.iter().flat_map(|it| it.rates.iter().flatten());
        let top = top.copied().fold(10.0, f64::max);
        Line::of(style, format!("   {words} "))
            .with(Style::FAINT, sparkline(&rates, spark, top, self.looks))
    }

    fn addresses(&self) -> [Line; 2] {
        let scene = self.scene;
        let first = scene.actors.first().map(|it| it.address.to_string()).unwrap_or_default();
        let balancer = format!("http://{}/", scene.front);
        let admin = format!("http://{}/", scene.admin);
        let nap = format!("curl http://{first}/nap");
        let row = |name: &str, value: &str| {
            Line::of(Style::FAINT, format!(" {name:<10}")).with(Style::PLAIN, value)
        };
        [
            row("balancer", &format!("{balancer:<33}"))
                .with(Style::FAINT, "dashboard  ")
                .with(Style::PLAIN, admin),
            row("a nap", &format!("{nap:<33}"))
                .with(Style::FAINT, "manual     ")
                .with(Style::PLAIN, "pointsman --help"),
        ]
    }

    fn note(&self) -> Line {
        match &self.scene.trouble {
            Some(why) => Line::of(Style::ink(Ink::Bad), format!(" the balancer: {why}")),
            None => Line::of(Style::PLAIN, format!(" {}", self.scene.note)),
        }
    }

    fn keys(&self) -> Line {
        let log = if self.scene.log.is_some() { "back" } else { "log" };
        let keys = [
            ("1 2 3", "sleep, wake"),
            ("a", "another algorithm"),
            ("+ -", "clients"),
            ("l", log),
            ("q", "quit"),
        ];
        let mut line = Line::default();
        for (key, what) in keys {
            line.push(Style::BOLD, format!(" {key}"));
            line.push(Style::PLAIN, format!(" {what}  "));
        }
        line.reversed()
    }

    /// The last lines, instead of chart and backends.
    fn log(&self, log: &[String], columns: usize, rows: usize) -> Vec<Line> {
        let room = STAGE_ROWS + rows - WHOLE.rows;
        let last = &log[log.len().saturating_sub(room - 1)..];
        let mut lines = vec![Line::default()];
        for text in last {
            let text = cut(&format!(" {}", short(text)), columns, self.looks.unicode);
            lines.push(Line::of(log_style(&text), text));
        }
        lines.resize_with(room, Line::default);
        lines
    }

    /// The keys are the last row, and what is above is in the order of how much it says.
    fn small(&self, size: Size) -> Vec<Line> {
        let scene = self.scene;
        let p99 = scene.told.all.p99;
        let head = format!("{}  {:.0}/s  p99 ", scene.algorithm, scene.rate());
        let mut lines = vec![
            Line::of(Style::BOLD, head).with(how_slow(p99).bold(), time(p99).trim_start()),
        ];
        if let Some(log) = &scene.log {
            let room = size.rows.saturating_sub(lines.len() + 1);
            let last = &log[log.len().saturating_sub(room)..];
            lines.extend(last.iter().map(|text| Line::of(log_style(text), short(text))));
        } else {
            for (number, actor) in (1..).zip(&scene.actors) {
                lines.push(self.small_row(number, actor));
            }
            lines.push(Line::of(Style::PLAIN, format!("http://{}/", scene.front)));
            lines.push(Line::of(Style::PLAIN, format!("http://{}/", scene.admin)));
            lines.push(self.note());
        }
        lines.truncate(size.rows.saturating_sub(1));
        lines.resize_with(size.rows.saturating_sub(1), Line::default);
        lines.push(Line::of(Style::PLAIN, "1 2 3 nap  a  + -  l log  q quit").reversed());
        lines
    }

    fn small_row(&self, number: usize, actor: &Actor) -> Line {
        let style = state_style(&actor.state);
        Line::of(Style::BOLD, format!("{number} "))
            .with(
                style,
                format!("{} {:<5}", self.looks.glyph(glyph(&actor.state)), actor.state),
            )
            .with(Style::BOLD, fit(&actor.name, 9, self.looks.unicode))
            .with(Style::PLAIN, format!("{:>3}{:>5.0}/s", actor.active, actor.rate))
            .with(how_slow(actor.times.p99), format!(" {}", time(actor.times.p99)))
    }
}

/// Beside the word, for who sees no colours.
fn glyph(state: &str) -> char {
    match state {
        "up" => '●',
        "draining" => '◐',
        "full" | "ejected" => '▲',
        "down" => '▼',
        "maint" => '■',
        _ => '○',
    }
}

fn state_style(state: &str) -> Style {
    match state {
        "up" => Style::ink(Ink::Good),
        "down" => Style::ink(Ink::Bad),
        "full" | "ejected" => Style::ink(Ink::Warn),
        "draining" | "maint" => Style::ink(Ink::Told),
        _ => Style::FAINT,
    }
}

fn log_style(line: &str) -> Style {
    if line.contains("ERROR") {
        Style::ink(Ink::Bad)
    } else if line.contains("WARN") {
        Style::ink(Ink::Warn)
    } else {
        Style::PLAIN
    }
}

/// A line of the log without its date and without who in the program said it.
fn short(line: &str) -> String {
    let line = line.strip_prefix('[').unwrap_or(line);
    let Some((time, rest)) = line.split_once("Z ") else { return line.to_owned() };
    let time = time.split_once('T').map_or(time, |it| it.1);
    let (level, what) = rest.split_once(' ').unwrap_or((rest, ""));
    let what = what.trim_start();
    let is_by = what.split_once("] ").filter(|(by, _)| by.starts_with("pointsman"));
    format!("{time} {level:<5} {}", is_by.map_or(what, |it| it.1))
}

fn failures(failed: u64) -> Style {
    if failed == 0 { Style::ink(Ink::Good).bold() } else { Style::ink(Ink::Bad).bold() }
}

fn how_slow(took: Option<Duration>) -> Style {
    took.map_or(Style::FAINT, |it| Style::ink(slowness(it.as_secs_f64() * 1000.0)))
}

/// The colour of a response time in milliseconds.
pub(super) fn slowness(ms: f64) -> Ink {
    match ms {
        _ if ms >= BAD_MS => Ink::Bad,
        _ if ms >= SLOW_MS => Ink::Warn,
        _ => Ink::Good,
    }
}

/// In seven columns.
fn time(it: Option<Duration>) -> String {
    let Some(it) = it else { return format!("{:>7}", "-") };
    let ms = it.as_secs_f64() * 1000.0;
    if ms < 999.5 { format!("{ms:>4.0} ms") } else { format!("{:>5.2} s", ms / 1000.0) }
}

fn age(it: Duration) -> String {
    let seconds = it.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests;
