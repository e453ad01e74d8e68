//! The header of the PROXY protocol that backends are sent, read by a backend of ours that demands
//! it: over TCP, TLS, names and HTTP, over UDP, and by probes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use rustls::{ServerConnection, StreamOwned};

use crate::authority::Authority;
use crate::backends::hello;
use crate::common::http::{Wire, get};
use crate::common::proxy_header::{Header, read};
use crate::common::udp::UdpBackend;
use crate::common::{Backend, Balancer, DEADLINE, ask, until, with_deadline};
use crate::subject;

/// The types of the protocol's text.
const ALPN: u8 = 1;
const AUTHORITY: u8 = 2;
const CRC32C: u8 = 3;
const UNIQUE_ID: u8 = 5;
const SSL: u8 = 0x20;

/// A backend that reads a header, tells of it, and goes on so; what does not begin with one is
/// closed.
fn demanding(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> (Backend, Receiver<Header>) {
    let (tell, told) = mpsc::channel();
    let tell: Mutex<Sender<Header>> = Mutex::new(tell);
    let backend = Backend::start(move |stream| {
        let mut stream = with_deadline(stream);
        if let Ok(header) = read(&mut stream) {
            let _ = tell.lock().unwrap().send(header);
            serve(stream);
        }
    });
    (backend, told)
}

fn echoing() -> (Backend, Receiver<Header>) {
    demanding(|mut stream| {
        let mut copy = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut copy, &mut stream);
        let _ = stream.shutdown(Shutdown::Write);
    })
}

fn flag(backend: &Backend, options: &str) -> String {
    format!("{},{options}", backend.address)
}

fn balancer(listen: &str, backend: &str, more: &[&str]) -> Balancer {
    let check = if more.contains(&"--check") { &[][..] } else { &["--check", "none"] };
    Balancer::start(&[&["-l", listen, "-b", backend], check, more].concat())
}

/// Nobody's bytes come before the header, whether the client speaks first, or at all.
#[test]
fn a_connection_begins_with_the_client_and_the_address_that_it_reached() {
    let (backend, told) = echoing();
    for (options, version) in [("proxy=v1", 1), ("proxy=v2", 2)] {
        let balancer = balancer("0.0.0.0:0", &flag(&backend, options), &[]);
        for says in [&b"hello"[..], b"", &[b'x'; 300_000]] {
            let to: SocketAddr = ([127, 0, 0, 1], balancer.address().port()).into();
            let mut client = with_deadline(TcpStream::connect(to).unwrap());
            if !says.is_empty() {
                let copy = client.try_clone().unwrap();
                let all = says.to_vec();
                let writing = std::thread::spawn(move || (&copy).write_all(&all).unwrap());
                let mut came = vec![0; says.len()];
                client.read_exact(&mut came).unwrap();
                writing.join().unwrap();
                assert!(came == says, "{} bytes of {options}", says.len());
            }
            let header = told.recv_timeout(DEADLINE).unwrap();
            assert_eq!(header.source, Some(client.local_addr().unwrap()));
            assert_eq!(header.destination, Some(to));
            assert_eq!(header.line.is_empty(), version == 2);
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0);
        }
        balancer.stop();
    }
}

/// A listener for both families hears clients of IPv4 as mapped addresses.
#[test]
fn a_client_of_ipv4_at_a_listener_for_both_families_is_one_of_ipv4() {
    let (backend, told) = echoing();
    let balancer = balancer("[::]:0", &flag(&backend, "proxy=v1"), &[]);
    let port = balancer.address().port();
    for to in
        [SocketAddr::from(([127, 0, 0, 1], port)), format!("[::1]:{port}").parse().unwrap()]
    {
        let client = with_deadline(TcpStream::connect(to).unwrap());
        assert_eq!(ask(&client, b"a"), b"a");
        let header = told.recv_timeout(DEADLINE).unwrap();
        assert_eq!(header.source, Some(client.local_addr().unwrap()));
        assert_eq!(header.destination, Some(to));
    }
    balancer.stop();
}

