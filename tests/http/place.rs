//! Who gets a request: by its key, by its cookie, and not those that answered badly.

mod sticky;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::common::http::{Message, Origin, Wire, get, ok};
use crate::common::{Backend, Balancer, DEADLINE, free_port, until, with_deadline};
use socket2::{Domain, Socket, Type};

/// A balancer before backends with these names, so that hashes and cookies are the same each time.
fn front(backends: &[(&str, SocketAddr)], more: &[&str]) -> Balancer {
    let named = |(name, address): &(&str, SocketAddr)| format!("{address},name={name}");
    let flags: Vec<String> = backends.iter().map(named).collect();
    let mut args = vec!["-l", "http://127.0.0.1:0"];
    args.extend(flags.iter().flat_map(|flag| ["-b", flag]));
    if !more.contains(&"--check") {
        args.extend(["--check", "none"]);
    }
    args.extend(more);
    Balancer::start(&args)
}

fn at(origin: &Origin) -> SocketAddr {
    origin.backend.address
}

/// A request with these lines beside its host.
fn with(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n")
}

/// A client with this address.
fn wire_from(address: [u8; 4], balancer: &Balancer) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address of this machine");
    socket.connect(&balancer.address().into()).expect("it listens");
    Wire::new(with_deadline(socket.into()))
}

const BAD: &str = "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n";

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Two balancers for each algorithm that hashes, before four backends: the second one knows them
/// in another order.
fn hashing(key: &str, check: impl Fn(&Balancer, &Balancer)) {
    let origins = NAMES.map(Origin::named);
    let mut backends: Vec<_> = NAMES.into_iter().zip(origins.iter().map(at)).collect();
    for balance in ["ip-hash", "consistent-hash"] {
        let more = ["--balance", balance, "--hash-key", key, "--log-level", "info"];
        let one = front(&backends, &more);
        backends.reverse();
        let two = front(&backends, &more);
        check(&one, &two);
        one.stop();
        two.stop();
    }
}

/// Each of these requests has its place at both, again and again; all together they have many.
fn has_places(one: &Balancer, two: &Balancer, requests: &[String]) -> Vec<String> {
    let mut clients = [one, two, one].map(Wire::to);
    let mut places = Vec::new();
    for request in requests {
        let seen = clients.each_mut().map(|client| client.ask(request).text());
        assert!(seen.iter().all(|place| *place == seen[0]), "{request}: {seen:?}");
        let [place, ..] = seen;
        places.push(place);
    }
    places
}

