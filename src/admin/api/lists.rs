//! Lists: filtered, sorted, by pages if these are asked for, and written in pieces, as the client
//! takes them. What was not asked to be cut is never cut.
//!
//! ```text
//!   Collect (only to sort)  some rows a piece --> Write  some rows a piece --> next, generation
//! ```

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::config::closest;
use crate::limits::ADMIN_PIECE_BYTES;

use super::super::answer::{More, Pieces};
use super::super::problem::{Kind, Problem};
use super::super::request::Request;
use super::super::view::View;
use super::showing;

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noun {
    /// All services.
    Services,
    /// All listeners.
    Listeners,
    /// All pools.
    Pools,
    /// The backends of a pool.
    Backends(String),
}

/// Which of them, in which order, and what of each.
#[derive(Debug, Default)]
struct Query {
    fields: Vec<String>,
    state: Option<String>,
    /// The member to sort by, and whether the largest come first.
    sort: Option<(String, bool)>,
    limit: Option<usize>,
    after: Option<String>,
}

/// A list that is being written.
pub struct Listing {
    noun: Noun,
    query: Query,
    at: At,
    /// How many are written.
    written: usize,
    /// The name of the last one.
    last: Option<String>,
    /// It was passed over because `after` had not come yet.
    waits_for_after: bool,
    /// The name of the row that was looked at last, and in which generation.
    seen: Option<String>,
    generation: u64,
}

enum At {
    /// Rows are gathered to be sorted, this one next.
    Collect(usize, Vec<Value>),
    /// Rows are written as they are found, this one next.
    Straight(usize),
    /// They are written as they were sorted, the next one last.
    Sorted(Vec<Value>),
}

/// How many rows are looked at in a piece: about 0.2 ms.
const ROWS_PER_PIECE: usize = 32;

const KNOWN: &[&str] = &["fields", "state", "sort", "limit", "after"];

impl Listing {
    /// What a request asks for; `noun` is there.
    pub fn begin(noun: Noun, request: &Request) -> Result<Listing, Problem> {
        let query = Query::read(request)?;
        let at = match query.sort {
            Some(_) => At::Collect(0, Vec::new()),
            None => At::Straight(0),
        };
        let waits_for_after = query.after.is_some();
        Ok(Listing {
            noun,
            query,
            at,
            written: 0,
            last: None,
            waits_for_after,
            seen: None,
            generation: 0,
        })
    }

    /// What is there may have changed since the piece before: it goes on behind the row that was
    /// looked at last, wherever that is now.
    fn find_place(&mut self, view: &View<'_>) {
        if std::mem::replace(&mut self.generation, view.directory.generation)
            == view.directory.generation
        {
            return;
        }
        let (At::Collect(next, _) | At::Straight(next)) = &mut self.at else { return };
        let Some(seen) = &self.seen else { return };
        let mut places = 0..;
        let found = places.find_map(|at| match name(&self.noun, at, view) {
            Some(name) => (name == seen).then_some(Some(at)),
            None => Some(None),
        });
        if let Some(at) = found.flatten() {
            *next = at + 1;
        }
    }

    fn is_full(&self) -> bool {
        self.query.limit.is_some_and(|limit| self.written >= limit)
    }

    fn write_row(&mut self, row: &Value, out: &mut Vec<u8>) {
        if !self.passes(row) {
            return;
        }
        self.last = row["name"].as_str().map(str::to_owned);
        out.extend_from_slice(if self.written == 0 { b"\n" } else { b",\n" });
        self.written += 1;
        let some = self.query.shown(row);
        // because: writing to memory does not fail.
        let _ = serde_json::to_writer(out, some.as_ref().unwrap_or(row));
    }

    /// Whether a row comes after the one that the page before ended with.
    fn passes(&mut self, row: &Value) -> bool {
        if self.waits_for_after {
            self.waits_for_after = row["name"].as_str() != self.query.after.as_deref();
            return false;
        }
        true
    }

    fn end(&self, has_more: bool, view: &View<'_>, out: &mut Vec<u8>) -> More {
        let next = if has_more { json!(self.last) } else { Value::Null };
        let open = if self.written == 0 { "" } else { "\n" };
        let generation = view.directory.generation;
        let end = format!("{open}],\"next\":{next},\"generation\":{generation}}}\n");
        out.extend_from_slice(end.as_bytes());
        More::Never
    }
}

