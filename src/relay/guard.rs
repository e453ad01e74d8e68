//! The guard's phase of a listener: who is not let in is closed before a byte of it is read; and
//! what the guard says of a request.

use std::net::IpAddr;
use std::time::Instant;

use log::info;

use crate::access_log::Cause;
use crate::config::{Condition, Reject, quoted};
use crate::context::Context;
use crate::event::{ListenerId, ServiceId};
use crate::flow::FlowKey;
use crate::guard::{Admission, Asking, Refusal, RefusalKind, RuleId};
use crate::http::{RequestHead, client_meant};

use super::account::OwnAnswer;
use super::client::Client;
use super::report;
use super::strike::strike;
use super::verdict::{Reason, Successor, Verdict};

/// The phase: let the client in, or close it.
pub fn admit(client: &mut Client, cx: &mut Context) -> Verdict {
    let now = cx.guard.time(cx.now);
    let address = client.address.ip();
    let listener = &mut cx.listeners[client.listener].guard;
    match cx.guard.admit(address, listener, now) {
        Ok(admission) => {
            client.admission = admission;
            tell_tried(client, cx);
            Verdict::Become(Successor::NextPhase)
        }
        Err(refusal) => bar(refusal, client, cx),
    }
}

/// Whether a client may begin a handshake; what becomes of it if not.
pub fn handshake(client: &mut Client, cx: &mut Context) -> Option<Verdict> {
    let now = cx.guard.time(cx.now);
    let limits = &mut cx.listeners[client.listener].guard.limits;
    let answer = limits.handshake(client.address.ip(), now, &mut cx.guard.book);
    match answer {
        Ok(()) => {
            tell_tried(client, cx);
            None
        }
        Err(refusal) => Some(bar(refusal, client, cx)),
    }
}

/// A connection is not let in.
#[cold]
fn bar(refusal: Refusal, client: &mut Client, cx: &mut Context) -> Verdict {
    report::begin(Some(client.active_at(cx)), client, cx);
    refused(&refusal, client.address.ip(), client, cx);
    let limited = refusal.kind == RefusalKind::Limited;
    let reject = cx.listeners[client.listener].guard.terms.reject;
    if limited && reject == Reject::Tarpit && hold(cx) {
        client.arm_by(held_until(client, cx), cx);
        return Verdict::Become(Successor::Held(refusal.rule));
    }
    if reject == Reject::Reset {
        client.socket.reset_on_close();
    }
    Verdict::Close(Reason::Barred(refusal.rule))
}

/// Whether one more may be held in the tarpit; it is counted there.
fn hold(cx: &mut Context) -> bool {
    let most = cx.settings.max_connections;
    cx.guard.hold(most)
}

fn held_until(client: &Client, cx: &Context) -> Instant {
    client.opened_at(cx) + cx.listeners[client.listener].guard.terms.tarpit
}

/// The timer fired of a connection that is held.
pub fn on_timer_of_held(rule: RuleId, client: &mut Client, cx: &mut Context) -> Verdict {
    let until = held_until(client, cx);
    if until > cx.now && !cx.draining {
        client.arm_by(until, cx);
        return Verdict::Keep;
    }
    client.socket.reset_on_close();
    Verdict::Close(Reason::Barred(rule))
}

/// A client that was let in is gone, or is about to be.
pub fn gone(client: &mut Client, cx: &mut Context) {
    let limits = &mut cx.listeners[client.listener].guard.limits;
    let admission = std::mem::replace(&mut client.admission, Admission::NONE);
    limits.gone(client.address.ip(), admission);
}

/// Whether the client's service, of whose requests nothing is known, takes it.
pub fn serve(client: &mut Client, cx: &mut Context) -> Result<(), Reason> {
    let service = client.home.service.and_then(|id| cx.services.get_mut(id));
    let Some(service) = service.filter(|it| it.guard.is_on()) else { return Ok(()) };
    let address = client.address.ip();
    let reject = service.guard.terms.reject;
    match cx.guard.connection(address, 1, &mut service.guard) {
        Ok(()) => Ok(()),
        Err(refusal) => {
            refused(&refusal, address, client, cx);
            if reject == Reject::Reset {
                client.socket.reset_on_close();
            }
            Err(Reason::Barred(refusal.rule))
        }
    }
}

