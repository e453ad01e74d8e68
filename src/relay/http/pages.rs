//! What we answer ourselves on the traffic port: `--health-path` and `--stats-path`, and the way to
//! HTTPS with `--redirect-https`.
//!
//! They are looked for before a backend is, so they cost none a connection. The statistics of many
//! backends are more than a buffer holds: they are made once for all who ask (`stats::pages`), and
//! go out to each as far as it takes them.

use std::io::IoSlice;
use std::net::IpAddr;

use crate::access_log::Cause;
use crate::context::Context;
use crate::event::Key;
use crate::http::answer::{self, How};
use crate::http::{Framing, Method, RequestHead};
use crate::limits::{
    BUFFER_BYTES, BYTES_PER_DIRECTION_PER_TURN, STATS_BACKENDS_AT_ONCE, STATS_ROWS_AT_ONCE,
};
use crate::net::Fault;
use crate::stats::pages::Pages;
use crate::status;

use super::super::account::Own;
use super::super::client::Client;
use super::super::report;
use super::super::verdict::Reason;
use super::{Http, HttpState, HttpStep, client_broke, reply};

/// An answer of ours on its way.
#[derive(Debug)]
pub(super) struct OwnPage {
    /// The answer, or the head of the statistics.
    bytes: Vec<u8>,
    sent: usize,
    keep_alive: bool,
    stats: Shared,
}

/// The statistics behind a head: they are nobody's own.
#[derive(Debug, Clone, Copy)]
enum Shared {
    /// Something else was asked for, or all of them are sent.
    None,
    /// They are being made.
    Awaited(How),
    /// They are read from this page of `stats::pages`, of which so many bytes are sent.
    Read { page: Key, sent: usize },
}

const STATS_TYPE: &str = "application/json";

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Health,
    Stats,
}

