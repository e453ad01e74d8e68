//! What happens between a client and a backend.
//!
//! A [`Pair`] is a [`Client`], with what it has of a backend, and the talk that it is in. A talk
//! acts for its client and says with a [`Verdict`] how it goes on; it names its successor and never
//! calls it. This file alone knows all talks and carries out which follows which.
//!
//! ```text
//!   accept --> the listener's phases, in order --> the listener's service
//!                header     who is it?  (PROXY)      |
//!                guard      may it come in?          |
//!                handshake  TLS of ours              tcp   bytes both ways
//!                hello      a ClientHello's name     http  request by request; tcp after 101
//!                routing    the pool of that name     |
//!                     |                               |
//!                     +---------> parting <-----------+    our last word, then closed
//! ```
//!
//! Below the talks: [`connect`] finds a backend, [`report`] writes the lines of the access log,
//! [`duplex`] knows what the end of one direction means for the other, and [`pump`] moves the bytes
//! of one.
//! [`udp`] is apart: it has flows instead of pairs; and so is [`mirror`], which sends copies of
//! requests to another pool, and has no clients. Called by [`crate::event_loop`], which owns the
//! slab of pairs.

pub mod account;
pub mod ahead;
mod bandwidth;
pub mod client;
pub mod connect;
pub mod duplex;
pub mod guard;
pub mod handshake;
pub mod hello;
pub mod http;
pub mod mirror;
pub mod parting;
pub mod patience;
pub mod proxied;
pub mod proxy_header;
pub mod pump;
pub mod report;
pub mod routing;
#[cfg(test)]
mod simulation;
pub mod strike;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod udp;
pub mod verdict;
pub mod waiting;

pub use client::{Arrival, Client};
pub use verdict::{Loss, Reason, Successor, Verdict};

use std::time::{Duration, Instant};

use crate::config::{Phase, Service};
use crate::context::Context;
use crate::event::{Key, TimerKey};
use crate::guard::RuleId;
use crate::limits::FIRST_WORD;
use crate::net::tls::Tls;

use hello::Hello;
use http::Http;
use parting::Parting;
use proxy_header::Awaited;

/// A client and the talk that it is in.
#[derive(Debug)]
pub struct Pair {
    /// All that does not depend on the talk.
    pub client: Client,
    talk: Talk,
}

/// What is spoken with a client now, and how far that is.
#[derive(Debug)]
enum Talk {
    /// None yet: it was just accepted.
    New,
    /// The header of the PROXY protocol is read.
    ProxyHeader(Awaited),
    /// It shakes hands.
    Handshake,
    /// Its ClientHello is read.
    Hello(Hello),
    /// Bytes are relayed as they are.
    Tcp,
    /// Requests; nothing needs to be known of a client that rests between two.
    Http(Option<Box<Http>>),
    /// It reads our last word.
    Parting(Box<Parting>),
    /// This rule does not let it in, and it is held for a while.
    Held(RuleId),
}

/// How a client stands with us: what it would lose if it were closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientStanding {
    /// It has to shake hands, or to begin with a header or a ClientHello, and has not said a byte.
    Silent,
    /// It has begun to.
    Begun,
    /// It is between two requests.
    Resting,
    /// It took our last word, and is only given time to read it.
    Told,
    /// It is served.
    Busy,
}

impl Pair {
    /// A pair for a client that was just accepted, before its first turn.
    pub fn new(arrival: Arrival, key: Key, timer: TimerKey, cx: &Context) -> Pair {
        Pair { client: Client::new(arrival, key, timer, cx), talk: Talk::New }
    }

    /// Something happened at one of the sockets, or there was work left over, or it is new.
    pub fn act(&mut self, cx: &mut Context) -> Verdict {
        let client = &mut self.client;
        match &mut self.talk {
            Talk::New => Verdict::Become(Successor::NextPhase),
            Talk::ProxyHeader(awaited) => awaited.act(client, cx),
            Talk::Handshake => handshake::act(client, cx),
            Talk::Hello(hello) => hello.act(client, cx),
            Talk::Tcp => tcp::act(client, cx),
            Talk::Http(http) => http::act(http, client, cx),
            Talk::Parting(parting) => parting.act(client, cx),
            Talk::Held(_) => Verdict::Keep,
        }
    }

    /// The timer fired: perhaps too early, for deadlines move without it.
    pub fn on_timer(&mut self, cx: &mut Context) -> Verdict {
        let client = &mut self.client;
        match &mut self.talk {
            Talk::New => Verdict::Keep,
            Talk::ProxyHeader(awaited) => awaited.on_timer(client, cx),
            Talk::Handshake => handshake::on_timer(client, cx),
            Talk::Hello(hello) => hello.on_timer(client, cx),
            Talk::Tcp => tcp::on_timer(client, cx),
            Talk::Http(http) => http::on_timer(http, client, cx),
            Talk::Parting(parting) => parting.on_timer(client, cx),
            Talk::Held(rule) => guard::on_timer_of_held(*rule, client, cx),
        }
    }

