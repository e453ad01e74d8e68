//! `consistent-hash`: equalises nothing; as `ip-hash`, and few clients move when the set changes.
//!
//! Maglev (Eisenbud and others, NSDI 2016): a table with a prime number of slots, in which every
//! backend has a walk of its own that meets all slots; in turns each takes the next free slot of
//! its walk until none is free. A backend of weight w has a turn in w of `w_max` rounds, evenly
//! spread (as Katran's version 2). Order, walks and hash come from names alone, so every instance
//! has the same table. A backend that takes nobody keeps its slots; its clients go on to the next
//! slot with a backend that does. O(1) a pick; building costs O(slots log slots).
//!
//! ```text
//!   joined, left, reweighed --> stale --work--> building --work--> ... --work--> in force
//!                                 ^                 |                                |
//!                                 +--- joined, left, reweighed meanwhile: again -----+
//! ```
//!
//! A large table takes tens of milliseconds, so it is built a slice at a time, from the members as
//! they were when it was begun, and the old one is in force until it is whole. It is finished even
//! if the members have changed again: else a set that changes all the time would never get one.
//! Both tables forget the seat of who left at once, so whoever sits there next is not met in them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::hash::{ByName, hash_ask, hash_name};
use super::{Ask, Balance, Candidate, Candidates, Placed, Work};
use crate::limits::{MAGLEV_PROBES_MAX, MAGLEV_SLOTS, MAGLEV_SLOTS_PER_BACKEND};

/// The table that picks go by, and the next one while it is built.
#[derive(Debug, Clone, Default)]
pub struct ConsistentHash {
    by_name: ByName,
    /// The one in force.
    table: SlotTable,
    /// The one that follows it.
    building: Option<Building>,
    /// The members changed since the last table was begun.
    stale: bool,
}

impl Balance for ConsistentHash {
    fn joined(&mut self, set: &Candidates, seat: usize) {
        self.forget(seat);
        self.reweighed(set, seat);
    }

    fn left(&mut self, set: &Candidates, seat: usize) {
        self.forget(seat);
        self.reweighed(set, seat);
    }

    fn reweighed(&mut self, _set: &Candidates, _seat: usize) {
        self.by_name.members_changed();
        self.stale = true;
    }

    fn work(&mut self, set: &Candidates, budget: usize) -> Work {
        if let Some(building) = &mut self.building {
            if building.fill(budget) == Work::Left {
                return Work::Left;
            }
            self.table = self.building.take().map(|done| done.table).unwrap_or_default();
        } else if self.stale {
            self.stale = false;
            self.by_name.settle(set);
            self.building = Some(Building::new(set, self.by_name.order()));
        }
        if self.stale || self.building.is_some() { Work::Left } else { Work::Done }
    }

    fn changed(&mut self, set: &Candidates, index: usize) {
        self.by_name.changed(set, index);
    }

    fn pick(&mut self, set: &Candidates, ask: &Ask) -> Option<usize> {
        self.table.find(set, hash_ask(ask, 0)).or_else(|| {
            self.by_name.settle(set);
            self.by_name.draw(hash_ask(ask, 1))
        })
    }

    fn placed(&self, ask: &Ask) -> Option<Placed> {
        let hash = hash_ask(ask, 0);
        let slots = self.table.slots.len() as u32;
        let slot = (slots > 0).then(|| (self.table.start(hash) as u32, slots));
        Some(Placed { hash, slot })
    }
}

impl ConsistentHash {
    fn forget(&mut self, seat: usize) {
        self.table.forget(seat);
        if let Some(building) = &mut self.building {
            building.table.forget(seat);
        }
    }
}

#[derive(Debug, Clone, Default)]
struct SlotTable {
    /// The seat of each slot; empty only if there is no candidate with a weight.
    slots: Vec<u32>,
    /// Whether who sits there is the one that the slots are of.
    known: Vec<bool>,
}

