//! Names for what the operator names: listeners, pools, servers, probes.
//!
//! ```text
//!      31  30            17 16              0
//!     +---+----------------+-----------------+
//!     | 1 |   generation   |      index      |
//!     +---+----------------+-----------------+
//! ```
//!
//! An [`Id`] has half the size of a [`Key`], for every pair and every flow holds some. Whoever
//! counts itself where its id leads (a pair at its listener and its pool, a connection at its
//! server) keeps that from being freed. The others hold an id for moments (the servers that one
//! client tried, events of one batch) and find nobody once it is gone: the same place would have to
//! be given away [`GENERATIONS`] times meanwhile for them to meet somebody else.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU32;

use crate::limits::{BACKENDS_MAX, ROUTES_MAX};

use super::key::Key;

const INDEX_BITS: u32 = 17;

/// So that no word is zero, and an `Option` of an id is no larger than the id.
// because: it is not zero, which the compiler sees.
const IS_ID: NonZeroU32 = NonZeroU32::new(1 << 31).unwrap();

/// An index is below this.
pub const INDICES: usize = 1 << INDEX_BITS;

/// After so many insertions an id may come again.
pub const GENERATIONS: u32 = 1 << (u32::BITS - 1 - INDEX_BITS);

// because: there is an id for everybody that may be asked for.
const _: () = assert!(BACKENDS_MAX < INDICES && ROUTES_MAX < INDICES);

/// The place and the generation of one entry of a [`super::Roster`]; of which one, says the type.
pub struct Id<Of> {
    word: NonZeroU32,
    of: PhantomData<fn() -> Of>,
}

/// What ids are of. Nothing is ever one of these: they only tell the ids apart.
pub mod of {
    /// Where clients come in.
    #[derive(Debug)]
    pub enum Listener {}

    /// What is done for clients.
    #[derive(Debug)]
    pub enum Service {}

    /// Servers, and the algorithm that chooses among them.
    #[derive(Debug)]
    pub enum Pool {}

    /// What is connected to and probed.
    #[derive(Debug)]
    pub enum Server {}

    /// What asks a server how it is.
    #[derive(Debug)]
    pub enum Probe {}

    /// What probes ask.
    #[derive(Debug)]
    pub enum Check {}
}

/// A listener, for connections or for datagrams.
pub type ListenerId = Id<of::Listener>;
/// A service.
pub type ServiceId = Id<of::Service>;
/// A pool.
pub type PoolId = Id<of::Pool>;
/// A server.
pub type ServerId = Id<of::Server>;
/// The probe of a server.
pub type ProbeId = Id<of::Probe>;
/// What some probes ask.
pub type CheckId = Id<of::Check>;

#[cfg(test)]
impl<Of> Id<Of> {
    /// The first one at this index.
    pub fn for_tests(index: u32) -> Id<Of> {
        Id::of(Key { index, generation: super::key::Generation::FIRST })
    }
}

impl<Of> Id<Of> {
    /// Of the entry with this key, whose index is below [`INDICES`].
    pub(super) fn of(key: Key) -> Id<Of> {
        debug_assert!((key.index as usize) < INDICES, "more than there are ids for");
        let generation = key.generation.bits() as u32 % GENERATIONS;
        let word = IS_ID | generation << INDEX_BITS | key.index;
        Id { word, of: PhantomData }
    }

    /// Its place, which one after it may have as well: for indexing, never to tell two apart.
    pub fn index(self) -> usize {
        self.word.get() as usize % INDICES
    }

    /// All of it, for a word with other things in it.
    pub fn bits(self) -> u32 {
        self.word.get()
    }

    /// The reverse of [`Id::bits`]; `None` for what is none.
    pub fn from_bits(bits: u32) -> Option<Id<Of>> {
        let word = NonZeroU32::new(bits)?;
        let is_id = word.get() & IS_ID.get() != 0;
        is_id.then_some(Id { word, of: PhantomData })
    }
}

// Derived, these would ask as much of `Of`.
impl<Of> Clone for Id<Of> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Of> Copy for Id<Of> {}

impl<Of> PartialEq for Id<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl<Of> Eq for Id<Of> {}

impl<Of> Hash for Id<Of> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.word.hash(state);
    }
}

impl<Of> fmt::Debug for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = std::any::type_name::<Of>().rsplit("::").next().unwrap_or_default();
        let generation = (self.word.get() >> INDEX_BITS) % GENERATIONS;
        write!(f, "{of} {}.{generation}", self.index())
    }
}
