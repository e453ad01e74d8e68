//! Health probes: nonblocking, beside each other, each with its own deadline, in the same loop.
//!
//! ```text
//!   resting --its time has come--> connecting --writable--> asking --answer--> resting
//!                                      |                       |
//!                                      +-- error, or deadline -+--> failed --> resting
//! ```
//!
//! What a run has to be told may be here and not looked at yet, and we may have been late
//! ourselves: so before a run is called too late its socket is asked once more, and it gets back
//! the time that was lost to turns that were too long.
//!
//! A probe has one timer, which serves as the alarm for its next run and as the deadline of the run
//! under way; so ten backends in a black hole cost ten sockets, and delay nobody. One that asks by
//! datagram is connected at once. What is asked and what an answer means is in [`check`]; what
//! results mean is in [`crate::backends`].

pub mod check;
mod run;

use std::time::Instant;

use mio::event::Event;

use crate::backends::{Course, Server};
use crate::config::{Check, CheckSettings, duration_text};
use crate::context::Context;
use crate::event::id::of;
use crate::event::{CheckId, Generation, Owner, ProbeId, Roster, ServerId, TimerKey};
use crate::limits::{EXHAUSTION_WARNINGS, PROBE_HASTE};
use crate::net::Fault;
use crate::stats::LogThrottle;

use check::Question;
use run::{ProbeSocket, Run, RunOutcome};

/// The probes of all servers.
pub struct Health {
    probes: Roster<Probe, of::Probe>,
    /// What they ask: each check once, however many servers have it.
    checks: Roster<PlannedCheck, of::Check>,
    /// Nobody asks one of them any more.
    has_unused_checks: bool,
    random: fastrand::Rng,
    skip_warnings: LogThrottle,
}

/// A check, as the operator wants it.
struct PlannedCheck {
    settings: CheckSettings,
    question: Question,
    /// How many probes ask it; they keep it from being freed.
    users: usize,
}

/// The probe of one server.
struct Probe {
    server: ServerId,
    check: CheckId,
    timer: TimerKey,
    /// Counts the runs, so that an event of an old run's socket finds nobody.
    generation: Generation,
    run: Option<Run>,
    /// When the last run began.
    began: Option<Instant>,
    next_at: Instant,
    queued: bool,
}

impl Health {
    /// No probes yet. The same seed spreads them in the same way.
    pub fn new(seed: u64) -> Health {
        Health {
            probes: Roster::default(),
            checks: Roster::default(),
            has_unused_checks: false,
            random: fastrand::Rng::with_seed(seed),
            skip_warnings: LogThrottle::default(),
        }
    }

    /// From now on this server is asked this, at first at some time within a quarter of the
    /// interval; nothing happens if there is nothing to ask.
    pub fn add(&mut self, server: ServerId, settings: &CheckSettings, cx: &mut Context) {
        if settings.kind == Check::None {
            return;
        }
        let check = self.check_for(settings);
        let next_at = cx.now + (settings.interval / 4).mul_f64(self.random.f64());
        let id = self.probes.insert_with(|id| {
            let timer = cx.timers.create(Owner::Probe(id, Generation::FIRST));
            cx.timers.arm(timer, next_at);
            Probe {
                server,
                check,
                timer,
                generation: Generation::FIRST,
                run: None,
                began: None,
                next_at,
                queued: false,
            }
        });
        cx.backends.set_probe(server, Some(id));
    }

    /// It is asked this from now on, at first at some time within a quarter of the interval.
    pub fn change(&mut self, server: ServerId, settings: &CheckSettings, cx: &mut Context) {
        let Some(id) = cx.backends.get(server).and_then(|server| server.probe) else {
            return self.add(server, settings, cx);
        };
        if settings.kind == Check::None {
            return self.remove(id);
        }
        let Some(before) = self.probes.get(id).map(|probe| probe.check) else { return };
        if self.checks[before].settings == *settings {
            return;
        }
        let check = self.check_for(settings);
        self.release_check(before);
        let probe = &mut self.probes[id];
        probe.check = check;
        // What is under way was asked by the old rules.
        probe.hang_up();
        probe.next_at = cx.now + (settings.interval / 4).mul_f64(self.random.f64());
        cx.timers.arm(probe.timer, probe.next_at);
    }

    /// A probe asks it no more. Whoever asks the same in this turn still finds it.
    fn release_check(&mut self, id: CheckId) {
        self.checks[id].users -= 1;
        self.has_unused_checks |= self.checks[id].users == 0;
    }

