//! Which fields tell a backend of its client, and what becomes of those that came.

use std::net::IpAddr;

use crate::config::ForwardedFields;
use crate::http::added::{Added, Proto};
use crate::http::edits::RequestEdits;
use crate::http::rewrite::{self, Forward};
use crate::http::*;
use crate::limits::{HTTP_FORWARDED_HOST_BYTES_MAX, HTTP_FRAMING_ROOM, HTTP_HEAD_BYTES_MAX};

use super::edits::{all, rule, sent as edited};

const CLIENT: &str = "192.0.2.1";
const PORT: &str = "X-Forwarded-Port: 8443";

fn forward(told: &str, trusted: bool) -> Forward<'static> {
    Forward {
        client: CLIENT.parse().unwrap(),
        proto: Proto::Https,
        port: "8443",
        trusted,
        host: "backend:80",
        added: &Added::NONE,
        told: ForwardedFields::parse(told).unwrap(),
        subject: None,
        edits: RequestEdits::NONE,
    }
}

#[track_caller]
fn sent(text: &str, to: Forward<'_>) -> String {
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    let parse = parse_request(text.as_bytes(), &mut Scan::default(), &mut fields);
    let Parse::Done(head) = parse else { panic!("{text:?} is {parse:?}") };
    rewrite::request(&head, &fields, text.as_bytes(), &to, &mut out);
    let mut bytes = Vec::new();
    out.copy_to(text.as_bytes(), 0, &mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// The lines behind Host that reach a backend of what a client says.
#[track_caller]
fn lines(host: &str, said: &[&str], to: Forward<'_>) -> Vec<String> {
    let said: String = said.iter().map(|line| format!("{line}\r\n")).collect();
    let text = sent(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n{said}\r\n"), to);
    let rest = text.strip_prefix(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n")).unwrap();
    let rest = rest.strip_suffix("\r\n").unwrap();
    rest.split_terminator("\r\n").map(str::to_owned).collect()
}

/// All that a client can say of itself.
const SAID: &[&str] = &[
    "Forwarded: for=6.6.6.6;proto=http;host=evil",
    "X-Real-IP: 6.6.6.6",
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Proto: http",
    "X-Forwarded-Host: evil",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Server: evil",
    "Accept: x",
];

#[test]
fn a_stranger_is_believed_nothing_whichever_fields_are_told() {
    let x =
        ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: a", PORT];
    let list = ["Forwarded: for=192.0.2.1;proto=https;host=a"];
    let real = ["X-Real-IP: 192.0.2.1"];
    for (told, wanted) in [
        ("x-forwarded", &[&x[..]][..]),
        ("forwarded", &[&list]),
        ("x-real-ip", &[&real]),
        ("x-real-ip,forwarded,x-forwarded", &[&x, &list, &real]),
        ("x-forwarded,x-real-ip", &[&x, &real]),
        ("none", &[]),
    ] {
        let wanted = [&["Accept: x"][..], &wanted.concat()].concat();
        assert_eq!(lines("a", SAID, forward(told, false)), wanted, "{told}");
    }
}

#[test]
fn a_trusted_proxy_is_added_to_or_passed_on() {
    let rest = ["X-Forwarded-Server: evil", "Accept: x"];
    let how = ["X-Forwarded-Proto: http", "X-Forwarded-Host: evil", "X-Forwarded-Port: 1"];
    let x = ["X-Forwarded-For: 6.6.6.6, 192.0.2.1"];
    let list = "Forwarded: for=6.6.6.6;proto=http;host=evil, for=192.0.2.1;proto=https;host=a";
    for (told, wanted) in [
        ("x-forwarded", [&SAID[..2], &how, &rest, &x].concat()),
        ("forwarded", [&SAID[1..3], &how, &rest, &[list]].concat()),
        ("x-real-ip", SAID.to_vec()),
        ("none", SAID.to_vec()),
        ("x-forwarded,forwarded", [&SAID[1..2], &how, &rest, &x, &[list]].concat()),
    ] {
        assert_eq!(lines("a", SAID, forward(told, true)), wanted, "{told}");
    }
    assert_eq!(lines("a", &[], forward("x-real-ip", true)), ["X-Real-IP: 192.0.2.1"]);
}

#[test]
fn an_element_of_forwarded_is_quoted_where_it_must_be() {
    for (client, host, wanted) in [
        (CLIENT, "a.example", "for=192.0.2.1;proto=https;host=a.example"),
        (CLIENT, "a.example:8443", "for=192.0.2.1;proto=https;host=\"a.example:8443\""),
        (CLIENT, "[2001:db8::2]", "for=192.0.2.1;proto=https;host=\"[2001:db8::2]\""),
        ("2001:db8::1", "a_b~c%20", "for=\"[2001:db8::1]\";proto=https;host=a_b~c%20"),
        ("::ffff:192.0.2.7", "a", "for=192.0.2.7;proto=https;host=a"),
        ("::1", "A:", "for=\"[::1]\";proto=https;host=\"A:\""),
    ] {
        let to = Forward { client: client.parse().unwrap(), ..forward("forwarded", false) };
        assert_eq!(lines(host, &[], to), [format!("Forwarded: {wanted}")]);
    }
    let to = Forward { proto: Proto::Http, ..forward("forwarded", false) };
    assert_eq!(lines("a", &[], to), ["Forwarded: for=192.0.2.1;proto=http;host=a"]);
    let text = sent("GET / HTTP/1.0\r\n\r\n", forward("forwarded", false));
    let wanted =
        "GET / HTTP/1.1\r\nHost: backend:80\r\nForwarded: for=192.0.2.1;proto=https\r\n\r\n";
    assert_eq!(text, wanted, "who names no host is told to name none");
    // No name is so long.
    let most = "a".repeat(HTTP_FORWARDED_HOST_BYTES_MAX);
    let [line] = &lines(&most, &[], forward("forwarded", false))[..] else {
        panic!("one line")
    };
    assert!(line.ends_with(&format!(";host={most}")), "{line}");
    let [line] = &lines(&format!("{most}a"), &[], forward("forwarded", false))[..] else {
        panic!("one line")
    };
    assert_eq!(line, "Forwarded: for=192.0.2.1;proto=https");
}

#[test]
fn several_lines_become_one_list_and_none_can_swallow_our_element() {
    const OURS: &str = "for=192.0.2.1;proto=https;host=a";
    for (said, before) in [
        (&["Forwarded: for=a", "fORWARDED: for=b, for=c"][..], "for=a, for=b, for=c, "),
        (&["Forwarded:", "Forwarded: for=b"], "for=b, "),
        (&["Forwarded: for=\"[::1]:80\";by=\"_x\""], "for=\"[::1]:80\";by=\"_x\", "),
        (&["Forwarded: for=\"_a\\\"b\""], "for=\"_a\\\"b\", "),
        (&["Forwarded: for=\"_a", "Forwarded: for=b"], "for=b, "),
        (&["Forwarded: for=\"_a\\\"", "Forwarded: for=\"_b\\"], ""),
        (&["Forwarded: for=unknown,", "Forwarded: \\\""], "for=unknown,, "),
    ] {
        let found = lines("a", said, forward("forwarded", true));
        assert_eq!(found, [format!("Forwarded: {before}{OURS}")], "{said:?}");
    }
}

#[test]
fn connection_can_take_none_of_them_away() {
    let said = ["Connection: forwarded, x-real-ip, x-forwarded-for, x-forwarded-proto"];
    let all = lines("a", &said, forward("x-forwarded,forwarded,x-real-ip", false));
    assert_eq!(all, lines("a", &[], forward("x-forwarded,forwarded,x-real-ip", false)));
    assert_eq!(all.len(), 6);
    // Nor what a trusted proxy says.
    let said = [&said[..], SAID].concat();
    assert_eq!(lines("a", &said, forward("none", true)), SAID);
}

#[test]
fn an_edit_drops_and_replaces_them_by_name() {
    for (dropped, left) in [
        ("forwarded", &["X-Forwarded-For", "X-Forwarded-Port", "X-Real-IP"][..]),
        ("x-forwarded-for", &["X-Forwarded-Port", "Forwarded", "X-Real-IP"]),
        ("x-real-ip", &["X-Forwarded-For", "Forwarded", "X-Forwarded-Port"]),
    ] {
        let list = [rule(&[format!("remove {dropped}")])];
        let long = "a".repeat(5000);
        let text = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=b\r\nForwarded: for={long}\r\n\r\n"
        );
        let told = ForwardedFields::parse("x-forwarded,forwarded,x-real-ip").unwrap();
        let found = edited(&text, all(&list), |to| {
            to.told = told;
            to.trusted = true;
        });
        let found = found.unwrap();
        let found = found.lines().skip(1);
        let names: Vec<&str> = found.map(|line| line.split(':').next().unwrap()).collect();
        assert!(left.iter().all(|name| names.contains(name)), "{names:?}");
        assert!(!names.iter().any(|name| name.eq_ignore_ascii_case(dropped)), "{names:?}");
    }
}

#[test]
fn a_head_with_all_of_them_fits_into_its_room() {
    let client: IpAddr = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
    for host in [HTTP_FORWARDED_HOST_BYTES_MAX - 6, HTTP_HEAD_BYTES_MAX - 40] {
        let host = "a".repeat(host);
        for trusted in [false, true] {
            let to = Forward { client, ..forward("x-forwarded,forwarded,x-real-ip", trusted) };
            let text = format!("GET / HTTP/1.1\r\nHost: {host}:65535\r\n\r\n");
            assert!(text.len() <= HTTP_HEAD_BYTES_MAX, "{}", text.len());
            // `rewrite` looks at the bound that the compiler checked.
            let grown = sent(&text, to).len() - text.len();
            assert!((host.len()..=HTTP_FRAMING_ROOM).contains(&grown), "{grown}");
        }
    }
    let many = "Forwarded:a\r\n".repeat(90);
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n");
    assert!(sent(&text, forward("forwarded", true)).len() < text.len());
}
