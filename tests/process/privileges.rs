//! What the process may do once it serves, as the kernel says it.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use crate::common::measure::only_linux;
use crate::common::servers::{Home, missing};
use crate::common::{Backend, Balancer, ask, connect, front_args, until};

/// By their numbers in `capability.h`.
const CHOWN: u32 = 0;
const DAC_OVERRIDE: u32 = 1;
const DAC_READ_SEARCH: u32 = 2;
const FOWNER: u32 = 3;
const NET_BIND_SERVICE: u32 = 10;
const NET_RAW: u32 = 13;

/// What `/proc/PID/status` has on this line.
fn said(pid: u32, word: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(':'));
    line.expect("it is there").trim().to_owned()
}

fn capabilities(pid: u32, word: &str) -> BTreeSet<u32> {
    let bits = u64::from_str_radix(&said(pid, word), 16).expect("a number");
    (0..64).filter(|at| bits >> at & 1 == 1).collect()
}

/// Of the process of these, which has begun to serve.
fn kept(balancer: &Balancer) -> BTreeSet<u32> {
    let pid = balancer.pid().as_raw_nonzero().get() as u32;
    let effective = capabilities(pid, "CapEff");
    assert_eq!(capabilities(pid, "CapPrm"), effective);
    assert!(capabilities(pid, "CapInh").is_empty() && capabilities(pid, "CapAmb").is_empty());
    assert_eq!(said(pid, "NoNewPrivs"), "1");
    assert_eq!(said(pid, "Threads"), "1", "they have them one by one");
    effective
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: only root has privileges to give up");
    }
    is_root
}

#[test]
fn root_keeps_what_files_and_low_ports_need() {
    if !only_linux("capabilities") {
        return;
    }
    if !is_root() {
        return;
    }
    let before = capabilities(std::process::id(), "CapEff");
    let backend = Backend::echo();
    let balancer = Balancer::before(&[&backend], &[]);
    let keep = [CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, NET_BIND_SERVICE].into();
    assert_eq!(kept(&balancer), before.intersection(&keep).copied().collect());
    assert_eq!(ask(&connect(balancer.address()), b"word"), b"word");
    balancer.stop();
}

#[test]
fn a_plain_user_has_none_and_may_never_have_any() {
    if !only_linux("capabilities") {
        return;
    }
    let backend = Backend::echo();
    let args = front_args(&[&backend], &[]);
    let balancer = match is_root() && !missing(&["setpriv"]) {
        true => Balancer::start_command(plain(&[]), &args),
        false => Balancer::start(&args),
    };
    if !rustix::process::geteuid().is_root() || !missing(&["setpriv"]) {
        assert_eq!(kept(&balancer), [].into());
    }
    balancer.stop();
}

/// The program as user 65534, with these capabilities.
fn plain(capabilities: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    let plus: Vec<String> = capabilities.iter().map(|it| format!(",+{it}")).collect();
    let set = format!("-all{}", plus.concat());
    command.args(["--inh-caps", &set, "--ambient-caps", &set]);
    command.arg(env!("CARGO_BIN_EXE_pointsman"));
    command
}

#[test]
fn what_a_service_is_given_is_kept_as_far_as_a_reload_needs_it() {
    if !only_linux("capabilities") {
        return;
    }
    if !is_root() || missing(&["setpriv"]) {
        return;
    }
    if !capabilities(std::process::id(), "CapEff").contains(&NET_RAW) {
        println!("skipped: there is no CAP_NET_RAW to give up");
        return;
    }
    let name = format!("pointsman-privileges-{}", std::process::id());
    let home = Home(std::env::temp_dir().join(name));
    fs::create_dir_all(&home.0).expect("a folder");
    std::os::unix::fs::chown(&home.0, Some(65534), Some(65534)).expect("it is ours");
    let backend = Backend::echo();
    let at = backend.address;
    let file = home.0.join("pointsman.toml");
    let text = |ports: &[u16]| {
        let listen: Vec<String> = ports.iter().map(|it| format!("127.0.0.1:{it}")).collect();
        format!(
            "[service.a]\nlisten = {listen:?}\npool = \"a\"\n[pool.a]\ncheck = \
             \"none\"\nbackends = [\"{at}\"]\n"
        )
    };
    fs::write(&file, text(&[0])).expect("a file");
    let path = file.display().to_string();
    let given = ["net_bind_service", "net_raw", "chown"];
    let balancer = Balancer::start_command(plain(&given), &["--config", &path]);
    assert_eq!(kept(&balancer), [NET_BIND_SERVICE].into());
    // A port below 1024 that comes with a reload.
    let low = (600..1000).find(|&port| {
        std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok()
    });
    let low = low.expect("a free port");
    fs::write(&file, text(&[0, low])).expect("a file");
    balancer.signal(rustix::process::Signal::HUP);
    let low = SocketAddr::from(([127, 0, 0, 1], low));
    until("it listens there", || std::net::TcpStream::connect(low).is_ok());
    assert_eq!(ask(&connect(low), b"word"), b"word");
    balancer.stop();
    let socket = format!("[listener.s]\nbind = \"unix:{}/s\"\n", home.0.display());
    let more = "socket_owner = \"65533\"\n[service.b]\nlisten = [\"s\"]\npool = \"a\"\n";
    let port =
        "[listener.p]\nbind = \"127.0.0.1:0\"\n[service.p]\nlisten = [\"p\"]\npool = \"a\"\n";
    fs::write(&file, format!("{port}{socket}{more}{}", text(&[0]))).expect("a file");
    let balancer = Balancer::start_command(plain(&given), &["--config", &path]);
    assert_eq!(kept(&balancer), [CHOWN, NET_BIND_SERVICE].into());
    balancer.stop();
}
