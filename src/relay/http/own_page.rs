//! An answer of our own on its way to the client, as fast as that one reads.
//!
//! ```text
//!   bytes of this client's own, then what is there once for all clients that read it:
//!     nothing | the statistics, as soon as they are rendered | a page of the operator's
//! ```

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use crate::access_log::Cause;
use crate::context::Context;
use crate::event::Key;
use crate::http::answer::{self, How};
use crate::limits::{
    BUFFER_BYTES, BYTES_PER_DIRECTION_PER_TURN, STATS_BACKENDS_AT_ONCE, STATS_ROWS_AT_ONCE,
};
use crate::net::Fault;
use crate::services::Page;
use crate::stats::pages::Pages;
use crate::status;

use super::super::account::OwnAnswer;
use super::super::client::Client;
use super::super::verdict::Reason;
use super::super::{report, trace};
use super::{Http, HttpState, HttpStep, PARTING, client_broke};

/// The type of the statistics.
pub(super) const JSON: &str = "application/json";

/// An answer of our own that is being sent.
#[derive(Debug)]
pub(super) struct OwnPage {
    /// The answer, or the head of what lies elsewhere.
    bytes: Vec<u8>,
    /// How many of `bytes` were sent.
    sent: usize,
    keep_alive: bool,
    behind: Behind,
}

/// What follows the bytes of an answer: one copy for all clients that read it, of which so many
/// bytes were `sent`.
#[derive(Debug)]
enum Behind {
    /// Nothing, or the copy was released.
    Nothing,
    /// The statistics, which are being rendered.
    Awaited(How),
    /// The statistics: a copy in `stats::pages`.
    Stats { page: Key, sent: usize },
    /// A page of the operator's.
    Page { page: Arc<Page>, sent: usize },
}

impl OwnPage {
    /// An answer that is whole.
    pub fn new(bytes: Vec<u8>, keep_alive: bool) -> OwnPage {
        OwnPage { bytes, sent: 0, keep_alive, behind: Behind::Nothing }
    }

    /// The head of an answer, and a page of the operator's as its body, if it has one.
    pub fn with_body(head: Vec<u8>, body: Option<Arc<Page>>, keep_alive: bool) -> OwnPage {
        let behind = match body {
            Some(page) => Behind::Page { page, sent: 0 },
            None => Behind::Nothing,
        };
        OwnPage { behind, ..OwnPage::new(head, keep_alive) }
    }

    /// Send the statistics: the copy that was rendered last if it is fresh, or the next one.
    pub fn statistics(
        how: How,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        let mut page = Box::new(OwnPage::new(Vec::new(), how.keep_alive));
        match cx.pages.read_fresh(cx.now) {
            Some(key) => page.show(key, how, client, cx),
            None => {
                let begins = !cx.pages.is_making();
                cx.pages.wait(client.key);
                page.behind = Behind::Awaited(how);
                // Else the loop renders it in slices: there are many backends, or it has begun
                // already.
                if begins && cx.backends.len() <= STATS_BACKENDS_AT_ONCE {
                    let mut rows = 0..STATS_ROWS_AT_ONCE;
                    status::make_statistics(|| rows.next().is_some(), cx);
                }
            }
        }
        page.proceed(http, client, cx)
    }

    /// Send it, and say so; if there was no request, since its first byte came.
    pub fn begin(
        self,
        own: OwnAnswer,
        since: Option<Instant>,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        let length = match &self.behind {
            Behind::Page { page, .. } => page.body.len(),
            _ => 0,
        };
        report::own_page(own, &self.bytes, length as u64, since, client, cx);
        Box::new(self).proceed(http, client, cx)
    }

    /// The statistics are rendered: write their head.
    fn show(&mut self, key: Key, how: How, client: &mut Client, cx: &mut Context) {
        self.keep_alive = how.keep_alive && !client.is_let_go(cx);
        let how = How { keep_alive: self.keep_alive, ..how };
        let length = cx.pages.bytes(key).map_or(0, <[u8]>::len);
        let added = &trace::added(client, cx);
        answer::page_head(JSON, Some(length), how, added, &mut self.bytes);
        let own = OwnAnswer::new(200, Cause::StatsPath);
        report::own_page(own, &self.bytes, length as u64, None, client, cx);
        self.behind = Behind::Stats { page: key, sent: 0 };
    }

