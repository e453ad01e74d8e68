//! What the service manager is told: by a stand-in for it, a socket of our own.

use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::common::admin::Api;
use crate::common::measure::only_linux;
use crate::common::servers::Home;
use crate::common::trace::while_stopped;
use crate::common::{Backend, Balancer, DEADLINE, ask, connect, front_args};

/// A stand-in for systemd; its socket is gone with the test.
struct Manager {
    socket: UnixDatagram,
    /// As NOTIFY_SOCKET has it.
    name: String,
    path: Option<PathBuf>,
}

impl Manager {
    /// With a socket in the file system.
    fn at_path(name: &str) -> Manager {
        let path = format!("pointsman-notify-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(path);
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let name = path.to_str().expect("text").to_owned();
        Manager { socket, name, path: Some(path) }.with_deadline()
    }

    /// With a socket of an abstract name.
    fn abstract_one(name: &str) -> Manager {
        let name = format!("pointsman-notify-{}-{name}", std::process::id());
        let at = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&at).expect("a socket");
        Manager { socket, name: format!("@{name}"), path: None }.with_deadline()
    }

    fn with_deadline(self) -> Manager {
        self.socket.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        self
    }

    /// The program, with these variables beside the one that names the socket.
    fn command(&self, more: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
        command.env("NOTIFY_SOCKET", &self.name).envs(more.iter().copied());
        command
    }

    /// The next that it is told.
    fn heard(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let count = self.socket.recv(&mut bytes).expect("it is told something");
        let text = String::from_utf8(bytes[..count].to_vec()).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    /// All that it was told and has not read.
    fn rest(&self) -> Vec<Vec<String>> {
        self.socket.set_nonblocking(true).expect("a socket");
        let mut bytes = [0; 4096];
        let mut rest = Vec::new();
        while let Ok(count) = self.socket.recv(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            rest.push(text.lines().map(str::to_owned).collect());
        }
        self.socket.set_nonblocking(false).expect("a socket");
        rest
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.path.as_ref().map(fs::remove_file);
    }
}

const SERVING: &str = "STATUS=serving: 1 listener, 1 service, 1 backend";

#[test]
fn it_says_that_it_is_ready_once_it_serves() {
    let mut managers = vec![Manager::at_path("ready")];
    if only_linux("sockets without a file") {
        managers.push(Manager::abstract_one("ready"));
    }
    for manager in managers {
        let backend = Backend::echo();
        let args = front_args(&[&backend], &[]);
        let balancer = Balancer::start_command(manager.command(&[]), &args);
        assert_eq!(manager.heard(), ["READY=1", SERVING]);
        assert_eq!(ask(&connect(balancer.address()), b"word"), b"word");
        balancer.stop();
        let rest = manager.rest();
        assert!(rest.iter().flatten().all(|line| line != "WATCHDOG=1"), "{rest:?}");
    }
}

#[test]
fn a_socket_that_is_none_is_complained_of_once_and_harms_nobody() {
    for (name, wanted) in [
        ("/nonexistent/notify", "cannot tell the service manager (NOTIFY_SOCKET): "),
        ("relative", "NOTIFY_SOCKET: relative: want an absolute path, or @ and an abstract"),
    ] {
        let backend = Backend::echo();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.env("NOTIFY_SOCKET", name);
        let args = front_args(&[&backend], &[]);
        let mut balancer = Balancer::start_command(command, &args);
        balancer.wait_for_log(wanted);
        balancer.signal(Signal::HUP);
        balancer.wait_for_log("no access log to open anew");
        assert_eq!(ask(&connect(balancer.address()), b"word"), b"word");
        balancer.signal(Signal::TERM);
        assert!(balancer.wait().success());
        assert_eq!(balancer.log().matches("NOTIFY_SOCKET").count(), 1);
    }
}

#[test]
fn a_manager_that_takes_nothing_now_holds_up_nobody_and_is_told_later() {
    let manager = Manager::at_path("slow");
    let others = UnixDatagram::unbound().expect("a socket");
    others.set_nonblocking(true).expect("a socket");
    let mut before = 0;
    while others.send_to(b"X_OTHER=1", &manager.name).is_ok() {
        before += 1;
    }
    let backend = Backend::echo();
    let args = front_args(&[&backend], &[]);
    let balancer = Balancer::start_command(manager.command(&[]), &args);
    assert_eq!(ask(&connect(balancer.address()), b"word"), b"word");
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("no access log to open anew");
    (0..before).for_each(|_| assert_eq!(manager.heard(), ["X_OTHER=1"]));
    assert_eq!(manager.heard(), ["READY=1", SERVING]);
    hears_reloading(&manager, 0);
    assert_eq!(manager.heard(), ["READY=1", SERVING]);
    balancer.stop();
}

/// A configuration of so many backends, with this before them.
fn configuration(backend: &Backend, backends: usize, before: &str) -> String {
    let list = vec![format!("\"{}\"", backend.flag()); backends].join(", ");
    format!(
        "[listener.front]\nbind = \"tcp://127.0.0.1:0\"\n\
         [service.web]\nlisten = [\"front\"]\npool = \"web\"\n\
         [pool.web]\n{before}\nbackends = [{list}]\ncheck = \"none\"\n"
    )
}

/// Microseconds of the clock that `MONOTONIC_USEC=` goes by.
fn monotonic_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec * 1_000_000 + now.tv_nsec / 1000).unsigned_abs()
}

