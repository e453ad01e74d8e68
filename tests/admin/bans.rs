//! Bans that operators tell: who is let in, who goes on, and what they are shown.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::common::admin::Admin;
use crate::common::{Backend, connect_from, until};

fn says(mut stream: &TcpStream) -> bool {
    let mut byte = [0];
    stream.write_all(b"x").is_ok() && stream.read(&mut byte).is_ok_and(|count| count == 1)
}

fn networks(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|it| it["network"].as_str().expect("a network")).collect()
}

#[test]
fn who_is_banned_does_not_come_in_and_who_is_there_goes_on_or_not() {
    let echo = Backend::echo();
    let admin = Admin::before(&[&echo], &["--allow", "127.0.0.0/8"]);
    let address = admin.balancer.address();
    let there = connect_from("127.0.0.2", address);
    let other = connect_from("127.0.0.1", address);
    assert!(says(&there) && says(&other));
    let path = "/api/v1/bans/127.0.0.2";
    let body = json!({"for": "1h", "why": "it scans"});
    let made = admin.api.ask("PUT", path, Some(&body));
    assert_eq!(made.status(), 201, "{made:?}");
    let made = made.json();
    assert_eq!((&made["network"], &made["why"]), (&"127.0.0.2/32".into(), &"it scans".into()));
    assert!(!says(&connect_from("127.0.0.2", address)), "before the lists that allow it");
    assert!(says(&connect_from("127.0.0.3", address)));
    assert!(says(&there), "who is there goes on");
    let again = admin.api.ask("PUT", path, Some(&json!({"close": true})));
    assert_eq!(again.status(), 200, "{again:?}");
    assert_eq!(again.json()["closing"], true);
    until("its connection is closed", || !says(&there));
    assert!(says(&other));
    let mut stream = admin.api.connect();
    let head = "GET /api/v1/events?kind=guard&since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut seen = String::new();
    until("it is told", || {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).unwrap();
        seen += &String::from_utf8_lossy(&bytes[..count]);
        seen.contains("\"what\":\"banned\"") && seen.contains("it scans")
    });
    assert_eq!(admin.api.ask("DELETE", path, None).status(), 204);
    assert_eq!(admin.api.ask("DELETE", path, None).status(), 404);
    assert!(says(&connect_from("127.0.0.2", address)));
}

#[test]
fn a_ban_is_over_when_its_time_is() {
    let echo = Backend::echo();
    let admin = Admin::before(&[&echo], &[]);
    let address = admin.balancer.address();
    admin.api.write("PUT", "/api/v1/bans/127.0.0.2", &json!({"for": "1s"}));
    assert!(!says(&connect_from("127.0.0.2", address)));
    until("it is over", || says(&connect_from("127.0.0.2", address)));
    assert_eq!(admin.api.ask("GET", "/api/v1/bans/127.0.0.2", None).status(), 404);
}

#[test]
fn bans_are_listed_all_or_those_of_an_address() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let api = &admin.api;
    assert_eq!(networks(&api.get("/api/v1/bans")), [""; 0]);
    for number in 0..300 {
        let network = format!("10.{}.{}.0%2F24", number / 256, number % 256);
        api.write("PUT", &format!("/api/v1/bans/{network}"), &json!({}));
    }
    api.write("PUT", "/api/v1/bans/10.0.0.0%2F8", &json!({}));
    api.write("PUT", "/api/v1/bans/2001:db8::%2F32", &json!({}));
    let all = api.get("/api/v1/bans");
    assert_eq!(networks(&all).len(), 302);
    assert_eq!(networks(&all)[301], "2001:db8::/32");
    let some = api.get("/api/v1/bans?address=10.0.7.9");
    assert_eq!(networks(&some), ["10.0.7.0/24", "10.0.0.0/8"]);
    let one = api.get("/api/v1/bans/10.0.7.0%2F24");
    assert_eq!(one["by"].as_str().map(|by| by.starts_with("uid ")), Some(true), "{one}");
    let events = api.get("/api/v1/bans?address=::1");
    assert_eq!(networks(&events), [""; 0]);
    assert_eq!(api.ask("GET", "/api/v1/bans?address=x", None).status(), 422);
    assert_eq!(api.ask("GET", "/api/v1/bans?adress=::1", None).status(), 400);
}

#[test]
fn what_is_no_ban_or_a_large_one_is_refused() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let api = &admin.api;
    let table = [
        ("192.0.2.7%2F24", json!({}), 422, "want 192.0.2.0/24, or 192.0.2.7 alone"),
        ("nobody", json!({}), 422, "want a network such as"),
        ("192.0.2.0%2F24", json!({"for": "10"}), 422, "want a duration with its unit"),
        ("192.0.2.0%2F24", json!({"for": "10ms"}), 422, "at least 1s"),
        ("192.0.2.0%2F24", json!({"why": "a\nb"}), 422, "of text on one line"),
        ("192.0.2.0%2F24", json!({"fro": "10m"}), 422, "unknown member"),
        ("0.0.0.0%2F7", json!({}), 422, "0.0.0.0/7 is large; want a prefix of at least 8 bits"),
        ("::%2F15", json!({"force": false}), 422, "want a prefix of at least 16 bits"),
        ("10.0.0.0%2F8", json!({}), 201, ""),
        ("0.0.0.0%2F7", json!({"force": true}), 201, ""),
    ];
    for (network, body, status, says) in table {
        let reply = api.ask("PUT", &format!("/api/v1/bans/{network}"), Some(&body));
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(reply.status(), status, "{network} {body}: {text}");
        assert!(text.contains(says), "{says}: {text}");
    }
    let path = "/api/v1/bans/192.0.2.0%2F24?dry_run=true";
    let would = api.write("PUT", path, &json!({"for": "5m"}));
    assert_eq!(would["would"], "ban 192.0.2.0/24 for 5m");
    assert_eq!(networks(&api.get("/api/v1/bans")).len(), 2);
}
