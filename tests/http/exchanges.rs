//! HTTP through the real binary: whose connections live on, what the bodies come to, and what the
//! backend is told.

use std::io::Read;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pointsman::limits::HTTP_ANSWER_READ_BYTES;

use crate::common::http::{Message, Origin, Wire, before, before_backends, get, ok, post};
use crate::common::trace::while_stopped;
use crate::common::{Backend, DEADLINE, noise, until, write_on_thread};

const LARGE: usize = 20_000_000;
/// More than the kernel's buffers take on the way.
const SLOW: usize = 16_000_000;

const CHUNKED_ABC: &str = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

#[test]
fn both_connections_live_on() {
    let origin = Origin::echo();
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    for round in 0..50 {
        let body = format!("round {round}");
        let answer = client.ask(post("/", &body));
        assert_eq!((answer.status(), answer.text()), (200, body));
    }
    assert_eq!((origin.count(), origin.backend.accepted()), (50, 1));
    assert_eq!(balancer.count("accepted:"), 1);
    // Another client gets the connection that this one has no use for now.
    assert_eq!(Wire::to(&balancer).ask(get("/")).status(), 200);
    assert_eq!(origin.backend.accepted(), 1);
    balancer.stop_after(client);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(|request, wire| wire.try_say(ok(request.target())));
    let balancer = before(&[&origin], &[]);
    let framings = ["\r\n", "Content-Length: 5\r\n\r\nhello", CHUNKED_ABC];
    let bodies = ["", "hello", "abc"];
    let request = |number: usize| {
        let framing = framings[number % 3];
        format!("PUT /{number} HTTP/1.1\r\nHost: a\r\n{framing}")
    };
    let all: String = (0..10).map(request).collect();
    for piece in [all.len(), 1, 7] {
        let mut client = Wire::to(&balancer);
        client.stream.set_nodelay(true).unwrap();
        let before = origin.count();
        all.as_bytes().chunks(piece).for_each(|piece| client.say(piece));
        for number in 0..10 {
            assert_eq!(client.answer().text(), format!("/{number}"), "in pieces of {piece}");
        }
        for (number, request) in origin.seen()[before..].iter().enumerate() {
            assert_eq!(request.text(), bodies[number % 3], "in pieces of {piece}");
        }
    }
    balancer.stop();
}

#[test]
fn requests_are_balanced_not_connections() {
    let origins = ["a", "b", "c"].map(Origin::named);
    let [a, b, c] = &origins;
    let balancer = before(&[a, b, c], &["--balance", "round-robin"]);
    let mut client = Wire::to(&balancer);
    let said: String = (0..9).map(|_| client.ask(get("/")).text()).collect();
    assert_eq!(said, "abcabcabc");
    assert_eq!(origins.each_ref().map(|origin| origin.backend.accepted()), [1, 1, 1]);
    balancer.stop_after(client);
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    let origin = Origin::start(|request, wire| {
        wire.try_say(match request.target() {
            "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
            "/chunked" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
            _ => "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n",
        })
    });
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    for _ in 0..3 {
        let head = client.ask(get("/head").replace("GET", "HEAD"));
        assert_eq!((head.status(), head.field("content-length")), (200, "1000"));
        let chunked = client.ask(get("/chunked").replace("GET", "HEAD"));
        assert_eq!(chunked.status(), 200);
        let empty = client.ask(get("/204"));
        assert_eq!((empty.status(), empty.all("content-length")), (204, vec![]));
        let same = client.ask(get("/304"));
        assert_eq!((same.status(), same.field("content-length")), (304, "77"));
        assert_eq!(same.field("etag"), "\"x\"");
    }
    assert_eq!(origin.backend.accepted(), 1);
    balancer.stop_after(client);
}

