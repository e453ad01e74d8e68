//! A balancer with HAProxy's socket and its statistics over HTTP, and what its clients need.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::http::{Origin, Wire, get, ok};
use crate::common::servers::Home;
use crate::common::{Balancer, free_port};

/// A balancer of requests before two backends, `a` and `b`.
pub struct Ours {
    /// It.
    pub balancer: Balancer,
    _origins: [Origin; 2],
    /// A directory for what a tool wants to have.
    pub home: Home,
    /// For commands.
    pub socket: PathBuf,
    /// For the statistics over HTTP.
    pub web: SocketAddr,
}

/// Without checks, so that nothing changes by itself.
pub fn ours(name: &str) -> Ours {
    ours_with(name, &["--check", "none"])
}

/// With these arguments beside its own.
pub fn ours_with(name: &str, more: &[&str]) -> Ours {
    let home = Home::new(name);
    let socket = home.0.join("haproxy.sock");
    let origins = [Origin::saying(ok("hello")), Origin::saying(ok("hello"))];
    let [a, b] = &origins;
    let a = format!("{},name=a,weight=10", a.backend.address);
    let b = format!("{},name=b", b.backend.address);
    let path = socket.display().to_string();
    let web = free_port();
    let admin = format!("http://{web}");
    let args = [
        "-l",
        "http://127.0.0.1:0",
        "-b",
        &a,
        "-b",
        &b,
        "--haproxy-socket",
        &path,
        "--admin",
        &admin,
    ];
    let balancer = Balancer::start(&[&args, more].concat());
    Ours { balancer, _origins: origins, home, socket, web }
}

impl Ours {
    /// Requests that are answered with 200, all counted when this returns.
    pub fn serve(&self, count: usize) {
        let mut wire = Wire::to(&self.balancer);
        for _ in 0..count {
            assert_eq!(wire.ask(get("/")).status(), 200);
        }
    }
}

/// A program beside us; killed when dropped, so that no test that fails leaves one.
pub struct Beside(pub Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All that is answered to a line, with nothing after it.
pub fn ask(socket: &Path, line: &str) -> String {
    let mut stream = said(socket, &format!("{line}\n"));
    stream.shutdown(Shutdown::Write).unwrap();
    all_of(&mut stream)
}

/// The same by a client that does not say that nothing comes after it, as most do not.
pub fn ask_open(socket: &Path, bytes: &str) -> String {
    all_of(&mut said(socket, bytes))
}

fn said(socket: &Path, bytes: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

fn all_of(stream: &mut UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The standard output of a command.
pub fn output(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A Python that has this module; `.ci/run` installs it.
pub fn python_with(module: &str) -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("haproxy-clients");
    let python = home.join("bin/python");
    let mut command = Command::new(&python);
    command.args(["-c", &format!("import {module}")]).stderr(Stdio::null());
    if command.status().is_ok_and(|it| it.success()) {
        return Some(python);
    }
    let is_ci = std::env::var("CI").as_deref() == Ok("true");
    assert!(!is_ci, "{module} is not there: .ci/run installs it");
    println!("skipped: there is no {module}");
    None
}
