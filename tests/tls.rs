//! TLS towards clients and backends: real clients, real servers, and what neither should say.
//!
//! Certificates are made for each run by rcgen. A tool that is not here skips its test, except
//! under `CI=true`.

mod common;

#[path = "tls/authority.rs"]
mod authority;
#[path = "tls/backends.rs"]
mod backends;
#[path = "tls/chains.rs"]
mod chains;
#[path = "tls/choices.rs"]
mod choices;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/doors.rs"]
mod doors;
#[path = "tls/ends.rs"]
mod ends;
#[path = "tls/files.rs"]
mod files;
#[path = "tls/stalled.rs"]
mod stalled;
#[path = "tls/subject.rs"]
mod subject;
#[path = "tls/tools.rs"]
mod tools;
#[path = "tls/words.rs"]
mod words;
