//! Streams are taken in large pieces, and what is waited for never stays behind: not before a
//! pause, not between two messages, not at an end, not behind a reader that was slow.
//!
//! What is waited for depends on who gets the processor, so this has a binary to itself.

#[path = "../common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, mpsc};

use common::http::{Origin, Wire, before, before_backends, get, narrow, ok, post};
use common::measure::only_linux;
use common::trace::Trace;
use common::{Backend, Balancer, DEADLINE, front_args, noise, until, write_on_thread};

const QUIET: &[&str] = &["--log-level", "info"];
const MIB: usize = 1 << 20;

/// A client's connection and the backend's end of it.
fn ends(balancer: &Balancer, streams: &mpsc::Receiver<TcpStream>) -> (TcpStream, TcpStream) {
    let client = balancer.connect();
    (&client).write_all(b"hello").expect("taken");
    let server = streams.recv_timeout(DEADLINE).expect("connected");
    expect(&server, b"hello");
    (client, server)
}

/// Read so many bytes, which have to be these.
#[track_caller]
fn expect(mut stream: &TcpStream, wanted: &[u8]) {
    let mut got = vec![0; wanted.len()];
    stream.read_exact(&mut got).expect("all of it comes");
    assert!(got == wanted, "and is what was sent");
}

/// Send all of it one way, without an end.
#[track_caller]
fn carry(from: &TcpStream, to: &TcpStream, bytes: &[u8]) {
    let writer = write_on_thread(from, bytes.to_vec(), false);
    expect(to, bytes);
    writer.join().expect("no panic").expect("taken");
}

/// If the last piece before a pause stayed behind, the reader would wait for it, and the writer for
/// the reader.
#[test]
fn the_last_piece_before_a_pause_arrives() {
    let (backend, streams) = Backend::manual();
    let balancer = Balancer::before(&[&backend], QUIET);
    let (client, server) = ends(&balancer, &streams);
    for round in 0..8 {
        // Odd ends, smaller than any piece that is waited for.
        let bytes = noise(round, 5 * MIB + 1 + 70_001 * round as usize);
        carry(&server, &client, &bytes);
        carry(&client, &server, &bytes);
    }
    client.shutdown(Shutdown::Write).expect("connected");
    assert_eq!((&server).read(&mut [0]).expect("an end"), 0);
}

#[test]
fn streams_both_ways_with_readers_that_begin_late_arrive_whole() {
    let (backend, streams) = Backend::manual();
    let balancer = Balancer::before(&[&backend], QUIET);
    let (client, server) = ends(&balancer, &streams);
    for (down, up) in [(noise(1, 24 * MIB), noise(2, 32 * MIB + 5)), (noise(3, 9), noise(4, 9))]
    {
        let writers = [
            write_on_thread(&server, down.clone(), false),
            write_on_thread(&client, up.clone(), false),
        ];
        // One reader comes only after the other has read all: its stream was stopped meanwhile.
        expect(&client, &down);
        expect(&server, &up);
        for writer in writers {
            writer.join().expect("no panic").expect("taken");
        }
    }
}

/// A backend's connection that carried a long answer hears of a short one at once, and is kept.
#[test]
fn long_and_short_messages_take_turns_on_one_connection() {
    let long = noise(7, 3 * MIB + 17);
    let answer = long.clone();
    let origin = Origin::start(move |request, wire| match request.target() {
        "/long" => wire.try_say(ok(&answer)),
        _ => wire.try_say(ok(request.body.len().to_string())),
    });
    let balancer = before(&[&origin], QUIET);
    let mut client = Wire::to(&balancer);
    for _ in 0..8 {
        assert!(client.ask(get("/long")).body == long);
        assert_eq!(client.ask(get("/short")).text(), "0");
        assert_eq!(client.ask(post("/up", &long)).text(), long.len().to_string());
    }
    assert_eq!(origin.backend.accepted(), 1);
}

/// What is here of a body that stalls reaches the client before the rest is here.
#[test]
fn a_body_that_stalls_is_passed_on_as_far_as_it_came() {
    let (passed, on) = mpsc::channel();
    let on = Mutex::new(on);
    let body = noise(9, 4 * MIB);
    let parts: Vec<Vec<u8>> = body.chunks(MIB + 100_003).map(<[u8]>::to_vec).collect();
    let said = parts.clone();
    let origin = Origin::start(move |_, wire| {
        wire.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 4 * MIB));
        for part in &said {
            wire.say(part);
            let waited = on.lock().expect("no panic before").recv_timeout(DEADLINE);
            waited.expect("the client has it");
        }
        true
    });
    let balancer = before(&[&origin], QUIET);
    let mut client = Wire::to(&balancer);
    for _ in 0..3 {
        client.say(get("/"));
        client.head().expect("an answer");
        for part in &parts {
            assert!(client.exactly(part.len()).expect("all of it comes") == *part);
            passed.send(()).expect("the backend waits");
        }
    }
}

