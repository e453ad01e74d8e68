//! Networks as people write them, `ADDRESS/PREFIX`, and whether an address is in one.
//!
//! Pure text and bits. Called by the table of settings, by conditions, and by who asks whether a
//! peer is trusted.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::complaint::Wrong;
use super::text::quoted;
use super::value::digits;

const WANT: &str = "a network such as 10.0.0.0/8 or fd00::/8, or an address";

/// The word for peers at UNIX sockets. They have no address, and count as the one that nobody has.
const UNIX: &str = "unix";

/// The addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// Its first address: the bits after the prefix are zero. Never an IPv4-mapped one.
    pub address: IpAddr,
    /// Bits that count, at most 32 or 128.
    pub prefix: u8,
}

impl Cidr {
    /// Peers at UNIX sockets.
    pub const UNIX: Cidr = Cidr { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 32 };

    /// `ADDRESS/PREFIX`, or an address alone: it is a network of one. What is IPv4-mapped becomes
    /// IPv4. `unix` are the peers at UNIX sockets.
    pub fn parse(text: &str) -> Result<Cidr, Wrong> {
        Cidr::parse_in(text, text)
    }

    /// One or several, with commas between them.
    pub fn parse_list(text: &str) -> Result<Vec<Cidr>, Wrong> {
        text.split(',').map(|part| Cidr::parse_in(part, text)).collect()
    }

    /// The network with a prefix of so many bits that this address is in. Of one that is
    /// IPv4-mapped the bits are those of IPv4.
    pub fn around(address: IpAddr, prefix: u8) -> Cidr {
        let address = address.to_canonical();
        let prefix = prefix.min(if address.is_ipv4() { 32 } else { 128 });
        Cidr { address: first_of(address, prefix), prefix }
    }

