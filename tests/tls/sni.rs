//! `sni://`: who is led where by the name in a ClientHello, byte by byte.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::hello::{self, CHROME, CURL, CURL_ADDRESS, EARLY, alert, asking_for};
use crate::common::measure::private_dirty;
use crate::common::{
    Backend, Balancer, BlackHole, DEADLINE, End, ask, free_port, noise, read_to_end, reset,
    until, write_on_thread,
};

const UNRECOGNIZED_NAME: u8 = 112;
const UNEXPECTED_MESSAGE: u8 = 10;

fn start(routes: &[String], more: &[&str]) -> Balancer {
    let mut args = vec!["-l", "sni://127.0.0.1:0", "--check", "none"];
    args.extend(routes.iter().flat_map(|route| ["--route", route]));
    args.extend(more);
    Balancer::start(&args)
}

fn route(name: &str, backends: &[&Backend]) -> String {
    let flags: Vec<String> = backends.iter().map(|backend| backend.flag()).collect();
    format!("{name}={}", flags.join(","))
}

/// Reads a hello of one record, says its letter, and then repeats what it hears.
fn lettered(letter: u8) -> Backend {
    lettered_at("127.0.0.1:0".parse().unwrap(), letter)
}

fn lettered_at(address: SocketAddr, letter: u8) -> Backend {
    Backend::start_at(address, move |mut stream| {
        let mut buffer = vec![0; 64 * 1024];
        if hello::read_one(&stream).and_then(|_| stream.write_all(&[letter])).is_err() {
            return;
        }
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    })
}

#[track_caller]
fn who_answers(balancer: &Balancer, hello: &[u8]) -> String {
    hello::answer_to(&balancer.connect(), hello).expect("somebody answers")
}

#[track_caller]
fn is_told(client: &TcpStream, number: u8) {
    assert_eq!(read_to_end(client), End::Finished(alert(number).to_vec()));
}

/// What a silent backend got until the client finished.
#[track_caller]
fn received(ends: &Receiver<End>) -> Vec<u8> {
    ends.recv_timeout(DEADLINE).expect("a connection").bytes()
}

#[test]
fn the_name_says_who_answers() {
    let [a, b, c, d] = [b'a', b'b', b'c', b'd'].map(lettered);
    let routes = [
        route("www.example.com", &[&a]),
        route("*.example.com", &[&b]),
        route("*.deep.example.com", &[&c]),
        route("*", &[&d]),
        "closed.example.com=refuse".to_owned(),
    ];
    let balancer = start(&routes, &["--seed", &u64::MAX.to_string()]);
    let table = [
        ("www.example.com", "a"),
        ("WWW.EXAMPLE.COM.", "a"),
        ("other.example.com", "b"),
        ("x.y.example.com", "b"),
        ("x.deep.example.com", "c"),
        ("example.com", "d"),
        ("elsewhere.test", "d"),
        ("192.0.2.1", "d"),
    ];
    for (name, who) in table {
        assert_eq!(who_answers(&balancer, &asking_for(name)), who, "{name}");
    }
    assert_eq!(who_answers(&balancer, CURL), "a");
    assert_eq!(who_answers(&balancer, CURL_ADDRESS), "d");
    let client = balancer.connect();
    (&client).write_all(&asking_for("closed.example.com")).unwrap();
    is_told(&client, UNRECOGNIZED_NAME);
    drop(client);
    balancer.wait_until_idle();
    let log = balancer.log();
    assert!(log.contains("route *.deep.example.com to 127.0.0.1:"), "{log}");
    assert!(log.contains("route closed.example.com to nobody"), "{log}");
    balancer.stop();
}

