//! Look-ups against servers that are played here: what goes out, and what comes of it.

use simple_dns::rdata::{A, AAAA, RData, SRV};
use simple_dns::{self as wire, CLASS, Packet, PacketFlag, RCODE, ResourceRecord};

use super::super::answer::Refusal;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn conf(servers: usize) -> ResolvConf {
    let servers = (1..=servers).map(|number| format!("10.0.0.{number}:53").parse().unwrap());
    ResolvConf { servers: servers.collect(), timeout: 4 * SECOND, ..ResolvConf::default() }
}

fn lookup(wanted: &str, conf: &ResolvConf) -> Lookup {
    let wanted = match wanted.strip_prefix("srv:") {
        Some(name) => Wanted::Services(Written::new(name).unwrap()),
        None => Wanted::Addresses(Written::new(wanted).unwrap(), 80),
    };
    Lookup::new(&wanted, Families::Both, conf, &Hosts::default(), Random::seeded(1))
}

/// What goes out before it waits: to which server, how, and the message without its length.
fn sent(lookup: &mut Lookup, now: Instant) -> Vec<(SocketAddr, Transport, Vec<u8>)> {
    let mut sent = Vec::new();
    while let Step::Send { server, transport, bytes } = lookup.next(now) {
        let bytes = if transport == Transport::Tcp { bytes[2..].to_vec() } else { bytes };
        sent.push((server, transport, bytes));
    }
    sent
}

fn question(bytes: &[u8]) -> String {
    let packet = Packet::parse(bytes).unwrap();
    let question = &packet.questions[0];
    format!("{:?} {}", question.qtype, question.qname.to_string().to_lowercase())
        .replace("TYPE(", "")
        .replace(')', "")
}

/// What there is, by a question: a code, and records.
type Zone<'a> = &'a dyn Fn(&str) -> (RCODE, Vec<RData<'static>>);

fn reply(bytes: &[u8], zone: Zone<'_>) -> Vec<u8> {
    let (rcode, records) = zone(&question(bytes));
    let mut packet = Packet::parse(bytes).unwrap().into_reply();
    *packet.opt_mut() = None;
    let owner = packet.questions[0].qname.clone();
    let record = |rdata| ResourceRecord::new(owner.clone(), CLASS::IN, 30, rdata);
    packet.answers = records.into_iter().map(record).collect();
    *packet.rcode_mut() = rcode;
    packet.build_bytes_vec_compressed().unwrap()
}

/// Runs it to its end against servers that all have the same zone.
fn run(mut lookup: Lookup, zone: Zone<'_>) -> (Result<Answer, Failure>, Vec<String>) {
    let now = Instant::now();
    let mut asked = Vec::new();
    for _ in 0..1000 {
        match lookup.next(now) {
            Step::Send { server, transport, bytes } => {
                asked.push(question(&bytes));
                lookup.heard(server, transport, &reply(&bytes, zone));
            }
            Step::Wait { .. } => break,
            Step::Done(result) => return (result, asked),
        }
    }
    panic!("no end, asked {asked:?}");
}

fn a(last: u8) -> RData<'static> {
    RData::A(A { address: 0x0a01_0000 + u32::from(last) })
}

fn aaaa(last: u8) -> RData<'static> {
    RData::AAAA(AAAA { address: u128::from(last) })
}

fn addresses(answer: &Answer) -> Vec<String> {
    answer.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect()
}

#[test]
fn both_families_are_asked_at_once() {
    let mut lookup = lookup("api.example", &conf(2));
    let now = Instant::now();
    let out = sent(&mut lookup, now);
    let asked: Vec<String> = out.iter().map(|(_, _, bytes)| question(bytes)).collect();
    assert_eq!(asked, ["A api.example", "AAAA api.example"]);
    assert!(out.iter().all(|it| it.0 == "10.0.0.1:53".parse().unwrap()));
    assert_eq!(lookup.next(now), Step::Wait { until: now + 4 * SECOND });
    for (server, transport, bytes) in out {
        lookup.heard(
            server,
            transport,
            &reply(&bytes, &|question| match question {
                "A api.example" => (RCODE::NoError, vec![a(2), a(1)]),
                _ => (RCODE::NoError, vec![aaaa(1)]),
            }),
        );
    }
    let Step::Done(Ok(answer)) = lookup.next(now) else { panic!("not done") };
    assert_eq!(addresses(&answer), ["10.1.0.1:80", "10.1.0.2:80", "[::1]:80"]);
    assert_eq!((answer.ttl, answer.unheard.len()), (30 * SECOND, 0));
}

