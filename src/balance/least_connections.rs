//! `least-connections`: equalises the connections in progress, in proportion to the weights.
//!
//! The lowest (connections + 1) / weight wins, compared exactly by cross-multiplication; the one
//! more is the connection to be placed, so that weights count among idle backends too. Connections
//! being opened count. Ties go round smoothly ([`super::rotation`]), never by list order, so equal
//! backends get equal shares of short connections, and no bursts. O(log n) a pick and a change.

use std::num::NonZeroU32;

use super::rotation::{Restarted, Rotation};
use super::tournament::{Key, Tournament};
use super::{Ask, Balance, Candidates};

/// See the head of the file.
#[derive(Debug, Default)]
pub struct LeastConnections {
    tournament: Tournament<Busy>,
    rotation: Rotation,
}

#[derive(Debug, Clone, Copy)]
struct Busy {
    connections: u32,
    weight: NonZeroU32,
    pass: u64,
}

impl Balance for LeastConnections {
    fn members_changed(&mut self, set: &Candidates) {
        self.rotation.resize(set.len());
        let rotation = &mut self.rotation;
        self.tournament.rebuild(set.len(), |index| key(set, index, rotation));
    }

    fn changed(&mut self, set: &Candidates, index: usize) {
        self.tournament.set(index, key(set, index, &mut self.rotation));
    }

    fn pick(&mut self, set: &Candidates, _ask: &Ask) -> Option<usize> {
        let (index, busy) = self.tournament.winner()?;
        let (pass, restarted) = self.rotation.chosen(index, busy.weight);
        match restarted {
            Restarted::No => self.tournament.set(index, Some(Busy { pass, ..busy })),
            Restarted::Yes => self.members_changed(set),
        }
        Some(index)
    }
}

fn key(set: &Candidates, index: usize, rotation: &mut Rotation) -> Option<Busy> {
    let weight = set[index].open_weight()?;
    let pass = rotation.pass(index, weight);
    Some(Busy { connections: set[index].connections, weight, pass })
}

impl Key for Busy {
    fn beats(&self, other: &Busy) -> bool {
        let ours = (u64::from(self.connections) + 1) * u64::from(other.weight.get());
        let theirs = (u64::from(other.connections) + 1) * u64::from(self.weight.get());
        if ours == theirs { self.pass < other.pass } else { ours < theirs }
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
        assert_eq!(model.pick(), Some(1), "5 / 2 is less than 3 / 1 and 4 / 1");
        model.set_connections(&[2, 6, 3]);
        assert_eq!(model.pick(), Some(0), "3 / 1 is less than 7 / 2 and 4 / 1");
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
