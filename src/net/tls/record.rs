//! rustls, one step at a time: records in, plaintext and records out.
//!
//! Both sides of the protocol behind one type, and the states that rustls can be in as the three
//! that matter here. Knows no wire and keeps no bytes.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error};

use crate::limits::{TLS_SEAL_BYTES, TLS_SEAL_ROOM};
use crate::net::Fault;

use super::Trouble;

/// An alert in the clear; its level and what it says follow.
const PLAIN_ALERT_HEADER: [u8; 5] = [21, 3, 3, 0, 2];

/// The level of an alert after which nothing follows.
const FATAL: u8 = 2;

/// rustls, on one of the two sides.
pub enum Engine {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// Where plaintext goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// In front of the ciphertext, in the same buffer.
    InFront,
    /// Aside.
    Aside,
}

/// What a step's yield goes into.
pub struct Sink<'a> {
    /// Plaintext, as far as there is room.
    pub room: &'a mut [u8],
    pub written: usize,
    /// The rest of it.
    pub plain: &'a mut Vec<u8>,
    /// Records of the engine's own.
    pub outlet: &'a mut Vec<u8>,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// There may be more to do with what is here.
    More,
    /// The peer said close_notify.
    Finished,
    /// Nothing more to do with what is here.
    Rest,
}

impl Engine {
    /// What is known of the connection.
    pub fn common(&self) -> &CommonState {
        match self {
            Engine::Server(server) => server,
            Engine::Client(client) => client,
        }
    }

    /// Take one step into the records of `input`; says how much of it is used up.
    pub fn step(
        &mut self,
        input: &mut [u8],
        sink: &mut Sink<'_>,
    ) -> (usize, Result<Next, Error>) {
        match self {
            Engine::Server(server) => on_result(server.process_tls_records(input), sink),
            Engine::Client(client) => on_result(client.process_tls_records(input), sink),
        }
    }

    /// Encrypt the beginning of `from` and give the records to `write`; says how much that was.
    /// Nothing of the engine's own may be left to send, and `inlet` is what it could not use yet:
    /// it wants to see that each time.
    pub fn seal<T>(
        &mut self,
        inlet: &mut [u8],
        from: &[u8],
        write: impl FnOnce(&[u8]) -> T,
    ) -> Result<(usize, T), Fault> {
        // Large enough and no larger: the room has to be cleared first, which is not for nothing.
        const SMALL: usize = 2048;
        const MIDDLE: usize = 16 * 1024;
        if from.len() <= SMALL {
            return self.seal_within::<{ SMALL + TLS_SEAL_ROOM }, T>(inlet, from, write);
        }
        if from.len() <= MIDDLE {
            return self.seal_within::<{ MIDDLE + TLS_SEAL_ROOM }, T>(inlet, from, write);
        }
        let from = &from[..from.len().min(TLS_SEAL_BYTES)];
        self.seal_within::<{ TLS_SEAL_BYTES + TLS_SEAL_ROOM }, T>(inlet, from, write)
    }

    fn seal_within<const ROOM: usize, T>(
        &mut self,
        inlet: &mut [u8],
        from: &[u8],
        write: impl FnOnce(&[u8]) -> T,
    ) -> Result<(usize, T), Fault> {
        let mut into = [0; ROOM];
        let sealed = match self {
            Engine::Server(server) => encrypt(server.process_tls_records(inlet), |traffic| {
                traffic.encrypt(from, &mut into)
            }),
            Engine::Client(client) => encrypt(client.process_tls_records(inlet), |traffic| {
                traffic.encrypt(from, &mut into)
            }),
        };
        let count = sealed.ok_or(Fault::Tls(Trouble::Other))?;
        Ok((from.len(), write(&into[..count])))
    }

    /// Put a close_notify into the outlet.
    pub fn close(&mut self, inlet: &mut [u8], outlet: &mut Vec<u8>) {
        let mut into = [0; TLS_SEAL_ROOM];
        let sealed = match self {
            Engine::Server(server) => encrypt(server.process_tls_records(inlet), |traffic| {
                traffic.queue_close_notify(&mut into)
            }),
            Engine::Client(client) => encrypt(client.process_tls_records(inlet), |traffic| {
                traffic.queue_close_notify(&mut into)
            }),
        };
        outlet.extend_from_slice(&into[..sealed.unwrap_or(0)]);
    }
}

impl Sink<'_> {
    fn take(&mut self, payload: &[u8]) {
        let end = self.written + payload.len();
        match self.room.get_mut(self.written..end) {
            Some(room) if self.plain.is_empty() => {
                room.copy_from_slice(payload);
                self.written = end;
            }
            _ => self.plain.extend_from_slice(payload),
        }
    }
}

fn on_result<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    sink: &mut Sink<'_>,
) -> (usize, Result<Next, Error>) {
    let mut discard = status.discard;
    let next = match status.state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    sink.take(record.payload);
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Next::More),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, sink.outlet),
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Next::More)
        }
        Ok(ConnectionState::PeerClosed) => Ok(Next::Finished),
        Ok(
            ConnectionState::BlockedHandshake
            | ConnectionState::WriteTraffic(_)
            | ConnectionState::Closed,
        ) => Ok(Next::Rest),
        // Early data is not offered, and there are no other states.
        Ok(_) => Err(Error::General("a state nobody asked for".into())),
        Err(error) => Err(error),
    };
    (discard, next)
}

fn encode<Data>(
    data: &mut EncodeTlsData<'_, Data>,
    outlet: &mut Vec<u8>,
) -> Result<Next, Error> {
    let before = outlet.len();
    // Asked with no room it says how much it wants.
    if let Err(EncodeError::InsufficientSize(wants)) = data.encode(&mut []) {
        outlet.resize(before + wants.required_size, 0);
        let encoded = data.encode(&mut outlet[before..]);
        outlet.truncate(before + encoded.unwrap_or(0));
    }
    Ok(Next::More)
}

/// Nothing, if the connection cannot be written to.
fn encrypt<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    seal: impl FnOnce(&mut WriteTraffic<'_, Data>) -> Result<usize, EncryptError>,
) -> Option<usize> {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => seal(&mut traffic).ok(),
        _ => None,
    }
}

/// End the outlet, in which nothing is sealed yet, with this alert; or have the one say it that is
/// there.
pub fn end_with_alert(outlet: &mut Vec<u8>, description: u8) {
    match outlet.last_chunk_mut::<7>() {
        Some([header @ .., _level, said]) if *header == PLAIN_ALERT_HEADER => {
            *said = description;
        }
        _ => {
            outlet.extend_from_slice(&PLAIN_ALERT_HEADER);
            outlet.extend_from_slice(&[FATAL, description]);
        }
    }
}
