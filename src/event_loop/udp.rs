//! The loop's side of UDP: whose turn it is, what is due, what the process's state means for flows.

use super::EventLoop;

impl EventLoop {
    /// A part of step 3: the answers that lines heard leave together.
    pub(super) fn send_answers(&mut self) {
        self.udp.flush(&mut self.cx);
    }

    /// Beside step 5: what arrived at the listeners, for flows that are there or may be opened.
    pub(super) fn receive_datagrams(&mut self) {
        if self.keeps_clients_out() {
            return;
        }
        if self.udp.is_ready() {
            self.udp.receive(&mut self.cx);
        }
    }

    /// See to it that flows are looked at when the next one may be over.
    #[inline]
    pub(super) fn arm_flows(&mut self) {
        // Mostly there are none, and this is asked in every turn.
        if self.udp.flows() > 0 {
            self.arm_for_flows();
        }
    }

    #[inline(never)]
    fn arm_for_flows(&mut self) {
        let Some(at) = self.udp.next_look(self.cx.now) else { return };
        // It comes nearer with a flow that may be idle for less than the others.
        if self.chores.flows_at.is_none_or(|armed| at < armed) {
            self.chores.flows_at = Some(at);
            self.cx.timers.arm(self.chores.flows, at);
        }
    }

    /// The timer for that fired.
    pub(super) fn look_at_flows(&mut self) {
        self.chores.flows_at = None;
        self.udp.look(&mut self.cx);
    }
}
