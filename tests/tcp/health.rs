//! Probes and what they set off, passive failures, and who may be chosen at all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{
    Backend, Balancer, BlackHole, DEADLINE, End, ask, free_port, front_args, read_to_end,
};

/// Probes so fast that a test need not wait.
const FAST: &[&str] = &["--check-interval", "40ms", "--check-timeout", "1s"];

/// Probes that stay out of the way: the first is minutes away.
const RARE: &[&str] = &["--check-interval", "300h", "--check", "tcp", "--seed", "1"];

fn with<'a>(some: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [some, more].concat()
}

/// Answers each question that ends with `end` with the text that `answer` has for the number in
/// `knob`, and says nothing at all where it has none.
fn knob(end: &'static [u8], answer: fn(u64) -> Option<String>) -> (Backend, Arc<AtomicU64>) {
    let number = Arc::new(AtomicU64::new(0));
    let set = Arc::clone(&number);
    let backend = Backend::start(move |mut stream: TcpStream| {
        let mut question = Vec::new();
        let mut byte = [0];
        while !question.ends_with(end) {
            match stream.read(&mut byte) {
                Ok(1) => question.push(byte[0]),
                _ => return,
            }
        }
        match answer(set.load(Ordering::SeqCst)) {
            Some(text) => drop(stream.write_all(text.as_bytes())),
            None => drop(stream.read(&mut byte)),
        }
    });
    (backend, number)
}