/// Whether so many datagrams of somebody who has no flow may open one. Those that may not are
/// dropped, and counted by their rule.
pub fn datagrams(client: FlowKey, count: u64, cx: &mut Context) -> bool {
    let address = client.address().ip();
    let Some(listener) = cx.listeners.get_mut(client.listener) else { return true };
    let service = listener.only.and_then(|id| cx.services.get_mut(id));
    let mut asked = cx.guard.datagrams(address, count, &mut listener.guard, cx.now);
    if let Some(service) = service.filter(|it| asked.is_ok() && it.guard.is_on()) {
        asked = cx.guard.connection(address, count, &mut service.guard);
    }
    let Err(refusal) = asked else { return true };
    tell(&refusal, address, client.listener, None, cx);
    false
}

/// What a request to this service is answered, if a rule refuses it.
#[cold]
pub fn request(
    service: ServiceId,
    head: &RequestHead,
    client: &Client,
    cx: &mut Context,
) -> Option<OwnAnswer> {
    let now = cx.guard.time(cx.now);
    let asking = Asking { client: who_asks(client, cx) };
    let rules = &mut cx.services.get_mut(service)?.guard;
    let fields = &cx.http.fields;
    let field = |name: &str, nth: usize| {
        fields.nth(&cx.scratch, name, nth).map(|it| it.of(&cx.scratch))
    };
    let listener = &cx.listeners[client.listener].name;
    let facts = client.facts(head, fields, &cx.scratch, listener);
    let holds = |condition: &Condition| condition.holds(&facts);
    let answer = cx.guard.request(&asking, field, holds, rules, now);
    let terms = &rules.terms;
    let has_fields = terms.rate_fields;
    let tarpit = (terms.reject == Reject::Tarpit).then_some(terms.tarpit);
    let quota = answer.err().and_then(|refusal| rules.limits.quota(refusal.rule));
    let Err(refusal) = answer else {
        tell_tried(client, cx);
        return None;
    };
    refused(&refusal, asking.client, client, cx);
    let holds = tarpit.filter(|_| refusal.kind == RefusalKind::Limited && hold(cx));
    let own = match refusal.kind {
        RefusalKind::Denied => OwnAnswer::saying(403, Cause::Guard, "not for this address"),
        RefusalKind::Limited => OwnAnswer::saying(429, Cause::Guard, "too many requests"),
    };
    let quota = quota.filter(|_| has_fields);
    let rule = Some(refusal.rule);
    Some(OwnAnswer { rule, retry_after: refusal.retry_after, quota, holds, ..own })
}

/// The client that the request is from whose head lies at the beginning of the scratch buffer.
fn who_asks(client: &Client, cx: &Context) -> IpAddr {
    let settings = cx.listener(client.listener);
    let trusts = |peer| settings.trusts(peer);
    client_meant(client.address.ip(), trusts, &cx.http.fields, &cx.scratch)
}

/// The same of whom a rule would refuse that is only tried.
fn tell_tried(client: &Client, cx: &mut Context) {
    let Some(rule) = cx.guard.book.take_tried() else { return };
    if let Some(rule) = cx.guard.book.to_tell(rule, cx.now) {
        let count = rule.counts.would_refuse;
        info!("guard: {rule} would refuse {}, {count} so far", client.address);
    }
}

/// Somebody was refused: perhaps a strike, and a line of the log.
fn refused(refusal: &Refusal, address: IpAddr, client: &Client, cx: &mut Context) {
    if refusal.is_own {
        strike(address, client.listener, "more than a limit lets in", cx);
    }
    tell(refusal, address, client.listener, client.home.service, cx);
}

/// A line of the log, once in a while for each rule.
fn tell(
    refusal: &Refusal,
    address: IpAddr,
    listener: ListenerId,
    service: Option<ServiceId>,
    cx: &mut Context,
) {
    if cx.guard.book.to_tell(refusal.rule, cx.now).is_none() {
        return;
    }
    let why = why(refusal, address, listener, service, cx);
    if let Some(rule) = cx.guard.book.get(refusal.rule) {
        info!("guard: {rule} refuses {address}{why}, {} so far", rule.counts.refused);
    }
}

/// Which network of which list, or why it is banned, for the log.
fn why(
    refusal: &Refusal,
    address: IpAddr,
    listener: ListenerId,
    service: Option<ServiceId>,
    cx: &Context,
) -> String {
    if refusal.kind == RefusalKind::Limited {
        return String::new();
    }
    if let Some((network, ban)) = cx.guard.banning.bans.find(address, cx.now) {
        return format!(" ({network}, by {}: {})", ban.by, quoted(&ban.why));
    }
    let listener = cx.listeners.get(listener).and_then(|it| it.guard.access.why(address));
    let service = || cx.services.get(service?).and_then(|it| it.guard.access.why(address));
    listener.or_else(service).map(|why| format!(" ({why})")).unwrap_or_default()
}
