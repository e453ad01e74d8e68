//! A backend broke off after it had taken a request: is it to blame, or the request?
//!
//! ```text
//!   A broke off ---> B answers ------------> A is to blame
//!        |     +---> B breaks off, too ----> the request is: 502, and it counts against nobody
//!        +---------> nobody else to ask ---> A, as far as one client's word goes
//! ```
//!
//! So a request that breaks whoever gets it meets two backends at most, and harms neither. It may
//! break a connection of the idle list first: that is no sign of anything, for those break by
//! themselves, but the backend has met it.

use std::net::IpAddr;

use crate::backends::{Came, Grade, ServerId};
use crate::context::Context;
use crate::net::Fault;

use super::super::super::client::Client;
use super::super::super::connect::{self, Took};
use super::super::super::verdict::Reason;
use super::Exchange;

/// What a request did to those that got it.
#[derive(Debug, Default)]
pub(super) struct Broke {
    /// The backend that took it and broke off.
    met: Option<ServerId>,
    /// The same, if that counts.
    suspect: Option<ServerId>,
}

/// Whether another backend may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GoesOn {
    Yes,
    /// The request must not be repeated.
    No,
    /// Enough were tried, for this reason.
    Failed(Reason),
}

/// Whether a backend broke off with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accused {
    Nobody,
    Somebody,
}

impl Exchange {
    /// Let go of a backend that gave no byte of an answer.
    #[cold]
    pub(super) fn let_go(
        &mut self,
        fault: Fault,
        took: Took,
        client: &mut Client,
        cx: &mut Context,
    ) -> GoesOn {
        let connection = client.link.key().and_then(|key| cx.connections.get(key));
        let backend = connection.map(|connection| connection.backend);
        let mut goes_on = GoesOn::Yes;
        if self.reused {
            if let Some(key) = client.link.take() {
                cx.retire(key);
            }
        } else if let Err(reason) = connect::give_up(client, fault, took, cx) {
            goes_on = GoesOn::Failed(reason);
        }
        let ours = matches!(fault, Fault::GivenUp | Fault::Exhausted);
        if took == Took::Some
            && !ours
            && let Some(backend) = backend
        {
            if self.broke.met.is_some_and(|other| other != backend) {
                self.broke.suspect = None;
                return GoesOn::No;
            }
            self.broke.met = Some(backend);
            self.broke.suspect = (!self.reused).then_some(backend);
        }
        if took == Took::Some && (self.again.is_empty() || goes_on != GoesOn::Yes) {
            self.accuse(client, cx);
            return GoesOn::No;
        }
        goes_on
    }

    /// There is nobody else to ask: as far as anybody can tell it was the backend.
    #[cold]
    pub(super) fn accuse(&mut self, client: &Client, cx: &mut Context) -> Accused {
        if let Some(suspect) = self.broke.suspect.take() {
            self.count_against(suspect, client.address.ip(), cx);
        }
        if self.broke.met.is_some() { Accused::Somebody } else { Accused::Nobody }
    }

    /// A backend answered: whoever broke off with the same request before is to blame.
    pub(super) fn settle(
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
