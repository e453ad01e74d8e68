//! The table of flows: see the head of [`super`].

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Instant;

use crate::event::{Key, Slots};
use crate::limits::{FLOW_AWAITED, FLOW_PROTECTED, FLOW_STRANGERS_KEPT};

use super::FlowKey;
use super::class::{Class, ClassId, Classes, List, Policy};

/// Where datagrams of a client belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The first so many of them, at least one, to this flow.
    Taken(Key, u32),
    /// To a new one, for which there is room.
    Wanted,
    /// Nowhere: the table is full of flows that have just carried answers.
    Full,
}

/// What is known of a flow, and what it carries.
#[derive(Debug)]
pub struct Flow<T> {
    /// Whose it is.
    pub client: FlowKey,
    /// When its first datagram came.
    pub opened_at: Instant,
    /// When something last moved.
    pub active_at: Instant,
    /// When its last answer came, if any did.
    pub answered_at: Option<Instant>,
    /// Datagrams of the client.
    pub requests: u64,
    /// Datagrams of the backend.
    pub answers: u64,
    /// Where they go: a socket and a backend, or in the simulation a mark.
    pub upstream: T,
    /// The client's next datagram belongs to it.
    current: bool,
    /// What holds for it.
    class: ClassId,
    /// Its neighbours in its list.
    previous: Option<Key>,
    next: Option<Key>,
}

impl<T> Flow<T> {
    /// Whether its client's next datagram belongs to it.
    pub fn is_current(&self) -> bool {
        self.current
    }
}

/// All flows.
#[derive(Debug)]
pub struct Table<T> {
    /// Flows at once.
    most: usize,
    classes: Classes,
    flows: Slots<Flow<T>>,
    by_client: HashMap<FlowKey, Key>,
    /// No flow expires before this. It is not moved with each datagram: a look that finds no flow
    /// to be over sets it anew.
    next_expiry: Option<Instant>,
    /// How many of them never carried an answer.
    strangers: usize,
    /// Who was looked up last: datagrams of a client come together.
    last: Option<(FlowKey, Key)>,
}

impl<T> Table<T> {
    /// No flows and no classes yet; so many flows at once.
    pub fn new(most: usize) -> Table<T> {
        Table {
            most,
            classes: Classes::default(),
            flows: Slots::default(),
            by_client: HashMap::new(),
            next_expiry: None,
            strangers: 0,
            last: None,
        }
    }

    /// So many flows at once.
    #[cfg(test)]
    pub fn most(&self) -> usize {
        self.most
    }

    /// From now on so many flows at once. If there are more, they stay, but another one gives way
    /// to each new one, until there are few enough.
    pub fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Whether another flow would have one give way.
    pub fn is_full(&self) -> bool {
        self.flows.len() >= self.most
    }

    /// A class of flows for which this holds; `None` if there are 65,536 already.
    pub fn add_class(&mut self, policy: Policy) -> Option<ClassId> {
        self.classes.add(policy)
    }

    /// From now on this holds, for flows that are there as well. One that has done enough by it is
    /// found to be over at its next datagram or answer, one that was idle for long enough by the
    /// next [`Table::expire`].
    pub fn change_class(&mut self, class: ClassId, policy: Policy) {
        self.classes[class].policy = policy;
        self.next_expiry = self.earliest_expiry();
    }

    /// No flow is opened in this class any more. Its flows go on; with the last one it is gone.
    pub fn remove_class(&mut self, class: ClassId) {
        self.classes.remove(class);
    }

    /// How many classes there are, removed ones that still have flows included.
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// So many datagrams of a client came.
    pub fn datagrams(&mut self, client: &FlowKey, count: u32, now: Instant) -> Placement {
        let found = match self.last {
            Some((last, key)) if last == *client => Some(key),
            _ => self.by_client.get(client).copied(),
        };
        let Some(key) = found else { return self.place_for_new(now) };
        let Some(flow) = self.flows.get_mut(key) else { return self.place_for_new(now) };
        let requests = self.classes[flow.class].policy.requests;
        let room =
            requests.map_or(u64::MAX, |most| u64::from(most).saturating_sub(flow.requests));
        if room == 0 {
            self.detach(key);
            return self.place_for_new(now);
        }
        let taken = u32::try_from(room).unwrap_or(u32::MAX).min(count);
        flow.requests += u64::from(taken);
        self.last = Some((*client, key));
        self.touch(key, now);
        Placement::Taken(key, taken)
    }

    /// Take in a flow of this class for this client, whose datagrams are wanted to begin one. Hands
    /// back the one that gave way to it, if the table was full.
    pub fn open(
        &mut self,
        client: FlowKey,
        class: ClassId,
        upstream: T,
        now: Instant,
    ) -> (Key, Option<Flow<T>>) {
        let full = self.flows.len() >= self.most;
        let gave_way = if full { self.give_way(now) } else { None };
        debug_assert!(!full || gave_way.is_some(), "opened without room");
        let flow = Flow {
            client,
            opened_at: now,
            active_at: now,
            answered_at: None,
            requests: 0,
            answers: 0,
            upstream,
            current: true,
            class,
            previous: None,
            next: None,
        };
        let key = self.flows.insert_with(|_| flow);
        self.by_client.insert(client, key);
        self.last = Some((client, key));
        self.classes.note_opened(class);
        let expiry = now + self.classes[class].policy.idle;
        self.next_expiry = Some(self.next_expiry.map_or(expiry, |at| at.min(expiry)));
        self.link(key);
        (key, gave_way)
    }

