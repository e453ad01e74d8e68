//! The pump between sockets that say whatever they like: it comes to an end all the same.

use std::io::IoSlice;

use super::pump::{Flow, State, Step};
use crate::limits::BYTES_PER_DIRECTION_PER_TURN;
use crate::net::{BufferPool, Fault, Pipe, PipePool, Received, Sent, Socket, Supplies, Wake};

/// A socket that can always be read and always be written, if one believes it, and keeps
/// saying the same. It gives up on who does not give up on it.
struct Liar {
    says: Received,
    takes: Sent,
    patience: usize,
}

impl Liar {
    fn new(says: Received, takes: Sent) -> Liar {
        Liar { says, takes, patience: 2_000 }
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
fn nothing_that_sockets_say_makes_it_spin() {
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
    let (mut buffers, mut pipes) = (BufferPool::default(), PipePool::new(0));
    let mut scratch = vec![0; 64 * 1024];
    for (says, takes) in all_say.into_iter().flat_map(|s| all_take.map(|t| (s, t))) {
        let mut supplies =
            Supplies { scratch: &mut scratch, buffers: &mut buffers, pipes: &mut pipes };
        let mut flow = Flow::default();
        for _ in 0..3 {
            let before = (flow.moved(), flow.held(), flow.state());
            let (mut source, mut target) = (Liar::new(says, takes), Liar::new(says, takes));
            // One byte in a round at the least, and a round asks each of them once or twice.
            source.patience = 2 * BYTES_PER_DIRECTION_PER_TURN + 10;
            target.patience = source.patience;
            let step = flow.pump(&mut source, &mut target, &mut supplies);
            if before.2 == State::Done {
                assert_eq!(step, Step::Rest, "{says:?}, {takes:?}");
                assert_eq!((flow.moved(), flow.held(), flow.state()), before);
            }
            if let Step::Again = step {
                let moved = (flow.moved(), flow.held()) != (before.0, before.1);
                assert!(moved || flow.discards(), "{says:?}, {takes:?}");
            }
            if let Step::TargetBroke(_) = step {
                flow.discard(&mut supplies);
            }
        }
        let ends = matches!(says, Received::Eof | Received::Broken(_));
        assert_eq!(flow.state() == State::Done, ends, "{says:?}, {takes:?}");
        flow.end(&mut supplies);
    }
}
