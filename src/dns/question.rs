//! A question, as it goes out: a random id, random capitals in the name, EDNS0.
//!
//! ```text
//!   id  flags: RD  1 question, 1 additional | aPi.EXamPle  A  IN | OPT: 1232 bytes
//! ```
//!
//! The capitals ("0x20") come back in the echo of the question: some bits more to be guessed by
//! whoever forges an answer.

use std::fmt;

use simple_dns::rdata::OPT;
use simple_dns::{self as wire, CLASS, Packet, PacketFlag, QCLASS, QTYPE, TYPE};

use super::{Name, Random};
use crate::limits::DNS_DATAGRAM_BYTES;

/// What is asked of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Its IPv4 addresses.
    A,
    /// Its IPv6 addresses.
    Aaaa,
    /// Its services: host, port, priority, weight.
    Srv,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// Of which name.
    pub name: Name,
    /// What of it.
    pub kind: Kind,
}

/// A question that goes out, and what its answer must bring back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What is asked.
    pub question: Question,
    /// Random, for this one.
    pub id: u16,
    /// The name with its random capitals.
    pub spelled: Box<str>,
    /// Whether EDNS0 goes along; servers are left that know nothing of it.
    pub with_edns: bool,
}

impl Kind {
    pub(super) fn on_wire(self) -> TYPE {
        match self {
            Kind::A => TYPE::A,
            Kind::Aaaa => TYPE::AAAA,
            Kind::Srv => TYPE::SRV,
        }
    }
}

impl Query {
    /// Of this question, with what is random drawn.
    pub fn new(question: Question, with_edns: bool, random: &mut Random) -> Query {
        let id = (random.bits() >> 48) as u16;
        let spelled = spelled(question.name.as_str(), random);
        Query { question, id, spelled, with_edns }
    }

    /// The message, as a datagram has it.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let mut packet = Packet::new_query(self.id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = wire::Name::new(&self.spelled).map_err(|error| error.to_string())?;
        let kind = QTYPE::TYPE(self.question.kind.on_wire());
        let class = QCLASS::CLASS(CLASS::IN);
        packet.questions.push(wire::Question::new(name, kind, class, false));
        if self.with_edns {
            let size = DNS_DATAGRAM_BYTES;
            *packet.opt_mut() =
                Some(OPT { opt_codes: Vec::new(), udp_packet_size: size, version: 0 });
        }
        packet.build_bytes_vec().map_err(|error| error.to_string())
    }
}

/// The name with capitals by chance.
fn spelled(name: &str, random: &mut Random) -> Box<str> {
    let mut bits = 0;
    let letters = name.chars().enumerate().map(|(index, letter)| {
        if index % 64 == 0 {
            bits = random.bits();
        }
        if bits >> (index % 64) & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
    });
    letters.collect::<String>().into_boxed_str()
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.kind, self.name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
            Kind::Srv => "SRV",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DNS_QUESTION_BYTES_MAX;

    fn question(name: &str, kind: Kind) -> Question {
        Question { name: Name::new(name).unwrap(), kind }
    }

    #[test]
    fn a_question_has_an_id_its_name_and_edns() {
        let query = Query {
            question: question("api.example", Kind::Srv),
            id: 0x1234,
            spelled: "aPi.example".into(),
            with_edns: true,
        };
        let bytes = query.bytes().unwrap();
        let mut want = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01".to_vec();
        want.extend(b"\x03aPi\x07example\0\0\x21\0\x01");
        want.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
        assert_eq!(bytes.escape_ascii().to_string(), want.escape_ascii().to_string());
    }

    #[test]
    fn ids_and_capitals_are_drawn_each_time() {
        let mut random = Random::System;
        let mut ask =
            || Query::new(question("some.long.name.example", Kind::A), true, &mut random);
        let several: Vec<Query> = (0..8).map(|_| ask()).collect();
        assert!(several.iter().any(|query| query.id != several[0].id));
        assert!(several.iter().any(|query| query.spelled != several[0].spelled));
        let is_same = |query: &Query| query.spelled.to_lowercase() == "some.long.name.example";
        assert!(several.iter().all(is_same));
    }

    #[test]
    fn the_longest_name_fits() {
        let name = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
        let query = Query::new(question(&name, Kind::Aaaa), true, &mut Random::System);
        assert_eq!(query.bytes().unwrap().len(), DNS_QUESTION_BYTES_MAX);
    }
}
