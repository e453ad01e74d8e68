//! A thousand small worlds of clients, backends and floods against a table of flows.
//!
//! One seed is one world: a failure prints it, and `SEED=n cargo test --lib flow::simulation` plays
//! it alone. A plain list beside the table says what must be so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::event::Key;
use crate::limits::{FLOW_PROTECTED, FLOW_STRANGERS_KEPT};

use crate::event::ListenerId;

use super::{Flow, FlowKey, Placement, Policy, Table};

const SEEDS: u64 = 1000;
const STEPS: u32 = 400;

/// A flow as the plain list knows it. The mark that the table carries for it is its number.
struct Known {
    key: Key,
    client: FlowKey,
    active_at: Instant,
    answered_at: Option<Instant>,
    requests: u64,
    answers: u64,
}

struct World {
    random: fastrand::Rng,
    policy: Policy,
    table: Table<u32>,
    now: Instant,
    known: BTreeMap<u32, Known>,
    /// Marks in the order of opening, and those of flows that were handed back.
    opened: u32,
    closed: BTreeSet<u32>,
    /// The flow to which each client's next datagram belongs.
    current: HashMap<FlowKey, u32>,
    seen: Seen,
}

/// What happened; all of it must happen in some world.
#[derive(Debug, Default)]
struct Seen {
    opened: u32,
    full: u32,
    gave_way: u32,
    strangers_gave_way: u32,
    expired: u32,
    over: u32,
    replaced: u32,
    split: u32,
}

#[test]
fn tables_keep_to_their_rules_in_a_thousand_worlds() {
    if let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        println!("{:?}", play(seed));
        return;
    }
    let mut all = Seen::default();
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| play(seed));
        let seen = result.unwrap_or_else(|_| panic!("SEED={seed}"));
        for (sum, count) in all.counts().into_iter().zip(seen.copy()) {
            *sum += count;
        }
    }
    println!("{all:?}");
    assert!(all.counts().into_iter().all(|count| *count > 0), "never happened: {all:?}");
}

impl Seen {
    fn counts(&mut self) -> [&mut u32; 8] {
        let Seen { opened, full, gave_way, strangers_gave_way, expired, over, replaced, split } =
            self;
        [opened, full, gave_way, strangers_gave_way, expired, over, replaced, split]
    }

    fn copy(mut self) -> [u32; 8] {
        self.counts().map(|count| *count)
    }
}

fn play(seed: u64) -> Seen {
    let mut random = fastrand::Rng::with_seed(seed);
    let some =
        |random: &mut fastrand::Rng, least: u32| random.bool().then(|| random.u32(least..4));
    let policy = Policy {
        idle: Duration::from_millis(random.u64(500..5000)),
        responses: some(&mut random, 0),
        requests: some(&mut random, 1),
        most: if random.u8(..8) == 0 { random.usize(100..260) } else { random.usize(1..12) },
    };
    let table = Table::new(policy);
    let mut world = World {
        random,
        policy,
        table,
        now: Instant::now(),
        known: BTreeMap::new(),
        opened: 0,
        closed: BTreeSet::new(),
        current: HashMap::new(),
        seen: Seen::default(),
    };
    for _ in 0..STEPS {
        world.step();
        world.table.check_invariants();
        world.agree();
    }
    world.now += world.policy.idle;
    world.expire();
    assert!(world.table.is_empty() && world.known.is_empty(), "all expire in the end");
    assert_eq!(world.closed.len() as u32, world.opened, "every flow that opened was closed");
    assert_eq!(world.table.next_expiry(), None);
    world.seen
}

impl World {
    fn step(&mut self) {
        match self.random.u32(0..100) {
            0..55 => {
                let client = self.client();
                let count = self.random.u32(1..5);
                self.datagrams(client, count);
            }
            55..85 => self.answer(),
            85..89 => self.refuse(),
            89 => self.make_room(),
            90..95 => self.now += Duration::from_millis(self.random.u64(0..1200)),
            _ => {
                self.now += Duration::from_millis(self.random.u64(0..20));
                self.expire();
            }
        }
    }

    /// A dozen that come again, and a flood of others.
    fn client(&mut self) -> FlowKey {
        let port =
            if self.random.bool() { self.random.u16(1..12) } else { self.random.u16(..) };
        let address = SocketAddr::from(([10, 0, 0, 1], port));
        FlowKey::new(self.listener(), address, None)
    }

    fn listener(&mut self) -> ListenerId {
        ListenerId::for_tests(self.random.u32(0..2))
    }

    fn datagrams(&mut self, client: FlowKey, mut count: u32) {
        while count > 0 {
            match self.table.datagrams(&client, count, self.now) {
                Placement::Taken(key, taken) => {
                    let mark = self.current[&client];
                    let known = self.known.get_mut(&mark).expect("the client's flow");
                    assert_eq!((known.key, known.client), (key, client), "to its own flow");
                    assert!(taken >= 1 && taken <= count);
                    known.requests += u64::from(taken);
                    known.active_at = self.now;
                    if let Some(most) = self.policy.requests {
                        assert!(known.requests <= u64::from(most), "over its requests");
                    }
                    count -= taken;
                    self.seen.split += u32::from(count > 0);
                    self.close_if_over(mark);
                }
                Placement::Wanted => self.open(client),
                Placement::Full => {
                    self.must_be_full();
                    self.drop_current(&client);
                    self.seen.full += 1;
                    return;
                }
            }
        }
    }

