//! Which client a request is from: that of the connection, or behind trusted proxies the one that
//! they name in X-Forwarded-For.
//!
//! Each proxy adds the address of whom it was asked by at the end. So the list is read from there:
//! as long as an address is a trusted proxy's, what stands before it was written by that one. The
//! first that is not is the client; what stands before it anybody may have written.

use std::net::{IpAddr, SocketAddr};

use super::fields::{FieldKind, Fields};

/// The client of a request that came from `peer` with these fields.
pub fn client_meant(
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
    fields: &Fields,
    bytes: &[u8],
) -> IpAddr {
    let mut last = peer;
    if !fields.has(FieldKind::ForwardedFor) || !trusts(peer) {
        return last;
    }
    let lists = fields.as_slice().iter().rev().filter(|it| it.kind == FieldKind::ForwardedFor);
    let entries = lists.flat_map(|it| it.value.of(bytes).rsplit(|&byte| byte == b','));
    for entry in entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()) {
        // Who cannot be read may be anybody: then it is the proxy that wrote it.
        let Some(address) = address(entry) else { break };
        last = address;
        if !trusts(address) {
            break;
        }
    }
    last
}

/// An address, perhaps with a port, as some proxies write it.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    address.or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Parse, Scan, parse_request};

    fn meant(peer: &str, lines: &str) -> String {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut fields = Fields::new();
        let parse = parse_request(text.as_bytes(), &mut Scan::default(), &mut fields);
        assert!(matches!(parse, Parse::Done(_)), "{text}");
        let trusts = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(address) => address.segments()[0] == 0xfd00,
        };
        client_meant(peer.parse().unwrap(), trusts, &fields, text.as_bytes()).to_string()
    }

    #[test]
    fn only_trusted_peers_say_whom_they_ask_for() {
        let says = "X-Forwarded-For: 192.0.2.7\r\n";
        assert_eq!(meant("10.0.0.1", says), "192.0.2.7");
        assert_eq!(meant("::ffff:10.0.0.1", says), "192.0.2.7");
        assert_eq!(meant("198.51.100.1", says), "198.51.100.1");
        assert_eq!(meant("10.0.0.1", ""), "10.0.0.1");
    }

    #[test]
    fn the_last_that_is_no_trusted_proxy_is_the_client() {
        let rows = [
            ("X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.0.0.2,10.0.0.3\r\n", "192.0.2.7"),
            (
                "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.7, 10.2.3.4\r\n",
                "192.0.2.7",
            ),
            ("X-Forwarded-For: 10.0.0.9, 10.0.0.8\r\n", "10.0.0.9"),
            ("X-Forwarded-For: 2001:db8::7, fd00::1\r\n", "2001:db8::7"),
            ("X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7"),
            ("X-Forwarded-For: [2001:db8::7]:4711\r\n", "2001:db8::7"),
            ("X-Forwarded-For: [2001:db8::7]\r\n", "2001:db8::7"),
            ("X-Forwarded-For: 192.0.2.7, , \r\n", "192.0.2.7"),
        ];
        for (lines, client) in rows {
            assert_eq!(meant("10.0.0.1", lines), client, "{lines}");
        }
    }

    #[test]
    fn who_cannot_be_read_is_the_proxy_that_wrote_it() {
        for entry in ["unknown", "_hidden", "1.2.3", "1.2.3.4.5", "\"1.2.3.4\"", "::g"] {
            let lines = format!("X-Forwarded-For: 192.0.2.7, {entry}, 10.0.0.2\r\n");
            assert_eq!(meant("10.0.0.1", &lines), "10.0.0.2", "{entry}");
        }
    }
}
