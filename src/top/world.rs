//! All that was seen: the last look at each process, the rates between looks, and their sums.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::limits::{TOP_EVENTS, TOP_RING_LOOKS};

use super::sample::{Backend, Name, Process, Sample, Service, State, Totals, Trends};

/// Values of the last looks; unknown where one failed.
pub type Ring = VecDeque<Option<f64>>;

/// A process that is looked at.
#[derive(Debug, Default)]
pub struct Seen {
    /// Where it is.
    pub place: String,
    /// The last that it said.
    pub sample: Sample,
    /// Why it says nothing now.
    pub away: Option<String>,
    /// Whether it ever answered.
    pub has_answered: bool,
    /// What happened there, the newest last.
    pub events: VecDeque<String>,
    kept: HashMap<Name, Kept>,
    at: Option<Instant>,
    look: u64,
}

/// What is known of a backend from the looks before.
#[derive(Debug, Default)]
struct Kept {
    totals: Totals,
    rates: Rates,
    ring: Ring,
    look: u64,
}

/// What changed, a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// All that went wrong.
    pub errors: f64,
    /// Connects that failed.
    pub connect: f64,
    /// Answers that did not come in time.
    pub timeout: f64,
    /// Answers that broke off.
    pub broken: f64,
    /// Answers of 5xx.
    pub server_errors: f64,
    /// Bytes to it.
    pub sent: f64,
    /// Bytes from it.
    pub received: f64,
}

impl Rates {
    /// Counters that are lower than before are those of another process: nothing is known then.
    fn between(before: &Totals, after: &Totals, seconds: f64) -> Rates {
        let rate = |before: u64, after: u64| match after.checked_sub(before) {
            Some(more) if seconds > 0.0 => more as f64 / seconds,
            _ => 0.0,
        };
        Rates {
            errors: rate(before.errors(), after.errors()),
            connect: rate(before.connect, after.connect),
            timeout: rate(before.timeout, after.timeout),
            broken: rate(before.broken, after.broken),
            server_errors: rate(before.server_errors, after.server_errors),
            sent: rate(before.sent, after.sent),
            received: rate(before.received, after.received),
        }
    }

    fn plus(self, other: Rates) -> Rates {
        Rates {
            errors: self.errors + other.errors,
            connect: self.connect + other.connect,
            timeout: self.timeout + other.timeout,
            broken: self.broken + other.broken,
            server_errors: self.server_errors + other.server_errors,
            sent: self.sent + other.sent,
            received: self.received + other.received,
        }
    }
}

/// A backend as it is shown: the sum over processes.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Counts are sums, times and state the worst of them.
    pub backend: Backend,
    /// Since the last look.
    pub rates: Rates,
    /// Its part of its pool's traffic in the last minute.
    pub share: Option<f64>,
    /// Its part by weight.
    pub fair: Option<f64>,
    /// New connections or requests a second.
    pub ring: Vec<Option<f64>>,
}

impl Row {
    /// How much it is to be looked at, least first.
    pub fn trouble(&self) -> u8 {
        match self.backend.state {
            State::Down => 0,
            State::Ejected => 1,
            _ if self.rates.errors > 0.0 => 2,
            State::Full => 3,
            State::Maint => 4,
            State::Draining => 5,
            State::Unknown | State::Up => 6,
        }
    }
}

/// A pool as it is shown.
#[derive(Debug, Clone, Default)]
pub struct PoolRow {
    /// Its name.
    pub name: String,
    /// How a backend is picked.
    pub algorithm: String,
    /// The services that use it.
    pub services: Vec<String>,
    /// Backends that are up, in all processes.
    pub up: u64,
    /// Backends, in all processes.
    pub backends: u64,
    /// Connections or requests at work.
    pub active: u64,
    /// New ones in the last second.
    pub rate: f64,
    /// What went wrong, a second.
    pub errors: f64,
    /// That of its worst backend.
    pub p99: Option<f64>,
}

