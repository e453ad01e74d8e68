//! `show ssl cert F`: a certificate as HAProxy, and so OpenSSL, describes it.

use std::fmt::Write;
use std::time::Duration;

use aws_lc_rs::digest;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Time;

use super::certificates::{Known, Shelf};
use crate::control::TlsStore;

const NOT_FOUND: &str =
    "Can't display the certificate: Not found or the certificate is a bundle!";

/// What there is to be said of a name, or with a `*` before it of its transaction.
pub fn describe(said: &str, shelf: &Shelf, store: &TlsStore) -> Result<String, &'static str> {
    let mut text = format!("Filename: {said}\n");
    match shelf.known(said, store).ok_or(NOT_FOUND)? {
        Known::Empty => text += "Status: Empty\n",
        Known::Told(chain) => write_chain(&mut text, chain, false),
        Known::Certificate(it, is_shown) => write_chain(&mut text, &it.key().cert, is_shown),
    }
    text += "OCSP Response Key: \n";
    Ok(text)
}

fn write_chain(text: &mut String, chain: &[CertificateDer<'_>], is_shown: bool) {
    *text += if is_shown { "Status: Used\n" } else { "Status: Unused\n" };
    chain.iter().enumerate().for_each(|(at, der)| write(text, at, der));
}

/// The first is its own, those behind it lead to its authority. What cannot be read has no lines.
fn write(text: &mut String, at: usize, der: &[u8]) {
    let Ok(certificate) = Certificate::from_der(der) else { return };
    let body = &certificate.tbs_certificate;
    if at > 0 {
        let _ = writeln!(text, "Chain Subject: {}", one_line(&body.subject));
        let _ = writeln!(text, "Chain Issuer: {}", one_line(&body.issuer));
        return;
    }
    let names = body.get::<SubjectAltName>().ok().flatten();
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    let names: Vec<String> = names.iter().filter_map(alternative).collect();
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der);
    let lines = [
        ("Serial", hex(body.serial_number.as_bytes())),
        ("notBefore", date(body.validity.not_before)),
        ("notAfter", date(body.validity.not_after)),
        ("Subject Alternative Name", names.join(", ")),
        ("Algorithm", algorithm(&body.subject_public_key_info)),
        ("SHA1 FingerPrint", hex(sha1.as_ref())),
        ("Subject", one_line(&body.subject)),
        ("Issuer", one_line(&body.issuer)),
    ];
    for (key, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "{key}: {value}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// `Nov 28 08:16:04 2026 GMT`.
fn date(time: Time) -> String {
    let since: Duration = time.to_unix_duration();
    let at = i64::try_from(since.as_secs()).ok().and_then(|it| Timestamp::from_second(it).ok());
    at.map(|at| at.strftime("%b %e %H:%M:%S %Y GMT").to_string()).unwrap_or_default()
}

/// `/C=DE/CN=a.test`. A certificate says what it likes: nothing that ends a line.
fn one_line(name: &Name) -> String {
    let text: String = name.0.iter().map(|part| format!("/{part}")).collect();
    plain(&text)
}

fn plain(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).collect()
}

fn alternative(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(format!("DNS:{}", plain(name.as_str()))),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
            let address = v4.or_else(|_| v6()).ok()?;
            Some(format!("IP Address:{address}"))
        }
        _ => None,
    }
}

const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// `RSA2048`, `EC256`.
fn algorithm(key: &SubjectPublicKeyInfoOwned) -> String {
    match key.algorithm.oid {
        RSA_KEY => modulus_bits(key).map(|bits| format!("RSA{bits}")).unwrap_or_default(),
        EC_KEY => {
            let curve = key.algorithm.parameters.as_ref();
            let curve = curve.and_then(|it| it.decode_as::<ObjectIdentifier>().ok());
            let word = match curve {
                Some(P256) => "EC256",
                Some(P384) => "EC384",
                Some(P521) => "EC521",
                _ => "EC",
            };
            word.to_owned()
        }
        ED25519 => "ED25519".to_owned(),
        _ => String::new(),
    }
}

fn modulus_bits(key: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    let bytes = key.subject_public_key.as_bytes()?;
    let mut reader = SliceReader::new(bytes).ok()?;
    let modulus = reader.sequence(|inner| {
        let modulus = UintRef::decode(inner)?;
        UintRef::decode(inner)?;
        Ok(modulus)
    });
    let modulus = modulus.ok()?;
    let zeros = modulus.as_bytes().first()?.leading_zeros() as usize;
    Some(modulus.as_bytes().len() * 8 - zeros)
}
