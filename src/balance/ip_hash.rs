//! `ip-hash`: equalises nothing; sends a client's address to the same backend each time.
//!
//! The backends lie on a line in the order of their names, each as long as its configured weight,
//! up or down; the hash of the address is a point on it. Whoever meets a backend that takes nobody
//! is hashed again, so that the others stay where they are while it is away (as nginx's `ip_hash`).
//! A change of the set moves nearly everybody: see `consistent-hash`. O(log n) a pick.

use super::hash::{ByName, hash_ask};
use super::weights::Weights;
use super::{Ask, Balance, Candidates, Placed};
use crate::limits::REHASHES_MAX;

/// The line of backends that addresses are points on.
#[derive(Debug, Clone, Default)]
pub struct IpHash {
    by_name: ByName,
    /// Configured weights in the order of the names.
    line: Weights,
}

impl Balance for IpHash {
    fn joined(&mut self, _set: &Candidates, _seat: usize) {
        self.by_name.members_changed();
    }

    fn left(&mut self, _set: &Candidates, _seat: usize) {
        self.by_name.members_changed();
    }

    fn reweighed(&mut self, _set: &Candidates, _seat: usize) {
        self.by_name.members_changed();
    }

    fn changed(&mut self, set: &Candidates, index: usize) {
        self.by_name.changed(set, index);
    }

    fn pick(&mut self, set: &Candidates, ask: &Ask) -> Option<usize> {
        if self.by_name.settle(set) {
            let order = self.by_name.order().iter();
            self.line.rebuild(order.map(|&seat| set[seat as usize].weight));
        }
        for attempt in 0..=REHASHES_MAX {
            let place = self.line.at_fraction(hash_ask(ask, attempt))?;
            let index = self.by_name.order()[place] as usize;
            if set[index].open_weight().is_some() {
                return Some(index);
            }
        }
        self.by_name.draw(hash_ask(ask, REHASHES_MAX + 1))
    }

    fn placed(&self, ask: &Ask) -> Option<Placed> {
        Some(Placed { hash: hash_ask(ask, 0), slot: None })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Model, client, shares};
    use crate::config::Algorithm;

    #[test]
    fn shares_follow_the_weights_and_repeat() {
        let mut model = Model::new(Algorithm::IpHash, &[1, 2, 0, 5]);
        let first = shares(&mut model, 8_000);
        for (share, wanted) in first.iter().zip([1_000, 2_000, 0, 5_000]) {
            assert!(share.abs_diff(wanted) < 150, "{first:?}");
        }
        assert_eq!(shares(&mut model, 8_000), first);
    }

    #[test]
    fn the_others_stay_while_one_is_down() {
        let mut model = Model::new(Algorithm::IpHash, &[1; 10]);
        let clients = 0..5_000;
        let before: Vec<_> = clients.clone().map(|n| model.pick_for(client(n))).collect();
        model.set_eligible(4, false);
        for (n, before) in clients.clone().zip(&before) {
            let now = model.pick_for(client(n));
            assert_ne!(now, Some(4));
            assert!(now == *before || *before == Some(4));
        }
        model.set_eligible(4, true);
        assert!(clients.zip(before).all(|(n, before)| model.pick_for(client(n)) == before));
    }

    #[test]
    fn one_of_very_many_is_still_found() {
        let mut model = Model::new(Algorithm::IpHash, &[1; 1_000]);
        for index in (0..1_000).filter(|&index| index != 777) {
            model.set_eligible(index, false);
        }
        assert_eq!(shares(&mut model, 100)[777], 100);
    }

    #[test]
    fn the_order_of_the_flags_does_not_matter() {
        let names = ["a", "b", "c"];
        let turned = ["c", "a", "b"];
        let mut one = Model::named(Algorithm::IpHash, &names, &[1, 2, 3]);
        let mut two = Model::named(Algorithm::IpHash, &turned, &[3, 1, 2]);
        for n in 0..500 {
            let pick = |model: &mut Model| model.pick_for(client(n)).unwrap();
            assert_eq!(names[pick(&mut one)], turned[pick(&mut two)]);
        }
    }
}
