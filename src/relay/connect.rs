//! From a pair without a backend to one with a connection: pick, connect, give up, try another.
//!
//! Used by every protocol: what is sent on the connection, and when another backend may be tried,
//! is theirs to say.

use std::io;
use std::time::Instant;

use log::{Level, debug, log_enabled, warn};

use crate::backends::{Backends, Course, NoBackend, ServerId};
use crate::balance::Ask;
use crate::context::Context;
use crate::event::Owner;
use crate::limits::{CONNECT_PROVEN, TLS_WARNINGS};
use crate::net::tls::{Tls, Trouble};
use crate::net::{Connect, Fault, Stream};
use crate::picks::PickedBy;
use crate::stats::Failure;

use super::client::{Client, Link};
use super::verdict::{Reason, Verdict};
use super::{ahead, trace};

/// Why an attempt to connect did not get on.
pub enum Attempt {
    /// The backend did not take it: another one may.
    Failed(Fault),
    /// There is no use in going on.
    Over(Reason),
}

/// What the backend had taken of the client's bytes when its connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// Nothing: it failed to connect.
    Nothing,
    /// Some: perhaps it was they that broke it, so it counts as no connect that failed.
    Some,
}

/// Which connections will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// One of the idle list, or a new one.
    Any,
    /// A new one, for a request that lost the connection it had: it goes before all who wait.
    New,
}

/// What a new connection to a backend says of ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offers {
    /// What the client chose: it is spoken inside, at `tls://`.
    ClientsChoice,
    /// What the backend's own settings say.
    Own,
}

/// A connection that failed.
struct Broken {
    backend: ServerId,
    started_at: Instant,
    fault: Fault,
    took: Took,
    /// How far it was.
    stage: Stage,
}

/// How far a connection was that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Connected,
}

/// How a pair came by its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is being connected.
    New,
    /// It waited in the idle list.
    Idle,
}

/// Pick a backend and begin to connect to it.
pub fn start(client: &mut Client, cx: &mut Context) -> Result<(), Attempt> {
    let backend = choose(None, Wants::Any, client, cx)?;
    open(client, backend, Offers::ClientsChoice, cx)
}

/// Connect to `backend`, or to one that is picked.
pub fn find(
    backend: Option<ServerId>,
    wants: Wants,
    client: &mut Client,
    cx: &mut Context,
) -> Result<Found, Attempt> {
    let backend = choose(backend, wants, client, cx)?;
    let idle = wants == Wants::Any && client.turned().is_none();
    if idle && let Some(key) = cx.unpark(backend, client.key) {
        client.link = Link::Connected(key);
        if let Some(account) = &mut client.account {
            account.connected(cx.now);
        }
        return Ok(Found::Idle);
    }
    open(client, backend, Offers::Own, cx).map(|()| Found::New)
}

/// The backend of the connection that the client has for its own since an earlier request, because
/// it logged in there; nothing, if there is none, or it is not good any more.
pub fn resume(client: &mut Client, cx: &mut Context) -> Option<ServerId> {
    let key = client.link.take()?;
    if !cx.resume(key) {
        return None;
    }
    let backend = cx.connections.get(key)?.backend;
    client.link = Link::Connected(key);
    if cx.picks.is_on() {
        trace::begin_pick(PickedBy::Login, client, cx);
        trace::chosen(Some(backend), client, cx);
    }
    if let Some(account) = &mut client.account {
        account.picked(backend, 0);
        account.connected(cx.now);
    }
    Some(backend)
}

/// The backend that is wanted, or one that is picked.
fn choose(
    wanted: Option<ServerId>,
    wants: Wants,
    client: &mut Client,
    cx: &mut Context,
) -> Result<ServerId, Attempt> {
    if let Some((backend, _)) = client.turned() {
        if cx.backends.is_here(backend) {
            return Ok(backend);
        }
        client.search_mut().turned = None;
    }
    let wanted = wanted.filter(|_| !overtakes(wanted, wants, client, cx));
    let is_kept = cx.picks.is_on();
    if is_kept {
        let by = wanted.map_or(PickedBy::Algorithm, |_| PickedBy::Cookie);
        trace::begin_pick(by, client, cx);
    }
    let backend = wanted.map_or_else(|| pick(wants, client, cx), Ok);
    if is_kept {
        trace::chosen(backend.as_ref().ok().copied(), client, cx);
    }
    let backend = backend?;
    let tried = client.tried().len();
    if tried == 0 && wants == Wants::Any {
        cx.backends.count_request(client.home.pool, cx.now);
    }
    if let Some(account) = &mut client.account {
        account.picked(backend, tried);
    }
    Ok(backend)
}

