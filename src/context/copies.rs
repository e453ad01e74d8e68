//! Copies of requests that are meant for another pool, until they are sent there: those whose body
//! is still coming, and those that are whole and wait for their turn.
//!
//! ```text
//!   relay::http --the body comes with the head--> waiting --event_loop--> relay::mirror
//!        |                                           ^
//!        +--the body is still coming--> gathering ---+
//!                                           |
//!                                           +--too long, or cut short--> dropped
//! ```
//!
//! Filled by [`crate::relay::http`], emptied by the event loop. However many are wanted, there are
//! never more than [`MIRRORS_MAX`], those under way among them: what is too much is not begun.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::event::{Key, PoolId};
use crate::http::Asked;
use crate::limits::MIRRORS_MAX;

/// A request as it went to a backend, and where it is to go as well.
#[derive(Debug)]
pub struct RequestCopy {
    /// A server of which it goes to.
    pub pool: PoolId,
    /// The client's address.
    pub client: IpAddr,
    /// What the client is placed by instead, if by anything.
    pub hash_key: Option<u64>,
    /// What decides how its answer is read.
    pub asked: Asked,
    /// Its head and its body.
    pub bytes: Vec<u8>,
}

/// All copies that are not sent yet.
#[derive(Debug, Default)]
pub struct Copies {
    /// By the pair whose request it is.
    gathering: HashMap<Key, RequestCopy>,
    /// Whole.
    waiting: VecDeque<RequestCopy>,
    /// How many are under way, until their sockets are closed.
    pub open: usize,
}

impl Copies {
    /// How many there may be where there may be so many clients.
    pub fn most(max_connections: usize) -> usize {
        MIRRORS_MAX.min(max_connections / 4)
    }

    /// How many there are, those under way among them.
    pub fn len(&self) -> usize {
        self.gathering.len() + self.waiting.len() + self.open
    }

    /// Whether there are none, under way or not.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// It is whole, and to be sent.
    pub fn add(&mut self, copy: RequestCopy) {
        self.waiting.push_back(copy);
    }

    /// The rest of it is still to come from this pair.
    pub fn gather(&mut self, pair: Key, copy: RequestCopy) {
        self.gathering.insert(pair, copy);
    }

    /// What is gathered for this pair, to be added to.
    pub fn gathered(&mut self, pair: Key) -> Option<&mut RequestCopy> {
        self.gathering.get_mut(&pair)
    }

    /// All of it is there.
    pub fn complete(&mut self, pair: Key) {
        self.waiting.extend(self.gathering.remove(&pair));
    }

    /// What is gathered for this pair is of no use any more. Says whether anything was.
    #[inline]
    pub fn forget(&mut self, pair: Key) -> bool {
        !self.gathering.is_empty() && self.gathering.remove(&pair).is_some()
    }

    /// The next one that is to be sent.
    pub fn take(&mut self) -> Option<RequestCopy> {
        self.waiting.pop_front()
    }

    /// Whether one is to be sent.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The pairs for which something is gathered.
    pub fn pairs(&self) -> impl Iterator<Item = Key> {
        self.gathering.keys().copied()
    }
}
