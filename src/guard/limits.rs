//! Limits by client: of the connections and handshakes of a listener, of the requests of a service.
//!
//! Each is a rule with a table of its own. A configuration that still has the rule keeps its table:
//! other numbers hold for what is known already. Only where clients would be told apart in another
//! way, or the table has another size, it begins anew.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::common::Shape;
use super::editions::Editions;
use super::gcra::{Decision, Gcra};
use super::key::{ClientKey, Secret};
use super::refusal::{Refusal, RefusalKind};
use super::rules::{Refused, RuleBook, RuleId, Scope};
use super::table::{Table, TableCounts};
use super::terms::Terms;
use crate::config::{self, Condition, LimitBy, Rate, RequestLimit};

/// Whether a client was let in, and under which table of connections it is counted. A byte: there
/// is one in each pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission(u8);

/// How much is allowed in which time, for whom it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// So many.
    pub count: u32,
    /// In so many seconds.
    pub window: u32,
}

/// How well the clients of a limit fit into its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// The limit.
    pub rule: RuleId,
    /// Clients that owe something or are connected, about.
    pub clients: u64,
    /// How many fit.
    pub room: u64,
    /// What was counted.
    pub counts: TableCounts,
}

/// The limits of a listener.
#[derive(Debug, Default)]
pub struct ListenerLimits {
    connections: Option<Cap>,
    editions: Editions,
    connection_rate: Option<RateLimit>,
    handshake_rate: Option<RateLimit>,
    terms: Arc<Terms>,
}

/// The limits of a service.
#[derive(Debug, Default)]
pub struct ServiceLimits {
    requests: Vec<RateLimit>,
    terms: Arc<Terms>,
}

/// Connections at once.
#[derive(Debug)]
struct Cap {
    rule: RuleId,
    most: u32,
    shape: Shape,
    table: Table,
}

/// Whether somebody who may come is in the table.
enum Counted {
    Yes,
    No,
}

/// A rate.
#[derive(Debug)]
struct RateLimit {
    rule: RuleId,
    rate: Rate,
    law: Gcra,
    by: LimitBy,
    /// Of which requests.
    when: Option<Condition>,
    shape: Shape,
    table: Table,
}

impl Admission {
    /// Not yet.
    pub const NONE: Admission = Admission(0);
    /// It was, and no table counts it.
    pub const UNCOUNTED: Admission = Admission(1);

    /// Whether it was let in.
    pub fn is_in(self) -> bool {
        self != Admission::NONE
    }
}

impl ListenerLimits {
    /// Have what these settings ask for; what is known stays.
    pub fn follow(
        &mut self,
        name: &str,
        wanted: &config::ListenerLimits,
        terms: &Arc<Terms>,
        book: &mut RuleBook,
    ) {
        self.terms = terms.clone();
        let scope = Scope::Listener(name.into());
        let config::ListenerLimits { connections, connection_rate, handshake_rate } = *wanted;
        self.follow_cap(connections, terms, &scope, book);
        let rate =
            |old: &mut Option<RateLimit>, new: Option<Rate>, name, book: &mut RuleBook| {
                let before = old.take();
                let how = (&LimitBy::Ip, &**terms);
                *old = new.map(|rate| RateLimit::follow(before, rate, how, &scope, name, book));
            };
        rate(&mut self.connection_rate, connection_rate, "connection-rate", book);
        rate(&mut self.handshake_rate, handshake_rate, "handshake-rate", book);
    }

    fn follow_cap(
        &mut self,
        most: Option<u32>,
        terms: &Terms,
        scope: &Scope,
        book: &mut RuleBook,
    ) {
        let shape = book.common.shape(&LimitBy::Ip, terms);
        let before = self.connections.take().filter(|it| most.is_some() && it.shape == shape);
        if before.is_none() {
            self.editions.retire();
        }
        let Some(most) = most else { return };
        let rule = book.enter(scope, "connections");
        self.connections = match before {
            Some(before) => Some(Cap { rule, most, ..before }),
            None => {
                let table = || Table::new(shape.slots, book.common.secret());
                // Without a number nobody could be taken off again.
                self.editions.begin().then(|| Cap { rule, most, shape, table: table() })
            }
        };
    }

    /// Whether a client may connect. If it is counted, that it is gone has to be said.
    pub fn connect(
        &mut self,
        client: IpAddr,
        now: u64,
        book: &mut RuleBook,
    ) -> Result<Admission, Refusal> {
        let is_off = self.connections.is_none() && self.connection_rate.is_none();
        if is_off || self.terms.exempts(client) {
            return Ok(Admission::UNCOUNTED);
        }
        let counted = match &mut self.connections {
            Some(cap) => match cap.begin(client, now, book)? {
                Counted::Yes => self.editions.count().map_or(Admission::UNCOUNTED, Admission),
                Counted::No => Admission::UNCOUNTED,
            },
            None => Admission::UNCOUNTED,
        };
        if let Some(limit) = &mut self.connection_rate
            && let Err(refusal) = limit.ask_by_address(client, now, book)
        {
            self.gone(client, counted);
            return Err(refusal);
        }
        Ok(counted)
    }

