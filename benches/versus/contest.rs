//! A row: everybody does the same work in turns, and each is compared with pointsman's turn of the
//! same round.

use std::io;
use std::time::{Duration, Instant};

use crate::counts::count;
use crate::measure;
use crate::peers::Peer;
use crate::picking;
use crate::rows::{Kind, Row};
use crate::stage::Running;
use crate::statistics::{Estimate, estimate, median};
use crate::turns::{self, Turn, slowest, turn};
use crate::world::World;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Of a row of work.
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
    /// The part of the time for which the world or the peers waited while others ran.
    pub foreign: f64,
    /// Units a second, where the loop is open and the slowest peer decides.
    pub rate: Option<f64>,
}

/// What became of one peer in it.
#[derive(Debug)]
pub struct Entry {
    pub peer: String,
    /// What a unit cost, a turn each; none of `direct`, which is no process.
    pub costs: Vec<f64>,
    /// Ours divided by theirs, round by round.
    pub ratio: Estimate,
    pub goal: Option<f64>,
    /// Microseconds at the 50th, 99th and 99.9th percentile, where times are measured.
    pub times: Option<[f64; 3]>,
    /// Units a second, where work is done as fast as it can be.
    pub speed: Option<f64>,
    pub errors: u64,
    pub error: Option<String>,
    pub note: String,
    pub calls: Option<f64>,
    pub instructions: Option<f64>,
    pub configuration: String,
}

/// Whose cost is divided by everybody's.
pub const OURS: &str = "pointsman";

/// No proxy at all: what the clients and backends could do, and how long a message takes them.
pub const DIRECT: &str = "direct";

/// Let all of them play this row.
pub fn play(
    row: &'static Row,
    peers: &[(String, Peer)],
    effort: Effort,
    world: &mut World,
) -> io::Result<Result> {
    if let Kind::Pick = row.kind {
        return Ok(picking::play(row, effort));
    }
    let mut running = Vec::new();
    let mut entries = Vec::new();
    for (name, peer) in peers {
        match Running::start(peer, name, row.protocol(), &world.backends(), &[]) {
            Ok(started) => running.push(started),
            Err(error) => entries.push(Entry::absent(name, row, error.to_string())),
        }
    }
    let rate = match row.kind {
        Kind::Latency { protocol, part } => {
            Some(part * slowest(&running, protocol, effort, world)?)
        }
        _ => None,
    };
    let mut rounds = Rounds::new(running.len());
    // Some rounds may be done again, but not so many that a run has no end.
    let wanted = row.rounds(effort.rounds);
    let mut spare = row.spare_rounds(effort.rounds);
    while rounds.foreign.len() < wanted {
        let round =
            round(row, &running, rate.unwrap_or(0.0), rounds.foreign.len(), effort, world)?;
        if round.foreign > row.foreign_max() && spare > 0 {
            spare -= 1;
            continue;
        }
        rounds.add(round);
    }
    let first = running.iter().position(|running| running.name == OURS);
    let ours = first.map(|index| rounds.turns[index].clone()).unwrap_or_default();
    for (running, turns) in running.iter().zip(&rounds.turns) {
        let mut entry = Entry::of(&running.name, row, turns, &ours);
        entry.configuration = running.configuration.clone();
        entries.push(entry);
    }
    let place = |entry: &Entry| peers.iter().position(|(name, _)| *name == entry.peer);
    entries.sort_by_key(place);
    drop(running);
    if !rounds.direct.is_empty() {
        let mut entry = Entry::of(DIRECT, row, &rounds.direct, &[]).without_cost();
        if let Kind::Latency { .. } = row.kind {
            entry.note += ", and the others add to it";
        }
        entries.push(entry);
    }
    if effort.counts
        && let Kind::Work { script, per_unit, .. } = row.kind
    {
        for (name, peer) in peers {
            if let Some(entry) = entries.iter_mut().find(|entry| entry.peer == *name) {
                count(entry, name, peer, script, per_unit, world);
            }
        }
    }
    Ok(Result { row, entries, foreign: median(&rounds.foreign), rate })
}

/// The rounds that count.
struct Rounds {
    /// By peer, then by round.
    turns: Vec<Vec<Turn>>,
    direct: Vec<Turn>,
    foreign: Vec<f64>,
}

