//! The PROXY protocol from those who send it as well: HAProxy and nginx in front of us, with either
//! version, TLVs and probes.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::common::authority::Authority;
use crate::common::http::{Origin, Wire, get};
use crate::common::servers::{missing, nginx_of};
use crate::common::{Balancer, free_port, until, with_deadline};

use super::haproxy_clients::unpacked;
use super::haproxy_ours::Beside;

/// Where the client comes from, which the proxies in front do not.
const CLIENT: &str = "127.0.0.3";

fn begin(mut command: Command) -> Beside {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Beside(command.spawn().unwrap())
}

fn client(to: SocketAddr) -> Wire {
    let from: SocketAddr = format!("{CLIENT}:0").parse().unwrap();
    let mut stream = None;
    until("it listens", || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::from(from)).unwrap();
        let is_there = socket.connect(&to.into()).is_ok();
        stream = Some(with_deadline(TcpStream::from(socket)));
        is_there
    });
    Wire::new(stream.unwrap())
}

fn requiring(origin: &Origin, listen: &str) -> Balancer {
    let flag = origin.backend.flag();
    let front = ["-l", listen, "-b", &flag, "--check", "none"];
    Balancer::start(&[&front[..], &["--proxy-protocol", "127.0.0.1"]].concat())
}

/// Several requests of one connection are of the client, and not of the proxy.
fn is_known(origin: &Origin, front: SocketAddr, what: &str) {
    let mut client = client(front);
    for _ in 0..2 {
        let answer = client.ask(get("/"));
        assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
        assert_eq!(origin.last().field("x-forwarded-for"), CLIENT, "{what}");
    }
}

#[test]
fn behind_haproxy_clients_are_known_by_both_versions_and_its_probes_are_no_failures() {
    if missing(&["haproxy"]) {
        return;
    }
    let authority = Authority::new("fronts-haproxy");
    let origin = Origin::named("hello");
    let balancer = requiring(&origin, "http://127.0.0.1:0");
    let versions = [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id",
        "send-proxy-v2-ssl-cn",
    ];
    let mut text = "defaults\n  mode tcp\n  timeout client 20s\n  timeout server 20s\n  \
                    timeout connect 20s\n"
        .to_owned();
    let fronts = versions.map(|version| {
        let at = free_port();
        let to = balancer.address();
        text += &format!(
            "listen at{}\n  bind {at}\n  unique-id-format %[uuid]\n  \
             server s {to} {version} check check-send-proxy inter 100ms\n",
            at.port()
        );
        (at, version)
    });
    let file = authority.write("haproxy.cfg", &text);
    let mut command = Command::new("haproxy");
    command.args(["-f", &file, "-db"]);
    let _haproxy = begin(command);
    for (at, version) in fronts {
        is_known(&origin, at, version);
    }
    assert!(!balancer.log().contains("no PROXY header"), "{}", balancer.log());
    balancer.stop();
}

#[test]
fn behind_nginx_clients_are_known() {
    if missing(&["nginx"]) {
        return;
    }
    let Some(module) = unpacked("libnginx-mod-stream") else { return };
    let module = module.join("usr/lib/nginx/modules/ngx_stream_module.so");
    let authority = Authority::new("fronts-nginx");
    let origin = Origin::named("hello");
    let balancer = requiring(&origin, "http://127.0.0.1:0");
    let front = free_port();
    let streams = format!(
        "stream {{ server {{ listen {front}; proxy_pass {}; proxy_protocol on; }} }}\n",
        balancer.address()
    );
    let load = format!("load_module {};\n", module.display());
    let _nginx = begin(nginx_of(&load, "", &streams, &authority.home.0));
    is_known(&origin, front, "nginx");
    balancer.stop();
}

/// A pointsman in front of a pointsman, and another one before that: the first client is known.
#[test]
fn behind_our_own_the_client_is_known_through_two() {
    let origin = Origin::named("hello");
    let last = requiring(&origin, "http://127.0.0.1:0");
    let options = "proxy=v2,proxy-tlvs=crc32c+unique-id";
    let to = format!("{},{options}", last.address());
    let front = ["-l", "127.0.0.1:0", "-b", &to, "--check", "none"];
    let middle = Balancer::start(&[&front[..], &["--proxy-protocol", "127.0.0.1"]].concat());
    let to = format!("{},proxy=v1", middle.address());
    let first = Balancer::start(&["-l", "127.0.0.1:0", "-b", &to, "--check", "none"]);
    is_known(&origin, first.address(), "two of ours");
    first.stop();
    middle.stop();
    last.stop();
}
