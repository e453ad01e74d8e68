//! Clients of `https://` and `tls://` listeners: curl, OpenSSL, Python's ssl, rustls.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use rcgen::PKCS_ECDSA_P384_SHA384;

use crate::authority::{Authority, curl, s_client};
use crate::common::http::{Origin, Wire, get, ok};
use crate::common::servers::missing;
use crate::common::{Backend, Balancer, noise};

/// A balancer for HTTPS before this origin.
pub fn https(authority: &Authority, origin: &Origin, more: &[&str]) -> Balancer {
    let pair = authority.pair(&["localhost", "127.0.0.1"]);
    let flag = origin.backend.flag();
    let front = ["-l", "https://127.0.0.1:0", "--check", "none", "-b", &flag];
    Balancer::start(&[&front[..], &pair.flags(), more].concat())
}

/// A GET through a client of rustls; the whole answer, if it ends with close_notify.
pub fn ask(client: &mut (impl Read + Write), request: &str) -> String {
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn curl_is_served_with_small_and_large_bodies_both_ways_on_one_connection() {
    if missing(&["curl"]) {
        return;
    }
    let authority = Authority::new("curl");
    let origin = Origin::echo();
    let balancer = https(&authority, &origin, &["--log-level", "info"]);
    let body = noise(5, 3_000_000);
    let file = authority.path("body");
    std::fs::write(&file, &body).unwrap();
    let url = format!("https://localhost:{}/x", balancer.address().port());
    let ca = authority.file();
    let data = format!("@{}", file.display());
    let back = authority.path("back").display().to_string();
    for flags in
        [&["-H", "Expect:"][..], &["-H", "Transfer-Encoding: chunked"], &["--tls-max", "1.2"]]
    {
        let fixed = ["--cacert", &ca, "--data-binary", &data, "-o", &back, &url];
        let (good, _, complaint) = curl(&[flags, &fixed].concat());
        assert!(good, "{flags:?}: {complaint}");
        assert!(std::fs::read(&back).unwrap() == body, "{flags:?}");
    }
    let count = ["-w", "%{num_connects} ", "-o", "/dev/null", "-o", "/dev/null"];
    let (_, connects, _) = curl(&[&count[..], &["--cacert", &ca, &url, &url]].concat());
    assert_eq!(connects, "1 0 ", "the connection is kept");
    assert_eq!(origin.last().field("x-forwarded-proto"), "https");
    let (good, _, complaint) = curl(&[&url]);
    assert!(!good && complaint.contains("certificate"), "{complaint}");
}

#[test]
fn a_certificate_is_chosen_by_name() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("names");
    let first = authority.pair(&["first.test"]);
    let second = authority.rsa_pair(&["second.test", "*.wild.test"]);
    let third = authority.pair_with(&PKCS_ECDSA_P384_SHA384, &["a.wild.test"], |_| {});
    let origin = Origin::named("a");
    let flag = origin.backend.flag();
    let front = ["-l", "https://127.0.0.1:0", "--check", "none", "-b", &flag];
    let pairs = [&front[..], &first.flags(), &second.flags(), &third.flags()].concat();
    let lenient = Balancer::start(&pairs);
    let strict = Balancer::start(&[&pairs[..], &["--sni-strict"]].concat());
    let shown = |balancer: &Balancer, name: &str| {
        let name =
            if name.is_empty() { vec!["-noservername"] } else { vec!["-servername", name] };
        let text =
            s_client(balancer.address(), "", &[&name[..], &["-alpn", "h2,http/1.1"]].concat());
        match text.lines().find_map(|line| line.strip_prefix("subject=CN = ")) {
            Some(name) => {
                assert!(text.contains("ALPN protocol: http/1.1"), "{text}");
                name.to_owned()
            }
            None if text.contains("alert unrecognized name")
                || text.contains("alert number 112") =>
            {
                "refused".to_owned()
            }
            None => text,
        }
    };
    for (name, lenient_shows, strict_shows) in [
        ("", "first.test", "first.test"),
        ("first.test", "first.test", "first.test"),
        ("SECOND.Test", "second.test", "second.test"),
        ("b.wild.test", "second.test", "second.test"),
        ("a.wild.test", "a.wild.test", "a.wild.test"),
        ("a.b.wild.test", "first.test", "refused"),
        ("wild.test", "first.test", "refused"),
        ("nobody.test", "first.test", "refused"),
    ] {
        assert_eq!(shown(&lenient, name), lenient_shows, "{name}");
        assert_eq!(shown(&strict, name), strict_shows, "{name}, strictly");
    }
    assert!(
        s_client(lenient.address(), "", &["-alpn", "h2"]).contains("no application protocol")
    );
}

