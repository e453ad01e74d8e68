//! The access log, written by the real program: a line for everything, in every format, whatever
//! becomes of the file.

mod custom;
mod reasons;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Backend, Balancer, BlackHole, free_port, until};

/// A file that is gone when the test is.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let process = std::process::id();
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("pointsman-{process}-{number}-{name}");
        Place(std::env::temp_dir().join(name))
    }

    fn flag(&self) -> &str {
        self.0.to_str().expect("it is text")
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }

    /// Its lines, once there are so many.
    fn lines(&self, count: usize) -> Vec<String> {
        until(&format!("{count} lines in {}", self.text()), || {
            self.text().lines().count() >= count
        });
        let lines: Vec<String> = self.text().lines().map(String::from).collect();
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn http_before(backends: &[&str], more: &[&str]) -> Balancer {
    let mut args = vec!["-l", "http://127.0.0.1:0", "--check", "none", "--retries", "0"];
    args.extend(backends.iter().flat_map(|flag| ["-b", flag]));
    args.extend(more);
    Balancer::start(&args)
}

/// Answers every request with these bytes.
fn says(answer: &'static [u8]) -> Backend {
    Backend::start(move |mut stream| {
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer) {
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    })
}

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Say something and read to the end.
fn tell(balancer: &Balancer, bytes: &[u8]) -> Vec<u8> {
    let mut stream = balancer.connect();
    stream.write_all(bytes).expect("it listens");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    answer
}

fn get(target: &str, fields: &str) -> Vec<u8> {
    let line = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n");
    format!("{line}{fields}Connection: close\r\n\r\n").into_bytes()
}

/// The line without what differs from run to run: time, ports, durations.
fn haproxy_tail(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let times: Vec<&str> = words[4].split('/').collect();
    let reached: Vec<&str> =
        times.iter().map(|it| if *it == "-1" { "-" } else { "t" }).collect();
    let server = words[3].split('/').next_back().expect("a server");
    let server = server.split(':').next().expect("a host");
    // The counts depend on what else is being closed.
    let retries = words.iter().find(|it| it.matches('/').count() == 4 && **it != words[4]);
    let retries = retries.expect("counts").rsplit('/').next().expect("retries");
    let ends = words.iter().position(|it| it.len() == 4 && it.ends_with("--"));
    let status = words[5];
    let state = words[ends.expect("a state")];
    let request = line.split_once('"').expect("a request").1;
    format!("{server} {} {status} {state} {retries} \"{request}", reached.join("/"))
}

#[test]
fn combined_says_what_was_asked_and_answered() {
    let place = Place::new("combined");
    let backend = says(GOOD);
    let balancer = http_before(&[&backend.flag()], &["--access-log", place.flag()]);
    let fields = "User-Agent: te\"st\\\u{e9}\t1\r\nReferer: http://b/\r\n";
    tell(&balancer, &get("/one?a='b", fields));
    tell(&balancer, b"rubbish\r\n\r\n");
    let mut kept = balancer.connect();
    kept.write_all(b"HEAD /kept HTTP/1.1\r\nHost: a\r\n\r\n").expect("it listens");
    assert!(kept.read(&mut [0; 4096]).expect("an answer") > 0);
    let lines = place.lines(3);
    let tail = |line: &str| line.split_once("] ").expect("a time").1.to_owned();
    let agent = "te\\x22st\\x5C\\xC3\\xA9\\x091";
    let asked = tail(&lines[0]);
    assert!(lines[0].starts_with("127.0.0.1 - - ["), "{}", lines[0]);
    assert!(lines[0].contains(" +0000] \"GET /one?a="), "{}", lines[0]);
    assert!(asked.ends_with(&format!(" 200 5 \"http://b/\" \"{agent}\"")), "{asked}");
    assert_eq!(tail(&lines[1]), "\"-\" 400 38 \"-\" \"-\"");
    assert_eq!(tail(&lines[2]), "\"HEAD /kept HTTP/1.1\" 200 0 \"-\" \"-\"");
    drop(kept);
    balancer.stop();
    assert_eq!(place.lines(3).len(), 3, "a client that rests leaves no line");
}

#[test]
fn haproxy_says_who_failed_and_when() {
    let place = Place::new("haproxy");
    let good = says(GOOD);
    let silent = Backend::start(|mut stream| drop(stream.read(&mut [0; 4096])));
    let none = says(b"this is no answer");
    let gone = free_port().to_string();
    let hole = BlackHole::start();
    let (late, held) = Backend::manual();
    let table: [(String, &[u8], &str); 8] = [
        (good.flag(), &get("/", ""), "127.0.0.1 t/t/t/t/t 200 ---- 0 \"GET / HTTP/1.1\""),
        (good.flag(), &get("/up", ""), "<STATS> t/-/-/-/t 200 LR-- 0 \"GET /up HTTP/1.1\""),
        (good.flag(), b"rubbish\r\n\r\n", "<NOSRV> -/-/-/-/t 400 PR-- 0 \"<BADREQ>\""),
        (silent.flag(), &get("/", ""), "127.0.0.1 t/t/t/-/t 502 SH-- 0 \"GET / HTTP/1.1\""),
        (none.flag(), &get("/", ""), "127.0.0.1 t/t/t/-/t 502 PH-- 0 \"GET / HTTP/1.1\""),
        (gone, &get("/", ""), "127.0.0.1 t/t/-/-/t 502 SC-- 0 \"GET / HTTP/1.1\""),
        (hole.flag(), &get("/", ""), "127.0.0.1 t/t/-/-/t 504 sC-- 0 \"GET / HTTP/1.1\""),
        (late.flag(), &get("/", ""), "127.0.0.1 t/t/t/-/t 504 sH-- 0 \"GET / HTTP/1.1\""),
    ];
    for (number, (backend, bytes, want)) in table.into_iter().enumerate() {
        let place = Place(place.0.with_extension(number.to_string()));
        let more = ["--access-log", place.flag(), "--access-log-format", "haproxy"];
        // A busy machine must not run into what is not waited for.
        let limit = if want.contains(" 504 ") { "1s" } else { "1h" };
        let times = ["--connect-timeout", limit, "--server-timeout", limit];
        let all = [&more[..], &times, &["--health-path", "/up"]].concat();
        let balancer = http_before(&[&backend], &all);
        tell(&balancer, bytes);
        let line = place.lines(1).remove(0);
        assert_eq!(haproxy_tail(&line), want, "{line}");
        let front = format!(" http://{} main/", balancer.address());
        assert!(line.contains(&front), "{line}");
        balancer.stop();
    }
    drop(held);
}

#[test]
fn clients_that_give_up_are_in_it() {
    let place = Place::new("gave-up");
    let (backend, streams) = Backend::manual();
    let more = ["--access-log", place.flag(), "--access-log-format", "haproxy"];
    let balancer = http_before(&[&backend.flag()], &more);
    // In the middle of a head.
    let mut stream = balancer.connect();
    stream.write_all(b"GET / HT").expect("it listens");
    drop(stream);
    assert_eq!(haproxy_tail(&place.lines(1)[0]), "<NOSRV> -/-/-/-/t 499 CR-- 0 \"<BADREQ>\"");
    // In the middle of an answer.
    let mut stream = balancer.connect();
    stream.write_all(&get("/big", "")).expect("it listens");
    let mut server = streams.recv_timeout(crate::common::DEADLINE).expect("a connection");
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nbeginning";
    server.write_all(head).expect("it reads");
    let mut buffer = [0; 100];
    assert!(stream.read(&mut buffer).expect("an answer") > 0);
    crate::common::reset(stream);
    let _ = server.write_all(&vec![0; 10_000_000]);
    let line = haproxy_tail(&place.lines(2)[1]);
    assert_eq!(line, "127.0.0.1 t/t/t/t/t 200 CD-- 0 \"GET /big HTTP/1.1\"");
    // The stop cuts one off.
    let mut stream = balancer.connect();
    stream.write_all(&get("/cut", "")).expect("it listens");
    let _server = streams.recv_timeout(crate::common::DEADLINE).expect("a connection");
    balancer.signal(Signal::TERM);
    balancer.wait_for_log("may finish");
    balancer.signal(Signal::TERM);
    let line = haproxy_tail(&place.lines(3)[2]);
    assert_eq!(line, "127.0.0.1 t/t/t/-/t -1 KH-- 0 \"GET /cut HTTP/1.1\"");
}

#[test]
fn a_head_that_is_never_whole_is_in_it() {
    let place = Place::new("never-whole");
    let backend = Backend::echo();
    let more = ["--access-log", place.flag(), "--access-log-format", "haproxy"];
    let quick = ["--header-timeout", "200ms"];
    let balancer = http_before(&[&backend.flag()], &[&more[..], &quick].concat());
    tell(&balancer, b"GET / HT");
    assert_eq!(haproxy_tail(&place.lines(1)[0]), "<NOSRV> -/-/-/-/t 408 cR-- 0 \"<BADREQ>\"");
}

#[test]
fn a_client_that_does_not_read_is_its_own_fault() {
    let place = Place::new("slow");
    // Made first: to be slow must never be the backend's fault here.
    let body = vec![b'x'; 50_000_000];
    let backend = Backend::start(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
        let _ = stream.write_all(&body);
    });
    let more = ["--access-log", place.flag(), "--access-log-format", "haproxy"];
    let quick = ["--server-timeout", "3s", "--stats-path", "/stats"];
    let balancer = http_before(&[&backend.flag()], &[&more[..], &quick].concat());
    let mut stream = balancer.connect();
    stream.write_all(&get("/big", "")).expect("it listens");
    let line = haproxy_tail(&place.lines(1)[0]);
    assert_eq!(line, "127.0.0.1 t/t/t/t/t 200 cD-- 0 \"GET /big HTTP/1.1\"");
    let stats = String::from_utf8(tell(&balancer, &get("/stats", ""))).expect("text");
    let errors = "\"errors\":{\"connect\":0,\"timeout\":0,\"broken\":0,\"5xx\":0}";
    assert!(stats.contains(errors), "{stats}");
    balancer.stop_after(stream);
}

