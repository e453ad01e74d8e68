//! TLS towards clients: which certificate for which name, who may come, which sessions go on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoClientAuth, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore, ServerConfig};

use crate::config::{CertificatePair, ClientCert, TlsSettings, UnknownName};

use super::files::{self, Certificate, FileError};

/// How rustls says that no certificate was found.
const NO_CERTIFICATE: &str = "no server certificate chain resolved";

/// The TLS side of all listeners: certificates, sessions, whom to let in.
pub struct Terminator {
    settings: TlsSettings,
    tickets: Arc<dyn ProducesTickets>,
    certificates: Vec<Certificate>,
    http: Arc<ServerConfig>,
    bytes: Arc<ServerConfig>,
}

/// What is spoken inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// HTTP/1.1, or 1.0 for who knows no other, and so it is said to whoever asks (ALPN).
    Http,
    /// Anything.
    Bytes,
}

impl Terminator {
    /// Everything that the settings name, read from its files.
    pub fn load(settings: &TlsSettings, now: SystemTime) -> Result<Terminator, FileError> {
        let tickets = aws_lc_rs::Ticketer::new();
        let tickets =
            tickets.map_err(|error| FileError::new("--cert", "TLS", &error.to_string()))?;
        Terminator::load_with(settings, tickets, now)
    }

    /// The same with the files as they are now. Sessions that were begun before go on, unless it
    /// is certificates of clients that let them in: who is trusted may have changed.
    pub fn reload(&self, now: SystemTime) -> Result<Terminator, FileError> {
        if self.settings.client_cert == ClientCert::None {
            return Terminator::load_with(&self.settings, Arc::clone(&self.tickets), now);
        }
        Terminator::load(&self.settings, now)
    }

    fn load_with(
        settings: &TlsSettings,
        tickets: Arc<dyn ProducesTickets>,
        now: SystemTime,
    ) -> Result<Terminator, FileError> {
        let load = |pair: &CertificatePair| Certificate::load(&pair.cert, &pair.key, now);
        let certificates = settings.certificates.iter().map(load);
        let certificates: Vec<Certificate> = certificates.collect::<Result<_, _>>()?;
        let chooser = Arc::new(Chooser::new(&certificates, settings.unknown_name));
        let verifier = client_verifier(settings)?;
        let config = |inside| -> Result<Arc<ServerConfig>, FileError> {
            let builder = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(|error| FileError::new("--cert", "TLS", &error.to_string()))?;
            let builder = builder.with_client_cert_verifier(Arc::clone(&verifier));
            let mut config = builder.with_cert_resolver(Arc::clone(&chooser) as _);
            config.ticketer = Arc::clone(&tickets);
            if inside == Inside::Http {
                config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
            }
            Ok(Arc::new(config))
        };
        let (http, bytes) = (config(Inside::Http)?, config(Inside::Bytes)?);
        let settings = settings.clone();
        Ok(Terminator { settings, tickets, certificates, http, bytes })
    }

    /// What a new connection begins with.
    pub fn config(&self, inside: Inside) -> &Arc<ServerConfig> {
        match inside {
            Inside::Http => &self.http,
            Inside::Bytes => &self.bytes,
        }
    }

    /// The certificates, in the order of the flags.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
}

/// The cryptography, with what rustls thinks safe.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Whether this says that a client asked for a name that nobody serves.
pub(super) fn is_unknown_name(error: &Error) -> bool {
    matches!(error, Error::General(text) if text == NO_CERTIFICATE)
}

fn client_verifier(settings: &TlsSettings) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
    let Some(file) = &settings.client_ca else { return Ok(Arc::new(NoClientAuth)) };
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates("--client-ca", file)? {
        let added = roots.add(certificate);
        added.map_err(|error| FileError::new("--client-ca", file, &files::reason(&error)))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
    let builder = match settings.client_cert {
        ClientCert::Optional => builder.allow_unauthenticated(),
        ClientCert::Required | ClientCert::None => builder,
    };
    builder.build().map_err(|error| FileError::new("--client-ca", file, &error.to_string()))
}

/// Which certificate for which name: the exact one, one for `*.` and the rest of it, the first.
#[derive(Debug)]
struct Chooser {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows on `*.`.
    wildcards: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
    unknown_name: UnknownName,
}

impl Chooser {
    fn new(certificates: &[Certificate], unknown_name: UnknownName) -> Chooser {
        let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
        for certificate in certificates {
            for name in certificate.names() {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut wildcards, rest),
                    None => (&mut exact, name.as_str()),
                };
                // Of two for one name the first stays.
                let key = || Arc::clone(certificate.key());
                names.entry(name.to_owned()).or_insert_with(key);
            }
        }
        let first = certificates.first().map(|certificate| Arc::clone(certificate.key()));
        Chooser { exact, wildcards, first, unknown_name }
    }

    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = name else { return self.first.clone() };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let wildcard = || self.wildcards.get(name.split_once('.')?.1);
        match self.exact.get(&name).or_else(wildcard) {
            Some(key) => Some(Arc::clone(key)),
            None if self.unknown_name == UnknownName::Refuse => None,
            None => self.first.clone(),
        }
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}
