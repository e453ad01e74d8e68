//! Our names: each row of the tables that is a number.

use crate::config::AdminState;
use crate::stats::exposition::{self, Family, Format, label, sample};
use crate::stats::field::NumberKind;
use crate::stats::snapshot::{Backend, GuardRule, Word};
use crate::stats::tables::{BACKENDS, LISTENERS, POOLS, PROCESS, RULES, TRAFFIC, UDP};
use crate::stats::traffic::Traffic;
use crate::status::{backend_now, pool_now, process_now};

use super::super::answer::{More, Pieces, some_steps};
use super::super::view::View;
use super::{Filter, ROWS_PER_PIECE, process};

/// The page.
pub struct Metrics {
    filter: Filter,
    format: Format,
    at: At,
    rows: Vec<Row>,
    families: Vec<Family<Backend>>,
}

/// A backend of a pool, with its labels.
struct Row {
    labels: String,
    seen: Backend,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum At {
    Process,
    /// A pool, and the place in it.
    Taking(usize, usize),
    /// The state of backends from this one on.
    State(usize),
    /// A family, from this backend on.
    Family(usize, usize),
}

const STATES: &[Word] = &[
    Word::Unknown,
    Word::Up,
    Word::Full,
    Word::Draining,
    Word::Maint,
    Word::Ejected,
    Word::Down,
];

impl Metrics {
    pub fn new(filter: Filter, format: Format) -> Metrics {
        let families = exposition::families("backend_", BACKENDS);
        Metrics { filter, format, at: At::Process, rows: Vec::new(), families }
    }

    /// The process and all of which there are few.
    fn begin(&self, view: &View<'_>, out: &mut Vec<u8>) {
        process::write(view, self.format, out);
        let process = process_now(view.cx);
        for family in exposition::families("", PROCESS) {
            family.head(self.format, out);
            family.series(&process, "", out);
        }
        Format::histogram_head(TURNS, "how long the turns of the event loop were", out);
        exposition::histogram(TURNS, "", &process.stats.turn_times, out);
        if process.stats.udp.is_used {
            for family in exposition::families("udp_", UDP) {
                family.head(self.format, out);
                family.series(&process.stats.udp, "", out);
            }
        }
        for family in exposition::families("listener_", LISTENERS) {
            family.head(self.format, out);
            for listener in &process.listeners {
                let mut labels = String::new();
                label("listener", &listener.name, &mut labels);
                family.series(listener, &labels, out);
            }
        }
        self.rules(&process.rules, out);
        self.services(view, out);
        for family in exposition::families("pool_", POOLS) {
            family.head(self.format, out);
            let pools = view.cx.backends.pools();
            for (id, pool) in pools.filter(|(_, it)| self.filter.takes_pool(&it.name)) {
                let mut labels = String::new();
                label("pool", &pool.name, &mut labels);
                family.series(&pool_now(id, pool, view.cx.now), &labels, out);
            }
        }
        let pools = view.cx.backends.pools().map(|(_, it)| (&*it.name, &it.traffic));
        let pools: Vec<_> = pools.filter(|(name, _)| self.filter.takes_pool(name)).collect();
        self.traffic("pool", &pools, out);
    }

    /// What the rules of the guard counted.
    fn rules(&self, rules: &[GuardRule], out: &mut Vec<u8>) {
        for family in exposition::families("guard_", RULES) {
            family.head(self.format, out);
            for rule in rules {
                let mut labels = String::new();
                label("rule", &rule.rule, &mut labels);
                label("of", rule.of, &mut labels);
                label("name", &rule.name, &mut labels);
                family.series(rule, &labels, out);
            }
        }
    }

