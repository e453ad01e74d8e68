//! Who comes in and what is told of it: client certificates, the way from HTTP to HTTPS, HSTS.

use rcgen::{DnType, PKCS_ECDSA_P256_SHA256};

use crate::authority::{Authority, Pair, curl};
use crate::clients::https;
use crate::common::Balancer;
use crate::common::http::{Origin, Wire, get, ok, post};
use crate::common::servers::missing;

/// A client's certificate with this name in it.
fn card(authority: &Authority, file: &str, name: &str) -> Pair {
    authority.pair_with(&PKCS_ECDSA_P256_SHA256, &[file], |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Cars, Trams & Co");
        params.distinguished_name.push(DnType::CommonName, name);
    })
}

#[test]
fn clients_show_certificates_and_backends_hear_of_it() {
    if missing(&["curl"]) {
        return;
    }
    let authority = Authority::new("clients");
    let (good, odd) =
        (card(&authority, "good", "Ada"), card(&authority, "odd", "A\u{e9}\r\nX: y"));
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
    assert_eq!(heard(&[], 0), "max-age=1; preload");
    assert_eq!(heard(&["--hsts", "60"], 1), "max-age=1; preload");
}
