//! A table of a file, and the values in it as the table of settings reads them.
//!
//! A value has the type that suits it: durations, sizes, networks and addresses are strings with
//! their unit, numbers are numbers, what is on or off is `true` or `false`, lists are arrays. A bare
//! number where a unit is due is refused: nobody should have to know which one is meant.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::{Config, Origin, Spot, Subject, closest, quoted};
use crate::settings::{Act, Setting};

use super::SPELLING;
use super::mistake::Mistake;
use super::model::Reader;
use super::source::substituted;

/// A table, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub table: &'a DeTable<'a>,
    pub file: usize,
    /// Its name, for who misses something in it.
    pub at: Spot,
}

/// A value, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub value: &'a DeValue<'a>,
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
            "DURATION" => Kind::Duration,
            "SIZE|none" => Kind::Size,
            value if value.contains("[,") => Kind::List,
            _ => Kind::Text,
        }
    }

    /// What would be right.
    fn want(self) -> &'static str {
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
        Value { value: value.get_ref(), at: spot(self.file, value.span()) }
    }

    /// All keys with their values, and where the keys are.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Spot, Value<'a>)> + use<'a> {
        let section = *self;
        section.table.iter().map(move |(key, value)| {
            (&**key.get_ref(), spot(section.file, key.span()), section.value(value))
        })
    }
}

pub(super) fn spot(file: usize, span: std::ops::Range<usize>) -> Spot {
    Spot { file, start: span.start, end: span.end }
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
        Some(Section { table, file: self.at.file, at: self.at })
    }

    /// The members of an array, or the value alone.
    pub fn items(&self) -> Vec<Value<'a>> {
        match self.value {
            DeValue::Array(list) => list
                .iter()
                .map(|it| Value { value: it.get_ref(), at: spot(self.at.file, it.span()) })
                .collect(),
            _ => vec![*self],
        }
    }

    fn integer(&self) -> Option<String> {
        let integer = self.value.as_integer()?;
        let digits = integer.as_str().replace('_', "");
        i128::from_str_radix(&digits, integer.radix()).ok().map(|number| number.to_string())
    }
}

impl Reader<'_> {
    /// This was found, and that is wanted.
    pub(super) fn complain(&mut self, value: Value<'_>, want: &str) {
        let found = value.found();
        self.mistakes.push(Mistake::at(value.at, format!("found {found}, want {want}")));
    }

    /// A string with its variables in place.
    pub(super) fn text(&mut self, value: Value<'_>, want: &str) -> Option<String> {
        let Some(text) = value.value.as_str() else {
            self.complain(value, want);
            return None;
        };
        let text = substituted(text, self.env);
        text.map_err(|why| self.mistakes.push(Mistake::at(value.at, why))).ok()
    }

    /// A string or several.
    pub(super) fn texts(&mut self, value: Value<'_>) -> Vec<(String, Spot)> {
        let mut texts = Vec::new();
        for item in value.items() {
            if let Some(text) = self.text(item, "a string") {
                texts.push((text, item.at));
            }
        }
        texts
    }

    /// A key that means nothing here, but perhaps one of those does.
    pub(super) fn unknown<'k>(
        &mut self,
        key: &str,
        at: Spot,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let mistake = Mistake::at(at, format!("unknown key `{key}`"));
        let plain = key.replace('-', "_");
        let near = known.iter().copied().find(|it| *it == plain);
        let near = near.or_else(|| closest(&plain, known.iter().copied()));
        self.mistakes.push(match near {
            Some(near) => mistake.hint(format!("did you mean `{near}`?")),
            None => {
                let mut known = known;
                known.sort_unstable();
                known.dedup();
                mistake.hint(format!("want one of {}", known.join(", ")))
            }
        });
    }

    /// The settings of a table whose keys begin with `prefix`, into `to`; other keys than those and
    /// `others` are unknown.
    pub(super) fn settings(
        &mut self,
        section: Section<'_>,
        prefix: &str,
        others: &[&str],
        subject: &Subject,
        to: &mut Config,
    ) {
        for (key, at, value) in section.entries() {
            if others.contains(&key) {
                continue;
            }
            let path = format!("{prefix}.{key}");
            if let Some(setting) = self.setting(&path) {
                self.take(setting, value, subject, to);
            } else if let Some(first) = self.first_below(&path) {
                match value.section() {
                    Some(section) => self.settings(section, &path, &[], subject, to),
                    // `check = "http:/"` is short for `check.kind = "http:/"`.
                    None => self.take(first, value, subject, to),
                }
            } else {
                self.unknown_setting(key, at, prefix, others);
            }
        }
    }

    fn unknown_setting(&mut self, key: &str, at: Spot, prefix: &str, others: &[&str]) {
        let keys = self.keys_at(prefix);
        // Flags have other names for a few of them.
        let plain = key.replace('-', "_");
        let scope = prefix.split('.').next().unwrap_or_default();
        let by_flag = self.setting_of_flag(&plain, scope);
        if let Some(path) = by_flag {
            let inner = path.strip_prefix(scope).and_then(|rest| rest.strip_prefix('.'));
            let says = format!("unknown key `{key}`");
            let hint = format!("did you mean `{}`?", inner.unwrap_or(path));
            return self.mistakes.push(Mistake::at(at, says).hint(hint));
        }
        self.unknown(key, at, keys.into_iter().chain(others.iter().copied()));
    }

    /// One value into its setting.
    fn take(
        &mut self,
        setting: &'static Setting,
        value: Value<'_>,
        subject: &Subject,
        to: &mut Config,
    ) {
        let Some(key) = setting.key() else { return };
        self.origins.note(subject.clone(), key, Origin::File(value.at));
        match (&setting.act, Kind::of(setting)) {
            (Act::Switch(_, switch), _) => match self.on_off(value) {
                Some(on) => switch(to, on),
                None => self.complain(value, Kind::OnOff.want()),
            },
            (Act::Values(_, take), _) => {
                for (text, at) in self.texts(value) {
                    self.took(take(to, &text), at);
                }
            }
            (Act::Value(_, take), Kind::List) => {
                let texts: Vec<String> =
                    self.texts(value).into_iter().map(|(text, _)| text).collect();
                self.took(take(to, &texts.join(",")), value.at);
            }
            (Act::Value(_, take), Kind::OnOff) => match self.on_off(value) {
                Some(on) => self.took(take(to, if on { "on" } else { "off" }), value.at),
                None => self.complain(value, Kind::OnOff.want()),
            },
            (Act::Value(_, take), kind) => {
                if let Some(text) = self.text_of(value, kind) {
                    self.took(take(to, &text), value.at);
                }
            }
            (Act::Answer(_), _) => {}
        }
    }

    fn took(&mut self, taken: Result<(), crate::config::Wrong>, at: Spot) {
        if let Err(wrong) = taken {
            self.mistakes.push(Mistake::at(at, wrong.spelled(SPELLING)));
        }
    }

    fn on_off(&mut self, value: Value<'_>) -> Option<bool> {
        match value.value {
            DeValue::Boolean(on) => Some(*on),
            DeValue::String(_) => match &*self.text(value, Kind::OnOff.want())? {
                "on" | "true" => Some(true),
                "off" | "false" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// A value of this kind as the table of settings reads it.
    fn text_of(&mut self, value: Value<'_>, kind: Kind) -> Option<String> {
        match (value.value, kind) {
            (DeValue::String(_), _) => self.text(value, kind.want()),
            (DeValue::Integer(_), Kind::Number | Kind::Size) => value.integer(),
            _ => {
                self.complain(value, kind.want());
                None
            }
        }
    }
}
