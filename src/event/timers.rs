//! Timers in a hierarchical wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels",
//! SOSP 1987, scheme 7): set, move and cancel in O(1), whatever their number (pitfall 23).
//!
//! ```text
//!   level 0   64 slots of   1 ms   [.|.|x|.|  ...  ]   due when the hand gets there
//!   level 1   64 slots of  64 ms   [.|x|.|  ...    ]   emptied into level 0 when it gets there
//!   level 2   64 slots of 4.1 s    [x|.|  ...      ]   emptied into level 1 ...
//!   ...       level 5: 17 minutes x 1024 a slot, two years around
//! ```
//!
//! A timer lies in the lowest level on which its slot differs from the hand's. Which slots hold
//! anything is one word a level, so the next due time is a few bit operations and the loop sleeps
//! until just then: at most once a level and timer it wakes to move a slot down.
//!
//! An owner has one timer for life and keeps its own deadline: a deadline that only moves away
//! (every byte does that to an idle timeout) is written down there, and when the timer fires early
//! the owner looks again and arms it anew. So relaying costs no timer work at all.

use std::time::{Duration, Instant};

use slab::Slab;

use super::owner::Owner;

const LEVELS: usize = 6;
const SLOTS: usize = 64;
const SLOT_BITS: u32 = 6;
const SPAN_TICKS: u64 = 1 << (SLOT_BITS * LEVELS as u32);
const DUE: u16 = (LEVELS * SLOTS) as u16;
const NIL: u32 = u32::MAX;

/// The timer of one owner, from [`Timers::create`] to [`Timers::remove`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerKey(u32);

/// All timers. One tick is one millisecond; deadlines are rounded up, never early.
#[derive(Debug)]
pub struct Timers {
    start: Instant,
    /// Where the hand is, in ticks since `start`: everything before has fired or is in `DUE`.
    hand: u64,
    entries: Slab<Entry>,
    /// First entry of each slot's list, and of the list of those that are due.
    heads: [u32; LEVELS * SLOTS + 1],
    occupied: [u64; LEVELS],
    due_tail: u32,
}

#[derive(Debug)]
struct Entry {
    owner: u64,
    when: u64,
    previous: u32,
    next: u32,
    /// Which list it is in, if it is armed.
    place: u16,
    armed: bool,
}

impl Timers {
    /// No timers; the hand stands at `now`.
    pub fn new(now: Instant) -> Timers {
        Timers {
            start: now,
            hand: 0,
            entries: Slab::new(),
            heads: [NIL; LEVELS * SLOTS + 1],
            occupied: [0; LEVELS],
            due_tail: NIL,
        }
    }

    /// A timer for `owner`, not armed yet.
    pub fn create(&mut self, owner: Owner) -> TimerKey {
        let owner = owner.pack();
        let entry = Entry { owner, when: 0, previous: NIL, next: NIL, place: 0, armed: false };
        TimerKey(self.entries.insert(entry) as u32)
    }

    /// Let the timer fire at `at`, wherever it stood before. A time that has passed counts as the
    /// next tick, so that a handler cannot keep its own pass going (pitfall 21).
    pub fn arm(&mut self, timer: TimerKey, at: Instant) {
        self.unlink(timer.0);
        let when = self.ticks_up(at).max(self.hand + 1);
        self.entries[timer.0 as usize].when = when;
        self.link(timer.0);
    }

    /// Let the timer fire at `at` at the latest: one that is armed for an earlier time stays.
    pub fn arm_by(&mut self, timer: TimerKey, at: Instant) {
        let entry = &self.entries[timer.0 as usize];
        // If `at` is yet to come a tick before it fires, it is not late: that is less work than to
        // count the ticks until `at`.
        let is_in_time =
            || self.start + Duration::from_millis(entry.when.saturating_sub(1)) < at;
        if !entry.armed || !is_in_time() {
            self.arm(timer, at);
        }
    }

    /// Forget the timer; its key must not be used again.
    pub fn remove(&mut self, timer: TimerKey) {
        self.unlink(timer.0);
        self.entries.remove(timer.0 as usize);
    }

    /// The owner of a timer that is due at `now`, which is no longer armed then; `None` when there
    /// is no more.
    pub fn pop_due(&mut self, now: Instant) -> Option<Owner> {
        self.advance(now);
        let head = self.heads[DUE as usize];
        if head == NIL {
            return None;
        }
        self.unlink(head);
        Owner::unpack(self.entries[head as usize].owner)
    }

    /// When there is something to do: a timer is due, or a slot is to be moved down.
    pub fn next_at(&self) -> Option<Instant> {
        if self.heads[DUE as usize] != NIL {
            return Some(self.start + Duration::from_millis(self.hand));
        }
        let (_, tick) = self.next_slot()?;
        Some(self.start + Duration::from_millis(tick))
    }

