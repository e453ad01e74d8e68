//! The API: which path is what, and what is answered there.
//!
//! ```text
//!   /  /assets/FILE
//!   /api/v1/services[/S]   /api/v1/listeners[/L]   /api/v1/pools[/P]
//!   /api/v1/pools/P/backends[/B[/close-connections]]
//!   /api/v1/batch  config[/check]  reload  drain  undrain  stop  overrides  explain  picks
//!   /api/v1/bans[/CIDR]  events  history  live  top
//!   /metrics[/haproxy]  /health  /ready  /live  /problems/KIND
//! ```
//!
//! Reading answers at once, or in pieces. A write becomes an [`Asked`], and is answered by
//! [`finish`] once the loop has carried it out.

mod answering;
mod banning;
mod explaining;
mod guarding;
pub mod history;
pub mod lists;
mod live;
mod naming;
mod overriding;
mod picks;
pub mod reading;
mod registering;
pub mod showing;
mod streaming;
mod target;
mod toml;
mod top;
mod web;
mod writing;

use crate::config::{PoolSpec, quoted};
use serde_json::json;

use crate::config::Needs;
use crate::http::Method;

use super::answer::Answer;
use super::change::{Asked, Done, missing, no_backend, no_pool};
use super::metrics;
use super::problem::{Kind, Problem};
use super::request::Request;
use super::view::{ProcessState, View};
use lists::{Listing, Noun};
use target::Target;

/// What a request comes to.
pub enum Step {
    /// It is answered.
    Answer(Answer),
    /// The loop has something to do first.
    Ask(Box<Asked>),
}

/// What a request comes to.
pub fn handle(request: &Request, view: &View<'_>) -> Result<Step, Problem> {
    if let Some(answer) = web::answer(request, view) {
        return answer.map(Step::Answer);
    }
    let segments: Vec<&str> = request.segments.iter().map(|it| &**it).collect();
    let Some(target) = Target::of(&segments) else {
        return Err(Problem::new(Kind::NOT_FOUND, unknown_path(&request.path)));
    };
    let methods = target.methods();
    if !methods.contains(&request.method) {
        let allow = methods.iter().map(|it| method_name(*it)).collect::<Vec<_>>().join(", ");
        let detail = format!("{} has {allow}, not {}", request.path, request.method_name);
        return Err(Problem::new(Kind::METHOD, detail).with("Allow", allow));
    }
    let needs = target.needs(request);
    if needs != Needs::Nothing && !request.who.role.may(needs) {
        let detail = format!("{} may not: it takes {needs}", request.who.name);
        return Err(Problem::new(Kind::FORBIDDEN, detail));
    }
    if request.is_read() {
        return read(&target, request, view).map(Step::Answer);
    }
    let asked = writing::asked(&target, request, view)?;
    Ok(Step::Ask(Box::new(asked)))
}

fn read(target: &Target<'_>, request: &Request, view: &View<'_>) -> Result<Answer, Problem> {
    let directory = view.directory;
    let desired = &directory.desired;
    let value = match target {
        Target::Index => index(view),
        Target::List(noun) => return list(noun, request, view),
        Target::Service(name) => {
            let names = desired.services.iter().map(|it| &*it.name);
            let found = desired.services.iter().find(|it| it.name == *name);
            let missing = || Problem::new(Kind::NOT_FOUND, missing("service", name, names));
            showing::service(view, found.ok_or_else(missing)?)
        }
        Target::Listener(name) => {
            let names = desired.listeners.iter().map(|it| &*it.name);
            let found = desired.listeners.iter().find(|it| it.name == *name);
            let missing = || Problem::new(Kind::NOT_FOUND, missing("listener", name, names));
            showing::listener(view, found.ok_or_else(missing)?)
        }
        Target::Pool(name) => {
            let pool = directory.pool(name).ok_or_else(|| no_pool(name, directory))?;
            showing::pool(view, pool)
        }
        Target::Backend(pool, name) => return one_backend(pool, name, request, view),
        Target::Overrides if request.parameter("format").is_some() => {
            return overrides_as(request, view);
        }
        Target::Overrides => return Ok(overrides(view)),
        Target::Config => return Ok(config(view)),
        Target::Picks => return picks::list(request),
        Target::Bans => return banning::list(request),
        Target::Ban(network) => return banning::one(network, view),
        Target::Events => return streaming::events(request, view),
        Target::History => return history::history(request, view),
        Target::Stream => return live::live(request, view),
        Target::Top => return top::top(request),
        Target::Names => return Ok(Answer::json(200, &naming::names(view))),
        Target::GuardRules => return Ok(Answer::json(200, &guarding::rules(view))),
        Target::Explain => return explaining::explain(request, view),
        Target::Health | Target::Live => return Ok(Answer::text(200, "OK\n")),
        Target::Ready => return Ok(ready(view)),
        Target::Metrics => return metrics::ours(request, view),
        Target::HaproxyMetrics => return metrics::haproxy(request, view),
        Target::Problem(kind) => return problem(kind),
        Target::Asset(asset) => return Ok(asset.answer(request.if_none_match.as_deref())),
        _ => return Err(Problem::new(Kind::METHOD, "it cannot be read")),
    };
    Ok(Answer::json(200, &value).with("ETag", directory.whole_tag()))
}

