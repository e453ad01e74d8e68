//! Looks at the counters each second, and records what became of them: for charts.
//!
//! ```text
//!   each second    services, one by one --> the process --> pools, one by one
//!   each tenth     and their backends, one by one --> who is gone is forgotten
//! ```
//!
//! One thing is one step, so that a thousand backends lengthen no turn. A round that is not over
//! after a second goes on, and the one that follows is left out: a gap, and no wrong number.

use std::collections::BTreeMap;
use std::time::Instant;

use log::warn;

use crate::context::Context;
use crate::control::Directory;
use crate::event::ServerId;
use crate::history::plan::Plan;
use crate::history::track::{BACKEND_SERIES, SERIES, SERVICE_SERIES, Sample, Track};
use crate::stats::BackendCounts;
use crate::stats::histogram::Histogram;
use crate::stats::traffic::{Traffic, TrafficCounts};

/// How often backends are looked at, in seconds: the finest that is kept of them.
const BACKENDS_EACH: u64 = 10;

/// What was recorded.
pub struct Recorder {
    bytes: usize,
    plan: Plan,
    process: Track,
    services: BTreeMap<String, Track>,
    pools: BTreeMap<String, PoolTracks>,
    round: Option<Round>,
    /// The times of all services in this round.
    times: Histogram,
    /// The second of the last round that is over.
    last: u64,
    /// The 99th of 100 turns of the last second, in milliseconds.
    turn: Option<f32>,
}

/// A pool and its backends.
struct PoolTracks {
    track: Track,
    backends: BTreeMap<String, BackendTrack>,
}

/// A backend, and the server that it was when it was looked at last.
struct BackendTrack {
    track: Track,
    server: Option<ServerId>,
}

/// A look at everything, under way.
struct Round {
    second: u64,
    now: Instant,
    at: At,
    /// Those of services.
    sums: Vec<Option<f32>>,
}

/// What is looked at next.
#[derive(Debug, Clone, Copy)]
enum At {
    Service(usize),
    Process,
    Pool(usize),
    Backend(usize, usize),
}

/// What a history is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The process.
    Process,
    /// A service.
    Service(String),
    /// A pool.
    Pool(String),
    /// A backend of a pool.
    Backend(String, String),
}

impl Recorder {
    /// Nothing is known yet; so many bytes may be kept.
    pub fn new(bytes: usize) -> Recorder {
        let plan = Plan::within(bytes, 1, 0);
        Recorder {
            bytes,
            plan,
            process: Track::new(SERIES, plan.large()),
            services: BTreeMap::new(),
            pools: BTreeMap::new(),
            round: None,
            times: Histogram::default(),
            last: 0,
            turn: None,
        }
    }

    /// A second is over: counted from 1970. One that comes while the round before is not over is
    /// left out.
    pub fn begin(&mut self, second: u64, cx: &mut Context, directory: &Directory) {
        if self.round.is_some() {
            return;
        }
        self.fit(directory);
        self.turn = take_millis(cx.turns_lately.get_or_insert_default(), 0.99);
        let sums = vec![None; SERIES.len()];
        self.round = Some(Round { second, now: cx.now, at: At::Service(0), sums });
    }

    /// So many bytes may be kept from now on.
    pub fn limit(&mut self, bytes: usize) {
        self.bytes = bytes;
    }

    /// Whether more than the last second is kept.
    pub fn keeps_history(&self) -> bool {
        self.bytes > 0
    }

    /// Whether a round is under way.
    pub fn is_busy(&self) -> bool {
        self.round.is_some()
    }

    /// So much is kept as there is memory for, with as many things as there are now: of each from
    /// the next look at it on, for a day of thousands takes many turns.
    fn fit(&mut self, directory: &Directory) {
        let large = 1 + directory.services.len() + directory.pools.len();
        let small = directory.desired.pools.iter().map(|it| it.backends.len()).sum();
        let plan = self.plan.after(self.bytes, large, small);
        if plan == self.plan {
            return;
        }
        if !plan.is_full() && self.keeps_history() {
            let mib = self.bytes >> 20;
            warn!("history: {mib} MiB are too little for all: kept are {}", plan.says());
        }
        self.plan = plan;
    }

