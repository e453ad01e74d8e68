//! Several pools over the same backends: what is one backend's and what is one pool's.

mod outliers;
mod ramps;
mod waiting;

use std::net::{IpAddr, Ipv4Addr};

use super::seat::{Presence, Seat};
use super::*;
use crate::balance;
use crate::config::{Algorithm, AllDown, PoolSettings, Sticky};
use crate::limits::WEIGHT_ONE;
use crate::net::Fault;

const MEMBERS: usize = 6;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn server(index: usize) -> ServerPlan {
    ServerPlan::for_tests(&format!("b{index}"), index as u16 + 1)
}

const ONE: SeatPlan = SeatPlan { weight: 1, backup: false, admin: AdminState::Ready };

fn rules() -> PoolSettings {
    PoolSettings { slow_start: Duration::ZERO, eject_after: 1, ..PoolSettings::DEFAULT }
}

fn with_cookie() -> PoolSettings {
    let cookie = Some("LB".to_owned());
    PoolSettings { sticky: Sticky { cookie, ..Sticky::DEFAULT }, ..rules() }
}

fn pool_plan(name: &str, algorithm: Algorithm, settings: PoolSettings) -> PoolPlan {
    let balance = balance::build(algorithm, 1);
    PoolPlan { name: name.to_owned(), balance, settings, sticky_key: None }
}

/// Servers, and pools with seats for some of them by these rules each.
struct Set {
    backends: Backends,
    pools: Vec<PoolId>,
}

impl Set {
    fn new(servers: Vec<ServerPlan>, pools: &[&[usize]], settings: &PoolSettings) -> Set {
        let seats = |members: &&[usize]| members.iter().map(|&it| (it, ONE)).collect();
        let pools: Vec<Vec<_>> = pools.iter().map(seats).collect();
        Set::of_seats(servers, &pools, settings)
    }

    fn of_seats(
        servers: Vec<ServerPlan>,
        pools: &[Vec<(usize, SeatPlan)>],
        settings: &PoolSettings,
    ) -> Set {
        let mut set = Set { backends: Backends::default(), pools: Vec::new() };
        let now = Instant::now();
        let ids: Vec<ServerId> =
            servers.into_iter().map(|plan| set.add_server(plan, now)).collect();
        for seats in pools {
            let plan = pool_plan("pool", Algorithm::LeastConnections, settings.clone());
            let pool = set.add_pool(plan);
            seats
                .iter()
                .for_each(|&(member, plan)| set.join(ids[member], pool, plan, Joins::AtOnce));
            set.pools.push(pool);
        }
        set.finish_work();
        set
    }

    /// One pool of all of these, and this algorithm.
    fn with(algorithm: Algorithm, servers: usize, members: usize) -> Set {
        let mut set = Set::new((0..servers).map(server).collect(), &[], &rules());
        let pool = set.add_pool(pool_plan("pool", algorithm, rules()));
        let ids: Vec<ServerId> = set.iter().map(|(id, _)| id).take(members).collect();
        ids.into_iter().for_each(|id| set.join(id, pool, ONE, Joins::AtOnce));
        set.pools.push(pool);
        set.finish_work();
        set
    }

    /// The pool at this place of those that it was made with.
    fn at(&self, index: usize) -> Option<PoolId> {
        Some(self.pools[index])
    }

    /// All of its pools have a sticky cookie from now on.
    fn make_tokens(&mut self) {
        for pool in self.pools.clone() {
            let settings = with_cookie();
            let key = StickyKey::random().unwrap();
            self.change_pool(pool, &settings, None, Some(Some(key)));
        }
    }

    fn is_ejected(&self, id: ServerId) -> bool {
        self.standing(id).is_ejected
    }
}

impl std::ops::Deref for Set {
    type Target = Backends;

    fn deref(&self) -> &Backends {
        &self.backends
    }
}

impl std::ops::DerefMut for Set {
    fn deref_mut(&mut self) -> &mut Backends {
        &mut self.backends
    }
}

