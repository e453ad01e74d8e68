//! From a pair without a backend to one with a connection: pick, connect, give up, try another.
//!
//! Used by every protocol: what is sent on the connection, and when another backend may be tried,
//! is theirs to say.

use std::io;
use std::time::Instant;

use log::{Level, debug, log_enabled, warn};

use crate::backends::{BackendId, Backends, Course, Refusal};
use crate::balance::Ask;
use crate::config::Protocol;
use crate::context::Context;
use crate::event::Owner;
use crate::limits::{CONNECT_PROVEN, TLS_WARNINGS};
use crate::net::tls::{Tls, Trouble};
use crate::net::{Connect, Fault, Stream};
use crate::stats::Failure;

use super::pair::{Pair, Reason, Stage, Verdict};

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
    /// A new one.
    New,
}

/// A connection that failed.
struct Broken {
    backend: BackendId,
    started_at: Instant,
    fault: Fault,
    took: Took,
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
pub fn start(pair: &mut Pair, cx: &mut Context) -> Result<(), Attempt> {
    let backend = choose(None, pair, cx)?;
    open(pair, backend, cx)
}

/// Connect to `backend`, or to one that is picked.
pub fn find(
    backend: Option<BackendId>,
    wants: Wants,
    pair: &mut Pair,
    cx: &mut Context,
) -> Result<Found, Attempt> {
    let backend = choose(backend, pair, cx)?;
    let idle = wants == Wants::Any && pair.turned().is_none();
    if idle && let Some(key) = cx.unpark(backend, pair.key) {
        pair.connection = Some(key);
        pair.stage = Stage::Relaying;
        if let Some(account) = &mut pair.account {
            account.connected(cx.now);
        }
        return Ok(Found::Idle);
    }
    open(pair, backend, cx).map(|()| Found::New)
}

/// The backend of the connection that the client has for its own since an earlier request, because
/// it logged in there; nothing, if there is none, or it is not good any more.
pub fn resume(pair: &mut Pair, cx: &mut Context) -> Option<BackendId> {
    let key = pair.connection.take()?;
    if !cx.resume(key) {
        return None;
    }
    let backend = cx.connections.get(key)?.backend;
    pair.connection = Some(key);
    pair.stage = Stage::Relaying;
    if let Some(account) = &mut pair.account {
        account.picked(backend, 0);
        account.connected(cx.now);
    }
    Some(backend)
}

/// The backend that is wanted, or one that is picked.
fn choose(
    wanted: Option<BackendId>,
    pair: &mut Pair,
    cx: &mut Context,
) -> Result<BackendId, Attempt> {
    pair.stage = Stage::Picking;
    if let Some((backend, _)) = pair.turned() {
        return Ok(backend);
    }
    let backend = wanted.map_or_else(|| pick(pair, cx), Ok)?;
    let tried = pair.tried().len();
    if let Some(account) = &mut pair.account {
        account.picked(backend, tried);
    }
    Ok(backend)
}

fn pick(pair: &Pair, cx: &mut Context) -> Result<BackendId, Attempt> {
    let ask = Ask { client: pair.client_address.ip(), key: pair.hash_key(), now: cx.now };
    let picked = cx.backends.pick(pair.pool, &ask, pair.tried());
    let backend = picked.map_err(|refusal| Attempt::Over(refused(pair, refusal)))?;
    if log_enabled!(Level::Debug) {
        let why = cx.backends.why(pair.pool, backend, pair.tried(), cx.now);
        debug!("pair {}: connecting: {why}", pair.number);
    }
    if !pair.tried().is_empty() {
        cx.stats.retries += 1;
    }
    Ok(backend)
}

/// Begin to connect: to the address that works, or to the next one after those that failed.
fn open(pair: &mut Pair, backend: BackendId, cx: &mut Context) -> Result<(), Attempt> {
    let (mut started_at, timeout) = (Instant::now(), cx.settings.connect_timeout);
    let turned = pair.turned().map(|(_, course)| course);
    if turned.is_some() {
        pair.search_mut().turned = None;
    }
    let begin = || Course::begin(&cx.backends[backend].addresses, started_at);
    let mut course = turned.unwrap_or_else(begin);
    loop {
        // At tls:// it is the client's choice what is spoken inside, and said on.
        let tls = pair.client.tls().filter(|_| pair.protocol == Protocol::Tcp);
        let alpn = tls.and_then(Tls::alpn);
        let connect = |backends: &Backends| {
            let to = &backends[backend];
            Stream::connect(course.address(&to.addresses), to.dial.as_ref(), alpn)
        };
        cx.began_to_connect = true;
        let fault = match cx.open_with(connect) {
            Ok(stream) => {
                let of = &cx.backends[backend].addresses;
                let deadline = course.deadline(of, timeout, started_at);
                let key = cx.add_connection(stream, backend, pair.key, started_at, course);
                pair.connection = Some(key);
                pair.stage = Stage::Connecting;
                pair.arm_by(deadline, cx);
                return Ok(());
            }
            // No socket for anybody: no backend's fault, and no use in asking another one.
            Err(Fault::Exhausted) => {
                cx.stats.exhausted += 1;
                return Err(Attempt::Over(Reason::Exhausted));
            }
            Err(fault) => fault,
        };
        match turn(course, fault, backend, pair, cx) {
            Some(on) => (course, started_at) = (on, Instant::now()),
            None => {
                blame(pair, &Broken { backend, started_at, fault, took: Took::Nothing }, cx);
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
    backend: BackendId,
    pair: &Pair,
    cx: &Context,
) -> Option<Course> {
    let of = &cx.backends[backend].addresses;
    let on = course.next(fault, of, cx.settings.connect_timeout, Instant::now())?;
    let (name, from, to) = (&cx.backends[backend].name, course.address(of), on.address(of));
    debug!("pair {}: {name}: {from} failed: {fault}; trying {to}", pair.number);
    Some(on)
}

/// A refusal after failed attempts is really their failure.
fn refused(pair: &Pair, refusal: Refusal) -> Reason {
    match pair.connect_fault() {
        Some(fault) if !pair.tried().is_empty() => Reason::ConnectFailed(fault),
        _ => Reason::Refused(refusal),
    }
}

/// See whether the backend took the connection: one that took bytes is there, and of one that did
/// not the poll has to tell. `moved_before` is what the flow had moved to others.
pub fn see(moved_before: u64, pair: &mut Pair, cx: &mut Context) {
    if pair.stage != Stage::Connecting {
        return;
    }
    if pair.duplex.request.moved() > moved_before {
        return connected(pair, cx);
    }
    if let Some(connection) = pair.connection.and_then(|key| cx.connections.get_mut(key)) {
        connection.stream.want_write();
    }
}

/// How far the connect is.
pub enum Progress {
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
pub fn proceed(pair: &mut Pair, cx: &mut Context) -> Progress {
    let connection = pair.connection.and_then(|key| cx.connections.get_mut(key));
    debug_assert!(connection.is_some(), "a pair connects without a connection");
    let Some(connection) = connection else { return Progress::Failed(Fault::Reset) };
    if Context::must_wait(&mut cx.handshakes_left, &connection.stream) {
        return Progress::Again;
    }
    match connection.stream.connect_outcome() {
        Connect::Pending => Progress::Pending,
        Connect::Failed(fault) => Progress::Failed(fault),
        Connect::Done => Progress::Done,
    }
}

/// Its time to connect is over. Whether it really failed: the backend may have taken the
/// connection, and the poll not have come to it yet.
pub fn is_too_late(pair: &Pair, cx: &mut Context) -> bool {
    let connection = pair.connection.and_then(|key| cx.connections.get_mut(key));
    connection.is_none_or(|connection| {
        connection.stream.look_again();
        matches!(connection.stream.connect_outcome(), Connect::Pending)
    })
}

/// Until when the backend may take the connection; nothing, if there is none.
pub fn deadline(pair: &Pair, cx: &Context) -> Option<Instant> {
    let connection = cx.connections.get(pair.connection?)?;
    let (of, timeout) =
        (&cx.backends[connection.backend].addresses, cx.settings.connect_timeout);
    Some(connection.course().deadline(of, timeout, connection.started_at))
}

/// The backend took the connection.
pub fn connected(pair: &mut Pair, cx: &mut Context) {
    pair.stage = Stage::Relaying;
    if let Some(connection) = pair.connection.and_then(|key| cx.connections.get(key)) {
        cx.backends.settle(connection.backend, connection.course());
    }
    pair.note_found();
    pair.active_at = cx.now;
    if let Some(account) = &mut pair.account {
        account.connected(cx.now);
    }
}

/// The backend did not take the connection: let go of it. Says whether another one may be tried,
/// or the same one at another address.
pub fn give_up(
    pair: &mut Pair,
    fault: Fault,
    took: Took,
    cx: &mut Context,
) -> Result<(), Reason> {
    if let Some(key) = pair.connection.take()
        && let Some(connection) = cx.connections.get(key)
    {
        let (backend, started_at) = (connection.backend, connection.started_at);
        let course = connection.course();
        cx.retire(key);
        if pair.stage == Stage::Connecting
            && let Some(on) = turn(course, fault, backend, pair, cx)
        {
            pair.search_mut().turned = Some((backend, on));
            return Ok(());
        }
        blame(pair, &Broken { backend, started_at, fault, took }, cx);
    }
    match pair.tried().len() > cx.settings.retries as usize {
        true => Err(Reason::ConnectFailed(fault)),
        false => Ok(()),
    }
}

/// A connect that failed counts against its backend, unless it was us who had nothing left, or what
/// the client chose to speak that was refused, or it was taken and broke after a while, or after it
/// had taken bytes; and this client does not try it again.
fn blame(pair: &mut Pair, broken: &Broken, cx: &mut Context) {
    let &Broken { backend, started_at, fault, took } = broken;
    let name = &cx.backends[backend].name;
    debug!("pair {}: {}: {name} failed: {fault}", pair.number, pair.doing());
    if let Fault::Tls(trouble) = fault
        && cx.tls_warnings.lets_through(cx.now, TLS_WARNINGS)
    {
        warn!("backend {name}: TLS: {trouble}");
    }
    let search = pair.search_mut();
    search.tried.push(backend);
    search.fault = Some(fault);
    let lived = started_at.elapsed();
    let proven = CONNECT_PROVEN.min(cx.settings.connect_timeout);
    let was_taken = pair.stage == Stage::Relaying && lived > proven;
    let ours = matches!(fault, Fault::Exhausted | Fault::GivenUp);
    if !ours {
        let connected = pair.stage == Stage::Relaying;
        let failure = if connected { Failure::Broken } else { Failure::Connect };
        cx.backends.unanswered(backend, failure);
    }
    let client_chose = fault == Fault::Tls(Trouble::AlpnRefused);
    if !ours && !client_chose && !was_taken && took == Took::Nothing {
        cx.backends.connect_failed(backend, fault, lived, cx.now);
    }
}

/// Ask the poll for what both sockets still have to tell.
pub fn watch(pair: &mut Pair, verdict: Verdict, cx: &mut Context) -> Verdict {
    let client = pair.client.arm(&cx.registry, Owner::Pair(pair.key));
    let armed = client.and_then(|()| arm_backend(pair, cx));
    heed(armed, pair, verdict, cx)
}

/// Ask the poll for what the backend's socket still has to tell. A client that waits for an answer
/// has nothing to tell but that it gives up.
pub fn watch_backend(pair: &mut Pair, verdict: Verdict, cx: &mut Context) -> Verdict {
    let armed = arm_backend(pair, cx);
    heed(armed, pair, verdict, cx)
}

fn arm_backend(pair: &Pair, cx: &mut Context) -> io::Result<()> {
    let Some(key) = pair.connection else { return Ok(()) };
    let Some(connection) = cx.connections.get_mut(key) else { return Ok(()) };
    connection.stream.arm(&cx.registry, Owner::Connection(key))
}

fn heed(armed: io::Result<()>, pair: &Pair, verdict: Verdict, cx: &mut Context) -> Verdict {
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
