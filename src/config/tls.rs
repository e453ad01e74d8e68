//! What can be asked for where TLS is spoken, and what that needs of the rest.

use super::complaint::{Phrase, Wrong};
use super::key::SettingKey;
use super::text::quoted;
use super::{Check, Config, Destination, Listen, Protocol};
use crate::limits;

/// How TLS is spoken with clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// Certificates with their keys, the first for whoever names no other.
    pub certificates: Vec<CertificatePair>,
    /// What is done with a client that asks for a name without a certificate.
    pub unknown_name: UnknownName,
    /// Who signs the certificates of clients.
    pub client_ca: Option<String>,
    /// Whether clients have to show one.
    pub client_cert: ClientCert,
    /// What is spoken inside TLS at `tls://` listeners, the preferred one first; if any.
    pub alpn: Vec<String>,
    /// The file with the keys of session tickets; `None` is those that are drawn.
    pub ticket_keys: Option<String>,
}

/// How TLS is spoken with backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendTls {
    /// The file with the CA certificates for backends; `None` is those that the system trusts.
    pub ca: Option<String>,
    /// What we show to backends that ask for a certificate.
    pub identity: CertificatePair,
    /// Whether their certificates have to be signed.
    pub verify: BackendVerify,
}

/// The files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificatePair {
    /// The certificate, and those that lead to its root.
    pub cert: String,
    /// The key of the first of them.
    pub key: String,
}

/// What is done with a client that asks for a name without a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownName {
    /// It is shown the first certificate, and may object.
    First,
    /// It is refused.
    Refuse,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCert {
    /// They are not asked.
    None,
    /// They are asked, and served without one; one that is shown has to be good.
    Optional,
    /// They are asked, and without a good one the handshake fails.
    Required,
}

/// Whether the certificates of backends are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendVerify {
    /// They are.
    Required,
    /// They are not.
    None,
}

impl Protocol {
    /// What is spoken once TLS is taken off.
    pub fn inside(self) -> Protocol {
        match self {
            Protocol::Https => Protocol::Http,
            Protocol::Tls => Protocol::Tcp,
            plain => plain,
        }
    }

    /// Whether clients begin with a handshake.
    pub fn is_tls(self) -> bool {
        self.inside() != self
    }

    /// Whether datagrams come there, and no connections.
    pub fn is_udp(self) -> bool {
        self == Protocol::Udp
    }

    /// Whether requests can be seen.
    pub fn is_http(self) -> bool {
        self.inside() == Protocol::Http
    }
}

impl ListenerTls {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: ListenerTls = ListenerTls {
        certificates: Vec::new(),
        unknown_name: UnknownName::First,
        client_ca: None,
        client_cert: ClientCert::None,
        alpn: Vec::new(),
        ticket_keys: None,
    };

    /// The next certificate's file, or the next key's: they belong together in their order.
    pub fn add_cert(&mut self, file: &str) {
        match self.certificates.iter_mut().find(|pair| pair.cert.is_empty()) {
            Some(pair) => file.clone_into(&mut pair.cert),
            None => {
                let cert = file.to_owned();
                self.certificates.push(CertificatePair { cert, key: String::new() });
            }
        }
    }

    /// See [`ListenerTls::add_cert`].
    pub fn add_key(&mut self, file: &str) {
        match self.certificates.iter_mut().find(|pair| pair.key.is_empty()) {
            Some(pair) => file.clone_into(&mut pair.key),
            None => {
                let key = file.to_owned();
                self.certificates.push(CertificatePair { cert: String::new(), key });
            }
        }
    }
}

impl BackendTls {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: BackendTls = BackendTls {
        ca: None,
        identity: CertificatePair { cert: String::new(), key: String::new() },
        verify: BackendVerify::Required,
    };
}

impl ClientCert {
    /// The words for it.
    pub const ALL: &'static [(&'static str, ClientCert)] =
        &[("required", ClientCert::Required), ("optional", ClientCert::Optional)];
}

impl BackendVerify {
    /// The words for it.
    pub const ALL: &'static [(&'static str, BackendVerify)] =
        &[("required", BackendVerify::Required), ("none", BackendVerify::None)];
}

/// Every certificate has a key, and who speaks TLS has a certificate.
pub fn check_certificates(config: &Config) -> Result<(), (SettingKey, Wrong)> {
    let pairs = &config.listener.tls.certificates;
    let certs = pairs.iter().filter(|pair| !pair.cert.is_empty()).count();
    let keys = pairs.iter().filter(|pair| !pair.key.is_empty()).count();
    if keys != certs {
        let (at, found) = match keys < certs {
            true => (SettingKey::CERT, format!("{certs} of them and {keys} ")),
            false => (SettingKey::CERT_KEY, format!("{keys} of them for {certs} ")),
        };
        let other =
            if at == SettingKey::CERT { SettingKey::CERT_KEY } else { SettingKey::CERT };
        let want = Phrase::from("a ")
            .name(SettingKey::CERT_KEY)
            .text(" for each ")
            .name(SettingKey::CERT);
        let want = want.text(", in the same order");
        return Err((at, Wrong::saying(Phrase::from(found).name(other), want)));
    }
    let speaks = config.listeners.iter().find(|listen| listen.protocol.is_tls());
    match speaks {
        Some(listen) if certs == 0 => {
            let found =
                format!("'{}://{}' without a certificate", listen.protocol, listen.address);
            let want = Phrase::default().setting(SettingKey::CERT, "FILE").text(" and ");
            let want = want.setting(SettingKey::CERT_KEY, "FILE").text(" with it");
            Err((SettingKey::LISTEN, Wrong::saying(found, want)))
        }
        None if certs > 0 => Err((SettingKey::CERT, no_listener())),
        _ => Ok(()),
    }
}

