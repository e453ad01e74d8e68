//! The admin API, with real sockets: what it tells, what it changes, whom it refuses.

#[path = "../common/mod.rs"]
mod common;

mod agree;
mod api;
mod bans;
mod dashboard;
mod draining;
mod guards;
mod haproxy;
mod history;
mod large;
mod load;
mod metrics;
mod picks;
mod proxy_header;
mod registering;
mod streams;
mod unix_files;
