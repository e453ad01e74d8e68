//! Answers that we make ourselves, in place of a backend's.

use std::io::IoSlice;

use crate::context::Context;
use crate::http::added::Proto;
use crate::http::answer::{self, How};
use crate::net::{Fault, Socket};
use crate::services::Page;

use super::super::account::OwnAnswer;
use super::super::client::Client;
use super::super::report;
use super::{Http, HttpStep, PARTING, client_broke};

/// Answer a request that could not be parsed; the connection ends.
#[cold]
pub(super) fn refuse(
    own: OwnAnswer,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> HttpStep {
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
    let mut flat = std::mem::take(&mut cx.http.flat);
    flat.clear();
    let added = cx.added(client.home, speaks(client));
    match page_of(own.status, client, cx) {
        Some(Page { content_type, body }) => {
            answer::respond(own.status, content_type, body, how, &added, &mut flat);
        }
        None => answer::answer(own.status, own.why, how, &added, &mut flat),
    }
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

/// The operator's body for answers of this status, if its service has one.
fn page_of<'a>(status: u16, client: &Client, cx: &'a Context) -> Option<&'a Page> {
    let service = cx.services.get(client.home.service?)?;
    service.rules.as_ref()?.pages.get(&status).map(|page| &**page)
}

/// The protocol between this client and us.
pub(super) fn speaks(client: &Client) -> Proto {
    if client.socket.tls().is_some() { Proto::Https } else { Proto::Http }
}

/// What follows an answer of our own.
pub(super) fn after(keep_alive: bool) -> HttpStep {
    if keep_alive { HttpStep::Next } else { PARTING }
}
