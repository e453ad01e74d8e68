//! Changes of the desired state while clients are served.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::*;
use crate::config::{
    AccessLogPlace, Action, BackendSpec, Condition, Listen, ListenerSettings, ListenerSpec,
    Match, OnListenerRemoved, OnRemoved, PoolSettings, PoolSpec, RedirectTo, Respond,
    RouteName, Rule, ServiceSettings, ServiceSpec,
};
use crate::control::Receipt;

/// Answers each line with its name, for as long as the process lives.
pub fn real_server(name: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut asked = [0; 512];
                while stream.read(&mut asked).is_ok_and(|count| count > 0) {
                    let length = name.len();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                    let _ = stream.write_all((head + name).as_bytes());
                }
            });
        }
    });
    address.to_string()
}

pub fn pool(name: &str, backends: &[String]) -> PoolSpec {
    let backends =
        backends.iter().map(|text| BackendSpec::parse(text).unwrap().into()).collect();
    let mut settings = PoolSettings::DEFAULT;
    settings.check.kind = crate::config::Check::None;
    PoolSpec { name: name.to_owned(), settings: settings.into(), backends }
}

pub fn service(name: &str, host: &str, pool: Option<&str>) -> ServiceSpec {
    let host = match host {
        "*" => RouteName::Others,
        host => RouteName::Exact(host.to_owned()),
    };
    ServiceSpec {
        name: name.to_owned(),
        listeners: vec!["public".to_owned()],
        matches: vec![Match { host, path: None, conditions: Vec::new() }],
        pool: pool.map(str::to_owned),
        settings: ServiceSettings::DEFAULT,
        ..ServiceSpec::named(name)
    }
}

pub fn state(services: Vec<ServiceSpec>, pools: Vec<PoolSpec>) -> Desired {
    let listener = ListenerSpec {
        name: "public".to_owned(),
        listen: Listen::parse("http://127.0.0.1:0").unwrap(),
        settings: ListenerSettings::DEFAULT,
    };
    Desired { listeners: vec![listener], services, pools, ..Desired::nothing() }
}

pub struct Client {
    stream: TcpStream,
    /// Of the last answer.
    pub head: String,
}

impl Client {
    pub fn new(looping: &EventLoop) -> Client {
        let id = looping.directory.listeners[0];
        let address: SocketAddr = looping.cx.listeners[id].address.socket_address().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        Client { stream, head: String::new() }
    }

    /// Its connection ends, within a deadline.
    pub fn is_closed(&mut self, looping: &mut EventLoop) {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            assert!(Instant::now() < until, "it lives on");
            looping.turn(Some(Duration::from_millis(1))).unwrap();
            match self.stream.read(&mut [0; 1]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
                Ok(_) => panic!("it was sent something"),
            }
        }
    }

    /// The status and the body of the answer to a request for this host.
    pub fn ask(&mut self, looping: &mut EventLoop, host: &str) -> (u16, String) {
        self.say(looping, &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    /// The same of the answer to this request.
    pub fn say(&mut self, looping: &mut EventLoop, request: &str) -> (u16, String) {
        self.send(request);
        self.hear(looping)
    }

    pub fn send(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).unwrap();
    }

    /// The status and the body of the next answer.
    pub fn hear(&mut self, looping: &mut EventLoop) -> (u16, String) {
        let until = Instant::now() + Duration::from_secs(10);
        let mut answer = String::new();
        let mut bytes = vec![0; 65_536];
        loop {
            assert!(Instant::now() < until, "no answer: {answer:?}");
            looping.turn(Some(Duration::from_millis(1))).unwrap();
            if let Ok(count) = self.stream.read(&mut bytes) {
                answer += &String::from_utf8_lossy(&bytes[..count]);
            }
            let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            if length.is_some_and(|length| length.parse() == Ok(body.len())) {
                self.head = format!("{head}\r\n");
                return (head[9..12].parse().unwrap(), body.to_owned());
            }
        }
    }
}

