//! A connection as everybody above sees it: a wire, and around it TLS or nothing.
//!
//! What is read and written here is plaintext either way, so that relays and pumps do not know
//! whether it is encrypted on the network. The exception is that bytes under TLS cannot be spliced.
//! TLS may hold what the socket does not: [`Socket::can_read`] speaks of both, since no event will
//! tell of bytes that are here already.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::Registry;
use mio::event::Event;
use mio::net::TcpStream;
use rustls::ServerConfig;

use crate::event::Owner;

use super::tls::client::ClientTls;
use super::tls::{Handshake, Tls};
use super::{Connect, Fault, Pipe, Received, Sent, Socket, Wake, Wire};

/// A connection.
#[derive(Debug)]
pub struct Stream {
    wire: Wire,
    tls: Option<Box<Tls>>,
}

impl Stream {
    /// A client's socket, nonblocking already. TCP_NODELAY came with it from the listener.
    pub fn accepted(socket: TcpStream) -> Stream {
        Stream { wire: Wire::accepted(socket), tls: None }
    }

    /// How many bytes of the connection the peer has taken, where that can be asked: those that
    /// wait in our kernel are not among them.
    pub fn taken_by_peer(&self) -> Option<u64> {
        self.wire.taken_by_peer()
    }

    /// A socket that is being connected to `address`, and through TLS if a dial is given; for a
    /// client that chose `alpn` to be spoken inside, or nothing.
    pub fn connect(
        address: SocketAddr,
        dial: Option<&ClientTls>,
        alpn: Option<&[u8]>,
    ) -> Result<Stream, Fault> {
        let tls = dial.map(|dial| Tls::dial(dial, alpn)).transpose()?;
        Ok(Stream { wire: Wire::connect(address)?, tls })
    }

    /// From now on the client has to speak TLS, beginning with a handshake.
    pub fn begin_tls(&mut self, config: &Arc<ServerConfig>) -> Result<(), Fault> {
        self.tls = Some(Tls::accept(config)?);
        Ok(())
    }

    /// Whether there is a handshake to get on with: the peer has said something, most likely.
    pub fn is_heard_shaking_hands(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_shaking_hands()) && self.wire.can_read()
    }

    /// Get on with the handshake of a client.
    pub fn shake_hands(&mut self) -> Handshake {
        match &mut self.tls {
            Some(tls) => tls.shake_hands(&mut self.wire),
            None => Handshake::Done,
        }
    }

    /// The handshake failed: what is still said is in the clear.
    pub fn drop_tls(&mut self) {
        self.tls = None;
    }

    /// What TLS knows of the connection.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_deref()
    }

    /// Ask the poll for what is wanted and not yet asked for. What TLS could not send of its own is
    /// tried again first.
    pub fn arm(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.settle(&mut self.wire);
        }
        self.wire.arm(registry, owner)
    }

    /// Whether the poll tells of this socket at all.
    pub fn is_armed(&self) -> bool {
        self.wire.is_armed()
    }

    /// Whether the poll has to tell of writing, because a write would have blocked or nothing is to
    /// be read.
    pub fn wants_write(&self) -> bool {
        self.wire.wants_write()
    }

    /// Whether there is nothing to read, neither bytes nor an end: what an idle connection must
    /// be. If that is not known, it is tried.
    pub fn is_quiet(&mut self) -> bool {
        let is_known = !self.can_read() && self.is_heard();
        is_known || self.receive(&mut [0]) == Received::WouldBlock
    }

    /// Whether the poll tells of what can be read: not while nothing of it could be taken.
    pub fn is_heard(&self) -> bool {
        self.wire.is_heard()
    }

    /// Note what an event says; nothing is read, written or closed.
    pub fn mark(&mut self, event: &Event) {
        self.wire.mark(event);
    }

    /// Whether bytes wait to be read, with TLS those of its records; none are taken.
    pub fn has_input(&self) -> bool {
        self.wire.has_input()
    }

    /// Ask the socket itself the next time, whatever the poll said: it may not have come to it yet.
    pub fn check_again(&mut self) {
        self.wire.check_again();
    }

    /// Read no more of the socket until an event, or [`Stream::check_again`]: there may be
    /// something.
    pub fn look_away(&mut self) {
        self.wire.look_away();
    }

    /// Ask the poll to tell when the socket can be written, which is also when its connect is done.
    pub fn want_write(&mut self) {
        self.wire.want_write();
    }

    /// What became of the connect. With TLS it is done when the handshake is.
    pub fn connect_outcome(&mut self) -> Connect {
        let outcome = match &self.tls {
            Some(tls) if tls.has_heard() && self.wire.fault().is_none() => Connect::Done,
            _ => self.wire.connect_outcome(),
        };
        match (outcome, &mut self.tls) {
            (Connect::Done, Some(tls)) => match tls.shake_hands(&mut self.wire) {
                Handshake::Pending => Connect::Pending,
                Handshake::Done => Connect::Done,
                Handshake::Failed(fault) => Connect::Failed(fault),
                Handshake::Plain => Connect::Failed(Fault::Tls(super::tls::Trouble::NotTls)),
            },
            (outcome, _) => outcome,
        }
    }

    /// Close with RST instead of FIN when dropped: the peer must not take a torn stream for a
    /// complete one. One that was told by an alert knows, and a reset might overtake that.
    pub fn reset_on_close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.give_up();
        }
        if self.tls.as_ref().is_none_or(|tls| tls.fault().is_none()) {
            self.wire.reset_on_close();
        }
    }

    /// It is about to be dropped, and all is said.
    pub fn say_goodbye(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.say_goodbye(&mut self.wire);
        }
    }

    /// Let TCP ask a peer that is silent for so long whether it is there.
    pub fn set_keepalive(&self, after: Duration) {
        self.wire.set_keepalive(after);
    }

    /// The address of our end.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.wire.local_address()
    }
}

