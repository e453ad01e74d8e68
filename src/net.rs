//! Sockets, and what they say, sorted once into small enums.
//!
//! What only Linux has (`splice`, pipes of a chosen size) stays in this room behind `cfg(linux)`,
//! with a plain fallback. Nothing here knows what the bytes mean or why a connection closes.

pub mod buffer;
pub mod datagram;
pub mod descriptors;
pub mod file;
pub mod handed;
pub mod inlet;
pub mod keepalive;
pub mod listener;
pub mod local;
pub mod machine;
pub mod peer;
pub mod pipe;
mod room;
pub mod stream;
pub mod tls;
mod unix;
mod watched;
pub mod wire;
pub mod zone;

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::config::Address;

pub use buffer::{Buffer, BufferPool};
pub use datagram::{
    Batch, DatagramListener, DatagramSocket, Headed, Piece, RecvMeta, RecvOutcome, Refused,
    SendOutcome, Sender, Transmit, ports,
};
pub use handed::{HandedSocket, HandedSockets, Predecessor, Transport};
pub use inlet::Inlet;
pub use listener::{Accepted, StreamListener};
pub use local::{
    LocalAccepted, LocalListener, LocalPeer, LocalStream, copy_of, receive_with, send_with,
};
pub use peer::{LOCAL_PEER, Peer};
pub use pipe::{Pipe, PipePool};
pub use stream::Stream;
pub use unix::{FileOwner, SocketFile};
pub use watched::Watched;
pub use wire::{Connect, Wire};

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing now; there will be an event.
    WouldBlock,
    /// The peer has finished sending.
    Eof,
    /// The connection broke.
    Broken(Fault),
}

/// How much has to be there to read before the poll tells of a socket. A break is told in any case,
/// and so is the end if anything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// One byte.
    AnyByte,
    /// So many bytes, or as many as the kernel has room for; less may be there unsaid. Until then
    /// the socket cannot be read.
    Piece(u32),
    /// No matter how much: nothing of it could be taken now.
    Never,
}

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// So many bytes were taken, at least one.
    Bytes(usize),
    /// Nothing now; there will be an event.
    WouldBlock,
    /// The connection broke.
    Broken(Fault),
}

/// Why a connection could not be made or broke, as far as anybody acts on the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens there.
    Refused,
    /// The peer or the network gave the connection up.
    Reset,
    /// The peer had finished sending before it gave the connection up: what came is complete.
    Closed,
    /// No answer in time.
    TimedOut,
    /// No way to get there, or no address of ours to go there from: that is so for this peer, and
    /// another one may well be reached.
    Unreachable,
    /// All local ports towards it are taken: not the peer's fault, and another one may be reached.
    NoPort,
    /// We gave it up ourselves: its backend is down.
    GivenUp,
    /// It ended before what it had promised.
    CutShort,
    /// The two do not agree on TLS, or one of them broke its rules.
    Tls(tls::Trouble),
    /// We have no descriptor or memory left: not the peer's fault, and the same for all of them.
    Exhausted,
    /// Anything else.
    Other(io::ErrorKind),
}

/// Where a pump's buffers and pipes come from.
pub struct Buffers<'a> {
    /// What all reads go into.
    pub scratch: &'a mut [u8],
    /// Where buffers come from for what a target would not take.
    pub pool: &'a mut BufferPool,
    /// Where pipes come from for splicing.
    pub pipes: &'a mut PipePool,
}

/// Which clients a listener at `[::]` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// IPv6 alone: another listener has the port for IPv4.
    V6,
    /// Those of IPv4 as well.
    Both,
}

/// Who else may listen at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortUse {
    /// Nobody.
    Alone,
    /// Other processes of the same user that want it so, too: the kernel spreads clients over them
    /// by a hash of their addresses and ports.
    Shared,
}

