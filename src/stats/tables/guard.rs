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
];