    /// How a client is known that has all the connections at once that it may have.
    pub fn full_for(&self, client: IpAddr, book: &RuleBook) -> Option<ClientKey> {
        let cap = self.connections.as_ref()?;
        let is_dry = book.get(cap.rule).is_some_and(|rule| rule.is_dry);
        if is_dry || self.terms.exempts(client) {
            return None;
        }
        let key = cap.key(client);
        (cap.table.connections(key) >= cap.most).then_some(key)
    }

    /// Whether a client that was let in so counts as the one of this key.
    pub fn counts_as(&self, client: IpAddr, admission: Admission, key: ClientKey) -> bool {
        let cap = self.connections.as_ref();
        cap.is_some_and(|cap| self.editions.is_current(admission.0) && cap.key(client) == key)
    }

    /// Whether a client may begin a handshake.
    pub fn handshake(
        &mut self,
        client: IpAddr,
        now: u64,
        book: &mut RuleBook,
    ) -> Result<(), Refusal> {
        match &mut self.handshake_rate {
            Some(limit) if !self.terms.exempts(client) => {
                limit.ask_by_address(client, now, book)
            }
            _ => Ok(()),
        }
    }

    /// A client is gone that was counted so. Under another table it is not counted any more.
    pub fn gone(&mut self, client: IpAddr, admission: Admission) {
        if self.editions.end(admission.0)
            && let Some(cap) = &mut self.connections
        {
            let key = cap.key(client);
            cap.table.end(key);
        }
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
        let cap = self.connections.iter().map(|it| (it.rule, &it.table));
        let rates = self.connection_rate.iter().chain(&self.handshake_rate);
        cap.chain(rates.map(|it| (it.rule, &it.table)))
    }
}

impl ServiceLimits {
    /// Have what these settings ask for; what is known stays.
    pub fn follow(
        &mut self,
        name: &str,
        wanted: &[RequestLimit],
        terms: &Arc<Terms>,
        book: &mut RuleBook,
    ) {
        self.terms = terms.clone();
        let scope = Scope::Service(name.into());
        let mut before = std::mem::take(&mut self.requests);
        for (at, limit) in wanted.iter().enumerate() {
            let RequestLimit { rate, by, name, when } = limit;
            let unnamed = || match at {
                0 => "request-rate".to_owned(),
                _ => format!("request-rate-{}", at + 1),
            };
            let name = name.clone().unwrap_or_else(unnamed);
            let rule = book.enter(&scope, &name);
            let old = before.iter().position(|it| it.rule == rule);
            let old = old.map(|at| before.swap_remove(at));
            let limit = RateLimit::follow(old, *rate, (by, terms), &scope, &name, book);
            self.requests.push(RateLimit { when: when.clone(), ..limit });
        }
    }

    /// Whether there is any.
    #[inline]
    pub fn is_on(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Whether a request of this client may come; `field` is the value of the first, second, ...
    /// field of a name. Of all limits, and of all values that one goes by, none is used up unless
    /// all let it in. `holds` says whether a condition holds for it.
    pub fn request<'a>(
        &mut self,
        client: IpAddr,
        field: impl Fn(&str, usize) -> Option<&'a [u8]>,
        holds: impl Fn(&Condition) -> bool,
        now: u64,
        book: &mut RuleBook,
    ) -> Result<(), Refusal> {
        if self.terms.exempts(client) {
            return Ok(());
        }
        let secret = book.common.secret();
        for at in 0..self.requests.len() {
            if !self.requests[at].concerns(&holds) {
                continue;
            }
            let mut nth = 0;
            while let Some(key) = self.requests[at].key(client, &field, nth, secret) {
                if let Err(refusal) = self.requests[at].ask(key, now, book) {
                    self.give_back(client, (&field, &holds), (at, nth), secret);
                    return Err(refusal);
                }
                nth += 1;
            }
        }
        Ok(())
    }