/// It says that a reload begins, not before this time.
fn hears_reloading(manager: &Manager, since: u64) {
    let heard = manager.heard();
    assert_eq!((heard.len(), heard[0].as_str()), (2, "RELOADING=1"), "{heard:?}");
    let at = heard[1].strip_prefix("MONOTONIC_USEC=").expect("a time");
    let at: u64 = at.parse().expect("a number");
    assert!((since..=monotonic_us()).contains(&at), "{at} is not after {since}");
}

#[test]
fn a_reload_is_told_at_its_beginning_and_its_end_and_one_that_failed_with_the_place() {
    let manager = Manager::at_path("reload");
    let home = Home::new("notify-reload");
    let file = home.0.join("pointsman.toml");
    let backend = Backend::echo();
    fs::write(&file, configuration(&backend, 1, "")).expect("it is written");
    let file_name = file.to_str().expect("text");
    let socket = home.0.join("api.sock");
    let admin = format!("unix:{}", socket.display());
    let args = ["--config", file_name, "--admin", &admin];
    let balancer = Balancer::start_command(manager.command(&[]), &args);
    assert_eq!(manager.heard(), ["READY=1", SERVING]);
    let more = "STATUS=serving: 1 listener, 1 service, 2 backends";
    let two = configuration(&backend, 1, "").replace(
        "[pool.web]",
        "[pool.other]\nbackends = [\"127.0.0.1:1\"]\ncheck = \"none\"\n[pool.web]",
    );

    fs::write(&file, two).expect("it is written");
    let since = monotonic_us();
    balancer.signal(Signal::HUP);
    hears_reloading(&manager, since);
    assert_eq!(manager.heard(), ["READY=1", more]);

    fs::write(&file, configuration(&backend, 1, "retrys = 3")).expect("it is written");
    let since = monotonic_us();
    balancer.signal(Signal::HUP);
    hears_reloading(&manager, since);
    let heard = manager.heard();
    let begins = format!("STATUS=reload failed: {file_name}:7:");
    assert_eq!((heard.len(), heard[0].as_str()), (2, "READY=1"), "{heard:?}");
    assert!(heard[1].starts_with(&begins) && heard[1].contains("retrys"), "{heard:?}");

    // By the API, as `ctl reload` asks.
    fs::write(&file, configuration(&backend, 1, "")).expect("it is written");
    let since = monotonic_us();
    let api = Api { socket };
    api.write("POST", "/api/v1/reload", &json!({}));
    hears_reloading(&manager, since);
    assert_eq!(manager.heard(), ["READY=1", SERVING]);
    // What would come of one is no reload.
    api.write("POST", "/api/v1/reload?dry_run=true", &json!({}));
    api.write("POST", "/api/v1/drain", &json!({}));
    assert_eq!(manager.heard(), [SERVING.replace("serving", "drained, still serving")]);
    balancer.stop();
}

#[test]
fn each_reload_that_is_asked_for_is_told_however_soon_they_come() {
    let manager = Manager::at_path("reloads");
    let backend = Backend::echo();
    let args = front_args(&[&backend], &[]);
    let balancer = Balancer::start_command(manager.command(&[]), &args);
    assert_eq!(manager.heard(), ["READY=1", SERVING]);
    for _ in 0..20 {
        let since = monotonic_us();
        balancer.signal(Signal::HUP);
        // As the manager does: what began before is none of its concern.
        while !manager.heard().get(1).is_some_and(|it| began_after(it, since)) {}
        while manager.heard()[0] != "READY=1" {}
        balancer.signal(Signal::HUP);
    }
    balancer.stop();
}

