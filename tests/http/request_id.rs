//! `--request-id` through the real binary: one id for backend, client, our pages and the log.

use std::fs;

use crate::common::http::{Message, Origin, Wire, before, before_backends, get, ok};
use crate::common::{Backend, until, with_deadline};

const FIELD: &str = "x-request-id";

fn with_id(id: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{id}\r\n")
}

fn is_made(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What both sides were told, which is the same.
#[track_caller]
fn told(answer: &Message, origin: &Origin) -> String {
    let id = answer.field(FIELD).to_owned();
    assert_eq!(origin.last().field(FIELD), id);
    id
}

#[test]
fn an_id_is_kept_where_it_is_fit_and_made_where_not() {
    let origin =
        Origin::saying("HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n");
    let balancer = before(&[&origin], &["--request-id", "keep"]);
    let mut client = Wire::to(&balancer);
    let fit = with_id("X-REQUEST-ID: Root=1-2_3/+:@~\r\n");
    assert_eq!(told(&client.ask(&fit), &origin), "Root=1-2_3/+:@~");
    let long = format!("X-Request-Id: {}\r\n", "x".repeat(129));
    let twice = "X-Request-Id: a\r\nX-Request-Id: b\r\n";
    let mut seen = Vec::new();
    for unfit in [
        "",
        "X-Request-Id:\r\n",
        "X-Request-Id: a b\r\n",
        "X-Request-Id: a\"b\r\n",
        &long,
        twice,
    ] {
        let id = told(&client.ask(with_id(unfit)), &origin);
        assert!(is_made(&id), "{unfit} became {id}");
        seen.push(id);
    }
    assert!(seen.is_sorted_by(|one, next| one[..12] <= next[..12] && one != next), "{seen:?}");
    // A folded name could be taken for ours.
    client.ask(with_id("X_Request_Id: evil\r\n"));
    assert!(!origin.last().head.contains("evil"));
    balancer.stop_after(client);
}

#[test]
fn new_ids_are_always_ours_and_without_any_the_field_passes_as_others_do() {
    let origin =
        Origin::saying("HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n");
    for (flags, is_ours) in [(&["--request-id", "new"][..], true), (&[], false)] {
        let balancer = before(&[&origin], flags);
        let mut client = Wire::to(&balancer);
        let answer = client.ask(with_id("X-Request-Id: mine\r\n"));
        if is_ours {
            assert!(is_made(&told(&answer, &origin)));
        } else {
            assert_eq!(answer.field(FIELD), "theirs");
            assert_eq!(origin.last().field(FIELD), "mine");
            client.ask(get("/"));
            assert_eq!(origin.last().field(FIELD), "");
        }
        balancer.stop_after(client);
    }
}

#[test]
fn pipelined_requests_and_http_1_0_have_ids_of_their_own() {
    let origin = Origin::start(|request, wire| wire.try_say(ok(request.field(FIELD))));
    let balancer = before(&[&origin], &["--request-id", "keep"]);
    let mut client = Wire::to(&balancer);
    let all: String = (0..5).map(|it| with_id(&format!("X-Request-Id: {it}\r\n"))).collect();
    client.say(format!("{all}{}", get("/")));
    for number in 0..5 {
        let answer = client.answer();
        assert_eq!(
            (answer.field(FIELD), answer.text()),
            (&*number.to_string(), number.to_string())
        );
    }
    let last = client.answer();
    assert!(is_made(last.field(FIELD)) && last.text() == last.field(FIELD));
    let old = client.ask("GET / HTTP/1.0\r\n\r\n");
    assert!(is_made(old.field(FIELD)) && old.text() == old.field(FIELD));
    balancer.stop_after(client);
}

#[test]
fn a_request_that_is_sent_again_has_the_same_id() {
    // Takes each request, and hangs up.
    let dying = Origin::start(|_, _| false);
    let origin = Origin::named("hello");
    let flags = ["-a", "first", "--request-id", "new", "--eject-after", "0"];
    let balancer = before(&[&dying, &origin], &flags);
    let mut client = Wire::to(&balancer);
    let answer = client.ask(get("/"));
    let id = told(&answer, &origin);
    assert!(is_made(&id));
    assert_eq!(dying.last().field(FIELD), id);
    balancer.stop_after(client);
}

#[test]
fn a_switch_of_protocols_says_the_id() {
    let backend = Backend::start(|stream| {
        let mut wire = Wire::new(with_deadline(stream));
        if let Some(request) = wire.request() {
            let id = request.field(FIELD).to_owned();
            wire.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            wire.say(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            );
            wire.say(id);
        }
    });
    let balancer = before_backends(&[&backend], &["--request-id", "keep"]);
    let mut client = Wire::to(&balancer);
    client.say(with_id("X-Request-Id: up-1\r\nConnection: Upgrade\r\nUpgrade: x\r\n"));
    let hints = client.head().expect("hints");
    assert_eq!((hints.status(), hints.field(FIELD)), (103, ""));
    let switch = client.head().expect("a switch");
    assert_eq!((switch.status(), switch.field(FIELD)), (101, "up-1"));
    assert_eq!(client.exactly(4).unwrap(), b"up-1");
    balancer.stop_after(client);
}

#[test]
fn our_own_pages_say_the_id_and_the_log_has_it() {
    let log = std::env::temp_dir().join(format!("pointsman-ids-{}", std::process::id()));
    let path = log.to_str().expect("it is text");
    let gone = Backend::start(|_| {});
    let flags = ["--request-id", "keep", "--access-log", path, "--access-log-format", "json"];
    let more = ["--health-path", "/up", "--retries", "0"];
    let balancer = before_backends(&[&gone], &[&flags[..], &more].concat());
    let mut client = Wire::to(&balancer);
    let page = client.ask(with_id("X-Request-Id: lost-1\r\n"));
    assert_eq!((page.status(), page.field(FIELD)), (502, "lost-1"));
    assert!(page.text().ends_with("\nrequest id lost-1\n"), "{}", page.text());
    let mut client = Wire::to(&balancer);
    let health = client.ask("GET /up HTTP/1.1\r\nHost: a\r\nX-Request-Id: up-1\r\n\r\n");
    assert_eq!((health.status(), health.field(FIELD)), (200, "up-1"));
    let refused = client.ask("rubbish\r\n\r\n");
    assert_eq!(refused.status(), 400);
    let made = refused.field(FIELD).to_owned();
    assert!(is_made(&made) && refused.text().contains(&made));
    let text = || fs::read_to_string(&log).unwrap_or_default();
    until("three lines", || text().lines().count() == 3);
    let lines = text();
    for (line, id) in lines.lines().zip(["lost-1", "up-1", &made]) {
        assert!(line.contains(&format!("\"request_id\":\"{id}\"")), "{line}");
    }
    let _ = fs::remove_file(&log);
    balancer.stop_after(client);
}
