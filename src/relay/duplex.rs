//! Both directions between a client and a backend, and what the end of one means for the other.
//!
//! ```text
//!   client ==> request ==> backend          request \ response   Open      Draining  Done
//!   client <== response <== backend         Open                 open      open      half closed
//!                                           Draining             open      open      half closed
//!                                           Done                 half cl.  half cl.  FINISHED
//!
//!   the client broke     nothing more is sent to it; what it had sent still goes to the backend
//!   the backend broke    nothing more is sent to it, and what the client sends is dropped; what
//!                        the backend had sent still goes to the client
//!   ... before a byte    another backend may take over, unnoticed by the client
//!   read up to the break both directions are done, and the other side gets a reset, not a FIN
//! ```
//!
//! [`Duplex::progress`] alone knows when a connection is finished. Nothing here connects, waits or
//! closes: `relay::tcp` does that, and in tests the simulation.

use std::time::Duration;

use crate::net::{Fault, Socket};
use crate::stats::Moved;

use super::pump::{Buffers, Direction, DirectionState, Pumped};

/// The two directions of a pair.
#[derive(Debug, Default)]
pub struct Duplex {
    /// Client to backend.
    pub request: Direction,
    /// Backend to client.
    pub response: Direction,
    /// Which side broke first; `None` while both are well.
    broke: Option<Break>,
    /// Bytes were lost: whichever side is left gets a reset.
    torn: bool,
}

/// Which side's connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The client.
    Client(Fault),
    /// The backend.
    Backend(Fault),
}

/// How far a pair is, from the nine combinations of its directions' states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Both sides may send, or their last bytes are being sent on.
    Open,
    /// One direction is done, its FIN passed on.
    HalfClosed,
    /// Both are done.
    Finished,
}

/// What came of sending before it is known whether the connect succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It took some bytes: it is, or was, connected.
    Taken,
    /// There was nothing to send, or it takes nothing yet.
    Waits,
    /// The connection broke before a byte was taken.
    Unserved(Fault),
    /// The client broke off.
    ClientBroke(Fault),
}

/// What pumping came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing to do before the next event.
    Rest,
    /// There is more to do.
    Again,
    /// The backend broke before a byte went either way.
    Unserved(Fault),
    /// Nothing will move any more.
    Finished,
}

impl Duplex {
    /// How far the pair is: the one place that knows when it is finished.
    pub fn progress(&self) -> Progress {
        use DirectionState::{Done, Draining, Open};
        match (self.request.state(), self.response.state()) {
            (Done, Done) => Progress::Finished,
            (Done, Open | Draining) | (Open | Draining, Done) => Progress::HalfClosed,
            (Open | Draining, Open | Draining) => Progress::Open,
        }
    }

    /// Move bytes both ways, within the budget of a turn, and pass on what has ended. After
    /// [`Outcome::Unserved`] there is either another backend or an end to it.
    pub fn pump(
        &mut self,
        client: &mut impl Socket,
        backend: &mut impl Socket,
        buffers: &mut Buffers<'_>,
    ) -> Outcome {
        self.on_faults(client, backend, buffers);
        let before = self.moved();
        let request = self.request.pump(client, backend, buffers);
        // Before the answer moves: it may have come in the same turn as its request.
        self.response.on_other_direction(self.request.moved() - before.to_backend, backend);
        let response = self.response.pump(backend, client, buffers);
        self.request.on_other_direction(self.response.moved() - before.to_client, client);
        match (request, response) {
            // Without its client no other backend needs to take over.
            (Pumped::SourceBroke(_), _) => {}
            (Pumped::TargetBroke(fault), _) | (_, Pumped::SourceBroke(fault))
                if self.is_untouched(backend) =>
            {
                return Outcome::Unserved(fault);
            }
            _ => {}
        }
        let outcome = self.on_steps(request, response, buffers);
        if self.progress() == Progress::Finished {
            return Outcome::Finished;
        }
        self.request.pass_end(backend);
        self.response.pass_end(client);
        outcome
    }

    /// Send what the client has sent already. A backend that breaks in the middle of it may have
    /// acted on the first part, so no other backend gets it: [`Duplex::pump`] goes on from there.
    pub fn begin(
        &mut self,
        client: &mut impl Socket,
        backend: &mut impl Socket,
        buffers: &mut Buffers<'_>,
    ) -> Begun {
        let before = self.request.moved();
        let step = self.request.pump(client, backend, buffers);
        match step {
            Pumped::SourceBroke(fault) => {
                self.client_broke(fault);
                Begun::ClientBroke(fault)
            }
            Pumped::TargetBroke(fault) if self.is_untouched(backend) => Begun::Unserved(fault),
            _ if self.request.moved() > before || backend.owes() => Begun::Taken,
            _ => Begun::Waits,
        }
    }

