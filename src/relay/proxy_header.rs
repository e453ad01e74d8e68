//! The phase that reads the header of the PROXY protocol, of peers from whom a listener requires
//! one. Bytes of all others are never looked at: they are data.
//!
//! ```text
//!   header comes, perhaps in pieces --- whole ---> the next phase, with the client's address
//!     |            |
//!     |            +-- not a byte, then the end -> closed: a TCP health check is no failure
//!     +--- bad, cut short or too late -----------> closed with a reset, counted, logged
//! ```
//!
//! What is there is looked at, and then exactly the header is taken: what stands behind it stays in
//! the socket, for TLS, for HTTP, or for the relay.

use std::time::Instant;

use log::debug;

use crate::context::Context;
use crate::limits::{PROXY_HEADER_BYTES_MAX, PROXY_HEADER_TIMEOUT};
use crate::net::{Received, Socket};
use crate::proxy_header::Transport;
use crate::proxy_header::read::{Header, Heard, Reading, Why, read};

use super::client::Client;
use super::connect::watch;
use super::proxied::{HeaderFault, Proxied};
use super::report;
use super::verdict::{Reason, Successor, Verdict};

/// What is asked for at once: the longest header, and where it ends.
const LOOK_BYTES: usize = PROXY_HEADER_BYTES_MAX + 16;

/// A header that is awaited.
#[derive(Debug, Default)]
pub struct Awaited {
    /// What came of it, and was taken; `None` before the first byte.
    piece: Option<Box<Piece>>,
}

#[derive(Debug, Default)]
struct Piece {
    bytes: Vec<u8>,
}

impl Awaited {
    /// Whether a byte of it came.
    pub fn is_begun(&self) -> bool {
        self.piece.is_some()
    }

    /// Look at what came; once the header is whole, the client is whom it names.
    pub fn act(&mut self, client: &mut Client, cx: &mut Context) -> Verdict {
        while client.socket.can_read() {
            let count = match client.socket.peek(&mut cx.scratch[..LOOK_BYTES]) {
                Received::Bytes(count) => count,
                Received::WouldBlock => break,
                Received::Eof if !self.is_begun() => return Verdict::Close(Reason::Finished),
                Received::Broken(fault) if !self.is_begun() => {
                    return Verdict::Close(Reason::ClientBroke(fault));
                }
                Received::Eof | Received::Broken(_) => {
                    return failed(HeaderFault::CutShort, client, cx);
                }
            };
            let before = self.piece.as_ref().map_or(0, |piece| piece.bytes.len());
            let reading = match &mut self.piece {
                None => read(&cx.scratch[..count]),
                Some(piece) => {
                    piece.bytes.extend_from_slice(&cx.scratch[..count]);
                    read(&piece.bytes)
                }
            };
            let belongs = match &reading {
                Reading::More => count,
                Reading::Header(_, length) => length - before,
                Reading::Bad(why) => return failed(HeaderFault::Bad(*why), client, cx),
            };
            // As many as were there a moment ago: less only where urgent data cuts in.
            if client.socket.receive(&mut cx.scratch[..belongs]) != Received::Bytes(belongs) {
                return failed(HeaderFault::CutShort, client, cx);
            }
            match reading {
                Reading::Header(header, _) => return done(*header, client, cx),
                _ if before == 0 => {
                    let bytes = cx.scratch[..count].to_vec();
                    self.piece = Some(Box::new(Piece { bytes }));
                }
                _ => {}
            }
        }
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
        failed(HeaderFault::TooLate, client, cx)
    }
}

/// Whether a header is required of this client: by where it comes from, before a byte is read.
pub fn is_required(client: &Client, cx: &Context) -> bool {
    cx.listener(client.listener).requires_proxy_header(client.address.ip())
}

fn deadline(client: &Client, cx: &Context) -> Instant {
    client.opened_at(cx) + PROXY_HEADER_TIMEOUT
}

fn done(header: Header, client: &mut Client, cx: &mut Context) -> Verdict {
    let Header { ends, heard, transport } = header;
    if transport == Some(Transport::Datagram) {
        return failed(HeaderFault::Bad(Why::Family), client, cx);
    }
    if ends.is_some() || heard != Heard::default() {
        let peer = client.address;
        if let Some(ends) = ends {
            debug!("pair {}: is {} behind {peer}", client.number, ends.source);
            client.address = ends.source.into();
        }
        client.search_mut().proxied = Some(Box::new(Proxied { peer, ends, heard }));
    }
    client.note_active(cx);
    Verdict::Become(Successor::NextPhase)
}

fn failed(fault: HeaderFault, client: &mut Client, cx: &mut Context) -> Verdict {
    cx.stats.proxy_header_failures += 1;
    debug!("pair {}: {}: no PROXY header: {fault}", client.number, client.address);
    report::begin(Some(client.active_at(cx)), client, cx);
    Verdict::Close(Reason::NoProxyHeader(fault))
}