impl Rounds {
    fn new(peers: usize) -> Rounds {
        Rounds { turns: vec![Vec::new(); peers], direct: Vec::new(), foreign: Vec::new() }
    }

    fn add(&mut self, round: Round) {
        self.foreign.push(round.foreign);
        self.direct.extend(round.direct);
        for (all, turn) in self.turns.iter_mut().zip(round.turns) {
            all.push(turn);
        }
    }
}

/// One turn of each.
struct Round {
    turns: Vec<Turn>,
    direct: Option<Turn>,
    foreign: f64,
}

/// One turn of each, in an order that differs from round to round.
fn round(
    row: &Row,
    running: &[Running],
    rate: f64,
    number: usize,
    effort: Effort,
    world: &mut World,
) -> io::Result<Round> {
    let mut turns = vec![Turn::default(); running.len()];
    let mut order: Vec<usize> = (0..running.len()).collect();
    order.rotate_left(number / 2 % running.len().max(1));
    if number % 2 == 1 {
        order.reverse();
    }
    let mut foreign = 0;
    let began = Instant::now();
    let before = measure::kept_waiting_ns();
    // Times are compared with it round by round; how fast it goes is only a limit.
    let direct = match row.kind {
        Kind::Work { .. } if number > 0 => None,
        _ => turns::without(row, world.backends()[0], rate, effort, world)?,
    };
    for index in order {
        let peer = &running[index];
        let waited = measure::waited_ns(peer.pid());
        turns[index] = turn(row, peer, rate, direct.as_ref(), effort, world)?;
        foreign += measure::waited_ns(peer.pid()).saturating_sub(waited);
    }
    foreign += measure::kept_waiting_ns().saturating_sub(before);
    let all = began.elapsed().as_nanos() as f64;
    Ok(Round { turns, direct, foreign: foreign as f64 / all })
}

impl Entry {
    /// What these turns come to, beside ours of the same rounds.
    pub fn of(name: &str, row: &Row, turns: &[Turn], ours: &[Turn]) -> Entry {
        let costs: Vec<f64> = turns.iter().map(|turn| turn.cost).collect();
        let pairs = ours.iter().zip(turns);
        // Who makes errors is not compared, however fast; where errors are the row, they are told.
        let counts_errors = matches!(row.kind, Kind::Churn);
        let is_sound = |turn: &Turn| turn.errors == 0 || counts_errors;
        let are_sound = ours.iter().chain(turns).all(is_sound);
        let ratios: Vec<f64> =
            pairs.filter(|_| are_sound).map(|(us, them)| us.cost / them.cost).collect();
        let speeds: Vec<f64> = turns.iter().map(|turn| turn.speed).collect();
        let all_times: Vec<[f64; 3]> = turns.iter().filter_map(|turn| turn.times).collect();
        let at = |index: usize| -> f64 {
            median(&all_times.iter().map(|times| times[index]).collect::<Vec<_>>())
        };
        let times = (!all_times.is_empty()).then(|| [at(0), at(1), at(2)]);
        let speed = Some(median(&speeds)).filter(|&speed| speed > 0.0);
        let resumed: u64 = turns.iter().map(|turn| turn.resumed).sum();
        let mut note = match (times, speed) {
            (Some([p50, p99, p999]), _) => {
                let [p50, p99, p999] = [Figure(p50), Figure(p99), Figure(p999)];
                format!("p50 {p50}, p99 {p99}, p99.9 {p999} us")
            }
            (None, Some(speed)) => format!("{} {}s a second", Figure(speed), row.unit()),
            (None, None) => String::new(),
        };
        if resumed > 0 {
            note += &format!(", {resumed} sessions resumed");
        }
        Entry {
            peer: name.to_owned(),
            ratio: estimate(&ratios),
            costs,
            goal: row.goal(name),
            times,
            speed,
            errors: turns.iter().map(|turn| turn.errors).sum(),
            error: turns.iter().find_map(|turn| turn.error.clone()),
            note,
            calls: None,
            instructions: None,
            configuration: String::new(),
        }
    }

    /// Nothing was paid: there was nobody between.
    fn without_cost(self) -> Entry {
        Entry { costs: Vec::new(), ..self }
    }

    fn absent(name: &str, row: &Row, why: String) -> Entry {
        let turn = Turn { errors: 1, error: Some(why), ..Turn::default() };
        Entry::of(name, row, &[turn], &[]).without_cost()
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
