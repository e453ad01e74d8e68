//! Why a request, a connection or a flow went where it went, asked of the real program.

use std::fs;
use std::io::Write;
use std::net::UdpSocket;

use serde_json::{Value, json};

use crate::common::admin::Admin;
use crate::common::hello;
use crate::common::http::{Origin, Wire, get, ok};
use crate::common::{Backend, DEADLINE, free_port, until};

fn http(origins: &[&Origin], more: &[&str]) -> Admin {
    let backends: Vec<&Backend> = origins.iter().map(|it| &it.backend).collect();
    let mut args = crate::common::front_args(&backends, more);
    args[1] = "http://127.0.0.1:0";
    args.extend(["--picks", "50"]);
    Admin::start(&args)
}

fn picks(admin: &Admin, query: &str) -> Vec<Value> {
    let value = admin.api.get(&format!("/api/v1/picks?{query}"));
    value["items"].as_array().expect("items").clone()
}

/// The only pick that is like this, once it is over.
fn the_one(admin: &Admin, query: &str) -> Value {
    let over = || {
        let found = picks(admin, query);
        found.iter().all(|it| it["outcome"]["ms"].is_number()) && !found.is_empty()
    };
    until("the pick is over", over);
    let found = picks(admin, query);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

fn words(value: &Value, member: &str) -> Vec<String> {
    let all = value["candidates"].as_array().expect("candidates");
    all.iter().map(|it| it[member].to_string()).collect()
}

#[test]
fn each_algorithm_says_what_it_compared() {
    let origins = [Origin::named("one"), Origin::named("two"), Origin::named("three")];
    let all: Vec<&Origin> = origins.iter().collect();
    let algorithms = [
        ("least-connections", true, false),
        ("round-robin", true, false),
        ("random", true, false),
        ("ip-hash", false, true),
        ("consistent-hash", false, true),
        ("first", true, false),
        ("least-time", true, false),
    ];
    for (algorithm, compares, places) in algorithms {
        let admin = http(&all, &["-a", algorithm]);
        let mut client = Wire::to(&admin.balancer);
        for number in 0..3 {
            client.ask(get(&format!("/{number}")));
        }
        until("three are over", || {
            picks(&admin, "").iter().filter(|it| it["outcome"]["status"] == 200).count() == 3
        });
        for it in picks(&admin, "") {
            assert_eq!((&it["algorithm"], &it["by"]), (&algorithm.into(), &"algorithm".into()));
            let found = it["candidates"].as_array().unwrap();
            assert_eq!((found.len(), &it["members"], &it["up"]), (3, &3.into(), &3.into()));
            assert!(found.iter().all(|it| it["compared"].is_number() == compares), "{it}");
            assert_eq!(it["placed"]["hash"].is_string(), places, "{it}");
            assert!(found.iter().any(|one| one["name"] == it["choice"]), "{it}");
        }
        let order = picks(&admin, "").iter().map(|it| it["asked"].clone()).collect::<Vec<_>>();
        assert_eq!(order, ["GET /2", "GET /1", "GET /0"], "newest first");
    }
}

#[test]
fn round_robin_shows_what_it_is_by_and_explain_what_would_be_next() {
    let origins = [Origin::named("one"), Origin::named("two")];
    let admin = http(&[&origins[0], &origins[1]], &["-a", "round-robin"]);
    let mut client = Wire::to(&admin.balancer);
    for number in 0..4 {
        let explained = admin.api.get("/api/v1/explain?request=GET%20http://x/");
        client.ask(get("/"));
        let it = picks(&admin, "limit=1").remove(0);
        let wanted = if number % 2 == 0 { ["1.0", "1.0"] } else { ["0.0", "2.0"] };
        assert_eq!(words(&it, "compared"), wanted);
        assert_eq!(it["choice"], explained["choice"], "{explained}");
        assert_eq!(words(&explained, "compared"), wanted);
        assert_eq!(explained["compares"], it["compares"]);
    }
}

#[test]
fn a_retry_is_two_picks_of_one_request_id() {
    let gone = free_port().to_string();
    let origin = Origin::named("here");
    let at = origin.backend.flag();
    let args = ["-l", "http://127.0.0.1:0", "-b", &gone, "-b", &at, "--check", "none"];
    let more = ["-a", "first", "--picks", "9", "--request-id", "keep"];
    let admin = Admin::start(&[&args[..], &more].concat());
    let mut client = Wire::to(&admin.balancer);
    client.ask("GET /again?x=1 HTTP/1.1\r\nHost: a\r\nX-Request-Id: r-1\r\n\r\n");
    until("both are over", || {
        picks(&admin, "request=r-1").iter().all(|it| it["outcome"]["ms"].is_number())
    });
    let found = picks(&admin, "request=r-1");
    assert_eq!(found.len(), 2);
    let last = &found[0];
    assert_eq!((&last["try"], &last["outcome"]["status"]), (&2.into(), &200.into()));
    assert_eq!(last["candidates"][0]["marks"].to_string(), "[\"tried\"]");
    assert_eq!(last["candidates"][0]["eligible"], false);
    let first = &found[1];
    assert_eq!((&first["try"], &first["choice"]), (&1.into(), &gone.as_str().into()));
    assert_eq!(first["outcome"]["state"], "another tried");
    assert_eq!(first["outcome"]["fault"], "refused");
    assert_eq!(first["asked"], "GET /again?x=1");
}

#[test]
fn a_cookie_decides_and_says_so() {
    let origins = [Origin::named("one"), Origin::named("two")];
    let admin = http(&[&origins[0], &origins[1]], &["--sticky-cookie", "SRV"]);
    let mut client = Wire::to(&admin.balancer);
    let answer = client.ask(get("/"));
    let cookie = answer.field("set-cookie").split(';').next().unwrap().to_owned();
    client.ask(format!("GET /stuck HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"));
    let found = picks(&admin, "");
    assert_eq!((&found[0]["by"], &found[1]["by"]), (&"cookie".into(), &"algorithm".into()));
    assert_eq!(found[0]["choice"], found[1]["choice"]);
}

#[test]
fn an_error_page_leads_to_its_pick_and_to_its_line() {
    let log = std::env::temp_dir().join(format!("pointsman-picks-{}", std::process::id()));
    let gone = free_port().to_string();
    let args = ["-l", "http://127.0.0.1:0", "-b", &gone, "--check", "none", "--picks", "9"];
    let path = log.to_str().unwrap();
    let more = ["--request-id", "new", "--access-log", path, "--access-log-format", "json"];
    let admin = Admin::start(&[&args[..], &more].concat());
    let mut client = Wire::to(&admin.balancer);
    let page = client.ask(get("/lost"));
    assert_eq!(page.status(), 502);
    let text = page.text();
    let id = text.lines().find_map(|line| line.strip_prefix("request id ")).expect("an id");
    // The second one found that nobody else is there.
    let found = picks(&admin, &format!("request={id}"));
    assert_eq!(found.len(), 2);
    assert_eq!(
        (&found[1]["choice"], &found[0]["choice"]),
        (&gone.as_str().into(), &Value::Null)
    );
    assert_eq!(found[1]["outcome"]["fault"], "refused");
    let outcome = &found[0]["outcome"];
    assert_eq!(
        (&outcome["status"], &outcome["reason"]),
        (&502.into(), &"connect-failed".into())
    );
    until("a line", || fs::read_to_string(&log).is_ok_and(|text| text.contains(id)));
    let _ = fs::remove_file(&log);
}

#[test]
fn nobody_to_be_picked_is_a_pick_as_well() {
    let origin = Origin::named("one");
    let admin = http(&[&origin], &[]);
    let name = origin.backend.name();
    admin.api.write(
        "PATCH",
        &format!("/api/v1/pools/main/backends/{name}"),
        &serde_json::json!({"admin": "maint"}),
    );
    let mut client = Wire::to(&admin.balancer);
    assert_eq!(client.ask(get("/")).status(), 503);
    let it = the_one(&admin, "");
    assert_eq!((&it["choice"], &it["outcome"]["status"]), (&Value::Null, &503.into()));
    assert_eq!(it["candidates"][0]["marks"].to_string(), "[\"maint\"]", "{it}");
}

#[test]
fn a_connection_and_a_flow_are_picked_for_too() {
    let echo = Backend::echo();
    let admin = Admin::before(&[&echo], &["--picks", "5"]);
    let stream = admin.balancer.connect();
    until("a pick", || picks(&admin, "").len() == 1);
    assert_eq!(picks(&admin, "")[0]["outcome"]["state"], "at work");
    drop(stream);
    let it = the_one(&admin, "client=127.0.0.0/8");
    assert_eq!(it["outcome"]["state"], "finished", "{it}");
    assert_eq!((&it["asked"], &it["request_id"]), (&Value::Null, &Value::Null));
    assert_eq!(picks(&admin, "client=10.0.0.0/8").len(), 0);

    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    let at = server.local_addr().unwrap().to_string();
    let args = ["-l", "udp://127.0.0.1:0", "-b", &at, "--check", "none", "--picks", "5"];
    let admin = Admin::start(&[&args[..], &["--udp-timeout", "1s"]].concat());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"hello", admin.balancer.address()).unwrap();
    server.recv(&mut [0; 16]).unwrap();
    let it = the_one(&admin, "");
    assert_eq!(it["choice"], at.as_str());
    assert_eq!(it["client"], client.local_addr().unwrap().to_string().as_str());
    assert_eq!(it["outcome"]["reason"], "udp-timeout", "{it}");
}

