//! Backends that drain or are in maintenance, and connections that an operator closes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::admin::Admin;
use crate::common::http::{Origin, Wire, get, ok};
use crate::common::udp::{UdpBackend, client, hear};
use crate::common::{Backend, connect, read_to_end, until};

const WEB: &str = "/api/v1/pools/main/backends";

/// A client of an echo, served once.
fn echoed(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    stream
}

fn is_echoed(stream: &mut TcpStream) -> bool {
    stream.write_all(b"y").is_ok() && matches!(stream.read(&mut [0]), Ok(1))
}

fn say(admin: &Admin, name: &str, body: &Value) -> Value {
    admin.api.write("PATCH", &format!("{WEB}/{name}"), body)
}

#[test]
fn one_that_drains_keeps_what_it_has_and_gets_nothing_new_until_it_is_ready() {
    let [a, b] = [Backend::echo(), Backend::echo()];
    let named = [format!("{},name=a", a.flag()), format!("{},name=b", b.flag())];
    let mut args = vec!["-l", "tcp://127.0.0.1:0", "--check", "none"];
    args.extend(named.iter().flat_map(|it| ["-b", it]));
    let admin = Admin::start(&args);
    let mut clients = Vec::new();
    while a.accepted() < 3 || b.accepted() < 3 {
        clients.push(echoed(admin.balancer.address()));
    }
    let held = a.accepted();
    let said = say(&admin, "a", &json!({"admin": "drain"}));
    assert_eq!((&said["admin"], &said["active"]), (&json!("drain"), &json!(held)));
    (0..20).for_each(|_| clients.push(echoed(admin.balancer.address())));
    assert_eq!(a.accepted(), held, "nothing new");
    assert!(clients.iter_mut().all(is_echoed), "what it has goes on");
    say(&admin, "a", &json!({"admin": "ready"}));
    until("it has work again", || {
        clients.push(echoed(admin.balancer.address()));
        a.accepted() > held
    });
    // Who is ready again has no deadline left from before.
    say(&admin, "a", &json!({"admin": "drain", "deadline": "300ms"}));
    say(&admin, "a", &json!({"admin": "ready"}));
    say(&admin, "a", &json!({"admin": "drain"}));
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(600) {
        let active = &admin.api.get(&format!("{WEB}/a"))["active"];
        assert!(active.as_u64() > Some(held as u64), "nobody is closed: {active}");
    }
    say(&admin, "a", &json!({"admin": "drain", "deadline": "1h"}));
    say(&admin, "a", &json!({"admin": "drain", "deadline": "100ms"}));
    until("its time is over", || admin.api.get(&format!("{WEB}/a"))["active"] == 0);
    assert!(
        admin.api.get(&format!("{WEB}/b"))["active"].as_u64() > Some(20),
        "the others stay"
    );
}

#[test]
fn with_everybody_drained_clients_are_refused_and_a_fallen_one_is_tried_if_that_is_wanted() {
    // Only the first one answers as its probes expect.
    let a = Backend::echo();
    let b = Backend::named("b");
    let a = format!("{},name=a", a.flag());
    let b = format!("{},name=b", b.flag());
    let got = |admin: &Admin| match read_to_end(&admin.balancer.connect()) {
        end if end.is_reset() => "nothing".to_owned(),
        end => String::from_utf8(end.bytes()).expect("a name"),
    };
    for (spread, want) in [("refuse", "nothing"), ("spread", "b")] {
        let mut args = vec!["-l", "tcp://127.0.0.1:0", "-b", &a, "-b", &b, "--fall", "1"];
        args.extend(["--check", "tcp:hello,expect=hello", "--check-timeout", "10s"]);
        args.extend(["--check-interval", "100ms", "--all-down", spread]);
        let admin = Admin::start(&args);
        say(&admin, "a", &json!({"admin": "drain"}));
        until("b is down", || admin.api.get(&format!("{WEB}/b"))["health"] == "down");
        assert_eq!(admin.api.get(&format!("{WEB}/a"))["health"], "up");
        (0..5).for_each(|_| assert_eq!(got(&admin), want, "{spread}"));
        say(&admin, "b", &json!({"admin": "maint"}));
        assert_eq!(got(&admin), "nothing", "nobody is to have work");
    }
}

/// An origin whose probes are answered when it is let.
struct Gate {
    origin: Origin,
    /// Whether the next probe waits.
    holds: Arc<AtomicBool>,
    /// A request waits at `/wait`, or a probe.
    held: mpsc::Receiver<mpsc::Sender<()>>,
}

