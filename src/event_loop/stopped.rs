//! What a run came to: its last line in the log.

use std::time::{Duration, Instant};

use crate::config::{counted, duration_text};
use crate::stats::Stats;

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
    flows: u64,
    to_client: u64,
    to_backend: u64,
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

    /// What these counts grew by was counted elsewhere.
    pub(super) fn leave_out(&mut self, before: &Stats, after: &Stats) {
        let more = Totals::of(after).since(Totals::of(before));
        self.before = self.before.and(more);
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
            line.push_str(&format!(", {}", count(it.flows, "flow")));
        }
        let answered = rounded(it.to_client);
        let asked = rounded(it.to_backend);
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
            flows: stats.udp.opened,
            to_client: stats.relayed.to_client,
            to_backend: stats.relayed.to_backend,
        }
    }

    fn since(self, before: Totals) -> Totals {
        self.with(before, u64::saturating_sub)
    }

    fn and(self, more: Totals) -> Totals {
        self.with(more, u64::saturating_add)
    }

    fn with(self, other: Totals, act: fn(u64, u64) -> u64) -> Totals {
        Totals {
            accepted: act(self.accepted, other.accepted),
            finished: act(self.finished, other.finished),
            failed: act(self.failed, other.failed),
            refused: act(self.refused, other.refused),
            requests: act(self.requests, other.requests),
            flows: act(self.flows, other.flows),
            to_client: act(self.to_client, other.to_client),
            to_backend: act(self.to_backend, other.to_backend),
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
    use crate::stats::Moved;

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
        // What another process tells meanwhile is none of it.
        let here = stats.clone();
        stats.add_totals(&[("requests".to_owned(), 50), ("bytes.out".to_owned(), 1 << 30)]);
        run.leave_out(&here, &stats);
        assert!(run.summary(&stats, after).contains(" 1 request, 2 flows; relayed 1.5 MiB to"));
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
