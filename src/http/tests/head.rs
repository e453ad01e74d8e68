//! The heads that are refused, each with its status, and what is understood of the others.

use crate::http::*;

fn request(text: &[u8]) -> Parse<RequestHead> {
    parse_request(text, &mut Scan::default(), &mut Fields::new())
}

fn response(text: &[u8], asked: Asked) -> Parse<ResponseHead> {
    parse_response(text, &mut Scan::default(), &mut Fields::new(), &asked)
}

#[track_caller]
fn good(text: &str) -> RequestHead {
    match request(text.as_bytes()) {
        Parse::Done(head) => head,
        other => panic!("{text:?} is {other:?}"),
    }
}

#[track_caller]
fn answered(text: &str) -> ResponseHead {
    match response(text.as_bytes(), Asked::default()) {
        Parse::Done(head) => head,
        other => panic!("{text:?} is {other:?}"),
    }
}

/// Every request of the table of what must not pass, and the status that it gets.
const REFUSED: &[(&str, BadHead, u16)] = {
    use BadHead::*;
    &[
        // Two lengths, or one that two parsers could read differently.
        ("+Content-Length: 5\r\nTransfer-Encoding: chunked", TwoLengths, 400),
        ("+Transfer-Encoding: chunked\r\nContent-Length: 5", TwoLengths, 400),
        ("+Content-Length: 5\r\nContent-Length: 6", ContentLengthTwice, 400),
        ("+Content-Length: 5\r\nContent-Length: 5", ContentLengthTwice, 400),
        ("+Content-Length: 5\r\ncontent-length: 5", ContentLengthTwice, 400),
        ("+Content-Length: 5, 5", ContentLength, 400),
        ("+Content-Length: +5", ContentLength, 400),
        ("+Content-Length: -5", ContentLength, 400),
        ("+Content-Length: 0x5", ContentLength, 400),
        ("+Content-Length: 5 5", ContentLength, 400),
        ("+Content-Length: 1_000", ContentLength, 400),
        ("+Content-Length: 5;", ContentLength, 400),
        ("+Content-Length: 1e3", ContentLength, 400),
        ("+Content-Length:", ContentLength, 400),
        ("+Content-Length: 9223372036854775808", ContentLength, 400),
        ("+Content-Length: 18446744073709551617", ContentLength, 400),
        // Transfer codings.
        ("-POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked", TransferEncoding, 400),
        ("+Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", TransferEncoding, 400),
        ("+Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", TransferEncoding, 400),
        ("+Transfer-Encoding: chunked, chunked", TransferEncoding, 400),
        ("+Transfer-Encoding: chunked,", TransferEncoding, 400),
        ("+Transfer-Encoding: ,chunked", TransferEncoding, 400),
        ("+Transfer-Encoding: \"chunked\"", TransferEncoding, 400),
        ("+Transfer-Encoding: chunked;q=1", TransferEncoding, 400),
        ("+Transfer-Encoding:", TransferEncoding, 400),
        ("+Transfer-Encoding: \u{b}chunked", FieldValue, 400),
        ("+Transfer-Encoding: chunked\u{b}", FieldValue, 400),
        ("+Transfer-Encoding: chunked\0", FieldValue, 400),
        ("+Transfer-Encoding: gzip, chunked", Coding, 501),
        ("+Transfer-Encoding: chunked, gzip", Coding, 501),
        ("+Transfer-Encoding: gzip", Coding, 501),
        ("+Transfer-Encoding: identity", Coding, 501),
        ("+Transfer-Encoding: xchunked", Coding, 501),
        ("+Transfer-Encoding: chunkedx", Coding, 501),
        // Lines.
        ("+A : b", FieldName, 400),
        ("+A\t: b", FieldName, 400),
        ("+A: b\r\n c", FieldName, 400),
        ("+A: b\r\n\tc", FieldName, 400),
        ("+ A: b", FieldName, 400),
        ("+: b", FieldName, 400),
        ("+A", FieldName, 400),
        ("+A b: c", FieldName, 400),
        ("+A\0: b", FieldName, 400),
        ("+A(: b", FieldName, 400),
        ("+A;: b", FieldName, 400),
        ("+A\u{e9}: b", FieldName, 400),
        ("+A: b\rc", FieldValue, 400),
        ("+A: b\nc: d", FieldValue, 400),
        ("+A: b\r\r\nc: d", FieldValue, 400),
        ("+A: b\0c", FieldValue, 400),
        ("+A: b\u{7f}c", FieldValue, 400),
        ("+A: b\u{1}", FieldValue, 400),
        ("-GET / HTTP/1.1\nHost: a", StartLine, 400),
        ("-GET / HTTP/1.1\r\nHost: a\n", FieldValue, 400),
        ("-\r\n\nGET / HTTP/1.1\r\nHost: a", StartLine, 400),
        ("-\r\n\rGET / HTTP/1.1\r\nHost: a", StartLine, 400),
        ("-\nGET / HTTP/1.1\r\nHost: a", StartLine, 400),
        ("- GET / HTTP/1.1\r\nHost: a", StartLine, 400),
        // The first line.
        ("-\u{16}\u{3}\u{1}", StartLine, 400),
        ("-GET /\r\n", Target, 400),
        ("-GET  / HTTP/1.1\r\nHost: a", Target, 400),
        ("-GET /  HTTP/1.1\r\nHost: a", StartLine, 400),
        ("-GET / HTTP/1.1 \r\nHost: a", StartLine, 400),
        ("-GET / HTTP/1.1\r\r\nHost: a", StartLine, 400),
        ("-GET\t/ HTTP/1.1\r\nHost: a", StartLine, 400),
        ("-GET /\tHTTP/1.1\r\nHost: a", Target, 400),
        ("-GET /a b HTTP/1.1\r\nHost: a", StartLine, 400),
        ("-GET /a\0b HTTP/1.1\r\nHost: a", Target, 400),
        ("-GET /\u{e9} HTTP/1.1\r\nHost: a", Target, 400),
        ("-GET /#a HTTP/1.1\r\nHost: a", Target, 400),
        ("-GET a HTTP/1.1\r\nHost: a", Target, 400),
        ("-GET * HTTP/1.1\r\nHost: a", Target, 400),
        ("-GET ftp://a/ HTTP/1.1\r\nHost: a", Target, 400),
        ("-GET http:/a/ HTTP/1.1\r\nHost: a", Target, 400),
        ("-GET http:///b HTTP/1.1\r\nHost: a", Target, 400),
        ("-GET http://u@a/ HTTP/1.1\r\nHost: a", Target, 400),
        ("-G@T / HTTP/1.1\r\nHost: a", StartLine, 400),
        ("-GET / http/1.1\r\nHost: a", StartLine, 400),
        ("-GET / HTTP/1\r\nHost: a", StartLine, 400),
        ("-GET / HTTP/11\r\nHost: a", StartLine, 400),
        ("-GET / HTTP/1.10\r\nHost: a", StartLine, 400),
        ("-GET / HTTP/3.1\r\nHost: a", Version, 505),
        ("-GET / HTTP/0.9\r\nHost: a", Version, 505),
        ("-PRI * HTTP/2.0\r\n", Version, 505),
        ("-CONNECT a:443 HTTP/1.1\r\nHost: a:443", Method, 405),
        ("-TRACE / HTTP/1.1\r\nHost: a", Method, 405),
        // Host.
        ("-GET / HTTP/1.1\r\nA: b", HostMissing, 400),
        ("-GET http://a/ HTTP/1.1\r\nA: b", HostMissing, 400),
        ("+Host: a", HostTwice, 400),
        ("+Host: b", HostTwice, 400),
        ("-GET / HTTP/1.0\r\nHost: a\r\nHost: a", HostTwice, 400),
        ("-GET / HTTP/1.1\r\nHost:", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: a b", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: a, b", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: a/b", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: a@b", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: http://a", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: a:b", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: a:65536", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: a:1:2", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: :80", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: [::1", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: [::1]a", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: []", Host, 400),
        ("-GET / HTTP/1.1\r\nHost: ::1", Host, 400),
        ("-GET / HTTP/1.0\r\nHost: a b", Host, 400),
        ("-GET http://a/ HTTP/1.1\r\nHost: b", HostOther, 400),
        ("-GET http://a:81/ HTTP/1.1\r\nHost: a", HostOther, 400),
        ("-GET http://a:443/ HTTP/1.1\r\nHost: a", HostOther, 400),
        ("-GET https://a:80/ HTTP/1.1\r\nHost: a", HostOther, 400),
        ("-GET http://a/ HTTP/1.1\r\nHost: a:8", HostOther, 400),
        ("-GET http://a8/ HTTP/1.1\r\nHost: a:8", HostOther, 400),
        // The rest.
    ]
};

/// A row that begins with `+` is fields after a good first line, one with `-` a whole head.
fn whole(row: &str) -> String {
    match row.split_at(1) {
        ("+", fields) => format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"),
        (_, head) => format!("{head}\r\n\r\n"),
    }
}

#[test]
fn what_two_could_read_differently_is_refused() {
    for &(row, refusal, status) in REFUSED {
        let text = whole(row);
        // As bytes of Latin-1: the table's \u{e9} is one byte on the wire.
        let bytes: Vec<u8> = text.chars().map(|it| it as u8).collect();
        assert_eq!(request(&bytes), Parse::Bad(refusal), "{text:?}");
        assert_eq!(refusal.status(), status, "{text:?}");
        assert!(!refusal.reason().is_empty());
    }
}

/// However the reads fall, the verdict is the same; and it is never later than the line's end.
#[test]
fn every_verdict_comes_by_single_bytes_too() {
    for &(row, refusal, _) in REFUSED {
        let bytes: Vec<u8> = whole(row).chars().map(|it| it as u8).collect();
        let mut scan = Scan::default();
        let mut fields = Fields::new();
        let verdict = (1..=bytes.len())
            .map(|length| parse_request(&bytes[..length], &mut scan, &mut fields))
            .find(|it| *it != Parse::Incomplete);
        assert_eq!(verdict, Some(Parse::Bad(refusal)), "{row:?}");
    }
}

#[test]
fn limits_are_kept_to_the_byte() {
    use crate::limits::{HTTP_FIELDS_MAX, HTTP_HEAD_BYTES_MAX};
    let sized = |total: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: a\r\nA: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(total - frame))
    };
    assert_eq!(good(&sized(HTTP_HEAD_BYTES_MAX)).length, HTTP_HEAD_BYTES_MAX);
    let long = Parse::Bad(BadHead::HeadTooLong);
    assert_eq!(request(sized(HTTP_HEAD_BYTES_MAX + 1).as_bytes()), long);
    assert_eq!(request(&sized(HTTP_HEAD_BYTES_MAX + 9).as_bytes()[..16384]), long);
    assert_eq!(request(&sized(HTTP_HEAD_BYTES_MAX + 9).as_bytes()[..16383]), Parse::Incomplete);
    let line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(17_000));
    assert_eq!(request(line.as_bytes()), Parse::Bad(BadHead::TargetTooLong));
    assert_eq!(BadHead::TargetTooLong.status(), 414);
    assert_eq!(BadHead::HeadTooLong.status(), 431);

    let fields = |count: usize| {
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(count - 1))
    };
    good(&fields(HTTP_FIELDS_MAX));
    let many = fields(HTTP_FIELDS_MAX + 1);
    assert_eq!(request(many.as_bytes()), Parse::Bad(BadHead::TooManyFields));
    assert_eq!(BadHead::TooManyFields.status(), 431);
    let options = |count: usize| {
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: a{}\r\n\r\n", ",a".repeat(count - 1))
    };
    good(&options(32));
    assert_eq!(request(options(33).as_bytes()), Parse::Bad(BadHead::Connection));
}

