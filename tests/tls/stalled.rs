//! What the kernel holds for clients that read of a stream and then nothing.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use crate::authority::{Authority, Client};
use crate::common::http::get;
use crate::common::measure::{Queue, only_linux, queues};
use crate::common::{Backend, Balancer, until};

const CLIENTS: usize = 20;
const MIB: usize = 1 << 20;

/// An answer that does not end in our days.
fn endless() -> Backend {
    Backend::start(|mut stream| {
        let mut question = [0; 512];
        let zeros = vec![0; 256 * 1024];
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40);
        if stream.read(&mut question).is_ok() && stream.write_all(head.as_bytes()).is_ok() {
            while stream.write_all(&zeros).is_ok() {}
        }
    })
}

#[test]
fn what_is_held_for_stalled_readers_through_tls_is_bounded() {
    if !only_linux("TCP_NOTSENT_LOWAT") {
        return;
    }
    let authority = Authority::new("stalled");
    let backend = endless();
    let pair = authority.pair(&["localhost"]);
    let flag = backend.flag();
    let front = ["-l", "https://127.0.0.1:0", "--check", "none", "-b", &flag];
    let quiet = ["--log-level", "info"];
    let balancer = Balancer::start(&[&front[..], &pair.flags(), &quiet].concat());
    let stall = |_| -> Client {
        let mut client = authority.client(&balancer);
        client.write_all(get("/").as_bytes()).expect("taken");
        let mut buffer = vec![0; 64 * 1024];
        let mut left = 8 * MIB;
        while left > 0 {
            left -= client.read(&mut buffer).expect("more of it").min(left);
        }
        client
    };
    let stalled: Vec<Client> = (0..CLIENTS).map(stall).collect();
    let held = || {
        let from_backend = queues(Queue::ReceivedFrom(backend.address.port()));
        let for_client = queues(Queue::SentBy(balancer.address().port()));
        (from_backend, for_client)
    };
    let mut now = held();
    until("the queues are full", || {
        thread::sleep(Duration::from_millis(200));
        let before = std::mem::replace(&mut now, held());
        before == now
    });
    let (from_backend, for_client) = now;
    println!("{from_backend:?} from the backend, {for_client:?} for clients");
    assert_eq!((from_backend.len(), for_client.len()), (CLIENTS, CLIENTS));
    // What was let through before it was known as a stream may be there as well.
    assert!(for_client[CLIENTS / 2] <= 3 * MIB / 2 && for_client[CLIENTS - 1] <= 2 * MIB);
    // What is copied is not bounded, but stays small.
    assert!(from_backend[CLIENTS / 2] <= 2 * MIB);
    balancer.stop_after(stalled);
}
