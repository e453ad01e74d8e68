//! What the process as a whole has, whatever it serves.

use std::time::Duration;

use super::key::SettingKey;
use super::{AccessLogFormat, AccessLogPlace};
use crate::limits;

/// What the process as a whole has.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessSettings {
    /// Pairs open at once; `None` derives it from the limit on file descriptors.
    pub max_connections: Option<usize>,
    /// How long connections may go on after SIGTERM or SIGINT.
    pub drain_timeout: Duration,
    /// Where the access log goes, if there is one.
    pub access_log: Option<AccessLogPlace>,
    /// How its lines look.
    pub access_log_format: AccessLogFormat,
    /// What is logged.
    pub log_level: log::LevelFilter,
    /// Seed of everything random; `None` takes one from the clock.
    pub seed: Option<u64>,
    /// Start the built-in backends, and put the balancer in front of them.
    pub demo: bool,
}

impl ProcessSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: ProcessSettings = ProcessSettings {
        max_connections: None,
        drain_timeout: limits::DRAIN_TIMEOUT_DEFAULT,
        access_log: None,
        access_log_format: AccessLogFormat::Combined,
        log_level: log::LevelFilter::Info,
        seed: None,
        demo: false,
    };
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const MAX_CONNECTIONS: SettingKey = SettingKey("process.max_connections");
    pub const DRAIN_TIMEOUT: SettingKey = SettingKey("process.drain_timeout");
    pub const ACCESS_LOG: SettingKey = SettingKey("process.access_log");
    pub const ACCESS_LOG_FORMAT: SettingKey = SettingKey("process.access_log_format");
    pub const LOG_LEVEL: SettingKey = SettingKey("process.log_level");
    pub const SEED: SettingKey = SettingKey("process.seed");
    pub const DEMO: SettingKey = SettingKey("process.demo");
}

/// How much is logged, by the words of the `log` crate.
pub const LOG_LEVELS: &[(&str, log::LevelFilter)] = &[
    ("off", log::LevelFilter::Off),
    ("error", log::LevelFilter::Error),
    ("warn", log::LevelFilter::Warn),
    ("info", log::LevelFilter::Info),
    ("debug", log::LevelFilter::Debug),
    ("trace", log::LevelFilter::Trace),
];
