//! Datagrams through the running program: one flow, many, and how each ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::measure::only_linux;
use crate::common::trace::while_stopped;
use crate::common::udp::{
    UdpBackend, ask, ask_text, client, client_from, count, hear, udp_args,
};
use crate::common::{Balancer, free_port, noise, until};
use rustix::process::Signal;

fn before(backends: &[&UdpBackend], more: &[&str]) -> Balancer {
    Balancer::start(&udp_args(backends, more))
}

#[test]
fn an_answer_finds_the_way_back() {
    let echo = UdpBackend::echo();
    let balancer = before(&[&echo], &[]);
    let one = client(balancer.address());
    let two = client(balancer.address());
    for round in 0..10 {
        one.send(format!("one {round}").as_bytes()).unwrap();
        assert_eq!(ask_text(&two, &format!("two {round}")), format!("two {round}"));
        assert_eq!(hear(&one), format!("one {round}").as_bytes());
    }
    assert_eq!(count(&balancer, "open"), 2);
    assert_eq!((count(&balancer, "back"), count(&balancer, "dropped")), (20, 0));
    balancer.stop();
}

#[test]
fn pitfall_19_datagrams_of_every_length_pass_whole() {
    let echo = UdpBackend::echo();
    let balancer = before(&[&echo], &[]);
    let client = client(balancer.address());
    for length in [0, 1, 64, 1200, 1472, 1473, 9000, 65_507, 0, 65_506] {
        let text = noise(length as u64, length);
        assert_eq!(ask(&client, &text), text, "{length} bytes");
    }
    assert_eq!(count(&balancer, "dropped"), 0);
    balancer.stop();
}

/// Each of these clients asks once, as resolvers do; and who never answers looks least busy.
#[test]
fn who_refuses_without_being_probed_is_left_out() {
    let echo = UdpBackend::echo();
    let dead = free_port();
    let dead = format!("{dead},name=dead");
    let balancer = before(&[&echo], &["-b", &dead, "--fall", "3"]);
    until("it was refused three times", || {
        client(balancer.address()).send(b"anybody?").unwrap();
        balancer.log_so_far().contains("backend dead is ejected for 30 s: 3 refusals")
    });
    for number in 0..20 {
        let text = format!("new {number}");
        assert_eq!(ask_text(&client(balancer.address()), &text), text);
    }
    balancer.stop();
}

#[test]
fn ipv6_works_as_ipv4_does() {
    if UdpSocket::bind("[::1]:0").is_err() {
        println!("skipped: no IPv6 here");
        return;
    }
    let v6 = UdpBackend::start_at("[::1]:0".parse().unwrap(), |bytes| vec![bytes.to_vec()]);
    let balancer = Balancer::start(&["-l", "udp://[::1]:0", "-b", &v6.flag()]);
    let client = client(balancer.address());
    for length in [0, 100, 65_507] {
        let text = noise(1, length);
        assert_eq!(ask(&client, &text), text);
    }
    balancer.stop();
}

#[test]
fn answers_leave_from_the_address_that_was_asked() {
    if !only_linux("IP_PKTINFO as we use it") {
        return;
    }
    let echo = UdpBackend::echo();
    for (listen, own, asked) in [
        ("udp://0.0.0.0:0", "127.0.0.1:0", "127.0.0.9"),
        ("udp://[::]:0", "127.0.0.1:0", "127.0.0.9"),
        ("udp://[::]:0", "[::1]:0", "::1"),
    ] {
        let Ok(own) = UdpSocket::bind(own) else {
            println!("skipped: no IPv6 here");
            continue;
        };
        own.set_read_timeout(Some(crate::common::DEADLINE)).unwrap();
        let balancer = Balancer::start(&["-l", listen, "-b", &echo.flag()]);
        let port = balancer.address().port();
        let asked = SocketAddr::new(asked.parse().unwrap(), port);
        let other = SocketAddr::new(
            if asked.is_ipv4() { [127, 0, 0, 8].into() } else { asked.ip() },
            port,
        );
        // One client, two addresses of ours, in turns.
        for to in [asked, other, asked, asked, other] {
            own.send_to(to.to_string().as_bytes(), to).unwrap();
            let mut buffer = [0; 100];
            let (length, from) = own.recv_from(&mut buffer).unwrap();
            assert_eq!(from, to, "{listen}");
            assert_eq!(&buffer[..length], to.to_string().as_bytes());
        }
        balancer.stop();
    }
}

