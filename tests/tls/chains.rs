//! What a peer can make us keep or compute before it is known: long chains, a ClientHello that
//! never ends; and what a session that goes on would spare it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion, version};

use crate::authority::{Authority, Pair, s_client};
use crate::backends::{head, hello, http, serve_tls, status};
use crate::clients::https;
use crate::common::http::{Origin, Wire, get};
use crate::common::servers::missing;
use crate::common::{Balancer, DEADLINE, until};

fn false_authority(name: &str) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

/// Certificates that lead nowhere, two of them with the name of the authority.
fn false_authorities(name: &str, count: usize) -> Vec<CertificateDer<'static>> {
    let make = |it: usize| {
        let name = if it < 2 { format!("the authority {name}") } else { it.to_string() };
        false_authority(&name)
    };
    (0..count).map(make).collect()
}

fn chain(pair: &Pair, others: &[CertificateDer<'static>]) -> Vec<CertificateDer<'static>> {
    let own = CertificateDer::from_pem_file(&pair.cert).unwrap();
    [&[own][..], others].concat()
}

fn key(pair: &Pair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(&pair.key).unwrap()
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What a client of this configuration is answered, or told.
fn attempt(config: ClientConfig, balancer: &Balancer) -> String {
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = balancer.connect();
    let mut stream = rustls::Stream::new(&mut tls, &mut stream);
    let said = stream.write_all(GET.as_bytes());
    let mut answer = String::new();
    match said.and_then(|()| stream.read_to_string(&mut answer)) {
        Ok(_) => answer,
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_client_shows_eight_certificates_at_most() {
    let authority = Authority::new("long");
    let origin = Origin::named("a");
    let balancer = https(&authority, &origin, &["--client-ca", &authority.file()]);
    let card = authority.pair(&["card"]);
    let false_ones = false_authorities("long", 100);
    for versions in VERSIONS {
        let show = |others: usize| {
            let roots = authority.roots();
            let builder = ClientConfig::builder_with_protocol_versions(&[versions]);
            let builder = builder.with_root_certificates(roots);
            let shown = chain(&card, &false_ones[..others]);
            attempt(builder.with_client_auth_cert(shown, key(&card)).unwrap(), &balancer)
        };
        assert!(show(7).starts_with("HTTP/1.1 200"), "{versions:?}");
        for others in [8, 100] {
            let told = show(others);
            assert!(told.contains("CertificateUnknown"), "{versions:?}, {others}: {told}");
        }
    }
    let says = "TLS: it shows more certificates than are looked at";
    until("each is logged", || balancer.log_so_far().matches(says).count() == 4);
}

/// Seven that bear the authority's name stand behind each other in any order, and each path among
/// them cost its signatures: 31 ms a handshake, on P-384.
#[test]
fn a_client_shows_two_certificates_of_one_name_at_most() {
    let authority = Authority::new("namesakes");
    let origin = Origin::named("a");
    let balancer = https(&authority, &origin, &["--client-ca", &authority.file()]);
    let card = authority.pair(&["card"]);
    let same = (0..7).map(|_| false_authority("the authority namesakes")).collect::<Vec<_>>();
    let show = |others: usize| {
        let builder = ClientConfig::builder().with_root_certificates(authority.roots());
        let shown = chain(&card, &same[..others]);
        attempt(builder.with_client_auth_cert(shown, key(&card)).unwrap(), &balancer)
    };
    assert!(show(2).starts_with("HTTP/1.1 200"));
    for others in [3, 7] {
        let told = show(others);
        assert!(told.contains("CertificateUnknown"), "{others}: {told}");
    }
}

#[test]
fn a_backend_shows_eight_certificates_at_most() {
    let authority = Authority::new("tall");
    let card = authority.pair(&["127.0.0.1"]);
    let false_ones = false_authorities("tall", 8);
    let ca = authority.file();
    for (others, expected) in [(7, 200), (8, 502)] {
        let shown = chain(&card, &false_ones[..others]);
        let builder = ServerConfig::builder().with_no_client_auth();
        let config = builder.with_single_cert(shown, key(&card)).unwrap();
        let backend = serve_tls(config, hello);
        let flag = format!("https://{}", backend.flag());
        let balancer = http(&flag, &["--backend-ca", &ca]);
        assert_eq!(status(&balancer), expected, "{others}: {}", balancer.log());
        if expected == 502 {
            balancer.wait_for_log("TLS: it shows more certificates than are looked at");
        }
    }
}

/// Whatever it announces, a ClientHello that is not whole has 20 KiB on the wire at most; then it
/// is told so, and nothing of it is kept.
#[test]
fn a_client_hello_in_small_pieces_has_a_bound() {
    let authority = Authority::new("pieces");
    let origin = Origin::named("a");
    let balancer = https(&authority, &origin, &[]);
    let start = [1, 0, 0x3f, 0xfc];
    let message = start.iter().chain(std::iter::repeat(&0)).take(16 * 1024 - 1);
    let wire: Vec<u8> = message.flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    let most = pointsman::limits::CLIENT_HELLO_WIRE_BYTES_MAX;
    const CLIENTS: usize = 100;
    let before = balancer.memory();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| balancer.connect()).collect();
    for client in &mut clients {
        client.write_all(&wire[..most - 2]).unwrap();
    }
    crate::ends::wait_until_asleep(&balancer);
    let each = (balancer.memory() - before) / CLIENTS;
    assert!(each < 40 * 1024, "{each} bytes a client");
    for client in &mut clients {
        client.write_all(&wire[most - 2..most + 4]).unwrap();
        let mut told = [0; 7];
        client.read_exact(&mut told).unwrap();
        assert_eq!(told, [21, 3, 3, 0, 2, 2, 47], "illegal_parameter");
    }
    drop(clients);
    balancer.wait_until_idle();
}

#[test]
fn no_session_outlives_a_clients_certificate() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("outlives");
    let origin = Origin::named("a");
    let ca = authority.file();
    let card = authority.pair(&["card"]);
    let say = "GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n";
    for more in [&["--client-cert", "required"], &["--client-cert", "optional"]] {
        let flags = [&["--client-ca", &ca][..], more].concat();
        let balancer = https(&authority, &origin, &flags);
        for (version, ticket) in [("-tls1_3", ""), ("-tls1_2", ""), ("-tls1_2", "-no_ticket")] {
            let session = authority.path("session").display().to_string();
            let fixed = [version, "-CAfile", &ca, "-servername", "localhost", "-ign_eof"];
            let shows = ["-cert", &card.cert, "-key", &card.key];
            let mut args = [&fixed[..], &shows].concat();
            args.extend((!ticket.is_empty()).then_some(ticket));
            let keep = ["-sess_out", &session];
            let first = s_client(balancer.address(), say, &[&args[..], &keep].concat());
            assert!(first.contains("200 OK"), "{first}");
            if !std::path::Path::new(&session).exists() {
                continue;
            }
            let go_on = ["-sess_in", &session];
            let again = s_client(balancer.address(), say, &[&args[..], &go_on].concat());
            assert!(!again.contains("Reused, TLSv1."), "{version} {ticket}: {again}");
            assert!(again.contains("200 OK"), "{version} {ticket}: {again}");
            std::fs::remove_file(&session).unwrap();
        }
    }
}

/// What backends are shown is read again at SIGHUP; probes show it too.
#[test]
fn backends_are_shown_a_certificate() {
    let authority = Authority::new("shown");
    let ca = authority.file();
    let server = authority.pair(&["127.0.0.1"]);
    let card = authority.pair(&["first.test"]);
    let renewed = authority.pair(&["second.test"]);
    let verifier = rustls::server::WebPkiClientVerifier::builder(authority.roots().into());
    let builder = ServerConfig::builder().with_client_cert_verifier(verifier.build().unwrap());
    let mut config = builder.with_single_cert(chain(&server, &[]), key(&server)).unwrap();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // It answers with what it was shown.
    let backend = serve_tls(config, |server| {
        while head(server).is_some() {
            let shown = server.conn.peer_certificates().map(|chain| chain[0].to_vec());
            let body = format!("{:?}", shown.unwrap_or_default());
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            server.write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    let flag = format!("https://{}", backend.flag());
    let fixed = ["--backend-ca", &ca, "--backend-idle-connections", "0"];
    let probe = ["--check", "http:/", "--check-interval", "20ms", "--fall", "1"];
    let nobody = http(&flag, &fixed);
    assert_eq!(status(&nobody), 502);
    nobody.wait_for_log("TLS: it wants a certificate of ours");
    nobody.stop();
    let identity = ["--backend-cert", &card.cert, "--backend-key", &card.key];
    let socket = authority.path("haproxy.sock").display().to_string();
    let words = ["--haproxy-socket", &socket];
    let balancer = http(&flag, &[&fixed[..], &probe, &identity, &words].concat());
    balancer.wait_for_row(&backend.flag(), |row| row.is_known_up());
    let shown = |pair: &Pair| format!("{:?}", chain(pair, &[])[0].to_vec());
    let heard = |balancer: &Balancer| Wire::to(balancer).ask(get("/")).text().to_owned();
    let first = shown(&card);
    assert!(heard(&balancer) == first);
    std::fs::copy(&renewed.cert, &card.cert).unwrap();
    balancer.signal(rustix::process::Signal::HUP);
    balancer.wait_for_log("all files stay as they were read before: ");
    assert!(heard(&balancer) == first, "of two files that do not fit none is taken");
    std::fs::copy(&renewed.key, &card.key).unwrap();
    balancer.signal(rustix::process::Signal::HUP);
    balancer.wait_for_log("read the certificate for backends again");
    assert!(heard(&balancer) == shown(&renewed));
    // Told on HAProxy's socket, in two parts as it is in two files.
    let third = authority.pair(&["third.test"]);
    let tell = |bytes: String| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    };
    let read = |file: &str| std::fs::read_to_string(file).unwrap();
    let file = &card.cert;
    tell(format!("set ssl cert {file} <<\n{}\n", read(&third.cert)));
    tell(format!("set ssl cert {} <<\n{}\n", card.key, read(&third.key)));
    let committed = tell(format!("commit ssl cert {file}\n"));
    assert_eq!(committed, format!("Committing {file}.\nSuccess!\n\n"));
    assert!(heard(&balancer) == shown(&third));
    assert_eq!(tell("show ssl cert\n".to_owned()), format!("# filename\n{file}\n\n"));
    assert!(tell(format!("show ssl cert {file}\n")).contains("DNS:third.test"));
}
