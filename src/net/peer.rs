//! Where a peer is, in 24 bytes: there may be a hundred thousand.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

/// Who connects to a UNIX socket has no address. This one stands for all of them, for it is nobody
/// else's; [`Peer`] shows it as `unix`.
pub const LOCAL_PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// An address and a port; a [`SocketAddr`] without the flow label of IPv6, in 8 bytes less.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    ip: IpAddr,
    port: u16,
    scope: u32,
}

impl Peer {
    /// The address alone.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The port, or 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address alone, to be shown.
    pub fn host(&self) -> Host {
        Host(*self)
    }

    /// Whether it came by a UNIX socket.
    pub fn is_local(&self) -> bool {
        self.address() == LOCAL_PEER
    }

    /// Address and port.
    pub fn address(&self) -> SocketAddr {
        match self.ip {
            IpAddr::V6(ip) => SocketAddrV6::new(ip, self.port, 0, self.scope).into(),
            ip => SocketAddr::new(ip, self.port),
        }
    }
}

/// Shows the address of a peer without its port.
#[derive(Debug, Clone, Copy)]
pub struct Host(Peer);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.is_local() {
            true => f.write_str("unix"),
            false => self.0.ip.fmt(f),
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Peer {
        let scope = match address {
            SocketAddr::V6(address) => address.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        Peer { ip: address.ip(), port: address.port(), scope }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_local() {
            true => f.write_str("unix"),
            false => self.address().fmt(f),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stays_what_it_was() {
        for text in ["127.0.0.1:80", "[::1]:8080", "[fe80::1%2]:443", "[::ffff:10.0.0.1]:1"] {
            let address: SocketAddr = text.parse().expect("an address");
            assert_eq!(Peer::from(address).address(), address);
            assert_eq!(Peer::from(address).to_string(), text);
        }
        assert_eq!(Peer::from(LOCAL_PEER).to_string(), "unix");
        assert_eq!(size_of::<Peer>(), 24);
    }
}
