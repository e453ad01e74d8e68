//! Who may not come for a while: networks with an end, a reason, and who said so.
//!
//! Pure; the time is passed in. The end is an [`Instant`], so that no clock that is set moves it,
//! and beside it stands what the clock on the wall will say, for people and for the next process.
//!
//! A look at an address is one probe of a hash table for each length of prefix that some ban has.
//! At the most bans there may be the one that ends soonest makes room: of those that were made by
//! strikes, as long as there is one. What somebody told never makes room for them.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::time::{Duration, Instant, SystemTime};

use crate::config::Cidr;
use crate::limits::BANS_MAX;

/// Who stands behind a ban that nobody told.
pub const BY_STRIKES: &str = "strikes";

/// A network that is banned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Until then.
    pub until: Instant,
    /// The same by the clock on the wall, as it was when this began.
    pub ends: SystemTime,
    /// Since when.
    pub since: SystemTime,
    /// For people.
    pub why: String,
    /// Who said so.
    pub by: String,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Bans {
    all: HashMap<Cidr, Ban>,
    /// The same, in the order in which they are listed.
    order: BTreeSet<Cidr>,
    /// The same, in the order in which they end.
    ends: BTreeSet<(Instant, Cidr)>,
    /// Those of them that were made by strikes.
    ends_by_strikes: BTreeSet<(Instant, Cidr)>,
    /// How many there are of each length of prefix, the longest first; of IPv4 and IPv6.
    lengths: [Vec<(u8, usize)>; 2],
}

/// What became of a new ban.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// It was not there.
    New,
    /// There was one of the same network.
    Instead(Ban),
    /// There were too many: this one ended for it.
    InPlaceOf(Cidr),
    /// It is not there: there are too many that somebody told.
    NoRoom,
}

impl Ban {
    /// From now on, for so long.
    pub fn lasting(time: Duration, why: &str, by: &str, now: Instant, wall: SystemTime) -> Ban {
        Ban {
            until: now + time,
            ends: wall + time,
            since: wall,
            why: why.to_owned(),
            by: by.to_owned(),
        }
    }

    /// Whether nobody told it.
    pub fn is_by_strikes(&self) -> bool {
        self.by == BY_STRIKES
    }

    /// How long it goes on.
    pub fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

impl Bans {
    /// This network may not come any more, whatever was said of it before.
    pub fn set(&mut self, network: Cidr, ban: Ban) -> Made {
        let made = match self.remove(network) {
            Some(before) => Made::Instead(before),
            None if self.all.len() >= BANS_MAX => match self.makes_room_for(&ban) {
                Some(other) => {
                    self.remove(other);
                    Made::InPlaceOf(other)
                }
                None => return Made::NoRoom,
            },
            None => Made::New,
        };
        self.ends.insert((ban.until, network));
        if ban.is_by_strikes() {
            self.ends_by_strikes.insert((ban.until, network));
        }
        self.order.insert(network);
        self.all.insert(network, ban);
        let lengths = self.lengths_of(network.address);
        match lengths.iter_mut().find(|(prefix, _)| *prefix == network.prefix) {
            Some((_, count)) => *count += 1,
            None => {
                lengths.push((network.prefix, 1));
                lengths.sort_unstable_by(|one, other| other.cmp(one));
            }
        }
        made
    }

    fn makes_room_for(&self, ban: &Ban) -> Option<Cidr> {
        let told = self.ends.first().filter(|_| !ban.is_by_strikes());
        self.ends_by_strikes.first().or(told).map(|(_, network)| *network)
    }

    /// This network may come again.
    pub fn remove(&mut self, network: Cidr) -> Option<Ban> {
        let ban = self.all.remove(&network)?;
        self.ends.remove(&(ban.until, network));
        self.ends_by_strikes.remove(&(ban.until, network));
        self.order.remove(&network);
        let lengths = self.lengths_of(network.address);
        lengths.retain_mut(|(prefix, count)| {
            *count -= usize::from(*prefix == network.prefix);
            *count > 0
        });
        Some(ban)
    }

    /// The ban of just this network.
    pub fn get(&self, network: Cidr) -> Option<&Ban> {
        self.all.get(&network)
    }

    /// The ban that holds for an address now, if one does; of several that of the longest prefix.
    pub fn find(&self, address: IpAddr, now: Instant) -> Option<(Cidr, &Ban)> {
        self.all_of(address).find(|(_, ban)| ban.until > now)
    }

    /// All that hold an address, the longest prefix first, whether they ended or not.
    pub fn all_of(&self, address: IpAddr) -> impl Iterator<Item = (Cidr, &Ban)> {
        let address = address.to_canonical();
        let lengths = &self.lengths[usize::from(address.is_ipv6())];
        lengths.iter().filter_map(move |(prefix, _)| {
            let network = Cidr::around(address, *prefix);
            Some((network, self.all.get(&network)?))
        })
    }

    /// One that is over by now, if there is one; it is forgotten.
    pub fn end_one(&mut self, now: Instant) -> Option<(Cidr, Ban)> {
        let (until, network) = self.ends.first().copied()?;
        if until > now {
            return None;
        }
        self.remove(network).map(|ban| (network, ban))
    }

