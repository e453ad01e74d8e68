//! Who an event, a timer or a place in the run queue belongs to, packed into one word.
//!
//! ```text
//!      63   60 59                    32 31                               0
//!     +-------+------------------------+----------------------------------+
//!     | kind  |       generation       |              index               |
//!     +-------+------------------------+----------------------------------+
//! ```
//!
//! Listeners and probes have an [`Id`](super::id::Id) in the place of the index, which says by
//! itself who they are; a probe's generation counts its runs.

use super::id::{ListenerId, ProbeId};
use super::key::{GENERATION_BITS, Generation, Key};

const INDEX_BITS: u32 = 32;

// because: mio's token is a usize, and the packing needs all of its 64 bits.
const _: () = assert!(usize::BITS == 64, "pointsman needs a 64-bit machine");

/// Work that belongs to the process and not to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Chore {
    /// The time to let connections finish is over.
    Drain,
    /// A step of the slow-start ramps.
    Ramp,
    /// A backend that was ejected may come back.
    Return,
    /// Idle connections to backends may have waited for too long.
    Idle,
    /// The log could not be written when it was asked to.
    Log,
    /// The demo's table.
    Status,
    /// Certificates may come near their end.
    Certificates,
    /// Flows of UDP may have been idle for too long.
    Flows,
    /// A client may rest, and give way to one that waits to be accepted.
    Room,
    /// More pipes are free than anybody needs.
    Pipes,
    /// Connections to backends have lived for long enough to be worth keepalive.
    Keepalive,
    /// Connections to backends that were told to go have had their time.
    Deadlines,
    /// Servers that registered themselves may be silent for too long.
    Registrations,
    /// What survives a restart is to be saved.
    State,
    /// A second is over, and what was counted in it is recorded.
    History,
    /// The service manager is to be told something once more.
    Notice,
    /// The service manager is to see that the loop turns.
    Alive,
    /// A name is to be looked up, or a server of names has been silent for too long.
    Names,
    /// Clients have waited for names for long enough.
    Open,
    /// A handover to a new process has had its time, or that is to be told what was counted.
    Takeover,
}

/// Everybody who can own an event, a timer or a place in the run queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A listener: its socket, or the end of its pause.
    Listener(ListenerId),
    /// A pair; as a token, its client's socket.
    Pair(Key),
    /// A backend connection.
    Connection(Key),
    /// A probe; as a token, the socket of this one of its runs.
    Probe(ProbeId, Generation),
    /// The process's signals.
    Signals,
    /// The process itself.
    Chore(Chore),
    /// A flow of UDP; as a token, its socket towards the backend.
    Flow(Key),
    /// The end of a sleep: see [`super::alarm`].
    Alarm,
    /// A copy of a request; as a token, its socket towards the backend.
    Mirror(Key),
    /// An admin connection; as a token, its socket.
    Admin(Key),
    /// A listener for admin connections.
    AdminListener(Key),
    /// The socket for heartbeats in datagrams.
    Heartbeats,
    /// A look-up's socket to a server of names.
    Line(Key),
    /// The socket of a process that takes our place.
    Takeover,
    /// The socket of a process whose place we took.
    Tail(Key),
}

impl Chore {
    const ALL: [Chore; 20] = [
        Chore::Drain,
        Chore::Ramp,
        Chore::Return,
        Chore::Idle,
        Chore::Log,
        Chore::Status,
        Chore::Certificates,
        Chore::Flows,
        Chore::Room,
        Chore::Pipes,
        Chore::Keepalive,
        Chore::Deadlines,
        Chore::Registrations,
        Chore::State,
        Chore::History,
        Chore::Notice,
        Chore::Alive,
        Chore::Names,
        Chore::Open,
        Chore::Takeover,
    ];
}

