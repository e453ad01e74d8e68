//! What would become of a request, without sending anything: the service that takes it, what its
//! rules decide, the pool, its candidates, and who of them would be chosen.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::backends::Pool;
use crate::balance::{self, Ask};
use crate::config::{Facts, HashKey, ListenerSpec, Protocol};
use crate::event::{ListenerId, PoolId};
use crate::http::facts::RequestFacts;
use crate::http::fields::Fields;
use crate::http::{Parse, RequestHead, Scan, client_meant, parse_request};
use crate::services::{Decided, Listener, Service};

use super::super::answer::Answer;
use super::super::change::missing;
use super::super::problem::{Kind, Problem};
use super::super::request::Request;
use super::super::view::View;
use super::lists::unknown_parameter;
use super::picks::candidate;

const KNOWN: &[&str] = &["request", "from", "listener", "header"];

/// A request that was never sent.
struct Imagined {
    bytes: Vec<u8>,
    head: RequestHead,
    fields: Fields,
    is_tls: bool,
    host: String,
    client: IpAddr,
}

/// `?request=GET https://www.example.com/api&from=1.2.3.4&header=Name: value&listener=web`.
pub(super) fn explain(request: &Request, view: &View<'_>) -> Result<Answer, Problem> {
    if let Some((name, _)) = request.query.iter().find(|(it, _)| !KNOWN.contains(&&**it)) {
        return Err(unknown_parameter(name, KNOWN));
    }
    let imagined = Imagined::read(request)?;
    let (spec, id) = listener(&imagined, request, view)?;
    let facts = imagined.facts(&spec.name);
    let running = view.cx.listeners.get(id);
    let service = running.and_then(|it| it.choice.find(&facts));
    let service = service.and_then(|id| view.cx.services.get(id));
    let mut out = Map::new();
    out.insert("listener".into(), json!(spec.name));
    out.insert("service".into(), json!(service.map(|it| &*it.name)));
    let Some(service) = service else {
        out.insert("answer".into(), json!({"status": 404, "because": "no service takes it"}));
        return Ok(Answer::json(200, &Value::Object(out)));
    };
    if let Some(listener) = running
        && let Some(answer) = barred(&imagined, listener, service, view)
    {
        out.insert("answer".into(), answer);
        return Ok(Answer::json(200, &Value::Object(out)));
    }
    let pool = decide(service, &facts, view, &mut out);
    if let Some(pool) = pool {
        choose(pool, &imagined, view, &mut out);
    }
    Ok(Answer::json(200, &Value::Object(out)))
}

/// What becomes of who is banned or denied: by the address that it comes from it is closed, by the
/// one that trusted proxies name it is answered.
fn barred(
    imagined: &Imagined,
    listener: &Listener,
    service: &Service,
    view: &View<'_>,
) -> Option<Value> {
    let guard = &view.cx.guard;
    let now = view.cx.now;
    if let Some(because) = guard.why(imagined.client, &listener.guard.access, now) {
        return Some(json!({"because": format!("closed right after accept: {because}")}));
    }
    let trusts = |it: IpAddr| listener.settings.trusts(it);
    let meant = client_meant(imagined.client, trusts, &imagined.fields, &imagined.bytes);
    let because = guard.why(meant, &service.guard.access, now)?;
    Some(json!({"status": 403, "because": because}))
}

/// What the rules come to; the pool, if it goes to one.
fn decide(
    service: &Service,
    facts: &RequestFacts<'_>,
    view: &View<'_>,
    out: &mut Map<String, Value>,
) -> Option<PoolId> {
    let path = facts.path();
    let is = |own: &Option<String>| own.as_ref().is_some_and(|own| own.as_bytes() == path);
    let decision = service.rules.as_ref().map(|rules| rules.decide(facts));
    let applied = decision.as_ref().map_or(0, |it| it.applied);
    let numbers: Vec<u32> =
        (0..64).filter(|at| applied >> at & 1 == 1).map(|at| at + 1).collect();
    out.insert("rules".into(), json!({"edit": numbers}));
    let pool = match decision.map(|it| it.verdict) {
        Some(Decided::Redirect(to)) => {
            out.insert("answer".into(), json!({"status": to.status, "because": "a rule"}));
            return None;
        }
        Some(Decided::Respond(status, _)) => {
            out.insert("answer".into(), json!({"status": status, "because": "a rule"}));
            return None;
        }
        Some(Decided::Pool(pool)) => pool,
        Some(Decided::Nothing) | None => service.pool,
    };
    let own = [
        (is(&service.settings.health_path), "its health page"),
        (is(&service.settings.stats_path), "its statistics"),
        (service.redirect_to.is_some() && !facts.is_tls, "a redirect to https"),
    ];
    if let Some((_, because)) = own.into_iter().find(|(it, _)| *it) {
        out.insert("answer".into(), json!({"because": because}));
        return None;
    }
    out.insert("pool".into(), json!(view.cx.backends.pool(pool).map(|it| &*it.name)));
    if pool.is_none() {
        let answer = json!({"status": 503, "because": "the service has no pool"});
        out.insert("answer".into(), answer);
    }
    pool
}

