//! What goes on: clients, connections, flows, numbers.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::http::Origin;
use crate::common::udp::{UdpBackend, ask_text, client};
use crate::common::{Backend, Balancer, DEADLINE, connect, until, with_deadline};
use crate::load::Load;
use crate::{Place, ends, exists, is_gone, read_head, wait_until_gone};

/// Of the process, and of backends: what the state file has.
const SUMS: &[&str] = &["pointsman_requests_total", "pointsman_connections_total"];

/// Answers a request for an upgrade, and then with what it gets.
pub fn upgrading() -> Backend {
    Backend::start(|mut stream| {
        let mut buffer = [0; 4096];
        let mut upgraded = false;
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            let answer = if upgraded {
                text
            } else if text.contains("Upgrade: websocket") {
                upgraded = true;
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\n\r\n"
                    .to_owned()
            } else {
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned()
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// A connection of which the protocol was switched.
fn upgrade(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    let request =
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("taken");
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream
}

fn says_it_back(mut stream: &TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("taken");
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).expect("it comes back");
    assert_eq!(back, text.as_bytes());
}

/// Clients of UDP, each of which asks all the time and counts what is not answered.
struct Askers {
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    answers: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Askers {
    fn start(address: SocketAddr, count: usize, pause: Duration) -> Askers {
        let stop = Arc::new(AtomicBool::new(false));
        let lost = Arc::new(AtomicU64::new(0));
        let answers = Arc::new(AtomicU64::new(0));
        let all: Vec<UdpSocket> = (0..count).map(|_| client(address)).collect();
        let told = (Arc::clone(&stop), Arc::clone(&lost), Arc::clone(&answers));
        let thread = thread::spawn(move || {
            let (stop, lost, answers) = told;
            let mut number = 0_u64;
            while !stop.load(Ordering::SeqCst) {
                for socket in &all {
                    number += 1;
                    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("not zero");
                    socket.send(&number.to_be_bytes()).expect("sent");
                    let mut back = [0; 8];
                    let is_back =
                        socket.recv(&mut back).is_ok() && back == number.to_be_bytes();
                    let counter = if is_back { &answers } else { &lost };
                    counter.fetch_add(1, Ordering::SeqCst);
                }
                thread::sleep(pause);
            }
        });
        Askers { stop, lost, answers, threads: vec![thread] }
    }

    fn end(self) -> (u64, u64) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|it| it.join().expect("no panic"));
        (self.answers.load(Ordering::SeqCst), self.lost.load(Ordering::SeqCst))
    }
}

/// So many handovers, under so many requests a second, beside so many connections that do nothing.
struct Row {
    handovers: usize,
    rate: u32,
    idle: usize,
}

/// A file for all of them.
fn configured(place: &Place, backends: [SocketAddr; 3]) -> String {
    let [web, echo, names] = backends;
    let file = place.path("web.toml");
    let text = format!(
        "[global]\ndrain_timeout = \"10m\"\n[admin]\nlisten = [\"unix:{}\"]\n\
         [service.web]\nlisten = [\"http://127.0.0.1:0\", \"http://unix:{}\"]\npool = \"web\"\n\
         [pool.web]\nbackends = [\"{}\"]\n[pool.web.check]\nkind = \"none\"\n\
         [service.echo]\nlisten = [\"tcp://127.0.0.1:0\"]\npool = \"echo\"\n\
         [pool.echo]\nbackends = [\"{}\"]\n[pool.echo.check]\nkind = \"none\"\n\
         [service.names]\nlisten = [\"udp://127.0.0.1:0\"]\npool = \"names\"\n\
         [pool.names]\nbackends = [\"{}\"]\n[pool.names.check]\nkind = \"none\"\n",
        place.admin().display(),
        place.path("web.sock").display(),
        web,
        echo,
        names,
    );
    std::fs::write(&file, text).expect("written");
    file.display().to_string()
}

fn handed_over_in_a_row(name: &str, row: &Row) {
    let backend = upgrading();
    let datagrams = Arc::new(Mutex::new(HashSet::new()));
    let peers = Arc::clone(&datagrams);
    let udp = peers_of(peers);
    let place = Place::new(name, &[]);
    let local = place.path("web.sock");
    let echo = Backend::echo();
    let file = configured(&place, [backend.address, echo.address, udp]);
    let start = |more: &[&str]| {
        let fixed = ["--config", &file, "--log-level", "info"];
        let args: Vec<&str> = fixed.into_iter().chain(more.iter().copied()).collect();
        Balancer::start_listeners(&args, 4)
    };
    let first = start(&[]);
    let http = first.addresses[0];
    let names = first.addresses[2];
    let idle: Vec<TcpStream> = (0..row.idle).map(|_| upgrade(http)).collect();
    let mut load = Load::default();
    let kept = 8;
    for _ in 0..kept {
        load.kept(http, Duration::from_secs(kept) / row.rate);
    }
    load.once(http, Duration::from_millis(2));
    load.echo(first.addresses[1], Duration::from_millis(2));
    load.once_at(local.clone(), Duration::from_millis(2));
    load.scrapes(place.admin(), SUMS);
    let askers = Askers::start(names, 50, Duration::from_millis(1));
    let began = Instant::now();
    let mut all = vec![first];
    for at in 0..row.handovers {
        // Several in each second, and not all at the same moment of it.
        thread::sleep(Duration::from_millis(100 + at as u64 % 7 * 30));
        let takeover = place.admin().display().to_string();
        let next = start(&["--takeover", &takeover]);
        assert_eq!(next.addresses, all[0].addresses);
        all.push(next);
        // All but the first, which has those that are idle, end by themselves.
        if all.len() > 2 {
            wait_until_gone(&all[1]);
            drop(all.remove(1));
        }
    }
    thread::sleep(Duration::from_millis(200));
    let took = began.elapsed();
    let answers = load.end();
    let (answered, lost) = askers.end();
    assert_eq!(lost, 0, "datagrams of {answered}");
    let flows = datagrams.lock().unwrap().len();
    assert_eq!(flows, 50, "each flow kept its socket");
    idle.iter().for_each(|it| says_it_back(it, "still here"));
    assert!(!is_gone(&all[0]) || row.idle == 0, "it has the idle ones");
    drop(idle);
    wait_until_gone(&all[0]);
    // Answers of scrapes are none of a service.
    eprintln!(
        "{} handovers in {took:?}: {answers} answers, {answered} datagrams, none lost",
        row.handovers
    );
    let last = all.pop().expect("one serves");
    last.stop();
    assert!(!exists(&local), "its file goes with the last one");
}

/// Answers with what it gets; notes who asks.
fn peers_of(peers: Arc<Mutex<HashSet<SocketAddr>>>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            peers.lock().unwrap().insert(from);
            let _ = socket.send_to(&buffer[..count], from);
        }
    });
    address
}

