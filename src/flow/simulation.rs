//! A thousand small worlds of clients, backends and floods against a table of flows, whose classes
//! and limit change meanwhile.
//!
//! One seed is one world: a failure prints it, and `SEED=n cargo test --lib flow::simulation` plays
//! it alone. A plain list beside the table says what must be so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::event::Key;
use crate::limits::{FLOW_PROTECTED, FLOW_STRANGERS_KEPT};

use crate::event::ListenerId;

use super::{ClassId, Flow, FlowKey, Placement, Policy, Table};

const SEEDS: u64 = 1000;
const STEPS: u32 = 400;

/// A flow as the plain list knows it. The mark that the table carries for it is its number.
struct Known {
    key: Key,
    client: FlowKey,
    class: ClassId,
    active_at: Instant,
    answered_at: Option<Instant>,
    requests: u64,
    answers: u64,
}

/// A class as the plain list knows it.
struct KnownClass {
    id: ClassId,
    policy: Policy,
    is_removed: bool,
}

struct World {
    random: fastrand::Rng,
    most: usize,
    classes: Vec<KnownClass>,
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
    changed: u32,
    freed: u32,
    too_many: u32,
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
    fn counts(&mut self) -> [&mut u32; 11] {
        [
            &mut self.opened,
            &mut self.full,
            &mut self.gave_way,
            &mut self.strangers_gave_way,
            &mut self.expired,
            &mut self.over,
            &mut self.replaced,
            &mut self.split,
            &mut self.changed,
            &mut self.freed,
            &mut self.too_many,
        ]
    }

    fn copy(mut self) -> [u32; 11] {
        self.counts().map(|count| *count)
    }
}

fn some_policy(random: &mut fastrand::Rng) -> Policy {
    Policy {
        idle: Duration::from_millis(random.u64(500..5000)),
        responses: random.bool().then(|| random.u32(0..4)),
        requests: random.bool().then(|| random.u32(1..4)),
    }
}

fn some_most(random: &mut fastrand::Rng) -> usize {
    if random.u8(..8) == 0 { random.usize(100..260) } else { random.usize(1..12) }
}

fn play(seed: u64) -> Seen {
    let mut random = fastrand::Rng::with_seed(seed);
    let most = some_most(&mut random);
    let mut world = World {
        random,
        most,
        classes: Vec::new(),
        table: Table::new(most),
        now: Instant::now(),
        known: BTreeMap::new(),
        opened: 0,
        closed: BTreeSet::new(),
        current: HashMap::new(),
        seen: Seen::default(),
    };
    (0..world.random.u32(1..5)).for_each(|_| world.add_class());
    for _ in 0..STEPS {
        world.step();
        world.table.check_invariants();
        world.agree();
    }
    world.now += world.classes.iter().map(|class| class.policy.idle).max().unwrap_or_default();
    world.expire();
    assert!(world.table.is_empty() && world.known.is_empty(), "all expire in the end");
    assert_eq!(world.closed.len() as u32, world.opened, "every flow that opened was closed");
    assert_eq!(world.table.next_expiry(), None);
    assert!(
        world.classes.iter().all(|class| !class.is_removed),
        "all that were removed are gone"
    );
    world.seen
}

impl World {
    fn step(&mut self) {
        match self.random.u32(0..104) {
            0..55 => {
                let client = self.client();
                let count = self.random.u32(1..5);
                self.datagrams(client, count);
            }
            55..85 => self.answer(),
            85..89 => self.refuse(),
            89 => self.make_room(),
            100..103 => self.change_classes(),
            103 => {
                self.most = some_most(&mut self.random);
                self.table.set_most(self.most);
            }
            90..95 => self.now += Duration::from_millis(self.random.u64(0..1200)),
            _ => {
                self.now += Duration::from_millis(self.random.u64(0..20));
                self.expire();
            }
        }
    }

    fn add_class(&mut self) {
        let policy = some_policy(&mut self.random);
        let id = self.table.add_class(policy).expect("a few");
        assert!(self.classes.iter().all(|class| class.id != id), "it is still in use");
        self.classes.push(KnownClass { id, policy, is_removed: false });
    }

