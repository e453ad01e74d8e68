//! Sockets that are handed over by whoever starts the program, as systemd does.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use crate::common::servers::{Home, missing};
use crate::common::udp::{self, UdpBackend};
use crate::common::{
    Backend, Balancer, DEADLINE, ask, connect, free_port, until, with_deadline,
};

/// A stand-in for systemd: binds what it is told (`tcp:PORT`, `udp:PORT`, `unix:PATH`, `pipe:0`),
/// and becomes the program with these from descriptor 3 on.
const MANAGER: &str = r#"
import os, socket, sys
names, program = sys.argv[1], sys.argv[2:]
kept = []
for at, asked in enumerate(names.split()):
    name, kind, where = asked.split("=", 1)[0], *asked.split("=", 1)[1].split(":", 1)
    if kind == "pipe":
        fd = os.pipe()[0]
    else:
        family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
        it = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        it.bind(where if kind == "unix" else ("127.0.0.1", int(where)))
        if kind != "udp":
            it.listen(64)
        fd = it.detach()
    kept.append((name, os.dup2(fd, 100 + at)))
for at, (_, fd) in enumerate(kept):
    os.dup2(fd, 3 + at, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(kept))
os.environ["LISTEN_FDNAMES"] = ":".join(name for name, _ in kept)
os.execv(program[0], program)
"#;

/// It starts the program with these sockets, `NAME=KIND:WHERE` each.
fn manager(sockets: &[String]) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", MANAGER, &sockets.join(" "), env!("CARGO_BIN_EXE_pointsman")]);
    command
}

fn home(name: &str) -> Home {
    let name = format!("pointsman-handed-{}-{name}", std::process::id());
    let home = std::env::temp_dir().join(name);
    fs::create_dir_all(&home).expect("a folder");
    Home(home)
}

/// A configuration in this folder.
fn configured(home: &Home, text: &str) -> String {
    let path = home.0.join("pointsman.toml");
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

/// What is told of this socket.
fn ctl(admin: &str, word: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["ctl", word, "--admin", admin])
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn connections_datagrams_and_unix_sockets_come_by_what_was_handed_over() {
    if missing(&["python3"]) {
        return;
    }
    let home = home("all");
    let place = |name: &str| home.0.join(name).display().to_string();
    let [path, api] = ["web.sock", "api.sock"].map(place);
    let [stream, datagrams] = [free_port(), free_port()];
    let sockets = [
        format!("=tcp:{}", stream.port()),
        format!("=udp:{}", datagrams.port()),
        format!("=unix:{path}"),
        format!("admin.listen=unix:{api}"),
    ];
    let backend = Backend::echo();
    let _udp = UdpBackend::start_at(backend.address, |bytes| vec![bytes.to_vec()]);
    let listen = [stream.to_string(), format!("udp://{datagrams}"), format!("unix:{path}")];
    let mut args: Vec<&str> = listen.iter().flat_map(|it| ["--listen", it]).collect();
    let admin = format!("unix:{api}");
    let flag = backend.flag();
    args.extend(["--admin", &admin, "--backend", &flag, "--check", "none"]);
    let balancer = Balancer::start_command(manager(&sockets), &args);
    assert_eq!(balancer.addresses, [stream, datagrams]);
    assert_eq!(ask(&connect(stream), b"word"), b"word");
    assert_eq!(udp::ask(&udp::client(datagrams), b"datagram"), b"datagram");
    let mut local = UnixStream::connect(&path).expect("it listens");
    local.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    local.write_all(b"local").expect("sent");
    let mut answer = [0; 5];
    local.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"local");
    drop(local);
    ctl(&admin, "show");
    let log = balancer.log();
    assert!(!log.contains("nobody takes it"), "{log}");
    balancer.stop();
    // They belong to whoever made them.
    assert!([&path, &api].into_iter().all(|it| fs::exists(it).unwrap()));
}

/// The file of one test: these listeners, of one service.
fn file(home: &Home, listeners: &[(&str, SocketAddr)], backend: &Backend) -> String {
    let names: Vec<&str> = listeners.iter().map(|(name, _)| *name).collect();
    let address = backend.address;
    let mut text = format!("[pool.main]\ncheck = \"none\"\nbackends = [\"{address}\"]\n");
    for (name, at) in listeners {
        text += &format!("[listener.{name}]\nbind = \"{at}\"\n");
    }
    text += &format!("[service.main]\nlisten = {names:?}\npool = \"main\"\n");
    configured(home, &text)
}

