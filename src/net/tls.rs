//! TLS over a wire: what one connection has to remember, and how bytes go through it.
//!
//! ```text
//!   wire --read--> ciphertext --engine--> plaintext --> the caller's buffer
//!                      |                      |
//!                      +-- inlet: a record    +-- plain: what the caller had no room for
//!                          that is not whole
//!   the caller's bytes --engine--> ciphertext --write--> wire
//!                                      |
//!                                      +-- outlet: what the wire would not take now
//! ```
//!
//! The three stores are empty while a connection rests. Bytes that lie in the outlet are not said
//! to be sent: the caller keeps them and offers them again, as with any socket that would block,
//! and learns only then that they are gone. So whoever holds nothing back owes nobody anything.
//!
//! The protocol itself is rustls, without its buffers. [`server`] and [`client`] say how the two
//! sides are set up, [`files`] reads certificates and keys.

mod chain;
mod chooser;
pub mod client;
pub mod files;
mod names;
mod provider;
mod record;
pub mod server;
mod tickets;
pub mod told;
mod trouble;

use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{AlertDescription, HandshakeKind, ServerConfig};

use crate::hello::{self, HelloScan, Reading};
use crate::limits::{
    CLIENT_HELLO_WIRE_BYTES_MAX, TLS_BARREN_BYTES_MAX, TLS_GATHER_BYTES, TLS_INLET_BYTES_MAX,
    TLS_RECORD_BYTES_MAX,
};

use super::{Fault, Received, Sent, Socket};

use client::ClientTls;
use files::Subject;
use record::{Engine, Keep, Next};
pub use trouble::Trouble;

/// One side of a TLS connection.
pub struct Tls {
    engine: Engine,
    /// Ciphertext of which nothing can be made yet.
    inlet: Vec<u8>,
    /// Plaintext that nobody has asked for yet.
    plain: Vec<u8>,
    /// Ciphertext that the wire has not taken yet.
    outlet: Vec<u8>,
    /// So many bytes of the caller lie in the outlet, and are not said to be sent.
    owed: usize,
    incoming: Incoming,
    /// The caller knows how the incoming side ended.
    told: bool,
    outgoing: TlsOutgoing,
    /// A first byte has come.
    has_heard: bool,
    /// Of the certificate of a client, if it showed one.
    subject: Option<Subject>,
    /// The server name that a client asked for, once its ClientHello is here.
    server_name: Option<Box<str>>,
}

/// How far the peer's side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Incoming {
    Open,
    /// It said close_notify.
    Finished,
    /// It broke off: what came is not all there was.
    Broken(Fault),
}

/// How far our side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TlsOutgoing {
    Open,
    /// close_notify is in the outlet, and FIN follows on it.
    Closing,
    Closed,
}

/// How far a handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// The peer has to say more.
    Pending,
    /// Done, and bytes can go.
    Done,
    /// What came begins with a letter: this peer does not speak TLS.
    Plain,
    /// It failed; the peer was told why.
    Failed(Fault),
}

enum FlushOutcome {
    Empty,
    Blocked,
    Broken(Fault),
}

impl Tls {
    /// Towards a client that was just accepted.
    pub fn accept(config: &Arc<ServerConfig>) -> Result<Tls, Fault> {
        let engine = UnbufferedServerConnection::new(Arc::clone(config));
        engine.map(|engine| Tls::new(Engine::Server(engine))).map_err(|e| Trouble::fault(&e))
    }

    /// Towards a backend, for a client that chose `alpn` to be spoken inside, or nothing.
    pub fn dial(dial: &ClientTls, alpn: Option<&[u8]>) -> Result<Tls, Fault> {
        let config = Arc::clone(dial.config(alpn));
        let name = dial.name.clone();
        let engine = UnbufferedClientConnection::new(config, name);
        engine.map(|engine| Tls::new(Engine::Client(engine))).map_err(|e| Trouble::fault(&e))
    }