impl Socket for Stream {
    fn can_splice(&self) -> bool {
        self.tls.is_none()
    }

    fn can_read(&self) -> bool {
        match &self.tls {
            None => self.wire.can_read(),
            Some(tls) => tls.can_read(&self.wire),
        }
    }

    fn can_write(&self) -> bool {
        self.wire.can_write() && self.tls.as_ref().is_none_or(|tls| !tls.is_shaking_hands())
    }

    fn fault(&mut self) -> Option<Fault> {
        self.wire.fault().or_else(|| self.tls.as_ref()?.fault())
    }

    fn receive(&mut self, into: &mut [u8]) -> Received {
        let received = match &mut self.tls {
            None => self.wire.receive(into),
            Some(tls) => tls.receive(&mut self.wire, into),
        };
        let more = matches!(received, Received::Bytes(_));
        debug_assert!(more || !self.can_read(), "asked again, it says the same: {received:?}");
        debug_assert_ne!((received, into.is_empty()), (Received::Bytes(0), false));
        received
    }

    fn send(&mut self, from: &[u8]) -> Sent {
        let sent = match &mut self.tls {
            None => self.wire.send(from),
            Some(tls) => tls.send(&mut self.wire, from),
        };
        debug_assert!(sent != Sent::WouldBlock || !self.can_write(), "it can, and does not");
        sent
    }

    fn send_slices(&mut self, from: &[IoSlice<'_>]) -> Sent {
        match &mut self.tls {
            None => self.wire.send_slices(from),
            Some(tls) => tls.send_slices(&mut self.wire, from),
        }
    }

    fn receive_into(&mut self, pipe: &mut Pipe, limit: u64) -> Received {
        match &self.tls {
            None => self.wire.receive_into(pipe, limit),
            // A read knows; see the trait.
            Some(_) => Received::Eof,
        }
    }

    fn send_out_of(&mut self, pipe: &mut Pipe) -> Sent {
        debug_assert!(self.tls.is_none(), "nothing goes through TLS unseen");
        self.wire.send_out_of(pipe)
    }

    fn owes(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.owes())
    }

    fn bound_what_waits(&mut self) {
        self.wire.bound_what_waits();
    }

    fn bound_what_is_unsent(&mut self) {
        self.wire.bound_what_is_unsent();
    }

    fn wake_for(&mut self, wake: Wake) {
        self.wire.wake_for(wake);
    }

    fn is_ending(&self) -> bool {
        self.wire.is_ending()
    }

    fn is_spent(&self) -> bool {
        self.tls.is_none() && self.wire.is_spent()
    }

    fn end_follows(&mut self) {
        // Under TLS a close_notify comes in between.
        if self.tls.is_none() {
            self.wire.end_follows();
        }
    }

    fn more_follows(&mut self) {
        if self.tls.is_none() {
            self.wire.more_follows();
        }
    }

    fn send_now(&mut self) {
        self.wire.send_now();
    }

    fn acknowledge_now(&mut self) {
        self.wire.acknowledge_now();
    }

    fn finish_sending(&mut self) {
        match &mut self.tls {
            None => self.wire.finish_sending(),
            Some(tls) => tls.finish_sending(&mut self.wire),
        }
    }
}
