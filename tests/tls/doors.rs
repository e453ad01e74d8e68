//! Who comes in and what is told of it: client certificates, the way from HTTP to HTTPS, HSTS.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use rcgen::{DnType, PKCS_ECDSA_P256_SHA256};
use rustix::process::Signal;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::authority::{Authority, Pair, curl};
use crate::clients::{ask, https};
use crate::common::http::{Origin, Wire, get, ok, post};
use crate::common::servers::missing;
use crate::common::{Balancer, read_to_end, until};

/// A client's certificate with this name in it.
fn card(authority: &Authority, file: &str, name: &str) -> Pair {
    authority.pair_with(&PKCS_ECDSA_P256_SHA256, &[file], |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Cars, Trams & Co");
        params.distinguished_name.push(DnType::CommonName, name);
    })
}

/// A stop waits for no client that never begins, and one that it let finish its handshake is gone
/// once it has nothing to ask.
#[test]
fn a_stop_does_not_wait_for_clients_that_never_ask() {
    let authority = Authority::new("stop");
    let origin = Origin::named("here");
    let more = ["--tls-handshake-timeout", "10m", "--drain-timeout", "10m"];
    let balancer = https(&authority, &origin, &more);
    let silent: Vec<_> = (0..3).map(|_| balancer.connect()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let config = Arc::new(authority.client_config());
    let mut tls = ClientConnection::new(config, name).expect("a client");
    let mut stream = balancer.connect();
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).expect("to memory");
    stream.write_all(&hello[..100]).expect("taken");
    until("all are here", || balancer.count("open of") == 4);
    balancer.signal(Signal::TERM);
    balancer.wait_for_log("stopping: 4 connections");
    silent.iter().for_each(|client| assert!(read_to_end(client).bytes().is_empty()));
    // Half of a hello was here: the other half is waited for, and what follows.
    stream.write_all(&hello[100..]).expect("taken");
    while tls.is_handshaking() {
        assert!(tls.read_tls(&mut stream).expect("it goes on") > 0, "closed");
        tls.process_new_packets().expect("a handshake");
        while tls.wants_write() {
            tls.write_tls(&mut stream).expect("taken");
        }
    }
    let _ = stream.read_to_end(&mut Vec::new());
    let mut balancer = balancer;
    assert!(balancer.wait().success());
}

/// Or forty connections that say nothing would keep everybody out for as long as a handshake may
/// take.
#[test]
fn at_the_limit_a_client_that_does_not_shake_hands_gives_way() {
    if missing(&["curl"]) {
        return;
    }
    let authority = Authority::new("silent");
    let origin = Origin::named("here");
    let ca = authority.file();
    let log = std::env::temp_dir().join(format!("pointsman-silent-{}", std::process::id()));
    let log = log.to_str().expect("a name");
    let more = ["--tls-handshake-timeout", "10m", "--max-connections", "20"];
    let logs = ["--access-log", log, "--access-log-format", "json"];
    let balancer = https(&authority, &origin, &[&more[..], &logs].concat());
    let silent: Vec<_> = (0..40).map(|_| balancer.connect()).collect();
    // Some have begun a record of a handshake, and none of them is ever done.
    silent.iter().step_by(2).for_each(|mut client| {
        let _ = client.write_all(&[22, 3, 1, 2, 0, 1]);
    });
    let url = format!("https://localhost:{}/", balancer.address().port());
    for _ in 0..5 {
        let (good, _, said) = curl(&["--cacert", &ca, &url]);
        assert!(good, "{said}");
    }
    assert!(balancer.count("open of") <= 20);
    balancer.wait_for_log("shaking hands: gave way to a new client");
    balancer.stop_after(silent);
    let lines = std::fs::read_to_string(log).expect("it was written");
    std::fs::remove_file(log).expect("it is there");
    assert!(lines.contains("\"reason\":\"max-connections\""), "{lines}");
}

