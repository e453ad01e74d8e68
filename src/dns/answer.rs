//! What a message says to a question of ours, or that it is no answer to it.
//!
//! ```text
//!   id, echo of the question     no: a stranger's, ignored by whoever asked
//!   TC                           cut: the same by TCP
//!   rcode                        NXDOMAIN: no such name; SERVFAIL, REFUSED, ...: refused
//!   api.example  CNAME  a.example        aliases, from the name that was asked on
//!   a.example    A      10.0.0.1         what is looked for, of the last of them
//!   sites.example A     6.6.6.6          not asked for: not looked at
//! ```

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{
    self as wire, CLASS, OPCODE, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord,
};

use super::question::{Kind, Query};
use super::{Name, effort, name};
use crate::limits::{DNS_ALIASES_MAX, DNS_RECORDS_MAX};

/// What a server says to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// These are its addresses, at least one, each once.
    Addresses(Vec<IpAddr>, Duration),
    /// These are its services, at least one.
    Services(Vec<Service>, Duration),
    /// The name is there, but nothing of this kind. Good for so long, where it says that.
    Nothing(Option<Duration>),
    /// There is no such name. Good for so long, where it says that.
    NoName(Option<Duration>),
    /// It says that there is no such service here: the root as the only target.
    NotOffered(Duration),
    /// The answer did not fit into a datagram.
    Cut,
    /// It does not answer this.
    Refused(Refusal),
}

/// One service of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The lowest is used as long as there is one.
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
    /// Where it listens.
    pub port: u16,
    /// On which host.
    pub target: Name,
    /// The host's addresses, where they came along.
    pub addresses: Vec<IpAddr>,
}

/// Why a server does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// FORMERR: mostly one that knows nothing of EDNS0.
    NotUnderstood,
    /// SERVFAIL: it did not find out.
    Failed,
    /// NOTIMP.
    NotImplemented,
    /// REFUSED: not for us.
    Refused,
    /// Any other.
    Other,
}

/// Why a message is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It has nothing to do with the question: another id, no response, another name.
    Stranger,
    /// All is right but the capitals of the name: forged, or of a server that forgets them.
    Capitals,
    /// It is of the server that was asked, and cannot be read.
    Bad(Fault),
}

/// Why a message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its bytes are no message of DNS.
    Garbled,
    /// It announces so many records.
    TooManyRecords(usize),
    /// Its names point back and back again.
    Pointers,
    /// Its aliases are too many, or go round.
    Aliases,
    /// An alias to what is no name of a host.
    AliasName(name::Why),
    /// Cut, though it came by TCP.
    CutByTcp,
}

/// Reads a message as the answer to this question.
pub fn read(query: &Query, message: &[u8], by_tcp: bool) -> Result<Said, Wrong> {
    let is_ours = message.get(..2) == Some(query.id.to_be_bytes().as_slice());
    if !is_ours || message.get(2).is_none_or(|flags| flags & 0x80 == 0) {
        return Err(Wrong::Stranger);
    }
    check_work(message).map_err(Wrong::Bad)?;
    let packet = Packet::parse(message).map_err(|_| Wrong::Bad(Fault::Garbled))?;
    if packet.opcode() != OPCODE::StandardQuery {
        return Err(Wrong::Stranger);
    }
    let refusal = refusal(packet.rcode());
    if packet.questions.is_empty() && refusal.is_some() {
        // Who did not understand a question need not echo it.
        return refusal.map(Said::Refused).ok_or(Wrong::Stranger);
    }
    check_echo(query, &packet.questions, by_tcp)?;
    if let Some(refusal) = refusal {
        return Ok(Said::Refused(refusal));
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return if by_tcp { Err(Wrong::Bad(Fault::CutByTcp)) } else { Ok(Said::Cut) };
    }
    let negative = negative_ttl(&packet.name_servers);
    if packet.rcode() == RCODE::NameError {
        return Ok(Said::NoName(negative));
    }
    records(query, &packet, negative).map_err(Wrong::Bad)
}

/// The parser makes room for as many as are announced, and follows every pointer: not for more
/// than the bytes can hold, nor for ever.
fn check_work(message: &[u8]) -> Result<(), Fault> {
    let head: &[u8; 12] = message.first_chunk().ok_or(Fault::Garbled)?;
    let count = |at: usize| usize::from(u16::from_be_bytes([head[at], head[at + 1]]));
    let questions = count(4);
    let records = count(6) + count(8) + count(10);
    if questions + records > DNS_RECORDS_MAX {
        return Err(Fault::TooManyRecords(questions + records));
    }
    // A record has at least a root, type, class, TTL and length; a question less.
    let least = questions * 5 + records * 11;
    if least > message.len() - head.len() {
        return Err(Fault::Garbled);
    }
    match effort::is_little(message, questions, records) {
        None => Err(Fault::Garbled),
        Some(false) => Err(Fault::Pointers),
        Some(true) => Ok(()),
    }
}

