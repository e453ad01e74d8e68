//! What goes out, to the letter.

use std::net::IpAddr;
use std::sync::LazyLock;

use crate::config::{ForwardedFields, SameSite};
use crate::http::added::{Added, Cookie, Proto};
use crate::http::edits::{RequestEdits, ResponseEdits};
use crate::http::rewrite::{Back, Forward, Leaves};
use crate::http::*;
use crate::limits::{
    CLIENT_SUBJECT_BYTES_MAX, HTTP_FRAMING_ROOM, HTTP_HEAD_BYTES_MAX, TOKEN_BYTES_MAX,
};

fn forward() -> Forward<'static> {
    Forward {
        client: IpAddr::from([192, 0, 2, 1]),
        proto: Proto::Http,
        port: "8000",
        trusted: false,
        host: "backend:80",
        added: &VIA,
        told: ForwardedFields::DEFAULT,
        subject: None,
        edits: RequestEdits::NONE,
    }
}

const VIA: Added = Added { via: Some("pointsman"), ..Added::NONE };

fn with_cookie() -> Added<'static> {
    static COOKIE: LazyLock<Cookie> =
        LazyLock::new(|| Cookie { name: "LB".to_owned(), same_site: SameSite::Lax });
    Added { cookie: Some(&COOKIE), ..VIA }
}

fn back() -> Back<'static> {
    Back {
        client_version: Version::Http11,
        keep_alive: true,
        chunk: true,
        takes_trailers: false,
        cookie: None,
        added: &Added::NONE,
        edits: ResponseEdits::NONE,
    }
}

fn bytes_of(out: &Outgoing, input: &[u8]) -> String {
    let mut bytes = Vec::new();
    out.copy_to(input, 0, &mut bytes);
    assert_eq!(bytes.len(), out.len());
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn sent(text: &str, to: Forward<'_>) -> String {
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    let parse = parse_request(text.as_bytes(), &mut Scan::default(), &mut fields);
    let Parse::Done(head) = parse else { panic!("{text:?} is {parse:?}") };
    rewrite::request(&head, &fields, text.as_bytes(), &to, &mut out);
    bytes_of(&out, text.as_bytes())
}

/// The lines that are the same in every request of [`forward`].
const TOLD: &str = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n\
                    X-Forwarded-Host: a\r\nX-Forwarded-Port: 8000\r\nVia: 1.1 pointsman\r\n";

#[track_caller]
fn returned(text: &str, asked: Asked, back: Back<'_>) -> (String, Leaves) {
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    let parse = parse_response(text.as_bytes(), &mut Scan::default(), &mut fields, &asked);
    let Parse::Done(head) = parse else { panic!("{text:?} is {parse:?}") };
    let leaves = rewrite::response(&head, &fields, text.as_bytes(), &back, &mut out);
    (bytes_of(&out, text.as_bytes()), leaves)
}

#[test]
fn a_plain_request_passes() {
    let text = "GET /a?b HTTP/1.1\r\nAccept: x\r\nHost: a\r\nUser-Agent: y\r\n\r\n";
    let wanted =
        format!("GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: x\r\nUser-Agent: y\r\n{TOLD}\r\n");
    assert_eq!(sent(text, forward()), wanted);
}

#[test]
fn fields_of_one_hop_stay_on_it() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Foo, \
                X-Forwarded-For, Host\r\n\
                x-foo: 1\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nTE: gzip\r\nA: b\r\n\
                Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nTrailer: z\r\nX_Forwarded_For: 6.6.6.6\r\n\
                any_thing: c\r\nX.SSL.Client.S.DN: d\r\nProxy: e\r\nx!y: f\r\n\r\n";
    let wanted = format!("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n{TOLD}\r\n");
    assert_eq!(sent(text, forward()), wanted);
}

#[test]
fn a_stranger_is_not_believed() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nx-real-ip: 6.6.6.6\r\n\
                Forwarded: for=6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
                X-Forwarded-Port: 1\r\nX-Forwarded-Anything: 1\r\nVia: 1.0 other\r\n\r\n";
    let wanted = format!("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 other\r\n{TOLD}\r\n");
    assert_eq!(sent(text, forward()), wanted);
}

#[test]
fn a_friend_is() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n\
                X-Forwarded-For: 2.2.2.2, 3.3.3.3\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Host: front\r\n\r\n";
    let to = Forward { trusted: true, added: &Added::NONE, ..forward() };
    assert_eq!(
        sent(text, to),
        "GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: front\r\n\
         X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.1\r\n\r\n"
    );
}

