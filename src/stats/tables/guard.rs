//! What is counted of each rule of the guard.

use super::super::field::Field;
use super::super::field::Unit::One;
use super::super::snapshot::GuardRule;

/// Of each rule.
pub const RULES: &[Field<GuardRule>] = &[
    Field::text("rule", |it| (&*it.rule).into(), "its name"),
    Field::text("of", |it| it.of.into(), "whether it is of a listener, a service or all"),
    Field::text("name", |it| (&*it.name).into(), "of that listener or service"),
    Field::gauge(
        "dry_run",
        One,
        |it| u64::from(it.is_dry).into(),
        "1 if it only counts, and refuses nobody",
    ),
    Field::counter(
        "refused",
        One,
        |it| it.counts.refused.into(),
        "clients, requests or datagrams that it refused",
    ),
    Field::counter(
        "would_refuse",
        One,
        |it| it.counts.would_refuse.into(),
        "those that it would have refused, while it only counted",
    ),
    Field::gauge(
        "clients",
        One,
        |it| it.fill.map_or(0, |fill| fill.clients).into(),
        "of a limit by client: about how many owe something or are connected",
    ),
    Field::gauge(
        "clients_max",
        One,
        |it| it.fill.map_or(0, |fill| fill.room).into(),
        "how many it has room for",
    ),
    Field::counter(
        "evicted",
        One,
        |it| it.fill.map_or(0, |fill| fill.counts.evicted).into(),
        "clients that it forgot for others though they owed something",
    ),
    Field::counter(
        "shared",
        One,
        |it| it.fill.map_or(0, |fill| fill.counts.shared).into(),
        "how often there was no room, and a client was limited with its neighbours",
    ),
];
