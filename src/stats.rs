//! Plain counters, exact because there is one thread; and how they are shown.
//!
//! ```text
//!   counters --taken--> snapshot --rows of tables--> JSON, status page, manual
//! ```
//!
//! Counting is one addition to a field of the structs below. The number is shown once it has a row
//! in [`tables`], which names it and says what it is.

pub mod exposition;
pub mod field;
pub mod histogram;
pub mod json;
pub mod pages;
pub mod snapshot;
pub mod tables;
pub mod times;
mod totals;
pub mod traffic;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Is told each number by its name, and may change it.
pub type Each<'a> = &'a mut dyn FnMut(&str, &mut u64);

/// A time as such a number, in nanoseconds: 584 years of them fit.
pub fn each_time(name: &str, time: &mut Duration, each: Each<'_>) {
    let before = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut nanos = before;
    each(name, &mut nanos);
    *time = time.saturating_add(Duration::from_nanos(nanos.saturating_sub(before)));
}

/// What the process counted.
#[derive(Debug, Default, Clone)]
pub struct Stats {
    /// Clients here now.
    pub open: u64,
    /// Clients accepted.
    pub accepted: u64,
    /// Pairs closed because both sides had finished.
    pub finished: u64,
    /// Pairs that ended in any other way, refusals included.
    pub failed: u64,
    /// Handshakes of TLS clients.
    pub handshakes: Handshakes,
    /// HTTP requests.
    pub requests: u64,
    /// Fields of requests that did not pass: a backend could have taken them for others.
    pub fields_dropped: u64,
    /// HTTP requests that were none.
    pub bad_requests: u64,
    /// HTTP requests whose client went away before it had its answer.
    pub aborted: u64,
    /// HTTP requests whose client sent its body, or took its answer, too slowly.
    pub slow_clients: Slow,
    /// HTTP requests that took longer than they may.
    pub requests_too_long: u64,
    /// Connections that were kept for as long as they may be.
    pub connections_too_old: u64,
    /// HTTP requests that no service takes.
    pub unserved: u64,
    /// Clients of TLS that asked for a name that nobody serves.
    pub names_unknown: u64,
    /// Clients of TLS that began with something else.
    pub hellos_bad: u64,
    /// TLS clients whose ClientHello did not come in time.
    pub hellos_too_late: u64,
    /// Clients and datagrams without the PROXY header that is required of them.
    pub proxy_header_failures: u64,
    /// Clients turned away because no backend could be chosen.
    pub refused: u64,
    /// Bytes of clients and their backends, for the line that is said at the end.
    pub relayed: Moved,
    /// Connects repeated at another backend.
    pub retries: u64,
    /// Those that were not, for want of budget.
    pub retries_over_budget: u64,
    /// Times that descriptors or memory had run out.
    pub exhausted: u64,
    /// Idle connections to backends closed because descriptors had run out.
    pub idle_gave_way: u64,
    /// Clients closed between two requests to make room for others.
    pub clients_gave_way: u64,
    /// Accepts that failed for lack of descriptors or memory.
    pub accept_failures: u64,
    /// Both, as other processes counted them: nothing is short here for it.
    pub exhausted_elsewhere: u64,
    /// What became of copies of requests.
    pub mirror: Mirrored,
    /// What was looked up.
    pub dns: Names,
    /// What became of datagrams.
    pub udp: Datagrams,
    /// Log lines dropped because nobody read them.
    pub log_dropped: Arc<AtomicU64>,
    /// The same of other processes.
    pub log_dropped_elsewhere: u64,
    /// States that could not be saved.
    pub state_failures: u64,
    /// New processes that asked for our place and did not take it.
    pub takeovers_failed: u64,
    /// Times that history could not be written.
    pub history_failures: u64,
    /// Admin connections for which there was no room.
    pub admin_refused: u64,
    /// Heartbeats that came in datagrams.
    pub heartbeats: u64,
    /// Those of them that changed nothing, for they were not signed well or not wanted.
    pub heartbeats_refused: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// The longest time between two polls.
    pub longest_turn: Duration,
    /// How long all of them were.
    pub turn_times: times::Times,
}

/// What clients were too slow with.
#[derive(Debug, Default, Clone, Copy)]
pub struct Slow {
    /// Bodies of requests.
    pub bodies: u64,
    /// Answers that were not taken.
    pub readers: u64,
}

/// What became of the handshakes of TLS clients.
#[derive(Debug, Default, Clone, Copy)]
pub struct Handshakes {
    /// Done, resumed ones included.
    pub done: u64,
    /// Short ones, from a session before.
    pub resumed: u64,
    /// Refused, broken off, or too late.
    pub failed: u64,
    /// Done with a client's certificate whose subject is too long to be told to backends.
    pub subjects_left_out: u64,
}

