//! Reading and writing.

use std::io::{Read, Write};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::admin::{Admin, Reply};
use crate::common::{Backend, Balancer, read_to_end, until};

const BACKENDS: &str = "/api/v1/pools/main/backends";

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|it| it["name"].as_str().expect("a name")).collect()
}

/// The name of the backend that serves a client.
pub fn who(balancer: &Balancer) -> String {
    String::from_utf8_lossy(&read_to_end(&balancer.connect()).bytes()).into_owned()
}

#[test]
fn a_backend_is_put_patched_and_deleted_and_clients_follow() {
    let [a, b] = [Backend::named("a"), Backend::named("b")];
    let admin = Admin::before(&[&a], &[]);
    let api = &admin.api;
    let path = format!("{BACKENDS}/second");
    let body = json!({"address": b.address.to_string(), "weight": 3});
    let first = api.ask("PUT", &path, Some(&body));
    assert_eq!(first.status(), 201, "{first:?}");
    assert_eq!(first.json()["weight"]["configured"], 3);
    assert_eq!(first.json()["origin"], "api");
    assert_eq!(first.json()["receipt"]["members"][0]["backends"]["added"], 1);
    let again = api.ask("PUT", &path, Some(&body));
    assert_eq!(again.status(), 200, "the same twice is one");
    assert_eq!(again.field("ETag"), first.field("ETag"));
    assert_eq!(again.json()["receipt"], Value::Null);
    let seen = |name: &str| who(&admin.balancer) == name;
    until("the new one is used", || seen("b"));
    let patched = api.write("PATCH", &path, &json!({"weight": 0}));
    assert_eq!(patched["weight"]["effective"], 0.0);
    for _ in 0..10 {
        assert!(seen("a"), "it has no weight any more");
    }
    let gone = api.ask("DELETE", &path, None);
    assert_eq!(gone.status(), 204, "{gone:?}");
    assert_eq!(api.ask("DELETE", &path, None).status(), 204, "and so it stays");
    assert_eq!(api.ask("GET", &path, None).status(), 404);
    assert_eq!(names(&api.get(BACKENDS)).len(), 1);
}

#[test]
fn a_deleted_backend_keeps_its_connections_and_tells_how_many() {
    let [a, b] = [Backend::echo(), Backend::echo()];
    let admin = Admin::before(&[&a], &[]);
    let api = &admin.api;
    let path = format!("{BACKENDS}/b");
    api.write("PUT", &path, &json!({"address": b.address.to_string()}));
    let mut clients = Vec::new();
    while b.accepted() < 20 {
        let client = admin.balancer.connect();
        (&client).write_all(b"x").unwrap();
        (&client).read_exact(&mut [0]).unwrap();
        clients.push(client);
    }
    let accepted = b.accepted();
    let leaving = api.ask("DELETE", &path, None);
    assert_eq!(leaving.status(), 202, "{leaving:?}");
    assert_eq!(leaving.json()["active"], accepted);
    for client in &mut clients {
        client.write_all(b"y").unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"y", "none is closed");
    }
    for _ in 0..20 {
        let client = admin.balancer.connect();
        (&client).write_all(b"x").unwrap();
        (&client).read_exact(&mut [0]).unwrap();
        clients.push(client);
    }
    assert_eq!(b.accepted(), accepted, "no new one after the answer");
    let now = api.ask("POST", &format!("{path}/close-connections"), Some(&json!({})));
    assert_eq!(now.status(), 202, "{now:?}");
    until("they are closed", || api.ask("GET", &path, None).status() == 404);
}

#[test]
fn lists_are_whole_unless_pages_are_asked_for() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let api = &admin.api;
    let change = |number: usize| {
        let body = json!({"address": format!("127.0.0.1:{}", 20_000 + number),
                          "weight": number % 7});
        json!({"method": "PUT", "path": format!("{BACKENDS}/n{number:04}"), "body": body})
    };
    let changes: Vec<Value> = (0..1000).map(change).collect();
    let done = api.write("POST", "/api/v1/batch", &json!({"changes": changes}));
    assert_eq!(done["receipt"]["members"][0]["backends"]["added"], 1000);
    let all = api.get(BACKENDS);
    assert_eq!(names(&all).len(), 1001);
    assert_eq!(all["next"], Value::Null);
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = api.get(&format!("{BACKENDS}?limit=300&fields=name{after}"));
        assert_eq!(page["items"][0].as_object().expect("an object").len(), 1);
        seen.extend(names(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, names(&all));
    let heavy = api.get(&format!("{BACKENDS}?sort=-weight.configured&limit=3"));
    assert_eq!(heavy["items"][0]["weight"]["configured"], 6);
    assert_eq!(heavy["items"].as_array().expect("a list").len(), 3);
    let bad = api.ask("GET", &format!("{BACKENDS}?limt=3"), None);
    assert_eq!(bad.status(), 400);
    assert!(bad.json()["detail"].as_str().unwrap().contains("did you mean limit?"), "{bad:?}");
}

