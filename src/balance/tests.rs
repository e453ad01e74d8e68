//! What holds for every algorithm, and the model owner that the tests of each one use.

mod churn;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::{Ask, Balance, Candidate, Candidates, Observation, Score, Work, build};
use crate::config::Algorithm;
use crate::limits::WEIGHT_ONE;

fn all() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.iter().map(|row| row.algorithm)
}

/// A set of backends and an algorithm, kept as the owner keeps them.
pub struct Model {
    set: Candidates,
    balance: Box<dyn Balance>,
    start: Instant,
    now: Instant,
}

impl Model {
    pub fn new(algorithm: Algorithm, weights: &[u32]) -> Model {
        Model::seeded(algorithm, weights, 1)
    }

    pub fn seeded(algorithm: Algorithm, weights: &[u32], seed: u64) -> Model {
        Model::of(candidates(weights), algorithm, seed)
    }

    pub fn named(algorithm: Algorithm, names: &[&str], weights: &[u32]) -> Model {
        Model::of(named_candidates(names, weights), algorithm, 1)
    }

    fn of(set: Candidates, algorithm: Algorithm, seed: u64) -> Model {
        let mut balance = build(algorithm, seed);
        (0..set.seats()).for_each(|seat| balance.joined(&set, seat));
        while balance.work(&set, usize::MAX) == Work::Left {}
        let now = Instant::now();
        Model { set, balance, start: now, now }
    }

    pub fn pick(&mut self) -> Option<usize> {
        self.pick_for(client(1))
    }

    pub fn pick_for(&mut self, client: IpAddr) -> Option<usize> {
        self.balance.pick(&self.set, &Ask { client, key: None, now: self.now })
    }

    /// Pick, and keep the connection.
    pub fn connect(&mut self) -> Option<usize> {
        let index = self.pick()?;
        self.change(index, |candidate| candidate.connections += 1);
        Some(index)
    }

    pub fn disconnect(&mut self, index: usize) {
        self.change(index, |candidate| candidate.connections -= 1);
    }

    pub fn connections(&self) -> Vec<u32> {
        self.set.iter().map(|(_, candidate)| candidate.connections).collect()
    }

    pub fn set_connections(&mut self, connections: &[u32]) {
        for (index, &connections) in connections.iter().enumerate() {
            self.change(index, |candidate| candidate.connections = connections);
        }
    }

    pub fn set_eligible(&mut self, index: usize, eligible: bool) {
        self.change(index, |candidate| candidate.eligible = eligible && candidate.weight > 0);
    }

    pub fn set_effective_weight(&mut self, index: usize, weight: u32) {
        self.change(index, |candidate| candidate.effective_weight = weight);
    }

    pub fn observe(&mut self, index: usize, seen: Observation) {
        self.balance.observe(&self.set, index, seen, self.now);
    }

    pub fn score(&self, index: usize) -> Score {
        self.balance.score(&self.set, index, self.now)
    }

    fn compared(&self, index: usize) -> Option<f64> {
        self.balance.compared(&self.set, index, self.now)
    }

    pub fn pass_time(&mut self, time: Duration) {
        self.now += time;
    }

    pub fn set_time(&mut self, since_start: Duration) {
        self.now = self.start + since_start;
    }

    fn change(&mut self, index: usize, change: impl FnOnce(&mut Candidate)) {
        change(self.set.candidate_mut(index));
        self.balance.changed(&self.set, index);
    }

    pub fn set_weight(&mut self, seat: usize, weight: u32) {
        let candidate = self.set.candidate_mut(seat);
        candidate.weight = weight;
        candidate.effective_weight = weight * WEIGHT_ONE;
        candidate.eligible &= weight > 0;
        self.balance.reweighed(&self.set, seat);
    }

    fn rename(&mut self, seat: usize, name: &str) {
        self.set.candidate_mut(seat).name = name.into();
        self.balance.reweighed(&self.set, seat);
    }

    pub fn join(&mut self, name: &str, weight: u32) -> usize {
        let seat = self.set.join(candidate(name, weight));
        self.balance.joined(&self.set, seat);
        seat
    }

    pub fn leave(&mut self, seat: usize) {
        self.set.leave(seat);
        self.balance.left(&self.set, seat);
    }

    /// One that is taken.
    fn any_seat(&self, rng: &mut fastrand::Rng) -> Option<usize> {
        let taken: Vec<usize> = self.set.iter().map(|(seat, _)| seat).collect();
        rng.choice(taken)
    }

    pub fn work(&mut self, budget: usize) -> Work {
        self.balance.work(&self.set, budget)
    }
}