fn ids<const N: usize>(set: &Set) -> [ServerId; N] {
    let all: Vec<ServerId> = set.iter().map(|(id, _)| id).collect();
    all[..N].try_into().unwrap()
}

fn pick(set: &mut Set, pool: usize) -> Result<ServerId, NoBackend> {
    let now = Instant::now();
    let ask = Ask { client: [127, 0, 0, 1].into(), key: None, now };
    let pool = set.at(pool);
    let picked = set.pick(pool, &ask, &[])?;
    set.opened(picked, now);
    Ok(picked)
}

#[test]
fn each_pool_picks_among_its_own() {
    let mut set = Set::new((0..3).map(server).collect(), &[&[0], &[1, 2], &[]], &rules());
    let [first, second, third] = ids(&set);
    assert_eq!([pick(&mut set, 0), pick(&mut set, 0)], [Ok(first), Ok(first)]);
    let mut picked = [pick(&mut set, 1).unwrap(), pick(&mut set, 1).unwrap()];
    picked.sort_by_key(|id| id.index());
    assert_eq!(picked, [second, third]);
    assert_eq!(pick(&mut set, 2), Err(NoBackend::AllDown), "nobody is there");
    assert_eq!(set.backends.pool(set.at(0)).unwrap().connections(), 2);
    assert_eq!(set.backends.pool(set.at(1)).unwrap().connections(), 2);
}

#[test]
fn a_backend_in_two_pools_is_one_backend() {
    let mut members: Vec<ServerPlan> = (0..3).map(server).collect();
    members[1].max_connections = Some(2);
    let mut set = Set::new(members, &[&[0, 1], &[1, 2], &[1]], &rules());
    let [_, shared, third] = ids(&set);
    let now = Instant::now();
    set.opened(shared, now);
    set.opened(shared, now);
    assert_eq!(pick(&mut set, 2), Err(NoBackend::NoRoom), "its limit is one for all");
    set.closed(shared);
    assert_eq!(pick(&mut set, 1), Ok(third), "busier, whoever made it so");
    assert_eq!(pick(&mut set, 2), Ok(shared));
    set.probe_failed(shared, "gone", now);
    assert_eq!(pick(&mut set, 2), Err(NoBackend::AllDown));
    let ups = [0, 1, 2].map(|pool| set.backends.pool(set.at(pool)).unwrap().up());
    assert_eq!((ups, set.take_flips().len()), ([1, 1, 0], 1));
    assert!(!set.takes(shared, set.at(1)));
}

#[test]
fn clients_never_take_down_the_last_one() {
    let mut set = Set::new((0..2).map(server).collect(), &[&[0, 1]], &rules());
    let [first, second] = ids(&set);
    let now = Instant::now();
    let fail = |set: &mut Set, id| {
        set.connect_failed(id, Fault::Refused, Duration::ZERO, now);
        set[id].state.is_up()
    };
    assert!(!fail(&mut set, first), "not alone");
    assert!(fail(&mut set, second), "the next probes decide");
}

/// A pool of which it is the last one goes on with it, until a probe says the same as the clients.
#[test]
fn the_last_one_of_one_pool_can_fall_in_another() {
    let mut set = Set::new((0..3).map(server).collect(), &[&[0, 1], &[1], &[1, 2]], &rules());
    let [_, shared, _] = ids(&set);
    let now = Instant::now();
    let takes = |set: &Set| [0, 1, 2].map(|pool| set.takes(shared, set.at(pool)));
    set.connect_failed(shared, Fault::Refused, Duration::ZERO, now);
    assert!(!set[shared].state.is_up());
    assert_eq!(takes(&set), [false, true, false]);
    assert_eq!(pick(&mut set, 1), Ok(shared));
    set.closed(shared);
    set.connect_failed(shared, Fault::Refused, Duration::ZERO, now);
    assert_eq!(takes(&set), [false, true, false], "clients cannot say it twice");
    set.check_invariants(0, 0, 0);
    set.probe_failed(shared, "gone", now);
    assert_eq!(takes(&set), [false; 3]);
    let downs = [(shared, Flip::Down); 2];
    assert_eq!(
        set.take_flips(),
        downs,
        "for the others, then for the one that went on with it"
    );
    set.connect_failed(shared, Fault::Refused, Duration::ZERO, now);
    assert_eq!(takes(&set), [false; 3], "a probe's word stands");
    set.probe_passed(shared, None, now);
    assert_eq!(takes(&set), [true; 3]);
    set.check_invariants(0, 0, 0);
}

