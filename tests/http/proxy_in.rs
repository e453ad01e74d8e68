//! Requests behind a header of the PROXY protocol: the client is whom the header names.

use std::net::TcpStream;
use std::process::Command;

use crate::common::http::{Origin, Wire, before, get, ok};
use crate::common::servers::missing;
use crate::common::{Balancer, read_to_end};

const LINE: &str = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";
const REQUIRED: [&str; 2] = ["--proxy-protocol", "127.0.0.0/8"];

/// Version 2 for 192.0.2.1, with these values behind.
fn binary(values: &[u8]) -> Vec<u8> {
    let length = 12 + values.len() as u16;
    let ends = b"\xc0\0\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb";
    let start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11";
    [start, &length.to_be_bytes()[..], ends, values].concat()
}

fn client(balancer: &Balancer, header: impl AsRef<[u8]>) -> Wire {
    let client = Wire::to(balancer);
    client.say(header);
    client
}

#[test]
fn the_backend_is_told_of_the_client_in_the_header_for_each_request() {
    let origin = Origin::named("hello");
    let balancer = before(&[&origin], &REQUIRED);
    for header in [LINE.as_bytes(), &binary(b"")] {
        let mut client = client(&balancer, header);
        for _ in 0..3 {
            assert_eq!(client.ask(get("/a")).status(), 200);
            assert_eq!(origin.last().field("x-forwarded-for"), "192.0.2.1");
            assert_eq!(origin.last().field("x-forwarded-proto"), "http");
        }
    }
    let mut local = client(&balancer, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    assert_eq!(local.ask(get("/a")).status(), 200);
    assert_eq!(origin.last().field("x-forwarded-for"), "127.0.0.1");
    balancer.stop_after(local);
}

/// Header and request come in one packet, most likely, and further requests right behind.
#[test]
fn requests_right_behind_the_header_are_served() {
    let origin = Origin::named("hello");
    let balancer = before(&[&origin], &REQUIRED);
    let mut client = client(&balancer, format!("{LINE}{}{}", get("/a"), get("/b")));
    assert_eq!((client.answer().status(), client.answer().status()), (200, 200));
    assert_eq!(origin.last().target(), "/b");
    balancer.stop_after(client);
}

#[test]
fn who_spoke_tls_with_the_proxy_in_front_came_by_https() {
    let origin = Origin::named("hello");
    let balancer = before(&[&origin], &REQUIRED);
    for (values, proto) in
        [(&b"\x20\0\x05\x01\0\0\0\x01"[..], "https"), (b"\x20\0\x05\0\0\0\0\x01", "http")]
    {
        let mut client = client(&balancer, binary(values));
        for _ in 0..2 {
            client.ask(get("/"));
            assert_eq!(origin.last().field("x-forwarded-proto"), proto);
        }
    }
    balancer.stop();
}

#[test]
fn who_is_denied_is_denied_by_the_address_in_the_header() {
    let origin = Origin::named("hello");
    let balancer = before(&[&origin], &[&REQUIRED[..], &["--deny", "192.0.2.1"]].concat());
    let denied = TcpStream::connect(balancer.address()).unwrap();
    std::io::Write::write_all(&mut &denied, LINE.as_bytes()).unwrap();
    let end = read_to_end(&denied);
    assert!(end.is_reset() || end.bytes().is_empty());
    let mut other = client(&balancer, LINE.replace("192.0.2.1 ", "192.0.2.2 "));
    assert_eq!(other.ask(get("/")).status(), 200);
    assert_eq!(origin.count(), 1);
    balancer.stop_after(other);
}

/// The proxies are told from their clients by their own addresses.
#[test]
fn the_proxy_itself_may_be_denied_and_its_clients_are_not() {
    let origin = Origin::saying(ok("hello"));
    let balancer = before(&[&origin], &[&REQUIRED[..], &["--deny", "127.0.0.0/8"]].concat());
    let mut client = client(&balancer, LINE);
    assert_eq!(client.ask(get("/")).status(), 200);
    balancer.stop_after(client);
}

#[test]
fn curl_says_who_it_is() {
    if missing(&["curl"]) {
        return;
    }
    let origin = Origin::named("hello");
    let balancer = before(&[&origin], &REQUIRED);
    let url = format!("http://{}/", balancer.address());
    for (more, address) in
        [(&[][..], "127.0.0.1"), (&["--haproxy-clientip", "192.0.2.9"], "192.0.2.9")]
    {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "--haproxy-protocol", &url]).args(more);
        let output = curl.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("haproxy-clientip") {
            continue;
        }
        assert_eq!(output.stdout, b"hello", "{said}");
        assert_eq!(origin.last().field("x-forwarded-for"), address);
    }
    balancer.stop();
}
