//! `--limit-bandwidth`: how long a client takes to get so much, with one connection and with
//! several, and that nothing is lost by it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::http::{Origin, Wire, before, get, ok};
use crate::common::{Backend, Balancer, noise};

const RATE: usize = 4 << 20;

/// What it takes to get two seconds' worth, the burst apart.
const TAKES: std::ops::Range<Duration> =
    Duration::from_millis(1700)..Duration::from_millis(2500);

/// Answers with as many bytes as the path says.
fn sized() -> Origin {
    Origin::start(|request, wire| {
        let bytes = request.target()[1..].parse().expect("a number");
        wire.try_say(ok(noise(1, bytes)))
    })
}

fn rest_of(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("all of it");
    bytes
}

#[test]
fn an_answer_takes_the_time_of_its_bytes() {
    let origin = sized();
    let balancer = before(&[&origin], &["--limit-bandwidth", "4m/s,burst=64k"]);
    let mut client = Wire::to(&balancer);
    let began = Instant::now();
    let answer = client.ask(get(&format!("/{}", 2 * RATE)));
    let took = began.elapsed();
    assert!(answer.body == noise(1, 2 * RATE), "it is whole");
    assert!(TAKES.contains(&took), "{took:?}");
    // The share is there again, and the connection to the backend too.
    thread::sleep(Duration::from_millis(300));
    assert_eq!(client.ask(get("/1000")).body.len(), 1000);
    balancer.stop_after(client);
}

#[test]
fn the_connections_of_a_client_share_it() {
    let origin = sized();
    let balancer = before(&[&origin], &["--limit-bandwidth", "4m/s,burst=64k"]);
    let began = Instant::now();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Wire::to(&balancer);
            thread::spawn(move || client.ask(get(&format!("/{}", RATE / 2))).body.len())
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().expect("no panic"), RATE / 2);
    }
    let took = began.elapsed();
    assert!(TAKES.contains(&took), "{took:?}");
    balancer.stop();
}

#[test]
fn bytes_of_tcp_take_their_time_too_and_none_is_cut_off_for_it() {
    let bytes = noise(2, 2 * RATE);
    let sent = bytes.clone();
    let backend = Backend::start(move |mut stream| {
        let _ = stream.write_all(&sent);
    });
    let limit = ["--limit-bandwidth", "4m/s,burst=64k", "--idle-timeout", "50ms"];
    let args = ["-l", "127.0.0.1:0", "-b", &backend.flag()];
    let balancer = Balancer::start(&[&args[..], &limit[..]].concat());
    let began = Instant::now();
    let got = rest_of(balancer.connect());
    let took = began.elapsed();
    assert!(got == bytes, "{} bytes of {}", got.len(), bytes.len());
    assert!(TAKES.contains(&took), "{took:?}");
    balancer.stop();
}

#[test]
fn a_share_that_is_only_tried_holds_nobody_up() {
    let origin = sized();
    let flags = ["--limit-bandwidth", "64k/s", "--guard-dry-run", "bandwidth"];
    let balancer = before(&[&origin], &flags);
    let mut client = Wire::to(&balancer);
    let began = Instant::now();
    assert_eq!(client.ask(get("/4000000")).body.len(), 4_000_000);
    assert!(began.elapsed() < Duration::from_secs(20), "it would be a minute");
    balancer.stop_after(client);
}
