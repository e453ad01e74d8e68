//! What a TCP pair does in its turn: connect, relay, give up.
//!
//! ```text
//!   open ---> pick, connect, first bytes ----> Connecting ---connected---> Relaying ---> finished
//!                ^                                 |                          |
//!                +--- another backend, as long as no byte went either way <---+
//! ```
//!
//! Every function here returns a [`Verdict`] and closes nothing: the event loop does, at the end of
//! the turn.

use std::time::Instant;

use crate::context::Context;
use crate::net::{Fault, Socket};

use super::connect::{self, Attempt, Took, watch};
use super::duplex::{Begun, Outcome, Progress};
use super::pair::{Pair, Reason, Stage, Verdict};

/// A new pair's first turn.
pub fn open(pair: &mut Pair, cx: &mut Context) -> Verdict {
    find_backend(pair, cx)
}

/// Something happened at one of the sockets, or there was work left over.
pub fn act(pair: &mut Pair, cx: &mut Context) -> Verdict {
    if pair.stage == Stage::Connecting {
        if let Some(fault) = pair.client.fault() {
            pair.duplex.client_broke(fault);
            return Verdict::Close(Reason::ClientBroke(fault));
        }
        match connect::proceed(pair, cx) {
            connect::Progress::Pending => return watch(pair, Verdict::Keep, cx),
            connect::Progress::Again => return Verdict::Again,
            connect::Progress::Failed(fault) => return try_another(pair, fault, cx),
            connect::Progress::Done => connected(pair, cx),
        }
    }
    relay(pair, cx)
}

/// The timer fired: perhaps too early, for deadlines move without it.
pub fn on_timer(pair: &mut Pair, cx: &mut Context) -> Verdict {
    pair.look(cx);
    let (deadline, reason) = deadline(pair, cx);
    if deadline > cx.now {
        pair.arm_by(deadline, cx);
        pair.arm_look(cx);
        return Verdict::Keep;
    }
    match pair.stage {
        Stage::Connecting if !connect::is_too_late(pair, cx) => act(pair, cx),
        Stage::Handshaking | Stage::Picking | Stage::Connecting => {
            try_another(pair, Fault::TimedOut, cx)
        }
        Stage::Relaying => Verdict::Close(reason),
    }
}

/// Its backend went down, and `--on-down close` was asked for. Who is still connecting to it need
/// not suffer from that: another backend is tried.
pub fn on_backend_down(pair: &mut Pair, cx: &mut Context) -> Verdict {
    match pair.stage {
        Stage::Handshaking | Stage::Picking | Stage::Connecting => {
            try_another(pair, Fault::GivenUp, cx)
        }
        Stage::Relaying => Verdict::Close(Reason::BackendDown),
    }
}

/// When the pair has waited too long, and what to call it then.
fn deadline(pair: &Pair, cx: &Context) -> (Instant, Reason) {
    match (pair.stage, pair.duplex.progress()) {
        (Stage::Handshaking | Stage::Picking | Stage::Connecting, _) => {
            let until = connect::deadline(pair, cx).unwrap_or(cx.now);
            (until, Reason::ConnectFailed(Fault::TimedOut))
        }
        (Stage::Relaying, Progress::Open) => {
            (pair.active_at + cx.settings.idle_timeout, Reason::Idle)
        }
        (Stage::Relaying, Progress::HalfClosed | Progress::Finished) => {
            (pair.active_at + cx.settings.half_close_timeout, Reason::HalfClosedIdle)
        }
    }
}

fn arm_timer(pair: &mut Pair, cx: &mut Context) {
    let (deadline, _) = deadline(pair, cx);
    pair.arm_by(deadline, cx);
}

/// Connect to a backend, and to another one as long as that fails at once.
fn find_backend(pair: &mut Pair, cx: &mut Context) -> Verdict {
    loop {
        let attempt = connect::start(pair, cx).and_then(|()| first_bytes(pair, cx));
        match attempt {
            Ok(verdict) => return verdict,
            Err(Attempt::Over(reason)) => return Verdict::Close(reason),
            Err(Attempt::Failed(fault)) => {
                if let Err(reason) = give_up(pair, fault, cx) {
                    return Verdict::Close(reason);
                }
            }
        }
    }
}

