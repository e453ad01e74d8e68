//! Other people's tools judge HTTP: the tests of `requests`, WebSocket tunnels, slow attackers,
//! load, curl, and a kernel that fails now and then.
//!
//! What a tool needs is put in place by `.ci/run`. Without it a test says that it is skipped,
//! except under `CI=true`, where that is a failure.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::http::{Wire, get, ok, post};
use crate::common::measure::{only_linux, skip};
use crate::common::{Backend, Balancer, connect, free_port, noise, until, with_deadline};

const QUIET: [&str; 4] = ["--check", "none", "--log-level", "info"];

#[test]
fn requests_pass_their_own_tests() {
    let Some(python) = python() else { return };
    let home = python.ancestors().nth(2).expect("home/bin/python");
    let tests = home.join("requests-tests");
    let port = free_port();
    let mut gunicorn = Command::new(&python);
    gunicorn.args(["-m", "gunicorn", "--no-control-socket", "--threads", "8", "--log-level"]);
    gunicorn.args(["error", "--bind", &port.to_string(), "httpbin:app"]);
    let _server = Running(gunicorn.stdin(Stdio::null()).spawn().expect("gunicorn starts"));
    until("httpbin listens", || std::net::TcpStream::connect(port).is_ok());
    let balancer = balancer(&port.to_string(), &[]);

    let mut pytest = Command::new(&python);
    pytest.current_dir(&tests).env("PYTHONPATH", helpers()).env("PYTHONDONTWRITEBYTECODE", "1");
    pytest.env("HTTPBIN_URL", format!("http://{}", balancer.address()));
    pytest.args(["-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider"]);
    pytest.args(["-p", "through_proxy", "tests/test_requests.py", "-k"]);
    // TestTimeout asks an address outside this machine; the others need names or TLS.
    pytest
        .arg("not TestTimeout and not test_errors and not secure and not https and not nosan");
    let text = succeed(&mut pytest);
    let passed = text.split(" passed").next().and_then(|it| it.rsplit([' ', '\n']).next());
    let passed: usize = passed.and_then(|it| it.parse().ok()).expect("so many passed");
    println!("requests: {}", text.lines().last().unwrap_or_default());
    assert!(passed >= 300, "{text}");
    balancer.stop();
}

#[test]
fn forty_websocket_tunnels_carry_up_to_2_mb() {
    let Some(python) = python() else { return };
    let script = helpers().join("websocket_tunnels.py");
    let mut server = Command::new(&python);
    server.arg(&script).arg("server").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut server = Running(server.spawn().expect("it starts"));
    let mut port = String::new();
    let stdout = server.0.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut port).expect("it says its port");
    let balancer = balancer(&format!("127.0.0.1:{}", port.trim()), &[]);
    let url = format!("ws://{}/", balancer.address());
    let text = succeed(Command::new(&python).arg(&script).arg(url));
    assert_eq!(text.trim(), "40 tunnels");
    balancer.wait_until_idle();
    balancer.stop();
}

/// Seconds. A busy machine takes two or three to set up what five hundred attackers ask for.
const PATIENCE: &str = "20";

#[test]
fn slow_attackers_do_not_keep_others_waiting() {
    if lacks("slowhttptest", "-h") || lacks("curl", "-V") {
        return;
    }
    let heads = ["-H", "-i", "1"];
    let bodies = ["-B", "-i", "1", "-s", "100000"];
    let reads = ["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32"];
    let ranges = ["-R", "-a", "5", "-b", "500"];
    for mode in [&heads[..], &bodies, &reads, &ranges] {
        let backend = served();
        let balancer = balancer(&backend.flag(), &["--header-timeout", "2s"]);
        let url = format!("http://{}/big", balancer.address());
        let mut attack = Command::new("slowhttptest");
        attack
            .args(mode)
            .args(["-c", "500", "-r", "250", "-l", "4", "-p", PATIENCE, "-u", &url]);
        attack.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut attack = Running(attack.spawn().expect("it starts"));
        let mut asked = 0;
        while attack.0.try_wait().expect("ours").is_none() {
            let small = format!("http://{}/small", balancer.address());
            let flags = ["-sSf", "--max-time", PATIENCE, "-o", "-", &small];
            succeed(Command::new("curl").args(flags));
            // Who had to wait until they were gone does not count.
            asked += usize::from(attack.0.try_wait().expect("ours").is_none());
        }
        let mut text = String::new();
        let mut stdout = attack.0.stdout.take().expect("piped");
        stdout.read_to_string(&mut text).expect("text");
        println!("slowhttptest {}: {asked} times served meanwhile", mode[0]);
        assert!(asked >= 1, "{mode:?}: {asked} times");
        let of_service: Vec<&str> =
            text.lines().filter(|line| line.contains("service available")).collect();
        assert!(!of_service.is_empty(), "{mode:?}: {text}");
        assert!(of_service.iter().all(|line| line.contains("YES")), "{mode:?}: {text}");
        balancer.stop();
    }
}

