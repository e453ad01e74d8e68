//! How much is kept of what, within the memory that there may be.
//!
//! ```text
//!                           full                          less, step by step
//!   process, service, pool  1 s x 10 min, 10 s x 6 h,     without the last, then the first alone
//!                           1 min x 7 d
//!   backend                 10 s x 1 h, 1 min x 24 h      without the last, then nothing
//! ```

use super::series::Resolution;
use super::track::{BACKEND_SERIES, SERIES};

const fn every(seconds: u32, steps: u32) -> Resolution {
    Resolution { seconds, steps }
}

/// Of the process, of services and of pools.
const LARGE: [Resolution; 3] = [every(1, 600), every(10, 2160), every(60, 10_080)];

/// Of backends.
const SMALL: [Resolution; 2] = [every(10, 360), every(60, 1440)];

/// What is kept of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    large: usize,
    small: usize,
}

/// From everything to nothing: backends have less before pools have.
const PLANS: [Plan; 6] = [
    Plan { large: 3, small: 2 },
    Plan { large: 3, small: 1 },
    Plan { large: 2, small: 1 },
    Plan { large: 2, small: 0 },
    Plan { large: 1, small: 0 },
    Plan { large: 0, small: 0 },
];

impl Plan {
    /// The most that fits into so many bytes, with so many services and pools, the process among
    /// them, and so many backends.
    pub fn within(bytes: usize, large: usize, small: usize) -> Plan {
        let fits = |plan: &Plan| plan.bytes(large, small) <= bytes;
        // because: the last one takes nothing.
        PLANS.into_iter().find(fits).unwrap_or(PLANS[PLANS.len() - 1])
    }

    /// The same after this one. More is kept again only where a tenth is to spare: one backend more
    /// or less must not throw away a day of all of them again and again.
    pub fn after(self, bytes: usize, large: usize, small: usize) -> Plan {
        let now = Plan::within(bytes, large, small);
        let is_more = |plan: Plan| (plan.large, plan.small) > (self.large, self.small);
        if !is_more(now) {
            return now;
        }
        let spared = Plan::within(bytes - bytes / 10, large, small);
        if is_more(spared) { spared } else { self }
    }

    /// Bytes that it takes.
    pub fn bytes(self, large: usize, small: usize) -> usize {
        let of = |all: &[Resolution]| all.iter().map(|it| it.steps as usize * 2).sum::<usize>();
        large * SERIES.len() * of(self.large())
            + small * BACKEND_SERIES.len() * of(self.small())
    }

    /// Of the process, of a service or of a pool.
    pub fn large(self) -> &'static [Resolution] {
        &LARGE[..self.large]
    }

    /// Of a backend.
    pub fn small(self) -> &'static [Resolution] {
        &SMALL[..self.small]
    }

    /// Whether it is everything.
    pub fn is_full(self) -> bool {
        self == PLANS[0]
    }

    /// What there is, in words.
    pub fn says(self) -> &'static str {
        match (self.large, self.small) {
            (3, 2) => "everything",
            (3, 1) => "backends for one hour instead of a day",
            (2, 1) => "backends for one hour, services and pools for six",
            (2, 0) => "services and pools for six hours, backends not at all",
            (1, 0) => "services and pools for ten minutes, backends not at all",
            _ => "nothing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_thousand_backends_have_all_in_seventeen_mebibytes_and_a_half() {
        assert!(Plan::within(18 * MIB, 3, 1000).is_full());
        assert!(PLANS[0].bytes(0, 1000) < 17 * MIB + MIB / 4);
    }

    #[test]
    fn one_backend_more_or_less_throws_nothing_away_twice() {
        let bytes = 16 * MIB;
        let most = (1..2000).take_while(|it| Plan::within(bytes, 3, *it).is_full()).count();
        let fewer = Plan::within(bytes, 3, most + 1);
        assert!(!fewer.is_full());
        assert_eq!(fewer.after(bytes, 3, most), fewer, "as many as before are too many");
        assert!(fewer.after(bytes, 3, most * 4 / 5).is_full());
        assert_eq!(PLANS[0].after(bytes, 3, most + 1), fewer);
        let nothing = PLANS[PLANS.len() - 1];
        assert!(nothing.after(64 * MIB, 3, 1000).is_full());
    }

    #[test]
    fn with_less_memory_backends_have_less_first() {
        let plans = [32, 16, 3, 1, 0].map(|mib| Plan::within(mib * MIB, 12, 1000).says());
        assert!(plans[0] == "everything" && plans[1].starts_with("backends for one hour in"));
        assert_eq!(plans[2..], [PLANS[3].says(), PLANS[3].says(), "nothing"]);
        for budget in 0..40 {
            let plan = Plan::within(budget * MIB / 2, 12, 1000);
            assert!(plan.bytes(12, 1000) <= budget * MIB / 2);
        }
    }
}
