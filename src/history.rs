//! What was, kept in rings of fixed size: rates, times and counts of the process, of services,
//! pools and backends, over the last hours and days.
//!
//! ```text
//!   a point a step --> finest ring --mean, or the largest--> coarser ring --> coarsest
//!                       1 s x 10 min                          10 s x 6 h       1 min x 7 d
//! ```
//!
//! The slot is the time, as in RRDtool, so that a point costs its value alone: two bytes. Pure: who
//! counts, and when, is not known here.

pub mod plan;
pub mod point;
pub mod ring;
pub mod series;
pub mod track;
