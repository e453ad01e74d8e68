//! Writes headers of the PROXY protocol: the line of version 1, and version 2 with what may stand
//! behind the addresses.
//!
//! Pure: who the client is, and what is to be said of it, is given. Bytes and their names are those
//! of the protocol's text (haproxy.org, `proxy-protocol.txt`), sections 2.1 and 2.2.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::limits::PROXY_TLV_SENT_BYTES_MAX;

use super::crc32c;
use super::wire::*;

/// What version 2 is to say beside the addresses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// What is spoken inside the client's TLS.
    pub alpn: Option<&'a [u8]>,
    /// The server name that the client asked for.
    pub authority: Option<&'a str>,
    /// A checksum.
    pub crc32c: bool,
    /// The id of the request or the connection.
    pub unique_id: Option<&'a [u8]>,
    /// How the client speaks TLS, if it does.
    pub ssl: Option<Ssl<'a>>,
}

/// What is known of a client's TLS.
#[derive(Debug, Clone, Copy)]
pub enum Ssl<'a> {
    /// It speaks TLS with us.
    Ours(SslSaid<'a>),
    /// It speaks TLS with a proxy in front, which said this.
    PassedOn(&'a [u8]),
}

/// How a client speaks TLS.
#[derive(Debug, Clone, Copy)]
pub struct SslSaid<'a> {
    /// `TLSv1.3`.
    pub version: &'a str,
    /// The cipher suite by the name that OpenSSL has for it.
    pub cipher: &'a str,
    /// Its certificate, which is verified, if it has one.
    pub certificate: Option<CertificateSaid<'a>>,
}

/// A client's certificate.
#[derive(Debug, Clone, Copy)]
pub struct CertificateSaid<'a> {
    /// The common name of its subject.
    pub common_name: Option<&'a str>,
    /// It was shown on this connection, and not on one before whose session goes on.
    pub on_this_connection: bool,
}

/// The line of version 1 that says of nobody who it is.
pub const V1_UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";

/// The line of version 1. Where the two are not of one family, or the source is the unspecified
/// address, it cannot be said who the client is.
pub fn v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let from = source.ip().to_canonical();
    let to = destination.ip().to_canonical();
    let family = match (from, to) {
        _ if from.is_unspecified() => return V1_UNKNOWN.to_vec(),
        (IpAddr::V4(_), IpAddr::V4(_)) => "TCP4",
        (IpAddr::V6(_), IpAddr::V6(_)) => "TCP6",
        _ => return V1_UNKNOWN.to_vec(),
    };
    let ports = format!("{} {}", source.port(), destination.port());
    format!("PROXY {family} {from} {to} {ports}\r\n").into_bytes()
}

/// Version 2 for a client. An address of IPv4 beside one of IPv6 becomes one of IPv6 as well; of
/// an unspecified source no address is said.
pub fn v2(
    transport: Transport,
    source: SocketAddr,
    destination: SocketAddr,
    said: &Said<'_>,
) -> Vec<u8> {
    let mut out = begin(COMMAND_PROXY);
    if source.ip().is_unspecified() {
        return finish(out, said);
    }
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out[13] = FAMILY_INET | transport as u8;
            out.extend(from.octets());
            out.extend(to.octets());
        }
        (from, to) => {
            out[13] = FAMILY_INET6 | transport as u8;
            out.extend(mapped(from).octets());
            out.extend(mapped(to).octets());
        }
    }
    out.extend(source.port().to_be_bytes());
    out.extend(destination.port().to_be_bytes());
    finish(out, said)
}

