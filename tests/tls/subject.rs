//! What backends are told of a client's certificate, however long its name and whoever speaks.

use std::io::{Read, Write};

use rcgen::{DnType, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS12;
use rustls::{ClientConfig, RootCertStore};

use crate::authority::{Authority, Pair};
use crate::clients::{ask, https};
use crate::common::http::{Origin, Wire};
use crate::common::{Balancer, BlackHole, connect};

/// A client's certificate whose subject has this name.
pub fn card(authority: &Authority, file: &str, name: &str) -> Pair {
    authority.pair_with(&PKCS_ECDSA_P256_SHA256, &[file], |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
    })
}

/// A client that shows it.
pub fn showing(authority: &Authority, card: &Pair) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.file()).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_file(&card.cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&card.key).unwrap();
    // In TLS 1.3 there would be two tickets with the whole chain in them, more than rustls takes.
    let builder = ClientConfig::builder_with_protocol_versions(&[&TLS12]);
    let builder = builder.with_root_certificates(roots);
    builder.with_client_auth_cert(chain, key).unwrap()
}

/// The head of a request was followed by so much of its body that both filled a buffer; a subject
/// of 50 KB more was copied beyond its end, and the process aborted.
#[test]
fn a_long_subject_harms_nobody_while_the_backend_is_being_connected_to() {
    let authority = Authority::new("long-subject");
    let long = card(&authority, "long", &"x".repeat(50_000));
    let pair = authority.pair(&["localhost"]);
    let hole = BlackHole::start();
    let flag = hole.flag();
    let ca = authority.file();
    let front = ["-l", "https://127.0.0.1:0", "--check", "none", "-b", &flag];
    let more = ["--client-ca", &ca, "--connect-timeout", "300ms", "--retries", "0"];
    let balancer = Balancer::start(&[&front[..], &pair.flags(), &more].concat());
    let body = "y".repeat(200_000);
    for host in ["a", &"a".repeat(12_000)] {
        let mut client = authority.client_of(showing(&authority, &long), balancer.address());
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n"
        );
        // What is not read any more may break.
        let _ = client.write_all(head.as_bytes());
        let _ = client.write_all(body.as_bytes());
        let mut answer = vec![0; 12];
        client.read_exact(&mut answer).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 504");
    }
    balancer.stop();
}

#[test]
fn what_is_said_of_a_subject_is_bounded() {
    let authority = Authority::new("bounded-subject");
    let origin = Origin::echo();
    let ca = authority.file();
    let more = ["--client-ca", &ca, "--stats-path", "/stats"];
    let balancer = https(&authority, &origin, &more);
    // With `CN=`, exactly as much as is said, and one more.
    for (length, is_said) in [(1021, true), (1022, false), (50_000, false)] {
        let name = "x".repeat(length);
        let card = card(&authority, &format!("x{length}"), &name);
        let mut client = authority.client_of(showing(&authority, &card), balancer.address());
        let answer = ask(
            &mut client,
            "GET / HTTP/1.1\r\nHost: a\r\nX-SSL-Client-S-DN: CN=me\r\nConnection: close\r\n\r\n",
        );
        assert!(answer.starts_with("HTTP/1.1 200"), "{length}: {answer}");
        let wanted = if is_said { vec![format!("CN={name}")] } else { vec![] };
        assert_eq!(origin.last().all("x-ssl-client-s-dn"), wanted, "{length}");
    }
    balancer.wait_for_log("whose subject is longer than 1024 bytes");
    let good = card(&authority, "ada", "Ada");
    let mut client = authority.client_of(showing(&authority, &good), balancer.address());
    let stats = ask(&mut client, "GET /stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(stats.contains("\"subjects_left_out\":2"), "{stats}");
}

#[test]
fn a_sticky_cookie_is_secure_where_the_client_speaks_https() {
    let authority = Authority::new("sticky");
    let origin = Origin::echo();
    let request =
        |more: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{more}Connection: close\r\n\r\n");
    let strict = ["--sticky-same-site", "strict"];
    let trusting = ["--trusted-proxies", "127.0.0.1", "--sticky-same-site", "none"];
    for (more, said, attributes) in [
        (&[][..], "", ["; Secure; SameSite=Lax", "; SameSite=Lax"]),
        (
            &strict[..],
            "X-Forwarded-Proto: https\r\n",
            ["; Secure; SameSite=Strict", "; SameSite=Strict"],
        ),
        (&trusting[..2], "X-Forwarded-Proto: https\r\n", ["; Secure; SameSite=Lax"; 2]),
        (&trusting[..], "", ["; Secure; SameSite=None"; 2]),
    ] {
        let both = ["-l", "http://127.0.0.1:0", "--sticky-cookie", "LB"];
        let balancer = https(&authority, &origin, &[&both[..], more].concat());
        let mut safe = authority.client(&balancer);
        let mut plain = Wire::new(connect(balancer.addresses[1]));
        let answers = [ask(&mut safe, &request(said)), plain.ask(request(said)).head];
        for (answer, attributes) in answers.iter().zip(attributes) {
            let line = answer.lines().find_map(|line| line.strip_prefix("Set-Cookie: LB="));
            let wanted = format!("; Path=/; HttpOnly{attributes}");
            assert_eq!(line.and_then(|line| line.get(32..)), Some(&*wanted), "{more:?}");
        }
    }
}

#[test]
fn a_client_that_knows_http_1_0_alone_is_served() {
    let authority = Authority::new("old");
    let origin = Origin::named("hello");
    let balancer = https(&authority, &origin, &[]);
    for (offers, chosen) in [
        (&["http/1.0"][..], Some("http/1.0")),
        (&["http/1.0", "http/1.1"], Some("http/1.1")),
        (&["h2", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let mut config = authority.client_config();
        config.alpn_protocols = offers.iter().map(|it| it.as_bytes().to_vec()).collect();
        let mut client = authority.client_of(config, balancer.address());
        assert_eq!(client.conn.alpn_protocol(), chosen.map(str::as_bytes), "{offers:?}");
        let answer = ask(&mut client, "GET / HTTP/1.0\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    }
}
