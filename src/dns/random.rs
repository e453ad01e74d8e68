//! Random numbers that nobody can guess: ids and capitals of questions, and jitter.

use std::hash::{BuildHasher, RandomState};

use aws_lc_rs::rand;

/// Where they come from.
#[derive(Debug, Clone)]
pub enum Random {
    /// The system's, for all that goes out.
    System,
    /// From a seed, so that a test can be had again.
    Seeded(fastrand::Rng),
}

impl Random {
    /// The same numbers for the same seed.
    pub fn seeded(seed: u64) -> Random {
        Random::Seeded(fastrand::Rng::with_seed(seed))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let Random::Seeded(seeded) = self else {
            let mut bytes = [0; 8];
            return match rand::fill(&mut bytes) {
                Ok(()) => u64::from_ne_bytes(bytes),
                // The keys of std's maps are random too, and come from elsewhere.
                Err(_) => RandomState::new().hash_one(0),
            };
        };
        seeded.u64(..)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_numbers_differ_and_a_seed_s_are_the_same() {
        let mut system = Random::System;
        assert_ne!(system.bits(), system.bits());
        assert_eq!(Random::seeded(7).bits(), Random::seeded(7).bits());
        assert!((0..100).all(|_| system.below(3) < 3));
        assert_eq!(system.below(0), 0);
    }
}
