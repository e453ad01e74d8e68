//! Several pools over the same backends: what is one backend's and what is one pool's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::*;
use crate::balance;
use crate::config::Algorithm;
use crate::net::Fault;

const MEMBERS: usize = 6;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn member(index: usize) -> Member {
    Member {
        name: format!("b{index}"),
        addresses: vec![SocketAddr::from(([127, 0, 0, 1], index as u16 + 1))],
        weight: 1,
        max_connections: None,
        backup: false,
        dial: None,
        probe_dial: None,
        check_port: None,
        check_host: String::new(),
    }
}

fn policy() -> Policy {
    Policy {
        rise_fall: RiseFall { rise: 1, fall: 1 },
        probed: true,
        all_down: AllDown::Refuse,
        slow_start: Duration::ZERO,
        eject_after: 1,
    }
}

fn plan(members: &[usize]) -> PoolPlan {
    let balance = balance::build(Algorithm::LeastConnections, 1);
    PoolPlan { name: format!("{members:?}"), members: members.to_vec(), balance }
}

fn set(members: Vec<Member>, pools: &[&[usize]], policy: Policy) -> Backends {
    let pools = pools.iter().map(|members| plan(members)).collect();
    Backends::new(members, pools, policy, Instant::now())
}

fn ids<const N: usize>(set: &Backends) -> [BackendId; N] {
    let all: Vec<BackendId> = set.iter().map(|(id, _)| id).collect();
    all[..N].try_into().unwrap()
}

fn pick(set: &mut Backends, pool: u16) -> Result<BackendId, Refusal> {
    let now = Instant::now();
    let ask = Ask { client: [127, 0, 0, 1].into(), key: None, now };
    let picked = set.pick(PoolId(pool), &ask, &[])?;
    set.opened(picked, now);
    Ok(picked)
}

#[test]
fn each_pool_picks_among_its_own() {
    let mut set = set((0..3).map(member).collect(), &[&[0], &[1, 2], &[]], policy());
    let [first, second, third] = ids(&set);
    assert_eq!([pick(&mut set, 0), pick(&mut set, 0)], [Ok(first), Ok(first)]);
    let mut picked = [pick(&mut set, 1).unwrap(), pick(&mut set, 1).unwrap()];
    picked.sort_by_key(|id| id.0);
    assert_eq!(picked, [second, third]);
    assert_eq!(pick(&mut set, 2), Err(Refusal::AllDown), "nobody is there");
    assert_eq!(set.pool(PoolId(0)).connections(), 2);
    assert_eq!(set.pool(PoolId(1)).connections(), 2);
}

#[test]
fn a_backend_in_two_pools_is_one_backend() {
    let mut members: Vec<Member> = (0..3).map(member).collect();
    members[1].max_connections = Some(2);
    let mut set = set(members, &[&[0, 1], &[1, 2], &[1]], policy());
    let [_, shared, third] = ids(&set);
    let now = Instant::now();
    set.opened(shared, now);
    set.opened(shared, now);
    assert_eq!(pick(&mut set, 2), Err(Refusal::NoRoom), "its limit is one for all");
    set.closed(shared);
    assert_eq!(pick(&mut set, 1), Ok(third), "busier, whoever made it so");
    assert_eq!(pick(&mut set, 2), Ok(shared));
    set.probe_failed(shared, "gone", now);
    assert_eq!(pick(&mut set, 2), Err(Refusal::AllDown));
    let ups = [0, 1, 2].map(|pool| set.pool(PoolId(pool)).up());
    assert_eq!((ups, set.take_flips().len()), ([1, 1, 0], 1));
    assert!(!set.takes(shared, PoolId(1)));
}

#[test]
fn clients_never_take_down_the_last_one_of_any_pool() {
    let mut set = set((0..2).map(member).collect(), &[&[0, 1], &[1]], policy());
    let [first, second] = ids(&set);
    let now = Instant::now();
    let fail = |set: &mut Backends, id| {
        set.connect_failed(id, Fault::Refused, Duration::ZERO, now);
        set[id].state.is_up()
    };
    assert!(fail(&mut set, second), "alone in the second pool");
    assert!(!fail(&mut set, first), "not alone in its only one");
    assert!(fail(&mut set, second));
}