impl Gate {
    fn start() -> Gate {
        let holds = Arc::new(AtomicBool::new(false));
        let (tell, held) = mpsc::channel::<mpsc::Sender<()>>();
        let of = Arc::clone(&holds);
        let origin = Origin::start(move |request, wire| {
            let is_probe = request.target() == "/probe";
            if is_probe && of.load(Ordering::SeqCst) || request.target() == "/wait" {
                let (go, wait) = mpsc::channel();
                let _ = tell.send(go);
                let _ = wait.recv();
            }
            let bad = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
            let answer =
                if is_probe && of.load(Ordering::SeqCst) { bad.into() } else { ok("a") };
            wire.try_say(answer)
        });
        Gate { origin, holds, held }
    }

    fn probes(&self) -> usize {
        self.origin.seen().iter().filter(|it| it.target() == "/probe").count()
    }

    fn before(&self, more: &[&str]) -> Admin {
        let flag = format!("{},name=a", self.origin.backend.flag());
        let mut args = vec!["-l", "http://127.0.0.1:0", "-b", &flag];
        args.extend(more);
        Admin::start(&args)
    }
}

#[test]
fn in_maintenance_nothing_is_asked_and_what_was_asked_is_not_heard() {
    let gate = Gate::start();
    let admin = gate.before(&[
        "--check",
        "http:/probe",
        "--check-interval",
        "50ms",
        "--check-timeout",
        "20s",
        "--fall",
        "1",
    ]);
    until("it is up", || admin.api.get(&format!("{WEB}/a"))["health"] == "up");
    gate.holds.store(true, Ordering::SeqCst);
    let probe = gate.held.recv_timeout(Duration::from_secs(20)).expect("a probe waits");
    say(&admin, "a", &json!({"admin": "maint"}));
    let asked = gate.probes();
    // It fails now, and nobody hears it.
    drop(probe);
    let since = std::time::Instant::now();
    until("ten intervals are over", || since.elapsed() > Duration::from_millis(500));
    assert_eq!(gate.probes(), asked, "no probe");
    assert_eq!(admin.api.get(&format!("{WEB}/a"))["health"], "up", "the late answer");
    gate.holds.store(false, Ordering::SeqCst);
    say(&admin, "a", &json!({"admin": "ready"}));
    until("it is probed again", || gate.probes() > asked);
    assert_eq!(Wire::to(&admin.balancer).ask(get("/")).status(), 200);
}

#[test]
fn no_idle_connection_is_kept_to_one_in_maintenance() {
    let gate = Gate::start();
    let admin = gate.before(&["--check", "none"]);
    let mut wire = Wire::to(&admin.balancer);
    assert_eq!(wire.ask(get("/")).status(), 200);
    wire.say(get("/wait"));
    let go = gate.held.recv_timeout(Duration::from_secs(20)).expect("it waits");
    let before = admin.balancer.descriptors();
    say(&admin, "a", &json!({"admin": "maint"}));
    drop(go);
    assert_eq!(wire.answer().status(), 200, "what it has goes on");
    until("its connection is closed", || admin.balancer.descriptors() < before);
}

#[test]
fn connections_of_one_pool_are_closed_and_those_of_others_to_the_same_server_go_on() {
    let tcp = Backend::echo();
    let udp = UdpBackend::echo();
    let mut text = String::from(
        "[global]\naccess_log.file = \"@HOME/access.log\"\naccess_log.format = \"json\"\n\
         [defaults.pool]\ncheck = { kind = \"none\" }\n",
    );
    let table = [("one", "tcp"), ("two", "tcp"), ("three", "udp"), ("four", "udp")];
    for (name, scheme) in table {
        let flag = if scheme == "tcp" { tcp.flag() } else { udp.flag() };
        text += &format!(
            "[listener.{name}]\nbind = \"{scheme}://127.0.0.1:0\"\n\
             [service.{name}]\nlisten = [\"{name}\"]\npool = \"{name}\"\n\
             [pool.{name}]\nbackends = [\"{flag},name=a\"]\n"
        );
    }
    let admin = Admin::configured(&text);
    let mut ones: Vec<_> = (0..3).map(|_| echoed(admin.listener("one"))).collect();
    let mut twos: Vec<_> = (0..2).map(|_| echoed(admin.listener("two"))).collect();
    let close = |pool: &str| {
        let path = format!("/api/v1/pools/{pool}/backends/a/close-connections");
        admin.api.write("POST", &path, &json!({}))["closing"].clone()
    };
    assert_eq!(close("one"), 3);
    until("they are closed", || admin.api.get("/api/v1/listeners/one")["active"] == 0);
    assert!(!ones.iter_mut().any(is_echoed));
    assert!(twos.iter_mut().all(is_echoed));
    let flows = [client(admin.listener("three")), client(admin.listener("four"))];
    for flow in &flows {
        flow.send(b"x").unwrap();
        assert_eq!(hear(flow), b"x");
    }
    assert_eq!(close("three"), 1);
    until("it is over", || admin.api.get("/api/v1/listeners/three")["active"] == 0);
    assert_eq!(admin.api.get("/api/v1/listeners/four")["active"], 1);
    until("all are told", || admin.file("access.log").lines().count() == 4);
    for line in admin.file("access.log").lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["reason"], "backend-closed", "{line}");
        assert_eq!(line["ended"], "stopped", "{line}");
    }
}

