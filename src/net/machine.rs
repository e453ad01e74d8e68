//! Which addresses are of this machine: what is sent to one of them comes in here again.
//!
//! No single question to the system tells. To bind an address succeeds for every address under
//! `net.ipv4.ip_nonlocal_bind=1`, as it is set where addresses move between machines. The source
//! of what is sent to an own address is that address, but for a second one of a network, whose
//! source is the first. The list of addresses knows no local routes (`ip route add local`), and is
//! refused where `AF_NETLINK` is. So each is asked for what it tells for sure. What no route leads
//! to is not ours; of IPv6, a local route alone makes no address.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use log::debug;

/// Documentation addresses, which nobody has (RFC 5737, RFC 3849).
const OF_NOBODY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// This machine as it is now: it is looked at once for each change, for addresses come and go.
#[derive(Debug, Default)]
pub struct Machine {
    /// Of these families foreign addresses can be bound as well.
    binds_anything: Vec<IpAddr>,
    /// Its addresses and, of those of a link, their interface; where binding does not tell.
    addresses: HashSet<(IpAddr, u32)>,
}

impl Machine {
    /// Look at it.
    pub fn now() -> Machine {
        let is_bound = |it: &IpAddr| UdpSocket::bind((*it, 0)).is_ok();
        let binds_anything: Vec<IpAddr> = OF_NOBODY.into_iter().filter(is_bound).collect();
        let addresses = if binds_anything.is_empty() { HashSet::new() } else { addresses() };
        Machine { binds_anything, addresses }
    }

    /// Whether what is sent to this address comes in here.
    pub fn has(&self, address: SocketAddr) -> bool {
        // The system answers for all of 127.0.0.0/8, whatever its interface is told.
        if address.ip().is_loopback() || is_its_own_source(address) {
            return true;
        }
        let binds_anything =
            self.binds_anything.iter().any(|it| it.is_ipv4() == address.is_ipv4());
        if binds_anything {
            return self.addresses.contains(&identity(address));
        }
        let mut any_port = address;
        any_port.set_port(0);
        UdpSocket::bind(any_port).is_ok()
    }
}

/// Whether a datagram to it would come from it. Nothing is sent.
fn is_its_own_source(address: SocketAddr) -> bool {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        // The port means nothing, but may not be 0.
        let mut to = address;
        to.set_port(address.port().max(1));
        socket.connect(to)?;
        socket.local_addr()
    });
    source.is_ok_and(|it| identity(it) == identity(address))
}

/// An address as it is compared: that of a link is another on each interface.
fn identity(address: SocketAddr) -> (IpAddr, u32) {
    let zone = match address {
        SocketAddr::V6(it) if it.ip().is_unicast_link_local() => it.scope_id(),
        SocketAddr::V4(_) | SocketAddr::V6(_) => 0,
    };
    (address.ip(), zone)
}

/// Those of all interfaces; none, where the system does not tell.
fn addresses() -> HashSet<(IpAddr, u32)> {
    let all = match nix::ifaddrs::getifaddrs() {
        Ok(all) => all,
        Err(error) => {
            debug!("cannot list the addresses of this machine: {error}");
            return HashSet::new();
        }
    };
    let addresses = all.filter_map(|it| {
        let address = it.address?;
        let ipv4 = address.as_sockaddr_in().map(|it| SocketAddr::from((it.ip(), 0)));
        let ipv6 = || address.as_sockaddr_in6().map(|it| SocketAddr::V6((*it).into()));
        ipv4.or_else(ipv6)
    });
    addresses.map(identity).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(address: &str) -> bool {
        Machine::now().has(address.parse().expect("an address"))
    }

    #[test]
    fn loopback_is_of_this_machine_and_documentation_is_of_nobody() {
        for own in ["127.0.0.1:80", "127.7.7.7:80", "127.0.0.1:0"] {
            assert!(has(own), "{own}");
        }
        for foreign in ["192.0.2.1:80", "198.51.100.7:80", "[2001:db8::1]:80"] {
            assert!(!has(foreign), "{foreign}");
        }
    }

    #[test]
    fn where_anything_can_be_bound_the_list_of_addresses_counts() {
        let listed: IpAddr = "198.51.100.7".parse().unwrap();
        let machine = Machine {
            binds_anything: OF_NOBODY.into(),
            addresses: HashSet::from([(listed, 0), ("fe80::1".parse().unwrap(), 7)]),
        };
        let has = |address: &str| machine.has(address.parse().unwrap());
        assert!(has("198.51.100.7:80"));
        assert!(has("127.0.0.1:80"));
        assert!(has("[fe80::1%7]:80"));
        for foreign in ["198.51.100.8:80", "192.0.2.1:80", "[fe80::1%8]:80"] {
            assert!(!has(foreign), "{foreign}");
        }
    }

    #[test]
    fn every_address_of_an_interface_is_of_this_machine() {
        let machine = Machine::now();
        for (ip, zone) in addresses() {
            let at = match ip {
                IpAddr::V4(_) => SocketAddr::new(ip, 80),
                IpAddr::V6(ip) => std::net::SocketAddrV6::new(ip, 80, 0, zone).into(),
            };
            assert!(machine.has(at), "{at}");
        }
    }
}
