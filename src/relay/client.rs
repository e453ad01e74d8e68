//! A client, and what it has of a backend: the client's socket, a borrowed backend connection, and
//! a flow of bytes in each direction.
//!
//! ```text
//!   client <==[ socket: Stream ]==> duplex <==[ link: a connection's Stream ]==> backend
//! ```
//!
//! It does nothing by itself, and does not know which talk it is in: `relay::connect` finds it a
//! backend, `relay::duplex` moves the bytes and knows when they have ended, the talks decide, and
//! `event_loop` closes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::backends::{Course, ServerId, Ticket};
use crate::context::{Context, Home, Trace};
use crate::event::{Key, ListenerId, TimerKey};
use crate::guard::Admission;
use crate::hello;
use crate::http::added::Proto;
use crate::http::{Fields, RequestFacts, RequestHead};
use crate::net::tls::Tls;
use crate::net::{Fault, Peer, Stream};

use super::account::Account;
use super::duplex::Duplex;
use super::proxied::Proxied;
use super::pump::{Direction, DirectionState};
use super::verdict::Reason;

/// A client's connection through us: all that does not depend on what is spoken.
#[derive(Debug)]
pub struct Client {
    /// Its place in the slab of pairs.
    pub key: Key,
    /// What the log calls it; counted up from 1, and after 2^32 pairs anew.
    pub number: u32,
    /// At which listener it came in; counted there.
    pub listener: ListenerId,
    /// How many of the listener's phases it has behind it.
    pub phases_done: u8,
    /// Its service and its pool; counted at both.
    pub home: Home,
    /// Its socket.
    pub socket: Stream,
    /// Its address and port, which logs, balancers and forwarding fields go by.
    pub address: Peer,
    /// The backend connection in use.
    pub link: Link,
    /// What the access log will say of what is being done.
    pub account: Option<Box<Account>>,
    /// What its exchange is found again by, if by anything.
    pub trace: Option<Box<Trace>>,
    /// The bytes both ways.
    pub duplex: Duplex,
    /// What is known of the search for a backend; nothing, if there is nothing to know.
    search: Option<Box<Search>>,
    /// Its one timer, armed for its deadline or earlier.
    pub timer: TimerKey,
    /// When it was accepted, in nanoseconds since [`Context::started`]: half an `Instant`.
    opened_after: u64,
    /// When a byte last moved, in the same way.
    active_after: u64,
    /// Whether the guard let it in, and is to hear that it is gone.
    pub admission: Admission,
    /// It waits in the run queue.
    pub queued: bool,
    /// Its last turn was an answer of our own, or all that a turn may be, or it pipelines: it acts
    /// after the others.
    pub goes_behind: bool,
    /// It is to be reaped at the end of this turn, and nothing is to be done for it any more.
    pub closing: Option<Reason>,
}

/// The way from a client to its backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Link {
    /// There is none: none is needed now, or none was found yet.
    #[default]
    None,
    /// There is none with room: it waits in the queue of its pool, at this place.
    Waiting(Ticket),
    /// Its turn has come: it goes before all who wait.
    Called,
    /// The backend may still refuse the connection, until its [`super::connect::deadline`].
    Connecting(Key),
    /// The backend took the connection.
    Connected(Key),
}

/// A search for a backend that took more than one look; and what few clients have.
#[derive(Debug, Default)]
pub struct Search {
    /// What the client is placed by instead of its address.
    pub hash_key: Option<u64>,
    /// Backends that did not take the connection.
    pub tried: Vec<ServerId>,
    /// Why the last of them did not.
    pub fault: Option<Fault>,
    /// A backend of which an address failed, and another one is to be tried.
    pub turned: Option<(ServerId, Course)>,
    /// The server name that the client asked for, in the hello that was read last.
    pub server_name: Option<Box<str>>,
    /// What the proxy in front said of the client; it outlives the search.
    pub proxied: Option<Box<Proxied>>,
}

