//! The states of an HTTP client: head, exchange, head, exchange ... parting.
//!
//! ```text
//!   Head --------- a whole head ---------> Exchange --- answer complete ---> Head
//!    |                                        |   \--- 101 ---> a tunnel: `relay::tcp`
//!    |                                        |
//!    +-- a bad head, or too late -------+     +-- no backend, a broken one, too late --+
//!                                       v                                              v
//!                                    our own answer; then Head again, or `relay::parting`
//! ```
//!
//! Requests are balanced, not connections: each exchange borrows a backend connection and gives it
//! back. The rules of HTTP are in [`crate::http`]; here bytes are carried and deadlines kept.

mod carry;
mod exchange;
mod head;
mod held;
mod own_page;
mod pages;
mod reply;
mod response;
mod slowness;

use std::time::Instant;

use crate::access_log::Cause;
use crate::context::Context;
use crate::http::request::empty_lines;
use crate::http::{Lists, Scan};
use crate::limits::{HTTP_REQUESTS_PER_TURN, HTTP_UNWATCHED};
use crate::net::{Fault, Socket};

use super::account::OwnAnswer;
use super::bandwidth;
use super::client::{Client, Link};
use super::connect::{self, watch, watch_backend};
use super::verdict::{Loss, Reason, Successor, Verdict};

use exchange::{Exchange, Waiting};
use held::Held;
use own_page::OwnPage;

/// What is kept of an HTTP client between its turns. A client that rests has none.
#[derive(Debug, Default)]
pub struct Http {
    /// Bytes of the client that were read and not parsed yet: part of a head, or the next requests.
    input: Vec<u8>,
    /// How much of the head was here when it was last parsed.
    scan: Scan,
    /// `input` was not parsed yet, so there is no need to read first.
    fresh: bool,
    /// It sent a request before it had the answer to the last one, and has not rested since.
    pipelines: bool,
    /// When the first byte of a head came that is not whole yet; else `None`.
    head_since: Option<Instant>,
    /// When the first byte came of the request that is answered now.
    asked_since: Option<Instant>,
    state: HttpState,
}

/// What the client is doing.
#[derive(Debug, Default)]
enum HttpState {
    /// A head is awaited.
    #[default]
    Head,
    /// A request waits until a backend has room.
    Waiting(Box<Waiting>),
    /// A request is with a backend.
    Exchange(Box<Exchange>),
    /// A request is held that is beyond a limit.
    Held(Box<Held>),
    /// A page of ours is being sent.
    Page(Box<OwnPage>),
}

/// What a state came to in this turn.
enum HttpStep {
    /// Go on with the next state, in this turn.
    Next,
    /// Nothing to do before the next event.
    Wait,
    /// There is more to do.
    Again,
    /// Close the pair.
    Close(Reason),
    /// Another talk takes over: our last answer is being sent, or another protocol is spoken.
    Become(Successor),
}

/// Our last answer was handed to the client's direction.
const PARTING: HttpStep = HttpStep::Become(Successor::Parting(Reason::Finished));

/// Something happened at one of the sockets, or there was work left over.
pub fn act(http: &mut Option<Box<Http>>, client: &mut Client, cx: &mut Context) -> Verdict {
    take_turn(Http::walk, http, client, cx)
}

/// The timer fired: perhaps too early, for deadlines move without it.
pub fn on_timer(
    http: &mut Option<Box<Http>>,
    client: &mut Client,
    cx: &mut Context,
) -> Verdict {
    if bandwidth::is_released(client, cx) {
        return act(http, client, cx);
    }
    take_turn(Http::check_deadline, http, client, cx)
}

/// Its backend is lost, and its connections are to be closed.
pub fn on_backend_lost(
    loss: Loss,
    http: &mut Option<Box<Http>>,
    client: &mut Client,
    cx: &mut Context,
) -> Verdict {
    let leave = |http: &mut Http, client: &mut Client, cx: &mut Context| {
        http.leave_backend(loss, client, cx)
    };
    take_turn(leave, http, client, cx)
}

/// Answer a client that speaks HTTP on the port of HTTPS.
pub fn refuse_plain(
    http: &mut Option<Box<Http>>,
    client: &mut Client,
    cx: &mut Context,
) -> Verdict {
    fn refuse(http: &mut Http, client: &mut Client, cx: &mut Context) -> HttpStep {
        cx.stats.bad_requests += 1;
        let why = "this port speaks HTTPS: ask again with https:// in front";
        let own = OwnAnswer::saying(400, Cause::PlainHttp, why);
        let step = reply::refuse(own, http, client, cx);
        http.go_on(step, client, cx)
    }
    take_turn(refuse, http, client, cx)
}

/// Whether the client is between two requests, so that closing it loses nothing.
pub fn is_resting(http: Option<&Http>, client: &Client) -> bool {
    http.is_none_or(Http::is_resting) && client.duplex.response.held() == 0
}

