//! Services, listeners, pools and backends as the API shows them: what was configured, what holds
//! now, and the numbers.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::backends::Pool;
use crate::config::{
    ListenerSpec, Match, QueueOrder, SendProxy, ServiceSpec, WHOLE, duration_text, time_text,
    word_of,
};
use crate::control::{BackendEntry, PoolEntry};
use crate::limits::{ADMIN_CERTIFICATES_SHOWN, ADMIN_NAMES_SHOWN, WEIGHT_ONE};
use crate::net::tls::files::Certificate;
use crate::services::Intake;
use crate::stats::field::{Field, NumberKind, Unit, Value as Number};
use crate::stats::snapshot::{self, Word};
use crate::stats::tables::BACKENDS;
use crate::status::backend_now;

use super::super::place::Place;
use super::super::view::{View, whole_seconds};

/// A backend of a pool.
pub fn backend(view: &View<'_>, pool: PoolEntry<'_>, entry: BackendEntry<'_>) -> Value {
    let cx = view.cx;
    let row = backend_now(entry.server, cx);
    let spec = entry.spec;
    let told = view.directory.overlay.told(&pool.spec.name, &spec.name);
    let time = |it: fn(&snapshot::Quantiles) -> Duration| row.times.as_ref().map(it);
    let effective = cx.backends.weight_in(entry.server, pool.id);
    json!({
        "name": spec.name,
        "pool": pool.spec.name,
        "address": spec.at.to_string(),
        "origin": told.map_or("configuration", |told| told.origin()),
        "admin": spec.admin.word(),
        "health": health(&row),
        "state": row.standing.word.text(),
        "reason": row.standing.reason,
        "since": view.time(cx.backends[entry.server].since),
        "weight": {
            "configured": told.map_or(spec.weight, |told| told.configured_weight(spec.weight)),
            "override": told.and_then(|told| told.told_weight()),
            "effective": f64::from(effective) / f64::from(WEIGHT_ONE),
        },
        "backup": spec.backup,
        "max_connections": spec.max_connections,
        "tls": spec.tls,
        "proxy": spec.proxy.map(SendProxy::version),
        "proxy_tlvs": spec.proxy.map(|it| it.tlvs().names().collect::<Vec<_>>()),
        "load": row.load,
        "active": row.connections,
        "rate": row.rate.last_second,
        "rate_minute": row.rate.last_minute,
        "p50_ms": time(|it| it.p50).map(millis),
        "p90_ms": time(|it| it.p90).map(millis),
        "p99_ms": time(|it| it.p99).map(millis),
        "totals": totals(BACKENDS, &row),
        "check": {
            "kind": pool.spec.settings.check.kind.to_string(),
            "port": spec.check_port,
            "enabled": view.cx.backends[entry.server].is_probed(),
        },
        "registration": registration(view, &Place::new(&pool.spec.name, &spec.name)),
        "revision": view.directory.revision(&pool.spec.name, &spec.name),
    })
}

/// A backend alone: with what takes a look at all connections.
pub fn backend_alone(view: &View<'_>, pool: PoolEntry<'_>, entry: BackendEntry<'_>) -> Value {
    let mut value = backend(view, pool, entry);
    let oldest = view.cx.oldest_connection(entry.server);
    value["oldest_connection"] = json!(oldest.map(|at| duration(whole_seconds(view.ago(at)))));
    value
}

/// Of a server that registered itself.
fn registration(view: &View<'_>, place: &Place) -> Value {
    let Some(ttl) = view.registry.ttl(place) else { return Value::Null };
    let late = view.registry.late(place, view.cx.now);
    let late = late.map(|it| duration(whole_seconds(it)));
    json!({"ttl": duration(ttl), "late": late})
}

/// A pool.
pub fn pool(view: &View<'_>, pool: PoolEntry<'_>) -> Value {
    let settings = &pool.spec.settings;
    let found = view.cx.backends.pool(Some(pool.id));
    let longest_wait = |it: &Pool| it.queue().longest_wait(view.cx.now).as_millis() as u64;
    let is_used = |it: &&ServiceSpec| it.pools().any(|name| name == pool.spec.name);
    let services = view.directory.desired.services.iter().filter(is_used);
    json!({
        "name": pool.spec.name,
        "algorithm": settings.algorithm.to_string(),
        "services": services.map(|it| &*it.name).collect::<Vec<_>>(),
        "backends": pool.spec.backends.len(),
        "up": found.map_or(0, Pool::up),
        "active": found.map_or(0, Pool::connections),
        "waiting": found.map_or(0, |it| it.queue().len()),
        "longest_wait_ms": found.map_or(0, longest_wait),
        "queue": {
            "limit": settings.queue.limit,
            "timeout": duration(settings.queue.timeout),
            "order": word_of(&settings.queue.order, QueueOrder::ALL),
            "urgent": settings.queue.urgent.as_ref().map(ToString::to_string),
        },
        "connections_total": found.map_or(0, |it| it.traffic.counts.clients),
        "check": {
            "kind": settings.check.kind.to_string(),
            "interval": duration(settings.check.interval),
            "timeout": duration(settings.check.timeout),
            "rise": settings.check.rise,
            "fall": settings.check.fall,
        },
        "sticky": settings.sticky.cookie,
        "retries": settings.retries,
        "retry_budget": settings.retry_percent().map(|percent| format!("{percent}%")),
        "retries_total": found.map_or(0, Pool::retries),
        "retries_over_budget": found.map_or(0, Pool::retries_over_budget),
        "connect_timeout": duration(settings.connect_timeout),
        "slow_start": duration(settings.slow_start),
        "register": settings.register,
    })
}

