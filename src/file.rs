//! Configuration files: TOML to the desired state, with the place of everything that is wrong.
//!
//! ```text
//!   source   files and what they include; bytes -> line and column; ${NAME} in strings
//!   piece    a file cut into its listeners, services and pools
//!   reading  piece by piece, so that a reload never takes long at once
//!   section  a table that hands out its values, and complains of keys that nobody asked for
//!   model    listeners, services, pools out of sections
//!   whole    what no single value can know: names that lead nowhere, ties
//!   mistake  the line, the place in it, what was found, what would be right
//!   print    the desired state as a file, each value with where it comes from
//! ```
//!
//! All mistakes are told at once, in the order of the files. Reads files, and looks up nothing
//! else. Called by `main`, at the start and for each reload.

mod mistake;
mod model;
mod page;
mod piece;
mod print;
mod reader;
mod reading;
mod rules;
mod section;
mod service;
mod shown;
mod source;
mod taking;
#[cfg(test)]
mod tests;
mod whole;

#[cfg(test)]
use std::path::Path;

use crate::config::{Desired, Origins, SettingKey, Spelling};

pub use mistake::Mistake;
pub use page::page;
pub use print::{print, print_backends, print_running};
pub use reading::Reading;
pub use source::{Env, Place, Sources};
pub use whole::mistakes_of;

/// How settings are written in a file.
pub const SPELLING: Spelling = Spelling {
    name: |key| format!("`{}`", written(key)),
    with_value: |key, value| format!("`{} = {value}`", written(key)),
    backend_of: |_| SettingKey::BACKEND,
};

/// What stands in a file; in the table of a backend by its last word.
fn written(key: SettingKey) -> &'static str {
    match key {
        SettingKey::ROUTE => SettingKey::POOL.path(),
        key => key.path().strip_prefix("backend.").unwrap_or(key.path()),
    }
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// What is wanted.
    pub desired: Desired,
    /// Where each value comes from.
    pub origins: Origins,
    /// What can be meant, but hardly is.
    pub warnings: Vec<Mistake>,
    /// The files, for places in them.
    pub sources: Sources,
}

/// Read a file and what it includes; `env` has the variables for `${NAME}`. If anything is wrong,
/// all of it is told.
#[cfg(test)]
fn read(path: &Path, env: Env<'_>) -> Result<Loaded, (Vec<Mistake>, Sources)> {
    whole(Reading::of_file(path, env))
}

/// The same of a text, as if it were a file of this name without the right to include others.
pub fn parse(name: &str, text: &str, env: Env<'_>) -> Result<Loaded, (Vec<Mistake>, Sources)> {
    whole(Reading::of_text(name, text, env))
}

/// All of it at once.
fn whole(mut reading: Reading<'_>) -> Result<Loaded, (Vec<Mistake>, Sources)> {
    while reading.step() {}
    reading.finish()
}
