//! What takes too long, what is too large, and nobody to answer: the status, the words, and that
//! the client can read them.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::http::{
    Message, Origin, Wire, before, before_backends, get, narrow, ok, post,
};
use crate::common::{Backend, Balancer, BlackHole, DEADLINE, free_port, read_to_end, until};

/// A balancer before an address that is no `Backend`.
fn before_address(address: &str, more: &[&str]) -> Balancer {
    let args = ["-l", "http://127.0.0.1:0", "-b", address, "--check", "none"];
    Balancer::start(&[&args, more].concat())
}

/// A backend that answers nothing, and how many bytes it got.
fn counting() -> (Backend, Arc<AtomicUsize>) {
    let bytes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&bytes);
    let backend = Backend::start(move |mut stream| {
        while let Ok(count @ 1..) = stream.read(&mut [0; 4096]) {
            counter.fetch_add(count, Ordering::SeqCst);
        }
    });
    (backend, bytes)
}

/// This gets the status in an answer that ends the connection.
#[track_caller]
fn refused(balancer: &Balancer, what: &str, request: &[u8], status: u16) -> Message {
    let mut client = Wire::to(balancer);
    client.say(request);
    let answer = client.answer();
    assert_eq!(answer.status(), status, "{what}: {}", answer.text());
    assert_eq!(answer.field("connection"), "close", "{what}");
    assert!(client.ends(), "{what}");
    answer
}

#[test]
fn a_backend_that_refuses_is_502() {
    let balancer = before_address(&free_port().to_string(), &[]);
    let mut client = Wire::to(&balancer);
    client.say(get("/").repeat(3));
    client.say(post("/", "hello"));
    for _ in 0..4 {
        let answer = client.answer();
        assert_eq!((answer.status(), answer.keeps_alive()), (502, true));
        assert_eq!(answer.text(), "502 Bad Gateway: no backend could be reached\n");
    }
    balancer.stop_after(client);
}

#[test]
fn nobody_up_is_503() {
    let balancer = before_address(&format!("{},weight=0", free_port()), &[]);
    let mut client = Wire::to(&balancer);
    client.say(get("/").repeat(3));
    for _ in 0..3 {
        let answer = client.answer();
        assert_eq!((answer.status(), answer.field("retry-after")), (503, "2"));
        assert!(answer.keeps_alive());
    }
    // What is not read of a body would be taken for a request: it is the last.
    client.say(post("/", "hello"));
    let answer = client.answer();
    assert_eq!((answer.status(), answer.keeps_alive()), (503, false));
    assert!(client.ends());
    balancer.stop_after(client);
}

#[test]
fn nobody_to_be_reached_in_time_is_504() {
    let hole = BlackHole::start();
    let flags = ["--connect-timeout", "200ms", "--retries", "0"];
    let balancer = before_address(&hole.flag(), &flags);
    let began = Instant::now();
    let answer = Wire::to(&balancer).ask(get("/"));
    assert_eq!((answer.status(), answer.keeps_alive()), (504, true));
    assert!(began.elapsed() >= Duration::from_millis(200));
    balancer.stop();
}

