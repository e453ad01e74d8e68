//! What a pick costs: nanoseconds for one pick with its two changes (a connection more at the
//! chosen backend, one less at another), by algorithm and number of backends; and what a change of
//! the whole set costs. `cargo bench --bench pick`; nothing here waits, so time is the processor's.

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use pointsman::balance::{Ask, Balance, Candidate, Candidates, Observation, build};
use pointsman::config::Algorithm;
use pointsman::limits::WEIGHT_ONE;

const BACKENDS: [usize; 3] = [10, 1_000, 10_000];

/// Connections open at a time, for each backend.
const CONNECTIONS_PER_BACKEND: usize = 4;

fn main() {
    // `cargo test --all-targets` runs this without the flag: then it only shows that it works.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let picks = if measured { 300_000 } else { 100 };
    println!("{:<18}{:>10}{:>10}{:>10}   set changed", "ns a pick", 10, 1_000, 10_000);
    for row in Algorithm::ALL {
        print!("{:<18}", row.name);
        let mut rebuild = Duration::ZERO;
        for count in BACKENDS {
            let mut scene = Scene::new(row.algorithm, count);
            scene.run(picks / 3);
            // The best of three: what the machine's other users take is not ours.
            let best = (0..3).map(|_| scene.run(picks)).min().unwrap_or_default();
            print!("{:>10.0}", best.as_nanos() as f64 / f64::from(picks));
            let start = Instant::now();
            scene.balance.members_changed(&scene.set);
            rebuild = start.elapsed();
        }
        println!("{:>10.2} ms", rebuild.as_secs_f64() * 1e3);
    }
}

struct Scene {
    set: Candidates,
    balance: Box<dyn Balance>,
    open: VecDeque<usize>,
    client: u32,
}

impl Scene {
    fn new(algorithm: Algorithm, count: usize) -> Scene {
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

    fn run(&mut self, picks: u32) -> Duration {
        let now = Instant::now();
        for _ in 0..picks {
            self.client = self.client.wrapping_add(1);
            let client = IpAddr::V4(Ipv4Addr::from_bits(self.client));
            let Some(index) = self.balance.pick(&self.set, &Ask { client, key: None, now })
            else {
                continue;
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
        now.elapsed()
    }
}
