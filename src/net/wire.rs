//! One TCP socket, what it can do, and what the poll is asked to tell about it.
//!
//! The socket is registered once, for reading; writing is asked for only after the first write that
//! would have blocked, and stays asked for (edge-triggered, it costs nothing then). Only while
//! nothing is to be read ([`Wake::Never`]) is reading left out. Closing needs no deregistration,
//! because descriptors are never duplicated (pitfall 27): the kernel forgets a closed socket by
//! itself, and an event fetched before finds nobody (see [`crate::event::owner`]).
//!
//! What the bytes are is not known here: [`super::Stream`] puts TLS around a wire, or nothing.

mod asked;

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry};
use socket2::SockRef;

use crate::config::Address;
use crate::event::{Owner, Readiness};

use self::asked::{MORE, acknowledge, priority, set_low_mark};
use super::room::{bound_receive_queue, bound_send_queue, taken_by_peer};
use super::unix;
use super::{Fault, Pipe, Received, Sent, Socket, Wake};

/// A TCP socket with its readiness, and the bytes as they are on the network.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    readiness: Readiness,
    /// What the poll is to tell. Writing joins when a write would have blocked, or when nothing is
    /// to be read (the poll must be asked for something), and stays.
    wanted: Interest,
    /// What it was asked to tell.
    armed: Option<Interest>,
    nodelay: Nodelay,
    /// The errno that the socket told, which it tells only once.
    fault: Option<Fault>,
    /// Large pieces that came while what the kernel holds for us was not bounded; or [`BOUNDED`],
    /// or [`ALL_READ`]. A byte more here would cost each pair eight.
    pieces: u8,
    sending: Sending,
}

/// In place of a number of pieces: what the kernel holds for us is bounded, or need not be.
const BOUNDED: u8 = u8::MAX - 1;

/// In place of a number of pieces: a short read came after the news of the peer's FIN, so that all
/// is read, and the end is known without asking for it.
const ALL_READ: u8 = u8::MAX;

/// What is known of the bytes that are sent next, or were sent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// Nothing.
    Plain,
    /// More follows them in this turn, so that they may wait for it in the socket.
    MoreFollows,
    /// Some wait there.
    MoreAwaited,
    /// The end follows them, and they may wait for that.
    EndFollows,
    /// They were a short splice: the socket may be full or broken, or a signal came in between.
    CutShort,
}

/// What became of a connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connect {
    /// Still under way.
    Pending,
    /// It is there.
    Done,
    /// It failed.
    Failed(Fault),
}

/// Whether small writes go out at once. Nagle's algorithm delays only a write that follows another
/// one, so a connection with a single write saves the system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nodelay {
    Unneeded,
    BeforeNextWrite,
    Set,
    /// It is, and what waits to be sent is bounded as well.
    SetAndBounded,
}

impl Wire {
    /// A client's socket, nonblocking already. TCP_NODELAY came with it from the listener.
    pub fn accepted(socket: TcpStream) -> Wire {
        // Both at once, to save a turn: the client's first bytes are often here already.
        let readiness = Readiness { can_read: true, can_write: true, ..Readiness::default() };
        Wire::new(socket, readiness, Nodelay::Set)
    }

    /// How many bytes the peer has taken, where that can be asked: the kernel's own are not among
    /// them.
    pub fn taken_by_peer(&self) -> Option<u64> {
        taken_by_peer(&self.socket)
    }

    /// A socket that is being connected to `address`. A write is worth a try at once: on fast
    /// networks the connection is there before this returns, and if not the write would block.
    pub fn connect(address: &Address) -> Result<Wire, Fault> {
        let socket =
            unix::connect(address).map_err(|error| Fault::of_connect(&error, address))?;
        let readiness = Readiness { can_write: true, ..Readiness::default() };
        Ok(Wire::new(socket, readiness, Nodelay::Unneeded))
    }

    fn new(socket: TcpStream, readiness: Readiness, nodelay: Nodelay) -> Wire {
        Wire {
            socket,
            readiness,
            wanted: Interest::READABLE.add(priority()),
            armed: None,
            nodelay,
            fault: None,
            pieces: 0,
            sending: Sending::Plain,
        }
    }

    /// Ask the poll for what is wanted and not yet asked for; no system call if there is nothing.
    #[inline]
    pub fn arm(&mut self, registry: &Registry, owner: Owner) -> io::Result<()> {
        match self.armed {
            Some(armed) if armed == self.wanted => Ok(()),
            armed => self.ask(armed, registry, owner),
        }
    }

