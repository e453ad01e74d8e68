//! What is, each second, for dashboards: taken once, written once, and sent to all who watch.
//!
//! ```text
//!   a second is over --a look--> rows that differ --> a delta, of which the last few are kept
//!                                                        |
//!   who comes: a snapshot of all rows, then each delta <-+
//! ```
//!
//! Nothing is done while nobody watches. Rows are whole, so that a delta may meet a row that a
//! snapshot had already.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::LIVE_DELTAS_KEPT;

/// What rows of backends have, in this order.
pub const COLUMNS: &[&str] = &[
    "id",
    "pool",
    "name",
    "address",
    "origin",
    "admin",
    "state",
    "reason",
    "since",
    "weight",
    "effective",
    "active",
    "max",
    "waiting",
    "rate",
    "p50_ms",
    "p99_ms",
    "errors_rate",
    "failures",
    "minute",
];

/// What was taken.
#[derive(Default)]
pub struct Live {
    /// Who watches.
    watchers: usize,
    /// The backends by pool and name.
    rows: BTreeMap<String, BTreeMap<String, Row>>,
    /// The id of the next row.
    next_id: u64,
    /// All but the backends, as the last delta has it.
    head: String,
    /// By its generation and its second, as events are numbered.
    id: String,
    /// The number of the last delta, counted from 1.
    number: u64,
    deltas: VecDeque<Vec<u8>>,
    /// Rows that differ in the look that is under way, with commas.
    changed: Vec<u8>,
}

/// A backend as it was written last.
struct Row {
    id: u64,
    text: Vec<u8>,
    /// When it was met last.
    taken: u64,
}

impl Live {
    /// So many watch from now on.
    pub fn watched_by(&mut self, watchers: usize) {
        self.watchers = watchers;
        if watchers == 0 {
            let Live { next_id, number, .. } = *self;
            *self = Live { next_id, number, ..Live::default() };
        }
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.watchers
    }

    /// Whether somebody watches, and has not been shown anything yet.
    pub fn is_awaited(&self) -> bool {
        self.watchers > 0 && self.head.is_empty()
    }

    /// A backend was met in a look: `write` makes its row, which begins with this id.
    pub fn put(&mut self, pool: &str, name: &str, second: u64, write: impl Fn(u64) -> Vec<u8>) {
        if !self.rows.contains_key(pool) {
            self.rows.insert(pool.to_owned(), BTreeMap::new());
        }
        let Some(rows) = self.rows.get_mut(pool) else { return };
        if !rows.contains_key(name) {
            self.next_id += 1;
            let row = Row { id: self.next_id, text: Vec::new(), taken: 0 };
            rows.insert(name.to_owned(), row);
        }
        let Some(row) = rows.get_mut(name) else { return };
        row.taken = second;
        let text = write(row.id);
        if text != row.text {
            if !self.changed.is_empty() {
                self.changed.push(b',');
            }
            self.changed.extend_from_slice(&text);
            row.text = text;
        }
    }

    /// A look is over, in which these rows were met; `head` has the rest, as members of an object.
    pub fn publish(&mut self, generation: u64, second: u64, head: String) {
        self.head = head;
        self.id = format!("{generation}.{second}");
        self.number += 1;
        let gone = self.forget_gone(second);
        let begin =
            format!("id: {}\nevent: delta\ndata: {{{},\"backends\":[", self.id, self.head);
        let mut delta = begin.into_bytes();
        delta.append(&mut self.changed);
        delta.extend_from_slice(format!("],\"gone\":{gone:?}}}\n\n").as_bytes());
        if self.deltas.len() == LIVE_DELTAS_KEPT {
            self.deltas.pop_front();
        }
        self.deltas.push_back(delta);
    }

    /// The ids of rows that were not met.
    fn forget_gone(&mut self, second: u64) -> Vec<u64> {
        let mut gone = Vec::new();
        self.rows.retain(|_, rows| {
            rows.retain(|_, row| {
                let is_here = row.taken == second;
                if !is_here {
                    gone.push(row.id);
                }
                is_here
            });
            !rows.is_empty()
        });
        gone
    }

    /// The number of the last delta, counted from 1; zero if there was none.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether something was taken since somebody came to watch.
    pub fn is_shown(&self) -> bool {
        !self.head.is_empty()
    }

    /// The delta of this number, if it is kept.
    pub fn delta(&self, number: u64) -> Option<&[u8]> {
        let first = self.number + 1 - self.deltas.len() as u64;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.deltas.get(at).map(Vec::as_slice)
    }

    /// What the last delta is called.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// All but the backends, as members of an object.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The first row behind the one of this pool and name, with those two.
    pub fn behind(&self, last: Option<&(String, String)>) -> Option<((String, String), &[u8])> {
        use std::ops::Bound::{Excluded, Unbounded};
        if let Some((pool, name)) = last
            && let Some(rows) = self.rows.get(pool)
            && let Some((name, row)) =
                rows.range::<String, _>((Excluded(name), Unbounded)).next()
        {
            return Some(((pool.clone(), name.clone()), &row.text));
        }
        let from = last.map_or(Unbounded, |(pool, _)| Excluded(pool));
        let (pool, rows) = self.rows.range::<String, _>((from, Unbounded)).next()?;
        let (name, row) = rows.iter().next()?;
        Some(((pool.clone(), name.clone()), &row.text))
    }
}
