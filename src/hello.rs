//! The ClientHello of TLS, parsed as far as needed for its server name. No socket, no clock, no
//! secret: bytes in, a small enum out.
//!
//! ```text
//!   record    22 | version 2 | length 2 | fragment       one or many, each fragment up to 16 KiB
//!   message   1 | length 3 | body                        the fragments, one after another
//!   body      version 2 | random 32 | session <1> | ciphers <2> | compression <1> | extensions <2>
//!   extension type 2 | data <2>                          server_name has type 0
//! ```
//!
//! All else is skipped: versions, ciphers, keys and extensions are checked by the backend, and so
//! GREASE and versions after TLS 1.3 pass. With ECH the outer name counts. What two parsers could
//! read as different names is refused. `relay::hello` calls this with all bytes that came so far;
//! the result does not depend on the pieces in which they came.

mod name;
pub use name::normalise;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use crate::limits::{CLIENT_HELLO_BYTES_MAX, CLIENT_HELLO_WIRE_BYTES_MAX};

/// Content types of records (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const RECORD_HEADER_BYTES: usize = 5;
/// Longest plaintext fragment (RFC 8446, section 5.1).
const FRAGMENT_BYTES_MAX: usize = 1 << 14;

/// The handshake message that a connection begins with.
const CLIENT_HELLO: u8 = 1;
const MESSAGE_HEADER_BYTES: usize = 4;

/// The extension that names a server, and the one kind of name there is (RFC 6066, section 3).
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;

/// What the bytes so far contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Not enough yet.
    More,
    /// It is whole. The name is in lower case and without a dot at its end; `None` if the client
    /// sent none, or an address, which is no name.
    Name(Option<Box<str>>),
    /// This is no ClientHello, or none that a server may accept; the client gets this alert.
    Malformed(Alert),
}

/// The alerts that we send before a connection is closed, by their numbers in RFC 8446.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alert {
    /// The first message is no ClientHello.
    UnexpectedMessage = 10,
    /// A record longer than records may be.
    RecordOverflow = 22,
    /// Well formed, but not acceptable: too long, two names, or no valid one.
    IllegalParameter = 47,
    /// Not well formed.
    DecodeError = 50,
    /// The record has an unknown major version.
    ProtocolVersion = 70,
    /// No backend has that server name.
    UnrecognizedName = 112,
}

/// How far the records were parsed, so that a hello in pieces is not parsed from the beginning each
/// time.
#[derive(Debug, Clone, Default)]
pub struct HelloScan {
    /// Index of the record that is not whole yet.
    record: usize,
    /// Bytes of the message in the records before it.
    message: usize,
    /// The first bytes of the message, as far as they have come.
    header: [u8; MESSAGE_HEADER_BYTES],
    /// How long the message is, its header included, once that is known.
    length: Option<usize>,
}

/// Parse all bytes that came so far; `scan` is that of the calls before.
pub fn read(bytes: &[u8], scan: &mut HelloScan) -> Reading {
    let seen = &bytes[..bytes.len().min(CLIENT_HELLO_WIRE_BYTES_MAX)];
    let read = scan.walk(seen).and_then(|whole| match whole {
        Some(length) => name_in(&message(seen, length)).map(Reading::Name),
        None if bytes.len() < CLIENT_HELLO_WIRE_BYTES_MAX => Ok(Reading::More),
        None => Err(Alert::IllegalParameter),
    });
    read.unwrap_or_else(Reading::Malformed)
}

impl HelloScan {
    /// Go through the records in order. Returns the length of the message once all of it is here.
    /// The first error counts, whatever follows it.
    fn walk(&mut self, bytes: &[u8]) -> Result<Option<usize>, Alert> {
        loop {
            let rest = &bytes[self.record..];
            let Some(length) = fragment_length(rest)? else { return Ok(None) };
            let fragment = &rest[RECORD_HEADER_BYTES..];
            let fragment = &fragment[..fragment.len().min(length)];
            self.note_header(fragment)?;
            if self.length.is_some_and(|length| self.message + fragment.len() >= length) {
                return Ok(self.length);
            }
            if fragment.len() < length {
                return Ok(None);
            }
            self.message += length;
            self.record += RECORD_HEADER_BYTES + length;
        }
    }

    /// Note the message's header, which may itself come in pieces.
    fn note_header(&mut self, fragment: &[u8]) -> Result<(), Alert> {
        let missing = &mut self.header[self.message.min(MESSAGE_HEADER_BYTES)..];
        missing.iter_mut().zip(fragment).for_each(|(into, byte)| *into = *byte);
        let known = self.message + fragment.len();
        let [kind, length @ ..] = self.header;
        if known > 0 && kind != CLIENT_HELLO {
            return Err(Alert::UnexpectedMessage);
        }
        if known >= MESSAGE_HEADER_BYTES {
            let body = length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
            if MESSAGE_HEADER_BYTES + body > CLIENT_HELLO_BYTES_MAX {
                return Err(Alert::IllegalParameter);
            }
            self.length = Some(MESSAGE_HEADER_BYTES + body);
        }
        Ok(())
    }
}

