//! What is wrong, worst first, in words.

use std::collections::BTreeMap;

use crate::config::counted;
use crate::terminal::Ink;

use super::super::sample::State;
use super::super::world::{PoolRow, Row, World};
use super::columns::{glyph, ink, short};

/// Names that a line has before it counts the rest.
const NAMES_MAX: usize = 3;
/// Backends with errors that have a line of their own.
const FAILING_MAX: usize = 3;

/// One thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Wrong {
    /// How bad.
    pub ink: Ink,
    /// The same for whoever sees no colour.
    pub glyph: char,
    /// In words.
    pub text: String,
}

fn bad(text: String) -> Wrong {
    Wrong { ink: Ink::Bad, glyph: '▼', text }
}

fn warn(text: String) -> Wrong {
    Wrong { ink: Ink::Warn, glyph: '▲', text }
}

/// All of it; nothing if all is well.
pub fn wrong(world: &World<'_>, rows: &[Row], pools: &[PoolRow]) -> Vec<Wrong> {
    let mut all = Vec::new();
    for seen in &world.seen {
        if let Some(why) = &seen.away {
            all.push(bad(format!("{}: {why}", seen.place)));
        }
        let state = &seen.sample.process.state;
        if seen.is_present() && state != "serving" {
            let who = if world.seen.len() > 1 { &*seen.place } else { "the process" };
            all.push(warn(format!("{who} is {state}")));
        }
    }
    for pool in pools.iter().filter(|it| it.up == 0 && !it.services.is_empty()) {
        let services = names(pool.services.iter().map(String::as_str));
        let of = match pool.backends {
            0 => "there is no backend".to_owned(),
            count => format!("none of {count} is up"),
        };
        all.push(bad(format!("service {services}: {of} in pool {}", pool.name)));
    }
    all.extend(crowded(world));
    for state in [State::Down, State::Ejected, State::Full] {
        all.extend(standing(rows, state));
    }
    all.extend(failing(rows));
    for state in [State::Maint, State::Draining] {
        all.extend(standing(rows, state));
    }
    all
}

/// Almost as many clients as may be.
fn crowded(world: &World<'_>) -> Option<Wrong> {
    let head = world.head();
    let limit = head.limit.filter(|&it| it > 0 && head.active >= it - it / 10)?;
    Some(warn(format!("{} clients, and {limit} may be", head.active)))
}

/// Those in a state, pool by pool.
fn standing(rows: &[Row], state: State) -> Vec<Wrong> {
    let mut pools: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|it| it.backend.state == state) {
        pools.entry(&row.backend.name.pool).or_default().push(row);
    }
    let line = |(pool, found): (&str, Vec<&Row>)| {
        let who = names(found.iter().map(|it| &*it.backend.name.backend));
        let reason = found.iter().find_map(|it| it.backend.reason.as_deref());
        let reason = reason.map(|it| format!(" ({it})")).unwrap_or_default();
        let what = match state {
            State::Full => "at its limit",
            State::Maint => "in maintenance",
            other => other.word(),
        };
        let text = match found.len() {
            1 => format!("{pool}/{who} is {what}{reason}"),
            count => format!("pool {pool}: {count} are {what}: {who}{reason}"),
        };
        Wrong { ink: ink(state), glyph: glyph(state), text }
    };
    pools.into_iter().map(line).collect()
}

/// Those that fail now, the worst first.
fn failing(rows: &[Row]) -> Vec<Wrong> {
    let mut found: Vec<&Row> = rows.iter().filter(|it| it.rates.errors > 0.0).collect();
    found.sort_by(|a, b| b.rates.errors.total_cmp(&a.rates.errors));
    let line = |row: &&Row| {
        let it = &row.rates;
        let kinds = [
            (it.connect, "connect"),
            (it.timeout, "timeout"),
            (it.broken, "broken"),
            (it.server_errors, "5xx"),
        ];
        let kinds = kinds.into_iter().filter(|it| it.0 > 0.0);
        let kinds: Vec<String> = kinds.map(|it| format!("{} {}", it.1, short(it.0))).collect();
        let all = short(it.errors);
        let kinds = kinds.join(", ");
        warn(format!("{}: {all} errors a second ({kinds})", row.backend.name))
    };
    let mut lines: Vec<Wrong> = found.iter().take(FAILING_MAX).map(line).collect();
    if let Some(more) = found.len().checked_sub(FAILING_MAX).filter(|&it| it > 0) {
        lines.push(warn(format!("and errors of {}", counted(more, "other backend"))));
    }
    lines
}

/// Some of them, and how many more there are.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.collect();
    let shown = all[..all.len().min(NAMES_MAX)].join(", ");
    match all.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
