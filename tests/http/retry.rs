//! Sending a request again: where nobody can be harmed, and never else. A kept connection that its
//! backend closes at the wrong moment costs no client its answer, and no request is sent twice
//! unless doing it twice is as good as doing it once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::http::{Origin, Wire, before, before_backends, get, ok, post};
use crate::common::{
    Backend, Balancer, DEADLINE, End, free_port, read_to_end, reset, until, with_deadline,
};

const ROUNDS: usize = 1000;

/// When a backend that says nothing of it closes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    /// Right after its answer.
    AfterAnswer,
    /// The same, with a reset.
    AfterAnswerReset,
    /// Once the next request has come.
    AfterRequest,
    /// The same, with a reset.
    AfterRequestReset,
    /// With the next request unread in its socket: the kernel resets.
    BeforeRequest,
}

/// Closes connections at the wrong moment, and counts by its target what was asked.
fn fickle(wrong: Wrong) -> (Backend, Arc<Mutex<BTreeMap<String, usize>>>) {
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let log = Arc::clone(&seen);
    let backend = Backend::start(move |stream| {
        let mut wire = Wire::new(with_deadline(stream));
        for answered in 0.. {
            let Some(request) = wire.request() else { return };
            *log.lock().unwrap().entry(request.head.clone()).or_insert(0) += 1;
            match wrong {
                Wrong::AfterRequest if answered == 2 => return,
                Wrong::AfterRequestReset if answered == 2 => return reset(wire.stream),
                _ => {}
            }
            if !wire.try_say(ok(request.target())) {
                return;
            }
            match wrong {
                Wrong::AfterAnswer if answered == 1 => return,
                Wrong::AfterAnswerReset if answered == 1 => return reset(wire.stream),
                Wrong::BeforeRequest if answered == 1 => {
                    let _ = wire.stream.peek(&mut [0]);
                    return;
                }
                _ => {}
            }
        }
    });
    (backend, seen)
}

const MOMENTS: [Wrong; 5] = [
    Wrong::AfterAnswer,
    Wrong::AfterAnswerReset,
    Wrong::AfterRequest,
    Wrong::AfterRequestReset,
    Wrong::BeforeRequest,
];

#[test]
fn no_get_suffers_from_a_backend_that_closes_at_the_wrong_moment() {
    for wrong in MOMENTS {
        let (backend, _) = fickle(wrong);
        let balancer = before_backends(&[&backend], &["--log-level", "info", "--retries", "0"]);
        let mut clients = [(); 2].map(|()| Wire::to(&balancer));
        for round in 0..ROUNDS / 2 {
            for client in &mut clients {
                let answer = client.ask(get(&format!("/{round}")));
                let seen = (answer.status(), answer.text());
                assert_eq!(seen, (200, format!("/{round}")), "{wrong:?}");
            }
        }
        assert_eq!(
            balancer.row(&backend.name()).failed,
            0,
            "{wrong:?}: it counts against nobody"
        );
        balancer.stop_after(clients);
    }
}

#[test]
fn no_post_is_sent_twice() {
    for wrong in MOMENTS {
        let (backend, seen) = fickle(wrong);
        let balancer = before_backends(&[&backend], &["--log-level", "info"]);
        let mut client = Wire::to(&balancer);
        let mut broken = 0;
        for round in 0..ROUNDS / 5 {
            let answer = client.ask(post(&format!("/{round}"), "x"));
            assert!([200, 502].contains(&answer.status()), "{wrong:?}: {}", answer.head);
            broken += usize::from(answer.status() == 502);
            if !answer.keeps_alive() {
                client = Wire::to(&balancer);
            }
        }
        println!("{wrong:?}: {broken} of {} POSTs broke", ROUNDS / 5);
        let seen = seen.lock().unwrap();
        assert!(seen.values().all(|&count| count == 1), "{wrong:?}: sent twice: {seen:?}");
        balancer.stop_after(client);
    }
}

#[test]
fn a_backend_that_refuses_costs_nobody_an_answer() {
    let origin = Origin::named("hello");
    let dead = free_port().to_string();
    let alive = origin.backend.flag();
    for balance in ["round-robin", "first"] {
        let args = ["-l", "http://127.0.0.1:0", "-b", &dead, "-b", &alive, "--check", "none"];
        let balancer = Balancer::start(&[&args[..], &["--balance", balance]].concat());
        let mut client = Wire::to(&balancer);
        for round in 0..20 {
            let request = if round % 2 == 0 { get("/").into() } else { post("/", "body") };
            assert_eq!(client.ask(request).text(), "hello", "{balance}");
        }
        balancer.stop_after(client);
    }
    assert_eq!(origin.count(), 40);
}

