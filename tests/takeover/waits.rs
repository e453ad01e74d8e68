//! A change is under way when a process asks for the place: it waits for the end, and not for long.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::common::{Backend, Balancer, DEADLINE, ask};
use crate::refused::{HELLO, hear, say, stand_in};
use crate::{Place, ask_admin, ends};

/// So many backends that to read them takes many turns.
const MANY: usize = 3000;

/// A process with a file that takes long to read.
struct Large {
    place: Place,
    file: String,
    text: String,
    old: Balancer,
    _backend: Backend,
}

impl Large {
    fn new(name: &str) -> Large {
        let backend = Backend::echo();
        let place = Place::new(name, &[]);
        let others: Vec<String> =
            (0..MANY).map(|at| format!("\"192.0.2.1:{}\"", 1000 + at)).collect();
        let text = format!(
            "[admin]\nlisten = [\"unix:{}\"]\n[service.web]\nlisten = [\"tcp://127.0.0.1:0\"]\n\
             pool = \"web\"\n[pool.web]\nbackends = [\"{}\"]\n[pool.web.check]\nkind = \"none\"\n\
             [pool.many]\nbackends = [{}]\n[pool.many.check]\nkind = \"none\"\n",
            place.admin().display(),
            backend.address,
            others.join(",")
        );
        let file = place.path("large.toml");
        std::fs::write(&file, &text).expect("written");
        let file = file.display().to_string();
        let old = Balancer::start(&["--config", &file]);
        Large { place, file, text, old, _backend: backend }
    }

    /// Asks for something that takes many turns, and does not wait for the answer.
    fn begin_to_check(&self) -> UnixStream {
        let mut stream = UnixStream::connect(self.place.admin()).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        let head = format!(
            "POST /api/v1/config/check HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/toml\r\nContent-Length: {}\r\n\r\n",
            self.text.len()
        );
        stream.write_all((head + &self.text).as_bytes()).expect("taken");
        stream
    }

    fn next(&self) -> Balancer {
        let admin = self.place.admin().display().to_string();
        Balancer::start(&["--config", &self.file, "--takeover", &admin])
    }
}

#[test]
fn it_has_the_place_once_the_change_is_done() {
    let large = Large::new("waits");
    let mut check = large.begin_to_check();
    let mut it = stand_in(&large.place);
    large.old.wait_for_log("it waits for the change that is under way");
    let mut answer = String::new();
    check.read_to_string(&mut answer).expect("it is done");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    say(&mut it, b'H', HELLO);
    hear(&mut it, b'O');
    drop(it);
    large.old.wait_for_log("does not take our place, and all goes on as it was");
    let new = large.next();
    assert_eq!(ask(&new.connect(), b"served"), b"served");
    ends(large.old);
    new.stop();
}

/// Those that come behind it are refused, so that there is an end.
#[test]
fn who_changes_something_all_the_time_does_not_keep_it_out() {
    let large = Large::new("changes");
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let admin = large.place.admin();
    let reloads = thread::spawn(move || {
        while !is_over.load(Ordering::SeqCst) {
            let answer = ask_admin(&admin, "POST", "/api/v1/reload");
            assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        }
    });
    large.old.wait_for_log("reload");
    let new = large.next();
    over.store(true, Ordering::SeqCst);
    reloads.join().expect("no panic");
    assert_eq!(ask(&new.connect(), b"served"), b"served");
    ends(large.old);
    new.stop();
}

#[test]
fn after_five_seconds_it_is_told_why_and_may_ask_again() {
    let large = Large::new("long");
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let pid = large.old.pid();
    let reloads = thread::spawn(move || {
        // One is read, the next one waits.
        while !is_over.load(Ordering::SeqCst) {
            rustix::process::kill_process(pid, Signal::HUP).expect("it is there");
            thread::sleep(Duration::from_millis(5));
        }
    });
    let check = large.begin_to_check();
    let refused = ask_admin(&large.place.admin(), "POST", "/api/v1/takeover");
    assert!(refused.starts_with("HTTP/1.1 409"), "{refused}");
    assert!(refused.contains("a change is under way: ask again"), "{refused}");
    over.store(true, Ordering::SeqCst);
    reloads.join().expect("no panic");
    drop(check);
    let new = large.next();
    ends(large.old);
    new.stop();
}