/// The header is in the clear, ahead of the ClientHello, and says how the client speaks TLS.
#[test]
fn the_header_goes_ahead_of_tls_and_says_what_the_client_spoke() {
    let authority = Authority::new("proxy-out-tls");
    let front = authority.pair(&["localhost"]);
    let behind = authority.pair(&["127.0.0.1", "localhost"]);
    let config = Arc::new(authority.server_config(&behind));
    let (backend, told) = demanding(move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        hello(&mut StreamOwned::new(tls, stream));
    });
    let all = "tls,sni=localhost,proxy=v2,proxy-tlvs=alpn+authority+crc32c+unique-id+ssl";
    let file = authority.file();
    let more = [&front.flags()[..], &["--backend-ca", &file]].concat();
    let balancer = balancer("https://127.0.0.1:0", &flag(&backend, all), &more);
    let mut client = authority.client_of(authority.client_config(), balancer.address());
    client.write_all(get("/").as_bytes()).unwrap();
    let mut answer = [0; 15];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let header = told.recv_timeout(DEADLINE).unwrap();
    let kinds: Vec<u8> = header.tlvs.iter().map(|(kind, _)| *kind).collect();
    let wanted = [AUTHORITY, CRC32C, UNIQUE_ID, SSL];
    assert_eq!(kinds.iter().filter(|it| **it != ALPN).copied().collect::<Vec<_>>(), wanted);
    assert_eq!(header.text(AUTHORITY), "localhost");
    let id = header.text(UNIQUE_ID);
    assert!(id.len() == 32 && id.bytes().all(|it| it.is_ascii_hexdigit()), "{id}");
    let ssl = header.tlv(SSL).unwrap();
    assert_eq!(ssl[..5], [1, 0, 0, 0, 1], "TLS, and no certificate");
    assert!(header.text(SSL).contains("TLSv1.3"), "{}", header.text(SSL));
    assert!(header.text(SSL).contains("TLS_AES_"), "{}", header.text(SSL));
    balancer.stop_after(client);
}

/// The name is read in the hello, whose bytes follow the header as they came.
#[test]
fn a_name_that_is_passed_on_is_said_as_the_authority() {
    let authority = Authority::new("proxy-out-sni");
    let pair = authority.pair(&["localhost"]);
    let config = Arc::new(authority.server_config(&pair));
    let (backend, told) = demanding(move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        hello(&mut StreamOwned::new(tls, stream));
    });
    let options = flag(&backend, "proxy=v2,proxy-tlvs=authority");
    let balancer = balancer("sni://127.0.0.1:0", &options, &[]);
    let mut client = authority.client(&balancer);
    client.write_all(get("/").as_bytes()).unwrap();
    client.read_exact(&mut [0; 15]).unwrap();
    let header = told.recv_timeout(DEADLINE).unwrap();
    assert_eq!(header.tlvs, [(AUTHORITY, b"localhost".to_vec())]);
    assert_eq!(header.source, Some(client.sock.local_addr().unwrap()));
    balancer.stop_after(client);
}

