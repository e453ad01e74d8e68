//! The numbers of `--stats-path`: what the status page says and more, as JSON.
//!
//! `health` and `connections` come first and are keyed by address, for programs that want to know
//! no more than who is up and how busy they are. Called by `relay::http` when somebody asks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::backends::{Backend, BackendId, Pool};
use crate::context::Context;
use crate::json::{self, Object};
use crate::limits::WEIGHT_ONE;
use crate::stats::Datagrams;

/// A part of a page: all but the backends, of which some thousands take longer than a turn has.
pub fn begin(cx: &Context, out: &mut Vec<u8>) {
    json::object(out, |it| {
        by_address(it, cx);
        it.object("process", |it| process(it, cx));
        if cx.stats.udp.is_used {
            it.object("udp", |it| udp(it, &cx.stats.udp));
        }
        it.list("routes", cx.backends.routed_pools(), |it, pool| route(it, pool, cx));
    });
    // The brace that closes it comes in the end.
    out.pop();
    out.extend_from_slice(b",\"backends\":[");
}

/// The next part: a backend, if there is one at this place.
pub fn add_backend(place: usize, cx: &mut Context, out: &mut Vec<u8>) -> bool {
    let Some(id) = cx.backends.at(place) else { return false };
    if place > 0 {
        out.push(b',');
    }
    json::object(out, |it| backend(it, id, cx));
    true
}

/// The last part.
pub fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"]}\n");
}

/// Backends of different names can have the same address: there, one that is up is enough.
fn by_address(it: &mut Object<'_>, cx: &Context) {
    let mut all: BTreeMap<SocketAddr, (bool, u64)> = BTreeMap::new();
    for (_, backend) in cx.backends.iter() {
        let (up, busy) = all.entry(backend.address()).or_default();
        *up |= backend.state.is_up();
        *busy += u64::from(backend.connections);
    }
    it.object("health", |it| {
        all.iter().for_each(|(address, &(up, _))| it.truth(&url(*address), up));
    });
    it.object("connections", |it| {
        all.iter().for_each(|(address, &(_, busy))| it.number(&url(*address), busy));
    });
}

fn process(it: &mut Object<'_>, cx: &Context) {
    let stats = &cx.stats;
    it.text("version", env!("CARGO_PKG_VERSION"));
    it.decimal("uptime_seconds", seconds(cx.started, cx.now));
    it.number("connections_open", stats.open);
    it.number("connections_total", stats.accepted);
    it.number("requests", stats.requests);
    it.number("bad_requests", stats.bad_requests);
    it.number("request_fields_dropped", stats.fields_dropped);
    it.number("aborted_requests", stats.aborted);
    it.number("unknown_names", stats.names_unknown);
    it.number("bad_hellos", stats.hellos_bad);
    it.number("late_hellos", stats.hellos_too_late);
    it.object("tls_handshakes", |it| {
        it.number("done", stats.handshakes.done);
        it.number("resumed", stats.handshakes.resumed);
        it.number("failed", stats.handshakes.failed);
        it.number("subjects_left_out", stats.handshakes.subjects_left_out);
    });
    it.number("refused", stats.refused);
    it.number("retries", stats.retries);
    it.number("out_of_descriptors", stats.exhausted + stats.accept_failures);
    it.number("idle_connections_gave_way", stats.idle_gave_way);
    it.number("clients_gave_way", stats.clients_gave_way);
    it.number("log_lines_dropped", stats.log_dropped());
    if let Some(log) = &cx.access_log {
        it.number("access_log_lines_dropped", log.dropped());
        it.number("access_log_bytes_waiting", log.waiting() as u64);
    }
    it.number("turns", stats.turns);
    it.decimal("longest_turn_ms", millis(stats.longest_turn));
}

fn udp(it: &mut Object<'_>, udp: &Datagrams) {
    it.number("flows_open", udp.open);
    it.number("flows_total", udp.opened);
    it.object("flows_ended", |it| {
        it.number("finished", udp.finished);
        it.number("idle", udp.idle);
        it.number("gave_way", udp.gave_way);
        it.number("refused", udp.refused);
        it.number("backend_down", udp.backend_down);
        it.number("cut_off", udp.cut_off);
    });
    it.object("datagrams", |it| {
        it.number("from_clients", udp.from_clients);
        it.number("to_backends", udp.to_backends);
        it.number("from_backends", udp.from_backends);
        it.number("to_clients", udp.to_clients);
    });
    it.object("dropped", |it| {
        it.number("full", udp.dropped_full);
        it.number("no_backend", udp.dropped_no_backend);
        it.number("stopping", udp.dropped_stopping);
        it.number("unsent", udp.dropped_unsent);
    });
    it.number("receive_errors", udp.errors);
}

fn backend(it: &mut Object<'_>, id: BackendId, cx: &mut Context) {
    let (last, minute) = cx.backends.rate(id, cx.now);
    let times = cx.backends.response_times(id, [0.5, 0.9, 0.99], cx.now);
    let in_force = cx.backends.weight_in_force(id);
    let backend = &cx.backends[id];
    it.text("name", &*backend.name);
    it.text("address", url(backend.address()));
    standing(it, backend, cx.now);
    it.number("weight", u64::from(backend.weight));
    it.decimal("effective_weight", f64::from(in_force) / f64::from(WEIGHT_ONE));
    it.truth("backup", backend.backup);
    match backend.load {
        Some(load) => it.decimal("load", load),
        None => it.null("load"),
    }
    it.number("in_flight", u64::from(backend.connections));
    it.number("requests", backend.total);
    it.object("requests_per_second", |it| {
        it.number("1s", u64::from(last));
        it.decimal("60s", minute);
    });
    let answers = &backend.answers;
    it.object("responses", |it| {
        for (name, count) in
            ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(answers.classes)
        {
            it.number(name, count);
        }
    });
    it.object("errors", |it| {
        it.number("connect", answers.connect_errors);
        it.number("timeout", answers.timeouts);
        it.number("broken", answers.broken);
        it.number("5xx", answers.classes[4]);
    });
    it.object("bytes", |it| {
        it.number("sent", backend.bytes_sent);
        it.number("received", backend.bytes_received);
    });
    it.object("response_ms", |it| {
        for (index, name) in ["p50", "p90", "p99"].into_iter().enumerate() {
            match times {
                Some(times) => it.decimal(name, millis(times[index])),
                None => it.null(name),
            }
        }
    });
}

fn route(it: &mut Object<'_>, pool: &Pool, cx: &Context) {
    it.text("name", &*pool.name);
    it.texts("backends", pool.members().map(|id| &*cx.backends[id].name));
    it.number("up", pool.up() as u64);
    it.number("connections_total", pool.clients);
}

/// `state_seconds` is of being up or down, whatever else it is as well.
fn standing(it: &mut Object<'_>, backend: &Backend, now: Instant) {
    let standing = backend.standing();
    it.text("state", standing.word.text());
    it.decimal("state_seconds", seconds(backend.since, now));
    match &standing.reason {
        Some(reason) => it.text("reason", reason),
        None => it.null("reason"),
    }
    match (standing.since, standing.until) {
        (Some(since), Some(until)) => {
            it.decimal("ejected_seconds", seconds(since, now));
            it.decimal("returns_in_seconds", seconds(now, until));
        }
        _ => {
            it.null("ejected_seconds");
            it.null("returns_in_seconds");
        }
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn seconds(since: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(since).as_secs_f64()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
