//! Tests of this room's parts together: heads, bodies, rewriting, whole exchanges.

mod body;
mod exchange;
mod head;
mod rewrite;