    /// All of the services, unless somebody asks for a pool or a backend.
    fn services(&self, view: &View<'_>, out: &mut Vec<u8>) {
        if self.filter.pool.is_some() || self.filter.name.is_some() {
            return;
        }
        self.format.head(
            OPEN,
            NumberKind::Gauge,
            "clients of it that are here, flows among them",
            out,
        );
        for (_, service) in view.cx.services.iter() {
            let mut labels = String::new();
            label("service", &service.name, &mut labels);
            sample(OPEN, NumberKind::Gauge, &labels, service.users() as f64, out);
        }
        let services = view.cx.services.iter().map(|(_, it)| (&*it.name, &it.traffic));
        self.traffic("service", &services.collect::<Vec<_>>(), out);
    }

    /// What was done for the clients of these.
    fn traffic(&self, of: &str, all: &[(&str, &Traffic)], out: &mut Vec<u8>) {
        let labels = |name: &str| {
            let mut labels = String::new();
            label(of, name, &mut labels);
            labels
        };
        for family in exposition::families(&format!("{of}_"), TRAFFIC) {
            family.head(self.format, out);
            for (name, traffic) in all {
                family.series(&traffic.counts, &labels(name), out);
            }
        }
        let family = format!("pointsman_{of}_response_seconds");
        let help = "how long after a request the head of its answer came";
        Format::histogram_head(&family, help, out);
        for (name, Traffic { responses, .. }) in all {
            exposition::histogram(&family, &labels(name), responses, out);
        }
    }

    /// The backend at this place, if there is one; where the next is, if there may be.
    fn take(&mut self, pool: usize, at: usize, view: &View<'_>) -> Option<(usize, usize)> {
        let entry = view.directory.pool_at(pool)?;
        let Some(backend) = view.directory.backend_at(entry, at) else {
            return Some((pool + 1, 0));
        };
        if !self.filter.takes_pool(&entry.spec.name) {
            return Some((pool + 1, 0));
        }
        let spec = backend.spec;
        let is_named = self.filter.name.as_deref().is_none_or(|it| it == spec.name);
        let is_hidden = self.filter.no_maint && spec.admin == AdminState::Maint;
        if is_named && !is_hidden {
            let mut labels = String::new();
            label("pool", &entry.spec.name, &mut labels);
            label("backend", &spec.name, &mut labels);
            self.rows.push(Row { labels, seen: backend_now(backend.server, view.cx) });
        }
        Some((pool, at + 1))
    }

    fn state(&self, row: &Row, out: &mut Vec<u8>) {
        for word in STATES {
            let mut labels = row.labels.clone();
            label("state", word.text(), &mut labels);
            let is_it = f64::from(u8::from(*word == row.seen.standing.word));
            sample(STATE, NumberKind::Gauge, &labels, is_it, out);
        }
    }

    fn step(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> Option<At> {
        match self.at {
            At::Process => {
                self.begin(view, out);
                Some(At::Taking(0, 0))
            }
            At::Taking(pool, at) => match self.take(pool, at, view) {
                Some((pool, at)) => Some(At::Taking(pool, at)),
                None => {
                    let help = "1 for the state that it is in, 0 for the others";
                    self.format.head(STATE, NumberKind::Gauge, help, out);
                    Some(At::State(0))
                }
            },
            At::State(at) => match self.rows.get(at) {
                Some(row) => {
                    self.state(row, out);
                    Some(At::State(at + 1))
                }
                None => Some(At::Family(0, 0)),
            },
            At::Family(family, at) => {
                let Some(metric) = self.families.get(family) else {
                    self.format.end(out);
                    return None;
                };
                if at == 0 {
                    metric.head(self.format, out);
                }
                match self.rows.get(at) {
                    Some(Row { labels, seen }) => {
                        metric.series(seen, labels, out);
                        Some(At::Family(family, at + 1))
                    }
                    None => Some(At::Family(family + 1, 0)),
                }
            }
        }
    }
}

const TURNS: &str = "pointsman_turn_seconds";
const OPEN: &str = "pointsman_service_connections_open";
const STATE: &str = "pointsman_backend_state";

impl Pieces for Metrics {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        some_steps(ROWS_PER_PIECE, out, |out| match self.step(view, out) {
            Some(next) => {
                self.at = next;
                true
            }
            None => false,
        })
    }
}