    fn ask(
        &mut self,
        armed: Option<Interest>,
        registry: &Registry,
        owner: Owner,
    ) -> io::Result<()> {
        let token = owner.into();
        let wanted = self.wanted;
        if armed.is_some() {
            registry.reregister(&mut self.socket, token, wanted)?;
        } else {
            registry.register(&mut self.socket, token, wanted)?;
        }
        self.armed = Some(wanted);
        Ok(())
    }

    /// Let the next [`Wire::arm`] ask for what is wanted even if the poll was asked for it: then it
    /// tells of what is there already.
    fn ask_anew(&mut self) {
        self.armed = self.armed.map(|_| Interest::WRITABLE);
    }

    /// Whether the poll tells of this socket at all.
    pub fn is_armed(&self) -> bool {
        self.armed.is_some()
    }

    /// Whether the poll tells of what can be read, or was not asked for anything yet.
    pub fn is_heard(&self) -> bool {
        self.armed.is_none_or(Interest::is_readable)
    }

    /// Whether the poll has to tell of writing, because a write would have blocked or nothing is to
    /// be read.
    pub fn wants_write(&self) -> bool {
        self.wanted.is_writable()
    }

    /// Note what an event says; nothing is read, written or closed.
    pub fn mark(&mut self, event: &Event) {
        self.readiness.mark(event);
    }

    /// Look at what is there to be read; nothing is taken: it can still be read, and the same is
    /// seen by who looks again.
    pub fn peek(&mut self, into: &mut [u8]) -> Received {
        if self.pieces == ALL_READ {
            return self.note_received(Received::Eof);
        }
        let received = match retry(|| self.socket.peek(into)) {
            Ok(0) => Received::Eof,
            Ok(count) => Received::Bytes(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::WouldBlock,
            Err(error) => Received::Broken(Fault::of(&error)),
        };
        self.note_received(received)
    }

    /// Whether bytes wait to be read, asked of the socket; none are taken.
    pub fn has_input(&self) -> bool {
        matches!(self.socket.peek(&mut [0]), Ok(1..))
    }

    /// Ask the socket itself the next time, whatever the poll said: it may not have come to it yet.
    pub fn check_again(&mut self) {
        self.readiness.can_read = true;
        self.readiness.can_write = true;
    }

    /// Do not read until an event, or [`Wire::check_again`]: there may be something.
    pub fn look_away(&mut self) {
        self.readiness.can_read = false;
    }

    /// Ask the poll to tell when the socket can be written, which is also when its connect is done.
    pub fn want_write(&mut self) {
        self.readiness.can_write = false;
        self.wanted = self.wanted.add(Interest::WRITABLE);
    }

    /// What became of the connect. Writable alone does not mean connected, and an error may show
    /// up in any bit (pitfall 9): so an erring socket is asked for its error, and one that can be
    /// written for its peer, which only a connected one has.
    pub fn connect_outcome(&mut self) -> Connect {
        if let Some(fault) = self.fault() {
            return Connect::Failed(fault);
        }
        if !self.readiness.can_write {
            return Connect::Pending;
        }
        match SockRef::from(&self.socket).peer_addr() {
            Ok(_) => Connect::Done,
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                self.want_write();
                Connect::Pending
            }
            Err(error) => Connect::Failed(Fault::of(&error)),
        }
    }