fn index(view: &View<'_>) -> serde_json::Value {
    let paths = [
        "services",
        "listeners",
        "pools",
        "batch",
        "config",
        "reload",
        "drain",
        "undrain",
        "stop",
        "takeover",
        "overrides",
        "bans",
        "explain",
        "picks",
        "events",
        "history",
        "live",
        "top",
        "guard/rules",
        "names",
    ];
    let paths = paths.map(|it| format!("/api/v1/{it}"));
    json!({"process": showing::process(view), "paths": paths})
}

fn list(noun: &Noun, request: &Request, view: &View<'_>) -> Result<Answer, Problem> {
    if let Noun::Backends(pool) = noun {
        view.directory.pool(pool).ok_or_else(|| no_pool(pool, view.directory))?;
    }
    let listing = Listing::begin(noun.clone(), request)?;
    let answer = Answer::pieces(super::answer::JSON, Box::new(listing));
    Ok(answer.with("ETag", view.directory.whole_tag()))
}

fn one_backend(
    pool: &str,
    name: &str,
    request: &Request,
    view: &View<'_>,
) -> Result<Answer, Problem> {
    let directory = view.directory;
    let entry = directory.pool(pool).ok_or_else(|| no_pool(pool, directory))?;
    let Some(backend) = directory.backend(entry, name) else {
        return match view.leaving(pool, name) {
            Some(value) => Ok(Answer::json(200, &value)),
            None => Err(no_backend(pool, name, directory)),
        };
    };
    let tag = directory.tag(pool, name);
    if request.if_none_match.as_deref() == Some(&tag) {
        return Ok(Answer::empty(304).with("ETag", tag));
    }
    Ok(Answer::json(200, &showing::backend_alone(view, entry, backend)).with("ETag", tag))
}

fn config(view: &View<'_>) -> Answer {
    let text = (view.print)(&view.directory.desired);
    let answer = Answer::whole(200, "application/toml", text.into_bytes());
    answer.with("ETag", view.directory.whole_tag())
}

fn overrides(view: &View<'_>) -> Answer {
    let list = overriding::Overrides::default();
    let answer = Answer::pieces(super::answer::JSON, Box::new(list));
    answer.with("ETag", view.directory.whole_tag())
}

/// What would make it permanent: the backends of each pool that differs from the file.
fn overrides_as(request: &Request, view: &View<'_>) -> Result<Answer, Problem> {
    match request.parameter("format") {
        Some("toml") => {}
        Some("json") => return Ok(overrides(view)),
        found => {
            let found = quoted(found.unwrap_or_default());
            let detail = format!("format: found {found}, want toml or json");
            return Err(Problem::new(Kind::INVALID, detail));
        }
    }
    let overlay = &view.directory.overlay;
    let differs = |pool: &&PoolSpec| overlay.places().any(|(name, _)| name == pool.name);
    let pools = view.directory.desired.pools.iter().filter(differs);
    let text: Vec<String> = pools.map(view.print_backends).collect();
    let answer = Answer::whole(200, "application/toml", text.join("\n").into_bytes());
    Ok(answer.with("ETag", view.directory.whole_tag()))
}

/// Whether whoever spreads clients over several of us may send some here.
fn ready(view: &View<'_>) -> Answer {
    match view.state {
        ProcessState::Serving => Answer::text(200, "ready\n"),
        state => Answer::text(503, format!("{}\n", state.word())),
    }
}

fn problem(name: &str) -> Result<Answer, Problem> {
    let found = Kind::ALL.iter().find(|kind| kind.name == name);
    let names = Kind::ALL.iter().map(|kind| kind.name);
    let kind = found.ok_or_else(|| {
        Problem::new(Kind::NOT_FOUND, missing("kind of problem", name, names))
    })?;
    let text = format!("{} ({})\n\n{}\n", kind.title, kind.status, kind.about);
    Ok(Answer::text(200, text))
}

/// The answer to a write that was carried out.
pub fn finish(request: &Request, done: Done, view: &View<'_>) -> Answer {
    answering::answer(request, done, view)
}

fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Options => "OPTIONS",
        Method::Patch => "PATCH",
        Method::Other => "other",
    }
}

fn unknown_path(path: &str) -> String {
    let known = [
        "/api/v1",
        "/api/v1/services",
        "/api/v1/listeners",
        "/api/v1/pools",
        "/api/v1/batch",
        "/api/v1/config",
        "/api/v1/config/check",
        "/api/v1/reload",
        "/api/v1/drain",
        "/api/v1/undrain",
        "/api/v1/stop",
        "/api/v1/takeover",
        "/api/v1/overrides",
        "/api/v1/bans",
        "/api/v1/explain",
        "/api/v1/picks",
        "/api/v1/events",
        "/api/v1/history",
        "/api/v1/live",
        "/api/v1/top",
        "/api/v1/guard/rules",
        "/api/v1/names",
        "/health",
        "/ready",
        "/live",
        "/metrics",
        "/metrics/haproxy",
    ];
    missing("path", path, known.into_iter())
}
