//! A reload that takes many turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::reload::{Client, pool, real_server, service, state};
use super::*;
use crate::limits::RELOAD_TIME;

/// How long a piece of it takes.
const PIECE: Duration = Duration::from_micros(100);

/// So many pieces, and then this is wanted.
struct Pieces {
    left: usize,
    done: Arc<AtomicUsize>,
    desired: Desired,
}

impl Rereading for Pieces {
    fn step(&mut self) -> bool {
        let until = Instant::now() + PIECE;
        while Instant::now() < until {}
        self.done.fetch_add(1, Ordering::Relaxed);
        self.left -= 1;
        self.left > 0
    }

    fn finish(self: Box<Self>) -> Result<Reading, Vec<String>> {
        Ok(Reading { desired: self.desired, tell: Box::new(|_| Vec::new()) })
    }
}

/// A loop whose host `a.test` leads to `old`, and to `new` after a reload of so many pieces. With
/// how many of them are done, and how many reloads were begun.
fn loop_and_counts(pieces: usize) -> (EventLoop, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let wanted = |name: &'static str| {
        let services = vec![service("a", "a.test", Some("p"))];
        state(services, vec![pool("p", &[real_server(name)])])
    };
    let mut looping = loop_for(wanted("old"));
    let new = wanted("new");
    let done = Arc::new(AtomicUsize::new(0));
    let begun = Arc::new(AtomicUsize::new(0));
    let counts = (Arc::clone(&done), Arc::clone(&begun));
    looping.reread = Some(Box::new(move || {
        begun.fetch_add(1, Ordering::Relaxed);
        let done = Arc::clone(&done);
        Box::new(Pieces { left: pieces, done, desired: new.clone() })
    }));
    (looping, counts.0, counts.1)
}

fn end_reload(looping: &mut EventLoop) {
    let until = Instant::now() + Duration::from_secs(10);
    while looping.changing.is_some() {
        assert!(Instant::now() < until, "it does not end");
        looping.turn(None).unwrap();
    }
}

#[test]
fn a_turn_does_a_little_of_a_reload() {
    let (mut looping, done, _) = loop_and_counts(50);
    looping.reload();
    let most = RELOAD_TIME.as_micros().div_ceil(PIECE.as_micros()) as usize;
    let mut turns = 0;
    while looping.changing.is_some() {
        let before = done.load(Ordering::Relaxed);
        looping.turn(None).unwrap();
        assert!(done.load(Ordering::Relaxed) <= before + most, "in turn {turns}");
        turns += 1;
    }
    assert!(turns >= 50 / most, "{turns} turns");
    assert_eq!(looping.directory.generation, 2);
    assert!(looping.outdated.is_none(), "what ran before is freed");
}

#[test]
fn clients_are_served_during_a_reload_as_before_it() {
    let (mut looping, _, _) = loop_and_counts(200);
    let mut client = Client::new(&looping);
    looping.reload();
    let mut served = 0;
    loop {
        let answer = client.ask(&mut looping, "a.test");
        if answer.1 == "new" {
            break;
        }
        assert_eq!(answer, (200, "old".to_owned()));
        assert!(served < 1000, "it does not end");
        served += 1;
    }
    assert!(served > 0, "a request waited for the whole reload");
}

#[test]
fn what_is_asked_for_during_a_reload_is_done_after_it() {
    let (mut looping, _, begun) = loop_and_counts(20);
    for _ in 0..3 {
        looping.reload();
        looping.turn(None).unwrap();
    }
    end_reload(&mut looping);
    assert_eq!(begun.load(Ordering::Relaxed), 2, "two that were asked for are done by one");
    assert_eq!(looping.directory.generation, 3);
}

#[test]
fn a_stop_ends_a_reload() {
    let (mut looping, done, _) = loop_and_counts(1000);
    looping.reload();
    looping.turn(None).unwrap();
    looping.state = RunState::Draining;
    looping.turn(None).unwrap();
    assert!(looping.changing.is_none());
    assert!(done.load(Ordering::Relaxed) < 1000);
    assert_eq!(looping.directory.generation, 1);
}

#[test]
fn a_stop_frees_what_an_applied_reload_left() {
    let (mut looping, _, _) = loop_and_counts(1);
    looping.reload();
    while looping.directory.generation == 1 {
        looping.turn(None).unwrap();
    }
    assert!(looping.outdated.is_some());
    looping.state = RunState::Draining;
    looping.turn(None).unwrap();
    assert!(looping.changing.is_none() && looping.outdated.is_none());
}
