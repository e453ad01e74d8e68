//! How an exchange ends: complete, sent to another backend, or answered by us.
//!
//! ```text
//!   the answer is complete ----------> the connection goes back to the idle list, or is closed
//!   no byte of an answer ------------> recover: sent again where that is safe, else 502
//!   no backend, or too late ---------> our own answer: 502, 503, 504, 408
//!   101 -----------------------------> a tunnel
//! ```
//!
//! All but the first are rare and marked `#[cold]`, so that they cost the common path no registers.

use std::io::IoSlice;

use log::{Level, debug, log_enabled};

use crate::access_log::Cause;
use crate::backends::{Came, NoBackend, ServerId};
use crate::context::Context;
use crate::event::Key;
use crate::http::answer::How;
use crate::limits::QUEUE_RETRY_AFTER_SECONDS;
use crate::net::{Fault, Socket};
use crate::relay::account::OwnAnswer;
use crate::relay::client::{Client, Link};
use crate::relay::connect::{self, Took, Wants};
use crate::relay::report;
use crate::relay::verdict::{Loss, Reason, Successor};
use crate::stats::{Failure, Moved};

use super::super::response::Answer;
use super::super::{Http, HttpState, HttpStep, PARTING, reply};
use super::Exchange;
use super::broken::{Accused, Retry};

/// Log which backends were tried before we answer ourselves.
fn note_tried(client: &Client, cx: &Context) {
    if !log_enabled!(Level::Debug) {
        return;
    }
    let last = client.link.key().and_then(|key| cx.connections.get(key)).map(|it| it.backend);
    let asked = client.tried().iter().copied().chain(last);
    let names: Vec<&str> = asked.map(|id| cx.backends.name(id)).collect();
    debug!(
        "pair {}: tried {}",
        client.number,
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    );
}

/// What is answered where nobody can be asked.
fn refused(refusal: NoBackend) -> OwnAnswer {
    let own = OwnAnswer::new(503, refusal.cause());
    match refusal {
        NoBackend::AllDown | NoBackend::NoRoom => own,
        NoBackend::QueueFull | NoBackend::QueueTimeout => {
            OwnAnswer { retry_after: Some(QUEUE_RETRY_AFTER_SECONDS), ..own }
        }
    }
}

impl Exchange {
    /// The deadline of what the exchange waits for is over.
    #[cold]
    pub(in crate::relay::http) fn too_late(
        self: Box<Self>,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        if client.link.is_connecting() && !connect::is_too_late(client, cx) {
            return self.proceed(http, client, cx);
        }
        if client.link.is_connecting() {
            return self.recover(Fault::TimedOut, http, client, cx);
        }
        if client.duplex.response.held() > 0 {
            // The client does not read: no failure of the backend.
            return HttpStep::Close(Reason::ClientStalled);
        }
        if self.is_asked {
            let connection = client.link.key().and_then(|key| cx.connections.get(key));
            if let Some(backend) = connection.map(|connection| connection.backend) {
                self.record_failure(backend, Failure::Timeout, client, cx);
            }
        }
        if self.answer.has_begun() {
            return HttpStep::Close(Reason::AnswerStalled);
        }
        if self.is_asked {
            self.reply(OwnAnswer::new(504, Cause::AnswerTimeout), http, client, cx)
        } else {
            self.reply(OwnAnswer::new(408, Cause::BodyStalled), http, client, cx)
        }
    }

    /// The backend is lost, and its connections are to be closed.
    #[cold]
    pub(in crate::relay::http) fn on_backend_lost(
        self: Box<Self>,
        loss: Loss,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        if self.answer.has_begun() {
            return HttpStep::Close(Reason::BackendLost(loss));
        }
        self.recover(Fault::GivenUp, http, client, cx)
    }

