//! Sockets that others made.

/// How many the service manager may hand over: as many as have names in one variable of the
/// environment, and far more than a unit has.
pub const HANDED_SOCKETS_MAX: usize = 1024;
