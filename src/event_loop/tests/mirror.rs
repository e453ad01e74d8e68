//! Copies of requests to a pool whose servers answer, hang, break off or are not there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::reload::{change, pool, service, state};
use super::*;
use crate::backends::{Joins, SeatPlan, ServerPlan};
use crate::config::AdminState;
use crate::config::CheckSettings;
use crate::context::Copies;
use crate::event::{PoolId, ServerId};
use crate::limits::MIRROR_BYTES_MAX;
use crate::net::Fault;
use crate::net::tls::client::{ClientTls, Roots};
use crate::relay::mirror::Mirrors;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(100);

/// What a server does with each request.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Answers,
    /// In chunks, behind an interim answer, and slowly.
    AnswersInPieces,
    /// With the end of the connection.
    AnswersAndCloses,
    /// After the time that a connect may take.
    AnswersLate,
    Hangs,
    Closes,
    SaysNonsense,
    /// Half of an answer, and then the end.
    StopsHalfway,
}

/// A server, and the requests that came there whole, byte for byte.
struct Real {
    address: String,
    heard: Receiver<Vec<u8>>,
}

impl Real {
    fn new(manner: Manner) -> Real {
        Real::with(move |stream, tell| serve(stream, manner, tell))
    }

    /// One that answers, through TLS, with a certificate of its own making.
    fn with_tls() -> Real {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        Real::with(move |stream, tell| {
            let tls = rustls::ServerConnection::new(config.clone()).unwrap();
            serve(rustls::StreamOwned::new(tls, stream), Manner::Answers, tell);
        })
    }

    fn with(serve: impl Fn(TcpStream, &Sender<Vec<u8>>) + Send + Sync + 'static) -> Real {
        let serve = Arc::new(serve);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, heard) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tell = tell.clone();
                let serve = serve.clone();
                thread::spawn(move || serve(stream, &tell));
            }
        });
        Real { address, heard }
    }

    /// The next request, while the loop goes on.
    fn next(&self, looping: &mut EventLoop) -> Vec<u8> {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            if let Ok(request) = self.heard.try_recv() {
                return request;
            }
            assert!(Instant::now() < until, "no request");
            turn(looping);
        }
    }
}

fn serve(mut stream: impl Read + Write, manner: Manner, tell: &Sender<Vec<u8>>) {
    let mut heard = Vec::new();
    let mut some = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut some) {
        heard.extend_from_slice(&some[..count]);
        while let Some(length) = whole(&heard) {
            let _ = tell.send(heard.drain(..length).collect());
            if !answer(&mut stream, manner) {
                return;
            }
        }
    }
}

/// Says whether the connection stays.
fn answer(stream: &mut (impl Read + Write), manner: Manner) -> bool {
    if manner == Manner::AnswersLate {
        thread::sleep(3 * CONNECT_TIMEOUT);
    }
    let pieces: &[&str] = match manner {
        Manner::Answers | Manner::AnswersLate => {
            &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"]
        }
        Manner::AnswersInPieces => &[
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 2",
            "00 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nh",
            "i\r\n0\r\n\r\n",
        ],
        Manner::AnswersAndCloses => &["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi"],
        Manner::Hangs => {
            let _ = stream.read(&mut [0]);
            return false;
        }
        Manner::Closes => return false,
        Manner::SaysNonsense => &["what?\r\n\r\n"],
        Manner::StopsHalfway => &["HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi"],
    };
    for piece in pieces {
        let _ = stream.write_all(piece.as_bytes());
        thread::sleep(Duration::from_millis(if pieces.len() > 1 { 3 } else { 0 }));
    }
    !matches!(manner, Manner::AnswersAndCloses | Manner::StopsHalfway)
}

