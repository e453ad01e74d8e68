//! The socket of an admin connection: of this machine, or TCP with or without TLS.

use std::io;

use mio::Registry;
use mio::event::Event;

use crate::event::Owner;
use crate::net::{LocalStream, Received, Sent, Socket, Stream};

/// What an admin connection is read from and written to.
#[derive(Debug)]
pub enum AdminSocket {
    /// A UNIX socket.
    Local(LocalStream),
    /// TCP.
    Stream(Stream),
}

impl AdminSocket {
    /// Note what an event says.
    pub fn mark(&mut self, event: &Event) {
        match self {
            AdminSocket::Local(socket) => socket.mark(event),
            AdminSocket::Stream(socket) => socket.mark(event),
        }
    }

    /// Ask the poll for what is wanted and not yet asked for.
    pub fn arm(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        match self {
            AdminSocket::Local(socket) => socket.arm(registry, owner),
            AdminSocket::Stream(socket) => socket.arm(registry, owner),
        }
    }

    /// Whether nobody would read an answer, as far as that is known: of TCP it is not before
    /// something is sent.
    pub fn is_gone(&self) -> bool {
        match self {
            AdminSocket::Local(socket) => socket.is_gone(),
            AdminSocket::Stream(_) => false,
        }
    }

    /// Whether a read may bring something.
    pub fn can_read(&self) -> bool {
        match self {
            AdminSocket::Local(socket) => socket.can_read(),
            AdminSocket::Stream(socket) => socket.can_read(),
        }
    }

    /// Read into a buffer.
    pub fn receive(&mut self, into: &mut [u8]) -> Received {
        match self {
            AdminSocket::Local(socket) => socket.receive(into),
            AdminSocket::Stream(socket) => socket.receive(into),
        }
    }

    /// Write from a buffer. What was offered and not taken has to be offered again.
    pub fn send(&mut self, from: &[u8]) -> Sent {
        match self {
            AdminSocket::Local(socket) => socket.send(from),
            AdminSocket::Stream(socket) => socket.send(from),
        }
    }

    /// Nothing more will be sent.
    pub fn finish_sending(&mut self) {
        match self {
            AdminSocket::Local(socket) => socket.finish_sending(),
            AdminSocket::Stream(socket) => socket.finish_sending(),
        }
    }
}
