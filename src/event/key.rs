//! What names an entry of a slab, and nobody after it.
//!
//! A slab hands out a freed index again at once, so an index alone does not name anybody: an event
//! that was fetched before its socket closed would reach the next one (pitfalls 1 and 2). The
//! generation does: every insertion gets a new one, and whoever looks up a key with an old
//! generation finds nobody.

use std::num::NonZeroU32;

/// How many bits of a generation are used, so that it fits into a word beside an index.
pub const GENERATION_BITS: u32 = 28;

const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// A slot and the generation that it must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Place in its slab.
    pub index: u32,
    /// Which of the successive owners of that place.
    pub generation: Generation,
}

impl Key {
    /// As one number: the generation, then 32 bits of the place.
    pub fn number(self) -> u64 {
        self.generation.bits() << 32 | u64::from(self.index)
    }
}

/// Counts the owners of a place: 28 bits, and never zero, so that an `Option` of a key is no larger
/// than the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(NonZeroU32);

impl Generation {
    /// The one that a count begins with.
    pub const FIRST: Generation = Generation(NonZeroU32::MIN);

    /// The one after this; wraps within its bits.
    pub fn next(self) -> Generation {
        Generation::of(self.bits() + 1).unwrap_or(Generation::FIRST)
    }

    pub(super) fn of(bits: u64) -> Option<Generation> {
        NonZeroU32::new((bits & GENERATION_MASK) as u32).map(Generation)
    }

    pub(super) fn bits(self) -> u64 {
        u64::from(self.0.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_wrap_within_their_bits() {
        let last = Generation::of(GENERATION_MASK).expect("not zero");
        assert_eq!(last.next(), Generation::FIRST);
        assert_eq!(size_of::<Option<Key>>(), size_of::<Key>());
    }
}
