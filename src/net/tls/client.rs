//! TLS towards backends: whom we trust, and what name we expect.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::limits::TLS_BACKEND_SESSIONS;

use super::files::{self, FileError};
use super::server::provider;

/// All that a handshake with one backend takes. Sessions are kept for each by itself.
#[derive(Debug, Clone)]
pub struct Dial {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// Whom we believe that a backend is the right one.
#[derive(Debug, Clone)]
pub struct Trust {
    config: ClientConfig,
}

impl Trust {
    /// Whoever has a certificate from one of those in this file, or from those that the system
    /// trusts.
    pub fn roots(file: Option<&str>) -> Result<Trust, FileError> {
        let mut roots = RootCertStore::empty();
        match file {
            Some(file) => {
                for certificate in files::certificates("--backend-ca", file)? {
                    let added = roots.add(certificate);
                    added.map_err(|error| {
                        FileError::new("--backend-ca", file, &files::reason(&error))
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
                        "--backend-ca",
                        "the system's root certificates",
                        &why,
                    ));
                }
            }
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider());
        let verifier = verifier.build().map_err(|error| {
            FileError::new("--backend-ca", file.unwrap_or_default(), &error.to_string())
        })?;
        Trust::by(verifier)
    }

    /// Anybody: what is sent is encrypted, but who reads it is not known.
    pub fn anybody() -> Result<Trust, FileError> {
        let algorithms = provider().signature_verification_algorithms;
        Trust::by(Arc::new(Anybody { algorithms }))
    }

    fn by(verifier: Arc<dyn ServerCertVerifier>) -> Result<Trust, FileError> {
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| FileError::new("--backend-ca", "TLS", &error.to_string()))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        Ok(Trust { config: builder.with_no_client_auth() })
    }

    /// What it takes to talk to a backend of this name, or address.
    pub fn dial(&self, name: &str) -> Option<Dial> {
        let name = ServerName::try_from(name.to_owned()).ok()?;
        let mut config = self.config.clone();
        config.resumption = Resumption::in_memory_sessions(TLS_BACKEND_SESSIONS);
        Some(Dial { config: Arc::new(config), name })
    }
}

/// Believes every certificate. That whoever shows it has its key is looked at all the same.
#[derive(Debug)]
struct Anybody {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
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
