//! What a TCP pair does in its turn: connect, relay, try another backend.
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

use crate::backends::{NoBackend, Urgency};
use crate::context::Context;
use crate::net::{Fault, Socket};
use crate::stats::Moved;

use super::bandwidth;
use super::client::{Client, Link};
use super::connect::{self, Attempt, Took, watch};
use super::duplex::{Begun, Outcome, Progress};
use super::verdict::{Loss, Reason, Verdict};
use super::waiting;

/// A new pair's first turn.
pub fn open(client: &mut Client, cx: &mut Context) -> Verdict {
    find_backend(client, cx)
}

/// Something happened at one of the sockets, or there was work left over.
pub fn act(client: &mut Client, cx: &mut Context) -> Verdict {
    if client.link.is_connecting() {
        if let Some(fault) = client.socket.fault() {
            client.duplex.client_broke(fault);
            return Verdict::Close(Reason::ClientBroke(fault));
        }
        match connect::proceed(client, cx) {
            connect::ConnectProgress::Pending => return watch(client, Verdict::Keep, cx),
            connect::ConnectProgress::Again => return Verdict::Again,
            connect::ConnectProgress::Failed(fault) => return try_another(client, fault, cx),
            connect::ConnectProgress::Done => connected(client, cx),
        }
    }
    if client.link.is_waiting() {
        return match client.socket.fault() {
            Some(fault) => Verdict::Close(Reason::ClientBroke(fault)),
            None => watch(client, Verdict::Keep, cx),
        };
    }
    relay(client, cx)
}

/// The timer fired: perhaps too early, for deadlines move without it.
pub fn on_timer(client: &mut Client, cx: &mut Context) -> Verdict {
    if bandwidth::is_released(client, cx) {
        return act(client, cx);
    }
    client.recheck(cx);
    let deadline = deadline(client, cx);
    if deadline.at > cx.now {
        client.arm_by(deadline.at, cx);
        client.arm_recheck(cx);
        return Verdict::Keep;
    }
    match client.link {
        Link::Waiting(_) if deadline.reason == Reason::TooOld => Verdict::Close(Reason::TooOld),
        Link::Waiting(_) => Verdict::Close(waiting::give_up(client, cx)),
        Link::Connected(_) => {
            if deadline.reason == Reason::TooOld {
                // Either side may be in the middle of something.
                client.duplex.client_broke(Fault::TimedOut);
            }
            Verdict::Close(deadline.reason)
        }
        Link::Connecting(_) if !connect::is_too_late(client, cx) => act(client, cx),
        Link::Connecting(_) | Link::Called | Link::None => {
            try_another(client, Fault::TimedOut, cx)
        }
    }
}

/// Its backend is lost, and its connections are to be closed. A pair that is still connecting
/// tries another one.
pub fn on_backend_lost(loss: Loss, client: &mut Client, cx: &mut Context) -> Verdict {
    match client.link {
        Link::Connected(_) => Verdict::Close(Reason::BackendLost(loss)),
        // It has none.
        Link::Waiting(_) => Verdict::Keep,
        Link::Connecting(_) | Link::Called | Link::None => {
            try_another(client, Fault::GivenUp, cx)
        }
    }
}

/// When the pair has waited too long, and the reason to close it for then.
struct Deadline {
    at: Instant,
    reason: Reason,
}

fn deadline(client: &Client, cx: &Context) -> Deadline {
    let rest = rests_until(client, cx);
    match client.ends_at(cx) {
        Some(at) if may_be_too_old(client) && at < rest.at => {
            Deadline { at, reason: Reason::TooOld }
        }
        _ => rest,
    }
}

/// One that looks for a backend is closed for that, if it takes too long, and not for its age.
fn may_be_too_old(client: &Client) -> bool {
    client.link.is_connected() || client.link.is_waiting()
}

/// The same, without regard to its age.
fn rests_until(client: &Client, cx: &Context) -> Deadline {
    let settings = || cx.service(client.home.service);
    match (client.link, client.duplex.progress()) {
        (Link::Waiting(_), _) => {
            let at = waiting::deadline(client, cx).unwrap_or(cx.now);
            Deadline { at, reason: Reason::Refused(NoBackend::QueueTimeout) }
        }
        (Link::Connecting(_) | Link::Called | Link::None, _) => {
            let at = connect::deadline(client, cx).unwrap_or(cx.now);
            Deadline { at, reason: Reason::ConnectFailed(Fault::TimedOut) }
        }
        (Link::Connected(_), Progress::Open) => {
            let at = client.active_at(cx) + settings().idle_timeout;
            Deadline { at, reason: Reason::Idle }
        }
        (Link::Connected(_), Progress::HalfClosed | Progress::Finished) => {
            let at = client.active_at(cx) + settings().half_close_timeout;
            Deadline { at, reason: Reason::HalfClosedIdle }
        }
    }
}

fn arm_timer(client: &mut Client, cx: &mut Context) {
    client.arm_by(deadline(client, cx).at, cx);
}

