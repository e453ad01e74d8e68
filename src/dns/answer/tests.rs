//! Messages that a server might send, and some that none should.

use simple_dns::TYPE;
use simple_dns::rdata::{A, AAAA, CNAME, SOA, SRV};

use super::super::Random;
use super::super::question::Question;
use super::*;

fn query(name: &str, kind: Kind) -> Query {
    let question = Question { name: Name::new(name).unwrap(), kind };
    Query::new(question, true, &mut Random::seeded(1))
}

fn record<'a>(name: &'a str, ttl: u32, rdata: RData<'a>) -> ResourceRecord<'a> {
    ResourceRecord::new(wire::Name::new_unchecked(name), CLASS::IN, ttl, rdata)
}

fn a(text: &str) -> RData<'static> {
    RData::A(A { address: text.parse::<Ipv4Addr>().unwrap().to_bits() })
}

fn aaaa(text: &str) -> RData<'static> {
    RData::AAAA(AAAA { address: text.parse::<Ipv6Addr>().unwrap().to_bits() })
}

fn cname(to: &str) -> RData<'_> {
    RData::CNAME(CNAME(wire::Name::new_unchecked(to)))
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> RData<'_> {
    RData::SRV(SRV { priority, weight, port, target: wire::Name::new_unchecked(target) })
}

fn soa(minimum: u32) -> RData<'static> {
    let name = || wire::Name::new_unchecked("ns.example");
    RData::SOA(SOA {
        mname: name(),
        rname: name(),
        serial: 1,
        refresh: 1,
        retry: 1,
        expire: 1,
        minimum,
    })
}

/// A reply to the query, not yet with records.
fn reply(query: &Query) -> Packet<'_> {
    let mut packet = Packet::new_reply(query.id);
    let kind = QTYPE::TYPE(query.question.kind.on_wire());
    let name = wire::Name::new_unchecked(&query.spelled);
    let class = wire::QCLASS::CLASS(CLASS::IN);
    packet.questions.push(wire::Question::new(name, kind, class, false));
    packet
}

fn bytes(packet: &Packet<'_>) -> Vec<u8> {
    packet.build_bytes_vec_compressed().unwrap()
}

