//! `/etc/hosts`: names with addresses that nobody is asked for.
//!
//! As the libc reads it, but for `localhost` and what is under it, which are this machine even if
//! the file does not say so (RFC 6761).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Name;
use crate::limits::{
    DNS_ENDPOINTS_MAX, DNS_FILE_BYTES_MAX, DNS_HOSTS_LINE_BYTES_MAX, DNS_HOSTS_MAX,
};

/// Bytes of a line in lists that are handed around, for there to be room without a pause.
const LINE_BYTES: u64 = 24;

/// What the file says, as far as it was read: it comes in pieces cut anywhere.
#[derive(Debug, Default)]
pub struct Building {
    hosts: Hosts,
    /// What was read of a line.
    begun: Vec<u8>,
    /// It is longer than any may be.
    is_too_long: bool,
    lines: usize,
    bytes: usize,
}

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    addresses: HashMap<Name, Vec<IpAddr>>,
}

impl Hosts {
    /// Of the file's text. Lines that are none are skipped; so are addresses of a link, with a
    /// zone, which a backend would have to be given by hand.
    pub fn read(text: &[u8]) -> Hosts {
        let mut building = Building::default();
        building.feed(text);
        building.end()
    }

    fn add(&mut self, line: &str) {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { return };
        for name in words.filter_map(|word| Name::new(word).ok()) {
            let addresses = self.addresses.entry(name).or_default();
            if !addresses.contains(&address) && addresses.len() < DNS_ENDPOINTS_MAX {
                addresses.push(address);
            }
        }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// All of them, to be dropped a few at a time: hundreds of thousands are no matter of a moment.
    pub fn into_entries(self) -> impl Iterator<Item = (Name, Vec<IpAddr>)> + use<> {
        self.addresses.into_iter()
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

impl Building {
    /// Of a file of so many bytes.
    pub fn with_room(bytes: u64) -> Building {
        let lines = (bytes / LINE_BYTES).min(DNS_HOSTS_MAX as u64) as usize;
        let hosts = Hosts { addresses: HashMap::with_capacity(lines) };
        Building { hosts, ..Building::default() }
    }

    /// The next bytes. What comes after [`DNS_FILE_BYTES_MAX`] or [`DNS_HOSTS_MAX`] lines is left
    /// out; says whether more is wanted.
    pub fn feed(&mut self, bytes: &[u8]) -> bool {
        let mut rest = &bytes[..bytes.len().min(DNS_FILE_BYTES_MAX - self.bytes)];
        self.bytes += rest.len();
        while let Some(end) = rest.iter().position(|&it| it == b'\n') {
            self.extend(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
        }
        self.extend(rest);
        self.bytes < DNS_FILE_BYTES_MAX && self.lines < DNS_HOSTS_MAX
    }

    /// The file ends here, perhaps without a newline.
    pub fn end(mut self) -> Hosts {
        self.end_line();
        self.hosts
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.begun.len() + bytes.len() <= DNS_HOSTS_LINE_BYTES_MAX {
            self.begun.extend_from_slice(bytes);
        } else {
            self.is_too_long = true;
        }
    }

    fn end_line(&mut self) {
        let is_too_long = std::mem::take(&mut self.is_too_long);
        if !is_too_long && self.lines < DNS_HOSTS_MAX {
            self.hosts.add(&String::from_utf8_lossy(&self.begun));
        }
        self.begun.clear();
        self.lines += 1;
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
            b"127.0.0.1 localhost\n10.0.0.1\tdb DB.example. # 10.9.9.9 no\n\n::1 db\n\
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
    fn a_file_in_pieces_is_the_same_file() {
        let text = b"10.0.0.1 db # \xff\n\n::1 db\r\n10.0.0.2 other";
        let whole = Hosts::read(text);
        for size in 1..text.len() {
            let mut building = Building::with_room(text.len() as u64);
            assert!(text.chunks(size).all(|it| building.feed(it)));
            assert_eq!(building.end(), whole, "{size}");
        }
    }

    #[test]
    fn there_is_an_end_to_lines_and_files() {
        let long = [b"10.0.0.1 a".repeat(DNS_HOSTS_LINE_BYTES_MAX), b"\n10.0.0.2 b".into()];
        let hosts = Hosts::read(&long.concat());
        assert_eq!(of(&hosts, "b"), ["10.0.0.2"]);
        let many = b"\n".repeat(DNS_HOSTS_MAX);
        assert!(!Building::default().feed(&many), "no more is wanted");
        assert!(of(&Hosts::read(&[&many[..], b"10.0.0.2 b"].concat()), "b").is_empty());
    }

    #[test]
    fn localhost_needs_no_file() {
        let hosts = Hosts::default();
        assert_eq!(of(&hosts, "localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(of(&hosts, "api.localhost"), ["127.0.0.1", "::1"]);
        assert!(of(&hosts, "notlocalhost").is_empty());
    }
}
