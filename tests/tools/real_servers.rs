//! In front of two real servers: nginx and Python's http.server, under load. One is killed the hard
//! way and comes back, and no client sees an error that it need not see: only a request that was on
//! its way at the killed server may break.
//!
//! Without the servers the test is skipped, except under `CI=true`, where that is a failure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::common::http::Wire;
use crate::common::servers::{Home, Server, ask, missing};
use crate::common::{Balancer, free_port, until};

const CLIENTS: usize = 4;

#[test]
fn one_of_two_is_killed_and_comes_back_under_load_with_tcp_checks() {
    kill_and_revive("tcp");
}

#[test]
fn one_of_two_is_killed_and_comes_back_under_load_with_http_checks() {
    kill_and_revive("http:/index.html");
}

fn kill_and_revive(check: &str) {
    if missing(&["nginx", "python3"]) {
        return;
    }
    let home = Home::new(&check[..3]);
    let python = Server::start("python", free_port(), &home);
    let mut nginx = Server::start("nginx", free_port(), &home);
    let first = nginx.flag();
    let second = python.flag();
    let flags = ["--check-interval", "100ms", "--fall", "2", "--rise", "2"];
    let backends = ["-l", "127.0.0.1:0", "-b", &first, "-b", &second, "--check", check];
    let balancer =
        Balancer::start(&[&backends[..], &flags[..], &["--log-level", "info"]].concat());

    let load = Load::start(balancer.address());
    load.wait_for_more("nginx", 500);
    load.wait_for_more("python", 500);

    nginx.kill();
    let killed_at = Instant::now();
    load.wait_for_more("python", 500);
    balancer.wait_for_log("backend nginx is down");
    load.wait_for_more("python", 500);

    nginx = Server::start("nginx", nginx.address, &home);
    balancer.wait_for_log("backend nginx is up");
    load.wait_for_more("nginx", 500);
    load.wait_for_more("python", 500);

    let seen = load.stop();
    println!("checks by {check}: {:?} answers, {} broke", seen.answers, seen.errors.len());
    for error in &seen.errors {
        assert!(error.began_at < killed_at, "begun after the kill: {}", error.text);
    }
    assert!(seen.errors.len() <= CLIENTS, "more broke than were on their way");
    balancer.stop();
    drop((nginx, python));
}

/// A request with Via is one of a proxy to nginx, and it does not compress for proxies.
#[test]
fn nginx_compresses_for_clients_behind_us_unless_via_is_said() {
    if missing(&["nginx"]) {
        return;
    }
    let home = Home::new("gzip");
    std::fs::write(home.0.join("nginx/long.html"), "the same words ".repeat(500)).unwrap();
    let nginx = Server::start("nginx", free_port(), &home);
    let request = "GET /long.html HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n";
    for (more, coding) in [(&[][..], "gzip"), (&["--via", "on"], "")] {
        let flag = nginx.flag();
        let front = ["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"];
        let balancer = Balancer::start(&[&front[..], more].concat());
        let mut client = Wire::to(&balancer);
        let answer = client.ask(request);
        assert_eq!((answer.status(), answer.field("content-encoding")), (200, coding));
        balancer.stop_after(client);
    }
}

/// Clients that ask all the time, on a thread each.
struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    clients: Vec<JoinHandle<()>>,
}

/// What they saw.
#[derive(Default)]
struct Seen {
    /// By the server that answered.
    answers: BTreeMap<String, usize>,
    errors: Vec<Failure>,
}

struct Failure {
    began_at: Instant,
    text: String,
}

impl Load {
    fn start(address: SocketAddr) -> Load {
        let stop = Arc::default();
        let seen = Arc::default();
        let clients = (0..CLIENTS).map(|_| {
            let stop = Arc::clone(&stop);
            let seen = Arc::clone(&seen);
            thread::spawn(move || ask_until(&stop, address, &seen))
        });
        let clients = clients.collect();
        Load { stop, seen, clients }
    }

    fn answers_of(&self, server: &str) -> usize {
        self.seen.lock().unwrap().answers.get(server).copied().unwrap_or(0)
    }

    fn wait_for_more(&self, server: &str, count: usize) {
        let before = self.answers_of(server);
        until(&format!("{server} answers {count} more"), || {
            self.answers_of(server) >= before + count
        });
    }

    fn stop(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn ask_until(stop: &AtomicBool, address: SocketAddr, seen: &Mutex<Seen>) {
    while !stop.load(Ordering::SeqCst) {
        let began_at = Instant::now();
        let result = ask(address);
        let mut seen = seen.lock().unwrap();
        match result {
            Ok(server) => *seen.answers.entry(server).or_default() += 1,
            Err(error) => seen.errors.push(Failure { began_at, text: error.to_string() }),
        }
    }
}
