//! What the operator names and may take away again: each entry with an [`Id`], and a way to leave.
//!
//! ```text
//!   insert --> here --leave--> leaving --reap, once nobody needs it--> gone
//! ```
//!
//! An entry that leaves stays where it is, and whoever holds its id still finds it: what that means
//! (no new clients, no new connections) is its owner's business. Only [`Roster::reap`] frees, at
//! the end of a turn, when the entry says that nothing counts on it any more.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use super::id::Id;
use super::slots::Slots;

/// Entries with ids of `Of`.
#[derive(Debug)]
pub struct Roster<T, Of> {
    slots: Slots<Entry<T, Of>>,
    /// Those that are to be freed.
    leaving: Vec<Id<Of>>,
    /// One of them may have become free: there may be thousands, and nothing to do for hours.
    is_due: bool,
    of: PhantomData<Of>,
}

#[derive(Debug)]
struct Entry<T, Of> {
    id: Id<Of>,
    leaves: bool,
    entry: T,
}

impl<T, Of> Default for Roster<T, Of> {
    fn default() -> Self {
        Roster { slots: Slots::default(), leaving: Vec::new(), is_due: false, of: PhantomData }
    }
}

impl<T, Of> Roster<T, Of> {
    /// Insert what `make` makes of its own id. The caller sees to it that there are fewer than
    /// [`super::id::INDICES`].
    pub fn insert_with(&mut self, make: impl FnOnce(Id<Of>) -> T) -> Id<Of> {
        let entry = |key| {
            let id = Id::of(key);
            Entry { id, leaves: false, entry: make(id) }
        };
        Id::of(self.slots.insert_with(entry))
    }

    /// Insert an entry that need not know its id.
    pub fn insert(&mut self, entry: T) -> Id<Of> {
        self.insert_with(|_| entry)
    }

    /// The entry of this id, leaving or not, if it is still there.
    pub fn get(&self, id: Id<Of>) -> Option<&T> {
        let (_, found) = self.slots.at(id.index())?;
        (found.id == id).then_some(&found.entry)
    }

    /// The entry of this id, leaving or not, if it is still there.
    pub fn get_mut(&mut self, id: Id<Of>) -> Option<&mut T> {
        let (_, found) = self.slots.at_mut(id.index())?;
        (found.id == id).then_some(&mut found.entry)
    }

    /// The entry at the first place that is taken, from this one on: for a walk in slices.
    pub fn next_from(&self, place: usize) -> Option<(Id<Of>, &T)> {
        let mut places = place..self.slots.places();
        let (_, found) = places.find_map(|place| self.slots.at(place))?;
        Some((found.id, &found.entry))
    }

    /// It is to be freed by [`Roster::reap`] once that may be. Says whether it was there and not
    /// leaving yet.
    pub fn leave(&mut self, id: Id<Of>) -> bool {
        let found = self.slots.at_mut(id.index()).filter(|(_, found)| found.id == id);
        let Some((_, entry)) = found else { return false };
        let leaves = !std::mem::replace(&mut entry.leaves, true);
        if leaves {
            self.leaving.push(id);
            self.is_due = true;
        }
        leaves
    }

    /// Something counts on an entry no more: if that leaves, [`Roster::reap`] is to look at it.
    pub fn recheck(&mut self) {
        self.is_due |= self.has_leaving();
    }

    /// Whether [`Roster::reap`] has something to look at.
    pub fn is_due(&self) -> bool {
        self.is_due
    }

    /// Whether it is leaving, or gone.
    pub fn is_leaving(&self, id: Id<Of>) -> bool {
        let found = self.slots.at(id.index()).filter(|(_, found)| found.id == id);
        found.is_none_or(|(_, entry)| entry.leaves)
    }

    /// Whether one is leaving.
    pub fn has_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Those that are leaving.
    pub fn leaving(&self) -> impl Iterator<Item = Id<Of>> {
        self.leaving.iter().copied()
    }

