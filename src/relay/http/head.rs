//! The client's next request: read until its head is whole, then find it a backend.

use crate::context::Context;
use crate::http::request::empty_lines;
use crate::http::{Parse, Scan, parse_request};
use crate::limits::HTTP_FRAMING_ROOM;
use crate::net::{Fault, Received, Socket};

use super::super::client::{Client, Link};
use super::super::report;
use super::super::verdict::Reason;
use super::{Http, HttpStep, client_broke, exchange, pages, put_in_front, reply};

/// Read on, and see whether the head is whole. The bytes read before are put in front of what
/// comes, so that the head lies in one piece in the scratch buffer.
pub(super) fn read(http: &mut Http, client: &mut Client, cx: &mut Context) -> HttpStep {
    if let Some(step) = clear_the_way(client, cx) {
        return step;
    }
    if client.link.key().is_some() {
        look_after_login(client, cx);
    }
    let had = http.input.len();
    if !put_in_front(&http.input, &mut cx.scratch) {
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
            // A client that rests keeps no memory for what it said.
            http.input = Vec::new();
            report::begin_request(&head, http.head_since.take(), client, cx);
            pages::answer(&head, total, http, client, cx)
                .unwrap_or_else(|| exchange::begin(&head, total, http, client, cx))
        }
        Parse::Bad(refusal) => {
            cx.stats.bad_requests += 1;
            reply::refuse(refusal.into(), http, client, cx)
        }
        // Not a word yet: the client rests as before.
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

/// A connection on which the client is logged in waits with it for its next request. Who ends it
/// says so by an event, and then it is closed.
#[cold]
fn look_after_login(client: &mut Client, cx: &mut Context) {
    if let Some(key) = client.link.key()
        && cx.connections.get_mut(key).is_none_or(|connection| !connection.stream.is_quiet())
    {
        client.link = Link::None;
        cx.retire(key);
    }
}

/// The answer before this one has to be on its way before another request is looked at.
fn clear_the_way(client: &mut Client, cx: &mut Context) -> Option<HttpStep> {
    let (_, mut buffers) = cx.connection_and_buffers(None);
    let response = &mut client.duplex.response;
    if let Err(fault) = response.flush_to(&mut client.socket, &mut buffers) {
        return Some(client_broke(fault));
    }
    (response.held() > 0).then_some(HttpStep::Wait)
}