/// The two ends of a pump: a socket, or in the simulation a script.
///
/// What it says that it can, it can: after [`Received::WouldBlock`], and once its end was told,
/// `can_read` is false until an event says otherwise, and `can_write` after [`Sent::WouldBlock`].
/// TLS answers for both, bytes that it has opened already and those on the wire, for it may hold
/// some that no event will tell of.
pub trait Socket {
    /// Whether bytes can go through it without being seen: not where they are encrypted on the way.
    fn can_splice(&self) -> bool;
    /// Whether a read may bring something.
    fn can_read(&self) -> bool;
    /// Whether a write may be taken.
    fn can_write(&self) -> bool;
    /// Why it broke, if that is known.
    fn fault(&mut self) -> Option<Fault>;
    /// Read into a buffer.
    fn receive(&mut self, into: &mut [u8]) -> Received;
    /// Write from a buffer.
    fn send(&mut self, from: &[u8]) -> Sent;
    /// Write from several places, in one call where that is possible.
    fn send_slices(&mut self, from: &[IoSlice<'_>]) -> Sent;
    /// Move at most `limit` bytes into a pipe without seeing them. `Eof` is not certain to be the
    /// end: only a read tells that from urgent data, which a splice does not pass.
    fn receive_into(&mut self, pipe: &mut Pipe, limit: u64) -> Received;
    /// Move bytes out of a pipe without seeing them. Some of them says nothing of the others: they
    /// are to be offered at once, unless it cannot be written any more.
    fn send_out_of(&mut self, pipe: &mut Pipe) -> Sent;
    /// Whether some of what was offered may have left already, though it is not said to be sent:
    /// TLS has sealed it, and the rest of its record waits here.
    fn owes(&self) -> bool {
        false
    }
    /// It sends in large pieces: what stays behind here when nobody takes it on is to have an end.
    fn bound_what_waits(&mut self) {}
    /// It is sent a stream: what it does not take now is to wait here and at its source, and not
    /// in the kernel for it as well.
    fn bound_what_is_unsent(&mut self) {}
    /// Say what the poll is to tell from now on of what can be read. What is there already and
    /// suffices is told, too.
    fn wake_for(&mut self, wake: Wake);
    /// Whether its end or a break is known, so that nothing will come that is not here already.
    fn is_ending(&self) -> bool;
    /// Whether all that comes is read and only the end is left, as far as that is known.
    fn is_spent(&self) -> bool;
    /// What is sent from now on is followed by the end at once, or by the close: bytes may wait
    /// for it and leave in the same packet.
    fn end_follows(&mut self);
    /// What is sent next is followed by more in this turn, most likely: bytes may wait for it and
    /// leave in the same packet. If it does not come, [`Socket::send_now`] is to be called.
    fn more_follows(&mut self) {}
    /// What waits for more leaves now.
    fn send_now(&mut self) {}
    /// More is to come, and the peer may wait with it until what came is acknowledged: Nagle's
    /// algorithm does where nobody turned it off.
    fn acknowledge_now(&mut self) {}
    /// Tell the peer that nothing more will be sent; reading goes on.
    fn finish_sending(&mut self);
}

impl Fault {
    /// Sort an error of beginning to connect to an address. Where all local ports towards it are
    /// taken, that says nothing of who is there.
    pub fn of_connect(error: &io::Error, to: &Address) -> Fault {
        match (error.kind(), to.socket_address()) {
            (io::ErrorKind::AddrNotAvailable, Some(to)) if has_source(to) => Fault::NoPort,
            _ => Fault::of(error),
        }
    }

    /// Sort an error of the operating system.
    pub fn of(error: &io::Error) -> Fault {
        use io::ErrorKind as Kind;
        use rustix::io::Errno;
        match error.kind() {
            Kind::ConnectionRefused => Fault::Refused,
            Kind::ConnectionReset | Kind::ConnectionAborted => Fault::Reset,
            // What Linux says first of a connection that is reset after its FIN has come.
            Kind::BrokenPipe => Fault::Closed,
            Kind::TimedOut => Fault::TimedOut,
            Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::AddrNotAvailable => Fault::Unreachable,
            Kind::OutOfMemory => Fault::Exhausted,
            kind => match Errno::from_io_error(error) {
                Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS) => Fault::Exhausted,
                _ => Fault::Other(kind),
            },
        }
    }
}

/// Whether this machine has an address to send from to that one: of IPv4 it has, where there is a
/// way at all. To connect a datagram socket asks just that, and sends nothing.
fn has_source(to: SocketAddr) -> bool {
    let any = IpAddr::from(Ipv6Addr::UNSPECIFIED);
    to.is_ipv4() || UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(to)).is_ok()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused => f.write_str("refused"),
            Fault::Reset => f.write_str("reset"),
            Fault::Closed => f.write_str("closed"),
            Fault::TimedOut => f.write_str("timed out"),
            Fault::Unreachable => f.write_str("unreachable"),
            Fault::GivenUp => f.write_str("its backend is lost"),
            Fault::CutShort => f.write_str("ended too early"),
            Fault::Tls(trouble) => write!(f, "TLS: {trouble}"),
            Fault::Exhausted => f.write_str("out of descriptors or memory"),
            Fault::NoPort => f.write_str("no local port is left towards it"),
            Fault::Other(kind) => write!(f, "{kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    /// Without IPv6 no port of ours reaches `[::1]`, and ports run out for one peer at a time.
    #[test]
    fn what_only_one_peer_lacks_does_not_speak_of_the_others() {
        let of = |errno: Errno| Fault::of(&errno.into());
        for errno in [Errno::ADDRNOTAVAIL, Errno::HOSTUNREACH, Errno::NETUNREACH] {
            assert_eq!(of(errno), Fault::Unreachable, "{errno}");
        }
        let address = |text: &str| Address::Ip(text.parse().unwrap());
        let taken = Errno::ADDRNOTAVAIL.into();
        assert_eq!(Fault::of_connect(&taken, &address("127.0.0.1:1")), Fault::NoPort);
        // Nobody has a source for the addresses of documentation (RFC 3849) on a machine without
        // a way there.
        let other = Fault::of_connect(&taken, &address("[2001:db8::1]:1"));
        assert!(matches!(other, Fault::Unreachable | Fault::NoPort));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(of(errno), Fault::Exhausted, "{errno}");
        }
    }
}
