//! What Prometheus reads.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::common::admin::Admin;
use crate::common::authority::Authority;
use crate::common::http::{Origin, Wire, get};
use crate::common::{Backend, Balancer, ask, connect, free_port, read_to_end, reset, until};

/// Each series with its value.
pub fn series(admin: &Admin, path: &str) -> HashMap<String, f64> {
    let reply = admin.api.ask("GET", path, None);
    assert_eq!(reply.status(), 200, "{path}");
    let text = String::from_utf8(reply.body).expect("UTF-8");
    let lines = text.lines().filter(|it| !it.starts_with('#'));
    let split = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        (name.to_owned(), value.parse::<f64>().expect("a number"))
    };
    lines.map(split).collect()
}

#[test]
fn requests_are_counted_under_our_names_and_under_those_of_haproxy() {
    let [a, b] = [Origin::named("a"), Origin::named("b")];
    let named = [&a, &b].map(|it| it.backend.flag());
    let named = [format!("{},name=a", named[0]), format!("{},name=b,weight=3", named[1])];
    let args =
        ["-l", "http://127.0.0.1:0", "--check", "none", "-b", &named[0], "-b", &named[1]];
    let admin = Admin::start(&args);
    let mut wire = Wire::to(&admin.balancer);
    (0..8).for_each(|_| drop(wire.ask(get("/"))));
    until("all are counted", || {
        let ours = series(&admin, "/metrics");
        let answers = |name: &str| {
            ours[&format!(
                "pointsman_backend_responses_total{{pool=\"main\",backend=\"{name}\",code=\"2xx\"}}"
            )]
        };
        answers("a") + answers("b") == 8.0
    });
    let ours = series(&admin, "/metrics");
    assert_eq!(ours["pointsman_requests_total"], 8.0);
    assert_eq!(ours["pointsman_backend_weight{pool=\"main\",backend=\"b\"}"], 3.0);
    assert_eq!(
        ours["pointsman_backend_state{pool=\"main\",backend=\"a\",state=\"maint\"}"],
        0.0
    );
    assert!(ours["process_open_fds"] > 3.0 && ours["process_resident_memory_bytes"] > 1e6);
    let times = |end: &str| ours[&format!("pointsman_pool_response_seconds_{end}")];
    assert_eq!(times("count{pool=\"main\"}"), 8.0);
    assert_eq!(times("bucket{pool=\"main\",le=\"+Inf\"}"), 8.0);
    assert!(times("sum{pool=\"main\"}") > 0.0);
    let theirs = series(&admin, "/metrics/haproxy");
    assert_eq!(
        theirs["haproxy_backend_http_responses_total{proxy=\"main\",code=\"2xx\"}"],
        8.0
    );
    assert_eq!(theirs["haproxy_server_status{proxy=\"main\",server=\"a\",state=\"UP\"}"], 1.0);
    assert_eq!(theirs["haproxy_frontend_http_requests_total{proxy=\"main\"}"], 8.0);
}

#[test]
fn a_thousand_backends_are_all_there_and_may_be_filtered() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let put = |at: usize| {
        let path = format!("/api/v1/pools/main/backends/b{at}");
        json!({"method": "PUT", "path": path, "body": {"address": format!("127.0.0.1:{}", at + 1)}})
    };
    let changes: Vec<_> = (0..1000).map(put).collect();
    admin.api.write("POST", "/api/v1/batch", &json!({"changes": changes}));
    admin.api.write("PATCH", "/api/v1/pools/main/backends/b7", &json!({"admin": "maint"}));
    let pages = [
        ("/metrics", "pointsman_backend_", 25.0),
        ("/metrics/haproxy", "haproxy_server_", 32.0),
    ];
    for (path, prefix, most) in pages {
        let all = series(&admin, path);
        let is_it = |it: &&String| it.starts_with(prefix);
        let label = |name: &str| name.split(',').nth(1).unwrap_or_default().to_owned();
        let names: HashSet<String> = all.keys().filter(is_it).map(|it| label(it)).collect();
        let each = all.keys().filter(is_it).count() as f64 / 1001.0;
        assert!(names.len() >= 1001, "{path}: {} backends", names.len());
        assert!(each <= most, "{path}: {each} series a backend");
        let one = series(&admin, &format!("{path}?name=b7"));
        assert_eq!(one.keys().filter(is_it).count() as f64, each.round(), "{path}");
        let none = series(&admin, &format!("{path}?name=b7&no-maint"));
        assert_eq!(none.keys().filter(is_it).count(), 0, "{path}");
    }
    assert_eq!(admin.api.ask("GET", "/metrics?pool=mian", None).status(), 404);
    assert_eq!(admin.api.ask("GET", "/metrics?pol=main", None).status(), 400);
    assert_eq!(admin.api.ask("POST", "/metrics", Some(&json!({}))).status(), 405);
}

