//! One admin connection of HTTP: a request at a time, read whole, answered whole or in pieces.
//!
//! ```text
//!   Handshake --> Reading --> Ready --handle--> Writing --kept?--> Reading
//!                   |           |                  ^       \-----> Parting
//!                   +--refused--|------------------+
//!                               +--Asked--> Waiting (the loop carries it out)
//! ```
//!
//! What is read is bounded, what waits to be sent is bounded, and who is slow waits alone.

use std::time::Instant;

use crate::event::TimerKey;
use crate::limits::{
    ADMIN_EVENTS_PAUSE, ADMIN_IDLE_TIMEOUT, ADMIN_PARTING_TIME, ADMIN_PIECE_BYTES,
    ADMIN_READ_BYTES, ADMIN_REQUEST_TIMEOUT, ADMIN_WRITE_TIMEOUT, REFUSAL_PAUSE,
};
use crate::net::tls::Handshake;
use crate::net::{LocalPeer, Received, Sent};

use super::access::Rules;
use super::answer::{Answer, Body, More, Pieces, Sending};
use super::api;
use super::audit::Audit;
use super::change::{Asked, Done};
use super::entry::Entry;
use super::incoming::{Came, Current, Incoming, Refused};
use super::listener::Arrived;
use super::problem::{Kind, Problem};
use super::remembered::{Identity, Kept};
use super::request::{self, Request};
use super::socket::AdminSocket;
use super::view::View;

/// One of them.
pub struct Connection {
    /// Its socket.
    pub socket: AdminSocket,
    /// Ends whatever takes too long.
    pub timer: TimerKey,
    /// It waits to act.
    pub is_queued: bool,
    /// Of the process.
    id: u64,
    entry: Entry,
    state: State,
    incoming: Incoming,
    output: Vec<u8>,
    /// So much of the output is sent.
    sent: usize,
    /// Who has done nothing until then is closed.
    deadline: Instant,
    /// A write that was answered, until the loop takes it.
    audit: Option<Audit>,
}

enum State {
    Handshake,
    Reading,
    /// A request is whole.
    Ready(Box<Current>),
    /// The loop carries out what it asks for.
    Waiting(Box<Current>),
    /// A refusal that is not to come at once.
    Delayed(Box<Delayed>),
    Writing(Writing),
    /// All is said; what still comes is dropped.
    Parting,
    Over,
}

/// A refusal that waits.
struct Delayed {
    answer: Answer,
    sending: Sending,
    /// Until when is known.
    is_timed: bool,
}

/// An answer that is on its way.
struct Writing {
    sending: Sending,
    chunked: bool,
    pieces: Option<Box<dyn Pieces>>,
    /// It goes on once something happens.
    sleeps: bool,
}

/// What an act came to.
pub enum Progress {
    /// It waits for its socket, its timer, or the loop.
    Waits,
    /// It could go on.
    Again,
    /// The loop has something to do for it.
    Asks(Box<Asked>),
    /// It is over.
    Over,
}

/// How a step went.
enum Flow {
    Go,
    Stop(Progress),
}

impl Connection {
    /// A new one.
    pub fn new(arrived: Arrived, id: u64, timer: TimerKey, now: Instant) -> Connection {
        let Arrived { socket, entry, .. } = arrived;
        let shakes = matches!(&socket, AdminSocket::Stream(it) if it.tls().is_some());
        Connection {
            socket,
            timer,
            is_queued: false,
            id,
            entry,
            state: if shakes { State::Handshake } else { State::Reading },
            incoming: Incoming::default(),
            output: Vec::new(),
            sent: 0,
            deadline: now + ADMIN_REQUEST_TIMEOUT,
            audit: None,
        }
    }

    /// A write that was answered since this was asked last.
    pub fn take_audit(&mut self) -> Option<Audit> {
        self.audit.take()
    }

    /// Since when it has said nothing, if it is between two requests.
    pub fn rests_since(&self) -> Option<Instant> {
        let rests = matches!(self.state, State::Reading)
            && !self.incoming.has_begun()
            && !self.is_queued;
        rests.then(|| self.deadline.checked_sub(ADMIN_IDLE_TIMEOUT).unwrap_or(self.deadline))
    }

