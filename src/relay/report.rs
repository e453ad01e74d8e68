//! Lines of the access log: an account is begun, and its line written when it ends.
//!
//! ```text
//!   begin --- picked --- connected --- answered --- finish, own_answer or close: the line
//! ```
//!
//! Called by the talks. What the account itself notes is in [`super::account`].

use std::borrow::Cow;
use std::time::Instant;

use log::debug;

use crate::access_log::{Cause, Counts, Ending, Record, ServedBy, TlsFacts, What, Who, Why};
use crate::context::Context;
use crate::guard::RuleId;
use crate::http::{RequestHead, RequestId};
use crate::net::Fault;
use crate::net::tls::Tls;
use crate::stats::Moved;

use super::account::{About, Account, Closed, OwnAnswer, RequestText, Spoken};
use super::client::Client;
use super::proxied::Proxied;
use super::verdict::Reason;
use super::{strike, trace};

/// A connection of TCP begins, unless it was begun before; if it is known already what it asks for,
/// since when. HTTP is accounted for request by request.
pub fn begin(asked_at: Option<Instant>, client: &mut Client, cx: &Context) {
    if cx.access_log.is_some() && client.account.is_none() {
        let before = client.duplex.moved();
        let mut account = Account::new(client.opened_at(cx), About::Tcp(None), before);
        account.asked_at = asked_at;
        client.account = Some(account);
    }
}

/// The client did not get through its TLS handshake.
pub fn handshake_failed(fault: Fault, client: &Client, cx: &mut Context) {
    if cx.access_log.is_none() {
        return;
    }
    let mut account = Account::new(
        client.opened_at(cx),
        About::Handshake(fault.to_string().into()),
        client.duplex.moved(),
    );
    let cause = match fault {
        Fault::TimedOut => Cause::HandshakeTimeout,
        Fault::Tls(trouble) if !trouble.is_their_word() => Cause::TlsHandshake,
        _ => Cause::HandshakeBroken,
    };
    let detail = format!("{}: {fault}", cause.says()).into();
    account.why = Some(Why { cause, detail });
    write(&account, Moved::default(), client, cx);
}

/// We closed a client that was shaking hands.
pub fn handshake_cut(reason: Reason, client: &Client, cx: &mut Context) {
    if cx.access_log.is_none() {
        return;
    }
    let about = About::Handshake(reason.to_string().into());
    let mut account = Account::new(client.opened_at(cx), about, client.duplex.moved());
    account.why = account.why_closed(reason);
    write(&account, Moved::default(), client, cx);
}

/// The ClientHello is whole: the server name in it, if there is one.
pub fn named(name: Option<Box<str>>, client: &mut Client, now: Instant) {
    if let Some(account) = &mut client.account {
        account.about = About::Tcp(name);
        account.asked_at = Some(now);
    }
}

/// The head of a request lies at the beginning of the scratch buffer; its first byte came `since`.
pub fn begin_request(
    head: &RequestHead,
    since: Option<Instant>,
    client: &mut Client,
    cx: &Context,
) {
    if cx.access_log.is_some() {
        let about = About::Request(RequestText::of(head, cx));
        let mut account = Account::new(since.unwrap_or(cx.now), about, client.duplex.moved());
        account.asked_at = Some(cx.now);
        client.account = Some(account);
    }
}

/// The answer of a backend is complete.
pub fn finish(client: &mut Client, cx: &mut Context) {
    if let Some(account) = client.account.take() {
        write(&account, moved(&account, client), client, cx);
    }
    trace::finish(client, cx);
}

/// We answered ourselves, with these bytes; if there was no request, since its first byte came.
pub fn own_answer(
    own: OwnAnswer,
    bytes: &[u8],
    since: Option<Instant>,
    client: &mut Client,
    cx: &mut Context,
) {
    own_page(own, bytes, 0, since, client, cx);
}

/// The same with so many bytes of a body behind these.
pub fn own_page(
    own: OwnAnswer,
    bytes: &[u8],
    body: u64,
    since: Option<Instant>,
    client: &mut Client,
    cx: &mut Context,
) {
    client.goes_behind = true;
    let OwnAnswer { status, cause, why, rule, .. } = own;
    match cause {
        Cause::BadRequest | Cause::BadBody => strike::by_client(client, "a bad request", cx),
        Cause::HeaderTimeout => strike::by_client(client, "a request that took too long", cx),
        _ => {}
    }
    cx.each_traffic(client.home, |it| it.answered(status));
    debug!("pair {}: answered {status} here: {}: {why}", client.number, cause.word());
    if cx.access_log.is_none() {
        return trace::end(status, Some(cause), client, cx);
    }
    let began = since.unwrap_or(cx.now);
    let mut account = client
        .account
        .take()
        .unwrap_or_else(|| Account::new(began, About::NoRequest, client.duplex.moved()));
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
    account.status = status;
    account.head_bytes = head as u64;
    let detail = rule.map_or(why.into(), |rule| refused_by(rule, cx).into());
    account.why = Some(Why { cause, detail });
    let to_backend = moved(&account, client).to_backend;
    let to_client = bytes.len() as u64 + body;
    write(&account, Moved { to_backend, to_client }, client, cx);
    trace::end(status, Some(cause), client, cx);
}

