//! The pump between sockets that say whatever they like: it comes to an end all the same. And
//! between two that say only what they must: it does not rest before that.

use std::io::IoSlice;

use crate::limits::{BYTES_PER_DIRECTION_PER_TURN, PATIENT_BYTES_MIN, PIPE_BYTES};
use crate::net::{BufferPool, Buffers, Fault, Pipe, PipePool, Received, Sent, Socket, Wake};
use crate::relay::duplex::{Begun, Duplex, Outcome};
use crate::relay::pump::{Direction, DirectionState, Pumped};

/// A socket that can always be read and always be written, if one believes it, and keeps
/// saying the same. It gives up on who does not give up on it.
struct Liar {
    says: Received,
    takes: Sent,
    /// It has sealed some of what it does not say to have sent.
    owes: bool,
    patience: usize,
}

impl Liar {
    fn new(says: Received, takes: Sent) -> Liar {
        Liar { says, takes, owes: false, patience: 2_000 }
    }

    fn be_asked(&mut self) {
        self.patience -= 1;
        assert!(self.patience > 0, "asked for ever: {:?}, {:?}", self.says, self.takes);
    }
}

impl Socket for Liar {
    fn can_splice(&self) -> bool {
        false
    }
    fn can_read(&self) -> bool {
        true
    }
    fn can_write(&self) -> bool {
        true
    }
    fn fault(&mut self) -> Option<Fault> {
        None
    }
    fn receive(&mut self, _: &mut [u8]) -> Received {
        self.be_asked();
        self.says
    }
    fn send(&mut self, _: &[u8]) -> Sent {
        self.be_asked();
        self.takes
    }
    fn send_slices(&mut self, _: &[IoSlice<'_>]) -> Sent {
        self.be_asked();
        self.takes
    }
    fn receive_into(&mut self, _: &mut Pipe, _: u64) -> Received {
        self.says
    }
    fn send_out_of(&mut self, _: &mut Pipe) -> Sent {
        self.takes
    }
    fn owes(&self) -> bool {
        self.owes
    }
    fn wake_for(&mut self, _: Wake) {}
    fn is_ending(&self) -> bool {
        false
    }
    fn is_spent(&self) -> bool {
        false
    }
    fn end_follows(&mut self) {}
    fn finish_sending(&mut self) {}
}

/// A few turns between two liars: each comes to an end, and what has ended stays so.
#[test]
fn pitfall_16_nothing_that_sockets_say_makes_it_spin() {
    let reset = Fault::Reset;
    let all_say = [
        Received::Bytes(0),
        Received::Bytes(1),
        Received::Bytes(20_000),
        Received::WouldBlock,
        Received::Eof,
        Received::Broken(reset),
    ];
    let all_take = [Sent::Bytes(0), Sent::Bytes(1), Sent::WouldBlock, Sent::Broken(reset)];
    let mut pool = BufferPool::default();
    let mut pipes = PipePool::new(0);
    let mut scratch = vec![0; 64 * 1024];
    for (says, takes) in all_say.into_iter().flat_map(|s| all_take.map(|t| (s, t))) {
        let mut buffers = Buffers { scratch: &mut scratch, pool: &mut pool, pipes: &mut pipes };
        let mut direction = Direction::default();
        for _ in 0..3 {
            let before = (direction.moved(), direction.held(), direction.state());
            let mut source = Liar::new(says, takes);
            let mut target = Liar::new(says, takes);
            // One byte in a round at the least, and a round asks each of them once or twice.
            source.patience = 2 * BYTES_PER_DIRECTION_PER_TURN + 10;
            target.patience = source.patience;
            let step = direction.pump(&mut source, &mut target, &mut buffers);
            if before.2 == DirectionState::Done {
                assert_eq!(step, Pumped::Rest, "{says:?}, {takes:?}");
                assert_eq!((direction.moved(), direction.held(), direction.state()), before);
            }
            if let Pumped::Again = step {
                let moved = (direction.moved(), direction.held()) != (before.0, before.1);
                assert!(moved || direction.discards(), "{says:?}, {takes:?}");
            }
            if let Pumped::TargetBroke(_) = step {
                direction.discard(&mut buffers);
            }
        }
        let ends = matches!(says, Received::Eof | Received::Broken(_));
        assert_eq!(direction.state() == DirectionState::Done, ends, "{says:?}, {takes:?}");
        direction.end(&mut buffers);
    }
}

/// What TLS sealed may have left in part before the wire broke, though nothing counts as sent: no
/// other backend gets it.
#[test]
fn a_backend_that_may_have_taken_something_is_the_last_one() {
    let reset = Fault::Reset;
    let mut pool = BufferPool::default();
    let mut pipes = PipePool::new(0);
    let mut scratch = vec![0; 64 * 1024];
    for owes in [false, true] {
        let mut buffers = Buffers { scratch: &mut scratch, pool: &mut pool, pipes: &mut pipes };
        let mut duplex = Duplex::default();
        let mut client = Liar::new(Received::Bytes(1000), Sent::Bytes(1));
        let mut backend = Liar::new(Received::Broken(reset), Sent::WouldBlock);
        backend.owes = owes;
        let begun = duplex.begin(&mut client, &mut backend, &mut buffers);
        assert_eq!(begun, if owes { Begun::Taken } else { Begun::Waits });
        backend.takes = Sent::Broken(reset);
        let outcome = duplex.pump(&mut client, &mut backend, &mut buffers);
        assert_eq!(outcome == Outcome::Unserved(reset), !owes, "{outcome:?}");
        duplex.end(&mut buffers);
    }
}

/// A source of which all is here already, or a target that takes all. It has no more news of its
/// own: whoever does not ask it for any gets none.
#[derive(Default)]
struct Kettle {
    holds: usize,
    can_read: bool,
    /// It told since it was last looked at.
    told: bool,
}

impl Socket for Kettle {
    fn can_splice(&self) -> bool {
        true
    }
    fn can_read(&self) -> bool {
        self.can_read
    }
    fn can_write(&self) -> bool {
        true
    }
    fn fault(&mut self) -> Option<Fault> {
        None
    }
    fn receive(&mut self, into: &mut [u8]) -> Received {
        let count = into.len().min(self.holds);
        self.holds -= count;
        self.can_read = count > 0;
        if count > 0 { Received::Bytes(count) } else { Received::WouldBlock }
    }
    fn send(&mut self, from: &[u8]) -> Sent {
        self.holds += from.len();
        Sent::Bytes(from.len())
    }
    fn send_slices(&mut self, from: &[IoSlice<'_>]) -> Sent {
        Sent::Bytes(from.iter().map(|slice| slice.len()).sum())
    }
    fn receive_into(&mut self, pipe: &mut Pipe, limit: u64) -> Received {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX).min(self.holds);
        self.can_read = wanted > 0;
        if wanted == 0 {
            return Received::WouldBlock;
        }
        let count = pipe.pour_in(&vec![0; wanted]);
        self.holds -= count;
        Received::Bytes(count)
    }
    fn send_out_of(&mut self, pipe: &mut Pipe) -> Sent {
        let count = pipe.pour_out(&mut vec![0; PIPE_BYTES]);
        self.holds += count;
        Sent::Bytes(count)
    }
    fn wake_for(&mut self, wake: Wake) {
        self.told = match wake {
            Wake::AnyByte => self.holds > 0,
            Wake::Piece(bytes) => self.holds >= bytes as usize,
            Wake::Never => false,
        };
        self.can_read &= !matches!(wake, Wake::Piece(_));
    }
    fn is_ending(&self) -> bool {
        false
    }
    fn is_spent(&self) -> bool {
        false
    }
    fn end_follows(&mut self) {}
    fn finish_sending(&mut self) {}
}

/// Once the last bytes of a message are too few to be waited for, those that are here are taken at
/// once: nobody will tell of them again.
#[test]
fn a_patient_message_that_is_here_is_taken_to_its_end() {
    let mut pool = BufferPool::default();
    let mut pipes = PipePool::new(1);
    let mut scratch = vec![0; 64 * 1024];
    let few = PATIENT_BYTES_MIN as usize;
    for rest in [0, 1, few - 1, few, few + 1] {
        let total = PIPE_BYTES + rest;
        let mut buffers = Buffers { scratch: &mut scratch, pool: &mut pool, pipes: &mut pipes };
        let mut direction = Direction::proven();
        direction.begin(total as u64);
        let mut source = Kettle { holds: total, told: true, ..Kettle::default() };
        let mut target = Kettle::default();
        let mut step = Pumped::Rest;
        while step == Pumped::Again || std::mem::take(&mut source.told) {
            source.can_read = true;
            step = direction.pump(&mut source, &mut target, &mut buffers);
        }
        assert_eq!(target.holds, total, "{rest} more than a pipe holds");
        assert_eq!(direction.state(), DirectionState::Done);
    }
}
