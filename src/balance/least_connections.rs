//! `least-connections`: equalises the connections in progress, in proportion to the weights.
//!
//! ```text
//!   the least busy    lowest (connections + 1/2) / weight
//!   the next idle     among those without a connection, whose turn is next in the rotation
//!
//!   the idle one takes it if its turn comes before that of the least busy one
//! ```
//!
//! Connections being opened count. The half more rounds to the nearest whole connection: at any
//! number of connections each backend has its share, give or take one half (Webster's method of
//! sharing out seats). It is compared exactly, by cross-multiplication. Where the share of a light
//! backend is less than half a connection, it would never get one; so idle backends have turns as
//! well, by weight ([`super::rotation`]): with one client after the other all are idle, and the
//! picks are a weighted rotation and nothing else. Equals take turns in it too, never by list
//! order. O(log n) a pick and a change.

use std::num::NonZeroU32;
use std::time::Instant;

use super::rotation::{Restarted, Rotation};
use super::tournament::{Key, Tournament};
use super::{Ask, Balance, Candidates};

/// The least busy for their weights; equals take turns.
#[derive(Debug, Clone, Default)]
pub struct LeastConnections {
    busy: Tournament<Busy>,
    /// Those without a connection, unless all weigh the same: then the least busy one is idle as
    /// long as there are any, and of these the one whose turn is next.
    idle: Tournament<TurnOf>,
    /// What one of them weighs, and whether another one weighs something else.
    weight: Option<NonZeroU32>,
    uneven: bool,
    rotation: Rotation,
}

#[derive(Debug, Clone, Copy)]
struct Busy {
    connections: u32,
    weight: NonZeroU32,
    pass: u64,
}

/// When a backend's turn is; the earliest wins.
#[derive(Debug, Clone, Copy)]
struct TurnOf(u64);

impl Balance for LeastConnections {
    fn left(&mut self, set: &Candidates, seat: usize) {
        self.rotation.forget(seat);
        self.changed(set, seat);
    }

    fn changed(&mut self, set: &Candidates, index: usize) {
        let key = key(set, index, &mut self.rotation);
        self.set(index, key);
        let Some(Busy { weight, .. }) = key.filter(|_| !self.uneven) else { return };
        if *self.weight.get_or_insert(weight) != weight {
            self.uneven = true;
            self.rebuild_idle(set);
        }
    }

    fn pick(&mut self, set: &Candidates, _ask: &Ask) -> Option<usize> {
        let (index, busy) = self.next()?;
        let (pass, restarted) = self.rotation.chosen(index, busy.weight);
        match restarted {
            Restarted::No => self.set(index, Some(Busy { pass, ..busy })),
            Restarted::Yes => self.rebuild(set),
        }
        Some(index)
    }

    fn compared(&self, set: &Candidates, index: usize, _now: Instant) -> Option<f64> {
        Some(set[index].busyness())
    }
}

impl LeastConnections {
    fn rebuild(&mut self, set: &Candidates) {
        let rotation = &mut self.rotation;
        self.busy.rebuild(set.seats(), |index| key(set, index, rotation));
        let mut weights = set.iter().filter_map(|(_, candidate)| candidate.open_weight());
        self.weight = weights.next();
        self.uneven = weights.any(|weight| self.weight != Some(weight));
        self.rebuild_idle(set);
    }

    fn rebuild_idle(&mut self, set: &Candidates) {
        let busy = &self.busy;
        let count = if self.uneven { set.seats() } else { 0 };
        self.idle.rebuild(count, |index| busy.key_of(index).and_then(Busy::turn));
    }

    /// The least busy one, or an idle one whose turn is before that.
    fn next(&self) -> Option<(usize, Busy)> {
        let (index, least) = self.busy.winner()?;
        if !self.uneven {
            return Some((index, least));
        }
        match self.idle.winner() {
            Some((idle, TurnOf(pass))) if pass < least.pass => {
                Some((idle, self.busy.key_of(idle)?))
            }
            _ => Some((index, least)),
        }
    }

