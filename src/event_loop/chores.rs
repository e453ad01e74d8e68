//! What the process does by the clock: ramps, returns, idle connections, the log, the table.
//!
//! Each chore has one timer for good. Most are armed only while there is something to wait for.

use std::time::{Duration, Instant};

use log::info;

use crate::config::counted;
use crate::context::Context;
use crate::event::{Chore, Key, Owner, TimerKey};
use crate::limits::{
    BALANCE_SLICES_PER_TURN, BALANCE_STEPS, DEMO_STATUS_INTERVAL, FREE_PIPES_LOOK, IDLE_LOOKS,
    KEEPALIVE_PAUSE, LOG_RETRY, STEP_TIME, TCP_KEEPALIVES_PER_TURN,
};
use crate::relay::Reason;

use super::{EventLoop, RunState};

/// The timers of the process itself.
pub(super) struct Chores {
    pub drain: TimerKey,
    ramp: TimerKey,
    back: TimerKey,
    idle: TimerKey,
    pub log: TimerKey,
    pub status: TimerKey,
    pub certificates: TimerKey,
    pub flows: TimerKey,
    pub room: TimerKey,
    pub deadlines: TimerKey,
    pub registrations: TimerKey,
    pipes: TimerKey,
    keepalive: TimerKey,
    pub state: TimerKey,
    pub history: TimerKey,
    pub notice: TimerKey,
    pub alive: TimerKey,
    pub open: TimerKey,
    pub takeover: TimerKey,
    /// Connections that are to have keepalive.
    to_keep_alive: Vec<Key>,
    keepalive_armed: bool,
    ramp_armed: bool,
    back_at: Option<Instant>,
    idle_armed: bool,
    pub log_armed: bool,
    /// When the timer for flows fires, while it is armed.
    pub flows_at: Option<Instant>,
    pipes_armed: bool,
}

impl EventLoop {
    pub(super) fn arm_chores(&mut self) {
        if let Some(step) = self.cx.backends.ramp_step()
            && !self.chores.ramp_armed
        {
            self.chores.ramp_armed = true;
            self.cx.timers.arm(self.chores.ramp, self.cx.now + step);
        }
        let back_at = self.cx.backends.next_return();
        if let Some(at) = back_at.filter(|_| back_at != self.chores.back_at) {
            self.chores.back_at = back_at;
            self.cx.timers.arm(self.chores.back, at);
        }
        if !self.chores.idle_armed && self.cx.backends.has_idle() {
            self.chores.idle_armed = true;
            let step = self.cx.backends.shortest_idle() / IDLE_LOOKS;
            self.cx.timers.arm(self.chores.idle, self.cx.now + step);
        }
        if !self.chores.log_armed && self.log.is_behind() {
            self.chores.log_armed = true;
            self.cx.timers.arm(self.chores.log, self.cx.now + LOG_RETRY);
        }
        if !self.chores.pipes_armed && self.cx.pipes.has_spare() {
            self.chores.pipes_armed = true;
            self.cx.timers.arm(self.chores.pipes, self.cx.now + FREE_PIPES_LOOK);
        }
        self.arm_flows();
        if !self.chores.keepalive_armed
            && !self.cx.settings.process.tcp_keepalive.is_zero()
            && !self.cx.connections.is_empty()
        {
            self.chores.keepalive_armed = true;
            self.cx.timers.arm(self.chores.keepalive, self.cx.now + self.keepalive_age());
        }
    }

    fn keepalive_age(&self) -> Duration {
        self.cx.settings.process.tcp_keepalive / 2
    }

    /// Connections to backends get keepalive once they have lived for a while: most are over before
    /// that, and need no system call for it. A few in each turn.
    fn set_keepalives(&mut self) {
        let now = self.cx.now;
        let age = self.keepalive_age();
        let after = self.cx.settings.process.tcp_keepalive;
        let connections = &mut self.cx.connections;
        if self.chores.to_keep_alive.is_empty() {
            let lived = |started_at| now.saturating_duration_since(started_at) >= age;
            let due =
                connections.iter().filter(|(_, it)| !it.keepalive && lived(it.started_at));
            self.chores.to_keep_alive.extend(due.map(|(key, _)| key));
        }
        for _ in 0..TCP_KEEPALIVES_PER_TURN {
            let Some(key) = self.chores.to_keep_alive.pop() else { break };
            if let Some(connection) = connections.get_mut(key) {
                connection.keepalive = true;
                connection.stream.set_keepalive(after);
            }
        }
        self.chores.keepalive_armed = !self.chores.to_keep_alive.is_empty();
        if self.chores.keepalive_armed {
            self.cx.timers.arm(self.chores.keepalive, now + KEEPALIVE_PAUSE);
        }
    }

