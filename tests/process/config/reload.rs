//! SIGHUP: the file is read again, what is different is changed, and who is connected goes on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;

use super::{File, HTTP, all_that_answer, answers, body, get, named, pool, service};
use crate::common::http::{Origin, Wire};
use crate::common::udp::{self, UdpBackend};
use crate::common::{Backend, Balancer, ask, connect, free_port, until};

/// Takes what the file says by now; the receipt's line.
#[track_caller]
fn reload(balancer: &Balancer, generation: usize) -> String {
    let begins = format!(" generation {generation}: ");
    balancer.signal(Signal::HUP);
    balancer.wait_for_log(&begins);
    let log = balancer.log_so_far();
    let line = log.lines().find(|line| line.contains(&begins)).expect("it was waited for");
    line[line.find(&begins).expect("it was found") + 1..].to_owned()
}

#[test]
fn what_is_changed_in_the_file_is_taken_while_clients_stay() {
    let [one, two, three, fresh] = ["one", "two", "three", "fresh"].map(Origin::named);
    let web = service("web", HTTP, "match = [{ host = \"web.test\" }]");
    let file = File::new(&(web.clone() + &pool("web", &[&one, &two])));
    let balancer = file.serve(&[]);
    let mut client = Wire::to(&balancer);
    assert_eq!(all_that_answer(&mut client, "web.test", 8), named(&["one", "two"]));
    assert_eq!(client.ask(get("new.test", "/")).status(), 404);
    let port = free_port();
    let more = service("fresh", HTTP, "match = [{ host = \"new.test\" }]")
        .replace(HTTP, &format!("{HTTP}\", \"http://{port}"));
    file.write(&[web, more, pool("web", &[&two, &three]), pool("fresh", &[&fresh])].concat());
    let line = reload(&balancer, 2);
    let parts =
        ["1 listener kept, 1 opened, 1 connection kept", "services +1", "pool web: +1 -1"];
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    let was_asked = one.count();
    assert_eq!(all_that_answer(&mut client, "web.test", 8), named(&["two", "three"]));
    assert_eq!(one.count(), was_asked, "it is not in the file any more");
    assert_eq!(body(&client.ask(get("new.test", "/"))), "fresh");
    for address in [balancer.address(), port] {
        assert_eq!(answers(address, "new.test", "/"), "fresh");
    }
    // Nothing has changed since.
    until("the others are gone", || balancer.count("open of") == 1);
    let line = reload(&balancer, 3);
    assert!(line.contains("generation 3: 2 listeners kept, 1 connection kept; "), "{line}");
    assert!(!line.contains("pool") && !line.contains("services"), "{line}");
    balancer.stop_after(client);
}

#[test]
fn a_bad_file_changes_nothing_and_a_later_good_one_is_taken() {
    let [one, two] = ["one", "two"].map(Origin::named);
    let text = |origin: &Origin| service("web", HTTP, "") + &pool("web", &[origin]);
    let file = File::new(&text(&one));
    let balancer = file.serve(&[]);
    let mut client = Wire::to(&balancer);
    assert_eq!(body(&client.ask(get("a", "/"))), "one");
    file.write(&text(&two).replace("check = ", "chekc = "));
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("the configuration has mistakes: all stays as it was");
    let log = balancer.log();
    assert!(!log.contains("\\n"), "each line of a mistake is a line of the log: {log}");
    let place = format!("--> {}:6:1", file.arg());
    for part in ["error: unknown key `chekc`", &place, "chekc = \"none\"", "^^^^^ did you mean"]
    {
        assert!(log.contains(part), "{log}\n  not: {part}");
    }
    assert_eq!(all_that_answer(&mut client, "a", 4), named(&["one"]));
    assert_eq!(answers(balancer.address(), "a", "/"), "one");
    assert!(!log.contains("] generation "), "{log}");
    file.write(&text(&two));
    reload(&balancer, 2);
    assert_eq!(all_that_answer(&mut client, "a", 4), named(&["two"]));
    balancer.stop_after(client);
}