/// Whether others wait for the same backends, so that it has to wait behind them: who was called
/// goes before them, and so does who has lost a backend that it had.
fn overtakes(wanted: Option<ServerId>, wants: Wants, client: &Client, cx: &Context) -> bool {
    wants == Wants::Any
        && cx.backends.has_queue_for(client.home.pool, wanted)
        && client.link != Link::Called
        && client.tried().is_empty()
}

fn pick(wants: Wants, client: &mut Client, cx: &mut Context) -> Result<ServerId, Attempt> {
    if overtakes(None, wants, client, cx) {
        return Err(Attempt::Over(Reason::Refused(NoBackend::NoRoom)));
    }
    let is_called = client.link == Link::Called;
    if is_called {
        client.link = Link::None;
    }
    let ask = Ask { client: client.address.ip(), key: client.hash_key(), now: cx.now };
    let picked = cx.backends.pick(client.home.pool, &ask, client.tried());
    let refused = |refusal| match refusal {
        // It was called to hear that nobody is to have work, and does not wait again.
        NoBackend::NoRoom if is_called => Reason::Refused(NoBackend::AllDown),
        refusal => refused(client, refusal),
    };
    let backend = picked.map_err(|refusal| Attempt::Over(refused(refusal)))?;
    if !client.tried().is_empty() && !may_retry(client, cx) {
        let fault = client.connect_fault().unwrap_or(Fault::GivenUp);
        return Err(Attempt::Over(Reason::OverBudget(fault)));
    }
    if log_enabled!(Level::Debug) {
        let why = cx.backends.why(client.home.pool, backend, client.tried(), cx.now);
        debug!("pair {}: connecting: {why}", client.number);
    }
    if let Some(&failed) = client.tried().last() {
        cx.stats.retries += 1;
        cx.backends.moved_on(failed);
    }
    Ok(backend)
}

/// Whether the budget of the pool is enough for asking another backend. Another address of the
/// same one takes nothing from it. Nor does an idle connection that broke: each was answered on
/// before, so a pool that answers nothing has none, and there are never more than answers.
fn may_retry(client: &Client, cx: &mut Context) -> bool {
    let may = cx.backends.may_retry(client.home.pool, cx.now);
    cx.stats.retries_over_budget += u64::from(!may);
    may
}

/// Begin to connect: to the address that works, or to the next one after those that failed.
fn open(
    client: &mut Client,
    backend: ServerId,
    offers: Offers,
    cx: &mut Context,
) -> Result<(), Attempt> {
    let mut started_at = Instant::now();
    let timeout = cx.backends.settings(client.home.pool).connect_timeout;
    let turned = client.turned().map(|(_, course)| course);
    if turned.is_some() {
        client.search_mut().turned = None;
    }
    let begin = || Course::begin(&cx.backends[backend].addresses, started_at);
    let mut course = turned.unwrap_or_else(begin);
    loop {
        let tls = client.socket.tls().filter(|_| offers == Offers::ClientsChoice);
        let alpn = tls.and_then(Tls::alpn);
        let connect = |backends: &Backends| {
            let to = &backends[backend];
            Stream::connect(course.address(&to.addresses)?, to.dial.as_ref(), alpn)
        };
        cx.began_to_connect = true;
        let fault = match cx.open_with(connect) {
            Ok(mut stream) => {
                ahead::begin(&mut stream, backend, client, cx);
                let of = &cx.backends[backend].addresses;
                let deadline = course.deadline(of, timeout, started_at);
                let key = cx.add_connection(stream, backend, client.key, started_at, course);
                client.link = Link::Connecting(key);
                client.arm_by(deadline, cx);
                return Ok(());
            }
            // No socket for anybody: no backend's fault, and no use in asking another one.
            Err(Fault::Exhausted) => {
                cx.stats.exhausted += 1;
                return Err(Attempt::Over(Reason::Exhausted));
            }
            Err(fault) => fault,
        };
        match turn(course, fault, backend, client, cx) {
            Some(on) => {
                course = on;
                started_at = Instant::now();
            }
            None => {
                let took = Took::Nothing;
                let stage = Stage::Connecting;
                blame(client, &Broken { backend, started_at, fault, took, stage }, cx);
                return Err(Attempt::Failed(fault));
            }
        }
    }
}

