//! Starting: what can fail for want of a port or a name, and where it listens.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Backend, Balancer, End, ask, connect, front_args, read_to_end, until};

/// The one line with which it gives up, and exit code 1.
fn complaint(listen: &str, backend: &str) -> String {
    complaint_at(&["-l", listen, "-b", backend])
}

fn complaint_at(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(args)
        .args(["--log-level", "error"])
        .output()
        .expect("it starts");
    let text = String::from_utf8(output.stderr).expect("it speaks UTF-8");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty(), "it does not listen");
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    text.trim_end().to_string()
}

#[test]
fn a_port_in_use_is_named() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let line = complaint(&address, "127.0.0.1:1");
    assert!(line.starts_with(&format!("pointsman: --listen {address}: the port is in use")));
}

#[test]
fn the_same_port_twice_is_named() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    drop(holder);
    let wildcard = format!("0.0.0.0:{}", address.rsplit(':').next().unwrap());
    let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["-l", &address, "-l", &wildcard, "-b", "127.0.0.1:1", "--log-level", "error"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{text}");
    assert!(text.contains("--listen") && text.contains(&wildcard), "{text}");
}

#[test]
fn an_address_of_another_machine_is_named() {
    // TEST-NET-1 is nobody's (RFC 5737).
    let line = complaint("192.0.2.1:0", "127.0.0.1:1");
    assert!(line.starts_with("pointsman: --listen 192.0.2.1:0: this machine does not have"));
}

/// A name that nobody knows is a backend that is down, and no reason not to serve the others.
#[test]
fn an_unknown_host_is_down_and_told() {
    let origin = Backend::named("a");
    // The name is nobody's for ever (RFC 6761), and nobody answers at this port.
    let backend = ["-b", "nobody.invalid:80", "--resolver", "127.0.0.1:1"];
    let flag = origin.flag();
    let args = [&["-l", "127.0.0.1:0", "-b", &*flag][..], &backend].concat();
    let balancer = Balancer::start(&args);
    balancer.wait_for_log("name nobody.invalid:80: no answer");
    balancer.wait_for_log("it is looked up again and again");
    for _ in 0..4 {
        assert_eq!(read_to_end(&balancer.connect()).bytes(), b"a");
    }
    balancer.stop();
}

/// What is said at the default level by a program that does not start.
fn all_that_is_said(args: &[&str]) -> String {
    let (text, code) = said_and_code(args);
    assert_eq!(code, Some(1), "{text}");
    text
}

fn said_and_code(args: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_pointsman")).args(args).output().unwrap();
    let text = String::from_utf8(output.stderr).expect("it speaks UTF-8");
    assert!(output.stdout.is_empty(), "it does not listen");
    (text, output.status.code())
}

/// Each connection would come back to us, until no descriptor is left. What the command line says
/// by itself is a wrong flag.
#[test]
fn a_backend_that_is_a_listener_is_refused() {
    let port = crate::common::free_port().port();
    let at = |host: &str| format!("{host}:{port}");
    let table = [
        (at("127.0.0.1"), at("127.0.0.1"), 2),
        (at("127.0.0.1"), at("localhost"), 1),
        (at("0.0.0.0"), at("127.0.0.1"), 2),
        (at("0.0.0.0"), at("127.9.9.9"), 2),
        (at("0.0.0.0"), at("localhost"), 1),
        (at("http://*"), at("http://127.0.0.1"), 2),
        (at("[::]"), at("127.0.0.1"), 2),
        (at("udp://127.0.0.1"), at("127.0.0.1"), 2),
    ];
    for (listen, backend, expected) in table {
        let (text, code) = said_and_code(&["-l", &listen, "-b", &backend]);
        assert_eq!(code, Some(expected), "{listen} {backend}: {text}");
        let line = text.trim_end();
        assert_eq!(line.lines().count(), 1, "{listen} {backend}: {text}");
        assert!(line.starts_with("pointsman: --backend "), "{listen} {backend}: {line}");
        let says =
            "listens: each connection would come back to us, want the address of a server";
        assert!(line.ends_with(says), "{listen} {backend}: {line}");
    }
    // To another listener of ours is no way back.
    let sni = ["-l", "sni://127.0.0.1:0", "-l", &at("127.0.0.1"), "-b", "127.0.0.1:1"];
    let route = format!("a.example={}", at("127.0.0.1"));
    let more = ["--route", &route, "--check", "none"];
    Balancer::start(&[&sni[..], &more].concat()).stop();
}

