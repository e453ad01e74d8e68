//! A table of a file, the values in it, and which type a setting has there.
//!
//! Durations, sizes, networks and addresses are strings with their unit, numbers are numbers, what
//! is on or off is `true` or `false`, lists are arrays. A bare number where a unit is due is
//! refused: nobody should have to know which one is meant.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::{Spot, quoted};
use crate::settings::Setting;

use super::piece::Piece;

/// A table, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub table: &'a DeTable<'a>,
    /// What it was parsed from.
    pub piece: &'a Piece,
    /// Its name, for who misses something in it.
    pub at: Spot,
}

/// A value, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub value: &'a DeValue<'a>,
    piece: &'a Piece,
    pub at: Spot,
}

/// How a file writes a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Duration,
    Number,
    Size,
    OnOff,
    List,
}

impl Kind {
    /// That of a setting, by what stands for its value in the manual.
    pub fn of(setting: &Setting) -> Kind {
        match setting.value {
            "" | "on|off" => Kind::OnOff,
            "N" | "SECONDS" => Kind::Number,
            "DURATION" | "DURATION|none" => Kind::Duration,
            "SIZE|none" => Kind::Size,
            value if value.contains("[,") => Kind::List,
            _ => Kind::Text,
        }
    }

    /// What would be right.
    pub fn want(self) -> &'static str {
        match self {
            Kind::Text => "a string",
            Kind::Duration => "a duration with its unit such as \"500ms\", \"2s\" or \"5m\"",
            Kind::Number => "a whole number",
            Kind::Size => {
                "a size with its unit such as \"512k\", \"10m\" or \"1g\", or \"none\""
            }
            Kind::OnOff => "true or false",
            Kind::List => "an array of strings such as [\"a\", \"b\"]",
        }
    }
}

impl<'a> Section<'a> {
    /// The value of a key, and where it is.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.table.get(key).map(|value| self.value(value))
    }

    pub fn value(&self, value: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        placed(value, self.piece)
    }

    /// All keys with their values, and where the keys are, in the order in which they stand.
    pub fn entries(&self) -> Vec<(&'a str, Spot, Value<'a>)> {
        let mut entries = Vec::with_capacity(self.table.len());
        for (key, value) in self.table {
            entries.push((&**key.get_ref(), self.piece.spot(key.span()), self.value(value)));
        }
        entries.sort_by_key(|(_, at, _)| *at);
        entries
    }
}

fn placed<'a>(value: &'a Spanned<DeValue<'a>>, piece: &'a Piece) -> Value<'a> {
    Value { value: value.get_ref(), piece, at: piece.spot(value.span()) }
}

impl<'a> Value<'a> {
    /// What it is, for who wants something else.
    pub fn found(&self) -> String {
        match self.value {
            DeValue::String(text) => quoted(text),
            DeValue::Integer(number) => format!("the number {}", number.as_str()),
            DeValue::Float(number) => format!("the number {}", number.as_str()),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    pub fn section(&self) -> Option<Section<'a>> {
        let table = self.value.as_table()?;
        Some(Section { table, piece: self.piece, at: self.at })
    }

    /// The members of an array, or the value alone.
    pub fn items(&self) -> Vec<Value<'a>> {
        match self.value {
            DeValue::Array(list) => list.iter().map(|it| placed(it, self.piece)).collect(),
            _ => vec![*self],
        }
    }

    pub fn integer(&self) -> Option<String> {
        let integer = self.value.as_integer()?;
        let digits = integer.as_str().replace('_', "");
        i128::from_str_radix(&digits, integer.radix()).ok().map(|number| number.to_string())
    }
}
