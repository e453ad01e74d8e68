//! Session tickets under keys of a file: of a client that has one of another process, or of this
//! one before a restart, the session goes on. Without a file the keys are drawn by rustls.
//!
//! ```text
//!   ticket = name of the key (16) | nonce (12) | session, sealed by AES-256-GCM | tag (16)
//!            `---- authenticated -'
//! ```
//!
//! Each secret makes two things by HKDF: the name, which says of a ticket which key opens it, and
//! the key. A nonce is random, for several processes use one key.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use base64ct::{Base64, Base64Unpadded, Encoding};
use rustls::server::ProducesTickets;

use crate::config::{SettingKey, counted};
use crate::limits::{
    TICKET_KEY_BYTES, TICKET_KEYS_BYTES_MAX, TICKET_KEYS_MAX, TICKET_LIFETIME_SECONDS,
};

use super::super::file::read_bytes;
use super::files::FileError;

const SETTING: SettingKey = SettingKey::TICKET_KEYS;
const NAME_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// So that the same secret makes other keys elsewhere.
const PURPOSE: &[u8] = b"pointsman session tickets 1";

/// The keys of a file, of which there is one at least.
pub struct TicketKeys {
    keys: Vec<TicketKey>,
    /// What there is to be said of the file.
    warning: Option<String>,
}

/// One of them.
struct TicketKey {
    name: [u8; NAME_BYTES],
    key: RandomizedNonceKey,
}

impl TicketKeys {
    /// What a file has: a key on each line, the first for new tickets.
    pub fn read(file: &str) -> Result<TicketKeys, FileError> {
        let wrong = |why: &str| FileError::new(SETTING, file, why);
        let text = read_bytes(file, TICKET_KEYS_BYTES_MAX).map_err(|why| wrong(&why))?;
        let mut keys = TicketKeys::parse(&text).map_err(|why| wrong(&why))?;
        let mode = std::fs::metadata(file).map_or(0, |it| it.mode());
        if mode & 0o007 != 0 {
            keys.warning = Some(format!(
                "{file}: everybody on this machine may use it (mode {:04o}), and who has the \
                 keys can read what was recorded; want 0600 or 0640",
                mode & 0o7777
            ));
        }
        Ok(keys)
    }

    /// The same of its text; lines that are empty or begin with # say nothing.
    pub fn parse(text: &[u8]) -> Result<TicketKeys, String> {
        let text = std::str::from_utf8(text)
            .map_err(|_| "not text, want a key on each line in hex or base64".to_owned())?;
        let mut secrets: Vec<(usize, Vec<u8>)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = index + 1;
            let secret = secret(line).map_err(|why| format!("line {number}: {why}"))?;
            if let Some((before, _)) = secrets.iter().find(|(_, it)| *it == secret) {
                return Err(format!("line {number}: the key of line {before}, want another"));
            }
            if secrets.len() == TICKET_KEYS_MAX {
                return Err(format!(
                    "line {number}: found more than {TICKET_KEYS_MAX} keys, want the oldest taken \
                     out, with which no ticket was made for {} h",
                    TICKET_LIFETIME_SECONDS / 3600
                ));
            }
            secrets.push((number, secret));
        }
        if secrets.is_empty() {
            return Err("it has no key, want one on a line, such as 'openssl rand -hex 32' \
                        writes"
                .to_owned());
        }
        let keys: Option<_> = secrets.iter().map(|(_, secret)| TicketKey::of(secret)).collect();
        let keys = keys.ok_or("keys cannot be made of it")?;
        Ok(TicketKeys { keys, warning: None })
    }

    /// What there is to be said of the file, though it is good.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }
}

/// A line: 64 digits in hex are base64 as well, of other bytes, and nobody means those.
fn secret(line: &str) -> Result<Vec<u8>, String> {
    let is_hex = line.len().is_multiple_of(2) && line.bytes().all(|it| it.is_ascii_hexdigit());
    let bytes = if is_hex {
        let pairs = line.as_bytes().chunks_exact(2);
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        };
        pairs.map(byte).collect()
    } else {
        Base64::decode_vec(line).or_else(|_| Base64Unpadded::decode_vec(line)).ok()
    };
    // What is in a file of secrets is not repeated.
    let Some(bytes) = bytes else {
        return Err("neither hex nor base64, want a key such as 'openssl rand -hex 32' writes"
            .to_owned());
    };
    if !TICKET_KEY_BYTES.contains(&bytes.len()) {
        let [short, middle, long] = TICKET_KEY_BYTES;
        let found = counted(bytes.len(), "byte");
        return Err(format!(
            "found a key of {found}, want {short} ('openssl rand -hex {short}'), {middle} or {long}"
        ));
    }
    Ok(bytes)
}