    /// A flow taken out to make room: a stranger, or the longest idle; nobody, if all have just
    /// carried answers.
    pub fn give_way(&mut self, now: Instant) -> Option<Flow<T>> {
        let key = self.victim(now)?;
        self.close(key)
    }

    /// So many answers came for this flow.
    pub fn answers(&mut self, key: Key, count: u32, now: Instant) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        flow.answers += u64::from(count);
        if flow.answered_at.is_some() {
            flow.answered_at = Some(now);
            return self.touch(key, now);
        }
        self.unlink(key);
        if let Some(flow) = self.flows.get_mut(key) {
            flow.answered_at = Some(now);
            flow.active_at = now;
        }
        self.link(key);
    }

    /// Whether the flow has done all that it is for.
    pub fn is_over(&self, key: Key) -> bool {
        let Some(flow) = self.flows.get(key) else { return false };
        let Policy { requests, responses, .. } = self.classes[flow.class].policy;
        let asked_all = match (requests, responses) {
            (Some(most), _) => flow.requests >= u64::from(most),
            // Its client may go on, one way, until the idle time is over.
            (None, Some(0)) => false,
            (None, _) => true,
        };
        asked_all && responses.is_some_and(|each| owes_none(flow, each))
    }

    /// Whether an answer is to be waited for while we are stopping: one that is owed, or the next
    /// one of a stream that came until a moment ago.
    pub fn awaits_answers(&self, flow: &Flow<T>, now: Instant) -> bool {
        let owed = match (self.classes[flow.class].policy.responses, flow.answered_at) {
            (Some(each), _) => !owes_none(flow, each),
            (None, Some(at)) if at == flow.active_at => is_recent(at, now),
            (None, _) => true,
        };
        owed && now.saturating_duration_since(flow.active_at) < FLOW_AWAITED
    }

    /// Take a flow out.
    pub fn close(&mut self, key: Key) -> Option<Flow<T>> {
        let class = self.flows.get(key)?.class;
        self.unlink(key);
        self.detach(key);
        self.classes.note_closed(class);
        if self.flows.len() == 1 {
            self.next_expiry = None;
        }
        self.flows.remove(key)
    }

    /// When to look for flows on which nothing moved for the idle time of their class: none is over
    /// before. `None` if there are none.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    /// A flow on which nothing moved for the idle time of its class, taken out.
    pub fn expire(&mut self, now: Instant) -> Option<Flow<T>> {
        if self.next_expiry.is_none_or(|at| at > now) {
            return None;
        }
        let flows = &self.flows;
        let is_old = |key: &Key, class: &Class| {
            flows.get(*key).is_some_and(|flow| flow.active_at + class.policy.idle <= now)
        };
        let found = self.classes.search(|class| class.heads().find(|key| is_old(key, class)));
        match found {
            Some(key) => self.close(key),
            None => {
                self.next_expiry = self.earliest_expiry();
                None
            }
        }
    }

    /// The flow of this key, if it is still there.
    pub fn get(&self, key: Key) -> Option<&Flow<T>> {
        self.flows.get(key)
    }

    /// The flow of this key, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Flow<T>> {
        self.flows.get_mut(key)
    }

    /// The flow that this client's next datagram belongs to, if there is one.
    pub fn of_client(&self, client: &FlowKey) -> Option<(Key, &Flow<T>)> {
        let key = *self.by_client.get(client)?;
        Some((key, self.flows.get(key)?))
    }

    /// The flow at a place, whoever's it is: for a walk in slices.
    pub fn at(&self, place: usize) -> Option<(Key, &Flow<T>)> {
        self.flows.at(place)
    }

    /// All flows lie at places below this.
    pub fn places(&self) -> usize {
        self.flows.places()
    }

    /// All flows.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Flow<T>)> {
        self.flows.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// What slab, index and lists must agree on.
    pub fn check_invariants(&self) {
        for (client, &key) in &self.by_client {
            let flow = self.flows.get(key);
            assert!(flow.is_some_and(|f| f.current && f.client == *client), "index and flows");
        }
        let current = self.flows.iter().filter(|(_, flow)| flow.current).count();
        assert_eq!(current, self.by_client.len(), "flows and index");
        self.classes.check_invariants();
        let listed: usize = self.classes.live().map(|class| self.check_class(class)).sum();
        assert_eq!(listed, self.flows.len(), "every flow is in a list");
        let strangers = self.flows.iter().filter(|(_, flow)| flow.answered_at.is_none());
        assert_eq!(strangers.count(), self.strangers, "strangers, counted");
    }

    /// What a class and its flows must agree on; how many there are.
    fn check_class(&self, class: &Class) -> usize {
        let mut listed = 0;
        for (list, answered) in [(&class.unanswered, false), (&class.answered, true)] {
            let mut here = list.head;
            let mut previous = None;
            let mut last = None;
            while let Some((key, flow)) = here.and_then(|key| Some((key, self.flows.get(key)?)))
            {
                assert_eq!(flow.answered_at.is_some(), answered, "in the other list");
                assert!(std::ptr::eq(&self.classes[flow.class], class), "in another class");
                assert_eq!(flow.previous, previous, "links both ways");
                assert!(last.is_none_or(|at| at <= flow.active_at), "the longest idle first");
                let expiry = flow.active_at + class.policy.idle;
                assert!(self.next_expiry.is_some_and(|at| at <= expiry), "looked for too late");
                previous = Some(key);
                last = Some(flow.active_at);
                listed += 1;
                here = flow.next;
            }
            assert_eq!(list.tail, previous, "the list's end");
        }
        assert_eq!(listed, class.flows(), "flows of a class, counted");
        listed
    }

    fn place_for_new(&self, now: Instant) -> Placement {
        let room = self.flows.len() < self.most || self.victim(now).is_some();
        if room { Placement::Wanted } else { Placement::Full }
    }

    /// Who gives way: the longest idle stranger, so that a flood of them pushes out nobody else.
    /// A few strangers stay, or whoever is new would be gone before the answer comes: then it is
    /// the longest idle of the others, but nobody who carried an answer a moment ago. Behind a head
    /// of those lists which is spared there are only flows that are busier still.
    fn victim(&self, now: Instant) -> Option<Key> {
        let stranger = self.longest_idle(|class| &class.unanswered);
        if self.strangers >= self.strangers_kept() {
            return stranger;
        }
        let spared = |key: &Key| {
            let at = self.flows.get(*key).and_then(|flow| flow.answered_at);
            at.is_some_and(|at| is_recent(at, now))
        };
        self.longest_idle(|class| &class.answered).filter(|key| !spared(key)).or(stranger)
    }

    /// So many strangers do not have to give way to each other.
    fn strangers_kept(&self) -> usize {
        (self.most / FLOW_STRANGERS_KEPT).max(1)
    }

    /// The longest idle flow of one list of each class.
    fn longest_idle(&self, list: impl Fn(&Class) -> &List) -> Option<Key> {
        let heads = self.classes.live().filter_map(|class| list(class).head);
        heads.min_by_key(|&key| self.flows.get(key).map(|flow| flow.active_at))
    }

    /// When the next flow is over unless something moves.
    fn earliest_expiry(&self) -> Option<Instant> {
        let of_class = |class: &Class| {
            let flows = class.heads().filter_map(|key| self.flows.get(key));
            Some(flows.map(|flow| flow.active_at).min()? + class.policy.idle)
        };
        self.classes.live().filter_map(of_class).min()
    }

    /// The client's next datagram does not belong to this flow any more.
    pub fn detach(&mut self, key: Key) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        if std::mem::take(&mut flow.current) {
            self.by_client.remove(&flow.client);
        }
        if self.last.is_some_and(|(_, last)| last == key) {
            self.last = None;
        }
    }

    /// Something moved. Within a turn the order is as good as it was.
    fn touch(&mut self, key: Key, now: Instant) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        if flow.active_at == now {
            return;
        }
        if flow.next.is_none() {
            // It is at the end, where it would be put again.
            flow.active_at = now;
            return;
        }
        self.unlink(key);
        if let Some(flow) = self.flows.get_mut(key) {
            flow.active_at = now;
        }
        self.link(key);
    }

    /// Put a flow at the end of its class's list.
    fn link(&mut self, key: Key) {
        let Some(flow) = self.flows.get(key) else { return };
        let answered = flow.answered_at.is_some();
        let list = self.classes[flow.class].list(answered);
        let tail = list.tail.replace(key);
        match tail.and_then(|tail| self.flows.get_mut(tail)) {
            Some(before) => before.next = Some(key),
            None => list.head = Some(key),
        }
        if let Some(flow) = self.flows.get_mut(key) {
            flow.previous = tail;
            flow.next = None;
        }
        self.strangers += usize::from(!answered);
    }

    fn unlink(&mut self, key: Key) {
        let Some(flow) = self.flows.get(key) else { return };
        let previous = flow.previous;
        let next = flow.next;
        let answered = flow.answered_at.is_some();
        let list = self.classes[flow.class].list(answered);
        self.strangers -= usize::from(!answered);
        match previous.and_then(|key| self.flows.get_mut(key)) {
            Some(before) => before.next = next,
            None => list.head = next,
        }
        match next.and_then(|key| self.flows.get_mut(key)) {
            Some(after) => after.previous = previous,
            None => list.tail = previous,
        }
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < FLOW_PROTECTED
}

fn owes_none<T>(flow: &Flow<T>, each: u32) -> bool {
    flow.answers >= flow.requests.saturating_mul(u64::from(each))
}
