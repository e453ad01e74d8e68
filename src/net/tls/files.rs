//! Certificates and keys out of their files, and what is wrong with them in words.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::config::{CertificatePair, Complaint, SettingKey};
use crate::limits::{CERTIFICATE_WARNING, CLIENT_SUBJECT_BYTES_MAX, PEM_BYTES_MAX};

use super::super::file::read_bytes;
use super::provider::provider;

/// Where and how the DER is wrong helps nobody who has a file to replace.
const NOT_A_CERTIFICATE: &str = "what stands between BEGIN CERTIFICATE and END CERTIFICATE is no \
     certificate: damaged or cut, want one that 'openssl x509 -text -in FILE' can show";

/// A certificate with its key, ready to be shown.
#[derive(Debug)]
pub struct Certificate {
    file: String,
    key: Arc<CertifiedKey>,
    /// In lower case.
    names: Vec<String>,
    ends: SystemTime,
    /// Not read of its file.
    is_told: bool,
}

/// What is wrong with a file: one line, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    key: SettingKey,
    file: String,
    why: String,
}

impl FileError {
    /// This is wrong with that file, which this setting names.
    pub fn new(key: SettingKey, file: &str, why: &str) -> FileError {
        FileError { key, file: file.to_owned(), why: why.to_owned() }
    }
}

impl From<&FileError> for Complaint {
    fn from(error: &FileError) -> Complaint {
        Complaint::new(error.key, error.to_string()).in_file(&error.file)
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.why)
    }
}

impl std::error::Error for FileError {}

/// The two settings that name the files of a certificate and its key.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    cert: SettingKey,
    key: SettingKey,
}

impl Keys {
    /// For what clients are shown.
    pub const LISTENERS: Keys = Keys { cert: SettingKey::CERT, key: SettingKey::CERT_KEY };

    /// For what backends are shown.
    pub const BACKEND: Keys =
        Keys { cert: SettingKey::BACKEND_CERT, key: SettingKey::BACKEND_KEY };
}

impl Certificate {
    /// Read a certificate with its chain, and the key that belongs to it.
    pub fn load(
        keys: Keys,
        files: &CertificatePair,
        now: SystemTime,
    ) -> Result<Certificate, FileError> {
        let CertificatePair { cert, key } = files;
        let chain = certificates(keys.cert, cert)?;
        let facts = Facts::of(&chain, now);
        let facts = facts.map_err(|why| FileError::new(keys.cert, cert, &why))?;
        let pair = CertifiedKey::from_der(chain, private_key(keys.key, key)?, &provider());
        let pair = pair.map_err(|error| match Unpaired::of(&error) {
            Unpaired::Mismatch => FileError::new(
                keys.key,
                key,
                &format!("not the key of the certificate in {cert}"),
            ),
            Unpaired::Certificate(why) => FileError::new(keys.cert, cert, &why),
            Unpaired::Key(why) => FileError::new(keys.key, key, why),
        })?;
        let Facts { names, ends } = facts;
        let key = Arc::new(pair);
        Ok(Certificate { file: cert.to_owned(), key, names, ends, is_told: false })
    }

    /// One that was told in the place of that of this file.
    pub(super) fn told(file: &str, pair: CertifiedKey, facts: Facts) -> Certificate {
        let Facts { names, ends } = facts;
        let key = Arc::new(pair);
        Certificate { file: file.to_owned(), key, names, ends, is_told: true }
    }

    /// Where it was read.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// It with its chain and key.
    pub fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// The names that it is for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// When it ends.
    pub fn ends(&self) -> SystemTime {
        self.ends
    }

    /// Whether it was told, and not read of its file.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// What there is to be said of its end, if that is near or past.
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        let file = &self.file;
        let day = day(self.ends);
        let left = self.ends.duration_since(now).unwrap_or_default();
        let days = left.as_secs() / (24 * 3600);
        match days {
            _ if left.is_zero() => Some(format!("{file}: the certificate expired on {day}")),
            _ if left >= CERTIFICATE_WARNING => None,
            0 => Some(format!("{file}: the certificate ends within a day, on {day}")),
            1 => Some(format!("{file}: the certificate ends in 1 day, on {day}")),
            days => Some(format!("{file}: the certificate ends in {days} days, on {day}")),
        }
    }
}

/// What is read in the certificate itself.
#[derive(Debug)]
pub(super) struct Facts {
    names: Vec<String>,
    ends: SystemTime,
}

