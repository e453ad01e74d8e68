//! Counters by name: they go on where they were before a restart, and another process adds what it
//! counted. Whoever reads names that it does not know leaves them out, and what has no name there
//! begins at 0: so two versions understand each other.

use super::{BackendCounts, Stats};

type Total = (&'static str, fn(&mut Stats) -> &mut u64);

/// Those of the process, under the names of their rows. Where one is the sum of others, all of them
/// are here.
const TOTALS: &[Total] = &[
    ("connections_total", |it| &mut it.accepted),
    ("connections_finished", |it| &mut it.finished),
    ("connections_failed", |it| &mut it.failed),
    ("requests", |it| &mut it.requests),
    ("bad_requests", |it| &mut it.bad_requests),
    ("request_fields_dropped", |it| &mut it.fields_dropped),
    ("aborted_requests", |it| &mut it.aborted),
    ("slow_bodies", |it| &mut it.slow_clients.bodies),
    ("slow_readers", |it| &mut it.slow_clients.readers),
    ("requests_too_long", |it| &mut it.requests_too_long),
    ("connections_too_old", |it| &mut it.connections_too_old),
    ("unserved_requests", |it| &mut it.unserved),
    ("unknown_names", |it| &mut it.names_unknown),
    ("bad_hellos", |it| &mut it.hellos_bad),
    ("late_hellos", |it| &mut it.hellos_too_late),
    ("proxy_header_failures", |it| &mut it.proxy_header_failures),
    ("tls_handshakes.done", |it| &mut it.handshakes.done),
    ("tls_handshakes.resumed", |it| &mut it.handshakes.resumed),
    ("tls_handshakes.failed", |it| &mut it.handshakes.failed),
    ("tls_handshakes.subjects_left_out", |it| &mut it.handshakes.subjects_left_out),
    ("refused", |it| &mut it.refused),
    ("retries", |it| &mut it.retries),
    ("retries_over_budget", |it| &mut it.retries_over_budget),
    ("out_of_descriptors", |it| &mut it.exhausted_elsewhere),
    ("idle_connections_gave_way", |it| &mut it.idle_gave_way),
    ("clients_gave_way", |it| &mut it.clients_gave_way),
    ("log_lines_dropped", |it| &mut it.log_dropped_elsewhere),
    ("mirror.sent", |it| &mut it.mirror.sent),
    ("mirror.dropped_busy", |it| &mut it.mirror.dropped_busy),
    ("mirror.dropped_large", |it| &mut it.mirror.dropped_large),
    ("mirror.failed", |it| &mut it.mirror.failed),
    ("dns_lookups", |it| &mut it.dns.lookups),
    ("dns_lookups_failed", |it| &mut it.dns.failures),
    ("dns_strangers", |it| &mut it.dns.strangers),
    ("admin_refused", |it| &mut it.admin_refused),
    ("heartbeats", |it| &mut it.heartbeats),
    ("heartbeats_refused", |it| &mut it.heartbeats_refused),
    ("state_save_failures", |it| &mut it.state_failures),
    ("takeovers_failed", |it| &mut it.takeovers_failed),
    ("history_save_failures", |it| &mut it.history_failures),
    ("bytes.in", |it| &mut it.relayed.to_backend),
    ("bytes.out", |it| &mut it.relayed.to_client),
    ("udp.flows_total", |it| &mut it.udp.opened),
    ("udp.flows_ended.finished", |it| &mut it.udp.finished),
    ("udp.flows_ended.idle", |it| &mut it.udp.idle),
    ("udp.flows_ended.gave_way", |it| &mut it.udp.gave_way),
    ("udp.flows_ended.refused", |it| &mut it.udp.refused),
    ("udp.flows_ended.backend_down", |it| &mut it.udp.backend_down),
    ("udp.flows_ended.cut_off", |it| &mut it.udp.cut_off),
    ("udp.datagrams.from_clients", |it| &mut it.udp.from_clients),
    ("udp.datagrams.to_backends", |it| &mut it.udp.to_backends),
    ("udp.datagrams.from_backends", |it| &mut it.udp.from_backends),
    ("udp.datagrams.to_clients", |it| &mut it.udp.to_clients),
    ("udp.dropped.full", |it| &mut it.udp.dropped_full),
    ("udp.dropped.no_backend", |it| &mut it.udp.dropped_no_backend),
    ("udp.dropped.stopping", |it| &mut it.udp.dropped_stopping),
    ("udp.dropped.no_header", |it| &mut it.udp.dropped_no_header),
    ("udp.dropped.unsent", |it| &mut it.udp.dropped_unsent),
    ("udp.receive_errors", |it| &mut it.udp.errors),
];

impl Stats {
    /// What they are now. Who is here yet is counted as ended: whoever reads this has them not.
    pub fn totals(&self) -> Vec<(String, u64)> {
        let mut stats = self.clone();
        stats.failed += stats.open;
        stats.udp.cut_off += stats.udp.open;
        stats.counted()
    }

    /// What they are, for a process that goes on counting who is here yet.
    pub fn counted(&self) -> Vec<(String, u64)> {
        let mut stats = self.clone();
        // What other processes counted is apart from what is counted here: the number is of both.
        stats.exhausted_elsewhere = self.out_of_descriptors();
        stats.log_dropped_elsewhere = self.log_dropped();
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
