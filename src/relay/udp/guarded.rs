//! What the guard says of datagrams and of flows that they would begin: those that are too many are
//! dropped, and counted by its rules.

use crate::context::Context;
use crate::flow::FlowKey;
use crate::guard::FlowCount;
use crate::net::Piece;

/// What is let in of these datagrams of a client.
#[inline]
pub(super) fn admitted(client: &FlowKey, piece: Piece, cx: &mut Context) -> Option<Piece> {
    let now = cx.guard.time(cx.now);
    let guard = &mut cx.listeners[client.listener].guard.datagrams;
    let count = piece.count();
    match guard.take(client.address().ip(), count, now, &mut cx.guard.book) {
        0 => None,
        taken if taken == count => Some(piece),
        taken => Some(piece.split(taken).0),
    }
}

/// Whether a client may have another flow, which so many datagrams are for.
pub(super) fn may_open(client: &FlowKey, count: u32, cx: &mut Context) -> bool {
    let guard = &cx.listeners[client.listener].guard.datagrams;
    guard.may_open(client.address().ip(), count, &mut cx.guard.book)
}

/// A flow begins.
pub(super) fn begin(client: &FlowKey, cx: &mut Context) -> FlowCount {
    let now = cx.guard.time(cx.now);
    let guard = &mut cx.listeners[client.listener].guard.datagrams;
    guard.begin(client.address().ip(), now)
}

/// A flow is over that was counted so.
pub(super) fn end(client: &FlowKey, counted: FlowCount, cx: &mut Context) {
    let guard = &mut cx.listeners[client.listener].guard.datagrams;
    guard.end(client.address().ip(), counted);
}