pub fn change(looping: &mut EventLoop, desired: Desired) -> Receipt {
    let prepared = looping.prepare(desired).unwrap();
    let receipt = looping.apply(prepared).unwrap();
    looping.turn(Some(Duration::ZERO)).unwrap();
    receipt
}

#[test]
fn requests_of_one_connection_go_to_the_service_of_their_host() {
    let one = [real_server("one")];
    let two = [real_server("two")];
    let services =
        vec![service("a", "a.test", Some("one")), service("b", "b.test", Some("two"))];
    let mut looping = loop_for(state(services, vec![pool("one", &one), pool("two", &two)]));
    let mut client = Client::new(&looping);
    assert_eq!(client.ask(&mut looping, "a.test"), (200, "one".to_owned()));
    assert_eq!(client.ask(&mut looping, "B.test:80"), (200, "two".to_owned()));
    assert_eq!(client.ask(&mut looping, "c.test").0, 404);
    assert_eq!(client.ask(&mut looping, "a.test"), (200, "one".to_owned()));
    assert_eq!(looping.cx.stats.unserved, 1);
}

#[test]
fn a_kept_connection_meets_what_is_wanted_at_its_next_request() {
    let one = [real_server("one")];
    let two = [real_server("two")];
    let pools = || vec![pool("one", &one), pool("two", &two)];
    let all = |pool| vec![service("main", "*", Some(pool))];
    let mut looping = loop_for(state(all("one"), pools()));
    let mut client = Client::new(&looping);
    assert_eq!(client.ask(&mut looping, "a").1, "one");
    let receipt = change(&mut looping, state(all("two"), pools()));
    assert_eq!((receipt.generation, receipt.kept, receipt.services.changed), (2, 1, 1));
    assert_eq!(client.ask(&mut looping, "a").1, "two");
    // Nothing is for it any more, and then something is again.
    change(&mut looping, state(vec![service("main", "b", Some("two"))], pools()));
    assert_eq!(client.ask(&mut looping, "a").0, 404);
    let receipt = change(&mut looping, state(all("one"), vec![pool("one", &one)]));
    assert_eq!(receipt.pools.removed, 1);
    assert_eq!(client.ask(&mut looping, "a").1, "one");
}

#[test]
fn members_come_and_go_and_keep_what_is_known_of_them() {
    let one = [real_server("one")];
    let two = [real_server("two")];
    let all = || vec![service("main", "*", Some("p"))];
    let both = [one.clone(), two.clone()].concat();
    let mut looping = loop_for(state(all(), vec![pool("p", &both)]));
    let mut client = Client::new(&looping);
    let mut heard = [0, 0];
    for _ in 0..8 {
        let (status, body) = client.ask(&mut looping, "a");
        assert_eq!(status, 200);
        heard[usize::from(body == "two")] += 1;
    }
    assert!(heard[0] > 0 && heard[1] > 0, "{heard:?}");
    let receipt = change(&mut looping, state(all(), vec![pool("p", &one)]));
    let said = receipt.to_string();
    assert!(said.contains("; pool p: -1"), "{said}");
    for _ in 0..4 {
        assert_eq!(client.ask(&mut looping, "a").1, "one");
    }
    let counts = looping.cx.backends.iter().map(|(_, server)| server.counts.given);
    let counts: Vec<u64> = counts.collect();
    assert_eq!(counts, [heard[0] + 4], "who stays is counted on, who goes is gone");
    let weighed = [format!("{},weight=5", one[0]), two[0].clone()];
    let receipt = change(&mut looping, state(all(), vec![pool("p", &weighed)]));
    assert!(receipt.to_string().contains("; pool p: +1 ~1"), "{receipt}");
}