    /// It waited until a backend had room, for so long, and now one has.
    pub fn on_called(&mut self, waited: Duration, cx: &mut Context) -> Verdict {
        let client = &mut self.client;
        waiting::called(waited, client);
        match &mut self.talk {
            Talk::Tcp => tcp::called(client, cx),
            Talk::Http(http) => http::act(http, client, cx),
            // They do not wait.
            Talk::New
            | Talk::ProxyHeader(_)
            | Talk::Held(_)
            | Talk::Handshake
            | Talk::Hello(_)
            | Talk::Parting(_) => Verdict::Keep,
        }
    }

    /// Its backend is lost, and its connections are to be closed.
    pub fn on_backend_lost(&mut self, loss: Loss, cx: &mut Context) -> Verdict {
        let client = &mut self.client;
        match &mut self.talk {
            Talk::Tcp => tcp::on_backend_lost(loss, client, cx),
            Talk::Http(http) => http::on_backend_lost(loss, http, client, cx),
            // They have no backend.
            Talk::New
            | Talk::ProxyHeader(_)
            | Talk::Handshake
            | Talk::Hello(_)
            | Talk::Parting(_)
            | Talk::Held(_) => Verdict::Keep,
        }
    }

    /// What closing it now would cost the client.
    pub fn standing(&self) -> ClientStanding {
        let client = &self.client;
        match &self.talk {
            Talk::New | Talk::Tcp => ClientStanding::Busy,
            Talk::Handshake if client.socket.tls().is_some_and(Tls::has_heard) => {
                ClientStanding::Begun
            }
            Talk::Hello(hello) if hello.is_begun() => ClientStanding::Begun,
            Talk::ProxyHeader(awaited) if awaited.is_begun() => ClientStanding::Begun,
            Talk::Handshake | Talk::Hello(_) | Talk::ProxyHeader(_) => ClientStanding::Silent,
            Talk::Http(http) if http::is_resting(http.as_deref(), client) => {
                ClientStanding::Resting
            }
            Talk::Parting(parting) if parting.is_told() => ClientStanding::Told,
            Talk::Held(_) => ClientStanding::Told,
            Talk::Http(_) | Talk::Parting(_) => ClientStanding::Busy,
        }
    }

    /// Whether it may be closed to make room.
    pub fn may_give_way(&self) -> bool {
        let client = &self.client;
        client.closing.is_none() && !client.queued && self.standing() != ClientStanding::Busy
    }

    /// Whether it may be closed for one that waits to be accepted. Who has just come is about to
    /// speak: closed now, it would lose its first request for one that is no better.
    pub fn may_make_room(&self, cx: &Context) -> bool {
        let client = &self.client;
        let opened = client.opened_at(cx);
        let is_settled = match self.standing() {
            ClientStanding::Told => true,
            ClientStanding::Resting => client.active_at(cx) > opened,
            ClientStanding::Silent | ClientStanding::Begun | ClientStanding::Busy => false,
        };
        self.may_give_way() && (is_settled || cx.now >= opened + FIRST_WORD)
    }

    /// Whether a stop need not wait for it. A client of HTTP that has not begun loses nothing; of
    /// one that would be relayed as it is nobody knows.
    pub fn may_end_at_stop(&self, cx: &Context) -> bool {
        if matches!(self.talk, Talk::Held(_)) {
            return true;
        }
        match self.standing() {
            ClientStanding::Resting => true,
            ClientStanding::Silent => {
                cx.listeners[self.client.listener].phases.service == Service::Http
            }
            ClientStanding::Begun | ClientStanding::Told | ClientStanding::Busy => false,
        }
    }

