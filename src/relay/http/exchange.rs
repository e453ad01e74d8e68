//! One request and its answer: find a backend, send, read the answer, give the connection back.
//!
//! ```text
//!   begin --- idle connection, or a new one ---> sending and reading at once ----> complete
//!                 ^                                        |
//!                 +--- not a byte of an answer, and -------+
//!                      nothing was sent, or it may be sent twice
//! ```
//!
//! A request is sent again only where that is safe: if the backend took nothing of it, or if the
//! method is idempotent and there is no body. The backend may have closed an idle connection in the
//! meantime; that is no failure of the backend.

mod broken;
mod copying;
mod ending;
mod leaving;
mod pacing;
mod placing;
mod waiting;

use std::time::Instant;

use crate::access_log::Cause;
use crate::backends::{NoBackend, ServerId};
use crate::config::ForwardedFields;
use crate::context::{self, Carrying, Context, Trace};
use crate::event::PoolId;
use crate::guard::Pace;
use crate::http::added::{Added, Proto};
use crate::http::edits::{RequestEdits, ResponseEdits};
use crate::http::rewrite::{self, Forward};
use crate::http::{Asked, BadBody, Decoder, Framing, Lists, RequestHead, Trailers, Version};
use crate::net::tls::Tls;
use crate::net::{Buffers, Fault, Socket, Stream};
use crate::stats::{Failure, Moved};

use super::super::account::OwnAnswer;
use super::super::client::{Client, Link};
use super::super::connect::{self, Attempt, Found, Took, Wants};
use super::super::routing::Served;
use super::super::trace;
use super::super::verdict::Reason;
use super::super::waiting::may_wait;
use super::carry::{self, BodyRelay, Carried, Transfer};
use super::response::{Answer, Answered, Reader};
use super::{Http, HttpState, HttpStep};

use broken::Broke;
use leaving::{client_gave_up, read_waiting_client};
pub(super) use waiting::Waiting;

/// A request that is with a backend.
#[derive(Debug)]
pub(super) struct Exchange {
    asked: Asked,
    version: Version,
    /// The client lets its connection be kept open after this request.
    keep_alive: bool,
    takes_trailers: bool,
    /// The request as it was sent; empty if it must not be sent twice.
    again: Vec<u8>,
    request: BodyRelay,
    /// All of the request was sent to the backend.
    is_asked: bool,
    /// Sending to the backend failed. Its answer may be on the way, and is still read.
    backend_stopped_reading: bool,
    /// A connection to a backend was made, and broke before the answer.
    was_taken: bool,
    /// The connection came from the idle list, or from the client's own login.
    reused: bool,
    /// What the request's direction had moved when this attempt began, in bytes.
    moved_before: u64,
    /// The backend that the client's cookie names, if it can take the request.
    stuck_to: Option<ServerId>,
    /// What the client speaks, with us or with a trusted proxy before us. Known only if there is a
    /// sticky cookie, which depends on it; else HTTP.
    client_proto: Proto,
    /// The backend on whose connection the client is logged in (NTLM, Negotiate).
    bound_to: Option<ServerId>,
    /// The request has credentials for such a login.
    logs_in: bool,
    /// When this attempt began: the one with the present backend.
    asked_at: Instant,
    broke: Broke,
    /// What rules do to the head of the answer.
    edits: Option<Box<ResponseEdits>>,
    /// The pool that is to get a copy of the request, until the copy is whole.
    copied_to: Option<PoolId>,
    /// How fast the client is where it is waited for, with `--min-rate`.
    pace: Pace,
    answer: Answer,
}

