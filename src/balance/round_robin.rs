//! `round-robin`: equalises the connections started, in proportion to the weights, smoothly.
//!
//! nginx's smooth weighted round robin, choice for choice: in each pick every eligible backend's
//! *current* grows by its weight; the highest current wins, the first of equals, and pays the sum
//! of the weights. Done plainly that is O(n) a pick. Here, since all backends of one weight grow
//! alike, they form a group that keeps its growth once and its members ordered: a pick compares
//! the heads of the groups, O(different weights + log n). A backend that may not be chosen leaves
//! its group and keeps its current, as with nginx.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{Ask, Balance, Candidates, Score};
use crate::limits::WEIGHT_ONE;

/// The members in groups of equal weight, and whose turn is next.
#[derive(Debug, Clone, Default)]
pub struct RoundRobin {
    members: Vec<Member>,
    /// The eligible, by weight.
    groups: BTreeMap<u32, Group>,
    /// Sum of the weights of the eligible.
    total: u64,
    /// Sum of the currents of all, growth included. A pick does not change it.
    sum: Current,
}

#[derive(Debug, Default, Clone, Copy)]
struct Member {
    /// What its current is beyond the growth of its group, or by itself if it has no group.
    current: Current,
    /// The group it is in; 0 is none.
    weight: u32,
}

#[derive(Debug, Clone, Default)]
struct Group {
    growth: Current,
    /// Highest current first, then lowest index.
    queue: BTreeSet<(Reverse<Current>, u32)>,
}

/// A growing group at the largest weight would fill 64 bits in some months.
type Current = i128;

impl Balance for RoundRobin {
    fn joined(&mut self, set: &Candidates, seat: usize) {
        self.members.resize(set.seats(), Member::default());
        // Neither ahead of the others nor behind them, wherever they are by now.
        let others = set.len() as Current - 1;
        let current = self.sum.checked_div(others).unwrap_or(0);
        self.sum += current;
        self.members[seat] = Member { current, weight: 0 };
        self.changed(set, seat);
    }

    fn left(&mut self, _set: &Candidates, seat: usize) {
        self.leave(seat);
        self.sum -= std::mem::take(&mut self.members[seat]).current;
    }

    fn changed(&mut self, set: &Candidates, index: usize) {
        let weight = set[index].open_weight_or_zero();
        if weight != self.members[index].weight {
            self.leave(index);
            self.join(index, weight);
        }
    }

    fn pick(&mut self, _set: &Candidates, _ask: &Ask) -> Option<usize> {
        let mut best: Option<(Current, Reverse<u32>, &mut Group)> = None;
        for (&weight, group) in &mut self.groups {
            group.growth += Current::from(weight);
            if let Some(&(Reverse(current), index)) = group.queue.first() {
                let current = current + group.growth;
                let index = Reverse(index);
                if best.as_ref().is_none_or(|best| (current, index) > (best.0, best.1)) {
                    best = Some((current, index, group));
                }
            }
        }
        let (_, Reverse(index), group) = best?;
        let (Reverse(current), _) = group.queue.pop_first()?;
        let current = current - Current::from(self.total);
        group.queue.insert((Reverse(current), index));
        self.members[index as usize].current = current;
        Some(index as usize)
    }

    fn score(&self, _set: &Candidates, index: usize, _now: Instant) -> Score {
        let member = self.members[index];
        let growth = self.groups.get(&member.weight).map_or(0, |group| group.growth);
        Score::Value((member.current + growth) as f64 / f64::from(WEIGHT_ONE), " current")
    }

    fn compared(&self, _set: &Candidates, index: usize, _now: Instant) -> Option<f64> {
        let member = self.members[index];
        let growth = self.groups.get(&member.weight).map_or(0, |group| group.growth);
        // All grow by their weights before they are compared.
        let current = member.current + growth + Current::from(member.weight);
        Some(current as f64 / f64::from(WEIGHT_ONE))
    }
}

impl RoundRobin {
    fn leave(&mut self, index: usize) {
        let member = &mut self.members[index];
        let Some(group) = self.groups.get_mut(&member.weight) else { return };
        group.queue.remove(&(Reverse(member.current), index as u32));
        member.current += group.growth;
        self.total -= u64::from(member.weight);
        if group.queue.is_empty() {
            self.groups.remove(&member.weight);
        }
        member.weight = 0;
    }

    fn join(&mut self, index: usize, weight: u32) {
        if weight == 0 {
            return;
        }
        let member = &mut self.members[index];
        let group = self.groups.entry(weight).or_default();
        member.weight = weight;
        member.current -= group.growth;
        group.queue.insert((Reverse(member.current), index as u32));
        self.total += u64::from(weight);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Model;
    use crate::config::Algorithm;
    use fastrand::Rng;

    fn letters(weights: &[u32], picks: usize) -> String {
        let mut model = Model::new(Algorithm::RoundRobin, weights);
        (0..picks).map(|_| char::from(b'a' + model.pick().unwrap() as u8)).collect()
    }

    #[test]
    fn chooses_as_nginx_does() {
        assert_eq!(letters(&[5, 1, 1], 14), "aabacaaaabacaa");
        assert_eq!(letters(&[4, 3, 2], 9), "abcabacba");
        assert_eq!(letters(&[1, 2, 3], 6), "cbacbc");
        assert_eq!(letters(&[1, 0, 1], 4), "acac");
    }

    /// nginx's loop, word for word; `weights` has 0 for those that may not be chosen.
    fn plain_pick(currents: &mut [i64], weights: &[u32]) -> Option<usize> {
        let mut total = 0;
        let mut best = None;
        for index in 0..currents.len() {
            if weights[index] == 0 {
                continue;
            }
            currents[index] += i64::from(weights[index]);
            total += i64::from(weights[index]);
            if best.is_none_or(|best: usize| currents[index] > currents[best]) {
                best = Some(index);
            }
        }
        currents[best?] -= total;
        best
    }

    #[test]
    fn agrees_with_the_plain_loop_whatever_changes() {
        for seed in 0..50 {
            let mut rng = Rng::with_seed(seed);
            let count = rng.usize(1..30);
            let mut weights: Vec<u32> = (0..count).map(|_| rng.u32(1..5)).collect();
            let mut model = Model::new(Algorithm::RoundRobin, &weights);
            weights.iter_mut().for_each(|weight| *weight *= 256);
            let mut currents = vec![0; count];
            for step in 0..500 {
                let index = rng.usize(..count);
                match rng.u32(..8) {
                    0 => {
                        weights[index] = 0;
                        model.set_eligible(index, false);
                    }
                    1 => {
                        weights[index] = 100 * rng.u32(1..4);
                        model.set_effective_weight(index, weights[index]);
                        model.set_eligible(index, true);
                    }
                    _ => {
                        let expected = plain_pick(&mut currents, &weights);
                        assert_eq!(model.pick(), expected, "seed {seed} step {step}");
                    }
                }
            }
        }
    }

    /// The one that is left is ahead of zero by what the other one paid.
    #[test]
    fn who_joins_begins_where_the_others_are() {
        let mut model = Model::new(Algorithm::RoundRobin, &[100, 1]);
        let turn_of = |model: &mut Model| (0..).take_while(|_| model.pick() != Some(1)).count();
        let first = turn_of(&mut model);
        model.leave(1);
        model.join("late", 1);
        assert_eq!(turn_of(&mut model), first);
    }
}