#[test]
fn clients_show_certificates_and_backends_hear_of_it() {
    if missing(&["curl"]) {
        return;
    }
    let authority = Authority::new("clients");
    let good = card(&authority, "good", "Ada");
    let odd = card(&authority, "odd", "A\u{e9}\r\nX: y");
    let stranger = card(&Authority::new("strangers"), "bad", "Eve");
    let origin = Origin::echo();
    let ca = authority.file();
    let ask = |balancer: &Balancer, card: Option<&Pair>| {
        let url = format!("https://localhost:{}/", balancer.address().port());
        let fixed = [
            "--cacert",
            &ca,
            "-H",
            "X-SSL-Client-S-DN: CN=Root",
            "-H",
            "X_SSL_Client_S_DN: x",
            &url,
        ];
        let shows = match card {
            Some(card) => vec!["--cert", &card.cert, "--key", &card.key],
            None => vec![],
        };
        let before = origin.count();
        let (good, _, _) = curl(&[&shows[..], &fixed].concat());
        assert_eq!(good, origin.count() > before);
        good.then(|| origin.last().field("x-ssl-client-s-dn").to_owned())
    };
    let ada = Some("CN=Ada,O=Cars\\, Trams & Co".to_owned());
    for (more, without) in
        [(&[][..], None), (&["--client-cert", "optional"], Some(String::new()))]
    {
        let balancer = https(&authority, &origin, &[&["--client-ca", &ca][..], more].concat());
        assert_eq!(ask(&balancer, Some(&good)), ada, "{more:?}");
        let name = ask(&balancer, Some(&odd)).expect("a good one");
        assert!(name.is_ascii() && !name.contains(['\r', '\n']), "{name:?}");
        assert_eq!(ask(&balancer, Some(&stranger)), None, "{more:?}");
        assert_eq!(ask(&balancer, None), without, "{more:?}");
    }
    let balancer = https(&authority, &origin, &[]);
    assert_eq!(
        ask(&balancer, None),
        Some(String::new()),
        "what a client says of itself is dropped"
    );
}

#[test]
fn requests_in_the_clear_are_sent_to_https() {
    let authority = Authority::new("redirect");
    let origin = Origin::named("a");
    let more = ["-l", "http://127.0.0.1:0", "--redirect-https", "--health-path", "/up"];
    let balancer = https(&authority, &origin, &more);
    let port = balancer.addresses[0].port();
    let mut wire = Wire::new(crate::common::connect(balancer.addresses[1]));
    let at =
        |host: &str, target: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (request, status, place) in [
        (at("a.test", "/x?y=z"), 301, format!("https://a.test:{port}/x?y=z")),
        (at("a.test:8080", "/"), 301, format!("https://a.test:{port}/")),
        (at("[::1]:80", "/"), 301, format!("https://[::1]:{port}/")),
        (at("[::1]", "/"), 301, format!("https://[::1]:{port}/")),
        (at("b.test", "http://b.test/c"), 301, format!("https://b.test:{port}/c")),
        (at("b.test", "http://b.test?q"), 301, format!("https://b.test:{port}/?q")),
        (
            "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            308,
            format!("https://a:{port}/x"),
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 308, format!("https://a:{port}/")),
        (at("a.test", "/up"), 200, String::new()),
    ] {
        let answer = wire.ask(&request);
        assert_eq!((answer.status(), answer.field("location")), (status, &*place), "{request}");
        assert!(answer.keeps_alive(), "{request}");
    }
    let answer = wire.ask(post("/form", "body"));
    assert_eq!((answer.status(), answer.keeps_alive()), (308, false));
    let mut old = Wire::new(crate::common::connect(balancer.addresses[1]));
    let answer = old.ask("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!(answer.field("location"), format!("https://127.0.0.1:{port}/old"));
    assert_eq!(origin.count(), 0, "no backend was asked");
}

#[test]
fn hsts_is_said_through_tls_alone_and_in_our_words() {
    if missing(&["curl"]) {
        return;
    }
    let authority = Authority::new("hsts");
    let said = "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1; preload\r\n";
    let origin = Origin::saying([said.as_bytes(), &ok("x")[17..]].concat());
    let ca = authority.file();
    let heard = |more: &[&str], index: usize| {
        let more = [&["-l", "http://127.0.0.1:0"][..], more].concat();
        let balancer = https(&authority, &origin, &more);
        if index == 1 {
            let mut wire = Wire::new(crate::common::connect(balancer.addresses[1]));
            return wire.ask(get("/")).field("strict-transport-security").to_owned();
        }
        let url = format!("https://localhost:{}/", balancer.address().port());
        let (_, head, _) = curl(&["--cacert", &ca, "-D", "-", "-o", "/dev/null", &url]);
        let lines =
            head.lines().filter_map(|line| line.strip_prefix("Strict-Transport-Security: "));
        lines.collect::<Vec<_>>().join("|")
    };
    assert_eq!(heard(&["--hsts", "31536000"], 0), "max-age=31536000");
    assert_eq!(heard(&["--hsts", "0"], 0), "max-age=0");
    let own = ["--hsts", "60", "--health-path", "/", "--stats-path", "/stats"];
    assert_eq!(heard(&own, 0), "max-age=60", "a page of ours");
    assert_eq!(heard(&own, 1), "", "in the clear");
    assert_eq!(heard(&[], 0), "max-age=1; preload");
    assert_eq!(heard(&["--hsts", "60"], 1), "max-age=1; preload");
}

#[test]
fn errors_of_ours_say_hsts_too() {
    let authority = Authority::new("hsts-errors");
    let origin = Origin::saying("nonsense");
    let balancer = https(&authority, &origin, &["--hsts", "60", "--max-body", "10"]);
    let too_large = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n";
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "502"),
        ("no request\r\n\r\n", "400"),
        (too_large, "413"),
    ] {
        let mut client = authority.client(&balancer);
        let answer = ask(&mut client, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nStrict-Transport-Security: max-age=60\r\n"), "{answer}");
    }
    let in_the_clear = Wire::to(&balancer).ask(get("/"));
    assert_eq!(
        in_the_clear.field("strict-transport-security"),
        "",
        "who reads it may forge it"
    );
}