    /// Another backend takes over from one that broke before a byte went either way. `false` if
    /// bytes moved: no other backend may go on with them.
    #[must_use]
    pub fn change_backend(&mut self) -> bool {
        if !self.is_unmoved() {
            return false;
        }
        self.request.change_target();
        // It ended with the backend that broke.
        self.response = Direction::default();
        true
    }

    /// Nothing will move any more; what was on its way is dropped.
    pub fn end(&mut self, buffers: &mut Buffers<'_>) {
        self.request.end(buffers);
        self.response.end(buffers);
    }

    /// When the next recheck is due, if one is; see [`Direction::recheck`].
    pub fn recheck_in(&self) -> Option<Duration> {
        let request = self.request.recheck_in();
        let response = self.response.recheck_in();
        request.into_iter().chain(response).min()
    }

    /// The timer fired: see [`Direction::recheck`].
    pub fn recheck(&mut self, client: &mut impl Socket, backend: &mut impl Socket) {
        self.request.recheck(client);
        self.response.recheck(backend);
    }

    /// Which side broke first; `None` while both are well.
    pub fn broke(&self) -> Option<Break> {
        self.broke
    }

    /// Whether closing now must be a reset: a side broke, or bytes are still to be sent. After a
    /// FIN the other side could take what it got for complete.
    pub fn is_torn(&self) -> bool {
        self.torn || self.request.held() > 0 || self.response.held() > 0
    }

    /// A side that broke is not written to any more; what it sent before is still read.
    fn on_faults(
        &mut self,
        client: &mut impl Socket,
        backend: &mut impl Socket,
        buffers: &mut Buffers<'_>,
    ) {
        if let Some(fault) = client.fault()
            && self.response.state() != DirectionState::Done
        {
            self.tear(Break::Client(fault));
            self.response.end(buffers);
        }
        if let Some(fault) = backend.fault()
            && self.request.state() != DirectionState::Done
            && !self.is_untouched(backend)
        {
            self.broke.get_or_insert(Break::Backend(fault));
            self.request.discard(buffers);
        }
    }

    /// What a break at one end means for both directions, and whether there is more to do.
    fn on_steps(
        &mut self,
        request: Pumped,
        response: Pumped,
        buffers: &mut Buffers<'_>,
    ) -> Outcome {
        let mut outcome = Outcome::Rest;
        match request {
            Pumped::Rest => {}
            Pumped::Again => outcome = Outcome::Again,
            Pumped::SourceBroke(fault) => {
                self.tear(Break::Client(fault));
                self.response.end(buffers);
            }
            // Its answer may be whole and still to be read; the client's bytes are dropped.
            Pumped::TargetBroke(fault) => {
                self.broke.get_or_insert(Break::Backend(fault));
                self.request.discard(buffers);
                outcome = Outcome::Again;
            }
        }
        match response {
            Pumped::Rest => {}
            Pumped::Again => outcome = Outcome::Again,
            Pumped::SourceBroke(fault) => {
                self.tear(Break::Backend(fault));
                self.request.end(buffers);
            }
            Pumped::TargetBroke(fault) => {
                self.tear(Break::Client(fault));
                self.response.end(buffers);
                outcome = Outcome::Again;
            }
        }
        outcome
    }

    /// The client's connection broke while no bytes were being relayed.
    pub fn client_broke(&mut self, fault: Fault) {
        self.tear(Break::Client(fault));
    }

    /// The backend's connection broke in the middle of an answer.
    pub fn backend_broke(&mut self, fault: Fault) {
        self.tear(Break::Backend(fault));
    }

    /// Bytes that were relayed since the pair began.
    pub fn moved(&self) -> Moved {
        Moved { to_backend: self.request.moved(), to_client: self.response.moved() }
    }

    fn tear(&mut self, side: Break) {
        self.broke.get_or_insert(side);
        self.torn = true;
    }

    /// Whether no byte reached the backend and nothing came from it, so that another backend can
    /// take over, unnoticed by the client (pitfall 10).
    fn is_untouched(&self, backend: &impl Socket) -> bool {
        self.is_unmoved() && !backend.owes()
    }

    /// The same, without the bytes that TLS has sealed and not reported as sent. A client that
    /// broke needs no other backend.
    fn is_unmoved(&self) -> bool {
        self.request.moved() == 0 && self.response.is_untouched() && self.broke.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_states_of_two_directions() {
        use DirectionState::{Done, Draining, Open};
        use Progress::{Finished, HalfClosed};
        for (request, response, progress) in [
            (Open, Open, Progress::Open),
            (Open, Draining, Progress::Open),
            (Open, Done, HalfClosed),
            (Draining, Open, Progress::Open),
            (Draining, Draining, Progress::Open),
            (Draining, Done, HalfClosed),
            (Done, Open, HalfClosed),
            (Done, Draining, HalfClosed),
            (Done, Done, Finished),
        ] {
            let request = Direction::at(request);
            let response = Direction::at(response);
            let duplex = Duplex { request, response, ..Duplex::default() };
            assert_eq!(duplex.progress(), progress, "{duplex:?}");
        }
    }
}
