//! A real Prometheus at `/metrics`, and its linter.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::http::{Origin, Wire, get};
use crate::common::servers::{Home, missing};
use crate::common::{Balancer, free_port, with_deadline};

/// Killed when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fetch(address: SocketAddr, path: &str) -> String {
    let mut stream = with_deadline(TcpStream::connect(address).unwrap());
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

impl Prometheus {
    /// It scrapes both pages of this admin listener.
    fn at(admin: SocketAddr, home: &Home) -> Prometheus {
        let job = |name: &str, path: &str| {
            format!(
                "- job_name: {name}\n  metrics_path: {path}\n  static_configs:\n  - targets: \
                 ['{admin}']\n"
            )
        };
        let config = format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n{}{}",
            job("ours", "/metrics"),
            job("haproxy", "/metrics/haproxy")
        );
        let file = home.0.join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let address = free_port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", home.0.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Prometheus { child, address }
    }

    /// What it answers to a query.
    fn ask(&self, query: &str) -> serde_json::Value {
        let escaped: String = query.bytes().map(|it| format!("%{it:02X}")).collect();
        let text = fetch(self.address, &format!("/api/v1/query?query={escaped}"));
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The one value that a query has, once it has one.
    fn value(&self, query: &str) -> f64 {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < Duration::from_secs(60), "no answer to {query}");
            std::thread::sleep(Duration::from_millis(100));
            if TcpStream::connect(self.address).is_err() {
                continue;
            }
            let answer = self.ask(query);
            let value = &answer["data"]["result"][0]["value"][1];
            if let Some(value) = value.as_str().and_then(|it| it.parse().ok()) {
                return value;
            }
        }
    }
}

#[test]
fn prometheus_scrapes_both_pages_and_its_linter_has_nothing_to_say_of_ours() {
    if missing(&["prometheus", "promtool"]) {
        return;
    }
    let home = Home::new("prometheus");
    let admin = free_port();
    let a = Origin::named("a");
    let backend = format!("{},name=a", a.backend.flag());
    let place = format!("http://{admin}");
    let args =
        ["-l", "http://127.0.0.1:0", "--check", "none", "-b", &backend, "--admin", &place];
    let balancer = Balancer::start(&args);
    let mut wire = Wire::to(&balancer);
    (0..5).for_each(|_| drop(wire.ask(get("/"))));
    let mut lint = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = fetch(admin, "/metrics");
    lint.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = lint.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    assert!(said.status.success() && words.is_empty(), "{}", String::from_utf8_lossy(&words));
    let prometheus = Prometheus::at(admin, &home);
    let table = [
        ("sum(pointsman_backend_responses_total{code=\"2xx\"})", 5.0),
        ("pointsman_requests_total", 5.0),
        ("count(pointsman_backend_state == 1)", 1.0),
        ("histogram_quantile(0.5, pointsman_pool_response_seconds_bucket) < bool 10", 1.0),
        ("pointsman_pool_response_seconds_count", 5.0),
        ("up{job=\"haproxy\"}", 1.0),
        ("haproxy_server_http_responses_total{server=\"a\",code=\"2xx\"}", 5.0),
        ("haproxy_frontend_status{state=\"UP\"}", 1.0),
    ];
    for (query, wanted) in table {
        assert_eq!(prometheus.value(query), wanted, "{query}");
    }
    for query in grafana_queries() {
        let answer = prometheus.ask(&query);
        assert_eq!(answer["status"], "success", "{query}: {}", answer["error"]);
        let words = query.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
        for name in
            words.filter(|it| it.starts_with("pointsman_") || it.starts_with("process_"))
        {
            assert!(text.contains(&format!("\n{name}")), "the dashboard asks for {name}");
        }
    }
}

/// What the panels of the dashboard for Grafana ask, with its variables set to everything.
fn grafana_queries() -> Vec<String> {
    let text = include_str!("../../docs/deploy/grafana.json");
    let dashboard: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|it| it["targets"].as_array().expect("targets"));
    let queries = targets.map(|it| it["expr"].as_str().expect("a query").to_owned());
    let queries: Vec<String> = queries
        .map(|it| {
            let it = it.replace("$__rate_interval", "1m");
            ["$job", "$instance", "$service", "$pool"]
                .iter()
                .fold(it, |it, name| it.replace(name, ".*"))
        })
        .collect();
    assert!(queries.len() > 15 && queries.iter().all(|it| !it.contains('$')));
    queries
}
