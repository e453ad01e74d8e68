//! After 101 an exchange is a tunnel, as a WebSocket is: bytes both ways, each end passed on.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use crate::common::http::{Origin, Wire, before, before_backends, get, ok};
use crate::common::{Backend, End, noise, read_to_end, until, with_deadline, write_on_thread};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                      Upgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n";

/// Switches if asked to, greets in the same breath, and echoes from then on.
fn echo() -> Backend {
    Backend::start(|stream| {
        let mut wire = Wire::new(with_deadline(stream));
        while let Some(request) = wire.request() {
            if request.field("upgrade") != "websocket" {
                wire.say(ok("no"));
                continue;
            }
            assert_eq!(request.field("connection"), "Upgrade");
            assert_eq!(request.field("sec-websocket-key"), "x3JJHMbDL1EzLkh9GBhXDw==");
            wire.say(format!("{SWITCH}welcome"));
            let mut buffer = vec![0; 64 * 1024];
            let early = wire.take_read();
            if !early.is_empty() {
                wire.say(early);
            }
            while let Ok(count @ 1..) = wire.stream.read(&mut buffer) {
                if !wire.try_say(&buffer[..count]) {
                    return;
                }
            }
            return;
        }
    })
}

#[test]
fn forty_tunnels_of_all_sizes() {
    let backend = echo();
    let balancer = before_backends(&[&backend], &["--log-level", "info"]);
    let sizes = [0, 1, 100, 10_000, 300_000, 2_000_000];
    let one = |number: u64, wire: Wire| {
        thread::spawn(move || {
            let mut wire = wire;
            let body = noise(number, sizes[number as usize % sizes.len()]);
            // Some do not wait for the switch.
            let early = if number % 4 == 3 { body.len().min(1000) } else { 0 };
            wire.say([ASK.as_bytes(), &body[..early]].concat());
            let switch = wire.head().expect("an answer");
            assert_eq!((switch.status(), switch.field("upgrade")), (101, "websocket"));
            assert_eq!(switch.field("sec-websocket-accept"), "y");
            assert_eq!(wire.exactly(7).unwrap(), b"welcome");
            let writing = write_on_thread(&wire.stream, body[early..].to_vec(), true);
            let mut back = wire.take_read();
            back.extend(read_to_end(&wire.stream).bytes());
            writing.join().unwrap().unwrap();
            assert!(back == body, "{number}: {} of {} bytes", back.len(), body.len());
        })
    };
    let tunnels: Vec<_> = (0..40).map(|number| one(number, Wire::to(&balancer))).collect();
    tunnels.into_iter().for_each(|tunnel| tunnel.join().unwrap());
    balancer.wait_until_idle();
    assert_eq!((backend.accepted(), balancer.count("failed")), (40, 0));
    balancer.stop();
}

#[test]
fn a_tunnel_is_half_closed_by_either_side() {
    let (backend, streams) = Backend::manual();
    let balancer = before_backends(&[&backend], &[]);
    for backend_first in [true, false] {
        let mut client = Wire::to(&balancer);
        client.say(ASK);
        let mut server = Wire::new(streams.recv_timeout(crate::common::DEADLINE).unwrap());
        server.request().unwrap();
        server.say(SWITCH);
        assert_eq!(client.head().unwrap().status(), 101);
        let (first, second) = if backend_first { (server, client) } else { (client, server) };
        first.say("last words");
        first.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&second.stream).bytes(), b"last words");
        second.say(noise(1, 100_000));
        second.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&first.stream), End::Finished(noise(1, 100_000)));
        balancer.wait_until_idle();
    }
    balancer.stop();
}

#[test]
fn a_reset_tears_the_tunnel() {
    let (backend, streams) = Backend::manual();
    let balancer = before_backends(&[&backend], &[]);
    let mut client = Wire::to(&balancer);
    client.say(ASK);
    let mut server = Wire::new(streams.recv_timeout(crate::common::DEADLINE).unwrap());
    server.request().unwrap();
    server.say(SWITCH);
    client.head().unwrap();
    crate::common::reset(server.stream);
    assert!(read_to_end(&client.stream).is_reset());
    balancer.stop();
}

#[test]
fn who_is_not_switched_goes_on_with_http() {
    let origin = Origin::named("plain");
    let balancer = before(&[&origin], &[]);
    let mut client = Wire::to(&balancer);
    for _ in 0..3 {
        assert_eq!(client.ask(ASK).text(), "plain");
        assert_eq!(client.ask(get("/")).text(), "plain");
    }
    assert_eq!(origin.backend.accepted(), 1);
    balancer.stop_after(client);
}

#[test]
fn a_switch_on_a_reused_connection() {
    let backend = echo();
    let balancer = before_backends(&[&backend], &[]);
    let mut client = Wire::to(&balancer);
    assert_eq!(client.ask(get("/")).text(), "no");
    client.say(ASK);
    assert_eq!(client.head().unwrap().status(), 101);
    assert_eq!(client.exactly(7).unwrap(), b"welcome");
    assert_eq!(crate::common::ask(&client.stream, b"hello"), b"hello");
    // It belongs to this client alone now.
    assert_eq!(Wire::to(&balancer).ask(get("/")).text(), "no");
    assert_eq!(backend.accepted(), 2);
    drop(client);
    balancer.wait_until_idle();
    balancer.stop();
}

#[test]
fn a_switch_before_the_question_is_none() {
    // Says 101 to whoever connects, and reads nothing.
    let rash = Backend::start(|mut stream| {
        let _ = stream.write_all(SWITCH.as_bytes());
        let _ = stream.write_all(b"welcome");
        thread::sleep(std::time::Duration::from_millis(300));
    });
    let balancer = before_backends(&[&rash], &[]);
    for _ in 0..5 {
        let mut client = Wire::to(&balancer);
        client.say(ASK);
        let _ = client.stream.read(&mut [0; 1000]);
    }
    until("it lives, and nothing is left", || balancer.count("open of") == 0);
    balancer.stop();
}