/// What became of copies of requests: each is counted once, at its end.
#[derive(Debug, Default, Clone, Copy)]
pub struct Mirrored {
    /// Sent, and answered whole.
    pub sent: u64,
    /// Not sent: there were too many others.
    pub dropped_busy: u64,
    /// Not sent: too long.
    pub dropped_large: u64,
    /// Not sent whole, or not answered whole in time.
    pub failed: u64,
}

/// Names of backends that were looked up.
#[derive(Debug, Default, Clone, Copy)]
pub struct Names {
    /// Look-ups that were begun.
    pub lookups: u64,
    /// Those that found nothing.
    pub failures: u64,
    /// Messages that nobody waited for: somebody guesses, or a server is late.
    pub strangers: u64,
}

/// Flows of UDP, and their datagrams: every one that came went out, or is counted as dropped.
#[derive(Debug, Default, Clone)]
pub struct Datagrams {
    /// Whether there is a listener for them.
    pub is_used: bool,
    /// Flows now.
    pub open: u64,
    /// Flows ever.
    pub opened: u64,
    /// Flows that ended because they had all their answers.
    pub finished: u64,
    /// Because nothing moved.
    pub idle: u64,
    /// Because they gave way to another one.
    pub gave_way: u64,
    /// Because the backend's machine refused their datagrams.
    pub refused: u64,
    /// Because their backend went down.
    pub backend_down: u64,
    /// Because we stopped, or had nothing left.
    pub cut_off: u64,
    /// Datagrams that came from clients.
    pub from_clients: u64,
    /// Datagrams sent on to backends.
    pub to_backends: u64,
    /// Datagrams that came from backends.
    pub from_backends: u64,
    /// Datagrams sent back to clients.
    pub to_clients: u64,
    /// Dropped: there was no room for a flow.
    pub dropped_full: u64,
    /// Dropped: there was no backend for a flow, or no socket.
    pub dropped_no_backend: u64,
    /// Dropped: a new flow while we are stopping.
    pub dropped_stopping: u64,
    /// Dropped: they have no PROXY header, and have to.
    pub dropped_no_header: u64,
    /// Dropped: the kernel did not take them.
    pub dropped_unsent: u64,
    /// Receives that failed.
    pub errors: u64,
}

/// Bytes that were relayed, each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// From a client to a backend.
    pub to_backend: u64,
    /// From a backend to a client.
    pub to_client: u64,
}

impl Moved {
    /// So many towards a backend.
    pub fn to_backend(bytes: u64) -> Moved {
        Moved { to_backend: bytes, to_client: 0 }
    }

    /// So many towards a client.
    pub fn to_client(bytes: u64) -> Moved {
        Moved { to_backend: 0, to_client: bytes }
    }

    /// So much was moved beside it.
    #[inline]
    pub fn add(&mut self, more: Moved) {
        self.to_backend += more.to_backend;
        self.to_client += more.to_client;
    }

    /// What was moved since then.
    pub fn since(self, before: Moved) -> Moved {
        Moved {
            to_backend: self.to_backend - before.to_backend,
            to_client: self.to_client - before.to_client,
        }
    }
}

/// Lets one line of log through now and then, however often there is something to say
/// (pitfall 32).
#[derive(Debug, Default)]
pub struct LogThrottle {
    last: Option<Instant>,
}

/// A listener, as others see it.
#[derive(Debug, Clone)]
pub struct ListenerStats {
    /// What is spoken there, and where: `http://127.0.0.1:8000`.
    pub name: String,
    /// The port that it listens at, in digits: it is told to backends with each request.
    pub port: String,
    /// Clients of it here now.
    pub open: u64,
}

impl Stats {
    /// Log lines dropped. The log counts them itself, for other threads write to it as well.
    pub fn log_dropped(&self) -> u64 {
        self.log_dropped_elsewhere + self.log_dropped.load(Ordering::Relaxed)
    }

    /// How often there was no descriptor, port or memory for a socket.
    pub fn out_of_descriptors(&self) -> u64 {
        self.exhausted + self.accept_failures + self.exhausted_elsewhere
    }

    /// The same in this process alone.
    pub fn shortages(&self) -> u64 {
        self.exhausted + self.accept_failures
    }
}

impl Datagrams {
    /// All that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped_full
            + self.dropped_no_backend
            + self.dropped_stopping
            + self.dropped_no_header
            + self.dropped_unsent
    }
}

/// What is counted of a backend.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct BackendCounts {
    /// Connections given to it, or exchanges.
    pub given: u64,
    /// Connects and datagrams to it that failed.
    pub failures: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
    /// Bytes that came from it.
    pub bytes_received: u64,
    /// Answers by the first digit of their status, 1xx first.
    pub answers: [u64; 5],
    /// Connects of requests that failed.
    pub connect_errors: u64,
    /// Requests whose answer did not come in time.
    pub timeouts: u64,
    /// Answers that were none, or broke off.
    pub broken: u64,
    /// Requests and connections that another backend was given because this one failed.
    pub moved_on: u64,
    /// Probes that failed.
    pub check_failures: u64,
    /// Times that it went down.
    pub downs: u64,
}