#[test]
fn while_all_of_a_pool_are_down_it_alone_may_spread() {
    let spread = PoolSettings { all_down: AllDown::Spread, ..rules() };
    let mut set = Set::new((0..3).map(server).collect(), &[&[0, 1], &[1, 2]], &spread);
    let [first, second, third] = ids(&set);
    let now = Instant::now();
    set.probe_failed(first, "gone", now);
    set.probe_failed(second, "gone", now);
    assert!(set.takes(first, set.at(0)) && set.takes(second, set.at(0)));
    assert!(!set.takes(second, set.at(1)) && set.takes(third, set.at(1)));
    set.probe_passed(first, None, now);
    assert!(!set.takes(second, set.at(0)));
}

/// Anybody can forge a refusal: it asks for a probe, once, and no more.
/// Statuses, each told to one of so many clients in turn by every backend of a pool of four, or by
/// the first alone while the others answer well; and who is ejected in the end.
/// Answers to one client, of a backend that it has for itself, while others are served elsewhere;
/// and whether that backend is ejected.
/// Three clients, and every other answer of one backend is 502: none of its rows is long.
/// Half of those that are up stay, and who is down or not wanted is none of them.
#[test]
fn a_cookie_leads_nobody_out_of_the_pool() {
    let mut set = Set::new((0..2).map(server).collect(), &[&[0], &[1]], &with_cookie());
    let [first, _] = ids(&set);
    assert_eq!(set.token(first, set.at(0)), None);
    set.make_tokens();
    let token = set.token(first, set.at(0)).unwrap().to_owned();
    assert_eq!(set.by_token(token.as_bytes(), set.at(0)), Some(first));
    assert_eq!(set.by_token(token.as_bytes(), set.at(1)), None);
}

#[test]
fn one_that_left_a_pool_is_picked_by_the_others_only() {
    let mut set = Set::new((0..3).map(server).collect(), &[&[0, 1], &[1, 2]], &rules());
    let [first, second, third] = ids(&set);
    let pool = set.pools[0];
    set.opened(second, Instant::now());
    set.leave(second, pool);
    set.leave(second, pool);
    let left = set.backends.pool(Some(pool)).unwrap();
    assert_eq!((left.len(), left.connections()), (1, 0));
    assert!(!set.takes(second, set.at(0)) && set.takes(second, set.at(1)));
    assert_eq!([pick(&mut set, 0), pick(&mut set, 0)], [Ok(first), Ok(first)]);
    set.closed(second);
    set.join(third, pool, ONE, Joins::AtOnce);
    assert_eq!(pick(&mut set, 0), Ok(third), "it is idle, and sits where the other one sat");
    set.leave(first, pool);
    set.leave(third, pool);
    assert_eq!(pick(&mut set, 0), Err(NoBackend::AllDown), "nobody is there");
    assert!(set.has_work());
    (0..2).for_each(|_| set.work(1));
    assert!(!set.has_work(), "this algorithm puts nothing off");
    set.check_invariants(3, 0, 0);
}