fn spread(places: &[String]) -> usize {
    places.iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn a_uri_has_its_place_with_its_query() {
    hashing("uri", |one, two| {
        let paths: Vec<_> = (0..40).map(|n| get(&format!("/page/{n}"))).collect();
        assert_eq!(spread(&has_places(one, two, &paths)), 4);
        let queries: Vec<_> = (0..40).map(|n| get(&format!("/page?n={n}"))).collect();
        assert_eq!(spread(&has_places(one, two, &queries)), 4);
    });
}

#[test]
fn a_path_has_its_place_whatever_the_query() {
    hashing("path", |one, two| {
        let paths: Vec<_> = (0..40).map(|n| get(&format!("/page/{n}"))).collect();
        let places = has_places(one, two, &paths);
        assert_eq!(spread(&places), 4);
        for form in ["/page/{}?x=1", "/page/{}?", "http://test/page/{}?y"] {
            let target = |n: usize| form.replace("{}", &n.to_string());
            let asked: Vec<_> = (0..40).map(|n| get(&target(n))).collect();
            assert_eq!(has_places(one, two, &asked), places, "{form}");
        }
    });
}

#[test]
fn a_header_has_its_place_whatever_the_path() {
    hashing("header:X-Tenant", |one, two| {
        let by = |path: &str, name: &str| {
            let asked = |n| with(path, &format!("{name}: tenant-{n}\r\n"));
            has_places(one, two, &(0..40).map(asked).collect::<Vec<_>>())
        };
        let places = by("/", "X-Tenant");
        assert_eq!(spread(&places), 4);
        assert_eq!(by("/other?x", "x-tenant"), places);
        assert_eq!(by("/other?x", "X-TENANT"), places);
        assert_eq!(by("/", "X-Tenants"), vec![by("/", "X-Other")[0].clone(); 40]);
    });
}

#[test]
fn a_cookie_has_its_place_whatever_comes_beside_it() {
    hashing("cookie:session", |one, two| {
        let by = |form: &str| {
            let line = |n: usize| form.replace("{}", &n.to_string());
            let asked = |n| with("/", &format!("{}\r\n", line(n)));
            has_places(one, two, &(0..40).map(asked).collect::<Vec<_>>())
        };
        let places = by("Cookie: session=s{}");
        assert_eq!(spread(&places), 4);
        assert_eq!(by("Cookie: a=b; session=s{}; c=d"), places);
        assert_eq!(by("Cookie: a={}; b=session=1\r\nCookie: session=s{}"), places);
        assert_eq!(spread(&by("Cookie: sessions=s{}; mysession=s{}")), 1, "no such cookie");
    });
}

#[test]
fn without_the_key_it_is_the_clients_address() {
    let origins = NAMES.map(Origin::named);
    let backends: Vec<_> = NAMES.into_iter().zip(origins.iter().map(at)).collect();
    for balance in ["ip-hash", "consistent-hash"] {
        let keys = ["ip", "header:X-Tenant", "cookie:session"];
        let start = |key| front(&backends, &["--balance", balance, "--hash-key", key]);
        let balancers = keys.map(start);
        let mut places = BTreeMap::new();
        for n in 1..=40 {
            for (balancer, key) in balancers.iter().zip(keys) {
                let mut client = wire_from([127, 0, n, n], balancer);
                // What a request had says nothing of the next one.
                client.ask(with("/", "X-Tenant: me\r\nCookie: session=mine\r\n"));
                for target in ["/", "/a?b=c"] {
                    let place = client.ask(get(target)).text();
                    let first = places.entry(n).or_insert_with(|| place.clone());
                    assert_eq!(place, *first, "{balance} by {key}: client {n}");
                }
            }
        }
        assert_eq!(spread(&places.into_values().collect::<Vec<_>>()), 4, "{balance}");
        balancers.into_iter().for_each(Balancer::stop);
    }
}

const STICKY: [&str; 4] = ["--sticky-cookie", "LB", "--balance", "round-robin"];

/// The value of the cookie that an answer sets, which is as it should be.
#[track_caller]
fn set_cookie(answer: &Message) -> String {
    let line = answer.field("set-cookie");
    let value = line.strip_prefix("LB=").and_then(|rest| rest.get(..32)).unwrap_or_default();
    assert_eq!(line, format!("LB={value}; Path=/; HttpOnly; SameSite=Lax"), "{}", answer.head);
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(value.len() == 32 && value.bytes().all(hex), "{line}");
    assert_eq!(answer.field("cache-control"), "private", "{}", answer.head);
    value.to_owned()
}

/// It sets no cookie, and caches may keep it.
#[track_caller]
fn assert_plain(answer: &Message) {
    assert_eq!((answer.field("set-cookie"), answer.field("cache-control")), ("", ""));
}

fn with_cookie(value: &str) -> String {
    with("/", &format!("Cookie: LB={value}\r\n"))
}

#[test]
fn a_cookie_leads_back() {
    let origins = ["a", "b", "c"].map(Origin::named);
    let backends: Vec<_> = NAMES.into_iter().zip(origins.iter().map(at)).collect();
    let key = std::env::temp_dir().join(format!("pointsman-sticky-{}", std::process::id()));
    std::fs::write(&key, "of all instances, 32 bytes and a line end\n").unwrap();
    let path = key.display().to_string();
    let shared = [&STICKY[..], &["--sticky-key", &path]].concat();
    let balancer = front(&backends, &shared);
    let mut cookies = BTreeMap::new();
    for _ in 0..3 {
        let answer = Wire::to(&balancer).ask(get("/"));
        cookies.insert(set_cookie(&answer), answer.text());
    }
    assert_eq!(cookies.len(), 3, "each backend has one of its own: {cookies:?}");
    let other = front(&backends, &shared);
    for balancer in [&balancer, &other] {
        let mut client = Wire::to(balancer);
        for (cookie, name) in cookies.iter().cycle().take(12) {
            let answer = client.ask(with_cookie(cookie));
            assert_eq!(answer.text(), *name);
            assert_plain(&answer);
        }
        // The connection remembers nothing.
        set_cookie(&client.ask(get("/")));
    }
    // One with a secret of its own knows none of them, and has others.
    let stranger = front(&backends, &STICKY);
    for cookie in cookies.keys() {
        let answer = Wire::to(&stranger).ask(with_cookie(cookie));
        assert!(!cookies.contains_key(&set_cookie(&answer)), "{cookies:?}");
    }
    stranger.stop();
    other.stop();
    balancer.stop();
    std::fs::remove_file(key).unwrap();
}

#[test]
fn the_cookie_is_between_us_and_the_client() {
    let origin = Origin::named("a");
    let balancer = front(&[("a", at(&origin))], &STICKY);
    let mut client = Wire::to(&balancer);
    let cookie = set_cookie(&client.ask(get("/")));
    for (sent, passed) in [
        (format!("LB={cookie}"), vec![]),
        (format!("a=b; LB={cookie}; c=d"), vec!["a=b; c=d"]),
        (format!("LB={cookie}; a=b"), vec!["a=b"]),
        (format!("a=b; LB={cookie}\r\nCookie: LB=1; c=d"), vec!["a=b", "c=d"]),
        (format!("XLB=1; LB={cookie}; LBX=2; lb=3"), vec!["XLB=1; LBX=2; lb=3"]),
    ] {
        assert_plain(&client.ask(with("/", &format!("Cookie: {sent}\r\n"))));
        assert_eq!(origin.last().all("cookie"), passed, "{sent}");
    }
    set_cookie(&client.ask(with_cookie("unknown")));
    assert_eq!(origin.last().all("cookie"), [""; 0], "not even one that is none of ours");
    balancer.stop_after(client);
}

#[test]
fn what_the_backend_says_of_cookies_and_caches_stays() {
    let head = "HTTP/1.1 200 OK\r\nSet-Cookie: LB=mine\r\nCache-Control: max-age=60\r\n";
    let origin = Origin::saying(format!("{head}Content-Length: 2\r\n\r\nhi"));
    let balancer = front(&[("a", at(&origin))], &STICKY);
    let mut client = Wire::to(&balancer);
    let answer = client.ask(get("/"));
    let cookies = answer.all("set-cookie");
    assert!(cookies.len() == 2 && cookies[0] == "LB=mine", "{cookies:?}");
    assert!(answer.all("cache-control").contains(&"private"), "{}", answer.head);
    let value = &cookies[1][3..35];
    let answer = client.ask(with_cookie(value));
    assert_eq!(answer.all("set-cookie"), ["LB=mine"]);
    assert_eq!(answer.all("cache-control"), ["max-age=60"]);
    balancer.stop_after(client);
}

#[test]
fn cookies_that_lead_nowhere_are_replaced() {
    let origins = ["a", "b"].map(Origin::named);
    let backends: Vec<_> = NAMES.into_iter().zip(origins.iter().map(at)).collect();
    let balancer = front(&backends, &STICKY);
    let mut client = Wire::to(&balancer);
    let good = set_cookie(&client.ask(get("/")));
    let long = "0".repeat(4000);
    let unknown = ["0000000000000000", "", "a", "-", "127.0.0.1:80", "é", "\"\"", "=", &long];
    let upper = good.to_uppercase();
    let quoted = format!("\"{good}\"");
    let more = format!("{good}0");
    let less = &good[1..];
    let sign = format!("+{}", &good[1..]);
    let close = [&quoted, &more, less, &sign];
    let upper = (upper != good).then_some(&*upper);
    for value in unknown.into_iter().chain(close).chain(upper) {
        let answer = client.ask(with_cookie(value));
        assert_eq!(answer.status(), 200, "{value}");
        let cookie = set_cookie(&answer);
        assert_eq!(client.ask(with_cookie(&cookie)).text(), answer.text(), "{value}");
    }
    balancer.stop_after(client);
}

#[test]
fn a_backend_that_refuses_loses_its_clients() {
    let gone = free_port();
    let other = Origin::named("other");
    let key = std::env::temp_dir().join(format!("pointsman-twins-{}", std::process::id()));
    std::fs::write(&key, "k".repeat(32)).unwrap();
    let path = key.display().to_string();
    let shared = [&STICKY[..], &["--sticky-key", &path]].concat();
    let more = [&shared[..], &["--stats-path", "/stats"]].concat();
    let balancer = front(&[("gone", gone), ("other", at(&other))], &more);
    let back = Origin::named("gone");
    let twin = front(&[("gone", at(&back)), ("other", at(&other))], &shared);
    std::fs::remove_file(key).unwrap();
    let cookie = set_cookie(&Wire::to(&twin).ask(get("/")));
    let mut client = Wire::to(&balancer);
    assert_eq!(client.ask(get("/")).text(), "other", "the first one refused");
    let answer = client.ask(with_cookie(&cookie));
    assert_eq!(answer.text(), "other");
    let new = set_cookie(&answer);
    assert_ne!(new, cookie);
    let answer = client.ask(with_cookie(&new));
    assert_eq!(answer.text(), "other");
    assert_plain(&answer);
    let stats = client.ask(get("/stats")).text();
    let gone = &stats[stats.find("\"name\":\"gone\"").expect("it is there")..];
    assert!(gone.contains("\"connect\":2"), "{gone}");
    twin.stop();
    balancer.stop_after(client);
}

#[test]
fn a_backend_that_is_down_loses_its_clients_until_it_is_back() {
    let well = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&well);
    let ill = Origin::start(move |request, wire| {
        let is_well = request.target() != "/check" || told.load(Ordering::SeqCst);
        wire.try_say(if is_well { ok("ill") } else { BAD.into() })
    });
    let other = Origin::named("other");
    let checks = ["--check", "http:/check", "--check-interval", "30ms", "--fall", "2"];
    let more = [&STICKY[..], &checks, &["--rise", "2"]].concat();
    let balancer = front(&[("ill", at(&ill)), ("other", at(&other))], &more);
    let mut client = Wire::to(&balancer);
    let answer = client.ask(get("/"));
    assert_eq!(answer.text(), "ill", "the first is asked first");
    let cookie = set_cookie(&answer);
    well.store(false, Ordering::SeqCst);
    balancer.wait_for_log("backend ill is down");
    let answer = client.ask(with_cookie(&cookie));
    assert_eq!(answer.text(), "other");
    assert_ne!(set_cookie(&answer), cookie);
    well.store(true, Ordering::SeqCst);
    balancer.wait_for_log("backend ill is up");
    let answer = client.ask(with_cookie(&cookie));
    assert_eq!(answer.text(), "ill", "who kept its cookie is back");
    assert_plain(&answer);
    balancer.stop_after(client);
}

