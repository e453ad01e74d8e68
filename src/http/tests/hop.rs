//! What reaches a backend of the fields that are for one hop, or that could be taken for others:
//! one row a rule (RFC 9110 section 7.6.1, and what proxies agree on beyond it).

use std::net::IpAddr;

use crate::config::ForwardedFields;
use crate::http::added::{Added, Proto};
use crate::http::edits::RequestEdits;
use crate::http::rewrite::{self, Forward};
use crate::http::*;

/// The lines that a backend gets of these, behind Host and without what we say of the client.
#[track_caller]
fn reaching(line: &str, fields_sent: &str, trusted: bool) -> String {
    let text = format!("{line}\r\nHost: a\r\n{fields_sent}\r\n\r\n");
    let to = Forward {
        client: IpAddr::from([192, 0, 2, 1]),
        proto: Proto::Http,
        port: "80",
        trusted,
        host: "backend",
        added: &Added::NONE,
        told: ForwardedFields::NONE,
        subject: None,
        edits: RequestEdits::NONE,
    };
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    let parse = parse_request(text.as_bytes(), &mut Scan::default(), &mut fields);
    let Parse::Done(head) = parse else { panic!("{text:?} is {parse:?}") };
    rewrite::request(&head, &fields, text.as_bytes(), &to, &mut out);
    let mut bytes = Vec::new();
    out.copy_to(text.as_bytes(), 0, &mut bytes);
    let sent = String::from_utf8(bytes).unwrap();
    let rest = sent.split_once("Host: a\r\n").unwrap().1;
    rest.strip_suffix("\r\n").unwrap().trim_end_matches("\r\n").replace("\r\n", "|")
}

/// What a client sends, `|` between lines, and what of it reaches the backend.
const ROWS: &[(&str, &str, &str)] = &[
    ("keep-alive is ours", "Connection: keep-alive", ""),
    ("close is ours", "Connection: close", ""),
    ("a named field stays here", "Connection: X-A|x-a: 1|X-B: 2", "X-B: 2"),
    ("each of a list, in any case", "Connection: x-A , X-B,,|X-a: 1|X-B: 2|C: 3", "C: 3"),
    ("on several lines", "Connection: a|A: 1|Connection: b|B: 2", ""),
    ("behind the field it names", "A: 1|Connection: a", ""),
    ("Host stays", "Connection: host", ""),
    ("a length stays", "Connection: content-length|Content-Length: 3", "Content-Length: 3"),
    ("so do chunks", "Connection: transfer-encoding|Transfer-Encoding: chunked", CHUNKED),
    ("cookies stay", "Connection: cookie|Cookie: a=1", "Cookie: a=1"),
    ("logins stay", "Connection: authorization|Authorization: x", "Authorization: x"),
    ("a cache's word stays", "Connection: cache-control|Cache-Control: x", "Cache-Control: x"),
    ("Via stays", "Connection: via|Via: 1.0 x", "Via: 1.0 x"),
    ("Keep-Alive", "Keep-Alive: timeout=5", ""),
    ("Proxy-Connection", "Proxy-Connection: keep-alive", ""),
    ("TE of other codings", "Connection: TE|TE: gzip;q=0.5", ""),
    ("TE of trailers is said anew", "TE: gzip, trailers", "Connection: TE|TE: trailers"),
    ("Trailer: none are passed on", "Trailer: x|Transfer-Encoding: chunked", CHUNKED),
    (
        "an upgrade to h2c",
        "Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|HTTP2-Settings: A",
        "",
    ),
    ("HTTP2-Settings alone", "HTTP2-Settings: A", ""),
    ("Upgrade that Connection does not name", "Upgrade: websocket", ""),
    ("Upgrade that it does", "Connection: upgrade|Upgrade: websocket", UPGRADE),
    (
        "Upgrade before a body",
        "Connection: upgrade|Upgrade: x|Content-Length: 1",
        "Content-Length: 1",
    ),
    ("an underscore", "X_Real_IP: 1|Content_Length: 5|Transfer_Encoding: chunked", ""),
    ("a dot, and what else folds", "X.A: 1|X!A: 1|X~A: 1|X+A: 1", ""),
    ("Proxy, which CGI makes HTTP_PROXY of", "Proxy: http://evil/", ""),
    ("what Expect means nothing by", "Expect: 100-continue", ""),
    ("what an unknown one means", "Expect: x|Content-Length: 1", "Content-Length: 1"),
    ("a certificate that was not seen", "X-SSL-Client-S-DN: CN=me", ""),
    ("whatever else there is", "X-A:1|B:  2 |C:", "X-A:1|B:  2 |C:"),
];

const CHUNKED: &str = "Transfer-Encoding: chunked";
const UPGRADE: &str = "Connection: Upgrade|Upgrade: websocket";

#[test]
fn of_the_fields_of_one_hop_so_much_reaches_a_backend() {
    for (what, sent, wanted) in ROWS {
        for trusted in [false, true] {
            let found = reaching("POST / HTTP/1.1", &sent.replace('|', "\r\n"), trusted);
            assert_eq!(found, *wanted, "{what}, trusted: {trusted}");
        }
    }
}

#[test]
fn what_http_1_0_cannot_mean_does_not_reach_a_backend() {
    for sent in ["Connection: upgrade\r\nUpgrade: websocket", "TE: trailers", "Connection: TE"]
    {
        assert_eq!(reaching("GET / HTTP/1.0", sent, false), "", "{sent}");
    }
    let sent = "Expect: 100-continue\r\nContent-Length: 1";
    assert_eq!(reaching("POST / HTTP/1.0", sent, false), "Content-Length: 1");
}

#[test]
fn of_options_the_hops_that_are_left_are_one_fewer() {
    for (sent, passed) in [
        ("Max-Forwards: 3", "Max-Forwards:2"),
        ("max-forwards:10\r\nMax-Forwards: 99", "max-forwards:9"),
        ("Max-Forwards: 99999999999999999999", "Max-Forwards:18446744073709551614"),
        ("Max-Forwards: -1", "Max-Forwards: -1"),
    ] {
        assert_eq!(reaching("OPTIONS / HTTP/1.1", sent, false), passed, "{sent}");
        assert_eq!(reaching("GET / HTTP/1.1", sent, false), sent.replace("\r\n", "|"));
    }
}
