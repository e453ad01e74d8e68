//! The row of the picks: no traffic, and none of the others', for theirs cannot be had by
//! themselves. Each algorithm of ours, with few backends and with many.

use std::time::{Duration, Instant};

use pointsman::config::Algorithm;

use crate::contest::{Effort, Entry, Result};
use crate::picks::{BACKENDS, Scene};
use crate::rows::Row;
use crate::turns::Turn;

/// Looks at the clock are this far apart, so that they do not count.
const AT_ONCE: u32 = 1_000;

/// How long an algorithm may pick in a turn. Nothing waits and nobody takes turns: this is enough.
const TURN: Duration = Duration::from_millis(20);

pub fn play(row: &'static Row, effort: Effort) -> Result {
    let mut entries = Vec::new();
    for known in Algorithm::ALL {
        for count in BACKENDS {
            let mut scene = Scene::new(known.algorithm, count);
            let _to_warm_up = turn(&mut scene);
            let turns: Vec<Turn> = (0..effort.rounds).map(|_| turn(&mut scene)).collect();
            let rejoined = scene.rejoin(Instant::now());
            let rebuilt = rejoined.in_all.as_secs_f64() * 1e3;
            let mut entry = Entry::of(&format!("{}, {count}", known.name), row, &turns, &[]);
            entry.note = format!("a join after a leave costs it {rebuilt:.2} ms");
            entries.push(entry);
        }
    }
    Result { row, entries, foreign: 0.0, rate: None }
}

fn turn(scene: &mut Scene) -> Turn {
    let began = Instant::now();
    let mut picks = 0;
    while began.elapsed() < TURN {
        (0..AT_ONCE).for_each(|_| scene.pick(began));
        picks += AT_ONCE;
    }
    let cost = began.elapsed().as_nanos() as f64 / f64::from(picks);
    Turn { cost, ..Turn::default() }
}
