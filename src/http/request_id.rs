//! Ids by which a request is found again: in the fields of its backend and its client, in our own
//! pages, in the access log.
//!
//! ```text
//!   X-Request-Id: abc-1     keep, and it is fit    abc-1
//!   X-Request-Id: a b       keep, and it is not    0199c0de7f3a5b1d09e2c4f6a8b7d1e3
//!   none, or new                                   \__time__/\_______random______/
//! ```
//!
//! An id that is made is 128 bits: 48 of milliseconds since 1970, as in a UUID of version 7, so
//! that ids sort by time, and 80 of a seeded generator. It is unique, and no secret.

use std::fmt;
use std::time::{Instant, SystemTime};

use super::Fields;
use super::fields::FieldKind;
use crate::config::RequestIds;
use crate::limits::REQUEST_ID_BYTES_MAX;

/// The id of one request, in place: it needs no memory of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    bytes: [u8; REQUEST_ID_BYTES_MAX],
    length: u8,
}

/// What makes ids.
#[derive(Debug)]
pub struct RequestIdMaker {
    random: fastrand::Rng,
    began: Instant,
    /// The same moment in milliseconds since 1970.
    began_ms: u64,
}

impl RequestId {
    /// None yet.
    pub const NONE: RequestId = RequestId { bytes: [0; REQUEST_ID_BYTES_MAX], length: 0 };

    /// This one, if it is fit to be passed on: short, and of letters, digits and what ids and
    /// base64 are written with. Nothing in it needs escaping in a log, in HTML or in a shell's
    /// quotes.
    pub fn kept(bytes: &[u8]) -> Option<RequestId> {
        let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-./:;=@_~".contains(byte);
        let is_one = (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len());
        if !is_one || !bytes.iter().all(is_fit) {
            return None;
        }
        let mut id = RequestId { length: bytes.len() as u8, ..RequestId::NONE };
        id.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(id)
    }

    /// Its letters; none, if it is [`NONE`](Self::NONE).
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The same as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Whether it is [`NONE`](Self::NONE).
    pub fn is_none(&self) -> bool {
        self.length == 0
    }
}

impl Default for RequestId {
    fn default() -> RequestId {
        RequestId::NONE
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.as_str())
    }
}

impl RequestIdMaker {
    /// One that draws from this seed, at this moment.
    pub fn new(seed: u64, now: Instant, clock: SystemTime) -> RequestIdMaker {
        let since = clock.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let random = fastrand::Rng::with_seed(seed);
        RequestIdMaker { random, began: now, began_ms: since.as_millis() as u64 }
    }

    /// The id of a request whose fields these are, in `input`.
    pub fn of(
        &mut self,
        fields: &Fields,
        input: &[u8],
        wanted: RequestIds,
        now: Instant,
    ) -> RequestId {
        let mut came = fields.of_kind(FieldKind::RequestId);
        // Two of them are one of somebody's making: neither is followed.
        let alone = came.next().filter(|_| wanted == RequestIds::Keep && came.next().is_none());
        let kept = alone.and_then(|field| RequestId::kept(field.value.of(input)));
        kept.unwrap_or_else(|| self.make(now))
    }

    /// A new id.
    pub fn make(&mut self, now: Instant) -> RequestId {
        let after = now.saturating_duration_since(self.began).as_millis() as u64;
        let millis = self.began_ms.wrapping_add(after);
        let first = millis << 16 | u64::from(self.random.u16(..));
        let mut id = RequestId { length: 32, ..RequestId::NONE };
        for (half, number) in id.bytes.chunks_exact_mut(16).zip([first, self.random.u64(..)]) {
            for (at, digit) in half.iter_mut().enumerate() {
                *digit = b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize & 15];
            }
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_id_is_kept_if_it_is_short_and_needs_no_escaping() {
        let uuid = "0199c0de-7f3a-7b1d-89e2-c4f6a8b7d1e3";
        let longest = "x".repeat(REQUEST_ID_BYTES_MAX);
        let fit = [uuid, "a", "Root=1-67891233-abcdef;Self=1-2", "AbC+/9==", "a.b_c~d:e@f"];
        for id in fit.into_iter().chain([&*longest]) {
            assert_eq!(RequestId::kept(id.as_bytes()).unwrap().as_str(), id);
        }
        let longer = longest.clone() + "x";
        let unfit = ["", "a b", "a,b", "a\"b", "<b>", "a\\b", "a\tb", "\u{e9}", "a'b", "$(id)"];
        for id in unfit.into_iter().chain([&*longer]) {
            assert_eq!(RequestId::kept(id.as_bytes()), None, "{id:?}");
        }
    }

    #[test]
    fn ids_that_are_made_are_hexadecimal_and_sort_by_time() {
        let now = Instant::now();
        let clock = SystemTime::UNIX_EPOCH + Duration::from_millis(0x0199_c0de_7f3a);
        let mut maker = RequestIdMaker::new(7, now, clock);
        let mut all: Vec<String> = Vec::new();
        for after in 0..1000 {
            let id = maker.make(now + Duration::from_millis(after));
            assert!(id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
            all.push(id.as_str().to_owned());
        }
        assert!(all[0].starts_with("0199c0de7f3a") && all[0].len() == 32, "{}", all[0]);
        assert!(all.is_sorted());
        let same = [maker.make(now), maker.make(now)];
        assert_ne!(same[0], same[1]);
        assert_ne!(RequestIdMaker::new(8, now, clock).make(now).as_str(), all[0]);
    }
}