impl SlotTable {
    fn forget(&mut self, seat: usize) {
        if let Some(known) = self.known.get_mut(seat) {
            *known = false;
        }
    }

    /// The slot of this hash.
    fn start(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    /// The backend at the slot of this hash, or at one of those behind it.
    fn find(&self, set: &Candidates, hash: u64) -> Option<usize> {
        let (before, after) = self.slots.split_at(self.start(hash));
        let slots = after.iter().chain(before).take(MAGLEV_PROBES_MAX + 1);
        let mut seats = slots.map(|&seat| seat as usize);
        seats.find(|&seat| set[seat].open_weight().is_some() && self.known[seat])
    }
}

/// A table that is not whole yet, and where its building stands.
#[derive(Debug, Clone)]
struct Building {
    table: SlotTable,
    free: FreeSlots,
    /// The heaviest first.
    walks: Vec<Walk>,
    /// Those of one weight have their turns in the same rounds: they take them together.
    groups: Vec<Range<usize>>,
    /// The next turn of each group, the earliest first.
    due: BinaryHeap<Reverse<NextTurn>>,
    /// How many of the group whose turn it is have had theirs.
    served: usize,
}

/// The turns of a group are numbered from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct NextTurn {
    round: u64,
    group: usize,
    number: u64,
}

/// A backend's way through all slots: from its own start in strides of its own length.
#[derive(Debug, Clone)]
struct Walk {
    seat: u32,
    weight: u32,
    slot: usize,
    stride: usize,
}

impl Building {
    fn new(set: &Candidates, by_name: &[u32]) -> Building {
        let mut walks = walks(set, by_name);
        walks.sort_by_key(|walk| Reverse(walk.weight));
        let size = if walks.is_empty() { 0 } else { table_size(walks.len()) };
        let mut groups = Vec::new();
        for group in walks.chunk_by(|a, b| a.weight == b.weight) {
            let start = groups.last().map_or(0, |before: &Range<usize>| before.end);
            groups.push(start..start + group.len());
        }
        let slots = Vec::with_capacity(size);
        let table = SlotTable { slots, known: vec![true; set.seats()] };
        let free = FreeSlots::new(size);
        let due = BinaryHeap::new();
        let mut building = Building { table, free, walks, groups, due, served: 0 };
        let first = |group| building.turn(group, 1);
        building.due = (0..building.groups.len()).map(first).map(Reverse).collect();
        building
    }

    /// Fill slots until all are taken, but look at no more than about `budget`: towards the end a
    /// walk meets very many taken ones for each that is free.
    fn fill(&mut self, mut budget: usize) -> Work {
        // A walk may go anywhere from its first step on, so the memory has to be there before: in
        // slices, since it may take the system milliseconds to give it.
        let slots = &mut self.table.slots;
        let more = budget.min(self.free.size - slots.len());
        slots.resize(slots.len() + more, 0);
        budget -= more;
        while self.free.count > 0 {
            let Some(&Reverse(turn)) = self.due.peek() else { break };
            for walk in &mut self.walks[self.groups[turn.group].clone()][self.served..] {
                match walk.take(&mut self.free, &mut budget) {
                    Some(slot) => self.table.slots[slot] = walk.seat,
                    None if self.free.count == 0 => return Work::Done,
                    None => return Work::Left,
                }
                self.served += 1;
            }
            self.served = 0;
            let next = Reverse(self.turn(turn.group, turn.number + 1));
            if let Some(mut due) = self.due.peek_mut() {
                *due = next;
            }
        }
        Work::Done
    }

    fn turn(&self, group: usize, number: u64) -> NextTurn {
        let weight = self.walks[self.groups[group].start].weight;
        NextTurn { round: round(self.walks[0].weight, weight, number), group, number }
    }
}

