//! An HTTP client's walk: head, exchange, head, exchange ... parting.
//!
//! ```text
//!   Head --------- a whole head ---------> Exchange --- answer complete ---> Head
//!    |                                        |   \--- 101 ---> a TCP pair from now on
//!    |                                        |
//!    +-- what is no head, or too late --+     +-- no backend, a broken one, too late --+
//!                                       v                                              v
//!                                    our own answer; then Head again, or Parting:
//!                                    FIN, hear the client out for a moment, close
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
use crate::config::Protocol;
use crate::context::Context;
use crate::http::{Lists, Scan};
use crate::limits::{HTTP_REQUESTS_PER_TURN, HTTP_UNWATCHED, LINGER};
use crate::net::{Fault, Socket};

use super::account::Own;
use super::connect::{self, watch, watch_backend};
use super::pair::{Pair, Reason, Stage, Verdict};
use super::parting::Parting;
use super::tcp;

use exchange::Exchange;
use pages::Page;

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
    phase: Phase,
}

/// Where on its walk a client is.
#[derive(Debug, Default)]
enum Phase {
    /// A head is awaited.
    #[default]
    Head,
    /// A request is with a backend.
    Exchange(Box<Exchange>),
    /// A long answer of ours is on its way.
    Page(Box<Page>),
    /// Our last answer is on its way.
    Parting(Parting),
}

/// What a phase came to.
enum Step {
    /// On to the next phase.
    Next,
    /// Nothing to do before the next event.
    Wait,
    /// There is more to do.
    Again,
    /// It is over.
    Close(Reason),
    /// The client and the backend speak another protocol from now on.
    Tunnel,
}

/// Something happened at one of the sockets, or there was work left over.
pub fn act(pair: &mut Pair, cx: &mut Context) -> Verdict {
    take_turn(walk, pair, cx)
}

/// The timer fired: perhaps too early, for deadlines move without it.
pub fn on_timer(pair: &mut Pair, cx: &mut Context) -> Verdict {
    take_turn(look_at_the_clock, pair, cx)
}

/// Its backend went down, and its connections are to be closed.
pub fn on_backend_down(pair: &mut Pair, cx: &mut Context) -> Verdict {
    take_turn(leave_backend, pair, cx)
}

/// A client that did not get through its handshake: its last word was sent, so that it is heard out
/// for a moment and closed.
pub fn hear_out(pair: &mut Pair, cx: &mut Context) -> Verdict {
    pair.protocol = Protocol::Http;
    let phase = Phase::Parting(Parting::default());
    pair.http = Some(Box::new(Http { phase, ..Http::default() }));
    take_turn(walk, pair, cx)
}

/// A client that speaks HTTP where it should speak HTTPS.
pub fn refuse_plain(pair: &mut Pair, cx: &mut Context) -> Verdict {
    fn refuse(http: &mut Http, pair: &mut Pair, cx: &mut Context) -> Step {
        cx.stats.bad_requests += 1;
        let why = "this port speaks HTTPS: ask again with https:// in front";
        let own = Own { status: 400, cause: Cause::PlainHttp, why };
        let step = reply::refuse(own, http, pair, cx);
        go_on(step, http, pair, cx)
    }
    take_turn(refuse, pair, cx)
}

/// Whether the client is between two requests, so that closing it harms nobody.
pub fn is_resting(pair: &Pair) -> bool {
    let untaken = pair.duplex.response.held() > 0;
    let resting = pair.http.as_deref().is_none_or(Http::is_resting);
    pair.protocol == Protocol::Http && resting && !untaken
}

/// Whether nothing is owed to the client: it is between two requests, or took our last word and is
/// only heard out.
pub fn owes_nothing(pair: &Pair) -> bool {
    let parts = |http: &Http| matches!(&http.phase, Phase::Parting(it) if it.is_told());
    is_resting(pair) || pair.http.as_deref().is_some_and(parts)
}

