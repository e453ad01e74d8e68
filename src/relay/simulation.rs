//! Ten thousand small worlds: a pair's two directions between a client and a backend that live by
//! scripts, with short reads and writes, sleep, half-close and breaks at any byte.
//!
//! ```text
//!   seed --> scripts --> ( the peers move -> wait: edges -> pump -> is all work done? ) --> judge
//! ```
//!
//! One seed is one world: a failure prints it, and
//! `SEED=n cargo test --lib simulation -- --nocapture` plays it again with all that happened.
//! The loop here is what `event_loop` and `relay::tcp` do with a pair, without a clock.

mod messages;
mod socket;

use std::cell::RefCell;
use std::rc::Rc;

use crate::limits::BYTES_PER_DIRECTION_PER_TURN;
use crate::net::{self, BufferPool, PipePool, Socket};

use super::duplex::{Begun, Break, Duplex, Outcome, Progress};
use super::pump::{Buffers, Direction, DirectionState};
use socket::{Ending, Reset, Script, ScriptedSocket, Trace};

const SEEDS: u64 = 10_000;

/// Turns in one world; the longest of the ten thousand needs about a tenth.
const TURNS_MAX: u32 = 50_000;

/// Other backends to which a world may change.
const RETRIES: u32 = 2;

struct World {
    seed: u64,
    random: fastrand::Rng,
    trace: Trace,
    client: ScriptedSocket,
    backend: ScriptedSocket,
    /// Backends given up before this one.
    changes: u32,
    duplex: Duplex,
    /// Pipes there may be.
    pipes: usize,
    seen: Seen,
}

/// What happened in a world; all of it must happen in some.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    worlds: u32,
    changed: u32,
    unserved: u32,
    spliced: u32,
    demoted: u32,
    patient: u32,
    looked: u32,
    budget_spent: u32,
    discarded: u32,
    half_closed: u32,
    torn: u32,
    whole: u32,
    longest: u32,
}

/// How a world ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    /// No backend was left.
    Unserved,
}

#[test]
fn ten_thousand_worlds() {
    if let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        let (trace, _) = play(seed, true);
        eprintln!("{}", trace.join("\n"));
        return;
    }
    let mut all = Seen::default();
    for seed in 0..SEEDS {
        all.add(play(seed, false).1);
    }
    eprintln!("{all:?}");
    // Nothing is spliced elsewhere.
    let [demoted, spliced] = match cfg!(linux) {
        true => [all.demoted, all.spliced],
        false => [u32::MAX; 2],
    };
    let rare = all.unserved.min(demoted).min(all.budget_spent);
    assert!(all.patient > 50 && all.looked > 10, "nobody had patience, or lost it: {all:?}");
    let common = all.changed.min(spliced).min(all.discarded).min(all.half_closed);
    assert!(rare > 20 && common > 200, "what is not met is not tested: {all:?}");
    assert!(all.torn > 1000 && all.whole > 3000, "a fair share of both: {all:?}");
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..100 {
        let (first, _) = play(seed, true);
        assert!(first.len() > 3, "a world in which nothing happens");
        assert_eq!(first, play(seed, true).0, "SEED={seed}");
    }
}

/// One world from beginning to end.
fn play(seed: u64, traced: bool) -> (Vec<String>, Seen) {
    let mut world = World::new(seed, traced);
    let mut pool = BufferPool::default();
    let mut pipes = PipePool::new(world.pipes);
    let mut scratch = net::buffer::scratch();
    let mut buffers = Buffers { scratch: &mut scratch, pool: &mut pool, pipes: &mut pipes };
    let end = world.run(&mut buffers);
    world.judge(end);
    world.duplex.end(&mut buffers);
    assert_eq!((pool.lent(), pipes.lent()), (0, 0), "all buffers and pipes are back");
    let trace = world.trace.borrow_mut().take().unwrap_or_default();
    (trace, world.seen)
}