impl Facts {
    /// Of the first of a chain, if it is good now; if not, why.
    pub fn of(chain: &[CertificateDer<'_>], now: SystemTime) -> Result<Facts, String> {
        let own = chain.first().map(|own| x509_cert::Certificate::from_der(own));
        let Some(Ok(about)) = own else { return Err(NOT_A_CERTIFICATE.to_owned()) };
        let validity = &about.tbs_certificate.validity;
        let begins = UNIX_EPOCH + validity.not_before.to_unix_duration();
        let ends = UNIX_EPOCH + validity.not_after.to_unix_duration();
        if ends <= now {
            return Err(format!("the certificate expired on {}", day(ends)));
        }
        if begins > now {
            return Err(format!("the certificate is not valid before {}", day(begins)));
        }
        Ok(Facts { names: names(&about), ends })
    }
}

/// Whether all of a chain can be read; if not, why.
pub(super) fn check_chain(chain: &[CertificateDer<'_>]) -> Result<(), String> {
    let is_good = |it: &CertificateDer<'_>| x509_cert::Certificate::from_der(it).is_ok();
    if chain.iter().all(is_good) { Ok(()) } else { Err(NOT_A_CERTIFICATE.to_owned()) }
}

/// Why a certificate and a key are no pair, in words.
pub(super) enum Unpaired {
    /// Each is good, and they do not fit.
    Mismatch,
    /// What is wrong with the certificate.
    Certificate(String),
    /// What is wrong with the key.
    Key(&'static str),
}

impl Unpaired {
    /// What rustls found.
    pub fn of(error: &Error) -> Unpaired {
        match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Unpaired::Mismatch,
            Error::InvalidCertificate(_) => Unpaired::Certificate(reason(error)),
            _ => Unpaired::Key(
                "a key of a kind that is not served: RSA of 2048 to 8192 \
                 bits, or ECDSA on P-256, P-384 or P-521, or Ed25519 is",
            ),
        }
    }
}

/// All certificates of a file, at least one.
pub fn certificates(
    setting: SettingKey,
    file: &str,
) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let text = read(setting, file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(FileError::new(
            setting,
            file,
            &what_instead(&text, "certificate", "CERTIFICATE"),
        )),
        Err(error) => Err(FileError::new(setting, file, &torn(&error))),
    }
}

/// What is wrong with a key file beside the certificate's, for which it was not looked at.
pub(super) fn check_key(
    keys: Keys,
    files: &CertificatePair,
    found: &FileError,
) -> Option<FileError> {
    if found.key != keys.cert {
        return None;
    }
    private_key(keys.key, &files.key).err()
}

fn private_key(setting: SettingKey, file: &str) -> Result<PrivateKeyDer<'static>, FileError> {
    let text = read(setting, file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let why = match error {
            pem::Error::NoItemsFound => what_instead(&text, "private key", "PRIVATE KEY"),
            error => torn(&error),
        };
        FileError::new(setting, file, &why)
    })
}

/// How PEM can be broken, in words.
pub(super) fn torn(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let label = String::from_utf8_lossy(end_marker);
            format!("not PEM: it ends before -----END {label}-----")
        }
        error => format!("not PEM: {error}"),
    }
}

/// What a file holds that lacks what it should hold.
pub(super) fn what_instead(text: &[u8], wanted: &str, label: &str) -> String {
    let holds = |label: &str| {
        let begin = format!("-----BEGIN {label}-----");
        text.windows(begin.len()).any(|window| window == begin.as_bytes())
    };
    let other = <(SectionKind, Vec<u8>)>::pem_slice_iter(text).flatten().next();
    let what = match other {
        _ if holds("ENCRYPTED PRIVATE KEY") || text.windows(10).any(|w| w == b",ENCRYPTED") => {
            return "the key is encrypted: write it without a passphrase, as \
                    'openssl pkey -in FILE -out NEW' does"
                .to_owned();
        }
        Some((SectionKind::Certificate, _)) => "holds a certificate",
        Some((
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey,
            _,
        )) => "holds a private key",
        Some(_) => "holds something else",
        None if text.is_empty() => "is empty",
        None if text.first() == Some(&0x30) => {
            return format!(
                "it is DER, want PEM: a section -----BEGIN {label}-----; \
                 'openssl {tool} -inform DER -in FILE -out NEW' makes it",
                tool = if label == "CERTIFICATE" { "x509" } else { "pkey" }
            );
        }
        None => "is not PEM",
    };
    format!("it {what}, want a {wanted}: a section -----BEGIN {label}-----")
}

