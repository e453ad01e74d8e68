//! One run of a probe: a question on its way to a server, and what came back so far.

use std::io;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;

use crate::backends::{Course, Server};
use crate::config::Address;
use crate::event::Owner;
use crate::limits::CHECK_ANSWER_BYTES_MAX;
use crate::net::{Connect, DatagramSocket, Fault, Received, Sent, Socket, Stream};

use super::check::{Heard, Judgement, Question, Rest};

/// One run of a probe.
pub(super) struct Run {
    pub socket: ProbeSocket,
    /// Which of the backend's addresses it asks.
    pub course: Course,
    /// When this address is given up.
    pub deadline: Instant,
    /// What the time lost to long turns was when it began, or got some time back.
    pub lateness: Duration,
    pub connected: bool,
    /// What is asked, and how much of it was sent.
    asked: Vec<u8>,
    sent: usize,
    pub answer: Vec<u8>,
    /// Bytes of the answer.
    heard: usize,
    /// What it comes to was told, and this is read for the backend's sake.
    pub rest: Option<Rest>,
}

/// How far a run is.
pub(super) struct RunProgress {
    /// What it came to, if that became known now.
    pub outcome: Option<RunOutcome>,
    /// There is nothing left to do.
    pub over: bool,
}

/// What a run asks on.
pub(super) enum ProbeSocket {
    Stream(Stream),
    Datagram(DatagramSocket),
}

/// What a run came to.
pub(super) type RunOutcome = Result<Option<f64>, String>;

impl ProbeSocket {
    /// A stream that is being connected; or a datagram that is on its way.
    pub fn open(
        to: &Server,
        address: &Address,
        datagram: Option<&[u8]>,
    ) -> Result<ProbeSocket, Fault> {
        let Some(datagram) = datagram else {
            let mut stream = Stream::connect(address, to.probe_dial.as_ref(), None)?;
            if to.proxy.is_some()
                && let Some(header) = to.own_header(stream.local_address().ok(), address)
            {
                stream.begin_with(header);
            }
            return Ok(ProbeSocket::Stream(stream));
        };
        let socket = DatagramSocket::connect(address)?;
        match to.own_header(None, address) {
            Some(header) => socket.send(&[&header, datagram].concat())?,
            None => socket.send(datagram)?,
        }
        Ok(ProbeSocket::Datagram(socket))
    }

    /// Ask the poll for the first time. An answer that is here already makes an event as well.
    pub fn begin(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        match self {
            ProbeSocket::Stream(stream) => stream.want_write(),
            ProbeSocket::Datagram(socket) => return socket.register(registry, owner),
        }
        self.arm(registry, owner)
    }

    /// Ask the poll for what is wanted and not yet asked for.
    pub fn arm(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        match self {
            ProbeSocket::Stream(stream) => stream.arm(registry, owner),
            ProbeSocket::Datagram(_) => Ok(()),
        }
    }
}

/// One datagram is the answer.
fn hear(
    socket: &DatagramSocket,
    question: &Question,
    scratch: &mut [u8],
) -> Option<RunOutcome> {
    match socket.receive(scratch) {
        Ok(None) => None,
        Ok(Some(count)) => match question.judge(&scratch[..count], Heard::All) {
            Judgement::Good(load) => Some(Ok(load)),
            Judgement::Bad(reason) => Some(Err(reason)),
            Judgement::Incomplete => None,
        },
        Err(fault) => Some(Err(fault.to_string())),
    }
}

impl Run {
    /// A run that has asked nothing yet.
    pub fn new(
        socket: ProbeSocket,
        course: Course,
        asked: Vec<u8>,
        deadline: Instant,
        lateness: Duration,
    ) -> Run {
        Run {
            connected: matches!(socket, ProbeSocket::Datagram(_)),
            socket,
            course,
            deadline,
            lateness,
            asked,
            sent: 0,
            answer: Vec::new(),
            heard: 0,
            rest: None,
        }
    }

    /// Whether it asks by datagram.
    pub fn is_datagram(&self) -> bool {
        matches!(self.socket, ProbeSocket::Datagram(_))
    }

    /// Note what an event says of its socket.
    pub fn mark(&mut self, event: &Event) {
        if let ProbeSocket::Stream(stream) = &mut self.socket {
            stream.mark(event);
        }
    }

