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

use crate::backends::{BackendId, Course, PoolId, Refusal};
use crate::config::Protocol;
use crate::context::Context;
use crate::event::{Key, TimerKey};
use crate::hello::Alert;
use crate::net::{Fault, Stream};

use super::account::Account;
use super::duplex::{Break, Duplex};
use super::http::Http;
use super::pump::{Flow, State};
use super::sni::Greeting;

/// A client's connection through us.
#[derive(Debug)]
pub struct Pair {
    /// Its place in the slab.
    pub key: Key,
    /// What the log calls it; counted up from 1.
    pub number: u64,
    /// At which listener it came.
    pub front: u16,
    /// Among whom its backend is picked.
    pub pool: PoolId,
    /// The client's socket.
    pub client: Stream,
    /// Where the client is.
    pub client_address: SocketAddr,
    /// The backend connection in use, if one was opened.
    pub connection: Option<Key>,
    /// What the client speaks, as far as it matters to us: TCP, once it has a tunnel or its TLS was
    /// led to a backend.
    pub protocol: Protocol,
    /// What HTTP needs to know of the client; nothing while that rests.
    pub http: Option<Box<Http>>,
    /// What the access log will say of what is being done.
    pub account: Option<Box<Account>>,
    /// The bytes both ways.
    pub duplex: Duplex,
    /// What is known of the search for a backend; nothing, if there is nothing to know.
    search: Option<Box<Search>>,
    /// What is being waited for.
    pub stage: Stage,
    /// Its one timer, armed for its deadline or earlier.
    pub timer: TimerKey,
    /// When it was accepted.
    pub opened_at: Instant,
    /// When a byte last moved.
    pub active_at: Instant,
    /// It waits in the run queue.
    pub queued: bool,
    /// Its last turn was an answer of our own, or all that a turn may be, or it pipelines: it acts
    /// after the others.
    pub goes_behind: bool,
    /// It is to be reaped at the end of this turn, and nothing is to be done for it any more.
    pub closing: Option<Reason>,
}

/// A search for a backend that took more than one look.
#[derive(Debug, Default)]
pub struct Search {
    /// What the client is placed by instead of its address.
    pub hash_key: Option<u64>,
    /// Backends that did not take the connection.
    pub tried: Vec<BackendId>,
    /// Why the last of them did not.
    pub fault: Option<Fault>,
    /// A backend of which an address failed, and another one is to be tried.
    pub turned: Option<(BackendId, Course)>,
    /// What the client said of whom it wants, as long as that leads nowhere.
    greeting: Option<Box<Greeting>>,
}

/// What a pair waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// For the client to have shaken hands, where it speaks TLS.
    Handshaking,
    /// For a backend to be chosen, which takes no time.
    Picking,
    /// For the backend to take the connection, until its [`super::connect::deadline`].
    Connecting,
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
    /// The client finished sending while it waited for an answer: it went away.
    ClientLeft,
    /// The backend's connection broke.
    BackendBroke(Fault),
    /// No backend could be reached; the last one for this reason.
    ConnectFailed(Fault),
    /// No backend could be chosen.
    Refused(Refusal),
    /// The client was told why it is not served.
    Alerted(Alert),
    /// The client did not say in time whom it wants.
    HelloTooLate,
    /// No byte moved for the idle timeout.
    Idle,
    /// No byte moved for the half-close timeout.
    HalfClosedIdle,
    /// Its backend went down, and `--on-down close` was asked for.
    BackendDown,
    /// We are stopping, and nobody wants to wait any longer.
    Stopped,
    /// We are stopping, and the drain timeout is over.
    DrainTimeout,
    /// We have no descriptor or memory left.
    Exhausted,
}

impl Pair {
    /// A pair for a client that was just accepted.
    pub fn new(
        key: Key,
        number: u64,
        protocol: Protocol,
        front: u16,
        client: (Stream, SocketAddr),
        timer: TimerKey,
        now: Instant,
    ) -> Pair {
        Pair {
            key,
            number,
            front,
            pool: PoolId::default(),
            client: client.0,
            client_address: client.1,
            connection: None,
            protocol,
            http: None,
            account: None,
            duplex: Duplex::default(),
            search: None,
            stage: Stage::Picking,
            timer,
            opened_at: now,
            active_at: now,
            queued: false,
            goes_behind: false,
            closing: None,
        }
    }

