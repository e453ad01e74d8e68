//! Those who attack: bounded in number, in rate and by a seed, all on one thread.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::common::until;

/// Connections of one address at most.
const EACH: usize = 8;

/// New connections in a round, of all addresses together; a round is [`ROUND`].
const NEW_IN_A_ROUND: usize = 20;

const ROUND: Duration = Duration::from_millis(10);

/// Who is attacked.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Where HTTP is spoken.
    pub http: SocketAddr,
    /// Where TLS is.
    pub https: SocketAddr,
}

/// What one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It connects, and says nothing.
    Open,
    /// It asks once, and holds the connection.
    Hold,
    /// A byte of a head now and then.
    Drip,
    /// As many requests as are taken.
    Pipeline,
    /// A ClientHello, and nothing more.
    Handshake,
}

const WAYS: [Way; 5] = [Way::Open, Way::Hold, Way::Drip, Way::Pipeline, Way::Handshake];

struct Source {
    address: Ipv4Addr,
    way: Way,
    connections: Vec<(TcpStream, usize)>,
}

/// Many addresses.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    attempts: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// A socket of this address.
pub fn socket_from(address: Ipv4Addr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address of loopback");
    socket
}

impl Crowd {
    pub fn start(target: Target, sources: usize, hello: Vec<u8>, seed: u64) -> Crowd {
        let stop = Arc::new(AtomicBool::new(false));
        let attempts = Arc::new(AtomicU64::new(0));
        let ended = Arc::new(AtomicU64::new(0));
        let shared = [Arc::clone(&attempts), Arc::clone(&ended)];
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(seed);
            let new = |at: usize| Source {
                address: Ipv4Addr::new(127, 1, (at / 250) as u8, (at % 250 + 1) as u8),
                way: WAYS[at % WAYS.len()],
                connections: Vec::new(),
            };
            let mut all: Vec<Source> = (0..sources).map(new).collect();
            while !stopped.load(Ordering::Relaxed) {
                for _ in 0..NEW_IN_A_ROUND {
                    let source = random.choice(&mut all).expect("some");
                    if source.connect(&target) {
                        shared[0].fetch_add(1, Ordering::Relaxed);
                    }
                }
                let ended: usize = all.iter_mut().map(|source| source.act(&hello)).sum();
                shared[1].fetch_add(ended as u64, Ordering::Relaxed);
                thread::sleep(ROUND);
            }
        });
        Crowd { stop, attempts, ended, thread: Some(thread) }
    }

    /// Each address has come about twice.
    pub fn wait_until_it_is_there(&self) {
        until("the attack has begun", || self.attempts.load(Ordering::Relaxed) >= 400);
    }

    /// How many connections were made, and how many were ended by the other side.
    pub fn stop(mut self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the attack went well");
        }
        (self.attempts.load(Ordering::Relaxed), self.ended.load(Ordering::Relaxed))
    }
}

impl Source {
    fn connect(&mut self, target: &Target) -> bool {
        if self.connections.len() >= EACH {
            return false;
        }
        let to = if self.way == Way::Handshake { target.https } else { target.http };
        let socket = socket_from(self.address);
        if socket.connect(&to.into()).is_err() || socket.set_nonblocking(true).is_err() {
            return false;
        }
        self.connections.push((socket.into(), 0));
        true
    }

    /// Do what it does on all of its connections. Says how many were ended.
    fn act(&mut self, hello: &[u8]) -> usize {
        let before = self.connections.len();
        let way = self.way;
        self.connections.retain_mut(|(stream, round)| {
            *round += 1;
            let is_said = match way {
                Way::Open => true,
                Way::Hold if *round == 1 => say(stream, REQUEST),
                Way::Hold => true,
                Way::Drip if *round % 10 == 1 => {
                    let at = *round / 10 % REQUEST.len();
                    say(stream, &REQUEST[at..=at])
                }
                Way::Drip => true,
                Way::Pipeline => say(stream, &REQUEST.repeat(16)),
                Way::Handshake if *round == 1 => say(stream, hello),
                Way::Handshake => true,
            };
            is_said && is_open(stream)
        });
        before - self.connections.len()
    }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: attack.example\r\n\r\n";

/// Whether the connection is still good; what is not taken is left out.
fn say(stream: &mut TcpStream, text: &[u8]) -> bool {
    match stream.write(text) {
        // What is left out is asked again another time.
        Ok(written) => written <= text.len(),
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

fn is_open(stream: &mut TcpStream) -> bool {
    let mut block = [0; 64 * 1024];
    match stream.read(&mut block) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
