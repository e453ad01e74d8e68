//! What is refused, what takes too long, and what is too large: the status, the words, and that the
//! client can read them.

mod common;

use std::io::Read;
use std::time::{Duration, Instant};

use common::http::{Message, Origin, Wire, before, before_backends, get, narrow, ok, post};
use common::{Backend, Balancer, BlackHole, DEADLINE, End, free_port, read_to_end, until};

/// A balancer before an address that is no `Backend`.
fn before_address(address: &str, more: &[&str]) -> Balancer {
    let args = ["-l", "http://127.0.0.1:0", "-b", address, "--check", "none"];
    Balancer::start(&[&args, more].concat())
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
    balancer.stop();
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
    balancer.stop();
}

#[test]
fn an_answer_that_stops_half_way_is_torn() {
    let origin = Origin::start(|_, wire| {
        wire.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
        let _ = wire.stream.read(&mut [0]);
        false
    });
    let balancer = before(&[&origin], &["--server-timeout", "200ms"]);
    let client = Wire::to(&balancer);
    client.say(get("/"));
    assert!(read_to_end(&client.stream).is_reset());
    balancer.stop();
}

#[test]
fn a_client_that_takes_no_interim_answers_is_given_up() {
    let origin = Origin::start(|_, wire| {
        let hints = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(9000));
        while wire.try_say(&hints) {}
        false
    });
    let balancer = before(&[&origin], &["--server-timeout", "200ms"]);
    let client = narrow(&balancer);
    client.say(get("/"));
    balancer.wait_until_idle();
    assert!(read_to_end(&client.stream).is_reset());
    balancer.stop();
}