#[test]
fn while_all_of_a_pool_are_down_it_alone_may_spread() {
    let spread = Policy { all_down: AllDown::Spread, ..policy() };
    let mut set = set((0..3).map(member).collect(), &[&[0, 1], &[1, 2]], spread);
    let [first, second, third] = ids(&set);
    let now = Instant::now();
    set.probe_failed(first, "gone", now);
    set.probe_failed(second, "gone", now);
    assert!(set.takes(first, PoolId(0)) && set.takes(second, PoolId(0)));
    assert!(!set.takes(second, PoolId(1)) && set.takes(third, PoolId(1)));
    set.probe_passed(first, None, now);
    assert!(!set.takes(second, PoolId(0)));
}

#[test]
fn bad_answers_leave_enough_in_every_pool() {
    let mut set = set((0..4).map(member).collect(), &[&[0, 1, 2, 3], &[0, 1]], policy());
    let [first, second, third, _] = ids(&set);
    let now = Instant::now();
    let is_in = |set: &Backends, id| set.takes(id, PoolId(0));
    set.misbehaved(first, Came::Nothing, CLIENT, Duration::ZERO, now);
    assert!(!is_in(&set, first));
    set.misbehaved(second, Came::Nothing, CLIENT, Duration::ZERO, now);
    assert!(is_in(&set, second), "the last one of the second pool");
    set.misbehaved(third, Came::Nothing, CLIENT, Duration::ZERO, now);
    assert!(!is_in(&set, third));
    set.probe_failed(second, "gone", now);
    assert!(is_in(&set, first), "better than nobody in the second pool");
    assert!(!is_in(&set, third));
}

#[test]
fn refused_datagrams_leave_out_who_has_no_probes() {
    let rise_fall = RiseFall { rise: 1, fall: 2 };
    let unprobed = Policy { probed: false, rise_fall, eject_after: 0, ..policy() };
    let mut set = set((0..2).map(member).collect(), &[&[0, 1]], unprobed);
    let [dead, alive] = ids(&set);
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    set.datagram_failed(dead, Fault::Refused, at(0));
    set.datagram_heard(dead, at(1));
    set.datagram_failed(dead, Fault::Refused, at(7));
    (0..9).for_each(|_| set.datagram_failed(dead, Fault::Refused, at(7)));
    assert!(set.takes(dead, PoolId(0)), "not in a row, or all at once");
    set.datagram_failed(dead, Fault::Refused, at(8));
    assert!(!set.takes(dead, PoolId(0)) && set[dead].state.is_up());
    (8..19).for_each(|second| set.datagram_failed(alive, Fault::Refused, at(second)));
    assert!(set.takes(alive, PoolId(0)), "the last one");
    let back_at = set.next_return().unwrap();
    set.take_back(back_at);
    assert!(set.takes(dead, PoolId(0)));
}

/// Anybody can forge a refusal: it asks for a probe, once, and no more.
#[test]
fn refused_datagrams_ask_for_a_probe_where_there_are_probes() {
    let mut set = set((0..3).map(member).collect(), &[&[0, 1, 2]], policy());
    let [first, second, _] = ids(&set);
    let now = Instant::now();
    (0..56_000).for_each(|_| set.datagram_failed(first, Fault::Refused, now));
    set.datagram_failed(second, Fault::Unreachable, now);
    assert!(set[first].state.is_up() && set.takes(first, PoolId(0)));
    assert_eq!(set.take_probes_wanted(), [first, second]);
    assert_eq!(set.take_probes_wanted(), []);
    set.datagram_failed(first, Fault::Refused, now);
    assert_eq!(set.take_probes_wanted(), [first]);
}

/// A whole answer came.
fn tell(set: &mut Backends, id: BackendId, client: IpAddr, status: u16, now: Instant) {
    set.answered(id, client, status, Duration::ZERO, now);
    if status < 500 {
        set.behaved(id);
    }
}