    fn open(&mut self, client: FlowKey) {
        self.drop_current(&client);
        let before = self.table.len();
        self.opened += 1;
        let (key, gave_way) = self.table.open(client, self.opened, self.now);
        if let Some(flow) = gave_way {
            assert_eq!(before, self.policy.most, "somebody gave way though there was room");
            self.must_give_way(flow.upstream);
            self.forget(&flow);
            self.seen.gave_way += 1;
        }
        let known = Known {
            key,
            client,
            active_at: self.now,
            answered_at: None,
            requests: 0,
            answers: 0,
        };
        self.known.insert(self.opened, known);
        self.current.insert(client, self.opened);
        self.seen.opened += 1;
    }

    /// A client that has a flow gets another one only when it has used that one up.
    fn drop_current(&mut self, client: &FlowKey) {
        let Some(mark) = self.current.remove(client) else { return };
        let used = self.known.get(&mark).map(|known| known.requests);
        assert_eq!(used, self.policy.requests.map(u64::from), "a flow with room was left");
        self.seen.replaced += 1;
    }

    fn answer(&mut self) {
        let Some(mark) = self.any() else { return };
        let known = self.known.get_mut(&mark).expect("chosen among them");
        let flow = self.table.get_mut(known.key).expect("it is open");
        assert_eq!(
            (flow.client, flow.upstream),
            (known.client, mark),
            "no answer goes elsewhere"
        );
        self.table.answers(known.key, 1, self.now);
        known.answers += 1;
        known.answered_at = Some(self.now);
        known.active_at = self.now;
        self.close_if_over(mark);
    }

    fn refuse(&mut self) {
        let Some(mark) = self.any() else { return };
        let key = self.known[&mark].key;
        let flow = self.table.close(key).expect("it is open");
        self.forget(&flow);
        assert!(self.table.close(key).is_none(), "closed once");
    }

    /// There are more flows allowed than sockets to be had.
    fn make_room(&mut self) {
        match self.table.give_way(self.now) {
            Some(flow) => {
                self.must_give_way(flow.upstream);
                self.forget(&flow);
            }
            None => self.must_be_spared(),
        }
    }

    fn expire(&mut self) {
        while let Some(flow) = self.table.expire(self.now) {
            assert!(flow.active_at + self.policy.idle <= self.now, "too early");
            self.forget(&flow);
            self.seen.expired += 1;
        }
        let old = |known: &Known| known.active_at + self.policy.idle <= self.now;
        assert!(!self.known.values().any(old), "too late");
    }

    fn close_if_over(&mut self, mark: u32) {
        let known = &self.known[&mark];
        let asked = self.policy.requests.map(u64::from);
        let asked_all = asked.map_or(self.policy.responses != Some(0), |n| known.requests >= n);
        let answered = |each| known.answers >= known.requests * u64::from(each);
        let over = asked_all && self.policy.responses.is_some_and(answered);
        assert_eq!(self.table.is_over(known.key), over);
        if over && let Some(flow) = self.table.close(known.key) {
            self.forget(&flow);
            self.seen.over += 1;
        }
    }

    /// What the table handed back is what was known of it, and never comes again.
    fn forget(&mut self, flow: &Flow<u32>) {
        assert!(self.closed.insert(flow.upstream), "closed twice");
        let known = self.known.remove(&flow.upstream).expect("it was open");
        assert_eq!((flow.requests, flow.answers), (known.requests, known.answers), "counts");
        assert_eq!(flow.client, known.client);
        if self.current.get(&flow.client) == Some(&flow.upstream) {
            self.current.remove(&flow.client);
        }
    }

    fn is_spared(&self, known: &Known) -> bool {
        known.answered_at.is_some_and(|at| self.now - at < FLOW_PROTECTED)
    }

    /// Strangers go first, the longest idle of them; or, if only a few are there, the longest idle
    /// of those that had an answer.
    fn must_give_way(&mut self, mark: u32) {
        let known = &self.known[&mark];
        assert!(!self.is_spared(known), "it answered a moment ago");
        let is_stranger = known.answered_at.is_none();
        let alike = self.known.values().filter(|k| k.answered_at.is_none() == is_stranger);
        let mut longer = alike.filter(|k| k.active_at < known.active_at);
        assert!(longer.next().is_none(), "another one was idler");
        let strangers = self.known.values().filter(|k| k.answered_at.is_none()).count();
        let few = strangers < (self.policy.most / FLOW_STRANGERS_KEPT).max(1);
        if is_stranger {
            let others = || self.known.values().filter(|k| k.answered_at.is_some());
            let longest = others().map(|k| k.active_at).min();
            let mut heads = others().filter(|k| Some(k.active_at) == longest);
            let free = longest.is_some() && !heads.any(|k| self.is_spared(k));
            assert!(!few || !free, "a stranger gave way though few are there");
        } else {
            assert!(few, "who was answered gave way to {strangers} strangers");
        }
        self.seen.strangers_gave_way += u32::from(is_stranger);
    }

    fn must_be_full(&self) {
        assert_eq!(self.known.len(), self.policy.most, "there was room");
        self.must_be_spared();
    }

    fn must_be_spared(&self) {
        if self.known.is_empty() {
            return;
        }
        let longest = self.known.values().map(|known| known.active_at).min();
        let mut idlest = self.known.values().filter(|known| Some(known.active_at) == longest);
        assert!(idlest.any(|known| self.is_spared(known)), "nobody gave way");
        let silent = |known: &Known| known.answered_at.is_none();
        assert!(!self.known.values().any(silent), "one without an answer was spared");
    }

    fn agree(&self) {
        assert_eq!(self.table.len(), self.known.len(), "as many as are known");
        let next = self.known.values().map(|known| known.active_at + self.policy.idle).min();
        assert_eq!(self.table.next_expiry(), next);
    }

    fn any(&mut self) -> Option<u32> {
        let marks: Vec<u32> = self.known.keys().copied().collect();
        (!marks.is_empty()).then(|| marks[self.random.usize(..marks.len())])
    }
}