#[test]
fn a_name_that_nobody_serves_gets_the_alert_and_a_fin() {
    let a = lettered(b'a');
    let balancer = start(&[route("a.example", &[&a])], &[]);
    for hello in [&asking_for("b.example")[..], CURL, CURL_ADDRESS, CHROME, EARLY] {
        let client = balancer.connect();
        (&client).write_all(hello).unwrap();
        is_told(&client, UNRECOGNIZED_NAME);
    }
    // Who goes on talking hears it all the same: a reset would overtake it.
    let client = balancer.connect();
    (&client).write_all(&[CURL, &noise(1, 1_000_000)].concat()).unwrap();
    is_told(&client, UNRECOGNIZED_NAME);
    drop(client);
    balancer.wait_until_idle();
    balancer.wait_for_log("which nobody serves");
    balancer
        .wait_for_log("relaying: refused with the alert unrecognized_name; 0 bytes sent on, 7");
    assert_eq!(a.accepted(), 0);
    balancer.stop();
}

#[test]
fn backends_of_no_route_are_for_the_others_and_for_other_listeners() {
    let a = lettered(b'a');
    let b = lettered(b'b');
    let more = ["-l", "127.0.0.1:0", "-b", &b.flag()];
    let balancer = start(&[route("a.example", &[&a])], &more);
    assert_eq!(who_answers(&balancer, &asking_for("a.example")), "a");
    assert_eq!(who_answers(&balancer, &asking_for("c.example")), "b");
    let plain = crate::common::connect(balancer.addresses[1]);
    assert_eq!(hello::answer_to(&plain, &asking_for("a.example")).unwrap(), "b");
    drop(plain);
    balancer.wait_until_idle();
    balancer.stop();

    let more = ["-l", "127.0.0.1:0", "-b", &b.flag(), "--route", "*=refuse"];
    let balancer = start(&[route("a.example", &[&a])], &more);
    let client = balancer.connect();
    (&client).write_all(&asking_for("c.example")).unwrap();
    is_told(&client, UNRECOGNIZED_NAME);
    balancer.stop_after(client);

    let balancer = start(&[], &["-b", &b.flag()]);
    assert_eq!(who_answers(&balancer, &asking_for("c.example")), "b");
    balancer.stop();
}

/// In pieces of any size, with anything behind it: the backend gets what the client sent.
#[test]
fn every_byte_arrives_untouched() {
    let (backend, ends) = Backend::silent();
    let balancer = start(&[route("www.example.com", &[&backend])], &[]);
    let longest = hello::padded("www.example.com", 16_000);
    let behind = [EARLY, &noise(2, 300_000)].concat();
    for bytes in [CURL, CHROME, EARLY, &longest, &behind] {
        for piece in [bytes.len(), 1400, 100] {
            let client = balancer.connect();
            client.set_nodelay(true).unwrap();
            bytes.chunks(piece).for_each(|piece| (&client).write_all(piece).unwrap());
            client.shutdown(Shutdown::Write).unwrap();
            assert!(received(&ends) == bytes, "{} bytes by {piece}", bytes.len());
            assert_eq!(read_to_end(&client), End::Finished(vec![]));
        }
    }
    balancer.stop();
}