    /// What the poll has told may not be all: the socket is asked once more.
    pub fn check_again(&mut self) {
        if let ProbeSocket::Stream(stream) = &mut self.socket {
            stream.check_again();
        }
    }

    /// Its socket is closed, and told so.
    pub fn hang_up(self) {
        if let ProbeSocket::Stream(mut stream) = self.socket {
            stream.say_goodbye();
        }
    }

    /// Get on as far as possible.
    pub fn proceed(&mut self, question: &Question, scratch: &mut [u8]) -> RunProgress {
        let stream = match &mut self.socket {
            ProbeSocket::Stream(stream) => stream,
            ProbeSocket::Datagram(socket) => {
                return RunProgress::of(hear(socket, question, scratch));
            }
        };
        if !self.connected {
            match stream.connect_outcome() {
                Connect::Pending => return RunProgress::NONE,
                Connect::Failed(fault) => return RunProgress::over(Err(fault.to_string())),
                Connect::Done => self.connected = true,
            }
        }
        if question.is_connect() {
            return RunProgress::over(Ok(None));
        }
        while self.sent < self.asked.len() && stream.can_write() {
            match stream.send(&self.asked[self.sent..]) {
                Sent::Bytes(count) => self.sent += count,
                Sent::WouldBlock => break,
                // What it came to may be known.
                Sent::Broken(_) if self.rest.is_some() => return RunProgress::ENDED,
                Sent::Broken(fault) => return RunProgress::over(Err(fault.to_string())),
            }
        }
        let outcome = match self.listen(question, scratch) {
            Some(outcome) if self.rest.is_none() => return RunProgress::over(outcome),
            outcome => outcome,
        };
        let over = self.rest.is_some() && self.read_rest(scratch);
        RunProgress { outcome, over }
    }

    /// Hear the answer until its meaning is known; what follows is left in `rest`.
    fn listen(&mut self, question: &Question, scratch: &mut [u8]) -> Option<RunOutcome> {
        let ProbeSocket::Stream(stream) = &mut self.socket else { return None };
        while self.rest.is_none() && stream.can_read() {
            let (count, heard) = match stream.receive(scratch) {
                Received::Bytes(count) => (count, Heard::SoFar),
                Received::Eof => (0, Heard::All),
                Received::WouldBlock => break,
                Received::Broken(fault) => return Some(Err(fault.to_string())),
            };
            self.heard += count;
            self.answer.extend_from_slice(&scratch[..count]);
            let outcome = match question.judge(&self.answer, heard) {
                Judgement::Incomplete => continue,
                Judgement::Good(load) => Ok(load),
                Judgement::Bad(reason) => Err(reason),
            };
            if heard == Heard::SoFar {
                self.rest = question.rest(&self.answer);
            }
            if self.rest.is_some() && question.says_end() {
                stream.finish_sending();
            }
            return Some(outcome);
        }
        None
    }

    /// Read what is to come of the answer; says whether that was all, or enough.
    fn read_rest(&mut self, scratch: &mut [u8]) -> bool {
        let (ProbeSocket::Stream(stream), Some(rest)) = (&mut self.socket, &mut self.rest)
        else {
            return true;
        };
        while stream.can_read() && self.heard <= CHECK_ANSWER_BYTES_MAX {
            match stream.receive(scratch) {
                Received::Bytes(count) => {
                    self.heard += count;
                    if rest.take(&scratch[..count]) {
                        return true;
                    }
                }
                Received::WouldBlock => return false,
                Received::Eof | Received::Broken(_) => return true,
            }
        }
        self.heard > CHECK_ANSWER_BYTES_MAX
    }
}

impl RunProgress {
    const NONE: RunProgress = RunProgress { outcome: None, over: false };

    const ENDED: RunProgress = RunProgress { outcome: None, over: true };

    fn over(outcome: RunOutcome) -> RunProgress {
        RunProgress { outcome: Some(outcome), over: true }
    }

    /// Over if that is known.
    fn of(outcome: Option<RunOutcome>) -> RunProgress {
        let over = outcome.is_some();
        RunProgress { outcome, over }
    }
}
