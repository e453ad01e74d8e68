//! What a wire asks the kernel for beside its bytes, and what becomes of it where only Linux has
//! that: nothing waits in the socket for more, each packet is an event, and ACKs come late.

#[cfg(linux)]
use std::os::fd::AsRawFd;

use mio::Interest;
use mio::net::TcpStream;
#[cfg(linux)]
use rustix::net::SendFlags;
#[cfg(linux)]
use uapi::c::{SO_RCVLOWAT, SOL_SOCKET};

/// Let the ACK of what came leave now, instead of waiting up to 40 ms for bytes to leave with. The
/// kernel goes back to that by itself, once bytes go both ways.
#[cfg(linux)]
pub fn acknowledge(socket: &TcpStream) {
    // Failing, the peer waits as long as it always did.
    let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
}

#[cfg(not(linux))]
pub fn acknowledge(_socket: &TcpStream) {}

/// How many bytes the socket waits for before it says that it can be read (`SO_RCVLOWAT`).
#[cfg(linux)]
pub fn set_low_mark(socket: &TcpStream, bytes: u32) -> bool {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    uapi::setsockopt(socket.as_raw_fd(), SOL_SOCKET, SO_RCVLOWAT, &bytes).is_ok()
}

#[cfg(not(linux))]
pub fn set_low_mark(_socket: &TcpStream, _bytes: u32) -> bool {
    false
}

/// `MSG_MORE`, and that a broken connection is an error and no signal.
#[cfg(linux)]
pub const MORE: i32 = (SendFlags::MORE.bits() | SendFlags::NOSIGNAL.bits()) as i32;

#[cfg(not(linux))]
pub const MORE: i32 = 0;

#[cfg(linux)]
pub fn priority() -> Interest {
    Interest::PRIORITY
}

#[cfg(not(linux))]
pub fn priority() -> Interest {
    Interest::READABLE
}