    fn new(engine: Engine) -> Tls {
        Tls {
            engine,
            inlet: Vec::new(),
            plain: Vec::new(),
            outlet: Vec::new(),
            owed: 0,
            incoming: Incoming::Open,
            told: false,
            outgoing: TlsOutgoing::Open,
            has_heard: false,
            subject: None,
            server_name: None,
        }
    }

    /// Whether the two have still to agree.
    pub fn is_shaking_hands(&self) -> bool {
        self.engine.common().is_handshaking()
    }

    /// Whether the peer has said anything.
    pub fn has_heard(&self) -> bool {
        self.has_heard
    }

    /// Whether the handshake was a short one, from a session before.
    pub fn is_resumed(&self) -> bool {
        self.engine.common().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What the two agreed to speak inside, if they said so.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.engine.common().alpn_protocol()
    }

    /// Whom the certificate of a client names, if it showed one and that can be said.
    pub fn subject(&self) -> Option<&str> {
        match &self.subject {
            Some(Subject::Named(name)) => Some(name),
            Some(Subject::LeftOut) | None => None,
        }
    }

    /// The server name that a client asked for, if it did.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Version and cipher suite that the two agreed on, once they did.
    pub fn agreed(&self) -> Option<(&'static str, &'static str)> {
        let common = self.engine.common();
        let suite = common.negotiated_cipher_suite()?.suite();
        Some((names::version(common.protocol_version()?), names::cipher(suite)))
    }

    /// Whether a client showed a certificate of which nothing can be said.
    pub fn leaves_subject_out(&self) -> bool {
        self.subject == Some(Subject::LeftOut)
    }

    /// Whether a read may bring something, from here or from the wire. An end is told once; what
    /// comes behind it means nothing.
    pub fn can_read(&self, wire: &impl Socket) -> bool {
        match self.incoming {
            Incoming::Open => !self.plain.is_empty() || wire.can_read(),
            Incoming::Finished | Incoming::Broken(_) => !self.plain.is_empty() || !self.told,
        }
    }

    /// Why nothing can go through it any more. A peer that only stopped is still written to.
    pub fn fault(&self) -> Option<Fault> {
        match self.incoming {
            Incoming::Broken(fault @ Fault::Tls(_)) => Some(fault),
            Incoming::Open | Incoming::Finished | Incoming::Broken(_) => None,
        }
    }

    /// Get on with the handshake as far as possible.
    pub fn shake_hands(&mut self, wire: &mut impl Socket) -> Handshake {
        loop {
            self.turn_over();
            let flushed = self.flush(wire);
            if let Incoming::Broken(fault) = self.incoming {
                return Handshake::Failed(fault);
            }
            if let FlushOutcome::Broken(fault) = flushed {
                return Handshake::Failed(fault);
            }
            if !self.is_shaking_hands() {
                self.note_subject();
                return Handshake::Done;
            }
            if self.incoming == Incoming::Finished {
                return Handshake::Failed(Fault::CutShort);
            }
            if !wire.can_read() {
                return Handshake::Pending;
            }
            match self.take_in(wire) {
                Received::Bytes(_) if self.is_plain_talk() => return Handshake::Plain,
                Received::Bytes(_) => self.note_hello(),
                Received::WouldBlock => return Handshake::Pending,
                Received::Eof => return Handshake::Failed(Fault::CutShort),
                Received::Broken(fault) => return Handshake::Failed(fault),
            }
        }
    }

    /// Read what the peer sent into a buffer.
    pub fn receive(&mut self, wire: &mut impl Socket, into: &mut [u8]) -> Received {
        let mut barren = 0;
        loop {
            if !self.plain.is_empty() {
                return Received::Bytes(self.hand_out(into));
            }
            match self.incoming {
                Incoming::Open => {}
                Incoming::Finished => {
                    self.told = true;
                    return Received::Eof;
                }
                Incoming::Broken(fault) => {
                    self.told = true;
                    return Received::Broken(fault);
                }
            }
            if barren > TLS_BARREN_BYTES_MAX {
                self.incoming = Incoming::Broken(Fault::Tls(Trouble::Misbehaved));
                continue;
            }
            if !wire.can_read() {
                return Received::WouldBlock;
            }
            let (received, written) = self.read_once(wire, into);
            match received {
                Received::Bytes(count) => barren += count,
                Received::WouldBlock => return Received::WouldBlock,
                // Without close_notify anybody may have cut it off.
                Received::Eof => self.incoming = Incoming::Broken(Fault::CutShort),
                Received::Broken(fault) => {
                    self.told = true;
                    self.incoming = Incoming::Broken(fault);
                    return Received::Broken(fault);
                }
            }
            // What the engine answers by itself; whether it got out shows when we write next.
            self.flush(wire);
            if written > 0 {
                return Received::Bytes(written);
            }
        }
    }

