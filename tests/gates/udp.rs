//! What UDP costs, as numbers that must not get worse: system calls a datagram, flows opened in a
//! turn, memory of a flow, and what a great many flows leave behind.
//!
//! Calls are counted by `strace` with the process stopped while its queues are filled: so it is
//! saturated, on any machine, and the count is the same each time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::alone;
use crate::common::measure::{
    is_release, only_linux, private_dirty, raise_descriptor_limit, skip,
};
use crate::common::trace::{Trace, most_and_all, while_stopped};
use crate::common::udp::{UdpBackend, ask, client, udp_args};
use crate::common::{Balancer, DEADLINE, until};
use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
use pointsman::limits::MESSAGES_PER_CALL;
use rustix::process::Signal;

const FLOWS: usize = 64;
const EACH: usize = 8;

type Calls = BTreeMap<String, f64>;

#[test]
fn a_datagram_costs_at_most_0_3_calls() {
    if !only_linux("recvmmsg and sendmmsg") {
        return;
    }
    let _alone = alone();
    for bytes in [64, 1200] {
        let (Some(few), Some(many)) = (saturate(bytes, 4), saturate(bytes, 14)) else { return };
        // To the backend and back.
        let datagrams = (10 * 2 * FLOWS * EACH) as f64;
        let mut sum = 0.0;
        println!("a datagram of {bytes} bytes:");
        for (name, count) in &many {
            let each = (count - few.get(name).unwrap_or(&0.0)) / datagrams;
            if each != 0.0 {
                println!("{each:12.4}  {name}");
            }
            sum += each;
        }
        println!("{sum:12.4}  in all");
        assert!(sum <= 0.3, "{sum} calls a datagram of {bytes} bytes");
    }
}

/// So many rounds of datagrams that wait in queues: all calls made. `None`: there is no strace.
fn saturate(bytes: usize, rounds: usize) -> Option<Calls> {
    let (backend, address) = roomy_backend();
    let args = ["-l", "udp://127.0.0.1:0", "-b", &address, "--log-level", "warn"];
    let (balancer, trace) = Trace::start(&args)?;
    let clients: Vec<UdpSocket> = (0..FLOWS).map(|_| client(balancer.address())).collect();
    let text = vec![b'x'; bytes];
    let mut buffer = vec![0; 65_535];
    for _ in 0..rounds {
        while_stopped(&balancer, || {
            for client in &clients {
                (0..EACH).for_each(|_| assert!(client.send(&text).is_ok()));
            }
        });
        let mut all = Vec::new();
        while all.len() < FLOWS * EACH {
            let (count, from) = backend.recv_from(&mut buffer).expect("none is lost");
            assert_eq!(count, bytes);
            all.push(from);
        }
        while_stopped(&balancer, || {
            all.iter().for_each(|from| assert!(backend.send_to(&text, from).is_ok()));
        });
        for client in &clients {
            (0..EACH)
                .for_each(|_| assert_eq!(client.recv(&mut buffer).expect("answered"), bytes));
        }
    }
    balancer.stop();
    let mut calls = Calls::new();
    trace.calls().into_iter().for_each(|call| *calls.entry(call.name).or_default() += 1.0);
    Some(calls)
}

/// A backend in the test's hands whose queue holds all that is sent at once, and its address.
fn roomy_backend() -> (UdpSocket, String) {
    let backend = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let room = socket2::SockRef::from(&backend).set_recv_buffer_size(4 << 20);
    room.expect("an option");
    backend.set_read_timeout(Some(DEADLINE)).expect("not zero");
    let address = backend.local_addr().expect("bound").to_string();
    (backend, address)
}

/// Datagrams that wait in the listener's queue, each of which begins a flow, and their senders.
type Crowd = fn(SocketAddr) -> Vec<UdpSocket>;

/// A flow costs some calls to open. Whoever waits for the turn's end waits for few of them.
fn opens_few_flows_a_turn(more: &[&str], crowd: Crowd) {
    const ALL: usize = 512;
    let _alone = alone();
    let (backend, address) = roomy_backend();
    let args = ["-l", "udp://127.0.0.1:0", "-b", &address, "--log-level", "warn"];
    let Some((balancer, trace)) = Trace::start(&[&args, more].concat()) else { return };
    let mut clients = Vec::new();
    while_stopped(&balancer, || clients = crowd(balancer.address()));
    // Nobody is left behind in the queue, though no further event tells of them.
    let mut buffer = [0; 64];
    (0..ALL).for_each(|_| assert_eq!(backend.recv(&mut buffer).expect("none is lost"), 8));
    balancer.stop_after(clients);
    let (most, all) = most_and_all(&trace.calls(), "socket");
    println!("{all} flows were opened, at most {most} in a turn");
    assert_eq!(all, ALL);
    assert!(most < 2 * MESSAGES_PER_CALL, "{most} flows in one turn");
}

