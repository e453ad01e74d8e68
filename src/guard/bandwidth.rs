//! Bytes a second that the clients of a listener are sent, each client with all its connections.
//!
//! What was sent is owed in bytes, and paid by waiting: who owes more than the burst has to wait
//! until it owes no more than that. Nobody is asked before a write, so a turn may send more than
//! the share; then the wait is longer.
//!
//! ```text
//!   bytes paid since the start   ____/----      a clock that counts bytes where others count
//!                            ___/               seconds; its pace is the rate. Another rate bends
//!                                               it, and holds for all that is owed already
//! ```
//!
//! Pure: the time is passed in, as [`super::Guard::time`] has it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::common::Shape;
use super::key::ClientKey;
use super::limits::Fill;
use super::rules::{Refused, RuleBook, RuleId, Scope};
use super::table::{Table, TableCounts};
use super::terms::Terms;
use crate::config::{Bandwidth, LimitBy};

/// The share of each client of a listener.
#[derive(Debug)]
pub struct BandwidthLimit {
    rule: RuleId,
    share: Bandwidth,
    terms: Arc<Terms>,
    shape: Shape,
    /// By the clock that counts bytes.
    table: Table,
    clock: Clock,
}

/// How much everybody who waited could have paid.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    /// Until then it went by another rate.
    since: u64,
    /// What it stood at.
    paid: u64,
}

impl Clock {
    fn at(self, now: u64, rate: u64) -> u64 {
        let passed = u128::from(now.saturating_sub(self.since));
        let paid = u128::from(self.paid) + passed * u128::from(rate) / 1_000_000_000;
        u64::try_from(paid).unwrap_or(u64::MAX)
    }
}

/// How long so many bytes take at this rate, in nanoseconds.
fn takes(bytes: u64, rate: u64) -> u64 {
    let nanos = (u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

impl BandwidthLimit {
    /// The one of a listener by its settings; what its clients owe stays, unless its table has
    /// another shape.
    pub fn follow(
        before: Option<BandwidthLimit>,
        share: Bandwidth,
        terms: &Arc<Terms>,
        scope: &Scope,
        book: &mut RuleBook,
    ) -> BandwidthLimit {
        let rule = book.enter(scope, "bandwidth");
        let shape = book.common.shape(&LimitBy::Ip, terms);
        let new = || Table::new(shape.slots, book.common.secret());
        match before.filter(|it| it.shape == shape) {
            Some(before) => {
                let since = book.common.changed_at;
                let clock = Clock { since, paid: before.clock.at(since, before.share.rate) };
                BandwidthLimit { rule, share, terms: terms.clone(), clock, ..before }
            }
            None => BandwidthLimit {
                rule,
                share,
                terms: terms.clone(),
                shape,
                table: new(),
                clock: Clock::default(),
            },
        }
    }

    /// How full its table is.
    pub fn fill(&self, now: u64) -> Fill {
        Fill::of(self.rule, &self.table, self.clock.at(now, self.share.rate))
    }

    /// What its table counted.
    pub fn table(&self) -> (RuleId, TableCounts) {
        (self.rule, self.table.counts())
    }

    fn key(&self, client: IpAddr) -> ClientKey {
        ClientKey::of_address(client, self.shape.ipv6_prefix)
    }

    /// This client was sent so many bytes.
    pub fn charge(&mut self, client: IpAddr, bytes: u64, now: u64) {
        let now = self.clock.at(now, self.share.rate);
        self.table.charge(self.key(client), bytes, now);
    }

    /// For how long it is to be sent nothing; zero if it may be sent something now, or if the rule
    /// is only tried. A wait is counted where it `begins`.
    pub fn wait(
        &self,
        client: IpAddr,
        begins: bool,
        now: u64,
        book: &mut RuleBook,
    ) -> Duration {
        let Bandwidth { rate, burst } = self.share;
        let owed = self.table.owed(self.key(client), self.clock.at(now, rate));
        let late = owed.saturating_sub(burst);
        if late == 0 || self.terms.exempts(client) {
            return Duration::ZERO;
        }
        let is_dry = match begins {
            true => book.refuse(self.rule) == Refused::OnlyCounted,
            false => book.get(self.rule).is_some_and(|rule| rule.is_dry),
        };
        if is_dry { Duration::ZERO } else { Duration::from_nanos(takes(late, rate)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn limit(text: &str, book: &mut RuleBook) -> BandwidthLimit {
        let share = Bandwidth::parse(text).unwrap().unwrap();
        BandwidthLimit::follow(
            None,
            share,
            &Arc::default(),
            &Scope::Listener("web".into()),
            book,
        )
    }

    #[test]
    fn what_was_sent_beyond_the_burst_is_waited_for() {
        let mut book = RuleBook::default();
        let mut limit = limit("1000k/s,burst=500k", &mut book);
        let client = IpAddr::from([192, 0, 2, 1]);
        let other = IpAddr::from([192, 0, 2, 2]);
        limit.charge(client, 500 << 10, 7);
        assert_eq!(limit.wait(client, true, 7, &mut book), Duration::ZERO);
        limit.charge(client, 250 << 10, 7);
        assert_eq!(limit.wait(client, true, 7, &mut book), Duration::from_millis(250));
        assert_eq!(limit.wait(other, true, 7, &mut book), Duration::ZERO);
        let now = 7 + SECOND / 4;
        assert_eq!(limit.wait(client, false, now, &mut book), Duration::ZERO);
        assert_eq!(book.get(limit.rule).unwrap().counts.refused, 1);
    }

    #[test]
    fn another_rate_holds_for_what_is_owed_already() {
        let mut book = RuleBook::default();
        let mut limit = limit("1k/s,burst=1k", &mut book);
        let client = IpAddr::from([192, 0, 2, 1]);
        limit.charge(client, 101 << 10, 0);
        assert_eq!(limit.wait(client, true, 0, &mut book), Duration::from_secs(100));
        book.common.changed_at = 50 * SECOND;
        let share = Bandwidth::parse("10k/s,burst=1k").unwrap().unwrap();
        let scope = Scope::Listener("web".into());
        let limit =
            BandwidthLimit::follow(Some(limit), share, &Arc::default(), &scope, &mut book);
        assert_eq!(limit.wait(client, true, 50 * SECOND, &mut book), Duration::from_secs(5));
        assert_eq!(limit.wait(client, true, 55 * SECOND, &mut book), Duration::ZERO);
    }

    #[test]
    fn a_rate_beyond_a_byte_a_nanosecond_is_exact_too() {
        assert_eq!(takes(1 << 34, 1 << 34), SECOND);
        assert_eq!(takes(3, 1 << 31), 2);
    }
}
