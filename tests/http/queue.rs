//! Clients of HTTP that wait until a backend has room: in their order, for so long, so many.

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::common::http::{Origin, Wire, get, ok, post};
use crate::common::{Backend, Balancer, DEADLINE, free_port, until};

const QUEUE: &[&str] = &["--queue", "3", "--queue-timeout", "20s", "--queue-order", "fifo"];

/// A backend that takes one connection at once, whose requests the test answers.
struct Narrow {
    balancer: Balancer,
    requests: Receiver<TcpStream>,
    _backend: Backend,
}

impl Narrow {
    fn start(more: &[&str]) -> Narrow {
        let (backend, requests) = Backend::manual();
        let flag = format!("{},max-connections=1", backend.flag());
        let all = ["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"];
        let balancer = Balancer::start(&[&all[..], more].concat());
        Narrow { balancer, requests, _backend: backend }
    }

    /// The connection of the next request.
    fn next(&self) -> Wire {
        Wire::new(self.requests.recv_timeout(DEADLINE).expect("a request comes"))
    }

    fn client(&self, target: &str) -> Wire {
        let wire = Wire::to(&self.balancer);
        wire.say(get(target));
        wire
    }

    /// A client that waits, once that is known.
    fn waiting(&self, target: &str) -> Wire {
        let before = self.waits();
        let wire = self.client(target);
        until("it waits", || self.waits() > before);
        wire
    }

    /// How often somebody began to wait.
    fn waits(&self) -> usize {
        self.balancer.log().matches(": waits for a backend of main").count()
    }
}

/// Answer a request on this connection of a backend; its target.
fn serve(backend: &mut Wire) -> String {
    let request = backend.request().expect("a request");
    let target = request.target().to_owned();
    backend.say(ok(&target));
    target
}

#[test]
fn who_came_first_is_served_first_on_the_connection_of_the_one_before() {
    // A place more than clients: its next request may come before the first of them has left.
    let places = ["--queue", "4"];
    let it = Narrow::start(&[&places, &QUEUE[2..]].concat());
    let mut first = it.client("/0");
    let mut backend = it.next();
    let mut others: Vec<Wire> =
        ["/1", "/2", "/3"].iter().map(|target| it.waiting(target)).collect();
    assert_eq!(serve(&mut backend), "/0");
    assert_eq!(first.answer().text(), "/0");
    // Who was just served does not overtake those who wait.
    first.say(get("/4"));
    for (client, target) in others.iter_mut().zip(["/1", "/2", "/3"]) {
        assert_eq!(serve(&mut backend), target);
        assert_eq!(client.answer().text(), target);
    }
    assert_eq!(serve(&mut backend), "/4");
    assert_eq!(first.answer().text(), "/4");
}

#[test]
fn one_too_many_and_one_that_waited_in_vain_are_told_when_to_come_again() {
    let file = std::env::temp_dir().join(format!("pointsman-queue-{}", std::process::id()));
    let name = file.to_str().expect("text");
    let log = ["--access-log", name, "--access-log-format", "json"];
    let few = ["--queue", "1", "--queue-timeout", "300ms"];
    let it = Narrow::start(&[&few[..], &log].concat());
    let _first = it.client("/0");
    let _backend = it.next();
    let began = Instant::now();
    let mut late = it.waiting("/1");
    let mut full = it.client("/2");
    let answer = full.answer();
    assert_eq!((answer.status(), answer.field("retry-after")), (503, "1"));
    assert!(answer.text().contains("the queue is full"), "{}", answer.text());
    let answer = late.answer();
    let waited = began.elapsed();
    assert_eq!((answer.status(), answer.field("retry-after")), (503, "1"));
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    // Both connections are as good as before.
    late.say(get("/3"));
    assert_eq!(late.answer().status(), 503);
    let lines = || std::fs::read_to_string(&file).expect("a log");
    until("all are written", || lines().lines().count() == 3);
    let text = lines();
    let line = |target: &str| {
        let mut all = text.lines().map(|it| serde_json::from_str(it).expect("JSON"));
        let found = all.find(|it: &serde_json::Value| it["target"] == target);
        found.unwrap_or_else(|| panic!("{text}"))
    };
    let full = line("/2");
    assert_eq!((&full["state"], &full["reason"]), (&"SQ".into(), &"queue".into()), "{text}");
    let late = line("/1");
    assert_eq!((&late["state"], &late["reason"]), (&"sQ".into(), &"queue-timeout".into()));
    // because: what was removed is not missed.
    let _ = std::fs::remove_file(&file);
}

