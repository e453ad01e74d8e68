//! The world around a proxy: its clients and its backends, in one loop on one processor.
//!
//! ```text
//!   client --ask--> [ the proxy, on a processor of its own ] --> backend
//!   client <-------- answer, every byte compared <-------------- backend
//! ```
//!
//! It is to cost less than any proxy: no allocation for a unit of work, one read and one write for
//! each message, sockets registered once. A *unit* is an ask and its answer, a connection with
//! both, or a stream: what a row says. Whatever is not as it should be is an error: a proxy that
//! fails fast must not look fast.

mod backend;
mod client;
mod line;
pub mod pattern;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::peers::Protocol;
use backend::Backend;
use client::{Client, Step};
use line::{Line, Terms};

/// Loopback addresses that backends listen on, so that no pair of addresses runs out of ports.
const BACKENDS: u8 = 4;

/// How long the last units of a run may take after its time is over.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a run by number may take. It is far from it, unless somebody does not answer.
const LONGEST: Duration = Duration::from_secs(60);

/// Full reads or writes of a connection before it is another's turn: a stream must not keep small
/// messages waiting in this loop, for it would look like the proxy's doing.
const PASSES: usize = 2;

/// How long a proxy may tidy up before another has its turn.
const BETWEEN_RUNS: Duration = Duration::from_millis(20);

/// Connections under way at once while clients come in.
const BURST: usize = 256;

/// Tokens from here on are backends' listeners.
const LISTENERS: usize = usize::MAX / 2;

/// What is asked, again and again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Script {
    pub protocol: Protocol,
    /// Clients at once.
    pub clients: usize,
    /// Bytes of the body that is sent.
    pub upload: u64,
    /// Bytes of the body of the answer.
    pub answer: u64,
    /// When the answer begins.
    pub turns: Turns,
    /// What becomes of a connection after an answer.
    pub after: After,
    /// How connections begin, where TLS is spoken.
    pub handshake: Handshake,
}

/// When an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// When all is asked.
    One,
    /// When the ask's head has come: bytes go both ways at once. The last byte waits until all is
    /// asked, so that an answer is still the receipt for what was sent. TCP only.
    Both,
}

/// What becomes of a connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It is used again.
    Keep,
    /// The backend closes; in HTTP the client has asked for that, too.
    BackendCloses,
    /// The client has asked for its end to be closed; the backend's may be kept. HTTP only.
    ClientCloses,
}

/// How a connection of TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// With a new session.
    New,
    /// With a session that an earlier connection of the same run left; it is an error if it does
    /// not.
    Resumed,
}

/// When the next unit begins.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As soon as the one before is over.
    Closed,
    /// So many a second, whether or not the ones before are over: their times begin when they
    /// should have begun, so that a proxy that stalls cannot hide what it did to those who waited.
    Open(f64),
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub units: u64,
    pub errors: u64,
    /// The first of them.
    pub error: Option<String>,
    /// Connections that resumed a session of TLS, of those that ended.
    pub resumed: u64,
    pub seconds: f64,
    /// Nanoseconds of each unit, where the pace is open.
    pub latencies: Vec<u64>,
}

/// Clients, backends, and the loop that moves them.
pub struct World {
    poll: Poll,
    events: Events,
    listeners: Vec<TcpListener>,
    conns: Slab<Conn>,
    scratch: Box<[u8]>,
    /// Connections whose turn is over though they have more to do.
    unfinished: Vec<usize>,
    /// Units that ever began.
    begun: u32,
}

enum Conn {
    Client(Client),
    Backend(Backend),
}

/// One run: who is asked what, how often, and what came of it.
struct Run {
    target: SocketAddr,
    script: Script,
    /// Where TLS is spoken, made for the first client.
    terms: Option<Terms>,
    ends_at: Option<Instant>,
    /// Clients come in: each unit on a connection of its own.
    warming: bool,
    /// Units that may still begin.
    left: u64,
    pace: Pace,
    began: Instant,
    /// Units that were due so far, where the pace is open.
    due: u64,
    waiting: VecDeque<Instant>,
    resting: Vec<usize>,
    busy: usize,
    outcome: Outcome,
}

