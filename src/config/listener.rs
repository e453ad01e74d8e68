//! What listeners have beside their addresses, the same for all of them.

use std::net::IpAddr;
use std::time::Duration;

use super::key::SettingKey;
use super::{Cidr, ListenerTls};
use crate::limits;

/// What listeners have, from the accept until it is known what a client wants.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerSettings {
    /// Within this time a client of TLS must have said what a handshake needs.
    pub tls_handshake_timeout: Duration,
    /// Peers whose word on the client's address is believed.
    pub trusted_proxies: Vec<Cidr>,
    /// How TLS is spoken with clients.
    pub tls: ListenerTls,
}

impl ListenerSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: ListenerSettings = ListenerSettings {
        tls_handshake_timeout: limits::TLS_HANDSHAKE_TIMEOUT_DEFAULT,
        trusted_proxies: Vec::new(),
        tls: ListenerTls::DEFAULT,
    };

    /// Whether what this peer says of the clients before it is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|cidr| cidr.contains(peer))
    }
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const LISTEN: SettingKey = SettingKey("listener.address");
    pub const TLS_HANDSHAKE_TIMEOUT: SettingKey = SettingKey("listener.tls_handshake_timeout");
    pub const TRUSTED_PROXIES: SettingKey = SettingKey("listener.trusted_proxies");
    pub const CERT: SettingKey = SettingKey("listener.tls.cert");
    pub const CERT_KEY: SettingKey = SettingKey("listener.tls.key");
    pub const ALPN: SettingKey = SettingKey("listener.tls.alpn");
    pub const SNI_STRICT: SettingKey = SettingKey("listener.tls.sni_strict");
    pub const CLIENT_CA: SettingKey = SettingKey("listener.tls.client_ca");
    pub const CLIENT_CERT: SettingKey = SettingKey("listener.tls.client_cert");
}
