//! UDP's flows: whose datagram belongs to which, when one is over, and which gives way to which.
//!
//! A *flow* is a client's address (behind a proxy that says it: both), the address of ours that it
//! wrote to, and a backend. This is a
//! pure room: no socket, no clock. A datagram and the time go in; what comes out is the flow that
//! takes it, or that a new one is wanted, or that there is no room. What a flow carries (a socket
//! and a backend) is the business of `relay::udp`, and only kept here.
//!
//! ```text
//!   datagrams --> Taken(key, n)                       n of them go with this flow
//!             --> Wanted   --open--> key              and the longest idle one may have given way
//!             --> Full                                all that are here answered a moment ago
//!   answers   --> is_over? --close--> the flow
//!   expire    --> a flow on which nothing moved for the idle time
//! ```
//!
//! How long a flow may be idle, and what it is to carry, is the policy of its *class*: each
//! listener has one, and may change it while flows are there. How many flows there may be is one
//! limit for all.
//!
//! There is no timer for a flow. Two lists hold all flows of a class in the order in which
//! something last moved: those that never carried an answer, and those that did. So which was idle
//! for longest, and when the next one expires, stands at the heads of the classes that have flows.
//! A datagram costs a look-up and, once a turn, a move to the end of a list.

mod class;
mod shunned;
#[cfg(test)]
mod simulation;
mod table;

pub use class::{ClassId, Policy};
pub use shunned::Shunned;
pub use table::{Flow, Placement, Table};

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::event::ListenerId;

/// Who sends, and to which address of ours: answers leave from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowKey {
    /// At which listener.
    pub listener: ListenerId,
    /// See [`FlowKey::peer`].
    peer: SocketAddr,
    /// See [`FlowKey::local`]: IPv4 as a mapped address, nothing as the unspecified one. There may
    /// be a million, and an `Option<IpAddr>` is larger.
    local: Ipv6Addr,
    /// The client, where the peer is a proxy that speaks for it.
    behind: Option<Behind>,
}

/// A client's address as a proxy says it; IPv4 as a mapped address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Behind {
    ip: Ipv6Addr,
    port: u16,
}

/// Most have no proxy in front: for them that costs nothing.
impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let FlowKey { listener, peer, local, behind } = self;
        (listener, peer, local).hash(state);
        if let Some(behind) = behind {
            behind.hash(state);
        }
    }
}

impl FlowKey {
    /// A peer at this address that wrote to this one of ours, where the listener has several.
    /// Both are of one family.
    pub fn new(listener: ListenerId, peer: SocketAddr, local: Option<IpAddr>) -> FlowKey {
        let local = local.map_or(Ipv6Addr::UNSPECIFIED, mapped);
        FlowKey { listener, peer, local, behind: None }
    }

    /// The flow of this client, whose datagrams the peer (a proxy) passes on.
    #[must_use]
    pub fn of_client(self, client: SocketAddr) -> FlowKey {
        let behind = Behind { ip: mapped(client.ip()), port: client.port() };
        FlowKey { behind: Some(behind), ..self }
    }

    /// Where datagrams come from and answers go, as the listener's socket says it: the client, or a
    /// proxy in front of it.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Where the client is.
    pub fn address(&self) -> SocketAddr {
        match self.behind {
            None => self.peer,
            Some(Behind { ip, port }) => SocketAddr::new(IpAddr::V6(ip).to_canonical(), port),
        }
    }

    /// The client, where the peer is a proxy that speaks for it.
    pub fn behind(&self) -> Option<SocketAddr> {
        self.behind.map(|_| self.address())
    }

    /// Which of our addresses it wrote to, where the listener has several.
    pub fn local(&self) -> Option<IpAddr> {
        match self.peer {
            _ if self.local.is_unspecified() => None,
            SocketAddr::V4(_) => self.local.to_ipv4_mapped().map(IpAddr::V4),
            SocketAddr::V6(_) => Some(IpAddr::V6(self.local)),
        }
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_address_is_kept_in_the_family_of_the_clients() {
        let id = ListenerId::for_tests(0);
        let table = [
            ("192.0.2.1:5", Some("192.0.2.9")),
            ("[2001:db8::1]:5", Some("2001:db8::9")),
            ("[::ffff:192.0.2.1]:5", Some("::ffff:192.0.2.9")),
            ("192.0.2.1:5", None),
            ("[2001:db8::1]:5", None),
        ];
        for (address, local) in table {
            let local: Option<IpAddr> = local.map(|local| local.parse().unwrap());
            let key = FlowKey::new(id, address.parse().unwrap(), local);
            assert_eq!(key.local(), local, "{address}");
            let client = "[2001:db8::7]:9".parse().unwrap();
            let behind = key.of_client(client);
            assert_eq!((behind.local(), behind.peer()), (local, key.peer()), "{address}");
            assert_eq!((key.address(), behind.address()), (key.peer(), client));
        }
        assert!(size_of::<FlowKey>() <= 72, "there may be a million");
    }

    #[test]
    fn clients_behind_one_proxy_are_two_and_ipv4_has_one_name() {
        let id = ListenerId::for_tests(0);
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let proxy = FlowKey::new(id, at("10.0.0.1:5"), None);
        let one = proxy.of_client(at("192.0.2.1:7"));
        assert_eq!(one, proxy.of_client(at("[::ffff:192.0.2.1]:7")));
        assert_eq!(one.address(), at("192.0.2.1:7"));
        for other in [proxy, proxy.of_client(at("192.0.2.1:8")), proxy.of_client(proxy.peer())]
        {
            assert_ne!(one, other);
        }
    }
}
