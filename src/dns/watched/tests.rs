//! A name's life, told by answers that are made up here.

use super::super::search::Written;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn endpoint(address: &str, target: &str) -> Endpoint {
    let address = address.parse().unwrap();
    Endpoint { address, target: name(target), priority: 0, weight: None }
}

fn answer(addresses: &[&str], ttl: u64) -> Answer {
    Answer {
        endpoints: addresses.iter().map(|address| endpoint(address, "api.example")).collect(),
        ttl: ttl as u32 * SECOND,
        name: name("api.example"),
        unheard: Vec::new(),
        left_out: 0,
    }
}

fn watched(now: Instant) -> Watched {
    let wanted = Wanted::Addresses(Written::new("api.example").unwrap(), 80);
    Watched::new(wanted, Bounds::default(), now)
}

fn texts(members: &[Member]) -> Vec<String> {
    members.iter().map(|member| member.address.to_string()).collect()
}

fn failure() -> Failure {
    Failure::NoSuchName(name("api.example"), None)
}

/// Asserts that it is due after this time, give or take a tenth.
fn is_due(watched: &Watched, now: Instant, after: Duration) {
    let due = watched.due() - now;
    assert!(due >= after * 9 / 10 && due <= after * 11 / 10, "due after {due:?}");
}

#[test]
fn a_new_name_is_due_at_once_and_has_no_members() {
    let now = Instant::now();
    let watched = watched(now);
    assert_eq!(watched.due(), now);
    assert!(watched.members().is_empty() && watched.stale(now).is_none());
}

#[test]
fn what_a_process_before_was_told_holds_until_there_is_an_answer() {
    let now = Instant::now();
    let mut random = Random::seeded(3);
    let mut watched = watched(now);
    let known = |endpoints: Vec<Endpoint>| Known { name: name("api.example"), endpoints };
    let old = known(answer(&["10.0.0.1:80", "10.0.0.2:80"], 1).endpoints);
    let before = now.checked_sub(75 * SECOND).unwrap_or(now);
    let change = watched.recall(old.clone(), Families::Both, before);
    assert_eq!((change.added.len(), watched.due(), watched.is_recalled()), (2, now, true));
    assert!(watched.recall(old, Families::Both, before).is_none(), "it is there already");
    watched.told(Err(failure()), now, &mut random);
    assert_eq!(texts(watched.members()), ["10.0.0.1:80", "10.0.0.2:80"]);
    assert!(watched.is_recalled());
    assert_eq!(watched.stale(now), Some(now - before));
    let change = watched.told(Ok(answer(&["10.0.0.2:80"], 30)), now, &mut random);
    assert_eq!((change.gone.len(), watched.is_recalled()), (1, false));
    let change =
        watched.recall(known(answer(&["10.0.0.9:80"], 1).endpoints), Families::Both, now);
    assert!(change.is_none(), "DNS has spoken");
}

#[test]
fn nothing_is_recalled_that_no_answer_could_have_said() {
    let now = Instant::now();
    let service = |address: &str| Endpoint { weight: Some(1), ..endpoint(address, "x") };
    let ranked = |address: &str| Endpoint { priority: 1, ..endpoint(address, "x") };
    let all = vec![
        endpoint("10.0.0.1:81", "x"),
        endpoint("0.0.0.0:80", "x"),
        endpoint("224.0.0.1:80", "x"),
        endpoint("255.255.255.255:80", "x"),
        endpoint("[fe80::1]:80", "x"),
        service("10.0.0.2:80"),
        ranked("10.0.0.3:80"),
        endpoint("[2001:db8::1]:80", "x"),
    ];
    let recalled = |wanted: Wanted, families| {
        let mut watched = Watched::new(wanted, Bounds::default(), now);
        let known = Known { name: name("x"), endpoints: all.clone() };
        watched.recall(known, families, now);
        texts(watched.members())
    };
    let written = || Written::new("x").unwrap();
    let addresses = || Wanted::Addresses(written(), 80);
    assert_eq!(recalled(addresses(), Families::Both), ["[2001:db8::1]:80"]);
    assert_eq!(recalled(addresses(), Families::Ipv4), [""; 0]);
    assert_eq!(recalled(Wanted::Services(written()), Families::Both), ["10.0.0.2:80"]);
    let mut watched = watched(now);
    let many = (0..70_000u32).map(|it| {
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + it);
        endpoint(&format!("{ip}:80"), "x")
    });
    let known = Known { name: name("x"), endpoints: many.collect() };
    watched.recall(known, Families::Both, now);
    assert_eq!(watched.members().len(), DNS_ENDPOINTS_MAX);
}