/// Two clients, and one that asks twice: nobody's request goes through a connection that says that
/// it is somebody else's.
#[test]
fn each_request_of_http_has_a_connection_that_says_whose_it_is() {
    let (backend, told) = demanding(|mut stream| {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read_exact(&mut byte).is_err() {
                return;
            }
            bytes.push(byte[0]);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        // Kept open: whether it is used again is not ours to say.
        let _ = stream.read(&mut [0]);
    });
    let options = flag(&backend, "proxy=v2,proxy-tlvs=unique-id");
    let balancer = balancer("http://127.0.0.1:0", &options, &["--request-id", "new"]);
    let mut first = Wire::to(&balancer);
    let mut second = Wire::to(&balancer);
    let mut ids = Vec::new();
    for _ in 0..3 {
        for client in [&mut first, &mut second] {
            let answer = client.ask(get("/"));
            assert_eq!(answer.status(), 200);
            let header = told.recv_timeout(DEADLINE).unwrap();
            assert_eq!(header.source, Some(client.stream.local_addr().unwrap()));
            ids.push(header.text(UNIQUE_ID));
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6, "an id for each request");
    balancer.stop_after((first, second));
}

/// An id that was made for the header is nothing that a request or an answer was to have.
#[test]
fn an_id_of_the_header_alone_is_in_no_head() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let (backend, headers) = demanding(move |mut stream| {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
            bytes.extend(byte);
        }
        let _ = tell.lock().unwrap().send(String::from_utf8(bytes).unwrap());
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let options = flag(&backend, "proxy=v2,proxy-tlvs=unique-id");
    let balancer = balancer("http://127.0.0.1:0", &options, &[]);
    let mut client = Wire::to(&balancer);
    let answer = client.ask(get("/"));
    assert_eq!(answer.field("x-request-id"), "");
    assert_eq!(headers.recv_timeout(DEADLINE).unwrap().text(UNIQUE_ID).len(), 32);
    let head = told.recv_timeout(DEADLINE).unwrap().to_lowercase();
    assert!(!head.contains("x-request-id"), "{head}");
    balancer.stop_after(client);
}

/// What a probe says is as valid as what a client's connection says.
#[test]
fn probes_of_every_kind_begin_with_a_header_on_behalf_of_nobody() {
    let authority = Authority::new("proxy-out-probes");
    let pair = authority.pair(&["127.0.0.1", "localhost"]);
    let config = Arc::new(authority.server_config(&pair));
    for check in ["tcp", "http:/", "tcp:a,expect=a", "https:/"] {
        for options in ["proxy=v1", "proxy=v2,proxy-tlvs=crc32c+authority"] {
            let tls = check.starts_with("https").then(|| Arc::clone(&config));
            let echoes = check.starts_with("tcp");
            let (backend, told) = demanding(move |mut stream| match &tls {
                Some(config) => {
                    let tls = ServerConnection::new(Arc::clone(config)).unwrap();
                    hello(&mut StreamOwned::new(tls, stream));
                }
                None if echoes => {
                    let mut copy = stream.try_clone().unwrap();
                    let _ = std::io::copy(&mut copy, &mut stream);
                }
                None => {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                    let _ = stream.read(&mut [0; 1024]);
                }
            });
            let named = format!("{},tls,sni=localhost,{options}", backend.address);
            let plain = flag(&backend, options);
            let file = authority.file();
            let (to, more): (&str, &[&str]) = match check {
                "https:/" => (&named, &["--backend-ca", &file]),
                _ => (&plain, &[]),
            };
            let quick = ["--check", check, "--check-interval", "50ms", "--fall", "1"];
            let balancer = balancer("127.0.0.1:0", to, &[&quick[..], more].concat());
            let header = told.recv_timeout(DEADLINE).unwrap();
            if options == "proxy=v1" {
                assert_eq!(header.destination, Some(backend.address), "{check}");
                assert!(header.source.unwrap().ip().is_loopback());
                assert_ne!(header.source.unwrap().port(), 0);
            } else {
                assert!(header.is_local && header.family == 0, "{header:?}");
                assert!(header.tlvs.len() == 1 && header.tlvs[0].0 == CRC32C);
            }
            // What the first came to is known by the time the third is sent.
            told.recv_timeout(DEADLINE).unwrap();
            told.recv_timeout(DEADLINE).unwrap();
            assert!(!balancer.log().contains("is down"), "{check} {options}");
            balancer.stop();
        }
    }
}

/// Each datagram by itself, those included that the kernel put together.
#[test]
fn each_datagram_begins_with_the_header_of_its_flow() {
    let (tell, told) = mpsc::channel();
    let backend = UdpBackend::start(move |mut bytes| {
        let header = read(&mut bytes).unwrap();
        tell.send(header).unwrap();
        vec![bytes.to_vec()]
    });
    let options = format!("{},proxy=v2,proxy-tlvs=crc32c", backend.address);
    let balancer = balancer("udp://127.0.0.1:0", &options, &[]);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.connect(balancer.address()).unwrap();
    for says in [&b"a"[..], b"", b"hello", &[7; 1200], &[7; 1200], &[7; 900]] {
        client.send(says).unwrap();
        let mut came = [0; 2000];
        let count = client.recv(&mut came).unwrap();
        assert_eq!(&came[..count], says);
        let header = told.recv_timeout(DEADLINE).unwrap();
        assert_eq!(header.family, 0x12);
        assert_eq!(header.source, Some(client.local_addr().unwrap()));
        assert_eq!(header.destination, Some(balancer.address()));
        assert_eq!(header.tlvs.len(), 1);
    }
    // Many at once: they come in any number of calls.
    for number in 0..100_u8 {
        client.send(&[number; 500]).unwrap();
    }
    let mut came = [0; 2000];
    let mut seen = 0;
    until("most of them come back", || {
        if client.recv(&mut came).is_ok_and(|count| count == 500) {
            seen += 1;
        }
        seen >= 50
    });
    balancer.stop();
}

#[test]
fn version_1_is_refused_for_datagrams_in_words() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(["-l", "udp://127.0.0.1:0", "-b", "127.0.0.1:9,proxy=v1"]);
    let output = command.output().unwrap();
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{says}");
    assert!(says.contains("want proxy=v2: v1 cannot speak of datagrams"), "{says}");
}