#[test]
fn clients_are_spread_by_the_flows_that_backends_have() {
    let names = ["a", "b", "c"];
    let backends = names.map(UdpBackend::named);
    let balancer = before(&[&backends[0], &backends[1], &backends[2]], &[]);
    let clients: Vec<UdpSocket> = (0..30).map(|_| client(balancer.address())).collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for client in &clients {
        let name = ask_text(client, "who?");
        assert_eq!(ask_text(client, "and now?"), name, "a client stays");
        *seen.entry(name).or_default() += 1;
    }
    assert_eq!(seen.into_values().collect::<Vec<_>>(), [10, 10, 10]);
    balancer.stop();
}

/// Two instances, and one of them started again: a client's address leads to the same backend.
#[test]
fn hashing_keeps_a_client_across_instances() {
    let names = ["a", "b", "c"];
    let backends = names.map(UdpBackend::named);
    let backends = [&backends[0], &backends[1], &backends[2]];
    for algorithm in ["ip-hash", "consistent-hash"] {
        let answers = || -> Vec<String> {
            let balancer = before(&backends, &["-a", algorithm, "--udp-responses", "1"]);
            let ask_from = |host: u8| {
                let own = SocketAddr::from(([127, 0, host, 1], 0));
                ask_text(&client_from(own, balancer.address()), "who?")
            };
            (1..30).map(ask_from).collect()
        };
        let first = answers();
        let second = answers();
        assert_eq!(first, second, "{algorithm}");
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 3, "{algorithm}");
    }
}

#[test]
fn a_flow_ends_after_its_answers_and_its_idle_time() {
    let echo = UdpBackend::echo();
    let balancer = before(&[&echo], &["--udp-responses", "1"]);
    let one = client(balancer.address());
    for _ in 0..3 {
        ask(&one, b"question");
    }
    assert_eq!((count(&balancer, "finished"), count(&balancer, "open")), (3, 0));
    // Two questions at once have two answers.
    let several = client(balancer.address());
    (0..50).for_each(|_| assert!(several.send(b"question").is_ok()));
    (0..50).for_each(|_| assert_eq!(hear(&several), b"question"));
    assert_eq!((count(&balancer, "dropped"), count(&balancer, "open")), (0, 0));
    balancer.stop();

    let balancer = before(&[&echo], &["--udp-timeout", "100ms"]);
    ask(&client(balancer.address()), b"question");
    balancer.wait_for_log("idle for --udp-timeout; 1 datagrams sent on, 1 answered");
    assert_eq!((count(&balancer, "idle"), count(&balancer, "open")), (1, 0));
    balancer.stop();
}

#[test]
fn a_client_is_balanced_anew_after_its_requests() {
    let names = ["a", "b"];
    let backends = names.map(UdpBackend::named);
    let balancer =
        before(&[&backends[0], &backends[1]], &["--udp-requests", "2", "-a", "round-robin"]);
    let client = client(balancer.address());
    let seen: String = (0..8).map(|_| ask_text(&client, "who?")).collect();
    assert!(["aabbaabb", "bbaabbaa"].contains(&&*seen), "{seen}");
    // A burst is divided too, and each answer comes back.
    (0..8).for_each(|_| assert!(client.send(b"who?").is_ok()));
    let mut seen: Vec<Vec<u8>> = (0..8).map(|_| hear(&client)).collect();
    seen.sort();
    assert_eq!(seen.concat(), b"aaaabbbb");
    balancer.stop();
}