/// One byte, and only when that one was read the next.
#[test]
fn a_hello_may_come_byte_by_byte() {
    let (backend, ends) = Backend::silent();
    let balancer = start(&[route("www.example.com", &[&backend])], &["--log-level", "info"]);
    let client = balancer.connect();
    client.set_nodelay(true).unwrap();
    for byte in CURL {
        assert_eq!(backend.accepted(), 0, "not before the hello is whole");
        let sleeps = balancer.sleeps();
        (&client).write_all(&[*byte]).unwrap();
        until("the byte was read", || balancer.sleeps() > sleeps);
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(received(&ends), CURL);
    balancer.stop_after(client);
}

#[test]
fn what_is_no_hello_gets_an_alert_at_once() {
    let a = lettered(b'a');
    let balancer = start(&[route("*", &[&a])], &[]);
    let too_long = [&hello::padded("a.example", 10)[..6], &[1, 0, 0], &[0; 9]].concat();
    let table: [(&[u8], u8); 8] = [
        (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", UNEXPECTED_MESSAGE),
        (b"\0", UNEXPECTED_MESSAGE),
        (b"\x80\x2e\x01\x03\x01", UNEXPECTED_MESSAGE),
        (b"\x16\x02", 70),
        (b"\x16\x03\x01\xff\xff", 22),
        (b"\x16\x03\x01\x00\x00", UNEXPECTED_MESSAGE),
        (&too_long, 47),
        (b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfd", 47),
    ];
    let count = table.len();
    for (bytes, number) in table {
        let client = balancer.connect();
        (&client).write_all(bytes).unwrap();
        is_told(&client, number);
    }
    balancer.wait_until_idle();
    assert_eq!(a.accepted(), 0);
    assert_eq!(bad_hellos(&balancer), count);
    balancer.stop();
}

/// How many hellos were none, by the status page's last line.
fn bad_hellos(balancer: &Balancer) -> usize {
    balancer.page_number(" began with no ClientHello")
}

/// Garbage of a client that never closes costs a moment of listening, and no processor.
#[test]
fn garbage_makes_no_busy_loop() {
    let a = lettered(b'a');
    let balancer = start(&[route("*", &[&a])], &["--log-level", "info"]);
    let clients: Vec<TcpStream> = (0..50).map(|_| balancer.connect()).collect();
    let mut began = Instant::now();
    for client in &clients {
        began = Instant::now();
        (&*client).write_all(b"\xff\xff\xff").unwrap();
        let mut told = [0; 7];
        (&*client).read_exact(&mut told).unwrap();
        assert_eq!(told, alert(UNEXPECTED_MESSAGE));
        assert_eq!((&*client).read(&mut told).unwrap(), 0);
    }
    let ticks = balancer.cpu_ticks();
    balancer.wait_until_idle();
    assert!(began.elapsed() > Duration::from_secs(3), "it hears the last out for a moment");
    assert!(balancer.cpu_ticks() - ticks < 50, "{} ticks", balancer.cpu_ticks() - ticks);
    balancer.stop_after(clients);
}

#[test]
fn who_is_too_late_is_closed() {
    let a = lettered(b'a');
    let more = ["--tls-handshake-timeout", "2s"];
    let balancer = start(&[route("*", &[&a])], &more);
    let quick = balancer.connect();
    let began = Instant::now();
    let silent = balancer.connect();
    let slow = balancer.connect();
    (&slow).write_all(&CURL[..100]).unwrap();
    assert_eq!(hello::answer_to(&quick, CURL).unwrap(), "a");
    // Dripping does not help: the time counts from the beginning.
    let mut dripped = 100;
    while (&slow).write_all(&CURL[dripped..=dripped]).is_ok() && dripped < 400 {
        dripped += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    for client in [&silent, &slow] {
        let end = read_to_end(client);
        assert!(end == End::Finished(vec![]) || end == End::Reset(0), "{end:?}");
        assert!(began.elapsed() >= Duration::from_secs(2));
    }
    assert_eq!(ask(&quick, b"still here"), b"still here", "the deadline was the hello's");
    assert_eq!(balancer.page_number(" were too late"), 2);
    balancer.wait_for_log("reading the ClientHello: no ClientHello in time");
    balancer.stop_after(quick);
}

/// Or forty connections that say nothing would keep everybody out for as long as a hello may take.
#[test]
fn at_the_limit_a_client_without_a_whole_hello_gives_way() {
    let a = lettered(b'a');
    let more = ["--tls-handshake-timeout", "10m", "--max-connections", "20"];
    let balancer = start(&[route("*", &[&a])], &more);
    let served = balancer.connect();
    assert_eq!(hello::answer_to(&served, CURL).unwrap(), "a");
    let silent: Vec<TcpStream> = (0..40).map(|_| balancer.connect()).collect();
    // Some have begun, and none of them is ever done.
    silent.iter().step_by(2).for_each(|mut client| {
        let _ = client.write_all(&CURL[..100]);
    });
    assert_eq!(who_answers(&balancer, CURL), "a");
    assert_eq!(ask(&served, b"still here"), b"still here");
    assert!(balancer.count("open of") <= 20);
    balancer.wait_for_log("reading the ClientHello: gave way to a new client");
    balancer.stop_after((served, silent));
}

#[test]
fn who_leaves_before_its_hello_is_whole_is_forgotten() {
    let a = lettered(b'a');
    let balancer = start(&[route("*", &[&a])], &[]);
    let client = balancer.connect();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&client), End::Finished(vec![]), "a port probe is no failure");
    assert_eq!(balancer.count("finished"), 1);
    let client = balancer.connect();
    (&client).write_all(&CURL[..200]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    read_to_end(&client);
    balancer.wait_for_log("the client's connection broke: ended too early");
    let client = balancer.connect();
    (&client).write_all(&CURL[..200]).unwrap();
    until("it was accepted", || balancer.count("open of") == 1);
    reset(client);
    balancer.wait_until_idle();
    assert_eq!((balancer.count("failed"), a.accepted()), (2, 0));
    balancer.stop();
}

#[test]
fn half_closes_pass() {
    let (backend, taken) = Backend::manual();
    let balancer = start(&[route("www.example.com", &[&backend])], &[]);
    let client = balancer.connect();
    (&client).write_all(CURL).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut served = taken.recv_timeout(DEADLINE).unwrap();
    assert_eq!(read_to_end(&served), End::Finished(CURL.to_vec()));
    served.write_all(&noise(3, 500_000)).unwrap();
    drop(served);
    assert!(read_to_end(&client).bytes() == noise(3, 500_000));

    let client = balancer.connect();
    (&client).write_all(CURL).unwrap();
    let served = taken.recv_timeout(DEADLINE).unwrap();
    served.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&client), End::Finished(vec![]));
    (&client).write_all(b"and more").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&served), End::Finished([CURL, b"and more"].concat()));
    drop((client, served));
    balancer.stop();
}

