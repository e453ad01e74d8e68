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

use std::time::{Duration, Instant};

use log::{Level, debug, log_enabled};

use crate::backends::BackendId;
use crate::context::Context;
use crate::event::Owner;
use crate::net::{Connect, Fault, Socket, Stream};

use super::duplex::{Outcome, Progress};
use super::pair::{Pair, Reason, Stage, Verdict};
use super::pump::Step;

/// A new pair's first turn.
pub fn open(pair: &mut Pair, cx: &mut Context) -> Verdict {
    connect(pair, cx)
}

/// Something happened at one of the sockets, or there was work left over.
pub fn act(pair: &mut Pair, cx: &mut Context) -> Verdict {
    if let Stage::Connecting(_) = pair.stage {
        if let Some(fault) = pair.client.fault() {
            return Verdict::Close(Reason::ClientBroke(fault));
        }
        let Some(connection) = pair.connection.and_then(|key| cx.connections.get_mut(key))
        else {
            return Verdict::Keep;
        };
        match connection.stream.connect_outcome() {
            Connect::Pending => return Verdict::Keep,
            Connect::Failed(fault) => return try_another(pair, fault, cx),
            Connect::Done => connected(pair, cx),
        }
    }
    relay(pair, cx)
}

/// The timer fired: perhaps too early, for deadlines move without it.
pub fn on_timer(pair: &mut Pair, cx: &mut Context) -> Verdict {
    let (deadline, reason) = deadline(pair, cx);
    if deadline > cx.now {
        pair.armed_for = deadline;
        cx.timers.arm(pair.timer, deadline);
        return Verdict::Keep;
    }
    match pair.stage {
        Stage::Connecting(_) => try_another(pair, Fault::TimedOut, cx),
        Stage::Relaying => Verdict::Close(reason),
    }
}

/// Its backend went down, and `--on-down close` was asked for. Who is still connecting to it need
/// not suffer from that: as if the time were over, another backend is tried.
pub fn on_backend_down(pair: &mut Pair, cx: &mut Context) -> Verdict {
    match pair.stage {
        Stage::Connecting(_) => try_another(pair, Fault::TimedOut, cx),
        Stage::Relaying => Verdict::Close(Reason::BackendDown),
    }
}

/// When the pair has waited too long, and what to call it then.
fn deadline(pair: &Pair, cx: &Context) -> (Instant, Reason) {
    match (pair.stage, pair.duplex.progress()) {
        (Stage::Connecting(until), _) => (until, Reason::ConnectFailed(Fault::TimedOut)),
        (Stage::Relaying, Progress::Open) => {
            (pair.active_at + cx.settings.idle_timeout, Reason::Idle)
        }
        (Stage::Relaying, Progress::HalfClosed | Progress::Finished) => {
            (pair.active_at + cx.settings.half_close_timeout, Reason::HalfClosedIdle)
        }
    }
}

/// A deadline that comes nearer needs the timer; one that moves away is noticed when it fires.
fn arm_timer(pair: &mut Pair, cx: &mut Context) {
    let (deadline, _) = deadline(pair, cx);
    if deadline < pair.armed_for || pair.armed_for <= cx.now {
        pair.armed_for = deadline;
        cx.timers.arm(pair.timer, deadline);
    }
}

/// Connect to a backend, and to another one as long as that fails at once.
fn connect(pair: &mut Pair, cx: &mut Context) -> Verdict {
    loop {
        let attempt = start_attempt(pair, cx).and_then(|()| first_bytes(pair, cx));
        match attempt {
            Ok(verdict) => return verdict,
            Err(Attempt::Over(reason)) => return Verdict::Close(reason),
            Err(Attempt::Failed(fault)) => {
                if let Err(reason) = abandon(pair, fault, cx) {
                    return Verdict::Close(reason);
                }
            }
        }
    }
}

/// Why an attempt to connect did not get on.
enum Attempt {
    /// The backend did not take it: another one may.
    Failed(Fault),
    /// There is no use in going on.
    Over(Reason),
}

/// Pick a backend and begin to connect to it.
fn start_attempt(pair: &mut Pair, cx: &mut Context) -> Result<(), Attempt> {
    let client = pair.client_address.ip();
    let picked = cx.backends.pick(client, &pair.tried, cx.now);
    let backend = picked.map_err(|refusal| Attempt::Over(refused(pair, refusal)))?;
    if log_enabled!(Level::Debug) {
        debug!("pair {}: connecting: {}", pair.number, cx.backends.why(backend, cx.now));
    }
    let address = cx.backends[backend].address;
    let started_at = Instant::now();
    match Stream::connect(address) {
        Ok(stream) => {
            pair.connection = Some(cx.add_connection(stream, backend, pair.key, started_at));
            pair.stage = Stage::Connecting(cx.now + cx.settings.connect_timeout);
            arm_timer(pair, cx);
            Ok(())
        }
        // No socket for anybody: no backend's fault, and no use in asking another one.
        Err(Fault::Exhausted) => {
            cx.stats.exhausted += 1;
            Err(Attempt::Over(Reason::Exhausted))
        }
        Err(fault) => {
            pair.tried.push(backend);
            Err(Attempt::Failed(fault))
        }
    }
}

