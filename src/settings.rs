//! The one table of settings: how each is written as a flag, what it says in the manual, how its
//! value is read into a configuration and shown out of it.
//!
//! Read by the front-ends: `flags` for the command line, `file` for configuration files, and by the
//! pages that are made of it. Knows neither of them.

mod access;
mod admin;
mod guard;
mod http;
mod limit_terms;
mod names;
mod queue;
mod retry;
mod row;
mod sockets;
mod table;
mod takeover;
mod tls;
mod traffic;
mod udp;

use crate::config::SettingKey;

pub use row::{Act, Answer, Setting, SettingGroup, Take};
pub use table::{GROUPS, OPTIONS};

/// Every row, in the order of the manual.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.flags)
}

/// The row of a setting.
pub fn of(key: SettingKey) -> Option<&'static Setting> {
    all().find(|flag| flag.key() == Some(key))
}
