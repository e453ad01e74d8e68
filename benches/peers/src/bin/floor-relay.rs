//! The bare relay: epoll, recv, send, one buffer, and no feature at all. What it costs is what any
//! relay has to pay; what another one costs beyond that is the price of what it can do.
//!
//! ```text
//!   wait -> an event says what has become possible at a socket, once (edge-triggered)
//!     listener: accept, connect to the least busy backend, watch both
//!     pair:     move bytes each way until nobody has any, or nobody takes any
//!               both ways at their end, or one socket torn? close both
//! ```
//!
//! What it lacks: retries, timeouts, limits, health, logs, a way to stop gently, and a choice of
//! configuration. What it does have is what keeps it correct: backpressure, half-close, and turns,
//! so that a stream does not silence its neighbours.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use pointsman_peers::{BACKLOG, Backends, Lease, Options, REST, fail};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType,
};

/// Holds a message of 64 KiB and stays in the processor's cache.
const BUFFER_BYTES: usize = 128 * 1024;

/// Reads of one direction before others have their turn.
const READS_PER_TURN: usize = 8;

/// Clients accepted before others have their turn.
const ACCEPTS_PER_TURN: usize = 4;

const EVENTS_PER_TURN: usize = 256;

/// The listener's token; a pair's are twice its index, and one more for its backend.
const LISTENER: u64 = u64::MAX;

/// Everything that can happen to a socket, told once: registered once and never changed.
const ALL: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

fn main() {
    let options = Options::from_command_line();
    let run = || Relay::new(&options)?.run();
    if let Err(error) = run() {
        fail("floor-relay", &error, 1);
    }
}

struct Relay {
    epoll: OwnedFd,
    listener: OwnedFd,
    backends: Arc<Backends>,
    pairs: Vec<Option<Pair>>,
    /// Places in `pairs` for the next ones.
    free: Vec<usize>,
    /// Pairs with work left from the last turn.
    again: Vec<usize>,
    /// Places left in this turn, free when it ends: no event can reach a pair that came after.
    closed: Vec<usize>,
    /// What is read, before it is written: one for all, for there is only one of us.
    scratch: Box<[u8]>,
}

/// A client, its backend, and the bytes between them.
struct Pair {
    client: Side,
    backend: Side,
    /// What the backend did not take at once; and the client.
    request: Direction,
    response: Direction,
    _lease: Lease,
}

struct Side {
    socket: OwnedFd,
    readable: bool,
    writable: bool,
    /// The peer has sent its FIN: after a short read there is nothing more.
    ended: bool,
}

#[derive(Default)]
struct Direction {
    rest: Vec<u8>,
    done: bool,
}

/// What a pair is to do after its turn.
enum Verdict {
    Wait,
    Again,
    Close,
}

impl Relay {
    fn new(options: &Options) -> io::Result<Relay> {
        let listener = socket(options.listen)?;
        net::sockopt::set_socket_reuseaddr(&listener, true)?;
        net::bind(&listener, &options.listen)?;
        net::listen(&listener, BACKLOG as i32)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Relay {
            epoll,
            listener,
            backends: Backends::new(&options.backends),
            pairs: Vec::new(),
            free: Vec::new(),
            again: Vec::new(),
            closed: Vec::new(),
            scratch: vec![0; BUFFER_BYTES].into_boxed_slice(),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            events.clear();
            let timeout = if self.again.is_empty() { None } else { Some(&at_once) };
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for index in std::mem::take(&mut self.again) {
                self.act(index);
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    token => self.mark_and_act(token, event.flags),
                }
            }
            self.free.append(&mut self.closed);
        }
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            match net::accept_with(&self.listener, flags) {
                // A client whose backend cannot be had is closed by being dropped.
                Ok(client) => {
                    let _ = self.open(client);
                }
                Err(Errno::AGAIN) => return,
                // No more descriptors, most likely: not to spin, nobody is served for a moment.
                Err(Errno::MFILE | Errno::NFILE) => return std::thread::sleep(REST),
                Err(_) => {}
            }
        }
    }

    fn open(&mut self, client: OwnedFd) -> rustix::io::Result<()> {
        let lease = self.backends.pick();
        let backend = socket(lease.address())?;
        match net::connect(&backend, &lease.address()) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let index = self.free.last().copied().unwrap_or(self.pairs.len());
        let token = 2 * index as u64;
        epoll::add(&self.epoll, &client, EventData::new_u64(token), ALL)?;
        epoll::add(&self.epoll, &backend, EventData::new_u64(token + 1), ALL)?;
        if self.free.pop().is_none() {
            self.pairs.push(None);
        }
        self.pairs[index] = Some(Pair {
            client: Side::new(client),
            backend: Side::new(backend),
            request: Direction::default(),
            response: Direction::default(),
            _lease: lease,
        });
        Ok(())
    }

    fn mark_and_act(&mut self, token: u64, flags: EventFlags) {
        let index = (token / 2) as usize;
        let Some(pair) = &mut self.pairs[index] else { return };
        let side = if token.is_multiple_of(2) { &mut pair.client } else { &mut pair.backend };
        // What is wrong with a socket is learnt by using it.
        let wrong = EventFlags::HUP | EventFlags::ERR;
        side.readable |= flags.intersects(EventFlags::IN | EventFlags::RDHUP | wrong);
        side.writable |= flags.intersects(EventFlags::OUT | wrong);
        side.ended |= flags.intersects(EventFlags::RDHUP | wrong);
        self.act(index);
    }

    fn act(&mut self, index: usize) {
        let Some(pair) = &mut self.pairs[index] else { return };
        match pair.act(&mut self.scratch) {
            Ok(Verdict::Wait) => {}
            Ok(Verdict::Again) if self.again.contains(&index) => {}
            Ok(Verdict::Again) => self.again.push(index),
            Ok(Verdict::Close) | Err(_) => {
                // Its sockets close here.
                self.pairs[index] = None;
                self.closed.push(index);
            }
        }
    }
}