#[test]
fn wrk_with_256_connections_sees_no_error() {
    if lacks("wrk", "-v") {
        return;
    }
    let backend = served();
    let balancer = balancer(&backend.flag(), &[]);
    let text = wrk(balancer.address(), "256", "3s");
    let rate = text.lines().find(|line| line.starts_with("Requests/sec"));
    println!("wrk: {}", rate.expect("it says so"));
    balancer.stop();
}

#[test]
fn curl_sends_and_takes_every_kind_of_body() {
    if lacks("curl", "-V") {
        return;
    }
    let backend = served();
    let balancer = balancer(&backend.flag(), &[]);
    let bytes = noise(7, 2_000_000);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("curl-body-{}", std::process::id()));
    std::fs::write(&file, &bytes).expect("it can be written");
    let from_file = format!("@{}", file.display());
    let path = file.to_str().expect("text");
    let echoed: &[&[&str]] = &[
        &["--data-binary", &from_file],
        &["--data-binary", &from_file, "-H", "Expect: 100-continue"],
        &["--data-binary", &from_file, "-H", "Expect:"],
        &["--data-binary", &from_file, "-H", "Transfer-Encoding: chunked"],
        &["--data-binary", &from_file, "-H", "Transfer-Encoding: chunked", "-H", "Expect:"],
        &["--upload-file", path],
        &["--upload-file", path, "-H", "Transfer-Encoding: chunked"],
        &["--http1.0", "--data-binary", &from_file],
        &["--data-binary", &from_file, "-H", "Connection: close"],
    ];
    for flags in echoed {
        for target in ["/echo", "/echo/chunked", "/echo/close"] {
            let out = curl(flags, &balancer, &[target]);
            assert!(out == bytes, "{flags:?} {target}: {} bytes came back", out.len());
        }
    }
    std::fs::remove_file(&file).expect("it is ours");
    assert_eq!(curl(&["--data", ""], &balancer, &["/echo/chunked"]), b"");
    let form = String::from_utf8(curl(&["-F", "a=b"], &balancer, &["/echo"])).expect("text");
    assert!(form.contains("name=\"a\"\r\n\r\nb\r\n"), "{form}");
    let head = String::from_utf8(curl(&["--head"], &balancer, &["/big"])).expect("text");
    assert!(head.contains("Content-Length: 1000000\r\n"), "{head}");
    for status in ["204", "304"] {
        let targets = [format!("/status/{status}"), "/small".to_string()];
        let targets = targets.each_ref().map(String::as_str);
        let out = curl(&["-w", "[%{http_code} %{num_connects}]"], &balancer, &targets);
        let out = String::from_utf8(out).expect("text");
        let small = "s".repeat(100);
        assert_eq!(out, format!("[{status} 1]{small}[200 0]"), "one connection for both");
    }
    balancer.stop();
}

#[test]
fn a_kernel_that_fails_now_and_then_harms_no_request() {
    if lacks("strace", "-V") {
        return;
    }
    // Never EAGAIN: the kernel would owe an edge that it does not know of.
    let faults: [&[&str]; 6] = [
        &["accept4:error=EINTR:when=3+5"],
        &["accept4:error=ECONNABORTED:when=4+7"],
        &["accept4:error=ENFILE:when=20+40"],
        &["recvfrom:error=EINTR:when=5+9", "sendto:error=EINTR:when=4+7"],
        &["sendmsg:error=EINTR:when=3+8", "writev:error=EINTR:when=3+8"],
        &["splice:error=EINTR:when=2+5"],
    ];
    // Whoever copies splices nothing.
    let count = if only_linux("splice") { faults.len() } else { faults.len() - 1 };
    for fault in &faults[..count] {
        let backend = served();
        let name = format!("injected-{}", std::process::id());
        let calls = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut strace = Command::new("strace");
        strace.args(["-D", "-f", "-q", "-e", "trace=network,writev,splice", "-o"]).arg(&calls);
        strace.args(fault.iter().map(|it| format!("--inject={it}")));
        strace.arg(env!("CARGO_BIN_EXE_pointsman"));
        let args = args(&backend.flag());
        let args: Vec<&str> = args.iter().map(String::as_str).chain(QUIET).collect();
        let balancer = Balancer::start_command(strace, &args);
        let address = balancer.address();
        let asked = AtomicUsize::new(0);
        thread::scope(|scope| {
            for seed in 0..8 {
                let asked = &asked;
                scope
                    .spawn(move || asked.fetch_add(ask_often(address, seed), Ordering::SeqCst));
            }
        });
        balancer.wait_until_idle();
        balancer.stop_despite_faults();
        let text = std::fs::read_to_string(&calls).expect("strace wrote it");
        std::fs::remove_file(&calls).expect("it is ours");
        let injected = text.matches("(INJECTED)").count();
        println!("{fault:?}: {injected} in {} requests, all answered", asked.into_inner());
        assert!(injected >= 3, "{fault:?}: {injected} times");
    }
}

