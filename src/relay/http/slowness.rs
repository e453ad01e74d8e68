//! What a request may take at most, and a client's connection, and how slow a client may be.
//!
//! ```text
//!   --max-connection-time   between two requests: closed; else the answer under way is the last
//!   --max-request-time      before the answer: 408 or 504; within it: a reset
//!   --min-rate              before the answer: 408; within it: a reset (see `guard::pace`)
//! ```

use std::time::Instant;

use crate::access_log::Cause;
use crate::config::Slowness;
use crate::context::Context;
use crate::stats::traffic::Blame;

use super::super::account::OwnAnswer;
use super::super::client::Client;
use super::super::verdict::Reason;
use super::{Http, HttpState, HttpStep, reply};

fn limits<'a>(client: &Client, cx: &'a Context) -> &'a Slowness {
    &cx.service(client.home.service).slowness
}

impl Http {
    /// When one of these limits is reached, if nothing happens before; `None` where none is set.
    pub(super) fn slowness_ends(&self, client: &Client, cx: &Context) -> Option<Instant> {
        let limits = limits(client, cx);
        if *limits == Slowness::DEFAULT {
            return None;
        }
        let request = self.request_ends(client, cx);
        let (pace, connection) = match &self.state {
            HttpState::Exchange(exchange) => {
                (limits.min_rate.as_ref().and_then(|floor| exchange.pace_ends(floor)), None)
            }
            HttpState::Head if self.head_since.is_none() => (None, client.ends_at(cx)),
            HttpState::Head
            | HttpState::Waiting(_)
            | HttpState::Held(_)
            | HttpState::Page(_) => (None, None),
        };
        request.into_iter().chain(pace).chain(connection).min()
    }

    /// When the request that is under way has taken as long as it may.
    fn request_ends(&self, client: &Client, cx: &Context) -> Option<Instant> {
        let most = limits(client, cx).max_request_time?;
        let since = match &self.state {
            HttpState::Head => self.head_since,
            HttpState::Exchange(_) | HttpState::Waiting(_) | HttpState::Page(_) => {
                self.asked_since
            }
            // The tarpit has a time of its own.
            HttpState::Held(_) => None,
        };
        Some(since? + most)
    }

    /// A turn ends: whether the client is waited for from now on.
    pub(super) fn note_pace(&mut self, client: &mut Client, cx: &Context) {
        if limits(client, cx).min_rate.is_some()
            && let HttpState::Exchange(exchange) = &mut self.state
        {
            exchange.note_pace(client, cx);
        }
    }

    /// The timer fired: whether one of these limits is reached, and what comes of that.
    pub(super) fn check_slowness(
        &mut self,
        client: &mut Client,
        cx: &mut Context,
    ) -> Option<HttpStep> {
        if self.slowness_ends(client, cx)? > cx.now {
            return None;
        }
        if self.request_ends(client, cx).is_some_and(|end| end <= cx.now) {
            cx.stats.requests_too_long += 1;
            return Some(self.request_too_long(client, cx));
        }
        match std::mem::take(&mut self.state) {
            HttpState::Exchange(exchange) => Some(exchange.check_pace(self, client, cx)),
            state => {
                self.state = state;
                Some(HttpStep::Close(Reason::TooOld))
            }
        }
    }

    #[cold]
    fn request_too_long(&mut self, client: &mut Client, cx: &mut Context) -> HttpStep {
        // What is answered now has time of its own.
        self.asked_since = None;
        match std::mem::take(&mut self.state) {
            HttpState::Head => {
                reply::refuse(OwnAnswer::new(408, Cause::RequestTooSlow), self, client, cx)
            }
            HttpState::Exchange(exchange) => exchange.too_long(self, client, cx),
            HttpState::Waiting(waiting) => waiting.too_late(self, client, cx),
            held @ HttpState::Held(_) => {
                self.state = held;
                HttpStep::Wait
            }
            HttpState::Page(mut page) => {
                page.release(cx);
                HttpStep::Close(Reason::RequestTooLong(Blame::Client))
            }
        }
    }
}
