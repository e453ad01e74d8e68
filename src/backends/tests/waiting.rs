//! Who waits for one backend, and who for any: who is called, and when.

use super::*;
use crate::config::{QueueOrder, QueueSettings};
use crate::event::Key;
use crate::event::key::Generation;

fn pair(number: u32) -> Key {
    Key { index: number, generation: Generation::FIRST }
}

/// A pool with a queue, of two that take one connection each and are busy.
fn busy() -> (Set, [ServerId; 2]) {
    let narrow = |index| ServerPlan { max_connections: Some(1), ..server(index) };
    let queue =
        QueueSettings { limit: 2000, order: QueueOrder::Fifo, ..QueueSettings::DEFAULT };
    let rules = PoolSettings { queue, ..rules() };
    let mut set = Set::new((0..2).map(narrow).collect(), &[&[0, 1]], &rules);
    let both = ids(&set);
    both.iter().for_each(|&id| set.opened(id, Instant::now()));
    (set, both)
}

fn wait(set: &mut Set, number: u32, only: Option<ServerId>) {
    let pool = set.at(0);
    let ticket = set.enqueue(pool, pair(number), Urgency::Normal, only, Instant::now());
    assert!(ticket.is_ok(), "{ticket:?}");
}

fn call(set: &mut Set) -> Option<u32> {
    let called = set.call(Instant::now()).map(|it| it.pair.index);
    set.check_invariants(set.iter().map(|(_, it)| it.connections as usize).sum(), 0, 0);
    called
}

#[test]
fn a_slot_goes_to_who_came_first_of_those_that_may_have_it() {
    let (mut set, [first, second]) = busy();
    wait(&mut set, 0, Some(first));
    wait(&mut set, 1, None);
    wait(&mut set, 2, Some(second));
    assert_eq!(call(&mut set), None);
    assert!(!set.could_call());
    set.closed(second);
    assert!(set.has_queue_for(set.at(0), None), "who comes now is behind those");
    assert_eq!(call(&mut set), Some(1), "it came before the one that waits for this");
    set.opened(second, Instant::now());
    assert_eq!(call(&mut set), None);
    set.closed(first);
    assert_eq!(call(&mut set), Some(0));
    set.opened(first, Instant::now());
    set.closed(second);
    assert_eq!(call(&mut set), Some(2));
    assert!(!set.could_call());
}

#[test]
fn who_comes_is_not_held_up_by_those_that_wait_for_a_busy_backend() {
    let (mut set, [first, second]) = busy();
    wait(&mut set, 0, Some(first));
    set.closed(second);
    assert_eq!(call(&mut set), None, "it waits for the other one");
    let pool = set.at(0);
    assert!(!set.has_queue_for(pool, None) && !set.has_queue_for(pool, Some(second)));
    assert!(set.has_queue_for(pool, Some(first)));
}

#[test]
fn who_waits_for_one_that_goes_down_may_have_any() {
    for fate in ["down", "in maintenance", "removed"] {
        let (mut set, [first, second]) = busy();
        (0..1000).for_each(|number| wait(&mut set, number, Some(first)));
        let now = Instant::now();
        let pool = set.pools[0];
        match fate {
            "down" => set.probe_failed(first, "gone", now),
            "in maintenance" => set.set_admin(first, pool, AdminState::Maint, now),
            _ => set.leave(first, pool),
        }
        set.closed(second);
        let mut called = Vec::new();
        for _ in 0..10 {
            while let Some(number) = call(&mut set) {
                called.push(number);
            }
        }
        assert_eq!(called, (0..1000).collect::<Vec<_>>(), "{fate}");
    }
}