#[test]
fn a_reload_keeps_them_and_takes_those_that_wait() {
    if missing(&["python3"]) {
        return;
    }
    let home = home("reload");
    let backend = Backend::echo();
    let [public, inner, own] = [free_port(), free_port(), free_port()];
    let sockets = [
        // By its name, wherever it is.
        format!("public=tcp:{}", public.port()),
        format!("listener.inner=tcp:{}", inner.port()),
    ];
    let [nowhere, elsewhere] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let path = file(&home, &[("public", nowhere)], &backend);
    let admin = format!("unix:{}", home.0.join("api.sock").display());
    let balancer =
        Balancer::start_command(manager(&sockets), &["--config", &path, "--admin", &admin]);
    assert_eq!(balancer.address(), public);
    balancer.wait_for_log(&format!(
        "descriptor 4 ('listener.inner', tcp at {inner}) was handed over and nobody takes it: a \
         listener named 'inner' or one at {inner} would"
    ));
    let client = connect(public);
    assert_eq!(ask(&client, b"one"), b"one");
    // Who connects before anybody takes it waits.
    let waiting = connect(inner);
    file(&home, &[("public", nowhere), ("inner", elsewhere), ("own", own)], &backend);
    ctl(&admin, "reload");
    assert_eq!(ask(&waiting, b"two"), b"two");
    assert_eq!(ask(&client, b"three"), b"three");
    assert_eq!(ask(&connect(own), b"four"), b"four");
    // One that goes leaves its socket open to clients, and costs nothing.
    file(&home, &[("inner", elsewhere), ("own", own)], &backend);
    ctl(&admin, "reload");
    balancer
        .wait_for_log(&format!("descriptor 3 ('public', tcp at {public}) was handed over and"));
    assert_eq!(ask(&client, b"five"), b"five");
    let before = balancer.sleeps();
    let late: Vec<_> = (0..50).map(|_| connect(public)).collect();
    ctl(&admin, "show");
    assert!(balancer.sleeps() - before < 25, "it is woken for nobody");
    file(&home, &[("public", nowhere), ("own", own)], &backend);
    ctl(&admin, "reload");
    assert_eq!(ask(late.last().unwrap(), b"six"), b"six");
    balancer.stop_after((late, client, waiting));
}

#[test]
fn what_is_of_the_wrong_kind_ends_the_start() {
    if missing(&["python3"]) {
        return;
    }
    let home = home("wrong");
    let backend = Backend::echo();
    let at = free_port();
    let path = file(&home, &[("public", at)], &backend);
    let wrong = [format!("public=udp:{}", at.port())];
    let found =
        format!("was handed over descriptor 3 ('public', udp at {at}), want one of TCP");
    let pipes = ["a=pipe:0".to_owned(), "b=pipe:0".to_owned()];
    let none =
        "LISTEN_FDS: descriptor 4 ('b'): found no socket, want a listening socket of TCP";
    for (sockets, wanted) in [(&wrong[..], &*found), (&pipes[..], none)] {
        let mut command = manager(sockets);
        let output = command.args(["--config", &path]).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(wanted), "{said}\nnot: {wanted}");
    }
}

#[test]
fn systemd_hands_over_what_it_listens_at_with_the_client_that_waits() {
    if missing(&["systemd-socket-activate"]) {
        return;
    }
    let home = home("systemd");
    let backend = Backend::named("backend");
    let at = free_port();
    let path = file(&home, &[("public", "127.0.0.1:1".parse().unwrap())], &backend);
    // It starts the program for the first client.
    let first = thread::spawn(move || {
        let mut stream = None;
        until("systemd listens", || {
            stream = TcpStream::connect(at).ok();
            stream.is_some()
        });
        let mut said = String::new();
        let stream = stream.map(with_deadline);
        stream.expect("connected").read_to_string(&mut said).map(|_| said)
    });
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--listen", &at.to_string(), "--fdname=public"]);
    command.arg(env!("CARGO_BIN_EXE_pointsman"));
    let balancer = Balancer::start_command(command, &["--config", &path]);
    assert_eq!(balancer.address(), at);
    assert_eq!(first.join().expect("no panic").expect("an answer"), "backend");
    balancer.stop();
}

/// A manager that keeps its socket while it starts the program, ends it and starts it again.
const KEEPER: &str = r#"
import os, signal, socket, subprocess, sys

program, backend = sys.argv[1:]
kept = socket.create_server(("127.0.0.1", 0), backlog=64)
at = "127.0.0.1:%d" % kept.getsockname()[1]
os.dup2(kept.fileno(), 3, inheritable=True)

def start():
    # The shell knows its own number, and the program has the same.
    words = ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh", program]
    words += ["-l", at, "-b", backend, "--check", "none", "--drain-timeout", "2s"]
    child = subprocess.Popen(words, pass_fds=[3], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline().strip() == "listening on tcp://" + at
    return child

def connect():
    it = socket.create_connection(kept.getsockname(), timeout=20)
    it.sendall(b"word")
    return it

def answered(it):
    said = b""
    while len(said) < 4:
        said += it.recv(4)
    return said == b"word"

first = start()
old = connect()
assert answered(old)
first.send_signal(signal.SIGTERM)
# It takes nobody new, and refuses nobody: these wait for the next one.
waiting = []
while first.poll() is None and len(waiting) < 10:
    waiting.append(connect())
old.sendall(b"word")
assert answered(old), "who is here may finish"
old.close()
assert first.wait(20) == 0
waiting.append(connect())
second = start()
assert all(answered(it) for it in waiting[-1:])
# Those of the beginning may have come in at the first one before it heard of its end.
assert sum(answered(it) for it in waiting[:-1]) == len(waiting) - 1
for it in waiting:
    it.close()
second.send_signal(signal.SIGTERM)
assert second.wait(20) == 0
print("nobody was refused")
"#;

#[test]
fn a_restart_refuses_nobody_where_somebody_keeps_the_socket() {
    if missing(&["python3"]) {
        return;
    }
    let backend = Backend::echo();
    let output = Command::new("python3")
        .args(["-c", KEEPER, env!("CARGO_BIN_EXE_pointsman"), &backend.flag()])
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.stdout.starts_with(b"nobody was refused"), "{said}");
}
