//! The clients of `--demo`, how many of them there are, and how long each of them waited.
//!
//! A client is a thread with a number. Those up to the number that is wanted ask; the others wait
//! until they are wanted, and none is ever started twice. What goes wrong is reported and tried
//! again; it never ends a thread.

use std::collections::VecDeque;
use std::io::{self, Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::client;
use crate::limits::{
    DEMO_CROWD_MAX, DEMO_RETRY_PAUSE, DEMO_THINK_MS_MAX, DEMO_TIMES_MAX, DEMO_WINDOW,
};

/// The clients; clones are the same crowd.
#[derive(Debug, Clone)]
pub struct Crowd {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    front: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wanted: usize,
    started: usize,
    failed: u64,
    answered: u64,
    times: Times,
}

/// Response times of the last moments, each with who answered.
#[derive(Debug, Default)]
struct Times {
    kept: VecDeque<(Instant, Option<SocketAddr>, Duration)>,
}

/// How long answers took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quantiles {
    /// Half of them took no longer.
    pub p50: Option<Duration>,
    /// 99 of 100 took no longer.
    pub p99: Option<Duration>,
}

/// What the clients have seen.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// So many ask.
    pub clients: usize,
    /// Answers that were none, since the start.
    pub failed: u64,
    /// Whole greetings, since the start.
    pub answered: u64,
    /// Of the last moments.
    pub all: Quantiles,
    /// The same of each backend that was asked for.
    pub each: Vec<Quantiles>,
}

impl Crowd {
    /// So many clients, who ask `front` for as long as the process lives.
    pub fn start(front: SocketAddr, clients: usize) -> Crowd {
        let shared = Shared { front, state: Mutex::default(), changed: Condvar::new() };
        let crowd = Crowd { shared: Arc::new(shared) };
        crowd.want(clients);
        crowd
    }

    /// From now on so many ask, within limits; those who wait for an answer get it first.
    pub fn want(&self, clients: usize) {
        let mut state = self.state();
        state.wanted = clients.min(DEMO_CROWD_MAX);
        while state.started < state.wanted {
            state.started += 1;
            let number = state.started;
            let thread = thread::Builder::new().name(format!("demo-client-{number}"));
            let crowd = self.clone();
            if let Err(error) = thread.spawn(move || keep_asking(&crowd, number)) {
                log::warn!("demo client {number}: cannot start: {error}");
            }
        }
        self.shared.changed.notify_all();
    }

    /// So many more ask, or fewer; one at least.
    pub fn change(&self, by: isize) {
        let now = self.state().wanted;
        self.want(now.saturating_add_signed(by).max(1));
    }

    /// Who is asked.
    pub fn front(&self) -> SocketAddr {
        self.shared.front
    }

    /// Waits until the client with this number is wanted.
    pub fn wait_for_turn(&self, number: usize) {
        let is_spare = |state: &mut State| state.wanted < number;
        drop(self.shared.changed.wait_while(self.state(), is_spare));
    }

    /// A greeting came, from there, after so long.
    pub fn answered(&self, by: Option<SocketAddr>, took: Duration) {
        let mut state = self.state();
        state.answered += 1;
        state.times.add(Instant::now(), by, took);
    }

    /// Something else came, or nothing.
    pub fn failed(&self) {
        self.state().failed += 1;
    }

