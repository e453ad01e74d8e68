//! What was counted, as another process was told it last: it is told what came since.

use std::collections::HashSet;

use crate::context::{Context, CountedOf, CountsOfTables};
use crate::control::Directory;
use crate::event::ServerId;
use crate::limits::{TAKEOVER_COUNTED, TAKEOVER_SUMMED};
use crate::stats::{BackendCounts, Stats};
use crate::takeover::{BackendRow, Counts, SumRow};

use super::super::sums::Summed;

/// What it was.
#[derive(Default)]
pub(super) struct Told {
    totals: Vec<(String, u64)>,
    backends: Vec<Backend>,
    sums: Vec<Sum>,
    /// Both processes probe, and the other one counts it.
    without_probes: bool,
}

struct Backend {
    pool: String,
    name: String,
    server: ServerId,
    counts: BackendCounts,
}

struct Sum {
    of: Summed,
    /// In the order in which they are looked at.
    counts: Vec<u64>,
}

/// What both processes see of a backend while they are two.
const BY_PROBES: &[&str] = &["check_failures", "downs"];

impl Told {
    /// All that is in the state that is told now, and that nothing was told of the rest.
    pub fn of(
        directory: &Directory,
        cx: &mut Context,
        in_state: Vec<Summed>,
        others: Vec<Summed>,
    ) -> Told {
        let mut known = HashSet::new();
        let mut all = Vec::new();
        for pool in (0..directory.pools.len()).filter_map(|at| directory.pool_at(at)) {
            let places = 0..pool.spec.backends.len();
            for it in places.filter_map(|at| directory.backend_at(pool, at)) {
                // One server may be a backend of many pools.
                let Some(server) = cx.backends.get(it.server) else { continue };
                if known.insert(it.server) {
                    all.push(Backend {
                        pool: pool.spec.name.clone(),
                        name: it.spec.name.clone(),
                        server: it.server,
                        counts: server.counts,
                    });
                }
            }
        }
        let tables = cx.counts_of_tables();
        let mut told = |of: Summed| {
            let mut counts = Vec::new();
            cx.each_sum(of.of, &tables, &mut |_, count| counts.push(*count));
            Sum { of, counts }
        };
        let mut sums: Vec<Sum> = in_state.into_iter().map(&mut told).collect();
        // One server may be a backend of many pools here as well.
        let is_first = |it: &Summed| match it.of {
            CountedOf::Server(id) => known.remove(&id),
            _ => true,
        };
        let others = others.into_iter().filter(is_first);
        sums.extend(others.map(|of| Sum { of, counts: Vec::new() }));
        Told { totals: cx.stats.counted(), backends: all, sums, without_probes: false }
    }

    /// The other process serves from now on, and probes.
    pub fn leave_out_probes(&mut self) {
        self.without_probes = true;
        self.sums.retain(|it| !matches!(it.of.of, CountedOf::Server(_)));
    }

    /// What of the process came since.
    pub fn more_of_all(&mut self, stats: &Stats) -> Counts {
        let now = stats.counted();
        let before = std::mem::replace(&mut self.totals, now);
        let more = self
            .totals
            .iter()
            .zip(before)
            .map(|((name, now), (_, before))| (name.clone(), now.saturating_sub(before)));
        Counts { totals: more.filter(|(_, it)| *it > 0).collect(), ..Counts::default() }
    }

    /// What of some backends, or of some of what else there is, came since from this place on, and
    /// where the next ones are; none, if that was all.
    pub fn more_of_some(&mut self, place: usize, cx: &mut Context) -> Option<(Counts, usize)> {
        match place.checked_sub(self.backends.len()) {
            None => {
                let end = self.backends.len().min(place + TAKEOVER_COUNTED);
                let backends = self.more_of_backends(place..end, cx);
                Some((Counts { backends, ..Counts::default() }, end))
            }
            Some(from) if from < self.sums.len() => {
                let end = self.sums.len().min(from + TAKEOVER_SUMMED);
                let tables = cx.counts_of_tables();
                let rows = self.sums[from..end].iter_mut();
                let sums = rows.filter_map(|it| it.more(&tables, cx)).collect();
                let next = self.backends.len() + end;
                Some((Counts { sums, ..Counts::default() }, next))
            }
            Some(_) => None,
        }
    }

    fn more_of_backends(
        &mut self,
        range: std::ops::Range<usize>,
        cx: &Context,
    ) -> Vec<BackendRow> {
        let mut rows = Vec::new();
        for it in &mut self.backends[range] {
            let Some(server) = cx.backends.get(it.server) else { continue };
            let mut now = server.counts;
            let mut before = std::mem::replace(&mut it.counts, now);
            let pairs = now.numbers().into_iter().zip(before.numbers());
            let more = pairs.map(|((name, now), (_, before))| {
                (name.to_owned(), now.saturating_sub(*before))
            });
            let is_told = |name: &str| !self.without_probes || !BY_PROBES.contains(&name);
            let counts: Vec<(String, u64)> =
                more.filter(|(name, it)| *it > 0 && is_told(name)).collect();
            if !counts.is_empty() {
                rows.push(BackendRow { pool: it.pool.clone(), name: it.name.clone(), counts });
            }
        }
        rows
    }
}

impl Sum {
    /// What came since it was told last, if anything did.
    fn more(&mut self, tables: &CountsOfTables, cx: &mut Context) -> Option<SumRow> {
        let mut counts = Vec::new();
        let mut at = 0;
        cx.each_sum(self.of.of, tables, &mut |name, count| {
            if at == self.counts.len() {
                self.counts.push(0);
            }
            let before = std::mem::replace(&mut self.counts[at], *count);
            at += 1;
            if *count > before {
                counts.push((name.to_owned(), *count - before));
            }
        });
        let Summed { kind, names, .. } = &self.of;
        let row = || SumRow { of: (*kind).to_owned(), names: names.clone(), counts };
        (at > 0).then(row).filter(|it| !it.counts.is_empty())
    }
}