    /// The check that is this one, with one user more.
    fn check_for(&mut self, settings: &CheckSettings) -> CheckId {
        let known = self.checks.iter().find(|(_, check)| check.settings == *settings);
        let id = known.map(|(id, _)| id).unwrap_or_else(|| {
            self.checks.insert(PlannedCheck {
                settings: settings.clone(),
                question: Question::of(&settings.kind),
                users: 0,
            })
        });
        self.checks[id].users += 1;
        id
    }

    /// It is to ask nothing more. What its run under way comes to is not heard any more.
    pub fn remove(&mut self, id: ProbeId) {
        self.probes.leave(id);
    }

    /// Whether a probe or a check is to be freed.
    pub fn has_leaving(&self) -> bool {
        self.probes.has_leaving() || self.has_unused_checks
    }

    /// Free the probes that left, and the checks that nobody asks any more; the end of the turn
    /// does.
    pub fn reap(&mut self, cx: &mut Context) {
        let mut freed = Vec::new();
        self.probes.reap(|_| true, |_, probe| freed.push(probe));
        for mut probe in freed {
            probe.hang_up();
            cx.timers.remove(probe.timer);
            cx.backends.set_probe(probe.server, None);
            self.release_check(probe.check);
        }
        if std::mem::take(&mut self.has_unused_checks) {
            let unused = self.checks.iter().filter(|(_, check)| check.users == 0);
            let unused: Vec<CheckId> = unused.map(|(id, _)| id).collect();
            unused.into_iter().for_each(|id| {
                self.checks.leave(id);
            });
        }
        self.checks.reap(|check| check.users == 0, |_, _| {});
    }

    /// Somebody works on this server: what is under way is not heard, and nothing is asked until a
    /// probe of it is wanted.
    pub fn pause(&mut self, server: ServerId, cx: &Context) {
        let probe = cx.backends.get(server).and_then(|server| server.probe);
        if let Some(probe) = probe.and_then(|id| self.probes.get_mut(id)) {
            probe.hang_up();
        }
    }

    /// How many probes there are.
    pub fn probes(&self) -> usize {
        self.probes.len()
    }

    /// What probes, checks, servers and timers must agree on.
    pub fn check_invariants(&self, cx: &Context) {
        let users: usize = self.checks.iter().map(|(_, check)| check.users).sum();
        assert_eq!(users, self.probes.len(), "probes and what they ask");
        for (id, probe) in self.probes.iter() {
            assert_eq!(cx.backends[probe.server].probe, Some(id), "a server and its probe");
            let owner = Owner::Probe(id, Generation::FIRST);
            assert!(cx.timers.belongs_to(probe.timer, owner), "a probe and its timer");
        }
    }

    /// Note what an event says, and let its probe act if the event is its present run's.
    pub fn mark(&mut self, id: ProbeId, run: Generation, event: &Event, cx: &mut Context) {
        let Some(probe) = self.probes.get_mut(id) else { return };
        if probe.generation != run {
            return;
        }
        let owner = probe.owner(id);
        if let Some(run) = &mut probe.run {
            run.mark(event);
            cx.run_queue.push(owner, &mut probe.queued);
        }
    }

    /// A probe's turn.
    pub fn act(&mut self, id: ProbeId, cx: &mut Context) {
        let is_leaving = self.probes.is_leaving(id);
        let Some(probe) = self.probes.get_mut(id) else { return };
        probe.queued = false;
        let owner = probe.owner(id);
        let Some(run) = probe.run.as_mut().filter(|_| !is_leaving) else { return };
        if let ProbeSocket::Stream(stream) = &run.socket
            && Context::must_wait(&mut cx.handshakes_left, stream)
        {
            return cx.run_queue.push(owner, &mut probe.queued);
        }
        let progress = run.proceed(&self.checks[probe.check].question, &mut cx.scratch);
        let armed = if progress.over { Ok(()) } else { run.socket.arm(&cx.registry, owner) };
        let told = run.rest.is_some();
        if let Some(outcome) = progress.outcome {
            if self.turn(id, &outcome, cx) {
                return;
            }
            self.tell(id, outcome, cx);
        }
        let probe = &mut self.probes[id];
        match armed {
            Ok(()) if progress.over => probe.rest(cx),
            Ok(()) => probe.bound_rest(cx),
            // What it came to is known, and no more is wanted.
            Err(_) if told => probe.rest(cx),
            Err(error) => self.skip(id, &error.to_string(), cx),
        }
    }