/// As those say it who block a name.
#[test]
fn addresses_at_which_no_server_can_be_are_no_answer() {
    let nowhere = |question: &str| match question {
        "SRV s.example" => (RCODE::NoError, vec![srv(1, 1, "x.example")]),
        it if it.starts_with("A ") => (RCODE::NoError, vec![RData::A(A { address: 0 })]),
        _ => (RCODE::NoError, vec![aaaa(0)]),
    };
    let search = vec![name("a.example")];
    let (result, asked) = run(lookup("db", &ResolvConf { search, ..conf(1) }), &nowhere);
    assert_eq!(result, Err(Failure::Nothing(name("db.a.example"), Some(30 * SECOND))));
    assert_eq!(asked.len(), 2, "another name is another's");
    let hosts = Hosts::read(b"0.0.0.0 db.example");
    let wanted = Wanted::Addresses(Written::new("db.example").unwrap(), 80);
    let blocked = Lookup::new(&wanted, Families::Both, &conf(1), &hosts, Random::seeded(1));
    let (result, asked) = run(blocked, &|_| (RCODE::NoError, vec![a(1)]));
    assert!(matches!(result, Err(Failure::Nothing(..))) && asked.is_empty(), "{result:?}");
    let (result, _) = run(lookup("srv:s.example", &conf(1)), &nowhere);
    assert_eq!(result, Err(Failure::NoTargets(name("s.example"))));
    let (result, _) = run(lookup("db.example", &conf(1)), &|question| match question {
        "A db.example" => (RCODE::NoError, vec![RData::A(A { address: 0 }), a(1)]),
        _ => nowhere(question),
    });
    let answer = result.unwrap();
    assert_eq!((addresses(&answer), answer.left_out), (vec!["10.1.0.1:80".to_owned()], 2));
}

#[test]
fn the_search_list_is_gone_through_until_a_name_is_there() {
    let search = vec![name("a.example"), name("b.example")];
    let conf = ResolvConf { search, ..conf(1) };
    let (result, asked) = run(lookup("db", &conf), &|question| match question {
        "A db.b.example" => (RCODE::NoError, vec![a(1)]),
        "AAAA db.b.example" => (RCODE::NoError, vec![]),
        _ => (RCODE::NameError, vec![]),
    });
    assert_eq!(result.unwrap().name, name("db.b.example"));
    assert_eq!(asked.len(), 4);
    let (result, asked) = run(lookup("db", &conf), &|_| (RCODE::NameError, vec![]));
    assert_eq!(result, Err(Failure::NoSuchName(name("db"), None)));
    assert_eq!(asked.len(), 6);
    let (result, asked) = run(lookup("db", &conf), &|_| (RCODE::ServerFailure, vec![]));
    assert_eq!(
        result.unwrap_err().to_string(),
        "no answer for A of db.a.example: 10.0.0.1:53 could not find out (SERVFAIL)"
    );
    assert_eq!(asked.len(), 2, "another domain's name is another name");
    let (result, _) = run(lookup("db.", &conf), &|_| (RCODE::NoError, vec![]));
    let words = "the name db is there, but without what is looked for";
    assert_eq!(result.unwrap_err().to_string(), words);
}

#[test]
fn silent_servers_are_asked_in_turn_and_each_round_is_longer() {
    let conf = conf(2);
    let wanted = Wanted::Addresses(Written::new("api.example").unwrap(), 80);
    let hosts = Hosts::default();
    let mut lookup = Lookup::new(&wanted, Families::Ipv4, &conf, &hosts, Random::seeded(1));
    let mut now = Instant::now();
    let begin = now;
    let mut seen = Vec::new();
    let failure = loop {
        match lookup.next(now) {
            Step::Send { server, .. } => seen.push((server.to_string(), now - begin)),
            Step::Wait { until } => now = until,
            Step::Done(result) => break result.unwrap_err(),
        }
    };
    let turn = |server: u8, after: u32| (format!("10.0.0.{server}:53"), after * SECOND);
    assert_eq!(seen, [turn(1, 0), turn(2, 4), turn(1, 8), turn(2, 12)]);
    let words = "no answer for A of api.example: 10.0.0.2:53 did not answer in 4s";
    assert_eq!(failure.to_string(), words);
}

#[test]
fn a_late_answer_of_a_server_that_was_given_up_counts() {
    let mut lookup = lookup("api.example", &conf(2));
    let now = Instant::now();
    let first = sent(&mut lookup, now);
    let second = sent(&mut lookup, now + 4 * SECOND);
    assert_eq!(second[0].0, "10.0.0.2:53".parse().unwrap());
    for (server, transport, bytes) in first {
        lookup.heard(server, transport, &reply(&bytes, &|_| (RCODE::NoError, vec![a(1)])));
    }
    assert!(matches!(lookup.next(now + 5 * SECOND), Step::Done(Ok(_))));
}

