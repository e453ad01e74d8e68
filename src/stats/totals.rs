//! Counters that go on where they were before a restart, by the names under which they are saved.

use super::{BackendCounts, Stats};

type Total = (&'static str, fn(&mut Stats) -> &mut u64);

/// Those of the process. Where one is the sum of others, all of them are here.
const TOTALS: &[Total] = &[
    ("connections_total", |it| &mut it.accepted),
    ("connections_finished", |it| &mut it.finished),
    ("connections_failed", |it| &mut it.failed),
    ("requests", |it| &mut it.requests),
    ("bad_requests", |it| &mut it.bad_requests),
    ("request_fields_dropped", |it| &mut it.fields_dropped),
    ("aborted_requests", |it| &mut it.aborted),
    ("unserved_requests", |it| &mut it.unserved),
    ("tls_handshakes.done", |it| &mut it.handshakes.done),
    ("tls_handshakes.resumed", |it| &mut it.handshakes.resumed),
    ("tls_handshakes.failed", |it| &mut it.handshakes.failed),
    ("refused", |it| &mut it.refused),
    ("retries", |it| &mut it.retries),
    ("retries_over_budget", |it| &mut it.retries_over_budget),
];

impl Stats {
    /// What they are now. Who is here yet is counted as ended: whoever reads this has them not.
    pub fn totals(&self) -> Vec<(String, u64)> {
        let mut stats = self.clone();
        stats.failed += stats.open;
        TOTALS.iter().map(|(name, of)| ((*name).to_owned(), *of(&mut stats))).collect()
    }

    /// What they are, for a process that goes on counting who is here yet.
    pub fn counted(&self) -> Vec<(String, u64)> {
        let mut stats = self.clone();
        TOTALS.iter().map(|(name, of)| ((*name).to_owned(), *of(&mut stats))).collect()
    }

    /// Go on from these.
    pub fn add_totals(&mut self, totals: &[(String, u64)]) {
        for (name, of) in TOTALS {
            if let Some((_, total)) = totals.iter().find(|(it, _)| it == name) {
                let count = of(self);
                *count = count.saturating_add(*total);
            }
        }
    }
}

impl BackendCounts {
    /// Each number by its name.
    pub fn numbers(&mut self) -> [(&'static str, &mut u64); 15] {
        let [informed, good, moved, refused, broken] = &mut self.answers;
        [
            ("given", &mut self.given),
            ("failures", &mut self.failures),
            ("bytes_sent", &mut self.bytes_sent),
            ("bytes_received", &mut self.bytes_received),
            ("answers_1xx", informed),
            ("answers_2xx", good),
            ("answers_3xx", moved),
            ("answers_4xx", refused),
            ("answers_5xx", broken),
            ("connect_errors", &mut self.connect_errors),
            ("timeouts", &mut self.timeouts),
            ("broken", &mut self.broken),
            ("moved_on", &mut self.moved_on),
            ("check_failures", &mut self.check_failures),
            ("downs", &mut self.downs),
        ]
    }

    /// Go on from these.
    pub fn add(&mut self, mut before: BackendCounts) {
        for ((_, count), (_, more)) in self.numbers().into_iter().zip(before.numbers()) {
            *count = count.saturating_add(*more);
        }
    }
}