    /// The answer is complete: the connection goes back, and the client may send another request.
    pub(super) fn finish(
        &mut self,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        report::finish(client, cx);
        cx.http.give_back(std::mem::take(&mut self.again));
        let keeps_backend =
            self.answer.keeps_backend() && self.is_asked && !self.backend_stopped_reading;
        if let Some(key) = client.link.take() {
            let is_bound = self.note_whole(key, cx);
            if !keeps_backend || cx.draining {
                cx.retire(key);
            } else if is_bound && self.answer.keeps_client() {
                // The client is logged in on it: no other client may ever use it.
                client.link = Link::Connected(key);
            } else {
                cx.park(key);
            }
        }
        self.leave_backend(client, cx);
        let more_to_hear = !self.is_asked || !http.input.is_empty();
        let goes_on = self.answer.keeps_client() && self.is_asked && more_to_hear;
        cx.stats.connections_too_old += u64::from(!goes_on && self.ends_by_age(client, cx));
        match (self.answer.keeps_client() && self.is_asked, more_to_hear) {
            // We are stopping, and the head that kept the connection open went out before that.
            (true, false) if cx.draining || client.is_old(cx) => {
                HttpStep::Close(Reason::Finished)
            }
            (true, _) => HttpStep::Next,
            (false, false) => HttpStep::Close(Reason::Finished),
            (false, true) => PARTING,
        }
    }

    /// Whether the connection ends because it is old, and would not have ended anyhow.
    fn ends_by_age(&self, client: &Client, cx: &Context) -> bool {
        self.keep_alive && client.is_old(cx) && !cx.lets_go(client.listener)
    }

    /// A whole answer counts for its backend, unless it is a 5xx. Returns whether the connection
    /// belongs to this client alone.
    fn note_whole(&self, connection: Key, cx: &mut Context) -> bool {
        let Some(connection) = cx.connections.get_mut(connection) else { return false };
        connection.note_keep_alive(self.answer.kept_seconds());
        if self.answer.head().is_some_and(|head| head.status < 500) {
            cx.backends.behaved(connection.backend);
        }
        connection.is_bound()
    }

    /// The answer will not be complete, which counts against the backend: once, so not after a head
    /// with 5xx, which was counted already.
    #[cold]
    pub(super) fn record_failure(
        &self,
        backend: ServerId,
        failure: Failure,
        client: &Client,
        cx: &mut Context,
    ) {
        cx.backends.unanswered(backend, failure);
        let came = match self.answer.head() {
            Some(head) if head.status >= 500 => return,
            Some(_) => Came::Head,
            None => Came::Nothing,
        };
        let took = cx.now.saturating_duration_since(self.asked_at);
        cx.backends.misbehaved(backend, came, client.address.ip(), took, cx.now);
    }

    /// No byte of an answer came. Send the request again where that is safe.
    #[cold]
    pub(super) fn recover(
        mut self: Box<Self>,
        fault: Fault,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        if self.bound_to.is_some() && self.logs_in {
            // On another connection the second half of a login would count as a wrong password.
            self.keep_alive = false;
            let why = "the backend broke off in a login";
            let own = OwnAnswer::saying(502, Cause::NoAnswer, why);
            return self.reply(own, http, client, cx);
        }
        let connection = client.link.key().and_then(|key| cx.connections.get(key));
        let owes = connection.is_some_and(|connection| connection.stream.owes());
        let moved = client.duplex.request.moved() > self.moved_before;
        let took = if moved || owes || self.backend_stopped_reading {
            Took::Some
        } else {
            Took::Nothing
        };
        self.was_taken |= client.link.is_connected();
        let retry = self.release_backend(fault, took, client, cx);
        if retry == Retry::Forbidden {
            return self.reply(OwnAnswer::new(502, Cause::NoAnswer), http, client, cx);
        }
        if let Retry::Failed(reason) = retry {
            return self.fail(reason, http, client, cx);
        }
        // Part of a head from one backend must not be continued by another.
        self.answer = Answer::default();
        if let Err(reason) = self.find_backend(Wants::New, client, cx) {
            return match self.accuse(client, cx) {
                Accused::Somebody if matches!(reason, Reason::OverBudget(_)) => {
                    self.reply(OwnAnswer::NO_ANSWER_OVER_BUDGET, http, client, cx)
                }
                Accused::Somebody => {
                    self.reply(OwnAnswer::new(502, Cause::NoAnswer), http, client, cx)
                }
                Accused::Nobody => self.fail(reason, http, client, cx),
            };
        }
        if let Err(fault) = self.send_again(took, client, cx) {
            return self.recover(fault, http, client, cx);
        }
        http.state = HttpState::Exchange(self);
        HttpStep::Next
    }

