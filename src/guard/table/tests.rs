//! The table against plain maps, and under floods.

use std::collections::HashMap;

use super::*;
use crate::config::Rate;

const SECOND: u64 = 1_000_000_000;
const SECRET: u128 = 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978;

fn table(slots: usize) -> Table {
    Table::new(slots, Secret::of(SECRET))
}

fn law(text: &str) -> Gcra {
    Gcra::new(Rate::parse(text).expect("a rate"))
}

fn key(address: u128) -> ClientKey {
    ClientKey::of_address(std::net::Ipv6Addr::from_bits(address).into(), 128)
}

/// Buckets that leak, one for each client: what is in each, as the time that it takes to leak out.
#[derive(Default)]
struct Buckets {
    filled: HashMap<ClientKey, (u64, u64)>,
    interval: u64,
    burst: u64,
}

impl Buckets {
    fn of(interval: u64, burst: u64) -> Buckets {
        Buckets { filled: HashMap::new(), interval, burst }
    }

    fn ask(&mut self, key: ClientKey, units: u64, now: u64) -> bool {
        let (level, since) = self.filled.entry(key).or_insert((0, now));
        let before = level.saturating_sub(now - *since);
        let after = before + units * self.interval;
        *level = before;
        *since = now;
        let fits = after <= self.burst * self.interval;
        if fits {
            *level = after;
        }
        fits
    }
}

#[test]
fn a_million_random_arrivals_are_decided_as_plain_buckets_decide() {
    let mut random = fastrand::Rng::with_seed(1);
    for (text, interval, burst) in
        [("10/s,burst=5", SECOND / 10, 5), ("100/m,burst=1", SECOND * 60 / 100, 1)]
    {
        let mut table = table(4096);
        let law = law(text);
        let mut plain = Buckets::of(interval, burst);
        let mut now = 0;
        let mut admitted = 0;
        for _ in 0..500_000 {
            now += random.u64(0..interval / 16);
            let client = key(random.u128(1..40));
            let units = random.u32(1..=2);
            let decision = table.ask(client, units, &law, now);
            assert_eq!(decision.admitted, plain.ask(client, units.into(), now), "at {now}");
            if !decision.admitted && u64::from(units) <= burst {
                let at = now + decision.retry_after;
                let fits = |at| law.ask(tat_of(&table, client), units, at).0.admitted;
                assert!(fits(at) && !fits(at - 1), "retry_after is exact");
            }
            admitted += u32::from(decision.admitted);
        }
        assert!((50_000..450_000).contains(&admitted), "{admitted}: both happen");
        assert_eq!(table.counts(), TableCounts::default());
    }
}

fn tat_of(table: &Table, key: ClientKey) -> u64 {
    let at = table.ways(table.bucket_of(key)).find(|&at| table.is_of(at, key));
    at.map_or(0, |at| table.slots[at][TAT])
}

#[test]
fn connections_are_counted_as_a_plain_map_counts_them_where_the_table_is_large_enough() {
    let mut random = fastrand::Rng::with_seed(2);
    let mut table = table(1024);
    let mut open: HashMap<ClientKey, u32> = HashMap::new();
    for now in 0..200_000 {
        let client = key(random.u128(1..60));
        let count = open.entry(client).or_default();
        if random.bool() {
            assert_eq!(table.begin(client, 5, now), *count < 5);
            *count += u32::from(*count < 5);
        } else if *count > 0 {
            table.end(client);
            *count -= 1;
        }
        assert_eq!(table.connections(client), *count);
    }
}

#[test]
fn in_a_table_too_small_nobody_has_more_connections_than_the_limit_and_all_are_given_back() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = table(32);
        let mut open: HashMap<u128, u32> = HashMap::new();
        let networks = [0x2001_0db8_0001_u128 << 80, 0x2001_0db8_0002_u128 << 80];
        let mut refused = 0;
        for now in 0..20_000 {
            let client = networks[random.usize(..2)] + random.u128(1..100);
            let count = open.entry(client).or_default();
            if random.u8(..3) > 0 {
                let begins = table.begin(key(client), 3, now);
                refused += u32::from(!begins && *count < 3);
                *count += u32::from(begins);
                assert!(*count <= 3, "seed {seed}: more than the limit");
            } else if *count > 0 {
                table.end(key(client));
                *count -= 1;
            }
            let all: u64 = table.slots.iter().map(|slot| slot[CONNECTIONS]).sum();
            let wanted: u32 = open.values().sum();
            assert_eq!(all, u64::from(wanted), "seed {seed}: one got lost");
        }
        assert!(refused > 0 && table.counts().shared > 0, "neighbours had to share");
        for (client, count) in open {
            (0..count).for_each(|_| table.end(key(client)));
        }
        assert_eq!(table.fill(u64::MAX), 0);
        assert!(table.slots.iter().all(|slot| slot[CONNECTIONS] == 0));
        assert_eq!(table.shared_connections, 0);
    }
}

#[test]
fn who_owes_keeps_its_slot_before_who_owes_less_and_one_with_connections_always() {
    let mut table = table(8);
    let law = law("1/s,burst=10");
    let network = 0x2001_0db8_u128 << 96;
    let pinned = key(network + 1);
    assert!(table.begin(pinned, 1, 0));
    let much = key(network + 2);
    (0..9).for_each(|_| assert!(table.ask(much, 1, &law, 0).admitted));
    // Each out of another network, so that no neighbourhood is in the way but that of the bucket.
    let newcomers = (1..8).map(|n| key((0x2001_0db9_u128 << 96) + (n << 80)));
    newcomers.for_each(|client| assert!(table.ask(client, 1, &law, 0).admitted));
    assert_eq!(table.counts().evicted, 2, "five fit in beside the two");
    assert_eq!(table.connections(pinned), 1);
    let decisions = (0..3).map(|_| table.ask(much, 1, &law, 0).admitted);
    assert_eq!(decisions.collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn a_table_takes_a_mebibyte_and_shows_how_full_it_is() {
    let mut table = table(crate::limits::LIMIT_CLIENTS_DEFAULT as usize);
    assert_eq!(size_of_val(&*table.slots), 1 << 20);
    assert_eq!(table.room(), 28_672);
    let law = law("1/s");
    assert_eq!(table.fill(0), 0);
    for client in 1..=10_000 {
        assert!(table.ask(key(client << 80), 1, &law, 0).admitted);
    }
    let fill = table.fill(0);
    assert!((9_000..11_000).contains(&fill), "{fill}");
    assert_eq!(table.fill(SECOND), 0, "a second later nobody owes anything");
}
