//! What a number is, beside its value: its name, what it tells, its unit, whether it only grows.
//!
//! Every output is made from rows of these: the JSON of `--stats-path`, its manual, and whatever
//! else shows numbers. So none has names of its own, and a row more is a number more in all of
//! them. The rows are in [`super::tables`]; what they read is a [`super::snapshot::Snapshot`].

use std::time::Duration;

use crate::config::Address;
use crate::event::ServerId;

/// A number of a `T`: a row of a table.
pub struct Field<T> {
    /// What it has in common with its neighbours: `dropped`, or nothing. The names of one group
    /// are the values that one label has, where there are labels.
    pub group: &'static str,
    /// Its name within the group.
    pub name: &'static str,
    /// What it tells, in a line.
    pub help: &'static str,
    /// What it is measured in.
    pub unit: Unit,
    /// How it moves.
    pub kind: NumberKind,
    /// Its value.
    pub get: fn(&T) -> Value<'_>,
}

/// How a number moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    /// Up only, by whole steps, from the start of the process.
    Counter,
    /// Up and down.
    Gauge,
    /// It is no number.
    Text,
}

/// What a number is measured in. A [`Value::Time`] becomes one in the unit of its row; whoever
/// wants base units has them from the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// In nothing.
    One,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// So many a second.
    PerSecond,
}

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A whole number.
    Count(u64),
    /// Any number.
    Decimal(f64),
    /// A time.
    Time(Duration),
    /// Yes or no.
    Truth(bool),
    /// A name, a word, a reason.
    Text(&'a str),
    /// An address.
    Address(&'a Address),
    /// Backends, by their places in the snapshot.
    Backends(&'a [ServerId]),
    /// There is such a number, and it is not known.
    Unknown,
    /// As this process was started, there is no such number.
    Absent,
}

impl<T> Field<T> {
    const fn new(
        path: &'static str,
        kind: NumberKind,
        unit: Unit,
        get: fn(&T) -> Value<'_>,
        help: &'static str,
    ) -> Field<T> {
        let mut end = 0;
        while end < path.len() && path.as_bytes()[end] != b'.' {
            end += 1;
        }
        let (group, name) = if end == path.len() {
            ("", path)
        } else {
            (path.split_at(end).0, path.split_at(end + 1).1)
        };
        Field { group, name, help, unit, kind, get }
    }

    /// What only grows: `name` or `group.name`.
    pub const fn counter(
        path: &'static str,
        unit: Unit,
        get: fn(&T) -> Value<'_>,
        help: &'static str,
    ) -> Field<T> {
        Field::new(path, NumberKind::Counter, unit, get, help)
    }

    /// What goes up and down.
    pub const fn gauge(
        path: &'static str,
        unit: Unit,
        get: fn(&T) -> Value<'_>,
        help: &'static str,
    ) -> Field<T> {
        Field::new(path, NumberKind::Gauge, unit, get, help)
    }

    /// What is no number.
    pub const fn text(
        path: &'static str,
        get: fn(&T) -> Value<'_>,
        help: &'static str,
    ) -> Field<T> {
        Field::new(path, NumberKind::Text, Unit::One, get, help)
    }

    /// `name` or `group.name`.
    pub fn path(&self) -> String {
        match self.group {
            "" => self.name.to_owned(),
            group => format!("{group}.{}", self.name),
        }
    }
}

impl From<u64> for Value<'_> {
    fn from(count: u64) -> Self {
        Value::Count(count)
    }
}

impl From<u32> for Value<'_> {
    fn from(count: u32) -> Self {
        Value::Count(u64::from(count))
    }
}

impl From<usize> for Value<'_> {
    fn from(count: usize) -> Self {
        Value::Count(count as u64)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Value::Decimal(number)
    }
}

impl From<Duration> for Value<'_> {
    fn from(time: Duration) -> Self {
        Value::Time(time)
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Value::Truth(truth)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Unknown, T::into)
    }
}
