//! Health probes: nonblocking, beside each other, each with its own deadline, in the same loop.
//!
//! ```text
//!   resting --its time has come--> connecting --writable--> asking --answer--> resting
//!                                      |                       |
//!                                      +-- error, or deadline -+--> failed --> resting
//! ```
//!
//! What a run has to be told may be here and not looked at yet, and we may have been late
//! ourselves: so before a run is called too late its socket is asked once more, and it gets back
//! the time that was lost to turns that were too long.
//!
//! A probe has one timer, which serves as the alarm for its next run and as the deadline of the run
//! under way; so ten backends in a black hole cost ten sockets, and delay nobody. One that asks by
//! datagram is connected at once. What is asked and what an answer means is in [`check`]; what
//! results mean is in [`crate::backends`].

pub mod check;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;

use crate::backends::{BackendId, Course};
use crate::config::{Check, CheckSettings, duration_text};
use crate::context::Context;
use crate::event::{Generation, Key, Owner, TimerKey};
use crate::limits::{CHECK_ANSWER_BYTES_MAX, EXHAUSTION_WARNINGS, PROBE_HASTE};
use crate::net::tls::client::ClientTls;
use crate::net::{Connect, DatagramSocket, Fault, Received, Sent, Socket, Stream};
use crate::stats::LogThrottle;

use check::{Answer, Question, Rest};

/// The probes of all backends.
pub struct Health {
    question: Question,
    interval: Duration,
    timeout: Duration,
    probes: Vec<Probe>,
    skip_warnings: LogThrottle,
}

/// The probe of one backend.
struct Probe {
    backend: BackendId,
    timer: TimerKey,
    /// Counts the runs, so that an event of an old run's socket finds nobody.
    generation: Generation,
    run: Option<Run>,
    /// When the last run began.
    began: Option<Instant>,
    next_at: Instant,
    queued: bool,
}

/// One run of a probe.
struct Run {
    line: Line,
    /// Which of the backend's addresses it asks.
    course: Course,
    /// When this address is given up.
    deadline: Instant,
    /// What [`Context::lateness`] was when it began, or got some time back.
    lateness: Duration,
    connected: bool,
    /// What is asked, and how much of it was sent.
    asked: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    /// Bytes of the answer.
    heard: usize,
    /// What it comes to was told, and this is read for the backend's sake.
    rest: Option<Rest>,
}

/// How far a run is.
struct Progress {
    /// What it came to, if that became known now.
    outcome: Option<Outcome>,
    /// There is nothing left to do.
    over: bool,
}

/// What a run asks on.
enum Line {
    Stream(Stream),
    Datagram(DatagramSocket),
}

/// What a run came to.
type Outcome = Result<Option<f64>, String>;

impl Health {
    /// A probe for each backend, the first runs spread over a quarter of the interval; none if
    /// there is nothing to ask.
    pub fn new(check: &CheckSettings, random: &mut fastrand::Rng, cx: &mut Context) -> Health {
        let interval = check.interval;
        let mut health = Health {
            question: Question::of(&check.kind),
            interval,
            timeout: check.timeout,
            probes: Vec::new(),
            skip_warnings: LogThrottle::default(),
        };
        if check.kind == Check::None {
            return health;
        }
        let backends: Vec<BackendId> = cx.backends.iter().map(|(id, _)| id).collect();
        for (index, backend) in backends.into_iter().enumerate() {
            let owner =
                Owner::Probe(Key { index: index as u32, generation: Generation::FIRST });
            let timer = cx.timers.create(owner);
            let next_at = cx.now + (interval / 4).mul_f64(random.f64());
            cx.timers.arm(timer, next_at);
            health.probes.push(Probe {
                backend,
                timer,
                generation: Generation::FIRST,
                run: None,
                began: None,
                next_at,
                queued: false,
            });
        }
        health
    }

    /// How many probes there are.
    pub fn probes(&self) -> usize {
        self.probes.len()
    }

    /// Note what an event says, and let its probe act if the event is its present run's.
    pub fn mark(&mut self, key: Key, event: &Event, cx: &mut Context) {
        let Some(probe) = self.probes.get_mut(key.index as usize) else { return };
        if probe.generation != key.generation {
            return;
        }
        if let Some(run) = &mut probe.run {
            if let Line::Stream(stream) = &mut run.line {
                stream.mark(event);
            }
            cx.run_queue.push(Owner::Probe(key), &mut probe.queued);
        }
    }

