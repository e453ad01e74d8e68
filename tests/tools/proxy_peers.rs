//! The PROXY protocol with those who speak it as well: HAProxy and nginx as backends that demand
//! the header, of either version, over TCP, TLS and HTTP.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use crate::common::authority::{Authority, Pair};
use crate::common::http::{Message, Wire, get};
use crate::common::servers::{missing, nginx_of};
use crate::common::{Balancer, free_port, until};

use super::haproxy_clients::unpacked;
use super::haproxy_ours::Beside;

/// Certificate and key in one file, as HAProxy wants them.
pub fn bundle(authority: &Authority, pair: &Pair) -> String {
    let all = [&pair.cert, &pair.key].map(|file| std::fs::read_to_string(file).unwrap());
    authority.write("bundle.pem", &all.concat())
}

/// Waits until somebody listens there.
pub fn listens(address: SocketAddr) {
    until("it listens", || TcpStream::connect(address).is_ok());
}

/// Starts it, with its output thrown away.
pub fn begin(mut command: Command) -> Beside {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Beside(command.spawn().unwrap())
}

/// HAProxy with these lines behind its defaults.
pub fn haproxy(authority: &Authority, lines: &str) -> Beside {
    let text = format!(
        "defaults\n  timeout client 20s\n  timeout server 20s\n  timeout connect 20s\n{lines}"
    );
    let file = authority.write("haproxy.cfg", &text);
    let mut command = Command::new("haproxy");
    command.args(["-f", &file, "-db"]);
    begin(command)
}

/// Listeners in front of one backend each.
fn balancer(listen: &str, backend: &str, more: &[&str]) -> Balancer {
    Balancer::start(&[&["-l", listen, "-b", backend, "--check", "none"], more].concat())
}

/// What the backend says of the client that asked, and what it should.
fn asked(balancer: &Balancer) -> (Message, String) {
    let mut client = Wire::to(balancer);
    let answer = client.ask(get("/"));
    let from = client.stream.local_addr().unwrap();
    let to = balancer.address();
    let wanted = format!("{} {} {} {}", from.ip(), from.port(), to.ip(), to.port());
    (answer, wanted)
}

#[test]
fn haproxy_takes_both_versions_and_what_version_2_says_beside() {
    if missing(&["haproxy"]) {
        return;
    }
    let authority = Authority::new("peers-haproxy");
    let pair = authority.pair(&["127.0.0.1", "localhost"]);
    let plain = free_port();
    let tls = free_port();
    let says = "http-request return status 200 content-type text/plain lf-string \
                \"%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority] %[fc_pp_unique_id]\"";
    let _haproxy = haproxy(
        &authority,
        &format!(
            "frontend plain\n  mode http\n  bind {plain} accept-proxy\n  {says}\n\
             frontend tls\n  mode http\n  bind {tls} accept-proxy ssl crt {}\n  {says}\n",
            bundle(&authority, &pair)
        ),
    );
    listens(plain);
    listens(tls);
    let file = authority.file();
    for scheme in ["tcp", "http"] {
        for (at, dial) in [(plain, ""), (tls, ",tls,sni=localhost")] {
            for options in ["proxy=v1", "proxy=v2", "proxy=v2,proxy-tlvs=crc32c+unique-id+ssl"]
            {
                let backend = format!("{at}{dial},{options}");
                let more = ["--backend-ca", &file];
                let more = if dial.is_empty() { &[][..] } else { &more };
                let balancer = balancer(&format!("{scheme}://127.0.0.1:0"), &backend, more);
                let (answer, wanted) = asked(&balancer);
                let text = answer.text();
                assert_eq!(answer.status(), 200, "{scheme} {backend}: {text}");
                assert!(text.starts_with(&wanted), "{scheme} {backend}: {text}, not {wanted}");
                let id = text[wanted.len()..].trim();
                let has_id = options.contains("unique-id");
                assert_eq!(id.len(), if has_id { 32 } else { 0 }, "{text}");
                balancer.stop();
            }
        }
    }
    // The client's own TLS says a name; it ends here, and goes on to HAProxy in the clear.
    let options = "proxy=v2,proxy-tlvs=alpn+authority+crc32c+unique-id+ssl";
    let balancer =
        balancer("https://127.0.0.1:0", &format!("{plain},{options}"), &pair.flags());
    let url = format!("https://localhost:{}/", balancer.address().port());
    let (went, out, err) = crate::common::authority::curl(&["--cacert", &file, &url]);
    assert!(went, "{err}");
    let words: Vec<&str> = out.split(' ').collect();
    assert_eq!(words[4], "localhost", "{out}");
    assert_eq!(words[5].trim().len(), 32, "{out}");
    balancer.stop();
}