    /// Looks at one more thing.
    pub fn step(&mut self, cx: &mut Context, directory: &Directory) {
        let Some(mut round) = self.round.take() else { return };
        let next = match round.at {
            At::Service(at) => match self.look_at_service(at, &mut round, cx, directory) {
                true => At::Service(at + 1),
                false => At::Process,
            },
            At::Process => {
                self.record_process(&mut round, cx);
                At::Pool(0)
            }
            At::Pool(at) => match self.look_at_pool(at, &round, cx, directory) {
                true if round.second.is_multiple_of(BACKENDS_EACH) => At::Backend(at, 0),
                true => At::Pool(at + 1),
                false => return self.sweep(round.second),
            },
            At::Backend(pool, at) => match self.record_backend(pool, at, &round, cx, directory)
            {
                true => At::Backend(pool, at + 1),
                false => At::Pool(pool + 1),
            },
        };
        round.at = next;
        self.round = Some(round);
    }

    /// Says whether there was one.
    fn look_at_service(
        &mut self,
        at: usize,
        round: &mut Round,
        cx: &mut Context,
        directory: &Directory,
    ) -> bool {
        let Some(spec) = directory.desired.services.get(at) else { return false };
        let id = directory.services.get(at);
        if let Some(service) = id.and_then(|id| cx.services.get_mut(*id)) {
            let active = service.users();
            self.record_service(&spec.name, active, &mut service.traffic, round);
        }
        true
    }

    /// Says whether there was one.
    fn look_at_pool(
        &mut self,
        at: usize,
        round: &Round,
        cx: &mut Context,
        directory: &Directory,
    ) -> bool {
        let Some(pool) = directory.pool_at(at) else { return false };
        let active = cx.backends.connections_in(Some(pool.id));
        let waiting = cx.backends.pool(Some(pool.id)).map_or(0, |it| it.queue().len());
        if let Some(traffic) = cx.backends.traffic(Some(pool.id)) {
            self.record_pool(&pool.spec.name, [active, waiting as u64], traffic, round);
        }
        true
    }

    fn record_service(
        &mut self,
        name: &str,
        active: u64,
        traffic: &mut Traffic,
        round: &mut Round,
    ) {
        traffic.watch();
        if let Some(lately) = traffic.lately() {
            self.times.add(lately);
        }
        let sample = sample_of::<1, 3>(traffic, [active]);
        let new = || Track::new(SERVICE_SERIES, self.plan.large());
        let track = entry(&mut self.services, name, new);
        track.fit(self.plan.large());
        track.record(round.second, round.now, &sample);
        for (sum, value) in round.sums.iter_mut().zip(track.values()) {
            *sum = sum.map_or(*value, |sum| Some(sum + value.unwrap_or(0.0)));
        }
    }

    /// What its services have together; times and clients are counted by itself.
    fn record_process(&mut self, round: &mut Round, cx: &Context) {
        let times = self.times.quantiles([0.5, 0.99]);
        self.times.clear();
        let [.., p50, p99, active, waiting] = &mut round.sums[..] else { return };
        *p50 = times.map(|it| millis(it[0]));
        *p99 = times.map(|it| millis(it[1]));
        *active = Some((cx.stats.open + cx.stats.udp.open) as f32);
        *waiting = Some(cx.backends.waiting() as f32);
        self.process.fit(self.plan.large());
        self.process.set(round.second, &round.sums);
    }

    fn record_pool(&mut self, name: &str, now: [u64; 2], traffic: &mut Traffic, round: &Round) {
        traffic.watch();
        let sample = sample_of::<2, 4>(traffic, now);
        let large = self.plan.large();
        let new = || PoolTracks { track: Track::new(SERIES, large), backends: BTreeMap::new() };
        let pool = entry(&mut self.pools, name, new);
        pool.track.fit(large);
        pool.track.record(round.second, round.now, &sample);
    }

