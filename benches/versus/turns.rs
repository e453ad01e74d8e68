//! One turn: a peer does a row's work once, and what that came to.

use std::io;
use std::net::SocketAddr;

use crate::contest::Effort;
use crate::datagrams;
use crate::measure;
use crate::peers::Protocol;
use crate::rows::{Kind, Row};
use crate::stage::Running;
use crate::statistics::percentile;
use crate::world::{After, Outcome, Pace, Script, Until, World};

/// Small messages a second beside a stream.
const FAIRNESS_RATE: f64 = 2_000.0;

/// Bytes of the messages of which the times are taken by size: around what decides how they go.
pub const SIZES: &[u64] = &[1_000, 64_000, 300_000, 700_000, 1_500_000, 3_000_000, 8_000_000];

/// Most of them a second, and bytes of them: no peer has more than half of its time to do for it.
const SIZES_RATE: (f64, f64) = (1_000.0, 4e8);

/// A size takes so many times as long as a turn of latency: of the largest there are few a second.
pub const SIZES_TURNS: u32 = 2;

/// Connections of a turn of churn.
pub const CHURN: u64 = 10_000;

/// Clients at once that an open loop may have; those who are due beyond them wait, and their time
/// runs.
const OPEN_CLIENTS: usize = 256;

/// A turn of a latency takes so many times as long as one of work: the tail needs the numbers.
pub const OPEN_TURNS: u32 = 2;

/// One turn of a peer.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// Of a unit.
    pub cost: f64,
    /// Units a second.
    pub speed: f64,
    /// Microseconds at the 50th, 99th and 99.9th percentile.
    pub times: Option<[f64; 3]>,
    /// Sessions of TLS that were resumed.
    pub resumed: u64,
    pub errors: u64,
    pub error: Option<String>,
}

impl Turn {
    fn of(outcome: &Outcome) -> Turn {
        let errors = outcome.errors;
        let error = outcome.error.clone();
        Turn { resumed: outcome.resumed, errors, error, ..Turn::default() }
    }
}

/// Let this peer have its turn. `rate` is an open loop's; `direct` is what it came to without any
/// proxy, in the same round.
pub fn turn(
    row: &Row,
    running: &Running,
    rate: f64,
    direct: Option<&Turn>,
    effort: Effort,
    world: &mut World,
) -> io::Result<Turn> {
    let turn = match row.kind {
        Kind::Work { script, per_unit, unit } => {
            let (outcome, ns) = work(running, script, Until::Time(effort.time), world)?;
            let units = outcome.units as f64 / per_unit;
            let scale = if unit == "GiB" { 1e6 } else { 1e3 };
            let cost = ns as f64 / units / scale;
            Turn { cost, speed: units / outcome.seconds, ..Turn::of(&outcome) }
        }
        Kind::Datagrams(volley) => {
            let pid = running.pid();
            let target = running.address;
            match datagrams::play(pid, target, &world.backends(), volley, effort.time) {
                // No speed: most of the time it stands still.
                Ok((outcome, ns)) => {
                    Turn { cost: ns as f64 / outcome.units as f64 / 1e3, ..Turn::of(&outcome) }
                }
                Err(error) => {
                    Turn { errors: 1, error: Some(error.to_string()), ..Turn::default() }
                }
            }
        }
        Kind::Memory(protocol) => rest(running, protocol, effort, world)?,
        Kind::Latency { .. } => {
            let mut turn =
                without(row, running.address, rate, effort, world)?.unwrap_or_default();
            if let (Some(times), Some(Some(least))) =
                (&mut turn.times, direct.map(|it| it.times))
            {
                // Below a tenth of a microsecond nobody is told apart.
                for (time, least) in times.iter_mut().zip(least) {
                    *time = (*time - least).max(0.1);
                }
                turn.cost = times[1];
            }
            turn
        }
        Kind::Sizes | Kind::Fairness => {
            without(row, running.address, rate, effort, world)?.unwrap_or_default()
        }
        Kind::Churn => {
            let script =
                Script { clients: 64, after: After::BackendCloses, ..Script::default() };
            let (outcome, ns) = work(running, script, Until::Units(CHURN), world)?;
            let cost = ns as f64 / outcome.units as f64 / 1e3;
            let speed = outcome.units as f64 / outcome.seconds;
            Turn { cost, speed, ..Turn::of(&outcome) }
        }
        // Nobody else's picks can be had by themselves: `contest` asks ours without a turn.
        Kind::Pick => Turn::default(),
    };
    world.rest()?;
    Ok(turn)
}

