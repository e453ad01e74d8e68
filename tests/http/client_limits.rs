//! Limits by client through the real binary: of requests, and of the connections of HTTP.

use std::time::{Duration, Instant};

use crate::common::http::{Message, Origin, Wire, before, before_backends, get, ok, post};
use crate::common::{Backend, Balancer, connect_from, until};

const BURST: usize = 5;

fn from(source: &str, balancer: &Balancer) -> Wire {
    Wire::new(connect_from(source, balancer.address()))
}

fn statuses(wire: &mut Wire, count: usize) -> Vec<u16> {
    (0..count).map(|_| wire.ask(get("/")).status()).collect()
}

/// What the rule of this name counted, by the statistics.
fn counted(balancer: &Balancer, source: &str, rule: &str) -> (u64, u64) {
    let page = from(source, balancer).ask(get("/stats")).text();
    let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
    let rules = page["guard"].as_array().expect("a list").clone();
    let rule = rules.iter().find(|it| it["rule"] == rule).expect("the rule").clone();
    let number = |name: &str| rule[name].as_u64().expect("a number");
    (number("refused"), number("would_refuse"))
}

#[test]
fn exactly_the_burst_passes_from_idle_and_others_are_not_concerned() {
    let origin = Origin::named("a");
    let flags = ["--limit-request-rate", "1/h,burst=5"];
    let balancer = before(&[&origin], &flags);
    let mut client = from("127.0.0.1", &balancer);
    let expected = [vec![200; BURST], vec![429; 3]].concat();
    assert_eq!(statuses(&mut client, BURST + 3), expected);
    assert_eq!(statuses(&mut from("127.0.0.1", &balancer), 2), [429; 2], "another connection");
    assert_eq!(statuses(&mut from("127.0.0.2", &balancer), BURST + 3), expected);
    assert_eq!(origin.count(), 2 * BURST, "no backend hears of the others");
    balancer.stop_after(client);
}

#[test]
fn a_429_says_when_to_come_again_and_keeps_the_connection() {
    let origin = Origin::named("a");
    let flags = ["--limit-request-rate", "2/h,name=api", "--rate-limit-fields", "on"];
    let balancer = before(&[&origin], &flags);
    let mut client = Wire::to(&balancer);
    assert_eq!(client.ask(get("/")).status(), 200);
    let refused = client.ask(get("/"));
    assert_eq!(refused.status(), 429);
    assert!((1799..=1800).contains(&refused.field("retry-after").parse().expect("seconds")));
    assert_eq!(refused.field("ratelimit-policy"), "\"api\";q=2;w=3600");
    let t = refused.field("retry-after");
    assert_eq!(refused.field("ratelimit"), format!("\"api\";r=0;t={t}"));
    assert_eq!(refused.text(), "429 Too Many Requests: too many requests\n");
    assert!(refused.keeps_alive());
    assert_eq!(client.ask(get("/")).status(), 429, "on the same connection");
    let with_body = client.ask(post("/", "body"));
    assert_eq!((with_body.status(), with_body.keeps_alive()), (429, false));
    assert!(client.ends());
    balancer.wait_for_log("guard: api of service main refuses 127.0.0.1,");
    balancer.stop();
}

#[test]
fn the_fields_of_the_draft_are_there_only_where_they_are_asked_for() {
    let origin = Origin::named("a");
    let balancer = before(&[&origin], &["--limit-request-rate", "1/h"]);
    let mut client = Wire::to(&balancer);
    assert_eq!(statuses(&mut client, 2), [200, 429]);
    let refused = client.ask(get("/"));
    assert!(!refused.head.to_lowercase().contains("ratelimit"), "{}", refused.head);
    balancer.stop_after(client);
}

#[test]
fn who_waited_as_long_as_it_was_told_is_served() {
    let origin = Origin::named("a");
    let balancer = before(&[&origin], &["--limit-request-rate", "2/s,burst=1"]);
    let mut client = Wire::to(&balancer);
    assert_eq!(statuses(&mut client, 2), [200, 429]);
    let began = Instant::now();
    until("it is served again", || client.ask(get("/")).status() == 200);
    assert!(began.elapsed() > Duration::from_millis(300), "{:?}", began.elapsed());
    balancer.stop_after(client);
}