    /// A class comes, goes, or most often is changed; one stays.
    fn change_classes(&mut self) {
        let here = self.any_class();
        let is_last = self.classes.iter().filter(|class| !class.is_removed).count() == 1;
        match self.random.u8(..4) {
            0 => self.add_class(),
            1 if !is_last => {
                self.classes[here].is_removed = true;
                self.table.remove_class(self.classes[here].id);
                self.forget_classes();
            }
            _ => {
                let class = &mut self.classes[here];
                class.policy = some_policy(&mut self.random);
                self.table.change_class(class.id, class.policy);
                assert_eq!(self.table.next_expiry(), self.earliest_expiry(), "changed at once");
                self.seen.changed += u32::from(!self.known.is_empty());
            }
        }
    }

    /// One that takes new flows.
    fn any_class(&mut self) -> usize {
        let places = 0..self.classes.len();
        let here: Vec<usize> = places.filter(|&at| !self.classes[at].is_removed).collect();
        here[self.random.usize(..here.len())]
    }

    /// Those that were removed are gone with their last flow.
    fn forget_classes(&mut self) {
        let known = &self.known;
        let has_flows = |id| known.values().any(|flow| flow.class == id);
        let before = self.classes.len();
        self.classes.retain(|class| !class.is_removed || has_flows(class.id));
        self.seen.freed += (before - self.classes.len()) as u32;
    }

    fn policy_of(&self, class: ClassId) -> Policy {
        let mut classes = self.classes.iter();
        classes.find(|it| it.id == class).expect("a flow's class is there").policy
    }

    fn expiry_of(&self, known: &Known) -> Instant {
        known.active_at + self.policy_of(known.class).idle
    }

    fn earliest_expiry(&self) -> Option<Instant> {
        self.known.values().map(|known| self.expiry_of(known)).min()
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
                    let policy = self.policy_of(self.known[&mark].class);
                    let known = self.known.get_mut(&mark).expect("the client's flow");
                    assert_eq!((known.key, known.client), (key, client), "to its own flow");
                    assert!(taken >= 1 && taken <= count);
                    known.requests += u64::from(taken);
                    known.active_at = self.now;
                    if let Some(most) = policy.requests {
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
        let class = self.any_class();
        let class = self.classes[class].id;
        let (key, gave_way) = self.table.open(client, class, self.opened, self.now);
        assert_eq!(
            gave_way.is_some(),
            before >= self.most,
            "one gives way where there is no room"
        );
        self.seen.too_many += u32::from(before > self.most);
        if let Some(flow) = gave_way {
            self.must_give_way(flow.upstream);
            self.forget(&flow);
            self.seen.gave_way += 1;
        }
        let known = Known {
            key,
            client,
            class,
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
        let known = &self.known[&mark];
        let most = self.policy_of(known.class).requests;
        assert!(most.is_some_and(|most| known.requests >= u64::from(most)), "it had room");
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
            let known = &self.known[&flow.upstream];
            assert!(self.expiry_of(known) <= self.now, "too early");
            self.forget(&flow);
            self.seen.expired += 1;
        }
        assert!(self.earliest_expiry().is_none_or(|at| at > self.now), "too late");
        assert!(
            self.table.next_expiry().is_none_or(|at| at > self.now),
            "a look that finds nothing"
        );
    }

    fn close_if_over(&mut self, mark: u32) {
        let known = &self.known[&mark];
        let policy = self.policy_of(known.class);
        let asked = policy.requests.map(u64::from);
        let asked_all = asked.map_or(policy.responses != Some(0), |n| known.requests >= n);
        let answered = |each| known.answers >= known.requests * u64::from(each);
        let over = asked_all && policy.responses.is_some_and(answered);
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
        self.forget_classes();
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
        let few = strangers < (self.most / FLOW_STRANGERS_KEPT).max(1);
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
        assert!(self.known.len() >= self.most, "there was room");
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
        assert_eq!(self.table.classes(), self.classes.len(), "as many classes as are known");
        let next = self.table.next_expiry();
        let earliest = self.earliest_expiry();
        assert_eq!(next.is_some(), earliest.is_some());
        assert!(next <= earliest, "looked for too late");
    }

    fn any(&mut self) -> Option<u32> {
        let marks: Vec<u32> = self.known.keys().copied().collect();
        (!marks.is_empty()).then(|| marks[self.random.usize(..marks.len())])
    }
}
