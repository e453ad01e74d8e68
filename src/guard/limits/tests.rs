//! Limits as a configuration asks for them, and what becomes of them when it changes.

use super::*;
use crate::config::{Cidr, DryRun};

const SECOND: u64 = 1_000_000_000;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn listener(connections: u32, rate: &str) -> config::ListenerLimits {
    let rate = (!rate.is_empty()).then(|| Rate::parse(rate).expect("a rate"));
    let connections = Some(connections);
    config::ListenerLimits { connections, connection_rate: rate, handshake_rate: rate }
}

fn requests(texts: &[&str]) -> Vec<RequestLimit> {
    texts.iter().map(|text| RequestLimit::parse(text).expect("a limit")).collect()
}

#[test]
fn connections_at_once_are_given_back_under_the_table_that_counts_them_and_no_other() {
    let mut book = RuleBook::default();
    let mut limits = ListenerLimits::default();
    let client = ip("192.0.2.1");
    let early = limits.connect(client, 0, &mut book).expect("nothing is limited");
    assert_eq!(early, Admission::UNCOUNTED);
    limits.follow("a", &listener(2, ""), &Arc::default(), &mut book);
    let first = limits.connect(client, 0, &mut book).expect("one of two");
    let second = limits.connect(client, 0, &mut book).expect("two of two");
    assert!(limits.connect(client, 0, &mut book).is_err());
    assert!(limits.connect(ip("192.0.2.2"), 0, &mut book).is_ok());
    // Who came before the limit takes nothing off it.
    limits.gone(client, early);
    assert!(limits.connect(client, 0, &mut book).is_err());
    // Another number holds for the same connections.
    limits.follow("a", &listener(3, ""), &Arc::default(), &mut book);
    let third = limits.connect(client, 0, &mut book).expect("three of three");
    assert!(limits.connect(client, 0, &mut book).is_err());
    limits.follow("a", &listener(1, ""), &Arc::default(), &mut book);
    limits.gone(client, first);
    limits.gone(client, second);
    assert!(limits.connect(client, 0, &mut book).is_err());
    limits.gone(client, third);
    let other = limits.connect(client, 0, &mut book).expect("one of one");
    // Without the limit, and with a new one: those of before are not its.
    limits.follow("a", &config::ListenerLimits::NONE, &Arc::default(), &mut book);
    limits.follow("a", &listener(1, ""), &Arc::default(), &mut book);
    let last = limits.connect(client, 0, &mut book).expect("one of one");
    limits.gone(client, other);
    assert!(limits.connect(client, 0, &mut book).is_err());
    limits.gone(client, last);
    assert!(limits.connect(client, 0, &mut book).is_ok());
}

#[test]
fn who_is_refused_by_the_rate_takes_no_place_among_the_connections() {
    let mut book = RuleBook::default();
    let mut limits = ListenerLimits::default();
    limits.follow("a", &listener(3, "1/s,burst=2"), &Arc::default(), &mut book);
    let client = ip("2001:db8::1");
    let neighbour = ip("2001:db8::ffff:1");
    assert!(limits.connect(client, 0, &mut book).is_ok());
    assert!(limits.connect(neighbour, 0, &mut book).is_ok(), "the same /64");
    let refused = (0..5).map(|_| limits.connect(client, 0, &mut book).unwrap_err().retry_after);
    assert!(refused.into_iter().all(|after| after == NonZeroU32::new(1)));
    assert!(limits.connect(client, SECOND, &mut book).is_ok(), "three at once");
    assert!(limits.connect(client, 9 * SECOND, &mut book).is_err(), "four are too many");
    assert_eq!(book.total().refused, 6);
}

#[test]
fn a_rule_that_is_only_tried_counts_whom_it_would_refuse_and_refuses_nobody() {
    let run = |dry: &DryRun| {
        let mut book = RuleBook::default();
        book.begin_change(dry);
        let mut limits = ServiceLimits::default();
        limits.follow("web", &requests(&["5/s,name=own"]), &Arc::default(), &mut book);
        let mut random = fastrand::Rng::with_seed(7);
        let mut let_in = 0;
        for n in 0..10_000 {
            let client = IpAddr::V4(std::net::Ipv4Addr::from_bits(random.u32(1..20)));
            let none = |_: &str, _: usize| None;
            let answer = limits.request(client, none, |_| true, n * SECOND / 100, &mut book);
            let_in += u64::from(answer.is_ok());
        }
        (let_in, book.total())
    };
    let (enforced, real) = run(&DryRun::None);
    // Of several limits each one that refuses would change what the others see.
    let (tried, some) = run(&DryRun::Rules(vec!["own".to_owned()]));
    assert_eq!(enforced + real.refused, 10_000);
    assert_eq!(tried + some.refused, 10_000);
    assert_eq!(some.refused + some.would_refuse, real.refused);
    assert!(some.would_refuse > 1000, "{some:?}");
    assert_eq!(run(&DryRun::All).0, 10_000);
}

#[test]
fn requests_are_counted_by_address_by_a_field_or_all_together() {
    let mut book = RuleBook::default();
    let mut limits = ServiceLimits::default();
    limits.follow("web", &requests(&["1/s,by=header:x-key"]), &Arc::default(), &mut book);
    let mut ask = |client: &str, key: Option<&'static str>| {
        let field = |name: &str, nth: usize| {
            key.filter(|_| name == "x-key" && nth == 0).map(str::as_bytes)
        };
        limits.request(ip(client), field, |_| true, 0, &mut book).is_ok()
    };
    assert!(ask("192.0.2.1", Some("alice")));
    assert!(!ask("192.0.2.2", Some("alice")));
    assert!(ask("192.0.2.2", Some("bob")));
    assert!(ask("192.0.2.1", None), "by address");
    assert!(!ask("192.0.2.1", None));
    limits.follow("web", &requests(&["1/s,by=service"]), &Arc::default(), &mut book);
    let mut ask =
        |client: &str| limits.request(ip(client), |_, _| None, |_| true, 0, &mut book).is_ok();
    assert!(ask("192.0.2.1"));
    assert!(!ask("192.0.2.2"));
}

