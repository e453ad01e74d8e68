//! What a row of the flags' table is: how the flag is written, what the manual says, what it does.
//!
//! The rows themselves are in `table`, and in `http`, `tls` and `udp` for listeners of that kind.

use crate::config::{Config, SettingKey, Wrong};

/// One flag.
pub(super) struct Flag {
    /// One letter, or empty.
    pub short: &'static str,
    pub long: &'static str,
    /// What stands for the value in the manual; empty for a flag without one.
    pub value: &'static str,
    /// What the manual says; it wraps and adds the default.
    pub says: &'static str,
    /// The default in words, out of [`Config::defaults`]; empty where there is none to tell.
    pub default: fn(&Config) -> String,
    pub act: Act,
}

/// What a flag does.
pub(super) enum Act {
    /// Takes its value into the configuration.
    Value(SettingKey, Take),
    /// The same, as often as the flag is given.
    Values(SettingKey, Take),
    /// Changes the configuration by being there.
    Switch(SettingKey, fn(&mut Config)),
    /// Answers instead of running.
    Answer(Answer),
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// The name and the version.
    Version,
    /// A screen, the manual or a chapter of it.
    Help,
}

/// Reads one value into the configuration. Refuses the empty text, and what begins with a dash:
/// that is a flag whose predecessor lacks its value. A dash alone may stand for standard output.
pub(super) type Take = fn(&mut Config, &str) -> Result<(), Wrong>;

impl Flag {
    /// The setting that it is for.
    pub fn key(&self) -> Option<SettingKey> {
        match self.act {
            Act::Value(key, _) | Act::Values(key, _) | Act::Switch(key, _) => Some(key),
            Act::Answer(_) => None,
        }
    }
}

/// Flags that belong together in the manual.
pub(super) struct FlagGroup {
    /// What `--help` is asked for it.
    pub topic: &'static str,
    pub title: &'static str,
    pub flags: &'static [Flag],
}
