//! The numbers, each a row: its name, what it tells, where it is counted.
//!
//! To add one, count it in the struct that goes with the table and give it a row; every output and
//! `docs/stats.md` are made from the rows. Programs read the names: they stay as they are.

mod backends;
mod guard;
mod traffic;

pub use backends::BACKENDS;
pub use guard::RULES;
pub use traffic::TRAFFIC;

use super::Datagrams;
use super::field::Field;
use super::field::Unit::{Bytes, Milliseconds, One, Seconds};
use super::field::Value;
use super::snapshot::{Listener, Pool, Process};

/// Of the process.
pub const PROCESS: &[Field<Process>] = &[
    Field::text("version", |_| env!("CARGO_PKG_VERSION").into(), "of pointsman"),
    Field::gauge("uptime_seconds", Seconds, |it| it.uptime.into(), "since it began to serve"),
    Field::gauge("connections_open", One, |it| it.stats.open.into(), "clients that are here"),
    Field::counter(
        "connections_total",
        One,
        |it| it.stats.accepted.into(),
        "clients that were accepted",
    ),
    Field::counter(
        "connections_finished",
        One,
        |it| it.stats.finished.into(),
        "those of them that ended because both sides had finished",
    ),
    Field::counter(
        "connections_failed",
        One,
        |it| it.stats.failed.into(),
        "those that ended in any other way, `refused` among them",
    ),
    Field::counter(
        "requests",
        One,
        |it| it.stats.requests.into(),
        "HTTP requests with a head that could be read, those answered here among them",
    ),
    Field::counter(
        "bad_requests",
        One,
        |it| it.stats.bad_requests.into(),
        "what was no HTTP request",
    ),
    Field::counter(
        "request_fields_dropped",
        One,
        |it| it.stats.fields_dropped.into(),
        "fields that a backend could take for others, and did not get",
    ),
    Field::counter(
        "aborted_requests",
        One,
        |it| it.stats.aborted.into(),
        "requests whose client went away before it had its answer",
    ),
    Field::counter(
        "slow_bodies",
        One,
        |it| it.stats.slow_clients.bodies.into(),
        "requests whose body came more slowly than it may",
    ),
    Field::counter(
        "slow_readers",
        One,
        |it| it.stats.slow_clients.readers.into(),
        "requests whose client took its answer more slowly than it may",
    ),
    Field::counter(
        "requests_too_long",
        One,
        |it| it.stats.requests_too_long.into(),
        "requests that took longer than they may",
    ),
    Field::counter(
        "connections_too_old",
        One,
        |it| it.stats.connections_too_old.into(),
        "connections of clients that we ended because they were kept for as long as they may be",
    ),
    Field::counter(
        "unserved_requests",
        One,
        |it| it.stats.unserved.into(),
        "requests that no service takes, answered with 404 or 421",
    ),
    Field::counter(
        "unknown_names",
        One,
        |it| it.stats.names_unknown.into(),
        "TLS clients that asked for a name that nobody serves",
    ),
    Field::counter(
        "bad_hellos",
        One,
        |it| it.stats.hellos_bad.into(),
        "clients that began with no ClientHello",
    ),
    Field::counter(
        "late_hellos",
        One,
        |it| it.stats.hellos_too_late.into(),
        "clients that were too late with it",
    ),
    Field::counter(
        "proxy_header_failures",
        One,
        |it| it.stats.proxy_header_failures.into(),
        "clients whose PROXY header was missing, bad or late",
    ),
    Field::counter(
        "tls_handshakes.done",
        One,
        |it| it.stats.handshakes.done.into(),
        "handshakes with clients",
    ),
    Field::counter(
        "tls_handshakes.resumed",
        One,
        |it| it.stats.handshakes.resumed.into(),
        "those of them that resumed a session",
    ),
    Field::counter(
        "tls_handshakes.failed",
        One,
        |it| it.stats.handshakes.failed.into(),
        "handshakes that failed, not among `done`",
    ),
    Field::counter(
        "tls_handshakes.subjects_left_out",
        One,
        |it| it.stats.handshakes.subjects_left_out.into(),
        "client certificates with a subject too long to be told to backends",
    ),
    Field::counter(
        "refused",
        One,
        |it| it.stats.refused.into(),
        "clients that were turned away for want of a backend or of room",
    ),
    Field::counter(
        "retries",
        One,
        |it| it.stats.retries.into(),
        "backends that were tried after another one failed",
    ),
    Field::counter(
        "retries_over_budget",
        One,
        |it| it.stats.retries_over_budget.into(),
        "those that were not, for their pool had too many",
    ),
    Field::counter(
        "out_of_descriptors",
        One,
        |it| it.stats.out_of_descriptors().into(),
        "how often there was no descriptor, port or memory for a socket",
    ),
    Field::counter(
        "idle_connections_gave_way",
        One,
        |it| it.stats.idle_gave_way.into(),
        "idle connections to backends that were closed for want of descriptors",
    ),
    Field::counter(
        "clients_gave_way",
        One,
        |it| it.stats.clients_gave_way.into(),
        "resting clients that were closed for others, where there were as many as may be",
    ),
    Field::counter(
        "log_lines_dropped",
        One,
        |it| it.log_lines_dropped.into(),
        "lines of the log that nobody took",
    ),
    Field::counter(
        "access_log_lines_dropped",
        One,
        |it| it.access_log.map_or(Value::Absent, |log| log.dropped.into()),
        "lines of the access log that could not be written",
    ),
    Field::gauge(
        "access_log_bytes_waiting",
        Bytes,
        |it| it.access_log.map_or(Value::Absent, |log| log.waiting.into()),
        "bytes of the access log that are not written yet",
    ),
    Field::counter(
        "mirror.sent",
        One,
        |it| it.stats.mirror.sent.into(),
        "copies of requests that were sent to another pool and answered whole",
    ),
    Field::counter(
        "mirror.dropped_busy",
        One,
        |it| it.stats.mirror.dropped_busy.into(),
        "copies that were not sent, for there were too many others",
    ),
    Field::counter(
        "mirror.dropped_large",
        One,
        |it| it.stats.mirror.dropped_large.into(),
        "copies that were not sent, for they were too long",
    ),
    Field::counter(
        "mirror.failed",
        One,
        |it| it.stats.mirror.failed.into(),
        "copies that were not sent whole, or not answered whole in time",
    ),
    Field::gauge("bans", One, |it| it.bans.open.into(), "networks that are banned"),
    Field::counter(
        "dns_lookups",
        One,
        |it| it.stats.dns.lookups.into(),
        "names of backends that were looked up",
    ),
    Field::counter(
        "dns_lookups_failed",
        One,
        |it| it.stats.dns.failures.into(),
        "look-ups that found nothing: what was known before holds",
    ),
    Field::counter(
        "dns_strangers",
        One,
        |it| it.stats.dns.strangers.into(),
        "messages about names that nobody waited for",
    ),
    Field::counter(
        "bans_made",
        One,
        |it| it.bans.made.into(),
        "bans that were made, by operators and for strikes",
    ),
    Field::counter(
        "bans_made_by_strikes",
        One,
        |it| it.bans.by_strikes.into(),
        "those of them that were made for strikes",
    ),
    Field::counter(
        "strikes",
        One,
        |it| it.bans.strikes.into(),
        "what clients did and should not, while strikes are counted",
    ),
    Field::counter(
        "admin_refused",
        One,
        |it| it.stats.admin_refused.into(),
        "admin connections for which there was no room, or no descriptor",
    ),
    Field::counter(
        "heartbeats",
        One,
        |it| it.stats.heartbeats.into(),
        "heartbeats of servers that came in datagrams",
    ),
    Field::counter(
        "heartbeats_refused",
        One,
        |it| it.stats.heartbeats_refused.into(),
        "those of them that were not signed well, or not wanted",
    ),
    Field::counter(
        "state_save_failures",
        One,
        |it| it.stats.state_failures.into(),
        "how often the state file could not be written",
    ),
    Field::counter(
        "takeovers_failed",
        One,
        |it| it.stats.takeovers_failed.into(),
        "how often a new process asked for the place of this one and did not take it",
    ),
    Field::counter(
        "history_save_failures",
        One,
        |it| it.stats.history_failures.into(),
        "how often the file of history could not be written",
    ),
    Field::counter(
        "bytes.in",
        Bytes,
        |it| it.stats.relayed.to_backend.into(),
        "from clients to backends, datagrams among them",
    ),
    Field::counter(
        "bytes.out",
        Bytes,
        |it| it.stats.relayed.to_client.into(),
        "from backends to clients, datagrams among them",
    ),
    Field::counter("turns", One, |it| it.stats.turns.into(), "turns of the event loop"),
    Field::gauge(
        "longest_turn_ms",
        Milliseconds,
        |it| it.stats.longest_turn.into(),
        "the longest of them",
    ),
];

