//! Any order of joins, leaves and changes of weights, with connections and eligibility changing in
//! between, picks as a set does that has had the same members from the beginning.
//!
//! What is excepted, since it is what an algorithm remembers by contract:
//!
//! - Loads and times that were learnt: both sets learn the same ones at the end.
//! - `least-connections` and `round-robin` know whose turn is next: after picks only the shares of
//!   many further ones are compared, to within a few picks.
//! - `random` and `least-time` have drawn: after picks only shares are compared, to within chance.
//! - `first` goes by the order of the seats: that is the order in which the new set is given its
//!   members. For those that hash it is any order, and what was put off has been done.

use super::*;

/// Whether there are picks in what comes before the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    Quiet,
    Picked,
}

const MANY: u32 = 2_000;

/// Names picked one after the other for these clients; each connection stays.
fn connects(model: &mut Model, clients: u32) -> Vec<Option<Box<str>>> {
    let mut pick = |n| {
        let seat = model.pick_for(client(n))?;
        model.change(seat, |candidate| candidate.connections += 1);
        Some(model.set[seat].name.clone())
    };
    (0..clients).map(&mut pick).collect()
}

/// How often each was picked in many picks after which nothing changes, by name.
fn shares_by_name(model: &mut Model) -> Vec<(Box<str>, u32)> {
    let mut counts = vec![0; model.set.seats()];
    for n in 0..MANY {
        if let Some(seat) = model.pick_for(client(n)) {
            counts[seat] += 1;
        }
    }
    let members = model.set.iter();
    let mut shares: Vec<_> =
        members.map(|(seat, member)| (member.name.clone(), counts[seat])).collect();
    shares.sort();
    shares
}

fn one_step(model: &mut Model, rng: &mut fastrand::Rng, step: usize, past: Past) {
    let millis = Duration::from_millis(rng.u64(..3_000));
    let Some(seat) = model.any_seat(rng).filter(|_| rng.u32(..6) > 0) else {
        // A name that says nothing of when or where it joined.
        model.join(&format!("{:x}-{step}", rng.u16(..)), rng.u32(..5));
        return;
    };
    match rng.u32(..20) {
        0..3 => model.leave(seat),
        3..5 => model.set_weight(seat, rng.u32(..5)),
        5 => model.rename(seat, &format!("{:x}-{step}", rng.u16(..))),
        6..8 => model.set_effective_weight(seat, rng.u32(1..2_000)),
        8..10 => model.set_eligible(seat, rng.u32(..3) > 0),
        10 => model.observe(seat, Observation::Connected(millis)),
        11 => model.observe(seat, Observation::Failed(millis)),
        12 => model.observe(seat, Observation::Load(rng.f64() * 10.0)),
        13 => model.pass_time(millis),
        14 => {
            let _ = model.work(rng.usize(..100_000));
        }
        15..17 => model.change(seat, |candidate| candidate.connections = rng.u32(..4)),
        _ if past == Past::Picked => {
            let _ = model.connect();
        }
        _ => {}
    }
}

/// A set with the same members, which join in this order.
fn fresh(model: &Model, algorithm: Algorithm, order: &[usize]) -> Model {
    let mut set = Candidates::default();
    for &seat in order {
        set.join(model.set[seat].clone());
    }
    let mut fresh = Model::of(set, algorithm, 1);
    fresh.now = model.now;
    fresh
}

/// Both see the same of each member, long after whatever they saw before.
fn learn(models: [&mut Model; 2], seed: u64) {
    for model in models {
        model.pass_time(Duration::from_secs(3_600));
        let mut members: Vec<_> =
            model.set.iter().map(|(seat, member)| (member.name.clone(), seat)).collect();
        members.sort();
        let mut rng = fastrand::Rng::with_seed(seed);
        for (_, seat) in members {
            let time = Duration::from_millis(rng.u64(5..50));
            model.observe(seat, Observation::Connected(time));
            model.observe(seat, Observation::Load(1.0 + rng.f64() * 10.0));
        }
    }
}

fn close(ours: &[(Box<str>, u32)], theirs: &[(Box<str>, u32)], most: u32) -> bool {
    ours.iter().zip(theirs).all(|(a, b)| a.0 == b.0 && a.1.abs_diff(b.1) <= most)
}

