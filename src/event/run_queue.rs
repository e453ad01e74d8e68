//! Who is to act: once each, in the order in which they asked, no more than one round a turn.
//!
//! ```text
//!   Probes   our own questions, whose answers must not wait for anybody
//!   Flows    answers by datagram
//!   Pairs    clients and their backends
//!   Behind   pairs whose last turn was an answer of our own, or as long as a turn may be, or whose
//!            client pipelines
//!   Mirrors  copies of requests, which no client waits for
//! ```
//!
//! A turn takes of each class as many as stood there when it began, as far as its time goes; who
//! asks meanwhile (a pair with work left over, say) waits for the next turn, behind everybody else.
//! Who is left over stays where it is. Every class has a share of each turn, however many wait in
//! the others.
//!
//! An answer of our own costs its client nothing but a few bytes: thousands of clients that ask for
//! nothing else fill a queue faster than it empties, and who comes new waited for a round of it. So
//! they wait for each other, and the others go before them. The same holds for streams that always
//! have more to move than a turn allows, and for clients that always have another request here.
//!
//! That a queued owner is not queued twice is kept by a bit at the owner, so that the queue needs
//! no look-up.

use std::collections::VecDeque;

use super::owner::Owner;

/// A part of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Probes.
    Probes,
    /// Flows of UDP.
    Flows,
    /// Pairs, and whoever else.
    Pairs,
    /// Pairs that come after the others.
    Behind,
    /// Copies of requests.
    Mirrors,
}

/// The owners that are to act.
#[derive(Debug, Default)]
pub struct RunQueue {
    waiting: [VecDeque<Owner>; Class::ALL.len()],
    /// How many wait in all.
    count: usize,
}

impl Class {
    /// In the order in which they act.
    pub const ALL: [Class; 5] =
        [Class::Probes, Class::Flows, Class::Pairs, Class::Behind, Class::Mirrors];

    fn of(owner: Owner) -> Class {
        match owner {
            Owner::Probe(..) => Class::Probes,
            Owner::Flow(_) => Class::Flows,
            Owner::Mirror(_) => Class::Mirrors,
            _ => Class::Pairs,
        }
    }
}

impl RunQueue {
    /// Put `owner` at the end of its class, unless `queued` says that it waits already.
    pub fn push(&mut self, owner: Owner, queued: &mut bool) {
        self.push_to(Class::of(owner), owner, queued);
    }

    /// The same at the end of the class of pairs that comes last.
    pub fn push_behind(&mut self, owner: Owner, queued: &mut bool) {
        self.push_to(Class::Behind, owner, queued);
    }

    fn push_to(&mut self, class: Class, owner: Owner, queued: &mut bool) {
        if !*queued {
            *queued = true;
            self.count += 1;
            self.waiting[class as usize].push_back(owner);
        }
    }

    /// The next one of a class; the caller clears its bit.
    pub fn pop(&mut self, class: Class) -> Option<Owner> {
        let owner = self.waiting[class as usize].pop_front()?;
        self.count -= 1;
        Some(owner)
    }

    /// How many of each class wait, in their order.
    pub fn lens(&self) -> [usize; Class::ALL.len()] {
        self.waiting.each_ref().map(VecDeque::len)
    }

    /// Who waits, the next one of each class first.
    pub fn iter(&self) -> impl Iterator<Item = Owner> + '_ {
        self.waiting.iter().flatten().copied()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chore, Generation, Key, ProbeId};
    use super::*;

    #[test]
    fn an_owner_waits_once_and_in_order() {
        let mut queue = RunQueue::default();
        let mut first = false;
        let mut second = false;
        queue.push(Owner::Signals, &mut first);
        queue.push(Owner::Chore(Chore::Log), &mut second);
        queue.push(Owner::Signals, &mut first);
        assert_eq!(queue.lens()[Class::Pairs as usize], 2);
        assert_eq!(queue.pop(Class::Pairs), Some(Owner::Signals));
        assert_eq!(queue.pop(Class::Pairs), Some(Owner::Chore(Chore::Log)));
        assert!(queue.is_empty());
    }

    #[test]
    fn each_class_has_its_own_order() {
        let key = |index| Key { index, generation: Generation::FIRST };
        let probe = Owner::Probe(ProbeId::for_tests(4), Generation::FIRST);
        let mut queue = RunQueue::default();
        queue.push(Owner::Mirror(key(4)), &mut false);
        queue.push_behind(Owner::Pair(key(1)), &mut false);
        queue.push(Owner::Pair(key(2)), &mut false);
        queue.push(Owner::Flow(key(3)), &mut false);
        queue.push(probe, &mut false);
        let pair = |index| Owner::Pair(key(index));
        let order = [probe, Owner::Flow(key(3)), pair(2), pair(1), Owner::Mirror(key(4))];
        assert!(queue.iter().eq(order));
        assert!(Class::ALL.into_iter().filter_map(|class| queue.pop(class)).eq(order));
        assert!(queue.is_empty());
    }
}
