//! The settings by name: which one is spoken of, whoever wrote it and in whatever form.
//!
//! Below the front-ends a setting is a [`SettingKey`], never a flag's name; each stands beside its
//! field, in `process`, `listener`, `service`, `pool` or `backend`. A front-end, `flags` or `file`,
//! has a [`Spelling`], and complaints and log lines are put in its words.

use std::fmt;

/// A setting, by its path among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SettingKey(pub(crate) &'static str);

/// How a front-end writes settings.
#[derive(Clone, Copy)]
pub struct Spelling {
    /// One by its name.
    pub name: fn(SettingKey) -> String,
    /// One with its value.
    pub with_value: fn(SettingKey, &str) -> String,
    /// Where the backends of the pool of this name are written.
    pub backend_of: fn(&str) -> SettingKey,
}

impl Spelling {
    /// By their paths, where no front-end is known.
    pub const PATHS: Spelling = Spelling {
        name: |key| key.to_string(),
        with_value: |key, value| format!("{key} = {value}"),
        backend_of: |_| SettingKey::BACKEND,
    };
}

impl SettingKey {
    /// Its path: `pool.check.interval`.
    pub fn path(self) -> &'static str {
        self.0
    }

    /// What it is a setting of: the first part of its path.
    pub fn scope(self) -> &'static str {
        self.0.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for SettingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spelling({})", (self.name)(SettingKey::LISTEN))
    }
}
