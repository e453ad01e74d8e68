//! A row: everybody does the same work in turns, and each is compared with pointsman's turn of the
//! same round.

use std::io;
use std::time::Duration;

use crate::measure;
use crate::peers::{Peer, Protocol};
use crate::rows::{Kind, Row};
use crate::stage::Running;
use crate::statistics::{self, Estimate, estimate, median};
use crate::world::{After, Outcome, Pace, Script, Until, World};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    /// Of one turn.
    pub time: Duration,
    /// Connections that rest while memory is measured.
    pub connections: usize,
    /// System calls and instructions as well.
    pub counts: bool,
}

/// What became of a row.
#[derive(Debug)]
pub struct Result {
    pub row: &'static Row,
    pub entries: Vec<Entry>,
    /// The part of the time for which the clients and backends waited while others ran.
    pub foreign: f64,
}

/// What became of one peer in it.
#[derive(Debug)]
pub struct Entry {
    pub peer: String,
    /// What a unit cost, a turn each.
    pub costs: Vec<f64>,
    /// Ours divided by theirs, round by round.
    pub ratio: Estimate,
    pub goal: Option<f64>,
    pub errors: u64,
    pub error: Option<String>,
    pub note: String,
    pub calls: Option<f64>,
    pub instructions: Option<f64>,
    pub configuration: String,
}

/// Whose cost is divided by everybody's.
pub const OURS: &str = "pointsman";

/// Foreign load above which a round is done again, as long as there are rounds to spare.
const FOREIGN_MAX: f64 = 0.10;

/// Small messages a second beside a stream.
const FAIRNESS_RATE: f64 = 2_000.0;

const CHURN: u64 = 20_000;

/// One turn of a peer.
#[derive(Debug, Clone, Default)]
struct Turn {
    cost: f64,
    note: f64,
    errors: u64,
    error: Option<String>,
}

/// Let all of them play this row.
pub fn play(
    row: &'static Row,
    peers: &[(String, Peer)],
    effort: Effort,
    world: &mut World,
) -> io::Result<Result> {
    let protocol = row.protocol();
    let mut running = Vec::new();
    let mut entries = Vec::new();
    for (name, peer) in peers {
        match Running::start(peer, name, protocol, &world.backends(), &[]) {
            Ok(started) => running.push(started),
            Err(error) => entries.push(Entry::absent(name, row, error.to_string())),
        }
    }
    let rate = match row.kind {
        Kind::Latency { part, .. } => part * slowest(&running, protocol, effort, world)?,
        _ => 0.0,
    };
    let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); running.len()];
    let mut foreign = Vec::new();
    // Memory grows once, and whoever else runs does not change it.
    let (rounds, mut spare) = match row.kind {
        Kind::Memory(_) => (1, 0),
        _ => (effort.rounds, effort.rounds),
    };
    while foreign.len() < rounds {
        let (round, load) = round(row, &running, rate, foreign.len(), effort, world)?;
        if load > FOREIGN_MAX && spare > 0 {
            spare -= 1;
            continue;
        }
        foreign.push(load);
        for (all, turn) in turns.iter_mut().zip(round) {
            all.push(turn);
        }
    }
    let first = running.iter().position(|running| running.name == OURS);
    let ours = first.map(|index| turns[index].clone()).unwrap_or_default();
    for (running, turns) in running.iter().zip(&turns) {
        entries.push(Entry::of(running, row, turns, &ours));
    }
    let place = |entry: &Entry| peers.iter().position(|(name, _)| *name == entry.peer);
    entries.sort_by_key(place);
    drop(running);
    if effort.counts
        && let Kind::Work { script, per_unit, .. } = row.kind
    {
        for (name, peer) in peers {
            if let Some(entry) = entries.iter_mut().find(|entry| entry.peer == *name) {
                count(entry, name, peer, script, per_unit, world);
            }
        }
    }
    Ok(Result { row, entries, foreign: median(&foreign) })
}

/// One turn of each, in an order that differs from round to round; and the foreign load.
fn round(
    row: &Row,
    running: &[Running],
    rate: f64,
    number: usize,
    effort: Effort,
    world: &mut World,
) -> io::Result<(Vec<Turn>, f64)> {
    let mut turns = vec![Turn::default(); running.len()];
    let mut order: Vec<usize> = (0..running.len()).collect();
    order.rotate_left(number / 2 % running.len().max(1));
    if number % 2 == 1 {
        order.reverse();
    }
    let direct = match row.kind {
        Kind::Latency { protocol, .. } => {
            let target = world.backends()[0];
            Some(open_loop(target, protocol, rate, effort, world)?)
        }
        _ => None,
    };
    let began = std::time::Instant::now();
    let before = measure::kept_waiting_ns();
    for index in order {
        turns[index] = turn(row, &running[index], rate, direct.as_ref(), effort, world)?;
    }
    let foreign = measure::kept_waiting_ns() - before;
    let all = began.elapsed().as_nanos() as f64;
    Ok((turns, foreign as f64 / all))
}

