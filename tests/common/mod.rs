//! What the integration tests share: the real binary, backends on threads, and deadlines.
//!
//! Nothing here sleeps in order to assert: whoever waits says for what, and fails after
//! [`DEADLINE`].

// Each test file uses its own part of this.
#![allow(dead_code)]

pub mod admin;
pub mod authority;
pub mod dns;
pub mod hello;
pub mod http;
pub mod measure;
pub mod proxy_header;
pub mod servers;
pub mod status;
pub mod trace;
pub mod udp;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, SockRef, Socket, Type};

/// After this, what has not happened will not, however busy the machine is. Before the timeouts of
/// 30 s that pointsman has by default: they would put an end to what hangs.
pub const DEADLINE: Duration = Duration::from_secs(25);

/// A running `pointsman`; killed when dropped.
pub struct Balancer {
    child: Child,
    /// Where it listens, in the order of its `--listen` flags.
    pub addresses: Vec<SocketAddr>,
    /// How many backends it has.
    backends: usize,
    /// What it logged, in whole lines, as far as it was read.
    log: Arc<Mutex<String>>,
    /// Reads the log; over once the process is.
    reader: thread::JoinHandle<()>,
    /// Its pid may be another process's by then.
    has_exited: bool,
}

impl Balancer {
    /// Start with these arguments, at debug level unless they say otherwise; waits until it
    /// listens.
    pub fn start(args: &[&str]) -> Balancer {
        Balancer::start_command(Command::new(env!("CARGO_BIN_EXE_pointsman")), args)
    }

    /// Start in front of these backends, with no probes unless `more` has a `--check`.
    pub fn before(backends: &[&Backend], more: &[&str]) -> Balancer {
        Balancer::start(&front_args(backends, more))
    }

    /// The same through another program that runs it (`strace`, `sh -c 'ulimit ...'`).
    pub fn start_command(command: Command, args: &[&str]) -> Balancer {
        let listeners = args.iter().filter(|arg| ["-l", "--listen"].contains(arg)).count();
        Balancer::start_with(command, args, listeners)
    }

    /// The same with a file that has so many listeners.
    pub fn start_listeners(args: &[&str], listeners: usize) -> Balancer {
        Balancer::start_with(Command::new(env!("CARGO_BIN_EXE_pointsman")), args, listeners)
    }