/// What is right in itself and cannot be had, and a file that is not there.
#[test]
fn what_cannot_be_had_changes_nothing() {
    let [one, two] = ["one", "two"].map(Origin::named);
    let text = |origin: &Origin| service("web", HTTP, "") + &pool("web", &[origin]);
    let file = File::new(&text(&one));
    let balancer = file.serve(&[]);
    let mut client = Wire::to(&balancer);
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("http://{}", holder.local_addr().unwrap());
    file.write(&text(&two).replace(HTTP, &format!("{HTTP}\", \"{taken}")));
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("the port is in use");
    // With its place in the file.
    balancer.wait_for_log(&format!("{taken}\"]"));
    assert_eq!(all_that_answer(&mut client, "a", 4), named(&["one"]));
    std::fs::remove_file(&file.path).unwrap();
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("there is no such file");
    balancer.wait_for_log("the configuration has mistakes: all stays as it was");
    assert_eq!(all_that_answer(&mut client, "a", 4), named(&["one"]));
    file.write(&text(&two));
    reload(&balancer, 2);
    assert_eq!(all_that_answer(&mut client, "a", 4), named(&["two"]));
    balancer.stop_after(client);
}

const RELOADS: usize = 20;

const CLIENTS: usize = 4;

/// Requests of one client until it is told to stop: every other one on a new connection.
fn ask_on(address: std::net::SocketAddr, answered: &AtomicUsize, stop: &AtomicBool) {
    let mut kept = Wire::new(connect(address));
    while !stop.load(Ordering::SeqCst) {
        let answer = kept.ask(get("a", "/"));
        assert!(
            body(&answer).starts_with("server ") && answer.keeps_alive(),
            "{}",
            answer.head
        );
        let name = answers(address, "a", "/");
        assert!(name.starts_with("server "), "{name}");
        answered.fetch_add(2, Ordering::SeqCst);
    }
}

#[test]
fn no_request_fails_while_the_file_is_read_again_and_again() {
    let origins = ["server 1", "server 2", "server 3", "server 4"].map(Origin::named);
    let text = |round: usize| {
        let first = round % origins.len();
        let second = (round + 1 + round / origins.len() % 2) % origins.len();
        service("web", HTTP, "") + &pool("web", &[&origins[first], &origins[second]])
    };
    let file = File::new(&text(0));
    let balancer = file.serve(&["--log-level", "info"]);
    let address = balancer.address();
    let answered = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let ask = || scope.spawn(|| ask_on(address, &answered, &stop));
        let clients: Vec<_> = (0..CLIENTS).map(|_| ask()).collect();
        let is_failed = || clients.iter().any(|client| client.is_finished());
        for round in 1..=RELOADS {
            let before = answered.load(Ordering::SeqCst);
            until("requests are answered", || {
                is_failed() || answered.load(Ordering::SeqCst) >= before + 10 * CLIENTS
            });
            file.write(&text(round));
            let line = reload(&balancer, 1 + round);
            assert!(line.contains("pool web: +"), "{line}");
        }
        stop.store(true, Ordering::SeqCst);
    });
    let all: usize = origins.iter().map(Origin::count).sum();
    let answered = answered.load(Ordering::SeqCst);
    assert_eq!(all, answered, "each was asked of one server, once");
    assert!(origins.iter().all(|origin| origin.count() > 0));
    assert_eq!(balancer.count("failed"), 0);
    balancer.stop();
}

/// A service of streams or datagrams, and its pool of these addresses.
fn plain(listen: &str, backends: &[std::net::SocketAddr]) -> String {
    let list: Vec<String> = backends.iter().map(|it| format!("\"{it}\"")).collect();
    let pool = format!("[pool.p]\ncheck = \"none\"\nbackends = [{}]\n", list.join(", "));
    format!("[service.s]\nlisten = [\"{listen}\"]\npool = \"p\"\n{pool}")
}

