//! Who comes in by the address of the connection: lists of flags, of files and of services.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use crate::common::admin::Admin;
use crate::common::{Backend, Balancer, connect_from, read_to_end};

/// Whether a client from there is served.
fn is_served(source: &str, address: SocketAddr) -> bool {
    let stream = connect_from(source, address);
    let bytes = read_to_end(&stream).bytes();
    assert!(bytes.is_empty() || bytes == b"a", "{bytes:?}");
    !bytes.is_empty()
}

fn served(balancer: &Balancer, sources: &[&str]) -> Vec<bool> {
    sources.iter().map(|source| is_served(source, balancer.address())).collect()
}

#[test]
fn who_is_denied_is_closed_right_after_accept() {
    let a = Backend::named("a");
    let more = ["--deny", "127.0.0.2,127.1.0.0/16", "--allow", "127.0.0.0/8"];
    let balancer = Balancer::before(&[&a], &more);
    let sources = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.1.2.3", "127.2.0.1"];
    assert_eq!(served(&balancer, &sources), [true, false, true, false, true]);
    assert_eq!(a.accepted(), 3, "no backend hears of who is denied");
    balancer.wait_for_log("guard: deny of listener");
    let log = balancer.log_so_far();
    assert!(log.contains("refuses 127.0.0.2 (127.0.0.2/32 of deny), 1 so far"), "{log}");
    balancer.stop();
}

#[test]
fn where_somebody_is_allowed_the_rest_is_denied() {
    let a = Backend::named("a");
    let balancer = Balancer::before(&[&a], &["--allow", "127.0.0.2"]);
    assert_eq!(served(&balancer, &["127.0.0.1", "127.0.0.2"]), [false, true]);
    balancer.wait_for_log("refuses 127.0.0.1 (not among those allowed), 1 so far");
    balancer.stop();
}

#[test]
fn lists_of_a_service_hold_for_connections_that_are_relayed() {
    let a = Backend::named("a");
    let balancer = Balancer::before(&[&a], &["--service-deny", "127.0.0.2"]);
    assert_eq!(served(&balancer, &["127.0.0.1", "127.0.0.2"]), [true, false]);
    balancer.wait_for_log("guard: deny of service");
    balancer.stop();
}

#[test]
fn who_is_denied_or_banned_is_reset_where_that_is_asked_for() {
    let is_reset = |admin: &Admin, source: &str| {
        read_to_end(&connect_from(source, admin.balancer.address())).is_reset()
    };
    for (reject, wanted) in [("reset", true), ("close", false)] {
        let a = Backend::named("a");
        for flag in ["--deny", "--service-deny"] {
            let admin = Admin::before(&[&a], &[flag, "127.0.0.2", "--reject", reject]);
            assert_eq!(is_reset(&admin, "127.0.0.2"), wanted, "{flag} {reject}");
            assert_eq!(served(&admin.balancer, &["127.0.0.1"]), [true]);
        }
        let admin = Admin::before(&[&a], &["--reject", reject]);
        admin.api.write("PUT", "/api/v1/bans/127.0.0.3", &serde_json::json!({}));
        assert_eq!(is_reset(&admin, "127.0.0.3"), wanted, "a ban, {reject}");
    }
}

#[test]
fn what_is_only_tried_refuses_nobody_and_counts_whom_it_would() {
    let a = Backend::named("a");
    let more = ["--deny", "127.0.0.2", "--guard-dry-run", "deny"];
    let admin = Admin::before(&[&a], &more);
    assert_eq!(served(&admin.balancer, &["127.0.0.1", "127.0.0.2"]), [true, true]);
    let rules = admin.api.get("/api/v1/guard/rules");
    let rule = &rules["items"][0];
    assert_eq!((&rule["rule"], &rule["dry_run"]), (&"deny".into(), &true.into()), "{rules}");
    assert_eq!((&rule["refused"], &rule["would_refuse"]), (&0.into(), &1.into()), "{rules}");
    admin.balancer.signal(rustix::process::Signal::TERM);
}

/// A file beside the configuration.
struct List(PathBuf);

impl List {
    fn new(name: &str, text: &str) -> List {
        let name = format!("pointsman-{name}-{}.txt", std::process::id());
        let list = List(std::env::temp_dir().join(name));
        list.write(text);
        list
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn ask(mut stream: &TcpStream, byte: u8) {
    let mut answer = [0];
    stream.write_all(&[byte]).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [byte]);
}

#[test]
fn list_files_are_read_again_and_connections_that_exist_go_on() {
    let list = List::new("deny-list", "# nobody yet\n");
    let [a, echo] = [Backend::named("a"), Backend::echo()];
    let text = format!(
        "[defaults.listener]\ndeny_files = [\"{}\"]\n\
         [listener.one]\nbind = \"127.0.0.1:0\"\n[listener.two]\nbind = \"127.0.0.1:0\"\n\
         [service.one]\nlisten = \"one\"\npool = \"one\"\n\
         [service.two]\nlisten = \"two\"\npool = \"two\"\n\
         [pool.one]\ncheck = \"none\"\nbackends = [\"{}\"]\n\
         [pool.two]\ncheck = \"none\"\nbackends = [\"{}\"]\n",
        list.path(),
        a.address,
        echo.address
    );
    let admin = Admin::configured(&text);
    let [one, two] = ["one", "two"].map(|name| admin.listener(name));
    assert!(is_served("127.0.0.2", one));
    let there = connect_from("127.0.0.2", two);
    ask(&there, 1);
    list.write("127.0.0.2 # it scans\n10.0.0.0/8\n");
    admin.reconfigure(&text);
    assert!(!is_served("127.0.0.2", one), "the list is another one");
    assert!(is_served("127.0.0.1", one));
    ask(&there, 2);
    list.write("127.0.0.2\n10.0.0.1/8\nnobody\n");
    let refused = admin.api.ask("POST", "/api/v1/reload", Some(&serde_json::json!({})));
    let said = format!("{refused:?} {}", String::from_utf8_lossy(&refused.body));
    let path = list.path();
    for want in [
        format!("{path}:2: found '10.0.0.1/8', want 10.0.0.0/8, or 10.0.0.1 alone"),
        format!("{path}:3: found 'nobody', want a network such as"),
    ] {
        assert!(said.contains(&want), "{want}: {said}");
    }
    assert!(!is_served("127.0.0.2", one), "the list before holds");
    ask(&there, 3);
}

#[test]
fn a_list_that_cannot_be_read_keeps_it_from_starting() {
    let list = List::new("bad-list", "::1\n");
    let a = Backend::named("a");
    let missing = format!("{}.missing", list.path());
    let flag = a.flag();
    let run = |file: &str| {
        let args = ["-l", "127.0.0.1:0", "-b", &flag, "--check", "none", "--allow-file", file];
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(args)
            .arg("--check-config")
            .output()
            .unwrap();
        (ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    assert_eq!(run(list.path()), (true, String::new()));
    let (good, said) = run(&missing);
    assert!(
        !good && said.contains("--allow-file") && said.contains("there is no such file"),
        "{said}"
    );
    list.write(&"x\n".repeat(30));
    let (good, said) = run(list.path());
    assert!(!good && said.contains("and 10 more"), "{said}");
    assert_eq!(said.matches("found 'x'").count(), 20, "{said}");
}
