//! Backends that answer badly are ejected for a while; and no client alone can bring that about.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::http::{Origin, Wire, get, ok, post};
use crate::common::{Backend, Balancer, read_to_end, until, with_deadline};
use socket2::{Domain, Socket, Type};

const BAD: &str = "HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n";
const FAULT: &str = "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n";
const UNKNOWN: &str = "HTTP/1.1 501 What\r\nContent-Length: 0\r\n\r\n";
const TORN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Probes that stay out of the way, and would take a backend down at the first failure.
const RARE: &[&str] = &["--check", "tcp", "--check-interval", "300h", "--fall", "1"];

/// A balancer before backends with these names.
fn front(backends: &[(&str, SocketAddr)], more: &[&str]) -> Balancer {
    let named = |(name, address): &(&str, SocketAddr)| format!("{address},name={name}");
    let flags: Vec<String> = backends.iter().map(named).collect();
    let mut args = vec!["-l", "http://127.0.0.1:0"];
    args.extend(flags.iter().flat_map(|flag| ["-b", flag]));
    if !more.contains(&"--check") {
        args.extend(["--check", "none"]);
    }
    args.extend(more);
    Balancer::start(&args)
}

fn at(origin: &Origin) -> SocketAddr {
    origin.backend.address
}

/// The same in front of all these.
fn front_of(origins: &[Origin], more: &[&str]) -> Balancer {
    let backends: Vec<_> = NAMES.into_iter().zip(origins.iter().map(at)).collect();
    front(&backends, more)
}

/// A client with this address.
fn wire_from(address: [u8; 4], balancer: &Balancer) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address of this machine");
    socket.connect(&balancer.address().into()).expect("it listens");
    Wire::new(with_deadline(socket.into()))
}

/// Answers what is asked for: an error of the application, a status that it cannot serve, nothing
/// at all, or its name.
fn obedient(name: &'static str) -> Origin {
    Origin::start(move |request, wire| {
        if !request.head.starts_with("GET ") && !request.head.starts_with("POST ") {
            return wire.try_say(UNKNOWN);
        }
        match request.target() {
            "/close" => false,
            "/fault" => wire.try_say(FAULT),
            _ => wire.try_say(ok(name)),
        }
    })
}

#[track_caller]
fn assert_all_in(balancer: &Balancer) {
    assert_eq!(out(balancer), 0, "{}", balancer.log());
    let names = balancer.page();
    for name in NAMES {
        let row = balancer.row(name);
        assert!(row.is_up(), "{name} of {names:?}");
    }
}

#[test]
fn methods_that_nobody_knows_count_against_nobody() {
    let origins = NAMES.map(obedient);
    let balancer = front_of(&origins, &["-a", "round-robin"]);
    for _ in 0..20 {
        assert_eq!(Wire::to(&balancer).ask(get("/").replace("GET", "FOO")).status(), 501);
    }
    assert_all_in(&balancer);
    balancer.stop();
}

/// What nginx does for `return 444`.
#[test]
fn a_request_that_backends_close_on_meets_two_and_counts_against_none() {
    for kept in ["0", "16"] {
        let origins = NAMES.map(obedient);
        let more = [RARE, &["-a", "round-robin", "--backend-idle-connections", kept]].concat();
        let balancer = front_of(&origins, &more);
        let met = || origins.iter().map(Origin::count).sum::<usize>();
        for _ in 0..12 {
            // A good one of somebody else, so that connections wait where they may.
            assert_eq!(wire_from([127, 0, 0, 9], &balancer).ask(get("/")).status(), 200);
            let before = origins.each_ref().map(Origin::count);
            assert_eq!(Wire::to(&balancer).ask(get("/close")).status(), 502, "{kept}");
            let after = origins.each_ref().map(Origin::count);
            let who = before.iter().zip(after).filter(|(before, after)| **before != *after);
            assert!(who.count() <= 2, "{kept}: {before:?}, then {after:?}");
        }
        assert!(met() >= 36, "{} requests", met());
        assert_all_in(&balancer);
        balancer.stop();
    }
}

#[test]
fn alone_it_meets_two_as_well() {
    let origins = NAMES.map(obedient);
    let balancer = front_of(&origins, &[RARE, &["-a", "round-robin"]].concat());
    for count in 1..=20 {
        assert_eq!(Wire::to(&balancer).ask(get("/close")).status(), 502);
        assert_eq!(origins.iter().map(Origin::count).sum::<usize>(), 2 * count);
    }
    assert_all_in(&balancer);
    balancer.stop();
}