/// A service.
pub fn service(view: &View<'_>, spec: &ServiceSpec) -> Value {
    let at = view.directory.desired.services.iter().position(|it| it.name == spec.name);
    let id = at.and_then(|at| view.directory.services.get(at).copied());
    let running = id.and_then(|id| view.cx.services.get(id));
    let share = |of: u32| f64::from(of) / f64::from(WHOLE);
    let mirror = spec.mirror.as_ref();
    json!({
        "name": spec.name,
        "listeners": spec.listeners,
        "match": spec.matches.iter().map(Match::to_string).collect::<Vec<_>>(),
        "pool": spec.pool,
        "pools": spec.pools().collect::<Vec<_>>(),
        "rules": spec.rules.len(),
        "mirror": mirror.map(|it| json!({"pool": it.pool, "share": share(it.of_ten_thousand)})),
        "active": running.map_or(0, |it| it.users()),
    })
}

/// A listener.
pub fn listener(view: &View<'_>, spec: &ListenerSpec) -> Value {
    let at = view.directory.desired.listeners.iter().position(|it| it.name == spec.name);
    let id = at.and_then(|at| view.directory.listeners.get(at).copied());
    let running = id.and_then(|id| view.cx.listeners.get(id));
    let is_behind = |it: &&ServiceSpec| it.listeners.contains(&spec.name);
    let services = view.directory.desired.services.iter().filter(is_behind);
    let mut value = json!({
        "name": spec.name,
        "protocol": spec.listen.protocol.to_string(),
        "address": running.map_or(&spec.listen.address, |it| &it.address).to_string(),
        "services": services.map(|it| &*it.name).collect::<Vec<_>>(),
        "state": running.and_then(|it| it.intake()).map_or("open", |it| match it {
            Intake::Open => "open",
            Intake::Closing | Intake::Closed => "paused",
        }),
        "active": running.map_or(0, |it| it.stats.open),
    });
    if let Some(server) = running.and_then(|it| it.tls.as_ref()) {
        let shown = server.certificates().iter().take(ADMIN_CERTIFICATES_SHOWN);
        value["certificates"] = shown.map(|it| certificate(it)).collect();
    }
    value
}

fn certificate(certificate: &Certificate) -> Value {
    json!({
        "file": certificate.file(),
        "names": certificate.names().iter().take(ADMIN_NAMES_SHOWN).collect::<Vec<_>>(),
        "not_after": time_text(certificate.ends()),
        "told": certificate.is_told(),
    })
}

/// The process.
pub fn process(view: &View<'_>) -> Value {
    let stats = &view.cx.stats;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "state": view.state.word(),
        "started": view.time(view.cx.started),
        "uptime": duration(Duration::from_secs(view.ago(view.cx.started).as_secs())),
        "generation": view.directory.generation,
        "active": stats.open,
        "limit": view.cx.settings.max_connections,
        "connections_total": stats.accepted,
        "requests_total": stats.requests,
    })
}

/// `up`, `down` or `unknown`.
fn health(row: &snapshot::Backend) -> &'static str {
    match (row.standing.word, row.is_up) {
        (Word::Unknown, _) => "unknown",
        (_, true) => "up",
        (_, false) => "down",
    }
}

/// What only grows, by the names of the statistics.
fn totals<T>(table: &[Field<T>], row: &T) -> Value {
    let mut all = Map::new();
    for field in table.iter().filter(|it| it.kind == NumberKind::Counter) {
        let value = match (field.get)(row) {
            Number::Count(count) => json!(count),
            Number::Decimal(number) => json!(number),
            Number::Time(time) if field.unit == Unit::Milliseconds => json!(millis(time)),
            Number::Time(time) => json!(time.as_secs_f64()),
            _ => continue,
        };
        match field.group {
            "" => all.insert(field.name.into(), value),
            group => {
                let within = all.entry(group).or_insert_with(|| json!({}));
                within[field.name] = value;
                continue;
            }
        };
    }
    Value::Object(all)
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// A time with its unit, as settings have it.
fn duration(time: Duration) -> String {
    duration_text(time)
}