/// A set with these weights, all eligible, named `b0`, `b1` and so on.
pub fn candidates(weights: &[u32]) -> Candidates {
    let names: Vec<String> = (0..weights.len()).map(|index| format!("b{index}")).collect();
    named_candidates(&names, weights)
}

pub fn named_candidates(names: &[impl AsRef<str>], weights: &[u32]) -> Candidates {
    let mut set = Candidates::default();
    for (name, &weight) in names.iter().zip(weights) {
        set.join(candidate(name.as_ref(), weight));
    }
    set
}

fn candidate(name: &str, weight: u32) -> Candidate {
    Candidate {
        name: name.into(),
        weight,
        effective_weight: weight * WEIGHT_ONE,
        connections: 0,
        eligible: weight > 0,
    }
}

pub fn client(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number))
}

/// How often each was picked in so many picks for one client.
pub fn count(model: &mut Model, picks: u32) -> Vec<u32> {
    let mut counts = vec![0; model.set.seats()];
    (0..picks).for_each(|_| counts[model.pick().unwrap()] += 1);
    counts
}

/// How often each was picked for so many different clients.
pub fn shares(model: &mut Model, clients: u32) -> Vec<u32> {
    let mut counts = vec![0; model.set.seats()];
    (0..clients).for_each(|n| counts[model.pick_for(client(n)).unwrap()] += 1);
    counts
}

#[test]
fn nobody_to_pick_is_no_pick() {
    for algorithm in all() {
        for weights in [&[][..], &[0], &[0, 0, 0]] {
            let mut model = Model::new(algorithm, weights);
            assert_eq!(model.pick(), None, "{algorithm:?} {weights:?}");
            model.pass_time(Duration::from_secs(60));
            assert_eq!(model.pick(), None, "{algorithm:?} {weights:?}");
        }
        let mut model = Model::new(algorithm, &[1, 1]);
        model.set_eligible(0, false);
        model.set_eligible(1, false);
        assert_eq!(model.pick(), None, "{algorithm:?}");
    }
}

#[test]
fn before_any_candidate_there_is_no_pick() {
    let ask = Ask { client: client(1), key: None, now: Instant::now() };
    for algorithm in all() {
        assert_eq!(build(algorithm, 1).pick(&Candidates::default(), &ask), None);
    }
}

#[test]
fn the_only_one_is_always_picked() {
    for algorithm in all() {
        let mut model = Model::new(algorithm, &[0, 7, 0]);
        assert_eq!(count(&mut model, 20), [0, 20, 0], "{algorithm:?}");
    }
}

#[test]
fn a_pick_is_always_eligible_whatever_happened() {
    for algorithm in all() {
        for (count, steps, seeds) in
            [(1, 300, 10), (2, 300, 10), (10, 500, 10), (1_000, 400, 1)]
        {
            for seed in 0..seeds {
                live(algorithm, count, steps, seed);
            }
        }
    }
}

fn live(algorithm: Algorithm, count: usize, steps: usize, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let weights: Vec<u32> = (0..count).map(|_| rng.u32(..5)).collect();
    let mut model = Model::seeded(algorithm, &weights, seed);
    for step in 0..steps {
        let Some(index) = model.any_seat(&mut rng) else {
            model.join("first", 1);
            continue;
        };
        let millis = Duration::from_millis(rng.u64(..3_000));
        match rng.u32(..100) {
            0 if count < 1_000 || step < 100 => model.set_weight(index, rng.u32(..5)),
            1 if count < 1_000 || step < 100 => {
                model.join(&format!("joined-{step}"), rng.u32(..5));
            }
            2 if count < 1_000 || step < 100 => model.leave(index),
            3..10 => model.set_effective_weight(index, rng.u32(1..2_000)),
            10..25 => model.set_eligible(index, rng.bool()),
            25..30 => model.observe(index, Observation::Connected(millis)),
            30..33 => model.observe(index, Observation::Failed(millis)),
            33..40 => model.observe(index, Observation::Load(rng.f64() * 10.0)),
            40..45 => model.pass_time(millis * 3),
            45..60 if model.set[index].connections > 0 => model.disconnect(index),
            _ => {
                let open = model.set.iter().any(|(_, candidate)| candidate.eligible);
                let picked = model.connect();
                let context = format!("{algorithm:?} of {count}, seed {seed}, step {step}");
                assert_eq!(picked.is_some(), open, "{context}");
                if let Some(index) = picked {
                    assert!(
                        model.set[index].eligible && model.set[index].weight > 0,
                        "{context}"
                    );
                    let _ = model.score(index).to_string();
                }
            }
        }
    }
}