#[test]
fn a_backend_that_keeps_quiet_is_504() {
    let (quiet, _streams) = Backend::manual();
    let balancer = before_backends(&[&quiet], &["--server-timeout", "200ms"]);
    for _ in 0..2 {
        let mut client = Wire::to(&balancer);
        for request in [get("/").into_bytes(), post("/", "hello")] {
            let began = Instant::now();
            let answer = client.ask(request);
            assert_eq!((answer.status(), answer.keeps_alive()), (504, true));
            assert!(began.elapsed() >= Duration::from_millis(200));
        }
    }
    // A body that does not come is the client's fault.
    let mut client = Wire::to(&balancer);
    client.say("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.keeps_alive()), (408, false));
    assert!(client.ends());
    balancer.stop_after(client);
}

#[test]
fn an_answer_that_stops_half_way_is_torn() {
    let origin = Origin::start(|_, wire| {
        wire.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
        let _ = wire.stream.read(&mut [0]);
        false
    });
    let balancer = before(&[&origin], &["--server-timeout", "2s"]);
    let client = Wire::to(&balancer);
    client.say(get("/"));
    assert!(read_to_end(&client.stream).is_reset());
    balancer.stop();
}

/// Each of them is a sign of life, so no timeout would ever end it.
#[test]
fn a_backend_that_gives_interim_answers_without_end_is_cut_off() {
    let origin = Origin::start(|request, wire| {
        let hints = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(9000));
        match request.target() {
            "/few" => wire.try_say(hints.repeat(32)) && wire.try_say(ok("after all")),
            _ => {
                while wire.try_say(&hints) {}
                false
            }
        }
    });
    let balancer = before(&[&origin], &[]);
    let interims = |client: &mut Wire, target: &str| {
        client.say(get(target));
        let answers = std::iter::repeat_with(|| client.answer());
        let mut answers = answers.skip_while(|answer| answer.status() == 103);
        answers.next().expect("an end of it")
    };
    // One that reads late finds the same.
    for mut client in [Wire::to(&balancer), narrow(&balancer)] {
        assert_eq!(interims(&mut client, "/few").text(), "after all");
        let last = interims(&mut client, "/");
        assert_eq!(last.status(), 502, "{}", last.head);
        assert!(last.text().contains("interim answers"), "{}", last.text());
        // HTTP/1.0 is not shown them.
        let old = client.ask("GET / HTTP/1.0\r\nHost: test\r\n\r\n");
        assert_eq!(old.status(), 502, "{}", old.head);
    }
    balancer.stop();
}

#[test]
fn a_client_that_rests_for_too_long_is_let_go() {
    let origin = Origin::named("hello");
    let balancer = before(&[&origin], &["--keep-alive", "200ms"]);
    let mut fresh = Wire::to(&balancer);
    let mut rested = Wire::to(&balancer);
    assert!(rested.ask(get("/")).keeps_alive());
    assert!(rested.ends() && fresh.ends());
    until("the flag that cut them off is logged", || {
        balancer.log_so_far().matches("idle for too long: --keep-alive").count() == 2
    });
    balancer.stop_after((fresh, rested));
}

#[test]
fn pitfall_34_a_head_that_drips_is_408() {
    let origin = Origin::named("hello");
    let flags = ["--header-timeout", "2s", "--keep-alive", "1s"];
    let balancer = before(&[&origin], &flags);
    let began = Instant::now();
    let mut client = Wire::to(&balancer);
    client.stream.set_nodelay(true).unwrap();
    let drip = client.stream.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        for byte in format!("GET /{}", "x".repeat(1000)).into_bytes() {
            if (&drip).write_all(&[byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let answer = client.answer();
    let took = began.elapsed();
    assert_eq!((answer.status(), answer.keeps_alive()), (408, false));
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(!dripping.is_finished(), "however steadily it drips");
    assert!(client.ends());
    client.stream.shutdown(std::net::Shutdown::Both).unwrap();
    dripping.join().unwrap();
    assert_eq!(origin.count(), 0);
    balancer.stop();
}

#[test]
fn heads_that_are_too_large() {
    let (backend, bytes) = counting();
    let balancer = before_backends(&[&backend], &[]);
    let fields = |count: usize| "X-Field: a\r\n".repeat(count);
    for (what, request, status) in [
        (
            "one long field",
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(20_000)),
            431,
        ),
        ("many fields", format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(100)), 431),
        ("a long target", format!("GET /{}", "x".repeat(20_000)), 414),
        ("a long method", "x".repeat(20_000), 414),
    ] {
        refused(&balancer, what, request.as_bytes(), status);
    }
    assert_eq!(bytes.load(Ordering::SeqCst), 0);
    let origin = Origin::named("hello");
    let balancer = before(&[&origin], &[]);
    let most = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(99));
    assert_eq!(Wire::to(&balancer).ask(&most).status(), 200);
    assert_eq!(origin.last().all("x-field").len(), 99);
    let room = 16 * 1024 - "GET / HTTP/1.1\r\nHost: a\r\n\r\n".len();
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(room));
    assert_eq!(Wire::to(&balancer).ask(&long).status(), 200);
    balancer.stop();
}

