//! Who is too slow, or takes too long: what ends a request and a connection, and what is no fault
//! of theirs.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::http::{Origin, Wire, before, before_backends, get, narrow, ok};
use crate::common::measure::only_linux;
use crate::common::{Backend, Balancer, read_to_end, until};

/// The number behind this name in the statistics.
fn count(balancer: &Balancer, name: &str) -> u64 {
    let text = Wire::to(balancer).ask(get("/stats")).text();
    let at = text.find(&format!("\"{name}\"")).expect("it is counted");
    let digits = text[at..].split_once(':').expect("a value").1.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).expect("more behind it");
    digits[..end].parse().expect("a number")
}

/// Write a byte each 20 ms, until that fails or `enough`.
fn drip(stream: &TcpStream, enough: &Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    let mut stream = stream.try_clone().expect("a socket");
    let enough = Arc::clone(enough);
    stream.set_nodelay(true).expect("a socket");
    thread::spawn(move || {
        let mut count = 0;
        while !enough.load(Ordering::SeqCst) && stream.write_all(b"x").is_ok() {
            count += 1;
            thread::sleep(Duration::from_millis(20));
        }
        count
    })
}

/// A backend that takes a request and answers with so much, as fast as it is taken.
fn large(bytes: usize) -> Origin {
    Origin::start(move |_, wire| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
        wire.try_say(head) && wire.try_say(vec![b'x'; bytes])
    })
}

