//! pointsman: a load balancer on one thread.
pub mod backends;
pub mod balance;
pub mod config;
pub mod demo;
pub mod event;
pub mod flags;
pub mod limits;
pub mod net;
pub mod stats;