#[test]
fn what_cannot_be_had_changes_nothing() {
    let one = [real_server("one")];
    let all = || vec![service("main", "*", Some("p"))];
    let mut looping = loop_for(state(all(), vec![pool("p", &one)]));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut wanted = state(Vec::new(), Vec::new());
    let listen = format!("http://{}", taken.local_addr().unwrap());
    wanted.listeners.push(ListenerSpec {
        name: "taken".to_owned(),
        listen: Listen::parse(&listen).unwrap(),
        settings: ListenerSettings::DEFAULT,
    });
    let wrong = looping.prepare(wanted).err().unwrap();
    assert!(wrong[0].spelled(Spelling::PATHS).contains("the port is in use"), "{wrong:?}");
    let mut client = Client::new(&looping);
    assert_eq!(client.ask(&mut looping, "a"), (200, "one".to_owned()));
    assert_eq!(looping.directory.generation, 1);
}

/// Nothing is left of a thousand changes.
#[test]
fn what_went_is_gone() {
    let real = [real_server("one"), real_server("two"), real_server("three")];
    let mut random = fastrand::Rng::with_seed(7);
    let mut looping = loop_for(state(Vec::new(), Vec::new()));
    let mut client = Client::new(&looping);
    for _ in 0..300 {
        let pools = ["p", "q", "r"].map(|name| {
            let chosen = real.iter().filter(|_| random.bool());
            pool(name, &chosen.cloned().collect::<Vec<String>>())
        });
        let pools: Vec<PoolSpec> = pools.into_iter().filter(|_| random.bool()).collect();
        let names = pools.iter().map(|pool| pool.name.clone());
        let services: Vec<ServiceSpec> =
            names.map(|name| service(&name, &name, Some(&name))).collect();
        let wanted = pools.iter().map(|pool| (pool.name.clone(), !pool.backends.is_empty()));
        let wanted: Vec<(String, bool)> = wanted.collect();
        change(&mut looping, state(services, pools));
        let asked = ["p", "q", "r"][random.usize(..3)];
        let status = match wanted.iter().find(|(name, _)| name == asked) {
            Some((_, true)) => 200,
            Some((_, false)) => 503,
            None => 404,
        };
        assert_eq!(client.ask(&mut looping, asked).0, status, "{asked} of {wanted:?}");
    }
    change(&mut looping, Desired::nothing());
    drop(client);
    let until = Instant::now() + Duration::from_secs(10);
    let is_empty = |looping: &EventLoop| {
        let cx = &looping.cx;
        looping.pairs.is_empty()
            && cx.listeners.is_empty()
            && cx.services.is_empty()
            && cx.backends.is_empty()
            && cx.backends.pools().next().is_none()
    };
    while !is_empty(&looping) {
        assert!(Instant::now() < until, "something is left");
        looping.turn(Some(Duration::from_millis(1))).unwrap();
    }
}

#[test]
fn every_answer_at_a_listener_that_was_removed_is_the_last_on_its_connection() {
    let one = [real_server("one")];
    let mut main = service("main", "*", Some("one"));
    main.settings.health_path = Some("/health".to_owned());
    main.settings.stats_path = Some("/stats".to_owned());
    main.settings.max_body = Some(10);
    let rule = |when: &str, action| Rule {
        when: vec![Condition::parse(when).unwrap()],
        action: Some(action),
        ..Rule::default()
    };
    main.rules = vec![
        rule("path == '/there'", Action::Redirect(RedirectTo::parse("302 /here").unwrap())),
        rule("path == '/no'", Action::Respond(Respond::parse("403").unwrap())),
    ];
    let desired = state(vec![main], vec![pool("one", &one)]);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let refused = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n";
    let table = [
        (get("/"), 200),
        (get("/there"), 302),
        (get("/no"), 403),
        (get("/health"), 200),
        (get("/stats"), 200),
        (refused.to_owned(), 413),
    ];
    let mut looping = loop_for(desired);
    let mut clients: Vec<Client> = table.iter().map(|_| Client::new(&looping)).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&mut looping, "a").0, 200);
        assert!(!client.head.contains("Connection:"), "{}", client.head);
    }
    looping.remove_listener(looping.directory.listeners[0]);
    for ((request, status), client) in table.iter().zip(&mut clients) {
        assert_eq!(client.say(&mut looping, request).0, *status, "{request}");
        assert!(client.head.contains("\r\nConnection: close\r\n"), "{request} {}", client.head);
        client.is_closed(&mut looping);
    }
}

