//! One request and its answer: find a backend, send, listen, give the connection back.
//!
//! ```text
//!   begin --- idle connection, or a new one ---> sending and listening at once ---> complete
//!                 ^                                        |
//!                 +--- not a byte of an answer, and -------+
//!                      nothing was sent, or it may be sent twice
//! ```
//!
//! A request is sent again only where nobody can be harmed: to another backend if this one took
//! nothing, and anywhere if doing it twice is as good as doing it once and there is no body. A
//! connection that had waited in the idle list may have been closed meanwhile by its backend: that
//! counts against nobody.

mod broken;
mod ending;

use std::time::Instant;

use crate::access_log::Cause;
use crate::backends::ServerId;
use crate::balance;
use crate::config::HashKey;
use crate::context::{Carrying, Context};
use crate::http::added::{Added, Proto};
use crate::http::rewrite::{self, Forward};
use crate::http::{Asked, BadBody, Decoder, Framing, Lists, RequestHead, Trailers, Version};
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_UNWATCHED};
use crate::net::tls::Tls;
use crate::net::{Buffers, Fault, Received, Socket, Stream};
use crate::stats::{Failure, Moved};

use super::super::account::Own;
use super::super::client::Client;
use super::super::connect::{self, Attempt, Found, Took, Wants};
use super::super::verdict::Reason;
use super::carry::{self, BodyRelay, Carried, Transfer};
use super::response::{Answer, Answered, Reader};
use super::{Http, HttpState, HttpStep, reply};

use broken::Broke;

/// A request that is with a backend.
#[derive(Debug)]
pub(super) struct Exchange {
    asked: Asked,
    version: Version,
    /// The client is ready for another request after this one.
    keep_alive: bool,
    takes_trailers: bool,
    /// The request as it was sent, if it may be sent twice.
    again: Vec<u8>,
    request: BodyRelay,
    /// All of the request is sent on.
    is_asked: bool,
    /// The backend takes no more of the request; its answer may be on the way.
    deaf: bool,
    /// A backend took the request and broke off.
    was_taken: bool,
    /// The connection had waited in the idle list.
    reused: bool,
    /// What the flow had moved when this backend's part began.
    moved_before: u64,
    /// The backend that the client's cookie names, if it can take the request.
    stuck_to: Option<ServerId>,
    /// What the client speaks, with us or with a trusted proxy before us. Known only if there is a
    /// sticky cookie, which depends on it; else HTTP.
    client_proto: Proto,
    /// The backend on whose connection the client is logged in.
    bound_to: Option<ServerId>,
    /// The request makes such a login.
    logs_in: bool,
    /// When this backend's part began.
    asked_at: Instant,
    /// Which backend broke off with this request, and says of it or of the request what another
    /// one will do with it.
    broke: Broke,
    answer: Answer,
}

