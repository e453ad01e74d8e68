//! What the picture shows: the last half minute, and what was said. No clock, no socket, no
//! terminal: it is told what was seen, and when.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::crowd::{Quantiles, Told};
use super::watch::Seen;
use crate::limits::{DEMO_CHART_COLUMNS, DEMO_RATE_FRAMES};

/// Everything there is to be seen.
#[derive(Debug)]
pub struct Scene {
    /// The balancer's own address.
    pub front: SocketAddr,
    /// Its API and dashboard.
    pub admin: SocketAddr,
    /// Since when there is something to see.
    pub start: Instant,
    /// The last look.
    pub now: Instant,
    /// Who gets the next request; empty until it is known.
    pub algorithm: String,
    /// What the clients have seen.
    pub told: Told,
    /// Their p99 in milliseconds, a column each.
    pub p99: VecDeque<Option<f64>>,
    /// The algorithm that holds from this column on, where it changed.
    pub marks: VecDeque<Option<String>>,
    /// The backends, by key.
    pub actors: Vec<Actor>,
    /// What was done or seen last, in words.
    pub note: String,
    /// Why there is nothing new to see.
    pub trouble: Option<String>,
    /// The last lines of the log, while they are wanted.
    pub log: Option<Vec<String>>,
}

/// A backend and what became of it.
#[derive(Debug)]
pub struct Actor {
    /// As in the configuration.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// How fast it is meant to be.
    pub words: String,
    /// As the balancer has it.
    pub state: String,
    /// Why it is not up.
    pub reason: Option<String>,
    /// It refuses connections, for so long yet.
    pub asleep: Option<Duration>,
    /// Requests it works on.
    pub active: u64,
    /// Requests it is given each second.
    pub rate: f64,
    /// Its response times, as its clients had them.
    pub times: Quantiles,
    /// The rate, a column each.
    pub rates: VecDeque<Option<f64>>,
    /// Work at each of these columns.
    pub actives: VecDeque<u64>,
    counts: VecDeque<(Instant, u64)>,
}

impl Actor {
    /// A backend of which nothing was seen yet.
    pub fn new(name: &str, address: SocketAddr, words: String) -> Actor {
        Actor {
            name: name.to_owned(),
            address,
            words,
            state: "unknown".to_owned(),
            reason: None,
            asleep: None,
            active: 0,
            rate: 0.0,
            times: Quantiles::default(),
            rates: VecDeque::new(),
            actives: VecDeque::new(),
            counts: VecDeque::new(),
        }
    }
}

impl Scene {
    /// Before anything was seen.
    pub fn new(
        front: SocketAddr,
        admin: SocketAddr,
        actors: Vec<Actor>,
        now: Instant,
    ) -> Scene {
        Scene {
            front,
            admin,
            start: now,
            now,
            algorithm: String::new(),
            told: Told::default(),
            p99: VecDeque::new(),
            marks: VecDeque::new(),
            actors,
            note: String::new(),
            trouble: None,
            log: None,
        }
    }

    /// What clients and balancer say now, and which backends sleep.
    pub fn add(
        &mut self,
        now: Instant,
        told: Told,
        seen: Result<Seen, String>,
        naps: &[Option<Duration>],
    ) {
        self.now = now;
        push(&mut self.p99, told.all.p99.map(|it| it.as_secs_f64() * 1000.0));
        for (actor, (times, naps)) in self.actors.iter_mut().zip(told.each.iter().zip(naps)) {
            actor.times = *times;
            actor.asleep = *naps;
        }
        self.told = told;
        let seen = match seen {
            Ok(seen) => {
                self.trouble = None;
                seen
            }
            Err(why) => {
                self.trouble = Some(why);
                push(&mut self.marks, None);
                return;
            }
        };
        let is_other = self.algorithm != seen.algorithm;
        push(&mut self.marks, is_other.then(|| seen.algorithm.clone()));
        self.algorithm = seen.algorithm;
        for it in seen.backends {
            let Some(actor) = self.actors.iter_mut().find(|actor| actor.name == it.name) else {
                continue;
            };
            if actor.state != it.state && actor.state != "unknown" {
                let failed = self.told.failed;
                self.note = match &it.reason {
                    Some(reason) if it.state != "up" => {
                        format!("{} is {}: {reason}", it.name, it.state)
                    }
                    _ => {
                        format!("{} is {}; {failed} requests failed so far", it.name, it.state)
                    }
                };
            }
            actor.state = it.state;
            actor.reason = it.reason;
            actor.active = it.active;
            actor.count(now, it.requests);
        }
    }

    /// The part of all requests that each of them is given now, from 0 to 1.
    pub fn shares(&self) -> Vec<f64> {
        let whole = self.rate().max(f64::MIN_POSITIVE);
        self.actors.iter().map(|actor| actor.rate / whole).collect()
    }

    /// Requests a second, of all.
    pub fn rate(&self) -> f64 {
        self.actors.iter().map(|actor| actor.rate).sum()
    }

    /// For how long this has gone on.
    pub fn age(&self) -> Duration {
        self.now.duration_since(self.start)
    }
}

impl Actor {
    fn count(&mut self, now: Instant, requests: u64) {
        let before = self.counts.front().copied();
        self.counts.push_back((now, requests));
        if self.counts.len() > DEMO_RATE_FRAMES {
            self.counts.pop_front();
        }
        let rate = before.map(|(then, count)| {
            let seconds = now.duration_since(then).as_secs_f64().max(0.001);
            requests.saturating_sub(count) as f64 / seconds
        });
        self.rate = rate.unwrap_or_default();
        push(&mut self.rates, rate);
        push(&mut self.actives, self.active);
    }
}

/// The chart is full: the oldest column goes.
fn push<T>(columns: &mut VecDeque<T>, it: T) {
    if columns.len() == DEMO_CHART_COLUMNS {
        columns.pop_front();
    }
    columns.push_back(it);
}