#[test]
fn a_list_that_is_read_while_backends_come_has_none_twice_and_misses_none_that_stay() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let api = &admin.api;
    let put = |name: String| {
        let body = json!({"address": "127.0.0.1:9"});
        json!({"method": "PUT", "path": format!("{BACKENDS}/{name}"), "body": body})
    };
    let stay: Vec<Value> = (0..2000).map(|number| put(format!("m{number:04}"))).collect();
    api.write("POST", "/api/v1/batch", &json!({"changes": stay}));
    let mut reader = api.connect();
    let request =
        format!("GET {BACKENDS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    reader.write_all(request.as_bytes()).unwrap();
    let mut bytes = vec![0; 65_536];
    let count = reader.read(&mut bytes).expect("the beginning");
    bytes.truncate(count);
    // In front of what is written, by name.
    let come: Vec<Value> = (0..100).map(|number| put(format!("b{number:04}"))).collect();
    api.write("POST", "/api/v1/batch", &json!({"changes": come}));
    reader.read_to_end(&mut bytes).expect("the rest");
    let list = Reply::of(&bytes).json();
    let mut seen = names(&list);
    seen.sort_unstable();
    let all = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), all, "one is there twice");
    assert_eq!(seen.iter().filter(|it| it.starts_with('m')).count(), 2000);
}

#[test]
fn all_of_a_batch_or_nothing_of_it_is_done() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let api = &admin.api;
    let put = |name: &str| {
        json!({"method": "PUT", "path": format!("{BACKENDS}/{name}"),
               "body": {"address": "127.0.0.1:9"}})
    };
    let missing =
        json!({"method": "PATCH", "path": format!("{BACKENDS}/no"), "body": {"weight": 1}});
    let reply = api.ask(
        "POST",
        "/api/v1/batch",
        Some(&json!({"changes": [put("x"), missing, put("y")]})),
    );
    assert_eq!(reply.status(), 404, "{reply:?}");
    assert_eq!(names(&api.get(BACKENDS)).len(), 1);
    let wrong = json!({"changes": [put("x"), {"method": "PUT", "path": format!("{BACKENDS}/z"),
                       "body": {"address": "127.0.0.1:9", "wieght": 1, "backup": 3}}]});
    let reply = api.ask("POST", "/api/v1/batch", Some(&wrong));
    assert_eq!(reply.status(), 422, "{reply:?}");
    let errors = reply.json()["errors"].clone();
    assert_eq!(errors[0]["pointer"], "/changes/1/body/wieght");
    assert_eq!(errors[0]["hint"], "did you mean weight?");
    assert_eq!(errors[1]["pointer"], "/changes/1/body/backup");
    let generation = api.get(BACKENDS)["generation"].clone();
    let stale = json!({"if_generation": 77, "changes": [put("x")]});
    assert_eq!(api.ask("POST", "/api/v1/batch", Some(&stale)).status(), 412);
    let dry = json!({"dry_run": true, "if_generation": generation,
                     "changes": [put("x"), put("y")]});
    let reply = api.write("POST", "/api/v1/batch", &dry);
    assert_eq!(reply["receipt"]["members"][0]["backends"]["added"], 2);
    assert_eq!(names(&api.get(BACKENDS)).len(), 1, "nothing is done");
}

#[test]
fn a_post_with_a_key_is_carried_out_once() {
    let [a, b] = [Backend::named("a"), Backend::named("b")];
    let admin = Admin::before(&[&a], &[]);
    let path = format!("{BACKENDS}/b");
    let put =
        json!({"method": "PUT", "path": path, "body": {"address": b.address.to_string()}});
    let batch = json!({"changes": [put]});
    let post = |body: &Value, key: &str| {
        let field = format!("Idempotency-Key: {key}\r\n");
        admin.api.ask_with("POST", "/api/v1/batch", Some(body), &field)
    };
    let first = post(&batch, "1");
    assert_eq!(first.status(), 200, "{first:?}");
    assert_eq!(admin.api.ask("DELETE", &path, None).status(), 204);
    let again = post(&batch, "1");
    assert_eq!((again.status(), again.json()), (200, first.json()));
    assert_eq!(admin.api.ask("GET", &path, None).status(), 404, "it was not put again");
    let remove = json!({"changes": [{"method": "DELETE", "path": path}]});
    assert_eq!(post(&remove, "1").status(), 422, "another request");
    assert_eq!(post(&batch, "2").status(), 200, "another key");
    assert_eq!(admin.api.ask("GET", &path, None).status(), 200);
    assert_eq!(post(&batch, &"x".repeat(256)).status(), 400);
    admin.balancer.wait_for_log("it was done before, and is answered again");
}

