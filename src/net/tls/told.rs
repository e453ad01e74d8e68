//! Certificates that are told while it runs, as PEM, and not read from their files.
//!
//! ```text
//!   PEM --bundle, key--> Told --add--> Told --certificate--> Certificate, if all of it fits
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::files::{self, Certificate, Facts, Unpaired};
use super::provider::provider;

/// What was told of a certificate; what was not stays as it is.
#[derive(Default)]
pub struct Told {
    chain: Option<Vec<CertificateDer<'static>>>,
    key: Option<PrivateKeyDer<'static>>,
}

/// Why no certificate comes of what was told.
#[derive(Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A part was never told, and there is none.
    Incomplete,
    /// The key is that of another certificate.
    Mismatch,
    /// Something else, in words.
    Other(String),
}

impl Told {
    /// Certificates, its own first, and its key if that is there.
    pub fn bundle(text: &[u8]) -> Result<Told, String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let chain = chain.map_err(|error| files::torn(&error))?;
        if chain.is_empty() {
            return Err(files::what_instead(text, "certificate", "CERTIFICATE"));
        }
        let names_key = text.windows(KEY_LINE.len()).any(|it| it == KEY_LINE);
        let key = if names_key { Told::key(text)?.key } else { None };
        Ok(Told { chain: Some(chain), key })
    }

    /// A key alone.
    pub fn key(text: &[u8]) -> Result<Told, String> {
        let key = PrivateKeyDer::from_pem_slice(text);
        let key = key.map_err(|_| files::what_instead(text, "private key", "PRIVATE KEY"))?;
        Ok(Told { chain: None, key: Some(key) })
    }

    /// What was told later holds.
    pub fn add(&mut self, later: Told) {
        self.chain = later.chain.or(self.chain.take());
        self.key = later.key.or(self.key.take());
    }

    /// What comes of it: what is missing is that of the certificate that is `shown`.
    pub fn certificate(
        &self,
        file: &str,
        shown: Option<&Certificate>,
        now: SystemTime,
    ) -> Result<Certificate, Misfit> {
        let shown = shown.map(Certificate::key);
        let chain = self.chain.as_ref().or(shown.map(|it| &it.cert));
        let chain = chain.ok_or(Misfit::Incomplete)?.clone();
        let facts = Facts::of(&chain, now).map_err(Misfit::Other)?;
        files::check_chain(&chain).map_err(Misfit::Other)?;
        let pair = match (&self.key, shown) {
            (Some(key), _) => CertifiedKey::from_der(chain, key.clone_key(), &provider()),
            (None, Some(shown)) => {
                let pair = CertifiedKey::new(chain, Arc::clone(&shown.key));
                match pair.keys_match() {
                    Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                        Ok(pair)
                    }
                    Err(error) => Err(error),
                }
            }
            (None, None) => return Err(Misfit::Incomplete),
        };
        let pair = pair.map_err(|error| match Unpaired::of(&error) {
            Unpaired::Mismatch => Misfit::Mismatch,
            Unpaired::Certificate(why) => Misfit::Other(why),
            Unpaired::Key(why) => Misfit::Other(why.to_owned()),
        })?;
        Ok(Certificate::told(file, pair, facts))
    }

    /// As it was told so far, its own first.
    pub fn chain(&self) -> Option<&[CertificateDer<'static>]> {
        self.chain.as_deref()
    }
}

/// At the end of the line with which each kind of key begins.
const KEY_LINE: &[u8] = b"PRIVATE KEY-----";

impl fmt::Debug for Told {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = self.chain.as_ref().map(Vec::len);
        let has_key = self.key.is_some();
        f.debug_struct("Told").field("chain", &chain).field("has_key", &has_key).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Made {
        certificate: String,
        key: String,
    }

    fn made(name: &str) -> Made {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Made { certificate, key: key.serialize_pem() }
    }

    fn joined(told: &Told, shown: Option<&Certificate>) -> Result<Certificate, Misfit> {
        told.certificate("f.pem", shown, SystemTime::now())
    }

    #[test]
    fn a_certificate_and_its_key_come_together_or_one_after_the_other() {
        let [a, b] = [made("a.test"), made("b.test")];
        let both = format!("{}{}", a.certificate, a.key);
        let shown = joined(&Told::bundle(both.as_bytes()).unwrap(), None).unwrap();
        assert_eq!((shown.file(), shown.names()), ("f.pem", &["a.test".to_owned()][..]));
        let mut told = Told::bundle(b.certificate.as_bytes()).unwrap();
        assert_eq!(joined(&told, None).unwrap_err(), Misfit::Incomplete);
        assert_eq!(joined(&told, Some(&shown)).unwrap_err(), Misfit::Mismatch, "the old key");
        told.add(Told::key(b.key.as_bytes()).unwrap());
        assert_eq!(joined(&told, Some(&shown)).unwrap().names(), ["b.test"]);
        let key = Told::key(b.key.as_bytes()).unwrap();
        assert_eq!(joined(&key, Some(&shown)).unwrap_err(), Misfit::Mismatch);
        assert_eq!(joined(&key, None).unwrap_err(), Misfit::Incomplete);
        let again = Told::bundle(a.certificate.as_bytes()).unwrap();
        assert_eq!(
            joined(&again, Some(&shown)).unwrap().names(),
            ["a.test"],
            "its old key fits"
        );
    }

    #[test]
    fn what_is_no_certificate_is_told_in_words_and_never_shows_a_key() {
        let a = made("a.test");
        let wrong = |text: &str| Told::bundle(text.as_bytes()).unwrap_err();
        assert!(wrong("junk\n").contains("is not PEM"), "{}", wrong("junk\n"));
        assert!(wrong(&a.key).contains("holds a private key"));
        assert!(wrong(&a.certificate[..200]).contains("-----END CERTIFICATE-----"));
        let sealed = a.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        assert!(wrong(&format!("{}{sealed}", a.certificate)).contains("is encrypted"));
        assert!(
            Told::key(a.certificate.as_bytes()).unwrap_err().contains("holds a certificate")
        );
        let mut damaged = a.certificate.clone();
        damaged += "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let told = Told::bundle(format!("{damaged}{}", a.key).as_bytes()).unwrap();
        let Misfit::Other(why) = joined(&told, None).unwrap_err() else { panic!("refused") };
        assert!(why.contains("is no certificate: damaged or cut"), "{why}");
        assert_eq!(format!("{told:?}"), "Told { chain: Some(2), has_key: true }");
    }

    #[test]
    fn one_that_is_past_or_not_yet_good_is_refused_as_when_it_is_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        let text = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
        let told = Told::bundle(text.as_bytes()).unwrap();
        let Misfit::Other(why) = joined(&told, None).unwrap_err() else { panic!("refused") };
        assert!(why.starts_with("the certificate expired on 2020-01-01"), "{why}");
    }
}
