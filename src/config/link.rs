//! Addresses of one link, `[fe80::1%eth0]:8080`: which link it is, is said by its zone, the name or
//! the number of an interface of this machine.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::sync::Arc;

use super::Address;

/// A link-local address of IPv6 with its zone, and a port. What number its interface has is not
/// known before somebody asks the system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkAddress {
    /// Its scope is 0 until it is known.
    address: SocketAddrV6,
    zone: Arc<str>,
}

impl LinkAddress {
    /// One whose interface is called so.
    pub fn new(ip: Ipv6Addr, port: u16, zone: &str) -> LinkAddress {
        LinkAddress { address: SocketAddrV6::new(ip, port, 0, 0), zone: zone.into() }
    }

    /// As the system takes it.
    pub fn socket_address(&self) -> SocketAddrV6 {
        self.address
    }

    /// The name or the number of its interface, as it was written.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// Whether it is known which interface that is.
    pub fn is_known(&self) -> bool {
        self.address.scope_id() != 0
    }

    pub(super) fn is_on_another_link(&self, other: &LinkAddress) -> bool {
        match self.is_known() && other.is_known() {
            true => self.address.scope_id() != other.address.scope_id(),
            false => self.zone != other.zone,
        }
    }

    /// The same at the interface of this number.
    #[must_use]
    pub fn on(mut self, interface: u32) -> LinkAddress {
        self.address.set_scope_id(interface);
        self
    }

    /// The same at another port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> LinkAddress {
        self.address.set_port(port);
        self
    }
}

impl From<LinkAddress> for Address {
    fn from(address: LinkAddress) -> Address {
        Address::Link(address)
    }
}

impl fmt::Display for LinkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}%{}]:{}", self.address.ip(), self.zone, self.address.port())
    }
}

/// What is wrong with the zone of an address, or that it has none: what would be right.
pub(super) fn zone_wanted(host: &str) -> Option<String> {
    let (address, zone) = host.split_once('%').map_or((host, None), |(a, z)| (a, Some(z)));
    let ip = match address.parse::<IpAddr>().ok()? {
        IpAddr::V6(ip) => ip,
        IpAddr::V4(_) => return None,
    };
    match (ip.is_unicast_link_local(), zone) {
        (true, None) => Some(format!(
            "the interface of a link-local address with it, such as [{ip}%eth0]; it may be \
             another one on each"
        )),
        (false, Some(_)) if !ip.is_multicast() => Some(format!(
            "[{ip}] without a zone: only link-local addresses (fe80::/10) have one"
        )),
        _ => None,
    }
}
