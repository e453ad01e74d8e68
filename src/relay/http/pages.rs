//! What we answer ourselves on the traffic port: `--health-path` and `--stats-path`, and the way to
//! HTTPS with `--redirect-https`.
//!
//! They are looked for before a backend is picked, so they need no connection to one. The
//! statistics of many backends are larger than a buffer: they are rendered once for all clients
//! that wait (`stats::pages`), and sent to each as fast as it reads.

use std::io::IoSlice;

use crate::access_log::Cause;
use crate::context::Context;
use crate::event::Key;
use crate::http::answer::{self, How};
use crate::http::expand::without_port;
use crate::http::{Framing, Method, RequestHead};
use crate::limits::{
    BUFFER_BYTES, BYTES_PER_DIRECTION_PER_TURN, STATS_BACKENDS_AT_ONCE, STATS_ROWS_AT_ONCE,
};
use crate::net::Fault;
use crate::services::Page;
use crate::stats::pages::Pages;
use crate::status;

use super::super::account::OwnAnswer;
use super::super::client::Client;
use super::super::report;
use super::super::routing::{Ruled, RuledBody, own_host};
use super::super::verdict::Reason;
use super::{Http, HttpState, HttpStep, client_broke, reply};

/// An answer of our own that is being sent.
#[derive(Debug)]
pub(super) struct OwnPage {
    /// The answer, or the head of the statistics.
    bytes: Vec<u8>,
    /// How many of `bytes` were sent.
    sent: usize,
    keep_alive: bool,
    stats: Shared,
}

/// The statistics behind a head: one copy for all clients that asked.
#[derive(Debug, Clone, Copy)]
enum Shared {
    /// Another page was asked for, or the copy was released.
    None,
    /// They are being rendered.
    Awaited(How),
    /// `page` is a copy in `stats::pages`; `sent` counts its bytes that were sent.
    Read { page: Key, sent: usize },
}

const STATS_TYPE: &str = "application/json";

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Health,
    Stats,
}

