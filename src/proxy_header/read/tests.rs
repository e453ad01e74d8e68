//! Headers as they may be and as they may not, whole and cut.

use super::*;
use crate::proxy_header::write::{self, CertificateSaid, Said, SslSaid};

const START: &str = "0d0a0d0a000d0a515549540a";
const ENDS: &str = "c0000201 c6336407 dc04 01bb";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|it| !it.is_ascii_whitespace()).collect();
    let pair = |it: &[u8]| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// Version 2 with this behind its length, which is counted.
fn v2(command_and_family: &str, behind: &str) -> Vec<u8> {
    let behind = hex(behind);
    let length = format!("{:04x}", behind.len());
    [hex(&format!("{START} {command_and_family} {length}")), behind].concat()
}

/// The header, after every part of it was found to be one, and so was it with bytes behind.
fn header(bytes: &[u8]) -> Header {
    for end in 0..bytes.len() {
        assert_eq!(read(&bytes[..end]), Reading::More, "{end} of {bytes:02x?}");
    }
    let whole = read(bytes);
    let more = [bytes, b"GET / HTTP/1.1\r\n\r\nPROXY "].concat();
    assert_eq!(read(&more), whole);
    match whole {
        Reading::Header(header, length) if length == bytes.len() => *header,
        other => panic!("{bytes:02x?}: {other:?}"),
    }
}

fn ends_of(source: &str, destination: &str) -> Option<Ends> {
    Some(Ends { source: at(source), destination: at(destination) })
}

