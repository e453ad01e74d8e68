//! Counters go on: whoever scrapes sees none fall, whichever process answers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::common::udp::{UdpBackend, ask_text, client};
use crate::common::{Backend, Balancer, DEADLINE, ask, connect, until};
use crate::going::upgrading;
use crate::{Place, ask_admin, ends};

/// Of the process that answers, by definition.
const OF_ONE_PROCESS: &[&str] = &["process_cpu_seconds_total"];

/// All series of counters and histograms on a page, by name and labels.
fn counters(admin: &Path, page: &str) -> BTreeMap<String, f64> {
    let page = ask_admin(admin, "GET", page);
    let mut kinds = BTreeMap::new();
    let mut found = BTreeMap::new();
    for line in page.split_once("\r\n\r\n").expect("a page").1.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("name and kind");
            kinds.insert(name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#')
            && let Some((series, value)) = line.rsplit_once(' ')
        {
            let name = series.split('{').next().unwrap_or(series);
            let of_histogram = ["_bucket", "_sum", "_count"];
            let stem = of_histogram.iter().find_map(|end| name.strip_suffix(end));
            let kind = kinds.get(name).or_else(|| kinds.get(stem.unwrap_or(name)));
            let is_counter = kind.is_some_and(|it| it == "counter" || it == "histogram");
            if is_counter && !OF_ONE_PROCESS.contains(&name) {
                found.insert(series.to_owned(), value.parse().expect("a number"));
            }
        }
    }
    found
}

/// Both pages.
fn all_counters(admin: &Path) -> BTreeMap<String, f64> {
    let mut all = counters(admin, "/metrics");
    all.extend(counters(admin, "/metrics/haproxy"));
    all
}

/// Those of `before` that are smaller now, or gone.
fn fallen(before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> Vec<String> {
    let fell = |(name, was): (&String, &f64)| match now.get(name) {
        Some(it) if it >= was => None,
        it => Some(format!("{name} fell from {was} to {it:?}")),
    };
    before.iter().filter_map(fell).collect()
}

struct Busy {
    place: Place,
    file: String,
    old: Balancer,
    _web: Backend,
    _echo: Backend,
    _names: UdpBackend,
}

impl Busy {
    /// One of each thing that is counted of, and something is counted of each.
    fn new(name: &str) -> Busy {
        let web = upgrading();
        let echo = Backend::echo();
        let names = UdpBackend::echo();
        let place = Place::new(name, &[]);
        let text = format!(
            "[global]\nban_after = 3\nban_exempt = [\"127.0.0.1\"]\n\
             guard_dry_run = [\"tried\"]\n[admin]\nlisten = [\"unix:{}\"]\n\
             [listener.tcp]\nbind = \"tcp://127.0.0.1:0\"\nlimit_connections = 100\n\
             deny = [\"192.0.2.0/24\"]\n\
             [listener.web]\nbind = \"http://127.0.0.1:0\"\n\
             [listener.dns]\nbind = \"udp://127.0.0.1:0\"\n\
             [service.echo]\nlisten = [\"tcp\"]\npool = \"echo\"\n\
             [pool.echo]\nbackends = [\"{}\"]\n[pool.echo.check]\nkind = \"none\"\n\
             [service.web]\nlisten = [\"web\"]\npool = \"web\"\nmirror = {{ pool = \"web\" }}\n\
             limit_request_rate = [\"8/h,burst=8\", \"1/h,name=tried\"]\n\
             [pool.web]\nbackends = [\"127.0.0.1:1\", \"{}\"]\n[pool.web.check]\nkind = \"none\"\n\
             [service.names]\nlisten = [\"dns\"]\npool = \"names\"\n\
             [pool.names]\nbackends = [\"{}\"]\n[pool.names.check]\nkind = \"none\"\n",
            place.admin().display(),
            echo.address,
            web.address,
            names.flag(),
        );
        let file = place.path("busy.toml");
        std::fs::write(&file, text).expect("written");
        let file = file.display().to_string();
        let old = Balancer::start_listeners(&["--config", &file], 3);
        let busy = Busy { place, file, old, _web: web, _echo: echo, _names: names };
        busy.is_asked();
        busy
    }

    fn is_asked(&self) {
        let [names, tcp, web] = self.old.addresses[..] else { panic!("three listeners") };
        assert_eq!(ask(&connect(tcp), b"bytes"), b"bytes");
        assert_eq!(ask_text(&client(names), "datagram"), "datagram");
        let mut seen = Vec::new();
        for _ in 0..12 {
            let mut stream = connect(web);
            let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).expect("taken");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            seen.push(answer[..12].to_owned());
        }
        assert!(seen.iter().any(|it| it.ends_with("429")), "{seen:?}");
        let ban = ask_admin(&self.place.admin(), "PUT", "/api/v1/bans/192.0.2.1");
        assert!(ban.starts_with("HTTP/1.1 201"), "{ban}");
        let mut bad = connect(web);
        bad.write_all(b"no request\r\n\r\n").expect("taken");
        let _ = bad.read_to_end(&mut Vec::new());
    }

    fn next(&self) -> Balancer {
        let admin = self.place.admin().display().to_string();
        Balancer::start_listeners(&["--config", &self.file, "--takeover", &admin], 3)
    }
}

