//! The median of many numbers, where any number may change: two ordered halves.
//!
//! Owns a number for each member that has one. The lower half holds as many as the upper or one
//! more, so its last is the median; a change costs O(log n). The algorithms that learn give it to
//! members of which nothing is known.

use std::collections::BTreeSet;

/// The numbers, ordered in two halves.
#[derive(Debug, Clone, Default)]
pub struct Median {
    values: Vec<Option<Entry>>,
    low: BTreeSet<Entry>,
    high: BTreeSet<Entry>,
}

/// The bits of a number of 0 or more, which sort as the number does, and whose it is.
type Entry = (u64, u32);

impl Median {
    /// Give the member at `index` another number, 0 or more, or none.
    pub fn set(&mut self, index: usize, value: Option<f64>) {
        if index >= self.values.len() {
            self.values.resize(index + 1, None);
        }
        let entry = value.map(|value| (value.max(0.0).to_bits(), index as u32));
        if let Some(old) = std::mem::replace(&mut self.values[index], entry)
            && !self.low.remove(&old)
        {
            self.high.remove(&old);
        }
        if let Some(entry) = entry {
            let half = match self.high.first() {
                Some(upper) if entry > *upper => &mut self.high,
                _ => &mut self.low,
            };
            half.insert(entry);
        }
        self.level();
    }

    /// The median, the lower one of two; `None` without numbers.
    pub fn value(&self) -> Option<f64> {
        self.low.last().map(|&(bits, _)| f64::from_bits(bits))
    }

    fn level(&mut self) {
        while self.low.len() > self.high.len() + 1 {
            self.high.extend(self.low.pop_last());
        }
        while self.low.len() < self.high.len() {
            self.low.extend(self.high.pop_first());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_sorting() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut values = [None; 20];
        let mut median = Median::default();
        for _ in 0..5_000 {
            let index = rng.usize(..values.len());
            values[index] = rng.bool().then(|| f64::from(rng.u32(..10)) / 4.0);
            median.set(index, values[index]);
            let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
            sorted.sort_by(f64::total_cmp);
            let middle = sorted.len().checked_sub(1).map(|last| sorted[last / 2]);
            assert_eq!(median.value(), middle, "{values:?}");
        }
        (0..values.len()).for_each(|index| median.set(index, None));
        assert_eq!(median.value(), None);
    }
}