    /// Free the leaving ones of which `is_free` is true, and hand them to `free`. Nothing else
    /// frees, and only the end of a turn calls this.
    pub fn reap(&mut self, is_free: impl Fn(&T) -> bool, mut free: impl FnMut(Id<Of>, T)) {
        if !std::mem::take(&mut self.is_due) {
            return;
        }
        let slots = &mut self.slots;
        self.leaving.retain(|&id| {
            let Some((key, entry)) = slots.at(id.index()) else { return false };
            if !is_free(&entry.entry) {
                return true;
            }
            if let Some(entry) = slots.remove(key) {
                free(id, entry.entry);
            }
            false
        });
    }

    /// None is left that could be freed, between two turns: else a [`Roster::recheck`] is missing.
    pub fn check_reaped(&self, is_free: impl Fn(&T) -> bool) {
        let mut leaving = self.leaving.iter().filter_map(|&id| self.get(id));
        assert!(!leaving.any(is_free), "what left and is free was reaped");
    }

    /// How many there are, leaving ones included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// All of them, leaving ones included, in the order of their places: that in which they were
    /// inserted, until one of them is taken again.
    pub fn iter(&self) -> impl Iterator<Item = (Id<Of>, &T)> {
        self.slots.iter().map(|(_, found)| (found.id, &found.entry))
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id<Of>, &mut T)> {
        self.slots.iter_mut().map(|(_, found)| (found.id, &mut found.entry))
    }

    /// Their ids.
    pub fn ids(&self) -> Vec<Id<Of>> {
        self.iter().map(|(id, _)| id).collect()
    }
}

/// For those who count themselves at the entry, so that it is there.
impl<T, Of> Index<Id<Of>> for Roster<T, Of> {
    type Output = T;

    fn index(&self, id: Id<Of>) -> &T {
        // because: what is counted on is not freed.
        self.get(id).expect("an entry that is counted on")
    }
}

impl<T, Of> IndexMut<Id<Of>> for Roster<T, Of> {
    fn index_mut(&mut self, id: Id<Of>) -> &mut T {
        // because: what is counted on is not freed.
        self.get_mut(id).expect("an entry that is counted on")
    }
}

#[cfg(test)]
mod tests {
    use super::super::id::{GENERATIONS, of};
    use super::*;

    type Letters = Roster<char, of::Pool>;

    #[test]
    fn who_leaves_is_found_until_it_is_reaped() {
        let mut roster = Letters::default();
        let [a, b] = ['a', 'b'].map(|letter| roster.insert(letter));
        assert!(roster.leave(a) && !roster.leave(a), "once");
        assert!(roster.is_leaving(a) && !roster.is_leaving(b) && roster.has_leaving());
        roster.reap(|_| false, |_, _| panic!("nobody is free"));
        assert_eq!((roster.get(a), roster.len()), (Some(&'a'), 2));
        let mut freed = Vec::new();
        roster.reap(|_| true, |_, _| panic!("nothing changed"));
        roster.recheck();
        roster.reap(|_| true, |id, letter| freed.push((id, letter)));
        assert_eq!(freed, [(a, 'a')], "b does not leave");
        assert!(roster.is_leaving(a) && !roster.has_leaving());
        let c = roster.insert('c');
        assert_eq!(c.index(), a.index(), "the place is taken again");
        assert_eq!(roster.get(a), None);
        assert_eq!(roster.get_mut(a), None);
        assert!(!roster.leave(a));
        assert_eq!((roster.get(c), roster[b]), (Some(&'c'), 'b'));
    }

    #[test]
    fn an_id_is_not_given_twice_for_a_long_time() {
        let mut roster = Letters::default();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..GENERATIONS {
            let id = roster.insert('a');
            assert!(seen.insert(id), "{id:?}");
            assert_eq!(Id::from_bits(id.bits()), Some(id));
            roster.leave(id);
            roster.reap(|_| true, |_, _| {});
        }
        assert_eq!(size_of::<Option<Id<of::Pool>>>(), 4);
    }

    #[test]
    fn a_walk_in_slices_finds_everybody() {
        let mut roster = Letters::default();
        let ids: Vec<_> = ('a'..='e').map(|letter| roster.insert(letter)).collect();
        assert!(roster.leave(ids[0]) && roster.leave(ids[2]));
        roster.reap(|_| true, |_, _| {});
        let mut at = 0;
        let mut seen = String::new();
        while let Some((id, &letter)) = roster.next_from(at) {
            at = id.index() + 1;
            seen.push(letter);
        }
        assert_eq!(seen, "bde");
    }
}