fn compare(algorithm: Algorithm, past: Past, seed: u64) {
    let context = format!("{algorithm:?}, {past:?}, seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut model = Model::new(algorithm, &[]);
    for step in 0..rng.usize(5..80) {
        one_step(&mut model, &mut rng, step, past);
    }
    while model.work(usize::MAX) == Work::Left {}
    let mut order: Vec<usize> = model.set.iter().map(|(seat, _)| seat).collect();
    if matches!(algorithm, Algorithm::IpHash | Algorithm::ConsistentHash) {
        rng.shuffle(&mut order);
    }
    let mut fresh = fresh(&model, algorithm, &order);
    learn([&mut model, &mut fresh], seed);
    match (algorithm, past) {
        (Algorithm::IpHash | Algorithm::ConsistentHash | Algorithm::First, _)
        | (Algorithm::RoundRobin | Algorithm::Random | Algorithm::LeastTime, Past::Quiet) => {
            assert_eq!(connects(&mut model, 100), connects(&mut fresh, 100), "{context}");
        }
        // No two loads are equal, so nobody's turn matters before connections change.
        (Algorithm::LeastLoad, _) => {
            let ours = shares_by_name(&mut model);
            let theirs = shares_by_name(&mut fresh);
            assert_eq!(ours, theirs, "{context}");
        }
        (Algorithm::LeastConnections | Algorithm::RoundRobin, _) => {
            let ours = shares_by_name(&mut model);
            let theirs = shares_by_name(&mut fresh);
            assert!(close(&ours, &theirs, 8), "{context}: {ours:?} {theirs:?}");
        }
        (Algorithm::Random | Algorithm::LeastTime, Past::Picked) => {
            let ours = shares_by_name(&mut model);
            let theirs = shares_by_name(&mut fresh);
            assert!(close(&ours, &theirs, MANY / 15), "{context}: {ours:?} {theirs:?}");
        }
    }
}

#[test]
fn any_order_of_joins_and_leaves_picks_as_a_fresh_set() {
    for algorithm in all() {
        // Its tables take a while to build.
        let worlds = if algorithm == Algorithm::ConsistentHash { 50 } else { 600 };
        for seed in 0..worlds {
            compare(algorithm, [Past::Quiet, Past::Picked][seed as usize % 2], seed);
        }
    }
}

/// Half of the others' turns may not be made good by who comes late, nor by who comes after
/// somebody who was ahead or behind.
#[test]
fn who_joins_gets_a_fair_share_from_the_first_pick_on() {
    for algorithm in [Algorithm::LeastConnections, Algorithm::RoundRobin] {
        for seed in 0..100 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut model = Model::new(algorithm, &[3, 1, 2, 1]);
            for round in 0..50 {
                let _ = count(&mut model, rng.u32(..20));
                let seat = model.any_seat(&mut rng).unwrap();
                model.leave(seat);
                let late = model.join(&format!("late-{round}"), rng.u32(1..4));
                assert_eq!(late, seat, "the vacant seat is used again");
                let all: u32 = model.set.iter().map(|(_, member)| member.weight).sum();
                let wanted = 10 * model.set[late].weight;
                let counts = count(&mut model, 10 * all);
                let context = format!("{algorithm:?}, seed {seed}: {counts:?} of {all}");
                assert!(counts[late].abs_diff(wanted) <= 3, "{context}");
            }
        }
    }
}

#[test]
fn who_sits_where_another_one_sat_has_learnt_nothing() {
    let mut model = Model::new(Algorithm::LeastTime, &[1; 4]);
    let times = [10, 900, 20, 30].map(Duration::from_millis);
    times
        .iter()
        .enumerate()
        .for_each(|(seat, &t)| model.observe(seat, Observation::Connected(t)));
    model.leave(1);
    assert_eq!(model.join("newcomer", 1), 1);
    assert_eq!(model.score(1), Score::Value(20.0, " ms"), "the median of the others");

    let mut model = Model::new(Algorithm::LeastLoad, &[1; 4]);
    let loads = [1.0, 90.0, 2.0, 3.0];
    loads.iter().enumerate().for_each(|(seat, &l)| model.observe(seat, Observation::Load(l)));
    model.leave(1);
    assert_eq!(model.join("newcomer", 1), 1);
    assert_eq!(model.score(1), Score::Value(2.0, " load"), "the median of the others");

    let mut model = Model::new(Algorithm::LeastLoad, &[1]);
    model.observe(0, Observation::Load(90.0));
    model.leave(0);
    assert_eq!(model.join("newcomer", 1), 0);
    assert_eq!(model.score(0), Score::Value(0.0, " load"), "there are no others");
}

#[test]
fn a_vacant_seat_is_nobody_and_the_lowest_one_is_taken_first() {
    let mut set = candidates(&[1, 2, 3]);
    set.leave(2);
    set.leave(0);
    assert_eq!((set.len(), set.seats(), set.is_empty()), (1, 3, false));
    assert!(set[0].open_weight().is_none() && set[0].name.is_empty());
    assert_eq!(set.iter().map(|(seat, _)| seat).collect::<Vec<_>>(), [1]);
    let seats = ["x", "y", "z"].map(|name| set.join(candidate(name, 1)));
    assert_eq!(seats, [0, 2, 3]);
}
