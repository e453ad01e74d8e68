//! A client that was sent more than its share (`--limit-bandwidth`): nothing is read of its backend
//! until it may be sent something again. So the backend is slowed down by its own full buffers, and
//! nothing is held here.
//!
//! ```text
//!   a turn begins ---> owes too much: its backend's connection is not read, the timer is set
//!   a turn ends -----> what was sent is charged to the client's address
//!   the timer -------> owes little enough: as if its backend had an event
//! ```
//!
//! Called by the talks that move bytes. Without the limit a turn costs one look at its listener.

use std::time::Duration;

use crate::context::Context;

use super::client::Client;

/// A turn begins: hold the backend back, or release it.
#[inline]
pub fn begin_turn(client: &mut Client, cx: &mut Context) {
    if cx.listeners[client.listener].guard.bandwidth.is_some() {
        hold_or_release(client, cx);
    }
}

/// A turn ends; when it began, so many bytes had been sent.
#[inline]
pub fn end_turn(before: u64, client: &Client, cx: &mut Context) {
    let sent = client.duplex.response.moved() - before;
    let now = cx.guard.time(cx.now);
    let limit = &mut cx.listeners[client.listener].guard.bandwidth;
    if let Some(limit) = limit
        && sent > 0
    {
        limit.charge(client.address.ip(), sent, now);
    }
}

/// The timer fired: whether a backend that was held back is to be read again. One that still has to
/// wait is not idle.
pub fn is_released(client: &mut Client, cx: &mut Context) -> bool {
    let connection = client.link.key().and_then(|key| cx.connections.get(key));
    if !connection.is_some_and(|connection| connection.is_held_back) {
        return false;
    }
    client.note_active(cx);
    hold_or_release(client, cx).is_zero()
}

/// For how long it is held back.
#[cold]
fn hold_or_release(client: &mut Client, cx: &mut Context) -> Duration {
    let now = cx.guard.time(cx.now);
    let Context { listeners, guard, connections, .. } = cx;
    let connection = client.link.key().and_then(|key| connections.get_mut(key));
    let Some(connection) = connection.filter(|_| client.link.is_connected()) else {
        return Duration::ZERO;
    };
    let begins = !connection.is_held_back;
    let limit = listeners[client.listener].guard.bandwidth.as_ref();
    let wait = limit.map_or(Duration::ZERO, |limit| {
        limit.wait(client.address.ip(), begins, now, &mut guard.book)
    });
    if wait.is_zero() {
        connection.release();
    } else {
        connection.hold_back();
        client.arm_by(cx.now + wait, cx);
    }
    wait
}
