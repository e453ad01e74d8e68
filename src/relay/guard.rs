//! The guard's phase of a listener: who is not let in is closed before a byte of it is read; and
//! what the guard says of a request.

use log::info;

use crate::access_log::Cause;
use crate::context::Context;
use crate::event::ServiceId;
use crate::guard::{Asking, RefusalKind, RuleId};

use super::account::OwnAnswer;
use super::client::Client;
use super::report;
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
            tell(refusal.rule, client, cx);
            Verdict::Close(Reason::Barred(refusal.rule))
        }
    }
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
    let asking = Asking { client: client.address.ip() };
    let rules = &mut cx.services.get_mut(service)?.guard;
    let refusal = cx.guard.request(&asking, rules, now).err()?;
    tell(refusal.rule, client, cx);
    let own = match refusal.kind {
        RefusalKind::Denied => OwnAnswer::saying(403, Cause::Guard, "not for this address"),
        RefusalKind::Limited => OwnAnswer::saying(429, Cause::Guard, "too many requests"),
    };
    Some(OwnAnswer { rule: Some(refusal.rule), retry_after: refusal.retry_after, ..own })
}

/// A line of the log, once in a while for each rule.
fn tell(rule: RuleId, client: &Client, cx: &mut Context) {
    if let Some(rule) = cx.guard.book.to_tell(rule, cx.now) {
        let refused = rule.counts.refused;
        info!("guard: {rule} refuses {}, {refused} so far", client.address);
    }
}