#[test]
fn a_dead_backend_is_passed_over_with_the_whole_hello() {
    let (backend, ends) = Backend::silent();
    let hole = BlackHole::start();
    let dead = free_port();
    let routes = [format!("www.example.com={dead},{},{}", hole.flag(), backend.flag())];
    let more = ["--balance", "first", "--connect-timeout", "200ms"];
    let balancer = start(&routes, &more);
    for bytes in [CURL, CHROME, &[CURL, &noise(4, 50_000)].concat()] {
        let client = balancer.connect();
        (&client).write_all(bytes).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(received(&ends) == bytes);
        assert_eq!(read_to_end(&client), End::Finished(vec![]));
    }
    assert_eq!(balancer.count("retries"), 6);
    assert_eq!(balancer.row(&dead.to_string()).failed, 3);
    balancer.stop();
}

#[test]
fn a_route_whose_backends_are_gone_does_not_use_others() {
    let a = lettered(b'a');
    let b = lettered(b'b');
    let dead = free_port();
    let routes = [format!("dead.example={dead}"), route("a.example", &[&a])];
    let balancer = start(&routes, &["-b", &b.flag()]);
    let client = balancer.connect();
    (&client).write_all(&asking_for("dead.example")).unwrap();
    assert_eq!(read_to_end(&client), End::Reset(0));
    assert_eq!(who_answers(&balancer, &asking_for("a.example")), "a");
    assert_eq!(b.accepted(), 0);
    balancer.wait_until_idle();
    balancer.stop();
}

