//! One process that is looked at: what is asked of it, without waiting for it.
//!
//! ```text
//!   begin --> process, services, pools, the backends of each pool --> Told::Sample
//!     \-- no connection, no answer, a refusal ---------------------> Told::Away, tried again
//!   change --> (between two of these, on a connection of its own) --> Told::Done, Told::Refused
//!   events, on a connection of their own ---------------------------> Told::Event
//! ```

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use serde_json::Value;

use crate::config::io_words;
use crate::ctl::answer::{Answer, BODY_BYTES_MAX};
use crate::ctl::client::{Body, Client, Then, Wire, encoded, json};
use crate::ctl::failure::{Failure, Outcome};
use crate::ctl::reading::event_line;
use crate::limits::{TOP_EVENT_BYTES_MAX, TOP_PATIENCE, TOP_PRESENT, TOP_RETRY};

use super::sample::{BACKEND_FIELDS, Name, PRESENT, Sample, TRENDS_PATH};

/// What it has to say.
#[derive(Debug, PartialEq)]
pub enum Told {
    /// A look is complete.
    Sample(Box<Sample>),
    /// It does not answer, and why.
    Away(String),
    /// A change was made.
    Done(String),
    /// A change was refused.
    Refused(String),
    /// Something happened there.
    Event(String),
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The process, services, pools, backends.
    Usual,
    /// And single clients, which takes a look at all of them.
    Clients,
}

/// Something to ask for.
#[derive(Debug, Clone)]
enum Ask {
    Process,
    Services,
    /// Which a server may not keep.
    Trends,
    /// A list that an older server does not have.
    Present(&'static str),
    Pools,
    Backends(String),
    Change {
        path: String,
        body: Value,
        what: String,
    },
}

/// One process.
pub struct Source {
    client: Client,
    wire: Option<Box<dyn Wire>>,
    /// The first of them is under way if there is a wire.
    asks: VecDeque<Ask>,
    answer: Answer,
    /// When it was asked.
    asked_at: Instant,
    /// Whether the wire has brought an answer before: it may be closed for its rest.
    was_used: bool,
    is_under_way: bool,
    /// Bytes of the answers of this look.
    taken: usize,
    sample: Sample,
    retry_at: Option<Instant>,
    events: Events,
}

/// The stream of what happens there.
#[derive(Default)]
struct Events {
    wire: Option<Box<dyn Wire>>,
    answer: Answer,
    /// The number of the last one.
    last: String,
    kind: String,
}

impl Source {
    /// Nothing is asked yet.
    pub fn new(client: Client, now: Instant) -> Source {
        Source {
            client,
            wire: None,
            asks: VecDeque::new(),
            answer: Answer::default(),
            asked_at: now,
            was_used: false,
            is_under_way: false,
            taken: 0,
            sample: Sample::default(),
            retry_at: None,
            events: Events { last: "0".to_owned(), ..Events::default() },
        }
    }

    /// Where it is.
    pub fn place(&self) -> String {
        self.client.place()
    }

    /// Look, unless a look is under way or it was found away just now.
    pub fn begin(&mut self, looks_at: Extent, now: Instant, told: &mut Vec<Told>) {
        let is_too_early = self.retry_at.is_some_and(|it| now < it);
        if is_too_early || self.asks.iter().any(|it| !matches!(it, Ask::Change { .. })) {
            return;
        }
        self.retry_at = None;
        self.sample = Sample::default();
        self.taken = 0;
        self.asks.extend([Ask::Process, Ask::Services, Ask::Trends]);
        if looks_at == Extent::Clients {
            self.asks.extend(PRESENT.map(Ask::Present));
        }
        self.asks.push_back(Ask::Pools);
        self.go_on(now, told);
    }

    /// Have a backend changed, as soon as what is under way is answered.
    pub fn change(
        &mut self,
        name: &Name,
        body: Value,
        what: &str,
        now: Instant,
        told: &mut Vec<Told>,
    ) {
        let path = format!(
            "/api/v1/pools/{}/backends/{}",
            encoded(&name.pool),
            encoded(&name.backend)
        );
        let change = Ask::Change { path, body, what: what.to_owned() };
        let at = usize::from(self.is_under_way).min(self.asks.len());
        self.asks.insert(at, change);
        self.go_on(now, told);
    }

    /// What is to be watched for reading.
    pub fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let wire = self.wire.as_ref().filter(|_| self.is_under_way);
        [wire, self.events.wire.as_ref()].into_iter().flatten().map(|it| it.as_fd())
    }

    /// When it has to be looked after even if nothing can be read.
    pub fn deadline(&self) -> Option<Instant> {
        self.is_under_way.then(|| self.asked_at + TOP_PATIENCE)
    }