#[test]
fn without_retries_a_refusal_is_the_answer() {
    let origin = Origin::named("hello");
    let dead = free_port().to_string();
    let alive = origin.backend.flag();
    let args = ["-l", "http://127.0.0.1:0", "-b", &dead, "-b", &alive, "--check", "none"];
    let balancer =
        Balancer::start(&[&args[..], &["-a", "round-robin", "--retries", "0"]].concat());
    let mut client = Wire::to(&balancer);
    let statuses: Vec<u16> = (0..6).map(|_| client.ask(get("/")).status()).collect();
    assert_eq!(statuses, [502, 200, 502, 200, 502, 200]);
    balancer.stop_after(client);
}

#[test]
fn a_backend_that_dies_before_its_answer() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let dying = Origin::start(move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        false
    });
    let origin = Origin::named("hello");
    let more = ["--balance", "first", "--eject-after", "0"];
    let balancer = before(&[&dying, &origin], &more);
    let mut client = Wire::to(&balancer);
    // GET, and what is as harmless: by the other one.
    for method in ["GET", "PUT", "DELETE"] {
        let answer = client.ask(get("/").replace("GET", method));
        assert_eq!((answer.status(), answer.text()), (200, "hello".into()), "{method}");
    }
    assert_eq!((asked.load(Ordering::SeqCst), origin.count()), (3, 3));
    // With a body, or not harmless: nobody else is asked.
    let with_body = String::from_utf8(post("/", "x")).unwrap().replace("POST", "PUT");
    for request in [post("/", "x"), post("/", ""), with_body.into_bytes()] {
        let answer = client.ask(request);
        assert_eq!((answer.status(), answer.keeps_alive()), (502, true));
    }
    assert_eq!((asked.load(Ordering::SeqCst), origin.count()), (6, 3));
    balancer.stop_after(client);
}

#[test]
fn nothing_is_sent_again_once_an_answer_began() {
    let head = "HTTP/1.1 200 OK\r\n";
    for (what, said, whole) in [
        ("a length", format!("{head}Content-Length: 10\r\n\r\nhello"), false),
        ("chunks", format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), false),
        ("until close", format!("{head}\r\nhello"), true),
    ] {
        let torn = Origin::saying_last(said);
        let origin = Origin::named("other");
        let balancer = before(&[&torn, &origin], &["--balance", "first"]);
        for version in ["1.1", "1.0"] {
            let client = Wire::to(&balancer);
            client.say(format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n"));
            match read_to_end(&client.stream) {
                End::Reset(_) => assert!(!whole, "{what} to {version}"),
                End::Finished(bytes) => {
                    let text = String::from_utf8(bytes).unwrap();
                    let ends_well = version == "1.0" || text.ends_with("0\r\n\r\n");
                    assert!(whole && ends_well, "{what} to {version}: {text}");
                }
            }
        }
        assert_eq!(origin.count(), 0, "{what}");
        balancer.stop();
    }
}

#[test]
fn an_interim_answer_is_an_answer_begun() {
    let dying = Origin::start(|_, wire| wire.part("HTTP/1.1 103 Hints\r\n\r\n"));
    let origin = Origin::named("other");
    let balancer = before(&[&dying, &origin], &["--balance", "first"]);
    let mut client = Wire::to(&balancer);
    assert_eq!(client.ask(get("/")).status(), 103);
    assert_eq!(client.answer().status(), 502);
    assert_eq!(origin.count(), 0);
    balancer.stop_after(client);
}

/// Wait until so many of this backend's connections to us are open at the other end.
fn wait_until_open(open: &AtomicUsize, count: usize) {
    until(&format!("{count} are open"), || open.load(Ordering::SeqCst) == count);
}

/// Answers, and counts its open connections.
fn counted() -> (Backend, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&open);
    let backend = Backend::start(move |stream| {
        counter.fetch_add(1, Ordering::SeqCst);
        let mut wire = Wire::new(with_deadline(stream));
        while wire.request().is_some() {
            // So long that others ask meanwhile.
            thread::sleep(Duration::from_millis(20));
            wire.say(ok("hello"));
        }
        counter.fetch_sub(1, Ordering::SeqCst);
    });
    (backend, open)
}

/// Clients that ask at once.
fn ask_at_once(balancer: &Balancer, count: usize) -> Vec<Wire> {
    let mut clients: Vec<Wire> = (0..count).map(|_| Wire::to(balancer)).collect();
    clients.iter().for_each(|client| client.say(get("/")));
    clients.iter_mut().for_each(|client| assert_eq!(client.answer().text(), "hello"));
    clients
}

#[test]
fn idle_connections_are_closed_in_time() {
    let (backend, open) = counted();
    let balancer = before_backends(&[&backend], &["--backend-idle", "200ms"]);
    let clients = ask_at_once(&balancer, 3);
    wait_until_open(&open, 3);
    wait_until_open(&open, 0);
    ask_at_once(&balancer, 1);
    balancer.stop_after(clients);
}