#[test]
fn chunks_of_a_request_are_framed_afresh() {
    let origin = Origin::echo();
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    let head =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n";
    let tail = "0;last\r\nX-Sum: 7\r\nContent-Length: 1\r\nHost: b\r\n\r\n";
    let answer = client.ask(format!("{head}5;a=\"b;c\"\r\nhello\r\n00006\r\n world\r\n{tail}"));
    assert_eq!(answer.text(), "hello world");
    let request = origin.last();
    assert_eq!(request.field("transfer-encoding"), "chunked");
    // What comes after the body means nothing to anybody any more.
    assert_eq!((request.field("trailer"), &*request.trailers), ("", ""));
    assert_eq!(request.chunks, [11]);
    // Many of one read leave as one.
    let tiny = "1\r\nx\r\n".repeat(1000);
    let answer = client.ask(format!("{head}{tiny}0\r\n\r\n"));
    assert_eq!(answer.body, vec![b'x'; 1000]);
    assert!(origin.last().chunks.len() <= 2, "{:?}", origin.last().chunks);
    assert_eq!(origin.backend.accepted(), 1);
    balancer.stop_after(client);
}

#[test]
fn chunks_of_an_answer_are_framed_afresh() {
    let tiny = "1;x=y\r\nx\r\n".repeat(1000);
    let origin = Origin::saying(format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         {tiny}0\r\nX-Sum: 7\r\nContent-Length: 3\r\n\r\n"
    ));
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    for te in ["", "Connection: TE\r\nTE: trailers\r\n"] {
        let answer = client.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{te}\r\n"));
        assert_eq!(answer.body, vec![b'x'; 1000]);
        assert!(answer.chunks.len() <= 2, "{:?}", answer.chunks);
        // Who does not understand trailers gets none.
        let wanted = if te.is_empty() { ("", "") } else { ("X-Sum", "X-Sum: 7\n") };
        assert_eq!((answer.field("trailer"), &*answer.trailers), wanted);
        assert_eq!(origin.last().field("te"), if te.is_empty() { "" } else { "trailers" });
    }
    let http10 = Wire::to(&balancer).ask("GET / HTTP/1.0\r\nTE: trailers\r\n\r\n");
    assert_eq!((http10.body.len(), http10.chunks.len()), (1000, 0));
    assert_eq!(http10.field("transfer-encoding"), "");
    assert_eq!(origin.backend.accepted(), 1);
    balancer.stop_after(client);
}

#[test]
fn trailers_that_drip_are_whole() {
    let origin = Origin::start(|_, wire| {
        wire.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let rest = b"3\r\nabc\r\n0\r\nX-Secret-Host: 7\r\nX-Sum: a b\r\n\r\n";
        rest.chunks(1).all(|byte| {
            thread::sleep(Duration::from_micros(500));
            wire.try_say(byte)
        })
    });
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    let answer =
        client.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n\r\n");
    assert_eq!(answer.text(), "abc");
    assert_eq!(answer.trailers, "X-Secret-Host: 7\nX-Sum: a b\n");
    balancer.stop_after(client);
}

#[test]
fn an_answer_until_close_becomes_chunks() {
    let origin = Origin::start(|_, wire| {
        wire.say("HTTP/1.1 200 OK\r\n\r\nfirst,");
        wire.say(noise(5, 300_000));
        false
    });
    let balancer = before(&[&origin], &[]);
    let body = [&b"first,"[..], &noise(5, 300_000)].concat();
    let mut client = Wire::to(&balancer);
    for round in 1..4 {
        let answer = client.ask(get("/"));
        assert_eq!(answer.field("transfer-encoding"), "chunked");
        assert!(answer.body == body && answer.keeps_alive(), "{}", answer.head);
        assert_eq!(origin.backend.accepted(), round);
    }
    let mut old = Wire::to(&balancer);
    let answer = old.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!((answer.field("transfer-encoding"), answer.keeps_alive()), ("", false));
    assert!(answer.body == body && old.ends());
    balancer.stop_after((client, old));
}