#[test]
fn flows_keep_their_backends_while_others_are_added() {
    let [one, two] = ["one", "two"].map(UdpBackend::named);
    let listen = "udp://127.0.0.1:0";
    let file = File::new(&plain(listen, &[one.address]));
    let balancer = file.serve(&[]);
    let clients: Vec<_> = (0..8).map(|_| udp::client(balancer.address())).collect();
    let hear = || clients.iter().map(|it| udp::ask_text(it, "?")).collect::<Vec<_>>();
    assert_eq!(hear(), ["one"; 8]);
    file.write(&plain(listen, &[one.address, two.address]));
    let line = reload(&balancer, 2);
    assert!(line.contains("1 listener kept") && line.contains("pool p: +1;"), "{line}");
    assert_eq!(hear(), ["one"; 8]);
    // Whoever comes now finds the other one, which has the fewest.
    let fresh = udp::client(balancer.address());
    assert_eq!(udp::ask_text(&fresh, "?"), "two");
    assert_eq!(hear(), ["one"; 8]);
    balancer.stop();
}

#[test]
fn a_connection_outlives_its_backends_place_in_the_file() {
    let echo = Backend::echo();
    let other = Backend::named("other");
    let listen = "tcp://127.0.0.1:0";
    let file = File::new(&plain(listen, &[echo.address]));
    let balancer = file.serve(&[]);
    let client = balancer.connect();
    assert_eq!(ask(&client, b"before"), b"before");
    file.write(&plain(listen, &[other.address]));
    let line = reload(&balancer, 2);
    assert!(line.contains("1 connection kept"), "{line}");
    assert!(line.contains("pool p: +1 -1 (draining, 1 connection)"), "{line}");
    for word in [&b"after"[..], &vec![b'x'; 300_000]] {
        let answer = {
            let sender = crate::common::write_on_thread(&client, word.to_vec(), false);
            let mut answer = vec![0; word.len()];
            std::io::Read::read_exact(&mut &client, &mut answer).unwrap();
            sender.join().unwrap().unwrap();
            answer
        };
        assert!(answer == word);
    }
    let fresh = crate::common::read_to_end(&balancer.connect());
    assert_eq!(fresh.bytes(), b"other");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(crate::common::read_to_end(&client).bytes(), b"", "it ends as it began: well");
    balancer.wait_until_idle();
    assert_eq!(echo.accepted(), 1);
    balancer.stop();
}

/// A listener that is moved to where it and its like have been is told why that cannot be yet.
#[test]
fn a_port_that_a_removed_listener_has_is_said_to_be_ours() {
    let one = Origin::named("one");
    let port = free_port().port();
    let at = |address: &str| {
        let listen = format!("http://{address}:{port}");
        service("web", &listen, "") + &pool("web", &[&one])
    };
    let file = File::new(&at("127.0.0.1"));
    let balancer = file.serve(&[]);
    file.write(&at("0.0.0.0"));
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("a listener of ours has the port");
    let mut client = Wire::to(&balancer);
    assert_eq!(all_that_answer(&mut client, "a", 2), named(&["one"]));
}

/// What is wanted by then is nobody's concern any more.
#[test]
fn a_process_that_stops_reads_nothing_again() {
    let one = Origin::named("one");
    let text = service("web", HTTP, "") + &pool("web", &[&one]);
    let file = File::new(&text);
    let balancer = file.serve(&["--drain-timeout", "20s"]);
    let client = Wire::to(&balancer);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n");
    balancer.signal(Signal::TERM);
    balancer.wait_for_log("may finish within");
    file.write(&text.replace("127.0.0.1:0", "127.0.0.1:1"));
    balancer.signal(Signal::HUP);
    balancer.wait_for_log("what is wanted is not read again");
}
