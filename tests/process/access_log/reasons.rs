//! Why something was refused, answered here or cut off, and who was asked before.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;

use super::{GOOD, Place, get, says};
use crate::common::{Backend, Balancer, BlackHole, free_port};

/// The last line of an access log in JSON, once there are so many.
fn last(place: &Place, count: usize) -> String {
    place.lines(count).pop().expect("a line")
}

/// A member of it as it is written, without quotes; empty, if it is not there.
fn member<'a>(line: &'a str, name: &str) -> &'a str {
    let Some((_, rest)) = line.split_once(&format!("\"{name}\":")) else { return "" };
    match rest.chars().next() {
        Some('"') => rest[1..].split('"').next().unwrap_or_default(),
        Some('[') => rest[1..].split(']').next().unwrap_or_default(),
        _ => rest.split([',', '}']).next().unwrap_or_default(),
    }
}

fn reason(line: &str) -> [&str; 3] {
    ["ended", "state", "reason"].map(|name| member(line, name))
}

/// What a client says, and what the log says of it.
struct Case<'a> {
    backends: &'a [&'a str],
    bytes: &'a str,
    status: u16,
    /// How it ended, in JSON's word and HAProxy's, and the reason.
    want: [&'a str; 3],
    /// Whether the backends were asked, all of them.
    asks: bool,
}

impl Case<'_> {
    fn check(&self, number: usize) {
        let want = self.want;
        let status = self.status;
        let place = Place::new(&format!("why-{number}"));
        let log =
            ["--access-log", place.flag(), "--access-log-format", "json", "--retries", "1"];
        // The one that is waited for; a busy machine must not run into the others.
        let times = ["connect-timeout", "server-timeout", "header-timeout"].map(|reason| {
            format!("--{reason}={}", if want[2] == reason { "1s" } else { "1h" })
        });
        let pages = ["--health-path", "/up", "--stats-path", "/stats", "--max-body", "20"];
        let mut args = vec!["-l", "http://127.0.0.1:0", "--check", "none"];
        args.extend(self.backends.iter().flat_map(|flag| ["-b", flag]));
        args.extend([&log[..], &times.each_ref().map(String::as_str), &pages].concat());
        let balancer = Balancer::start(&args);
        let mut stream = balancer.connect();
        stream.write_all(self.bytes.as_bytes()).expect("it listens");
        let _ = stream.read_to_end(&mut Vec::new());
        let line = last(&place, 1);
        assert_eq!(member(&line, "status"), status.to_string(), "{line}");
        assert_eq!(reason(&line), want, "{line}");
        assert_eq!(member(&line, "detail").is_empty(), want[2].is_empty(), "{line}");
        let asked = if self.asks { self.backends } else { &[] };
        let mut asked: Vec<String> = asked.iter().map(|name| format!("\"{name}\"")).collect();
        let mut tried: Vec<&str> = member(&line, "tried").split(',').collect();
        tried.retain(|name| !name.is_empty());
        tried.sort_unstable();
        asked.sort_unstable();
        assert_eq!(tried, asked, "{line}");
        if want[1] == "sD" {
            balancer.wait_for_log("the backend fell silent in its answer: --server-timeout");
        }
        let answered = status > 200 || want[1] == "LR";
        let said = format!("answered {status} here: {}", want[2]);
        assert_eq!(balancer.log().contains(&said), answered, "{said}: {}", balancer.log());
    }
}

/// Backends that take requests and close are no backends that could not be reached; what is no
/// answer was not refused to the client by us. And each says who was asked.
#[test]
fn backends_that_fail_are_named_with_what_they_did() {
    let closing =
        [(); 2].map(|()| Backend::start(|mut stream| drop(stream.read(&mut [0; 4096]))));
    let [one, two] = closing.each_ref().map(Backend::flag);
    let [gone, lost] = [free_port().to_string(), free_port().to_string()];
    let none = says(b"this is no answer");
    let cut = says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi");
    let none = none.flag();
    let cut = cut.flag();
    let (late, held) = Backend::manual();
    let hole = BlackHole::start();
    let late = late.flag();
    let hole = hole.flag();
    let question = String::from_utf8(get("/", "")).expect("text");
    let table: &[(&[&str], u16, [&str; 3])] = &[
        (&[&gone, &lost], 502, ["backend-failed", "SC", "connect-failed"]),
        (&[&one, &two], 502, ["backend-failed", "SH", "no-answer"]),
        (&[&none], 502, ["backend-failed", "PH", "bad-answer"]),
        (&[&hole], 504, ["backend-timeout", "sC", "connect-timeout"]),
        (&[&late], 504, ["backend-timeout", "sH", "server-timeout"]),
        (&[&cut], 200, ["backend-timeout", "sD", "server-timeout"]),
    ];
    for (number, &(backends, status, want)) in table.iter().enumerate() {
        Case { backends, bytes: &question, status, want, asks: true }.check(number);
    }
    drop(held);
}

