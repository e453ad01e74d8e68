//! UDP sockets, and many datagrams in one system call.
//!
//! ```text
//!   socket --batch: recvmmsg, GRO--> RecvMeta: source, our address, a Piece of memory
//!   Transmit: a Piece, destination, our address --sender: sendmmsg, GSO--> socket
//! ```
//!
//! What is received stays where it was received until it is sent: a [`Piece`] says where. It holds
//! one datagram, or several of the same length that the kernel had put together. Nothing here knows
//! of flows or backends.

mod batch;
mod headed;
mod sender;
#[cfg(linux)]
#[path = "datagram/linux.rs"]
mod system;
#[cfg(not(linux))]
#[path = "datagram/plain.rs"]
mod system;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use mio::net::UdpSocket;
use mio::{Interest, Registry};
use socket2::{Domain, Protocol, SockRef, Type};

use crate::config::{Address, LinkAddress};
use crate::event::Owner;
use crate::limits::{BUSY_BUFFER_BYTES, DATAGRAM_BUFFER_BYTES, PORTS_ASSUMED, SLOT_BYTES};

use super::{Families, Fault, HandedSocket, PortUse, copy_of};

pub use batch::{Batch, RecvOutcome};
pub use headed::Headed;
pub use sender::{Cursor, Refused, SendOutcome, Sender};

// because: then none can be cut short. UDP's own length has 16 bits, and what the kernel puts
// together is no longer than that.
const _: () = assert!(SLOT_BYTES > u16::MAX as usize);

/// Where datagrams of clients arrive, and answers leave.
#[derive(Debug)]
pub struct DatagramListener {
    socket: UdpSocket,
    address: Address,
    /// There may be datagrams to take: set by an event, cleared when there were none left.
    ready: bool,
    /// Somebody else made it, and has it open as well.
    is_shared: bool,
}

/// A socket towards one peer: it hears nobody else, and is told when its datagrams are refused.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: UdpSocket,
    /// The kernel puts datagrams together.
    coalesces: bool,
}

/// A place in the memory of a [`Batch`]: datagrams one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    start: u32,
    bytes: u32,
    /// Bytes of each; only the last may have fewer.
    size: u16,
}

/// What came in one slot.
#[derive(Debug, Clone, Copy)]
pub struct RecvMeta {
    /// The datagrams.
    pub piece: Piece,
    /// Who sent them; of a connected socket, nobody says.
    pub from: Option<SocketAddr>,
    /// Which of our addresses it was sent to, where that is asked for.
    pub local: Option<IpAddr>,
}

/// What is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Transmit {
    /// The datagrams.
    pub piece: Piece,
    /// The destination; `None` on a connected socket.
    pub to: Option<SocketAddr>,
    /// From which of our addresses, where there is a choice.
    pub from: Option<IpAddr>,
}

impl Piece {
    fn new(start: usize, bytes: usize, size: usize) -> Piece {
        let size = if size == 0 || size > bytes { bytes } else { size };
        Piece { start: start as u32, bytes: bytes as u32, size: size as u16 }
    }

    /// How many datagrams it holds. One without a byte is a datagram.
    pub fn count(&self) -> u32 {
        self.bytes.div_ceil(u32::from(self.size).max(1)).max(1)
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        u64::from(self.bytes)
    }

    /// Their bytes, in the memory that they lie in.
    pub fn of<'a>(&self, memory: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        memory.get(start..start + self.bytes as usize).unwrap_or_default()
    }

    /// One datagram without so many bytes at its front.
    #[must_use]
    pub fn without_front(self, bytes: usize) -> Piece {
        let bytes = bytes.min(self.bytes as usize);
        let rest = self.bytes as usize - bytes;
        Piece::new(self.start as usize + bytes, rest, rest)
    }

    /// The first so many of them, and the others.
    pub fn split(self, count: u32) -> (Piece, Option<Piece>) {
        if count >= self.count() {
            return (self, None);
        }
        let bytes = count * u32::from(self.size);
        let start = (self.start + bytes) as usize;
        let rest = Piece::new(start, (self.bytes - bytes) as usize, usize::from(self.size));
        (Piece { bytes, ..self }, Some(rest))
    }
}

impl DatagramListener {
    /// Take datagrams at `address`; port 0 lets the system choose one. At `[::]`, `families` says
    /// which clients it takes.
    pub fn bind(address: SocketAddr, families: Families) -> io::Result<DatagramListener> {
        DatagramListener::bind_port(address, families, PortUse::Alone)
    }