#[test]
fn picks_are_filtered_and_the_oldest_are_gone() {
    let origin = Origin::start(|_, wire| wire.try_say(ok("x")));
    let backends = [&origin.backend];
    let mut args = crate::common::front_args(&backends, &["--picks", "3"]);
    args[1] = "http://127.0.0.1:0";
    let admin = Admin::start(&args);
    let mut client = Wire::to(&admin.balancer);
    for number in 0..5 {
        client.ask(get(&format!("/{number}")));
    }
    let ids = |query: &str| -> Vec<u64> {
        picks(&admin, query).iter().map(|it| it["id"].as_u64().unwrap()).collect()
    };
    let name = origin.backend.name();
    assert_eq!(ids(""), [5, 4, 3]);
    assert_eq!(ids("limit=2"), [5, 4]);
    assert_eq!(ids("since=4"), [5]);
    assert_eq!(ids(&format!("backend=main/{name}")), [5, 4, 3]);
    assert_eq!(ids(&format!("backend={name}&pool=main")), [5, 4, 3]);
    for nobody in ["backend=main/no", "service=no", "request=no", "client=::1"] {
        assert_eq!(ids(nobody), [0; 0], "{nobody}");
    }
    let wrong = |query: &str| {
        let reply = admin.api.ask("GET", &format!("/api/v1/picks?{query}"), None);
        assert_eq!(reply.status(), 400);
        String::from_utf8_lossy(&reply.body).into_owned()
    };
    assert!(wrong("limti=1").contains("did you mean limit?"));
    assert!(wrong("limit=0").contains("from 1 on"));
    assert!(wrong("client=x").contains("client: found 'x'"));
    let hostile = "GET /\u{1b}[2J HTTP/1.1\r\nHost: a\r\n\r\n";
    client.say(hostile);
    assert!(picks(&admin, "limit=1")[0]["asked"].is_string());
}