#[test]
fn whom_a_certificate_names_is_said_and_that_it_was_verified() {
    let authority = Authority::new("proxy-out-card");
    let card = subject::card(&authority, "card", "b\u{fc}ro, 2");
    let front = authority.pair(&["localhost"]);
    let (backend, told) = echoing();
    let file = authority.file();
    let more = [&front.flags()[..], &["--client-ca", &file]].concat();
    let options = flag(&backend, "proxy=v2,proxy-tlvs=ssl");
    let balancer = balancer("tls://127.0.0.1:0", &options, &more);
    let mut client =
        authority.client_of(subject::showing(&authority, &card), balancer.address());
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
    let header = told.recv_timeout(DEADLINE).unwrap();
    let ssl = header.tlv(SSL).unwrap();
    assert_eq!(ssl[..5], [7, 0, 0, 0, 0], "TLS, a certificate of this connection, and good");
    let name = "b\u{fc}ro, 2";
    let wanted = [&[0x22, 0, name.len() as u8], name.as_bytes()].concat();
    assert!(ssl.windows(wanted.len()).any(|it| it == wanted), "{}", header.text(SSL));
    balancer.stop_after(client);
}

/// Version 2 of a proxy in front, with these types and values.
fn in_front(said: &[(u8, &[u8])]) -> Vec<u8> {
    let ends = b"\xc0\0\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb";
    let values: Vec<u8> = said.iter().flat_map(|(kind, value)| tlv(*kind, value)).collect();
    let length = ((ends.len() + values.len()) as u16).to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &length, ends, &values].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], &(value.len() as u16).to_be_bytes()[..], value].concat()
}

/// Its TLS, whose certificate was not verified, with a subtype that is not known here.
fn ssl_in_front() -> Vec<u8> {
    [&[3, 0, 0, 0, 9][..], &tlv(0x21, b"TLSv1.2"), &tlv(0x2f, b"new")].concat()
}

#[test]
fn what_a_proxy_in_front_said_is_passed_on_where_the_client_speaks_no_tls_with_us() {
    let (backend, told) = echoing();
    let all = ["--proxy-protocol", "127.0.0.1"];
    let ssl = ssl_in_front();
    let said =
        [(ALPN, &b"h2"[..]), (AUTHORITY, b"a.example"), (UNIQUE_ID, b"\0\xff"), (SSL, &ssl)];
    let other = [(SSL, &[0, 0, 0, 0, 0][..])];
    let tlvs = "proxy=v2,proxy-tlvs=alpn+authority+unique-id+ssl";
    for (options, sent, kept) in [
        (tlvs, &said[..], &said[..]),
        ("proxy=v2,proxy-tlvs=ssl", &said, &said[3..]),
        ("proxy=v2", &said, &[]),
        // That a client speaks no TLS goes without saying.
        ("proxy=v2,proxy-tlvs=ssl", &other, &[]),
    ] {
        let balancer = balancer("127.0.0.1:0", &flag(&backend, options), &all);
        let mut client = with_deadline(TcpStream::connect(balancer.address()).unwrap());
        client.write_all(&in_front(sent)).unwrap();
        assert_eq!(ask(&client, b"a"), b"a");
        let header = told.recv_timeout(DEADLINE).unwrap();
        let came: Vec<(u8, &[u8])> =
            header.tlvs.iter().map(|(it, value)| (*it, &**value)).collect();
        assert_eq!(came, kept, "{options}");
        balancer.stop_after(client);
    }
}

