//! What must not get worse of HTTP, as numbers: memory of idle clients, and of large bodies.
//!
//! Only a release build can tell. The gates take turns, so that none disturbs another.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Barrier};
use std::thread;

use crate::alone;
use crate::common::http::{Origin, Wire, before, before_backends, get};
use crate::common::measure::{is_release, private_dirty, raise_descriptor_limit, skip};
use crate::common::{Backend, Balancer, connect, with_deadline};

const QUIET: &[&str] = &["--log-level", "info"];

const BODY_BYTES: usize = 8 * 1024 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;

#[test]
fn an_idle_client_costs_at_most_0_3_kibibytes() {
    if !is_release("the memory of idle clients") {
        return;
    }
    let _alone = alone();
    const CLIENTS: usize = 6000;
    let limit = raise_descriptor_limit();
    if limit < CLIENTS as u64 + 500 {
        return skip(&format!("{CLIENTS} clients need more than {limit} descriptors"));
    }
    let origin = Origin::named("a");
    let balancer = before(&[&origin], QUIET);
    // A head that comes in pieces has to be kept, but no longer than until it is whole.
    let line = "GET / HTTP/1.1\r\nHost: test\r\nPad: ";
    let fields = "x".repeat(4_000);
    let exchange = || {
        let mut wire = Wire::to(&balancer);
        wire.stream.set_nodelay(true).expect("an option");
        assert_eq!(wire.ask(get("/")).text(), "a");
        wire.say([line, &fields].concat());
        wire.say("\r\n");
        assert_eq!(wire.ask("\r\n").text(), "a");
        wire
    };
    // The first ones pay for what is there once.
    let mut clients: Vec<Wire> = (0..10).map(|_| exchange()).collect();
    let empty = private_dirty(&balancer);
    clients.extend((0..CLIENTS).map(|_| exchange()));
    let full = private_dirty(&balancer);
    let each = (full - empty) / CLIENTS as f64;
    println!("memory: {empty} bytes, with {CLIENTS} more clients {full}: {each:.0} bytes each");
    assert!(each <= 307.2, "{each} bytes a client");
    assert_eq!(origin.backend.accepted(), 1, "one connection served them all");
}

#[test]
fn two_hundred_bodies_of_8_mib_both_ways_take_at_most_64_mib() {
    if !is_release("the memory of large bodies") {
        return;
    }
    let _alone = alone();
    const CLIENTS: usize = 200;
    raise_descriptor_limit();
    let backend = Backend::start(answer_what_comes);
    let balancer = before_backends(&[&backend], QUIET);
    let address = balancer.address();
    let together = Arc::new(Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let together = Arc::clone(&together);
            thread::spawn(move || send_and_take(address, number % 2 == 0, &together))
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), BODY_BYTES);
    }
    let most = high_water(&balancer);
    println!("memory: at most {} KiB with {CLIENTS} bodies both ways", most / 1024);
    assert!(most <= 64 * 1024 * 1024, "{most} bytes");
}

/// Send a body while the answer is read; how large that is.
fn send_and_take(address: SocketAddr, chunked: bool, together: &Barrier) -> usize {
    let mut wire = Wire::new(connect(address));
    let framing = match chunked {
        true => "Transfer-Encoding: chunked".to_string(),
        false => format!("Content-Length: {BODY_BYTES}"),
    };
    wire.say(format!("POST / HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n"));
    together.wait();
    let mut writer = wire.stream.try_clone().expect("a descriptor");
    let sender = thread::spawn(move || send_body(&mut writer, chunked));
    let head = wire.head().expect("an answer");
    assert_eq!(head.status(), 200);
    assert_eq!(head.field("transfer-encoding") == "chunked", chunked);
    let size = take_body(&mut wire, chunked, |_| ());
    assert!(sender.join().expect("no panic"), "all of it was taken");
    size
}

/// Answers a body with itself, piece by piece and in the same framing.
fn answer_what_comes(stream: TcpStream) {
    let mut wire = Wire::new(with_deadline(stream));
    let Some(request) = wire.head() else { return };
    let chunked = request.field("transfer-encoding") == "chunked";
    let framing = match chunked {
        true => "Transfer-Encoding: chunked",
        false => request.head.lines().find(|l| l.starts_with("Content-Length")).expect("it is"),
    };
    wire.say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
    let mut writer = wire.stream.try_clone().expect("a descriptor");
    take_body(&mut wire, chunked, |piece| {
        let sent = match chunked {
            true => writer.write_all(&as_chunk(piece)),
            false => writer.write_all(piece),
        };
        sent.expect("the answer is taken");
    });
}

fn send_body(stream: &mut TcpStream, chunked: bool) -> bool {
    let plain = vec![b'x'; CHUNK_BYTES];
    let piece = if chunked { as_chunk(&plain) } else { plain };
    let sent = (0..BODY_BYTES / CHUNK_BYTES).try_for_each(|_| stream.write_all(&piece));
    let end = if chunked { as_chunk(&[]) } else { Vec::new() };
    sent.and_then(|()| stream.write_all(&end)).is_ok()
}

fn as_chunk(payload: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", payload.len()).as_bytes(), payload, b"\r\n"].concat()
}

/// Read a body piece by piece; its size.
fn take_body(wire: &mut Wire, chunked: bool, mut each: impl FnMut(&[u8])) -> usize {
    let mut size = 0;
    while size < BODY_BYTES || chunked {
        let next = if chunked { chunk_size(wire) } else { CHUNK_BYTES };
        let piece = wire.exactly(next).unwrap_or_else(|| panic!("an end after {size} bytes"));
        assert!(piece.iter().all(|&byte| byte == b'x'), "nothing but payload");
        size += piece.len();
        each(&piece);
        if chunked {
            assert_eq!(wire.exactly(2).as_deref(), Some(&b"\r\n"[..]));
            if next == 0 {
                break;
            }
        }
    }
    size
}

fn chunk_size(wire: &mut Wire) -> usize {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.extend(wire.exactly(1).expect("a chunk size"));
    }
    let text = String::from_utf8(line).expect("text");
    usize::from_str_radix(text.trim_end(), 16).expect("a bare chunk size")
}

/// The most memory that it ever had, in bytes.
fn high_water(balancer: &Balancer) -> usize {
    let path = format!("/proc/{}/status", balancer.pid());
    let status = std::fs::read_to_string(path).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}