#[test]
fn an_etag_tells_who_was_first() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let api = &admin.api;
    let path = format!("{BACKENDS}/{}", a.address);
    let tag = api.ask("GET", &path, None).field("ETag").to_owned();
    let patch = |tag: &str, weight: u32| {
        let field = format!("If-Match: {tag}\r\n");
        api.ask_with("PATCH", &path, Some(&json!({"weight": weight})), &field)
    };
    let first = patch(&tag, 5);
    assert_eq!(first.status(), 200, "{first:?}");
    let second = patch(&tag, 6);
    assert_eq!(second.status(), 412, "{second:?}");
    assert_eq!(second.field("ETag"), first.field("ETag"), "the one that is there");
    let same = format!("If-None-Match: {}\r\n", first.field("ETag"));
    assert_eq!(api.ask_with("GET", &path, None, &same).status(), 304);
    let new = json!({"address": "127.0.0.1:9"});
    let only_new = "If-None-Match: *\r\n";
    assert_eq!(api.ask_with("PUT", &path, Some(&new), only_new).status(), 412);
    let overrides = api.get("/api/v1/overrides");
    assert_eq!(overrides["items"][0]["configured"], "1");
    assert_eq!(overrides["items"][0]["override"], "5");
    assert_eq!(api.ask("DELETE", "/api/v1/overrides", None).status(), 200);
    assert_eq!(api.get("/api/v1/overrides")["items"], json!([]));
    assert_eq!(api.get(&path)["weight"]["effective"], 1.0);
}

#[test]
fn a_configuration_is_read_checked_and_replaced() {
    let [a, b] = [Backend::named("a"), Backend::named("b")];
    let admin = Admin::before(&[&a], &[]);
    let api = &admin.api;
    let reply = api.ask("GET", "/api/v1/config", None);
    let text = String::from_utf8(reply.body.clone()).unwrap();
    let other = text.replace(&a.address.to_string(), &b.address.to_string());
    assert_ne!(text, other);
    let put = |path: &str, text: &str, fields: &str| -> Reply {
        let request = format!(
            "{} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/toml\r\n{fields}Content-Length: {}\r\n\r\n{text}",
            if path.ends_with("check") { "POST" } else { "PUT" },
            text.len()
        );
        api.say(request.as_bytes())
    };
    let checked = put("/api/v1/config/check", &other, "");
    assert_eq!(checked.status(), 200, "{}", checked.json());
    let broken = other.replace("retries", "retrys");
    let reply = put("/api/v1/config/check", &broken, "");
    assert_eq!(reply.status(), 422, "{reply:?}");
    let detail = reply.json()["errors"][0]["detail"].to_string();
    assert!(detail.contains("retrys") && detail.contains("body:"), "{detail}");
    assert_eq!(put("/api/v1/config", &other, "").status(), 428);
    let tag = format!("If-Match: {}\r\n", api.ask("GET", "/api/v1/config", None).field("ETag"));
    let dry = put("/api/v1/config?dry_run=true", &other, &tag);
    assert_eq!(dry.json()["dry_run"], true, "{dry:?}");
    assert_eq!(put("/api/v1/config", &other, &tag).status(), 200);
    assert_eq!(put("/api/v1/config", &text, &tag).status(), 412, "it is another by now");
    assert_eq!(who(&admin.balancer), "b");
}

#[test]
fn what_happens_is_told_as_it_happens() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let mut stream = admin.api.connect();
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut seen = String::new();
    let mut read_until = |text: &str| {
        let mut buffer = [0; 4096];
        while !seen.contains(text) {
            let count = stream.read(&mut buffer).expect("an event");
            assert_ne!(count, 0, "it ended: {seen}");
            seen += &String::from_utf8_lossy(&buffer[..count]);
        }
    };
    read_until("retry: 2000");
    let path = format!("{BACKENDS}/{}", a.address);
    admin.api.write("PATCH", &path, &json!({"weight": 7}));
    read_until("event: change");
    read_until("event: audit");
    read_until("PATCH /api/v1/pools/main/backends/");
    assert!(seen.contains("text/event-stream"), "{seen}");
}

#[test]
fn who_saw_events_of_the_process_before_is_told_all_of_this_one() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let mut stream = admin.api.connect();
    let fields = "Host: localhost\r\nLast-Event-ID: 18446744073709551615\r\n";
    stream
        .write_all(format!("GET /api/v1/events HTTP/1.1\r\n{fields}\r\n").as_bytes())
        .unwrap();
    let mut seen = String::new();
    let path = format!("{BACKENDS}/{}", a.address);
    admin.api.write("PATCH", &path, &json!({"weight": 7}));
    while !seen.contains("event: change") {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).expect("an event");
        assert_ne!(count, 0, "it ended: {seen}");
        seen += &String::from_utf8_lossy(&buffer[..count]);
    }
}

