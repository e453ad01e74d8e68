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

use crate::config::Address;
use crate::event::Owner;

use super::tls::client::ClientTls;
use super::tls::{Handshake, Tls};
use super::{Connect, Fault, Pipe, Received, Sent, Socket, Wake, Wire};

/// A connection.
#[derive(Debug)]
pub struct Stream {
    wire: Wire,
    /// A box for both: there is a stream in each pair, and most have nothing here.
    upper: Option<Box<Upper>>,
}

/// What stands between the bytes of a stream and its wire.
#[derive(Debug)]
enum Upper {
    /// They are encrypted.
    Tls(Tls),
    /// Something of ours goes out before any of them.
    Ahead(Ahead),
}

/// What a connection to a backend begins with, in the clear: the header of the PROXY protocol.
#[derive(Debug)]
struct Ahead {
    header: Box<[u8]>,
    /// What begins behind it.
    tls: Option<Tls>,
}

impl Stream {
    /// A client's socket, nonblocking already. TCP_NODELAY came with it from the listener.
    pub fn accepted(socket: TcpStream) -> Stream {
        Stream { wire: Wire::accepted(socket), upper: None }
    }

    /// How many bytes of the connection the peer has taken, where that can be asked: those that
    /// wait in our kernel are not among them.
    pub fn taken_by_peer(&self) -> Option<u64> {
        self.wire.taken_by_peer()
    }

    /// A socket that is being connected to `address`, and through TLS if a dial is given; for a
    /// client that chose `alpn` to be spoken inside, or nothing.
    pub fn connect(
        address: &Address,
        dial: Option<&ClientTls>,
        alpn: Option<&[u8]>,
    ) -> Result<Stream, Fault> {
        let tls = dial.map(|dial| Tls::dial(dial, alpn)).transpose()?;
        let upper = tls.map(|tls| Box::new(Upper::Tls(tls)));
        Ok(Stream { wire: Wire::connect(address)?, upper })
    }

    /// Nothing was sent yet: this goes out before all else, in one write, and not through TLS.
    pub fn begin_with(&mut self, header: Box<[u8]>) {
        let tls = match self.upper.take().map(|upper| *upper) {
            Some(Upper::Tls(tls)) => Some(tls),
            Some(Upper::Ahead(Ahead { tls, .. })) => tls,
            None => None,
        };
        self.upper = Some(Box::new(Upper::Ahead(Ahead { header, tls })));
    }

    /// What goes ahead of all else is sent, if there is something. A socket that was just connected
    /// has room for all of it, so that a part of it is as good as a break: the peer could make
    /// nothing of the rest.
    #[cold]
    fn send_ahead(&mut self) -> Sent {
        let Some(Upper::Ahead(ahead)) = self.upper.as_deref_mut() else {
            return Sent::Bytes(0);
        };
        let sent = self.wire.send(&ahead.header);
        match sent {
            Sent::Bytes(count) if count < ahead.header.len() => {
                let fault = Fault::Other(io::ErrorKind::WriteZero);
                self.wire.give_up(fault);
                Sent::Broken(fault)
            }
            Sent::Bytes(_) => {
                self.upper = ahead.tls.take().map(|tls| Box::new(Upper::Tls(tls)));
                sent
            }
            Sent::WouldBlock | Sent::Broken(_) => sent,
        }
    }

    fn has_ahead(&self) -> bool {
        matches!(self.upper.as_deref(), Some(Upper::Ahead(_)))
    }

    fn tls_mut(&mut self) -> Option<&mut Tls> {
        match self.upper.as_deref_mut() {
            Some(Upper::Tls(tls)) => Some(tls),
            Some(Upper::Ahead(_)) | None => None,
        }
    }

    /// From now on the client has to speak TLS, beginning with a handshake.
    pub fn begin_tls(&mut self, config: &Arc<ServerConfig>) -> Result<(), Fault> {
        self.upper = Some(Box::new(Upper::Tls(Tls::accept(config)?)));
        Ok(())
    }

    /// Whether there is a handshake to get on with: the peer has said something, most likely.
    pub fn is_heard_shaking_hands(&self) -> bool {
        self.tls().is_some_and(Tls::is_shaking_hands) && self.wire.can_read()
    }

    /// Get on with the handshake of a client.
    pub fn shake_hands(&mut self) -> Handshake {
        match self.upper.as_deref_mut() {
            Some(Upper::Tls(tls)) => tls.shake_hands(&mut self.wire),
            Some(Upper::Ahead(_)) | None => Handshake::Done,
        }
    }

    /// The handshake failed: what is still said is in the clear.
    pub fn drop_tls(&mut self) {
        self.upper = None;
    }

    /// What TLS knows of the connection.
    pub fn tls(&self) -> Option<&Tls> {
        match self.upper.as_deref() {
            Some(Upper::Tls(tls)) => Some(tls),
            Some(Upper::Ahead(_)) | None => None,
        }
    }

