//! Backends that bind a login to its connection, as NTLM and Negotiate do: what one client logged
//! in on serves that client alone, whoever else asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::http::{Message, Origin, Wire, before, get, ok};
use crate::common::{Backend, Balancer, until, with_deadline};

/// The challenges of an answer that asks for a login.
type Challenge = &'static str;

/// Answers with who is logged in on the connection, and asks for a login if nobody is:
/// `Authorization: NTLM ask-NAME` is challenged once more, `NTLM is-NAME` logs NAME in.
struct Domain {
    backend: Backend,
    /// Connections to it.
    open: Arc<AtomicUsize>,
}

impl Domain {
    fn start(challenge: Challenge) -> Domain {
        let open = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&open);
        let backend = Backend::start(move |stream| {
            counter.fetch_add(1, Ordering::SeqCst);
            serve(challenge, &mut Wire::new(with_deadline(stream)));
            counter.fetch_sub(1, Ordering::SeqCst);
        });
        Domain { backend, open }
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

fn serve(challenge: Challenge, wire: &mut Wire) {
    let mut user: Option<String> = None;
    while let Some(request) = wire.request() {
        if let Some(name) = said(&request).and_then(|word| word.strip_prefix("is-")) {
            user = Some(name.to_owned());
        }
        let length = "Content-Length: 6";
        let taken = match &user {
            Some(user) => wire.try_say(ok(user)),
            None => wire.try_say(format!("HTTP/1.1 {challenge}\r\n{length}\r\n\r\nnobody")),
        };
        if !taken || request.target() == "/last" {
            return;
        }
    }
}

/// The second word of what the client says of itself.
fn said(request: &Message) -> Option<&str> {
    let field = ["authorization", "proxy-authorization"].map(|name| request.field(name));
    field.iter().find_map(|value| value.split_once(' ')).map(|(_, word)| word)
}

const NTLM: Challenge = "401 Unauthorized\r\nWWW-Authenticate: NTLM";

fn with(field: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: test\r\n{field}\r\n\r\n")
}

/// The three steps of a login.
fn log_in(client: &mut Wire, name: &str) {
    let field = |step: &str| with(&format!("Authorization: NTLM {step}-{name}"));
    assert_eq!(client.ask(get("/")).text(), "nobody");
    assert_eq!(client.ask(field("ask")).text(), "nobody");
    assert_eq!(client.ask(field("is")).text(), name);
}

fn before_one(backend: &Backend, options: &str) -> Balancer {
    let flag = format!("{}{options}", backend.flag());
    Balancer::start(&["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "none"])
}

#[test]
fn a_login_serves_nobody_but_who_made_it() {
    const CHALLENGES: &[Challenge] = &[
        NTLM,
        "401 Unauthorized\r\nwww-authenticate: ntlm",
        "401 Unauthorized\r\nWWW-Authenticate: Negotiate, Basic realm=\"x\"",
        "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a, b\" ,  NEGOTIATE",
        "401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nWWW-Authenticate: NTLM",
        "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\", qop=\"auth\",NTLM abc=",
        "407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate",
        "200 OK\r\nWWW-Authenticate: Negotiate",
    ];
    for challenge in CHALLENGES {
        let domain = Domain::start(challenge);
        let balancer = before_one(&domain.backend, "");
        let [mut alice, mut bob] = [(); 2].map(|()| Wire::to(&balancer));
        log_in(&mut alice, "alice");
        assert_eq!(bob.ask(get("/")).text(), "nobody", "{challenge}");
        log_in(&mut bob, "bob");
        for _ in 0..3 {
            assert_eq!(alice.ask(get("/")).text(), "alice", "{challenge}");
            assert_eq!(bob.ask(get("/")).text(), "bob", "{challenge}");
        }
        assert_eq!(domain.backend.accepted(), 2, "{challenge}: one connection a client");
        balancer.stop_after([alice, bob]);
    }
}

/// A client that was told its last word will ask for nothing on the connection that is its own.
#[test]
fn a_login_ends_with_the_last_word_to_its_client() {
    let domain = Domain::start(NTLM);
    let balancer = before_one(&domain.backend, "");
    let mut alice = Wire::to(&balancer);
    log_in(&mut alice, "alice");
    alice.say("BAD\r\n\r\n");
    assert_eq!(alice.answer().status(), 400);
    until("her connection is closed", || domain.open() == 0);
    assert_eq!(balancer.count("open of"), 1, "while she is given time to read");
    balancer.stop_after(alice);
}

#[test]
fn a_login_without_a_challenge_is_its_clients_own_too() {
    for name in
        ["Authorization: NTLM", "authorization: negotiate", "Proxy-Authorization: Negotiate"]
    {
        let domain = Domain::start("401 Unauthorized\r\nWWW-Authenticate: Basic realm=x");
        let balancer = before_one(&domain.backend, "");
        let mut first = Wire::to(&balancer);
        // The connection was anybody's before.
        assert_eq!(first.ask(get("/")).text(), "nobody");
        let mut alice = Wire::to(&balancer);
        assert_eq!(alice.ask(with(&format!("{name} is-alice"))).text(), "alice", "{name}");
        assert_eq!(domain.backend.accepted(), 1);
        assert_eq!(first.ask(get("/")).text(), "nobody", "{name}");
        assert_eq!(alice.ask(get("/")).text(), "alice", "{name}");
        balancer.stop_after([first, alice]);
    }
}

#[test]
fn logins_that_are_said_anew_each_time_share_connections() {
    let origin = Origin::start(|request, wire| {
        let basic = "WWW-Authenticate: Basic realm=\"this is no NTLM\"";
        match request.all("authorization").is_empty() {
            true => wire.try_say(format!(
                "HTTP/1.1 401 Unauthorized\r\n{basic}\r\nContent-Length: 0\r\n\r\n"
            )),
            false => wire.try_say(ok("in")),
        }
    });
    let balancer = before(&[&origin], &[]);
    let [mut one, mut two] = [(); 2].map(|()| Wire::to(&balancer));
    for client in [&mut one, &mut two] {
        assert_eq!(client.ask(with("Authorization: Basic YTpi")).text(), "in");
        assert_eq!(client.ask(with("Authorization: Bearer Negotiate")).text(), "in");
    }
    assert_eq!(origin.backend.accepted(), 1);
    balancer.stop_after([one, two]);
}

#[test]
fn the_connection_ends_with_its_client() {
    let domain = Domain::start(NTLM);
    let balancer = before_one(&domain.backend, "");
    let mut alice = Wire::to(&balancer);
    log_in(&mut alice, "alice");
    assert_eq!(domain.open(), 1);
    drop(alice);
    until("its connection is closed", || domain.open() == 0);
    let mut alice = Wire::to(&balancer);
    log_in(&mut alice, "alice");
    let last = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    assert_eq!(alice.ask(last).text(), "alice");
    until("its connection is closed", || domain.open() == 0);
    balancer.stop();
}

#[test]
fn where_the_connection_died_the_login_begins_anew() {
    let domain = Domain::start(NTLM);
    let balancer = before_one(&domain.backend, "");
    let mut alice = Wire::to(&balancer);
    log_in(&mut alice, "alice");
    assert_eq!(alice.ask(get("/last")).text(), "alice");
    until("the backend closed it", || domain.open() == 0);
    assert_eq!(alice.ask(get("/")).text(), "nobody");
    log_in(&mut alice, "alice");
    assert_eq!(alice.ask(get("/")).text(), "alice");
    assert_eq!(domain.backend.accepted(), 2);
    balancer.stop_after(alice);
}

/// The second step of a login means something on its connection alone: on another one the backend
/// would say that the password is wrong.
#[test]
fn half_a_login_is_not_sent_to_another_connection() {
    let origin = Origin::start(|request, wire| match said(request) {
        Some("is-alice") => false,
        _ => wire.try_say(format!("HTTP/1.1 {NTLM} challenge\r\nContent-Length: 0\r\n\r\n")),
    });
    let balancer = before(&[&origin], &["--retries", "3"]);
    let mut alice = Wire::to(&balancer);
    assert_eq!(alice.ask(with("Authorization: NTLM ask-alice")).status(), 401);
    let answer = alice.ask(with("Authorization: NTLM is-alice"));
    assert_eq!((answer.status(), answer.keeps_alive()), (502, false), "{}", answer.text());
    let sent = origin.seen().iter().filter(|it| said(it) == Some("is-alice")).count();
    assert_eq!(sent, 1);
    balancer.stop_after(alice);
}

#[test]
fn such_connections_count_for_as_long_as_they_live() {
    let domain = Domain::start(NTLM);
    let balancer = before_one(&domain.backend, ",max-connections=1");
    let [mut alice, mut bob] = [(); 2].map(|()| Wire::to(&balancer));
    log_in(&mut alice, "alice");
    assert_eq!(bob.ask(get("/")).status(), 503);
    assert_eq!(alice.ask(get("/")).text(), "alice");
    let row = balancer.row(&domain.backend.name());
    assert_eq!((row.active, row.total), (1, 4), "connections now, requests ever");
    drop(alice);
    until("there is room", || bob.ask(get("/")).text() == "nobody");
    balancer.stop_after(bob);
}

#[test]
fn a_backend_that_falls_loses_them_where_that_is_asked_for() {
    let domain = Domain::start(NTLM);
    let flag = domain.backend.flag();
    let args = ["-l", "http://127.0.0.1:0", "-b", &flag, "--check", "tcp", "--fall", "1"];
    let quick = ["--on-down", "close", "--check-interval", "20ms"];
    let balancer = Balancer::start(&[&args[..], &quick].concat());
    let mut alice = Wire::to(&balancer);
    log_in(&mut alice, "alice");
    let Domain { backend, open } = domain;
    drop(backend);
    until("its connection is closed", || open.load(Ordering::SeqCst) == 0);
    assert_eq!(alice.ask(get("/")).status(), 503);
    balancer.stop_after(alice);
}