fn turn(
    row: &Row,
    running: &Running,
    rate: f64,
    direct: Option<&Outcome>,
    effort: Effort,
    world: &mut World,
) -> io::Result<Turn> {
    let turn = match row.kind {
        Kind::Work { script, per_unit, unit } => {
            let until = Until::Time(effort.time);
            let (outcome, ns) = work(running, script, until, world)?;
            let units = outcome.units as f64 / per_unit;
            let scale = if unit == "GiB" { 1e6 } else { 1e3 };
            let cost = ns as f64 / units / scale;
            Turn { cost, note: units / outcome.seconds, ..Turn::of(&outcome) }
        }
        Kind::Memory(protocol) => rest(running, protocol, effort, world)?,
        Kind::Latency { protocol, .. } => {
            let outcome = open_loop(running.address, protocol, rate, effort, world)?;
            let p99 = |outcome: &Outcome| percentile_us(outcome, 99.0);
            let cost = p99(&outcome) - direct.map_or(0.0, p99);
            Turn {
                cost: cost.max(0.1),
                note: percentile_us(&outcome, 50.0),
                ..Turn::of(&outcome)
            }
        }
        Kind::Fairness => {
            let stream = Script { answer: u64::MAX / 2, ..Script::default() };
            world.add(running.address, stream)?;
            let script = Script { clients: 64, ..Script::default() };
            let pace = Pace::Open(FAIRNESS_RATE);
            let until = Until::Time(effort.time.max(Duration::from_secs(1)));
            let outcome = world.run(running.address, script, pace, until, &mut || {})?;
            let cost = percentile_us(&outcome, 99.0);
            Turn { cost, note: percentile_us(&outcome, 50.0), ..Turn::of(&outcome) }
        }
        Kind::Churn => {
            let script =
                Script { clients: 64, after: After::BackendCloses, ..Script::default() };
            let (outcome, ns) = work(running, script, Until::Units(CHURN), world)?;
            let cost = ns as f64 / outcome.units as f64 / 1e3;
            Turn { cost, note: outcome.units as f64 / outcome.seconds, ..Turn::of(&outcome) }
        }
    };
    world.clear();
    world.idle(Duration::from_millis(20))?;
    Ok(turn)
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
    Ok((outcome, measure::processor_ns(running.pid()) - before))
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
    Ok(Turn { cost, note: 0.0, errors: first.errors + rest.errors, error: rest.error })
}

fn open_loop(
    target: std::net::SocketAddr,
    protocol: Protocol,
    rate: f64,
    effort: Effort,
    world: &mut World,
) -> io::Result<Outcome> {
    let script = Script { protocol, clients: 256, ..Script::default() };
    let until = Until::Time(effort.time.max(Duration::from_secs(1)));
    let mut outcome = world.run(target, script, Pace::Open(rate), until, &mut || {})?;
    outcome.latencies.sort_unstable();
    world.clear();
    world.idle(Duration::from_millis(20))?;
    Ok(outcome)
}

/// Units a second of the slowest one, as fast as it can.
fn slowest(
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
        world.clear();
        least = least.min(outcome.units as f64 / outcome.seconds);
    }
    Ok(least)
}

fn percentile_us(outcome: &Outcome, percent: f64) -> f64 {
    let mut sorted = outcome.latencies.clone();
    sorted.sort_unstable();
    statistics::percentile(&sorted, percent) as f64 / 1e3
}

/// System calls by strace, instructions by callgrind: runs of their own, for both slow a peer down.
fn count(
    entry: &mut Entry,
    name: &str,
    peer: &Peer,
    script: Script,
    per_unit: f64,
    world: &mut World,
) {
    let script = Script { clients: script.clients.min(8), ..script };
    let units = if script.answer + script.upload > 1 << 20 { per_unit as u64 } else { 2_000 };
    match calls(name, peer, script, units, world) {
        Ok(each) => entry.calls = Some(each * per_unit),
        Err(error) => entry.note += &format!("; calls not counted: {error}"),
    }
    if units < 2_000 {
        return;
    }
    match instructions(name, peer, script, world) {
        Ok(each) => entry.instructions = Some(each),
        Err(error) => entry.note += &format!("; instructions not counted: {error}"),
    }
}

