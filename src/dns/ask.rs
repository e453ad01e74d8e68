//! One question, until somebody answers it: servers in turn, each in its time, TCP where UDP will
//! not do.
//!
//! ```text
//!   round 1      round 2: without EDNS0; twice the time, shared by the servers
//!   s1 -- s2 --> s1 -- s2 --> failed
//!   |
//!   +- cut, or wrong capitals: the same server by TCP
//!   +- FORMERR: the same server without EDNS0
//!   +- SERVFAIL, REFUSED, garbled: the next server at once, this one no more
//!   +- unreachable: the next server at once
//! ```
//!
//! An answer that comes late, from a server that was given up, is as good as any.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Random;
use super::answer::{self, Fault, Refusal, Said, Wrong};
use super::question::{Query, Question};
use super::resolv_conf::ResolvConf;

/// How a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// In a datagram, from a port of its own.
    Udp,
    /// In a stream, framed.
    Tcp,
}

/// Why a server was of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Which one.
    pub server: SocketAddr,
    /// What it did.
    pub what: What,
}

/// What a server did instead of answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Nothing, for so long.
    Silent(Duration),
    /// It said that it does not answer.
    Refused(Refusal),
    /// It sent what cannot be read.
    Bad(Fault),
    /// It was not reached, in the system's words.
    Unreachable(String),
}

/// Where a question stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is to be sent, now.
    ToSend,
    /// It was, and an answer has to come until then.
    Waiting(Instant),
    /// It was answered, or nobody did.
    Over(Result<Said, Trouble>),
}

/// What a message was to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// An answer, good or bad.
    Taken,
    /// Nothing that was waited for.
    Strange,
}

#[derive(Debug, Clone)]
struct Sent {
    server: usize,
    transport: Transport,
    query: Query,
}

/// One question and its attempts.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    question: Question,
    phase: Phase,
    /// Turns of servers that are over.
    turns: usize,
    /// The server that the first turn was of.
    first: usize,
    transport: Transport,
    with_edns: bool,
    /// All that went out; the last may be waited for.
    sent: Vec<Sent>,
    /// Servers that are not asked again.
    useless: Vec<bool>,
}

impl Ask {
    /// Not yet sent.
    pub(super) fn new(question: Question) -> Ask {
        Ask {
            question,
            phase: Phase::ToSend,
            turns: 0,
            first: 0,
            transport: Transport::Udp,
            with_edns: true,
            sent: Vec::new(),
            useless: Vec::new(),
        }
    }

    pub(super) fn question(&self) -> &Question {
        &self.question
    }

    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether nothing of it has been sent.
    pub(super) fn is_fresh(&self) -> bool {
        self.sent.is_empty() && self.phase == Phase::ToSend
    }

    /// Gives it up before it began.
    pub(super) fn give_up(&mut self, trouble: Trouble) {
        self.phase = Phase::Over(Err(trouble));
    }

    /// What to send next: the server, the transport and the message. The first round begins with
    /// the server at the place `first` of the list.
    pub(super) fn send(
        &mut self,
        conf: &ResolvConf,
        first: usize,
        only_tcp: bool,
        now: Instant,
        random: &mut Random,
    ) -> Option<(SocketAddr, Transport, Vec<u8>)> {
        let count = conf.servers.len();
        if self.sent.is_empty() {
            self.first = first % count.max(1);
            self.useless = vec![false; count];
        }
        let server = self.server();
        let address = *conf.servers.get(server)?;
        if only_tcp {
            self.transport = Transport::Tcp;
        }
        let transport = self.transport;
        let query = Query::new(self.question.clone(), self.with_edns, random);
        let bytes = match query.bytes() {
            Ok(bytes) => bytes,
            Err(error) => {
                let what =
                    What::Unreachable(format!("the question cannot be written: {error}"));
                self.give_up(Trouble { server: address, what });
                return None;
            }
        };
        self.sent.push(Sent { server, transport, query });
        self.phase = Phase::Waiting(now + self.patience(conf));
        Some((address, transport, bytes))
    }

    /// Looks whether the time of the server is over.
    pub(super) fn tick(&mut self, conf: &ResolvConf, now: Instant) {
        if let Phase::Waiting(until) = self.phase
            && until <= now
        {
            self.next_server(conf, What::Silent(self.patience(conf)), false);
        }
    }

