//! Clients that go away while they wait: by FIN, as a closed program's kernel says it, which who
//! has only finished sending says as well. `--abort-on-close` decides what it is taken for.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::common::http::{Origin, Wire, before, before_backends, get, ok};
use crate::common::{Backend, BlackHole, End, read_to_end, until, with_deadline};

/// A backend that never answers, and how many of its requests were reset under it.
fn tireless() -> (Backend, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let given_up = Arc::new(AtomicUsize::new(0));
    let counters = (Arc::clone(&asked), Arc::clone(&given_up));
    let backend = Backend::start(move |stream| {
        let mut wire = Wire::new(with_deadline(stream));
        while wire.request().is_some() {
            counters.0.fetch_add(1, Ordering::SeqCst);
            let reset = read_to_end(&wire.stream).is_reset();
            counters.1.fetch_add(usize::from(reset), Ordering::SeqCst);
        }
    });
    (backend, asked, given_up)
}

fn finish(client: &Wire) {
    client.stream.shutdown(Shutdown::Write).expect("it is there");
}

#[test]
fn thirty_of_thirty_that_go_away_are_given_up() {
    const CLIENTS: usize = 30;
    // The poll tells of those that asked before, and not of the others until they waited.
    for asked_before in [false, true] {
        let (backend, asked, given_up) = tireless();
        let quick = Origin::named("quick");
        let flags = ["--server-timeout", "1h", "--balance", "first", "--stats-path", "/stats"];
        let balancer = before_backends(&[&backend], &flags);
        let clients: Vec<Wire> = (0..CLIENTS)
            .map(|_| {
                let mut client = Wire::to(&balancer);
                if asked_before {
                    assert_eq!(client.ask(get("/stats")).status(), 200);
                }
                client.say(get("/"));
                client
            })
            .collect();
        until("all are asked", || asked.load(Ordering::SeqCst) == CLIENTS);
        drop(clients);
        until("all are given up", || given_up.load(Ordering::SeqCst) == CLIENTS);
        balancer.wait_until_idle();
        assert_eq!(balancer.count("requests aborted"), CLIENTS);
        assert_eq!(balancer.row(&backend.name()).failed, 0, "that is no backend's fault");
        drop(quick);
        balancer.stop();
    }
}

/// Clients used to send an empty line behind a body, and some still do.
#[test]
fn an_empty_line_behind_a_request_asks_for_nothing() {
    let (backend, asked, given_up) = tireless();
    let balancer = before_backends(&[&backend], &["--server-timeout", "1h"]);
    let clients = ["\r\n", "\r\n\r\n"].map(|lines| {
        let client = Wire::to(&balancer);
        client.say(get("/") + lines);
        client
    });
    until("both are asked", || asked.load(Ordering::SeqCst) == 2);
    clients.iter().for_each(finish);
    until("both are given up", || given_up.load(Ordering::SeqCst) == 2);
    assert_eq!(balancer.count("requests aborted"), 2);
    balancer.stop_after(clients);
}

#[test]
fn who_half_closes_is_served_where_that_is_asked_for() {
    let (slow, streams) = Backend::manual();
    let kinds = ["off", "on"].map(|word| {
        let flags = ["--abort-on-close", word, "--server-timeout", "1h"];
        before_backends(&[&slow], &flags)
    });
    let ask = |balancer| {
        let client = Wire::to(balancer);
        client.say(get("/"));
        let mut server = Wire::new(with_deadline(
            streams.recv_timeout(crate::common::DEADLINE).expect("a connection"),
        ));
        server.request().expect("a request");
        finish(&client);
        (client, server)
    };
    let (mut patient, server) = ask(&kinds[0]);
    let (impatient, _server) = ask(&kinds[1]);
    // As long as that takes, the other one waits at least.
    assert!(read_to_end(&impatient.stream).is_reset());
    server.say(ok("after all"));
    assert_eq!(patient.answer().text(), "after all");
    assert!(patient.ends());
    kinds.into_iter().for_each(|balancer| balancer.stop());
}

