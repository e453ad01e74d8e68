//! `consistent-hash`: equalises nothing; as `ip-hash`, and few clients move when the set changes.
//!
//! Maglev (Eisenbud and others, NSDI 2016): a table with a prime number of slots, in which every
//! backend has a walk of its own that meets all slots; in turns each takes the next free slot of
//! its walk until none is free. A backend of weight w has a turn in w of `w_max` rounds, evenly
//! spread (as Katran's version 2). Order, walks and hash come from names alone, so every instance
//! has the same table. A backend that takes nobody keeps its slots; its clients go on to the next
//! slot with a backend that does. O(1) a pick; building costs O(slots log slots).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::hash::{ByName, hash_ask, hash_name};
use super::{Ask, Balance, Candidate, Candidates};
use crate::limits::{MAGLEV_PROBES_MAX, MAGLEV_SLOTS, MAGLEV_SLOTS_PER_BACKEND};

/// See the head of the file.
#[derive(Debug, Default)]
pub struct ConsistentHash {
    by_name: ByName,
    /// The candidate of each slot; empty only if there is none with a weight.
    table: Vec<u32>,
}

impl Balance for ConsistentHash {
    fn members_changed(&mut self, set: &Candidates) {
        self.by_name.members_changed(set);
        self.table = build_table(set, self.by_name.order());
    }

    fn changed(&mut self, set: &Candidates, index: usize) {
        self.by_name.changed(set, index);
    }

    fn pick(&mut self, set: &Candidates, ask: &Ask) -> Option<usize> {
        let hash = hash_ask(ask, 0);
        let start = ((u128::from(hash) * self.table.len() as u128) >> 64) as usize;
        let (before, after) = self.table.split_at(start);
        let slots = after.iter().chain(before).take(MAGLEV_PROBES_MAX + 1);
        let mut candidates = slots.map(|&index| index as usize);
        candidates
            .find(|&index| set[index].open_weight().is_some())
            .or_else(|| self.by_name.draw(hash_ask(ask, 1)))
    }
}

/// A backend's way through all slots: from its own start in strides of its own length.
struct Walk {
    index: u32,
    weight: u32,
    slot: usize,
    stride: usize,
}

fn build_table(set: &Candidates, by_name: &[u32]) -> Vec<u32> {
    let mut walks = walks(set, by_name);
    let mut free = FreeSlots::new(table_size(walks.len()));
    let mut table = vec![0; free.size];
    // Those of one weight have their turns in the same rounds: they take them together.
    walks.sort_by_key(|walk| Reverse(walk.weight));
    let Some(heaviest) = walks.first().map(|walk| walk.weight) else {
        return Vec::new();
    };
    let mut groups: Vec<&mut [Walk]> =
        walks.chunk_by_mut(|a, b| a.weight == b.weight).collect();
    let mut due: BinaryHeap<_> = (0..groups.len())
        .map(|group| Reverse((round(heaviest, groups[group][0].weight, 1), group, 1)))
        .collect();
    while let Some(mut next) = due.peek_mut() {
        let Reverse((_, group, turn)) = *next;
        for walk in groups[group].iter_mut() {
            if free.count == 0 {
                return table;
            }
            table[walk.take(&mut free)] = walk.index;
        }
        let weight = groups[group][0].weight;
        *next = Reverse((round(heaviest, weight, turn + 1), group, turn + 1));
    }
    table
}

/// Those of all backends with a weight; none is too light for a slot of its own.
fn walks(set: &Candidates, by_name: &[u32]) -> Vec<Walk> {
    let weighty = || by_name.iter().filter(|&&index| set[index as usize].weight > 0);
    let size = table_size(weighty().count()) as u64;
    let total: u64 = set.iter().map(|candidate| u64::from(candidate.weight)).sum();
    let lightest = (total / size) as u32 + 1;
    weighty().map(|&index| Walk::new(&set[index as usize], index, lightest, size)).collect()
}

/// The round of a turn: every heaviest / weight rounds one, from half of that on, so that shares
/// are rounded and not cut off.
fn round(heaviest: u32, weight: u32, turn: u64) -> u64 {
    ((2 * turn - 1) * u64::from(heaviest)).div_ceil(2 * u64::from(weight))
}

fn table_size(backends: usize) -> usize {
    let wanted = backends * MAGLEV_SLOTS_PER_BACKEND;
    let largest = MAGLEV_SLOTS[MAGLEV_SLOTS.len() - 1];
    MAGLEV_SLOTS.into_iter().find(|&size| size >= wanted).unwrap_or(largest)
}

impl Walk {
    fn new(candidate: &Candidate, index: u32, lightest: u32, size: u64) -> Walk {
        let slot = (hash_name(&candidate.name, 1) % size) as usize;
        let stride = (hash_name(&candidate.name, 2) % (size - 1) + 1) as usize;
        Walk { index, weight: candidate.weight.max(lightest), slot, stride }
    }

    /// Take the next free slot; there must be one.
    fn take(&mut self, free: &mut FreeSlots) -> usize {
        while !free.take(self.slot) {
            self.step(free.size);
        }
        let taken = self.slot;
        self.step(free.size);
        taken
    }

    fn step(&mut self, size: usize) {
        self.slot += self.stride;
        if self.slot >= size {
            self.slot -= size;
        }
    }
}