/// How long the request at the beginning is, if it is whole.
fn whole(bytes: &[u8]) -> Option<usize> {
    let at = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
    let head = at(b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    if text.contains("transfer-encoding: chunked") {
        return at(b"\r\n0\r\n\r\n").map(|end| end + 7);
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let all = head + length.map_or(0, |length| length.parse().unwrap());
    (bytes.len() >= all).then_some(all)
}

fn turn(looping: &mut EventLoop) {
    looping.turn(Some(Duration::from_millis(1))).unwrap();
}

/// Until this holds.
fn until(looping: &mut EventLoop, what: &str, holds: impl Fn(&EventLoop) -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !holds(looping) {
        let mirror = looping.cx.stats.mirror;
        let under_way = looping.mirrors.under_way();
        assert!(Instant::now() < until, "{what}: {mirror:?}, {under_way} under way");
        turn(looping);
    }
}

fn pool_of(looping: &EventLoop, name: &str) -> PoolId {
    let mut pools = looping.cx.backends.pools();
    pools.find(|(_, pool)| &*pool.name == name).map(|(id, _)| id).expect("a pool")
}

fn members(looping: &EventLoop, name: &str) -> Vec<ServerId> {
    let pool = looping.cx.backends.pool(Some(pool_of(looping, name))).unwrap();
    pool.members().collect()
}

fn mirror_to(looping: &mut EventLoop, pool: PoolId) {
    for (_, service) in looping.cx.services.iter_mut() {
        service.mirror = Some(pool);
    }
}

/// Requests go to the first, and copies of them to the second.
fn loop_with(real: &Real, shadow: &str) -> EventLoop {
    let shadows: Vec<String> = shadow.split_whitespace().map(str::to_owned).collect();
    let mut pools =
        vec![pool("real", std::slice::from_ref(&real.address)), pool("shadow", &shadows)];
    pools[1].settings.connect_timeout = CONNECT_TIMEOUT;
    let mut looping = loop_for(state(vec![service("main", "*", Some("real"))], pools));
    let shadow = pool_of(&looping, "shadow");
    mirror_to(&mut looping, shadow);
    looping
}

struct Client(TcpStream);

impl Client {
    fn new(looping: &EventLoop) -> Client {
        let id = looping.directory.listeners[0];
        let address: SocketAddr = looping.cx.listeners[id].address.socket_address().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        Client(stream)
    }

    fn say(&mut self, looping: &mut EventLoop, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.0.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            turn(looping);
        }
    }

    /// The answer is there, and whole.
    fn hear(&mut self, looping: &mut EventLoop) {
        let until = Instant::now() + Duration::from_secs(10);
        let mut answer = Vec::new();
        while !answer.ends_with(b"hi") {
            assert!(Instant::now() < until, "{:?}", String::from_utf8_lossy(&answer));
            turn(looping);
            let mut some = [0; 512];
            if let Ok(count) = self.0.read(&mut some) {
                answer.extend_from_slice(&some[..count]);
            }
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }

    fn ask(&mut self, looping: &mut EventLoop, pieces: &[&[u8]]) {
        pieces.iter().for_each(|piece| self.say(looping, piece));
        self.hear(looping);
    }
}

const GET: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n";

/// A request with a body of so many bytes.
fn post(length: usize) -> (Vec<u8>, Vec<u8>) {
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let body = (0..length).map(|at| b"0123456789abcdefghi"[at % 19]).collect();
    (head.into_bytes(), body)
}

#[test]
fn a_copy_is_what_the_backend_got_to_the_last_byte() {
    let manners = [Manner::Answers, Manner::AnswersInPieces, Manner::AnswersAndCloses];
    for manner in manners.into_iter().chain([Manner::AnswersLate]) {
        let real = Real::new(Manner::Answers);
        let shadow = Real::new(manner);
        let mut looping = loop_with(&real, &shadow.address);
        let mut client = Client::new(&looping);
        let chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (short_head, short) = post(100);
        let (long_head, long) = post(50_000);
        let together = [&*short_head, &short].concat();
        let requests: [&[&[u8]]; 6] = [
            &[GET],
            &[&together],
            &[&short_head, &short[..1], &short[1..]],
            &[&long_head, &long[..20_000], &long[20_000..]],
            &[&together[..together.len() - 50], &together[together.len() - 50..]],
            &[chunked, b"3\r\nab", b"c\r\n", b"1;x=y\r\nd\r\n0\r\n\r\n"],
        ];
        for (index, pieces) in requests.into_iter().enumerate() {
            client.ask(&mut looping, pieces);
            let got = real.next(&mut looping);
            let copied = shadow.next(&mut looping);
            let text = String::from_utf8_lossy;
            assert_eq!(text(&copied), text(&got), "request {index}");
            until(&mut looping, "answered", |it| it.cx.stats.mirror.sent == index as u64 + 1);
        }
    }
}

#[test]
fn a_client_does_not_wait_for_a_copy_that_hangs_and_it_ends_in_time() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Hangs);
    let mut looping = loop_with(&real, &shadow.address);
    looping.mirrors = Mirrors::new(Duration::from_secs(1));
    let mut client = Client::new(&looping);
    let began = Instant::now();
    for _ in 0..10 {
        client.ask(&mut looping, &[GET]);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(looping.mirrors.under_way(), 10, "all of them hang");
    until(&mut looping, "too late", |it| it.cx.stats.mirror.failed == 10);
    assert!(looping.mirrors.is_empty() && looping.cx.copies.is_empty());
    client.ask(&mut looping, &[GET]);
}

#[test]
fn what_is_too_long_is_not_copied_and_passes_as_ever() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Answers);
    let mut looping = loop_with(&real, &shadow.address);
    let mut client = Client::new(&looping);
    let (head, body) = post(MIRROR_BYTES_MAX);
    client.say(&mut looping, &head);
    until(&mut looping, "dropped", |it| it.cx.stats.mirror.dropped_large == 1);
    client.ask(&mut looping, &[&body]);
    assert!(real.next(&mut looping).ends_with(&body));
    // Nobody knows how long this one is before it is there.
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"1000\r\n", &body[..0x1000], b"\r\n"].concat();
    let mut pieces: Vec<&[u8]> = vec![head];
    pieces.extend([&*chunk; 17]);
    pieces.push(b"0\r\n\r\n");
    client.ask(&mut looping, &pieces);
    assert!(looping.cx.copies.is_empty(), "it is forgotten at once");
    let got = real.next(&mut looping);
    assert!(got.len() > 17 * 0x1000);
    let mirror = looping.cx.stats.mirror;
    assert_eq!((mirror.dropped_large, mirror.sent), (2, 0));
    // The next one is copied again, and is the first that is.
    client.ask(&mut looping, &[GET]);
    assert!(shadow.next(&mut looping).starts_with(b"GET /a?b"));
    assert!(shadow.heard.try_recv().is_err());
}