#[test]
fn who_is_exempt_is_never_limited() {
    let mut book = RuleBook::default();
    let exempt = Cidr::parse_list("192.0.2.0/24").expect("a network");
    let terms = Arc::new(Terms { exempt, ..Terms::default() });
    let mut limits = ListenerLimits::default();
    limits.follow("a", &listener(1, "1/h"), &terms, &mut book);
    let mut ask = |client: &str| limits.connect(ip(client), 0, &mut book).is_ok();
    assert!((0..9).all(|_| ask("192.0.2.1")));
    assert!(ask("198.51.100.1"));
    assert!(!ask("198.51.100.1"));
}

#[test]
fn what_is_owed_outlives_a_change_of_the_numbers_and_of_what_stands_beside() {
    let mut book = RuleBook::default();
    let mut limits = ServiceLimits::default();
    limits.follow(
        "web",
        &requests(&["1/s,burst=3,name=a", "9/s,name=b"]),
        &Arc::default(),
        &mut book,
    );
    let client = ip("192.0.2.1");
    let mut ask = |limits: &mut ServiceLimits| {
        limits
            .request(client, |_, _| None, |_| true, 0, &mut book)
            .map_err(|refusal| refusal.retry_after)
    };
    assert!((0..3).all(|_| ask(&mut limits).is_ok()));
    assert!(ask(&mut limits).is_err());
    let mut other = RuleBook::default();
    std::mem::swap(&mut other, &mut book);
    limits.follow("web", &requests(&["2/s,burst=4,name=a"]), &Arc::default(), &mut other);
    let quota = limits.quota(other.enter(&Scope::Service("web".into()), "a"));
    assert_eq!(quota, Some(Quota { count: 2, window: 1 }));
    let again = limits.request(client, |_, _| None, |_| true, 0, &mut other);
    assert!(again.is_err(), "it owes three seconds, and half a second each is too much");
    assert!(limits.request(client, |_, _| None, |_| true, SECOND, &mut other).is_ok());
    assert_eq!(limits.fills(SECOND).count(), 1);
}

#[test]
fn who_is_refused_by_one_limit_uses_up_none_of_the_others() {
    let mut book = RuleBook::default();
    let mut limits = ServiceLimits::default();
    limits.follow(
        "web",
        &requests(&["1/h,burst=5", "1/h,burst=2,by=service,name=total"]),
        &Arc::default(),
        &mut book,
    );
    let mut ask =
        |client: &str| limits.request(ip(client), |_, _| None, |_| true, 0, &mut book);
    assert!(ask("192.0.2.1").is_ok() && ask("192.0.2.1").is_ok());
    for _ in 0..9 {
        let refusal = ask("192.0.2.1").expect_err("that of all is used up");
        assert!(!refusal.is_own, "others may have used it up");
    }
    limits.follow("web", &requests(&["1/h,burst=5"]), &Arc::default(), &mut book);
    let mut ask =
        |client: &str| limits.request(ip(client), |_, _| None, |_| true, 0, &mut book);
    let admitted = (0..9).filter(|_| ask("192.0.2.1").is_ok()).count();
    assert_eq!(admitted, 3, "two of five have come");
    assert!(ask("192.0.2.1").expect_err("all five have come").is_own);
}

#[test]
fn a_request_counts_for_each_field_of_the_name() {
    let mut book = RuleBook::default();
    let mut limits = ServiceLimits::default();
    limits.follow(
        "web",
        &requests(&["1/h,burst=2,by=header:x-key"]),
        &Arc::default(),
        &mut book,
    );
    let mut ask = |values: &[&'static str]| {
        let field = |_: &str, nth: usize| values.get(nth).map(|it| it.as_bytes());
        limits.request(ip("192.0.2.1"), field, |_| true, 0, &mut book).is_ok()
    };
    assert!(ask(&["a", "real"]) && ask(&["real", "b"]));
    assert!(!ask(&["c", "real"]) && !ask(&["real"]));
    assert!(ask(&["c"]) && ask(&["c"]) && !ask(&["c"]), "what was refused is not counted");
}

#[test]
fn a_limit_with_a_condition_concerns_no_other_requests() {
    let mut book = RuleBook::default();
    let mut limits = ServiceLimits::default();
    let login = "1/h,burst=2,name=login,when=path ^= \"/login\"";
    limits.follow(
        "web",
        &requests(&["1/h,burst=4,name=total", login]),
        &Arc::default(),
        &mut book,
    );
    let mut ask = |is_login: bool| {
        let holds = |_: &Condition| is_login;
        let answer = limits.request(ip("192.0.2.1"), |_, _| None, holds, 0, &mut book);
        answer.map_err(|refusal| book.get(refusal.rule).unwrap().name.to_string())
    };
    assert!(ask(true).is_ok() && ask(true).is_ok());
    assert!((0..5).all(|_| ask(true) == Err("login".to_owned())));
    assert!(ask(false).is_ok() && ask(false).is_ok(), "what was refused is not counted");
    assert_eq!(ask(false), Err("total".to_owned()));
}
