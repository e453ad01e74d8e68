//! What the process as a whole has, whatever it serves.

use std::time::Duration;

use super::key::SettingKey;
use super::{
    AccessLogFormat, AccessLogPlace, AdminSettings, BanSettings, DnsSettings, DryRun,
    LimitSettings,
};
use crate::limits;

/// What the process as a whole has.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessSettings {
    /// Pairs open at once; `None` derives it from the limit on file descriptors.
    pub max_connections: Option<usize>,
    /// Flows of UDP at once; `None` derives it from the limit on file descriptors.
    pub max_flows: Option<usize>,
    /// A peer that is silent for so long is asked by TCP whether it is there; zero turns it off.
    pub tcp_keepalive: Duration,
    /// How long clients still come in after SIGTERM or SIGINT.
    pub drain_delay: Duration,
    /// How long connections may go on after that.
    pub drain_timeout: Duration,
    /// Where the access log goes, if there is one.
    pub access_log: Option<AccessLogPlace>,
    /// How its lines look.
    pub access_log_format: AccessLogFormat,
    /// What is logged.
    pub log_level: log::LevelFilter,
    /// How a line of that looks; `None` goes by what standard error is.
    pub log_format: Option<LogFormat>,
    /// Who may ask and change what runs, and where.
    pub admin: AdminSettings,
    /// Which rules of the guard are only tried.
    pub guard_dry_run: DryRun,
    /// What limits by client have in common.
    pub client_limits: LimitSettings,
    /// When clients are banned by themselves.
    pub bans: BanSettings,
    /// How names of backends are looked up.
    pub dns: DnsSettings,
    /// Seed of everything random; `None` takes one from the clock.
    pub seed: Option<u64>,
    /// Start the built-in backends, and put the balancer in front of them.
    pub demo: bool,
    /// The file of what survives a restart, if anything does.
    pub state_file: Option<String>,
}

impl ProcessSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: ProcessSettings = ProcessSettings {
        max_connections: None,
        max_flows: None,
        tcp_keepalive: limits::TCP_KEEPALIVE_DEFAULT,
        drain_delay: limits::DRAIN_DELAY_DEFAULT,
        drain_timeout: limits::DRAIN_TIMEOUT_DEFAULT,
        access_log: None,
        access_log_format: AccessLogFormat::Combined,
        log_level: log::LevelFilter::Info,
        log_format: None,
        admin: AdminSettings::DEFAULT,
        guard_dry_run: DryRun::None,
        client_limits: LimitSettings::DEFAULT,
        bans: BanSettings::DEFAULT,
        dns: DnsSettings::DEFAULT,
        seed: None,
        demo: false,
        state_file: None,
    };
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const MAX_CONNECTIONS: SettingKey = SettingKey("global.max_connections");
    pub const MAX_FLOWS: SettingKey = SettingKey("global.max_flows");
    pub const TCP_KEEPALIVE: SettingKey = SettingKey("global.tcp_keepalive");
    pub const DRAIN_DELAY: SettingKey = SettingKey("global.drain_delay");
    pub const DRAIN_TIMEOUT: SettingKey = SettingKey("global.drain_timeout");
    pub const ACCESS_LOG: SettingKey = SettingKey("global.access_log.file");
    pub const ACCESS_LOG_FORMAT: SettingKey = SettingKey("global.access_log.format");
    pub const LOG_LEVEL: SettingKey = SettingKey("global.log_level");
    pub const LOG_FORMAT: SettingKey = SettingKey("global.log_format");
    pub const SEED: SettingKey = SettingKey("global.seed");
    pub const DEMO: SettingKey = SettingKey("global.demo");
    pub const STATE_FILE: SettingKey = SettingKey("global.state_file");
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

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, message.
    Text,
    /// An object a line.
    Json,
    /// For systemd's journal, which knows the time: a priority of sd-daemon(3), and the message.
    Journald,
}

impl LogFormat {
    /// The words for it.
    pub const ALL: &'static [(&'static str, LogFormat)] = &[
        ("text", LogFormat::Text),
        ("json", LogFormat::Json),
        ("journald", LogFormat::Journald),
    ];
}
