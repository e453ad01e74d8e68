//! Listeners as people write them: `[SCHEME://]ADDR:PORT`, the scheme being `tcp`, `http`, `https`,
//! `tls`, `sni` or `udp`.
//!
//! Called by the table of settings and by [`crate::file`] for each value, then by `whole` once for
//! the whole list.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::complaint::Wrong;
use super::host::{
    Schemes, address_of_many, did_you_mean, is_ipv6, protocol_and_rest, usual_port,
};
use super::link::zone_wanted;
use super::value::digits;
use super::{Address, AdminListen, Config, Phrase, SettingKey, UnixName};

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
    pub address: Address,
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Bytes are relayed as they are.
    Tcp,
    /// HTTP/1.1: each request is balanced.
    Http,
    /// TLS passthrough: bytes are relayed as they are, by the server name in the ClientHello.
    Sni,
    /// HTTP/1.1 through TLS, which ends here.
    Https,
    /// Bytes through TLS, which ends here.
    Tls,
    /// Datagrams: each client's flow of them is balanced.
    Udp,
}

/// What is asked of a client before a backend is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The header of the PROXY protocol, of peers from whom the listener requires one.
    ProxyHeader,
    /// Whether it may come in, by its address.
    Guard,
    /// A handshake of TLS that ends here.
    Tls,
    /// A ClientHello that is only read, for its server name.
    Hello,
    /// The pool, by the server name that was asked for.
    Route,
}

/// What a listener does for a client that has all phases behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// It relays bytes as they are.
    Bytes,
    /// It answers requests of HTTP/1.1, one by one.
    Http,
}

/// The way of a listener's clients to a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phases {
    /// What is asked of them, in this order.
    pub list: Vec<Phase>,
    /// What they are served then.
    pub service: Service,
}

impl Phases {
    /// The way at a listener that speaks this; datagrams have none. Whether a header is required
    /// is asked in its phase, so that a reload moves nobody from one phase to another.
    pub fn of(protocol: Protocol) -> Phases {
        use Phase as P;
        let list = match protocol {
            Protocol::Udp => vec![],
            Protocol::Tcp | Protocol::Http => vec![P::ProxyHeader, P::Guard],
            Protocol::Https => vec![P::ProxyHeader, P::Guard, P::Tls],
            Protocol::Tls => vec![P::ProxyHeader, P::Guard, P::Tls, P::Route],
            Protocol::Sni => vec![P::ProxyHeader, P::Guard, P::Hello, P::Route],
        };
        let service = if protocol.is_http() { Service::Http } else { Service::Bytes };
        Phases { list, service }
    }
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
    /// As it is written: `http://127.0.0.1:8000`.
    pub fn name(&self) -> String {
        format!("{}://{}", self.protocol, self.address)
    }

    /// `[SCHEME://]ADDR:PORT` or `[SCHEME://]unix:PATH`; TCP where no scheme is given. Port 0 lets
    /// the system choose; `*` is every IPv4 address.
    pub fn parse(text: &str) -> Result<Listen, Wrong> {
        let (protocol, rest) = protocol_and_rest(text, LISTEN_SCHEMES)?;
        if let Some(name) = UnixName::after_scheme(rest) {
            if protocol.is_udp() {
                return Err(Wrong::found(text, "udp://ADDR:PORT for datagrams"));
            }
            return Ok(Listen {
                protocol,
                address: Address::Unix(UnixName::parse_in(name, text)?),
            });
        }
        Ok(Listen { protocol, address: address(text, rest, protocol)? })
    }

    /// One of TCP or UDP at this address.
    pub fn at(protocol: Protocol, address: SocketAddr) -> Listen {
        Listen { protocol, address: address.into() }
    }
}

fn address(text: &str, rest: &str, protocol: Protocol) -> Result<Address, Wrong> {
    let wrong = || {
        let scheme = &text[..text.len() - rest.len()];
        Wrong::found(text, format!("{LISTEN_WANT}{}", hint(scheme, rest, protocol)))
    };
    let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
    let port = u16::try_from(digits(port).ok_or_else(wrong)?)
        .map_err(|_| Wrong::found(text, "a port from 0 to 65535"))?;
    let address = match host {
        "" | "*" => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into(),
        "localhost" => SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into(),
        _ => written(host, port).ok_or_else(|| listen_host_wrong(text, host))?,
    };
    // Nobody connects to one, and no group is joined for datagrams.
    let many = address.ip().and_then(|ip| Some((ip, address_of_many(ip)?)));
    if let Some((ip, what)) = many {
        let want = format!("an address of this machine: {ip} is {what}");
        return Err(Wrong::found(text, want));
    }
    match zone_wanted(host.trim_start_matches('[').trim_end_matches(']')) {
        Some(want) => Err(Wrong::found(text, want)),
        None => Ok(address),
    }
}

/// IPv4, or IPv6 in brackets, with a zone or without.
fn written(host: &str, port: u16) -> Option<Address> {
    let inner = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|inner| is_ipv6(inner))?,
        None => host.parse::<Ipv4Addr>().is_ok().then_some(host)?,
    };
    Address::of_host(inner, port)
}

