//! What listeners have beside their addresses, the same for all of them.

use std::net::IpAddr;
use std::time::Duration;

use super::key::Key;
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
impl Key {
    pub const LISTEN: Key = Key("listener.address");
    pub const TLS_HANDSHAKE_TIMEOUT: Key = Key("listener.tls_handshake_timeout");
    pub const TRUSTED_PROXIES: Key = Key("listener.trusted_proxies");
    pub const CERT: Key = Key("listener.tls.cert");
    pub const CERT_KEY: Key = Key("listener.tls.key");
    pub const ALPN: Key = Key("listener.tls.alpn");
    pub const SNI_STRICT: Key = Key("listener.tls.sni_strict");
    pub const CLIENT_CA: Key = Key("listener.tls.client_ca");
    pub const CLIENT_CERT: Key = Key("listener.tls.client_cert");
}
