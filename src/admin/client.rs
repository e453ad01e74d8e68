//! An admin connection, whatever is spoken there.

use std::time::Instant;

use crate::config::HaproxyLevel;
use crate::control::Speaks;
use crate::event::TimerKey;
use crate::net::{LocalPeer, LocalStream};

use super::access::Rules;
use super::audit::Audit;
use super::change::Done;
use super::connection::{Connection, Progress};
use super::haproxy::connection::Connection as Haproxy;
use super::listener::Arrived;
use super::problem::Problem;
use super::remembered::{Identity, Kept};
use super::socket::AdminSocket;
use super::view::View;

/// One of them.
pub enum Client {
    /// The API.
    Api(Box<Connection>),
    /// HAProxy's commands.
    Haproxy(Box<Haproxy>),
}

/// The same for both.
macro_rules! both {
    ($of:expr, $it:ident => $what:expr) => {
        match $of {
            Client::Api($it) => $what,
            Client::Haproxy($it) => $what,
        }
    };
}

impl Client {
    /// A new one, of what is spoken at its listener.
    pub fn new(
        arrived: Arrived,
        id: u64,
        level: HaproxyLevel,
        timer: TimerKey,
        now: Instant,
    ) -> Client {
        match arrived.speaks {
            Speaks::Api | Speaks::Metrics => {
                Client::Api(Box::new(Connection::new(arrived, id, timer, now)))
            }
            Speaks::Haproxy => {
                Client::Haproxy(Box::new(Haproxy::new(arrived, id, level, timer, now)))
            }
        }
    }

    /// Its socket.
    pub fn socket(&mut self) -> &mut AdminSocket {
        both!(self, it => &mut it.socket)
    }

    /// Who is at its other end, if that is a process of this machine.
    pub fn peer(&self) -> Option<LocalPeer> {
        match self {
            Client::Api(it) => it.peer(),
            Client::Haproxy(_) => None,
        }
    }

    /// Its socket, for another talk.
    pub fn into_local(self) -> Option<LocalStream> {
        match self {
            Client::Api(it) => match it.socket {
                AdminSocket::Local(socket) => Some(socket),
                AdminSocket::Stream(_) => None,
            },
            Client::Haproxy(_) => None,
        }
    }

    /// Ends whatever takes too long.
    pub fn timer(&self) -> TimerKey {
        both!(self, it => it.timer)
    }

    /// Whether it waits to act.
    pub fn is_queued(&mut self) -> &mut bool {
        both!(self, it => &mut it.is_queued)
    }

    /// A write that was answered since this was asked last.
    pub fn take_audit(&mut self) -> Option<Audit> {
        both!(self, it => it.take_audit())
    }

    /// It guessed wrong, and is answered after this time and after whoever guessed before.
    pub fn delay(&mut self, after: Instant) -> Option<Instant> {
        match self {
            Client::Api(it) => it.delay(after),
            Client::Haproxy(_) => None,
        }
    }

    /// Since when it has said nothing, if nothing is done for it.
    pub fn rests_since(&self) -> Option<Instant> {
        both!(self, it => it.rests_since())
    }

    /// Until when it may do nothing.
    pub fn deadline(&self) -> Instant {
        both!(self, it => it.deadline())
    }

    /// Whether it waits for something to happen.
    pub fn listens(&self) -> bool {
        match self {
            Client::Api(it) => it.listens(),
            Client::Haproxy(_) => false,
        }
    }

    /// Whether it came where metrics are read and nothing else.
    pub fn is_scraper(&self) -> bool {
        match self {
            Client::Api(it) => it.is_scraper(),
            Client::Haproxy(_) => false,
        }
    }

    /// Whether it shows what is taken each second.
    pub fn watches(&self) -> bool {
        match self {
            Client::Api(it) => it.watches(),
            Client::Haproxy(_) => false,
        }
    }

    /// Get on with it. At most one request or command is begun.
    pub fn act(&mut self, view: &View<'_>, rules: &Rules, scratch: &mut [u8]) -> Progress {
        match self {
            Client::Api(it) => it.act(view, rules, scratch),
            Client::Haproxy(it) => it.act(view, scratch),
        }
    }

    /// Its time is over. Says whether it lives on.
    pub fn on_timer(&mut self, view: &View<'_>) -> bool {
        match self {
            Client::Api(it) => it.on_timer(view.cx.now),
            Client::Haproxy(it) => it.on_timer(view),
        }
    }

    /// The loop did, or refused, what was asked.
    /// Gives back what of the answer is kept.
    pub fn finish(&mut self, outcome: Result<Done, Problem>, view: &View<'_>) -> Option<Kept> {
        match self {
            Client::Api(it) => it.finish(outcome, view),
            Client::Haproxy(it) => {
                it.finish(&outcome, view);
                None
            }
        }
    }

    /// By which what it asked is known again, if it wants that.
    pub fn identity(&self) -> Option<Identity> {
        match self {
            Client::Api(it) => it.identity(),
            Client::Haproxy(_) => None,
        }
    }

    /// It was carried out before, and is answered as it was then.
    pub fn repeat(&mut self, kept: Kept, now: Instant) {
        if let Client::Api(it) = self {
            it.repeat(kept, now);
        }
    }
}
