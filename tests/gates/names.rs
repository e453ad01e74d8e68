//! A name with a thousand addresses, half of which are others all at once.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::alone;
use crate::common::dns::{Dns, Says};
use crate::common::{Balancer, connect, until};

const ADDRESSES: u32 = 1000;
/// So often half of them change.
const CHANGES: u32 = 6;
/// No turn is longer than this, so all of a change is shorter in at least one of the tries: a
/// machine that others use as well makes any single one longer.
const LONGEST: f64 = 10.0;

/// Those of loopback from this one on.
fn addresses(from: u32) -> Says {
    let first = u32::from(Ipv4Addr::new(127, 2, 0, 0));
    let all = (from..from + ADDRESSES).map(|it| IpAddr::from(Ipv4Addr::from(first + it)));
    Says::ByTcp(Box::new(Says::Addresses(all.collect(), 1)))
}

/// Answers at all addresses of this machine.
fn serve() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 1024];
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                while let Ok(1..) = stream.read(&mut buffer) {
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is up");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    let mut rest = [0; 1024];
    assert!(stream.read(&mut rest).expect("the rest") > 0);
}

/// How long each change took, in milliseconds, as its receipt says.
fn receipts(balancer: &Balancer) -> Vec<f64> {
    let log = balancer.log_so_far();
    let lines = log.lines().filter(|line| line.contains("+500 -500"));
    let took = lines.filter_map(|line| line.rsplit_once("; ")?.1.split_once(" ms"));
    took.map(|(it, _)| it.parse().expect("a number")).collect()
}

#[test]
fn half_of_a_thousand_addresses_change_without_an_error_in_a_short_turn() {
    let _alone = alone();
    let dns = Dns::start();
    let port = serve();
    dns.set("api.test", addresses(0));
    let backend = format!("dns://api.test:{port}");
    let resolver = dns.flag();
    let args = ["-l", "http://127.0.0.1:0", "-b", &backend, "--check", "none", "-a", "rr"];
    let more = ["--resolver", &resolver, "--log-level", "debug"];
    let balancer = Balancer::start(&[&args[..], &more].concat());
    until("all are known", || balancer.log_so_far().contains("all names were looked up"));
    let is_over = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = connect(balancer.address());
            let is_over = Arc::clone(&is_over);
            let asked = Arc::clone(&asked);
            thread::spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    ask(&mut stream);
                    asked.fetch_add(1, Ordering::SeqCst);
                    // Each has a line of 1,000 candidates in the log, which drops what is too much.
                    thread::sleep(Duration::from_millis(50));
                }
            })
        })
        .collect();
    for change in 1..=CHANGES {
        dns.set("api.test", addresses(change * ADDRESSES / 2));
        until("half of them are others", || receipts(&balancer).len() == change as usize);
    }
    is_over.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|it| it.join().expect("no request failed"));
    let took = receipts(&balancer);
    let asked = asked.load(Ordering::SeqCst);
    println!("{asked} requests, 0 errors; changes took {took:?} ms");
    if !cfg!(debug_assertions) {
        let shortest = took.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(shortest < LONGEST, "{took:?}");
    }
    balancer.stop();
}