    /// It guessed wrong, and is answered after this time and after whoever guessed before.
    pub fn delay(&mut self, after: Instant) -> Option<Instant> {
        let State::Delayed(delayed) = &mut self.state else { return None };
        if std::mem::replace(&mut delayed.is_timed, true) {
            return None;
        }
        self.deadline = self.deadline.max(after);
        Some(self.deadline)
    }

    /// Who is at its other end, if that is a process of this machine.
    pub fn peer(&self) -> Option<LocalPeer> {
        self.entry.peer()
    }

    /// Until when it may do nothing.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether it waits for something to happen.
    pub fn listens(&self) -> bool {
        matches!(&self.state, State::Writing(writing) if writing.sleeps)
    }

    /// Whether it came where metrics are read and nothing else.
    pub fn is_scraper(&self) -> bool {
        self.entry.is_scraper()
    }

    /// Whether it shows what is taken each second.
    pub fn watches(&self) -> bool {
        match &self.state {
            State::Writing(Writing { pieces: Some(pieces), .. }) => pieces.watches(),
            _ => false,
        }
    }

    /// Get on with it. At most one request is handled.
    pub fn act(&mut self, view: &View<'_>, rules: &Rules, scratch: &mut [u8]) -> Progress {
        let now = view.cx.now;
        loop {
            if let Flow::Stop(progress) = self.flush(now) {
                return progress;
            }
            let flow = match std::mem::replace(&mut self.state, State::Over) {
                State::Handshake => self.shake_hands(now),
                State::Reading => self.read_request(rules, scratch, now),
                State::Ready(current) => Flow::Stop(self.handle(current, view)),
                State::Writing(writing) => self.write(writing, view),
                State::Parting => Flow::Stop(self.part(scratch)),
                state @ (State::Waiting(_) | State::Delayed(_)) => {
                    self.state = state;
                    Flow::Stop(Progress::Waits)
                }
                State::Over => Flow::Stop(Progress::Over),
            };
            if let Flow::Stop(progress) = flow {
                return progress;
            }
        }
    }

