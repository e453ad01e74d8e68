//! A client and what is being done for it: the client's socket, a borrowed backend connection, and
//! a flow of bytes in each direction.
//!
//! ```text
//!   client <==[ client: Stream ]==> duplex <==[ connection: Stream ]==> backend
//! ```
//!
//! It does nothing by itself: `relay::tcp` connects and waits, `relay::duplex` moves the bytes and
//! knows when they have ended, and `event_loop` closes.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use crate::backends::{BackendId, Refusal};
use crate::config::Protocol;
use crate::context::Context;
use crate::event::{Key, TimerKey};
use crate::net::{Fault, Stream};

use super::account::Account;
use super::duplex::{Break, Duplex};
use super::http::Http;
use super::pump::{Flow, State};

/// A client's connection through us.
#[derive(Debug)]
pub struct Pair {
    /// Its place in the slab.
    pub key: Key,
    /// What the log calls it; counted up from 1.
    pub number: u64,
    /// At which listener it came.
    pub front: usize,
    /// The client's socket.
    pub client: Stream,
    /// Where the client is.
    pub client_address: SocketAddr,
    /// The backend connection in use, if one was opened.
    pub connection: Option<Key>,
    /// What the client speaks, as far as it matters to us: TCP again, once it has a tunnel.
    pub protocol: Protocol,
    /// What HTTP needs to know of the client; nothing while that rests.
    pub http: Option<Box<Http>>,
    /// What the access log will say of what is being done.
    pub account: Option<Box<Account>>,
    /// The bytes both ways.
    pub duplex: Duplex,
    /// What it is placed by instead of the client's address.
    pub hash_key: Option<u64>,
    /// What is being waited for.
    pub stage: Stage,
    /// Backends to which a connect failed.
    pub tried: Vec<BackendId>,
    /// Its one timer.
    pub timer: TimerKey,
    /// When the timer fires; never later than the deadline.
    pub armed_for: Instant,
    /// When it was accepted.
    pub opened_at: Instant,
    /// When a byte last moved.
    pub active_at: Instant,
    /// Why the last attempt to connect failed, if it did.
    pub connect_fault: Option<Fault>,
    /// It waits in the run queue.
    pub queued: bool,
    /// It is to be reaped at the end of this turn, and nothing is to be done for it any more.
    pub closing: Option<Reason>,
}

/// What a pair waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// For a backend to be chosen, which takes no time.
    Picking,
    /// For the backend to take the connection, until then.
    Connecting(Instant),
    /// For bytes.
    Relaying,
}

/// What is to be done with a pair after it acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It waits for an event or its timer.
    Keep,
    /// It has more to do: at the end of the run queue.
    Again,
    /// It is over.
    Close(Reason),
}

/// Which ends of a pair are closed with RST instead of FIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TornEnds {
    /// The client's.
    pub client: bool,
    /// The backend's.
    pub backend: bool,
}

/// Why a pair was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Both sides had finished.
    Finished,
    /// The client's connection broke.
    ClientBroke(Fault),
    /// The backend's connection broke.
    BackendBroke(Fault),
    /// No backend could be reached; the last one for this reason.
    ConnectFailed(Fault),
    /// No backend could be chosen.
    Refused(Refusal),
    /// No byte moved for the idle timeout.
    Idle,
    /// No byte moved for the half-close timeout.
    HalfClosedIdle,
    /// Its backend went down, and `--on-down close` was asked for.
    BackendDown,
    /// We are stopping, and the drain timeout is over or nobody wants to wait for it.
    Stopped,
    /// We have no descriptor or memory left.
    Exhausted,
}

impl Pair {
    /// A pair for a client that was just accepted.
    pub fn new(
        key: Key,
        number: u64,
        protocol: Protocol,
        client: (Stream, SocketAddr),
        timer: TimerKey,
        now: Instant,
    ) -> Pair {
        Pair {
            key,
            number,
            front: 0,
            client: client.0,
            client_address: client.1,
            connection: None,
            protocol,
            http: None,
            account: None,
            duplex: Duplex::default(),
            hash_key: None,
            stage: Stage::Picking,
            tried: Vec::new(),
            timer,
            armed_for: now,
            opened_at: now,
            active_at: now,
            connect_fault: None,
            queued: false,
            closing: None,
        }
    }

    /// A deadline that comes nearer needs the timer; one that moves away is noticed when it fires.
    pub fn arm_by(&mut self, deadline: Instant, cx: &mut Context) {
        if deadline < self.armed_for || self.armed_for <= cx.now {
            self.armed_for = deadline;
            cx.timers.arm(self.timer, deadline);
        }
    }

    /// Who must not take what it got for complete when the pair is closed for this reason.
    pub fn torn_ends(&self, reason: Reason) -> TornEnds {
        let all = self.duplex.is_torn() || reason.is_cut();
        let late = reason == Reason::HalfClosedIdle;
        let open = |flow: &Flow| flow.state() != State::Done;
        TornEnds {
            client: all || late && open(&self.duplex.response),
            backend: all || late && open(&self.duplex.request),
        }
    }

    /// What it is doing, for the log.
    pub fn doing(&self) -> &'static str {
        match (self.stage, self.duplex.request.state(), self.duplex.response.state()) {
            (Stage::Picking | Stage::Connecting(_), ..) => "connecting",
            (Stage::Relaying, State::Open, State::Open) => "relaying",
            (Stage::Relaying, ..) => "draining",
        }
    }
}

impl Reason {
    /// Whether we cut the pair off, however complete its streams were.
    pub fn is_cut(self) -> bool {
        match self {
            Reason::Finished
            | Reason::Idle
            | Reason::HalfClosedIdle
            | Reason::ClientBroke(_)
            | Reason::BackendBroke(_) => false,
            Reason::ConnectFailed(_)
            | Reason::Refused(_)
            | Reason::BackendDown
            | Reason::Stopped
            | Reason::Exhausted => true,
        }
    }
}

impl From<Break> for Reason {
    fn from(side: Break) -> Reason {
        match side {
            Break::Client(fault) => Reason::ClientBroke(fault),
            Break::Backend(fault) => Reason::BackendBroke(fault),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Finished => f.write_str("finished"),
            Reason::ClientBroke(fault) => write!(f, "the client's connection broke: {fault}"),
            Reason::BackendBroke(fault) => write!(f, "the backend's connection broke: {fault}"),
            Reason::ConnectFailed(fault) => write!(f, "no backend could be reached: {fault}"),
            Reason::Refused(refusal) => write!(f, "refused: {refusal}"),
            Reason::Idle => f.write_str("idle for too long"),
            Reason::HalfClosedIdle => f.write_str("half closed and idle for too long"),
            Reason::BackendDown => f.write_str("its backend went down"),
            Reason::Stopped => f.write_str("cut off by the stop"),
            Reason::Exhausted => f.write_str("out of descriptors or memory"),
        }
    }
}
