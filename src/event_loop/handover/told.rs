//! What was counted, as another process was told it last: it is told what came since.

use std::collections::HashSet;

use crate::event::ServerId;
use crate::limits::TAKEOVER_COUNTED;
use crate::stats::{BackendCounts, Stats};
use crate::takeover::{BackendRow, Counts};

use crate::backends::Backends;
use crate::control::Directory;

/// What it was.
#[derive(Default)]
pub(super) struct Told {
    totals: Vec<(String, u64)>,
    backends: Vec<Backend>,
}

struct Backend {
    pool: String,
    name: String,
    server: ServerId,
    counts: BackendCounts,
}

impl Told {
    /// All that is now.
    pub fn of(directory: &Directory, backends: &Backends, stats: &Stats) -> Told {
        let mut known = HashSet::new();
        let mut all = Vec::new();
        for pool in (0..directory.pools.len()).filter_map(|at| directory.pool_at(at)) {
            let places = 0..pool.spec.backends.len();
            for it in places.filter_map(|at| directory.backend_at(pool, at)) {
                // One server may be a backend of many pools.
                let Some(server) = backends.get(it.server) else { continue };
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
        Told { totals: stats.counted(), backends: all }
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
        Counts { totals: more.filter(|(_, it)| *it > 0).collect(), backends: Vec::new() }
    }

    /// What of some backends from this place on came since, and where the next ones are; none, if
    /// that was all.
    pub fn more_of_some(
        &mut self,
        place: usize,
        backends: &Backends,
    ) -> Option<(Counts, usize)> {
        let rest = self.backends.get_mut(place..).filter(|it| !it.is_empty())?;
        let end = place + rest.len().min(TAKEOVER_COUNTED);
        let mut counts = Counts::default();
        for it in rest.iter_mut().take(TAKEOVER_COUNTED) {
            let Some(server) = backends.get(it.server) else { continue };
            let mut now = server.counts;
            let mut before = std::mem::replace(&mut it.counts, now);
            let pairs = now.numbers().into_iter().zip(before.numbers());
            let more = pairs.map(|((name, now), (_, before))| {
                (name.to_owned(), now.saturating_sub(*before))
            });
            let more: Vec<(String, u64)> = more.filter(|(_, it)| *it > 0).collect();
            if !more.is_empty() {
                let pool = it.pool.clone();
                let name = it.name.clone();
                counts.backends.push(BackendRow { pool, name, counts: more });
            }
        }
        Some((counts, end))
    }
}