#[test]
fn the_backend_is_told_of_the_client() {
    let origin = Origin::named("hello");
    let told = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n\
                X-Forwarded-Proto: https\r\nX-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n\
                X-Forwarded-Port: 443\r\nVia: 1.1 other\r\n";
    let trusting = ["--trusted-proxies", "127.0.0.0/8"];
    let doubting = ["--trusted-proxies", "10.0.0.0/8,::1"];
    for (flags, chain, proto, rest) in [
        (&[][..], "127.0.0.1", "http", ["", "", "ours"]),
        (&doubting, "127.0.0.1", "http", ["", "", "ours"]),
        (&trusting, "1.1.1.1, 2.2.2.2, 127.0.0.1", "https", ["1.1.1.1", "for=1.1.1.1", "443"]),
    ] {
        let via = ["--via", "on"];
        let balancer = before(&[&origin], &[flags, &via].concat());
        let own_port = balancer.address().port().to_string();
        let rest = rest.map(|it| if it == "ours" { &*own_port } else { it });
        let mut client = Wire::to(&balancer);
        client.ask(format!("GET /a?b=c HTTP/1.1\r\nHost: Example.org:8080\r\n{told}\r\n"));
        let request = origin.last();
        assert_eq!(request.start(), "GET /a?b=c HTTP/1.1");
        assert_eq!(request.field("host"), "Example.org:8080");
        assert_eq!(request.field("x-forwarded-host"), "Example.org:8080");
        assert_eq!(request.field("x-forwarded-for"), chain);
        assert_eq!(request.field("x-forwarded-proto"), proto);
        let names = ["x-real-ip", "forwarded", "x-forwarded-port"];
        assert_eq!(names.map(|name| request.field(name)), rest);
        assert_eq!(request.all("via"), ["1.1 other", "1.1 pointsman"]);
        // Who asks with a URL means its host, and the backend is asked with a path.
        client.ask("GET http://b:81?q HTTP/1.1\r\nHost: b:81\r\n\r\n");
        let request = origin.last();
        assert_eq!((request.start(), request.field("host")), ("GET /?q HTTP/1.1", "b:81"));
        balancer.stop_after(client);
    }
}

#[test]
fn what_is_between_two_hops_stays_there() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nConnection: X-Hop, Set-Cookie\r\nX-Hop: 1\r\nKeep-Alive: a=5\r\n\
         Proxy-Connection: a\r\nUpgrade: h2c\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok",
    );
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    let answer = client.ask(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop, Cookie\r\nX-Hop: 1\r\n\
         Cookie: c=d\r\nX-Stays: yes\r\n\r\n",
    );
    let lines: Vec<&str> = answer.head.lines().skip(1).collect();
    assert_eq!(lines, ["Set-Cookie: a=b", "Content-Length: 2"]);
    let request = origin.last();
    assert_eq!((request.field("x-hop"), request.field("connection")), ("", ""));
    assert_eq!(request.field("x-stays"), "yes");
    balancer.stop_after(client);
}

