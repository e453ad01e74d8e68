//! Which sticky cookie leads to which server, in each pool that has one.
//!
//! A cookie's value is a MAC of the backend's name under a secret: who has none cannot tell what
//! it stands for, nor make one for a backend that was not given to him. It says nothing else, so
//! nothing has to be decrypted: the values of all backends lie in a table.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand;

use crate::config::{Sticky, counted};
use crate::event::{PoolId, ServerId};
use crate::http::added::Cookie;
use crate::limits::STICKY_KEY_BYTES_MIN;

use super::Backends;

/// What the values are made with.
#[derive(Clone)]
pub struct StickyKey(hmac::Key);

/// The value of a cookie: 128 bits in hexadecimal, more than can be guessed.
pub type Token = [u8; 2 * TOKEN_BYTES];

const TOKEN_BYTES: usize = 16;

/// The secret has other uses one day: what is signed says what for.
const PURPOSE: &[u8] = b"pointsman sticky cookie\0";

/// The sticky cookie of a pool: which seat a value leads to, and which value a seat has. Without a
/// key there are none.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    key: Option<StickyKey>,
    cookie: Option<Cookie>,
    whose: HashMap<Token, usize>,
    of: Vec<Option<Token>>,
}

impl Tokens {
    pub fn new(key: Option<StickyKey>, sticky: &Sticky) -> Tokens {
        let cookie = Cookie::of(sticky).filter(|_| key.is_some());
        Tokens { key, cookie, ..Tokens::default() }
    }

    /// The cookie, if there is one.
    pub fn cookie(&self) -> Option<&Cookie> {
        self.cookie.as_ref()
    }

    /// The server of this name has this seat from now on.
    pub fn add(&mut self, index: usize, name: &str) {
        let Some(key) = &self.key else { return };
        let token = key.token(name);
        if self.of.len() <= index {
            self.of.resize(index + 1, None);
        }
        self.of[index] = Some(token);
        // Of two with one name, the cookie is the later one's.
        if let Some(before) = self.whose.insert(token, index) {
            self.of[before] = None;
        }
    }

    /// The seat is vacant.
    pub fn remove(&mut self, index: usize) {
        let token = self.of.get_mut(index).and_then(Option::take);
        if let Some(token) = token {
            self.whose.remove(&token);
        }
    }

    fn token(&self, index: usize) -> Option<&str> {
        std::str::from_utf8(self.of.get(index)?.as_ref()?).ok()
    }

    /// The table hashes the whole value under keys of its own, and compares with nothing unless
    /// that is equal: how long it takes says nothing of how much was right.
    fn seat(&self, token: &[u8]) -> Option<usize> {
        self.whose.get(&Token::try_from(token).ok()?).copied()
    }

    pub fn check_invariants(&self, is_taken: impl Fn(usize) -> bool) {
        for (token, &index) in &self.whose {
            assert!(is_taken(index) && self.of[index] == Some(*token), "cookies and seats");
        }
        let some = self.of.iter().flatten().count();
        assert_eq!(some, self.whose.len(), "seats and cookies");
    }
}

impl StickyKey {
    /// One that nobody else has, and that is gone with this process.
    pub fn random() -> Result<StickyKey, &'static str> {
        let mut secret = [0; STICKY_KEY_BYTES_MIN];
        rand::fill(&mut secret).map_err(|_| "the system has no random bytes")?;
        Ok(StickyKey(hmac::Key::new(HMAC_SHA256, &secret)))
    }

    /// What a file says, without the end of its line. If not, what is wrong with it.
    pub fn from_text(text: &[u8]) -> Result<StickyKey, String> {
        let secret = text.strip_suffix(b"\n").unwrap_or(text);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        if secret.len() < STICKY_KEY_BYTES_MIN {
            let found = counted(secret.len(), "byte");
            return Err(format!(
                "found {found}, want {STICKY_KEY_BYTES_MIN} or more that nobody can guess, \
                 such as 'openssl rand -hex 32' writes"
            ));
        }
        Ok(StickyKey(hmac::Key::new(HMAC_SHA256, secret)))
    }

    fn token(&self, name: &str) -> Token {
        let tag = hmac::sign(&self.0, &[PURPOSE, name.as_bytes()].concat());
        let mut token = [b'0'; 2 * TOKEN_BYTES];
        for (pair, byte) in token.chunks_exact_mut(2).zip(tag.as_ref()) {
            for (place, digit) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *place = b"0123456789abcdef"[usize::from(digit)];
            }
        }
        token
    }
}

impl fmt::Debug for StickyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StickyKey(..)")
    }
}

impl Backends {
    /// The value of the cookie that leads to a server in a pool.
    pub fn token(&self, id: ServerId, pool: Option<PoolId>) -> Option<&str> {
        let place = self.place_in(id, pool?)?;
        self.pools.get(place.pool)?.tokens.token(place.index as usize)
    }

    /// Whose cookie this is, if that server could be picked now, or keeps such clients.
    pub fn by_token(&self, token: &[u8], pool: Option<PoolId>) -> Option<ServerId> {
        let found = self.pools.get(pool?)?;
        let is_good = |index: &usize| found.keeps(*index) || found.is_only_full(*index);
        let index = found.tokens.seat(token).filter(is_good)?;
        found.seat(index).map(|seat| seat.server)
    }

    /// Whether it is in this pool and could be picked for a request now: a cookie opens nothing
    /// that is closed to those without one, and no backup before its time.
    pub fn takes(&self, id: ServerId, pool: Option<PoolId>) -> bool {
        let Some(pool) = pool else { return false };
        let here = self.place_in(id, pool).zip(self.pools.get(pool));
        here.is_some_and(|(place, pool)| pool.keeps(place.index as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_mac_of_the_name() {
        let key = StickyKey::from_text(&[b'k'; 32]).unwrap();
        let token = key.token("a");
        // printf 'pointsman sticky cookie\0a' | openssl dgst -sha256 -hmac kkkkkkkk...
        assert_eq!(std::str::from_utf8(&token), Ok("9e0e705f0ed1039cf953320020243931"));
        assert_ne!(token, key.token("b"));
        let other = StickyKey::from_text(&[b'K'; 32]).unwrap();
        assert_ne!(token, other.token("a"));
        let random = [StickyKey::random(), StickyKey::random()];
        let [one, two] = random.map(|key| key.unwrap().token("a"));
        assert_ne!(one, two);
    }

    #[test]
    fn a_key_is_long_enough_or_refused() {
        let with =
            |end: &str| StickyKey::from_text(format!("{}{end}", "x".repeat(32)).as_bytes());
        for end in ["", "\n", "\r\n", "more"] {
            assert_eq!(
                with(end).unwrap().token("a") == with("").unwrap().token("a"),
                end != "more"
            );
        }
        for short in ["", "\n", &"x".repeat(31), &format!("{}\r\n", "x".repeat(31))] {
            let why = StickyKey::from_text(short.as_bytes()).unwrap_err();
            let wanted = format!("found {} bytes, want 32 or more", short.trim_end().len());
            assert!(why.starts_with(&wanted), "{why}");
        }
        assert_eq!(format!("{:?}", with("").unwrap()), "StickyKey(..)");
    }
}
