//! A balancer at work: backends with connections, of which the oldest ends when a new one begins.

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use pointsman::balance::{Ask, Balance, Candidate, Candidates, Observation, build};
use pointsman::config::Algorithm;
use pointsman::limits::WEIGHT_ONE;

/// How many backends there are to pick from.
pub const BACKENDS: [usize; 3] = [10, 1_000, 10_000];

/// Connections open at a time, for each backend.
const CONNECTIONS_PER_BACKEND: usize = 4;

pub struct Scene {
    set: Candidates,
    balance: Box<dyn Balance>,
    open: VecDeque<usize>,
    client: u32,
}

impl Scene {
    pub fn new(algorithm: Algorithm, count: usize) -> Scene {
        let mut set = Candidates::default();
        for index in 0..count {
            let weight = 1 + index as u32 % 3;
            set.push(Candidate {
                name: format!("10.0.0.1:{index}").into(),
                weight,
                effective_weight: weight * WEIGHT_ONE,
                connections: 0,
                eligible: true,
            });
        }
        let mut balance = build(algorithm, 1);
        balance.members_changed(&set);
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
        if self.open.len() > CONNECTIONS_PER_BACKEND * self.set.len() {
            let closed = self.open.pop_front().unwrap_or(index);
            self.set.candidate_mut(closed).connections -= 1;
            self.balance.changed(&self.set, closed);
        }
    }

    /// The whole set has changed.
    pub fn rebuild(&mut self) {
        self.balance.members_changed(&self.set);
    }
}