impl Pair {
    fn act(&mut self, scratch: &mut [u8]) -> rustix::io::Result<Verdict> {
        let request = pump(&mut self.client, &mut self.backend, &mut self.request, scratch)?;
        let response = pump(&mut self.backend, &mut self.client, &mut self.response, scratch)?;
        Ok(match (request, response) {
            _ if self.request.done && self.response.done => Verdict::Close,
            (Verdict::Again, _) | (_, Verdict::Again) => Verdict::Again,
            _ => Verdict::Wait,
        })
    }
}

impl Side {
    /// Nothing is known of it until the first event, which comes at once.
    fn new(socket: OwnedFd) -> Side {
        Side { socket, readable: false, writable: false, ended: false }
    }
}

/// One direction, as far as it goes: what was left over, then read and write, then the end.
fn pump(
    source: &mut Side,
    target: &mut Side,
    direction: &mut Direction,
    scratch: &mut [u8],
) -> rustix::io::Result<Verdict> {
    for _ in 0..READS_PER_TURN {
        if !direction.rest.is_empty() {
            let rest = std::mem::take(&mut direction.rest);
            let sent = send(target, &rest)?;
            direction.rest.extend_from_slice(&rest[sent..]);
        }
        // Nobody reads what cannot be written: so the sender feels it.
        if direction.done || !target.writable || !source.readable {
            return Ok(Verdict::Wait);
        }
        let read = match net::recv(&source.socket, &mut *scratch, RecvFlags::empty()) {
            Ok((_, read)) => read,
            Err(Errno::AGAIN) => {
                source.readable = false;
                return Ok(Verdict::Wait);
            }
            Err(error) => return Err(error),
        };
        let is_short = read < scratch.len();
        let sent = send(target, &scratch[..read])?;
        direction.rest.extend_from_slice(&scratch[sent..read]);
        // A short read has emptied the socket: an event tells of what comes next, unless the end
        // has come already.
        source.readable = !is_short || source.ended;
        if is_short && source.ended && direction.rest.is_empty() {
            direction.done = true;
            match net::shutdown(&target.socket, Shutdown::Write) {
                // Gone already; the other direction finds out.
                Ok(()) | Err(Errno::NOTCONN) => return Ok(Verdict::Wait),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Verdict::Again)
}

/// How much of it the target took at once.
fn send(target: &mut Side, bytes: &[u8]) -> rustix::io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let sent = match net::send(&target.socket, bytes, SendFlags::NOSIGNAL) {
        Ok(sent) => sent,
        Err(Errno::AGAIN) => 0,
        Err(error) => return Err(error),
    };
    target.writable = sent == bytes.len();
    Ok(sent)
}

/// A TCP socket that never blocks and never waits for more to send.
fn socket(for_whom: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if for_whom.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    net::sockopt::set_tcp_nodelay(&socket, true)?;
    Ok(socket)
}
