//! An HTTP client's walk: head, exchange, head, exchange ... parting.
//!
//! ```text
//!   Head --------- a whole head ---------> Exchange --- answer complete ---> Head
//!    |                                        |   \--- 101 ---> a tunnel: `relay::tcp`
//!    |                                        |
//!    +-- what is no head, or too late --+     +-- no backend, a broken one, too late --+
//!                                       v                                              v
//!                                    our own answer; then Head again, or `relay::parting`
//! ```
//!
//! Requests are balanced, not connections: each exchange borrows a backend connection and gives it
//! back. The rules of HTTP are in [`crate::http`]; here bytes are carried and deadlines kept.

mod carry;
mod exchange;
mod head;
pub mod pages;
mod reply;
mod response;

use std::time::Instant;

use crate::access_log::Cause;
use crate::context::Context;
use crate::http::request::empty_lines;
use crate::http::{Lists, Scan};
use crate::limits::{HTTP_REQUESTS_PER_TURN, HTTP_UNWATCHED};
use crate::net::{Fault, Socket};

use super::account::Own;
use super::client::{Client, Link};
use super::connect::{self, watch, watch_backend};
use super::verdict::{Reason, Successor, Verdict};

use exchange::Exchange;
use pages::OwnPage;

/// What HTTP needs to know of a client.
#[derive(Debug, Default)]
pub struct Http {
    /// Bytes of the client that were read and not used yet: part of a head, or the next requests.
    input: Vec<u8>,
    /// How much of a head was looked at.
    scan: Scan,
    /// The input was not looked at yet.
    fresh: bool,
    /// It asked for more before it had its answers, and has not rested since.
    pipelines: bool,
    /// When the first byte of the head under way came.
    head_since: Option<Instant>,
    state: HttpState,
}

/// Where on its walk a client is.
#[derive(Debug, Default)]
enum HttpState {
    /// A head is awaited.
    #[default]
    Head,
    /// A request is with a backend.
    Exchange(Box<Exchange>),
    /// A long answer of ours is on its way.
    Page(Box<OwnPage>),
}

/// What a phase came to.
enum HttpStep {
    /// On to the next phase.
    Next,
    /// Nothing to do before the next event.
    Wait,
    /// There is more to do.
    Again,
    /// It is over.
    Close(Reason),
    /// Another talk follows: our last answer is on its way, or another protocol is spoken.
    Become(Successor),
}

/// Our last answer is on its way.
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
    take_turn(Http::check_deadline, http, client, cx)
}

/// Its backend went down, and its connections are to be closed.
pub fn on_backend_down(
    http: &mut Option<Box<Http>>,
    client: &mut Client,
    cx: &mut Context,
) -> Verdict {
    take_turn(Http::leave_backend, http, client, cx)
}

/// A client that speaks HTTP where it should speak HTTPS.
pub fn refuse_plain(
    http: &mut Option<Box<Http>>,
    client: &mut Client,
    cx: &mut Context,
) -> Verdict {
    fn refuse(http: &mut Http, client: &mut Client, cx: &mut Context) -> HttpStep {
        cx.stats.bad_requests += 1;
        let why = "this port speaks HTTPS: ask again with https:// in front";
        let own = Own { status: 400, cause: Cause::PlainHttp, why };
        let step = reply::refuse(own, http, client, cx);
        http.go_on(step, client, cx)
    }
    take_turn(refuse, http, client, cx)
}

/// Whether the client is between two requests, so that closing it harms nobody.
pub fn is_resting(http: Option<&Http>, client: &Client) -> bool {
    http.is_none_or(Http::is_resting) && client.duplex.response.held() == 0
}