    /// Says whether there was one.
    fn record_backend(
        &mut self,
        pool: usize,
        at: usize,
        round: &Round,
        cx: &Context,
        directory: &Directory,
    ) -> bool {
        let Some(pool) = directory.pool_at(pool) else { return false };
        let Some(backend) = directory.backend_at(pool, at) else { return false };
        let Some(tracks) = self.pools.get_mut(&pool.spec.name) else { return false };
        let Some(server) = cx.backends.get(backend.server) else { return true };
        let times = cx.backends.response_times(backend.server, round.now);
        let sample = Sample {
            totals: [server.counts.given, errors_of(&server.counts)],
            measured: [
                times.map(|it| millis(it.p50)),
                times.map(|it| millis(it.p99)),
                Some(server.connections as f32),
            ],
        };
        let small = self.plan.small();
        let new = || BackendTrack { track: Track::new(BACKEND_SERIES, small), server: None };
        let it = entry(&mut tracks.backends, &backend.spec.name, new);
        if it.server != Some(backend.server) {
            // Another server by the same name counts anew.
            it.track.forget_counters();
            it.server = Some(backend.server);
        }
        it.track.fit(small);
        it.track.record(round.second, round.now, &sample);
        true
    }

    /// The round is over: who was not met in it is gone.
    fn sweep(&mut self, second: u64) {
        self.services.retain(|_, it| it.second() == second);
        self.pools.retain(|_, it| it.track.second() == second);
        if second.is_multiple_of(BACKENDS_EACH) {
            for pool in self.pools.values_mut() {
                pool.backends.retain(|_, it| it.track.second() == second);
            }
        }
        self.last = second;
    }

    /// The second of the last round that is over, from 1970; zero if there was none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The time that 99 of 100 turns of the last second did not exceed, in milliseconds.
    pub fn turn_p99(&self) -> Option<f32> {
        self.turn
    }

    /// What is known of this.
    pub fn track(&self, of: &Subject) -> Option<&Track> {
        match of {
            Subject::Process => Some(&self.process),
            Subject::Service(name) => self.services.get(name),
            Subject::Pool(name) => self.pools.get(name).map(|it| &it.track),
            Subject::Backend(pool, name) => {
                self.pools.get(pool)?.backends.get(name).map(|it| &it.track)
            }
        }
    }

    /// The first thing behind this one, in an order that does not change.
    pub fn behind(&self, last: Option<&Subject>) -> Option<Subject> {
        use std::ops::Bound::{Excluded, Unbounded};
        let first_pool = |from| {
            let mut pools = self.pools.range::<String, _>((from, Unbounded));
            pools.next().map(|(name, _)| Subject::Pool(name.clone()))
        };
        let service = |from| {
            let mut services = self.services.range::<String, _>((from, Unbounded));
            services.next().map(|(name, _)| Subject::Service(name.clone()))
        };
        match last {
            None => Some(Subject::Process),
            Some(Subject::Process) => service(Unbounded).or_else(|| first_pool(Unbounded)),
            Some(Subject::Service(name)) => {
                service(Excluded(name)).or_else(|| first_pool(Unbounded))
            }
            Some(Subject::Pool(pool)) => {
                let backends = &self.pools.get(pool)?.backends;
                let first = backends.keys().next();
                let first = first.map(|name| Subject::Backend(pool.clone(), name.clone()));
                first.or_else(|| first_pool(Excluded(pool)))
            }
            Some(Subject::Backend(pool, name)) => {
                let backends = self.pools.get(pool).map(|it| &it.backends);
                let next = backends
                    .and_then(|all| all.range::<String, _>((Excluded(name), Unbounded)).next());
                let next = next.map(|(name, _)| Subject::Backend(pool.clone(), name.clone()));
                next.or_else(|| first_pool(Excluded(pool)))
            }
        }
    }

