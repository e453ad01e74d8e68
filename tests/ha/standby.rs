//! Active and standby: two machines, one address, and keepalived that says whose it is.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::until;

use super::alone;
use super::lab::{Machine, PROGRAM, cannot};
use super::load::{Load, Missed, ask, ask_on, connect, three_backends};

const TOOLS: &[&str] = &["keepalived"];
const SHARED: &str = "192.0.2.10:80";

/// Two balancers, backends and clients at a switch.
struct Lab {
    one: Machine,
    two: Machine,
    clients: Machine,
    switch: Machine,
    // Its threads serve as long as the test runs.
    _backends: Machine,
}

impl Lab {
    /// The machines, their network and the backends.
    fn new() -> Lab {
        let switch = Machine::start("switch");
        switch.run("ip link add br0 type bridge && ip link set br0 up");
        let plugged = |name, address| Machine::at_switch(name, &switch, address);
        let one = plugged("lb1", "192.0.2.1/24");
        let two = plugged("lb2", "192.0.2.2/24");
        let clients = plugged("clients", "192.0.2.50/24");
        let servers = three_backends(&switch);
        Lab { one, two, clients, switch, _backends: servers }
    }

    /// The same with a pointsman and a keepalived on both, and the address at the first.
    fn ready() -> Lab {
        let lab = Lab::new();
        for machine in [&lab.one, &lab.two] {
            let path = machine.deploy("address.sh");
            machine.run(&format!("sh {path} 192.0.2.10"));
            machine.start_pointsman("standby.toml");
            let path = machine.deploy("keepalived.conf");
            machine.spawn(&format!("keepalived -n -l -D -f {path}"), "keepalived");
            until("the first has the address", || lab.has_address(&lab.one));
        }
        until("the second stands by", || lab.two.log("keepalived").contains("BACKUP STATE"));
        until("it is served", || lab.clients.inside(|| ask(None, to()).is_ok()));
        lab
    }

    /// Some connections that have had an answer.
    fn kept(&self) -> Vec<TcpStream> {
        let one = |_| {
            let mut stream = connect(None, to()).expect("somebody listens");
            ask_on(&mut stream).map(|_| stream).expect("it is served")
        };
        self.clients.inside(|| (0..10).map(one).collect())
    }

    fn has_address(&self, machine: &Machine) -> bool {
        machine.run("ip addr show dev eth0").contains(" 192.0.2.10/24 ")
    }

    /// What clients miss when this happens.
    fn missed(&self, load: Load, what: &str, happens: impl FnOnce(&Lab)) -> Missed {
        load.wait_for(100);
        happens(self);
        until("the second has the address", || self.has_address(&self.two));
        load.wait_for(200);
        let missed = load.stop();
        println!("{what}: {missed}");
        missed
    }
}

fn to() -> std::net::SocketAddr {
    SHARED.parse().expect("an address")
}

#[test]
fn health_is_told_in_time_for_keepalived() {
    let _alone = alone();
    if cannot(&[]) {
        return;
    }
    let lab = Lab::new();
    lab.one.start_pointsman("standby.toml");
    let line = format!("{PROGRAM} ctl health");
    let begun = Instant::now();
    lab.one.run(&format!("for i in 1 2 3 4 5 6 7 8 9 10; do {line} || exit 1; done"));
    let each = begun.elapsed() / 10;
    println!("pointsman ctl health: {each:?}");
    assert!(each < Duration::from_millis(100), "{each:?}");
    lab.one.run(&format!("{PROGRAM} ctl drain"));
    assert_eq!(lab.one.output(&line).status.code(), Some(1), "it is drained");
    lab.one.signal("pointsman", Signal::KILL);
    until("it is gone", || lab.one.processes("pointsman").is_empty());
    assert_eq!(lab.one.output(&line).status.code(), Some(1), "nobody is there");
}

