//! Machines on a network: each is a namespace of network, processes, mounts and host name, with a
//! `/run` of its own. All of it lives as long as the standard input of its first process is open,
//! so nothing stays behind, however a test ends; and nothing of it is seen outside.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::common::servers::missing;
use crate::common::until;

/// What the first process of a machine does.
const INIT: &str = "exec 2>&1; mount -t tmpfs tmpfs /run && mkdir -p /run/bird /run/pointsman && \
                    hostname \"$0\" && ip link set lo up && echo ready && exec cat";

/// Whether machines cannot be made here, or one of these tools is not here: said, and under
/// `CI=true` a failure.
pub fn cannot(tools: &[&str]) -> bool {
    if missing(&["unshare", "nsenter"]) || missing_ip() || missing(tools) {
        return true;
    }
    let tried = unshare().args(["mount", "-t", "tmpfs", "tmpfs", "/run"]).output();
    let Some(output) = tried.ok().filter(|it| !it.status.success()) else { return false };
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no namespaces: {why}");
    println!("skipped: no namespaces can be made here: {}", why.trim());
    true
}

/// It has no `--version`.
fn missing_ip() -> bool {
    let is_here = Command::new("ip").arg("-V").output().is_ok();
    assert!(is_here || std::env::var("CI").as_deref() != Ok("true"), "there is no ip");
    if !is_here {
        println!("skipped: there is no ip");
    }
    !is_here
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--uts", "--pid", "--fork", "--kill-child"]);
    command.arg("--mount-proc");
    command
}

/// A machine; with all that runs on it gone when dropped.
pub struct Machine {
    name: &'static str,
    unshare: Child,
    /// Its first process, as it is known outside.
    init: Pid,
    network: File,
}

impl Machine {
    /// One without a network.
    pub fn start(name: &'static str) -> Machine {
        let mut command = unshare();
        command.args(["sh", "-c", INIT, name]);
        let mut unshare = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = unshare.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says something");
        assert_eq!(line, "ready\n", "{name}");
        let pid = unshare.id();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(path).expect("it runs");
        let init = children.trim().parse().ok().and_then(Pid::from_raw).expect("one child");
        let network = File::open(format!("/proc/{init}/ns/net")).expect("it runs");
        Machine { name, unshare, init, network }
    }

    /// To run a program on it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init));
        command.args(["--net", "--mount", "--uts", "--pid", "--", program]);
        command.stdin(Stdio::null());
        command
    }

    /// Run a line of the shell on it to its end.
    pub fn output(&self, line: &str) -> Output {
        self.command("sh").args(["-c", line]).output().expect("it starts")
    }

    /// The same, which has to succeed; what it prints.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        let output = self.output(line);
        assert!(output.status.success(), "{}: {line}: {output:?}", self.name);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Run a program on it for as long as it lives; what it says is kept in a file of its name.
    pub fn spawn(&self, line: &str, log: &str) {
        let line = format!("exec {line} >/run/{log}.log 2>&1");
        let mut child = self.command("sh").args(["-c", &line]).spawn().expect("it starts");
        // Nobody asks how it ended, but somebody has to wait.
        thread::spawn(move || child.wait());
    }

    /// What a program of [`Machine::spawn`] said.
    pub fn log(&self, log: &str) -> String {
        self.run(&format!("cat /run/{log}.log"))
    }

    /// A file in its `/run`.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = format!("/run/{name}");
        // As seen from outside.
        fs::write(format!("/proc/{}/root{path}", self.init), text).expect("its /run");
        path
    }

    /// Its processes of this name, as they are known outside.
    pub fn processes(&self, name: &str) -> Vec<Pid> {
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let ours = namespace(&self.init.to_string()).expect("it runs");
        let all = fs::read_dir("/proc").expect("mounted").filter_map(Result::ok);
        let all = all.filter_map(|entry| entry.file_name().into_string().ok());
        let is_named = |pid: &String| {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
            comm.is_ok_and(|comm| comm.trim() == name) && namespace(pid).as_ref() == Some(&ours)
        };
        let found = all.filter(|it| it.parse::<u32>().is_ok()).filter(is_named);
        found.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
    }

    /// Send a signal to all its processes of this name, of which there is one at least.
    #[track_caller]
    pub fn signal(&self, name: &str, signal: Signal) {
        let found = self.processes(name);
        assert!(!found.is_empty(), "{}: no {name} runs", self.name);
        found.into_iter().for_each(|pid| kill_process(pid, signal).expect("it runs"));
    }

    /// Do something on its network: sockets that are made meanwhile are there for good, and so are
    /// threads with all that they make.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.network.as_fd(), network).expect("it is ours");
            act()
        };
        thread::scope(|scope| scope.spawn(entered).join().expect("no panic inside"))
    }

    /// One at the bridge `br0` of another machine.
    pub fn at_switch(name: &'static str, switch: &Machine, address: &str) -> Machine {
        let machine = Machine::start(name);
        machine.plug(switch, "eth0", address);
        switch.run(&format!("ip link set {name} master br0"));
        machine
    }

    /// A wire from its interface `eth0`, or another one, to a port of the switch, which has the
    /// name of the machine; with an address.
    pub fn plug(&self, switch: &Machine, interface: &str, address: &str) {
        let name = self.name;
        let peer = self.init;
        let line = format!(
            "ip link add {name} type veth peer name {interface} netns {peer} && \
             ip link set {name} up"
        );
        // The number of the other process means something outside alone.
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", switch.init));
        let output = command.args(["--net", "--", "sh", "-c", &line]).output();
        assert!(output.as_ref().is_ok_and(|it| it.status.success()), "{line}: {output:?}");
        self.run(&format!(
            "ip addr add {address} dev {interface} && ip link set {interface} up"
        ));
    }

    /// The file of a pointsman, a keepalived or a BIRD, as `docs/deploy/ha` has it, but that the
    /// program is the one built here.
    pub fn deploy(&self, name: &str) -> String {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/deploy/ha").join(name);
        let text = fs::read_to_string(path).expect("it is there");
        self.write(name, &text.replace("/usr/bin/pointsman", PROGRAM))
    }

    /// A pointsman of a file of [`Machine::deploy`]; on return it serves.
    pub fn start_pointsman(&self, file: &str) {
        let path = self.deploy(file);
        self.spawn(&format!("{PROGRAM} --config {path}"), "pointsman");
        until("pointsman is well", || self.is_well());
    }

    /// Whether its pointsman is well.
    pub fn is_well(&self) -> bool {
        self.output(&format!("{PROGRAM} ctl health")).status.success()
    }
}

/// What is tested.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pointsman");

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() {
            let logs = self.output("tail -n 25 /run/*.log; ip -br addr; ip route");
            eprintln!("{}:\n{}", self.name, String::from_utf8_lossy(&logs.stdout));
        }
        let _ = kill_process(self.init, Signal::KILL);
        let _ = self.unshare.wait();
    }
}