    /// How many there are, armed or not.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether this timer is there and `owner`'s: the pair of assertions between a slab and this.
    pub fn belongs_to(&self, timer: TimerKey, owner: Owner) -> bool {
        self.entries.get(timer.0 as usize).is_some_and(|entry| entry.owner == owner.pack())
    }

    /// Move the hand to `now`, and what it passes to the list of those due.
    fn advance(&mut self, now: Instant) {
        let target = now.saturating_duration_since(self.start).as_millis() as u64;
        while let Some((place, tick)) = self.next_slot() {
            if tick > target {
                break;
            }
            self.hand = tick;
            self.empty_slot(place);
        }
        self.hand = self.hand.max(target);
    }

    fn empty_slot(&mut self, place: usize) {
        let mut index = std::mem::replace(&mut self.heads[place], NIL);
        self.occupied[place / SLOTS] &= !(1 << (place % SLOTS));
        while index != NIL {
            let entry = &mut self.entries[index as usize];
            let next = entry.next;
            entry.previous = NIL;
            entry.next = NIL;
            entry.armed = false;
            self.link(index);
            index = next;
        }
    }

    /// The slot that the hand reaches first, and the tick at which it does. Below the top level
    /// all occupied slots lie ahead of the hand; at the top they may lie around the corner.
    fn next_slot(&self) -> Option<(usize, u64)> {
        let level = (0..LEVELS).find(|&level| self.occupied[level] != 0)?;
        let shift = SLOT_BITS * level as u32;
        let at = (self.hand >> shift) % SLOTS as u64;
        let ahead = self.occupied[level].rotate_right(at as u32).trailing_zeros() as u64;
        let tick = ((self.hand >> shift) + ahead) << shift;
        Some((level * SLOTS + ((at + ahead) % SLOTS as u64) as usize, tick))
    }

    fn ticks_up(&self, at: Instant) -> u64 {
        let passed = at.saturating_duration_since(self.start);
        passed.as_secs().saturating_mul(1000)
            + u64::from(passed.subsec_nanos().div_ceil(1_000_000))
    }

    /// The place for a deadline, seen from where the hand is now.
    fn place_for(&self, when: u64) -> u16 {
        if when <= self.hand {
            return DUE;
        }
        // One slot less than all the way around: a full circle would look like no way at all.
        let when = when.min(self.hand + SPAN_TICKS - SPAN_TICKS / SLOTS as u64);
        let differs = ((self.hand ^ when) | (SLOTS as u64 - 1)).min(SPAN_TICKS - 1);
        let level = (u64::BITS - 1 - differs.leading_zeros()) / SLOT_BITS;
        let slot = (when >> (SLOT_BITS * level)) % SLOTS as u64;
        (u64::from(level) * SLOTS as u64 + slot) as u16
    }

    fn link(&mut self, index: u32) {
        let place = self.place_for(self.entries[index as usize].when);
        let entry = &mut self.entries[index as usize];
        entry.place = place;
        entry.armed = true;
        if place == DUE {
            // At the end: those due fire in the order in which the hand passed them.
            entry.previous = self.due_tail;
            match self.due_tail {
                NIL => self.heads[DUE as usize] = index,
                tail => self.entries[tail as usize].next = index,
            }
            self.due_tail = index;
            return;
        }
        let head = std::mem::replace(&mut self.heads[place as usize], index);
        entry.next = head;
        if head != NIL {
            self.entries[head as usize].previous = index;
        }
        self.occupied[place as usize / SLOTS] |= 1 << (place as usize % SLOTS);
    }

