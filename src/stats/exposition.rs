//! Rows of the tables as Prometheus reads them: the names, and the two text formats.
//!
//! ```text
//!   Field "bytes.sent" of a backend --> pointsman_backend_bytes_total{direction="sent"}
//! ```
//!
//! A name is `pointsman_`, what it is of, and the name of the row in base units; a counter ends in
//! `_total`, as <https://prometheus.io/docs/practices/naming/> has it. What has a word for a value
//! is no number and has no row; times that are quantiles already, and rates, are left out, for they
//! cannot be added up: Prometheus makes them from the counters.

use std::fmt::Write;

use super::field::{Field, NumberKind, Unit, Value};
use super::times::Times;

/// A metric with all of its series.
pub struct Family<T: 'static> {
    /// Without the `_total` of a counter.
    name: String,
    kind: NumberKind,
    help: &'static str,
    /// What tells its rows apart, if it has more than one.
    label: Option<&'static str>,
    rows: Vec<&'static Field<T>>,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4 of Prometheus.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// Groups whose rows are values of a label, and what they count.
const LABELS: &[(&str, &str, &str)] = &[
    ("mirror", "result", "copies of requests to mirrors, by what became of them"),
    ("flows_ended", "reason", "flows of datagrams that ended, by why"),
    ("datagrams", "direction", "datagrams, by where they came from or went"),
    ("dropped", "reason", "datagrams that were dropped, by why"),
    ("responses", "code", "answers, by the class of their status"),
    ("errors", "kind", "exchanges that failed, by how"),
    ("bytes", "direction", "bytes of messages and streams"),
];