    /// A deadline that comes nearer needs the timer; one that moves away is noticed when it fires.
    pub fn arm_by(&mut self, deadline: Instant, cx: &mut Context) {
        cx.timers.arm_by(self.timer, deadline);
    }

    /// While a direction waits for a large piece, somebody has to look whether it does so in vain.
    pub fn arm_look(&mut self, cx: &mut Context) {
        if let Some(time) = self.duplex.look_in() {
            self.arm_by(cx.now + time, cx);
        }
    }

    /// The timer fired: if a direction waits in vain, its source will tell what is there.
    pub fn look(&mut self, cx: &mut Context) {
        if let Some(connection) = self.connection.and_then(|key| cx.connections.get_mut(key)) {
            self.duplex.look(&mut self.client, &mut connection.stream);
        }
    }

    /// What the client is placed by instead of its address, if by anything.
    pub fn hash_key(&self) -> Option<u64> {
        self.search.as_ref()?.hash_key
    }

    /// Backends that did not take the connection.
    pub fn tried(&self) -> &[BackendId] {
        self.search.as_deref().map_or(&[], |search| &search.tried)
    }

    /// A backend of which an address failed, and another one is to be tried.
    pub fn turned(&self) -> Option<(BackendId, Course)> {
        self.search.as_ref()?.turned
    }

    /// Why the last of them did not, unless one did meanwhile.
    pub fn connect_fault(&self) -> Option<Fault> {
        self.search.as_ref()?.fault
    }

    /// The search, to write something down.
    pub fn search_mut(&mut self) -> &mut Search {
        self.search.get_or_insert_default()
    }

    /// A backend took the connection.
    pub fn note_found(&mut self) {
        if let Some(search) = &mut self.search {
            search.fault = None;
        }
    }

    /// What the client said of whom it wants, as long as that leads nowhere.
    pub fn greeting(&self) -> Option<&Greeting> {
        self.search.as_ref()?.greeting.as_deref()
    }

    /// The same, to go on with.
    pub fn take_greeting(&mut self) -> Option<Greeting> {
        self.search.as_mut()?.greeting.take().map(|greeting| *greeting)
    }

    /// There is more to come, from it or from us.
    pub fn set_greeting(&mut self, greeting: Greeting) {
        self.search_mut().greeting = Some(Box::new(greeting));
    }

    /// The next search begins anew.
    pub fn forget_search(&mut self) {
        self.search = None;
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
        if self.protocol == Protocol::Sni {
            return "greeting";
        }
        match (self.stage, self.duplex.request.state(), self.duplex.response.state()) {
            (Stage::Handshaking, ..) => "shaking hands",
            (Stage::Picking | Stage::Connecting, ..) => "connecting",
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
            | Reason::Alerted(_)
            | Reason::HelloTooLate
            | Reason::ClientBroke(_)
            | Reason::BackendBroke(_) => false,
            Reason::ClientLeft
            | Reason::ConnectFailed(_)
            | Reason::Refused(_)
            | Reason::BackendDown
            | Reason::Stopped
            | Reason::DrainTimeout
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
            Reason::ClientLeft => {
                f.write_str("the client went away while it waited: --abort-on-close")
            }
            Reason::BackendBroke(fault) => write!(f, "the backend's connection broke: {fault}"),
            Reason::ConnectFailed(fault) => write!(f, "no backend could be reached: {fault}"),
            Reason::Refused(refusal) => write!(f, "refused: {refusal}"),
            Reason::Alerted(alert) => write!(f, "refused with the alert {alert}"),
            Reason::HelloTooLate => {
                f.write_str("no ClientHello in time: --tls-handshake-timeout")
            }
            Reason::Idle => f.write_str("idle for too long: --idle-timeout"),
            Reason::HalfClosedIdle => {
                f.write_str("half closed and idle for too long: --half-close-timeout")
            }
            Reason::BackendDown => f.write_str("its backend went down"),
            Reason::Stopped => f.write_str("cut off by the stop"),
            Reason::DrainTimeout => f.write_str("cut off by the stop: --drain-timeout"),
            Reason::Exhausted => f.write_str("out of descriptors or memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There may be a hundred thousand: what only some of them need is in a box. The last eight
    /// bytes are TLS's, or would be; debug builds have mio's eight on top.
    #[test]
    fn a_pair_takes_a_quarter_of_a_kibibyte() {
        assert!(size_of::<Pair>() <= 256, "{} bytes", size_of::<Pair>());
    }
}
