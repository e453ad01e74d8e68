//! How much the kernel may hold of a stream, on both of its sides: what a client that stops reading
//! leaves behind. Called by [`super::wire`], once for each socket, when a stream has begun.

#[cfg(linux)]
use std::os::fd::AsRawFd;
#[cfg(linux)]
use std::time::Duration;

use mio::net::TcpStream;
#[cfg(linux)]
use socket2::SockRef;
#[cfg(linux)]
use uapi::c::{
    IPPROTO_TCP, SO_BUF_LOCK, SOL_SOCKET, TCP_INFO, TCP_NOTSENT_LOWAT, TCP_WINDOW_CLAMP,
};

#[cfg(linux)]
use crate::limits::{STREAM_NEAR, STREAM_RECEIVE_BYTES, STREAM_UNSENT_BYTES};

/// Stop the kernel from making more and more room for a stream that is taken in large pieces, if
/// its source is near enough to do without. `false`: it is not, as far as is known by now.
#[cfg(linux)]
pub fn bound_receive_queue(socket: &TcpStream) -> bool {
    let fd = socket.as_raw_fd();
    let mut info = [0_u32; TCP_INFO_WORDS];
    if uapi::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &mut info) != Ok(size_of_val(&info)) {
        return true;
    }
    // From the handshake and what we sent; and from what comes, once that is known.
    let trips = [info[TCP_INFO_MIN_RTT], info[TCP_INFO_RCV_RTT]];
    let trip = trips.into_iter().filter(|&trip| trip > 0).min();
    if trip.is_none_or(|trip| Duration::from_micros(trip.into()) > STREAM_NEAR) {
        return false;
    }
    // All of it or nothing: where so much cannot be had (`net.core.rmem_max`), the kernel makes not
    // much more by itself. And one that does not know how to undo it must not begin.
    let leave_it_to_the_kernel = || uapi::setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &0_i32);
    let socket = SockRef::from(socket);
    let wanted = STREAM_RECEIVE_BYTES as usize;
    if leave_it_to_the_kernel().is_err() || socket.set_recv_buffer_size(wanted).is_err() {
        return true;
    }
    if socket.recv_buffer_size().is_ok_and(|granted| granted < 2 * wanted) {
        let _ = leave_it_to_the_kernel();
        return true;
    }
    // Room alone is not offered to the peer by all kernels. Failing, the stream is slower.
    let bytes = STREAM_RECEIVE_BYTES as i32;
    let _ = uapi::setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &bytes);
    true
}

#[cfg(not(linux))]
pub fn bound_receive_queue(_socket: &TcpStream) -> bool {
    true
}

/// Do not let more wait unsent in the kernel. Failing, a reader that stops leaves more behind.
#[cfg(linux)]
pub fn bound_send_queue(socket: &TcpStream) {
    let bytes = STREAM_UNSENT_BYTES as i32;
    let _ = uapi::setsockopt(socket.as_raw_fd(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes);
}

#[cfg(not(linux))]
pub fn bound_send_queue(_socket: &TcpStream) {}

/// How many bytes the peer has taken since the beginning: those that wait in our kernel are not
/// among them. `None` where that cannot be asked.
#[cfg(linux)]
pub fn taken_by_peer(socket: &TcpStream) -> Option<u64> {
    let mut info = [0_u32; TCP_INFO_ACKED + 2];
    let asked = uapi::getsockopt(socket.as_raw_fd(), IPPROTO_TCP, TCP_INFO, &mut info);
    if asked != Ok(size_of_val(&info)) {
        return None;
    }
    let [.., first, second] = info.map(u32::to_ne_bytes);
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first);
    bytes[4..].copy_from_slice(&second);
    Some(u64::from_ne_bytes(bytes))
}

#[cfg(not(linux))]
pub fn taken_by_peer(_socket: &TcpStream) -> Option<u64> {
    None
}

/// Where `tcp_info` has the bytes that the peer acknowledged, in words: two of them.
#[cfg(linux)]
const TCP_INFO_ACKED: usize = 30;

/// Where `tcp_info` has round trips in microseconds, counted in words: what comes in tells of one,
/// and the shortest of late is the other.
#[cfg(linux)]
const TCP_INFO_RCV_RTT: usize = 23;
#[cfg(linux)]
const TCP_INFO_MIN_RTT: usize = 37;
#[cfg(linux)]
const TCP_INFO_WORDS: usize = TCP_INFO_MIN_RTT + 1;