#[test]
fn no_counter_falls_and_none_is_counted_twice() {
    let mut busy = Busy::new("sums");
    let admin = busy.place.admin();
    let copies = |name: &str| all_counters(&admin)[&format!("pointsman_mirror_total{name}")];
    until("copies are sent", || {
        copies("{result=\"sent\"}") + copies("{result=\"failed\"}") > 0.0
    });
    let mut before = all_counters(&admin);
    // Else nothing could fall.
    for name in [
        "pointsman_service_connections_total{service=\"web\"}",
        "pointsman_service_response_seconds_count{service=\"web\"}",
        "pointsman_service_response_seconds_sum{service=\"web\"}",
        "pointsman_pool_connections_total{pool=\"echo\"}",
        "pointsman_pool_response_seconds_bucket{pool=\"web\",le=\"+Inf\"}",
        "pointsman_pool_retries_total{pool=\"web\"}",
        "pointsman_guard_refused_total{rule=\"request-rate\",of=\"service\",name=\"web\"}",
        "pointsman_guard_would_refuse_total{rule=\"tried\",of=\"service\",name=\"web\"}",
        "pointsman_udp_flows_total",
        "pointsman_udp_datagrams_total{direction=\"from_clients\"}",
        "pointsman_bytes_total{direction=\"out\"}",
        "pointsman_bans_made_total",
        "pointsman_bad_requests_total",
        "pointsman_turns_total",
        "pointsman_turn_seconds_count",
        "haproxy_frontend_sessions_total{proxy=\"web\"}",
        "haproxy_server_bytes_in_total{proxy=\"echo\",server=\"127.0.0.1\"}",
    ] {
        let is_it =
            |it: &str| it == name || name.contains("server=") && it.starts_with(&name[..40]);
        let found = before.iter().find(|(it, _)| is_it(it));
        assert!(found.is_some_and(|(_, it)| *it > 0.0), "{name} in {before:#?}");
    }
    let first = before.clone();
    for _ in 0..3 {
        let next = busy.next();
        ends(std::mem::replace(&mut busy.old, next));
        let now = all_counters(&admin);
        assert_eq!(fallen(&before, &now), Vec::<String>::new());
        before = now;
    }
    // Nobody came meanwhile: what clients do is what it was.
    for (name, count) in &first {
        let is_of_clients = ["_service_", "_pool_", "_guard_", "_udp_", "haproxy_frontend"];
        if is_of_clients.iter().any(|it| name.contains(it)) {
            assert_eq!(before.get(name), Some(count), "{name}");
        }
    }
    busy.old.stop();
}

#[test]
fn what_the_old_process_still_counts_comes_to_services_and_pools_too() {
    let busy = Busy::new("later");
    let admin = busy.place.admin();
    let ended = "pointsman_service_streams_ended_total{service=\"echo\"}";
    let bytes = "pointsman_service_bytes_total{service=\"echo\",direction=\"in\"}";
    let of_pool = "pointsman_pool_bytes_total{pool=\"echo\",direction=\"in\"}";
    let stream = connect(busy.old.addresses[1]);
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    assert_eq!(ask(&stream, b"before"), b"before");
    let before = all_counters(&admin);
    let new = busy.next();
    let now = all_counters(&admin);
    assert_eq!(fallen(&before, &now), Vec::<String>::new());
    assert_eq!(ask(&stream, b"behind"), b"behind");
    until("its bytes are counted", || all_counters(&admin)[of_pool] >= before[of_pool] + 6.0);
    assert_eq!(all_counters(&admin)[bytes], before[bytes] + 6.0);
    drop(stream);
    ends(busy.old);
    until("its end is counted", || all_counters(&admin)[ended] == before[ended] + 1.0);
    new.stop();
}

#[test]
fn while_it_is_handed_over_under_load_no_counter_falls() {
    let busy = Busy::new("load-sums");
    let admin = busy.place.admin();
    let names = client(busy.old.addresses[0]);
    let mut all = vec![busy.old];
    let mut before = BTreeMap::new();
    for _ in 0..3 {
        let next = {
            let at = busy.place.admin().display().to_string();
            let file = busy.file.clone();
            thread::spawn(move || {
                Balancer::start_listeners(&["--config", &file, "--takeover", &at], 3)
            })
        };
        while !next.is_finished() {
            assert_eq!(ask_text(&names, "load"), "load");
            assert_eq!(ask(&connect(all[0].addresses[1]), b"load"), b"load");
            let now = all_counters(&admin);
            assert_eq!(fallen(&before, &now), Vec::<String>::new());
            before = now;
            thread::sleep(Duration::from_millis(1));
        }
        all.push(next.join().expect("it starts"));
    }
    all.pop().expect("one serves").stop();
}
