//! Takes a snapshot of everything that is counted, a row at a time: the only place that knows where
//! a number of a page comes from.

use std::time::Instant;

use crate::backends::{self, Backend, BackendId};
use crate::context::Context;
use crate::limits::WEIGHT_ONE;
use crate::stats::snapshot::{self, Process, Snapshot};

/// The first row: the process.
pub fn begin(cx: &Context) -> Snapshot {
    let access_log = cx.access_log.as_ref().map(|log| snapshot::AccessLog {
        dropped: log.dropped(),
        waiting: log.waiting(),
        is_behind: log.is_behind(),
    });
    let process = Process {
        uptime: cx.now.saturating_duration_since(cx.started),
        stats: cx.stats.clone(),
        log_lines_dropped: cx.stats.log_dropped(),
        access_log,
    };
    Snapshot::begin(process, cx.backends.len(), cx.now)
}

/// The next row, or the end of a snapshot that has all.
pub fn take_row(snapshot: &mut Snapshot, cx: &mut Context) {
    if let Some(pool) = cx.backends.routed_pools().get(snapshot.pools.len()) {
        snapshot.pools.push(pool_now(pool));
    } else if let Some(id) = cx.backends.at(snapshot.backends.len()) {
        let backend = backend_now(id, cx);
        snapshot.push_backend(backend, cx.now);
    } else {
        snapshot.finish();
    }
}

fn pool_now(pool: &backends::Pool) -> snapshot::Pool {
    snapshot::Pool {
        name: pool.name.clone(),
        members: pool.members().map(BackendId::index).collect(),
        up: pool.up(),
        counts: pool.counts,
    }
}

fn backend_now(id: BackendId, cx: &mut Context) -> snapshot::Backend {
    let now = cx.now;
    let rate = cx.backends.rate(id, now);
    let times = cx.backends.response_times(id, now);
    let in_force = cx.backends.weight_in_force(id);
    let backend = &cx.backends[id];
    snapshot::Backend {
        name: backend.name.clone(),
        address: backend.address(),
        addresses: backend.addresses.all().len(),
        is_up: backend.state.is_up(),
        state_for: now.saturating_duration_since(backend.since),
        standing: standing(backend, now),
        weight: backend.weight,
        effective_weight: f64::from(in_force) / f64::from(WEIGHT_ONE),
        is_ramping: backend.effective_weight < backend.weight * WEIGHT_ONE,
        backup: backend.backup,
        load: backend.load,
        connections: backend.connections,
        rate,
        counts: backend.counts,
        times,
    }
}

fn standing(backend: &Backend, now: Instant) -> snapshot::Standing {
    let backends::Standing { word, since, until, reason } = backend.standing();
    snapshot::Standing {
        word,
        since: since.map(|since| now.saturating_duration_since(since)),
        left: until.map(|until| until.saturating_duration_since(now)),
        reason,
        is_left_out: backend.left_out().is_some(),
    }
}