#[test]
fn a_rule_that_chose_the_pool_is_named() {
    let one = Origin::named("one");
    let two = Origin::named("two");
    let admin = Admin::configured(&format!(
        "[admin]\npicks = 9\n[listener.web]\nbind = \"http://127.0.0.1:0\"\n\
         [service.site]\nlisten = [\"web\"]\npool = \"one\"\nrules = [\n\
         {{ when = 'path == \"/none\"', pool = \"one\" }},\n\
         {{ when = 'path == \"/two\"', pool = \"two\" }},\n]\n\
         [pool.one]\nbackends = [\"{}\"]\n[pool.two]\nbackends = [\"{}\"]\n",
        one.backend.name(),
        two.backend.name(),
    ));
    let mut client = Wire::new(crate::common::connect(admin.listener("web")));
    client.ask(get("/two"));
    client.ask(get("/"));
    let found = picks(&admin, "service=site");
    assert_eq!((&found[1]["pool"], &found[1]["rule"]), (&"two".into(), &2.into()));
    assert_eq!((&found[0]["pool"], &found[0]["rule"]), (&"one".into(), &Value::Null));
    let picks_off = "[service.site]\nlisten = [\"http://127.0.0.1:0\"]\n\
                     rules = [{ respond = 204 }]\n";
    admin.reconfigure(picks_off);
    assert_eq!(admin.api.get("/api/v1/picks")["kept"], 0);
}

