//! Who comes in and who does not, as tables.

use super::*;
use crate::config::{Needs, to_hex};
use aws_lc_rs::digest;

const PEER: LocalPeer = LocalPeer { uid: 1000, gid: 1000, pid: 12 };

fn asked<'a>(method: &'a str, door: Door<'a>) -> Asked<'a> {
    Asked {
        door,
        method: method.as_bytes(),
        path: b"/v1/pools",
        host: Some(b"127.0.0.1:8404"),
        origin: None,
        sec_fetch_site: None,
        sec_fetch_mode: None,
        authorization: None,
        content_type: (method != "GET").then_some(b"application/json"),
        has_body: method != "GET",
        upgrade: None,
    }
}

fn sha256(token: &str) -> String {
    to_hex(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}

fn tokens() -> Tokens {
    let key = "6b".repeat(32);
    let text = format!(
        "# who may\n\ndeploy admin {}\n  grafana read {} # seen by all\nops operate {}\n\
         web register:web hmac:{key}\nreg register:web {}\n",
        sha256("s3cret"),
        sha256("look"),
        sha256("run").to_uppercase(),
        sha256("here"),
    );
    Tokens::parse(&text).expect("tokens")
}

fn rules(tokens: Option<Tokens>) -> Rules {
    Rules {
        tokens,
        allowed_hosts: vec!["admin.example.com".to_owned()],
        addresses: vec!["192.0.2.1:8443".parse().expect("an address")],
    }
}

/// The status, or who it is.
fn said(rules: &Rules, asked: &Asked<'_>) -> String {
    match rules.admit(asked) {
        Ok(who) => format!("{} {}", who.name, who.role),
        Err(refusal) => format!("{} {}", refusal.status, refusal.kind),
    }
}

#[test]
fn a_host_of_somebody_elses_that_leads_here_is_refused() {
    let table: [(&[u8], bool); 24] = [
        (b"127.0.0.1", true),
        (b"127.0.0.1:8404", true),
        (b"127.9.9.9:1", true),
        (b"localhost", true),
        (b"LocalHost:8404", true),
        (b"localhost.:8404", true),
        (b"[::1]", true),
        (b"[::1]:8404", true),
        (b"[::ffff:127.0.0.1]:8404", true),
        (b"192.0.2.1:8443", true),
        (b"admin.example.com", true),
        (b"Admin.Example.com:443", true),
        (b"evil.example", false),
        (b"evil.example:8404", false),
        (b"localhost.evil.example", false),
        (b"127.0.0.1.evil.example:8404", false),
        (b"evil.admin.example.com", false),
        (b"192.0.2.2", false),
        (b"0.0.0.0:8404", false),
        (b"", false),
        (b":8404", false),
        (b"localhost:x", false),
        (b"localhost:80:80", false),
        (b"\xff", false),
    ];
    for (host, is_own) in table {
        let it = Asked { host: Some(host), ..asked("GET", Door::Loopback) };
        let said = said(&rules(None), &it);
        let want = if is_own { "anonymous admin" } else { "403 host-not-allowed" };
        assert_eq!(said, want, "{}", String::from_utf8_lossy(host));
        // No browser speaks through a UNIX socket.
        let local = Asked { door: Door::Local(PEER), ..it };
        assert!(rules(None).admit(&local).is_ok());
    }
    let none = Asked { host: None, ..asked("GET", Door::Loopback) };
    assert_eq!(said(&rules(None), &none), "400 no-host");
}

type Change = fn(&mut Asked<'static>);

/// What comes from where, and what is said to it.
const OF_PAGES: [(&str, &str, Change, &str); 17] = [
    ("curl", "GET", |_| (), "anonymous admin"),
    ("curl", "POST", |_| (), "anonymous admin"),
    ("a sandboxed frame", "GET", |it| it.origin = Some(b"null"), "403 origin-not-allowed"),
    (
        "the dashboard",
        "POST",
        |it| it.origin = Some(b"http://127.0.0.1:8404"),
        "anonymous admin",
    ),
    (
        "https in the clear",
        "POST",
        |it| it.origin = Some(b"https://127.0.0.1:8404"),
        "403 origin-not-allowed",
    ),
    (
        "another port",
        "POST",
        |it| it.origin = Some(b"http://127.0.0.1:80"),
        "403 origin-not-allowed",
    ),
    (
        "another site",
        "POST",
        |it| it.origin = Some(b"http://evil.example"),
        "403 origin-not-allowed",
    ),
    ("an <img>", "GET", |it| it.sec_fetch_mode = Some(b"no-cors"), "403 no-cors"),
    (
        "an <img> elsewhere",
        "GET",
        |it| it.sec_fetch_site = Some(b"cross-site"),
        "403 cross-site",
    ),
    ("a sister", "GET", |it| it.sec_fetch_site = Some(b"same-site"), "403 cross-site"),
    (
        "a link",
        "GET",
        |it| {
            it.sec_fetch_site = Some(b"cross-site");
            it.sec_fetch_mode = Some(b"navigate");
        },
        "anonymous admin",
    ),
    (
        "a cross-site form",
        "POST",
        |it| {
            it.sec_fetch_site = Some(b"cross-site");
            it.sec_fetch_mode = Some(b"navigate");
        },
        "403 cross-site",
    ),
    (
        "an old form",
        "POST",
        |it| it.content_type = Some(b"application/x-www-form-urlencoded"),
        "415 unsupported-media-type",
    ),
    (
        "text",
        "POST",
        |it| it.content_type = Some(b"text/plain; application/json"),
        "415 unsupported-media-type",
    ),
    ("no type", "POST", |it| it.content_type = None, "415 unsupported-media-type"),
    ("a WebSocket", "GET", |it| it.upgrade = Some(b"h2c, WebSocket"), "400 websocket"),
    ("typed in", "GET", |it| it.sec_fetch_site = Some(b"none"), "anonymous admin"),
];

#[test]
fn pages_of_others_do_nothing_by_the_browser_of_an_operator() {
    for (what, method, change, want) in OF_PAGES {
        let mut it = asked(method, Door::Loopback);
        change(&mut it);
        assert_eq!(said(&rules(None), &it), want, "{what}");
    }
}

#[test]
fn writes_say_what_they_bring() {
    type Row = (&'static str, &'static [u8], Option<&'static [u8]>, bool);
    let table: [Row; 9] = [
        ("POST", b"/v1/batch", Some(b"Application/JSON; charset=utf-8"), true),
        ("PUT", b"/v1/config", Some(b"application/toml"), true),
        ("POST", b"/v1/config/check", Some(b"application/toml"), true),
        ("PUT", b"/v1/pools/x", Some(b"application/toml"), false),
        ("PATCH", b"/v1/pools/x", Some(b"application/merge-patch+json"), true),
        ("PUT", b"/v1/pools/x", Some(b"application/merge-patch+json"), false),
        ("DELETE", b"/v1/pools/x", None, true),
        ("PUT", b"/v1/pools/x", None, false),
        ("PUT", b"/v1/pools/x", Some(b"application/jsonx"), false),
    ];
    for (method, path, content_type, is_good) in table {
        let has_body = content_type.is_some();
        let it = asked(method, Door::Local(PEER));
        let it = Asked { path, content_type, has_body, ..it };
        assert_eq!(rules(None).admit(&it).is_ok(), is_good, "{method} {content_type:?}");
    }
}

#[test]
fn who_it_is_follows_from_the_door_and_the_token() {
    let local = Door::Local(PEER);
    let tls = Door::Tls { subject: None };
    let named = Door::Tls { subject: Some("CN=ops") };
    let table: [(bool, Door<'_>, Option<&[u8]>, &str); 14] = [
        (false, local, None, "uid 1000 (pid 12) admin"),
        (true, local, None, "uid 1000 (pid 12) admin"),
        (true, local, Some(b"Bearer look"), "grafana read"),
        (true, local, Some(b"Bearer wrong"), "401 wrong-token"),
        (false, local, Some(b"Bearer s3cret"), "401 wrong-token"),
        (false, Door::Loopback, None, "anonymous admin"),
        (true, Door::Loopback, None, "401 no-token"),
        (true, Door::Loopback, Some(b"bearer  s3cret "), "deploy admin"),
        (true, tls, Some(b"Bearer run"), "ops operate"),
        (true, tls, Some(b"Basic czNjcmV0"), "401 no-token"),
        (true, tls, Some(b"Bearer "), "401 no-token"),
        (true, named, None, "401 no-token"),
        (false, named, None, "CN=ops admin"),
        (true, tls, Some(b"Bearer here"), "reg register:web"),
    ];
    for (with_tokens, door, authorization, want) in table {
        let it = Asked { authorization, ..asked("GET", door) };
        assert_eq!(said(&rules(with_tokens.then(tokens)), &it), want, "{authorization:?}");
    }
}

/// `admin:look`, `admin:s3cret`, `:` and `admin:wrong`.
#[test]
fn a_token_may_be_a_password_where_statistics_are_read() {
    let table: [(bool, &str, &str, &str, &str); 8] = [
        (true, "GET", "/haproxy;csv", "Basic YWRtaW46bG9vaw==", "grafana read"),
        (true, "HEAD", "/stats", "Basic YWRtaW46czNjcmV0", "deploy admin"),
        (true, "GET", "/;csv", "Basic Og==", "401 no-token"),
        (false, "GET", "/haproxy/;csv", "Basic Og==", "anonymous admin"),
        (true, "GET", "/stats", "Basic YWRtaW46d3Jvbmc=", "401 wrong-token"),
        (false, "GET", "/stats", "Basic YWRtaW46d3Jvbmc=", "401 wrong-token"),
        (true, "POST", "/stats", "Basic YWRtaW46czNjcmV0", "401 no-token"),
        (true, "GET", "/v1/pools", "Basic YWRtaW46czNjcmV0", "401 no-token"),
    ];
    for (with_tokens, method, path, authorization, want) in table {
        let authorization = Some(authorization.as_bytes());
        let path = path.as_bytes();
        let it = Asked { authorization, path, ..asked(method, Door::Loopback) };
        assert_eq!(
            said(&rules(with_tokens.then(tokens)), &it),
            want,
            "{method} {authorization:?}"
        );
    }
}

#[test]
fn roles_may_what_they_are_for() {
    let web = || Role::Register("web".to_owned());
    let needs = [Needs::Read, Needs::Operate, Needs::Admin, Needs::Register("web")];
    let table = [
        (Role::Read, [true, false, false, false]),
        (Role::Operate, [true, true, false, false]),
        (Role::Admin, [true, true, true, true]),
        (web(), [false, false, false, true]),
    ];
    for (role, may) in table {
        assert_eq!(needs.map(|it| role.may(it)), may, "{role}");
    }
    assert!(!web().may(Needs::Register("api")));
}

#[test]
fn all_that_is_wrong_with_tokens_is_told_at_once() {
    let hash = sha256("x");
    let text = format!(
        "a admin {hash}\na read {hash}\nb amin {hash}\nc read\nd read abc\n\
         e/f read {hash}\ng read hmac:{}\nh register: {hash}\ni register:x hmac:00\n",
        "00".repeat(32)
    );
    let wrong = Tokens::parse(&text).expect_err("mistakes");
    let lines: Vec<usize> = wrong.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(wrong[1].1.to_string().contains("did you mean admin?"), "{}", wrong[1].1);
    for (_, it) in &wrong {
        assert!(!it.to_string().contains(&hash), "no log is to have it: {it}");
    }
    assert!(Tokens::parse("# none\n\n").is_ok_and(|it| it.is_empty()));
    assert!(!format!("{:?}", tokens()).contains(&sha256("s3cret")));
}

#[test]
fn a_registration_is_signed_by_who_has_the_key_and_now() {
    let tokens = tokens();
    let key = [0x6b; 32];
    let now = 1_795_724_612;
    let method: &[u8] = b"PUT";
    let path: &[u8] = b"/v1/register/web/a";
    let body: &[u8] = b"{}";
    let good = sign("web", &key, method, path, body, now);
    let check = |text: &str, path: &[u8], body: &[u8], now: u64| {
        let signed = parse_signed(text.as_bytes()).expect("of the scheme")?;
        check_signed(&signed, &tokens, method, path, body, now)
    };
    let who = check(&good, path, body, now).expect("it is good");
    assert_eq!((&*who.name, who.role), ("web", Role::Register("web".to_owned())));
    let kind =
        |found: Result<Who, Refusal>| found.map_err(|it| (it.status, it.kind)).unwrap_err();
    let bad = (401, "bad-signature");
    assert!(
        check(&good, path, body, now + 30).is_ok()
            && check(&good, path, body, now - 30).is_ok()
    );
    assert_eq!(kind(check(&good, path, body, now + 31)), (401, "stale-signature"));
    assert_eq!(kind(check(&good, path, b"{ }", now)), bad);
    assert_eq!(kind(check(&good, b"/v1/register/api/a", body, now)), bad);
    let later = good.replace(&now.to_string(), &(now + 1).to_string());
    assert_eq!(kind(check(&later, path, body, now)), bad);
    assert_eq!(kind(check(&good.replace("key=web", "key=grafana"), path, body, now)), bad);
    assert_eq!(kind(check(&good[..good.len() - 2], path, body, now)), bad);
    for text in ["Pointsman", "Pointsman key=web", "Pointsman key=a key=b time=1 signature=00"]
    {
        assert_eq!(kind(check(text, path, body, now)), bad, "{text}");
    }
    assert!(parse_signed(b"Bearer x").is_none());
}
