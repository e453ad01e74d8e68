//! Servers that register themselves.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};

use pointsman::admin::registry::datagram::signed;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::api::who;

use crate::common::admin::Admin;
use crate::common::http::{Wire, get};
use crate::common::{Backend, until};

const PATH: &str = "/api/v1/registrations/main/host7";
const BACKEND: &str = "/api/v1/pools/main/backends/host7";

#[test]
fn a_server_registers_reports_and_says_goodbye() {
    let [a, b] = [Backend::named("a"), Backend::named("b")];
    let admin = Admin::before(&[&a], &["--register"]);
    let api = &admin.api;
    let beat = |report: &str| {
        let body = json!({"address": b.address.to_string(), "ttl": "6s", "weight": 100,
                          "report": report});
        api.ask("PUT", PATH, Some(&body))
    };
    let first = beat("up ready 75% load:0.5");
    assert_eq!(first.status(), 201, "{first:?}");
    assert_eq!(first.json()["next_within"], "2s");
    assert_eq!(first.json()["weight"]["effective"], 75.0);
    assert_eq!(first.json()["origin"], "registered");
    let second = beat("up ready 75% load:0.7");
    assert_eq!(second.status(), 200, "{second:?}");
    assert_eq!(second.field("ETag"), first.field("ETag"), "nothing changed but its load");
    assert_eq!(api.get(BACKEND)["load"], 0.7);
    until("it is used", || who(&admin.balancer) == "b");
    let wrong = beat("redy");
    assert_eq!(wrong.status(), 422, "{wrong:?}");
    assert!(wrong.json()["detail"].as_str().unwrap().contains("did you mean ready?"));
    let bye = api.ask("DELETE", PATH, None);
    assert!([202, 204].contains(&bye.status()), "{bye:?}");
    until("it is gone", || api.ask("GET", BACKEND, None).status() == 404);
}

#[test]
fn a_silent_server_drains_and_is_back_with_its_next_heartbeat() {
    let [a, b] = [Backend::named("a"), Backend::named("b")];
    let admin = Admin::before(&[&a], &["--register"]);
    let api = &admin.api;
    let beat = || {
        let body = json!({"address": b.address.to_string(), "ttl": "2s"});
        api.write("PUT", PATH, &body)
    };
    assert_eq!(beat()["admin"], "ready");
    until("it is late", || api.get(BACKEND)["admin"] == "drain");
    assert!(api.get(BACKEND)["registration"]["late"].is_string());
    admin.balancer.wait_for_log("its heartbeat is late by");
    assert_eq!(beat()["admin"], "ready");
}

#[test]
fn only_pools_that_want_it_take_servers_and_names_are_taken_once() {
    let a = Backend::named("a");
    let closed = Admin::before(&[&a], &[]);
    let body = json!({"address": "127.0.0.1:9"});
    assert_eq!(closed.api.ask("PUT", PATH, Some(&body)).status(), 404);
    let open = Admin::before(&[&a], &["--register"]);
    let path = format!("/api/v1/registrations/main/{}", a.address);
    assert_eq!(open.api.ask("PUT", &path, Some(&body)).status(), 409, "it is configured");
    open.api.write("PUT", "/api/v1/pools/main/backends/host7", &body);
    assert_eq!(open.api.ask("PUT", PATH, Some(&body)).status(), 409, "it was put there");
    let numbered = |sequence: u64| {
        let body = json!({"address": "127.0.0.1:9", "sequence": sequence});
        open.api.ask("PUT", "/api/v1/registrations/main/host8", Some(&body)).status()
    };
    assert_eq!(numbered(7), 201);
    assert_eq!(numbered(7), 409, "sent again");
    assert_eq!(numbered(8), 200);
}

#[test]
fn a_name_in_a_path_brings_no_options_and_stands_for_no_other() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &["--register"]);
    let body = json!({"address": "127.0.0.1:9"});
    for under in ["registrations/main", "pools/main/backends"] {
        let path = format!("/api/v1/{under}/{},weight=77", a.address);
        assert_eq!(admin.api.ask("PUT", &path, Some(&body)).status(), 422, "{path}");
    }
    let own = format!("/api/v1/pools/main/backends/{}", a.address);
    let moved = json!({"address": "127.0.0.1:9,weight=77"});
    assert_eq!(admin.api.ask("PATCH", &own, Some(&moved)).status(), 422);
    let named = json!({"address": "127.0.0.1:9", "tls": true, "sni": "x,weight=77"});
    assert_eq!(admin.api.ask("PUT", PATH, Some(&named)).status(), 422);
    assert_eq!(admin.api.get(&own)["address"], a.address.to_string(), "nothing came of it");
}