#[test]
fn one_client_whose_requests_break_leaves_nobody_out_while_others_are_here() {
    let origins = NAMES.map(obedient);
    // What breaks on a connection that had waited counts against nobody in any case.
    let more = [RARE, &["-a", "first", "--backend-idle-connections", "0"]].concat();
    let balancer = front_of(&origins, &more);
    assert_eq!(wire_from([127, 0, 0, 9], &balancer).ask(get("/")).text(), "a");
    for target in ["/close", "/fault"] {
        for _ in 0..40 {
            assert!(Wire::to(&balancer).ask(post(target, "x")).status() >= 500);
        }
    }
    assert_all_in(&balancer);
    assert_eq!(origins[0].count(), 81, "they broke the first each time");
    assert_eq!(wire_from([127, 0, 0, 9], &balancer).ask(post("/close", "x")).status(), 502);
    balancer.wait_for_log("backend a is ejected for 30 s: 41 bad answers");
    balancer.stop();
}

/// One of them fails at what the others do well.
#[test]
fn faults_leave_out_who_is_much_worse_than_the_others() {
    let ill = Origin::saying(FAULT);
    let others = [Origin::named("b"), Origin::named("c")];
    let backends = [("ill", at(&ill)), ("b", at(&others[0])), ("c", at(&others[1]))];
    let balancer = front(&backends, &["-a", "round-robin"]);
    let mut clients: Vec<Wire> =
        (1..=3).map(|number| wire_from([127, 0, 0, number], &balancer)).collect();
    let mut ask_all = || {
        clients.iter_mut().for_each(|client| drop(client.ask(get("/"))));
        // One more, or each would meet the same one all the time.
        clients[0].ask(get("/"));
    };
    (0..6).for_each(|_| ask_all());
    assert_eq!(out(&balancer), 0, "too few to say so");
    until("enough were asked", || {
        ask_all();
        out(&balancer) > 0
    });
    balancer.wait_for_log(" answers were bad, 0 of ");
    assert!(balancer.log().contains("backend ill is ejected for 30 s: "));
    assert_eq!(out(&balancer), 1);
    balancer.stop_after(clients);
}

#[test]
fn faults_of_all_leave_out_nobody() {
    let origins = NAMES.map(|_| Origin::saying(FAULT));
    let balancer = front_of(&origins, &["-a", "round-robin", "--eject-after", "1"]);
    let mut client = Wire::to(&balancer);
    (0..100).for_each(|_| assert_eq!(client.ask(get("/")).status(), 500));
    assert_eq!(out(&balancer), 0);
    balancer.stop_after(client);
}

/// A backend that takes the first bytes and breaks off, as one that dislikes a hello does.
#[test]
fn bytes_that_break_a_connection_take_no_backend_down() {
    for linger in [false, true] {
        let breaking = || {
            Backend::start(move |mut stream: TcpStream| {
                let _ = stream.read(&mut [0; 100]);
                if linger {
                    crate::common::reset(stream);
                }
            })
        };
        let backends = [breaking(), breaking(), breaking()];
        let all: Vec<&Backend> = backends.iter().collect();
        let balancer = Balancer::before(&all, RARE);
        for _ in 0..12 {
            let mut client = balancer.connect();
            client.write_all(b"hello").expect("it is taken");
            read_to_end(&client);
        }
        for backend in &backends {
            let row = balancer.row(&backend.name());
            assert_eq!((row.is_up(), row.failed), (true, 0));
        }
        balancer.stop();
    }
}

/// A backend whose answer to every request can be changed.
struct Moody {
    origin: Origin,
    bad: Arc<AtomicBool>,
}

impl Moody {
    /// Answers these bytes at first; then its name. It hangs up after what is torn.
    fn start(name: &'static str, bad: &'static str) -> Moody {
        let is_bad = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&is_bad);
        let origin = Origin::start(move |_, wire| {
            if told.load(Ordering::SeqCst) {
                return wire.try_say(bad) && bad == BAD;
            }
            wire.try_say(ok(name))
        });
        Moody { origin, bad: is_bad }
    }

    fn set(&self, bad: bool) {
        self.bad.store(bad, Ordering::SeqCst);
    }
}