#[test]
fn behind_a_trusted_proxy_the_client_that_it_names_is_limited() {
    let origin = Origin::named("a");
    let flags = ["--limit-request-rate", "1/h", "--trusted-proxies", "127.0.0.1"];
    let balancer = before(&[&origin], &flags);
    let ask = |wire: &mut Wire, client: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
        wire.ask(text).status()
    };
    let mut proxy = from("127.0.0.1", &balancer);
    assert_eq!(ask(&mut proxy, "192.0.2.1"), 200);
    assert_eq!(ask(&mut proxy, "6.6.6.6, 192.0.2.1"), 429);
    assert_eq!(ask(&mut proxy, "192.0.2.2"), 200);
    let mut stranger = from("127.0.0.9", &balancer);
    assert_eq!(ask(&mut stranger, "192.0.2.3"), 200);
    assert_eq!(ask(&mut stranger, "192.0.2.4"), 429, "nobody believes it");
    balancer.stop_after((proxy, stranger));
}

#[test]
fn by_a_field_or_all_together() {
    let flags = ["--limit-request-rate", "2/h,burst=2,by=header:X-Key"];
    let more = ["--limit-request-rate", "5/h,burst=5,by=service,name=together"];
    let origin = Origin::named("a");
    let balancer = before(&[&origin], &[flags, more].concat());
    let ask = |wire: &mut Wire, key: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Key: {key}\r\n\r\n");
        wire.ask(text).status()
    };
    let mut client = Wire::to(&balancer);
    let keys = ["a", "a", "a", "b", "b", "b", "c", "d", "e"];
    let statuses: Vec<u16> = keys.iter().map(|key| ask(&mut client, key)).collect();
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429, 200, 429, 429]);
    balancer.stop_after(client);
}

#[test]
fn what_is_only_tried_counts_what_enforcing_refuses() {
    let flags = ["--limit-request-rate", "1/h,burst=7", "--limit-exempt", "127.0.0.99"];
    let flags = [&flags[..], &["--stats-path", "/stats"]].concat();
    let origin = Origin::named("a");
    let enforcing = before(&[&origin], &flags);
    let trying = before(&[&origin], &[&flags[..], &["--guard-dry-run", "all"]].concat());
    let load = |balancer: &Balancer| {
        let mut random = fastrand::Rng::with_seed(5);
        let sources: Vec<String> = (1..=8).map(|n| format!("127.0.0.{n}")).collect();
        let mut wires: Vec<Wire> =
            sources.iter().map(|source| from(source, balancer)).collect();
        let asked = (0..200).map(|_| wires[random.usize(..8)].ask(get("/")));
        asked.filter(|answer: &Message| answer.status() == 429).count() as u64
    };
    let refused = load(&enforcing);
    assert!(refused >= 200 - 8 * 7, "{refused}");
    assert_eq!(load(&trying), 0);
    let rule = "request-rate";
    assert_eq!(counted(&enforcing, "127.0.0.99", rule), (refused, 0));
    assert_eq!(counted(&trying, "127.0.0.99", rule), (0, refused));
    trying.wait_for_log("guard: request-rate of service main would refuse 127.0.0.");
    enforcing.stop();
    trying.stop();
}

#[test]
fn in_the_tarpit_a_request_waits_for_its_429_and_who_has_no_place_there_gets_it_at_once() {
    let origin = Origin::named("a");
    let flags = ["--limit-request-rate", "1/h", "--reject", "tarpit", "--tarpit", "700ms"];
    let balancer = before(&[&origin], &[&flags[..], &["--max-connections", "100"]].concat());
    let mut client = Wire::to(&balancer);
    assert_eq!(client.ask(get("/")).status(), 200);
    let began = Instant::now();
    client.say(get("/"));
    // One of a hundred may be held.
    let mut other = Wire::to(&balancer);
    until("the first is held", || {
        other.ask(get("/")).status() == 429 && began.elapsed() < Duration::from_millis(600)
    });
    let answer = client.answer();
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    assert_eq!((answer.status(), answer.keeps_alive()), (429, true));
    // The place is free again, and is given back by who leaves.
    client.say(get("/"));
    drop(client);
    assert_eq!(other.ask(get("/")).status(), 429);
    assert_eq!(origin.count(), 1);
    balancer.stop_after(other);
}

