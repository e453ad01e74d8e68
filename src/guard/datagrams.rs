//! Datagrams and flows of UDP by client: how many a second, and how many at once; and how many
//! datagrams a second of all clients.
//!
//! The total is asked last, so that whoever sends more than a client may does not use up what is
//! there for the others.
//!
//! The source of a datagram proves nothing, so each limit has a table of its own: whoever floods
//! the one of rates makes nobody's flows forgotten. Pure: the time is passed in.

use std::net::IpAddr;
use std::sync::Arc;

use super::common::Shape;
use super::editions::Editions;
use super::gcra::{Decision, Gcra};
use super::key::ClientKey;
use super::limits::Fill;
use super::rules::{Refused, RuleBook, RuleId, Scope};
use super::table::{Table, TableCounts};
use super::terms::Terms;
use crate::config::{DatagramLimits, LimitBy, Rate};

/// What holds for the clients of a listener of UDP.
#[derive(Debug, Default)]
pub struct DatagramGuard {
    rate: Option<RateOf>,
    total: Option<TotalOf>,
    flows: Option<FlowsOf>,
    editions: Editions,
    terms: Arc<Terms>,
}

#[derive(Debug)]
struct RateOf {
    rule: RuleId,
    law: Gcra,
    shape: Shape,
    table: Table,
}

#[derive(Debug)]
struct TotalOf {
    rule: RuleId,
    law: Gcra,
    /// When all that came in would have come evenly.
    tat: u64,
}

#[derive(Debug)]
struct FlowsOf {
    rule: RuleId,
    most: u32,
    shape: Shape,
    table: Table,
}

/// In which table a flow is counted, if in one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowCount(Option<u8>);

fn key(client: IpAddr, shape: Shape) -> ClientKey {
    ClientKey::of_address(client, shape.ipv6_prefix)
}

/// Of so many datagrams of a client as many as a rule lets in; `ask` takes as many as it is asked
/// for, or none.
fn as_many(
    is_exempt: bool,
    count: u32,
    rule: RuleId,
    mut ask: impl FnMut(u32) -> Decision,
    book: &mut RuleBook,
) -> u32 {
    if count == 0 {
        return 0;
    }
    let decision = ask(count);
    if decision.admitted || is_exempt {
        return count;
    }
    let some = u32::try_from(decision.remaining).unwrap_or(count).min(count);
    let taken = if some > 0 && ask(some).admitted { some } else { 0 };
    match book.refuse_some(rule, u64::from(count - taken)) {
        Refused::Really => taken,
        Refused::OnlyCounted => count,
    }
}

impl DatagramGuard {
    /// Have what these settings ask for; what is known of clients stays, unless tables have another
    /// shape.
    pub fn follow(
        &mut self,
        wanted: &DatagramLimits,
        terms: &Arc<Terms>,
        scope: &Scope,
        book: &mut RuleBook,
    ) {
        self.terms = terms.clone();
        let shape = book.common.shape(&LimitBy::Ip, terms);
        let secret = book.common.secret();
        let table = || Table::new(shape.slots, secret);
        let before = self.rate.take().filter(|it| it.shape == shape);
        let rate = |rate: Rate, book: &mut RuleBook| RateOf {
            rule: book.enter(scope, "datagram-rate"),
            law: Gcra::new(rate),
            shape,
            table: before.map_or_else(table, |before| before.table),
        };
        self.rate = wanted.rate.map(|it| rate(it, book));
        let tat = self.total.take().map_or(0, |it| it.tat);
        self.total = wanted.total.map(|rate| TotalOf {
            rule: book.enter(scope, "datagram-total"),
            law: Gcra::new(rate),
            tat,
        });
        let before = self.flows.take();
        let before = before.filter(|it| wanted.flows.is_some() && it.shape == shape);
        if before.is_none() {
            self.editions.retire();
        }
        let Some(most) = wanted.flows else { return };
        let rule = book.enter(scope, "flows");
        self.flows = match before {
            Some(before) => Some(FlowsOf { rule, most, ..before }),
            // Without a number no flow could be taken off again.
            None => {
                self.editions.begin().then(|| FlowsOf { rule, most, shape, table: table() })
            }
        };
    }

    /// How full the tables are.
    pub fn fills(&self, now: u64) -> impl Iterator<Item = Fill> {
        self.all_tables().map(move |(rule, table)| Fill::of(rule, table, now))
    }

    /// What the tables counted.
    pub fn tables(&self) -> impl Iterator<Item = (RuleId, TableCounts)> {
        self.all_tables().map(|(rule, table)| (rule, table.counts()))
    }

    fn all_tables(&self) -> impl Iterator<Item = (RuleId, &Table)> {
        let rate = self.rate.iter().map(|it| (it.rule, &it.table));
        rate.chain(self.flows.iter().map(|it| (it.rule, &it.table)))
    }

    fn is_on(&self) -> bool {
        self.rate.is_some() || self.total.is_some()
    }