/// Of datagrams.
pub const UDP: &[Field<Datagrams>] = &[
    Field::gauge("flows_open", One, |it| it.open.into(), "flows that are here"),
    Field::counter("flows_total", One, |it| it.opened.into(), "flows that were opened"),
    Field::counter(
        "flows_ended.finished",
        One,
        |it| it.finished.into(),
        "had as many answers as are awaited",
    ),
    Field::counter("flows_ended.idle", One, |it| it.idle.into(), "nothing moved for too long"),
    Field::counter(
        "flows_ended.gave_way",
        One,
        |it| it.gave_way.into(),
        "to another flow, where there was no room",
    ),
    Field::counter(
        "flows_ended.refused",
        One,
        |it| it.refused.into(),
        "the backend's machine said that nobody listens",
    ),
    Field::counter(
        "flows_ended.backend_down",
        One,
        |it| it.backend_down.into(),
        "the backend went down",
    ),
    Field::counter(
        "flows_ended.cut_off",
        One,
        |it| it.cut_off.into(),
        "by the stop, or with a backend that was told to go",
    ),
    Field::counter("datagrams.from_clients", One, |it| it.from_clients.into(), "received"),
    Field::counter("datagrams.to_backends", One, |it| it.to_backends.into(), "passed on"),
    Field::counter("datagrams.from_backends", One, |it| it.from_backends.into(), "received"),
    Field::counter("datagrams.to_clients", One, |it| it.to_clients.into(), "passed on"),
    Field::counter(
        "dropped.full",
        One,
        |it| it.dropped_full.into(),
        "there was no room for another flow",
    ),
    Field::counter(
        "dropped.no_backend",
        One,
        |it| it.dropped_no_backend.into(),
        "there was none",
    ),
    Field::counter(
        "dropped.stopping",
        One,
        |it| it.dropped_stopping.into(),
        "they would have begun a flow during the stop",
    ),
    Field::counter(
        "dropped.no_header",
        One,
        |it| it.dropped_no_header.into(),
        "they do not begin with the PROXY header that is required of their proxy",
    ),
    Field::counter(
        "dropped.unsent",
        One,
        |it| it.dropped_unsent.into(),
        "the kernel would not send them",
    ),
    Field::counter(
        "receive_errors",
        One,
        |it| it.errors.into(),
        "errors of the listeners' sockets",
    ),
];