#[test]
fn there_are_never_more_copies_than_may_be() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Hangs);
    let mut looping = loop_with(&real, &shadow.address);
    looping.cx.settings.max_connections = 32;
    let most = Copies::most(32);
    let mut client = Client::new(&looping);
    for _ in 0..most + 5 {
        client.ask(&mut looping, &[GET]);
    }
    let mirror = looping.cx.stats.mirror;
    assert_eq!((looping.mirrors.under_way(), mirror.dropped_busy), (most, 5));
    // One whose body is still coming has a place as well.
    let mut looping = loop_with(&real, &shadow.address);
    looping.cx.settings.max_connections = 4;
    let (head, body) = post(10);
    let mut first = Client::new(&looping);
    first.say(&mut looping, &head);
    until(&mut looping, "gathered", |it| it.cx.copies.len() == 1);
    Client::new(&looping).ask(&mut looping, &[GET]);
    assert_eq!(looping.cx.stats.mirror.dropped_busy, 1);
    first.ask(&mut looping, &[&body]);
    until(&mut looping, "under way", |it| it.mirrors.under_way() == 1);
}

#[test]
fn of_a_client_that_leaves_nothing_stays_gathered() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Answers);
    let mut looping = loop_with(&real, &shadow.address);
    let mut client = Client::new(&looping);
    let (head, body) = post(10);
    client.say(&mut looping, &head);
    client.say(&mut looping, &body[..9]);
    until(&mut looping, "gathered", |it| it.cx.copies.len() == 1);
    drop(client);
    until(&mut looping, "forgotten", |it| it.cx.copies.is_empty() && it.pairs.is_empty());
    assert!(shadow.heard.try_recv().is_err());
    assert_eq!(looping.cx.stats.mirror.failed, 1);
}

#[test]
fn a_copy_lacks_nothing_though_the_backend_breaks_off_in_the_body() {
    // Closed with bytes that were not read, it is reset.
    let real = Real::with(|mut stream, tell| {
        let _ = stream.read(&mut [0]);
        drop(stream);
        let _ = tell.send(Vec::new());
    });
    let shadow = Real::new(Manner::Answers);
    let (head, body) = post(100);
    for (end, is_whole) in [(100, true), (60, false)] {
        let mut looping = loop_with(&real, &shadow.address);
        let mut client = Client::new(&looping);
        client.say(&mut looping, &[&head, &body[..50]].concat());
        real.heard.recv_timeout(Duration::from_secs(10)).unwrap();
        // The reset and these are found in one turn, and writing them fails.
        client.0.write_all(&body[50..end]).unwrap();
        if is_whole {
            assert!(shadow.next(&mut looping).ends_with(&body));
            until(&mut looping, "answered", |it| it.cx.stats.mirror.sent == 1);
        } else {
            until(&mut looping, "failed", |it| it.cx.stats.mirror.failed == 1);
            assert!(looping.cx.copies.is_empty() && shadow.heard.try_recv().is_err());
        }
    }
}

