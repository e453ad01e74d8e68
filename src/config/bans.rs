//! When clients are banned by themselves.

use std::time::Duration;

use super::Cidr;
use super::key::SettingKey;
use crate::limits;

/// When clients are banned by themselves, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanSettings {
    /// At so many strikes; `None`: never.
    pub after: Option<u32>,
    /// Within this time.
    pub window: Duration,
    /// The first time for so long.
    pub time: Duration,
    /// Who is never banned so.
    pub exempt: Vec<Cidr>,
}

impl BanSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: BanSettings = BanSettings {
        after: None,
        window: limits::BAN_WINDOW_DEFAULT,
        time: limits::BAN_TIME_DEFAULT,
        exempt: Vec::new(),
    };
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const BAN_AFTER: SettingKey = SettingKey("global.ban_after");
    pub const BAN_WINDOW: SettingKey = SettingKey("global.ban_window");
    pub const BAN_TIME: SettingKey = SettingKey("global.ban_time");
    pub const BAN_EXEMPT: SettingKey = SettingKey("global.ban_exempt");
}
