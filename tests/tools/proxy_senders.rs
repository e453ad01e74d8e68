//! The PROXY protocol from those who speak it as well: HAProxy and nginx in front of us, which
//! send the header of either version to listeners of every kind. What we made of it is read from
//! the header that our own backend demands.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::common::authority::Authority;
use crate::common::http::{Wire, get, ok};
use crate::common::proxy_header::read;
use crate::common::servers::{missing, nginx_of};
use crate::common::{Backend, Balancer, free_port, until, with_deadline};

use super::haproxy_clients::unpacked;
use super::proxy_peers::{begin, bundle, haproxy, listens};

/// Types of version 2.
const AUTHORITY: u8 = 2;
const UNIQUE_ID: u8 = 5;

/// Answers each request with what the header before it said.
fn telling() -> Backend {
    Backend::start(|stream| {
        let mut stream = with_deadline(stream);
        let Ok(header) = read(&mut stream) else { return };
        let says = match (header.source, header.destination) {
            (Some(from), Some(to)) => {
                let [name, id] = [AUTHORITY, UNIQUE_ID].map(|kind| header.text(kind));
                format!("{from} {to} {name} {id}")
            }
            _ => "nobody".to_owned(),
        };
        let mut wire = Wire::new(stream);
        while wire.request().is_some() && wire.try_say(ok(&says)) {}
    })
}

/// The only proxy here is 127.0.0.1; clients are at another address.
fn ours(listen: &str, backend: &Backend, more: &[&str]) -> Balancer {
    let backend = format!("{},proxy=v2,proxy-tlvs=authority+unique-id", backend.address);
    let front = ["-l", listen, "-b", &backend, "--check", "none"];
    Balancer::start(&[&front[..], &["--proxy-protocol", "127.0.0.1"], more].concat())
}

fn client(to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: SocketAddr = "127.0.0.77:0".parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    with_deadline(socket.into())
}

/// What our backend says of a client of this proxy.
fn asked(front: SocketAddr, what: &str) -> String {
    let stream = client(front);
    let from = stream.local_addr().unwrap();
    let answer = Wire::new(stream).ask(get("/"));
    assert_eq!(answer.status(), 200, "{what}: {}", answer.head);
    let text = answer.text();
    assert!(text.starts_with(&format!("{from} {front} ")), "{what}: {text}");
    text
}

/// The same through TLS, to whoever ends it.
fn asked_by_tls(authority: &Authority, front: SocketAddr, what: &str) -> String {
    let stream = client(front);
    let from = stream.local_addr().unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(Arc::new(authority.client_config()), name).unwrap();
    let mut tls = StreamOwned::new(tls, stream);
    tls.write_all(get("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    let wanted = format!("{from} {front} ");
    // It need not end: what is waited for is the answer.
    while !String::from_utf8_lossy(&answer).contains(&wanted) {
        tls.read_exact(&mut byte).unwrap_or_else(|error| panic!("{what}: {error}"));
        answer.extend(byte);
    }
    for _ in 0.."localhost".len() {
        tls.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn haproxy_sends_both_versions_to_listeners_of_every_kind() {
    if missing(&["haproxy"]) {
        return;
    }
    let authority = Authority::new("senders-haproxy");
    let pair = authority.pair(&["localhost"]);
    let backend = telling();
    let file = bundle(&authority, &pair);
    let options = "send-proxy-v2 proxy-v2-options unique-id,crc32c,ssl,authority";
    for scheme in ["tcp", "http"] {
        let ours = ours(&format!("{scheme}://127.0.0.1:0"), &backend, &[]);
        let to = ours.address();
        let [v1, v2, all, probed] = [(); 4].map(|()| free_port());
        let _haproxy = haproxy(
            &authority,
            &format!(
                "listen v1\n  mode tcp\n  bind {v1}\n  server s {to} send-proxy\n\
                 listen v2\n  mode tcp\n  bind {v2}\n  server s {to} send-proxy-v2\n\
                 listen all\n  mode tcp\n  unique-id-format %ci-of-haproxy\n  \
                 bind {all} ssl crt {file}\n  server s {to} {options}\n\
                 listen probed\n  mode http\n  option httpchk GET /\n  bind {probed}\n  \
                 server s {to} send-proxy-v2 check inter 50ms fall 1\n"
            ),
        );
        [v1, v2, all, probed].into_iter().for_each(listens);
        asked(v1, "version 1");
        asked(v2, "version 2");
        let text = asked_by_tls(&authority, all, "all of version 2");
        assert!(text.ends_with(" localhost"), "{text}");
        // By LOCAL nobody is named, and the probe is one of ours: HAProxy's own address.
        for _ in 0..20 {
            asked(probed, "probed");
        }
        ours.stop();
    }
}

#[test]
fn the_header_of_haproxy_stands_ahead_of_tls_that_ends_here_or_is_passed_on() {
    if missing(&["haproxy"]) {
        return;
    }
    let authority = Authority::new("senders-tls");
    let pair = authority.pair(&["localhost"]);
    let backend = telling();
    let ours = ours("https://127.0.0.1:0", &backend, &pair.flags());
    let [v1, v2] = [(); 2].map(|()| free_port());
    let to = ours.address();
    let _haproxy = haproxy(
        &authority,
        &format!(
            "listen v1\n  mode tcp\n  bind {v1}\n  server s {to} send-proxy\n\
             listen v2\n  mode tcp\n  bind {v2}\n  server s {to} send-proxy-v2\n"
        ),
    );
    [v1, v2].into_iter().for_each(listens);
    for (front, what) in [(v1, "version 1"), (v2, "version 2")] {
        let text = asked_by_tls(&authority, front, what);
        assert!(text.ends_with(" localhost"), "{what}: {text}");
    }
    ours.stop();
}

/// Who is no proxy is not taken for one, and whoever has to say who it comes for says it or is
/// closed.
#[test]
fn nginx_sends_version_1_to_listeners_of_every_kind() {
    if missing(&["nginx"]) {
        return;
    }
    let Some(module) = unpacked("libnginx-mod-stream") else { return };
    let module = module.join("usr/lib/nginx/modules/ngx_stream_module.so");
    let authority = Authority::new("senders-nginx");
    let pair = authority.pair(&["localhost"]);
    let backend = telling();
    let kinds = ["tcp", "http", "https"];
    let all = kinds.map(|scheme| {
        let more = pair.flags();
        let more = if scheme == "https" { &more[..] } else { &[] };
        ours(&format!("{scheme}://127.0.0.1:0"), &backend, more)
    });
    let fronts = kinds.map(|_| free_port());
    let servers: String = fronts
        .iter()
        .zip(&all)
        .map(|(front, to)| {
            let to = to.address();
            format!("server {{ listen {front}; proxy_pass {to}; proxy_protocol on; }}\n")
        })
        .collect();
    let load = format!("load_module {};\n", module.display());
    let streams = format!("stream {{\n{servers}}}\n");
    let _nginx = begin(nginx_of(&load, "", &streams, &authority.home.0));
    fronts.into_iter().for_each(listens);
    asked(fronts[0], "tcp");
    asked(fronts[1], "http");
    asked_by_tls(&authority, fronts[2], "https");
    until("a proxy that names nobody is closed", || {
        let mut bare = with_deadline(TcpStream::connect(all[1].address()).unwrap());
        let _ = bare.write_all(get("/").as_bytes());
        let mut came = Vec::new();
        let _ = bare.read_to_end(&mut came);
        came.is_empty()
    });
    all.into_iter().for_each(Balancer::stop);
}
