//! A backend that leaves Nagle's algorithm on and writes an answer in two pieces sends the second
//! one when the first is acknowledged. Who delays that ACK delays the answer, by 40 ms.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::http::{Wire, before_backends, get, post};
use crate::common::measure::only_linux;
use crate::common::{Backend, Balancer, connect, front_args, until, with_deadline};

const QUIET: &[&str] = &["--log-level", "info"];
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";

/// Far below a delayed ACK, far above an answer through loopback.
const AT_MOST: Duration = Duration::from_millis(5);

/// Answers each request in two writes, as who knows nothing of Nagle. The connection is not closed:
/// that would send what waits.
fn in_two_writes(stream: TcpStream) {
    let mut wire = Wire::new(with_deadline(stream));
    while wire.request().is_some() {
        let mut stream = &wire.stream;
        if stream.write_all(HEAD).and_then(|()| stream.write_all(b"hello")).is_err() {
            return;
        }
    }
}

/// How long this takes mostly, and nearly always, of many times. A busy machine holds up some, and
/// sometimes many; a delayed ACK holds up all.
#[track_caller]
fn is_prompt(what: &str, mut ask: impl FnMut()) {
    let mut seen = Vec::new();
    for _ in 0..5 {
        let mut times: Vec<Duration> = (0..30)
            .map(|_| {
                let began = Instant::now();
                ask();
                began.elapsed()
            })
            .collect();
        times.sort();
        if times[15] < AT_MOST && times[27] < 4 * AT_MOST {
            return;
        }
        seen.push((times[15], times[27]));
    }
    panic!("{what}: {seen:?}");
}

#[test]
fn the_first_answer_of_a_new_connection_is_not_delayed() {
    let backend = Backend::start(in_two_writes);
    let new = ["--backend-idle-connections", "0", "--log-level", "info"];
    for front in ["http://127.0.0.1:0", "tcp://127.0.0.1:0"] {
        let mut args = front_args(&[&backend], &new);
        args[1] = front;
        let balancer = Balancer::start(&args);
        let before = backend.accepted();
        let mut asked = 0;
        is_prompt(front, || {
            asked += 1;
            assert_eq!(Wire::to(&balancer).ask(get("/")).body, b"hello");
        });
        assert_eq!(backend.accepted() - before, asked, "a connection for each");
        balancer.stop();
    }
}

/// A probe waits for its answer as a client does.
#[test]
fn the_answer_of_a_probe_is_not_delayed() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let backend = Backend::start(move |stream| {
        let began = Instant::now();
        in_two_writes(stream);
        seen.lock().expect("no panic").push(began.elapsed());
    });
    let probes = ["--check", "http:/", "--check-interval", "10ms", "--log-level", "info"];
    let balancer = Balancer::before(&[&backend], &probes);
    until("30 probes were answered", || times.lock().expect("no panic").len() >= 30);
    balancer.stop();
    let mut times = std::mem::take(&mut *times.lock().expect("no panic"));
    times.sort();
    assert!(times[times.len() / 2] < 4 * AT_MOST, "{times:?}");
}

/// On a kept connection the kernel delays ACKs by itself, for it takes it for a dialogue.
#[test]
fn answers_of_kept_connections_are_not_delayed_at_http() {
    if !only_linux("TCP_QUICKACK") {
        return;
    }
    let backend = Backend::start(in_two_writes);
    let balancer = before_backends(&[&backend], QUIET);
    let mut client = Wire::to(&balancer);
    is_prompt("http, kept", || assert_eq!(client.ask(get("/")).body, b"hello"));
    drop(client);
    assert_eq!(backend.accepted(), 1);
    balancer.stop();
}

/// The same the other way: a client that sends head and body apart.
#[test]
fn bodies_that_come_behind_their_heads_are_not_delayed_at_http() {
    if !only_linux("TCP_QUICKACK") {
        return;
    }
    let backend = Backend::start(in_two_writes);
    let balancer = before_backends(&[&backend], QUIET);
    let request = post("/", "hello");
    let (head, body) = request.split_at(request.len() - 5);
    let mut client = Wire::new(connect(balancer.address()));
    is_prompt("http, a body behind its head", || {
        client.say(head);
        client.say(body);
        assert_eq!(client.answer().body, b"hello");
    });
    drop(client);
    balancer.stop();
}