impl World {
    /// Backends that listen; no client yet.
    pub fn new() -> io::Result<World> {
        let poll = Poll::new()?;
        let mut listeners = Vec::new();
        let port = free_port()?;
        for host in 1..=BACKENDS {
            let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), port));
            let mut listener = TcpListener::bind(address)?;
            let token = Token(LISTENERS + listeners.len());
            poll.registry().register(&mut listener, token, Interest::READABLE)?;
            listeners.push(listener);
        }
        let scratch = vec![0; 256 * 1024].into_boxed_slice();
        let events = Events::with_capacity(1024);
        Ok(World {
            poll,
            events,
            listeners,
            conns: Slab::new(),
            scratch,
            unfinished: Vec::new(),
            begun: 0,
        })
    }

    /// Where the backends listen.
    pub fn backends(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Open the clients' connections to `target` and ask once on each, so that what comes once is
    /// paid before anything is measured. Then `measured` units until the time or the number is up.
    pub fn run(
        &mut self,
        target: SocketAddr,
        script: Script,
        pace: Pace,
        until: Until,
        at_start: &mut dyn FnMut(),
    ) -> io::Result<Outcome> {
        let mut run = Run::new(target, script);
        run.left = script.clients as u64;
        run.warming = true;
        for _ in 0..script.clients {
            // Not more at once than wait in a listener's backlog.
            while run.busy >= BURST && run.began.elapsed() < DRAIN {
                self.turn(Duration::from_millis(20), &mut run)?;
            }
            self.begin(&mut run, Instant::now());
        }
        self.finish(&mut run)?;
        let warm = std::mem::take(&mut run.outcome);
        at_start();
        run.start(pace, until);
        if let Pace::Closed = pace {
            for _ in 0..script.clients {
                self.begin(&mut run, Instant::now());
            }
        }
        while !run.is_over() {
            let wait = if run.is_open() { Duration::ZERO } else { Duration::from_millis(100) };
            self.turn(wait, &mut run)?;
            self.begin_due(&mut run);
        }
        if let Until::Units(_) = until
            && run.left > 0
        {
            run.fail(format!("{} units not begun after {LONGEST:?}", run.left));
        }
        self.finish(&mut run)?;
        run.outcome.seconds = run.began.elapsed().as_secs_f64();
        run.outcome.errors += warm.errors;
        run.outcome.error = warm.error.or(run.outcome.error.take());
        Ok(run.outcome)
    }

    /// Ask for something beside the runs, once, whose end nobody waits for.
    pub fn add(&mut self, target: SocketAddr, script: Script) -> io::Result<()> {
        let mut run = Run::new(target, script);
        run.left = 1;
        self.begin(&mut run, Instant::now());
        match run.outcome.error {
            Some(error) => Err(io::Error::other(error)),
            None => Ok(()),
        }
    }

    /// Close all connections, and leave the proxy a moment to do the same.
    pub fn rest(&mut self) -> io::Result<()> {
        self.conns.clear();
        self.conns.shrink_to_fit();
        self.idle(BETWEEN_RUNS)
    }

    /// Let backends accept and answer for a moment without asking anything.
    fn idle(&mut self, time: Duration) -> io::Result<()> {
        let mut nobody = Run::new(SocketAddr::from(([127, 0, 0, 1], 0)), Script::default());
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn(Duration::from_millis(5), &mut nobody)?;
        }
        Ok(())
    }

    fn finish(&mut self, run: &mut Run) -> io::Result<()> {
        let end = Instant::now() + DRAIN;
        while run.busy > 0 || !run.waiting.is_empty() {
            if Instant::now() > end {
                let late = run.busy + run.waiting.len();
                run.fail(format!("{late} units not over after {DRAIN:?}"));
                run.outcome.errors += late as u64 - 1;
                self.forget_busy();
                run.busy = 0;
                run.resting = Vec::new();
                run.waiting.clear();
                break;
            }
            self.turn(Duration::from_millis(20), run)?;
            self.begin_waiting(run);
        }
        Ok(())
    }

    fn forget_busy(&mut self) {
        self.conns.retain(|_, conn| !matches!(conn, Conn::Client(_)));
    }

    fn begin_due(&mut self, run: &mut Run) {
        if let Pace::Open(rate) = run.pace {
            let now = Instant::now();
            let end = run.ends_at.map_or(now, |end| end.min(now));
            let due = (end.duration_since(run.began).as_secs_f64() * rate) as u64;
            for number in run.due..due {
                let at = run.began + Duration::from_secs_f64((number + 1) as f64 / rate);
                run.waiting.push_back(at);
            }
            run.due = run.due.max(due);
            self.begin_waiting(run);
        }
    }

    /// Those that wait for a client begin as soon as one is free.
    fn begin_waiting(&mut self, run: &mut Run) {
        while run.busy < run.script.clients
            && let Some(intended) = run.waiting.pop_front()
        {
            self.begin(run, intended);
        }
    }

    /// A unit begins, on a connection that rests or on a new one.
    fn begin(&mut self, run: &mut Run, intended: Instant) {
        if run.left == 0 {
            return;
        }
        run.left -= 1;
        run.busy += 1;
        let resting = if run.warming { None } else { run.resting.pop() };
        let index = match resting {
            Some(index) => index,
            None => match self.connect(run) {
                Ok(index) => index,
                Err(error) => {
                    run.busy -= 1;
                    return run.fail(format!("connect: {error}"));
                }
            },
        };
        if let Some(Conn::Client(client)) = self.conns.get_mut(index) {
            self.begun = self.begun.wrapping_add(1);
            client.begin(intended, self.begun);
            self.step(index, run);
        }
    }

    fn connect(&mut self, run: &mut Run) -> io::Result<usize> {
        let entry = self.conns.vacant_entry();
        let index = entry.key();
        let mut stream = TcpStream::connect(run.target)?;
        let _ = stream.set_nodelay(true);
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(index), both)?;
        entry.insert(Conn::Client(Client::new(run.line(stream)?, run.script)));
        Ok(index)
    }

    fn turn(&mut self, wait: Duration, run: &mut Run) -> io::Result<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(1));
        let unfinished = std::mem::take(&mut self.unfinished);
        let wait = if unfinished.is_empty() { wait } else { Duration::ZERO };
        let polled = self.poll.poll(&mut events, Some(wait));
        if let Err(error) = polled
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error);
        }
        for event in &events {
            let Token(index) = event.token();
            if index >= LISTENERS {
                self.accept(index - LISTENERS)?;
            } else {
                self.step(index, run);
            }
        }
        self.events = events;
        // Whose place another has taken by now is stepped in vain.
        unfinished.into_iter().for_each(|index| self.step(index, run));
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<()> {
        loop {
            let mut stream = match self.listeners[listener].accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let _ = stream.set_nodelay(true);
            let entry = self.conns.vacant_entry();
            let index = entry.key();
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(index), both)?;
            entry.insert(Conn::Backend(Backend::new(stream)));
        }
    }

    /// Somebody may have something to do.
    fn step(&mut self, index: usize, run: &mut Run) {
        match self.conns.get_mut(index) {
            None => {}
            Some(Conn::Backend(backend)) => match backend.step(&mut self.scratch) {
                backend::Step::Wait => {}
                backend::Step::More => self.unfinished.push(index),
                backend::Step::Over => drop(self.conns.remove(index)),
            },
            Some(Conn::Client(client)) => match client.step(&mut self.scratch) {
                Step::Wait => {}
                Step::More => self.unfinished.push(index),
                Step::Done { closed } => {
                    run.note_done(client.intended());
                    run.outcome.resumed += u64::from(closed && client.is_resumed());
                    if closed {
                        self.conns.remove(index);
                    } else {
                        run.resting.push(index);
                    }
                    self.begin_next(run);
                }
                Step::Failed(why) => {
                    self.conns.remove(index);
                    run.fail(why);
                    match run.resting.iter().position(|&resting| resting == index) {
                        // Nothing was asked of it: no unit is over.
                        Some(at) => drop(run.resting.swap_remove(at)),
                        None => {
                            run.busy = run.busy.saturating_sub(1);
                            self.begin_next(run);
                        }
                    }
                }
            },
        }
    }

    fn begin_next(&mut self, run: &mut Run) {
        if run.is_open() {
            self.begin_waiting(run);
        } else if !run.warming && !run.is_over() {
            self.begin(run, Instant::now());
        }
    }
}