/// Whether the question came back, to the capital.
fn check_echo(
    query: &Query,
    questions: &[wire::Question<'_>],
    by_tcp: bool,
) -> Result<(), Wrong> {
    let [echo] = questions else { return Err(Wrong::Stranger) };
    let is_kind = echo.qtype == QTYPE::TYPE(query.question.kind.on_wire())
        && echo.qclass == wire::QCLASS::CLASS(CLASS::IN);
    let is_name = Name::of_labels(echo.qname.as_bytes()).as_ref() == Ok(&query.question.name);
    if !is_kind || !is_name {
        return Err(Wrong::Stranger);
    }
    let is_spelled = echo.qname.as_bytes().eq(query.spelled.split('.').map(str::as_bytes));
    // Nobody guesses his way into a connection.
    if is_spelled || by_tcp { Ok(()) } else { Err(Wrong::Capitals) }
}

fn refusal(rcode: RCODE) -> Option<Refusal> {
    match rcode {
        RCODE::NoError | RCODE::NameError => None,
        RCODE::FormatError => Some(Refusal::NotUnderstood),
        RCODE::ServerFailure => Some(Refusal::Failed),
        RCODE::NotImplemented => Some(Refusal::NotImplemented),
        RCODE::Refused => Some(Refusal::Refused),
        _ => Some(Refusal::Other),
    }
}

/// How long it is good that there is nothing (RFC 2308).
fn negative_ttl(authority: &[ResourceRecord<'_>]) -> Option<Duration> {
    authority.iter().find_map(|record| match &record.rdata {
        RData::SOA(soa) => Some(seconds(record.ttl).min(seconds(soa.minimum))),
        _ => None,
    })
}

/// A TTL; one with the highest bit is none (RFC 2181).
fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(if ttl > i32::MAX as u32 { 0 } else { u64::from(ttl) })
}

/// What the records say of the name and of its aliases.
fn records(
    query: &Query,
    packet: &Packet<'_>,
    negative: Option<Duration>,
) -> Result<Said, Fault> {
    let mut of_name: HashMap<Name, Vec<&ResourceRecord<'_>>> = HashMap::new();
    for record in packet.answers.iter().filter(|record| record.class == CLASS::IN) {
        if let Ok(name) = Name::of_labels(record.name.as_bytes()) {
            of_name.entry(name).or_default().push(record);
        }
    }
    let mut name = query.question.name.clone();
    let mut ttl = Duration::MAX;
    for _ in 0..=DNS_ALIASES_MAX {
        let records = of_name.get(&name).map_or(&[][..], Vec::as_slice);
        let found = match query.question.kind {
            Kind::A | Kind::Aaaa => addresses(query.question.kind, records, ttl),
            Kind::Srv => services(records, &packet.additional_records, ttl),
        };
        if let Some(found) = found {
            return Ok(found);
        }
        let alias = records.iter().find_map(|record| match &record.rdata {
            RData::CNAME(alias) => Some((alias, record.ttl)),
            _ => None,
        });
        let Some((alias, alias_ttl)) = alias else { return Ok(Said::Nothing(negative)) };
        ttl = ttl.min(seconds(alias_ttl));
        name = Name::of_labels(alias.0.as_bytes()).map_err(Fault::AliasName)?;
    }
    Err(Fault::Aliases)
}

fn address(rdata: &RData<'_>) -> Option<IpAddr> {
    match rdata {
        RData::A(record) => Some(Ipv4Addr::from_bits(record.address).into()),
        RData::AAAA(record) => Some(Ipv6Addr::from_bits(record.address).into()),
        _ => None,
    }
}

fn addresses(kind: Kind, records: &[&ResourceRecord<'_>], ttl: Duration) -> Option<Said> {
    let mut ttl = ttl;
    let mut found = Vec::new();
    for record in records {
        if let Some(address) = address(&record.rdata)
            && address.is_ipv4() == (kind == Kind::A)
        {
            ttl = ttl.min(seconds(record.ttl));
            found.push(address);
        }
    }
    found.sort_unstable();
    found.dedup();
    (!found.is_empty()).then_some(Said::Addresses(found, ttl))
}

/// The services among these records, with the addresses that came along.
fn services(
    records: &[&ResourceRecord<'_>],
    additional: &[ResourceRecord<'_>],
    ttl: Duration,
) -> Option<Said> {
    let mut ttl = ttl;
    let mut found = Vec::new();
    let mut has_root = false;
    for record in records {
        let RData::SRV(srv) = &record.rdata else { continue };
        ttl = ttl.min(seconds(record.ttl));
        has_root |= srv.target.get_labels().is_empty();
        // Neither port 0 nor what is no host can be connected to.
        if let Ok(target) = Name::of_labels(srv.target.as_bytes())
            && srv.port != 0
        {
            found.push(Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target,
                addresses: Vec::new(),
            });
        }
    }
    if found.is_empty() {
        return has_root.then_some(Said::NotOffered(ttl));
    }
    let mut known: HashMap<Name, Vec<IpAddr>> = HashMap::new();
    for record in additional.iter().filter(|record| record.class == CLASS::IN) {
        if let Some(address) = address(&record.rdata)
            && let Ok(name) = Name::of_labels(record.name.as_bytes())
        {
            ttl = ttl.min(seconds(record.ttl));
            known.entry(name).or_default().push(address);
        }
    }
    for addresses in known.values_mut() {
        addresses.sort_unstable();
        addresses.dedup();
    }
    for service in &mut found {
        service.addresses = known.get(&service.target).cloned().unwrap_or_default();
    }
    Some(Said::Services(found, ttl))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NotUnderstood => "did not understand the question (FORMERR)",
            Refusal::Failed => "could not find out (SERVFAIL)",
            Refusal::NotImplemented => "does not answer such questions (NOTIMP)",
            Refusal::Refused => "does not answer us (REFUSED)",
            Refusal::Other => "answered with an error that is not of such a question",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Garbled => f.write_str("sent what is no message of DNS"),
            Fault::TooManyRecords(count) => {
                write!(f, "sent {count} records, at most {DNS_RECORDS_MAX} are read")
            }
            Fault::Pointers => f.write_str("sent names that only lead to other names"),
            Fault::Aliases => {
                write!(f, "sent aliases that go round or are more than {DNS_ALIASES_MAX}")
            }
            Fault::AliasName(why) => write!(f, "sent an alias that is no host: {why}"),
            Fault::CutByTcp => f.write_str("sent an answer that is cut, though by TCP"),
        }
    }
}

#[cfg(test)]
mod tests;