    /// Send as much as the client reads, within the budget of a turn.
    pub fn proceed(
        mut self: Box<Self>,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        if let Behind::Awaited(how) = self.behind {
            let made = if cx.pages.is_making() { None } else { cx.pages.read_newest() };
            match made {
                Some(key) => self.show(key, how, client, cx),
                None => {
                    http.state = HttpState::Page(self);
                    return HttpStep::Wait;
                }
            }
        }
        let step = self.send(http.input.is_empty(), client, cx);
        match step {
            HttpStep::Next => {
                self.release(cx);
                return after(self.keep_alive);
            }
            HttpStep::Close(_) => self.release(cx),
            _ => http.state = HttpState::Page(self),
        }
        step
    }

    fn send(&mut self, is_last: bool, client: &mut Client, cx: &mut Context) -> HttpStep {
        let mut budget = BYTES_PER_DIRECTION_PER_TURN;
        loop {
            let (_, mut buffers) = cx.connection_and_buffers(None);
            let direction = &mut client.duplex.response;
            let socket = &mut client.socket;
            if let Err(fault) = direction.flush_to(socket, &mut buffers) {
                return client_broke(fault);
            }
            if direction.held() > 0 {
                return HttpStep::Wait;
            }
            let Some((own, behind)) = self.rest(&cx.pages) else {
                // It read so slowly that the copy was dropped; Content-Length tells it that bytes
                // are missing.
                return client_broke(Fault::TimedOut);
            };
            if own.is_empty() && behind.is_empty() {
                // We are stopping, and the head that kept the connection open went out before that.
                let over = self.keep_alive && cx.draining && is_last;
                return if over { HttpStep::Close(Reason::Finished) } else { HttpStep::Next };
            }
            if budget == 0 {
                return HttpStep::Again;
            }
            let own = &own[..own.len().min(BUFFER_BYTES)];
            let behind = &behind[..behind.len().min(BUFFER_BYTES - own.len())];
            let slices = [IoSlice::new(own), IoSlice::new(behind)];
            let slices = &slices[usize::from(own.is_empty())..];
            let slices = &slices[..slices.len() - usize::from(behind.is_empty())];
            let count = own.len() + behind.len();
            if let Err(fault) = direction.offer(slices, socket, &mut cx.buffers) {
                return client_broke(fault);
            }
            self.note_sent(count);
            budget = budget.saturating_sub(count);
        }
    }

    /// Nothing more of it is sent: the copy of the statistics may be freed.
    pub fn release(&mut self, cx: &mut Context) {
        let behind = std::mem::replace(&mut self.behind, Behind::Nothing);
        if let Behind::Stats { page, .. } = behind {
            cx.pages.release(page);
        }
    }

    /// What is still to be sent, of our own bytes and of what is behind them; `None` if the copy of
    /// that was dropped meanwhile.
    fn rest<'a>(&'a self, pages: &'a Pages) -> Option<(&'a [u8], &'a [u8])> {
        let behind = match &self.behind {
            Behind::Nothing | Behind::Awaited(_) => &[],
            Behind::Stats { page, sent } => &pages.bytes(*page)?[*sent..],
            Behind::Page { page, sent } => &page.body[*sent..],
        };
        Some((&self.bytes[self.sent..], behind))
    }

    fn note_sent(&mut self, count: usize) {
        let own = count.min(self.bytes.len() - self.sent);
        self.sent += own;
        match &mut self.behind {
            Behind::Nothing | Behind::Awaited(_) => {}
            Behind::Stats { sent, .. } | Behind::Page { sent, .. } => *sent += count - own,
        }
    }
}

/// What follows an answer of our own.
pub(super) fn after(keep_alive: bool) -> HttpStep {
    if keep_alive { HttpStep::Next } else { PARTING }
}
