//! The client that a request is of, where proxies are trusted that stand before us.
//!
//! Each of them adds the address of its own client at the end of X-Forwarded-For, so the list is
//! read from the right: whoever is the first that is no trusted proxy is the client. What stands
//! further left anybody may have written.

use std::net::{IpAddr, SocketAddr};

use super::Fields;
use super::fields::FieldKind;

/// The client that is meant by a request of this peer. Where a trusted proxy says nothing that can
/// be read, it is the last one that could be.
pub fn client_meant(
    peer: IpAddr,
    fields: &Fields,
    input: &[u8],
    trusts: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer.to_canonical();
    if !trusts(client) {
        return client;
    }
    let said = |count: usize| {
        let of_kind = fields.of_kind(FieldKind::ForwardedFor);
        of_kind.take(count).last().map(|field| field.value.of(input))
    };
    let lines = fields.of_kind(FieldKind::ForwardedFor).count();
    for line in (1..=lines).rev() {
        let line = said(line).unwrap_or_default();
        for part in line.rsplit(|&it| it == b',').map(<[u8]>::trim_ascii) {
            match address(part) {
                Some(found) => client = found,
                None if part.is_empty() => continue,
                None => return client,
            }
            if !trusts(client) {
                return client;
            }
        }
    }
    client
}

/// An address, perhaps with a port.
fn address(part: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(part).ok()?;
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok();
    let address = alone.or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()));
    address.map(|it| it.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cidr;
    use crate::http::{Parse, Scan, parse_request};

    fn meant(peer: &str, lines: &[&str]) -> String {
        let lines: String =
            lines.iter().map(|it| format!("X-Forwarded-For: {it}\r\n")).collect();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut fields = Fields::new();
        let parse = parse_request(text.as_bytes(), &mut Scan::default(), &mut fields);
        assert!(matches!(parse, Parse::Done(_)), "{text}: {parse:?}");
        let trusted = Cidr::parse_list("10.0.0.0/8,fd00::/8").unwrap();
        let trusts = |it: IpAddr| trusted.iter().any(|cidr| cidr.contains(it));
        client_meant(peer.parse().unwrap(), &fields, text.as_bytes(), trusts).to_string()
    }

    #[test]
    fn the_first_from_the_right_that_is_no_trusted_proxy_is_the_client() {
        let table: &[(&str, &[&str], &str)] = &[
            ("192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
            ("::ffff:192.0.2.1", &[], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2,fd00::1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.1", "10.0.0.2", "fd00::1"], "198.51.100.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["6.6.6.6, _hidden"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1,, ,"], "198.51.100.1"),
        ];
        for (peer, lines, want) in table {
            assert_eq!(meant(peer, lines), *want, "{peer}: {lines:?}");
        }
    }
}
