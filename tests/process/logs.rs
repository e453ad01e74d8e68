//! The log for people: its formats, where it listens, what a run came to.

use std::fs::{File, read_to_string};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::servers::missing;
use crate::common::{Backend, Balancer, DEADLINE, free_port, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pointsman");

/// Answers each request with `hello`.
fn origin() -> Backend {
    Backend::start(|mut stream| {
        let mut buffer = [0; 4096];
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        while let Ok(1..) = stream.read(&mut buffer) {
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    })
}

fn http_before(backend: &Backend, more: &[&str]) -> Balancer {
    let args = ["-l", "http://127.0.0.1:0", "--check", "none", "-b"];
    Balancer::start(&[&args[..], &[&backend.flag()], more].concat())
}

/// Say something, and read to the end.
fn tell(balancer: &Balancer, bytes: &[u8]) -> String {
    let mut stream = balancer.connect();
    stream.write_all(bytes).expect("it listens");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// The line of a log in text that has this, without its time.
fn line_with(log: &str, text: &str) -> String {
    let mut lines = log.lines().filter(|line| line.contains(text));
    let line = lines.next().unwrap_or_else(|| panic!("no {text:?} in {log}"));
    assert!(lines.next().is_none(), "{text:?} is said once: {log}");
    line.split_once(' ').expect("a time").1.to_owned()
}

/// A file that its standard error goes to; gone with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let name = format!("pointsman-log-{}-{name}", std::process::id());
        Place(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn text_has_milliseconds_and_names_no_module() {
    let backend = origin();
    let balancer = http_before(&backend, &[]);
    assert!(tell(&balancer, GET).ends_with("hello"));
    balancer.wait_for_log("answered");
    let log = balancer.log();
    for line in log.lines() {
        let (time, rest) = line.split_once(' ').expect("a time");
        let digits = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c });
        assert_eq!(digits.collect::<String>(), "0000-00-00T00:00:00.000Z", "{line}");
        let level = &rest[..6];
        assert!(["DEBUG ", "INFO  ", "WARN  "].contains(&level), "{line}");
        assert!(!line.contains("::event_loop") && !line.contains('\x1b'), "{line}");
    }
    let listening = format!("INFO  listening on http://{}", balancer.address());
    assert_eq!(line_with(&log, "listening on"), listening);
    balancer.stop();
}

#[test]
fn json_is_an_object_a_line_whatever_comes() {
    let backend = origin();
    let more = ["--log-format", "json", "--log-level", "trace"];
    let mut balancer = http_before(&backend, &more);
    let hostile: [&[u8]; 5] = [
        GET,
        b"rubbish\r\n\r\n",
        b"GET /\"\x1b[2J\x01 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \"\\\n\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\nX: \"\r\nConnection: close\r\n\r\n",
    ];
    hostile.iter().for_each(|bytes| drop(tell(&balancer, bytes)));
    balancer.signal(Signal::USR1);
    balancer.wait_for_log("status: ");
    balancer.signal(Signal::TERM);
    balancer.wait();
    until("it is read to the end", || balancer.log_so_far().contains("stopped after"));
    let log = balancer.log();
    for line in log.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let members = value.as_object().expect("an object");
        assert_eq!(members.keys().collect::<Vec<_>>(), ["time", "level", "message"], "{line}");
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
    }
    assert!(log.contains("\"level\":\"debug\"") && log.contains("\"level\":\"info\""));
}

#[test]
fn the_journal_is_known_and_gets_priorities() {
    let started = |stream: &dyn Fn(u64, u64) -> Option<String>, more: &[&str]| {
        let place = Place::new("journal");
        let file = File::create(&place.0).expect("it is made");
        let found = file.metadata().expect("it is there");
        let mut command = Command::new(PROGRAM);
        command.args(["-l", "127.0.0.1:0", "-b", "127.0.0.1:1", "--check", "none"]).args(more);
        command.env_remove("JOURNAL_STREAM").stdout(Stdio::null()).stderr(file);
        command.envs(stream(found.dev(), found.ino()).map(|it| ("JOURNAL_STREAM", it)));
        let mut child = command.spawn().expect("it starts");
        let read = || read_to_string(&place.0).expect("it is there");
        until("it listens", || read().contains("listening on"));
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
        assert!(child.wait().expect("it is ours").success());
        read()
    };
    let ours = |dev, ino| Some(format!("{dev}:{ino}"));
    let anothers = |dev, ino: u64| Some(format!("{dev}:{}", ino + 1));
    let is_journal = |log: &str| log.lines().all(|line| line.starts_with("<6>"));
    let log = started(&ours, &[]);
    assert!(is_journal(&log) && log.contains("<6>listening on tcp://127.0.0.1:"), "{log}");
    for (stream, more) in [
        (&anothers as &dyn Fn(u64, u64) -> Option<String>, &[][..]),
        (&|_, _| None, &[]),
        (&|_, _| Some("rubbish".to_owned()), &[]),
        (&ours, &["--log-format", "text"]),
    ] {
        let log = started(stream, more);
        assert!(log.lines().all(|line| line.contains("Z INFO  ")), "{log}");
    }
    assert!(is_journal(&started(&|_, _| None, &["--log-format", "journald"])));
}

#[test]
fn a_reload_changes_how_lines_look() {
    let place = Place::new("reload.toml");
    let backend = Backend::echo();
    let text = |format: &str| {
        format!(
            "[global]\n{format}\n[listener.front]\nbind = \"tcp://127.0.0.1:0\"\n\
             [service.web]\nlisten = [\"front\"]\npool = \"web\"\n\
             [pool.web]\nbackends = [\"{}\"]\ncheck = \"none\"\n",
            backend.flag()
        )
    };
    std::fs::write(&place.0, text("")).expect("it is written");
    let config = place.0.to_str().expect("text");
    let balancer = Balancer::start(&["--config", config, "--log-level", "info"]);
    for (format, wanted) in [
        ("log_format = \"json\"", "\"level\":\"info\",\"message\":\"generation 2: "),
        ("log_format = \"journald\"", "<6>generation 3: "),
        ("", "Z INFO  generation 4: "),
    ] {
        std::fs::write(&place.0, text(format)).expect("it is written");
        balancer.signal(Signal::HUP);
        balancer.wait_for_log(wanted);
    }
    balancer.stop();
}

#[test]
fn a_run_says_at_its_end_what_it_did() {
    let backend = origin();
    let balancer = http_before(&backend, &["--log-level", "info"]);
    (0..3).for_each(|_| assert!(tell(&balancer, GET).ends_with("hello")));
    let mut balancer = balancer;
    balancer.signal(Signal::INT);
    assert!(balancer.wait().success());
    let line = line_with(&balancer.log(), "stopped after");
    let wanted = "s: 3 connections (3 finished, 0 failed, 0 of them refused), 3 requests; \
                  relayed ";
    assert!(line.starts_with("INFO  stopped after ") && line.contains(wanted), "{line}");
    let log = balancer.log();
    assert!(log.lines().last().is_some_and(|it| it.contains("stopped after")), "{log}");

    // Those whom a second Ctrl-C cuts off have failed; who found no backend was refused.
    let (held, taken) = Backend::manual();
    let mut balancer = Balancer::before(&[&held], &["--log-level", "info"]);
    let client = balancer.connect();
    let _served = taken.recv_timeout(DEADLINE).expect("a connection");
    balancer.signal(Signal::INT);
    balancer.wait_for_log("may finish");
    balancer.signal(Signal::INT);
    assert!(balancer.wait().success());
    let line = line_with(&balancer.log(), "stopped after");
    let wanted = ": 1 connection (0 finished, 1 failed, 0 of them refused), 0 requests; \
                  relayed 0 bytes to clients, 0 bytes to backends";
    assert!(line.contains(wanted), "{line}");
    drop(client);
}

#[test]
fn what_goes_wrong_at_the_start_is_told_in_the_format() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("bound").to_string();
    for (format, begins) in
        [("text", "pointsman: --listen"), ("journald", "<3>--listen"), ("json", "{\"time\":\"")]
    {
        let mut command = Command::new(PROGRAM);
        command.args(["-l", &at, "-b", "127.0.0.1:1", "--log-format", format]);
        let output = command.output().expect("it starts");
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).expect("text");
        let line = text.lines().last().expect("a line");
        assert!(line.starts_with(begins) && line.contains(&at), "{text}");
        let is_json = serde_json::from_str::<Value>(line).is_ok();
        assert_eq!(is_json, format == "json", "{line}");
    }
}

#[test]
fn a_terminal_has_colours_unless_it_wants_none_and_one_line_of_where_it_listens() {
    if missing(&["script"]) {
        return;
    }
    let shown = |environment: &[(&str, &str)]| {
        let port = free_port().port();
        let line = format!(
            "timeout -s TERM 2 {PROGRAM} -l 127.0.0.1:{port} -b 127.0.0.1:1 --check none"
        );
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env_remove("NO_COLOR");
        command.envs(environment.iter().copied()).stdin(Stdio::null());
        let output = command.output().expect("it starts");
        String::from_utf8(output.stdout).expect("text")
    };
    let coloured = shown(&[]);
    assert!(coloured.contains("Z \x1b[32mINFO \x1b[0m listening on tcp://"), "{coloured}");
    assert_eq!(coloured.matches("listening on").count(), 1, "{coloured}");
    let plain = shown(&[("NO_COLOR", "1")]);
    assert!(plain.contains("Z INFO  listening on") && !plain.contains('\x1b'), "{plain}");
}
