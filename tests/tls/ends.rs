//! How a TLS connection ends: finished, cut off, or in the middle of an answer.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::authority::{Authority, Client};
use crate::backends::{backend, head};
use crate::clients::https;
use crate::common::http::{Origin, Wire, get};
use crate::common::servers::missing;
use crate::common::trace::{slow_sends, while_stopped};
use crate::common::{Backend, Balancer, DEADLINE, noise, reset, until};

/// A balancer that relays bytes through TLS to this backend.
fn tls(authority: &Authority, backend: &Backend) -> Balancer {
    let pair = authority.pair(&["localhost"]);
    let flag = backend.flag();
    let front = ["-l", "tls://127.0.0.1:0", "--check", "none", "-b", &flag];
    Balancer::start(&[&front[..], &pair.flags()].concat())
}

/// Wait until it uses no processor time for a while: whatever its sockets say, it does not spin.
#[track_caller]
pub fn wait_until_asleep(balancer: &Balancer) {
    until("it sleeps", || {
        let before = balancer.cpu_ticks();
        let after = Instant::now();
        while after.elapsed() < Duration::from_millis(100) {
            std::thread::yield_now();
        }
        balancer.cpu_ticks() == before
    });
}

/// What a client of TLS has to put on the wire for these bytes, and for its end.
fn records(client: &mut Client, bytes: &[u8], ends: bool) -> Vec<u8> {
    client.conn.writer().write_all(bytes).unwrap();
    if ends {
        client.conn.send_close_notify();
    }
    let mut wire = Vec::new();
    while client.conn.wants_write() {
        client.conn.write_tls(&mut wire).unwrap();
    }
    wire
}

/// The ways in which a client can leave, all in one segment where that is possible: the backend
/// gets what was said, then the end or a reset; and nothing is done for ever afterwards.
#[test]
fn however_a_client_leaves_nothing_spins() {
    let authority = Authority::new("leaves");
    let (backend, streams) = Backend::manual();
    let balancer = tls(&authority, &backend);
    let garbage: Vec<u8> = [&[23, 3, 3, 0, 40][..], &[7; 40]].concat();
    for (ends, behind, fin, whole) in [
        (true, &[][..], false, true),
        (true, &[], true, true),
        (true, &garbage, false, true),
        (true, &garbage, true, true),
        (true, b"GET / HTTP/1.1", true, true),
        (false, &[], true, false),
        (false, &garbage, false, false),
        (false, &garbage[..20], true, false),
    ] {
        let what = format!("close_notify {ends}, {} bytes behind, FIN {fin}", behind.len());
        let mut client = authority.client(&balancer);
        let wire = records(&mut client, b"words", ends);
        client.sock.write_all(&[&wire, behind].concat()).unwrap();
        if fin {
            client.sock.shutdown(Shutdown::Write).unwrap();
        }
        let mut stream = streams.recv_timeout(DEADLINE).unwrap();
        let mut words = [0; 5];
        stream.read_exact(&mut words).unwrap();
        assert_eq!(&words, b"words", "{what}");
        let end = crate::common::read_to_end(&stream);
        assert_eq!(end.is_reset(), !whole, "{what}: {end:?}");
        wait_until_asleep(&balancer);
        if whole {
            // Its end is not ours: the answer still reaches it.
            stream.write_all(b"answer").unwrap();
            drop(stream);
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect(&what);
            assert_eq!(answer, b"answer", "{what}");
        }
        drop(client);
        balancer.wait_until_idle();
    }
}