#[test]
fn a_request_ends_with_its_time_however_much_moves() {
    let origin = Origin::start(|request, wire| {
        if request.target() == "/drip" {
            wire.say("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
            while wire.try_say("x") {
                thread::sleep(Duration::from_millis(20));
            }
            return false;
        }
        let _ = wire.stream.read(&mut [0]);
        false
    });
    let flags = ["--max-request-time", "500ms", "--stats-path", "/stats", "--access-log", "-"];
    let balancer = before(&[&origin], &flags);
    let began = Instant::now();
    let mut client = Wire::to(&balancer);
    let answer = client.ask(get("/quiet"));
    assert_eq!(
        (answer.status(), answer.keeps_alive()),
        (504, true),
        "the backend is waited for"
    );
    assert!(began.elapsed() >= Duration::from_millis(500));
    client.say(get("/drip"));
    assert!(read_to_end(&client.stream).is_reset(), "a FIN would make it whole");
    let mut client = Wire::to(&balancer);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let enough = Arc::default();
    let dripping = drip(&client.stream, &enough);
    let answer = client.answer();
    assert_eq!(
        (answer.status(), answer.keeps_alive()),
        (408, false),
        "the client is waited for"
    );
    enough.store(true, Ordering::SeqCst);
    assert!(dripping.join().expect("it dripped") > 5);
    let mut client = Wire::to(&balancer);
    client.say("GET / HTTP/1.1\r\n");
    assert_eq!(client.answer().status(), 408, "a head is part of it");
    until("all four are counted", || count(&balancer, "requests_too_long") == 4);
    balancer.stop();
}

#[test]
fn a_connection_ends_with_the_answer_that_is_under_way() {
    let origin = Origin::start(|request, wire| {
        if request.target() == "/slow" {
            thread::sleep(Duration::from_millis(700));
        }
        wire.try_say(ok("hello"))
    });
    let flags = ["--max-connection-time", "500ms", "--stats-path", "/stats"];
    let balancer = before(&[&origin], &flags);
    let mut client = Wire::to(&balancer);
    assert!(client.ask(get("/")).keeps_alive());
    let answer = client.ask(get("/slow"));
    assert_eq!((answer.status(), answer.keeps_alive()), (200, false));
    assert!(client.ends());
    let mut client = Wire::to(&balancer);
    let began = Instant::now();
    assert!(client.ask(get("/")).keeps_alive());
    assert!(client.ends(), "it rested");
    // This one wanted no more than that, however old it is.
    let mut other = Wire::to(&balancer);
    let last = "GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(!other.ask(last).keeps_alive() && other.ends());
    assert!(began.elapsed() >= Duration::from_millis(490));
    assert_eq!(count(&balancer, "connections_too_old"), 2, "those that we ended");
    balancer.stop();
}

#[test]
fn tcp_and_tunnels_are_closed_at_their_age() {
    let echo = Backend::echo();
    let args = ["-l", "127.0.0.1:0", "-b", &echo.flag(), "--max-connection-time", "500ms"];
    let balancer = Balancer::start(&args);
    let mut client = balancer.connect();
    let began = Instant::now();
    let mut rounds = 0;
    while client.write_all(b"x").is_ok() && client.read(&mut [0]).is_ok_and(|count| count == 1)
    {
        rounds += 1;
        thread::sleep(Duration::from_millis(10));
    }
    assert!(rounds > 10 && began.elapsed() >= Duration::from_millis(490), "{rounds}");
    balancer.stop_after(client);
}

/// A body that comes as fast as it may, and one of which nothing comes for long.
#[test]
fn a_body_that_comes_too_slowly_is_408() {
    let origin = Origin::echo();
    let flags = ["--min-rate", "500/s,after=400ms", "--stats-path", "/stats"];
    let balancer = before(&[&origin], &flags);
    let began = Instant::now();
    let mut client = Wire::to(&balancer);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let enough = Arc::default();
    // 50 bytes a second.
    let dripping = drip(&client.stream, &enough);
    let answer = client.answer();
    assert_eq!((answer.status(), answer.keeps_alive()), (408, false));
    assert!(answer.text().contains("too slowly"), "{}", answer.text());
    assert!(began.elapsed() >= Duration::from_millis(400));
    enough.store(true, Ordering::SeqCst);
    dripping.join().expect("it dripped");
    // 2500 bytes a second, for four windows.
    let mut client = Wire::to(&balancer);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n");
    for _ in 0..80 {
        client.say([b'x'; 50]);
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client.answer().body.len(), 4000);
    until("it is counted", || count(&balancer, "slow_bodies") == 1);
    assert_eq!(count(&balancer, "slow_readers"), 0);
    balancer.stop_after(client);
}

#[test]
fn who_takes_its_answer_too_slowly_is_reset() {
    if !only_linux("TCP_INFO that counts what a peer took") {
        return;
    }
    let origin = large(64 << 20);
    let flags = ["--min-rate", "500k/s,after=400ms", "--stats-path", "/stats"];
    let balancer = before(&[&origin], &flags);
    let idle = narrow(&balancer);
    let mut slow = narrow(&balancer);
    let mut fair = narrow(&balancer);
    for client in [&idle, &slow, &fair] {
        client.say(get("/"));
    }
    let slow = thread::spawn(move || {
        // 100k a second, without end.
        let mut piece = [0; 2048];
        loop {
            match slow.stream.read(&mut piece) {
                Ok(1..) => thread::sleep(Duration::from_millis(20)),
                Ok(0) => return false,
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    });
    // 2.5m a second, for five windows.
    let mut piece = vec![0; 50 * 1024];
    for round in 0..100 {
        let took = fair.stream.read_exact(&mut piece);
        assert!(took.is_ok(), "{took:?} in round {round}");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(slow.join().expect("no panic"), "a FIN would make it whole");
    until("both are counted", || count(&balancer, "slow_readers") == 2);
    assert!(read_to_end(&idle.stream).is_reset());
    assert_eq!(count(&balancer, "slow_bodies"), 0);
    balancer.stop_after(fair);
}

#[test]
fn a_slow_backend_is_no_fault_of_the_client() {
    let (backend, streams) = Backend::manual();
    let flags = ["--min-rate", "1m/s,after=200ms"];
    let balancer = before_backends(&[&backend], &flags);
    // An answer that comes late, and drips: who waits for it takes all that comes.
    let mut poll = Wire::to(&balancer);
    poll.say(get("/poll"));
    let origin = streams.recv().expect("a connection");
    let mut origin = Wire::new(origin);
    origin.request().expect("a request");
    thread::sleep(Duration::from_millis(600));
    origin.say(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 30\r\n\r\n",
    );
    for _ in 0..30 {
        origin.say("x");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(poll.answer().body.len(), 30);
    // A body that the backend does not take.
    let client = Wire::to(&balancer);
    let bytes = 16 << 20;
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n");
    let mut sender = client.stream.try_clone().expect("a socket");
    let sending = thread::spawn(move || {
        sender.write_all(head.as_bytes()).and_then(|()| sender.write_all(&vec![b'x'; bytes]))
    });
    thread::sleep(Duration::from_millis(1000));
    let request = origin.request().expect("all of it");
    assert_eq!(request.body.len(), bytes);
    origin.say(ok("thanks"));
    let mut client = client;
    assert_eq!(client.answer().text(), "thanks");
    sending.join().expect("no panic").expect("it was taken");
    balancer.stop_after((poll, client));
}

#[test]
fn a_tunnel_has_no_floor() {
    let backend = Backend::start(|stream| {
        let mut wire = Wire::new(stream);
        wire.request().expect("a request");
        wire.say(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        );
        let mut byte = [0];
        while wire.stream.read(&mut byte).is_ok_and(|count| count == 1) && wire.try_say(byte) {}
    });
    let flags = ["--min-rate", "1m/s,after=100ms", "--max-connection-time", "1s"];
    let balancer = before_backends(&[&backend], &flags);
    let mut client = Wire::to(&balancer);
    let began = Instant::now();
    client.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.head().expect("a head").status(), 101);
    thread::sleep(Duration::from_millis(500));
    client.say("x");
    assert_eq!(client.exactly(1).expect("an echo"), b"x");
    assert!(client.stream.read(&mut [0]).is_err(), "but an age");
    assert!(began.elapsed() >= Duration::from_millis(990));
    balancer.stop();
}
