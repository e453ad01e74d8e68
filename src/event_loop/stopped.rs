//! What a run came to: its last line in the log.

use std::time::{Duration, Instant};

use crate::config::{counted, duration_text};
use crate::stats::{Moved, Stats};

/// When a run began, and what was counted before it.
#[derive(Debug)]
pub(super) struct Run {
    /// When it began.
    began: Instant,
    /// What a state file brought from runs before.
    before: Totals,
}

/// Those of the counters that are said at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    accepted: u64,
    finished: u64,
    failed: u64,
    refused: u64,
    requests: u64,
}

impl Run {
    /// It begins now.
    pub(super) fn new(now: Instant) -> Run {
        Run { began: now, before: Totals::default() }
    }

    /// These are from runs before.
    pub(super) fn go_on_from(&mut self, stats: &Stats) {
        self.before = Totals::of(stats);
    }

    /// It is over.
    pub(super) fn summary(&self, stats: &Stats, now: Instant) -> String {
        let it = Totals::of(stats).since(self.before);
        let ran = now.saturating_duration_since(self.began).as_secs();
        let count = |count: u64, what: &str| {
            counted(usize::try_from(count).unwrap_or(usize::MAX), what)
        };
        let mut line = format!(
            "stopped after {}: {} ({} finished, {} failed, {} of them refused), {}",
            duration_text(Duration::from_secs(ran)),
            count(it.accepted, "connection"),
            it.finished,
            it.failed,
            it.refused,
            count(it.requests, "request")
        );
        if stats.udp.is_used {
            line.push_str(&format!(", {}", count(stats.udp.opened, "flow")));
        }
        let Moved { to_client, to_backend } = stats.relayed;
        let answered = rounded(to_client);
        let asked = rounded(to_backend);
        line.push_str(&format!("; relayed {answered} to clients, {asked} to backends"));
        line
    }
}

impl Totals {
    fn of(stats: &Stats) -> Totals {
        Totals {
            accepted: stats.accepted,
            finished: stats.finished,
            failed: stats.failed,
            refused: stats.refused,
            requests: stats.requests,
        }
    }

    fn since(self, before: Totals) -> Totals {
        Totals {
            accepted: self.accepted.saturating_sub(before.accepted),
            finished: self.finished.saturating_sub(before.finished),
            failed: self.failed.saturating_sub(before.failed),
            refused: self.refused.saturating_sub(before.refused),
            requests: self.requests.saturating_sub(before.requests),
        }
    }
}

/// To three or four digits: exact counts are in the statistics.
fn rounded(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, unit)) => format!("{:.1} {unit}", bytes as f64 / (1_u64 << bits) as f64),
        None => counted(usize::try_from(bytes).unwrap_or(usize::MAX), "byte"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_says_what_it_did_and_not_what_was_before() {
        let now = Instant::now();
        let mut run = Run::new(now);
        let before = Stats { accepted: 100, requests: 7, ..Stats::default() };
        run.go_on_from(&before);
        let mut stats =
            Stats { accepted: 103, finished: 1, failed: 2, refused: 1, requests: 8, ..before };
        stats.relayed = Moved { to_client: 3 << 19, to_backend: 1 };
        let after = now + Duration::from_millis(90_900);
        assert_eq!(
            run.summary(&stats, after),
            "stopped after 90s: 3 connections (1 finished, 2 failed, 1 of them refused), \
             1 request; relayed 1.5 MiB to clients, 1 byte to backends"
        );
        stats.udp.is_used = true;
        stats.udp.opened = 2;
        assert!(run.summary(&stats, after).contains(" 1 request, 2 flows; relayed "));
    }

    #[test]
    fn bytes_are_rounded() {
        let table =
            [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB")];
        for (bytes, says) in table {
            assert_eq!(rounded(bytes), says);
        }
    }
}