/// What fails is counted, and its line says who was to blame and why.
#[test]
fn handshakes_that_fail_are_counted_and_logged() {
    let authority = Authority::new("failed");
    let origin = Origin::named("a");
    let log = authority.path("access.log");
    let path = log.display().to_string();
    let more = ["--access-log", &path, "--access-log-format", "json", "--sni-strict"];
    let late = ["--tls-handshake-timeout", "2s"];
    let balancer = https(&authority, &origin, &[&more[..], &late].concat());
    let hello = authority.hello();
    let broken = authority.client_config();
    let distrusts = Authority::new("distrusts").client_config();
    let attempt = |config: ClientConfig, name: &str| {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = balancer.connect();
        while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
        // Until the other side has heard of it.
        let _ = stream.read_to_end(&mut Vec::new());
    };
    let say = |bytes: &[u8], then: Option<Shutdown>| {
        let mut stream = balancer.connect();
        stream.write_all(bytes).unwrap();
        if let Some(how) = then {
            stream.shutdown(how).unwrap();
        }
        let _ = stream.read_to_end(&mut Vec::new());
    };
    // Whether the port is open is a question, and no failure.
    say(b"", Some(Shutdown::Write));
    attempt(broken, "stranger.test");
    attempt(distrusts, "localhost");
    say(&[0x80, 0x2e, 1, 0, 2], None);
    say(&hello[..60], Some(Shutdown::Write));
    say(&hello[..60], None);
    say(b"", None);
    balancer.wait_until_idle();
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let wanted = [
        ("PR", "TLS: it asks for a name that is not served"),
        ("CR", "TLS: it does not trust our certificate"),
        ("PR", "TLS: what it says is not TLS"),
        ("CR", "ended too early"),
        ("cR", "timed out"),
        ("cR", "timed out"),
    ];
    assert_eq!(lines.len(), wanted.len(), "{text}");
    for (line, (state, why)) in lines.iter().zip(wanted) {
        assert!(line.contains(&format!("\"state\":\"{state}\"")), "{line}");
        assert!(line.contains(&format!("\"tls_error\":\"{why}\"")), "{line}");
        assert!(line.contains("\"client\":\"127.0.0.1:"), "{line}");
    }
    balancer.signal(Signal::USR1);
    balancer.wait_for_log("0 TLS handshakes, 0 of them resumed; 6 more failed");
    assert_eq!(origin.count(), 0);
}
