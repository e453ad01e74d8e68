//! How often clients did what they should not, and whether it is time to ban them.
//!
//! A client's first strike opens a window; at so many within it the client is to be banned. Who
//! comes back and goes on is banned twice as long, up to a day, and who behaves for as long as the
//! last ban was starts afresh.
//!
//! The table is of one size, so that no flood makes it grow: 8 places for each hash under a secret
//! key. Whoever is forgotten soonest makes room.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use siphasher::sip::SipHasher13;

use crate::config::Cidr;
use crate::limits::{BAN_TIME_GROWN_MAX, CLIENT_PREFIX_V6, STRIKERS_MAX, STRIKERS_PER_BUCKET};

/// When clients are banned, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// At so many strikes.
    pub after: u32,
    /// Within this time.
    pub window: Duration,
    /// The first ban of a client lasts so long.
    pub time: Duration,
}

/// The table.
#[derive(Debug)]
pub struct Strikes {
    key: (u64, u64),
    /// What times are counted from.
    start: Instant,
    slots: Vec<Slot>,
    /// Clients that were forgotten before their time.
    pub displaced: u64,
}

/// What is known of a client: 32 bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Its network; IPv4 as it is mapped into IPv6. Zero: nobody.
    client: u128,
    /// Its window began then, in milliseconds.
    began: u64,
    /// It may be forgotten then, in seconds.
    forget: u32,
    /// In this window.
    strikes: u16,
    /// How often it was banned.
    bans: u16,
}

/// A client is to be banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Out {
    /// Its network.
    pub network: Cidr,
    /// For so long.
    pub time: Duration,
    /// Of how many strikes.
    pub strikes: u32,
}

/// What counts as one client: an address of IPv4, a network of IPv6.
pub fn client_of(address: IpAddr) -> Cidr {
    let prefix = if address.to_canonical().is_ipv4() { 32 } else { CLIENT_PREFIX_V6 };
    Cidr::around(address, prefix)
}

impl Strikes {
    /// Of nobody; the key is a secret.
    pub fn new(key: (u64, u64), now: Instant) -> Strikes {
        Strikes { key, start: now, slots: vec![Slot::default(); STRIKERS_MAX], displaced: 0 }
    }

    /// One more of this client.
    pub fn strike(&mut self, address: IpAddr, terms: &Terms, now: Instant) -> Option<Out> {
        let network = client_of(address);
        let since = now.saturating_duration_since(self.start);
        let window = terms.window.as_millis() as u64;
        let slot = self.slot_of(network, since);
        let at = since.as_millis() as u64;
        if slot.strikes == 0 || at.saturating_sub(slot.began) >= window {
            slot.began = at;
            slot.strikes = 0;
        }
        slot.strikes = slot.strikes.saturating_add(1);
        slot.forget = slot.forget.max(seconds(since + terms.window));
        if u32::from(slot.strikes) < terms.after {
            return None;
        }
        let strikes = u32::from(slot.strikes);
        let time = grown(terms.time, slot.bans);
        slot.strikes = 0;
        slot.bans = slot.bans.saturating_add(1);
        slot.forget = seconds(since + time + time);
        Some(Out { network, time, strikes })
    }

    /// Of what was counted of a client nothing is left.
    pub fn forgive(&mut self, network: Cidr) {
        let client = key_of(network);
        let bucket = self.bucket(client);
        let found = self.slots[bucket].iter_mut().find(|it| it.client == client);
        if let Some(slot) = found {
            *slot = Slot::default();
        }
    }

    /// The place of a client, made free if need be.
    fn slot_of(&mut self, network: Cidr, since: Duration) -> &mut Slot {
        let client = key_of(network);
        let bucket = self.bucket(client);
        let now = since.as_secs() as u32;
        let slots = &mut self.slots[bucket];
        let known = slots.iter().position(|it| it.client == client);
        let at = known.unwrap_or_else(|| {
            let soonest = slots.iter().enumerate().min_by_key(|(_, it)| it.forget);
            soonest.map_or(0, |(at, _)| at)
        });
        let slot = &mut slots[at];
        let is_over = slot.forget <= now;
        if known.is_none() && slot.client != 0 && !is_over {
            self.displaced += 1;
        }
        if known.is_none() || is_over {
            *slot = Slot { client, ..Slot::default() };
        }
        slot
    }

    fn bucket(&self, client: u128) -> std::ops::Range<usize> {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write(&client.to_ne_bytes());
        let buckets = STRIKERS_MAX / STRIKERS_PER_BUCKET;
        let at = hasher.finish() as usize % buckets * STRIKERS_PER_BUCKET;
        at..at + STRIKERS_PER_BUCKET
    }
}