    /// A request was refused by the limit at this place, going by that value: those before it have
    /// let it in, and it did not come.
    #[cold]
    fn give_back<'a>(
        &mut self,
        client: IpAddr,
        (field, holds): (
            &impl Fn(&str, usize) -> Option<&'a [u8]>,
            &impl Fn(&Condition) -> bool,
        ),
        (refused_at, refused_nth): (usize, usize),
        secret: Secret,
    ) {
        for (at, limit) in self.requests.iter_mut().enumerate().take(refused_at + 1) {
            if !limit.concerns(holds) {
                continue;
            }
            let end = if at == refused_at { refused_nth } else { usize::MAX };
            let keys = (0..end).map_while(|nth| limit.key(client, field, nth, secret));
            for key in keys.collect::<Vec<_>>() {
                limit.table.give_back(key, 1, &limit.law);
            }
        }
    }

    /// What the limit of this rule allows.
    pub fn quota(&self, rule: RuleId) -> Option<Quota> {
        let limit = self.requests.iter().find(|it| it.rule == rule)?;
        let window = u32::try_from(limit.rate.per.seconds()).ok()?;
        Some(Quota { count: limit.rate.count.get(), window })
    }

    /// How full the tables are.
    pub fn fills(&self, now: u64) -> impl Iterator<Item = Fill> {
        self.requests.iter().map(move |it| Fill::of(it.rule, &it.table, now))
    }

    /// What the tables counted.
    pub fn tables(&self) -> impl Iterator<Item = (RuleId, TableCounts)> {
        self.requests.iter().map(|it| (it.rule, it.table.counts()))
    }
}

impl Cap {
    fn key(&self, client: IpAddr) -> ClientKey {
        ClientKey::of_address(client, self.shape.ipv6_prefix)
    }

    fn begin(
        &mut self,
        client: IpAddr,
        now: u64,
        book: &mut RuleBook,
    ) -> Result<Counted, Refusal> {
        let key = self.key(client);
        let shared_before = self.table.counts().shared;
        if self.table.begin(key, self.most, now) {
            return Ok(Counted::Yes);
        }
        let is_own = self.table.counts().shared == shared_before;
        match book.refuse(self.rule) {
            Refused::OnlyCounted => Ok(Counted::No),
            Refused::Really => {
                let kind = RefusalKind::Limited;
                Err(Refusal { rule: self.rule, kind, is_own, retry_after: None })
            }
        }
    }
}

impl RateLimit {
    fn follow(
        before: Option<RateLimit>,
        rate: Rate,
        (by, terms): (&LimitBy, &Terms),
        scope: &Scope,
        name: &str,
        book: &mut RuleBook,
    ) -> RateLimit {
        let rule = book.enter(scope, name);
        let shape = book.common.shape(by, terms);
        let law = Gcra::new(rate);
        let is_same = |it: &RateLimit| it.shape == shape && it.by == *by;
        let table = match before.filter(is_same) {
            Some(limit) => limit.table,
            None => Table::new(shape.slots, book.common.secret()),
        };
        RateLimit { rule, rate, law, by: by.clone(), when: None, shape, table }
    }

    /// Whether it is for a request for which such conditions hold.
    fn concerns(&self, holds: &impl Fn(&Condition) -> bool) -> bool {
        self.when.as_ref().is_none_or(holds)
    }

    /// By what a request of this client is counted: the first key, the second and so on.
    fn key<'a>(
        &self,
        client: IpAddr,
        field: &impl Fn(&str, usize) -> Option<&'a [u8]>,
        nth: usize,
        secret: Secret,
    ) -> Option<ClientKey> {
        let by_address = || ClientKey::of_address(client, self.shape.ipv6_prefix);
        match &self.by {
            LimitBy::Ip => (nth == 0).then(by_address),
            LimitBy::Service => (nth == 0).then_some(ClientKey::EVERYBODY),
            LimitBy::Header(name) => match field(name, nth) {
                Some(value) => Some(ClientKey::of_text(value, secret)),
                None => (nth == 0).then(by_address),
            },
        }
    }

    fn ask_by_address(
        &mut self,
        client: IpAddr,
        now: u64,
        book: &mut RuleBook,
    ) -> Result<(), Refusal> {
        self.ask(ClientKey::of_address(client, self.shape.ipv6_prefix), now, book)
    }

    fn ask(&mut self, key: ClientKey, now: u64, book: &mut RuleBook) -> Result<(), Refusal> {
        let shared_before = self.table.counts().shared;
        let decision = self.table.ask(key, 1, &self.law, now);
        if decision.admitted {
            return Ok(());
        }
        let is_alone = self.table.counts().shared == shared_before;
        match book.refuse(self.rule) {
            Refused::OnlyCounted => Ok(()),
            Refused::Really => {
                let is_own = is_alone && self.by == LimitBy::Ip;
                Err(Refusal { is_own, ..refusal(self.rule, &decision) })
            }
        }
    }
}

fn refusal(rule: RuleId, decision: &Decision) -> Refusal {
    let seconds = u32::try_from(decision.retry_after_seconds()).unwrap_or(u32::MAX);
    let kind = RefusalKind::Limited;
    Refusal { rule, kind, is_own: true, retry_after: NonZeroU32::new(seconds) }
}

impl Fill {
    pub(super) fn of(rule: RuleId, table: &Table, now: u64) -> Fill {
        let clients = table.fill(now) as u64;
        Fill { rule, clients, room: table.room() as u64, counts: table.counts() }
    }
}

#[cfg(test)]
mod tests;
