//! Bounds on headers of the PROXY protocol.

/// Longest value of a type in a header that we send, in bytes; a longer one is left out. Four of
/// them fit in the 4 KiB that receivers take.
pub const PROXY_TLV_SENT_BYTES_MAX: usize = 1000;
