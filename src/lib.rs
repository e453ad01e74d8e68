//! pointsman: a load balancer on one thread.
pub mod balance;
pub mod config;
pub mod flags;
pub mod demo;
pub mod limits;