/// A route that has nobody else does not keep its only backend up for the others: they stop asking
/// it, and it goes on, until a probe says the same as the clients.
#[test]
fn the_only_backend_of_one_route_can_go_down_in_another() {
    let good = lettered(b'g');
    let place = free_port();
    let routes =
        [format!("alone.example={place}"), format!("both.example={place},{}", good.flag())];
    let args = ["-l", "sni://127.0.0.1:0", "--check-interval", "1h", "--balance", "first"];
    let routed = ["--route", &routes[0], "--route", &routes[1]];
    let balancer = Balancer::start(&[&args[..], &routed[..]].concat());
    for _ in 0..3 {
        assert_eq!(who_answers(&balancer, &asking_for("both.example")), "g");
    }
    let row = balancer.row(&place.to_string());
    assert_eq!((row.failed, row.is_up()), (1, false), "asked once: {row:?}");
    let late = lettered_at(place, b'l');
    assert_eq!(who_answers(&balancer, &asking_for("alone.example")), "l");
    assert_eq!(who_answers(&balancer, &asking_for("both.example")), "g");
    assert_eq!(late.accepted(), 1);
    balancer.wait_until_idle();
    balancer.stop();
}

/// Each route balances by itself; a backend of two routes is one, and probed once.
#[test]
fn routes_share_backends() {
    let a = lettered(b'a');
    let b = lettered(b'b');
    let both = route("a.example", &[&a, &b]);
    let routes = [both.clone(), both.replace("a.example", "*.example"), route("*", &[&a])];
    let probes = ["--check", "tcp", "--check-interval", "200ms"];
    let mut args = vec!["-l", "sni://127.0.0.1:0"];
    args.extend(routes.iter().flat_map(|route| ["--route", route]));
    let began = Instant::now();
    let balancer = Balancer::start(&[&args[..], &probes].concat());
    until("five probes came", || b.accepted() >= 5);
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    // Least connections: both routes see what the other one did.
    let kept = ["a.example", "b.example", "a.example", "b.example"].map(|name| {
        let client = balancer.connect();
        assert!(hello::answer_to(&client, &asking_for(name)).is_ok());
        client
    });
    assert_eq!((balancer.row(&a.name()).active, balancer.row(&b.name()).active), (2, 2));
    let page = balancer.page();
    assert_eq!(page.iter().filter(|line| line.starts_with(&a.name())).count(), 1);
    balancer.stop_after(kept);
}

#[test]
fn a_thousand_connections_at_once_each_where_it_belongs() {
    let backends = [lettered(b'a'), lettered(b'b'), lettered(b'c')];
    let names = ["a.example", "b.example", "*.c.example"];
    let routes: Vec<String> =
        names.iter().zip(&backends).map(|(name, backend)| route(name, &[backend])).collect();
    // A thousand clients take a busy machine longer than a hello may take by default.
    let patient = ["--tls-handshake-timeout", "1h", "--log-level", "info"];
    let balancer = start(&routes, &patient);
    let asked = [("a.example", b'a'), ("b.example", b'b'), ("x.c.example", b'c')];
    let mut random = fastrand::Rng::with_seed(1);
    let clients: Vec<(TcpStream, Vec<u8>, u8, usize)> = (0..1000)
        .map(|index| {
            let (name, letter) = asked[index % 3];
            let hello = hello::padded(name, random.usize(..2000));
            let cut = random.usize(..=hello.len());
            let client = balancer.connect();
            (&client).write_all(&hello[..cut]).unwrap();
            (client, hello, letter, cut)
        })
        .collect();
    for (client, hello, letter, cut) in &clients {
        (&*client).write_all(&hello[*cut..]).unwrap();
        let mut answer = [0; 1];
        (&*client).read_exact(&mut answer).unwrap();
        assert_eq!(answer[0], *letter);
    }
    for (client, ..) in &clients {
        assert_eq!(ask(client, b"and on"), b"and on");
    }
    let totals: usize = backends.iter().map(|b| balancer.row(&b.name()).total).sum();
    assert_eq!(totals, 1000);
    drop(clients);
    balancer.wait_until_idle();
    balancer.stop();
}

