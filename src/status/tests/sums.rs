//! A counter that is shown, and that no other process could go on with, would fall at a takeover.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::access_log::AccessLog;
use crate::config::{AccessLogFormat, AccessLogPlace};
use crate::context::{CountedOf, CountsOfTables};
use crate::guard::Scope;
use crate::stats::BackendCounts;
use crate::stats::field::{Field, NumberKind, Value};
use crate::stats::tables::{BACKENDS, POOLS, PROCESS, RULES, TRAFFIC, UDP};

/// A context in which there is one of each thing that is counted of.
fn context_of_one(poll: &Poll) -> (Context, [CountedOf; 3], ServerId) {
    let mut cx = context(1, 2, poll);
    let place = AccessLogPlace::File(PathBuf::from("/dev/null"));
    let log = AccessLog::open(&place, AccessLogFormat::Json, cx.now);
    cx.access_log = Some(Box::new(log.expect("it is there")));
    let rule = cx.guard.book.enter(&Scope::Service("web".into()), "deny");
    let (pool, _) = cx.backends.next_pool_from(1).expect("there are two");
    let (server, _) = cx.backends.iter().next().expect("there is one");
    (cx, [CountedOf::Process, CountedOf::Pool(pool), CountedOf::Rule(rule)], server)
}

/// The counters of a table, with what they say.
fn counters<T>(table: &[Field<T>], of: &T) -> Vec<(String, u64)> {
    let counters = table.iter().filter(|it| it.kind == NumberKind::Counter);
    let value = |it: &Field<T>| match (it.get)(of) {
        Value::Count(count) => (it.path(), count),
        other => panic!("{}: {other:?}", it.path()),
    };
    counters.map(value).collect()
}

/// A different number for each name.
fn told(cx: &mut Context, of: CountedOf) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let tables = cx.counts_of_tables();
    cx.each_sum(of, &tables, &mut |name, _| {
        let count = 7 + all.len() as u64;
        assert_eq!(all.insert(name.to_owned(), count), None, "a name twice");
    });
    all
}

fn add(cx: &mut Context, of: CountedOf, told: &BTreeMap<String, u64>) {
    let told: Vec<(String, u64)> = told.iter().map(|(name, it)| (name.clone(), *it)).collect();
    let tables = cx.counts_of_tables();
    cx.add_sums(of, &tables, &told);
}

#[test]
fn what_another_process_counted_is_in_each_counter_that_is_shown() {
    let poll = Poll::new().expect("a descriptor");
    let (mut cx, [process, pool, rule], _) = context_of_one(&poll);
    let mut of_process = told(&mut cx, process);
    let of_pool = told(&mut cx, pool);
    let of_rule = told(&mut cx, rule);
    let totals = cx.stats.counted().into_iter().map(|(name, _)| name).zip(70..);
    let totals: Vec<(String, u64)> = totals.collect();
    add(&mut cx, process, &of_process);
    add(&mut cx, pool, &of_pool);
    add(&mut cx, rule, &of_rule);
    cx.stats.add_totals(&totals);
    of_process.extend(totals);
    let shown = process_now(&cx);
    for (name, count) in counters(PROCESS, &shown) {
        assert_eq!(of_process.get(&name), Some(&count), "{name}");
    }
    for (name, count) in counters(UDP, &shown.stats.udp) {
        assert_eq!(of_process.get(&format!("udp.{name}")), Some(&count), "{name}");
    }
    let CountedOf::Pool(pool) = pool else { panic!("it is one") };
    let seen = cx.backends.pool(Some(pool)).expect("it is there");
    let seen = taking::pool_now(pool, seen, cx.now);
    let counters_of_pool = counters(POOLS, &seen).into_iter();
    for (name, count) in counters_of_pool.chain(counters(TRAFFIC, &seen.counts)) {
        assert_eq!(of_pool.get(&name), Some(&count), "{name}");
    }
    for (name, count) in counters(RULES, &shown.rules[0]) {
        // These are shown where there is a table.
        let is_of_table = name == "evicted" || name == "shared";
        let want = if is_of_table { 0 } else { of_rule[&name] };
        assert_eq!(count, want, "{name}");
    }
    let kept = cx.guard.book.iter().next().expect("it is there").elsewhere;
    assert_eq!([kept.evicted, kept.shared], [of_rule["evicted"], of_rule["shared"]]);
}

#[test]
fn what_another_process_counted_of_a_backend_is_in_each_of_its_counters() {
    let poll = Poll::new().expect("a descriptor");
    let (mut cx, _, server) = context_of_one(&poll);
    let mut counts = BackendCounts::default();
    counts.numbers().into_iter().zip(7..).for_each(|((_, it), count)| *it = count);
    cx.backends.add_counts(server, counts);
    for (name, count) in counters(BACKENDS, &taking::backend_now(server, &cx)) {
        assert!(count >= 7, "{name} is not told");
    }
    cx.add_sums(
        CountedOf::Server(server),
        &CountsOfTables::new(),
        &[("down_ns".to_owned(), 5)],
    );
    cx.add_sums(
        CountedOf::Server(server),
        &CountsOfTables::new(),
        &[("what_is_not_known".to_owned(), 5)],
    );
    assert_eq!(cx.backends[server].downtime(cx.now), Duration::from_nanos(5));
}

#[test]
fn times_are_told_bucket_by_bucket() {
    let poll = Poll::new().expect("a descriptor");
    let (mut cx, [process, pool, _], _) = context_of_one(&poll);
    for of in [process, pool] {
        let all = told(&mut cx, of);
        let times = all.keys().filter(|name| name.contains("_us."));
        assert_eq!(times.count(), 16, "{all:?}");
        add(&mut cx, of, &all);
    }
    let times = cx.stats.turn_times;
    let told = told(&mut cx, process);
    let sum = Duration::from_nanos(told["turn_us.sum_ns"]);
    assert_eq!(times.sum(), sum);
    let all: u64 =
        told.iter().filter(|(it, _)| it.starts_with("turn_us.")).map(|it| it.1).sum();
    assert_eq!(times.count(), all - told["turn_us.sum_ns"], "each in its bucket, and once");
}
