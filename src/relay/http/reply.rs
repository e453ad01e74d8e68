//! Answers that we make ourselves, in place of a backend's.

use std::io::IoSlice;
use std::sync::Arc;

use crate::context::Context;
use crate::guard::Quota;
use crate::http::added::{Added, LimitFields};
use crate::http::answer::{self, How};
use crate::net::{Fault, Socket};
use crate::services::Page;

use super::super::account::OwnAnswer;
use super::super::client::Client;
use super::super::{report, trace};
use super::own_page::{OwnPage, after};
use super::{Http, HttpStep, client_broke};

/// Answer a request that could not be parsed; the connection ends.
#[cold]
pub(super) fn refuse(
    own: OwnAnswer,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> HttpStep {
    trace::begin_refused(client, cx);
    answer(own, How::LAST, http, client, cx)
}

/// Send an answer of our own. No part of another final answer may have been sent before.
pub(super) fn answer(
    own: OwnAnswer,
    how: How,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> HttpStep {
    if client.duplex.response.held() > 0 {
        // An interim answer waits because the client does not read; it would not read this one.
        return client_broke(Fault::TimedOut);
    }
    let added = &added_to(&own, client, cx);
    if let Some(page) = page_of(own.status, client, cx) {
        let Page { content_type, body } = &*page;
        let mut head = Vec::new();
        answer::respond_head(own.status, content_type, body.len(), how, added, &mut head);
        let body = answer::has_body(own.status, how).then_some(page);
        let page = OwnPage::with_body(head, body, how.keep_alive);
        return page.begin(own, http.head_since.take(), http, client, cx);
    }
    let mut flat = std::mem::take(&mut cx.http.flat);
    flat.clear();
    let added = &added_to(&own, client, cx);
    answer::answer(own.status, own.why, how, added, &mut flat);
    if !how.keep_alive {
        client.socket.end_follows();
    }
    let direction = &mut client.duplex.response;
    let sent = direction.offer(&[IoSlice::new(&flat)], &mut client.socket, &mut cx.buffers);
    report::own_answer(own, &flat, http.head_since.take(), client, cx);
    cx.http.flat = flat;
    match sent {
        Ok(()) => after(how.keep_alive),
        Err(fault) => client_broke(fault),
    }
}

/// What is added to the head of an answer.
fn added_to<'a>(own: &OwnAnswer, client: &'a Client, cx: &'a Context) -> Added<'a> {
    let rule = own.rule.and_then(|rule| cx.guard.book.get(rule));
    let limit = own.quota.zip(rule).map(|(Quota { count, window }, rule)| LimitFields {
        name: &rule.name,
        count,
        window,
    });
    Added { retry_after: own.retry_after, limit, ..trace::added(client, cx) }
}

/// The operator's body for answers of this status, if its service has one.
fn page_of(status: u16, client: &Client, cx: &Context) -> Option<Arc<Page>> {
    let service = cx.services.get(client.home.service?)?;
    service.rules.as_ref()?.pages.get(&status).cloned()
}