    /// A part of what the algorithms put off when members changed. What is left over goes on in the
    /// next turn, which does not sleep.
    pub(super) fn work_on_balance(&mut self) {
        if !self.cx.backends.has_work() {
            return;
        }
        let mut share = self.pace.share(STEP_TIME, BALANCE_SLICES_PER_TURN);
        while self.cx.backends.has_work() && share.allows(&mut self.pace) {
            self.cx.backends.work(BALANCE_STEPS);
            share.note_large();
        }
    }

    pub(super) fn do_chore(&mut self, chore: Chore) {
        match chore {
            Chore::Drain if self.state == RunState::Leaving => self.begin_to_drain(),
            Chore::Drain => {
                let open = counted(self.pairs.len(), "connection");
                info!("the drain timeout is over, {open} cut off");
                self.cut_off(Reason::DrainTimeout);
            }
            Chore::Ramp => {
                self.chores.ramp_armed = false;
                self.cx.backends.step_ramps(self.cx.now);
            }
            Chore::Return => {
                self.chores.back_at = None;
                self.cx.backends.take_back(self.cx.now);
            }
            Chore::Idle => {
                self.chores.idle_armed = false;
                self.cx.retire_long_idle();
            }
            Chore::Log => {
                self.chores.log_armed = false;
                self.log.write_kept();
                if let Some(log) = &mut self.cx.access_log {
                    log.try_again();
                }
            }
            Chore::Certificates => self.review_certificates(),
            Chore::Pipes => {
                self.chores.pipes_armed = false;
                self.cx.pipes.close_spare();
            }
            Chore::Flows => self.look_at_flows(),
            // The accepting, which comes next, looks.
            Chore::Room => {}
            Chore::Keepalive => self.set_keepalives(),
            Chore::State => self.begin_to_save(),
            Chore::History => self.begin_to_record(),
            Chore::Notice => self.tell_once_more(),
            Chore::Names => self.resolver.on_timer(&mut self.cx),
            // What follows up, looks.
            Chore::Open => {}
            Chore::Alive => self.supervision.is_alive_due = true,
            Chore::Takeover => self.on_takeover_timer(),
            Chore::Deadlines => self.end_deadlines(),
            Chore::Registrations => self.lapse_registrations(),
            Chore::Status => {
                self.log_status();
                self.cx.timers.arm(self.chores.status, self.cx.now + DEMO_STATUS_INTERVAL);
            }
        }
    }
}

impl Chores {
    #[cfg(debug_assertions)]
    pub const COUNT: usize = 20;

    pub fn new(cx: &mut Context) -> Chores {
        Chores {
            drain: cx.timers.create(Owner::Chore(Chore::Drain)),
            ramp: cx.timers.create(Owner::Chore(Chore::Ramp)),
            back: cx.timers.create(Owner::Chore(Chore::Return)),
            idle: cx.timers.create(Owner::Chore(Chore::Idle)),
            log: cx.timers.create(Owner::Chore(Chore::Log)),
            status: cx.timers.create(Owner::Chore(Chore::Status)),
            certificates: cx.timers.create(Owner::Chore(Chore::Certificates)),
            flows: cx.timers.create(Owner::Chore(Chore::Flows)),
            room: cx.timers.create(Owner::Chore(Chore::Room)),
            deadlines: cx.timers.create(Owner::Chore(Chore::Deadlines)),
            registrations: cx.timers.create(Owner::Chore(Chore::Registrations)),
            pipes: cx.timers.create(Owner::Chore(Chore::Pipes)),
            keepalive: cx.timers.create(Owner::Chore(Chore::Keepalive)),
            state: cx.timers.create(Owner::Chore(Chore::State)),
            history: cx.timers.create(Owner::Chore(Chore::History)),
            notice: cx.timers.create(Owner::Chore(Chore::Notice)),
            alive: cx.timers.create(Owner::Chore(Chore::Alive)),
            open: cx.timers.create(Owner::Chore(Chore::Open)),
            takeover: cx.timers.create(Owner::Chore(Chore::Takeover)),
            to_keep_alive: Vec::new(),
            keepalive_armed: false,
            ramp_armed: false,
            back_at: None,
            idle_armed: false,
            log_armed: false,
            flows_at: None,
            pipes_armed: false,
        }
    }
}
