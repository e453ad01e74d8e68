//! The guard's phase of a listener: who is not let in is closed before a byte of it is read; and
//! what the guard says of a request.

use std::net::IpAddr;

use log::info;

use crate::access_log::Cause;
use crate::config::quoted;
use crate::context::Context;
use crate::event::{ListenerId, ServiceId};
use crate::flow::FlowKey;
use crate::guard::{Asking, Refusal, RefusalKind};
use crate::http::client_meant;

use super::account::OwnAnswer;
use super::client::Client;
use super::report;
use super::strike::strike;
use super::verdict::{Reason, Successor, Verdict};

/// The phase: let the client in, or close it.
pub fn admit(client: &mut Client, cx: &mut Context) -> Verdict {
    let now = cx.guard.time(cx.now);
    let listener = &mut cx.listeners[client.listener].guard;
    match cx.guard.admit(client.address.ip(), listener, now) {
        Ok(()) => {
            client.is_admitted = true;
            Verdict::Become(Successor::NextPhase)
        }
        Err(refusal) => {
            report::begin(Some(client.active_at(cx)), client, cx);
            refused(&refusal, client.address.ip(), client, cx);
            Verdict::Close(Reason::Barred(refusal.rule))
        }
    }
}

/// Whether the client's service, of whose requests nothing is known, takes it.
pub fn serve(client: &Client, cx: &mut Context) -> Result<(), Reason> {
    let service = client.home.service.and_then(|id| cx.services.get_mut(id));
    let Some(service) = service.filter(|it| it.guard.is_on()) else { return Ok(()) };
    let address = client.address.ip();
    match cx.guard.connection(address, 1, &mut service.guard) {
        Ok(()) => Ok(()),
        Err(refusal) => {
            refused(&refusal, address, client, cx);
            Err(Reason::Barred(refusal.rule))
        }
    }
}

/// Whether so many datagrams of somebody who has no flow may open one. Those that may not are
/// dropped, and counted by their rule.
pub fn datagrams(client: FlowKey, count: u64, cx: &mut Context) -> bool {
    let address = client.address.ip();
    let Some(listener) = cx.listeners.get_mut(client.listener) else { return true };
    let service = listener.only.and_then(|id| cx.services.get_mut(id));
    let mut asked = cx.guard.datagrams(address, count, &mut listener.guard, cx.now);
    if let Some(service) = service.filter(|it| asked.is_ok() && it.guard.is_on()) {
        asked = cx.guard.connection(address, count, &mut service.guard);
    }
    let Err(refusal) = asked else { return true };
    if refusal.kind == RefusalKind::Limited {
        strike(address, client.listener, "a limit of datagrams", cx);
    }
    tell(&refusal, address, client.listener, None, cx);
    false
}

/// A client that was let in is gone.
pub fn gone(client: &Client, cx: &mut Context) {
    if client.is_admitted {
        let now = cx.guard.time(cx.now);
        let listener = &mut cx.listeners[client.listener].guard;
        cx.guard.gone(client.address.ip(), listener, now);
    }
}

/// What a request to this service is answered, if a rule refuses it.
#[cold]
pub fn request(service: ServiceId, client: &Client, cx: &mut Context) -> Option<OwnAnswer> {
    let now = cx.guard.time(cx.now);
    let asking = Asking { client: meant(client, cx) };
    let rules = &mut cx.services.get_mut(service)?.guard;
    let refusal = cx.guard.request(&asking, rules, now).err()?;
    refused(&refusal, asking.client, client, cx);
    let own = match refusal.kind {
        RefusalKind::Denied => OwnAnswer::saying(403, Cause::Guard, "not for this address"),
        RefusalKind::Limited => OwnAnswer::saying(429, Cause::Guard, "too many requests"),
    };
    Some(OwnAnswer { rule: Some(refusal.rule), retry_after: refusal.retry_after, ..own })
}

/// The client that is meant by the request whose fields are there.
fn meant(client: &Client, cx: &Context) -> IpAddr {
    let settings = cx.listener(client.listener);
    let peer = client.address.ip();
    client_meant(peer, &cx.http.fields, &cx.scratch, |it| settings.trusts(it))
}

/// Somebody was refused: perhaps a strike, and a line of the log.
fn refused(refusal: &Refusal, address: IpAddr, client: &Client, cx: &mut Context) {
    if refusal.kind == RefusalKind::Limited {
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
