//! `/etc/hosts`: names with addresses that nobody is asked for.
//!
//! As the libc reads it, but for `localhost` and what is under it, which are this machine even if
//! the file does not say so (RFC 6761).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Name;
use super::resolv_conf::beginning;
use crate::limits::{DNS_ENDPOINTS_MAX, DNS_HOSTS_MAX};

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    addresses: HashMap<Name, Vec<IpAddr>>,
}

impl Hosts {
    /// Of the file's text. Lines that are none are skipped; so are addresses of a link, with a
    /// zone, which a backend would have to be given by hand.
    pub fn read(text: &str) -> Hosts {
        let mut hosts = Hosts::default();
        for line in beginning(text).lines().take(DNS_HOSTS_MAX) {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
            for name in words.filter_map(|word| Name::new(word).ok()) {
                let addresses = hosts.addresses.entry(name).or_default();
                if !addresses.contains(&address) && addresses.len() < DNS_ENDPOINTS_MAX {
                    addresses.push(address);
                }
            }
        }
        hosts
    }

    /// The addresses of a name; none, if somebody else is to be asked.
    pub fn addresses(&self, name: &Name) -> Vec<IpAddr> {
        if let Some(addresses) = self.addresses.get(name) {
            return addresses.clone();
        }
        let is_local = name.as_str() == "localhost" || name.as_str().ends_with(".localhost");
        let local = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        if is_local { local.to_vec() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hosts: &Hosts, name: &str) -> Vec<String> {
        let addresses = hosts.addresses(&Name::new(name).unwrap());
        addresses.iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn a_name_may_have_several_addresses_and_an_address_several_names() {
        let hosts = Hosts::read(
            "127.0.0.1 localhost\n10.0.0.1\tdb DB.example. # 10.9.9.9 no\n\n::1 db\n\
             10.0.0.1 db\nx y\n10.0.0.300 z\nfe80::1%eth0 link\n#10.0.0.3 q\n10.0.0.4\n",
        );
        assert_eq!(of(&hosts, "db"), ["10.0.0.1", "::1"]);
        assert_eq!(of(&hosts, "db.example"), ["10.0.0.1"]);
        for name in ["y", "z", "link", "q", "no"] {
            assert!(of(&hosts, name).is_empty(), "{name}");
        }
        assert_eq!(of(&hosts, "localhost"), ["127.0.0.1"]);
    }

    #[test]
    fn localhost_needs_no_file() {
        let hosts = Hosts::default();
        assert_eq!(of(&hosts, "localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(of(&hosts, "api.localhost"), ["127.0.0.1", "::1"]);
        assert!(of(&hosts, "notlocalhost").is_empty());
    }
}