    /// A probe's timer fired: its run is too late, or its time has come.
    pub fn on_timer(&mut self, id: ProbeId, cx: &mut Context) {
        if self.probes.is_leaving(id) {
            return;
        }
        let Some(probe) = self.probes.get_mut(id) else { return };
        match &probe.run {
            Some(run) if run.deadline <= cx.now && run.rest.is_some() => probe.rest(cx),
            Some(run) if run.deadline <= cx.now => self.judge_late(id, cx),
            Some(run) => cx.timers.arm(probe.timer, run.deadline),
            None if probe.next_at > cx.now => cx.timers.arm(probe.timer, probe.next_at),
            // Until it is wanted again, by [`Health::hasten`].
            None if cx.backends.is_in_maintenance(probe.server) => {}
            None if !cx.backends.get(probe.server).is_some_and(can_be_asked) => {}
            None => self.start(id, cx),
        }
    }

    /// The time of its run is over.
    fn judge_late(&mut self, id: ProbeId, cx: &mut Context) {
        let probe = &mut self.probes[id];
        let owner = probe.owner(id);
        let check = &self.checks[probe.check];
        let Some(run) = &mut probe.run else { return };
        run.check_again();
        // What follows an answer that is understood is not waited for any more.
        if let Some(outcome) = run.proceed(&check.question, &mut cx.scratch).outcome {
            return self.finish(id, outcome, cx);
        }
        let timeout = check.settings.timeout;
        let lost = cx.lateness.saturating_sub(run.lateness).min(timeout);
        if lost.is_zero() {
            let doing = if run.connected { "no answer" } else { "no connection" };
            let late = || format!("{doing} within {}", duration_text(timeout));
            let reason = check.question.too_late(&run.answer).unwrap_or_else(late);
            return self.finish(id, Err(reason), cx);
        }
        run.lateness = cx.lateness;
        run.deadline = cx.now + lost;
        cx.timers.arm(probe.timer, run.deadline);
        if let Err(error) = run.socket.arm(&cx.registry, owner) {
            self.skip(id, &error.to_string(), cx);
        }
    }

    /// Probe soon what a probe is wanted of now, though not more often than every
    /// [`PROBE_HASTE`].
    pub fn hasten(&mut self, cx: &mut Context) {
        for server in cx.backends.take_probes_wanted() {
            let probe = cx.backends.get(server).and_then(|server| server.probe);
            let Some(probe) = probe.and_then(|id| self.probes.get_mut(id)) else { continue };
            let soon = probe.began.map_or(cx.now, |began| cx.now.max(began + PROBE_HASTE));
            probe.next_at = probe.next_at.min(soon);
            if probe.run.is_none() {
                cx.timers.arm(probe.timer, probe.next_at);
            }
        }
    }

    fn start(&mut self, id: ProbeId, cx: &mut Context) {
        let probe = &mut self.probes[id];
        probe.began = Some(cx.now);
        probe.next_at = cx.now + self.checks[probe.check].settings.interval;
        let course = Course::begin(&cx.backends[probe.server].addresses, cx.now);
        self.ask(id, course, cx);
    }

