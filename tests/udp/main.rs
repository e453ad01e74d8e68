//! Datagrams through the real binary.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod client_limits;
mod flows;
mod proxy_in;
mod trouble;
