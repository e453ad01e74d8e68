//! The pages that say what is going on: the status page of the log, and the statistics.
//!
//! ```text
//!   taking a row ... all taken --- writing a row ... all written --- freeing a row ... --- over
//! ```
//!
//! There may be thousands of backends: so whoever makes a page does as many rows of it as the turn
//! has time for. What is taken is a [`Snapshot`], and both pages are written from one of their own.

mod taking;

pub use taking::{backend_now, guard_rules, pool_now, process_now};
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::Duration;

use crate::config::{counted, duration_text};
use crate::context::Context;
use crate::event::Key;
use crate::guard::RuleCounts;
use crate::limits::{STATS_FREED_AT_ONCE_BYTES, STATS_ROW_BYTES, STATUS_ADDRESSES_MAX};
use crate::stats::pages::PageFrom;
use crate::stats::snapshot::{Backend, Pool, Process, Snapshot, Standing, Word};
use crate::stats::{Handshakes, Stats};

/// Room for how a backend stands, where no line needs more.
const STATE_WIDTH: usize = 12;

/// Room for its name.
const NAME_WIDTH: usize = 7;

/// Get on with the page of statistics that is being made, if one is, as far as `may` allows. Hands
/// back the pairs that waited for it, once it is whole.
pub fn make_statistics(mut may: impl FnMut() -> bool, cx: &mut Context) -> Vec<Key> {
    let Some(mut making) = cx.pages.take_making() else { return Vec::new() };
    let mut snapshot = match std::mem::take(&mut making.from) {
        PageFrom::Nothing => {
            making.bytes.reserve(cx.backends.len() * STATS_ROW_BYTES);
            Box::new(taking::begin(cx))
        }
        PageFrom::Snapshot(snapshot) => snapshot,
        PageFrom::Written => return cx.pages.finish(making, cx.now),
    };
    while may() {
        if !snapshot.is_whole() {
            taking::take_row(&mut snapshot, cx);
        } else if !making.writer.write_row(&snapshot, &mut making.bytes) && !snapshot.free_row()
        {
            if making.bytes.len() <= STATS_FREED_AT_ONCE_BYTES {
                return cx.pages.finish(making, cx.now);
            }
            making.from = PageFrom::Written;
            cx.pages.put_back(making);
            return Vec::new();
        }
    }
    making.from = PageFrom::Snapshot(snapshot);
    cx.pages.put_back(making);
    Vec::new()
}

/// The status page that is being written.
pub struct StatusPage {
    snapshot: Snapshot,
    widths: Widths,
    at: At,
    /// Lines about addresses.
    addresses: usize,
}

/// What a step of it comes to.
pub enum PageStep {
    /// The next line.
    Line(String),
    /// No line yet.
    Going,
    /// There are no more.
    Over,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum At {
    Process,
    Header,
    Backend(usize),
    Address(usize),
    Route(usize),
    Sum(usize),
}

/// Room for the columns whose width differs.
#[derive(Debug, Clone, Copy)]
struct Widths {
    name: usize,
    state: usize,
}

/// The last lines, of things that not every process has.
const SUMS: [fn(&Snapshot) -> Option<String>; 7] = [
    names_line,
    handshakes_line,
    dropped_fields_line,
    gave_way_line,
    guard_line,
    access_log_line,
    udp_line,
];

impl StatusPage {
    /// Nothing of it is written yet.
    pub fn begin(cx: &Context) -> StatusPage {
        StatusPage {
            snapshot: taking::begin(cx),
            widths: Widths { name: NAME_WIDTH, state: STATE_WIDTH },
            at: At::Process,
            addresses: 0,
        }
    }

    /// A row more is taken, or written.
    pub fn step(&mut self, cx: &mut Context) -> PageStep {
        if !self.snapshot.is_whole() {
            self.take_row(cx);
            return PageStep::Going;
        }
        match self.next_line() {
            None if self.snapshot.free_row() => PageStep::Going,
            None => PageStep::Over,
            Some(None) => PageStep::Going,
            Some(Some(line)) => PageStep::Line(line),
        }
    }