#[test]
fn addresses_are_bare() {
    let told = |client: &str, proto| {
        let to = Forward { client: client.parse().unwrap(), proto, ..forward() };
        let text = sent("GET / HTTP/1.0\r\n\r\n", to);
        text.strip_prefix("GET / HTTP/1.1\r\nHost: backend:80\r\n").unwrap().to_string()
    };
    assert_eq!(
        told("2001:db8::1", Proto::Https),
        "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 8000\r\n\
         Via: 1.0 pointsman\r\n\r\n"
    );
    assert!(
        told("::ffff:10.0.0.200", Proto::Http).starts_with("X-Forwarded-For: 10.0.0.200\r\n")
    );
}

#[test]
fn targets_become_paths() {
    let line = |text: &str| {
        let text = sent(&format!("{text}\r\nHost: a\r\n\r\n"), forward());
        text.split_once("\r\n").unwrap().0.to_string()
    };
    assert_eq!(line("GET http://a/b?c HTTP/1.1"), "GET /b?c HTTP/1.1");
    assert_eq!(line("GET http://a HTTP/1.1"), "GET / HTTP/1.1");
    assert_eq!(line("GET http://a?b HTTP/1.0"), "GET /?b HTTP/1.1");
    assert_eq!(line("OPTIONS http://a HTTP/1.1"), "OPTIONS * HTTP/1.1");
    assert_eq!(line("OPTIONS * HTTP/1.1"), "OPTIONS * HTTP/1.1");
    assert_eq!(line("BREW //x HTTP/1.1"), "BREW //x HTTP/1.1");
}