    /// A probe's turn.
    pub fn act(&mut self, key: Key, cx: &mut Context) {
        let Some(probe) = self.probes.get_mut(key.index as usize) else { return };
        probe.queued = false;
        let Some(run) = &mut probe.run else { return };
        if let Line::Stream(stream) = &run.line
            && Context::must_wait(&mut cx.handshakes_left, stream)
        {
            cx.run_queue.push(Owner::Probe(key), &mut probe.queued);
            return;
        }
        let owner = Owner::Probe(Key { generation: probe.generation, ..key });
        let progress = run.proceed(&self.question, &mut cx.scratch);
        let armed = if progress.over { Ok(()) } else { run.line.arm(&cx.registry, owner) };
        let told = run.rest.is_some();
        if let Some(outcome) = progress.outcome {
            if self.turn(key, &outcome, cx) {
                return;
            }
            self.tell(key, outcome, cx);
        }
        let probe = &mut self.probes[key.index as usize];
        match armed {
            Ok(()) if progress.over => probe.rest(cx),
            Ok(()) => probe.bound_rest(cx),
            // What it came to is known, and no more is wanted.
            Err(_) if told => probe.rest(cx),
            Err(error) => self.skip(key, &error.to_string(), cx),
        }
    }

    /// A probe's timer fired: its run is too late, or its time has come.
    pub fn on_timer(&mut self, key: Key, cx: &mut Context) {
        let Some(probe) = self.probes.get_mut(key.index as usize) else { return };
        match &probe.run {
            Some(run) if run.deadline <= cx.now && run.rest.is_some() => probe.rest(cx),
            Some(run) if run.deadline <= cx.now => self.judge_late(key, cx),
            Some(run) => cx.timers.arm(probe.timer, run.deadline),
            None if probe.next_at > cx.now => cx.timers.arm(probe.timer, probe.next_at),
            None => self.start(key, cx),
        }
    }

    /// The time of its run is over.
    fn judge_late(&mut self, key: Key, cx: &mut Context) {
        let probe = &mut self.probes[key.index as usize];
        let Some(run) = &mut probe.run else { return };
        if let Line::Stream(stream) = &mut run.line {
            stream.check_again();
        }
        // What follows an answer that is understood is not waited for any more.
        if let Some(outcome) = run.proceed(&self.question, &mut cx.scratch).outcome {
            return self.finish(key, outcome, cx);
        }
        let lost = cx.lateness.saturating_sub(run.lateness).min(self.timeout);
        if lost.is_zero() {
            let doing = if run.connected { "no answer" } else { "no connection" };
            let late = || format!("{doing} within {}", duration_text(self.timeout));
            let reason = self.question.too_late(&run.answer).unwrap_or_else(late);
            return self.finish(key, Err(reason), cx);
        }
        run.lateness = cx.lateness;
        run.deadline = cx.now + lost;
        cx.timers.arm(probe.timer, run.deadline);
        let owner = Owner::Probe(Key { generation: probe.generation, ..key });
        if let Err(error) = run.line.arm(&cx.registry, owner) {
            self.skip(key, &error.to_string(), cx);
        }
    }

    /// Probe soon what a probe is wanted of now, though not more often than every
    /// [`PROBE_HASTE`].
    pub fn hasten(&mut self, cx: &mut Context) {
        for backend in cx.backends.take_probes_wanted() {
            // There is a probe for each backend, in their order, or none at all.
            let Some(probe) = self.probes.get_mut(backend.index()) else { continue };
            let soon = probe.began.map_or(cx.now, |began| cx.now.max(began + PROBE_HASTE));
            probe.next_at = probe.next_at.min(soon);
            if probe.run.is_none() {
                cx.timers.arm(probe.timer, probe.next_at);
            }
        }
    }

    fn start(&mut self, key: Key, cx: &mut Context) {
        let probe = &mut self.probes[key.index as usize];
        probe.began = Some(cx.now);
        probe.next_at = cx.now + self.interval;
        let course = Course::begin(&cx.backends[probe.backend].addresses, cx.now);
        self.ask(key, course, cx);
    }

