//! What the loop tells the service manager, and when.
//!
//! ```text
//!   run ---- READY=1
//!   reload - RELOADING=1 ... applied or refused - READY=1
//!   drain -- STOPPING=1 ---- each 5 s, what is left and EXTEND_TIMEOUT_USEC= ---- exit
//!   a timer at half of WATCHDOG_USEC ---- the end of that turn - WATCHDOG=1
//! ```
//!
//! A turn that hangs does not end, so the manager hears nothing of it and starts the process anew.

use crate::config::{Desired, counted};
use crate::limits::{NOTICE_RETRY, STOP_EXTENDED, STOP_TOLD};
use crate::service_manager::{Notice, ServiceManager, now_us};
use crate::takeover::Manager;

use super::{EventLoop, RunState};

/// Who watches over the process.
pub(super) struct Supervision {
    manager: ServiceManager,
    /// It is to be told at the end of this turn that the loop turns.
    pub is_alive_due: bool,
    /// It was told by another process before, in whose place we are.
    pub goes_on: bool,
}

impl Supervision {
    pub fn of(manager: ServiceManager) -> Supervision {
        Supervision { manager, is_alive_due: false, goes_on: false }
    }
}

impl EventLoop {
    fn notify(&mut self, notice: &Notice<'_>) {
        self.supervision.manager.tell(notice);
        self.try_again_later();
    }

    fn try_again_later(&mut self) {
        if self.supervision.manager.is_behind() {
            self.cx.timers.arm(self.chores.notice, self.cx.now + NOTICE_RETRY);
        }
    }

    /// The process of this number serves from now on, and tells the rest.
    pub(super) fn tell_handed_over(&mut self, pid: i32) {
        self.supervision.manager.name_main(pid);
        self.silence_manager();
    }

    /// Nothing more is told of ours.
    pub(super) fn silence_manager(&mut self) {
        self.supervision.manager.be_silent();
        self.supervision.is_alive_due = false;
        self.try_again_later();
    }

    /// Where the manager hears, for another process.
    pub(super) fn manager_for_another(&self) -> Option<Manager> {
        let manager = &self.supervision.manager;
        let beat = manager.beat().map(|it| u64::try_from(it.as_micros()).unwrap_or(u64::MAX));
        manager.place().map(|place| Manager { place: place.to_owned(), beat })
    }

    /// All listeners take clients.
    pub(super) fn tell_ready(&mut self) {
        if !self.supervision.manager.is_there() {
            return;
        }
        let status = self.serving();
        self.notify(&Notice::Ready(&status));
        if self.supervision.goes_on {
            // The manager counts from the last beat of the process before, or of one before that.
            self.notify(&Notice::Alive);
        }
        self.await_next_beat();
    }

    /// Files are read again from now on.
    pub(super) fn tell_reloading(&mut self) {
        self.notify(&Notice::Reloading(now_us()));
    }

    /// They were, and hold.
    pub(super) fn tell_reloaded(&mut self) {
        if self.supervision.manager.is_there() {
            let status = self.serving();
            self.notify(&Notice::Ready(&status));
        }
    }

    /// They were, and what was before goes on.
    pub(super) fn tell_not_reloaded(&mut self, why: &str) {
        if self.supervision.manager.is_there() {
            let status = format!("reload failed: {}", in_one_line(why));
            self.notify(&Notice::Ready(&status));
        }
    }

    /// They will not be, though somebody wanted it.
    pub(super) fn tell_no_reload(&mut self, why: &str) {
        self.tell_reloading();
        self.tell_not_reloaded(why);
    }

    /// What is served may be another, or be it in another way.
    pub(super) fn tell_changed(&mut self) {
        if self.supervision.manager.is_there() && self.state == RunState::Serving {
            let status = self.serving();
            self.notify(&Notice::Status(&status));
        }
    }

    /// It drains.
    pub(super) fn tell_stopping(&mut self) {
        if self.supervision.manager.is_there() {
            let status = self.left();
            self.notify(&Notice::Stopping(&status));
            self.cx.timers.arm(self.chores.notice, self.cx.now + STOP_TOLD);
        }
    }

    /// Some time has gone by: what was not taken is sent, and how far a stop is.
    pub(super) fn tell_once_more(&mut self) {
        self.supervision.manager.send_kept();
        if self.is_stopping() && !self.supervision.manager.is_behind() {
            let status = self.left();
            self.supervision.manager.tell(&Notice::StillStopping(&status, STOP_EXTENDED));
            self.cx.timers.arm(self.chores.notice, self.cx.now + STOP_TOLD);
        }
        self.try_again_later();
    }

    /// A turn has ended.
    #[cold]
    pub(super) fn tell_alive(&mut self) {
        self.supervision.is_alive_due = false;
        self.notify(&Notice::Alive);
        self.await_next_beat();
    }

    fn await_next_beat(&mut self) {
        if let Some(beat) = self.supervision.manager.beat() {
            self.cx.timers.arm(self.chores.alive, self.ended + beat);
        }
    }

    /// What is served, for people.
    fn serving(&self) -> String {
        let Desired { listeners, services, pools, .. } = &self.directory.desired;
        let backends = pools.iter().map(|pool| pool.backends.len()).sum();
        let drained = if self.admin.is_drained { "drained, still " } else { "" };
        format!(
            "{drained}serving: {}, {}, {}",
            counted(listeners.len(), "listener"),
            counted(services.len(), "service"),
            counted(backends, "backend")
        )
    }

    fn is_stopping(&self) -> bool {
        matches!(self.state, RunState::Leaving | RunState::Draining)
    }

    /// What a stop waits for, for people.
    fn left(&self) -> String {
        if self.state == RunState::Leaving {
            return "stopping: clients still come in, /ready fails".to_owned();
        }
        let open = counted(self.pairs.len() - self.dead.len(), "connection");
        match self.udp.flows() {
            0 => format!("stopping: {open} left"),
            flows => format!("stopping: {open} and {} left", counted(flows, "flow")),
        }
    }
}

/// A mistake as people are shown it, with its place before it; of an excerpt of the file nothing.
fn in_one_line(shown: &str) -> String {
    let mut lines = shown.lines();
    let says = lines.next().unwrap_or_default();
    let says = says.strip_prefix("error: ").unwrap_or(says);
    let place = lines.next().and_then(|line| line.trim_start().strip_prefix("--> "));
    place.map_or_else(|| says.to_owned(), |place| format!("{place}: {says}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_one_line_that_begins_with_its_place() {
        let table = [
            (
                "error: unknown key `a`\n --> x.toml:7:1\n  |\n7 | a = 3\n",
                "x.toml:7:1: unknown key `a`",
            ),
            ("error: 3 more", "3 more"),
            ("--listen: in use\nby another", "--listen: in use"),
            ("", ""),
        ];
        for (shown, wanted) in table {
            assert_eq!(in_one_line(shown), wanted);
        }
    }
}
