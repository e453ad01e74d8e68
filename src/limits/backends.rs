//! Backends, their probes, and being left out for bad answers.

use std::time::Duration;

// ---- Backends ---------------------------------------------------------------------------------

/// Largest weight an operator can give (nginx and Envoy take more, HAProxy 256).
pub const WEIGHT_MAX: u32 = 65_535;

/// One unit of configured weight in the fixed-point weights the algorithms see, so that slow
/// start can ramp a weight of 1 in 256 steps.
pub const WEIGHT_ONE: u32 = 256;

/// Slow start begins at this share of the weight (Envoy's default), in percent.
pub const SLOW_START_PERCENT_MIN: u32 = 10;

/// Steps of a slow-start ramp.
pub const SLOW_START_STEPS: u32 = 20;

/// Backends at most; tests and the cost of a pick are measured up to here.
pub const BACKENDS_MAX: usize = 10_000;

/// Routes at most: as many as backends, and a pool's number is kept in 16 bits.
pub const ROUTES_MAX: usize = 10_000;

// ---- Probes -----------------------------------------------------------------------------------

/// Longest answer to a `load:` probe, in bytes, terminator not counted.
pub const LOAD_ANSWER_BYTES_MAX: usize = 100;

/// Longest text of a `load:` probe, in bytes.
pub const LOAD_TEXT_BYTES_MAX: usize = 100;

/// Longest status line an `http:` probe reads, in bytes.
pub const STATUS_LINE_BYTES_MAX: usize = 1024;

/// Bytes of an answer to a `udp:` probe that are shown when it is not what was expected.
pub const DATAGRAM_SHOWN_BYTES: usize = 32;

// ---- Ejection ---------------------------------------------------------------------------------

/// How long a backend is left out for its bad answers, times the number of times (Envoy's
/// `base_ejection_time`).
pub const EJECTION: Duration = Duration::from_secs(30);

/// But never longer than this (Envoy's `max_ejection_time`).
pub const EJECTION_MAX: Duration = Duration::from_secs(300);

/// After so long in good order, the next time is counted as the first.
pub const EJECTION_FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
