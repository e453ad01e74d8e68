//! Two processes at one port of one machine: what is lost when one of them goes.

use std::fs;
use std::net::{SocketAddr, TcpStream};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::until;

use super::alone;
use super::lab::{Machine, PROGRAM, cannot};
use super::load::{Load, ask, ask_on, backends, connect};

const SHARED: &str = "127.0.0.1:80";
const BACKEND: &str = "127.0.0.1:8080";

fn to() -> SocketAddr {
    SHARED.parse().expect("an address")
}

/// What becomes of connections that one process has not accepted when it closes its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Queue {
    /// They are reset, as the kernel has it by itself.
    Reset,
    /// The others at the port get them.
    Migrates,
}

/// A machine with two pointsmen at its port 80.
struct Lab {
    machine: Machine,
    processes: [Pid; 2],
}

impl Lab {
    fn new(queue: Queue) -> Lab {
        let machine = Machine::start("host");
        let value = u8::from(queue == Queue::Migrates);
        machine.run(&format!("sysctl -qw net.ipv4.tcp_migrate_req={value}"));
        backends(&machine, &[("one", BACKEND)]);
        let start = |name: &str| {
            let admin = format!("unix:/run/{name}.sock");
            let line = format!(
                "{PROGRAM} -l http://{SHARED} -b {BACKEND} --reuse-port --admin {admin}"
            );
            machine.spawn(&line, name);
            let health = format!("{PROGRAM} ctl health --admin {admin}");
            until("it is well", || machine.output(&health).status.success());
            machine.processes("pointsman")
        };
        let first = start("one");
        let mut both = start("two");
        both.retain(|it| !first.contains(it));
        let processes = [first[0], both[0]];
        Lab { machine, processes }
    }

    fn parent(&self, at: usize) -> Pid {
        let status = fs::read_to_string(format!("/proc/{}/status", self.processes[at]));
        let status = status.expect("nobody has seen it end");
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        let parent = line.and_then(|it| Pid::from_raw(it.trim().parse().ok()?));
        parent.expect("it has a parent")
    }

    fn signal(&self, at: usize, signal: Signal) {
        kill_process(self.processes[at], signal).expect("it runs");
    }
}

#[test]
fn who_waits_to_be_accepted_by_one_that_dies_is_reset_or_migrates() {
    let _alone = alone();
    if cannot(&[]) {
        return;
    }
    for queue in [Queue::Reset, Queue::Migrates] {
        let lab = Lab::new(queue);
        // It accepts nobody any more, as if it were busy, and then it dies.
        lab.signal(0, Signal::STOP);
        let mut waiting: Vec<TcpStream> = lab.machine.inside(|| {
            (0..100).map(|_| connect(None, to()).expect("somebody listens")).collect()
        });
        lab.signal(0, Signal::KILL);
        let parent = lab.parent(0);
        until("it is gone", || {
            // nsenter stops with its child, and has to see how that ends.
            let _ = kill_process(parent, Signal::CONT);
            lab.machine.processes("pointsman").len() == 1
        });
        let lost = waiting.iter_mut().filter_map(|it| ask_on(it).err()).count();
        println!("{queue:?}: {lost} of {} that were being accepted are lost", waiting.len());
        match queue {
            Queue::Reset => assert!((20..=80).contains(&lost), "{lost}"),
            Queue::Migrates => assert_eq!(lost, 0),
        }
    }
}

#[test]
fn a_planned_stop_of_one_loses_next_to_nothing() {
    let _alone = alone();
    if cannot(&[]) {
        return;
    }
    for queue in [Queue::Reset, Queue::Migrates] {
        let lab = Lab::new(queue);
        let load = Load::busy(&lab.machine, SHARED);
        load.wait_for(300);
        lab.signal(0, Signal::TERM);
        until("it has ended", || lab.machine.processes("pointsman").len() == 1);
        load.wait_for(300);
        let missed = load.stop();
        println!("{queue:?}: told to stop: {missed}");
        assert!(missed.lost <= 8, "{missed}");
        assert!(lab.machine.inside(|| ask(None, to()).is_ok()));
    }
}
