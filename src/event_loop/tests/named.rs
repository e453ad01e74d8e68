//! Backends are found by their names, however many there are.

use std::time::{Duration, Instant};

use super::reload::{pool, service, state};
use super::*;
use crate::event::ServerId;

fn timed(
    names: &[String],
    mut find: impl FnMut(&str) -> Option<ServerId>,
) -> (Duration, Vec<Option<ServerId>>) {
    let began = Instant::now();
    let found = names.iter().map(|name| find(name)).collect();
    (began.elapsed(), found)
}

#[test]
fn each_of_thousands_is_found_without_a_look_at_all_others() {
    let all: Vec<String> = (0..6000).map(|at| format!("192.0.2.1:{}", 1000 + at)).collect();
    let wanted = |all: &[String]| {
        state(vec![service("web", "*", Some("many"))], vec![pool("many", all)])
    };
    let mut looping = loop_for(wanted(&all));
    let names = |looping: &EventLoop| -> Vec<String> {
        let backends = looping.directory.desired.pools[0].backends.iter();
        backends.map(|it| it.name.clone()).collect()
    };
    let before = names(&looping);
    let (one_by_one, expected) = timed(&before, |name| {
        let pool = looping.directory.pool("many")?;
        Some(looping.directory.backend(pool, name)?.server)
    });
    let (took, found) = timed(&before, |name| looping.server_named("many", name));
    assert_eq!(found, expected);
    assert!(found.iter().all(Option::is_some));
    assert!(took * 4 < one_by_one, "{took:?}, one by one {one_by_one:?}");
    assert_eq!(looping.server_named("many", "none"), None);
    assert_eq!(looping.server_named("none", &before[0]), None);
    // After a change it is what is there then.
    let prepared = looping.prepare(wanted(&all[1..])).unwrap_or_else(|it| panic!("{it:?}"));
    looping.apply(prepared).unwrap();
    assert_eq!(looping.server_named("many", &before[0]), None);
    assert_eq!(looping.server_named("many", &before[1]), expected[1]);
}