    fn start_with(mut command: Command, args: &[&str], listeners: usize) -> Balancer {
        command.args(args);
        if !args.contains(&"--log-level") {
            command.args(["--log-level", "debug"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("pointsman starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let sink = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = sink.lock().expect("no panic while logging");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let addresses: Vec<SocketAddr> = stdout
            .lines()
            .map_while(Result::ok)
            .filter(|line| line.starts_with("listening on "))
            .take(listeners.max(1))
            // Those at UNIX sockets have none.
            .filter_map(|line| line.split_once("://")?.1.parse().ok())
            .collect();
        let backends = backends_in(args);
        let has_exited = false;
        let balancer = Balancer { child, addresses, backends, log, reader, has_exited };
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
        self.has_exited = true;
        status.expect("it exited")
    }

    /// Ask it to stop and see that it does so without complaint.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// The same where calls fail that are injected: `sendto` is also what wakes the loop for a
    /// signal, and the next one wakes it for both.
    pub fn stop_despite_faults(mut self) {
        self.signal(Signal::TERM);
        until("pointsman exits", || {
            let status = self.child.try_wait().expect("it is ours");
            if status.is_none() {
                self.signal(Signal::USR1);
            }
            status.inspect(|status| assert!(status.success(), "{status}")).is_some()
        });
        self.has_exited = true;
    }

    /// The same once these clients are gone.
    pub fn stop_after<T>(self, clients: T) {
        drop(clients);
        self.stop();
    }

    /// Open descriptors of its process.
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.pid());
        std::fs::read_dir(path).expect("it runs").count()
    }

    /// Resident memory of its process, in bytes.
    pub fn memory(&self) -> usize {
        self.process_status("VmRSS:") * 1024
    }

    /// How often it went to sleep.
    pub fn sleeps(&self) -> usize {
        self.process_status("voluntary_ctxt_switches:")
    }

    fn process_status(&self, name: &str) -> usize {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("it runs");
        let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        value.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Processor time that it used, in clock ticks of 10 ms.
    pub fn cpu_ticks(&self) -> usize {
        let path = format!("/proc/{}/stat", self.pid());
        let stat = std::fs::read_to_string(path).expect("it runs");
        let after_name = stat.rsplit_once(") ").expect("a name in parentheses").1;
        let fields: Vec<&str> = after_name.split(' ').collect();
        [11, 12].map(|at| fields[at].parse::<usize>().expect("a number")).iter().sum()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("pointsman's log:\n{}", self.log_so_far());
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
        let listener = listen(address);
        let address = listener.local_addr().expect("bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let stopped = Arc::clone(&stop);
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

    /// What the log calls it.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// Reads until the client has finished, without a word, and reports what became of it.
    pub fn silent() -> (Backend, Receiver<End>) {
        let (ends, seen) = mpsc::channel();
        let backend = Backend::start(move |stream| {
            let _ = ends.send(read_to_end(&stream));
        });
        (backend, seen)
    }

    /// Gives each connection to whoever asks the receiver for it.
    pub fn manual() -> (Backend, Receiver<TcpStream>) {
        let (streams, taken) = mpsc::channel();
        let backend = Backend::start(move |stream| {
            let stream = with_deadline(stream);
            let _ = streams.send(stream);
        });
        (backend, taken)
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

/// An address that takes no more connections: they hang until they time out.
pub struct BlackHole {
    /// Where nobody answers.
    pub address: SocketAddr,
    _listener: Socket,
    _fillers: Vec<Socket>,
}

impl BlackHole {
    /// A listener that never accepts, its backlog filled up: Linux drops every further SYN.
    pub fn start() -> BlackHole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        listener.bind(&any.into()).expect("a free port");
        listener.listen(0).expect("it listens");
        let address = listener.local_addr().expect("bound").as_socket().expect("an address");
        let mut fillers = Vec::new();
        loop {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            filler.set_nonblocking(true).expect("a socket");
            let _ = filler.connect(&address.into());
            let full = filler.peer_addr().is_err();
            fillers.push(filler);
            if full {
                return BlackHole { address, _listener: listener, _fillers: fillers };
            }
            assert!(fillers.len() < 100, "the backlog is never full");
        }
    }

    /// For `--backend`.
    pub fn flag(&self) -> String {
        self.address.to_string()
    }
}

/// How a connection ended for who read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// After these bytes, in order.
    Finished(Vec<u8>),
    /// It was reset after so many bytes.
    Reset(usize),
}

impl End {
    /// The bytes of a connection that finished.
    #[track_caller]
    pub fn bytes(self) -> Vec<u8> {
        match self {
            End::Finished(bytes) => bytes,
            End::Reset(count) => panic!("reset after {count} bytes"),
        }
    }

    /// Whether the connection was reset.
    pub fn is_reset(&self) -> bool {
        matches!(self, End::Reset(_))
    }
}

/// Read to the end, whatever it is.
#[track_caller]
pub fn read_to_end(mut stream: &TcpStream) -> End {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => End::Finished(bytes),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset(bytes.len()),
        Err(error) => panic!("after {} bytes: {error}", bytes.len()),
    }
}

/// Close with a reset.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
    drop(stream);
}

/// Send a question and read the answer of the same length.
#[track_caller]
pub fn ask(mut stream: &TcpStream, question: &[u8]) -> Vec<u8> {
    let mut answer = vec![0; question.len()];
    stream.write_all(question).expect("it takes the question");
    stream.read_exact(&mut answer).expect("it answers");
    answer
}

/// Write on a thread, and finish sending if `finish`.
pub fn write_on_thread(
    stream: &TcpStream,
    bytes: Vec<u8>,
    finish: bool,
) -> thread::JoinHandle<std::io::Result<()>> {
    let mut stream = stream.try_clone().expect("a descriptor");
    thread::spawn(move || {
        stream.write_all(&bytes)?;
        if finish { stream.shutdown(std::net::Shutdown::Write) } else { Ok(()) }
    })
}

/// How many backends these flags mention, each counted once.
fn backends_in(args: &[&str]) -> usize {
    let values = |flags: &'static [&str]| {
        let pairs = args.windows(2).filter(|pair| flags.contains(&pair[0]));
        pairs.map(|pair| pair[1])
    };
    let plain =
        values(&["-b", "--backend"]).map(|value| value.split(',').next().unwrap_or(value));
    let routes = values(&["--route"]).filter_map(|value| Some(value.split_once('=')?.1));
    let routed = routes.flat_map(|backends| backends.split(','));
    let is_backend = |part: &&str| part.contains(':') && !part.contains('=');
    let routed = routed.filter(is_backend);
    plain.chain(routed).collect::<std::collections::HashSet<_>>().len()
}

/// The flags for a balancer at a free port before these backends.
pub fn front_args(backends: &[&Backend], more: &[&str]) -> Vec<&'static str> {
    let mut args = vec!["-l".to_string(), "127.0.0.1:0".to_string()];
    args.extend(backends.iter().flat_map(|backend| ["-b".to_string(), backend.flag()]));
    if !more.contains(&"--check") {
        args.extend(["--check".to_string(), "none".to_string()]);
    }
    args.extend(more.iter().map(|arg| arg.to_string()));
    // Tests are short, and slices of borrowed text are what everybody wants.
    args.into_iter().map(|arg| &*arg.leak()).collect()
}

/// A listener with a long backlog. With std's 128, a burst makes the kernel drop the last step of
/// handshakes, and who waits for the backend's first word waits for seconds.
pub fn listen(address: SocketAddr) -> TcpListener {
    let kind = socket2::Type::STREAM;
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), kind, None);
    let socket = socket.expect("a socket");
    socket.set_reuse_address(true).expect("an option");
    socket.bind(&address.into()).expect("the port is free");
    socket.listen(4096).expect("bound");
    socket.into()
}

