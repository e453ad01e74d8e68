//! Who is here now: `GET /api/v1/top?what=longest|slowest|clients&limit=10`.
//!
//! All places for clients are looked at, some in each piece, and the best so far are kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use serde_json::{Value, json};

use crate::event::Key;
use crate::limits::{HAPROXY_PLACES_PER_PIECE, TOP_MAX};
use crate::relay::{ClientStanding, Pair};

use super::super::answer::{Answer, JSON, More, Pieces};
use super::super::change::missing;
use super::super::problem::{Kind, Problem};
use super::super::request::Request;
use super::super::view::View;
use super::lists::unknown_parameter;

const PARAMETERS: &[&str] = &["what", "limit"];

/// What they are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Connections, by their age.
    Longest,
    /// Requests that are with a backend, by how long.
    Slowest,
    /// Addresses, by how many connections they have.
    Clients,
}

const WHATS: &[(&str, What)] =
    &[("longest", What::Longest), ("slowest", What::Slowest), ("clients", What::Clients)];

/// A list that is being made.
struct Top {
    what: What,
    limit: usize,
    /// The next place.
    at: usize,
    /// The longest so far, the least of them first.
    best: BinaryHeap<Reverse<(Duration, u64)>>,
    clients: BTreeMap<IpAddr, u64>,
    /// The address that was looked at last.
    last: Option<IpAddr>,
    most: BinaryHeap<Reverse<(u64, IpAddr)>>,
}

/// Who is here.
pub(super) fn top(request: &Request) -> Result<Answer, Problem> {
    let unknown = |(name, _): &&(String, String)| !PARAMETERS.contains(&&**name);
    if let Some((name, _)) = request.query.iter().find(unknown) {
        return Err(unknown_parameter(name, PARAMETERS));
    }
    let word = request.parameter("what").unwrap_or("longest");
    let what = WHATS.iter().find(|(name, _)| *name == word).map(|(_, what)| *what);
    let what = what.ok_or_else(|| {
        let names = WHATS.iter().map(|(name, _)| *name);
        Problem::new(Kind::BAD_REQUEST, missing("list", word, names))
    })?;
    let limit = request.parameter("limit").unwrap_or("10");
    let limit =
        limit.parse().ok().filter(|it| (1..=TOP_MAX).contains(it)).ok_or_else(|| {
            let detail = format!("limit: found {limit}, want a number from 1 to {TOP_MAX}");
            Problem::new(Kind::BAD_REQUEST, detail)
        })?;
    let top = Top {
        what,
        limit,
        at: 0,
        best: BinaryHeap::new(),
        clients: BTreeMap::new(),
        last: None,
        most: BinaryHeap::new(),
    };
    Ok(Answer::pieces(JSON, Box::new(top)))
}

impl Top {
    fn look(&mut self, key: Key, pair: &Pair, view: &View<'_>) {
        let client = &pair.client;
        let since = match self.what {
            What::Longest => Some(client.opened_at(view.cx)),
            What::Slowest => pair.asked_at(),
            What::Clients => {
                *self.clients.entry(client.address.ip()).or_default() += 1;
                None
            }
        };
        if let Some(since) = since {
            self.best.push(Reverse((view.ago(since), key.number())));
            if self.best.len() > self.limit {
                self.best.pop();
            }
        }
    }

    /// Looks at some addresses. Says whether there may be more.
    fn count(&mut self) -> bool {
        let from = self.last.map_or(Unbounded, Excluded);
        let mut looked = 0;
        for (&ip, &count) in
            self.clients.range((from, Unbounded)).take(HAPROXY_PLACES_PER_PIECE)
        {
            self.most.push(Reverse((count, ip)));
            if self.most.len() > self.limit {
                self.most.pop();
            }
            self.last = Some(ip);
            looked += 1;
        }
        looked == HAPROXY_PLACES_PER_PIECE
    }

    fn items(&mut self, view: &View<'_>) -> Vec<Value> {
        let most = std::mem::take(&mut self.most).into_sorted_vec().into_iter();
        let clients = most.map(
            |Reverse((count, ip))| json!({"client": ip.to_string(), "connections": count}),
        );
        let best = std::mem::take(&mut self.best).into_sorted_vec().into_iter();
        // Who went meanwhile is left out.
        let pairs = best.filter_map(|Reverse((age, number))| {
            let (key, pair) = view.pairs.at(number as u32 as usize)?;
            (key.number() == number).then(|| self.item(pair, age, view))
        });
        clients.chain(pairs).collect()
    }

    fn item(&self, pair: &Pair, age: Duration, view: &View<'_>) -> Value {
        let client = &pair.client;
        let service = client.home.service.and_then(|id| view.cx.services.get(id));
        let pool = client.home.pool.map(|id| view.cx.backends.pool_name(Some(id)));
        let connection = client.link.key().and_then(|key| view.cx.connections.get(key));
        let server = connection.and_then(|it| view.cx.backends.get(it.backend));
        let mut item = json!({
            "client": client.address.to_string(),
            "service": service.map(|it| &*it.name),
            "pool": pool,
            "backend": server.map(|it| &*it.name),
            "doing": doing(pair),
            "bytes_in": client.duplex.request.moved(),
            "bytes_out": client.duplex.response.moved(),
        });
        match self.what {
            What::Slowest => item["total_ms"] = json!(age.as_millis() as u64),
            _ => item["age_s"] = json!(age.as_secs()),
        }
        item
    }
}

/// Of HTTP, where a request is; bytes that end on one side are no drain of a backend's.
fn doing(pair: &Pair) -> &'static str {
    match pair.standing() {
        ClientStanding::Resting => "resting",
        _ if pair.asked_at().is_some() && pair.client.link.is_connected() => "in flight",
        _ if pair.asked_at().is_some() => "connecting",
        _ => pair.doing(),
    }
}

impl Pieces for Top {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        for _ in 0..HAPROXY_PLACES_PER_PIECE {
            if self.at >= view.pairs.places() {
                break;
            }
            if let Some((key, pair)) = view.pairs.at(self.at)
                && pair.client.closing.is_none()
            {
                self.look(key, pair, view);
            }
            self.at += 1;
        }
        if self.at < view.pairs.places() || self.count() {
            return More::Now;
        }
        let items = self.items(view);
        out.extend_from_slice(format!("{}\n", json!({"items": items})).as_bytes());
        More::Never
    }
}