impl Pieces for Listing {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        let began = out.len();
        self.find_place(view);
        if self.written == 0 && matches!(self.at, At::Collect(0, _) | At::Straight(0)) {
            out.extend_from_slice(b"{\"items\":[");
        }
        for _ in 0..ROWS_PER_PIECE {
            if out.len() - began > ADMIN_PIECE_BYTES {
                return More::Now;
            }
            let full = self.is_full();
            match &mut self.at {
                At::Collect(next, rows) => match row(&self.noun, *next, view) {
                    Some(row) => {
                        *next += 1;
                        self.seen = row["name"].as_str().map(str::to_owned);
                        rows.extend(Some(row).filter(|row| self.query.takes(row)));
                    }
                    None => {
                        let mut rows = std::mem::take(rows);
                        self.query.sort(&mut rows);
                        self.at = At::Sorted(rows);
                    }
                },
                At::Straight(next) => {
                    let Some(row) = row(&self.noun, *next, view) else {
                        return self.end(false, view, out);
                    };
                    *next += 1;
                    self.seen = row["name"].as_str().map(str::to_owned);
                    if !self.query.takes(&row) {
                        continue;
                    }
                    if full {
                        return self.end(true, view, out);
                    }
                    self.write_row(&row, out);
                }
                At::Sorted(rows) => {
                    let Some(row) = rows.pop() else { return self.end(false, view, out) };
                    if full {
                        return self.end(true, view, out);
                    }
                    self.write_row(&row, out);
                }
            }
        }
        More::Now
    }
}

/// The name of the row at a place, if there is one.
fn name<'a>(noun: &Noun, at: usize, view: &View<'a>) -> Option<&'a str> {
    let directory = view.directory;
    Some(match noun {
        Noun::Services => &directory.desired.services.get(at)?.name,
        Noun::Listeners => &directory.desired.listeners.get(at)?.name,
        Noun::Pools => &directory.desired.pools.get(at)?.name,
        Noun::Backends(pool) => &directory.pool(pool)?.spec.backends.get(at)?.name,
    })
}

/// The row at a place, if there is one.
fn row(noun: &Noun, at: usize, view: &View<'_>) -> Option<Value> {
    let directory = view.directory;
    match noun {
        Noun::Services => {
            directory.desired.services.get(at).map(|it| showing::service(view, it))
        }
        Noun::Listeners => {
            directory.desired.listeners.get(at).map(|it| showing::listener(view, it))
        }
        Noun::Pools => directory.pool_at(at).map(|it| showing::pool(view, it)),
        Noun::Backends(pool) => {
            let pool = directory.pool(pool)?;
            let entry = directory.backend_at(pool, at)?;
            Some(showing::backend(view, pool, entry))
        }
    }
}

impl Query {
    fn read(request: &Request) -> Result<Query, Problem> {
        let mut query = Query::default();
        for (name, value) in &request.query {
            match &**name {
                "fields" => {
                    query.fields = value.split(',').map(|it| it.trim().to_owned()).collect();
                }
                "state" => query.state = Some(value.clone()),
                "sort" => {
                    let (name, falls) = match value.strip_prefix('-') {
                        Some(name) => (name, true),
                        None => (&**value, false),
                    };
                    query.sort = Some((name.to_owned(), falls));
                }
                "limit" => match value.parse() {
                    Ok(limit) if limit > 0 => query.limit = Some(limit),
                    _ => {
                        let detail = format!("limit={value}, want a whole number from 1 on");
                        return Err(Problem::new(Kind::BAD_REQUEST, detail));
                    }
                },
                "after" => query.after = Some(value.clone()),
                _ => return Err(unknown_parameter(name, KNOWN)),
            }
        }
        Ok(query)
    }

    /// Whether a row is in the state that was asked for: `state`, `health` or `admin`.
    fn takes(&self, row: &Value) -> bool {
        let Some(state) = &self.state else { return true };
        ["state", "health", "admin"].iter().any(|name| row[name] == **state)
    }

    /// In reverse, for the last is written first.
    fn sort(&self, rows: &mut [Value]) {
        let Some((name, falls)) = &self.sort else { return };
        rows.sort_by(|one, other| {
            let ordering = compare(member(one, name), member(other, name));
            let ordering = if *falls { ordering } else { ordering.reverse() };
            ordering.then_with(|| compare(&other["name"], &one["name"]))
        });
    }

    /// The members that are asked for, if not all are.
    fn shown(&self, row: &Value) -> Option<Value> {
        let Value::Object(all) = row else { return None };
        if self.fields.is_empty() {
            return None;
        }
        let wanted = |name: &str| self.fields.iter().any(|it| it == name);
        let some = all.iter().filter(|(name, _)| wanted(name));
        let some = some.map(|(name, value)| (name.clone(), value.clone()));
        Some(Value::Object(some.collect()))
    }
}

/// A parameter of the query that means nothing here.
pub fn unknown_parameter(name: &str, known: &[&str]) -> Problem {
    let near = closest(name, known.iter().copied());
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let want = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let detail = format!("unknown parameter {name}, want {want}{near}");
    Problem::new(Kind::BAD_REQUEST, detail)
}

/// A member by its path, such as `weight.effective`.
fn member<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(row, |row, name| &row[name])
}

fn compare(one: &Value, other: &Value) -> Ordering {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (None, None) => one.as_str().cmp(&other.as_str()),
    }
}