/// The length of a record's fragment; `None` if its header is not whole. What is there of it is
/// checked at once, so that another protocol is refused before its fifth byte.
fn fragment_length(record: &[u8]) -> Result<Option<usize>, Alert> {
    if record.first().is_some_and(|&kind| kind != HANDSHAKE) {
        return Err(Alert::UnexpectedMessage);
    }
    // The minor version of a record has no meaning.
    if record.get(1).is_some_and(|&major| major != 3) {
        return Err(Alert::ProtocolVersion);
    }
    let &[_, _, _, high, low, ..] = record else { return Ok(None) };
    match usize::from(u16::from_be_bytes([high, low])) {
        0 => Err(Alert::UnexpectedMessage),
        length if length > FRAGMENT_BYTES_MAX => Err(Alert::RecordOverflow),
        length => Ok(Some(length)),
    }
}

/// Join the message from its records, which were checked before; mostly there is only one.
fn message(bytes: &[u8], length: usize) -> Cow<'_, [u8]> {
    let mut gathered = Vec::new();
    let mut rest = bytes;
    while let Ok(Some(fragment)) = fragment_length(rest) {
        let missing = length - gathered.len();
        let here = &rest[RECORD_HEADER_BYTES..];
        if gathered.is_empty() && fragment >= missing {
            return Cow::Borrowed(&here[..missing]);
        }
        gathered.extend_from_slice(&here[..fragment.min(missing)]);
        if gathered.len() == length {
            break;
        }
        rest = &here[fragment..];
    }
    Cow::Owned(gathered)
}

/// Find the server name in a whole message.
fn name_in(message: &[u8]) -> Result<Option<Box<str>>, Alert> {
    let mut body = HelloCursor { rest: &message[MESSAGE_HEADER_BYTES..] };
    body.take(2 + 32)?;
    if body.vector8()?.rest.len() > 32 {
        return Err(Alert::DecodeError);
    }
    let ciphers = body.vector16()?.rest.len();
    let compressions = body.vector8()?.rest.len();
    if ciphers == 0 || !ciphers.is_multiple_of(2) || compressions == 0 {
        return Err(Alert::DecodeError);
    }
    if body.rest.is_empty() {
        // Before TLS 1.2 a hello without extensions was valid.
        return Ok(None);
    }
    let mut extensions = body.vector16()?;
    body.end()?;
    let mut server_name = None;
    while !extensions.rest.is_empty() {
        let kind = extensions.number16()?;
        let data = extensions.vector16()?;
        if kind == SERVER_NAME && server_name.replace(data).is_some() {
            return Err(Alert::IllegalParameter);
        }
    }
    server_name.map_or(Ok(None), name_of)
}

/// Find the host name in the data of the extension. No other kind of name was ever defined; one
/// would need the same layout (RFC 6066, section 3).
fn name_of(mut data: HelloCursor<'_>) -> Result<Option<Box<str>>, Alert> {
    let mut list = data.vector16()?;
    data.end()?;
    if list.rest.is_empty() {
        return Err(Alert::DecodeError);
    }
    let mut found = None;
    while !list.rest.is_empty() {
        let kind = list.take(1)?;
        let name = list.vector16()?.rest;
        if kind == [HOST_NAME] && found.replace(name).is_some() {
            return Err(Alert::IllegalParameter);
        }
    }
    match found {
        None => Ok(None),
        Some([]) => Err(Alert::DecodeError),
        Some(name) => {
            name::normalise(name).map_err(|name::InvalidName| Alert::IllegalParameter)
        }
    }
}

/// The rest of a structure whose bytes are all here: one that ends too early is malformed.
struct HelloCursor<'a> {
    rest: &'a [u8],
}

impl<'a> HelloCursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Alert> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Alert::DecodeError)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number16(&mut self) -> Result<u16, Alert> {
        let &[high, low] = self.take(2)? else { return Err(Alert::DecodeError) };
        Ok(u16::from_be_bytes([high, low]))
    }

    /// Bytes behind their length in one byte.
    fn vector8(&mut self) -> Result<HelloCursor<'a>, Alert> {
        let &[length] = self.take(1)? else { return Err(Alert::DecodeError) };
        self.take(usize::from(length)).map(|rest| HelloCursor { rest })
    }

    /// Bytes behind their length in two bytes.
    fn vector16(&mut self) -> Result<HelloCursor<'a>, Alert> {
        let length = self.number16()?;
        self.take(usize::from(length)).map(|rest| HelloCursor { rest })
    }

    fn end(&self) -> Result<(), Alert> {
        if self.rest.is_empty() { Ok(()) } else { Err(Alert::DecodeError) }
    }
}

impl Alert {
    /// The alert record, level fatal, in the record version that every client accepts.
    pub fn record(self) -> [u8; 7] {
        const FATAL: u8 = 2;
        [ALERT, 3, 3, 0, 2, FATAL, self as u8]
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Alert::UnexpectedMessage => "unexpected_message",
            Alert::RecordOverflow => "record_overflow",
            Alert::IllegalParameter => "illegal_parameter",
            Alert::DecodeError => "decode_error",
            Alert::ProtocolVersion => "protocol_version",
            Alert::UnrecognizedName => "unrecognized_name",
        })
    }
}
