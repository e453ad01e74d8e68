//! Reads headers of the PROXY protocol, from the bytes that came so far.
//!
//! Pure, and strict: whoever sends a header was set up to do so, and one that is not as the
//! protocol's text has it (haproxy.org, `proxy-protocol.txt`) says nothing that can be believed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::{PROXY_HEADER_BYTES_MAX, PROXY_LINE_BYTES_MAX, PROXY_UNIQUE_ID_BYTES_MAX};

use super::crc32c;
use super::wire::*;

const LINE_START: &[u8] = b"PROXY ";
/// The address of a socket of Unix: two paths of 108 bytes.
const UNIX_BYTES: usize = 216;

/// What came of the bytes so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// All of them belong to the header, and more of it is to come.
    More,
    /// A header, which has so many bytes.
    Header(Box<Header>, usize),
    /// This is none, whatever follows.
    Bad(Why),
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Between whom the connection is; `None` if it is the sender's own, or cannot be said.
    pub ends: Option<Ends>,
    /// What the client came over, if that is said.
    pub transport: Option<Transport>,
    /// What version 2 says beside.
    pub heard: Heard,
}

/// The two ends of a connection at the proxy in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub source: SocketAddr,
    /// What it connected to.
    pub destination: SocketAddr,
}

/// What version 2 says beside the addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// What is spoken inside the client's TLS.
    pub alpn: Option<Box<[u8]>>,
    /// The server name that the client asked for, in lower case.
    pub authority: Option<Box<str>>,
    /// The id of the connection; at most [`PROXY_UNIQUE_ID_BYTES_MAX`] bytes.
    pub unique_id: Option<Box<[u8]>>,
    /// How the client spoke TLS, if that is said.
    pub ssl: Option<Box<Ssl>>,
}

/// How the client spoke TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ssl {
    /// All of it as it was said, to be said again.
    pub value: Box<[u8]>,
    /// It did.
    pub is_ssl: bool,
    /// It showed a certificate, on this connection or one before, and that is good.
    pub verified: bool,
    /// `TLSv1.3`.
    pub version: Option<Box<str>>,
    /// The common name in its certificate.
    pub common_name: Option<Box<str>>,
    /// The cipher suite.
    pub cipher: Option<Box<str>>,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It does not begin like one.
    NoHeader,
    /// The line of version 1 has no end.
    LineTooLong,
    /// A CR or LF stands alone in it.
    LineEnd,
    /// Its words are not those of a line.
    Words,
    /// An address in it is none of its family.
    Address,
    /// A port in it is none.
    Port,
    /// Another version than 2.
    Version,
    /// Neither LOCAL nor PROXY.
    Command,
    /// A family or a transport that there is not.
    Family,
    /// Before a datagram, and not of version 2.
    NotVersion2,
    /// Before a datagram, and it is about a connection.
    Stream,
    /// Its datagram ends before it does.
    CutShort,
    /// It has no room for the addresses.
    TooShort,
    /// It has more bytes than [`PROXY_HEADER_BYTES_MAX`].
    TooLong,
    /// What stands behind the addresses does not end with the header.
    Values,
    /// Its checksum is another.
    Checksum,
    /// Its server name is no text.
    Authority,
    /// Its id has more bytes than an id may have.
    UniqueId,
    /// What it says of TLS cannot be read.
    Ssl,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::NoHeader => "it begins with neither PROXY nor the signature of version 2",
            Why::LineTooLong => "version 1 with no end of line within 107 bytes",
            Why::LineEnd => "version 1 whose line does not end with CR LF",
            Why::Words => {
                "version 1 without TCP4, TCP6 or UNKNOWN and four words behind, one space apart"
            }
            Why::Address => "version 1 with an address that is none of its family",
            Why::Port => "version 1 with a port that is no number from 0 to 65535",
            Why::Version => "the signature of version 2, and another version",
            Why::Command => "version 2 with a command that is neither LOCAL nor PROXY",
            Why::Family => "version 2 with an unknown family or transport",
            Why::NotVersion2 => "the datagram does not begin with the signature of version 2",
            Why::Stream => "version 2 for STREAM, before a datagram",
            Why::CutShort => "version 2 longer than its datagram",
            Why::TooShort => "version 2 whose length has no room for its addresses",
            Why::TooLong => "version 2 longer than 4096 bytes",
            Why::Values => "version 2 with a value that goes beyond the header's end",
            Why::Checksum => "version 2 with a wrong checksum",
            Why::Authority => "version 2 with a server name that is no text",
            Why::UniqueId => "version 2 with an id longer than 128 bytes",
            Why::Ssl => "version 2 with a value about TLS that cannot be read",
        })
    }
}

