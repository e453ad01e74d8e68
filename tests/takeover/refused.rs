//! What goes wrong: the old process goes on as if nothing had been, and the reason is told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::udp::{UdpBackend, ask_text, client};
use crate::common::{Backend, Balancer, ask, until};
use crate::{Place, ask_admin, ends, exists, fails, read_head};

const REQUEST: &str = "POST /api/v1/takeover HTTP/1.1\r\nHost: localhost\r\n\
                       Content-Type: application/json\r\nContent-Length: 0\r\n\
                       Connection: Upgrade\r\nUpgrade: pointsman-takeover\r\n\r\n";

pub const HELLO: &str = r#"{"protocol":1,"version":"0"}"#;

/// A new process that gets as far as the answer to its request.
pub fn stand_in(place: &Place) -> UnixStream {
    let mut stream = UnixStream::connect(place.admin()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(25))).expect("not zero");
    stream.write_all(REQUEST.as_bytes()).expect("taken");
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream
}

pub fn say(stream: &mut UnixStream, kind: u8, payload: &str) {
    let mut frame = vec![kind, 0];
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload.as_bytes());
    stream.write_all(&frame).expect("taken");
}

/// Reads messages up to one of this kind, which is told. Descriptors that come are dropped.
pub fn hear(stream: &mut UnixStream, wanted: u8) -> String {
    loop {
        let mut head = [0; 6];
        stream.read_exact(&mut head).expect("a message");
        let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).expect("all of it");
        if head[0] == wanted {
            return String::from_utf8(payload).expect("text");
        }
    }
}

pub struct Served {
    pub place: Place,
    pub old: Balancer,
    file: String,
    _backend: Backend,
    _datagrams: UdpBackend,
}

impl Served {
    pub fn new(name: &str) -> Served {
        let backend = Backend::echo();
        let datagrams = UdpBackend::echo();
        let place = Place::new(name, &[]);
        let file = place.path("web.toml");
        let text = format!(
            "[admin]\nlisten = [\"unix:{}\"]\n[service.web]\nlisten = [\"tcp://127.0.0.1:0\"]\n\
             pool = \"web\"\n[pool.web]\nbackends = [\"{}\"]\n[pool.web.check]\nkind = \"none\"\n\
             [service.names]\nlisten = [\"udp://127.0.0.1:0\"]\npool = \"names\"\n\
             [pool.names]\nbackends = [\"{}\"]\n[pool.names.check]\nkind = \"none\"\n",
            place.admin().display(),
            backend.flag(),
            datagrams.flag()
        );
        std::fs::write(&file, text).expect("written");
        let file = file.display().to_string();
        let old = Balancer::start_listeners(&["--config", &file], 2);
        Served { place, old, file, _backend: backend, _datagrams: datagrams }
    }

    /// One that asks at this path for the place.
    pub fn next_by(&self, path: &Path) -> Balancer {
        let path = path.display().to_string();
        Balancer::start_listeners(&["--config", &self.file, "--takeover", &path], 2)
    }

    /// What one says that does not get it.
    pub fn next_fails_by(&self, path: &Path) -> String {
        let path = path.display().to_string();
        let (said, code) = fails(&["--config", &self.file, "--takeover", &path]);
        assert_eq!(code, 1, "{said}");
        said
    }

    /// All goes on, and it is told why.
    pub fn goes_on(&self, why: &str) {
        self.old.wait_for_log(why);
        assert_eq!(ask(&self.old.connect(), b"as before"), b"as before");
        assert_eq!(ask_text(&client(self.old.addresses[1]), "as before"), "as before");
        assert!(exists(&self.place.admin()), "its admin socket is where it was");
        let drained = ask_admin(&self.place.admin(), "POST", "/api/v1/undrain");
        assert!(drained.starts_with("HTTP/1.1 2"), "changes are taken again: {drained}");
    }

    fn failures(&self) -> u64 {
        self.place.metric("pointsman_takeovers_failed_total")
    }
}

#[test]
fn one_that_dies_wherever_it_is_changes_nothing() {
    let served = Served::new("dies");
    let flow = client(served.old.addresses[1]);
    assert_eq!(ask_text(&flow, "begin"), "begin");
    drop(stand_in(&served.place));
    served.goes_on("does not take our place, and all goes on as it was: it went away");
    let mut it = stand_in(&served.place);
    say(&mut it, b'H', HELLO);
    hear(&mut it, b'O');
    drop(it);
    until("it is counted", || served.failures() == 2);
    // Once it said that it is ready, no datagram is read here until it is gone.
    let mut it = stand_in(&served.place);
    say(&mut it, b'H', HELLO);
    hear(&mut it, b'O');
    say(&mut it, b'R', "[0,1]");
    hear(&mut it, b'Y');
    flow.send(b"meanwhile").expect("sent");
    drop(it);
    let mut back = [0; 64];
    let count = flow.recv(&mut back).expect("it was kept");
    assert_eq!(&back[..count], b"meanwhile");
    until("it is counted", || served.failures() == 3);
    served.goes_on("it went away");
    served.old.stop();
}

