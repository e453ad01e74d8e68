//! What two parsers could read differently is refused: requests before a backend sees anything of
//! them, answers before the client does.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::http::{Origin, Wire, before, before_backends, get, ok, post};
use crate::common::{Backend, read_to_end, until};

const NO: &[(&str, u16, &str)] = &[
    ("garbage", 400, "\x16\x03\x01\x02\x00\x01\x00"),
    ("two words", 400, "GET /\r\n\r\n"),
    ("LF first", 400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("an empty line, then LF", 400, "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a space first", 400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("another version", 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    ("the preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("LF in the start line", 400, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
    ("LF in the fields", 400, "GET / HTTP/1.1\r\nHost: a\n\r\n"),
    ("CR alone", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
    ("NUL", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
    ("a folded line", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
    ("a space before the colon", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    ("a name that is none", 400, "GET / HTTP/1.1\r\nHost: a\r\nX(y): a\r\n\r\n"),
    ("no Host", 400, "GET / HTTP/1.1\r\n\r\n"),
    ("two Hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    ("a bad Host", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ("Host and target differ", 400, "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("CONNECT", 405, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    ("TRACE", 405, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
];

/// Fields of a POST with a body that is there.
const NO_FRAMING: &[(&str, u16, &str)] = &[
    ("both", 400, "Content-Length: 5\r\nTransfer-Encoding: chunked"),
    ("both, the other way", 400, "Transfer-Encoding: chunked\r\nContent-Length: 5"),
    ("chunked twice", 400, "Transfer-Encoding: chunked, chunked"),
    ("chunked on two lines", 400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("a coding and chunked", 501, "Transfer-Encoding: gzip, chunked"),
    ("an unknown coding", 501, "Transfer-Encoding: xchunked"),
    ("a comma too many", 400, "Transfer-Encoding: chunked,"),
    ("a vertical tab", 400, "Transfer-Encoding: \x0bchunked"),
    ("identity", 501, "Transfer-Encoding: identity"),
    ("none", 400, "Transfer-Encoding:"),
    ("two lengths", 400, "Content-Length: 5\r\nContent-Length: 6"),
    ("one length twice", 400, "Content-Length: 5\r\nContent-Length: 5"),
    ("a list of lengths", 400, "Content-Length: 5, 5"),
    ("a plus", 400, "Content-Length: +5"),
    ("a minus", 400, "Content-Length: -5"),
    ("hexadecimal", 400, "Content-Length: 0x5"),
    ("a space within it", 400, "Content-Length: 5 5"),
    ("no length", 400, "Content-Length:"),
    ("over 2^63", 400, "Content-Length: 9223372036854775808"),
];

/// Bodies in chunks, which come with their head.
const NO_CHUNKS: &[(&str, &str)] = &[
    ("no number", "g\r\nhello\r\n0\r\n\r\n"),
    ("17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("0x", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("a sign", "+5\r\nhello\r\n0\r\n\r\n"),
    ("a space within it", "5 5\r\nhello\r\n0\r\n\r\n"),
    ("a space before it", " 5\r\nhello\r\n0\r\n\r\n"),
    ("LF after it", "5\nhello\r\n0\r\n\r\n"),
    ("LF after an extension", "5;a\nhello\r\n0\r\n\r\n"),
    ("LF after the chunk", "5\r\nhello\n0\r\n\r\n"),
    ("too long a chunk", "4\r\nhello\r\n0\r\n\r\n"),
    ("no trailer", "5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
    ("an empty size", "\r\nhello\r\n0\r\n\r\n"),
];

#[test]
fn pitfall_33_the_backend_sees_nothing_of_what_is_refused() {
    let bytes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&bytes);
    let backend = Backend::start(move |mut stream| {
        while let Ok(count @ 1..) = stream.read(&mut [0; 4096]) {
            counter.fetch_add(count, Ordering::SeqCst);
        }
    });
    let balancer = before_backends(&[&backend], &["--log-level", "info"]);
    let refuse = |what: &str, status: u16, request: &[u8]| {
        let mut client = Wire::to(&balancer);
        // What follows must not be taken for a request of its own.
        client.say([request, get("/next").as_bytes()].concat());
        let answer = client.answer();
        assert_eq!(answer.status(), status, "{what}: {}", answer.text());
        assert_eq!(answer.field("connection"), "close", "{what}");
        let allow =
            if status == 405 { "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" } else { "" };
        assert_eq!(answer.field("allow"), allow, "{what}");
        assert!(client.ends(), "{what}");
    };
    for (what, status, request) in NO {
        refuse(what, *status, request.as_bytes());
    }
    for (what, status, fields) in NO_FRAMING {
        let body = "5\r\nhello\r\n0\r\n\r\n";
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}");
        refuse(what, *status, request.as_bytes());
    }
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(300));
    for (what, body) in NO_CHUNKS.iter().chain(&[("a long extension", &*long)]) {
        refuse(what, 400, format!("{chunked}{body}").as_bytes());
    }
    let old = chunked.replace("1.1", "1.0");
    refuse("chunks in HTTP/1.0", 400, format!("{old}0\r\n\r\n").as_bytes());
    assert_eq!(bytes.load(Ordering::SeqCst), 0);
    balancer.stop();
}

#[test]
fn a_chunk_that_goes_bad_later_never_makes_a_whole_request() {
    let origin = Origin::echo();
    let balancer = before(&[&origin], &[]);
    for (what, body) in NO_CHUNKS {
        let mut client = Wire::to(&balancer);
        client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.say("3\r\nabc\r\n");
        let connections = origin.backend.accepted();
        until("the backend has its head", || origin.backend.accepted() >= connections.max(1));
        client.say(body);
        assert_eq!(client.answer().status(), 400, "{what}");
        assert!(client.ends(), "{what}");
    }
    assert_eq!(origin.count(), 0);
    balancer.stop();
}

/// RFC 9110 and 9112 allow it, nginx and HAProxy take it, and there is one way to read it.
#[test]
fn what_is_odd_and_not_ambiguous_is_served() {
    let origin = Origin::start(|request, wire| {
        wire.try_say(format!(
            "HTTP/1.3 200 OK\r\nContent-Length: {0} \r\nContent-Length: {0}\r\n\r\n{1}",
            request.body.len(),
            request.text()
        ))
    });
    let balancer = before(&[&origin], &["--keep-alive", "1s", "--header-timeout", "20s"]);
    let mut client = Wire::to(&balancer);
    let chunks = "Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0 \r\n\r\n";
    for (what, request, body) in [
        ("an empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), ""),
        ("some", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), ""),
        (
            "a blank behind a length",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3 \r\n\r\nabc".to_owned(),
            "abc",
        ),
        (
            "an empty line behind a body",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t3\t\r\n\r\nabc\r\n".to_owned(),
            "abc",
        ),
        ("a blank behind a size", format!("POST / HTTP/1.1\r\nHost: a\r\n{chunks}"), "abc"),
        (
            "an expectation that nobody knows",
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n".to_owned(),
            "",
        ),
        (
            "an option that is none",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n".to_owned(),
            "",
        ),
        ("a later version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n".to_owned(), ""),
        ("a usual port", "GET http://h:80/ HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), ""),
    ] {
        let answer = client.ask(request);
        assert_eq!((answer.status(), &*answer.text()), (200, body), "{what}");
        assert!(answer.keeps_alive(), "{what}");
    }
    // An empty line alone is not the beginning of a request that then takes too long.
    client.say("\r\n");
    assert!(client.ends());
    balancer.stop();
}

/// What CGI, FastCGI, WSGI and PHP make of a name: whatever is no letter and no digit is `_`.
fn folded(name: &str) -> String {
    let fold = |byte: char| if byte.is_ascii_alphanumeric() { byte } else { '_' };
    name.chars().map(|byte| fold(byte).to_ascii_uppercase()).collect()
}

#[test]
fn what_could_mislead_a_backend_is_dropped() {
    let origin = Origin::named("hello");
    let fields = "X_Forwarded_For: 1.2.3.4\r\nConnection: Upgrade, HTTP2-Settings, Host, X-Hop\r\n\
                  Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
                  Proxy-Connection: close\r\nTE: gzip\r\nX-Stays: yes\r\n\
                  X.SSL.Client.S.DN: CN=admin\r\nX_SSL-Client-S_DN: CN=admin\r\n\
                  X-SSL-Client-S-DN: CN=admin\r\nX~Forwarded~Proto: https\r\n\
                  X-Forwarded-Host!: evil\r\nProxy: http://evil/\r\nx^forwarded-port: 1\r\n";
    let ours = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"];
    for more in [&[][..], &["--trusted-proxies", "127.0.0.1"]] {
        let balancer = before(&[&origin], &[&["--stats-path", "/stats"], more].concat());
        let mut client = Wire::to(&balancer);
        client.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let request = origin.last();
        let names: Vec<&str> = request
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|it| it.0)
            .collect();
        assert_eq!(names, [&["Host", "X-Stays"][..], &ours].concat(), "{}", request.head);
        let seen: std::collections::BTreeSet<String> =
            names.iter().map(|it| folded(it)).collect();
        assert_eq!(seen.len(), names.len(), "each variable has one field");
        for never in ["X_SSL_CLIENT_S_DN", "PROXY"] {
            assert!(!seen.contains(never), "{}", request.head);
        }
        // Trailers of requests do not pass at all.
        let chunks = "1\r\na\r\n0\r\nX.SSL.Client.S.DN: CN=admin\r\nProxy: x\r\n\r\n";
        client.ask(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ));
        assert_eq!(origin.last().trailers, "");
        let stats = client.ask(get("/stats")).text();
        assert!(stats.contains("\"request_fields_dropped\":7,"), "{stats}");
        balancer.stop_after(client);
    }
}

const BAD_ANSWERS: &[(&str, &str)] = &[
    ("garbage", "garbage\r\n\r\n"),
    ("another protocol", "220 mail.example.org ESMTP\r\n"),
    ("another version", "HTTP/2.0 200 OK\r\n\r\n"),
    ("a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"),
    (
        "both lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    ("an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
    (
        "a switch nobody asked for",
        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ),
    ("a space before the colon", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n"),
    ("a folded line", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n"),
    ("LF in the fields", "HTTP/1.1 200 OK\r\nX: y\n\r\n"),
    ("NUL", "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n"),
    ("a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ("half a head", "HTTP/1.1 200 OK\r\nX: HANG UP"),
];

#[test]
fn garbage_from_a_backend_is_502_and_harms_nobody_else() {
    let origin = Origin::start(|request, wire| {
        let Ok(index) = request.target()[1..].parse::<usize>() else {
            return wire.try_say(ok("good"));
        };
        let answer = BAD_ANSWERS[index].1;
        wire.try_say(answer) && !answer.contains("HANG UP")
    });
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    let mut other = Wire::to(&balancer);
    for (index, (what, _)) in BAD_ANSWERS.iter().enumerate() {
        let answer = client.ask(post(&format!("/{index}"), "x"));
        assert_eq!((answer.status(), answer.keeps_alive()), (502, true), "{what}");
        for _ in 0..2 {
            assert_eq!(other.ask(get("/good")).text(), "good", "{what}");
            assert_eq!(client.ask(get("/good")).text(), "good", "{what}");
        }
        assert_eq!(origin.backend.accepted(), index + 2, "{what}: that one alone is dropped");
    }
    let long = Origin::saying(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(40_000)));
    let balancer = before(&[&long], &[]);
    assert_eq!(Wire::to(&balancer).ask(post("/", "x")).status(), 502);
    balancer.stop();
}

#[test]
fn a_body_that_goes_bad_later_is_torn() {
    let origin = Origin::start(|_, wire| {
        wire.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        let _ = wire.stream.set_read_timeout(Some(std::time::Duration::from_millis(20)));
        let _ = wire.stream.read(&mut [0]);
        wire.say("zz\r\nabc\r\n0\r\n\r\n");
        let _ = wire.stream.read(&mut [0]);
        false
    });
    let balancer = before(&[&origin], &[]);
    let client = Wire::to(&balancer);
    client.say(get("/"));
    assert!(read_to_end(&client.stream).is_reset());
    balancer.stop();
}

#[test]
fn bytes_after_an_answer_never_reach_the_next_request() {
    const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let (written, seen) = std::sync::mpsc::channel();
    let origin = Origin::start(move |request, wire| {
        let answer = match request.target() {
            "/empty" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/chunks" => {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
            }
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        };
        let body = if request.target() == "/ok" { "ok" } else { "" };
        let whole = format!("{answer}{body}");
        let later = request.field("x-later") == "yes";
        let said = if later {
            wire.try_say(whole) && {
                // Until the client has the answer, and asks for this.
                std::thread::sleep(std::time::Duration::from_millis(30));
                wire.try_say(EVIL)
            }
        } else {
            wire.try_say(whole + EVIL)
        };
        written.send(()).unwrap();
        said
    });
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    for round in 0..24 {
        let (method, target, text) = [
            ("GET", "/ok", "ok"),
            ("HEAD", "/head", ""),
            ("GET", "/empty", ""),
            ("GET", "/chunks", "ok"),
        ][round % 4];
        let later = if round % 8 < 4 { "no" } else { "yes" };
        let answer = client
            .ask(format!("{method} {target} HTTP/1.1\r\nHost: a\r\nX-Later: {later}\r\n\r\n"));
        assert_eq!(answer.text(), text, "{method} {target}, later: {later}");
        seen.recv_timeout(crate::common::DEADLINE).unwrap();
    }
    assert_eq!(origin.backend.accepted(), 24, "none is used again");
    balancer.stop_after(client);
}

#[test]
fn options_with_no_hop_left_are_answered_here() {
    let origin = Origin::named("a");
    let balancer = before_backends(&[&origin.backend], &[]);
    let mut client = Wire::to(&balancer);
    let ask =
        |left: u32| format!("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: {left}\r\n\r\n");
    let answer = client.ask(ask(0));
    assert_eq!((answer.status(), &*answer.text()), (204, ""));
    assert_eq!(client.ask(ask(1)).status(), 200, "the connection is as good as before");
    let seen = origin.seen();
    let left: Vec<&str> = seen.iter().map(|it| it.field("max-forwards")).collect();
    assert_eq!(left, ["0"], "what was 1, and nothing else");
}
