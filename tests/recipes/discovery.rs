//! Servers that a registry knows, by answers of the shape that Consul and Kubernetes give.

use std::net::{IpAddr, SocketAddr};

use crate::common::dns::{Dns, Says, Srv};
use crate::common::http::{Wire, get, ok};
use crate::common::{Backend, Balancer, connect, until};
use crate::page::Trial;

/// A server of HTTP that says its name, at an address of this machine.
fn origin(ip: &str, name: &'static str) -> Backend {
    let at = SocketAddr::new(ip.parse().unwrap(), 0);
    Backend::start_at(at, move |stream| {
        let mut wire = Wire::new(stream);
        while wire.request().is_some() {
            wire.say(ok(name));
        }
    })
}

/// As Consul says it: each instance with the name of its address, which comes along.
fn instance(at: &Backend, weight: u16) -> Srv {
    let IpAddr::V4(ip) = at.address.ip() else { panic!("IPv4") };
    let target = format!("{:08x}.addr.dc1.consul", u32::from(ip));
    let port = at.address.port();
    Srv { priority: 1, weight, port, target, address: Some(IpAddr::V4(ip)) }
}

/// As CoreDNS says it: each pod by its address under the name of the Service.
fn kubernetes(at: &Backend) -> Srv {
    let host = at.address.ip().to_string().replace('.', "-");
    let target = format!("{host}.web.default.svc.cluster.local");
    Srv { priority: 0, weight: 50, port: at.address.port(), target, address: None }
}

fn answers(at: SocketAddr, times: usize) -> Vec<String> {
    let ask = |_| Wire::new(connect(at)).ask(get("/")).text();
    let mut all: Vec<String> = (0..times).map(ask).collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub fn consul(mut trial: Trial) {
    let dns = Dns::start();
    trial.put("10.0.0.53:8600", &dns.address);
    let admin = trial.admin();
    let at = trial.listen("0.0.0.0:80");
    let one = origin("127.0.0.11", "one");
    let two = origin("127.0.0.12", "two");
    let name = "web.service.consul";
    dns.set(name, Says::Services(vec![instance(&one, 1), instance(&two, 1)], 1));
    let balancer = trial.start();
    until("both answer", || answers(at, 4) == ["one", "two"]);
    let three = origin("127.0.0.13", "three");
    dns.set(name, Says::Services(vec![instance(&two, 1), instance(&three, 3)], 1));
    until("one goes, another comes", || answers(at, 6) == ["three", "two"]);
    dns.set(name, Says::Failure);
    let (said, _) = trial.said_by(&["ctl", "names", "--admin", &admin]);
    assert!(said.contains("srv://web.service.consul") && said.contains("  2  "), "{said}");
    until("it fails", || {
        trial.said_by(&["ctl", "names", "--admin", &admin]).0.contains("no answer for")
    });
    assert_eq!(answers(at, 6), ["three", "two"], "what was known holds");
    balancer.stop();
    headless_service();
}

/// The other way that the page tells of: pods of a headless Service.
fn headless_service() {
    let dns = Dns::start();
    let one = origin("127.0.0.21", "one");
    let two = origin("127.0.0.22", "two");
    let name = "_http._tcp.web.default.svc.cluster.local";
    dns.set(name, Says::Services(vec![kubernetes(&one), kubernetes(&two)], 5));
    for pod in [&one, &two] {
        let Srv { target, .. } = kubernetes(pod);
        dns.set(&target, Says::Addresses(vec![pod.address.ip()], 5));
    }
    let resolver = dns.flag();
    let backend = format!("srv://{name}");
    let balancer = Balancer::start(&[
        "-l",
        "http://127.0.0.1:0",
        "-b",
        &backend,
        "--resolver",
        &resolver,
        "--dns-max-ttl",
        "1s",
    ]);
    assert_eq!(answers(balancer.address(), 6), ["one", "two"]);
    dns.set(name, Says::Services(vec![kubernetes(&two)], 5));
    until("a pod is gone", || answers(balancer.address(), 4) == ["two"]);
    // Not a single ready pod is left, as far as DNS knows: nobody is sent away for that.
    dns.set(name, Says::Nothing);
    balancer.wait_for_log("the 1 member of");
    assert_eq!(answers(balancer.address(), 2), ["two"]);
    balancer.stop();
}
