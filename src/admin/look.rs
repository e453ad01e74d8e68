//! A look at everything that is shown to those who watch: services, pools and backends, one by
//! one, so that thousands of them lengthen no turn.

use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::json;

use crate::config::ListenerSpec;
use crate::control::{BackendEntry, PoolEntry};
use crate::history::track::Track;
use crate::json::{self, number};
use crate::limits::WEIGHT_ONE;
use crate::status::backend_now;

use super::live::Live;
use super::metrics::process::{open_files, open_files_max, resident};
use super::recorder::Subject;
use super::view::View;

/// One that is under way.
pub struct Look {
    second: u64,
    at: At,
    services: Vec<String>,
    pools: Vec<String>,
}

/// What is looked at next.
#[derive(Debug, Clone, Copy)]
enum At {
    Service(usize),
    Pool(usize),
    Backend(usize, usize),
}

impl Look {
    /// In this second, counted from 1970.
    pub fn begin(second: u64) -> Look {
        Look { second, at: At::Service(0), services: Vec::new(), pools: Vec::new() }
    }

    /// Looks at one more thing. Says whether there is another one.
    pub fn step(&mut self, view: &View<'_>, live: &mut Live) -> bool {
        self.at = match self.at {
            At::Service(at) => match service(view, at) {
                Some(text) => {
                    self.services.push(text);
                    At::Service(at + 1)
                }
                None => At::Pool(0),
            },
            At::Pool(at) => match view.directory.pool_at(at) {
                Some(entry) => {
                    self.pools.push(pool(view, entry));
                    At::Backend(at, 0)
                }
                None => {
                    let generation = view.directory.generation;
                    live.publish(generation, self.second, self.head(view));
                    return false;
                }
            },
            At::Backend(pool, at) => match entry(view, pool, at) {
                Some((of, entry)) => {
                    let write = |id| backend(view, id, of, entry);
                    live.put(&of.spec.name, &entry.spec.name, self.second, write);
                    At::Backend(pool, at + 1)
                }
                None => At::Pool(pool + 1),
            },
        };
        true
    }

    fn head(&self, view: &View<'_>) -> String {
        format!(
            "\"second\":{},\"generation\":{},\"process\":{},\"services\":[{}],\"pools\":[{}]",
            self.second,
            view.directory.generation,
            process(view),
            self.services.join(","),
            self.pools.join(",")
        )
    }
}

fn entry<'a>(
    view: &View<'a>,
    pool: usize,
    at: usize,
) -> Option<(PoolEntry<'a>, BackendEntry<'a>)> {
    let pool = view.directory.pool_at(pool)?;
    Some((pool, view.directory.backend_at(pool, at)?))
}