#[test]
fn a_request_is_understood() {
    let text = "POST /a/b?c=d HTTP/1.1\r\nhOST:\t a.example:8080 \r\n\
                content-length: 0042\r\nExpect: 100-Continue\r\n\r\nbody";
    let head = good(text);
    let bytes = text.as_bytes();
    assert_eq!(head.method, Method::Post);
    assert_eq!(head.method_name.of(bytes), b"POST");
    assert_eq!(head.target.of(bytes), b"/a/b?c=d");
    assert_eq!(head.path.of(bytes), b"/a/b?c=d");
    assert_eq!(head.path_alone(bytes).of(bytes), b"/a/b");
    assert_eq!(head.host.unwrap().of(bytes), b"a.example:8080");
    assert_eq!(head.framing, Framing::Length(42));
    assert_eq!(&bytes[head.length..], b"body");
    assert!(head.expects_continue && head.keep_alive && !head.is_idempotent());
}

#[test]
fn targets_have_four_forms_of_which_we_take_three() {
    let path = |text: &str| {
        let head = good(text);
        let host =
            head.host.map(|it| String::from_utf8(it.of(text.as_bytes()).into()).unwrap());
        (String::from_utf8(head.path.of(text.as_bytes()).into()).unwrap(), host)
    };
    for (text, wanted, host) in [
        ("GET /a HTTP/1.1\r\nHost: b\r\n\r\n", "/a", Some("b")),
        ("GET //a HTTP/1.1\r\nHost: b\r\n\r\n", "//a", Some("b")),
        ("GET HTTP://B/a?c HTTP/1.1\r\nHost: b\r\n\r\n", "/a?c", Some("b")),
        ("GET https://[::1]:8/ HTTP/1.1\r\nHost: [::1]:8\r\n\r\n", "/", Some("[::1]:8")),
        ("GET http://b HTTP/1.1\r\nHost: b\r\n\r\n", "", Some("b")),
        ("GET http://b?c/d HTTP/1.1\r\nHost: b\r\n\r\n", "?c/d", Some("b")),
        ("GET http://b/ HTTP/1.0\r\n\r\n", "/", Some("b")),
        ("OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n", "*", Some("b")),
        ("GET / HTTP/1.0\r\n\r\n", "/", None),
        ("GET / HTTP/1.1\r\nHost: b:\r\n\r\n", "/", Some("b:")),
    ] {
        assert_eq!(path(text), (wanted.to_string(), host.map(String::from)), "{text:?}");
    }
}