impl World {
    fn new(seed: u64, traced: bool) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let trace: Trace = Rc::new(RefCell::new(traced.then(Vec::new)));
        let scale = draw_size(&mut random);
        let script = draw_script(&mut random, scale);
        let name = "client".to_string();
        let client = ScriptedSocket::new(name, script, (0, 1), random.fork(), &trace);
        let backend = draw_backend(&mut random, client.script(), 0, &trace);
        let mut duplex = Duplex::default();
        if random.bool() {
            duplex.request = Direction::proven();
            duplex.response = Direction::proven();
        }
        let seen = Seen { worlds: 1, ..Seen::default() };
        let pipes = random.usize(..4);
        World { seed, random, trace, client, backend, changes: 0, duplex, pipes, seen }
    }

    /// The turns of a world.
    fn run(&mut self, buffers: &mut Buffers<'_>) -> End {
        let mut queued = true;
        if self.begin(buffers) == Some(End::Unserved) {
            return End::Unserved;
        }
        for turn in 0..TURNS_MAX {
            self.seen.longest = turn;
            queued |= self.client.mark() | self.backend.mark();
            if self.random.u8(..32) == 0 {
                self.duplex.recheck(&mut self.client, &mut self.backend);
            }
            if queued {
                let outcome = self.duplex.pump(&mut self.client, &mut self.backend, buffers);
                self.note(outcome);
                self.check_between_turns(buffers);
                queued = match outcome {
                    Outcome::Finished => return End::Finished,
                    Outcome::Unserved(_) if self.changes == RETRIES => return End::Unserved,
                    Outcome::Unserved(_) => {
                        self.change_backend();
                        if self.begin(buffers) == Some(End::Unserved) {
                            return End::Unserved;
                        }
                        true
                    }
                    Outcome::Again => {
                        self.check_again();
                        true
                    }
                    Outcome::Rest => {
                        self.check_rest();
                        false
                    }
                };
            }
            queued |= self.go_on(queued);
        }
        panic!("no end after {TURNS_MAX} turns");
    }

    /// What the client has sent goes out before the backend is known to be there, and to another
    /// one as long as that fails at once, as `relay::tcp` does it. A client that broke is found by
    /// the turns that follow.
    fn begin(&mut self, buffers: &mut Buffers<'_>) -> Option<End> {
        loop {
            match self.duplex.begin(&mut self.client, &mut self.backend, buffers) {
                Begun::Unserved(_) if self.changes == RETRIES => return Some(End::Unserved),
                Begun::Unserved(_) => self.change_backend(),
                Begun::Taken | Begun::Waits | Begun::ClientBroke(_) => return None,
            }
        }
    }

    /// The peers move. If nobody is going to act, somebody must be able to.
    fn go_on(&mut self, queued: bool) -> bool {
        let mut moved = false;
        for _ in 0..self.random.u32(1..4) {
            let client_first = self.random.bool();
            let both = self.random.bool();
            if client_first || both {
                moved |= self.client.live();
            }
            if !client_first || both {
                moved |= self.backend.live();
            }
        }
        if !moved && !queued && self.duplex.recheck_in().is_some() {
            self.seen.looked = 1;
            self.duplex.recheck(&mut self.client, &mut self.backend);
        } else if !moved && !queued {
            let client = self.client.live() || self.client.mark();
            let backend = self.backend.live() || self.backend.mark();
            assert!(client || backend, "everybody waits for somebody: {:?}", self.duplex);
            // A mark made here is not to be lost.
            return true;
        }
        false
    }

    /// Another backend, as `relay::tcp` does it.
    fn change_backend(&mut self) {
        assert_eq!(self.client.fault(), None, "another backend for nobody");
        assert_eq!(self.backend.taken, 0, "bytes went to two backends");
        let told = (self.client.taken, self.client.fin_out);
        assert_eq!(told, (0, false), "the client heard of a backend that was given up");
        self.changes += 1;
        self.seen.changed = 1;
        let number = self.changes;
        let client = self.client.script();
        self.backend = draw_backend(&mut self.random, client, number, &self.trace);
        self.client.expect(1 + u64::from(number));
        assert!(self.duplex.change_backend(), "and we know it");
    }

    /// Memory is held for what is on its way, and only for that.
    fn check_between_turns(&self, buffers: &Buffers<'_>) {
        let flows = [&self.duplex.request, &self.duplex.response];
        let holding = flows.iter().filter(|direction| direction.held() > 0).count();
        let lent = buffers.pool.lent() + buffers.pipes.lent();
        assert_eq!(lent, holding, "one buffer or pipe for each direction that holds bytes");
        for (direction, source, target) in self.directions() {
            if !direction.discards() && direction.state() != DirectionState::Done {
                assert_eq!(
                    direction.held() as u64,
                    source.read - target.taken,
                    "read, not taken"
                );
            }
            assert_eq!(direction.moved(), target.taken, "what it counts is what was taken");
            if target.fin_out {
                assert!(source.eof_read, "an end that the source did not say");
                assert_eq!(source.read, target.taken, "an end before the last byte");
            }
        }
    }

    /// Who rests has nothing to do.
    fn check_rest(&self) {
        for (direction, source, target) in self.directions() {
            let rests = match direction.state() {
                DirectionState::Done => true,
                _ if direction.held() > 0 => target.write_would_wait(),
                _ if direction.discards() => source.read_would_wait(),
                _ => {
                    let kept_back = source.keeps_back() && direction.recheck_in().is_some();
                    source.read_would_wait() || kept_back || target.write_would_wait()
                }
            };
            assert!(rests, "work was left undone, and no edge will tell: {direction:?}");
            let owed = direction.state() == DirectionState::Done
                && source.eof_read
                && !direction.discards();
            let told = target.fin_out || target.broken || source.broken;
            assert!(!owed || told, "the target was not told of the end");
        }
    }

    /// Who asks for another turn can use it: else the loop spins.
    fn check_again(&self) {
        let useful = self.directions().iter().any(|(direction, source, target)| {
            let goes = source.can_read() && (target.can_write() || direction.discards());
            direction.state() != DirectionState::Done && goes
        });
        assert!(useful || self.duplex.broke().is_some(), "another turn for nothing");
    }

    /// What has to be true in the end.
    fn judge(&mut self, end: End) {
        let broken = (self.client.broken, self.backend.broken);
        if end == End::Unserved {
            self.seen.unserved = 1;
            assert!(self.backend.broken && self.client.taken == 0 && self.backend.taken == 0);
            return;
        }
        assert_eq!(self.duplex.progress(), Progress::Finished);
        match self.duplex.broke() {
            Some(Break::Client(_)) => assert!(self.client.broken, "the client did not break"),
            Some(Break::Backend(_)) => assert!(self.backend.broken, "nor did the backend"),
            None => {}
        }
        for (direction, source, target) in self.directions() {
            let lost = source.script().reset_drops && source.broken;
            if !target.broken && !lost {
                assert_eq!(target.taken, source.sent, "bytes are missing: {direction:?}");
            }
            if !source.eof_read || target.taken != source.sent {
                assert!(self.duplex.broke().is_some(), "nobody is named for it: {direction:?}");
            }
            if !source.eof_read {
                assert!(
                    source.broken || target.broken,
                    "an end without a reason: {direction:?}"
                );
                assert!(!target.fin_out, "a torn stream was called complete");
                assert!(self.duplex.is_torn() || target.broken, "and is by a plain close");
            }
        }
        if broken == (false, false) {
            assert!(!self.duplex.is_torn(), "torn by nobody");
        }
        self.seen.torn = u32::from(self.duplex.is_torn());
        self.seen.whole = u32::from(broken == (false, false));
    }

    fn directions(&self) -> [(&Direction, &ScriptedSocket, &ScriptedSocket); 2] {
        let Duplex { request, response, .. } = &self.duplex;
        [(request, &self.client, &self.backend), (response, &self.backend, &self.client)]
    }

    fn note(&mut self, outcome: Outcome) {
        let Duplex { request, response, .. } = &self.duplex;
        let seen = &mut self.seen;
        seen.patient |= u32::from(self.duplex.recheck_in().is_some());
        seen.spliced |= u32::from(self.client.spliced || self.backend.spliced);
        // Whoever finds no pipe, or discards, reads into memory too.
        let by_choice = self.pipes >= 2 && !request.discards();
        let demoted = self.client.demoted || self.backend.demoted;
        seen.demoted |= u32::from(by_choice && demoted);
        seen.discarded |= u32::from(request.discards());
        seen.half_closed |= u32::from(self.duplex.progress() == Progress::HalfClosed);
        seen.budget_spent |=
            u32::from(outcome == Outcome::Again && self.duplex.broke().is_none());
        if let Some(trace) = self.trace.borrow_mut().as_mut() {
            let sent = request.moved();
            let answered = response.moved();
            let states = (request.state(), response.state());
            trace.push(format!("{outcome:?}; {states:?}; {sent} sent, {answered} answered"));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace = self.trace.borrow_mut().take().unwrap_or_default();
            eprintln!("{}\nSEED={} plays this again", trace.join("\n"), self.seed);
        }
    }
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.worlds += other.worlds;
        self.changed += other.changed;
        self.unserved += other.unserved;
        self.spliced += other.spliced;
        self.demoted += other.demoted;
        self.patient += other.patient;
        self.looked += other.looked;
        self.budget_spent += other.budget_spent;
        self.discarded += other.discarded;
        self.half_closed += other.half_closed;
        self.torn += other.torn;
        self.whole += other.whole;
        self.longest = self.longest.max(other.longest);
    }
}