fn count(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

#[test]
fn http_checks_take_a_backend_down_and_bring_it_back() {
    let status = |code| Some(format!("HTTP/1.1 {code} Whatever\r\nContent-Length: 0\r\n\r\n"));
    let (backend, code) = knob(b"\r\n\r\n", status);
    code.store(200, Ordering::SeqCst);
    let more = with(FAST, &["--check", "http:/health", "--rise", "3", "--fall", "2"]);
    let balancer = Balancer::before(&[&backend], &more);
    let name = backend.name();
    balancer.wait_for_row(&name, |row| row.is_known_up());
    code.store(503, Ordering::SeqCst);
    balancer.wait_for_log("a probe: status 503, want 200");
    assert!(!balancer.row(&name).is_up());
    code.store(200, Ordering::SeqCst);
    balancer.wait_for_row(&name, |row| row.is_up());
    let log = balancer.log();
    assert_eq!(count(&log, &format!("backend {name} is down")), 1, "once");
    assert_eq!(count(&log, &format!("backend {name} is up")), 1, "once");
    balancer.stop();
}

/// Answers with what `answer` makes of each request, and tells how each connection ended.
fn probed(
    answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> (Backend, Receiver<(String, End)>) {
    let (tell, told) = mpsc::channel();
    let backend = Backend::start(move |stream: TcpStream| {
        let stream = crate::common::with_deadline(stream);
        let mut question = Vec::new();
        let mut bytes = [0; 512];
        while !question.ends_with(b"\r\n\r\n") {
            match (&stream).read(&mut bytes) {
                Ok(count @ 1..) => question.extend_from_slice(&bytes[..count]),
                _ => return,
            }
        }
        let question = String::from_utf8_lossy(&question).into_owned();
        // In pieces, so that most is not there when the first is understood.
        let text = answer(&question);
        let (first, rest) = text.split_at(text.len().min(20));
        let mut taken = (&stream).write_all(first).is_ok();
        for piece in rest.chunks(8 * 1024) {
            thread::sleep(Duration::from_millis(5));
            taken &= (&stream).write_all(piece).is_ok();
        }
        let end = if taken { read_to_end(&stream) } else { End::Reset(0) };
        let _ = tell.send((question, end));
    });
    (backend, told)
}

fn host_of(question: &str) -> &str {
    let line = question.lines().find(|line| line.starts_with("Host: "));
    line.expect("it has one").trim_start_matches("Host: ")
}

#[test]
fn probes_ask_for_the_host_that_was_written_and_for_another_if_told() {
    for (spec, more, wanted) in [
        ("localhost:PORT", &[][..], "localhost:PORT"),
        ("127.0.0.1:PORT", &[], "127.0.0.1:PORT"),
        ("127.0.0.1:9,check-port=PORT", &[], "127.0.0.1:PORT"),
        ("127.0.0.1:PORT", &["--check-host", "a.test"], "a.test"),
    ] {
        let empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (backend, told) = probed(|_| empty.to_vec());
        let port = backend.address.port().to_string();
        let spec = spec.replace("PORT", &port);
        let checks = with(&["-b", &spec, "--check", "http:/x"], more);
        let balancer = Balancer::start(&front_args(&[], &with(FAST, &checks)));
        let (question, _) = told.recv_timeout(DEADLINE).expect("it is probed");
        assert_eq!(host_of(&question), wanted.replace("PORT", &port), "{spec}");
        balancer.stop();
    }
}

/// Whatever its size, up to a bound; and the connection is closed without a reset.
#[test]
fn an_answer_to_a_probe_is_read_to_its_end() {
    let body = "x".repeat(60_000);
    let length = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let bad = format!("HTTP/1.1 503 No\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for answer in [length, chunked, bad] {
        let (backend, told) = probed(move |_| answer.clone().into_bytes());
        let checks = ["--check", "http:/", "--check-interval", "300ms"];
        let balancer = Balancer::before(&[&backend], &checks);
        for _ in 0..2 {
            let (_, end) = told.recv_timeout(DEADLINE).expect("it is probed");
            assert_eq!(end, End::Finished(Vec::new()), "no reset");
        }
        balancer.stop();
    }
}

#[test]
fn other_statuses_will_do_where_they_are_expected() {
    let (backend, code) = knob(b"\r\n\r\n", |code| {
        Some(format!("HTTP/1.1 {code} Whatever\r\nContent-Length: 0\r\n\r\n"))
    });
    code.store(302, Ordering::SeqCst);
    let more = with(FAST, &["--check", "http:/,expect=200-399,401", "--fall", "1"]);
    let balancer = Balancer::before(&[&backend], &with(&more, &["--rise", "1"]));
    let name = backend.name();
    balancer.wait_for_row(&name, |row| row.is_known_up());
    code.store(403, Ordering::SeqCst);
    balancer.wait_for_log("a probe: status 403, want 200-399,401");
    code.store(401, Ordering::SeqCst);
    balancer.wait_for_row(&name, |row| row.is_up());
    balancer.stop();
}

#[test]
fn texts_are_asked_and_expected_over_tcp() {
    let answer = |number| match number {
        0 => Some("+PONG\r\n".to_owned()),
        1 => Some("-LOADING\r\n".to_owned()),
        _ => None,
    };
    let (backend, number) = knob(b"PING\r\n", answer);
    let check = r"tcp:PING\x0d\x0a,expect=+PONG";
    let more = with(FAST, &["--check", check, "--fall", "1", "--rise", "1"]);
    let balancer = Balancer::before(&[&backend], &more);
    let name = backend.name();
    balancer.wait_for_row(&name, |row| row.is_known_up());
    number.store(1, Ordering::SeqCst);
    balancer.wait_for_log(r"a probe: '-LOADING\r\n' is not what is expected");
    number.store(0, Ordering::SeqCst);
    balancer.wait_for_row(&name, |row| row.is_up());
    number.store(2, Ordering::SeqCst);
    balancer.wait_for_log("a probe: no answer within 1s");
    balancer.stop();
}

#[test]
fn tcp_checks_see_a_backend_go_and_come_back() {
    let first = Backend::named("first");
    let second = Backend::named("second");
    let address = first.address;
    let more = with(FAST, &["--check", "tcp", "--balance", "first"]);
    let balancer = Balancer::before(&[&first, &second], &more);
    let name = first.name();
    let answer = || read_to_end(&balancer.connect()).bytes();
    balancer.wait_for_row(&name, |row| row.is_known_up());
    assert_eq!(answer(), b"first");
    drop(first);
    assert_eq!(answer(), b"second", "a client need not see that it is gone");
    balancer.wait_for_row(&name, |row| !row.is_up());
    assert_eq!(answer(), b"second");
    let _first = Backend::start_at(address, |mut stream| drop(stream.write_all(b"again")));
    balancer.wait_for_row(&name, |row| row.is_up());
    assert_eq!(answer(), b"again");
    balancer.stop();
}

#[test]
fn load_checks_show_the_load_and_fear_silence() {
    let load = |load| (load != 13).then(|| format!("{load}.5\0"));
    let (backend, number) = knob(b"load\0", load);
    let more = with(FAST, &["--check", "load:load", "--balance", "least-load"]);
    let balancer = Balancer::before(&[&backend], &more);
    let name = backend.name();
    for value in [7, 123_456] {
        number.store(value, Ordering::SeqCst);
        balancer.wait_for_row(&name, |row| row.load == format!("{value}.50"));
    }
    number.store(13, Ordering::SeqCst);
    balancer.wait_for_row(&name, |row| !row.is_up());
    balancer.wait_for_log("a probe: no answer within 1s");
    number.store(0, Ordering::SeqCst);
    balancer.wait_for_row(&name, |row| row.is_up() && row.load == "0.50");
    balancer.stop();
}

#[test]
fn pitfall_29_ten_black_holes_delay_nobody() {
    let holes: Vec<BlackHole> = (0..10).map(|_| BlackHole::start()).collect();
    let good = Backend::named("good");
    let mut args = front_args(&[], &["--check", "tcp", "--check-interval", "100ms"]);
    let flags: Vec<String> = holes.iter().map(BlackHole::flag).collect();
    args.extend(flags.iter().flat_map(|flag| ["-b", flag]));
    let flag = good.flag();
    args.extend(["-b", &flag, "--check-timeout", "1s", "--balance", "least-connections"]);
    let began = Instant::now();
    let balancer = Balancer::start(&args);
    balancer.wait_for_row(&flag, |row| row.is_known_up());
    crate::common::until("ten are down", || {
        count(&balancer.log_so_far(), "no connection within 1s") == 10
    });
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(1), "each has its deadline: {took:?}");
    assert!(took < Duration::from_secs(10), "not one after the other: {took:?}");
    let so_far = good.accepted();
    crate::common::until("its probes go on", || good.accepted() >= so_far + 5);
    assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"good".to_vec()));
    balancer.stop();
}

