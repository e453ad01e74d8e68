//! Who is next among equals: smooth weighted round robin by virtual time, in O(1) a step.
//!
//! Each member has a *pass*, the virtual time at which it is due; of the equals the lowest pass is
//! next. Being chosen moves the pass on by 1 / weight from the virtual now, so heavy members come
//! round more often; nobody's pass counts from before the virtual now, so a member that was away
//! does not catch up with a burst (start-time fair queueing, Goyal, Vin and Cheng, SIGCOMM 1996).
//! First passes lie half a step ahead, which spreads light members between heavy ones. The caller
//! does the comparing, for instance as the last part of a [`super::tournament::Key`].

use std::num::NonZeroU32;

/// A step of weight 1 / [`crate::limits::WEIGHT_ONE`].
const STEP_ONE: u64 = 1 << 32;

/// Virtual times start at zero again beyond this; far enough from the end for any one step.
const CLOCK_MAX: u64 = 1 << 62;

/// The pass of each member, and the virtual time.
#[derive(Debug, Clone, Default)]
pub struct Rotation {
    clock: u64,
    members: Vec<Member>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Member {
    pass: u64,
    /// The weight that the pass was reckoned with; 0 before the first.
    weight: u32,
}

impl Rotation {
    /// The member at `index` is gone; whoever has that index next begins as one who comes late.
    pub fn forget(&mut self, index: usize) {
        if let Some(member) = self.members.get_mut(index) {
            *member = Member::default();
        }
    }

    /// The pass of the member at `index`, which has this weight now.
    #[inline]
    pub fn pass(&mut self, index: usize, weight: NonZeroU32) -> u64 {
        match self.members.get(index) {
            Some(member) if member.weight == weight.get() => member.pass,
            _ => self.reweigh(index, weight),
        }
    }

    /// The same of one that is new, or had another weight.
    #[cold]
    fn reweigh(&mut self, index: usize, weight: NonZeroU32) -> u64 {
        if index >= self.members.len() {
            self.members.resize(index + 1, Member::default());
        }
        let clock = self.clock;
        let member = &mut self.members[index];
        if member.weight == 0 {
            member.pass = clock + step(weight) / 2;
        } else if member.pass > clock {
            let ahead = u128::from(member.pass - clock) * u128::from(member.weight)
                / u128::from(weight.get());
            member.pass = clock + ahead.min(u128::from(STEP_ONE)) as u64;
        }
        member.weight = weight.get();
        member.pass
    }

    /// The member at `index` was chosen: its new pass. [`Restarted::Yes`] asks the caller to ask
    /// for everybody's pass again; it happens once in many billions of picks.
    pub fn chosen(&mut self, index: usize, weight: NonZeroU32) -> (u64, Restarted) {
        self.clock = self.clock.max(self.members[index].pass);
        self.members[index] = Member { pass: self.clock + step(weight), weight: weight.get() };
        if self.clock < CLOCK_MAX {
            return (self.members[index].pass, Restarted::No);
        }
        for member in &mut self.members {
            member.pass = member.pass.saturating_sub(self.clock);
        }
        self.clock = 0;
        (self.members[index].pass, Restarted::Yes)
    }
}

/// Whether all passes changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarted {
    /// Only the pass of the chosen one.
    No,
    /// All of them.
    Yes,
}

fn step(weight: NonZeroU32) -> u64 {
    STEP_ONE / u64::from(weight.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rotation: &mut Rotation, weights: &[u32], picks: usize) -> Vec<usize> {
        let weights: Vec<_> = weights.iter().map(|&w| NonZeroU32::new(w).unwrap()).collect();
        (0..picks)
            .map(|_| {
                let passes = weights.iter().enumerate();
                let next = passes.min_by_key(|&(i, &w)| (rotation.pass(i, w), i)).unwrap().0;
                rotation.chosen(next, weights[next]);
                next
            })
            .collect()
    }

    #[test]
    fn equals_take_turns() {
        let order = run(&mut Rotation::default(), &[256; 3], 9);
        assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn the_light_come_between_the_heavy() {
        let order = run(&mut Rotation::default(), &[5 * 256, 256, 256], 14);
        assert_eq!(order, [0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 1, 2, 0, 0]);
        assert_eq!(order.iter().filter(|&&i| i == 0).count(), 10);
    }

    #[test]
    fn who_comes_late_does_not_catch_up() {
        let mut rotation = Rotation::default();
        run(&mut rotation, &[256, 256], 1_000);
        let order = run(&mut rotation, &[256, 256, 256], 9);
        assert_eq!(order.iter().filter(|&&i| i == 2).count(), 3);
        let weight = NonZeroU32::new(256).unwrap();
        for _ in 0..1_000 {
            rotation.chosen(0, weight);
        }
        let order = run(&mut rotation, &[256, 256, 256], 9);
        assert_eq!(order.iter().filter(|&&i| i == 0).count(), 3, "{order:?}");
    }

    #[test]
    fn who_takes_the_place_of_another_owes_nothing() {
        let mut rotation = Rotation::default();
        assert_eq!(run(&mut rotation, &[256, 256], 2), [0, 1]);
        rotation.forget(1);
        assert_eq!(
            run(&mut rotation, &[256, 256], 4),
            [1, 0, 1, 0],
            "the other one had a turn"
        );
    }

    #[test]
    fn a_heavier_weight_counts_at_once() {
        let mut rotation = Rotation::default();
        run(&mut rotation, &[256, 1], 4);
        let order = run(&mut rotation, &[256, 256], 8);
        assert!(order.iter().filter(|&&i| i == 1).count() >= 3, "{order:?}");
    }

    #[test]
    fn virtual_time_never_runs_out() {
        let mut rotation = Rotation::default();
        run(&mut rotation, &[256, 256], 1);
        rotation.clock = CLOCK_MAX - 1;
        for member in &mut rotation.members {
            member.pass += CLOCK_MAX;
        }
        let order = run(&mut rotation, &[256, 256], 6);
        assert_eq!(order, [1, 0, 1, 0, 1, 0]);
        assert!(rotation.clock < CLOCK_MAX);
    }
}