    fn take_row(&mut self, cx: &mut Context) {
        let before = self.snapshot.backends.len();
        taking::take_row(&mut self.snapshot, cx);
        for backend in &self.snapshot.backends[before..] {
            let state = state_text(&backend.standing).chars().count();
            self.widths.name = self.widths.name.max(backend.name.len());
            self.widths.state = self.widths.state.max(state);
        }
    }

    fn next_line(&mut self) -> Option<Option<String>> {
        let from = &self.snapshot;
        let line = match self.at {
            At::Process => {
                self.at = At::Header;
                Some(process_line(&from.process))
            }
            At::Header => {
                self.at = At::Backend(0);
                Some(header(self.widths))
            }
            At::Backend(index) => match from.backends.get(index) {
                Some(backend) => {
                    self.at = At::Backend(index + 1);
                    Some(backend_line(backend, self.widths))
                }
                None => {
                    self.at = At::Address(0);
                    None
                }
            },
            // There are few of them, and the statistics have all.
            At::Address(index) => match from.backends.get(index) {
                Some(backend) if self.addresses < STATUS_ADDRESSES_MAX => {
                    self.at = At::Address(index + 1);
                    let line = address_line(backend);
                    self.addresses += usize::from(line.is_some());
                    line
                }
                _ => {
                    self.at = At::Route(0);
                    None
                }
            },
            At::Route(index) => match from.pools.get(index) {
                Some(pool) => {
                    self.at = At::Route(index + 1);
                    Some(route_line(pool))
                }
                None => {
                    self.at = At::Sum(0);
                    None
                }
            },
            At::Sum(index) => {
                self.at = At::Sum(index + 1);
                SUMS.get(index)?(from)
            }
        };
        Some(line)
    }
}

fn process_line(process: &Process) -> String {
    let up = whole_seconds_text(process.uptime);
    let stats = &process.stats;
    format!(
        "{up} up, {} open of {} accepted: {} finished, {} failed, {} refused, \
         {} retries, {} requests aborted, {} times out of descriptors; \
         {} log lines dropped; longest turn {:.1} ms",
        stats.open,
        stats.accepted,
        stats.finished,
        stats.failed,
        stats.refused,
        stats.retries,
        stats.aborted,
        stats.out_of_descriptors(),
        process.log_lines_dropped,
        stats.longest_turn.as_secs_f64() * 1e3,
    )
}

/// Nothing, where no rule refused anybody.
fn guard_line(from: &Snapshot) -> Option<String> {
    let rules = &from.process.rules;
    let sum = |of: fn(&RuleCounts) -> u64| rules.iter().map(|it| of(&it.counts)).sum::<u64>();
    let refused = sum(|it| it.refused);
    let would = sum(|it| it.would_refuse);
    let most = rules.iter().max_by_key(|it| it.counts.refused + it.counts.would_refuse)?;
    let line = || {
        format!(
            "guard: {refused} refused, {would} more if no rule were only tried; most by {} of \
             {} {}",
            most.rule, most.of, most.name,
        )
    };
    (refused + would > 0).then(line)
}

/// Nothing, where there is no listener for it.
fn udp_line(from: &Snapshot) -> Option<String> {
    let udp = &from.process.stats.udp;
    let line = || {
        format!(
            "udp: {} open of {} flows: {} finished, {} idle, {} gave way, {} refused, \
         {} of backends that went down; datagrams: {} in, {} on, {} answered, {} back, {} dropped",
            udp.open,
            udp.opened,
            udp.finished,
            udp.idle,
            udp.gave_way,
            udp.refused,
            udp.backend_down,
            udp.from_clients,
            udp.to_backends,
            udp.from_backends,
            udp.to_clients,
            udp.dropped(),
        )
    };
    udp.is_used.then(line)
}

fn header(Widths { name, state }: Widths) -> String {
    format!(
        "{:name$} {:>state$} {:>6} {:>7} {:>9} {:>8} {:>8} {:>7} {:>7}",
        "backend", "state", "weight", "active", "total", "failed", "load", "1 s", "60 s"
    )
}

/// `up 3s`, `down 1m (a connect refused)`, `ejected 22s (5 bad answers)`, `full`.
fn state_text(standing: &Standing) -> String {
    if standing.word == Word::Unknown {
        return "up?".to_owned();
    }
    let mut text = standing.word.text().to_owned();
    if let Some(since) = standing.since {
        text += " ";
        text += &whole_seconds_text(since);
    }
    if let Some(reason) = &standing.reason {
        text += &format!(" ({reason})");
    }
    text
}

fn backend_line(backend: &Backend, widths: Widths) -> String {
    let state = state_text(&backend.standing);
    let weight = match backend.standing.is_left_out {
        true => "0".to_owned(),
        false => format!("{}{}", if backend.is_ramping { "~" } else { "" }, backend.weight),
    };
    let mut line = format!(
        "{:name_width$} {state:>state_width$} {weight:>6}",
        backend.name,
        name_width = widths.name,
        state_width = widths.state,
    );
    let load = backend.load.map_or_else(|| "-".to_string(), |load| format!("{load:.2}"));
    let active = backend.connections;
    let counts = &backend.counts;
    let rate = &backend.rate;
    // because: writing to a string cannot fail.
    let _ = write!(
        line,
        " {active:>7} {:>9} {:>8} {load:>8} {:>7} {:>7.1}",
        counts.given, counts.failures, rate.last_second, rate.last_minute
    );
    line
}

/// Nothing, where there is no choice.
fn address_line(backend: &Backend) -> Option<String> {
    let Backend { name, address, addresses, .. } = backend;
    let address = address.as_ref().filter(|_| *addresses > 1)?;
    Some(format!("{name} is at {address}, one of {addresses} addresses"))
}

fn route_line(pool: &Pool) -> String {
    let name = &pool.name;
    let clients = counted(pool.counts.clients as usize, "client");
    let all = pool.members.len();
    format!("pool {name}: {clients}, {} of {all} backends up", pool.up)
}

/// Nothing, where nobody was ever turned away for a name.
fn names_line(from: &Snapshot) -> Option<String> {
    let Stats { names_unknown, hellos_bad, hellos_too_late, .. } = &from.process.stats;
    (names_unknown + hellos_bad + hellos_too_late > 0).then(|| {
        let clients = counted(*names_unknown as usize, "client");
        format!(
            "{clients} asked for names that nobody serves, {hellos_bad} began with \
             no ClientHello, {hellos_too_late} were too late with it"
        )
    })
}

/// Nothing, where no client speaks TLS with us.
fn handshakes_line(from: &Snapshot) -> Option<String> {
    let Handshakes { done, resumed, failed, subjects_left_out } = from.process.stats.handshakes;
    (done + failed > 0).then(|| {
        let done = counted(done as usize, "TLS handshake");
        let untold = match subjects_left_out {
            0 => String::new(),
            count => format!("; {count} with a subject too long to be told"),
        };
        format!("{done}, {resumed} of them resumed; {failed} more failed{untold}")
    })
}

/// Nothing, where every field passed.
fn dropped_fields_line(from: &Snapshot) -> Option<String> {
    let count = from.process.stats.fields_dropped;
    (count > 0).then(|| {
        let fields = counted(count as usize, "request field");
        format!("{fields} not passed on: a backend could take them for others")
    })
}

/// Nothing, while there is room for all.
fn gave_way_line(from: &Snapshot) -> Option<String> {
    let Stats { idle_gave_way, clients_gave_way, .. } = &from.process.stats;
    (idle_gave_way + clients_gave_way > 0).then(|| {
        let idle = counted(*idle_gave_way as usize, "idle connection");
        let resting = counted(*clients_gave_way as usize, "resting client");
        format!("{idle} to backends and {resting} gave way to others")
    })
}

/// Nothing, where all of it is written.
fn access_log_line(from: &Snapshot) -> Option<String> {
    let log = from.process.access_log?;
    (log.dropped > 0 || log.is_behind).then(|| {
        let dropped = counted(log.dropped as usize, "line");
        let waiting = counted(log.waiting, "byte");
        format!("access log: {dropped} dropped, {waiting} to be written yet")
    })
}

fn whole_seconds_text(time: Duration) -> String {
    duration_text(Duration::from_secs(time.as_secs()))
}
