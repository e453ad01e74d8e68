//! Datagrams of who may not come are dropped, and counted by their rule.

use crate::common::admin::Admin;
use crate::common::udp::{UdpBackend, ask_text, client, client_from, udp_args};
use crate::common::until;

#[test]
fn datagrams_of_who_is_denied_or_banned_are_dropped_and_counted() {
    let echo = UdpBackend::echo();
    let admin = Admin::start(&udp_args(&[&echo], &["--deny", "127.0.0.2"]));
    let address = admin.balancer.address();
    let good = client(address);
    let from = |source: &str| client_from(format!("{source}:0").parse().unwrap(), address);
    let denied = from("127.0.0.2");
    for _ in 0..3 {
        denied.send(b"let me in").unwrap();
    }
    let refused = |rule: &str| {
        let rules = admin.api.get("/api/v1/guard/rules");
        let items = rules["items"].as_array().unwrap();
        let it = items.iter().find(|it| it["rule"] == rule);
        it.and_then(|it| it["refused"].as_u64()).unwrap_or(0)
    };
    until("all are counted", || refused("deny") == 3);
    assert_eq!(ask_text(&good, "hello"), "hello");
    let banned = from("127.0.0.3");
    assert_eq!(ask_text(&banned, "before"), "before");
    let body = serde_json::json!({"close": true});
    admin.api.write("PUT", "/api/v1/bans/127.0.0.3", &body);
    until("its flow is over", || {
        banned.send(b"after").unwrap();
        refused("ban") > 0
    });
    assert_eq!(ask_text(&good, "again"), "again");
}