/// The head of it all.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Of the first process.
    pub process: Process,
    /// How many are looked at, and how many of these answer.
    pub processes: usize,
    /// How many of them answer.
    pub present: usize,
    /// Clients.
    pub active: u64,
    /// So many may be.
    pub limit: Option<u64>,
    /// Answers and connections that ended, a second.
    pub rate: f64,
    /// Those of them that failed.
    pub errors: f64,
}

impl Seen {
    /// Not looked at yet.
    pub fn new(place: String) -> Seen {
        Seen { place, ..Seen::default() }
    }

    /// A look is complete.
    pub fn on_sample(&mut self, sample: Sample, now: Instant) {
        let seconds = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64());
        self.look += 1;
        for it in &sample.backends {
            let is_new = !self.kept.contains_key(&it.name);
            let kept = self.kept.entry(it.name.clone()).or_default();
            if !is_new {
                kept.rates = Rates::between(&kept.totals, &it.totals, seconds);
            }
            kept.totals = it.totals;
            kept.look = self.look;
            push(&mut kept.ring, Some(it.rate));
        }
        let look = self.look;
        self.kept.retain(|_, it| it.look == look);
        self.sample = sample;
        self.at = Some(now);
        self.away = None;
        self.has_answered = true;
    }

    /// It does not answer. What it said before is not shown as if it were so.
    pub fn on_away(&mut self, why: String) {
        self.away = Some(why);
        for kept in self.kept.values_mut() {
            kept.rates = Rates::default();
            push(&mut kept.ring, None);
        }
        self.at = None;
    }

    /// Something happened there.
    pub fn on_event(&mut self, line: String) {
        self.events.push_back(line);
        if self.events.len() > TOP_EVENTS {
            self.events.pop_front();
        }
    }

    /// Its own head.
    pub fn head(&self) -> Head {
        let rates = self.sample.backends.iter().filter_map(|it| self.kept.get(&it.name));
        // What clients had, if the server says so; else what backends were given, tries among it.
        let last = |all: &[Option<f64>]| all.last().copied().flatten();
        let trends = &self.sample.trends;
        let given = || self.sample.backends.iter().map(|it| it.rate).sum();
        let failed = || rates.map(|it| it.rates.errors).sum();
        Head {
            process: self.sample.process.clone(),
            processes: 1,
            present: usize::from(self.is_present()),
            active: self.sample.process.active,
            limit: self.sample.process.limit,
            rate: last(&trends.rate).unwrap_or_else(given),
            errors: last(&trends.errors).unwrap_or_else(failed),
        }
    }

    /// Whether what it said is of now.
    pub fn is_present(&self) -> bool {
        self.has_answered && self.away.is_none()
    }
}

fn push(ring: &mut Ring, value: Option<f64>) {
    ring.push_back(value);
    if ring.len() > TOP_RING_LOOKS {
        ring.pop_front();
    }
}

/// Of some processes together.
pub struct World<'a> {
    /// Those that are summed.
    pub seen: Vec<&'a Seen>,
}

