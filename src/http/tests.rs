//! Tests of this room's parts together: heads, bodies, rewriting, whole exchanges.

mod body;
mod edits;
mod edits_random;
mod exchange;
mod expand;
mod forwarded;
mod head;
mod hop;
mod rewrite;