/// What an exchange came to in this turn.
enum ExchangeTurn {
    Rest,
    Again,
    Complete,
    /// The backend broke off without a byte of an answer.
    Nothing(Fault),
    /// What the backend sent is no valid answer, and why.
    Bad(&'static str),
    /// We answer in its place.
    Reply(OwnAnswer),
    Switched,
    Close(Reason),
}

/// Start an exchange. The head lies at the beginning of the scratch buffer, in which `total` bytes
/// are of this client.
pub(super) fn begin(
    head: &RequestHead,
    total: usize,
    served: Served,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> HttpStep {
    cx.stats.requests += 1;
    cx.stats.fields_dropped += cx.http.fields.misleading();
    let max_body = match head.framing {
        Framing::None => None,
        _ => cx.service(client.home.service).max_body,
    };
    let mut exchange = Box::new(Exchange::new(head, max_body, cx));
    if let (Framing::Length(length), Some(most)) = (head.framing, max_body)
        && length > most
    {
        return exchange.reply(BadBody::TooLarge.into(), http, client, cx);
    }
    exchange.place(head, total, client, cx);
    exchange.start(head, total, served, http, client, cx)
}

impl ExchangeTurn {
    /// Whether there is nothing more to do in this turn, or ever.
    fn is_over(&self) -> bool {
        !matches!(self, ExchangeTurn::Rest | ExchangeTurn::Again)
    }
}

/// The client logs in on this backend connection, which no other client may use from now on.
#[cold]
fn bind(client: &Client, cx: &mut Context) {
    if let Some(connection) = client.link.key().and_then(|key| cx.connections.get_mut(key)) {
        connection.bind();
    }
}

impl Exchange {
    fn new(head: &RequestHead, max_body: Option<u64>, cx: &Context) -> Exchange {
        let decoder = Decoder::new(head.framing, Trailers::Drop);
        Exchange {
            asked: Asked { head_request: head.is_head(), upgrade: head.upgrade.is_some() },
            version: head.version,
            keep_alive: head.keep_alive,
            takes_trailers: head.takes_trailers,
            again: Vec::new(),
            request: BodyRelay::new(decoder, head.framing).at_most(max_body),
            is_asked: false,
            backend_stopped_reading: false,
            was_taken: false,
            reused: false,
            moved_before: 0,
            stuck_to: None,
            client_proto: Proto::Http,
            bound_to: None,
            logs_in: false,
            asked_at: cx.now,
            broke: Broke::default(),
            edits: None,
            copied_to: None,
            pace: Pace::default(),
            answer: Answer::default(),
        }
    }

    /// Find a backend, and send it the request that lies at the beginning of the scratch buffer;
    /// or wait until one has room.
    pub(super) fn start(
        mut self: Box<Self>,
        head: &RequestHead,
        total: usize,
        mut served: Served,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        if let Err(mut reason) = self.find_backend(Wants::Any, client, cx) {
            if may_wait(reason, client) {
                match waiting::begin(self, served, (head, total), http, client, cx) {
                    Ok(step) => return step,
                    Err((exchange, refusal)) => {
                        self = exchange;
                        reason = Reason::Refused(refusal);
                    }
                }
            }
            if self.reads_no_body() {
                http.keep(&cx.scratch[head.length..total]);
            }
            return self.fail(reason, http, client, cx);
        }
        self.edits = served.response.take();
        self.plan_copy(served.mirrored, head, client, cx);
        let composed = self.compose(head, total, served.edited, client, cx);
        http.take_surplus(&mut cx.http);
        if let Err(bad) = composed {
            self.keep_alive = false;
            return self.reply(bad.into(), http, client, cx);
        }
        let sent = self.send(total, client, cx);
        // Where that failed as well: another backend may get it.
        self.copy_head(total, client, cx);
        if let Err(fault) = sent {
            return self.recover(fault, http, client, cx);
        }
        let step = if self.only_waits(client, cx) { HttpStep::Wait } else { HttpStep::Next };
        http.state = HttpState::Exchange(self);
        step
    }

    /// Whether no body is to be read, or all of it was.
    pub(super) fn reads_no_body(&self) -> bool {
        self.request.is_read()
    }

    /// Its turn.
    #[inline(always)]
    pub(super) fn proceed(
        mut self: Box<Self>,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        match self.turn(http, client, cx) {
            ExchangeTurn::Rest => {
                http.state = HttpState::Exchange(self);
                HttpStep::Wait
            }
            ExchangeTurn::Again => {
                http.state = HttpState::Exchange(self);
                HttpStep::Again
            }
            ExchangeTurn::Complete => self.finish(http, client, cx),
            ExchangeTurn::Nothing(fault) => self.recover(fault, http, client, cx),
            ExchangeTurn::Bad(why) => {
                let own = OwnAnswer::saying(502, Cause::BadAnswer, why);
                self.reply(own, http, client, cx)
            }
            ExchangeTurn::Reply(own) => self.reply(own, http, client, cx),
            ExchangeTurn::Switched => self.switch(http, client, cx),
            ExchangeTurn::Close(reason) => HttpStep::Close(reason),
        }
    }

    /// Whether all of the request is with the backend.
    pub fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// Whether nothing is left to do before the backend has an event.
    fn only_waits(&self, client: &mut Client, cx: &Context) -> bool {
        let connection = client.link.key().and_then(|key| cx.connections.get(key));
        self.is_asked
            && client.link.is_connected()
            && client.socket.fault().is_none()
            && connection.is_some_and(|connection| !connection.stream.can_read())
    }

    /// When it was sent on.
    pub fn asked_at(&self) -> Instant {
        self.asked_at
    }

    /// Record for its backend, and for the access log, what this turn brought of the answer.
    fn record_answer(
        &mut self,
        backend: ServerId,
        had_begun: bool,
        turn: &ExchangeTurn,
        client: &mut Client,
        cx: &mut Context,
    ) {
        if let Some(head) = self.answer.head().filter(|_| !had_begun) {
            let took = cx.now.saturating_duration_since(self.asked_at);
            let peer = client.address.ip();
            cx.backends.answered(backend, peer, head.status, took, cx.now);
            let status = head.status;
            cx.each_traffic(client.home, |it| {
                it.answered(status);
                it.timed(took);
            });
            self.judge_suspect(backend, head.status, peer, cx);
            trace::answered(head.status, client);
            if let Some(account) = &mut client.account {
                account.answered(head.status, head.bytes, cx.now);
            }
        }
        if !had_begun && self.answer.binds_login() {
            bind(client, cx);
        }
        if let ExchangeTurn::Bad(_) | ExchangeTurn::Close(Reason::BackendBroke(_)) = turn {
            self.record_failure(backend, Failure::Broken, client, cx);
        }
    }

    /// Take the connection on which the client is logged in, or pick a backend and take one to it:
    /// idle or new, as the exchange `wants`.
    fn find_backend(
        &mut self,
        wants: Wants,
        client: &mut Client,
        cx: &mut Context,
    ) -> Result<(), Reason> {
        if client.link.key().is_some()
            && let Some(backend) = connect::resume(client, cx)
        {
            self.bound_to = Some(backend);
            self.reused = true;
            self.begin_attempt(client, cx);
            return Ok(());
        }
        if wants == Wants::Any && self.waits_for_its_own(client, cx) {
            return Err(Reason::Refused(NoBackend::NoRoom));
        }
        loop {
            let takes = |id: &ServerId| {
                client.tried().is_empty() && cx.backends.takes(*id, client.home.pool)
            };
            let wanted = self.bound_to.or(self.stuck_to).filter(takes);
            let found = connect::find(wanted, wants, client, cx);
            match found {
                Ok(found) => {
                    self.reused = found == Found::Idle;
                    self.begin_attempt(client, cx);
                    return Ok(());
                }
                Err(Attempt::Over(reason)) => return Err(reason),
                Err(Attempt::Failed(fault)) => {
                    connect::give_up(client, fault, Took::Nothing, cx)?;
                }
            }
        }
    }

    /// Whether it waits for the backend that its cookie names, which has no room, before it goes
    /// to another one: who was called has done so.
    fn waits_for_its_own(&self, client: &Client, cx: &Context) -> bool {
        let is_worth = |own| cx.backends.is_worth_waiting(client.home.pool, own);
        let is_new = client.link != Link::Called && client.tried().is_empty();
        is_new && self.bound_to.is_none() && self.stuck_to.is_some_and(is_worth)
    }

    /// An attempt with a backend begins.
    fn begin_attempt(&mut self, client: &Client, cx: &Context) {
        self.moved_before = client.duplex.request.moved();
        self.asked_at = cx.now;
    }

    /// Write the request as it is to be sent, with the part of the body that was read with it.
    fn compose(
        &mut self,
        head: &RequestHead,
        total: usize,
        is_edited: bool,
        client: &mut Client,
        cx: &mut Context,
    ) -> Result<(), BadBody> {
        let proto = client.proto();
        let Context {
            scratch, connections, services, backends, listeners, http: lists, ..
        } = cx;
        let request_id = client.trace.as_deref().and_then(Trace::id_in_heads);
        let added = context::added(services, backends, client.home, proto);
        let added = Added { request_id, ..added };
        let service = client.home.service.and_then(|id| services.get(id));
        let listener = &listeners[client.listener];
        let input = &scratch[..total];
        let peer = client.address.ip();
        let connection = client.link.key().and_then(|key| connections.get(key));
        let host = match (head.host, connection) {
            (None, Some(connection)) => backends[connection.backend].as_host(),
            _ => String::new(),
        };
        let to = Forward {
            client: peer,
            proto,
            trusted: listener.settings.trusts(peer),
            host: &host,
            port: &listener.stats.port,
            added: &added,
            told: service.map_or(ForwardedFields::DEFAULT, |it| it.settings.forwarded_fields),
            subject: client.socket.tls().and_then(Tls::subject),
            edits: if is_edited { &lists.edits } else { RequestEdits::NONE },
        };
        self.logs_in = lists.fields.bind_a_login(input);
        lists.outgoing.clear();
        lists.surplus.clear();
        rewrite::request(head, &lists.fields, input, &to, &mut lists.outgoing);
        if head.is_idempotent() && self.request.is_read() {
            self.again = lists.lend();
            lists.outgoing.copy_to(input, 0, &mut self.again);
        }
        self.request.take(input, head.length, lists)?;
        self.request.announce(&mut client.duplex.request);
        Ok(())
    }

    fn send(
        &mut self,
        total: usize,
        client: &mut Client,
        cx: &mut Context,
    ) -> Result<(), Fault> {
        let Carrying { connection, mut buffers, lists, .. } =
            cx.for_carrying(client.link.key());
        let Some(connection) = connection else { return Err(Fault::Reset) };
        if self.logs_in {
            connection.bind();
        }
        let input = &buffers.scratch[..total];
        let direction = &mut client.duplex.request;
        carry::offer(lists, input, direction, &mut connection.stream, buffers.pool)?;
        if self.request.is_read() && direction.held() == 0 {
            self.is_asked = true;
            direction.end(&mut buffers);
        } else if !self.request.is_read() && !client.socket.can_read() {
            client.socket.acknowledge_now();
        }
        let backend = connection.backend;
        let moved = client.duplex.request.moved() - self.moved_before;
        cx.moved(client.home, backend, Moved::to_backend(moved));
        connect::see(self.moved_before, client, cx);
        Ok(())
    }

    fn turn(&mut self, http: &mut Http, client: &mut Client, cx: &mut Context) -> ExchangeTurn {
        if let Some(fault) = client.socket.fault() {
            return client_gave_up(Reason::ClientBroke(fault), cx);
        }
        if self.patience_is_over(http, client, cx)
            && let Some(turn) = read_waiting_client(http, client, cx)
        {
            return turn;
        }
        if client.link.is_connecting() {
            match connect::proceed(client, cx) {
                connect::ConnectProgress::Pending => return ExchangeTurn::Rest,
                connect::ConnectProgress::Again => return ExchangeTurn::Again,
                connect::ConnectProgress::Failed(fault) => return ExchangeTurn::Nothing(fault),
                connect::ConnectProgress::Done => connect::connected(client, cx),
            }
        }
        let backend = client.link.key().and_then(|key| cx.connections.get(key));
        let Some(backend) = backend.map(|connection| connection.backend) else {
            return ExchangeTurn::Nothing(Fault::Reset);
        };
        let before = client.duplex.moved();
        let had_begun = self.answer.has_begun();
        self.lend_copy(client, cx);
        let turn = self.both_ways(http, client, cx);
        self.take_copy(client, cx);
        cx.moved(client.home, backend, client.duplex.moved().since(before));
        self.record_answer(backend, had_begun, &turn, client, cx);
        turn
    }

    /// Send the request and read the answer, whichever is possible now.
    fn both_ways(
        &mut self,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> ExchangeTurn {
        let lets_go = client.is_let_go(cx);
        let Carrying { connection, mut buffers, lists, services, backends } =
            cx.for_carrying(client.link.key());
        let Some(connection) = connection else { return ExchangeTurn::Nothing(Fault::Reset) };
        let asked = self.ask(http, client, &mut connection.stream, &mut buffers, lists);
        if asked.is_over() {
            return asked;
        }
        // A head that was written needs no more.
        let added = match self.answer.has_begun() {
            true => Added::NONE,
            false => Added {
                request_id: client.trace.as_deref().and_then(Trace::id_in_heads),
                ..context::added(services, backends, client.home, client.proto())
            },
        };
        let cookie = added
            .cookie
            .and_then(|ours| self.cookie(ours, connection.backend, client, backends));
        let to = Reader {
            asked: self.asked,
            version: self.version,
            // If it comes before all of the request was sent, the connection ends with it: the rest
            // of the body lies before the next request.
            keep_alive: self.keep_alive && self.is_asked && !lets_go,
            takes_trailers: self.takes_trailers,
            cookie: cookie.as_deref(),
            added: &added,
            edits: self.edits.as_deref().unwrap_or(ResponseEdits::NONE),
        };
        let mut transfer = Transfer {
            direction: &mut client.duplex.response,
            source: &mut connection.stream,
            target: &mut client.socket,
            buffers: &mut buffers,
            lists,
        };
        let answered = self.answer.carry(&to, &mut transfer);
        if matches!(answered, Answered::Rest) { asked } else { self.heard(answered) }
    }

    /// Send the rest of the request's body.
    fn ask(
        &mut self,
        http: &mut Http,
        client: &mut Client,
        backend: &mut Stream,
        buffers: &mut Buffers<'_>,
        lists: &mut Lists,
    ) -> ExchangeTurn {
        if self.is_asked || self.backend_stopped_reading {
            return ExchangeTurn::Rest;
        }
        lists.surplus.clear();
        let direction = &mut client.duplex.request;
        let source = &mut client.socket;
        let mut transfer = Transfer { direction, source, target: backend, buffers, lists };
        let carried = self.request.carry(&mut transfer);
        // The body may be read to its end, and wait for a backend that does not take it yet.
        http.take_surplus(transfer.lists);
        match carried {
            Carried::Rest => ExchangeTurn::Rest,
            Carried::Again => ExchangeTurn::Again,
            Carried::Whole => {
                self.is_asked = true;
                ExchangeTurn::Rest
            }
            Carried::SourceBroke(Fault::CutShort) if !self.answer.has_begun() => {
                ExchangeTurn::Reply(OwnAnswer::new(400, Cause::BodyCutShort))
            }
            Carried::SourceBroke(fault) => ExchangeTurn::Close(Reason::ClientBroke(fault)),
            Carried::TargetBroke(_) => {
                self.backend_stopped_reading = true;
                transfer.direction.end(transfer.buffers);
                ExchangeTurn::Rest
            }
            Carried::Bad(_) if self.answer.has_begun() => ExchangeTurn::Close(
                Reason::ClientBroke(Fault::Other(std::io::ErrorKind::InvalidData)),
            ),
            Carried::Bad(bad) => {
                self.keep_alive = false;
                ExchangeTurn::Reply(bad.into())
            }
        }
    }

    /// What it means for the exchange that so much of the answer was passed on.
    fn heard(&self, answered: Answered) -> ExchangeTurn {
        match answered {
            Answered::Rest => ExchangeTurn::Rest,
            Answered::Again => ExchangeTurn::Again,
            Answered::Complete => ExchangeTurn::Complete,
            Answered::Nothing(fault) => ExchangeTurn::Nothing(fault),
            Answered::Bad(why) => ExchangeTurn::Bad(why),
            Answered::Torn(fault) => ExchangeTurn::Close(Reason::BackendBroke(fault)),
            Answered::ClientBroke(fault) => ExchangeTurn::Close(Reason::ClientBroke(fault)),
            // 101 before all of the request was sent.
            Answered::Switched if !self.is_asked => {
                let fault = Fault::Other(std::io::ErrorKind::InvalidData);
                ExchangeTurn::Close(Reason::BackendBroke(fault))
            }
            Answered::Switched => ExchangeTurn::Switched,
        }
    }
}
