//! A client that waits until a backend of its pool has room.
//!
//! ```text
//!   no room --begin--> Link::Waiting --called--> Link::Called --> a backend is picked
//!                        |    |   \\--half the time: who waits for its own backend may have any
//!                        |    |   \\--too late--> refused
//!                        |    +-- it goes ------> its place is free at once
//!                        +------- all are down -> called, and refused
//! ```
//!
//! Who is called, and when, is `event_loop::waiting`'s; what is kept of a request meanwhile is
//! HTTP's.

use std::time::{Duration, Instant};

use log::debug;

use crate::backends::{NoBackend, Urgency};
use crate::context::Context;
use crate::event::ServerId;

use super::client::{Client, Link};
use super::verdict::Reason;

/// Let it wait, if its pool has a queue with room in it: for the `only` backend that will do, or
/// for any.
pub fn begin(
    urgency: Urgency,
    only: Option<ServerId>,
    client: &mut Client,
    cx: &mut Context,
) -> Result<(), NoBackend> {
    let pool = client.home.pool;
    let ticket = cx.backends.enqueue(pool, client.key, urgency, only, cx.now)?;
    client.link = Link::Waiting(ticket);
    if let Some(account) = &mut client.account {
        account.waits();
    }
    debug!("pair {}: waits for a backend of {}", client.number, cx.backends.pool_name(pool));
    Ok(())
}

/// Whether a refusal for this reason may become a wait.
pub fn may_wait(reason: Reason, client: &Client) -> bool {
    reason == Reason::Refused(NoBackend::NoRoom) && client.tried().is_empty()
}

/// Its turn has come, after so long; it is in no queue any more.
pub fn called(waited: Duration, client: &mut Client) {
    client.link = Link::Called;
    if let Some(account) = &mut client.account {
        account.waited(waited);
    }
}

/// Until when it may wait, or wait for its own backend alone; nothing, if it does not.
pub fn deadline(client: &Client, cx: &Context) -> Option<Instant> {
    let Link::Waiting(ticket) = client.link else { return None };
    let pool = cx.backends.pool(client.home.pool)?;
    let timeout = pool.settings.queue.timeout;
    let may = if pool.queue().is_bound(ticket) { timeout / 2 } else { timeout };
    Some(pool.queue().since(ticket)? + may)
}

/// If it waits for its own backend, it has done so for long enough: it goes to any from now on.
pub fn release(client: &Client, cx: &mut Context) -> bool {
    let Link::Waiting(ticket) = client.link else { return false };
    let pool = client.home.pool;
    let is_bound = cx.backends.pool(pool).is_some_and(|it| it.queue().is_bound(ticket));
    if is_bound {
        debug!("pair {}: waits for any backend from now on", client.number);
        cx.backends.release(pool, ticket);
    }
    is_bound
}

/// It has waited for too long.
pub fn give_up(client: &mut Client, cx: &mut Context) -> Reason {
    cx.backends.note_late(client.home.pool);
    leave(client, cx);
    Reason::Refused(NoBackend::QueueTimeout)
}

/// It is closed, for this reason: its place is free.
pub fn end(reason: Reason, client: &mut Client, cx: &mut Context) {
    if !client.link.is_waiting() {
        return;
    }
    if matches!(reason, Reason::ClientBroke(_) | Reason::ClientLeft) {
        cx.backends.note_left(client.home.pool);
    }
    leave(client, cx);
}

fn leave(client: &mut Client, cx: &mut Context) {
    let Link::Waiting(ticket) = client.link else { return };
    let waited = cx.backends.dequeue(client.home.pool, ticket, cx.now);
    client.link = Link::None;
    if let Some(account) = &mut client.account {
        account.waited_in_vain(waited.unwrap_or_default());
    }
}
