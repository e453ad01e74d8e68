//! What is known and counted of each backend.

use super::super::field::Field;
use super::super::field::Unit::{Bytes, Milliseconds, One, PerSecond, Seconds};
use super::super::field::Value;
use super::super::snapshot::Backend;

/// Of each backend.
pub const BACKENDS: &[Field<Backend>] = &[
    Field::text("name", |it| (&*it.name).into(), "as in the log"),
    Field::text(
        "address",
        |it| it.address.as_ref().map_or(Value::Unknown, Value::Address),
        "the one in use, as in `health`",
    ),
    Field::text(
        "state",
        |it| it.standing.word.text().into(),
        "`unknown` (no probe has ended yet), `up`, `full`, `draining`, `maint`, \
         `ejected` or `down`",
    ),
    Field::gauge(
        "state_seconds",
        Seconds,
        |it| it.state_for.into(),
        "since it came up or went down, whatever else it is as well",
    ),
    Field::text(
        "reason",
        |it| it.standing.reason.as_deref().into(),
        "why it is `down` or `ejected`, in words",
    ),
    Field::gauge(
        "ejected_seconds",
        Seconds,
        |it| it.standing.ejected().map(|(since, _)| since).into(),
        "for how long it has been ejected",
    ),
    Field::gauge(
        "returns_in_seconds",
        Seconds,
        |it| it.standing.ejected().map(|(_, left)| left).into(),
        "when it will be back",
    ),
    Field::gauge("weight", One, |it| it.weight.into(), "as given"),
    Field::gauge(
        "effective_weight",
        One,
        |it| it.effective_weight.into(),
        "with which it is picked now: 0 while it takes nobody, less in a slow start",
    ),
    Field::text("backup", |it| it.backup.into(), "whether it is one"),
    Field::gauge("load", One, |it| it.load.into(), "what it reported last to a `load:` probe"),
    Field::gauge(
        "in_flight",
        One,
        |it| it.connections.into(),
        "connections, or exchanges of HTTP, in progress",
    ),
    Field::counter("requests", One, |it| it.counts.given.into(), "all that it was given"),
    Field::counter(
        "failures",
        One,
        |it| it.counts.failures.into(),
        "connects and datagrams to it that failed",
    ),
    Field::counter(
        "moved_on",
        One,
        |it| it.counts.moved_on.into(),
        "requests and connections that another one was given because this one failed",
    ),
    Field::counter(
        "check_failures",
        One,
        |it| it.counts.check_failures.into(),
        "probes of it that failed",
    ),
    Field::counter("downs", One, |it| it.counts.downs.into(), "how often it went down"),
    Field::gauge(
        "down_seconds",
        Seconds,
        |it| it.downtime.into(),
        "for how long it was down since the start, all times together",
    ),
    Field::gauge(
        "idle_seconds",
        Seconds,
        |it| it.idle_for.into(),
        "since it was given something last",
    ),
    Field::gauge(
        "requests_per_second.1s",
        PerSecond,
        |it| it.rate.last_second.into(),
        "in the last second",
    ),
    Field::gauge(
        "requests_per_second.60s",
        PerSecond,
        |it| it.rate.last_minute.into(),
        "in the last minute, on average",
    ),
    Field::counter(
        "responses.1xx",
        One,
        |it| it.counts.answers[0].into(),
        "answers with a status of 100 to 199",
    ),
    Field::counter(
        "responses.2xx",
        One,
        |it| it.counts.answers[1].into(),
        "answers with a status of 200 to 299",
    ),
    Field::counter(
        "responses.3xx",
        One,
        |it| it.counts.answers[2].into(),
        "answers with a status of 300 to 399",
    ),
    Field::counter(
        "responses.4xx",
        One,
        |it| it.counts.answers[3].into(),
        "answers with a status of 400 to 499",
    ),
    Field::counter(
        "responses.5xx",
        One,
        |it| it.counts.answers[4].into(),
        "answers with a status of 500 to 599",
    ),
    Field::counter(
        "errors.connect",
        One,
        |it| it.counts.connect_errors.into(),
        "connects that failed",
    ),
    Field::counter(
        "errors.timeout",
        One,
        |it| it.counts.timeouts.into(),
        "answers that did not come in time",
    ),
    Field::counter(
        "errors.broken",
        One,
        |it| it.counts.broken.into(),
        "answers that broke off, or were none",
    ),
    Field::counter(
        "errors.5xx",
        One,
        |it| it.counts.answers[4].into(),
        "the same as in `responses`",
    ),
    Field::counter("bytes.sent", Bytes, |it| it.counts.bytes_sent.into(), "to it"),
    Field::counter("bytes.received", Bytes, |it| it.counts.bytes_received.into(), "from it"),
    Field::gauge(
        "response_ms.p50",
        Milliseconds,
        |it| it.times.map(|times| times.p50).into(),
        "half of the answers of the last one to two minutes took no longer",
    ),
    Field::gauge(
        "response_ms.p90",
        Milliseconds,
        |it| it.times.map(|times| times.p90).into(),
        "nine of ten of the answers of the last one to two minutes took no longer",
    ),
    Field::gauge(
        "response_ms.p99",
        Milliseconds,
        |it| it.times.map(|times| times.p99).into(),
        "99 of 100 of the answers of the last one to two minutes took no longer",
    ),
];
