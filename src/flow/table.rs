//! The table of flows: see the head of [`super`].

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::event::{Key, Slots};
use crate::limits::{FLOW_AWAITED, FLOW_PROTECTED, FLOW_STRANGERS_KEPT};

use super::FlowKey;

/// When a flow is over, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A flow on which nothing moved for so long is over.
    pub idle: Duration,
    /// So many answers to each of its datagrams end a flow; none are waited for if it is zero.
    pub responses: Option<u32>,
    /// After so many datagrams of a client the next one begins a new flow.
    pub requests: Option<u32>,
    /// Flows at once.
    pub most: usize,
}

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
    /// Its neighbours in its list.
    previous: Option<Key>,
    next: Option<Key>,
}

/// All flows.
#[derive(Debug)]
pub struct Table<T> {
    policy: Policy,
    flows: Slots<Flow<T>>,
    by_client: HashMap<FlowKey, Key>,
    /// Those that never carried an answer, and those that did, the longest idle first.
    unanswered: List,
    answered: List,
    /// How many of them never carried an answer.
    strangers: usize,
    /// Who was looked up last: datagrams of a client come together.
    last: Option<(FlowKey, Key)>,
}

/// A list through the flows themselves.
#[derive(Debug, Default)]
struct List {
    head: Option<Key>,
    tail: Option<Key>,
}

impl<T> Table<T> {
    /// No flows yet.
    pub fn new(policy: Policy) -> Table<T> {
        Table {
            policy,
            flows: Slots::default(),
            by_client: HashMap::new(),
            unanswered: List::default(),
            answered: List::default(),
            strangers: 0,
            last: None,
        }
    }