#[test]
fn clients_with_a_cookie_stay_with_one_that_drains_only_if_that_is_wanted() {
    let [a, b] = [Origin::named("a"), Origin::named("b")];
    let flags = [&a, &b].map(|it| it.backend.flag());
    let named = [format!("{},name=a", flags[0]), format!("{},name=b", flags[1])];
    for (drain, want) in [("rehome", "b"), ("keep", "a")] {
        let mut args = vec!["-l", "http://127.0.0.1:0", "--check", "none", "-a", "first"];
        args.extend(["--sticky-cookie", "LB", "--sticky-drain", drain]);
        args.extend(named.iter().flat_map(|it| ["-b", it]));
        let admin = Admin::start(&args);
        let mut wire = Wire::to(&admin.balancer);
        let first = wire.ask(get("/"));
        assert_eq!(first.text(), "a");
        let cookie = first.field("set-cookie").split(';').next().expect("a pair").to_owned();
        let back = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
        say(&admin, "a", &json!({"admin": "drain"}));
        assert_eq!(wire.ask(get("/")).text(), "b", "who has none goes on");
        assert_eq!(wire.ask(&back).text(), want, "{drain}");
        say(&admin, "a", &json!({"admin": "maint"}));
        assert_eq!(wire.ask(&back).text(), "b", "nobody stays with one in maintenance");
    }
}

#[test]
fn one_that_left_and_has_connections_yet_is_told_again_to_end_them() {
    let [a, b] = [Backend::echo(), Backend::echo()];
    let named = [format!("{},name=a", a.flag()), format!("{},name=b", b.flag())];
    let mut args = vec!["-l", "tcp://127.0.0.1:0", "--check", "none", "-a", "round-robin"];
    args.extend(named.iter().flat_map(|it| ["-b", it]));
    let admin = Admin::start(&args);
    let path = format!("{WEB}/a");
    for how in ["now=true", "deadline=50ms"] {
        let address = a.address.to_string();
        admin.api.write("PUT", &path, &json!({"address": address}));
        let mut clients: Vec<TcpStream> =
            (0..4).map(|_| echoed(admin.balancer.address())).collect();
        let first = admin.api.ask("DELETE", &path, None).json();
        assert_eq!(first["active"], 2, "{first}");
        admin.api.ask("DELETE", &format!("{path}?{how}"), None);
        until("they are closed", || admin.api.ask("GET", &path, None).status() == 404);
        let others = clients.iter_mut().map(is_echoed).filter(|it| *it);
        assert_eq!(others.count(), 2, "the others stay");
    }
}

#[test]
fn of_a_server_in_two_pools_each_counts_its_own_clients() {
    let a = Backend::echo();
    let address = a.address;
    let text = ["one", "two"].map(|it| {
        format!(
            "[listener.{it}]\nbind = \"tcp://127.0.0.1:0\"\n[service.{it}]\nlisten = [\"{it}\"]\n\
             pool = \"{it}\"\n[pool.{it}]\ncheck = {{ kind = \"none\" }}\n\
             backends = [\"{address},name=a\", \"127.0.0.1:9,name=b,weight=0\"]\n"
        )
    });
    let admin = Admin::configured(&text.concat());
    let mut clients: Vec<TcpStream> = (0..3).map(|_| echoed(admin.listener("one"))).collect();
    let gone = admin.api.ask("DELETE", "/api/v1/pools/two/backends/a?now=true", None);
    assert_eq!(gone.status(), 204, "nobody of this pool is there: {}", gone.head);
    assert!(clients.iter_mut().all(is_echoed), "those of the other stay");
    let left = admin.api.ask("DELETE", "/api/v1/pools/one/backends/a", None);
    assert_eq!(left.json()["active"], 3);
}