    /// Close with RST instead of FIN when dropped: the peer must not take a torn stream for a
    /// complete one.
    pub fn reset_on_close(&self) {
        // Failing, the close says FIN: not as clear, but closed all the same.
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Let TCP ask a peer that is silent for so long whether it is there.
    pub fn set_keepalive(&self, after: Duration) {
        super::keepalive::set(&self.socket, after);
    }

    /// The address of our end.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Whether a read shorter than asked for has emptied the socket. One ends at urgent data as
    /// well, which only Linux tells of.
    fn short_read_means_empty(&self) -> bool {
        cfg!(linux) && !self.readiness.urgent && !self.readiness.error && self.fault.is_none()
    }

    fn before_write(&mut self) {
        match self.nodelay {
            Nodelay::Set | Nodelay::SetAndBounded => {}
            Nodelay::Unneeded => self.nodelay = Nodelay::BeforeNextWrite,
            Nodelay::BeforeNextWrite => {
                self.nodelay = Nodelay::Set;
                // Failing, small writes are slower; nothing else changes.
                let _ = self.socket.set_nodelay(true);
            }
        }
    }

    fn write(&self, from: &[u8]) -> io::Result<usize> {
        match self.flags() {
            0 => (&self.socket).write(from),
            flags => SockRef::from(&self.socket).send_with_flags(from, flags),
        }
    }

    fn write_vectored(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.flags() {
            0 => (&self.socket).write_vectored(from),
            flags => SockRef::from(&self.socket).send_vectored_with_flags(from, flags),
        }
    }

    /// Bytes that more or the FIN follows wait for it in the socket, and leave in one packet with
    /// it.
    fn flags(&self) -> i32 {
        match self.sending {
            Sending::Plain | Sending::MoreAwaited | Sending::CutShort => 0,
            Sending::MoreFollows | Sending::EndFollows => MORE,
        }
    }

    /// Sort what a read came to and keep the readiness right.
    fn note_received(&mut self, received: Received) -> Received {
        match received {
            Received::Bytes(_) => return received,
            Received::WouldBlock => self.readiness.can_read = false,
            // After an error was told, the socket says EOF: that is not the peer's FIN, unless
            // the error says so.
            Received::Eof => {
                self.readiness.can_read = false;
                if let Some(fault) = self.fault.filter(|&fault| fault != Fault::Closed) {
                    return Received::Broken(fault);
                }
            }
            Received::Broken(fault) => self.note_fault(fault),
        }
        received
    }

    fn note_sent(&mut self, sent: Sent, wanted: usize) -> Sent {
        let sent = match sent {
            // The splice before met the reset, told of its bytes alone, and used up the one time
            // that the socket tells of it.
            Sent::Broken(Fault::Closed) if self.sending == Sending::CutShort => {
                Sent::Broken(Fault::Reset)
            }
            sent => sent,
        };
        self.sending = match self.sending {
            Sending::MoreFollows => Sending::MoreAwaited,
            Sending::EndFollows => Sending::EndFollows,
            Sending::Plain | Sending::MoreAwaited | Sending::CutShort => Sending::Plain,
        };
        match sent {
            // A short write has filled the socket: as good as WouldBlock, and a call less.
            Sent::Bytes(count) if count < wanted => self.want_write(),
            Sent::Bytes(_) => {}
            Sent::WouldBlock => self.want_write(),
            Sent::Broken(fault) => {
                self.note_fault(fault);
                // What the peer sent before may still be there, and the end of it has to be seen.
                self.readiness.can_read = true;
            }
        }
        sent
    }

    /// Nothing goes through it any more, for this reason.
    #[cold]
    pub fn give_up(&mut self, fault: Fault) {
        self.note_fault(fault);
    }

    #[cold]
    fn note_fault(&mut self, fault: Fault) {
        self.readiness.can_read = false;
        self.readiness.can_write = false;
        self.fault = self.fault.or(Some(fault));
    }
}

impl Socket for Wire {
    fn can_splice(&self) -> bool {
        true
    }

    fn can_read(&self) -> bool {
        self.readiness.can_read
    }

    fn can_write(&self) -> bool {
        self.readiness.can_write
    }

    fn fault(&mut self) -> Option<Fault> {
        if self.readiness.error {
            // The socket says it once; the answer is kept.
            self.readiness.error = false;
            let told = match self.socket.take_error() {
                Ok(None) => None,
                Ok(Some(error)) | Err(error) => Some(Fault::of(&error)),
            };
            self.fault = self.fault.or(told);
        }
        self.fault
    }