/// What became of those who waited for a backend of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Clients that began to wait.
    pub queued: u64,
    /// Clients that could not, for the queue was full.
    pub full: u64,
    /// Clients that waited for too long.
    pub late: u64,
    /// Clients that went away while they waited.
    pub left: u64,
    /// The most that waited at once.
    pub most: u64,
}

impl QueueCounts {
    /// All that only grow, by name.
    pub fn each_sum(&mut self, each: Each<'_>) {
        each("queued", &mut self.queued);
        each("queue_full", &mut self.full);
        each("queue_timeouts", &mut self.late);
        each("queue_left", &mut self.left);
    }
}

/// Why there is no answer, or not all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The backend did not take a connection.
    Connect,
    /// It took too long.
    Timeout,
    /// It broke off, or what it said is no answer.
    Broken,
}

impl BackendCounts {
    /// An answer with this status came.
    pub fn count_answer(&mut self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5);
        self.answers[class - 1] += 1;
    }

    /// There was none.
    pub fn count_failure(&mut self, failure: Failure) {
        match failure {
            Failure::Connect => self.connect_errors += 1,
            Failure::Timeout => self.timeouts += 1,
            Failure::Broken => self.broken += 1,
        }
    }
}

/// Events a second, over the last second and the last minute.
///
/// A ring of one-second counters that is brought up to date when somebody counts or looks, so that
/// it costs nothing while nothing happens.
#[derive(Debug, Clone)]
pub struct Rate {
    start: Instant,
    /// The second that `ring` was last brought up to.
    second: u64,
    /// When that second is over.
    until: Instant,
    ring: [u32; Rate::SECONDS],
}

/// What a [`Rate`] says.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct PerSecond {
    /// Events in the last whole second.
    pub last_second: u32,
    /// Events a second, over the last whole minute.
    pub last_minute: f64,
    /// Events in the last whole minute.
    pub in_minute: u64,
}

impl LogThrottle {
    /// Whether the last one that was let through is at least `pause` ago.
    pub fn allows(&mut self, now: Instant, pause: Duration) -> bool {
        let passes = self.last.is_none_or(|last| now.saturating_duration_since(last) >= pause);
        if passes {
            self.last = Some(now);
        }
        passes
    }
}

impl Rate {
    const SECONDS: usize = 61;

    /// Nothing counted yet.
    pub fn new(now: Instant) -> Rate {
        let until = now + Duration::from_secs(1);
        Rate { start: now, second: 0, until, ring: [0; Rate::SECONDS] }
    }

    /// Count one event.
    pub fn count(&mut self, now: Instant) {
        self.advance(now);
        let slot = &mut self.ring[self.second as usize % Rate::SECONDS];
        *slot = slot.saturating_add(1);
    }

    /// How many there were lately.
    pub fn per_second(&mut self, now: Instant) -> PerSecond {
        self.advance(now);
        let now = self.second as usize % Rate::SECONDS;
        let last_second = self.ring[(now + Rate::SECONDS - 1) % Rate::SECONDS];
        let sum: u64 = self.ring.iter().map(|&count| u64::from(count)).sum();
        let minute = sum - u64::from(self.ring[now]);
        let seconds = self.second.clamp(1, Rate::SECONDS as u64 - 1);
        PerSecond {
            last_second,
            last_minute: minute as f64 / seconds as f64,
            in_minute: minute,
        }
    }

    fn advance(&mut self, now: Instant) {
        if now < self.until {
            return;
        }
        let second = now.saturating_duration_since(self.start).as_secs();
        let passed = (second - self.second).min(Rate::SECONDS as u64);
        for ago in 0..passed {
            self.ring[(second - ago) as usize % Rate::SECONDS] = 0;
        }
        self.second = second;
        self.until = self.start + Duration::from_secs(second + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitfall_32_seldom_is_once_in_a_pause() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut seldom = LogThrottle::default();
        let passed = [0, 1, 9, 10, 11, 19, 40]
            .map(|second| u8::from(seldom.allows(at(second), Duration::from_secs(10))));
        assert_eq!(passed, [1, 0, 0, 1, 0, 0, 1]);
    }

    #[test]
    fn a_rate_forgets_what_is_over_a_minute_ago() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut rate = Rate::new(start);
        for second in 0..10 {
            (0..6).for_each(|_| rate.count(at(second)));
        }
        let mut told = |second| {
            let PerSecond { last_second, last_minute, .. } = rate.per_second(at(second));
            (last_second, last_minute)
        };
        assert_eq!(told(10), (6, 6.0));
        assert_eq!(told(60), (0, 1.0));
        assert_eq!(told(65), (0, 0.5), "five of the ten seconds are left");
        assert_eq!(told(1000), (0, 0.0));
    }
}