#[test]
fn framing_is_written_afresh() {
    let rest = |fields: &str| {
        let text = sent(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"), forward());
        text.split_once(TOLD).unwrap().1.to_string()
    };
    assert_eq!(rest("content-length:  007"), "Content-Length: 7\r\n\r\n");
    assert_eq!(rest("Content-Length: 0"), "Content-Length: 0\r\n\r\n");
    assert_eq!(rest("TRANSFER-ENCODING: CHUNKED"), "Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(rest("TE: trailers"), "Connection: TE\r\nTE: trailers\r\n\r\n");
    assert_eq!(
        rest("Content-Length: 1\r\nExpect: 100-CONTINUE"),
        "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n"
    );
    assert_eq!(rest("Expect: 100-continue"), "\r\n");
    assert_eq!(
        rest("Connection: x, upgrade\r\nUpgrade: h2c, websocket"),
        "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
}

#[test]
fn our_cookie_is_not_the_backends() {
    let added = with_cookie();
    let to = Forward { added: &added, ..forward() };
    let cookies = |fields: &str| {
        let text = sent(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"), to);
        let body = text.strip_prefix("GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
        body.split_once("X-Forwarded-For").unwrap().0.to_string()
    };
    assert_eq!(cookies("Cookie: a=1; LB=x;b=2"), "Cookie: a=1; b=2\r\n");
    assert_eq!(cookies("Cookie: LB=x"), "");
    assert_eq!(cookies("Cookie: LBX=x;lb=y;  LB"), "Cookie: LBX=x;lb=y;  LB\r\n");
    assert_eq!(cookies("Cookie: LB=x;LB=y; c=3"), "Cookie: c=3\r\n");
    assert_eq!(cookies("Cookie: a=1\r\nCookie: LB=x; c=3"), "Cookie: a=1\r\nCookie: c=3\r\n");
}

#[test]
fn a_plain_response_passes() {
    let text = "HTTP/1.1 200 OK then\r\nServer: x\r\nContent-Length: 05\r\nDate: y\r\n\
                Connection: close, Z\r\nZ: 1\r\nKeep-Alive: timeout=5\r\nTrailer: q\r\n\r\n";
    let (out, leaves) = returned(text, Asked::default(), back());
    assert_eq!(
        out,
        "HTTP/1.1 200 OK then\r\nServer: x\r\nDate: y\r\nContent-Length: 5\r\n\r\n"
    );
    assert_eq!(leaves, Leaves { framing: Framing::Length(5), keep_alive: true });
}

#[test]
fn bodies_leave_as_the_client_can_read_them() {
    let old = Back { client_version: Version::Http10, ..back() };
    let last = Back { keep_alive: false, ..back() };
    let plain = Back { chunk: false, ..back() };
    let head = Asked { head_request: true, ..Asked::default() };
    let no = Asked::default();
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    const CLOSE: &str = "Connection: close\r\n";
    const KEEP: &str = "Connection: keep-alive\r\n";
    use Framing::*;
    for (status, fields, asked, back, tail, framing, lives) in [
        (200, "Content-Length: 5", no, old, ["Content-Length: 5\r\n", KEEP], Length(5), true),
        (
            200,
            "Content-Length: 5",
            no,
            last,
            ["Content-Length: 5\r\n", CLOSE],
            Length(5),
            false,
        ),
        (200, "Transfer-Encoding: chunked", no, back(), [CHUNKED, ""], Chunked, true),
        (200, "Transfer-Encoding: chunked", no, old, ["", CLOSE], UntilClose, false),
        (200, "A: b", no, back(), [CHUNKED, ""], Chunked, true),
        (200, "A: b", no, plain, ["", CLOSE], UntilClose, false),
        (200, "A: b", no, old, ["", CLOSE], UntilClose, false),
        (200, "Content-Length: 5", head, back(), ["Content-Length: 5\r\n", ""], None, true),
        (200, "A: b", head, back(), ["", ""], None, true),
        (204, "Content-Length: 0", no, back(), ["", ""], None, true),
        (304, "Content-Length: 9", no, back(), ["Content-Length: 9\r\n", ""], None, true),
        (103, "Content-Length: 9", no, back(), ["", ""], None, true),
    ] {
        let text = format!("HTTP/1.1 {status} X\r\n{fields}\r\n\r\n");
        let (out, leaves) = returned(&text, asked, back);
        let passed = if fields == "A: b" { "A: b\r\n" } else { "" };
        let wanted = format!("HTTP/1.1 {status} X\r\n{passed}{}{}\r\n", tail[0], tail[1]);
        assert_eq!(out, wanted, "{text:?} for {back:?}");
        assert_eq!(leaves, Leaves { framing, keep_alive: lives }, "{text:?} for {back:?}");
    }
}

#[test]
fn a_status_without_words_gets_its_space() {
    for line in ["HTTP/1.1 200", "HTTP/1.0 200 "] {
        let text = format!("{line}\r\nContent-Length: 0\r\n\r\n");
        let (out, _) = returned(&text, Asked::default(), back());
        assert_eq!(out, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n");
    }
}

#[test]
fn a_switch_is_passed_on() {
    let asked = Asked { upgrade: true, ..Asked::default() };
    let text = "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\nA: b\r\n\r\n";
    let (out, _) = returned(text, asked, back());
    assert_eq!(
        out,
        "HTTP/1.1 101 Go\r\nA: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
}

#[test]
fn a_new_cookie_is_for_one_client_alone() {
    let back = Back { cookie: Some("LB=x; Path=/; HttpOnly; SameSite=Lax"), ..back() };
    let text = "HTTP/1.1 204 No\r\nSet-Cookie: a=b\r\n\r\n";
    let (out, _) = returned(text, Asked::default(), back);
    assert_eq!(
        out,
        "HTTP/1.1 204 No\r\nSet-Cookie: a=b\r\nCache-Control: private\r\n\
         Set-Cookie: LB=x; Path=/; HttpOnly; SameSite=Lax\r\n\r\n"
    );
}

#[test]
fn many_small_chunks_leave_as_one() {
    let input =
        b"1\r\na\r\n2\r\nbc\r\n0\r\nA: b\r\nContent-Length: 5\r\nx_y: z\r\nC:\t d\r\n\r\n";
    let mut decoder = Decoder::new(Framing::Chunked, body::Trailers::Keep);
    let mut data = Vec::new();
    let mut trailers = Vec::new();
    assert!(decoder.decode(input, 0, &mut data, &mut trailers).unwrap().finished);
    let mut out = Outgoing::new();
    rewrite::chunk(&data, input, &mut out);
    rewrite::chunk(&[], input, &mut out);
    rewrite::last_chunk(&trailers, &mut Fields::new(), &mut out);
    assert_eq!(bytes_of(&out, input), "3\r\nabc\r\n0\r\nA: b\r\nC:\t d\r\n\r\n");
    out.clear();
    rewrite::last_chunk(b"", &mut Fields::new(), &mut out);
    assert_eq!(bytes_of(&out, b""), "0\r\n\r\n");
}

#[test]
fn long_passages_are_not_copied() {
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(3000));
    let mut fields = Fields::new();
    let mut out = Outgoing::new();
    let parse = parse_request(text.as_bytes(), &mut Scan::default(), &mut fields);
    let Parse::Done(head) = parse else { panic!() };
    rewrite::request(&head, &fields, text.as_bytes(), &forward(), &mut out);
    assert_eq!(out.pieces(), 3);
}

/// Each head is as long as one may be and grows as much as it can; `rewrite` looks at the bound
/// that the compiler checked, and here it is close to what there was.
#[test]
fn no_head_grows_by_more_than_there_is_room_for() {
    let added = with_cookie();
    let to = Forward {
        client: "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".parse().unwrap(),
        proto: Proto::Https,
        trusted: true,
        added: &added,
        subject: Some(&"s".repeat(CLIENT_SUBJECT_BYTES_MAX)),
        ..forward()
    };
    let fixed = "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nTE: trailers\r\n";
    let full = |field: &str, unit: &str| {
        let start = format!("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n{fixed}{field}");
        let room = HTTP_HEAD_BYTES_MAX - start.len() - 4;
        format!("{start}{}\r\n\r\n", &unit.repeat(room)[..room])
    };
    let room = HTTP_HEAD_BYTES_MAX - 32 - fixed.len();
    let host = "a".repeat(room);
    let many = "X-Forwarded-For:1\r\n".repeat(90);
    for (text, least) in [
        (format!("GET / HTTP/1.1\r\nHost:{host}\r\n{fixed}\r\n"), room),
        (full("Cookie:LB=x;", "a;"), room / 3),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 0),
        (full("X:", "y"), CLIENT_SUBJECT_BYTES_MAX),
    ] {
        let text = text.trim_end().to_owned() + "\r\n\r\n";
        assert!(text.len() <= HTTP_HEAD_BYTES_MAX, "{}", text.len());
        let grown = sent(&text, to).len().saturating_sub(text.len());
        assert!((least..=HTTP_FRAMING_ROOM).contains(&grown), "{grown} of {least}");
    }
    let cookie = "c".repeat(TOKEN_BYTES_MAX + added::COOKIE_REST_BYTES_MAX);
    let added = Added { hsts: Some(u64::MAX), ..added };
    let back = Back { cookie: Some(&cookie), added: &added, keep_alive: false, ..back() };
    let (out, _) = returned("HTTP/1.1 200\r\n\r\n", Asked::default(), back);
    assert!((cookie.len()..=HTTP_FRAMING_ROOM).contains(&out.len()), "{out}");
}

#[test]
fn a_proxy_before_us_says_how_it_was_reached_or_we_do() {
    let to = Forward { trusted: true, port: "8443", added: &Added::NONE, ..forward() };
    let port = |said: &str| {
        let text = sent(&format!("GET / HTTP/1.1\r\nHost: a\r\n{said}\r\n"), to);
        let ports = text.split("X-Forwarded-Port: ").skip(1);
        ports.map(|rest| rest.split("\r\n").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(port(""), ["8443"]);
    assert_eq!(port("X-Forwarded-For: 1.1.1.1\r\n"), ["8443"]);
    assert_eq!(port("X-Forwarded-Port: 443\r\n"), ["443"]);
    assert_eq!(port("X-Forwarded-Proto: https\r\n"), [""; 0]);
    assert_eq!(port("X-Forwarded-Host: b\r\n"), [""; 0]);
}

#[test]
fn no_one_before_us_names_a_certificate() {
    for trusted in [false, true] {
        for subject in [None, Some("CN=Ada")] {
            let to = Forward { trusted, subject, ..forward() };
            let text = "GET / HTTP/1.1\r\nHost: a\r\nX-SSL-Client-S-DN: CN=me\r\n\r\n";
            let text = sent(text, to);
            assert!(!text.contains("CN=me"), "{text}");
            assert_eq!(text.contains("\r\nX-SSL-Client-S-DN: CN=Ada\r\n"), subject.is_some());
        }
    }
}

#[test]
fn what_is_to_be_spoken_instead_is_said() {
    let text = |status: u16| {
        format!(
            "HTTP/1.1 {status} X\r\nUpgrade: TLS/1.2, HTTP/1.1\r\nConnection: upgrade\r\n\
             Upgrade: x\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let (out, leaves) = returned(&text(426), Asked::default(), back());
    assert_eq!(
        out,
        "HTTP/1.1 426 X\r\nContent-Length: 0\r\nConnection: Upgrade\r\n\
         Upgrade: TLS/1.2, HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    );
    assert!(leaves.keep_alive);
    let (out, _) = returned(&text(200), Asked::default(), back());
    assert_eq!(out, "HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n");
}