/// Ask on a connection of its own, until the end or a reset.
fn ask_once(balancer: &Balancer) {
    let client = Wire::to(balancer);
    client.say("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    read_to_end(&client.stream);
}

fn out(balancer: &Balancer) -> usize {
    balancer.log().matches(" is ejected for ").count()
}

#[test]
fn bad_answers_in_a_row_leave_a_backend_out() {
    for (bad, what) in [(BAD, "503"), (TORN, "torn"), ("nonsense\r\n\r\n", "nonsense")] {
        let ill = Moody::start("ill", bad);
        let other = Origin::named("other");
        let backends = [("ill", at(&ill.origin)), ("other", at(&other))];
        let balancer = front(&backends, &["-a", "first", "--eject-after", "3"]);
        for count in 0..3 {
            assert_eq!((ill.origin.count(), out(&balancer)), (count, 0), "{what}");
            ask_once(&balancer);
        }
        balancer.wait_for_log("backend ill is ejected for 30 s: 3 bad answers");
        ill.set(false);
        let mut client = Wire::to(&balancer);
        (0..5).for_each(|_| assert_eq!(client.ask(get("/")).text(), "other", "{what}"));
        assert_eq!(ill.origin.count(), 3, "{what}");
        balancer.stop_after(client);
    }
}

#[test]
fn an_answer_is_bad_only_once() {
    let torn = "HTTP/1.1 502 Oh\r\nContent-Length: 10\r\n\r\nhello";
    let ill = Moody::start("ill", torn);
    let other = Origin::named("other");
    let backends = [("ill", at(&ill.origin)), ("other", at(&other))];
    let balancer = front(&backends, &["-a", "first", "--eject-after", "4"]);
    (0..3).for_each(|_| ask_once(&balancer));
    assert_eq!((ill.origin.count(), out(&balancer)), (3, 0));
    ask_once(&balancer);
    balancer.wait_for_log("backend ill is ejected for 30 s: 4 bad answers");
    balancer.stop();
}

#[test]
fn a_good_answer_in_between_counts_from_zero() {
    for bad in [BAD, TORN] {
        let ill = Moody::start("ill", bad);
        let other = Origin::named("other");
        let backends = [("ill", at(&ill.origin)), ("other", at(&other))];
        let balancer = front(&backends, &["-a", "first", "--eject-after", "3"]);
        for _ in 0..4 {
            ill.set(true);
            (0..2).for_each(|_| ask_once(&balancer));
            ill.set(false);
            assert_eq!(Wire::to(&balancer).ask(get("/")).text(), "ill");
        }
        assert_eq!((ill.origin.count(), out(&balancer)), (12, 0));
        balancer.stop();
    }
}

#[test]
fn zero_leaves_nobody_out() {
    let ills = ["a", "b"].map(|name| Moody::start(name, BAD));
    let backends: Vec<_> =
        NAMES.into_iter().zip(ills.iter().map(|it| at(&it.origin))).collect();
    let balancer = front(&backends, &["-a", "first", "--eject-after", "0"]);
    let mut client = Wire::to(&balancer);
    (0..50).for_each(|_| assert_eq!(client.ask(get("/")).status(), 503));
    assert_eq!((ills[0].origin.count(), out(&balancer)), (50, 0));
    balancer.stop_after(client);
}

#[test]
fn never_more_than_half_are_left_out_and_never_the_last() {
    for (count, most) in [(1, 0), (2, 1), (3, 1), (4, 2)] {
        let ills: Vec<_> = NAMES[..count].iter().map(|name| Moody::start(name, BAD)).collect();
        let addresses = ills.iter().map(|ill| at(&ill.origin));
        let backends: Vec<_> = NAMES.into_iter().zip(addresses).collect();
        let balancer = front(&backends, &["-a", "round-robin", "--eject-after", "1"]);
        let mut client = Wire::to(&balancer);
        (0..20).for_each(|_| assert_eq!(client.ask(get("/")).status(), 503, "of {count}"));
        assert_eq!(out(&balancer), most, "of {count}");
        balancer.stop_after(client);
    }
}

#[test]
fn who_takes_no_requests_is_no_replacement() {
    let ill = Moody::start("ill", BAD);
    let idle = Origin::named("idle");
    let one = ill.origin.backend.flag();
    let two = format!("{},weight=0", idle.backend.flag());
    let args = ["-l", "http://127.0.0.1:0", "-b", &one, "-b", &two, "--check", "none"];
    let balancer = Balancer::start(&[&args[..], &["--eject-after", "1"]].concat());
    let mut client = Wire::to(&balancer);
    (0..3).for_each(|_| assert_eq!(client.ask(get("/")).status(), 503));
    ill.set(false);
    assert_eq!(client.ask(get("/")).text(), "ill");
    assert_eq!(out(&balancer), 0);
    balancer.stop_after(client);
}

#[test]
fn who_is_left_out_comes_back_when_nobody_else_is_up() {
    let ill = Moody::start("ill", BAD);
    let other = Origin::named("other");
    let more = ["-a", "first", "--eject-after", "1", "--check", "tcp", "--fall", "1"];
    let more = [&more[..], &["--check-interval", "30ms"]].concat();
    let balancer = front(&[("ill", at(&ill.origin)), ("other", at(&other))], &more);
    ask_once(&balancer);
    balancer.wait_for_log("backend ill is ejected");
    ill.set(false);
    let mut client = Wire::to(&balancer);
    assert_eq!(client.ask(get("/")).text(), "other");
    drop(other);
    balancer.wait_for_log("backend other is down");
    assert_eq!(client.ask(get("/")).text(), "ill");
    balancer.stop_after(client);
}

/// A backend that resets those who say nothing for a while.
#[test]
fn silent_clients_take_no_backend_down() {
    let impatient = Backend::start(|stream: TcpStream| {
        std::thread::sleep(std::time::Duration::from_millis(1200));
        crate::common::reset(stream);
    });
    let other = Backend::named("other");
    let more = [RARE, &["-a", "first"]].concat();
    let balancer = Balancer::before(&[&impatient, &other], &more);
    let clients: Vec<TcpStream> = (0..4).map(|_| balancer.connect()).collect();
    for client in &clients {
        assert_eq!(read_to_end(client).bytes(), b"other", "nobody notices");
    }
    let row = balancer.row(&impatient.name());
    assert_eq!((row.is_up(), row.failed), (true, 0));
    balancer.stop_after(clients);
}

/// What the status page and the numbers say of each.
#[test]
fn states_are_true() {
    let origins = ["full", "idle"].map(Origin::named);
    let ill = Origin::saying(BAD);
    let flags = [
        format!("{},name=ill", ill.backend.flag()),
        format!("{},name=full,max-connections=1", origins[0].backend.flag()),
        format!("{},name=idle,weight=0", origins[1].backend.flag()),
        format!("{},name=gone", crate::common::free_port()),
        format!("{},name=other", origins[1].backend.flag()),
    ];
    let mut args = vec!["-l", "http://127.0.0.1:0", "--stats-path", "/stats", "-a", "first"];
    args.extend(flags.iter().flat_map(|flag| ["-b", flag]));
    let checks = ["--check", "tcp", "--check-interval", "50ms", "--fall", "1"];
    let balancer = Balancer::start(&[&args[..], &checks].concat());
    (0..5).for_each(|_| ask_once(&balancer));
    balancer.wait_for_row("gone", |row| row.state.starts_with("down "));
    let held = Wire::to(&balancer);
    held.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    balancer.wait_for_row("full", |row| row.state == "full");
    let row = balancer.row("ill");
    assert!(row.state.starts_with("ejected "), "{}", row.state);
    assert!(row.state.ends_with("s (5 bad answers)"), "{}", row.state);
    assert_eq!(row.weight, "0");
    assert_eq!(balancer.row("idle").state, "draining");
    let down = balancer.row("gone").state;
    assert!(down.ends_with("refused)"), "{down}");
    let text = Wire::to(&balancer).ask(get("/stats")).text();
    let of = |name: &str| {
        let from = text.find(&format!("{{\"name\":\"{name}\"")).expect("it is there");
        let rest = &text[from..];
        rest[..rest.find("\"requests\"").expect("it is long")].to_owned()
    };
    for (name, says) in [
        ("ill", "\"state\":\"ejected\""),
        ("ill", "\"reason\":\"5 bad answers\""),
        ("ill", "\"effective_weight\":0"),
        ("full", "\"state\":\"full\""),
        ("full", "\"effective_weight\":1"),
        ("full", "\"ejected_seconds\":null"),
        ("idle", "\"state\":\"draining\""),
        ("gone", "\"state\":\"down\""),
        ("gone", "refused\""),
        ("gone", "\"effective_weight\":0"),
        ("other", "\"state\":\"up\""),
        ("other", "\"reason\":null"),
    ] {
        assert!(of(name).contains(says), "{says} of {name}: {}", of(name));
    }
    assert!(!of("ill").contains("\"ejected_seconds\":null"), "{}", of("ill"));
    assert!(!of("ill").contains("\"returns_in_seconds\":null"), "{}", of("ill"));
    balancer.stop_after(held);
}

#[test]
fn a_cookie_does_not_lead_to_who_is_left_out() {
    let ill = Moody::start("ill", BAD);
    let other = Origin::named("other");
    let more = ["-a", "first", "--eject-after", "2", "--sticky-cookie", "LB"];
    let balancer = front(&[("ill", at(&ill.origin)), ("other", at(&other))], &more);
    let mut client = Wire::to(&balancer);
    let answer = client.ask(get("/"));
    let cookie = answer.field("set-cookie").split(';').next().unwrap_or_default().to_owned();
    let with_cookie = format!("GET / HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n");
    assert_eq!(client.ask(&with_cookie).field("set-cookie"), "");
    balancer.wait_for_log("backend ill is ejected");
    let answer = client.ask(&with_cookie);
    assert_eq!(answer.text(), "other");
    assert!(!answer.field("set-cookie").is_empty());
    balancer.stop_after(client);
}