/// A connection with a deadline on its reads and writes.
pub fn connect(address: SocketAddr) -> TcpStream {
    with_deadline(TcpStream::connect(address).expect("somebody listens"))
}

/// The same from this address of ours.
pub fn connect_from(source: &str, address: SocketAddr) -> TcpStream {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    let source: std::net::IpAddr = source.parse().expect("an address");
    socket.bind(&SocketAddr::new(source, 0).into()).expect("an address of this machine");
    socket.connect(&address.into()).expect("somebody listens");
    with_deadline(socket.into())
}

/// The same connection, with the deadline on its reads and writes.
pub fn with_deadline(stream: TcpStream) -> TcpStream {
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
///
/// It lies below the ports that the system gives to clients, so that none of them takes it
/// meanwhile; and each process of tests begins elsewhere.
pub fn free_port() -> SocketAddr {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let start = std::process::id() as usize * 97;
    let ports = std::iter::repeat_with(|| {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::SeqCst)) % 12_000;
        SocketAddr::from(([127, 0, 0, 1], port as u16))
    });
    let is_free = |port: SocketAddr| {
        TcpListener::bind(port).is_ok() && std::net::UdpSocket::bind(port).is_ok()
    };
    let mut free = ports.take(12_000).filter(|&port| is_free(port));
    free.next().expect("one of twelve thousand ports is free")
}

/// Bytes that look random and are the same for the same seed.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; count];
    random.fill(&mut bytes);
    bytes
}
