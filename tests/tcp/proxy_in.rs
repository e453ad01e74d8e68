//! Headers of the PROXY protocol that come in: required of some, never looked for with others.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::common::{Backend, Balancer, DEADLINE, read_to_end, until, with_deadline};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb";
const OURS: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// All of 127.0.0.1 have to begin with a header, and nobody else.
fn requiring(backend: &Backend, more: &[&str]) -> Balancer {
    let flag = backend.flag();
    let all = ["-l", "127.0.0.1:0", "-b", &flag, "--check", "none"];
    Balancer::start(&[&all[..], &["--proxy-protocol", "127.0.0.1"], more].concat())
}

/// A connection from another address of this machine.
fn from(address: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(address)), 0);
    socket.bind(&SockAddr::from(address)).unwrap();
    socket.connect(&to.into()).unwrap();
    with_deadline(socket.into())
}

/// All that comes for all that is said.
fn ask(mut client: &TcpStream, says: &[u8]) -> Vec<u8> {
    client.write_all(says).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    read_to_end(client).bytes()
}

/// What the access log has of one connection.
fn line_of(path: &str, wanted: &str) -> String {
    let mut found = None;
    until("the line is there", || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        found = text.lines().find(|line| line.contains(wanted)).map(str::to_owned);
        found.is_some()
    });
    found.unwrap()
}