/// Answers its name, two requests a connection; at the third it hangs up without a word.
fn short_lived(name: &'static str) -> Backend {
    Backend::start(move |stream| {
        let mut wire = Wire::new(with_deadline(stream));
        for _ in 0..2 {
            if wire.request().is_none() || !wire.try_say(ok(name)) {
                return;
            }
        }
        wire.request();
    })
}

#[test]
fn a_stale_connection_costs_no_client_its_backend() {
    let backends = ["a", "b"].map(short_lived);
    let named: Vec<_> = NAMES.into_iter().zip(backends.iter().map(|it| it.address)).collect();
    let balancer = front(&named, &[&STICKY[..], &["--log-level", "info"]].concat());
    let mut clients = [(); 2].map(|()| Wire::to(&balancer));
    let homes = clients.each_mut().map(|client| {
        let answer = client.ask(get("/"));
        (set_cookie(&answer), answer.text())
    });
    assert_ne!(homes[0], homes[1]);
    for _ in 0..50 {
        for (client, (cookie, name)) in clients.iter_mut().zip(&homes) {
            let answer = client.ask(with_cookie(cookie));
            assert_eq!((answer.status(), &answer.text()), (200, name));
            assert_plain(&answer);
        }
    }
    assert!(backends.iter().all(|backend| backend.accepted() > 10), "connections were stale");
    balancer.stop_after(clients);
}

