//! Servers that register themselves.

use serde_json::json;

use super::api::who;

use crate::common::admin::Admin;
use crate::common::{Backend, until};

const PATH: &str = "/api/v1/registrations/main/host7";
const BACKEND: &str = "/api/v1/pools/main/backends/host7";

#[test]
fn a_server_registers_reports_and_says_goodbye() {
    let [a, b] = [Backend::named("a"), Backend::named("b")];
    let admin = Admin::before(&[&a], &["--register"]);
    let api = &admin.api;
    let beat = |report: &str| {
        let body = json!({"address": b.address.to_string(), "ttl": "6s", "weight": 100,
                          "report": report});
        api.ask("PUT", PATH, Some(&body))
    };
    let first = beat("up ready 75% load:0.5");
    assert_eq!(first.status(), 201, "{first:?}");
    assert_eq!(first.json()["next_within"], "2s");
    assert_eq!(first.json()["weight"]["effective"], 75.0);
    assert_eq!(first.json()["origin"], "registered");
    let second = beat("up ready 75% load:0.7");
    assert_eq!(second.status(), 200, "{second:?}");
    assert_eq!(second.field("ETag"), first.field("ETag"), "nothing changed but its load");
    assert_eq!(api.get(BACKEND)["load"], 0.7);
    until("it is used", || who(&admin.balancer) == "b");
    let wrong = beat("redy");
    assert_eq!(wrong.status(), 422, "{wrong:?}");
    assert!(wrong.json()["detail"].as_str().unwrap().contains("did you mean ready?"));
    let bye = api.ask("DELETE", PATH, None);
    assert!([202, 204].contains(&bye.status()), "{bye:?}");
    until("it is gone", || api.ask("GET", BACKEND, None).status() == 404);
}

#[test]
fn a_silent_server_drains_and_is_back_with_its_next_heartbeat() {
    let [a, b] = [Backend::named("a"), Backend::named("b")];
    let admin = Admin::before(&[&a], &["--register"]);
    let api = &admin.api;
    let beat = || {
        let body = json!({"address": b.address.to_string(), "ttl": "2s"});
        api.write("PUT", PATH, &body)
    };
    assert_eq!(beat()["admin"], "ready");
    until("it is late", || api.get(BACKEND)["admin"] == "drain");
    assert!(api.get(BACKEND)["registration"]["late"].is_string());
    admin.balancer.wait_for_log("its heartbeat is late by");
    assert_eq!(beat()["admin"], "ready");
}

#[test]
fn only_pools_that_want_it_take_servers_and_names_are_taken_once() {
    let a = Backend::named("a");
    let closed = Admin::before(&[&a], &[]);
    let body = json!({"address": "127.0.0.1:9"});
    assert_eq!(closed.api.ask("PUT", PATH, Some(&body)).status(), 404);
    let open = Admin::before(&[&a], &["--register"]);
    let path = format!("/api/v1/registrations/main/{}", a.address);
    assert_eq!(open.api.ask("PUT", &path, Some(&body)).status(), 409, "it is configured");
    open.api.write("PUT", "/api/v1/pools/main/backends/host7", &body);
    assert_eq!(open.api.ask("PUT", PATH, Some(&body)).status(), 409, "it was put there");
    let numbered = |sequence: u64| {
        let body = json!({"address": "127.0.0.1:9", "sequence": sequence});
        open.api.ask("PUT", "/api/v1/registrations/main/host8", Some(&body)).status()
    };
    assert_eq!(numbered(7), 201);
    assert_eq!(numbered(7), 409, "sent again");
    assert_eq!(numbered(8), 200);
}
