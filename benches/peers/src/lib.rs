//! What the peers share: the command line, and the choice of a backend by fewest connections.
//!
//! Each peer is one file in `src/bin/`, to be read by itself.

pub mod backends;
pub mod options;

pub use backends::{Backends, Lease};
pub use options::{Options, Runtime};

/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
pub const BACKLOG: u32 = 4096;

/// How long a listener rests that cannot accept, for want of descriptors most likely.
pub const REST: std::time::Duration = std::time::Duration::from_millis(50);

/// Say what went wrong on one line, and end.
pub fn fail(program: &str, error: &dyn std::fmt::Display, code: i32) -> ! {
    eprintln!("{program}: {error}");
    std::process::exit(code)
}