#[test]
fn a_backend_that_goes_down_with_a_request_is_not_asked_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let told = Arc::new(AtomicBool::new(true));
    let count = Arc::clone(&asked);
    let well = Arc::clone(&told);
    let (hold, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let ill = Origin::start(move |request, wire| match request.target() {
        "/check" if well.load(Ordering::SeqCst) => wire.try_say(ok("")),
        "/check" => wire.try_say(BAD),
        "/wait" => {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = held.lock().unwrap().recv_timeout(DEADLINE);
            false
        }
        _ => wire.try_say(ok("ill")),
    });
    let other = Origin::named("other");
    let checks = ["--check", "http:/check", "--check-interval", "30ms", "--fall", "2"];
    let more = [&STICKY[..], &checks, &["--on-down", "close"]].concat();
    let balancer = front(&[("ill", at(&ill)), ("other", at(&other))], &more);
    let mut client = Wire::to(&balancer);
    let cookie = set_cookie(&client.ask(get("/")));
    // On the connection that waits.
    client.say(with("/wait", &format!("Cookie: LB={cookie}\r\n")));
    until("it is asked", || asked.load(Ordering::SeqCst) == 1);
    told.store(false, Ordering::SeqCst);
    let answer = client.answer();
    assert_eq!(answer.text(), "other");
    assert_ne!(set_cookie(&answer), cookie);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    drop(hold);
    balancer.stop_after(client);
}

#[test]
fn the_access_log_knows_whose_cookie_it_was() {
    let origins = ["a", "b"].map(Origin::named);
    let backends: Vec<_> = NAMES.into_iter().zip(origins.iter().map(at)).collect();
    let log = ["--access-log", "/dev/stderr", "--access-log-format", "haproxy"];
    let balancer = front(&backends, &[&STICKY[..], &log].concat());
    let mut client = Wire::to(&balancer);
    let answer = client.ask(get("/"));
    let cookie = set_cookie(&answer);
    let name = answer.text();
    client.ask(with("/again", &format!("Cookie: LB={cookie}\r\n")));
    balancer.wait_for_log("GET /again");
    let log = balancer.log();
    let line = log.lines().find(|line| line.contains("GET /again")).expect("it is there");
    assert!(line.contains(&format!("/{name} ")), "{line}");
    balancer.stop_after(client);
}