fn take_turn(
    turn: impl FnOnce(&mut Http, &mut Client, &mut Context) -> HttpStep,
    kept: &mut Option<Box<Http>>,
    client: &mut Client,
    cx: &mut Context,
) -> Verdict {
    // Nothing is kept of a client that rests.
    let mut http = kept.take().unwrap_or_default();
    let before = client.duplex.moved();
    bandwidth::begin_turn(client, cx);
    let step = turn(&mut http, client, cx);
    bandwidth::end_turn(before.to_client, client, cx);
    if client.duplex.moved() != before {
        client.note_active(cx);
    }
    let verdict = match step {
        HttpStep::Become(successor) => return Verdict::Become(successor),
        HttpStep::Close(reason) => {
            note_break(reason, client);
            Verdict::Close(reason)
        }
        HttpStep::Again => http.settle(Verdict::Again, client, cx),
        HttpStep::Next | HttpStep::Wait => http.settle(Verdict::Keep, client, cx),
    };
    *kept = (!http.is_resting()).then_some(http);
    verdict
}

/// Note which side broke, so that the other one is closed with a reset: a FIN would let it take
/// half a message for a whole one.
#[cold]
fn note_break(reason: Reason, client: &mut Client) {
    match reason {
        Reason::ClientBroke(fault) => client.duplex.client_broke(fault),
        Reason::BackendBroke(fault) => client.duplex.backend_broke(fault),
        Reason::ClientStalled | Reason::ClientTooSlow => {
            client.duplex.client_broke(Fault::TimedOut);
        }
        Reason::AnswerStalled => client.duplex.backend_broke(Fault::TimedOut),
        _ => {}
    }
}

impl Http {
    fn walk(&mut self, client: &mut Client, cx: &mut Context) -> HttpStep {
        for _ in 0..HTTP_REQUESTS_PER_TURN {
            let step = match std::mem::take(&mut self.state) {
                HttpState::Head => head::read(self, client, cx),
                HttpState::Waiting(waiting) => waiting.proceed(self, client, cx),
                HttpState::Exchange(exchange) => exchange.proceed(self, client, cx),
                HttpState::Held(held) => held.proceed(self, client, cx),
                HttpState::Page(page) => page.proceed(self, client, cx),
            };
            if !matches!(step, HttpStep::Next) {
                return step;
            }
            // One answer of our own a turn, or thousands of pipelined requests would be one turn.
            if client.goes_behind && self.may_have_head(client) {
                return HttpStep::Again;
            }
        }
        HttpStep::Again
    }

    fn leave_backend(&mut self, loss: Loss, client: &mut Client, cx: &mut Context) -> HttpStep {
        let step = match std::mem::take(&mut self.state) {
            HttpState::Exchange(exchange) => exchange.on_backend_lost(loss, self, client, cx),
            phase => {
                self.state = phase;
                // A connection on which the client is logged in.
                if let Some(key) = client.link.take() {
                    cx.retire(key);
                }
                HttpStep::Wait
            }
        };
        self.go_on(step, client, cx)
    }

    /// See to it that the pair is woken, by its sockets and by its timer.
    fn settle(&mut self, verdict: Verdict, client: &mut Client, cx: &mut Context) -> Verdict {
        if matches!(self.state, HttpState::Exchange(_)) {
            // Clients that pipeline are served after the others, or they would take every turn.
            client.goes_behind |= self.pipelines;
        } else {
            client.duplex.request.wake_on_any(&mut client.socket);
        }
        self.note_pace(client, cx);
        client.arm_by(self.deadline(client, cx), cx);
        client.arm_recheck(cx);
        if self.listens_to_client(client) {
            watch(client, verdict, cx)
        } else {
            watch_backend(client, verdict, cx)
        }
    }

    /// When the present state times out, or the client is to be registered with the poll after all.
    fn deadline(&self, client: &Client, cx: &Context) -> Instant {
        let listener = || cx.listener(client.listener);
        let server_timeout = || cx.service(client.home.service).server_timeout;
        let until = match (&self.state, client.link) {
            (HttpState::Head, _) => match self.head_since {
                Some(since) => since + listener().header_timeout,
                None => client.active_at(cx) + listener().keep_alive,
            },
            (HttpState::Waiting(_), _) => {
                super::waiting::deadline(client, cx).unwrap_or(cx.now)
            }
            (HttpState::Exchange(_), Link::Connecting(_)) => {
                connect::deadline(client, cx).unwrap_or(cx.now)
            }
            (HttpState::Exchange(_), _) if !self.listens_to_client(client) => {
                client.active_at(cx) + HTTP_UNWATCHED.min(server_timeout())
            }
            (HttpState::Exchange(_), _) => client.active_at(cx) + server_timeout(),
            (HttpState::Held(held), _) => held.until,
            (HttpState::Page(_), _) => client.active_at(cx) + listener().keep_alive,
        };
        let patience = self.patience_ends(client, cx);
        let slowness = self.slowness_ends(client, cx);
        patience.into_iter().chain(slowness).fold(until, Instant::min)
    }