    fn unlink(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        let place = entry.place;
        let previous = entry.previous;
        let next = entry.next;
        if !entry.armed {
            return;
        }
        entry.previous = NIL;
        entry.next = NIL;
        entry.armed = false;
        match previous {
            NIL => self.heads[place as usize] = next,
            previous => self.entries[previous as usize].next = next,
        }
        match next {
            NIL if place == DUE => self.due_tail = previous,
            NIL => {}
            next => self.entries[next as usize].previous = previous,
        }
        if place != DUE && self.heads[place as usize] == NIL {
            self.occupied[place as usize / SLOTS] &= !(1 << (place as usize % SLOTS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Generation, Key};

    fn owner(index: u32) -> Owner {
        Owner::Pair(Key { index, generation: Generation::FIRST })
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_timer_fires_at_its_time_and_not_before() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        let timer = timers.create(owner(1));
        assert_eq!(timers.next_at(), None, "a timer that is not armed wakes nobody");
        timers.arm(timer, start + ms(5000) + Duration::from_nanos(1));
        assert_eq!(timers.pop_due(start + ms(5000)), None, "rounded up, never early");
        assert_eq!(timers.pop_due(start + ms(5001)), Some(owner(1)));
        assert_eq!(timers.pop_due(start + ms(99_999)), None, "it fires once");
        assert_eq!(timers.next_at(), None);
    }

    #[test]
    fn pitfall_21_a_timer_armed_for_the_past_waits_for_the_next_tick() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        let timer = timers.create(owner(1));
        timers.arm(timer, start);
        assert_eq!(timers.pop_due(start), None);
        assert_eq!(timers.pop_due(start + ms(1)), Some(owner(1)));
        timers.arm(timer, start);
        assert_eq!(timers.pop_due(start + ms(1)), None);
    }

    #[test]
    fn arming_by_a_time_only_ever_brings_a_timer_nearer() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        let timer = timers.create(owner(1));
        timers.arm_by(timer, start + ms(500));
        timers.arm_by(timer, start + ms(900));
        timers.arm_by(timer, start + ms(300));
        assert_eq!(timers.pop_due(start + ms(299)), None);
        assert_eq!(timers.pop_due(start + ms(300)), Some(owner(1)));
        timers.arm_by(timer, start + ms(900));
        assert_eq!(timers.pop_due(start + ms(900)), Some(owner(1)), "it was not armed");
    }

    #[test]
    fn pitfall_22_an_idle_hour_wakes_the_loop_only_a_few_times() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        let timer = timers.create(owner(1));
        timers.arm(timer, start + ms(3_600_000));
        let mut wakes = 0;
        let fired = loop {
            let at = timers.next_at().expect("it is armed");
            wakes += 1;
            if timers.pop_due(at).is_some() {
                break at;
            }
        };
        assert_eq!(fired, start + ms(3_600_000));
        assert!(wakes <= LEVELS, "{wakes} wakes");
    }

    /// A walk through all of them would take a thousand times as long among 100,000 as among 100.
    #[test]
    fn pitfall_23_to_arm_a_timer_costs_the_same_among_a_hundred_thousand() {
        let start = Instant::now();
        let cost = |count: u32| {
            let mut timers = Timers::new(start);
            let at = |n: u32| start + Duration::from_millis(u64::from(n * 7919 % 600_000));
            let owner = owner(1);
            let keys: Vec<TimerKey> = (0..count).map(|_| timers.create(owner)).collect();
            keys.iter().zip(0..).for_each(|(&key, n)| timers.arm(key, at(n)));
            let mut run = || {
                let began = Instant::now();
                for n in 0..10_000 {
                    timers.arm(keys[n as usize % keys.len()], at(n * 31));
                }
                began.elapsed()
            };
            (0..5).map(|_| run()).min().unwrap_or_default()
        };
        let few = cost(100);
        let many = cost(100_000);
        assert!(many < few * 50, "{few:?} among 100, {many:?} among 100,000");
    }

    #[test]
    fn a_deadline_beyond_the_span_is_not_lost() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        let timer = timers.create(owner(1));
        let far = start + ms(3 * SPAN_TICKS);
        timers.arm(timer, far);
        assert_eq!(timers.pop_due(far - ms(1)), None);
        assert_eq!(timers.pop_due(far), Some(owner(1)));
    }

    /// Thousands of random calls against a list that is searched from end to end.
    #[test]
    fn agrees_with_a_plain_list() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let start = Instant::now();
            let mut timers = Timers::new(start);
            let mut now = 0;
            let mut model: Vec<(TimerKey, Option<u64>)> = Vec::new();
            for _ in 0..300 {
                match random.u32(0..10) {
                    0..=2 => model.push((timers.create(owner(model.len() as u32)), None)),
                    3..=6 if !model.is_empty() => {
                        let pick = random.usize(0..model.len());
                        let at = now + (1 << random.u32(0..40)) + random.u64(0..70);
                        timers.arm(model[pick].0, start + ms(at));
                        model[pick].1 = Some(at);
                    }
                    _ => {
                        now += 1 << random.u32(0..38);
                        let mut due: Vec<u32> = Vec::new();
                        while let Some(Owner::Pair(key)) = timers.pop_due(start + ms(now)) {
                            due.push(key.index);
                        }
                        due.sort_unstable();
                        let passed = |entry: &(TimerKey, Option<u64>)| {
                            entry.1.is_some_and(|at| at <= now)
                        };
                        let expected: Vec<u32> = (0..model.len() as u32)
                            .filter(|&index| passed(&model[index as usize]))
                            .collect();
                        assert_eq!(due, expected, "seed {seed}");
                        model.iter_mut().filter(|e| passed(e)).for_each(|e| e.1 = None);
                    }
                }
                let armed = model.iter().filter_map(|entry| entry.1).min();
                let next = timers.next_at().map(|at| (at - start).as_millis() as u64);
                assert!(next.is_some() == armed.is_some(), "seed {seed}");
                assert!(next <= armed, "seed {seed}: sleeps past {armed:?} until {next:?}");
            }
            model.into_iter().for_each(|(timer, _)| timers.remove(timer));
            assert!(timers.is_empty() && timers.next_at().is_none());
        }
    }
}