/// What is in a file that a setting names, if it is one and not too large.
pub fn read(setting: SettingKey, file: &str) -> Result<Vec<u8>, FileError> {
    read_bytes(file, PEM_BYTES_MAX).map_err(|why| FileError::new(setting, file, &why))
}

/// Why a certificate is refused, in words.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::BadEncoding) => {
            NOT_A_CERTIFICATE.to_owned()
        }
        error => error.to_string(),
    }
}

/// The names that a certificate is for; where none are, what it calls its subject.
fn names(about: &x509_cert::Certificate) -> Vec<String> {
    let body = &about.tbs_certificate;
    let listed = body.get::<SubjectAltName>().ok().flatten();
    let listed = listed.map(|(_, names)| names.0).unwrap_or_default();
    let dns = listed.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        _ => None,
    });
    let dns: Vec<String> = dns.collect();
    if !listed.is_empty() {
        return dns;
    }
    let subject = body.subject.to_string();
    let common = subject.split(',').find_map(|part| part.strip_prefix("CN="));
    common.into_iter().map(str::to_ascii_lowercase).collect()
}

/// The subject of a client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// As RFC 4514 writes it, in characters that a header may have.
    Named(Box<str>),
    /// It cannot be read, or is longer than [`CLIENT_SUBJECT_BYTES_MAX`].
    LeftOut,
}

impl Subject {
    /// What a certificate says.
    pub fn of(certificate: &[u8]) -> Subject {
        let Ok(about) = x509_cert::Certificate::from_der(certificate) else {
            return Subject::LeftOut;
        };
        let mut text = String::new();
        for byte in about.tbs_certificate.subject.to_string().bytes() {
            match byte {
                b' '..=b'~' => text.push(char::from(byte)),
                other => text.push_str(&format!("\\{other:02X}")),
            }
            if text.len() > CLIENT_SUBJECT_BYTES_MAX {
                return Subject::LeftOut;
            }
        }
        Subject::Named(text.into_boxed_str())
    }
}

fn day(time: SystemTime) -> String {
    let date = jiff::Timestamp::try_from(time).map(|time| time.to_string());
    date.map_or_else(|_| "a day out of reach".to_owned(), |date| date.replace('T', " "))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// A directory for certificates, gone when the test is.
    pub struct Files(PathBuf);

    impl Files {
        pub fn new(name: &str) -> Files {
            let name = format!("pointsman-files-{name}-{}", std::process::id());
            let files = Files(std::env::temp_dir().join(name));
            std::fs::create_dir_all(&files.0).unwrap();
            files
        }

        /// A certificate that signs itself and is good for so long, and its key.
        pub fn pair(&self, name: &str, good_for: Duration) -> (String, String) {
            let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.not_after = (SystemTime::now() + good_for).into();
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let write = |ending: &str, text: String| {
                let path = self.0.join(format!("{name}.{ending}"));
                std::fs::write(&path, text).unwrap();
                path.display().to_string()
            };
            (write("crt", certificate.pem()), write("key", key.serialize_pem()))
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_end_of_a_certificate_is_warned_of_in_time() {
        let home = Files::new("end");
        let (cert, key) = home.pair("a.test", 100 * DAY);
        let files = CertificatePair { cert: cert.clone(), key };
        let certificate =
            Certificate::load(Keys::LISTENERS, &files, SystemTime::now()).unwrap();
        let ends = certificate.ends;
        let at = |before: Duration| certificate.warning(ends - before);
        let hour = DAY / 24;
        assert_eq!(at(99 * DAY), None);
        assert_eq!(at(CERTIFICATE_WARNING), None);
        for (before, says) in [
            (14 * DAY - hour, "ends in 13 days, on "),
            (2 * DAY, "ends in 2 days, on "),
            (2 * DAY - hour, "ends in 1 day, on "),
            (hour, "ends within a day, on "),
            (Duration::ZERO, "expired on "),
        ] {
            let line = at(before).unwrap();
            let wanted = format!("{cert}: the certificate {says}{}", day(ends));
            assert_eq!(line, wanted);
        }
        let later = certificate.warning(ends + 100 * DAY).unwrap();
        assert!(later.contains("expired on"), "{later}");
    }
}