#[test]
fn a_refused_connect_counts_as_a_failed_probe() {
    let good = Backend::named("good");
    let dead = free_port().to_string();
    let more = with(RARE, &["--balance", "first", "-b", &dead, "-b"]);
    let flag = good.flag();
    let balancer = Balancer::start(&with(&front_args(&[], &more), &[&flag]));
    for _ in 0..5 {
        assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"good".to_vec()));
    }
    let row = balancer.row(&dead);
    assert_eq!((row.is_up(), row.failed), (false, 1), "once was enough");
    balancer.wait_for_log("is down after 0.0 s up: a connect refused");
    balancer.stop();
}

#[test]
fn clients_alone_never_take_down_the_last_backend() {
    let address = free_port();
    let flag = address.to_string();
    let balancer = Balancer::start(&with(&front_args(&[], RARE), &["-b", &flag]));
    for _ in 0..10 {
        assert_eq!(read_to_end(&balancer.connect()), End::Reset(0));
    }
    let row = balancer.row(&flag);
    assert_eq!((row.is_up(), row.failed), (true, 10));
    let _backend = Backend::start_at(address, |mut stream| drop(stream.write_all(b"here")));
    assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"here".to_vec()));
    balancer.stop();
}

#[test]
fn without_checks_nothing_takes_a_backend_down() {
    let good = Backend::named("good");
    let dead = free_port().to_string();
    let args = front_args(&[&good], &["-b", &dead, "--balance", "round-robin"]);
    let balancer = Balancer::start(&args);
    for _ in 0..10 {
        assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"good".to_vec()));
    }
    let row = balancer.row(&dead);
    assert_eq!((row.state.as_str(), row.failed), ("up?", 5));
    balancer.stop();
}

#[test]
fn pitfall_30_all_down_refuses_or_spreads() {
    for (policy, answer) in [("refuse", End::Reset(0)), ("spread", End::Finished(b"on".into()))]
    {
        let backend = Backend::named("on");
        let address = backend.address;
        let name = backend.name();
        let more = with(FAST, &["--check", "tcp", "--all-down", policy, "--rise", "1000"]);
        let balancer = Balancer::before(&[&backend], &more);
        drop(backend);
        balancer.wait_for_row(&name, |row| !row.is_up());
        assert_eq!(read_to_end(&balancer.connect()), End::Reset(0), "{policy}");
        let _backend = Backend::start_at(address, |mut stream| drop(stream.write_all(b"on")));
        assert_eq!(read_to_end(&balancer.connect()), answer, "{policy}");
        if policy == "refuse" {
            balancer.wait_for_log("refused: all backends are down");
            assert_eq!(balancer.count("refused"), 2);
        }
        balancer.stop();
    }
}

#[test]
fn the_last_one_that_falls_and_the_first_that_returns_are_errors() {
    let first = Backend::named("a");
    let second = Backend::named("b");
    let address = second.address;
    let name = second.name();
    let more = with(FAST, &["--check", "tcp", "--log-level", "info", "--rise", "1"]);
    let balancer = Balancer::before(&[&first, &second], &more);
    drop(first);
    drop(second);
    balancer.wait_for_log("pool: nobody is left: 2 of 2 backends are down");
    let _second = Backend::start_at(address, |mut stream| drop(stream.write_all(b"b")));
    balancer.wait_for_log(&format!("pool: backend {name} is there again"));
    let log = balancer.log();
    assert_eq!((count(&log, "nobody is left"), count(&log, "ERROR")), (1, 1), "{log}");
    balancer.stop();
}