/// The pair is closed: what it shares with others is theirs from now on.
pub fn release(pair: &mut Pair, cx: &mut Context) {
    if let Some(Http { phase: Phase::Page(page), .. }) = pair.http.as_deref_mut() {
        page.release(cx);
    }
}

/// When the first byte came of a head that is not whole, and never will be.
pub fn partial_head(pair: &Pair) -> Option<Instant> {
    pair.http.as_deref().and_then(|http| http.head_since)
}

fn take_turn(
    turn: fn(&mut Http, &mut Pair, &mut Context) -> Step,
    pair: &mut Pair,
    cx: &mut Context,
) -> Verdict {
    // Of a client that rested nothing was known.
    let mut http = pair.http.take().unwrap_or_default();
    let before = pair.duplex.moved();
    let step = turn(&mut http, pair, cx);
    if pair.duplex.moved() != before {
        pair.active_at = cx.now;
    }
    let verdict = match step {
        Step::Tunnel => {
            pair.protocol = Protocol::Tcp;
            return tcp::act(pair, cx);
        }
        Step::Close(reason) => {
            note_break(reason, pair);
            Verdict::Close(reason)
        }
        Step::Again => settle(&http, Verdict::Again, pair, cx),
        Step::Next | Step::Wait => settle(&http, Verdict::Keep, pair, cx),
    };
    pair.http = (!http.is_resting()).then_some(http);
    verdict
}

/// Who broke off must not leave the other side with what looks complete.
#[cold]
fn note_break(reason: Reason, pair: &mut Pair) {
    match reason {
        Reason::ClientBroke(fault) => pair.duplex.client_broke(fault),
        Reason::BackendBroke(fault) => pair.duplex.backend_broke(fault),
        _ => {}
    }
}

fn walk(http: &mut Http, pair: &mut Pair, cx: &mut Context) -> Step {
    for _ in 0..HTTP_REQUESTS_PER_TURN {
        let step = match std::mem::take(&mut http.phase) {
            Phase::Head => head::read(http, pair, cx),
            Phase::Exchange(exchange) => exchange::proceed(exchange, http, pair, cx),
            Phase::Page(page) => pages::proceed(page, http, pair, cx),
            Phase::Parting(parting) => reply::part(parting, http, pair, cx),
        };
        if !matches!(step, Step::Next) {
            return step;
        }
        // An answer of our own ends the turn, or thousands of pipelined requests were one.
        if pair.goes_behind && http.may_have_head(pair) {
            return Step::Again;
        }
    }
    Step::Again
}

fn leave_backend(http: &mut Http, pair: &mut Pair, cx: &mut Context) -> Step {
    let step = match std::mem::take(&mut http.phase) {
        Phase::Exchange(exchange) => exchange::on_backend_down(exchange, http, pair, cx),
        phase => {
            http.phase = phase;
            // One on which the client is logged in.
            if let Some(key) = pair.connection.take() {
                cx.retire(key);
            }
            Step::Wait
        }
    };
    go_on(step, http, pair, cx)
}

/// See to it that the pair is woken, by its sockets and by its timer.
fn settle(http: &Http, verdict: Verdict, pair: &mut Pair, cx: &mut Context) -> Verdict {
    if matches!(http.phase, Phase::Exchange(_)) {
        // Thousands that pipeline wait for each other, and not everybody else for them.
        pair.goes_behind |= http.pipelines;
    } else {
        pair.duplex.request.let_go(&mut pair.client);
    }
    pair.arm_by(deadline(http, pair, cx), cx);
    pair.arm_look(cx);
    if http.listens_to_client(pair) {
        watch(pair, verdict, cx)
    } else {
        watch_backend(pair, verdict, cx)
    }
}

