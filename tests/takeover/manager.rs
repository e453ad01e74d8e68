//! What the service manager is told, and names that have to be looked up: by stand-ins.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::{Duration, Instant};

use pointsman::limits::TAKEOVER_TIME;

use crate::common::dns::{Dns, Says};
use crate::common::http::Origin;
use crate::common::measure::only_linux;
use crate::common::servers::ask;
use crate::common::{Backend, Balancer, DEADLINE};
use crate::{Place, ends};

fn heard(socket: &UnixDatagram) -> Vec<String> {
    let mut bytes = [0; 4096];
    let count = socket.recv(&mut bytes).expect("it is told something");
    let text = String::from_utf8(bytes[..count].to_vec()).expect("text");
    text.lines().map(str::to_owned).collect()
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command
}

/// A manager tells those alone where it hears that it started as the main process.
#[test]
fn the_old_process_names_the_new_one_which_goes_on_telling() {
    if !only_linux("the process at a UNIX socket") {
        return;
    }
    let name = format!("pointsman-takeover-{}", std::process::id());
    let at = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&at).expect("a socket");
    manager.set_read_timeout(Some(DEADLINE)).expect("not zero");
    let backend = Backend::echo();
    let flag = backend.flag();
    let place =
        Place::new("manager", &["-l", "tcp://127.0.0.1:0", "-b", &flag, "--check", "none"]);
    let mut command = program();
    command.env("NOTIFY_SOCKET", format!("@{name}")).env("WATCHDOG_USEC", "400000");
    let old = Balancer::start_command(command, &place.arguments(&[]));
    assert_eq!(heard(&manager)[0], "READY=1");
    let admin = place.admin().display().to_string();
    let new = Balancer::start_command(program(), &place.arguments(&["--takeover", &admin]));
    let mut told = Vec::new();
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        told.extend(heard(&manager));
    }
    ends(old);
    let main = format!("MAINPID={}", new.pid());
    let named = told.iter().position(|line| *line == main).expect("it is named");
    let ready = told.iter().position(|line| line == "READY=1").expect("it is ready");
    assert!(named < ready, "{told:?}");
    let beats = told[ready..].iter().filter(|line| *line == "WATCHDOG=1").count();
    assert!(beats >= 3, "the new one says that it lives: {told:?}");
    assert!(!told.iter().any(|line| line.starts_with("STOPPING")), "{told:?}");
    new.stop();
}

/// Whoever asks for a reload is told that it failed, also where the old process says nothing.
#[test]
fn a_reload_waits_for_longer_than_the_new_process_waits_for_the_old_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/deploy/systemd/takeover.conf");
    let text = std::fs::read_to_string(path).expect("it is there");
    let (_, rest) = text.split_once("& sleep ").expect("it waits");
    let (seconds, _) = rest.split_once(';').expect("for seconds");
    let waits = Duration::from_secs(seconds.parse().expect("a number"));
    assert!(waits > TAKEOVER_TIME + Duration::from_secs(1), "{waits:?}");
}

#[test]
fn names_are_known_before_the_new_process_serves() {
    let origin = Origin::named("here\n");
    let port = origin.backend.address.port();
    let one = format!("localhost:{port}");
    let set = format!("dns://localhost:{port}");
    for backend in [one, set] {
        let flags = ["-l", "http://127.0.0.1:0", "-b", &backend, "--check", "none"];
        let flags: Vec<&str> = flags.into_iter().chain(["--dns-families", "ipv4"]).collect();
        let place = Place::new("names", &flags);
        let mut old = place.start();
        let address = old.address();
        assert_eq!(ask(address).expect("an answer"), "here");
        for _ in 0..3 {
            let new = place.next();
            assert_eq!(ask(address).expect("an answer"), "here", "{backend}");
            ends(std::mem::replace(&mut old, new));
        }
        old.stop();
    }
}

/// A name that the old process knows and nobody answers for any more: the new one goes on with what
/// that one knew.
#[test]
fn while_dns_is_silent_the_new_process_has_what_the_old_one_knew() {
    let dns = Dns::start();
    let origin = Origin::named("here\n");
    let port = origin.backend.address.port();
    let set = format!("dns://api.test:{port}");
    let host = format!("db.test:{port}");
    let resolver = dns.flag();
    for backend in [set, host] {
        for name in ["api.test", "db.test"] {
            dns.set_addresses(name, &["127.0.0.1"]);
        }
        let flags = ["-l", "http://127.0.0.1:0", "-b", &backend, "--check", "none"];
        let flags: Vec<&str> = flags.into_iter().chain(["--resolver", &resolver]).collect();
        let place = Place::new("no-dns", &flags);
        let old = place.start();
        let address = old.address();
        assert_eq!(ask(address).expect("an answer"), "here");
        let mut last = old;
        for says in [Says::Silence, Says::NoSuchName] {
            dns.set("api.test", says.clone());
            dns.set("db.test", says);
            let new = place.next();
            assert_eq!(ask(address).expect("an answer"), "here", "{backend}");
            new.wait_for_log("1 name: what the state says holds until there is an answer");
            ends(std::mem::replace(&mut last, new));
            assert_eq!(ask(address).expect("an answer"), "here", "{backend}");
        }
        last.stop();
    }
}

/// What the old process knows is of no use to one that wants other addresses: to take its place
/// would take its clients' backends away.
#[test]
fn where_nothing_of_what_the_old_process_knew_is_wanted_it_goes_on() {
    let dns = Dns::start();
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let origin = Origin::named("here\n");
    let set = format!("dns://api.test:{}", origin.backend.address.port());
    let resolver = dns.flag();
    let flags = ["-l", "http://127.0.0.1:0", "-b", &set, "--check", "none"];
    let flags: Vec<&str> = flags.into_iter().chain(["--resolver", &resolver]).collect();
    let place = Place::new("no-ipv6", &flags);
    let old = place.start();
    let address = old.address();
    assert_eq!(ask(address).expect("an answer"), "here");
    let admin = place.admin().display().to_string();
    let (said, code) = place.fails(&["--takeover", &admin, "--dns-families", "ipv6"]);
    assert_eq!((code, said.contains("is not found now")), (1, true), "{said}");
    assert_eq!(ask(address).expect("an answer"), "here");
    old.stop();
}

/// A name that neither process knows was waited for while the old one served: its clients do not
/// wait once more.
#[test]
fn what_was_waited_for_beside_the_old_process_is_not_waited_for_again() {
    let dns = Dns::start();
    dns.set("api.test", Says::Silence);
    let origin = Origin::named("here\n");
    let resolver = dns.flag();
    let good = origin.backend.flag();
    let flags = ["-l", "http://127.0.0.1:0", "-b", &good, "-b", "dns://api.test:1"];
    let flags: Vec<&str> =
        flags.into_iter().chain(["--check", "none", "--resolver", &resolver]).collect();
    let place = Place::new("names-unknown", &flags);
    let old = place.start();
    let address = old.address();
    assert_eq!(ask(address).expect("an answer"), "here");
    let new = place.next();
    ends(old);
    assert_eq!(ask(address).expect("an answer"), "here");
    let log = new.log_so_far();
    assert_eq!(log.matches("no answer within 3 s for").count(), 1, "{log}");
    new.stop();
}