/// A refusal after failed attempts is really their failure.
fn refused(pair: &Pair, refusal: crate::backends::Refusal) -> Reason {
    match pair.connect_fault {
        Some(fault) if !pair.tried.is_empty() => Reason::ConnectFailed(fault),
        _ => Reason::Refused(refusal),
    }
}

/// Send what the client has sent already, before anybody knows whether the backend is there: on a
/// fast network it is, and a turn of the loop is saved.
fn first_bytes(pair: &mut Pair, cx: &mut Context) -> Result<Verdict, Attempt> {
    let (connection, mut supplies) = cx.connection_and_supplies(pair.connection);
    let Some(connection) = connection else { return Ok(Verdict::Keep) };
    let request = &mut pair.duplex.request;
    let before = request.moved();
    match request.pump(&mut pair.client, &mut connection.stream, &mut supplies) {
        Step::SourceBroke(fault) => return Err(Attempt::Over(Reason::ClientBroke(fault))),
        Step::TargetBroke(fault) => return Err(Attempt::Failed(fault)),
        Step::Again | Step::Rest => {}
    }
    if pair.duplex.request.moved() == before {
        connection.stream.want_write();
        return Ok(watch(pair, Verdict::Keep, cx));
    }
    connected(pair, cx);
    Ok(relay(pair, cx))
}

/// The backend took the connection.
fn connected(pair: &mut Pair, cx: &mut Context) {
    let Some(connection) = pair.connection.and_then(|key| cx.connections.get(key)) else {
        return;
    };
    let (backend, took) = (connection.backend, connection.started_at.elapsed());
    cx.backends.connected(backend, took, cx.now);
    pair.stage = Stage::Relaying;
    pair.connect_fault = None;
    pair.active_at = cx.now;
    arm_timer(pair, cx);
}

/// Give up this backend, and connect to another one if there is one left to try.
fn try_another(pair: &mut Pair, fault: Fault, cx: &mut Context) -> Verdict {
    match abandon(pair, fault, cx) {
        Ok(()) => connect(pair, cx),
        Err(reason) => Verdict::Close(reason),
    }
}

/// The backend did not take the connection: drop it and remember that it was tried.
fn abandon(pair: &mut Pair, fault: Fault, cx: &mut Context) -> Result<(), Reason> {
    let backend = retire_connection(pair, fault, cx).or(pair.tried.last().copied());
    let reason = Reason::ConnectFailed(fault);
    pair.connect_fault = Some(fault);
    let Some(backend) = backend else { return Err(reason) };
    let name = &cx.backends[backend].name;
    debug!("pair {}: {}: {name} failed: {fault}", pair.number, pair.doing());
    if pair.tried.len() > cx.settings.retries as usize {
        return Err(reason);
    }
    cx.stats.retries += 1;
    Ok(())
}

/// Let go of the connection that failed, and tell its backend.
fn retire_connection(pair: &mut Pair, fault: Fault, cx: &mut Context) -> Option<BackendId> {
    let key = pair.connection.take()?;
    let connection = cx.connections.get(key)?;
    let (backend, took) = (connection.backend, connection.started_at.elapsed());
    cx.retire(key);
    pair.duplex.change_backend();
    pair.tried.push(backend);
    blame(backend, fault, took, cx);
    Some(backend)
}

/// A connect that failed counts against its backend, unless it was us who had nothing left.
fn blame(backend: BackendId, fault: Fault, took: Duration, cx: &mut Context) {
    if fault != Fault::Exhausted {
        cx.backends.connect_failed(backend, fault, took, cx.now);
    }
}

/// Move bytes both ways, then see how far the pair is; if it goes on, see to it that it is woken.
fn relay(pair: &mut Pair, cx: &mut Context) -> Verdict {
    let (connection, mut supplies) = cx.connection_and_supplies(pair.connection);
    let Some(connection) = connection else { return Verdict::Keep };
    let (backend, duplex) = (connection.backend, &mut pair.duplex);
    let (sent, received) = (duplex.request.moved(), duplex.response.moved());
    let outcome = duplex.pump(&mut pair.client, &mut connection.stream, &mut supplies);
    let (sent, received) = (duplex.request.moved() - sent, duplex.response.moved() - received);
    cx.backends.moved(backend, sent, received);
    if sent + received > 0 {
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
    if pair.duplex.progress() == Progress::HalfClosed {
        arm_timer(pair, cx);
    }
    watch(pair, verdict, cx)
}

/// Ask the poll for what both sockets still have to tell.
fn watch(pair: &mut Pair, verdict: Verdict, cx: &mut Context) -> Verdict {
    let mut armed = pair.client.arm(&cx.registry, Owner::Pair(pair.key));
    if let Some((key, connection)) =
        pair.connection.and_then(|key| Some((key, cx.connections.get_mut(key)?)))
    {
        armed = armed.and(connection.stream.arm(&cx.registry, Owner::Connection(key)));
    }
    match armed {
        Ok(()) => verdict,
        // The poll takes no more sockets: without its events the pair would hang.
        Err(error) => {
            debug!("pair {}: {}: cannot watch: {error}", pair.number, pair.doing());
            cx.stats.exhausted += 1;
            Verdict::Close(Reason::Exhausted)
        }
    }
}
