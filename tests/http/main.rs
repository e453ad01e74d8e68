//! HTTP through the real binary.

#[path = "../common/mod.rs"]
mod common;

mod abort;
mod access;
mod bandwidth;
mod budget;
mod client_limits;
mod eject;
mod exchanges;
mod limits;
mod login;
mod place;
mod proxy_in;
mod queue;
mod reject;
mod request_id;
mod retry;
mod slowness;
mod stats;
mod stop;
mod unix;
mod upgrade;