    /// The same at a port that may be shared with other processes: each gets the datagrams of some
    /// clients.
    pub fn bind_port(
        address: SocketAddr,
        families: Families,
        port: PortUse,
    ) -> io::Result<DatagramListener> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(families == Families::V6)?;
        }
        if port == PortUse::Shared {
            socket.set_reuse_port(true)?;
        }
        // Less is no failure: bursts are lost sooner.
        let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(DATAGRAM_BUFFER_BYTES);
        system::prepare(&socket, address);
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into());
        let address = socket.local_addr()?.into();
        Ok(DatagramListener { socket, address, ready: false, is_shared: false })
    }

    /// The same at an address of a link whose interface is known.
    pub fn bind_link(address: &LinkAddress, port: PortUse) -> io::Result<DatagramListener> {
        let ip = address.socket_address().into();
        let mut it = DatagramListener::bind_port(ip, Families::Both, port)?;
        let port = it.address.port().unwrap_or_default();
        it.address = address.clone().with_port(port).into();
        Ok(it)
    }

    /// Take datagrams at a socket that was handed over. How much it keeps is as it was made, or
    /// more.
    pub fn adopt(handed: &HandedSocket) -> io::Result<DatagramListener> {
        let socket = socket2::Socket::from(handed.copy()?);
        let address = handed.address().socket_address().ok_or(io::ErrorKind::InvalidInput)?;
        if socket.recv_buffer_size().is_ok_and(|it| it < DATAGRAM_BUFFER_BYTES) {
            let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER_BYTES);
        }
        if socket.send_buffer_size().is_ok_and(|it| it < DATAGRAM_BUFFER_BYTES) {
            let _ = socket.set_send_buffer_size(DATAGRAM_BUFFER_BYTES);
        }
        system::prepare(&socket, address);
        let socket = UdpSocket::from_std(socket.into());
        let is_shared = handed.is_shared();
        Ok(DatagramListener { socket, address: address.into(), ready: false, is_shared })
    }

    /// Whether somebody else made it, and has it open as well.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The poll is to tell nothing more of it. It would go on otherwise where others have the
    /// socket open, whatever becomes of our descriptor.
    pub fn deregister(&mut self, registry: &Registry) {
        if self.is_shared {
            let _ = registry.deregister(&mut self.socket);
        }
    }

    /// Let the kernel put together what a client sends at once.
    pub fn coalesce(&self) {
        system::coalesce(&self.socket);
    }

    /// The address it really has.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Ask the poll to tell of datagrams.
    pub fn register(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        registry.register(&mut self.socket, owner.into(), Interest::READABLE)
    }

    /// An event said that datagrams are here.
    pub fn mark(&mut self) {
        self.ready = true;
    }

    /// Whether there may be some.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// The same socket by another descriptor.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        copy_of(&self.socket)
    }

    /// It is another process's from now on.
    pub fn hand_over(mut self, registry: &Registry) {
        let _ = registry.deregister(&mut self.socket);
    }

    /// There are none left; an event will tell of the next.
    pub fn drained(&mut self) {
        self.ready = false;
    }
}

impl DatagramSocket {
    /// A socket towards `address`, which is one of a network. Nothing is sent.
    pub fn connect(address: &Address) -> Result<DatagramSocket, Fault> {
        let address = address.socket_address().ok_or(Fault::Unreachable)?;
        let socket = connected(address).map_err(|error| match error.kind() {
            // All ports of ours are taken, which says nothing of the peer.
            io::ErrorKind::WouldBlock => Fault::Exhausted,
            _ => Fault::of(&error),
        })?;
        Ok(DatagramSocket { socket, coalesces: false })
    }

    /// One that another process connected.
    pub fn adopt(socket: OwnedFd) -> DatagramSocket {
        let socket = UdpSocket::from_std(socket.into());
        DatagramSocket { socket, coalesces: false }
    }

    /// The peer that a datagram socket is connected to, if it is one and is connected: asked before
    /// it is adopted.
    pub fn peer_of(socket: &OwnedFd) -> Option<SocketAddr> {
        let socket = SockRef::from(socket);
        let is_one = socket.r#type().is_ok_and(|it| it == Type::DGRAM);
        socket.peer_addr().ok().filter(|_| is_one)?.as_socket()
    }

    /// The same socket by another descriptor.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        copy_of(&self.socket)
    }

    /// The poll is to tell nothing more of it, though others have it open as well.
    pub fn deregister(&mut self, registry: &Registry) {
        let _ = registry.deregister(&mut self.socket);
    }

    /// Whom it hears.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.socket.peer_addr().ok()
    }

    /// Ask the poll to tell of answers.
    pub fn register(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        registry.register(&mut self.socket, owner.into(), Interest::READABLE)
    }

    /// Much comes here: let the kernel put together what it can, and keep more of it.
    pub fn coalesce(&mut self) {
        let _ = SockRef::from(&self.socket).set_recv_buffer_size(BUSY_BUFFER_BYTES);
        self.coalesces = self.coalesces || system::coalesce(&self.socket);
    }

    /// Send one datagram.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Fault> {
        self.socket.send(bytes).map(drop).map_err(|error| Fault::of(&error))
    }

    /// Receive one datagram, cut to the buffer; `None` if there is none.
    pub fn receive(&self, into: &mut [u8]) -> Result<Option<usize>, Fault> {
        match self.socket.recv(into) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(Fault::of(&error)),
        }
    }
}

/// How many sockets can have a port of their own, the system's other programs included.
pub fn ports() -> usize {
    system::ports().unwrap_or(PORTS_ASSUMED)
}

fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    #[cfg(linux)]
    let socket = socket2::Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    #[cfg(not(linux))]
    let socket = {
        let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket
    };
    socket.connect(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

#[cfg(test)]
mod tests;
