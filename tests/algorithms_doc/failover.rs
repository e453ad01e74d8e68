//! `failover`: equalises nothing; all go to the heaviest backend that takes connections, the least
//! busy of equals; the lighter ones wait in reserve (as IPVS `fo`). O(n) a pick.

use std::cmp::Reverse;

use super::{Ask, Balance, Candidates};

/// It keeps nothing: each pick looks at all.
#[derive(Debug, Clone, Default)]
pub struct Failover;

impl Balance for Failover {
    fn pick(&mut self, set: &Candidates, _ask: &Ask) -> Option<usize> {
        let open = set.iter().filter(|(_, candidate)| candidate.open_weight().is_some());
        let best = open.max_by_key(|(_, it)| (it.weight, Reverse(it.connections)));
        best.map(|(seat, _)| seat)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Model;
    use crate::config::Algorithm;

    #[test]
    fn the_reserve_is_used_only_when_it_must_be() {
        let mut model = Model::new(Algorithm::Failover, &[1, 5, 5]);
        model.set_connections(&[0, 2, 1]);
        assert_eq!(model.pick(), Some(2));
        model.set_eligible(1, false);
        model.set_eligible(2, false);
        assert_eq!(model.pick(), Some(0));
    }
}
