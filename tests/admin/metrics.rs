//! What Prometheus reads.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use crate::common::admin::Admin;
use crate::common::http::{Origin, Wire, get};
use crate::common::{Backend, until};

/// Each series with its value.
fn series(admin: &Admin, path: &str) -> HashMap<String, f64> {
    let reply = admin.api.ask("GET", path, None);
    assert_eq!(reply.status(), 200, "{path}");
    let text = String::from_utf8(reply.body).expect("UTF-8");
    let lines = text.lines().filter(|it| !it.starts_with('#'));
    let split = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        (name.to_owned(), value.parse::<f64>().expect("a number"))
    };
    lines.map(split).collect()
}

#[test]
fn requests_are_counted_under_our_names_and_under_those_of_haproxy() {
    let [a, b] = [Origin::named("a"), Origin::named("b")];
    let named = [&a, &b].map(|it| it.backend.flag());
    let named = [format!("{},name=a", named[0]), format!("{},name=b,weight=3", named[1])];
    let args =
        ["-l", "http://127.0.0.1:0", "--check", "none", "-b", &named[0], "-b", &named[1]];
    let admin = Admin::start(&args);
    let mut wire = Wire::to(&admin.balancer);
    (0..8).for_each(|_| drop(wire.ask(get("/"))));
    until("all are counted", || {
        let ours = series(&admin, "/metrics");
        let answers = |name: &str| {
            ours[&format!(
                "pointsman_backend_responses_total{{pool=\"main\",backend=\"{name}\",code=\"2xx\"}}"
            )]
        };
        answers("a") + answers("b") == 8.0
    });
    let ours = series(&admin, "/metrics");
    assert_eq!(ours["pointsman_requests_total"], 8.0);
    assert_eq!(ours["pointsman_backend_weight{pool=\"main\",backend=\"b\"}"], 3.0);
    assert_eq!(
        ours["pointsman_backend_state{pool=\"main\",backend=\"a\",state=\"maint\"}"],
        0.0
    );
    assert!(ours["process_open_fds"] > 3.0 && ours["process_resident_memory_bytes"] > 1e6);
    let times = |end: &str| ours[&format!("pointsman_pool_response_seconds_{end}")];
    assert_eq!(times("count{pool=\"main\"}"), 8.0);
    assert_eq!(times("bucket{pool=\"main\",le=\"+Inf\"}"), 8.0);
    assert!(times("sum{pool=\"main\"}") > 0.0);
    let theirs = series(&admin, "/metrics/haproxy");
    assert_eq!(
        theirs["haproxy_backend_http_responses_total{proxy=\"main\",code=\"2xx\"}"],
        8.0
    );
    assert_eq!(theirs["haproxy_server_status{proxy=\"main\",server=\"a\",state=\"UP\"}"], 1.0);
    assert_eq!(theirs["haproxy_frontend_http_requests_total{proxy=\"main\"}"], 8.0);
}

#[test]
fn a_thousand_backends_are_all_there_and_may_be_filtered() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let put = |at: usize| {
        let path = format!("/api/v1/pools/main/backends/b{at}");
        json!({"method": "PUT", "path": path, "body": {"address": format!("127.0.0.1:{}", at + 1)}})
    };
    let changes: Vec<_> = (0..1000).map(put).collect();
    admin.api.write("POST", "/api/v1/batch", &json!({"changes": changes}));
    admin.api.write("PATCH", "/api/v1/pools/main/backends/b7", &json!({"admin": "maint"}));
    let pages = [
        ("/metrics", "pointsman_backend_", 25.0),
        ("/metrics/haproxy", "haproxy_server_", 32.0),
    ];
    for (path, prefix, most) in pages {
        let all = series(&admin, path);
        let is_it = |it: &&String| it.starts_with(prefix);
        let label = |name: &str| name.split(',').nth(1).unwrap_or_default().to_owned();
        let names: HashSet<String> = all.keys().filter(is_it).map(|it| label(it)).collect();
        let each = all.keys().filter(is_it).count() as f64 / 1001.0;
        assert!(names.len() >= 1001, "{path}: {} backends", names.len());
        assert!(each <= most, "{path}: {each} series a backend");
        let one = series(&admin, &format!("{path}?name=b7"));
        assert_eq!(one.keys().filter(is_it).count() as f64, each.round(), "{path}");
        let none = series(&admin, &format!("{path}?name=b7&no-maint"));
        assert_eq!(none.keys().filter(is_it).count(), 0, "{path}");
    }
    assert_eq!(admin.api.ask("GET", "/metrics?pool=mian", None).status(), 404);
    assert_eq!(admin.api.ask("GET", "/metrics?pol=main", None).status(), 400);
    assert_eq!(admin.api.ask("POST", "/metrics", Some(&json!({}))).status(), 405);
}

/// The names in backticks of a cell.
fn names_of(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_manual_says_truly_which_panels_of_a_dashboard_for_haproxy_have_data() {
    let origin = Origin::named("a");
    let named = format!("{},name=a", origin.backend.flag());
    let args = ["-l", "http://127.0.0.1:0", "--check", "tcp", "-b", &named];
    let admin = Admin::start(&args);
    let mut wire = Wire::to(&admin.balancer);
    (0..3).for_each(|_| drop(wire.ask(get("/"))));
    let all = series(&admin, "/metrics/haproxy");
    let has = |family: &str| {
        all.keys().any(|it| it == family || it.starts_with(&format!("{family}{{")))
    };
    let manual = include_str!("../../docs/metrics.md");
    let mut seen = 0;
    for line in manual.lines().filter(|it| it.starts_with("| `haproxy_")) {
        let cells: Vec<&str> = line.split('|').collect();
        let prefix = names_of(cells[1])[0].trim_end_matches('*');
        for name in names_of(cells[2]) {
            assert!(has(&format!("{prefix}{name}")), "{prefix}{name} is to have data");
            seen += 1;
        }
        for name in names_of(cells[3]) {
            assert!(!has(&format!("{prefix}{name}")), "{prefix}{name} has data");
            seen += 1;
        }
    }
    assert!(seen > 80, "only {seen} families were found");
}