#[test]
fn what_the_process_has_is_changed_in_place() {
    let mut desired = state(vec![service("a", "*", Some("a"))], vec![pool("a", &[])]);
    let mut looping = loop_for(desired.clone());
    desired.process.max_connections = Some(7);
    desired.process.seed = Some(3);
    let receipt = change(&mut looping, desired.clone());
    assert_eq!(looping.cx.settings.max_connections, 7);
    assert_eq!(receipt.notes.len(), 1, "{:?}", receipt.notes);

    // The first listener for datagrams: from now on flows have a share of the descriptors.
    desired.process.max_connections = None;
    desired.listeners.push(ListenerSpec {
        name: "datagrams".to_owned(),
        listen: Listen::parse("udp://127.0.0.1:0").unwrap(),
        settings: ListenerSettings::DEFAULT,
    });
    let receipt = change(&mut looping, desired.clone());
    assert!(looping.cx.settings.max_connections > 7);
    assert!(looping.udp.most() > 7, "flows share no descriptors");
    assert_eq!(receipt.notes, [""; 0]);

    // Taken out it promises nothing, and the one in force is in force.
    for seed in [None, Some(looping.seed)] {
        desired.process.seed = seed;
        assert_eq!(change(&mut looping, desired.clone()).notes, [""; 0], "{seed:?}");
    }
}

/// A file of its own, removed when dropped.
struct Log(std::path::PathBuf);

impl Log {
    fn new(name: &str) -> Log {
        let name = format!("pointsman-{name}-{}.log", std::process::id());
        Log(std::env::temp_dir().join(name))
    }

    fn lines(&self) -> usize {
        std::fs::read_to_string(&self.0).unwrap_or_default().lines().count()
    }