#[test]
fn bodies_that_are_too_large_are_413() {
    let origin = Origin::echo();
    let balancer = before(&[&origin], &["--max-body", "1k"]);
    let mut client = Wire::to(&balancer);
    assert_eq!(client.ask(post("/", [b'x'; 1024])).body.len(), 1024);
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = |count: usize| format!("{count:x}\r\n{}\r\n", "x".repeat(count));
    let fits = client.ask(format!("{chunked}{}{}0\r\n\r\n", chunk(1000), chunk(24)));
    assert_eq!(fits.body.len(), 1024);
    drop(client);
    let chunks = format!("{chunked}{}{}0\r\n\r\n", chunk(1000), chunk(25));
    refused(&balancer, "declared", &post("/", [b'x'; 1025]), 413);
    refused(&balancer, "in chunks", chunks.as_bytes(), 413);
    // Part by part the backend gets some of it, but not the whole.
    let mut client = Wire::to(&balancer);
    client.say(format!("{chunked}{}", chunk(1000)));
    until("some of it is sent on", || balancer.row(&origin.backend.name()).active == 1);
    client.say(chunk(25));
    assert_eq!(client.answer().status(), 413);
    assert!(client.ends());
    drop(client);
    assert_eq!(origin.count(), 2);
    balancer.stop();
}

