//! Each algorithm through the real binary, and the line that says why.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::{Domain, Socket, Type};

use crate::common::{
    Backend, Balancer, BlackHole, DEADLINE, End, ask, connect, front_args, read_to_end, until,
    with_deadline,
};

/// Named backends with their weights, and a balancer before them.
struct Set {
    backends: Vec<Backend>,
    balancer: Balancer,
}

impl Set {
    /// Backends that echo, called `a`, `b`, `c` and so on, each with these options.
    fn start(algorithm: &str, options: &[&str], more: &[&str]) -> Set {
        let backends: Vec<Backend> = options.iter().map(|_| Backend::echo()).collect();
        let balancer = Set::balancer(&backends, algorithm, options, more);
        Set { backends, balancer }
    }

    fn balancer(
        backends: &[Backend],
        algorithm: &str,
        options: &[&str],
        more: &[&str],
    ) -> Balancer {
        let names = ["a", "b", "c", "d", "e", "f"];
        let flags =
            backends.iter().zip(options).zip(names).map(|((backend, options), name)| {
                format!("{},name={name}{options}", backend.flag())
            });
        let flags: Vec<String> = flags.collect();
        let mut args = front_args(&[], more);
        args.extend(flags.iter().flat_map(|flag| ["-b", flag]));
        args.extend(["--balance", algorithm]);
        Balancer::start(&args)
    }

    /// A client that is served and stays.
    fn hold(&self) -> TcpStream {
        let client = self.balancer.connect();
        assert_eq!(ask(&client, b"word"), b"word");
        client
    }

    fn hold_many(&self, count: usize) -> Vec<TcpStream> {
        (0..count).map(|_| self.hold()).collect()
    }

    /// A client that comes and goes, one at a time.
    fn visit(&self, count: usize) {
        for _ in 0..count {
            drop(self.hold());
            self.balancer.wait_until_idle();
        }
    }

    fn stop(self, clients: impl Drop) {
        self.balancer.stop_after(clients);
        drop(self.backends);
    }
}

/// The names picked for the clients so far, in order. The log may come a little late.
fn picks(balancer: &Balancer, clients: usize) -> String {
    let after = |line: &str| Some(line.split_once(": picked ")?.1.chars().next());
    let mut picks = String::new();
    until("all picks are logged", || {
        picks = balancer.log_so_far().lines().filter_map(after).flatten().collect();
        picks.len() >= clients
    });
    assert_eq!(picks.len(), clients);
    picks
}

fn counts(picks: &str) -> BTreeMap<char, usize> {
    let mut counts = BTreeMap::new();
    picks.chars().for_each(|pick| *counts.entry(pick).or_default() += 1);
    counts
}

#[test]
fn least_connections_follows_the_weights() {
    let set = Set::start("least-connections", &["", ",weight=3", ",weight=2"], &[]);
    let held = set.hold_many(24);
    let expected = BTreeMap::from([('a', 4), ('b', 12), ('c', 8)]);
    assert_eq!(counts(&picks(&set.balancer, 24)), expected);
    // Who leaves makes room there.
    let mut on_b = Vec::new();
    let mut others = Vec::new();
    for (client, name) in held.into_iter().zip(picks(&set.balancer, 24).chars()) {
        if name == 'b' { on_b.push(client) } else { others.push(client) }
    }
    on_b.truncate(6);
    set.balancer.wait_for_row("b", |row| row.active == 6);
    let more = set.hold_many(6);
    assert!(picks(&set.balancer, 30).ends_with("bbbbbb"));
    set.stop([on_b, others, more].concat_all());
}

/// Vectors of clients in one, to be dropped together.
trait ConcatAll {
    fn concat_all(self) -> Vec<TcpStream>;
}

