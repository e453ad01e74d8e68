//! What other people wrote on both sides: curl and wrk before us, nginx and Python behind us.
//!
//! A tool that is not here skips its test, except under `CI=true`.

use std::process::{Command, Stdio};

use crate::common::http::{Message, Wire, before_backends, ok};
use crate::common::servers::{Home, Server, missing};
use crate::common::{Backend, Balancer, free_port, noise, with_deadline};

const UPLOAD: usize = 2_000_000;

/// curl's standard output; it must be content.
#[track_caller]
fn curl(args: &[&str]) -> Vec<u8> {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20"]).args(args).stdin(Stdio::null());
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {}: {complaint}", output.status);
    output.stdout
}

/// Echoes bodies, and says 100 Continue to who waits for it.
fn polite_echo() -> Backend {
    Backend::start(|stream| {
        let mut wire = Wire::new(with_deadline(stream));
        while let Some(mut request) = wire.head() {
            if request.field("expect") == "100-continue" {
                wire.say("HTTP/1.1 100 Continue\r\n\r\n");
            }
            if !wire.body(&mut request, false) {
                return;
            }
            answer(&request, &wire);
        }
    })
}

fn answer(request: &Message, wire: &Wire) {
    let mut answer = ok(&request.body);
    if request.start().starts_with("HEAD ") {
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        answer.truncate(head + 4);
    }
    wire.try_say(answer);
}

#[test]
fn curl_sends_bodies_of_all_kinds() {
    if missing(&["curl"]) {
        return;
    }
    let home = Home::new("curl");
    let file = home.0.join("upload");
    let body = noise(3, UPLOAD);
    std::fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    let backend = polite_echo();
    let balancer = before_backends(&[&backend], &["--log-level", "info"]);
    let url = format!("http://{}/upload", balancer.address());
    for flags in [
        &["-H", "Expect: 100-continue"][..],
        &["-H", "Expect:"],
        &["-H", "Transfer-Encoding: chunked"],
        &["-H", "Transfer-Encoding: chunked", "-H", "Expect:"],
        &["--http1.0"],
        &["-X", "PUT"],
    ] {
        let came = curl(&[flags, &["--data-binary", &data, &url]].concat());
        assert!(came == body, "{flags:?}: {} bytes", came.len());
    }
    // Three in a row on one connection.
    let format =
        ["-w", "%{num_connects} ", "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null"];
    let connects = curl(&[&format[..], &["--data-binary", "x", &url, &url, &url]].concat());
    assert_eq!(String::from_utf8_lossy(&connects), "1 0 0 ");
    let head = String::from_utf8(curl(&["-I", &url])).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"), "{head}");
    assert_eq!(backend.accepted(), 1);
    balancer.stop();
}

#[test]
fn curl_reads_from_nginx_and_python() {
    if missing(&["curl", "nginx", "python3"]) {
        return;
    }
    let home = Home::new("files");
    let body = noise(4, 5_000_000);
    for name in ["nginx", "python"] {
        std::fs::write(home.0.join(name).join("large"), &body).unwrap();
        let server = Server::start(name, free_port(), &home);
        let balancer = before_server(&server);
        let url = |path: &str| format!("http://{}/{path}", balancer.address());
        for flags in [&[][..], &["--http1.0"], &["-H", "Connection: close"]] {
            assert!(curl(&[flags, &[&url("large")]].concat()) == body, "{name}: {flags:?}");
            assert_eq!(
                curl(&[flags, &[&url("index.html")]].concat()),
                format!("{name}\n").as_bytes()
            );
        }
        let head = String::from_utf8(curl(&["-I", &url("large")])).unwrap();
        assert!(head.contains("\r\nContent-Length: 5000000\r\n"), "{name}: {head}");
        let status = ["-o", "/dev/null", "-w", "%{http_code}"];
        assert_eq!(curl(&[&status[..], &[&url("nothing")]].concat()), b"404", "{name}");
        if name == "nginx" {
            assert!(curl(&["-r", "1000-1999", &url("large")]) == body[1000..2000]);
        }
        assert_eq!(balancer.count("failed"), 0);
        balancer.stop();
    }
}

#[test]
fn wrk_sees_no_error() {
    if missing(&["wrk", "nginx"]) {
        return;
    }
    let home = Home::new("wrk");
    let server = Server::start("nginx", free_port(), &home);
    let balancer = before_server(&server);
    let url = format!("http://{}/index.html", balancer.address());
    let output = Command::new("wrk").args(["-t1", "-c256", "-d3s", &url]).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{report}");
    assert!(output.status.success() && report.contains(" requests in "), "{report}");
    assert!(!report.contains("errors") && !report.contains("Non-2xx"), "{report}");
    balancer.stop();
}

fn before_server(server: &Server) -> Balancer {
    let flag = server.flag();
    let args = ["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"];
    Balancer::start(&[&args[..], &["--log-level", "info"]].concat())
}

/// The fields that tell of the client, as the backend behind `url` says that it got them.
#[track_caller]
fn told(flags: &[&str], url: &str) -> Vec<String> {
    let head = String::from_utf8(curl(&[flags, &[url]].concat())).unwrap();
    let is_told = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        name.contains("orwarded") || name == "X-Real-IP"
    };
    head.lines().filter(is_told).map(str::to_owned).collect()
}

#[test]
fn a_backend_is_told_of_curl_in_the_fields_that_are_asked_for() {
    if missing(&["curl"]) {
        return;
    }
    let backend = Backend::start(|stream| {
        let mut wire = Wire::new(with_deadline(stream));
        while let Some(request) = wire.request() {
            wire.try_say(ok(&request.head));
        }
    });
    let fields =
        ["--forwarded-fields", "forwarded,x-real-ip", "--trusted-proxies", "127.0.0.1"];
    let inner = before_backends(&[&backend], &fields);
    let port = inner.address().port();
    let url = format!("http://127.0.0.1:{port}/");
    let ours = format!("for=127.0.0.1;proto=http;host=\"127.0.0.1:{port}\"");
    let said = ["-H", "Forwarded: for=6.6.6.6", "-H", "X-Real-IP: 6.6.6.6"];
    let wanted = [format!("Forwarded: {ours}"), "X-Real-IP: 127.0.0.1".to_owned()];
    assert_eq!(told(&[], &url), wanted);
    // Who asks from 127.0.0.1 is trusted here.
    let wanted = ["X-Real-IP: 6.6.6.6".to_owned(), format!("Forwarded: for=6.6.6.6, {ours}")];
    assert_eq!(told(&said, &url), wanted);
    let host = ["-H", "Host: a.example"];
    let wanted = "Forwarded: for=127.0.0.1;proto=http;host=a.example";
    assert_eq!(told(&host, &url), [wanted, "X-Real-IP: 127.0.0.1"]);
    // And nobody is at the outer of two.
    let inside = inner.address().to_string();
    let args = ["-l", "http://[::1]:0", "-b", &inside, "--forwarded-fields", "forwarded"];
    let outer = Balancer::start(&args);
    let url = format!("http://[::1]:{}/", outer.address().port());
    let host = format!("host=\"[::1]:{}\"", outer.address().port());
    let list = format!("for=\"[::1]\";proto=http;{host}, for=127.0.0.1;proto=http;{host}");
    let wanted = [format!("Forwarded: {list}"), "X-Real-IP: 127.0.0.1".to_owned()];
    assert_eq!(told(&said, &url), wanted);
    outer.stop();
    inner.stop();
}