/// An address did not take the connection: on to the next one of the same backend, if there is
/// one.
fn turn(
    course: Course,
    fault: Fault,
    backend: ServerId,
    client: &Client,
    cx: &Context,
) -> Option<Course> {
    let of = &cx.backends[backend].addresses;
    let timeout = cx.backends.settings(client.home.pool).connect_timeout;
    let on = course.next(fault, of, timeout, Instant::now())?;
    let name = cx.backends.name(backend);
    let from = course.address(of).ok()?;
    let to = on.address(of).ok()?;
    debug!("pair {}: {name}: {from} failed: {fault}; trying {to}", client.number);
    Some(on)
}

/// A refusal after failed attempts is really their failure.
fn refused(client: &Client, refusal: NoBackend) -> Reason {
    match client.connect_fault() {
        Some(Fault::NoPort) => Reason::Exhausted,
        Some(fault) if !client.tried().is_empty() => Reason::ConnectFailed(fault),
        _ => Reason::Refused(refusal),
    }
}

/// See whether the backend took the connection: one that took bytes is there, and of one that did
/// not the poll has to tell. `moved_before` is what the flow had moved to others.
pub fn see(moved_before: u64, client: &mut Client, cx: &mut Context) {
    if !client.link.is_connecting() {
        return;
    }
    if client.duplex.request.moved() > moved_before {
        return connected(client, cx);
    }
    if let Some(connection) = client.link.key().and_then(|key| cx.connections.get_mut(key)) {
        connection.stream.want_write();
    }
}

/// How far the connect is.
pub enum ConnectProgress {
    /// The backend took the connection, and shook hands where that is asked for.
    Done,
    /// Not yet.
    Pending,
    /// It has to shake hands, and enough of that was done in this turn.
    Again,
    /// It failed, or there is none.
    Failed(Fault),
}

/// Get on with the connect, and with the handshake that belongs to it.
pub fn proceed(client: &mut Client, cx: &mut Context) -> ConnectProgress {
    let connection = client.link.key().and_then(|key| cx.connections.get_mut(key));
    debug_assert!(connection.is_some(), "a pair connects without a connection");
    let Some(connection) = connection else { return ConnectProgress::Failed(Fault::Reset) };
    if Context::must_wait(&mut cx.handshakes_left, &connection.stream) {
        return ConnectProgress::Again;
    }
    match connection.stream.connect_outcome() {
        Connect::Pending => ConnectProgress::Pending,
        Connect::Failed(fault) => ConnectProgress::Failed(fault),
        Connect::Done => ConnectProgress::Done,
    }
}

/// Its time to connect is over. Whether it really failed: the backend may have taken the
/// connection, and the poll not have come to it yet.
pub fn is_too_late(client: &Client, cx: &mut Context) -> bool {
    let connection = client.link.key().and_then(|key| cx.connections.get_mut(key));
    connection.is_none_or(|connection| {
        connection.stream.check_again();
        matches!(connection.stream.connect_outcome(), Connect::Pending)
    })
}

/// Until when the backend may take the connection; nothing, if there is none.
pub fn deadline(client: &Client, cx: &Context) -> Option<Instant> {
    let connection = cx.connections.get(client.link.key()?)?;
    let of = &cx.backends[connection.backend].addresses;
    let timeout = cx.backends.settings(client.home.pool).connect_timeout;
    Some(connection.course().deadline(of, timeout, connection.started_at))
}

/// The backend took the connection.
pub fn connected(client: &mut Client, cx: &mut Context) {
    if let Some(key) = client.link.key() {
        client.link = Link::Connected(key);
        if let Some(connection) = cx.connections.get(key) {
            cx.backends.settle(connection.backend, connection.course());
        }
    }
    client.note_found();
    client.note_active(cx);
    if let Some(account) = &mut client.account {
        account.connected(cx.now);
    }
}

