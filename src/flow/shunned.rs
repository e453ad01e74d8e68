//! Whom a client must not be given again at once: the backend that has just refused its datagrams.
//!
//! The flow that was refused is over; this is all that is left of it. Bounded in number and in
//! time: a flood of refusals forgets the oldest.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::FlowKey;

/// Clients and the backend `B` that each was refused by.
#[derive(Debug)]
pub struct Shunned<B> {
    by_client: HashMap<FlowKey, (B, Instant)>,
    /// The same clients in the order of time; one that was taken out stays here until it is old.
    order: VecDeque<(FlowKey, Instant)>,
    kept_for: Duration,
    most: usize,
}

impl<B: Copy> Shunned<B> {
    /// Nobody yet; at most so many, and none for longer than this.
    pub fn new(most: usize, kept_for: Duration) -> Shunned<B> {
        Shunned { by_client: HashMap::new(), order: VecDeque::new(), kept_for, most }
    }

    /// The client was refused by this one.
    pub fn note(&mut self, client: FlowKey, by: B, now: Instant) {
        self.forget_old(now);
        self.by_client.insert(client, (by, now));
        self.order.push_back((client, now));
    }

    /// Who refused this client lately; it is not asked about twice.
    pub fn take(&mut self, client: &FlowKey, now: Instant) -> Option<B> {
        if self.by_client.is_empty() {
            return None;
        }
        let (by, at) = self.by_client.remove(client)?;
        (now.saturating_duration_since(at) < self.kept_for).then_some(by)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.by_client.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(&(client, at)) = self.order.front() {
            let old = now.saturating_duration_since(at) >= self.kept_for;
            if !old && self.order.len() < self.most {
                return;
            }
            self.order.pop_front();
            // Noted again meanwhile, it has a younger place in the order.
            if self.by_client.get(&client).is_some_and(|&(_, noted)| noted == at) {
                self.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    use crate::event::ListenerId;

    fn client(port: u16) -> FlowKey {
        let listener = ListenerId::for_tests(0);
        FlowKey::new(listener, SocketAddr::from(([127, 0, 0, 1], port)), None)
    }

    #[test]
    fn a_refusal_is_remembered_once_and_not_for_long() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut shunned = Shunned::new(10, Duration::from_secs(30));
        shunned.note(client(1), 'a', at(0));
        shunned.note(client(2), 'b', at(1));
        assert_eq!(shunned.take(&client(1), at(2)), Some('a'));
        assert_eq!(shunned.take(&client(1), at(2)), None, "asked about once");
        assert_eq!(shunned.take(&client(2), at(31)), None, "too long ago");
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let start = Instant::now();
        let mut shunned = Shunned::new(10, Duration::from_secs(30));
        (0..1000).for_each(|port| shunned.note(client(port), port, start));
        assert_eq!(shunned.len(), 10);
        assert!(shunned.order.len() <= 10);
        assert_eq!(shunned.take(&client(989), start), None);
        assert_eq!(shunned.take(&client(990), start), Some(990));
        shunned.note(client(990), 1, start + Duration::from_secs(29));
        shunned.note(client(1), 2, start + Duration::from_secs(30));
        let later = start + Duration::from_secs(31);
        assert_eq!(shunned.take(&client(990), later), Some(1), "noted anew, kept anew");
    }
}
