//! Whom a limit counts together: an address, a network of IPv6, what a header says, or everybody.
//!
//! 16 bytes. Those of clients are addresses as IPv6 writes them, so nothing has to be hashed to
//! find a client again by its address.

use std::net::IpAddr;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::limits::{NEIGHBOURS_IPV4_PREFIX, NEIGHBOURS_IPV6_PREFIX};

/// No client is a group of multicast: what begins with this is no address.
const NO_ADDRESS: u8 = 0xff;

/// After [`NO_ADDRESS`]: neighbours of IPv4.
const NEIGHBOURS_V4: u8 = 4;

/// Neighbours of IPv6.
const NEIGHBOURS_V6: u8 = 6;

/// A hash.
const HASHED: u8 = 8;

/// All who share a bucket.
const BUCKET: u8 = 9;

/// `::ffff:0:0/96`.
const MAPPED: u128 = 0xffff << 32;

/// Whom a limit counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(u128);

/// Under which secret texts are hashed: nobody can choose one that meets another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secret(u64, u64);

impl Secret {
    /// One of these 128 bits.
    pub fn of(bits: u128) -> Secret {
        Secret((bits >> 64) as u64, bits as u64)
    }

    /// The two halves.
    pub(super) fn halves(self) -> (u64, u64) {
        (self.0, self.1)
    }
}

impl ClientKey {
    /// All clients of a listener or service.
    pub const EVERYBODY: ClientKey = ClientKey::tagged(BUCKET, 0);

    const fn tagged(tag: u8, rest: u128) -> ClientKey {
        let tag = ((NO_ADDRESS as u128) << 8 | tag as u128) << 112;
        ClientKey(tag | rest & (u128::MAX >> 16))
    }

    /// A client by its address: all of it of IPv4, so many bits of IPv6.
    pub fn of_address(address: IpAddr, ipv6_prefix: u8) -> ClientKey {
        match address.to_canonical() {
            IpAddr::V4(address) => ClientKey(MAPPED | u128::from(address.to_bits())),
            IpAddr::V6(address) => ClientKey(first_bits(address.to_bits(), ipv6_prefix)),
        }
    }

    /// By a text, a header's value say.
    pub fn of_text(text: &[u8], secret: Secret) -> ClientKey {
        use std::hash::Hasher;
        let mut hasher = SipHasher13::new_with_keys(secret.0, secret.1);
        hasher.write(text);
        ClientKey::tagged(HASHED, hasher.finish128().as_u128())
    }

    /// Who has to share where there is no room for each: the client's /24 or /48, or all whose
    /// bucket this is.
    pub(super) fn neighbours(self, bucket: usize) -> ClientKey {
        let ClientKey(bits) = self;
        if (bits >> 120) as u8 == NO_ADDRESS {
            return ClientKey::tagged(BUCKET, bucket as u128 + 1);
        }
        if bits >> 32 == MAPPED >> 32 {
            let host_bits = 32 - u32::from(NEIGHBOURS_IPV4_PREFIX);
            return ClientKey::tagged(NEIGHBOURS_V4, (bits & 0xffff_ffff) >> host_bits);
        }
        let network = bits >> (128 - u32::from(NEIGHBOURS_IPV6_PREFIX));
        ClientKey::tagged(NEIGHBOURS_V6, network)
    }

    /// The halves of it.
    pub(super) fn words(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }

    /// Its bytes.
    pub(super) fn bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}

fn first_bits(address: u128, prefix: u8) -> u128 {
    address & !u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str, prefix: u8) -> ClientKey {
        ClientKey::of_address(address.parse().expect("an address"), prefix)
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_each_address_of_ipv4() {
        assert_eq!(key("2001:db8:1:2::1", 64), key("2001:db8:1:2:ffff::9", 64));
        assert_ne!(key("2001:db8:1:2::1", 64), key("2001:db8:1:3::1", 64));
        assert_eq!(key("2001:db8:1:2::1", 56), key("2001:db8:1:3::1", 56));
        assert_ne!(key("2001:db8:1:2::1", 128), key("2001:db8:1:2::2", 128));
        assert_ne!(key("192.0.2.1", 64), key("192.0.2.2", 64));
        assert_eq!(key("192.0.2.1", 64), key("::ffff:192.0.2.1", 64));
    }

    #[test]
    fn neighbours_share_a_24_or_a_48_and_no_key_is_one_of_another_kind() {
        let near = |address: &str| key(address, 64).neighbours(7);
        assert_eq!(near("192.0.2.1"), near("192.0.2.254"));
        assert_ne!(near("192.0.2.1"), near("192.0.3.1"));
        assert_eq!(near("2001:db8:1:2::1"), near("2001:db8:1:3::1"));
        assert_ne!(near("2001:db8:1::1"), near("2001:db8:2::1"));
        let secret = Secret::of(9);
        let text = ClientKey::of_text(b"alice", secret);
        assert_eq!(text, ClientKey::of_text(b"alice", secret));
        assert_ne!(text, ClientKey::of_text(b"alice", Secret::of(10)));
        assert_ne!(text, ClientKey::of_text(b"bob", secret));
        let bob = ClientKey::of_text(b"bob", secret);
        assert_eq!(text.neighbours(3), bob.neighbours(3));
        assert_ne!(text.neighbours(3), ClientKey::EVERYBODY);
    }
}