/// What is over soon is not used again: a request on it would meet the backend's FIN.
#[test]
fn what_a_backend_says_of_its_patience_is_believed() {
    for (says, accepted) in [("timeout=1", 2), ("timeout=0", 2), ("timeout=60, max=9", 1)] {
        let answer =
            format!("HTTP/1.1 200 OK\r\nKeep-Alive: {says}\r\nContent-Length: 0\r\n\r\n");
        let origin = Origin::saying(answer);
        let balancer = before(&[&origin], &[]);
        let mut client = Wire::to(&balancer);
        assert_eq!(client.ask(get("/")).status(), 200);
        thread::sleep(Duration::from_millis(600));
        assert_eq!(client.ask(get("/")).status(), 200);
        assert_eq!(origin.backend.accepted(), accepted, "{says}");
        balancer.stop_after(client);
    }
}

#[test]
fn only_so_many_idle_connections_are_kept() {
    for (flag, kept) in [("1", 1), ("0", 0), ("2", 2)] {
        let (backend, open) = counted();
        let balancer = before_backends(&[&backend], &["--backend-idle-connections", flag]);
        let clients = ask_at_once(&balancer, 3);
        wait_until_open(&open, kept);
        balancer.stop_after(clients);
        wait_until_open(&open, 0);
    }
}

/// Closed with a FIN, each would keep one of our ports for a minute.
#[test]
fn a_connection_too_many_is_reset() {
    let (backend, streams) = Backend::manual();
    let balancer = before_backends(&[&backend], &["--backend-idle-connections", "1"]);
    let mut ends = Vec::new();
    for _ in 0..2 {
        let client = Wire::to(&balancer);
        client.say(get("/"));
        ends.push((client, Wire::new(streams.recv_timeout(DEADLINE).expect("connected"))));
    }
    for (client, server) in &mut ends {
        server.head().expect("a request");
        server.say(ok(""));
        assert_eq!(client.answer().status(), 200);
    }
    assert!(read_to_end(&ends[0].1.stream).is_reset(), "it rested longest");
    balancer.stop_after(ends);
}

#[test]
fn a_backend_that_goes_down_loses_its_idle_connections() {
    let well = Arc::new(AtomicUsize::new(1));
    let told = Arc::clone(&well);
    let open = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&open);
    let backend = Backend::start(move |stream| {
        let mut wire = Wire::new(with_deadline(stream));
        counter.fetch_add(1, Ordering::SeqCst);
        while let Some(request) = wire.request() {
            let is_well = request.target() != "/check" || told.load(Ordering::SeqCst) == 1;
            wire.try_say(if is_well {
                ok("hello")
            } else {
                b"HTTP/1.1 500 X\r\n\r\n".to_vec()
            });
        }
        counter.fetch_sub(1, Ordering::SeqCst);
    });
    let origin = Origin::named("hello");
    let checks = ["--check", "http:/check", "--check-interval", "50ms", "--fall", "2"];
    let balancer = before_backends(&[&backend, &origin.backend], &checks);
    balancer.wait_for_row(&backend.name(), crate::common::status::Row::is_known_up);
    balancer.wait_for_row(&origin.backend.name(), crate::common::status::Row::is_known_up);
    let mut client = Wire::to(&balancer);
    (0..8).for_each(|_| assert_eq!(client.ask(get("/")).text(), "hello"));
    until("it keeps an idle connection", || open.load(Ordering::SeqCst) >= 1);
    well.store(0, Ordering::SeqCst);
    balancer.wait_for_log(&format!("backend {} is down", backend.name()));
    // Probes come and go; between two of them nothing is left.
    wait_until_open(&open, 0);
    let before = origin.count();
    (0..4).for_each(|_| assert_eq!(client.ask(get("/")).text(), "hello"));
    let asked = origin.seen()[before..].iter().filter(|it| it.target() == "/").count();
    assert_eq!(asked, 4, "the other one serves them all");
    balancer.stop_after(client);
}

#[test]
fn what_one_backend_began_to_say_another_one_does_not_go_on_with() {
    let address = free_port();
    let (told, asked) = std::sync::mpsc::channel();
    let told = Mutex::new(told);
    let first = Backend::start_at(address, move |stream| {
        let mut wire = Wire::new(with_deadline(stream));
        if wire.request().is_some() {
            wire.say("HTTP/1.1 500 Oops\r\nX-First: ");
            let _ = told.lock().unwrap().send(());
            wire.ends();
        }
    });
    let second = Origin::named("second");
    let more = ["--balance", "first", "--check", "tcp", "--on-down", "close"];
    let fast = ["--check-interval", "50ms", "--fall", "1"];
    let flags = [first.flag(), second.backend.flag()];
    let backends = ["-l", "http://127.0.0.1:0", "-b", &flags[0], "-b", &flags[1]];
    let balancer = Balancer::start(&[&backends[..], &more, &fast].concat());
    let mut client = Wire::to(&balancer);
    client.say(get("/"));
    asked.recv_timeout(crate::common::DEADLINE).expect("it is asked");
    drop(first);
    let answer = client.answer();
    assert_eq!((answer.status(), &*answer.text()), (200, "second"));
    assert!(answer.all("x-first").is_empty(), "{answer:?}");
    balancer.stop_after(client);
}