/// What the bytes are, which may be a part of a header, or have more behind it.
pub fn read(bytes: &[u8]) -> Reading {
    let may_be = |start: &[u8]| {
        let count = bytes.len().min(start.len());
        bytes[..count] == start[..count]
    };
    let result = if may_be(&SIGNATURE) {
        version_2(bytes)
    } else if may_be(LINE_START) {
        version_1(bytes)
    } else {
        Err(Why::NoHeader)
    };
    match result {
        Ok(None) => Reading::More,
        Ok(Some((header, length))) => Reading::Header(Box::new(header), length),
        Err(why) => Reading::Bad(why),
    }
}

/// The header of a datagram, which has to be whole in it, and its length; version 1 knows none.
pub fn read_datagram(datagram: &[u8]) -> Result<(Header, usize), Why> {
    if !datagram.starts_with(&SIGNATURE) {
        return Err(Why::NotVersion2);
    }
    let (header, length) = version_2(datagram)?.ok_or(Why::CutShort)?;
    match header.transport {
        Some(Transport::Stream) => Err(Why::Stream),
        _ => Ok((header, length)),
    }
}

/// A header and its length, once it is whole.
type Whole = Option<(Header, usize)>;

fn version_1(bytes: &[u8]) -> Result<Whole, Why> {
    let Some(end) = bytes.iter().position(|it| matches!(it, b'\r' | b'\n')) else {
        // The two bytes of its end still have to come.
        let has_room = bytes.len() + 2 <= PROXY_LINE_BYTES_MAX;
        return if has_room { Ok(None) } else { Err(Why::LineTooLong) };
    };
    if end + 2 > PROXY_LINE_BYTES_MAX {
        return Err(Why::LineTooLong);
    }
    match bytes[end..] {
        [b'\r'] => return Ok(None),
        [b'\r', b'\n', ..] => {}
        _ => return Err(Why::LineEnd),
    }
    let header = line(&bytes[LINE_START.len()..end])?;
    Ok(Some((header, end + 2)))
}

/// Between `PROXY ` and the end of the line.
fn line(line: &[u8]) -> Result<Header, Why> {
    let words: Vec<&[u8]> = line.split(|&it| it == b' ').collect();
    let (family, ends) = words.split_first().ok_or(Why::Words)?;
    let of = match *family {
        b"UNKNOWN" => return Ok(Header::default()),
        b"TCP4" => address::<Ipv4Addr>,
        b"TCP6" => address::<Ipv6Addr>,
        _ => return Err(Why::Words),
    };
    let &[source, destination, source_port, destination_port] = ends else {
        return Err(Why::Words);
    };
    if ends.iter().any(|word| word.is_empty()) {
        return Err(Why::Words);
    }
    let ends = Ends {
        source: SocketAddr::new(of(source)?, port(source_port)?),
        destination: SocketAddr::new(of(destination)?, port(destination_port)?),
    };
    let transport = Some(Transport::Stream);
    Ok(Header { ends: Some(ends), transport, heard: Heard::default() })
}

fn address<A: std::str::FromStr + Into<IpAddr>>(word: &[u8]) -> Result<IpAddr, Why> {
    let text = std::str::from_utf8(word).map_err(|_| Why::Address)?;
    let ip: IpAddr = text.parse::<A>().map_err(|_| Why::Address)?.into();
    Ok(ip.to_canonical())
}

fn port(word: &[u8]) -> Result<u16, Why> {
    let is_number = word.iter().all(u8::is_ascii_digit) && !matches!(word, [b'0', _, ..]);
    let text = std::str::from_utf8(word).map_err(|_| Why::Port)?;
    text.parse().ok().filter(|_| is_number).ok_or(Why::Port)
}

fn version_2(bytes: &[u8]) -> Result<Whole, Why> {
    let command = match bytes.get(12) {
        None => return Ok(None),
        Some(it) if it & 0xf0 != VERSION_2 => return Err(Why::Version),
        Some(it) => it & 0x0f,
    };
    if !matches!(command, COMMAND_LOCAL | COMMAND_PROXY) {
        return Err(Why::Command);
    }
    let Some(fixed) = bytes.get(..FIXED_BYTES) else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > PROXY_HEADER_BYTES_MAX {
        return Err(Why::TooLong);
    }
    if command == COMMAND_PROXY && (fixed[13] >> 4 > 3 || fixed[13] & 0x0f > 2) {
        return Err(Why::Family);
    }
    let Some(whole) = bytes.get(..FIXED_BYTES + length) else { return Ok(None) };
    let header = match command {
        // The sender's own connection: whatever it says there is to be passed over.
        COMMAND_LOCAL => Header::default(),
        _ => proxied(fixed[13], whole)?,
    };
    Ok(Some((header, whole.len())))
}