/// Together with what else is wrong, and before anything is logged.
#[test]
fn what_leads_back_to_us_is_told_with_the_rest_and_first() {
    let port = crate::common::free_port().port();
    let listen = format!("sni://127.0.0.1:{port}");
    let begins = |args: &[&str], expected: i32, begins: &[&str]| {
        let (text, code) = said_and_code(&[&["-l", &listen], args].concat());
        assert_eq!(code, Some(expected), "{text}");
        let told: Vec<&str> = text.lines().collect();
        assert_eq!(told.len(), begins.len(), "{text}");
        for begin in begins {
            let begin = format!("pointsman: {begin}");
            assert!(told.iter().any(|line| line.starts_with(&begin)), "{text}\n  not: {begin}");
        }
    };
    let route = format!("a.example=127.0.0.1:{port}");
    let back =
        format!("--route 127.0.0.1:{port}: found 127.0.0.1:{port}, where --listen sni://");
    begins(&["--route", &route, "--rise", "0"], 2, &[&*back, "--rise: found '0'"]);
    let route = format!("a.example=localhost:{port}");
    let back = format!("--route localhost:{port}: found ");
    begins(&["--route", &*route], 1, &[&*back]);
    // Who probes us knows nothing of the server.
    let route = format!("a.example=127.0.0.1:1,check-port={port}");
    let back = format!("--route 127.0.0.1:1: found 127.0.0.1:{port}, where --listen sni://");
    begins(&["--route", &route], 2, &[&*back]);
    let backend = format!("localhost:1,check-port={port}");
    begins(&["-b", &backend], 1, &["--backend localhost:1: found "]);
    Balancer::start(&["-l", &listen, "-b", &backend, "--check", "none"]).stop();
}

#[test]
fn all_that_is_missing_is_told_at_once_and_files_before_anything_else() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let listen = format!("https://{address}");
    let back = format!("localhost:{}", holder.local_addr().unwrap().port());
    let args = ["-l", &listen, "-b", "127.0.0.1:1", "-b", &back];
    let files = ["--cert", "/no/a.crt", "--key", "/no/a.key", "--cert", "/no/b.crt"];
    let more = ["--key", "/no/b.key", "--client-ca", "/no/ca.crt", "--access-log", "/no/log"];
    let text = all_that_is_said(&[&args[..], &files, &more].concat());
    let told = text.lines().filter_map(|line| line.strip_prefix("pointsman: "));
    let told: Vec<&str> = told.collect();
    let begins = [
        "--cert: /no/a.crt: there is no such file",
        "--key: /no/a.key: there is no such file",
        "--cert: /no/b.crt: there is no such file",
        "--key: /no/b.key: there is no such file",
        "--client-ca: /no/ca.crt: there is no such file",
        "--access-log /no/log: there is no such file",
        &format!("--listen {address}: the port is in use"),
        &format!("--backend {back}: found {address}, where --listen https://"),
    ];
    assert_eq!(told.len(), begins.len(), "{text}");
    for (line, begin) in told.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}\n  not: {begin}");
    }
    assert!(!text.contains("os error") && !text.contains("INFO"), "{text}");
}