/// A table in slices, while nothing happens but that.
#[test]
fn what_an_algorithm_puts_off_is_done_in_slices() {
    let mut set = Set::with(Algorithm::ConsistentHash, 3, 2);
    let [first, second, third] = ids(&set);
    let pool = set.pools[0];
    assert!(!set.has_work(), "at the start it is done at once");
    set.leave(first, pool);
    set.join(third, pool, ONE, Joins::AtOnce);
    let picked = |set: &mut Set| {
        let asks = (0..200_u8).map(|n| Ask {
            client: [10, 0, 0, n].into(),
            key: None,
            now: Instant::now(),
        });
        asks.filter(|ask| set.pick(Some(pool), ask, &[]) == Ok(third)).count()
    };
    assert_eq!(picked(&mut set), 0);
    let mut slices = 0;
    while set.has_work() {
        set.work(5_000);
        slices += 1;
    }
    assert!((10..200).contains(&slices), "{slices}");
    assert!((60..140).contains(&picked(&mut set)));
    assert!(set.takes(second, Some(pool)));
}

#[test]
fn weight_and_part_reach_the_algorithm() {
    for algorithm in Algorithm::ALL.iter().map(|row| row.algorithm) {
        let mut set = Set::with(algorithm, 2, 2);
        let [first, second] = ids(&set);
        let pool = set.pools[0];
        let all_to = |set: &mut Set, id| {
            set.finish_work();
            set.check_invariants(0, 0, 0);
            let picks = (0..50_u8).map(|n| {
                let ask = Ask { client: [10, 0, 0, n].into(), key: None, now: Instant::now() };
                set.pick(Some(pool), &ask, &[])
            });
            assert!({ picks }.all(|picked| picked == Ok(id)), "{algorithm:?}");
        };
        set.reweigh(first, pool, 0, Instant::now());
        all_to(&mut set, second);
        set.reweigh(first, pool, 7, Instant::now());
        set.set_backup(second, pool, true);
        all_to(&mut set, first);
        set.reweigh(first, pool, 0, Instant::now());
        all_to(&mut set, second);
        set.rename(second, "renamed");
        all_to(&mut set, second);
    }
}

/// One pool of a server can think otherwise of it than another one, in everything that is a rule.
#[test]
fn no_pools_rule_is_anothers() {
    let lenient = PoolSettings {
        all_down: AllDown::Spread,
        slow_start: Duration::from_secs(10),
        eject_after: 0,
        ..rules()
    };
    let mut set = Set::new((0..3).map(server).collect(), &[&[0, 1, 2]], &rules());
    let other = set.add_pool(pool_plan("other", Algorithm::Random, lenient));
    let all: [ServerId; 3] = ids(&set);
    let [first, second, third] = all;
    all.iter().for_each(|&id| set.join(id, other, ONE, Joins::AtOnce));
    set.reweigh(second, other, 5, Instant::now());
    set.set_backup(third, other, true);
    let here = set.at(0);
    let now = Instant::now();
    let takes = |set: &Set, pool| all.map(|id| set.takes(id, pool));
    assert_eq!(takes(&set, here), [true; 3]);
    assert_eq!(takes(&set, Some(other)), [true, true, false], "one is a backup there");
    set.misbehaved(first, Came::Nothing, CLIENT, Duration::ZERO, now);
    assert_eq!(takes(&set, here), [false, true, true]);
    assert_eq!(takes(&set, Some(other)), [true, true, false]);
    all.iter().for_each(|&id| set.probe_failed(id, "gone", now));
    assert_eq!(takes(&set, here), [false; 3]);
    assert_eq!(takes(&set, Some(other)), [true, true, false], "it spreads");
    set.probe_passed(second, None, now);
    let weight = |set: &Set, pool: Option<PoolId>| {
        let place = set.place_in(second, pool.unwrap()).unwrap();
        set.backends.pool(pool).unwrap().weight_in_force(place.index as usize)
    };
    assert_eq!([weight(&set, here), weight(&set, Some(other))], [WEIGHT_ONE, WEIGHT_ONE / 2]);
    set.step_ramps(now + Duration::from_secs(10));
    assert_eq!([weight(&set, here), weight(&set, Some(other))], [WEIGHT_ONE, 5 * WEIGHT_ONE]);
    assert_eq!((set.ramp_step(), set.next_return()), (None, None));
    set.check_invariants(0, 0, 0);
}