#[test]
fn a_client_that_leaves_frees_its_place() {
    let it = Narrow::start(QUEUE);
    let mut first = it.client("/0");
    let mut backend = it.next();
    let finished = it.waiting("/1");
    let reset = it.waiting("/2");
    let mut stays = it.waiting("/3");
    let left = || {
        let log = it.balancer.log();
        let reasons = ["the client went away", "the client's connection broke"];
        reasons.map(|reason| log.matches(reason).count()).iter().sum::<usize>()
    };
    drop(finished);
    until("it has left", || left() == 1);
    socket2::SockRef::from(&reset.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(reset);
    until("the other one has left, too", || left() == 2);
    let mut more: Vec<Wire> = ["/4", "/5"].iter().map(|target| it.waiting(target)).collect();
    assert_eq!(serve(&mut backend), "/0");
    assert_eq!(first.answer().text(), "/0");
    assert_eq!(serve(&mut backend), "/3");
    assert_eq!(stays.answer().text(), "/3");
    for (client, target) in more.iter_mut().zip(["/4", "/5"]) {
        assert_eq!(serve(&mut backend), target);
        assert_eq!(client.answer().text(), target);
    }
}

/// Whatever they had sent before they left: half a body, a whole one, another request.
#[test]
fn clients_that_leave_with_more_behind_their_request_free_their_places() {
    let it = Narrow::start(QUEUE);
    let _first = it.client("/0");
    let _backend = it.next();
    let half = post("/1", "x".repeat(1000));
    let whole = post("/2", "whole");
    let two = [get("/3"), get("/4")].concat();
    let said = [&half[..half.len() - 500], &whole, two.as_bytes()];
    for (left, said) in said.into_iter().enumerate() {
        let before = it.waits();
        let client = Wire::to(&it.balancer);
        client.say(said);
        until("it waits", || it.waits() > before);
        drop(client);
        until("it has left", || {
            it.balancer.log().matches("the client went away").count() > left
        });
    }
}

#[test]
fn a_body_waits_with_its_request_and_what_was_asked_behind_it_follows() {
    let it = Narrow::start(QUEUE);
    let mut first = it.client("/0");
    let mut backend = it.next();
    let before = it.waits();
    let mut client = Wire::to(&it.balancer);
    let body = "x".repeat(100_000);
    client.say([&post("/1", &body)[..], get("/2").as_bytes()].concat());
    until("it waits", || it.waits() > before);
    assert_eq!(serve(&mut backend), "/0");
    assert_eq!(first.answer().text(), "/0");
    let request = backend.request().expect("the request with its body");
    assert_eq!((request.target(), request.body.len()), ("/1", body.len()));
    backend.say(ok("/1"));
    assert_eq!(client.answer().text(), "/1");
    assert_eq!(serve(&mut backend), "/2");
    assert_eq!(client.answer().text(), "/2");
}

#[test]
fn urgent_requests_go_first() {
    let urgent = ["--queue-urgent", "header(\"x-plan\") == \"gold\""];
    let it = Narrow::start(&[QUEUE, &urgent].concat());
    let mut first = it.client("/0");
    let mut backend = it.next();
    let mut normal = it.waiting("/normal");
    let before = it.waits();
    let mut gold = Wire::to(&it.balancer);
    gold.say("GET /gold HTTP/1.1\r\nHost: test\r\nX-Plan: gold\r\n\r\n");
    until("it waits", || it.waits() > before);
    assert_eq!(serve(&mut backend), "/0");
    assert_eq!(first.answer().text(), "/0");
    assert_eq!(serve(&mut backend), "/gold");
    assert_eq!(gold.answer().text(), "/gold");
    assert_eq!(serve(&mut backend), "/normal");
    assert_eq!(normal.answer().text(), "/normal");
}

/// Two backends that take one connection each, the value of the first one's sticky cookie, and a
/// client with which that one is busy.
struct Sticky {
    balancer: Balancer,
    first: Receiver<TcpStream>,
    second: Receiver<TcpStream>,
    cookie: String,
    busy: Wire,
    /// The connection of the busy one, which has not been answered.
    asked: Wire,
    _backends: [Backend; 2],
}

impl Sticky {
    fn start(timeout: &str) -> Sticky {
        let (a, first) = Backend::manual();
        let (b, second) = Backend::manual();
        let flags = [&a, &b].map(|it| format!("{},max-connections=1", it.flag()));
        let all = ["-l", "http://127.0.0.1:0", "-b", &flags[0], "-b", &flags[1]];
        let sticky = ["--check", "none", "--balance", "round-robin", "--sticky-cookie", "LB"];
        let queue = ["--queue", "9", "--queue-timeout", timeout];
        let balancer = Balancer::start(&[&all[..], &sticky, &queue].concat());
        let mut busy = Wire::to(&balancer);
        busy.say(get("/login"));
        let mut asked = Wire::new(first.recv_timeout(DEADLINE).expect("it is the first one's"));
        assert_eq!(serve(&mut asked), "/login");
        let answer = busy.answer();
        let line = answer.field("set-cookie");
        let cookie = line.split(';').next().expect("a cookie").to_owned();
        busy.say(with_cookie("/busy", &cookie));
        assert_eq!(asked.request().expect("a request").target(), "/busy");
        Sticky { balancer, first, second, cookie, busy, asked, _backends: [a, b] }
    }

    /// A client with the cookie of the first backend, once it waits.
    fn waiting(&self) -> Wire {
        let wire = Wire::to(&self.balancer);
        wire.say(with_cookie("/mine", &self.cookie));
        until("it waits", || self.balancer.log().contains(": waits for a backend of main"));
        wire
    }
}

fn with_cookie(target: &str, cookie: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n")
}

#[test]
fn a_sticky_client_waits_for_its_own_backend_and_holds_up_nobody_else() {
    let mut it = Sticky::start("40s");
    let mut sticky = it.waiting();
    // The other backend has room, for who has no cookie.
    let mut other = Wire::to(&it.balancer);
    other.say(get("/other"));
    let mut second = Wire::new(it.second.recv_timeout(DEADLINE).expect("it need not wait"));
    assert_eq!(serve(&mut second), "/other");
    assert_eq!(other.answer().text(), "/other");
    it.asked.say(ok("/busy"));
    assert_eq!(it.busy.answer().text(), "/busy");
    assert_eq!(serve(&mut it.asked), "/mine");
    let answer = sticky.answer();
    assert_eq!((&*answer.text(), answer.field("set-cookie")), ("/mine", ""));
    assert!(it.first.try_recv().is_err(), "one connection was enough");
}

#[test]
fn a_sticky_client_goes_to_any_backend_after_half_the_time() {
    let it = Sticky::start("800ms");
    let began = Instant::now();
    let mut sticky = it.waiting();
    let mut second =
        Wire::new(it.second.recv_timeout(DEADLINE).expect("it goes to another one"));
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(400), "{waited:?}");
    assert_eq!(serve(&mut second), "/mine");
    let answer = sticky.answer();
    assert_eq!(answer.text(), "/mine");
    let cookie = answer.field("set-cookie");
    assert!(cookie.starts_with("LB=") && !cookie.starts_with(&it.cookie), "{cookie}");
}