#[test]
fn a_good_answer_is_due_after_its_ttl_within_bounds() {
    let now = Instant::now();
    let mut watched = watched(now);
    let mut random = Random::seeded(3);
    for (ttl, after) in [(30, 30), (0, 1), (100_000, 300)] {
        watched.told(Ok(answer(&["10.0.0.1:80"], ttl)), now, &mut random);
        is_due(&watched, now, after * SECOND);
        assert!(watched.due() >= now + SECOND);
    }
    let bounds = Bounds { min: Duration::ZERO, max: 5 * SECOND };
    watched.bound(bounds, now);
    assert!(watched.due() <= now + 5 * SECOND);
    watched.told(Ok(answer(&["10.0.0.1:80"], 0)), now, &mut random);
    assert!(watched.due() >= now + SECOND, "never less than a second");
    watched.hurry(now);
    assert_eq!(watched.due(), now + SECOND);
}

#[test]
fn names_with_the_same_ttl_are_not_looked_up_in_the_same_moment() {
    let now = Instant::now();
    let mut random = Random::System;
    let mut due = || {
        let mut watched = watched(now);
        watched.told(Ok(answer(&["10.0.0.1:80"], 60)), now, &mut random);
        watched.due()
    };
    let first = due();
    assert!((0..20).any(|_| due() != first));
}

#[test]
fn a_set_follows_its_answers() {
    let now = Instant::now();
    let mut watched = watched(now);
    let mut random = Random::seeded(3);
    let change = watched.told(Ok(answer(&["10.0.0.2:80", "10.0.0.1:80"], 1)), now, &mut random);
    assert_eq!(texts(&change.added), ["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!(watched.generation(), 1);
    let change = watched.told(Ok(answer(&["10.0.0.3:80", "10.0.0.1:80"], 1)), now, &mut random);
    assert_eq!(texts(&change.added), ["10.0.0.3:80"]);
    assert_eq!(texts(&change.gone), ["10.0.0.2:80"]);
    assert_eq!((change.stayed, watched.generation()), (1, 2));
    let change = watched.told(Ok(answer(&["10.0.0.1:80", "10.0.0.3:80"], 1)), now, &mut random);
    assert!(change.is_none(), "in another order it is the same");
    assert_eq!(watched.generation(), 2);
}

#[test]
fn neither_a_failure_nor_an_empty_answer_empties_a_set() {
    let mut now = Instant::now();
    let mut watched = watched(now);
    let mut random = Random::seeded(3);
    watched.told(Ok(answer(&["10.0.0.1:80"], 10)), now, &mut random);
    for (times, after) in [1_u32, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        now = watched.due();
        let empty = times % 2 == 0;
        let result = if empty { Ok(answer(&[], 10)) } else { Err(failure()) };
        let change = watched.told(result, now, &mut random);
        assert!(change.is_none() && change.stayed == 1);
        is_due(&watched, now, after * SECOND);
        assert_eq!(watched.failing().unwrap().times as usize, times + 1);
    }
    assert_eq!(texts(watched.members()), ["10.0.0.1:80"]);
    let stale = watched.stale(now).unwrap();
    assert!(stale > 100 * SECOND && stale < 140 * SECOND, "{stale:?}");
    watched.told(Ok(answer(&["10.0.0.2:80"], 10)), now, &mut random);
    assert!(watched.failing().is_none() && watched.stale(now).is_none());
    assert_eq!(texts(watched.members()), ["10.0.0.2:80"]);
}

#[test]
fn what_a_server_remembers_to_be_nothing_is_not_asked_for_sooner() {
    let now = Instant::now();
    let mut watched = watched(now);
    let nothing = |seconds| Failure::Nothing(name("api.example"), Some(seconds * SECOND));
    watched.told(Err(nothing(20)), now, &mut Random::seeded(3));
    is_due(&watched, now, 20 * SECOND);
    watched.told(Err(nothing(3600)), now, &mut Random::seeded(3));
    is_due(&watched, now, 60 * SECOND);
    assert!(watched.members().is_empty());
}

#[test]
fn a_family_that_did_not_come_keeps_its_addresses() {
    let now = Instant::now();
    let mut watched = watched(now);
    let mut random = Random::seeded(3);
    watched.told(Ok(answer(&["10.0.0.1:80", "[::1]:80"], 90)), now, &mut random);
    let mut half = answer(&["10.0.0.2:80"], 90);
    half.unheard = vec![(name("api.example"), Kind::Aaaa)];
    let change = watched.told(Ok(half), now, &mut random);
    assert_eq!(texts(&change.gone), ["10.0.0.1:80"]);
    assert_eq!(texts(watched.members()), ["10.0.0.2:80", "[::1]:80"]);
    assert_eq!(watched.last_good().unwrap().unheard, 1);
    is_due(&watched, now, 60 * SECOND);
    let change = watched.told(Ok(answer(&["10.0.0.2:80"], 90)), now, &mut random);
    assert_eq!(texts(&change.gone), ["[::1]:80"], "this time it was told that there is none");
}

#[test]
fn a_set_of_any_size_stays_within_its_bound() {
    let now = Instant::now();
    let mut watched = watched(now);
    let addresses: Vec<String> =
        (0..3000).map(|n| format!("10.0.{}.{}:80", n >> 8, n & 255)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    watched.told(Ok(answer(&addresses, 9)), now, &mut Random::seeded(3));
    assert_eq!(watched.members().len(), DNS_ENDPOINTS_MAX);
}
