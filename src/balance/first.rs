//! `first`: equalises nothing; keeps as few backends in use as it can.
//!
//! The first in the order of the seats that takes connections, until it has its `max-connections`;
//! then the second. Weights do not matter, except that weight 0 takes nobody. A pick looks at 64
//! backends at a time.

use std::time::Instant;

use super::{Ask, Balance, Candidates};

/// Who takes connections, in the order of the seats.
#[derive(Debug, Clone, Default)]
pub struct First {
    /// One bit for each backend that takes connections, the first the lowest.
    open: Vec<u64>,
}

impl Balance for First {
    fn changed(&mut self, set: &Candidates, index: usize) {
        let word = index / 64;
        let bit = 1 << (index % 64);
        if word >= self.open.len() {
            self.open.resize(word + 1, 0);
        }
        match set[index].open_weight() {
            Some(_) => self.open[word] |= bit,
            None => self.open[word] &= !bit,
        }
    }

    fn pick(&mut self, _set: &Candidates, _ask: &Ask) -> Option<usize> {
        let word = self.open.iter().position(|&bits| bits != 0)?;
        Some(word * 64 + self.open[word].trailing_zeros() as usize)
    }

    fn compared(&self, _set: &Candidates, index: usize, _now: Instant) -> Option<f64> {
        Some(index as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Model;
    use crate::config::Algorithm;

    #[test]
    fn the_next_one_only_when_those_before_take_nobody() {
        let mut model = Model::new(Algorithm::First, &[1; 200]);
        assert_eq!(model.pick(), Some(0));
        for index in 0..150 {
            model.set_eligible(index, false);
        }
        assert_eq!(model.pick(), Some(150));
        model.set_eligible(3, true);
        assert_eq!(model.pick(), Some(3));
    }
}
