//! `random`: nearly equalises the connections in progress, by the power of two choices.
//!
//! Two different backends are drawn in proportion to their weights, the second out of what the
//! first leaves; the first wins if it has no connection, else the one with fewer for its weight,
//! half a connection added to each as in [`super::least_connections`]: without that an idle
//! backend of little weight beats each that has a connection, whatever that one weighs, and few
//! clients get to it far too often. The busiest backend carries little more than the average
//! (Mitzenmacher 1996), and many balancers at once never agree on the same victim. O(log n) a
//! pick, nothing a change.

use std::time::Instant;

use fastrand::Rng;

use super::weights::Weights;
use super::{Ask, Balance, Candidates};

/// The weights to draw by.
#[derive(Debug, Clone)]
pub struct Random {
    weights: Weights,
    rng: Rng,
}

impl Random {
    /// The same seed makes the same draws.
    pub fn new(seed: u64) -> Random {
        Random { weights: Weights::default(), rng: Rng::with_seed(seed) }
    }
}

impl Balance for Random {
    fn changed(&mut self, set: &Candidates, index: usize) {
        self.weights.set(index, set[index].open_weight_or_zero());
    }

    fn pick(&mut self, set: &Candidates, _ask: &Ask) -> Option<usize> {
        let (first, second) = self.weights.draw_two(&mut self.rng)?;
        if set[first].connections == 0 {
            return Some(first);
        }
        let better = second.filter(|&second| {
            let product = |connections: usize, weight: usize| {
                (2 * u64::from(set[connections].connections) + 1)
                    * u64::from(set[weight].effective_weight)
            };
            product(second, first) < product(first, second)
        });
        Some(better.unwrap_or(first))
    }

    fn compared(&self, set: &Candidates, index: usize, _now: Instant) -> Option<f64> {
        Some(set[index].busyness())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Model, count};
    use crate::config::Algorithm;

    #[test]
    fn of_two_the_less_busy_always_wins() {
        let mut model = Model::new(Algorithm::Random, &[1, 1]);
        model.set_connections(&[5, 4]);
        assert_eq!(count(&mut model, 100), [0, 100]);
        let mut model = Model::new(Algorithm::Random, &[3, 2]);
        model.set_connections(&[5, 4]);
        assert_eq!(count(&mut model, 100), [100, 0], "5 / 3 is less than 4 / 2");
    }

    #[test]
    fn connections_come_out_nearly_even_for_their_weights() {
        let weights: Vec<u32> = (0..50).map(|index| 1 + index % 2).collect();
        let mut model = Model::new(Algorithm::Random, &weights);
        for _ in 0..7_500 {
            model.connect();
        }
        for (connections, weight) in model.connections().iter().zip(&weights) {
            assert!(connections.abs_diff(100 * weight) < 12 * weight, "{connections} {weight}");
        }
    }

    /// Few clients, each with a connection that ends when it has the next one.
    #[test]
    fn weights_hold_with_few_clients() {
        for clients in [1, 2, 8, 64] {
            let mut model = Model::new(Algorithm::Random, &[95, 5]);
            let mut connections = [0, 0];
            let mut open = std::collections::VecDeque::new();
            let mut light = 0;
            for _ in 0..4_000 {
                model.set_connections(&connections);
                let picked = model.pick().unwrap();
                connections[picked] += 1;
                open.push_back(picked);
                if open.len() >= clients {
                    connections[open.pop_front().unwrap()] -= 1;
                }
                light += u32::from(picked == 1);
            }
            assert!((120..=320).contains(&light), "{light} of 4,000 with {clients} clients");
        }
    }

    #[test]
    fn idle_backends_are_drawn_by_weight() {
        let mut model = Model::new(Algorithm::Random, &[1, 2, 3]);
        let counts = count(&mut model, 6_000);
        for (count, share) in counts.iter().zip([1_000, 2_000, 3_000]) {
            assert!(count.abs_diff(share) < 150, "{counts:?}");
        }
    }
}
