//! Messages of known length one after another through one direction, as HTTP has them: the bytes of
//! the next one are often here before the one before has gone.

use std::cell::RefCell;
use std::rc::Rc;

use crate::net::{self, BufferPool, Buffers, PipePool, Wake};
use crate::relay::pump::{Direction, DirectionState, Pumped};

use super::socket::{Ending, Script, ScriptedSocket, Trace};
use super::{TURNS_MAX, draw_script, draw_size};

const SEEDS: u64 = 3_000;

#[test]
fn three_thousand_rows_of_messages() {
    let only = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    if let Some(seed) = only {
        play(seed, true);
        return;
    }
    let patient = (0..SEEDS).filter(|&seed| play(seed, false)).count();
    assert!(patient > 30 || cfg!(not(linux)), "patience is not met: {patient}");
}

/// One row of messages; whether a piece was waited for.
fn play(seed: u64, traced: bool) -> bool {
    let mut random = fastrand::Rng::with_seed(seed);
    let trace: Trace = Rc::new(RefCell::new(traced.then(Vec::new)));
    let scale = draw_size(&mut random);
    let lengths: Vec<u64> =
        (0..random.usize(1..4)).map(|_| random.usize(..=scale) as u64).collect();
    let total = lengths.iter().sum();
    let script = whole(&draw_script(&mut random, scale), total);
    let mut source =
        ScriptedSocket::new("source".to_string(), script, (0, 1), random.fork(), &trace);
    let script = whole(&draw_script(&mut random, scale), 0);
    let mut target =
        ScriptedSocket::new("target".to_string(), script, (1, 0), random.fork(), &trace);
    let mut row = Row { seed, random, trace, patient: false };
    let mut pool = BufferPool::default();
    let mut pipes = PipePool::new(1);
    let mut scratch = net::buffer::scratch();
    let mut buffers = Buffers { scratch: &mut scratch, pool: &mut pool, pipes: &mut pipes };
    let mut direction =
        if row.random.bool() { Direction::proven() } else { Direction::default() };
    for length in lengths {
        direction.begin(length);
        row.carry(&mut direction, &mut source, &mut target, &mut buffers);
        assert_eq!(source.wakes_for(), Wake::AnyByte, "the next message is not heard of");
        assert_eq!((direction.held(), source.read), (0, target.taken), "more or less than it");
    }
    assert_eq!(target.taken, total, "bytes are missing");
    row.patient
}

/// Who neither breaks off nor ends before all is over.
fn whole(script: &Script, total: u64) -> Script {
    Script { total, reset: None, ending: Ending::FinishAfterUs, ..script.clone() }
}

struct Row {
    seed: u64,
    random: fastrand::Rng,
    trace: Trace,
    patient: bool,
}

impl Row {
    /// The turns of one message.
    fn carry(
        &mut self,
        direction: &mut Direction,
        source: &mut ScriptedSocket,
        target: &mut ScriptedSocket,
        buffers: &mut Buffers<'_>,
    ) {
        let mut queued = true;
        for _ in 0..TURNS_MAX {
            queued |= source.mark() | target.mark();
            if queued {
                let step = direction.pump(source, target, buffers);
                if direction.state() == DirectionState::Done {
                    return;
                }
                assert!(matches!(step, Pumped::Rest | Pumped::Again), "{step:?}");
                queued = step == Pumped::Again;
            }
            self.patient |= direction.recheck_in().is_some();
            let mut moved = false;
            for _ in 0..self.random.u32(1..4) {
                moved |= if self.random.bool() { source.live() } else { target.live() };
            }
            if !moved && !queued && direction.recheck_in().is_some() {
                direction.recheck(source);
            } else if !moved && !queued {
                let any = source.live() || target.live() || source.mark() || target.mark();
                assert!(any, "everybody waits for somebody: {direction:?}");
                queued = true;
            }
        }
        panic!("no end after {TURNS_MAX} turns");
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace = self.trace.borrow_mut().take().unwrap_or_default();
            eprintln!("{}\nSEED={} plays this again", trace.join("\n"), self.seed);
        }
    }
}