#[test]
fn it_drains_and_stops_as_it_is_told_to() {
    let a = Backend::named("a");
    let mut admin = Admin::before(&[&a], &[]);
    let api = admin.api.clone();
    let ready = || api.ask("GET", "/ready", None).status();
    assert_eq!(ready(), 200);
    api.write("POST", "/api/v1/drain", &json!({}));
    assert_eq!(ready(), 503);
    assert_eq!(api.ask("GET", "/live", None).status(), 200);
    assert_eq!(who(&admin.balancer), "a", "who comes is served");
    api.write("POST", "/api/v1/undrain", &json!({}));
    assert_eq!(ready(), 200);
    let reply = api.ask("POST", "/api/v1/stop", Some(&json!({})));
    assert_eq!(reply.status(), 202, "{reply:?}");
    assert_eq!(admin.balancer.wait().code(), Some(0));
}

#[test]
fn a_reload_is_answered_with_its_receipt_and_keeps_what_was_told() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let path = format!("{BACKENDS}/{}", a.address);
    admin.api.write("PATCH", &path, &json!({"weight": 9}));
    let done = admin.api.write("POST", "/api/v1/reload", &json!({}));
    assert_eq!(done["receipt"]["generation"], 3, "{done}");
    admin.balancer.signal(Signal::HUP);
    let generation = || admin.api.get(BACKENDS)["generation"].as_u64();
    until("a reload by signal", || generation() == Some(4));
    assert_eq!(admin.api.get(&path)["weight"]["override"], 9);
}

#[test]
fn explain_says_who_would_serve_a_request() {
    let [a, b] = [Backend::named("a"), Backend::named("b")];
    let http = ["--balance", "least-connections"];
    let route = format!("api.example/v1={}", b.address);
    let mut args: Vec<String> = vec!["-l".into(), "http://127.0.0.1:0".into()];
    args.extend(["-b".into(), a.address.to_string(), "--route".into(), route]);
    args.extend(["--check".into(), "none".into()]);
    args.extend(http.map(str::to_owned));
    let args: Vec<&str> = args.iter().map(|it| &**it).collect();
    let admin = Admin::start(&args);
    let explain = |url: &str| {
        let url = url.replace(' ', "%20");
        admin.api.get(&format!("/api/v1/explain?request={url}&from=1.2.3.4"))
    };
    let found = explain("GET http://api.example/v1/x");
    assert_eq!(found["choice"], b.address.to_string(), "{found}");
    assert_eq!(found["candidates"][0]["eligible"], true);
    let found = explain("GET http://other.example/");
    assert_eq!(found["choice"], a.address.to_string(), "{found}");
    let bad = admin.api.ask("GET", "/api/v1/explain?request=GET%20nonsense", None);
    assert_eq!(bad.status(), 400);
    assert_eq!(a.accepted() + b.accepted(), 0, "nothing is sent");
}

/// They come at once, and each waits for the one before it.
#[test]
fn writes_that_come_in_a_row_are_all_answered() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let list = admin.api.get(BACKENDS);
    let name = names(&list)[0].to_owned();
    let patch = |weight: u32, more: &str| {
        let body = json!({"weight": weight}).to_string();
        format!(
            "PATCH {BACKENDS}/{name} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let mut stream = admin.api.connect();
    let last = patch(9, "Connection: close\r\n");
    stream.write_all((patch(7, "") + &patch(8, "") + &last).as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    let now = admin.api.get(&format!("{BACKENDS}/{name}"));
    assert_eq!(now["weight"]["override"], 9, "{now}");
}

#[test]
fn every_post_may_be_rehearsed() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let close = format!("pools/main/backends/{}/close-connections", a.address);
    for path in ["reload", "drain", "undrain", "stop", &close] {
        let path = format!("/api/v1/{path}?dry_run=true");
        let said = admin.api.write("POST", &path, &json!({}));
        assert_eq!(said["dry_run"], true, "{path}: {said}");
    }
    let process = &admin.api.get("/api/v1")["process"];
    assert_eq!((&process["state"], &process["generation"]), (&json!("serving"), &json!(1)));
}

#[test]
fn of_a_stream_of_events_what_is_not_understood_is_refused() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    for query in ["kind=chnage", "since=-1", "since=99999999999999999999", "kinds=change"] {
        let reply = admin.api.ask("GET", &format!("/api/v1/events?{query}"), None);
        assert_eq!(reply.status(), 400, "{query}");
    }
}
