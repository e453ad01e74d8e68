//! Clients of HTTP at a UNIX socket, which have no address.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::common::http::{Origin, before};

struct Socket(String);

impl Socket {
    fn new(name: &str) -> Socket {
        let name = format!("pm-http-{name}-{}", std::process::id());
        Socket(std::env::temp_dir().join(name).display().to_string())
    }

    fn listen(&self) -> String {
        format!("http://unix:{}", self.0)
    }

    /// The answer to a request with these fields.
    fn ask(&self, fields: &str) -> String {
        let mut client = UnixStream::connect(&self.0).expect("somebody listens");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
        client.write_all(text.as_bytes()).expect("it is taken");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

#[test]
fn a_client_at_a_unix_socket_is_called_so_and_backends_are_told_nothing_of_it() {
    let socket = Socket::new("plain");
    let origin = Origin::named("a");
    let balancer = before(&[&origin], &["-l", &socket.listen(), "--access-log", "-"]);
    assert!(socket.ask("").starts_with("HTTP/1.1 200 "));
    assert_eq!(origin.last().field("x-forwarded-for"), "unknown");
    assert!(origin.last().all("x-forwarded-port").is_empty(), "there is none");
    socket.ask("X-Forwarded-For: 192.0.2.7\r\n");
    assert_eq!(origin.last().field("x-forwarded-for"), "unknown", "it is not trusted");
    balancer.wait_for_log(": accepted unix");
    balancer.stop();
}

#[test]
fn the_word_unix_stands_for_them_where_networks_do() {
    let socket = Socket::new("lists");
    let origin = Origin::named("a");
    let more = ["--trusted-proxies", "unix", "--service-deny", "192.0.2.7"];
    let balancer = before(&[&origin], &[&["-l", &*socket.listen()], &more[..]].concat());
    assert!(socket.ask("X-Forwarded-For: 192.0.2.8\r\n").starts_with("HTTP/1.1 200 "));
    assert_eq!(origin.last().field("x-forwarded-for"), "192.0.2.8, unknown");
    assert!(socket.ask("X-Forwarded-For: 192.0.2.7\r\n").starts_with("HTTP/1.1 403 "));
    balancer.stop();
    let socket = Socket::new("denied");
    let balancer = before(&[&origin], &["-l", &socket.listen(), "--service-deny", "unix"]);
    assert!(socket.ask("").starts_with("HTTP/1.1 403 "));
    assert_eq!(balancer.connect().write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").ok(), Some(27));
    balancer.stop();
}
