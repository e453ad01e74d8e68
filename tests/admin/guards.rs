//! Whom the API refuses, and what it bears.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::admin::{Admin, Reply};
use crate::common::authority::{Authority, Pair, curl};
use crate::common::{Backend, Balancer, DEADLINE, front_args, until};

/// A balancer with the API at a TCP port.
fn over_tcp(more: &[&str]) -> (Balancer, SocketAddr) {
    let a = Backend::named("a");
    let mut args = front_args(&[&a], &["--admin", "http://127.0.0.1:0"]);
    args.extend(more.iter().map(|it| -> &'static str { Box::leak((*it).into()) }));
    let balancer = Balancer::start(&args);
    balancer.wait_for_log("admin at http://");
    let log = balancer.log();
    let (_, rest) = log.split_once("admin at http://").unwrap();
    let address = rest.lines().next().unwrap().parse().expect("an address");
    (balancer, address)
}

fn say(address: SocketAddr, text: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    Reply::of(&bytes)
}

#[test]
fn what_a_page_in_a_browser_could_send_is_refused() {
    let (balancer, address) = over_tcp(&[]);
    let table = [
        ("a rebound name", "GET", "Host: evil.example\r\n", 403),
        ("a name of ours", "GET", "Host: localhost\r\n", 200),
        ("Origin null", "GET", "Host: localhost\r\nOrigin: null\r\n", 403),
        (
            "an image",
            "GET",
            "Host: localhost\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: cross-site\r\n",
            403,
        ),
        (
            "a form",
            "POST",
            "Host: localhost\r\nOrigin: http://evil.example\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n",
            403,
        ),
        (
            "a form without its origin",
            "POST",
            "Host: localhost\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n",
            415,
        ),
        (
            "a preflight",
            "OPTIONS",
            "Host: localhost\r\nOrigin: http://evil.example\r\n\
             Access-Control-Request-Method: PUT\r\n",
            403,
        ),
    ];
    for (what, method, fields, status) in table {
        let path = if method == "POST" { "/api/v1/stop" } else { "/api/v1" };
        let text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n");
        let reply = say(address, &text);
        assert_eq!(reply.status(), status, "{what}: {reply:?}");
        assert_eq!(reply.field("Access-Control-Allow-Origin"), "", "{what}");
    }
    let log = balancer.log();
    assert!(log.contains("audit: somebody unknown") && log.contains("POST /api/v1/stop: 403"));
}

#[test]
fn over_tcp_a_token_says_what_one_may() {
    let file = std::env::temp_dir().join(format!("pointsman-tokens-{}", std::process::id()));
    // printf %s secret | sha256sum, and the same of look.
    let text =
        "deploy operate 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n";
    std::fs::write(&file, text).unwrap();
    let (_balancer, address) = over_tcp(&["--admin-tokens", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    let ask = |method: &str, path: &str, token: &str| {
        let token = match token {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        say(address, &text)
    };
    let none = ask("GET", "/api/v1", "");
    assert_eq!(none.status(), 401);
    assert!(none.field("WWW-Authenticate").starts_with("Bearer"), "{none:?}");
    assert_eq!(ask("GET", "/api/v1", "wrong").status(), 401);
    assert_eq!(ask("GET", "/ready", "").status(), 200, "for whoever watches");
    assert_eq!(ask("GET", "/api/v1", "secret").status(), 200);
    let stop = ask("POST", "/api/v1/stop", "secret");
    assert_eq!(stop.status(), 403, "it may operate, and not stop: {stop:?}");
    let patch = |body: &str| {
        let list = ask("GET", "/api/v1/pools/main/backends", "secret").json();
        let name = list["items"][0]["name"].as_str().unwrap().to_owned();
        let text = format!(
            "PATCH /api/v1/pools/main/backends/{name} HTTP/1.1\r\nHost: localhost\r\n\
             Connection: close\r\nAuthorization: Bearer secret\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        say(address, &text).status()
    };
    assert_eq!(patch(r#"{"weight":3,"admin":"drain"}"#), 200);
    for more in [r#"{"address":"127.0.0.1:9"}"#, r#"{"backup":true}"#] {
        assert_eq!(patch(more), 403, "it is no operator's to say where clients go: {more}");
    }
}

#[test]
fn guesses_are_answered_one_after_the_other_and_who_knows_does_not_wait() {
    let admin = Admin::before(&[&Backend::named("a")], &[]);
    let began = Instant::now();
    let guess = b"GET /api/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                  Authorization: Bearer guess\r\n\r\n";
    let mut guessing: Vec<_> = (0..50).map(|_| admin.api.connect()).collect();
    guessing.iter_mut().for_each(|it| it.write_all(guess).unwrap());
    assert_eq!(admin.api.ask("GET", "/api/v1", None).status(), 200, "who knows does not wait");
    for mut stream in guessing {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(Reply::of(&bytes).status(), 401);
    }
    // A tenth of a second, and a hundredth for each behind the first.
    assert!(began.elapsed() >= Duration::from_millis(100 + 49 * 10), "{:?}", began.elapsed());
}

#[test]
fn a_certificate_has_the_role_that_its_line_says() {
    let authority = Authority::new("admin-roles");
    let own = authority.pair(&["localhost", "127.0.0.1"]);
    let [known, unknown] = ["ops", "guest"].map(|it| authority.pair(&[it]));
    let file = authority.write("tokens", "ops operate cert:CN=ops\n");
    let flags =
        ["--admin", "https://127.0.0.1:0", "--admin-tokens", &file, "--admin-client-ca"];
    let ca = authority.file();
    let more =
        [&flags[..], &[&ca, "--admin-cert", &own.cert, "--admin-key", &own.key]].concat();
    let balancer = Balancer::before(&[&Backend::named("a")], &more);
    balancer.wait_for_log("admin at https://");
    let log = balancer.log();
    let address = log.split_once("admin at ").unwrap().1.lines().next().unwrap();
    let ask = |pair: &Pair, method: &str, path: &str| {
        let url = format!("{address}{path}");
        let status = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", &ca];
        let body = ["-X", method, "-H", "Content-Type: application/json", "-d", "{}"];
        let shown = ["--cert", &*pair.cert, "--key", &*pair.key, &*url];
        curl(&[&status[..], &body[..], &shown[..]].concat()).1
    };
    assert_eq!(
        ask(&known, "POST", "/api/v1/drain"),
        "403",
        "it may operate, and not drain all"
    );
    let patch = "/api/v1/pools/main/backends/none";
    assert_eq!(ask(&known, "PATCH", patch), "404", "it may look for it");
    assert_eq!(ask(&unknown, "PATCH", patch), "401", "nobody knows it");
    balancer.wait_for_log("audit: ops from ");
}

#[test]
fn large_deep_slow_and_broken_bodies_harm_nobody() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let api = &admin.api;
    let path = format!("/api/v1/pools/main/backends/{}", a.address);
    let head = |length: &str| {
        format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\n{length}\r\n"
        )
    };
    let large = head("Content-Length: 104857600\r\n");
    assert_eq!(api.say(large.as_bytes()).status(), 413, "before it is sent");
    // In chunks nobody says how much comes.
    let mut stream = api.connect();
    stream.write_all(head("Transfer-Encoding: chunked\r\n").as_bytes()).unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 65_536], b"\r\n".to_vec()].concat();
    let mut sent = 0;
    while sent < 64 && stream.write_all(&chunk).is_ok() {
        sent += 1;
    }
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    assert_eq!(Reply::of(&bytes).status(), 413);
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let text = format!("{}{deep}", head(&format!("Content-Length: {}\r\n", deep.len())));
    let reply = api.say(text.as_bytes());
    assert_eq!(reply.status(), 400, "{reply:?}");
    assert!(reply.json()["detail"].as_str().unwrap().contains("line 1, column 128"));
    let slow = api.connect();
    (&slow).write_all(head("Content-Length: 5\r\n").as_bytes()).unwrap();
    (&slow).write_all(b"{").unwrap();
    assert_eq!(api.ask("GET", "/api/v1", None).status(), 200, "nobody else waits");
    let mut bytes = Vec::new();
    (&slow).read_to_end(&mut bytes).expect("it is answered after ten seconds");
    assert_eq!(Reply::of(&bytes).status(), 408);
    let table = [
        ("{", 400),
        ("{\"address\": 3}", 422),
        ("[]", 422),
        ("{\"address\": \"nonsense\"}", 422),
        ("{\"address\": \"a:1\", \"weight\": -1}", 422),
        ("{\"address\": \"a:1,name=x\"}", 422),
    ];
    for (body, status) in table {
        let text = format!("{}{body}", head(&format!("Content-Length: {}\r\n", body.len())));
        let reply = api.say(text.as_bytes());
        assert_eq!(reply.status(), status, "{body}: {reply:?}");
        assert!(reply.json()["type"].as_str().unwrap().starts_with("/problems/"));
    }
    let reply = api.ask("TRACE", "/api/v1", None);
    assert_eq!(reply.status(), 400);
    let reply = api.ask("PUT", "/api/v1/pools", Some(&json!({})));
    assert_eq!((reply.status(), reply.field("Allow")), (405, "GET, HEAD"));
}

#[test]
fn nothing_is_left_of_connections_that_are_over() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    admin.api.get("/api/v1");
    let before = admin.balancer.descriptors();
    for _ in 0..200 {
        admin.api.get("/api/v1/pools");
        drop(admin.api.connect());
    }
    until("all are closed", || admin.balancer.descriptors() <= before);
}

#[test]
fn an_operator_gets_in_though_others_hold_all_places() {
    crate::common::measure::raise_descriptor_limit();
    let admin = Admin::before(&[&Backend::named("a")], &[]);
    let held: Vec<_> = (0..pointsman::limits::ADMIN_CONNECTIONS_MAX + 50)
        .map(|_| admin.api.connect())
        .collect();
    assert_eq!(admin.api.ask("GET", "/api/v1", None).status(), 200);
    let open = || admin.balancer.descriptors();
    assert!(open() > pointsman::limits::ADMIN_CONNECTIONS_MAX, "all places are taken");
    drop(held);
    until("all are closed", || open() < 100);
}