/// Nothing is freed before its time, and no old name leads anywhere.
#[test]
fn who_leaves_is_freed_once_nothing_counts_on_it() {
    let mut set = Set::new((0..2).map(server).collect(), &[&[0, 1]], &with_cookie());
    set.make_tokens();
    let [first, second] = ids(&set);
    let now = Instant::now();
    let pool = set.pools[0];
    set.enter(Some(pool));
    set.opened(first, now);
    let token = set.token(first, Some(pool)).unwrap().to_owned();
    assert!(set.remove_server(first) && !set.remove_server(first));
    assert!(!set.takes(first, Some(pool)) && set.takes(second, Some(pool)));
    assert_eq!(set.by_token(token.as_bytes(), Some(pool)), None);
    set.join(first, pool, ONE, Joins::AtOnce);
    assert_eq!(set.backends.pool(Some(pool)).unwrap().len(), 1, "who leaves joins nothing");
    set.reap();
    assert!(set.get(first).is_some(), "it has a connection");
    set.check_invariants(1, 0, 1);
    set.closed(first);
    set.reap();
    assert!(set.get(first).is_none());
    let third = set.add_server(server(2), now);
    assert_eq!(third.index(), first.index());
    assert!(!set.is_here(first) && set.is_here(third));
    assert_eq!(set.name(first), "(removed)");
    // What was meant for it reaches nobody.
    set.opened(first, now);
    set.closed(first);
    set.probe_failed(first, "gone", now);
    set.misbehaved(first, Came::Nothing, CLIENT, Duration::ZERO, now);
    assert!(set[third].state.is_up() && set[third].counts.given == 0);
    set.remove_pool(pool);
    set.reap();
    assert!(set.takes(second, Some(pool)), "a client is still there");
    set.exit(Some(pool));
    set.reap();
    assert!(set.backends.pool(Some(pool)).is_none());
    assert_eq!(pick(&mut set, 0), Err(NoBackend::AllDown));
    set.check_invariants(0, 0, 0);
}

/// Who may be picked, worked out anew from what is known of each server.
fn eligible(set: &Set, pool: &Pool, index: usize, all_down: AllDown) -> bool {
    let serves = |(at, seat): (usize, &Seat)| {
        let has_work = seat.is_ready() && pool.candidates[at].weight > 0;
        has_work && set[seat.server].state.is_up()
    };
    let none_is_up = !pool.taken().any(serves);
    let spread = none_is_up && all_down == AllDown::Spread;
    let available = |at: usize| {
        let seat = pool.seat(at).unwrap();
        let server = &set[seat.server];
        let full = server.max_connections.is_some_and(|most| server.connections >= most);
        let is_tried = none_is_up && seat.presence == Presence::Suspected;
        let up = server.state.is_up() || spread || is_tried;
        up && seat.is_ready()
            && pool.candidates[at].weight > 0
            && !full
            && !seat.outlier.is_out()
    };
    let primary = pool.taken().any(|(at, seat)| available(at) && !seat.backup);
    available(index) && !(pool.seat(index).unwrap().backup && primary)
}