/// A program beside ours, killed with the test.
struct Program(Child);

impl Program {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, signal).expect("it runs");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn page_block(start: &str) -> String {
    let page = include_str!("../../docs/registration.md");
    let from = page.find(start).expect("the block is there");
    let end = page[from..].find("```").expect("its end");
    page[from..from + end].to_owned()
}

#[test]
fn the_three_lines_of_the_manual_register_a_server() {
    let [a, b] = [Backend::named("a"), Backend::named("b")];
    let admin = Admin::before(&[&a], &["--register"]);
    let to = format!("--unix-socket {}", admin.api.socket.display());
    let script = page_block("beat() {");
    let child = Command::new("sh")
        .args(["-c", &script])
        .env("TO", to)
        .env("API", "http://localhost")
        .env("POOL", "main")
        .env("NAME", "host7")
        .env("ADDRESS", b.address.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell");
    let script = Program(child);
    until("it is used", || who(&admin.balancer) == "b");
    script.signal(Signal::TERM);
    until("it is gone", || admin.api.ask("GET", BACKEND, None).status() == 404);
}

#[test]
fn a_signature_is_good_once_and_for_its_own_pool_and_time() {
    let key = "6b".repeat(16);
    let file = std::env::temp_dir().join(format!("pointsman-keys-{}", std::process::id()));
    std::fs::write(&file, format!("web register:main hmac:{key}\n")).expect("a file");
    let a = Backend::named("a");
    let admin =
        Admin::before(&[&a], &["--register", "--admin-tokens", file.to_str().expect("UTF-8")]);
    std::fs::remove_file(&file).expect("it is there");
    let ask = |method: &str, path: &str, signed: &str, sequence: u64, later: u64| {
        let body = match method {
            "PUT" => json!({"address": "127.0.0.1:9", "sequence": sequence}).to_string(),
            _ => json!({"sequence": sequence}).to_string(),
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let time = now.expect("after 1970").as_secs() + later;
        let key = pointsman::config::from_hex(&key).expect("hexadecimal");
        let sign = pointsman::admin::access::sign;
        let verb = method.as_bytes();
        let field = sign("web", &key, verb, signed.as_bytes(), body.as_bytes(), time);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: {field}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        admin.api.say(request.as_bytes()).status()
    };
    assert_eq!(ask("PUT", PATH, PATH, 7, 0), 201);
    assert_eq!(ask("PUT", PATH, PATH, 7, 0), 409, "sent again");
    assert_eq!(ask("PUT", PATH, PATH, 8, 0), 200);
    let host8 = "/api/v1/registrations/main/host8";
    assert_eq!(ask("PUT", PATH, host8, 9, 0), 401, "of another one");
    assert_eq!(ask("PUT", PATH, PATH, 9, 3600), 401, "of another time");
    let other = "/api/v1/registrations/other/host7";
    assert_eq!(ask("PUT", other, other, 9, 0), 403, "of another pool");
    assert_eq!(ask("DELETE", PATH, PATH, 8, 0), 409, "a goodbye that is older");
    assert_eq!(ask("DELETE", PATH, PATH, 10, 0), 204);
    assert_eq!(ask("PUT", PATH, PATH, 11, 0), 201, "it is back");
    assert_eq!(ask("DELETE", PATH, PATH, 10, 0), 409, "a goodbye that is sent again");
    let stop = "/api/v1/pools/main/backends/x";
    assert_eq!(ask("PUT", stop, stop, 12, 0), 401, "it is for registrations alone");
}

#[test]
fn a_heartbeat_in_a_datagram_is_heard_if_it_is_signed_and_new() {
    let key = "6b".repeat(16);
    let file = std::env::temp_dir().join(format!("pointsman-udp-{}", std::process::id()));
    std::fs::write(&file, format!("web register:main hmac:{key}\n")).expect("a file");
    let b = Backend::named("b");
    let tokens = file.to_str().expect("UTF-8");
    let mut args = vec!["-l", "http://127.0.0.1:0", "-b", "127.0.0.1:9", "--check", "none"];
    args.extend(["--register", "--register-udp", "127.0.0.1:0", "--admin-tokens", tokens]);
    args.extend(["--stats-path", "/stats"]);
    let admin = Admin::start(&args);
    std::fs::remove_file(&file).expect("it is there");
    const AT: &str = "heartbeats at udp://";
    admin.balancer.wait_for_log(AT);
    let log = admin.balancer.log();
    let at: SocketAddr =
        log.split_once(AT).expect("said").1.lines().next().unwrap().parse().unwrap();
    let block = page_block("said=\"pointsman1 web");
    let script = block
        .replace(" web host7 10.0.0.7:8080 ", &format!(" main host7 {} ", b.address))
        .replace("10.0.0.1/8405", &format!("{}/{}", at.ip(), at.port()));
    assert_ne!(script, block);
    let sent = Command::new("bash").args(["-c", &script]).env("KEY", &key).status();
    assert!(sent.expect("bash").success());
    until("it is there", || admin.api.ask("GET", BACKEND, None).status() == 200);
    let it = admin.api.get(BACKEND);
    assert_eq!(it["origin"], "registered");
    assert_eq!(it["address"], b.address.to_string());
    let refused = || {
        let page = Wire::to(&admin.balancer).ask(get("/stats")).text();
        let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
        page["process"]["heartbeats_refused"].as_u64().expect("a count")
    };
    assert_eq!(refused(), 0);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let say = |text: &str| socket.send_to(text.as_bytes(), at).unwrap();
    let beat = |sequence: &str, report: &str| {
        let said = format!("pointsman1 web {sequence} main host7 {} 15s {report}", b.address);
        signed(&said, &[b'k'; 16])
    };
    let last = u64::MAX.to_string();
    say("nonsense");
    say(&"x".repeat(600));
    say(&beat("1", "drain"));
    say(&beat(&last, "drain").replace("drain", "ready"));
    until("all four are counted", || refused() == 4);
    assert_eq!(admin.api.get(BACKEND)["admin"], "ready");
    say(&beat(&last, "drain"));
    until("it drains", || admin.api.get(BACKEND)["admin"] == "drain");
    say(&beat(&last, "ready"));
    until("no second one has its number", || refused() == 5);
    assert_eq!(admin.api.get(BACKEND)["admin"], "drain");
}

/// Servers join and leave while clients ask all the time; one says goodbye, one is killed.
#[test]
fn demo_servers_join_and_leave_and_clients_notice_nothing() {
    let admin = Admin::start(&[
        "-l",
        "http://127.0.0.1:0",
        "-b",
        "127.0.0.1:9,admin=maint",
        "--check",
        "http:/health",
        "--check-interval",
        "100ms",
        "--register",
    ]);
    let place = format!("unix:{}", admin.api.socket.display());
    let join = |name: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman-demo"))
            .args(["hello", "127.0.0.1:0", "--delay", "1ms", "--register", &place])
            .args(["--name", name, "--ttl", "2s"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo's server");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("a line");
        assert!(line.starts_with("listening on "), "{line}");
        Program(child)
    };
    let path = |name: &str| format!("/api/v1/pools/main/backends/{name}");
    let health = |name: &str| {
        let reply = admin.api.ask("GET", &path(name), None);
        if reply.status() == 200 {
            reply.json()["health"].as_str().map(str::to_owned)
        } else {
            None
        }
    };
    let names = ["one", "two", "three"];
    let mut servers: Vec<Program> = names.iter().map(|name| join(name)).collect();
    for name in names {
        until("it is up", || health(name).as_deref() == Some("up"));
    }
    let mut wire = Wire::to(&admin.balancer);
    let mut ask = || assert_eq!(wire.ask(get("/")).status(), 200);
    (0..50).for_each(|_| ask());
    servers[0].signal(Signal::TERM);
    until("it said goodbye", || {
        ask();
        health("one").is_none()
    });
    drop(servers.remove(1));
    until("it is silent", || {
        ask();
        admin.api.get(&path("two"))["admin"] == "drain"
    });
    (0..50).for_each(|_| ask());
}
