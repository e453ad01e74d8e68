//! The best of many keys, where any key may change: a tree of duels.
//!
//! Owns a key for each contestant and the winner of each duel. A change replays only the duels on
//! the way to the top, and stops at the first one that the contestant loses as it did before:
//! O(log n) at worst. Used by the algorithms that want an exact minimum.
//!
//! ```text
//!            1: b                 duels[1] is the final; the children of duel d are
//!         /        \              2d and 2d+1; from `width` on they are contestants.
//!      2: b        3: d           A contestant without a key never wins.
//!     /    \      /    \
//!    a      b    -      d
//! ```

use std::time::Instant;

/// What contestants compare.
pub trait Key: Copy {
    /// Whether this one is strictly better.
    fn beats(&self, other: &Self) -> bool;
}

/// The keys of all contestants, and who won each duel.
#[derive(Debug, Clone)]
pub struct Tournament<K> {
    keys: Vec<Option<K>>,
    /// The winner of each duel, or [`NOBODY`]; number 0 is not used.
    duels: Vec<u32>,
}

const NOBODY: u32 = u32::MAX;

impl<K> Default for Tournament<K> {
    fn default() -> Self {
        Tournament { keys: Vec::new(), duels: Vec::new() }
    }
}

impl<K: Key> Tournament<K> {
    /// Start anew with `count` contestants and these keys.
    pub fn rebuild(&mut self, count: usize, key: impl FnMut(usize) -> Option<K>) {
        let width = count.next_power_of_two().max(2);
        self.keys.clear();
        self.keys.extend((0..count).map(key));
        self.keys.resize(width, None);
        self.duels.clear();
        self.duels.resize(width, NOBODY);
        for duel in (1..width).rev() {
            self.duels[duel] = self.fight(duel);
        }
    }

    /// Give the contestant at `index` a new key, or none. The tree doubles where it is too small.
    pub fn set(&mut self, index: usize, key: Option<K>) {
        if index >= self.keys.len() {
            let keys = std::mem::take(&mut self.keys);
            self.rebuild(index + 1, |index| keys.get(index).copied().flatten());
        }
        self.keys[index] = key;
        let mut duel = (self.keys.len() + index) / 2;
        while duel >= 1 {
            let winner = self.fight(duel);
            if winner == self.duels[duel] && winner as usize != index {
                return;
            }
            self.duels[duel] = winner;
            duel /= 2;
        }
    }

    /// Whoever beats all others, and the key that does; the lower index of equals.
    pub fn winner(&self) -> Option<(usize, K)> {
        let index = *self.duels.get(1)? as usize;
        Some((index, self.key_of(index)?))
    }

    /// The key of the contestant at `index`, if it has one.
    pub fn key_of(&self, index: usize) -> Option<K> {
        self.keys.get(index).copied().flatten()
    }

    fn fight(&self, duel: usize) -> u32 {
        let left = self.contestant(2 * duel);
        let right = self.contestant(2 * duel + 1);
        match (self.key_of(left as usize), self.key_of(right as usize)) {
            (Some(ours), Some(theirs)) if theirs.beats(&ours) => right,
            (Some(_), _) => left,
            (None, _) => right,
        }
    }

    fn contestant(&self, child: usize) -> u32 {
        let width = self.duels.len();
        if child < width { self.duels[child] } else { (child - width) as u32 }
    }
}

/// The earliest wins.
impl Key for Instant {
    fn beats(&self, other: &Instant) -> bool {
        self < other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Key for u32 {
        fn beats(&self, other: &u32) -> bool {
            self < other
        }
    }

    #[test]
    fn nobody_wins_where_nobody_is() {
        let mut tree = Tournament::<u32>::default();
        assert_eq!(tree.winner(), None);
        for count in 0..5 {
            tree.rebuild(count, |_| None);
            assert_eq!(tree.winner(), None);
        }
    }

    #[test]
    fn grows_with_its_contestants() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut tree = Tournament::default();
        let mut keys = Vec::new();
        for index in 0..100 {
            keys.push(rng.u32(..20));
            tree.set(index, keys.last().copied());
            let best = keys.iter().zip(0..).min().map(|(&key, index)| (index, key));
            assert_eq!(tree.winner(), best);
        }
    }

    #[test]
    fn agrees_with_a_scan() {
        let mut rng = fastrand::Rng::with_seed(1);
        for count in [1, 2, 3, 7, 8, 9, 100] {
            let mut keys: Vec<Option<u32>> = (0..count).map(|_| Some(rng.u32(..20))).collect();
            let mut tree = Tournament::default();
            tree.rebuild(count, |index| keys[index]);
            for _ in 0..500 {
                let index = rng.usize(..count);
                keys[index] = rng.bool().then(|| rng.u32(..20));
                tree.set(index, keys[index]);
                let scan = keys.iter().enumerate().filter_map(|(i, key)| key.map(|k| (k, i)));
                let best = scan.min().map(|(key, i)| (i, key));
                assert_eq!(tree.winner(), best, "{keys:?}");
            }
        }
    }
}