    /// What it comes to, with these backends apart.
    pub fn told(&self, backends: &[SocketAddr]) -> Told {
        let mut state = self.state();
        state.times.forget(Instant::now());
        Told {
            clients: state.wanted,
            failed: state.failed,
            answered: state.answered,
            all: state.times.quantiles(|_| true),
            each: backends
                .iter()
                .map(|it| state.times.quantiles(|by| by == Some(*it)))
                .collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for a greeting, again and again, while it is wanted. Reports when answers stop and when
/// they come again, not each failure in between; ends when nobody listens any more.
fn keep_asking(crowd: &Crowd, number: usize) {
    let front = crowd.front();
    let request = format!("GET / HTTP/1.1\r\nHost: {front}\r\nConnection: close\r\n\r\n");
    let mut failures = 0_u64;
    // Nobody asks without a pause, and nobody in step with the others.
    let think = || thread::sleep(Duration::from_millis(fastrand::u64(1..=DEMO_THINK_MS_MAX)));
    think();
    loop {
        crowd.wait_for_turn(number);
        let start = Instant::now();
        match client::ask(front, request.as_bytes()).and_then(|answer| check(&answer)) {
            Ok(by) => {
                crowd.answered(by, start.elapsed());
                if failures > 0 {
                    log::info!("demo client {number}: answered again ({failures} failed)");
                }
                failures = 0;
                think();
            }
            // The balancer resets clients that it cannot serve; only one that is stopping refuses.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            Err(error) => {
                crowd.failed();
                if failures == 0 {
                    log::warn!("demo client {number}: {error}");
                }
                failures += 1;
                thread::sleep(DEMO_RETRY_PAUSE);
            }
        }
    }
}

/// Whose greeting this is, if it is one, whole.
fn check(answer: &[u8]) -> io::Result<Option<SocketAddr>> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let name = body.strip_prefix("Hello from ").and_then(|rest| rest.strip_suffix('\n'));
    if let Some(name) = name.filter(|_| head.starts_with("HTTP/1.1 200 ")) {
        return Ok(name.parse().ok());
    }
    let line = head.lines().next().unwrap_or_default();
    Err(Error::new(ErrorKind::InvalidData, format!("not a greeting: {line:?}")))
}

impl Times {
    fn add(&mut self, now: Instant, by: Option<SocketAddr>, took: Duration) {
        if self.kept.len() == DEMO_TIMES_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back((now, by, took));
    }

    fn forget(&mut self, now: Instant) {
        while self.kept.front().is_some_and(|it| now.duration_since(it.0) > DEMO_WINDOW) {
            self.kept.pop_front();
        }
    }

    fn quantiles(&self, is_meant: impl Fn(Option<SocketAddr>) -> bool) -> Quantiles {
        let meant = self.kept.iter().filter(|it| is_meant(it.1));
        let mut times: Vec<Duration> = meant.map(|it| it.2).collect();
        times.sort_unstable();
        // The smallest that this share of all does not exceed.
        let at = |hundredths: usize| {
            let rank = (times.len() * hundredths).div_ceil(100);
            times.get(rank.saturating_sub(1)).copied()
        };
        Quantiles { p50: at(50), p99: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn quantiles_are_of_the_last_moments_and_of_who_is_meant() {
        let start = Instant::now();
        let [a, b] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut times = Times::default();
        assert_eq!(times.quantiles(|_| true), Quantiles::default());
        times.add(start, Some(b), Duration::from_secs(9));
        let later = start + DEMO_WINDOW + Duration::from_millis(1);
        (1..=100).for_each(|n| times.add(later, Some(a), Duration::from_millis(n)));
        times.forget(later);
        assert_eq!(times.quantiles(|_| true), Quantiles { p50: ms(50), p99: ms(99) });
        times.add(later, None, Duration::from_secs(1));
        times.add(later, Some(b), Duration::from_secs(2));
        assert_eq!(times.quantiles(|_| true), Quantiles { p50: ms(51), p99: ms(1000) });
        let of_b = times.quantiles(|by| by == Some(b));
        assert_eq!(of_b, Quantiles { p50: ms(2000), p99: ms(2000) });
    }

    #[test]
    fn no_more_times_are_kept_than_may_be() {
        let mut times = Times::default();
        let now = Instant::now();
        (0..DEMO_TIMES_MAX + 5).for_each(|_| times.add(now, None, Duration::ZERO));
        assert_eq!(times.kept.len(), DEMO_TIMES_MAX);
    }

    #[test]
    fn only_a_whole_greeting_is_a_greeting() {
        let whole = check(b"HTTP/1.1 200 OK\r\n\r\nHello from here\n");
        assert_eq!(whole.expect("a greeting"), None);
        let whole = check(b"HTTP/1.1 200 OK\r\n\r\nHello from 127.0.0.1:1\n");
        assert_eq!(whole.expect("a greeting"), Some(([127, 0, 0, 1], 1).into()));
        assert!(check(b"HTTP/1.1 200 OK\r\n\r\nHello fr").is_err());
        assert!(check(b"HTTP/1.1 503 Busy\r\n\r\nHello from here\n").is_err());
        assert!(check(b"\xff").is_err());
    }
}
