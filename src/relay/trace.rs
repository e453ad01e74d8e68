//! What the exchange of a client is found again by: the id of its request.
//!
//! ```text
//!   begin (a head is whole) --- added to heads, said in our pages --- end (its line is written)
//! ```

use crate::config::RequestIds;
use crate::context::{Context, Trace};
use crate::http::RequestId;
use crate::http::added::Added;

use super::client::Client;

/// The head of a request lies at the beginning of the scratch buffer, and its service is known.
#[inline]
pub fn begin_request(client: &mut Client, cx: &mut Context) {
    match cx.service(client.home.service).request_ids {
        RequestIds::Off => {}
        wanted => identify(wanted, client, cx),
    }
}

#[inline(never)]
fn identify(wanted: RequestIds, client: &mut Client, cx: &mut Context) {
    let id = cx.traces.maker.of(&cx.http.fields, &cx.scratch, wanted, cx.now);
    trace(client, cx).id = id;
}

/// What came is no request, and is answered all the same.
pub fn begin_refused(client: &mut Client, cx: &mut Context) {
    if cx.service(client.home.service).request_ids != RequestIds::Off {
        let id = cx.traces.maker.make(cx.now);
        trace(client, cx).id = id;
    }
}

/// The exchange is over.
#[inline]
pub fn end(client: &mut Client, cx: &mut Context) {
    if let Some(trace) = client.trace.take() {
        cx.traces.give_back(trace);
    }
}

/// The id of the client's request, if it has one.
pub fn id(client: &Client) -> Option<&RequestId> {
    client.trace.as_ref()?.id()
}

/// What is added to the heads of answers of our own.
pub fn added<'a>(client: &'a Client, cx: &'a Context) -> Added<'a> {
    Added { request_id: id(client), ..cx.added(client.home, client.proto()) }
}

fn trace<'a>(client: &'a mut Client, cx: &mut Context) -> &'a mut Trace {
    client.trace.get_or_insert_with(|| cx.traces.lend())
}
