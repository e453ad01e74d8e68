//! Several processes on one machine: ports that they share, clients that they place alike, and a
//! command at all of them.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;

use crate::common::servers::Home;
use crate::common::udp::UdpBackend;
use crate::common::{Backend, Balancer, connect_from, free_port, read_to_end};

const SHARED: &str = "--reuse-port";

fn home(name: &str) -> Home {
    let home = std::env::temp_dir().join(format!("pointsman-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    Home(home)
}

fn flags<'a>(listen: &'a str, backends: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let backends = backends.iter().flat_map(|it| ["-b", it]);
    let front = ["-l", listen, "--check", "none"];
    front.into_iter().chain(backends).chain(more.iter().copied()).collect()
}

/// What is said by one that cannot start.
fn refused(mut command: Command, args: &[&str]) -> String {
    let output = command.args(args).args(["--log-level", "off"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pointsman"))
}

/// Who answers a connection from this address.
fn answer(from: &str, to: SocketAddr) -> String {
    String::from_utf8(read_to_end(&connect_from(from, to)).bytes()).unwrap()
}

#[test]
fn processes_that_share_a_port_each_get_clients() {
    // A backend of each says which of them it was.
    let backends = [Backend::named("one"), Backend::named("two")];
    let listen = free_port().to_string();
    let of = |at: usize| [backends[at].flag()];
    let start = |at: usize| Balancer::start(&flags(&listen, &of(at), &[SHARED]));
    let both = [start(0), start(1)];
    let mut counts = [0; 2];
    for _ in 0..200 {
        match &*answer("127.0.0.1", both[0].address()) {
            "one" => counts[0] += 1,
            _ => counts[1] += 1,
        }
    }
    // A hash of 200 ports: fewer than 50 at one of them has never been seen.
    assert!(counts.iter().all(|&it| it > 50), "{counts:?}");
    let [one, two] = both;
    one.stop();
    for _ in 0..20 {
        assert_eq!(answer("127.0.0.1", two.address()), "two");
    }
}

#[test]
fn processes_that_share_a_port_of_udp_each_get_clients() {
    let backends = [UdpBackend::named("one"), UdpBackend::named("two")];
    let listen = format!("udp://{}", free_port());
    let of = |at: usize| [backends[at].address.to_string()];
    let start = |at: usize| Balancer::start(&flags(&listen, &of(at), &[SHARED]));
    let both = [start(0), start(1)];
    let mut counts = [0; 2];
    for _ in 0..100 {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.connect(both[0].address()).unwrap();
        let mut buffer = [0; 16];
        // A client stays where it is.
        let mut asked = || {
            client.send(b"x").unwrap();
            let count = client.recv(&mut buffer).expect("an answer");
            buffer[..count] == *b"one"
        };
        let first = asked();
        assert_eq!(asked(), first);
        counts[usize::from(!first)] += 1;
    }
    assert!(counts.iter().all(|&it| it > 20), "{counts:?}");
}

#[test]
fn a_port_is_shared_only_by_those_who_all_want_it() {
    let one = Backend::named("one");
    let backend = [one.flag()];
    for scheme in ["", "udp://"] {
        let listen = format!("{scheme}{}", free_port());
        let alone = Balancer::start(&flags(&listen, &backend, &[]));
        let text = refused(program(), &flags(&listen, &backend, &[SHARED]));
        let says = format!(
            "--listen {listen}: the port is in use by a process that does not share it, or that \
             another user started: stop it, or start all as one user and with --reuse-port\n"
        );
        assert!(text.ends_with(&says), "{text}");
        drop(alone);
        let _shared = Balancer::start(&flags(&listen, &backend, &[SHARED]));
        let text = refused(program(), &flags(&listen, &backend, &[]));
        assert!(text.contains("the port is in use; stop who uses it"), "{text}");
    }
}

#[test]
fn a_port_is_shared_by_processes_of_one_user_alone() {
    if !rustix::process::getuid().is_root()
        || Command::new("setpriv").arg("-V").output().is_err()
    {
        println!("skipped: needs root and setpriv");
        return;
    }
    let one = Backend::named("one");
    let backend = [one.flag()];
    let listen = free_port().to_string();
    let _ours = Balancer::start(&flags(&listen, &backend, &[SHARED]));
    let mut other = Command::new("setpriv");
    other.args(["--reuid=65534", "--clear-groups", env!("CARGO_BIN_EXE_pointsman")]);
    let text = refused(other, &flags(&listen, &backend, &[SHARED]));
    assert!(text.contains("or that another user started"), "{text}");
}

#[test]
fn a_unix_socket_is_shared_by_nobody() {
    let output = program().args(["-l", "unix:/x", "-b", "a:1", SHARED]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--reuse-port: found no listener with a port"), "{text}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn whether_a_port_is_shared_is_settled_at_the_start() {
    let home = home("share-later");
    let one = Backend::named("one");
    let backend = one.flag();
    let file = home.0.join("it.toml");
    let write = |shares: bool| {
        let text = format!(
            "[listener.a]\nbind = \"tcp://127.0.0.1:0\"\nreuse_port = {shares}\n\
             [service.a]\nlisten = [\"a\"]\npool = \"a\"\n\
             [pool.a]\ncheck = {{ kind = \"none\" }}\nbackends = [\"{backend}\"]\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    write(false);
    let balancer = Balancer::start(&["--config", file.to_str().unwrap()]);
    write(true);
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("`listener.reuse_port` has changed, which only the next start heeds");
}

/// By names of backends, and by no seed.
#[test]
fn all_processes_place_a_client_alike() {
    let backends = ["one", "two", "three"].map(Backend::named);
    let mut order: Vec<String> = backends
        .iter()
        .zip(["one", "two", "three"])
        .map(|(backend, name)| format!("{},name={name}", backend.flag()))
        .collect();
    let clients: Vec<String> = (1..=60).map(|number| format!("127.0.7.{number}")).collect();
    for algorithm in ["consistent-hash", "ip-hash"] {
        let mut placed = |seed: &str| {
            let more = ["--balance", algorithm, "--seed", seed];
            let balancer = Balancer::start(&flags("127.0.0.1:0", &order, &more));
            order.rotate_left(1);
            let to = balancer.address();
            clients.iter().map(|from| answer(from, to)).collect::<Vec<String>>()
        };
        let first = placed("1");
        assert_eq!(first, placed("2"), "{algorithm}");
        let mut used = first;
        used.sort();
        used.dedup();
        assert_eq!(used.len(), 3, "{algorithm}");
    }
}

struct Two {
    home: Home,
    balancers: Vec<Balancer>,
    _backend: Backend,
}

impl Two {
    fn start(name: &str) -> Two {
        let home = home(name);
        let backend = Backend::named("one");
        let of = [format!("{},name=a", backend.flag())];
        let start = |at: &str| {
            let admin = format!("unix:{}/{at}.sock", home.0.display());
            Balancer::start(&flags("127.0.0.1:0", &of, &["--admin", &admin]))
        };
        let balancers = vec![start("1"), start("2")];
        Two { home, balancers, _backend: backend }
    }

    fn place(&self, at: &str) -> String {
        format!("unix:{}/{at}.sock", self.home.0.display())
    }

    fn ctl(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let places = [self.place("1"), self.place("2")];
        let mut command = program();
        command.arg("ctl").args(args);
        command.args(["--admin", &places[0], "--admin", &places[1]]);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }
}

#[test]
fn a_command_of_ctl_is_done_at_each_of_several() {
    let mut two = Two::start("ctl-several");
    let [one, other] = [two.place("1"), two.place("2")];
    let (code, out, _) = two.ctl(&["weight", "a", "3"]);
    let done = "main/a: weight 1 -> 3 (configured 1)\n";
    assert_eq!((code, out), (Some(0), format!("{one}:\n{done}{other}:\n{done}")));
    let (code, out, _) = two.ctl(&["show", "--json"]);
    let documents: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, documents.len()), (Some(0), 2), "{out}");
    // The exit code is the worst, and who comes later is asked all the same.
    two.balancers.remove(0).stop();
    let (code, out, err) = two.ctl(&["health"]);
    assert_eq!((code, out), (Some(1), format!("{one}:\n{other}:\nhealthy\n")));
    assert!(err.starts_with(&format!("pointsman ctl: {one}: ")), "{err}");
    assert_eq!(err.matches(&one).count(), 2, "its name once, and once in the hint: {err}");
}

#[test]
fn what_several_cannot_be_asked_is_said() {
    let two = Two::start("ctl-refused");
    for (args, says) in [
        (&["events"][..], "events: found several --admin, want one"),
        (&["config", "put", "-"], "config: found - for several --admin, want a file"),
        (&["show", "--admin", &two.place("1")], "twice, want each once"),
    ] {
        let (code, _, err) = two.ctl(args);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(says), "{err}");
    }
}