/// Connections one after another, each with a few requests of different size.
fn ask_often(address: SocketAddr, seed: u64) -> usize {
    for round in 0..20 {
        let mut wire = Wire::new(connect(address));
        assert_eq!(wire.ask(get("/small")).body.len(), 100, "{seed} {round}");
        let body = noise(seed + round, [1, 3_000, 200_000][round as usize % 3]);
        let answer = wire.ask(post("/echo/chunked", &body));
        assert!(answer.status() == 200 && answer.body == body, "{seed} {round}: {answer:?}");
        assert_eq!(wire.ask(get("/big")).body.len(), 1_000_000, "{seed} {round}");
    }
    60
}

/// A backend with a few places.
fn served() -> Backend {
    let small = ok("s".repeat(100));
    let big = ok(vec![b'b'; 1_000_000]);
    Backend::start(move |stream| {
        let _ = stream.set_nodelay(true);
        let mut wire = Wire::new(with_deadline(stream));
        while let Some(mut request) = wire.head() {
            if request.field("expect").eq_ignore_ascii_case("100-continue") {
                wire.try_say("HTTP/1.1 100 Continue\r\n\r\n");
            }
            if !wire.body(&mut request, false) {
                return;
            }
            let size = request.body.len();
            let goes_on = match (request.target(), request.start().starts_with("HEAD ")) {
                ("/small", _) => wire.try_say(&small),
                ("/big", true) => wire.try_say(&big[..big.len() - 1_000_000]),
                ("/big", false) => wire.try_say(&big),
                ("/echo", _) => wire.try_say(ok(&request.body)),
                ("/echo/chunked", _) => wire.try_say(chunked(&request.body)),
                ("/echo/close", _) => {
                    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".as_bytes();
                    wire.try_say([head, &request.body].concat());
                    false
                }
                (target, _) => {
                    let status = target.rsplit('/').next().unwrap_or_default();
                    wire.try_say(format!("HTTP/1.1 {status} Said\r\n\r\n")) && size == 0
                }
            };
            if !goes_on {
                return;
            }
        }
    })
}

/// 200 with this body in chunks.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut out = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(30_000) {
        out.extend(format!("{:x}\r\n", chunk.len()).bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

/// The flags for requests to this backend.
fn args(backend: &str) -> Vec<String> {
    let listen = "http://127.0.0.1:0";
    ["--listen", listen, "--backend", backend].map(String::from).to_vec()
}

fn balancer(backend: &str, more: &[&str]) -> Balancer {
    let args = args(backend);
    let args = args.iter().map(String::as_str).chain(QUIET).chain(more.iter().copied());
    Balancer::start(&args.collect::<Vec<_>>())
}

fn curl(flags: &[&str], balancer: &Balancer, targets: &[&str]) -> Vec<u8> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "20"]).args(flags);
    curl.args(targets.iter().map(|target| format!("http://{}{target}", balancer.address())));
    run(&mut curl).stdout
}

/// Load without a single error; what wrk says.
fn wrk(address: SocketAddr, connections: &str, time: &str) -> String {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t", "2", "-c", connections, "-d", time, "--timeout", "8s"]);
    let text = succeed(wrk.arg(format!("http://{address}/small")));
    assert!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "{text}");
    text
}

/// The Python that has the packages of `http_suites/requirements.txt`.
fn python() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("http-suites");
    let python = home.join("bin/python");
    if home.join("requirements.txt").exists() && python.exists() {
        return Some(python);
    }
    skip("no Python with the packages that .ci/run installs");
    None
}

fn helpers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/http_suites")
}

fn lacks(tool: &str, flag: &str) -> bool {
    let error = Command::new(tool).arg(flag).output().err();
    if let Some(error) = &error {
        skip(&format!("no {tool}: {error}"));
    }
    error.is_some()
}

/// What it prints, if it succeeds.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    String::from_utf8_lossy(&run(command).stdout).into_owned()
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    if !output.status.success() {
        let text = [&output.stdout[..], &output.stderr].concat();
        // The beginning may be a body.
        let end = String::from_utf8_lossy(&text[text.len().saturating_sub(5_000)..]);
        panic!("{command:?}: {}: {end}", output.status);
    }
    output
}

/// A process that is asked to stop when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
            let _ = self.0.wait();
        }
    }
}
