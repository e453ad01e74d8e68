//! What happens between a client and a backend.
//!
//! [`pair`] says who is connected to whom, [`tcp`] what a pair does in its turn, [`duplex`] what
//! the end of one direction means for the other, and [`pump`] moves the bytes of one. Called by
//! [`crate::event_loop`], which owns the slab of pairs.

pub mod connect;
pub mod duplex;
pub mod pair;
pub mod pump;
#[cfg(test)]
mod simulation;
pub mod tcp;

pub use pair::{Pair, Reason, Verdict};