#[test]
fn a_crowd_of_new_clients_makes_no_long_turn() {
    raise_descriptor_limit();
    opens_few_flows_a_turn(&[], |address| {
        let clients: Vec<UdpSocket> = (0..512).map(|_| client(address)).collect();
        clients.iter().for_each(|client| assert!(client.send(b"new here").is_ok()));
        clients
    });
}

/// One message may hold many datagrams, as the sender's kernel or its network card puts them.
#[test]
fn a_client_with_a_flow_for_each_datagram_makes_no_long_turn() {
    opens_few_flows_a_turn(&["--udp-requests", "1"], |address| {
        let client = client(address);
        setsockopt(&client, UdpGsoSegment, &8).expect("Linux");
        (0..8).for_each(|_| assert!(client.send(&[b'x'; 64 * 8]).is_ok()));
        vec![client]
    });
}

/// Clients with addresses of their own, so that a port is no limit.
fn host(number: usize) -> IpAddr {
    let number = number as u32;
    IpAddr::V4(Ipv4Addr::from(0x7f01_0001 + number))
}

#[test]
fn a_flow_costs_at_most_half_a_kibibyte() {
    if !is_release("the memory of flows") {
        return;
    }
    let _alone = alone();
    const MORE: usize = 10_000;
    let limit = raise_descriptor_limit();
    if limit < MORE as u64 + 600 {
        skip(&format!("{MORE} flows need more than {limit} descriptors"));
        return;
    }
    let backend = UdpBackend::echo();
    let balancer = Balancer::start(&udp_args(&[&backend], &["--log-level", "warn"]));
    let exchange = |number| {
        let own = SocketAddr::new(host(number), 0);
        ask(&crate::common::udp::client_from(own, balancer.address()), b"question");
    };
    (0..100).for_each(exchange);
    let before = private_dirty(&balancer);
    (100..100 + MORE).for_each(exchange);
    let each = (private_dirty(&balancer) - before) / MORE as f64;
    println!("memory: {each:.0} bytes a flow");
    assert!(each <= 512.0, "{each} bytes a flow");
    balancer.signal(Signal::TERM);
}

/// `FLOWS=1000000 cargo test --release --test gates udp:: -- --nocapture` opens a million.
#[test]
fn flows_by_the_hundred_thousand_leave_nothing() {
    if !is_release("churn of flows") {
        return;
    }
    let _alone = alone();
    let wanted = std::env::var("FLOWS").ok().and_then(|text| text.parse().ok());
    let each = wanted.unwrap_or(200_000) / 2;
    let end = Instant::now() + Duration::from_secs(120);
    let backend = UdpBackend::echo();
    let flags = ["--log-level", "warn", "--udp-responses", "1"];
    let balancer = Balancer::start(&udp_args(&[&backend], &flags));
    let mut done = 0;
    let mut memory = Vec::new();
    let idle = balancer.descriptors();
    let clients: Vec<UdpSocket> = (0..64).map(|_| client(balancer.address())).collect();
    let mut buffer = [0; 64];
    // The first ones pay for what is there once.
    for target in [2000, each, each] {
        let mut round = 0;
        while round < target && Instant::now() < end {
            clients.iter().for_each(|client| assert!(client.send(b"question").is_ok()));
            clients.iter().for_each(|c| assert_eq!(c.recv(&mut buffer).expect("answered"), 8));
            round += clients.len();
        }
        done += round;
        until("all flows are over", || balancer.descriptors() <= idle);
        memory.push(private_dirty(&balancer));
    }
    let grown = memory[2] - memory[1];
    println!("churn: {done} flows, then {grown} bytes more than half way");
    assert!(done >= 50_000, "too slow a machine to say anything: {done} flows");
    assert!(grown < 64.0 * 1024.0, "{memory:?}: memory grows with flows that are gone");
    balancer.stop();
}
