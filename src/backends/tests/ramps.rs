//! Who is back gets a slow start, whatever it was away for; and who was never away does not.

use super::*;
use crate::limits::SLOW_START_STEPS;

const RAMP: Duration = Duration::from_secs(10);

/// What takes a backend out, and what brings it back at this time.
struct Way {
    what: &'static str,
    out: fn(&mut Set, ServerId, Instant),
    back: fn(&mut Set, ServerId, Instant),
}

const WAYS: &[Way] = &[
    Way {
        what: "down",
        out: |set, id, now| set.probe_failed(id, "gone", now),
        back: |set, id, now| set.probe_passed(id, None, now),
    },
    Way {
        what: "ejected",
        out: |set, id, now| set.misbehaved(id, Came::Nothing, CLIENT, Duration::ZERO, now),
        back: |set, _, now| set.take_back(now),
    },
    Way {
        what: "drained",
        out: |set, id, now| told(set, id, AdminState::Drain, now),
        back: |set, id, now| told(set, id, AdminState::Ready, now),
    },
    Way {
        what: "in maintenance",
        out: |set, id, now| told(set, id, AdminState::Maint, now),
        back: |set, id, now| told(set, id, AdminState::Ready, now),
    },
    Way {
        what: "down in maintenance",
        out: |set, id, now| {
            told(set, id, AdminState::Maint, now);
            set.probe_failed(id, "gone", now);
        },
        back: |set, id, now| {
            told(set, id, AdminState::Ready, now);
            set.probe_passed(id, None, now);
        },
    },
    Way {
        what: "ejected and drained",
        out: |set, id, now| {
            set.misbehaved(id, Came::Nothing, CLIENT, Duration::ZERO, now);
            told(set, id, AdminState::Drain, now);
        },
        back: |set, id, now| {
            told(set, id, AdminState::Ready, now);
            set.take_back(now);
        },
    },
];

fn told(set: &mut Set, id: ServerId, admin: AdminState, now: Instant) {
    let pool = set.pools[0];
    set.set_admin(id, pool, admin, now);
}

/// One pool of four, weight 10 each, with a slow start.
fn set() -> Set {
    let settings = PoolSettings { slow_start: RAMP, ..rules() };
    let seats = (0..4).map(|it| (it, SeatPlan { weight: 10, ..ONE })).collect();
    Set::of_seats((0..4).map(server).collect(), &[seats], &settings)
}

/// In tenths of the configured weight.
#[track_caller]
fn share(set: &Set, id: ServerId) -> u32 {
    let place = set.place_in(id, set.pools[0]).unwrap();
    let pool = set.backends.pool(set.at(0)).unwrap();
    assert!(pool.is_eligible(place.index as usize));
    pool.weight_in_force(place.index as usize) / WEIGHT_ONE
}

#[test]
fn who_is_back_begins_slowly_whatever_it_was_away_for() {
    for Way { what, out, back } in WAYS {
        let mut set = set();
        let [first, second, ..] = ids::<4>(&set);
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(share(&set, first), 10, "at the start there is no slow start");
        out(&mut set, first, at(0));
        assert!(!set.takes(first, set.at(0)), "{what}");
        // Behind every ejection.
        back(&mut set, first, at(60));
        assert_eq!(share(&set, first), 1, "{what}");
        assert_eq!(share(&set, second), 10, "{what}");
        assert_eq!(set.ramp_step(), Some(RAMP / SLOW_START_STEPS), "{what}");
        set.step_ramps(at(65));
        assert_eq!(share(&set, first), 5, "{what}");
        set.check_invariants(0, 0, 0);
        // Away again before it is over: from the beginning.
        out(&mut set, first, at(66));
        back(&mut set, first, at(200));
        assert_eq!(share(&set, first), 1, "{what}, again");
        set.step_ramps(at(210));
        assert_eq!(share(&set, first), 10, "{what}");
        assert_eq!(set.ramp_step(), None, "{what}");
        set.check_invariants(0, 0, 0);
    }
}

#[test]
fn who_is_needed_at_once_has_all_of_its_weight() {
    let mut set = set();
    let all: [ServerId; 4] = ids(&set);
    let now = Instant::now();
    set.misbehaved(all[0], Came::Nothing, CLIENT, Duration::ZERO, now);
    assert!(!set.takes(all[0], set.at(0)));
    all[1..].iter().for_each(|&id| set.probe_failed(id, "gone", now));
    assert_eq!(share(&set, all[0]), 10, "nobody else is there");
    set.check_invariants(0, 0, 0);
}

#[test]
fn what_changes_nothing_does_not_end_a_slow_start() {
    let mut set = set();
    let [first, ..] = ids::<4>(&set);
    let now = Instant::now();
    let pool = set.pools[0];
    set.set_admin(first, pool, AdminState::Drain, now);
    set.set_admin(first, pool, AdminState::Ready, now);
    set.set_admin(first, pool, AdminState::Ready, now);
    set.probe_passed(first, None, now);
    set.reweigh(first, pool, 20, now);
    assert_eq!(share(&set, first), 2);
    set.check_invariants(0, 0, 0);
}