/// The names in backticks of a cell.
fn names_of(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_manual_says_truly_which_panels_of_a_dashboard_for_haproxy_have_data() {
    let origin = Origin::named("a");
    let named = format!("{},name=a", origin.backend.flag());
    let args = ["-l", "http://127.0.0.1:0", "--check", "tcp", "-b", &named];
    let admin = Admin::start(&args);
    let mut wire = Wire::to(&admin.balancer);
    (0..3).for_each(|_| drop(wire.ask(get("/"))));
    let all = series(&admin, "/metrics/haproxy");
    let has = |family: &str| {
        all.keys().any(|it| it == family || it.starts_with(&format!("{family}{{")))
    };
    let manual = include_str!("../../docs/metrics.md");
    let mut seen = 0;
    for line in manual.lines().filter(|it| it.starts_with("| `haproxy_")) {
        let cells: Vec<&str> = line.split('|').collect();
        let prefix = names_of(cells[1])[0].trim_end_matches('*');
        for name in names_of(cells[2]) {
            assert!(has(&format!("{prefix}{name}")), "{prefix}{name} is to have data");
            seen += 1;
        }
        for name in names_of(cells[3]) {
            assert!(!has(&format!("{prefix}{name}")), "{prefix}{name} has data");
            seen += 1;
        }
    }
    assert!(seen > 80, "only {seen} families were found");
}

/// What a plain client of TCP is told.
fn plain(address: std::net::SocketAddr, request: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_listener_of_their_own_has_metrics_and_nothing_else() {
    let a = Backend::named("a");
    let at = free_port();
    let place = at.to_string();
    let balancer = Balancer::before(&[&a], &["--metrics", &place]);
    let get = |path: &str, more: &str| {
        plain(
            at,
            &format!(
                "GET {path} HTTP/1.1\r\nHost: b.example:9404\r\nConnection: close\r\n{more}\r\n"
            ),
        )
    };
    for path in ["/metrics", "/metrics?pool=main", "/metrics/haproxy"] {
        let text = get(path, "");
        assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("# TYPE"), "{path}: {text}");
    }
    assert!(get("/health", "").starts_with("HTTP/1.1 200 "));
    assert!(get("/ready", "").starts_with("HTTP/1.1 200 "));
    let others = [
        "/",
        "/assets/app.js",
        "/api/v1",
        "/api/v1/config",
        "/api/v1/live",
        "/api/v1/nothing",
        "/;csv",
        "/problems/not-found",
        "/metrics/",
        "/api/v1/registrations/main/a",
    ];
    for path in others {
        let text = get(path, "");
        assert!(text.starts_with("HTTP/1.1 404 "), "{path}: {text}");
        assert!(text.contains("only /metrics is read here"), "{path}: {text}");
    }
    // A token is of no use, and nothing is written.
    let text = get("/api/v1", "Authorization: Bearer x\r\n");
    assert!(text.starts_with("HTTP/1.1 404 "), "{text}");
    let kind = "Content-Type: application/json";
    let head =
        format!("Host: a\r\nConnection: close\r\n{kind}\r\nContent-Length: 2\r\n\r\n{{}}");
    for what in ["POST /metrics", "PUT /api/v1/config", "POST /api/v1/stop", "DELETE /metrics"]
    {
        let text = plain(at, &format!("{what} HTTP/1.1\r\n{head}"));
        assert!(text.starts_with("HTTP/1.1 404 "), "{what}: {text}");
    }
    balancer.stop();
}

#[test]
fn a_reload_brings_and_takes_the_listener_for_metrics() {
    let at = free_port();
    let text = |metrics: &str| {
        format!(
            "[admin]\n{metrics}[service.web]\nlisten = [\"http://127.0.0.1:0\"]\npool = \"web\"\n\
             [pool.web]\nbackends = [\"127.0.0.1:1\"]\ncheck = {{ kind = \"none\" }}\n"
        )
    };
    let admin = Admin::configured(&text(""));
    assert!(std::net::TcpStream::connect(at).is_err());
    admin.reconfigure(&text(&format!("metrics = \"{at}\"\n")));
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(plain(at, request).starts_with("HTTP/1.1 200 "));
    admin.reconfigure(&text(""));
    until("it is gone", || std::net::TcpStream::connect(at).is_err());
}

#[test]
fn a_port_for_metrics_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let args = ["-l", "127.0.0.1:0", "-b", "127.0.0.1:1", "--metrics", &at];
    let program = env!("CARGO_BIN_EXE_pointsman");
    let output = std::process::Command::new(program).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("--metrics") && text.contains("the port is in use"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

/// The first bytes go before anybody knows whether the backend is there.
#[test]
fn bytes_of_tcp_are_counted_from_the_first_one_on() {
    let echo = Backend::echo();
    let admin = Admin::before(&[&echo], &[]);
    let client = admin.balancer.connect();
    ask(&client, b"hello");
    drop(client);
    until("its bytes are counted", || {
        let ours = series(&admin, "/metrics");
        let of = |what: &str| {
            let labels = ["in", "out"].map(|it| format!("\"main\",direction=\"{it}\""));
            labels.map(|it| ours[&format!("pointsman_{what}_bytes_total{{{what}={it}}}")])
        };
        of("service") == [5.0, 5.0] && of("pool") == [5.0, 5.0]
    });
}

/// The rules of a service may send each request of a connection to another pool.
#[test]
fn a_client_is_one_of_its_service_whichever_pools_its_requests_go_to() {
    let [a, b] = [Origin::named("a"), Origin::named("b")];
    let admin = Admin::configured(&format!(
        "[service.web]\nlisten = [\"http://127.0.0.1:0\"]\npool = \"one\"\n\
         rules = [{{ when = 'path == \"/two\"', pool = \"two\" }}]\n\
         [pool.one]\ncheck = {{ kind = \"none\" }}\nbackends = [\"{}\"]\n\
         [pool.two]\ncheck = {{ kind = \"none\" }}\nbackends = [\"{}\"]\n",
        a.backend.name(),
        b.backend.name()
    ));
    let mut wire = Wire::to(&admin.balancer);
    for target in ["/one", "/two", "/one", "/two"] {
        wire.ask(get(target));
    }
    let ours = series(&admin, "/metrics");
    assert_eq!(ours["pointsman_service_connections_total{service=\"web\"}"], 1.0);
    let led = ["one", "two"]
        .map(|it| ours[&format!("pointsman_pool_connections_total{{pool=\"{it}\"}}")]);
    assert_eq!(led, [2.0, 2.0], "as often as it was led there");
}

#[test]
fn an_answer_that_breaks_off_is_counted_where_its_client_was() {
    let backend = Backend::start(|mut stream| {
        let mut request = [0; 4096];
        let count = stream.read(&mut request).unwrap_or(0);
        if request[..count].starts_with(b"GET /cut") {
            let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx";
            stream.write_all(cut).expect("it is taken");
        } else {
            // Until the client is gone, and its request with it.
            let _ = stream.read(&mut request);
        }
    });
    let flag = backend.flag();
    let args = ["-l", "http://127.0.0.1:0", "--check", "none", "-b", &flag];
    let admin = Admin::start(&args);
    let ended = |what: &str, wanted: f64| {
        until(what, || {
            let ours = series(&admin, "/metrics");
            ["service", "pool"].iter().all(|of| {
                ours[&format!("pointsman_{of}_streams_{what}_total{{{of}=\"main\"}}")] == wanted
            })
        });
    };
    let request = |target: &str| {
        let mut client = admin.balancer.connect();
        write!(client, "GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is taken");
        client
    };
    let client = request("/cut");
    read_to_end(&client);
    ended("failed", 1.0);
    ended("aborted", 0.0);
    let client = request("/slow");
    until("it is with the backend", || backend.accepted() == 2);
    reset(client);
    ended("aborted", 1.0);
    ended("failed", 1.0);
}

#[test]
fn strangers_who_only_hold_connections_for_metrics_keep_no_operator_out() {
    let at = free_port();
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &["--metrics", &at.to_string()]);
    // They never end their requests, so that none of them rests.
    let hold = || {
        use std::io::Write;
        let mut stream = connect(at);
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
        stream
    };
    let held: Vec<_> = (0..130).map(|_| hold()).collect();
    until("those beyond a hundred are refused", || {
        series(&admin, "/metrics")["pointsman_admin_refused_total"] == 30.0
    });
    drop(held);
}

/// Of two certificates the one that ends first, in whole days; a listener without any has no row.
#[test]
fn a_listener_says_how_long_its_certificates_are_good() {
    const DAY: i64 = 24 * 3600;
    let authority = Authority::new("admin-ends");
    let good_for = |name: &str, days: i64| {
        authority.pair_with(&rcgen::PKCS_ECDSA_P256_SHA256, &[name], |it| {
            it.not_after =
                (SystemTime::now() + Duration::from_secs((days * DAY) as u64)).into();
        })
    };
    let late = good_for("late.test", 90);
    let early = good_for("early.test", 20);
    let a = Backend::named("a");
    let doors = ["-l", "https://127.0.0.1:0"];
    let more = [&doors[..], &late.flags(), &early.flags()].concat();
    let admin = Admin::before(&[&a], &more);
    let all = series(&admin, "/metrics");
    let of = "pointsman_listener_certificate_left_seconds{";
    let left: Vec<_> = all.iter().filter(|(name, _)| name.starts_with(of)).collect();
    let [(name, left)] = left[..] else { panic!("{left:?}") };
    assert!(name.contains("https://127.0.0.1:"), "{name}");
    assert_eq!((left / DAY as f64).ceil(), 20.0, "{left} seconds");
}