fn began_after(line: &str, since: u64) -> bool {
    let at = line.strip_prefix("MONOTONIC_USEC=").and_then(|it| it.parse::<u64>().ok());
    at.is_some_and(|at| at >= since)
}

#[test]
fn a_stop_says_how_many_are_left_and_asks_for_more_time() {
    let manager = Manager::at_path("stop");
    let backend = Backend::echo();
    let args = front_args(&[&backend], &[]);
    let mut balancer = Balancer::start_command(manager.command(&[]), &args);
    assert_eq!(manager.heard(), ["READY=1", SERVING]);
    let clients = [connect(balancer.address()), connect(balancer.address())];
    clients.iter().for_each(|client| assert_eq!(ask(client, b"word"), b"word"));
    balancer.signal(Signal::TERM);
    assert_eq!(manager.heard(), ["STOPPING=1", "STATUS=stopping: 2 connections left"]);
    let [first, last] = clients;
    drop(first);
    let extended = "EXTEND_TIMEOUT_USEC=15000000";
    assert_eq!(manager.heard(), ["STATUS=stopping: 1 connection left", extended]);
    drop(last);
    assert!(balancer.wait().success());
    assert_eq!(manager.rest(), [] as [Vec<String>; 0]);
}

#[test]
fn the_watchdog_hears_of_each_half_of_its_time_and_of_a_program_that_hangs_nothing() {
    let manager = Manager::at_path("watchdog");
    let backend = Backend::echo();
    let args = front_args(&[&backend], &[]);
    let command = manager.command(&[("WATCHDOG_USEC", "100000")]);
    let balancer = Balancer::start_command(command, &args);
    assert_eq!(manager.heard(), ["READY=1", SERVING]);
    let began = Instant::now();
    (0..5).for_each(|_| assert_eq!(manager.heard(), ["WATCHDOG=1"]));
    assert!(began.elapsed() >= Duration::from_millis(200), "they come too often");
    while_stopped(&balancer, || {
        manager.rest();
        manager.socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a socket");
        let found = manager.socket.recv(&mut [0; 100]).map_err(|error| error.kind());
        assert_eq!(found, Err(ErrorKind::WouldBlock));
        manager.socket.set_read_timeout(Some(DEADLINE)).expect("a socket");
    });
    assert_eq!(manager.heard(), ["WATCHDOG=1"]);
    // A drain is watched, too.
    let client = connect(balancer.address());
    assert_eq!(ask(&client, b"word"), b"word");
    balancer.signal(Signal::TERM);
    while manager.heard()[0] != "STOPPING=1" {}
    assert_eq!(manager.heard(), ["WATCHDOG=1"]);
    balancer.stop_after(client);
}

#[test]
fn without_a_watchdog_or_for_another_process_none_is_fed_and_idle_it_sleeps() {
    for more in [&[][..], &[("WATCHDOG_USEC", "2000"), ("WATCHDOG_PID", "1")]] {
        let manager = Manager::at_path("idle");
        let backend = Backend::echo();
        let args = front_args(&[&backend], &[]);
        let balancer = Balancer::start_command(manager.command(more), &args);
        assert_eq!(manager.heard(), ["READY=1", SERVING]);
        let sleeps = balancer.sleeps();
        std::thread::sleep(Duration::from_millis(500));
        assert!(balancer.sleeps() - sleeps <= 3, "{}", balancer.sleeps() - sleeps);
        assert_eq!(manager.rest(), [] as [Vec<String>; 0]);
        balancer.stop();
    }
}

#[test]
fn the_drain_delay_is_part_of_the_stop() {
    let manager = Manager::at_path("delay");
    let backend = Backend::echo();
    let args = front_args(&[&backend], &["--drain-delay", "1h"]);
    let mut balancer = Balancer::start_command(manager.command(&[]), &args);
    assert_eq!(manager.heard(), ["READY=1", SERVING]);
    balancer.signal(Signal::TERM);
    let status = "STATUS=stopping: clients still come in, /ready fails";
    assert_eq!(manager.heard(), ["STOPPING=1", status]);
    assert_eq!(manager.heard(), [status, "EXTEND_TIMEOUT_USEC=15000000"]);
    balancer.signal(Signal::TERM);
    assert!(balancer.wait().success());
}
