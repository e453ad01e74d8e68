//! Counters by name beside those of [`crate::stats::Stats`] and of backends: they are read for
//! another process, and what that one counted is added to them.
//!
//! The names are those of the rows in [`crate::stats::tables`]. A name that one of two
//! processes does not know is left out.

use std::collections::HashMap;

use crate::event::{PoolId, ServerId, ServiceId};
use crate::guard::{RuleId, TableCounts};
use crate::stats::Each;

use super::Context;

/// What something is counted of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedOf {
    /// The process, as far as it is in no other list.
    Process,
    /// A service.
    Service(ServiceId),
    /// A pool.
    Pool(PoolId),
    /// A rule of the guard.
    Rule(RuleId),
    /// A backend: for how long it was down. The rest of it is told otherwise.
    Server(ServerId),
}

/// What the tables of rules counted, by rule: read once for many rules.
pub type CountsOfTables = HashMap<RuleId, TableCounts>;

impl Context {
    /// What tables counted so far, for [`Context::each_sum`] of rules.
    pub fn counts_of_tables(&self) -> CountsOfTables {
        let listeners = self.listeners.iter().flat_map(|(_, it)| it.guard.tables());
        let services = self.services.iter().flat_map(|(_, it)| it.guard.limits.tables());
        listeners.chain(services).collect()
    }

    /// All that is counted of it, always in the same order. What becomes of a number holds.
    pub fn each_sum(&mut self, of: CountedOf, tables: &CountsOfTables, each: Each<'_>) {
        match of {
            CountedOf::Process => self.each_sum_of_process(each),
            CountedOf::Service(id) => {
                if let Some(service) = self.services.get_mut(id) {
                    service.traffic.each_sum(each);
                }
            }
            CountedOf::Pool(id) => self.backends.each_sum_of_pool(id, each),
            CountedOf::Rule(id) => {
                let own = tables.get(&id).copied().unwrap_or_default();
                self.each_sum_of_rule(id, own, each);
            }
            CountedOf::Server(id) => self.backends.each_sum_of_server(id, self.now, each),
        }
    }

    /// Another process counted so much of it.
    pub fn add_sums(&mut self, of: CountedOf, tables: &CountsOfTables, more: &[(String, u64)]) {
        self.each_sum(of, tables, &mut |name, count| {
            let told = more.iter().find(|(it, _)| it == name);
            *count = count.saturating_add(told.map_or(0, |(_, it)| *it));
        });
    }

    fn each_sum_of_process(&mut self, each: Each<'_>) {
        each("turns", &mut self.stats.turns);
        self.stats.turn_times.each_sum("turn_us", each);
        let mut none = 0;
        let dropped = self.access_log.as_mut().map_or(&mut none, |log| log.dropped_mut());
        each("access_log_lines_dropped", dropped);
        let banning = &mut self.guard.banning;
        each("bans_made", &mut banning.made);
        each("bans_made_by_strikes", &mut banning.made_by_strikes);
        each("strikes", &mut banning.strikes_counted);
    }

    /// What tables counted stays theirs: what comes from elsewhere is kept beside it.
    fn each_sum_of_rule(&mut self, id: RuleId, own: TableCounts, each: Each<'_>) {
        let Some(rule) = self.guard.book.get_mut(id) else { return };
        each("refused", &mut rule.counts.refused);
        each("would_refuse", &mut rule.counts.would_refuse);
        let elsewhere = &mut rule.elsewhere;
        let numbers = [
            ("evicted", own.evicted, &mut elsewhere.evicted),
            ("shared", own.shared, &mut elsewhere.shared),
        ];
        for (name, own, elsewhere) in numbers {
            let mut sum = own.saturating_add(*elsewhere);
            each(name, &mut sum);
            *elsewhere = sum.saturating_sub(own);
        }
    }
}