fn calls(
    name: &str,
    peer: &Peer,
    script: Script,
    units: u64,
    world: &mut World,
) -> io::Result<f64> {
    let running = Running::start(peer, name, script.protocol, &world.backends(), &[])?;
    let mut done = 0;
    let (address, pid) = (running.address, running.pid());
    let mut work = || {
        let outcome =
            world.run(address, script, Pace::Closed, Until::Units(units), &mut || {})?;
        done = outcome.units;
        Ok(())
    };
    let counted = measure::calls(pid, running.directory(), &mut work);
    world.clear();
    let (all, waits) = counted.map_err(io::Error::other)?;
    Ok((all - waits) as f64 / done.max(1) as f64)
}

fn instructions(name: &str, peer: &Peer, script: Script, world: &mut World) -> io::Result<f64> {
    let mut totals = [0.0; 2];
    const UNITS: [u64; 2] = [500, 2_500];
    for (total, units) in totals.iter_mut().zip(UNITS) {
        let file =
            std::env::temp_dir().join(format!("versus-callgrind-{}", std::process::id()));
        let out = format!("--callgrind-out-file={}", file.display());
        let wrapper = ["valgrind", "--tool=callgrind", out.as_str()].map(String::from);
        let mut running =
            Running::start(peer, name, script.protocol, &world.backends(), &wrapper)?;
        world.run(running.address, script, Pace::Closed, Until::Units(units), &mut || {})?;
        world.clear();
        running.stop()?;
        let text = std::fs::read_to_string(&file)?;
        let _ = std::fs::remove_file(&file);
        let line = text.lines().rfind(|line| line.starts_with("totals: "));
        let number = line.and_then(|line| line["totals: ".len()..].trim().parse().ok());
        *total = number.ok_or(io::Error::other("callgrind wrote no totals"))?;
    }
    Ok((totals[1] - totals[0]) / (UNITS[1] - UNITS[0]) as f64)
}

impl Turn {
    fn of(outcome: &Outcome) -> Turn {
        let (errors, error) = (outcome.errors, outcome.error.clone());
        Turn { errors, error, ..Turn::default() }
    }
}

impl Entry {
    fn of(running: &Running, row: &Row, turns: &[Turn], ours: &[Turn]) -> Entry {
        let costs: Vec<f64> = turns.iter().map(|turn| turn.cost).collect();
        let pairs = ours.iter().zip(turns);
        // Who makes errors is not compared, however fast; where errors are the row, they are told.
        let counts_errors = matches!(row.kind, Kind::Churn);
        let is_sound = |turn: &Turn| turn.errors == 0 || counts_errors;
        let are_sound = ours.iter().chain(turns).all(is_sound);
        let ratios: Vec<f64> =
            pairs.filter(|_| are_sound).map(|(us, them)| us.cost / them.cost).collect();
        let notes: Vec<f64> = turns.iter().map(|turn| turn.note).collect();
        let note = match row.kind {
            Kind::Work { unit, .. } => format!("{} {unit}s a second", Figure(median(&notes))),
            Kind::Churn => format!("{:.0} connections a second", median(&notes)),
            Kind::Latency { .. } | Kind::Fairness => format!("p50 {:.0} us", median(&notes)),
            Kind::Memory(_) => String::new(),
        };
        Entry {
            peer: running.name.clone(),
            ratio: estimate(&ratios),
            costs,
            goal: row.goal(&running.name),
            errors: turns.iter().map(|turn| turn.errors).sum(),
            error: turns.iter().find_map(|turn| turn.error.clone()),
            note,
            calls: None,
            instructions: None,
            configuration: running.configuration.clone(),
        }
    }

    fn absent(name: &str, row: &Row, why: String) -> Entry {
        Entry {
            peer: name.to_owned(),
            costs: Vec::new(),
            ratio: estimate(&[]),
            goal: row.goal(name),
            errors: 1,
            error: Some(why),
            note: String::new(),
            calls: None,
            instructions: None,
            configuration: String::new(),
        }
    }
}

/// A figure of which the first digits count.
pub struct Figure(pub f64);

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            value if !value.is_finite() => f.write_str("-"),
            value if value >= 100.0 => write!(f, "{value:.0}"),
            value if value >= 10.0 => write!(f, "{value:.1}"),
            value => write!(f, "{value:.2}"),
        }
    }
}
