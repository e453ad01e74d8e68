//! Where a socket is: at an address and a port, or at the name of a UNIX socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::sync::Arc;

use super::LinkAddress;
use super::complaint::Wrong;
use super::text::quoted;
use crate::limits::UNIX_PATH_BYTES_MAX;

/// Where a stream or a datagram leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An address of IPv4 or IPv6 and a port.
    Ip(SocketAddr),
    /// One of IPv6 on one link, and a port.
    Link(LinkAddress),
    /// A UNIX socket of this machine.
    Unix(UnixName),
}

/// The name of a UNIX socket: the path of its file, or `@NAME` of the abstract ones of Linux, which
/// have no file. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixName(Arc<str>);

impl Address {
    /// The address alone, where it is one of a network.
    pub fn ip(&self) -> Option<IpAddr> {
        self.socket_address().map(|it| it.ip())
    }

    /// The port, where there is one.
    pub fn port(&self) -> Option<u16> {
        self.socket_address().map(|it| it.port())
    }

    /// Address and port, where it is one of a network.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        match self {
            Address::Ip(address) => Some(*address),
            Address::Link(address) => Some(address.socket_address().into()),
            Address::Unix(_) => None,
        }
    }

    /// Whether it is one of IPv4, as it is written.
    pub fn is_ipv4(&self) -> bool {
        self.socket_address().is_some_and(|it| it.is_ipv4())
    }

    /// The same at another port; a UNIX socket has none, and stays as it is.
    pub fn with_port(&self, port: u16) -> Address {
        match self {
            Address::Ip(address) => {
                let mut address = *address;
                address.set_port(port);
                address.into()
            }
            Address::Link(address) => address.clone().with_port(port).into(),
            Address::Unix(_) => self.clone(),
        }
    }

    /// What a request says of its host that was sent there without one. A UNIX socket has no name
    /// of a host; the machine is this one. A zone means something on this machine alone.
    pub fn as_host(&self) -> String {
        let bare = self.socket_address().map(|it| SocketAddr::new(it.ip(), it.port()));
        bare.map_or_else(|| "localhost".to_owned(), |it| it.to_string())
    }

    /// As the kernel sees it: `[::ffff:127.0.0.1]` is 127.0.0.1, and an interface is a number once
    /// that is known.
    pub fn canonical(&self) -> Address {
        let address = match self {
            Address::Ip(address) => *address,
            Address::Link(address) if address.is_known() => address.socket_address().into(),
            Address::Link(_) | Address::Unix(_) => return self.clone(),
        };
        match (address, address.ip().to_canonical()) {
            (SocketAddr::V6(it), IpAddr::V6(ip)) => {
                Address::Ip(SocketAddrV6::new(ip, it.port(), 0, it.scope_id()).into())
            }
            (_, ip) => Address::Ip(SocketAddr::new(ip, address.port())),
        }
    }

    /// Whether both are of one link each, and not of the same, as far as that is known: a number
    /// and a name may be the same interface.
    pub fn is_on_another_link(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Link(one), Address::Link(other)) => one.is_on_another_link(other),
            _ => false,
        }
    }

    /// A host as it is written, if that is an address, and a port.
    pub(super) fn of_host(host: &str, port: u16) -> Option<Address> {
        match host.split_once('%') {
            Some((ip, zone)) => Some(LinkAddress::new(ip.parse().ok()?, port, zone).into()),
            None => Some(SocketAddr::new(host.parse().ok()?, port).into()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Link(address) => address.fmt(f),
            Address::Unix(name) => name.fmt(f),
        }
    }
}

impl UnixName {
    /// `unix:PATH` or `unix:@NAME`, if it begins so; `unix:///run/x.sock` as URLs are written.
    pub fn after_scheme(text: &str) -> Option<&str> {
        let start = text.get(..5).filter(|it| it.eq_ignore_ascii_case("unix:"))?;
        let rest = &text[start.len()..];
        Some(rest.strip_prefix("//").unwrap_or(rest))
    }

    /// The path of a socket, or `@NAME`.
    pub fn parse(name: &str) -> Result<UnixName, Wrong> {
        UnixName::parse_in(name, name)
    }

