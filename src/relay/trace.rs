//! What the exchange or the connection of a client is found again by: the id of its request, and
//! the record of its pick.
//!
//! ```text
//!   HTTP   begin_request (id, what is asked) --+
//!   TCP    named (the server name, if any) ----+-- begin_pick, chosen --- answered --- end
//!                                                   (once for each try)
//! ```
//!
//! A trace is lent from the first of these that has something to say to `end`, so that nothing is
//! there of it without `--request-id` and `--picks`.

use std::num::NonZeroU8;

use crate::access_log::Cause;
use crate::backends::ServerId;
use crate::balance::Ask;
use crate::config::RequestIds;
use crate::context::{Context, Trace};
use crate::http::added::Added;
use crate::http::{RequestHead, RequestId};
use crate::picks::{AskedText, Asker, PickEnd, PickNumber, PickedBy};

use super::client::Client;

/// The head of a request lies at the beginning of the scratch buffer, and its service is known,
/// and its pool, perhaps by a rule.
#[inline]
pub fn begin_request(
    head: &RequestHead,
    rule: Option<NonZeroU8>,
    client: &mut Client,
    cx: &mut Context,
) {
    match cx.service(client.home.service).request_ids {
        RequestIds::Off => {}
        wanted => identify(wanted, client, cx),
    }
    if cx.picks.is_on() {
        note_asked(head, rule, client, cx);
    }
}

#[inline(never)]
fn identify(wanted: RequestIds, client: &mut Client, cx: &mut Context) {
    let id = cx.traces.maker.of(&cx.http.fields, &cx.scratch, wanted, cx.now);
    trace(client, cx).id = id;
}

#[inline(never)]
fn note_asked(
    head: &RequestHead,
    rule: Option<NonZeroU8>,
    client: &mut Client,
    cx: &mut Context,
) {
    let input = &cx.scratch;
    let parts = [head.method_name.of(input), b" ", head.target.of(input)];
    let asked = AskedText::of(&parts);
    let trace = trace(client, cx);
    trace.asked = asked;
    trace.rule = rule;
    trace.is_request = true;
}

/// What came is no request, and is answered all the same.
pub fn begin_refused(client: &mut Client, cx: &mut Context) {
    if cx.service(client.home.service).request_ids != RequestIds::Off {
        let id = cx.traces.maker.make(cx.now);
        trace(client, cx).id = id;
    }
}

/// A connection that is relayed as it is asks for this server name.
pub fn named(name: Option<&str>, client: &mut Client, cx: &mut Context) {
    if let Some(name) = name.filter(|_| cx.picks.is_on()) {
        let asked = AskedText::of(&[name.as_bytes()]);
        trace(client, cx).asked = asked;
    }
}

/// A backend is about to be picked: keep what there is to pick from. If one was picked before, it
/// did not do.
#[inline(never)]
pub fn begin_pick(by: PickedBy, client: &mut Client, cx: &mut Context) {
    let ask = Ask { client: client.address.ip(), key: client.hash_key(), now: cx.now };
    let fault = client.connect_fault();
    let attempt = client.tried().len() as u32 + 1;
    let from = client.address.address();
    let trace = trace(client, cx);
    if let Some(before) = trace.pick.take() {
        cx.picks.end(before, PickEnd::tried_another(fault), cx.now);
    }
    let asker = Asker {
        client: from,
        listener: client.listener,
        service: client.home.service,
        pool: client.home.pool,
        rule: trace_of(client).and_then(|it| it.rule),
        request_id: id(client).copied().unwrap_or_default(),
        asked: trace_of(client).map_or(AskedText::NONE, |it| it.asked),
    };
    let number = picture(asker, by, attempt, (&ask, client.tried()), cx);
    if let Some(trace) = &mut client.trace {
        trace.pick = number;
    }
}

/// Keep what there is to pick from, for whoever asks, without those that were tried.
pub fn picture(
    asker: Asker,
    by: PickedBy,
    attempt: u32,
    (ask, tried): (&Ask, &[ServerId]),
    cx: &mut Context,
) -> Option<PickNumber> {
    let Context { picks, backends, now, .. } = cx;
    let pool = backends.pool(asker.pool);
    let pick = picks.begin(asker, by, attempt, *now)?;
    if let Some(pool) = pool {
        pool.picture(ask, tried, &mut pick.picture);
    } else {
        pick.picture = Default::default();
    }
    PickNumber::new(pick.number)
}

/// This one was picked, or nobody.
pub fn chosen(backend: Option<ServerId>, client: &Client, cx: &mut Context) {
    let number = client.trace.as_ref().and_then(|it| it.pick);
    if let Some(pick) = number.and_then(|number| cx.picks.get_mut(number.get())) {
        pick.choice = backend;
    }
}

/// The head of the answer was passed on.
pub fn answered(status: u16, client: &mut Client) {
    if let Some(trace) = &mut client.trace {
        trace.status = status;
    }
}

/// The exchange is over with the answer that was passed on.
#[inline]
pub fn finish(client: &mut Client, cx: &mut Context) {
    if let Some(trace) = &client.trace {
        let status = trace.status;
        end(status, None, client, cx);
    }
}

/// The exchange or the connection is over.
pub fn end(status: u16, cause: Option<Cause>, client: &mut Client, cx: &mut Context) {
    let Some(trace) = client.trace.take() else { return };
    if let Some(number) = trace.pick {
        let status = if status == 0 { trace.status } else { status };
        cx.picks.end(number, PickEnd::of(status, cause), cx.now);
    }
    cx.traces.give_back(trace);
}

/// The id of the client's request, if it has one.
pub fn id(client: &Client) -> Option<&RequestId> {
    trace_of(client)?.id()
}

/// The id of the client's request or connection; it gets one if it has none.
pub fn identified(client: &mut Client, cx: &mut Context) -> RequestId {
    if let Some(id) = id(client) {
        return *id;
    }
    let id = cx.traces.maker.make(cx.now);
    let trace = trace(client, cx);
    trace.id = id;
    trace.is_of_the_header = true;
    id
}

/// What is added to the heads of answers of our own.
pub fn added<'a>(client: &'a Client, cx: &'a Context) -> Added<'a> {
    let request_id = trace_of(client).and_then(Trace::id_in_heads);
    Added { request_id, ..cx.added(client.home, client.proto()) }
}

fn trace_of(client: &Client) -> Option<&Trace> {
    client.trace.as_deref()
}

fn trace<'a>(client: &'a mut Client, cx: &mut Context) -> &'a mut Trace {
    client.trace.get_or_insert_with(|| cx.traces.lend())
}
