//! The settings of a listener, beside its address.

use std::net::IpAddr;
use std::time::Duration;

use super::key::SettingKey;
use super::{
    AccessLists, Bandwidth, Cidr, DatagramLimits, LimitTerms, ListenerLimits, ListenerTls,
    SocketOwner,
};
use crate::limits;

/// What holds for a client from the accept until its service is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerSettings {
    /// Within this time a client of TLS must have said what a handshake needs.
    pub tls_handshake_timeout: Duration,
    /// Within this time from its first byte the head of a request must be complete.
    pub header_timeout: Duration,
    /// How long a client's connection is kept for its next request.
    pub keep_alive: Duration,
    /// Proxies whose X-Forwarded fields are kept.
    pub trusted_proxies: Vec<Cidr>,
    /// Who may come in.
    pub access: AccessLists,
    /// Proxies that begin each connection with a header of the PROXY protocol.
    pub proxy_protocol: Vec<Cidr>,
    /// Other processes may listen at its port, too.
    pub reuse_port: bool,
    /// Permission of the file of its UNIX socket.
    pub socket_mode: u32,
    /// Whose file that is, if not ours.
    pub socket_owner: Option<SocketOwner>,
    /// What becomes of its clients when it is removed.
    pub on_removed: OnListenerRemoved,
    /// How many bytes a second each client is sent.
    pub bandwidth: Option<Bandwidth>,
    /// What each client may send in datagrams.
    pub datagrams: DatagramLimits,
    /// What each client may do.
    pub limits: ListenerLimits,
    /// On which terms limits hold here.
    pub terms: LimitTerms,
    /// How TLS is spoken with clients.
    pub tls: ListenerTls,
}

/// What happens to the connections that came in at a listener which is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnListenerRemoved {
    /// They go on until they end; those of HTTP end with the request that is under way.
    Drain,
    /// They go on until they end, those of HTTP with further requests.
    Keep,
    /// They are closed.
    Close,
}

impl OnListenerRemoved {
    /// The words for it.
    pub const ALL: &'static [(&'static str, OnListenerRemoved)] = &[
        ("drain", OnListenerRemoved::Drain),
        ("keep", OnListenerRemoved::Keep),
        ("close", OnListenerRemoved::Close),
    ];
}

impl ListenerSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: ListenerSettings = ListenerSettings {
        tls_handshake_timeout: limits::TLS_HANDSHAKE_TIMEOUT_DEFAULT,
        header_timeout: limits::HEADER_TIMEOUT_DEFAULT,
        keep_alive: limits::KEEP_ALIVE_DEFAULT,
        trusted_proxies: Vec::new(),
        access: AccessLists::NONE,
        proxy_protocol: Vec::new(),
        reuse_port: false,
        socket_mode: limits::SOCKET_MODE_DEFAULT,
        socket_owner: None,
        on_removed: OnListenerRemoved::Drain,
        bandwidth: None,
        datagrams: DatagramLimits { rate: None, total: None, flows: None },
        limits: ListenerLimits::NONE,
        terms: LimitTerms::SAME,
        tls: ListenerTls::DEFAULT,
    };

    /// Whether what this peer says of the clients before it is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|cidr| cidr.contains(peer))
    }

    /// Whether this peer has to begin with a header of the PROXY protocol.
    pub fn requires_proxy_header(&self, peer: IpAddr) -> bool {
        self.proxy_protocol.iter().any(|cidr| cidr.contains(peer))
    }
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const LISTEN: SettingKey = SettingKey("listener.bind");
    pub const TLS_HANDSHAKE_TIMEOUT: SettingKey = SettingKey("listener.tls_handshake_timeout");
    pub const HEADER_TIMEOUT: SettingKey = SettingKey("listener.header_timeout");
    pub const KEEP_ALIVE: SettingKey = SettingKey("listener.keep_alive");
    pub const TRUSTED_PROXIES: SettingKey = SettingKey("listener.trusted_proxies");
    pub const PROXY_PROTOCOL: SettingKey = SettingKey("listener.proxy_protocol");
    pub const ON_LISTENER_REMOVED: SettingKey = SettingKey("listener.on_removed");
    pub const CERT: SettingKey = SettingKey("listener.certificates.cert");
    pub const CERT_KEY: SettingKey = SettingKey("listener.certificates.key");
    pub const ALPN: SettingKey = SettingKey("listener.alpn");
    pub const SNI_STRICT: SettingKey = SettingKey("listener.sni_strict");
    pub const CLIENT_CA: SettingKey = SettingKey("listener.client_ca");
    pub const CLIENT_CERT: SettingKey = SettingKey("listener.client_cert");
    pub const REUSE_PORT: SettingKey = SettingKey("listener.reuse_port");
    pub const TICKET_KEYS: SettingKey = SettingKey("listener.ticket_keys");
}
