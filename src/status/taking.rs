//! Takes a snapshot of everything that is counted, a row at a time: the only place that knows where
//! a number of a page comes from.

use std::time::{Instant, SystemTime};

use crate::backends::{self, PoolId, ServerId};
use crate::context::Context;
use crate::guard::{Fill, Rule, RuleId};
use crate::limits::WEIGHT_ONE;
use crate::services::Listener;
use crate::stats::snapshot::{self, Process, Snapshot};

/// The first row: the process.
pub fn begin(cx: &Context) -> Snapshot {
    Snapshot::begin(process_now(cx), cx.backends.len(), cx.now)
}

/// The process, as it is now.
pub fn process_now(cx: &Context) -> Process {
    let access_log = cx.access_log.as_ref().map(|log| snapshot::AccessLogStats {
        dropped: log.dropped(),
        waiting: log.waiting(),
        is_behind: log.is_behind(),
    });
    Process {
        uptime: cx.now.saturating_duration_since(cx.started),
        stats: cx.stats.clone(),
        listeners: listeners(cx, SystemTime::now()),
        rules: guard_rules(cx),
        bans: bans(cx),
        log_lines_dropped: cx.stats.log_dropped(),
        access_log,
    }
}

fn listeners(cx: &Context, now: SystemTime) -> Vec<snapshot::Listener> {
    let row = |it: &Listener| {
        let end = it.tls.as_ref().and_then(|tls| tls.first_end());
        let left = end.map(|end| end.duration_since(now).unwrap_or_default());
        let name = it.stats.name.clone();
        snapshot::Listener { name, open: it.stats.open, certificate_left: left }
    };
    cx.listeners.iter().map(|(_, it)| row(it)).collect()
}

fn bans(cx: &Context) -> snapshot::BanCounts {
    let banning = &cx.guard.banning;
    snapshot::BanCounts {
        open: banning.bans.len() as u64,
        made: banning.made,
        by_strikes: banning.made_by_strikes,
        strikes: banning.strikes_counted,
    }
}

/// The rules of the guard, as they are now.
pub fn guard_rules(cx: &Context) -> Vec<snapshot::GuardRule> {
    let now = cx.guard.time(cx.now);
    let listeners = cx.listeners.iter().flat_map(|(_, it)| it.guard.fills(now));
    let services = cx.services.iter().flat_map(|(_, it)| it.guard.limits.fills(now));
    let fills: Vec<Fill> = listeners.chain(services).collect();
    let row = |(id, it): (RuleId, &Rule)| {
        let (of, name) = it.scope.words();
        snapshot::GuardRule {
            rule: it.name.clone(),
            of,
            name: name.into(),
            is_dry: it.is_dry,
            counts: it.counts,
            fill: fills
                .iter()
                .find(|fill| fill.rule == id)
                .map(|fill| Fill { counts: fill.counts.and(it.elsewhere), ..*fill }),
        }
    };
    cx.guard.book.entries().map(row).collect()
}

/// The next row, or the end of a snapshot that has all.
pub fn take_row(snapshot: &mut Snapshot, cx: &Context) {
    if let Some((id, pool)) = next_route(snapshot, cx) {
        snapshot.pools.push(pool_now(id, pool, cx.now));
    } else if let Some(id) = cx.backends.next_from(snapshot.next_backend()) {
        let backend = backend_now(id, cx);
        snapshot.push_backend(backend, cx.now);
    } else {
        snapshot.finish();
    }
}

/// The next pool but the one of the command line, which is not shown.
fn next_route<'a>(
    snapshot: &Snapshot,
    cx: &'a Context,
) -> Option<(PoolId, &'a backends::Pool)> {
    let mut from = snapshot.next_pool();
    loop {
        let (id, pool) = cx.backends.next_pool_from(from)?;
        if !pool.is_main() {
            return Some((id, pool));
        }
        from = id.index() + 1;
    }
}

/// A pool, as it is now.
pub fn pool_now(id: PoolId, pool: &backends::Pool, now: Instant) -> snapshot::Pool {
    snapshot::Pool {
        id,
        name: pool.name.clone(),
        members: pool.members().collect(),
        up: pool.up(),
        waiting: pool.queue().len(),
        longest_wait: pool.queue().longest_wait(now),
        queue: pool.queue().counts,
        retries: pool.retries(),
        retries_over_budget: pool.retries_over_budget(),
        counts: pool.traffic.counts,
    }
}

/// A backend, as it is now.
pub fn backend_now(id: ServerId, cx: &Context) -> snapshot::Backend {
    let now = cx.now;
    let rate = cx.backends.rate(id, now);
    let times = cx.backends.response_times(id, now);
    let share = cx.backends.share(id);
    let standing = standing(id, cx);
    let backend = &cx.backends[id];
    snapshot::Backend {
        id,
        name: backend.name.clone(),
        address: backend.address().cloned(),
        addresses: backend.addresses.all().len(),
        is_up: backend.state.is_up(),
        state_for: now.saturating_duration_since(backend.since),
        standing,
        weight: share.weight,
        effective_weight: f64::from(share.in_force) / f64::from(WEIGHT_ONE),
        is_ramping: share.is_ramping(),
        backup: share.backup,
        downtime: backend.downtime(now),
        idle_for: backend.given_at.map(|at| now.saturating_duration_since(at)),
        load: backend.load,
        connections: backend.connections,
        rate,
        counts: backend.counts,
        times,
    }
}

fn standing(id: ServerId, cx: &Context) -> snapshot::Standing {
    let now = cx.now;
    let backends::Standing { word, since, until, reason, is_ejected } =
        cx.backends.standing(id);
    snapshot::Standing {
        word,
        since: since.map(|since| now.saturating_duration_since(since)),
        left: until.map(|until| until.saturating_duration_since(now)),
        reason,
        is_left_out: is_ejected,
    }
}