    fn set(&mut self, index: usize, key: Option<Busy>) {
        self.busy.set(index, key);
        if !self.uneven {
            return;
        }
        let turn = key.and_then(Busy::turn);
        // One that was busy and stays so has nothing to say here.
        if turn.is_some() || self.idle.key_of(index).is_some() {
            self.idle.set(index, turn);
        }
    }
}

fn key(set: &Candidates, index: usize, rotation: &mut Rotation) -> Option<Busy> {
    let weight = set[index].open_weight()?;
    let pass = rotation.pass(index, weight);
    Some(Busy { connections: set[index].connections, weight, pass })
}

impl Busy {
    /// Its turn, if it is idle.
    fn turn(self) -> Option<TurnOf> {
        (self.connections == 0).then_some(TurnOf(self.pass))
    }
}

impl Key for Busy {
    fn beats(&self, other: &Busy) -> bool {
        let halves = |key: &Busy| 2 * u64::from(key.connections) + 1;
        let ours = halves(self) * u64::from(other.weight.get());
        let theirs = halves(other) * u64::from(self.weight.get());
        if ours == theirs { self.pass < other.pass } else { ours < theirs }
    }
}

impl Key for TurnOf {
    fn beats(&self, other: &TurnOf) -> bool {
        self.0 < other.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Model, count};
    use crate::config::Algorithm;

    #[test]
    fn connections_follow_the_weights() {
        let mut model = Model::new(Algorithm::LeastConnections, &[4, 3, 2, 1]);
        for _ in 0..100 {
            model.connect();
        }
        assert_eq!(model.connections(), [40, 30, 20, 10]);
    }

    #[test]
    fn the_least_busy_for_its_weight_wins() {
        let mut model = Model::new(Algorithm::LeastConnections, &[1, 2, 1]);
        model.set_connections(&[2, 4, 3]);
        assert_eq!(model.pick(), Some(1), "4.5 / 2 is less than 2.5 / 1 and 3.5 / 1");
        model.set_connections(&[2, 6, 3]);
        assert_eq!(model.pick(), Some(0), "2.5 / 1 is less than 6.5 / 2 and 3.5 / 1");
    }

    /// Whatever their number, each has its share to the nearest connection or so.
    #[test]
    fn connections_that_stay_are_shared_out() {
        for weights in [&[95, 5][..], &[3, 1], &[1, 1, 1], &[4, 3, 2, 1], &[100, 100, 1]] {
            let mut model = Model::new(Algorithm::LeastConnections, weights);
            let all: u32 = weights.iter().sum();
            for count in 1..=400 {
                model.connect();
                for (have, &weight) in model.connections().into_iter().zip(weights) {
                    let share = f64::from(count) * f64::from(weight) / f64::from(all);
                    let off = (f64::from(have) - share).abs();
                    assert!(off <= 1.0, "{have} of {count}, {weights:?}: {share:.2}");
                }
            }
        }
    }

    #[test]
    fn an_idle_one_beats_a_busy_one_of_its_weight() {
        let mut model = Model::new(Algorithm::LeastConnections, &[7, 7, 7]);
        model.set_connections(&[1, 0, 1]);
        (0..20).for_each(|_| assert_eq!(model.pick(), Some(1)));
    }

    #[test]
    fn ties_go_round_and_not_by_list_order() {
        let mut model = Model::new(Algorithm::LeastConnections, &[1, 1, 1]);
        let picks: Vec<_> = (0..9).map(|_| model.pick().unwrap()).collect();
        assert_eq!(picks, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        model.set_eligible(1, false);
        assert_eq!(count(&mut model, 10), [5, 0, 5]);
        model.set_eligible(1, true);
        let back = count(&mut model, 9);
        assert!(back[1] <= 4, "it does not catch up: {back:?}");
    }

    #[test]
    fn large_numbers_do_not_overflow() {
        let mut model = Model::new(Algorithm::LeastConnections, &[65_535, 1, 65_535]);
        model.set_connections(&[u32::MAX, u32::MAX, u32::MAX - 1]);
        assert_eq!(model.pick(), Some(2));
    }
}