impl Owner {
    /// One word that says it all.
    pub fn pack(self) -> u64 {
        let (kind, index, generation) = match self {
            Owner::Listener(id) => (0, id.bits(), 0),
            Owner::Pair(key) => (1, key.index, key.generation.bits()),
            Owner::Connection(key) => (2, key.index, key.generation.bits()),
            Owner::Probe(id, run) => (3, id.bits(), run.bits()),
            Owner::Signals => (4, 0, 0),
            Owner::Chore(chore) => (5, chore as u32, 0),
            Owner::Flow(key) => (6, key.index, key.generation.bits()),
            Owner::Alarm => (7, 0, 0),
            Owner::Mirror(key) => (8, key.index, key.generation.bits()),
            Owner::Admin(key) => (9, key.index, key.generation.bits()),
            Owner::AdminListener(key) => (10, key.index, key.generation.bits()),
            Owner::Heartbeats => (11, 0, 0),
            Owner::Line(key) => (12, key.index, key.generation.bits()),
            Owner::Takeover => (13, 0, 0),
            Owner::Tail(key) => (14, key.index, key.generation.bits()),
        };
        kind << (INDEX_BITS + GENERATION_BITS) | generation << INDEX_BITS | u64::from(index)
    }

    /// The reverse of [`Owner::pack`]; `None` for a word that nobody packed.
    pub fn unpack(word: u64) -> Option<Owner> {
        let index = word as u32;
        let key = || Some(Key { index, generation: Generation::of(word >> INDEX_BITS)? });
        Some(match word >> (INDEX_BITS + GENERATION_BITS) {
            0 => Owner::Listener(ListenerId::from_bits(index)?),
            1 => Owner::Pair(key()?),
            2 => Owner::Connection(key()?),
            3 => Owner::Probe(ProbeId::from_bits(index)?, Generation::of(word >> INDEX_BITS)?),
            4 => Owner::Signals,
            5 => Owner::Chore(*Chore::ALL.get(index as usize)?),
            6 => Owner::Flow(key()?),
            7 => Owner::Alarm,
            8 => Owner::Mirror(key()?),
            9 => Owner::Admin(key()?),
            10 => Owner::AdminListener(key()?),
            11 => Owner::Heartbeats,
            12 => Owner::Line(key()?),
            13 => Owner::Takeover,
            14 => Owner::Tail(key()?),
            _ => return None,
        })
    }
}

impl From<Owner> for mio::Token {
    fn from(owner: Owner) -> mio::Token {
        mio::Token(owner.pack() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> Generation {
        Generation::of((1 << GENERATION_BITS) - 1).expect("not zero")
    }

    #[test]
    fn pitfall_24_every_owner_survives_packing() {
        let keys = [
            Key { index: 0, generation: Generation::FIRST },
            Key { index: 7, generation: Generation::FIRST.next().next() },
            Key { index: u32::MAX, generation: last() },
        ];
        let mut owners = vec![Owner::Signals, Owner::Alarm, Owner::Heartbeats, Owner::Takeover];
        owners.extend(Chore::ALL.map(Owner::Chore));
        for key in keys {
            owners.extend([Owner::Pair(key), Owner::Connection(key)]);
            owners.extend([Owner::Flow(key), Owner::Mirror(key)]);
            owners.extend([Owner::Admin(key), Owner::AdminListener(key)]);
            owners.extend([Owner::Line(key), Owner::Tail(key)]);
        }
        for (bits, run) in [(1 << 31, Generation::FIRST), (u32::MAX, last())] {
            let id = ProbeId::from_bits(bits).expect("an id");
            owners.push(Owner::Probe(id, run));
            owners.extend(ListenerId::from_bits(bits).map(Owner::Listener));
        }
        for owner in owners {
            assert_eq!(Owner::unpack(owner.pack()), Some(owner));
        }
    }

    #[test]
    fn words_that_nobody_packed_have_no_owner() {
        for word in [u64::MAX, 0, 15 << 60, 5 << 60 | Chore::ALL.len() as u64] {
            assert_eq!(Owner::unpack(word), None, "{word:#x}");
        }
    }
}