#[test]
fn five_in_a_row_under_load_lose_nothing() {
    handed_over_in_a_row("five", &Row { handovers: 5, rate: 400, idle: 20 });
}

/// `TAKEOVERS=100 cargo test --release --test takeover many -- --nocapture`
#[test]
fn many_in_a_row_under_much_load_lose_nothing() {
    let Some(count) = std::env::var("TAKEOVERS").ok().and_then(|it| it.parse().ok()) else {
        return eprintln!("skipped: TAKEOVERS=100 says how many");
    };
    handed_over_in_a_row("many", &Row { handovers: count, rate: 5000, idle: 1000 });
}

#[test]
fn connections_stay_with_the_old_process_until_they_are_done_and_their_counts_come() {
    let backend = upgrading();
    let flag = backend.flag();
    let place =
        Place::new("stay", &["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"]);
    let old = place.start();
    let chat = upgrade(old.address());
    says_it_back(&chat, "before");
    let before = place.metric("pointsman_requests_total");
    let new = place.next();
    assert_eq!(new.address(), old.address());
    assert!(place.metric("pointsman_requests_total") >= before);
    says_it_back(&chat, "behind");
    old.wait_for_log("serves: 1 connection of ours may finish within 30s");
    // The bytes of a connection of the old process are counted where the sums are.
    let name = format!(
        "pointsman_backend_bytes_total{{pool=\"main\",backend=\"{}\",direction=\"received\"}}",
        backend.name()
    );
    let counted = place.metric(&name);
    says_it_back(&chat, &"x".repeat(3000));
    until("they come", || place.metric(&name) >= counted + 3000);
    drop(chat);
    ends(old);
    new.wait_for_log("which was in our place, is gone");
    new.stop();
}

/// Who is replaced while others drain passes on what they tell, and ends.
#[test]
fn what_the_first_counts_comes_to_the_last_however_many_were_between() {
    let backend = upgrading();
    let flag = backend.flag();
    let place =
        Place::new("tails", &["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"]);
    let first = place.start();
    let chat = upgrade(first.address());
    let name = format!(
        "pointsman_backend_bytes_total{{pool=\"main\",backend=\"{}\",direction=\"received\"}}",
        backend.name()
    );
    let mut last = place.next();
    for _ in 0..4 {
        let next = place.next();
        ends(std::mem::replace(&mut last, next));
        let before = place.metric(&name);
        says_it_back(&chat, &"x".repeat(2000));
        until("its bytes are counted", || place.metric(&name) >= before + 2000);
    }
    drop(chat);
    ends(first);
    last.wait_for_log("which was in our place, is gone");
    last.stop();
}