/// One bit a slot: small enough to stay in the cache while walks meet taken slots, which they do
/// some 14 times for each free one.
struct FreeSlots {
    taken: Vec<u64>,
    size: usize,
    count: usize,
}

impl FreeSlots {
    fn new(size: usize) -> FreeSlots {
        FreeSlots { taken: vec![0; size.div_ceil(64)], size, count: size }
    }

    fn take(&mut self, slot: usize) -> bool {
        let (word, bit) = (slot / 64, 1 << (slot % 64));
        let free = self.taken[word] & bit == 0;
        self.taken[word] |= bit;
        self.count -= usize::from(free);
        free
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Model, candidates, client, named_candidates, shares};
    use super::*;
    use crate::config::Algorithm;
    use crate::limits::BACKENDS_MAX;

    fn table(set: &Candidates) -> Vec<u32> {
        let mut by_name = ByName::default();
        by_name.members_changed(set);
        build_table(set, by_name.order())
    }

    fn slots(set: &Candidates) -> Vec<usize> {
        let mut slots = vec![0; set.len()];
        for index in table(set) {
            slots[index as usize] += 1;
        }
        slots
    }

    #[test]
    fn sizes_are_prime_and_large_enough() {
        for size in MAGLEV_SLOTS {
            assert!((2..).take_while(|n| n * n <= size).all(|n| size % n != 0), "{size}");
        }
        assert!(table_size(BACKENDS_MAX) >= BACKENDS_MAX * MAGLEV_SLOTS_PER_BACKEND);
        assert_eq!(
            (table_size(0), table_size(655), table_size(656)),
            (65_537, 65_537, 131_071)
        );
    }

    #[test]
    fn equal_backends_have_equal_shares() {
        for count in [1, 3, 10, 655] {
            let size = table_size(count);
            for slots in slots(&candidates(&vec![1; count])) {
                assert!(slots.abs_diff(size / count) <= 1);
            }
        }
    }

    #[test]
    fn shares_follow_the_weights() {
        let weights = [1, 3, 0, 100, 7, 7, 65_535];
        let total: u32 = weights.iter().sum();
        for (slots, weight) in slots(&candidates(&weights)).into_iter().zip(weights) {
            let fair = 65_537.0 * f64::from(weight) / f64::from(total);
            assert!(
                (slots as f64 - fair).abs() <= 1.0 + fair / 100.0,
                "{weight}: {slots} for {fair}"
            );
        }
    }

    #[test]
    fn the_lightest_has_a_slot_too() {
        let mut weights = [65_535; 100];
        weights[50] = 1;
        assert!((1..=2).contains(&slots(&candidates(&weights))[50]));
    }

    #[test]
    fn clients_are_spread_as_the_slots_are() {
        let mut model = Model::new(Algorithm::ConsistentHash, &[1, 2, 3]);
        let found = shares(&mut model, 12_000);
        for (share, wanted) in found.iter().zip([2_000, 4_000, 6_000]) {
            assert!(share.abs_diff(wanted) < wanted / 20, "{found:?}");
        }
    }

    #[test]
    fn every_instance_has_the_same_table() {
        let names: Vec<String> = (0..20).map(|n| format!("10.0.0.{n}:80")).collect();
        let weights: Vec<u32> = (0..20).map(|n| 1 + n % 3).collect();
        let mut order: Vec<usize> = (0..20).collect();
        fastrand::Rng::with_seed(1).shuffle(&mut order);
        let turned_names: Vec<&String> = order.iter().map(|&n| &names[n]).collect();
        let turned_weights: Vec<u32> = order.iter().map(|&n| weights[n]).collect();
        let plain = table(&named_candidates(&names, &weights));
        let turned = table(&named_candidates(&turned_names, &turned_weights));
        assert!(plain.iter().zip(&turned).all(|(&a, &b)| a as usize == order[b as usize]));
    }

    #[test]
    fn few_move_when_a_backend_goes_for_good() {
        let mut weights = [1; 20];
        let before = table(&candidates(&weights));
        weights[7] = 0;
        let after = table(&candidates(&weights));
        let pairs = before.iter().zip(&after);
        let moved = pairs.filter(|&(&was, &is)| was != is && was != 7).count();
        assert!(moved * 100 < before.len() * 5, "{moved} of {} moved", before.len());
    }

    #[test]
    fn nobody_else_moves_while_a_backend_is_down() {
        let mut model = Model::new(Algorithm::ConsistentHash, &[1; 10]);
        let before: Vec<_> = (0..5_000).map(|n| model.pick_for(client(n))).collect();
        model.set_eligible(4, false);
        let mut heirs = [0; 10];
        for (n, before) in before.into_iter().enumerate() {
            let now = model.pick_for(client(n as u32));
            if before == Some(4) {
                heirs[now.unwrap()] += 1;
            } else {
                assert_eq!(now, before);
            }
        }
        assert_eq!(heirs[4], 0);
        assert!((0..10).all(|heir| heir == 4 || heirs[heir] > 20), "{heirs:?}");
    }

    #[test]
    fn one_of_very_many_is_still_found() {
        let mut model = Model::new(Algorithm::ConsistentHash, &[1; 1_000]);
        for index in (0..1_000).filter(|&index| index != 777) {
            model.set_eligible(index, false);
        }
        assert_eq!(shares(&mut model, 100)[777], 100);
    }
}
