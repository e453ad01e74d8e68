//! What came of a PROXY header, for those who know nothing of how it is read.

use std::fmt;

use crate::net::Peer;
use crate::proxy_header::read::{Ends, Heard, Why};

/// What is wrong with a client from whom a header is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFault {
    /// What came is none.
    Bad(Why),
    /// It ended before it was whole.
    CutShort,
    /// It was not whole in time.
    TooLate,
}

/// What a header said, for as long as its client is here.
#[derive(Debug)]
pub struct Proxied {
    /// The proxy in front.
    pub peer: Peer,
    /// Between whom the connection is there, if it is a client's.
    pub ends: Option<Ends>,
    /// What else was said.
    pub heard: Heard,
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderFault::Bad(why) => why.fmt(f),
            HeaderFault::CutShort => f.write_str("the connection ended within it"),
            HeaderFault::TooLate => f.write_str("not whole within 3s"),
        }
    }
}
