//! What we answer ourselves on the traffic port: `--health-path` and `--stats-path`, the way to
//! HTTPS with `--redirect-https`, what rules answer, and the operator's pages.
//!
//! They are looked for before a backend is picked, so they need no connection to one. How they are
//! sent is in [`super::own_page`].

use crate::access_log::Cause;
use crate::context::Context;
use crate::http::answer::{self, How};
use crate::http::expand::without_port;
use crate::http::{Framing, Method, RequestHead};
use crate::services::Page;

use super::super::account::OwnAnswer;
use super::super::client::Client;
use super::super::routing::{Ruled, RuledBody, own_host};
use super::own_page::{JSON, OwnPage};
use super::{Http, HttpStep, reply};

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
    if which == Which::Stats && head.method == Method::Get {
        return Some(OwnPage::statistics(how, http, client, cx));
    }
    let mut bytes = Vec::new();
    let added = &cx.added(client.home, client.proto());
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
            answer::page_head(JSON, None, how, added, &mut bytes);
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
    Some(OwnPage::new(bytes, how.keep_alive).begin(own, None, http, client, cx))
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
    let added = &cx.added(client.home, client.proto());
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
    let to = https_url(head, port, client, cx);
    let mut bytes = Vec::new();
    let added = &cx.added(client.home, client.proto());
    let status = answer::redirect_status(head.method);
    answer::redirect(status, &to, how, added, &mut bytes);
    let own = OwnAnswer::new(status, Cause::RedirectHttps);
    Some(OwnPage::new(bytes, how.keep_alive).begin(own, None, http, client, cx))
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