/// Answer the request whose head lies at the beginning of the scratch buffer, if it is for us.
pub(super) fn answer(
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> Option<HttpStep> {
    let Some(which) = asked_for(head, cx) else {
        return redirect(head, total, http, client, cx);
    };
    cx.stats.requests += 1;
    let has_body = !matches!(head.framing, Framing::None | Framing::Length(0));
    let keep_alive = head.keep_alive && !cx.draining && !has_body;
    let how = How { version: head.version, keep_alive, head_request: head.is_head() };
    if !has_body {
        http.keep(&cx.scratch[head.length..total]);
    }
    if which == Which::Stats && head.method == Method::Get {
        return Some(stats(how, http, client, cx));
    }
    let mut bytes = Vec::new();
    let added = cx.added.towards(reply::speaks(client));
    let status = match (which, head.method) {
        (_, method) if !matches!(method, Method::Get | Method::Head) => {
            answer::not_allowed(how, added, &mut bytes);
            405
        }
        (Which::Health, _) if cx.backends.is_there(client.pool) => {
            answer::page(200, "text/plain", b"OK", how, added, &mut bytes);
            200
        }
        (Which::Health, _) => {
            answer::answer(503, "no backend is up", how, added, &mut bytes);
            503
        }
        // Not made for a question that wants nothing of it.
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
    let own = Own { status, cause, why };
    report::own_answer(own, &bytes, None, client, cx);
    Some(Box::new(OwnPage::new(bytes, keep_alive)).proceed(http, client, cx))
}

/// The statistics: the last page, or the next one.
fn stats(how: How, http: &mut Http, client: &mut Client, cx: &mut Context) -> HttpStep {
    let mut page = Box::new(OwnPage::new(Vec::new(), how.keep_alive));
    match cx.pages.read_fresh(cx.now) {
        Some(key) => page.show(key, how, client, cx),
        None => {
            let begins = !cx.pages.is_making();
            cx.pages.wait(client.key);
            page.stats = Shared::Awaited(how);
            // If others wait as well, the loop makes it.
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

    /// The statistics are there: this is their head.
    fn show(&mut self, key: Key, how: How, client: &mut Client, cx: &mut Context) {
        let length = cx.pages.bytes(key).map_or(0, <[u8]>::len);
        let added = cx.added.towards(reply::speaks(client));
        answer::page_head(STATS_TYPE, Some(length), how, added, &mut self.bytes);
        let own = Own::new(200, Cause::StatsPath);
        report::own_page(own, &self.bytes, length as u64, None, client, cx);
        self.stats = Shared::Read { page: key, sent: 0 };
    }

    /// Send on what the client takes.
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
                // It read so slowly that its page went; the length that it was told tells it so.
                return client_broke(Fault::TimedOut);
            };
            if rest.is_empty() {
                // If we are stopping, it was told too early that it may ask on.
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

    /// It is not read any further.
    pub fn release(&mut self, cx: &mut Context) {
        let stats = std::mem::replace(&mut self.stats, Shared::None);
        if let Shared::Read { page, .. } = stats {
            cx.pages.release(page);
        }
    }

    /// What is to be sent next; nothing at all, if the statistics had to go.
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

/// Send a client that speaks in the clear to HTTPS, where that was asked for.
fn redirect(
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> Option<HttpStep> {
    let port = cx.settings.redirect_to.filter(|_| client.socket.tls().is_none())?;
    cx.stats.requests += 1;
    let has_body = !matches!(head.framing, Framing::None | Framing::Length(0));
    let keep_alive = head.keep_alive && !cx.draining && !has_body;
    let how = How { version: head.version, keep_alive, head_request: head.is_head() };
    let to = place(head, port, client, cx);
    if !has_body {
        http.keep(&cx.scratch[head.length..total]);
    }
    let mut bytes = Vec::new();
    let added = cx.added.towards(reply::speaks(client));
    let status = answer::redirect_status(head.method);
    answer::redirect(status, &to, how, added, &mut bytes);
    let own = Own::new(status, Cause::RedirectHttps);
    report::own_answer(own, &bytes, None, client, cx);
    Some(Box::new(OwnPage::new(bytes, keep_alive)).proceed(http, client, cx))
}

/// What was asked for, as a place at HTTPS.
fn place(head: &RequestHead, port: u16, client: &Client, cx: &Context) -> Vec<u8> {
    let input = &cx.scratch;
    let mut place = b"https://".to_vec();
    match head.host.map(|host| host.of(input)).filter(|host| !host.is_empty()) {
        Some(host) => place.extend_from_slice(without_port(host)),
        // HTTP/1.0 names none: where it came to is all that is known.
        None => {
            match client.socket.local_address().map(|address| address.ip().to_canonical()) {
                Ok(IpAddr::V6(address)) => {
                    place.extend_from_slice(format!("[{address}]").as_bytes());
                }
                Ok(address) => place.extend_from_slice(address.to_string().as_bytes()),
                Err(_) => place.extend_from_slice(b"localhost"),
            }
        }
    }
    if port != 443 {
        place.extend_from_slice(format!(":{port}").as_bytes());
    }
    let path = head.path.of(input);
    if !path.starts_with(b"/") {
        place.push(b'/');
    }
    // Of `OPTIONS *` only the server is left.
    place.extend_from_slice(if path == b"*" { b"" } else { path });
    place
}

/// A host without the port behind it; an IPv6 address has colons of its own, in brackets.
fn without_port(host: &[u8]) -> &[u8] {
    let colon = host.iter().rposition(|&byte| byte == b':');
    match colon {
        Some(colon) if host[colon..].iter().all(|&byte| byte != b']') => &host[..colon],
        _ => host,
    }
}

fn asked_for(head: &RequestHead, cx: &Context) -> Option<Which> {
    let path = || head.path_alone(&cx.scratch).of(&cx.scratch);
    let is = |own: &Option<String>| own.as_ref().is_some_and(|own| own.as_bytes() == path());
    if is(&cx.settings.service.health_path) {
        Some(Which::Health)
    } else if is(&cx.settings.service.stats_path) {
        Some(Which::Stats)
    } else {
        None
    }
}
