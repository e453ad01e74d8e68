//! Datagrams through the real binary.

#[path = "../common/mod.rs"]
mod common;

mod client_limits;
mod flows;
mod trouble;