/// Those of all backends with a weight; none is too light for a slot of its own.
fn walks(set: &Candidates, by_name: &[u32]) -> Vec<Walk> {
    let weighty = || by_name.iter().filter(|&&seat| set[seat as usize].weight > 0);
    let size = table_size(weighty().count()) as u64;
    let total: u64 = set.iter().map(|(_, candidate)| u64::from(candidate.weight)).sum();
    let lightest = (total / size) as u32 + 1;
    weighty().map(|&seat| Walk::new(&set[seat as usize], seat, lightest, size)).collect()
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
    fn new(candidate: &Candidate, seat: u32, lightest: u32, size: u64) -> Walk {
        let slot = (hash_name(&candidate.name, 1) % size) as usize;
        let stride = (hash_name(&candidate.name, 2) % (size - 1) + 1) as usize;
        Walk { seat, weight: candidate.weight.max(lightest), slot, stride }
    }

    /// Take the next free slot, unless that is too far away for now.
    fn take(&mut self, free: &mut FreeSlots, budget: &mut usize) -> Option<usize> {
        while free.count > 0 && *budget > 0 {
            *budget -= 1;
            let slot = self.slot;
            self.step(free.size);
            if free.take(slot) {
                return Some(slot);
            }
        }
        None
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
#[derive(Debug, Clone)]
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
        let word = slot / 64;
        let bit = 1 << (slot % 64);
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
        by_name.members_changed();
        by_name.settle(set);
        let mut building = Building::new(set, by_name.order());
        assert_eq!(building.fill(usize::MAX), Work::Done);
        building.table.slots
    }

    fn slots(set: &Candidates) -> Vec<usize> {
        let mut slots = vec![0; set.seats()];
        for seat in table(set) {
            slots[seat as usize] += 1;
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

    #[test]
    fn slices_are_small_and_make_the_table_that_is_made_at_once() {
        let weights: Vec<u32> = (0..2_000).map(|index| index % 4).collect();
        let set = candidates(&weights);
        let mut balance = ConsistentHash::default();
        balance.joined(&set, 0);
        assert_eq!(balance.work(&set, 1_000), Work::Left, "it is begun");
        let mut slices = 0;
        let mut most = 0;
        let size = balance.building.as_ref().unwrap().free.size;
        while let Some(building) = &balance.building {
            let before = building.free.count;
            let work = balance.work(&set, 1_000);
            let after = balance.building.as_ref().map_or(0, |building| building.free.count);
            most = most.max(before - after);
            slices += 1;
            assert_eq!(work == Work::Done, after == 0);
        }
        assert!(most <= 1_000 && slices >= size / 1_000, "{slices} slices of {most}");
        assert_eq!(balance.table.slots, table(&set));
        assert_eq!(balance.work(&set, 1_000), Work::Done, "nothing is left");
    }

    #[test]
    fn the_old_table_is_in_force_until_the_new_one_is_whole() {
        let mut model = Model::new(Algorithm::ConsistentHash, &[1; 10]);
        let before: Vec<_> = (0..2_000).map(|n| model.pick_for(client(n))).collect();
        model.leave(4);
        let newcomer = model.join("newcomer", 5);
        assert_eq!(newcomer, 4, "it sits where the other one sat");
        let mut slices = 0;
        while shares(&mut model, 200)[newcomer] == 0 {
            for (n, &before) in before.iter().enumerate() {
                let now = model.pick_for(client(n as u32));
                assert_ne!(now, Some(newcomer), "it inherits nobody");
                assert!(before == Some(4) || now == before);
            }
            // A change meanwhile does not keep the table from being finished.
            if slices == 3 {
                model.set_weight(0, 2);
            }
            assert_eq!(model.work(20_000), Work::Left);
            slices += 1;
        }
        assert!((10..100).contains(&slices), "{slices}");
        while model.work(usize::MAX) == Work::Left {}
        let found = shares(&mut model, 3_200);
        assert!(found[newcomer].abs_diff(1_000) < 100, "{found:?}");
        assert!(found[0].abs_diff(400) < 60, "{found:?}");
    }
}