/// A header with the command PROXY.
fn proxied(family: u8, whole: &[u8]) -> Result<Header, Why> {
    let transport = match family & 0x0f {
        1 => Some(Transport::Stream),
        2 => Some(Transport::Datagram),
        _ => None,
    };
    let behind = &whole[FIXED_BYTES..];
    let (ends, used) = match family & 0xf0 {
        FAMILY_INET => (Some(ends::<4>(behind)?), 12),
        FAMILY_INET6 => (Some(ends::<16>(behind)?), 36),
        FAMILY_UNIX => (None, UNIX_BYTES),
        _ => (None, 0),
    };
    let values = behind.get(used..).ok_or(Why::TooShort)?;
    let heard = heard(values, whole)?;
    // Of a family without a transport nothing is known.
    let ends = ends.filter(|_| transport.is_some());
    Ok(Header { ends, transport, heard })
}

/// Two addresses of so many bytes, and two ports.
fn ends<const N: usize>(bytes: &[u8]) -> Result<Ends, Why>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = bytes.split_first_chunk::<N>().ok_or(Why::TooShort)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(Why::TooShort)?;
    let (source_port, rest) = rest.split_first_chunk().ok_or(Why::TooShort)?;
    let (destination_port, _) = rest.split_first_chunk().ok_or(Why::TooShort)?;
    // An IPv4-mapped one is IPv4: a client has one name.
    let ip = |ip: [u8; N]| IpAddr::from(ip).to_canonical();
    let at = |bytes, port: [u8; 2]| SocketAddr::new(ip(bytes), u16::from_be_bytes(port));
    Ok(Ends {
        source: at(*source, *source_port),
        destination: at(*destination, *destination_port),
    })
}

/// The first value, its type before it, and what is behind it; all of it has to be there.
fn next_value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, high, low], rest) = bytes.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((kind, value, rest))
}

/// The values behind the addresses of a header.
fn heard(mut rest: &[u8], whole: &[u8]) -> Result<Heard, Why> {
    let mut heard = Heard::default();
    let mut is_summed = false;
    while !rest.is_empty() {
        let (kind, value, behind) = next_value(rest).ok_or(Why::Values)?;
        rest = behind;
        match kind {
            TYPE_ALPN => heard.alpn = Some(value.into()),
            TYPE_AUTHORITY => {
                let name = std::str::from_utf8(value).map_err(|_| Why::Authority)?;
                if !name.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err(Why::Authority);
                }
                heard.authority = Some(name.to_ascii_lowercase().into());
            }
            TYPE_CRC32C => {
                let at = whole.len() - rest.len() - value.len();
                // One is enough: each is a sum over all of it.
                if std::mem::replace(&mut is_summed, true) || !has_checksum(whole, at, value) {
                    return Err(Why::Checksum);
                }
            }
            TYPE_UNIQUE_ID if value.len() > PROXY_UNIQUE_ID_BYTES_MAX => {
                return Err(Why::UniqueId);
            }
            TYPE_UNIQUE_ID => heard.unique_id = Some(value.into()),
            TYPE_SSL => heard.ssl = Some(Box::new(ssl(value)?)),
            // To fill up, or nothing that is of use here.
            _ => {}
        }
    }
    Ok(heard)
}

/// Whether this is the sum over all bytes, those of itself being zero.
fn has_checksum(whole: &[u8], at: usize, sum: &[u8]) -> bool {
    let behind = &whole[at + sum.len()..];
    let bytes = whole[..at].iter().chain(sum.iter().map(|_| &0)).chain(behind);
    sum == crc32c(bytes).to_be_bytes()
}

fn ssl(value: &[u8]) -> Result<Ssl, Why> {
    let (&[client, v0, v1, v2, v3], mut rest) = value.split_first_chunk().ok_or(Why::Ssl)?;
    let shown = client & (CLIENT_CERT_CONN | CLIENT_CERT_SESS) != 0;
    let mut ssl = Ssl {
        value: value.into(),
        is_ssl: client & CLIENT_SSL != 0,
        verified: shown && [v0, v1, v2, v3] == [0; 4],
        ..Ssl::default()
    };
    while !rest.is_empty() {
        let (kind, value, behind) = next_value(rest).ok_or(Why::Ssl)?;
        rest = behind;
        let into = match kind {
            SUBTYPE_SSL_VERSION => &mut ssl.version,
            SUBTYPE_SSL_CN => &mut ssl.common_name,
            SUBTYPE_SSL_CIPHER => &mut ssl.cipher,
            _ => continue,
        };
        // Names of certificates may be in other alphabets: such a one is left out.
        *into = std::str::from_utf8(value).ok().map(Into::into);
    }
    Ok(ssl)
}

#[cfg(test)]
mod tests;
