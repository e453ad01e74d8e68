//! The classes of flows: what holds for the flows of each, and the ends of its two lists.
//!
//! A class is made for whatever has a policy of its own, such as a listener. A flow names its class
//! by two bytes, so that a policy changes in one place for all the flows that are there. Only
//! [`super::Table`] uses this, and threads the lists through the flows.

use std::ops::{Index, IndexMut};
use std::time::Duration;

use slab::Slab;

use crate::event::Key;

/// When a flow is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A flow on which nothing moved for so long is over.
    pub idle: Duration,
    /// So many answers to each of its datagrams end a flow; none are waited for if it is zero.
    pub responses: Option<u32>,
    /// After so many datagrams of a client the next one begins a new flow.
    pub requests: Option<u32>,
}

/// A class of flows. Once that was removed and its last flow is gone, another may have this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassId(u16);

/// Flows with one policy.
#[derive(Debug)]
pub(super) struct Class {
    pub policy: Policy,
    /// Those that never carried an answer, and those that did, the longest idle first.
    pub unanswered: List,
    pub answered: List,
    flows: usize,
    /// No new flows; it is freed with the last one.
    is_removed: bool,
}

/// A list through the flows themselves.
#[derive(Debug, Default)]
pub(super) struct List {
    pub head: Option<Key>,
    pub tail: Option<Key>,
}

/// All classes.
#[derive(Debug, Default)]
pub(super) struct Classes {
    all: Slab<Class>,
    /// Those with flows, so that nothing is spent on the others.
    live: Vec<ClassId>,
}

impl Classes {
    /// A class without flows; `None` if there are too many to be told apart.
    pub fn add(&mut self, policy: Policy) -> Option<ClassId> {
        let id = ClassId(u16::try_from(self.all.vacant_key()).ok()?);
        let unanswered = List::default();
        let answered = List::default();
        self.all.insert(Class { policy, unanswered, answered, flows: 0, is_removed: false });
        Some(id)
    }

    /// It is free once it has no flows.
    pub fn remove(&mut self, id: ClassId) {
        self[id].is_removed = true;
        self.free_if_over(id);
    }

    /// A flow of this class was opened.
    pub fn note_opened(&mut self, id: ClassId) {
        let class = &mut self[id];
        debug_assert!(!class.is_removed, "a flow for a class that was removed");
        class.flows += 1;
        if class.flows == 1 {
            self.live.push(id);
        }
    }

    /// A flow of this class was closed.
    pub fn note_closed(&mut self, id: ClassId) {
        let class = &mut self[id];
        class.flows -= 1;
        if class.flows == 0 {
            self.live.retain(|&live| live != id);
            self.free_if_over(id);
        }
    }

    /// Those with flows.
    pub fn live(&self) -> impl Iterator<Item = &Class> {
        self.live.iter().map(|&id| &self[id])
    }

    /// What is found in one of those with flows. The next search begins there: flows of a class
    /// expire in crowds, and there may be many classes.
    pub fn search<R>(&mut self, mut find: impl FnMut(&Class) -> Option<R>) -> Option<R> {
        for at in 0..self.live.len() {
            if let Some(found) = find(&self[self.live[at]]) {
                self.live.swap(0, at);
                return Some(found);
            }
        }
        None
    }

    /// How many there are, those that are removed and still have flows included.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// What the counts of flows and the list of those with flows must agree on.
    pub fn check_invariants(&self) {
        for (index, class) in &self.all {
            let listed = self.live.iter().filter(|id| usize::from(id.0) == index).count();
            assert_eq!(listed, usize::from(class.flows > 0), "listed where it has flows");
            assert!(class.flows > 0 || !class.is_removed, "what is over is free");
        }
    }

    fn free_if_over(&mut self, id: ClassId) {
        let class = &self[id];
        if class.is_removed && class.flows == 0 {
            self.all.try_remove(usize::from(id.0));
        }
    }
}

impl Class {
    /// How many flows it has.
    pub fn flows(&self) -> usize {
        self.flows
    }

    /// That of those with an answer, or that of the others.
    #[inline]
    pub fn list(&mut self, answered: bool) -> &mut List {
        if answered { &mut self.answered } else { &mut self.unanswered }
    }

    /// The longest idle flow of each list.
    pub fn heads(&self) -> impl Iterator<Item = Key> {
        [self.unanswered.head, self.answered.head].into_iter().flatten()
    }
}

impl Index<ClassId> for Classes {
    type Output = Class;

    #[inline]
    fn index(&self, id: ClassId) -> &Class {
        // because: who has flows or may open some is not freed.
        &self.all[usize::from(id.0)]
    }
}

impl IndexMut<ClassId> for Classes {
    #[inline]
    fn index_mut(&mut self, id: ClassId) -> &mut Class {
        // because: who has flows or may open some is not freed.
        &mut self.all[usize::from(id.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { idle: Duration::ZERO, responses: None, requests: None };

    #[test]
    fn there_are_as_many_classes_as_two_bytes_tell_apart() {
        let mut classes = Classes::default();
        let ids: Vec<ClassId> = std::iter::from_fn(|| classes.add(POLICY)).collect();
        assert_eq!(ids.len(), 1 << 16);
        classes.remove(ids[7]);
        assert_eq!(classes.add(POLICY), Some(ids[7]), "a place that is free again");
        assert_eq!(classes.add(POLICY), None);
    }

    #[test]
    fn a_class_that_is_removed_stays_until_its_last_flow_is_closed() {
        let mut classes = Classes::default();
        let [one, two] = [(); 2].map(|()| classes.add(POLICY).unwrap());
        [one, one, two].into_iter().for_each(|id| classes.note_opened(id));
        classes.remove(one);
        classes.note_closed(one);
        classes.check_invariants();
        assert_eq!((classes.len(), classes.live().count()), (2, 2));
        classes.note_closed(one);
        classes.check_invariants();
        assert_eq!((classes.len(), classes.live().count()), (1, 1));
        classes.note_closed(two);
        classes.check_invariants();
        assert_eq!((classes.len(), classes.live().count()), (1, 0), "it may have flows again");
    }
}
