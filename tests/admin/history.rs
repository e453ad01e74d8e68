//! What was, and what is, each second.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pointsman::control::history_file::{self, HistoryFile};
use serde_json::{Value, json};

use crate::common::admin::Admin;
use crate::common::http::{Origin, Wire, get, ok};
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
            // A second is not quite one: on a busy machine it may end late, and be longer.
            rate == 600 && (4.0..24.0).contains(&found) && sum(&it, "p99_ms") > 0.0
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
fn who_waits_is_in_the_history_of_its_pool_and_of_the_process() {
    let (backend, requests) = Backend::manual();
    let flag = format!("{},name=a,max-connections=1", backend.flag());
    let narrow = ["-l", "http://127.0.0.1:0", "--check", "none", "-b", &flag, "--queue", "5"];
    let sticky = ["--sticky-cookie", "LB", "--queue-timeout", "60s"];
    let admin = Admin::start(&[&narrow[..], &sticky].concat());
    let mut busy = Wire::to(&admin.balancer);
    busy.say(get("/login"));
    let stream = requests.recv_timeout(DEADLINE).expect("a request");
    let mut asked = Wire::new(stream);
    assert!(asked.request().is_some());
    asked.say(ok("in"));
    let cookie = busy.answer().field("set-cookie").split(';').next().unwrap().to_owned();
    let mine = format!("GET / HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n");
    let all = [get("/busy"), get("/any"), mine.clone(), mine];
    let _clients: Vec<Wire> = all
        .map(|request| {
            let wire = Wire::to(&admin.balancer);
            wire.say(request);
            wire
        })
        .into();
    for of in ["process", "pool:main"] {
        let path = format!("/api/v1/history?of={of}&series=waiting");
        until("three wait", || sum(&admin.api.get(&path), "waiting") >= 3.0);
    }
    let service = "/api/v1/history?of=service:main&series=waiting";
    assert_eq!(admin.api.ask("GET", service, None).status(), 400, "nobody waits for one");
    let mut watcher = Watcher::of(&admin);
    let (_, first) = watcher.next();
    let columns = first["columns"].as_array().unwrap();
    let at = columns.iter().position(|it| it == "waiting").expect("a column");
    let waiting =
        |it: &Value| (it["pools"][0]["waiting"].clone(), it["backends"][0][at].clone());
    assert_eq!(waiting(&first), (json!(3), json!(2)), "two of them for this one alone");
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

fn minute_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60
}

/// The last minutes of the rate of the pool, the oldest first.
fn last_minutes(admin: &Admin, count: usize) -> Vec<Value> {
    let it = admin.api.get("/api/v1/history?of=pool:main&span=24h&series=rate");
    let all = it["series"]["rate"].as_array().unwrap();
    all[all.len() - count..].to_vec()
}

/// It takes a minute: that is how often it is written.
#[test]
fn minutes_survive_a_restart_a_torn_one_is_a_gap_and_they_are_written_anew() {
    let home = std::env::temp_dir().join(format!("pointsman-history-{}", std::process::id()));
    fs::create_dir_all(&home).unwrap();
    let path = home.join("history");
    let path = path.to_str().unwrap();
    let now = minute_now();
    let mut before = HistoryFile::create(path).unwrap();
    for minute in [now - 4, now - 3, now - 2] {
        before.put("pool:main rate", Some((now - minute) as f32));
        before.append(minute).unwrap();
    }
    before.put_in_place().unwrap();
    let mut bytes = fs::read(path).unwrap();
    // The one in the middle.
    let at = bytes.len() - 2 * 19 + 15;
    bytes[at] ^= 1;
    fs::write(path, &bytes).unwrap();

    let (admin, _origin) = with_origin(&["--history-file", path]);
    let known = |admin: &Admin| -> Vec<Value> {
        last_minutes(admin, 12).into_iter().filter(|it| !it.is_null()).collect()
    };
    until("it goes on", || known(&admin).starts_with(&[json!(4), json!(2)]));
    assert!(known(&admin).len() <= 3, "the torn one is a gap");

    let deadline = Instant::now() + Duration::from_secs(90);
    while fs::read(path).unwrap() == bytes {
        assert!(Instant::now() < deadline, "it is not written");
        std::thread::sleep(Duration::from_millis(200));
    }
    let past = history_file::read(path).unwrap();
    assert_eq!(past.torn, 0);
    assert!(past.names.iter().any(|it| it == "service:main active"), "{:?}", past.names);
    let minutes: Vec<u64> = past.minutes.iter().map(|(minute, _)| *minute).collect();
    assert!(minutes.starts_with(&[now - 4, now - 2]) && minutes.len() > 2, "{minutes:?}");
    drop(admin);
    fs::remove_dir_all(&home).unwrap();
}

#[test]
fn a_place_where_no_history_can_be_kept_is_refused_at_the_start() {
    let program = env!("CARGO_BIN_EXE_pointsman");
    let args = ["-l", "127.0.0.1:0", "-b", "127.0.0.1:1", "--history-file"];
    let place = ["--admin", "http://127.0.0.1:0"];
    let table = [
        (vec!["/nowhere/history"], &place[..], "its directory is not there"),
        (vec!["/tmp"], &place[..], "it is no file"),
        (vec!["/tmp/x"], &[][..], "--admin PLACE"),
    ];
    for (path, more, says) in table {
        let output = Command::new(program).args(args).args(path).args(more).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{text}");
        assert!(text.contains("--history-file") && text.contains(says), "{text}");
    }
}