/// What can be meant, but hardly is.
#[test]
fn what_is_odd_is_warned_of() {
    let start = |args: &[&str]| {
        let front = ["-l", "sni://127.0.0.1:0"];
        Balancer::start(&[&front[..], args].concat())
    };
    let table = [
        (&["-b", "127.0.0.1:1,weight=0"][..], "--backend: found weight=0 at each"),
        (&["-b", "127.0.0.1:1,backup"], "--backend: found backup at each"),
        (
            &["-b", "127.0.0.1:1", "--check-interval", "1s", "--check-timeout", "3s"],
            "--check-timeout: found 3s, which is above --check-interval 1s",
        ),
        (
            &["--route", "a.example=127.0.0.1:1,weight=0"],
            "--route a.example: found weight=0 at each",
        ),
        (&["--route", "*.b=127.0.0.1:1,backup"], "--route *.b: found backup at each"),
        (
            &["-b", "127.0.0.1:1", "-b", "127.0.0.1:2,backup", "--route", "c=127.0.0.1:2"],
            "--route c: found backup at each",
        ),
        (
            &["-b", "localhost:1", "-b", "127.0.0.1:1"],
            "--backend: backends localhost:1 and 127.0.0.1:1 are one server at 127.0.0.1:1: it \
             gets twice the share",
        ),
        (
            &["--route", "d=127.0.0.1:1,[::ffff:127.0.0.1]:1,127.0.0.1:1,name=x"],
            "--route d: backends 127.0.0.1:1, [::ffff:127.0.0.1]:1 and x are one server at \
             127.0.0.1:1: it gets 3 times the share",
        ),
        (
            &["-b", "127.0.0.1:1", "-b", "127.0.0.1:1,backup,name=x"],
            "--backend: backends 127.0.0.1:1 and x are one server at 127.0.0.1:1: the backup is \
             down when it is",
        ),
    ];
    for (args, says) in table {
        let balancer = start(args);
        balancer.wait_for_log(&format!("WARN  {says}"));
        balancer.stop();
    }
    warns_of_limits_without_effect();
    let good = ["-b", "127.0.0.1:1,weight=0", "-b", "127.0.0.1:2,backup"];
    let routes =
        ["--route", "a=127.0.0.1:1,name=y", "--route", "b=127.0.0.1:1,weight=0,127.0.0.1:2"];
    let balancer = start(&[&good[..], &routes, &["--check-interval", "20ms"]].concat());
    assert!(!balancer.log().contains("] --"), "{}", balancer.log());
    balancer.stop();
}

/// Each would be believed in, and none of them ends a start.
fn warns_of_limits_without_effect() {
    let limits = [
        "--max-body=1k",
        "--trusted-proxies=10.0.0.0/8",
        "--abort-on-close=off",
        "--eject-after=3",
        "--header-timeout=3s",
        "--keep-alive=3s",
        "--server-timeout=3s",
    ];
    let args = [&["-l", "tcp://127.0.0.1:0", "-b", "127.0.0.1:1"][..], &limits].concat();
    let balancer = Balancer::start(&[&args[..], &["--tls-handshake-timeout=3s"]].concat());
    for flag in limits.map(|limit| limit.split('=').next().unwrap_or_default()) {
        balancer.wait_for_log(&format!("{flag}: found no http:// listener, want at least one"));
    }
    balancer
        .wait_for_log("--tls-handshake-timeout: found no https://, tls:// or sni:// listener");
    balancer.stop();
}

/// A limit by client that limits clients together, and limits of what does not come in.
#[test]
fn limits_of_clients_that_do_not_do_what_is_wanted_are_warned_of() {
    let args = ["-l", "tcp://127.0.0.1:0", "-b", "127.0.0.1:1", "--max-connections", "100"];
    let limits = ["--limit-connections", "5", "--limit-clients", "128"];
    let balancer = Balancer::start(&[&args[..], &limits, &["--limit-flows", "3"]].concat());
    balancer.wait_for_log(
        "WARN  --limit-clients: found 128, which is under twice --max-connections 100: with so \
         many connected, clients are counted with neighbours by --limit-connections, want 200 or \
         more",
    );
    balancer.wait_for_log(
        "WARN  --limit-flows: found a limit of datagrams, and no listener where any come in, want \
         a listener at udp://",
    );
    balancer.stop();
    let enough = ["--limit-connections", "5", "--limit-clients", "256"];
    let balancer = Balancer::start(&[&args[..], &enough].concat());
    assert!(!balancer.log().contains("--limit-clients"), "{}", balancer.log());
    balancer.stop();
}

/// Whether this machine has IPv6 at all.
fn has_ipv6() -> bool {
    let bound = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !bound {
        println!("skipped: no IPv6 here");
    }
    bound
}

fn answers(address: SocketAddr) {
    let end = read_to_end(&connect(address));
    assert_eq!(end, End::Finished(b"here".to_vec()), "{address}");
}

