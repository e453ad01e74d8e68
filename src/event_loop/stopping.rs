//! The end of the process: clients are sent elsewhere, nobody new comes in, those who are here may
//! finish, the rest is cut off.

use log::info;

use crate::config::{counted, duration_text};
use crate::event::Key;
use crate::relay::{ClientStanding, Pair, Reason};

use super::{EventLoop, RunState};

impl EventLoop {
    /// Whether clients come in as ever.
    pub(super) fn takes_clients(&self) -> bool {
        matches!(self.state, RunState::Serving | RunState::Leaving)
    }

    /// It is to end: at once it tells whoever asks whether it is ready that it is not, and after
    /// the drain delay it drains. Until then others may still send clients here.
    pub(super) fn begin_to_stop(&mut self) {
        self.give_up_handover("it was told to stop");
        let delay = self.cx.settings.process.drain_delay;
        if delay.is_zero() {
            return self.begin_to_drain();
        }
        self.state = RunState::Leaving;
        self.cx.sends_away = true;
        info!("stopping in {}: /ready fails, kept connections end", duration_text(delay));
        self.cx.timers.arm(self.chores.drain, self.cx.now + delay);
        self.tell_stopping();
    }

    /// No new clients from now on; those that are here may finish within the drain timeout. Who
    /// waits to be accepted is here: closing the listener would reset them, connected as they are.
    /// They come in during the next turns.
    pub(super) fn begin_to_drain(&mut self) {
        let open = self.pairs.len();
        let timeout = self.cx.settings.process.drain_timeout;
        let timeout_text = duration_text(timeout);
        self.state = RunState::Draining;
        self.cx.draining = true;
        self.udp.begin_to_drain(&mut self.cx);
        self.leave_all_listeners();
        let flows = match self.udp.flows() {
            0 => String::new(),
            flows => format!(" and {}", counted(flows, "flow")),
        };
        let connections = counted(open, "connection");
        info!("stopping: {connections}{flows} may finish within {timeout_text}");
        let ends = |pair: &Pair| {
            let silent = pair.standing() == ClientStanding::Silent;
            pair.may_end_at_stop(&self.cx) && !(silent && pair.client.socket.has_input())
        };
        let ending = self.pairs.iter().filter(|(_, pair)| ends(pair));
        let ending: Vec<Key> = ending.map(|(key, _)| key).collect();
        ending.into_iter().for_each(|key| self.close(key, Reason::Finished));
        self.cx.timers.arm(self.chores.drain, self.cx.now + timeout);
        self.tell_stopping();
    }

    /// This turn is the last: whoever is still here is reset, so that nobody takes the half of a
    /// stream for the whole.
    pub(super) fn cut_off(&mut self, reason: Reason) {
        self.state = RunState::Stopping;
        let keys: Vec<Key> = self.pairs.iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.close(key, reason));
        self.udp.cut_off(&mut self.cx);
    }
}