fn log_file(name: &str) -> String {
    let path = std::env::temp_dir().join(format!("pointsman-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_header_is_taken_away_wherever_it_is_cut_and_what_follows_is_relayed() {
    let backend = Backend::echo();
    let balancer = requiring(&backend, &[]);
    for header in [LINE, BINARY, OURS, b"PROXY UNKNOWN\r\n"] {
        let all = [header, b"hello, and so on"].concat();
        for cut in 0..=header.len() + 1 {
            let mut client = balancer.connect();
            client.set_nodelay(true).unwrap();
            client.write_all(&all[..cut]).unwrap();
            // Only where the two come apart is what follows an event of its own; either is right.
            std::thread::yield_now();
            assert_eq!(ask(&client, &all[cut..]), b"hello, and so on", "{cut} of {header:?}");
        }
    }
    balancer.stop();
}

#[test]
fn a_header_may_come_byte_by_byte_and_the_rest_may_be_long() {
    let backend = Backend::echo();
    let balancer = requiring(&backend, &[]);
    let rest = crate::common::noise(5, 3_000_000);
    for header in [LINE, BINARY] {
        let mut client = balancer.connect();
        client.set_nodelay(true).unwrap();
        for byte in header {
            client.write_all(&[*byte]).unwrap();
            std::thread::yield_now();
        }
        let mut writer = client.try_clone().unwrap();
        let copy = rest.clone();
        let writing = std::thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut came = Vec::new();
        client.read_to_end(&mut came).unwrap();
        writing.join().unwrap();
        assert!(came == rest, "{} bytes", came.len());
    }
    balancer.stop();
}

/// A header alone says that a client is there, for whom the backend may speak first.
#[test]
fn the_backend_is_reached_once_the_header_is_there() {
    let backend = Backend::named("welcome");
    let balancer = requiring(&backend, &[]);
    let mut client = balancer.connect();
    client.write_all(&BINARY[..27]).unwrap();
    std::thread::yield_now();
    assert_eq!(backend.accepted(), 0);
    client.write_all(&BINARY[27..]).unwrap();
    let mut came = [0; 7];
    client.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"welcome");
    balancer.stop_after(client);
}

#[test]
fn from_others_a_header_is_data() {
    let backend = Backend::echo();
    let balancer = requiring(&backend, &[]);
    for header in [LINE, BINARY, &b"PROXY nonsense"[..], b""] {
        let client = from([127, 0, 0, 2], balancer.address());
        let says = [header, b"hello"].concat();
        assert_eq!(ask(&client, &says), says);
    }
    balancer.stop();
}

#[test]
fn who_has_to_begin_with_a_header_and_does_not_is_reset_and_the_log_says_why() {
    let backend = Backend::echo();
    let log = log_file("proxy-in-bad");
    let balancer = requiring(&backend, &["--access-log", &log, "--access-log-format", "json"]);
    let table: &[(&[u8], &str)] = &[
        (b"GET / HTTP/1.1\r\n", "it begins with neither PROXY nor the signature"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 065\r\n", "a port that is no number"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "does not end with CR LF"),
        (b"\r\n\r\n\0\r\nQUIT\n\x31", "and another version"),
    ];
    for (says, why) in table {
        let mut client = balancer.connect();
        client.write_all(says).unwrap();
        assert!(read_to_end(&client).is_reset(), "{why}");
        let line = line_of(&log, why);
        assert!(line.contains("\"proxy-header\""), "{line}");
        assert!(line.contains("no PROXY header: "), "{line}");
    }
    let client = balancer.connect();
    (&client).write_all(&LINE[..20]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(read_to_end(&client).is_reset());
    line_of(&log, "the connection ended within it");
    assert_eq!(backend.accepted(), 0);
    balancer.stop();
    let _ = std::fs::remove_file(&log);
}

/// Without a byte it is somebody who looks whether we are there.
#[test]
fn who_closes_without_a_byte_is_no_failure() {
    let backend = Backend::echo();
    let log = log_file("proxy-in-check");
    let balancer = requiring(&backend, &["--access-log", &log]);
    let client = balancer.connect();
    client.shutdown(Shutdown::Write).unwrap();
    let end = read_to_end(&client);
    assert!(!end.is_reset(), "{end:?}");
    assert_eq!(ask(&balancer.connect(), &[LINE, b"x"].concat()), b"x");
    line_of(&log, "192.0.2.1");
    let all = std::fs::read_to_string(&log).unwrap();
    assert_eq!(all.lines().count(), 1, "{all}");
    balancer.stop();
    let _ = std::fs::remove_file(&log);
}

#[test]
fn a_header_that_is_too_late_is_none() {
    let backend = Backend::echo();
    let log = log_file("proxy-in-late");
    let balancer = requiring(&backend, &["--access-log", &log]);
    let silent = balancer.connect();
    let mut slow = balancer.connect();
    slow.write_all(&BINARY[..20]).unwrap();
    let began = Instant::now();
    assert!(read_to_end(&silent).is_reset());
    assert!(read_to_end(&slow).is_reset());
    let took = began.elapsed();
    assert!(took > Duration::from_millis(2500) && took < DEADLINE, "{took:?}");
    until("both are in the log", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().count() == 2
    });
    balancer.stop();
    let _ = std::fs::remove_file(&log);
}

#[test]
fn the_log_and_the_place_by_address_go_by_the_client_in_the_header() {
    let backends = [Backend::named("a"), Backend::named("b"), Backend::named("c")];
    let log = log_file("proxy-in-hash");
    let others: Vec<String> = backends[1..].iter().map(Backend::flag).collect();
    let more =
        ["--balance", "ip-hash", "--access-log", &log, "-b", &others[0], "-b", &others[1]];
    let balancer = requiring(&backends[0], &more);
    let place = |client: u8| {
        let line = format!("PROXY TCP4 192.0.2.{client} 198.51.100.7 56324 443\r\n");
        let name = ask(&balancer.connect(), line.as_bytes());
        String::from_utf8(name).unwrap()
    };
    let places: Vec<String> = (0..40).map(place).collect();
    assert!(["a", "b", "c"].iter().all(|name| places.iter().any(|it| it == name)));
    assert!((0..40).all(|client| place(client) == places[usize::from(client)]));
    line_of(&log, "192.0.2.39 ");
    balancer.stop();
    let _ = std::fs::remove_file(&log);
}

#[test]
fn the_log_says_through_whom_a_client_came_and_by_which_id() {
    let backend = Backend::echo();
    let log = log_file("proxy-in-peer");
    let balancer = requiring(&backend, &["--access-log", &log, "--access-log-format", "json"]);
    let client = balancer.connect();
    let peer = client.local_addr().unwrap();
    let header = [&BINARY[..15], b"\x13", &BINARY[16..], b"\x05\0\x04id-7"].concat();
    assert_eq!(ask(&client, &[&header[..], b"x"].concat()), b"x");
    let line = line_of(&log, "\"client\":\"192.0.2.1:56324\"");
    let says = format!("\"proxy_peer\":\"{peer}\",\"unique_id\":\"id-7\"");
    assert!(line.contains(&says), "{line}");
    balancer.stop();
    let _ = std::fs::remove_file(&log);
}

#[test]
fn a_reload_requires_headers_and_requires_them_no_more() {
    let backend = Backend::echo();
    let text = |line: &str| {
        format!(
            "[listener.a]\nbind = \"127.0.0.1:0\"\n{line}\n[service.a]\nlisten = [\"a\"]\n\
             pool = \"a\"\n[pool.a]\nbackends = [\"{}\"]\ncheck = \"none\"\n",
            backend.flag()
        )
    };
    let file = std::env::temp_dir().join(format!("proxy-in-{}.toml", std::process::id()));
    let path = file.to_str().expect("text").to_owned();
    let write = |line: &str| std::fs::write(&file, text(line)).expect("a file");
    let required = "proxy_protocol = [\"127.0.0.1\"]";
    write("");
    let balancer = Balancer::start(&["--config", &path]);
    let mut generation = 1;
    let mut reload = |line: &str| {
        write(line);
        generation += 1;
        balancer.signal(Signal::HUP);
        balancer.wait_for_log(&format!(" generation {generation}: "));
    };
    let with_header = [LINE, b"hello"].concat();
    let mut before = balancer.connect();
    let serves = |client: &mut TcpStream, says: &[u8]| {
        client.write_all(says).unwrap();
        let mut heard = vec![0; says.len()];
        client.read_exact(&mut heard).unwrap();
        assert_eq!(heard, says);
    };
    serves(&mut before, LINE);
    reload(required);
    serves(&mut before, LINE);
    assert_eq!(ask(&balancer.connect(), &with_header), b"hello");
    let is_refused = || {
        let mut client = balancer.connect();
        client.write_all(b"hello, with no header").unwrap();
        read_to_end(&client).is_reset()
    };
    assert!(is_refused(), "it is required");
    let mut halfway = balancer.connect();
    halfway.write_all(&LINE[..20]).unwrap();
    until("it is awaited", || balancer.count("open of") == 2);
    reload("");
    assert_eq!(ask(&balancer.connect(), &with_header), with_header, "they are bytes as any");
    let rest = [&LINE[20..], b"hello"].concat();
    assert_eq!(ask(&halfway, &rest), b"hello", "it was required when this one came");
    serves(&mut before, LINE);
    reload(required);
    assert!(is_refused());
    assert_eq!(ask(&balancer.connect(), &with_header), b"hello");
    balancer.stop_after(before);
    std::fs::remove_file(&file).expect("it is there");
}