/// Statuses, each told to one of so many clients in turn by every backend of a pool of four, or by
/// the first alone while the others answer well; and who is ejected in the end.
#[test]
fn who_is_left_out_for_what() {
    let all: &[usize] = &[0, 1, 2, 3];
    let one: &[usize] = &[0];
    let table = [
        (501, 1, all, 0),
        (505, 9, all, 0),
        (501, 9, one, 0),
        (502, 1, one, 1),
        (503, 9, all, 2),
        (504, 9, one, 1),
        (500, 9, all, 0),
        (500, 1, all, 0),
        (500, 9, one, 1),
        (599, 9, one, 1),
        (404, 9, one, 0),
    ];
    for (status, clients, who, out) in table {
        let five = Policy { eject_after: 5, ..policy() };
        let mut set = set((0..4).map(member).collect(), &[all], five);
        let ids: [BackendId; 4] = ids(&set);
        let mut now = Instant::now();
        for round in 0..40_u32 {
            now += Duration::from_millis(200);
            let client = IpAddr::from([10, 0, 0, (round % clients) as u8]);
            for (index, &id) in ids.iter().enumerate() {
                let status = if who.contains(&index) { status } else { 200 };
                tell(&mut set, id, client, status, now);
            }
        }
        let left_out = ids.iter().filter(|&&id| set[id].conduct.is_out()).count();
        assert_eq!(left_out, out, "{status} to {clients} clients by {who:?}");
    }
}

#[test]
fn one_client_alone_leaves_nobody_out_while_others_are_here() {
    let five = Policy { eject_after: 5, ..policy() };
    let mut set = set((0..4).map(member).collect(), &[&[0, 1, 2, 3]], five);
    let [first, second, ..] = ids::<4>(&set);
    let now = Instant::now();
    let took = Duration::ZERO;
    let other = IpAddr::from([10, 0, 0, 9]);
    set.answered(second, other, 200, took, now);
    for _ in 0..100 {
        set.misbehaved(first, Came::Nothing, CLIENT, took, now);
        set.answered(first, CLIENT, 500, took, now);
        set.answered(second, CLIENT, 200, took, now);
    }
    assert!(set.takes(first, PoolId(0)));
    set.misbehaved(first, Came::Nothing, other, took, now);
    assert!(!set.takes(first, PoolId(0)), "the others met it, too");
}

/// Answers to one client, of a backend that it has for itself, while others are served elsewhere;
/// and whether that backend is ejected.
#[test]
fn one_that_serves_nobody_is_left_out_for_one_client() {
    let table: [(&[u16], u16, u16, bool); 7] = [
        (&[502], 200, 200, true),
        (&[503, 500, 503], 200, 200, false),
        (&[502, 502, 502, 502, 200], 200, 200, false),
        (&[500], 200, 200, false),
        (&[502], 502, 502, false),
        (&[502], 502, 200, true),
        (&[501], 200, 200, false),
    ];
    for (said, others, third, out) in table {
        let five = Policy { eject_after: 5, ..policy() };
        let mut set = set((0..3).map(member).collect(), &[&[0, 1, 2]], five);
        let ids: [BackendId; 3] = ids(&set);
        let mut now = Instant::now();
        for round in 0..40_u8 {
            now += Duration::from_millis(200);
            let said = said[usize::from(round) % said.len()];
            let told =
                [(CLIENT, said), ([10, 0, 0, 1].into(), others), ([10, 0, 0, 2].into(), third)];
            for (id, (client, status)) in ids.into_iter().zip(told) {
                tell(&mut set, id, client, status, now);
            }
        }
        let is_out = set[ids[0]].conduct.is_out();
        assert_eq!(is_out, out, "{said:?} beside {others} and {third}");
    }
}

/// Three clients, and every other answer of one backend is 502: none of its rows is long.
#[test]
fn who_cannot_serve_half_of_the_time_is_left_out() {
    let five = Policy { eject_after: 5, ..policy() };
    let mut set = set((0..3).map(member).collect(), &[&[0, 1, 2]], five);
    let ids: [BackendId; 3] = ids(&set);
    let mut now = Instant::now();
    for round in 0..40_u8 {
        now += Duration::from_millis(200);
        let client = IpAddr::from([10, 0, 0, round % 3]);
        for id in ids {
            let status = if id == ids[0] && round % 2 == 0 { 502 } else { 200 };
            tell(&mut set, id, client, status, now);
        }
    }
    assert!(set[ids[0]].conduct.is_out() && !set[ids[1]].conduct.is_out());
}