/// The sockets are open in both for a moment: whoever gave them up hears nothing of them.
#[test]
fn the_old_process_is_not_woken_for_what_comes_to_the_new_one() {
    let backend = upgrading();
    let flag = backend.flag();
    let place =
        Place::new("wakes", &["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"]);
    let old = place.start();
    let chat = upgrade(old.address());
    let new = place.next();
    let slept = old.sleeps();
    let used = old.cpu_ticks();
    let mut load = Load::default();
    load.once(new.address(), Duration::from_millis(1));
    load.scrapes(place.admin(), SUMS);
    thread::sleep(Duration::from_secs(2));
    assert!(load.end() > 50);
    assert!(old.sleeps() < slept + 30, "{} wakes", old.sleeps() - slept);
    assert!(old.cpu_ticks() < used + 10, "{} ticks", old.cpu_ticks() - used);
    says_it_back(&chat, "still here");
    drop(chat);
    ends(old);
    new.stop();
}

#[test]
fn a_stop_of_both_leaves_the_connections_of_the_old_one_their_time() {
    let backend = upgrading();
    let flag = backend.flag();
    let place =
        Place::new("stop", &["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"]);
    let mut old = place.start();
    let chat = upgrade(old.address());
    let new = place.next();
    old.wait_for_log("serves: 1 connection");
    // As the service manager does it, to each process of the unit.
    old.signal(Signal::TERM);
    new.stop();
    old.wait_for_log("another process serves: connections may finish as before");
    says_it_back(&chat, "still here");
    old.signal(Signal::TERM);
    assert!(old.wait().success());
}

#[test]
fn flows_go_on_at_the_socket_that_they_had() {
    let peers = Arc::new(Mutex::new(HashSet::new()));
    let backend = peers_of(Arc::clone(&peers)).to_string();
    let place = Place::new("flows", &["-l", "udp://127.0.0.1:0", "-b", &backend]);
    let old = place.start();
    let clients: Vec<UdpSocket> = (0..300).map(|_| client(old.address())).collect();
    clients.iter().for_each(|it| assert_eq!(ask_text(it, "one"), "one"));
    let new = place.next();
    ends(old);
    new.wait_for_log("300 flows of 300 of the process before go on");
    clients.iter().for_each(|it| assert_eq!(ask_text(it, "two"), "two"));
    assert_eq!(peers.lock().unwrap().len(), 300, "none has another socket");
    assert_eq!(new.log_so_far().matches("flow of").count(), 0, "none was begun anew");
    new.stop();
}

#[test]
fn a_flow_whose_backend_is_gone_begins_anew() {
    let one = UdpBackend::named("one");
    let two = UdpBackend::named("two");
    let place = Place::new("moved", &["-l", "udp://127.0.0.1:0", "-b", &one.flag()]);
    let old = place.start();
    let it = client(old.address());
    assert_eq!(ask_text(&it, "?"), "one");
    let other = Place { flags: place.flags.clone(), directory: place.path("none") };
    let flags = other.flags.iter().map(|it| it.replace(&one.flag(), &two.flag()));
    let other = Place { flags: flags.collect(), directory: place.directory.clone() };
    let new = other.next();
    ends(old);
    assert_eq!(ask_text(&it, "?"), "two");
    new.stop();
    std::mem::forget(other);
}

#[test]
fn what_was_told_and_what_is_not_wanted_any_more() {
    let one = Origin::named("one");
    let two = Origin::named("two");
    let a = format!("{},name=a", one.backend.address);
    let b = format!("{},name=b", two.backend.address);
    let gone = crate::common::free_port();
    let old_flags = ["-l", "http://127.0.0.1:0", "-b", &a, "-b", &b, "--check", "none"];
    let place = Place::new("told", &old_flags);
    let extra = format!("http://{gone}");
    let old = Balancer::start(&place.arguments(&["-l", &extra]));
    let address = old.address();
    let bans = crate::ask_admin(&place.admin(), "PUT", "/api/v1/bans/192.0.2.1?for=1h");
    assert!(bans.contains("HTTP/1.1 4") || bans.contains("HTTP/1.1 2"), "{bans}");
    let drained = crate::ask_admin(&place.admin(), "POST", "/api/v1/drain");
    assert!(drained.starts_with("HTTP/1.1 2"), "{drained}");
    let new = place.next();
    ends(old);
    assert_eq!(new.address(), address);
    assert!(TcpStream::connect(gone).is_err(), "nobody wants it");
    let ready = crate::ask_admin(&place.admin(), "GET", "/ready");
    assert!(ready.starts_with("HTTP/1.1 503"), "drained as before: {ready}");
    let mut stream = with_deadline(TcpStream::connect(address).expect("it listens"));
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    new.stop();
}
