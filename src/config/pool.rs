//! What a pool has: how its backends are chosen, tried, probed and given up.

use std::time::Duration;

use super::complaint::Wrong;
use super::key::SettingKey;
use super::value::digits;
use super::{Algorithm, BackendTls, Check, HashKey, QueueSettings, Sticky};
use crate::limits;

/// What a pool has, the same for all pools.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSettings {
    /// How a backend is chosen.
    pub algorithm: Algorithm,
    /// What the hashing algorithms place by.
    pub hash_key: HashKey,
    /// The cookie that keeps a client on its backend.
    pub sticky: Sticky,
    /// Over this time the weight of a new or recovered backend grows; zero turns it off.
    pub slow_start: Duration,
    /// Bad answers in a row to requests that take a backend out for a while; zero turns it off.
    pub eject_after: u32,
    /// What happens to new connections while every backend is down.
    pub all_down: AllDown,
    /// What happens to the connections of a backend that goes down.
    pub on_down: OnDown,
    /// What happens to the connections of one that is removed.
    pub on_removed: OnRemoved,
    /// Servers may register themselves in it.
    pub register: bool,
    /// What becomes of one that registered itself and is silent.
    pub on_lapse: OnLapse,
    /// Within this time a connect to a backend must succeed.
    pub connect_timeout: Duration,
    /// How many other backends are tried after a connect failed.
    pub retries: u32,
    /// Which share of its requests they may be.
    pub retry_budget: RetryBudget,
    /// How long an idle connection to a backend is kept for the next request.
    pub backend_idle: Duration,
    /// Idle connections kept to one backend, at most.
    pub backend_idle_connections: usize,
    /// How clients wait while none of them has room.
    pub queue: QueueSettings,
    /// How backends are probed.
    pub check: CheckSettings,
    /// How TLS is spoken with backends.
    pub tls: BackendTls,
}

/// How backends are probed.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckSettings {
    /// What a probe asks.
    pub kind: Check,
    /// The host that HTTP probes ask for; `None` is each backend's own.
    pub host: Option<String>,
    /// From the start of one probe of a backend to the start of the next.
    pub interval: Duration,
    /// Within this time a probe must be answered.
    pub timeout: Duration,
    /// Good results in a row that bring a backend up.
    pub rise: u32,
    /// Bad results in a row that take a backend down.
    pub fall: u32,
}

impl PoolSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: PoolSettings = PoolSettings {
        algorithm: Algorithm::LeastConnections,
        hash_key: HashKey::Ip,
        sticky: Sticky::DEFAULT,
        slow_start: limits::SLOW_START_DEFAULT,
        eject_after: limits::EJECT_AFTER_DEFAULT,
        all_down: AllDown::Refuse,
        on_down: OnDown::Keep,
        on_removed: OnRemoved::Drain,
        register: false,
        on_lapse: OnLapse::Drain,
        connect_timeout: limits::CONNECT_TIMEOUT_DEFAULT,
        retries: limits::RETRIES_DEFAULT,
        retry_budget: RetryBudget::Usual,
        backend_idle: limits::BACKEND_IDLE_DEFAULT,
        backend_idle_connections: limits::BACKEND_IDLE_CONNECTIONS_DEFAULT,
        queue: QueueSettings::DEFAULT,
        check: CheckSettings::DEFAULT,
        tls: BackendTls::DEFAULT,
    };

    /// How many retries a hundred requests pay for; `None` is no limit.
    pub fn retry_percent(&self) -> Option<u32> {
        match self.retry_budget {
            RetryBudget::Usual if self.check.kind == Check::None => None,
            RetryBudget::Usual => Some(limits::RETRY_BUDGET_PERCENT_DEFAULT),
            RetryBudget::Percent(percent) => Some(percent),
            RetryBudget::NoLimit => None,
        }
    }
}

