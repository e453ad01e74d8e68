//! Backends that are listeners of ours: what is sent to one comes in again at the front, is sent
//! on, and so forth, until no descriptor is left.
//!
//! Looked at once all names are looked up and all ports are known.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::backends::Backends;
use crate::config::{Complaint, Config, Key, Phrase, Protocol, Wrong};

/// A complaint for each backend that leads back to us.
pub(super) fn listeners_among(
    backends: &Backends,
    config: &Config,
    listeners: &[(SocketAddr, Protocol)],
) -> Vec<Complaint> {
    let of_no_route = config.backends.len();
    let complaint = |(index, address, name): (usize, SocketAddr, &str)| {
        // Those of a route get what `sni://` listeners take alone: to lead it to an `https://`
        // listener of ours is a way to serve some names here.
        let is_fed = |protocol| index < of_no_route || protocol == Protocol::Sni;
        let (at, protocol) = listeners
            .iter()
            .filter(|(_, protocol)| is_fed(*protocol))
            .find(|(at, _)| leads_to(address, *at, listeners))?;
        let setting = if index < of_no_route { Key::BACKEND } else { Key::ROUTE };
        let found = Phrase::from(format!("{address}, where "));
        let found = found.setting(Key::LISTEN, format!("{protocol}://{at}"));
        let found = found.text(" listens: each connection would come back to us");
        let wrong = Wrong::saying(found, "the address of a server");
        Some(Complaint::of(setting, name, wrong))
    };
    let all = backends.iter().enumerate();
    let all = all.flat_map(|(index, (_, backend))| {
        let addresses = backend.addresses.all().iter();
        addresses.map(move |&address| (index, address, &*backend.name))
    });
    all.filter_map(complaint).collect()
}

/// Whether what is sent to the address comes in at the listener.
fn leads_to(address: SocketAddr, listener: SocketAddr, all: &[(SocketAddr, Protocol)]) -> bool {
    if address.port() != listener.port() {
        return false;
    }
    let (to, at) = (address.ip().to_canonical(), listener.ip().to_canonical());
    let has_own = |family: fn(&SocketAddr) -> bool| {
        all.iter().any(|(at, _)| at.port() == listener.port() && family(at))
    };
    match (at, to) {
        _ if at == to => true,
        _ if !at.is_unspecified() => false,
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
        // `[::]` takes clients of IPv4 unless another listener does.
        (IpAddr::V6(_), IpAddr::V4(_)) if has_own(SocketAddr::is_ipv4) => false,
        _ => is_of_this_machine(to),
    }
}

/// Only what is an address of this machine can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_known_by_address_or_wildcard() {
        let table = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("127.7.7.7:80", "0.0.0.0:80", true),
            ("127.0.0.2:80", "127.0.0.1:80", false),
            ("127.0.0.1:80", "[::]:80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            // TEST-NET-1 is nobody's (RFC 5737).
            ("192.0.2.1:80", "0.0.0.0:80", false),
            ("192.0.2.1:80", "192.0.2.2:80", false),
            ("[2001:db8::1]:80", "0.0.0.0:80", false),
        ];
        for (address, listener, expected) in table {
            let (address, listener) = (address.parse().unwrap(), listener.parse().unwrap());
            let all = [(listener, Protocol::Tcp)];
            assert_eq!(leads_to(address, listener, &all), expected, "{address} {listener}");
        }
        let all = ["[::]:80", "192.0.2.1:80"].map(|at| (at.parse().unwrap(), Protocol::Tcp));
        assert!(!leads_to("127.0.0.1:80".parse().unwrap(), all[0].0, &all));
    }
}
