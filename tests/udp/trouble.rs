//! Datagrams when calls fail, when there is nothing left, and when there are too many.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::udp::{UdpBackend, client, count, udp_args};
use crate::common::{Backend, Balancer, until};

/// A probe that would bring the backend down again if anything were held against it.
const CHECKS: &[&str] = &["--check", "udp:ping", "--fall", "1", "--rise", "1"];

/// A second backend, so that the first is not the last one, which would be kept in any case.
fn with_checks(backends: [&UdpBackend; 2], more: &[&str]) -> Vec<&'static str> {
    udp_args(&backends, &[CHECKS, more].concat())
}

/// Under `strace`, which lets system calls fail as told; `None` where it cannot.
fn with_failing_calls(inject: &str, args: &[&str]) -> Option<Balancer> {
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        crate::common::measure::skip("no strace here, or it is not allowed");
        return None;
    }
    let mut strace = Command::new("strace");
    strace.args(["-f", "-D", "-qq", "-o", "/dev/null", "-e", inject]);
    strace.arg(env!("CARGO_BIN_EXE_pointsman"));
    Some(Balancer::start_command(strace, args))
}

/// The calls that carry datagrams here.
const RECEIVE: &str = if cfg!(linux) { "recvmmsg" } else { "recvfrom" };
const SEND: &str = if cfg!(linux) { "sendmmsg" } else { "sendto" };

/// Many questions at once from several clients; how many had no answer.
fn unanswered(balancer: &Balancer) -> usize {
    let clients: Vec<UdpSocket> = (0..8).map(|_| client(balancer.address())).collect();
    for number in 0..20_u8 {
        clients.iter().for_each(|client| drop(client.send(&[number; 100])));
    }
    until("all went back or were dropped", || {
        count(balancer, "back") + count(balancer, "dropped") == 160
    });
    let mut lost = 0;
    for client in &clients {
        client.set_read_timeout(Some(Duration::from_millis(50))).expect("not zero");
        let mut buffer = [0; 200];
        let heard = (0..20).take_while(|_| client.recv(&mut buffer).is_ok()).count();
        lost += 20 - heard;
    }
    lost
}

#[test]
fn pitfall_18_a_receive_that_fails_strands_nobody() {
    let echo = [UdpBackend::echo(), UdpBackend::echo()];
    for error in ["EINTR", "ENOMEM", "EMSGSIZE", "ENOBUFS", "ECONNRESET"] {
        let inject = format!("inject={RECEIVE}:error={error}:when=1+3");
        let args = udp_args(&[&echo[0], &echo[1]], &[]);
        let Some(balancer) = with_failing_calls(&inject, &args) else { return };
        assert_eq!(unanswered(&balancer), 0, "{error}");
        assert!(balancer.udp_line().contains("160 back, 0 dropped"), "{error}");
        balancer.stop();
    }
}

#[test]
fn interrupted_sends_are_repeated_and_failed_ones_counted() {
    let echo = [UdpBackend::echo(), UdpBackend::echo()];
    let args = udp_args(&[&echo[0], &echo[1]], &[]);
    let inject = format!("inject={SEND}:error=EINTR:when=1+2");
    let Some(balancer) = with_failing_calls(&inject, &args) else { return };
    assert_eq!(unanswered(&balancer), 0);
    balancer.stop_despite_faults();
    for error in ["EPERM", "EAGAIN"] {
        let inject = format!("inject={SEND}:error={error}:when=2+3");
        let Some(balancer) = with_failing_calls(&inject, &args) else { return };
        let lost = unanswered(&balancer);
        assert!(lost > 0, "{error} was never injected");
        // To the backend or back: what is lost is what is counted.
        let page = balancer.udp_line();
        assert!(
            page.contains(&format!("{} back, {lost} dropped", 160 - lost)),
            "{error}: {page}"
        );
        balancer.stop_despite_faults();
    }
}

/// `connect` says EAGAIN when there is no local port left.
#[test]
fn a_lack_of_ports_is_not_the_backends_fault() {
    let echo = [UdpBackend::echo(), UdpBackend::echo()];
    let args = with_checks([&echo[0], &echo[1]], &["--check-interval", "1h"]);
    let Some(balancer) = with_failing_calls("inject=connect:error=EAGAIN:when=8+2", &args)
    else {
        return;
    };
    let clients: Vec<UdpSocket> = (0..30).map(|_| client(balancer.address())).collect();
    let mut tries = 0;
    for client in &clients {
        client.set_read_timeout(Some(Duration::from_millis(200))).expect("not zero");
        let mut buffer = [0; 16];
        until("it is answered in the end", || {
            tries += 1;
            client.send(b"question").is_ok() && client.recv(&mut buffer).is_ok()
        });
    }
    assert!(tries > 35, "only {tries} tries: ports never lacked");
    let log = balancer.log();
    assert!(log.contains("no socket for a new flow with "), "{log}");
    assert!(!log.contains("is down"), "{log}");
    balancer.stop();
}

#[test]
fn out_of_descriptors_the_longest_idle_flow_gives_way() {
    let echo = [UdpBackend::echo(), UdpBackend::echo()];
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 50; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_pointsman")]);
    let args = with_checks([&echo[0], &echo[1]], &["--max-flows", "1000"]);
    let balancer = Balancer::start_command(shell, &args);
    balancer.wait_for_log("--max-flows 1000 is more than the limit of 50 open files allows");
    let clients: Vec<UdpSocket> = (0..60).map(|_| client(balancer.address())).collect();
    for client in &clients {
        client.set_read_timeout(Some(Duration::from_millis(100))).expect("not zero");
        let mut buffer = [0; 16];
        // Whoever answered within the last second stays; then the next one gets in.
        until("it is answered in the end", || {
            client.send(b"question").is_ok() && client.recv(&mut buffer).is_ok()
        });
    }
    let log = balancer.log();
    assert!(!log.contains("is down"), "{log}");
    assert!(log.contains("gave way to another one; 1 datagrams sent on, 1 answered"), "{log}");
    balancer.stop();
}

#[test]
fn a_flood_of_datagrams_leaves_tcp_its_turn() {
    let tcp = Backend::echo();
    let udp = UdpBackend::start_at(tcp.address, |_| Vec::new());
    let flags = ["-l", "tcp://127.0.0.1:0", "--log-level", "info"];
    let balancer = Balancer::start(&udp_args(&[&udp], &flags));
    let to = balancer.addresses[0];
    let over = Arc::new(AtomicBool::new(false));
    let flood = |_| {
        let over = Arc::clone(&over);
        thread::spawn(move || flood(to, &over))
    };
    let floods: Vec<_> = (0..2).map(flood).collect();
    until("the flood is here", || udp.received() > 1000);
    let asking = crate::common::connect(balancer.addresses[1]);
    // Until there was a flood, however slow the machine is.
    let mut asked = 0_u32;
    until("50 answers, and a flood beside them", || {
        let question = [asked as u8; 10];
        assert_eq!(crate::common::ask(&asking, &question), question);
        asked += 1;
        asked >= 50 && udp.received() > 10_000
    });
    over.store(true, Ordering::SeqCst);
    let sent: usize = floods.into_iter().map(|flood| flood.join().expect("sent")).sum();
    println!("{asked} answers over TCP beside {sent} datagrams");
    balancer.stop_after(asking);
}

/// As many datagrams as a thread can send.
fn flood(to: SocketAddr, over: &AtomicBool) -> usize {
    let socket = client(to);
    let mut sent = 0;
    while !over.load(Ordering::SeqCst) {
        sent += usize::from(socket.send(&[7; 1200]).is_ok());
    }
    sent
}