    /// Ask one of the backend's addresses.
    fn ask(&mut self, key: Key, course: Course, cx: &mut Context) {
        let probe = &mut self.probes[key.index as usize];
        probe.generation = probe.generation.next();
        let key = Key { generation: probe.generation, ..key };
        let backend = probe.backend;
        let asked = self.question.text(&cx.backends[backend].check_host);
        let datagram = self.question.is_datagram().then_some(&*asked);
        let opened = cx.open_with(|backends| {
            let to = &backends[backend];
            Line::open(to.check_address(course), to.probe_dial.as_ref(), datagram)
        });
        let mut line = match opened {
            Ok(line) => line,
            Err(Fault::Exhausted) => return self.skip(key, "out of descriptors", cx),
            Err(fault) => {
                return match self.next(key, course, fault, cx) {
                    Some(on) => self.ask(key, on, cx),
                    None => self.finish(key, Err(fault.to_string()), cx),
                };
            }
        };
        if let Err(error) = line.begin(&cx.registry, Owner::Probe(key)) {
            return self.skip(key, &error.to_string(), cx);
        }
        let of = &cx.backends[probe.backend].addresses;
        let deadline = course.deadline(of, self.timeout, cx.now);
        let connected = matches!(line, Line::Datagram(_));
        probe.run = Some(Run {
            line,
            course,
            deadline,
            lateness: cx.lateness,
            connected,
            asked,
            sent: 0,
            answer: Vec::new(),
            heard: 0,
            rest: None,
        });
        cx.timers.arm(probe.timer, deadline);
    }

    /// Nobody is there, or nobody answers a datagram: then the backend's next address is asked, if
    /// it has one and there is time. Says whether it is.
    fn turn(&mut self, key: Key, outcome: &Outcome, cx: &mut Context) -> bool {
        let probe = &self.probes[key.index as usize];
        let Some(run) = &probe.run else { return false };
        let is_datagram = matches!(run.line, Line::Datagram(_));
        if outcome.is_ok() || run.connected && !is_datagram {
            return false;
        }
        let Some(on) = self.next(key, run.course, Fault::TimedOut, cx) else { return false };
        self.probes[key.index as usize].hang_up();
        self.ask(key, on, cx);
        true
    }

    fn next(&self, key: Key, course: Course, fault: Fault, cx: &Context) -> Option<Course> {
        let backend = self.probes[key.index as usize].backend;
        course.next(fault, &cx.backends[backend].addresses, self.timeout, cx.now)
    }

    /// A run is over: drop its socket, tell the backends, and rest until the next one.
    fn finish(&mut self, key: Key, outcome: Outcome, cx: &mut Context) {
        if self.turn(key, &outcome, cx) {
            return;
        }
        self.tell(key, outcome, cx);
        self.probes[key.index as usize].rest(cx);
    }

    /// What a run came to.
    fn tell(&mut self, key: Key, outcome: Outcome, cx: &mut Context) {
        let probe = &self.probes[key.index as usize];
        let backend = probe.backend;
        if let (Ok(_), Some(run)) = (&outcome, &probe.run) {
            cx.backends.settle(backend, run.course);
        }
        match outcome {
            Ok(load) => cx.backends.probe_passed(backend, load, cx.now),
            Err(reason) => {
                cx.backends.probe_failed(backend, &format!("a probe: {reason}"), cx.now);
            }
        }
    }

    /// We had nothing left to probe with, which says nothing of the backend.
    fn skip(&mut self, key: Key, reason: &str, cx: &mut Context) {
        let probe = &mut self.probes[key.index as usize];
        if self.skip_warnings.allows(cx.now, EXHAUSTION_WARNINGS) {
            log::warn!("backend {}: not probed: {reason}", cx.backends[probe.backend].name);
        }
        cx.stats.exhausted += 1;
        probe.rest(cx);
    }
}

impl Probe {
    /// What is read of an answer after its meaning is known is over when the next run begins.
    fn bound_rest(&mut self, cx: &mut Context) {
        if let Some(run) = self.run.as_mut().filter(|run| run.rest.is_some())
            && self.next_at < run.deadline
        {
            run.deadline = self.next_at;
            cx.timers.arm(self.timer, self.next_at);
        }
    }

    fn hang_up(&mut self) {
        // Dropped here and not by the reaping: nobody else holds a key to it, and a late event is
        // stopped by the generation, which the next run raises before it registers.
        if let Some(Run { line: Line::Stream(mut stream), .. }) = self.run.take() {
            stream.say_goodbye();
        }
    }

