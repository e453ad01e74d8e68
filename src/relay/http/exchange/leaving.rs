//! A client that waits for its answer may leave: when that is looked for, and what comes of it.

use std::time::Instant;

use crate::context::Context;
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_UNWATCHED};
use crate::net::{Received, Socket};

use super::super::super::client::Client;
use super::super::super::verdict::Reason;
use super::super::Http;
use super::{Exchange, ExchangeTurn};

/// Bytes or an end came from a client that waits for its answer.
#[cold]
pub(super) fn read_waiting_client(
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> Option<ExchangeTurn> {
    match client.socket.receive(&mut cx.scratch[..HTTP_HEAD_BYTES_MAX]) {
        Received::Bytes(count) => {
            http.keep(&cx.scratch[..count]);
            None
        }
        Received::WouldBlock => None,
        Received::Eof => Some(client_gave_up(Reason::ClientLeft, cx)),
        Received::Broken(fault) => Some(client_gave_up(Reason::ClientBroke(fault), cx)),
    }
}

/// The client went away before it had its answer.
#[cold]
pub(super) fn client_gave_up(reason: Reason, cx: &mut Context) -> ExchangeTurn {
    cx.stats.aborted += 1;
    ExchangeTurn::Close(reason)
}

impl Exchange {
    /// When to read from a client that may have left, with `--abort-on-close`: `None` if it has not
    /// finished sending, or if another request waits. Under TLS a close_notify may come without a
    /// FIN, so that whatever comes has to be read.
    pub(in crate::relay::http) fn patience_ends(
        &self,
        http: &Http,
        client: &Client,
        cx: &Context,
    ) -> Option<Instant> {
        // Mostly it cannot be read.
        let may_have_left = client.socket.can_read()
            && (client.socket.is_ending() || client.socket.tls().is_some())
            && self.request.is_read()
            && http.input.is_empty()
            && cx.service(client.home.service).abort_on_close;
        may_have_left.then(|| self.asked_at + HTTP_UNWATCHED)
    }

    pub(super) fn patience_is_over(&self, http: &Http, client: &Client, cx: &Context) -> bool {
        self.patience_ends(http, client, cx).is_some_and(|end| end <= cx.now)
    }
}
