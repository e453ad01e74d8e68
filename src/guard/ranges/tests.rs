//! Ranges against the plain rule, and in tables.

use super::*;

fn cidr(text: &str) -> Cidr {
    Cidr::parse(text).unwrap()
}

fn ranges(rules: &[(Listing, &str)]) -> Ranges {
    let mut building = Building::default();
    let lists = [Listing::Deny, Listing::Allow].map(|rule| {
        let is_used = rules.iter().any(|(it, _)| *it == rule);
        is_used
            .then(|| building.list(if rule == Listing::Deny { "deny" } else { "allow" }, rule))
    });
    for (rule, network) in rules {
        let list = lists[usize::from(*rule == Listing::Allow)].unwrap();
        building.add(list, cidr(network));
    }
    building.finish()
}

fn said(ranges: &Ranges, address: &str) -> String {
    match ranges.find(address.parse().unwrap()) {
        Found::Allowed { is_listed: true } => "allowed".to_owned(),
        Found::Allowed { is_listed: false } => "let in".to_owned(),
        Found::Denied(why) => why.to_string(),
    }
}

#[test]
fn the_longest_prefix_wins_and_of_two_alike_the_denied_one() {
    use Listing::{Allow, Deny};
    let all = ranges(&[
        (Allow, "10.0.0.0/8"),
        (Deny, "10.1.0.0/16"),
        (Allow, "10.1.2.0/24"),
        (Deny, "10.1.2.3"),
        (Allow, "10.1.2.3"),
        (Allow, "255.255.255.255"),
        (Deny, "2001:db8::/32"),
        (Allow, "2001:db8:1::/48"),
    ]);
    let table = [
        ("0.0.0.0", "not among those allowed"),
        ("9.255.255.255", "not among those allowed"),
        ("10.0.0.0", "allowed"),
        ("10.1.0.0", "10.1.0.0/16 of deny"),
        ("10.1.1.255", "10.1.0.0/16 of deny"),
        ("10.1.2.0", "allowed"),
        ("10.1.2.3", "10.1.2.3/32 of deny"),
        ("10.1.2.4", "allowed"),
        ("10.1.3.0", "10.1.0.0/16 of deny"),
        ("10.2.0.0", "allowed"),
        ("::ffff:10.1.3.0", "10.1.0.0/16 of deny"),
        ("::ffff:10.2.0.0", "allowed"),
        ("11.0.0.0", "not among those allowed"),
        ("255.255.255.254", "not among those allowed"),
        ("255.255.255.255", "allowed"),
        ("2001:db8::1", "2001:db8::/32 of deny"),
        ("2001:db8:1::1", "allowed"),
        ("2001:db8:2::1", "2001:db8::/32 of deny"),
        ("2001:db9::", "not among those allowed"),
        ("::", "not among those allowed"),
    ];
    for (address, want) in table {
        assert_eq!(said(&all, address), want, "{address}");
    }
}

#[test]
fn who_is_in_no_list_comes_in_unless_some_are_allowed() {
    let none = ranges(&[]);
    assert_eq!(said(&none, "192.0.2.1"), "let in");
    let denied = ranges(&[(Listing::Deny, "192.0.2.0/24")]);
    assert_eq!(said(&denied, "192.0.2.1"), "192.0.2.0/24 of deny");
    assert_eq!(said(&denied, "192.0.3.0"), "let in");
    assert_eq!(said(&denied, "::1"), "let in");
    let allowed = ranges(&[(Listing::Allow, "0.0.0.0/0")]);
    assert_eq!(said(&allowed, "255.255.255.255"), "allowed");
    assert_eq!(said(&allowed, "::1"), "not among those allowed");
    let mut empty = Building::default();
    empty.list("allow.txt", Listing::Allow);
    assert_eq!(said(&empty.finish(), "192.0.2.1"), "not among those allowed");
}

/// The plain rule: all networks are looked at.
fn plainly(rules: &[(Listing, Cidr)], address: IpAddr) -> (bool, Option<Cidr>) {
    let holding = rules.iter().filter(|(_, it)| it.contains(address));
    let best = holding.max_by_key(|(rule, it)| (it.prefix, *rule == Listing::Deny));
    match best {
        Some((Listing::Allow, _)) => (true, None),
        Some((Listing::Deny, network)) => (false, Some(*network)),
        None => (rules.iter().all(|(rule, _)| *rule == Listing::Deny), None),
    }
}

#[test]
fn ranges_say_what_the_plain_rule_says() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        // Few bits differ, so that networks lie in each other and beside each other.
        let address = |random: &mut fastrand::Rng| -> IpAddr {
            let low = u32::from(random.u8(..)) << (8 * random.u32(..4));
            let bits = if random.bool() { low } else { !low };
            match random.u8(..3) {
                0 => IpAddr::V6(Ipv6Addr::from_bits(u128::from(bits) << random.u32(..97))),
                _ => IpAddr::V4(bits.into()),
            }
        };
        let mut rules = Vec::new();
        for _ in 0..random.usize(..40) {
            let it = address(&mut random);
            let prefix = random.u8(..=if it.is_ipv4() { 32 } else { 128 });
            // A prefix below 96 would make a mapped address one of IPv6.
            let network = Cidr::around(it, prefix);
            let rule = if random.bool() { Listing::Deny } else { Listing::Allow };
            rules.push((rule, network));
        }
        let texts: Vec<_> = rules.iter().map(|(rule, it)| (*rule, it.to_string())).collect();
        let texts: Vec<_> = texts.iter().map(|(rule, it)| (*rule, &**it)).collect();
        let built = ranges(&texts);
        let edges: Vec<IpAddr> = rules.iter().map(|(_, it)| it.address).collect();
        let others: Vec<IpAddr> = (0..200).map(|_| address(&mut random)).collect();
        for at in edges.into_iter().chain(others) {
            let found = match built.find(at) {
                Found::Allowed { .. } => (true, None),
                Found::Denied(Denial::NotAllowed) => (false, None),
                Found::Denied(Denial::Listed { network, .. }) => (false, Some(network)),
            };
            assert_eq!(found, plainly(&rules, at), "seed {seed}, {at} in {texts:?}");
        }
    }
}

#[test]
fn ten_thousand_networks_need_little_memory_and_are_all_found() {
    let mut building = Building::default();
    let list = building.list("deny", Listing::Deny);
    let mut random = fastrand::Rng::with_seed(3);
    let mut networks: Vec<Cidr> =
        (0..10_000_u32).map(|at| Cidr::around(IpAddr::V4((at << 9).into()), 24)).collect();
    random.shuffle(&mut networks);
    networks.iter().for_each(|it| building.add(list, *it));
    let mut steps = 0;
    while building.step() {
        steps += 1;
    }
    assert!(steps > 20, "{steps}");
    let ranges = building.finish();
    assert!(ranges.len() * 8 <= 160 * 1024 + 64, "{}", ranges.len());
    for network in networks {
        assert!(matches!(ranges.find(network.address), Found::Denied(_)), "{network}");
    }
    let between = ranges.find(IpAddr::V4((1_u32 << 8).into()));
    assert_eq!(between, Found::Allowed { is_listed: false });
}