/// While a client takes nothing, its backend's connection is not listened to; in the idle list it
/// is again.
#[test]
fn a_kept_connection_that_was_stopped_hears_its_backend_close() {
    let (close, closes) = mpsc::channel();
    let closes = Mutex::new(closes);
    let body = noise(11, 8 * MIB);
    let answer = ok(&body);
    let origin = Origin::start(move |_, wire| {
        wire.say(&answer);
        let told = closes.lock().expect("no panic before").recv_timeout(DEADLINE);
        told.expect("the client is done");
        false
    });
    let balancer = before(&[&origin], QUIET);
    for _ in 0..4 {
        let mut client = narrow(&balancer);
        client.say(get("/"));
        let mut message = client.head().expect("an answer");
        assert!(client.body(&mut message, true) && message.body == body);
        let held = balancer.descriptors();
        close.send(()).expect("the backend waits");
        until("the connection is let go", || balancer.descriptors() < held);
    }
}

/// That a backend closed behind its answer is not heard while the client is slow. The next request
/// is here already, and must not be sent to nobody.
#[test]
fn the_request_behind_a_slow_answer_does_not_go_to_a_backend_that_left() {
    let answer = ok(noise(12, 8 * MIB));
    let origin = Origin::start(move |request, wire| match request.target() {
        "/long" => wire.part(&answer),
        _ => wire.try_say(ok("done")),
    });
    let balancer = before(&[&origin], QUIET);
    for _ in 0..4 {
        let mut client = narrow(&balancer);
        client.say([get("/long").as_bytes(), &post("/", "x")].concat());
        assert_eq!(client.answer().body.len(), 8 * MIB);
        let answer = client.answer();
        assert_eq!((answer.status(), answer.text()), (200, "done".to_string()));
    }
}

/// A client that is told early that its body is not wanted is heard out, however it sends.
#[test]
fn an_upload_that_is_refused_half_way_gets_its_answer() {
    let (backend, streams) = Backend::manual();
    let balancer = before_backends(&[&backend], QUIET);
    for seed in 0..4 {
        let mut client = Wire::to(&balancer);
        let body = noise(seed, 6 * MIB);
        client
            .say(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 8 * MIB));
        let mut server = Wire::new(streams.recv_timeout(DEADLINE).expect("connected"));
        server.head().expect("a request");
        let writer = write_on_thread(&client.stream, body, false);
        server.exactly(4 * MIB).expect("half of it");
        let no = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\nconnection: close";
        server.say(format!("{no}\r\n\r\nno"));
        drop(server);
        assert_eq!(client.answer().status(), 413);
        // Whether all of the rest was taken is not promised.
        let _ = writer.join().expect("no panic");
    }
}

/// Answers each question, which is a number, with as many zeros.
fn zeros() -> Backend {
    Backend::start(|mut stream| {
        let zeros = vec![0; 1 << 18];
        let mut question = [0; 8];
        while stream.read_exact(&mut question).is_ok() {
            let mut left = u64::from_be_bytes(question) as usize;
            while left > 0 {
                let piece = left.min(zeros.len());
                if stream.write_all(&zeros[..piece]).is_err() {
                    return;
                }
                left -= piece;
            }
        }
    })
}

fn ask_for(mut client: &TcpStream, size: usize) {
    client.write_all(&(size as u64).to_be_bytes()).expect("taken");
    let mut buffer = vec![0; 1 << 18];
    let mut left = size;
    while left > 0 {
        let room = left.min(buffer.len());
        let count = client.read(&mut buffer[..room]).expect("all of it comes");
        assert!(count > 0, "{left} are missing");
        left -= count;
    }
}

/// How often a piece was waited for while this was asked for on one connection: a mark of one byte
/// is no wait, and is set again behind each pause of the client.
fn waits(sizes: impl Iterator<Item = usize>) -> Option<usize> {
    let backend = zeros();
    let (balancer, trace) = Trace::start(&front_args(&[&backend], QUIET))?;
    let client = balancer.connect();
    sizes.for_each(|size| ask_for(&client, size));
    drop(client);
    balancer.stop();
    let is_wait = |line: &&str| line.contains("SO_RCVLOWAT") && !line.contains("RCVLOWAT, [1]");
    Some(trace.text().lines().filter(is_wait).count())
}

/// Nobody waits for the last piece of a message until a timer ends that: of a message no piece is
/// waited for, nor is it after many of them.
#[test]
fn whoever_asks_for_messages_is_not_made_to_wait_for_their_ends() {
    for (size, count) in [
        (1_000, 100),
        (64_000, 100),
        (300_000, 100),
        (700_000, 100),
        (1_500_000, 100),
        (3_000_000, 50),
        (8_388_608, 20),
    ] {
        let Some(waits) = waits(std::iter::repeat_n(size, count)) else { return };
        assert_eq!(waits, 0, "waits in {count} messages of {size}");
    }
}

/// A stream is waited for in pieces, and so is the next one on its connection, from early on.
#[test]
fn streams_are_waited_for_in_pieces() {
    if !only_linux("SO_RCVLOWAT") {
        return;
    }
    let (Some(none), Some(once), Some(twice)) = (
        waits([8 * MIB].into_iter()),
        waits([160 * MIB].into_iter()),
        waits([160 * MIB, 8 * MIB].into_iter()),
    ) else {
        return;
    };
    assert_eq!(none, 0);
    assert!(once > 2, "{once} waits for a piece");
    println!("{once} waits, and with the beginning of another stream {twice}");
}
