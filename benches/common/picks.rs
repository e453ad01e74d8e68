//! A balancer at work: backends with connections, of which the oldest ends when a new one begins.

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use pointsman::balance::{Ask, Balance, Candidate, Candidates, Observation, Work, build};
use pointsman::config::Algorithm;
use pointsman::limits::{BALANCE_STEPS, WEIGHT_ONE};

/// How many backends there are to pick from.
pub const BACKENDS: [usize; 3] = [10, 1_000, 10_000];

/// Connections open at a time, for each backend.
const CONNECTIONS_PER_BACKEND: usize = 4;

/// What it took to change the set.
#[allow(dead_code, reason = "each of the benchmarks shows some of it")]
#[derive(Debug, Clone, Copy)]
pub struct Rejoined {
    /// Before the next pick, and that pick.
    pub at_once: Duration,
    /// Until nothing was left to do.
    pub in_all: Duration,
    /// Of what was put off, in slices.
    pub longest_slice: Duration,
}

pub struct Scene {
    set: Candidates,
    balance: Box<dyn Balance>,
    open: VecDeque<usize>,
    client: u32,
}

impl Rejoined {
    /// The lowest of each: what the machine's other users take is not ours.
    #[allow(dead_code, reason = "one of the benchmarks measures it more than once")]
    pub fn best(self, other: Rejoined) -> Rejoined {
        Rejoined {
            at_once: self.at_once.min(other.at_once),
            in_all: self.in_all.min(other.in_all),
            longest_slice: self.longest_slice.min(other.longest_slice),
        }
    }
}

impl Scene {
    pub fn new(algorithm: Algorithm, count: usize) -> Scene {
        let mut set = Candidates::default();
        for index in 0..count {
            let weight = 1 + index as u32 % 3;
            set.join(Candidate {
                name: format!("10.0.0.1:{index}").into(),
                weight,
                effective_weight: weight * WEIGHT_ONE,
                connections: 0,
                eligible: true,
            });
        }
        let mut balance = build(algorithm, 1);
        (0..count).for_each(|seat| balance.joined(&set, seat));
        while balance.work(&set, usize::MAX) == Work::Left {}
        let now = Instant::now();
        for index in 0..count {
            balance.observe(&set, index, Observation::Load((index % 7) as f64), now);
            let time = Duration::from_micros(100 + index as u64 % 7);
            balance.observe(&set, index, Observation::Connected(time), now);
        }
        Scene { set, balance, open: VecDeque::new(), client: 0 }
    }

    /// One pick with its two changes: a connection more at the chosen backend, one less at another.
    pub fn pick(&mut self, now: Instant) {
        self.client = self.client.wrapping_add(1);
        let client = IpAddr::V4(Ipv4Addr::from_bits(self.client));
        let Some(index) = self.balance.pick(&self.set, &Ask { client, key: None, now }) else {
            return;
        };
        self.set.candidate_mut(black_box(index)).connections += 1;
        self.balance.changed(&self.set, index);
        self.open.push_back(index);
        if self.open.len() > CONNECTIONS_PER_BACKEND * self.set.seats() {
            let closed = self.open.pop_front().unwrap_or(index);
            self.set.candidate_mut(closed).connections -= 1;
            self.balance.changed(&self.set, closed);
        }
    }

    /// The last one leaves and joins again, and whatever that puts off is done, too.
    pub fn rejoin(&mut self, now: Instant) -> Rejoined {
        let started = Instant::now();
        let seat = self.set.seats() - 1;
        let again = self.set[seat].clone();
        self.set.leave(seat);
        self.balance.left(&self.set, seat);
        self.set.join(again);
        self.balance.joined(&self.set, seat);
        self.pick(now);
        let at_once = started.elapsed();
        let mut longest_slice = Duration::ZERO;
        let mut work = Work::Left;
        while work == Work::Left {
            let slice = Instant::now();
            work = self.balance.work(&self.set, BALANCE_STEPS);
            longest_slice = longest_slice.max(slice.elapsed());
        }
        Rejoined { at_once, in_all: started.elapsed(), longest_slice }
    }
}