/// Half of those that are up stay, and who is down or not wanted is none of them.
#[test]
fn who_is_down_does_not_stand_in_for_who_is_left_out() {
    let mut members: Vec<Member> = (0..6).map(member).collect();
    members[5].weight = 0;
    let mut set = set(members, &[&[0, 1, 2, 3, 4, 5]], policy());
    let all: [BackendId; 6] = ids(&set);
    let now = Instant::now();
    set.probe_failed(all[4], "gone", now);
    set.probe_failed(all[3], "gone", now);
    for id in all {
        set.misbehaved(id, Came::Nothing, CLIENT, Duration::ZERO, now);
    }
    let out = all.iter().filter(|&&id| set[id].conduct.is_out()).count();
    assert_eq!(out, 1, "of the three that are up");
}

#[test]
fn a_cookie_leads_nobody_out_of_the_pool() {
    let mut set = set((0..2).map(member).collect(), &[&[0], &[1]], policy());
    let [first, _] = ids(&set);
    assert_eq!(set.token(first), None);
    set.make_tokens(&StickyKey::random().unwrap());
    let token = set.token(first).unwrap().to_owned();
    assert_eq!(set.by_token(token.as_bytes(), PoolId(0)), Some(first));
    assert_eq!(set.by_token(token.as_bytes(), PoolId(1)), None);
}

#[test]
fn one_that_left_a_pool_is_picked_by_the_others_only() {
    let mut set = set((0..3).map(member).collect(), &[&[0, 1], &[1, 2]], policy());
    let [first, second, third] = ids(&set);
    set.opened(second, Instant::now());
    set.leave(second, PoolId(0));
    set.leave(second, PoolId(0));
    assert_eq!((set.pool(PoolId(0)).len(), set.pool(PoolId(0)).connections()), (1, 0));
    assert!(!set.takes(second, PoolId(0)) && set.takes(second, PoolId(1)));
    assert_eq!([pick(&mut set, 0), pick(&mut set, 0)], [Ok(first), Ok(first)]);
    set.closed(second);
    set.join(third, PoolId(0));
    assert_eq!(pick(&mut set, 0), Ok(third), "it is idle, and sits where the other one sat");
    set.leave(first, PoolId(0));
    set.leave(third, PoolId(0));
    assert_eq!(pick(&mut set, 0), Err(Refusal::AllDown), "nobody is there");
    assert!(set.has_work());
    (0..2).for_each(|_| set.work(1));
    assert!(!set.has_work(), "this algorithm puts nothing off");
    set.check_invariants(3, 0);
}

/// A table in slices, while nothing happens but that.
#[test]
fn what_an_algorithm_puts_off_is_done_in_slices() {
    let balance = balance::build(Algorithm::ConsistentHash, 1);
    let plan = PoolPlan { name: "hashed".to_owned(), members: vec![0, 1], balance };
    let members = (0..3).map(member).collect();
    let mut set = Backends::new(members, vec![plan], policy(), Instant::now());
    let [first, second, third] = ids(&set);
    assert!(!set.has_work(), "at the start it is done at once");
    set.leave(first, PoolId(0));
    set.join(third, PoolId(0));
    let picked = |set: &mut Backends| {
        let asks = (0..200_u8).map(|n| Ask {
            client: [10, 0, 0, n].into(),
            key: None,
            now: Instant::now(),
        });
        asks.filter(|ask| set.pick(PoolId(0), ask, &[]) == Ok(third)).count()
    };
    assert_eq!(picked(&mut set), 0);
    let mut slices = 0;
    while set.has_work() {
        set.work(5_000);
        slices += 1;
    }
    assert!((10..200).contains(&slices), "{slices}");
    assert!((60..140).contains(&picked(&mut set)));
    assert!(set.takes(second, PoolId(0)));
}

