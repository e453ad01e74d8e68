//! Bytes through the real binary: both directions, both ways to end.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Backend, Balancer, noise, until};

#[test]
fn the_bytes_out_are_the_bytes_in() {
    let backend = Backend::echo();
    let balancer = Balancer::start(&["-l", "127.0.0.1:0", "-b", &backend.flag()]);
    for size in [0, 1, 100, 128 * 1024, 128 * 1024 + 1, 20_000_000] {
        let sent = noise(size as u64, size);
        let mut client = balancer.connect();
        let mut writer = client.try_clone().unwrap();
        let copy = sent.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        writing.join().unwrap();
        assert!(sent == received, "{size} bytes: {} came back", received.len());
    }
    balancer.stop();
}

/// Its connection must be there before the client has said anything: an ACK that waits for the
/// client's first bytes waits for 200 ms.
#[test]
fn a_backend_that_speaks_first_is_heard_at_once() {
    let backend = Backend::named("welcome");
    let balancer =
        Balancer::start(&["-l", "127.0.0.1:0", "-b", &backend.flag(), "--check", "none"]);
    let greeted_within = || {
        let began = Instant::now();
        let mut client = balancer.connect();
        client.read_exact(&mut [0; 7]).unwrap();
        began.elapsed()
    };
    // One that no busy machine held up is enough: if it waits, it waits each time.
    until("it is greeted at once", || greeted_within() < Duration::from_millis(100));
    balancer.stop();
}