impl Format {
    /// The one that is wanted most of those that an `Accept` field names (RFC 9110, 12.5.1).
    pub fn accepted(accept: &str) -> Format {
        let wish = |media: &str| {
            let found = accept.split(',').filter_map(|it| quality(it, media));
            found.fold(0.0, f32::max)
        };
        let open = wish("application/openmetrics-text");
        if open > 0.0 && open >= wish("text/plain") {
            Format::OpenMetrics
        } else {
            Format::Text
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What comes last.
    pub fn end(self, out: &mut Vec<u8>) {
        if self == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
    }

    /// What all series of a metric have in common; `name` has no `_total`.
    pub fn head(self, name: &str, kind: NumberKind, help: &str, out: &mut Vec<u8>) {
        let word = match kind {
            NumberKind::Counter => "counter",
            NumberKind::Gauge | NumberKind::Text => "gauge",
        };
        let total = match (self, kind) {
            (Format::Text, NumberKind::Counter) => "_total",
            _ => "",
        };
        let help = help.replace('\\', "\\\\").replace('\n', " ");
        let head = format!("# HELP {name}{total} {help}\n# TYPE {name}{total} {word}\n");
        out.extend_from_slice(head.as_bytes());
    }

    /// The same of a histogram.
    pub fn histogram_head(name: &str, help: &str, out: &mut Vec<u8>) {
        let head = format!("# HELP {name} {help}\n# TYPE {name} histogram\n");
        out.extend_from_slice(head.as_bytes());
    }
}

/// How much a range of an `Accept` field wants this media type, if it names it.
fn quality(range: &str, media: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(media) {
        return None;
    }
    let weight = parts.find_map(|it| it.strip_prefix("q="));
    Some(weight.map_or(1.0, |it| it.parse().unwrap_or(0.0)))
}

/// The metrics of a table; `scope` is `backend_`, or nothing for the process.
pub fn families<T>(scope: &str, table: &'static [Field<T>]) -> Vec<Family<T>> {
    let mut families: Vec<Family<T>> = Vec::new();
    for field in table.iter().filter(|it| is_exposed(it)) {
        let label = LABELS.iter().find(|(group, ..)| *group == field.group);
        let Some((group, label, help)) = label else {
            let name = format!("pointsman_{scope}{}", plain_name(field));
            let Field { kind, help, .. } = field;
            let rows = vec![field];
            families.push(Family { name, kind: *kind, help, label: None, rows });
            continue;
        };
        let name = format!("pointsman_{scope}{group}");
        match families.iter_mut().find(|it| it.name == name) {
            Some(family) => family.rows.push(field),
            None => {
                let Field { kind, .. } = field;
                let rows = vec![field];
                families.push(Family { name, kind: *kind, help, label: Some(label), rows });
            }
        }
    }
    families
}

/// What Prometheus finds out from other rows: a thousand backends have as many series as they must.
const LEFT_OUT: &[&str] = &["errors.5xx", "errors.connect", "down_seconds", "idle_seconds"];

fn is_exposed<T>(field: &Field<T>) -> bool {
    let adds_up = field.unit != Unit::PerSecond && field.group != "response_ms";
    let is_new = !LEFT_OUT.contains(&&*field.path());
    field.kind != NumberKind::Text && adds_up && is_new
}

/// In base units, without the `_total` of a counter.
fn plain_name<T>(field: &Field<T>) -> String {
    let name = match field.group {
        "" => field.name.to_owned(),
        group => format!("{group}_{}", field.name),
    };
    let bare = ["_total", "_ms", "_seconds"].iter().fold(&*name, |name, end| {
        // because: a name has one of them at most.
        name.strip_suffix(end).unwrap_or(name)
    });
    match (field.kind, field.unit) {
        (_, Unit::Seconds | Unit::Milliseconds) => format!("{bare}_seconds"),
        (_, Unit::Bytes) if !bare.contains("bytes") => format!("{bare}_bytes"),
        _ => bare.to_owned(),
    }
}

impl<T> Family<T> {
    /// What all of its series have in common.
    pub fn head(&self, format: Format, out: &mut Vec<u8>) {
        format.head(&self.name, self.kind, self.help, out);
    }

    /// The series of one thing that has these labels, written as [`label`] does.
    pub fn series(&self, of: &T, labels: &str, out: &mut Vec<u8>) {
        for row in &self.rows {
            let Some(value) = number((row.get)(of)) else { continue };
            let mut all = labels.to_owned();
            if let Some(name) = self.label {
                label(name, row.name, &mut all);
            }
            sample(&self.name, self.kind, &all, value, out);
        }
    }
}

/// One more label behind those that are there.
pub fn label(name: &str, value: &str, labels: &mut String) {
    if !labels.is_empty() {
        labels.push(',');
    }
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    // because: writing to a text does not fail.
    let _ = write!(labels, "{name}=\"{value}\"");
}

/// One number.
pub fn sample(name: &str, kind: NumberKind, labels: &str, value: f64, out: &mut Vec<u8>) {
    let total = if kind == NumberKind::Counter { "_total" } else { "" };
    let line = if labels.is_empty() {
        format!("{name}{total} {value}\n")
    } else {
        format!("{name}{total}{{{labels}}} {value}\n")
    };
    out.extend_from_slice(line.as_bytes());
}

/// A histogram of times, in seconds.
pub fn histogram(name: &str, labels: &str, times: &Times, out: &mut Vec<u8>) {
    let bucket = format!("{name}_bucket");
    for (end, count) in times.buckets() {
        let mut all = labels.to_owned();
        // OpenMetrics wants 1.0 for 1.
        let end = end.map_or_else(|| "+Inf".to_owned(), |end| format!("{end:?}"));
        label("le", &end, &mut all);
        sample(&bucket, NumberKind::Gauge, &all, count as f64, out);
    }
    let sum = times.sum().as_secs_f64();
    sample(&format!("{name}_sum"), NumberKind::Gauge, labels, sum, out);
    sample(&format!("{name}_count"), NumberKind::Gauge, labels, times.count() as f64, out);
}

/// Times in seconds; what is no number is none.
fn number(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Count(count) => Some(count as f64),
        Value::Decimal(number) => Some(number),
        Value::Time(time) => Some(time.as_secs_f64()),
        Value::Truth(truth) => Some(f64::from(u8::from(truth))),
        Value::Text(_)
        | Value::Address(_)
        | Value::Backends(_)
        | Value::Unknown
        | Value::Absent => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::{BACKENDS, LISTENERS, POOLS, PROCESS, RULES, TRAFFIC, UDP};
    use super::*;

    fn names<T>(scope: &str, table: &'static [Field<T>]) -> Vec<String> {
        let of = |it: Family<T>| match it.kind {
            NumberKind::Counter => format!("{}_total", it.name),
            _ => it.name,
        };
        families(scope, table).into_iter().map(of).collect()
    }

    #[test]
    fn names_are_in_base_units_and_no_two_are_the_same() {
        let mut all = names("", PROCESS);
        all.extend(names("udp_", UDP));
        all.extend(names("listener_", LISTENERS));
        all.extend(names("guard_", RULES));
        all.extend(names("service_", TRAFFIC));
        all.extend(names("pool_", POOLS));
        all.extend(names("pool_", TRAFFIC));
        all.extend(names("backend_", BACKENDS));
        for name in ["uptime_seconds", "longest_turn_seconds", "connections_total"] {
            assert!(all.contains(&format!("pointsman_{name}")), "no {name} in {all:?}");
        }
        for name in ["backend_bytes_total", "backend_responses_total", "udp_flows_total"] {
            assert!(all.contains(&format!("pointsman_{name}")), "no {name} in {all:?}");
        }
        assert!(all.iter().all(|it| !it.contains("_ms") && !it.contains("_total_total")));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    /// A row for each metric.
    fn manual<T>(scope: &str, labels: &str, table: &'static [Field<T>]) -> String {
        let rows = families(scope, table).into_iter().map(|it| {
            let (kind, total) = match it.kind {
                NumberKind::Counter => ("counter", "_total"),
                NumberKind::Gauge | NumberKind::Text => ("gauge", ""),
            };
            let of = [labels, it.label.unwrap_or_default()];
            let of: Vec<String> =
                of.iter().filter(|it| !it.is_empty()).map(|it| format!("`{it}`")).collect();
            let of = of.join(", ");
            format!("| `{}{total}` | {of} | {kind} | {} |\n", it.name, it.help)
        });
        rows.collect()
    }

    /// To bring the manual up to date, put in what this prints.
    #[test]
    fn the_manual_has_every_metric() {
        let page = include_str!("../../docs/metrics.md");
        let table = [
            manual("", "", PROCESS),
            manual("udp_", "", UDP),
            manual("listener_", "listener", LISTENERS),
            manual("guard_", "rule`, `of`, `name", RULES),
            manual("service_", "service", TRAFFIC),
            manual("pool_", "pool", POOLS),
            manual("pool_", "pool", TRAFFIC),
            manual("backend_", "pool`, `backend", BACKENDS),
        ]
        .concat();
        assert!(page.contains(&table), "docs/metrics.md has not this table:\n\n{table}");
    }

    #[test]
    fn the_format_is_the_one_that_is_wanted_most() {
        let table = [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain", Format::Text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;q=0.1,text/plain;q=0.3", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
        ];
        for (accept, wanted) in table {
            assert_eq!(Format::accepted(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn a_hostile_value_of_a_label_stays_within_its_quotes() {
        let mut labels = String::new();
        label("a", "x\"} 1\n\\", &mut labels);
        label("b", "y", &mut labels);
        assert_eq!(labels, "a=\"x\\\"} 1\\n\\\\\",b=\"y\"");
    }
}