#[test]
fn sessions_are_resumed_by_tickets() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("resume");
    let origin = Origin::named("a");
    let balancer = https(&authority, &origin, &[]);
    let ca = authority.file();
    for version in ["-tls1_2", "-tls1_3"] {
        let session = authority.path(version).display().to_string();
        let say = "GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n";
        let fixed = [version, "-CAfile", &ca, "-servername", "localhost", "-ign_eof"];
        let first =
            s_client(balancer.address(), say, &[&fixed[..], &["-sess_out", &session]].concat());
        assert!(first.contains("New, TLSv1."), "{first}");
        assert!(first.contains("Verify return code: 0 (ok)"), "{first}");
        let again =
            s_client(balancer.address(), say, &[&fixed[..], &["-sess_in", &session]].concat());
        assert!(again.contains("Reused, TLSv1."), "{again}");
        assert!(again.contains("200 OK"), "{again}");
    }
    let text = s_client(balancer.address(), "", &["-tls1_2", "-reconnect", "-CAfile", &ca]);
    assert_eq!(text.matches("Reused, TLSv1.2").count(), 5, "{text}");
    for old in ["-tls1", "-tls1_1"] {
        let text = s_client(balancer.address(), "", &[old, "-cipher", "DEFAULT@SECLEVEL=0"]);
        assert!(text.contains("SSL alert number"), "{old}: {text}");
        assert!(text.contains("no peer certificate available"), "{old}: {text}");
    }
}

#[test]
fn bytes_are_relayed_through_tls() {
    let authority = Authority::new("bytes");
    let pair = authority.pair(&["localhost"]);
    let backend = Backend::echo();
    let flag = backend.flag();
    let front = ["-l", "tls://127.0.0.1:0", "--check", "none", "-b", &flag];
    let balancer =
        Balancer::start(&[&front[..], &pair.flags(), &["--log-level", "info"]].concat());
    let bytes = noise(7, 2_000_000);
    let mut client = authority.client(&balancer);
    let mut socket = client.sock.try_clone().unwrap();
    // Written in pieces of all sizes, and read meanwhile, for an echo holds little.
    for (index, piece) in bytes.chunks(61_000).enumerate() {
        for part in piece.chunks([1, 100, 16_384, 61_000][index % 4].max(100)) {
            client.conn.writer().write_all(part).unwrap();
            while client.conn.wants_write() {
                client.conn.write_tls(&mut socket).unwrap();
            }
        }
        let mut back = vec![0; piece.len()];
        client.read_exact(&mut back).unwrap();
        assert!(back == piece, "piece {index}");
    }
    // Half-closed by close_notify: the rest still comes, and then the end is a clean one.
    client.write_all(b"last words").unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"last words");
    drop(client);
    balancer.wait_until_idle();
}

#[test]
fn plain_http_on_the_port_of_https_is_told_so() {
    let authority = Authority::new("plain");
    let origin = Origin::named("a");
    let balancer = https(&authority, &origin, &[]);
    for request in [get("/"), "POST / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()] {
        let mut wire = Wire::to(&balancer);
        let answer = wire.ask(request);
        assert_eq!(answer.status(), 400);
        assert!(answer.text().contains("this port speaks HTTPS"), "{}", answer.text());
        assert!(wire.ends());
    }
    assert_eq!(origin.count(), 0);
    balancer.wait_until_idle();
}

#[test]
fn a_handshake_has_a_deadline() {
    let authority = Authority::new("slow");
    let origin = Origin::named("a");
    let balancer = https(&authority, &origin, &["--tls-handshake-timeout", "2s"]);
    let silent = balancer.connect();
    let mut dripping = balancer.connect();
    dripping.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    let ends = |mut stream: TcpStream| matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_));
    assert!(ends(silent) && ends(dripping), "closed");
    balancer.wait_until_idle();
    balancer.wait_for_log("broke: timed out");
    // A client that made it in time is under another deadline.
    let mut client = authority.client(&balancer);
    assert!(
        ends(balancer.connect()),
        "its deadline is later than that of the client before it"
    );
    let answer = ask(&mut client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    let authority = Authority::new("drip");
    let origin = Origin::saying(ok("well"));
    let balancer = https(&authority, &origin, &[]);
    let config = std::sync::Arc::new(authority.client_config());
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut tls = rustls::ClientConnection::new(config, name).unwrap();
    let mut stream = balancer.connect();
    let drip = |tls: &mut rustls::ClientConnection, stream: &mut std::net::TcpStream| {
        let mut bytes = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut bytes).unwrap();
        }
        for byte in bytes {
            stream.write_all(&[byte]).unwrap();
        }
    };
    tls.writer().write_all(get("/").as_bytes()).unwrap();
    let mut answer = [0; 256];
    let count = loop {
        drip(&mut tls, &mut stream);
        match tls.reader().read(&mut answer) {
            Ok(count) => break count,
            Err(_) => {
                assert!(tls.read_tls(&mut stream).unwrap() > 0, "closed");
                tls.process_new_packets().unwrap();
            }
        }
    };
    assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK"));
}

#[test]
fn python_is_served() {
    if missing(&["python3"]) {
        return;
    }
    let authority = Authority::new("python");
    let origin = Origin::echo();
    let balancer = https(&authority, &origin, &[]);
    let script = "
import http.client, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
context.set_alpn_protocols(['h2', 'http/1.1'])
client = http.client.HTTPSConnection('localhost', int(sys.argv[1]), context=context, timeout=20)
for size in (0, 1, 16384, 16385, 1000000):
    client.request('POST', '/', b'x' * size)
    assert client.getresponse().read() == b'x' * size, size
print(client.sock.version(), client.sock.selected_alpn_protocol())
";
    let port = balancer.address().port().to_string();
    let output = Command::new("python3")
        .args(["-c", script, &port, &authority.file()])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "TLSv1.3 http/1.1",
        "{complaint}"
    );
}
