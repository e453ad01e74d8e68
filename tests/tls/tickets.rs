//! Session tickets under keys of a file: who may go on with whose session.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::Signal;

use crate::authority::{Authority, Pair, s_client};
use crate::common::http::Origin;
use crate::common::servers::missing;
use crate::common::{Balancer, until};

const A: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const B: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const C: &str = "3333333333333333333333333333333333333333333333333333333333333333";

/// A file of keys that nobody else may read.
fn keys(authority: &Authority, name: &str, lines: &[&str]) -> String {
    let path = authority.write(name, &(lines.join("\n") + "\n"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path
}

fn start(pair: &Pair, origin: &Origin, more: &[&str]) -> Balancer {
    let backend = origin.backend.flag();
    let front = ["-l", "https://127.0.0.1:0", "--check", "none", "-b", &backend];
    Balancer::start(&[&front[..], &pair.flags(), more].concat())
}

/// A client that keeps its sessions in files.
struct Client<'a> {
    authority: &'a Authority,
    version: &'static str,
}

impl Client<'_> {
    fn connects(&self, balancer: &Balancer, way: &str, name: &str) -> String {
        let ca = self.authority.file();
        let session = self.authority.path(&format!("{name}{}", self.version));
        let session = session.display().to_string();
        let say = "GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n";
        let args = [self.version, "-CAfile", &ca, "-servername", "localhost", "-ign_eof"];
        let text = s_client(balancer.address(), say, &[&args[..], &[way, &session]].concat());
        assert!(text.contains("200 OK"), "{text}");
        text
    }

    /// Begins a session, and keeps it under this name.
    fn begins(&self, balancer: &Balancer, name: &str) {
        let text = self.connects(balancer, "-sess_out", name);
        assert!(text.contains("New, TLSv1."), "{text}");
    }

    /// Whether the session of this name goes on there.
    fn goes_on(&self, balancer: &Balancer, name: &str) -> bool {
        let text = self.connects(balancer, "-sess_in", name);
        let is_reused = text.contains("Reused, TLSv1.");
        assert!(is_reused || text.contains("New, TLSv1."), "{text}");
        is_reused
    }
}

#[test]
fn processes_with_one_file_resume_each_others_sessions() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("shared-tickets");
    let pair = authority.pair(&["localhost"]);
    let origin = Origin::named("a");
    let file = keys(&authority, "tickets", &[A]);
    let with = ["--ticket-keys", &*file];
    let one = start(&pair, &origin, &with);
    let two = start(&pair, &origin, &with);
    let lone = start(&pair, &origin, &[]);
    for version in ["-tls1_2", "-tls1_3"] {
        let client = Client { authority: &authority, version };
        client.begins(&one, "of-one");
        client.begins(&lone, "of-lone");
        let found = [
            client.goes_on(&one, "of-one"),
            client.goes_on(&two, "of-one"),
            client.goes_on(&lone, "of-one"),
            client.goes_on(&lone, "of-lone"),
            client.goes_on(&two, "of-lone"),
        ];
        assert_eq!(found, [true, true, false, true, false], "{version}");
    }
    // A restart is another process, too.
    drop(one);
    let again = start(&pair, &origin, &with);
    let client = Client { authority: &authority, version: "-tls1_3" };
    assert!(client.goes_on(&again, "of-one"));
}

#[test]
fn keys_are_changed_under_reloads_and_sessions_go_on() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("rotated-tickets");
    let pair = authority.pair(&["localhost"]);
    let origin = Origin::named("a");
    let files = ["one", "two"].map(|name| keys(&authority, name, &[A]));
    let start = |file: &String| start(&pair, &origin, &["--ticket-keys", file]);
    let both = [start(&files[0]), start(&files[1])];
    let client = Client { authority: &authority, version: "-tls1_3" };
    client.begins(&both[0], "before");
    let steps: [&[&str]; 3] = [&[A, B], &[B, A], &[B]];
    for (number, step) in steps.into_iter().enumerate() {
        for (at, name) in ["one", "two"].into_iter().enumerate() {
            keys(&authority, name, step);
            both[at].signal(Signal::HUP);
            let is_read =
                |log: String| log.matches("read 1 certificate again").count() > number;
            until("it is read again", || is_read(both[at].log_so_far()));
            // The other one has not got so far, or has.
            let name = format!("made-in-{number}");
            client.begins(&both[at], &name);
            assert!(client.goes_on(&both[1 - at], &name), "step {number}");
        }
        let of_the_old_key = both.each_ref().map(|it| client.goes_on(it, "before"));
        assert_eq!(of_the_old_key, [number < 2; 2], "step {number}");
    }
    // What is wrong with a file changes nothing.
    keys(&authority, "one", &[C, "what?"]);
    both[0].signal(Signal::HUP);
    both[0].wait_for_log("line 2: neither hex nor base64");
    assert!(client.goes_on(&both[0], "made-in-2"));
}

#[test]
fn what_is_wrong_with_the_file_is_said() {
    let authority = Authority::new("bad-tickets");
    let pair = authority.pair(&["localhost"]);
    let say = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["-l", "https://127.0.0.1:0", "-b", "127.0.0.1:1", "--log-level", "off"])
            .args(pair.flags())
            .args(args)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let file = keys(&authority, "tickets", &[A, "", "c2hvcnQ="]);
    let text = say(&["--ticket-keys", &file]);
    assert!(
        text.contains(&format!("--ticket-keys: {file}: line 3: found a key of 5")),
        "{text}"
    );
    let text = say(&["--ticket-keys", "/nowhere"]);
    assert!(text.contains("--ticket-keys: /nowhere: there is no such file"), "{text}");
}

#[test]
fn a_file_that_everybody_may_read_is_warned_of() {
    let authority = Authority::new("open-tickets");
    let pair = authority.pair(&["localhost"]);
    let origin = Origin::named("a");
    let file = keys(&authority, "tickets", &[A]);
    let quiet = start(&pair, &origin, &["--ticket-keys", &file]);
    assert!(!quiet.log().contains("everybody on this machine"), "{}", quiet.log());
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let warned = start(&pair, &origin, &["--ticket-keys", &file]);
    warned.wait_for_log("everybody on this machine may use it (mode 0644)");
}