#[test]
fn a_copy_that_fails_says_nothing_of_its_server() {
    let real = Real::new(Manner::Answers);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let strange = [Manner::Closes, Manner::SaysNonsense, Manner::StopsHalfway].map(Real::new);
    let strange = strange.iter().map(|real| real.address.clone());
    for shadow in strange.chain([nobody]) {
        let mut looping = loop_with(&real, &shadow);
        let mut client = Client::new(&looping);
        for failed in 1..=20 {
            client.ask(&mut looping, &[GET]);
            until(&mut looping, "failed", |it| it.cx.stats.mirror.failed == failed);
        }
        assert_eq!(looping.cx.stats.mirror.sent, 0);
        let server = &looping.cx.backends[members(&looping, "shadow")[0]];
        assert!(server.state.is_up());
        let counts = server.counts;
        let bad = counts.failures + counts.connect_errors + counts.timeouts + counts.broken;
        assert_eq!((bad, counts.answers), (0, [0; 5]));
        let pool = pool_of(&looping, "shadow");
        assert!(looping.cx.backends.is_there(Some(pool)), "nobody is ejected");
        assert!(looping.mirrors.is_empty());
    }
}

/// A server with these addresses is the only one of the shadow pool.
fn only_shadow(looping: &mut EventLoop, addresses: &[SocketAddr], dial: Option<ClientTls>) {
    let plan = ServerPlan::for_tests("shadow", 0);
    let plan = ServerPlan {
        addresses: addresses.iter().map(|it| (*it).into()).collect(),
        dial,
        ..plan
    };
    let check = CheckSettings { kind: crate::config::Check::None, ..CheckSettings::DEFAULT };
    let server = looping.add_server(plan, &check);
    let pool = pool_of(looping, "shadow");
    let seat = SeatPlan { weight: 1, backup: false, admin: AdminState::Ready };
    looping.cx.backends.join(server, pool, seat, Joins::AtOnce);
}

#[test]
fn a_copy_goes_to_the_address_of_its_server_that_works() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Answers);
    let mut looping = loop_with(&real, "");
    let works: SocketAddr = shadow.address.parse().unwrap();
    let refuses = SocketAddr::from(([127, 0, 0, 2], works.port()));
    only_shadow(&mut looping, &[refuses, works], None);
    Client::new(&looping).ask(&mut looping, &[GET]);
    shadow.next(&mut looping);
    until(&mut looping, "answered", |it| it.cx.stats.mirror.sent == 1);
    assert_eq!(looping.cx.stats.mirror.failed, 0);
    assert!(looping.mirrors.is_empty());
}

#[test]
fn a_copy_goes_through_tls_where_its_server_speaks_it() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::with_tls();
    let mut looping = loop_with(&real, "");
    let dial = Roots::unverified().unwrap().dial("localhost", &[]);
    only_shadow(&mut looping, &[shadow.address.parse().unwrap()], dial);
    let (head, body) = post(50_000);
    let mut client = Client::new(&looping);
    for sent in 1..=3 {
        client.ask(&mut looping, &[&head, &body]);
        assert_eq!(shadow.next(&mut looping), real.next(&mut looping));
        until(&mut looping, "answered", |it| it.cx.stats.mirror.sent == sent);
    }
    assert!(looping.mirrors.is_empty());
}

#[test]
fn a_pool_without_a_server_or_without_room_for_it_gets_no_copy() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Hangs);
    let mut looping = loop_with(&real, "");
    let mut client = Client::new(&looping);
    client.ask(&mut looping, &[GET]);
    until(&mut looping, "no server", |it| it.cx.stats.mirror.failed == 1);
    let mut looping = loop_with(&real, &format!("{},max-connections=1", shadow.address));
    let mut client = Client::new(&looping);
    client.ask(&mut looping, &[GET]);
    client.ask(&mut looping, &[GET]);
    until(&mut looping, "no room", |it| it.cx.stats.mirror.dropped_busy == 1);
    assert_eq!(looping.mirrors.under_way(), 1);
}

#[test]
fn what_asks_for_a_switch_or_comes_during_a_stop_is_not_copied() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Answers);
    let mut looping = loop_with(&real, &shadow.address);
    let mut client = Client::new(&looping);
    let upgrade: &[u8] =
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.ask(&mut looping, &[upgrade]);
    client.say(&mut looping, &GET[..10]);
    (0..5).for_each(|_| turn(&mut looping));
    looping.begin_to_drain();
    client.ask(&mut looping, &[&GET[10..]]);
    until(&mut looping, "stopped", |it| it.state == RunState::Stopping);
    assert!(looping.mirrors.is_empty() && looping.cx.copies.is_empty());
    assert!(shadow.heard.try_recv().is_err());
}

