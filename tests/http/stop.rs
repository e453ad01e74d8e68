//! Stopping while HTTP is spoken: who rests is let go at once, who is being answered is answered.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::http::{Origin, Wire, before, get, narrow, ok};
use crate::common::{Balancer, DEADLINE, End, read_to_end, until};

/// Answers the first half, then the second when told to.
fn in_two_parts(first: &'static str, second: &'static str) -> (Origin, mpsc::Sender<()>) {
    let (go, told) = mpsc::channel();
    let told = Mutex::new(told);
    let origin = Origin::start(move |request, wire| {
        if request.target() != "/slow" {
            return wire.try_say(ok("fast"));
        }
        wire.say(first);
        let _ = told.lock().unwrap().recv_timeout(DEADLINE);
        wire.try_say(second)
    });
    (origin, go)
}

#[test]
fn resting_clients_are_let_go_at_once() {
    let origin = Origin::named("hello");
    let mut balancer = before(&[&origin], &[]);
    let mut clients = [(); 3].map(|()| Wire::to(&balancer));
    for client in &mut clients[..2] {
        assert!(client.ask(get("/")).keeps_alive());
    }
    // One has not asked for anything yet.
    balancer.wait_for_log("pair 3: accepted");
    balancer.signal(Signal::TERM);
    // They might have gone on asking for a minute, and a drain takes half of one.
    for client in clients {
        assert_eq!(read_to_end(&client.stream), End::Finished(vec![]));
    }
    assert_eq!(balancer.wait().code(), Some(0));
}

#[test]
fn an_exchange_under_way_is_finished() {
    const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
    // Stopped before the answer's head came, and after.
    for parts in [("", WHOLE), WHOLE.split_at(WHOLE.len() - 2)] {
        let (origin, go) = in_two_parts(parts.0, parts.1);
        let mut balancer = before(&[&origin], &[]);
        let mut client = Wire::to(&balancer);
        assert_eq!(client.ask(get("/")).text(), "fast");
        client.say(get("/slow"));
        until("it is asked", || origin.count() == 2);
        let told = if parts.0.is_empty() { None } else { client.head() };
        let told_before = told.is_some();
        balancer.signal(Signal::TERM);
        balancer.wait_for_log("stopping: 1 connection");
        go.send(()).unwrap();
        let mut answer = told.unwrap_or_else(|| client.head().expect("an answer"));
        assert!(client.body(&mut answer, false));
        assert_eq!((answer.status(), answer.text()), (200, "body".into()));
        assert_eq!(answer.keeps_alive(), told_before, "nobody knew yet");
        assert!(client.ends());
        assert_eq!(balancer.wait().code(), Some(0));
    }
}

#[test]
fn what_was_asked_before_the_stop_is_answered() {
    let (origin, go) = in_two_parts("", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let mut balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    client.say([get("/slow"), get("/"), get("/")].concat());
    until("it is asked", || origin.count() == 1);
    balancer.signal(Signal::TERM);
    balancer.wait_for_log("stopping: 1 connection");
    go.send(()).unwrap();
    // One that says close is the last; the other requests were not begun.
    let answer = client.answer();
    assert_eq!((answer.status(), answer.keeps_alive()), (200, false));
    assert!(client.ends());
    drop(client);
    assert_eq!(balancer.wait().code(), Some(0));
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_page_under_way_is_sent_whole_and_nobody_is_waited_for() {
    let backends: Vec<String> = (1..=10_000).map(|port| format!("127.0.0.1:{port}")).collect();
    let mut args = vec!["-l", "http://127.0.0.1:0", "--check", "none", "--stats-path", "/"];
    args.extend(backends.iter().flat_map(|flag| ["-b", flag]));
    let mut balancer = Balancer::start(&args);
    let mut client = narrow(&balancer);
    client.say(get("/"));
    let head = client.head().expect("a head");
    let length: usize = head.field("content-length").parse().expect("a number");
    balancer.signal(Signal::TERM);
    balancer.wait_for_log("stopping");
    let began = Instant::now();
    assert!(client.exactly(length).is_some(), "the page is cut short");
    assert!(client.ends());
    assert_eq!(balancer.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "it waited");
}