    /// Ask one of the server's addresses.
    fn ask(&mut self, id: ProbeId, course: Course, cx: &mut Context) {
        let probe = &mut self.probes[id];
        probe.generation = probe.generation.next();
        let owner = probe.owner(id);
        let server = probe.server;
        let check = &self.checks[probe.check];
        let asked = check.question.text(&cx.backends[server].check_host);
        let datagram = check.question.is_datagram().then_some(&*asked);
        let opened = cx.open_with(|backends| {
            let to = &backends[server];
            ProbeSocket::open(to, &to.check_address(course)?, datagram)
        });
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(Fault::Exhausted) => return self.skip(id, "out of descriptors", cx),
            Err(fault @ Fault::NoPort) => {
                return match self.next(id, course, fault, cx) {
                    Some(on) => self.ask(id, on, cx),
                    None => self.skip(id, "no local port is left", cx),
                };
            }
            Err(fault) => {
                return match self.next(id, course, fault, cx) {
                    Some(on) => self.ask(id, on, cx),
                    None => self.finish(id, Err(fault.to_string()), cx),
                };
            }
        };
        if let Err(error) = socket.begin(&cx.registry, owner) {
            return self.skip(id, &error.to_string(), cx);
        }
        let of = &cx.backends[server].addresses;
        let deadline = course.deadline(of, check.settings.timeout, cx.now);
        probe.run = Some(Run::new(socket, course, asked, deadline, cx.lateness));
        cx.timers.arm(probe.timer, deadline);
    }

    /// Nobody is there, or nobody answers a datagram: then the server's next address is asked, if
    /// it has one and there is time. Says whether it is.
    fn turn(&mut self, id: ProbeId, outcome: &RunOutcome, cx: &mut Context) -> bool {
        let probe = &self.probes[id];
        let Some(run) = &probe.run else { return false };
        if outcome.is_ok() || run.connected && !run.is_datagram() {
            return false;
        }
        let Some(on) = self.next(id, run.course, Fault::TimedOut, cx) else { return false };
        self.probes[id].hang_up();
        self.ask(id, on, cx);
        true
    }

    fn next(&self, id: ProbeId, course: Course, fault: Fault, cx: &Context) -> Option<Course> {
        let probe = &self.probes[id];
        let timeout = self.checks[probe.check].settings.timeout;
        course.next(fault, &cx.backends[probe.server].addresses, timeout, cx.now)
    }

    /// A run is over: drop its socket, tell the backends, and rest until the next one.
    fn finish(&mut self, id: ProbeId, outcome: RunOutcome, cx: &mut Context) {
        if self.turn(id, &outcome, cx) {
            return;
        }
        self.tell(id, outcome, cx);
        self.probes[id].rest(cx);
    }

    /// What a run came to.
    fn tell(&mut self, id: ProbeId, outcome: RunOutcome, cx: &mut Context) {
        let probe = &self.probes[id];
        let server = probe.server;
        if let (Ok(_), Some(run)) = (&outcome, &probe.run) {
            cx.backends.settle(server, run.course);
        }
        match outcome {
            Ok(load) => cx.backends.probe_passed(server, load, cx.now),
            Err(reason) => {
                cx.backends.probe_failed(server, &format!("a probe: {reason}"), cx.now);
            }
        }
    }

    /// We had nothing left to probe with, which says nothing of the server.
    fn skip(&mut self, id: ProbeId, reason: &str, cx: &mut Context) {
        let probe = &mut self.probes[id];
        if self.skip_warnings.allows(cx.now, EXHAUSTION_WARNINGS) {
            log::warn!("backend {}: not probed: {reason}", cx.backends[probe.server].name);
        }
        cx.stats.exhausted += 1;
        probe.rest(cx);
    }
}

/// Whether it is wanted, and known where it is.
fn can_be_asked(server: &Server) -> bool {
    server.is_probed() && server.is_found()
}

#[cfg(test)]
impl Health {
    /// Whether this probe is there, leaving or not.
    pub fn has(&self, id: ProbeId) -> bool {
        self.probes.get(id).is_some()
    }

    /// The probes and the runs that they are at.
    pub fn runs(&self) -> impl Iterator<Item = (ProbeId, Generation)> {
        self.probes.iter().map(|(id, probe)| (id, probe.generation))
    }

    /// Whether there are no probes, and nothing for them to ask.
    pub fn is_empty(&self) -> bool {
        self.probes.is_empty() && self.checks.is_empty()
    }

    /// What a late event could change.
    pub fn print(&self) -> String {
        let probes = self.probes.iter();
        let probes = probes.map(|(id, it)| (id, it.generation, it.queued, it.run.is_some()));
        format!("{:?}", probes.collect::<Vec<_>>())
    }
}

impl Probe {
    /// What its present run's socket has as a token.
    fn owner(&self, id: ProbeId) -> Owner {
        Owner::Probe(id, self.generation)
    }

    /// What is read of an answer after its meaning is known is over when the next run begins.
    fn bound_rest(&mut self, cx: &mut Context) {
        if let Some(run) = self.run.as_mut().filter(|run| run.rest.is_some())
            && self.next_at < run.deadline
        {
            run.deadline = self.next_at;
            cx.timers.arm(self.timer, self.next_at);
        }
    }

    fn hang_up(&mut self) {
        // Dropped here and not by the reaping: nobody else holds a key to it, and a late event is
        // stopped by the generation, which the next run raises before it registers.
        if let Some(run) = self.run.take() {
            run.hang_up();
        }
    }

    fn rest(&mut self, cx: &mut Context) {
        self.hang_up();
        self.next_at = self.next_at.max(cx.now);
        cx.timers.arm(self.timer, self.next_at);
    }
}