impl CheckSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: CheckSettings = CheckSettings {
        kind: Check::Tcp,
        host: None,
        interval: limits::CHECK_INTERVAL_DEFAULT,
        timeout: limits::CHECK_TIMEOUT_DEFAULT,
        rise: limits::RISE_DEFAULT,
        fall: limits::FALL_DEFAULT,
    };
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const BALANCE: SettingKey = SettingKey("pool.algorithm");
    pub const HASH_KEY: SettingKey = SettingKey("pool.hash_key");
    pub const STICKY_COOKIE: SettingKey = SettingKey("pool.sticky.cookie");
    pub const STICKY_KEY: SettingKey = SettingKey("pool.sticky.key");
    pub const STICKY_SAME_SITE: SettingKey = SettingKey("pool.sticky.same_site");
    pub const STICKY_DRAIN: SettingKey = SettingKey("pool.sticky.drain");
    pub const SLOW_START: SettingKey = SettingKey("pool.slow_start");
    pub const EJECT_AFTER: SettingKey = SettingKey("pool.eject_after");
    pub const ALL_DOWN: SettingKey = SettingKey("pool.all_down");
    pub const ON_DOWN: SettingKey = SettingKey("pool.on_down");
    pub const ON_REMOVED: SettingKey = SettingKey("pool.on_removed");
    pub const REGISTER: SettingKey = SettingKey("pool.register");
    pub const ON_LAPSE: SettingKey = SettingKey("pool.on_lapse");
    pub const CONNECT_TIMEOUT: SettingKey = SettingKey("pool.connect_timeout");
    pub const RETRIES: SettingKey = SettingKey("pool.retries");
    pub const RETRY_BUDGET: SettingKey = SettingKey("pool.retry_budget");
    pub const BACKEND_IDLE: SettingKey = SettingKey("pool.backend_idle");
    pub const BACKEND_IDLE_CONNECTIONS: SettingKey =
        SettingKey("pool.backend_idle_connections");
    pub const CHECK: SettingKey = SettingKey("pool.check.kind");
    pub const CHECK_HOST: SettingKey = SettingKey("pool.check.host");
    pub const CHECK_INTERVAL: SettingKey = SettingKey("pool.check.interval");
    pub const CHECK_TIMEOUT: SettingKey = SettingKey("pool.check.timeout");
    pub const RISE: SettingKey = SettingKey("pool.check.rise");
    pub const FALL: SettingKey = SettingKey("pool.check.fall");
    pub const BACKEND_CA: SettingKey = SettingKey("pool.tls.ca");
    pub const BACKEND_CERT: SettingKey = SettingKey("pool.tls.cert");
    pub const BACKEND_KEY: SettingKey = SettingKey("pool.tls.key");
    pub const BACKEND_VERIFY: SettingKey = SettingKey("pool.tls.verify");
}

/// Which share of the requests of a pool retries may be, beside those that are always allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryBudget {
    /// Nobody said: a share where probes take out who is not there. Where nothing does, a backend
    /// that is not there costs its share of all requests a retry, for good, and so there is no
    /// limit.
    Usual,
    /// No limit.
    NoLimit,
    /// So many in a hundred.
    Percent(u32),
}

impl RetryBudget {
    /// As [`RetryBudget::show`] writes it.
    pub fn parse(text: &str) -> Result<RetryBudget, Wrong> {
        if text == "none" {
            return Ok(RetryBudget::NoLimit);
        }
        let most = u64::from(limits::RETRY_BUDGET_PERCENT_MAX);
        match text.strip_suffix('%').and_then(digits) {
            Some(percent) if percent <= most => Ok(RetryBudget::Percent(percent as u32)),
            _ => Err(Wrong::found(text, format!("a share from 0% to {most}%, or none"))),
        }
    }

    /// In its words; `None` where nobody said.
    pub fn show(self) -> Option<String> {
        match self {
            RetryBudget::Usual => None,
            RetryBudget::NoLimit => Some("none".to_owned()),
            RetryBudget::Percent(percent) => Some(format!("{percent}%")),
        }
    }
}

/// What happens to new connections while every backend is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllDown {
    /// They are closed at once.
    Refuse,
    /// They are spread as if all were up.
    Spread,
}

/// What happens to the connections of a backend that goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDown {
    /// They live on as long as they can.
    Keep,
    /// They are closed.
    Close,
}

/// What happens to the connections of a backend that is removed from its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRemoved {
    /// They go on until they end; nothing new is given to it.
    Drain,
    /// They are closed.
    Close,
}

/// What becomes of a server that registered itself and is not heard any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLapse {
    /// It gets no new work.
    Drain,
    /// It gets no work, and is not probed.
    Down,
    /// Nothing.
    Keep,
}

impl OnLapse {
    /// The words for it.
    pub const ALL: &'static [(&'static str, OnLapse)] =
        &[("drain", OnLapse::Drain), ("down", OnLapse::Down), ("keep", OnLapse::Keep)];

    /// What is done then, for the log.
    pub fn words(self) -> &'static str {
        match self {
            OnLapse::Drain => "it gets no new work",
            OnLapse::Down => "it gets no work",
            OnLapse::Keep => "it is kept",
        }
    }
}

impl AllDown {
    /// The words for it.
    pub const ALL: &'static [(&'static str, AllDown)] =
        &[("refuse", AllDown::Refuse), ("spread", AllDown::Spread)];
}

impl OnRemoved {
    /// The words for it.
    pub const ALL: &'static [(&'static str, OnRemoved)] =
        &[("drain", OnRemoved::Drain), ("close", OnRemoved::Close)];
}

impl OnDown {
    /// The words for it.
    pub const ALL: &'static [(&'static str, OnDown)] =
        &[("keep", OnDown::Keep), ("close", OnDown::Close)];
}
