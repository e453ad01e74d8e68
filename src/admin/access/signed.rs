//! Registrations that are signed, where there is no TLS: HMAC-SHA256 by a key that both have.
//!
//! ```text
//!   Authorization: Pointsman key=web time=1795724612 signature=HEX
//!   signed is: METHOD \n PATH \n TIME \n the SHA-256 of the body in hex
//! ```

use aws_lc_rs::{digest, hmac};

use super::{Refusal, Who, refused};
use crate::config::{Tokens, from_hex, to_hex};
use crate::limits::SIGNED_SECONDS_MAX;

/// What `Authorization: Pointsman` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Who signed it.
    pub key: &'a str,
    /// When, in seconds since 1970.
    pub time: u64,
    /// The signature.
    pub signature: Vec<u8>,
}

/// The value of `Authorization`; `None` if it is of another scheme.
pub fn parse_signed(authorization: &[u8]) -> Option<Result<Signed<'_>, Refusal>> {
    let scheme = authorization.trim_ascii().split(|&b| b == b' ').next()?;
    scheme.eq_ignore_ascii_case(b"pointsman").then(|| {
        read(authorization).ok_or_else(|| {
            let detail = "want Authorization: Pointsman key=NAME time=SECONDS signature=HEX";
            refused(401, "bad-signature", detail)
        })
    })
}

fn read(authorization: &[u8]) -> Option<Signed<'_>> {
    let text = std::str::from_utf8(authorization).ok()?;
    let mut key = None;
    let mut time = None;
    let mut signature = None;
    for word in text.split_ascii_whitespace().skip(1) {
        let (name, value) = word.trim_end_matches(',').split_once('=')?;
        match name {
            "key" if key.is_none() => key = Some(value),
            "time" if time.is_none() && value.bytes().all(|b| b.is_ascii_digit()) => {
                time = Some(value.parse().ok()?);
            }
            "signature" if signature.is_none() => signature = Some(from_hex(value)?),
            _ => return None,
        }
    }
    Some(Signed { key: key?, time: time?, signature: signature? })
}

/// Who signed this request, whose body is whole, `now` being seconds since 1970.
pub fn check_signed(
    signed: &Signed<'_>,
    tokens: &Tokens,
    method: &[u8],
    path: &[u8],
    body: &[u8],
    now: u64,
) -> Result<Who, Refusal> {
    let wrong = || refused(401, "bad-signature", "nobody who may has signed this");
    let (token, key) = tokens.signer(signed.key).ok_or_else(wrong)?;
    let text = signed_text(method, path, signed.time, body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&key, &text, &signed.signature).map_err(|_| wrong())?;
    // Only who has the key is told of the clock.
    if signed.time.abs_diff(now) > SIGNED_SECONDS_MAX {
        let detail = format!(
            "signed at {}, and it is {now}: want at most {SIGNED_SECONDS_MAX} s between them",
            signed.time
        );
        return Err(Refusal { detail, ..refused(401, "stale-signature", "") });
    }
    Ok(Who { name: token.name.clone(), role: token.role.clone() })
}

/// The value of `Authorization` for a request, as a client of ours says it.
pub fn sign(
    name: &str,
    key: &[u8],
    method: &[u8],
    path: &[u8],
    body: &[u8],
    now: u64,
) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let signature = hmac::sign(&key, &signed_text(method, path, now, body));
    format!("Pointsman key={name} time={now} signature={}", to_hex(signature.as_ref()))
}

fn signed_text(method: &[u8], path: &[u8], time: u64, body: &[u8]) -> Vec<u8> {
    let body = to_hex(digest::digest(&digest::SHA256, body).as_ref());
    [method, b"\n", path, b"\n", time.to_string().as_bytes(), b"\n", body.as_bytes()].concat()
}