    fn receive(&mut self, into: &mut [u8]) -> Received {
        if self.pieces == ALL_READ {
            return self.note_received(Received::Eof);
        }
        let received = match retry(|| (&self.socket).read(into)) {
            Ok(0) => Received::Eof,
            Ok(count) => {
                if count < into.len() && self.short_read_means_empty() {
                    // With the FIN already here, this was the rest. Without it, there is nothing
                    // before the next edge.
                    if self.readiness.read_closed {
                        self.pieces = ALL_READ;
                    }
                    self.readiness.can_read = self.readiness.read_closed;
                }
                Received::Bytes(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // At the urgent mark it may be a signal that the kernel means, and more is here.
                if self.readiness.urgent {
                    self.ask_anew();
                }
                Received::WouldBlock
            }
            Err(error) => Received::Broken(Fault::of(&error)),
        };
        self.note_received(received)
    }

    fn send(&mut self, from: &[u8]) -> Sent {
        self.before_write();
        let sent = match retry(|| self.write(from)) {
            Ok(count) => Sent::Bytes(count),
            Err(error) if would_block(&error) => Sent::WouldBlock,
            Err(error) => Sent::Broken(Fault::of(&error)),
        };
        self.note_sent(sent, from.len())
    }

    fn send_slices(&mut self, from: &[IoSlice<'_>]) -> Sent {
        self.before_write();
        let wanted = from.iter().map(|slice| slice.len()).sum();
        let sent = match retry(|| self.write_vectored(from)) {
            Ok(count) => Sent::Bytes(count),
            Err(error) if would_block(&error) => Sent::WouldBlock,
            Err(error) => Sent::Broken(Fault::of(&error)),
        };
        self.note_sent(sent, wanted)
    }

    fn receive_into(&mut self, pipe: &mut Pipe, limit: u64) -> Received {
        if self.pieces == ALL_READ || self.readiness.urgent {
            return Received::Eof;
        }
        match pipe.fill_from(self.socket.as_fd(), limit) {
            Received::Eof => Received::Eof,
            received => self.note_received(received),
        }
    }

    fn send_out_of(&mut self, pipe: &mut Pipe) -> Sent {
        self.before_write();
        let wanted = pipe.len();
        let sent = pipe.empty_into(self.socket.as_fd());
        let Sent::Bytes(count @ 1..) = sent else { return self.note_sent(sent, wanted) };
        // A short splice is not "would block", as a short write is: a signal ends it, too, and then
        // the socket has room and nothing to tell. The next call knows.
        self.note_sent(sent, count);
        // With the FIN already here, all that the peer had to say is whole in any case.
        if count < wanted && !self.readiness.read_closed {
            self.sending = Sending::CutShort;
        }
        sent
    }

    fn bound_what_waits(&mut self) {
        // Now and then, ever more seldom: on a machine that has much to do the first answers are
        // late, and the source looks far away.
        if self.pieces < BOUNDED {
            let next = self.pieces + 1;
            self.pieces = if next == BOUNDED { BOUNDED / 2 + 1 } else { next };
            if self.pieces.is_power_of_two() && bound_receive_queue(&self.socket) {
                self.pieces = BOUNDED;
            }
        }
    }

    fn bound_what_is_unsent(&mut self) {
        if self.nodelay == Nodelay::Set {
            self.nodelay = Nodelay::SetAndBounded;
            bound_send_queue(&self.socket);
        }
    }

    fn wake_for(&mut self, wake: Wake) {
        let bytes = match wake {
            Wake::AnyByte => 1,
            Wake::Piece(bytes) => bytes,
            // A piece that is large enough would not do: each packet from there on is an edge. And
            // with urgent data each of them would at least be looked at.
            Wake::Never => {
                self.wanted = Interest::WRITABLE;
                return;
            }
        };
        self.wanted = self.wanted.add(Interest::READABLE).add(priority());
        if let Wake::Piece(_) = wake {
            self.readiness.can_read = false;
        }
        // What is there already and suffices is told by setting the mark. Where that fails, asking
        // the poll anew tells of whatever is there.
        if !set_low_mark(&self.socket, bytes) {
            self.ask_anew();
        }
    }

    fn is_ending(&self) -> bool {
        self.readiness.read_closed || self.readiness.error || self.fault.is_some()
    }

    fn is_spent(&self) -> bool {
        self.pieces == ALL_READ
    }

    fn end_follows(&mut self) {
        if self.sending != Sending::CutShort {
            self.sending = Sending::EndFollows;
        }
    }

    fn more_follows(&mut self) {
        if self.sending == Sending::Plain {
            self.sending = Sending::MoreFollows;
        }
    }

    fn send_now(&mut self) {
        if self.sending == Sending::MoreAwaited {
            self.sending = Sending::Plain;
            // Setting it sends what waits, whether or not it was set before. Failing, it leaves
            // when the kernel's patience is over, after 0.2 s.
            let _ = self.socket.set_nodelay(true);
        }
    }

    fn acknowledge_now(&mut self) {
        acknowledge(&self.socket);
    }

    fn finish_sending(&mut self) {
        // From here on nothing can be sent, whatever the peer does.
        self.sending = Sending::Plain;
        // Failing, the connection is gone already, and reading will tell.
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }
}

/// A write on a socket that is still being connected says "not connected" on some systems.
fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
#[cfg(linux)]
mod tests;
