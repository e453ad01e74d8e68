//! Which addresses may come, out of lists of networks: sorted ranges that do not overlap, and a
//! binary search.
//!
//! ```text
//!   allow 10.0.0.0/8, deny 10.1.0.0/16      the longest prefix wins, of two alike the denied one,
//!                                           and where anything is allowed the rest is denied
//!   0.0.0.0   10.0.0.0   10.1.0.0   10.2.0.0   11.0.0.0
//!   | denied  | allowed  | denied   | allowed  | denied ...       a range goes on until the next
//! ```
//!
//! Pure. Built in small steps by [`Building`], for a list may have a million lines; a range is
//! 8 bytes of IPv4 or 20 of IPv6, and a network that stands alone makes two of them.

mod building;

use std::net::{IpAddr, Ipv6Addr};

use crate::config::Cidr;

pub use building::{Building, ListId};

/// Whether addresses are let in, by their networks.
#[derive(Debug, PartialEq, Eq)]
pub struct Ranges {
    v4: Half<u32>,
    v6: Half<u128>,
    /// What the lists are called.
    lists: Vec<Box<str>>,
}

/// What is said of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// It may come.
    Allowed {
        /// For a list names it, not for want of one.
        is_listed: bool,
    },
    /// It may not.
    Denied(Denial<'a>),
}

/// Why an address may not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial<'a> {
    /// It is in this network.
    Listed {
        /// The network.
        network: Cidr,
        /// Of this list.
        list: &'a str,
    },
    /// Others are allowed.
    NotAllowed,
}

/// What is done with a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listing {
    /// It may not come.
    Deny,
    /// It may.
    Allow,
}

/// The ranges of one family.
#[derive(Debug, Default, PartialEq, Eq)]
struct Half<T> {
    /// Where each begins; the first one at zero.
    starts: Vec<T>,
    /// What holds there.
    verdicts: Vec<Verdict>,
}

/// What holds for a range: the rule, the length of the network's prefix, the number of its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Verdict(u32);

impl Verdict {
    const ALLOW: u32 = 1 << 31;
    const PREFIX_SHIFT: u32 = 23;
    const LIST_MASK: u32 = (1 << Verdict::PREFIX_SHIFT) - 1;
    /// No list names it.
    const UNLISTED: u32 = Verdict::LIST_MASK;

    fn new(rule: Listing, prefix: u8, list: u32) -> Verdict {
        let allow = if rule == Listing::Allow { Verdict::ALLOW } else { 0 };
        Verdict(allow | u32::from(prefix) << Verdict::PREFIX_SHIFT | list)
    }

    fn is_allowed(self) -> bool {
        self.0 & Verdict::ALLOW != 0
    }

    fn prefix(self) -> u8 {
        (self.0 >> Verdict::PREFIX_SHIFT) as u8
    }

    fn list(self) -> Option<usize> {
        let list = self.0 & Verdict::LIST_MASK;
        (list != Verdict::UNLISTED).then_some(list as usize)
    }
}

impl<T: Copy + Ord> Half<T> {
    fn find(&self, address: T) -> Option<Verdict> {
        let behind = self.starts.partition_point(|start| *start <= address);
        self.verdicts.get(behind.checked_sub(1)?).copied()
    }
}

impl Ranges {
    /// Out of networks that all are of one list; for few.
    pub fn of(list: &str, rule: Listing, networks: &[Cidr]) -> Ranges {
        let mut building = Building::default();
        let list = building.list(list, rule);
        networks.iter().for_each(|it| building.add(list, *it));
        building.finish()
    }

    /// What is said of this address. One that is IPv4-mapped is IPv4.
    pub fn find(&self, address: IpAddr) -> Found<'_> {
        let found = match address {
            IpAddr::V4(it) => self.v4.find(it.to_bits()),
            IpAddr::V6(it) => match it.to_ipv4_mapped() {
                Some(it) => self.v4.find(it.to_bits()),
                None => self.v6.find(it.to_bits()),
            },
        };
        let Some(verdict) = found else { return Found::Allowed { is_listed: false } };
        match (verdict.is_allowed(), verdict.list()) {
            (true, list) => Found::Allowed { is_listed: list.is_some() },
            (false, None) => Found::Denied(Denial::NotAllowed),
            (false, Some(list)) => Found::Denied(Denial::Listed {
                network: Cidr::around(address, verdict.prefix()),
                list: self.lists.get(list).map_or("", |it| it),
            }),
        }
    }

    /// Ranges of both families.
    pub fn len(&self) -> usize {
        self.v4.starts.len() + self.v6.starts.len()
    }

    /// Whether nothing is said of anybody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Denial::Listed { network, list } => write!(f, "{network} of {list}"),
            Denial::NotAllowed => f.write_str("not among those allowed"),
        }
    }
}

/// The bits of an address, and whether it is IPv6.
fn bits(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(it) => (false, u128::from(it.to_bits())),
        IpAddr::V6(it) => (true, Ipv6Addr::to_bits(it)),
    }
}

#[cfg(test)]
mod tests;
