//! Who the peers are where TLS is spoken: one certificate for all of them, made anew for each run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

/// Whom clients ask for.
pub const NAME: &str = "bench.example";

/// It and its key, which is an ECDSA key on P-256, as most are that are given out now.
struct Identity {
    der: Vec<u8>,
    certificate: String,
    key: String,
}

static IDENTITY: LazyLock<Result<Identity, rcgen::Error>> = LazyLock::new(|| {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = CertificateParams::new(vec![NAME.to_owned()])?.self_signed(&key)?;
    Ok(Identity {
        der: certificate.der().to_vec(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
});

fn identity() -> io::Result<&'static Identity> {
    IDENTITY.as_ref().map_err(|error| io::Error::other(format!("no certificate: {error}")))
}

/// What a client is to be shown, byte for byte.
pub fn shown() -> io::Result<&'static [u8]> {
    Ok(&identity()?.der)
}

/// Where the certificate is in a peer's directory.
pub fn certificate_file(directory: &Path) -> PathBuf {
    directory.join("bench.pem")
}

/// Where its key is: HAProxy finds it by this name.
pub fn key_file(directory: &Path) -> PathBuf {
    directory.join("bench.pem.key")
}

/// Give a peer both.
pub fn write(directory: &Path) -> io::Result<()> {
    let identity = identity()?;
    fs::write(certificate_file(directory), &identity.certificate)?;
    fs::write(key_file(directory), &identity.key)
}
