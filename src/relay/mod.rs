//! What happens between a client and a backend.
//!
//! [`pair`] says who is connected to whom, [`tcp`] what a pair does in its turn, and [`pump`] moves
//! the bytes of one direction. Called by [`crate::event_loop`], which owns the slab of pairs.

pub mod pair;
pub mod pump;
pub mod tcp;

pub use pair::{Pair, Reason, Verdict};
