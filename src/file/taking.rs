//! Values of a table into their settings.

use toml::de::DeValue;

use crate::config::{Config, Origin, Spot, Subject};
use crate::settings::{Act, Setting};

use super::mistake::Mistake;
use super::reader::Reader;
use super::section::{Kind, Section, Value};

impl Reader<'_> {
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
            } else if self.has_below(&path) {
                match (value.section(), self.short_for(&path)) {
                    (Some(section), _) => self.settings(section, &path, &[], subject, to),
                    // `check = "http:/"` is short for `check.kind = "http:/"`.
                    (None, Some(short)) => self.take(short, value, subject, to),
                    (None, None) => self.want_table(key, &path, value),
                }
            } else {
                self.unknown_setting(key, at, prefix, others);
            }
        }
    }

    fn want_table(&mut self, key: &str, path: &str, value: Value<'_>) {
        let mut keys = self.keys_at(path);
        keys.sort_unstable();
        keys.dedup();
        self.complain(value, &format!("a table {key} = {{ ... }} with {}", keys.join(", ")));
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
        // Two files may speak of what all have, and of one of them nobody would know that it wins.
        if let Origin::File(before) = self.origins.of(subject, key) {
            let place = self.sources.place(before).map(|place| place.to_string());
            let hint = format!("the first is at {}", place.unwrap_or_default());
            return self
                .mistakes
                .push(Mistake::at(value.at, format!("`{key}` twice")).hint(hint));
        }
        self.origins.note(subject.clone(), key, Origin::File(value.at));
        match (&setting.act, Kind::of(setting)) {
            (Act::Switch(_, switch), _) => {
                if let Some(on) = self.on_off(value) {
                    switch(to, on);
                }
            }
            // A list says all: what [defaults] has is not added to.
            (Act::Values(_, take, clear), _) => {
                clear(to);
                for (text, at) in self.texts(value) {
                    self.good(take(to, &text), at);
                }
            }
            (Act::Value(_, take), Kind::List) => {
                let texts: Vec<String> =
                    self.texts(value).into_iter().map(|(text, _)| text).collect();
                self.good(take(to, &texts.join(",")), value.at);
            }
            (Act::Value(_, take), Kind::OnOff) => {
                if let Some(on) = self.on_off(value) {
                    self.good(take(to, if on { "on" } else { "off" }), value.at);
                }
            }
            (Act::Value(_, take), kind) => {
                if let Some(text) = self.text_of(value, kind) {
                    self.good(take(to, &text), value.at);
                }
            }
            (Act::Answer(_), _) => {}
        }
    }

    fn on_off(&mut self, value: Value<'_>) -> Option<bool> {
        let on = match value.value {
            DeValue::Boolean(on) => Some(*on),
            DeValue::String(_) => match &*self.text(value, Kind::OnOff.want())? {
                "on" | "true" => Some(true),
                "off" | "false" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if on.is_none() {
            self.complain(value, Kind::OnOff.want());
        }
        on
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
