//! What we answer ourselves on the traffic port: `--health-path` and `--stats-path`, the way to
//! HTTPS with `--redirect-https`, what rules answer, and the operator's pages.
//!
//! They are looked for before a backend is picked, so they need no connection to one. How they are
//! sent is in [`super::own_page`].

use crate::access_log::Cause;
use crate::context::Context;
use crate::http::added::Proto;
use crate::http::answer::{self, How};
use crate::http::expand::without_port;
use crate::http::{Framing, Method, RequestHead};
use crate::services::{Page, Service};

use super::super::account::OwnAnswer;
use super::super::client::Client;
use super::super::routing::{Ruled, RuledBody, own_host};
use super::super::trace;
use super::own_page::{JSON, OwnPage};
use super::{Http, HttpStep, held, reply};

/// What is answered here, if no rule answered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Health,
    Stats,
    /// The way to HTTPS, at this port.
    Https(u16),
}

/// Answer the request whose head lies at the beginning of the scratch buffer, if it asks for a page
/// of ours or is to be redirected; `None` if it is for a backend.
#[inline(never)]
pub(super) fn answer(
    head: &RequestHead,
    total: usize,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> Option<HttpStep> {
    let service = cx.services.get(client.home.service?)?;
    let which = asked_for(head, service, client, cx)?;
    cx.stats.requests += 1;
    let how = how(head, total, http, client, cx);
    Some(match which {
        Which::Stats if head.method == Method::Get && may_see(client, cx) => {
            OwnPage::statistics(how, http, client, cx)
        }
        Which::Health => page(Cause::HealthPath, head.method, how, http, client, cx),
        Which::Stats => page(Cause::StatsPath, head.method, how, http, client, cx),
        Which::Https(port) => redirect(head, port, how, http, client, cx),
    })
}

fn asked_for(
    head: &RequestHead,
    service: &Service,
    client: &Client,
    cx: &Context,
) -> Option<Which> {
    let settings = &service.settings;
    let path = head.path_alone(&cx.scratch).of(&cx.scratch);
    let is = |own: &Option<String>| own.as_ref().is_some_and(|own| own.as_bytes() == path);
    if is(&settings.health_path) {
        return Some(Which::Health);
    }
    if is(&settings.stats_path) {
        return Some(Which::Stats);
    }
    let in_the_clear = client.proto() == Proto::Http;
    service.redirect_to.filter(|_| in_the_clear).map(Which::Https)
}

/// Whether the statistics are for this client: by the address of its connection, which no field
/// of a request changes.
fn may_see(client: &Client, cx: &Context) -> bool {
    let service = client.home.service.and_then(|id| cx.services.get(id));
    let Some(service) = service else { return false };
    let allowed = &service.settings.stats_allow;
    let address = client.address.ip();
    allowed.is_empty() || allowed.iter().any(|network| network.contains(address))
}

/// The health page, or what is said of the statistics without them.
fn page(
    cause: Cause,
    method: Method,
    how: How,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> HttpStep {
    let mut bytes = Vec::new();
    let added = &trace::added(client, cx);
    let own = if cause == Cause::StatsPath && !may_see(client, cx) {
        let why = "not for this address";
        answer::answer(403, why, how, added, &mut bytes);
        OwnAnswer::saying(403, cause, why)
    } else if !matches!(method, Method::Get | Method::Head) {
        answer::not_allowed(how, added, &mut bytes);
        OwnAnswer::saying(405, cause, "only GET and HEAD are answered here")
    } else if cause == Cause::StatsPath {
        // HEAD: the statistics are not rendered for it.
        answer::page_head(JSON, None, how, added, &mut bytes);
        OwnAnswer::new(200, cause)
    } else if cx.draining || cx.sends_away {
        let why = "clients are sent elsewhere";
        answer::answer(503, why, how, added, &mut bytes);
        OwnAnswer::saying(503, cause, why)
    } else if cx.backends.is_there(client.home.pool) {
        answer::page(200, "text/plain", b"OK", how, added, &mut bytes);
        OwnAnswer::new(200, cause)
    } else {
        let why = "no backend is up";
        answer::answer(503, why, how, added, &mut bytes);
        OwnAnswer::saying(503, cause, why)
    };
    OwnPage::new(bytes, how.keep_alive).begin(own, None, http, client, cx)
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
    if let Some(time) = own.holds {
        return held::begin(own, time, how, http, cx);
    }
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
    let added = &trace::added(client, cx);
    let cause = match &body {
        RuledBody::Location(_) => Cause::Redirect,
        RuledBody::Page(_) | RuledBody::Words => Cause::Respond,
    };
    let mut bytes = Vec::new();
    match &body {
        RuledBody::Location(to) => answer::redirect(status, to, how, added, &mut bytes),
        RuledBody::Words => answer::answer(status, "", how, added, &mut bytes),
        RuledBody::Page(page) => {
            let Page { content_type, body } = &**page;
            answer::respond_head(status, content_type, body.len(), how, added, &mut bytes);
        }
    }
    edits.edit_own(0, &mut bytes);
    let page = match body {
        RuledBody::Page(page) if answer::has_body(status, how) => Some(page),
        _ => None,
    };
    let page = OwnPage::with_body(bytes, page, how.keep_alive);
    page.begin(OwnAnswer::new(status, cause), None, http, client, cx)
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
    let keep_alive = head.keep_alive && !has_body && !client.is_let_go(cx);
    How { version: head.version, keep_alive, head_request: head.is_head() }
}

/// `--redirect-https`: send a client without TLS to the HTTPS port.
fn redirect(
    head: &RequestHead,
    port: u16,
    how: How,
    http: &mut Http,
    client: &mut Client,
    cx: &mut Context,
) -> HttpStep {
    let to = https_url(head, port, client, cx);
    let mut bytes = Vec::new();
    let added = &trace::added(client, cx);
    let status = answer::redirect_status(head.method);
    answer::redirect(status, &to, how, added, &mut bytes);
    let own = OwnAnswer::new(status, Cause::RedirectHttps);
    OwnPage::new(bytes, how.keep_alive).begin(own, None, http, client, cx)
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