/// Who of the pool may be chosen, and who would be.
fn choose(pool: PoolId, imagined: &Imagined, view: &View<'_>, out: &mut Map<String, Value>) {
    let Some(found) = view.cx.backends.pool(Some(pool)) else { return };
    let ask = Ask { client: imagined.client, key: imagined.key(found), now: view.cx.now };
    let all = found.look(ask.now);
    let all: Vec<Value> = all.map(|(name, it)| candidate(Some(name), &it)).collect();
    let algorithm = found.settings.algorithm;
    out.insert("algorithm".into(), json!(algorithm.to_string()));
    out.insert("compares".into(), json!(balance::compares(algorithm)));
    if let Some(placed) = found.placed(&ask) {
        out.insert("placed".into(), super::picks::placed(placed));
    }
    out.insert("candidates".into(), json!(all));
    let choice = found.preview(&ask);
    match choice {
        Some(name) if !view.cx.backends.has_queue_for(Some(pool), None) => {
            out.insert("choice".into(), json!(name))
        }
        _ => out.insert("answer".into(), without_choice(found)),
    };
}

/// What becomes of it if nobody can take it now, or others go before it.
fn without_choice(pool: &Pool) -> Value {
    let waiting = pool.queue().len();
    let limit = pool.settings.queue.limit;
    if limit == 0 || pool.up() == 0 {
        return json!({"status": 503, "because": "nobody of the pool can take it"});
    }
    let places = format!("{waiting} of {limit} places are taken");
    if waiting < limit {
        return json!({"because": format!("it waits in the queue: {places}")});
    }
    json!({"status": 503, "because": format!("the queue is full: {places}")})
}

impl Imagined {
    fn read(request: &Request) -> Result<Imagined, Problem> {
        let bad = |detail: String| Problem::new(Kind::BAD_REQUEST, detail);
        let Some(text) = request.parameter("request") else {
            let detail = "found no request, want request=GET https://www.example.com/api";
            return Err(bad(detail.to_owned()));
        };
        let (method, url) = text.trim().split_once(' ').unwrap_or(("GET", text.trim()));
        let (is_tls, rest) = match url.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => {
                return Err(bad(format!(
                    "found {url:?}, want http://HOST/PATH or https://..."
                )));
            }
        };
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let from = request.parameter("from").unwrap_or("127.0.0.1");
        let client: IpAddr =
            from.parse().map_err(|_| bad(format!("from={from}, want an address")))?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (_, field) in request.query.iter().filter(|(name, _)| name == "header") {
            head += &format!("{field}\r\n");
        }
        head += "\r\n";
        let mut fields = Fields::new();
        match parse_request(head.as_bytes(), &mut Scan::default(), &mut fields) {
            Parse::Done(parsed) if parsed.length == head.len() => Ok(Imagined {
                host: host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned(),
                bytes: head.into_bytes(),
                head: parsed,
                fields,
                is_tls,
                client,
            }),
            Parse::Bad(why) => Err(bad(format!("no request: {}", why.reason()))),
            _ => Err(bad("no request: it does not end where it should".to_owned())),
        }
    }

    /// What a pool places it by, if not by the client's address.
    fn key(&self, pool: &Pool) -> Option<u64> {
        let key = match &pool.settings.hash_key {
            HashKey::Ip => return None,
            HashKey::Uri => self.head.path,
            HashKey::Path => self.head.path_alone(&self.bytes),
            HashKey::Header(name) => self.fields.find(&self.bytes, name)?,
            HashKey::Cookie(name) => self.fields.cookie(&self.bytes, name)?,
        };
        Some(balance::hash_key(key.of(&self.bytes)))
    }

    fn facts<'a>(&'a self, listener: &'a str) -> RequestFacts<'a> {
        RequestFacts {
            head: &self.head,
            path: self.head.plain_path(&self.bytes),
            fields: &self.fields,
            bytes: &self.bytes,
            client: self.client,
            listener,
            sni: self.is_tls.then_some(&*self.host),
            subject: None,
            is_tls: self.is_tls,
        }
    }
}

/// The listener that it would come to: the one that is named, or the first that speaks so.
fn listener<'a>(
    imagined: &Imagined,
    request: &Request,
    view: &View<'a>,
) -> Result<(&'a ListenerSpec, ListenerId), Problem> {
    let directory = view.directory;
    let all = || directory.desired.listeners.iter().zip(&directory.listeners);
    if let Some(name) = request.parameter("listener") {
        let found = all().find(|(it, _)| it.name == name);
        let names = all().map(|(it, _)| &*it.name);
        let missing = || Problem::new(Kind::NOT_FOUND, missing("listener", name, names));
        return found.map(|(it, id)| (it, *id)).ok_or_else(missing);
    }
    let wanted = if imagined.is_tls { Protocol::Https } else { Protocol::Http };
    let found = all().find(|(it, _)| it.listen.protocol == wanted);
    let none = || Problem::new(Kind::CONFLICT, format!("no listener speaks {wanted}"));
    found.map(|(it, id)| (it, *id)).ok_or_else(none)
}