/// When the present phase has lasted too long, or the client is to be watched after all.
fn deadline(http: &Http, pair: &Pair, cx: &Context) -> Instant {
    let settings = &cx.settings;
    let until = match (&http.phase, pair.stage) {
        (Phase::Head, _) => match http.head_since {
            Some(since) => since + settings.header_timeout,
            None => pair.active_at + settings.keep_alive,
        },
        (Phase::Exchange(_), Stage::Connecting) => {
            connect::deadline(pair, cx).unwrap_or(cx.now)
        }
        (Phase::Exchange(_), Stage::Relaying) if !http.listens_to_client(pair) => {
            pair.active_at + HTTP_UNWATCHED.min(settings.server_timeout)
        }
        (Phase::Exchange(_), Stage::Handshaking | Stage::Picking | Stage::Relaying) => {
            pair.active_at + settings.server_timeout
        }
        (Phase::Page(_), _) => pair.active_at + settings.keep_alive,
        (Phase::Parting(_), _) => pair.active_at + LINGER,
    };
    patience_ends(http, pair, cx).map_or(until, |end| end.min(until))
}

/// When a client that may have gone away is looked after.
fn patience_ends(http: &Http, pair: &Pair, cx: &Context) -> Option<Instant> {
    match &http.phase {
        Phase::Exchange(exchange) => exchange.patience_ends(http, pair, cx),
        Phase::Head | Phase::Page(_) | Phase::Parting(_) => None,
    }
}

fn look_at_the_clock(http: &mut Http, pair: &mut Pair, cx: &mut Context) -> Step {
    pair.look(cx);
    if deadline(http, pair, cx) > cx.now {
        // Armed anew when the pair settles.
        return Step::Wait;
    }
    if patience_ends(http, pair, cx).is_some_and(|end| end <= cx.now) {
        return walk(http, pair, cx);
    }
    if !http.listens_to_client(pair) && pair.active_at + cx.settings.server_timeout > cx.now {
        // The answer takes its time: from now on we want to know if the client gives up.
        if let Verdict::Close(reason) = watch(pair, Verdict::Keep, cx) {
            return Step::Close(reason);
        }
        return Step::Wait;
    }
    let step = match std::mem::take(&mut http.phase) {
        Phase::Head if http.head_since.is_none() => Step::Close(Reason::Idle),
        Phase::Head => reply::refuse(Own::new(408, Cause::HeaderTimeout), http, pair, cx),
        Phase::Exchange(exchange) => exchange::too_late(exchange, http, pair, cx),
        Phase::Page(mut page) => {
            page.release(cx);
            Step::Close(Reason::Idle)
        }
        Phase::Parting(_) => Step::Close(Reason::Finished),
    };
    go_on(step, http, pair, cx)
}

fn go_on(step: Step, http: &mut Http, pair: &mut Pair, cx: &mut Context) -> Step {
    if matches!(step, Step::Next) { walk(http, pair, cx) } else { step }
}

impl Http {
    /// Whether the client is between two requests, with nothing to be remembered.
    fn is_resting(&self) -> bool {
        matches!(self.phase, Phase::Head) && self.input.is_empty() && !self.fresh
    }

    /// Whether another request may be here.
    fn may_have_head(&self, pair: &Pair) -> bool {
        matches!(self.phase, Phase::Head) && (self.fresh || pair.client.can_read())
    }

    /// Whether the poll has to tell about the client. While the whole request is with a backend
    /// there is nothing to hear but that it gives up; a client that asks once and closes is served
    /// without the poll ever knowing it.
    fn listens_to_client(&self, pair: &Pair) -> bool {
        match &self.phase {
            Phase::Exchange(exchange) => {
                pair.client.is_armed() || pair.client.wants_write() || !exchange.is_asked()
            }
            Phase::Head | Phase::Page(_) | Phase::Parting(_) => true,
        }
    }

    /// Keep what came after the end of a request: it is the next one.
    fn take_surplus(&mut self, lists: &mut Lists) {
        self.keep(&lists.surplus);
        lists.surplus.clear();
    }

    fn keep(&mut self, surplus: &[u8]) {
        if !surplus.is_empty() {
            self.input.extend_from_slice(surplus);
            (self.fresh, self.pipelines) = (true, true);
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
fn client_broke(fault: Fault) -> Step {
    Step::Close(Reason::ClientBroke(fault))
}
