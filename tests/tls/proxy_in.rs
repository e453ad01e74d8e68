//! Headers of the PROXY protocol ahead of TLS, whether it ends here or passes through.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::authority::Authority;
use crate::clients::{ask, https};
use crate::common::hello::{CURL_ADDRESS, answer_to, asking_for, read_one};
use crate::common::http::{Origin, get};
use crate::common::{Backend, Balancer, connect};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";
const REQUIRED: [&str; 2] = ["--proxy-protocol", "127.0.0.1"];

/// Version 2 for 192.0.2.1, who asked for this name.
fn asked_for(name: &str) -> Vec<u8> {
    let length = 12 + 3 + name.len() as u16;
    let ends = b"\xc0\0\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb";
    let start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11";
    let kind = [2, 0, name.len() as u8];
    [start, &length.to_be_bytes()[..], ends, &kind, name.as_bytes()].concat()
}

fn client(
    authority: &Authority,
    mut stream: TcpStream,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let config = Arc::new(authority.client_config());
    let mut tls = ClientConnection::new(config, name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).expect("a handshake");
    }
    StreamOwned::new(tls, stream)
}

/// The header, and the hello right behind it in the same packet, or in the next one.
#[test]
fn a_handshake_follows_the_header_at_https_listeners() {
    let authority = Authority::new("proxy-in-https");
    let origin = Origin::named("hello");
    let balancer = https(&authority, &origin, &REQUIRED);
    for cut in [0, 1, LINE.len() - 1, LINE.len()] {
        let mut stream = connect(balancer.address());
        stream.set_nodelay(true).unwrap();
        stream.write_all(&LINE[..cut]).unwrap();
        std::thread::yield_now();
        stream.write_all(&LINE[cut..]).unwrap();
        let mut client = client(&authority, stream);
        let request = get("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        assert!(ask(&mut client, &request).ends_with("hello"));
        assert_eq!(origin.last().field("x-forwarded-for"), "192.0.2.1");
        assert_eq!(origin.last().field("x-forwarded-proto"), "https");
    }
    balancer.stop();
}

#[test]
fn bytes_behind_the_header_and_tls_reach_the_backend_of_a_tls_listener() {
    let authority = Authority::new("proxy-in-tls");
    let pair = authority.pair(&["localhost"]);
    let backend = Backend::named("welcome");
    let flag = backend.flag();
    let front = ["-l", "tls://127.0.0.1:0", "--check", "none", "-b", &flag];
    let balancer = Balancer::start(&[&front[..], &pair.flags(), &REQUIRED].concat());
    let mut stream = connect(balancer.address());
    stream.write_all(LINE).unwrap();
    assert_eq!(ask(&mut client(&authority, stream), ""), "welcome");
    balancer.stop();
}

/// Says its letter once it has read a hello.
fn lettered(letter: u8) -> Backend {
    Backend::start(move |mut stream| {
        if read_one(&stream).is_ok() {
            let _ = stream.write_all(&[letter]);
        }
    })
}

#[test]
fn a_hello_without_a_name_is_of_the_name_that_the_header_says() {
    let backends = [lettered(b'a'), lettered(b'b')];
    let routes = [
        format!("a.example={}", backends[0].flag()),
        format!("b.example={}", backends[1].flag()),
    ];
    let front = ["-l", "sni://127.0.0.1:0", "--check", "none"];
    let routes = ["--route", &routes[0], "--route", &routes[1]];
    let balancer = Balancer::start(&[&front[..], &routes, &REQUIRED].concat());
    let named = asking_for("a.example");
    let table: [(&[u8], &[u8], &str); 4] = [
        (LINE, &named, "a"),
        (&asked_for("B.example"), CURL_ADDRESS, "b"),
        (&asked_for("a.example"), CURL_ADDRESS, "a"),
        // The hello counts more.
        (&asked_for("b.example"), &named, "a"),
    ];
    for (header, hello, letter) in table {
        let mut stream = connect(balancer.address());
        stream.write_all(header).unwrap();
        assert_eq!(answer_to(&stream, hello).expect("somebody answers"), letter);
    }
    balancer.stop();
}