#[test]
fn connections_of_a_backend_that_goes_down_live_on_or_not() {
    for (policy, survives) in [("keep", true), ("close", false)] {
        let (backend, taken) = Backend::manual();
        let name = backend.name();
        let more = with(FAST, &["--check", "tcp", "--on-down", policy, "--fall", "2"]);
        let balancer = Balancer::before(&[&backend], &more);
        balancer.wait_for_row(&name, |row| row.is_known_up());
        let client = balancer.connect();
        (&client).write_all(b"hello").unwrap();
        // Probes are connections too, and say nothing.
        let mut served = loop {
            let mut stream = taken.recv_timeout(DEADLINE).unwrap();
            if matches!(stream.read(&mut [0; 5]), Ok(5)) {
                break stream;
            }
        };
        drop(backend);
        balancer.wait_for_row(&name, |row| !row.is_up());
        if survives {
            served.write_all(b"still here").unwrap();
            drop(served);
            assert_eq!(read_to_end(&client), End::Finished(b"still here".to_vec()));
            drop(client);
        } else {
            assert_eq!(read_to_end(&client), End::Reset(0));
            assert!(read_to_end(&served).is_reset());
            balancer.wait_for_log("its backend went down");
        }
        balancer.stop();
    }
}

#[test]
fn on_down_close_moves_those_on_who_are_still_connecting() {
    let hole = BlackHole::start();
    let good = Backend::named("good");
    let more = ["--check-interval", "1s", "--check-timeout", "200ms", "--on-down", "close"];
    let hole_flag = hole.flag();
    let mut args = front_args(&[], &with(&more, &["--check", "tcp", "--balance", "first"]));
    let flag = good.flag();
    args.extend(["-b", &hole_flag, "-b", &flag, "--connect-timeout", "1h"]);
    let balancer = Balancer::start(&args);
    assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"good".to_vec()));
    balancer.stop();
}

#[test]
fn a_recovered_backend_starts_slowly() {
    let address = free_port();
    let flag = address.to_string();
    let more = with(FAST, &["--check", "tcp", "--slow-start", "3s", "-b"]);
    let steady = Backend::named("steady");
    let balancer = Balancer::start(&with(&front_args(&[&steady], &more), &[&flag]));
    balancer.wait_for_row(&flag, |row| !row.is_up());
    assert_eq!(balancer.row(&steady.name()).weight, "1", "the initial set does not ramp");
    let _late = Backend::start_at(address, |mut stream| drop(stream.write_all(b"late")));
    balancer.wait_for_row(&flag, |row| row.is_up() && row.weight == "~1");
    balancer.wait_for_row(&flag, |row| row.weight == "1");
    balancer.stop();
}

#[test]
fn a_backup_serves_only_while_nobody_else_can() {
    let main = Backend::named("main");
    let spare = Backend::named("spare");
    let address = main.address;
    let name = main.name();
    let spare_flag = format!("{},backup", spare.flag());
    let more = with(FAST, &["--check", "tcp", "-b", &spare_flag]);
    let balancer = Balancer::start(&front_args(&[&main], &more));
    let answer = || read_to_end(&balancer.connect()).bytes();
    (0..6).for_each(|_| assert_eq!(answer(), b"main"));
    drop(main);
    balancer.wait_for_row(&name, |row| !row.is_up());
    (0..6).for_each(|_| assert_eq!(answer(), b"spare"));
    let _main = Backend::start_at(address, |mut stream| drop(stream.write_all(b"main")));
    balancer.wait_for_row(&name, |row| row.is_up());
    (0..6).for_each(|_| assert_eq!(answer(), b"main"));
    balancer.stop();
}

#[test]
fn a_full_backend_takes_nobody_until_one_leaves() {
    let a = Backend::echo();
    let b = Backend::echo();
    let flags = [a.flag(), b.flag()].map(|flag| format!("{flag},max-connections=1"));
    let args = front_args(&[], &["-b", &flags[0], "-b", &flags[1]]);
    let balancer = Balancer::start(&args);
    let held = [balancer.connect(), balancer.connect()];
    held.iter().for_each(|client| assert_eq!(ask(client, b"word"), b"word"));
    assert_eq!(read_to_end(&balancer.connect()), End::Reset(0));
    balancer.wait_for_log("no backend that is up takes more connections");
    let [first, second] = held;
    drop(first);
    crate::common::until("there is room", || balancer.count("open of") == 1);
    assert_eq!(ask(&balancer.connect(), b"word"), b"word");
    drop(second);
    balancer.stop();
}

#[test]
fn pitfall_28_weight_0_means_no_new_connections() {
    let a = Backend::named("a");
    let b = Backend::named("b");
    let none = format!("{},weight=0", a.flag());
    let algorithms = [
        "least-connections",
        "round-robin",
        "random",
        "ip-hash",
        "consistent-hash",
        "first",
        "least-time",
    ];
    for algorithm in algorithms {
        let more = ["--balance", algorithm, "-b", &none];
        let balancer = Balancer::start(&with(&front_args(&[], &more), &["-b", &b.flag()]));
        for _ in 0..8 {
            assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"b".to_vec()));
        }
        balancer.stop();
        let balancer = Balancer::start(&front_args(&[], &more));
        assert_eq!(read_to_end(&balancer.connect()), End::Reset(0), "{algorithm}");
        balancer.stop();
    }
}