#[test]
fn one_that_says_nothing_is_given_up_after_ten_seconds() {
    let served = Served::new("silent");
    let mut it = stand_in(&served.place);
    let second = ask_admin(&served.place.admin(), "POST", "/api/v1/takeover");
    assert!(second.starts_with("HTTP/1.1 409"), "{second}");
    let to = if cfg!(linux) { "process" } else { "a process of user" };
    assert!(second.contains(&format!("another handover is under way, to {to} ")), "{second}");
    let change = ask_admin(&served.place.admin(), "POST", "/api/v1/drain");
    assert!(change.starts_with("HTTP/1.1 409"), "{change}");
    assert!(change.contains("a new process takes our place"), "{change}");
    assert_eq!(hear(&mut it, b'N'), "it did not go on within 10s");
    served.goes_on("it did not go on within 10s");
    assert_eq!(served.failures(), 2);
    served.old.stop();
}

/// From its readiness on datagrams wait for it: for a second, and not for ten.
#[test]
fn one_that_hangs_while_datagrams_wait_is_given_up_after_a_second() {
    let served = Served::new("hangs");
    let flow = client(served.old.addresses[1]);
    assert_eq!(ask_text(&flow, "begin"), "begin");
    for (at, is_told_all) in [false, true].into_iter().enumerate() {
        let mut it = stand_in(&served.place);
        say(&mut it, b'H', HELLO);
        hear(&mut it, b'O');
        say(&mut it, b'R', "[0,1]");
        if is_told_all {
            hear(&mut it, b'Y');
        }
        let sent = Instant::now();
        flow.send(b"meanwhile").expect("sent");
        let mut back = [0; 64];
        let count = flow.recv(&mut back).expect("it was kept");
        assert_eq!(&back[..count], b"meanwhile");
        assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
        let why = hear(&mut it, b'N');
        let [words, reason] = ["it did not go on within 1", "s, and datagrams waited for it"];
        assert!(why.starts_with(words) && why.ends_with(reason), "{why}");
        served.goes_on(reason);
        assert_eq!(served.failures(), at as u64 + 1);
    }
    served.old.stop();
}

