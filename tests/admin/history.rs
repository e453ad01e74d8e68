//! What was, and what is, each second.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::common::admin::Admin;
use crate::common::http::{Origin, Wire, get};
use crate::common::{Backend, DEADLINE, until};

/// In front of an origin called `a`.
fn with_origin(more: &[&str]) -> (Admin, Origin) {
    let origin = Origin::named("a");
    let backend = format!("{},name=a", origin.backend.flag());
    let mut args = vec!["-l", "http://127.0.0.1:0", "--check", "none", "-b", &backend];
    args.extend(more);
    (Admin::start(&args), origin)
}

/// The sum of a series.
fn sum(history: &Value, name: &str) -> f64 {
    let points = history["series"][name].as_array().expect("a series");
    points.iter().filter_map(Value::as_f64).sum()
}

/// One who watches.
struct Watcher {
    lines: BufReader<UnixStream>,
}

impl Watcher {
    fn of(admin: &Admin) -> Watcher {
        let mut stream = admin.api.connect();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        Watcher { lines: BufReader::new(stream) }
    }

    /// The next event, with its data.
    fn next(&mut self) -> (String, Value) {
        let mut event = String::new();
        loop {
            let mut line = String::new();
            let count = self.lines.read_line(&mut line).expect("more");
            assert!(count > 0, "the end, after {event}");
            if let Some(name) = line.strip_prefix("event: ") {
                event = name.trim().to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                // A chunk ends with its event, or the line goes on in the next one.
                let mut data = data.trim_end().to_owned();
                while serde_json::from_str::<Value>(&data).is_err() {
                    let mut more = String::new();
                    assert!(self.lines.read_line(&mut more).expect("more") > 0);
                    let is_size = more.trim().bytes().all(|it| it.is_ascii_hexdigit());
                    data += if is_size { "" } else { more.trim_end() };
                }
                return (event, serde_json::from_str(&data).unwrap());
            }
        }
    }

    /// What comes once this is so.
    fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..20 {
            let (_, data) = self.next();
            if is_so(&data) {
                return data;
            }
        }
        panic!("it does not come: {what}");
    }
}

#[test]
fn what_was_done_is_in_the_history_of_all_whom_it_concerns() {
    let (admin, _origin) = with_origin(&[]);
    until("the first second", || {
        let it = admin.api.get("/api/v1/history?series=active");
        it["series"]["active"].as_array().is_some_and(|all| all.iter().any(|it| !it.is_null()))
    });
    let mut wire = Wire::to(&admin.balancer);
    (0..20).for_each(|_| drop(wire.ask(get("/"))));
    for of in ["process", "service:main", "pool:main"] {
        until("twenty answers", || {
            let it = admin.api.get(&format!("/api/v1/history?of={of}"));
            assert_eq!((&it["of"], &it["step_s"]), (&json!(of), &json!(1)));
            let rate = it["series"]["rate"].as_array().expect("a series").len();
            let found = sum(&it, "rate");
            // A second is not quite one.
            rate == 600 && (16.0..24.0).contains(&found) && sum(&it, "p99_ms") > 0.0
        });
        let it = admin.api.get(&format!("/api/v1/history?of={of}&span=7d&series=bytes_out"));
        assert_eq!(it["series"].as_object().unwrap().len(), 1);
        assert_eq!(it["step_s"], 60);
    }
    let it = admin.api.get("/api/v1/history?of=backend:main/a&span=24h");
    assert_eq!(
        (&it["step_s"], it["series"]["rate"].as_array().unwrap().len()),
        (&json!(60), 1440)
    );
}

#[test]
fn who_asks_for_what_is_not_recorded_is_told_what_is() {
    let (admin, _origin) = with_origin(&[]);
    let table = [
        ("of=pool:mian", 404, "did you mean main?"),
        ("of=backend:main/b", 404, "there is no backend"),
        ("of=everything", 400, "backend:POOL/NAME"),
        ("series=rates", 400, "did you mean rate?"),
        ("of=backend:main/a&series=bytes_in", 400, "there is no series"),
        ("span=1d", 400, "there is no span"),
        ("spam=1h", 400, "did you mean span?"),
    ];
    for (query, status, says) in table {
        let reply = admin.api.ask("GET", &format!("/api/v1/history?{query}"), None);
        let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply.status(), status, "{query}: {detail}");
        assert!(detail.contains(says), "{query}: {detail}");
    }
    let (admin, _origin) = with_origin(&["--history-memory", "none"]);
    let reply = admin.api.ask("GET", "/api/v1/history", None);
    assert_eq!(reply.status(), 404);
    assert!(reply.json()["detail"].as_str().unwrap().contains("history_memory is none"));
}

