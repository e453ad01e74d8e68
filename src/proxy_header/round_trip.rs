//! What is written is read back as it was meant, whatever it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Transport;
use super::read::{Reading, Why, read, read_datagram};
use super::write::{CertificateSaid, Said, Ssl, SslSaid, v1, v2, v2_local};

const CASES: usize = 20_000;

fn address(random: &mut fastrand::Rng) -> SocketAddr {
    let four = Ipv4Addr::from(random.u32(..));
    let ip: IpAddr = match random.u8(..4) {
        0 | 1 => four.into(),
        2 => four.to_ipv6_mapped().into(),
        _ => Ipv6Addr::from(random.u128(..)).into(),
    };
    SocketAddr::new(ip, random.u16(..))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn text(random: &mut fastrand::Rng) -> String {
    let one = |random: &mut fastrand::Rng| char::from(*random.choice(b"abcdef.-0123").unwrap());
    (0..random.usize(1..40)).map(|_| one(random)).collect()
}

#[test]
fn a_line_is_read_as_it_was_written() {
    let mut random = fastrand::Rng::with_seed(17);
    for _ in 0..CASES {
        let [from, to] = [address(&mut random), address(&mut random)];
        let line = v1(from, to);
        let Reading::Header(header, length) = read(&line) else { panic!("{from} {to}") };
        assert_eq!(length, line.len());
        let [from, to] = [canonical(from), canonical(to)];
        let ends = header.ends.map(|it| (it.source, it.destination));
        assert_eq!(ends, (from.is_ipv4() == to.is_ipv4()).then_some((from, to)));
    }
}

#[test]
fn version_2_is_read_as_it_was_written_with_bytes_behind_and_never_by_a_part() {
    let mut random = fastrand::Rng::with_seed(18);
    for _ in 0..CASES {
        let [from, to] = [address(&mut random), address(&mut random)];
        let [alpn, authority, id, name] = [(); 4].map(|()| text(&mut random));
        let certificate = CertificateSaid {
            common_name: Some(&*name).filter(|_| random.bool()),
            on_this_connection: random.bool(),
        };
        let certificate = Some(certificate).filter(|_| random.bool());
        let ssl = SslSaid { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", certificate };
        let said = Said {
            alpn: Some(alpn.as_bytes()).filter(|_| random.bool()),
            authority: Some(&*authority).filter(|_| random.bool()),
            crc32c: random.bool(),
            unique_id: Some(id.as_bytes()).filter(|_| random.bool()),
            ssl: Some(Ssl::Ours(ssl)).filter(|_| random.bool()),
        };
        let transport = if random.bool() { Transport::Stream } else { Transport::Datagram };
        let mut bytes = v2(transport, from, to, &said);
        let whole = bytes.len();
        assert_eq!(read(&bytes[..random.usize(1..whole)]), Reading::More);
        bytes.extend(b"what follows");
        let Reading::Header(header, length) = read(&bytes) else { panic!("{from} {to}") };
        assert_eq!(length, whole);
        let of_a_datagram = match transport {
            Transport::Stream => Err(Why::Stream),
            Transport::Datagram => Ok(((*header).clone(), length)),
        };
        assert_eq!(read_datagram(&bytes), of_a_datagram);
        assert_eq!(read_datagram(&bytes[..random.usize(16..whole)]), Err(Why::CutShort));
        let ends = header.ends.map(|it| (canonical(it.source), canonical(it.destination)));
        assert_eq!(ends, Some((canonical(from), canonical(to))));
        assert_eq!(header.transport, Some(transport));
        assert_eq!(header.heard.alpn.as_deref(), said.alpn);
        assert_eq!(header.heard.authority.as_deref(), said.authority);
        assert_eq!(header.heard.unique_id.as_deref(), said.unique_id);
        let heard = header.heard.ssl.as_deref();
        assert_eq!(heard.is_some(), said.ssl.is_some());
        if let (Some(heard), Some(Ssl::Ours(said))) = (heard, said.ssl) {
            let again = Said { ssl: Some(Ssl::PassedOn(&heard.value)), ..Said::default() };
            let Ok((again, _)) = read_datagram(&v2(Transport::Datagram, from, to, &again))
            else {
                panic!("{from} {to}")
            };
            assert_eq!(again.heard.ssl.as_deref(), Some(heard));
            assert!(heard.is_ssl);
            assert_eq!(heard.verified, said.certificate.is_some());
            assert_eq!(heard.version.as_deref(), Some(said.version));
            assert_eq!(heard.cipher.as_deref(), Some(said.cipher));
            let name = said.certificate.and_then(|it| it.common_name);
            assert_eq!(heard.common_name.as_deref(), name);
        }
    }
}

#[test]
fn a_header_on_behalf_of_nobody_is_read_as_such() {
    for with_crc32c in [false, true] {
        let bytes = v2_local(with_crc32c);
        let Reading::Header(header, length) = read(&bytes) else { panic!("a header") };
        assert_eq!((header.ends, length), (None, bytes.len()));
    }
}