#[test]
fn several_listeners_lead_to_the_same_backends() {
    if !has_ipv6() {
        return;
    }
    let backend = Backend::named("here");
    let more = ["-l", "tcp://[::1]:0", "-l", "127.0.0.1:0"];
    let balancer = Balancer::start(&front_args(&[&backend], &more));
    assert_eq!(balancer.addresses.len(), 3);
    assert!(balancer.addresses.iter().all(|address| address.port() != 0), "the real ones");
    assert_eq!(balancer.addresses[1].ip(), Ipv6Addr::LOCALHOST);
    balancer.addresses.iter().for_each(|address| answers(*address));
    let names: Vec<String> =
        balancer.addresses.iter().map(|it| format!("tcp://{it}")).collect();
    balancer.wait_for_log(&format!(" INFO  listening on {}\n", names.join(", ")));
    balancer.stop();
}

#[test]
fn a_range_of_ports_is_a_listener_and_a_backend_for_each() {
    // Ports in a row that nobody has, nor is told that they are free: all are asked for.
    let free = std::iter::repeat_with(crate::common::free_port)
        .take(1000)
        .find(|first| (1..4).all(|by| crate::common::free_port().port() == first.port() + by));
    let first = free.expect("ports in a row").port();
    let at = |by: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, first + by));
    let named = |name: &'static [u8]| {
        move |mut stream: TcpStream| {
            let _ = std::io::Write::write_all(&mut stream, name);
        }
    };
    let _third = Backend::start_at(at(2), named(b"third"));
    let _fourth = Backend::start_at(at(3), named(b"fourth"));
    let listen = format!("127.0.0.1:{first}-{}", first + 1);
    let datagrams = format!("udp://127.0.0.1:{first}-{}", first + 1);
    let backends = format!("127.0.0.1:{}-{},weight=2", first + 2, first + 3);
    let args = ["-l", &listen, "-l", &datagrams, "-b", &backends, "--check", "none"];
    let balancer = Balancer::start(&[&args[..], &["--balance", "round-robin"]].concat());
    let names = ["tcp", "udp"].map(|it| format!("{it}://{}, {it}://{}", at(0), at(1)));
    balancer.wait_for_log(&format!("listening on {}", names.join(", ")));
    let mut said = Vec::new();
    for listener in [at(0), at(1)] {
        let End::Finished(bytes) = read_to_end(&connect(listener)) else { panic!("cut short") };
        said.push(String::from_utf8(bytes).expect("text"));
    }
    said.sort();
    assert_eq!(said, ["fourth", "third"]);
    balancer.stop();
}

#[test]
fn the_ipv6_wildcard_takes_ipv4_too() {
    if !has_ipv6() {
        return;
    }
    let backend = Backend::named("here");
    let args = ["-l", "[::]:0", "--check", "none", "--balance", "ip-hash", "-b"];
    let balancer = Balancer::start(&[&args[..], &[&backend.flag()]].concat());
    let port = balancer.address().port();
    answers((Ipv6Addr::LOCALHOST, port).into());
    answers((Ipv4Addr::LOCALHOST, port).into());
    // A mapped address is shown as what it is.
    balancer.wait_for_log("accepted 127.0.0.1:");
    balancer.stop();
}

#[test]
fn both_wildcards_may_share_a_port() {
    if !has_ipv6() {
        return;
    }
    let backend = Backend::named("here");
    let port = crate::common::free_port().port();
    let four = format!("0.0.0.0:{port}");
    let six = format!("[::]:{port}");
    for [first, second] in [[&four, &six], [&six, &four]] {
        let args = ["-l", first, "-l", second, "--check", "none", "-b"];
        let balancer = Balancer::start(&[&args[..], &[&backend.flag()]].concat());
        answers((Ipv6Addr::LOCALHOST, port).into());
        answers((Ipv4Addr::LOCALHOST, port).into());
        balancer.stop();
    }
}

#[test]
fn a_backend_may_be_ipv6() {
    if !has_ipv6() {
        return;
    }
    let local = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let backend = Backend::start_at(local, |mut stream| {
        let _ = std::io::Write::write_all(&mut stream, b"here");
    });
    let balancer = Balancer::before(&[&backend], &[]);
    answers(balancer.address());
    balancer.stop();
}