    /// Read what there is.
    pub fn advance(&mut self, now: Instant, told: &mut Vec<Told>) {
        while self.is_under_way {
            match self.read() {
                Ok(true) => self.on_answer(now, told),
                Ok(false) => break,
                Err(why) => return self.fail(&why, now, told),
            }
        }
        if self.is_under_way && now >= self.asked_at + TOP_PATIENCE {
            let why = format!("no answer for {} s", TOP_PATIENCE.as_secs());
            self.fail(&why, now, told);
        }
        self.events.read(told);
    }

    /// Whether the answer is whole.
    fn read(&mut self) -> Result<bool, String> {
        let Some(wire) = &mut self.wire else { return Ok(false) };
        match fill(&mut **wire, &mut self.answer)? {
            Filled::Some | Filled::Nothing => Ok(self.answer.is_done()),
            Filled::End => {
                self.wire = None;
                if self.was_used && !self.answer.has_head() {
                    // It was closed for its rest while this was on the way: ask again.
                    self.send()?;
                    return Ok(false);
                }
                self.answer.end()?;
                Ok(self.answer.is_done())
            }
        }
    }

    fn on_answer(&mut self, now: Instant, told: &mut Vec<Told>) {
        self.is_under_way = false;
        self.was_used = true;
        let answer = std::mem::take(&mut self.answer);
        if answer.field("connection").is_some_and(|it| it.eq_ignore_ascii_case("close")) {
            self.wire = None;
        }
        self.taken += answer.body.len();
        if self.taken > BODY_BYTES_MAX {
            let why = format!("a look has more than {} MiB", BODY_BYTES_MAX >> 20);
            return self.fail(&why, now, told);
        }
        let Some(ask) = self.asks.pop_front() else { return };
        let is_look = !matches!(ask, Ask::Change { .. });
        if let Err(failure) = self.take(&ask, answer, told) {
            return self.fail(&words(failure), now, told);
        }
        let is_change = |it: &Ask| matches!(it, Ask::Change { .. });
        if is_look && self.asks.iter().all(is_change) {
            let sample = std::mem::take(&mut self.sample);
            told.push(Told::Sample(Box::new(sample)));
            self.events.open(&self.client);
        }
        self.go_on(now, told);
    }

    fn take(&mut self, ask: &Ask, answer: Answer, told: &mut Vec<Told>) -> Outcome {
        let answer = match (ask, self.client.accepted(answer)) {
            (Ask::Change { what, .. }, Ok(_)) => {
                told.push(Told::Done(what.clone()));
                // What it came to is seen at the next look.
                return Ok(());
            }
            (Ask::Change { what, .. }, Err(failure)) => {
                told.push(Told::Refused(format!("{what}: {}", words(failure))));
                return Ok(());
            }
            // A server that does not say it is none the worse.
            (Ask::Trends | Ask::Present(_), Err(_)) => return Ok(()),
            // The pool has gone since it was listed.
            (Ask::Backends(_), Err(_)) => return Ok(()),
            (_, answer) => answer?,
        };
        match ask {
            Ask::Process => self.sample.set_process(&json(&answer)?),
            Ask::Trends => self.sample.set_trends(&json(&answer)?),
            Ask::Present(what) => self.sample.add_present(what, &json(&answer)?),
            Ask::Services => self.sample.set_services(&json(&answer)?),
            Ask::Pools => {
                self.sample.set_pools(&json(&answer)?);
                let pools = self.sample.pools.iter().map(|it| Ask::Backends(it.name.clone()));
                self.asks.extend(pools);
            }
            Ask::Backends(_) => {
                let value = json(&answer)?;
                let rows = value["items"].as_array().map(Vec::as_slice).unwrap_or_default();
                self.sample.add_backends(rows);
            }
            Ask::Change { .. } => {}
        }
        Ok(())
    }

    /// Ask for the next thing, if none is under way.
    fn go_on(&mut self, now: Instant, told: &mut Vec<Told>) {
        if self.is_under_way || self.asks.is_empty() {
            return;
        }
        self.asked_at = now;
        if let Err(why) = self.send() {
            self.fail(&why, now, told);
        }
    }

    fn send(&mut self) -> Result<(), String> {
        let Some(ask) = self.asks.front() else { return Ok(()) };
        let bytes = request(&self.client, ask);
        // What changes something is not sent twice, so not on a connection that may be closing.
        if matches!(ask, Ask::Change { .. }) {
            self.wire = None;
        }
        self.answer = Answer::default();
        self.is_under_way = true;
        if let Some(wire) = &mut self.wire
            && wire.write_all(&bytes).is_ok()
        {
            return Ok(());
        }
        self.was_used = false;
        self.wire = Some(open(&self.client, &bytes).map_err(words)?);
        Ok(())
    }

