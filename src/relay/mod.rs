//! What happens between a client and a backend.
//!
//! [`pair`] says who is connected to whom, [`tcp`] what a pair does in its turn, [`duplex`] what
//! the end of one direction means for the other, and [`pump`] moves the bytes of one; [`account`]
//! notes what the access log will say. Called by
//! [`crate::event_loop`], which owns the slab of pairs.

pub mod account;
pub mod connect;
pub mod duplex;
pub mod http;
pub mod pair;
pub mod pump;
#[cfg(test)]
mod simulation;
pub mod tcp;

pub use pair::{Pair, Reason, Verdict};

use crate::config::Protocol;
use crate::context::Context;

/// A new pair's first turn.
pub fn open(pair: &mut Pair, cx: &mut Context) -> Verdict {
    if pair.protocol == Protocol::Http {
        return http::act(pair, cx);
    }
    account::begin(pair, cx);
    tcp::open(pair, cx)
}