#[test]
fn one_way_datagrams_wait_for_nobody() {
    let sinks = [UdpBackend::silent(), UdpBackend::silent()];
    let balancer = before(
        &[&sinks[0], &sinks[1]],
        &["--udp-responses", "0", "--udp-requests", "1", "-a", "round-robin"],
    );
    let client = client(balancer.address());
    (0..20).for_each(|_| assert!(client.send(b"line of a log").is_ok()));
    until("all arrive", || sinks.iter().map(UdpBackend::received).sum::<usize>() == 20);
    assert_eq!(sinks[0].received(), 10);
    assert_eq!((count(&balancer, "finished"), count(&balancer, "open")), (20, 0));
    balancer.stop();
}

#[test]
fn a_refusal_ends_the_flow_and_sends_the_client_elsewhere() {
    let here = UdpBackend::named("here");
    let gone = free_port().to_string();
    let balancer = before(&[&here], &["-b", &gone, "-a", "round-robin"]);
    for _ in 0..6 {
        let client = client(balancer.address());
        client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let before = count(&balancer, "refused");
        client.send(b"who?").unwrap();
        let mut is_refused = false;
        until("it is answered or refused", || {
            is_refused = count(&balancer, "refused") > before;
            is_refused || client.recv(&mut [0; 16]).is_ok()
        });
        if is_refused {
            // What is lost is asked again, as those who speak UDP do: it goes elsewhere.
            client.set_read_timeout(Some(crate::common::DEADLINE)).unwrap();
            assert_eq!(ask_text(&client, "who?"), "here");
        }
    }
    assert!(count(&balancer, "refused") >= 2);
    balancer.stop();
}

/// A refusal can come from anybody: it asks for a probe, and the probe decides.
#[test]
fn a_refusal_asks_for_a_probe_and_counts_for_nothing_itself() {
    let echo = UdpBackend::echo();
    let web = crate::common::Backend::named("hello");
    let gone = format!("{},check-port={},name=gone", free_port(), web.address.port());
    let echo_flag = format!("{},check-port={},name=here", echo.flag(), web.address.port());
    let flags = ["--check", "tcp", "--check-interval", "300h", "--fall", "1", "--rise", "1"];
    let more = [&flags[..], &["-b", &gone, "-b", &echo_flag]].concat();
    let balancer = before(&[], &more);
    until("it is refused often", || {
        (0..20).for_each(|_| drop(client(balancer.address()).send(b"anybody?")));
        count(&balancer, "refused") >= 20
    });
    until("a probe came before its time", || web.accepted() >= 1);
    let log = balancer.log();
    assert!(!log.contains("is down") && !log.contains("ejected"), "{log}");
    balancer.stop();
}

#[test]
fn refusals_bring_the_probe_that_takes_a_backend_down_and_a_fallen_backend_loses_its_flows() {
    let here = UdpBackend::echo();
    let other = UdpBackend::echo();
    let flags =
        ["--check", "udp:ping", "--check-interval", "50ms", "--fall", "2", "--rise", "1"];
    let balancer = before(&[&here, &other], &flags);
    let clients: Vec<UdpSocket> = (0..10).map(|_| client(balancer.address())).collect();
    clients.iter().for_each(|client| drop(ask(client, b"question")));
    let address = other.address;
    drop(other);
    balancer.wait_for_log(&format!("backend {address} is down"));
    assert_eq!(count(&balancer, "open"), 5, "its flows are over at once");
    clients.iter().for_each(|client| drop(ask(client, b"question")));
    let again = UdpBackend::start_at(address, |bytes| vec![bytes.to_vec()]);
    balancer.wait_for_log(&format!("backend {address} is up"));
    let clients: Vec<UdpSocket> = (0..10).map(|_| client(balancer.address())).collect();
    clients.iter().for_each(|client| drop(ask(client, b"question")));
    assert!(again.received() >= 10, "it is given flows again");
    balancer.stop();
}

