//! TLS towards backends: which roots we trust, and what name we expect.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::config::{CertificatePair, SettingKey};
use crate::limits::TLS_BACKEND_SESSIONS;

use super::chain::check_size;
use super::files::{self, Certificate, FileError, Keys};
use super::provider::provider;

/// All that a handshake with one backend takes. Sessions are kept for each by itself.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    /// What to begin with instead for a client that chose this name of ALPN.
    spoken: Arc<[Spoken]>,
}

#[derive(Debug)]
struct Spoken {
    alpn: Box<[u8]>,
    config: Arc<ClientConfig>,
}

/// How certificates of backends are verified.
#[derive(Debug, Clone)]
pub struct Roots {
    config: ClientConfig,
    /// What was read of a file; empty if none was named.
    of_file: Arc<[CertificateDer<'static>]>,
    /// Sessions go on where nothing but the backend is verified; see [`Roots::identify`].
    resumes: bool,
}

/// The certificate that we show to backends that ask for one, shared by all that dial them.
#[derive(Debug)]
pub struct Identity {
    files: CertificatePair,
    shown: RwLock<Arc<Certificate>>,
}

/// What an identity is to show: what its files have now, or what was told.
#[derive(Debug, Clone)]
pub struct Renewal(pub Arc<Certificate>);

impl Identity {
    /// Read from these files.
    pub fn load(files: &CertificatePair, now: SystemTime) -> Result<Arc<Identity>, FileError> {
        let shown = RwLock::new(Identity::read(files, now)?);
        Ok(Arc::new(Identity { files: files.clone(), shown }))
    }

    /// The files as they are now; to be [put in place](Identity::show) once all others are good.
    pub fn reload(&self, now: SystemTime) -> Result<Renewal, FileError> {
        Identity::read(&self.files, now).map(Renewal)
    }

    /// Show this from now on.
    pub fn show(&self, renewal: Renewal) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = renewal.0;
    }

    /// What is shown now.
    pub fn certificate(&self) -> Arc<Certificate> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(files: &CertificatePair, now: SystemTime) -> Result<Arc<Certificate>, FileError> {
        Certificate::load(Keys::BACKEND, files, now).map(Arc::new)
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let pair = shown.key();
        pair.key.choose_scheme(schemes).map(|_| Arc::clone(pair))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Roots {
    /// Whoever has a certificate from one of those in this file, or from those that the system
    /// trusts.
    pub fn read(file: Option<&str>) -> Result<Roots, FileError> {
        let mut roots = RootCertStore::empty();
        let mut of_file = Vec::new();
        match file {
            Some(file) => {
                of_file = files::certificates(SettingKey::BACKEND_CA, file)?;
                for certificate in &of_file {
                    let added = roots.add(certificate.clone());
                    added.map_err(|error| {
                        FileError::new(SettingKey::BACKEND_CA, file, &files::reason(&error))
                    })?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let why = match found.errors.first() {
                        Some(error) => error.to_string(),
                        None => "there are none (package ca-certificates)".to_owned(),
                    };
                    return Err(FileError::new(
                        SettingKey::BACKEND_CA,
                        "the system's root certificates",
                        &why,
                    ));
                }
            }
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider());
        let verifier = verifier.build().map_err(|error| {
            FileError::new(SettingKey::BACKEND_CA, file.unwrap_or_default(), &error.to_string())
        })?;
        Roots::by(Trust::Rooted(verifier), of_file.into())
    }

    /// No certificate is verified: what is sent is encrypted, but whoever is there can read it.
    pub fn unverified() -> Result<Roots, FileError> {
        Roots::by(Trust::Unverified, Arc::new([]))
    }

    /// Whether the same certificates were read for both.
    pub fn is_like(&self, other: &Roots) -> bool {
        self.of_file == other.of_file
    }

    fn by(trust: Trust, of_file: Arc<[CertificateDer<'static>]>) -> Result<Roots, FileError> {
        let algorithms = provider().signature_verification_algorithms;
        let verifier = Arc::new(BackendVerifier { trust, algorithms });
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| {
            FileError::new(SettingKey::BACKEND_CA, "TLS", &error.to_string())
        })?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        Ok(Roots { config: builder.with_no_client_auth(), of_file, resumes: true })
    }

    /// Show this to backends that ask. A session would stand for the certificate with which it was
    /// begun, also after another one was put in its place, so none is resumed.
    #[must_use]
    pub fn identify(mut self, identity: Arc<Identity>) -> Roots {
        self.config.client_auth_cert_resolver = identity;
        self.resumes = false;
        self
    }

    /// What it takes to talk to a backend of this name, or address, for clients that may have
    /// chosen one of these names of ALPN.
    pub fn dial(&self, name: &str, alpn: &[String]) -> Option<ClientTls> {
        let name = ServerName::try_from(name.to_owned()).ok()?;
        let spoken = alpn.iter().map(|alpn| {
            let alpn = alpn.as_bytes();
            Spoken { alpn: alpn.into(), config: self.config(Some(alpn)) }
        });
        Some(ClientTls { config: self.config(None), name, spoken: spoken.collect() })
    }

    /// With sessions of its own, for each is of one protocol.
    fn config(&self, alpn: Option<&[u8]>) -> Arc<ClientConfig> {
        let mut config = self.config.clone();
        config.resumption = match self.resumes {
            true => Resumption::in_memory_sessions(TLS_BACKEND_SESSIONS),
            false => Resumption::disabled(),
        };
        config.alpn_protocols = alpn.into_iter().map(<[u8]>::to_vec).collect();
        Arc::new(config)
    }
}

impl ClientTls {
    /// The same for who has no client behind it: what is preferred is offered.
    #[must_use]
    pub fn without_client(mut self) -> ClientTls {
        if let Some(preferred) = self.spoken.first() {
            self.config = Arc::clone(&preferred.config);
        }
        self
    }

    /// What to begin with for a client that chose this, or nothing.
    pub(super) fn config(&self, alpn: Option<&[u8]>) -> &Arc<ClientConfig> {
        let found = self.spoken.iter().find(|it| Some(&*it.alpn) == alpn);
        found.map_or(&self.config, |it| &it.config)
    }
}

/// Verifies the certificates of backends. That a backend has the key of the certificate that it
/// shows is verified in any case.
#[derive(Debug)]
struct BackendVerifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Which certificates are trusted.
#[derive(Debug)]
enum Trust {
    /// Those for the expected name that lead to one of the roots.
    Rooted(Arc<WebPkiServerVerifier>),
    /// All.
    Unverified,
}

impl ServerCertVerifier for BackendVerifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Rooted(roots) => {
                check_size(others)?;
                roots.verify_server_cert(own, others, name, ocsp, now)
            }
            Trust::Unverified => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
