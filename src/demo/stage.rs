//! The demo on a terminal: a thread that looks twice a second, draws, and does what keys say.
//!
//! It has the terminal until it is dropped, or until somebody asks the program to end: then the
//! log has the terminal again, and says how the balancer stops.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::process::{Signal, getpid, kill_process};

use super::crowd::Crowd;
use super::picture;
use super::scene::{Actor, Scene};
use super::server::Bed;
use super::{Demo, api, watch};
use crate::limits::{DEMO_CLIENTS_STEP, DEMO_FRAME_INTERVAL, DEMO_NAP_SECONDS};
use crate::logging::LogSink;
use crate::terminal::{Happening, Key, Looks, Terminal};

/// The running picture; dropped, the terminal is as it was before.
#[derive(Debug)]
pub struct Stage {
    thread: Option<JoinHandle<()>>,
    /// The other end of what the thread watches.
    end: Option<UnixStream>,
}

/// What the thread has.
struct Show {
    scene: Scene,
    demo: Demo,
    crowd: Crowd,
    log: LogSink,
    looks: Looks,
    shows_log: bool,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    On,
    End(Option<Signal>),
}

/// The algorithms that a key goes through, each with what there is to see.
const ALGORITHMS: [(&str, &str); 3] = [
    ("round-robin", "each gets a third, which is more than slow can do: watch p99"),
    ("least-connections", "who has the least to do gets the next request"),
    ("least-time", "who would answer soonest gets the next request"),
];

/// Takes the terminal and draws on it.
pub fn start(demo: Demo, crowd: Crowd, admin: SocketAddr, log: LogSink) -> io::Result<Stage> {
    let looks = Looks::from_environment();
    let actors = demo.backends.iter().zip(super::PLANS.iter());
    let actors = actors.map(|((name, at), plan)| Actor::new(name, *at, plan.short()));
    let scene = Scene::new(crowd.front(), admin, actors.collect(), Instant::now());
    let show = Show { scene, demo, crowd, log, looks, shows_log: false };
    let (end, watched) = UnixStream::pair()?;
    let terminal = Terminal::enter(looks)?;
    show.log.hold();
    let thread = thread::Builder::new().name("demo-stage".to_owned());
    let thread = thread.spawn(move || show.run(terminal, &watched))?;
    Ok(Stage { thread: Some(thread), end: Some(end) })
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked it has said so, and the terminal was given back before.
            let _ = thread.join();
        }
    }
}

impl Show {
    fn run(mut self, mut terminal: Terminal, end: &UnixStream) {
        let mut next = Instant::now();
        let then = loop {
            if Instant::now() >= next {
                self.look();
                next = Instant::now() + DEMO_FRAME_INTERVAL;
            }
            self.scene.log = self.shows_log.then(|| self.log.held());
            let drawn = terminal.draw(&picture::draw(&self.scene, terminal.size(), self.looks));
            let happening = drawn.and_then(|()| terminal.wait(next, &[end.as_fd()]));
            let then = match happening {
                Ok(Happening::Key(key)) => self.key(key),
                Ok(Happening::Resized(_) | Happening::Late) => Then::On,
                Ok(Happening::Ready(_)) => Then::End(None),
                // The loop hears all signals itself, but not that there is nobody to type any more.
                // A second hang-up changes nothing.
                Ok(Happening::Stop(signal)) if signal == Signal::HUP.as_raw() => {
                    Then::End(Some(Signal::HUP))
                }
                Ok(Happening::Stop(_)) => Then::End(None),
                Err(_) => Then::End(Some(Signal::HUP)),
            };
            if let Then::End(signal) = then {
                break signal;
            }
        };
        drop(terminal);
        self.log.release();
        if let Some(signal) = then {
            // Its only failure would be that we are not there.
            let _ = kill_process(getpid(), signal);
        }
    }

    fn look(&mut self) {
        let addresses: Vec<SocketAddr> = self.demo.backends.iter().map(|it| it.1).collect();
        let told = self.crowd.told(&addresses);
        let naps: Vec<_> = self.demo.beds.iter().map(Bed::left).collect();
        let seen = watch::look(self.scene.admin).map_err(|error| error.to_string());
        let was = self.scene.algorithm.clone();
        self.scene.add(Instant::now(), told, seen, &naps);
        if self.scene.algorithm != was {
            self.scene.note = about(&self.scene.algorithm);
        }
    }

    fn key(&mut self, key: Key) -> Then {
        let step = DEMO_CLIENTS_STEP as isize;
        match key {
            Key::Char('q') | Key::Ctrl('c') => return Then::End(Some(Signal::INT)),
            Key::Char('+' | '=') => self.clients(step),
            Key::Char('-' | '_') => self.clients(-step),
            Key::Char('a') => self.next_algorithm(),
            Key::Char('l') => self.shows_log = !self.shows_log,
            Key::Escape => self.shows_log = false,
            Key::Char(it) => {
                let number = it.to_digit(10).and_then(|it| it.checked_sub(1));
                if let Some(index) = number {
                    self.sleep_or_wake(index as usize);
                }
            }
            _ => {}
        }
        Then::On
    }

    fn clients(&mut self, by: isize) {
        self.crowd.change(by);
        self.scene.told.clients = self.crowd.told(&[]).clients;
    }

    fn next_algorithm(&mut self) {
        let now = ALGORITHMS.iter().position(|it| it.0 == self.scene.algorithm);
        let next = ALGORITHMS[now.map_or(0, |it| (it + 1) % ALGORITHMS.len())];
        match api::set_algorithm(self.scene.admin, next.0) {
            Ok(()) => self.scene.note = about(next.0),
            Err(error) => self.scene.note = format!("{} cannot be had: {error}", next.0),
        }
    }

    fn sleep_or_wake(&mut self, index: usize) {
        let Some(bed) = self.demo.beds.get(index) else { return };
        let name = &self.demo.backends[index].0;
        self.scene.note = if bed.left().is_some() {
            bed.wake();
            format!("{name} is awake: two good probes, and it has work again")
        } else {
            bed.nap(DEMO_NAP_SECONDS);
            format!(
                "{name} sleeps: what it refuses for {DEMO_NAP_SECONDS} s is asked elsewhere"
            )
        };
    }
}

fn about(algorithm: &str) -> String {
    let known = ALGORITHMS.iter().find(|it| it.0 == algorithm);
    known.map_or_else(String::new, |(name, what)| format!("{name}: {what}"))
}