/// What an exchange came to in this turn.
enum ExchangeTurn {
    Rest,
    Again,
    Complete,
    /// Not a byte of an answer, for this reason.
    Nothing(Fault),
    /// What the backend says is no answer, and why.
    Bad(&'static str),
    /// Our own answer is due.
    Reply(Own),
    Switched,
    Close(Reason),
}

/// A whole head lies at the beginning of the scratch buffer, which holds `total` bytes.
pub(super) fn begin(
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> HttpStep {
    cx.stats.requests += 1;
    cx.stats.fields_dropped += cx.http.fields.misleading();
    let mut exchange = Box::new(Exchange::new(head, cx));
    if let (Framing::Length(length), Some(most)) = (head.framing, cx.settings.service.max_body)
        && length > most
    {
        return exchange.reply(BadBody::TooLarge.into(), http, client, cx);
    }
    exchange.place(head, total, client, cx);
    if let Err(reason) = exchange.find_backend(Wants::Any, client, cx) {
        if exchange.request.is_read() {
            http.keep(&cx.scratch[head.length..total]);
        }
        return exchange.fail(reason, http, client, cx);
    }
    let composed = exchange.compose(head, total, client, cx);
    http.take_surplus(&mut cx.http);
    match composed.map(|()| exchange.send(total, client, cx)) {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => return exchange.recover(fault, http, client, cx),
        Err(bad) => {
            exchange.keep_alive = false;
            return exchange.reply(bad.into(), http, client, cx);
        }
    }
    let step = if exchange.only_waits(client, cx) { HttpStep::Wait } else { HttpStep::Next };
    http.state = HttpState::Exchange(exchange);
    step
}

impl ExchangeTurn {
    /// Whether there is nothing more to do in this turn, or ever.
    fn is_over(&self) -> bool {
        !matches!(self, ExchangeTurn::Rest | ExchangeTurn::Again)
    }
}

/// The client logs in on its connection to the backend, which is its own from now on.
#[cold]
fn bind(client: &Client, cx: &mut Context) {
    if let Some(connection) = client.link.key().and_then(|key| cx.connections.get_mut(key)) {
        connection.bind();
    }
}

/// The client said something while it waits, or that it says no more.
#[cold]
fn hear_client(http: &mut Http, client: &mut Client, cx: &mut Context) -> Option<ExchangeTurn> {
    match client.socket.receive(&mut cx.scratch[..HTTP_HEAD_BYTES_MAX]) {
        Received::Bytes(count) => {
            http.keep(&cx.scratch[..count]);
            None
        }
        Received::WouldBlock => None,
        Received::Eof => Some(gave_up(Reason::ClientLeft, cx)),
        Received::Broken(fault) => Some(gave_up(Reason::ClientBroke(fault), cx)),
    }
}

/// The client went away before it had its answer.
#[cold]
fn gave_up(reason: Reason, cx: &mut Context) -> ExchangeTurn {
    cx.stats.aborted += 1;
    ExchangeTurn::Close(reason)
}

impl Exchange {
    fn new(head: &RequestHead, cx: &Context) -> Exchange {
        let decoder = Decoder::new(head.framing, Trailers::Drop);
        Exchange {
            asked: Asked { head_request: head.is_head(), upgrade: head.upgrade.is_some() },
            version: head.version,
            keep_alive: head.keep_alive,
            takes_trailers: head.takes_trailers,
            again: Vec::new(),
            request: BodyRelay::new(decoder, head.framing)
                .at_most(cx.settings.service.max_body),
            is_asked: false,
            deaf: false,
            was_taken: false,
            reused: false,
            moved_before: 0,
            stuck_to: None,
            client_proto: Proto::Http,
            bound_to: None,
            logs_in: false,
            asked_at: cx.now,
            broke: Broke::default(),
            answer: Answer::default(),
        }
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
                let own = Own { status: 502, cause: Cause::BadAnswer, why };
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

    /// When the client is taken for gone that has finished sending; nothing, if it did not, or has
    /// asked for more before. Through TLS its end may come without the socket's, and anything that
    /// it says has to be looked at.
    pub fn patience_ends(&self, http: &Http, client: &Client, cx: &Context) -> Option<Instant> {
        let may_have_left = cx.settings.service.abort_on_close
            && client.socket.can_read()
            && (client.socket.is_ending() || client.socket.tls().is_some())
            && self.request.is_read()
            && http.input.is_empty();
        may_have_left.then(|| self.asked_at + HTTP_UNWATCHED)
    }

    fn is_patient_no_more(&self, http: &Http, client: &Client, cx: &Context) -> bool {
        self.patience_ends(http, client, cx).is_some_and(|end| end <= cx.now)
    }

    /// Whether nothing is left to do before the backend has an event.
    fn only_waits(&self, client: &mut Client, cx: &Context) -> bool {
        let connection = client.link.key().and_then(|key| cx.connections.get(key));
        self.is_asked
            && client.link.is_connected()
            && client.socket.fault().is_none()
            && connection.is_some_and(|connection| !connection.stream.can_read())
    }

    /// What the request says of where it belongs: the hash of its key, and its cookie.
    fn place(&mut self, head: &RequestHead, total: usize, client: &mut Client, cx: &Context) {
        let input = &cx.scratch[..total];
        let fields = &cx.http.fields;
        let key = match &cx.backends.settings(client.pool).hash_key {
            HashKey::Ip => None,
            HashKey::Uri => Some(head.path),
            HashKey::Path => Some(head.path_alone(input)),
            HashKey::Header(name) => fields.find(input, name),
            HashKey::Cookie(name) => fields.cookie(input, name),
        };
        if let Some(key) = key {
            client.search_mut().hash_key = Some(balance::hash_key(key.of(input)));
        }
        let name = cx.added.cookie().map(|cookie| &*cookie.name);
        let token = name.and_then(|name| fields.cookie(input, name));
        self.stuck_to =
            token.and_then(|token| cx.backends.by_token(token.of(input), client.pool));
        let is_https = name.is_some() && {
            let peer = client.address.ip();
            let trusted = || cx.settings.listener.trusts(peer);
            let said = || fields.find(input, "x-forwarded-proto").map(|it| it.of(input));
            let https = |said: &[u8]| said.eq_ignore_ascii_case(b"https");
            client.socket.tls().is_some() || trusted() && said().is_some_and(https)
        };
        self.client_proto = if is_https { Proto::Https } else { Proto::Http };
    }

    /// The cookie that leads the client back, if it does not have it.
    fn cookie(&self, backend: ServerId, cx: &Context) -> Option<String> {
        if self.answer.has_begun() {
            return None;
        }
        let ours = cx.added.cookie()?;
        let token = cx.backends.token(backend)?;
        (self.stuck_to != Some(backend)).then(|| ours.set(token, self.client_proto))
    }

    /// What the answer says of its backend.
    fn judge(
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
            self.settle(backend, head.status, peer, cx);
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

    /// The connection on which the client is logged in, or that of a backend that is picked: an
    /// idle one will do, unless the exchange `wants` another.
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
            self.begin_part(client, cx);
            return Ok(());
        }
        loop {
            let takes = |id: &ServerId| {
                client.tried().is_empty() && cx.backends.takes(*id, client.pool)
            };
            let wanted = self.bound_to.or(self.stuck_to).filter(takes);
            let found = connect::find(wanted, wants, client, cx);
            match found {
                Ok(found) => {
                    self.reused = found == Found::Idle;
                    self.begin_part(client, cx);
                    return Ok(());
                }
                Err(Attempt::Over(reason)) => return Err(reason),
                Err(Attempt::Failed(fault)) => {
                    connect::give_up(client, fault, Took::Nothing, cx)?;
                }
            }
        }
    }

    /// A backend's part begins.
    fn begin_part(&mut self, client: &Client, cx: &Context) {
        self.moved_before = client.duplex.request.moved();
        self.asked_at = cx.now;
    }

    /// Write the request as it is to be sent, with what of its body is here.
    fn compose(
        &mut self,
        head: &RequestHead,
        total: usize,
        client: &mut Client,
        cx: &mut Context,
    ) -> Result<(), BadBody> {
        let Context {
            scratch,
            connections,
            backends,
            listeners,
            settings,
            http: lists,
            added,
            ..
        } = cx;
        let input = &scratch[..total];
        let peer = client.address.ip();
        let connection = client.link.key().and_then(|key| connections.get(key));
        let host = match (head.host, connection) {
            (None, Some(connection)) => backends[connection.backend].address().to_string(),
            _ => String::new(),
        };
        let proto = reply::speaks(client);
        let to = Forward {
            client: peer,
            proto,
            trusted: settings.listener.trusts(peer),
            host: &host,
            port: &listeners[client.listener].stats.port,
            added: added.towards(proto),
            subject: client.socket.tls().and_then(Tls::subject),
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
        cx.backends.moved(backend, Moved::to_backend(moved));
        connect::see(self.moved_before, client, cx);
        Ok(())
    }

    fn turn(&mut self, http: &mut Http, client: &mut Client, cx: &mut Context) -> ExchangeTurn {
        if let Some(fault) = client.socket.fault() {
            return gave_up(Reason::ClientBroke(fault), cx);
        }
        if self.is_patient_no_more(http, client, cx)
            && let Some(turn) = hear_client(http, client, cx)
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
        let cookie = self.cookie(backend, cx);
        let before = client.duplex.moved();
        let had_begun = self.answer.has_begun();
        let turn = self.both_ways(cookie.as_deref(), http, client, cx);
        cx.backends.moved(backend, client.duplex.moved().since(before));
        self.judge(backend, had_begun, &turn, client, cx);
        turn
    }

    /// Send and listen.
    fn both_ways(
        &mut self,
        cookie: Option<&str>,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> ExchangeTurn {
        let draining = cx.draining;
        let Carrying { connection, mut buffers, lists, added } =
            cx.for_carrying(client.link.key());
        let Some(connection) = connection else { return ExchangeTurn::Nothing(Fault::Reset) };
        let backend = &mut connection.stream;
        let asked = self.ask(http, client, backend, &mut buffers, lists);
        if asked.is_over() {
            return asked;
        }
        let added = added.towards(reply::speaks(client));
        let to = self.reader(cookie, added, draining);
        let listened = self.listen(&to, client, backend, &mut buffers, lists);
        if matches!(listened, ExchangeTurn::Rest) { asked } else { listened }
    }

    /// Send on what of the request is still to come.
    fn ask(
        &mut self,
        http: &mut Http,
        client: &mut Client,
        backend: &mut Stream,
        buffers: &mut Buffers<'_>,
        lists: &mut Lists,
    ) -> ExchangeTurn {
        if self.is_asked || self.deaf {
            return ExchangeTurn::Rest;
        }
        lists.surplus.clear();
        let direction = &mut client.duplex.request;
        let source = &mut client.socket;
        let mut way = Transfer { direction, source, target: backend, buffers, lists };
        match self.request.carry(&mut way) {
            Carried::Rest => ExchangeTurn::Rest,
            Carried::Again => ExchangeTurn::Again,
            Carried::Whole => {
                self.is_asked = true;
                http.take_surplus(way.lists);
                ExchangeTurn::Rest
            }
            Carried::SourceBroke(Fault::CutShort) if !self.answer.has_begun() => {
                ExchangeTurn::Reply(Own::new(400, Cause::BodyCutShort))
            }
            Carried::SourceBroke(fault) => ExchangeTurn::Close(Reason::ClientBroke(fault)),
            Carried::TargetBroke(_) => {
                self.deaf = true;
                way.direction.end(way.buffers);
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

    /// Pass on what of the answer has come.
    fn listen(
        &mut self,
        to: &Reader<'_>,
        client: &mut Client,
        backend: &mut Stream,
        buffers: &mut Buffers<'_>,
        lists: &mut Lists,
    ) -> ExchangeTurn {
        let direction = &mut client.duplex.response;
        let target = &mut client.socket;
        let mut way = Transfer { direction, source: backend, target, buffers, lists };
        match self.answer.carry(to, &mut way) {
            Answered::Rest => ExchangeTurn::Rest,
            Answered::Again => ExchangeTurn::Again,
            Answered::Complete => ExchangeTurn::Complete,
            Answered::Nothing(fault) => ExchangeTurn::Nothing(fault),
            Answered::Bad(why) => ExchangeTurn::Bad(why),
            Answered::Torn(fault) => ExchangeTurn::Close(Reason::BackendBroke(fault)),
            Answered::ClientBroke(fault) => ExchangeTurn::Close(Reason::ClientBroke(fault)),
            // Before it was asked to.
            Answered::Switched if !self.is_asked => {
                let fault = Fault::Other(std::io::ErrorKind::InvalidData);
                ExchangeTurn::Close(Reason::BackendBroke(fault))
            }
            Answered::Switched => ExchangeTurn::Switched,
        }
    }

    /// Whom the answer is for. One that comes before all is asked is the last one, for the rest of
    /// the body stands between it and the next request.
    fn reader<'a>(
        &self,
        cookie: Option<&'a str>,
        added: &'a Added,
        draining: bool,
    ) -> Reader<'a> {
        Reader {
            asked: self.asked,
            version: self.version,
            keep_alive: self.keep_alive && self.is_asked && !draining,
            takes_trailers: self.takes_trailers,
            cookie,
            added,
        }
    }
}