#[test]
fn who_refuses_is_not_asked_again() {
    let mut lookup = lookup("api.example", &conf(2));
    let now = Instant::now();
    for (server, transport, bytes) in sent(&mut lookup, now) {
        lookup.heard(server, transport, &reply(&bytes, &|_| (RCODE::Refused, vec![])));
    }
    let second = "10.0.0.2:53".parse().unwrap();
    for _ in 0..2 {
        let out = sent(&mut lookup, now);
        assert!(out.len() == 2 && out.iter().all(|it| it.0 == second));
        lookup.failed(second, Transport::Udp, "connection refused");
    }
    let Step::Done(Err(Failure::NoAnswer(_, trouble))) = lookup.next(now) else {
        panic!("not done")
    };
    let words = "10.0.0.2:53 was not reached: connection refused";
    assert_eq!(trouble.to_string(), words);
    assert_ne!(trouble.what, What::Refused(Refusal::Refused));
}

#[test]
fn a_cut_answer_is_asked_again_by_tcp_and_formerr_without_edns() {
    let mut lookup = lookup("api.example", &conf(1));
    let now = Instant::now();
    let out = sent(&mut lookup, now);
    let mut cut = Packet::parse(&out[0].2).unwrap().into_reply();
    cut.set_flags(PacketFlag::TRUNCATION);
    lookup.heard(out[0].0, Transport::Udp, &cut.build_bytes_vec().unwrap());
    let bad = reply(&out[1].2, &|_| (RCODE::FormatError, vec![]));
    lookup.heard(out[1].0, Transport::Udp, &bad);
    let again = sent(&mut lookup, now);
    assert_eq!((again[0].1, again[1].1), (Transport::Tcp, Transport::Udp));
    assert!(Packet::parse(&again[0].2).unwrap().opt().is_some());
    assert!(Packet::parse(&again[1].2).unwrap().opt().is_none());
    for (server, transport, bytes) in again {
        lookup.heard(server, transport, &reply(&bytes, &|_| (RCODE::NoError, vec![a(1)])));
    }
    let Step::Done(Ok(answer)) = lookup.next(now) else { panic!("not done") };
    assert_eq!(answer.endpoints.len(), 1);
}

#[test]
fn strangers_are_ignored_and_counted_and_make_it_go_on_by_tcp() {
    let mut lookup = lookup("api.example", &conf(1));
    let now = Instant::now();
    let out = sent(&mut lookup, now);
    let (server, _, bytes) = &out[0];
    let good = reply(bytes, &|_| (RCODE::NoError, vec![a(6)]));
    lookup.heard("10.0.0.66:53".parse().unwrap(), Transport::Udp, &good);
    lookup.heard("10.0.0.1:54".parse().unwrap(), Transport::Udp, &good);
    lookup.heard(*server, Transport::Tcp, &good);
    let mut guess = good.clone();
    guess[0] ^= 1;
    lookup.heard(*server, Transport::Udp, &guess);
    assert_eq!(lookup.strangers(), 4);
    assert_eq!(lookup.next(now), Step::Wait { until: now + 4 * SECOND });
    while lookup.strangers() < DNS_STRANGERS_MAX {
        lookup.heard(*server, Transport::Udp, &guess);
    }
    let again = sent(&mut lookup, now);
    assert!(again.iter().all(|it| it.1 == Transport::Tcp) && again.len() == 2);
}

#[test]
fn wrong_capitals_are_asked_again_by_tcp() {
    let mut lookup = lookup("api.example", &conf(1));
    let now = Instant::now();
    let out = sent(&mut lookup, now);
    let mut packet = Packet::parse(&out[0].2).unwrap().into_reply();
    packet.questions[0].qname = wire::Name::new_unchecked("api.example");
    lookup.heard(out[0].0, Transport::Udp, &packet.build_bytes_vec().unwrap());
    assert_eq!(sent(&mut lookup, now)[0].1, Transport::Tcp);
}

fn srv(priority: u16, weight: u16, target: &str) -> RData<'static> {
    let target = wire::Name::new_unchecked(target).into_owned();
    RData::SRV(SRV { priority, weight, port: 81, target })
}