/// Which ends of a pair are closed with RST instead of FIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TornEnds {
    /// The client's.
    pub client: bool,
    /// The backend's.
    pub backend: bool,
}

/// A client as it is accepted.
#[derive(Debug)]
pub struct Arrival {
    /// What the log will call it.
    pub number: u32,
    /// At which listener.
    pub listener: ListenerId,
    /// Where the listener sends its clients.
    pub home: Home,
    /// Its socket.
    pub socket: Stream,
    /// As accept gave it: that of a proxy, where one is in front.
    pub address: SocketAddr,
}

/// This turn, in nanoseconds since [`Context::started`].
fn since_start(cx: &Context) -> u64 {
    cx.now.saturating_duration_since(cx.started).as_nanos() as u64
}

impl Link {
    /// The connection, whether or not the backend took it.
    pub fn key(self) -> Option<Key> {
        match self {
            Link::None | Link::Waiting(_) | Link::Called => None,
            Link::Connecting(key) | Link::Connected(key) => Some(key),
        }
    }

    /// The same, and there is none any more.
    pub fn take(&mut self) -> Option<Key> {
        std::mem::take(self).key()
    }

    /// Whether the backend has still to take the connection.
    pub fn is_connecting(self) -> bool {
        matches!(self, Link::Connecting(_))
    }

    /// Whether it waits until a backend has room.
    pub fn is_waiting(self) -> bool {
        matches!(self, Link::Waiting(_))
    }

    /// Whether the backend took the connection.
    pub fn is_connected(self) -> bool {
        matches!(self, Link::Connected(_))
    }
}

