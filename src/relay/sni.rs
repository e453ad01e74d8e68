//! A client whose TLS is not ours to open: the name that its ClientHello asks for says where it
//! goes, and from then on it is a TCP pair.
//!
//! ```text
//!   hello comes, perhaps in pieces --- whole ---> routes --- a pool ---> a TCP pair from now on,
//!     |           |                                 |                    what came goes first
//!     |           +--- this is no hello ----+       +--- nobody serves the name ---+
//!     |                                     v                                      v
//!     +--- too late: closed               an alert, FIN, hear the client out for a moment, close
//! ```
//!
//! Of a client that waits at most [`CLIENT_HELLO_WIRE_BYTES_MAX`] bytes are kept, in memory of just
//! their size; a hello that comes at once, as most do, is never kept here at all. What the bytes
//! mean is in [`crate::hello`].

use std::io::IoSlice;
use std::time::Instant;

use log::debug;

use crate::config::Protocol;
use crate::context::Context;
use crate::hello::{self, Alert, Reading, Scan};
use crate::limits::{CLIENT_HELLO_WIRE_BYTES_MAX, LINGER};
use crate::net::{Fault, Received, Socket};

use super::connect::watch;
use super::pair::{Pair, Reason, Verdict};
use super::parting::{Parted, Parting};
use super::{account, tcp};

/// What has to be remembered of a client that is not led anywhere yet.
#[derive(Debug)]
pub enum Greeting {
    /// A piece of its hello came.
    Piece(Piece),
    /// It was told that this is the end, and why.
    Parting(Parting, Alert),
}

/// What came of a hello so far.
#[derive(Debug, Default)]
pub struct Piece {
    bytes: Vec<u8>,
    scan: Scan,
}

/// Something happened at the client's socket.
pub fn act(pair: &mut Pair, cx: &mut Context) -> Verdict {
    match pair.take_greeting() {
        None => listen(Piece::default(), pair, cx),
        Some(Greeting::Piece(piece)) => listen(piece, pair, cx),
        Some(Greeting::Parting(parting, alert)) => part(parting, alert, pair, cx),
    }
}

/// The timer fired: perhaps too early, for deadlines move without it.
pub fn on_timer(pair: &mut Pair, cx: &mut Context) -> Verdict {
    let (deadline, reason) = deadline(pair, cx);
    if deadline > cx.now {
        pair.arm_by(deadline, cx);
        return Verdict::Keep;
    }
    if reason == Reason::HelloTooLate {
        cx.stats.hellos_too_late += 1;
    }
    Verdict::Close(reason)
}

/// When the client has taken too long, and what to call it then.
fn deadline(pair: &Pair, cx: &Context) -> (Instant, Reason) {
    match pair.greeting() {
        Some(Greeting::Parting(_, alert)) => (pair.active_at + LINGER, Reason::Alerted(*alert)),
        Some(Greeting::Piece(_)) | None => {
            (pair.opened_at + cx.settings.tls_handshake_timeout, Reason::HelloTooLate)
        }
    }
}

/// Read on, and lead the client where it wants once that is known.
fn listen(mut piece: Piece, pair: &mut Pair, cx: &mut Context) -> Verdict {
    while pair.client.can_read() {
        let room = CLIENT_HELLO_WIRE_BYTES_MAX - piece.bytes.len();
        let count = match pair.client.receive(&mut cx.scratch[..room]) {
            Received::Bytes(count) => count,
            Received::WouldBlock => break,
            Received::Eof if piece.bytes.is_empty() => return Verdict::Close(Reason::Finished),
            Received::Eof => return client_broke(Fault::CutShort, pair),
            Received::Broken(fault) => return client_broke(fault, pair),
        };
        let came = &cx.scratch[..count];
        let is_first = piece.bytes.is_empty();
        if !is_first {
            piece.add(came);
        }
        let bytes = if is_first { came } else { &piece.bytes };
        match hello::read(bytes, &mut piece.scan) {
            Reading::More if is_first => piece.add(came),
            Reading::More => {}
            Reading::Garbage(alert) => {
                cx.stats.hellos_bad += 1;
                return refuse(alert, pair, cx);
            }
            Reading::Name(name) if is_first => {
                return lead(name, &Came::Now(count), pair, cx);
            }
            Reading::Name(name) => return lead(name, &Came::InPieces(piece.bytes), pair, cx),
        }
    }
    if !piece.bytes.is_empty() {
        pair.set_greeting(Greeting::Piece(piece));
    }
    rest(pair, cx)
}

/// Where the hello is.
enum Came {
    /// At the beginning of the scratch buffer, so long.
    Now(usize),
    InPieces(Vec<u8>),
}

/// The client asks for this name, or for none.
fn lead(name: Option<Box<str>>, came: &Came, pair: &mut Pair, cx: &mut Context) -> Verdict {
    let pool = cx.routes.find(name.as_deref());
    debug!(
        "pair {}: greeting: asks for {}, {}",
        pair.number,
        name.as_deref().unwrap_or("nobody by name"),
        pool.map_or("which nobody serves", |pool| &cx.backends.pool(pool).name),
    );
    account::named(name, pair, cx.now);
    let Some(pool) = pool else {
        cx.stats.names_unknown += 1;
        return refuse(Alert::UnrecognizedName, pair, cx);
    };
    cx.backends.routed(pool);
    let bytes = match came {
        Came::Now(count) => &cx.scratch[..*count],
        Came::InPieces(bytes) => bytes,
    };
    pair.duplex.request.hold(bytes, &mut cx.buffers);
    pair.forget_search();
    (pair.pool, pair.protocol) = (pool, Protocol::Tcp);
    tcp::open(pair, cx)
}

/// Say why, and see to it that the client can read it.
fn refuse(alert: Alert, pair: &mut Pair, cx: &mut Context) -> Verdict {
    debug!("pair {}: greeting: refused with the alert {alert}", pair.number);
    let record = alert.record();
    pair.client.end_follows();
    let response = &mut pair.duplex.response;
    match response.offer(&[IoSlice::new(&record)], &mut pair.client, &mut cx.buffers) {
        Ok(()) => part(Parting::default(), alert, pair, cx),
        Err(fault) => client_broke(fault, pair),
    }
}

fn part(mut parting: Parting, alert: Alert, pair: &mut Pair, cx: &mut Context) -> Verdict {
    match parting.proceed(pair, cx) {
        Parted::Yes => Verdict::Close(Reason::Alerted(alert)),
        Parted::Broke(fault) => client_broke(fault, pair),
        Parted::NotYet => {
            pair.set_greeting(Greeting::Parting(parting, alert));
            rest(pair, cx)
        }
    }
}

/// See to it that the pair is woken.
fn rest(pair: &mut Pair, cx: &mut Context) -> Verdict {
    let (deadline, _) = deadline(pair, cx);
    pair.arm_by(deadline, cx);
    watch(pair, Verdict::Keep, cx)
}

fn client_broke(fault: Fault, pair: &mut Pair) -> Verdict {
    pair.duplex.client_broke(fault);
    Verdict::Close(Reason::ClientBroke(fault))
}

impl Piece {
    /// Keep what came, too; memory doubles as it grows, but never beyond what is kept at most.
    fn add(&mut self, came: &[u8]) {
        let free = self.bytes.capacity() - self.bytes.len();
        if came.len() > free {
            let most = CLIENT_HELLO_WIRE_BYTES_MAX - self.bytes.len();
            self.bytes.reserve_exact(self.bytes.capacity().min(most).max(came.len()));
        }
        self.bytes.extend_from_slice(came);
    }
}
