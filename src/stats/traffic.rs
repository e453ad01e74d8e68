//! What is done for clients: counted once for their service, and once for their pool.
//!
//! ```text
//!   an answer, ours or a backend's ----------> answers, responses --> lately: a second of times
//!   the end of a connection or of a flow ----> connections, failed, aborted
//! ```

use std::time::Duration;

use super::histogram::Histogram;
use super::times::Times;
use super::{Each, Moved};

/// Of a service, or of a pool.
#[derive(Debug, Default)]
pub struct Traffic {
    /// What was counted.
    pub counts: TrafficCounts,
    /// How long after a request the head of its answer came, where a backend gave it.
    pub responses: Times,
    /// The same since somebody looked last, if anybody looks at all.
    lately: Option<Box<Histogram>>,
}

/// What was counted of a service, or of a pool.
#[derive(Debug, Default, Clone, Copy)]
pub struct TrafficCounts {
    /// Clients that came.
    pub clients: u64,
    /// Connections of TCP and flows of UDP that ended.
    pub connections: u64,
    /// Answers to requests by the first digit of their status, 1xx first: also those of our own.
    pub answers: [u64; 5],
    /// Connections, and answers in the middle of them, that broke off by a backend's fault or ours.
    pub failed: u64,
    /// Those that clients broke off.
    pub aborted: u64,
    /// Bytes that came from clients.
    pub bytes_in: u64,
    /// Bytes that went to them.
    pub bytes_out: u64,
}

/// Who is to blame for an end that was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// It ended as it should.
    Nobody,
    /// The client went, or was too slow.
    Client,
    /// A backend, or we ourselves.
    Server,
}

impl Traffic {
    /// Times are kept for whoever looks each second.
    pub fn watch(&mut self) {
        self.lately.get_or_insert_default();
    }

    /// Nobody looks any more.
    pub fn unwatch(&mut self) {
        self.lately = None;
    }

    /// A request was answered with this status.
    #[inline]
    pub fn answered(&mut self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5);
        self.counts.answers[class - 1] += 1;
    }

    /// The head of the answer took so long.
    #[inline]
    pub fn timed(&mut self, took: Duration) {
        self.responses.record(took);
        if let Some(lately) = &mut self.lately {
            lately.record(took);
        }
    }

    /// Bytes moved.
    #[inline]
    pub fn moved(&mut self, moved: Moved) {
        self.counts.bytes_in += moved.to_backend;
        self.counts.bytes_out += moved.to_client;
    }

    /// Something broke off.
    pub fn broke_off(&mut self, blame: Blame) {
        match blame {
            Blame::Nobody => {}
            Blame::Client => self.counts.aborted += 1,
            Blame::Server => self.counts.failed += 1,
        }
    }

    /// All that is counted, by name.
    pub fn each_sum(&mut self, each: Each<'_>) {
        let it = &mut self.counts;
        let [informed, good, moved, refused, broken] = &mut it.answers;
        let numbers = [
            ("connections_total", &mut it.clients),
            ("streams_ended", &mut it.connections),
            ("streams_failed", &mut it.failed),
            ("streams_aborted", &mut it.aborted),
            ("responses.1xx", informed),
            ("responses.2xx", good),
            ("responses.3xx", moved),
            ("responses.4xx", refused),
            ("responses.5xx", broken),
            ("bytes.in", &mut it.bytes_in),
            ("bytes.out", &mut it.bytes_out),
        ];
        numbers.into_iter().for_each(|(name, count)| each(name, count));
        self.responses.each_sum("response_us", each);
    }

    /// The times since this was asked last, as far as somebody watches. They are forgotten.
    pub fn lately(&mut self) -> Option<&mut Histogram> {
        self.lately.as_deref_mut()
    }
}

impl TrafficCounts {
    /// Answers, and connections that ended. What goes on after an answer of 1xx is one of these.
    pub fn done(&self) -> u64 {
        self.answers[1..].iter().sum::<u64>() + self.connections
    }

    /// Answers of 500 and above, and what broke off by our fault or a backend's.
    pub fn errors(&self) -> u64 {
        self.answers[4] + self.failed
    }
}