#[test]
fn connections_live_by_version_and_option() {
    let lives = |version, fields| {
        good(&format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n")).keep_alive
    };
    assert!(lives("1.1", ""));
    assert!(!lives("1.1", "Connection: close\r\n"));
    assert!(!lives("1.1", "Connection: a, , CLOSE ,b\r\n"));
    assert!(!lives("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    assert!(!lives("1.0", ""));
    assert!(lives("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!lives("1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn protocols_are_switched_only_in_the_open() {
    let offer = |line: &str, fields: &str| {
        let text = format!("GET / HTTP/{line}\r\nHost: a\r\n{fields}\r\n");
        let upgrade = good(&text).upgrade;
        upgrade.map(|it| String::from_utf8(it.of(text.as_bytes()).into()).unwrap())
    };
    let both = |value: &str| format!("Connection: x, Upgrade\r\nUpgrade: {value}\r\n");
    assert_eq!(offer("1.1", &both("websocket")).as_deref(), Some("websocket"));
    assert_eq!(offer("1.1", &both("h2c, websocket , a/1")).as_deref(), Some("websocket"));
    assert_eq!(offer("1.1", &both("IRC/6.9")).as_deref(), Some("IRC/6.9"));
    for none in [
        both("h2c"),
        both("H2C"),
        both("HTTP/2.0"),
        both(""),
        both("a b"),
        both("a/"),
        "Upgrade: websocket\r\n".into(),
        "Connection: upgrade\r\n".into(),
        both("a") + "Upgrade: b\r\n",
        both("websocket") + "Content-Length: 5\r\n",
    ] {
        assert_eq!(offer("1.1", &none), None, "{none:?}");
    }
    assert_eq!(offer("1.0", &both("websocket")), None);
}

#[test]
fn a_response_is_framed_by_the_rules_in_their_order() {
    let head = Asked { head_request: true, ..Asked::default() };
    let no = Asked::default();
    for (status, fields, asked, framing) in [
        ("200", "Content-Length: 5", no, Framing::Length(5)),
        ("200", "Content-Length: 0", no, Framing::Length(0)),
        ("200", "Transfer-Encoding: Chunked", no, Framing::Chunked),
        ("200", "A: b", no, Framing::UntilClose),
        ("200", "Content-Length: 5", head, Framing::None),
        ("200", "Transfer-Encoding: chunked", head, Framing::None),
        ("200", "A: b", head, Framing::None),
        ("204", "Content-Length: 0", no, Framing::None),
        ("204", "Transfer-Encoding: chunked", no, Framing::None),
        ("304", "Content-Length: 500", no, Framing::None),
        ("100", "A: b", no, Framing::None),
        ("103", "Link: b", no, Framing::None),
        ("999", "Content-Length: 1", no, Framing::Length(1)),
    ] {
        let text = format!("HTTP/1.1 {status} So\r\n{fields}\r\n\r\n");
        let Parse::Done(head) = response(text.as_bytes(), asked) else { panic!("{text:?}") };
        assert_eq!(head.framing, framing, "{text:?}");
        assert_eq!(head.keep_alive, framing != Framing::UntilClose, "{text:?}");
        assert_eq!(head.is_interim(), status < "200", "{text:?}");
    }
}

#[test]
fn a_response_that_two_could_read_differently_is_refused() {
    use BadHead::*;
    for (text, refusal) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", TwoLengths),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6", ContentLengthTwice),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5 5", ContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5", ContentLength),
        ("HTTP/1.1 304 OK\r\nContent-Length: a", ContentLength),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", TransferEncoding),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip", Coding),
        ("HTTP/1.1 200 OK\nContent-Length: 5", StartLine),
        ("HTTP/1.1 200 OK\r\nA: b\nB: c", FieldValue),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c", FieldName),
        ("HTTP/1.1 200 OK\r\nA : b", FieldName),
        ("HTTP/1.1 200\tOK", StartLine),
        ("HTTP/1.1  200 OK", StartLine),
        ("HTTP/1.1 20 OK", StartLine),
        ("HTTP/1.1 099 OK", StartLine),
        ("HTTP/1.1 2000 OK", StartLine),
        ("HTTP/1.1 200 O\0K", StartLine),
        ("HTTP/2.0 200 OK", Version),
        ("ICY 200 OK", StartLine),
        ("\r\nHTTP/1.1 200 OK", StartLine),
        ("<html>", StartLine),
        ("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket", Upgrade),
    ] {
        let text = format!("{text}\r\n\r\n");
        let verdict = response(text.as_bytes(), Asked::default());
        assert_eq!(verdict, Parse::Bad(refusal), "{text:?}");
    }
}

#[test]
fn a_switch_that_was_asked_for_is_taken() {
    let asked = Asked { upgrade: true, ..Asked::default() };
    let text = b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let Parse::Done(head) = response(text, asked) else { panic!() };
    assert_eq!(head.upgrade.unwrap().of(text), b"websocket");
    assert!(!head.is_interim());
    let bare = b"HTTP/1.1 101 Go\r\n\r\n";
    assert_eq!(response(bare, asked), Parse::Bad(BadHead::Upgrade));
}

#[test]
fn a_backend_may_leave_out_words_and_say_how_long_it_waits() {
    let text = "HTTP/1.1 200\r\nKeep-Alive: max=5, timeout=7\r\nContent-Length: 0\r\n\r\n";
    let head = answered(text);
    assert!(head.keep_alive);
    assert_eq!(head.status_text.of(text.as_bytes()), b"200");
    assert_eq!((head.status, head.keep_alive_seconds), (200, Some(7)));
    assert_eq!(answered("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n").status_text.len(), 4);
    let old = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n";
    assert!(!answered(&format!("{old}\r\n")).keep_alive);
    assert!(answered(&format!("{old}Connection: keep-alive\r\n\r\n")).keep_alive);
    assert!(!answered("HTTP/1.1 204 No\r\nConnection: close\r\n\r\n").keep_alive);
}

#[test]
fn fields_and_cookies_are_found() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; bb=2;b=\"3\"\r\nX-Key:  v \r\n\
                 Cookie: c=4;c=5\r\n\r\n";
    let mut fields = Fields::new();
    let Parse::Done(_) = parse_request(text, &mut Scan::default(), &mut fields) else {
        panic!()
    };
    let cookie = |name| fields.cookie(text, name).map(|it| it.of(text));
    assert_eq!(cookie("a"), Some(&b"1"[..]));
    assert_eq!(cookie("b"), Some(&b"\"3\""[..]));
    assert_eq!(cookie("c"), Some(&b"4"[..]));
    assert_eq!(cookie("d"), None);
    assert_eq!(fields.find(text, "x-key").map(|it| it.of(text)), Some(&b"v"[..]));
    assert_eq!(fields.find(text, "x-keys"), None);
}

/// Sixteen thousand reads of one byte do not look at everything each time.
#[test]
fn a_head_that_trickles_is_not_parsed_for_every_byte() {
    let mut looks = 0;
    let mut scan = Scan::default();
    let bytes =
        "GET / HTTP/1.1\r\nHost: a\r\nA: ".bytes().chain(std::iter::repeat_n(b'x', 9000));
    let bytes: Vec<u8> = bytes.collect();
    for length in 1..=bytes.len() {
        let parse = scan.parse(&bytes[..length], |_| {
            looks += 1;
            Ok(None::<()>)
        });
        assert_eq!(parse, Parse::Incomplete);
    }
    assert_eq!(looks, 3);
}

/// Names are known in letters of any case, and where they end the buffer, and nothing else is.
#[test]
fn names_are_known_wherever_they_lie() {
    use crate::http::fields::FieldKind;
    for (name, kind) in [
        ("te", FieldKind::Te),
        ("via", FieldKind::Via),
        ("x-request-id", FieldKind::RequestId),
        ("host", FieldKind::Host),
        ("cookie", FieldKind::Cookie),
        ("expect", FieldKind::Expect),
        ("upgrade", FieldKind::Upgrade),
        ("trailer", FieldKind::Trailer),
        ("forwarded", FieldKind::Forwarded),
        ("x-real-ip", FieldKind::RealIp),
        ("connection", FieldKind::Connection),
        ("keep-alive", FieldKind::KeepAlive),
        ("set-cookie", FieldKind::EndToEnd),
        ("authorization", FieldKind::Authorization),
        ("proxy-authorization", FieldKind::Authorization),
        ("www-authenticate", FieldKind::Challenge),
        ("proxy-authenticate", FieldKind::Challenge),
        ("cache-control", FieldKind::EndToEnd),
        ("content-length", FieldKind::ContentLength),
        ("http2-settings", FieldKind::Hop),
        ("proxy-connection", FieldKind::Hop),
        ("transfer-encoding", FieldKind::TransferEncoding),
        ("x-forwarded-for", FieldKind::ForwardedFor),
        ("x-forwarded-host", FieldKind::ForwardedHost),
        ("x-forwarded-proto", FieldKind::ForwardedProto),
        ("x-forwarded-port", FieldKind::ForwardedPort),
        ("x-forwarded-", FieldKind::ForwardedOther),
        ("x-forwarded-f", FieldKind::ForwardedOther),
        ("x-forwarded-by-somebody-else", FieldKind::ForwardedOther),
        ("x_forwarded_for", FieldKind::Folded),
        ("x.ssl.client.s.dn", FieldKind::Folded),
        ("x-ssl-client_s-dn", FieldKind::Folded),
        ("content-length~", FieldKind::Folded),
        ("accept1", FieldKind::Other),
        ("proxy", FieldKind::Proxy),
        ("x-ssl-client-s-dn", FieldKind::ClientSubject),
        ("content_length", FieldKind::Folded),
        ("content-type", FieldKind::Other),
        ("x-request-di", FieldKind::Other),
    ] {
        let kind_of = |name: &str, value: &str| {
            let mut fields = Fields::new();
            let text = format!("{name}:{value}\r\n\r\n");
            assert_eq!(fields.parse(text.as_bytes(), 0), Ok(Some(text.len())), "{text:?}");
            fields.as_slice()[0].kind
        };
        for value in ["", "1", " a long value that fills some words"] {
            assert_eq!(kind_of(name, value), kind, "{name}");
            assert_eq!(kind_of(&name.to_uppercase(), value), kind, "{name}");
        }
        for (at, _) in name.char_indices() {
            let mut wrong = name.to_string();
            wrong.replace_range(at..=at, "*");
            let kind = kind_of(&wrong, "");
            let family = wrong.starts_with("x-forwarded-");
            assert!(
                matches!(kind, FieldKind::Other | FieldKind::Folded)
                    || (family && kind == FieldKind::ForwardedOther),
                "{wrong}: {kind:?}"
            );
        }
    }
}

/// What other servers take as well, and nobody can read in two ways.
#[test]
fn what_all_read_alike_is_taken() {
    let head = |text: &str| {
        let mut fields = Fields::new();
        match parse_request(text.as_bytes(), &mut Scan::default(), &mut fields) {
            Parse::Done(head) => head,
            other => panic!("{text:?} is {other:?}"),
        }
    };
    for blank in [" ", "\t", " \t ", "   "] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3{blank}\r\n\r\n");
        assert_eq!(head(&text).framing, Framing::Length(3), "{blank:?}");
        let again = "Content-Length: 03\r\nConnection: a b";
        let text = format!("HTTP/1.2 200 OK\r\nContent-Length:\t3{blank}\r\n{again}\r\n\r\n");
        let mut scan = Scan::default();
        let mut fields = Fields::new();
        let parse = parse_response(text.as_bytes(), &mut scan, &mut fields, &Asked::default());
        let Parse::Done(head) = parse else { panic!("{text:?} is {parse:?}") };
        assert_eq!(head.framing, Framing::Length(3), "{blank:?}");
    }
    for (fields, expects) in [
        ("Expect: 100-continue, 100-continue", true),
        ("Expect: miracles, 100-Continue", true),
        ("Expect: miracles", false),
        ("Expect:", false),
        ("Connection: a b, close now", false),
        ("Connection: \"close\"", false),
    ] {
        let text =
            format!("POST / HTTP/1.9\r\nHost: a\r\nContent-Length: 1\r\n{fields}\r\n\r\n");
        let head = head(&text);
        assert_eq!((head.expects_continue, head.keep_alive), (expects, true), "{fields}");
        assert_eq!(head.version, Version::Http11);
    }
    for lines in [1, 2, 7] {
        let empty = "\r\n".repeat(lines);
        let plain = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
        let text = format!("{empty}{plain}");
        let head = head(&text);
        assert_eq!(head.length, text.len());
        assert_eq!(head.method_name.of(text.as_bytes()), b"GET");
        assert_eq!(head.path.of(text.as_bytes()), b"/x");
        // However it is cut.
        for cut in 0..text.len() {
            let mut scan = Scan::default();
            let begun = parse_request(&text.as_bytes()[..cut], &mut scan, &mut Fields::new());
            assert_eq!(begun, Parse::Incomplete, "{cut}");
            let whole = parse_request(text.as_bytes(), &mut scan, &mut Fields::new());
            assert_eq!(whole, Parse::Done(head), "{cut}");
        }
    }
    for (url, host) in [
        ("http://h:80/", "h"),
        ("http://h/", "H:80"),
        ("http://h:/", "h"),
        ("HTTP://H/", "h:"),
        ("http://h:080/", "h:80"),
        ("https://h:443/", "h"),
        ("https://h/", "h:443"),
        ("http://[::1]:80/", "[::1]"),
        ("http://10.0.0.1/", "10.0.0.1:80"),
    ] {
        let text = format!("GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(head(&text).host.unwrap().of(text.as_bytes()), host.as_bytes());
    }
}
