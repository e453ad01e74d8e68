//! Datagrams through the real binary.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod flows;
mod trouble;
