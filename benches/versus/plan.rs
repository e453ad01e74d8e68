//! How long a run will take: said before it begins.

use std::time::Duration;

use crate::contest::Effort;
use crate::peers::Peer;
use crate::rows::{Kind, Row};
use crate::turns::{CHURN, OPEN_TURNS, SIZES, SIZES_TURNS};

/// Clients come in, one unit each, and go: beside the time of a turn.
const AROUND_A_TURN: f64 = 0.06;

/// Seconds until a peer listens.
const START: f64 = 0.03;

/// Connections a second of churn, as a proxy at the slow end does them.
const CHURNED: f64 = 13_000.0;

/// Connections a second that come in and rest.
const RESTING: f64 = 7_000.0;

/// Seconds to count a peer's system calls and instructions in a row.
const COUNTED: f64 = 5.0;

/// Seconds of the row of the picks, per round.
const PICKED: f64 = 0.6;

/// What these rows take with these peers, if nobody disturbs them.
pub fn time(rows: &[&Row], peers: &[(String, Peer)], effort: Effort) -> Duration {
    Duration::from_secs_f64(rows.iter().map(|row| seconds(row, peers, effort)).sum())
}

fn seconds(row: &Row, peers: &[(String, Peer)], effort: Effort) -> f64 {
    let players = row.players(peers).count() as f64;
    let rounds = row.rounds(effort.rounds) as f64;
    let turn = effort.time.as_secs_f64() + AROUND_A_TURN;
    let counted = players * COUNTED;
    let open = effort.time.as_secs_f64() * f64::from(OPEN_TURNS) + AROUND_A_TURN;
    let play = match row.kind {
        Kind::Work { .. } => {
            players * rounds * turn + turn + if effort.counts { counted } else { 0.0 }
        }
        Kind::Datagrams(_) => players * rounds * turn,
        Kind::Memory(_) => players * effort.connections as f64 / RESTING,
        // Each has to show first how fast it is.
        Kind::Latency { .. } => players * turn + rounds * (players + 1.0) * open,
        Kind::Sizes => {
            rounds * (players + 1.0) * open * f64::from(SIZES_TURNS) * SIZES.len() as f64
        }
        Kind::Fairness => rounds * (players + 1.0) * open,
        Kind::Churn => players * rounds * (CHURN as f64 / CHURNED + AROUND_A_TURN),
        Kind::Pick => return effort.rounds as f64 * PICKED,
    };
    play + players * START
}

/// A time as one says it: "about 13 minutes".
pub fn about(time: Duration) -> String {
    match time.as_secs() {
        0..2 => "a moment".to_owned(),
        seconds @ 2..90 => format!("about {seconds} seconds"),
        seconds => format!("about {} minutes", seconds.div_ceil(60)),
    }
}
