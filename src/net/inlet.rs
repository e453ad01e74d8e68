//! A UDP socket at which short messages come in that nobody answers.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use mio::net::UdpSocket;
use mio::{Interest, Registry};

use crate::event::Owner;

use super::{HandedSocket, copy_of};

/// Where they come in.
#[derive(Debug)]
pub struct Inlet {
    socket: UdpSocket,
    address: SocketAddr,
    ready: bool,
    /// Somebody else made it, and has it open as well.
    is_shared: bool,
}

impl Inlet {
    /// At this address; with port 0 the system chooses one.
    pub fn bind(address: SocketAddr) -> io::Result<Inlet> {
        let socket = UdpSocket::bind(address)?;
        let address = socket.local_addr()?;
        Ok(Inlet { socket, address, ready: false, is_shared: false })
    }

    /// At a socket that was handed over.
    pub fn adopt(handed: &HandedSocket) -> io::Result<Inlet> {
        let address = handed.address().socket_address().ok_or(ErrorKind::InvalidInput)?;
        let socket = UdpSocket::from_std(handed.copy()?.into());
        let is_shared = handed.is_shared();
        Ok(Inlet { socket, address, ready: false, is_shared })
    }

    /// The poll is to tell nothing more of it, whoever has the socket open as well.
    pub fn deregister(&mut self, registry: &Registry) {
        if self.is_shared {
            let _ = registry.deregister(&mut self.socket);
        }
    }

    /// Whether somebody else made it, and has it open as well.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Where it really is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ask the poll to tell of messages.
    pub fn register(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        registry.register(&mut self.socket, owner.into(), Interest::READABLE)
    }

    /// The same socket by another descriptor.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        copy_of(&self.socket)
    }

    /// It is another process's from now on.
    pub fn hand_over(mut self, registry: &Registry) {
        let _ = registry.deregister(&mut self.socket);
    }

    /// An event said that something came.
    pub fn mark(&mut self) {
        self.ready = true;
    }

    /// Whether there may be something.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// The next message, cut where the buffer ends; nothing, if there is none now. What the network
    /// says of others' messages is passed over.
    pub fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<(&'b [u8], SocketAddr)> {
        match self.socket.recv_from(buffer) {
            Ok((count, from)) => Some((&buffer[..count], from)),
            Err(error) => {
                self.ready &= error.kind() != ErrorKind::WouldBlock;
                None
            }
        }
    }
}
