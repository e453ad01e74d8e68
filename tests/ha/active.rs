//! Active and active: two machines that both have the address of the service, behind a router that
//! learns by BGP which of them serve it, and by BFD which of them are there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::Signal;

use crate::common::until;

use super::alone;
use super::lab::{Machine, PROGRAM, cannot};
use super::load::{Load, Missed, ask, three_backends};

const TOOLS: &[&str] = &["bird", "birdc"];
const SHARED: &str = "203.0.113.10:80";

/// Two balancers and their backends at a router, and clients of many addresses behind it.
struct Lab {
    balancers: [Machine; 2],
    clients: Machine,
    router: Machine,
    // Its threads serve as long as the test runs.
    _backends: Machine,
}

impl Lab {
    /// All of it, both balancers in the table of the router.
    fn ready() -> Lab {
        let router = Machine::start("router");
        router.run(
            "ip link add br0 type bridge && ip addr add 192.0.2.254/24 dev br0 && \
             ip link set br0 up && sysctl -qw net.ipv4.ip_forward=1 && \
             sysctl -qw net.ipv4.fib_multipath_hash_policy=1",
        );
        let plugged = |name, address: &str| {
            let machine = Machine::at_switch(name, &router, address);
            machine.run("ip route add default via 192.0.2.254");
            machine
        };
        let balancers = [plugged("lb1", "192.0.2.1/24"), plugged("lb2", "192.0.2.2/24")];
        let servers = three_backends(&router);
        servers.run("ip route add default via 192.0.2.254");
        let clients = Machine::start("clients");
        clients.plug(&router, "eth0", "192.0.2.129/30");
        router.run("ip addr add 10.255.0.1/30 dev clients");
        clients.run(
            "ip addr flush dev eth0 && ip addr add 10.255.0.2/30 dev eth0 && \
             ip route add default via 10.255.0.1 && \
             ip route add local 198.51.100.0/24 dev lo",
        );
        router.run("ip route add 198.51.100.0/24 via 10.255.0.2");
        let path = router.deploy("router.conf");
        router.spawn(&format!("bird -f -c {path}"), "bird");
        let lab = Lab { balancers, clients, router, _backends: servers };
        lab.balancers.iter().for_each(announce);
        until("both are in the router's table", || lab.ways() == 2);
        until("it is served", || lab.clients.inside(|| ask(None, to()).is_ok()));
        lab
    }

    /// To how many the router sends the clients.
    fn ways(&self) -> usize {
        let route = self.router.run("ip route show 203.0.113.10");
        route.split_whitespace().filter(|it| *it == "via").count()
    }

    /// The backend of each of 200 clients.
    fn placed(&self) -> BTreeMap<String, String> {
        self.clients.inside(|| {
            let of = |number| {
                let from = format!("198.51.100.{number}");
                let name = ask(Some(&from), to()).expect("it is served");
                (from, name)
            };
            (1..=200).map(of).collect()
        })
    }

    /// What clients miss when this happens.
    fn missed(&self, load: Load, what: &str, happens: impl FnOnce(&Lab)) -> Missed {
        load.wait_for(100);
        happens(self);
        until("the router has one way", || self.ways() == 1);
        load.wait_for(200);
        let missed = load.stop();
        println!("{what}: {missed}");
        missed
    }
}

/// A pointsman, BIRD and what watches the one for the other.
fn announce(machine: &Machine) {
    let path = machine.deploy("address.sh");
    machine.run(&format!("sh {path} 203.0.113.10"));
    machine.start_pointsman("anycast.toml");
    let path = machine.deploy("bird.conf");
    machine.spawn(&format!("bird -f -c {path}"), "bird");
    until("BIRD is there", || machine.output("birdc show status").status.success());
    let path = machine.deploy("anycast.sh");
    machine.spawn(&format!("sh {path} anycast"), "anycast");
}

fn to() -> std::net::SocketAddr {
    SHARED.parse().expect("an address")
}

/// How many came to a balancer so far.
fn connections(machine: &Machine) -> u64 {
    let text = machine.run(&format!("{PROGRAM} ctl show pools --json"));
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    value["items"][0]["connections_total"].as_u64().expect("a number")
}

#[test]
fn clients_keep_their_backend_whichever_balancer_they_reach() {
    let _alone = alone();
    if cannot(TOOLS) {
        return;
    }
    let lab = Lab::ready();
    let before = lab.placed();
    let shares = lab.balancers.each_ref().map(connections);
    println!("the router sends {shares:?} connections");
    assert!(shares.iter().all(|&it| it > 50), "{shares:?}");
    let used: BTreeSet<&String> = before.values().collect();
    assert_eq!(used.len(), 3, "{before:?}");
    lab.balancers[0].signal("pointsman", Signal::KILL);
    until("the router has one way", || lab.ways() == 1);
    let after = lab.placed();
    let same = before.iter().filter(|(from, name)| after.get(*from) == Some(name)).count();
    println!("{same} of {} clients at the same backend", before.len());
    assert_eq!(before, after);
}

#[test]
fn the_rest_serves_when_a_pointsman_is_killed() {
    let _alone = alone();
    if cannot(TOOLS) {
        return;
    }
    let lab = Lab::ready();
    let kill = |lab: &Lab| lab.balancers[0].signal("pointsman", Signal::KILL);
    let missed = lab.missed(Load::fresh(&lab.clients, SHARED), "a pointsman killed", kill);
    assert!(missed.trouble < Duration::from_secs(1), "{missed}");
}

#[test]
fn the_rest_serves_when_a_machine_is_gone() {
    let _alone = alone();
    if cannot(TOOLS) {
        return;
    }
    let lab = Lab::ready();
    // The router notices nothing but silence.
    let cut = |lab: &Lab| drop(lab.balancers[0].run("ip link set eth0 down"));
    let missed = lab.missed(Load::fresh(&lab.clients, SHARED), "a machine gone", cut);
    assert!(missed.trouble < Duration::from_secs(1), "{missed}");
}

#[test]
fn a_planned_stop_withdraws_the_route_first() {
    let _alone = alone();
    if cannot(TOOLS) {
        return;
    }
    let lab = Lab::ready();
    let leaving = &lab.balancers[0];
    let stop = |lab: &Lab| {
        leaving.signal("pointsman", Signal::TERM);
        until("it says that it is not ready", || !leaving.is_well());
        until("the router has one way", || lab.ways() == 1);
        assert!(!leaving.processes("pointsman").is_empty(), "it ends before the route");
    };
    let missed = lab.missed(Load::kept(&lab.clients, SHARED), "a pointsman told to stop", stop);
    until("it has ended", || leaving.processes("pointsman").is_empty());
    // None as a rule; what is under way when the route moves may be reset.
    assert!(missed.lost <= 2, "{missed}");
}
