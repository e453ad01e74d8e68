//! A name may have several addresses, of which some lead to nobody: `localhost` is `::1` first on
//! many machines, and many servers are at 127.0.0.1 alone.
//!
//! pointsman runs with an `/etc/hosts` of its own here, in a mount namespace (`unshare`).

use std::net::SocketAddr;
use std::process::Command;

use crate::common::http::{Origin, Wire, get};
use crate::common::measure::skip;
use crate::common::udp::{UdpBackend, client};
use crate::common::{Backend, Balancer, BlackHole, End, free_port, read_to_end, until};

/// Start where these names have these addresses. `None`: that cannot be done here.
fn start_where(hosts: &str, args: &[&str]) -> Option<Balancer> {
    let can = Command::new("unshare").args(["-m", "true"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        skip("names have other addresses only in a mount namespace, which needs root");
        return None;
    }
    let file = std::env::temp_dir().join(format!("pointsman-hosts-{}", fastrand::u64(..)));
    std::fs::write(&file, hosts).expect("a file");
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    command.args(["-m", "sh", "-c", script]).arg(&file);
    command.arg(env!("CARGO_BIN_EXE_pointsman"));
    let balancer = Balancer::start_command(command, args);
    let _ = std::fs::remove_file(file);
    Some(balancer)
}

const BOTH: &str = "::1 both\n127.0.0.1 both\n";

fn at(front: &str, port: u16, more: &[&str]) -> Vec<String> {
    let backend = format!("both:{port}");
    let args = ["--listen", front, "--backend", &backend];
    args.iter().chain(more).map(|arg| arg.to_string()).collect()
}

fn start(front: &str, port: u16, more: &[&str]) -> Option<Balancer> {
    let args = at(front, port, more);
    start_where(BOTH, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_connect_goes_on_to_the_next_address_and_what_works_is_remembered() {
    let backend = Backend::named("here");
    let port = backend.address.port();
    let Some(balancer) = start("tcp://127.0.0.1:0", port, &["--check", "none"]) else { return };
    for _ in 0..3 {
        assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"here".to_vec()));
    }
    let log = balancer.log();
    let name = format!("both:{port}");
    assert_eq!(log.matches("; trying 127.0.0.1").count(), 1, "once is enough: {log}");
    assert!(log.contains(&format!("{name}: 127.0.0.1:{port} is used from now on")), "{log}");
    assert_eq!(balancer.row(&name).failed, 0);
    balancer.signal(rustix::process::Signal::USR1);
    balancer.wait_for_log(&format!("{name} is at 127.0.0.1:{port}, one of 2 addresses"));
    balancer.stop();
}

#[test]
fn the_same_under_http_where_the_program_says_its_numbers() {
    let origin = Origin::named("here");
    let port = origin.backend.address.port();
    let more = ["--check", "none", "--stats-path", "/stats"];
    let Some(balancer) = start("http://127.0.0.1:0", port, &more) else { return };
    let mut wire = Wire::to(&balancer);
    assert_eq!(wire.ask(get("/")).text(), "here");
    let stats = wire.ask(get("/stats")).text();
    assert!(stats.contains(&format!("\"address\":\"http://127.0.0.1:{port}\"")), "{stats}");
    balancer.stop_after(wire);
}

#[test]
fn a_probe_goes_on_to_the_next_address() {
    let origin = Origin::named("here");
    let port = origin.backend.address.port();
    let name = format!("both:{port}");
    for check in ["tcp", "http:/"] {
        let more = ["--check", check, "--check-interval", "50ms"];
        let Some(balancer) = start("tcp://127.0.0.1:0", port, &more) else { return };
        balancer.wait_for_row(&name, |row| row.is_known_up());
        let log = balancer.log();
        assert!(!log.contains("is down"), "{log}");
        assert!(
            log.contains(&format!("{name}: 127.0.0.1:{port} is used from now on")),
            "{log}"
        );
        balancer.stop();
    }
}

#[test]
fn when_the_address_in_use_falls_away_the_others_are_tried() {
    let first = Backend::named("one");
    let port = first.address.port();
    let Some(balancer) = start("tcp://127.0.0.1:0", port, &["--check", "none"]) else { return };
    assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"one".to_vec()));
    drop(first);
    let other: SocketAddr = format!("[::1]:{port}").parse().expect("an address");
    let backend = Backend::start_at(other, |stream| {
        let _ = std::io::Write::write_all(&mut &stream, b"six");
    });
    assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"six".to_vec()));
    drop(backend);
    // Nobody is left: that counts against the backend, once.
    assert_eq!(read_to_end(&balancer.connect()), End::Reset(0));
    assert_eq!(balancer.row(&format!("both:{port}")).failed, 1);
    balancer.stop();
}