#[test]
fn who_watches_is_shown_all_and_then_what_changes() {
    let (admin, _origin) = with_origin(&[]);
    let mut watcher = Watcher::of(&admin);
    let (event, first) = watcher.next();
    assert_eq!(event, "snapshot");
    let columns = first["columns"].as_array().unwrap();
    let at = |name: &str| columns.iter().position(|it| it == name).expect("a column");
    let row = &first["backends"][0];
    assert_eq!(row.as_array().unwrap().len(), columns.len());
    assert_eq!((&row[at("pool")], &row[at("name")]), (&json!("main"), &json!("a")));
    assert_eq!(first["process"]["pid"], admin.balancer.pid().as_raw_nonzero().get());
    assert_eq!(
        (&first["pools"][0]["up"], &first["services"][0]["mode"]),
        (&json!(1), &json!("http"))
    );

    let quiet = watcher.until("nothing changes", |it| it["backends"] == json!([]));
    assert_eq!(quiet["gone"], json!([]));
    let path = "/api/v1/pools/main/backends/a";
    admin.api.write("PATCH", path, &json!({"weight": 7, "admin": "drain"}));
    let delta = watcher.until("a row", |it| it["backends"] != json!([]));
    let changed = &delta["backends"][0];
    assert_eq!((&changed[0], &changed[at("weight")]), (&row[0], &json!(7)));
    assert_eq!(changed[at("state")], "draining");

    let b = Backend::named("b");
    let other = "/api/v1/pools/main/backends/b";
    admin.api.write("PUT", other, &json!({"address": b.address.to_string()}));
    let delta = watcher.until("another row", |it| it["backends"] != json!([]));
    let id = delta["backends"][0][0].clone();
    assert_ne!(id, row[0]);
    admin.api.ask("DELETE", &format!("{other}?now=true"), None);
    watcher.until("it is gone", |it| it["gone"] == json!([id]));
}

#[test]
fn a_thirty_third_may_not_watch_until_another_one_goes() {
    let (admin, _origin) = with_origin(&[]);
    let mut watchers: Vec<Watcher> = (0..32).map(|_| Watcher::of(&admin)).collect();
    watchers.iter_mut().for_each(|it| assert_eq!(it.next().0, "snapshot"));
    let reply = admin.api.ask("GET", "/api/v1/live", None);
    assert_eq!(reply.status(), 503);
    assert_eq!(reply.json()["type"], "/problems/too-many-watch");
    watchers.pop();
    until("there is room", || {
        let mut stream = admin.api.connect();
        stream.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.contains(" 200 ")
    });
    watchers.iter_mut().for_each(|it| assert_eq!(it.next().0, "delta"));
}

#[test]
fn who_is_here_is_listed_by_age_by_request_and_by_address() {
    let (admin, origin) = with_origin(&[]);
    let idle = admin.balancer.connect();
    until("it is accepted", || {
        admin.api.get("/api/v1/top")["items"].as_array().unwrap().len() == 1
    });
    let mut wire = Wire::to(&admin.balancer);
    wire.ask(get("/"));
    let waiting = Wire::to(&admin.balancer);
    waiting.say("GET /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    until("the request is with the backend", || {
        let it = admin.api.get("/api/v1/top?what=slowest");
        it["items"].as_array().unwrap().iter().any(|it| it["backend"] == "a")
    });
    let all = admin.api.get("/api/v1/top");
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items[0]["client"], idle.local_addr().unwrap().to_string(), "the oldest first");
    let clients = admin.api.get("/api/v1/top?what=clients&limit=1");
    assert_eq!(clients["items"], json!([{"client": "127.0.0.1", "connections": 3}]));
    for query in ["what=longst", "limit=0", "limit=101", "limit=x", "wat=1"] {
        let reply = admin.api.ask("GET", &format!("/api/v1/top?{query}"), None);
        assert_eq!(reply.status(), 400, "{query}");
    }
    drop(origin);
}