/// Answer the request whose head lies at the beginning of the scratch buffer, if it asks for a page
/// of ours or is to be redirected; `None` if it is for a backend.
pub(super) fn answer(
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> Option<HttpStep> {
    let Some(which) = asked_for(head, client, cx) else {
        return redirect(head, total, http, client, cx);
    };
    cx.stats.requests += 1;
    let how = how(head, total, http, client, cx);
    let keep_alive = how.keep_alive;
    if which == Which::Stats && head.method == Method::Get {
        return Some(stats(how, http, client, cx));
    }
    let mut bytes = Vec::new();
    let added = &cx.added(client.home, reply::speaks(client));
    let status = match (which, head.method) {
        (_, method) if !matches!(method, Method::Get | Method::Head) => {
            answer::not_allowed(how, added, &mut bytes);
            405
        }
        (Which::Health, _) if cx.backends.is_there(client.home.pool) => {
            answer::page(200, "text/plain", b"OK", how, added, &mut bytes);
            200
        }
        (Which::Health, _) => {
            answer::answer(503, "no backend is up", how, added, &mut bytes);
            503
        }
        // HEAD: the statistics are not rendered for it.
        (Which::Stats, _) => {
            answer::page_head(STATS_TYPE, None, how, added, &mut bytes);
            200
        }
    };
    let cause = match which {
        Which::Health => Cause::HealthPath,
        Which::Stats => Cause::StatsPath,
    };
    let why = match status {
        405 => "only GET and HEAD are answered here",
        503 => "no backend is up",
        _ => cause.says(),
    };
    let own = OwnAnswer { status, cause, why };
    report::own_answer(own, &bytes, None, client, cx);
    Some(Box::new(OwnPage::new(bytes, keep_alive)).proceed(http, client, cx))
}

/// Send the statistics: the copy that was rendered last if it is fresh, or the next one.
fn stats(how: How, http: &mut Http, client: &mut Client, cx: &mut Context) -> HttpStep {
    let mut page = Box::new(OwnPage::new(Vec::new(), how.keep_alive));
    match cx.pages.read_fresh(cx.now) {
        Some(key) => page.show(key, how, client, cx),
        None => {
            let begins = !cx.pages.is_making();
            cx.pages.wait(client.key);
            page.stats = Shared::Awaited(how);
            // Else the loop renders it in slices: there are many backends, or it has begun already.
            if begins && cx.backends.len() <= STATS_BACKENDS_AT_ONCE {
                let mut rows = 0..STATS_ROWS_AT_ONCE;
                status::make_statistics(|| rows.next().is_some(), cx);
            }
        }
    }
    page.proceed(http, client, cx)
}

impl OwnPage {
    fn new(bytes: Vec<u8>, keep_alive: bool) -> OwnPage {
        OwnPage { bytes, sent: 0, keep_alive, stats: Shared::None }
    }

    /// The statistics are rendered: write their head.
    fn show(&mut self, key: Key, how: How, client: &mut Client, cx: &mut Context) {
        self.keep_alive = how.keep_alive && !cx.lets_go(client.listener);
        let how = How { keep_alive: self.keep_alive, ..how };
        let length = cx.pages.bytes(key).map_or(0, <[u8]>::len);
        let added = &cx.added(client.home, reply::speaks(client));
        answer::page_head(STATS_TYPE, Some(length), how, added, &mut self.bytes);
        let own = OwnAnswer::new(200, Cause::StatsPath);
        report::own_page(own, &self.bytes, length as u64, None, client, cx);
        self.stats = Shared::Read { page: key, sent: 0 };
    }

    /// Send as much as the client reads, within the budget of a turn.
    pub(super) fn proceed(
        mut self: Box<Self>,
        http: &mut Http,
        client: &mut Client,
        cx: &mut Context,
    ) -> HttpStep {
        if let Shared::Awaited(how) = self.stats {
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
                return reply::after(self.keep_alive);
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
            let Some(rest) = self.rest(&cx.pages) else {
                // It read so slowly that the copy was dropped; Content-Length tells it that bytes
                // are missing.
                return client_broke(Fault::TimedOut);
            };
            if rest.is_empty() {
                // We are stopping, and the head that kept the connection open went out before that.
                let over = self.keep_alive && cx.draining && is_last;
                return if over { HttpStep::Close(Reason::Finished) } else { HttpStep::Next };
            }
            if budget == 0 {
                return HttpStep::Again;
            }
            let count = rest.len().min(BUFFER_BYTES);
            let offered =
                direction.offer(&[IoSlice::new(&rest[..count])], socket, &mut cx.buffers);
            if let Err(fault) = offered {
                return client_broke(fault);
            }
            self.note_sent(count);
            budget = budget.saturating_sub(count);
        }
    }

    /// Nothing more of it is sent: the copy of the statistics may be freed.
    pub fn release(&mut self, cx: &mut Context) {
        let stats = std::mem::replace(&mut self.stats, Shared::None);
        if let Shared::Read { page, .. } = stats {
            cx.pages.release(page);
        }
    }

    /// What is to be sent next; empty at the end, `None` if the copy was dropped meanwhile.
    fn rest<'a>(&'a self, pages: &'a Pages) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.sent..];
        match self.stats {
            Shared::Read { page, sent } if rest.is_empty() => Some(&pages.bytes(page)?[sent..]),
            _ => Some(rest),
        }
    }

    fn note_sent(&mut self, count: usize) {
        match &mut self.stats {
            Shared::Read { sent, .. } if self.sent == self.bytes.len() => *sent += count,
            _ => self.sent += count,
        }
    }
}