#[test]
fn a_quick_answer_reaches_who_half_closes() {
    let origin = Origin::start(|request, wire| wire.try_say(ok(request.target())));
    let balancer = before(&[&origin], &[]);
    for requests in [get("/1"), get("/1") + &get("/2"), get("/1") + &get("/2") + &get("/3")] {
        let mut client = Wire::to(&balancer);
        client.say(&requests);
        finish(&client);
        for number in 1..=requests.matches("GET").count() {
            assert_eq!(client.answer().text(), format!("/{number}"));
        }
        assert!(client.ends());
    }
    balancer.stop();
}

#[test]
fn who_has_asked_for_more_is_not_gone() {
    let (slow, streams) = Backend::manual();
    let balancer = before_backends(&[&slow], &["--server-timeout", "1h"]);
    let mut client = Wire::to(&balancer);
    client.say(get("/1"));
    let mut server = Wire::new(with_deadline(
        streams.recv_timeout(crate::common::DEADLINE).expect("a connection"),
    ));
    server.request().expect("a request");
    client.say(get("/2"));
    finish(&client);
    // Another one that is gone shows that the time is over.
    let gone = Wire::to(&balancer);
    gone.say(get("/"));
    let stream =
        with_deadline(streams.recv_timeout(crate::common::DEADLINE).expect("a connection"));
    drop(gone);
    let mut other = Wire::new(stream);
    other.request().expect("a request");
    assert!(read_to_end(&other.stream).is_reset());
    server.say(ok("first"));
    assert_eq!(client.answer().text(), "first");
    server.request().expect("the second one");
    server.say(ok("second"));
    assert_eq!(client.answer().text(), "second");
    balancer.stop_after(client);
}

#[test]
fn who_goes_away_from_a_silent_stream_ends_it() {
    let (slow, streams) = Backend::manual();
    let balancer = before_backends(&[&slow], &["--server-timeout", "1h"]);
    let mut client = Wire::to(&balancer);
    client.say(get("/"));
    let mut server = Wire::new(with_deadline(
        streams.recv_timeout(crate::common::DEADLINE).expect("a connection"),
    ));
    server.request().expect("a request");
    server.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntoken\r\n");
    client.head().expect("the answer begins");
    assert_eq!(client.exactly(10).as_deref(), Some(&b"5\r\ntoken\r\n"[..]));
    drop(client);
    assert!(read_to_end(&server.stream).is_reset());
    balancer.wait_until_idle();
    balancer.stop();
}

#[test]
fn who_goes_away_before_a_backend_took_the_connection_is_given_up() {
    let hole = BlackHole::start();
    let flag = hole.flag();
    let args = ["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"];
    let more = ["--connect-timeout", "1h", "--access-log", "-", "--access-log-format", "json"];
    let balancer = crate::common::Balancer::start(&[&args[..], &more].concat());
    let clients: Vec<TcpStream> = (0..5)
        .map(|_| {
            let client = Wire::to(&balancer);
            client.say(get("/"));
            client.stream
        })
        .collect();
    until("they connect", || balancer.log_so_far().matches("picked").count() == 5);
    drop(clients);
    balancer.wait_until_idle();
    assert_eq!(balancer.count("requests aborted"), 5);
    balancer.stop();
}

/// What has become a tunnel is no exchange any more, and TCP never was: there an end is an end of
/// one direction.
#[test]
fn half_closed_streams_of_tcp_go_on() {
    let backend = Backend::start(|stream| {
        let mut wire = Wire::new(with_deadline(stream));
        let count = match read_to_end(&wire.stream) {
            End::Finished(bytes) => bytes.len(),
            End::Reset(_) => return,
        };
        thread::yield_now();
        wire.try_say(format!("{count}"));
        let _ = wire.take_read();
    });
    let balancer = crate::common::Balancer::before(&[&backend], &["--abort-on-close", "on"]);
    let client = balancer.connect();
    let client = Wire::new(client);
    client.say("hello");
    finish(&client);
    assert_eq!(read_to_end(&client.stream).bytes(), b"5");
    balancer.stop();
}