/// When a run is over.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    Time(Duration),
    Units(u64),
}

impl Run {
    fn new(target: SocketAddr, script: Script) -> Run {
        Run {
            target,
            script,
            terms: None,
            ends_at: None,
            warming: false,
            left: 0,
            pace: Pace::Closed,
            began: Instant::now(),
            due: 0,
            waiting: VecDeque::new(),
            resting: Vec::new(),
            busy: 0,
            outcome: Outcome::default(),
        }
    }

    fn start(&mut self, pace: Pace, until: Until) {
        self.pace = pace;
        self.began = Instant::now();
        self.warming = false;
        match until {
            Until::Time(time) => {
                self.ends_at = Some(self.began + time);
                self.left = u64::MAX;
            }
            Until::Units(units) => {
                self.ends_at = Some(self.began + LONGEST);
                self.left = units;
            }
        }
    }

    /// What the next client speaks through.
    fn line(&mut self, stream: TcpStream) -> io::Result<Line> {
        if self.script.protocol != Protocol::Https {
            return Ok(Line::Plain(stream));
        }
        let terms = match self.terms.take() {
            Some(terms) => terms,
            None => Terms::new(self.script.handshake)?,
        };
        self.terms.insert(terms).line(stream, self.warming)
    }

    fn is_open(&self) -> bool {
        matches!(self.pace, Pace::Open(_))
    }

    /// Nothing new begins any more.
    fn is_over(&self) -> bool {
        self.left == 0 || self.ends_at.is_some_and(|end| Instant::now() >= end)
    }

    fn note_done(&mut self, intended: Instant) {
        self.busy = self.busy.saturating_sub(1);
        self.outcome.units += 1;
        if self.is_open() {
            self.outcome.latencies.push(intended.elapsed().as_nanos() as u64);
        }
    }

    fn fail(&mut self, why: String) {
        self.outcome.errors += 1;
        self.outcome.error.get_or_insert(why);
    }
}

impl Default for Script {
    fn default() -> Script {
        Script {
            protocol: Protocol::Tcp,
            clients: 1,
            upload: 0,
            answer: 1024,
            turns: Turns::One,
            after: After::Keep,
            handshake: Handshake::New,
        }
    }
}

/// A port that is free and that no outgoing connection gets: below where those begin.
pub fn free_port() -> io::Result<u16> {
    for port in 7100..9900 {
        let free = |host| {
            let address = (Ipv4Addr::new(127, 0, 0, host), port);
            std::net::TcpListener::bind(address)
                .and_then(|_| std::net::UdpSocket::bind(address))
        };
        if (1..=BACKENDS).all(|host| free(host).is_ok()) {
            return Ok(port);
        }
    }
    Err(io::Error::other("no port from 7100 to 9900 is free on 127.0.0.1 to 127.0.0.4"))
}