/// For a flag that does nothing where no TLS is spoken.
pub fn check_tls_listener(config: &Config) -> Result<(), Wrong> {
    let speaks = config.listeners.iter().any(|listen| listen.protocol.is_tls());
    if speaks { Ok(()) } else { Err(no_listener()) }
}

/// For a flag that does nothing where no client begins with a ClientHello.
pub fn check_hello_listener(config: &Config) -> Result<(), Wrong> {
    let is_sni = |listen: &Listen| listen.protocol == Protocol::Sni;
    if check_tls_listener(config).is_ok() || config.listeners.iter().any(is_sni) {
        return Ok(());
    }
    let want = Phrase::such_as(SettingKey::LISTEN, "https://127.0.0.1:8443");
    Err(Wrong::saying("no https://, tls:// or sni:// listener", want))
}

fn no_listener() -> Wrong {
    let want = Phrase::such_as(SettingKey::LISTEN, "https://127.0.0.1:8443");
    Wrong::saying("no https:// or tls:// listener", want)
}

/// Whether anybody is spoken to through TLS.
pub fn dials_tls(config: &Config) -> bool {
    let routed = config.routes.iter().filter_map(|route| match &route.to {
        Destination::Backends(backends) => Some(backends),
        Destination::Refused => None,
    });
    let mut backends = config.backends.iter().chain(routed.flatten());
    matches!(config.pool.check.kind, Check::Https(_))
        || backends.any(|backend| backend.tls.is_some())
}

/// For a flag about the certificates of backends.
pub fn check_tls_backend(config: &Config) -> Result<(), Wrong> {
    match (dials_tls(config), config.pool.tls.verify, &config.pool.tls.ca) {
        (false, ..) => Err(no_tls_backend()),
        (true, BackendVerify::None, Some(_)) => {
            let want = "one of the two: with none, no file is looked at";
            let found = Phrase::default().name(SettingKey::BACKEND_CA).text(" with ");
            Err(Wrong::saying(found.setting(SettingKey::BACKEND_VERIFY, "none"), want))
        }
        _ => Ok(()),
    }
}

/// Names of ALPN: what is spoken inside, as ALPN calls it.
pub fn alpn_names(text: &str) -> Result<Vec<String>, Wrong> {
    const WANT: &str = "a name of ALPN such as postgresql or h2, several with commas between";
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',') {
        let is_name = name.bytes().all(|byte| byte.is_ascii_graphic());
        let length = 1..=limits::ALPN_NAME_BYTES_MAX;
        if text.starts_with('-') || !is_name || !length.contains(&name.len()) {
            return Err(Wrong::found(text, WANT));
        }
        if names.iter().any(|known| known == name) {
            return Err(Wrong::saying(format!("{} twice", quoted(name)), "each name once"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// At `https://` listeners we speak ourselves, and say so.
pub fn check_alpn(config: &Config) -> Result<(), Wrong> {
    if config.listeners.iter().any(|listen| listen.protocol == Protocol::Tls) {
        return Ok(());
    }
    let want = Phrase::such_as(SettingKey::LISTEN, "tls://127.0.0.1:5432");
    Err(Wrong::saying("no tls:// listener", want))
}

/// A certificate towards backends has a key, and somebody to be shown to.
pub fn check_backend_identity(config: &Config) -> Result<(), Wrong> {
    let CertificatePair { cert, key } = &config.pool.tls.identity;
    match (cert.is_empty(), key.is_empty()) {
        (true, false) => Err(Wrong::without(SettingKey::BACKEND_CERT, "FILE")),
        (false, true) => Err(Wrong::without(SettingKey::BACKEND_KEY, "FILE")),
        _ if dials_tls(config) => Ok(()),
        _ => Err(no_tls_backend()),
    }
}

fn no_tls_backend() -> Wrong {
    let want = Phrase::such_as(SettingKey::BACKEND, "https://10.0.0.1:8443");
    Wrong::saying("no backend that speaks TLS", want)
}

/// Whether clients show a certificate can be asked only if it is known whose are good.
pub fn check_client_cert(config: &Config) -> Result<(), Wrong> {
    match config.listener.tls.client_ca {
        Some(_) => check_tls_listener(config),
        None => Err(Wrong::without(SettingKey::CLIENT_CA, "FILE")),
    }
}

/// There must be somebody to send away, and somewhere to send them.
pub fn check_redirect(config: &Config) -> Result<(), Wrong> {
    check_https_listener(config)?;
    if config.listeners.iter().any(|listen| listen.protocol == Protocol::Http) {
        return Ok(());
    }
    let want = Phrase::such_as(SettingKey::LISTEN, "http://127.0.0.1:8080");
    Err(Wrong::saying("no http:// listener to redirect from", want))
}

/// For a flag that does nothing without HTTPS.
pub fn check_https_listener(config: &Config) -> Result<(), Wrong> {
    if config.listeners.iter().any(|listen| listen.protocol == Protocol::Https) {
        return Ok(());
    }
    let want = Phrase::such_as(SettingKey::LISTEN, "https://127.0.0.1:8443");
    Err(Wrong::saying("no https:// listener", want))
}
