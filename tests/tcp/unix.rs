//! UNIX sockets on both sides: one balancer connects to the socket at which the other one listens.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::common::measure::only_linux;
use crate::common::{Backend, Balancer, connect, until};

/// A directory of its own that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let place = std::env::temp_dir().join(format!("pm-unix-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).expect("a directory");
        Place(place)
    }

    fn socket(&self) -> String {
        format!("{}/s", self.0.display())
    }

    fn unix(&self) -> String {
        format!("unix:{}", self.socket())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A balancer before another one, with `place` between them.
fn chain(place: &str, backend: &Backend) -> (Balancer, Balancer) {
    let name = backend.name();
    let behind = Balancer::start(&["-l", "127.0.0.1:0", "-l", place, "-b", &name]);
    let front = Balancer::start(&["-l", "127.0.0.1:0", "-b", place]);
    (front, behind)
}

fn echoes(balancer: &Balancer, bytes: usize) {
    let sent: Vec<u8> = (0..bytes).map(|at| (at * 7 % 251) as u8).collect();
    let mut client = connect(balancer.address());
    let mut writer = client.try_clone().expect("a clone");
    let text = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&text).expect("it is taken");
        writer.shutdown(std::net::Shutdown::Write).expect("it is open");
    });
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).expect("an end, not a break");
    writing.join().expect("it writes");
    assert!(heard == sent, "{} of {bytes} bytes", heard.len());
}

#[test]
fn bytes_go_through_a_socket_with_a_file_and_their_end_as_well() {
    let place = Place::new("relay");
    let backend = Backend::echo();
    let (front, behind) = chain(&place.unix(), &backend);
    for bytes in [0, 1, 10_000, 20_000_000] {
        echoes(&front, bytes);
    }
    behind.wait_for_log(": accepted unix");
    assert!(fs::metadata(place.socket()).expect("a file").file_type().is_socket());
    front.stop();
    behind.stop();
    assert!(fs::metadata(place.socket()).is_err(), "its file goes with it");
}

#[test]
fn an_abstract_name_has_no_file() {
    if !only_linux("sockets without a file") {
        return;
    }
    let name = format!("unix:@pointsman-{}", std::process::id());
    let backend = Backend::echo();
    let (front, behind) = chain(&name, &backend);
    echoes(&front, 100_000);
    front.stop();
    behind.stop();
}

#[test]
fn a_file_that_was_left_behind_is_replaced_and_one_where_somebody_listens_is_not() {
    let place = Place::new("stale");
    let backend = Backend::echo();
    drop(UnixListener::bind(place.socket()).expect("a socket"));
    assert!(fs::metadata(place.socket()).is_ok(), "it is left behind");
    let (front, behind) = chain(&place.unix(), &backend);
    echoes(&front, 1000);
    let second = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["-l", &place.unix(), "-b", &backend.name()])
        .output()
        .expect("it runs");
    assert_eq!(second.status.code(), Some(1));
    let says = String::from_utf8_lossy(&second.stderr);
    assert!(says.contains("somebody listens there"), "{says}");
    echoes(&front, 1000);
    front.stop();
    behind.stop();
}

#[test]
fn permission_and_owner_of_the_file_are_as_asked_for() {
    let place = Place::new("mode");
    let backend = Backend::echo();
    let own = rustix_ids();
    let args = ["-l", "127.0.0.1:0", "-l", &place.unix(), "-b", &backend.name()];
    let terms = ["--socket-mode", "0620", "--socket-owner", &own];
    let balancer = Balancer::start(&[&args[..], &terms].concat());
    let mode = fs::metadata(place.socket()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o620);
    balancer.stop();
    let unknown = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["-l", &place.unix(), "-b", &backend.name(), "--socket-owner", "nobody-here"])
        .output()
        .expect("it runs");
    let says = String::from_utf8_lossy(&unknown.stderr);
    assert!(says.contains("--socket-owner") && says.contains("has no user"), "{says}");
}

/// `UID:GID` of this process.
fn rustix_ids() -> String {
    let id = |flag| Command::new("id").arg(flag).output().expect("id runs").stdout;
    let text = |flag| String::from_utf8_lossy(&id(flag)).trim().to_owned();
    format!("{}:{}", text("-u"), text("-g"))
}

#[test]
fn a_backend_whose_socket_is_gone_is_down_and_comes_back_with_it() {
    let place = Place::new("gone");
    let listener = UnixListener::bind(place.socket()).expect("a socket");
    let serve = |listener: UnixListener| {
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(mut client) = client else { break };
                let _ = client.write_all(b"hello");
            }
        });
    };
    serve(listener.try_clone().expect("a clone"));
    let check = ["--check-interval", "50ms", "--check-timeout", "50ms"];
    let args = ["-l", "127.0.0.1:0", "-b", &place.unix()];
    let balancer = Balancer::start(&[&args[..], &check].concat());
    let heard = || {
        let mut text = String::new();
        let mut client = connect(balancer.address());
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let _ = client.read_to_string(&mut text);
        text
    };
    until("it is served", || heard() == "hello");
    fs::remove_file(place.socket()).expect("it is there");
    balancer.wait_for_log("a probe: refused");
    assert_eq!(heard(), "", "nobody is there");
    serve(UnixListener::bind(place.socket()).expect("a socket"));
    until("it is back", || heard() == "hello");
    balancer.stop();
}