/// How long what HKDF makes is.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl TicketKey {
    fn of(secret: &[u8]) -> Option<TicketKey> {
        let made = Salt::new(HKDF_SHA256, PURPOSE).extract(secret);
        let mut name = [0; NAME_BYTES];
        fill(&made, b"name", &mut name)?;
        let mut key = [0; 32];
        fill(&made, b"key", &mut key)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).ok()?;
        Some(TicketKey { name, key })
    }
}

fn fill(made: &Prk, what: &[u8], into: &mut [u8]) -> Option<()> {
    made.expand(&[what], Length(into.len())).ok()?.fill(into).ok()
}

impl ProducesTickets for TicketKeys {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_LIFETIME_SECONDS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let TicketKey { name, key } = self.keys.first()?;
        let mut sealed = plain.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(name), &mut sealed).ok()?;
        Some([&name[..], nonce.as_ref(), &sealed].concat())
    }

    /// What comes is whatever a client sends.
    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_BYTES)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        if sealed.len() < TAG_BYTES {
            return None;
        }
        // Names are no secrets.
        let found = self.keys.iter().find(|it| it.name == name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let plain = found.key.open_in_place(nonce, Aad::from(&found.name), &mut sealed).ok()?;
        Some(plain.to_vec())
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKeys({})", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const B: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHiA=";

    fn keys(lines: &[&str]) -> TicketKeys {
        TicketKeys::parse(lines.join("\n").as_bytes()).expect("they are good")
    }

    #[test]
    fn a_ticket_is_opened_by_whoever_has_its_key() {
        let ours = keys(&[A, B]);
        let ticket = ours.encrypt(b"a session").expect("a ticket");
        for (lines, opened) in [
            (&[A][..], true),
            (&[B, A], true),
            (&[B], false),
            (&["# the same with a word", "", &A.to_uppercase()], true),
        ] {
            let found = keys(lines).decrypt(&ticket);
            assert_eq!(found.as_deref(), opened.then_some(&b"a session"[..]), "{lines:?}");
        }
        let again = ours.encrypt(b"a session").expect("a ticket");
        assert_ne!(ticket, again, "nonces differ");
        assert!(!ticket.windows(9).any(|it| it == b"a session"));
    }

    #[test]
    fn garbage_opens_nothing() {
        let ours = keys(&[A]);
        let ticket = ours.encrypt(&[7; 100]).expect("a ticket");
        for length in 0..ticket.len() {
            assert_eq!(ours.decrypt(&ticket[..length]), None, "cut to {length}");
        }
        for at in 0..ticket.len() * 8 {
            let mut bent = ticket.clone();
            bent[at / 8] ^= 1 << (at % 8);
            assert_eq!(ours.decrypt(&bent), None, "bit {at}");
        }
        let mut longer = ticket.clone();
        longer.push(0);
        assert_eq!(ours.decrypt(&longer), None);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let mut noise = vec![0; random.usize(0..300)];
            random.fill(&mut noise);
            // The name of a key is on every ticket, so everybody has it.
            if random.bool() {
                noise.splice(0..noise.len().min(NAME_BYTES), ticket[..NAME_BYTES].to_vec());
            }
            assert_eq!(ours.decrypt(&noise), None, "{noise:?}");
        }
        let empty = ours.encrypt(b"").expect("a ticket");
        assert_eq!(ours.decrypt(&empty).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let many: Vec<String> =
            (0..=TICKET_KEYS_MAX).map(|number| format!("{number:064x}")).collect();
        for (text, says) in [
            ("".to_owned(), "it has no key, want one on a line"),
            ("# none\n\n".to_owned(), "it has no key"),
            (format!("{A}\nhello, world\n"), "line 2: neither hex nor base64"),
            (format!("\n{}\n", &A[2..]), "line 2: found a key of 31 bytes, want 32 ('openssl"),
            ("AAAg".to_owned(), "line 1: found a key of 3 bytes"),
            (format!("{A}\n{B}\n\n{A}\n"), "line 4: the key of line 1, want another"),
            (many.join("\n"), "line 17: found more than 16 keys"),
        ] {
            let why = TicketKeys::parse(text.as_bytes()).expect_err(&text);
            assert!(why.contains(says), "{why}");
            assert!(!why.contains(A), "a secret is told: {why}");
        }
        assert!(TicketKeys::parse(&[0xff; 48]).expect_err("no text").contains("not text"));
        // Files of HAProxy have 48 or 80 bytes on a line.
        for length in TICKET_KEY_BYTES {
            keys(&[&Base64::encode_string(&vec![1; length])]);
        }
    }
}