#[test]
fn a_sticky_client_and_a_retry_have_their_backend_in_it() {
    let place = Place::new("sticky");
    let backend = says(GOOD);
    let gone = free_port();
    let good = format!("{},name=good", backend.flag());
    let gone = format!("{gone},name=gone");
    let mut args = vec!["-l", "http://127.0.0.1:0", "--check", "none", "-a", "first"];
    args.extend(["-b", &gone, "-b", &good, "--sticky-cookie", "at"]);
    args.extend(["--access-log", place.flag(), "--access-log-format", "haproxy"]);
    let balancer = Balancer::start(&args);
    let answer = String::from_utf8(tell(&balancer, &get("/", ""))).expect("text");
    let cookie = answer.split_once("Set-Cookie: ").expect("a cookie").1;
    let cookie = format!("Cookie: {}\r\n", cookie.split([';', '\r']).next().expect("a value"));
    tell(&balancer, &get("/", &cookie));
    let tails: Vec<String> = place.lines(2).iter().map(|line| haproxy_tail(line)).collect();
    assert_eq!(tails[0], "good t/t/t/t/t 200 ---- +1 \"GET / HTTP/1.1\"");
    assert_eq!(tails[1], "good t/t/t/t/t 200 ---- 0 \"GET / HTTP/1.1\"");
    balancer.stop();
}

