//! What is counted of services and of pools.

use super::super::field::Field;
use super::super::field::Unit::{Bytes, One};
use super::super::traffic::TrafficCounts;

/// Of each service and of each pool.
pub const TRAFFIC: &[Field<TrafficCounts>] = &[
    Field::counter(
        "connections_total",
        One,
        |it| it.clients.into(),
        "clients that were led there",
    ),
    Field::counter(
        "streams_ended",
        One,
        |it| it.connections.into(),
        "connections of TCP, tunnels and flows of UDP that ended",
    ),
    Field::counter(
        "streams_failed",
        One,
        |it| it.failed.into(),
        "those that a backend or we ourselves broke off, and answers that broke off so",
    ),
    Field::counter(
        "streams_aborted",
        One,
        |it| it.aborted.into(),
        "those that a client broke off, and requests whose client did not wait",
    ),
    Field::counter(
        "responses.1xx",
        One,
        |it| it.answers[0].into(),
        "answers with a status below 200, ours included",
    ),
    Field::counter("responses.2xx", One, |it| it.answers[1].into(), "of 200 to 299"),
    Field::counter("responses.3xx", One, |it| it.answers[2].into(), "of 300 to 399"),
    Field::counter("responses.4xx", One, |it| it.answers[3].into(), "of 400 to 499"),
    Field::counter("responses.5xx", One, |it| it.answers[4].into(), "of 500 and above"),
    Field::counter(
        "bytes.in",
        Bytes,
        |it| it.bytes_in.into(),
        "passed on from clients to backends",
    ),
    Field::counter(
        "bytes.out",
        Bytes,
        |it| it.bytes_out.into(),
        "passed on from backends to clients: our own pages are not among them",
    ),
];
