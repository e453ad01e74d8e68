//! A backend closed the connection after it had taken a request: does the failure count against
//! the backend, or was it the request?
//!
//! ```text
//!   A broke off ---> B answers ------------> counts against A
//!        |     +---> B breaks off, too ----> 502; it was the request, and counts against neither
//!        +---------> no other backend -----> counts against A, as one failure of one client
//! ```
//!
//! So a request that crashes every backend is sent to two of them at most, and ejects neither. If
//! the connection came from the idle list, its end proves nothing, because idle connections are
//! closed at any time; the backend is remembered, and not suspected.

use std::net::IpAddr;

use crate::backends::{Came, Grade, ServerId};
use crate::context::Context;
use crate::net::Fault;

use super::super::super::client::Client;
use super::super::super::connect::{self, Took};
use super::super::super::verdict::Reason;
use super::Exchange;

/// Which backends broke off with this request.
#[derive(Debug, Default)]
pub(super) struct Broke {
    /// The first backend that took the request and broke off.
    first: Option<ServerId>,
    /// The same, while its failure may still count against it. Never one whose connection came
    /// from the idle list.
    suspect: Option<ServerId>,
}

/// Whether the request may be sent to another backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    Allowed,
    /// A backend may have acted on it.
    Forbidden,
    /// `--retries` are used up; the last attempt failed for this reason.
    Failed(Reason),
}

/// Whether any backend took the request and broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accused {
    Nobody,
    Somebody,
}

impl Exchange {
    /// Give up a backend that sent no byte of an answer.
    #[cold]
    pub(super) fn release_backend(
        &mut self,
        fault: Fault,
        took: Took,
        client: &mut Client,
        cx: &mut Context,
    ) -> Retry {
        let connection = client.link.key().and_then(|key| cx.connections.get(key));
        let backend = connection.map(|connection| connection.backend);
        let mut retry = Retry::Allowed;
        if self.reused {
            if let Some(key) = client.link.take() {
                cx.retire(key);
            }
        } else if let Err(reason) = connect::give_up(client, fault, took, cx) {
            retry = Retry::Failed(reason);
        }
        let ours = matches!(fault, Fault::GivenUp | Fault::Exhausted | Fault::NoPort);
        if took == Took::Some
            && !ours
            && let Some(backend) = backend
        {
            if self.broke.first.is_some_and(|other| other != backend) {
                self.broke.suspect = None;
                return Retry::Forbidden;
            }
            self.broke.first = Some(backend);
            self.broke.suspect = (!self.reused).then_some(backend);
        }
        if took == Took::Some && (self.again.is_empty() || retry != Retry::Allowed) {
            self.accuse(client, cx);
            return Retry::Forbidden;
        }
        retry
    }

    /// No other backend can be tried, so nothing shows that it was the request: the failure counts
    /// against the suspect.
    #[cold]
    pub(super) fn accuse(&mut self, client: &Client, cx: &mut Context) -> Accused {
        if let Some(suspect) = self.broke.suspect.take() {
            self.count_against(suspect, client.address.ip(), cx);
        }
        if self.broke.first.is_some() { Accused::Somebody } else { Accused::Nobody }
    }

    /// Another backend gave a good answer to the same request: the failure counts against the
    /// suspect.
    pub(super) fn judge_suspect(
        &mut self,
        backend: ServerId,
        status: u16,
        peer: IpAddr,
        cx: &mut Context,
    ) {
        if let Some(suspect) = self.broke.suspect.take()
            && suspect != backend
            && Grade::of(status) == Grade::Good
        {
            self.count_against(suspect, peer, cx);
        }
    }

    fn count_against(&self, backend: ServerId, peer: IpAddr, cx: &mut Context) {
        let took = cx.now.saturating_duration_since(self.asked_at);
        cx.backends.misbehaved(backend, Came::Nothing, peer, took, cx.now);
    }
}