fn take_turn(
    turn: fn(&mut Http, &mut Client, &mut Context) -> HttpStep,
    kept: &mut Option<Box<Http>>,
    client: &mut Client,
    cx: &mut Context,
) -> Verdict {
    // Of a client that rested nothing was known.
    let mut http = kept.take().unwrap_or_default();
    let before = client.duplex.moved();
    let step = turn(&mut http, client, cx);
    if client.duplex.moved() != before {
        client.active_at = cx.now;
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

/// Who broke off must not leave the other side with what looks complete.
#[cold]
fn note_break(reason: Reason, client: &mut Client) {
    match reason {
        Reason::ClientBroke(fault) => client.duplex.client_broke(fault),
        Reason::BackendBroke(fault) => client.duplex.backend_broke(fault),
        Reason::ClientStalled => client.duplex.client_broke(Fault::TimedOut),
        Reason::AnswerStalled => client.duplex.backend_broke(Fault::TimedOut),
        _ => {}
    }
}

impl Http {
    fn walk(&mut self, client: &mut Client, cx: &mut Context) -> HttpStep {
        for _ in 0..HTTP_REQUESTS_PER_TURN {
            let step = match std::mem::take(&mut self.state) {
                HttpState::Head => head::read(self, client, cx),
                HttpState::Exchange(exchange) => exchange.proceed(self, client, cx),
                HttpState::Page(page) => page.proceed(self, client, cx),
            };
            if !matches!(step, HttpStep::Next) {
                return step;
            }
            // An answer of our own ends the turn, or thousands of pipelined requests were one.
            if client.goes_behind && self.may_have_head(client) {
                return HttpStep::Again;
            }
        }
        HttpStep::Again
    }

    fn leave_backend(&mut self, client: &mut Client, cx: &mut Context) -> HttpStep {
        let step = match std::mem::take(&mut self.state) {
            HttpState::Exchange(exchange) => exchange.on_backend_down(self, client, cx),
            phase => {
                self.state = phase;
                // One on which the client is logged in.
                if let Some(key) = client.link.take() {
                    cx.retire(key);
                }
                HttpStep::Wait
            }
        };
        self.go_on(step, client, cx)
    }

    /// See to it that the pair is woken, by its sockets and by its timer.
    fn settle(&self, verdict: Verdict, client: &mut Client, cx: &mut Context) -> Verdict {
        if matches!(self.state, HttpState::Exchange(_)) {
            // Thousands that pipeline wait for each other, and not everybody else for them.
            client.goes_behind |= self.pipelines;
        } else {
            client.duplex.request.wake_on_any(&mut client.socket);
        }
        client.arm_by(self.deadline(client, cx), cx);
        client.arm_recheck(cx);
        if self.listens_to_client(client) {
            watch(client, verdict, cx)
        } else {
            watch_backend(client, verdict, cx)
        }
    }

    /// When the present phase has lasted too long, or the client is to be watched after all.
    fn deadline(&self, client: &Client, cx: &Context) -> Instant {
        let settings = &cx.settings;
        let until = match (&self.state, client.link) {
            (HttpState::Head, _) => match self.head_since {
                Some(since) => since + settings.service.header_timeout,
                None => client.active_at + settings.service.keep_alive,
            },
            (HttpState::Exchange(_), Link::Connecting(_)) => {
                connect::deadline(client, cx).unwrap_or(cx.now)
            }
            (HttpState::Exchange(_), _) if !self.listens_to_client(client) => {
                client.active_at + HTTP_UNWATCHED.min(settings.service.server_timeout)
            }
            (HttpState::Exchange(_), _) => client.active_at + settings.service.server_timeout,
            (HttpState::Page(_), _) => client.active_at + settings.service.keep_alive,
        };
        self.patience_ends(client, cx).map_or(until, |end| end.min(until))
    }

    /// When a client that may have gone away is looked after.
    fn patience_ends(&self, client: &Client, cx: &Context) -> Option<Instant> {
        match &self.state {
            HttpState::Exchange(exchange) => exchange.patience_ends(self, client, cx),
            HttpState::Head | HttpState::Page(_) => None,
        }
    }

    fn check_deadline(&mut self, client: &mut Client, cx: &mut Context) -> HttpStep {
        client.recheck(cx);
        if self.deadline(client, cx) > cx.now {
            // Armed anew when the pair settles.
            return HttpStep::Wait;
        }
        if self.patience_ends(client, cx).is_some_and(|end| end <= cx.now) {
            return self.walk(client, cx);
        }
        if !self.listens_to_client(client)
            && client.active_at + cx.settings.service.server_timeout > cx.now
        {
            // The answer takes its time: from now on we want to know if the client gives up.
            if let Verdict::Close(reason) = watch(client, Verdict::Keep, cx) {
                return HttpStep::Close(reason);
            }
            return HttpStep::Wait;
        }
        let step = match std::mem::take(&mut self.state) {
            HttpState::Head if self.head_since.is_none() => HttpStep::Close(Reason::Rested),
            HttpState::Head => {
                reply::refuse(Own::new(408, Cause::HeaderTimeout), self, client, cx)
            }
            HttpState::Exchange(exchange) => exchange.too_late(self, client, cx),
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

    /// When the first byte came of a head that is not whole, and never will be.
    pub fn partial_head(&self) -> Option<Instant> {
        self.head_since
    }

    /// The client is closed: what it shares with others is theirs from now on.
    pub fn release(&mut self, cx: &mut Context) {
        if let HttpState::Page(page) = &mut self.state {
            page.release(cx);
        }
    }

    /// Whether the client is between two requests, with nothing to be remembered.
    fn is_resting(&self) -> bool {
        matches!(self.state, HttpState::Head) && self.input.is_empty() && !self.fresh
    }

    /// Whether another request may be here.
    fn may_have_head(&self, client: &Client) -> bool {
        matches!(self.state, HttpState::Head) && (self.fresh || client.socket.can_read())
    }

    /// Whether the poll has to tell about the client. While the whole request is with a backend
    /// there is nothing to hear but that it gives up; a client that asks once and closes is served
    /// without the poll ever knowing it.
    fn listens_to_client(&self, client: &Client) -> bool {
        match &self.state {
            HttpState::Exchange(exchange) => {
                client.socket.is_armed() || client.socket.wants_write() || !exchange.is_asked()
            }
            HttpState::Head | HttpState::Page(_) => true,
        }
    }

    /// Keep what came after the end of a request: it is the next one.
    fn take_surplus(&mut self, lists: &mut Lists) {
        self.keep(&lists.surplus);
        lists.surplus.clear();
    }

    /// Keep what came behind a request. Empty lines are no beginning of another one: whoever sends
    /// one behind a body asks for nothing more.
    fn keep(&mut self, surplus: &[u8]) {
        let asks = !self.input.is_empty() || empty_lines(surplus) < surplus.len();
        if asks && !surplus.is_empty() {
            self.input.extend_from_slice(surplus);
            self.fresh = true;
            self.pipelines = true;
        }
    }
}

/// Put what was read before in front of what comes; whether there is room for it, as there always
/// is: no more was read than leaves it.
fn put_in_front(had: &[u8], scratch: &mut [u8]) -> bool {
    match scratch.get_mut(..had.len()) {
        Some(front) => {
            front.copy_from_slice(had);
            true
        }
        None => false,
    }
}

/// A client that broke off.
fn client_broke(fault: Fault) -> HttpStep {
    HttpStep::Close(Reason::ClientBroke(fault))
}
