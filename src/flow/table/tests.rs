//! Several classes of flows in one table, and what changes while flows are there.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::event::ListenerId;

const POLICY: Policy =
    Policy { idle: Duration::from_secs(30), responses: None, requests: None };

fn idle(seconds: u64) -> Policy {
    Policy { idle: Duration::from_secs(seconds), ..POLICY }
}

fn client(port: u16) -> FlowKey {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    FlowKey::new(ListenerId::for_tests(0), address, None)
}

/// A table, and a flow of each of its classes, opened at once: their marks are their places.
fn with_a_flow_each<const N: usize>(
    policies: [Policy; N],
    start: Instant,
) -> (Table<usize>, [ClassId; N], [Key; N]) {
    let mut table = Table::new(100);
    let classes = policies.map(|policy| table.add_class(policy).unwrap());
    let mut mark = 0;
    let keys = classes.map(|class| {
        let (key, _) = table.open(client(mark), class, usize::from(mark), start);
        mark += 1;
        key
    });
    table.check_invariants();
    (table, classes, keys)
}

fn expired(table: &mut Table<usize>, now: Instant) -> Vec<usize> {
    let mut marks: Vec<usize> =
        std::iter::from_fn(|| table.expire(now)).map(|flow| flow.upstream).collect();
    marks.sort();
    table.check_invariants();
    marks
}

#[test]
fn flows_of_each_class_expire_at_their_own_times() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let (mut table, classes, keys) = with_a_flow_each([60, 5, 20].map(idle), start);
    let (last, _) = table.open(client(9), classes[1], 9, at(1));
    assert_eq!(table.next_expiry(), Some(at(5)), "a later flow may come first");
    assert!(expired(&mut table, at(4)).is_empty());
    assert_eq!(expired(&mut table, at(5)), [1]);
    assert_eq!(table.next_expiry(), Some(at(6)));
    table.answers(last, 1, at(4));
    assert!(expired(&mut table, at(6)).is_empty(), "something moved meanwhile");
    assert_eq!(table.next_expiry(), Some(at(9)));
    table.datagrams(&client(0), 1, at(7));
    assert_eq!(expired(&mut table, at(20)), [2, 9]);
    assert_eq!(table.next_expiry(), Some(at(67)));
    assert_eq!(expired(&mut table, at(67)), [0]);
    assert_eq!(table.next_expiry(), None);
    assert!(keys.iter().all(|&key| table.get(key).is_none()));
}

#[test]
fn an_idle_time_that_changes_holds_for_flows_that_are_there() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let (mut table, classes, _) = with_a_flow_each([idle(30); 3], start);
    table.change_class(classes[0], idle(10));
    assert_eq!(table.next_expiry(), Some(at(10)));
    table.change_class(classes[2], idle(90));
    assert_eq!(expired(&mut table, at(10)), [0]);
    assert_eq!(expired(&mut table, at(30)), [1]);
    // It is over already by what holds now, though it was not a moment ago.
    table.change_class(classes[2], idle(20));
    assert_eq!(table.next_expiry(), Some(at(20)));
    assert_eq!(expired(&mut table, at(30)), [2]);
}

#[test]
fn counts_that_change_hold_for_flows_that_are_there() {
    let now = Instant::now();
    let (mut table, classes, keys) = with_a_flow_each([POLICY; 2], now);
    for key in 0..2 {
        table.datagrams(&client(key), 3, now);
    }
    table.answers(keys[0], 3, now);
    assert!(!table.is_over(keys[0]));
    table.change_class(classes[0], Policy { responses: Some(1), ..POLICY });
    assert!(table.is_over(keys[0]) && !table.is_over(keys[1]));
    table.change_class(classes[1], Policy { requests: Some(4), ..POLICY });
    assert_eq!(table.datagrams(&client(1), 9, now), Placement::Taken(keys[1], 1));
    assert_eq!(table.datagrams(&client(1), 8, now), Placement::Wanted, "a new flow");
    assert_eq!(table.datagrams(&client(0), 9, now), Placement::Taken(keys[0], 9));
    table.check_invariants();
}

#[test]
fn the_longest_idle_of_all_classes_gives_way_strangers_first() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let (mut table, classes, keys) = with_a_flow_each([POLICY; 4], start);
    table.answers(keys[0], 1, start);
    table.datagrams(&client(1), 1, at(3));
    table.datagrams(&client(2), 1, at(1));
    table.datagrams(&client(3), 1, at(2));
    let order: Vec<usize> =
        std::iter::from_fn(|| table.give_way(at(9))).map(|flow| flow.upstream).collect();
    assert_eq!(order, [2, 3, 1, 0]);
    let (key, _) = table.open(client(0), classes[3], 0, at(9));
    table.answers(key, 1, at(9));
    assert!(table.give_way(at(9)).is_none(), "it has just carried an answer");
    table.check_invariants();
}

#[test]
fn a_lower_limit_ends_no_flow_but_by_new_ones() {
    let now = Instant::now();
    let (mut table, classes, keys) = with_a_flow_each([POLICY; 3], now);
    table.set_most(2);
    assert_eq!(table.len(), 3);
    assert_eq!(table.datagrams(&client(9), 1, now), Placement::Wanted);
    let (_, gave_way) = table.open(client(9), classes[0], 9, now);
    assert!(gave_way.is_some() && table.len() == 3, "one for another");
    table.close(keys[2]);
    assert_eq!(table.len(), 2);
    assert!(table.open(client(8), classes[0], 8, now).1.is_some());
    table.set_most(3);
    assert!(table.open(client(7), classes[0], 7, now).1.is_none(), "there is room again");
    table.check_invariants();
}

#[test]
fn a_flow_of_a_class_is_no_larger_for_that() {
    // As with one policy for all: the class lies where there was no use for two bytes. Twenty of
    // them are for a client behind a proxy.
    assert_eq!(size_of::<Flow<[u64; 8]>>(), 224);
}