/// Many backends, so that the start takes a while after it has handlers for signals: until then
/// one ends it, as it does any process.
fn start_with_many_backends() -> Child {
    let backends = (1..=2_000).flat_map(|n| ["-b".to_string(), format!("localhost:{n}")]);
    let child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["-l", "127.0.0.1:0", "--check", "none", "--log-level", "info"])
        .args(backends)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    until("it has handlers", || {
        [Signal::HUP, Signal::INT, Signal::USR1, Signal::TERM]
            .iter()
            .all(|it| catches(&child, *it))
    });
    child
}

fn catches(child: &Child, signal: Signal) -> bool {
    let path = format!("/proc/{}/status", child.id());
    let status = std::fs::read_to_string(path).expect("it is there");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a line");
    let mask = u64::from_str_radix(mask.trim(), 16).expect("hexadecimal");
    mask >> (signal.as_raw() - 1) & 1 == 1
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// SIGHUP and SIGUSR1 end a process that has no handlers for them.
#[test]
fn signals_during_the_start_are_kept_for_the_first_turn() {
    for _ in 0..5 {
        let mut child = start_with_many_backends();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let listens = thread::spawn(move || stdout.lines().next().is_some());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let page = thread::spawn(move || {
            stderr.lines().map_while(Result::ok).any(|line| line.contains(" accepted: "))
        });
        while !listens.is_finished() {
            for signal in [Signal::HUP, Signal::USR1] {
                let sent = kill_process(pid(&child), signal);
                assert!(sent.is_ok() && child.try_wait().unwrap().is_none(), "it was killed");
            }
            thread::yield_now();
        }
        assert!(listens.join().unwrap(), "it listens");
        until("the status page is written", || page.is_finished());
        assert!(page.join().unwrap(), "the status page");
        kill_process(pid(&child), Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_stop_during_the_start_ends_it_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = start_with_many_backends();
        kill_process(pid(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

/// With at most so many open files.
fn with_descriptors(limit: u32) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {limit}; exec \"$@\"");
    shell.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_pointsman")]);
    shell
}

#[test]
fn a_limit_of_open_files_that_leaves_room_for_few_is_warned_of() {
    let backend = Backend::echo();
    let args = front_args(&[&backend], &[]);
    let balancer = Balancer::start_command(with_descriptors(60), &args);
    let few = |line: &&str| line.contains("by the limit of 60 open files");
    balancer.wait_for_log("by the limit of 60 open files");
    let log = balancer.log_so_far();
    let line = log.lines().find(few).expect("it was said");
    assert!(line.contains(" WARN ") && line.contains("LimitNOFILE="), "{line}");
    balancer.stop();
}

/// What it says when it gives up with so few; nothing, if it listens.
fn gives_up_with(limit: u32, args: &[&str]) -> Option<String> {
    let mut command = with_descriptors(limit);
    command.args(args).args(["--log-level", "error"]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if !line.is_empty() {
        child.kill().unwrap();
        child.wait().unwrap();
        return None;
    }
    let output = child.wait_with_output().unwrap();
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), says.lines().count()), (Some(1), 1), "{limit}: {says}");
    Some(says)
}

#[test]
fn a_limit_of_open_files_that_leaves_room_for_nobody_ends_the_start() {
    let backend = Backend::echo();
    let args = front_args(&[&backend], &[]);
    let told: Vec<String> = (8..40).map_while(|it| gives_up_with(it, &args)).collect();
    // Descriptors that this process had open beyond a smaller limit were not counted by it.
    let says = told.last().expect("8 are too few");
    assert!(says.contains("no client could come in"), "{says}");
    let needed = says.split("it takes ").nth(1).and_then(|it| it.split(' ').next());
    let needed: u32 = needed.expect("it is said").parse().expect("a number");
    assert_eq!(needed as usize, 8 + told.len(), "one more is enough");
    let balancer = Balancer::start_command(with_descriptors(needed), &args);
    let client = balancer.connect();
    assert_eq!(ask(&client, b"word"), b"word");
    drop(client);
    balancer.stop();
}
