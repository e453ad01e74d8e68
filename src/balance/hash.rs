//! What the hashing algorithms share: one hash, and one order of the backends, on every instance.
//!
//! The hash is SipHash-1-3 under a fixed key (Aumasson and Bernstein, 2012): two balancers before
//! the same backends agree. Backends are placed in the order of their names, so the order of the
//! flags does not matter.

use std::net::IpAddr;

use siphasher::sip::SipHasher13;

use super::weights::Weights;
use super::{Ask, Candidates};
use crate::limits::HASH_KEY;

/// Of what the asker is placed by, differently in each attempt.
pub fn hash_ask(ask: &Ask, attempt: u32) -> u64 {
    let Some(key) = ask.key else { return hash_client(ask.client, attempt) };
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&attempt.to_le_bytes());
    bytes[4..].copy_from_slice(&key.to_le_bytes());
    hasher(0).hash(&bytes)
}

/// Of any bytes.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    hasher(0).hash(bytes)
}

/// Of a client's address, differently in each attempt.
fn hash_client(client: IpAddr, attempt: u32) -> u64 {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&attempt.to_le_bytes());
    let used = match client.to_canonical() {
        IpAddr::V4(address) => {
            bytes[4..8].copy_from_slice(&address.octets());
            8
        }
        IpAddr::V6(address) => {
            bytes[4..].copy_from_slice(&address.octets());
            20
        }
    };
    hasher(0).hash(&bytes[..used])
}

/// Of a backend's name, differently for each `salt` above 0.
pub fn hash_name(name: &str, salt: u64) -> u64 {
    hasher(salt).hash(name.as_bytes())
}

/// The backends in the order of their names, and a draw among those that take connections.
#[derive(Debug, Clone, Default)]
pub struct ByName {
    /// Seats of candidates.
    order: Vec<u32>,
    /// Where in the order each candidate is.
    places: Vec<u32>,
    open: Weights,
    /// Members changed since these were derived.
    stale: bool,
}

impl ByName {
    /// A member came or went, or has another name or weight: the order is not true any more.
    pub fn members_changed(&mut self) {
        self.stale = true;
    }

    /// Derive the order anew if it is not true any more; says whether that was so. Before the first
    /// use, so that of many changes in a row only the last one costs something.
    pub fn settle(&mut self, set: &Candidates) -> bool {
        if !self.stale {
            return false;
        }
        self.stale = false;
        self.order.clear();
        self.order.extend(set.iter().map(|(seat, _)| seat as u32));
        self.order.sort_by_key(|&seat| &set[seat as usize].name);
        self.places.resize(set.seats(), 0);
        for (place, &seat) in self.order.iter().enumerate() {
            self.places[seat as usize] = place as u32;
        }
        self.open.rebuild(self.order.iter().map(|&seat| open(set, seat as usize)));
        true
    }

    /// As [`super::Balance::changed`].
    pub fn changed(&mut self, set: &Candidates, index: usize) {
        if !self.stale {
            self.open.set(self.places[index] as usize, open(set, index));
        }
    }

    /// Seats of the candidates in the order of their names.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The one at this hash among those that take connections, by configured weight. It changes
    /// with every change of who they are, so it is for when the stable ways have failed.
    pub fn draw(&self, hash: u64) -> Option<usize> {
        Some(self.order[self.open.at_fraction(hash)?] as usize)
    }
}

fn hasher(salt: u64) -> SipHasher13 {
    SipHasher13::new_with_keys(HASH_KEY.0, HASH_KEY.1 ^ salt)
}

fn open(set: &Candidates, index: usize) -> u32 {
    set[index].open_weight().map_or(0, |_| set[index].weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_same_client() {
        let hash = |text: &str, attempt| hash_client(text.parse().unwrap(), attempt);
        assert_eq!(hash("192.0.2.1", 0), hash("::ffff:192.0.2.1", 0));
        assert_ne!(hash("192.0.2.1", 0), hash("192.0.2.2", 0));
        assert_ne!(hash("192.0.2.1", 0), hash("192.0.2.1", 1));
        assert_ne!(hash("2001:db8::1", 0), hash("2001:db8::2", 0));
    }

    #[test]
    fn the_hash_is_the_same_everywhere_and_always() {
        let client = "192.0.2.1".parse().unwrap();
        assert_eq!(hash_client(client, 0), 1_235_743_642_159_425_839);
        assert_eq!(hash_name("127.0.0.1:8001", 1), 11_108_897_299_940_000_053);
    }
}
