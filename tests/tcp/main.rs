//! Connections through the real binary: who gets them, what passes, how they end.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod balance;
mod breaks;
mod client_limits;
mod events;
mod half_close;
mod health;
mod net;
mod proxy_in;
mod relay;
mod retry;
mod unix;
