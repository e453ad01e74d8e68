//! Reads headers of the PROXY protocol, by its text and not by the program's own reader.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a connection or a datagram began with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// The line of version 1 without its end; empty for version 2.
    pub line: String,
    /// Version 2 on behalf of nobody.
    pub is_local: bool,
    /// Family and transport of version 2.
    pub family: u8,
    /// Who the client is.
    pub source: Option<SocketAddr>,
    /// What it wrote to.
    pub destination: Option<SocketAddr>,
    /// Types and values, in their order.
    pub tlvs: Vec<(u8, Vec<u8>)>,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Header {
    /// The value of a type.
    pub fn tlv(&self, kind: u8) -> Option<&[u8]> {
        self.tlvs.iter().find(|(it, _)| *it == kind).map(|(_, value)| &**value)
    }

    /// The same as text.
    pub fn text(&self, kind: u8) -> String {
        String::from_utf8_lossy(self.tlv(kind).unwrap_or_default()).into_owned()
    }
}

/// Read one, and not a byte more.
pub fn read(stream: &mut impl Read) -> io::Result<Header> {
    let mut bytes = vec![0; 16];
    stream.read_exact(&mut bytes[..15])?;
    if bytes.starts_with(b"PROXY ") {
        bytes.truncate(15);
        while !bytes.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            bytes.push(byte[0]);
            assert!(bytes.len() <= 107, "a line that ends");
        }
        return Ok(line(&bytes));
    }
    stream.read_exact(&mut bytes[15..])?;
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    bytes.resize(16 + length, 0);
    stream.read_exact(&mut bytes[16..])?;
    Ok(binary(&bytes))
}

fn line(bytes: &[u8]) -> Header {
    let line = String::from_utf8(bytes[..bytes.len() - 2].to_vec()).expect("text");
    let words: Vec<&str> = line.split(' ').collect();
    let mut header = Header { line: line.clone(), bytes: bytes.to_vec(), ..Header::default() };
    if let ["PROXY", "TCP4" | "TCP6", from, to, from_port, to_port] = words[..] {
        let at = |ip: &str, port: &str| {
            SocketAddr::new(ip.parse().expect("an address"), port.parse().expect("a port"))
        };
        header.source = Some(at(from, from_port));
        header.destination = Some(at(to, to_port));
    }
    header
}

fn binary(bytes: &[u8]) -> Header {
    assert_eq!(bytes[..12], *b"\r\n\r\n\0\r\nQUIT\n", "the signature");
    assert_eq!(bytes[12] >> 4, 2, "version 2");
    let family = bytes[13];
    let width = match family >> 4 {
        0 => 0,
        1 => 4,
        2 => 16,
        other => panic!("family {other}"),
    };
    let rest = &bytes[16..];
    let ip = |at: usize| -> IpAddr {
        match <[u8; 16]>::try_from(&rest[at * width..(at + 1) * width]) {
            Ok(six) => Ipv6Addr::from(six).into(),
            Err(_) => {
                let four: [u8; 4] = rest[at * width..(at + 1) * width].try_into().expect("4");
                Ipv4Addr::from(four).into()
            }
        }
    };
    let port = |at: usize| {
        let start = 2 * width + 2 * at;
        u16::from_be_bytes([rest[start], rest[start + 1]])
    };
    let address = |at| (width > 0).then(|| SocketAddr::new(ip(at), port(at)));
    let mut tlvs = Vec::new();
    let mut left = &rest[if width > 0 { 2 * width + 4 } else { 0 }..];
    while let [kind, high, low, more @ ..] = left {
        let (value, after) = more.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        tlvs.push((*kind, value.to_vec()));
        left = after;
    }
    assert!(left.is_empty(), "whole types");
    Header {
        is_local: bytes[12] & 15 == 0,
        family,
        source: address(0),
        destination: address(1),
        tlvs,
        bytes: bytes.to_vec(),
        line: String::new(),
    }
}