/// Answer a request that no backend is to hear of with this.
#[cold]
pub(super) fn own(
    own: OwnAnswer,
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> HttpStep {
    cx.stats.requests += 1;
    let how = how(head, total, http, client, cx);
    reply::answer(own, how, http, client, cx)
}

/// Answer a request as a rule says.
#[cold]
pub(super) fn ruled(
    ruled: Ruled,
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> HttpStep {
    cx.stats.requests += 1;
    let how = how(head, total, http, client, cx);
    let Ruled { status, body, edits } = ruled;
    let added = &cx.added(client.home, reply::speaks(client));
    let mut page = OwnPage::new(Vec::new(), how.keep_alive);
    let bytes = &mut page.bytes;
    let cause = match body {
        RuledBody::Location(to) => {
            answer::redirect(status, &to, how, added, bytes);
            Cause::Redirect
        }
        RuledBody::Page(body) => {
            let Page { content_type, body } = &*body;
            answer::respond(status, content_type, body, how, added, bytes);
            Cause::Respond
        }
        RuledBody::Words => {
            answer::answer(status, "", how, added, bytes);
            Cause::Respond
        }
    };
    edits.edit_own(0, &mut page.bytes);
    report::own_answer(OwnAnswer::new(status, cause), &page.bytes, None, client, cx);
    Box::new(page).proceed(http, client, cx)
}

/// How a request is answered of which no backend hears. The connection ends with the answer if a
/// body comes, for that would lie before the next request; if not, what came behind it is kept.
fn how(
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    client: &Client,
    cx: &Context,
) -> How {
    let has_body = !matches!(head.framing, Framing::None | Framing::Length(0));
    if !has_body {
        http.keep(&cx.scratch[head.length..total]);
    }
    let keep_alive = head.keep_alive && !has_body && !cx.lets_go(client.listener);
    How { version: head.version, keep_alive, head_request: head.is_head() }
}

/// `--redirect-https`: send a client without TLS to the HTTPS port.
fn redirect(
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> Option<HttpStep> {
    let service = client.home.service.and_then(|id| cx.services.get(id))?;
    let port = service.redirect_to.filter(|_| client.socket.tls().is_none())?;
    cx.stats.requests += 1;
    let how = how(head, total, http, client, cx);
    let keep_alive = how.keep_alive;
    let to = https_url(head, port, client, cx);
    let mut bytes = Vec::new();
    let added = &cx.added(client.home, reply::speaks(client));
    let status = answer::redirect_status(head.method);
    answer::redirect(status, &to, how, added, &mut bytes);
    let own = OwnAnswer::new(status, Cause::RedirectHttps);
    report::own_answer(own, &bytes, None, client, cx);
    Some(Box::new(OwnPage::new(bytes, keep_alive)).proceed(http, client, cx))
}

/// The target of the request as a URL of HTTPS.
fn https_url(head: &RequestHead, port: u16, client: &Client, cx: &Context) -> Vec<u8> {
    let input = &cx.scratch;
    let mut url = b"https://".to_vec();
    match head.host.map(|host| host.of(input)) {
        Some(host) => url.extend_from_slice(without_port(host)),
        None => url.extend_from_slice(own_host(head, &client.socket).as_bytes()),
    }
    if port != 443 {
        url.extend_from_slice(format!(":{port}").as_bytes());
    }
    let path = head.path.of(input);
    if !path.starts_with(b"/") {
        url.push(b'/');
    }
    // `OPTIONS *` is about the server as a whole: the root.
    url.extend_from_slice(if path == b"*" { b"" } else { path });
    url
}

fn asked_for(head: &RequestHead, client: &Client, cx: &Context) -> Option<Which> {
    let settings = cx.service(client.home.service);
    let path = || head.path_alone(&cx.scratch).of(&cx.scratch);
    let is = |own: &Option<String>| own.as_ref().is_some_and(|own| own.as_bytes() == path());
    if is(&settings.health_path) {
        Some(Which::Health)
    } else if is(&settings.stats_path) {
        Some(Which::Stats)
    } else {
        None
    }
}