    /// Whether the address begins with the bits of this network. IPv4 and IPv6 are never in each
    /// other, but an IPv4-mapped address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        first_of(address.to_canonical(), self.prefix) == self.address
    }

    fn parse_in(part: &str, whole: &str) -> Result<Cidr, Wrong> {
        let wrong = |want: String| match part == whole {
            true => Wrong::found(part, want),
            false if part.is_empty() => {
                Wrong::saying(format!("an empty part in {}", quoted(whole)), want)
            }
            false => Wrong::found_in(part, whole, want),
        };
        let (address, prefix) = match part.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None if part == UNIX => return Ok(Cidr::UNIX),
            None => (part, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong(WANT.to_owned()))?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix.map(digits) {
            None => bits,
            Some(None) => return Err(wrong(WANT.to_owned())),
            Some(Some(prefix)) => u8::try_from(prefix)
                .ok()
                .filter(|prefix| *prefix <= bits)
                .ok_or_else(|| wrong(format!("a prefix from 0 to {bits}")))?,
        };
        let network = Cidr { address: first_of(address, prefix), prefix }.canonical();
        if network.address != address.to_canonical() {
            let alone = Cidr { address, prefix: bits }.canonical();
            return Err(wrong(format!("{network}, or {} alone", alone.address)));
        }
        Ok(network)
    }

    /// IPv4 where all of it is IPv4-mapped.
    fn canonical(self) -> Cidr {
        const MAPPED_BITS: u8 = 96;
        match (self.address.to_canonical(), self.prefix.checked_sub(MAPPED_BITS)) {
            (address @ IpAddr::V4(_), Some(prefix)) if self.address.is_ipv6() => {
                Cidr { address, prefix }
            }
            _ => self,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self == Cidr::UNIX {
            true => f.write_str(UNIX),
            false => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

/// The address with the bits after the prefix set to zero.
fn first_of(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let after = u32::MAX.checked_shr(prefix).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & !after))
        }
        IpAddr::V6(address) => {
            let after = u128::MAX.checked_shr(prefix).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !after))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        Cidr::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
    }

    #[test]
    fn networks_are_read_and_shown_alike() {
        let table = [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.168.1.128/25", "192.168.1.128/25"),
            ("192.168.1.1", "192.168.1.1/32"),
            ("192.168.1.1/32", "192.168.1.1/32"),
            ("::/0", "::/0"),
            ("fd00::/8", "fd00::/8"),
            ("2001:DB8:0::/032", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ];
        for (text, shown) in table {
            assert_eq!(cidr(text).to_string(), shown, "{text}");
            assert_eq!(cidr(shown), cidr(text));
        }
    }

    #[test]
    fn the_rest_is_refused_in_words() {
        let table = [
            ("", WANT),
            ("/", WANT),
            ("10/8", WANT),
            ("10.0.0/24", WANT),
            ("10.0.0.0/", WANT),
            ("10.0.0.0/+8", WANT),
            ("10.0.0.0/-1", WANT),
            ("10.0.0.0/8/8", WANT),
            ("10.0.0.0/255.0.0.0", WANT),
            (" 10.0.0.0/8", WANT),
            ("010.0.0.0/8", WANT),
            ("10.0.0.256", WANT),
            ("[::1]", WANT),
            ("fe80::1%eth0", WANT),
            ("localhost", WANT),
            ("*", WANT),
            ("10.0.0.0/33", "a prefix from 0 to 32"),
            ("10.0.0.0/256", "a prefix from 0 to 32"),
            ("::/129", "a prefix from 0 to 128"),
            ("10.1.2.3/8", "10.0.0.0/8, or 10.1.2.3 alone"),
            ("10.0.0.1/0", "0.0.0.0/0, or 10.0.0.1 alone"),
            ("192.168.1.1/31", "192.168.1.0/31, or 192.168.1.1 alone"),
            ("2001:db8::1/32", "2001:db8::/32, or 2001:db8::1 alone"),
            ("::ffff:10.0.0.1/104", "10.0.0.0/8, or 10.0.0.1 alone"),
            ("::ffff:0:0/90", "::ffc0:0:0/90, or 0.0.0.0 alone"),
        ];
        for (text, want) in table {
            assert_eq!(Cidr::parse(text), Err(Wrong::found(text, want)));
        }
    }

    #[test]
    fn lists_have_commas_between_networks() {
        assert_eq!(Cidr::parse_list("::1"), Ok(vec![cidr("::1")]));
        let both = Ok(vec![cidr("10.0.0.0/8"), cidr("fd00::/8")]);
        assert_eq!(Cidr::parse_list("10.0.0.0/8,fd00::/8"), both);
        let table = [
            ("", "found nothing, want a network"),
            (",", "found an empty part in ',', want a network"),
            ("::1,", "found an empty part in '::1,', want a network"),
            ("::1, ::2", "found ' ::2' in '::1, ::2', want a network"),
            ("::1,10.0.0.1/8", "found '10.0.0.1/8' in '::1,10.0.0.1/8', want 10.0.0.0/8, or"),
        ];
        for (text, says) in table {
            let wrong = Cidr::parse_list(text).unwrap_err().to_string();
            assert!(wrong.starts_with(says), "{text}: {wrong}");
        }
    }

    #[test]
    fn an_address_is_in_a_network_or_not() {
        let table = [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "9.255.255.255", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::ffff:11.1.2.3", false),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("192.168.1.128/25", "192.168.1.127", false),
            ("192.168.1.128/25", "192.168.1.255", true),
            ("192.168.1.1", "192.168.1.1", true),
            ("192.168.1.1", "192.168.1.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::ffff:1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("0.0.0.0/0", "::", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "1.2.3.4", false),
            ("::/0", "::ffff:1.2.3.4", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::", false),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("::1", "::1", true),
            ("::1", "::2", false),
        ];
        for (network, address, inside) in table {
            let found = cidr(network).contains(address.parse().unwrap());
            assert_eq!(found, inside, "{address} in {network}");
        }
    }

    /// Against the slow way: bit by bit.
    #[test]
    fn contains_compares_the_bits_of_the_prefix() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..10_000 {
            let bits = random.u128(..);
            let other = bits ^ (1_u128 << random.u32(..128));
            let prefix = random.u8(..=128);
            let address = IpAddr::V6(Ipv6Addr::from_bits(bits));
            let network = Cidr { address: first_of(address, prefix), prefix };
            assert!(network.contains(address));
            let same = (0..prefix).all(|i| (bits ^ other) << i >> 127 == 0);
            assert_eq!(network.contains(IpAddr::V6(Ipv6Addr::from_bits(other))), same);
        }
    }
}
