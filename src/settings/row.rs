//! What a row of the table is: how the setting is written as a flag, what the manual says, how its
//! value is read and shown.
//!
//! The rows themselves are in `table`, and in `http`, `tls` and `udp` for listeners of that kind.

use crate::config::{Config, ON_OFF, SettingKey, Wrong, word_of};

/// One setting.
pub struct Setting {
    /// One letter, or empty.
    pub short: &'static str,
    /// Its name as a flag, without dashes.
    pub long: &'static str,
    /// What stands for the value in the manual; empty for a flag without one.
    pub value: &'static str,
    /// What the manual says; it wraps and adds the default.
    pub says: &'static str,
    /// The default in words, out of [`Config::defaults`]; empty where there is none to tell.
    pub default: fn(&Config) -> String,
    /// The value as [`Act`] reads it, out of what is set; `None` where nothing is, or where it is
    /// shown in another way.
    pub show: fn(&Config) -> Option<String>,
    /// What it does.
    pub act: Act,
}

/// What a flag does.
pub enum Act {
    /// Takes its value into the configuration.
    Value(SettingKey, Take),
    /// The same, as often as the flag is given; what is there before the first can be cleared.
    Values(SettingKey, Take, fn(&mut Config)),
    /// Turns something on by being there; a file may turn it off as well.
    Switch(SettingKey, fn(&mut Config, bool)),
    /// Answers instead of running.
    Answer(Answer),
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// The name and the version.
    Version,
    /// A screen, the manual or a chapter of it.
    Help,
}

/// Reads one value into the configuration. Refuses the empty text, and what begins with a dash:
/// that is a flag whose predecessor lacks its value. A dash alone may stand for standard output.
pub type Take = fn(&mut Config, &str) -> Result<(), Wrong>;

impl Setting {
    /// The setting that it is for.
    pub fn key(&self) -> Option<SettingKey> {
        match self.act {
            Act::Value(key, _) | Act::Values(key, ..) | Act::Switch(key, _) => Some(key),
            Act::Answer(_) => None,
        }
    }
}

/// Flags that belong together in the manual.
pub struct SettingGroup {
    /// What `--help` is asked for it.
    pub topic: &'static str,
    /// What stands above them.
    pub title: &'static str,
    /// They.
    pub flags: &'static [Setting],
}

/// Several values, as they are read.
pub(super) fn list<T: std::fmt::Display>(values: &[T]) -> Option<String> {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// A switch.
pub(super) fn switch(on: bool) -> String {
    word_of(&on, ON_OFF).to_owned()
}

/// The name of a file, if there is one.
pub(super) fn named(file: &str) -> Option<String> {
    (!file.is_empty()).then(|| file.to_owned())
}