impl Client {
    /// What a request of it says, whose head and fields were parsed from these bytes.
    pub fn facts<'a>(
        &'a self,
        head: &'a RequestHead,
        fields: &'a Fields,
        bytes: &'a [u8],
        listener: &'a str,
    ) -> RequestFacts<'a> {
        let tls = self.socket.tls();
        RequestFacts {
            head,
            path: head.plain_path(bytes),
            fields,
            bytes,
            client: self.address.ip(),
            listener,
            sni: tls.and_then(Tls::server_name),
            subject: tls.and_then(Tls::subject),
            is_tls: tls.is_some(),
        }
    }

    /// A client that was just accepted.
    pub fn new(arrival: Arrival, key: Key, timer: TimerKey, cx: &Context) -> Client {
        Client {
            key,
            number: arrival.number,
            listener: arrival.listener,
            phases_done: 0,
            home: arrival.home,
            socket: arrival.socket,
            address: arrival.address.into(),
            link: Link::None,
            account: None,
            trace: None,
            duplex: Duplex::default(),
            search: None,
            timer,
            opened_after: since_start(cx),
            active_after: since_start(cx),
            admission: Admission::NONE,
            queued: false,
            goes_behind: false,
            closing: None,
        }
    }

    /// The protocol between it and us, or the proxy in front that tells it.
    #[inline]
    pub fn proto(&self) -> Proto {
        let is_https = self.socket.tls().is_some() || self.is_https_in_front();
        if is_https { Proto::Https } else { Proto::Http }
    }

    /// When it was accepted.
    pub fn opened_at(&self, cx: &Context) -> Instant {
        cx.started + Duration::from_nanos(self.opened_after)
    }

    /// When a byte last moved.
    pub fn active_at(&self, cx: &Context) -> Instant {
        cx.started + Duration::from_nanos(self.active_after)
    }

    /// When it will have been kept for as long as it may be; `None` where there is no end to it.
    pub fn ends_at(&self, cx: &Context) -> Option<Instant> {
        let most = cx.service(self.home.service).slowness.max_connection_time?;
        Some(self.opened_at(cx) + most)
    }

    /// Whether it has been.
    pub fn is_old(&self, cx: &Context) -> bool {
        self.ends_at(cx).is_some_and(|end| end <= cx.now)
    }

    /// Whether it is to end with the answer that is under way: it is old, or we or its listener
    /// leave.
    pub fn is_let_go(&self, cx: &Context) -> bool {
        cx.lets_go(self.listener) || self.is_old(cx)
    }

    /// A byte moved now.
    pub fn note_active(&mut self, cx: &Context) {
        self.active_after = since_start(cx);
    }

    /// A deadline that comes nearer needs the timer; one that moves away is noticed when it fires.
    pub fn arm_by(&mut self, deadline: Instant, cx: &mut Context) {
        cx.timers.arm_by(self.timer, deadline);
    }

    /// Arm the timer for the recheck of a direction that waits for a large piece, if one does.
    pub fn arm_recheck(&mut self, cx: &mut Context) {
        if let Some(time) = self.duplex.recheck_in() {
            self.arm_by(cx.now + time, cx);
        }
    }

    /// The recheck: where nothing came since the last one, SO_RCVLOWAT is set back to one byte.
    pub fn recheck(&mut self, cx: &mut Context) {
        if let Some(connection) = self.link.key().and_then(|key| cx.connections.get_mut(key)) {
            self.duplex.recheck(&mut self.socket, &mut connection.stream);
        }
    }

    /// What the client is placed by instead of its address, if by anything.
    pub fn hash_key(&self) -> Option<u64> {
        self.search.as_ref()?.hash_key
    }

    /// Backends that did not take the connection.
    pub fn tried(&self) -> &[ServerId] {
        self.search.as_deref().map_or(&[], |search| &search.tried)
    }

    /// A backend of which an address failed, and another one is to be tried.
    pub fn turned(&self) -> Option<(ServerId, Course)> {
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

    /// The server name that the client asked for in the clear, while it is kept.
    pub fn server_name(&self) -> Option<&str> {
        self.search.as_ref()?.server_name.as_deref()
    }

    /// The server name that the client asked for; it is not kept.
    pub fn take_server_name(&mut self) -> Option<Box<str>> {
        let name = self.search.as_mut()?.server_name.take();
        self.forget_search();
        name
    }

    /// What the proxy in front said of it, if one did.
    pub fn proxied(&self) -> Option<&Proxied> {
        self.search.as_ref()?.proxied.as_deref()
    }

    /// The server name that it asked the proxy in front for, if that is one.
    pub fn name_in_front(&self) -> Option<Box<str>> {
        let name = self.proxied()?.heard.authority.as_ref()?;
        hello::normalise(name.as_bytes()).ok().flatten()
    }

    /// Whether it spoke TLS with the proxy in front.
    fn is_https_in_front(&self) -> bool {
        let ssl = self.proxied().and_then(|it| it.heard.ssl.as_ref());
        ssl.is_some_and(|ssl| ssl.is_ssl)
    }

    /// The next search begins anew.
    pub fn forget_search(&mut self) {
        let proxied = self.search.as_mut().and_then(|search| search.proxied.take());
        match proxied {
            None => self.search = None,
            kept => *self.search_mut() = Search { proxied: kept, ..Search::default() },
        }
    }

    /// Who must not take what it got for complete when the pair is closed for this reason.
    pub fn torn_ends(&self, reason: Reason) -> TornEnds {
        let all = self.duplex.is_torn() || reason.is_cut();
        let late = reason == Reason::HalfClosedIdle;
        let open = |direction: &Direction| direction.state() != DirectionState::Done;
        TornEnds {
            client: all || late && open(&self.duplex.response),
            backend: all || late && open(&self.duplex.request),
        }
    }

    /// How far it is with its backend, for the log.
    pub fn doing(&self) -> &'static str {
        if self.link.is_waiting() {
            return "waiting";
        }
        if self.link.is_connected() { self.relaying() } else { "connecting" }
    }

    /// Whether both directions are open, for the log.
    pub fn relaying(&self) -> &'static str {
        match (self.duplex.request.state(), self.duplex.response.state()) {
            (DirectionState::Open, DirectionState::Open) => "relaying",
            _ => "draining",
        }
    }
}
