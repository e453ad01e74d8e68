//! Who is to act: once each, in the order in which they asked, no more than one round a turn.
//!
//! The turn takes as many as stood in the queue when it began; who asks meanwhile (a pair with work
//! left over, say) waits for the next turn, behind everybody else. That a queued owner is not
//! queued twice is kept by a bit at the owner, so that the queue needs no look-up.

use std::collections::VecDeque;

use super::owner::Owner;

/// The owners that are to act.
#[derive(Debug, Default)]
pub struct RunQueue {
    waiting: VecDeque<Owner>,
}

impl RunQueue {
    /// Put `owner` at the end, unless `queued` says that it waits already.
    pub fn push(&mut self, owner: Owner, queued: &mut bool) {
        if !*queued {
            *queued = true;
            self.waiting.push_back(owner);
        }
    }

    /// The next one; the caller clears its bit.
    pub fn pop(&mut self) -> Option<Owner> {
        self.waiting.pop_front()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Who waits, the next one first.
    pub fn iter(&self) -> impl Iterator<Item = Owner> + '_ {
        self.waiting.iter().copied()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_waits_once_and_in_order() {
        let mut queue = RunQueue::default();
        let (mut first, mut second) = (false, false);
        queue.push(Owner::Signals, &mut first);
        queue.push(Owner::Chore(super::super::Chore::Log), &mut second);
        queue.push(Owner::Signals, &mut first);
        assert_eq!(queue.len(), 2);
        assert_eq!(queue.pop(), Some(Owner::Signals));
        assert_eq!(queue.pop(), Some(Owner::Chore(super::super::Chore::Log)));
        assert!(queue.is_empty());
    }
}
