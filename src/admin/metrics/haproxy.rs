//! The names of HAProxy's own exporter (`addons/promex`), from the rows of its statistics: so that
//! both say the same.

use std::time::UNIX_EPOCH;

use crate::config::HaproxyLevel as Level;
use crate::stats::exposition::{Format, label, sample};
use crate::stats::field::NumberKind::{self, Counter, Gauge};

use super::super::answer::{More, Pieces, some_steps};
use super::super::haproxy::rows::{self, Row};
use super::super::view::{ProcessState, View};
use super::{Filter, ROWS_PER_PIECE};

/// A metric: its name without `haproxy_backend_`, what it is, and the column that it is from.
struct Metric {
    name: &'static str,
    kind: NumberKind,
    help: &'static str,
    column: &'static str,
}

const fn metric(
    name: &'static str,
    kind: NumberKind,
    column: &'static str,
    help: &'static str,
) -> Metric {
    Metric { name, kind, help, column }
}

const METRICS: &[Metric] = &[
    metric("current_sessions", Gauge, "scur", "Current number of active sessions."),
    metric("limit_sessions", Gauge, "slim", "Limit of sessions."),
    metric("sessions", Counter, "stot", "Total number of sessions."),
    metric("connections", Counter, "conn_tot", "Total number of new connections."),
    metric("bytes_in", Counter, "bin", "Total number of request bytes."),
    metric("bytes_out", Counter, "bout", "Total number of response bytes."),
    metric("request_errors", Counter, "ereq", "Total number of invalid requests."),
    metric("connection_errors", Counter, "econ", "Total number of failed connections."),
    metric("response_errors", Counter, "eresp", "Total number of invalid responses."),
    metric("current_queue", Gauge, "qcur", "Current number of queued connections."),
    metric("weight", Gauge, "weight", "Effective weight."),
    metric("uweight", Gauge, "uweight", "Configured weight."),
    metric("active_servers", Gauge, "act", "Active servers that are up."),
    metric("backup_servers", Gauge, "bck", "Backup servers that are up."),
    metric("loadbalanced", Counter, "lbtot", "How often it was chosen."),
    metric("http_requests", Counter, "req_tot", "Total number of HTTP requests."),
    metric("current_session_rate", Gauge, "rate", "Sessions of the last second."),
    metric("used_connections_current", Gauge, "used_conn_cur", "Connections in use."),
    metric("idle_connections_current", Gauge, "idle_conn_cur", "Idle connections."),
    metric("redispatch_warnings", Counter, "wredis", "Total number of redispatches."),
    metric("client_aborts", Counter, "cli_abrt", "Requests or connections aborted by clients."),
    metric("server_aborts", Counter, "srv_abrt", "Those aborted by servers."),
    metric("check_failures", Counter, "chkfail", "Total number of failed checks."),
    metric("check_up_down", Counter, "chkdown", "Total number of times that it went down."),
    metric("downtime_seconds", Counter, "downtime", "Total time that it was down."),
    metric("last_session_seconds", Gauge, "lastsess", "Seconds since the last session."),
    metric("check_last_change_seconds", Gauge, "lastchg", "Seconds since it went up or down."),
];

/// Columns of answers by the class of their status.
const CODES: &[(&str, &str)] = &[
    ("1xx", "hrsp_1xx"),
    ("2xx", "hrsp_2xx"),
    ("3xx", "hrsp_3xx"),
    ("4xx", "hrsp_4xx"),
    ("5xx", "hrsp_5xx"),
];

/// What rows are of, as names have it, and the states that they can be in.
const SCOPES: &[(char, &str, &[&str])] = &[
    ('F', "frontend", &["DOWN", "UP"]),
    ('B', "backend", &["DOWN", "UP"]),
    ('S', "server", &["DOWN", "UP", "MAINT", "DRAIN", "NOLB"]),
];

/// The page.
pub struct Metrics {
    filter: Filter,
    format: Format,
    at: At,
    /// With the labels of each.
    rows: Vec<(String, Row)>,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum At {
    Frontends,
    /// A pool, and the place in it.
    Taking(usize, usize),
    /// A scope, one of its metrics, and the row.
    Writing(usize, usize, usize),
}

impl Metrics {
    pub fn new(filter: Filter, format: Format) -> Metrics {
        Metrics { filter, format, at: At::Frontends, rows: Vec::new() }
    }

    /// What HAProxy says of itself, as far as it means something here.
    fn process(&self, view: &View<'_>, out: &mut Vec<u8>) {
        let cx = view.cx;
        let stopping = f64::from(u8::from(view.state == ProcessState::Stopping));
        let numbers: [(&str, NumberKind, &str, f64); 12] = [
            ("nbthread", Gauge, "Number of threads.", 1.0),
            ("start_time_seconds", Gauge, "Start time in seconds since 1970.", started(view)),
            ("uptime_seconds", Gauge, "How long ago it was started.", uptime(view)),
            ("stopping", Gauge, "Non zero means stopping in progress.", stopping),
            ("current_connections", Gauge, "Number of active sessions.", cx.stats.open as f64),
            (
                "hard_max_connections",
                Gauge,
                "Hard limit on the number of sessions.",
                cx.settings.hard_max_connections as f64,
            ),
            (
                "max_connections",
                Gauge,
                "Limit on the number of sessions.",
                cx.settings.max_connections as f64,
            ),
            ("connections", Counter, "Number of sessions.", cx.stats.accepted as f64),
            ("requests", Counter, "Number of requests.", cx.stats.requests as f64),
            (
                "ssl_connections",
                Counter,
                "Number of SSL sessions.",
                cx.stats.handshakes.done as f64,
            ),
            (
                "listeners",
                Gauge,
                "Number of active listeners.",
                cx.listeners.iter().count() as f64,
            ),
            ("dropped_logs", Counter, "Number of dropped logs.", cx.stats.log_dropped() as f64),
        ];
        for (name, kind, help, value) in numbers {
            let name = format!("haproxy_process_{name}");
            self.format.head(&name, kind, help, out);
            sample(&name, kind, "", value, out);
        }
    }

