//! A new process takes the place of one that runs: nobody is refused, no connection is reset, no
//! datagram is lost; and what goes wrong changes nothing.

#[path = "../common/mod.rs"]
mod common;

mod between;
mod dies;
mod going;
mod held;
mod load;
mod manager;
mod refused;
mod sums;
mod waits;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use common::{Balancer, DEADLINE, until};

/// A directory for the sockets of one row of processes, one after the other.
struct Place {
    directory: PathBuf,
    flags: Vec<String>,
}

impl Place {
    /// Each of them has these flags, and an admin socket.
    fn new(name: &str, flags: &[&str]) -> Place {
        let name = format!("pointsman-takeover-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).expect("a directory");
        let mut flags: Vec<String> = flags.iter().map(|it| (*it).to_owned()).collect();
        let admin = directory.join("api.sock");
        flags.extend(["--admin".to_owned(), format!("unix:{}", admin.display())]);
        Place { directory, flags }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn admin(&self) -> PathBuf {
        self.path("api.sock")
    }

    /// The first one.
    fn start(&self) -> Balancer {
        Balancer::start(&self.arguments(&[]))
    }

    /// The next one: it serves.
    fn next(&self) -> Balancer {
        Balancer::start(&self.arguments(&["--takeover", &self.admin().display().to_string()]))
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'static str> {
        let all = self.flags.iter().map(String::as_str).chain(more.iter().copied());
        all.map(|it| &*it.to_owned().leak()).collect()
    }

    /// What one that is not to serve says, and its exit code.
    fn fails(&self, more: &[&str]) -> (String, i32) {
        fails(&self.arguments(more))
    }

    /// A number of the process that serves.
    fn metric(&self, name: &str) -> u64 {
        let page = ask_admin(&self.admin(), "GET", "/metrics");
        number(&page, name).unwrap_or_else(|| panic!("no {name} in {page}"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// What one with these arguments says that is not to serve, and its exit code.
fn fails(arguments: &[&str]) -> (String, i32) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
    let said = command.args(arguments).output().expect("it starts");
    let text = String::from_utf8(said.stderr).expect("text");
    (text, said.status.code().expect("it exits"))
}

fn number(page: &str, name: &str) -> Option<u64> {
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// An answer of the API, whole.
fn ask_admin(admin: &Path, method: &str, path: &str) -> String {
    let mut stream = UnixStream::connect(admin).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The head of an answer, up to its empty line.
fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

/// It ends by itself, and without complaint.
fn ends(mut balancer: Balancer) {
    let status = balancer.wait();
    assert!(status.success(), "{status}: {}", balancer.log());
}

fn exists(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

fn is_gone(balancer: &Balancer) -> bool {
    let path = format!("/proc/{}/stat", balancer.pid());
    fs::read_to_string(path).map_or(true, |it| it.contains(") Z "))
}

fn wait_until_gone(balancer: &Balancer) {
    until("the process before is gone", || is_gone(balancer));
}
