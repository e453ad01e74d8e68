//! The last picks, newest first: why a request went where it went.
//!
//! Written in pieces as the client takes them. Picks go on meanwhile; those that are overwritten
//! before their turn comes are left out.

use std::net::IpAddr;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::backends::{Marks, Pictured};
use crate::balance::{self, Placed};
use crate::config::{Cidr, time_text};
use crate::limits::{PICKS_LISTED, PICKS_PER_PIECE, WEIGHT_ONE};
use crate::picks::{Pick, PickEnd};

use super::super::answer::{Answer, JSON, More, Pieces, some_steps};
use super::super::problem::{Kind, Problem};
use super::super::request::Request;
use super::super::view::View;
use super::lists::unknown_parameter;

const KNOWN: &[&str] = &["backend", "client", "request", "service", "pool", "limit", "since"];

/// Picks that are being written.
struct Listed {
    query: Query,
    /// The number of the next one; `None` before the first piece.
    next: Option<u64>,
    written: usize,
}

/// Which of them.
#[derive(Default)]
struct Query {
    /// The pool, if one is named, and the name of the one that was picked.
    backend: Option<(Option<String>, String)>,
    client: Option<Cidr>,
    request: Option<String>,
    service: Option<String>,
    pool: Option<String>,
    limit: usize,
    since: u64,
}

/// `?backend=POOL/NAME&client=IP[/LENGTH]&request=ID&service=S&pool=P&limit=100&since=N`.
pub(super) fn list(request: &Request) -> Result<Answer, Problem> {
    let query = Query::read(request)?;
    Ok(Answer::pieces(JSON, Box::new(Listed { query, next: None, written: 0 })))
}

impl Query {
    fn read(request: &Request) -> Result<Query, Problem> {
        let mut query = Query { limit: PICKS_LISTED, ..Query::default() };
        let bad = |detail: String| Problem::new(Kind::BAD_REQUEST, detail);
        for (name, value) in &request.query {
            let number = |least: u64| match value.parse::<u64>() {
                Ok(number) if number >= least => Ok(number),
                _ => Err(bad(format!("{name}={value}, want a whole number from {least} on"))),
            };
            match &**name {
                "backend" => {
                    query.backend = Some(match value.split_once('/') {
                        Some((pool, name)) => (Some(pool.to_owned()), name.to_owned()),
                        None => (None, value.clone()),
                    });
                }
                "client" => {
                    let cidr = Cidr::parse(value);
                    let cidr = cidr.map_err(|wrong| bad(format!("client: {wrong}")))?;
                    query.client = Some(cidr);
                }
                "request" => query.request = Some(value.clone()),
                "service" => query.service = Some(value.clone()),
                "pool" => query.pool = Some(value.clone()),
                "limit" => query.limit = number(1)? as usize,
                "since" => query.since = number(0)?,
                _ => return Err(unknown_parameter(name, KNOWN)),
            }
        }
        Ok(query)
    }

    fn takes(&self, pick: &Pick, view: &View<'_>) -> bool {
        let client: IpAddr = pick.asker.client.ip();
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let pool = pool_name(pick, view);
        let backend = self.backend.as_ref().is_none_or(|(of, name)| {
            is(of, pool) && choice_name(pick, view) == Some(name.as_str())
        });
        backend
            && self.client.as_ref().is_none_or(|network| network.contains(client))
            && self.request.as_ref().is_none_or(|id| pick.asker.request_id.as_str() == id)
            && is(&self.service, service_name(pick, view))
            && is(&self.pool, pool)
    }
}

impl Pieces for Listed {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        let picks = &view.cx.picks;
        if self.next.is_none() {
            out.extend_from_slice(b"{\"items\":[");
            self.next = Some(picks.newest());
        }
        some_steps(PICKS_PER_PIECE, out, |out| {
            let number = self.next.unwrap_or_default();
            let last = picks.oldest().max(self.query.since);
            if number <= last || self.written == self.query.limit {
                let open = if self.written == 0 { "" } else { "\n" };
                let newest = picks.newest();
                let most = picks.most();
                let end = format!("{open}],\"newest\":{newest},\"kept\":{most}}}\n");
                out.extend_from_slice(end.as_bytes());
                return false;
            }
            self.next = Some(number - 1);
            let found = picks.get(number).filter(|pick| self.query.takes(pick, view));
            if let Some(pick) = found {
                out.extend_from_slice(if self.written == 0 { b"\n" } else { b",\n" });
                self.written += 1;
                // because: writing to memory does not fail.
                let _ = serde_json::to_writer(out, &shown(pick, view));
            }
            true
        })
    }
}