/// The same with whoever listens there, be it a backend: what can be said without a process that
/// is measured. `None`: nothing can.
pub fn without(
    row: &Row,
    target: SocketAddr,
    rate: f64,
    effort: Effort,
    world: &mut World,
) -> io::Result<Option<Turn>> {
    let turn = match row.kind {
        // The backends speak no TLS.
        Kind::Work { script: Script { protocol: Protocol::Https, .. }, .. } => return Ok(None),
        // That a client closes is nothing to a backend: it takes a proxy between.
        Kind::Work { script: Script { after: After::ClientCloses, .. }, .. } => {
            return Ok(None);
        }
        Kind::Work { script, per_unit, .. } => {
            let until = Until::Time(effort.time);
            let outcome = world.run(target, script, Pace::Closed, until, &mut || {})?;
            let speed = outcome.units as f64 / per_unit / outcome.seconds;
            Turn { speed, ..Turn::of(&outcome) }
        }
        Kind::Latency { protocol, .. } => {
            let script = Script { protocol, clients: OPEN_CLIENTS, ..Script::default() };
            open_loop(target, script, rate, effort, world)?
        }
        Kind::Sizes => by_size(target, effort, world)?,
        Kind::Fairness => {
            let stream = Script { answer: u64::MAX / 2, ..Script::default() };
            let script = Script { clients: 64, ..Script::default() };
            match world.add(target, stream) {
                Ok(()) => open_loop(target, script, FAIRNESS_RATE, effort, world)?,
                Err(error) => {
                    Turn { errors: 1, error: Some(error.to_string()), ..Turn::default() }
                }
            }
        }
        Kind::Datagrams(_) | Kind::Memory(_) | Kind::Churn | Kind::Pick => return Ok(None),
    };
    world.rest()?;
    Ok(Some(turn))
}

/// Messages of each size on one connection; the mean of what the sizes come to.
fn by_size(target: SocketAddr, effort: Effort, world: &mut World) -> io::Result<Turn> {
    let effort = Effort { time: effort.time * SIZES_TURNS, ..effort };
    let mut all = Turn::default();
    let mut sums = [0.0; 3];
    for &answer in SIZES {
        let script = Script { answer, ..Script::default() };
        let (messages, bytes) = SIZES_RATE;
        let rate = messages.min(bytes / answer as f64);
        let turn = open_loop(target, script, rate, effort, world)?;
        for (sum, time) in sums.iter_mut().zip(turn.times.unwrap_or_default()) {
            *sum += time / SIZES.len() as f64;
        }
        all.errors += turn.errors;
        all.error = all.error.or(turn.error);
        world.rest()?;
    }
    Ok(Turn { cost: sums[1], times: Some(sums), ..all })
}

/// Do it, and say what that took of the peer's processor.
fn work(
    running: &Running,
    script: Script,
    until: Until,
    world: &mut World,
) -> io::Result<(Outcome, u64)> {
    let mut before = 0;
    let mut note = || before = measure::processor_ns(running.pid());
    let outcome = world.run(running.address, script, Pace::Closed, until, &mut note)?;
    Ok((outcome, measure::processor_ns(running.pid()).saturating_sub(before)))
}

fn rest(
    running: &Running,
    protocol: Protocol,
    effort: Effort,
    world: &mut World,
) -> io::Result<Turn> {
    // The first ones pay for what is there once.
    let few = Script { protocol, clients: 10, ..Script::default() };
    let first = world.run(running.address, few, Pace::Closed, Until::Units(0), &mut || {})?;
    let before = measure::memory(running.pid());
    let many = Script { clients: effort.connections, ..few };
    let rest = world.run(running.address, many, Pace::Closed, Until::Units(0), &mut || {})?;
    let grown = measure::memory(running.pid()).saturating_sub(before);
    let cost = grown as f64 / effort.connections as f64;
    let errors = first.errors + rest.errors;
    let error = first.error.or(rest.error);
    Ok(Turn { cost, errors, error, ..Turn::default() })
}

fn open_loop(
    target: SocketAddr,
    script: Script,
    rate: f64,
    effort: Effort,
    world: &mut World,
) -> io::Result<Turn> {
    let until = Until::Time(effort.time * OPEN_TURNS);
    let mut outcome = world.run(target, script, Pace::Open(rate), until, &mut || {})?;
    outcome.latencies.sort_unstable();
    let at = |percent| percentile(&outcome.latencies, percent) as f64 / 1e3;
    let times = [at(50.0), at(99.0), at(99.9)];
    Ok(Turn { cost: times[1], times: Some(times), ..Turn::of(&outcome) })
}

/// Units a second of the slowest one, as fast as it can.
pub fn slowest(
    running: &[Running],
    protocol: Protocol,
    effort: Effort,
    world: &mut World,
) -> io::Result<f64> {
    let script = Script { protocol, clients: 64, ..Script::default() };
    let mut least = f64::INFINITY;
    for peer in running {
        let until = Until::Time(effort.time);
        let outcome = world.run(peer.address, script, Pace::Closed, until, &mut || {})?;
        world.rest()?;
        // Who answers nobody does not slow down the others.
        if outcome.units > 0 {
            least = least.min(outcome.units as f64 / outcome.seconds);
        }
    }
    Ok(if least.is_finite() { least } else { 1.0 })
}
