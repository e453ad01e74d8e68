//! A machine whose local ports are all taken: that is no fault of the backends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::until;

use super::alone;
use super::lab::{Machine, PROGRAM, cannot};
use super::load::{backends, connect};

/// So many connections to one address can be.
const PORTS: usize = 8;

const ASKS: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// One that has its ports for itself.
fn client(machine: &Machine, to: SocketAddr) -> TcpStream {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let own = format!("127.1.{}.{}", number / 200, number % 200 + 1);
    machine.inside(|| connect(Some(&own), to)).expect("it listens")
}

fn status(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).expect("an answer");
    String::from_utf8_lossy(&begin).into_owned()
}

#[test]
fn where_no_local_port_is_left_no_backend_goes_down_for_that() {
    if cannot(&[]) {
        return;
    }
    let _alone = alone();
    let machine = Machine::start("lb");
    backends(&machine, &[("one", "127.0.0.1:9000")]);
    machine
        .run(&format!("sysctl -q -w net.ipv4.ip_local_port_range='40000 {}'", 39_999 + PORTS));
    machine.run("sysctl -q -w net.ipv4.tcp_tw_reuse=0");
    let flags = "-l http://127.0.0.1:8001 -b 127.0.0.1:9000 --check tcp --check-interval 100ms \
                 --fall 1 --log-level debug";
    machine.spawn(&format!("{PROGRAM} {flags}"), "pointsman");
    let to: SocketAddr = "127.0.0.1:8001".parse().expect("an address");
    until("it listens", || {
        machine.output("grep -q 'listening on http' /run/pointsman.log").status.success()
    });
    // Each holds a connection to the backend, until there is none to be had.
    let mut held = Vec::new();
    for _ in 0..PORTS + 4 {
        let mut stream = client(&machine, to);
        stream
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1234")
            .expect("up");
        held.push(stream);
    }
    until("probes are skipped", || {
        machine.log("pointsman").contains("not probed: no local port is left")
    });
    let log = machine.log("pointsman");
    assert!(!log.contains(" is down after"), "{log}");
    // The last ones found no port, and the backend is not to blame.
    let mut last = client(&machine, to);
    last.write_all(ASKS).expect("it listens");
    assert_eq!(status(&mut last), "HTTP/1.1 503");
    drop(held);
    until("there are ports again", || {
        let mut stream = client(&machine, to);
        stream.write_all(ASKS).expect("it listens");
        status(&mut stream) == "HTTP/1.1 200"
    });
}