    /// When the next one ends.
    pub fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// Those behind this one in the order of the list.
    pub fn behind(&self, last: Option<Cidr>) -> impl Iterator<Item = (Cidr, &Ban)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let networks = self.order.range((from, Bound::Unbounded));
        networks.filter_map(|network| Some((*network, self.all.get(network)?)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn lengths_of(&mut self, address: IpAddr) -> &mut Vec<(u8, usize)> {
        &mut self.lengths[usize::from(address.is_ipv6())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        Cidr::parse(text).unwrap()
    }

    fn ban(seconds: u64, now: Instant) -> Ban {
        Ban::lasting(Duration::from_secs(seconds), "", "test", now, SystemTime::UNIX_EPOCH)
    }

    fn found(bans: &Bans, address: &str, now: Instant) -> String {
        let found = bans.find(address.parse().unwrap(), now);
        found.map_or(String::new(), |(network, _)| network.to_string())
    }

    #[test]
    fn the_longest_prefix_that_holds_now_is_found() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let mut bans = Bans::default();
        assert!(bans.is_empty() && bans.next_end().is_none());
        for (network, seconds) in
            [("10.0.0.0/8", 30), ("10.1.0.0/16", 20), ("10.1.2.3", 10), ("2001:db8::/32", 5)]
        {
            assert_eq!(bans.set(cidr(network), ban(seconds, now)), Made::New);
        }
        let table = [
            ("10.1.2.3", 0, "10.1.2.3/32"),
            ("::ffff:10.1.2.3", 9, "10.1.2.3/32"),
            ("10.1.2.3", 10, "10.1.0.0/16"),
            ("10.1.2.3", 20, "10.0.0.0/8"),
            ("10.1.2.3", 30, ""),
            ("10.2.0.0", 0, "10.0.0.0/8"),
            ("11.0.0.0", 0, ""),
            ("2001:db8::1", 4, "2001:db8::/32"),
            ("2001:db8::1", 5, ""),
            ("2001:db9::1", 0, ""),
        ];
        for (address, after, want) in table {
            assert_eq!(found(&bans, address, later(after)), want, "{address} after {after} s");
        }
        assert_eq!(bans.all_of("10.1.2.3".parse().unwrap()).count(), 3);
        assert_eq!(bans.next_end(), Some(later(5)));
        let ended: Vec<String> = std::iter::from_fn(|| bans.end_one(later(10)))
            .map(|(network, _)| network.to_string())
            .collect();
        assert_eq!(ended, ["2001:db8::/32", "10.1.2.3/32"]);
        assert_eq!(bans.len(), 2);
    }

    #[test]
    fn a_ban_takes_the_place_of_one_of_the_same_network() {
        let now = Instant::now();
        let mut bans = Bans::default();
        bans.set(cidr("::1"), ban(5, now));
        let before = bans.get(cidr("::1")).cloned().unwrap();
        assert_eq!(bans.set(cidr("::1"), ban(9, now)), Made::Instead(before));
        assert_eq!(bans.len(), 1);
        assert_eq!(bans.next_end(), Some(now + Duration::from_secs(9)));
        assert!(bans.remove(cidr("::1")).is_some());
        assert!(bans.remove(cidr("::1")).is_none());
        assert!(bans.lengths.iter().all(Vec::is_empty) && bans.ends.is_empty());
    }

    #[test]
    fn at_the_most_there_may_be_the_one_that_ends_soonest_makes_room() {
        let now = Instant::now();
        let mut bans = Bans::default();
        for at in 0..BANS_MAX as u32 {
            let seconds = u64::from(at ^ 5) + 1;
            bans.set(Cidr::around(IpAddr::V4((at * 7).into()), 32), ban(seconds, now));
        }
        let next = cidr("2001:db8::/32");
        assert_eq!(bans.set(next, ban(100, now)), Made::InPlaceOf(cidr("0.0.0.35")));
        assert_eq!(bans.len(), BANS_MAX);
        assert!(found(&bans, "0.0.0.35", now).is_empty());
    }

    #[test]
    fn what_somebody_told_makes_no_room_for_what_strikes_made() {
        let now = Instant::now();
        let mut bans = Bans::default();
        let by_strikes = |seconds| Ban { by: BY_STRIKES.to_owned(), ..ban(seconds, now) };
        for at in 0..BANS_MAX as u32 - 1 {
            bans.set(Cidr::around(IpAddr::V4(at.into()), 32), ban(5, now));
        }
        assert_eq!(bans.set(cidr("::1"), by_strikes(900)), Made::New);
        assert_eq!(bans.set(cidr("::2"), by_strikes(900)), Made::InPlaceOf(cidr("::1")));
        assert_eq!(bans.set(cidr("::3"), ban(5, now)), Made::InPlaceOf(cidr("::2")));
        assert_eq!(bans.set(cidr("::4"), by_strikes(900)), Made::NoRoom);
        assert!(bans.ends_by_strikes.is_empty() && bans.len() == BANS_MAX);
        assert_eq!(bans.set(cidr("::4"), ban(9, now)), Made::InPlaceOf(cidr("0.0.0.0")));
    }

    #[test]
    fn they_are_listed_in_order_and_in_pieces() {
        let now = Instant::now();
        let mut bans = Bans::default();
        for network in ["::1", "192.0.2.0/24", "10.0.0.0/8", "192.0.2.0/25"] {
            bans.set(cidr(network), ban(1, now));
        }
        let mut last = None;
        let mut listed = Vec::new();
        while let Some((network, _)) = bans.behind(last).next() {
            listed.push(network.to_string());
            last = Some(network);
        }
        assert_eq!(listed, ["10.0.0.0/8", "192.0.2.0/24", "192.0.2.0/25", "::1/128"]);
    }
}