/// One whose checksum is wrong would be refused: so the ones above were looked at.
#[test]
fn haproxy_probed_with_a_header_is_up_and_without_one_is_not() {
    if missing(&["haproxy"]) {
        return;
    }
    let authority = Authority::new("peers-probes");
    let at = free_port();
    let _haproxy = haproxy(
        &authority,
        &format!(
            "frontend plain\n  mode http\n  bind {at} accept-proxy\n  \
             http-request return status 200\n"
        ),
    );
    listens(at);
    let probes = ["--check", "http:/", "--check-interval", "50ms", "--fall", "1"];
    for options in ["proxy=v1", "proxy=v2", "proxy=v2,proxy-tlvs=crc32c"] {
        let backend = format!("{at},{options}");
        let front = ["-l", "http://127.0.0.1:0", "-b", &backend];
        let balancer = Balancer::start(&[&front[..], &probes].concat());
        for _ in 0..20 {
            assert_eq!(asked(&balancer).0.status(), 200, "{options}");
        }
        assert!(!balancer.log().contains("is down"), "{options}");
        balancer.stop();
    }
    let backend = at.to_string();
    let front = ["-l", "http://127.0.0.1:0", "-b", &backend];
    let balancer = Balancer::start(&[&front[..], &probes].concat());
    balancer.wait_for_log("is down");
    balancer.stop();
}

#[test]
fn nginx_takes_both_versions_over_tcp_tls_and_http() {
    if missing(&["nginx"]) {
        return;
    }
    let Some(module) = unpacked("libnginx-mod-stream") else { return };
    let module = module.join("usr/lib/nginx/modules/ngx_stream_module.so");
    let authority = Authority::new("peers-nginx");
    let pair = authority.pair(&["127.0.0.1", "localhost"]);
    let [plain, tls, stream] = [free_port(), free_port(), free_port()];
    let says = "return 200 \"$proxy_protocol_addr $proxy_protocol_port \
                $proxy_protocol_server_addr $proxy_protocol_server_port\";";
    let servers = format!(
        "server {{ listen {plain} proxy_protocol; {says} }}\n\
         server {{ listen {tls} ssl proxy_protocol; ssl_certificate {}; \
         ssl_certificate_key {}; {says} }}\n",
        pair.cert, pair.key
    );
    let streams = format!(
        "stream {{ server {{ listen {stream} proxy_protocol; \
         return \"HTTP/1.0 200 OK\\r\\n\\r\\n$proxy_protocol_addr $proxy_protocol_port \
         $proxy_protocol_server_addr $proxy_protocol_server_port\"; }} }}\n"
    );
    let load = format!("load_module {};\n", module.display());
    let _nginx = begin(nginx_of(&load, &servers, &streams, &authority.home.0));
    [plain, tls, stream].into_iter().for_each(listens);
    let file = authority.file();
    for (scheme, at, dial) in [
        ("tcp", plain, ""),
        ("http", plain, ""),
        ("tcp", tls, ",tls,sni=localhost"),
        ("http", tls, ",tls,sni=localhost"),
        ("tcp", stream, ""),
    ] {
        for options in ["proxy=v1", "proxy=v2", "proxy=v2,proxy-tlvs=crc32c+unique-id"] {
            let backend = format!("{at}{dial},{options}");
            let more = ["--backend-ca", &file];
            let more = if dial.is_empty() { &[][..] } else { &more };
            let balancer = balancer(&format!("{scheme}://127.0.0.1:0"), &backend, more);
            let (answer, wanted) = asked(&balancer);
            assert_eq!((answer.status(), answer.text()), (200, wanted), "{scheme} {backend}");
            balancer.stop();
        }
    }
}