    /// A minute of before this process, of one of the series of something.
    pub fn restore(&mut self, of: &Subject, name: &str, minute: u64, value: Option<f32>) {
        let plan = self.plan;
        let large = || Track::new(SERIES, plan.large());
        let new_pool = || PoolTracks { track: large(), backends: BTreeMap::new() };
        let track = match of {
            Subject::Process => &mut self.process,
            Subject::Service(name) => {
                let new = || Track::new(SERVICE_SERIES, plan.large());
                entry(&mut self.services, name, new)
            }
            Subject::Pool(name) => &mut entry(&mut self.pools, name, new_pool).track,
            // What server it was then is not known: its counters are new anyhow.
            Subject::Backend(pool, name) => {
                let pool = entry(&mut self.pools, pool, new_pool);
                let new = || BackendTrack {
                    track: Track::new(BACKEND_SERIES, plan.small()),
                    server: None,
                };
                &mut entry(&mut pool.backends, name, new).track
            }
        };
        track.restore(name, minute, value);
    }
}

impl Subject {
    /// As the API has it: `process`, `service:NAME`, `pool:NAME`, `backend:POOL/NAME`.
    pub fn read(text: &str) -> Option<Subject> {
        if text == "process" {
            return Some(Subject::Process);
        }
        let (kind, name) = text.split_once(':')?;
        Some(match kind {
            "service" => Subject::Service(name.to_owned()),
            "pool" => Subject::Pool(name.to_owned()),
            "backend" => {
                let (pool, name) = name.split_once('/')?;
                Subject::Backend(pool.to_owned(), name.to_owned())
            }
            _ => return None,
        })
    }

    /// The same in writing.
    pub fn text(&self) -> String {
        match self {
            Subject::Process => "process".to_owned(),
            Subject::Service(name) => format!("service:{name}"),
            Subject::Pool(name) => format!("pool:{name}"),
            Subject::Backend(pool, name) => format!("backend:{pool}/{name}"),
        }
    }
}

/// What failed at a server, for whatever reason.
pub fn errors_of(counts: &BackendCounts) -> u64 {
    counts.answers[4] + counts.connect_errors + counts.timeouts + counts.broken
}

/// With how many are active now and, of a pool, how many wait.
fn sample_of<const NOW: usize, const MEASURED: usize>(
    traffic: &mut Traffic,
    now: [u64; NOW],
) -> Sample<5, MEASURED> {
    let TrafficCounts { answers, bytes_in, bytes_out, .. } = traffic.counts;
    let totals =
        [traffic.counts.done(), traffic.counts.errors(), answers[3], bytes_in, bytes_out];
    let times = traffic.lately().and_then(|it| {
        let times = it.quantiles([0.5, 0.99]);
        it.clear();
        times
    });
    let times = times.map_or([None; 2], |it| it.map(|it| Some(millis(it))));
    let measured = std::array::from_fn(|at| match at {
        0 | 1 => times[at],
        _ => now.get(at - 2).map(|&it| it as f32),
    });
    Sample { totals, measured }
}

/// A quantile in milliseconds of what was counted, which is forgotten.
fn take_millis(times: &mut Histogram, share: f64) -> Option<f32> {
    let found = times.quantiles([share]).map(|[it]| millis(it));
    times.clear();
    found
}

fn millis(time: std::time::Duration) -> f32 {
    time.as_secs_f32() * 1e3
}

/// What is there by this name, or a new one. Most are there, and need no new name.
fn entry<'a, T>(
    all: &'a mut BTreeMap<String, T>,
    name: &str,
    new: impl FnOnce() -> T,
) -> &'a mut T {
    if !all.contains_key(name) {
        all.insert(name.to_owned(), new());
    }
    // because: it was put there, if it was not.
    all.get_mut(name).expect("it is there")
}