fn draw_backend(
    random: &mut fastrand::Rng,
    client: &Script,
    number: u32,
    trace: &Trace,
) -> ScriptedSocket {
    let mut script = draw_script(random, client.scale);
    script.connecting = random.bool();
    // Two that wait for each other's end would wait for ever, and rightly.
    if client.ending == Ending::FinishAfterUs && script.ending == Ending::FinishAfterUs {
        script.ending = Ending::Finish;
    }
    if script.connecting && random.u8(..4) == 0 {
        script.reset = Some(Reset::Refused);
    }
    let salts = (1 + u64::from(number), 0);
    ScriptedSocket::new(format!("backend {number}"), script, salts, random.fork(), trace)
}

/// Bytes of the longer stream: seldom more than the budget of a turn, mostly a few.
fn draw_size(random: &mut fastrand::Rng) -> usize {
    match random.u8(..20) {
        0..=1 => 3 * BYTES_PER_DIRECTION_PER_TURN,
        2..=5 => random.usize(..500_000),
        6..=7 => random.usize(..60_000),
        8..=9 => 0,
        _ => random.usize(..3000),
    }
}

fn draw_script(random: &mut fastrand::Rng, scale: usize) -> Script {
    let total = match random.u8(..8) {
        0 => 0,
        1..=3 => random.usize(..=scale),
        _ => scale,
    };
    // Not so small that a long stream never ends.
    let least = scale / 200 + 1;
    let fast = random.u8(..4) == 0;
    let mut size = || match random.u8(..4) {
        _ if fast => scale.max(1),
        0 => random.usize(1..20).max(least),
        1 => random.usize(1..5000).max(least),
        2 => random.usize(1..200_000).max(least),
        _ => scale.max(1),
    };
    let chunks = (size(), size());
    let capacities = (size(), size());
    let reset = match random.u8(..12) {
        0 => Some(Reset::Sent(random.u64(..=total as u64))),
        1 => Some(Reset::Taken(random.u64(..=3000))),
        2 => Some(Reset::Taken(random.u64(..=scale as u64))),
        3 => Some(Reset::Finished),
        4 => Some(Reset::AtOnce(random.u64(..=scale as u64))),
        _ => None,
    };
    let ending = match random.u8(..6) {
        0 => Ending::Close,
        1..=2 => Ending::FinishAfterUs,
        _ => Ending::Finish,
    };
    Script {
        scale,
        total: total as u64,
        ending,
        reset,
        reset_drops: random.bool(),
        chunks,
        capacities,
        connecting: false,
        late: if random.bool() { 0 } else { random.u32(1..20) },
        sleepy: if random.bool() { 0 } else { random.u32(1..20) },
        patient: random.bool(),
    }
}
