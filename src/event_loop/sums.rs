//! The names of what is counted, for another process and for the state file: there they are found
//! again by them, whatever their places are.

use std::collections::HashMap;

use crate::context::CountedOf;
use crate::takeover::SumRow;

use super::EventLoop;

/// Something of which numbers are counted, and what it is called.
pub(super) struct Summed {
    pub of: CountedOf,
    pub kind: &'static str,
    pub names: Vec<String>,
}

const PROCESS: &str = "process";
const SERVICE: &str = "service";
const POOL: &str = "pool";
const RULE: &str = "rule";
const BACKEND: &str = "backend";

impl EventLoop {
    /// All that is counted beside the totals of the process and what backends count.
    pub(super) fn all_summed(&self) -> Vec<Summed> {
        let mut all = vec![Summed { of: CountedOf::Process, kind: PROCESS, names: Vec::new() }];
        let services = self.directory.desired.services.iter().zip(&self.directory.services);
        all.extend(services.map(|(spec, id)| Summed {
            of: CountedOf::Service(*id),
            kind: SERVICE,
            names: vec![spec.name.clone()],
        }));
        let pools = (0..).map_while(|at| self.directory.pool_at(at));
        all.extend(pools.map(|it| Summed {
            of: CountedOf::Pool(it.id),
            kind: POOL,
            names: vec![it.spec.name.clone()],
        }));
        all.extend(self.cx.guard.book.entries().map(|(id, rule)| {
            let (of, name) = rule.scope.words();
            let names = vec![of.to_owned(), name.to_owned(), rule.name.to_string()];
            Summed { of: CountedOf::Rule(id), kind: RULE, names }
        }));
        all
    }

    /// For how long each backend was down, which a state file does not keep.
    pub(super) fn all_downtimes(&self) -> Vec<Summed> {
        let pools = (0..).map_while(|at| self.directory.pool_at(at));
        let all = pools.flat_map(|pool| {
            let backends = (0..).map_while(move |at| self.directory.backend_at(pool, at));
            backends.map(move |it| Summed {
                of: CountedOf::Server(it.server),
                kind: BACKEND,
                names: vec![pool.spec.name.clone(), it.spec.name.clone()],
            })
        });
        all.collect()
    }

    /// What was counted of it so far, but for downtimes.
    pub(super) fn sums_now(&mut self) -> Vec<SumRow> {
        let mut rows = Vec::new();
        let tables = self.cx.counts_of_tables();
        for Summed { of, kind, names } in self.all_summed() {
            let mut counts = Vec::new();
            self.cx.each_sum(of, &tables, &mut |name, count| {
                if *count > 0 {
                    counts.push((name.to_owned(), *count));
                }
            });
            if !counts.is_empty() {
                rows.push(SumRow { of: kind.to_owned(), names, counts });
            }
        }
        rows
    }

    /// What another process counted. What is not here any more is left out.
    pub(super) fn add_sums(&mut self, sums: &[SumRow]) {
        let tables = self.cx.counts_of_tables();
        for row in sums {
            if let Some(of) = self.summed_of(&row.of, &row.names) {
                self.cx.add_sums(of, &tables, &row.counts);
            }
        }
    }

    fn summed_of(&mut self, kind: &str, names: &[String]) -> Option<CountedOf> {
        match (kind, names) {
            (BACKEND, [pool, name]) => self.server_named(pool, name).map(CountedOf::Server),
            _ => self.counted_named(&key_of(kind, names)),
        }
    }

    /// Where each is found again by its name.
    pub(super) fn summed_by_name(&self) -> HashMap<String, CountedOf> {
        let all = self.all_summed().into_iter();
        all.map(|it| (key_of(it.kind, &it.names), it.of)).collect()
    }
}

/// No name has a zero byte in it.
fn key_of(kind: &str, names: &[String]) -> String {
    format!("{kind}\0{}", names.join("\0"))
}