/// The pair is closed, perhaps in the middle of something: of a request's head, if its first byte
/// came then.
pub fn close(
    client: &mut Client,
    partial_head: Option<Instant>,
    reason: Reason,
    cx: &mut Context,
) {
    write_closed(client, partial_head, reason, cx);
    if let Some(trace) = &client.trace {
        let is_answered = trace.status != 0;
        let is_http = trace.is_request || !trace.id.is_none();
        let spoken = if is_http { Spoken::Http } else { Spoken::Bytes };
        let closed = Closed::of(reason, spoken, is_answered);
        trace::end(0, closed.map(|it| it.cause), client, cx);
    }
}

fn write_closed(
    client: &mut Client,
    partial_head: Option<Instant>,
    reason: Reason,
    cx: &mut Context,
) {
    if cx.access_log.is_none() {
        return;
    }
    let begun = client.account.take();
    let before = client.duplex.moved();
    let partial = || Some(Account::new(partial_head?, About::NoRequest, before));
    let Some(mut account) = begun.or_else(partial) else { return };
    let gave_up =
        matches!(reason, Reason::ClientBroke(_) | Reason::ClientStalled | Reason::ClientLeft);
    if account.status == 0 && gave_up && !matches!(account.about, About::Tcp(_)) {
        account.status = 499;
    }
    account.why = match reason {
        Reason::Barred(rule) => {
            Some(Why { cause: Cause::Guard, detail: refused_by(rule, cx).into() })
        }
        Reason::NoProxyHeader(fault) => {
            let cause = Cause::NoProxyHeader;
            Some(Why { cause, detail: format!("{}: {fault}", cause.says()).into() })
        }
        _ => account.why_closed(reason),
    };
    write(&account, moved(&account, client), client, cx);
}

/// What was relayed since the account was begun.
fn moved(account: &Account, client: &Client) -> Moved {
    client.duplex.moved().since(account.before)
}

fn write(account: &Account, moved: Moved, client: &Client, cx: &mut Context) {
    let Context { access_log, backends, listeners, services, stats, now, .. } = cx;
    let Some(log) = access_log else { return };
    let listener = &listeners[client.listener].stats;
    let backend_name = account.backend.map(|id| backends.name(id));
    let what = match &account.about {
        About::Tcp(_) => What::Tcp,
        About::Handshake(why) => What::Handshake { why: why.to_string() },
        about => What::Http {
            asked: if let About::Request(words) = about { Some(words.asked()) } else { None },
            status: account.status,
            body: moved.to_client.saturating_sub(account.head_bytes),
        },
    };
    let tls = client.socket.tls();
    let passed_on = if let About::Tcp(name) = &account.about { name.as_deref() } else { None };
    let facts = tls.and_then(Tls::agreed);
    let service = client.home.service.and_then(|id| services.get(id));
    let why = account.why.as_ref();
    let ending = why.map_or(Ending::WELL, |why| account.ending_of(why.cause));
    let server = match (ending.who, backend_name) {
        (Who::Local, _) => ServedBy::Ourselves,
        (_, Some(name)) => ServedBy::Backend(name),
        (_, None) => ServedBy::Nobody,
    };
    let counts = Counts {
        process: stats.open,
        listener: listener.open,
        pool: backends.connections_in(client.home.pool),
        backend: account.backend.map_or(0, |id| backends.connections(id)),
    };
    let began = log.time_of(account.began, *now);
    let times = account.times(*now);
    let retries = account.retries;
    let why = why.map(|why| Why { cause: why.cause, detail: Cow::Borrowed(&*why.detail) });
    let asked = account.tried.iter().chain(&account.backend);
    let needs_all = why.is_some() || retries > 0;
    let tried = asked.filter(|_| needs_all).map(|id| backends.name(*id)).collect();
    log.add(&Record {
        client: client.address,
        listener: &listener.name,
        service: service.map(|service| &*service.name),
        pool: backends.pool(client.home.pool).map(|pool| &*pool.name),
        server,
        backend_address: account.backend.and_then(|id| backends.get(id)?.address()),
        tls: facts.map(|(version, cipher)| TlsFacts { version, cipher }),
        server_name: passed_on.or_else(|| tls?.server_name()),
        began,
        what,
        times,
        sent: moved.to_client,
        received: moved.to_backend,
        ending,
        counts,
        retries,
        why,
        tried,
        request_id: trace::id(client).map(RequestId::as_str),
        in_front: client.proxied().map(Proxied::for_the_log),
    });
}

/// What the access log says of a refusal by this rule.
fn refused_by(rule: RuleId, cx: &Context) -> String {
    let says = Cause::Guard.says();
    match cx.guard.book.get(rule) {
        Some(rule) => format!("{says}: {rule}"),
        None => says.to_owned(),
    }
}
