//! The settings by name: which one is spoken of, whoever wrote it and in whatever form.
//!
//! Below the front-ends a setting is a [`Key`], never a flag's name. A front-end (the flags; a
//! configuration file would be another) has a [`Spelling`], and complaints and log lines are put
//! in its words.

use std::fmt;

/// A setting, by its path among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub(super) &'static str);

/// What the process as a whole has.
#[expect(missing_docs, reason = "their paths say what they are")]
impl Key {
    pub const MAX_CONNECTIONS: Key = Key("process.max_connections");
    pub const DRAIN_TIMEOUT: Key = Key("process.drain_timeout");
    pub const ACCESS_LOG: Key = Key("process.access_log");
    pub const ACCESS_LOG_FORMAT: Key = Key("process.access_log_format");
    pub const LOG_LEVEL: Key = Key("process.log_level");
    pub const SEED: Key = Key("process.seed");
    pub const DEMO: Key = Key("process.demo");
}

/// What listeners have.
#[expect(missing_docs, reason = "their paths say what they are")]
impl Key {
    pub const LISTEN: Key = Key("listener.address");
    pub const TCP_KEEPALIVE: Key = Key("listener.tcp_keepalive");
    pub const TLS_HANDSHAKE_TIMEOUT: Key = Key("listener.tls_handshake_timeout");
    pub const TRUSTED_PROXIES: Key = Key("listener.trusted_proxies");
    pub const CERT: Key = Key("listener.tls.cert");
    pub const CERT_KEY: Key = Key("listener.tls.key");
    pub const ALPN: Key = Key("listener.tls.alpn");
    pub const SNI_STRICT: Key = Key("listener.tls.sni_strict");
    pub const CLIENT_CA: Key = Key("listener.tls.client_ca");
    pub const CLIENT_CERT: Key = Key("listener.tls.client_cert");
}

/// What services have.
#[expect(missing_docs, reason = "their paths say what they are")]
impl Key {
    pub const ROUTE: Key = Key("service.route");
    pub const IDLE_TIMEOUT: Key = Key("service.idle_timeout");
    pub const HALF_CLOSE_TIMEOUT: Key = Key("service.half_close_timeout");
    pub const HEADER_TIMEOUT: Key = Key("service.header_timeout");
    pub const KEEP_ALIVE: Key = Key("service.keep_alive");
    pub const SERVER_TIMEOUT: Key = Key("service.server_timeout");
    pub const ABORT_ON_CLOSE: Key = Key("service.abort_on_close");
    pub const MAX_BODY: Key = Key("service.max_body");
    pub const VIA: Key = Key("service.via");
    pub const HSTS: Key = Key("service.hsts");
    pub const REDIRECT_HTTPS: Key = Key("service.redirect_https");
    pub const HEALTH_PATH: Key = Key("service.health_path");
    pub const STATS_PATH: Key = Key("service.stats_path");
    pub const UDP_TIMEOUT: Key = Key("service.udp.timeout");
    pub const UDP_RESPONSES: Key = Key("service.udp.responses");
    pub const UDP_REQUESTS: Key = Key("service.udp.requests");
    pub const MAX_FLOWS: Key = Key("service.udp.max_flows");
}

/// What pools have.
#[expect(missing_docs, reason = "their paths say what they are")]
impl Key {
    pub const BALANCE: Key = Key("pool.balance");
    pub const HASH_KEY: Key = Key("pool.hash_key");
    pub const STICKY_COOKIE: Key = Key("pool.sticky.cookie");
    pub const STICKY_KEY: Key = Key("pool.sticky.key");
    pub const STICKY_SAME_SITE: Key = Key("pool.sticky.same_site");
    pub const SLOW_START: Key = Key("pool.slow_start");
    pub const EJECT_AFTER: Key = Key("pool.eject_after");
    pub const ALL_DOWN: Key = Key("pool.all_down");
    pub const ON_DOWN: Key = Key("pool.on_down");
    pub const CONNECT_TIMEOUT: Key = Key("pool.connect_timeout");
    pub const RETRIES: Key = Key("pool.retries");
    pub const BACKEND_IDLE: Key = Key("pool.backend_idle");
    pub const BACKEND_IDLE_CONNECTIONS: Key = Key("pool.backend_idle_connections");
    pub const CHECK: Key = Key("pool.check.kind");
    pub const CHECK_HOST: Key = Key("pool.check.host");
    pub const CHECK_INTERVAL: Key = Key("pool.check.interval");
    pub const CHECK_TIMEOUT: Key = Key("pool.check.timeout");
    pub const RISE: Key = Key("pool.check.rise");
    pub const FALL: Key = Key("pool.check.fall");
    pub const BACKEND_CA: Key = Key("pool.tls.ca");
    pub const BACKEND_CERT: Key = Key("pool.tls.cert");
    pub const BACKEND_KEY: Key = Key("pool.tls.key");
    pub const BACKEND_VERIFY: Key = Key("pool.tls.verify");
}

/// What backends have.
#[expect(missing_docs, reason = "their paths say what they are")]
impl Key {
    pub const BACKEND: Key = Key("backend.address");
    pub const BACKEND_WEIGHT: Key = Key("backend.weight");
    pub const BACKEND_BACKUP: Key = Key("backend.backup");
    pub const BACKEND_SNI: Key = Key("backend.sni");
}

/// How a front-end writes settings.
#[derive(Clone, Copy)]
pub struct Spelling {
    /// One by its name.
    pub name: fn(Key) -> String,
    /// One with its value.
    pub with_value: fn(Key, &str) -> String,
}

impl Spelling {
    /// By their paths, where no front-end is known.
    pub const PATHS: Spelling = Spelling {
        name: |key| key.to_string(),
        with_value: |key, value| format!("{key} = {value}"),
    };
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spelling({})", (self.name)(Key::LISTEN))
    }
}
