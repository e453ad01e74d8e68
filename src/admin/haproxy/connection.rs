//! A connection of HAProxy's command socket: a command at a time, answered whole or in pieces.
//!
//! ```text
//!   Idle --next--> Pieces ------\
//!    ^    \------> Asks (loop) --+--> sent --> Idle
//!    |     \-----> Sleeps -------/
//!    +---------------------------/
//! ```

use std::time::Instant;

use crate::config::HaproxyLevel;
use crate::event::TimerKey;
use crate::limits::{ADMIN_PIECE_BYTES, ADMIN_WRITE_TIMEOUT, HAPROXY_WAIT_STEP};
use crate::net::{Received, Sent};

use super::super::answer::{More, Pieces};
use super::super::audit::Audit;
use super::super::change::Done;
use super::super::connection::Progress;
use super::super::listener::Arrived;
use super::super::place::Place;
use super::super::problem::Problem;
use super::super::socket::AdminSocket;
use super::super::view::View;
use super::acting;
use super::conversation::{Conversation, Next, Severity};
use super::step::Step;

/// One of them.
pub struct Connection {
    /// Its socket.
    pub socket: AdminSocket,
    /// Ends whatever takes too long.
    pub timer: TimerKey,
    /// It waits to act.
    pub is_queued: bool,
    conversation: Conversation,
    /// Of the process, and of its commands.
    id: u64,
    number: u64,
    audit: Option<Audit>,
    who: String,
    from: String,
    state: State,
    output: Vec<u8>,
    /// So much of the output is sent.
    sent: usize,
    deadline: Instant,
    /// When it said something last.
    spoke: Instant,
}

enum State {
    /// It is the client's turn.
    Idle,
    Pieces(Box<dyn Pieces>),
    /// The loop carries out this, and then that is said.
    Asks {
        text: String,
        says: Says,
    },
    /// Until then, or until this can be removed.
    Sleeps(Instant, Option<Place>),
    /// All is said.
    Ends,
}

/// What is said once something is done, unless that says something itself.
enum Says {
    Message(String),
    Lines(String),
}

impl Connection {
    /// A new one.
    pub fn new(
        arrived: Arrived,
        id: u64,
        level: HaproxyLevel,
        timer: TimerKey,
        now: Instant,
    ) -> Connection {
        let Arrived { socket, entry, .. } = arrived;
        let who = match entry.peer() {
            Some(peer) => format!("uid {} (pid {})", peer.uid, peer.pid),
            None => "anybody".to_owned(),
        };
        let conversation = Conversation::new(level);
        let deadline = now + conversation.idle();
        Connection {
            socket,
            timer,
            is_queued: false,
            conversation,
            id,
            number: 0,
            audit: None,
            who,
            from: entry.from,
            state: State::Idle,
            output: Vec::new(),
            sent: 0,
            deadline,
            spoke: now,
        }
    }

    /// A change that was answered since this was asked last.
    pub fn take_audit(&mut self) -> Option<Audit> {
        self.audit.take()
    }

    /// Since when it has said nothing, if nothing is done for it: it waits for a command, or with
    /// one.
    pub fn rests_since(&self) -> Option<Instant> {
        let rests = matches!(self.state, State::Idle | State::Sleeps(..))
            && self.output.is_empty()
            && !self.is_queued;
        rests.then_some(self.spoke)
    }

    /// Until when it may do nothing.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Get on with it. At most one command is begun.
    pub fn act(&mut self, view: &View<'_>, scratch: &mut [u8]) -> Progress {
        let now = view.cx.now;
        self.conversation.lower_to(view.directory.desired.process.admin.haproxy_level);
        loop {
            if let Some(progress) = self.flush(now) {
                return progress;
            }
            match std::mem::replace(&mut self.state, State::Ends) {
                State::Idle => {
                    self.state = State::Idle;
                    match self.conversation.next(&mut self.output) {
                        Next::Ask(asked) => return self.begin(asked, view),
                        // One command a turn: an empty line is answered with all commands.
                        Next::Answered => {
                            self.deadline = now + self.conversation.idle();
                            return Progress::Again;
                        }
                        Next::Close => self.state = State::Ends,
                        Next::More => {
                            if self.sent < self.output.len() {
                                // A prompt for more of the payload.
                                continue;
                            }
                            if let Some(progress) = self.read(now, scratch) {
                                return progress;
                            }
                        }
                    }
                }
                State::Pieces(mut pieces) => {
                    let mut piece = Vec::with_capacity(2 * ADMIN_PIECE_BYTES);
                    let more = pieces.write(view, &mut piece);
                    self.output.extend_from_slice(&piece);
                    if more == More::Never {
                        self.conversation.end(&mut self.output);
                        self.state = State::Idle;
                    } else {
                        self.state = State::Pieces(pieces);
                    }
                    return Progress::Again;
                }
                // A wait of hours is not waited for where nobody hears of its end.
                State::Sleeps(..) if self.socket.is_gone() => return Progress::Over,
                state @ (State::Asks { .. } | State::Sleeps(..)) => {
                    self.state = state;
                    return Progress::Waits;
                }
                State::Ends => {
                    self.socket.finish_sending();
                    return Progress::Over;
                }
            }
        }
    }