#[test]
fn a_server_name_is_what_was_asked_for() {
    let backend = Backend::start(|stream| {
        let _ = hello::read_one(&stream);
        let _ = (&stream).write_all(b"x");
    });
    let route = format!("a.example={}", backend.name());
    let args = ["-l", "sni://127.0.0.1:0", "--route", &route, "--check", "none"];
    let admin = Admin::start(&[&args[..], &["--picks", "5"]].concat());
    let stream = admin.balancer.connect();
    assert_eq!(hello::answer_to(&stream, &hello::asking_for("a.example")).unwrap(), "x");
    drop(stream);
    let it = the_one(&admin, "");
    assert_eq!((&it["asked"], &it["pool"]), (&"a.example".into(), &"a.example".into()), "{it}");
}

#[test]
fn a_copy_has_the_id_of_its_request_and_leaves_no_pick() {
    let origin = Origin::named("one");
    let mirror = Origin::named("two");
    let admin = Admin::configured(&format!(
        "[admin]\npicks = 9\n[listener.web]\nbind = \"http://127.0.0.1:0\"\n\
         [service.site]\nlisten = [\"web\"]\npool = \"one\"\nrequest_id = \"new\"\n\
         mirror = {{ pool = \"two\", share = \"100%\" }}\n\
         [pool.one]\nbackends = [\"{}\"]\n[pool.two]\nbackends = [\"{}\"]\n",
        origin.backend.name(),
        mirror.backend.name(),
    ));
    let mut client = Wire::new(crate::common::connect(admin.listener("web")));
    let answer = client.ask(get("/"));
    let id = answer.field("x-request-id");
    until("the copy is there", || mirror.count() == 1);
    let seen = [origin.last(), mirror.last()];
    assert_eq!(seen.each_ref().map(|it| it.field("x-request-id")), [id, id]);
    assert_eq!(picks(&admin, "").len(), 1);
}

#[test]
fn a_backend_with_its_limit_is_full() {
    let echo = Backend::echo();
    let at = format!("{},max-connections=1", echo.name());
    let args = ["-l", "127.0.0.1:0", "-b", &at, "--check", "none", "--picks", "5"];
    let admin = Admin::start(&args);
    let _first = admin.balancer.connect();
    until("a pick", || picks(&admin, "").len() == 1);
    let _second = admin.balancer.connect();
    until("another", || picks(&admin, "").len() == 2);
    let it = &picks(&admin, "limit=1")[0];
    assert_eq!(it["candidates"][0]["marks"].to_string(), "[\"full\"]");
    assert_eq!(it["outcome"]["reason"], "no-room", "{it}");
}

#[test]
fn explain_says_who_would_wait_and_who_would_find_the_queue_full() {
    let (backend, requests) = Backend::manual();
    let only = format!("{},max-connections=1", backend.flag());
    let args = ["-l", "http://127.0.0.1:0", "-b", &only, "--check", "none", "--queue", "1"];
    let admin = Admin::start(&args);
    let explained = || admin.api.get("/api/v1/explain?request=GET%20http://x/");
    assert!(explained()["choice"].is_string());
    let served = Wire::to(&admin.balancer);
    served.say(get("/"));
    let _at_work = requests.recv_timeout(DEADLINE).expect("it is served");
    let places = "0 of 1 places are taken";
    let waits = explained();
    assert_eq!(waits["answer"]["because"], format!("it waits in the queue: {places}"));
    assert!(waits["choice"].is_null() && waits["answer"]["status"].is_null(), "{waits}");
    let waiting = Wire::to(&admin.balancer);
    waiting.say(get("/"));
    until("the queue is full", || {
        let full =
            json!({"status": 503, "because": "the queue is full: 1 of 1 places are taken"});
        explained()["answer"] == full
    });
}