    /// Takes a message from a server of the list.
    pub(super) fn heard(
        &mut self,
        conf: &ResolvConf,
        server: usize,
        transport: Transport,
        message: &[u8],
    ) -> Match {
        if matches!(self.phase, Phase::Over(_)) {
            return Match::Strange;
        }
        let is_of = |sent: &&Sent| sent.server == server && sent.transport == transport;
        let by_tcp = transport == Transport::Tcp;
        let candidates = self.sent.iter().enumerate().rev().filter(|(_, sent)| is_of(sent));
        let mut readings = candidates
            .map(|(index, sent)| (index, answer::read(&sent.query, message, by_tcp)))
            .filter(|(_, reading)| *reading != Err(Wrong::Stranger));
        let Some((index, reading)) = readings.next() else { return Match::Strange };
        let is_last = index + 1 == self.sent.len();
        match reading {
            Ok(Said::Cut) if is_last => self.again(Transport::Tcp, self.with_edns),
            Ok(Said::Refused(Refusal::NotUnderstood)) if is_last && self.with_edns => {
                self.again(Transport::Udp, false);
            }
            Ok(Said::Refused(why)) if is_last => {
                self.next_server(conf, What::Refused(why), true);
            }
            Err(Wrong::Bad(fault)) if is_last => self.next_server(conf, What::Bad(fault), true),
            Err(Wrong::Capitals) => {
                if is_last {
                    self.again(Transport::Tcp, self.with_edns);
                }
                return Match::Strange;
            }
            // Late, and of no use.
            Ok(Said::Cut | Said::Refused(_)) | Err(_) => {}
            Ok(said) => self.phase = Phase::Over(Ok(said)),
        }
        Match::Taken
    }

    /// The system says that a server cannot be reached, or its connection is closed.
    pub(super) fn failed(
        &mut self,
        conf: &ResolvConf,
        server: usize,
        transport: Transport,
        why: &str,
    ) {
        let is_awaited = matches!(self.phase, Phase::Waiting(_));
        let is_last =
            self.sent.last().is_some_and(|it| it.server == server && it.transport == transport);
        if is_awaited && is_last {
            // It may be a server that closes a connection after each answer: it is not useless.
            self.next_server(conf, What::Unreachable(why.to_string()), false);
        }
    }

    /// Goes on by TCP at once, where a datagram is waited for.
    pub(super) fn insist_on_tcp(&mut self) {
        if matches!(self.phase, Phase::Waiting(_)) && self.transport == Transport::Udp {
            self.again(Transport::Tcp, self.with_edns);
        }
    }

    fn server(&self) -> usize {
        (self.first + self.turns) % self.useless.len().max(1)
    }

    /// As the libc: the whole round takes twice as long each time, from the second on shared.
    fn patience(&self, conf: &ResolvConf) -> Duration {
        let count = conf.servers.len().max(1);
        let round = (self.turns / count) as u32;
        let whole = conf.timeout * (1 << round.min(8));
        let each = if round == 0 { whole } else { whole / count as u32 };
        each.max(Duration::from_millis(1))
    }

    /// The same server, otherwise.
    fn again(&mut self, transport: Transport, with_edns: bool) {
        self.transport = transport;
        self.with_edns = with_edns;
        self.phase = Phase::ToSend;
    }

    fn next_server(&mut self, conf: &ResolvConf, what: What, is_useless: bool) {
        let server = self.server();
        if let Some(useless) = self.useless.get_mut(server) {
            *useless |= is_useless;
        }
        let turns = conf.servers.len() * usize::from(conf.attempts.max(1));
        self.turns += 1;
        while self.turns < turns && self.useless.get(self.server()) == Some(&true) {
            self.turns += 1;
        }
        if self.turns < turns {
            // Some firewalls swallow what has EDNS0.
            self.again(Transport::Udp, self.turns < conf.servers.len());
        } else if let Some(&server) = conf.servers.get(server) {
            self.give_up(Trouble { server, what });
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trouble { server, what } = self;
        match what {
            What::Silent(time) => write!(f, "{server} did not answer in {time:?}"),
            What::Refused(why) => write!(f, "{server} {why}"),
            What::Bad(fault) => write!(f, "{server} {fault}"),
            What::Unreachable(why) => write!(f, "{server} was not reached: {why}"),
        }
    }
}
