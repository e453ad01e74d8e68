//! The status page: what is going on, on one page of the log; and the same for programs.

pub mod numbers;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::backends::{Backend, BackendId, Pool, Standing, Word};
use crate::config::duration_text;
use crate::context::Context;
use crate::limits::{STATES_MEASURED, WEIGHT_ONE};
use crate::stats::{Handshakes, Stats};

/// Room for how a backend stands, where no line needs more.
const STATE_WIDTH: usize = 12;

/// A page that is being written, one entry a line. There may be thousands of backends: so whoever
/// writes it takes as many lines as the turn has time for.
pub struct Page {
    widths: (usize, usize),
    next: usize,
}

impl Page {
    /// The first lines.
    pub fn begin(cx: &Context) -> (Page, [String; 2]) {
        // Of the first ones only: a look at each of thousands takes a turn.
        let some = cx.backends.iter().take(STATES_MEASURED);
        let states = some.map(|(_, it)| state_text(&it.standing(), cx.now).chars().count());
        let widths = (name_width(cx), states.max().unwrap_or(0).max(STATE_WIDTH));
        (Page { widths, next: 0 }, [process_line(cx), header(widths)])
    }

    /// The next backend's; nothing, if there are no more.
    pub fn backend(&mut self, cx: &mut Context) -> Option<String> {
        let id = cx.backends.at(self.next)?;
        self.next += 1;
        let state = state_text(&cx.backends[id].standing(), cx.now);
        Some(backend_line(cx, id, &state, self.widths))
    }
}

/// The last lines.
pub fn end(cx: &Context) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // There are few of them, and the statistics have all.
    let several = cx.backends.iter().filter_map(|(_, backend)| address_line(backend));
    lines.extend(several.take(STATES_MEASURED));
    lines.extend(cx.backends.routed_pools().iter().map(route_line));
    lines.extend(names_line(cx));
    lines.extend(handshakes_line(cx));
    lines.extend(dropped_fields_line(cx));
    lines.extend(gave_way_line(cx));
    lines.extend(access_log_line(cx));
    if cx.stats.udp.is_used {
        lines.push(udp_line(cx));
    }
    lines
}

fn process_line(cx: &Context) -> String {
    let up = whole_seconds_text(cx.now.saturating_duration_since(cx.started));
    let stats = &cx.stats;
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
        stats.exhausted + stats.accept_failures,
        stats.log_dropped(),
        stats.longest_turn.as_secs_f64() * 1e3,
    )
}

fn udp_line(cx: &Context) -> String {
    let udp = &cx.stats.udp;
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
}

fn header((width, state_width): (usize, usize)) -> String {
    format!(
        "{:width$} {:>state_width$} {:>6} {:>7} {:>9} {:>8} {:>8} {:>7} {:>7}",
        "backend", "state", "weight", "active", "total", "failed", "load", "1 s", "60 s"
    )
}

/// `up 3s`, `down 1m (a connect refused)`, `ejected 22s (5 bad answers)`, `full`.
fn state_text(standing: &Standing, now: Instant) -> String {
    if standing.word == Word::Unknown {
        return "up?".to_owned();
    }
    let mut text = standing.word.text().to_owned();
    if let Some(since) = standing.since {
        text += " ";
        text += &whole_seconds_text(now.saturating_duration_since(since));
    }
    if let Some(reason) = &standing.reason {
        text += &format!(" ({reason})");
    }
    text
}

fn backend_line(
    cx: &mut Context,
    id: BackendId,
    state: &str,
    (width, state_width): (usize, usize),
) -> String {
    let (last, minute) = cx.backends.rate(id, cx.now);
    let backend = &cx.backends[id];
    let weight = if backend.left_out().is_some() { 0 } else { backend.weight };
    let ramp = if backend.effective_weight < weight * WEIGHT_ONE { "~" } else { "" };
    let weight = format!("{ramp}{weight}");
    let mut line = format!("{:width$} {state:>state_width$} {weight:>6}", backend.name);
    let load = backend.load.map_or_else(|| "-".to_string(), |load| format!("{load:.2}"));
    let active = backend.connections;
    // because: writing to a string cannot fail.
    let _ = write!(
        line,
        " {active:>7} {:>9} {:>8} {load:>8} {last:>7} {minute:>7.1}",
        backend.total, backend.failures
    );
    line
}

/// Nothing, where there is no choice.
fn address_line(backend: &Backend) -> Option<String> {
    let count = backend.addresses.all().len();
    let line =
        || format!("{} is at {}, one of {count} addresses", backend.name, backend.address());
    (count > 1).then(line)
}

fn route_line(pool: &Pool) -> String {
    let (name, clients, all) = (&pool.name, pool.clients, pool.members().len());
    format!("route {name}: {clients} clients, {} of {all} backends up", pool.up())
}

/// Nothing, where nobody is led by a name or was ever turned away for one.
fn names_line(cx: &Context) -> Option<String> {
    let Stats { names_unknown, hellos_bad, hellos_too_late, .. } = &cx.stats;
    let has_routes = !cx.backends.routed_pools().is_empty();
    (has_routes || names_unknown + hellos_bad + hellos_too_late > 0).then(|| {
        format!(
            "{names_unknown} clients asked for names that nobody serves, {hellos_bad} began with \
             no ClientHello, {hellos_too_late} were too late with it"
        )
    })
}

/// Nothing, where no client speaks TLS with us.
fn handshakes_line(cx: &Context) -> Option<String> {
    let Handshakes { done, resumed, failed, subjects_left_out } = cx.stats.handshakes;
    (done + failed > 0).then(|| {
        let untold = match subjects_left_out {
            0 => String::new(),
            count => format!("; {count} with a subject too long to be told"),
        };
        format!(
            "{done} TLS handshakes, {resumed} of them resumed; {failed} more failed{untold}"
        )
    })
}

/// Nothing, where every field passed.
fn dropped_fields_line(cx: &Context) -> Option<String> {
    let count = cx.stats.fields_dropped;
    (count > 0).then(|| {
        format!("{count} request fields not passed on: a backend could take them for others")
    })
}

/// Nothing, while there is room for all.
fn gave_way_line(cx: &Context) -> Option<String> {
    let Stats { idle_gave_way, clients_gave_way, .. } = &cx.stats;
    (idle_gave_way + clients_gave_way > 0).then(|| {
        format!(
            "{idle_gave_way} idle connections to backends and {clients_gave_way} resting clients \
             gave way to others"
        )
    })
}

/// Nothing, where all of it is written.
fn access_log_line(cx: &Context) -> Option<String> {
    let log = cx.access_log.as_ref()?;
    (log.dropped() > 0 || log.is_behind()).then(|| {
        let (dropped, waiting) = (log.dropped(), log.waiting());
        format!("access log: {dropped} lines dropped, {waiting} bytes wait to be written")
    })
}

fn name_width(cx: &Context) -> usize {
    cx.backends.iter().map(|(_, backend)| backend.name.len()).max().unwrap_or(0).max(7)
}

fn whole_seconds_text(time: Duration) -> String {
    duration_text(Duration::from_secs(time.as_secs()))
}