    /// What it is doing, for the log.
    pub fn doing(&self) -> &'static str {
        match &self.talk {
            Talk::New => "accepted",
            Talk::Held(_) => "held in the tarpit",
            Talk::ProxyHeader(_) => "reading the PROXY header",
            Talk::Handshake => "shaking hands",
            Talk::Hello(_) => "reading the ClientHello",
            Talk::Tcp => self.client.doing(),
            Talk::Http(_) if self.client.link.is_connecting() => "connecting",
            Talk::Http(_) if self.client.link.is_waiting() => "waiting",
            Talk::Http(_) | Talk::Parting(_) => self.client.relaying(),
        }
    }

    /// When the request was sent on that is with a backend now, if one is.
    pub fn asked_at(&self) -> Option<Instant> {
        match &self.talk {
            Talk::Http(Some(http)) => http.asked_at(),
            _ => None,
        }
    }

    /// It is closed: its line in the access log, if something was under way, and what it shares
    /// with others is theirs from now on.
    pub fn on_close(&mut self, reason: Reason, cx: &mut Context) {
        let is_ours =
            matches!(reason, Reason::GaveWay | Reason::Stopped | Reason::DrainTimeout);
        if matches!(self.talk, Talk::Handshake) && is_ours {
            cx.stats.handshakes.failed += 1;
            report::handshake_cut(reason, &self.client, cx);
        }
        if matches!(self.talk, Talk::Held(_)) {
            cx.guard.release_held();
        }
        guard::gone(&mut self.client, cx);
        let mut partial_head = None;
        if let Talk::Http(Some(http)) = &mut self.talk {
            partial_head = http.partial_head();
            http.release(cx);
        }
        self.count_end(reason, cx);
        report::close(&mut self.client, partial_head, reason, cx);
    }

    /// Its service and its pool have one connection more behind them, or an answer that broke off.
    fn count_end(&self, reason: Reason, cx: &mut Context) {
        let client = &self.client;
        let is_tcp = match &self.talk {
            Talk::Tcp => true,
            // The turn in which it broke off took what was known of the exchange.
            Talk::Http(_) if client.link.key().is_some() => false,
            _ => return,
        };
        cx.each_traffic(client.home, |it| {
            it.counts.connections += u64::from(is_tcp);
            it.broke_off(reason.blame());
        });
    }

    /// Whether its next turn comes behind the others': whoever waits for a place among the
    /// handshakes has not used this one.
    pub fn has_used_its_turn(&self) -> bool {
        !matches!(self.talk, Talk::Handshake) && !self.client.link.is_connecting()
    }

    /// Its talk is over, and this one begins.
    pub fn follow(&mut self, successor: Successor, cx: &mut Context) -> Verdict {
        let client = &mut self.client;
        match successor {
            Successor::NextPhase => self.next_phase(cx),
            Successor::PlainHttp => {
                let mut http = None;
                let verdict = http::refuse_plain(&mut http, client, cx);
                self.talk = Talk::Http(http);
                verdict
            }
            Successor::Held(rule) => {
                self.talk = Talk::Held(rule);
                Verdict::Keep
            }
            Successor::Tunnel => {
                self.talk = Talk::Tcp;
                tcp::act(client, cx)
            }
            Successor::Parting(reason) => {
                // One on which the client was logged in: it will ask for nothing any more.
                if let Some(key) = client.link.take() {
                    cx.retire(key);
                }
                let mut parting = Box::new(Parting::new(reason));
                let verdict = parting.act(client, cx);
                self.talk = Talk::Parting(parting);
                verdict
            }
        }
    }

    fn next_phase(&mut self, cx: &mut Context) -> Verdict {
        let client = &mut self.client;
        let of = &cx.listeners[client.listener].phases;
        let phase = of.list.get(usize::from(client.phases_done)).copied();
        let service = of.service;
        client.phases_done += 1;
        let Some(phase) = phase else { return self.serve(service, cx) };
        match phase {
            Phase::ProxyHeader if !proxy_header::is_required(client, cx) => {
                Verdict::Become(Successor::NextPhase)
            }
            Phase::ProxyHeader => {
                let mut awaited = Awaited::default();
                let verdict = awaited.act(client, cx);
                self.talk = Talk::ProxyHeader(awaited);
                verdict
            }
            Phase::Guard => guard::admit(client, cx),
            Phase::Tls => {
                if let Some(verdict) = guard::handshake(client, cx) {
                    return verdict;
                }
                self.talk = Talk::Handshake;
                handshake::begin(client, cx)
            }
            Phase::Hello => {
                report::begin(None, client, cx);
                let mut hello = Hello::default();
                let verdict = hello.act(client, cx);
                self.talk = Talk::Hello(hello);
                verdict
            }
            Phase::Route => routing::route(client, cx),
        }
    }

    fn serve(&mut self, service: Service, cx: &mut Context) -> Verdict {
        let client = &mut self.client;
        match service {
            Service::Bytes => {
                self.talk = Talk::Tcp;
                report::begin(Some(client.active_at(cx)), client, cx);
                match guard::serve(client, cx) {
                    Ok(()) => tcp::open(client, cx),
                    Err(reason) => Verdict::Close(reason),
                }
            }
            Service::Http => {
                let mut http = None;
                let verdict = http::act(&mut http, client, cx);
                self.talk = Talk::Http(http);
                verdict
            }
        }
    }
}