/// After the hello it is TCP like any other, splice included.
#[test]
fn large_streams_pass_whole() {
    let (backend, taken) = Backend::manual();
    let balancer = start(&[route("www.example.com", &[&backend])], &[]);
    let client = balancer.connect();
    (&client).write_all(CURL).unwrap();
    let served = taken.recv_timeout(DEADLINE).unwrap();
    (&served).read_exact(&mut [0; CURL.len()]).unwrap();
    let up = noise(5, 20_000_000);
    let down = noise(6, 20_000_000);
    let writers = [
        write_on_thread(&client, up.clone(), true),
        write_on_thread(&served, down.clone(), true),
    ];
    let reader = std::thread::spawn(move || read_to_end(&served).bytes() == up);
    assert!(read_to_end(&client).bytes() == down);
    assert!(reader.join().unwrap());
    writers.into_iter().for_each(|writer| writer.join().unwrap().unwrap());
    balancer.stop_after(client);
}

#[test]
fn who_waits_takes_no_more_memory_than_it_sent() {
    let a = lettered(b'a');
    let balancer = start(&[route("*", &[&a])], &["--log-level", "info"]);
    let hello = hello::padded("a.example", 16_000);
    let waits = |bytes: usize| {
        let client = balancer.connect();
        client.set_nodelay(true).unwrap();
        hello[..bytes].chunks(1000).for_each(|piece| (&client).write_all(piece).unwrap());
        client
    };
    let mut clients: Vec<TcpStream> = (0..10).map(|_| waits(15_000)).collect();
    let all_here = |count: usize| {
        until("all are here", || balancer.count("open of") == count);
        private_dirty(&balancer)
    };
    let before = all_here(10);
    clients.extend((0..200).map(|_| waits(15_000)));
    let each = (all_here(210) - before) / 200.0;
    println!("{each:.0} bytes for each client that waits after 15,000");
    assert!(each < 24.0 * 1024.0, "{each} bytes");
    assert_eq!(a.accepted(), 0);
    drop(clients);
    balancer.wait_until_idle();
    balancer.stop();
}

#[test]
fn a_stop_lets_who_is_here_say_its_hello() {
    let (backend, taken) = Backend::manual();
    let routes = [route("www.example.com", &[&backend])];
    let mut balancer = start(&routes, &["--tls-handshake-timeout", "2s"]);
    let half = balancer.connect();
    let fresh = balancer.connect();
    let silent = balancer.connect();
    (&half).write_all(&CURL[..300]).unwrap();
    until("all are here", || balancer.count("open of") == 3);
    balancer.signal(Signal::TERM);
    balancer.wait_for_log("stopping: 3 connections may finish");
    (&half).write_all(&CURL[300..]).unwrap();
    (&fresh).write_all(CURL).unwrap();
    for _ in 0..2 {
        let mut served = taken.recv_timeout(DEADLINE).unwrap();
        served.read_exact(&mut [0; CURL.len()]).unwrap();
        served.write_all(b"bye").unwrap();
    }
    for client in [half, fresh] {
        assert_eq!(read_to_end(&client), End::Finished(b"bye".to_vec()));
    }
    assert_eq!(read_to_end(&silent), End::Finished(vec![]), "it had its time");
    assert_eq!(balancer.wait().code(), Some(0));
}

#[test]
fn the_end_of_the_drain_time_is_the_end_of_waiting() {
    let a = lettered(b'a');
    let more = ["--drain-timeout", "200ms", "--tls-handshake-timeout", "1h"];
    let mut balancer = start(&[route("*", &[&a])], &more);
    let half = balancer.connect();
    let silent = balancer.connect();
    let told = balancer.connect();
    (&half).write_all(&CURL[..300]).unwrap();
    (&told).write_all(b"garbage").unwrap();
    (&told).read_exact(&mut [0; 7]).unwrap();
    until("all are here", || balancer.count("open of") == 3);
    balancer.signal(Signal::TERM);
    assert_eq!(balancer.wait().code(), Some(0));
    assert_eq!(read_to_end(&half), End::Reset(0));
    assert_eq!(read_to_end(&silent), End::Reset(0));
}