#[test]
fn tcp_has_a_line_for_each_connection() {
    let place = Place::new("tcp");
    let echo = Backend::echo();
    let more = ["--access-log", place.flag(), "--access-log-format", "haproxy"];
    let balancer = Balancer::before(&[&echo], &more);
    let stream = balancer.connect();
    assert_eq!(crate::common::ask(&stream, b"hello"), b"hello");
    stream.shutdown(std::net::Shutdown::Write).expect("it is there");
    assert_eq!(crate::common::read_to_end(&stream).bytes(), b"");
    let client = stream.local_addr().expect("bound");
    let line = place.lines(1).remove(0);
    let front = format!("] tcp://{} main/{} 0/", balancer.address(), echo.name());
    assert!(line.starts_with(&format!("{client} [")) && line.contains(&front), "{line}");
    assert!(line.ends_with(" 5 -- 1/1/1/1/0 0/0"), "{line}");
    balancer.stop();
}

#[test]
fn sighup_opens_the_file_anew_and_kills_nobody_without_one() {
    let place = Place::new("hup");
    let moved = Place::new("hup.1");
    let backend = says(GOOD);
    let more = ["--access-log", place.flag(), "--access-log-format", "json"];
    let balancer = http_before(&[&backend.flag()], &more);
    tell(&balancer, &get("/before", ""));
    assert!(place.lines(1)[0].contains("\"target\":\"/before\""));
    fs::rename(&place.0, &moved.0).expect("it is there");
    tell(&balancer, &get("/between", ""));
    assert_eq!(moved.lines(2).len(), 2);
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("opened the access log");
    tell(&balancer, &get("/after", ""));
    assert!(place.lines(1)[0].contains("\"target\":\"/after\""));
    balancer.stop();

    let balancer = http_before(&[&backend.flag()], &[]);
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("no access log to open anew");
    assert!(tell(&balancer, &get("/", "")).ends_with(b"hello"));
    balancer.stop();
}