    fn keep(&mut self, row: Row) {
        let mut labels = String::new();
        label("proxy", row.get("pxname"), &mut labels);
        if row.letter == 'S' {
            label("server", row.get("svname"), &mut labels);
        }
        self.rows.push((labels, row));
    }

    fn take(&mut self, pool: usize, at: usize, view: &View<'_>) -> Option<(usize, usize)> {
        let entry = view.directory.pool_at(pool)?;
        if !self.filter.takes_pool(&entry.spec.name) {
            return Some((pool + 1, 0));
        }
        let Some(server) = view.directory.backend_at(entry, at) else {
            self.keep(rows::backend(view, entry, Level::Operator));
            return Some((pool + 1, 0));
        };
        let is_named = self.filter.name.as_deref().is_none_or(|it| it == server.spec.name);
        let row = rows::server(view, entry, server, Level::Operator);
        if is_named && !(self.filter.no_maint && row.get("status") == "MAINT") {
            self.keep(row);
        }
        Some((pool, at + 1))
    }

    /// A metric of a row. The last two are the answers and the state.
    fn series(&self, scope: usize, metric: usize, at: usize, out: &mut Vec<u8>) {
        let (_, scope, states) = SCOPES[scope];
        let (labels, row) = &self.rows[at];
        let number = |column: &str| row.get(column).parse::<f64>().ok();
        if let Some(metric) = METRICS.get(metric) {
            let name = format!("haproxy_{scope}_{}", metric.name);
            if let Some(value) = number(metric.column) {
                sample(&name, metric.kind, labels, value, out);
            }
            return;
        }
        if metric == METRICS.len() {
            for (code, column) in CODES {
                let mut labels = labels.clone();
                label("code", code, &mut labels);
                if let Some(value) = number(column) {
                    let name = format!("haproxy_{scope}_http_responses");
                    sample(&name, Counter, &labels, value, out);
                }
            }
            return;
        }
        for state in states {
            let mut labels = labels.clone();
            label("state", state, &mut labels);
            let is_it = f64::from(u8::from(state_of(row) == *state));
            sample(&format!("haproxy_{scope}_status"), Gauge, &labels, is_it, out);
        }
    }

    fn head(&self, scope: usize, metric: usize, out: &mut Vec<u8>) {
        let (_, scope, _) = SCOPES[scope];
        match METRICS.get(metric) {
            Some(Metric { name, kind, help, .. }) => {
                self.format.head(&format!("haproxy_{scope}_{name}"), *kind, help, out);
            }
            None if metric == METRICS.len() => {
                let name = format!("haproxy_{scope}_http_responses");
                self.format.head(&name, Counter, "Total number of HTTP responses.", out);
            }
            None => {
                let name = format!("haproxy_{scope}_status");
                self.format.head(&name, Gauge, "1 for the state that it is in.", out);
            }
        }
    }

    fn step(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> Option<At> {
        match self.at {
            At::Frontends => {
                self.process(view, out);
                let services = view.directory.desired.services.iter().enumerate();
                for (at, spec) in services {
                    self.keep(rows::frontend(view, at, spec));
                }
                Some(At::Taking(0, 0))
            }
            At::Taking(pool, at) => Some(match self.take(pool, at, view) {
                Some((pool, at)) => At::Taking(pool, at),
                None => At::Writing(0, 0, 0),
            }),
            At::Writing(scope, metric, at) => {
                let Some((letter, ..)) = SCOPES.get(scope) else {
                    self.format.end(out);
                    return None;
                };
                if metric > METRICS.len() + 1 {
                    return Some(At::Writing(scope + 1, 0, 0));
                }
                if at == 0 {
                    self.head(scope, metric, out);
                }
                match self.rows.get(at) {
                    Some((_, row)) => {
                        if row.letter == *letter {
                            self.series(scope, metric, at, out);
                        }
                        Some(At::Writing(scope, metric, at + 1))
                    }
                    None => Some(At::Writing(scope, metric + 1, 0)),
                }
            }
        }
    }
}

fn uptime(view: &View<'_>) -> f64 {
    view.ago(view.cx.started).as_secs_f64().floor()
}

fn started(view: &View<'_>) -> f64 {
    let now = view.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs_f64() - uptime(view)).floor()
}

/// `UP 2/3` and `no check` are up.
fn state_of(row: &Row) -> &str {
    match row.get("status") {
        "OPEN" | "no check" => "UP",
        "PAUSED" => "DOWN",
        other => other.split(' ').next().unwrap_or(other),
    }
}

impl Pieces for Metrics {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        some_steps(ROWS_PER_PIECE, out, |out| match self.step(view, out) {
            Some(next) => {
                self.at = next;
                true
            }
            None => false,
        })
    }
}
