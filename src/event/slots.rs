//! A slab whose keys go stale: a [`Key`] finds its entry or nobody, never the next tenant.

use slab::Slab;

use super::key::{Generation, Key};

/// Entries with keys that are not reused before 2^28 further insertions.
#[derive(Debug)]
pub struct Slots<T> {
    slab: Slab<Slot<T>>,
    generation: Generation,
}

#[derive(Debug)]
struct Slot<T> {
    generation: Generation,
    entry: T,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { slab: Slab::new(), generation: Generation::FIRST }
    }
}

impl<T> Slots<T> {
    /// Insert what `make` makes of its own key.
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        self.generation = self.generation.next();
        let vacant = self.slab.vacant_entry();
        let key = Key { index: vacant.key() as u32, generation: self.generation };
        vacant.insert(Slot { generation: self.generation, entry: make(key) });
        key
    }

    /// The entry of this key, if it is still there.
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slab.get(key.index as usize)?;
        (slot.generation == key.generation).then_some(&slot.entry)
    }

    /// The entry of this key, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slab.get_mut(key.index as usize)?;
        (slot.generation == key.generation).then_some(&mut slot.entry)
    }

    /// The entry at a place, whoever's it is, with its key: for a walk in slices.
    pub fn at(&self, place: usize) -> Option<(Key, &T)> {
        let slot = self.slab.get(place)?;
        Some((Key { index: place as u32, generation: slot.generation }, &slot.entry))
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self, place: usize) -> Option<(Key, &mut T)> {
        let slot = self.slab.get_mut(place)?;
        Some((Key { index: place as u32, generation: slot.generation }, &mut slot.entry))
    }

    /// All entries lie at places below this.
    pub fn places(&self) -> usize {
        self.slab.capacity()
    }

    /// Take the entry out; its key is stale from now on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        self.slab.try_remove(key.index as usize).map(|slot| slot.entry)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// All entries with their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slab.iter().map(|(index, slot)| {
            (Key { index: index as u32, generation: slot.generation }, &slot.entry)
        })
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.slab.iter_mut().map(|(index, slot)| {
            (Key { index: index as u32, generation: slot.generation }, &mut slot.entry)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitfall_01_a_stale_key_finds_nobody() {
        let mut slots = Slots::default();
        let first = slots.insert_with(|_| "first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert_with(|_| "second");
        assert_eq!(first.index, second.index, "the slab reuses a place at once");
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
    }
}