/// What is recorded of something last, as members of an object.
fn recorded(track: Option<&Track>) -> String {
    let mut out = Vec::new();
    let names = ["rate", "errors", "p50_ms", "p99_ms", "bytes_in", "bytes_out"];
    for name in names {
        let shown = if name == "errors" { "errors_rate" } else { name };
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"{shown}\":").as_bytes());
        number(track.and_then(|it| it.last(name)), &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An object, with what is recorded of it.
fn object(mut value: serde_json::Value, recorded: &str) -> String {
    let text = std::mem::take(&mut value).to_string();
    format!("{},{recorded}}}", &text[..text.len() - 1])
}

fn service(view: &View<'_>, at: usize) -> Option<String> {
    let directory = view.directory;
    let spec = directory.desired.services.get(at)?;
    let running = directory.services.get(at).and_then(|id| view.cx.services.get(*id));
    let is_its = |it: &&ListenerSpec| spec.listeners.contains(&it.name);
    let listeners: Vec<&ListenerSpec> =
        directory.desired.listeners.iter().filter(is_its).collect();
    let place = |it: &&ListenerSpec| format!("{}://{}", it.listen.protocol, it.listen.address);
    let mode = match listeners.first().map(|it| it.listen.protocol) {
        Some(protocol) if protocol.is_http() => "http",
        Some(protocol) if protocol.is_udp() => "udp",
        _ => "tcp",
    };
    let value = json!({
        "name": spec.name,
        "mode": mode,
        "listeners": listeners.iter().map(place).collect::<Vec<_>>(),
        "pools": spec.pools().collect::<Vec<_>>(),
        "active": running.map_or(0, |it| it.users()),
    });
    let of = Subject::Service(spec.name.clone());
    Some(object(value, &recorded(view.recorder.and_then(|it| it.track(&of)))))
}

fn pool(view: &View<'_>, entry: PoolEntry<'_>) -> String {
    let found = view.cx.backends.pool(Some(entry.id));
    let value = json!({
        "name": entry.spec.name,
        "algorithm": entry.spec.settings.algorithm.to_string(),
        "active": found.map_or(0, |it| it.connections()),
        "waiting": found.map_or(0, |it| it.queue().len()),
        "up": found.map_or(0, |it| it.up()),
        "backends": entry.spec.backends.len(),
    });
    let of = Subject::Pool(entry.spec.name.clone());
    object(value, &recorded(view.recorder.and_then(|it| it.track(&of))))
}

/// Seconds since 1970, always the same of one moment: two clocks that are read anew each time
/// would differ by one now and then.
fn unix(view: &View<'_>, at: Instant) -> u64 {
    let cx = view.cx;
    let started = cx.started_wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    (started + at.saturating_duration_since(cx.started)).as_secs()
}

fn process(view: &View<'_>) -> String {
    let cx = view.cx;
    let track = view.recorder.and_then(|it| it.track(&Subject::Process));
    let reload = view.reloaded.map(|it| {
        let at = it.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        json!({"ok": it.ok, "at": at})
    });
    let turn = view.recorder.and_then(|it| it.turn_p99());
    let rules = || cx.guard.book.iter().filter(|it| it.counts.refused > 0);
    let most = rules().max_by_key(|it| it.counts.refused);
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started": unix(view, cx.started),
        "pid": std::process::id(),
        "state": view.state.word(),
        "generation": view.directory.generation,
        "reload": reload,
        "open": cx.stats.open + cx.stats.udp.open,
        "limit": cx.settings.max_connections,
        "turn_p99_ms": turn.map(|it| f64::from((it * 1e3).round()) / 1e3),
        "fds": open_files().map(|it| it as u64),
        "fds_max": open_files_max(),
        "memory": resident().map(|it| it as u64),
        "refused": cx.guard.book.total().refused,
        "refused_by": most.map_or_else(String::new, |it| format!("({it})")),
    });
    object(value, &recorded(track))
}

/// A row, as an array.
fn backend(view: &View<'_>, id: u64, pool: PoolEntry<'_>, entry: BackendEntry<'_>) -> Vec<u8> {
    let cx = view.cx;
    let now = backend_now(entry.server, cx);
    let spec = entry.spec;
    let told = view.directory.overlay.told(&pool.spec.name, &spec.name);
    let of = Subject::Backend(pool.spec.name.clone(), spec.name.clone());
    let track = view.recorder.and_then(|it| it.track(&of));
    let effective = cx.backends.share_in(entry.server, pool.id).effective;
    let effective = f64::from(effective) / f64::from(WEIGHT_ONE);
    let since = unix(view, cx.backends[entry.server].since);
    let millis = |it: Duration| Some(it.as_secs_f32() * 1e3);
    let mut out = format!("[{id},").into_bytes();
    let address = now.address.as_ref().map_or_else(|| spec.at.to_string(), ToString::to_string);
    let texts = [
        Some(&*pool.spec.name),
        Some(&*spec.name),
        Some(&*address),
        Some(told.map_or("configuration", |told| told.origin())),
        Some(spec.admin.word()),
        Some(now.standing.word.text()),
        now.standing.reason.as_deref(),
    ];
    for it in texts {
        match it {
            Some(it) => json::text(it, &mut out),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b',');
    }
    let limit = spec.max_connections.unwrap_or(0);
    let waiting = cx.backends.waiting_for(Some(pool.id), entry.server);
    let counted = format!(
        "{since},{},{effective:.2},{},{limit},{waiting},{},",
        spec.weight, now.connections, now.rate.last_second
    );
    out.extend_from_slice(counted.as_bytes());
    for it in [now.times.and_then(|it| millis(it.p50)), now.times.and_then(|it| millis(it.p99))]
    {
        number(it, &mut out);
        out.push(b',');
    }
    number(track.and_then(|it| it.last("errors")), &mut out);
    out.extend_from_slice(
        format!(",{},{}]", now.counts.failures, now.rate.in_minute).as_bytes(),
    );
    out
}