/// Of each listener.
pub const LISTENERS: &[Field<Listener>] = &[
    Field::text("name", |it| (&*it.name).into(), "what is spoken there, and where"),
    Field::gauge("connections_open", One, |it| it.open.into(), "clients or flows of it"),
    Field::gauge(
        "certificate_left_seconds",
        Seconds,
        |it| it.certificate_left.map_or(Value::Absent, Value::from),
        "until the first of its certificates expires, 0 once one has",
    ),
];

/// Of each pool of a route.
pub const POOLS: &[Field<Pool>] = &[
    Field::text("name", |it| (&*it.name).into(), "of the pool"),
    Field::text("backends", |it| Value::Backends(&it.members), "their names"),
    Field::gauge("up", One, |it| it.up.into(), "how many of them are up and take work"),
    Field::gauge("waiting", One, |it| it.waiting.into(), "clients that wait for one of them"),
    Field::gauge(
        "longest_wait_seconds",
        Seconds,
        |it| it.longest_wait.into(),
        "for how long the one has waited that waited longest",
    ),
    Field::gauge("most_waiting", One, |it| it.queue.most.into(), "most that waited at once"),
    Field::counter("queued", One, |it| it.queue.queued.into(), "clients that began to wait"),
    Field::counter(
        "queue_full",
        One,
        |it| it.queue.full.into(),
        "clients that were refused, for the queue was full",
    ),
    Field::counter(
        "queue_timeouts",
        One,
        |it| it.queue.late.into(),
        "clients that were refused, for they had waited too long",
    ),
    Field::counter(
        "queue_left",
        One,
        |it| it.queue.left.into(),
        "clients that went away while they waited",
    ),
    Field::counter(
        "retries",
        One,
        |it| it.retries.into(),
        "backends of it that were tried after another one failed",
    ),
    Field::counter(
        "retries_over_budget",
        One,
        |it| it.retries_over_budget.into(),
        "those that were not, for there were too many of them",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Instant;

    use super::super::field::{NumberKind, Unit};
    use super::super::snapshot::tests::{backend, pool};
    use super::super::snapshot::{AccessLogStats, Backend, Quantiles};
    use super::super::traffic::TrafficCounts;
    use super::*;

    /// What the manual says of a table.
    fn manual<T>(above: &str, table: &[Field<T>]) -> String {
        String::from("| name | kind | what it is |\n|---|---|---|\n") + &rows(above, table)
    }

    fn rows<T>(above: &str, table: &[Field<T>]) -> String {
        let mut text = String::new();
        for field in table {
            let kind = match (field.kind, field.unit) {
                (NumberKind::Counter, Unit::Bytes) => "counter, bytes",
                (NumberKind::Counter, _) => "counter",
                (NumberKind::Gauge, Unit::Bytes) => "gauge, bytes",
                (NumberKind::Gauge, Unit::Seconds) => "gauge, seconds",
                (NumberKind::Gauge, Unit::Milliseconds) => "gauge, ms",
                (NumberKind::Gauge, Unit::PerSecond) => "gauge, a second",
                (NumberKind::Gauge, Unit::One) => "gauge",
                (NumberKind::Text, _) => "text",
            };
            text += &format!("| `{above}.{}` | {kind} | {} |\n", field.path(), field.help);
        }
        text
    }

    /// To bring the manual up to date, put in what this prints.
    #[test]
    fn the_manual_has_every_table() {
        let page = include_str!("../../docs/stats.md");
        let tables = [
            manual("process", PROCESS),
            manual("udp", UDP),
            manual("listeners", LISTENERS),
            manual("guard", RULES),
            manual("routes", POOLS) + &rows("routes", TRAFFIC),
            manual("backends", BACKENDS),
        ];
        for table in tables {
            assert!(page.contains(&table), "docs/stats.md has not this table:\n\n{table}");
        }
    }

    /// What stands in a text between these two.
    fn between(text: &'static str, from: &str, to: &str) -> &'static str {
        let behind = text.split_once(from).unwrap_or_else(|| panic!("{from:?} is there")).1;
        behind.split_once(to).unwrap_or_else(|| panic!("{to:?} is behind {from:?}")).0
    }

    #[test]
    fn every_counter_has_a_row() {
        let counters = concat!(include_str!("../stats.rs"), include_str!("traffic.rs"));
        let tables = concat!(
            include_str!("tables.rs"),
            include_str!("tables/traffic.rs"),
            include_str!("tables/backends.rs")
        );
        let sum = between(counters, "pub fn log_dropped(", "pub fn shortages(");
        let mut seen = 0;
        for (owner, table, place) in [
            ("Stats", "PROCESS", "it.stats."),
            ("Handshakes", "PROCESS", "it.stats.handshakes."),
            ("Mirrored", "PROCESS", "it.stats.mirror."),
            ("Names", "PROCESS", "it.stats.dns."),
            ("Datagrams", "UDP", "it."),
            ("ListenerStats", "LISTENERS", "it."),
            ("TrafficCounts", "TRAFFIC", "it."),
            ("BackendCounts", "BACKENDS", "it.counts."),
            ("QueueCounts", "POOLS", "it.queue."),
        ] {
            let rows = between(tables, &format!("pub const {table}: "), "\n];");
            let fields = between(counters, &format!("pub struct {owner} {{"), "\n}");
            let fields = fields.lines().filter_map(|line| line.trim().strip_prefix("pub "));
            for (name, kind) in fields.filter_map(|field| field.split_once(": ")) {
                if !kind.contains("u64") {
                    continue;
                }
                let is_shown = rows.contains(&format!("{place}{name}.into()"))
                    || rows.contains(&format!("{place}{name}[0]"))
                    || sum.contains(&format!("self.{name}"));
                assert!(is_shown, "no row of {table} shows {owner}::{name}");
                seen += 1;
            }
        }
        assert!(seen > 40, "only {seen} counters were found");
    }

    /// Names become parts of others' names, and helps stand in one line.
    fn check<T>(table: &[Field<T>], rows: &[T]) {
        let paths: BTreeSet<String> = table.iter().map(Field::path).collect();
        assert_eq!(paths.len(), table.len(), "a name twice: {paths:?}");
        let groups = table.chunk_by(|a, b| a.group == b.group).map(|group| group[0].group);
        let groups: Vec<&str> = groups.filter(|group| !group.is_empty()).collect();
        let apart: BTreeSet<&str> = groups.iter().copied().collect();
        assert_eq!(apart.len(), groups.len(), "a group in two places: {groups:?}");
        for field in table {
            let path = field.path();
            let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.');
            assert!(path.bytes().all(is_plain), "{path}");
            let help = field.help;
            assert!(!help.is_empty() && !help.contains(['\n', '|']), "{path}: {help:?}");
            assert!(!help.ends_with('.'), "{path}: {help:?}");
            for row in rows {
                let value = (field.get)(row);
                let fits = match (value, field.kind) {
                    (Value::Unknown | Value::Absent, _) => true,
                    (Value::Count(_), NumberKind::Counter | NumberKind::Gauge) => true,
                    (Value::Decimal(_), NumberKind::Gauge) => true,
                    (Value::Time(_), NumberKind::Gauge) => {
                        matches!(field.unit, Unit::Seconds | Unit::Milliseconds)
                    }
                    (Value::Truth(_) | Value::Text(_), NumberKind::Text) => true,
                    (Value::Address(_) | Value::Backends(_), NumberKind::Text) => true,
                    _ => false,
                };
                assert!(fits, "{path}: {value:?} is no {:?}", field.kind);
            }
        }
    }

    #[test]
    fn every_row_has_a_name_of_its_own_a_help_and_a_value_of_its_kind() {
        let log = AccessLogStats { dropped: 1, waiting: 2, is_behind: true };
        let with_log = Process { access_log: Some(log), ..Process::default() };
        check(PROCESS, &[Process::default(), with_log]);
        check(UDP, &[Datagrams::default()]);
        let time = Instant::now().elapsed();
        let name = "http://127.0.0.1:8000".to_owned();
        let bare = Listener { name, open: 0, certificate_left: None };
        check(LISTENERS, &[Listener { certificate_left: Some(time), ..bare.clone() }, bare]);
        check(POOLS, &[pool(&[0, 1])]);
        check(TRAFFIC, &[TrafficCounts::default()]);
        let times = Some(Quantiles { p50: time, p90: time, p99: time });
        let mut busy = Backend { times, load: Some(0.5), ..backend(2) };
        busy.standing.reason = Some("said so".to_owned());
        busy.standing.since = Some(time);
        busy.standing.left = Some(time);
        check(BACKENDS, &[backend(1), busy]);
    }
}