#[test]
fn of_tls_that_ends_here_we_know_better_than_a_proxy_in_front() {
    let authority = Authority::new("proxy-out-front");
    let pair = authority.pair(&["localhost"]);
    let (backend, told) = echoing();
    let more = [&pair.flags()[..], &["--proxy-protocol", "127.0.0.1"]].concat();
    let tlvs = "proxy=v2,proxy-tlvs=alpn+authority+unique-id+ssl";
    let balancer = balancer("tls://127.0.0.1:0", &flag(&backend, tlvs), &more);
    let ssl = ssl_in_front();
    let said =
        [(ALPN, &b"h2"[..]), (AUTHORITY, b"a.example"), (UNIQUE_ID, b"id-7"), (SSL, &ssl)];
    let mut stream = with_deadline(TcpStream::connect(balancer.address()).unwrap());
    stream.write_all(&in_front(&said)).unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let config = Arc::new(authority.client_config());
    let tls = rustls::ClientConnection::new(config, name).unwrap();
    let mut client = StreamOwned::new(tls, stream);
    client.write_all(b"a").unwrap();
    client.read_exact(&mut [0]).unwrap();
    let header = told.recv_timeout(DEADLINE).unwrap();
    assert_eq!((header.tlv(ALPN), &*header.text(UNIQUE_ID)), (None, "id-7"));
    assert_eq!(header.text(AUTHORITY), "localhost");
    assert!(header.text(SSL).contains("TLSv1.3"), "{}", header.text(SSL));
    balancer.stop_after(client);
}

/// A server of HTTP that counts requests by whether they came behind a header of a client, of
/// nobody, or without one.
fn sorting() -> (Backend, Receiver<&'static str>) {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::start(move |stream| {
        let mut stream = with_deadline(stream);
        let mut first = [0];
        if stream.peek(&mut first).is_err() {
            return;
        }
        let kind = match first {
            [b'P'] | [b'\r'] => match read(&mut stream) {
                Ok(header) if header.is_local => "local",
                Ok(header) if header.line.is_empty() => "v2",
                Ok(_) => "v1",
                Err(_) => return,
            },
            _ => "none",
        };
        let mut bytes = Vec::new();
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() {
            bytes.extend(byte);
            if bytes.ends_with(b"\r\n\r\n") {
                bytes.clear();
                let _ = tell.lock().unwrap().send(kind);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        }
    });
    (backend, told)
}

/// What is kept open from before a reload is of no use behind it, either way.
#[test]
fn after_a_reload_each_connection_begins_as_it_is_to() {
    let (backend, told) = sorting();
    let (shadow, copied) = sorting();
    let authority = Authority::new("proxy-out-reload");
    let text = |proxy: &str| {
        format!(
            "[service.web]\nlisten = [\"http://127.0.0.1:0\"]\npool = \"web\"\n\
             mirror = {{ pool = \"next\", share = \"100%\" }}\n\
             [pool.web]\nbackends = [{{ address = \"{}\"{proxy} }}]\n\
             check = {{ kind = \"none\" }}\n\
             [pool.next]\nbackends = [{{ address = \"{}\"{proxy} }}]\n\
             check = {{ kind = \"none\" }}\n",
            backend.address, shadow.address
        )
    };
    let file = authority.write("it.toml", &text(""));
    let balancer = Balancer::start(&["--config", &file]);
    let mut client = Wire::to(&balancer);
    let steps = [
        ("", "none", "none"),
        (", proxy = \"v1\"", "v1", "v1"),
        (", proxy = \"v2\"", "v2", "local"),
        ("", "none", "none"),
    ];
    for (at, (proxy, kind, copy)) in steps.into_iter().enumerate() {
        if at > 0 {
            std::fs::write(&file, text(proxy)).unwrap();
            balancer.signal(rustix::process::Signal::HUP);
            // The one that it began with is the first.
            balancer.wait_for_log(&format!(" generation {}: ", at + 1));
        }
        for _ in 0..2 {
            assert_eq!(client.ask(get("/")).status(), 200);
            assert_eq!(told.recv_timeout(DEADLINE).unwrap(), kind, "{proxy}");
            assert_eq!(copied.recv_timeout(DEADLINE).unwrap(), copy, "{proxy}");
        }
    }
    balancer.stop_after(client);
}