fn said(query: &Query, packet: &Packet<'_>) -> Result<Said, Wrong> {
    read(query, &bytes(packet), false)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn addresses_of_the_name_and_of_its_aliases_are_taken_and_no_others() {
    let query = query("api.example", Kind::A);
    let mut packet = reply(&query);
    packet.answers.push(record("API.example", 60, cname("b.example")));
    packet.answers.push(record("c.example", 30, a("10.0.0.2")));
    packet.answers.push(record("sites.example", 1, a("6.6.6.6")));
    packet.answers.push(record("c.example", 40, a("10.0.0.1")));
    packet.answers.push(record("c.example", 40, a("10.0.0.1")));
    packet.answers.push(record("c.example", 2, aaaa("::1")));
    packet.answers.push(record("b.example", 50, cname("C.example")));
    let addresses = vec![ip("10.0.0.1"), ip("10.0.0.2")];
    assert_eq!(
        said(&query, &packet),
        Ok(Said::Addresses(addresses, Duration::from_secs(30))),
        "the shortest TTL of those that count"
    );
}

#[test]
fn aliases_that_go_round_are_an_error() {
    let query = query("api.example", Kind::Aaaa);
    let mut packet = reply(&query);
    packet.answers.push(record("api.example", 60, cname("b.example")));
    packet.answers.push(record("b.example", 60, cname("api.example")));
    let wrong = said(&query, &packet).unwrap_err();
    assert_eq!(wrong, Wrong::Bad(Fault::Aliases));
    let Wrong::Bad(fault) = wrong else { unreachable!() };
    assert_eq!(fault.to_string(), "sent aliases that go round or are more than 12");
    packet.answers[0] = record("api.example", 60, cname("a b.example"));
    assert_eq!(said(&query, &packet), Err(Wrong::Bad(Fault::AliasName(name::Why::Byte(b' ')))));
}

#[test]
fn nothing_and_no_such_name_are_told_apart() {
    let query = query("api.example", Kind::A);
    let mut packet = reply(&query);
    assert_eq!(said(&query, &packet), Ok(Said::Nothing(None)));
    packet.name_servers.push(record("example", 60, soa(5)));
    let ttl = Some(Duration::from_secs(5));
    assert_eq!(said(&query, &packet), Ok(Said::Nothing(ttl)));
    packet.answers.push(record("api.example", 60, cname("b.example")));
    assert_eq!(said(&query, &packet), Ok(Said::Nothing(ttl)));
    *packet.rcode_mut() = RCODE::NameError;
    assert_eq!(said(&query, &packet), Ok(Said::NoName(ttl)));
}

#[test]
fn refusals_have_their_words() {
    let query = query("api.example", Kind::A);
    let table = [
        (RCODE::ServerFailure, Refusal::Failed, "could not find out (SERVFAIL)"),
        (RCODE::Refused, Refusal::Refused, "does not answer us (REFUSED)"),
        (RCODE::NotImplemented, Refusal::NotImplemented, "such questions (NOTIMP)"),
        (RCODE::FormatError, Refusal::NotUnderstood, "the question (FORMERR)"),
        (RCODE::YXDOMAIN, Refusal::Other, "an error that is not of such a question"),
    ];
    for (rcode, refusal, words) in table {
        let mut packet = reply(&query);
        *packet.rcode_mut() = rcode;
        assert_eq!(said(&query, &packet), Ok(Said::Refused(refusal)));
        assert!(refusal.to_string().ends_with(words));
        packet.questions.clear();
        assert_eq!(said(&query, &packet), Ok(Said::Refused(refusal)), "without an echo");
    }
}

#[test]
fn a_cut_answer_is_asked_for_by_tcp() {
    let query = query("api.example", Kind::A);
    let mut packet = reply(&query);
    packet.set_flags(PacketFlag::TRUNCATION);
    packet.answers.push(record("api.example", 60, a("10.0.0.1")));
    assert_eq!(said(&query, &packet), Ok(Said::Cut));
    assert_eq!(read(&query, &bytes(&packet), true), Err(Wrong::Bad(Fault::CutByTcp)));
}

#[test]
fn what_is_not_the_answer_is_a_stranger_s() {
    let query = query("api.example", Kind::A);
    let mut other = query.clone();
    other.id ^= 1;
    assert_eq!(said(&query, &reply(&other)), Err(Wrong::Stranger));
    assert_eq!(read(&query, &query.bytes().unwrap(), false), Err(Wrong::Stranger));
    let mut packet = reply(&query);
    packet.questions[0].qtype = QTYPE::TYPE(TYPE::AAAA);
    assert_eq!(said(&query, &packet), Err(Wrong::Stranger));
    packet.questions.clear();
    assert_eq!(said(&query, &packet), Err(Wrong::Stranger));
    let mut packet = reply(&query);
    packet.questions[0].qname = wire::Name::new_unchecked("abi.example");
    assert_eq!(said(&query, &packet), Err(Wrong::Stranger));
    packet.questions[0].qname = wire::Name::new_unchecked("api.example");
    assert_ne!(&*query.spelled, "api.example");
    assert_eq!(said(&query, &packet), Err(Wrong::Capitals));
    assert_eq!(read(&query, &bytes(&packet), true), Ok(Said::Nothing(None)));
    for message in [&b""[..], b"\0", &query.id.to_be_bytes()] {
        assert_eq!(read(&query, message, false), Err(Wrong::Stranger));
    }
}

#[test]
fn services_have_the_addresses_that_came_along() {
    let query = query("_http._tcp.example", Kind::Srv);
    let mut packet = reply(&query);
    packet.answers.push(record("_http._tcp.example", 9, srv(1, 5, 80, "a.example")));
    packet.answers.push(record("_http._tcp.example", 9, srv(2, 0, 81, "B.example")));
    packet.answers.push(record("_http._tcp.example", 9, srv(2, 0, 0, "c.example")));
    packet.additional_records.push(record("a.example", 8, aaaa("::1")));
    packet.additional_records.push(record("A.example", 8, a("10.0.0.1")));
    let service = |priority, weight, port, target, addresses| Service {
        priority,
        weight,
        port,
        target: Name::new(target).unwrap(),
        addresses,
    };
    let services = vec![
        service(1, 5, 80, "a.example", vec![ip("10.0.0.1"), ip("::1")]),
        service(2, 0, 81, "b.example", vec![]),
    ];
    let ttl = Duration::from_secs(8);
    assert_eq!(said(&query, &packet), Ok(Said::Services(services, ttl)));
    packet.answers = vec![record("_http._tcp.example", 9, srv(0, 0, 0, ""))];
    assert_eq!(said(&query, &packet), Ok(Said::NotOffered(Duration::from_secs(9))));
}

#[test]
fn a_message_that_announces_more_than_it_has_is_garbled() {
    let query = query("api.example", Kind::A);
    let mut message = bytes(&reply(&query));
    message[6..8].copy_from_slice(&[0x0f, 0xff]);
    assert_eq!(read(&query, &message, true), Err(Wrong::Bad(Fault::Garbled)));
    message[6..8].copy_from_slice(&[0xff, 0xff]);
    let fault = Fault::TooManyRecords(65_536);
    assert_eq!(read(&query, &message, true), Err(Wrong::Bad(fault)));
    assert_eq!(fault.to_string(), "sent 65536 records, at most 4096 are read");
}

#[test]
fn a_thousand_addresses_are_one_answer() {
    let query = query("api.example", Kind::A);
    let mut packet = reply(&query);
    for number in 0..1000_u32 {
        let rdata = RData::A(A { address: 0x0a00_0000 + number });
        packet.answers.push(record("api.example", 7, rdata));
    }
    let Ok(Said::Addresses(addresses, _)) = read(&query, &bytes(&packet), true) else {
        panic!("no addresses")
    };
    assert_eq!(addresses.len(), 1000);
}

#[test]
fn no_bytes_make_a_panic() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let query = query("_http._tcp.example", Kind::Srv);
    let mut packet = reply(&query);
    packet.answers.push(record("_http._tcp.example", 9, cname("x.example")));
    packet.answers.push(record("x.example", 9, srv(1, 5, 80, "a.example")));
    packet.name_servers.push(record("example", 60, soa(5)));
    packet.additional_records.push(record("a.example", 8, aaaa("::1")));
    *packet.opt_mut() =
        Some(simple_dns::rdata::OPT { opt_codes: vec![], udp_packet_size: 1232, version: 0 });
    let whole = bytes(&packet);
    for end in 0..whole.len() {
        assert!(read(&query, &whole[..end], false).is_err(), "cut at {end}");
    }
    for _ in 0..30_000 {
        let mut message = whole.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(2..message.len());
            message[at] = random.u8(..);
        }
        message.truncate(random.usize(message.len() / 2..=message.len()));
        let _ = read(&query, &message, random.bool());
        let mut message: Vec<u8> = (0..random.usize(..200)).map(|_| random.u8(..)).collect();
        if message.len() > 12 {
            message[..2].copy_from_slice(&query.id.to_be_bytes());
            message[2..12].copy_from_slice(&[0x80, 0, 0, 1, 0, random.u8(..4), 0, 0, 0, 1]);
        }
        let _ = read(&query, &message, random.bool());
    }
}