/// It may serve, and never says that it does.
#[test]
fn one_that_dies_or_hangs_before_it_serves_changes_nothing() {
    const CONFIRMS: &str = r#"{"protocol":1,"version":"0","confirms":true}"#;
    let served = Served::new("confirms");
    let flow = client(served.old.addresses[1]);
    assert_eq!(ask_text(&flow, "begin"), "begin");
    for (at, dies) in [true, false].into_iter().enumerate() {
        let mut it = stand_in(&served.place);
        say(&mut it, b'H', CONFIRMS);
        assert!(hear(&mut it, b'O').contains(r#""confirms":true"#));
        say(&mut it, b'R', "[0,1,2]");
        hear(&mut it, b'Y');
        say(&mut it, b'A', "");
        hear(&mut it, b'G');
        let sent = Instant::now();
        flow.send(b"meanwhile").expect("sent");
        if dies {
            drop(it);
            served.goes_on("all goes on as it was: it went away");
        } else {
            assert_eq!(ask(&served.old.connect(), b"beside it"), b"beside it");
            let why = hear(&mut it, b'N');
            assert_eq!(why, "it did not go on within 1s, and datagrams waited for it");
            served.goes_on(&why);
        }
        let mut back = [0; 64];
        let count = flow.recv(&mut back).expect("it was kept");
        assert_eq!(&back[..count], b"meanwhile");
        assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
        assert_eq!(served.failures(), at as u64 + 1);
    }
    served.old.stop();
}

/// One of an older version never says that it serves.
#[test]
fn one_that_does_not_confirm_serves_from_the_go_on() {
    let served = Served::new("older");
    let mut it = stand_in(&served.place);
    say(&mut it, b'H', HELLO);
    hear(&mut it, b'O');
    say(&mut it, b'R', "[0,1,2]");
    hear(&mut it, b'Y');
    say(&mut it, b'A', "");
    hear(&mut it, b'G');
    served.old.wait_for_log("of ours may finish within");
    ends(served.old);
}

#[test]
fn a_long_reason_is_read_to_its_end() {
    let served = Served::new("long-reason");
    let why = "x".repeat(200_000);
    let mut it = stand_in(&served.place);
    say(&mut it, b'N', &why);
    drop(it);
    served.goes_on(&format!("all goes on as it was: {}", &why[..1000]));
    assert_eq!(served.failures(), 1);
    served.old.stop();
}

#[test]
fn one_that_is_told_to_stop_gives_nothing_away() {
    let mut served = Served::new("stops");
    let mut it = stand_in(&served.place);
    say(&mut it, b'H', HELLO);
    hear(&mut it, b'O');
    served.old.signal(Signal::TERM);
    assert_eq!(hear(&mut it, b'N'), "it was told to stop");
    assert!(served.old.wait().success());
}

#[test]
fn what_is_no_talk_is_given_up_with_a_reason() {
    let served = Served::new("odd");
    let odd: [(u8, &str, &str); 4] = [
        (b'H', r#"{"protocol":7,"version":"9.9"}"#, "9.9, hands over by protocol 7, ours by 1"),
        (b'R', "[]", "it said what was not to be said then"),
        (b'?', "", "a message of kind 0x3f"),
        (b'N', "no memory", "no memory"),
    ];
    for (at, (kind, payload, why)) in odd.into_iter().enumerate() {
        let mut it = stand_in(&served.place);
        say(&mut it, kind, payload);
        let told = hear(&mut it, b'N');
        assert!(told.contains(why), "{told}");
        served.goes_on(why);
        assert_eq!(served.failures(), at as u64 + 1);
    }
    served.old.stop();
}

#[test]
fn a_configuration_that_is_wrong_is_told_before_anybody_is_asked() {
    let served = Served::new("wrong");
    let admin = served.place.admin().display().to_string();
    let (said, code) = served.place.fails(&["-l", "tcp://127.0.0.1:0", "--takeover", &admin]);
    assert_eq!((code, said.contains("--backend")), (2, true), "{said}");
    let flags = ["-l", "https://127.0.0.1:0", "-b", "127.0.0.1:1", "--cert", "/none.pem"];
    let flags = flags.into_iter().chain(["--key", "/none.key"]);
    let flags: Vec<&str> = flags.chain(["--takeover", &admin]).collect();
    let (said, code) = served.place.fails(&flags);
    assert_eq!((code, said.contains("/none.pem")), (1, true), "{said}");
    assert_eq!(served.failures(), 0, "nobody was asked");
    assert!(!served.old.log_so_far().contains("takes our place"));
    served.old.stop();
}

#[test]
fn a_port_that_cannot_be_had_leaves_all_as_it_was() {
    let served = Served::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = format!("tcp://{}", taken.local_addr().expect("bound"));
    let admin = served.place.admin().display().to_string();
    let (said, code) =
        served.place.fails(&["-l", &taken, "-b", "127.0.0.1:1", "--takeover", &admin]);
    assert_eq!((code, said.contains("the port is in use")), (1, true), "{said}");
    served.goes_on("all goes on as it was: what it is to serve cannot be had");
    assert_eq!(served.failures(), 1);
    served.old.stop();
}

#[test]
fn who_cannot_be_asked_is_told() {
    let served = Served::new("asked");
    let flags = ["-l", "127.0.0.1:0", "-b", "127.0.0.1:1", "--takeover"];
    let fails = |path: &str| {
        let all: Vec<&str> = flags.iter().copied().chain([path]).collect();
        let place = Place::new("asked-other", &[]);
        place.fails(&all)
    };
    let (said, code) = fails("/nonexistent/api.sock");
    assert_eq!(code, 1);
    assert!(said.starts_with("pointsman: --takeover /nonexistent/api.sock: "), "{said}");
    assert!(said.contains("nobody listens there: it is not there"), "{said}");
    let (said, code) = fails("unix:/run/api.sock");
    assert_eq!((code, said.contains("did you mean /run/api.sock?")), (2, true), "{said}");
    // One that drains has nothing to give.
    let client = served.old.connect();
    assert_eq!(ask(&client, b"here"), b"here");
    served.old.signal(Signal::TERM);
    served.old.wait_for_log("may finish within");
    let (said, code) = fails(&served.place.admin().display().to_string());
    assert_eq!((code, said.contains("it refuses: it drains")), (1, true), "{said}");
    drop(client);
}

#[test]
fn by_tcp_nobody_is_given_anything() {
    let backend = Backend::echo();
    let flag = backend.flag();
    let admin = crate::common::free_port();
    let at = format!("http://{admin}");
    let balancer =
        Balancer::start(&["-l", "127.0.0.1:0", "-b", &flag, "--check", "none", "--admin", &at]);
    let mut stream = crate::common::connect(admin);
    stream.write_all(REQUEST.replace("Upgrade\r\n", "close\r\n").as_bytes()).expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
    balancer.stop();
}
