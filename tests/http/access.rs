//! Who is served by the client that is meant: lists of services, behind trusted proxies and not.

use crate::common::admin::Admin;
use crate::common::http::{Origin, Wire, before, get};
use crate::common::{Balancer, connect_from};

fn status(balancer: &Balancer, source: &str, fields: &str) -> u16 {
    let mut wire = Wire::new(connect_from(source, balancer.address()));
    wire.ask(format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n")).status()
}

#[test]
fn who_is_denied_by_a_service_is_answered_403_and_may_ask_on() {
    let origin = Origin::named("a");
    let balancer = before(&[&origin], &["--service-deny", "127.0.0.2"]);
    let mut wire = Wire::new(connect_from("127.0.0.2", balancer.address()));
    for _ in 0..3 {
        let answer = wire.ask(get("/"));
        assert_eq!((answer.status(), answer.keeps_alive()), (403, true), "{answer:?}");
    }
    assert_eq!(status(&balancer, "127.0.0.1", ""), 200);
    assert_eq!(origin.count(), 1);
    balancer.wait_for_log("guard: deny of service main refuses 127.0.0.2");
    balancer.stop_after(wire);
}

#[test]
fn behind_trusted_proxies_it_goes_by_the_client_that_they_name() {
    let origin = Origin::named("a");
    let more = ["--service-deny", "192.0.2.0/24", "--trusted-proxies", "127.0.0.1,10.0.0.0/8"];
    let balancer = before(&[&origin], &more);
    let table = [
        ("127.0.0.1", "", 200),
        ("127.0.0.1", "X-Forwarded-For: 192.0.2.7\r\n", 403),
        ("127.0.0.1", "X-Forwarded-For: 192.0.2.7, 10.1.2.3\r\n", 403),
        ("127.0.0.1", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 10.1.2.3\r\n", 403),
        ("127.0.0.1", "X-Forwarded-For: 192.0.2.7, 198.51.100.1\r\n", 200),
        // Who is not trusted may say what it likes.
        ("127.0.0.2", "X-Forwarded-For: 192.0.2.7\r\n", 200),
    ];
    for (source, fields, want) in table {
        assert_eq!(status(&balancer, source, fields), want, "{source}: {fields}");
    }
    balancer.stop();
}

/// A list that holds for a path holds for it in whatever way it is written.
#[test]
fn a_path_that_is_written_in_another_way_is_the_same_path() {
    let [open, admin] = ["open", "admin"].map(Origin::named);
    let route = format!("*/admin={}", admin.backend.address);
    let balancer = before(&[&open], &["--route", &route]);
    let mut wire = Wire::to(&balancer);
    let odd = ["/x/../admin", "/./admin", "//admin", "/%61dmin", "/admin%2fx", "/%2e/admin/"];
    for path in odd.into_iter().chain(["/admin", "/admin?x"]) {
        assert_eq!(wire.ask(get(path)).text(), "admin", "{path}");
    }
    for path in ["/", "/adminx", "/admin/..", "/x/admin", "/Admin"] {
        assert_eq!(wire.ask(get(path)).text(), "open", "{path}");
    }
    let seen: Vec<String> = admin.seen().iter().map(|it| it.target().to_owned()).collect();
    assert!(seen.contains(&"/x/../admin".to_owned()), "as it came: {seen:?}");
    balancer.stop_after(wire);
}

#[test]
fn lists_of_a_listener_go_by_the_connection_whatever_proxies_say() {
    let origin = Origin::named("a");
    let more = ["--deny", "192.0.2.0/24,127.0.0.2", "--trusted-proxies", "127.0.0.1"];
    let balancer = before(&[&origin], &more);
    assert_eq!(status(&balancer, "127.0.0.1", "X-Forwarded-For: 192.0.2.7\r\n"), 200);
    let mut wire = Wire::new(connect_from("127.0.0.2", balancer.address()));
    assert!(wire.ends(), "closed before a byte is read");
    balancer.stop_after(wire);
}

#[test]
fn who_is_denied_drives_no_resting_client_away() {
    let origin = Origin::named("a");
    let more = ["--deny", "127.0.0.2", "--max-connections", "1"];
    let balancer = before(&[&origin], &more);
    let mut resting = Wire::to(&balancer);
    assert_eq!(resting.ask(get("/")).status(), 200);
    for _ in 0..20 {
        let mut denied = Wire::new(connect_from("127.0.0.2", balancer.address()));
        assert!(denied.ends());
    }
    assert_eq!(resting.ask(get("/")).status(), 200, "it is still there");
    let mut other = Wire::new(connect_from("127.0.0.3", balancer.address()));
    assert_eq!(other.ask(get("/")).status(), 200);
    assert!(resting.ends(), "it gave way to one who may come");
    balancer.stop_after(other);
}

#[test]
fn what_would_become_of_who_is_denied_can_be_asked() {
    let origin = Origin::named("a");
    let backend = origin.backend.flag();
    let args = ["-l", "http://127.0.0.1:0", "--check", "none", "-b", &backend];
    let more = ["--deny", "192.0.2.0/24", "--service-deny", "198.51.100.0/24"];
    let trusted = ["--trusted-proxies", "10.0.0.0/8"];
    let admin = Admin::start(&[&args[..], &more, &trusted].concat());
    let ask = |from: &str, header: &str| {
        let header =
            if header.is_empty() { String::new() } else { format!("&header={header}") };
        let path = format!("/api/v1/explain?request=GET%20http://x/&from={from}{header}");
        admin.api.get(&path)
    };
    assert_eq!(ask("127.0.0.1", "")["answer"], serde_json::Value::Null);
    let closed = ask("192.0.2.7", "");
    let because = "closed right after accept: denied: 192.0.2.0/24 of deny";
    assert_eq!(closed["answer"]["because"], because, "{closed}");
    for (from, header) in
        [("198.51.100.7", ""), ("10.0.0.1", "X-Forwarded-For:%20198.51.100.7")]
    {
        let denied = ask(from, header);
        assert_eq!(denied["answer"]["status"], 403, "{denied}");
        assert_eq!(denied["answer"]["because"], "denied: 198.51.100.0/24 of deny");
    }
    admin.api.write("PUT", "/api/v1/bans/203.0.113.0%2F24", &serde_json::json!({}));
    let banned = ask("203.0.113.7", "");
    let because = banned["answer"]["because"].as_str().unwrap();
    assert!(because.contains("203.0.113.0/24 is banned by uid"), "{banned}");
}

#[test]
fn who_asks_badly_again_and_again_is_banned_but_not_the_exempt() {
    let origin = Origin::named("a");
    let more = ["--ban-after", "3", "--ban-exempt", "127.0.0.3", "--allow", "127.0.0.0/8"];
    let mut args = vec!["-l", "http://127.0.0.1:0", "--check", "none"];
    let backend = origin.backend.flag();
    args.extend(["-b", &backend]);
    // A list that allows them would exempt all of them.
    args.extend(&more[..4]);
    let admin = Admin::start(&args);
    let balancer = &admin.balancer;
    let ask_badly = |source: &str| {
        for _ in 0..3 {
            let mut wire = Wire::new(connect_from(source, balancer.address()));
            assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost : x\r\n\r\n").status(), 400);
        }
    };
    ask_badly("127.0.0.2");
    ask_badly("127.0.0.3");
    let mut wire = Wire::new(connect_from("127.0.0.2", balancer.address()));
    assert!(wire.ends(), "it is banned");
    assert_eq!(status(balancer, "127.0.0.3", ""), 200);
    assert_eq!(status(balancer, "127.0.0.4", ""), 200);
    let bans = admin.api.get("/api/v1/bans");
    let ban = &bans["items"][0];
    assert_eq!((&ban["network"], &ban["by"]), (&"127.0.0.2/32".into(), &"strikes".into()));
    assert_eq!(ban["why"], "3 strikes, the last one: a bad request");
    assert_eq!(bans["items"][1], serde_json::Value::Null, "{bans}");
    balancer.wait_for_log("guard: 127.0.0.2/32 is banned for 10m");
    let metrics = admin.api.ask("GET", "/metrics", None);
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    for line in ["pointsman_bans 1", "pointsman_bans_made_by_strikes_total 1"] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    let lifted = admin.api.ask("DELETE", "/api/v1/bans/127.0.0.2", None);
    assert_eq!(lifted.status(), 204, "{lifted:?}");
    assert_eq!(status(balancer, "127.0.0.2", ""), 200);
}
