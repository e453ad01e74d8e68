//! What one client may send: datagrams a second, flows at once. Others are served as before.

use std::net::SocketAddr;

use crate::common::admin::Admin;
use crate::common::udp::{UdpBackend, ask, client, client_from, udp_args};
use crate::common::{Balancer, until};

fn before(backend: &UdpBackend, more: &[&str]) -> Balancer {
    Balancer::start(&udp_args(&[backend], more))
}

/// A client whose address is another one of this machine.
fn elsewhere(balancer: &Balancer) -> std::net::UdpSocket {
    client_from(SocketAddr::from(([127, 0, 0, 9], 0)), balancer.address())
}

#[test]
fn datagrams_beyond_the_rate_are_dropped() {
    let backend = UdpBackend::echo();
    let balancer = before(&backend, &["--limit-datagram-rate", "1/h,burst=5"]);
    let one = client(balancer.address());
    for _ in 0..20 {
        one.send(b"x").expect("sent");
    }
    let other = elsewhere(&balancer);
    assert_eq!(ask(&other, b"hello"), b"hello");
    until("what may come has come", || backend.received() == 6);
    // Another port is the same client.
    client(balancer.address()).send(b"y").expect("sent");
    assert_eq!(ask(&other, b"again"), b"again");
    assert_eq!(backend.received(), 7);
    balancer.stop();
}

#[test]
fn datagrams_of_all_clients_beyond_the_total_are_dropped() {
    let backend = UdpBackend::echo();
    let total = ["--limit-datagram-total", "1/h,burst=5"];
    let admin = Admin::start(&udp_args(&[&backend], &total));
    let one = client(admin.balancer.address());
    for _ in 0..4 {
        assert_eq!(ask(&one, b"x"), b"x");
    }
    let other = elsewhere(&admin.balancer);
    for _ in 0..10 {
        other.send(b"y").expect("sent");
    }
    until("those beyond it are counted", || {
        let rules = admin.api.get("/api/v1/guard/rules");
        let items = rules["items"].as_array().expect("rules");
        items.iter().any(|it| it["rule"] == "datagram-total" && it["refused"] == 9)
    });
    until("the last that may come has come", || backend.received() == 5);
}

#[test]
fn flows_beyond_the_limit_are_not_begun_until_one_is_over() {
    let backend = UdpBackend::echo();
    let balancer = before(&backend, &["--limit-flows", "2", "--udp-timeout", "500ms"]);
    let known = [client(balancer.address()), client(balancer.address())];
    for flow in &known {
        assert_eq!(ask(flow, b"a"), b"a");
    }
    let third = client(balancer.address());
    third.send(b"no").expect("sent");
    assert_eq!(ask(&elsewhere(&balancer), b"other"), b"other");
    for flow in &known {
        assert_eq!(ask(flow, b"b"), b"b");
    }
    assert_eq!(backend.received(), 5, "the third is not there");
    until("a flow is over", || {
        third.send(b"now").expect("sent");
        std::thread::sleep(std::time::Duration::from_millis(20));
        backend.received() > 5
    });
    balancer.stop();
}