#[test]
fn clients_of_http_1_0() {
    let origin = Origin::named("hello");
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    for _ in 0..3 {
        let answer = client.ask("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        assert_eq!((answer.text(), answer.field("connection")), ("hello".into(), "keep-alive"));
    }
    let last = client.ask("GET /last HTTP/1.0\r\n\r\n");
    assert_eq!((last.text(), last.keeps_alive()), ("hello".into(), false));
    assert!(client.ends());
    let request = origin.last();
    assert_eq!(request.start(), "GET /last HTTP/1.1");
    assert_eq!((request.field("host"), request.field("via")), (&*origin.backend.flag(), ""));
    assert_eq!(origin.backend.accepted(), 1);
    balancer.stop_after(client);
}

#[test]
fn backends_of_http_1_0() {
    let closing = Origin::start(|_, wire| wire.part("HTTP/1.0 200 OK\r\n\r\nold"));
    let lasting = Origin::saying(
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold",
    );
    let forgetful = Origin::saying("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold");
    for (origin, connections) in [(&closing, 3), (&lasting, 1), (&forgetful, 3)] {
        let balancer = before(&[origin], &[]);
        let mut client = Wire::to(&balancer);
        for _ in 0..3 {
            let answer = client.ask(get("/"));
            assert_eq!((answer.start(), answer.text()), ("HTTP/1.1 200 OK", "old".into()));
        }
        assert_eq!(origin.backend.accepted(), connections);
        balancer.stop_after(client);
    }
}

const EXPECTING: &str =
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n";

#[test]
fn a_client_waits_for_100_continue() {
    let origin = Origin::start(|request, wire| wire.try_say(ok(&request.body)));
    // A backend that wants the body: its reader says so before it reads on.
    let eager = crate::common::Backend::start(move |stream| {
        let mut wire = Wire::new(crate::common::with_deadline(stream));
        while let Some(mut request) = wire.head() {
            assert_eq!(request.field("expect"), "100-continue");
            wire.say("HTTP/1.1 100 Continue\r\n\r\n");
            wire.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: close\r\n\r\n");
            if !wire.body(&mut request, false) {
                return;
            }
            wire.say(ok(&request.body));
        }
    });
    let balancer = crate::common::http::before_backends(&[&eager], &[]);
    let mut client = Wire::to(&balancer);
    for _ in 0..3 {
        assert_eq!(client.ask(EXPECTING).status(), 100);
        let hints = client.answer();
        assert_eq!((hints.status(), hints.field("link")), (103, "</a.css>"));
        assert_eq!(hints.field("connection"), "");
        client.say("hello");
        assert_eq!(client.answer().text(), "hello");
    }
    assert_eq!(eager.accepted(), 1);
    drop(client);
    // HTTP/1.0 knows of none of that, and expects nothing.
    let balancer = before(&[&origin], &[]);
    let mut old = Wire::to(&balancer);
    let request = EXPECTING.replace("1.1", "1.0");
    assert_eq!(old.ask(format!("{request}hello")).text(), "hello");
    assert_eq!(origin.last().all("expect"), [""; 0]);
    balancer.stop_after(old);
}

#[test]
fn a_refusal_instead_of_100_continue_ends_the_connection() {
    let strict = crate::common::Backend::start(move |stream| {
        let mut wire = Wire::new(crate::common::with_deadline(stream));
        wire.head();
        wire.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        let _ = wire.stream.read(&mut [0]);
    });
    let balancer = crate::common::http::before_backends(&[&strict], &[]);
    let mut client = Wire::to(&balancer);
    let answer = client.ask(EXPECTING);
    // The body is still owed, and whether it comes nobody knows: no other request can follow.
    assert_eq!(
        (answer.status(), answer.text(), answer.keeps_alive()),
        (403, "no".into(), false)
    );
    assert!(client.ends());
    balancer.stop_after(client);
}

#[test]
fn an_early_answer_is_heard_while_the_body_still_comes() {
    // No more than the first window takes: a reset drops what the sender has not sent.
    let body = noise(7, 40_000);
    let answer =
        [&b"HTTP/1.1 413 Too Much\r\nContent-Length: 40000\r\n\r\n"[..], &body].concat();
    let early = crate::common::Backend::start(move |stream| {
        let mut wire = Wire::new(crate::common::with_deadline(stream));
        wire.head();
        wire.say(&answer);
        // What is still to come is not read, so that closing resets.
    });
    let balancer = crate::common::http::before_backends(&[&early], &[]);
    for _ in 0..5 {
        let mut client = Wire::to(&balancer);
        client.say(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"));
        let writing = write_on_thread(&client.stream, noise(8, 2_000_000), false);
        let answer = client.answer();
        assert_eq!((answer.status(), answer.keeps_alive()), (413, false));
        assert!(answer.body == body);
        let _ = writing.join().unwrap();
    }
    balancer.stop();
}

#[test]
fn large_bodies_pass_both_ways() {
    let origin = Origin::echo();
    let balancer = before(&[&origin], &["--log-level", "info"]);
    let body = noise(9, LARGE);
    let mut client = Wire::to(&balancer);
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut request = chunked.as_bytes().to_vec();
    for chunk in body.chunks(77_777) {
        request.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    for request in [post("/", &body), request] {
        let writing = write_on_thread(&client.stream, request, false);
        let answer = client.answer();
        writing.join().unwrap().unwrap();
        assert!(answer.status() == 200 && answer.body == body);
    }
    assert_eq!(origin.backend.accepted(), 1);
    balancer.stop_after(client);
}

#[test]
fn a_slow_reader_holds_back_the_backend() {
    let origin = Origin::start(|request, wire| match request.target() {
        "/length" => wire.try_say(ok(vec![b'x'; SLOW])),
        "/close" => wire.part([b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; SLOW][..]].concat()),
        _ => {
            wire.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = [&b"1000\r\n"[..], &[b'x'; 0x1000], b"\r\n"].concat();
            (0..SLOW / 0x1000).all(|_| wire.try_say(&chunk)) && wire.try_say("0\r\n\r\n")
        }
    });
    let balancer = before(&[&origin], &["--log-level", "info"]);
    let before = balancer.memory();
    for target in ["/length", "/close", "/chunked"] {
        let mut clients: Vec<Wire> = (0..2).map(|_| Wire::to(&balancer)).collect();
        clients.iter().for_each(|client| client.say(get(target)));
        let mut heads: Vec<Message> = clients.iter_mut().map(|it| it.head().unwrap()).collect();
        // They have begun, and nobody reads on: until the backends, too, have to wait.
        let mut cpu = balancer.cpu_ticks();
        until("nothing moves any more", || {
            thread::sleep(Duration::from_millis(50));
            std::mem::replace(&mut cpu, balancer.cpu_ticks()) == balancer.cpu_ticks()
        });
        let grown = balancer.memory().saturating_sub(before);
        assert!(grown < 3_000_000, "{target}: {grown} bytes of memory");
        for (client, head) in clients.iter_mut().zip(&mut heads) {
            assert!(client.body(head, false), "{target}");
            let size = if target == "/chunked" { SLOW / 0x1000 * 0x1000 } else { SLOW };
            assert!(head.body.len() == size && head.body.iter().all(|&byte| byte == b'x'));
        }
    }
    balancer.stop();
}

/// What comes with a head may wait for the rest in our socket, but not for a rest that stalls: the
/// kernel would let it go after 0.2 s, and these are too many for that.
#[test]
fn an_answer_that_stalls_after_a_full_read_is_not_kept_back() {
    const LENGTH: usize = 100_000;
    let (passed, on) = mpsc::channel();
    let on = Mutex::new(on);
    let origin = Origin::start(move |_, wire| {
        let mut answer = ok(vec![b'x'; LENGTH]);
        let rest = answer.split_off(HTTP_ANSWER_READ_BYTES);
        wire.say(answer);
        let waited = on.lock().expect("no panic before").recv_timeout(DEADLINE);
        waited.expect("the client has it");
        wire.try_say(rest)
    });
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    let begun = Instant::now();
    for _ in 0..10 * DEADLINE.as_secs() {
        client.say(get("/"));
        let head = client.head().expect("an answer").head;
        let first = HTTP_ANSWER_READ_BYTES - (ok(vec![b'x'; LENGTH]).len() - LENGTH);
        client.exactly(first).expect("what came with the head");
        passed.send(()).expect("the backend waits");
        client.exactly(LENGTH - first).expect("the rest");
        assert!(begun.elapsed() < DEADLINE, "it waits for what stalls: {head}");
    }
}

/// An answer that is whole is followed by nothing, however full the read was that brought it, and
/// whether or not its backend's end came along.
#[test]
fn an_answer_that_a_read_brings_whole_is_not_kept_back() {
    let framing = ok(vec![b'x'; HTTP_ANSWER_READ_BYTES]).len() - HTTP_ANSWER_READ_BYTES;
    let full = ok(vec![b'x'; HTTP_ANSWER_READ_BYTES - framing]);
    assert_eq!(full.len(), HTTP_ANSWER_READ_BYTES);
    let last = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    for origin in [Origin::saying(full), Origin::saying_last(last)] {
        let balancer = before(&[&origin], &[]);
        let mut client = Wire::to(&balancer);
        let begun = Instant::now();
        for _ in 0..10 * DEADLINE.as_secs() {
            let head = client.ask(get("/")).head;
            assert!(begun.elapsed() < DEADLINE, "it waits for more that never comes: {head}");
        }
    }
}

/// What came of an answer is its client's, even if in the same moment it is known that no more
/// comes.
#[test]
fn the_beginning_of_an_answer_that_breaks_off_is_not_kept_back() {
    let (backend, streams) = Backend::manual();
    let balancer = before_backends(&[&backend], &[]);
    let mut client = Wire::to(&balancer);
    client.say(get("/"));
    let mut server = Wire::new(streams.recv_timeout(DEADLINE).expect("connected"));
    server.request().expect("it is asked");
    while_stopped(&balancer, || {
        server.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
        drop(server);
    });
    assert_eq!(client.head().expect("an answer").status(), 200);
    assert_eq!(client.exactly(4).expect("what came of it"), b"half");
    assert!(client.exactly(1).is_none(), "there is no more");
}