/// Version 2 for a connection of our own, on behalf of nobody.
pub fn v2_local(with_crc32c: bool) -> Vec<u8> {
    finish(begin(COMMAND_LOCAL), &Said { crc32c: with_crc32c, ..Said::default() })
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn begin(command: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend(SIGNATURE);
    out.extend([VERSION_2 | command, UNSPECIFIED, 0, 0]);
    out
}

/// Types and values, in the order of their types; the length; and last the checksum over all.
fn finish(mut out: Vec<u8>, said: &Said<'_>) -> Vec<u8> {
    if let Some(alpn) = said.alpn {
        add(&mut out, TYPE_ALPN, alpn);
    }
    if let Some(authority) = said.authority {
        add(&mut out, TYPE_AUTHORITY, authority.as_bytes());
    }
    let mut checksum = None;
    if said.crc32c {
        add(&mut out, TYPE_CRC32C, &[0; 4]);
        checksum = Some(out.len() - 4);
    }
    if let Some(id) = said.unique_id {
        add(&mut out, TYPE_UNIQUE_ID, id);
    }
    if let Some(ssl) = &said.ssl {
        match ssl {
            Ssl::Ours(ssl) => add(&mut out, TYPE_SSL, &ssl_value(ssl)),
            Ssl::PassedOn(value) => add(&mut out, TYPE_SSL, value),
        }
    }
    let length = (out.len() - FIXED_BYTES) as u16;
    out[14..FIXED_BYTES].copy_from_slice(&length.to_be_bytes());
    if let Some(at) = checksum {
        let sum = crc32c(&out);
        out[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    }
    out
}

fn ssl_value(ssl: &SslSaid<'_>) -> Vec<u8> {
    let client = match ssl.certificate {
        None => CLIENT_SSL,
        Some(it) if it.on_this_connection => CLIENT_SSL | CLIENT_CERT_CONN | CLIENT_CERT_SESS,
        Some(_) => CLIENT_SSL | CLIENT_CERT_SESS,
    };
    let mut value = vec![client];
    // Zero means that a certificate was shown and is good.
    value.extend(u32::from(ssl.certificate.is_none()).to_be_bytes());
    add(&mut value, SUBTYPE_SSL_VERSION, ssl.version.as_bytes());
    if let Some(name) = ssl.certificate.and_then(|it| it.common_name) {
        add(&mut value, SUBTYPE_SSL_CN, name.as_bytes());
    }
    add(&mut value, SUBTYPE_SSL_CIPHER, ssl.cipher.as_bytes());
    value
}

/// What is too long is left out: half of a name is another name.
fn add(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    if value.len() > PROXY_TLV_SENT_BYTES_MAX {
        return;
    }
    out.push(kind);
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
}

/// The common name of a subject as RFC 4514 writes it, without its escapes; the first, if there are
/// several.
pub fn common_name(subject: &str) -> Option<String> {
    let mut at_start = true;
    let mut escaped = false;
    for (at, c) in subject.char_indices() {
        if at_start && subject.get(at..at + 3).is_some_and(|it| it.eq_ignore_ascii_case("CN="))
        {
            return unescaped(&subject[at + 3..]);
        }
        at_start = !escaped && matches!(c, ',' | '+');
        escaped = !escaped && c == '\\';
    }
    None
}

/// Up to the end of the value.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b',' | b'+' => break,
            b'\\' => {
                let first = rest.next()?;
                let digit = |it: u8| char::from(it).to_digit(16);
                bytes.push(match digit(first) {
                    Some(high) => (high * 16 + digit(rest.next()?)?) as u8,
                    None => first,
                });
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|it| !it.is_ascii_whitespace()).collect();
        let pair =
            |it: &[u8]| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap();
        digits.chunks(2).map(pair).collect()
    }

    #[test]
    fn lines_of_version_1_say_the_family_that_both_have_or_that_they_have_none() {
        let table = [
            ("192.0.2.1:56324", "198.51.100.7:443", "TCP4 192.0.2.1 198.51.100.7 56324 443"),
            ("[2001:db8::1]:1", "[2001:db8::2]:65535", "TCP6 2001:db8::1 2001:db8::2 1 65535"),
            ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2", "TCP4 192.0.2.1 192.0.2.2 1 2"),
            ("192.0.2.1:1", "[::ffff:192.0.2.2]:2", "TCP4 192.0.2.1 192.0.2.2 1 2"),
            ("[fe80::1%3]:1", "[fe80::2%3]:2", "TCP6 fe80::1 fe80::2 1 2"),
            ("192.0.2.1:1", "[2001:db8::2]:2", "UNKNOWN"),
        ];
        for (from, to, says) in table {
            let line = String::from_utf8(v1(at(from), at(to))).unwrap();
            assert_eq!(line, format!("PROXY {says}\r\n"));
            assert!(line.len() <= 107);
        }
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
        assert_eq!(v1(at(longest), at(longest)).len(), 104);
    }

    #[test]
    fn version_2_is_as_the_vectors_have_it() {
        let from = at("192.0.2.1:56324");
        let to = at("198.51.100.7:443");
        let start = "0d0a0d0a000d0a515549540a";
        let plain = v2(Transport::Stream, from, to, &Said::default());
        assert_eq!(plain, hex(&format!("{start} 21 11 000c c0000201 c6336407 dc04 01bb")));
        let udp = v2(Transport::Datagram, from, to, &Said::default());
        assert_eq!(udp, hex(&format!("{start} 21 12 000c c0000201 c6336407 dc04 01bb")));
        let six =
            v2(Transport::Stream, at("192.0.2.1:1"), at("[2001:db8::2]:2"), &Said::default());
        let mapped = "00000000000000000000ffffc0000201 20010db8000000000000000000000002";
        assert_eq!(six, hex(&format!("{start} 21 21 0024 {mapped} 0001 0002")));
        assert_eq!(v2_local(false), hex(&format!("{start} 20 00 0000")));
    }

    #[test]
    fn what_stands_behind_the_addresses_has_an_order_and_a_checksum_over_all() {
        let certificate = CertificateSaid { common_name: Some("a"), on_this_connection: true };
        let said = Said {
            alpn: Some(b"h2"),
            authority: Some("a.example"),
            crc32c: true,
            unique_id: Some(b"id"),
            ssl: Some(Ssl::Ours(SslSaid {
                version: "TLSv1.3",
                cipher: "C",
                certificate: Some(certificate),
            })),
        };
        let mut out = v2(Transport::Stream, at("192.0.2.1:1"), at("192.0.2.2:2"), &said);
        let head = out.split_off(28);
        let wanted = "010002 6832  020009 612e6578616d706c65  030004 00000000  050002 6964 \
                      200017 07 00000000 210007 544c5376312e33 220001 61 230001 43";
        let mut tlvs = head.clone();
        let sum = u32::from_be_bytes(tlvs[20..24].try_into().unwrap());
        tlvs[20..24].fill(0);
        assert_eq!(tlvs, hex(wanted));
        let length = u16::from_be_bytes([out[14], out[15]]);
        assert_eq!(usize::from(length), out.len() + head.len() - FIXED_BYTES);
        out.extend(&tlvs);
        assert_eq!(sum, crc32c(&out));
        // Worked out apart, by another program.
        assert_eq!(v2_local(true)[19..], 0xa9b8_7e8f_u32.to_be_bytes());
    }

    #[test]
    fn what_is_too_long_is_left_out_whole() {
        let long = "n".repeat(PROXY_TLV_SENT_BYTES_MAX + 1);
        let said = |name| Said { authority: Some(name), ..Said::default() };
        let length =
            |name| v2(Transport::Stream, at("1.2.3.4:5"), at("1.2.3.4:6"), &said(name)).len();
        assert_eq!(length(&long), 28);
        assert_eq!(length(&long[1..]), 28 + 3 + PROXY_TLV_SENT_BYTES_MAX);
    }

    #[test]
    fn a_common_name_is_found_in_a_subject_and_unescaped() {
        let table = [
            ("CN=a", Some("a")),
            ("O=x,CN=a b,C=de", Some("a b")),
            ("O=x+CN=a+L=y", Some("a")),
            ("O=x\\,CN=no,CN=yes", Some("yes")),
            ("O=x\\\\,CN=yes", Some("yes")),
            ("CN=a\\, b\\+c\\\\", Some("a, b+c\\")),
            ("CN=b\\c3\\bccher", Some("b\u{fc}cher")),
            ("CN=\\ff", None),
            ("CN=a\\", None),
            ("O=CN", None),
            ("", None),
        ];
        for (subject, name) in table {
            assert_eq!(common_name(subject).as_deref(), name, "{subject}");
        }
    }
}