#[test]
fn probes_want_what_is_expected_and_may_go_to_another_port() {
    let good = UdpBackend::start(|_| vec![b"a pong!".to_vec()]);
    let wrong = UdpBackend::start(|_| vec![b"ping?".to_vec()]);
    let mute = UdpBackend::silent();
    let gone = free_port().to_string();
    let flags = [
        "--check",
        r"udp:\x70ing,expect=pong",
        "--check-interval",
        "50ms",
        "--check-timeout",
        "1s",
        "-b",
        &gone,
    ];
    let balancer = before(&[&good, &wrong, &mute], &flags);
    let down = |address: &str, reason: &str| {
        let log = balancer.log_so_far();
        log.lines().any(|l| l.contains(&format!("{address} is down")) && l.contains(reason))
    };
    until("three are down", || {
        down(&wrong.flag(), "'ping?' is not what is expected")
            && down(&mute.flag(), "no answer within 1s")
            && down(&gone, "refused")
    });
    assert!(!balancer.log().contains(&format!("{} is down", good.flag())));
    balancer.stop();

    let web = crate::common::Backend::named("hello");
    let echo = UdpBackend::echo();
    let port = format!("{},check-port={}", echo.flag(), web.address.port());
    let nowhere = format!("127.0.0.1:9,check-port={},name=no", free_port().port());
    let flags = ["--check", "tcp", "--check-interval", "50ms", "-b", &port, "-b", &nowhere];
    let balancer = before(&[], &flags);
    balancer.wait_for_log("backend no is down");
    assert_eq!(ask(&client(balancer.address()), b"question"), b"question");
    assert!(!balancer.log().contains(&format!("{} is down", echo.flag())));
    balancer.stop();
}

#[test]
fn the_longest_idle_flow_gives_way_but_none_that_has_just_answered() {
    let backend = UdpBackend::start(|bytes| match bytes {
        b"mute" => Vec::new(),
        _ => vec![bytes.to_vec()],
    });
    let balancer = before(&[&backend], &["--max-flows", "10", "--udp-timeout", "1h"]);
    let talkers: Vec<UdpSocket> = (0..5).map(|_| client(balancer.address())).collect();
    let began = Instant::now();
    talkers.iter().for_each(|client| drop(ask(client, b"question")));
    let flood: Vec<UdpSocket> = (0..200).map(|_| client(balancer.address())).collect();
    flood.iter().for_each(|client| assert!(client.send(b"mute").is_ok()));
    until("the flood is here", || backend.received() >= 205);
    let quick = began.elapsed() < Duration::from_secs(1);
    assert_eq!(count(&balancer, "open"), 10);
    let gave_way = count(&balancer, "gave");
    assert_eq!(gave_way, 195);
    // Who carried answers is still there: no new flow is opened for it.
    let opened = count(&balancer, "flows");
    talkers.iter().for_each(|client| drop(ask(client, b"question")));
    assert!(!quick || count(&balancer, "flows") == opened, "a flow with answers gave way");
    balancer.stop();
}

/// However long ago that was.
#[test]
fn strangers_push_out_nobody_who_was_answered() {
    let backend = UdpBackend::start(|bytes| match bytes {
        b"mute" => Vec::new(),
        _ => vec![bytes.to_vec()],
    });
    let balancer = before(&[&backend], &["--max-flows", "20", "--udp-timeout", "1h"]);
    let talkers: Vec<UdpSocket> = (0..15).map(|_| client(balancer.address())).collect();
    talkers.iter().for_each(|client| drop(ask(client, b"question")));
    // No answer is younger than a second any more.
    thread::sleep(Duration::from_millis(1100));
    let flood: Vec<UdpSocket> = (0..300).map(|_| client(balancer.address())).collect();
    flood.iter().for_each(|client| assert!(client.send(b"mute").is_ok()));
    until("the flood is here", || count(&balancer, "gave") == 295);
    talkers.iter().for_each(|client| drop(ask(client, b"question")));
    assert_eq!(count(&balancer, "flows"), 315, "a flow with answers gave way");
    balancer.stop();
}

