//! All outputs say the same of one mix of requests: what the client and the origins counted.
//!
//! Some things differ by definition. A page of our own is an answer of its service and its pool,
//! and none of a backend; and its bytes are in the access log alone, for services, pools and
//! backends count what is passed on. What is no request has an answer, and is counted under `bad`.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::process::Command;

use serde_json::Value;

use crate::common::admin::Admin;
use crate::common::http::{Message, Origin, Wire, get, post};
use crate::common::{connect, free_port, until};
use crate::{haproxy, metrics};

const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

fn origin() -> Origin {
    Origin::start(|request, wire| {
        let (status, length) = match request.target() {
            "/missing" => ("404 Not Found", 33),
            "/busy" => ("503 Service Unavailable", 55),
            _ => ("200 OK", 1000),
        };
        let body = "x".repeat(length);
        wire.try_say(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"))
    })
}

fn start(origins: &[Origin; 2]) -> Admin {
    let [a, b] = origins.each_ref().map(|it| it.backend.address);
    let nobody = free_port();
    Admin::configured(&format!(
        "[admin]\nhaproxy_socket = \"@HOME/haproxy.sock\"\npicks = 200\n\
         [global]\naccess_log = {{ file = \"@HOME/access.log\", format = \"json\" }}\n\
         [listener.in]\nbind = \"http://127.0.0.1:0\"\n\
         [service.main]\nlisten = [\"in\"]\npool = \"web\"\nstats_path = \"/stats\"\n\
         rules = [{{ when = 'path ^= \"/void/\"', pool = \"void\" }},\n\
         {{ when = 'method == \"PUT\"', respond = 405 }}]\n\
         [pool.web]\nalgorithm = \"round-robin\"\ncheck = {{ kind = \"none\" }}\n\
         [[pool.web.backends]]\nname = \"a\"\naddress = \"{a}\"\n\
         [[pool.web.backends]]\nname = \"b\"\naddress = \"{b}\"\n\
         [pool.void]\ncheck = {{ kind = \"none\" }}\n\
         [[pool.void.backends]]\nname = \"nobody\"\naddress = \"{nobody}\"\n"
    ))
}

/// Numbers by what they are of.
type Facts = BTreeMap<String, u64>;

/// How many bytes a message had on the wire.
fn size(message: &Message) -> u64 {
    (message.head.len() + message.head.lines().count() + 2 + message.body.len()) as u64
}

/// Asks for the mix, and counts what comes.
fn mix(admin: &Admin, origins: &[Origin; 2]) -> Facts {
    let mut facts = Facts::new();
    let mut wires = [(); 2].map(|()| Wire::new(connect(admin.listener("in"))));
    let plan: [(usize, Vec<u8>, &[&str]); 7] = [
        (30, get("/").into(), &["service", "web", "backends", "given", "requests"]),
        (10, post("/", "hello"), &["service", "web", "backends", "given", "requests"]),
        (7, get("/missing").into(), &["service", "web", "backends", "given", "requests"]),
        (5, get("/busy").into(), &["service", "web", "backends", "given", "requests"]),
        // It is given to a backend, and answered by us.
        (3, get("/void/").into(), &["service", "void", "given", "connect", "requests"]),
        (1, b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n".into(), &["service", "web", "requests"]),
        // It closes its connection, so it is the last.
        (1, b"GET / HTTP/1.1\r\n\r\n".into(), &["service", "web", "bad"]),
    ];
    for (count, request, counted) in &plan {
        for number in 0..*count {
            let answer = wires[number % 2].ask(request);
            let class = format!("{}xx", answer.status() / 100);
            for what in *counted {
                let is_split = ["service", "web", "void", "backends"].contains(what);
                let what = if is_split { format!("{what} {class}") } else { what.to_string() };
                *facts.entry(what).or_default() += 1;
            }
            *facts.entry("log out".to_owned()).or_default() += size(&answer);
            if counted.contains(&"backends") {
                *facts.entry("passed out".to_owned()).or_default() += size(&answer);
            }
        }
    }
    let seen = origins.iter().flat_map(Origin::seen);
    facts.insert("passed in".to_owned(), seen.map(|it| size(&it)).sum());
    facts.insert("clients".to_owned(), 2);
    facts
}

/// Asserts that an output says the same, as far as it says anything.
#[track_caller]
fn compare(output: &str, wanted: &Facts, found: &[(&str, u64)]) {
    for (name, value) in found {
        assert_eq!(*value, wanted.get(*name).copied().unwrap_or(0), "{output}: {name}");
    }
}

/// The same of answers by their classes.
#[track_caller]
fn compare_classes(output: &str, wanted: &Facts, of: &str, found: impl Fn(&str) -> u64) {
    for class in CLASSES {
        compare(output, wanted, &[(&format!("{of} {class}"), found(class))]);
    }
}

/// Numbers of an array of objects, each by its path, together.
fn total(all: &Value, path: &str) -> u64 {
    let all = all.as_array().expect("a list");
    all.iter().map(|it| it.pointer(path).and_then(Value::as_u64).expect("a number")).sum()
}

fn log_agrees(wanted: &Facts, lines: &[Value]) {
    let count = |is_it: &dyn Fn(&Value) -> bool| lines.iter().filter(|it| is_it(it)).count();
    let sum = |name: &str| lines.iter().map(|it| it[name].as_u64().unwrap()).sum::<u64>();
    let is_of = |it: &Value, class: &str| it["status"].to_string()[..1] == class[..1];
    let finished = |it: &Value| it["ended"] == "finished";
    compare_classes("log", wanted, "service", |class| count(&|it| is_of(it, class)) as u64);
    compare_classes("log", wanted, "backends", |class| {
        count(&|it| is_of(it, class) && finished(it)) as u64
    });
    for pool in ["web", "void"] {
        compare_classes("log", wanted, pool, |class| {
            count(&|it| is_of(it, class) && it["pool"] == pool) as u64
        });
    }
    let passed = lines.iter().filter(|it| finished(it));
    compare(
        "log",
        wanted,
        &[
            ("given", count(&|it| !it["backend"].is_null()) as u64),
            ("connect", count(&|it| it["reason"] == "connect-failed") as u64),
            ("bad", count(&|it| it["reason"] == "bad-request") as u64),
            ("requests", count(&|it| !it["method"].is_null()) as u64),
            ("log out", sum("bytes_to_client")),
            ("passed out", passed.map(|it| it["bytes_to_client"].as_u64().unwrap()).sum()),
            ("passed in", sum("bytes_to_backend")),
        ],
    );
}

/// Those series of a metric that have these labels, together.
fn sum(all: &HashMap<String, f64>, name: &str, labels: &[&str]) -> u64 {
    let is_it = |it: &str| {
        it.split('{').next() == Some(name) && labels.iter().all(|label| it.contains(label))
    };
    all.iter().filter(|(it, _)| is_it(it)).map(|(_, value)| *value as u64).sum()
}

fn metrics_agree(wanted: &Facts, admin: &Admin) {
    let all = metrics::series(admin, "/metrics");
    let of =
        |name: &str, labels: &[&str]| sum(&all, &format!("pointsman_{name}_total"), labels);
    let places = [
        ("service", "service_responses", ""),
        ("web", "pool_responses", "pool=\"web\""),
        ("void", "pool_responses", "pool=\"void\""),
        ("backends", "backend_responses", ""),
    ];
    for (place, name, label) in places {
        let code = |class: &str| of(name, &[label, class]);
        compare_classes("/metrics", wanted, place, code);
    }
    compare(
        "/metrics",
        wanted,
        &[
            ("requests", of("requests", &[])),
            ("bad", of("bad_requests", &[])),
            ("clients", of("connections", &[])),
            ("clients", of("service_connections", &[])),
            ("given", of("backend_requests", &[])),
            ("connect", of("backend_failures", &[])),
            ("passed in", of("service_bytes", &["\"in\""])),
            ("passed in", of("pool_bytes", &["\"in\""])),
            ("passed in", of("backend_bytes", &["sent"])),
            ("passed out", of("service_bytes", &["\"out\""])),
            ("passed out", of("pool_bytes", &["\"out\""])),
            ("passed out", of("backend_bytes", &["received"])),
        ],
    );
    // Times are of answers of backends alone.
    let timed = sum(&all, "pointsman_service_response_seconds_count", &[]);
    let answered = CLASSES.iter().map(|it| wanted_of(wanted, "backends", it)).sum::<u64>();
    assert_eq!(timed, answered);
}

fn wanted_of(wanted: &Facts, of: &str, class: &str) -> u64 {
    wanted.get(&format!("{of} {class}")).copied().unwrap_or(0)
}

fn metrics_of_haproxy_agree(wanted: &Facts, admin: &Admin) {
    let all = metrics::series(admin, "/metrics/haproxy");
    let of = |name: &str, labels: &[&str]| sum(&all, &format!("haproxy_{name}_total"), labels);
    let places = [
        ("service", "frontend", ""),
        ("web", "backend", "proxy=\"web\""),
        ("void", "backend", "proxy=\"void\""),
        ("backends", "server", ""),
    ];
    for (place, name, label) in places {
        let name = format!("{name}_http_responses");
        compare_classes("/metrics/haproxy", wanted, place, |class| of(&name, &[label, class]));
    }
    let mut found = vec![
        ("requests", of("frontend_http_requests", &[])),
        ("bad", of("frontend_request_errors", &[])),
        ("clients", of("frontend_sessions", &[])),
        ("clients", of("frontend_connections", &[])),
        ("clients", of("process_connections", &[])),
        ("requests", of("process_requests", &[])),
    ];
    for place in ["frontend", "backend", "server"] {
        found.push(("passed in", of(&format!("{place}_bytes_in"), &[])));
        found.push(("passed out", of(&format!("{place}_bytes_out"), &[])));
    }
    for place in ["backend", "server"] {
        found.push(("given", of(&format!("{place}_sessions"), &[])));
        found.push(("connect", of(&format!("{place}_connection_errors"), &[])));
    }
    compare("/metrics/haproxy", wanted, &found);
}

fn csv_agrees(wanted: &Facts, admin: &Admin) {
    let text = haproxy::ask(admin, "show stat");
    let mut lines = text.lines().map(|it| it.trim_start_matches("# ").split(','));
    let header: Vec<&str> = lines.next().expect("a header").collect();
    let rows: Vec<HashMap<&str, &str>> =
        lines.map(|it| header.iter().copied().zip(it).collect()).collect();
    // `kind`: 0 a frontend, 1 a backend, which is a pool, 2 a server.
    let of = |kind: &str, proxy: &str, name: &str| -> u64 {
        let rows = rows.iter().filter(|it| it["type"] == kind);
        let rows = rows.filter(|it| proxy.is_empty() || it["pxname"] == proxy);
        rows.map(|it| it[name].parse().unwrap_or(0)).sum()
    };
    let places = [
        ("service", "0", ""),
        ("web", "1", "web"),
        ("void", "1", "void"),
        ("backends", "2", ""),
    ];
    for (place, kind, proxy) in places {
        compare_classes("CSV", wanted, place, |class| {
            of(kind, proxy, &format!("hrsp_{class}"))
        });
    }
    let mut found = vec![
        ("requests", of("0", "", "req_tot")),
        ("bad", of("0", "", "ereq")),
        ("clients", of("0", "", "stot")),
    ];
    for kind in ["0", "1", "2"] {
        found.push(("passed in", of(kind, "", "bin")));
        found.push(("passed out", of(kind, "", "bout")));
    }
    for kind in ["1", "2"] {
        found.push(("given", of(kind, "", "stot")));
        found.push(("connect", of(kind, "", "econ")));
    }
    compare("CSV", wanted, &found);
}

/// What the API says of backends, and `top --json` as well.
fn totals_agree(output: &str, wanted: &Facts, backends: &Value) {
    compare_classes(output, wanted, "backends", |class| {
        total(backends, &format!("/totals/responses/{class}"))
    });
    compare(
        output,
        wanted,
        &[
            ("given", total(backends, "/totals/requests")),
            ("connect", total(backends, "/totals/errors/connect")),
            ("passed in", total(backends, "/totals/bytes/sent")),
            ("passed out", total(backends, "/totals/bytes/received")),
        ],
    );
}

fn api_agrees(wanted: &Facts, admin: &Admin) {
    let paths = ["web/backends/a", "web/backends/b", "void/backends/nobody"];
    let all = paths.map(|it| admin.api.get(&format!("/api/v1/pools/{it}")));
    totals_agree("API", wanted, &Value::from(all.to_vec()));
    let mut top = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    top.args(["top", "--json"]).arg(&admin.api.socket).env_remove("POINTSMAN_TOKEN");
    let output = top.output().expect("it runs");
    let top: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    totals_agree("top", wanted, &top["backends"]);
    let number = |name: &str| top["process"][name].as_u64().expect("a number");
    let found =
        [("requests", number("requests_total")), ("clients", number("connections_total"))];
    compare("top", wanted, &found);
    let picks = admin.api.get("/api/v1/picks?limit=100");
    let picks = picks["items"].as_array().expect("picks").iter();
    // Where none is left to be tried, that is a pick of nobody.
    let given = picks.filter(|it| !it["choice"].is_null()).count();
    compare("picks", wanted, &[("given", given as u64)]);
}

/// The first thing that who watches is shown: how many each backend got in the last minute, of
/// whole seconds.
fn live_agrees(wanted: &Facts, admin: &Admin) {
    until("who watches is shown as many", || {
        let mut stream = admin.api.connect();
        stream.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let lines = BufReader::new(stream).lines().map(|it| it.expect("more"));
        let mut data = lines.filter_map(|it| it.strip_prefix("data: ").map(str::to_owned));
        let shown: Value = serde_json::from_str(&data.next().expect("data")).expect("JSON");
        let at = shown["columns"].as_array().unwrap().iter().position(|it| it == "minute");
        let given = total(&shown["backends"], &format!("/{}", at.expect("a column")));
        assert!(given <= wanted["given"], "{given} were given");
        given == wanted["given"]
    });
}

/// A second is not quite one, so that rates are about what was counted.
fn history_agrees(wanted: &Facts, admin: &Admin) {
    let about = |of: &str, name: &str, wanted: u64| {
        until(&format!("{name} of {of} are {wanted}"), || {
            let it = admin.api.get(&format!("/api/v1/history?of={of}&series={name}"));
            let points = it["series"][name].as_array().expect("a series");
            let sum: f64 = points.iter().filter_map(Value::as_f64).sum();
            (0.8..1.25).contains(&(sum / wanted as f64))
        });
    };
    let of = |place, class| wanted_of(wanted, place, class);
    let places = [
        ("process", "service"),
        ("service:main", "service"),
        ("pool:web", "web"),
        ("pool:void", "void"),
    ];
    for (subject, place) in places {
        about(subject, "rate", CLASSES.iter().map(|it| of(place, it)).sum());
        about(subject, "errors", of(place, "5xx"));
        if place != "void" {
            about(subject, "errors_4xx", of(place, "4xx"));
            about(subject, "bytes_in", wanted["passed in"]);
            about(subject, "bytes_out", wanted["passed out"]);
        }
    }
}

/// It is a request to the service as well: asked for last, it has itself among the requests, and
/// not yet among the answers.
fn page_agrees(wanted: &Facts, admin: &Admin) {
    let page = Wire::new(connect(admin.listener("in"))).ask(get("/stats"));
    let page: Value = serde_json::from_slice(&page.body).expect("JSON");
    let process = |name: &str| page["process"][name].as_u64().expect("a number");
    let pools = &page["routes"];
    for pool in ["web", "void"] {
        let all = pools.as_array().unwrap();
        let it = all.iter().find(|it| it["name"] == pool).expect("a pool");
        compare_classes("page", wanted, pool, |class| it["responses"][class].as_u64().unwrap());
    }
    let backends = &page["backends"];
    compare_classes("page", wanted, "backends", |class| {
        total(backends, &format!("/responses/{class}"))
    });
    compare_classes("page", wanted, "service", |class| {
        total(pools, &format!("/responses/{class}"))
    });
    compare(
        "page",
        wanted,
        &[
            ("requests", process("requests") - 1),
            ("bad", process("bad_requests")),
            ("clients", process("connections_total") - 1),
            ("given", total(backends, "/requests")),
            ("connect", total(backends, "/errors/connect")),
            ("passed in", total(backends, "/bytes/sent")),
            ("passed in", total(pools, "/bytes/in")),
            ("passed out", total(backends, "/bytes/received")),
            ("passed out", total(pools, "/bytes/out")),
        ],
    );
}

#[test]
fn all_outputs_agree_with_each_other_and_with_what_the_client_counted() {
    let origins = [origin(), origin()];
    let admin = start(&origins);
    // A rate is that since the look before.
    until("the first second", || {
        let it = admin.api.get("/api/v1/history?of=pool:void&series=active");
        it["series"]["active"].as_array().unwrap().iter().any(|it| !it.is_null())
    });
    let wanted = mix(&admin, &origins);
    assert_eq!(CLASSES.map(|it| wanted_of(&wanted, "service", it)), [40, 9, 8]);
    assert_eq!((wanted["requests"], wanted["bad"], wanted["given"]), (56, 1, 55));
    until("each has its line", || admin.file("access.log").lines().count() == 57);
    let text = admin.file("access.log");
    let lines: Vec<Value> =
        text.lines().map(|it| serde_json::from_str(it).expect("JSON")).collect();
    log_agrees(&wanted, &lines);
    metrics_agree(&wanted, &admin);
    metrics_of_haproxy_agree(&wanted, &admin);
    csv_agrees(&wanted, &admin);
    api_agrees(&wanted, &admin);
    live_agrees(&wanted, &admin);
    history_agrees(&wanted, &admin);
    page_agrees(&wanted, &admin);
}