    /// Write from a buffer. What was offered and not taken has to be offered again.
    pub fn send(&mut self, wire: &mut impl Socket, from: &[u8]) -> Sent {
        debug_assert!(from.len() >= self.owed, "what is in the outlet is offered again");
        if let Some(fault) = self.fault() {
            return Sent::Broken(fault);
        }
        let mut taken = 0;
        loop {
            self.turn_over();
            let flushed = self.flush(wire);
            if let FlushOutcome::Empty = flushed {
                taken += std::mem::take(&mut self.owed);
            }
            match flushed {
                _ if taken == from.len() => return Sent::Bytes(taken),
                FlushOutcome::Empty if wire.can_write() && !self.is_shaking_hands() => {}
                FlushOutcome::Broken(fault) if taken == 0 => return Sent::Broken(fault),
                _ if taken == 0 => return Sent::WouldBlock,
                _ => return Sent::Bytes(taken),
            }
            match self.seal_and_write(wire, &from[taken..]) {
                Ok(count) => taken += count,
                Err(fault) if taken == 0 => return Sent::Broken(fault),
                Err(_) => return Sent::Bytes(taken),
            }
        }
    }

    /// Write from several places: gathered first, for small records cost more than the copy.
    pub fn send_slices(&mut self, wire: &mut impl Socket, from: &[IoSlice<'_>]) -> Sent {
        let total: usize = from.iter().map(|slice| slice.len()).sum();
        if total > TLS_GATHER_BYTES {
            return self.send(wire, &from.concat_slices());
        }
        let mut flat = [0; TLS_GATHER_BYTES];
        let mut end = 0;
        for slice in from {
            flat[end..end + slice.len()].copy_from_slice(slice);
            end += slice.len();
        }
        self.send(wire, &flat[..end])
    }

    /// Whether bytes of the caller were sealed that are not said to be sent: some of it may be on
    /// its way.
    pub fn owes(&self) -> bool {
        self.owed > 0
    }

    /// Send what the wire would not take before; nothing to do most of the time.
    pub fn settle(&mut self, wire: &mut impl Socket) {
        if !self.outlet.is_empty() {
            self.flush(wire);
        }
    }

    /// Tell the peer that nothing more will be sent: close_notify, then FIN.
    pub fn finish_sending(&mut self, wire: &mut impl Socket) {
        if self.outgoing == TlsOutgoing::Open {
            self.say_close();
            self.outgoing = TlsOutgoing::Closing;
        }
        self.flush(wire);
    }

    /// The connection is about to be closed: the peer is told that this is the end, if it is one.
    pub fn say_goodbye(&mut self, wire: &mut impl Socket) {
        if self.outgoing == TlsOutgoing::Open && self.owed == 0 && self.fault().is_none() {
            self.say_close();
            self.flush(wire);
        }
    }

    /// It is about to be closed in the middle of something: the peer must not hear a goodbye.
    pub fn give_up(&mut self) {
        self.outgoing = TlsOutgoing::Closed;
    }

    fn say_close(&mut self) {
        self.turn_over();
        if !self.is_shaking_hands() && self.fault().is_none() {
            self.engine.close(&mut self.inlet, &mut self.outlet);
        }
    }

    fn note_subject(&mut self) {
        if let Engine::Server(server) = &self.engine {
            let certificate = server.peer_certificates().and_then(|chain| chain.first());
            self.subject = certificate.map(|certificate| Subject::of(certificate));
        }
    }

    /// Let the engine work through what is in the inlet, and put what it has to say of itself into
    /// the outlet.
    fn turn_over(&mut self) {
        let mut inlet = std::mem::take(&mut self.inlet);
        let held = inlet.len();
        let (used, _) = self.absorb(&mut inlet, 0, held, Keep::Aside);
        if used == held {
            inlet = Vec::new();
        } else if used > 0 {
            inlet.drain(..used);
            inlet.shrink_to_fit();
        }
        self.inlet = inlet;
    }

    /// Read as far as one record goes, into the inlet.
    fn take_in(&mut self, wire: &mut impl Socket) -> Received {
        let held = self.inlet.len();
        self.inlet.resize(held + TLS_RECORD_BYTES_MAX, 0);
        let received = wire.receive(&mut self.inlet[held..]);
        let count = if let Received::Bytes(count) = received { count } else { 0 };
        self.inlet.truncate(held + count);
        self.inlet.shrink_to_fit();
        received
    }

    /// Bytes of a handshake came: before those of a client are used up, its server name is read.
    fn note_hello(&mut self) {
        let is_new = !std::mem::replace(&mut self.has_heard, true);
        let is_hello = is_new || !self.inlet.is_empty() && self.server_name.is_none();
        if is_hello && matches!(self.engine, Engine::Server(_)) {
            let read = hello::read(&self.inlet, &mut HelloScan::default());
            if let Reading::Name(name) = read {
                self.server_name = name;
            }
        }
    }

    /// Nothing but a letter comes from who does not speak TLS, and no record begins with one.
    fn is_plain_talk(&self) -> bool {
        !self.has_heard
            && matches!(self.engine, Engine::Server(_))
            && self.inlet.first().is_some_and(u8::is_ascii_uppercase)
    }

    /// One read: what it came to, and how much plaintext is at the beginning of the buffer. The
    /// ciphertext goes a record's length behind it, so that plaintext never reaches it.
    fn read_once(&mut self, wire: &mut impl Socket, into: &mut [u8]) -> (Received, usize) {
        let held = self.inlet.len();
        let from = TLS_RECORD_BYTES_MAX;
        if into.len() < held + 2 * TLS_RECORD_BYTES_MAX {
            let received = self.take_in(wire);
            self.turn_over();
            return (received, 0);
        }
        into[from..from + held].copy_from_slice(&self.inlet);
        let received = wire.receive(&mut into[from + held..]);
        let Received::Bytes(count) = received else { return (received, 0) };
        let to = from + held + count;
        let (at, written) = self.absorb(into, from, to, Keep::InFront);
        self.inlet = into[at..to].to_vec();
        (received, written)
    }

    /// Work through the ciphertext in `buffer[from..to]`. Says up to where it is used up, and how
    /// much plaintext was put in front of it.
    fn absorb(
        &mut self,
        buffer: &mut [u8],
        from: usize,
        to: usize,
        keep: Keep,
    ) -> (usize, usize) {
        let mut at = from;
        let mut written = 0;
        if self.fault().is_some() {
            return (to, 0);
        }
        let mut failed = None;
        loop {
            let (front, rest) = buffer.split_at_mut(at);
            let room = if keep == Keep::InFront { front } else { &mut [] };
            let plain = &mut self.plain;
            let outlet = &mut self.outlet;
            let mut sink = record::Sink { room, written, plain, outlet };
            let (discard, next) = self.engine.step(&mut rest[..to - at], &mut sink);
            written = sink.written;
            at += discard;
            match next {
                Ok(Next::More) => {}
                Ok(Next::Finished) => self.incoming = Incoming::Finished,
                Ok(Next::Rest) => break,
                Err(error) => failed = Some(error),
            }
            // After an error only the alert is wanted, and it must not look at the input again.
            if failed.is_some() && !self.engine.common().wants_write() {
                break;
            }
        }
        if let Some(error) = failed {
            self.break_off(&error);
        } else if to - at > self.inlet_bytes_max() {
            self.say_alert(AlertDescription::IllegalParameter);
            self.incoming = Incoming::Broken(Fault::Tls(Trouble::Misbehaved));
        }
        // After the end, nothing that comes means anything.
        if self.incoming == Incoming::Open { (at, written) } else { (to, written) }
    }

    /// A stranger is given no more room for its ClientHello than at an `sni://` listener: in
    /// records of one byte each, what is kept is six times what it says.
    fn inlet_bytes_max(&self) -> usize {
        match (&self.engine, self.engine.common().protocol_version()) {
            (Engine::Server(_), None) => CLIENT_HELLO_WIRE_BYTES_MAX,
            (Engine::Server(_), Some(_)) | (Engine::Client(_), _) => TLS_INLET_BYTES_MAX,
        }
    }

    fn break_off(&mut self, error: &rustls::Error) {
        if let Some(alert) = trouble::better_alert(error) {
            self.say_alert(alert);
        }
        self.incoming = Incoming::Broken(Trouble::fault(error));
    }

    /// As long as nothing is sealed; afterwards rustls alone can say anything.
    fn say_alert(&mut self, alert: AlertDescription) {
        if self.engine.common().negotiated_cipher_suite().is_none() {
            record::end_with_alert(&mut self.outlet, alert.into());
        }
    }

    fn hand_out(&mut self, into: &mut [u8]) -> usize {
        let count = self.plain.len().min(into.len());
        into[..count].copy_from_slice(&self.plain[..count]);
        if count == self.plain.len() {
            self.plain = Vec::new();
        } else {
            self.plain.drain(..count);
        }
        count
    }

    /// Encrypt as much as goes out in one write. Says how much of it is on its way; what the wire
    /// does not take is in the outlet.
    fn seal_and_write(&mut self, wire: &mut impl Socket, from: &[u8]) -> Result<usize, Fault> {
        let outlet = &mut self.outlet;
        let (count, sealed) = self.engine.seal(&mut self.inlet, from, |sealed| {
            let sent = wire.send(sealed);
            let gone = if let Sent::Bytes(gone) = sent { gone } else { 0 };
            outlet.extend_from_slice(&sealed[gone..]);
            match sent {
                Sent::Broken(fault) => Err(fault),
                Sent::Bytes(_) | Sent::WouldBlock => Ok(()),
            }
        })?;
        sealed?;
        if self.outlet.is_empty() {
            return Ok(count);
        }
        self.owed = count;
        Ok(0)
    }

    fn flush(&mut self, wire: &mut impl Socket) -> FlushOutcome {
        if self.outgoing == TlsOutgoing::Closed {
            // An alert that comes too late: FIN is out.
            self.outlet = Vec::new();
            return FlushOutcome::Empty;
        }
        let mut gone = 0;
        while gone < self.outlet.len() && wire.can_write() {
            match wire.send(&self.outlet[gone..]) {
                Sent::Bytes(count) => gone += count,
                Sent::WouldBlock => break,
                Sent::Broken(fault) => {
                    self.outlet = Vec::new();
                    return FlushOutcome::Broken(fault);
                }
            }
        }
        if gone < self.outlet.len() {
            self.outlet.drain(..gone);
            return FlushOutcome::Blocked;
        }
        self.outlet = Vec::new();
        if self.outgoing == TlsOutgoing::Closing {
            self.outgoing = TlsOutgoing::Closed;
            wire.finish_sending();
        }
        FlushOutcome::Empty
    }
}

/// Slices copied together.
trait Concat {
    fn concat_slices(&self) -> Vec<u8>;
}

impl Concat for [IoSlice<'_>] {
    fn concat_slices(&self) -> Vec<u8> {
        let mut flat = Vec::with_capacity(self.iter().map(|slice| slice.len()).sum());
        self.iter().for_each(|slice| flat.extend_from_slice(slice));
        flat
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("incoming", &self.incoming)
            .field("outgoing", &self.outgoing)
            .field("inlet", &self.inlet.len())
            .field("plain", &self.plain.len())
            .field("outlet", &self.outlet.len())
            .field("owed", &self.owed)
            .finish_non_exhaustive()
    }
}
