//! From an answer to the members of a pool, and from one set to the next.
//!
//! ```text
//!   SRV  priority 1  a 10, b 30    ->  a, b: weights 10 and 30
//!        priority 2  c             ->  c: a backup
//! ```
//!
//! The lowest priority is in use, all others are backups alike: a pool has one row of them. Weights
//! stay as they are where none of their priority is more than 256, and are brought down together
//! otherwise; one of 0, which is "hardly ever", is 1.

use std::cmp::Ordering;
use std::net::SocketAddr;

use super::Name;
use super::lookup::Endpoint;
use crate::limits::DNS_WEIGHT_MAX;

/// One address of a set, as a pool takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where it listens; each once in a set.
    pub address: SocketAddr,
    /// The host that has it.
    pub target: Name,
    /// 1 to 256; `None` where the records say nothing of it.
    pub weight: Option<u32>,
    /// Whether it is for when none of the others is there.
    pub is_backup: bool,
}

/// What became of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// New ones.
    pub added: Vec<Member>,
    /// Those that are to be drained.
    pub gone: Vec<Member>,
    /// Those that stay but with another weight, host or rank; as they are now.
    pub changed: Vec<Member>,
    /// How many stay as they are.
    pub stayed: usize,
}

impl Change {
    /// Whether all is as it was.
    pub fn is_none(&self) -> bool {
        self.added.is_empty() && self.gone.is_empty() && self.changed.is_empty()
    }
}

/// The members that these endpoints are, by address. Of two with the same address the one with the
/// lower priority counts, then the one with the higher weight.
pub fn members(endpoints: &[Endpoint]) -> Vec<Member> {
    let mut sorted: Vec<&Endpoint> = endpoints.iter().collect();
    sorted.sort_by(|one, other| {
        let by_rank = || one.priority.cmp(&other.priority).then(other.weight.cmp(&one.weight));
        let by_target = || one.target.cmp(&other.target);
        one.address.cmp(&other.address).then_with(by_rank).then_with(by_target)
    });
    sorted.dedup_by_key(|endpoint| endpoint.address);
    let first = sorted.iter().map(|endpoint| endpoint.priority).min().unwrap_or_default();
    let highest = |is_first: bool| {
        let of_rank = sorted.iter().filter(|endpoint| (endpoint.priority == first) == is_first);
        of_rank.filter_map(|endpoint| endpoint.weight).max().unwrap_or_default()
    };
    let in_use = highest(true);
    let of_backups = highest(false);
    let member = |endpoint: &&Endpoint| {
        let is_backup = endpoint.priority != first;
        let highest = if is_backup { of_backups } else { in_use };
        Member {
            address: endpoint.address,
            target: endpoint.target.clone(),
            weight: endpoint.weight.map(|weight| scaled(weight, highest)),
            is_backup,
        }
    };
    sorted.iter().map(member).collect()
}

/// A weight among those of which this is the highest.
fn scaled(weight: u16, highest: u16) -> u32 {
    let weight = u32::from(weight);
    let highest = u32::from(highest);
    let scaled = if highest > DNS_WEIGHT_MAX {
        (weight * DNS_WEIGHT_MAX + highest / 2) / highest
    } else {
        weight
    };
    scaled.clamp(1, DNS_WEIGHT_MAX)
}

/// From one set to the next, both by address: one walk along both.
pub fn difference(old: &[Member], new: &[Member]) -> Change {
    walk(old, new, |one, other| one.address.cmp(&other.address))
}

fn walk(
    old: &[Member],
    new: &[Member],
    mut compare: impl FnMut(&Member, &Member) -> Ordering,
) -> Change {
    let mut change = Change::default();
    let mut olds = old.iter().peekable();
    let mut news = new.iter().peekable();
    loop {
        let order = match (olds.peek(), news.peek()) {
            (Some(one), Some(other)) => compare(one, other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return change,
        };
        let one = if order.is_le() { olds.next() } else { None };
        let other = if order.is_ge() { news.next() } else { None };
        match (one, other) {
            (Some(one), Some(other)) if one == other => change.stayed += 1,
            (Some(_), Some(other)) => change.changed.push(other.clone()),
            (one, other) => {
                change.gone.extend(one.cloned());
                change.added.extend(other.cloned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(address: &str, priority: u16, weight: Option<u16>) -> Endpoint {
        let target = Name::new("a.example").unwrap();
        Endpoint { address: address.parse().unwrap(), target, priority, weight }
    }

    fn weights(endpoints: &[Endpoint]) -> Vec<(Option<u32>, bool)> {
        members(endpoints).iter().map(|member| (member.weight, member.is_backup)).collect()
    }

    #[test]
    fn the_lowest_priority_is_in_use_and_weights_are_heeded() {
        let set = [
            endpoint("10.0.0.3:80", 2, Some(60_000)),
            endpoint("10.0.0.1:80", 1, Some(30)),
            endpoint("10.0.0.2:80", 1, Some(0)),
            endpoint("10.0.0.4:80", 3, Some(600)),
        ];
        let want = [(30, false), (1, false), (256, true), (3, true)];
        assert_eq!(weights(&set), want.map(|(weight, is_backup)| (Some(weight), is_backup)));
        let plain = [endpoint("10.0.0.1:80", 0, None)];
        assert_eq!(weights(&plain), [(None, false)]);
    }

    #[test]
    fn of_two_with_one_address_the_better_counts() {
        let set = [
            endpoint("10.0.0.1:80", 2, Some(9)),
            endpoint("10.0.0.1:80", 1, Some(5)),
            endpoint("10.0.0.1:80", 1, Some(7)),
            endpoint("10.0.0.1:81", 1, Some(7)),
        ];
        assert_eq!(weights(&set), [(Some(7), false); 2]);
    }

    #[test]
    fn a_thousand_changed_by_half_is_one_walk() {
        let set = |from: u32| -> Vec<Member> {
            let endpoints: Vec<Endpoint> = (from..from + 1000)
                .map(|n| endpoint(&format!("10.0.{}.{}:80", n >> 8, n & 255), 0, None))
                .collect();
            members(&endpoints)
        };
        let mut compared = 0;
        let change = walk(&set(0), &set(500), |one, other| {
            compared += 1;
            one.address.cmp(&other.address)
        });
        assert_eq!((change.added.len(), change.gone.len(), change.stayed), (500, 500, 500));
        assert_eq!(compared, 1000, "each of the old ones once");
        assert_eq!(difference(&set(0), &set(500)), change);
        assert!(difference(&set(0), &set(0)).is_none());
    }

    #[test]
    fn another_weight_is_a_change_and_no_coming_and_going() {
        let old = members(&[endpoint("10.0.0.1:80", 1, Some(5))]);
        let new = members(&[endpoint("10.0.0.1:80", 1, Some(6))]);
        let change = difference(&old, &new);
        assert_eq!(change.changed, new);
        assert!(change.added.is_empty() && change.gone.is_empty() && !change.is_none());
    }
}