/// A port alone or an address alone are what people write first.
fn hint(scheme: &str, rest: &str, protocol: Protocol) -> String {
    let rest = rest.trim_end_matches('/');
    let is_port = rest.parse::<u16>().is_ok() && digits(rest).is_some();
    let is_address = rest == "*" || rest == "localhost" || rest.parse::<Ipv4Addr>().is_ok();
    if is_port {
        return format!(
            "; did you mean {scheme}127.0.0.1:{rest}, or {scheme}*:{rest} for all addresses?"
        );
    }
    let port = usual_port(protocol);
    did_you_mean(is_address.then(|| format!("{scheme}{rest}:{port}")))
}

/// The same address twice could never be bound, but for UDP beside TCP, nor one address beside all;
/// port 0 is a new one each time.
pub fn check_listeners(listeners: &[Listen]) -> Result<(), Wrong> {
    let with_port = || listeners.iter().filter(|listen| listen.address.port() != Some(0));
    let is_udp = |listen: &Listen| listen.protocol.is_udp();
    let mut seen = HashSet::new();
    for listen in with_port() {
        if !seen.insert((listen.address.canonical(), is_udp(listen))) {
            let found = format!("'{}' twice", listen.address);
            return Err(Wrong::saying(found, "each address once"));
        }
    }
    for listen in with_port() {
        let Some(address) = listen.address.canonical().socket_address() else { continue };
        let all: IpAddr = match address.ip() {
            address if address.is_unspecified() => continue,
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let all = Address::from(SocketAddr::new(all, address.port()));
        if seen.contains(&(all.clone(), is_udp(listen))) {
            let found = format!("'{}' beside '{all}', which has it already", listen.address);
            return Err(Wrong::saying(found, "one of the two, or another port"));
        }
    }
    Ok(())
}

/// Only ports can be shared with other processes.
pub fn check_reuse_port(config: &Config) -> Result<(), Wrong> {
    if config.listeners.iter().any(|listen| listen.address.port().is_some()) {
        return Ok(());
    }
    let want = Phrase::such_as(SettingKey::LISTEN, "http://*:8080");
    Err(Wrong::saying("no listener with a port", want))
}

/// Permission and owner of a file need a listener that has one.
pub fn check_unix_listener(config: &Config) -> Result<(), Wrong> {
    let has_file = |at: &Address| matches!(at, Address::Unix(name) if name.path().is_some());
    if config.listeners.iter().any(|listen| has_file(&listen.address)) {
        return Ok(());
    }
    let want = Phrase::such_as(SettingKey::LISTEN, "unix:/run/web.sock");
    Err(Wrong::saying("no listener with a file", want))
}

/// The same of the listeners for operators.
pub fn check_unix_admin(config: &Config) -> Result<(), Wrong> {
    let admin = &config.process.admin;
    let has_file = |it: &AdminListen| matches!(it, AdminListen::Unix(_));
    if admin.haproxy_socket.is_some() || admin.listen.iter().any(has_file) {
        return Ok(());
    }
    let want = Phrase::such_as(SettingKey::ADMIN_LISTEN, "unix:/run/pointsman.sock");
    Err(Wrong::saying("no admin listener with a file", want))
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
            ("[fe80::1%br-lan.4]:80", "[fe80::1%br-lan.4]:80"),
            ("*:80", "0.0.0.0:80"),
            (":80", "0.0.0.0:80"),
            ("tcp://:80", "0.0.0.0:80"),
            ("localhost:80", "127.0.0.1:80"),
        ];
        for (text, address) in table {
            let listen = Listen::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
            assert_eq!(listen.address.to_string(), address, "{text}");
            assert_eq!(listen.protocol, Protocol::Tcp);
            let address = text.strip_prefix("tcp://").unwrap_or(text);
            let http = Listen::parse(&format!("http://{address}")).unwrap();
            assert_eq!(http, Listen { protocol: Protocol::Http, ..listen.clone() });
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
            ("[fe80::1]:80", "the interface of a link-local address with it, such as"),
            ("[fe80::1%]:80", LISTEN_WANT),
            ("[fe80::1%a b]:80", LISTEN_WANT),
            ("[::1%lo]:80", "[::1] without a zone: only link-local addresses (fe80::/10)"),
            ("[ff02::1%eth0]:80", "ff02::1 is the address of a multicast group"),
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
            ("quic://127.0.0.1:53", "'quic' is not served by this version"),
            (
                "htp://127.0.0.1:80",
                "'htp' is not served by this version; did you mean http://127.",
            ),
            ("ws://*:80", "; did you mean http://*:80?"),
            ("unix:x.sock", "an absolute path such as unix:/run/app.sock"),
            ("udp://unix:/run/x.sock", "udp://ADDR:PORT for datagrams"),
            ("/run/x.sock", "unix: in front; did you mean unix:/run/x.sock?"),
            ("8080", "; did you mean 127.0.0.1:8080, or *:8080 for all addresses?"),
            (
                "http://8080",
                "; did you mean http://127.0.0.1:8080, or http://*:8080 for all add",
            ),
            ("https://0.0.0.0", "; did you mean https://0.0.0.0:443?"),
            ("localhost", "; did you mean localhost:80?"),
            ("224.0.0.1:80", "an address of this machine: 224.0.0.1 is the address of a multi"),
            ("udp://[ff02::1]:80", "ff02::1 is the address of a multicast group"),
            ("udp://255.255.255.255:80", "255.255.255.255 is the address of a broadcast"),
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