    /// Ask the poll for what is wanted and not yet asked for. What TLS could not send of its own is
    /// tried again first.
    pub fn arm(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        if let Some(Upper::Tls(tls)) = self.upper.as_deref_mut() {
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

    /// Look at what came, of a stream that was just accepted: nothing is taken.
    pub fn peek(&mut self, into: &mut [u8]) -> Received {
        debug_assert!(self.upper.is_none(), "what is on the wire is not what it says");
        self.wire.peek(into)
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

    /// What became of the connect. With TLS it is done when the handshake is, and what goes ahead
    /// of all else is sent by then.
    pub fn connect_outcome(&mut self) -> Connect {
        if self.has_ahead() {
            match self.wire.connect_outcome() {
                Connect::Done => {}
                outcome => return outcome,
            }
            match self.send_ahead() {
                Sent::Bytes(_) => {}
                Sent::WouldBlock => return Connect::Pending,
                Sent::Broken(fault) => return Connect::Failed(fault),
            }
        }
        let outcome = match self.upper.as_deref() {
            Some(Upper::Tls(tls)) if tls.has_heard() && self.wire.fault().is_none() => {
                Connect::Done
            }
            _ => self.wire.connect_outcome(),
        };
        match (outcome, self.upper.as_deref_mut()) {
            (Connect::Done, Some(Upper::Tls(tls))) => match tls.shake_hands(&mut self.wire) {
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
        if let Some(tls) = self.tls_mut() {
            tls.give_up();
        }
        if self.tls().is_none_or(|tls| tls.fault().is_none()) {
            self.wire.reset_on_close();
        }
    }

    /// It is about to be dropped, and all is said.
    pub fn say_goodbye(&mut self) {
        if let Some(Upper::Tls(tls)) = self.upper.as_deref_mut() {
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
        match self.upper.as_deref() {
            None => true,
            Some(Upper::Tls(_)) => false,
            Some(Upper::Ahead(ahead)) => ahead.tls.is_none(),
        }
    }

    fn can_read(&self) -> bool {
        match self.upper.as_deref() {
            None => self.wire.can_read(),
            Some(Upper::Tls(tls)) => tls.can_read(&self.wire),
            Some(Upper::Ahead(_)) => false,
        }
    }

    fn can_write(&self) -> bool {
        let may = match self.upper.as_deref() {
            None => true,
            Some(Upper::Tls(tls)) => !tls.is_shaking_hands(),
            Some(Upper::Ahead(ahead)) => ahead.tls.is_none(),
        };
        may && self.wire.can_write()
    }

    fn fault(&mut self) -> Option<Fault> {
        self.wire.fault().or_else(|| self.tls()?.fault())
    }

    fn receive(&mut self, into: &mut [u8]) -> Received {
        let received = match self.upper.as_deref_mut() {
            None => self.wire.receive(into),
            Some(Upper::Tls(tls)) => tls.receive(&mut self.wire, into),
            Some(Upper::Ahead(_)) => Received::WouldBlock,
        };
        let more = matches!(received, Received::Bytes(_));
        debug_assert!(more || !self.can_read(), "asked again, it says the same: {received:?}");
        debug_assert_ne!((received, into.is_empty()), (Received::Bytes(0), false));
        received
    }

    fn send(&mut self, from: &[u8]) -> Sent {
        let sent = match self.upper.as_deref_mut() {
            None => self.wire.send(from),
            Some(Upper::Tls(tls)) => tls.send(&mut self.wire, from),
            Some(Upper::Ahead(_)) => match self.send_ahead() {
                Sent::Bytes(_) => return self.send(from),
                sent => sent,
            },
        };
        debug_assert!(sent != Sent::WouldBlock || !self.can_write(), "it can, and does not");
        sent
    }

    fn send_slices(&mut self, from: &[IoSlice<'_>]) -> Sent {
        match self.upper.as_deref_mut() {
            None => self.wire.send_slices(from),
            Some(Upper::Tls(tls)) => tls.send_slices(&mut self.wire, from),
            Some(Upper::Ahead(_)) => match self.send_ahead() {
                Sent::Bytes(_) => self.send_slices(from),
                sent => sent,
            },
        }
    }

    fn receive_into(&mut self, pipe: &mut Pipe, limit: u64) -> Received {
        match self.upper.as_deref() {
            None => self.wire.receive_into(pipe, limit),
            // A read knows; see the trait.
            Some(_) => Received::Eof,
        }
    }

    fn send_out_of(&mut self, pipe: &mut Pipe) -> Sent {
        debug_assert!(self.can_splice(), "nothing goes through TLS unseen");
        if self.has_ahead() {
            match self.send_ahead() {
                Sent::Bytes(_) => {}
                sent => return sent,
            }
        }
        self.wire.send_out_of(pipe)
    }

    fn owes(&self) -> bool {
        self.tls().is_some_and(Tls::owes)
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
        self.upper.is_none() && self.wire.is_spent()
    }

    fn end_follows(&mut self) {
        // Under TLS a close_notify comes in between.
        if self.upper.is_none() {
            self.wire.end_follows();
        }
    }

    fn more_follows(&mut self) {
        if self.upper.is_none() {
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
        if self.has_ahead() {
            // Failing, the peer is told by the end that comes without it.
            self.send_ahead();
        }
        match self.upper.as_deref_mut() {
            Some(Upper::Tls(tls)) => tls.finish_sending(&mut self.wire),
            Some(Upper::Ahead(_)) | None => self.wire.finish_sending(),
        }
    }
}

#[cfg(test)]
mod tests;