    /// When a flow is over, and how many there may be.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// So many datagrams of a client came.
    pub fn datagrams(&mut self, client: &FlowKey, count: u32, now: Instant) -> Placement {
        let found = match self.last {
            Some((last, key)) if last == *client => Some(key),
            _ => self.by_client.get(client).copied(),
        };
        let Some(key) = found else { return self.place_for_new(now) };
        let Some(flow) = self.flows.get_mut(key) else { return self.place_for_new(now) };
        let room = self
            .policy
            .requests
            .map_or(u64::MAX, |most| u64::from(most).saturating_sub(flow.requests));
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

    /// Take in a flow for this client, whose datagrams are wanted to begin one. Hands back the one
    /// that gave way to it, if the table was full.
    pub fn open(
        &mut self,
        client: FlowKey,
        upstream: T,
        now: Instant,
    ) -> (Key, Option<Flow<T>>) {
        let full = self.flows.len() >= self.policy.most;
        let gave_way = if full { self.give_way(now) } else { None };
        debug_assert!(self.flows.len() < self.policy.most, "opened without room");
        let flow = Flow {
            client,
            opened_at: now,
            active_at: now,
            answered_at: None,
            requests: 0,
            answers: 0,
            upstream,
            current: true,
            previous: None,
            next: None,
        };
        let key = self.flows.insert_with(|_| flow);
        self.by_client.insert(client, key);
        self.last = Some((client, key));
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
        let asked_all = match (self.policy.requests, self.policy.responses) {
            (Some(most), _) => flow.requests >= u64::from(most),
            // Its client may go on, one way, until the idle time is over.
            (None, Some(0)) => false,
            (None, _) => true,
        };
        asked_all && self.policy.responses.is_some_and(|each| self.owes_none(flow, each))
    }

    /// Whether an answer is to be waited for while we are stopping: one that is owed, or the next
    /// one of a stream that came until a moment ago.
    pub fn awaits_answers(&self, flow: &Flow<T>, now: Instant) -> bool {
        let owed = match (self.policy.responses, flow.answered_at) {
            (Some(each), _) => !self.owes_none(flow, each),
            (None, Some(at)) if at == flow.active_at => is_recent(at, now),
            (None, _) => true,
        };
        owed && now.saturating_duration_since(flow.active_at) < FLOW_AWAITED
    }

    /// Take a flow out.
    pub fn close(&mut self, key: Key) -> Option<Flow<T>> {
        self.flows.get(key)?;
        self.unlink(key);
        self.detach(key);
        self.flows.remove(key)
    }

    /// When the next flow is over unless something moves.
    pub fn next_expiry(&self) -> Option<Instant> {
        let oldest = self.heads().map(|(_, flow)| flow.active_at).min();
        oldest.map(|at| at + self.policy.idle)
    }

    /// A flow on which nothing moved for the idle time, taken out.
    pub fn expire(&mut self, now: Instant) -> Option<Flow<T>> {
        let is_old = |flow: &Flow<T>| flow.active_at + self.policy.idle <= now;
        let (key, _) = self.heads().find(|(_, flow)| is_old(flow))?;
        self.close(key)
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
        assert!(self.len() <= self.policy.most, "more flows than there may be");
        for (client, &key) in &self.by_client {
            let flow = self.flows.get(key);
            assert!(flow.is_some_and(|f| f.current && f.client == *client), "index and flows");
        }
        let current = self.flows.iter().filter(|(_, flow)| flow.current).count();
        assert_eq!(current, self.by_client.len(), "flows and index");
        let mut listed = 0;
        for (list, answered) in [(&self.unanswered, false), (&self.answered, true)] {
            let mut here = list.head;
            let mut previous = None;
            let mut last = None;
            while let Some((key, flow)) = here.and_then(|key| Some((key, self.flows.get(key)?)))
            {
                assert_eq!(flow.answered_at.is_some(), answered, "in the other list");
                assert_eq!(flow.previous, previous, "links both ways");
                assert!(last.is_none_or(|at| at <= flow.active_at), "the longest idle first");
                previous = Some(key);
                last = Some(flow.active_at);
                listed += 1;
                here = flow.next;
            }
            assert_eq!(list.tail, previous, "the list's end");
        }
        assert_eq!(listed, self.flows.len(), "every flow is in a list");
        let strangers = self.flows.iter().filter(|(_, flow)| flow.answered_at.is_none());
        assert_eq!(strangers.count(), self.strangers, "strangers, counted");
    }

    fn place_for_new(&self, now: Instant) -> Placement {
        let room = self.flows.len() < self.policy.most || self.victim(now).is_some();
        if room { Placement::Wanted } else { Placement::Full }
    }

    /// Who gives way: the longest idle stranger, so that a flood of them pushes out nobody else.
    /// A few strangers stay, or whoever is new would be gone before the answer comes: then it is
    /// the longest idle of the others, but nobody who carried an answer a moment ago. Behind a head
    /// of that list which is spared there are only flows that are busier still.
    fn victim(&self, now: Instant) -> Option<Key> {
        let stranger = self.unanswered.head;
        if self.strangers >= self.strangers_kept() {
            return stranger;
        }
        let spared = |key: &Key| {
            let at = self.flows.get(*key).and_then(|flow| flow.answered_at);
            at.is_some_and(|at| is_recent(at, now))
        };
        self.answered.head.filter(|key| !spared(key)).or(stranger)
    }

    /// So many strangers do not have to give way to each other.
    fn strangers_kept(&self) -> usize {
        (self.policy.most / FLOW_STRANGERS_KEPT).max(1)
    }

    /// The longest idle flow of each list.
    fn heads(&self) -> impl Iterator<Item = (Key, &Flow<T>)> {
        let heads = [self.unanswered.head, self.answered.head].into_iter().flatten();
        heads.filter_map(|key| Some((key, self.flows.get(key)?)))
    }

    fn owes_none(&self, flow: &Flow<T>, each: u32) -> bool {
        flow.answers >= flow.requests.saturating_mul(u64::from(each))
    }

    /// The client's next datagram does not belong to this flow any more.
    fn detach(&mut self, key: Key) {
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
        if self.flows.get(key).is_none_or(|flow| flow.active_at == now) {
            return;
        }
        self.unlink(key);
        if let Some(flow) = self.flows.get_mut(key) {
            flow.active_at = now;
        }
        self.link(key);
    }

    /// Put a flow at the end of its list.
    fn link(&mut self, key: Key) {
        let Some(flow) = self.flows.get(key) else { return };
        let answered = flow.answered_at.is_some();
        let list = if answered { &mut self.answered } else { &mut self.unanswered };
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
        let list = if answered { &mut self.answered } else { &mut self.unanswered };
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
