//! Backends that speak TLS: nginx, rustls, and some that should not be believed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::authority::{Authority, Pair};
use crate::common::http::{Wire, get};
use crate::common::servers::missing;
use crate::common::{Backend, Balancer, free_port, noise, until, with_deadline};

/// A server's end of TLS.
pub type Server = StreamOwned<ServerConnection, TcpStream>;

/// A backend that speaks TLS with this certificate.
pub fn backend(
    authority: &Authority,
    pair: &Pair,
    serve: impl Fn(&mut Server) + Send + Sync + 'static,
) -> Backend {
    serve_tls(authority.server_config(pair), serve)
}

/// The same, set up in any way.
pub fn serve_tls(
    config: ServerConfig,
    serve: impl Fn(&mut Server) + Send + Sync + 'static,
) -> Backend {
    let config = Arc::new(config);
    Backend::start(move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        serve(&mut StreamOwned::new(tls, with_deadline(stream)));
    })
}

/// Read the head of a request; nothing, if the client is gone.
pub fn head(server: &mut Server) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        server.read_exact(&mut byte).ok()?;
        text.extend(byte);
    }
    Some(String::from_utf8(text).unwrap())
}

pub fn hello(server: &mut Server) {
    while head(server).is_some() {
        if server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_err() {
            return;
        }
    }
}

/// A balancer for plain HTTP before this backend.
pub fn http(backend: &str, more: &[&str]) -> Balancer {
    let check = if more.contains(&"--check") { &[][..] } else { &["--check", "none"] };
    let front = ["-l", "http://127.0.0.1:0", "-b", backend];
    Balancer::start(&[&front[..], check, more].concat())
}

pub fn status(balancer: &Balancer) -> u16 {
    Wire::to(balancer).ask(get("/")).status()
}

#[test]
fn a_backend_is_believed_by_its_certificate_and_name() {
    let authority = Authority::new("believed");
    let stranger = Authority::new("stranger");
    let ca = authority.file();
    let at_home = authority.pair(&["127.0.0.1"]);
    let named = authority.pair(&["db.test"]);
    let home = backend(&authority, &at_home, hello);
    // As 'openssl req -x509' makes them.
    let signer =
        authority.pair_with(&rcgen::PKCS_ECDSA_P256_SHA256, &["127.0.0.1"], |params| {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        });
    let signer = backend(&authority, &signer, hello);
    let elsewhere = backend(&authority, &named, hello);
    let forged = backend(&stranger, &stranger.pair(&["127.0.0.1"]), hello);
    let address = |backend: &Backend| backend.flag();
    for (flag, more, expected, says) in [
        (format!("https://{}", address(&home)), &["--backend-ca", &ca][..], 200, ""),
        (format!("{},tls", address(&home)), &["--backend-ca", &ca], 200, ""),
        (
            format!("https://{}", address(&elsewhere)),
            &["--backend-ca", &ca],
            502,
            "TLS: its certificate is for another name",
        ),
        (
            format!("https://{},sni=db.test", address(&elsewhere)),
            &["--backend-ca", &ca],
            200,
            "",
        ),
        (
            format!("https://{}", address(&forged)),
            &["--backend-ca", &ca],
            502,
            "TLS: nobody whom we trust signed its certificate",
        ),
        (
            format!("https://{}", address(&signer)),
            &["--backend-ca", &ca],
            502,
            "TLS: its certificate is one for signing others (CA:TRUE)",
        ),
        (
            format!("https://{}", address(&forged)),
            &["--backend-verify", "none"],
            200,
            "WARN  --backend-verify none: the certificates of backends are not",
        ),
    ] {
        let balancer = http(&flag, more);
        assert_eq!(status(&balancer), expected, "{flag} {more:?}: {}", balancer.log());
        if !says.is_empty() {
            balancer.wait_for_log(says);
        }
        balancer.stop();
    }
}