#[test]
fn while_all_are_down_nobody_waits_on() {
    let is_good = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&is_good);
    let origin = Origin::start(move |request, wire| match request.target() {
        "/health" => seen.load(Ordering::SeqCst) && wire.try_say(ok("good")),
        // It never answers.
        _ => wire.request().is_some(),
    });
    let check = ["--check", "http:/health", "--check-interval", "50ms", "--fall", "1"];
    let flag = format!("{},max-connections=1", origin.backend.flag());
    let all = ["-l", "http://127.0.0.1:0", "-b", &flag, "--check-timeout", "200ms"];
    let balancer = Balancer::start(&[&all[..], &check, QUEUE].concat());
    balancer.wait_for_row(&origin.backend.name(), |row| row.is_known_up());
    let busy = Wire::to(&balancer);
    busy.say(get("/0"));
    until("it is asked", || origin.seen().iter().any(|it| it.target() == "/0"));
    let mut waiting = Wire::to(&balancer);
    waiting.say(get("/1"));
    until("it waits", || balancer.log().contains(": waits for a backend of main"));
    is_good.store(false, Ordering::SeqCst);
    let answer = waiting.answer();
    assert_eq!(answer.status(), 503);
    assert!(answer.text().contains("all backends are down"), "{}", answer.text());
    drop(busy);
}

