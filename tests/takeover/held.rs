//! How long datagrams wait while flows go from one process to the other.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::udp::{UdpBackend, ask_text, client};
use crate::{Place, ends};

/// `FLOWS=8000 cargo test --release --test takeover held -- --nocapture`
fn flows() -> usize {
    std::env::var("FLOWS").ok().and_then(|it| it.parse().ok()).unwrap_or(1000)
}

/// The longest that an answer took, of one client after the other.
fn longest(clients: &[UdpSocket], is_over: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    for it in clients.iter().cycle() {
        let asked = Instant::now();
        assert_eq!(ask_text(it, "held"), "held");
        longest = longest.max(asked.elapsed());
        if is_over.load(Ordering::SeqCst) {
            return longest;
        }
    }
    longest
}

#[test]
fn datagrams_are_held_for_a_moment_and_all_flows_go_on() {
    let backend = UdpBackend::echo();
    let flag = backend.flag();
    let place =
        Place::new("held", &["-l", "udp://127.0.0.1:0", "-b", &flag, "--log-level", "info"]);
    let mut old = place.start();
    let clients: Vec<UdpSocket> = (0..flows()).map(|_| client(old.address())).collect();
    clients.iter().for_each(|it| assert_eq!(ask_text(it, "begin"), "begin"));
    let quiet = longest(&clients[..100], &AtomicBool::new(true));
    let clients = Arc::new(clients);
    for _ in 0..3 {
        let is_over = Arc::new(AtomicBool::new(false));
        let asker = {
            let is_over = Arc::clone(&is_over);
            let clients = Arc::clone(&clients);
            thread::spawn(move || longest(&clients, &is_over))
        };
        let new = place.next();
        new.wait_for_log(&format!(
            "{0} flows of {0} of the process before go on",
            clients.len()
        ));
        is_over.store(true, Ordering::SeqCst);
        let held = asker.join().expect("no panic");
        eprintln!("{} flows: held for {held:?}, else {quiet:?}", clients.len());
        ends(std::mem::replace(&mut old, new));
    }
    old.stop();
}