#[test]
fn a_body_that_is_cut_short_is_400_and_never_whole() {
    let (backend, ends) = Backend::silent();
    let balancer = before_backends(&[&backend], &[]);
    for framing in
        ["Content-Length: 9\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
    {
        let mut client = Wire::to(&balancer);
        client.say(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}"));
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = client.answer();
        assert_eq!((answer.status(), answer.keeps_alive()), (400, false));
        assert!(client.ends());
        assert!(ends.recv_timeout(DEADLINE).unwrap().is_reset());
    }
    balancer.stop();
}

#[test]
fn a_refusal_can_be_read_by_who_keeps_sending() {
    let (backend, bytes) = counting();
    let balancer = before_backends(&[&backend], &["--max-body", "1m"]);
    for head in [
        "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n",
    ] {
        let mut client = Wire::to(&balancer);
        client.say(head);
        // Nothing of this is read by anybody but the lingering end.
        assert!(client.try_say(vec![b'x'; 3_000_000]));
        assert!([413, 505].contains(&client.answer().status()));
        assert!(client.ends());
    }
    assert_eq!(bytes.load(Ordering::SeqCst), 0);
    balancer.stop();
}

#[test]
fn a_long_host_before_a_long_body_fits_what_waits_for_the_backend() {
    let hole = BlackHole::start();
    let balancer = before_address(&hole.flag(), &["--connect-timeout", "300ms"]);
    balancer.signal(Signal::STOP);
    // All of it lies in the socket when it is read: the host is said twice to the backend.
    let mut client = balancer.connect();
    client.set_nonblocking(true).expect("a socket");
    let host = "a".repeat(15_000);
    let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 400000\r\n\r\n");
    let sent = client.write(&[head.as_bytes(), &[b'x'; 400_000]].concat()).expect("room");
    assert!(sent > 130_000, "{sent} bytes are no test");
    client.set_nonblocking(false).expect("a socket");
    balancer.signal(Signal::CONT);
    let mut answer = [0; 13];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 504 ");
    balancer.stop_after(client);
}

/// Clients that ask once and then rest, the first of them for longest.
fn resting(balancer: &Balancer, count: usize) -> Vec<Wire> {
    let one = |number: usize| {
        let mut client = Wire::to(balancer);
        // Some never ask.
        if number.is_multiple_of(2) {
            assert_eq!(client.ask(get("/")).status(), 200);
        }
        client
    };
    let clients: Vec<Wire> = (0..count).map(one).collect();
    until("all are accepted", || balancer.count("open of") == count);
    // For half a second none of those gives way that never asked.
    thread::sleep(Duration::from_millis(510));
    clients
}

#[test]
fn at_the_limit_the_client_that_rests_longest_gives_way() {
    const MOST: usize = 20;
    let origin = Origin::named("here");
    let balancer = before(&[&origin], &["--max-connections", "20"]);
    let mut old = resting(&balancer, MOST);
    // This one is in the middle of a head, and rests no more.
    old[0].say("GET / HTTP/1.1\r\nHost");
    until("half a head was read", || balancer.count("open of") == MOST);
    let mut new: Vec<Wire> = Vec::new();
    for gone in &mut old[1..6] {
        let mut client = Wire::to(&balancer);
        assert_eq!(client.ask(get("/")).status(), 200);
        new.push(client);
        assert!(gone.ends(), "it rested longest");
        assert!(balancer.count("open of") <= MOST);
    }
    old[0].say(": a\r\n\r\n");
    assert_eq!(old[0].answer().status(), 200);
    for client in old.iter_mut().skip(6).chain(&mut new) {
        assert_eq!(client.ask(get("/")).status(), 200, "the others stay");
    }
    let line = balancer.page_line("resting clients gave way");
    assert!(line.contains(" and 5 resting clients"), "{line}");
    balancer.stop_after((old, new));
}

#[test]
fn at_the_limit_nobody_gives_way_in_the_middle_of_an_exchange() {
    let (permit, permits) = mpsc::channel::<()>();
    let permits = Mutex::new(permits);
    let origin = Origin::start(move |_, wire| {
        let permitted = permits.lock().unwrap().recv_timeout(DEADLINE).is_ok();
        permitted && wire.try_say(ok("word"))
    });
    let balancer = before(&[&origin], &["--max-connections", "4"]);
    let mut busy: Vec<Wire> = (0..4).map(|_| Wire::to(&balancer)).collect();
    busy.iter().for_each(|client| client.say(get("/")));
    until("all are asked for", || origin.count() == 4);
    let mut waiting = Wire::to(&balancer);
    waiting.say(get("/"));
    for _ in 0..5 {
        assert_eq!((balancer.count("accepted:"), origin.count()), (4, 4), "it is not let in");
    }
    // One of those inside is done, and rests: that is soon noticed.
    permit.send(()).unwrap();
    until("the one that waits is let in", || origin.count() == 5);
    (0..4).for_each(|_| permit.send(()).unwrap());
    for client in busy.iter_mut().chain([&mut waiting]) {
        assert_eq!(client.answer().status(), 200);
    }
    balancer.stop_after((busy, waiting));
}

/// Between being accepted and asking they look like clients that rest.
#[test]
fn at_the_limit_no_client_that_has_just_come_gives_way_to_the_next() {
    let origin = Origin::named("here");
    let balancer = before(&[&origin], &["--max-connections", "2"]);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let mut client = Wire::to(&balancer);
                    // What a client does between connecting and asking.
                    thread::sleep(Duration::from_millis(2));
                    assert_eq!(client.ask(get("/")).status(), 200);
                }
            });
        }
    });
    assert_eq!(balancer.count("accepted:"), 400);
}

/// They have our last word, and nothing is lost by closing them; the bound is half of the time for
/// which they would be heard out.
#[test]
fn at_the_limit_who_is_only_heard_out_gives_way() {
    let origin = Origin::named("here");
    let balancer = before(&[&origin], &["--max-connections", "4"]);
    let refused = |_| {
        let mut client = Wire::to(&balancer);
        client.say("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n");
        assert_eq!(client.answer().status(), 400);
        client
    };
    let refused: Vec<Wire> = (0..4).map(refused).collect();
    let began = Instant::now();
    let mut new: Vec<Wire> = (0..4).map(|_| Wire::to(&balancer)).collect();
    for client in &mut new {
        assert_eq!(client.ask(get("/")).status(), 200);
    }
    assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
    balancer.stop_after((refused, new));
}