#[test]
fn a_file_that_cannot_be_opened_is_said_at_the_start() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(["-l", "127.0.0.1:0", "-b", "127.0.0.1:1", "--access-log", "/no/where/log"]);
    let output = command.output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("text");
    let line = "pointsman: --access-log /no/where/log: there is no such file";
    assert!(text.contains(line), "{text}");
}

/// `pointsman` with its access log on standard output, which the test reads or does not.
struct OnStdout {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    address: String,
}

impl OnStdout {
    fn start(backend: &Backend) -> OnStdout {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.args(["-l", "http://127.0.0.1:0", "--check", "none", "-b", &backend.flag()]);
        command.args(["--access-log", "-", "--log-level", "warn"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says where it listens");
        let address = line.trim_end().rsplit('/').next().expect("an address").to_owned();
        OnStdout { child, stdout: Some(stdout), address }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().expect("it is read");
        stdout.read_line(&mut line).expect("a line");
        line
    }

    fn ask(&self, stream: &mut TcpStream, target: &str) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nhello") {
            let mut buffer = [0; 1000];
            let count = match stream.read(&mut buffer) {
                // A read with a time limit is not taken up again after a signal.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.expect("an answer in time"),
            };
            assert!(count > 0, "closed");
            answer.extend_from_slice(&buffer[..count]);
        }
    }
}

