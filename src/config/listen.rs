//! Listeners as people write them: `[SCHEME://]ADDR:PORT`, the scheme being `tcp`, `http`, `https`,
//! `tls`, `sni` or `udp`.
//!
//! Called by the flags' table for each value, then by [`crate::flags`] once for the whole list.

use std::collections::HashSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use super::host::{Schemes, protocol_and_rest};
use super::value::{Wrong, digits};

const LISTEN_WANT: &str =
    "[SCHEME://]ADDR:PORT such as 127.0.0.1:8000, [::]:8000 or http://*:8000";

const LISTEN_SCHEMES: Schemes = &[
    ("tcp", Protocol::Tcp),
    ("http", Protocol::Http),
    ("https", Protocol::Https),
    ("tls", Protocol::Tls),
    ("sni", Protocol::Sni),
    ("udp", Protocol::Udp),
];

/// One place where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub protocol: Protocol,
    /// The address; port 0 lets the system choose.
    pub address: SocketAddr,
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Bytes are relayed as they are.
    Tcp,
    /// HTTP/1.1: each request is balanced.
    Http,
    /// TLS: bytes are relayed as they are, to whom the server name at their beginning says.
    Sni,
    /// HTTP/1.1 through TLS, which ends here.
    Https,
    /// Bytes through TLS, which ends here.
    Tls,
    /// Datagrams: each client's flow of them is balanced.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Http => "http",
            Protocol::Sni => "sni",
            Protocol::Https => "https",
            Protocol::Tls => "tls",
            Protocol::Udp => "udp",
        })
    }
}

impl Listen {
    /// `[SCHEME://]ADDR:PORT`; TCP where no scheme is given. Port 0 lets the system choose;
    /// `*` is every IPv4 address.
    pub fn parse(text: &str) -> Result<Listen, Wrong> {
        let (protocol, rest) = protocol_and_rest(text, LISTEN_SCHEMES)?;
        let wrong = || Wrong::found(text, LISTEN_WANT);
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let port = u16::try_from(digits(port).ok_or_else(wrong)?)
            .map_err(|_| Wrong::found(text, "a port from 0 to 65535"))?;
        let address = match host {
            "" | "*" => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            "localhost" => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            _ => rest.parse().map_err(|_| listen_host_wrong(text, host))?,
        };
        Ok(Listen { protocol, address })
    }
}

/// The same address twice could never be bound, but for UDP beside TCP; port 0 is a new one each
/// time.
pub fn check_listeners(listeners: &[Listen]) -> Result<(), Wrong> {
    let mut seen = HashSet::new();
    for listen in listeners.iter().filter(|listen| listen.address.port() != 0) {
        if !seen.insert((listen.address, listen.protocol == Protocol::Udp)) {
            let found = format!("'{}' twice", listen.address);
            return Err(Wrong::saying(found, "each address once"));
        }
    }
    Ok(())
}

fn listen_host_wrong(text: &str, host: &str) -> Wrong {
    if host.contains(':') && !host.starts_with('[') {
        return Wrong::found(text, "an IPv6 address in brackets such as [::1]:8000");
    }
    if host.bytes().any(|b| b.is_ascii_alphabetic()) && !host.contains([':', '[', ' ', '/']) {
        let want =
            "an address of this machine, not a name, such as 127.0.0.1:8000 or [::]:8000";
        return Wrong::found(text, want);
    }
    Wrong::found(text, LISTEN_WANT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::quoted;

    #[test]
    fn listen_takes_addresses_of_both_families() {
        let table = [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("tcp://127.0.0.1:8000", "127.0.0.1:8000"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:65535", "0.0.0.0:65535"),
            ("[::]:5432", "[::]:5432"),
            ("tcp://[::1]:5432", "[::1]:5432"),
            ("[fe80::1%2]:80", "[fe80::1%2]:80"),
            ("*:80", "0.0.0.0:80"),
            (":80", "0.0.0.0:80"),
            ("tcp://:80", "0.0.0.0:80"),
            ("localhost:80", "127.0.0.1:80"),
        ];
        for (text, address) in table {
            let listen = Listen::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
            assert_eq!(listen.address, address.parse().unwrap(), "{text}");
            assert_eq!(listen.protocol, Protocol::Tcp);
            let address = text.strip_prefix("tcp://").unwrap_or(text);
            let http = Listen::parse(&format!("http://{address}")).unwrap();
            assert_eq!(http, Listen { protocol: Protocol::Http, ..listen });
            let sni = Listen::parse(&format!("sni://{address}")).unwrap();
            assert_eq!(sni, Listen { protocol: Protocol::Sni, ..listen });
        }
    }

    #[test]
    fn listen_refuses_the_rest_in_words() {
        let table = [
            ("", LISTEN_WANT),
            ("8000", LISTEN_WANT),
            ("127.0.0.1", LISTEN_WANT),
            ("127.0.0.1:", LISTEN_WANT),
            ("127.0.0.1:http", LISTEN_WANT),
            ("127.0.0.1:+80", LISTEN_WANT),
            ("127.0.0.1:80/", LISTEN_WANT),
            ("127.0.0.1:65536", "a port from 0 to 65535"),
            ("127.0.0.1:-1", LISTEN_WANT),
            ("127.0.0.256:80", LISTEN_WANT),
            ("127.1:80", LISTEN_WANT),
            (" 127.0.0.1:80", LISTEN_WANT),
            ("[::1:80", LISTEN_WANT),
            ("[127.0.0.1]:80", LISTEN_WANT),
            ("::1:80", "an IPv6 address in brackets such as [::1]:8000"),
            ("db1:5432", "an address of this machine, not a name"),
            ("tcp://", LISTEN_WANT),
            ("http://", LISTEN_WANT),
            ("http://127.0.0.1", LISTEN_WANT),
            ("http://127.0.0.1:80/", LISTEN_WANT),
            ("http://db1:80", "an address of this machine, not a name"),
            ("https://127.0.0.1", LISTEN_WANT),
            ("tls://db1:443", "an address of this machine, not a name"),
            (
                "HTTP://127.0.0.1:80",
                "sni://, udp:// or no scheme: 'HTTP' is not served by this version",
            ),
            ("quic://127.0.0.1:53", "'quic' is not served by this version"),
            ("TCP://127.0.0.1:53", "'TCP' is not served by this version"),
            ("://127.0.0.1:53", "nothing is not served by this version"),
        ];
        for (text, want) in table {
            let wrong = Listen::parse(text).unwrap_err().to_string();
            assert!(wrong.starts_with(&format!("found {}", quoted(text))), "{wrong}");
            assert!(wrong.contains(want), "{wrong}");
        }
    }

    #[test]
    fn listeners_differ_unless_the_system_chooses_the_port() {
        let list = |texts: &[&str]| -> Vec<Listen> {
            texts.iter().map(|text| Listen::parse(text).unwrap()).collect()
        };
        assert_eq!(check_listeners(&list(&["*:80", "[::]:80", "*:81", "*:0", "*:0"])), Ok(()));
        assert_eq!(check_listeners(&list(&["tcp://*:80", "http://*:81"])), Ok(()));
        assert_eq!(check_listeners(&list(&["tcp://*:80", "udp://*:80"])), Ok(()));
        assert!(check_listeners(&list(&["udp://*:80", "udp://*:80"])).is_err());
        for again in ["tcp://0.0.0.0:80", "http://0.0.0.0:80"] {
            let wrong = check_listeners(&list(&["*:80", again])).unwrap_err();
            assert_eq!(wrong.to_string(), "found '0.0.0.0:80' twice, want each address once");
        }
    }
}