    fn rest(&mut self, cx: &mut Context) {
        self.hang_up();
        self.next_at = self.next_at.max(cx.now);
        cx.timers.arm(self.timer, self.next_at);
    }
}

impl Line {
    /// A stream that is being connected; or a datagram that is on its way.
    fn open(
        address: SocketAddr,
        dial: Option<&ClientTls>,
        datagram: Option<&[u8]>,
    ) -> Result<Line, Fault> {
        let Some(datagram) = datagram else {
            return Stream::connect(address, dial, None).map(Line::Stream);
        };
        let socket = DatagramSocket::connect(address)?;
        socket.send(datagram)?;
        Ok(Line::Datagram(socket))
    }

    /// Ask the poll for the first time. An answer that is here already makes an event as well.
    fn begin(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        match self {
            Line::Stream(stream) => stream.want_write(),
            Line::Datagram(socket) => return socket.register(registry, owner),
        }
        self.arm(registry, owner)
    }

    /// Ask the poll for what is wanted and not yet asked for.
    fn arm(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        match self {
            Line::Stream(stream) => stream.arm(registry, owner),
            Line::Datagram(_) => Ok(()),
        }
    }
}

/// One datagram is the answer.
fn hear(socket: &DatagramSocket, question: &Question, scratch: &mut [u8]) -> Option<Outcome> {
    match socket.receive(scratch) {
        Ok(None) => None,
        Ok(Some(count)) => match question.judge(&scratch[..count], true) {
            Answer::Good(load) => Some(Ok(load)),
            Answer::Bad(reason) => Some(Err(reason)),
            Answer::Incomplete => None,
        },
        Err(fault) => Some(Err(fault.to_string())),
    }
}

impl Run {
    /// Get on as far as possible.
    fn proceed(&mut self, question: &Question, scratch: &mut [u8]) -> Progress {
        let stream = match &mut self.line {
            Line::Stream(stream) => stream,
            Line::Datagram(socket) => return Progress::of(hear(socket, question, scratch)),
        };
        if !self.connected {
            match stream.connect_outcome() {
                Connect::Pending => return Progress::NONE,
                Connect::Failed(fault) => return Progress::over(Err(fault.to_string())),
                Connect::Done => self.connected = true,
            }
        }
        if question.is_connect() {
            return Progress::over(Ok(None));
        }
        while self.sent < self.asked.len() && stream.can_write() {
            match stream.send(&self.asked[self.sent..]) {
                Sent::Bytes(count) => self.sent += count,
                Sent::WouldBlock => break,
                // What it came to may be known.
                Sent::Broken(_) if self.rest.is_some() => return Progress::ENDED,
                Sent::Broken(fault) => return Progress::over(Err(fault.to_string())),
            }
        }
        let outcome = match self.listen(question, scratch) {
            Some(outcome) if self.rest.is_none() => return Progress::over(outcome),
            outcome => outcome,
        };
        let over = self.rest.is_some() && self.read_rest(scratch);
        Progress { outcome, over }
    }

    /// Hear the answer until its meaning is known; what follows is left in `rest`.
    fn listen(&mut self, question: &Question, scratch: &mut [u8]) -> Option<Outcome> {
        let Line::Stream(stream) = &mut self.line else { return None };
        while self.rest.is_none() && stream.can_read() {
            let (count, ended) = match stream.receive(scratch) {
                Received::Bytes(count) => (count, false),
                Received::Eof => (0, true),
                Received::WouldBlock => break,
                Received::Broken(fault) => return Some(Err(fault.to_string())),
            };
            self.heard += count;
            self.answer.extend_from_slice(&scratch[..count]);
            let outcome = match question.judge(&self.answer, ended) {
                Answer::Incomplete => continue,
                Answer::Good(load) => Ok(load),
                Answer::Bad(reason) => Err(reason),
            };
            if !ended {
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
        let (Line::Stream(stream), Some(rest)) = (&mut self.line, &mut self.rest) else {
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

impl Progress {
    const NONE: Progress = Progress { outcome: None, over: false };

    const ENDED: Progress = Progress { outcome: None, over: true };

    fn over(outcome: Outcome) -> Progress {
        Progress { outcome: Some(outcome), over: true }
    }

    /// Over if that is known.
    fn of(outcome: Option<Outcome>) -> Progress {
        let over = outcome.is_some();
        Progress { outcome, over }
    }
}
