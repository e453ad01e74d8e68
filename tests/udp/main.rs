//! Datagrams through the real binary.

#[path = "../common/mod.rs"]
mod common;

mod flows;
mod trouble;