    fn send_again(
        &mut self,
        took: Took,
        client: &mut Client,
        cx: &mut Context,
    ) -> Result<(), Fault> {
        let (connection, mut buffers) = cx.connection_and_buffers(client.link.key());
        let Some(connection) = connection else { return Err(Fault::Reset) };
        if self.logs_in {
            connection.bind();
        }
        let direction = &mut client.duplex.request;
        let backend = &mut connection.stream;
        if took == Took::Nothing {
            direction.flush_to(backend, &mut buffers)?;
        } else {
            direction.end(&mut buffers);
            direction.begin(0);
            self.is_asked = false;
            self.backend_stopped_reading = false;
            direction.offer(&[IoSlice::new(&self.again)], backend, buffers.pool)?;
        }
        let id = connection.backend;
        let moved = direction.moved() - self.moved_before;
        cx.moved(client.home, id, Moved::to_backend(moved));
        connect::see(self.moved_before, client, cx);
        Ok(())
    }

    /// No connection to any backend.
    #[cold]
    pub(in crate::relay::http) fn fail(
        &self,
        reason: Reason,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        let own = match reason {
            Reason::ConnectFailed(_) if self.was_taken => {
                let why = "the backends that were asked broke off";
                OwnAnswer::saying(502, Cause::NoAnswer, why)
            }
            Reason::ConnectFailed(Fault::TimedOut) => {
                OwnAnswer::new(504, Cause::ConnectTimeout)
            }
            Reason::ConnectFailed(_) => OwnAnswer::new(502, Cause::ConnectFailed),
            Reason::OverBudget(_) if self.was_taken => OwnAnswer::NO_ANSWER_OVER_BUDGET,
            Reason::OverBudget(Fault::TimedOut) => {
                let why = "no backend took the connection; too many retries to ask another one";
                OwnAnswer::saying(504, Cause::ConnectTimeout, why)
            }
            Reason::OverBudget(_) => {
                let why = "no backend could be reached; too many retries to ask another one";
                OwnAnswer::saying(502, Cause::ConnectFailed, why)
            }
            Reason::Refused(refusal) => refused(refusal),
            Reason::Exhausted => OwnAnswer::new(503, Cause::OutOfResources),
            reason => return HttpStep::Close(reason),
        };
        self.reply(own, http, client, cx)
    }

    /// Answer the client ourselves. No part of a final answer was sent before.
    #[cold]
    pub(super) fn reply(
        &self,
        own: OwnAnswer,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        note_tried(client, cx);
        if let Some(key) = client.link.take() {
            if let Some(connection) = cx.connections.get_mut(key).filter(|_| !self.is_asked) {
                // After a FIN the backend could take half of a request for all of it.
                connection.stream.reset_on_close();
            }
            cx.retire(key);
        }
        self.leave_backend(client, cx);
        // Where the body was not read to its end, no next request can be found behind it.
        let whole = self.is_asked || self.request.is_read();
        let how = How {
            version: self.version,
            keep_alive: self.keep_alive && whole && !client.is_let_go(cx),
            head_request: self.asked.head_request,
        };
        reply::answer(own, how, http, client, cx)
    }

    /// Drop what is still to be sent to the backend.
    fn leave_backend(&self, client: &mut Client, cx: &mut Context) {
        let (_, mut buffers) = cx.connection_and_buffers(None);
        client.duplex.request.end(&mut buffers);
        client.forget_search();
    }

    /// 101: from now on bytes are relayed as they are.
    #[cold]
    pub(super) fn switch(
        &self,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        let (connection, mut buffers) = cx.connection_and_buffers(client.link.key());
        let Some(connection) = connection else {
            return HttpStep::Close(Reason::BackendBroke(Fault::Reset));
        };
        client.duplex.request.begin(u64::MAX);
        client.duplex.response.begin(u64::MAX);
        let input = IoSlice::new(&http.input);
        let direction = &mut client.duplex.request;
        let backend = &mut connection.stream;
        if let Err(fault) = direction
            .flush_to(backend, &mut buffers)
            .and_then(|()| direction.offer(&[input], backend, buffers.pool))
        {
            return HttpStep::Close(Reason::BackendBroke(fault));
        }
        HttpStep::Become(Successor::Tunnel)
    }
}
