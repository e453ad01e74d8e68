//! Peers that vanish say nothing. TCP asks them now and then, and the kernel shows for each socket
//! whether it will: `/proc/net/tcp` has the timers.

use std::net::{SocketAddr, TcpStream};

use crate::common::http::{Origin, Wire, before, get};
use crate::common::{Backend, Balancer, ask, until};

/// The timer of the socket between these two, if it is that of keepalive: in how many hundredths of
/// a second it asks.
fn keepalive(own: SocketAddr, peer: SocketAddr) -> Option<u64> {
    let hex = |address: SocketAddr| {
        let SocketAddr::V4(address) = address else { panic!("{address} is IPv6") };
        let ip = u32::from_ne_bytes(address.ip().octets());
        format!("{ip:08X}:{:04X}", address.port())
    };
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    let line = table.lines().find(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(&hex(own)) && words.next() == Some(&hex(peer))
    })?;
    // sl local remote state tx:rx timer:when ...
    let (kind, when) = line.split_whitespace().nth(5)?.split_once(':')?;
    (kind == "02").then(|| u64::from_str_radix(when, 16).expect("a number"))
}

/// The timers of all sockets of others to this address.
fn towards(peer: SocketAddr) -> Vec<Option<u64>> {
    let port = format!(":{:04X}", peer.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    let remote =
        |line: &&str| line.split_whitespace().nth(2).is_some_and(|it| it.ends_with(&port));
    let established = |line: &&str| line.split_whitespace().nth(3) == Some("01");
    let lines = table.lines().filter(remote).filter(established);
    lines
        .map(|line| {
            let (kind, when) = line.split_whitespace().nth(5)?.split_once(':')?;
            (kind == "02").then(|| u64::from_str_radix(when, 16).expect("a number"))
        })
        .collect()
}

fn end_of(client: &TcpStream, balancer: &Balancer) -> Option<u64> {
    keepalive(balancer.address(), client.local_addr().expect("connected"))
}

#[test]
fn silent_clients_are_asked_after_a_minute_or_as_told() {
    let backend = Backend::echo();
    for (more, from, to) in [
        (&["--log-level", "info"][..], 3_000, 6_100),
        (&["--tcp-keepalive", "1h"], 300_000, 360_100),
    ] {
        let balancer = Balancer::before(&[&backend], more);
        let client = balancer.connect();
        assert_eq!(ask(&client, b"word"), b"word");
        let mut left = None;
        until("its end has the timer", || {
            left = end_of(&client, &balancer);
            left.is_some()
        });
        assert!((from..to).contains(&left.expect("seen")), "{more:?}: {left:?}");
        balancer.stop_after(client);
    }
}

#[test]
fn nobody_is_asked_where_that_is_off() {
    let backend = Backend::echo();
    for off in ["off", "0s"] {
        let balancer = Balancer::before(&[&backend], &["--tcp-keepalive", off]);
        let client = balancer.connect();
        assert_eq!(ask(&client, b"word"), b"word");
        assert_eq!(end_of(&client, &balancer), None);
        balancer.stop_after(client);
    }
}

/// Connections to backends get it once they have lived for half of the time, whoever uses them.
#[test]
fn silent_backends_are_asked_as_well() {
    let more = ["--tcp-keepalive", "2s", "--log-level", "info"];
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], &more);
    let clients: Vec<TcpStream> = (0..100).map(|_| balancer.connect()).collect();
    clients.iter().for_each(|client| assert_eq!(ask(client, b"word"), b"word"));
    until("all have the timer", || {
        let timers = towards(backend.address);
        timers.len() == 100 && timers.iter().all(Option::is_some)
    });
    balancer.stop_after(clients);

    let origin = Origin::named("a");
    let balancer = before(&[&origin], &more);
    let mut wire = Wire::to(&balancer);
    assert_eq!(wire.ask(get("/")).text(), "a");
    until("the kept connection has it", || {
        towards(origin.backend.address).iter().any(Option::is_some)
    });
    balancer.stop_after(wire);
}
