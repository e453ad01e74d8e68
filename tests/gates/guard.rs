//! Limits by client under a flood of addresses: nobody gets beyond them, and memory stays what it
//! was.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use pointsman::config::Rate;
use pointsman::guard::{ClientKey, Gcra, Secret, Table, TableCounts};

use crate::alone;

const SECOND: u64 = 1_000_000_000;
const SECRET: u128 = 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978;
const FRIENDS: u128 = 100;

/// A limit, and the addresses that a flood is out of.
struct Case {
    addresses: u128,
    rate: &'static str,
    interval: u64,
    burst: u64,
}

/// How many of a client's were let in.
#[derive(Default)]
struct Sums {
    plain: u64,
    table: u64,
}

/// Buckets that leak, one for each client, in a plain map: what is in each is the time that it
/// takes to leak out.
struct Buckets {
    filled: HashMap<ClientKey, (u64, u64)>,
    interval: u64,
    burst: u64,
}

/// A flood as it goes.
struct Flood {
    table: Table,
    law: Gcra,
    plain: Buckets,
    sums: HashMap<ClientKey, Sums>,
}

impl Buckets {
    fn ask(&mut self, key: ClientKey, now: u64) -> bool {
        let (level, since) = self.filled.entry(key).or_insert((0, now));
        let before = level.saturating_sub(now - *since);
        let fits = before + self.interval <= self.burst * self.interval;
        *level = before + if fits { self.interval } else { 0 };
        *since = now;
        fits
    }
}

impl Flood {
    fn of(case: &Case) -> Flood {
        let Case { interval, burst, .. } = *case;
        Flood {
            table: Table::new(32_768, Secret::of(SECRET)),
            law: Gcra::new(Rate::parse(case.rate).expect("a rate")),
            plain: Buckets { filled: HashMap::new(), interval, burst },
            sums: HashMap::new(),
        }
    }

    fn ask(&mut self, key: ClientKey, now: u64) {
        let sums = self.sums.entry(key).or_default();
        sums.plain += u64::from(self.plain.ask(key, now));
        sums.table += u64::from(self.table.ask(key, 1, &self.law, now).admitted);
    }
}

fn key(address: u128) -> ClientKey {
    ClientKey::of_address(Ipv6Addr::from_bits(address).into(), 128)
}

/// Somebody who has nothing to do with the flood.
fn friend(n: u128) -> ClientKey {
    key((0x2001_0db8_1000_u128 + n) << 80)
}

/// So many arrivals of addresses out of one /48 in ten seconds, while others elsewhere ask for
/// twice of what they may.
fn run(case: &Case, arrivals: u64) -> Flood {
    let mut random = fastrand::Rng::with_seed(3);
    let mut flood = Flood::of(case);
    let network = 0x2001_0db8_0666_u128 << 80;
    let step = case.interval / 2 / FRIENDS as u64;
    let mut due = 0;
    let mut friends = 0;
    for n in 0..arrivals {
        let now = 10 * SECOND * n / arrivals;
        while due <= now {
            flood.ask(friend(friends % FRIENDS), due);
            friends += 1;
            due += step;
        }
        flood.ask(key(network + random.u128(1..=case.addresses)), now);
    }
    flood
}

#[test]
fn ten_million_addresses_of_one_network_get_at_most_1_percent_beyond_the_limit() {
    let _alone = alone();
    let arrivals = if cfg!(debug_assertions) { 300_000 } else { 10_000_000 };
    let case = |addresses, rate, interval, burst| Case { addresses, rate, interval, burst };
    let cases = [
        case(10_000_000, "10/s,burst=20", SECOND / 10, 20),
        case(65_536, "10/s,burst=5", SECOND / 10, 5),
        case(65_536, "1/s,burst=1", SECOND, 1),
        case(200_000, "60/m,burst=10", SECOND, 10),
    ];
    for case in cases {
        let flood = run(&case, arrivals);
        let counts: TableCounts = flood.table.counts();
        for n in 0..FRIENDS {
            let Sums { plain, table } = flood.sums[&friend(n)];
            // What is forgotten of one is at most a burst.
            assert!(table <= plain + case.burst, "friend {n}: {table} of {plain}");
            assert!(table * 10 >= plain * 9, "friend {n}: {table} of {plain}");
        }
        let plain: u64 = flood.sums.values().map(|it| it.plain).sum();
        let over: u64 = flood.sums.values().map(|it| it.table.saturating_sub(it.plain)).sum();
        let Case { addresses, rate, .. } = case;
        println!("guard: {addresses} addresses, {rate}: {over} beyond {plain}, {counts:?}");
        assert!(over * 100 <= plain, "{rate}: {over} beyond {plain}");
    }
}