#[test]
fn what_is_refused_or_answered_here_says_why() {
    let (late, held) = Backend::manual();
    let flag = late.flag();
    let nothing = late.flag() + ",weight=0";
    let backends: &[&str] = &[&flag];
    let text = |target: &str| String::from_utf8(get(target, "")).expect("text");
    let post = |rest: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}");
    let table = [
        ("rubbish\r\n\r\n".to_owned(), 400, ["refused", "PR", "bad-request"], false),
        ("GET / HT".to_owned(), 408, ["client-timeout", "cR", "header-timeout"], false),
        (
            post("Content-Length: 9\r\n\r\nhello"),
            408,
            ["client-timeout", "cD", "server-timeout"],
            true,
        ),
        (post("Content-Length: 99\r\n\r\n"), 413, ["refused", "PR", "max-body"], false),
        (
            post("Transfer-Encoding: chunked\r\n\r\nrubbish\r\n"),
            400,
            ["refused", "PR", "bad-body"],
            true,
        ),
        (text("/up"), 200, ["answered-here", "LR", "health-path"], false),
        (text("/stats"), 200, ["answered-here", "LR", "stats-path"], false),
    ];
    for (number, (bytes, status, want, asks)) in table.iter().enumerate() {
        let status = *status;
        let want = *want;
        let asks = *asks;
        Case { backends, bytes, status, want, asks }.check(10 + number);
    }
    let (backends, bytes): (&[&str], _) = (&[&nothing], &*text("/"));
    let want = ["backend-failed", "SC", "no-room"];
    Case { backends, bytes, status: 503, want, asks: false }.check(20);
    drop(held);
}

#[test]
fn what_comes_to_its_end_has_no_reason() {
    let good = says(GOOD);
    let place = Place::new("well");
    let log = ["--access-log", place.flag(), "--access-log-format", "json", "--check", "none"];
    let flag = good.flag();
    let balancer =
        Balancer::start(&[&["-l", "http://127.0.0.1:0", "-b", &flag], &log[..]].concat());
    let mut stream = balancer.connect();
    stream.write_all(&get("/", "")).expect("it listens");
    let _ = stream.read_to_end(&mut Vec::new());
    let line = last(&place, 1);
    assert_eq!(reason(&line), ["finished", "--", ""]);
    assert!(!line.contains("tried") && !line.contains("detail"), "{line}");
}

#[test]
fn who_is_idle_for_too_long_is_said_to_be() {
    let echo = Backend::echo();
    let place = Place::new("idle");
    let log = ["--access-log", place.flag(), "--access-log-format", "json"];
    let balancer =
        Balancer::before(&[&echo], &[&log[..], &["--idle-timeout", "200ms"]].concat());
    let stream = balancer.connect();
    assert_eq!(crate::common::read_to_end(&stream).bytes(), b"");
    assert_eq!(reason(&last(&place, 1)), ["client-timeout", "cD", "idle-timeout"]);
}

#[test]
fn what_breaks_or_is_cut_off_says_why() {
    let place = Place::new("broken");
    let (backend, streams) = Backend::manual();
    let flag = backend.flag();
    let listeners = ["-l", "127.0.0.1:0", "-l", "http://127.0.0.1:0", "-b", &flag];
    let log = ["--access-log", place.flag(), "--access-log-format", "json", "--check", "none"];
    let times = ["--half-close-timeout", "200ms", "--drain-timeout", "200ms"];
    let balancer = Balancer::start(&[&listeners[..], &log, &times].concat());
    let to = |index: usize| crate::common::connect(balancer.addresses[index]);
    let mut held = Vec::new();
    let mut broken = |number: usize,
                      index: usize,
                      act: &mut dyn FnMut(TcpStream, TcpStream)| {
        let mut client = to(index);
        client.write_all(&get("/", "")).expect("it listens");
        let mut server = streams.recv_timeout(crate::common::DEADLINE).expect("a connection");
        assert!(server.read(&mut [0; 4096]).expect("a request") > 0);
        held.push(server.try_clone().expect("a descriptor"));
        act(client, server);
        last(&place, number)
    };
    let line = broken(1, 0, &mut |mut client, _| {
        client.shutdown(std::net::Shutdown::Write).expect("it is there");
        let _ = client.read(&mut [0]);
    });
    assert_eq!(reason(&line), ["client-timeout", "cD", "half-close-timeout"]);
    let line = broken(2, 0, &mut |client, _| crate::common::reset(client));
    assert_eq!(reason(&line), ["client-aborted", "CD", "client-reset"]);
    let line = broken(3, 1, &mut |client, _| drop(client));
    assert_eq!(reason(&line), ["client-aborted", "CH", "abort-on-close"]);
    assert_eq!(member(&line, "status"), "499");
    assert_eq!(member(&line, "tried"), format!("\"{}\"", backend.name()));
    let line = broken(4, 1, &mut |mut client, mut server| {
        server
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
            .expect("it reads");
        server.shutdown(std::net::Shutdown::Write).expect("it is there");
        let _ = client.read_to_end(&mut Vec::new());
    });
    assert_eq!(reason(&line), ["backend-failed", "SD", "answer-cut-short"]);
    let mut kept = Vec::new();
    let line = broken(5, 1, &mut |client, _| {
        kept.push(client);
        balancer.signal(Signal::TERM);
    });
    assert_eq!(reason(&line), ["stopped", "KH", "drain-timeout"]);
}
