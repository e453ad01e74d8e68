//! Who an event, a timer or a place in the run queue belongs to, packed into one word.
//!
//! ```text
//!      63   60 59                    32 31                               0
//!     +-------+------------------------+----------------------------------+
//!     | kind  |       generation       |              index               |
//!     +-------+------------------------+----------------------------------+
//! ```
//!
//! A slab hands out a freed index again at once, so an index alone does not name anybody: an event
//! that was fetched before its socket closed would reach the next one (pitfalls 1 and 2). The
//! generation does: every insertion gets a new one, and whoever looks up a key with an old
//! generation finds nobody.

use std::num::NonZeroU32;

const INDEX_BITS: u32 = 32;
const GENERATION_BITS: u32 = 28;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

// because: mio's token is a usize, and the packing needs all of its 64 bits.
const _: () = assert!(usize::BITS == 64, "pointsman needs a 64-bit machine");

/// A slot and the generation that it must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Place in its slab.
    pub index: u32,
    /// Which of the successive owners of that place.
    pub generation: Generation,
}

/// Counts the owners of a place: 28 bits, and never zero, so that an `Option` of a key is no larger
/// than the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Generation(NonZeroU32);

/// Work that belongs to the process and not to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Chore {
    /// The time to let connections finish is over.
    Drain,
    /// A step of the slow-start ramps.
    Ramp,
    /// A backend that was ejected may come back.
    Return,
    /// Idle connections to backends may have waited for too long.
    Idle,
    /// The log could not be written when it was asked to.
    Log,
    /// The demo's table.
    Status,
    /// Certificates may come near their end.
    Certificates,
    /// Flows of UDP may have been idle for too long.
    Flows,
    /// A client may rest, and give way to one that waits to be accepted.
    Room,
    /// More pipes are free than anybody needs.
    Pipes,
    /// Connections to backends have lived for long enough to be worth keepalive.
    Keepalive,
}

/// Everybody who can own an event, a timer or a place in the run queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A listening socket.
    Listener(Key),
    /// A pair; as a token, its client's socket.
    Pair(Key),
    /// A backend connection.
    Connection(Key),
    /// The probe of a backend; the generation counts its runs.
    Probe(Key),
    /// The process's signals.
    Signals,
    /// The process itself.
    Chore(Chore),
    /// Where datagrams of clients arrive.
    UdpListener(Key),
    /// A flow of UDP; as a token, its socket towards the backend.
    Flow(Key),
    /// The end of a sleep: see [`super::alarm`].
    Alarm,
}

impl Generation {
    /// The one that a count begins with.
    pub const FIRST: Generation = Generation(NonZeroU32::MIN);

    /// The one after this; wraps within its bits.
    pub fn next(self) -> Generation {
        Generation::of(self.bits() + 1).unwrap_or(Generation::FIRST)
    }

    fn of(bits: u64) -> Option<Generation> {
        NonZeroU32::new((bits & GENERATION_MASK) as u32).map(Generation)
    }

    fn bits(self) -> u64 {
        u64::from(self.0.get())
    }
}

impl Chore {
    const ALL: [Chore; 11] = [
        Chore::Drain,
        Chore::Ramp,
        Chore::Return,
        Chore::Idle,
        Chore::Log,
        Chore::Status,
        Chore::Certificates,
        Chore::Flows,
        Chore::Room,
        Chore::Pipes,
        Chore::Keepalive,
    ];
}

impl Owner {
    /// One word that says it all.
    pub fn pack(self) -> u64 {
        let (kind, index, generation) = match self {
            Owner::Listener(key) => (0, key.index, key.generation.bits()),
            Owner::Pair(key) => (1, key.index, key.generation.bits()),
            Owner::Connection(key) => (2, key.index, key.generation.bits()),
            Owner::Probe(key) => (3, key.index, key.generation.bits()),
            Owner::Signals => (4, 0, 0),
            Owner::Chore(chore) => (5, chore as u32, 0),
            Owner::UdpListener(key) => (6, key.index, key.generation.bits()),
            Owner::Flow(key) => (7, key.index, key.generation.bits()),
            Owner::Alarm => (8, 0, 0),
        };
        kind << (INDEX_BITS + GENERATION_BITS) | generation << INDEX_BITS | u64::from(index)
    }

    /// The reverse of [`Owner::pack`]; `None` for a word that nobody packed.
    pub fn unpack(word: u64) -> Option<Owner> {
        let index = word as u32;
        let key = || Some(Key { index, generation: Generation::of(word >> INDEX_BITS)? });
        Some(match word >> (INDEX_BITS + GENERATION_BITS) {
            0 => Owner::Listener(key()?),
            1 => Owner::Pair(key()?),
            2 => Owner::Connection(key()?),
            3 => Owner::Probe(key()?),
            4 => Owner::Signals,
            5 => Owner::Chore(*Chore::ALL.get(index as usize)?),
            6 => Owner::UdpListener(key()?),
            7 => Owner::Flow(key()?),
            8 => Owner::Alarm,
            _ => return None,
        })
    }
}

impl From<Owner> for mio::Token {
    fn from(owner: Owner) -> mio::Token {
        mio::Token(owner.pack() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> Generation {
        Generation::of(GENERATION_MASK).expect("not zero")
    }

    #[test]
    fn pitfall_24_every_owner_survives_packing() {
        let keys = [
            Key { index: 0, generation: Generation::FIRST },
            Key { index: 7, generation: Generation::FIRST.next().next() },
            Key { index: u32::MAX, generation: last() },
        ];
        let mut owners = vec![Owner::Signals, Owner::Alarm];
        owners.extend(Chore::ALL.map(Owner::Chore));
        for key in keys {
            owners.extend([Owner::Listener(key), Owner::Pair(key)]);
            owners.extend([Owner::Connection(key), Owner::Probe(key)]);
            owners.extend([Owner::UdpListener(key), Owner::Flow(key)]);
        }
        for owner in owners {
            assert_eq!(Owner::unpack(owner.pack()), Some(owner));
        }
    }

    #[test]
    fn words_that_nobody_packed_have_no_owner() {
        for word in [u64::MAX, 9 << 60, 5 << 60 | Chore::ALL.len() as u64] {
            assert_eq!(Owner::unpack(word), None, "{word:#x}");
        }
    }

    #[test]
    fn generations_wrap_within_their_bits() {
        assert_eq!(last().next(), Generation::FIRST);
        assert_eq!(size_of::<Option<Key>>(), size_of::<Key>());
    }
}