#[test]
fn who_is_removed_is_there_until_its_copies_are_over_and_no_longer() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Hangs);
    let mut looping = loop_with(&real, &shadow.address);
    looping.mirrors = Mirrors::new(Duration::from_millis(300));
    let mut client = Client::new(&looping);
    client.ask(&mut looping, &[GET]);
    shadow.next(&mut looping);
    let server = members(&looping, "shadow")[0];
    let left = pool("real", std::slice::from_ref(&real.address));
    change(&mut looping, state(vec![service("main", "*", Some("real"))], vec![left]));
    assert!(looping.cx.backends.get(server).is_some(), "it has a copy");
    client.ask(&mut looping, &[GET]);
    assert_eq!(looping.mirrors.len(), 1, "no other one was made");
    until(&mut looping, "gone", |it| it.cx.backends.get(server).is_none());
    assert_eq!(looping.cx.stats.mirror.failed, 1);
    assert_eq!(looping.cx.backends.pools().count(), 1);
}

#[test]
fn copies_give_way_where_descriptors_run_out() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Hangs);
    let mut looping = loop_with(&real, &shadow.address);
    let mut client = Client::new(&looping);
    looping.cx.stats.exhausted = 7;
    client.ask(&mut looping, &[GET]);
    shadow.next(&mut looping);
    assert_eq!(looping.mirrors.under_way(), 1, "that was before it began");
    looping.cx.stats.exhausted += 1;
    turn(&mut looping);
    assert!(looping.mirrors.is_empty());
    client.ask(&mut looping, &[GET]);
    shadow.next(&mut looping);
    assert_eq!(looping.mirrors.under_way(), 1, "and it is over");
}

#[test]
fn copies_give_way_before_connections_that_clients_may_need() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Hangs);
    let mut looping = loop_with(&real, &shadow.address);
    let mut client = Client::new(&looping);
    client.ask(&mut looping, &[GET]);
    client.ask(&mut looping, &[GET]);
    until(&mut looping, "under way", |it| it.mirrors.under_way() == 2);
    // As it is where a backend is connected to: there is a descriptor once somebody gave one.
    let tries = std::cell::Cell::new(0);
    let opened = looping.cx.open_with(|_| {
        tries.set(tries.get() + 1);
        if tries.get() == 2 { Ok(()) } else { Err(Fault::Exhausted) }
    });
    assert!(opened.is_ok() && looping.cx.stats.idle_gave_way == 0);
    until(&mut looping, "ended", |it| it.cx.stats.mirror.failed == 1);
    assert_eq!(looping.mirrors.under_way(), 1, "no more than had to");
    // And as it is where one is accepted.
    let error = io::Error::from_raw_os_error(24);
    assert!(looping.free_descriptor(&error) && looping.has_work_left());
    turn(&mut looping);
    assert_eq!((looping.mirrors.len(), looping.cx.stats.mirror.failed), (0, 2));
    assert_eq!((looping.cx.stats.idle_gave_way, looping.cx.stats.clients_gave_way), (0, 0));
    // Only then those.
    assert!(looping.free_descriptor(&error));
    assert_eq!(looping.cx.stats.idle_gave_way, 1);
    client.ask(&mut looping, &[GET]);
}

#[test]
fn a_socket_that_gave_way_behind_the_end_of_its_copy_makes_no_work() {
    let real = Real::new(Manner::Answers);
    let mut looping = loop_with(&real, "");
    let address = real.address.parse::<SocketAddr>().unwrap().into();
    looping.cx.copies.add_socket(crate::net::Stream::connect(&address, None, None).unwrap());
    assert!(looping.cx.copies.give_way() && looping.has_work_left());
    turn(&mut looping);
    assert!(!looping.has_work_left() && !looping.cx.copies.give_way());
}

#[test]
fn a_stop_does_not_wait_for_copies() {
    let real = Real::new(Manner::Answers);
    let shadow = Real::new(Manner::Hangs);
    let mut looping = loop_with(&real, &shadow.address);
    let mut client = Client::new(&looping);
    client.ask(&mut looping, &[GET]);
    shadow.next(&mut looping);
    looping.begin_to_drain();
    let began = Instant::now();
    until(&mut looping, "stopped", |it| it.state == RunState::Stopping);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(looping.mirrors.under_way(), 1);
}
