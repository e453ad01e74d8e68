//! Which interface the zone of a link-local address is, by its name or its number.

use std::io;

use crate::config::{Address, LinkAddress};

/// The same address with the number of its interface, if it is one of a link.
pub fn resolve(address: &Address) -> io::Result<Address> {
    match address {
        Address::Link(link) => resolve_link(link).map(Address::Link),
        Address::Ip(_) | Address::Unix(_) => Ok(address.clone()),
    }
}

/// The same. An interface may be called by a number as well: names come first.
pub fn resolve_link(link: &LinkAddress) -> io::Result<LinkAddress> {
    use nix::net::if_::{if_indextoname, if_nametoindex};
    let zone = link.zone();
    let number = || {
        let number = zone.parse().ok().filter(|&it| it > 0)?;
        // because: nix has no error where there is none of this number, but an empty name.
        let name = if_indextoname(number).ok()?;
        (!name.is_empty()).then_some(number)
    };
    let found = if_nametoindex(zone).ok().or_else(number);
    let missing = || {
        let why = format!("this machine has no interface {zone}; see ip link");
        io::Error::new(io::ErrorKind::AddrNotAvailable, why)
    };
    found.map(|it| link.clone().on(it)).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(zone: &str) -> io::Result<LinkAddress> {
        resolve_link(&LinkAddress::new("fe80::1".parse().unwrap(), 80, zone))
    }

    #[test]
    fn an_interface_is_known_by_its_name_and_by_its_number() {
        let Ok(by_name) = at("lo") else { return println!("skipped: there is no lo") };
        let number = by_name.socket_address().scope_id();
        assert!(number > 0);
        assert_eq!(by_name.to_string(), "[fe80::1%lo]:80");
        let by_number = at(&number.to_string()).unwrap();
        assert_eq!(by_number.socket_address(), by_name.socket_address());
        for zone in ["nope", "0", "4294967295", "99999999999", "-1"] {
            let why = at(zone).unwrap_err().to_string();
            assert!(why.contains(&format!("no interface {zone}")), "{why}");
        }
    }
}
