//! A listener: the socket at which clients come in, what is asked of them, and how many are here.
//!
//! ```text
//!   open --leave--> last clients --nobody waits any more--> closed --the last one ends--> gone
//! ```
//!
//! Clients that wait to be accepted are connected as they are: closing the socket would reset them,
//! so they still come in. Then the socket is closed, and the listener stays for as long as clients
//! of its are here, who are served as it says. Where datagrams arrive, the socket stays open until
//! the last flow is over, for answers leave from it; nobody new gets one.

use std::sync::Arc;

use crate::config::{Address, ListenerSettings, OnListenerRemoved, Phases, Protocol};
use crate::event::{ServiceId, TimerKey};
use crate::guard::ListenerGuard;
use crate::limits::LISTEN_BACKLOG;
use crate::net::tls::server::ServerTls;
use crate::net::{DatagramListener, StreamListener, Transmit};
use crate::stats::ListenerStats;

use super::Choice;

/// One listener.
#[derive(Debug)]
pub struct Listener {
    /// What the operator calls it.
    pub name: Box<str>,
    /// Where it is.
    pub address: Address,
    /// As others see it: its name, its port, its clients here now.
    pub stats: ListenerStats,
    /// What is asked of its clients, and what they are served then.
    pub phases: Phases,
    /// What it has until it is known which service a client wants.
    pub settings: ListenerSettings,
    /// What it shows and remembers where TLS ends here.
    pub tls: Option<Arc<ServerTls>>,
    /// What it asks of clients before a byte of them is read.
    pub guard: ListenerGuard,
    /// Which service takes a client, or a request.
    pub choice: Choice<ServiceId>,
    /// The one that takes all of them, if there is nothing to choose from.
    pub only: Option<ServiceId>,
    /// Where they come in.
    pub socket: ListenerSocket,
}

/// What is known of a listener before its socket is.
#[derive(Debug)]
pub struct ListenerPlan {
    /// What the operator calls it.
    pub name: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// What it has.
    pub settings: ListenerSettings,
    /// What it shows where TLS ends here.
    pub tls: Option<Arc<ServerTls>>,
    /// Which service takes a client.
    pub choice: Choice<ServiceId>,
}

/// Where clients of a listener come in.
#[derive(Debug)]
pub enum ListenerSocket {
    /// By connections.
    Stream(Accepting),
    /// By datagrams.
    Datagram(Receiving),
    /// Not any more.
    Closed,
}

/// A listening socket for connections.
#[derive(Debug)]
pub struct Accepting {
    /// The socket.
    pub listener: StreamListener,
    /// Ends a pause.
    pub timer: TimerKey,
    /// It ran out of descriptors and waits for its timer.
    pub is_paused: bool,
    /// Whether an operator lets clients in.
    pub intake: Intake,
    /// It waits to be asked for clients.
    pub is_queued: bool,
    /// It leaves: so many may still come in, who waited when that began.
    pub last: Option<usize>,
}

/// Whether an operator lets clients in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Intake {
    /// It does.
    #[default]
    Open,
    /// No more, but for those who wait to be accepted.
    Closing,
    /// No: they are refused.
    Closed,
}

/// A socket for datagrams.
#[derive(Debug)]
pub struct Receiving {
    /// The socket.
    pub listener: DatagramListener,
    /// It waits to be asked for datagrams.
    pub is_queued: bool,
    /// Answers that are to leave from it.
    pub transmits: Vec<Transmit>,
}

/// What others see.
fn name_of(protocol: Protocol, address: &Address) -> String {
    format!("{protocol}://{address}")
}

impl Listener {
    /// A listener at this address, which is the real one.
    pub fn new(plan: ListenerPlan, address: Address, socket: ListenerSocket) -> Listener {
        let name = name_of(plan.protocol, &address);
        let port = address.port().map(|it| it.to_string()).unwrap_or_default();
        Listener {
            name: plan.name.into(),
            address,
            stats: ListenerStats { name, port, open: 0 },
            phases: Phases::of(plan.protocol),
            settings: plan.settings,
            tls: plan.tls,
            guard: ListenerGuard::default(),
            only: plan.choice.is_only(),
            choice: plan.choice,
            socket,
        }
    }

    /// It is called this, and this is spoken there, from now on.
    pub fn rename(&mut self, name: &str, protocol: Protocol) {
        self.name = name.into();
        self.stats.name = name_of(protocol, &self.address);
        self.phases = Phases::of(protocol);
    }

    /// Other services are behind it from now on.
    pub fn choose_by(&mut self, choice: Choice<ServiceId>) {
        self.only = choice.is_only();
        self.choice = choice;
    }

    /// Its socket, if that takes connections.
    pub fn accepting(&mut self) -> Option<&mut Accepting> {
        match &mut self.socket {
            ListenerSocket::Stream(accepting) => Some(accepting),
            ListenerSocket::Datagram(_) | ListenerSocket::Closed => None,
        }
    }

    /// Its socket, if that takes datagrams.
    pub fn receiving(&mut self) -> Option<&mut Receiving> {
        match &mut self.socket {
            ListenerSocket::Datagram(receiving) => Some(receiving),
            ListenerSocket::Stream(_) | ListenerSocket::Closed => None,
        }
    }

    /// Whether clients or datagrams may be there that can be taken.
    pub fn is_ready(&self) -> bool {
        match &self.socket {
            ListenerSocket::Stream(accepting) => {
                let is_open = accepting.intake != Intake::Closed;
                accepting.listener.is_ready() && !accepting.is_paused && is_open
            }
            ListenerSocket::Datagram(receiving) => receiving.listener.is_ready(),
            ListenerSocket::Closed => false,
        }
    }

    /// Whether an operator lets clients in, if it takes connections.
    pub fn intake(&self) -> Option<Intake> {
        match &self.socket {
            ListenerSocket::Stream(accepting) => Some(accepting.intake),
            ListenerSocket::Datagram(_) | ListenerSocket::Closed => None,
        }
    }

    /// It is to take nobody new from now on, but for those who wait already; not even those if its
    /// clients are closed, or wait for whoever takes the socket next.
    pub fn begin_to_leave(&mut self) {
        let is_shared = match &self.socket {
            ListenerSocket::Stream(accepting) => accepting.listener.is_shared(),
            ListenerSocket::Datagram(_) | ListenerSocket::Closed => false,
        };
        let nobody_waits =
            is_shared || self.closes_clients() || self.intake() == Some(Intake::Closed);
        let waiting = if nobody_waits { 0 } else { LISTEN_BACKLOG as usize };
        if let ListenerSocket::Stream(accepting) = &mut self.socket {
            accepting.last = Some(waiting);
        }
    }

    /// Whether its clients are closed when it is removed.
    pub fn closes_clients(&self) -> bool {
        self.settings.on_removed == OnListenerRemoved::Close
    }

    /// Whether it leaves and nobody waits at its socket any more, which can be closed. One that is
    /// paused may have somebody waiting.
    pub fn has_taken_the_last(&self) -> bool {
        let ListenerSocket::Stream(accepting) = &self.socket else { return false };
        accepting.last.is_some_and(|left| left == 0 || !accepting.listener.is_ready())
    }

    /// Nothing counts on it any more.
    pub fn is_free(&self) -> bool {
        self.stats.open == 0 && !matches!(self.socket, ListenerSocket::Stream(_))
    }
}