#[test]
fn targets_without_addresses_are_asked_for() {
    let (result, asked) =
        run(lookup("srv:_http._tcp.x", &conf(1)), &|question| match question {
            "SRV _http._tcp.x" => {
                (RCODE::NoError, vec![srv(1, 5, "a.x"), srv(2, 0, "b.x"), srv(1, 1, "c.x")])
            }
            "A a.x" => (RCODE::NoError, vec![a(1)]),
            "A b.x" => (RCODE::NoError, vec![a(2)]),
            "AAAA a.x" => (RCODE::ServerFailure, vec![]),
            _ => (RCODE::NameError, vec![]),
        });
    let answer = result.unwrap();
    assert_eq!(asked.len(), 7);
    assert_eq!(addresses(&answer), ["10.1.0.1:81", "10.1.0.2:81"]);
    assert_eq!(answer.endpoints[0].weight, Some(5));
    assert_eq!(answer.endpoints[1].priority, 2);
    assert_eq!(answer.unheard, [(name("a.x"), Kind::Aaaa)]);
    let (result, _) = run(lookup("srv:_http._tcp.x", &conf(1)), &|question| match question {
        "SRV _http._tcp.x" => (RCODE::NoError, vec![srv(0, 0, "")]),
        _ => (RCODE::NameError, vec![]),
    });
    assert_eq!(result, Err(Failure::NotOffered(name("_http._tcp.x"))));
}

#[test]
fn many_targets_are_asked_some_at_a_time_and_given_up_together() {
    let conf = conf(1);
    let mut lookup = lookup("srv:_http._tcp.x", &conf);
    let mut now = Instant::now();
    let out = sent(&mut lookup, now);
    let targets: Vec<RData<'static>> =
        (0..300).map(|n| srv(0, 0, &format!("h{n}.x"))).collect();
    let all = reply(&out[0].2, &|_| (RCODE::NoError, targets.clone()));
    lookup.heard(out[0].0, Transport::Udp, &all);
    let out = sent(&mut lookup, now);
    assert_eq!(out.len(), DNS_QUESTIONS_AT_ONCE);
    for (server, transport, bytes) in &out[..4] {
        lookup.heard(*server, *transport, &reply(bytes, &|_| (RCODE::NoError, vec![a(1)])));
    }
    let mut questions = 0;
    let result = loop {
        match lookup.next(now) {
            Step::Send { .. } => questions += 1,
            Step::Wait { until } => now = until,
            Step::Done(result) => break result,
        }
    };
    assert_eq!(questions, 4 + 16, "none of the other 492 once the server is dead");
    let answer = result.unwrap();
    assert_eq!(answer.endpoints.len(), 2);
    assert_eq!(answer.left_out, 300 - DNS_TARGETS_ASKED_MAX);
}

#[test]
fn what_hosts_knows_is_not_asked_for() {
    let hosts = Hosts::read(b"10.1.0.9 db\n::9 db\n");
    let wanted = Wanted::Addresses(Written::new("db").unwrap(), 5432);
    let mut lookup = Lookup::new(&wanted, Families::Ipv6, &conf(1), &hosts, Random::seeded(1));
    let Step::Done(Ok(answer)) = lookup.next(Instant::now()) else { panic!("not done") };
    assert_eq!(addresses(&answer), ["[::9]:5432"]);
}

#[test]
fn whatever_servers_do_every_look_up_ends() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let conf = conf(random.usize(1..4));
        let wanted = if random.bool() { "api.example" } else { "srv:_http._tcp.x" };
        let mut lookup = lookup(wanted, &conf);
        let mut now = Instant::now();
        let mut messages = 0;
        let mut old = Vec::new();
        loop {
            match lookup.next(now) {
                Step::Send { server, transport, bytes } => {
                    messages += 1;
                    let skip = if transport == Transport::Tcp { 2 } else { 0 };
                    old.push((server, transport, bytes[skip..].to_vec()));
                }
                Step::Wait { until } => now = until.min(now + SECOND),
                Step::Done(_) => break,
            }
            let Some((server, transport, bytes)) = random.choice(&old).cloned() else {
                continue;
            };
            let rcode = random.choice([RCODE::NoError, RCODE::ServerFailure, RCODE::NameError]);
            let records = vec![srv(0, 1, "a.x"), a(1), aaaa(1)];
            let records = if random.bool() { records } else { Vec::new() };
            let rcode = rcode.unwrap();
            let mut message = reply(&bytes, &|_| (rcode, records.clone()));
            match random.u8(..8) {
                0 => message[2] |= 2,
                1 => lookup.failed(server, transport, "reset"),
                2..5 => {
                    let at = random.usize(..message.len());
                    message[at] = random.u8(..);
                }
                5 => continue,
                _ => {}
            }
            lookup.heard(server, transport, &message);
        }
        assert!(messages < 200, "seed {seed}: {messages} messages");
    }
}