fn shown(pick: &Pick, view: &View<'_>) -> Value {
    let asker = &pick.asker;
    let picture = &pick.picture;
    let name = |id| view.cx.backends.get(id).map(|server| &*server.name);
    let candidates = picture.members().map(|it| candidate(name(it.server), it));
    let candidates: Vec<Value> = candidates.collect();
    let asked = String::from_utf8_lossy(asker.asked.as_bytes());
    let id = Some(asker.request_id.as_str()).filter(|id| !id.is_empty());
    let listener = view.cx.listeners.get(asker.listener).map(|it| &*it.name);
    json!({
        "id": pick.number,
        "time": time_with_millis(pick.wall),
        "client": asker.client.to_string(),
        "listener": listener,
        "service": service_name(pick, view),
        "rule": asker.rule,
        "pool": pool_name(pick, view),
        "request_id": id,
        "asked": Some(asked).filter(|it| !it.is_empty()),
        "try": pick.attempt,
        "by": pick.by.word(),
        "algorithm": picture.algorithm.to_string(),
        "compares": balance::compares(picture.algorithm),
        "placed": picture.placed.map(placed),
        "members": picture.all,
        "up": picture.up,
        "candidates": candidates,
        "choice": choice_name(pick, view),
        "outcome": outcome(pick.ended.as_ref(), pick.choice.is_some()),
    })
}

/// A member as a pick found it, or as the next one would.
pub(super) fn candidate(name: Option<&str>, it: &Pictured) -> Value {
    json!({
        "name": name,
        "eligible": it.marks.has(Marks::ELIGIBLE),
        "active": it.active,
        "weight": f64::from(it.weight) / f64::from(WEIGHT_ONE),
        "compared": it.compared(),
        "marks": it.marks.words().collect::<Vec<_>>(),
    })
}

/// Where somebody was placed by a hash.
pub(super) fn placed(placed: Placed) -> Value {
    let Placed { hash, slot } = placed;
    json!({
        "hash": format!("{hash:016x}"),
        "slot": slot.map(|it| it.0),
        "slots": slot.map(|it| it.1),
    })
}

fn outcome(ended: Option<&PickEnd>, was_chosen: bool) -> Value {
    let Some(end) = ended else {
        return json!({"state": if was_chosen { "at work" } else { "nobody" }});
    };
    let state = match (end.tried_another, end.cause) {
        (true, _) => "another tried",
        (false, Some(cause)) => cause.ended(),
        (false, None) => "finished",
    };
    json!({
        "state": state,
        "status": Some(end.status).filter(|it| *it != 0),
        "reason": end.cause.map(|it| it.word()),
        "detail": end.cause.map(|it| it.says()),
        "fault": end.fault.map(|it| it.to_string()),
        "ms": (end.after.as_secs_f64() * 1e6).round() / 1e3,
    })
}

fn choice_name<'a>(pick: &Pick, view: &View<'a>) -> Option<&'a str> {
    view.cx.backends.get(pick.choice?).map(|server| &*server.name)
}

fn pool_name<'a>(pick: &Pick, view: &View<'a>) -> Option<&'a str> {
    view.cx.backends.pool(pick.asker.pool).map(|pool| &*pool.name)
}

fn service_name<'a>(pick: &Pick, view: &View<'a>) -> Option<&'a str> {
    view.cx.services.get(pick.asker.service?).map(|service| &*service.name)
}

fn time_with_millis(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let whole = time_text(at);
    format!("{}.{:03}Z", whole.trim_end_matches('Z'), since.subsec_millis())
}