#[test]
fn weight_and_part_reach_the_algorithm() {
    for algorithm in Algorithm::ALL.iter().map(|row| row.algorithm) {
        let balance = balance::build(algorithm, 1);
        let plan = PoolPlan { name: "pool".to_owned(), members: vec![0, 1], balance };
        let members = (0..2).map(member).collect();
        let mut set = Backends::new(members, vec![plan], policy(), Instant::now());
        let [first, second] = ids(&set);
        let all_to = |set: &mut Backends, id| {
            while set.has_work() {
                set.work(usize::MAX);
            }
            set.check_invariants(0, 0);
            let picks = (0..50_u8).map(|n| {
                let ask = Ask { client: [10, 0, 0, n].into(), key: None, now: Instant::now() };
                set.pick(PoolId(0), &ask, &[])
            });
            assert!({ picks }.all(|picked| picked == Ok(id)), "{algorithm:?}");
        };
        set.reweigh(first, 0, Instant::now());
        all_to(&mut set, second);
        set.reweigh(first, 7, Instant::now());
        set.set_backup(second, true);
        all_to(&mut set, first);
        set.reweigh(first, 0, Instant::now());
        all_to(&mut set, second);
        set.list[second.index()].name = "renamed".into();
        set.reseat(second);
        all_to(&mut set, second);
    }
}

/// Who may be picked, worked out anew from what is known of each backend.
fn eligible(set: &Backends, pool: &Pool, id: BackendId, all_down: AllDown) -> bool {
    let none_is_up = !pool.members().any(|id| set[id].state.is_up());
    let spread = none_is_up && all_down == AllDown::Spread;
    let available = |id: BackendId| {
        let backend = &set[id];
        let full = backend.max_connections.is_some_and(|most| backend.connections >= most);
        let up = backend.state.is_up() || spread;
        up && backend.weight > 0 && !full && !backend.conduct.is_out()
    };
    let primary = pool.members().any(|id| available(id) && !set[id].backup);
    available(id) && !(set[id].backup && primary)
}

/// Whatever happens in whatever order, each pool knows who may be picked.
#[test]
fn pools_agree_with_a_plain_model() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let members = (0..MEMBERS).map(|index| Member {
            weight: random.u32(0..3),
            max_connections: random.bool().then(|| random.u32(1..4)),
            backup: random.u8(..4) == 0,
            ..member(index)
        });
        let members: Vec<Member> = members.collect();
        let mut pool = || (0..MEMBERS).filter(|_| random.bool()).collect::<Vec<_>>();
        let pools = [pool(), pool(), pool()];
        let all_down = if random.bool() { AllDown::Spread } else { AllDown::Refuse };
        let slow_start = Duration::from_secs(random.u64(0..2));
        let policy = Policy { all_down, slow_start, ..policy() };
        let mut set = set(members, &pools.each_ref().map(Vec::as_slice), policy);
        let all: [BackendId; MEMBERS] = ids(&set);
        let mut now = Instant::now();
        let mut open = Vec::new();
        for _ in 0..200 {
            now += Duration::from_millis(random.u64(0..5_000));
            let id = all[random.usize(..MEMBERS)];
            let pool = PoolId(random.u16(..3));
            match random.u8(..12) {
                8 => set.join(id, pool),
                9 => set.leave(id, pool),
                10 => set.reweigh(id, random.u32(0..3), now),
                11 => set.set_backup(id, random.u8(..4) == 0),
                0 => set.probe_passed(id, None, now),
                1 => set.probe_failed(id, "gone", now),
                2 => set.connect_failed(id, Fault::Refused, Duration::ZERO, now),
                3 => set.misbehaved(id, Came::Nothing, CLIENT, Duration::ZERO, now),
                4 => set.take_back(now),
                5 => set.step_ramps(now),
                6 if !open.is_empty() => {
                    set.closed(open.swap_remove(random.usize(..open.len())));
                }
                _ => open.extend(pick(&mut set, random.u16(..3))),
            }
            set.check_invariants(open.len(), 0);
            for pool in &set.pools {
                for ((_, candidate), id) in pool.candidates.iter().zip(pool.members()) {
                    let wanted = eligible(&set, pool, id, all_down);
                    assert_eq!(candidate.eligible, wanted, "seed {seed}: {}", candidate.name);
                }
            }
        }
    }
}
