//! How much of a peer's certificate chain is looked at: a bound before rustls looks at it.
//!
//! A path to a root is searched for among all certificates that a peer sends, with a signature to
//! check at each attempt. A hundred that lead nowhere made a handshake cost a hundred signatures,
//! so a longer chain is refused before the first one is checked. The same with certificates that
//! share a subject: each of them may stand behind each other one, and seven that all bear the
//! root's name make a hundred paths. Used by `server` and `client`.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    SignatureScheme,
};
use x509_cert::der::Decode;
use x509_cert::name::Name;

use crate::limits::{TLS_CHAIN_BYTES_MAX, TLS_CHAIN_CERTIFICATES_MAX, TLS_CHAIN_NAMESAKES_MAX};

/// A verifier of clients that is asked only about chains of a reasonable size.
#[derive(Debug)]
pub(super) struct Bounded(pub Arc<dyn ClientCertVerifier>);

/// The chain is longer than anybody needs.
#[derive(Debug)]
struct ChainTooLong;

impl fmt::Display for ChainTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more certificates than are looked at")
    }
}

impl std::error::Error for ChainTooLong {}

/// Whether it was the length of the chain that a certificate was refused for.
pub(super) fn is_too_long(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if other.0.is::<ChainTooLong>())
}

/// To be asked before any signature is checked.
pub(super) fn check_size(others: &[CertificateDer<'_>]) -> Result<(), Error> {
    let count = 1 + others.len();
    let bytes: usize = others.iter().map(|certificate| certificate.len()).sum();
    if count <= TLS_CHAIN_CERTIFICATES_MAX
        && bytes <= TLS_CHAIN_BYTES_MAX
        && (others.len() <= TLS_CHAIN_NAMESAKES_MAX || !has_many_namesakes(others))
    {
        return Ok(());
    }
    // Of the alerts, "some other (unspecified) issue" (certificate_unknown, RFC 8446) is its.
    let why = OtherError(Arc::new(ChainTooLong));
    Err(Error::InvalidCertificate(CertificateError::Other(why)))
}

/// Those that cannot be read count as namesakes of each other.
fn has_many_namesakes(others: &[CertificateDer<'_>]) -> bool {
    let subject = |it: &CertificateDer<'_>| {
        let read = x509_cert::Certificate::from_der(it);
        read.ok().map(|certificate| certificate.tbs_certificate.subject)
    };
    let subjects: Vec<Option<Name>> = others.iter().map(subject).collect();
    let namesakes = |of: &Option<Name>| subjects.iter().filter(|it| *it == of).count();
    subjects.iter().any(|it| namesakes(it) > TLS_CHAIN_NAMESAKES_MAX)
}

impl ClientCertVerifier for Bounded {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check_size(others)?;
        self.0.verify_client_cert(own, others, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    /// As an authority and its cross-signed twin.
    #[test]
    fn two_may_share_a_subject_and_three_may_not() {
        let chain = |names: &[&str]| names.iter().map(|name| named(name)).collect::<Vec<_>>();
        assert_eq!(check_size(&chain(&["a", "b", "a", "b", "c", "d", "c"])), Ok(()));
        assert!(check_size(&chain(&["a", "b", "a", "c", "a"])).is_err());
        let unreadable = || CertificateDer::from(vec![0; 100]);
        assert!(check_size(&vec![unreadable(); 3]).is_err());
    }

    /// The bounds themselves pass, one more of either does not.
    #[test]
    fn a_chain_has_a_bound_on_its_certificates_and_on_its_bytes() {
        let chain =
            |others: usize| (0..others).map(|it| named(&it.to_string())).collect::<Vec<_>>();
        assert_eq!(check_size(&chain(TLS_CHAIN_CERTIFICATES_MAX - 1)), Ok(()));
        let half = || CertificateDer::from(vec![0; TLS_CHAIN_BYTES_MAX / 2]);
        assert_eq!(check_size(&[half(), half()]), Ok(()));
        let long = [
            check_size(&chain(TLS_CHAIN_CERTIFICATES_MAX)),
            check_size(&[half(), half(), CertificateDer::from(vec![0])]),
        ];
        for refused in long {
            let Err(Error::InvalidCertificate(error)) = refused else {
                panic!("{refused:?}");
            };
            assert!(is_too_long(&error), "{error:?}");
        }
        assert!(!is_too_long(&CertificateError::UnknownIssuer));
    }
}