    /// How many of so many datagrams of a client may come in; the others are counted as refused.
    pub fn take(&mut self, client: IpAddr, count: u32, now: u64, book: &mut RuleBook) -> u32 {
        let mut count = count;
        let is_exempt = self.is_on() && self.terms.exempts(client);
        if let Some(RateOf { rule, law, shape, table }) = &mut self.rate {
            let key = key(client, *shape);
            let ask = |some| table.ask(key, some, law, now);
            count = as_many(is_exempt, count, *rule, ask, book);
        }
        if let Some(TotalOf { rule, law, tat }) = &mut self.total {
            let ask = |some| {
                let (decision, next) = law.ask(*tat, some, now);
                *tat = next;
                decision
            };
            count = as_many(is_exempt, count, *rule, ask, book);
        }
        count
    }

    /// Whether a client may have another flow; what came for it, so many datagrams, is counted as
    /// refused if it may not.
    pub fn may_open(&self, client: IpAddr, count: u32, book: &mut RuleBook) -> bool {
        let Some(FlowsOf { rule, most, shape, table, .. }) = &self.flows else { return true };
        table.connections(key(client, *shape)) < *most
            || self.terms.exempts(client)
            || book.refuse_some(*rule, u64::from(count)) == Refused::OnlyCounted
    }

    /// A flow of this client begins.
    pub fn begin(&mut self, client: IpAddr, now: u64) -> FlowCount {
        let Some(FlowsOf { most, shape, table, .. }) = &mut self.flows else {
            return FlowCount::default();
        };
        let key = key(client, *shape);
        if !table.begin(key, *most, now) {
            return FlowCount::default();
        }
        FlowCount(self.editions.count())
    }

    /// A flow is over that was counted so. Under another table it is not counted any more.
    pub fn end(&mut self, client: IpAddr, count: FlowCount) {
        if let Some(number) = count.0
            && self.editions.end(number)
            && let Some(flows) = &mut self.flows
        {
            flows.table.end(key(client, flows.shape));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_holds_for_who_is_exempt() {
        let mut book = RuleBook::default();
        let exempt = crate::config::Cidr::parse_list("192.0.2.0/24").unwrap();
        let terms = Arc::new(Terms { exempt, ..Terms::default() });
        let mut guard = DatagramGuard::default();
        let rate = Some(Rate::parse("1/s").unwrap());
        let scope = Scope::Listener("dns".into());
        let limits = DatagramLimits { rate, flows: Some(1), ..DatagramLimits::default() };
        guard.follow(&limits, &terms, &scope, &mut book);
        for client in [[192, 0, 2, 1], [203, 0, 113, 1]] {
            let is_exempt = client[0] == 192;
            let client = IpAddr::from(client);
            assert_eq!(guard.take(client, 9, 7, &mut book) == 9, is_exempt);
            guard.begin(client, 7);
            assert_eq!(guard.may_open(client, 1, &mut book), is_exempt);
        }
    }

    #[test]
    fn of_what_comes_at_once_as_much_is_taken_as_may_come() {
        let mut book = RuleBook::default();
        let mut guard = DatagramGuard::default();
        let rate = Some(Rate::parse("10/s,burst=5").unwrap());
        let scope = Scope::Listener("dns".into());
        let limits = DatagramLimits { rate, flows: Some(2), ..DatagramLimits::default() };
        guard.follow(&limits, &Arc::default(), &scope, &mut book);
        let client = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(guard.take(client, 3, 7, &mut book), 3);
        assert_eq!(guard.take(client, 8, 7, &mut book), 2);
        assert_eq!(guard.take(client, 1, 7, &mut book), 0);
        let counts: Vec<_> = guard.begin(client, 7).0.into_iter().collect();
        assert_eq!(counts, [2]);
        let second = guard.begin(client, 7);
        assert!(!guard.may_open(client, 1, &mut book));
        guard.end(client, second);
        assert!(guard.may_open(client, 1, &mut book));
        let refused: Vec<u64> =
            [&guard.rate.as_ref().unwrap().rule, &guard.flows.as_ref().unwrap().rule]
                .map(|rule| book.get(*rule).unwrap().counts.refused)
                .into();
        assert_eq!(refused, [7, 1]);
        let clients: Vec<u64> = guard.fills(7).map(|it| it.clients).collect();
        assert_eq!(clients.len(), 2, "the tables of both are told of");
        // About, for only a part of a table is looked at.
        assert!(guard.fills(7).all(|it| it.room > 0 && it.clients <= it.room), "{clients:?}");
    }

    #[test]
    fn the_total_is_not_used_up_by_what_a_client_may_not_send() {
        let mut book = RuleBook::default();
        let mut guard = DatagramGuard::default();
        let rate = |text| Some(Rate::parse(text).expect("a rate"));
        let limits = DatagramLimits {
            rate: rate("10/s,burst=5"),
            total: rate("100/s,burst=8"),
            flows: None,
        };
        guard.follow(&limits, &Arc::default(), &Scope::Listener("dns".into()), &mut book);
        let greedy = IpAddr::from([192, 0, 2, 1]);
        let other = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(guard.take(greedy, 1000, 7, &mut book), 5);
        assert_eq!(guard.take(other, 4, 7, &mut book), 3);
        assert_eq!(guard.take(other, 1, 7, &mut book), 0);
        let total = guard.total.as_ref().expect("a total").rule;
        assert_eq!(book.get(total).expect("a rule").counts.refused, 2);
    }
}