impl<const N: usize> ConcatAll for [Vec<TcpStream>; N] {
    fn concat_all(self) -> Vec<TcpStream> {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn least_connections_breaks_ties_by_turns() {
    let set = Set::start("least-connections", &["", "", ""], &[]);
    set.visit(9);
    assert_eq!(picks(&set.balancer, 9), "abcabcabc");
    set.stop(vec![()]);
}

#[test]
fn least_connections_counts_those_being_opened() {
    let hole = BlackHole::start();
    let echo = Backend::echo();
    let holes = format!("{},name=hole,weight=2", hole.flag());
    let args = front_args(&[], &["-b", &holes, "-b", &echo.flag(), "--connect-timeout", "1h"]);
    let balancer = Balancer::start(&args);
    let clients: Vec<TcpStream> = (0..6).map(|_| balancer.connect()).collect();
    balancer.wait_for_row("hole", |row| row.active == 4);
    balancer.wait_for_row(&echo.name(), |row| row.active == 2);
    clients.into_iter().for_each(crate::common::reset);
    balancer.stop();
}

#[test]
fn round_robin_is_smooth() {
    let set = Set::start("round-robin", &[",weight=5", "", ""], &[]);
    // nginx's vector (commit 52327e0), twice.
    let held = set.hold_many(14);
    assert_eq!(picks(&set.balancer, 14), "aabacaaaabacaa");
    set.stop(held);
}

#[test]
fn random_is_seeded_and_even() {
    let run = |seed| {
        let set = Set::start("random", &["", "", "", ""], &["--seed", seed]);
        let held = set.hold_many(40);
        let picks = picks(&set.balancer, 40);
        set.stop(held);
        picks
    };
    let picks = run("7");
    let counts = counts(&picks);
    assert_eq!(counts.len(), 4);
    assert!(counts.values().all(|count| (6..=14).contains(count)), "{counts:?}");
    assert_eq!(picks, run("7"), "the same seed makes the same choices");
    assert_ne!(picks, run("8"));
}

/// A client from another of this machine's addresses.
fn hold_from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source = SocketAddr::from(([127, 0, host / 16, host], 0));
    socket.bind(&source.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let client = with_deadline(socket.into());
    assert_eq!(ask(&client, b"word"), b"word");
    client
}

#[test]
fn hashing_keeps_a_client_at_its_backend_on_every_instance() {
    for algorithm in ["ip-hash", "consistent-hash"] {
        let options = ["", "", "", ""];
        let set = Set::start(algorithm, &options, &["--seed", "1"]);
        let other = Set::balancer(&set.backends, algorithm, &options, &["--seed", "2"]);
        let mut clients = Vec::new();
        for _ in 0..3 {
            for host in 1..=40 {
                clients.push(hold_from(host * 5, set.balancer.address()));
                clients.push(hold_from(host * 5, other.address()));
            }
        }
        let picked = picks(&set.balancer, 120);
        assert_eq!(picked, picks(&other, 120), "{algorithm}: two instances agree");
        assert_eq!(picked[..40], picked[40..80], "{algorithm}: the same every time");
        assert_eq!(picked[..40], picked[80..], "{algorithm}: the same every time");
        let hosts = counts(&picked[..40]).len();
        // ip-hash sees three of the four bytes, as nginx does: fewer places.
        assert!(hosts >= 2, "{algorithm}: {picked}");
        clients.clear();
        other.stop();
        set.stop(clients);
    }
}

#[test]
fn first_fills_one_after_the_other() {
    let set = Set::start("first", &[",max-connections=2", ",max-connections=3", ""], &[]);
    let mut held = set.hold_many(7);
    assert_eq!(picks(&set.balancer, 7), "aabbbcc");
    held.remove(0);
    set.balancer.wait_for_row("a", |row| row.active == 1);
    held.push(set.hold());
    assert!(picks(&set.balancer, 8).ends_with('a'));
    set.stop(held);
}

#[test]
fn least_time_learns_who_is_slow_to_connect() {
    let good = Backend::echo();
    let hole = BlackHole::start();
    let flag = format!("{},name=hole", hole.flag());
    let more = ["-b", &flag, "--balance", "least-time", "--connect-timeout", "100ms"];
    let balancer = Balancer::start(&front_args(&[&good], &more));
    for _ in 0..30 {
        assert_eq!(ask(&balancer.connect(), b"word"), b"word");
    }
    let row = balancer.row("hole");
    assert!(row.total <= 3, "{row:?}");
    balancer.stop();
}

/// A backend that reports a load of its own making to whoever asks `load`, and echoes the rest.
fn loaded(load: impl Fn() -> usize + Send + Sync + 'static) -> Backend {
    Backend::start(move |mut stream| {
        let mut first = [0; 5];
        if stream.read_exact(&mut first).is_err() {
            return;
        }
        if &first == b"load\0" {
            let _ = stream.write_all(format!("{}\0", load()).as_bytes());
            return;
        }
        let _ = stream.write_all(&first);
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let _ = stream.write_all(&buffer[..count]);
        }
    })
}

const LOADED: &[&str] = &["--check", "load:load", "--balance", "least-load"];

#[test]
fn least_load_goes_where_the_load_is_least() {
    let loads = [70, 10, 40].map(|load| Arc::new(AtomicUsize::new(load)));
    let backends = loads.each_ref().map(|load| {
        let load = Arc::clone(load);
        loaded(move || load.load(Ordering::SeqCst))
    });
    let all: Vec<&Backend> = backends.iter().collect();
    let balancer = Balancer::before(&all, &[LOADED, &["--check-interval", "50ms"]].concat());
    let shows = |at: usize, load: &str| {
        balancer.wait_for_row(&all[at].name(), |row| row.load == load);
    };
    (0..3).for_each(|at| shows(at, ["70.00", "10.00", "40.00"][at]));
    let visit = || {
        assert_eq!(ask(&balancer.connect(), b"words"), b"words");
        // A report that comes before the visitor is gone is taken for the load with it.
        balancer.wait_until_idle();
    };
    visit();
    assert_eq!(balancer.row(&all[1].name()).total, 1);
    loads[1].store(90, Ordering::SeqCst);
    shows(1, "90.00");
    visit();
    assert_eq!(balancer.row(&all[2].name()).total, 1);
    let why = format!("picked {} of {}=", all[2].name(), all[0].name());
    balancer.wait_for_log(&why);
    // With the loads, not with the connections.
    balancer.wait_for_log(" load ");
    balancer.stop();
}

#[test]
fn a_stale_report_does_not_send_everybody_to_one_place() {
    // All report the same for ever, the first a little less; the reports get old.
    let backends = [9, 10, 10, 10].map(|load| loaded(move || load));
    let all: Vec<&Backend> = backends.iter().collect();
    let more = [LOADED, &["--check-interval", "2s", "--seed", "3"]].concat();
    let balancer = Balancer::before(&all, &more);
    for backend in &all {
        balancer.wait_for_row(&backend.name(), |row| row.load != "-");
    }
    let clients: Vec<TcpStream> = (0..80)
        .map(|_| {
            let client = balancer.connect();
            assert_eq!(ask(&client, b"words"), b"words");
            client
        })
        .collect();
    let taken = all.iter().map(|backend| balancer.row(&backend.name()).active);
    let taken: Vec<usize> = taken.collect();
    assert!(taken.iter().all(|taken| (15..=25).contains(taken)), "{taken:?}");
    balancer.stop_after(clients);
}

/// A running `pointsman-demo upper`.
struct Upper {
    child: Child,
    address: String,
}

impl Upper {
    fn start() -> Upper {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman-demo"))
            .args(["upper", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_string();
        Upper { child, address }
    }
}

impl Drop for Upper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn least_load_understands_the_demo() {
    let uppers = [Upper::start(), Upper::start()];
    // Somebody is there already, past the balancer: that is its load.
    let address: SocketAddr = uppers[0].address.parse().unwrap();
    let direct: Vec<TcpStream> = (0..5).map(|_| connect(address)).collect();
    let mut args = front_args(&[], &["--check", "load:__clients?", "--check-interval", "50ms"]);
    args.extend(uppers.iter().flat_map(|upper| ["-b", &upper.address]));
    args.extend(["--balance", "least-load"]);
    let balancer = Balancer::start(&args);
    balancer.wait_for_row(&uppers[0].address, |row| row.load == "5.00");
    balancer.wait_for_row(&uppers[1].address, |row| row.load == "0.00");
    for _ in 0..3 {
        let mut client = balancer.connect();
        client.write_all(b"points\n").unwrap();
        assert_eq!(read_to_end(&client), End::Finished(b"POINTS\n".to_vec()));
    }
    assert_eq!(balancer.row(&uppers[1].address).total, 3);
    drop(direct);
    balancer.wait_for_row(&uppers[0].address, |row| row.load == "0.00");
    balancer.stop();
}

#[test]
fn the_line_that_says_why_has_everybody() {
    let (backend, taken) = Backend::manual();
    let flag = format!("{},name=only", backend.flag());
    let more = ["-b", &flag, "-b", "127.0.0.1:9,name=none,weight=0"];
    let balancer = Balancer::start(&front_args(&[], &more));
    let clients: Vec<TcpStream> = (0..2).map(|_| balancer.connect()).collect();
    for number in 0..2 {
        taken.recv_timeout(DEADLINE).unwrap();
        let line =
            format!("pair {}: connecting: picked only of only={number} !none=0", number + 1);
        balancer.wait_for_log(&line);
    }
    balancer.stop_after(clients);
}