    /// The same as a part of a longer text.
    pub fn parse_in(name: &str, text: &str) -> Result<UnixName, Wrong> {
        const WANT: &str =
            "unix: and an absolute path such as unix:/run/app.sock, or unix:@NAME";
        let is_name = name.starts_with('@') && name.len() > 1;
        let is_path = name.starts_with('/') && !name.ends_with('/');
        let is_odd = |c: char| c == ',' || c.is_control();
        if !(is_name || is_path) || name.contains(is_odd) {
            return Err(Wrong::found(text, WANT));
        }
        if is_name && cfg!(not(linux)) {
            return Err(Wrong::found(text, "a path: only Linux has sockets without a file"));
        }
        if name.len() > UNIX_PATH_BYTES_MAX {
            let found = format!("{} with {} bytes", quoted(name), name.len());
            let want = format!("at most {UNIX_PATH_BYTES_MAX} bytes for a UNIX socket");
            return Err(Wrong::saying(found, want));
        }
        Ok(UnixName(name.into()))
    }

    /// Its file, if it has one.
    pub fn path(&self) -> Option<&Path> {
        self.abstract_name().is_none().then(|| Path::new(&*self.0))
    }

    /// Its name behind the `@`, if it has no file.
    pub fn abstract_name(&self) -> Option<&str> {
        self.0.strip_prefix('@')
    }

    /// What a backend there is called in logs, if nothing else is said: letters that names may
    /// have.
    pub fn as_backend_name(&self) -> String {
        let plain =
            |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let name: String = self.0.trim_start_matches(['/', '@']).chars().map(plain).collect();
        format!("unix:{name}")
    }
}

impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(text: &str) -> Result<UnixName, Wrong> {
        UnixName::parse(UnixName::after_scheme(text).expect("a scheme"))
    }

    #[test]
    fn a_socket_has_a_file_or_a_name() {
        let mut known = vec![
            ("unix:/run/app.sock", Some("/run/app.sock"), None),
            ("unix:///run/app.sock", Some("/run/app.sock"), None),
            ("UNIX:/run/a b", Some("/run/a b"), None),
        ];
        match unix("unix:@app") {
            Ok(_) => known.push(("unix:@app", None, Some("app"))),
            Err(_) if cfg!(not(linux)) => {}
            Err(wrong) => panic!("{wrong}"),
        }
        for (text, path, name) in known {
            let parsed = unix(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
            assert_eq!(parsed.path(), path.map(Path::new));
            assert_eq!(parsed.abstract_name(), name);
            let again = parsed.to_string();
            assert_eq!(unix(&again), Ok(parsed));
        }
        assert_eq!(UnixName::after_scheme("127.0.0.1:80"), None);
        let name = unix("unix:/run/my app/x.sock").expect("a path").as_backend_name();
        assert_eq!(name, "unix:run-my-app-x.sock");
    }

    #[test]
    fn what_is_no_socket_is_refused_in_words() {
        for text in ["unix:", "unix:@", "unix:x.sock", "unix:/run/", "unix:/a,b", "unix:/a\0b"]
        {
            let wrong = unix(text).expect_err(text).to_string();
            assert!(wrong.contains("an absolute path such as unix:/run/app.sock"), "{wrong}");
        }
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_BYTES_MAX));
        let wrong = unix(&long).expect_err("long").to_string();
        assert!(wrong.contains("at most 107 bytes"), "{wrong}");
    }

    #[test]
    fn another_port_is_one_of_a_network() {
        let at = |text: &str| Address::from(text.parse::<SocketAddr>().expect("an address"));
        assert_eq!(at("[::1]:80").with_port(81), at("[::1]:81"));
        assert_eq!(at("[::ffff:127.0.0.1]:80").canonical(), at("127.0.0.1:80"));
        assert_eq!(at("[fe80::1%3]:80").with_port(81), at("[fe80::1%3]:81"));
        assert_ne!(at("[fe80::1%3]:80").canonical(), at("[fe80::1%4]:80").canonical());
        let link = Address::of_host("fe80::1%eth0", 80).expect("an address");
        assert_eq!(link.to_string(), "[fe80::1%eth0]:80");
        assert_eq!(link.with_port(81).to_string(), "[fe80::1%eth0]:81");
        assert_eq!(link.as_host(), "[fe80::1]:80");
        assert_ne!(link, at("[fe80::1]:80"));
        let Address::Link(it) = link.clone() else { panic!("{link:?}") };
        assert_eq!(link.canonical(), link, "it is not known which interface that is");
        assert_eq!(Address::from(it.on(3)).canonical(), at("[fe80::1%3]:80"));
        let socket = Address::Unix(unix("unix:/run/a").expect("a path"));
        assert_eq!(socket.with_port(81), socket);
        assert_eq!((socket.ip(), socket.port()), (None, None));
        assert_eq!(socket.to_string(), "unix:/run/a");
    }
}
