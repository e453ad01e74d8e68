//! Who shakes hands badly again and again is banned; who only looks whether we listen is not.

use std::io::Write;

use crate::authority::Authority;
use crate::common::{Backend, Balancer, connect_from, read_to_end};

/// A record of a handshake in which there is none.
const NO_HELLO: &[u8] = b"\x16\x03\x01\x00\x05hello";

fn shake_badly(balancer: &Balancer, at: usize, source: &str, times: usize) {
    for _ in 0..times {
        let mut stream = connect_from(source, balancer.addresses[at]);
        stream.write_all(NO_HELLO).unwrap();
        let said = read_to_end(&stream).bytes();
        assert_eq!(said.first(), Some(&21), "an alert: {said:?}");
    }
}

fn is_banned(balancer: &Balancer, at: usize, source: &str) -> bool {
    let mut stream = connect_from(source, balancer.addresses[at]);
    // An alert, or nothing at all.
    stream.write_all(NO_HELLO).is_err() || !matches!(read_to_end_of(&stream), Some(21))
}

fn read_to_end_of(stream: &std::net::TcpStream) -> Option<u8> {
    match read_to_end(stream) {
        crate::common::End::Finished(bytes) => bytes.first().copied(),
        crate::common::End::Reset(_) => None,
    }
}

#[test]
fn handshakes_that_fail_are_strikes_and_silence_is_none() {
    let authority = Authority::new("strikes");
    let backend = Backend::named("a");
    let flag = backend.flag();
    let pair = authority.pair(&["localhost"]);
    let front = ["-l", "https://127.0.0.1:0", "-l", "sni://127.0.0.1:0", "--ban-after", "3"];
    let behind = ["--check", "none", "-b", &flag];
    let balancer = Balancer::start(&[&front[..], &behind, &pair.flags()].concat());
    for (at, source, other) in [(0, "127.0.0.2", "127.0.0.3"), (1, "127.0.0.4", "127.0.0.5")] {
        for _ in 0..10 {
            drop(connect_from(other, balancer.addresses[at]));
        }
        shake_badly(&balancer, at, other, 1);
        shake_badly(&balancer, at, source, 3);
        assert!(is_banned(&balancer, at, source));
        assert!(is_banned(&balancer, 1 - at, source), "at every listener");
        assert!(!is_banned(&balancer, at, other));
    }
    balancer.stop();
}
