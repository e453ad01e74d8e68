//! In front of two real servers: nginx and Python's http.server, under load. One is killed the hard
//! way and comes back, and no client sees an error that it need not see: only a request that was on
//! its way at the killed server may break.
//!
//! Without the servers the test is skipped, except under `CI=true`, where that is a failure.

mod common;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use common::{Balancer, DEADLINE, free_port, until};

const CLIENTS: usize = 4;

#[test]
fn one_of_two_is_killed_and_comes_back_under_load_with_tcp_checks() {
    kill_and_revive("tcp");
}

#[test]
fn one_of_two_is_killed_and_comes_back_under_load_with_http_checks() {
    kill_and_revive("http:/index.html");
}

fn kill_and_revive(check: &str) {
    if let Some(missing) = missing() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        println!("skipped: {missing}");
        return;
    }
    let home = Home::new(&check[..3]);
    let python = Server::start("python", free_port(), &home);
    let mut nginx = Server::start("nginx", free_port(), &home);
    let (first, second) = (nginx.flag(), python.flag());
    let flags = ["--check-interval", "100ms", "--fall", "2", "--rise", "2"];
    let backends = ["-l", "127.0.0.1:0", "-b", &first, "-b", &second, "--check", check];
    let balancer =
        Balancer::start(&[&backends[..], &flags[..], &["--log-level", "info"]].concat());

    let load = Load::start(balancer.address());
    load.wait_for_more("nginx", 500);
    load.wait_for_more("python", 500);

    nginx.kill();
    let killed_at = Instant::now();
    load.wait_for_more("python", 500);
    balancer.wait_for_log("backend nginx is down");
    load.wait_for_more("python", 500);

    nginx = Server::start("nginx", nginx.address, &home);
    balancer.wait_for_log("backend nginx is up");
    load.wait_for_more("nginx", 500);
    load.wait_for_more("python", 500);

    let seen = load.stop();
    println!("checks by {check}: {:?} answers, {} broke", seen.answers, seen.errors.len());
    for error in &seen.errors {
        assert!(error.began_at < killed_at, "begun after the kill: {}", error.text);
    }
    assert!(seen.errors.len() <= CLIENTS, "more broke than were on their way");
    balancer.stop();
    drop((nginx, python));
}

/// Why there can be no test, if so.
fn missing() -> Option<String> {
    let look = |name: &str, flag| match Command::new(name).arg(flag).output() {
        Ok(_) => None,
        Err(error) => Some(format!("no real servers without {name}: {error}")),
    };
    look("nginx", "-v").or_else(|| look("python3", "-V"))
}

/// Clients that ask all the time, on a thread each.
struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    clients: Vec<JoinHandle<()>>,
}

/// What they saw.
#[derive(Default)]
struct Seen {
    /// By the server that answered.
    answers: BTreeMap<String, usize>,
    errors: Vec<Failure>,
}

struct Failure {
    began_at: Instant,
    text: String,
}

impl Load {
    fn start(address: SocketAddr) -> Load {
        let (stop, seen) = (Arc::default(), Arc::default());
        let clients = (0..CLIENTS).map(|_| {
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            thread::spawn(move || ask_until(&stop, address, &seen))
        });
        let clients = clients.collect();
        Load { stop, seen, clients }
    }

    fn answers_of(&self, server: &str) -> usize {
        self.seen.lock().unwrap().answers.get(server).copied().unwrap_or(0)
    }

    fn wait_for_more(&self, server: &str, count: usize) {
        let before = self.answers_of(server);
        until(&format!("{server} answers {count} more"), || {
            self.answers_of(server) >= before + count
        });
    }

    fn stop(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn ask_until(stop: &AtomicBool, address: SocketAddr, seen: &Mutex<Seen>) {
    while !stop.load(Ordering::SeqCst) {
        let began_at = Instant::now();
        let result = ask(address);
        let mut seen = seen.lock().unwrap();
        match result {
            Ok(server) => *seen.answers.entry(server).or_default() += 1,
            Err(error) => seen.errors.push(Failure { began_at, text: error.to_string() }),
        }
    }
}

/// One request; the answer has to be whole, and is the name of who gave it.
fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\nHost: test\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let wrong = || io::Error::other(format!("not an answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(wrong)?;
    let (_, status) = head.split_once(' ').ok_or_else(wrong)?;
    let whole = status.starts_with("200 ") && body.ends_with('\n');
    whole.then(|| body.trim_end().to_string()).ok_or_else(wrong)
}

/// Where the servers have their files; removed when dropped.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Home {
        let name = format!("pointsman-servers-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        for server in ["nginx", "python"] {
            std::fs::create_dir_all(path.join(server)).unwrap();
            std::fs::write(path.join(server).join("index.html"), format!("{server}\n"))
                .unwrap();
        }
        Home(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A real server; killed when dropped.
struct Server {
    name: &'static str,
    address: SocketAddr,
    child: Child,
}

impl Server {
    fn start(name: &'static str, address: SocketAddr, home: &Home) -> Server {
        let mut command = match name {
            "nginx" => nginx(address, &home.0),
            _ => python(address, &home.0),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server { name, address, child: command.spawn().unwrap() };
        until(&format!("{name} answers"), || ask(address).is_ok());
        server
    }

    fn flag(&self) -> String {
        format!("{},name={}", self.address, self.name)
    }

    /// `kill -9`; on return it is gone, and nobody listens.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python(address: SocketAddr, home: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "http.server", "--bind", &address.ip().to_string(), "--directory"]);
    command.arg(home.join("python")).arg(address.port().to_string());
    command
}

/// One process, so that killing it kills nginx; nothing is written outside `home`.
fn nginx(address: SocketAddr, home: &Path) -> Command {
    let version = Command::new("nginx").arg("-V").output().unwrap();
    let version = String::from_utf8_lossy(&version.stderr).into_owned();
    let at = home.display();
    // A build that knows such a directory makes it when it starts, wherever it was told to.
    let directories: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .filter(|kind| version.contains(&format!("{}-temp-path", kind.replace('_', "-"))))
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .collect();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\n\
         events {{}}\n\
         http {{\n\
         access_log off;\n\
         {directories}\
         server {{ listen {address} backlog=511; root {at}/nginx; }}\n\
         }}\n"
    );
    let config = home.join("nginx.conf");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-e").arg(home.join("error.log")).arg("-c").arg(config);
    command
}
