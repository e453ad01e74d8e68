//! Weighted draws over many members whose weights change: a Fenwick tree.
//!
//! Owns the weights and their partial sums; setting a weight and finding the member at a point of
//! the whole both cost O(log n). A member of weight 0 is never found. Used by the algorithms that
//! draw by chance or by hash.

use fastrand::Rng;

/// Members side by side on a line, each as long as its weight.
#[derive(Debug, Clone, Default)]
pub struct Weights {
    weights: Vec<u32>,
    /// `sums[i]` covers the `i & -i` members that end with member `i - 1`; number 0 is not used.
    sums: Vec<u64>,
    total: u64,
}

impl Weights {
    /// Start anew with these.
    pub fn rebuild(&mut self, weights: impl Iterator<Item = u32>) {
        self.weights.clear();
        self.weights.extend(weights);
        self.total = self.weights.iter().map(|&weight| u64::from(weight)).sum();
        self.sums.clear();
        self.sums.push(0);
        self.sums.extend(self.weights.iter().map(|&weight| u64::from(weight)));
        for node in 1..self.sums.len() {
            let parent = node + lowest_bit(node);
            if parent < self.sums.len() {
                self.sums[parent] += self.sums[node];
            }
        }
    }

    /// Give the member at `index` another weight. The line grows as far as that.
    pub fn set(&mut self, index: usize, weight: u32) {
        while index >= self.weights.len() {
            self.push_weightless();
        }
        let old = std::mem::replace(&mut self.weights[index], weight);
        if old == weight {
            return;
        }
        self.total = self.total - u64::from(old) + u64::from(weight);
        let mut node = index + 1;
        while node < self.sums.len() {
            self.sums[node] = self.sums[node] - u64::from(old) + u64::from(weight);
            node += lowest_bit(node);
        }
    }

    fn push_weightless(&mut self) {
        self.weights.push(0);
        if self.sums.is_empty() {
            self.sums.push(0);
        }
        let node = self.sums.len();
        let mut sum = 0;
        let mut child = node - 1;
        while child > node - lowest_bit(node) {
            sum += self.sums[child];
            child -= lowest_bit(child);
        }
        self.sums.push(sum);
    }

    /// The member at this fraction of the line, as a number of 2^64ths.
    pub fn at_fraction(&self, fraction: u64) -> Option<usize> {
        let point = (u128::from(fraction) * u128::from(self.total)) >> 64;
        (self.total > 0).then(|| self.at(point as u64).0)
    }

    /// Two different members by chance, the second out of what the first leaves; the second is
    /// missing if there is only one.
    pub fn draw_two(&self, rng: &mut Rng) -> Option<(usize, Option<usize>)> {
        if self.total == 0 {
            return None;
        }
        let (first, start) = self.at(rng.u64(..self.total));
        let gap = u64::from(self.weights[first]);
        if self.total == gap {
            return Some((first, None));
        }
        let point = rng.u64(..self.total - gap);
        let point = if point < start { point } else { point + gap };
        Some((first, Some(self.at(point).0)))
    }

    /// The member at a point below the total, and where it starts.
    fn at(&self, point: u64) -> (usize, u64) {
        let mut before = 0;
        let mut rest = point;
        let mut jump = self.sums.len().next_power_of_two() / 2;
        while jump > 0 {
            if let Some(&sum) = self.sums.get(before + jump)
                && sum <= rest
            {
                before += jump;
                rest -= sum;
            }
            jump /= 2;
        }
        (before, point - rest)
    }
}

fn lowest_bit(node: usize) -> usize {
    node & node.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_finds_its_member() {
        let mut rng = Rng::with_seed(1);
        for count in [1, 2, 3, 8, 17] {
            let mut plain: Vec<u32> = (0..count).map(|_| rng.u32(..4)).collect();
            let mut weights = Weights::default();
            // In one piece or one after the other.
            match count % 2 {
                0 => weights.rebuild(plain.iter().copied()),
                _ => plain.iter().enumerate().for_each(|(i, &weight)| weights.set(i, weight)),
            }
            for _ in 0..100 {
                let line: Vec<usize> = (0..count)
                    .flat_map(|i| std::iter::repeat_n(i, plain[i] as usize))
                    .collect();
                for (point, &member) in line.iter().enumerate() {
                    let start = line.iter().position(|&other| other == member).unwrap();
                    assert_eq!(weights.at(point as u64), (member, start as u64));
                }
                assert_eq!(weights.total, line.len() as u64);
                let index = rng.usize(..count);
                plain[index] = rng.u32(..4);
                weights.set(index, plain[index]);
            }
        }
    }

    #[test]
    fn draws_are_distinct_and_proportional() {
        let mut weights = Weights::default();
        weights.rebuild([1, 0, 2, 3].into_iter());
        let mut rng = Rng::with_seed(1);
        let mut firsts = [0_usize; 4];
        let mut pairs = [[0_usize; 4]; 4];
        for _ in 0..60_000 {
            let (first, second) = weights.draw_two(&mut rng).unwrap();
            firsts[first] += 1;
            pairs[first][second.unwrap()] += 1;
        }
        for (member, share) in [(0, 10_000), (1, 0), (2, 20_000), (3, 30_000)] {
            assert!(firsts[member].abs_diff(share) < 600, "{firsts:?}");
            assert_eq!(pairs[member][member], 0);
        }
        // Out of what member 3 leaves, member 2 has two thirds.
        assert!(pairs[3][2].abs_diff(20_000) < 600, "{pairs:?}");
    }

    #[test]
    fn few_members_and_none() {
        let mut rng = Rng::with_seed(1);
        let mut weights = Weights::default();
        weights.rebuild(std::iter::empty());
        assert_eq!(weights.draw_two(&mut rng), None);
        weights.rebuild([0, 0].into_iter());
        assert_eq!((weights.draw_two(&mut rng), weights.at_fraction(7)), (None, None));
        weights.set(1, 5);
        assert_eq!(weights.draw_two(&mut rng), Some((1, None)));
        assert_eq!((weights.at_fraction(0), weights.at_fraction(u64::MAX)), (Some(1), Some(1)));
    }
}
