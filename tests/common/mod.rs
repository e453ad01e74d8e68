//! What the integration tests share: the real binary, backends on threads, and deadlines.
//!
//! Nothing here sleeps in order to assert: whoever waits says for what, and fails after
//! [`DEADLINE`].

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// After this, what has not happened will not.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A running `pointsman`; killed when dropped.
pub struct Balancer {
    child: Child,
    /// Where it listens, in the order of its `--listen` flags.
    pub addresses: Vec<SocketAddr>,
    log: Arc<Mutex<String>>,
}

impl Balancer {
    /// Start with these arguments, at debug level unless they say otherwise; waits until it
    /// listens.
    pub fn start(args: &[&str]) -> Balancer {
        Balancer::start_command(Command::new(env!("CARGO_BIN_EXE_pointsman")), args)
    }

    /// The same through another program that runs it (`strace`, `sh -c 'ulimit ...'`).
    pub fn start_command(mut command: Command, args: &[&str]) -> Balancer {
        command.args(args);
        if !args.contains(&"--log-level") {
            command.args(["--log-level", "debug"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("pointsman starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let sink = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = sink.lock().expect("no panic while logging");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let listeners = args.iter().filter(|arg| ["-l", "--listen"].contains(arg)).count();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let addresses: Vec<SocketAddr> = stdout
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("listening on tcp://")?.parse().ok())
            .take(listeners.max(1))
            .collect();
        let balancer = Balancer { child, addresses, log };
        assert!(!balancer.addresses.is_empty(), "it does not listen: {}", balancer.log());
        balancer
    }

    /// Where its first listener is.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// A client's connection, with a deadline on its reads and writes.
    pub fn connect(&self) -> TcpStream {
        connect(self.address())
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic while logging").clone()
    }

    /// Wait until the log contains `text`.
    pub fn wait_for_log(&self, text: &str) {
        until(&format!("the log says {text:?}"), || self.log().contains(text));
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Send it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// Wait until it exits by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("pointsman exits", || {
            status = self.child.try_wait().expect("it is ours");
            status.is_some()
        });
        status.expect("it exited")
    }

    /// Ask it to stop and see that it does so without complaint.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// The status page's line for a backend, split into its words.
    pub fn status_of(&self, backend: &str) -> Vec<String> {
        let before = self.log().len();
        self.signal(Signal::USR1);
        let mut found = None;
        until("the status page is written", || {
            let log = self.log();
            let line = log[before..].lines().find(|line| {
                line.split_whitespace().nth(3) == Some(backend) && line.contains("event_loop")
            });
            found =
                line.map(|line| line.split_whitespace().skip(3).map(String::from).collect());
            found.is_some()
        });
        found.expect("found")
    }

    /// Open descriptors of its process.
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.pid());
        std::fs::read_dir(path).expect("it runs").count()
    }

    /// Resident memory of its process, in bytes.
    pub fn memory(&self) -> usize {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        let kib = line.trim().trim_end_matches(" kB");
        kib.parse::<usize>().expect("a number") * 1024
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("pointsman's log:\n{}", self.log());
        }
    }
}

/// A backend on threads of this process; it stops listening when dropped.
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    stop: Arc<AtomicUsize>,
}

impl Backend {
    /// Answers each connection with `serve`, on a thread of its own.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Backend {
        Backend::start_at("127.0.0.1:0".parse().expect("an address"), serve)
    }

    /// The same at a given address.
    pub fn start_at(
        address: SocketAddr,
        serve: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> Backend {
        let listener = TcpListener::bind(address).expect("the port is free");
        let address = listener.local_addr().expect("bound");
        let (accepted, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counter, stopped) = (Arc::clone(&accepted), Arc::clone(&stop));
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) > 0 {
                    return;
                }
                let Ok(stream) = stream else { continue };
                counter.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(stream));
            }
        });
        Backend { address, accepted, stop }
    }

    /// Answers every byte with itself, and a FIN with a FIN.
    pub fn echo() -> Backend {
        Backend::start(|mut stream| {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
        })
    }

    /// Says its name to whoever connects, then closes.
    pub fn named(name: &'static str) -> Backend {
        Backend::start(move |mut stream| {
            let _ = stream.write_all(name.as_bytes());
        })
    }

    /// Connections accepted so far, probes included.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// For `--backend`.
    pub fn flag(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.store(1, Ordering::SeqCst);
        // Wakes the accepting thread, which then drops the listener.
        let _ = TcpStream::connect(self.address);
        let address = self.address;
        until("the backend stops listening", || TcpStream::connect(address).is_err());
    }
}

/// A connection with a deadline on its reads and writes.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
    stream
}

/// Wait until `done`, or fail after the deadline.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A port on which nobody listens (any more).
pub fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

/// Bytes that look random and are the same for the same seed.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(count).collect()
}
