//! Stopping, the status page, and a log that nobody reads.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::common::admin::Admin;
use crate::common::http::{Origin, Wire, get, ok};
use crate::common::{
    Backend, Balancer, DEADLINE, End, ask, connect, front_args, noise, read_to_end, until,
    write_on_thread,
};

#[test]
fn a_stop_lets_connections_finish_and_takes_no_new_ones() {
    for signal in [Signal::TERM, Signal::INT] {
        let (backend, taken) = Backend::manual();
        let mut balancer = Balancer::before(&[&backend], &[]);
        let client = balancer.connect();
        let served = taken.recv_timeout(DEADLINE).unwrap();
        let answering = write_on_thread(&served, noise(1, 20_000_000), true);
        (&client).read_exact(&mut [0; 1000]).unwrap();
        balancer.signal(signal);
        balancer.wait_for_log("stopping: 1 connection may finish within 30s");
        until("nobody listens any more", || TcpStream::connect(balancer.address()).is_err());
        assert!(read_to_end(&client).bytes() == noise(1, 20_000_000)[1000..]);
        answering.join().unwrap().unwrap();
        drop(client);
        // The question whether it listens may have been a connection too.
        drop((served, taken));
        assert_eq!(balancer.wait().code(), Some(0));
    }
}

#[test]
fn who_waits_to_be_accepted_when_the_stop_comes_is_served() {
    let backend = Backend::echo();
    let mut balancer = Balancer::before(&[&backend], &[]);
    balancer.signal(Signal::STOP);
    let clients: Vec<TcpStream> = (0..50).map(|_| balancer.connect()).collect();
    balancer.signal(Signal::TERM);
    balancer.signal(Signal::CONT);
    for client in &clients {
        assert_eq!(ask(client, b"word"), b"word");
    }
    drop(clients);
    assert_eq!(balancer.wait().code(), Some(0));
}

#[test]
fn an_idle_balancer_stops_at_once() {
    let backend = Backend::echo();
    let mut balancer = Balancer::before(&[&backend], &["--check", "tcp"]);
    balancer.signal(Signal::TERM);
    // A drain would take longer than anybody waits here.
    assert_eq!(balancer.wait().code(), Some(0));
}

#[test]
fn the_drain_timeout_cuts_off_who_does_not_finish() {
    let backend = Backend::echo();
    let mut balancer = Balancer::before(&[&backend], &["--drain-timeout", "200ms"]);
    let client = balancer.connect();
    assert_eq!(ask(&client, b"word"), b"word");
    let began = Instant::now();
    balancer.signal(Signal::TERM);
    assert_eq!(balancer.wait().code(), Some(0));
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(read_to_end(&client), End::Reset(0), "half a stream must not look whole");
    balancer.wait_for_log("the drain timeout is over, 1 connection cut off");
}

#[test]
fn a_second_signal_ends_at_once() {
    for (first, second) in [(Signal::TERM, Signal::INT), (Signal::INT, Signal::TERM)] {
        let backend = Backend::echo();
        let mut balancer = Balancer::before(&[&backend], &["--drain-timeout", "1h"]);
        let client = balancer.connect();
        assert_eq!(ask(&client, b"word"), b"word");
        balancer.signal(first);
        balancer.wait_for_log("stopping: 1");
        balancer.signal(second);
        assert_eq!(balancer.wait().code(), Some(0));
        assert_eq!(read_to_end(&client), End::Reset(0));
        balancer.wait_for_log("stopping at once, 1 connection cut off");
    }
}

#[test]
fn the_status_page_counts() {
    let echo = Backend::echo();
    let other = Backend::echo();
    let balancer = Balancer::before(&[&echo, &other], &["--balance", "first"]);
    let held = [balancer.connect(), balancer.connect()];
    held.iter().for_each(|client| assert_eq!(ask(client, b"word"), b"word"));
    drop(balancer.connect());
    balancer.wait_for_row(&echo.name(), |row| (row.active, row.total) == (2, 3));
    assert_eq!(balancer.row(&other.name()).total, 0);
    let words = ["open of", "accepted:", "finished", "failed", "refused", "log lines dropped"];
    assert_eq!(words.map(|word| balancer.count(word)), [2, 3, 1, 0, 0, 0]);
    drop(held);
    balancer.wait_until_idle();
    assert_eq!(balancer.count("finished"), 3);
    balancer.stop();
}