#[test]
fn an_address_that_swallows_everything_leaves_time_for_the_others() {
    let hole = BlackHole::start();
    let port = hole.address.port();
    let other: SocketAddr = format!("127.0.0.2:{port}").parse().expect("an address");
    let backend = Backend::start_at(other, |stream| {
        let _ = std::io::Write::write_all(&mut &stream, b"here");
    });
    // What is in use is the black hole, until it was in vain.
    let hosts = "127.0.0.1 hole\n127.0.0.2 hole\n";
    let flag = format!("hole:{port}");
    let more = ["--check", "none", "--connect-timeout", "1s", "--retries", "0"];
    let args = ["--listen", "tcp://127.0.0.1:0", "--backend", &flag];
    let args: Vec<&str> = args.into_iter().chain(more).collect();
    let Some(balancer) = start_where(hosts, &args) else { return };
    for _ in 0..3 {
        assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"here".to_vec()));
    }
    drop(backend);
    // Now it is the other way round: refused, then swallowed.
    assert_eq!(read_to_end(&balancer.connect()), End::Reset(0));
    assert_eq!(balancer.row(&flag).failed, 1);
    balancer.stop();
}

#[test]
fn datagrams_that_are_refused_go_on_to_the_next_address() {
    let backend = UdpBackend::named("here");
    let port = backend.address.port();
    let more = ["--check", "none"];
    let Some(balancer) = start("udp://127.0.0.1:0", port, &more) else { return };
    let asker = client(balancer.address());
    asker.set_read_timeout(Some(std::time::Duration::from_millis(50))).expect("not zero");
    // What was refused is lost, as any datagram may be.
    until("a datagram is answered", || {
        let _ = asker.send(b"anybody?");
        let mut answer = [0; 10];
        asker.recv(&mut answer).is_ok_and(|count| answer[..count] == *b"here")
    });
    let name = format!("both:{port}");
    assert_eq!(balancer.row(&name).failed, 0);
    drop(backend);
    until("nobody is left, and that counts", || {
        let _ = asker.send(b"anybody?");
        balancer.row(&name).failed > 0
    });
    balancer.stop();
}

#[test]
fn a_probe_by_datagram_goes_on_to_the_next_address() {
    let backend = UdpBackend::named("here");
    let port = backend.address.port();
    let more = ["--check", "udp:anybody?", "--check-interval", "50ms"];
    let Some(balancer) = start("udp://127.0.0.1:0", port, &more) else { return };
    balancer.wait_for_row(&format!("both:{port}"), |row| row.is_known_up());
    assert!(!balancer.log().contains("is down"));
    balancer.stop();
}

#[test]
fn where_all_addresses_refuse_the_next_backend_is_tried() {
    let backend = Backend::named("here");
    let port = free_port().port();
    let other = backend.flag();
    let more = ["--check", "none", "--balance", "first", "--backend", &other];
    let Some(balancer) = start("tcp://127.0.0.1:0", port, &more) else { return };
    assert_eq!(read_to_end(&balancer.connect()), End::Finished(b"here".to_vec()));
    assert_eq!(balancer.row(&format!("both:{port}")).failed, 1);
    balancer.stop();
}