impl<'a> World<'a> {
    /// Of all, or of one alone.
    pub fn of(all: &'a [Seen], only: Option<usize>) -> World<'a> {
        let is_in = |index: usize| only.is_none_or(|it| it == index);
        World { seen: all.iter().enumerate().filter(|it| is_in(it.0)).map(|it| it.1).collect() }
    }

    fn present(&self) -> impl Iterator<Item = &'a Seen> + '_ {
        self.seen.iter().copied().filter(|it| it.is_present())
    }

    /// The sums.
    pub fn head(&self) -> Head {
        let mut head = Head { processes: self.seen.len(), ..Head::default() };
        for one in self.present().map(Seen::head) {
            if head.present == 0 {
                head.process = one.process;
                head.limit = Some(0);
            }
            head.present += 1;
            head.active += one.active;
            head.limit = head.limit.zip(one.limit).map(|(a, b)| a + b);
            head.rate += one.rate;
            head.errors += one.errors;
        }
        head
    }

    /// Sums, and the worst of times.
    pub fn trends(&self) -> Trends {
        let mut sum = Trends::default();
        for one in self.present().map(|it| &it.sample.trends) {
            add_ring(&mut sum.rate, &one.rate, |a, b| a + b);
            add_ring(&mut sum.errors, &one.errors, |a, b| a + b);
            add_ring(&mut sum.p99, &one.p99, f64::max);
        }
        sum
    }

    /// Each service once.
    pub fn services(&self) -> Vec<Service> {
        let mut all: Vec<Service> = Vec::new();
        for service in self.present().flat_map(|it| &it.sample.services) {
            match all.iter_mut().find(|it| it.name == service.name) {
                Some(there) => there.active += service.active,
                None => all.push(service.clone()),
            }
        }
        all
    }

    /// Each backend once, in the order of the processes.
    pub fn rows(&self) -> Vec<Row> {
        let mut all: Vec<Row> = Vec::new();
        let mut places: HashMap<&Name, usize> = HashMap::new();
        for seen in self.present() {
            for it in &seen.sample.backends {
                let kept = seen.kept.get(&it.name);
                let one = Row {
                    backend: it.clone(),
                    rates: kept.map(|it| it.rates).unwrap_or_default(),
                    ring: kept.map(|it| it.ring.iter().copied().collect()).unwrap_or_default(),
                    ..Row::default()
                };
                match places.get(&it.name) {
                    Some(&at) => add(&mut all[at], one),
                    None => {
                        places.insert(&it.name, all.len());
                        all.push(one);
                    }
                }
            }
        }
        share_out(&mut all);
        all
    }

    /// Each pool once.
    pub fn pools(&self, rows: &[Row]) -> Vec<PoolRow> {
        let mut all: Vec<PoolRow> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for pool in self.present().flat_map(|it| &it.sample.pools) {
            let at = *places.entry(&pool.name).or_insert_with(|| {
                all.push(PoolRow {
                    name: pool.name.clone(),
                    algorithm: pool.algorithm.clone(),
                    ..PoolRow::default()
                });
                all.len() - 1
            });
            let it = &mut all[at];
            it.up += pool.up;
            it.backends += pool.backends;
            it.active += pool.active;
        }
        for row in rows {
            let Some(&at) = places.get(&*row.backend.name.pool) else { continue };
            let pool = &mut all[at];
            pool.rate += row.backend.rate;
            pool.errors += row.rates.errors;
            pool.p99 = worse(pool.p99, row.backend.p99);
        }
        for service in self.services() {
            for pool in &service.pools {
                if let Some(&at) = places.get(pool.as_str()) {
                    all[at].services.push(service.name.clone());
                }
            }
        }
        all
    }
}

fn worse(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

/// Both end with the newest.
fn add_ring(
    sum: &mut Vec<Option<f64>>,
    more: &[Option<f64>],
    together: impl Fn(f64, f64) -> f64,
) {
    if sum.len() < more.len() {
        let missing = more.len() - sum.len();
        sum.splice(0..0, std::iter::repeat_n(None, missing));
    }
    let begin = sum.len() - more.len();
    for (into, value) in sum[begin..].iter_mut().zip(more) {
        if let Some(value) = value {
            *into = Some(into.map_or(*value, |it| together(it, *value)));
        }
    }
}

/// The same backend as another process sees it.
fn add(sum: &mut Row, more: Row) {
    let to = &mut sum.backend;
    let from = more.backend;
    if from.state < to.state {
        to.state = from.state;
        to.reason = from.reason;
        to.since = from.since;
    }
    to.active += from.active;
    to.rate += from.rate;
    to.minute += from.minute;
    to.p50 = worse(to.p50, from.p50);
    to.p99 = worse(to.p99, from.p99);
    to.totals = to.totals.plus(from.totals);
    sum.rates = sum.rates.plus(more.rates);
    add_ring(&mut sum.ring, &more.ring, |a, b| a + b);
}

/// Parts of the traffic of their pools, and what they would be by weight.
fn share_out(all: &mut [Row]) {
    let takes = |it: &Row| {
        let is_there = matches!(it.backend.state, State::Up | State::Unknown | State::Full);
        is_there && !it.backend.backup
    };
    let mut sums: HashMap<String, (f64, f64)> = HashMap::new();
    for row in all.iter() {
        let sum = sums.entry(row.backend.name.pool.clone()).or_default();
        sum.0 += row.backend.minute;
        sum.1 += if takes(row) { row.backend.weight } else { 0.0 };
    }
    for row in all {
        let Some(&(traffic, weights)) = sums.get(&row.backend.name.pool) else { continue };
        row.share = (traffic > 0.0).then(|| row.backend.minute / traffic);
        let weight = if takes(row) { row.backend.weight } else { 0.0 };
        row.fair = (weights > 0.0).then(|| weight / weights);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sample::Pool;
    use super::*;

    fn backend(name: &str, rate: f64, connect: u64) -> Backend {
        Backend {
            name: Name { pool: "web".into(), backend: name.into() },
            state: State::Up,
            weight: 1.0,
            rate,
            minute: rate,
            active: 1,
            totals: Totals { connect, ..Totals::default() },
            ..Backend::default()
        }
    }

    fn sample(backends: Vec<Backend>) -> Sample {
        let pool = Pool { name: "web".into(), up: 2, backends: 2, ..Pool::default() };
        let process = Process { active: 3, limit: Some(10), ..Process::default() };
        Sample { process, pools: vec![pool], backends, ..Sample::default() }
    }

    #[test]
    fn rates_are_what_changed_between_two_looks_and_a_restart_is_no_change() {
        let mut seen = Seen::new("unix:a".into());
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        seen.on_sample(sample(vec![backend("a", 1.0, 100)]), at(0));
        assert_eq!(seen.head().errors, 0.0);
        seen.on_sample(sample(vec![backend("a", 1.0, 110)]), at(2));
        assert_eq!(seen.head().errors, 5.0);
        seen.on_sample(sample(vec![backend("a", 1.0, 3)]), at(3));
        assert_eq!(seen.head().errors, 0.0);
        seen.on_away("gone".into());
        seen.on_sample(sample(vec![backend("a", 2.0, 1000)]), at(9));
        assert_eq!(seen.head().errors, 0.0, "nobody knows when these were");
        let all = [seen];
        let rows = World::of(&all, None).rows();
        assert_eq!(rows[0].ring, [Some(1.0), Some(1.0), Some(1.0), None, Some(2.0)]);
    }

    #[test]
    fn processes_are_summed_and_the_worst_state_is_shown() {
        let mut one = Seen::new("unix:a".into());
        let mut two = Seen::new("unix:b".into());
        let now = Instant::now();
        let mut down = backend("a", 5.0, 0);
        down.state = State::Down;
        down.p99 = Some(7.0);
        one.on_sample(sample(vec![backend("a", 1.0, 0), backend("b", 3.0, 0)]), now);
        two.on_sample(sample(vec![down]), now);
        let mut all = [one, two];
        let world = World::of(&all, None);
        let rows = world.rows();
        assert_eq!(rows.len(), 2);
        let first = &rows[0].backend;
        assert_eq!((first.rate, first.active, first.state), (6.0, 2, State::Down));
        assert_eq!((first.p99, rows[0].share), (Some(7.0), Some(6.0 / 9.0)));
        assert_eq!((rows[0].fair, rows[1].fair), (Some(0.0), Some(1.0)));
        let pools = world.pools(&rows);
        assert_eq!((pools.len(), pools[0].up, pools[0].rate), (1, 4, 9.0));
        let head = world.head();
        assert_eq!((head.active, head.limit, head.present), (6, Some(20), 2));
        assert_eq!(World::of(&all, Some(1)).rows().len(), 1);
        all[1].on_away("gone".into());
        assert_eq!(World::of(&all, None).head().active, 3, "what is not known is no part");
    }

    #[test]
    fn a_backend_that_left_is_forgotten() {
        let mut seen = Seen::new("unix:a".into());
        let now = Instant::now();
        for name in ["a", "b", "c"] {
            seen.on_sample(sample(vec![backend(name, 1.0, 0)]), now);
        }
        assert_eq!(seen.kept.len(), 1);
    }
}