/// Started with a standard error that this test reads or not; killed when dropped.
struct Mute {
    child: Child,
    address: SocketAddr,
}

impl Mute {
    fn start(backend: &Backend) -> Mute {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(front_args(&[backend], &["--log-level", "debug"]))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on tcp://").unwrap();
        let address = address.parse().unwrap();
        Mute { child, address }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn serves(&self, clients: usize) {
        for client in 0..clients {
            assert_eq!(ask(&connect(self.address), b"word"), b"word", "client {client}");
        }
    }

    fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_log_that_nobody_reads_stops_nobody() {
    let backend = Backend::echo();
    let mut balancer = Mute::start(&backend);
    // About 350 bytes of log each: far more than a pipe and what is kept beside it.
    balancer.serves(2_500);
    // Now somebody reads: what was kept comes, and how much was not.
    let mut stderr = balancer.child.stderr.take().unwrap();
    let mut log = String::new();
    let mut page_asked = false;
    until("the log says what it dropped", || {
        let mut bytes = [0; 65536];
        let count = stderr.read(&mut bytes).unwrap();
        log.push_str(&String::from_utf8_lossy(&bytes[..count]));
        if !page_asked && log.len() > 100_000 {
            balancer.signal(Signal::USR1);
            page_asked = true;
        }
        log.contains("log lines were dropped here]") && log.contains(" log lines dropped;")
    });
    let dropped = log.split(" log lines dropped;").next().unwrap();
    let dropped: usize = dropped.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(dropped > 100, "{dropped}");
    drop(stderr);
    balancer.stop();
}

#[test]
fn a_log_without_a_reader_at_all_stops_nobody() {
    let backend = Backend::echo();
    let mut balancer = Mute::start(&backend);
    drop(balancer.child.stderr.take());
    balancer.serves(100);
    balancer.stop();
}

#[test]
fn within_the_drain_delay_clients_come_in_and_who_asks_hears_that_it_is_not_ready() {
    let origin = Origin::saying(ok("hello"));
    let args = ["-l", "http://127.0.0.1:0", "--check", "none", "--health-path", "/health"];
    let backend = origin.backend.flag();
    let more = ["-b", &backend, "--drain-delay", "1h"];
    let mut admin = Admin::start(&[&args[..], &more].concat());
    let mut kept = Wire::to(&admin.balancer);
    assert!(kept.ask(get("/health")).keeps_alive());
    assert_eq!(admin.api.ask("GET", "/ready", None).status(), 200);
    admin.balancer.signal(Signal::TERM);
    admin.balancer.wait_for_log("stopping in 1h: /ready fails, kept connections end");
    assert_eq!(admin.api.ask("GET", "/ready", None).status(), 503);
    assert_eq!(kept.ask(get("/health")).status(), 503);
    let mut late = Wire::to(&admin.balancer);
    let answer = late.ask(get("/"));
    assert_eq!((answer.status(), answer.keeps_alive()), (200, false));
    // Nothing is read again, and to undrain it does not bring it back.
    assert_eq!(admin.api.ask("POST", "/api/v1/reload", Some(&json!({}))).status(), 503);
    admin.api.write("POST", "/api/v1/drain", &json!({}));
    admin.api.write("POST", "/api/v1/undrain", &json!({}));
    assert_eq!(Wire::to(&admin.balancer).ask(get("/health")).status(), 503);
    admin.balancer.signal(Signal::TERM);
    assert!(admin.balancer.wait().success());
}

#[test]
fn after_the_drain_delay_it_drains_however_the_stop_was_asked_for() {
    for by_api in [false, true] {
        let backend = Backend::echo();
        let args = front_args(&[&backend], &["--drain-delay", "300ms"]);
        let mut admin = Admin::start(&args);
        let began = Instant::now();
        if by_api {
            admin.api.write("POST", "/api/v1/stop", &json!({}));
        } else {
            admin.balancer.signal(Signal::TERM);
        }
        let client = admin.balancer.connect();
        admin.balancer.wait_for_log("stopping: 1 connection may finish within 30s");
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!(ask(&client, b"word"), b"word");
        let address = admin.balancer.address();
        until("nobody listens any more", || TcpStream::connect(address).is_err());
        drop(client);
        assert!(admin.balancer.wait().success());
    }
}