#[test]
fn the_other_machine_takes_over_when_links_are_down() {
    let _alone = alone();
    if cannot(TOOLS) {
        return;
    }
    let lab = Lab::ready();
    let mut kept = lab.kept();
    let cut = |lab: &Lab| drop(lab.switch.run("ip link set lb1 down"));
    let missed =
        lab.missed(Load::fresh(&lab.clients, SHARED), "links of the active one down", cut);
    assert!(missed.trouble < Duration::from_secs(2), "{missed}");
    // The other one knows nothing of them.
    let lost = kept.iter_mut().filter_map(|it| ask_on(it).err()).count();
    println!("{lost} of {} connections that were open are lost", kept.len());
    assert_eq!(lost, kept.len());
}

#[test]
fn the_other_machine_takes_over_when_pointsman_is_killed() {
    let _alone = alone();
    if cannot(TOOLS) {
        return;
    }
    let lab = Lab::ready();
    let kill = |lab: &Lab| lab.one.signal("pointsman", Signal::KILL);
    let missed = lab.missed(Load::fresh(&lab.clients, SHARED), "pointsman killed", kill);
    assert!(missed.trouble < Duration::from_secs(5), "{missed}");
}

#[test]
fn the_other_machine_takes_over_when_keepalived_is_killed() {
    let _alone = alone();
    if cannot(TOOLS) {
        return;
    }
    let lab = Lab::ready();
    let kill = |lab: &Lab| lab.one.signal("keepalived", Signal::KILL);
    let missed = lab.missed(Load::fresh(&lab.clients, SHARED), "keepalived killed", kill);
    assert!(missed.trouble < Duration::from_secs(2), "{missed}");
}

#[test]
fn a_planned_stop_moves_the_address_first() {
    let _alone = alone();
    if cannot(TOOLS) {
        return;
    }
    let lab = Lab::ready();
    let stop = |lab: &Lab| lab.one.signal("pointsman", Signal::TERM);
    let missed = lab.missed(Load::kept(&lab.clients, SHARED), "pointsman told to stop", stop);
    until("it has ended", || lab.one.processes("pointsman").is_empty());
    // None or one as a rule: what is under way at that moment may be reset, one of each client.
    assert!(missed.lost <= 8, "{missed}");
}

/// As a supervisor does it: `Restart=always` and `RestartSec=100ms` of systemd.
#[test]
fn a_pointsman_that_is_restarted_keeps_the_address() {
    let _alone = alone();
    if cannot(TOOLS) {
        return;
    }
    let lab = Lab::new();
    let file = lab.one.deploy("standby.toml");
    let lines = format!("while :; do {PROGRAM} --config {file}; sleep 0.1; done");
    let script = lab.one.write("supervisor.sh", &lines);
    lab.one.spawn(&format!("sh {script}"), "pointsman");
    let path = lab.one.deploy("keepalived.conf");
    lab.one.spawn(&format!("keepalived -n -l -D -f {path}"), "keepalived");
    until("it has the address", || lab.has_address(&lab.one));
    until("it is served", || lab.clients.inside(|| ask(None, to()).is_ok()));
    let load = Load::fresh(&lab.clients, SHARED);
    load.wait_for(100);
    lab.one.signal("pointsman", Signal::KILL);
    load.wait_for(400);
    let missed = load.stop();
    println!("pointsman killed and restarted: {missed}");
    assert!(missed.trouble < Duration::from_secs(2), "{missed}");
    assert!(!lab.one.log("keepalived").contains("FAULT"), "{}", lab.one.log("keepalived"));
}

/// The kernel tells who lives and dies to the first network namespace alone, so it cannot be tried
/// here.
#[test]
fn keepalived_understands_the_lines_for_hosts() {
    let _alone = alone();
    if cannot(TOOLS) {
        return;
    }
    let lab = Lab::new();
    let path = lab.one.deploy("keepalived.conf");
    lab.one.run(&format!("sed -i 's/#: //' {path} && grep -q track_process {path}"));
    let output = lab.one.output(&format!("keepalived -t -l -f {path}"));
    assert!(output.status.success(), "{output:?}");
}