    fn fail(&mut self, why: &str, now: Instant, told: &mut Vec<Told>) {
        let place = format!("{}: ", self.client.place());
        let why = why.strip_prefix(&place).unwrap_or(why).to_owned();
        let changes = self.asks.drain(..).filter_map(|it| match it {
            Ask::Change { what, .. } => Some(Told::Refused(format!("{what}: {why}"))),
            _ => None,
        });
        told.extend(changes);
        self.wire = None;
        self.is_under_way = false;
        self.answer = Answer::default();
        self.retry_at = Some(now + TOP_RETRY);
        told.push(Told::Away(why));
    }
}

/// A connection on which this was said, and that does not block any more.
fn open(client: &Client, bytes: &[u8]) -> Outcome<Box<dyn Wire>> {
    let mut wire = client.connect()?;
    let failed = |error: io::Error| Failure::failed(io_words(&error).to_string());
    wire.write_all(bytes).map_err(failed)?;
    rustix::io::ioctl_fionbio(wire.as_fd(), true).map_err(|it| failed(it.into()))?;
    Ok(wire)
}

fn request(client: &Client, ask: &Ask) -> Vec<u8> {
    let path = match ask {
        Ask::Process => "/api/v1".to_owned(),
        // With no backend, but those of this odd name.
        Ask::Trends => TRENDS_PATH.to_owned(),
        Ask::Present(what) => format!("/api/v1/top?what={what}&limit={TOP_PRESENT}"),
        Ask::Services => "/api/v1/services?fields=name,listeners,pools,active".to_owned(),
        Ask::Pools => "/api/v1/pools?fields=name,algorithm,up,backends,active".to_owned(),
        Ask::Backends(pool) => {
            format!("/api/v1/pools/{}/backends?fields={BACKEND_FIELDS}", encoded(pool))
        }
        Ask::Change { path, body, .. } => {
            let body = Body::Json(body.clone());
            return client.request("PATCH", path, body, Then::Keep);
        }
    };
    client.request("GET", &path, Body::None, Then::Keep)
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::Usage(line) => line,
        Failure::Failed(lines) => lines.join("; "),
        Failure::Said | Failure::Closed => String::new(),
    }
}

enum Filled {
    Some,
    Nothing,
    End,
}

/// Read until there is nothing more for now, or the answer is whole.
fn fill(wire: &mut dyn Wire, answer: &mut Answer) -> Result<Filled, String> {
    let mut buffer = [0; 16 * 1024];
    let mut filled = Filled::Nothing;
    while !answer.is_done() {
        match wire.read(&mut buffer) {
            Ok(0) => return Ok(Filled::End),
            Ok(count) => answer.feed(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(filled),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(io_words(&error).to_string()),
        }
        filled = Filled::Some;
    }
    Ok(filled)
}

impl Events {
    /// Go on where the last connection ended. Without them there is all the rest.
    fn open(&mut self, client: &Client) {
        if self.wire.is_some() {
            return;
        }
        let path = format!("/api/v1/events?since={}", self.last);
        let bytes = client.request("GET", &path, Body::None, Then::Close);
        self.answer = Answer::default();
        self.wire = open(client, &bytes).ok();
    }

    fn read(&mut self, told: &mut Vec<Told>) {
        let Some(wire) = &mut self.wire else { return };
        let filled = fill(&mut **wire, &mut self.answer);
        if self.answer.status != 200 && self.answer.has_head() {
            self.answer.body.clear();
        }
        let lines: Vec<u8> = match self.answer.body.iter().rposition(|&it| it == b'\n') {
            Some(at) => self.answer.body.drain(..=at).collect(),
            None => Vec::new(),
        };
        for line in String::from_utf8_lossy(&lines).lines() {
            self.line(line, told);
        }
        let is_over = matches!(filled, Ok(Filled::End) | Err(_)) || self.answer.is_done();
        if is_over || self.answer.body.len() > TOP_EVENT_BYTES_MAX {
            self.wire = None;
        }
    }

    fn line(&mut self, line: &str, told: &mut Vec<Told>) {
        match line.split_once(": ") {
            // It goes into a path.
            Some(("id", text)) if text.bytes().all(|it| it.is_ascii_digit()) => {
                text.clone_into(&mut self.last);
            }
            Some(("event", text)) => text.clone_into(&mut self.kind),
            Some(("data", text)) => {
                let value: Value = serde_json::from_str(text).unwrap_or_default();
                told.push(Told::Event(event_line(&self.last, &self.kind, &value)));
            }
            _ => {}
        }
    }
}
