//! Which requests another pool gets a copy of, and how it is made.
//!
//! A copy is the request as its backend gets it, head and body. A request whose body came with its
//! head is copied at once; else what leaves of the body is gathered on its way. Off, it costs a
//! branch; on, one allocation and one copy of the bytes, after they were offered to the backend.

use crate::context::{Context, Copies, RequestCopy};
use crate::event::PoolId;
use crate::http::{Framing, RequestHead};
use crate::limits::MIRROR_BYTES_MAX;

use super::super::super::client::Client;
use super::Exchange;

/// The pool that gets a copy of the client's request as well, if one does.
#[inline]
fn mirror_pool(client: &Client, cx: &mut Context) -> Option<PoolId> {
    cx.services.get_mut(client.home.service?)?.next_mirror()
}

impl Exchange {
    /// Decide whether a copy is made, before anything of the request is sent.
    #[inline]
    pub(super) fn plan_copy(
        &mut self,
        is_mirrored: bool,
        head: &RequestHead,
        client: &Client,
        cx: &mut Context,
    ) {
        // That of a request before this one, which broke off.
        cx.lose_copy(client.key);
        if is_mirrored && let Some(pool) = mirror_pool(client, cx) {
            self.plan_copy_to(pool, head, cx);
        }
    }

    #[inline(never)]
    fn plan_copy_to(&mut self, pool: PoolId, head: &RequestHead, cx: &mut Context) {
        // What follows a switch of protocols is no request, and a stop waits for no copy.
        if head.upgrade.is_some() || cx.draining {
            return;
        }
        let body = match head.framing {
            Framing::Length(length) => length,
            Framing::None | Framing::Chunked | Framing::UntilClose => 0,
        };
        if body.saturating_add(head.length as u64) > MIRROR_BYTES_MAX as u64 {
            cx.stats.mirror.dropped_large += 1;
            return;
        }
        if cx.copies.len() >= Copies::most(cx.settings.max_connections) {
            cx.stats.mirror.dropped_busy += 1;
            return;
        }
        self.copied_to = Some(pool);
        if head.framing != Framing::None {
            self.request.be_copied();
        }
    }

    /// Copy what was composed of the first `total` bytes of the scratch buffer: the head, and as
    /// much of the body as came with it.
    #[inline]
    pub(super) fn copy_head(&mut self, total: usize, client: &Client, cx: &mut Context) {
        if let Some(pool) = self.copied_to {
            self.copy_head_to(pool, total, client, cx);
        }
    }

    #[inline(never)]
    fn copy_head_to(&mut self, pool: PoolId, total: usize, client: &Client, cx: &mut Context) {
        let outgoing = &cx.http.outgoing;
        if outgoing.len() > MIRROR_BYTES_MAX {
            return self.give_up_copy(client, cx);
        }
        let mut bytes = Vec::with_capacity(outgoing.len());
        outgoing.copy_to(&cx.scratch[..total], 0, &mut bytes);
        let client_address = client.address.ip();
        let hash_key = client.hash_key();
        let copy =
            RequestCopy { pool, client: client_address, hash_key, asked: self.asked, bytes };
        if self.request.is_read() {
            self.copied_to = None;
            cx.copies.add(copy);
        } else {
            cx.copies.gather(client.key, copy);
        }
    }

    /// Before more of the body is sent: lend it what was gathered, to be added to.
    #[inline]
    pub(super) fn lend_copy(&mut self, client: &Client, cx: &mut Context) {
        if self.copied_to.is_some()
            && let Some(copy) = cx.copies.gathered(client.key)
        {
            cx.http.copy = std::mem::take(&mut copy.bytes);
        }
    }

    /// After that: take it back. It is complete with the body.
    #[inline]
    pub(super) fn take_copy(&mut self, client: &Client, cx: &mut Context) {
        if self.copied_to.is_some() {
            self.take_copy_back(client, cx);
        }
    }

    #[inline(never)]
    fn take_copy_back(&mut self, client: &Client, cx: &mut Context) {
        let bytes = std::mem::take(&mut cx.http.copy);
        if bytes.len() > MIRROR_BYTES_MAX {
            return self.give_up_copy(client, cx);
        }
        if let Some(copy) = cx.copies.gathered(client.key) {
            copy.bytes = bytes;
        }
        if self.request.is_read() {
            self.copied_to = None;
            cx.copies.complete(client.key);
        } else if self.backend_stopped_reading {
            // Nothing more is read of the body.
            self.copied_to = None;
            cx.lose_copy(client.key);
        }
    }

    /// It grew too long.
    #[cold]
    fn give_up_copy(&mut self, client: &Client, cx: &mut Context) {
        self.copied_to = None;
        self.request.be_copied_no_more();
        cx.copies.forget(client.key);
        cx.stats.mirror.dropped_large += 1;
    }
}
