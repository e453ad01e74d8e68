//! What a client speaks through: its socket, or TLS upon it.
//!
//! ```text
//!   bytes --> [ rustls ] --> records --> socket     (send; what the socket does not take waits)
//!   bytes <-- [ rustls ] <-- records <-- socket     (receive; the handshake is on the way)
//! ```
//!
//! All clients offer the same, and only that: TLS 1.3, `TLS_AES_128_GCM_SHA256`, X25519. So every
//! proxy does the same work, whatever it would like best. A handshake of another kind than the
//! row's is an error: a session resumed is less work than a new one.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mio::net::TcpStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    HandshakeKind, NamedGroup, PeerMisbehaved, SignatureScheme,
};

use super::Handshake;
use crate::identity;

/// Sessions that are kept to be resumed: the latest. Some proxies hand out two at a time.
const TICKETS_MAX: usize = 1_024;

/// Of so many signatures one is verified: it takes the world about three times as long as the proxy
/// took to sign, and the world is to be faster. That the proxy holds the other end of the key
/// exchange is seen in each handshake.
const VERIFIED_EACH: u64 = 32;

/// A client's end of its connection.
pub enum Line {
    Plain(TcpStream),
    Sealed(Box<Sealed>),
}

/// TLS, and what it is upon.
pub struct Sealed {
    stream: TcpStream,
    tls: ClientConnection,
    wanted: Option<HandshakeKind>,
    /// The proxy has said that nothing more comes.
    ended: bool,
}

/// What was received; of no bytes, the end.
pub struct Came {
    pub count: usize,
    /// There is no more now: an edge will tell.
    pub drained: bool,
}

impl Line {
    /// `WouldBlock`: not now.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.write(bytes),
            Line::Sealed(sealed) => sealed.send(bytes),
        }
    }

    /// `WouldBlock`: nothing yet.
    pub fn receive(&mut self, scratch: &mut [u8]) -> io::Result<Came> {
        match self {
            Line::Plain(stream) => {
                let count = stream.read(scratch)?;
                Ok(Came { count, drained: count < scratch.len() })
            }
            Line::Sealed(sealed) => sealed.receive(scratch),
        }
    }

    /// Whether a session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.handshake() == Some(HandshakeKind::Resumed)
    }

    /// Whether hands were shaken as they should be.
    pub fn judge(&self) -> Result<(), String> {
        match self {
            Line::Sealed(sealed)
                if sealed.wanted.is_some() && sealed.wanted != self.handshake() =>
            {
                Err(format!("a handshake of the wrong kind: {:?}", self.handshake()))
            }
            _ => Ok(()),
        }
    }

    fn handshake(&self) -> Option<HandshakeKind> {
        match self {
            Line::Plain(_) => None,
            Line::Sealed(sealed) => sealed.tls.handshake_kind(),
        }
    }
}

impl Sealed {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Until hands are shaken it is kept, and goes with the last of the handshake.
        let count = self.tls.writer().write(bytes)?;
        self.flush()?;
        if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    /// As far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if is_for_later(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, scratch: &mut [u8]) -> io::Result<Came> {
        // Three parts for what is opened, which may have waited for the rest of its record.
        let (plain, sealed) = scratch.split_at_mut(scratch.len() / 4 * 3);
        self.flush()?;
        loop {
            let came = match self.stream.read(sealed) {
                // Whoever cuts the line could cut answers short.
                Ok(0) if !self.ended => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(0) => return Ok(Came { count: 0, drained: true }),
                Ok(came) => came,
                Err(error) if is_for_later(&error) => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Err(error) => return Err(error),
            };
            let count = self.open(&sealed[..came], plain)?;
            self.flush()?;
            if count > 0 {
                return Ok(Came { count, drained: came < sealed.len() });
            }
        }
    }

    /// What is in these records, as far as they are whole.
    fn open(&mut self, mut sealed: &[u8], plain: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while !sealed.is_empty() {
            if self.tls.read_tls(&mut sealed)? == 0 {
                return Err(io::Error::other("bytes after the end"));
            }
            self.tls.process_new_packets().map_err(io::Error::other)?;
            loop {
                match self.tls.reader().read(&mut plain[count..]) {
                    Ok(0) => {
                        self.ended = true;
                        break;
                    }
                    Ok(more) => count += more,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(count)
    }
}

/// Not yet connected, or no room, or nothing there.
fn is_for_later(error: &io::Error) -> bool {
    use io::ErrorKind::{NotConnected, WouldBlock};
    matches!(error.kind(), WouldBlock | NotConnected)
}

/// What all clients of a run have in common, and nobody else: no session outlives it.
pub struct Terms {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    handshake: Handshake,
}

impl Terms {
    /// For handshakes of this kind.
    pub fn new(handshake: Handshake) -> io::Result<Terms> {
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![kx_group::X25519],
            ..default_provider()
        };
        let pinned = Pinned {
            shown: identity::shown()?,
            algorithms: provider.signature_verification_algorithms,
            signatures: AtomicU64::new(0),
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        config.resumption = match handshake {
            Handshake::New => Resumption::disabled(),
            Handshake::Resumed => Resumption::store(Arc::new(Tickets::default())),
        };
        let name = ServerName::try_from(identity::NAME).map_err(io::Error::other)?;
        Ok(Terms { config: Arc::new(config), name, handshake })
    }

    /// A client's end. While clients come in there is nothing yet to be resumed.
    pub fn line(&self, stream: TcpStream, warming: bool) -> io::Result<Line> {
        let tls = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(io::Error::other)?;
        let wanted = match self.handshake {
            Handshake::New => Some(HandshakeKind::Full),
            Handshake::Resumed if warming => None,
            Handshake::Resumed => Some(HandshakeKind::Resumed),
        };
        Ok(Line::Sealed(Box::new(Sealed { stream, tls, wanted, ended: false })))
    }
}

/// The one certificate that is right.
#[derive(Debug)]
struct Pinned {
    shown: &'static [u8],
    algorithms: WebPkiSupportedAlgorithms,
    signatures: AtomicU64,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.as_ref() == self.shown {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Nobody offered it.
        Err(PeerMisbehaved::SelectedTls12UsingTls13VersionExtension.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.signatures.fetch_add(1, Ordering::Relaxed).is_multiple_of(VERIFIED_EACH) {
            return verify_tls13_signature(message, certificate, signature, &self.algorithms);
        }
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// The sessions that clients can resume. Each is used once, and each handshake brings another.
#[derive(Debug, Default)]
struct Tickets(Mutex<VecDeque<Tls13ClientSessionValue>>);

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() == TICKETS_MAX {
            tickets.pop_front();
        }
        tickets.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_back()
    }
}