/// The backend did not take the connection: let go of it. Says whether another one may be tried,
/// or the same one at another address.
pub fn give_up(
    client: &mut Client,
    fault: Fault,
    took: Took,
    cx: &mut Context,
) -> Result<(), Reason> {
    let stage = if client.link.is_connected() { Stage::Connected } else { Stage::Connecting };
    if let Some(key) = client.link.take()
        && let Some(connection) = cx.connections.get(key)
    {
        let backend = connection.backend;
        let started_at = connection.started_at;
        let course = connection.course();
        cx.retire(key);
        if stage == Stage::Connecting
            && let Some(on) = turn(course, fault, backend, client, cx)
        {
            client.search_mut().turned = Some((backend, on));
            return Ok(());
        }
        blame(client, &Broken { backend, started_at, fault, took, stage }, cx);
    }
    let retries = cx.backends.settings(client.home.pool).retries;
    match client.tried().len() > retries as usize {
        true => Err(Reason::ConnectFailed(fault)),
        false => Ok(()),
    }
}

/// A connect that failed counts against its backend, unless it was us who had nothing left, or what
/// the client chose to speak that was refused, or it was taken and broke after a while, or after it
/// had taken bytes; and this client does not try it again.
fn blame(client: &mut Client, broken: &Broken, cx: &mut Context) {
    let &Broken { backend, started_at, fault, took, stage } = broken;
    let name = cx.backends.name(backend);
    let doing = match stage {
        Stage::Connected => client.relaying(),
        Stage::Connecting => "connecting",
    };
    debug!("pair {}: {doing}: {name} failed: {fault}", client.number);
    if let Fault::Tls(trouble) = fault
        && cx.tls_warnings.allows(cx.now, TLS_WARNINGS)
    {
        warn!("backend {name}: TLS: {trouble}");
    }
    let search = client.search_mut();
    search.tried.push(backend);
    search.fault = Some(fault);
    let lived = started_at.elapsed();
    let proven = CONNECT_PROVEN.min(cx.backends.settings(client.home.pool).connect_timeout);
    let was_taken = stage == Stage::Connected && lived > proven;
    let ours = matches!(fault, Fault::Exhausted | Fault::NoPort | Fault::GivenUp);
    cx.stats.exhausted += u64::from(fault == Fault::NoPort);
    if !ours {
        let failure = match stage {
            Stage::Connected => Failure::Broken,
            Stage::Connecting => Failure::Connect,
        };
        cx.backends.unanswered(backend, failure);
    }
    let client_chose = fault == Fault::Tls(Trouble::AlpnRefused);
    if !ours && !client_chose && !was_taken && took == Took::Nothing {
        cx.backends.connect_failed(backend, fault, lived, cx.now);
    }
}

/// Ask the poll for what both sockets still have to tell.
pub fn watch(client: &mut Client, verdict: Verdict, cx: &mut Context) -> Verdict {
    let armed = client.socket.arm(&cx.registry, Owner::Pair(client.key));
    let armed = armed.and_then(|()| arm_backend(client, cx));
    arm_or_close(armed, client, verdict, cx)
}

/// Ask the poll for what the backend's socket still has to tell. A client that waits for an answer
/// has nothing to tell but that it gives up.
pub fn watch_backend(client: &mut Client, verdict: Verdict, cx: &mut Context) -> Verdict {
    let armed = arm_backend(client, cx);
    arm_or_close(armed, client, verdict, cx)
}

fn arm_backend(client: &Client, cx: &mut Context) -> io::Result<()> {
    let Some(key) = client.link.key() else { return Ok(()) };
    let Some(connection) = cx.connections.get_mut(key) else { return Ok(()) };
    connection.stream.arm(&cx.registry, Owner::Connection(key))
}

fn arm_or_close(
    armed: io::Result<()>,
    client: &Client,
    verdict: Verdict,
    cx: &mut Context,
) -> Verdict {
    match armed {
        Ok(()) => verdict,
        // The poll takes no more sockets: without its events the pair would hang.
        Err(error) => {
            debug!("pair {}: {}: cannot watch: {error}", client.number, client.doing());
            cx.stats.exhausted += 1;
            Verdict::Close(Reason::Exhausted)
        }
    }
}