    /// When to see whether the client has left; see [`Exchange::patience_ends`].
    fn patience_ends(&self, client: &Client, cx: &Context) -> Option<Instant> {
        match &self.state {
            HttpState::Exchange(exchange) => exchange.patience_ends(self, client, cx),
            HttpState::Waiting(waiting) => waiting.patience_ends(self, client, cx),
            HttpState::Head | HttpState::Held(_) | HttpState::Page(_) => None,
        }
    }

    fn check_deadline(&mut self, client: &mut Client, cx: &mut Context) -> HttpStep {
        client.recheck(cx);
        if self.deadline(client, cx) > cx.now {
            // Armed anew when the pair settles.
            return HttpStep::Wait;
        }
        if let Some(step) = self.check_slowness(client, cx) {
            return self.go_on(step, client, cx);
        }
        if self.patience_ends(client, cx).is_some_and(|end| end <= cx.now) {
            return self.walk(client, cx);
        }
        if !self.listens_to_client(client)
            && client.active_at(cx) + cx.service(client.home.service).server_timeout > cx.now
        {
            // A slow answer: from now on the poll is to report a client that leaves.
            if let Verdict::Close(reason) = watch(client, Verdict::Keep, cx) {
                return HttpStep::Close(reason);
            }
            return HttpStep::Wait;
        }
        if super::waiting::release(client, cx) {
            return HttpStep::Wait;
        }
        let step = match std::mem::take(&mut self.state) {
            HttpState::Head if self.head_since.is_none() => HttpStep::Close(Reason::Rested),
            HttpState::Head => {
                reply::refuse(OwnAnswer::new(408, Cause::HeaderTimeout), self, client, cx)
            }
            HttpState::Waiting(waiting) => waiting.too_late(self, client, cx),
            HttpState::Exchange(exchange) => exchange.too_late(self, client, cx),
            HttpState::Held(held) => held.proceed(self, client, cx),
            HttpState::Page(mut page) => {
                page.release(cx);
                HttpStep::Close(Reason::Rested)
            }
        };
        self.go_on(step, client, cx)
    }

    fn go_on(&mut self, step: HttpStep, client: &mut Client, cx: &mut Context) -> HttpStep {
        if matches!(step, HttpStep::Next) { self.walk(client, cx) } else { step }
    }

    /// When the first byte came of a head that is not whole; `None` if no byte of one came.
    pub fn partial_head(&self) -> Option<Instant> {
        self.head_since
    }

    /// When the request was sent on that is with a backend now, if one is.
    pub fn asked_at(&self) -> Option<Instant> {
        match &self.state {
            HttpState::Exchange(exchange) => Some(exchange.asked_at()),
            HttpState::Head
            | HttpState::Waiting(_)
            | HttpState::Held(_)
            | HttpState::Page(_) => None,
        }
    }

    /// The client is closed: give back its share of the statistics.
    pub fn release(&mut self, cx: &mut Context) {
        match &mut self.state {
            HttpState::Page(page) => page.release(cx),
            HttpState::Held(_) => cx.guard.release_held(),
            HttpState::Head | HttpState::Waiting(_) | HttpState::Exchange(_) => {}
        }
    }

    /// Whether the client is between two requests, with nothing to be kept.
    fn is_resting(&self) -> bool {
        matches!(self.state, HttpState::Head) && self.input.is_empty() && !self.fresh
    }

    /// Whether another request may be here.
    fn may_have_head(&self, client: &Client) -> bool {
        matches!(self.state, HttpState::Head) && (self.fresh || client.socket.can_read())
    }

    /// Whether the client has to be registered with the poll. While all of its request is with a
    /// backend, the only news could be that it left; so a client that sends one request and closes
    /// costs no epoll_ctl.
    fn listens_to_client(&self, client: &Client) -> bool {
        match &self.state {
            HttpState::Exchange(exchange) => {
                client.socket.is_armed() || client.socket.wants_write() || !exchange.is_asked()
            }
            HttpState::Head
            | HttpState::Waiting(_)
            | HttpState::Held(_)
            | HttpState::Page(_) => true,
        }
    }

    /// Keep what came after the end of a request: it is the next one.
    fn take_surplus(&mut self, lists: &mut Lists) {
        self.keep(&lists.surplus);
        lists.surplus.clear();
    }

    /// Keep what came behind a request. Empty lines alone do not begin another one: some clients
    /// send one behind a body (RFC 9112, section 2.2).
    fn keep(&mut self, surplus: &[u8]) {
        let asks = !self.input.is_empty() || empty_lines(surplus) < surplus.len();
        if asks && !surplus.is_empty() {
            self.input.extend_from_slice(surplus);
            self.fresh = true;
            self.pipelines = true;
        }
    }
}

/// Copy what was read in earlier turns to the start of the scratch buffer. `false` if it is too
/// long, which cannot be: reads are limited so that it fits.
fn put_before(had: &[u8], scratch: &mut [u8]) -> bool {
    match scratch.get_mut(..had.len()) {
        Some(start) => {
            start.copy_from_slice(had);
            true
        }
        None => false,
    }
}

/// Close: the client's connection broke.
fn client_broke(fault: Fault) -> HttpStep {
    HttpStep::Close(Reason::ClientBroke(fault))
}
