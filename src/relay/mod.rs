//! What happens between a client and a backend.
//!
//! [`pair`] says who is connected to whom, [`handshake`] lets TLS clients in, [`tcp`] says what a
//! pair does in its turn, [`duplex`] what the end of one direction means for the other, and
//! [`pump`] moves the bytes of one; [`sni`] hears a client of TLS say whom it wants, [`http`] has
//! its own walk, and [`account`] notes what the access log will say. [`udp`] is apart: it has flows
//! instead of pairs. Called by
//! [`crate::event_loop`], which owns the slab of pairs.

pub mod account;
pub mod connect;
pub mod duplex;
pub mod handshake;
pub mod http;
pub mod pair;
pub mod parting;
pub mod patience;
pub mod pump;
#[cfg(test)]
mod pump_tests;
#[cfg(test)]
mod simulation;
pub mod sni;
pub mod tcp;
pub mod udp;

pub use pair::{Pair, Reason, Stage, Verdict};

use crate::config::Protocol;
use crate::context::Context;

/// A new pair's first turn.
pub fn open(pair: &mut Pair, cx: &mut Context) -> Verdict {
    match pair.stage {
        Stage::Handshaking => handshake::act(pair, cx),
        Stage::Picking | Stage::Connecting | Stage::Relaying => serve(pair, cx),
    }
}

/// The client may speak: a request, or what is to be relayed.
fn serve(pair: &mut Pair, cx: &mut Context) -> Verdict {
    account::begin(pair, cx);
    match pair.protocol {
        Protocol::Tcp | Protocol::Tls => tcp::open(pair, cx),
        Protocol::Http | Protocol::Https => http::act(pair, cx),
        Protocol::Sni => sni::act(pair, cx),
        Protocol::Udp => no_pair(),
    }
}

/// Something happened at one of the sockets, or there was work left over.
pub fn act(pair: &mut Pair, cx: &mut Context) -> Verdict {
    if pair.stage == Stage::Handshaking {
        return handshake::act(pair, cx);
    }
    match pair.protocol {
        Protocol::Tcp | Protocol::Tls => tcp::act(pair, cx),
        Protocol::Http | Protocol::Https => http::act(pair, cx),
        Protocol::Sni => sni::act(pair, cx),
        Protocol::Udp => no_pair(),
    }
}

/// The timer fired: perhaps too early, for deadlines move without it.
pub fn on_timer(pair: &mut Pair, cx: &mut Context) -> Verdict {
    if pair.stage == Stage::Handshaking {
        return handshake::on_timer(pair, cx);
    }
    match pair.protocol {
        Protocol::Tcp | Protocol::Tls => tcp::on_timer(pair, cx),
        Protocol::Http | Protocol::Https => http::on_timer(pair, cx),
        Protocol::Sni => sni::on_timer(pair, cx),
        Protocol::Udp => no_pair(),
    }
}

/// Its backend went down, and its connections are to be closed.
pub fn on_backend_down(pair: &mut Pair, cx: &mut Context) -> Verdict {
    match pair.protocol {
        Protocol::Tcp | Protocol::Tls => tcp::on_backend_down(pair, cx),
        Protocol::Http | Protocol::Https => http::on_backend_down(pair, cx),
        // It has no backend yet.
        Protocol::Sni => Verdict::Keep,
        Protocol::Udp => no_pair(),
    }
}

/// Datagrams have flows instead.
fn no_pair() -> Verdict {
    debug_assert!(false, "a pair of datagrams");
    Verdict::Close(Reason::Finished)
}