/// As many clients as are told ask one after another, each as soon as it has its answer, which
/// takes any time between one and three of those that a request takes to come.
fn shares_of_busy_clients(algorithm: Algorithm, weights: &[u32], clients: usize) -> Vec<f64> {
    let mut model = Model::new(algorithm, weights);
    let mut rng = fastrand::Rng::with_seed(7);
    let mut counts = vec![0_u32; weights.len()];
    let mut under_way = Vec::new();
    let picks = 4_000;
    for _ in 0..picks {
        if under_way.len() == clients {
            let done: usize = under_way.swap_remove(rng.usize(..clients));
            model.disconnect(done);
        }
        let index = model.connect().expect("all are eligible");
        counts[index] += 1;
        under_way.push(index);
    }
    counts.iter().map(|&count| f64::from(count) / f64::from(picks)).collect()
}

/// A weight is a share of the requests, whether one client asks at a time or many at once: of 400
/// requests one after the other, the backend of weight 5 beside one of 95 had none.
#[test]
fn weights_hold_with_few_clients_and_with_many() {
    for weights in [&[95, 5][..], &[3, 1], &[1, 1, 1]] {
        let all: u32 = weights.iter().sum();
        for clients in [1, 2, 8, 20, 64] {
            let shares = shares_of_busy_clients(Algorithm::LeastConnections, weights, clients);
            for (share, &weight) in shares.iter().zip(weights) {
                let wanted = f64::from(weight) / f64::from(all);
                let off = (share - wanted).abs();
                assert!(off <= 0.02, "{share:.3} for {weight} of {all} with {clients}");
            }
        }
    }
    let alone = shares_of_busy_clients(Algorithm::LeastConnections, &[95, 5], 1);
    assert!((0.049..=0.051).contains(&alone[1]), "{alone:?}");
}

#[test]
fn shares_honour_the_weights() {
    let sharing = Algorithm::ALL.iter().filter(|row| !row.equalises.starts_with("nothing"));
    for algorithm in sharing.map(|row| row.algorithm) {
        let mut model = Model::new(algorithm, &[1, 0, 3]);
        for n in 0..4_000 {
            let index = model.pick_for(client(n)).unwrap();
            model.change(index, |candidate| candidate.connections += 1);
        }
        let light = model.connections()[0];
        assert!((900..1_100).contains(&light), "{algorithm:?} {:?}", model.connections());
    }
}

/// What is shown before a pick is what the pick goes by.
#[test]
fn who_is_picked_has_the_best_of_what_is_compared() {
    let mut random = fastrand::Rng::with_seed(3);
    for algorithm in [
        Algorithm::RoundRobin,
        Algorithm::First,
        Algorithm::LeastConnections,
        Algorithm::LeastLoad,
    ] {
        for _ in 0..50 {
            let is_weighed = matches!(algorithm, Algorithm::RoundRobin | Algorithm::First);
            // Idle ones of other weights have turns of their own.
            let weight =
                |random: &mut fastrand::Rng| if is_weighed { random.u32(1..9) } else { 3 };
            let weights: Vec<u32> = (0..7).map(|_| weight(&mut random)).collect();
            let mut model = Model::new(algorithm, &weights);
            for _ in 0..40 {
                let busy: Vec<u32> = (0..7).map(|_| random.u32(..5)).collect();
                model.set_connections(&busy);
                let eligible: Vec<bool> = (0..7).map(|_| random.u8(..3) > 0).collect();
                for (index, is) in eligible.iter().enumerate() {
                    model.set_eligible(index, *is);
                }
                let all: Vec<f64> = (0..7).map(|it| model.compared(it).unwrap()).collect();
                let of = (0..7).filter(|index| eligible[*index]).map(|index| all[index]);
                let best = match algorithm {
                    Algorithm::RoundRobin => of.reduce(f64::max),
                    _ => of.reduce(f64::min),
                };
                let picked = model.pick();
                assert_eq!(picked.map(|index| all[index]), best, "{algorithm}: {all:?}");
            }
        }
    }
}

#[test]
fn those_that_hash_say_where_and_compare_nothing() {
    for row in Algorithm::ALL {
        let model = Model::new(row.algorithm, &[1, 2]);
        let ask = Ask { client: client(7), key: None, now: model.now };
        let hashes = matches!(row.algorithm, Algorithm::IpHash | Algorithm::ConsistentHash);
        assert_eq!(model.balance.placed(&ask).is_some(), hashes, "{}", row.name);
        assert_eq!(model.compared(0).is_none(), hashes, "{}", row.name);
        assert!(!super::compares(row.algorithm).is_empty());
    }
}