#[test]
fn lines_of_version_1_are_read() {
    let table = [
        (
            "TCP4 192.0.2.1 198.51.100.7 56324 443",
            ends_of("192.0.2.1:56324", "198.51.100.7:443"),
        ),
        (
            "TCP4 255.255.255.255 255.255.255.255 65535 65535",
            ends_of("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        ("TCP4 0.0.0.0 0.0.0.0 0 0", ends_of("0.0.0.0:0", "0.0.0.0:0")),
        ("TCP6 2001:db8::1 2001:DB8::2 1 2", ends_of("[2001:db8::1]:1", "[2001:db8::2]:2")),
        (
            "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
             ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
            ends_of(
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
        ),
        ("UNKNOWN", None),
        ("UNKNOWN  whatever\t0 1", None),
        (
            "UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
             ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
            None,
        ),
    ];
    for (line, ends) in table {
        assert_eq!(header(format!("PROXY {line}\r\n").as_bytes()).ends, ends, "{line}");
    }
}

#[test]
fn lines_that_differ_in_anything_are_refused() {
    let long = format!("UNKNOWN {}", "x".repeat(107 - 16 + 1));
    let table = [
        ("TCP4 192.0.2.1 198.51.100.7 56324 443\n", Why::LineEnd),
        ("TCP4 192.0.2.1 198.51.100.7 56324 443\r ", Why::LineEnd),
        ("UNKNOWN\nx\r\n", Why::LineEnd),
        ("TCP4  192.0.2.1 198.51.100.7 56324 443\r\n", Why::Words),
        ("TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n", Why::Words),
        ("TCP4 192.0.2.1 198.51.100.7 56324\r\n", Why::Words),
        ("TCP4 192.0.2.1 198.51.100.7  443\r\n", Why::Words),
        ("TCP4\t192.0.2.1 198.51.100.7 56324 443\r\n", Why::Words),
        (" TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", Why::Words),
        ("UDP4 192.0.2.1 198.51.100.7 56324 443\r\n", Why::Words),
        ("tcp4 192.0.2.1 198.51.100.7 56324 443\r\n", Why::Words),
        ("\r\n", Why::Words),
        ("TCP4 192.0.2.01 198.51.100.7 56324 443\r\n", Why::Address),
        ("TCP4 192.0.2 198.51.100.7 56324 443\r\n", Why::Address),
        ("TCP4 2001:db8::1 2001:db8::2 1 2\r\n", Why::Address),
        ("TCP6 192.0.2.1 198.51.100.7 1 2\r\n", Why::Address),
        ("TCP6 [2001:db8::1] [2001:db8::2] 1 2\r\n", Why::Address),
        ("TCP6 fe80::1%1 fe80::2%1 1 2\r\n", Why::Address),
        ("TCP4 192.0.2.1 198.51.100.7 056 443\r\n", Why::Port),
        ("TCP4 192.0.2.1 198.51.100.7 65536 443\r\n", Why::Port),
        ("TCP4 192.0.2.1 198.51.100.7 +1 443\r\n", Why::Port),
        ("TCP4 192.0.2.1 198.51.100.7 1 -1\r\n", Why::Port),
        (&format!("{long}\r\n"), Why::LineTooLong),
        (&long, Why::LineTooLong),
    ];
    for (line, why) in table {
        assert_eq!(read(format!("PROXY {line}").as_bytes()), Reading::Bad(why), "{line:?}");
    }
}

#[test]
fn what_begins_in_another_way_is_no_header_from_its_first_byte_on() {
    let table =
        ["GET / HTTP/1.1", "proxy", "PROXY\t", "PROXY\r\n", "\r\nPROXY", "\r\n\r\nG", "\x16"];
    for text in table {
        assert_eq!(read(text.as_bytes()), Reading::Bad(Why::NoHeader), "{text:?}");
    }
}

#[test]
fn version_2_says_who_the_client_is_unless_it_is_nobody() {
    let ends = ends_of("192.0.2.1:56324", "198.51.100.7:443");
    let six = "20010db8000000000000000000000001 20010db8000000000000000000000002 0001 0002";
    let unix = "2f".repeat(216);
    let table = [
        ("21 11", ENDS, ends, Some(Transport::Stream)),
        ("21 12", ENDS, ends, Some(Transport::Datagram)),
        ("21 21", six, ends_of("[2001:db8::1]:1", "[2001:db8::2]:2"), Some(Transport::Stream)),
        ("21 31", &unix, None, Some(Transport::Stream)),
        ("21 10", ENDS, None, None),
        ("21 00", "", None, None),
        ("21 00", "040001 00", None, None),
        ("20 00", "", None, None),
        ("20 11", ENDS, None, None),
        ("20 ff", "ff", None, None),
    ];
    for (start, behind, ends, transport) in table {
        let header = header(&v2(start, behind));
        assert_eq!((header.ends, header.transport), (ends, transport), "{start} {behind}");
    }
    assert_eq!(header(&v2("20 00", &"00".repeat(4096))), Header::default());
}

#[test]
fn version_2_that_says_what_there_is_not_is_refused() {
    let wrong_sum = format!("{ENDS} 030004 00000001");
    let long_id = format!("{ENDS} 050081 {}", "61".repeat(129));
    let table = [
        ("11 11", ENDS, Why::Version),
        ("31 11", ENDS, Why::Version),
        ("22 11", ENDS, Why::Command),
        ("21 41", ENDS, Why::Family),
        ("21 13", ENDS, Why::Family),
        ("21 11", &ENDS[..ENDS.len() - 2], Why::TooShort),
        ("21 21", ENDS, Why::TooShort),
        ("21 31", ENDS, Why::TooShort),
        ("20 00", &"00".repeat(4097), Why::TooLong),
        ("21 11", "c0000201 c6336407 dc04 01bb 04", Why::Values),
        ("21 11", "c0000201 c6336407 dc04 01bb 040001", Why::Values),
        ("21 11", "c0000201 c6336407 dc04 01bb 040002 00", Why::Values),
        ("21 11", &wrong_sum, Why::Checksum),
        ("21 11", "c0000201 c6336407 dc04 01bb 030000", Why::Checksum),
        ("21 11", &long_id, Why::UniqueId),
        ("21 11", "c0000201 c6336407 dc04 01bb 020001 ff", Why::Authority),
        ("21 11", "c0000201 c6336407 dc04 01bb 200004 01000000", Why::Ssl),
        ("21 11", "c0000201 c6336407 dc04 01bb 200007 0100000000 2100", Why::Ssl),
    ];
    for (start, behind, why) in table {
        let bytes = v2(start, behind);
        assert_eq!(read(&bytes), Reading::Bad(why), "{start} {behind}");
        assert!(!why.to_string().is_empty());
    }
}

#[test]
fn a_certificate_that_is_not_good_is_none() {
    let table = [("07 00000000", true), ("04 00000000", true), ("01 00000000", false)];
    for (client, verified) in table.into_iter().chain([("07 00000001", false)]) {
        let bytes = v2("21 11", &format!("{ENDS} 200005 {client}"));
        let ssl = header(&bytes).heard.ssl.unwrap();
        assert_eq!(ssl.verified, verified, "{client}");
        assert_eq!(ssl.is_ssl, !client.starts_with("04"));
    }
}

/// Numbers that look random, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }

    fn bytes(&mut self, count_max: usize) -> Vec<u8> {
        (0..self.below(count_max + 1)).map(|_| self.below(256) as u8).collect()
    }

    fn chance<T>(&mut self, value: T) -> Option<T> {
        (self.below(2) == 0).then_some(value)
    }

    fn address(&mut self) -> SocketAddr {
        let bits = u128::from(self.0) * 0x1_0000_0001 + self.below(1 << 30) as u128;
        let ip = match self.below(3) {
            0 => Ipv4Addr::from_bits(bits as u32).into(),
            1 => Ipv4Addr::from_bits(bits as u32).to_ipv6_mapped().into(),
            _ => IpAddr::from(Ipv6Addr::from_bits(bits << 60 | bits)),
        };
        SocketAddr::new(ip, self.below(1 << 16) as u16)
    }
}

/// As it is compared: what is written as IPv6 may be IPv4.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[test]
fn what_is_written_is_read_back() {
    let mut random = Random(17);
    for _ in 0..300 {
        let source = random.address();
        let destination = random.address();
        let id = random.bytes(128);
        let alpn = random.bytes(20);
        let certificate =
            CertificateSaid { common_name: Some("a b"), on_this_connection: true };
        let certificate = random.chance(certificate);
        let ssl = SslSaid { version: "TLSv1.3", cipher: "C", certificate };
        let said = Said {
            alpn: random.chance(&alpn),
            authority: random.chance("a.example"),
            crc32c: random.below(2) == 0,
            unique_id: random.chance(&id),
            ssl: random.chance(write::Ssl::Ours(ssl)),
        };
        let back = header(&write::v2(Transport::Stream, source, destination, &said));
        let ends = back.ends.unwrap();
        assert_eq!(plain(ends.source), plain(source));
        assert_eq!(plain(ends.destination), plain(destination));
        let heard = back.heard;
        assert_eq!(heard.alpn.as_deref(), said.alpn);
        assert_eq!(heard.authority.as_deref(), said.authority);
        assert_eq!(heard.unique_id.as_deref(), said.unique_id);
        assert_eq!(heard.ssl.is_some(), said.ssl.is_some());
        if let Some(ssl) = heard.ssl {
            assert!(ssl.is_ssl && ssl.verified == certificate.is_some());
            assert_eq!(ssl.version.as_deref(), Some("TLSv1.3"));
            assert_eq!(ssl.common_name.is_some(), certificate.is_some());
            assert_eq!(ssl.cipher.as_deref(), Some("C"));
        }
        let same =
            source.ip().to_canonical().is_ipv4() == destination.ip().to_canonical().is_ipv4();
        let ends = header(&write::v1(source, destination)).ends;
        assert_eq!(ends.map(|it| plain(it.source)), same.then(|| plain(source)));
    }
    assert_eq!(header(&write::v2_local(true)), Header::default());
}

#[test]
fn a_datagram_begins_with_a_whole_header_of_version_2_about_datagrams() {
    let good = v2("21 12", ENDS);
    let ends = ends_of("192.0.2.1:56324", "198.51.100.7:443");
    let (header, length) = read_datagram(&[&good[..], b"hello"].concat()).unwrap();
    assert_eq!((header.ends, header.transport), (ends, Some(Transport::Datagram)));
    assert_eq!(length, good.len());
    for of_nobody in [v2("20 00", ""), v2("20 11", ENDS), v2("21 00", ""), v2("21 10", ENDS)] {
        assert_eq!(read_datagram(&of_nobody).map(|it| it.0.ends), Ok(None));
    }
    let table = [
        (&b""[..], Why::NotVersion2),
        (b"hello", Why::NotVersion2),
        (b"PROXY UNKNOWN\r\n", Why::NotVersion2),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Why::NotVersion2),
        (&good[..11], Why::NotVersion2),
        (&good[..12], Why::CutShort),
        (&good[..good.len() - 1], Why::CutShort),
        (&v2("21 11", ENDS), Why::Stream),
        (&v2("22 12", ENDS), Why::Command),
        (&v2("31 12", ENDS), Why::Version),
        (&v2("21 13", ENDS), Why::Family),
        (&v2("21 12", "c0000201"), Why::TooShort),
        (&v2("21 12", &format!("{ENDS} 03 0004 00000000")), Why::Checksum),
        (&v2("21 12", &format!("{ENDS} 02 0009 61")), Why::Values),
    ];
    for (bytes, why) in table {
        assert_eq!(read_datagram(bytes), Err(why), "{bytes:02x?}");
    }
}

#[test]
fn one_changed_byte_is_found_by_the_checksum() {
    let said = Said { crc32c: true, authority: Some("a.example"), ..Said::default() };
    let good = write::v2(Transport::Stream, at("192.0.2.1:1"), at("192.0.2.2:2"), &said);
    for place in 16..good.len() {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        // The type alone may turn it into something that is passed over.
        let is_other_type = bytes[16 + 12 + 12] != 3;
        assert!(is_other_type || matches!(read(&bytes), Reading::Bad(_)), "{place}");
    }
}

#[test]
fn bytes_at_random_are_read_as_something() {
    let mut random = Random(4);
    for _ in 0..20_000 {
        let start = match random.below(4) {
            0 => hex(&format!("{START} 21 11 00")),
            1 => hex(&format!("{START} 21")),
            2 => b"PROXY TCP4 ".to_vec(),
            _ => b"PROXY ".to_vec(),
        };
        let bytes = [start, random.bytes(200)].concat();
        if let Reading::Header(_, length) = read(&bytes) {
            assert!(length <= bytes.len());
            assert!(matches!(read(&bytes[..length]), Reading::Header(..)));
            assert_eq!(read(&bytes[..length - 1]), Reading::More);
        }
    }
}