/// The network without its length, which is the same for all of a family. `::/64` is nobody.
fn key_of(network: Cidr) -> u128 {
    match network.address {
        IpAddr::V4(it) => it.to_ipv6_mapped().to_bits(),
        IpAddr::V6(it) => Ipv6Addr::to_bits(it),
    }
}

/// Twice as long for each ban before.
fn grown(time: Duration, bans: u16) -> Duration {
    let times = 1_u32.checked_shl(u32::from(bans)).unwrap_or(u32::MAX);
    let most = BAN_TIME_GROWN_MAX.max(time);
    time.checked_mul(times).map_or(most, |it| it.min(most))
}

/// Rounded up, and never zero.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs() + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms =
        Terms { after: 3, window: Duration::from_secs(60), time: Duration::from_secs(600) };

    fn at(seconds: u64, start: Instant) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn so_many_strikes_within_the_window_are_a_ban_each_twice_as_long() {
        let start = Instant::now();
        let mut strikes = Strikes::new((1, 2), start);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let mut strike = |address, second| {
            let out = strikes.strike(address, &TERMS, at(second, start));
            out.map(|out| (out.network.to_string(), out.time.as_secs()))
        };
        assert_eq!(strike(address, 0), None);
        assert_eq!(strike(mapped, 30), None);
        // The first window is over.
        assert_eq!(strike(address, 60), None);
        assert_eq!(strike(address, 61), None);
        assert_eq!(strike(address, 119), Some(("192.0.2.1/32".to_owned(), 600)));
        // At once when it comes back.
        let back = 119 + 600;
        assert_eq!(strike(address, back), None);
        assert_eq!(strike(address, back), None);
        assert_eq!(strike(address, back), Some(("192.0.2.1/32".to_owned(), 1200)));
        // It behaved for long.
        let back = back + 2 * 1200 + 2;
        assert_eq!(strike(address, back), None);
        assert_eq!(strike(address, back), None);
        assert_eq!(strike(address, back), Some(("192.0.2.1/32".to_owned(), 600)));
        assert_eq!(strike("192.0.2.2".parse().unwrap(), back), None);
    }

    #[test]
    fn bans_grow_to_a_day_and_no_further() {
        let table = [
            (600, 0, 600),
            (600, 1, 1200),
            (600, 7, 76_800),
            (600, 8, 86_400),
            (600, 31, 86_400),
            (600, 32, 86_400),
            (600, u16::MAX, 86_400),
            (100_000, 3, 100_000),
        ];
        for (time, bans, want) in table {
            let time = Duration::from_secs(time);
            assert_eq!(grown(time, bans), Duration::from_secs(want), "{bans}");
        }
    }

    #[test]
    fn all_of_a_network_of_ipv6_is_one_client() {
        let start = Instant::now();
        let mut strikes = Strikes::new((1, 2), start);
        let mut out = None;
        for host in 1..=3 {
            let address = format!("2001:db8:0:7:{host}::1").parse().unwrap();
            out = strikes.strike(address, &TERMS, start);
        }
        assert_eq!(out.unwrap().network.to_string(), "2001:db8:0:7::/64");
    }

    #[test]
    fn who_is_forgiven_starts_afresh() {
        let start = Instant::now();
        let mut strikes = Strikes::new((1, 2), start);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..5 {
            assert_eq!(strikes.strike(address, &TERMS, start), None);
            assert_eq!(strikes.strike(address, &TERMS, start), None);
            strikes.forgive(client_of(address));
        }
    }

    #[test]
    fn a_flood_does_not_make_it_grow_and_who_was_banned_is_remembered_longer() {
        let start = Instant::now();
        let mut strikes = Strikes::new((1, 2), start);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let banned = (0..3).filter_map(|_| strikes.strike(address, &TERMS, start)).count();
        assert_eq!(banned, 1);
        for host in 0..500_000_u128 {
            let one = (0x2001_0db8_u128 << 96) | (host << 64);
            strikes.strike(IpAddr::V6(Ipv6Addr::from_bits(one)), &TERMS, start);
        }
        assert_eq!(strikes.slots.len(), STRIKERS_MAX);
        assert!(strikes.displaced > 400_000);
        let again = (0..3).filter_map(|_| strikes.strike(address, &TERMS, at(600, start)));
        let times: Vec<u64> = again.map(|out| out.time.as_secs()).collect();
        assert_eq!(times, [1200]);
    }

    #[test]
    fn a_slot_is_as_small_as_it_is_said_to_be() {
        assert_eq!(size_of::<Slot>() * STRIKERS_MAX, 1 << 20);
    }
}