    /// Its time is over. Says whether it lives on.
    pub fn on_timer(&mut self, now: Instant) -> bool {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Delayed(delayed) => {
                let Delayed { answer, sending, .. } = *delayed;
                self.begin(answer, sending, now);
                true
            }
            State::Reading if self.incoming.has_begun() => {
                let refused = self.incoming.late();
                self.refuse(refused, now);
                true
            }
            // One that took nothing all the time listens no more.
            State::Writing(writing) if writing.sleeps && self.sent == self.output.len() => {
                // A comment: whoever is in between sees that it lives.
                self.put(b": \n\n", writing.chunked);
                self.deadline = now + ADMIN_EVENTS_PAUSE;
                self.state = State::Writing(writing);
                true
            }
            state @ State::Waiting(_) => {
                self.deadline = now + ADMIN_REQUEST_TIMEOUT;
                self.state = state;
                true
            }
            state => {
                // Whoever closes it asks whether it watched.
                self.state = state;
                false
            }
        }
    }

    /// The loop did, or refused, what was asked.
    /// Gives back what of the answer is kept.
    pub fn finish(&mut self, outcome: Result<Done, Problem>, view: &View<'_>) -> Option<Kept> {
        let State::Waiting(current) = std::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        let Current { request, sending } = *current;
        let result = match &outcome {
            Ok(done) => done.text(),
            Err(problem) => problem.detail().to_owned(),
        };
        let answer = match outcome {
            Ok(done) => api::finish(&request, done, view),
            Err(problem) => problem.answer(&request.path, &request.id),
        };
        self.note(&request, answer.status, result);
        let kept = request.idempotency_key.is_some().then(|| Kept::of(&answer)).flatten();
        self.begin(answer, sending, view.cx.now);
        kept
    }

    /// By which what it asked is known again, if it wants that.
    pub fn identity(&self) -> Option<Identity> {
        let State::Waiting(current) = &self.state else { return None };
        Identity::of(&current.request)
    }

    /// It was carried out before, and is answered as it was then.
    pub fn repeat(&mut self, kept: Kept, now: Instant) {
        let State::Waiting(current) = std::mem::replace(&mut self.state, State::Over) else {
            return;
        };
        let Current { request, sending } = *current;
        let answer = kept.answer();
        self.note(&request, answer.status, "it was done before, and is answered again".into());
        self.begin(answer, sending, now);
    }

    fn note(&mut self, request: &Request, status: u16, result: String) {
        self.audit = Some(Audit {
            who: request.who.name.clone(),
            from: self.entry.from.clone(),
            what: format!("{} {}", request.method_name, request.path),
            reason: request.reason.clone(),
            status,
            result,
            request_id: request.id.clone(),
        });
    }

    fn shake_hands(&mut self, now: Instant) -> Flow {
        self.state = State::Reading;
        let AdminSocket::Stream(stream) = &mut self.socket else { return Flow::Go };
        match stream.shake_hands() {
            Handshake::Done => {
                let subject = stream.tls().and_then(|tls| tls.subject());
                self.entry.note_subject(subject);
                self.deadline = now + ADMIN_REQUEST_TIMEOUT;
                Flow::Go
            }
            Handshake::Pending => {
                self.state = State::Handshake;
                Flow::Stop(Progress::Waits)
            }
            Handshake::Plain => {
                stream.drop_tls();
                let problem = Problem::new(Kind::BAD_REQUEST, "TLS is spoken here: https://");
                self.begin(problem.answer("/", ""), request::LAST, now);
                Flow::Go
            }
            Handshake::Failed(_) => Flow::Stop(Progress::Over),
        }
    }

    fn read_request(&mut self, rules: &Rules, scratch: &mut [u8], now: Instant) -> Flow {
        let rested = !self.incoming.has_begun();
        loop {
            match self.incoming.take(self.id, &self.entry, rules) {
                Came::Request(current) => {
                    self.state = State::Ready(current);
                    return Flow::Go;
                }
                Came::Refused(refused) => {
                    self.refuse(*refused, now);
                    return Flow::Go;
                }
                Came::Expects => {
                    self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    if let Flow::Stop(Progress::Over) = self.flush(now) {
                        return Flow::Stop(Progress::Over);
                    }
                }
                Came::Nothing => {
                    self.state = State::Reading;
                    if let Err(progress) = self.read(scratch) {
                        return Flow::Stop(progress);
                    }
                    if rested {
                        // From the first byte on it has to be whole in time.
                        self.deadline = now + ADMIN_REQUEST_TIMEOUT;
                    }
                }
            }
        }
    }

    /// Read what is there.
    fn read(&mut self, scratch: &mut [u8]) -> Result<(), Progress> {
        let most = scratch.len().min(ADMIN_READ_BYTES);
        match self.socket.receive(&mut scratch[..most]) {
            Received::Bytes(count) => {
                self.incoming.push(&scratch[..count]);
                Ok(())
            }
            Received::WouldBlock => Err(Progress::Waits),
            Received::Eof | Received::Broken(_) => Err(Progress::Over),
        }
    }

    /// Who gives a wrong token waits for the answer, so that guessing is slow.
    fn refuse(&mut self, refused: Refused, now: Instant) {
        let Refused { problem, path, id, sending, audit } = refused;
        self.audit = audit;
        let is_slow = problem.kind() == Kind::UNAUTHORIZED;
        let answer = problem.answer(&path, &id);
        if is_slow {
            self.deadline = now + REFUSAL_PAUSE;
            self.state = State::Delayed(Box::new(Delayed { answer, sending, is_timed: false }));
        } else {
            self.begin(answer, sending, now);
        }
    }

    fn handle(&mut self, current: Box<Current>, view: &View<'_>) -> Progress {
        match api::handle(&current.request, view) {
            Ok(api::Step::Answer(answer)) => {
                self.begin(answer, current.sending, view.cx.now);
                Progress::Again
            }
            Ok(api::Step::Ask(asked)) => {
                self.deadline = view.cx.now + ADMIN_REQUEST_TIMEOUT;
                self.state = State::Waiting(current);
                Progress::Asks(asked)
            }
            Err(problem) => {
                let Current { request, sending } = *current;
                if !request.is_read() {
                    let result = problem.detail().to_owned();
                    self.note(&request, problem.kind().status, result);
                }
                self.begin(problem.answer(&request.path, &request.id), sending, view.cx.now);
                Progress::Again
            }
        }
    }

    /// Begin to answer.
    fn begin(&mut self, answer: Answer, sending: Sending, now: Instant) {
        let chunked = answer.head(sending, &mut self.output);
        let mut pieces = None;
        match answer.body {
            Body::Whole(body) if !sending.head_request && answer.status != 304 => {
                self.output.extend_from_slice(&body);
            }
            Body::Pieces(it) if !sending.head_request => pieces = Some(it),
            _ => {}
        }
        let is_open_ended = pieces.is_some() && !chunked;
        let sending = Sending { keep_alive: sending.keep_alive && !is_open_ended, ..sending };
        self.deadline = now + ADMIN_WRITE_TIMEOUT;
        self.state = State::Writing(Writing { sending, chunked, pieces, sleeps: false });
    }

    fn write(&mut self, mut writing: Writing, view: &View<'_>) -> Flow {
        let Some(pieces) = &mut writing.pieces else { return self.end_answer(&writing, view) };
        let mut piece = Vec::with_capacity(2 * ADMIN_PIECE_BYTES);
        let more = pieces.write(view, &mut piece);
        self.put(&piece, writing.chunked);
        match more {
            More::Now => {
                self.state = State::Writing(writing);
                Flow::Stop(Progress::Again)
            }
            More::Later => {
                writing.sleeps = true;
                self.state = State::Writing(writing);
                match self.flush(view.cx.now) {
                    Flow::Go => Flow::Stop(self.watch_end()),
                    stop => stop,
                }
            }
            More::Never => {
                if writing.chunked {
                    self.output.extend_from_slice(b"0\r\n\r\n");
                }
                writing.pieces = None;
                self.state = State::Writing(writing);
                Flow::Go
            }
        }
    }

    /// Who listens says nothing: what comes is the end.
    fn watch_end(&mut self) -> Progress {
        if !self.socket.can_read() {
            return Progress::Waits;
        }
        match self.socket.receive(&mut [0; 512]) {
            Received::Bytes(_) => Progress::Again,
            Received::WouldBlock => Progress::Waits,
            Received::Eof | Received::Broken(_) => Progress::Over,
        }
    }

    fn end_answer(&mut self, writing: &Writing, view: &View<'_>) -> Flow {
        if writing.sending.keep_alive {
            self.deadline = view.cx.now + ADMIN_IDLE_TIMEOUT;
            self.state = State::Reading;
            // Who rests holds no memory.
            self.output = Vec::new();
            return Flow::Stop(Progress::Again);
        }
        self.socket.finish_sending();
        self.deadline = view.cx.now + ADMIN_PARTING_TIME;
        self.state = State::Parting;
        Flow::Go
    }

    /// Closing at once would reset the connection, and with it the answer, if the client still
    /// sends.
    fn part(&mut self, scratch: &mut [u8]) -> Progress {
        self.state = State::Parting;
        match self.read(scratch) {
            Ok(()) => {
                self.incoming.drop_input();
                Progress::Again
            }
            Err(progress) => progress,
        }
    }

    fn put(&mut self, bytes: &[u8], chunked: bool) {
        if bytes.is_empty() {
            return;
        }
        if chunked {
            self.output.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        }
        self.output.extend_from_slice(bytes);
        if chunked {
            self.output.extend_from_slice(b"\r\n");
        }
    }

    /// Send what waits.
    fn flush(&mut self, now: Instant) -> Flow {
        while self.sent < self.output.len() {
            match self.socket.send(&self.output[self.sent..]) {
                Sent::Bytes(count) => {
                    self.sent += count;
                    self.deadline = self.deadline.max(now + ADMIN_WRITE_TIMEOUT);
                }
                Sent::WouldBlock => return Flow::Stop(Progress::Waits),
                Sent::Broken(_) => return Flow::Stop(Progress::Over),
            }
        }
        if self.sent > 0 {
            self.output.clear();
            self.sent = 0;
            if self.listens() {
                self.deadline = now + ADMIN_EVENTS_PAUSE;
            }
        }
        Flow::Go
    }
}

#[cfg(test)]
#[path = "connection/tests.rs"]
mod tests;
