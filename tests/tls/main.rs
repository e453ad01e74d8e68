//! TLS towards clients and backends: real clients, real servers, and what neither should say.
//!
//! Certificates are made for each run by rcgen. A tool that is not here skips its test, except
//! under `CI=true`.

#[path = "../common/mod.rs"]
mod common;

mod backends;
mod chains;
mod choices;
mod clients;
mod doors;
mod ends;
mod files;
mod handshake_rate;
mod logged;
mod proxy_in;
mod proxy_out;
mod sni;
mod sni_tools;
mod stalled;
mod strikes;
mod subject;
mod tickets;
mod tools;
mod words;

use common::authority;
