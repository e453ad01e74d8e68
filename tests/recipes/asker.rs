//! Clients that keep asking while something changes: none of them may ever see an error.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::common::http::{Wire, get};
use crate::common::{connect, until};

/// One client that keeps its connection, and one that comes anew each time.
pub struct Asker {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Asker {
    /// They ask for `/` here.
    pub fn start(address: SocketAddr) -> Asker {
        let asked: Arc<AtomicUsize> = Arc::default();
        let mut kept = Wire::new(connect(address));
        let keeps = move || one(&mut kept);
        let comes = move || one(&mut Wire::new(connect(address)));
        Asker { stop: Arc::default(), asked, threads: Vec::new() }.with(keeps).with(comes)
    }

    /// They ask by these means alone.
    pub fn by(ask: impl FnMut() -> String + Send + 'static) -> Asker {
        let asked = Arc::default();
        Asker { stop: Arc::default(), asked, threads: Vec::new() }.with(ask)
    }

    /// One more that asks by these means.
    pub fn with(mut self, mut ask: impl FnMut() -> String + Send + 'static) -> Asker {
        let stop = Arc::clone(&self.stop);
        let asked = Arc::clone(&self.asked);
        self.threads.push(thread::spawn(move || {
            let mut answers: Vec<String> = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                answers.push(ask());
                asked.fetch_add(1, Ordering::SeqCst);
            }
            answers
        }));
        self
    }

    /// Wait until so many more were answered.
    #[track_caller]
    pub fn wait_for(&self, more: usize) {
        let wanted = self.asked.load(Ordering::SeqCst) + more;
        until("clients go on asking", || {
            let failed = self.threads.iter().any(JoinHandle::is_finished);
            assert!(!failed, "a client met an error");
            self.asked.load(Ordering::SeqCst) >= wanted
        });
    }

    /// What each of them was answered, one after the other; a client that met an error panics here.
    pub fn end(self) -> Vec<Vec<String>> {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().map(|thread| thread.join().expect("no error")).collect()
    }
}

fn one(wire: &mut Wire) -> String {
    let answer = wire.ask(get("/"));
    assert_eq!(answer.status(), 200, "{}", answer.head);
    answer.text()
}

/// Whether answers are some of the first, and then only the second.
pub fn changes_once(answers: &[String], first: &str, second: &str) -> bool {
    let at = answers.iter().position(|it| it == second).unwrap_or(answers.len());
    let all = |part: &[String], name: &str| part.iter().all(|it| it == name);
    at > 0 && at < answers.len() && all(&answers[..at], first) && all(&answers[at..], second)
}

#[test]
fn answers_that_change_back_do_not_change_once() {
    let of = |text: &str| -> Vec<String> { text.chars().map(String::from).collect() };
    for (answers, wanted) in [
        ("aab", true),
        ("ab", true),
        ("aaa", false),
        ("bb", false),
        ("aba", false),
        ("", false),
    ] {
        assert_eq!(changes_once(&of(answers), "a", "b"), wanted, "{answers}");
    }
}