impl Drop for OnStdout {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn nobody_waits_for_a_reader_of_standard_output() {
    let backend = says(GOOD);
    let mut process = OnStdout::start(&backend);
    let mut stream = crate::common::connect(process.address.parse().expect("an address"));
    let long = format!("/{}", "x".repeat(8000));
    // The pipe holds 64 KiB, the buffer 1 MiB; the rest is dropped.
    (0..250).for_each(|_| process.ask(&mut stream, &long));
    let mut lines = 0;
    let mut line = String::new();
    while line.len() > 8000 || lines == 0 {
        line = process.line();
        assert!(line.ends_with(" 200 5 \"-\" \"-\"\n"), "{line}");
        lines += 1;
        if lines == 100 {
            // There is room again, and lines go on as if nothing had been.
            process.ask(&mut stream, "/short");
        }
    }
    assert!((100..250).contains(&lines), "{lines} lines");
    kill_process(Pid::from_child(&process.child), Signal::TERM).expect("it runs");
    drop(stream);
    let mut stderr = String::new();
    let piped = process.child.stderr.as_mut().expect("piped");
    piped.read_to_string(&mut stderr).expect("text");
    assert!(stderr.contains("of the access log dropped"), "{stderr}");
    assert!(process.child.wait().expect("it is ours").success());
}

#[test]
fn a_reader_that_is_gone_stops_nothing() {
    let backend = says(GOOD);
    let mut process = OnStdout::start(&backend);
    let mut stream = crate::common::connect(process.address.parse().expect("an address"));
    process.ask(&mut stream, "/read");
    let line = process.line();
    assert!(line.contains("\"GET /read HTTP/1.1\" 200 5"), "{line}");
    process.stdout = None;
    (0..100).for_each(|_| process.ask(&mut stream, "/unread"));
    kill_process(Pid::from_child(&process.child), Signal::TERM).expect("it runs");
    drop(stream);
    assert!(process.child.wait().expect("it is ours").success());
}

#[test]
fn a_request_that_its_cookie_places_names_its_backend() {
    let place = Place::new("sticky");
    let backend = says(GOOD);
    let more = ["--sticky-cookie", "SRV", "--access-log", place.flag()];
    let args = ["-l", "http://127.0.0.1:0", "-b", &backend.flag(), "--check", "none"];
    let haproxy = ["--access-log-format", "haproxy"];
    let balancer = Balancer::start(&[&args[..], &more, &haproxy].concat());
    let mut client = crate::common::http::Wire::to(&balancer);
    let first = client.ask(crate::common::http::get("/"));
    let cookie = first.field("set-cookie").split(';').next().expect("a cookie");
    client.ask(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"));
    let name = format!(" main/{} ", backend.name());
    for line in place.lines(2) {
        assert!(line.contains(&name), "{line}");
    }
    balancer.stop_after(client);
}

/// The numbers that a page of ours says.
fn stats(balancer: &Balancer) -> String {
    let text = tell(balancer, &get("/stats", "Connection: close\r\n"));
    String::from_utf8_lossy(&text).into_owned()
}

fn number(stats: &str, name: &str) -> usize {
    let (_, rest) = stats.split_once(&format!("\"{name}\":")).expect("it is counted");
    let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next();
    digits.expect("split never yields nothing").parse().expect("a number")
}

/// `Balancer::stop`, and all that it logged.
fn stop_and_read(mut balancer: Balancer) -> String {
    balancer.signal(Signal::TERM);
    assert!(balancer.wait().success());
    balancer.wait_for_log("of the access log dropped");
    balancer.log()
}

#[test]
fn a_full_disk_is_told_of_at_once_and_what_is_lost_is_counted_to_the_line() {
    const ASKED: usize = 300;
    let backend = says(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    // Always full.
    let more = ["--access-log", "/dev/full", "--stats-path", "/stats", "--log-level", "info"];
    let balancer = http_before(&[&backend.flag()], &more);
    let close = "Connection: close\r\n";
    tell(&balancer, &get("/", close));
    balancer
        .wait_for_log("the access log /dev/full cannot be written: No space left on device");
    let before = stats(&balancer);
    assert_eq!(number(&before, "access_log_lines_dropped"), 0, "kept as yet");
    assert!(number(&before, "access_log_bytes_waiting") > 0);

    let long = format!("/{}", "x".repeat(8_000));
    (0..ASKED).for_each(|_| drop(tell(&balancer, &get(&long, close))));
    // The page is shared for a moment, and on a quick machine that is the one from before.
    let mut asked = 1 + ASKED + 1;
    let mut dropped = 0;
    until("the statistics have it", || {
        asked += 1;
        dropped = number(&stats(&balancer), "access_log_lines_dropped");
        dropped > 0
    });
    assert!((100..ASKED).contains(&dropped), "1 MiB of them are kept: {dropped}");
    // Those lines of our own page that came after it may be more.
    let now = balancer.page_number(" lines dropped, ");
    assert!((dropped..dropped + asked - ASKED).contains(&now), "{now} after {dropped}");

    let log = stop_and_read(balancer);
    assert_eq!(log.matches("cannot be written").count(), 1, "{log}");
    let told: usize = log
        .lines()
        .filter_map(|line| line.split_once(" of the access log dropped"))
        .map(|(before, _)| before.rsplit(' ').nth(1).expect("a number before line"))
        .map(|count| count.parse::<usize>().expect("a number"))
        .sum();
    // Each request has a line, those for our own pages too.
    assert_eq!(told, asked, "{log}");
}

/// A disk that has room again gets what was kept for it.
#[test]
fn what_a_full_disk_did_not_take_is_written_when_there_is_room() {
    let can = Command::new("unshare").args(["-m", "true"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        return crate::common::measure::skip("a small disk takes a mount, which needs root");
    }
    let backend = says(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    let place = Place::new("small-disk");
    fs::create_dir_all(&place.0).expect("a directory");
    let script = "mount -t tmpfs -o size=64k tmpfs \"$0\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, place.flag(), env!("CARGO_BIN_EXE_pointsman")]);
    let file = format!("{}/log", place.flag());
    let backend = backend.flag();
    let args = ["-l", "http://127.0.0.1:0", "-b", &backend, "--check", "none"];
    let more = ["--access-log", &file, "--log-level", "info"];
    let balancer = Balancer::start_command(command, &[&args[..], &more[..]].concat());
    // Its mounts are its own, but can be looked into.
    let seen = format!("/proc/{}/root{}", balancer.pid(), place.flag());
    let filler = format!("{seen}/filler");
    let mut full = fs::File::create(&filler).expect("a file");
    while full.write(&[0; 4096]).is_ok() {}

    (0..20).for_each(|_| drop(tell(&balancer, &get("/", "Connection: close\r\n"))));
    balancer.wait_for_log("cannot be written: No space left on device");
    drop(full);
    fs::remove_file(filler).expect("it is there");
    let text = || fs::read_to_string(format!("{seen}/log")).unwrap_or_default();
    until("all lines are there", || text().lines().count() == 20);
    balancer.wait_for_log("is written again");
    assert!(!balancer.log().contains("of the access log dropped"));
    balancer.stop();
    let _ = fs::remove_dir(&place.0);
}

/// The kernel sends SIGXFSZ to who writes past the limit, which ends who does not expect it.
#[test]
fn a_log_that_reaches_the_limit_on_files_is_as_on_a_full_disk() {
    let backend = says(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    let place = Place::new("limit-of-files");
    let mut command = Command::new("sh");
    // 512 bytes a block.
    command.args(["-c", "ulimit -f 8; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_pointsman")]);
    let flag = backend.flag();
    let args = ["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"];
    let balancer = Balancer::start_command(
        command,
        &[&args[..], &["--access-log", place.flag()]].concat(),
    );
    let long = format!("/{}", "x".repeat(1_000));
    (0..10).for_each(|_| drop(tell(&balancer, &get(&long, "Connection: close\r\n"))));
    balancer.wait_for_log("cannot be written: File too large");
    assert!(tell(&balancer, &get("/", "Connection: close\r\n")).starts_with(b"HTTP/1.1 204"));
    balancer.stop();
}

/// The log for people may be on that disk as well: it is kept until there is room, and what is not
/// kept is counted.
#[test]
fn a_log_for_people_on_a_full_disk_is_counted() {
    let backend = says(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    let flag = backend.flag();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" 2>/dev/full", "sh", env!("CARGO_BIN_EXE_pointsman")]);
    let args = ["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"];
    let more = ["--stats-path", "/stats", "--log-level", "debug"];
    let balancer = Balancer::start_command(command, &[&args[..], &more[..]].concat());
    let long = format!("/{}", "x".repeat(8_000));
    until("some lines are dropped", || {
        tell(&balancer, &get(&long, "Connection: close\r\n"));
        number(&stats(&balancer), "log_lines_dropped") > 0
    });
    balancer.stop();
}