    /// Read what is there. Nothing, if something came.
    fn read(&mut self, now: Instant, scratch: &mut [u8]) -> Option<Progress> {
        if !self.conversation.wants_bytes() {
            return Some(Progress::Over);
        }
        match self.socket.receive(scratch) {
            Received::Bytes(count) => {
                self.conversation.feed(&scratch[..count]);
                self.spoke = now;
                self.deadline = now + self.conversation.idle();
                None
            }
            Received::WouldBlock => Some(Progress::Waits),
            Received::Eof => {
                self.conversation.finish();
                None
            }
            Received::Broken(_) => Some(Progress::Over),
        }
    }

    fn begin(&mut self, asked: super::conversation::Asked, view: &View<'_>) -> Progress {
        self.number += 1;
        let now = view.cx.now;
        self.deadline = now + ADMIN_WRITE_TIMEOUT;
        let who = acting::Asker { name: &self.who, level: self.conversation.level() };
        match acting::step(asked.command, who, view) {
            Step::Say(severity, text) => {
                self.conversation.say(severity, &text, &mut self.output);
            }
            Step::Lines(text) => {
                self.output.extend_from_slice(text.as_bytes());
                self.conversation.end(&mut self.output);
            }
            Step::Pieces(pieces) => self.state = State::Pieces(pieces),
            Step::Wait(time, place) => {
                self.state = State::Sleeps(now + time, place);
                self.look_again(view);
            }
            Step::Ask(what, says) => {
                self.state = State::Asks { text: asked.text, says: Says::Message(says) };
                return Progress::Asks(what);
            }
            Step::AskForLines(what, says) => {
                self.state = State::Asks { text: asked.text, says: Says::Lines(says) };
                return Progress::Asks(what);
            }
        }
        Progress::Again
    }

    /// The loop did, or refused, what was asked.
    pub fn finish(&mut self, outcome: &Result<Done, Problem>, view: &View<'_>) {
        let State::Asks { text, says } = std::mem::replace(&mut self.state, State::Idle) else {
            return;
        };
        let (status, result) = match outcome {
            Ok(done) => (200, done.text()),
            Err(problem) => (problem.kind().status, problem.detail().to_owned()),
        };
        match (outcome, says) {
            (Ok(Done::Said(text)), _) => {
                self.conversation.say(Severity::Notice, text, &mut self.output);
            }
            (Ok(_), Says::Message(says)) => {
                self.conversation.say(Severity::Info, &says, &mut self.output);
            }
            (Ok(_), Says::Lines(lines)) => {
                self.output.extend_from_slice(lines.as_bytes());
                self.conversation.end(&mut self.output);
            }
            (Err(problem), _) => {
                let detail = problem.detail();
                self.conversation.say(Severity::Error, detail, &mut self.output);
            }
        }
        self.audit = Some(Audit {
            who: self.who.clone(),
            from: self.from.clone(),
            what: text,
            reason: None,
            status,
            result,
            request_id: format!("{}-{}", self.id, self.number),
        });
        self.deadline = view.cx.now + ADMIN_WRITE_TIMEOUT;
    }

    /// Whether what it waits for is so now.
    fn look_again(&mut self, view: &View<'_>) {
        let State::Sleeps(until, place) = &self.state else { return };
        let is_over = view.cx.now >= *until;
        let removable = place.as_ref().map(|it| acting::removable(it, view));
        let (severity, text) = match removable {
            None if is_over => (Severity::Info, "Done."),
            Some(Ok(())) => (Severity::Info, "Done."),
            Some(Err(why)) if acting::is_hopeless(why) => (Severity::Error, why),
            Some(Err(_)) if is_over => (Severity::Error, "Wait delay expired."),
            _ => {
                self.deadline = (*until).min(view.cx.now + HAPROXY_WAIT_STEP);
                return;
            }
        };
        self.state = State::Idle;
        self.deadline = view.cx.now + ADMIN_WRITE_TIMEOUT;
        self.conversation.say(severity, text, &mut self.output);
    }

    /// Its time is over. Says whether it lives on.
    pub fn on_timer(&mut self, view: &View<'_>) -> bool {
        match &self.state {
            State::Sleeps(..) => self.look_again(view),
            // It is the loop's turn.
            State::Asks { .. } => self.deadline = view.cx.now + ADMIN_WRITE_TIMEOUT,
            _ => return false,
        }
        true
    }

    /// Send what waits.
    fn flush(&mut self, now: Instant) -> Option<Progress> {
        if self.output.is_empty() {
            return None;
        }
        while self.sent < self.output.len() {
            match self.socket.send(&self.output[self.sent..]) {
                Sent::Bytes(count) => {
                    self.sent += count;
                    self.deadline = now + self.conversation.idle().max(ADMIN_WRITE_TIMEOUT);
                }
                Sent::WouldBlock => return Some(Progress::Waits),
                Sent::Broken(_) => return Some(Progress::Over),
            }
        }
        self.output.clear();
        self.sent = 0;
        if matches!(self.state, State::Idle) {
            self.deadline = now + self.conversation.idle();
        }
        None
    }
}