/// Half-closed by us, then told nonsense: no alert fits behind our FIN, and nobody else is harmed.
#[test]
fn nonsense_behind_our_own_end_is_only_the_end() {
    let authority = Authority::new("behind");
    let (backend, streams) = Backend::manual();
    let balancer = tls(&authority, &backend);
    let garbage = [&[23, 3, 3, 0, 40][..], &[7; 40]].concat();
    let mut other = authority.client(&balancer);
    other.write_all(b"other").unwrap();
    let mut other_stream = streams.recv_timeout(DEADLINE).unwrap();
    let mut client = authority.client(&balancer);
    client.write_all(b"words").unwrap();
    let mut stream = streams.recv_timeout(DEADLINE).unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the backend has finished");
    client.sock.write_all(&garbage).unwrap();
    assert!(crate::common::read_to_end(&stream).is_reset(), "not taken for an end");
    wait_until_asleep(&balancer);
    other_stream.write_all(b"still here").unwrap();
    let mut answer = [0; 10];
    other.read_exact(&mut answer).unwrap();
    drop((client, other, stream, other_stream));
    balancer.wait_until_idle();
}

/// Records leave one by one: a backend that resets after the first of them is gone before the next,
/// which must not begin somebody else's stream.
#[test]
fn pitfall_10_a_record_behind_one_that_was_taken_goes_to_nobody_else() {
    if missing(&["strace"]) {
        return;
    }
    let authority = Authority::new("taken");
    let bad = Backend::start(|mut stream| {
        let _ = stream.read_exact(&mut [0]);
        reset(stream);
    });
    let (good, _ends) = Backend::silent();
    let bad_flag = bad.flag();
    let good_flag = good.flag();
    let pair = authority.pair(&["localhost"]);
    let front = ["-l", "tls://127.0.0.1:0", "--check", "none", "--balance", "first"];
    let backends = ["-b", &bad_flag, "-b", &good_flag];
    let args = [&front[..], &backends, &pair.flags()].concat();
    let balancer = Balancer::start_command(slow_sends(), &args);
    let mut client = authority.client(&balancer);
    // What the client says with the end of its handshake is there when a backend is.
    while_stopped(&balancer, || {
        client.conn.writer().write_all(&noise(1, 60_000)).unwrap();
        while client.conn.wants_write() {
            client.conn.write_tls(&mut client.sock).unwrap();
        }
    });
    assert!(client.read(&mut [0]).is_err(), "torn");
    assert_eq!((bad.accepted(), good.accepted()), (1, 0));
    balancer.stop();
}

#[test]
fn an_end_behind_more_than_the_backend_takes_arrives_last() {
    let authority = Authority::new("full");
    let (backend, streams) = Backend::manual();
    let balancer = tls(&authority, &backend);
    let bytes = crate::common::noise(13, 12_000_000);
    let mut client = authority.client(&balancer);
    let mut wire = Vec::new();
    for piece in bytes.chunks(16_000) {
        wire.extend(records(&mut client, piece, false));
    }
    wire.extend(records(&mut client, b"", true));
    let mut socket = client.sock.try_clone().unwrap();
    let writer = std::thread::spawn(move || socket.write_all(&wire));
    let stream = streams.recv_timeout(DEADLINE).unwrap();
    wait_until_asleep(&balancer);
    assert!(crate::common::read_to_end(&stream).bytes() == bytes);
    writer.join().unwrap().unwrap();
    drop(stream);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(client);
    balancer.wait_until_idle();
}

#[test]
fn who_leaves_in_the_handshake_is_counted_and_forgotten() {
    let authority = Authority::new("handshake");
    let (backend, _) = Backend::silent();
    let balancer = tls(&authority, &backend);
    let hello = authority.hello();
    for (piece, leave) in [
        (&hello[..0], Shutdown::Write),
        (&hello[..100], Shutdown::Write),
        (&hello, Shutdown::Write),
        (&hello[..100], Shutdown::Both),
        (&hello, Shutdown::Both),
    ] {
        let mut stream = balancer.connect();
        stream.write_all(piece).unwrap();
        match leave {
            Shutdown::Both => reset(stream),
            leave => {
                stream.shutdown(leave).unwrap();
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest);
            }
        }
        balancer.wait_until_idle();
        wait_until_asleep(&balancer);
    }
    assert_eq!(backend.accepted(), 0, "nobody was asked");
}