    fn place(&self) -> Option<AccessLogPlace> {
        AccessLogPlace::parse(self.0.to_str().unwrap()).ok()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A line may wait for the end of its turn when the log is changed in that turn.
#[test]
fn an_access_log_that_is_given_up_is_written_to_its_end() {
    let [old, new] = ["old", "new"].map(Log::new);
    let mut desired =
        state(vec![service("a", "*", Some("a"))], vec![pool("a", &[real_server("one")])]);
    desired.process.access_log = old.place();
    let mut looping = loop_for(desired.clone());
    let mut client = Client::new(&looping);
    client.stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while looping.cx.access_log.as_ref().unwrap().waiting() == 0 {
        assert!(Instant::now() < until, "no line");
        looping.wait(Some(Duration::from_millis(1))).unwrap();
        looping.mark();
        looping.act();
        looping.accept();
        looping.follow_up();
        looping.reap();
    }
    assert_eq!(old.lines(), 0);
    desired.process.access_log = new.place();
    change(&mut looping, desired);
    assert_eq!((old.lines(), new.lines()), (1, 0));
}

#[test]
fn a_change_that_is_refused_leaves_no_file_behind() {
    let log = Log::new("refused");
    let mut desired = state(vec![service("a", "*", Some("a"))], vec![pool("a", &[])]);
    let looping = loop_for(desired.clone());
    desired.process.access_log = log.place();
    desired.services[0].error_pages.insert(503, "/no/503.html".to_owned());
    let wrong = looping.prepare(desired.clone()).err().unwrap();
    assert_eq!((wrong.len(), log.0.exists()), (1, false), "{wrong:?}");
    // What is wrong with it is told all the same.
    desired.process.access_log = AccessLogPlace::parse("/no/such/folder.log").ok();
    let wrong = looping.prepare(desired).err().unwrap();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
}

#[test]
fn another_key_in_the_file_of_a_sticky_cookie_is_taken() {
    let name = format!("pointsman-sticky-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let write = |byte: char| std::fs::write(&file, byte.to_string().repeat(64)).unwrap();
    let mut pool = pool("p", &[real_server("one")]);
    pool.settings.sticky.cookie = Some("seat".to_owned());
    pool.settings.sticky.key = Some(file.to_str().unwrap().to_owned());
    let wanted = state(vec![service("main", "*", Some("p"))], vec![pool]);
    write('a');
    let mut looping = loop_for(wanted.clone());
    let cookie = |looping: &mut EventLoop| {
        let mut client = Client::new(looping);
        client.ask(looping, "a");
        let line = client.head.lines().find(|line| line.starts_with("Set-Cookie: seat="));
        line.expect("a cookie is set").to_owned()
    };
    let first = cookie(&mut looping);
    change(&mut looping, wanted.clone());
    assert_eq!(cookie(&mut looping), first);
    write('b');
    change(&mut looping, wanted);
    assert_ne!(cookie(&mut looping), first);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_listener_is_shown_with_what_is_spoken_there_now() {
    let wanted = |listen: &str| {
        let pool = pool("p", &[real_server("one")]);
        let mut state = state(vec![service("main", "*", Some("p"))], vec![pool]);
        state.listeners[0].listen = Listen::parse(listen).unwrap();
        state
    };
    let mut looping = loop_for(wanted("http://127.0.0.1:0"));
    let name = |looping: &EventLoop| {
        let listener = &looping.cx.listeners[looping.directory.listeners[0]];
        listener.stats.name.replace(&listener.address.to_string(), "AT")
    };
    assert_eq!(name(&looping), "http://AT");
    change(&mut looping, wanted("tcp://127.0.0.1:0"));
    assert_eq!(name(&looping), "tcp://AT");
}

/// It says nothing of TLS: to go on with it would be to trust it without a certificate.
#[test]
fn a_connection_made_under_other_terms_of_tls_is_not_used_again() {
    for is_busy in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let real = [listener.local_addr().unwrap().to_string()];
        let plain = pool("p", &real);
        let mut with_tls = plain.clone();
        with_tls.backends[0].tls = Some("a.test".to_owned());
        let wanted = |pool: PoolSpec| state(vec![service("main", "*", Some("p"))], vec![pool]);
        let mut looping = loop_for(wanted(plain));
        let mut client = Client::new(&looping);
        client.stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut backend = turn_until(&mut looping, || listener.accept().ok()).0;
        backend.set_nonblocking(true).unwrap();
        let mut bytes = [0; 512];
        turn_until(&mut looping, || backend.read(&mut bytes).ok().filter(|&count| count > 0));
        if is_busy {
            change(&mut looping, wanted(with_tls.clone()));
        }
        backend.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        let answer = turn_until(&mut looping, || client.stream.read(&mut bytes).ok());
        assert!(bytes[..answer].starts_with(b"HTTP/1.1 200"), "the one that is there goes on");
        if !is_busy {
            change(&mut looping, wanted(with_tls));
        }
        client.stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut second = turn_until(&mut looping, || listener.accept().ok()).0;
        second.set_nonblocking(true).unwrap();
        let hello = turn_until(&mut looping, || {
            second.read(&mut bytes).ok().filter(|&count| count > 0)
        });
        assert!(hello > 0 && bytes[0] == 22, "a handshake");
        let ended = turn_until(&mut looping, || backend.read(&mut bytes).ok());
        assert_eq!(ended, 0, "it is closed and asked nothing");
    }
}

/// Turn after turn, within a deadline.
fn turns_until(looping: &mut EventLoop, is_so: impl Fn(&EventLoop) -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !is_so(looping) {
        assert!(Instant::now() < until, "it does not happen");
        looping.turn(Some(Duration::from_millis(1))).unwrap();
    }
}

fn turn_until<T>(looping: &mut EventLoop, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        assert!(Instant::now() < until, "it does not happen");
        looping.turn(Some(Duration::from_millis(1))).unwrap();
        if let Some(found) = found() {
            return found;
        }
    }
}

/// A client with an answer behind it, and one in the middle of a request.
#[test]
fn clients_of_a_listener_that_is_removed_are_drained_kept_or_closed() {
    let real = [real_server("one")];
    for policy in [OnListenerRemoved::Drain, OnListenerRemoved::Keep, OnListenerRemoved::Close]
    {
        let mut state = state(vec![service("main", "*", Some("p"))], vec![pool("p", &real)]);
        state.listeners[0].settings.on_removed = policy;
        let mut looping = loop_for(state.clone());
        let mut client = Client::new(&looping);
        let mut other = Client::new(&looping);
        assert_eq!(client.ask(&mut looping, "a"), (200, "one".to_owned()));
        other.send("GET / HTTP/1.1\r\n");
        turns_until(&mut looping, |looping| looping.pairs.len() == 2);
        state.listeners[0].listen = Listen::parse("http://127.0.0.2:0").unwrap();
        change(&mut looping, state);
        if policy == OnListenerRemoved::Close {
            client.is_closed(&mut looping);
            other.is_closed(&mut looping);
            turns_until(&mut looping, |looping| looping.cx.listeners.len() == 1);
            assert!(!looping.has_closing_left(), "it goes on looking for clients");
            continue;
        }
        other.send("Host: a\r\n\r\n");
        for client in [&mut client, &mut other] {
            let answer = match client.head.is_empty() {
                true => client.hear(&mut looping),
                false => client.ask(&mut looping, "a"),
            };
            assert_eq!(answer, (200, "one".to_owned()), "{policy:?}");
            let is_told = client.head.contains("\r\nConnection: close\r\n");
            assert_eq!(is_told, policy == OnListenerRemoved::Drain, "{}", client.head);
        }
    }
}

/// Clients of TCP whose backend is removed from their pool while another pool keeps it, or with the
/// pool itself.
#[test]
fn connections_to_what_is_removed_drain_or_are_closed() {
    let real = [real_server("one"), real_server("two")];
    for (policy, lives_on) in [(OnRemoved::Drain, true), (OnRemoved::Close, false)] {
        for with_its_pool in [false, true] {
            let state = |backends: &[String], name: &str| {
                let mut wanted = pool(name, backends);
                wanted.settings.on_removed = policy;
                let other = pool("other", &real[..1]);
                let main = service("main", "*", Some(name));
                let mut state = state(vec![main], vec![wanted, other]);
                state.listeners[0].listen = Listen::parse("tcp://127.0.0.1:0").unwrap();
                state
            };
            let mut looping = loop_for(state(&real[..1], "p"));
            let mut client = Client::new(&looping);
            assert_eq!(client.ask(&mut looping, "a"), (200, "one".to_owned()));
            let name = if with_its_pool { "q" } else { "p" };
            let receipt = change(&mut looping, state(&real[1..], name)).to_string();
            let verb = if lives_on { "draining" } else { "closing" };
            let says = format!("pool p: +1 -1 ({verb}, 1 connection);");
            assert_eq!(receipt.contains(&says), !with_its_pool, "{receipt}");
            let mut new = Client::new(&looping);
            assert_eq!(new.ask(&mut looping, "a"), (200, "two".to_owned()));
            match lives_on {
                true => assert_eq!(client.ask(&mut looping, "a"), (200, "one".to_owned())),
                false => client.is_closed(&mut looping),
            }
            assert_eq!(new.ask(&mut looping, "a"), (200, "two".to_owned()));
        }
    }
}
