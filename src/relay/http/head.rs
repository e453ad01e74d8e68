//! The client's next request: read until its head is whole, then start an exchange.

use crate::access_log::Cause;
use crate::context::Context;
use crate::http::request::empty_lines;
use crate::http::{Parse, RequestHead, Scan, max_forwards, parse_request};
use crate::limits::HTTP_FRAMING_ROOM;
use crate::net::{Fault, Received, Socket};

use super::super::account::OwnAnswer;
use super::super::client::{Client, Link};
use super::super::routing::{self, Chosen};
use super::super::verdict::Reason;
use super::super::{report, trace};
use super::{Http, HttpStep, client_broke, exchange, pages, put_before, reply};

/// Read, and parse the head. Bytes read in earlier turns are copied to the start of the scratch
/// buffer first, so that the head lies there in one piece.
pub(super) fn read(http: &mut Http, client: &mut Client, cx: &mut Context) -> HttpStep {
    if let Some(step) = flush_previous_answer(client, cx) {
        return step;
    }
    if client.link.key().is_some() {
        check_login_connection(client, cx);
    }
    let had = http.input.len();
    if !put_before(&http.input, &mut cx.scratch) {
        return client_broke(Fault::Other(std::io::ErrorKind::InvalidData));
    }
    let most = cx.scratch.len().saturating_sub(HTTP_FRAMING_ROOM);
    let mut total = had;
    if !std::mem::take(&mut http.fresh) {
        if !client.socket.can_read() {
            return HttpStep::Wait;
        }
        let room = cx.scratch.get_mut(had..most).unwrap_or_default();
        match client.socket.receive(room) {
            Received::Bytes(count) => total += count,
            Received::WouldBlock => return HttpStep::Wait,
            Received::Eof if had == 0 => return HttpStep::Close(Reason::Finished),
            Received::Eof => return client_broke(Fault::CutShort),
            Received::Broken(_) if had == 0 => return HttpStep::Close(Reason::Finished),
            Received::Broken(fault) => return client_broke(fault),
        }
    }
    let bytes = &cx.scratch[..total];
    match parse_request(bytes, &mut http.scan, &mut cx.http.fields) {
        Parse::Done(head) => {
            // An idle client holds no buffer.
            http.input = Vec::new();
            http.asked_since = Some(http.head_since.unwrap_or(cx.now));
            report::begin_request(&head, http.head_since.take(), client, cx);
            let chosen = routing::choose(&head, client, cx);
            trace::begin_request(&head, chosen.rule(), client, cx);
            match chosen {
                Chosen::Backend(_) if is_last_hop(&head, cx) => {
                    pages::own(LAST_HOP, &head, total, http, client, cx)
                }
                Chosen::Backend(served) if served.may_be_answered => {
                    pages::answer(&head, total, http, client, cx).unwrap_or_else(|| {
                        exchange::begin(&head, total, served, http, client, cx)
                    })
                }
                Chosen::Backend(served) => {
                    exchange::begin(&head, total, served, http, client, cx)
                }
                Chosen::Own(own) => pages::own(own, &head, total, http, client, cx),
                Chosen::Ruled(ruled) => pages::ruled(*ruled, &head, total, http, client, cx),
            }
        }
        Parse::Bad(refusal) => {
            cx.stats.bad_requests += 1;
            reply::refuse(refusal.into(), http, client, cx)
        }
        // Nothing but empty lines: the client stays idle.
        Parse::Incomplete if empty_lines(bytes) == bytes.len() => {
            http.input = Vec::new();
            http.scan = Scan::default();
            http.head_since = None;
            if client.socket.can_read() { HttpStep::Next } else { HttpStep::Wait }
        }
        Parse::Incomplete => {
            http.input.extend_from_slice(&bytes[had..]);
            http.head_since.get_or_insert(cx.now);
            if client.socket.can_read() { HttpStep::Next } else { HttpStep::Wait }
        }
    }
}

/// A backend connection on which the client is logged in stays with the client between requests.
/// Any event on it means that the backend closed it, or sent what nobody asked for: give it up.
#[cold]
fn check_login_connection(client: &mut Client, cx: &mut Context) {
    if let Some(key) = client.link.key()
        && cx.connections.get_mut(key).is_none_or(|connection| !connection.stream.is_quiet())
    {
        client.link = Link::None;
        cx.retire(key);
    }
}

/// The previous answer must be sent before another request is read: nothing is sent out of order,
/// and a client that does not read is not read from.
fn flush_previous_answer(client: &mut Client, cx: &mut Context) -> Option<HttpStep> {
    let (_, mut buffers) = cx.connection_and_buffers(None);
    let response = &mut client.duplex.response;
    if let Err(fault) = response.flush_to(&mut client.socket, &mut buffers) {
        return Some(client_broke(fault));
    }
    (response.held() > 0).then_some(HttpStep::Wait)
}

/// Whether the request says that it is to be passed on no more: we are whom it is for.
fn is_last_hop(head: &RequestHead, cx: &Context) -> bool {
    max_forwards::left(head, &cx.http.fields, &cx.scratch) == Some(0)
}

/// What it is answered.
const LAST_HOP: OwnAnswer =
    OwnAnswer::saying(204, Cause::MaxForwards, "it was to be passed on no more");