#[test]
fn a_client_that_was_cut_off_is_told_from_one_that_has_finished() {
    let authority = Authority::new("cut");
    let (backend, ends) = Backend::silent();
    let balancer = tls(&authority, &backend);
    let mut finished = authority.client(&balancer);
    finished.write_all(b"all of it").unwrap();
    finished.conn.send_close_notify();
    finished.flush().unwrap();
    assert_eq!(ends.recv_timeout(DEADLINE).unwrap().bytes(), b"all of it");
    let mut cut = authority.client(&balancer);
    cut.write_all(b"some of it").unwrap();
    cut.sock.shutdown(Shutdown::Write).unwrap();
    assert!(ends.recv_timeout(DEADLINE).unwrap().is_reset(), "not taken for the whole");
    balancer.wait_until_idle();
}

#[test]
fn a_backend_that_was_cut_off_is_told_from_one_that_has_finished() {
    let authority = Authority::new("torn");
    let (backend, streams) = Backend::manual();
    let balancer = tls(&authority, &backend);
    for is_whole in [true, false] {
        let mut client = authority.client(&balancer);
        client.write_all(b"x").unwrap();
        let mut stream = streams.recv_timeout(DEADLINE).unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(b"answer").unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).unwrap();
        if is_whole {
            drop(stream);
            assert_eq!(client.read(&mut [0]).unwrap(), 0, "close_notify");
        } else {
            reset(stream);
            let error = client.read(&mut [0]).unwrap_err().kind();
            let torn = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
            assert!(torn.contains(&error), "{error:?}");
        }
    }
    balancer.wait_until_idle();
}

#[test]
fn an_answer_that_ends_with_its_connection_must_end_with_close_notify() {
    let authority = Authority::new("until");
    for is_whole in [true, false] {
        let pair = authority.pair(&["127.0.0.1"]);
        let backend = backend(&authority, &pair, move |server| {
            if head(server).is_none() {
                return;
            }
            let _ = server.write_all(b"HTTP/1.1 200 OK\r\n\r\nsome bytes");
            if is_whole {
                server.conn.send_close_notify();
                let _ = server.flush();
            }
        });
        let ca = authority.file();
        let flag = format!("https://{}", backend.flag());
        let front = ["-l", "http://127.0.0.1:0", "--check", "none", "-b", &flag];
        let balancer = Balancer::start(&[&front[..], &["--backend-ca", &ca]].concat());
        let mut wire = Wire::to(&balancer);
        wire.say(get("/"));
        let mut answer = wire.head().unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(wire.body(&mut answer, true), is_whole, "{}", answer.text());
    }
}

#[test]
fn a_client_that_only_hangs_up_between_requests_is_no_failure() {
    let authority = Authority::new("hangs-up");
    let origin = Origin::named("a");
    let balancer = https(&authority, &origin, &[]);
    let mut client = authority.client(&balancer);
    client.write_all(get("/").as_bytes()).unwrap();
    let mut answer = [0; 64];
    assert!(client.read(&mut answer).unwrap() > 0);
    client.sock.shutdown(Shutdown::Both).unwrap();
    balancer.wait_for_log(": finished; ");
    balancer.wait_until_idle();
}

#[test]
fn an_answer_that_is_the_last_ends_with_close_notify() {
    let authority = Authority::new("last");
    let origin = Origin::named("a");
    let balancer = https(&authority, &origin, &[]);
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let mut client = authority.client(&balancer);
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an end that is one");
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
}

#[test]
fn a_reader_that_pauses_gets_all_of_it() {
    let authority = Authority::new("pauses");
    let bytes = crate::common::noise(9, 6_000_000);
    let sent = bytes.clone();
    let backend = Backend::start(move |mut stream| {
        let _ = stream.read(&mut [0; 16]);
        let _ = stream.write_all(&sent);
    });
    let balancer = tls(&authority, &backend);
    let mut client = authority.client(&balancer);
    client.write_all(b"go").unwrap();
    // Nothing is read until the balancer cannot go on: it sleeps with its buffers full.
    wait_until_asleep(&balancer);
    let mut came = Vec::new();
    client.read_to_end(&mut came).unwrap();
    assert!(came == bytes, "{} of {}", came.len(), bytes.len());
    drop(client);
    balancer.wait_until_idle();
}
