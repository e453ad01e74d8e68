//! An attack from 200 addresses at once, each by a way of its own, and what a client that behaves
//! well notices of it: nothing. The same load is put on HAProxy and nginx with the protections that
//! their manuals advise, where they are there; what they make of it is printed.

mod crowd;
mod peers;

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::common::authority::Authority;
use crate::common::http::{Origin, get};
use crate::common::{Balancer, with_deadline};

use crowd::{Crowd, Target, socket_from};

/// What is promised: the 99th percentile of who behaves well.
const P99: Duration = Duration::from_millis(50);

/// Other tests may take the processors meanwhile; what is too slow by itself is so each time.
const TRIES: usize = 6;

/// How many addresses attack.
const SOURCES: usize = 200;

/// Requests of the client that behaves well.
const REQUESTS: usize = 400;

/// What it met.
struct Met {
    p50: Duration,
    p99: Duration,
    errors: usize,
    /// Connections that the attack made, and those of them that were ended for it.
    attempts: u64,
    ended: u64,
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Met { p50, p99, errors, attempts, ended } = self;
        let times = format!("half within {p50:?}, 99 % within {p99:?}, {errors} errors");
        write!(f, "{times}; {attempts} connections of the attack, {ended} ended for it")
    }
}

/// Ours, with limits for each client.
const GUARD: &[&str] = &[
    "--limit-connections",
    "4",
    "--limit-connection-rate",
    "10/s,burst=20",
    "--limit-handshake-rate",
    "5/s,burst=10",
    "--limit-request-rate",
    "100/s,burst=200",
    "--header-timeout",
    "1s",
    "--tls-handshake-timeout",
    "1s",
    "--log-level",
    "info",
];

/// A client of its own address that asks again and again: mostly on one connection, every tenth
/// time on a new one. Not so fast that its own limits would be in its way.
fn behave(target: &Target) -> (Vec<Duration>, usize) {
    let from = Ipv4Addr::new(127, 0, 0, 77);
    let mut kept: Option<TcpStream> = None;
    let mut times = Vec::new();
    let mut errors = 0;
    for at in 0..REQUESTS {
        if at % 50 == 49 {
            kept = None;
        }
        let began = Instant::now();
        let stream = kept.take().or_else(|| connect_from(from, target.http));
        match stream.and_then(ask) {
            Some(stream) => {
                times.push(began.elapsed());
                kept = Some(stream);
            }
            None => errors += 1,
        }
        // A pause of a client, and no wait for anything.
        std::thread::sleep(Duration::from_millis(11));
    }
    times.sort_unstable();
    (times, errors)
}

fn connect_from(from: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let socket = socket_from(from);
    socket.connect(&to.into()).ok()?;
    Some(with_deadline(socket.into()))
}

/// One request; the connection, if it was answered with a 200.
fn ask(mut stream: TcpStream) -> Option<TcpStream> {
    stream.write_all(get("/").as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut block = [0; 4096];
    // The body of the origin is its name and ends the answer.
    while !answer.ends_with(b"good") {
        match stream.read(&mut block) {
            Ok(read @ 1..) => answer.extend_from_slice(&block[..read]),
            _ => return None,
        }
    }
    answer.starts_with(b"HTTP/1.1 200 ").then_some(stream)
}

/// The attack goes on for as long as the client takes for its requests.
fn meet(target: &Target, hello: Vec<u8>, seed: u64) -> Met {
    let crowd = Crowd::start(*target, SOURCES, hello, seed);
    crowd.wait_until_it_is_there();
    let (times, errors) = behave(target);
    let (attempts, ended) = crowd.stop();
    let at =
        |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(Duration::MAX);
    Met { p50: at(50), p99: at(99), errors, attempts, ended }
}

#[test]
fn an_attack_from_200_addresses_is_not_noticed_by_others() {
    let authority = Authority::new("attack");
    let origin = Origin::named("good");
    let backend = origin.backend.flag();
    let pair = authority.pair(&["localhost"]);
    let mut seen = Vec::new();
    for seed in 0..TRIES as u64 {
        let listeners = ["-l", "http://127.0.0.1:0", "-l", "https://127.0.0.1:0"];
        let more = ["-b", &backend, "--cert", &pair.cert, "--key", &pair.key];
        let balancer = Balancer::start(&[&listeners[..], &more, GUARD].concat());
        let target = Target { http: balancer.addresses[0], https: balancer.addresses[1] };
        let met = meet(&target, authority.hello(), seed);
        println!("pointsman: {met}, longest turn {:?}", balancer.longest_turn());
        assert_eq!(met.errors, 0, "{met}\n{}", balancer.log());
        assert!(met.ended > 0, "nothing was done against it: {met}");
        if met.p99 < P99 {
            return peers::compare(&origin, &authority, &pair);
        }
        seen.push(met.p99);
    }
    panic!("{seen:?}");
}
