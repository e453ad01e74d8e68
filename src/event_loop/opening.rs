//! When clients are let in: once the names of backends were looked up, and nobody else serves in
//! our place. Until then they wait in the kernel's queue.
//!
//! ```text
//!   a start                          run: Begun
//!                     no names, or all known |  \ some unknown
//!                                            |   Resolving --known, or late-----> Open
//!                                            +-----------------------------------> ^
//!   --takeover               look_up_names: Begun                                  |
//!                     no names, or all known |  \ some unknown                     |
//!                                            |   ResolvingBehind                   |
//!                                            |     | known, or late                |
//!                                            +--> Behind --take_place--------------+
//! ```
//!
//! Late is what takes longer than [`DNS_START_WAIT`]; a stop ends the wait as well. That sets
//! follow their names later on is another matter: see [`super::naming`].

use std::io;
use std::time::Instant;

use crate::limits::DNS_START_WAIT;

use super::{EventLoop, RunState};

/// How far a start is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Opening {
    /// Nothing was looked up yet, and nothing is waited for: no turn was made.
    #[default]
    Begun,
    /// Names are looked up, until then at most.
    Resolving(Instant),
    /// The same while another process serves yet, in whose place this one is to be.
    ResolvingBehind(Instant),
    /// Nothing is waited for but that process.
    Behind,
    /// Clients are let in, for good.
    Open,
}

impl Opening {
    /// Until when names are looked up at most, if they are.
    fn resolves_until(self) -> Option<Instant> {
        match self {
            Opening::Resolving(until) | Opening::ResolvingBehind(until) => Some(until),
            Opening::Begun | Opening::Behind | Opening::Open => None,
        }
    }

    /// What comes once names are known, or it is late.
    fn resolved(self) -> Opening {
        match self {
            Opening::Begun | Opening::Resolving(_) | Opening::Open => Opening::Open,
            Opening::ResolvingBehind(_) | Opening::Behind => Opening::Behind,
        }
    }

    /// Another process serves, and nothing is to be written yet.
    fn is_behind(self) -> bool {
        matches!(self, Opening::ResolvingBehind(_) | Opening::Behind)
    }

    /// Nobody is kept outside.
    fn lets_in(self) -> bool {
        matches!(self, Opening::Begun | Opening::Open)
    }
}

impl EventLoop {
    /// The first turn is about to be made: nobody is let in before names are known, if there are
    /// any. Who took the place of another process has looked them up.
    pub(super) fn begin_to_open(&mut self) {
        if self.opening == Opening::Begun {
            self.resolve_before(Opening::Resolving);
        }
        if self.awaits_word() {
            self.say_that_it_serves();
        } else if self.opening == Opening::Open {
            self.tell_ready();
        }
    }

    /// Before this process takes the place of another one, which serves yet: names are looked up.
    /// Says whether it is to go on.
    pub fn look_up_names(&mut self) -> io::Result<bool> {
        self.resolve_before(Opening::ResolvingBehind);
        while self.is_resolving() && self.state == RunState::Serving {
            self.turn(None)?;
        }
        Ok(self.state == RunState::Serving)
    }

    fn resolve_before(&mut self, resolving: impl FnOnce(Instant) -> Opening) {
        let until = self.cx.now + DNS_START_WAIT;
        self.opening = resolving(until);
        if self.resolver.has_unknown() {
            self.cx.timers.arm(self.chores.open, until);
        } else {
            self.opening = self.opening.resolved();
            self.place_saved_at_last();
        }
    }

    /// The process before has given up its place: this one serves from now on.
    pub(super) fn begin_to_serve(&mut self) {
        self.opening = Opening::Open;
    }

    /// Whether nothing is to be written yet: another process does it, or may go on with it.
    pub(super) fn waits_for_place(&self) -> bool {
        self.opening.is_behind() || self.awaits_word()
    }

    /// Whether clients wait outside, for nobody knows yet where they are to be sent, or another
    /// process serves.
    pub(super) fn keeps_clients_out(&self) -> bool {
        !self.opening.lets_in()
    }

    /// Datagrams of clients have come, and somebody is to take them.
    pub(super) fn has_datagrams_waiting(&self) -> bool {
        self.udp.is_ready() && !self.keeps_clients_out()
    }

    pub(super) fn is_resolving(&self) -> bool {
        self.opening.resolves_until().is_some()
    }

    /// Whether the first look-ups are over, or nobody waits for them any longer.
    pub(super) fn may_end_resolving(&self) -> bool {
        self.is_resolving() && (!self.resolver.has_unknown() || self.is_late_to_resolve())
    }

    fn is_late_to_resolve(&self) -> bool {
        let is_late = self.opening.resolves_until().is_some_and(|until| self.cx.now >= until);
        is_late || self.state != RunState::Serving
    }

    /// Names are known, and what runs is what they say; or it is late, or we stop.
    pub(super) fn end_resolving(&mut self) {
        let is_known = !self.resolver.has_unknown() && self.follows_names();
        if !is_known && !self.is_late_to_resolve() {
            return;
        }
        self.opening = self.opening.resolved();
        self.place_saved_at_last();
        if self.state != RunState::Serving {
            return;
        }
        self.say_names();
        if !self.waits_for_place() {
            self.tell_ready();
        }
    }
}
