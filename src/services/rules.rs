//! The rules of a service, ready to be asked: pools by their ids, files read.
//!
//! ```text
//!   rule 1  holds, edits       applied: 1
//!   rule 2  does not hold
//!   rule 3  holds, decides     applied: 1, 3; the answer, or the pool
//!   rule 4  is not asked
//! ```
//!
//! Pure, and without allocation for a request. The relays ask, and keep the rules that applied for
//! as long as the exchange lasts: a reload meanwhile makes others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;

use crate::balance;
use crate::config::{Condition, Facts, HeadEdit, RedirectTo, WHOLE};
use crate::event::PoolId;

/// All rules of a service, at most 64.
#[derive(Debug, Default)]
pub struct Rules {
    list: Vec<ReadyRule>,
    /// What each of them edits.
    pub edits: Vec<HeadEdit>,
    /// Bodies of answers of our own, by their statuses.
    pub pages: HashMap<u16, Arc<Page>>,
}

/// One rule.
#[derive(Debug)]
pub struct ReadyRule {
    /// All of these must hold.
    pub when: Vec<Condition>,
    /// What it decides, if anything.
    pub act: Option<Act>,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Act {
    /// It goes to this pool.
    Pool(Option<PoolId>),
    /// Of 10,000 clients so many go to each of these.
    Split(Vec<(Option<PoolId>, u32)>),
    /// It is redirected.
    Redirect(RedirectTo),
    /// It is answered with this status, and perhaps this body.
    Respond(u16, Option<Arc<Page>>),
}

/// A body of the operator's.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// What the rules came to.
#[derive(Debug)]
pub struct Decision<'a> {
    /// A bit for each rule that applies.
    pub applied: u64,
    /// The rule that decided, counted from 1, if one did.
    pub rule: Option<NonZeroU8>,
    /// What was decided.
    pub verdict: Decided<'a>,
}

/// What was decided of a request.
#[derive(Debug)]
pub enum Decided<'a> {
    /// The service's own pool serves.
    Nothing,
    /// This one does.
    Pool(Option<PoolId>),
    /// It is redirected.
    Redirect(&'a RedirectTo),
    /// It is answered here.
    Respond(u16, Option<&'a Arc<Page>>),
}

impl Rules {
    /// These, in their order, each with what it edits.
    pub fn new(
        list: Vec<(ReadyRule, HeadEdit)>,
        pages: HashMap<u16, Arc<Page>>,
    ) -> Option<Arc<Rules>> {
        if list.is_empty() && pages.is_empty() {
            return None;
        }
        let (list, edits) = list.into_iter().unzip();
        Some(Arc::new(Rules { list, edits, pages }))
    }

    /// Whether nothing is to be asked of requests: there are pages alone.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What becomes of a request.
    pub fn decide(&self, facts: &impl Facts) -> Decision<'_> {
        let mut applied = 0;
        for (index, rule) in self.list.iter().enumerate() {
            if !rule.when.iter().all(|condition| condition.holds(facts)) {
                continue;
            }
            if !self.edits[index].is_empty() {
                applied |= 1 << index;
            }
            let verdict = match &rule.act {
                None => continue,
                Some(Act::Pool(pool)) => Decided::Pool(*pool),
                Some(Act::Split(shares)) => match chosen(shares, facts.client()) {
                    Some(pool) => Decided::Pool(pool),
                    None => continue,
                },
                Some(Act::Redirect(to)) => Decided::Redirect(to),
                Some(Act::Respond(status, page)) => Decided::Respond(*status, page.as_ref()),
            };
            // because: there are at most 64.
            let rule = NonZeroU8::new(index as u8 + 1);
            return Decision { applied, rule, verdict };
        }
        Decision { applied, rule: None, verdict: Decided::Nothing }
    }
}

/// The pool whose share a client is in, if it is in one. A client stays in its share for as long as
/// the shares are these, and those before it do not change.
fn chosen(shares: &[(Option<PoolId>, u32)], client: IpAddr) -> Option<Option<PoolId>> {
    let hash = match client.to_canonical() {
        IpAddr::V4(address) => balance::hash_key(&address.octets()),
        IpAddr::V6(address) => balance::hash_key(&address.octets()),
    };
    let mut place = (hash % u64::from(WHOLE)) as u32;
    for &(pool, share) in shares {
        if place < share {
            return Some(pool);
        }
        place -= share;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Roster;

    #[test]
    fn a_client_stays_in_its_share_and_shares_are_kept() {
        let mut pools: Roster<(), crate::event::id::of::Pool> = Roster::default();
        let one = Some(pools.insert(()));
        let two = Some(pools.insert(()));
        let shares = [(one, 500), (two, 2_000)];
        let mut counts = [0, 0, 0];
        for number in 0..100_000_u32 {
            let client = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            let found = chosen(&shares, client);
            assert_eq!(found, chosen(&shares, client));
            let mapped: std::net::Ipv6Addr = match client {
                IpAddr::V4(client) => client.to_ipv6_mapped(),
                IpAddr::V6(client) => client,
            };
            assert_eq!(found, chosen(&shares, mapped.into()));
            // A larger share takes nobody away from the one before it.
            if found == Some(one) {
                assert_eq!(chosen(&[(one, 900)], client), Some(one));
            }
            counts[match found {
                Some(pool) if pool == one => 0,
                Some(_) => 1,
                None => 2,
            }] += 1;
        }
        assert!((4_700..5_300).contains(&counts[0]), "{counts:?}");
        assert!((19_400..20_600).contains(&counts[1]), "{counts:?}");
    }
}