#[test]
fn a_table_full_of_flows_that_answer_drops_and_counts() {
    let echo = UdpBackend::echo();
    let balancer = before(&[&echo], &["--max-flows", "2"]);
    let talkers = [client(balancer.address()), client(balancer.address())];
    let late = client(balancer.address());
    late.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = [0; 16];
    // Whether the last second is over is for the clock to say: both talk all the time.
    for _ in 0..20 {
        talkers.iter().for_each(|client| drop(ask(client, b"question")));
        late.send(b"question").unwrap();
        assert!(late.recv(&mut buffer).is_err(), "there is no room");
    }
    assert_eq!((count(&balancer, "dropped"), count(&balancer, "gave")), (20, 0));
    balancer.stop();
}

#[test]
fn stopping_lets_flows_have_their_answers() {
    let (held, mut balancer) = {
        let slow = UdpBackend::start(|bytes| {
            std::thread::sleep(Duration::from_millis(300));
            vec![bytes.to_vec()]
        });
        let balancer = before(&[&slow], &["--udp-responses", "1"]);
        (slow, balancer)
    };
    let client = client(balancer.address());
    client.send(b"question").unwrap();
    until("the question is there", || held.received() == 1);
    balancer.signal(Signal::TERM);
    assert_eq!(hear(&client), b"question", "answered while stopping");
    assert!(balancer.wait().success());
    let log = balancer.log();
    assert!(log.contains("stopping: 0 connections and 1 flow may finish within 30s"), "{log}");
}

/// More than a turn takes in.
#[test]
fn who_came_before_the_stop_gets_in() {
    let echo = UdpBackend::echo();
    let mut balancer = before(&[&echo], &["--udp-responses", "1", "--log-level", "info"]);
    let clients: Vec<UdpSocket> = (0..200).map(|_| client(balancer.address())).collect();
    while_stopped(&balancer, || {
        clients.iter().for_each(|client| assert!(client.send(b"question").is_ok()));
        balancer.signal(Signal::TERM);
    });
    clients.iter().for_each(|client| assert_eq!(hear(client), b"question"));
    assert!(balancer.wait().success());
}

#[test]
fn the_access_log_has_a_line_a_flow() {
    let echo = UdpBackend::echo();
    let file = std::env::temp_dir().join(format!("pointsman-udp-{}.log", std::process::id()));
    let name = file.to_str().unwrap();
    let flags = ["--access-log", name, "--access-log-format", "json", "--udp-responses", "1"];
    let balancer = before(&[&echo], &flags);
    let client = client(balancer.address());
    ask(&client, b"question");
    let mut line = String::new();
    until("the line is written", || {
        line = std::fs::read_to_string(&file).unwrap_or_default();
        line.ends_with('\n')
    });
    let _ = std::fs::remove_file(&file);
    for part in [
        format!("\"client\":\"{}\"", client.local_addr().unwrap()),
        format!("\"listener\":\"udp://{}\"", balancer.address()),
        format!("\"backend\":\"{}\"", echo.address),
        "\"datagrams_to_client\":1,\"datagrams_from_client\":1".to_string(),
        "\"bytes_to_client\":8,\"bytes_to_backend\":8".to_string(),
        "\"ended\":\"finished\",\"state\":\"--\"".to_string(),
    ] {
        assert!(line.contains(&part), "no {part} in {line}");
    }
    balancer.stop();
}

#[test]
fn the_demo_echoes() {
    let balancer =
        Balancer::start(&["--demo", "-l", "http://127.0.0.1:0", "-l", "udp://127.0.0.1:0"]);
    let client = client(balancer.addresses[1]);
    assert_eq!(ask(&client, b"hello"), b"hello");
    balancer.stop();
}
