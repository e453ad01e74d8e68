//! Backends that say their names, and clients that ask all the time: what they miss.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::common::{listen, until};

use super::lab::Machine;

/// Who has waited for so long has lost its request. TCP sends its SYN again after 1 s.
const PATIENCE: Duration = Duration::from_secs(4);
/// Who had to wait for so long for an answer was in trouble: the SYN was sent again, at least.
const TROUBLE: Duration = Duration::from_millis(700);
/// From one request to the next, and of a client that keeps its connection.
const PAUSE: Duration = Duration::from_millis(5);

/// Backends of these names on a machine, at these addresses.
pub fn backends(machine: &Machine, all: &[(&'static str, &str)]) {
    for &(name, address) in all {
        let address: SocketAddr = address.parse().expect("an address");
        machine.inside(|| {
            let listener = listen(address);
            thread::spawn(move || serve(&listener, name));
        });
    }
}

/// A machine at this switch with three of them, at addresses of their own.
pub fn three_backends(switch: &Machine) -> Machine {
    let servers = Machine::at_switch("servers", switch, "192.0.2.21/24");
    servers.run("for i in 22 23; do ip addr add 192.0.2.$i/24 dev eth0; done");
    let all =
        [("one", "192.0.2.21:8080"), ("two", "192.0.2.22:8080"), ("three", "192.0.2.23:8080")];
    backends(&servers, &all);
    servers
}

fn serve(listener: &TcpListener, name: &'static str) {
    for stream in listener.incoming().filter_map(Result::ok) {
        thread::spawn(move || answer_all(stream, name));
    }
}

fn answer_all(mut stream: TcpStream, name: &str) -> io::Result<()> {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while let Some(at) = seen.windows(4).position(|it| it == b"\r\n\r\n") {
            seen.drain(..at + 4);
            let length = name.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
            stream.write_all(answer.as_bytes())?;
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => seen.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A connection of a client of this address, or of any.
pub fn connect(from: Option<&str>, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if let Some(from) = from {
        let from: std::net::IpAddr = from.parse().map_err(io::Error::other)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

/// The name that answers a request on a connection; and whether the connection goes on.
pub fn ask_on(stream: &mut TcpStream) -> io::Result<(String, bool)> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let field = |name: &str| {
                let of = |line: &str| Some(line.split_once(": ")?.1.to_owned());
                let is_it = |line: &&str| line.to_ascii_lowercase().starts_with(name);
                head.lines().find(is_it).and_then(of)
            };
            let length = field("content-length:").and_then(|it| it.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let goes_on = field("connection:").is_none_or(|it| it != "close");
                let is_good = head.starts_with("HTTP/1.1 200 ");
                let name = body.to_owned();
                return if is_good { Ok((name, goes_on)) } else { Err(io::Error::other(name)) };
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The name that answers a request on a connection of its own.
pub fn ask(from: Option<&str>, to: SocketAddr) -> io::Result<String> {
    Ok(ask_on(&mut connect(from, to)?)?.0)
}

/// What one request came to.
struct Asked {
    begun: Instant,
    ended: Instant,
    outcome: Result<(), String>,
}

type Book = Arc<Mutex<Vec<Asked>>>;

/// Clients that ask all the time.
pub struct Load {
    stop: Arc<AtomicBool>,
    asked: Book,
    clients: Vec<JoinHandle<()>>,
}

/// What they missed.
pub struct Missed {
    /// Requests in all.
    pub asked: usize,
    /// Those without an answer, or with a bad one.
    pub lost: usize,
    /// From the first that was lost or had to wait to the last one, by when they were asked.
    pub trouble: Duration,
    /// Why they were lost, and how often.
    why: BTreeMap<String, usize>,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missed { asked, lost, trouble, why } = self;
        write!(f, "trouble for {:.2} s, {lost} of {asked} lost", trouble.as_secs_f64())?;
        why.iter().try_for_each(|(text, count)| write!(f, "; {count}: {text}"))
    }
}

impl Load {
    /// A request every 5 ms from a machine, each on a connection of its own.
    pub fn fresh(machine: &Machine, to: &str) -> Load {
        let to: SocketAddr = to.parse().expect("an address");
        Load::start(machine, 1, move |stop, book| {
            let mut under_way = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let book = Arc::clone(book);
                under_way.push(thread::spawn(move || {
                    note(&book, || ask(None, to).map(|_| ()));
                }));
                thread::sleep(PAUSE);
            }
            under_way.into_iter().for_each(|it| it.join().expect("no panic"));
        })
    }

    /// Eight clients that ask again 5 ms after each answer, and keep their connections while they
    /// may.
    pub fn kept(machine: &Machine, to: &str) -> Load {
        let to: SocketAddr = to.parse().expect("an address");
        Load::start(machine, 8, move |stop, book| {
            let mut kept = None;
            while !stop.load(Ordering::SeqCst) {
                note(book, || {
                    let mut stream = kept.take().map_or_else(|| connect(None, to), Ok)?;
                    let (_, goes_on) = ask_on(&mut stream)?;
                    kept = goes_on.then_some(stream);
                    Ok(())
                });
                thread::sleep(PAUSE);
            }
        })
    }

    /// Sixteen clients that ask again at once, each time on a connection of its own.
    pub fn busy(machine: &Machine, to: &str) -> Load {
        let to: SocketAddr = to.parse().expect("an address");
        Load::start(machine, 16, move |stop, book| {
            while !stop.load(Ordering::SeqCst) {
                note(book, || ask(None, to).map(|_| ()));
            }
        })
    }

    fn start(
        machine: &Machine,
        count: usize,
        client: impl Fn(&AtomicBool, &Book) + Send + Sync + Clone + 'static,
    ) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Book::default();
        let one = |_| {
            let stop = Arc::clone(&stop);
            let asked = Arc::clone(&asked);
            let client = client.clone();
            thread::spawn(move || client(&stop, &asked))
        };
        let clients = machine.inside(|| (0..count).map(one).collect());
        Load { stop, asked, clients }
    }

    /// They stop; what they missed.
    pub fn stop(self) -> Missed {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().for_each(|it| it.join().expect("no panic"));
        let asked = self.asked.lock().expect("no panic");
        let is_bad =
            |it: &&Asked| it.outcome.is_err() || it.ended.duration_since(it.begun) > TROUBLE;
        let bad: Vec<Instant> = asked.iter().filter(is_bad).map(|it| it.begun).collect();
        let trouble = match (bad.iter().min(), bad.iter().max()) {
            (Some(first), Some(last)) => *last - *first,
            _ => Duration::ZERO,
        };
        let mut why = BTreeMap::new();
        for text in asked.iter().filter_map(|it| it.outcome.as_ref().err()) {
            *why.entry(text.clone()).or_insert(0) += 1;
        }
        Missed { asked: asked.len(), lost: why.values().sum(), trouble, why }
    }

    /// Wait until so many more were answered well, of those that are asked from now on.
    pub fn wait_for(&self, more: usize) {
        let now = Instant::now();
        until("more is answered", || {
            let asked = self.asked.lock().expect("no panic");
            asked.iter().filter(|it| it.outcome.is_ok() && it.begun > now).count() >= more
        });
    }
}

fn note(book: &Book, ask: impl FnOnce() -> io::Result<()>) {
    let begun = Instant::now();
    let outcome = ask().map_err(|error| error.to_string());
    let ended = Instant::now();
    book.lock().expect("no panic").push(Asked { begun, ended, outcome });
}