/// Whatever happens in whatever order, each pool knows who may be picked.
#[test]
fn pools_agree_with_a_plain_model() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let servers = (0..MEMBERS).map(|index| ServerPlan {
            max_connections: random.bool().then(|| random.u32(1..4)),
            ..server(index)
        });
        let servers: Vec<ServerPlan> = servers.collect();
        let mut seat = || SeatPlan {
            weight: random.u32(0..3),
            backup: random.u8(..4) == 0,
            admin: AdminState::WORDS[random.usize(..3)].1,
        };
        let plans: Vec<SeatPlan> = (0..MEMBERS).map(|_| seat()).collect();
        let mut seats = || {
            let some = (0..MEMBERS).filter(|_| random.bool());
            some.map(|index| (index, plans[index])).collect::<Vec<_>>()
        };
        let pools = [seats(), seats(), seats()];
        let all_down = if random.bool() { AllDown::Spread } else { AllDown::Refuse };
        let slow_start = Duration::from_secs(random.u64(0..2));
        let settings = PoolSettings { all_down, slow_start, ..rules() };
        let mut set = Set::of_seats(servers, &pools, &settings);
        let all: [ServerId; MEMBERS] = ids(&set);
        let mut now = Instant::now();
        let mut open = Vec::new();
        for _ in 0..200 {
            now += Duration::from_millis(random.u64(0..5_000));
            let id = all[random.usize(..MEMBERS)];
            let pool = set.pools[random.usize(..3)];
            match random.u8(..13) {
                12 => set.set_admin(id, pool, AdminState::WORDS[random.usize(..3)].1, now),
                8 => set.join(id, pool, plans[random.usize(..MEMBERS)], Joins::AtOnce),
                9 => set.leave(id, pool),
                10 => set.reweigh(id, pool, random.u32(0..3), now),
                11 => set.set_backup(id, pool, random.u8(..4) == 0),
                0 => set.probe_passed(id, None, now),
                1 => set.probe_failed(id, "gone", now),
                2 => set.connect_failed(id, Fault::Refused, Duration::ZERO, now),
                3 => set.misbehaved(id, Came::Nothing, CLIENT, Duration::ZERO, now),
                4 => set.take_back(now),
                5 => set.step_ramps(now),
                6 if !open.is_empty() => {
                    set.closed(open.swap_remove(random.usize(..open.len())));
                }
                _ => open.extend(pick(&mut set, random.usize(..3))),
            }
            set.check_invariants(open.len(), 0, 0);
            for (_, pool) in set.pools() {
                for (index, candidate) in pool.candidates.iter() {
                    let wanted = eligible(&set, pool, index, all_down);
                    assert_eq!(candidate.eligible, wanted, "seed {seed}: {}", candidate.name);
                }
            }
        }
    }
}

/// A picture of a large pool is as small as that of a small one, and says why some cannot be had.
#[test]
fn a_picture_keeps_the_first_members_and_why_they_cannot_be_picked() {
    let servers = (0..100).map(server).collect();
    let all: Vec<usize> = (0..100).collect();
    let mut set = Set::new(servers, &[&all], &rules());
    let pool = set.pools[0];
    let now = Instant::now();
    let ids: Vec<ServerId> = set.pool(Some(pool)).unwrap().members().collect();
    set.set_admin(ids[1], pool, AdminState::Drain, now);
    set.set_admin(ids[2], pool, AdminState::Maint, now);
    set.set_backup(ids[3], pool, true);
    set.reweigh(ids[4], pool, 0, now);
    let ask = Ask { client: CLIENT, key: None, now };
    let mut picture = Picture::default();
    set.pool(Some(pool)).unwrap().picture(&ask, &[ids[0]], &mut picture);
    let seen: Vec<Pictured> = picture.members().copied().collect();
    assert_eq!((seen.len(), picture.all), (16, 100));
    let words = |index: usize| seen[index].marks.words().collect::<Vec<_>>();
    let wanted = [&["tried"][..], &["drain"], &["maint"], &["backup"], &["weight-0"], &[]];
    for (index, wanted) in wanted.into_iter().enumerate() {
        assert_eq!(words(index), wanted);
        let is_eligible = seen[index].marks.has(Marks::ELIGIBLE);
        assert_eq!((is_eligible, seen[index].compared().is_some()), (index == 5, index == 5));
    }
    // The one before it leaves nothing behind.
    let empty = Set::new(Vec::new(), &[&[]], &rules());
    empty.pool(Some(empty.pools[0])).unwrap().picture(&ask, &[], &mut picture);
    assert_eq!((picture.members().count(), picture.all), (0, 0));
}