#[test]
fn what_became_of_those_who_waited_is_told() {
    let place = free_port();
    let metrics = place.to_string();
    let few = ["--queue", "1", "--queue-timeout", "300ms", "--metrics", &metrics];
    let it = Narrow::start(&few);
    let _first = it.client("/0");
    let _backend = it.next();
    let mut late = it.waiting("/1");
    assert_eq!(it.client("/2").answer().status(), 503);
    assert_eq!(late.answer().status(), 503);
    let mut wire = Wire::new(TcpStream::connect(place).unwrap());
    let page = wire.ask(get("/metrics")).text();
    let value = |name: &str| {
        let lines = page.lines().filter_map(|line| line.split_once(' '));
        let all: HashMap<&str, &str> = lines.collect();
        all[&*format!("pointsman_pool_{name}{{pool=\"main\"}}")].to_owned()
    };
    assert_eq!(value("queued_total"), "1");
    assert_eq!(value("queue_full_total"), "1");
    assert_eq!(value("queue_timeouts_total"), "1");
    assert_eq!(value("waiting"), "0");
    assert_eq!(value("most_waiting"), "1");
}

#[test]
fn a_request_takes_no_longer_than_it_may_for_it_waits() {
    let it = Narrow::start(&[QUEUE, &["--max-request-time", "300ms"]].concat());
    let mut tunnel = Wire::to(&it.balancer);
    let upgrade = "Connection: upgrade\r\nUpgrade: chat\r\n\r\n";
    tunnel.say(format!("GET /0 HTTP/1.1\r\nHost: test\r\n{upgrade}"));
    let mut backend = it.next();
    assert!(backend.request().is_some());
    backend.say(format!("HTTP/1.1 101 Switching Protocols\r\n{upgrade}"));
    assert_eq!(tunnel.answer().status(), 101);
    let asked = Instant::now();
    let mut waiting = it.waiting("/1");
    let answer = waiting.answer();
    assert_eq!((answer.status(), answer.field("retry-after")), (503, "1"), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(10), "not the time of the queue");
}

/// The connection was kept, and its backend closes it as the next request comes: that request has
/// a place already, and is asked again whoever waits.
#[test]
fn a_request_whose_kept_connection_broke_goes_before_those_who_wait() {
    let narrow = Narrow::start(QUEUE);
    let first = narrow.client("/first");
    let mut kept = narrow.next();
    let waiting = narrow.waiting("/second");
    assert_eq!(serve(&mut kept), "/first");
    assert_eq!(kept.request().expect("on the same connection").target(), "/second");
    let third = narrow.waiting("/third");
    drop(kept);
    let mut again = narrow.next();
    assert_eq!(serve(&mut again), "/second");
    assert_eq!(serve(&mut again), "/third");
    for mut client in [first, waiting, third] {
        assert_eq!(client.answer().status(), 200);
    }
}

/// One backend is full, and the other one refuses everybody: who waits is not sent there one after
/// the other.
#[test]
fn a_backend_that_takes_no_connection_does_not_empty_the_queue() {
    let slow = Origin::start(|_, wire| {
        std::thread::sleep(Duration::from_millis(20));
        wire.try_say(ok("/"))
    });
    let good = format!("{},max-connections=1", slow.backend.flag());
    let dead = format!("{},max-connections=9", free_port());
    let all = ["-l", "http://127.0.0.1:0", "-b", &good, "-b", &dead, "--check", "none"];
    let queue = ["--queue", "100", "--queue-timeout", "20s"];
    let balancer = Balancer::start(&[&all[..], &queue].concat());
    let mut clients: Vec<Wire> = (0..40).map(|_| Wire::to(&balancer)).collect();
    clients.iter().for_each(|client| client.say(get("/")));
    let statuses: Vec<u16> = clients.iter_mut().map(|it| it.answer().status()).collect();
    let served = statuses.iter().filter(|&&status| status == 200).count();
    assert!(served >= 30, "{statuses:?}");
}
