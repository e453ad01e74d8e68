//! Who is ejected for a while for its answers, and who is not.

use super::*;

#[test]
fn bad_answers_leave_enough_in_every_pool() {
    let pools: [&[usize]; 2] = [&[0, 1, 2, 3], &[0, 1]];
    let mut set = Set::new((0..4).map(server).collect(), &pools, &rules());
    let [first, second, third, _] = ids(&set);
    let now = Instant::now();
    let takes = |set: &Set, id| [0, 1].map(|pool| set.takes(id, set.at(pool)));
    let fail = |set: &mut Set, id| {
        set.misbehaved(id, Came::Nothing, CLIENT, Duration::ZERO, now);
    };
    fail(&mut set, first);
    assert_eq!(takes(&set, first), [false, false]);
    fail(&mut set, second);
    assert_eq!(takes(&set, second), [false, true], "the last one of the second pool alone");
    fail(&mut set, third);
    assert_eq!(takes(&set, third), [true, false], "half of the first pool stays");
    set.probe_failed(second, "gone", now);
    assert_eq!(takes(&set, first), [false, true], "better than nobody in the second pool");
    set.check_invariants(0, 0, 0);
}

#[test]
fn refused_datagrams_leave_out_who_has_no_probes() {
    let rise_fall = RiseFall { rise: 1, fall: 2 };
    let check = CheckRules { rise_fall, probed: false };
    let unprobed = |index| ServerPlan { check, ..server(index) };
    let rules = PoolSettings { eject_after: 0, ..rules() };
    let mut set = Set::new((0..2).map(unprobed).collect(), &[&[0, 1]], &rules);
    let [dead, alive] = ids(&set);
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    set.datagram_failed(dead, Fault::Refused, at(0));
    set.datagram_heard(dead, at(1));
    set.datagram_failed(dead, Fault::Refused, at(7));
    (0..9).for_each(|_| set.datagram_failed(dead, Fault::Refused, at(7)));
    assert!(set.takes(dead, set.at(0)), "not in a row, or all at once");
    set.datagram_failed(dead, Fault::Refused, at(8));
    assert!(!set.takes(dead, set.at(0)) && set[dead].state.is_up());
    (8..19).for_each(|second| set.datagram_failed(alive, Fault::Refused, at(second)));
    assert!(set.takes(alive, set.at(0)), "the last one");
    let back_at = set.next_return().unwrap();
    set.take_back(back_at);
    assert!(set.takes(dead, set.at(0)));
}

#[test]
fn refused_datagrams_ask_for_a_probe_where_there_are_probes() {
    let mut set = Set::new((0..3).map(server).collect(), &[&[0, 1, 2]], &rules());
    let [first, second, _] = ids(&set);
    let now = Instant::now();
    (0..56_000).for_each(|_| set.datagram_failed(first, Fault::Refused, now));
    set.datagram_failed(second, Fault::Unreachable, now);
    assert!(set[first].state.is_up() && set.takes(first, set.at(0)));
    assert_eq!(set.take_probes_wanted(), [first, second]);
    assert_eq!(set.take_probes_wanted(), []);
    set.datagram_failed(first, Fault::Refused, now);
    assert_eq!(set.take_probes_wanted(), [first]);
}

/// A whole answer came.
fn tell(set: &mut Set, id: ServerId, client: IpAddr, status: u16, now: Instant) {
    set.answered(id, client, status, Duration::ZERO, now);
    if status < 500 {
        set.behaved(id);
    }
}

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
        let five = PoolSettings { eject_after: 5, ..rules() };
        let mut set = Set::new((0..4).map(server).collect(), &[all], &five);
        let ids: [ServerId; 4] = ids(&set);
        let mut now = Instant::now();
        for round in 0..40_u32 {
            now += Duration::from_millis(200);
            let client = IpAddr::from([10, 0, 0, (round % clients) as u8]);
            for (index, &id) in ids.iter().enumerate() {
                let status = if who.contains(&index) { status } else { 200 };
                tell(&mut set, id, client, status, now);
            }
        }
        let left_out = ids.iter().filter(|&&id| set.is_ejected(id)).count();
        assert_eq!(left_out, out, "{status} to {clients} clients by {who:?}");
    }
}

#[test]
fn one_client_alone_leaves_nobody_out_while_others_are_here() {
    let five = PoolSettings { eject_after: 5, ..rules() };
    let mut set = Set::new((0..4).map(server).collect(), &[&[0, 1, 2, 3]], &five);
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
    assert!(set.takes(first, set.at(0)));
    set.misbehaved(first, Came::Nothing, other, took, now);
    assert!(!set.takes(first, set.at(0)), "the others met it, too");
}

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
        let five = PoolSettings { eject_after: 5, ..rules() };
        let mut set = Set::new((0..3).map(server).collect(), &[&[0, 1, 2]], &five);
        let ids: [ServerId; 3] = ids(&set);
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
        let is_out = set.is_ejected(ids[0]);
        assert_eq!(is_out, out, "{said:?} beside {others} and {third}");
    }
}

#[test]
fn who_cannot_serve_half_of_the_time_is_left_out() {
    let five = PoolSettings { eject_after: 5, ..rules() };
    let mut set = Set::new((0..3).map(server).collect(), &[&[0, 1, 2]], &five);
    let ids: [ServerId; 3] = ids(&set);
    let mut now = Instant::now();
    for round in 0..40_u8 {
        now += Duration::from_millis(200);
        let client = IpAddr::from([10, 0, 0, round % 3]);
        for id in ids {
            let status = if id == ids[0] && round % 2 == 0 { 502 } else { 200 };
            tell(&mut set, id, client, status, now);
        }
    }
    assert!(set.is_ejected(ids[0]) && !set.is_ejected(ids[1]));
}

#[test]
fn who_is_down_does_not_stand_in_for_who_is_left_out() {
    let weight = |index| SeatPlan {
        weight: u32::from(index < 5),
        backup: false,
        admin: AdminState::Ready,
    };
    let seats = (0..6).map(|index| (index, weight(index))).collect();
    let mut set = Set::of_seats((0..6).map(server).collect(), &[seats], &rules());
    let all: [ServerId; 6] = ids(&set);
    let now = Instant::now();
    set.probe_failed(all[4], "gone", now);
    set.probe_failed(all[3], "gone", now);
    for id in all {
        set.misbehaved(id, Came::Nothing, CLIENT, Duration::ZERO, now);
    }
    let out = all.iter().filter(|&&id| set.is_ejected(id)).count();
    assert_eq!(out, 1, "of the three that are up");
}