#[test]
fn a_backend_that_speaks_no_tls_is_one_that_took_no_connection() {
    let authority = Authority::new("plainly");
    let plain = Backend::start(|mut stream| {
        let _ = stream.write_all(b"220 welcome\r\n");
        // To its end: what is closed unread is reset, and a reset overtakes what was said.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let good = backend(&authority, &authority.pair(&["127.0.0.1"]), hello);
    let first = format!("tls://{}", plain.flag());
    let second = format!("tls://{}", good.flag());
    let ca = authority.file();
    let more = ["-b", &second, "--balance", "first", "--backend-ca", &ca];
    let balancer = http(&first, &more);
    assert_eq!(status(&balancer), 200, "another backend takes over");
    balancer.wait_for_log("what it says is not TLS");
}

#[test]
fn probes_go_through_tls() {
    let authority = Authority::new("probes");
    let ca = authority.file();
    let good = backend(&authority, &authority.pair(&["127.0.0.1"]), hello);
    let fast = ["--check-interval", "20ms", "--fall", "1"];
    let flag = good.flag();
    for (backend, check) in [
        (format!("https://{flag}"), "https:/health"),
        (format!("https://{flag}"), "http:/health"),
        (flag.clone(), "https:/health"),
    ] {
        let more = [&["--check", check, "--backend-ca", &ca][..], &fast].concat();
        let balancer = http(&backend, &more);
        balancer.wait_for_row(&flag, |row| row.is_known_up());
    }
    let stranger = Authority::new("prober");
    let other_ca = stranger.file();
    let more = [&["--check", "https:/", "--backend-ca", &other_ca][..], &fast].concat();
    let balancer = http(&format!("https://{flag}"), &more);
    balancer.wait_for_log("is down after");
    assert!(
        balancer.log().contains("a probe: TLS: nobody whom we trust"),
        "{}",
        balancer.log()
    );
}

#[test]
fn large_bodies_pass_through_tls_on_both_sides() {
    let authority = Authority::new("both");
    let pair = authority.pair(&["localhost", "127.0.0.1"]);
    let echo = backend(&authority, &pair, |server| {
        let mut buffer = [0; 10_000];
        while let Ok(count @ 1..) = server.read(&mut buffer) {
            if server.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
        server.conn.send_close_notify();
        let _ = server.flush();
    });
    let ca = authority.file();
    let flag = format!("tls://{}", echo.flag());
    let front =
        ["-l", "tls://127.0.0.1:0", "-b", &flag, "--check", "none", "--backend-ca", &ca];
    let more = ["--log-level", "info"];
    let balancer = Balancer::start(&[&front[..], &pair.flags(), &more].concat());
    let mut client = authority.client(&balancer);
    let bytes = noise(11, 3_000_000);
    for piece in bytes.chunks(200_000) {
        for part in piece.chunks(9_000) {
            client.write_all(part).unwrap();
        }
        let mut back = vec![0; piece.len()];
        client.read_exact(&mut back).unwrap();
        assert!(back == piece);
    }
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the end is a clean one");
    balancer.wait_until_idle();
}

/// nginx that says how it is spoken to; killed when dropped.
struct Nginx(Child);

impl Nginx {
    fn start(authority: &Authority, address: std::net::SocketAddr) -> Nginx {
        let pair = authority.rsa_pair(&["nginx.test"]);
        let at = authority.home.0.display();
        let text = format!(
            "daemon off; master_process off; pid {at}/n.pid; error_log {at}/error.log;
             events {{}}
             http {{
                 access_log off;
                 client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
                 fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi;
                 scgi_temp_path {at}/scgi;
                 server {{
                     listen {address} ssl; ssl_protocols TLSv1.2 TLSv1.3;
                     ssl_certificate {}; ssl_certificate_key {};
                     ssl_session_cache shared:tls:1m;
                     location / {{
                         set $how \"$ssl_protocol $ssl_session_reused $connection\";
                         return 200 \"$how $ssl_server_name\";
                     }}
                     location /file {{ alias {at}/large; }}
                 }}
             }}",
            pair.cert, pair.key
        );
        let config = authority.write("tls.conf", &text);
        let mut command = Command::new("nginx");
        command
            .args(["-e", "stderr", "-c", &config])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        until("nginx listens", || TcpStream::connect(address).is_ok());
        Nginx(child)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nginx_is_spoken_to_in_pooled_and_in_resumed_connections() {
    if missing(&["nginx"]) {
        return;
    }
    let authority = Authority::new("nginx");
    let large = noise(3, 2_000_000);
    std::fs::write(authority.path("large"), &large).unwrap();
    let address = free_port();
    let _nginx = Nginx::start(&authority, address);
    let ca = authority.file();
    let flag = format!("https://{address},sni=nginx.test");
    let trust = ["--backend-ca", &ca];
    let said = |balancer: &Balancer| {
        let text = Wire::to(balancer).ask(get("/")).text();
        text.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let pooling = http(&flag, &trust);
    let first = said(&pooling);
    assert_eq!((&*first[0], &*first[1], &*first[3]), ("TLSv1.3", ".", "nginx.test"));
    assert_eq!(said(&pooling), first, "one connection for all");
    let body = Wire::to(&pooling).ask(get("/file")).body;
    assert!(body == large);
    assert_eq!(said(&pooling), first, "still");
    let none = ["--backend-idle-connections", "0"];
    let resuming = http(&flag, &[&trust[..], &none].concat());
    assert_eq!(said(&resuming)[1], ".");
    let again = said(&resuming);
    assert_eq!(again[1], "r", "{again:?}");
}