#[test]
fn of_a_client_at_its_limit_a_connection_that_rests_gives_way_to_a_new_one() {
    let origin = Origin::named("a");
    let balancer = before(&[&origin], &["--limit-connections", "2"]);
    let mut other = from("127.0.0.2", &balancer);
    assert_eq!(statuses(&mut other, 1), [200]);
    let mut resting: Vec<Wire> = (0..2).map(|_| from("127.0.0.1", &balancer)).collect();
    for wire in &mut resting {
        assert_eq!(statuses(wire, 1), [200]);
    }
    let mut third = from("127.0.0.1", &balancer);
    assert_eq!(statuses(&mut third, 1), [200]);
    balancer.wait_for_log("rests, and gives way");
    let mut still = resting.into_iter().filter_map(|mut wire| {
        let answers = wire.try_say(get("/")) && wire.head().is_some();
        answers.then_some(wire)
    });
    let one = still.next();
    assert!(one.is_some() && still.next().is_none(), "one of the two gave way");
    assert_eq!(statuses(&mut other, 1), [200]);
    balancer.stop_after((one, third, other));
}

#[test]
fn busy_connections_stay_and_those_beyond_the_limit_are_closed() {
    let (backend, taken) = Backend::manual();
    let balancer = before_backends(&[&backend], &["--limit-connections", "2"]);
    let ask = || {
        let wire = from("127.0.0.1", &balancer);
        wire.say(get("/"));
        (wire, Wire::new(taken.recv().expect("it is asked")))
    };
    let mut busy = [ask(), ask()];
    assert!(from("127.0.0.1", &balancer).head().is_none(), "a third");
    for (client, server) in &mut busy {
        server.say(ok("a"));
        assert_eq!(client.answer().status(), 200);
    }
    drop(busy);
    until("their places are free", || {
        let next = from("127.0.0.1", &balancer);
        next.try_say(get("/")) && taken.recv_timeout(Duration::from_millis(50)).is_ok()
    });
    balancer.stop();
}

#[test]
fn a_login_has_a_limit_of_its_own() {
    let origin = Origin::named("a");
    let login = "1/h,burst=2,name=login,when=path ^= \"/login\" && method == \"GET\"";
    let all = "1/h,burst=4,name=total";
    let flags = ["--limit-request-rate", login, "--limit-request-rate", all];
    let balancer = before(&[&origin], &flags);
    let mut client = Wire::to(&balancer);
    let paths = ["/login", "/login?x", "/login", "/login/a", "/", "/a", "/a", "/login"];
    let statuses: Vec<u16> = paths.iter().map(|path| client.ask(get(path)).status()).collect();
    assert_eq!(statuses, [200, 200, 429, 429, 200, 200, 429, 429]);
    assert_eq!(origin.count(), 4, "what one limit refused takes nothing of the other");
    balancer.stop_after(client);
}

#[test]
fn a_service_has_its_own_exemptions_and_fields() {
    let origin = Origin::named("a");
    let flags = ["--limit-request-rate", "1/h", "--limit-exempt", "127.0.0.2"];
    let own = ["--service-limit-exempt", "127.0.0.3", "--service-rate-limit-fields", "on"];
    let tarpit = ["--service-reject", "tarpit", "--service-tarpit", "300ms"];
    let balancer = before(&[&origin], &[&flags[..], &own, &tarpit].concat());
    assert_eq!(statuses(&mut from("127.0.0.3", &balancer), 3), [200; 3]);
    let mut client = from("127.0.0.2", &balancer);
    assert_eq!(statuses(&mut client, 1), [200]);
    let began = Instant::now();
    let refused = client.ask(get("/"));
    assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.field("ratelimit-policy"), "\"request-rate\";q=1;w=3600");
    balancer.stop_after(client);
}