/// Let go of this backend; the next one gets all that the client sent. Once this one took any of it
/// there is no next one, whatever led here.
fn give_up(pair: &mut Pair, fault: Fault, cx: &mut Context) -> Result<(), Reason> {
    let connection = pair.connection.and_then(|key| cx.connections.get(key));
    let owes = connection.is_some_and(|connection| connection.stream.owes());
    if owes || !pair.duplex.change_backend() {
        pair.duplex.backend_broke(fault);
        return Err(Reason::BackendBroke(fault));
    }
    connect::give_up(pair, fault, Took::Nothing, cx)
}

/// Send what the client has sent already, before anybody knows whether the backend is there: on a
/// fast network it is, and a turn of the loop is saved.
fn first_bytes(pair: &mut Pair, cx: &mut Context) -> Result<Verdict, Attempt> {
    let (connection, mut supplies) = cx.connection_and_supplies(pair.connection);
    let Some(connection) = connection else { return Ok(lost()) };
    match pair.duplex.begin(&mut pair.client, &mut connection.stream, &mut supplies) {
        Begun::ClientBroke(fault) => Err(Attempt::Over(Reason::ClientBroke(fault))),
        Begun::Unserved(fault) => Err(Attempt::Failed(fault)),
        Begun::Waits => {
            connection.stream.want_write();
            Ok(watch(pair, Verdict::Keep, cx))
        }
        Begun::Taken => {
            connected(pair, cx);
            Ok(relay(pair, cx))
        }
    }
}

fn connected(pair: &mut Pair, cx: &mut Context) {
    if let Some(connection) = pair.connection.and_then(|key| cx.connections.get(key)) {
        let (backend, took) = (connection.backend, connection.started_at.elapsed());
        cx.backends.connected(backend, took, cx.now);
    }
    connect::connected(pair, cx);
    arm_timer(pair, cx);
}

/// Give up this backend, and connect to another one if there is one left to try.
fn try_another(pair: &mut Pair, fault: Fault, cx: &mut Context) -> Verdict {
    let was_taken = pair.stage == Stage::Relaying;
    match give_up(pair, fault, cx) {
        Ok(()) => find_backend(pair, cx),
        // It was reached, and broke off.
        Err(Reason::ConnectFailed(fault)) if was_taken => {
            pair.duplex.backend_broke(fault);
            Verdict::Close(Reason::BackendBroke(fault))
        }
        Err(reason) => Verdict::Close(reason),
    }
}

/// Move bytes both ways, then see how far the pair is; if it goes on, see to it that it is woken.
fn relay(pair: &mut Pair, cx: &mut Context) -> Verdict {
    let (connection, mut supplies) = cx.connection_and_supplies(pair.connection);
    let Some(connection) = connection else { return lost() };
    let (backend, duplex) = (connection.backend, &mut pair.duplex);
    let (sent, received) = (duplex.request.moved(), duplex.response.moved());
    let before = duplex.progress();
    let outcome = duplex.pump(&mut pair.client, &mut connection.stream, &mut supplies);
    let (sent, received) = (duplex.request.moved() - sent, duplex.response.moved() - received);
    cx.backends.moved(backend, sent, received);
    // An end is a move, too: whoever is left has the whole time from then on.
    if sent + received > 0 || duplex.progress() != before {
        pair.active_at = cx.now;
    }
    let verdict = match outcome {
        Outcome::Unserved(fault) => return try_another(pair, fault, cx),
        Outcome::Finished => {
            let reason = pair.duplex.broke().map_or(Reason::Finished, Reason::from);
            return Verdict::Close(reason);
        }
        Outcome::Again => Verdict::Again,
        Outcome::Rest => Verdict::Keep,
    };
    pair.arm_look(cx);
    if pair.duplex.progress() == Progress::HalfClosed {
        arm_timer(pair, cx);
    }
    watch(pair, verdict, cx)
}

/// A pair acts only with a connection. Without one nothing would ever wake it.
fn lost() -> Verdict {
    debug_assert!(false, "a pair acts without a connection");
    Verdict::Close(Reason::BackendBroke(Fault::Reset))
}
