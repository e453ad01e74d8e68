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

use crate::event::{Key, PoolId, Slots};
use crate::http::Asked;
use crate::limits::MIRRORS_MAX;
use crate::net::Stream;

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
    /// How many are under way.
    pub open: usize,
    /// The sockets of those under way, and of those that are over and not yet reaped. They are here
    /// so that they can be closed wherever a descriptor is wanted.
    sockets: Slots<Stream>,
    /// One of them gave way since that was asked last.
    gave_way: bool,
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

    /// A copy is under way on this socket; the key is the socket's own.
    pub fn add_socket(&mut self, stream: Stream) -> Key {
        self.sockets.insert_with(|_| stream)
    }

    /// Such a socket, unless it gave way.
    pub fn socket(&mut self, key: Key) -> Option<&mut Stream> {
        self.sockets.get_mut(key)
    }

    /// Close such a socket, if it is still there. All is said, or nothing of it matters: closed
    /// with a FIN it would keep its local port for a minute, of which there are few.
    pub fn close_socket(&mut self, key: Key) {
        if let Some(mut stream) = self.sockets.remove(key) {
            stream.reset_on_close();
        }
    }

    /// A descriptor is wanted: close the socket of one of them. Says whether there was one. Its
    /// copy is ended later, see [`Copies::take_gave_way`].
    pub fn give_way(&mut self) -> bool {
        let Some((key, _)) = self.sockets.iter().next() else { return false };
        self.close_socket(key);
        self.gave_way = true;
        true
    }

    /// Whether a copy has lost its socket so and is still to be ended.
    pub fn has_given_way(&self) -> bool {
        self.gave_way
    }

    /// Whether one has since that was asked last: which those are, shows who has none any more.
    pub fn take_gave_way(&mut self) -> bool {
        std::mem::take(&mut self.gave_way)
    }

    /// How many sockets there are.
    pub fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// The pairs for which something is gathered.
    pub fn pairs(&self) -> impl Iterator<Item = Key> {
        self.gathering.keys().copied()
    }
}
