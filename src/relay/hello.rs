//! SNI passthrough: the phase that reads the server name in a ClientHello, of a client whose TLS is
//! not terminated here.
//!
//! ```text
//!   hello comes, perhaps in pieces --- whole ---> the next phase; the backend gets what came
//!     |           |
//!     |           +--- this is no hello -------> an alert, then `relay::parting`
//!     +--- too late: closed
//! ```
//!
//! At most [`CLIENT_HELLO_WIRE_BYTES_MAX`] bytes of a client are kept while the rest is awaited. A
//! hello that comes in one read, as most do, is not kept here at all. [`crate::hello`] parses it.

use std::time::Instant;

use crate::context::Context;
use crate::hello::{self, HelloScan, Reading};
use crate::limits::CLIENT_HELLO_WIRE_BYTES_MAX;
use crate::net::{Fault, Received, Socket};

use super::client::Client;
use super::connect::watch;
use super::verdict::{Reason, Successor, Verdict};
use super::{parting, strike};

/// A ClientHello that is awaited.
#[derive(Debug, Default)]
pub struct Hello {
    /// What came of it; `None` before the first byte.
    piece: Option<Box<Piece>>,
}

#[derive(Debug, Default)]
struct Piece {
    bytes: Vec<u8>,
    scan: HelloScan,
}

impl Hello {
    /// Whether a byte of it came.
    pub fn is_begun(&self) -> bool {
        self.piece.is_some()
    }

    /// Read; once the name is known, what came is held for the backend.
    pub fn act(&mut self, client: &mut Client, cx: &mut Context) -> Verdict {
        let mut piece = self.piece.take().map_or_else(Piece::default, |piece| *piece);
        while client.socket.can_read() {
            let room = CLIENT_HELLO_WIRE_BYTES_MAX - piece.bytes.len();
            let count = match client.socket.receive(&mut cx.scratch[..room]) {
                Received::Bytes(count) => count,
                Received::WouldBlock => break,
                Received::Eof if piece.bytes.is_empty() => {
                    return Verdict::Close(Reason::Finished);
                }
                Received::Eof => return client_broke(Fault::CutShort, client),
                Received::Broken(fault) => return client_broke(fault, client),
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
                Reading::Malformed(alert) => {
                    cx.stats.hellos_bad += 1;
                    strike::by_client(client, "a ClientHello that is none", cx);
                    return parting::alert(alert, client, cx);
                }
                Reading::Name(name) => {
                    client.duplex.request.hold(bytes, &mut cx.buffers);
                    client.search_mut().server_name = name;
                    return Verdict::Become(Successor::NextPhase);
                }
            }
        }
        self.piece = (!piece.bytes.is_empty()).then(|| Box::new(piece));
        client.arm_by(deadline(client, cx), cx);
        watch(client, Verdict::Keep, cx)
    }

    /// The timer fired: perhaps too early, for deadlines move without it.
    pub fn on_timer(&self, client: &mut Client, cx: &mut Context) -> Verdict {
        let deadline = deadline(client, cx);
        if deadline > cx.now {
            client.arm_by(deadline, cx);
            return Verdict::Keep;
        }
        cx.stats.hellos_too_late += 1;
        Verdict::Close(Reason::HelloTooLate)
    }
}

fn deadline(client: &Client, cx: &Context) -> Instant {
    client.opened_at(cx) + cx.listener(client.listener).tls_handshake_timeout
}

fn client_broke(fault: Fault, client: &mut Client) -> Verdict {
    client.duplex.client_broke(fault);
    Verdict::Close(Reason::ClientBroke(fault))
}

impl Piece {
    /// Append what came. Capacity doubles as it grows, but never beyond
    /// [`CLIENT_HELLO_WIRE_BYTES_MAX`].
    fn add(&mut self, came: &[u8]) {
        let free = self.bytes.capacity() - self.bytes.len();
        if came.len() > free {
            let most = CLIENT_HELLO_WIRE_BYTES_MAX - self.bytes.len();
            self.bytes.reserve_exact(self.bytes.capacity().min(most).max(came.len()));
        }
        self.bytes.extend_from_slice(came);
    }
}