/// Connect to a backend, and to another one as long as that fails at once.
fn find_backend(client: &mut Client, cx: &mut Context) -> Verdict {
    loop {
        let attempt = connect::start(client, cx).and_then(|()| first_bytes(client, cx));
        match attempt {
            Ok(verdict) => return verdict,
            Err(Attempt::Over(reason)) if waiting::may_wait(reason, client) => {
                return wait(client, cx);
            }
            Err(Attempt::Over(reason)) => return Verdict::Close(reason),
            Err(Attempt::Failed(fault)) => {
                if let Err(reason) = give_up(client, fault, cx) {
                    return Verdict::Close(reason);
                }
            }
        }
    }
}

/// None of the backends has room.
#[cold]
fn wait(client: &mut Client, cx: &mut Context) -> Verdict {
    match waiting::begin(Urgency::Normal, None, client, cx) {
        Ok(()) => {
            arm_timer(client, cx);
            watch(client, Verdict::Keep, cx)
        }
        Err(refusal) => Verdict::Close(Reason::Refused(refusal)),
    }
}

/// Its turn has come.
pub fn called(client: &mut Client, cx: &mut Context) -> Verdict {
    find_backend(client, cx)
}

/// Give up this backend; the next one gets all that the client sent. Once this one took any of it
/// there is no next one.
fn give_up(client: &mut Client, fault: Fault, cx: &mut Context) -> Result<(), Reason> {
    let connection = client.link.key().and_then(|key| cx.connections.get(key));
    let owes = connection.is_some_and(|connection| connection.stream.owes());
    if owes || !client.duplex.change_backend() {
        client.duplex.backend_broke(fault);
        return Err(Reason::BackendBroke(fault));
    }
    connect::give_up(client, fault, Took::Nothing, cx)
}

/// Send what the client has sent already, before the poll reports that the connect succeeded: on a
/// fast network it has, and a turn of the loop is saved.
fn first_bytes(client: &mut Client, cx: &mut Context) -> Result<Verdict, Attempt> {
    let (connection, mut buffers) = cx.connection_and_buffers(client.link.key());
    let Some(connection) = connection else { return Ok(lost()) };
    let backend = connection.backend;
    let moved_before = client.duplex.moved();
    let begun = client.duplex.begin(&mut client.socket, &mut connection.stream, &mut buffers);
    if matches!(begun, Begun::Waits) {
        connection.stream.want_write();
    }
    cx.moved(client.home, backend, client.duplex.moved().since(moved_before));
    match begun {
        Begun::ClientBroke(fault) => Err(Attempt::Over(Reason::ClientBroke(fault))),
        Begun::Unserved(fault) => Err(Attempt::Failed(fault)),
        Begun::Waits => Ok(watch(client, Verdict::Keep, cx)),
        Begun::Taken => {
            connected(client, cx);
            Ok(relay(client, cx))
        }
    }
}

fn connected(client: &mut Client, cx: &mut Context) {
    if let Some(connection) = client.link.key().and_then(|key| cx.connections.get(key)) {
        let backend = connection.backend;
        let took = connection.started_at.elapsed();
        cx.backends.connected(backend, took, cx.now);
    }
    connect::connected(client, cx);
    arm_timer(client, cx);
}

/// Give up this backend, and connect to another one if there is one left to try.
fn try_another(client: &mut Client, fault: Fault, cx: &mut Context) -> Verdict {
    let was_taken = client.link.is_connected();
    match give_up(client, fault, cx) {
        Ok(()) => find_backend(client, cx),
        // The connect succeeded, and then the connection broke.
        Err(Reason::ConnectFailed(fault)) if was_taken => {
            client.duplex.backend_broke(fault);
            Verdict::Close(Reason::BackendBroke(fault))
        }
        Err(reason) => Verdict::Close(reason),
    }
}

/// Move bytes both ways. A pair that goes on is registered with the poll, its timer armed.
fn relay(client: &mut Client, cx: &mut Context) -> Verdict {
    bandwidth::begin_turn(client, cx);
    let (connection, mut buffers) = cx.connection_and_buffers(client.link.key());
    let Some(connection) = connection else { return lost() };
    let backend = connection.backend;
    let duplex = &mut client.duplex;
    let moved_before = duplex.moved();
    let before = duplex.progress();
    let outcome = duplex.pump(&mut client.socket, &mut connection.stream, &mut buffers);
    let moved = duplex.moved().since(moved_before);
    cx.moved(client.home, backend, moved);
    bandwidth::end_turn(moved_before.to_client, client, cx);
    // An end counts as activity: the side that is left has the whole half-close timeout.
    if moved != Moved::default() || client.duplex.progress() != before {
        client.note_active(cx);
    }
    let verdict = match outcome {
        Outcome::Unserved(fault) => return try_another(client, fault, cx),
        Outcome::Finished => {
            let reason = client.duplex.broke().map_or(Reason::Finished, Reason::from);
            return Verdict::Close(reason);
        }
        Outcome::Again => Verdict::Again,
        Outcome::Rest => Verdict::Keep,
    };
    client.arm_recheck(cx);
    if client.duplex.progress() == Progress::HalfClosed {
        arm_timer(client, cx);
    }
    watch(client, verdict, cx)
}

/// A pair that relays has a connection. Without one no event would ever wake it, so it is closed.
fn lost() -> Verdict {
    debug_assert!(false, "a pair acts without a connection");
    Verdict::Close(Reason::BackendBroke(Fault::Reset))
}
